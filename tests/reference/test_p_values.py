"""Protects the two-arm tests of the audit against SciPy's, count by count."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from cohort.p_values import ONE_SIDED, THREE_CATEGORY, TWO_SIDED, ComparisonTest, three_category, two_by_two

GENERATOR = np.random.default_rng(7)
N_1, N_2 = GENERATOR.integers(5, 60, 40), GENERATOR.integers(5, 60, 40)
A, C = GENERATOR.integers(1, N_1), GENERATOR.integers(1, N_2)
P = two_by_two(A, N_1, C, N_2)


@pytest.mark.parametrize("place", range(40))
def test_two_by_two_against_scipy(place: int) -> None:
    a, m, c, k = (int(x[place]) for x in (A, N_1, C, N_2))
    table = [[a, m - a], [c, k - c]]
    towards = "greater" if a * k >= c * m else "less"
    pearson = stats.chi2_contingency(table, correction=False)
    expected = {
        ComparisonTest.PEARSON: pearson.pvalue,
        ComparisonTest.N_MINUS_1: stats.chi2.sf(pearson.statistic * (m + k - 1) / (m + k), 1),
        ComparisonTest.LIKELIHOOD_RATIO: stats.chi2_contingency(
            table, correction=False, lambda_="log-likelihood"
        ).pvalue,
        ComparisonTest.FISHER: stats.fisher_exact(table).pvalue,
        ComparisonTest.FISHER_ONE_SIDED: stats.fisher_exact(table, alternative=towards).pvalue,
        ComparisonTest.PEARSON_ONE_SIDED: pearson.pvalue / 2,
    }
    for test, p in expected.items():
        assert P[test][place] == pytest.approx(p, rel=1e-9), test


@pytest.mark.parametrize("place", range(40))
def test_exact_variants_against_the_hypergeometric_distribution(place: int) -> None:
    a, m, c, k = (int(x[place]) for x in (A, N_1, C, N_2))
    law = stats.hypergeom(m + k, a + c, m)
    tail = min(law.cdf(a), law.sf(a - 1))
    assert P[ComparisonTest.FISHER_DOUBLED][place] == pytest.approx(min(2 * tail, 1.0), rel=1e-9)
    assert P[ComparisonTest.FISHER_MID_P][place] == pytest.approx(min(2 * tail - law.pmf(a), 1.0), rel=1e-9)


def test_yates_against_scipy_where_the_correction_does_not_overshoot() -> None:
    # SciPy caps the correction at |observed - expected|, as this project does.
    for a, m, c, k, p in zip(A, N_1, C, N_2, P[ComparisonTest.YATES], strict=True):
        assert p == pytest.approx(stats.chi2_contingency([[a, m - a], [c, k - c]], correction=True).pvalue, rel=1e-9)


def test_wald_tests_against_their_formulas() -> None:
    a, m, c, k = (x.astype(float) for x in (A, N_1, C, N_2))
    p_1, p_2 = a / m, c / k
    z = (p_1 - p_2) / np.sqrt(p_1 * (1 - p_1) / m + p_2 * (1 - p_2) / k)
    np.testing.assert_allclose(P[ComparisonTest.WALD_UNPOOLED], 2 * stats.norm.sf(np.abs(z)), rtol=1e-9)
    log_odds = np.log(a / (m - a)) - np.log(c / (k - c))
    se = np.sqrt(1 / a + 1 / (m - a) + 1 / c + 1 / (k - c))
    np.testing.assert_allclose(P[ComparisonTest.WALD_LOGIT], 2 * stats.norm.sf(np.abs(log_odds / se)), rtol=1e-9)


def test_three_categories_against_scipy() -> None:
    for place in range(40):
        m, k = int(N_1[place]), int(N_2[place])
        one = GENERATOR.multinomial(m, [0.5, 0.3, 0.2])
        other = GENERATOR.multinomial(k, [0.4, 0.3, 0.3])
        p = three_category(*(np.array([x]) for x in (one[0], one[1], m, other[0], other[1], k)))
        seen = (one + other) > 0
        expected = stats.chi2_contingency([one[seen], other[seen]], correction=False).pvalue
        assert p[ComparisonTest.PEARSON_THREE_CATEGORY][0] == pytest.approx(expected, rel=1e-9)
        ranks = [np.repeat([3, 2, 1], arm) for arm in (one, other)]
        expected = stats.mannwhitneyu(*ranks, method="asymptotic", use_continuity=False).pvalue
        assert p[ComparisonTest.MANN_WHITNEY][0] == pytest.approx(expected, rel=1e-9)


def test_undefined_tests_are_missing_not_significant() -> None:
    nobody = two_by_two(np.array([0]), np.array([5]), np.array([0]), np.array([7]))
    for test in (
        ComparisonTest.PEARSON,
        ComparisonTest.YATES,
        ComparisonTest.LIKELIHOOD_RATIO,
        ComparisonTest.WALD_LOGIT,
    ):
        assert np.isnan(nobody[test][0])
    assert nobody[ComparisonTest.FISHER][0] == 1.0
    one_empty_cell = two_by_two(np.array([0]), np.array([5]), np.array([3]), np.array([7]))
    assert np.isnan(one_empty_cell[ComparisonTest.WALD_LOGIT][0])
    assert one_empty_cell[ComparisonTest.PEARSON][0] == pytest.approx(
        stats.chi2_contingency([[0, 5], [3, 4]], correction=False).pvalue
    )
    all_alike = three_category(*(np.array([x]) for x in (0, 0, 5, 0, 0, 7)))
    assert all(np.isnan(all_alike[test][0]) for test in THREE_CATEGORY)


def test_only_the_tests_asked_for_in_that_order() -> None:
    tests = [ComparisonTest.FISHER, ComparisonTest.PEARSON]
    assert list(two_by_two(A, N_1, C, N_2, tests=tests)) == tests
    assert list(P) == [*TWO_SIDED, *ONE_SIDED]
    assert all(len(p) == 0 for p in two_by_two(A[:0], N_1[:0], C[:0], N_2[:0]).values())
