"""What every planter works with: the draft, the plan, the streams, and the count of eligible units."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from cohort.codes import Fault
from cohort.seeds import SeedTree
from synthetic.dirt.draft import Draft
from synthetic.dirt.draws import FloatArray, Hit, Pool, hits, pools, remaining
from synthetic.dirt.kinds import DirtPlan
from synthetic.dirt.layout import PATIENT, VISIT, Sheet


@dataclass(frozen=True, slots=True)
class Planting:
    """One run of planting; ``eligible`` counts, by kind, the units it could have befallen.

    ``lab_rows`` gives the rows of ``labs.csv`` by number of the patient and of the visit.
    """

    draft: Draft
    plan: DirtPlan
    tree: SeedTree
    eligible: Counter[Fault] = field(default_factory=Counter)
    lab_rows: dict[tuple[str, str], list[int]] = field(init=False)

    def __post_init__(self) -> None:
        labs = self.draft.clean[Sheet.LABS]
        rows: dict[tuple[str, str], list[int]] = {}
        for row, key in enumerate(zip(labs[PATIENT], labs[VISIT], strict=True)):
            rows.setdefault(key, []).append(row)
        object.__setattr__(self, "lab_rows", rows)

    def share(self, weights: Mapping[Fault, FloatArray], *place: str) -> dict[Fault, Pool]:
        """Share the units of a place among kinds (see :func:`synthetic.dirt.draws.pools`) and count them."""
        shared = pools(weights, self.tree, place)
        for kind, pool in shared.items():
            self.eligible[kind] += pool.eligible
        return shared

    def hits(self, kind: Fault, places: Sequence[Pool]) -> list[Hit]:
        """Return the units at fault."""
        return list(hits(places, self.plan.rates[kind], at_least_once=self.plan.at_least_once))

    def row_hits(self, kind: Fault, places: Sequence[Pool]) -> list[Hit]:
        """Return the rows at fault, passing over rows that are gone; a place starts with the name of its file."""
        return self.hits(kind, [remaining(pool, self.draft.alive(Sheet(pool.place[0]))) for pool in places])

    def own_hits(self, kind: Fault, eligible: Sequence[bool], sheet: Sheet) -> list[Hit]:
        """Return the rows of a file at fault by a kind that shares its units with no other."""
        weight = np.asarray(eligible, dtype=np.float64)
        return self.row_hits(kind, [self.share({kind: weight}, sheet.value)[kind]])
