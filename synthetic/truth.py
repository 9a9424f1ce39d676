"""Potential outcomes: what would have happened to each patient under every arm.

All courses are walked from the same noise at the calibrated thresholds of each arm, as if every visit were attended.
That they share their noise is an assumption no data can check: only marginal estimands are meaningful.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cohort.columns import WholeArray
from cohort.response import BoolArray, IntArray
from synthetic.baseline import Covariates
from synthetic.calibrate import Calibration
from synthetic.course import NO_DAY, Course, CourseNoise, walk_course
from synthetic.model import PatientModel

FloatArray = npt.NDArray[np.float64]

_NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class PotentialOutcomes:
    """Outcomes of ``n`` patients under each of ``k`` arms.

    ``state`` has shape ``(k, n, v)`` with the codes of :mod:`synthetic.course`, as if nobody died; ``flare_day`` (the
    first) and ``failure_day`` have shape ``(k, n)``, ``death_day`` shape ``(n,)``: a day, or ``NO_DAY``. Death does not
    depend on the arm; nothing follows it.
    """

    state: WholeArray
    flare_day: IntArray
    failure_day: IntArray
    death_day: IntArray


@dataclass(frozen=True, slots=True)
class OwnCourse:
    """The course of ``n`` patients walked at the calibrated thresholds of the arm each is in, shape ``(n,)``."""

    arm: IntArray
    course: Course


def potential_outcomes(
    covariates: Covariates,
    noise: CourseNoise,
    visit_day: IntArray,
    death_day: IntArray,
    calibration: Calibration,
    model: PatientModel,
    own: OwnCourse | None = None,
) -> PotentialOutcomes:
    """Walk every patient under every arm.

    Parameters
    ----------
    covariates, noise, visit_day
        The patients, as in :func:`synthetic.course.walk_course`.
    death_day
        Day of death or ``NO_DAY``, shape ``(n,)``.
    calibration
        Constants of all arms.
    model
        Patient model.
    own
        The course of each patient in one of the arms, where it has been walked before.
    """
    arms, (size, visits) = len(calibration.intercepts), visit_day.shape
    state = np.empty((arms, visits, size), dtype=np.int8)
    flare, failure = np.empty((arms, size), dtype=np.int64), np.empty((arms, size), dtype=np.int64)
    alive_until = np.where(death_day == NO_DAY, _NEVER, death_day)

    def put(course: Course, members: Mapping[int, BoolArray | bool]) -> None:
        states = course.state.T.astype(np.int8)
        flares = _before(alive_until, first_flare(course.flare_day))
        failures = _before(alive_until, course.failure_day)
        for arm, who in members.items():
            for values, found in ((state, states), (flare, flares), (failure, failures)):
                np.copyto(values[arm], found, where=who)

    if own is None:
        for arm, hazards in enumerate(calibration.hazards_of_arms(covariates, model)):
            put(walk_course(noise, hazards, visit_day, calibration.cut(arm), model.course), {arm: True})
    else:
        # Every other arm in turn: that of the patient, the next, and so on.
        for turn in range(arms):
            mine, course = (own.arm + turn) % arms, own.course
            if turn:
                hazards = calibration.hazards(covariates, mine, model)
                course = walk_course(noise, hazards, visit_day, calibration.cut(mine), model.course)
            put(course, {arm: mine == arm for arm in range(arms)})
    return PotentialOutcomes(state.transpose(0, 2, 1), flare, failure, death_day)


def first_flare(flare_day: IntArray) -> IntArray:
    """Return the day of the first flare of each patient, or ``NO_DAY``, from days of shape ``(n, v)``."""
    first = np.where(flare_day == NO_DAY, _NEVER, flare_day).min(axis=1)
    return np.where(first == _NEVER, NO_DAY, first)


def _before(alive_until: IntArray, day: IntArray) -> IntArray:
    return np.where(day < alive_until, day, NO_DAY)
