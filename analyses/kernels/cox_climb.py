"""Compiled Newton's method for replicates of a Cox model; what is not an ordinary maximum is left to others."""

from __future__ import annotations

import math

import numpy as np

from analyses.kernels.compiled import compiled
from analyses.kernels.cox import (
    ALIAS_TOLERANCE,
    FLAT_TOLERANCE,
    LONGEST_STEP,
    MAX_ITERATIONS,
    SHRINKING,
    STEP_TOLERANCE,
)
from analyses.kernels.cox_sweep import event_time_sweep, likelihood_sweep
from analyses.kernels.grouped_sums import FloatArray, IntArray

DrawnRows = tuple[
    FloatArray, FloatArray, FloatArray, IntArray, IntArray, IntArray, IntArray, IntArray, IntArray
]  # fmt: skip
"""What :func:`drawn_rows` returns."""


@compiled
def inverse_of(matrix: FloatArray, floor: float) -> tuple[bool, FloatArray]:
    """Invert a positive definite matrix; False when a column adds too little to those before it."""
    p = len(matrix)
    lower, inverse = np.zeros((p, p)), np.zeros((p, p))
    for a in range(p):
        for b in range(a + 1):
            left = matrix[a, b]
            for c in range(b):
                left -= lower[a, c] * lower[b, c]
            if a == b:
                if not left > max(ALIAS_TOLERANCE * matrix[a, a], floor):
                    return False, inverse
                lower[a, a] = math.sqrt(left)
            else:
                lower[a, b] = left / lower[b, b]
    unit = np.zeros((p, p))  # inverse of the triangle, column by column
    for b in range(p):
        for a in range(b, p):
            value = 1.0 if a == b else 0.0
            for c in range(b, a):
                value -= lower[a, c] * unit[c, b]
            unit[a, b] = value / lower[a, a]
    for a in range(p):
        for b in range(p):
            for c in range(max(a, b), p):
                inverse[a, b] += unit[c, a] * unit[c, b]
    return True, inverse


@compiled
def climb(
    matrix: FloatArray,
    weights: FloatArray,
    offset: FloatArray,
    first: IntArray,
    late: IntArray,
    row_starts: IntArray,
    event_rows: IntArray,
    event_starts: IntArray,
    stratum_starts: IntArray,
    tied: bool,
) -> tuple[bool, FloatArray, FloatArray, float]:
    """Return whether an ordinary maximum was reached, the coefficients, their variance and the log likelihood.

    The steps are those of :func:`analyses.kernels.cox.maximise`; anything that needs more than steps (an aliased
    column, a likelihood that falls or will not end) is reported as no ordinary maximum.
    """
    n, p = matrix.shape
    coefficients = np.zeros(p)
    time_weight = np.ones(len(row_starts))
    spread = np.zeros(p)
    for i in range(n):
        for a in range(p):
            spread[a] += matrix[i, a] * matrix[i, a]
    for a in range(p):
        spread[a] = math.sqrt(spread[a] / n) if spread[a] > 0 else 1.0
    mass = 0.0
    for e in range(len(event_rows)):
        mass += weights[event_rows[e]]
    before, value = np.inf, -np.inf
    step, reach = np.zeros(p), 0.0
    for iteration in range(MAX_ITERATIONS + 1):
        for a in range(p):
            coefficients[a] += step[a]
        reached, slope, curvature = likelihood_sweep(
            coefficients, matrix, weights, offset, first, late, row_starts, event_rows, event_starts, stratum_starts,
            tied, time_weight,
        )  # fmt: skip
        if iteration > 0:
            if not reached >= value - 1e-12 * (1 + abs(value)):
                return False, coefficients, curvature, value
            if reached - value <= FLAT_TOLERANCE * (1 + abs(value)) and reach > SHRINKING * before:
                return False, coefficients, curvature, value
            before = reach
        value = reached
        for a in range(p):
            for b in range(p):
                curvature[a, b] /= spread[a] * spread[b]
        ordinary, inverse = inverse_of(curvature, ALIAS_TOLERANCE**2 * mass)
        if not ordinary:
            return False, coefficients, inverse, value
        done = True
        for a in range(p):
            step[a] = 0.0
            for b in range(p):
                step[a] += inverse[a, b] * slope[b] / spread[b]
            error = math.sqrt(inverse[a, a])
            done = done and abs(step[a]) <= STEP_TOLERANCE * max(abs(coefficients[a]) * spread[a], error)
            step[a] /= spread[a]
        if done:
            for a in range(p):
                coefficients[a] += step[a]
                for b in range(p):
                    inverse[a, b] /= spread[a] * spread[b]
            return True, coefficients, inverse, value
        reach = 0.0
        for i in range(n):
            change = 0.0
            for a in range(p):
                change += matrix[i, a] * step[a]
            reach = max(reach, abs(change))
        if reach > LONGEST_STEP:
            for a in range(p):
                step[a] *= LONGEST_STEP / reach
    return False, coefficients, inverse, value


@compiled
def sandwich(
    coefficients: FloatArray,
    variance: FloatArray,
    matrix: FloatArray,
    weights: FloatArray,
    offset: FloatArray,
    first: IntArray,
    stop: IntArray,
    late: IntArray,
    row_starts: IntArray,
    event_rows: IntArray,
    event_starts: IntArray,
    stratum_starts: IntArray,
    tied: bool,
) -> FloatArray:
    """Return the robust variance over rows, shape ``(p, p)``; see :mod:`analyses.kernels.cox_residuals`."""
    n, p = matrix.shape
    risk, weighted = np.empty(n), np.empty(n)
    highest = -np.inf
    for i in range(n):
        risk[i] = offset[i]
        for a in range(p):
            risk[i] += matrix[i, a] * coefficients[a]
        highest = max(highest, risk[i])
    for i in range(n):
        risk[i] = math.exp(risk[i] - highest)
        weighted[i] = risk[i] * weights[i]
    hazard, hazard_tied, mean_hazard, mean_hazard_tied, means, _ = event_time_sweep(
        weighted, matrix, weights, first, late, row_starts, event_rows, event_starts, stratum_starts, tied
    )
    g = len(hazard)
    running, running_means = np.zeros(g + 1), np.zeros((g + 1, p))
    for k in range(g):
        running[k + 1] = running[k] + hazard[k]
        running_means[k + 1] = running_means[k] + mean_hazard[k]
    scores = np.zeros((n, p))
    for i in range(n):
        exposed = running[stop[i]] - running[first[i]]
        for a in range(p):
            exposed_mean = running_means[stop[i], a] - running_means[first[i], a]
            scores[i, a] = risk[i] * (exposed_mean - matrix[i, a] * exposed)
    for k in range(g):
        for e in range(event_starts[k], event_starts[k + 1]):
            i = event_rows[e]
            lacking = hazard[k] - hazard_tied[k]
            for a in range(p):
                lacking_mean = mean_hazard[k, a] - mean_hazard_tied[k, a]
                scores[i, a] += matrix[i, a] - means[k, a] + risk[i] * (matrix[i, a] * lacking - lacking_mean)
    robust = np.zeros((p, p))
    change = np.empty(p)
    for i in range(n):
        for a in range(p):
            change[a] = 0.0
            for b in range(p):
                change[a] += weights[i] * scores[i, b] * variance[b, a]
        for a in range(p):
            for b in range(p):
                robust[a, b] += change[a] * change[b]
    return robust


@compiled
def drawn_rows(
    matrix: FloatArray,
    weights: FloatArray,
    copies: IntArray,
    offset: FloatArray,
    first: IntArray,
    stop: IntArray,
    late: IntArray,
    row_starts: IntArray,
    event_rows: IntArray,
    event_starts: IntArray,
    row: int,
    end: int,
    time: int,
    last_time: int,
    late_begin: int,
    late_end: int,
) -> DrawnRows:
    """Lay the rows of one replicate out as often as they are copied; a row of weight zero is left out.

    The replicate is the rows from ``row`` to ``end``, with the event times from ``time`` to ``last_time``, of
    which some may be left without an event. Returns ``matrix, weights, offset, first, stop, late, row_starts,
    event_rows`` and ``event_starts`` of its own.
    """
    p = matrix.shape[1]
    begins = np.zeros(end - row + 1, dtype=np.intp)
    for i in range(row, end):
        begins[i - row + 1] = begins[i - row] + (copies[i] if weights[i] > 0 else 0)
    total = begins[-1]
    own_matrix, own_weights, own_offset = np.empty((total, p)), np.empty(total), np.empty(total)
    own_first, own_stop = np.empty(total, dtype=np.intp), np.empty(total, dtype=np.intp)
    for i in range(row, end):
        for place in range(begins[i - row], begins[i - row + 1]):
            for a in range(p):
                own_matrix[place, a] = matrix[i, a]
            own_weights[place], own_offset[place] = weights[i], offset[i]
            own_first[place], own_stop[place] = first[i] - time, stop[i] - time
    own_starts = np.empty(last_time - time, dtype=np.intp)
    own_event_starts = np.zeros(last_time - time + 1, dtype=np.intp)
    own_events = np.empty(total, dtype=np.intp)
    found = 0
    for k in range(time, last_time):
        own_starts[k - time] = begins[row_starts[k] - row]
        for e in range(event_starts[k], event_starts[k + 1]):
            i = event_rows[e] - row
            for place in range(begins[i], begins[i + 1]):
                own_events[found] = place
                found += 1
        own_event_starts[k - time + 1] = found
    own_late = np.empty(total, dtype=np.intp)
    delayed = 0
    for position in range(late_begin, late_end):
        i = late[position] - row
        for place in range(begins[i], begins[i + 1]):
            own_late[delayed] = place
            delayed += 1
    return (
        own_matrix, own_weights, own_offset, own_first, own_stop, own_late[:delayed], own_starts, own_events[:found],
        own_event_starts,
    )  # fmt: skip
