"""Compiled sweeps over the sorted rows of a Cox model, from the last event time of each stratum to its first."""

from __future__ import annotations

import math

import numpy as np

from analyses.kernels.compiled import compiled
from analyses.kernels.grouped_sums import FloatArray, IntArray


@compiled
def likelihood_sweep(
    coefficients: FloatArray,
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
    time_weight: FloatArray,
) -> tuple[float, FloatArray, FloatArray]:
    """Return log likelihood, score ``(p,)`` and information ``(p, p)``.

    Arguments are those of :class:`analyses.kernels.cox_problem.CoxProblem`; without ``tied`` every event time is one
    factor. Per event time, sums over its factors need no more than the sums over factors of 1/s, f/s, 1/s^2, f/s^2
    and f^2/s^2, where s is the total relative hazard and f the fraction of the tied events left out; so ties cost a
    division and a logarithm each, and only distinct event times cost p^2.
    """
    n, p = matrix.shape
    score, information = np.zeros(p), np.zeros((p, p))
    first_moment, second_moment = np.empty(p), np.empty((p, p))
    failing_first, failing_second = np.empty(p), np.empty((p, p))
    predictor, weighted = np.empty(n), np.empty(n)
    highest = -np.inf
    for i in range(n):
        value = offset[i]
        for a in range(p):
            value += matrix[i, a] * coefficients[a]
        predictor[i] = value
        highest = max(highest, value)
    for i in range(n):
        predictor[i] -= highest
        weighted[i] = weights[i] * math.exp(predictor[i])
    log_likelihood = 0.0
    leaving = len(late) - 1
    for stratum in range(len(stratum_starts) - 2, -1, -1):
        begin, end = stratum_starts[stratum], stratum_starts[stratum + 1]
        total = 0.0
        for a in range(p):
            first_moment[a] = 0.0
        for a in range(p):
            for b in range(a + 1):
                second_moment[a, b] = 0.0
        for k in range(end - 1, begin - 1, -1):
            last = row_starts[k + 1] if k + 1 < len(row_starts) else n
            for i in range(row_starts[k], last):
                risk = weighted[i]
                total += risk
                for a in range(p):
                    part = risk * matrix[i, a]
                    first_moment[a] += part
                    for b in range(a + 1):
                        second_moment[a, b] += part * matrix[i, b]
            while leaving >= 0 and first[late[leaving]] > k:
                i = late[leaving]
                risk = weighted[i]
                total -= risk
                for a in range(p):
                    part = risk * matrix[i, a]
                    first_moment[a] -= part
                    for b in range(a + 1):
                        second_moment[a, b] -= part * matrix[i, b]
                leaving -= 1
            scale = time_weight[k]
            events = event_starts[k + 1] - event_starts[k]
            if events == 0:  # a replicate need not have an event at every event time of its cohort
                continue
            mass, failing = 0.0, 0.0
            for a in range(p):
                failing_first[a] = 0.0
            for a in range(p):
                for b in range(a + 1):
                    failing_second[a, b] = 0.0
            for e in range(event_starts[k], event_starts[k + 1]):
                i = event_rows[e]
                weight = weights[i]
                mass += weight
                log_likelihood += weight * predictor[i]
                for a in range(p):
                    score[a] += scale * weight * matrix[i, a]
                if tied and events > 1:
                    risk = weighted[i]
                    failing += risk
                    for a in range(p):
                        part = risk * matrix[i, a]
                        failing_first[a] += part
                        for b in range(a + 1):
                            failing_second[a, b] += part * matrix[i, b]
            if not tied or events == 1:
                if not total > 0.0:
                    return -np.inf, np.zeros(p), np.zeros((p, p))
                log_likelihood -= mass * math.log(total)
                inverse = scale * mass / total
                for a in range(p):
                    score[a] -= inverse * first_moment[a]
                    share = inverse * first_moment[a] / total
                    for b in range(a + 1):
                        information[a, b] += inverse * second_moment[a, b] - share * first_moment[b]
                continue
            mean_mass = mass / events
            sum_1, sum_f, square_1, square_f, square_ff = 0.0, 0.0, 0.0, 0.0, 0.0
            for j in range(events):
                fraction = j / events
                left = total - fraction * failing
                if not left > 0.0:
                    return -np.inf, np.zeros(p), np.zeros((p, p))
                log_likelihood -= mean_mass * math.log(left)
                inverse = 1.0 / left
                squared = inverse * inverse
                sum_1 += inverse
                sum_f += fraction * inverse
                square_1 += squared
                square_f += fraction * squared
                square_ff += fraction * fraction * squared
            factor = scale * mean_mass
            for a in range(p):
                score[a] -= factor * (sum_1 * first_moment[a] - sum_f * failing_first[a])
                for b in range(a + 1):
                    crossed = first_moment[a] * failing_first[b] + failing_first[a] * first_moment[b]
                    information[a, b] += factor * (
                        sum_1 * second_moment[a, b]
                        - sum_f * failing_second[a, b]
                        - square_1 * first_moment[a] * first_moment[b]
                        + square_f * crossed
                        - square_ff * failing_first[a] * failing_first[b]
                    )
    for a in range(p):
        for b in range(a):
            information[b, a] = information[a, b]
    return log_likelihood, score, information


@compiled
def event_time_sweep(
    weighted: FloatArray,
    matrix: FloatArray,
    weights: FloatArray,
    first: IntArray,
    late: IntArray,
    row_starts: IntArray,
    event_rows: IntArray,
    event_starts: IntArray,
    stratum_starts: IntArray,
    tied: bool,
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return the sums of :class:`analyses.kernels.cox_likelihood.EventTimeSums` from ``hazard`` on, in its order.

    ``weighted`` (n,) is weight times relative hazard. Event times whose total has vanished get zeros.
    """
    n, p = matrix.shape
    g = len(row_starts)
    hazard, hazard_tied, variance = np.zeros(g), np.zeros(g), np.zeros(g)
    mean_hazard, mean_hazard_tied, means = np.zeros((g, p)), np.zeros((g, p)), np.zeros((g, p))
    moment, failing_moment = np.empty(p), np.empty(p)
    leaving = len(late) - 1
    for stratum in range(len(stratum_starts) - 2, -1, -1):
        begin, end = stratum_starts[stratum], stratum_starts[stratum + 1]
        total = 0.0
        for a in range(p):
            moment[a] = 0.0
        for k in range(end - 1, begin - 1, -1):
            last = row_starts[k + 1] if k + 1 < g else n
            for i in range(row_starts[k], last):
                total += weighted[i]
                for a in range(p):
                    moment[a] += weighted[i] * matrix[i, a]
            while leaving >= 0 and first[late[leaving]] > k:
                i = late[leaving]
                total -= weighted[i]
                for a in range(p):
                    moment[a] -= weighted[i] * matrix[i, a]
                leaving -= 1
            events = event_starts[k + 1] - event_starts[k]
            mass, failing = 0.0, 0.0
            for a in range(p):
                failing_moment[a] = 0.0
            for e in range(event_starts[k], event_starts[k + 1]):
                i = event_rows[e]
                mass += weights[i]
                failing += weighted[i]
                for a in range(p):
                    failing_moment[a] += weighted[i] * matrix[i, a]
            factors = events if tied else 1
            for j in range(factors):
                fraction = j / factors
                left = total - fraction * failing
                if not left > 0.0:
                    continue
                increment = mass / factors / left
                hazard[k] += increment
                hazard_tied[k] += (1.0 - fraction) * increment
                variance[k] += increment / left
                for a in range(p):
                    mean = (moment[a] - fraction * failing_moment[a]) / left
                    means[k, a] += mean / factors
                    mean_hazard[k, a] += increment * mean
                    mean_hazard_tied[k, a] += (1.0 - fraction) * increment * mean
    return hazard, hazard_tied, mean_hazard, mean_hazard_tied, means, variance


@compiled
def column_sweep(matrix: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the sum of squares and the largest absolute value of each column, shapes ``(p,)``."""
    n, p = matrix.shape
    squares, extent = np.zeros(p), np.zeros(p)
    for i in range(n):
        for a in range(p):
            squares[a] += matrix[i, a] * matrix[i, a]
            extent[a] = max(extent[a], abs(matrix[i, a]))
    return squares, extent
