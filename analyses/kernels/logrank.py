"""Log-rank tests of the G-rho family, unweighted or with a robust variance for weighted rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analyses.kernels.grouped_sums import FloatArray, IntArray, sum_by, sum_from_here, sum_rows_by
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
class _RiskCells:
    """Counts at the ``k`` distinct pairs of stratum and time, ordered by stratum and then time.

    Attributes
    ----------
    exit_cell, entry_cell
        Shape ``(n,)``: a row is at risk at the cells ``entry_cell`` to ``exit_cell``.
    at_risk, events
        Shape ``(k, g)``, weighted.
    rho_weight
        Shape ``(k,)``: S(t-)^rho of the stratum.
    """

    exit_cell: IntArray
    entry_cell: IntArray
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
    entries: FloatArray | None = None,
    clusters: IntArray | None = None,
) -> LogrankTest:
    """Test equality of hazards across groups, within strata.

    Each event time counts with S(t-)^rho, S being the pooled survival of its stratum. Without weights the variance is
    hypergeometric. With weights or clusters the test is the robust score test: the variance is the sum over clusters
    (rows) of squared weighted score residuals, so that weights are not mistaken for numbers of patients.

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
    entries
        Shape ``(n,)``, time of entry into observation, below ``durations``.
    clusters
        Shape ``(n,)``, codes from 0 of rows that belong together; they may lie in several groups and strata.

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
    cells = _count(durations, events, groups, strata, n_groups, rho, weights, entries)
    failing, total = cells.events.sum(axis=1), cells.at_risk.sum(axis=1)
    shares = cells.at_risk / total[:, None]
    observed = cells.rho_weight @ cells.events
    expected = (cells.rho_weight * failing) @ shares
    if weights is None and clusters is None:
        spare = np.where(total > 1, (total - failing) / np.maximum(total - 1, 1.0), 0.0)
        scale = cells.rho_weight**2 * failing * spare
        variance = np.diag(scale @ shares) - shares.T @ (scale[:, None] * shares)
    else:
        residuals = _score_residuals(cells, shares, failing / total, events, groups)
        if weights is not None:
            residuals = residuals * weights[:, None]
        if clusters is not None:
            residuals = sum_rows_by(clusters, residuals, 0)
        variance = residuals.T @ residuals
    chi_square, freedom = _compared(observed - expected, expected, variance)
    return LogrankTest(observed, expected, variance, chi_square, freedom)


def _count(
    durations: FloatArray,
    events: BoolArray,
    groups: IntArray,
    strata: IntArray,
    n_groups: int,
    rho: float,
    weights: FloatArray | None,
    entries: FloatArray | None,
) -> _RiskCells:
    times, exit_cell = np.unique(durations, return_inverse=True)
    keys = np.arange(len(times))
    if strata.any():
        keys, exit_cell = np.unique(strata * len(times) + exit_cell, return_inverse=True)
    size = len(keys)
    first = np.flatnonzero(np.diff(keys // len(times), prepend=-1))
    stratum_of_cell = np.repeat(np.arange(len(first)), np.diff(np.append(first, size)))
    entry_cell = first[stratum_of_cell[exit_cell]]
    late: IntArray | None = None
    if entries is not None and np.any(entries >= times[0]):
        wanted = strata * len(times) + np.searchsorted(times, entries, side="right")
        entry_cell = np.searchsorted(keys, wanted, side="left")
        late = np.flatnonzero(entry_cell > first[stratum_of_cell[exit_cell]])

    def at_risk(mass: FloatArray | None) -> FloatArray:
        leaving = np.bincount(exit_cell * n_groups + groups, mass, size * n_groups).astype(np.float64)
        if late is not None:
            place = (entry_cell[late] - 1) * n_groups + groups[late]
            leaving -= np.bincount(place, None if mass is None else mass[late], size * n_groups)
        remaining = sum_from_here(leaving.reshape(size, n_groups))
        if len(first) > 1:
            following = np.concatenate([remaining[first[1:]], np.zeros((1, n_groups))])
            remaining = remaining - following[stratum_of_cell]
        return remaining

    failed = exit_cell[events] * n_groups + groups[events]
    heads = at_risk(None)
    failing_heads = np.bincount(failed, minlength=size * n_groups).reshape(size, n_groups).astype(np.float64)
    if weights is None:
        mass_at_risk, mass_failing = heads, failing_heads
    else:
        # Sums of weights that should cancel may leave a rounding error where nobody is at risk.
        mass_at_risk = np.where(heads > 0, at_risk(weights), 0.0)
        mass_failing = sum_by(failed, weights[events], size * n_groups).reshape(size, n_groups)
    rho_weight = np.ones(size)
    if rho:
        exhausted = heads.sum(axis=1) == failing_heads.sum(axis=1)
        factors = np.where(exhausted, 0.0, 1.0 - mass_failing.sum(axis=1) / mass_at_risk.sum(axis=1))
        for begin, end in zip(first, np.append(first[1:], size), strict=True):
            rho_weight[begin + 1 : end] = np.cumprod(factors[begin : end - 1]) ** rho
    return _RiskCells(exit_cell, entry_cell, mass_at_risk, mass_failing, rho_weight)


def _score_residuals(
    cells: _RiskCells, shares: FloatArray, increments: FloatArray, events: BoolArray, groups: IntArray
) -> FloatArray:
    """Return each row's part of observed minus expected, shape ``(n, g)``, before its own weight."""
    increments = cells.rho_weight * increments
    hazard = np.concatenate([[0.0], np.cumsum(increments)])
    share_hazard = np.vstack([np.zeros(shares.shape[1]), np.cumsum(increments[:, None] * shares, axis=0)])
    after, before = cells.exit_cell + 1, cells.entry_cell
    rows = np.arange(len(groups))
    residuals = share_hazard[after] - share_hazard[before]
    residuals[rows, groups] -= hazard[after] - hazard[before]
    jump = np.flatnonzero(events)
    own = cells.rho_weight[cells.exit_cell[jump]]
    residuals[jump] -= own[:, None] * shares[cells.exit_cell[jump]]
    residuals[jump, groups[jump]] += own
    return np.asarray(residuals)


def trend(test: LogrankTest, scores: FloatArray) -> tuple[float, float]:
    """Return the statistic of a trend in the hazard over scores of the groups, and its variance.

    The statistic is the sum of score times (observed - expected); squared and divided by its variance it is
    chi-square with one degree of freedom under equal hazards.

    Parameters
    ----------
    test
        Of the groups.
    scores
        Shape ``(g,)``.

    References
    ----------
    Tarone (1975), doi:10.1093/biomet/62.3.679.
    """
    return float(scores @ (test.observed - test.expected)), float(scores @ test.variance @ scores)


def _compared(difference: FloatArray, expected: FloatArray, variance: FloatArray) -> tuple[float, int]:
    present = np.flatnonzero(expected > 0)[1:]
    if not len(present):
        return float("nan"), 0
    block = variance[np.ix_(present, present)]
    chi_square = quadratic_form(difference[present], block, scale=float(expected.sum()))
    return chi_square, 0 if np.isnan(chi_square) else len(present)
