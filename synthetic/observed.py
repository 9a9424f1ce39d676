"""What of a course is observed: visits that are attended, and flares before the end of follow-up."""

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
    ``sustained`` marks flares after which the visit shows no response.
    """

    state: IntArray
    band_position: FloatArray
    flare_day: IntArray
    sustained: BoolArray


def observe(course: Course, band_position: FloatArray, attendance: Attendance) -> ObservedCourse:
    """Hide what happens after the last visit attended, except flares before the end of follow-up."""
    attended = attendance.attended
    state = np.where(attended, course.state, NOT_ASSESSED)
    in_interval = np.arange(attended.shape[1]) <= attendance.last_visit[:, None] + 1
    before_end = course.flare_day < attendance.follow_up_days[:, None]
    flare_day = np.where(in_interval & before_end, course.flare_day, NO_DAY)
    sustained = (flare_day != NO_DAY) & (state == NO_RESPONSE)
    return ObservedCourse(state, band_position, flare_day, sustained)
