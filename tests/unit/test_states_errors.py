"""Protects what is refused or answered with a reason: contradicting spells, sparse subgroups, bad requests."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analyses.longitudinal import mean_time_in_state, state_occupancy, transition_counts, transition_probabilities
from analyses.response import subgroup_differences
from analyses.survival import fit_recurrent, mean_cumulative_events, subgroup_effects
from cohort.errors import AnalysisError, UsageError


def spells(**columns: object) -> pd.DataFrame:
    rows = pd.DataFrame(
        {
            "patient_id": ["a", "a", "b", "c"],
            "start": [0.0, 1.0, 0.0, 0.0],
            "stop": [1.0, 3.0, 2.0, 4.0],
            "from_state": ["NR", "CR", "NR", "NR"],
            "to_state": ["CR", "CR", "PR", "NR"],
            "arm": ["x", "x", "x", "y"],
        }
    )
    return rows.assign(**columns)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"start": [0, 0.5, 0, 0]}, r"rows of a patient overlap in time; got patients a \(1 rows\)"),
        ({"to_state": ["PR", "CR", "PR", "NR"]}, r"does not start in the state in which .* ended; got patients a"),
        ({"stop": [1, 1, 2, 0]}, r"columns start, stop: a row must stop after it starts; got patients a, c \(2 rows\)"),
        ({"start": [-1, 1, 0, 0]}, r"start_col 'start': times must not be negative; got patients a"),
        ({"start": ["0", "1", "0", "0"]}, r"start_col 'start': the column must be numeric"),
        ({"stop": [1, np.inf, 2, 4]}, r"stop_col 'stop': values must be finite; got 1 rows"),
        ({"stop": [1, np.nan, 2, 4]}, r"stop_col 'stop': missing values; got 1 of 4 rows missing"),
        ({"from_state": ["NR", None, "NR", "NR"]}, r"from_col 'from_state': missing values"),
        ({"patient_id": ["a", "a", None, "c"]}, r"subject_col 'patient_id': missing values"),
    ],
)
def test_contradicting_spells_name_the_patients(columns: dict[str, object], message: str) -> None:
    with pytest.raises(AnalysisError, match=message):
        state_occupancy(spells(**columns))


def test_many_patients_are_not_all_named() -> None:
    rows = pd.DataFrame({"patient_id": list("abcdefgh"), "start": 1, "stop": 1, "from_state": "NR", "to_state": "NR"})
    with pytest.raises(AnalysisError, match=r"got patients a, b, c, d, e and 3 more \(8 rows\)"):
        transition_counts(rows)


def test_other_refusals() -> None:
    with pytest.raises(AnalysisError, match=r"by 'arm': a patient is in two groups; got patients a"):
        state_occupancy(spells(arm=["x", "y", "x", "y"]), by="arm")
    with pytest.raises(AnalysisError, match=r"weights_col 'w': weights must be above zero; got patients b"):
        state_occupancy(spells(w=[1, 1, 0, 1]), weights_col="w")
    with pytest.raises(AnalysisError, match="state_occupancy: no rows"):
        state_occupancy(spells().iloc[:0])
    with pytest.raises(AnalysisError, match="no such column"):
        state_occupancy(spells(), by="centre")
    with pytest.raises(UsageError, match=r"times must be finite numbers that increase from 0; got \[2, 1\]"):
        state_occupancy(spells(), times=[2, 1])
    with pytest.raises(UsageError, match=r"conf_type: unknown scale; got 'wald'"):
        state_occupancy(spells(), conf_type="wald")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="must lie strictly between 0 and 1"):
        state_occupancy(spells(), conf_level=1)
    with pytest.raises(UsageError, match=r"method: unknown method; got 'markov'"):
        transition_probabilities(spells(), method="markov")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="start_time: must be a number from 0; got -1"):
        transition_probabilities(spells(), start_time=-1)
    with pytest.raises(UsageError, match="increase from 2"):
        transition_probabilities(spells(), start_time=2, times=[1])


def test_mean_times_are_not_extrapolated() -> None:
    with pytest.raises(AnalysisError, match=r"tau, group 'x': tau lies beyond the last observed time; got tau=4"):
        mean_time_in_state(spells(), tau=4, by="arm")
    with pytest.raises(AnalysisError, match="tau must be above zero"):
        mean_time_in_state(spells(), tau=0)
    with pytest.raises(AnalysisError, match=r"mean_time_in_state, tau: tau lies beyond"):
        mean_time_in_state(spells(), tau=5)


def test_bad_requests_of_recurrent_events() -> None:
    rows = pd.DataFrame({"patient_id": ["a", "a"], "start": [0, 1], "stop": [2, 3], "event": [1, 0], "x": [1, 0]})
    with pytest.raises(AnalysisError, match="rows of a patient overlap in time; got patients a"):
        fit_recurrent(rows, "x")
    with pytest.raises(UsageError, match="unknown model; got 'marginal'; use one of andersen-gill, pwp-total, pwp-gap"):
        fit_recurrent(rows, "x", model="marginal")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="last_number: must be 1 or more; got 0"):
        fit_recurrent(rows, "x", last_number=0)
    with pytest.raises(AnalysisError, match=r"event_col 'event': values must be 0 or 1; got 1 other values"):
        mean_cumulative_events(rows.assign(event=[2, 0]))
    with pytest.raises(AnalysisError, match="a row must stop after it starts"):
        mean_cumulative_events(rows.assign(stop=[0, 3]))
    with pytest.raises(AnalysisError, match="times must not be negative"):
        mean_cumulative_events(rows.assign(start=[-1, 2]))


def trial(**columns: object) -> pd.DataFrame:
    """Class III has no event on b, IV has nobody on a, V has three events, II has an event on each arm and more."""
    rng = np.random.default_rng(4)
    sizes = {"III": 12, "IV": 6, "V": 8, "II": 30, "VI": 30}
    frame = pd.DataFrame({"kind": np.repeat(list(sizes), list(sizes.values()))})
    frame = frame.assign(arm=np.where(np.arange(len(frame)) % 2 == 0, "a", "b"), t=rng.integers(1, 50, len(frame)), d=1)
    frame.loc[frame["kind"] == "IV", "arm"] = "b"
    frame.loc[(frame["kind"] == "III") & (frame["arm"] == "b"), "d"] = 0
    frame.loc[(frame["kind"] == "V") & (np.arange(len(frame)) > 20), "d"] = 0
    return frame.assign(**columns)


COX = {"treatment_col": "arm", "treated": "a", "subgroup_col": "kind", "duration_col": "t", "event_col": "d"}


def test_sparse_subgroups_have_rows_with_reasons() -> None:
    table = subgroup_effects(trial(), **COX).frame  # type: ignore[arg-type]
    rows = table[table["group"].notna()].set_index("group")
    assert rows.index.tolist() == ["II", "III", "IV", "V", "VI"]
    assert rows["note"].fillna("").to_dict() == {
        "II": "",
        "III": "not estimated: no event on b",
        "IV": "not estimated: nobody on a",
        "V": "not estimated: 3 events, fewer than 5",
        "VI": "",
    }
    assert rows["estimate"].notna().tolist() == [True, False, False, False, True]
    assert rows["n"].tolist() == [30, 12, 6, 8, 30]
    test = table.iloc[-1]
    assert (test["term"], test["note"]) == ("arm:kind", "df=1")
    dense = subgroup_effects(trial()[lambda d: d["kind"].isin(["II", "VI"])], **COX).frame  # type: ignore[arg-type]
    np.testing.assert_allclose(rows.loc[["II", "VI"], "estimate"], dense["estimate"].iloc[1:3], rtol=1e-8)
    assert test["estimate"] == pytest.approx(dense["estimate"].iloc[-1], rel=1e-7)
    assert table["population"].iloc[0] == "all patients"


def test_one_subgroup_or_none_leaves_nothing_to_test() -> None:
    one = subgroup_effects(trial()[lambda d: d["kind"].isin(["II", "V"])], **COX).frame  # type: ignore[arg-type]
    assert one["note"].iloc[-1] == "no test: fewer than two subgroups have an estimate"
    assert one["estimate"].notna().tolist() == [True, True, False, False]
    none = subgroup_effects(trial(d=0), **COX).frame  # type: ignore[arg-type]
    assert none["estimate"].isna().all()
    assert none["note"].notna().all()
    same = subgroup_effects(trial(kind="V"), **COX).frame  # type: ignore[arg-type]
    np.testing.assert_allclose(same["estimate"].iloc[0], same["estimate"].iloc[1], rtol=1e-10)


def test_bad_requests_of_subgroups() -> None:
    with pytest.raises(UsageError, match="min_events: must be 1 or more; got 0"):
        subgroup_effects(trial(), min_events=0, **COX)  # type: ignore[arg-type]
    with pytest.raises(AnalysisError, match="two arms are needed, one of them a"):
        subgroup_effects(trial(arm="a"), **COX)  # type: ignore[arg-type]
    with pytest.raises(AnalysisError, match="column 'kind': missing values"):
        subgroup_effects(trial(kind=None), **COX)  # type: ignore[arg-type]


def test_a_covariate_that_repeats_the_subgroups_is_dropped_not_the_effects() -> None:
    data = trial().assign(is_six=lambda d: (d["kind"] == "VI").astype(int))
    with_it = subgroup_effects(data, adjust="is_six", **COX).frame  # type: ignore[arg-type]
    without = subgroup_effects(data, **COX).frame  # type: ignore[arg-type]
    np.testing.assert_allclose(with_it["estimate"], without["estimate"], rtol=1e-8)


def test_response_differences_in_subgroups() -> None:
    """With one responder and one non-responder more in each arm: IV 4/6 v 2/6, variance 2/27; V 3/6 v 3/6, 1/12; III
    3/4 v 3/4, 3/32; II: nobody on b. Weights 27/2, 12, 32/3, sum 217/6; mean (9/2) (6/217) = 27/217; statistic
    3/2 - (217/6) (27/217)^2 = 204/217."""
    kinds = {"IV": ("CR CR CR NR", "CR NR NR NR"), "V": ("CR CR NR NR", "PR CR NR NR"), "III": ("CR CR", "PR PR")}
    rows = [
        (kind, arm, answer)
        for kind, arms in {**kinds, "II": ("CR NR", "")}.items()
        for arm, answers in zip("ab", arms, strict=True)
        for answer in answers.split()
    ]
    data = pd.DataFrame(rows, columns=["kind", "arm", "response"])
    table = subgroup_differences(data, treated="a", subgroup_col="kind", time_col=None).frame
    found = table[table["group"].notna()].set_index("group")
    assert found["estimate"].drop("II").to_dict() == {"III": 0, "IV": 0.5, "V": 0}
    assert found.loc["II", "note"] == "not estimated: nobody on b"
    assert table["estimate"].iloc[-1] == pytest.approx(204 / 217, rel=1e-12)
    assert table["note"].iloc[-1] == "df=2"
    alone = subgroup_differences(
        data[data["kind"].isin(["II", "IV"])], treated="a", subgroup_col="kind", time_col=None
    ).frame
    assert alone["note"].iloc[-1] == "no test: fewer than two subgroups have patients on both arms"


def test_clusters_too_few_for_a_variance_leave_effects_without_a_test() -> None:
    table = subgroup_effects(trial(centre="one"), cluster_col="centre", **COX).frame  # type: ignore[arg-type]
    dense = table[table["group"].isin(["II", "VI"])]
    assert dense["estimate"].notna().all()
    assert dense["std_error"].isna().all()
    assert dense["note"].str.startswith("no standard error").all()
    assert table["note"].iloc[-1] == "no test: the variance of the differences is singular"


def test_columns_of_the_data_may_have_any_name() -> None:
    rows = pd.DataFrame({"patient_id": ["a", "a", "b"], "start": [0, 1, 0], "stop": [1, 3, 2], "event": [1, 1, 1]})
    named = rows.assign(**{"event number": 1, "x": [1, 1, 0]})
    plain = fit_recurrent(rows.assign(x=[1, 1, 0]), "x", model="pwp-gap")
    np.testing.assert_array_equal(fit_recurrent(named, "x", model="pwp-gap").coefficients, plain.coefficients)
    taken = subgroup_effects(trial(subgroup_model_treated=0.5), **COX).frame  # type: ignore[arg-type]
    pd.testing.assert_frame_equal(taken, subgroup_effects(trial(), **COX).frame)  # type: ignore[arg-type]
