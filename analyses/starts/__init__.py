"""Treatment that starts during follow-up: what may be compared, and when, without immortal time."""

from analyses.starts.landmarks import landmark_starts
from analyses.starts.sequential import sequential_trials, trial_rows
from analyses.starts.time_varying import exposure_spells, time_varying_start
from analyses.starts.weighting import clone_censor_weight

__all__ = [
    "clone_censor_weight",
    "exposure_spells",
    "landmark_starts",
    "sequential_trials",
    "time_varying_start",
    "trial_rows",
]
