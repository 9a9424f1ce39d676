"""How far a dial may be turned: when print refuses a scenario, which dial stands in the way and up to what value."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

from cohort.errors import CalibrationError
from synthetic.calibrate import calibrated_population
from synthetic.course import NO_DAY
from synthetic.design import Design
from synthetic.dials import Dial, parameters
from synthetic.model import PatientModel
from synthetic.scenario import Scenario

_POWER = 13
_HALVINGS = 7
_NEARLY = 0.9
"""Part of the kidney failures asked for that must come."""


def with_limits(
    error: CalibrationError, design: Design, scenario: Scenario, model: PatientModel, *, rate_is_free: bool
) -> CalibrationError:
    """Return ``error`` with the dials that cause it, each with the farthest value at which print can be met.

    A dial causes it if print can be met with that dial at its default and all others as they are. The farthest value
    is found by halving, on a small population, so that it is about right; an error that no single dial causes is
    returned as it is.

    Parameters
    ----------
    error
        Why print could not be met.
    design, scenario, model
        Printed counts, the dials turned, and the model with them in place.
    rate_is_free
        As in :func:`synthetic.calibrate.calibrated_population`.
    """

    def attainable(candidate: PatientModel) -> bool:
        try:
            calibrated_population(design, candidate, rate_is_free=rate_is_free, power=_POWER)
        except CalibrationError:
            return False
        return True

    found = {dial: limit for dial in scenario.dials if (limit := _limit(dial, model, attainable)) is not None}
    if not found:
        return error
    names = [f"{dial.part}.{dial.name}" for dial in found]
    sides = [
        f"{name} at {'least' if limit > dial.value else 'most'} about {limit:g}"
        for name, (dial, limit) in zip(names, found.items(), strict=True)
    ]
    return CalibrationError(
        error.what,
        where=f"{'dial' if len(names) == 1 else 'dials'} {', '.join(names)}, study {design.study}, {error.where}",
        got=f"{', '.join(f'{dial.value:g}' for dial in found)}; {error.got}",
        remedy=f"choose {' or '.join(sides)}",
    )


def check_kidney_failures(design: Design, model: PatientModel, *, rate_is_free: bool) -> None:
    """Refuse a rate of kidney failure that too few patients without response leave no room for.

    Raises
    ------
    CalibrationError
        If fewer than nine tenths of the failures asked for would come; the message says what rate would.
    """
    asked = model.course.eskd_rate
    come = _kidney_failure_rate(design, model, asked, rate_is_free=rate_is_free)
    if come >= _NEARLY * asked:
        return
    possible = come
    while (found := _kidney_failure_rate(design, model, possible, rate_is_free=rate_is_free)) < _NEARLY * possible:
        possible = found
    raise CalibrationError(
        "more kidney failures than patients without response",
        where=f"dial course.eskd_rate, study {design.study}",
        got=f"{asked:g}, of which {come:.2g} would come",
        remedy=f"choose at most about {_rounded(possible, towards=0.0):g}",
    )


def _kidney_failure_rate(design: Design, model: PatientModel, asked: float, *, rate_is_free: bool) -> float:
    """Return the kidney failures per 100 patient-years from the first visit to the last that a rate gives."""
    candidate = dataclasses.replace(model, course=dataclasses.replace(model.course, eskd_rate=asked))
    walked = calibrated_population(design, candidate, rate_is_free=rate_is_free, power=_POWER)
    share = sum(
        float((walked.population.probability[:, arm] * (course.failure_day != NO_DAY)).mean())
        for arm, course in enumerate(walked.courses)
    )
    return share / float(walked.visit_day[-1] - walked.visit_day[0]) * 365.25 * 100


def _limit(dial: Dial, model: PatientModel, attainable: Callable[[PatientModel], bool]) -> float | None:
    """Return the value nearest to that of ``dial`` that is attainable, or ``None`` if the dial is not what matters."""
    default = parameters(dial.part)[dial.name].default
    if not isinstance(default, float) or dial.value == default:
        return None

    def turned(value: float) -> PatientModel:
        part = dataclasses.replace(getattr(model, dial.part), **{dial.name: value})
        return dataclasses.replace(model, **{dial.part: part})

    if not attainable(turned(default)):
        return None
    good, bad = default, float(dial.value)
    for _ in range(_HALVINGS):
        middle = (good + bad) / 2
        good, bad = (middle, bad) if attainable(turned(middle)) else (good, middle)
    return _rounded(good, towards=default)


def _rounded(value: float, *, towards: float) -> float:
    """Round to three significant digits, to the side of ``towards``."""
    if value in (0.0, towards):
        return value
    step = 10.0 ** (math.floor(math.log10(abs(value))) - 2)
    rounded = math.ceil(value / step) if towards > value else math.floor(value / step)
    return float(f"{rounded * step:.3g}")
