"""Dials: every parameter of the model has a range that holds its default, and says what is wrong with anything else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from synthetic.dials import ANY, PARTS, Range, admissible, contradiction, parameters, problem
from synthetic.model import PatientModel

EVERY = [(part, name) for part in PARTS for name in parameters(part)]
NUMBERS = [(part, name) for part, name in EVERY if not isinstance(parameters(part)[name].default, str)]
MODEL = PatientModel()


def turned(part: str, **values: Any) -> PatientModel:
    return replace(MODEL, **{part: replace(getattr(MODEL, part), **values)})


def test_every_default_is_admissible_and_every_number_has_a_range_of_its_own() -> None:
    for part, name in EVERY:
        default = parameters(part)[name].default
        assert problem(part, name, list(default) if isinstance(default, tuple) else default) is None, (part, name)
    for part, name in NUMBERS:
        allowed = admissible(part, name)
        assert allowed is not None
        assert allowed is not ANY, f"{part}.{name}: give its unit a range"
        assert allowed.low < allowed.high
    assert contradiction(MODEL) is None
    assert len(NUMBERS) > 100


@pytest.mark.parametrize(("part", "name"), NUMBERS)
def test_beyond_the_ends_of_a_range_is_a_problem_that_tells_the_range(part: str, name: str) -> None:
    allowed, default = admissible(part, name), parameters(part)[name].default
    assert allowed is not None
    for value in (allowed.low - 1, allowed.high + 1, float("nan"), float("inf"), "1", True, None):
        given = [value, *default[1:]] if isinstance(default, tuple) else value
        assert str(allowed) in str(problem(part, name, given))


def test_ranges_speak() -> None:
    assert str(Range(0, 1)) == "between 0 and 1"
    assert str(Range(-1, 1, open_ends=True)) == "between -1 and 1, both excluded"
    assert Range(0, 1).holds(0)
    assert Range(0, 1).holds(1)
    assert not Range(0, 1, open_ends=True).holds(0)
    assert not Range(0, 1, open_ends=True).holds(1)


def test_text_has_no_range() -> None:
    assert admissible("calendar", "data_lock") is None
    assert admissible("missing", "mechanism") is None


@pytest.mark.parametrize(
    ("part", "name", "value", "words"),
    [
        ("missing", "mechanism", "mnar", "expected one of mcar, mar, informative"),
        ("missing", "mechanism", ["mar"], "expected one of mcar, mar, informative"),
        ("calendar", "data_lock", "2021-13-01", "expected a date such as 2021-12-31"),
        ("calendar", "data_lock", "20211231", "expected a date"),
        ("calendar", "data_lock", "1850-01-01", "expected a date"),
        ("calendar", "data_lock", 2021, "expected a date"),
        ("baseline", "class_mix", [1.0], "expected 6 numbers"),
        ("baseline", "class_mix", 0.5, "expected 6 numbers"),
        ("baseline", "class_mix", [0.5, 0.5, 0.5, 0.0, 0.0, 0.0], "expected numbers that sum to 1"),
        ("treatment", "background_share", [1.5, -0.25, -0.25], "expected a number between 0 and 1"),
        ("treatment", "induction_days", [90.5, 270], "expected a whole number between 1 and 3650"),
        ("centres", "number", 3.0, "expected a whole number between 1 and 1000"),
        ("centres", "number", 10**400, "expected a whole number"),
    ],
)
def test_what_is_wrong_is_said(part: str, name: str, value: object, words: str) -> None:
    assert words in str(problem(part, name, value))


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (turned("baseline", age_mean=80.0), "baseline.age_minimum < age_mean < age_maximum"),
        (turned("baseline", shortest_life_before_sle=30.0), "shortest_life_before_sle at most age_minimum"),
        (turned("baseline", upcr_maximum=2.0), "baseline.upcr_minimum < upcr_median < upcr_maximum"),
        (turned("baseline", creatinine_minimum=1.5), "creatinine_minimum < creatinine_median < creatinine_maximum"),
        (turned("calendar", first_index_year=2022), "calendar.first_index_year before data_lock"),
        (turned("calendar", visit_window_months=(6, 6, 24, 36, 60)), "calendar.visit_window_months increasing"),
        (turned("kidney", dialysis_egfr=(9.0, 9.0)), "kidney.dialysis_egfr increasing and below failure_egfr"),
        (turned("kidney", failure_egfr=13.5), "kidney.dialysis_egfr increasing and below failure_egfr"),
        (turned("treatment", induction_days=(200, 100)), "treatment.induction_days not decreasing"),
    ],
)
def test_dials_that_contradict_each_other(model: PatientModel, words: str) -> None:
    assert words in str(contradiction(model))
