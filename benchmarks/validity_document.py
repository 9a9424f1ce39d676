"""Measure size and coverage and write docs/validity.md: python benchmarks/validity_document.py [ENTRY ...].

With names of entries these alone are simulated and put into the record; with `all` every entry is (about an hour of one
core); without any the document is written from the record as it is.
"""

import os
import sys
from concurrent.futures import ProcessPoolExecutor

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

from validity.document import write_document
from validity.entries import ENTRIES
from validity.record import BLOCK, RECORD, SIZES, Counts, joined, read_record, simulate, write_record

JOBS = 2
CHUNK = 4


def measured(name: str, size: int, blocks: range) -> list[Counts]:
    return simulate(next(entry for entry in ENTRIES if entry.name == name), size, blocks)


def measure(names: list[str]) -> None:
    """Simulate some entries and put what they count into the record, each as soon as it is done."""
    with ProcessPoolExecutor(JOBS) as pool:
        for entry in (entry for entry in ENTRIES if entry.name in names):
            blocks = entry.replicates // BLOCK
            jobs = [
                (size, range(first, min(first + CHUNK, blocks))) for size in SIZES for first in range(0, blocks, CHUNK)
            ]
            parts = [pool.submit(measured, entry.name, size, chunk) for size, chunk in jobs]
            found = joined(part.result() for part in parts)
            others = [one for one in read_record() if one.entry != entry.name] if RECORD.exists() else []
            write_record([*others, *found])
            print(f"{entry.name}: done", file=sys.stderr)


if __name__ == "__main__":
    asked = [entry.name for entry in ENTRIES] if sys.argv[1:] == ["all"] else sys.argv[1:]
    unknown = set(asked) - {entry.name for entry in ENTRIES}
    if unknown:
        sys.exit(f"no such entry: {', '.join(sorted(unknown))}; there are {', '.join(e.name for e in ENTRIES)}")
    measure(asked)
    write_document()
