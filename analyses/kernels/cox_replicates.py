"""Many Cox fits in one call: a bootstrap of one cohort, or the cohorts of a simulation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analyses.kernels.cox import TermStatus, maximise
from analyses.kernels.cox_climb import climb_each
from analyses.kernels.cox_problem import Ties, cox_problem
from analyses.kernels.cox_residuals import robust_variance
from analyses.kernels.grouped_sums import FloatArray, IntArray
from analyses.kernels.kaplan_meier import BoolArray


@dataclass(frozen=True, slots=True)
class CoxReplicates:
    """Fits of ``r`` replicates with ``p`` terms.

    Attributes
    ----------
    coefficients
        Shape ``(r, p)``: log hazard ratios; NaN for terms without an estimate.
    variance
        Shape ``(r, p, p)``: inverse information; NaN for terms without an estimate.
    robust_variance
        Shape ``(r, p, p)``: sandwich variance over rows, copies being rows of their own; None when it was not asked
        for.
    log_likelihood
        Shape ``(r,)``: NaN without events.
    events
        Shape ``(r,)``: number of events, counting copies.
    status
        Shape ``(r, p)``: the :class:`analyses.kernels.cox.TermStatus` of each term, as text; empty without events.
    """

    coefficients: FloatArray
    variance: FloatArray
    robust_variance: FloatArray | None
    log_likelihood: FloatArray
    events: IntArray
    status: NDArray[np.str_]


def fit_replicates(
    matrix: FloatArray,
    durations: FloatArray,
    events: BoolArray,
    *,
    cohorts: IntArray | None = None,
    copies: IntArray | None = None,
    weights: FloatArray | None = None,
    entries: FloatArray | None = None,
    strata: IntArray | None = None,
    offset: FloatArray | None = None,
    ties: Ties = "efron",
    robust: bool = False,
) -> CoxReplicates:
    """Fit the same Cox model to every cohort, or to one cohort under many weights.

    Rows are sorted once for all replicates and the fits run in compiled code. Replicates that are no ordinary
    maximum (aliased or diverging terms) go through :func:`analyses.kernels.cox.maximise` one by one.

    Parameters
    ----------
    matrix, durations, events, entries, strata, offset
        As in :func:`analyses.kernels.cox_problem.cox_problem`, the rows of all cohorts under one another.
    cohorts
        Shape ``(n,)``, codes from 0 without gaps: each cohort is a replicate. Then ``copies`` and ``weights`` have
        shape ``(n,)``.
    copies
        Without ``cohorts``, shape ``(r, n)``, whole numbers from 0: how often each row was drawn, as a bootstrap
        does. Copies are rows of their own: they tie, and a copy is not a weight under Efron's handling.
    weights
        Without ``cohorts``, shape ``(r, n)``; zero leaves a row out.

    Returns
    -------
    CoxReplicates
        In the order of the cohorts, or of the rows of ``copies`` and ``weights``.

    Examples
    --------
    >>> x, t, d = np.array([[1.0], [0.0], [1.0], [0.0]]), np.arange(4.0), np.array([True, True, True, False])
    >>> fit_replicates(x, t, d, copies=np.array([[1, 1, 1, 1], [2, 1, 1, 1]])).coefficients.round(4).ravel().tolist()
    [0.9406, 1.6094]
    """
    size = len(durations)
    shared = cohorts is None
    own = np.zeros(size, dtype=np.intp) if cohorts is None else cohorts
    taken, mass = _lines(copies, size, np.intp), _lines(weights, size, np.float64)
    number = max(len(taken), len(mass)) if shared else int(own.max(initial=-1)) + 1
    lines = number if shared else 1
    taken, mass = np.broadcast_to(taken, (lines, size)), np.broadcast_to(mass, (lines, size))
    taken = np.where(mass > 0, taken, 0)
    p = matrix.shape[1]
    result = CoxReplicates(
        coefficients=np.full((number, p), np.nan),
        variance=np.full((number, p, p), np.nan),
        robust_variance=np.full((number, p, p), np.nan) if robust else None,
        log_likelihood=np.full(number, np.nan),
        events=np.zeros(number, dtype=np.intp),
        status=np.full((number, p), "", dtype="<U16"),
    )
    if not events.any():
        return result
    layers = 1 if strata is None else int(strata.max()) + 1
    codes = own * layers + (0 if strata is None else strata)
    problem = cox_problem(
        matrix,
        durations,
        events,
        entries=entries,
        strata=None if shared and strata is None else codes,
        offset=offset,
        ties=ties,
    )
    time_bounds = np.searchsorted(problem.time_strata // layers, np.arange(number + 1)) if not shared else None
    if time_bounds is None:
        time_bounds = np.array([0, len(problem.times)])
    nowhere = np.empty((0, p, p))
    ordinary, result.events[:] = climb_each(
        problem.matrix,
        np.ascontiguousarray(mass[:, problem.rows]),
        np.ascontiguousarray(taken[:, problem.rows]),
        problem.offset,
        problem.first,
        problem.stop,
        problem.late,
        problem.row_starts,
        problem.event_rows,
        problem.event_starts,
        problem.stratum_starts,
        ties == "efron",
        np.searchsorted(problem.stop - 1, time_bounds),
        time_bounds,
        np.searchsorted(problem.first[problem.late], time_bounds),
        np.searchsorted(problem.stratum_starts, time_bounds),
        shared,
        robust,
        result.coefficients,
        result.variance,
        nowhere if result.robust_variance is None else result.robust_variance,
        result.log_likelihood,
    )
    result.status[ordinary == 1] = str(TermStatus.ESTIMATED)
    for replicate in np.flatnonzero((ordinary == 0) & (result.events > 0)):
        line = replicate if shared else 0
        chosen = np.repeat(np.arange(size), np.where(own == (0 if shared else replicate), taken[line], 0))
        _fit_alone(result, int(replicate), chosen, matrix, durations, events, mass[line], entries, strata, offset, ties)
    return result


def _lines(given: FloatArray | IntArray | None, size: int, kind: type[np.float64 | np.intp]) -> NDArray:  # type: ignore[type-arg]
    return np.ones((1, size), dtype=kind) if given is None else np.atleast_2d(given).astype(kind, copy=False)


def _fit_alone(
    result: CoxReplicates,
    replicate: int,
    rows: IntArray,
    matrix: FloatArray,
    durations: FloatArray,
    events: BoolArray,
    weights: FloatArray,
    entries: FloatArray | None,
    strata: IntArray | None,
    offset: FloatArray | None,
    ties: Ties,
) -> None:
    """Fit one replicate with all care and put it in its place."""
    problem = cox_problem(
        matrix[rows],
        durations[rows],
        events[rows],
        weights=weights[rows],
        entries=None if entries is None else entries[rows],
        strata=None if strata is None else strata[rows],
        offset=None if offset is None else offset[rows],
        ties=ties,
    )
    solution = maximise(problem)
    estimated = np.array([status is TermStatus.ESTIMATED for status in solution.status])
    result.coefficients[replicate] = np.where(estimated, solution.coefficients, np.nan)
    result.variance[replicate] = solution.variance
    result.log_likelihood[replicate] = solution.log_likelihood
    result.status[replicate] = [str(status) for status in solution.status]
    if result.robust_variance is not None:
        result.robust_variance[replicate] = robust_variance(problem, solution.coefficients, solution.variance, None)
