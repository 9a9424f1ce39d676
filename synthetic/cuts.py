"""Two ways to cut latent scores into response states: to exact counts, or at calibrated thresholds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cohort.errors import CalibrationError
from cohort.response import BoolArray, IntArray
from synthetic.course import COMPLETE, NO_RESPONSE, NOT_ASSESSED, PARTIAL

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

    Non-responders are the lowest scores among patients without a response so far, patients who flared, and, where
    those are too few for the count, the responders with the lowest scores, who are given a flare.

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

    def __call__(
        self, visit: int, score: FloatArray, protected: BoolArray, can_flare: BoolArray
    ) -> tuple[IntArray, BoolArray]:
        """Cut one visit.

        Raises
        ------
        CalibrationError
            If an arm has not as many assessed patients as its counts, or the counts need a flare where none fits.
        """
        state = np.full(len(score), NOT_ASSESSED)
        forced = np.zeros(len(score), dtype=bool)
        for position in range(len(self.counts.assessed)):
            none, partial = int(self.counts.none[position, visit]), int(self.counts.partial[position, visit])
            members = np.flatnonzero((self.arm == position) & self.attended[:, visit])
            stuck = protected[members] & ~can_flare[members]
            order = members[np.lexsort((score[members], stuck, protected[members]))]
            without = order[:none]
            if len(order) != self.counts.assessed[position, visit] or np.any(protected[without] & ~can_flare[without]):
                raise CalibrationError(
                    "the attendance cannot carry the printed counts",
                    where=f"arm {position}, visit {visit + 1}",
                    got=f"{len(order)} assessed for {none} without response and {partial} partial responders",
                    remedy="check the assessed numbers of the study",
                )
            forced[without] = protected[without]
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
