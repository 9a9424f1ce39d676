"""True effects as integrals over quasi-random patients at the calibrated constants.

Arms enter as probabilities, and death and attendance as probabilities given severity and course, so that nothing rare
is drawn. Each of several independent scramblings of the Sobol points gives an unbiased integral: their spread is the
standard error. Responses are read at nominal visit days, where calibration solves them. Events walk visit days spread
around the nominal ones as in cohorts, since the days of flares and the end at the horizon depend on them. Survival is
that of nominal days: what spread does to death, about a ten-thousandth of survival near the horizon, is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cohort.columns import WholeArray
from cohort.response import IntArray
from cohort.seeds import SeedTree
from synthetic.assignment import arm_probabilities, tacrolimus_logit
from synthetic.baseline import Covariates, draw_covariates
from synthetic.calendar import draw_visit_days, schedule
from synthetic.calibrate import dimensions
from synthetic.course import NO_DAY, CourseNoise, draw_noise, poor_outcome_hazard_ratio
from synthetic.estimands import RESPONSES, Comparisons, TargetPopulation, comparisons_of, population_weights
from synthetic.missing import attend_probability, missing_driver
from synthetic.mortality import Mortality
from synthetic.random_source import QuasiRandom
from synthetic.setting import Setting
from synthetic.tally import EVENTS, LOWEST_STATE, AssessedSums, Sums
from synthetic.truth import PotentialOutcomes, potential_outcomes

FloatArray = npt.NDArray[np.float64]

_NODES = 257
"""Relative hazards of death at which its survival function is evaluated; between them it is interpolated."""


@dataclass(frozen=True, slots=True)
class QuasiPopulation:
    """Quasi-random patients of a setting with their potential outcomes, as if nobody died.

    ``probability`` has shape ``(n, arms)``; ``at_visits`` walks nominal visit days, ``between`` spread ones.
    """

    covariates: Covariates
    noise: CourseNoise
    probability: FloatArray
    at_visits: PotentialOutcomes
    between: PotentialOutcomes


@dataclass(frozen=True, slots=True)
class Integrals:
    """Sums whose first axis counts scramblings: over everybody, and over who is assessed in the own arm."""

    everybody: Sums
    assessed: AssessedSums


def integrate(setting: Setting, power: int, seeds: Sequence[int]) -> Integrals:
    """Integrate over ``2**power`` quasi-random patients for each scrambling.

    Parameters
    ----------
    setting
        Design, model and calibrated constants.
    power
        Base-two logarithm of the number of patients of a scrambling.
    seeds
        Seeds of the scramblings. With seed and power of the calibration these are the very points it was solved on.
    """
    parts = [_integrate_once(setting, quasi_population(setting, power, seed)) for seed in seeds]
    return Integrals(
        Sums.stack([everybody for everybody, _ in parts]), AssessedSums.stack([assessed for _, assessed in parts])
    )


def quasi_population(setting: Setting, power: int, seed: int) -> QuasiPopulation:
    """Walk ``2**power`` quasi-random patients, scrambled by ``seed``, under every arm."""
    design, model, calibration = setting.design, setting.model, setting.calibration
    size, visits = 2**power, len(design.months)
    source = QuasiRandom(power, dimensions(visits), seed)
    covariates = draw_covariates(size, model, source)
    noise = draw_noise(covariates, visits, model.course, source)
    logit = tacrolimus_logit(covariates, model, randomised=design.randomised)
    plan = schedule(design.months, model.calendar)
    spread = draw_visit_days(size, plan, model.calendar, SeedTree(seed).child("visit days").generator())
    never = np.full(size, NO_DAY)

    def walk(visit_day: IntArray) -> PotentialOutcomes:
        return potential_outcomes(covariates, noise, visit_day, never, calibration, model)

    return QuasiPopulation(
        covariates,
        noise,
        arm_probabilities(logit, calibration.intercepts, design.tacrolimus),
        walk(np.broadcast_to(plan.day, spread.shape)),
        walk(spread),
    )


class DeathByNode:
    """Integrates the survival function of death over ``n`` patients, by nodes of their relative hazard.

    The survival function of a patient lies between those of two nodes, to which the patient's weight is split so that
    the mean hazard is kept; the error is below 1e-6 at the borrowed death rate.

    Parameters
    ----------
    relative
        Relative hazards, shape ``(n,)``.
    mortality
        Cumulative hazards up to each visit.
    day
        Nominal days of the visits, the last being the horizon, shape ``(v,)``.
    """

    def __init__(self, relative: FloatArray, mortality: Mortality, day: IntArray) -> None:
        nodes = np.geomspace(relative.min(), relative.max(), _NODES)
        gap = nodes[1:] - nodes[:-1]
        below = np.clip(np.searchsorted(nodes, relative, side="right") - 1, 0, _NODES - 2)
        share = np.where(gap[below] > 0, (relative - nodes[below]) / np.where(gap > 0, gap, 1.0)[below], 0.0)
        self._node = np.concatenate([below, below + 1])
        self._share = np.concatenate([1.0 - share, share])
        self._alive = np.exp(-nodes[:, None] * cumulative_hazard(mortality, day))

    def masses(self, weight: FloatArray, first_day: IntArray) -> tuple[FloatArray, FloatArray]:
        """Return the weight by day, up to the horizon: whose other event comes before death, and whose either does.

        Parameters
        ----------
        weight
            Weights of the patients, shape ``(n,)``.
        first_day
            Day of each patient's first other event, or any day after the horizon, shape ``(n,)``.
        """
        days = self._alive.shape[1]
        place = self._node * (days + 1) + np.tile(np.minimum(first_day, days), 2)
        split = np.tile(weight, 2) * self._share
        happens = np.bincount(place, split, _NODES * (days + 1)).reshape(_NODES, days + 1)
        free = happens.sum(axis=1, keepdims=True) - happens[:, :-1].cumsum(axis=1)
        event_free = (self._alive * free).sum(axis=0)
        first = (self._alive * happens[:, :-1]).sum(axis=0)
        return first, -np.diff(event_free, prepend=weight.sum())


def cumulative_hazard(mortality: Mortality, day: IntArray) -> FloatArray:
    """Return the cumulative hazard of death up to and including each day from 0 to the last visit, relative hazard 1.

    Nobody dies on the day of a visit: the hazard of an interval spreads evenly over the days between its visits.
    """
    level = np.concatenate([[0.0], mortality.cumulative])
    start = np.concatenate([[0], day])
    every = np.arange(day[-1] + 1)
    here = np.minimum(np.searchsorted(day, every, side="left"), len(day) - 1)
    passed = np.minimum((every - start[here]) / (start[here + 1] - start[here] - 1), 1.0)
    return np.asarray(level[here] + passed * (level[here + 1] - level[here]))


def _integrate_once(setting: Setting, patients: QuasiPopulation) -> tuple[Sums, AssessedSums]:
    comparisons = comparisons_of(setting.design, setting.model)
    relative = poor_outcome_hazard_ratio(patients.covariates, setting.model.course)
    death = DeathByNode(relative, setting.calibration.mortality, comparisons.days)
    return _over_everybody(comparisons, patients, death), _over_assessed(setting, patients, relative)


def _over_everybody(comparisons: Comparisons, patients: QuasiPopulation, death: DeathByNode) -> Sums:
    shape = (len(comparisons.contrasts), len(TargetPopulation))
    weights = np.zeros(shape)
    responders = np.zeros((*shape, 2, len(RESPONSES), len(comparisons.months)))
    events = np.zeros((*shape, 2, EVENTS, comparisons.horizon + 1))
    later = comparisons.horizon + 1
    between = patients.between
    flare, failure = (np.where(day == NO_DAY, later, day) for day in (between.flare_day, between.failure_day))
    for row in range(shape[0]):
        for column, population in enumerate(TargetPopulation):
            weight = population_weights(patients.probability, row, population)
            weights[row, column] = weight.sum()
            for side, arm in enumerate((row, -1)):
                responders[row, column, side] = _responders(weight[:, None], patients.at_visits.state[arm])
                _, either = death.masses(weight, np.minimum(flare[arm], failure[arm]))
                _, poor = death.masses(weight, failure[arm])
                flares, _ = death.masses(weight, flare[arm])
                events[row, column, side] = np.stack([either, poor, flares])
    return Sums(weights, responders, events)


def _over_assessed(setting: Setting, patients: QuasiPopulation, relative: FloatArray) -> AssessedSums:
    """Weigh patients by their probability of the arm and of being alive, under observation and seen at each visit."""
    model, calibration = setting.model, setting.calibration
    alive = calibration.mortality.survival(relative)
    leaving = np.exp(np.log(model.calendar.leaving_hr_severity) * patients.covariates.latent_severity)
    driver = missing_driver(patients.covariates, patients.noise, model.missing)
    weights, responders = [], []
    for arm in range(patients.probability.shape[1]):
        stays = calibration.stays[arm] ** leaving[:, None]
        seen = attend_probability(calibration.attends[arm], driver)
        present = patients.probability[:, [arm]] * alive * stays * seen
        weights.append(present.sum(axis=0))
        responders.append(_responders(present, patients.at_visits.state[arm]))
    return AssessedSums(np.stack(weights), np.stack(responders))


def _responders(weight: FloatArray, state: WholeArray) -> FloatArray:
    """Return the weight in response by measure and visit, from weights of shape ``(n, v)`` or ``(n, 1)``."""
    return np.stack([(weight * (state >= LOWEST_STATE[measure])).sum(axis=0) for measure in RESPONSES])
