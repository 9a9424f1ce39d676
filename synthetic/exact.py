"""Exact cohorts, many at a time: each has the printed counts and contradicts no finding that can be computed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from cohort.errors import CalibrationError
from cohort.record import Claim, Measure, Study
from cohort.response import IntArray
from cohort.seeds import SeedTree
from synthetic.assignment import AssignedBaseline, draw_assigned
from synthetic.calendar import attendance_by_count
from synthetic.calibrate import Calibration
from synthetic.coarse import NoiseSource
from synthetic.course import NOT_ASSESSED, Course, draw_noise
from synthetic.cuts import rank_positions
from synthetic.design import Design
from synthetic.exact_course import walk_to_counts
from synthetic.findings import conditioned_measures, contradicts_print, mann_whitney_p
from synthetic.groups import Arms, select_patients
from synthetic.missing import draw_untested, miss_by_count, missing_driver, retained
from synthetic.model import PatientModel
from synthetic.observed import observe
from synthetic.story import FollowUp, Story, finish_story, leaving_of
from synthetic.treatments import Treatment, draw_monotherapy, draw_treatment

_MOST_COURSES = 200
_COURSES_AT_ONCE = 8
_POSITION_DRAWS = 20
_CLEARLY_SIMILAR = 0.10
"""Smallest p-value of proteinuria by state and position; the laboratory values themselves are tested at 0.05."""


@dataclass(frozen=True, slots=True)
class ExactStories:
    """Replicates whose course was accepted in the same draw.

    ``story`` holds the patients of all replicates drawn; ``accepted`` has the rows of those to keep, shape ``(a,)``,
    and ``numbers`` which replicates they are; ``course_draws`` is the number of the draw.
    """

    story: Story
    accepted: IntArray
    numbers: IntArray
    course_draws: int


def draw_exact_stories(
    study: Study,
    design: Design,
    calibration: Calibration,
    model: PatientModel,
    ids: npt.NDArray[np.bytes_],
    tree: SeedTree,
    source: Callable[[np.random.Generator], NoiseSource] = lambda generator: generator,
) -> Iterator[ExactStories]:
    """Draw baseline and arms once, then courses until each replicate contradicts none of the study's findings.

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

    Yields
    ------
    ExactStories
        At least one replicate each; together, every replicate once.

    Raises
    ------
    CalibrationError
        If the model cannot meet the print.
    """
    replicates = len(ids) // design.total
    assigned = draw_assigned(
        design, replicates, model, tree.child("baseline"), as_printed=prints_comparison(study, design)
    )
    random = tree.child("treatment").generator()
    alone = draw_monotherapy(assigned.tacrolimus, design.alone, replicates, random)
    treatment = draw_treatment(assigned, design, alone, model, random)
    waiting = np.arange(replicates)
    for draw in range(1, _MOST_COURSES + 1):
        # Several courses at once for each replicate that still waits, as many as make up for those that do not.
        rows = np.repeat(waiting, min(_COURSES_AT_ONCE, replicates // len(waiting)))
        patients = (rows[:, None] * design.total + np.arange(design.total)).ravel()
        mine, regimen = assigned.replicates(rows, design.total), select_patients(treatment, patients)
        own = tree.child("course", draw)
        story, met = _draw_courses(study, design, calibration, mine, regimen, model, ids[patients], own, source)
        fitting = np.flatnonzero(met & ~contradicts_print(study, story, len(rows)))
        numbers, first = np.unique(rows[fitting], return_index=True)
        if numbers.size:
            yield ExactStories(story, fitting[first], numbers, draw)
        waiting = np.setdiff1d(waiting, numbers)
        if not waiting.size:
            return
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
    state = course.state[:, -1]
    seen = np.flatnonzero(state != NOT_ASSESSED)
    replicate, treated = seen // design.total, design.tacrolimus[arms.arm()[seen]]
    for _ in range(_POSITION_DRAWS):
        worse = position[seen, -1] - state[seen]
        poor = mann_whitney_p(worse, treated, replicate, arms.replicates) < _CLEARLY_SIMILAR
        if not poor.any():
            break
        anew = rank_positions(course.state[:, -1:], course.score[:, -1:], arms, random)[:, 0]
        again = np.repeat(poor, design.total)
        position[again, -1] = anew[again]
    return position


def _draw_courses(
    study: Study,
    design: Design,
    calibration: Calibration,
    assigned: AssignedBaseline,
    treatment: Treatment,
    model: PatientModel,
    ids: npt.NDArray[np.bytes_],
    tree: SeedTree,
    source: Callable[[np.random.Generator], NoiseSource],
) -> tuple[Story, npt.NDArray[np.bool_]]:
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
    course = walked.course
    position = _draw_positions(study, design, course, arms, tree.child("position").generator())
    follow_up = FollowUp(attendance, noise, observe(course, position, attendance))
    return finish_story(ids, assigned, treatment, follow_up, design, model, tree, source), walked.meets_flares
