"""Protects what `studies` and `audit` print: tables for people, JSON for machines, talk on stderr."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from cohort.cli.audit import audit
from cohort.cli.studies import studies
from cohort.errors import StudyFileError, UsageError
from cohort.targets import available_studies, load_study

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
    assert "89 + 88 + 88" in out
    assert "vcs_low, vcs_high, placebo" in out
    assert "6, 12, 24, 36, 60" in out
    assert "randomised" in out
    assert "lncohort studies NAME" in talk
    assert "kim2025" in [entry["name"] for entry in json.loads(run("studies", "--json")[0])]


def test_the_list_as_json_gives_arms_and_visits() -> None:
    listed = {entry["name"]: entry for entry in json.loads(run("studies", "--json")[0])}
    assert [(arm["code"], arm["size"]) for arm in listed["li2012"]["arm"]] == [("tac", 20), ("mmf", 20), ("ivcyc", 20)]
    assert listed["chen2012"]["visit_months"] == [6, 12]
    assert listed["mok2013"]["assignment"] == "observational"


@pytest.mark.parametrize("name", available_studies())
def test_every_study_is_shown_and_audited(name: str) -> None:
    shown, _ = run("studies", name)
    assert load_study(name).title not in shown
    assert load_study(name).citation in shown
    audited, talk = run("audit", name)
    assert "Percentages" in audited
    assert f"lncohort studies {name}" in talk


def test_what_no_whole_number_gives_is_said_in_words() -> None:
    for command in ("studies", "audit"):
        out, _ = run(command, "zavada2010")
        assert "no whole number of 19 patients prints as 43 %" in out
        assert "8 of 19 (42.11 %)" in out
        out, _ = run(command, "zhang2017")
        assert "One table of whole patients gives every printed rate and count." in out
        assert "which owe no whole number of patients: flare_24_tac_mmf, flare_24_aza" in out
        assert "One table of whole patients comes nearest to every printed rate" in run(command, "zavada2010")[0]
        assert "1,295 tables of whole patients come nearest to every printed rate" in run(command, "chen2012")[0]
        out, _ = run(command, "moroni2006")
        assert "1,258 tables of whole patients give every printed rate and count; one of them is taken by rule." in out
    assert "no, and need not be (Kaplan-Meier)" in run("audit", "zhang2017")[0]


def test_design_drugs_and_accrual_are_shown() -> None:
    out, _ = run("studies", "chen2012")
    assert "randomised; visits at month 6, 12; accrual 2006-2008" in out
    assert "tacrolimus, prednisolone" in out
    assert "left open" in run("studies", "kim2025")[0]
    assert "https://pubmed.ncbi.nlm.nih.gov/25383558/" in run("studies", "liu2015")[0]


def test_a_record_without_any_table_of_whole_patients_is_still_shown(tmp_path: Path) -> None:
    text = files("cohort.studies").joinpath("liu2015.toml").read_text("utf-8")
    path = tmp_path / "liu.toml"
    path.write_text(text.replace("\nn = 181", ""), encoding="utf-8")
    for command in ("studies", "audit"):
        out, _ = run(command, str(path))
        assert "No table of whole patients agrees with these numbers: study liu2015, arm ivcyc: no whole" in out
    record = json.loads(run("audit", str(path), "--json")[0])
    assert record["unattainable"] is None
    assert "no whole number of patients" in record["not_reconstructed"]


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
    parts = {"name", "percentages", "candidates", "p_values", "tests", "hits", "unattainable", "not_reconstructed"}
    assert set(record) == parts
    assert (record["unattainable"], record["not_reconstructed"]) == ([], "")
    (row,) = json.loads(run("audit", "zavada2010", "--json")[0])["unattainable"]
    assert (row["target_id"], row["nearest"], row["n"]) == ("or_9_csa", 8, 19)
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
