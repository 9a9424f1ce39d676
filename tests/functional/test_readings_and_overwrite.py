"""Alternative readings, populations where an exact cohort is needed, and files that are not ours to replace."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]


def test_an_alternative_reading_is_generated_by_name(lncohort: Run, tmp_path: Path) -> None:
    assert lncohort("generate", "kim2025", "--reading", "B", "--out", tmp_path / "b", cwd=tmp_path).returncode == 0
    done = lncohort("derive", tmp_path / "b", "--json", cwd=tmp_path)
    counts = {(row["arm"], row["visit_month"]): row for row in json.loads(done.stdout)["responses"]}
    assert [counts["no_tacrolimus", 24][name] for name in ("CR", "PR", "NR")] == [56, 8, 14]
    unknown = lncohort("generate", "kim2025", "--reading", "C", "--out", tmp_path / "c", cwd=tmp_path)
    assert unknown.returncode == 2
    assert "no such alternative reading; got 'C'; the readings are default, B" in unknown.stderr


def test_population_options_belong_to_population_mode(lncohort: Run, tmp_path: Path) -> None:
    for wrong, message in (
        (("--patients", 10), "an exact cohort has the study's own size"),
        (("--mode", "population"), "population mode needs a size"),
        (("--mode", "population", "--patients", 10, "--reading", "B"), "an alternative reading is for exact mode"),
    ):
        done = lncohort("generate", "kim2025", *wrong, "--out", tmp_path / "x", cwd=tmp_path)
        assert done.returncode == 2
        assert message in done.stderr
        assert not (tmp_path / "x").exists()


@pytest.mark.slow
def test_a_population_is_no_input_of_reproduce(lncohort: Run, tmp_path: Path) -> None:
    made = lncohort(
        "generate", "kim2025", "--mode", "population", "--patients", 300, "--out", tmp_path / "p", cwd=tmp_path
    )
    assert made.returncode == 0
    assert len(pd.read_parquet(tmp_path / "p" / "patients.parquet")) == 300
    assert lncohort("validate", tmp_path / "p", cwd=tmp_path).returncode == 0
    done = lncohort("reproduce", "--cohort", tmp_path / "p", "--out", tmp_path / "r", cwd=tmp_path)
    assert done.returncode == 2
    assert "in expectation" in done.stderr
    assert not (tmp_path / "r").exists()


@pytest.mark.slow
def test_report_replaces_only_a_report(lncohort: Run, tmp_path: Path) -> None:
    lncohort("generate", "kim2025", "--mode", "population", "--patients", 400, "--out", tmp_path / "p", cwd=tmp_path)
    assert (
        lncohort("analyze", tmp_path / "p", "--out", tmp_path / "a", "--only", "describe", cwd=tmp_path).returncode == 0
    )
    foreign = tmp_path / "mine.html"
    foreign.write_text("mine", encoding="utf-8")
    refused = lncohort("report", tmp_path / "a", "--out", foreign, "--overwrite", cwd=tmp_path)
    assert refused.returncode == 2
    assert "replaces only a report that lncohort wrote" in refused.stderr
    assert foreign.read_text(encoding="utf-8") == "mine"
    own = tmp_path / "own.html"
    assert lncohort("report", tmp_path / "a", "--out", own, cwd=tmp_path).returncode == 0
    assert lncohort("report", tmp_path / "a", "--out", own, "--overwrite", cwd=tmp_path).returncode == 0
    assert "400 synthetic patients" in own.read_text(encoding="utf-8")
