"""Partial likelihood of the Cox model: value, score and information, and what its event times contribute.

One evaluation costs O(n p^2). Small problems are evaluated with array operations, large ones by the compiled sweeps of
:mod:`analyses.kernels.cox_sweep`: the choice depends on the number of rows alone, so equal input gives equal bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from analyses.kernels.cox_problem import CoxProblem, compiled_pays
from analyses.kernels.cox_sweep import column_sweep, event_time_sweep, likelihood_sweep
from analyses.kernels.grouped_sums import FloatArray, sum_rows_by


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Log partial likelihood (minus infinity where a risk set has vanished numerically), score ``(p,)`` and
    information ``(p, p)`` at one coefficient vector."""

    log_likelihood: float
    score: FloatArray
    information: FloatArray


@dataclass(frozen=True, slots=True)
class EventTimeSums:
    """What residuals, baseline hazards and predictions need of each of the ``g`` event times.

    A likelihood factor j of an event time has hazard increment ``h_j``, risk-weighted covariate mean ``m_j`` and
    fraction ``f_j`` of the tied events left out; sums are over the factors of the time. Increments are in the units of
    1 / ``relative_hazard``.

    Attributes
    ----------
    relative_hazard
        Shape ``(n,)``: exp(linear predictor) of each row, without its weight, times ``exp(-shift)``.
    shift
        What was subtracted from the centred linear predictors.
    hazard, hazard_tied
        Shape ``(g,)``: sum of ``h_j`` and of ``(1 - f_j) h_j``, to which rows at risk and failing rows are exposed.
    mean_hazard, mean_hazard_tied
        Shape ``(g, p)``: the same sums of ``h_j m_j``.
    means
        Shape ``(g, p)``: average of ``m_j``.
    hazard_variance
        Shape ``(g,)``: sum of ``h_j`` over the total relative hazard of factor j.
    """

    relative_hazard: FloatArray
    shift: float
    hazard: FloatArray
    hazard_tied: FloatArray
    mean_hazard: FloatArray
    mean_hazard_tied: FloatArray
    means: FloatArray
    hazard_variance: FloatArray


def evaluate(problem: CoxProblem, coefficients: FloatArray, *, time_weight: FloatArray | None = None) -> Evaluation:
    """Evaluate log likelihood, score and information at ``coefficients`` (p,).

    With ``time_weight`` (g,), each event time's part of score and information counts times its weight.
    """
    if compiled_pays(problem.size):
        scale = np.ones(len(problem.times)) if time_weight is None else time_weight
        value, slope, curvature = likelihood_sweep(
            coefficients,
            problem.matrix,
            problem.weights,
            problem.offset,
            problem.first,
            problem.late,
            problem.row_starts,
            problem.event_rows,
            problem.event_starts,
            problem.stratum_starts,
            problem.tied,
            scale,
        )
        return Evaluation(value, slope, curvature)
    return _evaluate(problem, coefficients, time_weight)


def column_sizes(problem: CoxProblem) -> tuple[FloatArray, FloatArray]:
    """Return the sum of squares and the largest absolute value of each column of the matrix, shapes ``(p,)``."""
    if compiled_pays(problem.size):
        return column_sweep(problem.matrix)
    return np.einsum("ij,ij->j", problem.matrix, problem.matrix), np.abs(problem.matrix).max(axis=0)


def _evaluate(problem: CoxProblem, coefficients: FloatArray, time_weight: FloatArray | None) -> Evaluation:
    matrix, rows = problem.matrix, problem.event_rows
    predictor, hazard_ratio, _ = _predicted(problem, coefficients)
    weighted = problem.weights * hazard_ratio
    factors = _factor_sums(problem, weighted)
    totals = factors[:, 0]
    if not totals.min() > 0:
        nothing = np.zeros(len(coefficients))
        return Evaluation(-np.inf, nothing, np.zeros((len(nothing), len(nothing))))
    means = factors[:, 1:] / totals[:, None]
    factor_weight, event_weight = problem.factor_weight, problem.weights.take(rows)
    log_likelihood = event_weight @ predictor.take(rows) - factor_weight @ np.log(totals)
    if time_weight is not None:
        factor_weight = factor_weight * time_weight[problem.factor_time]
        event_weight = event_weight * time_weight[problem.event_time]
    slope = event_weight @ matrix.take(rows, axis=0) - factor_weight @ means
    # The sum over factors of risk-weighted second moments, row by row: each row's outer product counts with its
    # relative hazard times the hazard accumulated while it was at risk.
    exposed = weighted * _exposure(problem, factor_weight / totals)
    curvature = matrix.T @ (exposed[:, None] * matrix) - means.T @ (factor_weight[:, None] * means)
    return Evaluation(float(log_likelihood), slope, curvature)


def _predicted(problem: CoxProblem, coefficients: FloatArray) -> tuple[FloatArray, FloatArray, float]:
    predictor = problem.matrix @ coefficients + problem.offset
    highest = float(predictor.max())
    predictor -= highest
    return predictor, np.exp(predictor), highest


def _factor_sums(problem: CoxProblem, weighted: FloatArray) -> FloatArray:
    """Sum relative hazard, and its products with the covariates, over each factor's risk set, shape ``(m, 1 + p)``."""
    values = np.empty((len(weighted), problem.matrix.shape[1] + 1))
    values[:, 0] = weighted
    np.multiply(problem.matrix, weighted[:, None], out=values[:, 1:])
    factors = _risk_set_sums(problem, values)
    if problem.tied:
        failing = np.add.reduceat(values.take(problem.event_rows, axis=0), problem.event_starts[:-1], axis=0)
        left_out = problem.factor_fraction[:, None] * failing.take(problem.factor_time, axis=0)
        factors = factors.take(problem.factor_time, axis=0) - left_out
    return factors


def _risk_set_sums(problem: CoxProblem, values: FloatArray) -> FloatArray:
    """Sum ``values`` (n, q) over the risk set of each event time, shape ``(g, q)``."""
    sums = np.add.reduceat(values, problem.row_starts, axis=0)
    if len(problem.late):
        late = problem.late
        not_yet = sum_rows_by(problem.first[late] - 1, values[late], len(sums))
    for start, end in pairwise(problem.stratum_starts.tolist()):
        sums[start:end] = sums[start:end][::-1].cumsum(axis=0)[::-1]
        if len(problem.late):
            sums[start:end] -= not_yet[start:end][::-1].cumsum(axis=0)[::-1]
    return sums


def weights_at_risk(problem: CoxProblem) -> FloatArray:
    """Return the weight at risk at each event time, shape ``(g,)``."""
    return _risk_set_sums(problem, problem.weights[:, None])[:, 0]


def _exposure(problem: CoxProblem, hazards: FloatArray) -> FloatArray:
    """Sum factor increments (m,) over the factors each row is at risk for, shape ``(n,)``.

    A tied event counts only with the fraction it is not left out, as in the likelihood.
    """
    if not problem.tied:
        return exposure(problem, hazards, hazards)
    starts = problem.event_starts[:-1]
    by_time = np.add.reduceat(hazards, starts)
    return exposure(problem, by_time, by_time - np.add.reduceat(hazards * problem.factor_fraction, starts))


def exposure(problem: CoxProblem, by_time: FloatArray, by_time_tied: FloatArray) -> FloatArray:
    """Sum increments of event times, shape ``(g,)`` or ``(g, q)``, over the times each row is at risk.

    A failing row's own event time counts with its increment in ``by_time_tied``.
    """
    running = within_strata(problem, by_time)
    exposed: FloatArray = running.take(problem.stop - 1, axis=0)
    if len(problem.late):
        exposed[problem.late] -= running[problem.first[problem.late] - 1]
    if problem.tied:
        exposed[problem.event_rows] += (by_time_tied - by_time).take(problem.event_time, axis=0)
    return exposed


def within_strata(problem: CoxProblem, by_time: FloatArray) -> FloatArray:
    """Accumulate increments of event times, shape ``(g, ...)``, from the first time of each stratum."""
    starts = problem.stratum_starts
    if len(starts) == 2:
        return np.cumsum(by_time, axis=0)
    return np.concatenate([np.cumsum(by_time[start:end], axis=0) for start, end in pairwise(starts)])


def hazard_slopes(problem: CoxProblem, relative_hazard: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return how fast each event time's hazard falls with the relative hazard at risk, two arrays of shape ``(g,)``.

    With ``h_j`` over the total relative hazard of factor j: summed over the factors of the time, to which rows at risk
    are exposed, and the same with ``(1 - f_j)``, to which failing rows are. In units of ``relative_hazard`` (n,); 0
    where a risk set has vanished numerically, as its increment is.
    """
    weighted = (problem.weights * relative_hazard)[:, None]
    totals = _risk_set_sums(problem, weighted)[:, 0]
    if not problem.tied:
        slope = _slopes(problem, totals)
        return slope, slope
    failing = np.add.reduceat(weighted[problem.event_rows, 0], problem.event_starts[:-1])
    left = totals[problem.factor_time] - problem.factor_fraction * failing[problem.factor_time]
    slopes, starts = _slopes(problem, left), problem.event_starts[:-1]
    return np.add.reduceat(slopes, starts), np.add.reduceat((1 - problem.factor_fraction) * slopes, starts)


def _slopes(problem: CoxProblem, totals: FloatArray) -> FloatArray:
    there = np.where(totals > 0, totals, np.inf)
    return np.asarray(problem.factor_weight / there / there)


def event_time_sums(problem: CoxProblem, coefficients: FloatArray) -> EventTimeSums:
    """Sum hazard increments and covariate means of the factors of each event time at ``coefficients`` (p,)."""
    _, hazard_ratio, shift = _predicted(problem, coefficients)
    if compiled_pays(problem.size):
        sums = event_time_sweep(
            hazard_ratio * problem.weights,
            problem.matrix,
            problem.weights,
            problem.first,
            problem.late,
            problem.row_starts,
            problem.event_rows,
            problem.event_starts,
            problem.stratum_starts,
            problem.tied,
        )
        return EventTimeSums(hazard_ratio, shift, *sums)
    factors = _factor_sums(problem, problem.weights * hazard_ratio)
    good = factors[:, :1] > 0
    totals = np.where(good, factors[:, :1], 1.0)
    means = np.where(good, factors[:, 1:] / totals, 0.0)
    hazards = np.where(good[:, 0], problem.factor_weight / totals[:, 0], 0.0)
    kept_hazards = (1.0 - problem.factor_fraction) * hazards

    def by_time(of_factors: FloatArray) -> FloatArray:
        return np.add.reduceat(of_factors, problem.event_starts[:-1], axis=0) if problem.tied else of_factors

    factors_of_time = np.diff(problem.event_starts) if problem.tied else 1.0
    return EventTimeSums(
        relative_hazard=hazard_ratio,
        shift=shift,
        hazard=by_time(hazards),
        hazard_tied=by_time(kept_hazards),
        mean_hazard=by_time(hazards[:, None] * means),
        mean_hazard_tied=by_time(kept_hazards[:, None] * means),
        means=(by_time(means).T / factors_of_time).T,
        hazard_variance=by_time(hazards / totals[:, 0]),
    )
