"""The dials of the patient model: every parameter by its part and name, and what values it may take."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

from cohort.codes import Status
from synthetic.missing import Mechanism
from synthetic.model import PatientModel

PARTS: tuple[str, ...] = tuple(field.name for field in dataclasses.fields(PatientModel))
"""Names of the parts of the patient model; the tables of a scenario file."""

_MIXES = ("class_mix", "background_share", "induction_share")
_SHARES = ("proportion", "share", "probability", "significance level")
_RATIOS = ("hazard ratio", "ratio", "mean hazard ratio")
_RATES = ("per 100 patient-years",)
_AMOUNTS = ("years", "g/g", "mg/dL", "mg/day", "ng/mL", "IU/mL", "g/dL", "mL/min", "months", "days", "points", "SD")
_NEGATIVE_ALLOWED = ("per unit", "per log", "SD of score per", "SD per SD", "per SD")


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
        if math.isinf(self.high):
            return f"above {self.low:g}" if self.open_ends else f"at least {self.low:g}"
        return (
            f"between {self.low:g} and {self.high:g}" if not self.open_ends else f"within ({self.low:g}, {self.high:g})"
        )


def parameters(part: str) -> dict[str, dataclasses.Field[Any]]:
    """Return the parameters of a part of the model by name."""
    return {field.name: field for field in dataclasses.fields(getattr(PatientModel(), part))}


def admissible(name: str, unit: str) -> Range | None:
    """Return the range of a number by the unit it is declared with, or ``None`` if any finite number will do."""
    if name == "missed_visit_share":
        return Range(0.0, 1.0)
    if unit.startswith(_SHARES):
        return Range(0.0, 1.0)
    if unit.startswith("correlation"):
        return Range(-1.0, 1.0, open_ends=True)
    if unit.startswith(_RATIOS):
        return Range(0.0, math.inf, open_ends=True)
    if unit.startswith(_RATES):
        return Range(0.0, 1000.0)
    if name.endswith("_sd"):
        return Range(0.0, math.inf)
    if unit == "centres":
        return Range(1, 1000)
    if unit.startswith(_AMOUNTS) and not any(words in unit for words in _NEGATIVE_ALLOWED):
        return Range(0.0, math.inf)
    return None


def problem(part: str, name: str, value: object) -> str | None:
    """Return what is wrong with ``value`` for a parameter, or ``None``: wrong type, length, range or sum."""
    field = parameters(part)[name]
    default, unit = field.default, str(field.metadata["unit"])
    if name == "mechanism":
        return None if value in list(Mechanism) else f"expected one of {', '.join(Mechanism)}"
    if isinstance(default, str):
        return None if isinstance(value, str) else f"expected text ({unit})"
    if isinstance(default, tuple):
        if not isinstance(value, (list, tuple)) or len(value) != len(default):
            return f"expected {len(default)} numbers ({unit})"
        found = (_number_problem(name, unit, item, type(default[0])) for item in value)
        first = next((text for text in found if text), None)
        if first is None and name in _MIXES and not math.isclose(sum(value), 1.0, abs_tol=1e-9):
            return f"expected numbers that sum to 1 ({unit})"
        return first
    return _number_problem(name, unit, value, type(default))


def _number_problem(name: str, unit: str, value: object, kind: type) -> str | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return f"expected a number ({unit})"
    if kind is int and not isinstance(value, int):
        return f"expected a whole number ({unit})"
    allowed = admissible(name, unit)
    return None if allowed is None or allowed.holds(value) else f"expected a number {allowed} ({unit})"


def contradiction(model: PatientModel) -> str | None:
    """Return which dials of a model contradict each other, or ``None``."""
    base, calendar = model.baseline, model.calendar
    ordered = (
        ("baseline.age_minimum < age_mean < age_maximum", (base.age_minimum, base.age_mean, base.age_maximum)),
        (
            "baseline.upcr_minimum < upcr_median < upcr_maximum",
            (base.upcr_minimum, base.upcr_median, base.upcr_maximum),
        ),
        (
            "baseline.creatinine_minimum < creatinine_median < creatinine_maximum",
            (base.creatinine_minimum, base.creatinine_median, base.creatinine_maximum),
        ),
        (
            "calendar.first_index_year before data_lock",
            (float(calendar.first_index_year), float(calendar.data_lock[:4])),
        ),
    )
    return next((words for words, values in ordered if list(values) != sorted(set(values))), None)
