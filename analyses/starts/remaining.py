"""How probable it was, interval by interval, not to have started yet, and the weights that follow from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analyses.columns import FloatArray
from analyses.starts.intervals import Decisions, StartHazards


@dataclass(frozen=True, slots=True, eq=False)
class Remaining:
    """Probabilities of starting of ``n`` patients in ``k`` intervals.

    Attributes
    ----------
    own
        Shape ``(n, k)``: of the patient, 0 in intervals in which it could not start any more.
    share
        Shape ``(k,)``: whatever the covariates.
    """

    own: FloatArray
    share: FloatArray

    @classmethod
    def of(cls, found: Decisions, hazards: StartHazards, patients: int) -> Remaining:
        """Lay the hazards of patient-intervals out by patient and interval."""
        own = np.zeros((patients, len(hazards.share)))
        own[found.row, found.number] = hazards.own
        return cls(own, hazards.share)

    def not_started(self, *, stabilized: bool) -> FloatArray:
        """Return one over the probability of not having started before each interval, shape ``(n, k + 1)``.

        Stabilised, it is multiplied by the same probability whatever the covariates.
        """
        with np.errstate(divide="ignore"):
            stays = np.log1p(-self.own)
            everybody = np.log1p(-self.share) if stabilized else np.zeros(len(self.share))
        # Where everybody starts nobody stays, so that no row has the weight.
        steps = np.where(np.isfinite(stays) & np.isfinite(everybody), everybody - stays, 0.0)
        return np.asarray(np.exp(np.hstack([np.zeros((len(steps), 1)), np.cumsum(steps, axis=1)])))


def held(weights: FloatArray, largest: float | None) -> tuple[FloatArray, str | None]:
    """Return weights none of which is above ``largest``, and a remark on how many were."""
    if largest is None:
        return weights, None
    above = int(np.sum(weights > largest))
    remark = f"{above} of {len(weights)} rows had weights above {largest:g}, held at it" if above else None
    return np.minimum(weights, largest), remark
