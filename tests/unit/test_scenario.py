"""Scenario files: what they hold, what stays at its default, and where each value says it comes from."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from contextlib import AbstractContextManager
from importlib import resources
from pathlib import Path

import pytest

from cohort.codes import Status
from cohort.errors import ScenarioError
from cohort.record import Measure, Study
from synthetic.dials import parameters
from synthetic.generate import generate_exact
from synthetic.model import PatientModel
from synthetic.scenario import (
    DEFAULT_SCENARIO,
    ResponseEffect,
    Scenario,
    available_scenarios,
    load_scenario,
    read_scenario,
)
from synthetic.scenario_notes import scenario_notes

BORROWED = '[course]\nzoster_rate = { value = 8, status = "borrowed", source = "a registry" }\n'


def test_the_default_file_turns_no_dial_away_from_its_default() -> None:
    text = (resources.files("synthetic") / "scenarios" / "default.toml").read_text("utf-8")
    tables = {key: table for key, table in tomllib.loads(text).items() if isinstance(table, dict)}
    assert sum(map(len, tables.values())) > 15
    for part, table in tables.items():
        for name, value in table.items():
            given = value["value"] if isinstance(value, dict) else value
            assert given == parameters(part)[name].default, f"{part}.{name}"
    assert load_scenario("default") == DEFAULT_SCENARIO
    assert DEFAULT_SCENARIO.model() == PatientModel()


@pytest.mark.parametrize("name", available_scenarios())
def test_carried_scenarios_can_be_read_by_name_and_by_path(name: str, tmp_path: Path) -> None:
    text = (resources.files("synthetic") / "scenarios" / f"{name}.toml").read_text("utf-8")
    (tmp_path / f"{name}.toml").write_text(text)
    scenario = load_scenario(name)
    assert scenario.name == name
    assert scenario.description
    assert load_scenario(tmp_path / f"{name}.toml") == load_scenario(str(tmp_path / f"{name}.toml")) == scenario


def test_a_file_without_a_name_is_called_after_itself() -> None:
    assert read_scenario("", where="folder/mine.toml") == Scenario("mine")


def test_values_are_of_the_type_of_the_parameter() -> None:
    text = "[course]\nflare_rate = 12\n[centres]\nnumber = 3\n[kidney]\ndialysis_egfr = [6, 12]\n"
    model = read_scenario(text, where="x.toml").model()
    assert isinstance(model.course.flare_rate, float)
    assert isinstance(model.centres.number, int)
    assert model.kidney.dialysis_egfr == (6.0, 12.0)
    assert isinstance(model.kidney.dialysis_egfr[0], float)


def test_a_dial_says_where_its_value_comes_from() -> None:
    scenario = read_scenario(BORROWED + "flare_rate = 12.0\n", where="mine.toml")
    zoster, flares = scenario.dials
    assert (zoster.value, zoster.status, zoster.source) == (8.0, Status.BORROWED, "a registry")
    assert (flares.status, flares.source) == (Status.ASSUMED, "scenario mine")
    table = scenario.provenance(scenario.model()).set_index("parameter")
    assert table.loc["zoster_rate", ["value", "status", "source"]].tolist() == ["8", "borrowed", "a registry"]
    untouched = PatientModel().course
    assert table.loc["malignancy_rate", "value"] == f"{untouched.malignancy_rate:g}"


def test_an_effect_asked_for_makes_the_strength_derived() -> None:
    text = '[response]\nmeasure = "overall_response"\nmonth = 24\nrisk_difference = -0.1\n'
    scenario = read_scenario(text, where="mine.toml")
    assert scenario.response == ResponseEffect(Measure.OVERALL_RESPONSE, 24, -0.1)
    table = scenario.provenance(scenario.model())
    row = table[(table["set"] == "AssignmentModel") & (table["parameter"] == "strength")].iloc[0]
    assert (row["status"], row["source"]) == ("derived", "solved for the effect of mine")
    assert scenario_notes(scenario, scenario.model())["dials"] == {
        "response.risk_difference": -0.1,
        "response.measure": "overall_response",
        "response.month": 24,
        "assignment.strength": 1.0,
    }


def test_a_scenario_is_written_into_the_cohort(
    cheaply: Callable[[int], AbstractContextManager[None]], study: Study
) -> None:
    scenario = read_scenario('name = "zoster"\ndescription = "often"\n' + BORROWED, where="mine.toml")
    with cheaply(10):
        notes = generate_exact(study, seed=3, scenario=scenario).cohort.notes
    assert notes["scenario"] == {"name": "zoster", "description": "often", "dials": {"course.zoster_rate": 8.0}}
    (row,) = [row for row in notes["assumptions"] if row["parameter"] == "zoster_rate"]
    assert (row["value"], row["status"], row["source"]) == ("8", "borrowed", "a registry")


def test_a_month_that_is_no_whole_number_is_refused() -> None:
    for month in ("12.0", "true", '"12"'):
        text = f'[response]\nmeasure = "overall_response"\nmonth = {month}\nrisk_difference = 0.0\n'
        with pytest.raises(ScenarioError, match=r"response\.month: expected a month of a scheduled visit"):
            read_scenario(text, where="x.toml")
