"""p-values of two arms' counts under every unadjusted test a paper may have used, for many counts at once.

The tests of a 2 x 2 table take ``events_1`` out of ``n_1`` and ``events_2`` out of ``n_2``; those of three ordered
categories take complete and partial responders out of each. A test that is not defined at some counts (an empty
margin, an empty cell for the logit) gives NaN there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from enum import StrEnum

import numpy as np

from cohort.rounding import Floats, Integers


class ComparisonTest(StrEnum):
    """Unadjusted tests of two arms. One-sided tests look towards the observed direction."""

    PEARSON = "pearson"
    """Pearson's chi-square, no continuity correction."""
    YATES = "yates"
    """Pearson's chi-square with Yates's continuity correction."""
    N_MINUS_1 = "n_minus_1"
    """Pearson's chi-square times (N - 1) / N; Campbell, doi 10.1002/sim.2832."""
    LIKELIHOOD_RATIO = "likelihood_ratio"
    """Likelihood-ratio chi-square (G)."""
    FISHER = "fisher"
    """Fisher's exact test: all tables no more likely than the observed one."""
    FISHER_MID_P = "fisher_mid_p"
    """Twice the smaller tail counting half the probability of the observed table, at most 1 (Lancaster's mid-p)."""
    FISHER_DOUBLED = "fisher_doubled"
    """Twice the smaller tail of the hypergeometric distribution, at most 1."""
    WALD_UNPOOLED = "wald_unpooled"
    """Difference in proportions over its unpooled standard error, normal."""
    WALD_LOGIT = "wald_logit"
    """Log odds ratio over its standard error, normal."""
    PEARSON_ONE_SIDED = "pearson_one_sided"
    YATES_ONE_SIDED = "yates_one_sided"
    LIKELIHOOD_RATIO_ONE_SIDED = "likelihood_ratio_one_sided"
    FISHER_ONE_SIDED = "fisher_one_sided"
    WALD_UNPOOLED_ONE_SIDED = "wald_unpooled_one_sided"
    PEARSON_THREE_CATEGORY = "pearson_three_category"
    """Pearson's chi-square of complete, partial and no response by arm (2 degrees of freedom)."""
    MANN_WHITNEY = "mann_whitney"
    """Mann-Whitney test of the three ordered categories, normal with correction for ties, not for continuity."""


TEST_NAMES = {
    ComparisonTest.PEARSON: "Pearson",
    ComparisonTest.YATES: "Yates",
    ComparisonTest.N_MINUS_1: "N - 1",
    ComparisonTest.LIKELIHOOD_RATIO: "likelihood ratio",
    ComparisonTest.FISHER: "Fisher",
    ComparisonTest.FISHER_MID_P: "Fisher mid-p",
    ComparisonTest.FISHER_DOUBLED: "doubled Fisher",
    ComparisonTest.WALD_UNPOOLED: "unpooled Wald",
    ComparisonTest.WALD_LOGIT: "logit Wald",
    ComparisonTest.PEARSON_ONE_SIDED: "one-sided Pearson",
    ComparisonTest.YATES_ONE_SIDED: "one-sided Yates",
    ComparisonTest.LIKELIHOOD_RATIO_ONE_SIDED: "one-sided likelihood ratio",
    ComparisonTest.FISHER_ONE_SIDED: "one-sided Fisher",
    ComparisonTest.WALD_UNPOOLED_ONE_SIDED: "one-sided unpooled Wald",
    ComparisonTest.PEARSON_THREE_CATEGORY: "three-category Pearson",
    ComparisonTest.MANN_WHITNEY: "Mann-Whitney",
}
"""Names of the tests as readers know them."""

TWO_SIDED = (
    ComparisonTest.PEARSON,
    ComparisonTest.YATES,
    ComparisonTest.N_MINUS_1,
    ComparisonTest.LIKELIHOOD_RATIO,
    ComparisonTest.FISHER,
    ComparisonTest.FISHER_MID_P,
    ComparisonTest.FISHER_DOUBLED,
    ComparisonTest.WALD_UNPOOLED,
    ComparisonTest.WALD_LOGIT,
)
"""Two-sided tests of a 2 x 2 table."""

ONE_SIDED = (
    ComparisonTest.PEARSON_ONE_SIDED,
    ComparisonTest.YATES_ONE_SIDED,
    ComparisonTest.LIKELIHOOD_RATIO_ONE_SIDED,
    ComparisonTest.FISHER_ONE_SIDED,
    ComparisonTest.WALD_UNPOOLED_ONE_SIDED,
)
"""One-sided tests of a 2 x 2 table."""

THREE_CATEGORY = (ComparisonTest.PEARSON_THREE_CATEGORY, ComparisonTest.MANN_WHITNEY)
"""Two-sided tests of complete, partial and no response."""

# The standard library's function: importing scipy.special would cost more than all p-values of a study.
_ERFC = np.frompyfunc(math.erfc, 1, 1)

_PAIRS_AT_ONCE = 20_000
_SAME_LIKELIHOOD = 1e-7
"""Relative tolerance within which two tables are equally likely, as in R's and SciPy's Fisher test."""


def two_by_two(
    events_1: Integers,
    n_1: Integers,
    events_2: Integers,
    n_2: Integers,
    *,
    tests: Iterable[ComparisonTest] = (*TWO_SIDED, *ONE_SIDED),
) -> dict[ComparisonTest, Floats]:
    """Return the p-values of 2 x 2 tests at each pair of counts.

    Parameters
    ----------
    events_1, n_1, events_2, n_2
        Whole numbers of patients, one-dimensional and of the same length.
    tests
        Which tests, out of :data:`TWO_SIDED` and :data:`ONE_SIDED`.

    Returns
    -------
    dict
        From each test, in the order asked for, to a float array of the same length.

    Examples
    --------
    >>> p = two_by_two(np.array([46]), np.array([88]), np.array([57]), np.array([78]))
    >>> round(float(p[ComparisonTest.PEARSON][0]), 4), round(float(p[ComparisonTest.FISHER][0]), 4)
    (0.0058, 0.0066)
    """
    asked = list(tests)
    a, m, c, k = (np.asarray(x, dtype=np.float64) for x in (events_1, n_1, events_2, n_2))
    exact = _fisher(events_1, n_1, events_2, n_2) if any(test in _EXACT for test in asked) else {}
    found: dict[ComparisonTest, Floats] = {}
    for test in asked:
        if test in _EXACT:
            found[test] = exact[test]
            continue
        with np.errstate(divide="ignore", invalid="ignore"):
            tail = chi_square_tail(_STATISTICS[_HALF_OF.get(test, test)](a, m, c, k))
        found[test] = tail / 2 if test in _HALF_OF else tail
    return found


def three_category(
    complete_1: Integers,
    partial_1: Integers,
    n_1: Integers,
    complete_2: Integers,
    partial_2: Integers,
    n_2: Integers,
) -> dict[ComparisonTest, Floats]:
    """Return the p-values of the tests of three ordered categories at each pair of splits.

    Parameters
    ----------
    complete_1, partial_1, n_1, complete_2, partial_2, n_2
        Whole numbers of patients, broadcastable against each other; the third category is what remains of ``n``.

    Returns
    -------
    dict
        From each test of :data:`THREE_CATEGORY` to a float array of the common shape. A category that is empty in
        both arms is left out of the chi-square, which then has one degree of freedom; with a single category
        filled the tests are undefined (NaN).

    Examples
    --------
    >>> p = three_category(*(np.array([x]) for x in (45, 30, 91, 47, 20, 83)))
    >>> [round(float(p[test][0]), 3) for test in THREE_CATEGORY]
    [0.432, 0.526]
    """
    first = _categories(complete_1, partial_1, n_1)
    second = _categories(complete_2, partial_2, n_2)
    size_1, size_2 = np.asarray(n_1, dtype=np.float64), np.asarray(n_2, dtype=np.float64)
    total = size_1 + size_2
    statistic: Floats = np.zeros(np.broadcast(first[0], second[0]).shape)
    filled: Floats = np.zeros(statistic.shape)
    for one, other in zip(first, second, strict=True):
        together = one + other
        excess = one - together * size_1 / total
        with np.errstate(divide="ignore", invalid="ignore"):
            statistic += np.where(together > 0, excess**2 * total**2 / (size_1 * size_2 * together), 0.0)
        filled += together > 0
    p = np.select([filled == 3, filled == 2], [np.exp(-statistic / 2), chi_square_tail(statistic)], np.nan)
    return {
        ComparisonTest.PEARSON_THREE_CATEGORY: p,
        ComparisonTest.MANN_WHITNEY: _mann_whitney(first, second, size_1, size_2),
    }


def chi_square_tail(statistic: Floats) -> Floats:
    """Return the upper tail of the chi-square distribution with one degree of freedom."""
    root = np.sqrt(np.asarray(statistic, dtype=np.float64) / 2)
    return np.asarray(_ERFC(root), dtype=np.float64)


def _categories(complete: Integers, partial: Integers, n: Integers) -> tuple[Floats, Floats, Floats]:
    c, p, size = np.broadcast_arrays(*(np.asarray(x, dtype=np.float64) for x in (complete, partial, n)))
    return c, p, size - c - p


def _mann_whitney(
    first: tuple[Floats, Floats, Floats], second: tuple[Floats, Floats, Floats], n_1: Floats, n_2: Floats
) -> Floats:
    total = n_1 + n_2
    wins: Floats = (
        first[0] * (second[1] + second[2])
        + first[1] * second[2]
        + (first[0] * second[0] + first[1] * second[1] + first[2] * second[2]) / 2
    )
    ties = sum((one + other) ** 3 - (one + other) for one, other in zip(first, second, strict=True))
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = n_1 * n_2 / 12 * (total + 1 - ties / (total * (total - 1)))
        return chi_square_tail((wins - n_1 * n_2 / 2) ** 2 / variance)


def _pearson(a: Floats, m: Floats, c: Floats, k: Floats) -> Floats:
    total, events = m + k, a + c
    statistic: Floats = total * (a * k - c * m) ** 2 / (m * k * events * (total - events))
    return statistic


def _yates(a: Floats, m: Floats, c: Floats, k: Floats) -> Floats:
    total, events = m + k, a + c
    gap = np.maximum(np.abs(a * k - c * m) - total / 2, 0.0)
    statistic: Floats = total * gap**2 / (m * k * events * (total - events))
    return statistic


def _n_minus_1(a: Floats, m: Floats, c: Floats, k: Floats) -> Floats:
    return _pearson(a, m, c, k) * (m + k - 1) / (m + k)


def _likelihood_ratio(a: Floats, m: Floats, c: Floats, k: Floats) -> Floats:
    total, events = m + k, a + c
    statistic: Floats = np.zeros(np.broadcast(a, c).shape)
    for observed, size, column in (
        (a, m, events),
        (m - a, m, total - events),
        (c, k, events),
        (k - c, k, total - events),
    ):
        statistic += np.where(observed > 0, observed * np.log(observed * total / (size * column)), 0.0)
    empty_margin = (events == 0) | (events == total)
    return np.where(empty_margin, np.nan, np.maximum(2 * statistic, 0.0))


def _wald_unpooled(a: Floats, m: Floats, c: Floats, k: Floats) -> Floats:
    statistic: Floats = (a / m - c / k) ** 2 / (a * (m - a) / m**3 + c * (k - c) / k**3)
    return statistic


def _wald_logit(a: Floats, m: Floats, c: Floats, k: Floats) -> Floats:
    statistic = np.log(a * (k - c) / ((m - a) * c)) ** 2 / (1 / a + 1 / (m - a) + 1 / c + 1 / (k - c))
    empty_cell = (a == 0) | (a == m) | (c == 0) | (c == k)
    return np.where(empty_cell, np.nan, statistic)


_STATISTICS: dict[ComparisonTest, Callable[[Floats, Floats, Floats, Floats], Floats]] = {
    ComparisonTest.PEARSON: _pearson,
    ComparisonTest.YATES: _yates,
    ComparisonTest.N_MINUS_1: _n_minus_1,
    ComparisonTest.LIKELIHOOD_RATIO: _likelihood_ratio,
    ComparisonTest.WALD_UNPOOLED: _wald_unpooled,
    ComparisonTest.WALD_LOGIT: _wald_logit,
}
"""Statistics with a chi-square limit of one degree of freedom; each gives NaN where it is not defined."""

_HALF_OF = {
    ComparisonTest.PEARSON_ONE_SIDED: ComparisonTest.PEARSON,
    ComparisonTest.YATES_ONE_SIDED: ComparisonTest.YATES,
    ComparisonTest.LIKELIHOOD_RATIO_ONE_SIDED: ComparisonTest.LIKELIHOOD_RATIO,
    ComparisonTest.WALD_UNPOOLED_ONE_SIDED: ComparisonTest.WALD_UNPOOLED,
}

_EXACT = (
    ComparisonTest.FISHER,
    ComparisonTest.FISHER_MID_P,
    ComparisonTest.FISHER_DOUBLED,
    ComparisonTest.FISHER_ONE_SIDED,
)


def _fisher(events_1: Integers, n_1: Integers, events_2: Integers, n_2: Integers) -> dict[ComparisonTest, Floats]:
    """Exact p-values by summing the hypergeometric distribution, block by block to bound the memory."""
    parts = [
        _fisher_block(*(np.asarray(x[start : start + _PAIRS_AT_ONCE]) for x in (events_1, n_1, events_2, n_2)))
        for start in range(0, max(len(events_1), 1), _PAIRS_AT_ONCE)
    ]
    return {test: np.concatenate([part[test] for part in parts]) for test in parts[0]}


def _fisher_block(a: Integers, m: Integers, c: Integers, k: Integers) -> dict[ComparisonTest, Floats]:
    events = a + c
    lowest, highest = np.maximum(events - k, 0), np.minimum(events, m)
    width = int((highest - lowest).max(initial=0)) + 1
    x = lowest[:, None] + np.arange(width)
    inside = x <= highest[:, None]
    x = np.where(inside, x, lowest[:, None])
    log_factorial = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, int((m + k).max(initial=0)) + 1)))])
    y = events[:, None] - x
    log_weight = -(log_factorial[x] + log_factorial[m[:, None] - x] + log_factorial[y] + log_factorial[k[:, None] - y])
    weight = np.where(inside, np.exp(log_weight - log_weight.max(axis=1, keepdims=True)), 0.0)
    weight /= weight.sum(axis=1, keepdims=True)
    observed = weight[np.arange(len(a)), a - lowest]
    two_sided = np.where(weight <= observed[:, None] * (1 + _SAME_LIKELIHOOD), weight, 0.0).sum(axis=1)
    lower = np.where(x <= a[:, None], weight, 0.0).sum(axis=1)
    upper = np.where(x >= a[:, None], weight, 0.0).sum(axis=1)
    towards = np.where(a * k >= c * m, upper, lower)
    return {
        ComparisonTest.FISHER: np.minimum(two_sided, 1.0),
        ComparisonTest.FISHER_MID_P: np.minimum(2 * np.minimum(lower, upper) - observed, 1.0),
        ComparisonTest.FISHER_DOUBLED: np.minimum(2 * np.minimum(lower, upper), 1.0),
        ComparisonTest.FISHER_ONE_SIDED: np.minimum(towards, 1.0),
    }
