"""Which pairs of splits of two arms give back the printed p-values of a visit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cohort.admissible import Splits
from cohort.errors import ReconstructionError
from cohort.p_values import THREE_CATEGORY, ComparisonTest, three_category, two_by_two
from cohort.rounding import Booleans, Integers, probability_prints_as
from cohort.targets import Target
from synthetic.printed_cells import described


@dataclass(frozen=True, slots=True)
class VisitConstraints:
    """The printed p-values that bind the two arms at one visit, each with the test it is read as.

    Parameters
    ----------
    visit
        Place of the visit in the study's months, from 0.
    readings
        Targets that are p-values, and tests.
    """

    visit: int
    readings: tuple[tuple[Target, ComparisonTest], ...]

    def described(self) -> str:
        """Name the p-values and the tests for a message."""
        return ", ".join(f"{described([target])} ({test})" for target, test in self.readings)

    def mask(self, first: Splits, second: Splits) -> Booleans:
        """Return, of shape (splits of the first arm, of the second), which pairs give every printed p-value."""
        mask = np.ones((len(first), len(second)), dtype=bool)
        for target, test in self.readings:
            if mask.any():
                mask &= _agrees(target, test, first, second)
        return mask

    def denominator_pairs(self, first: Sequence[Splits], second: Sequence[Splits]) -> Booleans:
        """Return which pairs of cells have at least one pair of splits that gives every printed p-value.

        Shape (cells of the first arm, of the second); each cell is one denominator with its admissible splits.
        """
        return np.array([[bool(self.mask(one, other).any()) for other in second] for one in first])

    def bound_counts(self, first: Splits, second: Splits) -> Integers:
        """Return the counts that the p-values are about, shape (splits of the first arm, of the second, counts)."""
        shape = (len(first), len(second))
        columns = []
        for target, test in self.readings:
            for place, splits in enumerate((first, second)):
                counts = [splits.complete, splits.partial] if test in THREE_CATEGORY else [_compared(target, splits)]
                columns += [np.broadcast_to(count[:, None] if place == 0 else count, shape) for count in counts]
        return np.stack(columns, axis=-1)


def _agrees(target: Target, test: ComparisonTest, first: Splits, second: Splits) -> Booleans:
    if test in THREE_CATEGORY:
        p = three_category(
            first.complete[:, None],
            first.partial[:, None],
            np.array(first.n),
            second.complete,
            second.partial,
            np.array(second.n),
        )[test]
        return probability_prints_as(p, target.printed)
    events_1, place_1 = np.unique(_compared(target, first), return_inverse=True)
    events_2, place_2 = np.unique(_compared(target, second), return_inverse=True)
    a, c = (grid.ravel() for grid in np.meshgrid(events_1, events_2, indexing="ij"))
    p = two_by_two(a, np.full(a.shape, first.n), c, np.full(c.shape, second.n), tests=[test])[test]
    agrees = probability_prints_as(p, target.printed).reshape(len(events_1), len(events_2))
    return agrees[np.ix_(place_1, place_2)]


def _compared(target: Target, splits: Splits) -> Integers:
    if target.compares is None:
        raise ReconstructionError("a p-value that compares nothing", where=f"target {target.id}", remedy="add compares")
    return splits.counts(target.compares)


def constraints_by_visit(
    readings: Sequence[tuple[Target, ComparisonTest]], months: Sequence[int]
) -> tuple[VisitConstraints, ...]:
    """Group p-values and their tests by visit, in order of month."""
    by_visit: dict[int, list[tuple[Target, ComparisonTest]]] = {}
    for target, test in readings:
        visit = next(place for place, month in enumerate(months) if month == target.month)
        by_visit.setdefault(visit, []).append((target, test))
    return tuple(VisitConstraints(visit, tuple(by_visit[visit])) for visit in sorted(by_visit))
