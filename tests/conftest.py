"""What several test files share: one generated cohort, copies of its directory to spoil, and the installed command."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cohort.output import new_directory
from cohort.record import Study
from cohort.store import write_cohort
from cohort.targets import load_study
from synthetic.generate import GeneratedCohort, generate_exact

COMMAND = Path(sys.executable).parent / "lncohort"

Run = Callable[..., subprocess.CompletedProcess[str]]
Rewrite = Callable[[Path, str, Callable[[pa.Table], pa.Table]], None]
Spoil = Callable[..., None]


@pytest.fixture(scope="session")
def study() -> Study:
    return load_study("kim2025")


@pytest.fixture(scope="session")
def generated(study: Study) -> GeneratedCohort:
    return generate_exact(study, seed=2025)


@pytest.fixture(scope="session")
def written_once(generated: GeneratedCohort, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("written") / "cohort"
    with new_directory(folder) as scratch:
        write_cohort(generated.cohort, scratch, generated.truth)
    return folder


@pytest.fixture
def cohort_folder(written_once: Path, tmp_path: Path) -> Path:
    """Give a cohort directory of its own to a test, in a folder that holds nothing else."""
    folder = tmp_path / "place" / "cohort"
    shutil.copytree(written_once, folder)
    return folder


@pytest.fixture(scope="session")
def rewrite() -> Rewrite:
    """Give a function that replaces a table of a cohort directory by what another function makes of it."""

    def apply(folder: Path, table: str, change: Callable[[pa.Table], pa.Table]) -> None:
        path = folder / f"{table}.parquet"
        pq.write_table(change(pq.read_table(path)), path)

    return apply


@pytest.fixture(scope="session")
def spoil(rewrite: Rewrite) -> Spoil:
    """Give a function that puts one value into one row of a cohort directory."""

    def apply(folder: Path, table: str, column: str, value: object, row: int = 0) -> None:
        def change(content: pa.Table) -> pa.Table:
            values = content.column(column).to_pylist()
            values[row] = value
            place = content.column_names.index(column)
            return content.set_column(place, column, pa.array(values, content.schema.field(column).type))

        rewrite(folder, table, change)

    return apply


@pytest.fixture(scope="session")
def lncohort() -> Run:
    """Give a function that runs the installed command in a folder outside the checkout."""

    def run(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [COMMAND, *map(str, arguments)],
            cwd=cwd,
            capture_output=True,
            text=True,
            env={**os.environ, "COLUMNS": "200"},
        )

    return run
