"""Treatments that start during follow-up: comparisons without immortal time, and two with it for contrast."""

from __future__ import annotations

from analyses.starts.clone_censor_weight import clone_censor_weight
from analyses.starts.clones import clone_rows
from analyses.starts.landmark import landmark_start
from analyses.starts.naive import naive_clock_from_start, naive_ever_started
from analyses.starts.sequential_trials import sequential_trials
from analyses.starts.time_varying import start_rows, time_varying_start
from analyses.starts.treatment_starts import TreatmentStarts, treatment_starts
from analyses.starts.trial_rows import SequentialTrials, sequential_trial_rows

__all__ = [
    "SequentialTrials",
    "TreatmentStarts",
    "clone_censor_weight",
    "clone_rows",
    "landmark_start",
    "naive_clock_from_start",
    "naive_ever_started",
    "sequential_trial_rows",
    "sequential_trials",
    "start_rows",
    "time_varying_start",
    "treatment_starts",
]
