"""Protects clones, their weights, sequential trials and start-stop rows by six patients worked out on paper."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

from analyses.kernels.logistic import fit_logistic
from analyses.starts import (
    clone_censor_weight,
    clone_rows,
    landmark_start,
    sequential_trial_rows,
    sequential_trials,
    start_rows,
)
from analyses.starts.clones import START
from analyses.starts.sequential_trials import _later_starts, _per_protocol, _pooled
from analyses.starts.trial_rows import eligible_rows
from analyses.survival import fit_cox
from cohort.results import ResultTable

# Intervals of 3 months, a grace period of 6. At risk of starting in [0, 3): all six, of whom b starts. In [3, 6): a, c,
# d and f (b has started, e has had the event), of whom a starts.
PATIENTS = pd.DataFrame(
    {
        "patient_id": list("abcdef"),
        "start_months": [4.0, 1.0, np.nan, 7.0, np.nan, np.nan],
        "months": [10.0, 5.0, 12.0, 9.0, 2.0, 6.0],
        "event": [1, 1, 0, 1, 1, 0],
    }
)
NOT_FIRST, NOT_SECOND = 1 - 1 / 6, 1 - 1 / 4
# Of those who start within the grace period: 1/6 in the first interval, 5/6 * 1/4 in the second.
EARLY = (1 / 6) / (1 / 6 + 5 / 6 / 4)


def spells(rows: pd.DataFrame, patient: str, within: int) -> list[list[float]]:
    own = rows[(rows["patient_id"] == patient) & (rows["start_within"] == within)]
    return own[["entry", "exit", "failed", "deviated", "clone_weight"]].to_numpy(dtype=float).round(12).tolist()


def rounded(*rows: list[float]) -> list[list[float]]:
    return [[round(value, 12) for value in row] for row in rows]


def test_clones_that_start_within_the_grace_period() -> None:
    rows = clone_rows(PATIENTS, grace=6, interval=3)
    waited = (1 - EARLY) / NOT_FIRST
    assert spells(rows, "a", 1) == rounded([0, 3, 0, 0, 1], [3, 6, 0, 0, waited], [6, 10, 1, 0, waited / (1 / 4)])
    assert spells(rows, "b", 1) == rounded([0, 3, 0, 0, 1], [3, 5, 1, 0, EARLY / (1 / 6)])
    # d starts too late and c never: both are censored at the end of the grace period.
    for patient in "cd":
        assert spells(rows, patient, 1) == rounded([0, 3, 0, 0, 1], [3, 6, 0, 1, waited])
    # f leaves at the end of the grace period anyway: no deviation.
    assert spells(rows, "f", 1) == rounded([0, 3, 0, 0, 1], [3, 6, 0, 0, waited])
    assert spells(rows, "e", 1) == rounded([0, 2, 1, 0, 1])


def test_clones_that_do_not_start() -> None:
    rows = clone_rows(PATIENTS, grace=6, interval=3, stabilized=False)
    assert spells(rows, "a", 0) == rounded([0, 3, 0, 0, 1], [3, 4, 0, 1, 1 / NOT_FIRST])
    assert spells(rows, "b", 0) == rounded([0, 1, 0, 1, 1])
    after = 1 / NOT_FIRST / NOT_SECOND
    assert spells(rows, "c", 0) == rounded([0, 3, 0, 0, 1], [3, 6, 0, 0, 1 / NOT_FIRST], [6, 12, 0, 0, after])
    # A start after the grace period is allowed under this strategy.
    assert spells(rows, "d", 0)[-1] == rounded([6, 9, 1, 0, after])[0]
    stabilised = clone_rows(PATIENTS, grace=6, interval=3)
    assert stabilised.loc[stabilised["start_within"] == 0, "clone_weight"].round(12).eq(1.0).all()


def test_never_starting_censors_late_starts_too() -> None:
    rows = clone_rows(PATIENTS, grace=6, interval=3, otherwise="never start", stabilized=False)
    # In [6, 9) c and d may start, and d does.
    assert spells(rows, "d", 0)[-1] == rounded([6, 7, 0, 1, 1 / NOT_FIRST / NOT_SECOND])[0]
    assert spells(rows, "c", 0)[-1] == rounded([9, 12, 0, 0, 1 / NOT_FIRST / NOT_SECOND / (1 / 2)])[0]


def test_as_everybody_only_those_who_start_last_are_weighted_up() -> None:
    rows = clone_rows(PATIENTS, grace=6, interval=3, spread="as everybody")
    assert spells(rows, "b", 1)[-1] == rounded([3, 5, 1, 0, 1])[0]
    assert spells(rows, "a", 1)[-1] == rounded([6, 10, 1, 0, 4])[0]


def test_risks_are_products_of_weighted_hazards() -> None:
    table = clone_censor_weight(PATIENTS, grace=6, interval=3, horizon=9, stabilized=False)
    waited, late = (1 - EARLY) / NOT_FIRST, EARLY / (1 / 6)
    # Start: e at 2 of six; b at 5 beside a, c, d and f. No start: e at 2 of a, c, d, e, f (b has left at 1); d at 9
    # beside c.
    at_five = late / (late + 4 * waited)
    risk = {START: 1 - (5 / 6) * (1 - at_five), "no start within the grace period": 1 - (4 / 5) * (1 / 2)}
    found = table.frame[table.frame["statistic"] == "risk"].set_index("group")["estimate"]
    for group, value in risk.items():
        assert found[group] == pytest.approx(value, rel=1e-12)
    assert value_of(table, "risk_difference") == pytest.approx(0.4 - 5 / 6 * (1 - at_five), rel=1e-12)


def test_trials_take_who_could_start_and_follow_from_the_end_of_the_interval() -> None:
    laid_out = sequential_trial_rows(PATIENTS, interval=3, trials=3)
    rows = laid_out.rows[["patient_id", "trial", "exit", "failed", "started"]].to_numpy().tolist()
    assert rows == [
        # e has had the event at 2, before follow-up of the first trial.
        ["a", 1, 7.0, 1, 0], ["b", 1, 2.0, 1, 1], ["c", 1, 9.0, 0, 0], ["d", 1, 6.0, 1, 0], ["f", 1, 3.0, 0, 0],
        # f leaves at 6, b has started before and had the event.
        ["a", 2, 4.0, 1, 1], ["c", 2, 6.0, 0, 0], ["d", 2, 3.0, 1, 0],
        # d has the event at 9, when follow-up of the third would begin; a has started before.
        ["c", 3, 3.0, 0, 0],
    ]  # fmt: skip
    counts = laid_out.counts.pivot(index="trial", columns="reason", values="patients")
    assert counts.sum(axis=1).tolist() == [6, 6, 6]
    assert counts.loc[3, "event before follow-up of the trial"] == 3
    assert counts.loc[3, "observation ended before follow-up of the trial"] == 1
    assert counts.loc[3, "started before"] == 1


def test_per_protocol_weights_against_loops() -> None:
    stream = np.random.default_rng(11)
    size, interval = 80, 3.0
    x = stream.normal(size=size).round(2)
    start = stream.exponential(15 * np.exp(-0.5 * x))
    frame = pd.DataFrame(
        {"patient_id": [f"p{k:02d}" for k in range(size)], "x": x, "start_months": start, "event": 1}
    ).assign(months=np.minimum(stream.exponential(12, size) + 0.1, 14), event=lambda d: (d["months"] < 14).astype(int))
    risk = [
        (k, j, begin, float(begin <= start[k] < begin + interval and start[k] < months))
        for k, months in enumerate(frame["months"])
        for j in range(5)
        for begin in [interval * j]
        if months > begin and (start[k] >= begin or start[k] >= months)
    ]
    design = np.array([[1.0, x[k]] for k, *_ in risk])
    begun = np.array([did for *_, did in risk])
    chance = {(k, j): p for (k, j, *_), p in zip(risk, fit_logistic(design, begun).probability, strict=True)}
    share = {j: np.mean([did for _, own, _, did in risk if own == j]) for j in range(5)}
    rows = []
    for k, j, begin, did in risk:
        zero, end = begin + interval, float(frame["months"][k])
        if j > 1 or end <= zero:
            continue
        stop = end if did else min(end, start[k])
        cuts = [zero, stop] if did else [zero, *(cut for cut in (6.0, 9.0, 12.0) if zero < cut < stop), stop]
        weight = 1.0
        for low, high in itertools.pairwise(cuts):
            if low > zero:
                before = round(low / interval) - 1
                weight *= (1 - share[before]) / (1 - chance[k, before])
            failed = int(high == end and frame["event"][k])
            if high > low:
                rows.append((k, j, low - zero, high - zero, failed, did, weight))
    loops = pd.DataFrame(rows, columns=["patient", "trial", "entry", "exit", "failed", "started", "w"])
    fit = fit_cox(
        loops, "started", duration_col="exit", entry_col="entry", event_col="failed", weights_col="w", strata="trial",
        cluster_col="patient",
    )  # fmt: skip
    # The model of later starts is of everybody; the trials themselves are left unadjusted by covariates in the outcome.
    eligible, _ = eligible_rows(
        frame, interval=interval, trials=2, visits=None, where="test", start_col="start_months",
        duration_col="months", event_col="event", patient_col="patient_id", visit_time_col="month",
    )  # fmt: skip
    later = _later_starts(frame, eligible, "x", visits=None, patient_col="patient_id", time_col="month")
    cut, weights = _per_protocol(eligible.frame(), eligible, np.ones(len(eligible.found.row)), later)
    ours = _pooled(cut, weights, None, "patient_id", 0.95, largest=None)[0]
    assert len(cut) == len(loops)
    assert ours["estimate"] == pytest.approx(fit.coefficients[0], rel=1e-9)
    assert ours["std_error"] == pytest.approx(fit.std_errors[0], rel=1e-9)
    assert weights.max() > 1.1


def test_latest_values_decide_eligibility() -> None:
    visits = pd.DataFrame(
        {"patient_id": ["a", "a", "c", "d", "b"], "month": [0.0, 3.0, 0.0, 2.0, 0.0], "upcr": [3.0, 1.0, 2.0, 5.0, 4.0]}
    )
    laid_out = sequential_trial_rows(PATIENTS, interval=3, trials=2, visits=visits)
    known = laid_out.rows.set_index(["trial", "patient_id"])["upcr"].to_dict()
    assert known == {(1, "a"): 3.0, (1, "b"): 4.0, (1, "c"): 2.0, (2, "a"): 1.0, (2, "c"): 2.0, (2, "d"): 5.0}
    counts = laid_out.counts.set_index(["trial", "reason"])["patients"]
    assert counts[1, "not assessed before the trial"] == 2  # d is seen at 2 for the first time, f never


def test_rows_are_cut_at_the_start_and_at_visits() -> None:
    visits = pd.DataFrame({"patient_id": [*list("abcdef"), "a"], "month": [0.0] * 6 + [6.0], "upcr": range(7)})
    rows = start_rows(PATIENTS, visits=visits)
    own = rows[rows["patient_id"] == "a"][["entry", "exit", "failed", "started", "upcr"]]
    assert own.to_numpy(dtype=float).tolist() == [[0, 4, 0, 0, 0], [4, 6, 0, 1, 0], [6, 10, 1, 1, 6]]
    assert len(rows) == 3 + 2 + 1 + 2 + 1 + 1
    assert rows["failed"].sum() == 4


def test_a_landmark_counts_whom_it_leaves_out() -> None:
    frame = landmark_start(PATIENTS, at=[4]).frame
    counts = frame[frame["statistic"] == "count"].set_index("term")["estimate"].to_dict()
    assert counts == {
        "event before the landmark": 1,
        "observation ended before the landmark": 0,
        "started by the landmark": 2,
        "not started": 3,
    }


@pytest.mark.parametrize("estimand", ["ATE", "ATT", "ATO"])
def test_intervals_without_starts_say_nothing_of_starting(estimand: str) -> None:
    # Of 0 and 1 of x, one of four and two of four start in [0, 3), nobody in [3, 6), one of three and one of two in
    # [6, 9). With a level per interval and no starts in the second, its weights neither change nor stop the model.
    levels = pd.DataFrame(
        {
            "patient_id": list("abcdefgh"),
            "x": [0, 0, 0, 0, 1, 1, 1, 1],
            "start_months": [1.0, 7.0, np.nan, np.nan, 1.0, 2.0, 8.0, np.nan],
            "months": [20.0, 15.0, 12.0, 19.0, 11.0, 13.0, 16.0, 14.0],
            "event": [1, 1, 1, 0, 1, 1, 0, 1],
        }
    )
    shape = {"interval": 3, "trials": 3, "estimand": estimand, "censor_at_start": True}
    table = sequential_trials(levels, "C(interval_start)", **shape).frame
    assert table["note"].isna().all()
    assert np.isfinite(table["estimate"].iloc[0])
    if estimand == "ATE":  # a saturated model of the interval alone gives stabilised weights of one
        assert table["estimate"].iloc[0] == pytest.approx(
            sequential_trials(levels, interval=3, trials=3, censor_at_start=True).frame["estimate"].iloc[0], rel=1e-9
        )
    rows = clone_rows(levels, "x * C(interval_start)", grace=9, interval=3, stabilized=False)
    own = rows[(rows["start_within"] == 0) & rows["patient_id"].isin(["c", "h"])]
    weights = own.groupby("patient_id")["clone_weight"].apply(list).to_dict()
    assert weights["c"] == pytest.approx([1, 4 / 3, 4 / 3, 4 / 3 * 3 / 2], rel=1e-9)
    assert weights["h"] == pytest.approx([1, 2, 2, 4], rel=1e-9)


def value_of(table: ResultTable, statistic: str) -> float:
    return float(table.frame.loc[table.frame["statistic"] == statistic, "estimate"].item())
