"""Gray's test that the cumulative incidence of one cause is the same in every group."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analyses.kernels.grouped_sums import FloatArray, IntArray, sum_by, sum_from_here
from analyses.kernels.quadratic_form import quadratic_form


@dataclass(frozen=True, slots=True)
class GrayTest:
    """Scores of the groups and their variance; ``g`` groups.

    Attributes
    ----------
    score
        Shape ``(g,)``: weighted events of the cause less what the pooled subdistribution hazard expects.
    variance
        Shape ``(g, g)``: covariance of the scores under equal cumulative incidence.
    chi_square
        The test statistic; NaN when ``degrees_of_freedom`` is zero.
    degrees_of_freedom
        Number of groups at risk at an event of the cause, less one; zero when nothing can be compared.
    """

    score: FloatArray
    variance: FloatArray
    chi_square: float
    degrees_of_freedom: int


@dataclass(frozen=True, slots=True)
class _Counts:
    """Numbers at the ``k`` times of one stratum at which anyone fails, each of shape ``(k, g)``."""

    at_risk: FloatArray
    events: FloatArray
    competing: FloatArray


def gray_test(
    durations: FloatArray, causes: IntArray, groups: IntArray, *, n_groups: int, strata: IntArray, rho: float = 0.0
) -> GrayTest:
    """Compare the subdistribution hazards of a cause across groups, within strata.

    Each event time counts with ``(1 - F(t-))^rho``, F being the pooled cumulative incidence of the stratum.

    Parameters
    ----------
    durations
        Shape ``(n,)``.
    causes
        Shape ``(n,)``: 0 censored, 1 the cause of interest, 2 any other cause.
    groups, strata
        Shape ``(n,)``, codes from 0.

    Notes
    -----
    At a tie all failures share the risk set just before it, and censorings leave after them. The variance has a factor
    for ties: that of a sample without replacement.

    References
    ----------
    Gray (1988), doi:10.1214/aos/1176350951.

    Examples
    --------
    >>> test = gray_test(np.array([1.0, 2, 3, 4]), np.array([1, 1, 1, 1]), np.array([0, 0, 1, 1]), n_groups=2,
    ...                  strata=np.zeros(4, dtype=np.intp))
    >>> test.degrees_of_freedom
    1
    """
    score, variance = np.zeros(n_groups), np.zeros((n_groups, n_groups))
    expected = np.zeros(n_groups)
    order = np.argsort(strata, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(strata[order])) + 1):
        counts = _count(durations[rows], causes[rows], groups[rows], n_groups)
        if counts.events.any():
            with np.errstate(divide="ignore", invalid="ignore"):
                own_score, own_expected, own_variance = _stratum(counts, rho)
            score, expected, variance = score + own_score, expected + own_expected, variance + own_variance
    present = np.flatnonzero(expected > 0)[1:]
    chi_square, freedom = float("nan"), 0
    block = variance[np.ix_(present, present)]
    if len(present) and np.all(np.isfinite(block)) and np.all(np.isfinite(score)):
        chi_square = quadratic_form(score[present], block, scale=float(expected.sum()))
        freedom = 0 if np.isnan(chi_square) else len(present)
    return GrayTest(score, variance, chi_square, freedom)


def _count(durations: FloatArray, causes: IntArray, groups: IntArray, n_groups: int) -> _Counts:
    times, index = np.unique(durations, return_inverse=True)
    cell = (index * n_groups + groups) * 3 + causes
    leaving = sum_by(cell, np.ones(len(cell)), len(times) * n_groups * 3).reshape(len(times), n_groups, 3)
    at_risk = sum_from_here(leaving.sum(axis=2))
    failing = leaving[:, :, 1:].any(axis=(1, 2))
    return _Counts(at_risk[failing], leaving[failing, :, 1], leaving[failing, :, 2])


def _before(values: FloatArray, start: float) -> FloatArray:
    """Shift left-continuous: the value just before each time."""
    return np.concatenate([np.full((1, *values.shape[1:]), start), values[:-1]])


def _stratum(counts: _Counts, rho: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return score and expected events, shape ``(g,)``, and variance ``(g, g)``; names as in Gray's paper.

    ``h`` is the number at risk over the group's survival, an estimate of the number not censored. A score is a sum
    over groups k of integrals against the martingales of both kinds of failure in k, so its variance is the sum over
    times and groups of squared integrands times the variances of the increments.
    """
    at_risk, events, competing = counts.at_risk, counts.events, counts.competing
    present, total = at_risk > 0, events.sum(axis=1)
    risk = np.where(present, at_risk, 1.0)
    left = np.where(present, (at_risk - events - competing) / risk, 1.0)
    survival = np.cumprod(left, axis=0, dtype=np.float64)
    survival_before = _before(survival, 1.0)
    incidence_before = _before(
        np.cumsum(np.where(present, survival_before * events / risk, 0.0), axis=0, dtype=np.float64), 0.0
    )
    h = np.where(present, at_risk / survival_before, 0.0)
    pooled = h.sum(axis=1)
    incidence: FloatArray = np.asarray(np.cumsum(total / pooled), dtype=np.float64)
    free_before = 1.0 - _before(incidence, 0.0)
    weight = free_before**rho
    spared = np.where(present, h * (1.0 - incidence_before), 0.0)
    expected = (weight * total / spared.sum(axis=1)) @ spared
    score = weight @ events - expected

    variance = np.zeros((len(score), len(score)))
    # where one group is left alone nothing is compared, and 1 - F(t-) may have run out
    increment = np.where(present.sum(axis=1) > 1, total / (pooled * free_before), 0.0)
    alive = survival > 0
    ratio = np.where(alive, (1.0 - incidence)[:, None] / np.where(alive, survival, 1.0), 0.0)
    tied = np.where(total > 1, 1.0 - (total - 1.0) / (pooled * survival_before.T - 1.0), 1.0).T
    own = np.where(present, tied * survival_before * total[:, None] / (pooled[:, None] * risk), 0.0)
    tied = np.where(competing > 1, 1.0 - (competing - 1.0) / np.maximum(risk - 1.0, 1.0), 1.0)
    other = np.where(alive, tied * survival_before**2 * competing / risk**2, 0.0)
    for k in range(len(score)):
        share = (np.arange(len(score)) == k) - h[:, k, None] / pooled[:, None]
        a = weight[:, None] * h * share
        c = np.cumsum(a * increment[:, None], axis=0)
        ahead = c[-1] - c
        integrand = a + (1.0 - ratio[:, k, None]) * ahead
        variance += (integrand * own[:, k, None]).T @ integrand
        integrand = ratio[:, k, None] * ahead
        variance += (integrand * other[:, k, None]).T @ integrand
    return score, expected, variance
