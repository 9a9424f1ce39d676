"""Fine-Gray model of a subdistribution hazard: maximum, and the variances of its two implementations."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from analyses.kernels.cox import TermStatus
from analyses.kernels.fine_gray_likelihood import (
    FineGrayProblem,
    RiskAverages,
    information,
    risk_averages,
    score,
    score_residuals,
)
from analyses.kernels.grouped_sums import FloatArray, IntArray, sum_by, sums_by
from analyses.kernels.kaplan_meier import BoolArray

MAX_ITERATIONS = 60
STEP_TOLERANCE = 1e-10
"""Newton stops when every step is below this share of the coefficient or its standard error."""
ALIAS_TOLERANCE = 1e-10
"""A column keeping less than this share of its information beside the earlier ones carries none of its own."""
LIMIT_TOLERANCE = 1e-6
"""Information per event (columns in standard deviations) below which a diverging term has taken another's with it."""
FLAT_TOLERANCE = 1e-9
"""Relative gain in log likelihood below which a step that does not shrink is suspected to run to infinity."""
LONGEST_STEP = 5.0
"""Longest step, on the linear predictor."""
FAR = 20.0
"""How far, on the linear predictor, a suspected direction is followed; a regular likelihood collapses by then."""
DIVERGING_SHARE = 1e-5
"""Terms moving less than this share of the largest in a diverging direction are not part of it."""


@dataclass(frozen=True, slots=True)
class FineGraySolution:
    """A maximised partial likelihood with ``p`` terms.

    Attributes
    ----------
    coefficients
        Shape ``(p,)``: where the likelihood was left. Only terms of status ``ESTIMATED`` are estimates; a diverging
        term holds a large finite value in its place, at which the others were fitted, an aliased one holds 0.
    variance
        Shape ``(p, p)``: inverse information of the estimated terms, NaN in the rows and columns of the others.
    status
        One :class:`TermStatus` a term.
    log_likelihood, log_likelihood_null
        At ``coefficients`` and at zero.
    """

    coefficients: FloatArray
    variance: FloatArray
    status: tuple[TermStatus, ...]
    log_likelihood: float
    log_likelihood_null: float


@dataclass(frozen=True, slots=True)
class _Ascent:
    coefficients: FloatArray
    averages: RiskAverages
    step: FloatArray
    converged: bool
    monotone: bool


def maximise(problem: FineGrayProblem) -> FineGraySolution:
    """Maximise the partial likelihood of a problem with at least one event of the cause.

    Newton's method with step halving. Terms without information of their own are aliased and left at 0, later columns
    before earlier ones. When the likelihood rises without bound along a direction (a level without events of the
    cause), the terms of that direction are reported as increasing or decreasing and the others estimated at that
    limit, or reported as uninformed where no information on them is left there.
    """
    spread = np.sqrt(np.mean(problem.columns**2, axis=1))
    spread = np.where(spread > 0, spread, 1.0)
    scaled = replace(problem, columns=problem.columns / spread[:, None])
    averages = null = risk_averages(scaled, np.zeros(len(spread)))
    events = float(scaled.factor_weight.sum())
    free = _identified(information(scaled, null), ALIAS_TOLERANCE**2 * events)
    status = [TermStatus.ESTIMATED if kept else TermStatus.ALIASED for kept in free]
    coefficients = np.zeros(len(spread))
    while free.any():
        ascent = _newton(scaled, coefficients, averages, free)
        coefficients, averages = ascent.coefficients, ascent.averages
        if ascent.converged:
            break
        moving = np.abs(ascent.step) > DIVERGING_SHARE * np.abs(ascent.step).max()
        leaving = free & moving if ascent.monotone else free
        for term in np.flatnonzero(leaving):
            rising = TermStatus.INCREASING if ascent.step[term] > 0 else TermStatus.DECREASING
            status[term] = rising if ascent.monotone else TermStatus.NOT_CONVERGED
        free = free & ~leaving
        left = np.flatnonzero(free)
        informed = _identified(information(scaled, averages)[np.ix_(free, free)], LIMIT_TOLERANCE * events)
        for term in left[~informed]:
            status[term] = TermStatus.UNINFORMED
        free[left[~informed]] = False
    variance = np.full((len(spread), len(spread)), np.nan)
    if free.any():
        block = np.ix_(free, free)
        inverse = np.linalg.inv(information(scaled, averages)[block])
        variance[block] = inverse / np.outer(spread[free], spread[free])
    return FineGraySolution(
        coefficients / spread, variance, tuple(status), averages.log_likelihood, null.log_likelihood
    )


def _identified(matrix: FloatArray, floor: float) -> BoolArray:
    """Mark the columns that add information, above a floor, to those before them, by Cholesky elimination."""
    left, kept = matrix.copy(), np.zeros(len(matrix), dtype=np.bool_)
    for j in range(len(matrix)):
        kept[j] = left[j, j] > max(ALIAS_TOLERANCE * float(matrix[j, j]), floor)
        if kept[j]:
            left = left - np.outer(left[:, j], left[j]) / left[j, j]
    return kept


def _newton(problem: FineGrayProblem, start: FloatArray, averages: RiskAverages, free: BoolArray) -> _Ascent:
    coefficients, step, block = start, np.zeros_like(start), np.ix_(free, free)
    for _ in range(MAX_ITERATIONS):
        try:
            factor = np.linalg.cholesky(information(problem, averages)[block])
        except np.linalg.LinAlgError:
            break
        half_step = np.linalg.solve(factor, score(problem, averages)[free])
        step = np.zeros_like(start)
        step[free] = np.linalg.solve(factor.T, half_step)
        reach = _reach(problem, step)
        step *= min(1.0, LONGEST_STEP / max(reach, LONGEST_STEP))
        std_error = np.linalg.norm(np.linalg.inv(factor), axis=0)
        before = averages.log_likelihood
        if np.all(np.abs(step[free]) <= STEP_TOLERANCE * np.maximum(np.abs(coefficients[free]), std_error)):
            return _Ascent(coefficients, averages, step, True, False)
        coefficients, averages = _halved(problem, coefficients, step, averages)
        slack = FLAT_TOLERANCE * (1 + abs(before))
        if averages.log_likelihood - before <= slack and reach > np.sqrt(FLAT_TOLERANCE):
            far = coefficients + step * (FAR / _reach(problem, step))
            reached = risk_averages(problem, far)
            if reached.log_likelihood >= averages.log_likelihood - slack:
                return _Ascent(far, reached, step, False, True)
    return _Ascent(coefficients, averages, step, False, False)


def _halved(
    problem: FineGrayProblem, coefficients: FloatArray, step: FloatArray, averages: RiskAverages
) -> tuple[FloatArray, RiskAverages]:
    """Take the step, halved until the likelihood does not fall; steps within rounding error are taken as they are."""
    slack = 1e-12 * (1 + abs(averages.log_likelihood))
    for halvings in range(30):
        moved = coefficients + step / 2**halvings
        gained = risk_averages(problem, moved)
        if gained.log_likelihood >= averages.log_likelihood - slack:
            break
    return moved, gained


def _reach(problem: FineGrayProblem, step: FloatArray) -> float:
    """Return the largest change of a linear predictor that a step makes."""
    return float(np.abs(step @ problem.columns).max())


def robust_variance(
    problem: FineGrayProblem, averages: RiskAverages, variance: FloatArray, clusters: IntArray | None
) -> FloatArray:
    """Return the sandwich variance that takes the distribution of censoring as known, shape ``(p, p)``.

    Parameters
    ----------
    variance
        Shape ``(p, p)``: inverse information; all-NaN rows and columns belong to terms without an estimate.
    clusters
        Shape ``(n,)``, codes from 0 of the independent units; None when every row is one. No small-sample factor.
    """
    return _sandwich(score_residuals(problem, averages), variance, clusters)


def censoring_aware_variance(
    problem: FineGrayProblem,
    averages: RiskAverages,
    variance: FloatArray,
    clusters: IntArray | None,
    *,
    durations: FloatArray,
    censored: BoolArray,
    censoring_groups: IntArray,
    all_events: bool,
) -> FloatArray:
    """Return the sandwich variance with the part that estimating the distribution of censoring adds, ``(p, p)``.

    Parameters
    ----------
    durations, censored, censoring_groups
        Shape ``(n,)``, as in the making of ``problem``, which has no late entry, no weights and Breslow ties.
    all_events
        Whether the derivative of the score with respect to a group's censoring hazard is summed over all event times,
        which is the derivative, or over the events of that group, which is what cmprsk does. With one group there is
        no difference.
    variance, clusters
        As in :func:`robust_variance`.

    References
    ----------
    Fine and Gray (1999), doi:10.1080/01621459.1999.10474144, section 4.
    """
    influence = score_residuals(problem, averages)
    events_of = censoring_groups[problem.event_rows]
    tied = np.bincount(problem.event_time, minlength=len(problem.times))
    for group, rows in enumerate(problem.lingering):
        members = np.flatnonzero(censoring_groups == group)
        if len(rows) and censored[members].any():
            hazards = averages.hazards
            if not all_events:
                own = np.bincount(problem.event_time[events_of == group], minlength=len(tied))
                hazards = hazards * (own / tied)
            times, index = np.unique(durations[members], return_inverse=True)
            gradient = _censoring_gradient(problem, averages, group, durations[rows], times, hazards)
            influence[:, members] += _censoring_part(gradient, index, censored[members])
    return _sandwich(influence, variance, clusters)


def _censoring_gradient(
    problem: FineGrayProblem,
    averages: RiskAverages,
    group: int,
    left_at: FloatArray,
    times: FloatArray,
    hazards: FloatArray,
) -> FloatArray:
    """Return the derivative of the score with respect to a group's censoring hazard at each of ``times``, ``(p, k)``.

    The hazard at u lowers the weights that the group's rows lingering since before u (``left_at``, a time a row) have
    at the event times from u, at each of which the score loses the hazard increment (``hazards``) of each.
    """
    rows = problem.lingering[group]
    mass = averages.relative_hazard[rows] * problem.inverse_observed[group]
    increments = np.concatenate([hazards[None], hazards * averages.means])
    later = np.cumsum((increments * problem.observed[group])[:, ::-1], axis=1)[:, ::-1]
    place = np.searchsorted(times, left_at, side="right")
    moments = np.concatenate([mass[None], mass * problem.columns[:, rows]])
    joined = np.cumsum(sums_by(place, moments, len(times) + 1)[:, : len(times)], axis=1)
    ahead = np.concatenate([later, np.zeros((len(later), 1))], axis=1)
    ahead = ahead[:, np.searchsorted(problem.times, times, side="left")]
    return np.asarray(joined[1:] * ahead[0] - joined[0] * ahead[1:])


def _censoring_part(gradient: FloatArray, index: IntArray, censored: BoolArray) -> FloatArray:
    """Return what each member of a group adds to the score through the estimate of its censoring hazard, ``(p, n)``.

    A member (``index`` its time among those of ``gradient``) adds the gradient at its own censoring over the number at
    risk, less the compensator up to the end of its follow-up.
    """
    size = gradient.shape[1]
    leaving = np.bincount(index[censored], minlength=size)
    at_risk = np.cumsum(np.bincount(index, minlength=size)[::-1])[::-1]
    compensator = np.cumsum(gradient * (leaving / at_risk.astype(np.float64) ** 2), axis=1)
    part = -compensator[:, index]
    own = index[censored]
    part[:, censored] += gradient[:, own] / at_risk[own]
    return np.asarray(part)


def _sandwich(influence: FloatArray, variance: FloatArray, clusters: IntArray | None) -> FloatArray:
    if clusters is not None:
        influence = sums_by(clusters, influence, int(clusters.max()) + 1)
    bread = np.nan_to_num(variance)
    return np.where(np.isnan(variance), np.nan, bread @ (influence @ influence.T) @ bread)


def baseline_hazard(problem: FineGrayProblem, averages: RiskAverages) -> FloatArray:
    """Return the increment of the subdistribution hazard at each event time, for covariates as in ``columns`` 0."""
    by_time = sum_by(problem.factor_time, averages.hazards, len(problem.times))
    return np.asarray(by_time * np.exp(-averages.shift))
