"""Sums of squared influence of rows, or of clusters of rows, on a running hazard, in linear time."""

from __future__ import annotations

import numpy as np

from analyses.kernels.grouped_sums import FloatArray, IntArray, sum_by


def hazard_influence_variance(
    terms: FloatArray,
    jumps: FloatArray,
    *,
    entry_index: IntArray,
    exit_index: IntArray,
    weights: FloatArray,
    clusters: IntArray | None = None,
) -> FloatArray:
    """Sum over clusters the square of their weighted influence on a cumulative hazard, shape ``(k,)``.

    With A the running sum of ``terms``, row i adds A(t) - A(entry) while at risk and, once out, the constant
    A(exit) - A(entry) - jump. Expanding the square lets running sums replace the table of times by rows.

    Parameters
    ----------
    terms
        Shape ``(k,)``: what each time takes from every row at risk.
    jumps
        Shape ``(n,)``: what a row's own event gives at its exit; zero for a censored row.
    entry_index, exit_index
        Shape ``(n,)``: a row is at risk at the times ``entry_index`` to ``exit_index``.
    weights
        Shape ``(n,)``.
    clusters
        Shape ``(n,)``, codes from 0: rows whose influence is added before squaring; each row its own without them.

    References
    ----------
    Lin and Wei (1989), doi:10.1080/01621459.1989.10478874.
    """
    hazard = np.concatenate([[0.0], np.cumsum(terms)])
    at_entry = hazard[entry_index]
    settled = weights * (hazard[exit_index + 1] - at_entry - jumps)
    # A row's influence is constant + slope * A(t); entering and leaving change both by fixed amounts.
    held = weights * at_entry
    if clusters is None:
        return _of_rows(hazard[1:], settled, held, weights, entry_index, exit_index)
    owner = np.concatenate([clusters, clusters])
    when = np.concatenate([entry_index, exit_index])
    constant = np.concatenate([-held, settled + held])
    slope = np.concatenate([weights, -weights])
    order = np.lexsort((when, owner))
    owner, when = owner[order], when[order]
    first = np.flatnonzero(np.diff(owner, prepend=-1))
    constant_after, constant_before = _running(constant[order], first)
    slope_after, slope_before = _running(slope[order], first)

    def changing(after: FloatArray, before: FloatArray) -> FloatArray:
        return np.asarray(np.cumsum(sum_by(when, after - before, len(terms))))

    now = hazard[1:]
    squares = (
        changing(constant_after**2, constant_before**2)
        + 2 * now * changing(constant_after * slope_after, constant_before * slope_before)
        + now**2 * changing(slope_after**2, slope_before**2)
    )
    return np.maximum(squares, 0.0)


def _of_rows(
    now: FloatArray,
    settled: FloatArray,
    held: FloatArray,
    weights: FloatArray,
    entry_index: IntArray,
    exit_index: IntArray,
) -> FloatArray:
    size = len(now)

    def present(values: FloatArray) -> FloatArray:
        return np.asarray(np.cumsum(sum_by(entry_index, values, size) - sum_by(exit_index, values, size)))

    within = now**2 * present(weights**2)
    if entry_index.any():
        within = within - 2 * now * present(weights * held) + present(held**2)
    out = np.cumsum(sum_by(exit_index, settled**2, size))
    return np.maximum(out + within, 0.0)


def _running(values: FloatArray, first: IntArray) -> tuple[FloatArray, FloatArray]:
    """Return the sums within clusters after and before each change; ``first`` is where each cluster begins."""
    total = np.cumsum(values)
    before = np.concatenate([[0.0], total[:-1]])
    offset = np.repeat(before[first], np.diff(np.append(first, len(values))))
    return total - offset, before - offset


def hazard_influence_at(
    place: int, terms: FloatArray, jumps: FloatArray, *, entry_index: IntArray, exit_index: IntArray
) -> FloatArray:
    """Return each row's influence on a cumulative hazard up to the first ``place`` times, shape ``(n,)``, unweighted.

    The sign is that of :func:`hazard_influence_variance`: a row at risk adds, its own event takes away.
    """
    hazard = np.concatenate([[0.0], np.cumsum(terms)])
    gone = exit_index < place
    during = hazard[np.minimum(exit_index + 1, place)] - hazard[np.minimum(entry_index, place)]
    return np.asarray(during - np.where(gone, jumps, 0.0))


def total_squared(influence: FloatArray, clusters: IntArray | None) -> float:
    """Sum the squares of the influence of rows, shape ``(n,)``, added up within clusters first.

    Examples
    --------
    >>> total_squared(np.array([1.0, 2.0, 3.0]), np.array([0, 0, 1]))
    18.0
    """
    summed = influence if clusters is None else sum_by(clusters, influence, 0)
    return float(np.sum(summed**2))
