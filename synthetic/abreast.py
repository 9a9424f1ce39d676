"""All arms of a design walked abreast through a population, finding on the way the constants that meet print."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cohort.errors import CalibrationError
from cohort.response import BoolArray, IntArray
from synthetic.baseline import Covariates
from synthetic.calendar import schedule
from synthetic.course import (
    COMPLETE,
    NO_RESPONSE,
    PARTIAL,
    CourseNoise,
    Fate,
    Hazards,
    Walk,
    flare_hazard,
    kidney_failure_hazard_ratio,
    poor_outcome_hazard_ratio,
)
from synthetic.design import Design
from synthetic.missing import ALWAYS, attend_probability, missing_driver, retained
from synthetic.model import PatientModel
from synthetic.mortality import Mortality, mortality

FloatArray = npt.NDArray[np.float64]

_CLOSE = 1e-9
"""Shares that differ by less are the same but for rounding."""
_NOBODY = 1e-12
"""Shares below this are zero but for rounding."""
_SLACK = 5e-4
"""Share of an arm by which flares may fall short of the printed non-responders: less than a printed share tells."""


class TooFewFlaresError(CalibrationError):
    """Print has more responders losing response before a visit than flare; ``arm`` and ``visit`` say where."""

    def __init__(self, arm: int, visit: int, *, where: str, got: str) -> None:
        super().__init__(
            "too few flares: non-responders rise faster than responders flare",
            where=where,
            got=got,
            remedy="raise course.flare_rate or effect.flare_hazard_ratio",
        )
        self.arm, self.visit = arm, visit


@dataclass(frozen=True, slots=True)
class Population:
    """``n`` patients to be walked: covariates, noise, and the probability of each arm, shape ``(n, arms)``."""

    covariates: Covariates
    noise: CourseNoise
    probability: FloatArray


@dataclass(frozen=True, slots=True)
class Presence:
    """What decides who is assessed: ``alive`` and ``driver`` have shape ``(n, v)``, the hazard ``leaving`` ``(n,)``."""

    alive: FloatArray
    leaving: FloatArray
    driver: FloatArray


class Lane:
    """One arm of the calibration: its walk, and its constants as they are found."""

    def __init__(self, design: Design, arm: int, weight: FloatArray, hazards: Hazards, walk: Walk) -> None:
        visits = len(design.months)
        assessed = design.counts.assessed[arm]
        self.arm, self.weight, self.hazards, self.walk = arm, weight / weight.sum(), hazards, walk
        self._where = f"arm {design.arms[arm]}"
        self._months = design.months
        self._none, self._complete = design.counts.none[arm] / assessed, design.counts.complete[arm] / assessed
        self.no_response_below, self.complete_from = np.empty(visits), np.empty(visits)
        self.stays, self.attends = np.empty(visits), np.full(visits, ALWAYS)
        self._assessed_weight = self.weight

    def admit_failures(self, _visit: int, _failed: BoolArray, failing: BoolArray, _uniform: FloatArray) -> BoolArray:
        """Let everybody fail who does."""
        return failing

    def attend(self, visit: int, kept: float, assessed: float, presence: Presence) -> None:
        """Find how many stay and attend so that the shares ``kept`` and ``assessed`` of the arm are met."""
        alive = self.weight * presence.alive[:, visit]
        # Nobody comes back: the chance of having stayed never rises from one visit to the next.
        most = float(np.log(self.stays[visit - 1])) if visit else 0.0

        def staying(value: float) -> float:
            return float((alive * np.exp(min(value, most) * presence.leaving)).sum())

        if staying(most) < kept - _CLOSE:
            raise CalibrationError(
                "more deaths than patients who leave",
                where=f"{self._where}, month {self._months[visit]}",
                got=f"a share of {staying(most):.4f} alive, and {kept:.4f} under observation in print",
                remedy="lower course.death_rate or bring course.poor_outcome_hr_severity nearer to 1",
            )
        log_stay = most
        if staying(most) > kept:
            log_stay = min(_solve(lambda value: staying(value) - kept, float(np.log(kept)), 1.0), most)
        self.stays[visit] = np.exp(log_stay)
        present = alive * np.exp(log_stay * presence.leaving)
        if assessed < kept:
            driver = presence.driver[:, visit]
            odds = _solve(
                lambda value: float((present * attend_probability(value, driver)).sum()) - assessed,
                0.0,
                4.0,
            )
            self.attends[visit] = odds
            present = present * attend_probability(odds, driver)
        self._assessed_weight = present / present.sum()

    def cut(self, visit: int, score: FloatArray, fate: Fate) -> tuple[IntArray, BoolArray]:
        """Cut one visit at the weighted quantiles among those assessed."""
        weight = self._assessed_weight
        missing = float(self._none[visit]) - float(weight[fate.failed].sum())
        free = np.where(fate.protected | fate.failed, 0.0, weight)
        below = _weighted_threshold(score, free, missing) if missing >= 0 else None
        if below is None and 0 <= missing - free.sum() < _SLACK:
            below = np.inf
        if below is None:
            where = f"{self._where}, month {self._months[visit]}"
            got = f"a share of {self._none[visit]:.3f} without response"
            if missing >= 0:
                raise TooFewFlaresError(self.arm, visit, where=where, got=got)
            raise CalibrationError(
                "too many kidney failures for the printed responses",
                where=where,
                got=got,
                remedy="lower course.eskd_rate",
            )
        without = fate.failed | (~fate.protected & (score < below))
        responding = np.where(without, 0.0, weight)
        above = _weighted_threshold(score, responding, float(responding.sum() - self._complete[visit]))
        self.no_response_below[visit] = below
        self.complete_from[visit] = np.inf if above is None else above
        state = np.where(score >= self.complete_from[visit], COMPLETE, PARTIAL)
        return np.where(without, NO_RESPONSE, state), np.zeros(len(score), dtype=bool)


@dataclass(frozen=True, slots=True)
class Walked:
    """All arms at the last visit, and the hazard of death that was used."""

    lanes: list[Lane]
    mortality: Mortality


def walk_abreast(design: Design, model: PatientModel, population: Population, ratio: FloatArray) -> Walked:
    """Walk a population under each arm, finding what meets the counts of ``design``.

    Parameters
    ----------
    design, model
        Counts to meet and the patient model.
    population
        The patients.
    ratio
        Hazard of flare of each arm and visit against the model's before it is centred, shape ``(arms, v)``.

    Raises
    ------
    CalibrationError
        If there are too few flares, or too many kidney failures, for the printed responses.
    """
    covariates, noise, probability = population.covariates, population.noise, population.probability
    day = schedule(design.months, model.calendar).day
    kept = retained(design.counts.assessed, design.sizes, model.missing)
    death = mortality(model.course.death_rate, day, kept, design.sizes)
    relative = poor_outcome_hazard_ratio(covariates, model.course)
    slope = np.log(model.calendar.leaving_hr_severity)
    presence = Presence(
        death.survival(relative),
        np.exp(slope * covariates.latent_severity),
        missing_driver(covariates, noise, model.missing),
    )
    level = np.zeros(len(day))
    flare = flare_hazard(covariates, model.course)[:, None]
    failure = kidney_failure_hazard_ratio(covariates, model.course)
    visit_day = np.broadcast_to(day, (covariates.size, len(day)))
    lanes = [
        Lane(
            design,
            arm,
            probability[:, arm],
            Hazards(flare * ratio[arm], failure, level),
            Walk(noise, visit_day, model.course),
        )
        for arm in range(len(design.sizes))
    ]
    rate = model.course.eskd_rate / 100 / 365.25
    for visit in range(len(day)):
        if visit:
            # Nobody fails before the first visit; the later intervals make up for it.
            wanted = rate * float(day[visit] - day[visit - 1]) * float(day[-1] / (day[-1] - day[0]))
            level[visit] = _failure_level(lanes, probability, failure, visit, wanted)
        for lane in lanes:
            size = design.sizes[lane.arm]
            lane.attend(visit, kept[lane.arm, visit] / size, design.counts.assessed[lane.arm, visit] / size, presence)
            lane.walk.arrive(visit, *lane.cut(visit, *lane.walk.approach(visit, lane.hazards, lane)))
    return Walked(lanes, death)


def _failure_level(lanes: list[Lane], probability: FloatArray, failure: FloatArray, visit: int, wanted: float) -> float:
    """Return the hazard at which a share ``wanted`` of all patients fails before ``visit``, at most half who can."""
    exposure = np.concatenate([lane.walk.failure_exposure(visit) * failure for lane in lanes])
    weight = np.concatenate([probability[:, lane.arm] for lane in lanes]) / len(probability)
    weight, exposure = weight[exposure > 0], exposure[exposure > 0]
    if not len(exposure) or wanted == 0.0:
        return 0.0
    goal = min(wanted, 0.5 * float(weight.sum()))
    start = np.log(goal / float(weight @ exposure))
    return float(np.exp(_solve(lambda value: float(-weight @ np.expm1(-np.exp(value) * exposure)) - goal, start, 1.0)))


def _solve(excess: Callable[[float], float], start: float, step: float) -> float:
    """Return the root of an increasing function, looked for ever farther from ``start``."""
    from scipy.optimize import brentq

    low = high = start
    while excess(low) > 0:
        low, step = low - step, 2 * step
    while excess(high) < 0:
        high, step = high + step, 2 * step
    return float(brentq(excess, low, high, xtol=1e-13)) if low < high else low


def _weighted_threshold(score: FloatArray, weight: FloatArray, wanted: float) -> float | None:
    """Return the score below which the weights sum to ``wanted``; ``None`` if they do not reach it."""
    if wanted <= _NOBODY:
        return -np.inf
    eligible = np.flatnonzero(weight > 0)
    order = eligible[np.argsort(score[eligible], kind="stable")]
    total = np.cumsum(weight[order])
    reached = float(total[-1]) if len(total) else 0.0
    if wanted > reached + _NOBODY:
        return None
    if wanted >= reached - _NOBODY:
        return np.inf
    place = int(np.searchsorted(total, wanted, side="left"))
    if not place:
        return float(score[order[0]])
    # Between the last score that must lie below and the next one, so that neither sits on the threshold.
    return float((score[order[place - 1]] + score[order[place]]) / 2)
