"""Protects starts at day 0 and at the event, weights that move and areas and hazard ratios worked out on paper."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analyses.starts import (
    clone_censor_weight,
    clone_rows,
    landmark_start,
    naive_clock_from_start,
    naive_ever_started,
    sequential_trial_rows,
    start_rows,
    time_varying_start,
)
from analyses.starts.clones import OTHERWISES, START, checked, start_weights
from analyses.starts.intervals import decisions, start_hazards
from analyses.starts.remaining import Remaining

COLUMNS = ("start_months", "months", "event", "patient_id")
NEVER = float("nan")

# Intervals [0, 3) and [3, 6). Six could start in the first, b and f do; a, c and d could in the second (e has its event
# at 3), a does: shares 1/3 and 1/3. Of those who start within 6 months 3/5 do so in the first: (1/3) / (1/3 + 2/9).
SIX = pd.DataFrame(
    {
        "patient_id": ["f", "e", "d", "c", "b", "a"],  # in any order
        "months": [12.0, 3.0, 4.0, 12.0, 9.0, 7.0],
        "event": [0, 1, 1, 0, 1, 1],
        "start_months": [0.0, NEVER, 4.0, 8.0, 1.0, 5.0],
    }
)


def test_a_start_at_day_0_leaves_no_time_before_and_one_at_the_event_is_none() -> None:
    spells = start_rows(SIX)[["patient_id", "entry", "exit", "failed", "started"]].to_numpy().tolist()
    assert [row for row in spells if row[0] == "f"] == [["f", 0.0, 12.0, 0, 1]]
    assert [row for row in spells if row[0] == "d"] == [["d", 0.0, 4.0, 1, 0]]


def test_clones_end_at_the_deviation() -> None:
    rows = clone_rows(SIX, grace=6, interval=3)
    last = rows.groupby(["start_within", "patient_id"])[["exit", "failed", "deviated"]].last()
    assert last.loc[0].reset_index().to_numpy().tolist() == [
        ["a", 5.0, 0, 1], ["b", 1.0, 0, 1], ["c", 12.0, 0, 0], ["d", 4.0, 1, 0], ["e", 3.0, 1, 0],
    ]  # fmt: skip
    assert last.loc[1].reset_index().to_numpy().tolist() == [
        ["a", 7.0, 1, 0], ["b", 9.0, 1, 0], ["c", 6.0, 0, 1], ["d", 4.0, 1, 0], ["e", 3.0, 1, 0], ["f", 12.0, 0, 0],
    ]  # fmt: skip


def test_weight_is_moved_among_those_who_could_start_and_not_made() -> None:
    times, strategies = checked(SIX, 6, 3, "as starters", OTHERWISES[0], True, *COLUMNS, "test")
    found = decisions(SIX, times, interval=3, count=2, visits=None, patient_col="patient_id", visit_time_col="month")
    hazards = start_hazards(found, None, count=2, where="test")
    weights = start_weights(times, strategies, Remaining.of(found, hazards, len(times)))
    of = dict(zip(SIX["patient_id"], weights, strict=True))
    for early in "bf":
        np.testing.assert_allclose(of[early], [1, 9 / 5, 9 / 5], rtol=1e-12)
    np.testing.assert_allclose(of["a"], [1, 3 / 5, 9 / 5], rtol=1e-12)
    np.testing.assert_allclose(of["c"], [1, 3 / 5, 0], atol=1e-12)
    for number in (0, 1):
        could = found.row[found.number == number]
        assert weights[could, number + 1].sum() == pytest.approx(weights[could, number].sum(), rel=1e-12)


def test_risks_and_areas_of_clones() -> None:
    table = clone_censor_weight(SIX, grace=6, interval=3, horizon=12).frame
    # No start: e at 3 of a, c, d, e; d at 4 of a, c, d; a is censored at 5.
    without = [1, 3 / 4, 1 / 2]
    # Start: e at 3 of six; d at 4 (3/5) of a, c, d (3/5) and b, f (9/5); a at 7 of a, b, f (9/5 each); b at 9 of b, f.
    having = np.cumprod([1, 5 / 6, 8 / 9, 2 / 3, 1 / 2])
    risk = table[table["statistic"] == "risk"].set_index("group")["estimate"]
    assert risk[OTHERWISES[0]] == pytest.approx(1 - without[-1], rel=1e-12)
    assert risk[START] == pytest.approx(1 - having[-1], rel=1e-12)
    area = np.dot(having, [3, 1, 3, 2, 3]) - np.dot(without, [3, 1, 8])
    difference = table.loc[table["statistic"] == "restricted_mean_difference", "estimate"].item()
    assert difference == pytest.approx(area, rel=1e-12)
    counts = table[table["statistic"] == "count"].set_index(["group", "term"])["estimate"]
    assert counts[OTHERWISES[0]].to_dict() == {"deviated": 2, "followed to the event": 2}
    assert counts[START].to_dict() == {"deviated": 1, "followed to the event": 4}


def test_who_starts_at_day_0_is_a_starter_of_the_first_trial() -> None:
    rows = sequential_trial_rows(SIX, interval=3, trials=3).rows
    assert rows[["patient_id", "trial", "exit", "started"]].to_numpy().tolist() == [
        ["a", 1, 4.0, 0], ["b", 1, 6.0, 1], ["c", 1, 9.0, 0], ["d", 1, 1.0, 0], ["f", 1, 9.0, 1],
        ["a", 2, 1.0, 1], ["c", 2, 6.0, 0],
        ["c", 3, 3.0, 1],
    ]  # fmt: skip


def test_a_landmark_that_nobody_reaches_is_a_note() -> None:
    frame = landmark_start(SIX, at=[12]).frame
    hazard = frame[frame["statistic"] == "log_hazard_ratio"]
    assert hazard["estimate"].isna().all()
    assert hazard["note"].str.len().gt(0).all()


def test_hazard_ratios_of_four_patients() -> None:
    # a, never started, at 2 beside two started and one not. Then b, started, at 3 beside one of each: the score is
    # 1 - 2r / (2 + 2r) - 2r / (1 + 2r), zero at r = 1 / sqrt(2). From day 0 with "ever started" the sets are the same.
    four = pd.DataFrame(
        {
            "patient_id": list("abcd"),
            "months": [2.0, 3.0, 4.0, 4.0],
            "event": [1, 1, 0, 0],
            "start_months": [NEVER, 1, 1, NEVER],
        }
    )
    for analysis in (time_varying_start, naive_ever_started):
        frame = analysis(four).frame
        hazard = frame.loc[frame["statistic"] == "log_hazard_ratio", "estimate"].item()
        assert np.exp(hazard) == pytest.approx(1 / np.sqrt(2), rel=1e-9)
    # From the start on b fails at 2 with a, all at risk. Efron: 1 = r / (1 + r) + r / (1 + r), so r = 1.
    assert naive_clock_from_start(four).frame["estimate"].item() == pytest.approx(0.0, abs=1e-9)
