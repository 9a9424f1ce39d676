"""Populations of any size: written part by part in constant memory, resumable, the same bytes for any split of work."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import pandas as pd

from cohort import __version__
from cohort.definitions import KDIGO_2012, KIM2025
from cohort.errors import OutputError, UsageError
from cohort.output import MARK, check_free
from cohort.schema import COHORT_TABLES, TRUTH_TABLES
from cohort.seeds import SeedTree
from cohort.store import write_manifest, write_table
from cohort.targets import load_study
from synthetic.design import design_of
from synthetic.population import BLOCK, draw_block
from synthetic.reconstruct import reconstruct
from synthetic.scenario import DEFAULT_SCENARIO, Scenario
from synthetic.scenario_notes import assumptions, scenario_notes
from synthetic.setting import Setting, settle
from synthetic.tables import events_frame, patients_frame, treatments_frame, truth_frames, visits_frame


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
    overwrite
        Whether an existing directory that lncohort wrote may be replaced.
    advance
        Called after each part.

    Raises
    ------
    OutputError
        If ``target`` exists and may not be replaced, or beside it stands unfinished work of another plan.
    UsageError
        If ``jobs`` is below 1.
    """
    if jobs < 1:
        raise UsageError("at least one process is needed", where="--jobs", got=str(jobs))
    check_free(target, overwrite=overwrite)
    target = target.absolute()
    unfinished = target.parent / f".{target.name}.unfinished"
    _open_unfinished(unfinished, plan)
    study = load_study(plan.study)
    setting = settle(design_of(study, reconstruct(study)), plan.scenario)
    waiting = [part for part in range(plan.parts) if not _done(unfinished, part).exists()]
    for _ in range(plan.parts - len(waiting)):
        advance()
    for _ in _run(waiting, jobs, plan, setting, unfinished):
        advance()
    _finish(unfinished, plan, setting)
    if target.exists():
        shutil.rmtree(target)
    unfinished.rename(target)


def write_part(plan: PopulationPlan, setting: Setting, folder: Path, part: int) -> int:
    """Draw and write one part of every table; return its number."""
    tree = SeedTree(plan.seed).child("population")
    first = part * plan.blocks_per_part
    blocks = range(first, min(first + plan.blocks_per_part, -(-plan.patients // BLOCK)))
    frames: dict[str, list[pd.DataFrame]] = {table.name: [] for table in (*COHORT_TABLES, *TRUTH_TABLES)}
    for block in blocks:
        for name, frame in _block_frames(plan, setting, tree, block).items():
            frames[name].append(frame)
    for table in (*COHORT_TABLES, *TRUTH_TABLES):
        place = folder / table.path
        place.mkdir(parents=True, exist_ok=True)
        scratch = place / f".part-{part:05d}"
        write_table(pd.concat(frames[table.name], ignore_index=True), table, scratch)
        scratch.rename(place / f"part-{part:05d}.parquet")
    _done(folder, part).touch()
    return part


def _block_frames(plan: PopulationPlan, setting: Setting, tree: SeedTree, block: int) -> dict[str, pd.DataFrame]:
    story = draw_block(setting, tree, block, plan.patients)
    own, model = tree.child("block", block), setting.model
    truth = truth_frames(story, setting)
    frames = {
        "patients": patients_frame(story, setting.design),
        "visits": visits_frame(story, model, own),
        "treatments": treatments_frame(story, model, own),
        "events": events_frame(story),
        **{f"truth_{name}": frame for name, frame in truth.items()},
    }
    kept = plan.patients - block * BLOCK
    if kept >= BLOCK:
        return frames
    ids = story.ids[:kept]
    return {name: frame[frame["patient_id"].isin(ids)] for name, frame in frames.items()}


def _run(waiting: list[int], jobs: int, plan: PopulationPlan, setting: Setting, folder: Path) -> Iterator[int]:
    if jobs == 1:
        for part in waiting:
            yield write_part(plan, setting, folder, part)
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        futures = [pool.submit(write_part, plan, setting, folder, part) for part in waiting]
        for future in as_completed(futures):
            yield future.result()


def _open_unfinished(folder: Path, plan: PopulationPlan) -> None:
    note = folder / "plan.json"
    if not folder.exists():
        try:
            folder.mkdir(parents=True)
        except OSError as error:
            raise OutputError("cannot write there", where=str(folder.parent), got=str(error.strerror)) from error
        note.write_text(plan.text, encoding="utf-8")
        return
    if not note.is_file() or note.read_text(encoding="utf-8") != plan.text:
        raise OutputError(
            "unfinished work of another run stands there",
            where=str(folder),
            remedy="finish it with the same command, remove it, or name another output",
        )


def _done(folder: Path, part: int) -> Path:
    return folder / f".done-{part:05d}"


def _finish(folder: Path, plan: PopulationPlan, setting: Setting) -> None:
    notes = {
        "patients": plan.patients,
        "scenario": scenario_notes(setting.scenario, setting.model),
        "intercepts": setting.calibration.intercepts.tolist(),
        "response_definition": KIM2025.name,
        "flare_definition": KDIGO_2012.name,
        "assumptions": assumptions(setting.scenario, setting.model),
    }
    write_manifest(folder, study=plan.study, seed=plan.seed, mode="population", notes=notes)
    for left in (*folder.glob(".done-*"), folder / "plan.json"):
        left.unlink()
    (folder / MARK).touch()
