"""Potential outcomes: what would have happened to each patient under either treatment.

Both courses are walked from the same noise at the calibrated thresholds of each arm, as if every visit were attended.
That the two share their noise is an assumption no data can check: only marginal estimands are meaningful.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from cohort.codes import Response
from cohort.response import IntArray
from cohort.schema import TRUTH_FLARES, TRUTH_RESPONSES
from synthetic.calibrate import Calibration, ThresholdCut
from synthetic.course import NO_DAY, CourseNoise, walk_course
from synthetic.model import CourseModel

FloatArray = npt.NDArray[np.float64]

_RESPONSES = np.array([Response.NR.value, Response.PR.value, Response.CR.value])


@dataclass(frozen=True, slots=True)
class PotentialOutcomes:
    """Outcomes of ``n`` patients under both treatments, the first axis tacrolimus, then no tacrolimus.

    ``state`` has shape ``(2, n, v)`` with the codes of :mod:`synthetic.course`; ``flare_day``, the day of the first
    renal flare or ``NO_DAY``, has shape ``(2, n)``.
    """

    state: IntArray
    flare_day: IntArray


def potential_outcomes(
    noise: CourseNoise, hazard: FloatArray, visit_day: IntArray, calibration: Calibration, model: CourseModel
) -> PotentialOutcomes:
    """Walk every patient under either treatment.

    Parameters
    ----------
    noise, hazard, visit_day
        As in :func:`synthetic.course.walk_course`.
    calibration
        Thresholds of both arms.
    model
        Numbers of the course.
    """
    states, flares = [], []
    for below, complete in zip(calibration.no_response_below, calibration.complete_from, strict=True):
        cut = ThresholdCut(below[None, :], complete[None, :])
        course = walk_course(noise, hazard, visit_day, cut, model)
        day = np.where(course.flare_day == NO_DAY, np.iinfo(np.int64).max, course.flare_day).min(axis=1)
        states.append(course.state)
        flares.append(np.where(day == np.iinfo(np.int64).max, NO_DAY, day))
    return PotentialOutcomes(np.stack(states), np.stack(flares))


def responses_frame(ids: npt.NDArray[np.str_], months: IntArray, outcomes: PotentialOutcomes) -> pd.DataFrame:
    """Lay out ``truth/responses``: one row per patient and scheduled visit after day 0."""
    treated, untreated = (_RESPONSES[state].ravel() for state in outcomes.state)
    frame = pd.DataFrame(
        {
            "patient_id": np.repeat(ids, len(months)),
            "visit_month": np.tile(months, len(ids)),
            "response_tacrolimus": treated,
            "response_no_tacrolimus": untreated,
        }
    )
    return frame[list(TRUTH_RESPONSES.column_names)]


def flares_frame(ids: npt.NDArray[np.str_], outcomes: PotentialOutcomes) -> pd.DataFrame:
    """Lay out ``truth/flares``: one row per patient, days missing where no flare occurs."""
    days = [pd.array(np.where(day == NO_DAY, 0, day), dtype="Int32") for day in outcomes.flare_day]
    for values, day in zip(days, outcomes.flare_day, strict=True):
        values[day == NO_DAY] = pd.NA
    frame = pd.DataFrame({"patient_id": ids, "flare_day_tacrolimus": days[0], "flare_day_no_tacrolimus": days[1]})
    return frame[list(TRUTH_FLARES.column_names)]
