"""Protects relations between runs of curves, tests and means under delayed entry, weights and clusters."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from analyses.survival import (
    censorings,
    fit_parametric,
    kaplan_meier,
    logrank,
    logrank_events,
    logrank_trend,
    median_survival,
    nelson_aalen,
    restricted_mean,
    survival_at,
    survival_quantiles,
    turnbull,
)
from cohort.results import ResultTable

COLUMNS = {"duration_col": "t", "event_col": "d"}
FULL = {**COLUMNS, "weights_col": "w", "entry_col": "e", "cluster_col": "patient"}
LIMITS = {"lower_col": "low", "upper_col": "high"}
STORED = (
    {"f": "Float64", "i": "Int64", "O": "string"},
    {"f": "double[pyarrow]", "i": "int64[pyarrow]", "O": "string[pyarrow]"},
)
NUMBERS = ["time", "estimate", "std_error", "conf_low", "conf_high", "p_value", "n", "n_events"]


def sample(seed: int = 11, n: int = 150) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    t = np.ceil(rng.exponential(20, n)) + 1
    seen = np.floor(t / 6) * 6
    return pd.DataFrame(
        {
            "t": t,
            "d": (rng.uniform(size=n) < 0.7).astype(int),
            "x": rng.normal(size=n).round(2),
            "arm": rng.choice(["no", "tac"], n),
            "kind": rng.choice(["III", "IV", "V"], n),
            "w": rng.uniform(0.3, 3, n).round(3),
            "e": np.where(rng.uniform(size=n) < 0.3, np.floor(t / 2), 0.0),
            "patient": rng.integers(0, 40, n),
            "low": seen,
            "high": np.where(rng.uniform(size=n) < 0.7, seen + 6.0, np.inf),
        }
    )


ESTIMATORS: dict[str, Callable[[pd.DataFrame], ResultTable]] = {
    "kaplan_meier": lambda d: kaplan_meier(d, **FULL, by="arm"),
    "nelson_aalen": lambda d: nelson_aalen(d, **FULL, by="arm"),
    "survival_at": lambda d: survival_at(d, **FULL, by="arm", times=[5, 12]),
    "survival_quantiles": lambda d: survival_quantiles(d, **COLUMNS, weights_col="w", entry_col="e", by="kind"),
    "median_survival": lambda d: median_survival(d, **FULL, by="arm"),
    "censorings": lambda d: censorings(d, **COLUMNS, weights_col="w", entry_col="e", by="arm"),
    "logrank": lambda d: logrank(d, **FULL, by="kind", strata="arm", rho=0.5),
    "logrank, unweighted": lambda d: logrank(d, **COLUMNS, by="kind", strata="arm", entry_col="e"),
    "logrank_events": lambda d: logrank_events(d, **COLUMNS, by="kind", strata="arm", entry_col="e"),
    "logrank_trend": lambda d: logrank_trend(d, **FULL, by="kind", strata="arm"),
    "restricted_mean": lambda d: restricted_mean(d, **FULL, by="arm", tau=20),
    "turnbull": lambda d: turnbull(d, **LIMITS, by="arm", weights_col="w", bootstraps=5, seed=1),
    "weibull_aft": lambda d: fit_parametric(d, "x + kind", **FULL).tidy(),
    "spline": lambda d: fit_parametric(d, "x + kind", **FULL, model="spline").tidy(),
}


def assert_same(ours: ResultTable, theirs: ResultTable, columns: list[str] = NUMBERS) -> None:
    assert len(ours) == len(theirs)
    for column in columns:
        np.testing.assert_allclose(ours.frame[column], theirs.frame[column], rtol=1e-8, atol=1e-10, err_msg=column)
    for column in ("group", "contrast", "statistic", "note"):
        assert ours.frame[column].fillna("").tolist() == theirs.frame[column].fillna("").tolist()


@pytest.mark.parametrize("name", ESTIMATORS)
def test_order_index_and_storage_of_rows_do_not_matter_and_the_input_is_left_alone(name: str) -> None:
    data = sample()
    before = ESTIMATORS[name](data)
    pd.testing.assert_frame_equal(data, sample())
    shuffled = data.sample(frac=1, random_state=3).set_axis(pd.Index(["same"] * len(data)))
    assert_same(ESTIMATORS[name](shuffled), before)
    for stored in STORED:
        assert_same(ESTIMATORS[name](data.astype({c: stored[k.kind] for c, k in data.dtypes.items()})), before)


@pytest.mark.parametrize("name", [name for name in ESTIMATORS if name not in ("turnbull", "censorings")])
def test_relabelled_clusters_and_rescaled_weights_change_no_inference(name: str) -> None:
    data = sample()
    other = data.assign(patient="p" + (99 - data["patient"]).astype(str), w=data["w"] * 128)
    kept = [column for column in NUMBERS if column not in ("n", "n_events")]
    if name in ("weibull_aft", "spline"):
        kept = ["estimate", "std_error"]
    assert_same(ESTIMATORS[name](other), ESTIMATORS[name](data), kept)


def test_clusters_of_single_rows_are_rows() -> None:
    data = sample().assign(own=np.arange(150)[::-1])
    for estimator in (kaplan_meier, nelson_aalen):
        arguments = {**COLUMNS, "by": "arm", "weights_col": "w", "entry_col": "e"}
        assert_same(estimator(data, **arguments, cluster_col="own"), estimator(data, **arguments))
    arguments = {**COLUMNS, "by": "arm", "weights_col": "w", "entry_col": "e", "tau": 20}
    assert_same(restricted_mean(data, **arguments, cluster_col="own"), restricted_mean(data, **arguments))
    arguments = {**COLUMNS, "by": "kind", "weights_col": "w", "entry_col": "e"}
    assert_same(logrank(data, **arguments, cluster_col="own"), logrank(data, **arguments))
    assert_same(
        fit_parametric(data, "x", **COLUMNS, cluster_col="own").tidy(),
        fit_parametric(data, "x", **COLUMNS, robust=True).tidy(),
    )


def test_copies_of_rows_in_one_cluster_count_as_their_weight() -> None:
    """Each row twice, in the cluster of its original, is the row with weight two; and that scale does not matter."""
    data = sample().assign(own=np.arange(150), one=1.0)
    twice = pd.concat([data, data], ignore_index=True)
    columns = ["estimate", "std_error", "p_value"]
    for request in (
        lambda d: kaplan_meier(d, **COLUMNS, by="arm", weights_col="one", entry_col="e", cluster_col="own"),
        lambda d: nelson_aalen(d, **COLUMNS, by="arm", weights_col="one", entry_col="e", cluster_col="own"),
        lambda d: survival_at(d, **COLUMNS, by="arm", weights_col="one", cluster_col="own", times=[9]),
        lambda d: restricted_mean(d, **COLUMNS, by="arm", weights_col="one", cluster_col="own", tau=20),
        lambda d: logrank(d, **COLUMNS, by="kind", strata="arm", weights_col="one", entry_col="e", cluster_col="own"),
        lambda d: fit_parametric(d, "x", **COLUMNS, cluster_col="own").tidy(),
    ):
        np.testing.assert_allclose(request(twice).frame[columns], request(data).frame[columns], rtol=1e-9, atol=1e-11)


def test_cutting_follow_up_into_spells_changes_nothing() -> None:
    """A patient cut at 6 into two spells of one cluster is the same patient, to every variance."""
    data = sample().assign(e=0.0, own=np.arange(150))
    later = data["t"] > 6
    first = data.assign(t=data["t"].where(~later, 6.0), d=data["d"].where(~later, 0))
    spells = pd.concat([first, data[later].assign(e=6.0)], ignore_index=True)
    for weights_col in (None, "w"):
        arguments = {**COLUMNS, "weights_col": weights_col, "cluster_col": "own", "entry_col": "e"}
        for request in (
            lambda d, a=arguments: survival_at(d, **a, by="arm", times=[3, 6, 20]),
            lambda d, a=arguments: restricted_mean(d, **a, by="arm", tau=20),
            lambda d, a=arguments: logrank(d, **a, by="kind", strata="arm", rho=1),
            lambda d, a=arguments: fit_parametric(d, "x", **a).tidy(),
            lambda d, a=arguments: fit_parametric(d, "x", **a, model="spline").tidy(),
        ):
            columns = ["estimate", "std_error", "conf_low", "p_value"]
            np.testing.assert_allclose(
                request(spells).frame[columns].dropna(how="all"),
                request(data).frame[columns].dropna(how="all"),
                rtol=1e-8,
                atol=1e-10,
            )


def test_hazard_and_survival_belong_together() -> None:
    """Kaplan-Meier lies below exp(-H) by a second-order term at each time; both start at the same risk sets."""
    data = sample(n=2000).assign(t=np.random.default_rng(5).permutation(2000) + 1.0)
    survival, hazard = kaplan_meier(data, **COLUMNS).frame, nelson_aalen(data, **COLUMNS).frame
    early = survival["n"] > 50
    bound = np.exp(-hazard["estimate"])
    assert (survival["estimate"] <= bound).all()
    np.testing.assert_allclose(survival["estimate"][early], bound[early], rtol=0.02)


def test_relabelling_scores_in_an_affine_way_leaves_the_trend() -> None:
    data = sample()
    first = logrank_trend(data, **FULL, by="kind", scores={"III": 0, "IV": 1, "V": 4})
    other = logrank_trend(data, **FULL, by="kind", scores={"III": 10, "IV": 7, "V": -2})
    assert other.frame["estimate"].item() == pytest.approx(first.frame["estimate"].item(), rel=1e-9)
    directions = {table.frame["note"].item().split()[-4] for table in (first, other)}
    assert directions == {"rises", "falls"}


def test_times_seen_exactly_give_kaplan_meier() -> None:
    data = sample()
    exact = data.assign(low=data["t"], high=np.where(data["d"] == 1, data["t"], np.inf))
    found = turnbull(exact, **LIMITS, weights_col="w").frame
    found = found[found["statistic"] == "survival"]
    curve = kaplan_meier(data, **COLUMNS, weights_col="w").frame
    curve = curve[curve["n_events"] > 0]
    np.testing.assert_array_equal(found["time"], curve["time"])
    np.testing.assert_allclose(found["estimate"], curve["estimate"], rtol=1e-9, atol=1e-10)


def test_parametric_time_ratios_ignore_the_unit_of_time_and_turn_with_the_reference() -> None:
    data = sample()
    for model in ("weibull_aft", "lognormal_aft", "loglogistic_aft", "spline"):
        day = fit_parametric(data, "x + arm", **COLUMNS, model=model)
        month = fit_parametric(data.assign(t=data["t"] / 30.4375), "x + arm", **COLUMNS, model=model)
        terms = [k for k, kind in enumerate(day.kinds) if kind is None]
        np.testing.assert_allclose(month.estimates[terms], day.estimates[terms], rtol=1e-8)
        np.testing.assert_allclose(
            np.sqrt(np.diag(month.variance))[terms], np.sqrt(np.diag(day.variance))[terms], rtol=1e-8
        )
        swapped = data.assign(arm=data["arm"].map({"no": "z", "tac": "tac"}))
        turned = fit_parametric(swapped, "x + arm", **COLUMNS, model=model)
        assert turned.estimates[terms[-1]] == pytest.approx(-day.estimates[terms[-1]], rel=1e-8)
