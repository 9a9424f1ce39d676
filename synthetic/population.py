"""Population mode: blocks of patients whose expected response rates are the published ones."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cohort.record import Study
from cohort.response import IntArray
from cohort.seeds import SeedTree
from synthetic.assignment import AssignedBaseline, assignment_logit
from synthetic.baseline import draw_baseline
from synthetic.calendar import draw_attendance, draw_last_visit_by_chance
from synthetic.calibrate import Calibration, ThresholdCut
from synthetic.course import COMPLETE, PARTIAL, draw_noise, flare_hazard, walk_course
from synthetic.events import poor_outcome_hazard_ratio
from synthetic.model import PatientModel
from synthetic.observed import observe
from synthetic.story import FollowUp, Story, arm_sizes, finish_story, monotherapy, patient_ids
from synthetic.treatments import draw_treatment

FloatArray = npt.NDArray[np.float64]

_SCORE_SCALE = 0.8
"""Distance in score over which a position moves by 1 - 1/e."""
BLOCK = 8192
"""Patients of a block. A block is drawn whole, even when only its first patients are used."""


def draw_block(
    study: Study, calibration: Calibration, model: PatientModel, tree: SeedTree, block: int, total: int
) -> Story:
    """Draw one block of a population.

    Parameters
    ----------
    study
        Study with one arm on tacrolimus and one not.
    calibration
        Constants of the study and model.
    model
        Patient model.
    tree
        Node of the population; the block has a branch of its own.
    block
        Number of the block, from 0.
    total
        Patients of the whole population, for the width of identifiers.
    """
    own = tree.child("block", block)
    months = np.asarray(study.visit_months, dtype=np.int64)
    assigned = _assign(calibration, model, own)
    baseline, treated = assigned.baseline, assigned.tacrolimus
    arm = np.where(treated, 0, 1)
    calendar = own.child("calendar").generator()
    attendance = draw_attendance(
        draw_last_visit_by_chance(arm, calibration.share_assessed, calendar),
        arm,
        treated,
        months,
        poor_outcome_hazard_ratio(baseline, model.course),
        model,
        calendar,
    )
    noise = draw_noise(baseline, len(months), model.course, own.child("response").generator())
    cut = ThresholdCut(calibration.no_response_below[arm], calibration.complete_from[arm])
    walked = walk_course(noise, flare_hazard(baseline, model.course), attendance.visit_day, cut, model.course)
    position = threshold_positions(walked.state, walked.score, cut)
    random = own.child("treatment").generator()
    alone = random.random(BLOCK) < monotherapy(study) / arm_sizes(study)[0]
    treatment = draw_treatment(baseline, treated, alone & treated, model.treatment, random)
    follow_up = FollowUp(attendance, noise, observe(walked, position, attendance))
    ids = patient_ids(study, block * BLOCK + 1, BLOCK, total)
    return finish_story(ids, assigned, treatment, follow_up, months, model, own)


def threshold_positions(state: IntArray, score: FloatArray, cut: ThresholdCut) -> FloatArray:
    """Return each patient's position within the response state, near 0 the best and near 1 the worst, shape ``(n, v)``.

    A complete responder is placed by the distance above the threshold of complete response, a partial responder by the
    distance below it, a non-responder by the distance below the threshold of no response.
    """
    above = np.exp(-np.maximum(score - cut.complete_from, 0.0) / _SCORE_SCALE)
    below_complete = -np.expm1(-np.maximum(cut.complete_from - score, 0.0) / _SCORE_SCALE)
    below_response = -np.expm1(-np.maximum(cut.no_response_below - score, 0.0) / _SCORE_SCALE)
    return np.select([state == COMPLETE, state == PARTIAL], [above, below_complete], below_response)


def _assign(calibration: Calibration, model: PatientModel, own: SeedTree) -> AssignedBaseline:
    from scipy.special import expit

    baseline = draw_baseline(BLOCK, model.baseline, model.laboratory, own.child("baseline").generator())
    logit = calibration.intercept + assignment_logit(baseline, model.assignment)
    treated = own.child("assignment").generator().random(BLOCK) < expit(logit)
    return AssignedBaseline(baseline, treated, logit, 1)
