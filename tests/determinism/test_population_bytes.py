"""A population is the same bytes for any split of the work, after an interruption, and begins a larger one."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import synthetic.stream as stream
from cohort.errors import OutputError, UsageError
from cohort.store import read_cohort
from synthetic.population import BLOCK
from synthetic.population_plan import PopulationPlan
from synthetic.stream import write_population


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def plan() -> PopulationPlan:
    return PopulationPlan("kim2025", 11, BLOCK + 100, blocks_per_part=1)


@pytest.fixture
def whole(plan: PopulationPlan, tmp_path: Path) -> Path:
    write_population(plan, tmp_path / "whole")
    return tmp_path / "whole"


def test_an_interrupted_run_is_finished_with_the_same_bytes(whole: Path, plan: PopulationPlan, tmp_path: Path) -> None:
    target = tmp_path / "again"
    calls = []

    def stop_after_one() -> None:
        calls.append(1)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_population(plan, target, advance=stop_after_one)
    assert not target.exists()
    unfinished = tmp_path / ".again.unfinished"
    half_written = unfinished / "visits.parquet" / ".part-00001"
    half_written.write_bytes(b"torn")
    first_part = (unfinished / "visits.parquet" / "part-00000.parquet").stat().st_mtime_ns
    write_population(plan, target)
    assert (target / "visits.parquet" / "part-00000.parquet").stat().st_mtime_ns == first_part
    assert contents(target) == contents(whole)


def test_a_larger_population_begins_with_the_same_patients(whole: Path, tmp_path: Path) -> None:
    write_population(PopulationPlan("kim2025", 11, 300), tmp_path / "small")
    small, large = read_cohort(tmp_path / "small"), read_cohort(whole)
    for name in ("patients", "visits", "treatments", "events"):
        one = small.table(name)
        number = one["patient_id"].str[-4:].astype(int)
        other = large.table(name)
        kept = other["patient_id"].str[-4:].astype(int) <= 300
        columns = [column for column in one.columns if column != "patient_id"]
        pd.testing.assert_frame_equal(
            one[columns].reset_index(drop=True), other.loc[kept, columns].reset_index(drop=True)
        )
        assert number.max() <= 300


def test_unfinished_work_of_another_plan_is_not_touched(plan: PopulationPlan, tmp_path: Path) -> None:
    (tmp_path / ".x.unfinished").mkdir()
    with pytest.raises(OutputError, match="unfinished work of another run"):
        write_population(plan, tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_sizes_and_processes_below_one_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="at least one patient"):
        PopulationPlan("kim2025", 1, 0)
    with pytest.raises(UsageError, match="at least one process"):
        write_population(PopulationPlan("kim2025", 1, 5), tmp_path / "x", jobs=0)


def test_two_parts_written_in_either_order_are_the_same(plan: PopulationPlan, tmp_path: Path) -> None:
    work = plan.settle()
    for order in ((0, 1), (1, 0)):
        folder = tmp_path / str(order[0])
        folder.mkdir()
        (folder / "plan.json").write_text(plan.text, encoding="utf-8")
        for part in order:
            stream.write_part(work, folder, part)
    assert contents(tmp_path / "0") == contents(tmp_path / "1")


@pytest.mark.slow
def test_processes_change_no_byte(tmp_path: Path) -> None:
    plan = PopulationPlan("kim2025", 5, 2 * BLOCK, blocks_per_part=1)
    for jobs in (1, 2):
        write_population(plan, tmp_path / str(jobs), jobs=jobs)
    assert contents(tmp_path / "1") == contents(tmp_path / "2")
