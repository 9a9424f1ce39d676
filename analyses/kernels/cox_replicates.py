"""Many Cox fits in one call: a bootstrap of one cohort, or the cohorts of a simulation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analyses.kernels.cox import TermStatus, maximise
from analyses.kernels.cox_climb import DrawnRows, climb, drawn_rows, sandwich
from analyses.kernels.cox_layout import gather, lay_out
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
    [0.9406, 1.2084]
    """
    size, p = matrix.shape
    shared = cohorts is None
    taken = np.ones((1, size), dtype=np.intp) if copies is None else np.atleast_2d(copies)
    mass = np.ones((1, size)) if weights is None else np.atleast_2d(weights)
    number = max(len(taken), len(mass)) if cohorts is None else int(cohorts.max()) + 1
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
    own = np.zeros(size, dtype=np.intp) if strata is None else strata
    if cohorts is not None:
        own = own + layers * cohorts
    single = strata is None and shared
    order = np.argsort(durations) if single else np.lexsort((durations, own))
    laid = lay_out(order, durations, events, durations if entries is None else entries, own, entries is not None)
    rows, first, stop, late, row_starts, event_rows, _, event_starts, times, time_strata, stratum_starts = laid
    columns, _ = gather(matrix, rows, own, 1 if single else int(own.max()) + 1)
    if shared:
        bounds, row_bounds, late_bounds = [0, len(times)], [0, len(rows)], [0, len(late)]
        stratum_bounds = [0, len(stratum_starts) - 1]
    else:
        cuts = np.searchsorted(time_strata // layers, np.arange(number + 1))
        bounds, row_bounds = cuts.tolist(), np.searchsorted(stop, cuts + 1).tolist()
        late_bounds = np.searchsorted(first[late], cuts).tolist()
        stratum_bounds = np.searchsorted(stratum_starts, cuts).tolist()
    shifts = np.zeros(len(rows)) if offset is None else offset.take(rows)
    masses, draws = mass.take(rows, axis=1), taken.take(rows, axis=1)
    for replicate in range(number):
        part = 0 if shared else replicate
        at_risk = drawn_rows(
            columns,
            masses[replicate % len(masses)],
            draws[replicate % len(draws)],
            shifts,
            first,
            stop,
            late,
            row_starts,
            event_rows,
            event_starts,
            row_bounds[part],
            row_bounds[part + 1],
            bounds[part],
            bounds[part + 1],
            late_bounds[part],
            late_bounds[part + 1],
        )
        begins = stratum_starts[stratum_bounds[part] : stratum_bounds[part + 1] + 1] - bounds[part]
        result.events[replicate] = len(at_risk[7])
        if len(at_risk[7]) and not _climbed(result, replicate, at_risk, begins, tied=ties == "efron"):
            mine = mass[replicate % len(mass)]
            there = np.where(mine > 0, taken[replicate % len(taken)], 0)
            if cohorts is not None:
                there = np.where(cohorts == replicate, there, 0)
            chosen = np.repeat(np.arange(size), there)
            _fit_alone(result, replicate, chosen, matrix, durations, events, mine, entries, strata, offset, ties)
    return result


def _climbed(result: CoxReplicates, replicate: int, at_risk: DrawnRows, begins: IntArray, *, tied: bool) -> bool:
    """Put the fit of one replicate in its place, if it is an ordinary maximum."""
    matrix, weights, offset, first, stop, late, row_starts, event_rows, event_starts = at_risk
    ordinary, coefficients, variance, value = climb(
        matrix, weights, offset, first, late, row_starts, event_rows, event_starts, begins, tied
    )
    if not ordinary:
        return False
    result.coefficients[replicate], result.variance[replicate] = coefficients, variance
    result.log_likelihood[replicate] = value
    result.status[replicate] = TermStatus.ESTIMATED.value
    if result.robust_variance is not None:
        result.robust_variance[replicate] = sandwich(
            coefficients, variance, matrix, weights, offset, first, stop, late, row_starts, event_rows, event_starts,
            begins, tied,
        )  # fmt: skip
    return True


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
