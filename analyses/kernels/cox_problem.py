"""Rows and risk sets of a Cox model, sorted once so that every sum over risk sets is a running sum.

Every row is at risk for an unbroken run of event times of its stratum, so a risk set is two integers a row, whatever
the number of ties, strata or late entries.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from analyses.kernels.cox_layout import gather, lay_out
from analyses.kernels.grouped_sums import FloatArray, IntArray, sum_rows_by
from analyses.kernels.kaplan_meier import BoolArray

Ties = Literal["efron", "breslow"]
COMPILED_FROM = 20_000
"""Rows from which compiled code is worth importing numba for, which takes about a second."""


def compiled_pays(rows: int) -> bool:
    """Return whether a problem is for compiled code: by its size alone, so that equal input gives equal bytes."""
    return rows >= COMPILED_FROM


@dataclass(frozen=True, slots=True)
class CoxProblem:
    """Rows and risk sets of one Cox model; ``n`` rows, ``p`` columns, ``g`` event times, ``m`` likelihood factors.

    An *event time* is a distinct time of an event within a stratum; they are numbered by stratum, then time. With
    Breslow's approximation an event time has one likelihood factor; with Efron's as many as it has events, the j-th of
    d (from 0) leaving out the fraction j/d of the tied events from the risk set.

    Only the ``n`` rows at risk at some event time are held, by stratum, then time; ``rows`` says which they are.

    Attributes
    ----------
    matrix
        Shape ``(n, p)``, centred within strata: the likelihood does not see it and the information loses fewer digits.
    weights, offset
        Shape ``(n,)``; the offset is centred within strata too.
    centres, offset_centres
        Shapes ``(strata, p)`` and ``(strata,)``: what was subtracted in each stratum of the data.
    rows
        Shape ``(n,)``: the row of the data that each of these is.
    size
        Number of rows of the data.
    first, stop
        Shape ``(n,)``: the row is at risk at event times ``first`` to ``stop - 1``.
    late
        Positions of the rows that enter after the first event time of their stratum, by ``first``.
    row_starts
        Shape ``(g,)``: rows from here to the next start have event time ``stop - 1``.
    event_rows, event_time
        Shape ``(number of events,)``: positions that fail, in order, and the event time of each.
    event_starts
        Shape ``(g + 1,)``: events of a time are ``event_rows[start:next start]``.
    times, time_strata
        Shape ``(g,)``: the event times themselves and the stratum of each.
    stratum_starts
        First event time of each stratum that has events, and ``g``.
    factor_time, factor_fraction, factor_weight
        Shape ``(m,)``: event time of each likelihood factor, the fraction of tied events it leaves out, its weight.
    tied
        Whether any factor leaves something out.
    """

    matrix: FloatArray
    weights: FloatArray
    offset: FloatArray
    centres: FloatArray
    offset_centres: FloatArray
    rows: IntArray
    size: int
    first: IntArray
    stop: IntArray
    late: IntArray
    row_starts: IntArray
    event_rows: IntArray
    event_time: IntArray
    event_starts: IntArray
    times: FloatArray
    time_strata: IntArray
    stratum_starts: IntArray
    factor_time: IntArray
    factor_fraction: FloatArray
    factor_weight: FloatArray
    tied: bool


def cox_problem(
    matrix: FloatArray,
    durations: FloatArray,
    events: BoolArray,
    *,
    weights: FloatArray | None = None,
    entries: FloatArray | None = None,
    strata: IntArray | None = None,
    offset: FloatArray | None = None,
    ties: Ties = "efron",
) -> CoxProblem:
    """Number the event times and find each row's risk interval, ``entry < t <= duration``, within its stratum.

    ``strata`` are codes from 0. Equal times are ties; an event at a row's entry time finds that row not yet at risk.
    There must be an event.
    """
    if compiled_pays(len(durations)):
        return laid_out_by_sweep(matrix, durations, events, weights, entries, strata, offset, ties)
    size = len(durations)
    order = np.argsort(durations) if strata is None else np.lexsort((durations, strata))
    at, failing = durations.take(order), events.take(order)
    own = np.zeros(size, dtype=np.intp) if strata is None else strata.take(order)
    opens = np.empty(size, dtype=np.bool_)  # the first row of each distinct time of a stratum
    opens[0] = True
    np.not_equal(at[1:], at[:-1], out=opens[1:])
    if strata is not None:
        opens[1:] |= own[1:] != own[:-1]
    moments = np.flatnonzero(opens)
    with_event = np.logical_or.reduceat(failing, moments)
    passed = np.cumsum(with_event)
    stop = passed.take(np.cumsum(opens) - 1)
    event_moments = moments[with_event]
    times, time_strata = at[event_moments], own[event_moments]
    opening = np.zeros(1, dtype=np.intp)
    if strata is not None:
        opening = np.searchsorted(time_strata, np.arange(int(own[-1]) + 1))
    first = opening[own]
    if entries is not None:
        first = _event_times_passed(entries.take(order), own, times, time_strata)
    kept = stop > first
    if not kept.all():
        order, own, first, stop, failing = order[kept], own[kept], first[kept], stop[kept], failing[kept]
    event_rows = np.flatnonzero(failing)
    event_time = stop[event_rows] - 1
    event_starts = np.searchsorted(event_time, np.arange(len(times) + 1))
    ours = np.ones(len(order)) if weights is None else weights.take(order)
    fraction, factor_time, factor_weight = _factors(event_time, event_starts, ours[event_rows], ties)
    columns = np.ascontiguousarray(matrix).take(order, axis=0)
    shifts = np.zeros(len(order)) if offset is None else offset.take(order)
    centres = _centres(columns, own)
    offset_centres = np.zeros(len(centres)) if offset is None else _centres(shifts[:, None], own)[:, 0]
    opened = opening if strata is None else np.unique(opening[opening < len(times)])
    late = np.flatnonzero(first > opening[own]) if entries is not None else np.empty(0, dtype=np.intp)
    return CoxProblem(
        matrix=columns - (centres[0] if strata is None else centres[own]),
        weights=ours,
        offset=shifts if offset is None else shifts - offset_centres[own],
        centres=centres,
        offset_centres=offset_centres,
        rows=order,
        size=size,
        first=first,
        stop=stop,
        late=late[np.argsort(first[late])],
        row_starts=np.searchsorted(stop, np.arange(1, len(times) + 1)),
        event_rows=event_rows,
        event_time=event_time,
        event_starts=event_starts,
        times=times,
        time_strata=time_strata,
        stratum_starts=np.append(opened, len(times)),
        factor_time=factor_time,
        factor_fraction=fraction,
        factor_weight=factor_weight,
        tied=bool(len(event_rows) > len(times) and ties == "efron"),
    )


def laid_out_by_sweep(
    matrix: FloatArray,
    durations: FloatArray,
    events: BoolArray,
    weights: FloatArray | None,
    entries: FloatArray | None,
    strata: IntArray | None,
    offset: FloatArray | None,
    ties: Ties,
) -> CoxProblem:
    """As :func:`cox_problem`, by compiled code whatever the size."""
    size = len(durations)
    order = np.argsort(durations) if strata is None else np.lexsort((durations, strata))
    own = np.zeros(size, dtype=np.intp) if strata is None else strata
    number = 1 if strata is None else int(own[order[-1]]) + 1
    laid = lay_out(order, durations, events, durations if entries is None else entries, own, entries is not None)
    rows, first, stop, late, row_starts, event_rows, event_time, event_starts, times, time_strata, stratum_starts = laid
    columns, centres = gather(np.ascontiguousarray(matrix), rows, own, number)
    shifts, offset_centres = np.zeros(len(rows)), np.zeros(number)
    if offset is not None:
        shift, centre = gather(offset[:, None].copy(), rows, own, number)
        shifts, offset_centres = shift[:, 0].copy(), centre[:, 0]
    ours = np.ones(len(rows)) if weights is None else weights.take(rows)
    fraction, factor_time, factor_weight = _factors(event_time, event_starts, ours[event_rows], ties)
    return CoxProblem(
        matrix=columns,
        weights=ours,
        offset=shifts,
        centres=centres,
        offset_centres=offset_centres,
        rows=rows,
        size=size,
        first=first,
        stop=stop,
        late=late,
        row_starts=row_starts,
        event_rows=event_rows,
        event_time=event_time,
        event_starts=event_starts,
        times=times,
        time_strata=time_strata,
        stratum_starts=stratum_starts,
        factor_time=factor_time,
        factor_fraction=fraction,
        factor_weight=factor_weight,
        tied=bool(len(event_rows) > len(times) and ties == "efron"),
    )


def _factors(
    event_time: IntArray, event_starts: IntArray, weights: FloatArray, ties: Ties
) -> tuple[FloatArray, IntArray, FloatArray]:
    mass, count = np.add.reduceat(weights, event_starts[:-1]), np.diff(event_starts)
    if ties == "breslow":
        return np.zeros(len(count)), np.arange(len(count)), mass
    fraction = (np.arange(len(event_time)) - event_starts[event_time]) / count[event_time]
    return fraction, event_time, (mass / count)[event_time]


def _event_times_passed(entries: FloatArray, own: IntArray, times: FloatArray, time_strata: IntArray) -> IntArray:
    """Count, over all strata in order, the event times up to each entry in its stratum."""
    ranks, place = np.unique(times, return_inverse=True)
    span = len(ranks) + 1
    keys = time_strata * span + 1 + place
    return np.searchsorted(keys, own * span + np.searchsorted(ranks, entries, side="right"), side="right")


def _centres(columns: FloatArray, own: IntArray) -> FloatArray:
    """Return the mean of each column (n, q) in each stratum, 0 where a stratum holds no row; shape ``(strata, q)``."""
    if not own[-1]:
        return np.asarray(columns.mean(axis=0, keepdims=True))
    sizes = np.bincount(own)
    return np.asarray(sum_rows_by(own, columns, len(sizes)) / np.maximum(sizes, 1)[:, None])
