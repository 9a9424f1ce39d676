"""Protects relations between runs: what may not change when rows, units, weights or codings change, and what must."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from analyses.survival import (
    cumulative_incidence,
    fit_cox,
    kaplan_meier,
    logrank,
    median_survival,
    numbers_at_risk,
    restricted_mean,
)
from cohort.results import ResultTable

COLUMNS = {"duration_col": "t", "event_col": "d"}
NUMBERS = ["time", "estimate", "std_error", "conf_low", "conf_high", "p_value", "n", "n_events"]


def sample(seed: int = 7, n: int = 120) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n).round(2)
    t = np.ceil(rng.exponential(20 * np.exp(-0.4 * x)))
    return pd.DataFrame(
        {
            "t": t,
            "d": (rng.uniform(size=n) < 0.7).astype(int),
            "cause": rng.integers(0, 3, n),
            "x": x,
            "arm": rng.choice(["no", "tac"], n),
            "kind": rng.choice(["III", "IV", "V"], n),
            "w": rng.uniform(0.3, 3, n),
            "e": np.floor(t * rng.uniform(0, 0.9, n)),
            "patient": rng.integers(0, 40, n),
        }
    )


ESTIMATORS: dict[str, Callable[[pd.DataFrame], ResultTable]] = {
    "kaplan_meier": lambda d: kaplan_meier(d, **COLUMNS, by="arm"),
    "weighted_kaplan_meier": lambda d: kaplan_meier(d, **COLUMNS, by="arm", weights_col="w", entry_col="e"),
    "median": lambda d: median_survival(d, **COLUMNS, by="arm"),
    "at_risk": lambda d: numbers_at_risk(d, **COLUMNS, by="arm", times=[0, 5, 20]),
    "logrank": lambda d: logrank(d, **COLUMNS, by="kind", strata="arm"),
    "weighted_logrank": lambda d: logrank(d, **COLUMNS, by="kind", weights_col="w", rho=1),
    "restricted_mean": lambda d: restricted_mean(d, **COLUMNS, by="arm", tau=20, weights_col="w"),
    "incidence": lambda d: cumulative_incidence(d, duration_col="t", event_col="cause", by="arm"),
    "cox": lambda d: fit_cox(d, "x + kind", **COLUMNS, robust=True).tidy(),
    "clustered_cox": lambda d: fit_cox(
        d, "x + kind", **COLUMNS, weights_col="w", entry_col="e", strata="arm", cluster_col="patient"
    ).tidy(),
    "glance": lambda d: fit_cox(d, "x + kind", **COLUMNS).glance(),
    "proportionality": lambda d: fit_cox(d, "x + kind", **COLUMNS).test_proportional_hazards(),
}


def assert_same(ours: ResultTable, theirs: ResultTable, columns: list[str] = NUMBERS) -> None:
    assert len(ours) == len(theirs)
    for column in columns:
        np.testing.assert_allclose(ours.frame[column], theirs.frame[column], rtol=1e-9, atol=1e-11, err_msg=column)
    for column in ("group", "contrast", "term", "statistic", "note"):
        assert ours.frame[column].fillna("").tolist() == theirs.frame[column].fillna("").tolist()


@pytest.mark.parametrize("name", ESTIMATORS)
def test_order_and_index_of_rows_do_not_matter(name: str) -> None:
    data = sample()
    shuffled = data.sample(frac=1, random_state=3)
    relabelled = shuffled.set_axis(pd.Index(["same"] * len(data)))
    before = ESTIMATORS[name](data)
    assert_same(ESTIMATORS[name](shuffled), before)
    assert_same(ESTIMATORS[name](relabelled), before)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_the_input_is_left_as_it_was(name: str) -> None:
    data = sample()
    ESTIMATORS[name](data)
    pd.testing.assert_frame_equal(data, sample())


@pytest.mark.parametrize("name", ["kaplan_meier", "logrank", "weighted_logrank", "incidence", "cox", "clustered_cox"])
def test_the_unit_of_time_does_not_matter(name: str) -> None:
    data = sample()
    scaled = data.assign(t=data["t"] * 30.4375, e=data["e"] * 30.4375)
    assert_same(ESTIMATORS[name](scaled), ESTIMATORS[name](data), [n for n in NUMBERS if n != "time"])


def test_medians_and_areas_scale_with_time() -> None:
    data = sample()
    scaled = data.assign(t=data["t"] * 7)
    month, day = median_survival(data, **COLUMNS).frame, median_survival(scaled, **COLUMNS).frame
    np.testing.assert_allclose(day["estimate"], 7 * month["estimate"])
    areas = restricted_mean(data, **COLUMNS, tau=20).frame, restricted_mean(scaled, **COLUMNS, tau=140).frame
    np.testing.assert_allclose(areas[1][["estimate", "std_error"]], 7 * areas[0][["estimate", "std_error"]])


def test_duplicated_rows_and_weights_of_two_give_the_same_estimates() -> None:
    data = sample()
    doubled, weighted = pd.concat([data, data], ignore_index=True), data.assign(two=2.0)
    curves = [
        kaplan_meier(doubled, **COLUMNS, by="arm"),
        kaplan_meier(weighted, **COLUMNS, by="arm", weights_col="two"),
    ]
    assert_same(*curves, columns=["time", "estimate", "n", "n_events"])
    fits = [
        fit_cox(doubled, "x + kind", **COLUMNS, ties="breslow"),
        fit_cox(weighted, "x + kind", **COLUMNS, ties="breslow", weights_col="two"),
    ]
    assert_same(fits[0].tidy(), fits[1].tidy(), columns=["estimate", "std_error"])
    assert fits[0].log_likelihood == pytest.approx(fits[1].log_likelihood, rel=1e-12)


def test_duplicates_clustered_by_subject_have_the_robust_variance_of_the_originals() -> None:
    data = sample()
    doubled = pd.concat([data, data]).assign(subject=np.tile(np.arange(len(data)), 2))
    clustered = fit_cox(doubled, "x", **COLUMNS, ties="breslow", cluster_col="subject")
    single = fit_cox(data, "x", **COLUMNS, ties="breslow", robust=True)
    assert clustered.std_errors[0] == pytest.approx(single.std_errors[0], rel=1e-10)


@pytest.mark.parametrize("name", ["weighted_kaplan_meier", "weighted_logrank", "restricted_mean", "clustered_cox"])
def test_the_scale_of_weights_does_not_matter(name: str) -> None:
    data = sample()
    scaled = data.assign(w=data["w"] * 1000)
    columns = ["estimate", "std_error", "conf_low", "conf_high", "p_value"]
    assert_same(ESTIMATORS[name](scaled), ESTIMATORS[name](data), columns)


def test_weights_of_one_give_greenwood_without_censoring_before_events() -> None:
    """Greenwood's variance and the infinitesimal jackknife agree for unit weights."""
    data = sample().assign(one=1.0)
    greenwood, jackknife = kaplan_meier(data, **COLUMNS), kaplan_meier(data, **COLUMNS, weights_col="one")
    assert_same(greenwood, jackknife, columns=["estimate", "std_error"])
    areas = restricted_mean(data, **COLUMNS, tau=20), restricted_mean(data, **COLUMNS, tau=20, weights_col="one")
    assert_same(*areas, columns=["estimate", "std_error"])


def test_stratifying_on_a_constant_changes_nothing() -> None:
    data = sample().assign(site="one")
    assert_same(logrank(data, **COLUMNS, by="kind", strata="site"), logrank(data, **COLUMNS, by="kind"))
    stratified = fit_cox(data, "x", **COLUMNS, strata=["site"], robust=True)
    assert_same(stratified.tidy(), fit_cox(data, "x", **COLUMNS, robust=True).tidy())


def test_entry_at_zero_changes_nothing() -> None:
    data = sample().assign(zero=0.0)
    assert_same(kaplan_meier(data, **COLUMNS, entry_col="zero"), kaplan_meier(data, **COLUMNS))
    assert_same(fit_cox(data, "x", **COLUMNS, entry_col="zero").tidy(), fit_cox(data, "x", **COLUMNS).tidy())
    at_risk = numbers_at_risk(data, **COLUMNS, times=[0, 9], entry_col="zero")
    assert_same(at_risk, numbers_at_risk(data, **COLUMNS, times=[0, 9]))


def test_cutting_follow_up_into_spells_changes_nothing() -> None:
    data = sample().assign(start=0.0, subject=np.arange(120))
    cut = 6.0
    later = data["t"] > cut
    first = data.assign(t=data["t"].where(~later, cut), d=data["d"].where(~later, 0))
    spells = pd.concat([first, data[later].assign(start=cut)], ignore_index=True)
    np.testing.assert_allclose(
        kaplan_meier(spells, **COLUMNS, entry_col="start").frame.query("n_events > 0")[["estimate", "std_error"]],
        kaplan_meier(data, **COLUMNS).frame.query("n_events > 0")[["estimate", "std_error"]],
    )
    whole = fit_cox(data, "x + kind", **COLUMNS, robust=True)
    pieces = fit_cox(spells, "x + kind", **COLUMNS, entry_col="start", cluster_col="subject")
    np.testing.assert_allclose(pieces.coefficients, whole.coefficients, rtol=1e-9)
    np.testing.assert_allclose(pieces.std_errors, whole.std_errors, rtol=1e-9)


def test_swapping_the_reference_turns_the_sign() -> None:
    data = sample()
    swapped = data.assign(arm=data["arm"].map({"no": "z_no", "tac": "tac"}))
    ours, theirs = fit_cox(data, "arm", **COLUMNS), fit_cox(swapped, "arm", **COLUMNS)
    assert ours.terms == ("arm=tac",)
    assert theirs.terms == ("arm=z_no",)
    assert ours.coefficients[0] == pytest.approx(-theirs.coefficients[0], rel=1e-9)
    ratio = fit_cox(data, "arm", **COLUMNS).tidy(exponentiate=True).frame
    assert ratio["statistic"].item() == "hazard_ratio"
    assert ratio["estimate"].item() == pytest.approx(np.exp(ours.coefficients[0]), rel=1e-12)


def test_the_weighted_logrank_is_the_score_test_that_unit_weights_share_with_it() -> None:
    """Under the null with unit weights the robust and the hypergeometric test are close, though not equal."""
    data = sample(n=120).assign(one=1.0)
    plain = logrank(data, **COLUMNS, by="arm").frame["estimate"].item()
    robust = logrank(data, **COLUMNS, by="arm", weights_col="one").frame["estimate"].item()
    assert robust == pytest.approx(plain, rel=0.1)


def test_terms_that_diverge_leave_the_others_at_their_limit() -> None:
    """A level without events is as good as absent; a level that fails first, all of it, is a stratum of its own."""
    data = sample()
    never = data.assign(d=data["d"].where(data["kind"] != "V", 0))
    ours = fit_cox(never, "x + kind", **COLUMNS, robust=True)
    limit = fit_cox(never[never["kind"] != "V"], "x + kind", **COLUMNS, robust=True)
    assert [bool(note) for note in ours.notes] == [False, False, True]
    assert "minus infinity" in ours.notes[2]
    np.testing.assert_allclose(ours.coefficients[:2], limit.coefficients, rtol=1e-9)
    np.testing.assert_allclose(ours.std_errors[:2], limit.std_errors, rtol=1e-9)

    early = data.assign(early=((data["t"] <= 4) & (data["d"] == 1)).astype(int))
    ours = fit_cox(early[~((early["t"] <= 4) & (early["d"] == 0))], "x + early", **COLUMNS)
    kept = early[~((early["t"] <= 4) & (early["d"] == 0))]
    limit = fit_cox(kept, "x", **COLUMNS, strata="early")
    assert "plus infinity" in ours.notes[1]
    np.testing.assert_allclose(ours.coefficients[0], limit.coefficients[0], rtol=1e-7)
    np.testing.assert_allclose(ours.std_errors[0], limit.std_errors[0], rtol=1e-7)


def test_a_diverging_term_is_found_under_delayed_entry_too() -> None:
    data = sample()
    never = data.assign(d=data["d"].where(data["kind"] != "V", 0))
    arguments = {**COLUMNS, "entry_col": "e", "weights_col": "w", "robust": True}
    ours, limit = fit_cox(never, "x + kind", **arguments), fit_cox(never[never["kind"] != "V"], "x + kind", **arguments)
    assert [bool(note) for note in ours.notes] == [False, False, True]
    np.testing.assert_allclose(ours.coefficients[:2], limit.coefficients, rtol=1e-9)
    np.testing.assert_allclose(ours.std_errors[:2], limit.std_errors, rtol=1e-9)
