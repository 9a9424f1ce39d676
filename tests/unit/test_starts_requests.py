"""What the analyses of starts refuse, and what they say where a model has no estimate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from analyses.datasets import AnalysisData, analysis_data
from analyses.plan.starts import starts
from analyses.starts import (
    clone_censor_weight,
    clone_rows,
    landmark_start,
    naive_clock_from_start,
    naive_ever_started,
    sequential_trial_rows,
    sequential_trials,
    start_rows,
    time_varying_start,
    treatment_starts,
)
from analyses.starts.clone_bootstrap import point_estimates
from analyses.starts.clones import START, checked, clone_spells
from cohort.definitions import KDIGO_2012, KIM2025
from cohort.errors import AnalysisError, LncohortError, UsageError
from synthetic.generate import GeneratedCohort

GRID = {"grace": 6, "interval": 3, "horizon": 9}


@pytest.fixture(scope="module")
def patients() -> pd.DataFrame:
    stream = np.random.default_rng(3)
    size = 60
    start = stream.exponential(12, size)
    months = np.minimum(stream.exponential(20, size) + 0.1, 15)
    return pd.DataFrame(
        {
            "patient_id": [f"p{k}" for k in range(size)],
            "start_months": np.where(start < months, start, np.nan),
            "months": months,
            "event": (months < 15).astype(int),
            "x": stream.normal(size=size),
            "twice": 2.0,
        }
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.assign(patient_id="a"), "a patient has more than one row"),
        (lambda d: d.assign(start_months=-1.0), r"start_col 'start_months': a start before the clock starts"),
        (lambda d: d.assign(start_months="soon"), "start_col 'start_months': the column must be numeric"),
        (lambda d: d.assign(months=0.0), "a patient without follow-up cannot be at risk; got 60 rows with 0"),
        (lambda d: d.drop(columns="start_months"), "start_months: no such column"),
        (lambda d: d.assign(event=2), "events must be 0"),
        (lambda d: d.iloc[:0], "no rows"),
    ],
)
def test_columns_out_of_range_are_refused(
    change: Callable[[pd.DataFrame], pd.DataFrame], message: str, patients: pd.DataFrame
) -> None:
    for analysis in (naive_ever_started, naive_clock_from_start, time_varying_start):
        with pytest.raises(AnalysisError, match=message):
            analysis(change(patients))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda d: start_rows(d.assign(exit=1)), "start_rows, column exit: the data have a column that is to be added"),
        (lambda d: landmark_start(d, at=[]), "landmarks must be above zero"),
        (lambda d: landmark_start(d, at=[6, 0]), r"landmarks must be above zero; got \[6, 0\]"),
        (lambda d: sequential_trial_rows(d, interval=0, trials=2), "at least one trial, and an interval above zero"),
        (lambda d: sequential_trials(d, interval=3, trials=0), "got 3, 0"),
        (lambda d: sequential_trials(d, interval=3, trials=1, adjust="no"), "adjust: unknown choice"),
        (lambda d: sequential_trials(d, interval=3, trials=1, estimand="ATC"), "one of ATE, ATT, ATO"),
        (lambda d: sequential_trials(d, interval=3, trials=1, largest=0), "largest weight must be above zero"),
        (lambda d: clone_rows(d, grace=7, interval=3), "a whole number of intervals; got 7 with an interval of 3"),
        (lambda d: clone_rows(d, grace=6, interval=3, spread="late"), "spread: unknown choice"),
        (lambda d: clone_censor_weight(d, grace=6, interval=3, horizon=-1), "horizon: must be above zero"),
        (lambda d: clone_censor_weight(d, **GRID, largest=0), "largest: must be above zero"),
        (lambda d: clone_censor_weight(d, **GRID, otherwise="x"), "otherwise: unknown choice"),
        (lambda d: clone_censor_weight(d, **GRID, replicates=5), "at least 100 replicates"),
    ],
)
def test_requests_out_of_range_are_refused(
    call: Callable[[pd.DataFrame], object], message: str, patients: pd.DataFrame
) -> None:
    with pytest.raises(LncohortError, match=message):
        call(patients)


def test_values_that_are_not_known_yet_are_refused(patients: pd.DataFrame) -> None:
    visits = pd.DataFrame({"patient_id": ["p0", "p1", "elsewhere"], "month": [0.0, 4.0, 0.0], "upcr": [1.0, 2.0, 3.0]})
    with pytest.raises(AnalysisError, match=r"no value yet of a column of the visits; got 59 patients: p1, "):
        start_rows(patients, visits=visits)
    refused = clone_censor_weight(patients, "upcr", **GRID, visits=visits).frame
    assert refused["note"].str.contains("no value yet").all()


@pytest.mark.parametrize(
    ("formula", "change", "message"),
    [
        ("twice", lambda d: d, "formula 'twice': terms are constant or combinations of others; got twice"),
        ("x", lambda d: d.assign(start_months=np.nan), "nobody starts in the intervals looked at"),
        ("later", lambda d: d.assign(later=(d["start_months"] < 6).astype(int)), "separate those who start"),
    ],
)
def test_a_model_of_starting_without_estimate_is_a_note(
    formula: str, change: Callable[[pd.DataFrame], pd.DataFrame], message: str, patients: pd.DataFrame
) -> None:
    data = change(patients)
    trials = sequential_trials(data, formula, interval=3, trials=2).frame
    assert message in trials["note"].iloc[0]
    assert np.isnan(trials["estimate"].iloc[0])
    clones = clone_censor_weight(data, formula, **GRID).frame
    assert clones["note"].str.contains(message.split(";")[0], regex=False).all()
    assert set(clones["statistic"]) == {"log_hazard_ratio", "risk_difference", "restricted_mean_difference"}


def test_what_follow_up_does_not_reach_is_a_note(patients: pd.DataFrame) -> None:
    table = clone_censor_weight(patients, grace=6, interval=3, horizon=40).frame.set_index("statistic")
    assert "no estimate" in table.loc["restricted_mean_difference", "note"]
    assert "beyond the last observed time" in table.loc["risk_difference", "note"]


def test_large_weights_are_held_and_counted(patients: pd.DataFrame) -> None:
    trials = sequential_trials(patients, "x", interval=3, trials=3, largest=1.0).frame
    assert trials["note"].iloc[0].endswith("had weights above 1, held at it")
    assert trials.loc[trials["statistic"] == "largest_weight", "estimate"].item() == 1.0
    clones = clone_censor_weight(patients, "x", **GRID, largest=1.0).frame
    assert clones.loc[clones["statistic"] == "largest_weight", "estimate"].eq(1.0).all()
    assert "held at it" in clones["note"].iloc[0]


def test_covariates_may_go_into_the_outcome_model_instead(patients: pd.DataFrame) -> None:
    plain, adjusted = (
        sequential_trials(patients, formula, interval=3, trials=3, adjust="covariates").frame.iloc[0]["estimate"]
        for formula in (None, "x")
    )
    assert plain != adjusted
    assert abs(plain - adjusted) < 1


def test_replicates_estimate_what_the_rows_hold(patients: pd.DataFrame) -> None:
    whole = {"start_col": "start_months", "duration_col": "months", "event_col": "event", "patient_col": "patient_id"}
    times, strategies = checked(patients, 6, 3, "as starters", "never start", True, *whole.values(), "test")
    spells = clone_spells(patients, times, strategies, "x", None, "patient_id", "month", "test")
    points = point_estimates(spells, spells.weight, 9.0)
    table = clone_censor_weight(patients, "x", **GRID, otherwise="never start").frame
    assert len(points) == 7
    for (statistic, first), value in points.items():
        own = table[(table["statistic"] == statistic).to_numpy(dtype=bool)]
        own = own if first is None else own[own["group"].eq(START).to_numpy(dtype=bool) == first]
        assert value == pytest.approx(own["estimate"].item(), rel=1e-9)


@pytest.mark.slow
def test_bootstrap_is_the_spread_of_samples_each_weighted_anew(patients: pd.DataFrame) -> None:
    few = patients.iloc[:30]
    table = clone_censor_weight(few, "x", **GRID, replicates=100, seed=4).frame
    again = clone_censor_weight(few.iloc[::-1], "x", **GRID, replicates=100, seed=4).frame
    np.testing.assert_allclose(table["std_error"], again["std_error"], rtol=1e-9)
    names = few["patient_id"].to_numpy()
    copies = np.random.default_rng(4).multinomial(30, np.full(30, 1 / 30), size=100)
    order = np.argsort(names.astype(str), kind="stable")
    found = []
    for drawn in copies:
        sample = few.iloc[np.repeat(order, drawn)].assign(patient_id=range(30))
        rows = clone_censor_weight(sample, "x", **GRID).frame
        found.append(rows.loc[rows["statistic"] == "risk_difference", "estimate"].item())
    row = table[table["statistic"] == "risk_difference"].iloc[0]
    known = np.array(found)[np.isfinite(found)]
    assert row["std_error"] == pytest.approx(known.std(ddof=1), rel=1e-9)
    assert row["conf_high"] - row["estimate"] == pytest.approx(1.959963984540054 * row["std_error"], rel=1e-9)


@pytest.fixture(scope="module")
def kim(generated: GeneratedCohort) -> AnalysisData:
    return analysis_data(
        generated.cohort, treated="tacrolimus", reference="no_tacrolimus", response=KIM2025, flare=KDIGO_2012
    )


def test_in_the_flagship_study_nobody_starts_later(kim: AnalysisData) -> None:
    found = treatment_starts(kim)
    counts = found.counts.set_index("reason")["patients"]
    assert counts["left out: treated from the beginning"] == 92
    assert counts["never started"] == 87
    assert counts.sum() == 179
    assert found.rows["start_months"].isna().all()
    assert set(found.visits["patient_id"]) == set(found.rows["patient_id"])
    assert {"log_upcr", "month", "albumin_g_dl"} <= set(found.visits.columns)


def test_the_plan_says_that_nobody_starts(kim: AnalysisData) -> None:
    table = starts(kim)["tacrolimus_starts"].frame
    assert table["statistic"].tolist() == ["count"] * 5 + ["log_hazard_ratio"]
    assert "nobody starts tacrolimus during follow-up" in table["note"].iloc[-1]


def test_the_plan_compares_late_starters(kim: AnalysisData) -> None:
    others = kim.event_free[kim.event_free["arm"] == "no_tacrolimus"].sort_values("patient_id")
    early = others.loc[others["years"] > 0.8, "patient_id"].iloc[::3]
    one = kim.cohort.treatments.iloc[[0]].drop(columns=["patient_id", "drug", "start_day"])
    days = pd.DataFrame({"patient_id": early, "drug": "tacrolimus", "start_day": 20 + 11 * np.arange(len(early))})
    added = days.merge(one, how="cross")[kim.cohort.treatments.columns]
    treatments = pd.concat([kim.cohort.treatments, added], ignore_index=True)
    table = starts(replace(kim, cohort=replace(kim.cohort, treatments=treatments)))["tacrolimus_starts"].frame
    hazards = table[table["statistic"] == "log_hazard_ratio"]
    assert hazards["population"].tolist() == [
        "naive", "naive", "landmark", "landmark", "time-varying start", "sequential trials", "clones",
    ]  # fmt: skip
    assert hazards["std_error"].notna().all()
    assert not (table["statistic"] == "none").any()


def test_starts_are_read_from_the_exposure_rows(kim: AnalysisData) -> None:
    others = kim.event_free[kim.event_free["arm"] == "no_tacrolimus"].sort_values("patient_id")
    early, middle, late = others["patient_id"].iloc[:3]
    end = int(others.set_index("patient_id").loc[late, "years"] * 365.25)
    added = kim.cohort.treatments.iloc[[0]].drop(columns=["patient_id", "drug", "start_day"])
    rows = pd.DataFrame(
        {
            "patient_id": [early, middle, middle, late],
            "drug": "tacrolimus",
            "start_day": [10, 200, 100, end + 50],
            "key": 0,
        }
    ).merge(added.assign(key=0), on="key")
    treatments = pd.concat([kim.cohort.treatments, rows[kim.cohort.treatments.columns]], ignore_index=True)
    data = replace(kim, cohort=replace(kim.cohort, treatments=treatments))
    found = treatment_starts(data, grace_days=14)
    counts = found.counts.set_index("reason")["patients"]
    assert counts["left out: treated from the beginning"] == 93
    assert counts["started during follow-up"] == 1
    assert counts["started after the event or the end of follow-up"] == 1
    start = found.rows.set_index("patient_id")["start_months"]
    assert start[middle] == pytest.approx(100 / (365.25 / 12))
    assert np.isnan(start[late])
    assert early not in start.index


def test_a_drug_must_be_in_the_schema(kim: AnalysisData) -> None:
    with pytest.raises(UsageError, match="no such drug; got 'aspirin'"):
        treatment_starts(kim, drug="aspirin")
    with pytest.raises(UsageError, match="must not be negative"):
        treatment_starts(kim, grace_days=-1)
