"""Tables of whole patients that print admits, drawn with equal probability: how much hangs on the one chosen?

*Admitted* are the tables of rule 1 of :mod:`synthetic.reconstruct`: at every visit about which something is printed,
patients assessed and splits that give the printed numbers back (or are the nearest to them), denominators that never
rise within an arm, and all the p-values that the study file lists, jointly over the arms. A visit about which nothing
is printed is no source of variation: it runs straight between those printed, in every table (rule 4).

Every admitted table is drawn with the same probability, whatever its denominators: a chain of denominators that leaves
more splits open is drawn more often. That is a choice, not a prior that anybody has argued for. Where print leaves a
response open at a visit (a study that prints complete response alone, say) most tables move it from one end to the
other between visits, as no cohort would; the patient model then refuses many of them
(:mod:`synthetic.calibratable_tables`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
import pandas as pd

from cohort.errors import UsageError
from cohort.record import Study
from cohort.seeds import SeedTree
from synthetic.reconstruct import PrintedRecord, Reconstruction, printed_record, reconstruct
from synthetic.split_tables import filled_course
from synthetic.table_ranks import TableRanks, TakenCell, table_ranks
from synthetic.unprinted import all_denominators

COUNTS = ("assessed", "complete", "partial", "none")


@dataclass(frozen=True, slots=True)
class AdmissibleTable:
    """One table of whole patients that the printed numbers admit.

    Parameters
    ----------
    study
        Name of the study.
    name
        ``"ensemble-0001"`` for the default reconstruction, and so on.
    counts
        As :attr:`synthetic.reconstruct.Reconstruction.counts`: ``arm``, ``month``, ``assessed``, ``complete``,
        ``partial``, ``none`` and ``basis``.
    flares
        As :attr:`synthetic.reconstruct.Reconstruction.flares`, which no table of responses changes.
    differences
        Where it differs from the default reconstruction: ``arm``, ``month``, and the patients more (or, negative,
        fewer) in ``assessed``, ``complete``, ``partial`` and ``none``; a row for each arm and visit that differs.
    """

    study: str
    name: str
    counts: pd.DataFrame
    flares: pd.DataFrame
    differences: pd.DataFrame


def count_tables(study: Study, *, alternative: str | None = None) -> int:
    """Return how many tables of whole patients print admits; see the top of this module.

    Parameters
    ----------
    study
        The published record.
    alternative
        Name of an alternative reading of the study file; ``None`` for the default.

    Raises
    ------
    ReconstructionError
        If the alternative is unknown, or no whole numbers of patients agree with what is printed of a visit.

    Examples
    --------
    >>> from cohort.targets import load_study
    >>> count_tables(load_study("liu2015"))
    1
    """
    return prod(ranks.count for ranks in _ranks(printed_record(study, alternative)))


def sample_tables(
    study: Study, number: int, tree: SeedTree, *, alternative: str | None = None
) -> tuple[AdmissibleTable, ...]:
    """Draw tables that print admits, each with the same probability and none twice, after the default one.

    Parameters
    ----------
    study
        The published record.
    number
        How many tables, at least 1.
    tree
        Node of the seed tree whose streams are used. The same node gives the same tables, and asking it for more gives
        these first.
    alternative
        Name of an alternative reading of the study file; ``None`` for the default.

    Returns
    -------
    tuple of AdmissibleTable
        First the table that :func:`synthetic.reconstruct.reconstruct` chooses, then the others. Fewer than ``number``
        if print admits fewer.

    Raises
    ------
    UsageError
        If ``number`` is below 1.
    ReconstructionError
        If the alternative is unknown, or no table agrees with what is printed.

    Examples
    --------
    >>> from cohort.targets import load_study
    >>> default, other = sample_tables(load_study("kim2025"), 2, SeedTree(2025))
    >>> default.name, len(default.differences), other.name, len(other.differences) > 0
    ('ensemble-0001', 0, 'ensemble-0002', True)
    """
    if number < 1:
        raise UsageError("at least one table is needed", where="number of tables", got=str(number), remedy="ask for 1")
    found = iter_tables(study, tree, alternative=alternative)
    return tuple(table for _, table in zip(range(number), found, strict=False))


def iter_tables(study: Study, tree: SeedTree, *, alternative: str | None = None) -> Iterator[AdmissibleTable]:
    """Yield the tables of :func:`sample_tables` one by one, until print admits no more."""
    default = reconstruct(study, alternative=alternative)
    record = printed_record(study, alternative)
    groups = _ranks(record)
    yield _table(study, 1, default.counts, default)
    place = 1
    for rank in _distinct(prod(group.count for group in groups), tree):
        counts = _counts(_taken(groups, rank), record, study.visit_months, default)
        if not counts.equals(default.counts):
            place += 1
            yield _table(study, place, counts, default)


def _ranks(record: PrintedRecord) -> tuple[TableRanks, ...]:
    return table_ranks(record.cells, record.sizes, record.constraints)


def _distinct(total: int, tree: SeedTree) -> Iterator[int]:
    """Yield every whole number below ``total`` once, in random order: a shuffle that remembers only what it moved."""
    random = tree.child("admissible tables").generator()
    moved: dict[int, int] = {}
    for place in range(total):
        other = place + _below(total - place, random)
        yield moved.get(other, other)
        moved[other] = moved.pop(place, place)


def _below(bound: int, random: np.random.Generator) -> int:
    """Return a whole number below ``bound``, of any size, each with the same probability."""
    bits = (bound - 1).bit_length()
    many = -(-bits // 8)
    while True:
        drawn = int.from_bytes(random.bytes(many), "little") >> (8 * many - bits)
        if drawn < bound:
            return drawn


def _taken(groups: Sequence[TableRanks], rank: int) -> dict[str, tuple[TakenCell | None, ...]]:
    """Return what each arm takes at each visit in the table of the study of a rank."""
    taken: dict[str, tuple[TakenCell | None, ...]] = {}
    for group in groups:
        rank, own = divmod(rank, group.count)
        taken |= group.table(own)
    return taken


def _counts(
    taken: Mapping[str, Sequence[TakenCell | None]],
    record: PrintedRecord,
    months: Sequence[int],
    default: Reconstruction,
) -> pd.DataFrame:
    rows = [
        (arm, *cell) for arm, size in record.sizes.items() for cell in _filled(taken[arm], months, size)
    ]  # arms and visits in the order of the default table
    counts = pd.DataFrame(rows, columns=["arm", "month", "assessed", "complete", "partial"])
    none = counts["assessed"] - counts["complete"] - counts["partial"]
    return counts.assign(none=none, basis=default.counts["basis"])


def _filled(taken: Sequence[TakenCell | None], months: Sequence[int], size: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield month, assessed, complete and partial responders of every visit, those not printed by rule 4."""
    printed = [(month, cell) for month, cell in zip(months, taken, strict=True) if cell is not None]
    chain = np.array([[cell.assessed for _, cell in printed]], dtype=np.int64)
    assessed = all_denominators(chain, [month for month, _ in printed], months, size)[0].tolist()
    response = [
        (month, (cell.assessed, cell.complete, cell.partial)) for month, cell in printed if cell.complete is not None
    ]
    cells = np.array([cell for _, cell in response], dtype=np.int64).T
    return filled_course(cells, [month for month, _ in response], months, assessed)


def _table(study: Study, place: int, counts: pd.DataFrame, default: Reconstruction) -> AdmissibleTable:
    cell, names = ["arm", "month"], list(COUNTS)
    change = counts[names] - default.counts[names]
    differs = (change != 0).any(axis=1)
    differences = pd.concat([counts[cell], change], axis=1)[differs].reset_index(drop=True)
    return AdmissibleTable(study.name, f"ensemble-{place:04d}", counts, default.flares, differences)
