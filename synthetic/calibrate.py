"""Constants of population mode at which expected rates are the reconstructed ones.

Calibration walks a quasi-random population under each arm, all arms abreast from visit to visit. Each patient weighs
as much as the arm is probable and, at a visit, as the patient is likely to be assessed; latent scores are cut at
weighted quantiles. The thresholds are per arm: what differs between them, beyond what confounding explains, is the
effect of treatment.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cohort.response import BoolArray, IntArray
from synthetic.abreast import Population, TooFewFlaresError, walk_abreast
from synthetic.assignment import arm_probabilities, tacrolimus_logit
from synthetic.baseline import Covariates, draw_covariates
from synthetic.calendar import schedule
from synthetic.course import (
    COMPLETE,
    NO_RESPONSE,
    PARTIAL,
    Course,
    Fate,
    Hazards,
    draw_noise,
    flare_hazard,
    kidney_failure_hazard_ratio,
)
from synthetic.design import Design
from synthetic.flare_hazards import model_ratios, printed_ratios
from synthetic.model import PatientModel
from synthetic.mortality import Mortality
from synthetic.random_source import QuasiRandom

FloatArray = npt.NDArray[np.float64]

POWER = 18
"""Two to this power patients: the error of a quasi-random share is then far below one in a thousand."""
SEED = 20_251_028
"""Scrambles the quasi-random points; a part of the calibration, not of any cohort."""
_COARSE_POWER = 14
_INTERCEPT_ROUNDS = 200
_INTERCEPT_PRECISION = 1e-11


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
        return ThresholdCut(_of_arms(self.no_response_below, arm), _of_arms(self.complete_from, arm))

    def hazards(self, covariates: Covariates, arm: IntArray | int, model: PatientModel) -> Hazards:
        """Return the hazards of patients in ``arm``, each in an own arm or all in one."""
        ratio = _of_arms(self.flare_ratio, arm)
        return Hazards(
            (flare_hazard(covariates, model.course) * ratio.T).T,
            kidney_failure_hazard_ratio(covariates, model.course),
            self.failure_level,
        )

    def hazards_of_arms(self, covariates: Covariates, model: PatientModel) -> list[Hazards]:
        """Return the hazards of all patients in each arm in turn."""
        flare, failure = flare_hazard(covariates, model.course), kidney_failure_hazard_ratio(covariates, model.course)
        return [Hazards((flare * ratio[:, None]).T, failure, self.failure_level) for ratio in self.flare_ratio]


def _of_arms(constants: FloatArray, arm: IntArray | int) -> FloatArray:
    """Return constants of each patient's arm, or of one arm, those of a visit together in memory, ``(n, v)``."""
    return np.atleast_2d(constants[arm]) if isinstance(arm, int) else constants.T.take(arm, axis=1).T


@dataclass(frozen=True, slots=True)
class CalibratedPopulation:
    """The quasi-random population a calibration was solved on.

    ``courses`` holds the course of every patient under each arm; ``visit_day``, shape ``(v,)``, the nominal days.
    """

    calibration: Calibration
    population: Population
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


def calibrate(design: Design, model: PatientModel, *, rate_is_free: bool = True) -> Calibration:
    """Solve the constants of population mode; see :func:`calibrated_population`."""
    return calibrated_population(design, model, rate_is_free=rate_is_free).calibration


def calibrated_population(
    design: Design, model: PatientModel, *, rate_is_free: bool = True, power: int = POWER
) -> CalibratedPopulation:
    """Walk a quasi-random population of ``2**power`` patients under each arm, solving the constants on the way.

    Parameters
    ----------
    design
        Arms, visits and counts.
    model
        Patient model.
    rate_is_free
        Whether the hazard of flare may be raised where the printed responses need more flares than the model has.
    power
        Base-two logarithm of the number of patients.

    Raises
    ------
    CalibrationError
        If responders cannot turn into non-responders as fast as the counts ask, since too few flare and the rate is
        not free, or kidney failures leave fewer responders than printed.
    """
    population, intercepts = _quasi_population(design, model, power)
    ratio = model_ratios(design, model, population)
    try:
        walked = None if design.flares else walk_abreast(design, model, population, ratio)
    except TooFewFlaresError:
        walked = None
    if walked is None:
        if power > _COARSE_POWER:
            # Found on fewer patients, then refined on all.
            few, _ = _quasi_population(design, model, _COARSE_POWER)
            ratio = printed_ratios(design, model, few, ratio, rate_is_free=rate_is_free)
        ratio = printed_ratios(design, model, population, ratio, rate_is_free=rate_is_free)
        walked = walk_abreast(design, model, population, ratio)
    lanes = walked.lanes
    calibration = Calibration(
        intercepts=intercepts,
        stays=np.stack([lane.stays for lane in lanes]),
        attends=np.stack([lane.attends for lane in lanes]),
        no_response_below=np.stack([lane.no_response_below for lane in lanes]),
        complete_from=np.stack([lane.complete_from for lane in lanes]),
        flare_ratio=ratio,
        failure_level=lanes[0].hazards.failure_level,
        death_hazard=walked.mortality.cumulative,
    )
    day = schedule(design.months, model.calendar).day
    courses = tuple(lane.walk.course() for lane in lanes)
    return CalibratedPopulation(calibration, population, courses, day)


def _quasi_population(design: Design, model: PatientModel, power: int) -> tuple[Population, FloatArray]:
    """Return the first ``2**power`` quasi-random patients and the intercepts of the assignment model."""
    size, visits = 2**power, len(design.months)
    source = QuasiRandom(power, dimensions(visits), SEED)
    covariates = draw_covariates(size, model, source)
    noise = draw_noise(covariates, visits, model.course, source)
    logit = tacrolimus_logit(covariates, model, randomised=design.randomised)
    intercepts = _intercepts(logit, design)
    return Population(covariates, noise, arm_probabilities(logit, intercepts, design.tacrolimus)), intercepts


def _intercepts(logit: FloatArray, design: Design) -> FloatArray:
    """Return the intercepts, that of the reference being 0, at which arms have their sizes in expectation."""
    share = design.sizes / design.total
    intercepts = np.log(share / share[design.reference])
    for _ in range(_INTERCEPT_ROUNDS):
        step = np.log(share / arm_probabilities(logit, intercepts, design.tacrolimus).mean(axis=0))
        intercepts = intercepts + step - step[design.reference]
        if np.abs(step).max() < _INTERCEPT_PRECISION:
            break
    return np.asarray(intercepts)


def dimensions(visits: int) -> int:
    """Centre, severity, its eight correlates, six coins, the patient effect, and five per visit."""
    return 1 + 1 + 8 + 6 + 1 + 5 * visits
