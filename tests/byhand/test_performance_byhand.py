"""Performance of an estimator and its Monte Carlo errors, against arithmetic done by hand (Morris 2019)."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from analyses.simulation import performance
from cohort.errors import AnalysisError

NAN = math.nan


def replicates(**changes) -> pd.DataFrame:
    """Four estimates of 1: errors -1, 0, 1, 2; squared standard errors 1, 1, 4, 4."""
    return pd.DataFrame(
        {
            "n": 179,
            "estimator": "crude",
            "truth": 1.0,
            "estimate": [0.0, 1.0, 2.0, 3.0],
            "std_error": [1.0, 1.0, 2.0, 2.0],
            "conf_low": [-2.0, -1.0, -2.0, 2.0],
            "conf_high": [0.5, 3.0, 6.0, 4.0],
            "p_value": [0.9, 0.05, 0.2, 0.01],
        }
        | changes
    )


def summary(frame: pd.DataFrame) -> pd.DataFrame:
    return performance(frame, by=["n", "estimator"]).frame.set_index("statistic")


def test_every_statistic_and_its_monte_carlo_error():
    """Bias 1/2. Variance of the errors (9/4 + 1/4 + 1/4 + 9/4)/3 = 5/3. Mean square 6/4; squares 1, 0, 1, 4 deviate
    from it by -1/2, -3/2, -1/2, 5/2: variance 9/3 = 3, error of the mean square sqrt(3)/2, of its root that over
    2 sqrt(3/2). Mean squared standard error 5/2; variance of 1, 1, 4, 4 is 3. Three of four cover 1 (the second and
    third, and not the first, whose upper limit is 1/2, nor the last): two of four. The mean estimate is 3/2: again
    two. Two of four p-values are at most 0.05."""
    found = summary(replicates())
    spread, model = math.sqrt(5 / 3), math.sqrt(5 / 2)
    relative = 3 / (4 * 4 * (5 / 2) ** 2)
    expected = {
        "bias": (0.5, spread / 2),
        "empirical_std_error": (spread, spread / math.sqrt(6)),
        "root_mean_squared_error": (math.sqrt(1.5), (math.sqrt(3) / 2) / (2 * math.sqrt(1.5))),
        "model_std_error": (model, math.sqrt(relative) * model),
        "model_error_percent": (
            100 * (model / spread - 1),
            100 * model / spread * math.sqrt(relative + 1 / 6),
        ),
        "coverage": (0.5, 0.25),
        "bias_eliminated_coverage": (0.5, 0.25),
        "rejection": (0.5, 0.25),
        "failure": (0.0, 0.0),
    }
    assert list(found.index) == list(expected)
    for name, pair in expected.items():
        assert found.loc[name, ["estimate", "std_error"]].tolist() == pytest.approx(pair, rel=1e-14), name
    assert set(found["population"]) == {"n=179"}
    assert set(found["group"]) == {"crude"}


def test_failures_are_counted_and_left_out():
    found = summary(replicates(estimate=[0.0, NAN, 2.0, NAN]))
    assert found.loc["failure", ["estimate", "std_error"]].tolist() == [0.5, 0.25]
    assert found.loc["bias", ["estimate", "n", "n_events"]].tolist() == [0.0, 2, 2]


def test_what_nothing_supports_is_missing_with_a_note():
    found = summary(replicates(std_error=NAN, conf_low=NAN, p_value=NAN))
    for name in ("model_std_error", "model_error_percent", "coverage", "bias_eliminated_coverage", "rejection"):
        assert math.isnan(found.loc[name, "estimate"])
        assert found.loc[name, "note"].startswith("fewer than two")
    assert found.loc["bias", "estimate"] == 0.5
    alone = summary(replicates().iloc[:1])
    assert alone.loc["bias", "estimate"] == -1
    assert math.isnan(alone.loc["bias", "std_error"])
    nothing = summary(replicates(estimate=NAN))
    assert math.isnan(nothing.loc["bias", "estimate"])
    assert nothing.loc["failure", "estimate"] == 1


def test_a_perfect_estimator_has_no_error():
    found = summary(replicates(estimate=1.0))
    assert found.loc["root_mean_squared_error", ["estimate", "std_error"]].tolist() == [0, 0]
    assert math.isnan(found.loc["model_error_percent", "estimate"])


def test_a_truth_of_each_replicate_s_own():
    truth = np.array([0.0, 1.0, 2.0, 3.0])
    shifted = summary(replicates(truth=truth, estimate=truth + 0.5))
    assert shifted.loc["bias", "estimate"] == 0.5
    assert shifted.loc["empirical_std_error", "estimate"] == 0


def test_rows_are_refused_that_cannot_be_judged():
    with pytest.raises(AnalysisError, match="no column p_value"):
        summary(replicates().drop(columns="p_value"))
    with pytest.raises(AnalysisError, match="no rows"):
        summary(replicates().iloc[:0])
    with pytest.raises(AnalysisError, match="no estimator in by"):
        performance(replicates(), by=["n"])
    with pytest.raises(AnalysisError, match="column truth: the truth is missing; got 1 of 4 rows"):
        summary(replicates(truth=[1.0, NAN, 1.0, 1.0]))
