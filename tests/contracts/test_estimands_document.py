"""docs/estimands.md and docs/results.md name functions that exist and the statistics they return."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pandas as pd

import analyses.longitudinal
import analyses.response
import analyses.survival
from cohort.results import ResultTable

DOCS = Path(__file__).resolve().parents[2] / "docs"
PUBLIC = {
    name: getattr(module, name)
    for module in (analyses.longitudinal, analyses.response, analyses.survival)
    for name in module.__all__
}

SPELLS = pd.DataFrame(
    {
        "patient_id": ["a", "a", "b"],
        "start": [0, 6, 0],
        "stop": [6, 12, 12],
        "from_state": ["NR", "CR", "NR"],
        "to_state": ["CR", "CR", "NR"],
        "event": [1, 0, 0],
        "arm": ["x", "x", "y"],
    }
)
PATIENTS = pd.DataFrame(
    {"arm": ["x", "y"] * 6, "kind": ["III"] * 6 + ["V"] * 6, "t": range(1, 13), "d": 1, "response": ["CR", "NR"] * 6}
)
EXAMPLES = {
    "state_occupancy": lambda f: f(SPELLS),
    "mean_time_in_state": lambda f: f(SPELLS, tau=12, by="arm"),
    "transition_probabilities": lambda f: f(SPELLS),
    "transition_counts": lambda f: f(SPELLS),
    "visit_transitions": lambda f: f(SPELLS, time_col="start", state_col="from_state", by=None),
    "mean_cumulative_events": lambda f: f(SPELLS),
    "subgroup_effects": lambda f: f(
        PATIENTS, treatment_col="arm", treated="x", subgroup_col="kind", duration_col="t", event_col="d"
    ),
    "subgroup_differences": lambda f: f(PATIENTS, treated="x", subgroup_col="kind", time_col=None),
}


def test_the_statistics_are_those_documented() -> None:
    section = (
        (DOCS / "results.md").read_text(encoding="utf-8").split("## Courses, recurrent events and subgroups", 1)[1]
    )
    section = section.split("\n## ", 1)[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("| `")]
    documented = {first.strip().strip("`"): set(re.findall(r"`([^`]+)`", second)) for first, second in rows}
    assert set(documented) == set(EXAMPLES)
    for name, statistics in documented.items():
        table = EXAMPLES[name](PUBLIC[name])
        assert isinstance(table, ResultTable)
        assert set(table.frame["statistic"]) == statistics, name


def test_every_function_named_exists() -> None:
    text = (DOCS / "estimands.md").read_text(encoding="utf-8")
    called = set(re.findall(r"([a-z_]+)\((?:data|rows)", text)) | set(re.findall(r"`([a-z]+_[a-z_]+)`[, ]", text))
    assert {"response_history", "landmark", "since_first_response", "fit_recurrent"} <= called
    parameters = {name for function in PUBLIC.values() for name in inspect.signature(function).parameters}
    assert called - parameters <= set(PUBLIC)
