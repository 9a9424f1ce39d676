"""Cases of analyses.starts."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
from estimator_cases.case import PATIENTS, Case, Exempt, Table

from analyses.starts import (
    clone_censor_weight,
    landmark_start,
    naive_clock_from_start,
    naive_ever_started,
    sequential_trials,
    time_varying_start,
)

NAMES = {"start_col": "begun", "duration_col": "t", "event_col": "event"}
NO_WEIGHTS = Exempt("takes one row per patient, and no weights")
NO_ARMS = Exempt("does not look at the arms")
NEVER = Exempt("a missing start is a patient who never started")
SHARED = {"half_weights": NO_WEIGHTS, "swapped_arms": NO_ARMS, "missing": NEVER, "relative": 1e-9}


@cache
def _starters() -> pd.DataFrame:
    """Some start, never at the end of an interval, so that no rounding of units moves them to the next."""
    stream = np.random.default_rng(20250305)
    patients = PATIENTS.rows()[["patient_id", "arm", "kind", "x", "t", "event"]]
    begun = np.floor(stream.exponential(14, len(patients))) + 0.25
    return patients.assign(t=patients["t"] + 0.5, begun=np.where(begun < patients["t"], begun, np.nan))


STARTERS = Table(_starters, times=("t", "begun"), quiet={"event": 0}, loud={"event": 1})

CASES = (
    Case(
        "naive_ever_started",
        lambda d, _: naive_ever_started(d, "x", **NAMES),
        of=(naive_ever_started,),
        table=STARTERS,
        **SHARED,
    ),
    Case(
        "naive_clock_from_start",
        lambda d, _: naive_clock_from_start(d, **NAMES),
        of=(naive_clock_from_start,),
        table=STARTERS,
        **SHARED,
    ),
    Case(
        "time_varying_start",
        lambda d, _: time_varying_start(d, "x", **NAMES),
        of=(time_varying_start,),
        table=STARTERS,
        **SHARED,
    ),
    Case(
        "landmark_start",
        lambda d, unit: landmark_start(d, "x", at=[4 * unit, 9 * unit], **NAMES),
        of=(landmark_start,),
        table=STARTERS,
        **SHARED,
    ),
    Case(
        "sequential_trials",
        lambda d, unit: {
            "weighted": sequential_trials(d, "x", interval=4 * unit, trials=4, **NAMES),
            "per protocol": sequential_trials(
                d, "x + kind", interval=4 * unit, trials=3, censor_at_start=True, estimand="ATO", largest=9.0, **NAMES
            ),
        },
        of=(sequential_trials,),
        table=STARTERS,
        **SHARED,
    ),
    Case(
        "clone_censor_weight",
        lambda d, unit: {
            "as starters": clone_censor_weight(
                d, "x", grace=8 * unit, interval=4 * unit, horizon=16 * unit, largest=9.0, **NAMES
            ),
            "as everybody": clone_censor_weight(
                d,
                grace=8 * unit,
                interval=4 * unit,
                horizon=16 * unit,
                spread="as everybody",
                otherwise="never start",
                stabilized=False,
                **NAMES,
            ),
        },
        of=(clone_censor_weight,),
        table=STARTERS,
        time_unit={"restricted_mean": 1, "restricted_mean_difference": 1},
        **SHARED,
    ),
)
