"""Partial likelihood of the Fine-Gray model: risk sets in which competing failures linger with a falling weight.

A row that fails from a competing cause at X stays in the risk set of every later event time t with the weight
K(t-) / K(X-), K being the probability of still being observed. Being a product of one factor in t and one in X, it
needs no copy of the row for each t: a risk set is a running sum over rows still under observation plus K(t-) times a
running sum of 1 / K(X-) over the lingering ones. One evaluation costs O(n p^2), whatever the number of event times.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np

from analyses.kernels.grouped_sums import FloatArray, IntArray, sum_by, sums_by
from analyses.kernels.kaplan_meier import BoolArray
from analyses.kernels.observation_probability import observation_probability

Ties = Literal["efron", "breslow"]


@dataclass(frozen=True, slots=True)
class FineGrayProblem:
    """Rows and risk sets of one model; ``n`` rows, ``p`` columns, ``m`` event times, ``f`` likelihood factors.

    An *event time* is a distinct time of an event of the cause within a stratum, numbered by stratum, then time.
    Tied events share one likelihood factor (Breslow) or have one each, the j-th of d (from 0) leaving out the
    fraction j/d of them from the risk set (Efron).

    Attributes
    ----------
    columns
        Shape ``(p, n)``: the covariates, one row of the array each, centred within strata.
    weights
        Shape ``(n,)``.
    first, stop, end
        Shape ``(n,)``: the row is observed at event times ``first`` to ``stop - 1``; its stratum ends at ``end - 1``.
    event_rows, event_time
        Shape ``(number of events,)``: rows that fail from the cause and the event time of each.
    times, stratum_bounds
        Shapes ``(m,)`` and ``(strata + 1,)``: the event times, and where those of each stratum begin, then ``m``.
    factor_time, factor_fraction, factor_weight
        Shape ``(f,)``: event time of each factor, the fraction of tied events it leaves out, its weight.
    lingering
        For each censoring group the numbers of its rows that linger over at least one event time.
    inverse_observed
        For each censoring group ``1 / K(X-)`` of its lingering rows.
    observed
        Shape ``(censoring groups, m)``: K(t-) at each event time.
    """

    columns: FloatArray
    weights: FloatArray
    first: IntArray
    stop: IntArray
    end: IntArray
    event_rows: IntArray
    event_time: IntArray
    times: FloatArray
    stratum_bounds: IntArray
    factor_time: IntArray
    factor_fraction: FloatArray
    factor_weight: FloatArray
    lingering: tuple[IntArray, ...]
    inverse_observed: tuple[FloatArray, ...]
    observed: FloatArray

    @property
    def supported(self) -> bool:
        """Whether K(X-) is above zero for every lingering row, so that its weights exist."""
        return all(bool(np.isfinite(inverse).all()) for inverse in self.inverse_observed)


@dataclass(frozen=True, slots=True)
class RiskAverages:
    """What score, information and residuals share at one coefficient vector.

    Attributes
    ----------
    relative_hazard
        Shape ``(n,)``: weight times exp(linear predictor - ``shift``).
    means
        Shape ``(p, f)``: risk-weighted covariate mean of each likelihood factor.
    hazards
        Shape ``(f,)``: hazard increment of each factor, in the units of 1 / ``relative_hazard``.
    shift
        Largest linear predictor, taken off before exponentiating.
    log_likelihood
        Log partial likelihood; minus infinity where a risk set has vanished numerically.
    """

    relative_hazard: FloatArray
    means: FloatArray
    hazards: FloatArray
    shift: float
    log_likelihood: float


def fine_gray_problem(
    matrix: FloatArray,
    durations: FloatArray,
    events: BoolArray,
    competing: BoolArray,
    *,
    weights: FloatArray,
    entries: FloatArray | None,
    strata: IntArray,
    censoring_groups: IntArray,
    ties: Ties,
    failures_leave_first: bool,
) -> FineGrayProblem:
    """Find each row's risk interval, ``entry < t <= duration``, and the weights of those that linger.

    Parameters
    ----------
    matrix
        Shape ``(n, p)``.
    durations, events, competing
        Shape ``(n,)``: end of follow-up; whether it is an event of the cause, or a failure from another cause.
    entries
        Shape ``(n,)``, below ``durations``; None without late entry.
    strata, censoring_groups
        Shape ``(n,)``, codes from 0: rows that share a baseline, and rows that share a distribution of censoring and
        entry. That distribution is estimated without the weights.
    failures_leave_first
        See :func:`analyses.kernels.observation_probability.observation_probability`.
    """
    ranks = np.unique(durations if entries is None else np.concatenate([durations, entries]))
    span = len(ranks) + 1
    key = strata * span + 1 + np.searchsorted(ranks, durations)
    entry_key = strata * span if entries is None else strata * span + 1 + np.searchsorted(ranks, entries)
    event_rows = np.flatnonzero(events)
    event_keys, event_time, tied = np.unique(key[event_rows], return_inverse=True, return_counts=True)
    size = len(event_keys)
    bounds = np.searchsorted(event_keys, np.arange(int(strata.max()) + 2) * span)
    times = ranks[event_keys % span - 1]
    stop = np.searchsorted(event_keys, key, side="right")
    end = bounds[strata + 1]

    lingering, inverse, observed = [], [], []
    for group in range(int(censoring_groups.max()) + 1):
        rows = np.flatnonzero(censoring_groups == group)
        stays = observation_probability(
            durations[rows],
            (events | competing)[rows],
            entries=None if entries is None else entries[rows],
            failures_leave_first=failures_leave_first,
        )
        staying = rows[competing[rows] & (stop[rows] < end[rows])]
        with np.errstate(divide="ignore"):
            inverse.append(1.0 / stays.before(durations[staying]))
        lingering.append(staying)
        observed.append(stays.before(times))

    mass = sum_by(event_time, weights[event_rows], size)
    if ties == "efron":
        factor_time = np.repeat(np.arange(size), tied)
        fraction = (np.arange(len(factor_time)) - np.repeat(np.cumsum(tied) - tied, tied)) / tied[factor_time]
        factor_weight = (mass / tied)[factor_time]
    else:
        factor_time, fraction, factor_weight = np.arange(size), np.zeros(size), mass
    return FineGrayProblem(
        columns=_centred(matrix, strata),
        weights=weights,
        first=np.searchsorted(event_keys, entry_key, side="right"),
        stop=stop,
        end=end,
        event_rows=event_rows,
        event_time=event_time,
        times=times,
        stratum_bounds=bounds,
        factor_time=factor_time,
        factor_fraction=fraction,
        factor_weight=factor_weight,
        lingering=tuple(lingering),
        inverse_observed=tuple(inverse),
        observed=np.stack(observed),
    )


def _centred(matrix: FloatArray, strata: IntArray) -> FloatArray:
    """Centre within strata, which the likelihood does not see, and lay the columns out one after the other."""
    sizes = np.bincount(strata)
    columns = np.ascontiguousarray(matrix.T)
    means = sums_by(strata, columns, len(sizes)) / np.maximum(sizes, 1)
    return np.asarray(columns - (means if len(sizes) == 1 else means[:, strata]))


def risk_set_sums(problem: FineGrayProblem, values: FloatArray) -> FloatArray:
    """Sum ``values`` (q, n), each with the row's weight in it, over the risk set of every event time, ``(q, m)``."""
    size, bounds = len(problem.times), problem.stratum_bounds
    # index 0 gathers rows that are never at risk; a row observed up to event time g is counted at g + 1
    sums = sums_by(np.where(problem.stop > problem.first, problem.stop, 0), values, size + 1)[:, 1:]
    late = np.flatnonzero((problem.first > bounds[0]) & (problem.stop > problem.first))
    late = late[~np.isin(problem.first[late], bounds)] if len(bounds) > 2 else late
    entering = sums_by(problem.first[late] - 1, values[:, late], size) if len(late) else None
    for start, end in pairwise(bounds):
        sums[:, start:end] = _from_here(sums[:, start:end])
        if entering is not None:
            sums[:, start:end] -= _from_here(entering[:, start:end])
    for rows, inverse, observed in zip(problem.lingering, problem.inverse_observed, problem.observed, strict=True):
        if not len(rows):
            continue
        joining = sums_by(problem.stop[rows], values[:, rows] * inverse, size)
        for start, end in pairwise(bounds):
            sums[:, start:end] += observed[start:end] * np.cumsum(joining[:, start:end], axis=1)
    return sums


def _from_here(values: FloatArray) -> FloatArray:
    return np.asarray(np.cumsum(values[:, ::-1], axis=1)[:, ::-1])


def risk_averages(problem: FineGrayProblem, coefficients: FloatArray) -> RiskAverages:
    """Evaluate the likelihood factors at ``coefficients`` (p,)."""
    predictor = coefficients @ problem.columns
    shift = float(predictor.max())
    relative_hazard = problem.weights * np.exp(predictor - shift)
    values = np.concatenate([relative_hazard[None], relative_hazard * problem.columns])
    factors = risk_set_sums(problem, values)
    if problem.factor_fraction.any():
        rows, time = problem.event_rows, problem.factor_time
        failing = sums_by(problem.event_time, values[:, rows], len(problem.times))
        factors = factors[:, time] - problem.factor_fraction * failing[:, time]
    totals = factors[0]
    if not np.all(totals > 0):
        return RiskAverages(relative_hazard, np.zeros_like(factors[1:]), np.zeros_like(totals), shift, -np.inf)
    failing_predictor = predictor[problem.event_rows] - shift
    log_likelihood = problem.weights[problem.event_rows] @ failing_predictor - problem.factor_weight @ np.log(totals)
    return RiskAverages(
        relative_hazard, factors[1:] / totals, problem.factor_weight / totals, shift, float(log_likelihood)
    )


def accumulate(problem: FineGrayProblem, increments: FloatArray) -> FloatArray:
    """Sum factor increments (q, f) over the factors each row is at risk for, with its weight there, ``(q, n)``."""
    size, tied = len(problem.times), bool(problem.factor_fraction.any())
    by_time = sums_by(problem.factor_time, increments, size) if tied else increments
    running = _running(by_time)
    exposed: FloatArray = running[:, problem.stop] - running[:, problem.first]
    if tied:
        left_out = sums_by(problem.factor_time, increments * problem.factor_fraction, size)
        exposed[:, problem.event_rows] -= left_out[:, problem.event_time]
    for rows, inverse, observed in zip(problem.lingering, problem.inverse_observed, problem.observed, strict=True):
        if len(rows):
            running = _running(by_time * observed)
            exposed[:, rows] += inverse * (running[:, problem.end[rows]] - running[:, problem.stop[rows]])
    return exposed


def _running(values: FloatArray) -> FloatArray:
    return np.concatenate([np.zeros((len(values), 1)), np.cumsum(values, axis=1)], axis=1)


def score(problem: FineGrayProblem, averages: RiskAverages) -> FloatArray:
    """Return the score, shape ``(p,)``."""
    rows = problem.event_rows
    return np.asarray(problem.columns[:, rows] @ problem.weights[rows] - averages.means @ problem.factor_weight)


def information(problem: FineGrayProblem, averages: RiskAverages) -> FloatArray:
    """Return the information, shape ``(p, p)``: second moments are taken row by row, with each row's exposure."""
    exposure = accumulate(problem, averages.hazards[None])[0]
    second = (problem.columns * (averages.relative_hazard * exposure)) @ problem.columns.T
    return np.asarray(second - (averages.means * problem.factor_weight) @ averages.means.T)


def score_residuals(problem: FineGrayProblem, averages: RiskAverages) -> FloatArray:
    """Return each row's part of the score, its weight included, shape ``(p, n)``; they sum to the score."""
    tied = bool(problem.factor_fraction.any())
    means = averages.means
    if tied:
        counts = np.bincount(problem.factor_time, minlength=len(problem.times))
        means = sums_by(problem.factor_time, means, len(problem.times)) / counts
    exposure = accumulate(problem, np.concatenate([averages.hazards[None], averages.hazards * averages.means]))
    residuals: FloatArray = averages.relative_hazard * (exposure[1:] - problem.columns * exposure[0])
    rows = problem.event_rows
    residuals[:, rows] += problem.weights[rows] * (problem.columns[:, rows] - means[:, problem.event_time])
    return residuals
