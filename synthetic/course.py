"""The renal course: a latent score per visit, flares between visits, and response states cut from the scores.

The walk draws nothing: all noise is drawn beforehand, so that the same patient can be walked under either treatment.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cohort.egfr import ckd_epi_2021
from cohort.response import BoolArray, IntArray
from synthetic.baseline import Covariates, RandomSource
from synthetic.model import CourseModel

FloatArray = npt.NDArray[np.float64]

NOT_ASSESSED, NO_RESPONSE, PARTIAL, COMPLETE = -1, 0, 1, 2
"""Codes of ``Course.state``."""
NO_DAY = -1
"""Stands for "no such event" in arrays of days."""

_CLEAR_OF_VISIT = 30
_CLEAR_OF_FLARE = 91
"""Days kept between a flare and the visits around it, and between two flares, so that each is seen as one."""


@dataclass(frozen=True, slots=True)
class CourseNoise:
    """Everything random about the course of ``n`` patients over ``v`` visits, each of shape ``(n, v)``.

    ``score`` is the latent score before flares (higher is better); ``flare`` and ``day`` are uniform on (0, 1).
    """

    score: FloatArray
    flare: FloatArray
    day: FloatArray


@dataclass(frozen=True, slots=True)
class Course:
    """What happens to ``n`` patients over ``v`` visits.

    ``state`` (codes above) and ``score`` (flares included) have shape ``(n, v)``; ``flare_day[:, j]`` is the day of a
    flare between visit ``j - 1`` and visit ``j``, or ``NO_DAY``.
    """

    state: IntArray
    score: FloatArray
    flare_day: IntArray


Cut = Callable[[int, FloatArray, BoolArray, BoolArray], tuple[IntArray, BoolArray]]
"""Cuts the scores of one visit into states: takes visit, score, ``protected`` (in response and without a flare, so
never a non-responder) and ``can_flare``; returns states and who was given a flare after all."""


def draw_noise(baseline: Covariates, visits: int, model: CourseModel, random: RandomSource) -> CourseNoise:
    """Draw the noise of each patient and visit; scores carry baseline effects, a patient effect and visit noise."""
    egfr = ckd_epi_2021(baseline.creatinine / 100.0, baseline.age_years, baseline.female)
    chronicity = (baseline.chronicity_index - model.chronicity_centre) / model.chronicity_scale
    level = (
        -model.severity_weight * baseline.latent_severity
        - model.chronicity_weight * chronicity
        - model.low_egfr_weight * np.maximum(model.low_egfr_from - egfr, 0.0) / 15.0
        + model.patient_sd * random.standard_normal(baseline.size)
    )
    noise = random.standard_normal((visits, baseline.size))
    carried = model.visit_autocorrelation
    for visit in range(1, visits):
        noise[visit] = carried * noise[visit - 1] + np.sqrt(1 - carried**2) * noise[visit]
    uniform = random.random((2, visits, baseline.size))
    return CourseNoise((level + model.visit_sd * noise).T, uniform[0].T, uniform[1].T)


def flare_hazard(baseline: Covariates, model: CourseModel) -> FloatArray:
    """Return the daily hazard of a flare while in response, shape ``(n,)``."""
    log_ratio = np.log(model.flare_hr_severity) * baseline.latent_severity + np.log(model.flare_hr_age_decade) * (
        (baseline.age_years - model.age_centre) / 10
    )
    return np.asarray(model.flare_rate / 100 / 365.25 * np.exp(log_ratio) / model.flare_mean_ratio)


def walk_course(noise: CourseNoise, hazard: FloatArray, visit_day: IntArray, cut: Cut, model: CourseModel) -> Course:
    """Walk through the visits: flares since the last one, shift of the score, cut into states.

    A responder turns into a non-responder only through a flare.

    Parameters
    ----------
    noise
        Noise of ``n`` patients and ``v`` visits.
    hazard
        Daily hazard of a flare while in response, shape ``(n,)``.
    visit_day
        Days of the visits, shape ``(n, v)``, as if all were attended.
    cut
        Makes states of scores.
    model
        Numbers of the model.
    """
    size, visits = visit_day.shape
    state = np.full((size, visits), NOT_ASSESSED)
    score = np.empty((size, visits))
    flare_day = np.full((size, visits), NO_DAY)
    shift = np.zeros(size)
    last_flare = np.full(size, -_CLEAR_OF_FLARE)
    nobody = np.zeros(size, dtype=bool)
    for visit in range(visits):
        if visit == 0:
            first, last, responding = last_flare, last_flare, nobody
        else:
            first = np.maximum(visit_day[:, visit - 1] + _CLEAR_OF_VISIT, last_flare + _CLEAR_OF_FLARE)
            last = visit_day[:, visit] - _CLEAR_OF_VISIT
            responding = state[:, visit - 1] > NO_RESPONSE
        span = np.maximum(last - first, 0)
        # The hazard counts over the whole interval; only the day is kept clear of the visits around it.
        exposure = np.where(span > 0, span + 2 * _CLEAR_OF_VISIT, 0)
        flares = responding & (noise.flare[:, visit] < -np.expm1(-hazard * exposure))
        shift = shift * model.flare_shift_decay + model.flare_shift * flares
        score[:, visit] = noise.score[:, visit] - shift
        state[:, visit], forced = cut(visit, score[:, visit], responding & ~flares, span > 0)
        flares |= forced
        day = first + np.floor(noise.day[:, visit] * (span + 1)).astype(np.int64)
        flare_day[:, visit] = np.where(flares, day, NO_DAY)
        last_flare = np.where(flares, day, last_flare)
    return Course(state, score, flare_day)
