"""The design of a comparison before its analysis: eligibility, causal diagram, estimand and target trial."""

from __future__ import annotations

from analyses.design.diagram import CausalDiagram, read_diagram
from analyses.design.diagram_table import diagram_table
from analyses.design.eligibility import ELIGIBLE, Criterion, EligibleCohort, apply_criteria
from analyses.design.specification import (
    TARGET_POPULATION,
    Estimand,
    Specification,
    available_designs,
    load_design,
    read_design,
)
from analyses.design.target_trial import target_trial_table

__all__ = [
    "ELIGIBLE",
    "TARGET_POPULATION",
    "CausalDiagram",
    "Criterion",
    "EligibleCohort",
    "Estimand",
    "Specification",
    "apply_criteria",
    "available_designs",
    "diagram_table",
    "load_design",
    "read_design",
    "read_diagram",
    "target_trial_table",
]
