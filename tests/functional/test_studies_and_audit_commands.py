"""Protects what `studies` and `audit` print: tables for people, JSON for machines, talk on stderr."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from cohort.cli.audit import audit
from cohort.cli.studies import studies
from cohort.errors import StudyFileError, UsageError

APP = typer.Typer()
APP.command("studies")(studies)
APP.command("audit")(audit)


def run(*arguments: str) -> tuple[str, str]:
    result = CliRunner().invoke(APP, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout, result.stderr


def test_studies_lists_what_is_carried() -> None:
    out, talk = run("studies")
    assert "kim2025" in out
    assert "92 + 87" in out
    assert "lncohort studies kim2025" in talk
    assert "kim2025" in [entry["name"] for entry in json.loads(run("studies", "--json")[0])]


def test_a_study_is_shown_number_by_number() -> None:
    out, talk = run("studies", "kim2025")
    for text in ("10.3904/kjim.2025.035", "49.5", "0.308", "85.5", "reported_earlier", "not found", "no_tacrolimus"):
        assert text in out
    assert "Superseded by" in out
    assert "lncohort audit kim2025" in talk


def test_a_study_as_json_is_the_record() -> None:
    record = json.loads(run("studies", "kim2025", "--json")[0])
    values = {target["id"]: target["value"] for target in record["target"]}
    assert values["or_60_no_tacrolimus"] == "87.3"
    assert [arm["size"] for arm in record["arm"]] == [92, 87]


def test_audit_of_a_study() -> None:
    out, talk = run("audit", "kim2025")
    assert "46/88" in out
    assert "not attainable by the" in out
    assert "lncohort generate kim2025" in talk


def test_audit_as_json_is_complete() -> None:
    record = json.loads(run("audit", "kim2025", "--json")[0])
    assert set(record) == {"name", "percentages", "candidates", "p_values", "tests", "hits"}
    verdicts = {row["target_id"]: row["verdict"] for row in record["p_values"]}
    assert verdicts["cr_6_p"] == "not attainable by the listed unadjusted tests"
    assert {row["month"] for row in record["percentages"]} == {None, 6, 12, 24, 36, 60}


def test_audit_of_a_table(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("comparison,arm,percentage,n_max\na,x,5.47,40\n")
    out, talk = run("audit", str(path))
    assert "5.4054 (2/37)" in out
    assert "p-values" not in out
    assert "--json" in talk


def test_errors_reach_the_composition_root() -> None:
    with pytest.raises(StudyFileError, match="no such study; got kim2024; did you mean kim2025"):
        run("studies", "kim2024")
    with pytest.raises(UsageError, match="cannot read the table"):
        run("audit", "nowhere.csv")
