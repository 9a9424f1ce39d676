"""Protects contrasts of an arm without events: their error is the other arm's alone, and a note says so."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from analyses.comparison import weighted_restricted_mean, weighted_survival
from analyses.survival import cumulative_incidence_at, restricted_mean, survival_at
from cohort.results import ResultTable

EVENTS = {"duration_col": "years", "event_col": "event"}
SAID = "no event in b, whose variance is taken as zero: the interval is too short"


@pytest.fixture
def data() -> pd.DataFrame:
    """Four patients each, to year 2: of the first arm two have an event at year 1, of the second nobody."""
    return pd.DataFrame({"arm": ["a"] * 4 + ["b"] * 4, "years": [1.0, 1, 2, 2] + [2.0] * 4, "event": [1, 1] + [0] * 6})


@pytest.fixture
def arms() -> dict[str, object]:
    return {"treatment_col": "arm", "treated": "a", "weights": [1.0] * 8}


def contrast(table: ResultTable, statistic: str) -> pd.Series:
    return table.frame[table.frame["statistic"] == statistic].iloc[0]


def test_survival_at_a_time(data: pd.DataFrame, arms: dict[str, object]) -> None:
    # Greenwood: (1/2)^2 (2 / (4 x 2)) = 1/16; the influence of a weighted curve gives the same.
    for table, sign in (
        (survival_at(data, **EVENTS, by="arm", times=[1]), 1),
        (weighted_survival(data, **EVENTS, **arms, times=[1]), -1),
    ):
        row = contrast(table, "survival_difference")
        assert row[["estimate", "std_error"]].tolist() == pytest.approx([sign * 0.5, 0.25])
        assert row["note"] == SAID


def test_cumulative_incidence_at_a_time(data: pd.DataFrame) -> None:
    row = contrast(cumulative_incidence_at(data, **EVENTS, by="arm", times=[1]), "cumulative_incidence_difference")
    assert row[["estimate", "std_error"]].tolist() == pytest.approx([-0.5, 0.25])
    assert row["note"] == SAID


def test_restricted_means(data: pd.DataFrame, arms: dict[str, object]) -> None:
    # Areas to year 2: 1 + 1/2 and 2; the area beyond year 1 is 1/2, its error (1/2) sqrt(2 / (4 x 2)).
    unweighted = restricted_mean(data, **EVENTS, by="arm", tau=2)
    weighted = weighted_restricted_mean(data, **EVENTS, **arms, tau=2)
    for table, sign in ((unweighted, 1), (weighted, -1)):
        row = contrast(table, "restricted_mean_difference")
        assert row[["estimate", "std_error"]].tolist() == pytest.approx([sign * 0.5, 0.5 * math.sqrt(1 / 4)])
        assert row["note"] == SAID
    assert contrast(unweighted, "restricted_mean_ratio")["note"] == SAID


def test_nothing_is_said_where_both_arms_have_events(data: pd.DataFrame) -> None:
    both = data.assign(event=[1, 1, 0, 0] * 2, years=[1.0, 1, 2, 2] * 2)
    assert pd.isna(contrast(restricted_mean(both, **EVENTS, by="arm", tau=2), "restricted_mean_difference")["note"])
