"""Events other than renal flares: kidney failure, creatinine doubling and adverse events."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cohort.codes import EndReason, Event, Grade
from cohort.columns import CodeArray, WholeArray, names_of, position_of
from cohort.response import BoolArray, IntArray
from synthetic.baseline import Baseline
from synthetic.calendar import Attendance
from synthetic.coarse import NoiseSource
from synthetic.course import NO_DAY
from synthetic.model import CourseModel
from synthetic.visits import FlareRows, VisitRows

FloatArray = npt.NDArray[np.float64]

_FLARE_GRADES = np.array(
    [-1, *(position_of(grade) for grade in (Grade.MILD, Grade.MODERATE, Grade.SEVERE))], dtype=np.int8
)
_MILD, _MODERATE, _SEVERE = _FLARE_GRADES[1:]
_ALPHABETICAL = np.argsort(np.argsort(names_of(Event)))
_LONGEST = 100_000
"""More than the days of any follow-up, to order by patient and day at once."""


@dataclass(frozen=True, slots=True)
class EventRows:
    """One element per event: position of the patient, day, and positions of code and grade in their vocabularies."""

    patient: WholeArray
    day: WholeArray
    event: CodeArray
    grade: CodeArray


def doubling_rows(visits: VisitRows, baseline: Baseline) -> EventRows:
    """Find the first visit of each patient with a creatinine at least twice that of baseline."""
    doubled = np.flatnonzero(visits.creatinine >= 2 * baseline.creatinine[visits.patient])
    _, first = np.unique(visits.patient[doubled], return_index=True)
    rows = doubled[first]
    return _event_rows(visits.patient[rows], visits.day[rows], Event.CREATININE_DOUBLING, Grade.SEVERE)


def renal_rows(flares: FlareRows, eskd_day: IntArray, attendance: Attendance) -> list[EventRows]:
    """Return renal flares, kidney failures and deaths."""
    failing = np.flatnonzero(eskd_day != NO_DAY)
    dying = np.flatnonzero(attendance.end_reason == position_of(EndReason.DEATH))
    return [
        EventRows(flares.patient, flares.day, _same(Event.RENAL_FLARE, flares.day), _FLARE_GRADES[flares.grade]),
        _event_rows(failing, eskd_day[failing], Event.ESKD, Grade.SEVERE),
        _event_rows(dying, attendance.follow_up_days[dying], Event.DEATH, Grade.FATAL),
    ]


def adverse_event_rows(
    baseline: Baseline,
    attendance: Attendance,
    inhibitor_days: IntArray,
    eskd_day: IntArray,
    model: CourseModel,
    random: Callable[[Event], NoiseSource],
) -> list[EventRows]:
    """Draw adverse events at constant rates, the same in both arms except nephrotoxicity, which needs a calcineurin
    inhibitor.

    Serious infections and herpes zoster may recur; the others are counted once. Nothing falls on or after the last
    day of follow-up; hypertension is not counted as new after kidney failure. ``random`` gives each kind of event a
    stream of its own, so that the rate of one moves no other.
    """
    everybody = np.ones(baseline.size, dtype=bool)
    exposed = attendance.follow_up_days
    before_failure = np.where(eskd_day == NO_DAY, exposed, np.minimum(exposed, eskd_day))
    plan: tuple[tuple[Event, float, BoolArray, IntArray, bool], ...] = (
        (Event.SERIOUS_INFECTION, model.serious_infection_rate, everybody, exposed, True),
        (Event.HERPES_ZOSTER, model.zoster_rate, everybody, exposed, True),
        (Event.CARDIOVASCULAR, model.cardiovascular_rate, everybody, exposed, False),
        (Event.MALIGNANCY, model.malignancy_rate, everybody, exposed, False),
        (Event.NEPHROTOXICITY, model.nephrotoxicity_rate, inhibitor_days > 0, inhibitor_days, False),
        (Event.HYPERTENSION_ONSET, model.hypertension_onset_rate, ~baseline.hypertension, before_failure, False),
        (Event.DIABETES_ONSET, model.diabetes_onset_rate, ~baseline.diabetes, exposed, False),
    )
    return [_draw_events(*item, random(item[0])) for item in plan]


def _draw_events(
    event: Event, rate: float, at_risk: BoolArray, exposed_days: IntArray, recurrent: bool, random: NoiseSource
) -> EventRows:
    number = random.poisson(np.where(at_risk, rate / 100 / 365.25 * exposed_days, 0.0))
    patient = np.repeat(np.arange(len(number)), number)
    day = 1 + np.floor(random.random(len(patient)) * np.maximum(exposed_days[patient] - 1, 0)).astype(np.int64)
    severity = random.random(len(patient))
    key = patient * _LONGEST + day
    order = np.argsort(key, kind="stable")
    same = key[order] if recurrent else patient[order]
    kept = order[np.flatnonzero(np.diff(same, prepend=-1))]
    mild, moderate = (0.0, 0.0) if event is Event.SERIOUS_INFECTION else (0.3, 0.75)
    grade = np.select([severity < mild, severity < moderate], [_MILD, _MODERATE], _SEVERE)
    return EventRows(patient[kept], day[kept], _same(event, kept), grade[kept])


def first_day(events: EventRows, event: Event, size: int) -> IntArray:
    """Return the day of each patient's first such event, or ``NO_DAY``, shape ``(size,)``."""
    chosen = events.event == position_of(event)
    day = np.full(size, np.iinfo(np.int64).max)
    np.minimum.at(day, events.patient[chosen], events.day[chosen])
    return np.where(day == np.iinfo(np.int64).max, NO_DAY, day)


def join_events(parts: list[EventRows]) -> EventRows:
    """Join events, ordered by patient, day and code."""
    joined = EventRows(
        *(np.concatenate([getattr(part, name) for part in parts]) for name in ("patient", "day", "event", "grade"))
    )
    key = (joined.patient * _LONGEST + joined.day) * len(_ALPHABETICAL) + _ALPHABETICAL[joined.event]
    order = np.argsort(key, kind="stable")
    return EventRows(joined.patient[order], joined.day[order], joined.event[order], joined.grade[order])


def _event_rows(patient: WholeArray, day: WholeArray, event: Event, grade: Grade) -> EventRows:
    return EventRows(patient, day, _same(event, patient), _same(grade, patient))


def _same(code: Event | Grade, rows: WholeArray) -> CodeArray:
    """Give each of the rows the same code."""
    return np.full(len(rows), position_of(code), dtype=np.int8)
