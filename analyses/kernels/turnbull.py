"""Nonparametric maximum likelihood from interval-censored times."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analyses.kernels.grouped_sums import FloatArray, IntArray, sum_by
from analyses.kernels.kaplan_meier import BoolArray

GRADIENT_TOLERANCE = 1e-10
"""Largest excess, as a share of the number of rows, of the likelihood's gradient that counts as none."""
STILL = 1e-12
"""Masses that change by less from step to step, over two steps, are taken as settled."""
MAX_STEPS = 500
EM_STEPS = 5
SUM_WEIGHT = 1e3
"""How much more the total mass counts than a row in the least-squares step, which is scaled back to one anyway."""
NO_MASS = 1e-14


@dataclass(frozen=True, slots=True)
class IntervalMasses:
    """Probability in each of the ``k`` innermost intervals that can carry any.

    Attributes
    ----------
    lower, upper
        Shape ``(k,)``, increasing: mass lies in ``(lower, upper]``, or at ``upper`` where the two are equal.
    mass
        Shape ``(k,)``, above zero, summing to one.
    log_likelihood
        Of the rows.
    gradient_excess
        Largest gradient of the log-likelihood over all candidate intervals, per row, less one: zero at the maximum.
    converged
        Whether the Kuhn-Tucker conditions hold to :data:`GRADIENT_TOLERANCE`.
    unique
        Whether no other masses have the same likelihood.
    steps
        Steps taken.
    """

    lower: FloatArray
    upper: FloatArray
    mass: FloatArray
    log_likelihood: float
    gradient_excess: float
    converged: bool
    unique: bool
    steps: int


def innermost_intervals(lower: FloatArray, upper: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the intervals that the likelihood can put mass into, Turnbull's.

    Rows are ``(lower, upper]``, or exactly ``upper`` where the two are equal. An innermost interval starts where a row
    starts and ends where a row ends, with no start or end of a row in between.

    Examples
    --------
    >>> low, high = innermost_intervals(np.array([0.0, 1.0, 3.0]), np.array([2.0, 4.0, np.inf]))
    >>> low.tolist(), high.tolist()
    ([1.0, 3.0], [2.0, 4.0])
    """
    exact = lower == upper
    # At one time: an exact time opens, then intervals close, then the next ones open.
    values = np.concatenate([lower, upper])
    kinds = np.concatenate([np.where(exact, 0, 2), np.ones(len(upper), dtype=np.intp)])
    order = np.lexsort((kinds, values))
    values, kinds = values[order], kinds[order]
    ends = np.flatnonzero((kinds[1:] == 1) & (kinds[:-1] != 1)) + 1
    return values[ends - 1], values[ends]


def turnbull(lower: FloatArray, upper: FloatArray, weights: FloatArray) -> IntervalMasses:
    """Maximise the likelihood of interval-censored times.

    A few self-consistency (EM) steps are followed by constrained Newton steps: each solves the quadratic approximation
    of the log-likelihood by non-negative least squares and halves its step until the likelihood rises. It ends when
    the Kuhn-Tucker conditions hold and the masses have settled.

    Parameters
    ----------
    lower, upper
        Shape ``(n,)``: the time lies in ``(lower, upper]``, is known exactly where both are equal, and lies after
        ``lower`` where ``upper`` is infinite.
    weights
        Shape ``(n,)``, positive.

    References
    ----------
    Turnbull (1976), doi:10.1111/j.2517-6161.1976.tb01597.x. Gentleman and Geyer (1994), doi:10.1093/biomet/81.3.618,
    for the conditions. Wang (2008), doi:10.1016/j.csda.2007.10.018, for the steps.

    Examples
    --------
    >>> turnbull(np.array([0.0, 1.0]), np.array([1.0, 2.0]), np.ones(2)).mass.tolist()
    [0.5, 0.5]
    """
    first, last = innermost_intervals(lower, upper)
    begin, end = _covered(first, last, lower, upper)
    pairs, row = np.unique(begin * (len(first) + 1) + end, return_inverse=True)
    counts = sum_by(row, weights, len(pairs))
    begin, end = pairs // (len(first) + 1), pairs % (len(first) + 1)
    total = float(counts.sum())
    mass = np.full(len(first), 1.0 / len(first))
    for _ in range(EM_STEPS):
        mass = mass * _gradient(mass, begin, end, counts) / total
    steps, settled = 0, 0
    excess = _excess(mass, begin, end, counts)
    while steps < MAX_STEPS and not (excess <= GRADIENT_TOLERANCE and settled >= 2):
        steps += 1
        before = mass
        mass = _newton_step(mass, begin, end, counts)
        mass = mass * _gradient(mass, begin, end, counts) / total
        settled = settled + 1 if np.max(np.abs(mass - before)) < STILL else 0
        excess = _excess(mass, begin, end, counts)
        if settled >= 5:
            break
    kept = mass > NO_MASS
    mass = mass[kept] / mass[kept].sum()
    support = (begin[:, None] <= np.flatnonzero(kept)) & (np.flatnonzero(kept) < end[:, None])
    return IntervalMasses(
        first[kept],
        last[kept],
        mass,
        float(counts @ np.log(support @ mass)),
        excess,
        excess <= GRADIENT_TOLERANCE,
        bool(np.linalg.matrix_rank(support.astype(np.float64)) == len(mass)),
        steps,
    )


def _covered(first: FloatArray, last: FloatArray, lower: FloatArray, upper: FloatArray) -> tuple[IntArray, IntArray]:
    """Return which innermost intervals lie in each row: ``begin`` up to but not including ``end``."""
    exact_row, exact_interval = lower == upper, first == last
    # An exact time at the open lower end of a row is outside of it; so an interval lies inside when it starts later.
    begin = np.searchsorted(_place(first, exact_interval), _place(lower, exact_row), side="left")
    end = np.searchsorted(last, upper, side="right")
    return begin.astype(np.intp), end.astype(np.intp)


def _place(start: FloatArray, exact: BoolArray) -> FloatArray:
    """Order starts: at one time an exact time comes before what begins after it."""
    return np.where(exact, start, np.nextafter(start, np.inf))


def _probabilities(mass: FloatArray, begin: IntArray, end: IntArray) -> FloatArray:
    running = np.concatenate([[0.0], np.cumsum(mass)])
    return np.asarray(running[end] - running[begin])


def _gradient(mass: FloatArray, begin: IntArray, end: IntArray, counts: FloatArray) -> FloatArray:
    """Return the derivative of the log-likelihood by each mass; it is the total count where mass is at its best."""
    share = counts / _probabilities(mass, begin, end)
    size = len(mass) + 1
    return np.asarray(np.cumsum(sum_by(begin, share, size) - sum_by(end, share, size))[:-1])


def _excess(mass: FloatArray, begin: IntArray, end: IntArray, counts: FloatArray) -> float:
    return float(np.max(_gradient(mass, begin, end, counts)) / counts.sum() - 1.0)


def _newton_step(mass: FloatArray, begin: IntArray, end: IntArray, counts: FloatArray) -> FloatArray:
    from scipy.optimize import nnls

    probability = _probabilities(mass, begin, end)
    place = np.arange(len(mass))
    inside = (begin[:, None] <= place) & (place < end[:, None])
    scale = np.sqrt(counts / counts.sum())
    rows = np.vstack([scale[:, None] * inside / probability[:, None], np.full(len(mass), SUM_WEIGHT)])
    target = np.append(2.0 * scale, SUM_WEIGHT)
    try:
        found, _ = nnls(rows, target, maxiter=30 * len(mass))
    except RuntimeError:  # its active set did not settle: the self-consistency step that follows still climbs
        return mass
    wanted = found / found.sum()
    level = counts @ np.log(probability)
    step = 1.0
    while step > 1e-8:
        tried = (1.0 - step) * mass + step * wanted
        reached = _probabilities(tried, begin, end)
        if np.all(reached > 0) and counts @ np.log(reached) >= level:
            return np.asarray(tried)
        step /= 2
    return mass
