"""The dials of the patient model: every parameter by its part and name, and what values it may take."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Any

from cohort.codes import Status
from synthetic.missing import Mechanism
from synthetic.model import PatientModel

PARTS: tuple[str, ...] = tuple(field.name for field in dataclasses.fields(PatientModel))
"""Names of the parts of the patient model; the tables of a scenario file."""

_MIXES = ("class_mix", "elsewhere", "background_share", "induction_share")


@dataclass(frozen=True, slots=True)
class Dial:
    """One parameter set to another value, with where the value comes from."""

    part: str
    name: str
    value: Any
    status: Status
    source: str


@dataclass(frozen=True, slots=True)
class Range:
    """Admissible values: from ``low`` to ``high``, the ends included unless ``open_ends``."""

    low: float
    high: float
    open_ends: bool = False

    def holds(self, value: float) -> bool:
        """Return whether ``value`` is admissible."""
        if self.open_ends:
            return self.low < value < self.high
        return self.low <= value <= self.high

    def __str__(self) -> str:
        between = f"{self.low:g} and {self.high:g}"
        return f"between {between}" + (", both excluded" if self.open_ends else "")


ANY = Range(-1000.0, 1000.0)
"""Range of a parameter whose unit has none of its own."""

# Wide enough for any cohort one would believe in, narrow enough that no laboratory value leaves the schema, no
# logarithm meets a zero and no exponential overflows. The first unit that a parameter's unit begins with decides.
_BY_UNIT: tuple[tuple[tuple[str, ...], Range], ...] = (
    (("proportion", "share", "probability", "significance level", "weight of"), Range(0.0, 1.0)),
    (("correlation",), Range(-1.0, 1.0, open_ends=True)),
    (("hazard ratio", "ratio", "mean hazard ratio"), Range(0.01, 100.0)),
    (("per 100 patient-years",), Range(0.0, 1000.0)),
    (("log odds per unit", "log per unit", "log of"), Range(-2.0, 2.0)),
    (("log odds",), Range(-10.0, 10.0)),
    (("log mg/dL per visit",), Range(-1.0, 1.0)),
    (("log g/g", "log mg/dL", "log IU/mL", "log mg/day"), Range(0.0, 3.0)),
    (("log per field",), Range(-5.0, 5.0)),
    (("SD of score per", "SD per SD"), Range(-10.0, 10.0)),
    (("SD of",), Range(0.0, 10.0)),
    (("units of activity", "activity per"), Range(-3.0, 3.0)),
    (("activity",), Range(0.0, 3.0)),
    (("highest",), Range(1.0, 10.0)),
    (("mg/dL per", "g/dL per"), Range(-100.0, 100.0)),
    (("mg/dL", "g/dL", "IU/mL", "ng/mL"), Range(0.0, 1000.0)),
    (("mg/day",), Range(0.0, 10_000.0)),
    (("power of",), Range(0.0, 5.0)),
    (("mL/min",), Range(0.0, 200.0)),
    (("points per",), Range(0.1, 100.0)),
    (("points",), Range(0.0, 24.0)),
    (("years",), Range(0.1, 110.0)),
    (("months",), Range(0.1, 1200.0)),
    (("calendar year",), Range(1950, 2100)),
    (("centres",), Range(1, 1000)),
)
_OWN: dict[str, Range] = {
    # A partial response must be possible and a complete one printable: half of the baseline is at least 0.5 g/g.
    "baseline.upcr_minimum": Range(1.0, 50.0),
    "baseline.upcr_median": Range(1.0, 50.0),
    "baseline.upcr_maximum": Range(1.0, 50.0),
    "baseline.creatinine_minimum": Range(0.35, 15.0),
    "baseline.creatinine_median": Range(0.35, 15.0),
    "baseline.creatinine_maximum": Range(0.35, 15.0),
    "baseline.shortest_life_before_sle": Range(0.0, 110.0),
    "assignment.strength": Range(-8.0, 8.0),
    "assignment.log_upcr_sd": Range(0.01, 10.0),
    "assignment.calendar_year": Range(-0.5, 0.5),
    "assignment.smd_cap": Range(0.0, 10.0),
    "calendar.visit_window_months": Range(0, 1200),
    "calendar.visit_window_days": Range(0, 365),
    "centres.practice_sd": Range(0.0, 10.0),
    "course.chronicity_centre": Range(0.0, 12.0),
    "kidney.upcr_lowest": Range(0.01, 0.45),
    "kidney.upcr_highest": Range(6.0, 100.0),
    "kidney.failure_upcr": Range(0.5, 100.0),
    "kidney.failure_egfr": Range(3.0, 45.0),
    "kidney.dialysis_egfr": Range(2.5, 14.9),
    "treatment.tacrolimus_dose": Range(0.1, 100.0),
    "treatment.tacrolimus_trough_mean": Range(0.1, 60.0),
    "treatment.induction_days": Range(1, 3650),
    "laboratory.activity_upcr_floor": Range(0.01, 20.0),
    "laboratory.rbc_log_sd": Range(0.0, 3.0),
    "laboratory.c4_median": Range(0.1, 1000.0),
    "laboratory.dsdna_median": Range(0.1, 1000.0),
    "missing.strength": Range(-10.0, 10.0),
}


def parameters(part: str) -> dict[str, dataclasses.Field[Any]]:
    """Return the parameters of a part of the model by name."""
    return {field.name: field for field in dataclasses.fields(getattr(PatientModel(), part))}


def admissible(part: str, name: str) -> Range | None:
    """Return the range of a numeric parameter, or ``None`` for text.

    Examples
    --------
    >>> str(admissible("course", "flare_rate"))
    'between 0 and 1000'
    """
    field = parameters(part)[name]
    if isinstance(field.default, str):
        return None
    unit = str(field.metadata["unit"])
    if name in _MIXES:
        return Range(0.0, 1.0)
    by_unit = (allowed for beginnings, allowed in _BY_UNIT if unit.startswith(beginnings))
    return _OWN.get(f"{part}.{name}") or next(by_unit, ANY)


def problem(part: str, name: str, value: object) -> str | None:
    """Return what is wrong with ``value`` for a parameter, or ``None``: wrong type, length, range or sum."""
    field = parameters(part)[name]
    default, unit = field.default, str(field.metadata["unit"])
    if name == "mechanism":
        return None if value in list(Mechanism) else f"expected one of {', '.join(Mechanism)}"
    if isinstance(default, str):
        return None if _is_date(value) else f"expected a {unit} such as {default}"
    if isinstance(default, tuple):
        if not isinstance(value, (list, tuple)) or len(value) != len(default):
            return f"expected {len(default)} numbers ({unit})"
        found = (_number_problem(part, name, item, type(default[0])) for item in value)
        first = next((text for text in found if text), None)
        if first is None and name in _MIXES and not math.isclose(sum(value), 1.0, abs_tol=1e-9):
            return f"expected numbers that sum to 1 ({unit})"
        return first
    return _number_problem(part, name, value, type(default))


def _number_problem(part: str, name: str, value: object, kind: type) -> str | None:
    unit, allowed = parameters(part)[name].metadata["unit"], admissible(part, name)
    kind_of_number = "a whole number" if kind is int else "a number"
    sound = isinstance(value, int if kind is int else (int, float)) and not isinstance(value, bool)
    # Not-a-number is outside every range.
    if sound and allowed is not None and allowed.holds(value):  # type: ignore[arg-type]
        return None
    return f"expected {kind_of_number} {allowed} ({unit})"


def _is_date(value: object) -> bool:
    try:
        return isinstance(value, str) and 1950 <= date.fromisoformat(value).year <= 2100 and len(value) == 10
    except ValueError:
        return False


def contradiction(model: PatientModel) -> str | None:
    """Return which dials of a model contradict each other, as what has to hold, or ``None``."""
    base, calendar, kidney, days = model.baseline, model.calendar, model.kidney, model.treatment.induction_days
    low, high = kidney.dialysis_egfr
    first, lock = date(calendar.first_index_year, 1, 1), date.fromisoformat(calendar.data_lock)
    months = calendar.visit_window_months
    rules = (
        ("baseline.age_minimum < age_mean < age_maximum", base.age_minimum < base.age_mean < base.age_maximum),
        (
            "baseline.shortest_life_before_sle at most age_minimum",
            base.shortest_life_before_sle <= base.age_minimum,
        ),
        (
            "baseline.upcr_minimum < upcr_median < upcr_maximum",
            base.upcr_minimum < base.upcr_median < base.upcr_maximum,
        ),
        (
            "baseline.creatinine_minimum < creatinine_median < creatinine_maximum",
            base.creatinine_minimum < base.creatinine_median < base.creatinine_maximum,
        ),
        ("calendar.first_index_year before data_lock", first < lock),
        ("calendar.visit_window_months increasing", all(one < other for one, other in pairwise(months))),
        ("kidney.dialysis_egfr increasing and below failure_egfr", low < high < kidney.failure_egfr),
        ("treatment.induction_days not decreasing", days[0] <= days[1]),
    )
    return next((words for words, holds in rules if not holds), None)
