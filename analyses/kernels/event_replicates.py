"""Restricted means and curves under many weight vectors of the same rows: the replicates of a bootstrap."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from analyses.kernels.grouped_sums import FloatArray, IntArray
from analyses.kernels.kaplan_meier import BoolArray

_BLOCK_NUMBERS = 4_000_000
"""Numbers in one replicates-by-rows array; more replicates are worked through in blocks."""


def incidence_replicates(
    durations: FloatArray, causes: IntArray, weights: FloatArray, *, cause: int, times: FloatArray
) -> FloatArray:
    """Estimate the cumulative incidence of a cause at some times under every weight vector.

    Parameters
    ----------
    durations, causes
        Shape ``(n,)``.
    weights
        Shape ``(b, n)``, not negative.
    cause
        The cause; with one cause the complement is the Kaplan-Meier survival.
    times
        Shape ``(q,)``.

    Returns
    -------
    numpy.ndarray
        Shape ``(b, q)``; NaN in a replicate whose rows with weight are all followed for less than a time, unless all
        have failed, and where no row has weight.

    Examples
    --------
    >>> weights = np.array([[1.0, 1.0], [3.0, 1.0]])
    >>> t, d = np.array([1.0, 2.0]), np.array([1, 0])
    >>> incidence_replicates(t, d, weights, cause=1, times=np.array([1.0])).tolist()
    [[0.5], [0.75]]
    """
    found = np.empty((len(weights), len(times)))
    for block, moments, survival, incidence, reached in _curves(durations, causes, weights, cause):
        places = np.searchsorted(moments, times, side="right")
        start = np.zeros((len(incidence), 1))
        value = np.hstack([start, incidence])[:, places]
        ended = survival[:, -1:] <= 0
        found[block] = np.where(ended | (reached[:, None] >= times), value, np.nan)
    return found


def restricted_mean_replicates(
    durations: FloatArray, events: BoolArray, weights: FloatArray, *, horizon: float
) -> FloatArray:
    """Return the area under the Kaplan-Meier curve up to a horizon under every weight vector, shape ``(b,)``.

    Arguments as of :func:`incidence_replicates`; NaN where observation ends before the horizon or no row has weight.

    Examples
    --------
    >>> weights = np.array([[1.0, 1.0], [3.0, 1.0]])
    >>> t, d = np.array([1.0, 3.0]), np.array([True, False])
    >>> restricted_mean_replicates(t, d, weights, horizon=3.0).tolist()
    [2.0, 1.5]
    """
    found = np.empty(len(weights))
    for block, moments, survival, _, reached in _curves(durations, events.astype(np.intp), weights, 1):
        inside = moments <= horizon
        widths = np.diff(np.concatenate([[0.0], moments[inside], [horizon]]))
        area = widths[0] + survival[:, inside] @ widths[1:]
        found[block] = np.where((survival[:, -1] <= 0) | (reached >= horizon), area, np.nan)
    return found


def _curves(
    durations: FloatArray, causes: IntArray, weights: FloatArray, cause: int
) -> Iterator[tuple[slice, FloatArray, FloatArray, FloatArray, FloatArray]]:
    """Yield blocks of replicates: distinct times, survival and incidence (b, k), last time with weight (b,)."""
    order = np.argsort(durations, kind="stable")
    ordered = durations[order]
    starts = np.flatnonzero(np.diff(ordered, prepend=-np.inf) > 0)
    moments = ordered[starts]
    failing, own = causes[order] > 0, causes[order] == cause
    step = max(1, _BLOCK_NUMBERS // max(len(durations), 1))
    for low in range(0, len(weights), step):
        block = slice(low, low + step)
        mass = weights[block][:, order]
        at_risk = np.cumsum(mass[:, ::-1], axis=1)[:, ::-1][:, starts]
        gone = np.add.reduceat(mass * failing, starts, axis=1)
        ours = np.add.reduceat(mass * own, starts, axis=1)
        somebody = at_risk > 0
        hazard = np.divide(gone, at_risk, out=np.zeros_like(gone), where=somebody)
        share = np.divide(ours, at_risk, out=np.zeros_like(ours), where=somebody)
        # Sums from the end leave rounding errors where everybody fails: such a hazard is one.
        steps = np.where(hazard > 1 - 1e-12, 0.0, 1 - hazard)
        survival = np.asarray(np.cumprod(steps, axis=1), dtype=np.float64)
        before = np.hstack([np.ones((len(mass), 1)), survival[:, :-1]])
        last = moments[len(moments) - 1 - np.argmax(somebody[:, ::-1], axis=1)]
        last = np.where(somebody[:, 0], last, -np.inf)  # nobody has weight: a bootstrap without a score
        incidence = np.asarray(np.cumsum(before * share, axis=1), dtype=np.float64)
        yield block, moments, survival, incidence, last
