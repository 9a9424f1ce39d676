"""Everything that happens to patients, before it is laid out as tables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cohort.codes import Event
from cohort.definitions import KDIGO_2012, KIM2025
from cohort.seeds import SeedTree
from synthetic.assignment import AssignedBaseline
from synthetic.calendar import Attendance, Leaving
from synthetic.coarse import NoiseSource
from synthetic.course import CourseNoise, poor_outcome_hazard_ratio
from synthetic.design import Design
from synthetic.events import EventRows, adverse_event_rows, doubling_rows, first_day, join_events, renal_rows
from synthetic.gaps import LaboratoryGaps, draw_gaps
from synthetic.model import PatientModel
from synthetic.observed import ObservedCourse
from synthetic.treatments import (
    Stops,
    Treatment,
    planned_inhibitor_stop,
    prednisolone_dose,
    settle_stops,
)
from synthetic.visits import VisitRows, VisitWriter, write_visits

_MOST_COURSES = 200


@dataclass(frozen=True, slots=True)
class FollowUp:
    """Attendance, the noise a course was walked from, and what of the course is observed."""

    attendance: Attendance
    noise: CourseNoise
    course: ObservedCourse


@dataclass(frozen=True, slots=True)
class Story:
    """What happens to every patient of a cohort or of one block of it; ``ids`` are the patients' identifiers."""

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


def finish_story(
    ids: npt.NDArray[np.bytes_],
    assigned: AssignedBaseline,
    treatment: Treatment,
    follow_up: FollowUp,
    design: Design,
    model: PatientModel,
    tree: SeedTree,
    source: Callable[[np.random.Generator], NoiseSource] = lambda generator: generator,
) -> Story:
    """Add laboratory values and events to a course.

    ``source`` makes of a generator what laboratory values, doses and adverse events are drawn from.
    """
    baseline, attendance, course = assigned.baseline, follow_up.attendance, follow_up.course
    eskd_day = course.failure_day
    tested, untested = (source(tree.child(name).generator()) for name in ("laboratory", "untested_laboratory"))
    writer = VisitWriter(baseline, model, KIM2025, KDIGO_2012, tested, untested)
    visits, flares = write_visits(writer, attendance, course, design.months, eskd_day)
    on_inhibitor = planned_inhibitor_stop(treatment, attendance.follow_up_days, eskd_day)

    def adverse_stream(event: Event) -> NoiseSource:
        return source(tree.child("adverse", event.value).generator())

    adverse = join_events(
        adverse_event_rows(baseline, attendance, on_inhibitor, eskd_day, model.course, adverse_stream)
    )
    stops = settle_stops(treatment, attendance, course, eskd_day, first_day(adverse, Event.NEPHROTOXICITY, len(ids)))
    events = join_events([*renal_rows(flares, eskd_day, attendance), doubling_rows(visits, baseline), adverse])
    dosing = source(tree.child("prednisolone").generator())
    prednisolone = prednisolone_dose(visits, course.flare_day, model.treatment, dosing)
    gaps = draw_gaps(visits, baseline, model.missing, source(tree.child("gaps").generator()))
    return Story(
        ids, assigned, attendance, follow_up.noise, course, visits, treatment, stops, prednisolone, events, gaps
    )
