"""docs/results.md says what the result tables are; the program does as it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from analyses.datasets import analysis_data
from analyses.plan import run_analyses
from analyses.reproduction import LEDGER_COLUMNS
from cohort.definitions import KDIGO_2012, KIM2025
from cohort.provenance import PROVENANCE_COLUMNS
from cohort.results import RESULT_COLUMNS
from cohort.targets import load_study
from synthetic.generate import generate_exact

DOCUMENT = (Path(__file__).resolve().parents[2] / "docs" / "results.md").read_text(encoding="utf-8")


def documented_rows(heading: str) -> dict[str, list[str]]:
    """Rows of the table under a heading: back-quoted names of the first cell against those of the second."""
    section = DOCUMENT.split(heading, 1)[1].split("\n## ", 1)[0]
    cells = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("| `")]
    return {first: re.findall(r"`([^`]+)`", row[1]) for row in cells for first in re.findall(r"`([^`]+)`", row[0])}


def test_columns_are_those_documented() -> None:
    assert tuple(documented_rows("# Result tables")) == RESULT_COLUMNS


@pytest.mark.slow
def test_every_table_and_statistic_is_documented() -> None:
    cohort = generate_exact(load_study("kim2025"), seed=2025).cohort
    data = analysis_data(cohort, treated="tacrolimus", reference="no_tacrolimus", response=KIM2025, flare=KDIGO_2012)
    tables = run_analyses(data)
    documented = documented_rows("## What `lncohort analyze` writes")
    assert set(documented) == set(tables)
    for name, table in tables.items():
        assert set(table.frame["statistic"]) == set(documented[name]), name


def test_other_tables_have_the_documented_columns() -> None:
    flat = DOCUMENT.replace("\n", " ")
    assert ", ".join(LEDGER_COLUMNS) in flat
    assert ", ".join(PROVENANCE_COLUMNS) in flat
