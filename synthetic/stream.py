"""Populations of any size: written part by part in constant memory, resumable, the same bytes for any split of work."""

from __future__ import annotations

import dataclasses
import json
import platform
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from cohort import __version__
from cohort.columns import Columns, arrow_table, rows_up_to
from cohort.definitions import KDIGO_2012, KIM2025
from cohort.errors import OutputError, UsageError
from cohort.output import MARK, check_free
from cohort.schema import COHORT_TABLES, TRUTH_TABLES
from cohort.seeds import SeedTree
from cohort.store import write_arrow, write_manifest
from cohort.targets import load_study
from synthetic.cluster import run_on_cluster
from synthetic.coarse import CoarseNoise
from synthetic.design import design_of
from synthetic.population import BLOCK, draw_block
from synthetic.reconstruct import reconstruct
from synthetic.scenario import DEFAULT_SCENARIO, Scenario
from synthetic.scenario_notes import assumptions, scenario_notes
from synthetic.setting import Setting, settle
from synthetic.tables import events_columns, patients_columns, treatments_columns, truth_columns, visits_columns

if TYPE_CHECKING:
    import pyarrow as pa

_PLAN = "plan.json"


@dataclass(frozen=True, slots=True)
class PopulationPlan:
    """A population to write; two plans that are equal give the same bytes.

    A Parquet part holds ``blocks_per_part`` blocks, so that memory does not depend on the size of the population.
    """

    study: str
    seed: int
    patients: int
    scenario: Scenario = DEFAULT_SCENARIO
    blocks_per_part: int = 4

    def __post_init__(self) -> None:
        if self.patients < 1:
            raise UsageError("at least one patient is needed", where="--patients", got=str(self.patients))

    @property
    def parts(self) -> int:
        """Number of Parquet parts of each table."""
        return -(-self.patients // (BLOCK * self.blocks_per_part))

    @property
    def text(self) -> str:
        """The plan as JSON, written beside unfinished work to recognise it."""
        return json.dumps({**dataclasses.asdict(self), "version": __version__})


def write_population(
    plan: PopulationPlan,
    target: Path,
    *,
    jobs: int = 1,
    cluster: str | None = None,
    overwrite: bool = False,
    advance: Callable[[], None] = lambda: None,
) -> None:
    """Write a population as a cohort directory whose tables are folders of Parquet parts.

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
    study = load_study(plan.study)
    setting = settle(design_of(study, reconstruct(study)), plan.scenario)
    _open_unfinished(unfinished, plan)
    waiting = [part for part in range(plan.parts) if not _done(unfinished, part).exists()]
    for _ in range(plan.parts - len(waiting)):
        advance()
    task = partial(write_part, plan, setting, unfinished)
    for _ in run_on_cluster(cluster, waiting, task) if cluster else _run(waiting, jobs, task):
        advance()
    _finish(unfinished, plan, setting)
    if target.exists():
        shutil.rmtree(target)
    unfinished.rename(target)


def write_part(plan: PopulationPlan, setting: Setting, folder: Path, part: int) -> int:
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
    tree = SeedTree(plan.seed).child("population")
    first = part * plan.blocks_per_part
    blocks = range(first, min(first + plan.blocks_per_part, -(-plan.patients // BLOCK)))
    write_tables([_block_tables(plan, setting, tree, block) for block in blocks], folder, part)
    _done(folder, part).touch()
    return part


def write_tables(blocks: Sequence[Mapping[str, pa.Table]], folder: Path, part: int) -> None:
    """Write the tables of some blocks as part number ``part`` of each table; every file appears in one rename."""
    import pyarrow as pa

    for table in (*COHORT_TABLES, *TRUTH_TABLES):
        place = folder / table.path
        place.mkdir(parents=True, exist_ok=True)
        # A worker that was taken for dead may still be writing the same part.
        scratch = place / f".part-{part:05d}-{uuid4().hex}"
        write_arrow(pa.concat_tables([tables[table.name] for tables in blocks]), table, scratch)
        scratch.rename(place / f"part-{part:05d}.parquet")


def block_columns(plan: PopulationPlan, setting: Setting, tree: SeedTree, block: int) -> dict[str, Columns]:
    """Draw one whole block; return the columns of its tables by name of the table."""
    story = draw_block(setting, tree, block, plan.patients)
    own, model = tree.child("block", block), setting.model
    return {
        "patients": patients_columns(story, setting.design),
        "visits": visits_columns(story, model, own, CoarseNoise),
        "treatments": treatments_columns(story, model, own),
        "events": events_columns(story),
        **truth_columns(story, setting),
    }


def _block_tables(plan: PopulationPlan, setting: Setting, tree: SeedTree, block: int) -> dict[str, pa.Table]:
    """Draw one block and lay out its tables, rows of patients beyond the size of the population left out."""
    columns = block_columns(plan, setting, tree, block)
    kept = plan.patients - block * BLOCK
    tables = {table.name: arrow_table(columns[table.name], table) for table in (*COHORT_TABLES, *TRUTH_TABLES)}
    if kept >= BLOCK:
        return tables
    return {name: data.slice(0, rows_up_to(columns[name], kept)) for name, data in tables.items()}


def _run(waiting: list[int], jobs: int, task: Callable[[int], int]) -> Iterator[int]:
    if jobs == 1:
        yield from map(task, waiting)
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        for future in as_completed([pool.submit(task, part) for part in waiting]):
            yield future.result()


def _check_unfinished(folder: Path, plan: PopulationPlan) -> None:
    note = folder / _PLAN
    if folder.exists() and (not note.is_file() or note.read_text(encoding="utf-8") != plan.text):
        raise OutputError(
            "unfinished work of another run stands there",
            where=str(folder),
            remedy="finish it with the same command, remove it, or name another output",
        )


def _open_unfinished(folder: Path, plan: PopulationPlan) -> None:
    if folder.exists():
        return
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise OutputError("cannot write there", where=str(folder.parent), got=str(error.strerror)) from error
    (folder / _PLAN).write_text(plan.text, encoding="utf-8")


def _done(folder: Path, part: int) -> Path:
    return folder / f".done-{part:05d}"


def _finish(folder: Path, plan: PopulationPlan, setting: Setting) -> None:
    for torn in folder.rglob(".part-*"):
        torn.unlink()
    notes = {
        "patients": plan.patients,
        "scenario": scenario_notes(setting.scenario, setting.model),
        "intercepts": setting.calibration.intercepts.tolist(),
        "response_definition": KIM2025.name,
        "flare_definition": KDIGO_2012.name,
        "assumptions": assumptions(setting.scenario, setting.model),
    }
    write_manifest(folder, study=plan.study, seed=plan.seed, mode="population", notes=notes)
    for left in (*folder.glob(".done-*"), folder / _PLAN):
        left.unlink()
    (folder / MARK).touch()
