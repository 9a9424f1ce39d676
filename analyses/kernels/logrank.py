"""Log-rank tests of the G-rho family, unweighted or with a robust variance for weighted rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analyses.kernels.grouped_sums import FloatArray, IntArray, sum_by, sum_from_here
from analyses.kernels.kaplan_meier import BoolArray
from analyses.kernels.quadratic_form import quadratic_form


@dataclass(frozen=True, slots=True)
class LogrankTest:
    """Observed minus expected events by group and their variance; ``g`` groups.

    Attributes
    ----------
    observed, expected
        Shape ``(g,)``: weighted sums over event times and strata.
    variance
        Shape ``(g, g)``: covariance of ``observed - expected`` under equal hazards.
    chi_square
        The test statistic; NaN when ``degrees_of_freedom`` is zero.
    degrees_of_freedom
        Number of groups with expected events, less one; zero when nothing can be compared.
    """

    observed: FloatArray
    expected: FloatArray
    variance: FloatArray
    chi_square: float
    degrees_of_freedom: int


@dataclass(frozen=True, slots=True)
class _Stratum:
    """Counts at the ``k`` distinct times of one stratum."""

    time_index: IntArray
    at_risk: FloatArray
    events: FloatArray
    rho_weight: FloatArray


def logrank(
    durations: FloatArray,
    events: BoolArray,
    groups: IntArray,
    *,
    n_groups: int,
    strata: IntArray,
    rho: float = 0.0,
    weights: FloatArray | None = None,
) -> LogrankTest:
    """Test equality of hazards across groups, within strata.

    Each event time counts with S(t-)^rho, S being the pooled survival of its stratum. Without weights the variance is
    hypergeometric. With weights the test is the robust score test: the variance is the sum of squared weighted score
    residuals, so that weights are not mistaken for numbers of patients.

    Parameters
    ----------
    durations, events, groups, strata
        Shape ``(n,)``; ``groups`` and ``strata`` are codes from 0.
    n_groups
        Number of groups, at least two.
    rho
        0 for the log-rank test, 1 for the Peto-Peto modification of the Wilcoxon test.
    weights
        Shape ``(n,)``, positive.

    References
    ----------
    Harrington and Fleming (1982), doi:10.1093/biomet/69.3.553. Lin and Wei (1989),
    doi:10.1080/01621459.1989.10478874.

    Examples
    --------
    >>> test = logrank(np.array([1.0, 2.0, 3.0, 4.0]), np.array([True] * 4), np.array([0, 0, 1, 1]),
    ...                n_groups=2, strata=np.zeros(4, dtype=np.intp))
    >>> round(test.chi_square, 4)
    2.8824
    """
    mass = np.ones(len(durations)) if weights is None else weights
    observed, expected = np.zeros(n_groups), np.zeros(n_groups)
    variance = np.zeros((n_groups, n_groups))
    order = np.argsort(strata, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(strata[order])) + 1):
        stratum = _count(durations[rows], events[rows], groups[rows], mass[rows], n_groups, rho)
        failing, total = stratum.events.sum(axis=1), stratum.at_risk.sum(axis=1)
        shares = stratum.at_risk / total[:, None]
        observed += stratum.rho_weight @ stratum.events
        expected += (stratum.rho_weight * failing) @ shares
        if weights is None:
            spare = np.where(total > 1, (total - failing) / np.maximum(total - 1, 1.0), 0.0)
            scale = stratum.rho_weight**2 * failing * spare
            variance += np.diag(scale @ shares) - shares.T @ (scale[:, None] * shares)
        else:
            residuals = _score_residuals(stratum, events[rows], groups[rows], n_groups) * mass[rows, None]
            variance += residuals.T @ residuals
    chi_square, freedom = _compared(observed - expected, expected, variance)
    return LogrankTest(observed, expected, variance, chi_square, freedom)


def _count(
    durations: FloatArray, events: BoolArray, groups: IntArray, mass: FloatArray, n_groups: int, rho: float
) -> _Stratum:
    times, time_index = np.unique(durations, return_inverse=True)
    cell, size = time_index * n_groups + groups, len(times) * n_groups
    failing = sum_by(cell, mass * events, size).reshape(-1, n_groups)
    leaving = sum_by(cell, mass, size).reshape(-1, n_groups)
    at_risk = sum_from_here(leaving)
    factors = np.clip(1.0 - failing.sum(axis=1) / at_risk.sum(axis=1), 0.0, 1.0)
    before = np.concatenate([[1.0], np.cumprod(factors)[:-1]])
    return _Stratum(time_index, at_risk, failing, before**rho)


def _score_residuals(stratum: _Stratum, events: BoolArray, groups: IntArray, n_groups: int) -> FloatArray:
    """Return each row's part of observed minus expected, shape ``(n, g)``, before its own weight."""
    total = stratum.at_risk.sum(axis=1)
    shares = stratum.at_risk / total[:, None]
    increments = stratum.rho_weight * stratum.events.sum(axis=1) / total
    hazard = np.cumsum(increments)[stratum.time_index]
    share_hazard = np.cumsum(increments[:, None] * shares, axis=0)[stratum.time_index]
    member = np.eye(n_groups)[groups]
    jump = (events * stratum.rho_weight[stratum.time_index])[:, None] * (member - shares[stratum.time_index])
    return np.asarray(jump - member * hazard[:, None] + share_hazard)


def _compared(difference: FloatArray, expected: FloatArray, variance: FloatArray) -> tuple[float, int]:
    present = np.flatnonzero(expected > 0)[1:]
    if not len(present):
        return float("nan"), 0
    block = variance[np.ix_(present, present)]
    chi_square = quadratic_form(difference[present], block, scale=float(expected.sum()))
    return chi_square, 0 if np.isnan(chi_square) else len(present)
