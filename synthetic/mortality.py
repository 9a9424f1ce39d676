"""Death: hazards by interval between visits that leave room for the printed numbers of assessed patients."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cohort.response import IntArray
from synthetic.course import NO_DAY

FloatArray = npt.NDArray[np.float64]

_HALVINGS = 60
_ROOM = 0.6
"""Largest share of the patients who leave in an interval that may have died in it, at the mean hazard of all arms.

An arm of sicker patients loses more to death, and must not lose more than leave it.
"""


@dataclass(frozen=True, slots=True)
class Mortality:
    """Cumulative hazard of death up to each of ``v`` visits, shape ``(v,)``, at a relative hazard of one.

    Within an interval between a patient's own visits the hazard is constant. Nobody dies after the last visit.
    """

    cumulative: FloatArray

    def survival(self, relative: FloatArray) -> FloatArray:
        """Return the probability of being alive at each visit, shape ``(n, v)``."""
        return np.asarray(np.exp(-relative[:, None] * self.cumulative))

    def day_after(
        self, day: IntArray, visit_day: IntArray, relative: FloatArray, random: np.random.Generator
    ) -> IntArray:
        """Draw the day of death of patients alive on ``day``, or ``NO_DAY``, shape ``(n,)``.

        Parameters
        ----------
        day
            A day on which each patient is alive.
        visit_day
            Days of the visits, shape ``(n, v)``.
        relative
            Relative hazards, shape ``(n,)``.
        random
            Stream to draw from.
        """
        size, visits = visit_day.shape
        start = np.concatenate([np.zeros((1, size), dtype=np.int64), visit_day.T])
        level = np.concatenate([[0.0], self.cumulative])
        here = np.minimum(np.count_nonzero(day >= visit_day.T, axis=0), visits - 1)
        rows = np.arange(size)
        begin = start[here, rows]
        length = start[here + 1, rows] - begin
        passed = np.clip((day - begin) / length, 0.0, 1.0)
        target = level[here] + passed * (level[here + 1] - level[here]) + random.standard_exponential(size) / relative
        interval = np.minimum(np.searchsorted(self.cumulative, target), visits - 1)
        step = level[interval + 1] - level[interval]
        share = (target - level[interval]) / np.where(step > 0, step, 1.0)
        begin = start[interval, rows]
        length = start[interval + 1, rows] - begin
        # From the day after one visit to the day before the next, and always after the day given.
        dies = begin + 1 + np.floor(np.clip(share, 0.0, 1.0) * (length - 1)).astype(np.int64)
        dies = np.maximum(np.minimum(dies, begin + length - 1), day + 1)
        return np.where(target > self.cumulative[-1], NO_DAY, dies)


def mortality(rate: float, nominal_day: IntArray, assessed: IntArray, sizes: IntArray) -> Mortality:
    """Spread deaths over the intervals, at most six tenths of those who leave having died.

    Parameters
    ----------
    rate
        Deaths per 100 patient-years, on average from day 0 to the last visit, as far as print leaves room.
    nominal_day
        Days of the visits, shape ``(v,)``.
    assessed
        Patients assessed, shape ``(arms, v)``, never increasing along an arm.
    sizes
        Patients of the arms, shape ``(arms,)``.
    """
    days = np.diff(np.concatenate([[0], nominal_day]))
    staying = (assessed / np.column_stack([sizes, assessed[:, :-1]])).max(axis=0)
    most = -np.log1p(-_ROOM * (1.0 - staying))
    wanted = min(rate / 100 / 365.25 * days.sum(), most.sum())
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if np.minimum(most, middle * days).sum() < wanted else (low, middle)
    return Mortality(np.cumsum(np.minimum(most, high * days)))
