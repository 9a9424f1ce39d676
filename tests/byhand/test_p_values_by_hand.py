"""Protects the audit's tests with tables small enough to work out on paper."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cohort.p_values import ComparisonTest, three_category, two_by_two


def test_three_of_four_against_one_of_four() -> None:
    # Margins 4, 4; 4 events of 8. Hypergeometric weights of 0..4 events: 1, 16, 36, 16, 1 of 70; observed 3.
    p = {test: float(x[0]) for test, x in two_by_two(*(np.array([x]) for x in (3, 4, 1, 4))).items()}
    assert p[ComparisonTest.FISHER] == pytest.approx((1 + 16 + 16 + 1) / 70)
    assert p[ComparisonTest.FISHER_ONE_SIDED] == pytest.approx(17 / 70)
    assert p[ComparisonTest.FISHER_DOUBLED] == pytest.approx(34 / 70)
    assert p[ComparisonTest.FISHER_MID_P] == pytest.approx(2 * (1 + 8) / 70)
    # Expected counts are all 2, so chi-square = 4 * 1 / 2 = 2; corrected 4 * 0.25 / 2 = 0.5.
    assert p[ComparisonTest.PEARSON] == pytest.approx(math.erfc(math.sqrt(2 / 2)))
    assert p[ComparisonTest.YATES] == pytest.approx(math.erfc(math.sqrt(0.5 / 2)))
    assert p[ComparisonTest.N_MINUS_1] == pytest.approx(math.erfc(math.sqrt(2 * 7 / 8 / 2)))
    # Difference 0.5; variance 2 * 3/16/4 = 3/32; z^2 = 8/3. Log odds ratio log 9, variance 8/3.
    assert p[ComparisonTest.WALD_UNPOOLED] == pytest.approx(math.erfc(math.sqrt(8 / 3 / 2)))
    assert p[ComparisonTest.WALD_LOGIT] == pytest.approx(math.erfc(math.log(9) / math.sqrt(8 / 3) / math.sqrt(2)))
    # G = 2 * (2 * 3 log(3/2) + 2 * log(1/2)).
    g = 2 * (6 * math.log(1.5) + 2 * math.log(0.5))
    assert p[ComparisonTest.LIKELIHOOD_RATIO] == pytest.approx(math.erfc(math.sqrt(g / 2)))


def test_two_filled_categories_leave_one_degree_of_freedom() -> None:
    three = three_category(*(np.array([x]) for x in (3, 1, 4, 1, 3, 4)))
    assert three[ComparisonTest.PEARSON_THREE_CATEGORY][0] == pytest.approx(math.erfc(1.0))


def test_all_complete_against_all_none() -> None:
    # Mann-Whitney U = 4, mean 2, variance 2*2/12 * (5 - 12/12) = 4/3; z^2 = 3. Chi-square 4.
    p = three_category(*(np.array([x]) for x in (2, 0, 2, 0, 0, 2)))
    assert p[ComparisonTest.MANN_WHITNEY][0] == pytest.approx(math.erfc(math.sqrt(3 / 2)))
    assert p[ComparisonTest.PEARSON_THREE_CATEGORY][0] == pytest.approx(math.erfc(math.sqrt(4 / 2)))
