"""Protects analyses of treatment that starts during follow-up: who is compared, from when, with which weight."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import brentq

from analyses.starts import (
    clone_censor_weight,
    exposure_spells,
    landmark_starts,
    sequential_trials,
    time_varying_start,
    trial_rows,
)
from analyses.starts.clones import START, WAIT, clone_patients, clone_weights
from analyses.starts.patients import followed_patients
from cohort.errors import AnalysisError, UsageError

COLUMNS = {"duration_col": "years", "event_col": "flare", "start_col": "start"}


@pytest.fixture
def six() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "patient_id": list("abcdef"),
            "years": [1.0, 2, 3, 4, 5, 6],
            "flare": [1, 1, 1, 1, 1, 0],
            "start": [np.nan, np.nan, 2, np.nan, 1, 1],
        }
    )


@pytest.fixture
def four() -> pd.DataFrame:
    """Starts at 0.3 and 0.8; an event at 0.7 before any start, one at 2 without, one at 3 after a start."""
    return pd.DataFrame(
        {
            "patient_id": list("pqrs"),
            "years": [4.0, 2.0, 3.0, 0.7],
            "flare": [0, 1, 1, 1],
            "start": [0.3, np.nan, 0.8, np.nan],
        }
    )


def test_follow_up_is_split_at_the_start(six: pd.DataFrame) -> None:
    spells = exposure_spells(six.assign(start=six["start"].replace({2.0: 0.0})), **COLUMNS)
    assert spells[["patient_id", "entry", "exit", "failed", "treated"]].to_numpy().tolist() == [
        ["a", 0, 1, 1, 0], ["b", 0, 2, 1, 0], ["c", 0, 3, 1, 1], ["d", 0, 4, 1, 0],
        ["e", 0, 1, 0, 0], ["e", 1, 5, 1, 1], ["f", 0, 1, 0, 0], ["f", 1, 6, 0, 1],
    ]  # fmt: skip


def test_the_time_varying_hazard_ratio_solves_its_equation(six: pd.DataFrame) -> None:
    """Risk sets at 1, 2, 3, 4, 5 (u untreated, t treated): 6u; 3u + 2t; u + 3t; u + 2t; 2t. Events: u, u, t, u, t."""
    ratio = brentq(lambda r: -2 / (3 + 2 * r) + 1 / r - 3 / (1 + 3 * r) - 2 / (1 + 2 * r), 0.01, 5)
    table = time_varying_start(six, **COLUMNS).frame.set_index("population")["estimate"]
    assert table["time-varying exposure"] == pytest.approx(math.log(ratio), rel=1e-9)


def test_the_naive_analyses_are_what_they_are_called_and_say_that_they_are_biased(six: pd.DataFrame) -> None:
    table = time_varying_start(six, **COLUMNS).frame.set_index("population")
    # Ever treated (c, e, f) fail at 3, 5 and never: risk sets 3u + 3t, 2u + 3t, u + 3t, u + 2t, 2t.
    ever = brentq(lambda r: 1 / r - 3 / (3 + 3 * r) - 3 / (2 + 3 * r) - 3 / (1 + 3 * r) - 2 / (1 + 2 * r), 0.001, 5)
    assert table.loc["ever v never treated, from the index date", "estimate"] == pytest.approx(math.log(ever), rel=1e-8)
    # From their start, c fails at 1, e at 4 and f leaves at 5; a fails at 1, b at 2, d at 4: ties at 1 and 4.
    late = table.loc["time before the start left out"]
    assert late["n_events"] == 5
    assert table["note"].iloc[1:].str.startswith("biased by immortal time").all()
    assert pd.isna(table["note"].iloc[0])


def test_landmarks_count_whom_they_leave_out(six: pd.DataFrame) -> None:
    table = landmark_starts(six.assign(flare=[0, 1, 1, 1, 1, 0]), **COLUMNS, landmarks=[2.5], horizon=5.5).frame
    assert table["note"].iloc[0] == "left out: 1 with an event by then, 1 no longer followed"
    # Beyond 2.5: c, e, f have started, d has not; c fails at 3, e at 5, d at 4.
    survival = table[table["statistic"] == "survival"].set_index("group")["estimate"]
    assert survival.to_dict() == {"treated": pytest.approx(1 / 3), "untreated": 0.0}
    assert table.loc[table["statistic"] == "log_hazard_ratio", ["n", "n_events"]].to_numpy().tolist() == [[4, 3]]


def test_trials_have_those_who_have_just_started_and_those_who_have_not(six: pd.DataFrame) -> None:
    rows = trial_rows(six, **COLUMNS, every=1.0, trials=3)
    assert rows[["trial", "patient_id", "treated", "exit", "failed"]].to_numpy().tolist() == [
        [1, "b", 0, 1, 1], [1, "c", 0, 2, 1], [1, "d", 0, 3, 1], [1, "e", 1, 4, 1], [1, "f", 1, 5, 0],
        [2, "c", 1, 1, 1], [2, "d", 0, 2, 1],
        [3, "d", 0, 1, 1],
    ]  # fmt: skip
    censored = trial_rows(six, **COLUMNS, every=1.0, trials=1, censor_at_start=True)
    assert censored.loc[censored["patient_id"] == "c", ["exit", "failed"]].to_numpy().tolist() == [[1.0, 0]]


def test_measures_are_the_last_before_the_interval_of_the_start(six: pd.DataFrame) -> None:
    measures = pd.DataFrame(
        {"patient_id": list("ccdde"), "when": [0.0, 1.0, 0.0, 1.5, 0.0], "upcr": [1.0, 2.0, 3.0, 4.0, 5.0]}
    )
    rows = trial_rows(six, **COLUMNS, every=1.0, trials=2, measures=measures, measured_col="when")
    assert rows[["trial", "patient_id", "upcr"]].to_numpy().tolist() == [
        [1, "c", 1], [1, "d", 3], [1, "e", 5], [2, "c", 2], [2, "d", 3],
    ]  # fmt: skip


def test_clones_are_censored_where_patients_deviate_and_weighted_by_counting(four: pd.DataFrame) -> None:
    patients = followed_patients(four, **COLUMNS, patient_col="patient_id", where="test")
    clones = clone_patients(patients, grace=1.0, interval=0.5)
    weights, converged = clone_weights(clones, np.ones((4, 1)), np.ones((1, 4)))
    assert converged.all()
    rows = sorted(
        zip(
            clones.strategy.tolist(),
            clones.patient.tolist(),
            clones.entry.tolist(),
            clones.leave.tolist(),
            clones.failed.tolist(),
            weights[0].round(6).tolist(),
            strict=True,
        )
    )
    # Of four who wait, one starts by 0.5; of three left, one starts by 1. Of three followed beyond 1, two have started.
    second, third, kept = round(4 / 3, 6), 2.0, 1.5
    assert rows == [
        (WAIT, 0, 0.0, 0.3, False, 1.0),
        (WAIT, 1, 0.0, 0.5, False, 1.0),
        (WAIT, 1, 0.5, 1.0, False, second),
        (WAIT, 1, 1.0, 2.0, True, third),
        (WAIT, 2, 0.0, 0.5, False, 1.0),
        (WAIT, 2, 0.5, 0.8, False, second),
        (WAIT, 3, 0.0, 0.5, False, 1.0),
        (WAIT, 3, 0.5, 0.7, True, second),
        (START, 0, 0.0, 1.0, False, 1.0),
        (START, 0, 1.0, 4.0, False, kept),
        (START, 1, 0.0, 1.0, False, 1.0),
        (START, 2, 0.0, 1.0, False, 1.0),
        (START, 2, 1.0, 3.0, True, kept),
        (START, 3, 0.0, 0.7, True, 1.0),
    ]


def test_curves_of_clones(four: pd.DataFrame) -> None:
    """At 0.7 one of four clones that start fails, and one of three (of equal weight) that wait."""
    table = clone_censor_weight(four, **COLUMNS, grace=1.0, interval=0.5, horizon=1.5, replicates=0).frame
    found = table.set_index(["statistic", table["group"].fillna("-")])["estimate"]
    assert found["survival", "start"] == pytest.approx(3 / 4)
    assert found["survival", "wait"] == pytest.approx(2 / 3)
    assert found["restricted_mean", "start"] == pytest.approx(0.7 + 0.8 * 3 / 4)
    assert found["restricted_mean", "wait"] == pytest.approx(0.7 + 0.8 * 2 / 3)
    assert found["survival_difference", "-"] == pytest.approx(1 / 12)
    assert table["note"].str.contains("no interval: ask for replicates").all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"start": [np.nan] * 6}, "0 of 6 start"),
        ({"start": [-1.0, *[np.nan] * 5]}, "treatment started before the index date; got 1 rows below 0"),
        ({"start": list("abcdef")}, "a numeric column of starts is needed"),
        ({"treated": 1}, "column treated: the data have a column that is to be added"),
        ({"patient_id": list("aabcde")}, "patient"),
    ],
)
def test_what_cannot_be_compared_is_refused(six: pd.DataFrame, change: dict[str, object], message: str) -> None:
    for analysis in (
        time_varying_start,
        lambda data, **columns: landmark_starts(data, **columns, landmarks=[1]),
        lambda data, **columns: sequential_trials(data, **columns, every=1, trials=2),
        lambda data, **columns: clone_censor_weight(data, **columns, grace=1.5, horizon=3, replicates=0),
    ):
        with pytest.raises(AnalysisError, match=message):
            analysis(six.assign(**change), **COLUMNS)


def test_times_out_of_order_and_missing_seeds_are_refused(six: pd.DataFrame) -> None:
    with pytest.raises(UsageError, match="interval, grace and horizon"):
        clone_censor_weight(six, **COLUMNS, grace=2, horizon=1, replicates=0)
    with pytest.raises(UsageError, match="bootstraps need a seed"):
        clone_censor_weight(six, **COLUMNS, grace=1, horizon=3)
    with pytest.raises(UsageError, match="the largest weight must be 1 or above"):
        clone_censor_weight(six, **COLUMNS, grace=1, horizon=3, largest=0.5, replicates=0)
    with pytest.raises(AnalysisError, match="nobody is followed to the horizon"):
        clone_censor_weight(six, **COLUMNS, grace=1, horizon=9, replicates=0)
    with pytest.raises(AnalysisError, match="the intervals and their number must be above zero"):
        trial_rows(six, **COLUMNS, every=0, trials=2)
    with pytest.raises(AnalysisError, match="measures need the column of their time"):
        trial_rows(six, **COLUMNS, every=1, trials=2, measures=pd.DataFrame({"patient_id": ["a"]}))


def test_a_start_after_the_end_is_none_and_is_counted(six: pd.DataFrame) -> None:
    table = time_varying_start(six.assign(start=[9.0, np.nan, 2, np.nan, 1, 1]), **COLUMNS).frame
    pd.testing.assert_series_equal(table["estimate"], time_varying_start(six, **COLUMNS).frame["estimate"])
    assert table["note"].iloc[0] == "1 with a start not before the end of follow-up: taken as not started"
