"""What the generator takes from a published record: arms, visits and the whole patients behind the printed rates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cohort.record import Measure, Study
from cohort.response import BoolArray, IntArray
from synthetic.cuts import Counts
from synthetic.reconstruct import Reconstruction


@dataclass(frozen=True, slots=True)
class Design:
    """Arms and visits of a study; arms on tacrolimus come first, the last arm is the reference.

    ``sizes`` and ``tacrolimus`` have shape ``(arms,)``, ``months`` shape ``(v,)``; ``counts`` has arms in the same
    order. ``alone`` counts patients on tacrolimus without another immunosuppressant; ``randomised`` says that arms
    were drawn by lot.
    """

    study: str
    arms: npt.NDArray[np.str_]
    sizes: IntArray
    tacrolimus: BoolArray
    months: IntArray
    counts: Counts
    alone: int
    randomised: bool

    @property
    def reference(self) -> int:
        """Position of the arm that others are compared with."""
        return len(self.sizes) - 1

    @property
    def total(self) -> int:
        """Number of patients."""
        return int(self.sizes.sum())


def design_of(study: Study, reconstruction: Reconstruction) -> Design:
    """Return the design of ``study`` with the counts of ``reconstruction``."""
    arms = sorted(study.arms, key=lambda arm: not arm.tacrolimus)
    table = reconstruction.counts
    cell = {key: row for row, key in enumerate(zip(table["arm"], table["month"], strict=True))}
    rows = np.array([[cell[arm.code, month] for month in study.visit_months] for arm in arms])
    columns = (table[name].to_numpy(dtype=np.int64)[rows] for name in ("assessed", "complete", "partial"))
    alone = study.printed(Measure.MONOTHERAPY_COUNT, arm=arms[0].code)
    return Design(
        study=study.name,
        arms=np.array([arm.code for arm in arms]),
        sizes=np.array([arm.size for arm in arms], dtype=np.int64),
        tacrolimus=np.array([arm.tacrolimus for arm in arms]),
        months=np.asarray(study.visit_months, dtype=np.int64),
        counts=Counts(*columns),
        alone=int(alone.printed) if alone else 0,
        randomised=False,
    )
