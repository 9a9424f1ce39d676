"""Cohorts of any size: written part by part in constant memory, resumable, the same bytes for any split of work."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from uuid import uuid4

from cohort.errors import OutputError, UsageError
from cohort.output import MARK, check_free
from cohort.schema import TRUTH_ESTIMANDS, Table
from cohort.store import write_arrow, write_manifest, write_table
from synthetic.cluster import run_on_cluster
from synthetic.setting import Setting
from synthetic.true_effects import true_effects

if TYPE_CHECKING:
    import pyarrow as pa

_PLAN = "plan.json"


class Plan(Protocol):
    """What to write, in blocks that are drawn whole; two plans of the same ``text`` give the same bytes.

    A Parquet part holds ``blocks_per_part`` blocks, so that memory does not depend on how many there are.
    """

    @property
    def study(self) -> str:
        """Name of the study."""
        ...

    @property
    def seed(self) -> int:
        """Root of all random streams."""
        ...

    @property
    def mode(self) -> str:
        """How the published rates are met."""
        ...

    @property
    def blocks(self) -> int:
        """Number of blocks."""
        ...

    @property
    def blocks_per_part(self) -> int:
        """Blocks in a Parquet part."""
        ...

    @property
    def text(self) -> str:
        """The plan as JSON, written beside unfinished work to recognise it."""
        ...

    def settle(self) -> Work:
        """Solve what all blocks need."""
        ...


class Work(Protocol):
    """A settled plan: draws any of its blocks, in any process."""

    @property
    def plan(self) -> Plan:
        """What is written."""
        ...

    @property
    def setting(self) -> Setting:
        """Design, model and constants whose true effects go with the data."""
        ...

    @property
    def declared(self) -> Sequence[Table]:
        """Declarations of the tables of a block."""
        ...

    def tables(self, block: int) -> Mapping[str, pa.Table]:
        """Draw one block; return its tables by name."""
        ...

    def notes(self) -> Mapping[str, object]:
        """What ``cohort.json`` says of the whole."""
        ...


def parts_of(plan: Plan) -> int:
    """Return the number of Parquet parts of each table of ``plan``."""
    return -(-plan.blocks // plan.blocks_per_part)


def write_population(
    plan: Plan,
    target: Path,
    *,
    jobs: int = 1,
    cluster: str | None = None,
    overwrite: bool = False,
    advance: Callable[[], None] = lambda: None,
) -> None:
    """Write a population, or replicates of a study, as a cohort directory whose tables are folders of Parquet parts.

    Unfinished work stands beside ``target`` and is taken up again by the same plan: finished parts are kept, the one
    that was being written is written anew. ``target`` appears in one rename when all is done.

    Parameters
    ----------
    plan
        What to write.
    target
        Directory to write.
    jobs
        Processes; any number gives the same bytes.
    cluster
        Address of a Dask scheduler whose workers write the parts instead, into the same file system; needs the extra
        ``cluster``. The bytes are the same, also when workers die.
    overwrite
        Whether an existing directory that lncohort wrote may be replaced.
    advance
        Called after each part.

    Raises
    ------
    OutputError
        If ``target`` exists and may not be replaced, or beside it stands unfinished work of another plan.
    UsageError
        If ``jobs`` is below 1, or given with ``cluster``, or the cluster cannot be reached.
    """
    if jobs < 1:
        raise UsageError("at least one process is needed", where="--jobs", got=str(jobs))
    if cluster is not None and jobs != 1:
        raise UsageError("the cluster has its own workers", where="--jobs, --cluster", remedy="leave one of them out")
    check_free(target, overwrite=overwrite)
    target = target.absolute()
    unfinished = target.parent / f".{target.name}.unfinished"
    _check_unfinished(unfinished, plan)
    work = plan.settle()
    _open_unfinished(unfinished, plan)
    waiting = [part for part in range(parts_of(plan)) if not _done(unfinished, part).exists()]
    for _ in range(parts_of(plan) - len(waiting)):
        advance()
    task = partial(write_part, work, unfinished)
    for _ in run_on_cluster(cluster, waiting, task) if cluster else _run(waiting, jobs, task):
        advance()
    _finish(unfinished, work)
    if target.exists():
        shutil.rmtree(target)
    unfinished.rename(target)


def write_part(work: Work, folder: Path, part: int) -> int:
    """Draw and write one part of every table into unfinished work; return the number of the part.

    Raises
    ------
    OutputError
        If no unfinished work stands in ``folder``, as on a machine that does not share the file system.
    """
    if not (folder / _PLAN).is_file():
        raise OutputError(
            "the process that writes a part does not see the output",
            where=str(folder),
            got=platform.node(),
            remedy="name an output on a file system that all workers share",
        )
    plan = work.plan
    first = part * plan.blocks_per_part
    blocks = range(first, min(first + plan.blocks_per_part, plan.blocks))
    write_tables([work.tables(block) for block in blocks], work.declared, folder, part)
    _done(folder, part).touch()
    return part


def write_tables(blocks: Sequence[Mapping[str, pa.Table]], declared: Sequence[Table], folder: Path, part: int) -> None:
    """Write the tables of some blocks as part number ``part`` of each table; every file appears in one rename."""
    import pyarrow as pa

    for table in declared:
        place = folder / table.path
        place.mkdir(parents=True, exist_ok=True)
        # A worker that was taken for dead may still be writing the same part.
        scratch = place / f".part-{part:05d}-{uuid4().hex}"
        write_arrow(pa.concat_tables([tables[table.name] for tables in blocks]), table, scratch)
        scratch.rename(place / f"part-{part:05d}.parquet")


def _run(waiting: list[int], jobs: int, task: Callable[[int], int]) -> Iterator[int]:
    if jobs == 1:
        yield from map(task, waiting)
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        for future in as_completed([pool.submit(task, part) for part in waiting]):
            yield future.result()


def _check_unfinished(folder: Path, plan: Plan) -> None:
    note = folder / _PLAN
    if folder.exists() and (not note.is_file() or note.read_text(encoding="utf-8") != plan.text):
        raise OutputError(
            "unfinished work of another run stands there",
            where=str(folder),
            remedy="finish it with the same command, remove it, or name another output",
        )


def _open_unfinished(folder: Path, plan: Plan) -> None:
    if folder.exists():
        return
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise OutputError("cannot write there", where=str(folder.parent), got=str(error.strerror)) from error
    (folder / _PLAN).write_text(plan.text, encoding="utf-8")


def _done(folder: Path, part: int) -> Path:
    return folder / f".done-{part:05d}"


def _finish(folder: Path, work: Work) -> None:
    for torn in folder.rglob(".part-*"):
        torn.unlink()
    plan = work.plan
    write_table(true_effects(work.setting), TRUTH_ESTIMANDS, folder / TRUTH_ESTIMANDS.path)
    write_manifest(folder, study=plan.study, seed=plan.seed, mode=plan.mode, notes=work.notes())
    for left in (*folder.glob(".done-*"), folder / _PLAN):
        left.unlink()
    (folder / MARK).touch()
