"""docs/scenarios.md says what the dials are; the patient model agrees, and its example runs."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from synthetic.design import Design
from synthetic.dials import PARTS, parameters
from synthetic.scenario import available_scenarios, read_scenario
from synthetic.setting import settle

DOCS = Path(__file__).resolve().parents[2] / "docs"
DOCUMENT = (DOCS / "scenarios.md").read_text(encoding="utf-8")
EVERY = {f"{part}.{name}" for part in PARTS for name in parameters(part)}


@pytest.fixture(scope="module")
def maker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_dials", DOCS / "make_dials.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_tables_are_those_of_the_model(maker: ModuleType) -> None:
    _, written = DOCUMENT.split(maker.HEADING)
    assert written == maker.tables(), "run: python docs/make_dials.py"
    assert sum(line.startswith("| `") for line in written.splitlines()) == len(EVERY)


def test_every_dial_that_the_prose_names_exists() -> None:
    prose = DOCUMENT.split("## Every dial")[0]
    named = set(re.findall(rf"`((?:{'|'.join(PARTS)})\.[a-z_0-9]+)`", prose))
    assert named <= EVERY
    assert len(named) > 40
    # Parts that are about more than constants of laboratories and drugs are described dial by dial.
    for part in ("missing", "effect", "centres"):
        assert {name for name in EVERY if name.startswith(f"{part}.")} <= named
    assert {name for name in EVERY if name.endswith("_rate")} <= named


def test_the_scenarios_carried_are_those_listed() -> None:
    section = DOCUMENT.split("## Scenarios that lncohort carries")[1].split("\n## ")[0]
    assert tuple(sorted(re.findall(r"^\| `([a-z_]+)`", section, flags=re.MULTILINE))) == available_scenarios()


def test_the_example_is_a_scenario_that_can_be_met(
    cheaply: Callable[[int], AbstractContextManager[None]], draw: Callable[..., Any], design: Design
) -> None:
    example, response = re.findall(r"```toml\n(.*?)```", DOCUMENT, flags=re.DOTALL)
    scenario = read_scenario(example, where="mine.toml")
    assert len(scenario.dials) == 7
    asked = read_scenario(response, where="mine.toml").response
    assert asked is not None
    with cheaply(12):
        drawn = draw(settle(design, scenario), 256)
    assert drawn.cohort.patients["site"].nunique() == 8
