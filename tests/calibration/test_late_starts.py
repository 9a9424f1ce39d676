"""Protects the demonstration of immortal time: naive analyses are wrong where the others are right."""

from __future__ import annotations

import math
import os

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

from analyses.starts import clone_censor_weight, landmark_starts, sequential_trials, time_varying_start
from synthetic.late_starts import LateStartModel, draw_late_starts

COLUMNS = {"duration_col": "years", "event_col": "event", "start_col": "start"}
SIZES = {"patients": 179, "cohorts": 60 if os.environ.get("LNCOHORT_SLOW") == "reduced" else 300}


def hazards(registry: pd.DataFrame, **options: object) -> pd.DataFrame:
    """Return the log hazard ratios of every analysis, by population."""
    tables = [
        time_varying_start(registry, **COLUMNS, covariates="severity"),
        landmark_starts(registry, **COLUMNS, landmarks=[1.0], covariates="severity"),
        sequential_trials(registry, **COLUMNS, every=0.5, trials=6, covariates="severity"),
        clone_censor_weight(registry, **COLUMNS, grace=1.0, horizon=4.0, covariates="severity", **options),  # type: ignore[arg-type]
    ]
    rows = pd.concat([table.frame for table in tables])
    return rows[(rows["statistic"] == "log_hazard_ratio").to_numpy(dtype=bool)].set_index("population")


def test_without_effect_only_the_naive_analyses_find_one() -> None:
    found = hazards(draw_late_starts(3000, seed=2025), replicates=100, seed=1)
    naive = found["note"].str.startswith("biased", na=False)
    assert naive.sum() == 2
    assert (np.exp(found.loc[naive, "conf_high"]) < 0.6).all()
    assert ((found.loc[~naive, "conf_low"] < 0) & (found.loc[~naive, "conf_high"] > 0)).all()


def test_an_effect_is_found_by_the_exposure_that_has_it() -> None:
    registry = draw_late_starts(3000, seed=7, model=LateStartModel(hazard_ratio=0.5))
    row = time_varying_start(registry, **COLUMNS, covariates="severity").frame.iloc[0]
    assert row["conf_low"] < math.log(0.5) < row["conf_high"]


def test_registries_of_one_seed_differ_by_replicate_only() -> None:
    one = draw_late_starts(50, seed=3)
    pd.testing.assert_frame_equal(one, draw_late_starts(50, seed=3, replicate=1))
    assert not one["years"].equals(draw_late_starts(50, seed=3, replicate=2)["years"])


@pytest.mark.slow
def test_intervals_cover_no_effect_in_registries_of_179() -> None:
    # A right method would fail once in 100,000 runs; naive intervals miss in nearly every registry.
    covered: dict[str, list[bool]] = {}
    for replicate in range(SIZES["cohorts"]):
        registry = draw_late_starts(SIZES["patients"], seed=11, replicate=replicate)
        for population, row in hazards(registry, replicates=100, seed=replicate).iterrows():
            covered.setdefault(str(population), []).append(bool(row["conf_low"] <= 0 <= row["conf_high"]))
    least = binom.ppf(1e-5, SIZES["cohorts"], 0.92)
    for population, hits in covered.items():
        if population.startswith(("ever", "time before")):
            assert sum(hits) < 0.5 * len(hits), population
        else:
            assert sum(hits) >= least, population
