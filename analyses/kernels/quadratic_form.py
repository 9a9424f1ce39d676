"""The chi-square statistic of a score vector and its variance."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

SINGULAR = 1e-10
"""A direction whose variance is below this share of its scale carries no information."""


def quadratic_form(vector: FloatArray, variance: FloatArray, *, scale: float) -> float:
    """Return ``vector' variance^-1 vector``, or NaN where the variance is singular or the vector empty.

    Parameters
    ----------
    vector, variance
        Shapes ``(k,)`` and ``(k, k)``.
    scale
        Size of a variance that is not rounding error, for instance the number of events.

    Examples
    --------
    >>> quadratic_form(np.array([2.0]), np.array([[4.0]]), scale=1.0)
    1.0
    """
    if not len(vector):
        return float("nan")
    values, vectors = np.linalg.eigh(variance)
    if values[0] <= SINGULAR * max(float(values[-1]), SINGULAR * scale):
        return float("nan")
    return float(np.sum((vectors.T @ vector) ** 2 / values))
