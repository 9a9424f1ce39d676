"""Every command on a sound cohort: exit code 0, data and nothing else on stdout, JSON that parses, files it names."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from cohort import __version__
from cohort.results import ResultTable
from cohort.schema import COHORT_TABLES, DERIVED_TABLES, DIRT_TABLES, TRUTH_ESTIMANDS, TRUTH_TABLES
from cohort.store import file_hash, read_cohort, read_derived
from synthetic.generate import GeneratedCohort

Run = Callable[..., subprocess.CompletedProcess[str]]
COMMANDS = (
    "reproduce", "studies", "audit", "dictionary", "generate", "validate", "derive", "analyze", "simulate", "report",
)  # fmt: skip
SOUND = {"findings": [], "changed_tables": [], "missing_values": []}
LATER = ("ingest", "evidence", "export")


@pytest.fixture
def done(lncohort: Run, tmp_path: Path) -> Run:
    """Give a function that runs a command which must succeed, beside the cohort directory."""
    place = tmp_path / "place"
    place.mkdir(exist_ok=True)

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        finished = lncohort(*arguments, cwd=place)
        assert finished.returncode == 0, (finished.stdout, finished.stderr)
        assert "Warning" not in finished.stderr
        return finished

    return run


def test_help_lists_the_commands_that_exist_and_no_other(done: Run) -> None:
    text = done("--help").stdout
    listed = set(re.findall(r"^│ ([a-z]+) {2,}", text, flags=re.MULTILINE))
    assert listed == set(COMMANDS)
    assert not listed & set(LATER)
    assert done("--version").stdout == f"lncohort {__version__}\n"


@pytest.mark.parametrize("command", LATER)
def test_later_commands_are_unknown(command: str, lncohort: Run, tmp_path: Path) -> None:
    finished = lncohort(command, cwd=tmp_path)
    assert finished.returncode == 2
    assert f"No such command '{command}'" in finished.stderr


def test_dictionary_lists_every_table_and_column(done: Run) -> None:
    tables = (*COHORT_TABLES, *DERIVED_TABLES, *TRUTH_TABLES, TRUTH_ESTIMANDS, *DIRT_TABLES)
    shown = done("dictionary")
    assert "next: lncohort generate kim2025 --out DIR" in shown.stderr
    content = json.loads(done("dictionary", "--json").stdout)
    assert list(content) == [table.name for table in tables]
    for table in tables:
        assert f"{table.name}: {table.description}" in shown.stdout
        assert [column["name"] for column in content[table.name]["columns"]] == list(table.column_names)
        assert content[table.name]["key"] == list(table.key)
        for column in table.columns:
            assert re.search(rf"│ {column.name} +│ {column.kind.value}", shown.stdout), column.name
    sex = content["patients"]["columns"][5]
    assert (sex["codes"], sex["type"], sex["nullable"]) == (["female", "male"], "code", False)


def test_tables_are_as_wide_as_their_content_when_nobody_watches(done: Run) -> None:
    # Nothing folded: each column of the schema is one line that a program can search.
    rows = [line for line in done("dictionary").stdout.splitlines() if line.startswith("│")]
    columns = [
        column
        for table in (*COHORT_TABLES, *DERIVED_TABLES, *TRUTH_TABLES, TRUTH_ESTIMANDS, *DIRT_TABLES)
        for column in table.columns
    ]
    assert len(rows) == len(columns)


def test_generate_writes_what_validate_accepts(done: Run, tmp_path: Path, generated: GeneratedCohort) -> None:
    made = done("generate", "kim2025", "--out", "deep/cohort")
    assert made.stdout == "deep/cohort\n"
    assert "next: lncohort validate deep/cohort" in made.stderr
    folder = tmp_path / "place" / "deep" / "cohort"
    assert {path.name for path in folder.iterdir()} == {
        ".lncohort", "cohort.json", "truth", *(f"{table.name}.parquet" for table in COHORT_TABLES),
    }  # fmt: skip
    pd.testing.assert_frame_equal(read_cohort(folder).visits, generated.cohort.visits, check_dtype=False)
    checked = done("validate", "deep/cohort")
    assert checked.stdout == "deep/cohort: no findings\n"
    assert "changed" not in checked.stderr
    assert json.loads(done("validate", "deep/cohort", "--json").stdout) == SOUND


@pytest.mark.slow
def test_generate_overwrites_only_when_asked(done: Run, tmp_path: Path) -> None:
    done("generate", "kim2025", "--out", "cohort")
    first = file_hash(tmp_path / "place" / "cohort" / "visits.parquet")
    done("generate", "kim2025", "--seed", "7", "--out", "cohort", "--overwrite")
    assert file_hash(tmp_path / "place" / "cohort" / "visits.parquet") != first
    assert read_cohort(tmp_path / "place" / "cohort").seed == 7


def test_findings_of_validate_are_shown_as_a_table(lncohort: Run, cohort_folder: Path) -> None:
    path = cohort_folder / "visits.parquet"
    content = pq.read_table(path)
    pq.write_table(content.slice(1), path)
    finished = lncohort("validate", "cohort", cwd=cohort_folder.parent)
    assert finished.returncode == 1
    assert re.search(r"│ patients +│ patient_id +│ has a visit of month 0 +│ 1 +│ kim2025-001", finished.stdout)
    assert finished.stderr == "note: changed since cohort.json was written: visits\n"


def test_derive_writes_both_tables_and_prints_the_reconstructed_counts(done: Run, cohort_folder: Path) -> None:
    shown = json.loads(done("derive", "cohort", "--json").stdout)
    counts = {(row["arm"], row["visit_month"]): (row["CR"], row["PR"], row["NR"]) for row in shown["responses"]}
    assert {row["not_assessable"] for row in shown["responses"]} == {0}
    assert counts["tacrolimus", 6] == (45, 30, 16)
    assert counts["no_tacrolimus", 6] == (47, 20, 16)
    assert len(counts) == 10
    responses = read_derived(cohort_folder, "responses")
    assert len(responses) == sum(map(sum, counts.values()))
    assert len(read_derived(cohort_folder, "flares")) == shown["flares"] > 0
    assert not [path for path in cohort_folder.iterdir() if path.name.startswith(".derived")]


@pytest.mark.slow
def test_derive_under_several_definitions_replaces_what_was_there(done: Run, cohort_folder: Path) -> None:
    done("derive", "cohort")
    shown = done("derive", "cohort", "--definition", "kim2025_strict", "--definition", "kim2025").stdout
    assert "kim2025_strict" in shown
    assert re.search(r"^renal flares: [1-9]", shown, flags=re.MULTILINE)
    responses = read_derived(cohort_folder, "responses")
    assert responses["definition"].value_counts().nunique() == 1
    assert set(responses["definition"]) == {"kim2025", "kim2025_strict"}
    assert not responses.duplicated(["patient_id", "visit_month", "definition"]).any()
    # Generated cohorts agree under both readings of the creatinine clause.
    by_name = {name: part["response"].tolist() for name, part in responses.groupby("definition")}
    assert by_name["kim2025"] == by_name["kim2025_strict"]
    done("derive", "cohort")
    assert set(read_derived(cohort_folder, "responses")["definition"]) == {"kim2025"}


@pytest.mark.usefixtures("cohort_folder")
def test_a_derived_cohort_is_still_sound_and_unchanged(done: Run) -> None:
    done("derive", "cohort")
    assert json.loads(done("validate", "cohort", "--json").stdout) == SOUND


def test_analyze_writes_the_result_tables_it_names(done: Run, cohort_folder: Path) -> None:
    finished = done("analyze", "cohort", "--only", "describe, response", "--out", "results")
    results = cohort_folder.parent / "results"
    named = [cohort_folder.parent / line for line in finished.stdout.splitlines()]
    assert "next: lncohort report results --out report.html" in finished.stderr
    assert {path.stem for path in named} == {
        "patient_flow", "missing_values", "response_not_assessable", "table_one", "response_states", "response_rates",
        "response_rates_measured", "response_differences", "first_response", "sustained_response",
    }  # fmt: skip
    for path in named:
        table = ResultTable.read(path)
        assert len(table)
        assert table.metadata["seed"] == 2025
        assert path.with_suffix(".csv").is_file()
    facts = json.loads((results / "results.json").read_text("utf-8"))
    assert facts["synthetic"] is True
    assert facts["input_hash"]["visits"] == file_hash(cohort_folder / "visits.parquet")
    assert str(cohort_folder.parent) not in (results / "results.json").read_text("utf-8")
    provenance = pd.read_csv(results / "provenance.csv")
    assert provenance["source"].notna().all()


@pytest.mark.slow
def test_analyze_takes_tables_in_parts(done: Run, cohort_folder: Path) -> None:
    done("analyze", "cohort", "--only", "response", "--out", "whole")
    for table in COHORT_TABLES:
        path = cohort_folder / f"{table.name}.parquet"
        content = pq.read_table(path)
        path.unlink()
        path.mkdir()
        half = len(content) // 2
        pq.write_table(content.slice(0, half), path / "part-0.parquet")
        pq.write_table(content.slice(half), path / "part-1.parquet")
    done("analyze", "cohort", "--only", "response", "--out", "parts")
    for name in ("response_rates.csv", "response_differences.csv"):
        place = cohort_folder.parent
        assert (place / "parts" / name).read_bytes() == (place / "whole" / name).read_bytes()


@pytest.mark.slow
def test_report_of_an_analysis_is_one_page(done: Run, cohort_folder: Path) -> None:
    done("analyze", "cohort", "--out", "results")
    finished = done("report", "results", "--out", "page.html")
    assert finished.stdout == "page.html\n"
    page = (cohort_folder.parent / "page.html").read_text("utf-8")
    assert page.lstrip().lower().startswith("<!doctype html>")
    assert "synthetic" in page
    done("report", "results", "--out", "page.html", "--overwrite")
    assert (cohort_folder.parent / "page.html").read_text("utf-8") == page


def test_studies_and_audit_print_data_and_json(done: Run) -> None:
    assert "kim2025" in done("studies").stdout
    assert json.loads(done("studies", "kim2025", "--json").stdout)["name"] == "kim2025"
    assert json.loads(done("audit", "kim2025", "--json").stdout)["percentages"]
