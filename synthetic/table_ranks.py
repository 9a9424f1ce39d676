"""Every table of whole patients that print admits, numbered: how many there are, and which one has a given number.

Admissible tables are too many to list (millions of millions for Kim 2025), but they are paths: from visit to visit
the patients assessed never rise, each step on the path offers as many splits as agree with print, and nothing else
ties one visit to the next. Counting the ways on from each number of patients assessed, backwards over the visits, gives
the number of tables exactly, in whole numbers of any size, and with it the table of any rank.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from cohort.admissible import Splits
from cohort.rounding import Booleans
from synthetic.p_value_masks import VisitConstraints
from synthetic.printed_cells import PrintedCell
from synthetic.split_tables import Cells

Ways: TypeAlias = NDArray[np.object_]
"""Whole numbers of any size, one axis an arm, indexed by patients assessed: shape (size + 1, ...)."""


@dataclass(frozen=True, slots=True)
class TakenCell:
    """What a table takes at one visit of one arm about which something is printed.

    ``complete`` and ``partial`` are ``None`` where no response is printed.
    """

    assessed: int
    complete: int | None
    partial: int | None


@dataclass(frozen=True, slots=True)
class TableRanks:
    """The admissible tables of arms that must be taken together: both, where a p-value binds them, else one.

    Parameters
    ----------
    arms
        The arms, at most two.
    sizes
        Patients of each arm at month 0.
    visits
        For each visit, the cell of each arm, ``None`` where nothing is printed.
    bound
        For each visit, the p-values that bind the arms there.
    here
        For each visit, the splits that each combination of patients assessed admits.
    ways
        For each visit, and after the last, the tables of that visit and those after it that start at or below each
        combination of patients assessed.
    """

    arms: tuple[str, ...]
    sizes: tuple[int, ...]
    visits: tuple[tuple[PrintedCell | None, ...], ...]
    bound: tuple[VisitConstraints | None, ...]
    here: tuple[Ways, ...]
    ways: tuple[Ways, ...]

    @property
    def count(self) -> int:
        """How many tables there are."""
        return int(self.ways[0][self.sizes])

    def table(self, rank: int) -> dict[str, tuple[TakenCell | None, ...]]:
        """Return the table of a rank, from 0 to below :attr:`count`: from each arm to what it takes at each visit."""
        taken: list[tuple[TakenCell | None, ...]] = []
        assessed = self.sizes
        for place, cells in enumerate(self.visits):
            after = self.ways[place + 1]
            assessed, rank = self._next_assessed(place, assessed, rank)
            split, rank = divmod(rank, int(after[assessed]))
            taken.append(_taken(cells, assessed, self.bound[place], split))
        return {arm: tuple(visit[lane] for visit in taken) for lane, arm in enumerate(self.arms)}

    def _next_assessed(self, place: int, assessed: tuple[int, ...], rank: int) -> tuple[tuple[int, ...], int]:
        """Return the patients assessed at a visit, given those before it, and the rank among tables with these."""
        cells = self.visits[place]
        corner = tuple(0 if cell is not None else n for cell, n in zip(cells, assessed, strict=True))
        window = tuple(slice(low, n + 1) for low, n in zip(corner, assessed, strict=True))
        ways = self.here[place][window] * self.ways[place + 1][window]
        up_to = list(accumulate(ways.ravel().tolist()))
        chosen = bisect_right(up_to, rank)
        offset = np.unravel_index(chosen, ways.shape)
        n = tuple(low + int(step) for low, step in zip(corner, offset, strict=True))
        return n, rank - (up_to[chosen - 1] if chosen else 0)


def table_ranks(
    cells: Cells, sizes: Mapping[str, int], constraints: Sequence[VisitConstraints]
) -> tuple[TableRanks, ...]:
    """Number the admissible tables of the arms: of all together if p-values bind them, else of each arm.

    A table of the study is one table of each entry returned, in any combination.

    Parameters
    ----------
    cells
        From each arm to its cells, one a visit; ``None`` where nothing is printed.
    sizes
        From each arm to its patients at month 0.
    constraints
        The p-values that must be met, by visit; with any, there are two arms.
    """
    together = [tuple(sizes)] if constraints else [(arm,) for arm in sizes]
    return tuple(_numbered(arms, cells, sizes, constraints) for arms in together)


def _numbered(
    arms: tuple[str, ...], cells: Cells, sizes: Mapping[str, int], constraints: Sequence[VisitConstraints]
) -> TableRanks:
    visits = tuple(zip(*(cells[arm] for arm in arms), strict=True))
    binding = {constraint.visit: constraint for constraint in constraints}
    bound = tuple(binding.get(place) for place in range(len(visits)))
    most = tuple(sizes[arm] for arm in arms)
    here = tuple(_splits_here(of, most, constraint) for of, constraint in zip(visits, bound, strict=True))
    ways = [np.ones([n + 1 for n in most], dtype=np.object_)]
    for splits, of in zip(reversed(here), reversed(visits), strict=True):
        reached = splits * ways[0]
        for lane, cell in enumerate(of):
            if cell is not None:
                reached = np.add.accumulate(reached, axis=lane)
        ways.insert(0, reached)
    return TableRanks(arms, most, visits, bound, here, tuple(ways))


def _splits_here(
    cells: Sequence[PrintedCell | None], sizes: Sequence[int], constraint: VisitConstraints | None
) -> Ways:
    """Return how many splits each combination of patients assessed admits at a visit."""
    here = np.ones([n + 1 for n in sizes], dtype=np.object_)
    for lane, (cell, size) in enumerate(zip(cells, sizes, strict=True)):
        if cell is not None:
            many = np.zeros(size + 1, dtype=np.object_)
            for n, splits in cell.by_n.items():
                many[n] = len(splits) if cell.targets else 1
            here *= many.reshape([-1 if axis == lane else 1 for axis in range(len(sizes))])
    if constraint is not None:
        for assessed in zip(*np.nonzero(here), strict=True):
            first, second = (of.by_n[int(n)] for of, n in zip(cells, assessed, strict=True) if of is not None)
            here[assessed] = int(constraint.mask(first, second).sum())
    return here


def _taken(
    cells: Sequence[PrintedCell | None], assessed: Sequence[int], constraint: VisitConstraints | None, split: int
) -> tuple[TakenCell | None, ...]:
    """Return what each arm takes at a visit: the admissible combination of splits at place ``split``."""
    found = [
        None if cell is None or not cell.targets else cell.by_n[n] for cell, n in zip(cells, assessed, strict=True)
    ]
    listed = [splits for splits in found if splits is not None]
    places = iter(_places(listed, constraint, split))
    return tuple(
        None if cell is None else TakenCell(n, None, None) if splits is None else _cell(splits, next(places))
        for cell, splits, n in zip(cells, found, assessed, strict=True)
    )


def _places(splits: Sequence[Splits], constraint: VisitConstraints | None, rank: int) -> tuple[int, ...]:
    """Return the place of the split of each arm in the admissible combination at place ``rank``."""
    if constraint is None:
        return tuple(int(place) for place in np.unravel_index(rank, [len(of) for of in splits])) if splits else ()
    mask: Booleans = constraint.mask(splits[0], splits[1])
    row, column = divmod(int(np.flatnonzero(mask)[rank]), mask.shape[1])
    return row, column


def _cell(splits: Splits, place: int) -> TakenCell:
    return TakenCell(splits.n, int(splits.complete[place]), int(splits.partial[place]))
