"""Everything that is drawn for an exact cohort, before it is laid out as tables."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cohort.codes import Event
from cohort.definitions import KDIGO_2012, KIM2025
from cohort.errors import CalibrationError
from cohort.record import Measure, Study
from cohort.response import IntArray
from cohort.seeds import SeedTree
from synthetic.assignment import AssignedBaseline, draw_assigned
from synthetic.calendar import Attendance, draw_attendance, draw_last_visit
from synthetic.course import CourseNoise, draw_noise, flare_hazard, walk_course
from synthetic.cuts import CountCut, Counts, rank_positions
from synthetic.events import (
    EventRows,
    adverse_event_rows,
    doubling_rows,
    draw_kidney_failure,
    first_day,
    join_events,
    kidney_failure_hazard_ratio,
    poor_outcome_hazard_ratio,
    renal_rows,
)
from synthetic.findings import contradicts_print
from synthetic.model import PatientModel
from synthetic.observed import ObservedCourse, observe
from synthetic.reconstruct import Reconstruction
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

    ids: npt.NDArray[np.str_]
    assigned: AssignedBaseline
    attendance: Attendance
    noise: CourseNoise
    course: ObservedCourse
    visits: VisitRows
    treatment: Treatment
    stops: Stops
    prednisolone: npt.NDArray[np.float64]
    events: EventRows


def draw_exact_story(study: Study, reconstruction: Reconstruction, model: PatientModel, tree: SeedTree) -> ExactStory:
    """Draw baseline and arms once, then courses until none of the study's findings is contradicted.

    Raises
    ------
    CalibrationError
        If the study does not have one arm with and one without tacrolimus, or the model cannot meet the print.
    """
    treated, untreated = arm_sizes(study)
    assigned = draw_assigned(treated, untreated, model, tree.child("baseline").generator())
    random = tree.child("treatment").generator()
    alone = draw_monotherapy(assigned.tacrolimus, monotherapy(study), random)
    treatment = draw_treatment(assigned.baseline, assigned.tacrolimus, alone, model.treatment, random)
    counts = study_counts(study, reconstruction)
    for draw in range(1, _MOST_COURSES + 1):
        story = _draw_course(study, counts, assigned, treatment, model, tree.child("course", draw))
        if not contradicts_print(study, story):
            return ExactStory(story, draw)
    raise CalibrationError(
        f"each of {_MOST_COURSES} courses differs significantly between the arms where print says it does not",
        where="flares, poor outcomes, adverse events or laboratory values",
        remedy="lower the hazard ratios of severity or the confounding",
    )


def _draw_course(
    study: Study,
    counts: Counts,
    assigned: AssignedBaseline,
    treatment: Treatment,
    model: PatientModel,
    tree: SeedTree,
) -> Story:
    months = np.asarray(study.visit_months, dtype=np.int64)
    baseline = assigned.baseline
    arm = np.where(assigned.tacrolimus, 0, 1)
    hazard_ratio = poor_outcome_hazard_ratio(baseline, model.course)
    calendar = tree.child("calendar").generator()
    last = draw_last_visit(arm, counts.assessed, calendar)
    attendance = draw_attendance(last, arm, assigned.tacrolimus, months, hazard_ratio, model, calendar)
    noise = draw_noise(baseline, len(months), model.course, tree.child("response").generator())
    cut = CountCut(counts, arm, attendance.attended)
    walked = walk_course(noise, flare_hazard(baseline, model.course), attendance.visit_day, cut, model.course)
    course = observe(
        walked, rank_positions(walked.state, walked.score, arm, tree.child("position").generator()), attendance
    )
    ids = patient_ids(study, 1, len(arm), len(arm))
    return finish_story(ids, assigned, treatment, FollowUp(attendance, noise, course), months, model, tree)


def patient_ids(study: Study, first: int, size: int, total: int) -> npt.NDArray[np.str_]:
    """Return identifiers of patients ``first`` to ``first + size - 1`` of ``total``."""
    digits = max(3, len(str(total)))
    return np.array([f"{study.name}-{number:0{digits}d}" for number in range(first, first + size)])


def finish_story(
    ids: npt.NDArray[np.str_],
    assigned: AssignedBaseline,
    treatment: Treatment,
    follow_up: FollowUp,
    months: IntArray,
    model: PatientModel,
    tree: SeedTree,
) -> Story:
    """Add kidney failure, laboratory values and events to a course."""
    baseline, attendance, course = assigned.baseline, follow_up.attendance, follow_up.course
    eskd_day = draw_kidney_failure(
        attendance,
        course,
        kidney_failure_hazard_ratio(baseline, model.course),
        model.course,
        tree.child("eskd").generator(),
    )
    writer = VisitWriter(baseline, model, KIM2025, KDIGO_2012, tree.child("laboratory").generator())
    visits, flares = write_visits(writer, attendance, course, months, eskd_day)
    on_tacrolimus = planned_tacrolimus_stop(treatment, attendance.follow_up_days, eskd_day)
    adverse = join_events(
        adverse_event_rows(
            baseline, attendance, on_tacrolimus, eskd_day, model.course, tree.child("adverse").generator()
        )
    )
    stops = settle_stops(treatment, attendance, course, eskd_day, first_day(adverse, Event.NEPHROTOXICITY, len(ids)))
    events = join_events([*renal_rows(flares, eskd_day, attendance), doubling_rows(visits, baseline), adverse])
    prednisolone = prednisolone_dose(visits, course.flare_day, model.treatment, tree.child("prednisolone").generator())
    return Story(ids, assigned, attendance, follow_up.noise, course, visits, treatment, stops, prednisolone, events)


def arm_sizes(study: Study) -> tuple[int, int]:
    """Return the patients of the arm on tacrolimus and of the arm without.

    Raises
    ------
    CalibrationError
        If the study does not have one arm of each.
    """
    treated = [arm.size for arm in study.arms if arm.tacrolimus]
    untreated = [arm.size for arm in study.arms if not arm.tacrolimus]
    if len(treated) != 1 or len(untreated) != 1:
        raise CalibrationError(
            "the patient model takes one arm with and one without tacrolimus",
            where=f"study {study.name}",
            got=f"{len(treated)} with and {len(untreated)} without",
        )
    return treated[0], untreated[0]


def arm_codes(study: Study) -> npt.NDArray[np.str_]:
    """Codes of the arms, the one on tacrolimus first."""
    return np.array([arm.code for arm in sorted(study.arms, key=lambda arm: not arm.tacrolimus)])


def study_counts(study: Study, reconstruction: Reconstruction) -> Counts:
    """Return the reconstructed counts as arrays, the arm on tacrolimus first, one column per scheduled visit."""
    table = reconstruction.counts
    cell = {key: row for row, key in enumerate(zip(table["arm"], table["month"], strict=True))}
    rows = np.array([[cell[arm, month] for month in study.visit_months] for arm in arm_codes(study).tolist()])
    columns = (table[name].to_numpy(dtype=np.int64)[rows] for name in ("assessed", "complete", "partial"))
    return Counts(*columns)


def monotherapy(study: Study) -> int:
    """Patients on tacrolimus without another immunosuppressant, as printed; none if the study does not say."""
    printed = [target.value for target in study.targets if target.measure == Measure.MONOTHERAPY_COUNT]
    return int(printed[0]) if printed and printed[0] else 0
