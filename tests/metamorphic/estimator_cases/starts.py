"""Cases of treatment that starts during follow-up, of analyses.starts."""

from __future__ import annotations

import numpy as np
import pandas as pd
from estimator_cases.case import PATIENTS, Case, Exempt, Table

from analyses.starts import (
    clone_censor_weight,
    exposure_spells,
    landmark_starts,
    sequential_trials,
    time_varying_start,
    trial_rows,
)

COLUMNS = {"duration_col": "t", "event_col": "event", "start_col": "first_dose"}


def _late() -> pd.DataFrame:
    """Half of the patients start, at a third of their follow-up."""
    patients = PATIENTS.rows().drop(columns="entry")
    starting = np.random.default_rng(20250305).uniform(size=len(patients)) < 0.5
    return patients.assign(first_dose=np.where(starting, np.floor(patients["t"] / 3), np.nan))


LATE = Table(
    _late,
    times=("t", "first_dose"),
    quiet={"event": 0},
    loud={"event": 1},
)
SHARED = {
    "table": LATE,
    "half_weights": Exempt("it takes no weights"),
    "swapped_arms": Exempt("it compares those who have started with those who have not, whatever their arm"),
    "missing": Exempt("a missing start is none"),
}
NAMED = Exempt("the time is part of a name")


def rows_of_each(rows: pd.DataFrame, data: pd.DataFrame) -> dict[str, np.ndarray]:
    """Return how much each patient of the data is followed in the rows laid out."""
    counts = rows.assign(patient_id=rows["patient_id"].astype(str)).groupby("patient_id").size()
    return {"rows": counts.reindex(data["patient_id"].astype(str)).fillna(0).to_numpy()}


CASES = (
    Case(
        "exposure_spells",
        lambda d, _: rows_of_each(exposure_spells(d, **COLUMNS), d),
        of=(exposure_spells,),
        refuses=("empty", "one_row"),
        **SHARED,
    ),
    Case(
        "time_varying_start",
        lambda d, _: time_varying_start(d, **COLUMNS, covariates="x"),
        of=(time_varying_start,),
        relative=1e-9,
        refuses=("empty", "one_row"),
        **SHARED,
    ),
    Case(
        "landmark_starts",
        lambda d, unit: landmark_starts(d, **COLUMNS, landmarks=[3 * unit, 9 * unit], horizon=15 * unit),
        of=(landmark_starts,),
        relative=1e-9,
        time_unit=NAMED,
        refuses=("empty", "one_row"),
        **SHARED,
    ),
    Case(
        "trial_rows",
        lambda d, unit: rows_of_each(trial_rows(d, **COLUMNS, every=4 * unit, trials=3), d),
        of=(trial_rows,),
        refuses=("empty", "one_row"),
        **SHARED,
    ),
    Case(
        "sequential_trials",
        lambda d, unit: sequential_trials(d, **COLUMNS, every=4 * unit, trials=3, covariates="x"),
        of=(sequential_trials,),
        relative=1e-9,
        refuses=("empty", "one_row"),
        **SHARED,
    ),
    Case(
        "clone_censor_weight",
        lambda d, unit: clone_censor_weight(
            d, **COLUMNS, grace=8 * unit, horizon=20 * unit, covariates="x", replicates=0
        ),
        of=(clone_censor_weight,),
        relative=1e-9,
        time_unit=NAMED,
        refuses=("empty", "one_row"),
        **SHARED,
    ),
)
