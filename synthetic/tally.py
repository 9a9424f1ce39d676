"""Sums over potential outcomes that every true effect is a function of; they add up over patients and files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from cohort.record import Measure
from cohort.response import IntArray
from synthetic.course import COMPLETE, NO_DAY, PARTIAL
from synthetic.estimands import (
    ENDPOINTS,
    RESPONSES,
    Comparisons,
    TargetPopulation,
    population_weights,
)
from synthetic.truth import PotentialOutcomes

FloatArray = npt.NDArray[np.float64]

LOWEST_STATE = {Measure.COMPLETE_RESPONSE: COMPLETE, Measure.OVERALL_RESPONSE: PARTIAL}
"""The worst state that counts as the response."""
FLARE = len(ENDPOINTS)
"""Position of the first flare among the events of :class:`Sums`, after the times to a first event."""
EVENTS = FLARE + 1


class Additive:
    """Arrays that add up over patients; a stack of them, along a first axis, is one of the same kind."""

    __slots__: tuple[str, ...] = ()

    @classmethod
    def stack(cls, parts: Sequence[Self]) -> Self:
        """Return ``parts`` along a new first axis."""
        return cls(*(np.stack(arrays) for arrays in zip(*map(_arrays, parts), strict=True)))

    def total(self) -> Self:
        """Return the sums over the first axis."""
        return type(self)(*(array.sum(axis=0) for array in _arrays(self)))

    def first(self, number: int) -> Self:
        """Return the first ``number`` along the first axis."""
        return type(self)(*(array[:number] for array in _arrays(self)))

    def without(self, total: Self, group: int) -> Self:
        """Return ``total`` less the sums of one group, a position along the first axis."""
        pairs = zip(_arrays(total), _arrays(self), strict=True)
        return type(self)(*(all_of_it - array[group] for all_of_it, array in pairs))


@dataclass(frozen=True, slots=True)
class Sums(Additive):
    """Weighted sums over everybody, by contrast (``c``) and target population (``p``).

    ``weight`` has shape ``(c, p)``; ``responders`` ``(c, p, 2, measures, v)`` and ``events`` ``(c, p, 2, 3, days)``
    count by arm (the contrast's own, then the reference) the responders at each visit and the first events on each day
    from 0 to the horizon: two endpoints and the first flare. A stack has a further axis in front.
    """

    weight: FloatArray
    responders: FloatArray
    events: FloatArray


@dataclass(frozen=True, slots=True)
class AssessedSums(Additive):
    """Expected numbers in an arm and assessed at a visit, ``(arms, v)``, and responders, ``(arms, measures, v)``."""

    weight: FloatArray
    responders: FloatArray


def _arrays(sums: Additive) -> tuple[FloatArray, ...]:
    return tuple(getattr(sums, name) for name in sums.__slots__)


class Tally:
    """Adds up potential outcomes in ``groups`` groups of patients, dealt in turn: the groups of a jackknife."""

    def __init__(self, comparisons: Comparisons, groups: int) -> None:
        shape = (groups, len(comparisons.contrasts), len(TargetPopulation))
        self._comparisons, self._groups, self.patients = comparisons, groups, 0
        self._sums = Sums(
            np.zeros(shape),
            np.zeros((*shape, 2, len(RESPONSES), len(comparisons.months))),
            np.zeros((*shape, 2, EVENTS, comparisons.horizon + 1)),
        )

    @property
    def sums(self) -> Sums:
        """The sums so far, the first axis being groups; groups without patients are left out."""
        return self._sums.first(min(self._groups, self.patients))

    def add(self, outcomes: PotentialOutcomes, probability: FloatArray) -> None:
        """Add patients.

        Parameters
        ----------
        outcomes
            Potential outcomes of ``n`` patients under every arm, in the order of the comparisons.
        probability
            Each patient's probability of each arm, shape ``(n, arms)``.
        """
        size = len(probability)
        group = (self.patients + np.arange(size)) % self._groups
        self.patients += size
        days = [self._first_days(outcomes, arm) for arm in range(probability.shape[1])]
        for row in range(len(self._comparisons.contrasts)):
            for column, population in enumerate(TargetPopulation):
                weight = population_weights(probability, row, population)
                self._sums.weight[:, row, column] += self._by_group(group, weight)
                for side, arm in enumerate((row, -1)):
                    cell = (slice(None), row, column, side)
                    self._sums.responders[cell] += self._responders(group, weight, outcomes.state[arm])
                    self._sums.events[cell] += self._events(group, weight, days[arm])

    def _by_group(self, group: IntArray, weight: FloatArray) -> FloatArray:
        return np.bincount(group, weight, self._groups).astype(np.float64)

    def _responders(self, group: IntArray, weight: FloatArray, state: IntArray) -> FloatArray:
        counts = [
            [self._by_group(group, np.where(seen >= LOWEST_STATE[measure], weight, 0.0)) for seen in state.T]
            for measure in RESPONSES
        ]
        return np.moveaxis(np.asarray(counts), -1, 0)

    def _events(self, group: IntArray, weight: FloatArray, days: tuple[IntArray, ...]) -> FloatArray:
        columns = self._comparisons.horizon + 2
        counts = [
            np.bincount(group * columns + day, weight, self._groups * columns).reshape(self._groups, columns)
            for day in days
        ]
        return np.stack(counts, axis=1)[:, :, :-1].astype(np.float64)

    def _first_days(self, outcomes: PotentialOutcomes, arm: int) -> tuple[IntArray, ...]:
        """Return the days of the first event of each kind; what comes after the horizon has the day after it."""
        later = self._comparisons.horizon + 1
        flare, failure, death = (
            np.where((day == NO_DAY) | (day >= later), later, day)
            for day in (outcomes.flare_day[arm], outcomes.failure_day[arm], outcomes.death_day)
        )
        poor = np.minimum(failure, death)
        return np.minimum(flare, poor), poor, flare
