"""Partial likelihood of the Cox model: risk sets, tied-event approximations, score and information.

Every row is at risk for an unbroken run of event times of its stratum, so a risk set is two integers a row and every
sum over risk sets is a running sum: one evaluation costs O(n p^2), whatever the number of ties, strata or late entries.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from analyses.kernels.grouped_sums import FloatArray, IntArray, sum_by, sum_from_here, sum_rows_by
from analyses.kernels.kaplan_meier import BoolArray

Ties = Literal["efron", "breslow"]


@dataclass(frozen=True, slots=True)
class CoxProblem:
    """Rows and risk sets of one Cox model; ``n`` rows, ``p`` columns, ``g`` event times, ``m`` likelihood factors.

    An *event time* is a distinct time of an event within a stratum; they are numbered by stratum, then time. With
    Breslow's approximation an event time has one likelihood factor; with Efron's as many as it has events, the j-th of
    d (from 0) leaving out the fraction j/d of the tied events from the risk set.

    Attributes
    ----------
    matrix
        Shape ``(n, p)``, centred within strata.
    weights
        Shape ``(n,)``.
    first, stop
        Shape ``(n,)``: the row is at risk at event times ``first`` to ``stop - 1``.
    event_rows, event_time
        Shape ``(number of events,)``: rows that fail and the event time of each.
    times
        Shape ``(g,)``: the event times themselves.
    stratum_starts
        First event time of each stratum that has events.
    factor_time, factor_fraction, factor_weight
        Shape ``(m,)``: event time of each likelihood factor, the fraction of tied events it leaves out, its weight.
    """

    matrix: FloatArray
    weights: FloatArray
    first: IntArray
    stop: IntArray
    event_rows: IntArray
    event_time: IntArray
    times: FloatArray
    stratum_starts: IntArray
    factor_time: IntArray
    factor_fraction: FloatArray
    factor_weight: FloatArray


@dataclass(frozen=True, slots=True)
class RiskAverages:
    """What the score, information and residuals share at one coefficient vector.

    Attributes
    ----------
    relative_hazard
        Shape ``(n,)``: weight times exp(linear predictor), up to a constant factor.
    means
        Shape ``(m, p)``: risk-weighted covariate mean of each likelihood factor.
    hazards
        Shape ``(m,)``: hazard increment of each factor, in the units of 1 / ``relative_hazard``.
    log_likelihood
        Log partial likelihood; minus infinity where a risk set has vanished numerically.
    """

    relative_hazard: FloatArray
    means: FloatArray
    hazards: FloatArray
    log_likelihood: float


def cox_problem(
    matrix: FloatArray,
    durations: FloatArray,
    events: BoolArray,
    *,
    weights: FloatArray,
    entries: FloatArray | None,
    strata: IntArray,
    ties: Ties,
) -> CoxProblem:
    """Number the event times and find each row's risk interval, ``entry < t <= duration``, within its stratum.

    ``strata`` are codes from 0. Equal times are ties; an event at a row's entry time finds that row not yet at risk.
    """
    ranks = np.unique(durations if entries is None else np.concatenate([durations, entries]))
    span = len(ranks) + 1
    key = strata * span + 1 + np.searchsorted(ranks, durations)
    entry_key = strata * span if entries is None else strata * span + 1 + np.searchsorted(ranks, entries)
    event_rows = np.flatnonzero(events)
    event_keys, event_time, tied = np.unique(key[event_rows], return_inverse=True, return_counts=True)
    stop = np.searchsorted(event_keys, key, side="right")
    first = np.searchsorted(event_keys, entry_key, side="right")
    starts = np.unique(np.searchsorted(event_keys, np.unique(strata) * span))
    mass = sum_by(event_time, weights[event_rows], len(event_keys))
    if ties == "efron":
        factor_time = np.repeat(np.arange(len(event_keys)), tied)
        position = np.arange(len(factor_time)) - np.repeat(np.cumsum(tied) - tied, tied)
        fraction, factor_weight = position / tied[factor_time], (mass / tied)[factor_time]
    else:
        factor_time, factor_weight = np.arange(len(event_keys)), mass
        fraction = np.zeros(len(event_keys))
    return CoxProblem(
        matrix=_centred(matrix, strata),
        weights=weights,
        first=first,
        stop=stop,
        event_rows=event_rows,
        event_time=event_time,
        times=ranks[event_keys % span - 1],
        stratum_starts=starts[starts < len(event_keys)],
        factor_time=factor_time,
        factor_fraction=fraction,
        factor_weight=factor_weight,
    )


def _centred(matrix: FloatArray, strata: IntArray) -> FloatArray:
    """Centre columns within strata: the partial likelihood does not see it and the information loses fewer digits."""
    sizes = np.bincount(strata)
    means = sum_rows_by(strata, matrix, len(sizes)) / np.maximum(sizes, 1)[:, None]
    return np.asarray(matrix - means[strata])


def risk_set_sums(problem: CoxProblem, values: FloatArray) -> FloatArray:
    """Sum ``values`` (n, q) over the risk set of each event time, shape ``(g, q)``."""
    size, starts = len(problem.times), problem.stratum_starts
    at_risk = problem.stop > problem.first
    sums = sum_rows_by(problem.stop[at_risk] - 1, values[at_risk], size)
    late = at_risk & ~np.isin(problem.first, starts)
    not_yet = sum_rows_by(problem.first[late] - 1, values[late], size) if late.any() else None
    for start, end in zip(starts, [*starts[1:], size], strict=True):
        sums[start:end] = sum_from_here(sums[start:end])
        if not_yet is not None:
            sums[start:end] -= sum_from_here(not_yet[start:end])
    return sums


def risk_averages(problem: CoxProblem, coefficients: FloatArray) -> RiskAverages:
    """Evaluate the likelihood factors at ``coefficients`` (p,)."""
    predictor = problem.matrix @ coefficients
    predictor = predictor - predictor.max(initial=-np.inf)
    relative_hazard = problem.weights * np.exp(predictor)
    values = np.column_stack([relative_hazard, relative_hazard[:, None] * problem.matrix])
    rows, time = problem.event_rows, problem.factor_time
    failing = sum_rows_by(problem.event_time, values[rows], len(problem.times))
    factors = risk_set_sums(problem, values)[time] - problem.factor_fraction[:, None] * failing[time]
    totals = factors[:, 0]
    if not np.all(totals > 0):
        empty = np.zeros_like(totals)
        return RiskAverages(relative_hazard, np.zeros_like(factors[:, 1:]), empty, -np.inf)
    log_likelihood = problem.weights[rows] @ predictor[rows] - problem.factor_weight @ np.log(totals)
    return RiskAverages(
        relative_hazard, factors[:, 1:] / totals[:, None], problem.factor_weight / totals, float(log_likelihood)
    )


def accumulate(problem: CoxProblem, increments: FloatArray) -> FloatArray:
    """Sum factor increments (m, q) over the factors each row is at risk for, shape ``(n, q)``.

    A tied event counts only with the fraction it is not left out, as in the likelihood.
    """
    size = len(problem.times)
    by_time = sum_rows_by(problem.factor_time, increments, size)
    running = np.concatenate([np.zeros((1, increments.shape[1])), np.cumsum(by_time, axis=0)])
    exposed: FloatArray = running[problem.stop] - running[problem.first]
    left_out = sum_rows_by(problem.factor_time, increments * problem.factor_fraction[:, None], size)
    exposed[problem.event_rows] -= left_out[problem.event_time]
    return exposed


def score(problem: CoxProblem, averages: RiskAverages, *, time_weight: FloatArray | None = None) -> FloatArray:
    """Return the score, shape ``(p,)``; with ``time_weight`` (g,), each event time's part times its weight."""
    event_weight, factor_weight = problem.weights[problem.event_rows], problem.factor_weight
    if time_weight is not None:
        event_weight = event_weight * time_weight[problem.event_time]
        factor_weight = factor_weight * time_weight[problem.factor_time]
    return np.asarray(event_weight @ problem.matrix[problem.event_rows] - factor_weight @ averages.means)


def information(problem: CoxProblem, averages: RiskAverages, *, time_weight: FloatArray | None = None) -> FloatArray:
    """Return the information, shape ``(p, p)``; with ``time_weight`` (g,), each event time's part times its weight.

    The sum over factors of risk-weighted second moments is taken row by row: each row's outer product counts with its
    relative hazard times the hazard accumulated while it was at risk.
    """
    scale = np.ones(len(problem.times)) if time_weight is None else time_weight
    factor_scale = scale[problem.factor_time]
    exposure = accumulate(problem, (averages.hazards * factor_scale)[:, None])[:, 0]
    second = problem.matrix.T @ ((averages.relative_hazard * exposure)[:, None] * problem.matrix)
    weighted_means = (problem.factor_weight * factor_scale)[:, None] * averages.means
    return np.asarray(second - averages.means.T @ weighted_means)
