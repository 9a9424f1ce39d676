"""Compiled numbering of event times and risk intervals, and the rows laid out in their order."""

from __future__ import annotations

import numpy as np

from analyses.kernels.compiled import compiled
from analyses.kernels.grouped_sums import FloatArray, IntArray
from analyses.kernels.kaplan_meier import BoolArray


@compiled
def lay_out(
    order: IntArray, durations: FloatArray, events: BoolArray, entries: FloatArray, own: IntArray, delayed: bool
) -> tuple[
    IntArray, IntArray, IntArray, IntArray, IntArray, IntArray, IntArray, IntArray, FloatArray, IntArray, IntArray
]:
    """Return ``rows, first, stop, late, row_starts, event_rows, event_time, event_starts, times, time_strata`` and
    ``stratum_starts`` of :class:`analyses.kernels.cox_problem.CoxProblem`.

    ``order`` (n,) sorts the rows by stratum ``own`` (n,), then duration; ``entries`` is read if ``delayed``.
    """
    n = len(order)
    first, stop, opening = np.empty(n, dtype=np.intp), np.empty(n, dtype=np.intp), np.empty(n, dtype=np.intp)
    times, time_strata = np.empty(n), np.empty(n, dtype=np.intp)
    number, opens, i = 0, 0, 0
    while i < n:
        stratum, now = own[order[i]], durations[order[i]]
        if i > 0 and own[order[i - 1]] != stratum:
            opens = number
        end, failing = i, False
        while end < n and durations[order[end]] == now and own[order[end]] == stratum:
            failing = failing or events[order[end]]
            end += 1
        if failing:
            times[number], time_strata[number] = now, stratum
            number += 1
        for place in range(i, end):
            low = opens
            if delayed:  # the event times of the stratum up to the entry, which comes before this time
                entry, high = entries[order[place]], number
                while low < high:
                    middle = (low + high) // 2
                    if times[middle] <= entry:
                        low = middle + 1
                    else:
                        high = middle
            first[place], stop[place], opening[place] = low, number, opens
        i = end
    rows, event_rows = np.empty(n, dtype=np.intp), np.empty(n, dtype=np.intp)
    event_time = np.empty(n, dtype=np.intp)
    row_starts, event_starts = np.empty(number, dtype=np.intp), np.zeros(number + 1, dtype=np.intp)
    entering = np.zeros(number + 1, dtype=np.intp)  # how many late rows have each first event time
    kept, failed, reached, delays = 0, 0, -1, 0
    for place in range(n):
        if stop[place] <= first[place]:
            continue
        rows[kept], first[kept], stop[kept], opening[kept] = order[place], first[place], stop[place], opening[place]
        if stop[kept] - 1 > reached:
            reached = stop[kept] - 1
            row_starts[reached] = kept
        if events[order[place]]:
            event_rows[failed], event_time[failed] = kept, stop[kept] - 1
            event_starts[stop[kept]] += 1
            failed += 1
        if first[kept] > opening[kept]:
            entering[first[kept]] += 1
            delays += 1
        kept += 1
    for k in range(number):
        event_starts[k + 1] += event_starts[k]
        entering[k + 1] += entering[k]
    late = np.empty(delays, dtype=np.intp)
    for back in range(kept - 1, -1, -1):
        if first[back] > opening[back]:
            entering[first[back]] -= 1
            late[entering[first[back]]] = back
    strata = 0
    for k in range(number):
        if k == 0 or time_strata[k] != time_strata[k - 1]:
            strata += 1
    stratum_starts = np.empty(strata + 1, dtype=np.intp)
    strata = 0
    for k in range(number):
        if k == 0 or time_strata[k] != time_strata[k - 1]:
            stratum_starts[strata] = k
            strata += 1
    stratum_starts[strata] = number
    return (
        rows[:kept], first[:kept], stop[:kept], late, row_starts, event_rows[:failed], event_time[:failed],
        event_starts, times[:number], time_strata[:number], stratum_starts,
    )  # fmt: skip


@compiled
def gather(matrix: FloatArray, rows: IntArray, own: IntArray, strata: int) -> tuple[FloatArray, FloatArray]:
    """Return the chosen rows centred within their strata, shape ``(len(rows), p)``, and the centres ``(strata, p)``."""
    n, p = len(rows), matrix.shape[1]
    laid, centres, sizes = np.empty((n, p)), np.zeros((strata, p)), np.zeros(strata)
    for i in range(n):
        stratum = own[rows[i]]
        sizes[stratum] += 1.0
        for a in range(p):
            laid[i, a] = matrix[rows[i], a]
            centres[stratum, a] += laid[i, a]
    for stratum in range(strata):
        if sizes[stratum] > 0:
            for a in range(p):
                centres[stratum, a] /= sizes[stratum]
    for i in range(n):
        for a in range(p):
            laid[i, a] -= centres[own[rows[i]], a]
    return laid, centres
