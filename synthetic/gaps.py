"""Laboratory values missing at visits: at random, by proteinuria at baseline, or by the value of the day itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cohort.response import BoolArray
from synthetic.baseline import Baseline
from synthetic.coarse import NoiseSource
from synthetic.missing import Mechanism, proteinuria_score
from synthetic.model import MissingModel
from synthetic.visits import VisitRows

_VALUES = 5


@dataclass(frozen=True, slots=True)
class LaboratoryGaps:
    """Which values are missing at ``n`` visits, every array of shape ``(n,)``.

    ``kidney`` stands for UPCR, creatinine, eGFR and the urine sediment, which are missing together.
    """

    kidney: BoolArray
    albumin: BoolArray
    c3: BoolArray
    c4: BoolArray
    anti_dsdna: BoolArray
    hemoglobin: BoolArray

    @property
    def sledai(self) -> BoolArray:
        """Whether an item of SLEDAI-2K is missing, and so its sum."""
        return np.asarray(self.kidney | self.c3 | self.c4 | self.anti_dsdna)


def draw_gaps(visits: VisitRows, baseline: Baseline, model: MissingModel, random: NoiseSource) -> LaboratoryGaps:
    """Draw which secondary values are missing; none on day 0, and kidney tests only where a visit went without.

    Parameters
    ----------
    visits
        All visits.
    baseline
        The patients.
    model
        Probability for the average visit, mechanism and strength.
    random
        Stream to draw from.
    """
    size = len(visits.patient)
    if model.laboratory == 0.0:
        nothing = np.zeros(size, dtype=bool)
        return LaboratoryGaps(visits.untested, nothing, nothing, nothing, nothing, nothing)
    odds: npt.NDArray[np.float64] = np.full(
        size, np.log(model.laboratory) - np.log1p(-min(model.laboratory, 1 - 1e-12))
    )
    if model.mechanism == Mechanism.MAR:
        odds += model.strength * proteinuria_score(baseline.upcr)[visits.patient]
    elif model.mechanism == Mechanism.INFORMATIVE:
        odds += model.strength * proteinuria_score(visits.upcr)
    later = visits.day > 0
    probability = 1.0 / (1.0 + np.exp(-odds))
    missing = (random.random((_VALUES, size)) < probability) & later
    return LaboratoryGaps(visits.untested, *missing)
