"""Protects the named definitions: their published thresholds, how they are found, and which parameters contradict."""

from __future__ import annotations

import dataclasses

import pytest

from cohort.codes import Status
from cohort.definitions import KDIGO_2012, KIM2025, KIM2025_STRICT, FlareDefinition, ResponseDefinition
from cohort.definitions import response_definition as named
from cohort.errors import DefinitionError


def test_thresholds_of_the_study_are_those_of_its_abstracts() -> None:
    assert (KIM2025.complete_upcr_below, KIM2025.creatinine_rise_below, KIM2025.partial_reduction) == (0.5, 0.15, 0.5)
    for name in ("complete_upcr_below", "creatinine_rise_below", "partial_reduction"):
        (field,) = (field for field in dataclasses.fields(ResponseDefinition) if field.name == name)
        assert field.metadata["status"] is Status.REPORTED_EARLIER
        assert "Lupus Sci Med" in field.metadata["source"]


@pytest.mark.parametrize("group", [ResponseDefinition, FlareDefinition])
def test_every_threshold_has_a_unit_a_status_and_a_source(group: type) -> None:
    for field in dataclasses.fields(group):
        if field.name != "name":
            assert field.metadata["unit"], field.name
            assert field.metadata["source"], field.name
            assert isinstance(field.metadata["status"], Status)


def test_thresholds_the_source_leaves_open_are_called_assumed() -> None:
    assumed = {
        field.name for field in dataclasses.fields(ResponseDefinition) if field.metadata.get("status") is Status.ASSUMED
    }
    assert assumed == {
        "creatinine_reading", "partial_upcr_below", "near_normal_egfr", "normal_creatinine_women",
        "normal_creatinine_men",
    }  # fmt: skip


def test_the_two_readings_differ_in_nothing_else() -> None:
    assert dataclasses.replace(KIM2025_STRICT, name="kim2025", creatinine_reading="either") == KIM2025


def test_definitions_are_found_by_name() -> None:
    assert named("kim2025") is KIM2025
    assert named("kim2025_strict") is KIM2025_STRICT


@pytest.mark.parametrize("name", ["", "KIM2025", "kdigo2024"])
def test_an_unknown_name_lists_the_known(name: str) -> None:
    wanted = f"--definition: no response definition of that name; got '{name}'; choose one of kim2025, kim2025_strict"
    with pytest.raises(DefinitionError, match=wanted):
        named(name)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"creatinine_reading": "or"}, "mine: creatinine_reading is 'either' or 'both'; got 'or'"),
        ({"partial_reduction": 0.0}, "partial_reduction lies between 0 and 1; got 0"),
        ({"partial_reduction": 1.0}, "partial_reduction lies between 0 and 1; got 1"),
        ({"partial_upcr_below": 0.5}, "partial_upcr_below must exceed complete_upcr_below; got 0.5"),
        ({"complete_upcr_below": 0.125}, "complete_upcr_below is finer than the laboratory values .* steps of 0.01"),
        ({"normal_creatinine_men": 1.205}, "normal_creatinine_men is finer than the laboratory values"),
        ({"near_normal_egfr": 59.95}, "near_normal_egfr is finer than .*; got 59.95; give it in steps of 0.1"),
    ],
)
def test_parameters_that_contradict_are_refused(parameters: dict[str, object], message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        ResponseDefinition(name="mine", **parameters)  # type: ignore[arg-type]


def test_definitions_cannot_be_changed_in_place() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        KDIGO_2012.merge_days = 30  # type: ignore[misc]


def test_definitions_in_words_hold_their_thresholds() -> None:
    words = KIM2025.in_words
    for threshold in ("0.5 g/g", "15 %", "50 % of the start", "3.5 g/g", "least 60", "1 mg/dL in women, 1.2 in men"):
        assert threshold in words
    assert "or, if normal" in words
    assert "and, if normal" in KIM2025_STRICT.in_words
    assert "KDIGO 2012" in KDIGO_2012.in_words
