"""Complete and partial responders where print leaves them open: the steadiest course over the visits."""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cohort.admissible import Splits
from cohort.rounding import Booleans, Floats, Integers
from synthetic.p_value_masks import VisitConstraints

NEAR_OPTIMAL = 10
"""How many of the best tables are listed."""


@dataclass(frozen=True, slots=True)
class SplitChoice:
    """The best tables of splits of arms that are chosen together, the best first.

    Parameters
    ----------
    arms
        The arms chosen together: both, where a p-value binds them, else one.
    criterion
        Criterion of each table listed, increasing.
    places
        Which split each table takes, shape (tables, visits, arms): places in the admissible splits of the cell.
    admissible
        How many tables of splits are admissible in all.
    next_bound
        Smallest criterion of a table in which a count that a p-value is about differs from the best table's;
        ``None`` if there is no such table.
    """

    arms: tuple[str, ...]
    criterion: tuple[float, ...]
    places: tuple[tuple[tuple[int, ...], ...], ...]
    admissible: int
    next_bound: float | None


def choose_splits(
    arms: Sequence[str],
    splits: Sequence[Sequence[Splits]],
    years: Sequence[float],
    constraints: Sequence[VisitConstraints],
) -> SplitChoice:
    """Find the tables with the smallest criterion.

    The criterion sums, over arms and pairs of successive visits, the squared change in the logit of overall response
    and in the logit of complete response among responders, divided by the years between the visits, with 0.5 added to
    every count. The search is exact: costs to go backwards over the visits, then best first forwards.

    Parameters
    ----------
    arms
        One arm, or two that p-values bind.
    splits
        For each of these arms, the admissible splits at each visit.
    years
        Years between successive visits, one fewer than visits.
    constraints
        The p-values that bind two arms, by visit; none for one arm. Some pair of splits meets them at each visit.
    """
    one = splits[0]
    other = splits[1] if len(splits) == 2 else tuple(_NOBODY for _ in one)
    allowed = _allowed(one, other, constraints)
    costs = [
        (_step_cost(one[visit], one[visit + 1]) / gap, _step_cost(other[visit], other[visit + 1]) / gap)
        for visit, gap in enumerate(years)
    ]
    to_go = _costs_to_go(allowed, costs) if costs else [_from_even_odds(one[0], other[0], allowed[0])]
    found = _best_tables(to_go, costs, NEAR_OPTIMAL)
    bounds = {
        constraint.visit: constraint.bound_counts(one[constraint.visit], other[constraint.visit])
        for constraint in constraints
    }
    return SplitChoice(
        arms=tuple(arms),
        criterion=tuple(criterion for criterion, _ in found),
        places=tuple(tuple(place[: len(arms)] for place in places) for _, places in found),
        admissible=math.prod(int(mask.sum()) for mask in allowed),
        next_bound=_next_bound(allowed, costs, bounds, found[0][1]),
    )


_NOBODY = Splits(0, np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64))
"""Stands for the second arm where only one is chosen; its cost is always zero."""


def _allowed(one: Sequence[Splits], other: Sequence[Splits], constraints: Sequence[VisitConstraints]) -> list[Booleans]:
    """Return which pairs of splits each visit admits; the denominators were chosen so that at least one is."""
    bound = {constraint.visit: constraint for constraint in constraints}
    return [
        bound[visit].mask(first, second) if visit in bound else np.ones((len(first), len(second)), dtype=bool)
        for visit, (first, second) in enumerate(zip(one, other, strict=True))
    ]


def _step_cost(before: Splits, after: Splits) -> Floats:
    """Return the squared changes in both logits, shape (splits before, splits after)."""
    cost: Floats = np.zeros((len(before), len(after)))
    for start, end in zip(_logits(before), _logits(after), strict=True):
        cost += (start[:, None] - end) ** 2
    return cost


def _from_even_odds(one: Splits, other: Splits, allowed: Booleans) -> Floats:
    """Return the squares of both logits of both arms, shape (splits of one, of the other); inf if refused."""
    of_one, of_other = (overall**2 + complete**2 for overall, complete in map(_logits, (one, other)))
    cost: Floats = np.where(allowed, np.add.outer(of_one, of_other), np.inf)
    return cost


def split_logits(n: int | Integers, complete: Integers, partial: Integers) -> tuple[Floats, Floats]:
    """Return the logits of overall response and of complete response among responders, 0.5 added to every count."""
    overall = np.log((complete + partial + 0.5) / (n - complete - partial + 0.5))
    complete_given_response = np.log((complete + 0.5) / (partial + 0.5))
    return overall, complete_given_response


def _logits(splits: Splits) -> tuple[Floats, Floats]:
    return split_logits(splits.n, splits.complete, splits.partial)


def _costs_to_go(allowed: Sequence[Booleans], costs: Sequence[tuple[Floats, Floats]]) -> list[Floats]:
    """Return, for each visit and pair of splits there, the smallest cost of the visits after it (inf if refused)."""
    to_go = [np.where(allowed[-1], 0.0, np.inf)]
    for mask, (cost, other_cost) in zip(reversed(allowed[:-1]), reversed(costs), strict=True):
        after = to_go[0]
        # Arm by arm: min over the first arm's next split, then over the second's.
        first = np.array([(row[:, None] + after).min(axis=0) for row in cost])
        both = np.array([(first + row).min(axis=1) for row in other_cost]).T
        to_go.insert(0, np.where(mask, both, np.inf))
    return to_go


def _next_bound(
    allowed: Sequence[Booleans],
    costs: Sequence[tuple[Floats, Floats]],
    bounds: Mapping[int, Integers],
    best: Sequence[tuple[int, int]],
) -> float | None:
    """Return the smallest criterion among tables whose bound counts differ from the best table's at some visit."""
    found = []
    for visit, counts in bounds.items():
        others = allowed[visit] & (counts != counts[best[visit]]).any(axis=-1)
        if others.any():
            changed = [others if place == visit else mask for place, mask in enumerate(allowed)]
            found.append(float(_costs_to_go(changed, costs)[0].min()))
    return min(found, default=None)


def _best_tables(
    to_go: Sequence[Floats], costs: Sequence[tuple[Floats, Floats]], many: int
) -> list[tuple[float, tuple[tuple[int, int], ...]]]:
    """Return the ``many`` best paths over the visits; the cost to go is exact, so each path ends as it was ranked."""
    found: list[tuple[float, tuple[tuple[int, int], ...]]] = []
    queue: list[tuple[float, tuple[tuple[int, int], ...], float]] = [
        (total, ((row, column),), 0.0) for total, row, column in _smallest(to_go[0], many)
    ]
    heapq.heapify(queue)
    while queue and len(found) < many:
        total, path, spent = heapq.heappop(queue)
        if len(path) == len(to_go):
            found.append((total, path))
            continue
        row, column = path[-1]
        cost, other_cost = costs[len(path) - 1]
        step = cost[row][:, None] + other_cost[column]
        for ahead, next_row, next_column in _smallest(spent + step + to_go[len(path)], many):
            entry = (ahead, (*path, (next_row, next_column)), spent + float(step[next_row, next_column]))
            heapq.heappush(queue, entry)
    return found


def _smallest(values: Floats, many: int) -> list[tuple[float, int, int]]:
    """Return the ``many`` smallest finite values with their places; only these can lead to one of the best tables."""
    flat = values.ravel()
    places = np.argpartition(flat, many - 1)[:many] if flat.size > many else np.arange(flat.size)
    rows, columns = np.unravel_index(places, values.shape)
    return [
        (float(values[row, column]), int(row), int(column))
        for row, column in zip(rows, columns, strict=True)
        if np.isfinite(values[row, column])
    ]
