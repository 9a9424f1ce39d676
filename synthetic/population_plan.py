"""A population to write: one cohort of any number of patients, block by block."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cohort import __version__
from cohort.columns import Columns, arrow_table, rows_up_to
from cohort.errors import UsageError
from cohort.schema import COHORT_TABLES, TRUTH_TABLES, Table
from cohort.seeds import SeedTree
from cohort.targets import load_study
from synthetic.coarse import CoarseNoise
from synthetic.design import design_of
from synthetic.population import BLOCK, draw_block
from synthetic.reconstruct import reconstruct
from synthetic.scenario import DEFAULT_SCENARIO, Scenario
from synthetic.scenario_notes import setting_notes
from synthetic.setting import Setting, settle
from synthetic.tables import story_columns

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class PopulationPlan:
    """A population to write; two plans that are equal give the same bytes."""

    study: str
    seed: int
    patients: int
    scenario: Scenario = DEFAULT_SCENARIO
    blocks_per_part: int = 4
    mode: str = dataclasses.field(default="population", init=False)

    def __post_init__(self) -> None:
        if self.patients < 1:
            raise UsageError("at least one patient is needed", where="--patients", got=str(self.patients))

    @property
    def blocks(self) -> int:
        """Number of blocks of patients."""
        return -(-self.patients // BLOCK)

    @property
    def text(self) -> str:
        """The plan as JSON."""
        return json.dumps({**dataclasses.asdict(self), "version": __version__})

    def settle(self) -> PopulationWork:
        """Calibrate the study under the scenario."""
        study = load_study(self.study)
        return PopulationWork(self, settle(design_of(study, reconstruct(study)), self.scenario))


@dataclass(frozen=True, slots=True)
class PopulationWork:
    """A population whose constants are solved."""

    plan: PopulationPlan
    setting: Setting

    @property
    def declared(self) -> Sequence[Table]:
        """Declarations of the tables."""
        return (*COHORT_TABLES, *TRUTH_TABLES)

    def columns(self, block: int) -> dict[str, Columns]:
        """Draw one whole block; return the columns of its tables by name of the table."""
        tree = SeedTree(self.plan.seed).child("population")
        story = draw_block(self.setting, tree, block, self.plan.patients)
        return story_columns(story, self.setting, tree.child("block", block), CoarseNoise)

    def tables(self, block: int) -> dict[str, pa.Table]:
        """Draw one block and lay out its tables, rows of patients beyond the size of the population left out."""
        columns = self.columns(block)
        kept = self.plan.patients - block * BLOCK
        tables = {table.name: arrow_table(columns[table.name], table) for table in self.declared}
        if kept >= BLOCK:
            return tables
        return {name: data.slice(0, rows_up_to(columns[name], kept)) for name, data in tables.items()}

    def notes(self) -> Mapping[str, object]:
        """What ``cohort.json`` says."""
        return {"patients": self.plan.patients, **setting_notes(self.setting)}
