"""Protects balancing weights and scores, overlap and trimming against truths worked out on paper."""

from __future__ import annotations

from math import log, sqrt

import numpy as np
import pandas as pd
import pytest
from scipy.special import ndtr

from analyses.comparison import weighted_rates
from analyses.kernels.balance import kolmogorov_smirnov, overlapping_coefficient, standardised_difference
from analyses.propensity import (
    PropensityFit,
    covariate_balance,
    crump_bound,
    fit_propensity,
    overlap_histogram,
    overlap_table,
    positivity_table,
    trim_asymmetric,
    trim_crump,
    trim_symmetric,
    weight_table,
)
from analyses.propensity.weights import balancing_weights

# (arm, class V): (responders, patients), as in test_propensity_byhand.py.
CELLS = {("t", 1): (6, 12), ("t", 0): (6, 8), ("r", 1): (1, 4), ("r", 0): (8, 16)}


@pytest.fixture(scope="module")
def strata() -> pd.DataFrame:
    rows = [(arm, "V" if x else "IV", i < events) for (arm, x), (events, n) in CELLS.items() for i in range(n)]
    frame = pd.DataFrame(rows, columns=["arm", "isn_rps_class", "responder"])
    return frame.assign(patient_id=[f"p{i:02d}" for i in range(len(frame))])


@pytest.fixture(scope="module")
def measured() -> pd.DataFrame:
    stream = np.random.default_rng(21)
    n = 150
    upcr, year = np.exp(stream.normal(1, 0.5, n)), stream.integers(1999, 2021, n)
    return pd.DataFrame(
        {
            "patient_id": [f"p{i:03d}" for i in range(n)],
            "arm": np.where(stream.random(n) < 1 / (1 + np.exp(1 - 0.3 * upcr)), "t", "r"),
            "upcr_g_g": upcr,
            "index_year": year,
            "isn_rps_class": stream.choice(["III", "IV", "V"], n),
            "responder": stream.random(n) < 0.5,
        }
    )


FORMULA = "upcr_g_g + index_year + isn_rps_class"


def fit(data: pd.DataFrame, method: str, formula: str = FORMULA, **options: object) -> PropensityFit:
    return fit_propensity(data, formula, treatment_col="arm", treated="t", method=method, **options)


def totals(model: PropensityFit, weights: np.ndarray, rows: np.ndarray) -> np.ndarray:
    return np.asarray(model._design[rows].T @ weights[rows])


def test_entropy_balancing_of_a_binary_covariate_has_a_closed_form(strata: pd.DataFrame) -> None:
    # Weights of an arm are constant within a stratum and carry its share there to that of the target.
    is_v, treated = (strata["isn_rps_class"] == "V").to_numpy(), (strata["arm"] == "t").to_numpy()
    expected = {
        "ATE": np.where(treated, np.where(is_v, 16 / 12, 24 / 8), np.where(is_v, 16 / 4, 24 / 16)),
        "ATT": np.where(treated, 1.0, np.where(is_v, 12 / 4, 8 / 16)),
        "ATC": np.where(treated, np.where(is_v, 4 / 12, 16 / 8), 1.0),
    }
    for estimand, weights in expected.items():
        for method in ("entropy", "cbps"):  # with a saturated score all methods agree
            ours = fit(strata, method, "isn_rps_class", estimand=estimand)
            np.testing.assert_allclose(ours.weights(), weights, rtol=1e-9)


@pytest.mark.parametrize("method", ["entropy", "cbps"])
def test_variance_of_solved_weights_is_that_of_the_stratified_estimator(strata: pd.DataFrame, method: str) -> None:
    p = {cell: events / n for cell, (events, n) in CELLS.items()}
    share = {1: 16 / 40, 0: 24 / 40}
    difference = {x: p["t", x] - p["r", x] for x in share}
    mean = sum(share[x] * difference[x] for x in share)
    within = sum(share[x] ** 2 * p[arm, x] * (1 - p[arm, x]) / CELLS[arm, x][1] for arm, x in CELLS)
    between = sum(share[x] * (difference[x] - mean) ** 2 for x in share) / 40
    weights = fit(strata, method, "isn_rps_class").estimated_weights()
    row = weighted_rates(strata, outcome_col="responder", treatment_col="arm", treated="t", weights=weights).frame.iloc[
        2
    ]
    assert row["estimate"] == pytest.approx(mean, rel=1e-9)
    assert row["std_error"] == pytest.approx(sqrt(within + between), rel=1e-9)


@pytest.mark.parametrize("estimand", ["ATE", "ATT", "ATC"])
def test_entropy_balancing_reaches_the_means_of_its_target(measured: pd.DataFrame, estimand: str) -> None:
    model = fit(measured, "entropy", estimand=estimand)
    treated = model.treated
    target = {"ATE": np.ones(len(treated), dtype=bool), "ATT": treated, "ATC": ~treated}[estimand]
    wanted = model._design[target].sum(axis=0)
    for arm in (treated, ~treated):
        np.testing.assert_allclose(totals(model, model.weights(), arm), wanted, rtol=1e-10)


def test_just_identified_cbps_meets_its_moment_conditions(measured: pd.DataFrame) -> None:
    for estimand in ("ATE", "ATT", "ATC"):
        model = fit(measured, "cbps", estimand=estimand)
        one, zero = (totals(model, model.weights(), arm) for arm in (model.treated, ~model.treated))
        np.testing.assert_allclose(one, zero, rtol=1e-10)
        if estimand != "ATE":  # the same equations as those of entropy balancing
            np.testing.assert_allclose(
                model.weights(), fit(measured, "entropy", estimand=estimand).weights(), rtol=1e-8
            )


@pytest.mark.parametrize("estimand", ["ATE", "ATT", "ATC"])
def test_overidentified_cbps_of_a_saturated_score_is_maximum_likelihood(strata: pd.DataFrame, estimand: str) -> None:
    # Likelihood and balance have the same solution, so nothing is left to test beyond it.
    model = fit(strata, "cbps", "isn_rps_class", estimand=estimand, overidentified=True)
    expected = np.where(strata["isn_rps_class"] == "V", 12 / 16, 8 / 24)
    np.testing.assert_allclose(model.score, expected, rtol=1e-8)
    assert model.glance().frame["note"].item() == "over-identification test: df=0"


@pytest.mark.parametrize("estimand", ["ATE", "ATT"])
def test_overidentified_cbps_minimises_the_distance_of_its_moments(measured: pd.DataFrame, estimand: str) -> None:
    both, plain = fit(measured, "cbps", estimand=estimand, overidentified=True), fit(measured, "logistic")
    x, t = plain._design.copy(), plain.treated
    x[:, 1:] = (x[:, 1:] - x[:, 1:].mean(axis=0)) / x[:, 1:].std(axis=0)

    def moments(score: np.ndarray) -> np.ndarray:
        signed = t / score - ~t / (1 - score) if estimand == "ATE" else t - ~t * score / (1 - score)
        return np.hstack([x * (t - score)[:, None], x * signed[:, None]])

    # The variance under the model averages over who is treated, at the maximum-likelihood score.
    e = plain.score
    of_one = (1 - e, 1 / e if estimand == "ATE" else np.ones(len(e)))
    of_zero = (-e, -1 / (1 - e) if estimand == "ATE" else -e / (1 - e))
    blocks = [[(x * (e * a1 * b1 + (1 - e) * a0 * b0)[:, None]).T @ x for b1, b0 in zip(of_one, of_zero, strict=True)]
              for a1, a0 in zip(of_one, of_zero, strict=True)]  # fmt: skip
    weight = np.linalg.inv(np.block(blocks))

    def distance(score: np.ndarray) -> float:
        total = moments(score).sum(axis=0)
        return float(total @ weight @ total)

    lowest = distance(both.score)
    assert f"chi_square={lowest:.4g}, df=5" in both.glance().frame["note"].item()
    eta = np.log(both.score / (1 - both.score))
    stream = np.random.default_rng(1)
    for size in (1e-3, 1e-2, 0.1, 1.0):
        for _ in range(20):
            assert distance(1 / (1 + np.exp(-eta - x @ stream.normal(0, size, x.shape[1])))) > lowest
    assert distance(plain.score) > lowest
    assert distance(fit(measured, "cbps", estimand=estimand).score) > lowest


def test_overlap_weights_of_a_logistic_score_balance_exactly(measured: pd.DataFrame) -> None:
    # The likelihood equations are sum(x (t - e)) = 0, and t - e is the overlap weight with its sign.
    model = fit(measured, "logistic")
    weights = model.weights("ATO")
    one, zero = (totals(model, weights, arm) for arm in (model.treated, ~model.treated))
    np.testing.assert_allclose(one, zero, rtol=1e-10)


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("logistic", {}),
        ("cbps", {}),
        ("cbps", {"estimand": "ATT"}),
        ("cbps", {"estimand": "ATC"}),
        ("entropy", {}),
        ("entropy", {"estimand": "ATT"}),
        ("entropy", {"estimand": "ATC"}),
    ],
)
def test_influence_is_the_change_when_a_patient_counts_a_little_more(
    measured: pd.DataFrame, method: str, options: dict[str, object]
) -> None:
    # Copies of everybody change nothing; one more copy of a patient then moves a weight by influence over copies.
    copies, data = 300, measured.head(60)
    model = fit(data, method, **options)
    estimated = model.estimated_weights()
    many = pd.concat([data] * copies, ignore_index=True)
    for patient in (3, 17, 44):
        more = fit(pd.concat([many, data.iloc[[patient]]], ignore_index=True), method, **options).weights()[:60]
        change = (more - model.weights()) * copies
        predicted = estimated.gradient @ estimated.influence[patient]
        np.testing.assert_allclose(change, predicted, rtol=0.02, atol=0.02 * np.abs(predicted).max())


def test_entropy_tilt_of_a_quarter() -> None:
    score, treated = np.array([0.25, 0.25]), np.array([True, False])
    made = balancing_weights(score, treated, estimand="ATEN")
    tilt = 0.25 * log(4) + 0.75 * log(4 / 3)
    np.testing.assert_allclose(made.values, [tilt / 0.25, tilt / 0.75], rtol=1e-14)
    slope = log(3)  # of the tilt, log((1 - e) / e)
    np.testing.assert_allclose(made.slope, [slope / 0.25 - tilt / 0.25**2, slope / 0.75 + tilt / 0.75**2], rtol=1e-12)


def test_truncation_holds_the_weights_of_an_arm_within_its_percentiles(strata: pd.DataFrame) -> None:
    model = fit(strata, "logistic", "isn_rps_class")
    assert sorted(set(model.weights("ATT").round(9))) == [0.5, 1.0, 3.0]
    # Reference arm: sixteen weights of 0.5 and four of 3; the 0.9 quantile, at place 17.1 of 19, is 3 and the 0.8
    # quantile, at place 15.2, lies a fifth of the way from 0.5 to 3.
    assert sorted(set(model.weights("ATT", truncate=0.2).round(9))) == [0.5, 1.0]  # bound of exactly 1.0
    made = model.estimated_weights("ATT", truncate=0.2)
    moved = (strata["isn_rps_class"] == "V").to_numpy() & ~model.treated
    assert not made.gradient[moved].any()
    assert made.gradient[~moved & ~model.treated].any()
    assert made.description == ("ATT weights, truncated at percentiles 20 and 80 of each arm (t 1 to 1; r 0.5 to 1)")


def test_crump_bound_leaves_out_what_costs_more_than_twice_the_mean() -> None:
    # Nine scores of 0.5 cost 4 each, one of 0.01 costs 101: 36 / 81 is less than 137 / 100; twice the mean of 4 is 8.
    score = np.append(np.full(9, 0.5), 0.01)
    assert crump_bound(score) == pytest.approx(0.5 - sqrt(0.25 - 1 / 8))
    assert crump_bound(np.full(4, 0.2)) == 0.0


def test_trimming_says_who_is_left_out(strata: pd.DataFrame) -> None:
    model = fit(strata, "logistic", "isn_rps_class")  # scores of 3/4 and 1/3
    symmetric = trim_symmetric(model, 0.3)
    assert symmetric.left_out == tuple(strata.loc[strata["isn_rps_class"] == "V", "patient_id"])
    assert symmetric.table.frame[["group", "statistic", "estimate", "n"]].values.tolist() == [
        ["t", "left_out", 12, 20],
        ["t", "kept", 8, 20],
        ["r", "left_out", 4, 20],
        ["r", "kept", 16, 20],
    ]
    assert trim_crump(model).left_out == ()
    # The 0.05 quantile of the treated is 1/3; the 0.7 quantile of the others is 1/3 too, for 16 of 20 have it.
    assert trim_asymmetric(model, 0.05).kept.all()
    assert trim_asymmetric(model, 0.3).left_out == symmetric.left_out


def test_overlap_positivity_and_weights_of_two_strata(strata: pd.DataFrame) -> None:
    model = fit(strata, "logistic", "isn_rps_class")
    frame = overlap_table(model).frame
    support = frame.loc[frame["statistic"].str.startswith("common_support"), "estimate"]
    assert support.tolist() == pytest.approx([1 / 3, 3 / 4])
    assert frame.loc[frame["statistic"] == "share_outside", "n_events"].tolist() == [0, 0]
    positivity = positivity_table(strata, ["isn_rps_class"], treatment_col="arm", treated="t").frame
    assert positivity["term"].tolist() == ["isn_rps_class=IV", "isn_rps_class=V"]
    assert positivity["estimate"].tolist() == pytest.approx([8 / 24, 12 / 16])
    # ATE weights of the reference arm: four of 4 and sixteen of 1.5.
    weights = weight_table(model).frame.set_index(["group", "statistic"])["estimate"]
    assert weights["r", "largest_weight"] == pytest.approx(4)
    assert weights["r", "mean_weight"] == pytest.approx(2)
    assert weights["r", "largest_share"] == pytest.approx(0.1)
    assert weights["r", "coefficient_of_variation"] == pytest.approx(sqrt((4 * 4 + 16 * 0.25) / 20) / 2)
    heavy = weight_table(model, np.where(np.arange(40) == 39, 19.0, 1.0)).frame
    assert "50 % of the arm's weight" in heavy["note"].dropna().item()
    bins = overlap_histogram(model, model.weights("ATO"), bins=3).frame
    shares = bins[bins["statistic"] == "proportion"].groupby(["population", "group"])["estimate"].agg(list)
    assert shares["unweighted", "t"] == pytest.approx([0, 8 / 20, 12 / 20])
    assert shares["weighted", "t"] == pytest.approx(shares["weighted", "r"])


def test_scales_of_the_standardised_difference() -> None:
    values, treated = np.array([1.0, 3.0, 5.0, 2.0, 4.0]), np.array([True, True, True, False, False])
    weights = np.array([0.0, 0.0, 1.0, 1.0, 1.0])
    assert standardised_difference(values, treated, weights, scale="treated") == pytest.approx((5 - 3) / 2)
    assert standardised_difference(values, treated, weights, scale="reference") == pytest.approx((5 - 3) / sqrt(2))
    data = pd.DataFrame({"arm": list("tttrr"), "x": values})
    for estimand, spread in (("ATT", 2), ("ATC", sqrt(2)), ("ATO", sqrt(3))):
        table = covariate_balance(
            data, ["x"], treatment_col="arm", treated="t", weights=weights, estimand=estimand, measures=["smd"]
        )
        assert table.frame["estimate"].tolist() == pytest.approx([0, 2 / spread])


def test_weighted_kolmogorov_smirnov_with_ties() -> None:
    values = np.array([1.0, 2.0, 2.0, 2.0, 3.0, 3.0])
    treated = np.array([True, True, False, True, False, True])
    # Distribution functions at 1, 2, 3: treated 1/4, 3/4, 1; others 0, 1/2, 1.
    assert kolmogorov_smirnov(values, treated) == pytest.approx(0.25)
    weights = np.array([3.0, 1.0, 1.0, 1.0, 4.0, 1.0])
    # Treated 3/6, 5/6, 1; others 0, 1/5, 1.
    assert kolmogorov_smirnov(values, treated, weights) == pytest.approx(5 / 6 - 1 / 5)


def test_overlap_of_two_normal_distributions() -> None:
    # Equal normals a standard deviation apart share 2 Phi(-1/2); the kernel widens both to sqrt(1 + h^2).
    n = 40_000
    from scipy.special import ndtri

    quantiles = ndtri((np.arange(n) + 0.5) / n)
    values, treated = np.append(quantiles, quantiles + 1), np.arange(2 * n) < n
    width = 0.9 * min(float(quantiles.std(ddof=1)), 2 * 0.6744898 / 1.34) * n**-0.2
    expected = 2 * ndtr(-0.5 / sqrt(1 + width**2))
    assert overlapping_coefficient(values, treated) == pytest.approx(expected, abs=2e-4)
    # Weights that tilt the first normal onto the second leave hardly anything between them but their tails.
    weights = np.append(np.exp(quantiles - 0.5), np.ones(n))
    assert overlapping_coefficient(values, treated, weights) > 0.99
    apart = np.append(quantiles, quantiles + 50)
    assert overlapping_coefficient(apart, treated) == pytest.approx(0, abs=1e-9)
    assert np.isnan(overlapping_coefficient(np.append(np.zeros(n), quantiles), treated))
