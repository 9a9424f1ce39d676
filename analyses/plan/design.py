"""The design as it was written down, with the numbers of the cohort."""

from __future__ import annotations

from analyses.datasets import AnalysisData
from analyses.design import diagram_table, target_trial_table
from analyses.plan.attempts import Tables


def design(data: AnalysisData) -> Tables:
    """Who was eligible, what the target trial and its emulation are, and what is assumed to cause what."""
    return {
        "eligibility": data.eligibility,
        "target_trial": target_trial_table(data.design, data.eligibility),
        "causal_diagram": diagram_table(data.design.diagram, data.design.adjustment),
    }
