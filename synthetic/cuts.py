"""Two ways to cut latent scores into response states: to exact counts, or at calibrated thresholds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cohort.errors import CalibrationError
from cohort.response import BoolArray, IntArray
from synthetic.course import COMPLETE, NO_RESPONSE, NOT_ASSESSED, PARTIAL, Fate

FloatArray = npt.NDArray[np.float64]


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
    """Cuts at order statistics, so that every arm and visit has exactly the counts.

    Non-responders are patients with kidney failure, then the lowest scores among patients without a response so far
    and patients who flared, and, where those are too few for the count, the responders with the lowest scores, who
    are given a flare.

    Parameters
    ----------
    counts
        Exact counts.
    arm
        Position of each patient's arm, shape ``(n,)``.
    attended
        Whether each visit is attended, shape ``(n, v)``; who does not attend has no state.
    """

    counts: Counts
    arm: IntArray
    attended: BoolArray

    def admit_failures(self, visit: int, failed: BoolArray, failing: BoolArray, uniform: FloatArray) -> BoolArray:
        """Let as many fail as the counts of this and all later visits leave room for, the lowest ``uniform`` first."""
        admitted = failing.copy()
        for position, none in enumerate(self.counts.none):
            members = np.flatnonzero(failing & (self.arm == position))
            for patient in members[np.argsort(uniform[members], kind="stable")]:
                admitted[patient] = False
                seen = self.attended[patient, visit:]
                taken = self.attended[(failed | admitted) & (self.arm == position), visit:].sum(axis=0)
                admitted[patient] = bool((taken[seen] < none[visit:][seen]).all())
        return admitted

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
        for position in range(len(self.counts.assessed)):
            none, partial = int(self.counts.none[position, visit]), int(self.counts.partial[position, visit])
            members = np.flatnonzero((self.arm == position) & self.attended[:, visit])
            keys = (score[members], stuck[members], fate.protected[members], ~fate.failed[members])
            order = members[np.lexsort(keys)]
            without = order[:none]
            if len(order) != self.counts.assessed[position, visit] or np.any(stuck[without]):
                raise CalibrationError(
                    "the attendance cannot carry the printed counts",
                    where=f"arm {position}, visit {visit + 1}",
                    got=f"{len(order)} assessed for {none} without response and {partial} partial responders",
                    remedy="check the assessed numbers of the study",
                )
            forced[without] = fate.protected[without]
            state[without] = NO_RESPONSE
            rest = order[none:][np.argsort(score[order[none:]], kind="stable")]
            state[rest[:partial]] = PARTIAL
            state[rest[partial:]] = COMPLETE
        return state, forced


def rank_positions(state: IntArray, score: FloatArray, arm: IntArray, random: np.random.Generator) -> FloatArray:
    """Return each patient's position within arm, visit and state: near 0 the best score, near 1 the worst.

    The positions of a cell are as many uniform values, sorted, so that laboratory values vary between cohorts. Shape
    ``(n, v)``; NaN where not assessed.
    """
    position = np.full(state.shape, np.nan)
    for visit in range(state.shape[1]):
        for group in np.unique(arm):
            for code in (NO_RESPONSE, PARTIAL, COMPLETE):
                members = np.flatnonzero((arm == group) & (state[:, visit] == code))
                ranks = np.argsort(np.argsort(-score[members, visit], kind="stable"))
                position[members, visit] = np.sort(random.random(len(members)))[ranks]
    return position
