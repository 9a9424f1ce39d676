"""Every whole-patient split of an arm at a visit that agrees with the percentages printed there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from cohort.candidates import candidate_counts
from cohort.record import Measure, Target, Unit
from cohort.rounding import Integers


@dataclass(frozen=True, slots=True)
class Splits:
    """Complete and partial responders among ``n`` patients: one admissible split per place of the arrays.

    Ordered by complete, then partial responders.
    """

    n: int
    complete: Integers
    partial: Integers

    @property
    def overall(self) -> Integers:
        """Complete and partial responders together."""
        return self.complete + self.partial

    def counts(self, measure: Measure) -> Integers:
        """Return the responders that a measure of response counts."""
        if measure is Measure.COMPLETE_RESPONSE:
            return self.complete
        return self.partial if measure is Measure.PARTIAL_RESPONSE else self.overall

    def __len__(self) -> int:
        return len(self.complete)


def admissible_denominators(target: Target, size: int) -> frozenset[int]:
    """Return the denominators up to ``size`` (only the printed ``n``, if any) that can print as the target.

    Every number of patients from a printed count upwards can.
    """
    if target.unit is Unit.PATIENTS:
        found = frozenset(range(max(int(target.printed), 1), size + 1))
    else:
        found = frozenset(candidate_counts(target.printed, size)[1].tolist())
    return found if target.n is None else found & {target.n}


def admissible_splits(targets: Iterable[Target], denominators: Iterable[int], size: int) -> dict[int, Splits]:
    """Return, for each denominator that has any, the splits that print as every target.

    Parameters
    ----------
    targets
        Percentages or counts of response of one arm at one visit, at most one a measure. A measure without one is
        free: 0 up to the denominator.
    denominators
        Denominators to consider.
    size
        Size of the arm, at least every denominator.

    Returns
    -------
    dict
        From the denominator, in increasing order, to its splits.
    """
    counts = {target.measure: _counts(target, size) for target in targets}
    found = {n: _splits(n, {measure: count(n) for measure, count in counts.items()}) for n in sorted(denominators)}
    return {n: splits for n, splits in found.items() if len(splits)}


def _counts(target: Target, size: int) -> Callable[[int], Integers]:
    if target.unit is Unit.PATIENTS:
        return lambda _: np.array([int(target.printed)], dtype=np.int64)
    events, denominators = candidate_counts(target.printed, size)
    return lambda n: events[denominators == n]


def _splits(n: int, printed: Mapping[Measure, Integers]) -> Splits:
    any_count = np.arange(n + 1, dtype=np.int64)
    complete = printed.get(Measure.COMPLETE_RESPONSE, any_count)
    overall = printed.get(Measure.OVERALL_RESPONSE, any_count)
    partial = overall - complete[:, None]
    kept = partial >= 0
    if Measure.PARTIAL_RESPONSE in printed:
        kept &= np.isin(partial, printed[Measure.PARTIAL_RESPONSE])
    rows, _ = np.nonzero(kept)
    return Splits(n, complete[rows], partial[kept])
