"""What a step curve says: its value at given times, and the times at which it falls to given levels."""

from __future__ import annotations

import numpy as np

from analyses.kernels.grouped_sums import FloatArray

LEVEL_TOLERANCE = float(np.sqrt(np.finfo(np.float64).eps))
"""A curve within this distance of a level is taken to be at it, as R's ``survival`` does."""


def values_at(times: FloatArray, values: FloatArray, wanted: FloatArray, *, start: float) -> FloatArray:
    """Read a right-continuous step function at the wanted times, shape ``(w,)``.

    Parameters
    ----------
    times, values
        Shape ``(k,)``: increasing times and the value from each on.
    wanted
        Shape ``(w,)``.
    start
        Value before the first time.

    Examples
    --------
    >>> values_at(np.array([1.0, 2.0]), np.array([0.5, 0.2]), np.array([0.5, 1.0, 9.0]), start=1.0).tolist()
    [1.0, 0.5, 0.2]
    """
    return np.asarray(np.concatenate([[start], values])[np.searchsorted(times, wanted, side="right")])


def first_time_at_or_below(times: FloatArray, curve: FloatArray, level: float) -> float:
    """Return the time a non-increasing curve falls to a level, NaN when it does not.

    A curve that rests exactly on the level yields the midpoint of that rest, the usual convention for a median. NaN
    entries of ``curve`` (a bound that does not exist yet) count as not fallen.

    Examples
    --------
    >>> first_time_at_or_below(np.array([1.0, 2.0, 4.0]), np.array([0.7, 0.5, 0.1]), 0.5)
    3.0
    """
    reached = np.flatnonzero(curve < level + LEVEL_TOLERANCE)
    if not len(reached):
        return float("nan")
    first = reached[0]
    lower = np.flatnonzero(curve < level - LEVEL_TOLERANCE)
    if abs(curve[first] - level) < LEVEL_TOLERANCE and len(lower):
        return float((times[first] + times[lower[0]]) / 2)
    return float(times[first])
