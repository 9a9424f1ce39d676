"""Simulation in blocks of cohorts with streams of their own, and the record of what each block counted."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from validity.cohorts import DESIGNS
from validity.entries import ENTRIES
from validity.entry import Entry, Measure

from cohort.seeds import SeedTree

RECORD = Path(__file__).with_name("record.csv")
SEED = 2025
SIZES = (179, 1000)
BLOCK = 25
COLUMNS = ("entry", "measure", "size", "replicates", "hits", "undefined", "seed", "block", "hits_by_block")


@dataclass(frozen=True)
class Counts:
    """What the blocks of one measure at one size counted.

    Attributes
    ----------
    hits
        For each block, the cohorts in which the test rejected or the interval covered.
    undefined
        Cohorts without test or interval, of all blocks; they are no hits.
    """

    entry: str
    measure: str
    size: int
    hits: tuple[int, ...]
    undefined: int

    @property
    def replicates(self) -> int:
        return BLOCK * len(self.hits)

    @property
    def share(self) -> float:
        return sum(self.hits) / self.replicates

    @property
    def of(self) -> Measure:
        """The measure's definition."""
        return next(entry for entry in ENTRIES if entry.name == self.entry).measures[self.measure]


def simulate(entry: Entry, size: int, blocks: Iterable[int]) -> list[Counts]:
    """Draw and judge the cohorts of some blocks.

    The stream of a block is named by design, size and block number, so that entries of one design judge the same
    cohorts and any block can be made again by itself.
    """
    design, hits = DESIGNS[entry.design], {name: [] for name in entry.measures}
    undefined = dict.fromkeys(entry.measures, 0)
    for block in blocks:
        stream = SeedTree(SEED).child("validity", design.name, size, block).generator()
        verdicts = [entry.judge(design.draw(stream, size)) for _ in range(BLOCK)]
        for name in entry.measures:
            found = [verdict[name] for verdict in verdicts]
            hits[name].append(found.count(True))
            undefined[name] += found.count(None)
    return [Counts(entry.name, name, size, tuple(hits[name]), undefined[name]) for name in entry.measures]


def joined(parts: Iterable[Sequence[Counts]]) -> list[Counts]:
    """Put the counts of consecutive blocks together."""
    whole: dict[tuple[str, str, int], Counts] = {}
    for part in (one for counts in parts for one in counts):
        key = (part.entry, part.measure, part.size)
        before = whole.get(key)
        whole[key] = (
            part
            if before is None
            else replace(before, hits=before.hits + part.hits, undefined=before.undefined + part.undefined)
        )
    return list(whole.values())


def read_record() -> list[Counts]:
    """Return the record, in the order of the entries."""
    with RECORD.open(encoding="utf-8", newline="") as file:
        return [
            Counts(
                line["entry"],
                line["measure"],
                int(line["size"]),
                tuple(map(int, line["hits_by_block"].split())),
                int(line["undefined"]),
            )
            for line in csv.DictReader(file)
        ]


def write_record(counts: Sequence[Counts]) -> None:
    """Write the record in the order of the entries."""
    order = [(entry.name, name, size) for entry in ENTRIES for name in entry.measures for size in SIZES]
    found = {(one.entry, one.measure, one.size): one for one in counts}
    with RECORD.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for key in (key for key in order if key in found):
            one = found[key]
            writer.writerow(
                [*key, one.replicates, sum(one.hits), one.undefined, SEED, BLOCK, " ".join(map(str, one.hits))]
            )
