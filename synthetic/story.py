"""Everything that happens to patients, before it is laid out as tables."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from cohort.codes import Event
from cohort.definitions import KDIGO_2012, KIM2025
from cohort.response import IntArray
from cohort.seeds import SeedTree
from synthetic.assignment import AssignedBaseline
from synthetic.calendar import Attendance, Leaving
from synthetic.coarse import NoiseSource, Source, as_it_is
from synthetic.course import Course, CourseNoise, poor_outcome_hazard_ratio
from synthetic.design import Design
from synthetic.events import EventRows, adverse_event_rows, doubling_rows, first_day, join_events, renal_rows
from synthetic.gaps import LaboratoryGaps, draw_gaps
from synthetic.groups import Record, join_patients, numbered_anew, patients_of, select_patients
from synthetic.model import PatientModel
from synthetic.observed import ObservedCourse
from synthetic.treatments import (
    Stops,
    Treatment,
    planned_inhibitor_stop,
    prednisolone_dose,
    settle_stops,
)
from synthetic.visits import FlareRows, VisitRows, VisitWriter, write_visits

RowRecord = TypeVar("RowRecord", VisitRows, EventRows)


@dataclass(frozen=True, slots=True)
class FollowUp:
    """Attendance, the noise a course was walked from, and what of the course is observed.

    ``walked`` is the whole course, if it was walked at the calibrated thresholds.
    """

    attendance: Attendance
    noise: CourseNoise
    course: ObservedCourse
    walked: Course | None = None


@dataclass(frozen=True, slots=True)
class RecordedVisits:
    """All visits, the flares they show, and which laboratory values are missing."""

    visits: VisitRows
    flares: FlareRows
    gaps: LaboratoryGaps

    def only(self, patients: IntArray, size: int) -> RecordedVisits:
        """Return the visits of some ``patients`` among ``size``, these numbered anew."""
        number = numbered_anew(patients, size)
        rows, flares = (np.flatnonzero(number[who] >= 0) for who in (self.visits.patient, self.flares.patient))
        visits, shown = select_patients(self.visits, rows), select_patients(self.flares, flares)
        return RecordedVisits(
            replace(visits, patient=number[visits.patient]),
            replace(shown, patient=number[shown.patient]),
            select_patients(self.gaps, rows),
        )


@dataclass(frozen=True, slots=True)
class Story:
    """What happens to every patient of a cohort or of one block of it; ``ids`` are the patients' identifiers.

    ``walked`` is the course as nobody observes it, if it was walked at the calibrated thresholds.
    """

    ids: npt.NDArray[np.bytes_]
    assigned: AssignedBaseline
    attendance: Attendance
    noise: CourseNoise
    course: ObservedCourse
    visits: VisitRows
    treatment: Treatment
    stops: Stops
    prednisolone: npt.NDArray[np.float64]
    events: EventRows
    gaps: LaboratoryGaps
    walked: Course | None = None


def join_stories(stories: list[Story], numbers: list[IntArray], per_replicate: int) -> Story:
    """Join stories of different exact replicates, in the order of their ``numbers``, each of shape ``(a,)``."""
    if len(stories) == 1:
        return stories[0]
    order = np.argsort(np.concatenate(numbers))
    patients = patients_of(order, per_replicate)
    place = numbered_anew(patients, len(patients))
    first = np.cumsum([0, *(len(story.ids) for story in stories)])

    def in_order(records: list[RowRecord]) -> tuple[RowRecord, IntArray]:
        """Join records of which each element belongs to a patient."""
        owner = place[np.concatenate([record.patient + start for record, start in zip(records, first, strict=False)])]
        rows = np.argsort(owner, kind="stable")
        return replace(select_patients(join_patients(records), rows), patient=owner[rows]), rows

    def of_patients(records: list[Record], axis: int = -1) -> Record:
        return select_patients(join_patients(records, axis), patients, axis)

    visits, rows = in_order([story.visits for story in stories])
    return Story(
        ids=np.concatenate([story.ids for story in stories])[patients],
        assigned=join_patients([story.assigned for story in stories]).replicates(order, per_replicate),
        attendance=of_patients([story.attendance for story in stories], axis=0),
        noise=of_patients([story.noise for story in stories], axis=0),
        course=of_patients([story.course for story in stories], axis=0),
        visits=visits,
        treatment=of_patients([story.treatment for story in stories]),
        stops=of_patients([story.stops for story in stories]),
        prednisolone=np.concatenate([story.prednisolone for story in stories])[rows],
        events=in_order([story.events for story in stories])[0],
        gaps=select_patients(join_patients([story.gaps for story in stories]), rows),
    )


def leaving_of(assigned: AssignedBaseline, model: PatientModel) -> Leaving:
    """Return what decides when patients leave."""
    slope = np.log(model.calendar.leaving_hr_severity)
    return Leaving(
        assigned.arm,
        assigned.tacrolimus,
        poor_outcome_hazard_ratio(assigned.baseline, model.course),
        np.exp(slope * assigned.baseline.latent_severity),
    )


def patient_ids(design: Design, first: int, size: int, total: int) -> npt.NDArray[np.bytes_]:
    """Return identifiers of patients ``first`` to ``first + size - 1`` of ``total``, all of one width."""
    digits = max(3, len(str(total)))
    prefix = np.frombuffer(f"{design.study}-".encode(), dtype=np.uint8)
    text = np.empty((size, len(prefix) + digits), dtype=np.uint8)
    text[:, : len(prefix)] = prefix
    number = np.arange(first, first + size)
    for place in range(1, digits + 1):
        number, digit = np.divmod(number, 10)
        text[:, -place] = ord("0") + digit
    return text.view(f"S{text.shape[1]}")[:, 0]


def replicate_ids(design: Design, first: int, replicates: int, total: int) -> npt.NDArray[np.bytes_]:
    """Return identifiers of the patients of replicates ``first`` to ``first + replicates - 1`` of ``total``."""
    digits = max(4, len(str(total + replicates)))
    prefix = [f"{design.study}-{number:0{digits}d}" for number in range(first, first + replicates)]
    width = len(prefix[0])
    text = np.empty((replicates, design.total, width + 4), dtype=np.uint8)
    text[:, :, :width] = np.frombuffer("".join(prefix).encode(), dtype=np.uint8).reshape(replicates, 1, width)
    patients = b"".join(b"-%03d" % number for number in range(1, design.total + 1))
    text[:, :, width:] = np.frombuffer(patients, dtype=np.uint8).reshape(1, design.total, 4)
    return text.reshape(-1, width + 4).view(f"S{width + 4}")[:, 0]


def adverse_events(
    assigned: AssignedBaseline,
    treatment: Treatment,
    follow_up: FollowUp,
    model: PatientModel,
    tree: SeedTree,
    source: Source = as_it_is,
) -> EventRows:
    """Draw the adverse events of a course.

    ``source`` makes of a generator what is drawn from, here and below.
    """
    days, eskd_day = follow_up.attendance.follow_up_days, follow_up.course.failure_day
    on_inhibitor = planned_inhibitor_stop(treatment, days, eskd_day)

    def stream(event: Event) -> NoiseSource:
        return source(tree.child("adverse", event.value).generator())

    return join_events(
        adverse_event_rows(assigned.baseline, follow_up.attendance, on_inhibitor, eskd_day, model.course, stream)
    )


def record_visits(
    assigned: AssignedBaseline,
    follow_up: FollowUp,
    design: Design,
    model: PatientModel,
    tree: SeedTree,
    source: Source = as_it_is,
) -> RecordedVisits:
    """Write the visits of a course with their laboratory values, and draw which of these are missing."""
    course = follow_up.course
    tested, untested = (source(tree.child(name).generator()) for name in ("laboratory", "untested_laboratory"))
    writer = VisitWriter(assigned.baseline, model, KIM2025, KDIGO_2012, tested, untested)
    visits, flares = write_visits(writer, follow_up.attendance, course, design.months, course.failure_day)
    gaps = draw_gaps(visits, assigned.baseline, model.missing, source(tree.child("gaps").generator()))
    return RecordedVisits(visits, flares, gaps)


def finish_story(
    ids: npt.NDArray[np.bytes_],
    assigned: AssignedBaseline,
    treatment: Treatment,
    follow_up: FollowUp,
    adverse: EventRows,
    seen: RecordedVisits,
    model: PatientModel,
    tree: SeedTree,
    source: Source = as_it_is,
) -> Story:
    """Settle when drugs stop, and add doses and all events, to visits and adverse events."""
    baseline, attendance, course = assigned.baseline, follow_up.attendance, follow_up.course
    eskd_day = course.failure_day
    stops = settle_stops(treatment, attendance, course, eskd_day, first_day(adverse, Event.NEPHROTOXICITY, len(ids)))
    renal = renal_rows(seen.flares, eskd_day, attendance)
    events = join_events([*renal, doubling_rows(seen.visits, baseline), adverse])
    dosing = source(tree.child("prednisolone").generator())
    prednisolone = prednisolone_dose(seen.visits, course.flare_day, model.treatment, dosing)
    return Story(
        ids,
        assigned,
        attendance,
        follow_up.noise,
        course,
        seen.visits,
        treatment,
        stops,
        prednisolone,
        events,
        seen.gaps,
        follow_up.walked,
    )
