"""Protects relations between runs of the competing-risks estimators, theorems among them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from analyses.survival import cumulative_incidence, cumulative_incidence_at, fit_cox, fit_fine_gray, gray_test
from cohort.results import ResultTable

COLUMNS = {"duration_col": "t", "event_col": "d"}
NUMBERS = ["time", "estimate", "std_error", "conf_low", "conf_high", "p_value", "n", "n_events"]
TEXTS = ["group", "contrast", "term", "statistic", "note"]


def sample(seed: int = 11, n: int = 150) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n).round(2)
    t = np.ceil(rng.exponential(20 * np.exp(-0.4 * x)))
    return pd.DataFrame(
        {
            "t": t,
            "d": rng.choice([0, 1, 2, 3], n, p=[0.3, 0.4, 0.2, 0.1]),
            "x": x,
            "arm": rng.choice(["no", "tac"], n),
            "kind": rng.choice(["III", "IV", "V"], n),
            "w": rng.uniform(0.3, 3, n),
            "e": np.floor(t * rng.uniform(0, 0.9, n)),
            "patient": rng.integers(0, 40, n),
        }
    )


ESTIMATORS: dict[str, Callable[[pd.DataFrame], ResultTable]] = {
    "incidence": lambda d: cumulative_incidence(d, **COLUMNS, by="arm", weights_col="w", entry_col="e"),
    "incidence_at": lambda d: cumulative_incidence_at(d, **COLUMNS, by="kind", times=[5, 20], weights_col="w"),
    "gray": lambda d: gray_test(d, **COLUMNS, by="kind", strata="arm", rho=1),
    "finegray": lambda d: fit_fine_gray(d, "x + kind", **COLUMNS, strata="arm").tidy(),
    "late_finegray": lambda d: fit_fine_gray(
        d, "x + kind", **COLUMNS, weights_col="w", entry_col="e", censoring_strata="arm", cluster_col="patient"
    ).tidy(),
    "crr": lambda d: fit_fine_gray(d, "x + kind", **COLUMNS, variant="crr").tidy(exponentiate=True),
    "crr_corrected": lambda d: fit_fine_gray(
        d, "x + kind", **COLUMNS, variant="crr_corrected", censoring_strata="arm", cluster_col="patient"
    ).tidy(),
    "glance": lambda d: fit_fine_gray(d, "x + kind", **COLUMNS, cause=2).glance(),
    "predicted": lambda d: fit_fine_gray(d, "x + kind", **COLUMNS, strata="arm").predict(
        pd.DataFrame({"x": [0.0, 1.0], "kind": ["V", "III"], "arm": ["tac", "no"]}), times=[3, 10]
    ),
}


def assert_same(ours: ResultTable, theirs: ResultTable, columns: list[str] = NUMBERS) -> None:
    assert len(ours) == len(theirs)
    for column in columns:
        np.testing.assert_allclose(ours.frame[column], theirs.frame[column], rtol=1e-9, atol=1e-11, err_msg=column)
    for column in TEXTS:
        assert ours.frame[column].fillna("").tolist() == theirs.frame[column].fillna("").tolist()


@pytest.mark.parametrize("name", ESTIMATORS)
def test_order_and_index_of_rows_do_not_matter(name: str) -> None:
    data = sample()
    shuffled = data.sample(frac=1, random_state=3)
    before = ESTIMATORS[name](data)
    assert_same(ESTIMATORS[name](shuffled), before)
    assert_same(ESTIMATORS[name](shuffled.set_axis(pd.Index(["same"] * len(data)))), before)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_the_input_is_left_as_it_was(name: str) -> None:
    data = sample()
    copy = data.copy(deep=True)
    ESTIMATORS[name](data)
    pd.testing.assert_frame_equal(data, copy)


@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.parametrize("backend", ["numpy_nullable", "pyarrow"])
def test_nullable_and_arrow_columns_are_accepted(name: str, backend: str) -> None:
    data = sample()
    assert_same(ESTIMATORS[name](data.convert_dtypes(dtype_backend=backend)), ESTIMATORS[name](data))


@pytest.mark.parametrize("name", [name for name in ESTIMATORS if name not in ("incidence_at", "predicted")])
def test_the_unit_of_time_does_not_matter(name: str) -> None:
    data = sample()
    longer = data.assign(t=data["t"] * 7, e=data["e"] * 7)
    assert_same(ESTIMATORS[name](longer), ESTIMATORS[name](data), [c for c in NUMBERS if c != "time"])


@pytest.mark.parametrize("name", ["late_finegray"])
def test_the_scale_of_weights_does_not_matter(name: str) -> None:
    data = sample()
    scaled = data.assign(w=data["w"] * 10)
    assert_same(ESTIMATORS[name](scaled), ESTIMATORS[name](data))


def test_codes_of_causes_do_not_matter() -> None:
    data = sample()
    swapped = data.assign(d=data["d"].map({0: 0, 1: 7, 2: 1, 3: 1}))
    one = fit_fine_gray(data, "x + kind", **COLUMNS).tidy()
    assert_same(fit_fine_gray(swapped, "x + kind", **COLUMNS, cause=7).tidy(), one)
    assert_same(gray_test(swapped, **COLUMNS, by="arm", cause=7), gray_test(data, **COLUMNS, by="arm"), ["estimate"])


def test_swapping_the_arms_turns_the_sign() -> None:
    data = sample()
    swapped = data.assign(arm=data["arm"].map({"no": "z_no", "tac": "tac"}))
    for variant in ("finegray", "crr"):
        ours = fit_fine_gray(data, "arm + x", **COLUMNS, variant=variant)
        theirs = fit_fine_gray(swapped, "arm + x", **COLUMNS, variant=variant)
        assert ours.coefficients[0] == pytest.approx(-theirs.coefficients[0], rel=1e-9)
        np.testing.assert_allclose(ours.std_errors, theirs.std_errors, rtol=1e-9)
    ours, theirs = (
        cumulative_incidence_at(d, **COLUMNS, by="arm", times=[10]).frame.query("statistic.str.endswith('difference')")
        for d in (data, swapped)
    )
    np.testing.assert_allclose(ours["estimate"], -theirs["estimate"], rtol=1e-12)
    np.testing.assert_allclose(ours["p_value"], theirs["p_value"], rtol=1e-9)
    assert_same(gray_test(data, **COLUMNS, by="arm"), gray_test(swapped, **COLUMNS, by="arm"))


def test_stratifying_on_a_constant_changes_nothing() -> None:
    data = sample().assign(site="one")
    assert_same(
        gray_test(data, **COLUMNS, by="kind", strata="site"), gray_test(data, **COLUMNS, by="kind"), ["estimate"]
    )
    plain = fit_fine_gray(data, "x", **COLUMNS)
    stratified = fit_fine_gray(data, "x", **COLUMNS, strata=["site"], censoring_strata=["site"])
    np.testing.assert_allclose(stratified.coefficients, plain.coefficients, rtol=1e-12)
    np.testing.assert_allclose(stratified.variance, plain.variance, rtol=1e-12)


ALONE = {
    "efron": ({}, {}),
    "breslow": ({"ties": "breslow"}, {"ties": "breslow"}),
    "crr": ({"variant": "crr"}, {"ties": "breslow"}),
    "clustered": ({"cluster_col": "patient"}, {"cluster_col": "patient"}),
    "clustered crr": ({"variant": "crr", "cluster_col": "patient"}, {"ties": "breslow", "cluster_col": "patient"}),
    "everything": ({"weights_col": "w", "entry_col": "e", "strata": "arm", "censoring_strata": "kind"},
                   {"weights_col": "w", "entry_col": "e", "strata": "arm"}),
}  # fmt: skip


@pytest.mark.parametrize("name", ALONE)
def test_with_one_cause_only_a_fine_gray_model_is_a_cox_model(name: str) -> None:
    ours, theirs = ALONE[name]
    data = sample().assign(d=lambda d: (d["d"] == 1).astype(int))
    fit = fit_fine_gray(data, "x + kind", **COLUMNS, **ours)
    cox = fit_cox(data, "x + kind", **COLUMNS, **theirs, robust=True)
    np.testing.assert_allclose(fit.coefficients, cox.coefficients, rtol=1e-8)
    np.testing.assert_allclose(fit.std_errors, cox.std_errors, rtol=1e-8)
    np.testing.assert_allclose(fit.naive_variance, cox.variance, rtol=1e-8, atol=1e-12)
    assert fit.log_likelihood == pytest.approx(cox.log_likelihood, rel=1e-10)
    assert fit.log_likelihood_null == pytest.approx(cox.log_likelihood_null, rel=1e-10)


def test_without_censoring_competing_failures_are_as_good_as_never_failing() -> None:
    """Nobody is censored: the weights are 1, so a competing failure is a row that outlives every event."""
    data = sample().assign(d=lambda d: d["d"].replace(0, 1))
    for variant, ties in (("finegray", "efron"), ("crr", "breslow")):
        fit = fit_fine_gray(data, "x + kind", **COLUMNS, variant=variant)
        outliving = data.assign(t=data["t"].where(data["d"] == 1, data["t"].max() + 1), d=(data["d"] == 1).astype(int))
        cox = fit_cox(outliving, "x + kind", **COLUMNS, ties=ties, robust=True)
        np.testing.assert_allclose(fit.coefficients, cox.coefficients, rtol=1e-8)
        np.testing.assert_allclose(fit.std_errors, cox.std_errors, rtol=1e-8)


def test_without_censoring_incidence_is_a_proportion() -> None:
    data = sample().assign(d=lambda d: d["d"].replace(0, 1))
    rows = cumulative_incidence_at(data, **COLUMNS, times=[5, 20, 1000]).frame
    for row in rows.itertuples():
        share = ((data["t"] <= row.time) & (data["d"] == int(row.term))).mean()
        assert row.estimate == pytest.approx(share, rel=1e-12)
        assert row.std_error**2 == pytest.approx(share * (1 - share) / len(data), rel=1e-9)


def test_rows_in_pairs_with_half_the_weight_change_nothing() -> None:
    """Point estimates of incidence and Breslow's Fine-Gray with its errors, pairs being clusters; not Efron."""
    data = sample().assign(half=lambda d: d["w"] / 2, pair=range(150))
    twice = pd.concat([data, data], ignore_index=True)
    assert_same(
        cumulative_incidence(twice, **COLUMNS, weights_col="half"),
        cumulative_incidence(data, **COLUMNS, weights_col="w"),
        ["estimate", "n", "n_events"],
    )
    arguments = {**COLUMNS, "ties": "breslow", "cluster_col": "pair", "entry_col": "e"}
    pairs = fit_fine_gray(twice, "x + kind", **arguments, weights_col="half")
    single = fit_fine_gray(data, "x + kind", **arguments, weights_col="w")
    np.testing.assert_allclose(pairs.coefficients, single.coefficients, rtol=1e-9)
    np.testing.assert_allclose(pairs.variance, single.variance, rtol=1e-9)
    pairs = fit_fine_gray(twice, "x + kind", **COLUMNS, variant="crr", cluster_col="pair")
    single = fit_fine_gray(data, "x + kind", **COLUMNS, variant="crr")
    np.testing.assert_allclose(pairs.coefficients, single.coefficients, rtol=1e-9)
    np.testing.assert_allclose(pairs.variance, single.variance, rtol=1e-9)


def test_with_one_censoring_group_the_corrected_crr_is_crr() -> None:
    data = sample()
    ours, theirs = (fit_fine_gray(data, "x + kind", **COLUMNS, variant=v) for v in ("crr_corrected", "crr"))
    np.testing.assert_array_equal(ours.variance, theirs.variance)


def test_crr_takes_the_weights_as_known_where_the_events_and_the_lingering_are_of_different_groups() -> None:
    """Arm "tac" has the events of the cause, arm "no" the competing ones, so only the censoring of "no" matters, and
    by the events of "tac" alone, which cmprsk leaves out. Times are distinct, where finegray's weights are crr's."""
    data = sample().assign(t=lambda d: d["t"].rank(method="first"))
    data = data.assign(d=(data["d"] > 0) * data["arm"].map({"tac": 1, "no": 2}))
    arguments = {**COLUMNS, "censoring_strata": "arm"}
    known = fit_fine_gray(data, "x", **arguments, ties="breslow")
    crr = fit_fine_gray(data, "x", **arguments, variant="crr")
    corrected = fit_fine_gray(data, "x", **arguments, variant="crr_corrected")
    np.testing.assert_allclose(crr.std_errors, known.std_errors, rtol=1e-12)
    np.testing.assert_allclose(corrected.coefficients, known.coefficients, rtol=1e-12)
    assert corrected.std_errors != pytest.approx(known.std_errors, rel=1e-9)


def test_incidence_at_is_the_curve_read_off() -> None:
    data = sample()
    curve = cumulative_incidence(data, **COLUMNS, by="arm", weights_col="w", entry_col="e").frame
    times = [0.0, 3.0, 11.0]
    read = cumulative_incidence_at(data, **COLUMNS, by="arm", weights_col="w", entry_col="e", times=times).frame
    read = read[read["contrast"].isna()]
    keys = ["group", "term", "time"]
    both = read.merge(curve, on=keys, suffixes=("", "_curve"))
    assert len(both) == len(read)
    for column in ("estimate", "std_error", "conf_low", "conf_high", "n"):
        np.testing.assert_allclose(both[column], both[f"{column}_curve"], rtol=1e-12, err_msg=column)


def test_predictions_average_near_the_aalen_johansen_curve() -> None:
    """A model without an effect to speak of predicts about the incidence of the whole."""
    data = sample(n=2000)
    data["noise"] = np.random.default_rng(1).normal(size=len(data))
    fit = fit_fine_gray(data, "noise", **COLUMNS, variant="crr")
    predicted = fit.predict(pd.DataFrame({"noise": [0.0]}), times=[10, 30]).frame["estimate"]
    observed = cumulative_incidence_at(data, **COLUMNS, times=[10, 30]).frame.query("term == '1'")["estimate"]
    np.testing.assert_allclose(predicted, observed, rtol=0.02)
