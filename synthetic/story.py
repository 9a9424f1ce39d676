"""Everything that is drawn for an exact cohort, before it is laid out as tables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from cohort.codes import Event
from cohort.definitions import KDIGO_2012, KIM2025
from cohort.errors import CalibrationError
from cohort.record import Claim, Measure, Study
from cohort.seeds import SeedTree
from synthetic.assignment import AssignedBaseline, draw_assigned
from synthetic.calendar import Attendance, Leaving, attendance_by_count
from synthetic.calibrate import Calibration
from synthetic.coarse import NoiseSource
from synthetic.course import CourseNoise, draw_noise, poor_outcome_hazard_ratio
from synthetic.cuts import rank_positions
from synthetic.design import Design
from synthetic.events import EventRows, adverse_event_rows, doubling_rows, first_day, join_events, renal_rows
from synthetic.exact_course import walk_to_counts
from synthetic.findings import contradicts_print
from synthetic.missing import miss_by_count, missing_driver, retained
from synthetic.model import PatientModel
from synthetic.observed import ObservedCourse, observe
from synthetic.treatments import (
    Stops,
    Treatment,
    draw_monotherapy,
    draw_treatment,
    planned_tacrolimus_stop,
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
class ExactStory:
    """A story that fits print; ``course_draws`` counts the courses drawn until one contradicted no finding."""

    story: Story
    course_draws: int


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


def draw_exact_story(
    study: Study, design: Design, calibration: Calibration, model: PatientModel, tree: SeedTree
) -> ExactStory:
    """Draw baseline and arms once, then courses until none of the study's findings is contradicted.

    Raises
    ------
    CalibrationError
        If the model cannot meet the print.
    """
    assigned = draw_assigned(
        design, model, tree.child("baseline").generator(), as_printed=prints_comparison(study, design)
    )
    random = tree.child("treatment").generator()
    alone = draw_monotherapy(assigned.tacrolimus, design.alone, random)
    treatment = draw_treatment(assigned.baseline, assigned.tacrolimus, alone, model.treatment, random)
    for draw in range(1, _MOST_COURSES + 1):
        story = _draw_course(design, calibration, assigned, treatment, model, tree.child("course", draw))
        if story is not None and not contradicts_print(study, story):
            return ExactStory(story, draw)
    raise CalibrationError(
        f"none of {_MOST_COURSES} courses has the printed flares and no significant difference that print denies",
        where=f"study {study.name}: flares, poor outcomes, adverse events or laboratory values",
        remedy="lower course.flare_hr_severity, course.poor_outcome_hr_severity, assignment.strength, or bring "
        "effect.flare_hazard_ratio nearer to 1",
    )


def prints_comparison(study: Study, design: Design) -> bool:
    """Return whether the study says that pure class V differs between two arms and the other covariates do not."""
    said = {(target.measure, target.claim) for target in study.targets if target.superseded_by is None}
    balance = (Measure.BASELINE_BALANCE, Claim.NO_SIGNIFICANT_DIFFERENCE)
    return len(design.sizes) == 2 and {balance, (Measure.CLASS_V, Claim.HIGHER)} <= said


def leaving_of(assigned: AssignedBaseline, model: PatientModel) -> Leaving:
    """Return what decides when patients leave."""
    slope = np.log(model.calendar.leaving_hr_severity)
    return Leaving(
        assigned.arm,
        assigned.tacrolimus,
        poor_outcome_hazard_ratio(assigned.baseline, model.course),
        np.exp(slope * assigned.baseline.latent_severity),
    )


def _draw_course(
    design: Design,
    calibration: Calibration,
    assigned: AssignedBaseline,
    treatment: Treatment,
    model: PatientModel,
    tree: SeedTree,
) -> Story | None:
    """Draw one course; ``None`` if no hazard of flare gives the printed number of patients with a flare."""
    baseline, counts = assigned.baseline, design.counts
    kept = retained(counts.assessed, design.sizes, model.missing)
    attendance = attendance_by_count(
        leaving_of(assigned, model),
        kept,
        design.months,
        calibration.mortality,
        model,
        tree.child("calendar").generator(),
    )
    noise = draw_noise(baseline, len(design.months), model.course, tree.child("response").generator())
    missed = miss_by_count(
        missing_driver(baseline, noise, model.missing),
        assigned.arm,
        attendance.last_visit,
        counts.assessed,
        tree.child("missed").generator(),
    )
    attendance = replace(attendance, missed=missed)
    walked = walk_to_counts(
        noise, calibration.hazards(baseline, assigned.arm, model), attendance, assigned.arm, design, model
    )
    if walked is None:
        return None
    random = tree.child("position").generator()
    course = observe(walked, rank_positions(walked.state, walked.score, assigned.arm, random), attendance)
    ids = patient_ids(design, 1, design.total, design.total)
    return finish_story(ids, assigned, treatment, FollowUp(attendance, noise, course), design, model, tree)


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
    writer = VisitWriter(baseline, model, KIM2025, KDIGO_2012, source(tree.child("laboratory").generator()))
    visits, flares = write_visits(writer, attendance, course, design.months, eskd_day)
    on_tacrolimus = planned_tacrolimus_stop(treatment, attendance.follow_up_days, eskd_day)

    def adverse_stream(event: Event) -> NoiseSource:
        return source(tree.child("adverse", event.value).generator())

    adverse = join_events(
        adverse_event_rows(baseline, attendance, on_tacrolimus, eskd_day, model.course, adverse_stream)
    )
    stops = settle_stops(treatment, attendance, course, eskd_day, first_day(adverse, Event.NEPHROTOXICITY, len(ids)))
    events = join_events([*renal_rows(flares, eskd_day, attendance), doubling_rows(visits, baseline), adverse])
    dosing = source(tree.child("prednisolone").generator())
    prednisolone = prednisolone_dose(visits, course.flare_day, model.treatment, dosing)
    return Story(ids, assigned, attendance, follow_up.noise, course, visits, treatment, stops, prednisolone, events)
