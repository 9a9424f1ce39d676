"""``generate --dirt``: a registry twin beside a clean cohort that keeps its bytes, the same in any process."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from cohort.codes import Fault
from cohort.record import Study
from cohort.schema import COHORT_TABLES, TRUTH_FAULTS
from cohort.store import file_hash, read_manifest, read_table, write_table
from synthetic.dirt.layout import Sheet
from synthetic.dirt.reading import read_registry
from synthetic.dirt.undo import undo_faults

Run = Callable[..., subprocess.CompletedProcess[str]]
REGISTRY = {*(sheet.value for sheet in Sheet), "codebook.csv"}
TWIN = {*(f"registry/{name}" for name in REGISTRY)} | {
    f"truth/{name}" for name in ("faults.parquet", "faults.csv", "fault_kinds.csv")
}


def hashes(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def read_files(folder: Path) -> dict[Sheet, pd.DataFrame]:
    """Read the registry as anybody would, every cell as text."""
    return {
        sheet: pd.read_csv(folder / "registry" / sheet.value, dtype=str, keep_default_na=False).astype(object)
        for sheet in Sheet
    }


def test_the_twin_stands_beside_an_unchanged_clean_cohort(lncohort: Run, study: Study, tmp_path: Path) -> None:
    assert lncohort("generate", "kim2025", "--out", "clean", cwd=tmp_path).returncode == 0
    made = lncohort("generate", "kim2025", "--out", "c", "--dirt", "moderate", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    assert made.stdout == "c\n"
    assert "registry twin: c/registry" in made.stderr
    assert "next: lncohort validate c" in made.stderr
    with_twin, clean = hashes(tmp_path / "c"), hashes(tmp_path / "clean")
    assert {name: with_twin[name] for name in clean} == clean
    assert set(with_twin) - set(clean) == TWIN
    checked = lncohort("validate", "c", cwd=tmp_path)
    assert (checked.returncode, checked.stdout) == (0, "c: no findings\n")
    faults = read_table(tmp_path / "c" / TRUTH_FAULTS.path, TRUTH_FAULTS)
    tables = read_registry(undo_faults(read_files(tmp_path / "c"), faults), study)
    recorded = read_manifest(tmp_path / "c")["sha256"]
    assert isinstance(recorded, dict)
    for table in COHORT_TABLES:
        write_table(tables[table.name], table, tmp_path / "again.parquet")
        assert file_hash(tmp_path / "again.parquet") == recorded[table.name]
    kinds = pd.read_csv(tmp_path / "c" / "truth" / "fault_kinds.csv")
    assert kinds["kind"].tolist() == [fault.value for fault in Fault]
    assert (kinds["status"] == "assumed").all()
    assert kinds["why"].notna().all()


def test_without_dirt_only_the_layout_changes(lncohort: Run, study: Study, tmp_path: Path) -> None:
    made = lncohort("generate", "kim2025", "--seed", "3", "--out", "c", "--dirt", "none", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    assert read_table(tmp_path / "c" / TRUTH_FAULTS.path, TRUTH_FAULTS).empty
    assert set(read_registry(read_files(tmp_path / "c"), study)) == {table.name for table in COHORT_TABLES}


@pytest.mark.slow
def test_same_seed_same_bytes_in_another_process(tmp_path: Path) -> None:
    for name, environment in (
        ("a", {"PYTHONHASHSEED": "1", "TZ": "UTC"}),
        ("b", {"PYTHONHASHSEED": "2", "TZ": "Asia/Seoul", "PYTHONIOENCODING": "ascii"}),
    ):
        subprocess.run(
            [Path(sys.executable).parent / "lncohort", "generate", "kim2025", "--out", name, "--dirt", "heavy"],
            check=True,
            capture_output=True,
            cwd=tmp_path,
            env={**os.environ, **environment},
        )
    assert hashes(tmp_path / "a") == hashes(tmp_path / "b")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--dirt", "filthy"), r"'filthy' is not one of"),
        (
            ("--dirt", "light", "--mode", "population", "--patients", "100"),
            r"--dirt: a registry twin is made in exact mode only",
        ),
    ],
)
def test_other_levels_and_populations_are_refused(
    arguments: tuple[str, ...], message: str, lncohort: Run, tmp_path: Path
) -> None:
    refused = lncohort("generate", "kim2025", "--out", "c", *arguments, cwd=tmp_path)
    assert refused.returncode == 2
    assert message in refused.stderr
    assert refused.stdout == ""
    assert not list(tmp_path.iterdir())
