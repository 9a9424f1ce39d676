"""When patients are seen, who leaves when and why: in exact numbers, or by chance at calibrated constants."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cohort.codes import DAYS_PER_MONTH, EndReason
from cohort.columns import CodeArray, position_of
from cohort.response import BoolArray, IntArray
from synthetic.course import NO_DAY
from synthetic.groups import Arms
from synthetic.model import CalendarModel, CourseModel, PatientModel
from synthetic.mortality import Mortality

FloatArray = npt.NDArray[np.float64]
DateArray = npt.NDArray[np.datetime64]

_COMPLETED, _DEATH, _LOST, _DATA_LOCK = (
    position_of(reason) for reason in (EndReason.COMPLETED, EndReason.DEATH, EndReason.LOST, EndReason.DATA_LOCK)
)
_SHORTEST_STAY = 7
_LARGEST_WINDOW = 0.45
"""Largest window around a visit as a share of the time to the nearest other visit, so that visits keep their order."""


@dataclass(frozen=True, slots=True)
class Attendance:
    """Visits and follow-up of ``n`` patients over ``v`` scheduled visits after day 0.

    ``last_visit`` is the position of the last visit under observation (-1: only day 0). Of shape ``(n, v)``:
    ``visit_day``, the day each visit takes or would take place; ``missed``, whether it is missed by a patient who
    stays under observation; ``untested``, whether a missed visit took place without kidney tests. ``death_day`` is the
    day of death, observed or not, or ``NO_DAY``; ``end_reason`` holds positions in its vocabulary.
    """

    last_visit: IntArray
    visit_day: IntArray
    missed: BoolArray
    untested: BoolArray
    follow_up_days: IntArray
    end_reason: CodeArray
    death_day: IntArray
    index_date: DateArray

    @property
    def attended(self) -> BoolArray:
        """Whether each visit is attended, shape ``(n, v)``."""
        observed = np.arange(self.visit_day.shape[1])[:, None] <= self.last_visit
        return np.asarray(observed.T & ~self.missed)


@dataclass(frozen=True, slots=True)
class Schedule:
    """Scheduled visits after day 0: nominal day and largest distance from it in days, each of shape ``(v,)``."""

    day: IntArray
    window: IntArray


@dataclass(frozen=True, slots=True)
class Leaving:
    """What decides when ``n`` patients leave, each of shape ``(n,)``.

    ``arm`` is a position, ``death`` and ``early`` are relative hazards of death and of leaving early.
    """

    arm: IntArray
    tacrolimus: BoolArray
    death: FloatArray
    early: FloatArray


def schedule(months: IntArray, model: CalendarModel) -> Schedule:
    """Return the schedule of visits at ``months`` after day 0, shape ``(v,)``."""
    day = np.rint(months * DAYS_PER_MONTH).astype(np.int64)
    window = np.interp(months, model.visit_window_months, model.visit_window_days)
    gaps = np.diff(np.concatenate([[0], day, [2 * day[-1]]]))
    nearest = np.minimum(gaps[:-1], gaps[1:])
    return Schedule(day, np.floor(np.minimum(window, _LARGEST_WINDOW * nearest)).astype(np.int64))


def draw_visit_days(size: int, plan: Schedule, model: CalendarModel, random: np.random.Generator) -> IntArray:
    """Draw the day of each visit around its nominal day, shape ``(size, v)``."""
    # The values of a visit stand together, as they are looked at.
    noise = random.standard_normal((size, len(plan.day))).T
    day = np.empty(noise.shape, dtype=np.int64)
    for visit, (nominal, window) in enumerate(zip(plan.day, plan.window, strict=True)):
        spread = np.rint(noise[visit] * (window * model.visit_jitter_sd))
        day[visit] = nominal + np.clip(spread, -window, window).astype(np.int64)
    return day.T


def attendance_by_count(
    leaving: Leaving,
    arms: Arms,
    numbers: IntArray,
    months: IntArray,
    mortality: Mortality,
    parts: PatientModel,
    random: np.random.Generator,
) -> Attendance:
    """Draw attendance with exactly ``numbers`` patients under observation, shape ``(arms, v)``, nobody missing a visit.

    Deaths happen among those who leave, at the borrowed rate over all person-time of the interval.
    """
    plan = schedule(months, parts.calendar)
    last = _last_visit_by_count(leaving, arms, numbers, random)
    visit_day = draw_visit_days(len(last), plan, parts.calendar, random)
    end, interval = _end_by_last_visit(last, visit_day, plan, random)
    completed = last == len(months) - 1
    reason = _early_reason(len(last), parts.calendar, random)
    dies = random.random(len(last)) < _death_probability(last, interval, leaving, arms, len(months), parts.course)
    reason = np.where(completed, _COMPLETED, np.where(dies, _DEATH, reason))
    later = mortality.day_after(end, visit_day, leaving.death, random)
    death_day = np.where(reason == _DEATH, end, later)
    index_date = _draw_index_dates(reason, end, leaving.tacrolimus, parts, random)
    nobody = np.zeros_like(visit_day, dtype=bool)
    return Attendance(last, visit_day, nobody, nobody, end, reason, death_day, index_date)


def attendance_by_chance(
    leaving: Leaving,
    stays: FloatArray,
    months: IntArray,
    mortality: Mortality,
    parts: PatientModel,
    random: np.random.Generator,
) -> Attendance:
    """Draw attendance at calibrated constants, nobody missing a visit.

    ``stays``, shape ``(arms, v)``, is the probability of not having left by each visit at a relative hazard of one,
    death aside.
    """
    plan = schedule(months, parts.calendar)
    size = len(leaving.arm)
    visit_day = draw_visit_days(size, plan, parts.calendar, random)
    # Who has left by a visit would have at a relative hazard of one at this level of the logarithm.
    with np.errstate(divide="ignore"):
        level, stay = np.log(random.random(size)) / leaving.early, np.log(stays)
    by_leaving = np.count_nonzero(level < stay.T.take(leaving.arm, axis=1), axis=0) - 1
    death_day = mortality.day_after(np.zeros(size, dtype=np.int64), visit_day, leaving.death, random)
    alive = np.where(death_day == NO_DAY, np.iinfo(np.int64).max, death_day)
    left, _ = _end_by_last_visit(by_leaving, visit_day, plan, random)
    last = np.minimum(by_leaving, np.count_nonzero(alive > visit_day.T, axis=0) - 1)
    end = np.minimum(left, alive)
    reason = np.where(by_leaving == len(months) - 1, _COMPLETED, _early_reason(size, parts.calendar, random))
    reason = np.where(alive <= left, _DEATH, reason)
    index_date = _draw_index_dates(reason, end, leaving.tacrolimus, parts, random)
    nobody = np.zeros_like(visit_day, dtype=bool)
    return Attendance(last, visit_day, nobody, nobody, end, reason, death_day, index_date)


def _last_visit_by_count(leaving: Leaving, arms: Arms, numbers: IntArray, random: np.random.Generator) -> IntArray:
    """Give each patient a last visit, exactly ``numbers`` an arm and visit; who is at higher hazard leaves first."""
    visits = numbers.shape[1]
    last = np.empty(len(leaving.arm), dtype=np.int64)
    stays = random.standard_exponential(len(last)) / leaving.early
    for members, kept in zip(arms.members, numbers, strict=True):
        leaves = -np.diff(np.concatenate([[members.shape[1]], kept, [0]]))
        order = np.argsort(stays[members], axis=1, kind="stable")
        last[np.take_along_axis(members, order, axis=1)] = np.repeat(np.arange(-1, visits), leaves)
    return last


def _end_by_last_visit(
    last: IntArray, visit_day: IntArray, plan: Schedule, random: np.random.Generator
) -> tuple[IntArray, IntArray]:
    """Draw the last day under observation of patients who do not die, and the days it was drawn from."""
    completed = last == len(plan.day) - 1
    starts = np.where(last < 0, 0, np.take_along_axis(visit_day, np.maximum(last, 0)[:, None], axis=1)[:, 0])
    following = np.minimum(last + 1, len(plan.day) - 1)
    latest = np.where(completed, plan.day[-1] + plan.window[-1], (plan.day - plan.window)[following] - 1)
    earliest = np.minimum(starts + _SHORTEST_STAY, latest)
    drawn = earliest + np.floor(random.random(len(last)) * (latest - earliest + 1)).astype(np.int64)
    return np.where(completed, latest, drawn), latest - starts


def _early_reason(size: int, model: CalendarModel, random: np.random.Generator) -> CodeArray:
    return np.where(random.random(size) < model.lost_share, _LOST, _DATA_LOCK)


def _draw_index_dates(
    reason: CodeArray,
    end: IntArray,
    tacrolimus: BoolArray,
    parts: PatientModel,
    random: np.random.Generator,
) -> DateArray:
    """Draw index dates; they follow from the end where the data lock is the reason, and else lie later on tacrolimus.

    The log density ratio of tacrolimus per calendar year is the assignment model's coefficient.
    """
    lock = np.datetime64(parts.calendar.data_lock, "D")
    first = np.datetime64(f"{parts.calendar.first_index_year}-01-01", "D")
    last = np.datetime64(f"{parts.recruitment.last_index_year}-12-31", "D")
    span = np.minimum((lock - first).astype(np.int64) - end, (last - first).astype(np.int64))
    slope = parts.assignment.strength * parts.assignment.calendar_year
    tilt = np.where(tacrolimus, slope, 0.0) / 365.25
    drawn = first + _truncated_exponential(random.random(len(end)), tilt, span).astype("timedelta64[D]")
    return np.where(reason == _DATA_LOCK, lock - end.astype("timedelta64[D]"), drawn)


def _death_probability(
    last: IntArray, interval_days: IntArray, leaving: Leaving, arms: Arms, visits: int, course: CourseModel
) -> FloatArray:
    """Spread the deaths expected over everybody's time in an interval over the patients who leave in it."""
    probability = np.zeros(len(last))
    for members in arms.members:
        mine = last[members]
        for band in range(-1, visits - 1):
            leavers = mine == band
            number = leavers.sum(axis=1, keepdims=True)
            at_risk = (mine >= band).sum(axis=1, keepdims=True)
            days = np.where(leavers, interval_days[members], 0).sum(axis=1, keepdims=True) / np.maximum(number, 1)
            weight = np.where(leavers, leaving.death[members], 0.0)
            total = weight.sum(axis=1, keepdims=True)
            expected = course.death_rate / 100 * at_risk * days / 365.25
            share = np.minimum(expected * weight / np.where(number > 0, total, 1.0), 0.9)
            probability[members] += share
    return probability


def _truncated_exponential(uniform: FloatArray, tilt: FloatArray, span: IntArray) -> IntArray:
    """Draw whole days in ``0..span`` with density proportional to ``exp(tilt * day)``."""
    growth = np.expm1(tilt * span)
    flat = np.abs(growth) < 1e-12
    safe_tilt, safe_growth = np.where(flat, 1.0, tilt), np.where(flat, 1.0, growth)
    day = np.where(flat, uniform * span, np.log1p(uniform * safe_growth) / safe_tilt)
    return np.clip(np.floor(day), 0, span).astype(np.int64)
