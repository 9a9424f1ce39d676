"""Centres: where a patient is followed, and what the centre does to case mix, practice and outcome.

Effects are fixed, not drawn: the standardised normal scores of the centres, in another order for each effect. A
calibration therefore holds for every seed, and the truth of a centre is known.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cohort.response import IntArray
from synthetic.model import CentreModel
from synthetic.random_source import RandomSource

FloatArray = npt.NDArray[np.float64]

_STRIDES = (0.0, np.sqrt(2.0), np.sqrt(3.0))
"""Irrational strides whose fractional parts order the centres for case mix, practice and outcome."""


@dataclass(frozen=True, slots=True)
class CentreEffects:
    """Centre of each of ``n`` patients and its effects, each array of shape ``(n,)``.

    ``number`` counts centres; ``index`` starts at 0. ``case_mix`` shifts the mean of severity, ``practice`` the log
    odds of tacrolimus, ``outcome`` the latent score; all are zero with one centre. ``case_mix_variance`` is the
    variance that centres take of severity.
    """

    number: int
    index: IntArray
    case_mix: FloatArray
    practice: FloatArray
    outcome: FloatArray
    case_mix_variance: float


def centre_effects(model: CentreModel) -> FloatArray:
    """Return the effects on case mix, practice and outcome, shape ``(3, centres)``; each row has mean zero."""
    from scipy.special import ndtri

    if model.number == 1:
        return np.zeros((3, 1))
    scores = ndtri((np.arange(model.number) + 0.5) / model.number)
    scores /= scores.std()
    places = np.arange(1, model.number + 1)
    orders = [places if stride == 0 else np.argsort(np.argsort(places * stride % 1.0)) + 1 for stride in _STRIDES]
    # Severity keeps variance one: the share of centres is sd^2 / (1 + sd^2).
    case_mix = model.case_mix_sd / np.hypot(1.0, model.case_mix_sd)
    sizes = (case_mix, model.practice_sd, model.outcome_sd)
    return np.stack([size * scores[order - 1] for size, order in zip(sizes, orders, strict=True)])


def draw_centres(size: int, model: CentreModel, random: RandomSource) -> CentreEffects:
    """Give each of ``size`` patients a centre, all centres being equally likely."""
    effects = centre_effects(model)
    index = np.minimum((random.random(size) * model.number).astype(np.int64), model.number - 1)
    case_mix, practice, outcome = effects[:, index]
    variance = float(effects[0].var())
    return CentreEffects(model.number, index, case_mix, practice, outcome, variance)
