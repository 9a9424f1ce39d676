"""Courses with exactly the printed counts: responders by order statistics, flares by scaling the hazard of the arm."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cohort.response import BoolArray
from synthetic.calendar import Attendance
from synthetic.course import NO_DAY, Course, CourseNoise, Hazards, walk_course
from synthetic.cuts import CountCut
from synthetic.design import Design
from synthetic.groups import Arms
from synthetic.model import PatientModel
from synthetic.observed import observe

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ExactCourse:
    """The course of all patients, and which replicates, shape ``(r,)``, have their printed flares."""

    course: Course
    meets_flares: BoolArray


_HALVINGS = 40
_WIDEST = np.log(1e4)
"""Largest change of the log hazard that is tried."""


def walk_to_counts(
    noise: CourseNoise, hazards: Hazards, attendance: Attendance, arms: Arms, design: Design, model: PatientModel
) -> ExactCourse:
    """Walk so that every arm has its counts at each visit and its printed number of patients with a flare.

    The uniform values behind flares stay, the hazard of an arm is multiplied until as many of its patients as printed
    have an observed flare.

    Parameters
    ----------
    noise, hazards
        As in :func:`synthetic.course.walk_course`, for all replicates.
    attendance, arms
        Who is seen when, and the members of the arms.
    design
        Counts, and the flares of arms that print them.
    model
        Patient model.
    """
    cut = CountCut(design.counts, arms, attendance.attended)
    wanted = [target for target in design.flares if target.patients is not None]
    shape = (len(design.sizes), arms.replicates)
    low, high, middle = np.full(shape, -_WIDEST), np.full(shape, _WIDEST), np.zeros(shape)
    log_scale = np.zeros(len(noise.score))
    excess = np.zeros(shape, dtype=np.int64)
    for halving in range(_HALVINGS):
        for members, level in zip(arms.members, middle, strict=True):
            log_scale[members] = level[:, None]
        scaled = Hazards(hazards.flare * np.exp(log_scale)[:, None], hazards.failure, hazards.failure_level)
        walked = walk_course(noise, scaled, attendance.visit_day, cut, model.course)
        if not wanted:
            break
        # Positions within a state play no part in who is seen to flare.
        days = observe(walked, np.zeros_like(walked.score), attendance).flare_day
        for target in wanted:
            having = (days[:, : target.visit + 1] != NO_DAY).any(axis=1)
            excess[target.arm] = having[arms.members[target.arm]].sum(axis=1) - (target.patients or 0)
        if not excess.any() or halving == _HALVINGS - 1:
            break
        high, low = np.where(excess > 0, middle, high), np.where(excess < 0, middle, low)
        middle = np.where(excess == 0, middle, (low + high) / 2)
    return ExactCourse(walked, np.asarray((excess == 0).all(axis=0)))
