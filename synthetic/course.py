"""The renal course: a latent score per visit, flares between visits, and response states cut to the printed counts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cohort.errors import CalibrationError
from cohort.response import BoolArray, IntArray
from synthetic.baseline import Baseline
from synthetic.calendar import Attendance
from synthetic.model import CourseModel

FloatArray = npt.NDArray[np.float64]

NOT_ASSESSED, NO_RESPONSE, PARTIAL, COMPLETE = -1, 0, 1, 2
"""Codes of ``Course.state``."""
NO_DAY = -1
"""Stands for "no such event" in arrays of days."""

_CLEAR_OF_VISIT = 30
_CLEAR_OF_FLARE = 91
"""Days kept between a flare and the visit before it, and between two flares, so that each is seen as one."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Patients per arm and visit, each of shape ``(arms, v)``."""

    assessed: IntArray
    complete: IntArray
    partial: IntArray


@dataclass(frozen=True, slots=True)
class Course:
    """What happens to ``n`` patients over ``v`` visits.

    ``state`` (codes above) and ``band_position`` (0 the best, 1 the worst patient of the same arm, visit and state)
    have shape ``(n, v)``; ``flare_day[:, j]`` is the day of a flare between visit ``j - 1`` and visit ``j`` (or the
    end of follow-up), or ``NO_DAY``; ``sustained`` marks flares after which the next visit shows no response.
    """

    state: IntArray
    band_position: FloatArray
    flare_day: IntArray
    sustained: BoolArray


def draw_scores(baseline: Baseline, visits: int, model: CourseModel, random: np.random.Generator) -> FloatArray:
    """Draw the latent score of each patient and visit, shape ``(n, v)``; higher is better."""
    chronicity = (baseline.chronicity_index - baseline.chronicity_index.mean()) / baseline.chronicity_index.std()
    level = (
        -model.severity_weight * baseline.latent_severity
        - model.chronicity_weight * chronicity
        - model.creatinine_weight * np.log(baseline.creatinine / np.median(baseline.creatinine))
        + model.patient_sd * random.standard_normal(baseline.size)
    )
    noise = random.standard_normal((visits, baseline.size))
    carried = model.visit_autocorrelation
    for visit in range(1, visits):
        noise[visit] = carried * noise[visit - 1] + np.sqrt(1 - carried**2) * noise[visit]
    return np.asarray((level + model.visit_sd * noise).T)


def draw_course(
    baseline: Baseline,
    arm: IntArray,
    attendance: Attendance,
    counts: Counts,
    model: CourseModel,
    random: np.random.Generator,
) -> Course:
    """Walk through the visits: flares since the last one, shift of the score, cut at order statistics.

    A responder turns into a non-responder only through a flare. Non-responders are therefore the lowest scores among
    patients without a response so far, patients who flared, and, where those are too few for the printed count, the
    responders with the lowest scores, who are given a flare.

    Raises
    ------
    CalibrationError
        If an arm has fewer assessed patients than its counts ask for.
    """
    size, visits = attendance.visit_day.shape
    score = draw_scores(baseline, visits, model, random)
    log_hazard = (
        np.log(model.flare_hr_severity) * baseline.latent_severity
        + np.log(model.flare_hr_age_decade) * (baseline.age_years - baseline.age_years.mean()) / 10
    )
    hazard = model.flare_rate / 100 / 365.25 * np.exp(log_hazard) / np.mean(np.exp(log_hazard))
    state = np.full((size, visits), NOT_ASSESSED)
    flare_day = np.full((size, visits), NO_DAY)
    sustained = np.zeros((size, visits), dtype=bool)
    shift = np.zeros(size)
    last_flare = np.full(size, -_CLEAR_OF_FLARE)
    for visit in range(visits):
        responding = np.zeros(size, dtype=bool) if visit == 0 else state[:, visit - 1] > NO_RESPONSE
        window = _flare_window(attendance, visit, last_flare)
        flares = responding & _flare_in(window, hazard, random)
        shift = shift * model.flare_shift_decay + model.flare_shift * flares
        seen = attendance.attended[:, visit]
        state[:, visit], forced = _cut(
            score[:, visit] - shift, arm, seen, responding & ~flares, window[1] > window[0], counts, visit
        )
        flares |= forced
        day = _day_in(window, random)
        flare_day[:, visit] = np.where(flares, day, NO_DAY)
        sustained[:, visit] = flares & (state[:, visit] == NO_RESPONSE)
        last_flare = np.where(flares, day, last_flare)
        score[:, visit] -= shift
    return Course(state, _band_positions(state, score, arm), flare_day, sustained)


def _flare_window(attendance: Attendance, visit: int, last_flare: IntArray) -> tuple[IntArray, IntArray]:
    """First and last day on which a flare can fall before ``visit``; empty where the last is not after the first."""
    if visit == 0:
        empty = np.zeros(len(last_flare), dtype=np.int64)
        return empty, empty
    first = np.maximum(attendance.visit_day[:, visit - 1] + _CLEAR_OF_VISIT, last_flare + _CLEAR_OF_FLARE)
    last = np.where(
        attendance.attended[:, visit], attendance.visit_day[:, visit] - _CLEAR_OF_VISIT, attendance.follow_up_days - 1
    )
    return first, last


def _flare_in(window: tuple[IntArray, IntArray], hazard: FloatArray, random: np.random.Generator) -> BoolArray:
    exposure = np.maximum(window[1] - window[0], 0)
    return np.asarray(random.random(len(hazard)) < -np.expm1(-hazard * exposure))


def _day_in(window: tuple[IntArray, IntArray], random: np.random.Generator) -> IntArray:
    uniform = random.random(len(window[0]))
    return window[0] + np.floor(uniform * (window[1] - window[0] + 1)).astype(np.int64)


def _cut(
    score: FloatArray,
    arm: IntArray,
    seen: BoolArray,
    protected: BoolArray,
    can_flare: BoolArray,
    counts: Counts,
    visit: int,
) -> tuple[IntArray, BoolArray]:
    """Cut the scores of one visit into states; return them and who had to be given a flare."""
    state = np.full(len(score), NOT_ASSESSED)
    forced = np.zeros(len(score), dtype=bool)
    for position in range(len(counts.assessed)):
        complete, partial = int(counts.complete[position, visit]), int(counts.partial[position, visit])
        none = int(counts.assessed[position, visit]) - complete - partial
        members = np.flatnonzero((arm == position) & seen)
        # Unprotected patients first, then responders who could flare, each from the lowest score up.
        order = members[np.lexsort((score[members], protected[members] & ~can_flare[members], protected[members]))]
        if len(order) != complete + partial + none or (
            none and np.any(protected[order[:none]] & ~can_flare[order[:none]])
        ):
            raise CalibrationError(
                "the attendance cannot carry the printed counts",
                where=f"arm {position}, visit {visit + 1}",
                got=f"{len(order)} assessed for {complete} CR, {partial} PR and {none} NR",
                remedy="check the assessed numbers of the study",
            )
        without = order[:none]
        forced[without] = protected[without]
        state[without] = NO_RESPONSE
        rest = order[none:][np.argsort(score[order[none:]], kind="stable")]
        state[rest[:partial]] = PARTIAL
        state[rest[partial:]] = COMPLETE
    return state, forced


def _band_positions(state: IntArray, score: FloatArray, arm: IntArray) -> FloatArray:
    """Return the position of each patient within arm, visit and state: near 0 the best score, near 1 the worst."""
    position = np.full(state.shape, np.nan)
    for visit in range(state.shape[1]):
        for group in np.unique(arm):
            for code in (NO_RESPONSE, PARTIAL, COMPLETE):
                members = np.flatnonzero((arm == group) & (state[:, visit] == code))
                ranks = np.argsort(np.argsort(-score[members, visit], kind="stable"))
                position[members, visit] = (ranks + 0.5) / max(len(members), 1)
    return position
