"""How far a conclusion depends on what was assumed: unmeasured confounding and choices of the analyst."""

from __future__ import annotations

from analyses.sensitivity.event_multiverse import event_multiverse
from analyses.sensitivity.leave_one_out import leave_one_covariate_out
from analyses.sensitivity.multiverse import multiverse
from analyses.sensitivity.negative_control import MeasureOutcome, negative_control
from analyses.sensitivity.response_multiverse import response_multiverse
from analyses.sensitivity.trimming_path import trimming_path
from analyses.sensitivity.unmeasured import e_value, tipping_points

__all__ = [
    "MeasureOutcome",
    "e_value",
    "event_multiverse",
    "leave_one_covariate_out",
    "multiverse",
    "negative_control",
    "response_multiverse",
    "tipping_points",
    "trimming_path",
]
