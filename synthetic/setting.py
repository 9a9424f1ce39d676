"""A scenario settled for a design: the model with every dial in place, and its calibrated constants."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np

from cohort.errors import CalibrationError
from cohort.record import Measure
from synthetic.attainable import check_kidney_failures, with_limits
from synthetic.calendar import schedule
from synthetic.calibrate import POWER, CalibratedPopulation, Calibration, calibrated_population
from synthetic.calibration_file import calibration_for
from synthetic.course import COMPLETE, NO_RESPONSE
from synthetic.design import Design
from synthetic.dials import Dial
from synthetic.missing import retained
from synthetic.model import AssignmentModel, PatientModel
from synthetic.mortality import mortality
from synthetic.scenario import ResponseEffect, Scenario
from synthetic.study_dials import study_dials, turn

_POWER = 15
_STRONGEST = 4.0
"""Strongest confounding looked at, in either direction, as a multiple of the default model's."""
_STEP = 0.5
_TOLERANCE = 1e-4


@dataclass(frozen=True, slots=True)
class Setting:
    """A design, a scenario, and the model and constants that follow from both.

    ``study_dials`` are the parameters that the study file sets: where the scenario does not, except that arms drawn by
    lot are not confounded whatever it says.
    """

    design: Design
    scenario: Scenario
    model: PatientModel
    calibration: Calibration
    study_dials: tuple[Dial, ...] = ()


def settle(design: Design, scenario: Scenario, *, power: int = POWER, limits: bool = True) -> Setting:
    """Put the dials in place, solve the confounding if an effect on response is asked for, and calibrate.

    Parameters
    ----------
    design, scenario
        What is printed, and the dials.
    power
        As in :func:`synthetic.calibrate.calibrated_population`.
    limits
        Whether an error says how far each dial may be turned, which takes many calibrations to find.

    Raises
    ------
    CalibrationError
        If the dials cannot meet the printed numbers of the design; the message names dial and target.
    """
    model = scenario.model()
    _check_dials(design, scenario, model)
    turned = {(dial.part, dial.name) for dial in scenario.dials}
    rate_is_free = turned.isdisjoint({("course", "flare_rate"), ("effect", "flare_hazard_ratio")})
    if scenario.response is not None:
        model = _with_confounding_for(scenario.response, design, model, power, rate_is_free=rate_is_free)
    try:
        calibration = calibration_for(design, model, rate_is_free=rate_is_free, power=power)
    except CalibrationError as error:
        if not limits:
            raise
        raise with_limits(error, design, scenario, model, rate_is_free=rate_is_free) from None
    if ("course", "eskd_rate") in turned:
        check_kidney_failures(design, model, rate_is_free=rate_is_free)
    # What a study sets bears on nothing that is calibrated.
    own = () if design.record is None else study_dials(design.record, model)
    own = tuple(dial for dial in own if dial.part == "assignment" or (dial.part, dial.name) not in turned)
    return Setting(design, scenario, turn(model, own), calibration, own)


def average_difference(population: CalibratedPopulation, measure: Measure, visit: int) -> float:
    """Return the average treatment effect on a response measure at a visit: first arm minus reference."""
    lowest = COMPLETE if measure is Measure.COMPLETE_RESPONSE else NO_RESPONSE + 1
    first, reference = population.courses[0], population.courses[-1]
    return float(np.mean(first.state[:, visit] >= lowest) - np.mean(reference.state[:, visit] >= lowest))


def _check_dials(design: Design, scenario: Scenario, model: PatientModel) -> None:
    plan = schedule(design.months, model.calendar)
    needed = int(plan.day[-1] + plan.window[-1])
    lock = date.fromisoformat(model.calendar.data_lock)
    accrual = (lock - date(model.calendar.first_index_year, 1, 1)).days
    if accrual < needed:
        raise CalibrationError(
            "the last visit does not fit between the first index date and the data lock",
            where=f"dials calendar.first_index_year and calendar.data_lock, study {design.study}",
            got=f"{accrual} days, and {needed} are needed",
            remedy=f"choose first_index_year at most {(lock - timedelta(days=needed)).year}",
        )
    turned = {(dial.part, dial.name) for dial in scenario.dials}
    if ("course", "death_rate") in turned:
        kept = retained(design.counts.assessed, design.sizes, model.missing)
        deaths = mortality(model.course.death_rate, plan.day, kept, design.sizes)
        room = deaths.cumulative[-1] / plan.day[-1] * 365.25 * 100
        if room < model.course.death_rate * (1 - 1e-9):
            raise CalibrationError(
                "more deaths than patients who leave: the printed numbers of assessed patients leave no room",
                where=f"dial course.death_rate, study {design.study}",
                got=f"{model.course.death_rate:g}",
                remedy=f"choose at most {np.floor(room * 1000) / 1000:g}",
            )
    if design.randomised and model.assignment.strength not in (0.0, AssignmentModel().strength):
        raise CalibrationError(
            "the arms of a randomised study are not confounded",
            where=f"dial assignment.strength, study {design.study}",
            got=f"{model.assignment.strength:g}",
            remedy="set it to 0 or leave it out",
        )
    share = model.missing.missed_visit_share
    if share > 0 and len(design.months) and (design.counts.assessed == design.sizes[:, None]).all():
        raise CalibrationError(
            "nobody can miss a visit",
            where=f"dial missing.missed_visit_share, study {design.study}",
            got=f"{share:g}, and every patient is assessed at every visit",
            remedy="set it to 0",
        )
    if model.effect.flare_hazard_ratio != 1.0 and len(design.sizes) < 2:
        raise CalibrationError(
            "an effect needs two arms",
            where=f"dial effect.flare_hazard_ratio, study {design.study}",
            got=f"{len(design.sizes)} arm",
            remedy="leave it out",
        )


def _with_confounding_for(
    wanted: ResponseEffect, design: Design, model: PatientModel, power: int, *, rate_is_free: bool
) -> PatientModel:
    from scipy.optimize import brentq

    months = design.months.tolist()
    place = f"dial response.risk_difference, study {design.study}"
    if design.randomised or len(design.sizes) != 2:
        raise CalibrationError(
            "the effect on response is what print says",
            where=place,
            got=f"{len(design.sizes)} arms, {'randomised' if design.randomised else 'not randomised'}",
            remedy="leave the table [response] out: confounding can be solved for two arms that were not randomised",
        )
    if wanted.month not in months:
        raise CalibrationError(
            "no scheduled visit", where="dial response.month", got=str(wanted.month), remedy=f"choose one of {months}"
        )
    visit = months.index(wanted.month)

    def effect(strength: float) -> float:
        population = calibrated_population(
            design, _strength(model, strength), rate_is_free=rate_is_free, power=min(power, _POWER)
        )
        return average_difference(population, wanted.measure, visit)

    # The stronger the confounding, the larger the effect behind the same printed difference.
    near = 0.0
    reached = effect(near)
    direction = 1.0 if wanted.risk_difference > reached else -1.0
    while (wanted.risk_difference - reached) * direction > 0:
        far = near + direction * _STEP
        try:
            met = effect(far) if abs(far) <= _STRONGEST else None
        except CalibrationError:
            met = None
        if met is None:
            raise CalibrationError(
                "no admissible confounding explains the rest of the printed difference",
                where=f"{place}, {wanted.measure.value} at month {wanted.month}",
                got=f"{wanted.risk_difference:g}",
                remedy=f"choose a value up to {reached:.3f}, which {near:g} times the default confounding gives"
                if direction > 0
                else f"choose a value from {reached:.3f}, which {near:g} times the default confounding gives",
            )
        near, reached = far, met
    if near == 0.0:
        return _strength(model, 0.0)
    low, high = sorted((near, near - direction * _STEP))
    strength = brentq(lambda value: effect(value) - wanted.risk_difference, low, high, xtol=_TOLERANCE)
    # One secant step against the population that calibration itself walks.
    slope = (effect(high) - effect(low)) / (high - low)
    walked = calibrated_population(design, _strength(model, strength), rate_is_free=rate_is_free, power=power)
    strength += (wanted.risk_difference - average_difference(walked, wanted.measure, visit)) / slope
    return _strength(model, round(float(strength), 4))


def _strength(model: PatientModel, strength: float) -> PatientModel:
    return replace(model, assignment=replace(model.assignment, strength=strength))
