"""The installed command ``lncohort simulate``: what it writes and says, and what it refuses."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from analyses.simulation import METHODS
from cohort.results import ResultTable

Run = Callable[..., subprocess.CompletedProcess[str]]
SMALL = ("--replicates", 2, "--patients", 60, "--strength", 0, "--strength", 2, "--seed", 4)


@pytest.fixture(scope="module")
def written(lncohort: Run, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    place = tmp_path_factory.mktemp("simulated")
    done = lncohort("simulate", "kim2025", "--study", "confounding", *SMALL, "--out", "sim", "--json", cwd=place)
    assert done.returncode == 0, done.stderr
    return place, done.stdout, done.stderr


def test_the_folder_holds_estimates_performance_truths_and_a_page(written: tuple[Path, str, str]) -> None:
    folder = written[0] / "sim"
    names = {path.name for path in folder.iterdir()} - {".lncohort"}
    assert names == {"estimates.parquet", "performance.parquet", "performance.csv", "truths.csv", "simulation.html"}
    estimates = pd.read_parquet(folder / "estimates.parquet")
    assert len(estimates) == 2 * 2 * 2 * len(METHODS)
    table = ResultTable.read(folder / "performance.parquet")
    assert table.metadata["seed"] == 4
    assert set(table.frame["statistic"]) >= {"bias", "coverage", "rejection", "model_std_error"}
    page = (folder / "simulation.html").read_text("utf-8")
    assert "--replicates 2 --strength 0 --strength 2 --patients 60 --seed 4" in page


def test_json_goes_to_stdout_and_nothing_else_does(written: tuple[Path, str, str]) -> None:
    said = json.loads(written[1])
    assert {one["target"] for one in said["conclusions"]} == {method.target for method in METHODS}
    assert all(one["sentences"] for one in said["conclusions"])
    assert "\r" not in written[2]


@pytest.mark.slow
def test_processes_give_the_same_bytes(written: tuple[Path, str, str], lncohort: Run, tmp_path: Path) -> None:
    done = lncohort("simulate", "kim2025", *SMALL, "--jobs", 2, "--out", "again", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "again\n"
    assert "next: open again/simulation.html" in done.stderr
    for path in (written[0] / "sim").iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes(), path.name


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("kim2025", "--study", "immortal"), "'immortal' is not"),
        (("kim2025", "--replicates", 1), "performance needs at least two replicates; got 1"),
        (("kim2025", "--strength", 9), "dial assignment.strength: expected a number between -8 and 8"),
        (("kim2025", "--strength", -1), "expected a number from 0"),
        (("kim2025", "--strength", 1, "--strength", 1), "each setting is named once"),
        (("kim2025", "--patients", 5), "a cohort has at least 20 patients"),
        (("kim1999",), "kim1999"),
        (("mok2013",), "the study of confounding needs two arms, a visit at month 12"),
    ],
)
def test_bad_requests_are_refused_in_words(
    arguments: tuple[object, ...], message: str, lncohort: Run, tmp_path: Path
) -> None:
    done = lncohort("simulate", *arguments, "--out", "x", cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_an_existing_folder_is_kept(lncohort: Run, tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    done = lncohort("simulate", "kim2025", *SMALL, "--out", "x", cwd=tmp_path)
    assert done.returncode == 2
    assert "the output exists already" in done.stderr


@pytest.mark.slow
def test_starts_during_follow_up_are_a_study_of_their_own(lncohort: Run, tmp_path: Path) -> None:
    small = ("--study", "immortal-time", "--replicates", 2, "--patients", 60, "--strength", 1, "--seed", 4)
    done = lncohort("simulate", "kim2025", *small, "--out", "one", cwd=tmp_path)
    again = lncohort("simulate", "kim2025", *small, "--jobs", 2, "--json", "--out", "two", cwd=tmp_path)
    assert (done.returncode, again.returncode) == (0, 0), done.stderr + again.stderr
    assert done.stdout == "one\n"
    assert json.loads(again.stdout)["conclusions"][0].startswith("n = 60, strength 1: ")
    names = {path.name for path in (tmp_path / "one").iterdir()} - {".lncohort"}
    assert names == {"estimates.parquet", "performance.parquet", "performance.csv", "provenance.csv", "simulation.html"}
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name
    page = (tmp_path / "one" / "simulation.html").read_text("utf-8")
    assert "--study immortal-time --replicates 2 --strength 1 --patients 60 --seed 4" in page
    assert len(pd.read_parquet(tmp_path / "one" / "estimates.parquet")) == 2 * 7


def test_starts_of_a_strength_out_of_range_are_refused(lncohort: Run, tmp_path: Path) -> None:
    done = lncohort("simulate", "kim2025", "--study", "immortal-time", "--strength", 3, "--out", "x", cwd=tmp_path)
    assert done.returncode == 2
    assert "--strength: expected a number from 0 to 2; got 3" in done.stderr
