"""Nearest neighbours on a line: greedy matching of one group to another, with or without replacement."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

TOLERANCE = 2
"""Grid steps by which two distances may differ and still count as equal (see :func:`on_grid`)."""

_DIGITS = 10
"""Far coarser than the rounding errors of a fitted score, far finer than any difference between patients."""


@dataclass(frozen=True, slots=True, eq=False)
class Links:
    """Who is matched to whom; ``m`` links.

    Attributes
    ----------
    focal, other
        Shape ``(m,)``: positions of the two ends, the focal one first.
    """

    focal: IntArray
    other: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """Values on a grid so fine that only rounding errors are lost.

    Attributes
    ----------
    levels
        Shape ``(n,)``, whole steps of the grid.
    step
        Width of a step in the units of the values.
    """

    levels: IntArray
    step: float


def on_grid(values: npt.NDArray[np.float64]) -> Grid:
    """Round values to 10 digits of their range, such that values equal but for rounding errors become equal.

    Parameters
    ----------
    values
        Shape ``(n,)``, finite.

    Returns
    -------
    Grid
        Two values less than a step apart share a level, also where a boundary of the grid lies between them: a fitted
        score of two patients with the same covariates may differ in the last bit, and must tie.

    Examples
    --------
    >>> grid = on_grid(np.array([0.1 + 0.2, 0.3, 1.3]))
    >>> bool(grid.levels[0] == grid.levels[1]), round(float(grid.levels[2] - grid.levels[1]) * grid.step, 9)
    (True, 1.0)
    """
    low, span = float(np.min(values)), float(np.ptp(values))
    if span == 0:
        return Grid(np.zeros(len(values), dtype=np.int64), 1.0)
    step = 10.0 ** (np.ceil(np.log10(span)) - _DIGITS)
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    first = np.concatenate([[True], np.diff(ordered) >= step])
    representative = ordered[first][np.cumsum(first) - 1]
    levels = np.empty(len(values), dtype=np.int64)
    levels[order] = np.rint((representative - low) / step).astype(np.int64)
    return Grid(levels, float(step))


def nearest_links(
    levels: IntArray,
    focal: BoolArray,
    turns: IntArray,
    *,
    ratio: int = 1,
    replace: bool = False,
    caliper: float = float("inf"),
) -> Links:
    """Match every focal unit in its turn to the nearest other unit.

    Parameters
    ----------
    levels
        Shape ``(n,)``, not decreasing. Of two others at the same distance the lower one is taken, and of several with
        the same level the one next to the focal unit in the order given: the order of equal levels breaks ties.
    focal
        Shape ``(n,)``.
    turns
        Positions of the focal units in the order in which they choose.
    ratio
        Others per focal unit. Everybody chooses the first before anybody chooses a second.
    replace
        Whether an other may serve several focal units (never one of them twice).
    caliper
        Largest distance allowed, inclusive, in steps.

    Returns
    -------
    Links
        In the order in which they were made. A focal unit may have fewer than ``ratio``.

    Notes
    -----
    Without replacement the nearest free neighbour on either side is found by disjoint sets with path halving, so that
    all is done in the time of the sort.

    Examples
    --------
    >>> found = nearest_links(np.array([0, 1, 2, 9]), np.array([False, True, False, True]), np.array([3, 1]))
    >>> found.focal.tolist(), found.other.tolist()
    ([3, 1], [2, 0])
    """
    choose = _with_replacement if replace else _without_replacement
    # Finite, so that "nobody on this side" can be told by a distance beyond it.
    reach = min(caliper, float(np.ptp(levels))) + TOLERANCE
    made = choose(levels.tolist(), (~focal).tolist(), turns.tolist(), ratio, reach)
    links = np.array(made, dtype=np.int64).reshape(-1, 2)
    return Links(links[:, 0], links[:, 1])


def _without_replacement(
    levels: list[int], free: list[bool], turns: list[int], ratio: int, reach: float
) -> list[tuple[int, int]]:
    n = len(levels)
    # Position p is entry p + 1; the entries at both ends stand for "nobody".
    below = [0, *(place + 1 if open_ else place for place, open_ in enumerate(free))]
    above = [1, *(place + 1 if open_ else place + 2 for place, open_ in enumerate(free)), n + 1]
    made: list[tuple[int, int]] = []
    for _ in range(ratio):
        going_on = []
        for own in turns:
            lower, upper = _root(below, own + 1), _root(above, own + 1)
            down = levels[own] - levels[lower - 1] if lower else reach + 1
            up = levels[upper - 1] - levels[own] if upper <= n else reach + 1
            if min(down, up) > reach:
                continue
            taken = lower if down <= up + TOLERANCE else upper
            below[taken], above[taken] = taken - 1, taken + 1
            made.append((own, taken - 1))
            going_on.append(own)
        turns = going_on
    return made


def _root(parents: list[int], entry: int) -> int:
    while parents[entry] != entry:
        parents[entry] = parents[parents[entry]]
        entry = parents[entry]
    return entry


def _with_replacement(
    levels: list[int], free: list[bool], turns: list[int], ratio: int, reach: float
) -> list[tuple[int, int]]:
    others = [place for place, open_ in enumerate(free) if open_]
    before = np.concatenate([[0], np.cumsum(free)]).tolist()
    made: list[tuple[int, int]] = []
    for own in turns:
        lower, upper = before[own] - 1, before[own]
        for _ in range(ratio):
            down = levels[own] - levels[others[lower]] if lower >= 0 else reach + 1
            up = levels[others[upper]] - levels[own] if upper < len(others) else reach + 1
            if min(down, up) > reach:
                break
            if down <= up + TOLERANCE:
                made.append((own, others[lower]))
                lower -= 1
            else:
                made.append((own, others[upper]))
                upper += 1
    return made
