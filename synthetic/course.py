"""The renal course: a latent score per visit, flares and kidney failure between visits, states cut from the scores.

The walk draws nothing: all noise is drawn beforehand, so that the same patient can be walked under any treatment.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from cohort.response import BoolArray, IntArray
from synthetic.baseline import Covariates
from synthetic.model import CourseModel
from synthetic.random_source import RandomSource

FloatArray = npt.NDArray[np.float64]

NOT_ASSESSED, NO_RESPONSE, PARTIAL, COMPLETE = -1, 0, 1, 2
"""Codes of ``Course.state``."""
NO_DAY = -1
"""Stands for "no such event" in arrays of days."""

_CLEAR_OF_VISIT = 30
_CLEAR_OF_FLARE = 91
"""Days kept between a flare and the visits around it, and between two flares, so that each is seen as one."""
_DAYS_TO_FAILURE = 45
_FAILURE_BEFORE_VISIT = 7
"""Days kept between kidney failure and the visits around it."""
_ROUNDING = 1e-9
"""Room left to rounding where a bound rules out what the exact comparison is not asked about."""


@dataclass(frozen=True, slots=True)
class CourseNoise:
    """Everything random about the course of ``n`` patients over ``v`` visits, each of shape ``(n, v)``.

    ``score`` is the latent score before flares (higher is better); the others are uniform on (0, 1): whether and when
    a flare or kidney failure happens since the visit before.
    """

    score: FloatArray
    flare: FloatArray
    flare_day: FloatArray
    failure: FloatArray
    failure_day: FloatArray


@dataclass(frozen=True, slots=True)
class Hazards:
    """Daily hazards of ``n`` patients over ``v`` visits.

    ``flare`` (while in response) has shape ``(n, v)`` or ``(n, 1)``; ``failure``, shape ``(n,)``, is relative to
    ``failure_level``, shape ``(v,)``: the hazard of kidney failure without response since the visit before.
    """

    flare: FloatArray
    failure: FloatArray
    failure_level: FloatArray


@dataclass(frozen=True, slots=True)
class Course:
    """What happens to ``n`` patients over ``v`` visits.

    ``state`` (codes above) and ``score`` (flares included) have shape ``(n, v)``; ``flare_day[:, j]`` is the day of a
    flare between visit ``j - 1`` and visit ``j``, or ``NO_DAY``; ``failure_day``, shape ``(n,)``, that of kidney
    failure, after which there is no response.
    """

    state: IntArray
    score: FloatArray
    flare_day: IntArray
    failure_day: IntArray


@dataclass(frozen=True, slots=True)
class Fate:
    """What restricts the state of ``n`` patients at a visit, each of shape ``(n,)``.

    ``protected`` patients are in response and without a flare, so never without response unless they are given a
    flare, which needs ``can_flare``; ``failed`` patients have kidney failure and are without response.
    """

    protected: BoolArray
    can_flare: BoolArray
    failed: BoolArray


class Cut(Protocol):
    """Makes states of scores."""

    def admit_failures(self, visit: int, failed: BoolArray, failing: BoolArray, uniform: FloatArray) -> BoolArray:
        """Return who of the ``failing`` may fail before ``visit``, given who ``failed`` earlier."""
        ...

    def cut(self, visit: int, score: FloatArray, fate: Fate) -> tuple[IntArray, BoolArray]:
        """Return the states at a visit and who was given a flare after all, each of shape ``(n,)``."""
        ...


def draw_noise(baseline: Covariates, visits: int, model: CourseModel, random: RandomSource) -> CourseNoise:
    """Draw the noise of each patient and visit; scores carry baseline effects, a patient effect and visit noise."""
    chronicity = (baseline.chronicity_index - model.chronicity_centre) / model.chronicity_scale
    level = (
        baseline.centre.outcome
        - model.severity_weight * baseline.latent_severity
        - model.chronicity_weight * chronicity
        - model.low_egfr_weight * np.maximum(model.low_egfr_from - baseline.egfr, 0.0) / 15.0
        + model.patient_sd * random.standard_normal(baseline.size)
    )
    noise = random.standard_normal((visits, baseline.size))
    carried = model.visit_autocorrelation
    for visit in range(1, visits):
        noise[visit] = carried * noise[visit - 1] + np.sqrt(1 - carried**2) * noise[visit]
    uniform = random.random((4, visits, baseline.size))
    return CourseNoise((level + model.visit_sd * noise).T, *(part.T for part in uniform))


def flare_hazard(baseline: Covariates, model: CourseModel) -> FloatArray:
    """Return the daily hazard of a flare while in response, up to the mean of its relative part, shape ``(n,)``."""
    log_ratio = np.log(model.flare_hr_severity) * baseline.latent_severity + np.log(model.flare_hr_age_decade) * (
        (baseline.age_years - model.age_centre) / 10
    )
    return np.asarray(model.flare_rate / 100 / 365.25 * np.exp(log_ratio))


def poor_outcome_hazard_ratio(baseline: Covariates, model: CourseModel) -> FloatArray:
    """Return the relative hazard of a poor outcome (kidney failure or death) by severity, shape ``(n,)``.

    Its mean over standard normal severities is one.
    """
    slope = np.log(model.poor_outcome_hr_severity)
    return np.asarray(np.exp(slope * baseline.latent_severity - slope**2 / 2))


def kidney_failure_hazard_ratio(baseline: Covariates, model: CourseModel) -> FloatArray:
    """Return the relative hazard of kidney failure, shape ``(n,)``: that of a poor outcome, raised by a low eGFR."""
    return np.asarray(
        poor_outcome_hazard_ratio(baseline, model) * np.where(baseline.egfr < 60.0, model.eskd_hr_low_egfr, 1.0)
    )


class Walk:
    """Takes ``n`` patients from visit to visit: :meth:`approach`, then :meth:`arrive`, for each visit in turn.

    A responder turns into a non-responder only through a flare. Who is not assessed at a visit keeps the state seen
    last; after a flare that is no response. Kidney failure comes only without response.
    """

    def __init__(self, noise: CourseNoise, visit_day: IntArray, model: CourseModel) -> None:
        size, visits = visit_day.shape
        self._noise, self._visit_day, self._model = noise, np.asfortranarray(visit_day), model
        # A visit at a time is looked at, so the values of a visit stand together.
        self._state = np.full((size, visits), NOT_ASSESSED, order="F")
        self._score = np.empty((size, visits), order="F")
        self._flare_day = np.full((size, visits), NO_DAY, order="F")
        self._failure_day = np.full(size, NO_DAY)
        self._shift = np.zeros(size)
        self._last_flare = np.full(size, -_CLEAR_OF_FLARE)
        self._responding = np.zeros(size, dtype=bool)
        self._flares = np.zeros(size, dtype=bool)
        self._first = self._span = np.zeros(size, dtype=np.int64)

    def failure_exposure(self, visit: int) -> IntArray:
        """Return the days before ``visit`` on which each patient is exposed to kidney failure, shape ``(n,)``."""
        if visit == 0:
            return np.zeros(len(self._shift), dtype=np.int64)
        days = self._visit_day[:, visit] - self._visit_day[:, visit - 1]
        fits = days >= _DAYS_TO_FAILURE + _FAILURE_BEFORE_VISIT
        return np.where(fits & ~self._responding & (self._failure_day == NO_DAY), days, 0)

    def approach(self, visit: int, hazards: Hazards, cut: Cut) -> tuple[FloatArray, Fate]:
        """Let flares and kidney failures happen before ``visit``; return the scores and what restricts the states."""
        if visit == 0:
            first = last = self._last_flare
        else:
            first = np.maximum(self._visit_day[:, visit - 1] + _CLEAR_OF_VISIT, self._last_flare + _CLEAR_OF_FLARE)
            last = self._visit_day[:, visit] - _CLEAR_OF_VISIT
            self._fail(visit, hazards, cut)
        self._first, self._span = first, np.maximum(last - first, 0)
        # The hazard counts over the whole interval; only the day is kept clear of the visits around it.
        exposure = np.where(self._span > 0, self._span + 2 * _CLEAR_OF_VISIT, 0)
        hazard = hazards.flare[:, visit if hazards.flare.shape[1] > 1 else 0]
        self._flares = _happens(self._noise.flare[:, visit], hazard * exposure, self._responding)
        self._shift = self._shift * self._model.flare_shift_decay + self._model.flare_shift * self._flares
        self._score[:, visit] = self._noise.score[:, visit] - self._shift
        fate = Fate(self._responding & ~self._flares, self._span > 0, self._failure_day != NO_DAY)
        return self._score[:, visit], fate

    def arrive(self, visit: int, state: IntArray, forced: BoolArray) -> None:
        """Take the states of ``visit`` and who was given a flare after all."""
        flares = self._flares | forced
        day = self._first + np.floor(self._noise.flare_day[:, visit] * (self._span + 1)).astype(np.int64)
        self._state[:, visit] = state
        self._flare_day[:, visit] = np.where(flares, day, NO_DAY)
        self._last_flare = np.where(flares, day, self._last_flare)
        self._responding = np.where(state == NOT_ASSESSED, self._responding & ~flares, state > NO_RESPONSE)

    def course(self) -> Course:
        """Return what happened."""
        return Course(self._state, self._score, self._flare_day, self._failure_day)

    def _fail(self, visit: int, hazards: Hazards, cut: Cut) -> None:
        exposure = self.failure_exposure(visit)
        cumulative = hazards.failure_level[visit] * hazards.failure * exposure
        failing = _happens(self._noise.failure[:, visit], cumulative, exposure > 0)
        if not failing.any():
            return
        failing = cut.admit_failures(visit, self._failure_day != NO_DAY, failing, self._noise.failure[:, visit])
        first = self._visit_day[:, visit - 1] + _DAYS_TO_FAILURE
        span = self._visit_day[:, visit] - _FAILURE_BEFORE_VISIT - first
        day = first + np.floor(self._noise.failure_day[:, visit] * (span + 1)).astype(np.int64)
        self._failure_day = np.where(failing, day, self._failure_day)


def _happens(uniform: FloatArray, cumulative_hazard: FloatArray, at_risk: BoolArray) -> BoolArray:
    """Return to whom of those ``at_risk`` something happens, shape ``(n,)``: where ``uniform`` is below the risk.

    The risk is no larger than the cumulative hazard, so the exponential is computed for the few below that only.
    """
    happens = at_risk & (uniform < cumulative_hazard * (1 + _ROUNDING))
    few = np.flatnonzero(happens)
    happens[few] = uniform[few] < -np.expm1(-cumulative_hazard[few])
    return np.asarray(happens)


def walk_course(noise: CourseNoise, hazards: Hazards, visit_day: IntArray, cut: Cut, model: CourseModel) -> Course:
    """Walk through the visits: flares and kidney failures since the last one, shift of the score, cut into states.

    Parameters
    ----------
    noise
        Noise of ``n`` patients and ``v`` visits.
    hazards
        Hazards of flare and kidney failure.
    visit_day
        Days of the visits, shape ``(n, v)``, as if all were attended.
    cut
        Makes states of scores.
    model
        Numbers of the model.
    """
    walk = Walk(noise, visit_day, model)
    for visit in range(visit_day.shape[1]):
        walk.arrive(visit, *cut.cut(visit, *walk.approach(visit, hazards, cut)))
    return walk.course()
