"""Protects marginal models by truths small enough to derive on paper, each in the docstring of its test."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analyses.kernels.cumulative_logit import fit_cumulative_logit
from analyses.longitudinal import GeeFit, fit_gee, fit_ordinal

STRUCTURES = ["independence", "exchangeable", "ar1", "unstructured"]
EXACT = 1e-9


def fit(rows: list[tuple[object, ...]], formula: str = "y ~ 1", **options: object) -> GeeFit:
    """Fit to rows of subject, visit, outcome and further columns x and w."""
    data = pd.DataFrame(rows, columns=["id", "visit", "y", "x", "w"][: len(rows[0])])
    return fit_gee(data, formula, **{"subject_col": "id", "time_col": "visit", "family": "gaussian", **options})


@pytest.mark.parametrize("structure", STRUCTURES)
def test_one_row_a_subject_is_a_logistic_regression_with_hc0(structure: str) -> None:
    """Three of four events in a, one of four in b: the log odds are ln 3 and -ln 3.

    The information of a cell is n p q = 3/4. HC0 sums (y - p)^2 to n p q in each cell, so that its variance is
    1 / (n p q) = 4/3 of a log odds and 8/3 of their difference, as the model's is. Each row has leverage 1/4 in its
    cell: Mancl-DeRouen multiplies residuals by 4/3 (variance by 16/9), Kauermann-Carroll the variance by 4/3. No two
    rows share a subject, so there is no correlation to estimate.
    """
    rows = [(i, 0, y, x) for i, (x, y) in enumerate([("a", 1)] * 3 + [("a", 0)] + [("b", 1)] + [("b", 0)] * 3)]
    for variance, factor in (("robust", 1.0), ("mancl_derouen", 16 / 9), ("kauermann_carroll", 4 / 3)):
        fitted = fit(rows, "y ~ x", family="binomial", correlation=structure, variance=variance)
        assert fitted.coefficients == pytest.approx([np.log(3), -2 * np.log(3)], rel=EXACT)
        assert np.diag(fitted.covariance) == pytest.approx([4 / 3 * factor, 8 / 3 * factor], rel=EXACT)
    glance = fitted.glance().frame.iloc[0]
    if structure in ("exchangeable", "ar1"):
        assert np.isnan(glance["estimate"])
        assert glance["note"] == "no correlation: no two rows of a subject"


def test_exchangeable_with_a_pair_and_a_single() -> None:
    """One subject with residuals t and 1, one with residual s, about a mean of 0.

    The estimating equation is (t + 1) / (1 + alpha) + s = 0, the scale is (t^2 + 1 + s^2) / 3 and alpha = t / scale.
    With alpha = 1/2 the first gives s = -(t + 1) / 1.5 and the last 13 t^2 - 46 t + 13 = 0: t = (23 + 6 sqrt 10) / 13.
    The information (without scale) is 2 / 1.5 + 1 = 7/3; the scores are (t + 1) / 1.5 and minus that.
    """
    t = (23 + 6 * np.sqrt(10)) / 13
    s = (t + 1) / 1.5
    fitted = fit([("p", 0, t), ("p", 1, 1.0), ("q", 0, -s)], correlation="exchangeable")
    assert fitted.coefficients == pytest.approx([0.0], abs=EXACT)
    assert fitted.working_correlation == pytest.approx([0.5], rel=EXACT)
    assert fitted.scale == pytest.approx(2 * t, rel=EXACT)
    assert fitted.covariance.item() == pytest.approx(2 * s**2 / (7 / 3) ** 2, rel=EXACT)


def test_ar1_takes_the_square_root_over_a_missed_visit() -> None:
    """Eight subjects seen at visits 1 and 3 with residuals of size 1, of which six agree in sign and two do not.

    The mean product of residuals is (6 - 2) / 8 = 1/2 and the scale 1, so that alpha^2 = 1/2, taken as positive. Two
    subjects seen at visit 2 alone only make it a visit, so that 1 and 3 are two apart.
    """
    pairs = [(1, 1), (-1, -1)] * 3 + [(1, -1), (-1, 1)]
    rows: list[tuple[object, ...]] = [("y", 2, 1.0), ("z", 2, -1.0)]
    rows += [(f"p{i}", m, float(y)) for i, pair in enumerate(pairs) for m, y in zip((1, 3), pair, strict=True)]
    fitted = fit(rows, correlation="ar1")
    assert fitted.coefficients == pytest.approx([0.0], abs=EXACT)
    assert fitted.working_correlation == pytest.approx([np.sqrt(0.5)], rel=EXACT)
    table = fitted.correlations().frame
    assert table["term"].tolist() == ["1 v 2", "1 v 3", "2 v 3"]
    assert table["estimate"].tolist() == pytest.approx([np.sqrt(0.5), 0.5, np.sqrt(0.5)], rel=EXACT)


def test_unstructured_is_the_product_moment_of_each_pair() -> None:
    """Residuals of size 1 at three visits, never the first and the third in one subject.

    The first and second visit agree in three of four subjects, (3 - 1) / 4 = 1/2; the second and third in one of
    four, (1 - 3) / 4 = -1/2; nobody is seen at both the first and the third, whose correlation is not estimated and
    not needed. The second visits sum to 0 within each kind, so that the mean stays 0 by symmetry of the rest.
    """
    early = [(1, 1), (-1, -1), (1, 1), (-1, -1), (1, 1), (-1, -1), (1, -1), (-1, 1)]
    late = [(1, -1), (-1, 1), (1, -1), (-1, 1), (1, -1), (-1, 1), (1, 1), (-1, -1)]
    rows: list[tuple[object, ...]] = []
    for kind, visits, pairs in (("e", (1, 2), early), ("l", (2, 3), late)):
        rows += [(f"{kind}{i}", m, float(y)) for i, p in enumerate(pairs) for m, y in zip(visits, p, strict=True)]
    fitted = fit(rows, correlation="unstructured")
    assert fitted.note == ""
    table = fitted.correlations().frame
    assert table["estimate"].tolist() == pytest.approx([0.5, np.nan, -0.5], rel=EXACT, nan_ok=True)
    assert table["note"].tolist() == [pd.NA, "no correlation: no subject has both visits", pd.NA]


def test_corrections_of_a_mean_divide_by_what_the_subject_leaves_to_others() -> None:
    """The mean of 6 rows of subjects of 3, 2 and 1: leverages are 1/2, 1/3 and 1/6.

    Residuals about the mean 3 sum to 3, -2 and -1 over the subjects. The sandwich is (9 + 4 + 1) / 36. Mancl-DeRouen
    divides each sum by 1 - leverage, (36 + 9 + 36/25) / 36; Kauermann-Carroll each square, (18 + 6 + 6/5) / 36.
    """
    rows = [("p", 0, 5.0), ("p", 1, 4.0), ("p", 2, 3.0), ("q", 0, 1.0), ("q", 1, 3.0), ("r", 0, 2.0)]
    expected = {"robust": 14.0, "mancl_derouen": 36 + 9 + 36 / 25, "kauermann_carroll": 18 + 6 + 6 / 5}
    for variance, total in expected.items():
        assert fit(rows, variance=variance).covariance.item() == pytest.approx(total / 36, rel=EXACT)


def test_a_weighted_proportion_and_its_sandwich() -> None:
    """Weights 3 and 1 on an event and none of one subject, 2 on the event of another and 2 on none of a third.

    The weighted share is 5/8. Weighted residuals sum to 3 * 3/8 - 5/8 = 1/2, 2 * 3/8 = 3/4 and -2 * 5/8 = -5/4. On the
    log-odds scale the variance is (1/4 + 9/16 + 25/16) / (8 * 15/64)^2.
    """
    rows = [("p", 0, 1, 0, 3.0), ("p", 1, 0, 0, 1.0), ("q", 0, 1, 0, 2.0), ("r", 0, 0, 0, 2.0)]
    fitted = fit(rows, family="binomial", weights_col="w")
    assert fitted.coefficients == pytest.approx([np.log(5 / 3)], rel=EXACT)
    assert fitted.covariance.item() == pytest.approx((1 / 4 + 9 / 16 + 25 / 16) / (15 / 8) ** 2, rel=EXACT)


def test_a_rate_with_an_offset() -> None:
    """Counts of 2, 4 and 3 over 1, 2 and 6 years: the rate is 9 / 9 = 1 a year.

    Residuals are 2 - 1, 4 - 2 and 3 - 6; the information is the expected total 9, the variance (1 + 4 + 9) / 81.
    """
    data = pd.DataFrame({"id": ["p", "q", "r"], "y": [2, 4, 3], "log_years": np.log([1.0, 2.0, 6.0])})
    fitted = fit_gee(data, "y ~ 1", subject_col="id", family="poisson", offset_col="log_years")
    assert fitted.coefficients == pytest.approx([0.0], abs=EXACT)
    assert fitted.covariance.item() == pytest.approx(14 / 81, rel=EXACT)
    assert fitted.augment(data)["fitted"].tolist() == pytest.approx([1.0, 2.0, 6.0], rel=EXACT)


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("events", ["none", "all", "none in one arm"])
def test_outcomes_without_variation_are_rows_with_a_note(structure: str, events: str) -> None:
    """No events, or only events, leave nothing to model; an arm without events has log odds of minus infinity."""
    rows: list[tuple[object, ...]] = []
    for i in range(8):
        arm = "ab"[i % 2]
        y = {"none": (0, 0), "all": (1, 1), "none in one arm": (int(arm == "a" and i < 4), int(arm == "a" and i < 6))}
        rows += [(i, m, y[events][m], arm) for m in range(2)]
    frame = fit(rows, "y ~ x", family="binomial", correlation=structure).tidy().frame
    assert frame[["estimate", "std_error", "conf_low", "p_value"]].isna().all(axis=None)
    expected = "separated by x=b" if events == "none in one arm" else "the outcome is the same in every row"
    assert frame["note"].str.contains(expected).all()


def test_one_subject_alone_in_an_arm_has_no_corrected_variance() -> None:
    """Its leverage is one and its residuals sum to zero, so that the correction divides zero by zero.

    The plain sandwich goes on, taking that arm's mean as known without error: residuals of the other arm, about 6,
    sum to -2, -1 and 3 over its subjects, and 4 + 1 + 9 over 4^2 is the variance of both coefficients.
    """
    rows: list[tuple[object, ...]] = [("p", 0, 1.0, "b"), ("p", 1, 2.0, "b"), ("q", 0, 4.0, "a"), ("r", 0, 5.0, "a")]
    rows += [("s", 0, 7.0, "a"), ("s", 1, 8.0, "a")]
    assert fit(rows, "y ~ x").tidy().frame["std_error"].tolist() == pytest.approx([np.sqrt(14) / 4] * 2, rel=EXACT)
    for variance in ("mancl_derouen", "kauermann_carroll"):
        frame = fit(rows, "y ~ x", variance=variance).tidy().frame
        assert frame["estimate"].tolist() == pytest.approx([6.0, -4.5], rel=EXACT)
        assert frame["std_error"].isna().all()
        assert frame["note"].str.startswith("no standard error: one subject alone determines a coefficient").all()


def test_standardised_curves_of_a_saturated_model_are_the_observed_shares() -> None:
    """Arms a and b of four at visits 1 and 2: 2, 3 and 1, 2 events of four.

    Without covariates the standardised proportions are the shares 1/2, 3/4, 1/4, 1/2, with p q / 4 as their sandwich
    variance (each cell its own mean of independent subjects). The difference of b from a at visit 2 is -1/4; both
    arms being of different people, its variance is (3/16 + 4/16) / 4.
    """
    shares = {("a", 1): 2, ("a", 2): 3, ("b", 1): 1, ("b", 2): 2}
    rows = [(f"{x}{i}", m, int(i < k), x) for (x, m), k in shares.items() for i in range(4)]
    data = pd.DataFrame(rows, columns=["id", "visit", "y", "arm"])
    fitted = fit_gee(data, "y ~ arm * visit", subject_col="id")
    table = fitted.marginal_response(data, by="arm", time_col="visit", reference="a").frame
    curve, difference = table.iloc[:4], table.iloc[4:]
    assert curve["estimate"].tolist() == pytest.approx([0.5, 0.75, 0.25, 0.5], rel=EXACT)
    assert (curve["std_error"] ** 2).tolist() == pytest.approx([1 / 16, 3 / 64, 3 / 64, 1 / 16], rel=EXACT)
    assert curve["n_events"].tolist() == [2, 3, 1, 2]
    assert difference["estimate"].tolist() == pytest.approx([-0.25, -0.25], rel=EXACT)
    assert difference["std_error"].iloc[1] ** 2 == pytest.approx(7 / 64, rel=EXACT)
    assert difference["contrast"].tolist() == ["b v a"] * 2


def test_an_arm_not_seen_at_a_visit_is_extrapolated_and_said_so() -> None:
    """Arm b is never seen at visit 2: the additive model has a value there, and the table says that nobody backs it."""
    rows = [(f"{x}{i}", m, float((i + m) ** 2), x) for x, m in (("a", 1), ("a", 2), ("b", 1)) for i in range(3)]
    data = pd.DataFrame(rows, columns=["id", "visit", "y", "arm"])
    fitted = fit_gee(data, "y ~ arm + visit", subject_col="id", family="gaussian")
    table = fitted.marginal_response(data, by="arm", time_col="visit", reference="a").frame
    empty = table[(table["n"] == 0) | (table["statistic"].eq("standardised_mean_difference") & (table["time"] == 2))]
    assert len(empty) == 2
    assert empty["note"].str.contains("extrapolated by the model").all()
    assert table.drop(empty.index)["note"].isna().all()


def ordinal_rows(cells: dict[str, tuple[int, int, int]], copies: int = 1) -> pd.DataFrame:
    rows = [
        (f"{arm}{k}{i}", arm, code)
        for arm, counts in cells.items()
        for k, (code, count) in enumerate(zip(("NR", "PR", "CR"), counts, strict=True))
        for i in range(count)
        for _ in range(copies)
    ]
    return pd.DataFrame(rows, columns=["id", "arm", "response"])


PROPORTIONAL = {"a": (4, 2, 2), "b": (2, 2, 4)}


def test_proportional_odds_that_hold_exactly() -> None:
    """Arm a has NR, PR, CR in 4, 2, 2 of eight, arm b in 2, 2, 4.

    Odds of at most NR are 1 and 1/3, of at most PR 3 and 1: in both cuts three times as high in a. So the thresholds
    are 0 and ln 3, the log odds ratio of a higher category ln 3, the fitted shares the observed ones and the slopes of
    the two cuts equal, with a chi-square of 0.
    """
    data = ordinal_rows(PROPORTIONAL)
    fitted = fit_ordinal(data, "response ~ arm")
    assert fitted.tidy().frame["estimate"].tolist() == pytest.approx([0.0, np.log(3), np.log(3)], abs=EXACT)
    odds = fitted.tidy(exponentiate=True).frame
    assert odds["statistic"].tolist() == ["odds", "odds", "odds_ratio"]
    assert odds["estimate"].tolist() == pytest.approx([1.0, 3.0, 3.0], rel=EXACT)
    table = fitted.marginal_probabilities(data, by="arm", reference="a").frame
    shares = table[table["statistic"] == "standardised_proportion"]
    assert shares["term"].tolist() == ["NR", "NR", "PR", "PR", "CR", "CR"]
    assert shares["estimate"].tolist() == pytest.approx([0.5, 0.25, 0.25, 0.25, 0.25, 0.5], rel=EXACT)
    assert table["estimate"].iloc[6:].tolist() == pytest.approx([-0.25, 0.0, 0.25], abs=EXACT)
    test = fitted.test_proportional_odds().frame
    assert test["term"].tolist() == ["arm", "GLOBAL"]
    assert test["estimate"].tolist() == pytest.approx([0.0, 0.0], abs=EXACT)
    assert test["p_value"].tolist() == pytest.approx([1.0, 1.0], abs=EXACT)


def test_thresholds_alone_are_the_log_odds_of_cumulative_shares() -> None:
    """Shares 3/10, 3/10, 4/10: thresholds logit 0.3 and logit 0.6.

    Cumulative shares F have variances F (1 - F) / 10 and covariance F1 (1 - F2) / 10; on the log-odds scale these are
    divided by the products of the two F (1 - F).
    """
    category = np.repeat([0, 1, 2], [3, 3, 4])
    fitted = fit_cumulative_logit(np.empty((10, 0)), category, np.ones(10))
    assert fitted.thresholds == pytest.approx([np.log(3 / 7), np.log(3 / 2)], rel=EXACT)
    inverse = np.linalg.inv(fitted.information)
    expected = [[1 / 2.1, 0.3 * 0.4 / 10 / (0.21 * 0.24)], [0.3 * 0.4 / 10 / (0.21 * 0.24), 1 / 2.4]]
    np.testing.assert_allclose(inverse, expected, rtol=EXACT)
    sandwich = inverse @ fitted.scores.T @ fitted.scores @ inverse
    np.testing.assert_allclose(sandwich, expected, rtol=EXACT)


@pytest.mark.parametrize("copies", [2, 3])
def test_copies_of_a_row_within_a_subject_add_nothing(copies: int) -> None:
    """Rows repeated within their subject leave the clustered sandwich where it was; the inverse information shrinks."""
    once = fit_ordinal(ordinal_rows(PROPORTIONAL), "response ~ arm", subject_col="id")
    again = fit_ordinal(ordinal_rows(PROPORTIONAL, copies), "response ~ arm", subject_col="id")
    alone = fit_ordinal(ordinal_rows(PROPORTIONAL, copies), "response ~ arm")
    np.testing.assert_allclose(again.covariance, once.covariance, rtol=EXACT)
    model = fit_ordinal(ordinal_rows(PROPORTIONAL), "response ~ arm").covariance
    np.testing.assert_allclose(alone.covariance, model / copies, rtol=EXACT)


def test_two_categories_are_a_logistic_regression() -> None:
    """With PR empty the model is logistic in CR v NR: 4 v 2 and 2 v 4, log odds ratio ln 4, and the note names PR."""
    data = ordinal_rows({"a": (4, 0, 2), "b": (2, 0, 4)})
    fitted = fit_ordinal(data, "response ~ arm")
    assert fitted.terms == ("NR|CR", "arm=b")
    assert fitted.coefficients == pytest.approx([np.log(4)], rel=EXACT)
    assert np.diag(fitted.covariance)[1] == pytest.approx(2 * (1 / 4 + 1 / 2), rel=EXACT)
    assert fitted.note == "no row in PR: the other categories are modelled"
    test = fitted.test_proportional_odds().frame
    assert test["estimate"].isna().all()
    assert test["note"].str.startswith("no test: two categories").all()


@pytest.mark.parametrize(
    ("cells", "why"),
    [
        ({"a": (6, 2, 0), "b": (0, 0, 8)}, "the outcome is separated by arm=b: no finite estimate"),
        ({"a": (5, 0, 0), "b": (4, 0, 0)}, "the outcome is the same in every row: nothing to model"),
    ],
)
def test_ordinal_outcomes_without_finite_estimate(cells: dict[str, tuple[int, int, int]], why: str) -> None:
    """All of b at the top, or one category only: no number, a reason in every table."""
    data = ordinal_rows(cells)
    fitted = fit_ordinal(data, "response ~ arm", subject_col="id")
    tables = [fitted.tidy(), fitted.glance(), fitted.test_proportional_odds(), fitted.test_terms("arm")]
    tables.append(fitted.marginal_probabilities(data, by="arm"))
    for table in tables:
        assert table.frame["estimate"].isna().all()
        assert table.frame["note"].str.startswith(why).all()
