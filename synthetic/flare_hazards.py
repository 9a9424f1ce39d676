"""How often each arm flares: at the model's rate, or as often as the printed flares and responses of the arm ask."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from synthetic.abreast import Lane, Population, TooFewFlaresError, Walked, walk_abreast
from synthetic.course import NO_DAY, flare_hazard
from synthetic.design import Design, FlareTarget
from synthetic.model import PatientModel

FloatArray = npt.NDArray[np.float64]

_ROUNDS = 60
_PRECISION = 3e-4
"""Relative change of a hazard at which it counts as found."""
_RAISE = 1.15
"""Factor by which a hazard is raised while the printed responses need more flares."""


def model_ratios(design: Design, model: PatientModel, population: Population) -> FloatArray:
    """Return what gives each arm the model's mean hazard of flare times the effect of the arm, shape ``(arms, v)``."""
    rate = model.course.flare_rate / 100 / 365.25
    ratio = np.full((len(design.sizes), len(design.months)), rate * model.effect.flare_hazard_ratio)
    ratio[design.reference] = rate
    return np.asarray(ratio / flare_hazard(population.covariates, model.course).mean()) if rate > 0 else ratio


def printed_ratios(
    design: Design,
    model: PatientModel,
    population: Population,
    ratio: FloatArray,
    *,
    rate_is_free: bool,
) -> FloatArray:
    """Return what meets the printed flares of each arm, starting from ``ratio``, shape ``(arms, v)``.

    An arm without printed flares keeps its ratio, unless more of its responders lose their response before a visit
    than flare: print then asks for more flares, and if the ``rate_is_free`` the hazard of that interval is raised.

    Raises
    ------
    CalibrationError
        If flares do not suffice for the printed responses and the rate is not free.
    """
    ratio = ratio.copy()
    targeted = {target.arm for target in design.flares}
    for _ in range(_ROUNDS):
        try:
            walked = walk_abreast(design, model, population, ratio)
        except TooFewFlaresError as error:
            if error.arm in targeted:
                ratio[error.arm] *= _RAISE
            elif rate_is_free:
                ratio[error.arm, error.visit] *= _RAISE
            else:
                raise
            continue
        steps = [_step(target, walked, design) for target in design.flares]
        for target, step in zip(design.flares, steps, strict=True):
            ratio[target.arm] *= step
        # A share of so many patients cannot be told more precisely than by one of them.
        if all(abs(step - 1.0) < max(_PRECISION, 20 / population.covariates.size) for step in steps):
            break
    return ratio


def _step(target: FlareTarget, walked: Walked, design: Design) -> float:
    """Return by what to multiply the hazard so that the printed flares are met, were it small and states unchanged."""
    lane: Lane = walked.lanes[target.arm]
    days = lane.walk.course().flare_day[:, : target.visit + 1]
    if target.share is None:
        found = float(lane.weight @ (days != NO_DAY).sum(axis=1)) / (design.months[target.visit] / 12) * 100
        return (target.rate or 0.0) / found if found else 1.0
    found = float(lane.weight @ (days != NO_DAY).any(axis=1))
    if not found:
        return 1.0
    return float(np.log1p(-target.share) / np.log1p(-found))
