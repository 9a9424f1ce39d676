"""Scenarios: the dials of the patient model in one TOML file, each with where its value comes from.

A table of the file is a part of the model (``course``, ``missing``, ...), a key a parameter; a value is a number, or a
table with ``value``, ``status`` and ``source``. What is not named keeps its default. Confounding is free
(``assignment.strength``) and the effect on response follows from print, or the effect is asked for (``[response]``)
and the confounding follows: print fixes their sum, so both at once is an error.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import pandas as pd

from cohort.codes import Status
from cohort.errors import ScenarioError
from cohort.provenance import provenance_table
from cohort.record import Measure
from cohort.toml_document import TomlDocument, carried_names, closest, named_text, read_toml
from synthetic.dials import PARTS, Dial, contradiction, parameters, problem
from synthetic.model import PatientModel

_RESPONSES = {measure.value: measure for measure in (Measure.COMPLETE_RESPONSE, Measure.OVERALL_RESPONSE)}
_CARRIED = resources.files("synthetic") / "scenarios"
_TOP = ("name", "description", "response", *PARTS)


@dataclass(frozen=True, slots=True)
class ResponseEffect:
    """A true effect on response asked for: the risk difference (ATE) of ``measure`` at ``month``."""

    measure: Measure
    month: int
    risk_difference: float


@dataclass(frozen=True, slots=True)
class Scenario:
    """Dials turned away from their defaults; ``response`` is ``None`` where confounding is free."""

    name: str
    description: str = ""
    dials: tuple[Dial, ...] = ()
    response: ResponseEffect | None = None

    def model(self) -> PatientModel:
        """Return the patient model with these dials, the strength of confounding not yet solved for."""
        model = PatientModel()
        for dial in self.dials:
            part = dataclasses.replace(getattr(model, dial.part), **{dial.name: dial.value})
            model = dataclasses.replace(model, **{dial.part: part})
        return model

    def provenance(self, model: PatientModel) -> pd.DataFrame:
        """List the parameters of ``model`` as :func:`cohort.provenance.provenance_table` does, dials with their own."""
        table = provenance_table(*model.parts)
        for dial in self.dials:
            rows = (table["set"] == type(getattr(model, dial.part)).__name__) & (table["parameter"] == dial.name)
            table.loc[rows, ["status", "source"]] = [str(dial.status), dial.source]
        if self.response is not None:
            rows = (table["set"] == type(model.assignment).__name__) & (table["parameter"] == "strength")
            table.loc[rows, ["status", "source"]] = [str(Status.DERIVED), f"solved for the effect of {self.name}"]
        return table


DEFAULT_SCENARIO = Scenario("default", "The default patient model")
"""Every dial at its default."""


def available_scenarios() -> tuple[str, ...]:
    """Return the names of the scenarios that lncohort carries, in alphabetical order.

    Examples
    --------
    >>> "randomised" in available_scenarios()
    True
    """
    return carried_names(_CARRIED)


def load_scenario(name_or_path: str | Path) -> Scenario:
    """Read a scenario that lncohort carries, by name, or any TOML file, by path.

    Raises
    ------
    ScenarioError
        If it is unknown or unreadable, or a dial is unknown, of the wrong type or out of range, or dials contradict
        each other; the message gives the line and the dial.

    Examples
    --------
    >>> load_scenario("randomised").model().assignment.strength
    0.0
    """
    where, text = named_text(name_or_path, folder=_CARRIED, what="scenario", option="--scenario", error=ScenarioError)
    return read_scenario(text, where=where)


def read_scenario(text: str, *, where: str) -> Scenario:
    """Parse and check the text of a scenario file; ``where`` names it in messages.

    Raises
    ------
    ScenarioError
        As :func:`load_scenario` does.
    """
    document = read_toml(text, where=where, error=ScenarioError)
    for key in document.data:
        if key not in _TOP:
            raise document.fail("unknown key", (key,), got=key, remedy=closest(key, _TOP, "the keys here are"))
    name = _text(document, "name", Path(where).stem)
    given = [_dial(document, part, key, name) for part in PARTS for key in _table(document, part)]
    response = _response(document) if "response" in document.data else None
    if response is not None and any((dial.part, dial.name) == ("assignment", "strength") for dial in given):
        raise document.fail(
            "confounding and the effect on response are both given, but print fixes their sum",
            ("assignment", "strength"),
            remedy="leave out assignment.strength or the table [response]",
        )
    # A dial left at its default keeps the provenance of the default.
    turned = tuple(dial for dial in given if dial.value != parameters(dial.part)[dial.name].default)
    scenario = Scenario(name, _text(document, "description", ""), turned, response)
    found = contradiction(scenario.model())
    if found is not None:
        raise document.fail("dials contradict each other", (), remedy=f"keep {found}")
    return scenario


def _table(document: TomlDocument, key: str) -> Mapping[str, Any]:
    table = document.data.get(key, {})
    if not isinstance(table, Mapping):
        raise document.fail(f"expected a table [{key}]", (key,), got=repr(table))
    return table


def _text(document: TomlDocument, key: str, default: str) -> str:
    value = document.data.get(key, default)
    if not isinstance(value, str):
        raise document.fail("expected some text in quotes", (key,), got=repr(value))
    return value


def _dial(document: TomlDocument, part: str, key: str, scenario: str) -> Dial:
    given = document.data[part][key]
    known = parameters(part)
    if key not in known:
        raise document.fail("unknown dial", (part, key), got=key, remedy=closest(key, [*known], "the dials here are"))
    status, source, value = Status.ASSUMED, f"scenario {scenario}", given
    if isinstance(given, Mapping):
        if set(given) - {"value", "status", "source"} or "value" not in given:
            raise document.fail(
                "expected a value, or a table with value, status and source", (part, key), got=repr(dict(given))
            )
        value, source = given["value"], str(given.get("source", source))
        if given.get("status", status) not in list(Status):
            raise document.fail(f"expected a status of {', '.join(Status)}", (part, key), got=repr(given["status"]))
        status = Status(given.get("status", status))
    wrong = problem(part, key, value)
    if wrong is not None:
        raise document.fail(wrong, (part, key), got=repr(value))
    default = known[key].default
    if isinstance(default, tuple):
        value = tuple(type(default[0])(item) for item in value)
    elif isinstance(default, float):
        value = float(value)
    return Dial(part, key, value, status, source)


def _response(document: TomlDocument) -> ResponseEffect:
    table = _table(document, "response")
    keys = ("measure", "month", "risk_difference")
    for key in table:
        if key not in keys:
            raise document.fail(
                "unknown key", ("response", key), got=key, remedy=closest(key, keys, "the keys here are")
            )
    missing = [key for key in keys if key not in table]
    if missing:
        raise document.fail(f"missing key {missing[0]}", ("response",), remedy=f"add {missing[0]} = ...")
    measure, month, difference = (table[key] for key in keys)
    if not isinstance(measure, str) or measure not in _RESPONSES:
        raise document.fail(f"expected one of {', '.join(_RESPONSES)}", ("response", "measure"), got=repr(measure))
    if isinstance(month, bool) or not isinstance(month, int):
        raise document.fail("expected a month of a scheduled visit", ("response", "month"), got=repr(month))
    if isinstance(difference, bool) or not isinstance(difference, (int, float)) or not -1 < difference < 1:
        raise document.fail(
            "expected a difference between -1 and 1", ("response", "risk_difference"), got=repr(difference)
        )
    return ResponseEffect(_RESPONSES[measure], month, float(difference))
