"""Models of repeated outcomes of the same patients."""

from __future__ import annotations

from analyses.histories import response_history, visit_states
from analyses.longitudinal.gee import fit_gee
from analyses.longitudinal.gee_fit import GeeFit
from analyses.longitudinal.laboratory import LaboratoryCourse, egfr_slopes, laboratory_course, proteinuria_course
from analyses.longitudinal.marginal import marginal_response
from analyses.longitudinal.missing_visits import missing_visit_strategies
from analyses.longitudinal.mixed import fit_mixed
from analyses.longitudinal.mixed_fit import MixedFit
from analyses.longitudinal.occupancy import mean_time_in_state, state_occupancy
from analyses.longitudinal.ordinal import fit_ordinal
from analyses.longitudinal.ordinal_fit import OrdinalFit
from analyses.longitudinal.response_visits import response_visits
from analyses.longitudinal.transitions import transition_counts, transition_probabilities
from analyses.longitudinal.visit_transitions import visit_transitions

__all__ = [
    "GeeFit",
    "LaboratoryCourse",
    "MixedFit",
    "OrdinalFit",
    "egfr_slopes",
    "fit_gee",
    "fit_mixed",
    "fit_ordinal",
    "laboratory_course",
    "marginal_response",
    "mean_time_in_state",
    "missing_visit_strategies",
    "proteinuria_course",
    "response_history",
    "response_visits",
    "state_occupancy",
    "transition_counts",
    "transition_probabilities",
    "visit_states",
    "visit_transitions",
]
