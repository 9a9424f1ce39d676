"""Replicates and ensembles through the installed command: written, validated, analysed one at a time, or refused."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def replicates(lncohort: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("replicates")
    done = lncohort("generate", "kim2025", "--replicates", 3, "--out", "many", cwd=place)
    assert done.returncode == 0, done.stderr
    return place


@pytest.mark.slow
def test_replicates_are_valid_and_one_is_analysed(replicates: Path, lncohort: Run) -> None:
    notes = json.loads((replicates / "many" / "cohort.json").read_text("utf-8"))["notes"]
    assert notes["replicates"] == 3
    assert lncohort("validate", "many", cwd=replicates).returncode == 0
    done = lncohort("analyze", "many", "--replicate", 2, "--only", "response", "--out", "results", cwd=replicates)
    assert done.returncode == 0, done.stderr
    pooled = lncohort("analyze", "many", "--out", "pooled", cwd=replicates)
    assert pooled.returncode == 2
    assert "independent cohorts are not analysed as one; got 3 replicates; choose one" in pooled.stderr
    assert not (replicates / "pooled").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--replicates", 0), "--replicates"),
        (("--replicates", 2, "--patients", 5), "replicates have the study's own size"),
        (("--mode", "ensemble"), "an ensemble is made of replicates"),
        (("--replicates", 2, "--dirt", "light"), "a registry twin is made in exact mode only"),
        (("--replicates", 2, "--reading", "B"), "an alternative reading is for exact mode"),
        (("--jobs", 2), "a single exact cohort is written at once"),
    ],
)
def test_what_does_not_go_together_is_refused(
    arguments: tuple[object, ...], message: str, lncohort: Run, tmp_path: Path
) -> None:
    done = lncohort("generate", "kim2025", "--out", "x", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert not list(tmp_path.iterdir())
