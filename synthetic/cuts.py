"""Two ways to cut latent scores into response states: to exact counts, or at calibrated thresholds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cohort.errors import CalibrationError
from cohort.response import BoolArray, IntArray
from synthetic.course import COMPLETE, NO_RESPONSE, NOT_ASSESSED, PARTIAL, Fate
from synthetic.groups import Arms

FloatArray = npt.NDArray[np.float64]

_TIER = 1000.0
"""Farther apart than any two scores."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Patients per arm and visit, each of shape ``(arms, v)``."""

    assessed: IntArray
    complete: IntArray
    partial: IntArray

    @property
    def none(self) -> IntArray:
        """Patients without response."""
        return self.assessed - self.complete - self.partial


@dataclass(frozen=True, slots=True)
class CountCut:
    """Cuts at order statistics, so that every arm and visit of every replicate has exactly the counts.

    Non-responders are patients with kidney failure, then the lowest scores among patients without a response so far
    and patients who flared, and, where those are too few for the count, the responders with the lowest scores, who
    are given a flare.

    Parameters
    ----------
    counts
        Exact counts.
    arms
        Members of the arms.
    attended
        Whether each visit is attended, shape ``(n, v)``; who does not attend has no state.
    """

    counts: Counts
    arms: Arms
    attended: BoolArray

    def admit_failures(self, visit: int, failed: BoolArray, failing: BoolArray, uniform: FloatArray) -> BoolArray:
        """Let as many fail as the counts of this and all later visits leave room for, the lowest ``uniform`` first."""
        admitted = failing.copy()
        for members, none in zip(self.arms.members, self.counts.none, strict=True):
            attended = self.attended[members, visit:]
            taken = (attended & (failed | failing)[members][:, :, None]).sum(axis=1)
            for row in np.flatnonzero((taken > none[visit:]).any(axis=1) & failing[members].any(axis=1)):
                self._admit(members[row], none[visit:], visit, failed, admitted, uniform)
        return admitted

    def _admit(
        self, members: IntArray, none: IntArray, visit: int, failed: BoolArray, admitted: BoolArray, uniform: FloatArray
    ) -> None:
        """Withdraw failures of one arm, then let them in again one by one while there is room."""
        failing = members[admitted[members]]
        admitted[failing] = False
        for patient in failing[np.argsort(uniform[failing], kind="stable")]:
            seen = self.attended[patient, visit:]
            taken = self.attended[members[(failed | admitted)[members]], visit:].sum(axis=0)
            admitted[patient] = bool((taken[seen] < none[seen]).all())

    def cut(self, visit: int, score: FloatArray, fate: Fate) -> tuple[IntArray, BoolArray]:
        """Cut one visit.

        Raises
        ------
        CalibrationError
            If an arm has not as many assessed patients as its counts, or the counts need a flare where none fits.
        """
        state = np.full(len(score), NOT_ASSESSED)
        forced = np.zeros(len(score), dtype=bool)
        stuck = fate.protected & ~fate.can_flare
        # Failed patients first, then those free to lose response, then responders, those without room for a flare last.
        tier = _TIER * (fate.protected.astype(np.float64) + stuck - fate.failed)
        for position, members in enumerate(self.arms.members):
            assessed = int(self.counts.assessed[position, visit])
            none, partial = int(self.counts.none[position, visit]), int(self.counts.partial[position, visit])
            attending = self.attended[members, visit]
            key = np.where(attending, (score + tier)[members], np.inf)
            order = np.take_along_axis(members, np.argsort(key, axis=1), axis=1)
            without = order[:, :none]
            if (attending.sum(axis=1) != assessed).any() or stuck[without].any():
                raise CalibrationError(
                    "the attendance cannot carry the printed counts",
                    where=f"arm {position}, visit {visit + 1}",
                    got=f"{assessed} assessed, {none} without response and {partial} partial responders",
                    remedy="check the assessed numbers of the study",
                )
            forced[without] = fate.protected[without]
            state[without] = NO_RESPONSE
            rest = order[:, none:assessed]
            rest = np.take_along_axis(rest, np.argsort(score[rest], axis=1), axis=1)
            state[rest[:, :partial]] = PARTIAL
            state[rest[:, partial:]] = COMPLETE
        return state, forced


def rank_positions(state: IntArray, score: FloatArray, arms: Arms, random: np.random.Generator) -> FloatArray:
    """Return each patient's position within arm, visit and state: near 0 the best score, near 1 the worst.

    The positions of a cell are as many uniform values, sorted, so that laboratory values vary between cohorts. Shape
    ``(n, v)``; of no meaning where not assessed.
    """
    position = np.empty(state.shape)
    for visit in range(state.shape[1]):
        for members in arms.members:
            mine = state[members, visit]
            order = np.argsort(_TIER * mine - score[members, visit], axis=1)
            # Sorted within each state: states are whole numbers and uniform values lie below one.
            uniform = np.sort(np.sort(mine, axis=1) + random.random(mine.shape), axis=1) % 1.0
            position[np.take_along_axis(members, order, axis=1), visit] = uniform
    return position
