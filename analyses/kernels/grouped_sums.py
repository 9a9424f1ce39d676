"""Sums of values that share an index, the building block of every risk set."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]

SMALL = 20_000
"""Up to so many values one pass over all columns is quicker than one a column."""


def sum_by(index: IntArray, values: FloatArray, size: int) -> FloatArray:
    """Sum ``values`` (n,) that share an index from 0 to ``size - 1``, shape ``(size,)``.

    Examples
    --------
    >>> sum_by(np.array([0, 2, 0]), np.array([1.0, 2.0, 3.0]), 3).tolist()
    [4.0, 0.0, 2.0]
    """
    return np.asarray(np.bincount(index, weights=values, minlength=size), dtype=np.float64)


def sum_rows_by(index: IntArray, values: FloatArray, size: int) -> FloatArray:
    """Sum the rows of ``values`` (n, q) that share an index, shape ``(size, q)``."""
    return np.column_stack([sum_by(index, column, size) for column in values.T])


def sum_from_here(values: FloatArray) -> FloatArray:
    """Sum from each position to the last along the first axis; the shape is kept.

    Examples
    --------
    >>> sum_from_here(np.array([1.0, 2.0, 3.0])).tolist()
    [6.0, 5.0, 3.0]
    """
    return np.asarray(np.cumsum(values[::-1], axis=0)[::-1])


def sums_by(index: IntArray, values: FloatArray, size: int) -> FloatArray:
    """Sum along the last axis the ``values`` (q, n) that share an index, shape ``(q, size)``."""
    rows = len(values)
    if values.size > SMALL:
        return np.stack([sum_by(index, row, size) for row in values])
    cell = (np.arange(rows)[:, None] * size + index).ravel()
    return sum_by(cell, values.ravel(), rows * size).reshape(rows, size)
