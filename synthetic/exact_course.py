"""Courses with exactly the printed counts: responders by order statistics, flares by scaling the hazard of the arm."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cohort.response import IntArray
from synthetic.calendar import Attendance
from synthetic.course import NO_DAY, Course, CourseNoise, Hazards, walk_course
from synthetic.cuts import CountCut
from synthetic.design import Design
from synthetic.model import PatientModel
from synthetic.observed import observe

FloatArray = npt.NDArray[np.float64]

_HALVINGS = 40
_WIDEST = np.log(1e4)
"""Largest change of the log hazard that is tried."""


def walk_to_counts(
    noise: CourseNoise, hazards: Hazards, attendance: Attendance, arm: IntArray, design: Design, model: PatientModel
) -> Course | None:
    """Walk so that every arm has its counts at each visit and its printed number of patients with a flare.

    The uniform values behind flares stay, the hazard of an arm is multiplied until as many of its patients as printed
    have an observed flare.

    Parameters
    ----------
    noise, hazards
        As in :func:`synthetic.course.walk_course`.
    attendance, arm
        Who is seen when, and the position of each patient's arm.
    design
        Counts, and the flares of arms that print them.
    model
        Patient model.

    Returns
    -------
    Course or None
        ``None`` if no multiple of the hazards gives the printed flares.
    """
    cut = CountCut(design.counts, arm, attendance.attended)
    wanted = {target.arm: target for target in design.flares if target.patients is not None}
    low = np.full(len(design.sizes), -_WIDEST)
    high = np.full(len(design.sizes), _WIDEST)
    middle = np.zeros(len(design.sizes))
    for _ in range(_HALVINGS):
        scaled = Hazards(hazards.flare * np.exp(middle)[arm][:, None], hazards.failure, hazards.failure_level)
        walked = walk_course(noise, scaled, attendance.visit_day, cut, model.course)
        if not wanted:
            return walked
        # Positions within a state play no part in who is seen to flare.
        days = observe(walked, np.zeros_like(walked.score), attendance).flare_day
        excess = {
            position: int(((days[:, : target.visit + 1] != NO_DAY).any(axis=1) & (arm == position)).sum())
            - (target.patients or 0)
            for position, target in wanted.items()
        }
        if not any(excess.values()):
            return walked
        for position, surplus in excess.items():
            if surplus > 0:
                high[position] = middle[position]
            elif surplus < 0:
                low[position] = middle[position]
            if surplus:
                middle[position] = (low[position] + high[position]) / 2
    return None
