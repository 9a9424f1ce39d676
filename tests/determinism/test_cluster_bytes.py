"""A population written by a cluster is the same bytes, also when a worker is killed on the way."""

from __future__ import annotations

import builtins
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from cohort.errors import OutputError, UsageError
from synthetic.population import BLOCK
from synthetic.population_plan import PopulationPlan
from synthetic.stream import write_part, write_population

PLAN = PopulationPlan("kim2025", 5, 6 * BLOCK, blocks_per_part=1)
ON_TWO_WORKERS = """
import os, signal, sys
from pathlib import Path

from distributed import Client, LocalCluster

from synthetic.population import BLOCK
from synthetic.population_plan import PopulationPlan
from synthetic.stream import write_population

if __name__ == "__main__":
    target, kill = Path(sys.argv[1]), sys.argv[2] == "kill"
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        with Client(cluster) as client:
            victims = list(client.run(os.getpid).values())[:1] if kill else []

        def advance():
            while victims:
                os.kill(victims.pop(), signal.SIGKILL)

        plan = PopulationPlan("kim2025", 5, 6 * BLOCK, blocks_per_part=1)
        write_population(plan, target, cluster=cluster.scheduler_address, advance=advance)
        assert not victims
"""


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.slow
@pytest.mark.parametrize("fate", ["live", "kill"])
def test_a_cluster_changes_no_byte(fate: str, tmp_path: Path) -> None:
    script = tmp_path / "on_two_workers.py"
    script.write_text(ON_TWO_WORKERS, encoding="utf-8")
    run = subprocess.run([sys.executable, script, tmp_path / "cluster", fate], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    write_population(PLAN, tmp_path / "alone")
    assert contents(tmp_path / "cluster") == contents(tmp_path / "alone")


def test_a_cluster_without_its_packages_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ordinary = builtins.__import__

    def without(
        name: str,
        globals: Mapping[str, object] | None = None,
        locals: Mapping[str, object] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> object:
        if name == "distributed":
            raise ModuleNotFoundError("No module named 'distributed'")
        return ordinary(name, globals, locals, fromlist, level)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UsageError, match=r"--cluster: .*dask and distributed.*pip install 'lncohort\[cluster\]'"):
        write_population(PLAN, tmp_path / "x", cluster="tcp://127.0.0.1:1")


def test_an_address_that_is_none_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    with pytest.raises(UsageError, match="no scheduler answers there"):
        write_population(PLAN, tmp_path / "x", cluster="nonsense://here")
    assert not (tmp_path / "x").exists()


def test_processes_of_ones_own_and_a_cluster_exclude_each_other(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the cluster has its own workers"):
        write_population(PLAN, tmp_path / "x", jobs=2, cluster="tcp://127.0.0.1:8786")


def test_a_worker_that_does_not_see_the_output_says_so(tmp_path: Path) -> None:
    work = PLAN.settle()
    with pytest.raises(OutputError, match=r"does not see the output.*file system that all workers share"):
        write_part(work, tmp_path / "elsewhere", 0)
