"""Maximum partial likelihood: Newton's method with step halving, aliased terms and monotone likelihoods set apart."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from scipy.linalg.lapack import dposv

from analyses.kernels.cox_likelihood import Evaluation, column_sizes, evaluate
from analyses.kernels.cox_problem import CoxProblem
from analyses.kernels.grouped_sums import FloatArray
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
"""Longest Newton step, on the linear predictor: a rare covariate's first step would else overshoot into flat ground."""
SHRINKING = 0.1
"""A step below this share of the one before it is that of an ordinary maximum coming near."""
FAR = 20.0
"""How far, on the linear predictor, a suspected direction is followed; a regular likelihood collapses by then."""
DIVERGING_SHARE = 1e-5
"""Terms moving less than this share of the largest in a diverging direction are not part of it."""


class TermStatus(StrEnum):
    """Whether a term has an estimate, and if not, why."""

    ESTIMATED = "estimated"
    ALIASED = "aliased"
    INCREASING = "increasing"
    DECREASING = "decreasing"
    UNINFORMED = "uninformed"
    NOT_CONVERGED = "not_converged"


@dataclass(frozen=True, slots=True)
class CoxSolution:
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
    iterations
        Newton steps taken in all.
    """

    coefficients: FloatArray
    variance: FloatArray
    status: tuple[TermStatus, ...]
    log_likelihood: float
    log_likelihood_null: float
    iterations: int


@dataclass(frozen=True, slots=True)
class _Scaled:
    """The problem with its columns in standard deviations, without a second copy of them."""

    problem: CoxProblem
    spread: FloatArray
    spreads: FloatArray
    extent: FloatArray

    def evaluate(self, coefficients: FloatArray) -> Evaluation:
        here = evaluate(self.problem, coefficients / self.spread)
        return Evaluation(here.log_likelihood, here.score / self.spread, here.information / self.spreads)

    def reach(self, step: FloatArray) -> float:
        """Return the largest change of a linear predictor that a step makes."""
        return float(np.abs(self.problem.matrix @ (step / self.spread)).max())


@dataclass(frozen=True, slots=True)
class _Ascent:
    """Where a climb ended; ``inverse`` is that of the information on the free terms, once it has converged."""

    coefficients: FloatArray
    step: FloatArray
    reached: Evaluation
    inverse: FloatArray | None
    monotone: bool
    iterations: int


def maximise(problem: CoxProblem) -> CoxSolution:
    """Maximise the partial likelihood of a problem with at least one event.

    Terms without information of their own are aliased and left at 0, later columns before earlier ones. When the
    likelihood rises without bound along a direction (a level without events, a covariate that orders the events
    perfectly), the terms of that direction are reported as increasing or decreasing and the remaining ones are
    estimated at that limit, or reported as uninformed when no information on them is left there.
    """
    squares, extent = column_sizes(problem)
    spread = np.sqrt(squares / len(problem.rows))
    spread = np.where(spread > 0, spread, 1.0)
    scaled = _Scaled(problem, spread, np.outer(spread, spread), extent / spread)
    null = reached = scaled.evaluate(np.zeros(len(spread)))
    events = float(problem.factor_weight.sum())
    free = _identified(null.information, ALIAS_TOLERANCE**2 * events)
    status = [TermStatus.ESTIMATED if kept else TermStatus.ALIASED for kept in free]
    coefficients, iterations = np.zeros(len(spread)), 0
    variance = np.full((len(spread), len(spread)), np.nan)
    while free.any():
        ascent = _newton(scaled, coefficients, reached, free)
        iterations += ascent.iterations
        coefficients, reached = ascent.coefficients, ascent.reached
        if ascent.inverse is not None:
            variance[np.ix_(free, free)] = ascent.inverse / _among(free, scaled.spreads)
            break
        moving = np.abs(ascent.step) > DIVERGING_SHARE * np.abs(ascent.step).max()
        leaving = free & moving if ascent.monotone else free
        for term in np.flatnonzero(leaving):
            rising = TermStatus.INCREASING if ascent.step[term] > 0 else TermStatus.DECREASING
            status[term] = rising if ascent.monotone else TermStatus.NOT_CONVERGED
        free = free & ~leaving
        left = np.flatnonzero(free)
        informed = _identified(_among(free, reached.information), LIMIT_TOLERANCE * events)
        for term in left[~informed]:
            status[term] = TermStatus.UNINFORMED
        free[left[~informed]] = False
    return CoxSolution(
        coefficients / spread, variance, tuple(status), reached.log_likelihood, null.log_likelihood, iterations
    )


def _identified(matrix: FloatArray, floor: float) -> BoolArray:
    """Mark the columns that add information, above a floor, to those before them, by Cholesky elimination."""
    left, kept = matrix.copy(), np.zeros(len(matrix), dtype=np.bool_)
    for j in range(len(matrix)):
        kept[j] = left[j, j] > max(ALIAS_TOLERANCE * float(matrix[j, j]), floor)
        if kept[j]:
            left = left - np.outer(left[:, j], left[j]) / left[j, j]
    return kept


def _among(free: BoolArray, matrix: FloatArray) -> FloatArray:
    """Return the rows and columns of the free terms."""
    return matrix if free.all() else matrix[np.ix_(free, free)]


def _inverse(matrix: FloatArray) -> FloatArray | None:
    """Invert a positive definite matrix; None when it is not one."""
    _, inverse, failed = dposv(matrix, np.eye(len(matrix)))
    return None if failed else np.asarray(inverse, dtype=np.float64)


def _newton(scaled: _Scaled, start: FloatArray, at_start: Evaluation, free: BoolArray) -> _Ascent:
    """Climb from ``start``; the step that proves convergence is taken without evaluating where it ends."""
    coefficients, reached = start, at_start
    step, before = np.zeros_like(start), np.inf
    for iteration in range(1, MAX_ITERATIONS + 1):
        inverse = _inverse(_among(free, reached.information))
        if inverse is None:
            break
        step = np.zeros(len(start))
        step[free] = inverse @ reached.score[free]
        scale = np.maximum(np.abs(coefficients[free]), np.sqrt(inverse.diagonal()))
        if (np.abs(step[free]) <= STEP_TOLERANCE * scale).all():
            return _Ascent(coefficients + step, step, reached, inverse, False, iteration)
        reach = float(np.abs(step) @ scaled.extent)
        if reach > LONGEST_STEP:
            step *= min(1.0, LONGEST_STEP / max(scaled.reach(step), LONGEST_STEP))
        moved, gained = _halved(scaled, coefficients, step, reached)
        slack = FLAT_TOLERANCE * (1 + abs(reached.log_likelihood))
        flat = gained.log_likelihood - reached.log_likelihood <= slack
        coefficients, reached = moved, gained
        if flat and reach > SHRINKING * before:
            far = coefficients + step * (FAR / scaled.reach(step))
            beyond = scaled.evaluate(far)
            if beyond.log_likelihood >= reached.log_likelihood - slack:
                return _Ascent(far, step, beyond, None, True, iteration)
        before = reach
    return _Ascent(coefficients, step, reached, None, False, MAX_ITERATIONS)


def _halved(
    scaled: _Scaled, coefficients: FloatArray, step: FloatArray, reached: Evaluation
) -> tuple[FloatArray, Evaluation]:
    """Take the step, halved until the likelihood does not fall; steps within rounding error are taken as they are."""
    slack = 1e-12 * (1 + abs(reached.log_likelihood))
    for halvings in range(30):
        moved = coefficients + step / 2**halvings
        gained = scaled.evaluate(moved)
        if gained.log_likelihood >= reached.log_likelihood - slack:
            break
    return moved, gained
