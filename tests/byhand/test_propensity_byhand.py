"""Protects scores, weights, balance and weighted contrasts against truths worked out on paper."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pandas as pd
import pytest

from analyses.comparison import weighted_rates
from analyses.propensity import PropensityFit, fit_propensity
from analyses.propensity.balance import sample_variance, standardised_difference, variance_ratio

# (arm, class V): (responders, patients). With one binary covariate the score model is saturated.
CELLS = {("t", 1): (6, 12), ("t", 0): (6, 8), ("r", 1): (1, 4), ("r", 0): (8, 16)}


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    rows = [(arm, "V" if x else "IV", i < events) for (arm, x), (events, n) in CELLS.items() for i in range(n)]
    return pd.DataFrame(rows, columns=["arm", "isn_rps_class", "responder"])


@pytest.fixture(scope="module")
def model(data: pd.DataFrame) -> PropensityFit:
    return fit_propensity(data, "isn_rps_class", treatment_col="arm", treated="t")


def contrast(data: pd.DataFrame, weights: object) -> pd.DataFrame:
    return weighted_rates(data, outcome_col="responder", treatment_col="arm", treated="t", weights=weights).frame


def test_saturated_score_is_the_share_of_treated_in_each_stratum(data: pd.DataFrame, model: PropensityFit) -> None:
    expected = np.where(data["isn_rps_class"] == "V", 12 / 16, 8 / 24)
    np.testing.assert_allclose(model.score, expected, rtol=1e-12)
    tidy = model.tidy(exponentiate=True).frame
    assert tidy["statistic"].tolist() == ["odds", "odds_ratio"]
    assert tidy["term"].tolist() == ["Intercept", "isn_rps_class=V"]
    assert tidy["estimate"].tolist() == pytest.approx([0.5, 6.0])
    assert tidy["std_error"].tolist() == pytest.approx([sqrt(1 / 8 + 1 / 16), sqrt(1 / 12 + 1 / 4 + 1 / 8 + 1 / 16)])
    log_likelihood = 12 * np.log(0.75) + 4 * np.log(0.25) + 8 * np.log(1 / 3) + 16 * np.log(2 / 3)
    assert model.glance().frame["estimate"].item() == pytest.approx(log_likelihood)


@pytest.mark.parametrize(
    ("estimand", "share_v"),
    [
        ("ATE", 16 / 40),
        ("ATT", 12 / 20),
        ("ATC", 4 / 20),
        ("ATO", 16 * (3 / 16) / (16 * 3 / 16 + 24 * 2 / 9)),
        ("ATM", 16 * 0.25 / (16 * 0.25 + 24 / 3)),
    ],
)
def test_weighting_is_standardisation_to_the_named_population(
    data: pd.DataFrame, model: PropensityFit, estimand: str, share_v: float
) -> None:
    one = share_v * 6 / 12 + (1 - share_v) * 6 / 8
    zero = share_v * 1 / 4 + (1 - share_v) * 8 / 16
    frame = contrast(data, model.weights(estimand))
    odds = one / (1 - one) / (zero / (1 - zero))
    assert frame["estimate"].tolist() == pytest.approx([one, zero, one - zero, one / zero, odds], rel=1e-12)
    assert frame["group"].tolist()[:2] == ["t", "r"]
    assert frame["contrast"].tolist()[2] == "t v r"
    assert frame["n"].tolist() == [20, 20, 40, 40, 40]
    assert frame["n_events"].tolist() == [12, 9, 21, 21, 21]


def test_variance_with_the_score_estimated_is_that_of_the_stratified_estimator(
    data: pd.DataFrame, model: PropensityFit
) -> None:
    # With a saturated score the weighted difference *is* the standardised one, whose variance is the binomial variance
    # within strata plus the variance of the stratum differences over the patients.
    p = {cell: events / n for cell, (events, n) in CELLS.items()}
    share = {1: 16 / 40, 0: 24 / 40}
    difference = {x: p["t", x] - p["r", x] for x in share}
    mean = sum(share[x] * difference[x] for x in share)
    within = sum(share[x] ** 2 * p[arm, x] * (1 - p[arm, x]) / CELLS[arm, x][1] for arm, x in CELLS)
    between = sum(share[x] * (difference[x] - mean) ** 2 for x in share) / 40
    row = contrast(data, model.estimated_weights("ATE")).iloc[2]
    assert row["std_error"] == pytest.approx(sqrt(within + between), rel=1e-10)
    assert row["method"].endswith("estimation of the propensity score accounted for")
    assert row["method"].startswith("Hajek, ATE weights")


def test_variance_with_weights_known_is_the_linearisation() -> None:
    data = pd.DataFrame({"arm": ["t", "t", "t", "r", "r"], "responder": [1, 0, 1, 1, 0]})
    weights = np.array([1.0, 2.0, 1.0, 3.0, 1.0])
    frame = contrast(data, weights)
    assert frame["estimate"].tolist() == pytest.approx([0.5, 0.75, -0.25, 2 / 3, 1 / 3])
    treated = (1 * 0.5**2 + 4 * 0.5**2 + 1 * 0.5**2) / 4**2
    reference = (9 * 0.25**2 + 1 * 0.75**2) / 4**2
    ratio = sqrt(treated / 0.5**2 + reference / 0.75**2)  # of the logarithm, by the delta method
    odds = sqrt(treated / 0.25**2 + reference / (0.75 * 0.25) ** 2)
    assert frame["std_error"].tolist() == pytest.approx(
        [sqrt(treated), sqrt(reference), sqrt(treated + reference), ratio, odds]
    )
    assert set(frame["method"]) == {"Hajek, weights as given; robust variance, weights taken as known"}


@pytest.mark.parametrize("estimand", ["ATE", "ATT", "ATC", "ATO", "ATM"])
def test_a_saturated_score_balances_its_covariate_exactly(model: PropensityFit, estimand: str) -> None:
    frame = model.balance(model.weights(estimand)).frame
    adjusted = frame[frame["statistic"] == "smd_adjusted"]
    assert adjusted["term"].tolist() == ["isn_rps_class=IV", "isn_rps_class=V"]
    np.testing.assert_allclose(adjusted["estimate"].to_numpy(), 0.0, atol=1e-12)


def test_balance_of_a_binary_covariate_uses_sample_variances(model: PropensityFit) -> None:
    frame = model.balance().frame.set_index(["term", "statistic"])
    one, zero = 12 / 20, 4 / 20
    variance = (one * (1 - one) * 20 / 19 + zero * (1 - zero) * 20 / 19) / 2
    row = frame.loc[("isn_rps_class=V", "smd_unadjusted")]
    assert row["estimate"] == pytest.approx((one - zero) / sqrt(variance))
    assert row["contrast"] == "t v r"
    assert frame.loc[("isn_rps_class=IV", "smd_unadjusted"), "estimate"] == pytest.approx(-row["estimate"])


def test_the_denominator_of_the_smd_does_not_move_with_the_weights() -> None:
    values = np.array([1.0, 3.0, 5.0, 2.0, 4.0])
    treated = np.array([True, True, True, False, False])
    weights = np.array([2.0, 1.0, 1.0, 1.0, 3.0])
    spread = sqrt((4 + 2) / 2)
    assert standardised_difference(values, treated) == pytest.approx((3 - 3) / spread)
    assert standardised_difference(values, treated, weights) == pytest.approx((10 / 4 - 14 / 4) / spread)


def test_variance_ratio_weighted_and_not() -> None:
    values = np.array([1.0, 3.0, 5.0, 2.0, 4.0])
    treated = np.array([True, True, True, False, False])
    assert variance_ratio(values, treated) == pytest.approx(4 / 2)
    weights = np.array([2.0, 1.0, 1.0, 1.0, 3.0])
    one = (2 * 1.5**2 + 0.5**2 + 2.5**2) * 4 / (16 - 6)
    zero = (1 * 1.5**2 + 3 * 0.5**2) * 4 / (16 - 10)
    assert variance_ratio(values, treated, weights) == pytest.approx(one / zero)


def test_sample_variance_of_equal_values_is_exactly_zero() -> None:
    assert sample_variance(np.full(7, 0.1)) == 0.0
    assert sample_variance(np.array([1.0, 2.0, 3.0])) == 1.0


def test_effective_sample_size_of_the_treated(model: PropensityFit) -> None:
    frame = model.effective_sample_size().frame
    assert frame["group"].tolist() == ["t", "r"]
    # ATE weights of the treated: twelve of 4/3 and eight of 3.
    assert frame["estimate"].tolist()[0] == pytest.approx((16 + 24) ** 2 / (12 * 16 / 9 + 8 * 9))
    assert frame["n"].tolist() == [20, 20]
    ones = model.effective_sample_size(np.ones(40)).frame
    assert ones["estimate"].tolist() == [20, 20]


def test_stabilised_weights_average_one_in_a_saturated_model(model: PropensityFit) -> None:
    weights = model.weights(stabilized=True)
    assert weights[model.treated].mean() == pytest.approx(1.0)
    assert weights[~model.treated].mean() == pytest.approx(1.0)
    assert weights[0] == pytest.approx(0.5 / 0.75)


def test_trimming_gives_no_weight_outside_the_bounds(data: pd.DataFrame, model: PropensityFit) -> None:
    weights = model.weights("ATE", trim=0.3)
    is_v = (data["isn_rps_class"] == "V").to_numpy()
    assert np.all(weights[is_v] == 0)
    np.testing.assert_allclose(weights[~is_v & model.treated], 3.0)
    frame = contrast(data, model.estimated_weights("ATE", trim=0.3))
    assert frame["estimate"].tolist() == pytest.approx([6 / 8, 8 / 16, 0.25, 1.5, 3.0])
    assert frame["n"].tolist() == [8, 16, 24, 24, 24]
    assert "scores outside [0.3, 0.7] trimmed" in frame["method"].iloc[0]
    assert frame["std_error"].tolist()[2] == pytest.approx(sqrt(0.75 * 0.25 / 8 + 0.25 / 16))
