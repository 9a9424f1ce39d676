"""The best tables of splits, listed visit by visit, with the visits about which nothing is printed filled in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from cohort.errors import ReconstructionError
from cohort.rounding import Integers
from synthetic.p_value_masks import VisitConstraints
from synthetic.printed_cells import PrintedCell
from synthetic.splits import SplitChoice, choose_splits, split_logits
from synthetic.unprinted import logits_between, split_near

Cells = Mapping[str, Sequence[PrintedCell | None]]
"""From each arm to its cells, one a visit; ``None`` where nothing is printed."""


@dataclass(frozen=True, slots=True)
class SplitTables:
    """The best tables of splits of arms that are chosen together.

    Parameters
    ----------
    choice
        The choice at the visits about whose response something is printed.
    listed
        Every table at every visit: ``arms``, ``rank``, ``criterion``, ``arm``, ``month``, ``assessed``, ``complete``,
        ``partial``, ``none``.
    """

    choice: SplitChoice
    listed: pd.DataFrame


def choose_tables(
    arms: Sequence[str],
    cells: Cells,
    assessed: Mapping[str, Sequence[int]],
    months: Sequence[int],
    constraints: Sequence[VisitConstraints],
) -> SplitTables:
    """Choose the splits of one arm, or of two that p-values bind, and fill in the visits with nothing printed.

    Parameters
    ----------
    arms
        One arm, or two that p-values bind.
    cells
        The cells of every arm.
    assessed
        From each arm to its patients assessed, one number a visit.
    months
        Month of each visit.
    constraints
        The p-values that bind two arms, by visit; none for one arm.

    Raises
    ------
    ReconstructionError
        If p-values bind two arms of which one prints response at a visit at which the other prints none.
    """
    visits = _printed_visits(arms, cells, months)
    places = {visit: place for place, visit in enumerate(visits)}
    printed_months = [months[visit] for visit in visits]
    splits = [
        [cell.by_n[n] for cell, n in zip(cells[arm], assessed[arm], strict=True) if cell is not None and cell.targets]
        for arm in arms
    ]
    choice = choose_splits(
        arms,
        splits,
        (np.diff(printed_months) / 12).tolist(),
        [replace(constraint, visit=places[constraint.visit]) for constraint in constraints],
    )
    rows: list[tuple[object, ...]] = []
    for rank, (criterion, table) in enumerate(zip(choice.criterion, choice.places, strict=True), start=1):
        for lane, arm in enumerate(arms):
            taken = [
                (of.n, of.complete[place[lane]], of.partial[place[lane]])
                for of, place in zip(splits[lane], table, strict=True)
            ]
            course = filled_course(np.array(taken, dtype=np.int64).T, printed_months, months, assessed[arm])
            rows += [("+".join(arms), rank, criterion, arm, *cell) for cell in course]
    columns = ["arms", "rank", "criterion", "arm", "month", "assessed", "complete", "partial"]
    listed = pd.DataFrame(rows, columns=columns)
    return SplitTables(choice, listed.assign(none=listed["assessed"] - listed["complete"] - listed["partial"]))


def _printed_visits(arms: Sequence[str], cells: Cells, months: Sequence[int]) -> list[int]:
    """Return the visits about whose response something is printed: the same in arms that are chosen together."""
    first, *others = (
        [visit for visit, cell in enumerate(cells[arm]) if cell is not None and cell.targets] for arm in arms
    )
    for arm, visits in zip(arms[1:], others, strict=True):
        differing = sorted(set(first) ^ set(visits))
        if differing:
            raise ReconstructionError(
                "p-values bind two arms, of which only one prints response at a visit",
                where=f"arms {arms[0]} and {arm}, month {months[differing[0]]}",
                remedy="leave the month out of visit_months, add a target, or take the p-values out",
            )
    return first


def filled_course(
    printed: Integers, printed_months: Sequence[int], months: Sequence[int], assessed: Sequence[int]
) -> Iterator[tuple[int, int, int, int]]:
    """Yield month, patients assessed, complete and partial responders of every visit.

    Parameters
    ----------
    printed
        Patients assessed, complete and partial responders at the printed visits, one row each: shape (3, visits).
    printed_months, months
        Months of these visits, and of all.
    assessed
        Patients assessed at all visits.
    """
    logits = np.stack(split_logits(*printed))
    at = {month: place for place, month in enumerate(printed_months)}
    for month, n in zip(months, assessed, strict=True):
        if month in at:
            _, complete, partial = printed[:, at[month]].tolist()
        else:
            complete, partial = split_near(logits_between(logits, printed_months, month), n)
        yield month, n, complete, partial
