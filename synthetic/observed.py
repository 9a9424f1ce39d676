"""What of a course is observed: visits attended, flares of a response seen before, and kidney failure in follow-up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cohort.response import BoolArray, IntArray
from synthetic.calendar import Attendance
from synthetic.course import NO_DAY, NO_RESPONSE, NOT_ASSESSED, Course

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ObservedCourse:
    """The observed course of ``n`` patients over ``v`` visits, every array of shape ``(n, v)``.

    ``state`` has the codes of :mod:`synthetic.course`; ``band_position`` is near 0 for the best and near 1 for the
    worst patient of the same state; ``flare_day`` is the day of a flare since the visit before, or ``NO_DAY``;
    ``sustained`` marks flares after which the visit shows no response. ``failure_day``, shape ``(n,)``, is the day of
    kidney failure or ``NO_DAY``.
    """

    state: IntArray
    band_position: FloatArray
    flare_day: IntArray
    sustained: BoolArray
    failure_day: IntArray


def observe(course: Course, band_position: FloatArray, attendance: Attendance) -> ObservedCourse:
    """Hide what nobody sees: states at visits not attended, what follows the end, flares of responses never seen."""
    attended = attendance.attended
    state = np.where(attended, course.state, NOT_ASSESSED)
    in_interval = (np.arange(attended.shape[1])[:, None] <= attendance.last_visit + 1).T
    shown = (course.flare_day != NO_DAY) & in_interval & (course.flare_day < attendance.follow_up_days[:, None])
    responding = np.zeros(len(state), dtype=bool)
    for visit in range(state.shape[1]):
        shown[:, visit] &= responding
        responding = np.where(attended[:, visit], state[:, visit] > NO_RESPONSE, responding & ~shown[:, visit])
    flare_day = np.where(shown, course.flare_day, NO_DAY)
    sustained = shown & (state == NO_RESPONSE)
    failure_day = np.where(course.failure_day < attendance.follow_up_days, course.failure_day, NO_DAY)
    return ObservedCourse(state, band_position, flare_day, sustained, failure_day)
