"""The main job through the installed command: exit codes, what is written, and that a changed value shows."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analyses.reproduction import Verdict
from cohort.results import ResultTable
from cohort.schema import VISITS, arrow_schema

COMMAND = Path(sys.executable).parent / "lncohort"


def run(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, *map(str, arguments)], cwd=cwd, capture_output=True, text=True, env={**os.environ, "COLUMNS": "200"}
    )


@pytest.fixture(scope="module")
def reproduction(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("main-job")
    done = run("reproduce", "--json", cwd=place)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["not_reproduced"] == []
    return place / "reproduction"


def test_it_writes_cohort_results_and_report(reproduction: Path) -> None:
    assert {path.name for path in reproduction.iterdir()} == {".lncohort", "cohort", "results", "report.html"}
    assert (reproduction / "cohort" / "derived" / "responses.parquet").is_file()
    for parquet in (reproduction / "results").glob("*.parquet"):
        assert parquet.with_suffix(".csv").is_file()
        if parquet.stem not in ("ledger", "provenance"):
            assert len(ResultTable.read(parquet)) > 0, parquet.name


def test_every_reported_rate_is_reproduced(reproduction: Path) -> None:
    ledger = pd.read_parquet(reproduction / "results" / "ledger.parquet")
    rates = ledger[ledger["measure"].str.endswith("_response") & ledger["assessed"].notna()]
    in_force = rates[rates["verdict"] != "superseded"]
    assert len(in_force) == 12
    assert (in_force["verdict"] == "reproduced").all()
    assert (in_force["printed"] == in_force["reproduced"]).all()
    assert set(ledger["verdict"]) <= set(Verdict)
    p_values = ledger.set_index("target_id")["verdict"]
    for unattainable in ("cr_6_p", "pr_6_p", "cr_24_p", "or_36_p"):
        assert p_values[unattainable] == "not attainable by the listed tests"
    for attainable in ("cr_12_p", "or_12_p", "or_60_p"):
        assert p_values[attainable] == "reproduced"


def test_the_report_asks_whether_the_cohort_is_realistic(reproduction: Path) -> None:
    page = (reproduction / "report.html").read_text(encoding="utf-8")
    section = page[page.index('<section id="realism"') :].split("</section>")[0]
    assert section.count("<figure>") == 4
    assert "Borrowed are the ranges" in section
    assert len(page.encode()) < 2_500_000
    provenance = pd.read_parquet(reproduction / "results" / "provenance.parquet")
    assert (provenance["set"] == "RealismRanges").sum() > 25
    realism = ResultTable.read(reproduction / "results" / "realism.parquet").frame
    assert not realism["note"].str.startswith("wrong sign", na=False).any()


def test_results_hold_no_path_and_no_clock(reproduction: Path) -> None:
    for path in (reproduction / "results").glob("*.parquet"):
        metadata = str(pq.read_schema(path).metadata)
        assert str(reproduction) not in metadata
        assert "2026" not in metadata or "version" in metadata
    text = (reproduction / "results" / "results.json").read_text(encoding="utf-8")
    assert str(reproduction.parent) not in text


@pytest.mark.slow
def test_two_runs_give_the_same_bytes(reproduction: Path, tmp_path: Path) -> None:
    done = run("reproduce", "--out", "again", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for path in reproduction.rglob("*"):
        if path.is_file():
            again = tmp_path / "again" / path.relative_to(reproduction)
            assert again.read_bytes() == path.read_bytes(), path.name


@pytest.mark.slow
def test_one_altered_laboratory_value_is_seen(reproduction: Path, tmp_path: Path) -> None:
    altered = tmp_path / "altered"
    shutil.copytree(reproduction / "cohort", altered)
    responses = pd.read_parquet(altered / "derived" / "responses.parquet")
    patients = pd.read_parquet(altered / "patients.parquet")
    arm = responses["patient_id"].map(patients.set_index("patient_id")["arm"])
    responder = responses[(arm == "tacrolimus") & (responses["visit_month"] == 12) & (responses["response"] == "CR")]
    visits = pd.read_parquet(altered / "visits.parquet")
    row = (visits["patient_id"] == responder["patient_id"].iloc[0]) & (visits["visit_month"] == 12)
    visits.loc[row, "upcr_g_g"] = 8.0
    pq.write_table(
        pa.Table.from_pandas(visits, schema=arrow_schema(VISITS), preserve_index=False), altered / "visits.parquet"
    )
    done = run("reproduce", "--cohort", altered, "--out", "again", cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert "cr_12_tacrolimus: printed 52.3, got 51.1" in done.stdout
    ledger = pd.read_parquet(tmp_path / "again" / "results" / "ledger.parquet").set_index("target_id")
    assert ledger.loc["cr_12_tacrolimus", "verdict"] == "not reproduced"
    assert ledger.loc["cr_12_tacrolimus", ["responders", "assessed"]].tolist() == [45, 88]
    assert (ledger.drop("cr_12_tacrolimus")["verdict"] == "not reproduced").sum() <= 3
    assert not (tmp_path / "again" / "cohort").exists()
    assert run("validate", altered, cwd=tmp_path).returncode == 1


@pytest.mark.slow
def test_a_visit_that_nobody_of_an_arm_attends_is_not_reproduced(reproduction: Path, tmp_path: Path) -> None:
    altered = tmp_path / "altered"
    shutil.copytree(reproduction / "cohort", altered)
    patients = pd.read_parquet(altered / "patients.parquet").set_index("patient_id")
    visits = pd.read_parquet(altered / "visits.parquet")
    dropped = (visits["patient_id"].map(patients["arm"]) == "tacrolimus") & (visits["visit_month"] == 60)
    assert dropped.any()
    pq.write_table(
        pa.Table.from_pandas(visits[~dropped], schema=arrow_schema(VISITS), preserve_index=False),
        altered / "visits.parquet",
    )
    done = run("reproduce", "--cohort", altered, "--out", "again", "--json", cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert json.loads(done.stdout)["not_reproduced"] == ["or_60_tacrolimus: printed 72.9, got nobody assessed"]
    assert (tmp_path / "again" / "report.html").is_file()


@pytest.mark.slow
def test_taking_the_generated_cohort_changes_no_result(reproduction: Path, tmp_path: Path) -> None:
    done = run("reproduce", "--cohort", reproduction / "cohort", "--out", "taken", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for path in (reproduction / "results").glob("*.csv"):
        assert (tmp_path / "taken" / "results" / path.name).read_bytes() == path.read_bytes(), path.name


@pytest.mark.slow
def test_analyze_and_report_give_a_page_without_a_ledger(reproduction: Path, tmp_path: Path) -> None:
    done = run("analyze", reproduction / "cohort", "--out", "results", "--only", "response, survival", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "results/response_rates.parquet"
    provenance = pd.read_parquet(tmp_path / "results" / "provenance.parquet")
    assert "RealismRanges" not in set(provenance["set"])
    assert run("report", "results", "--out", "page.html", cwd=tmp_path).returncode == 0
    assert "not run" in (tmp_path / "page.html").read_text(encoding="utf-8")
    again = run("report", "results", "--out", "page.html", cwd=tmp_path)
    assert again.returncode == 2
    assert "exists already" in again.stderr
