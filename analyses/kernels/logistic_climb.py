"""Compiled Newton's method for replicates of a weighted logistic regression, in an orthonormal basis of its design."""

from __future__ import annotations

import math

import numpy as np

from analyses.kernels.compiled import compiled
from analyses.kernels.grouped_sums import FloatArray, IntArray
from analyses.kernels.logistic import ETA_TOLERANCE, LARGEST_ETA, MAX_ITERATIONS


@compiled
def climb_all(
    basis: FloatArray, outcomes: FloatArray, weights: FloatArray, chosen: IntArray, first: FloatArray
) -> tuple[FloatArray, FloatArray, int]:
    """Maximise the likelihood of the chosen replicates, each from the coefficients ``first``.

    ``basis`` has shape ``(n, p)``, ``weights`` ``(B, n)``, ``outcomes`` the same or one row for all. Returns
    coefficients ``(B, p)``, NaN in replicates that were not chosen or have no finite estimate; a lower bound ``(B,)``
    of the smallest over the largest eigenvalue of the cross products of each replicate's rows, with their weights; and
    the steps the slowest one took.
    """
    n, p = basis.shape
    found, independence, slowest = np.full((len(weights), p), np.nan), np.zeros(len(weights)), 0
    held, eta = np.empty(n, dtype=np.intp), np.empty(n)
    gradient, information, packed = np.empty(p), np.empty((p, p)), np.empty(p * (p + 1) // 2)
    products = column_products(basis)
    for replicate in chosen:
        outcome, case = outcomes[replicate % len(outcomes)], weights[replicate]
        size, mass = 0, 0.0
        for i in range(n):
            if case[i] > 0:
                held[size], eta[size] = i, 0.0
                size += 1
                for a in range(p):
                    mass += case[i] * basis[i, a] * basis[i, a]
        coefficients, step = first.copy(), first.copy()
        for iteration in range(MAX_ITERATIONS + 1):
            slowest = max(slowest, iteration)
            furthest, largest = 0.0, 0.0
            for k in range(size):
                move = 0.0
                for a in range(p):
                    move += basis[held[k], a] * step[a]
                eta[k] += move
                furthest, largest = max(furthest, abs(move)), max(largest, abs(eta[k]))
            if iteration > 0 and largest > LARGEST_ETA:  # a start out of bounds is given one step
                break
            if iteration > 0 and furthest <= ETA_TOLERANCE:
                found[replicate] = coefficients
                # No information is larger than a quarter of the cross products, whose trace is the mass.
                independence[replicate] = 4.0 / (inverse_trace(information) * mass)
                break
            gradient[:], packed[:] = 0.0, 0.0
            for k in range(size):
                i = held[k]
                probability = 1.0 / (1.0 + math.exp(-eta[k]))
                pull = case[i] * (outcome[i] - probability)
                spread = case[i] * probability * (1.0 - probability)
                for a in range(p):
                    gradient[a] += pull * basis[i, a]
                for c in range(len(packed)):
                    packed[c] += spread * products[i, c]
            place = 0
            for a in range(p):
                information[a, : a + 1] = packed[place : place + a + 1]
                place += a + 1
            if not factorise(information):  # separated and on its way out, or without rows
                break
            solve_factorised(information, gradient, step)
            for a in range(p):
                coefficients[a] += step[a]
    return found, independence, slowest


@compiled
def column_products(basis: FloatArray) -> FloatArray:
    """Return the products of each column with itself and those before it, row by row, shape ``(n, p (p + 1) / 2)``.

    Sums of them are sums over one index, which the processor takes several terms of at a time.
    """
    n, p = basis.shape
    products = np.empty((n, p * (p + 1) // 2))
    for i in range(n):
        place = 0
        for a in range(p):
            for b in range(a + 1):
                products[i, place] = basis[i, a] * basis[i, b]
                place += 1
    return products


@compiled
def factorise(matrix: FloatArray) -> bool:
    """Put Cholesky's factor in the place of the lower triangle; False for a matrix that is not positive definite."""
    for a in range(len(matrix)):
        for b in range(a + 1):
            left = matrix[a, b]
            for c in range(b):
                left -= matrix[a, c] * matrix[b, c]
            if a > b:
                matrix[a, b] = left / matrix[b, b]
            elif left > 0:
                matrix[a, a] = math.sqrt(left)
            else:
                return False
    return True


@compiled
def solve_factorised(factor: FloatArray, right: FloatArray, solution: FloatArray) -> None:
    """Fill in the solution of a system of equations from Cholesky's factor of its matrix."""
    p = len(right)
    for a in range(p):
        left = right[a]
        for b in range(a):
            left -= factor[a, b] * solution[b]
        solution[a] = left / factor[a, a]
    for a in range(p - 1, -1, -1):
        left = solution[a]
        for b in range(a + 1, p):
            left -= factor[b, a] * solution[b]
        solution[a] = left / factor[a, a]


@compiled
def inverse_trace(factor: FloatArray) -> float:
    """Return the trace of the inverse of a matrix from its Cholesky factor: the sum of squares of the factor's own."""
    p, total = len(factor), 0.0
    column = np.zeros(p)
    for b in range(p):
        for a in range(b, p):
            left = 1.0 if a == b else 0.0
            for c in range(b, a):
                left -= factor[a, c] * column[c]
            column[a] = left / factor[a, a]
            total += column[a] * column[a]
    return total
