"""Protects response rates, comparisons and marginal models against truths worked out on paper."""

from __future__ import annotations

from math import comb, exp, log, sqrt

import numpy as np
import pandas as pd
import pytest

from analyses.kernels.proportions import (
    fisher_exact,
    logit_interval,
    newcombe_difference,
    normal_quantile,
    wilson_interval,
)
from analyses.longitudinal import fit_gee, marginal_response
from analyses.response import compare_rates, response_rates

Z = 1.959963984540054


def cohort(counts: dict[tuple[str, int], tuple[int, int, int]]) -> pd.DataFrame:
    """One row per patient and visit from (CR, PR, NR) counts of each arm and month."""
    rows = []
    for (arm, month), (complete, partial, none) in counts.items():
        responses = ["CR"] * complete + ["PR"] * partial + ["NR"] * none
        rows += [(f"{arm}{number}", arm, month, response) for number, response in enumerate(responses)]
    return pd.DataFrame(rows, columns=["patient_id", "arm", "visit_month", "response"])


@pytest.mark.parametrize(
    ("events", "patients", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_intervals_printed_by_newcombe_1998(events: int, patients: int, low: float, high: float) -> None:
    interval = wilson_interval(events, patients)
    assert (round(float(interval.low), 4), round(float(interval.high), 4)) == (low, high)


@pytest.mark.parametrize(
    ("counts", "low", "high"),
    [
        ((56, 70, 48, 80), 0.0524, 0.3339),
        ((9, 10, 3, 10), 0.1705, 0.8090),
        ((6, 7, 2, 7), 0.0582, 0.8062),
        ((5, 56, 0, 29), -0.0381, 0.1926),
        ((0, 10, 0, 20), -0.1611, 0.2775),
        ((0, 10, 0, 10), -0.2775, 0.2775),
        ((10, 10, 0, 20), 0.6791, 1.0),
        ((10, 10, 0, 10), 0.6075, 1.0),
    ],
)
def test_score_intervals_of_differences_printed_by_newcombe_1998(
    counts: tuple[int, int, int, int], low: float, high: float
) -> None:
    interval = newcombe_difference(*counts)
    assert (round(float(interval.low), 4), round(float(interval.high), 4)) == (low, high)


def test_wilson_limits_solve_the_score_equation() -> None:
    for limit in (wilson_interval(7, 31).low, wilson_interval(7, 31).high):
        p = float(limit)
        assert abs(7 / 31 - p) / sqrt(p * (1 - p) / 31) == pytest.approx(Z, rel=1e-12)


def test_fisher_of_the_tea_tasting() -> None:
    assert fisher_exact(3, 4, 1, 4) == pytest.approx(34 / 70, rel=1e-12)
    assert fisher_exact(4, 4, 0, 4) == pytest.approx(2 / 70, rel=1e-12)


def test_rates_count_what_the_outcome_names() -> None:
    data = cohort({("tacrolimus", 6): (3, 2, 5), ("no_tacrolimus", 6): (1, 4, 5), ("tacrolimus", 12): (4, 0, 0)})
    frames = {outcome: response_rates(data, outcome=outcome).frame for outcome in ("CR", "PR", "CR or PR")}
    assert frames["CR"]["estimate"].tolist()[0] == 0.1
    assert frames["PR"]["n_events"].tolist() == [4, 0, 2, 0]
    both = frames["CR or PR"]
    assert both[["group", "time"]].to_numpy().tolist() == [
        ["no_tacrolimus", 6], ["no_tacrolimus", 12], ["tacrolimus", 6], ["tacrolimus", 12],
    ]  # fmt: skip
    assert both["n"].tolist() == [10, 0, 10, 4]
    assert both["estimate"].tolist()[2:] == [0.5, 1.0]
    assert both["conf_high"].tolist()[3] == 1.0
    assert set(both["time_unit"]) == {"month"}
    assert both["note"].tolist()[1] == "no patient of this group at this time"
    assert both["note"].isna().tolist() == [True, False, True, True]


def test_comparison_of_eight_of_twenty_with_four_of_twenty() -> None:
    data = cohort({("a", 6): (8, 0, 12), ("b", 6): (4, 0, 16)})
    table = compare_rates(data, reference="b").frame.set_index("statistic")
    assert set(table["contrast"]) == {"a v b"}
    assert table.loc["risk_difference", "estimate"] == pytest.approx(0.2)
    assert table.loc["risk_difference", "method"] == "Newcombe hybrid score interval"
    assert table.loc["risk_ratio", "estimate"] == pytest.approx(2)
    assert table.loc["risk_ratio", "std_error"] == pytest.approx(sqrt(0.275))
    assert table.loc["risk_ratio", "conf_low"] == pytest.approx(exp(log(2) - Z * sqrt(0.275)))
    assert table.loc["odds_ratio", "estimate"] == pytest.approx(8 / 3)
    assert table.loc["odds_ratio", "conf_high"] == pytest.approx(
        exp(log(8 / 3) + Z * sqrt(1 / 8 + 1 / 12 + 1 / 4 + 1 / 16))
    )
    assert table.loc["chi_square", "estimate"] == pytest.approx(40 * 80**2 / (20 * 20 * 12 * 28))
    # Arms of one size make the hypergeometric symmetric: both tails are those of eight events or more.
    tail = sum(comb(20, k) * comb(20, 12 - k) for k in range(8, 13)) / comb(40, 12)
    assert table.loc["fisher_exact", "p_value"] == pytest.approx(2 * tail, rel=1e-12)
    assert table["n"].tolist() == [40] * 5
    assert table["n_events"].tolist() == [12] * 5


def test_gee_with_an_intercept_alone_is_the_ratio_estimator_of_clusters() -> None:
    data = pd.DataFrame({"id": ["a", "a", "b", "b", "b", "c"], "y": [1, 1, 0, 1, 0, 0]})
    data["x"] = [0, 0, 0, 0, 0, 1]
    fit = fit_gee(data[data["id"] != "c"], "y ~ 1", subject_col="id").tidy().frame.iloc[0]
    p = 3 / 5
    # Sums of residuals: subject a 2 - 2p, subject b 1 - 3p; information 5 p (1 - p).
    std_error = sqrt((2 - 2 * p) ** 2 + (1 - 3 * p) ** 2) / (5 * p * (1 - p))
    assert fit["estimate"] == pytest.approx(log(p / (1 - p)), rel=1e-9)
    assert fit["std_error"] == pytest.approx(std_error, rel=1e-9)
    assert fit["statistic"] == "log_odds"


def test_exchangeable_correlation_of_balanced_gaussian_pairs() -> None:
    data = pd.DataFrame({"id": [0, 0, 1, 1, 2, 2], "y": [1.0, 2.0, 4.0, 3.0, 2.0, 6.0]})
    fit = fit_gee(data, "y ~ 1", subject_col="id", family="gaussian", correlation="exchangeable")
    residual = data["y"].to_numpy() - 3.0
    assert fit.coefficients[0] == pytest.approx(3.0, rel=1e-12)
    assert fit.scale == pytest.approx(np.mean(residual**2), rel=1e-12)
    pairs = residual[0::2] * residual[1::2]
    assert fit.working_correlation == pytest.approx(pairs.mean() / np.mean(residual**2), rel=1e-12)


def test_unadjusted_marginal_response_is_the_observed_rate_with_its_binomial_variance() -> None:
    data = cohort({("a", 6): (6, 0, 2), ("b", 6): (2, 0, 6), ("a", 12): (4, 0, 4), ("b", 12): (0, 0, 6)})
    frame = marginal_response(data, reference="b").frame
    rows = frame[frame["statistic"] == "standardised_proportion"].set_index(["group", "time"])
    six = rows.loc[("a", 6.0)]
    assert six["estimate"] == pytest.approx(0.75)
    assert six["std_error"] == pytest.approx(sqrt(0.75 * 0.25 / 8))
    interval = logit_interval(0.75, sqrt(0.75 * 0.25 / 8))
    assert six["conf_low"] == pytest.approx(float(interval.low))
    difference = frame[(frame["statistic"] == "standardised_risk_difference") & (frame["time"] == 6)].iloc[0]
    assert difference["estimate"] == pytest.approx(0.5)
    assert difference["std_error"] == pytest.approx(sqrt(2 * 0.75 * 0.25 / 8))
    flat = rows.loc[("b", 12.0)]
    assert flat["estimate"] == 0.0
    assert np.isnan(flat["conf_low"])
    assert flat["note"] == "no event in b: no interval"
    late = frame[(frame["statistic"] == "standardised_risk_difference") & (frame["time"] == 12)].iloc[0]
    assert late["estimate"] == pytest.approx(0.5)
    assert np.isnan(late["std_error"])
    assert late["note"] == "no event in b: no interval"


def test_standardisation_over_a_binary_covariate_is_direct_standardisation() -> None:
    # Odds 1 and 9 in arm a, 1/3 and 3 in arm b: severity multiplies the odds by nine in both, as the model supposes.
    strata = {("a", 0): (1, 2), ("a", 1): (9, 10), ("b", 0): (3, 12), ("b", 1): (6, 8)}
    rows = [
        (f"{arm}{x}{i}", arm, x, 6, "CR" if i < events else "NR")
        for (arm, x), (events, patients) in strata.items()
        for i in range(patients)
    ]
    data = pd.DataFrame(rows, columns=["patient_id", "arm", "severe", "visit_month", "response"])
    frame = marginal_response(data, reference="b", adjust="severe").frame
    severe = 18 / 32
    assert frame["estimate"].tolist() == pytest.approx(
        [
            (1 - severe) * 1 / 2 + severe * 9 / 10,
            (1 - severe) * 1 / 4 + severe * 3 / 4,
            (1 - severe) * 1 / 4 + severe * 3 / 20,
        ],
        rel=1e-9,
    )


def test_normal_quantile_of_the_usual_level() -> None:
    assert normal_quantile(0.95) == pytest.approx(Z, rel=1e-15)
