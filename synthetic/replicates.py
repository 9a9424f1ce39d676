"""Replicates: independent cohorts of one study, drawn together, as one dataset with a column ``replicate``."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from cohort import __version__
from cohort.columns import Columns, arrow_table, join_rows, positions, take_rows
from cohort.errors import UsageError
from cohort.record import Study
from cohort.response import IntArray
from cohort.schema import COHORT_TABLES, TRUTH_TABLES, Table, replicated
from cohort.seeds import SeedTree
from cohort.targets import load_study
from synthetic.calibratable_tables import calibratable_tables
from synthetic.coarse import CoarseNoise
from synthetic.design import design_of
from synthetic.exact import draw_exact_stories
from synthetic.population import draw_patients
from synthetic.reconstruct import reconstruct
from synthetic.scenario import DEFAULT_SCENARIO, Scenario
from synthetic.scenario_notes import setting_notes
from synthetic.setting import Setting, settle
from synthetic.story import replicate_ids
from synthetic.tables import story_columns

if TYPE_CHECKING:
    import pyarrow as pa

FIRST_BLOCK, LATER_BLOCK = 64, 192
"""Replicates of the first block, which is small since few may be wanted, and of each later one.

A block is drawn whole, even when only its first replicates are used.
"""


ENSEMBLE_TABLES = 16
"""Tables of whole patients that an ensemble draws from, the one taken by rule among them."""


class ReplicateMode(StrEnum):
    """How replicates meet the published rates."""

    EXACT = "exact"
    """Each has them."""
    POPULATION = "population"
    """They are met on average, at the reconstruction taken by rule."""
    ENSEMBLE = "ensemble"
    """As population, each replicate at another of the tables of whole patients that print admits."""


def replicates_of(block: int) -> range:
    """Return the replicates of a block, from 0.

    Examples
    --------
    >>> replicates_of(0), replicates_of(2)
    (range(0, 64), range(256, 448))
    """
    if block == 0:
        return range(FIRST_BLOCK)
    first = FIRST_BLOCK + (block - 1) * LATER_BLOCK
    return range(first, first + LATER_BLOCK)


@dataclass(frozen=True, slots=True)
class ReplicatePlan:
    """Replicates to write; two plans that are equal give the same bytes."""

    study: str
    seed: int
    replicates: int
    mode: ReplicateMode = ReplicateMode.EXACT
    scenario: Scenario = DEFAULT_SCENARIO
    blocks_per_part: int = 1

    def __post_init__(self) -> None:
        if self.replicates < 1:
            raise UsageError("at least one replicate is needed", where="--replicates", got=str(self.replicates))

    @property
    def blocks(self) -> int:
        """Number of blocks of replicates."""
        return 1 + max(0, -(-(self.replicates - FIRST_BLOCK) // LATER_BLOCK))

    @property
    def text(self) -> str:
        """The plan as JSON."""
        return json.dumps({**dataclasses.asdict(self), "version": __version__})

    def settle(self) -> ReplicateWork:
        """Calibrate the study under the scenario, or every table of an ensemble."""
        study = load_study(self.study)
        if self.mode is not ReplicateMode.ENSEMBLE:
            setting = settle(design_of(study, reconstruct(study)), self.scenario)
            return ReplicateWork(self, study, (setting,))
        tables = calibratable_tables(study, self.scenario, ENSEMBLE_TABLES, SeedTree(self.seed).child("ensemble"))
        return ReplicateWork(self, study, tables.settings, tuple(tables.frame().to_dict("records")))


@dataclass(frozen=True, slots=True)
class ReplicateWork:
    """Replicates whose constants are solved; an ensemble has several ``settings``, the default table's first.

    ``tables_drawn`` lists the tables of an ensemble, one record per table, arm and visit.
    """

    plan: ReplicatePlan
    record: Study
    settings: tuple[Setting, ...]
    tables_drawn: tuple[Mapping[Hashable, object], ...] = ()

    @property
    def setting(self) -> Setting:
        """The setting at the table taken by rule."""
        return self.settings[0]

    @property
    def declared(self) -> Sequence[Table]:
        """Declarations of the tables."""
        return tuple(replicated(table) for table in (*COHORT_TABLES, *TRUTH_TABLES))

    def tables(self, block: int) -> dict[str, pa.Table]:
        """Draw one block of replicates and lay out its tables."""
        columns = self.columns(block)
        return {table.name: arrow_table(columns[table.name], table) for table in self.declared}

    def columns(self, block: int) -> dict[str, Columns]:
        """Draw one whole block; return the columns of its tables, those of replicates not wanted left out."""
        plan, design = self.plan, self.setting.design
        own = SeedTree(plan.seed).child("replicates", plan.mode.value, "block", block)
        numbers = replicates_of(block)
        first, size = numbers.start, len(numbers)
        ids = replicate_ids(design, first + 1, size, plan.replicates)
        wanted = min(size, plan.replicates - first)
        pieces = []
        if plan.mode is not ReplicateMode.EXACT:
            table = self.table_of_replicate(block)
            for number in np.unique(table):
                setting, mine = self.settings[number], np.flatnonzero(table == number)
                tree = own.child("table", int(number))
                story = draw_patients(ids.reshape(size, -1)[mine].ravel(), setting, tree)
                pieces.append(_Drawn(story_columns(story, setting, tree, CoarseNoise), mine))
            return _in_order(pieces, design.total, numbers, wanted)
        stories = draw_exact_stories(
            self.record, design, self.setting.calibration, self.setting.model, ids, own, CoarseNoise
        )
        drawn = story_columns(stories.story, self.setting, own.child("tables"), CoarseNoise)
        return _in_order([_Drawn(drawn, np.arange(size))], design.total, numbers, wanted)

    def table_of_replicate(self, block: int) -> IntArray:
        """Return which of the settings each replicate of a block has, all with the same probability."""
        own = SeedTree(self.plan.seed).child("replicates", self.plan.mode.value, "block", block, "tables")
        return own.generator().integers(0, len(self.settings), len(replicates_of(block)))

    def notes(self) -> Mapping[str, object]:
        """What ``cohort.json`` says; of an ensemble, also its tables and, replicate by replicate, the table of each."""
        notes = {
            "replicates": self.plan.replicates,
            "patients_per_replicate": self.setting.design.total,
            **setting_notes(self.setting),
        }
        if self.plan.mode is not ReplicateMode.ENSEMBLE:
            return notes
        names = list(dict.fromkeys(str(row["table"]) for row in self.tables_drawn))
        tables = np.concatenate([self.table_of_replicate(block) for block in range(self.plan.blocks)])
        return {
            **notes,
            "tables": [dict(row) for row in self.tables_drawn],
            "table_of_replicate": [names[table] for table in tables[: self.plan.replicates]],
        }


@dataclass(frozen=True, slots=True)
class _Drawn:
    """Tables of some replicates of a block, and their ``numbers`` in it, in ascending order."""

    tables: Mapping[str, Columns]
    numbers: IntArray


def _in_order(drawn: Sequence[_Drawn], per_replicate: int, block: range, wanted: int) -> dict[str, Columns]:
    """Join tables of replicates drawn apart, in the order of their numbers, and number their rows."""
    joined: dict[str, Columns] = {}
    for name in drawn[0].tables:
        parts = [piece.tables[name] for piece in drawn]
        number = np.concatenate([piece.numbers[positions(piece.tables[name]) // per_replicate] for piece in drawn])
        rows = parts[0] if len(parts) == 1 else join_rows(parts)
        if len(parts) > 1 or wanted < len(block):
            order = np.argsort(number, kind="stable")
            order = order[: np.count_nonzero(number < wanted)]
            rows, number = take_rows(rows, order), number[order]
        joined[name] = {"replicate": number + block.start + 1, **rows}
    return joined


def generate_replicates(
    study: str,
    *,
    replicates: int,
    seed: int,
    mode: ReplicateMode = ReplicateMode.EXACT,
    scenario: Scenario = DEFAULT_SCENARIO,
) -> dict[str, pa.Table]:
    """Generate independent cohorts of a study in memory.

    Parameters
    ----------
    study
        Name of a study, or path of its file.
    replicates
        How many cohorts.
    seed
        Root of all random streams; more replicates begin with the same ones.
    mode
        Whether each replicate has the published rates, or has them in expectation at the study's own size, at the
        reconstruction taken by rule or at one of the others that print admits.
    scenario
        Dials of the patient model.

    Returns
    -------
    dict of pyarrow.Table
        By name of the table: the columns of the schema after ``replicate`` (from 1); those of ``truth/`` are called
        ``truth_patients`` and so on. Identifiers of patients are unique over replicates.

    Raises
    ------
    CalibrationError
        If the model cannot meet the print.

    Examples
    --------
    >>> tables = generate_replicates("kim2025", replicates=3, seed=1)
    >>> tables["patients"].num_rows, tables["patients"].column_names[:2]
    (537, ['replicate', 'patient_id'])
    """
    import pyarrow as pa

    work = ReplicatePlan(study, seed, replicates, mode, scenario).settle()
    blocks = [work.tables(block) for block in range(work.plan.blocks)]
    return {name: pa.concat_tables([tables[name] for tables in blocks]) for name in blocks[0]}
