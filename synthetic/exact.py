"""Exact cohorts, many at a time: each has the printed counts and contradicts no finding that can be computed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from cohort.errors import CalibrationError
from cohort.record import Claim, Measure, Study
from cohort.response import BoolArray, IntArray
from cohort.seeds import SeedTree
from synthetic.assignment import AssignedBaseline, draw_assigned
from synthetic.calendar import attendance_by_count
from synthetic.calibrate import Calibration
from synthetic.coarse import Source, as_it_is
from synthetic.course import NO_DAY, NOT_ASSESSED, Course, draw_noise
from synthetic.cuts import rank_positions
from synthetic.design import Design
from synthetic.events import EventRows, join_events, renal_rows
from synthetic.exact_course import walk_to_counts
from synthetic.findings import Followed, conditioned_measures, events_contradict, mann_whitney_p, visits_contradict
from synthetic.groups import Arms, numbered_anew, patients_of, select_patients
from synthetic.missing import draw_untested, miss_by_count, missing_driver, retained
from synthetic.model import PatientModel
from synthetic.observed import observe
from synthetic.story import (
    FollowUp,
    RecordedVisits,
    Story,
    adverse_events,
    finish_story,
    join_stories,
    leaving_of,
    record_visits,
)
from synthetic.treatments import Treatment, draw_monotherapy, draw_treatment
from synthetic.visits import FlareRows

_MOST_COURSES = 200
_COURSES_AT_ONCE = 8
_FEW = 3
"""A round of courses costs little less than one of this many times as many."""
_POSITION_DRAWS = 20
_CLEARLY_SIMILAR = 0.10
"""Smallest p-value of proteinuria by state and position; the laboratory values themselves are tested at 0.05."""


@dataclass(frozen=True, slots=True)
class ExactStories:
    """``r`` replicates, each with its accepted course; ``course_draws``, shape ``(r,)``, says in which draw it came."""

    story: Story
    course_draws: IntArray


@dataclass(frozen=True, slots=True)
class _Courses:
    """One course of each of ``r`` replicates of ``per_replicate`` patients, before any visit is written.

    Positions within response states are not drawn yet.
    """

    assigned: AssignedBaseline
    treatment: Treatment
    course: Course
    follow_up: FollowUp
    adverse: EventRows
    per_replicate: int

    @property
    def followed(self) -> Followed:
        """What outcomes are compared between."""
        tacrolimus = self.assigned.tacrolimus
        end = self.follow_up.attendance.follow_up_days
        return Followed(tacrolimus, end, len(tacrolimus) // self.per_replicate)

    def events(self) -> EventRows:
        """Return all events but a doubling of creatinine, which visits show; flares have no grade yet."""
        course = self.follow_up.course
        patient, visit = np.nonzero(course.flare_day != NO_DAY)
        flares = FlareRows(patient, course.flare_day[patient, visit], np.ones(len(patient), dtype=np.int64))
        return join_events([*renal_rows(flares, course.failure_day, self.follow_up.attendance), self.adverse])

    def only(self, rows: IntArray) -> _Courses:
        """Return the replicates ``rows``."""
        total = self.per_replicate
        patients = patients_of(rows, total)
        number = numbered_anew(patients, len(self.assigned.arm))
        mine = np.flatnonzero(number[self.adverse.patient] >= 0)
        adverse = select_patients(self.adverse, mine)
        return _Courses(
            self.assigned.replicates(rows, total),
            select_patients(self.treatment, patients),
            select_patients(self.course, patients, axis=0),
            select_patients(self.follow_up, patients, axis=0),
            replace(adverse, patient=number[adverse.patient]),
            total,
        )


def draw_exact_stories(
    study: Study,
    design: Design,
    calibration: Calibration,
    model: PatientModel,
    ids: npt.NDArray[np.bytes_],
    tree: SeedTree,
    source: Source = as_it_is,
) -> ExactStories:
    """Draw baseline and arms once, then courses until each replicate contradicts none of the study's findings.

    A course is judged by its flares and events before any visit is written, by its laboratory values before doses are
    drawn, so that little is spent on those that are rejected.

    Parameters
    ----------
    study, design, calibration, model
        What to meet, and the constants of the patient model.
    ids
        Identifiers, replicate by replicate; their number says how many replicates are drawn.
    tree
        Node of the seed tree.
    source
        Makes of a generator what laboratory values, doses and adverse events are drawn from.

    Raises
    ------
    CalibrationError
        If the model cannot meet the print.
    """
    total = design.total
    replicates = len(ids) // total
    assigned = draw_assigned(
        design, replicates, model, tree.child("baseline"), source, as_printed=prints_comparison(study, design)
    )
    random = tree.child("treatment").generator()
    alone = draw_monotherapy(assigned.tacrolimus, design.alone, replicates, random)
    treatment = draw_treatment(assigned, design, alone, model, random)
    waiting, course_draws = np.arange(replicates), np.zeros(replicates, dtype=np.int64)
    stories: list[Story] = []
    settled: list[IntArray] = []
    for draw in range(1, _MOST_COURSES + 1):
        # Several courses at once for each replicate that still waits, once so few wait that these cost little more.
        rows = np.repeat(waiting, min(_COURSES_AT_ONCE, max(1, replicates // (_FEW * len(waiting)))))
        mine, regimen = assigned.replicates(rows, total), select_patients(treatment, patients_of(rows, total))
        own = tree.child("course", draw)
        courses, met = _draw_courses(design, calibration, mine, regimen, model, own, source)
        accepted = _accepted(study, design, courses, met, rows, model, own, source)
        if accepted is None:
            continue
        courses, seen, numbers = accepted
        names = ids[patients_of(numbers, total)]
        mine, regimen = courses.assigned, courses.treatment
        stories.append(finish_story(names, mine, regimen, courses.follow_up, courses.adverse, seen, model, own, source))
        settled.append(numbers)
        course_draws[numbers] = draw
        waiting = np.setdiff1d(waiting, numbers)
        if not waiting.size:
            return ExactStories(join_stories(stories, settled, total), course_draws)
    raise CalibrationError(
        f"none of {_MOST_COURSES} courses has the printed flares and no significant difference that print denies",
        where=f"study {study.name}: flares, poor outcomes, adverse events or laboratory values",
        remedy="lower course.flare_hr_severity, course.poor_outcome_hr_severity, assignment.strength, or bring "
        "effect.flare_hazard_ratio nearer to 1",
    )


def _accepted(
    study: Study,
    design: Design,
    courses: _Courses,
    met: BoolArray,
    rows: IntArray,
    model: PatientModel,
    tree: SeedTree,
    source: Source,
) -> tuple[_Courses, RecordedVisits, IntArray] | None:
    """Return the first course of each replicate that contradicts nothing, its visits, and which replicates they are.

    ``met`` says which courses have their printed flares, ``rows`` which replicate each is of, both of shape ``(r,)``.
    """
    fitting = np.flatnonzero(met & ~events_contradict(study, courses.followed, courses.events()))
    if not fitting.size:
        return None
    courses, rows = courses.only(fitting), rows[fitting]
    courses = _with_positions(study, design, courses, tree.child("position").generator())
    seen = record_visits(courses.assigned, courses.follow_up, design, model, tree, source)
    fitting = np.flatnonzero(~visits_contradict(study, courses.followed, courses.assigned.baseline, seen))
    numbers, first = np.unique(rows[fitting], return_index=True)
    if not numbers.size:
        return None
    chosen = fitting[first]
    seen = seen.only(patients_of(chosen, design.total), len(rows) * design.total)
    return courses.only(chosen), seen, numbers


def prints_comparison(study: Study, design: Design) -> bool:
    """Return whether the study says that pure class V differs between two arms and the other covariates do not."""
    said = {(target.measure, target.claim) for target in study.targets if target.superseded_by is None}
    balance = (Measure.BASELINE_BALANCE, Claim.NO_SIGNIFICANT_DIFFERENCE)
    return len(design.sizes) == 2 and {balance, (Measure.CLASS_V, Claim.HIGHER)} <= said


def _with_positions(study: Study, design: Design, courses: _Courses, random: np.random.Generator) -> _Courses:
    """Return courses with positions within response states."""
    arms = Arms.of(courses.assigned.arm, design.sizes)
    position = _draw_positions(study, design, courses.course, arms, random)
    observed = replace(courses.follow_up.course, band_position=position)
    return replace(courses, follow_up=replace(courses.follow_up, course=observed))


def _draw_positions(
    study: Study, design: Design, course: Course, arms: Arms, random: np.random.Generator
) -> npt.NDArray[np.float64]:
    """Draw positions within response states, again where proteinuria at the last visit would contradict print.

    Whether laboratory values are similar between the arms at the last visit, as print may say, is mostly a matter of
    these positions, since the states are counted: looked at here, before laboratory values are written, fewer courses
    are drawn in vain.
    """
    position = rank_positions(course.state, course.score, arms, random)
    if Measure.LABORATORY_VALUES not in conditioned_measures(study):
        return position
    total, treated = design.total, design.tacrolimus[arms.arm()]
    state, score = course.state[:, -1], course.score[:, -1]

    def dissimilar(rows: IntArray) -> IntArray:
        patients = patients_of(rows, total)
        seen = np.flatnonzero(state[patients] != NOT_ASSESSED)
        who = patients[seen]
        return rows[
            mann_whitney_p(position[who, -1] - state[who], treated[who], seen // total, len(rows)) < _CLEARLY_SIMILAR
        ]

    poor = dissimilar(np.arange(arms.replicates))
    for _ in range(_POSITION_DRAWS):
        if not poor.size:
            break
        patients = patients_of(poor, total)
        anew = rank_positions(state[patients, None], score[patients, None], arms.only(poor), random)
        position[patients, -1] = anew[:, 0]
        poor = dissimilar(poor)
    return position


def _draw_courses(
    design: Design,
    calibration: Calibration,
    assigned: AssignedBaseline,
    treatment: Treatment,
    model: PatientModel,
    tree: SeedTree,
    source: Source,
) -> tuple[_Courses, BoolArray]:
    """Draw one course of every replicate; say which replicates have their printed flares."""
    baseline, counts = assigned.baseline, design.counts
    arms = Arms.of(assigned.arm, design.sizes)
    kept = retained(counts.assessed, design.sizes, model.missing)
    attendance = attendance_by_count(
        leaving_of(assigned, model),
        arms,
        kept,
        design.months,
        calibration.mortality,
        model,
        tree.child("calendar").generator(),
    )
    noise = draw_noise(baseline, len(design.months), model.course, tree.child("response").generator())
    missed = miss_by_count(
        missing_driver(baseline, noise, model.missing),
        arms,
        attendance.last_visit,
        counts.assessed,
        tree.child("missed").generator(),
    )
    untested = draw_untested(missed, model.missing, tree.child("untested").generator())
    attendance = replace(attendance, missed=missed, untested=untested)
    hazards = calibration.hazards(baseline, assigned.arm, model)
    walked = walk_to_counts(noise, hazards, attendance, arms, design, model)
    follow_up = FollowUp(attendance, noise, observe(walked.course, np.zeros_like(walked.course.score), attendance))
    adverse = adverse_events(assigned, treatment, follow_up, model, tree, source)
    return _Courses(assigned, treatment, walked.course, follow_up, adverse, design.total), walked.meets_flares
