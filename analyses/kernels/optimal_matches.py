"""Optimal matching on a line: the pairs, or the subclasses, of least total distance, exactly and in little time."""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from analyses.kernels.nearest_matches import BoolArray, IntArray, Links

_NEVER = float("inf")


def optimal_links(levels: IntArray, focal: BoolArray, *, ratio: int = 1) -> Links:
    """Match every focal unit to ``ratio`` others of its own such that the sum of all distances is least.

    Parameters
    ----------
    levels
        Shape ``(n,)``, not decreasing.
    focal
        Shape ``(n,)``; there must be at least ``ratio`` times as many others as focal units.
    ratio
        Others per focal unit.

    Returns
    -------
    Links
        In the order of the positions. Where several matchings have the least sum, which one is found depends on
        ``levels`` and ``focal`` alone.

    Notes
    -----
    Once it is settled which others are used, the i-th focal place goes with the i-th of them. Which are used follows
    from the balance ``z``, focal places minus used others to the left of a gap, for the gap is crossed ``|z|`` times.
    The least cost to the left is a convex function of ``z``: a focal unit shifts it, an other inserts a slope of zero,
    a gap tilts it on either side of zero. The slopes are carried from left to right; on the way back an other is used
    where the slope at the balance is negative.

    Examples
    --------
    >>> found = optimal_links(np.array([0, 3, 4, 7]), np.array([False, True, False, False]))
    >>> found.focal.tolist(), found.other.tolist()
    ([1], [2])
    """
    places = levels.tolist()
    gaps = [*(after - here for here, after in pairwise(places)), 0]
    slopes = _Slopes()
    lowest: list[int] = []
    for is_focal, gap in zip(focal.tolist(), gaps, strict=True):
        lowest.append(slopes.argument_of_minimum())
        if is_focal:
            slopes.shift(ratio)
        else:
            slopes.insert_zero()
        slopes.tilt(gap)
    used = []
    balance = 0
    for place in range(len(places) - 1, -1, -1):
        if focal[place]:
            balance -= ratio
        elif balance < lowest[place]:
            used.append(place)
            balance += 1
    return Links(np.repeat(np.flatnonzero(focal), ratio), np.array(used[::-1], dtype=np.int64))


@dataclass(slots=True)
class _Slopes:
    """A convex function of the whole numbers by its slopes, those below zero and those above it kept apart.

    ``below`` holds slopes in increasing order, ``above`` their negatives in increasing order, so that either list ends
    next to zero; each is off by what tilting has added to the whole list.
    """

    low: int = 0
    below: list[int] = field(default_factory=list)
    above: list[int] = field(default_factory=list)
    tilted: int = 0

    def argument_of_minimum(self) -> int:
        """Return the smallest argument at which the function is least."""
        negative_below = bisect_left(self.below, self.tilted)
        if negative_below < len(self.below):
            return self.low + negative_below
        not_negative_above = bisect_left(self.above, self.tilted + 1)
        return self.low + len(self.below) + len(self.above) - not_negative_above

    def shift(self, steps: int) -> None:
        self.low += steps
        self._settle()

    def insert_zero(self) -> None:
        self.low -= 1
        if self.above and -self.above[-1] + self.tilted < 0:
            insort(self.above, self.tilted)
        else:
            insort(self.below, self.tilted)
        self._settle()

    def tilt(self, gap: int) -> None:
        self.tilted += gap

    def _settle(self) -> None:
        """Move slopes across until those below zero are the ones whose arguments are."""
        wanted = min(max(-self.low, 0), len(self.below) + len(self.above))
        while len(self.below) > wanted:
            self.above.append(-(self.below.pop() - 2 * self.tilted))
        while len(self.below) < wanted:
            self.below.append(-self.above.pop() + 2 * self.tilted)


def full_links(levels: IntArray, focal: BoolArray) -> Links:
    """Divide all units into subclasses of one unit and some of the other group, with the least sum of distances.

    Parameters
    ----------
    levels
        Shape ``(n,)``, not decreasing.
    focal
        Shape ``(n,)``; there is at least one unit of each group.

    Returns
    -------
    Links
        Every unit has a link, and of the two ends of a link at least one has no other. Where several divisions have
        the least sum, which one is found depends on ``levels`` and ``focal`` alone.

    Notes
    -----
    The least full matching is the least edge cover. On a line it joins neighbouring runs of units of one group only: a
    longer link could be replaced by two shorter ones inside it. Of a run, the first units are then linked to the run
    before and the rest to the run after (a unit alone may be linked to both), and ``s`` units to the left of ``t`` of
    the next run cost their distances to the gap between and ``max(s, t)`` times the gap. Going through the runs takes
    linear time.

    References
    ----------
    Rosenbaum PR. A characterization of optimal designs for observational studies. J R Stat Soc B 1991;53:597-610.
    doi:10.1111/j.2517-6161.1991.tb01848.x. Colannino J et al. Efficient many-to-many point matching in one dimension.
    Graphs Combin 2007;23:169-178. doi:10.1007/s00373-007-0714-3

    Examples
    --------
    >>> found = full_links(np.array([0, 1, 2, 7]), np.array([True, False, True, False]))
    >>> sorted(zip(found.focal.tolist(), found.other.tolist()))
    [(0, 1), (2, 3)]
    """
    places, groups = levels.tolist(), focal.tolist()
    starts = [0, *(np.flatnonzero(np.diff(focal)) + 1).tolist(), len(places)]
    runs = [range(first, last) for first, last in pairwise(starts)]
    edges = [
        edge
        for (run, after), (left, right) in zip(pairwise(runs), _shares(places, runs), strict=True)
        for edge in _between(run[len(run) - left :], after[:right])
    ]
    links = np.array(edges, dtype=np.int64).reshape(-1, 2)
    swap = ~np.array([groups[first] for first in links[:, 0]], dtype=np.bool_)
    links[swap] = links[swap][:, ::-1]
    return Links(links[:, 0], links[:, 1])


def _shares(places: list[int], runs: list[range]) -> list[tuple[int, int]]:
    """How many units of each run, and of the next one, are linked across the gap between them."""
    first = len(runs[0])
    # cost[k]: least cost of all runs so far when the last k units of this one are still to be linked to the next.
    cost: list[float] = [_NEVER] * first + [0]
    kept: list[list[int]] = []
    alone: list[bool] = [False]
    for run, after in pairwise(runs):
        own = _linked_to_next(cost, run, after, places)
        taken = [own.cost_of_none, *own.cost_of_some]
        kept.append(own.left)
        cost = taken[::-1]
        # A run of one unit may serve both sides, where that is strictly less: so never two runs in a row.
        both = len(after) == 1 and cost[0] < cost[1]
        alone.append(both)
        if both:
            cost = [cost[0], cost[0]]
    return _walk_back(runs, kept, alone)


@dataclass(frozen=True, slots=True)
class _Step:
    cost_of_none: float
    cost_of_some: list[float]
    left: list[int]


def _linked_to_next(cost: list[float], run: range, after: range, places: list[int]) -> _Step:
    """Least cost when the first 0, 1, 2... units of the next run are linked back, and with how many of this one."""
    end, start = places[run[-1]], places[after[0]]
    gap = start - end
    sizes = range(1, len(run) + 1)
    plain: list[float] = [_NEVER] * (len(run) + 1)
    off = 0
    for size in sizes:
        off += end - places[run[-size]]
        plain[size] = cost[size] + off
    # Fewer on this side: max(s, t) is t. More on this side: it is s.
    fewest: list[int] = [0] * (len(run) + 1)
    for size in sizes:
        fewest[size] = size if size == 1 or plain[size] < plain[fewest[size - 1]] else fewest[size - 1]
    most: list[int] = [0] * (len(run) + 2)
    for size in reversed(sizes):
        later = most[size + 1]
        most[size] = size if not later or plain[size] + gap * size <= plain[later] + gap * later else later
    chosen, costs = [0], []
    back = 0
    for size in range(1, len(after) + 1):
        back += places[after[size - 1]] - start
        few = fewest[min(size, len(run))]
        many = most[size + 1] if size < len(run) else 0
        here = plain[few] + gap * size
        there = plain[many] + gap * many if many else _NEVER
        chosen.append(few if here <= there else many)
        costs.append(min(here, there) + back)
    return _Step(cost[0], costs, chosen)


def _walk_back(runs: list[range], kept: list[list[int]], alone: list[bool]) -> list[tuple[int, int]]:
    shares: list[tuple[int, int]] = []
    right = len(runs[-1])
    for index in range(len(runs) - 2, -1, -1):
        left = kept[index][right]
        shares.append((left, right))
        size = len(runs[index])
        right = 1 if alone[index] and left == 1 else size - left
    return shares[::-1]


def _between(left: range, right: range) -> list[tuple[int, int]]:
    """Link the last units of a run to the first of the next: one to one, the farthest left over to the nearest."""
    spare = len(left) - len(right)
    if spare >= 0:
        return [*((own, right[0]) for own in left[:spare]), *zip(left[spare:], right, strict=True)]
    return [*zip(left, right[:spare], strict=True), *((left[-1], other) for other in right[spare:])]
