"""Protects relations between runs of multi-state, recurrent-event and subgroup estimators, and theorems they obey."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from analyses.kernels.mean_count import mean_count
from analyses.kernels.multi_state import state_occupancy as occupancy_kernel
from analyses.kernels.spells import Spells
from analyses.longitudinal import (
    mean_time_in_state,
    state_occupancy,
    transition_counts,
    transition_probabilities,
    visit_transitions,
)
from analyses.response import subgroup_differences
from analyses.survival import (
    cumulative_incidence,
    fit_recurrent,
    kaplan_meier,
    mean_cumulative_events,
    subgroup_effects,
)
from cohort.results import ResultTable

NUMBERS = ["time", "estimate", "std_error", "conf_low", "conf_high", "p_value", "n", "n_events"]
TEXTS = ["group", "contrast", "term", "statistic", "note"]
STATES = np.array(["high", "low", "middle"])


def spells(seed: int = 3, patients: int = 60, *, censored: bool = True) -> pd.DataFrame:
    """Courses between three states with ties and, unless told otherwise, delayed entry and censoring; some end dead."""
    rng = np.random.default_rng(seed)
    rows = []
    for patient in range(patients):
        time = float(rng.integers(0, 4)) if censored else 0.0
        state = str(rng.choice(STATES))
        arm, weight = str(rng.choice(["no", "tac"])), float(rng.uniform(0.3, 3))
        end = float(rng.integers(8, 16)) if censored else 15.0
        while time < end and state != "dead":
            stop = min(time + float(rng.integers(1, 6)), end)
            following = str(rng.choice([*STATES, "dead"])) if stop < end else state
            rows.append((f"p{patient:03d}", time, stop, state, following, arm, weight))
            time, state = stop, following
    names = ["patient_id", "start", "stop", "from_state", "to_state", "arm", "w"]
    return pd.DataFrame(rows, columns=names)


def events(seed: int = 5) -> pd.DataFrame:
    data = spells(seed, 80)
    rng = np.random.default_rng(seed)
    last = ~data.duplicated("patient_id", keep="last")
    terminal = (data["to_state"] == "dead").astype(int)
    x = data["patient_id"].map({name: round(rng.normal(), 2) for name in data["patient_id"].unique()})
    return data.assign(event=np.where(last, 0, 1), terminal=terminal, x=x)


def patients(seed: int = 7, n: int = 240) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "arm": rng.choice(["no", "tac"], n),
            "kind": rng.choice(["III", "IV", "V"], n),
            "x": rng.normal(size=n).round(2),
            "t": np.ceil(rng.exponential(20, n)),
            "d": (rng.uniform(size=n) < 0.6).astype(int),
            "visit_month": rng.choice([6, 12], n),
            "response": rng.choice(["CR", "PR", "NR"], n),
            "patient_id": [f"p{i}" for i in range(n)],
        }
    )


COX = {"treatment_col": "arm", "subgroup_col": "kind", "duration_col": "t", "event_col": "d"}
ESTIMATORS: dict[str, tuple[Callable[[], pd.DataFrame], Callable[[pd.DataFrame], ResultTable]]] = {
    "occupancy": (spells, lambda d: state_occupancy(d, by="arm")),
    "weighted_occupancy": (spells, lambda d: state_occupancy(d, weights_col="w", times=[0, 2.5, 7])),
    "mean_time": (spells, lambda d: mean_time_in_state(d, by="arm", tau=8, weights_col="w")),
    "transitions": (spells, lambda d: transition_probabilities(d, start_time=4, by="arm")),
    "landmark_transitions": (spells, lambda d: transition_probabilities(d, start_time=4, method="landmark")),
    "counts": (spells, lambda d: transition_counts(d, by="arm")),
    "visits": (patients, lambda d: visit_transitions(d, state_col="response")),
    "andersen_gill": (events, lambda d: fit_recurrent(d, "x + arm").tidy()),
    "gap_time": (events, lambda d: fit_recurrent(d, "x", model="pwp-gap", last_number=3, weights_col="w").tidy()),
    "mean_events": (events, lambda d: mean_cumulative_events(d, by="arm", weights_col="w", terminal_col="terminal")),
    "subgroups": (patients, lambda d: subgroup_effects(d, treated="tac", adjust="x", **COX)),
    "response_subgroups": (patients, lambda d: subgroup_differences(d, treated="tac", subgroup_col="kind")),
}


def assert_same(ours: ResultTable, theirs: ResultTable, columns: list[str] = NUMBERS) -> None:
    assert len(ours) == len(theirs)
    for column in columns:
        np.testing.assert_allclose(ours.frame[column], theirs.frame[column], rtol=1e-9, atol=1e-11, err_msg=column)
    for column in TEXTS:
        assert ours.frame[column].fillna("").tolist() == theirs.frame[column].fillna("").tolist()


@pytest.mark.parametrize("name", ESTIMATORS)
def test_order_and_index_of_rows_do_not_matter_and_the_input_stays(name: str) -> None:
    make, estimate = ESTIMATORS[name]
    data = make()
    before = estimate(data)
    pd.testing.assert_frame_equal(data, make())
    shuffled = data.sample(frac=1, random_state=3)
    assert_same(estimate(shuffled), before)
    assert_same(estimate(shuffled.set_axis(pd.Index(["same"] * len(data)))), before)


@pytest.mark.parametrize("backend", ["numpy_nullable", "pyarrow"])
@pytest.mark.parametrize("name", ESTIMATORS)
def test_nullable_and_arrow_types_are_accepted(name: str, backend: str) -> None:
    make, estimate = ESTIMATORS[name]
    assert_same(estimate(make().convert_dtypes(dtype_backend=backend)), estimate(make()))


@pytest.mark.parametrize("name", ESTIMATORS)
def test_names_of_patients_do_not_matter(name: str) -> None:
    make, estimate = ESTIMATORS[name]
    data = make()
    codes = pd.factorize(data["patient_id"])[0]
    assert_same(estimate(data.assign(patient_id=(codes * 37) % 1009)), estimate(data))


@pytest.mark.parametrize("name", ["occupancy", "andersen_gill", "gap_time", "mean_events"])
def test_the_unit_of_time_does_not_matter(name: str) -> None:
    make, estimate = ESTIMATORS[name]
    data = make()
    scaled = data.assign(start=data["start"] * 30.4375, stop=data["stop"] * 30.4375)
    assert_same(estimate(scaled), estimate(data), [column for column in NUMBERS if column != "time"])


def test_two_copies_of_half_the_weight_change_nothing() -> None:
    data = spells()
    halves = pd.concat([data, data.assign(patient_id=data["patient_id"] + "'")]).assign(w=lambda d: d["w"] / 2)
    one, two = (state_occupancy(rows, weights_col="w") for rows in (data, halves))
    assert_same(two, one, ["time", "estimate", "n", "n_events"])
    np.testing.assert_allclose(two.frame["std_error"] * np.sqrt(2), one.frame["std_error"], rtol=1e-9, atol=1e-12)


def test_a_spell_told_in_two_rows_is_one_spell() -> None:
    data = spells()
    long = data[data["stop"] - data["start"] >= 2]
    first = long.assign(stop=long["start"] + 1, to_state=long["from_state"])
    second = long.assign(start=long["start"] + 1)
    cut = pd.concat([data[data["stop"] - data["start"] < 2], first, second])
    times = [1.0, 4.0, 9.0]
    assert_same(state_occupancy(cut, times=times), state_occupancy(data, times=times))


def test_without_censoring_occupancy_is_the_share_of_patients_in_the_state() -> None:
    data = spells(11, 90, censored=False)
    table = state_occupancy(data, times=[2.0, 6.0, 14.0]).frame
    for row in table[table["time"] > 0].itertuples():
        last = data[data["start"] <= row.time].groupby("patient_id").tail(1)
        now = last["to_state"].where(last["stop"] <= row.time, last["from_state"])
        share = (now == row.term).mean()
        assert row.estimate == pytest.approx(share, rel=1e-12)
        assert row.std_error == pytest.approx(np.sqrt(share * (1 - share) / 90), rel=1e-10)


def test_one_way_to_go_is_kaplan_meier_and_two_ways_are_cumulative_incidence() -> None:
    data = patients()
    cause = data["d"] * np.where(data["kind"] == "V", 2, 1)
    rows = pd.DataFrame(
        {
            "patient_id": data["patient_id"],
            "start": 0.0,
            "stop": data["t"],
            "from_state": "0",
            "to_state": cause.astype(str),
        }
    )
    ours = state_occupancy(rows).frame
    theirs = cumulative_incidence(data.assign(cause=cause), duration_col="t", event_col="cause").frame
    columns = ["time", "estimate", "std_error", "conf_low", "conf_high"]
    np.testing.assert_allclose(
        ours.loc[ours["term"] != "0", columns].to_numpy(), theirs[columns].to_numpy(), rtol=1e-9, atol=1e-12
    )
    curve = kaplan_meier(data, duration_col="t", event_col="d").frame
    alive = ours[(ours["term"] == "0") & (ours["time"] > 0)]
    np.testing.assert_allclose(alive["estimate"], curve["estimate"], rtol=1e-12, atol=1e-14)
    some = (curve["estimate"] > 0).to_numpy()
    np.testing.assert_allclose(alive["std_error"][some], curve["std_error"][some], rtol=1e-9)


def test_probabilities_sum_to_one_and_mean_times_to_the_horizon() -> None:
    table = state_occupancy(spells(), by="arm").frame
    np.testing.assert_allclose(table.groupby(["group", "time"])["estimate"].sum(), 1.0, rtol=1e-12)
    means = mean_time_in_state(spells(), tau=8).frame
    assert means["estimate"].sum() == pytest.approx(8, rel=1e-12)


def test_deaths_that_never_happen_change_nothing() -> None:
    data = events().assign(terminal=0)
    with_column = mean_cumulative_events(data, by="arm", terminal_col="terminal")
    assert_same(with_column, mean_cumulative_events(data, by="arm"))


def derivative_error(estimate: Callable[[np.ndarray], np.ndarray], weights: np.ndarray, subjects: np.ndarray) -> object:
    """Root of the sum over subjects of (weight x derivative of the estimate by it)^2, by central differences."""
    total = 0.0
    for subject in np.unique(subjects):
        step = np.where(subjects == subject, 1e-5 * weights, 0.0)
        total = total + ((estimate(weights + step) - estimate(weights - step)) / 2e-5) ** 2
    return np.sqrt(total)


@pytest.mark.parametrize("way", ["sampled start", "known start"])
def test_standard_errors_are_those_of_the_derivatives_by_the_weights(way: str) -> None:
    data = spells(13, 25)
    names = np.unique(data[["from_state", "to_state"]].to_numpy())
    sources, targets = (np.searchsorted(names, data[column]) for column in ("from_state", "to_state"))
    subjects = pd.factorize(data["patient_id"])[0]
    initial = None if way == "sampled start" else np.array([0.0, 0.2, 0.5, 0.3])

    def run(weights: np.ndarray) -> object:
        rows = Spells(
            data["start"].to_numpy(),
            data["stop"].to_numpy(),
            subjects,
            sources,
            sources != targets,
            weights,
            subjects.max() + 1,
        )
        return occupancy_kernel(rows, targets, n_states=len(names), initial=initial, horizon=9.3)

    weights = data["w"].to_numpy()
    found = run(weights)
    for name, error in (("probability", "std_error"), ("mean_time", "mean_time_std_error")):
        expected = derivative_error(lambda w, name=name: getattr(run(w), name), weights, subjects)
        np.testing.assert_allclose(getattr(found, error), expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("dying", [False, True])
def test_standard_errors_of_mean_events_are_those_of_the_derivatives(dying: bool) -> None:
    data = events(17).head(60)
    subjects = pd.factorize(data["patient_id"])[0]
    happened, dead = data["event"].to_numpy() > 0, data["terminal"].to_numpy() > 0

    def run(weights: np.ndarray) -> object:
        rows = Spells(
            data["start"].to_numpy(),
            data["stop"].to_numpy(),
            subjects,
            np.zeros(len(data), dtype=np.intp),
            happened | dead,
            weights,
            subjects.max() + 1,
        )
        return mean_count(rows, happened, deaths=dead if dying else None)

    weights = data["w"].to_numpy()
    expected = derivative_error(lambda w: run(w).mean, weights, subjects)
    np.testing.assert_allclose(run(weights).std_error, expected, rtol=1e-6, atol=1e-9)


def test_swapping_the_arms_turns_the_effects_round() -> None:
    data = patients()
    one, other = (subgroup_effects(data, treated=arm, **COX).frame for arm in ("tac", "no"))
    effects = one["statistic"] == "log_hazard_ratio"
    np.testing.assert_allclose(one["estimate"][effects], -other["estimate"][effects], rtol=1e-7, atol=1e-10)
    np.testing.assert_allclose(one["estimate"][~effects], other["estimate"][~effects], rtol=1e-7)
    rates = [subgroup_differences(data, treated=arm, subgroup_col="kind").frame for arm in ("tac", "no")]
    differences = rates[0]["statistic"] == "risk_difference"
    np.testing.assert_allclose(rates[0]["estimate"][differences], -rates[1]["estimate"][differences], atol=1e-12)


def test_stratified_by_subgroup_each_effect_is_that_of_its_own_model() -> None:
    """With a baseline hazard for each subgroup and no further covariates the subgroups share nothing."""
    from analyses.survival import fit_cox

    data = patients()
    table = subgroup_effects(data, treated="tac", strata="kind", **COX).frame
    for row in table[(table["population"] == "subgroup") & table["group"].notna()].itertuples():
        own = fit_cox(data[data["kind"] == row.group], "arm", duration_col="t", event_col="d")
        assert row.estimate == pytest.approx(own.coefficients.item(), rel=1e-7)
        assert row.std_error == pytest.approx(own.std_errors.item(), rel=1e-7)
