"""Who is seen at which visit, when, and why follow-up ends: nested attendance of the reconstructed size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cohort.codes import DAYS_PER_MONTH, EndReason
from cohort.response import BoolArray, IntArray
from synthetic.model import CourseModel, PatientModel

FloatArray = npt.NDArray[np.float64]
DateArray = npt.NDArray[np.datetime64]

_SHORTEST_STAY = 7


@dataclass(frozen=True, slots=True)
class Attendance:
    """Visits and follow-up of ``n`` patients over ``v`` scheduled visits after day 0.

    ``last_visit`` is the position of the last visit attended (-1: only day 0); ``visit_day`` has shape ``(n, v)``
    and holds the day each visit takes or would take place.
    """

    last_visit: IntArray
    visit_day: IntArray
    follow_up_days: IntArray
    end_reason: npt.NDArray[np.str_]
    index_date: DateArray

    @property
    def attended(self) -> BoolArray:
        """Whether each visit is attended, shape ``(n, v)``."""
        return np.asarray(np.arange(self.visit_day.shape[1]) <= self.last_visit[:, None])


def draw_last_visit(arm: IntArray, assessed: IntArray, random: np.random.Generator) -> IntArray:
    """Give each patient a last attended visit so that every arm has exactly the assessed numbers at each visit.

    Parameters
    ----------
    arm
        Position of each patient's arm, shape ``(n,)``.
    assessed
        Patients assessed per arm and visit, shape ``(arms, v)``, never increasing along an arm.
    random
        Stream to draw from; who leaves does not depend on anything else.
    """
    visits = assessed.shape[1]
    last = np.empty(len(arm), dtype=np.int64)
    for position, numbers in enumerate(assessed):
        members = np.flatnonzero(arm == position)
        leaving = -np.diff(np.concatenate([[len(members)], numbers, [0]]))
        last[random.permutation(members)] = np.repeat(np.arange(-1, visits), leaving)
    return last


def draw_last_visit_by_chance(arm: IntArray, share_assessed: FloatArray, random: np.random.Generator) -> IntArray:
    """Give each patient a last attended visit so that the assessed shares of an arm are met in expectation.

    Parameters
    ----------
    arm
        Position of each patient's arm, shape ``(n,)``.
    share_assessed
        Share of the arm assessed at each visit, shape ``(arms, v)``, never increasing along an arm.
    random
        Stream to draw from.
    """
    uniform = random.random(len(arm))
    return np.asarray((uniform[:, None] < share_assessed[arm]).sum(axis=1) - 1, dtype=np.int64)


def draw_attendance(
    last: IntArray,
    arm: IntArray,
    tacrolimus: BoolArray,
    months: IntArray,
    hazard_ratio: FloatArray,
    parts: PatientModel,
    random: np.random.Generator,
) -> Attendance:
    """Draw visit days, end of follow-up and index dates.

    Early ends are the data lock (the index date follows from it), loss to follow-up, or death; deaths happen among
    those who leave, at the borrowed rate over all person-time of the interval.

    Parameters
    ----------
    last
        Position of each patient's last attended visit, -1 for day 0, shape ``(n,)``.
    arm
        Position of each patient's arm, shape ``(n,)``.
    tacrolimus
        Whether the patient takes tacrolimus, shape ``(n,)``: index dates then lie later, the log density ratio per
        calendar year being the assignment model's coefficient.
    months
        Months of the scheduled visits after day 0, shape ``(v,)``.
    hazard_ratio
        Relative hazard of death, shape ``(n,)``.
    parts
        Patient model; its calendar, course and assignment parts are used.
    random
        Stream to draw from.
    """
    model, course = parts.calendar, parts.course
    size, visits = len(arm), len(months)
    nominal = np.rint(months * DAYS_PER_MONTH).astype(np.int64)
    window = np.asarray(model.visit_window_days, dtype=np.int64)
    jitter = np.clip(
        np.rint(random.normal(0.0, window * model.visit_jitter_sd, (size, visits))), -window, window
    ).astype(np.int64)
    visit_day = nominal + jitter
    completed = last == visits - 1
    starts = np.where(last < 0, 0, np.take_along_axis(visit_day, np.maximum(last, 0)[:, None], axis=1)[:, 0])
    following = np.minimum(last + 1, visits - 1)
    latest = np.where(completed, nominal[-1] + window[-1], (nominal - window)[following] - 1)
    earliest = starts + _SHORTEST_STAY
    end = np.where(
        completed, latest, earliest + np.floor(random.random(size) * (latest - earliest + 1)).astype(np.int64)
    )

    reason = np.where(random.random(size) < model.lost_share, EndReason.LOST.value, EndReason.DATA_LOCK.value)
    dies = random.random(size) < _death_probability(last, completed, latest - starts, arm, hazard_ratio, course)
    reason = np.where(completed, EndReason.COMPLETED.value, np.where(dies, EndReason.DEATH.value, reason))
    lock = np.datetime64(model.data_lock, "D")
    first = np.datetime64(f"{model.first_index_year}-01-01", "D")
    span = (lock - first).astype(np.int64) - end
    tilt = np.where(tacrolimus, parts.assignment.calendar_year, 0.0) / 365.25
    drawn = first + _truncated_exponential(random.random(size), tilt, span).astype("timedelta64[D]")
    index_date = np.where(reason == EndReason.DATA_LOCK.value, lock - end.astype("timedelta64[D]"), drawn)
    return Attendance(last, visit_day, end, reason, index_date)


def _death_probability(
    last: IntArray,
    completed: BoolArray,
    interval_days: IntArray,
    arm: IntArray,
    hazard_ratio: FloatArray,
    course: CourseModel,
) -> FloatArray:
    """Spread the deaths expected over everybody's time in an interval over the patients who leave in it."""
    probability = np.zeros(len(last))
    for position in np.unique(arm):
        for band in np.unique(last[(arm == position) & ~completed]):
            leavers = (arm == position) & (last == band)
            at_risk = int(((arm == position) & (last >= band)).sum())
            expected = course.death_rate / 100 * at_risk * interval_days[leavers].mean() / 365.25
            weight = hazard_ratio[leavers]
            probability[leavers] = np.minimum(expected * weight / weight.sum(), 0.9)
    return probability


def _truncated_exponential(uniform: FloatArray, tilt: FloatArray, span: IntArray) -> IntArray:
    """Draw whole days in ``0..span`` with density proportional to ``exp(tilt * day)``."""
    growth = np.expm1(tilt * span)
    flat = np.abs(growth) < 1e-12
    safe_tilt, safe_growth = np.where(flat, 1.0, tilt), np.where(flat, 1.0, growth)
    day = np.where(flat, uniform * span, np.log1p(uniform * safe_growth) / safe_tilt)
    return np.clip(np.floor(day), 0, span).astype(np.int64)
