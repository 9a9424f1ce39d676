"""Survival curves of a Cox model averaged over patients, and the influence of every patient on the average."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analyses.kernels.cox_likelihood import EventTimeSums, event_time_sums, exposure, hazard_slopes, within_strata
from analyses.kernels.cox_problem import CoxProblem
from analyses.kernels.cox_residuals import influence
from analyses.kernels.grouped_sums import FloatArray
from analyses.kernels.kaplan_meier import BoolArray

_BLOCK_NUMBERS = 2_000_000
"""Numbers in one patients-by-times array; more patients are worked through in blocks."""


@dataclass(frozen=True, slots=True, eq=False)
class FittedHazard:
    """A Cox model with an estimate of every term, as its averages need it; ``n`` rows of the data, ``p`` terms.

    Attributes
    ----------
    problem
        Risk sets; rows of weight one, at risk from time 0.
    coefficients
        Shape ``(p,)``.
    changes
        Shape ``(n, p)``: influence of each row on the coefficients.
    sums
        Of the event times.
    """

    problem: CoxProblem
    coefficients: FloatArray
    changes: FloatArray
    sums: EventTimeSums


@dataclass(frozen=True, slots=True, eq=False)
class Averaged:
    """Estimates ``(q,)`` and the influence of each row of the data on them ``(q, n)``; the variance is its sum of
    squares."""

    estimate: FloatArray
    influence: FloatArray


def fitted_hazard(problem: CoxProblem, coefficients: FloatArray, variance: FloatArray) -> FittedHazard:
    """Work out once what every average of a model needs; ``variance`` (p, p) is the inverse information."""
    changes = influence(problem, coefficients, variance)
    return FittedHazard(problem, coefficients, changes, event_time_sums(problem, coefficients))


def averaged_survival(
    fitted: FittedHazard,
    covariates: FloatArray,
    target: BoolArray,
    *,
    stratum: int,
    times: FloatArray,
    horizon: float | None,
) -> Averaged:
    """Average the predicted survival of patients at given times, and the area under it.

    Survival is exp(-cumulative hazard), with the hazard increments of the likelihood: under Efron's handling of ties
    the tied events leave the risk set by fractions.

    Parameters
    ----------
    fitted
        The model.
    covariates
        Shape ``(n, p)``: each row of the data with the covariates it is predicted under.
    target
        Shape ``(n,)``: who is averaged over.
    stratum
        Whose baseline hazard is taken.
    times, horizon
        Shape ``(q,)``; the area up to ``horizon`` comes after them unless that is None. The curve is level after the
        last event.

    Returns
    -------
    Averaged
        The influence has the row's own part in the average, and what it moves through the baseline hazard and the
        coefficients: the derivative of the whole chain by the row's case weight.

    Notes
    -----
    With S the average curve, A and B those of relative hazard times survival (and times covariates), a linear reading
    L of the curve has the influence: own reading less L over the number averaged, less that of A on the increments,
    less that of (H B - A times the running mean of covariates) on the coefficients.

    References
    ----------
    Ozenne BMH, Scheike TH, Staerk L, Gerds TA. Biom J 2020;62:751-763. doi:10.1002/bimj.201800298
    """
    problem = fitted.problem
    own = np.flatnonzero(problem.time_strata == stratum)
    last = max([*times.tolist(), horizon or 0.0], default=0.0)
    own = own[problem.times[own] <= last]
    readings, level = _readings(problem.times[own], times, horizon)
    size = len(target)
    if not len(own):
        return Averaged(level, np.zeros((len(level), size)))
    sums = fitted.sums
    hazard = within_strata(problem, sums.hazard)[own]
    means = within_strata(problem, sums.mean_hazard)[own]
    away = covariates - problem.centres[stratum]
    relative = np.exp(away @ fitted.coefficients - sums.shift)
    members = np.flatnonzero(target)
    read = np.empty((len(level), len(members)))
    pull, lean = np.zeros(len(own)), np.zeros((len(own), away.shape[1]))
    step = max(1, _BLOCK_NUMBERS // len(own))
    for low in range(0, len(members), step):
        rows = members[low : low + step]
        survival = np.exp(-np.outer(relative[rows], hazard))
        read[:, low : low + step] = readings @ survival.T + level[:, None]
        weighed = survival * relative[rows, None]
        pull += weighed.sum(axis=0)
        lean += weighed.T @ away[rows]
    pull, lean = pull / len(members), lean / len(members)
    estimate = read.mean(axis=1)
    moved = np.zeros((len(level), size))
    moved[:, members] = (read - estimate[:, None]) / len(members)
    moved -= _through_increments(fitted, own, readings * pull)
    moved -= readings @ (hazard[:, None] * lean - pull[:, None] * means) @ fitted.changes.T
    return Averaged(estimate, moved)


def _readings(steps: FloatArray, times: FloatArray, horizon: float | None) -> tuple[FloatArray, FloatArray]:
    """Return what each reading takes of the curve from each step on ``(q, k)``, and of its level before ``(q,)``."""
    place = np.searchsorted(steps, times, side="right") - 1
    taken = (np.arange(len(steps)) == place[:, None]).astype(np.float64)
    before = (place < 0).astype(np.float64)
    if horizon is None:
        return taken, before
    widths = np.diff(np.concatenate([[0.0], steps, [horizon]]))
    return np.vstack([taken, widths[1:]]), np.append(before, widths[0])


def _through_increments(fitted: FittedHazard, own: np.ndarray, pulls: FloatArray) -> FloatArray:
    """Return each row's pull ``(q, n)`` on readings whose slope by the cumulative hazard at each step is ``(q, k)``."""
    problem, sums = fitted.problem, fitted.sums
    ahead = np.zeros((len(problem.times), len(pulls)))
    ahead[own] = np.cumsum(pulls[:, ::-1], axis=1)[:, ::-1].T
    slope, slope_tied = hazard_slopes(problem, sums.relative_hazard)
    exposed = exposure(problem, ahead * slope[:, None], ahead * slope_tied[:, None])
    parts = -sums.relative_hazard[:, None] * exposed
    failing = np.diff(problem.event_starts)
    parts[problem.event_rows] += (ahead * (sums.hazard / failing)[:, None])[problem.event_time]
    found = np.zeros((len(pulls), problem.size))
    found[:, problem.rows] = parts.T
    return found
