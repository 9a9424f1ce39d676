"""Constants of population mode at which expected rates are the reconstructed ones.

Calibration walks a quasi-random population under each arm, all arms abreast from visit to visit. Each patient weighs
as much as the arm is probable and, at a visit, as the patient is likely to be assessed; latent scores are cut at
weighted quantiles. The thresholds are per arm: what differs between them, beyond what confounding explains, is the
effect of treatment.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cohort.errors import CalibrationError
from cohort.response import BoolArray, IntArray
from synthetic.assignment import arm_probabilities, tacrolimus_logit
from synthetic.baseline import Covariates, draw_covariates
from synthetic.calendar import schedule
from synthetic.course import (
    COMPLETE,
    NO_RESPONSE,
    PARTIAL,
    Course,
    CourseNoise,
    Fate,
    Hazards,
    Walk,
    draw_noise,
    flare_hazard,
    kidney_failure_hazard_ratio,
    poor_outcome_hazard_ratio,
)
from synthetic.design import Design
from synthetic.missing import ALWAYS, attend_probability, missing_driver, retained
from synthetic.model import PatientModel
from synthetic.mortality import Mortality, mortality
from synthetic.random_source import QuasiRandom

FloatArray = npt.NDArray[np.float64]

POWER = 18
"""Two to this power patients: the error of a quasi-random share is then far below one in a thousand."""
SEED = 20_251_028
"""Scrambles the quasi-random points; a part of the calibration, not of any cohort."""
_NOBODY = 1e-12
"""Shares below this are zero but for rounding."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Calibrated constants of one design and model, arms in the order of the design.

    ``intercepts`` (arms) are the assignment model's. Of shape ``(arms, v)``: ``stays``, the probability of not having
    left by a visit; ``attends``, the log odds of attending it (infinite where nobody misses it); ``no_response_below``
    and ``complete_from``, the latent scores below which there is no response and from which it is complete;
    ``flare_ratio``, the hazard of flare against the model's before it is centred. Of shape ``(v,)``:
    ``failure_level``, the daily hazard of kidney failure without response before a visit, and ``death_hazard``, the
    hazard of death up to it.
    """

    intercepts: FloatArray
    stays: FloatArray
    attends: FloatArray
    no_response_below: FloatArray
    complete_from: FloatArray
    flare_ratio: FloatArray
    failure_level: FloatArray
    death_hazard: FloatArray

    @property
    def mortality(self) -> Mortality:
        """Hazard of death."""
        return Mortality(self.death_hazard)

    def cut(self, arm: IntArray | int) -> ThresholdCut:
        """Return the cut at the thresholds of each patient's ``arm``, or of one arm for everybody."""
        below, complete = self.no_response_below[arm], self.complete_from[arm]
        return ThresholdCut(np.atleast_2d(below), np.atleast_2d(complete))

    def hazards(self, covariates: Covariates, arm: IntArray | int, model: PatientModel) -> Hazards:
        """Return the hazards of patients in ``arm``, each in an own arm or all in one."""
        ratio = np.atleast_2d(self.flare_ratio[arm])
        return Hazards(
            flare_hazard(covariates, model.course)[:, None] * ratio,
            kidney_failure_hazard_ratio(covariates, model.course),
            self.failure_level,
        )


@dataclass(frozen=True, slots=True)
class CalibratedPopulation:
    """The quasi-random population a calibration was solved on.

    ``probability``, shape ``(n, arms)``, is each patient's probability of each arm; ``courses`` holds the course of
    every patient under each arm; ``visit_day``, shape ``(v,)``, the nominal days.
    """

    calibration: Calibration
    covariates: Covariates
    probability: FloatArray
    courses: tuple[Course, ...]
    visit_day: IntArray


@dataclass(frozen=True, slots=True)
class ThresholdCut:
    """Cuts at calibrated thresholds of the patient's arm; a responder without a flare never loses response.

    ``no_response_below`` and ``complete_from`` have shape ``(n, v)`` or ``(1, v)``.
    """

    no_response_below: FloatArray
    complete_from: FloatArray

    def admit_failures(self, _visit: int, _failed: BoolArray, failing: BoolArray, _uniform: FloatArray) -> BoolArray:
        """Let everybody fail who does."""
        return failing

    def cut(self, visit: int, score: FloatArray, fate: Fate) -> tuple[IntArray, BoolArray]:
        """Cut one visit; nobody is given a flare."""
        without = fate.failed | (~fate.protected & (score < self.no_response_below[:, visit]))
        state = np.where(score >= self.complete_from[:, visit], COMPLETE, PARTIAL)
        return np.where(without, NO_RESPONSE, state), np.zeros(len(score), dtype=bool)


class _Lane:
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
        log_stay = _solve(
            lambda value: float((alive * np.exp(value * presence.leaving)).sum()) - kept, float(np.log(kept)), 1.0
        )
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
        if below is None:
            few = missing >= 0
            raise CalibrationError(
                "too few flares: non-responders rise faster than responders flare"
                if few
                else "too many kidney failures for the printed responses",
                where=f"{self._where}, month {self._months[visit]}",
                got=f"a share of {self._none[visit]:.3f} without response",
                remedy="raise course.flare_rate or effect.flare_hazard_ratio" if few else "lower course.eskd_rate",
            )
        without = fate.failed | (~fate.protected & (score < below))
        responding = np.where(without, 0.0, weight)
        above = _weighted_threshold(score, responding, float(responding.sum() - self._complete[visit]))
        self.no_response_below[visit] = below
        self.complete_from[visit] = np.inf if above is None else above
        state = np.where(score >= self.complete_from[visit], COMPLETE, PARTIAL)
        return np.where(without, NO_RESPONSE, state), np.zeros(len(score), dtype=bool)


@dataclass(frozen=True, slots=True)
class Presence:
    """What decides who is assessed: ``alive`` and ``driver`` have shape ``(n, v)``, the hazard ``leaving`` ``(n,)``."""

    alive: FloatArray
    leaving: FloatArray
    driver: FloatArray


def calibrate(design: Design, model: PatientModel) -> Calibration:
    """Solve the constants of population mode; see :func:`calibrated_population`."""
    return calibrated_population(design, model).calibration


def calibrated_population(design: Design, model: PatientModel, *, power: int = POWER) -> CalibratedPopulation:
    """Walk a quasi-random population of ``2**power`` patients under each arm, solving the constants on the way.

    Parameters
    ----------
    design
        Arms, visits and counts.
    model
        Patient model.
    power
        Base-two logarithm of the number of patients.

    Raises
    ------
    CalibrationError
        If responders cannot turn into non-responders as fast as the counts ask, since too few flare, or kidney
        failures leave fewer responders than printed.
    """
    size, visits = 2**power, len(design.months)
    source = QuasiRandom(power, _dimensions(visits), SEED)
    covariates = draw_covariates(size, model, source)
    noise = draw_noise(covariates, visits, model.course, source)
    logit = tacrolimus_logit(covariates, model, randomised=design.randomised)
    intercepts = _intercepts(logit, design)
    probability = arm_probabilities(logit, intercepts, design.tacrolimus)
    ratio = _flare_ratios(design, model, covariates)
    lanes, death = _walk_abreast(design, model, covariates, noise, probability, ratio)
    calibration = Calibration(
        intercepts=intercepts,
        stays=np.stack([lane.stays for lane in lanes]),
        attends=np.stack([lane.attends for lane in lanes]),
        no_response_below=np.stack([lane.no_response_below for lane in lanes]),
        complete_from=np.stack([lane.complete_from for lane in lanes]),
        flare_ratio=ratio,
        failure_level=lanes[0].hazards.failure_level,
        death_hazard=death.cumulative,
    )
    day = schedule(design.months, model.calendar).day
    return CalibratedPopulation(calibration, covariates, probability, tuple(lane.walk.course() for lane in lanes), day)


def _flare_ratios(design: Design, model: PatientModel, covariates: Covariates) -> FloatArray:
    """Return what makes the mean hazard of flare that of the model times the effect of the arm, ``(arms, v)``."""
    hazard = flare_hazard(covariates, model.course)
    rate = model.course.flare_rate / 100 / 365.25
    ratio = np.full((len(design.sizes), len(design.months)), rate * model.effect.flare_hazard_ratio)
    ratio[design.reference] = rate
    return np.asarray(ratio / hazard.mean()) if rate > 0 else ratio


def _walk_abreast(
    design: Design,
    model: PatientModel,
    covariates: Covariates,
    noise: CourseNoise,
    probability: FloatArray,
    ratio: FloatArray,
) -> tuple[list[_Lane], Mortality]:
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
        _Lane(
            design,
            arm,
            probability[:, arm],
            Hazards(flare * ratio[arm], failure, level),
            Walk(noise, visit_day, model.course),
        )
        for arm in range(len(design.sizes))
    ]
    for visit in range(len(day)):
        if visit:
            wanted = model.course.eskd_rate / 100 / 365.25 * float(day[visit] - day[visit - 1])
            level[visit] = _failure_level(lanes, probability, failure, visit, wanted)
        for lane in lanes:
            size = design.sizes[lane.arm]
            lane.attend(visit, kept[lane.arm, visit] / size, design.counts.assessed[lane.arm, visit] / size, presence)
            lane.walk.arrive(visit, *lane.cut(visit, *lane.walk.approach(visit, lane.hazards, lane)))
    return lanes, death


def _failure_level(
    lanes: list[_Lane], probability: FloatArray, failure: FloatArray, visit: int, wanted: float
) -> float:
    """Return the hazard at which a share ``wanted`` of all patients fails before ``visit``, at most half who can."""
    exposure = np.concatenate([lane.walk.failure_exposure(visit) * failure for lane in lanes])
    weight = np.concatenate([probability[:, lane.arm] for lane in lanes]) / len(probability)
    weight, exposure = weight[exposure > 0], exposure[exposure > 0]
    if not len(exposure):
        return 0.0
    goal = min(wanted, 0.5 * float(weight.sum()))
    start = np.log(goal / float(weight @ exposure))
    return float(np.exp(_solve(lambda value: float(-weight @ np.expm1(-np.exp(value) * exposure)) - goal, start, 1.0)))


def _intercepts(logit: FloatArray, design: Design) -> FloatArray:
    """Return the intercepts, that of the reference being 0, at which arms have their sizes in expectation."""
    share = design.sizes / design.total
    intercepts = np.log(share / share[design.reference])
    for _ in range(500):
        step = np.log(share / arm_probabilities(logit, intercepts, design.tacrolimus).mean(axis=0))
        intercepts = intercepts + step - step[design.reference]
        if np.abs(step).max() < 1e-13:
            break
    return np.asarray(intercepts)


def _dimensions(visits: int) -> int:
    """Centre, severity, its eight correlates, six coins, the patient effect, and five per visit."""
    return 1 + 1 + 8 + 6 + 1 + 5 * visits


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
    place = int(np.searchsorted(total, wanted, side="left"))
    if place >= len(order):
        return None
    if not place:
        return float(score[order[0]])
    # Between the last score that must lie below and the next one, so that neither sits on the threshold.
    return float((score[order[place - 1]] + score[order[place]]) / 2)
