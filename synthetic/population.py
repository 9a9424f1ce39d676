"""Population mode: blocks of patients whose expected response rates are the published ones."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from cohort.response import IntArray
from cohort.seeds import SeedTree
from synthetic.assignment import AssignedBaseline, arm_probabilities, tacrolimus_logit
from synthetic.baseline import draw_baseline
from synthetic.calendar import Attendance, attendance_by_chance
from synthetic.calibrate import ThresholdCut
from synthetic.coarse import CoarseNoise
from synthetic.course import COMPLETE, PARTIAL, Course, CourseNoise, draw_noise, walk_course
from synthetic.missing import draw_untested, miss_by_chance, missing_driver
from synthetic.observed import ObservedCourse, observe
from synthetic.setting import Setting
from synthetic.story import FollowUp, Story, adverse_events, finish_story, leaving_of, patient_ids, record_visits
from synthetic.treatments import draw_treatment

FloatArray = npt.NDArray[np.float64]

_SCORE_SCALE = 0.8
"""Distance in score over which a position moves by 1 - 1/e."""
BLOCK = 8192
"""Patients of a block. A block is drawn whole, even when only its first patients are used."""


def draw_block(setting: Setting, tree: SeedTree, block: int, total: int) -> Story:
    """Draw one block of a population.

    Parameters
    ----------
    setting
        Design, model and calibrated constants.
    tree
        Node of the population; the block has a branch of its own.
    block
        Number of the block, from 0.
    total
        Patients of the whole population, for the width of identifiers.
    """
    ids = patient_ids(setting.design, block * BLOCK + 1, BLOCK, total)
    return draw_patients(ids, setting, tree.child("block", block))


@dataclass(frozen=True, slots=True)
class Followed:
    """Patients with their arm and who is seen when, before anything is said of their course.

    ``noise`` is what a course is walked from.
    """

    assigned: AssignedBaseline
    attendance: Attendance
    noise: CourseNoise


def draw_patients(ids: npt.NDArray[np.bytes_], setting: Setting, own: SeedTree) -> Story:
    """Draw patients called ``ids`` from the streams below ``own``."""
    design, model = setting.design, setting.model
    followed = follow_patients(len(ids), setting, own)
    assigned = followed.assigned
    random = own.child("treatment").generator()
    alone = random.random(len(ids)) < design.alone / design.sizes[0]
    treatment = draw_treatment(assigned, design, alone & assigned.tacrolimus, model, random)
    course, walked = _courses(followed, assigned.arm, setting)
    follow_up = FollowUp(followed.attendance, followed.noise, course, walked)
    adverse = adverse_events(assigned, treatment, follow_up, model, own, CoarseNoise)
    seen = record_visits(assigned, follow_up, design, model, own, CoarseNoise)
    return finish_story(ids, assigned, treatment, follow_up, adverse, seen, model, own, CoarseNoise)


def follow_patients(size: int, setting: Setting, own: SeedTree) -> Followed:
    """Draw ``size`` patients, their arms, attendance and noise from the streams below ``own``."""
    design, model, calibration = setting.design, setting.model, setting.calibration
    assigned = _assign(size, setting, own)
    baseline = assigned.baseline
    attendance = attendance_by_chance(
        leaving_of(assigned, model),
        calibration.stays,
        design.months,
        calibration.mortality,
        model,
        own.child("calendar").generator(),
    )
    noise = draw_noise(baseline, len(design.months), model.course, own.child("response").generator())
    missed = miss_by_chance(
        missing_driver(baseline, noise, model.missing),
        assigned.arm,
        attendance.last_visit,
        calibration.attends,
        own.child("missed").generator(),
    )
    untested = draw_untested(missed, model.missing, own.child("untested").generator())
    return Followed(assigned, replace(attendance, missed=missed, untested=untested), noise)


def observed_course(followed: Followed, arm: IntArray, setting: Setting) -> ObservedCourse:
    """Return what is observed of the course under ``arm``, each patient's own or another, shape ``(n,)``.

    Attendance stays that of the arm the patient is in.
    """
    return _courses(followed, arm, setting)[0]


def _courses(followed: Followed, arm: IntArray, setting: Setting) -> tuple[ObservedCourse, Course]:
    """Return what is observed of the course under ``arm``, and the course itself."""
    model, cut = setting.model, setting.calibration.cut(arm)
    hazards = setting.calibration.hazards(followed.assigned.baseline, arm, model)
    walked = walk_course(followed.noise, hazards, followed.attendance.visit_day, cut, model.course)
    return observe(walked, threshold_positions(walked.state, walked.score, cut), followed.attendance), walked


def threshold_positions(state: IntArray, score: FloatArray, cut: ThresholdCut) -> FloatArray:
    """Return each patient's position within the response state, near 0 the best and near 1 the worst, shape ``(n, v)``.

    A complete responder is placed by the distance above the threshold of complete response, a partial responder by the
    distance below it, a non-responder by the distance below the threshold of no response.
    """
    complete = state == COMPLETE
    threshold = np.where(complete | (state == PARTIAL), cut.complete_from, cut.no_response_below)
    distance = np.maximum(np.where(complete, score - threshold, threshold - score), 0.0)
    closeness = np.exp(distance / -_SCORE_SCALE)
    return np.where(complete, closeness, 1.0 - closeness)


def _assign(size: int, setting: Setting, own: SeedTree) -> AssignedBaseline:
    design, model = setting.design, setting.model
    noise = CoarseNoise(own.child("baseline", "laboratory").generator())
    baseline = draw_baseline(size, model, own.child("baseline").generator(), noise)
    logit = tacrolimus_logit(baseline, model, randomised=design.randomised)
    probability = arm_probabilities(logit, setting.calibration.intercepts, design.tacrolimus)
    uniform = own.child("assignment").generator().random(size)
    arm = np.count_nonzero(uniform >= np.cumsum(probability.T, axis=0)[:-1], axis=0)
    return AssignedBaseline(baseline, arm, design.tacrolimus[arm], logit, np.ones(1, dtype=np.int64))
