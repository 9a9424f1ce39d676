"""Protects the record behind docs/validity.md: blocks of cohorts drawn and judged again give the recorded counts."""

from __future__ import annotations

import os

import pytest
from validity.entries import ENTRIES
from validity.entry import Entry
from validity.record import BLOCK, SIZES, read_record, simulate

REDUCED = os.environ.get("LNCOHORT_SLOW") == "reduced"


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_blocks_drawn_again_give_the_recorded_counts(entry: Entry, size: int) -> None:
    # Fails when a size or coverage has changed, for better or worse: run benchmarks/validity_document.py, and say so.
    blocks = 1 if REDUCED else entry.replicates // BLOCK
    recorded = {one.measure: one for one in read_record() if (one.entry, one.size) == (entry.name, size)}
    for counts in simulate(entry, size, range(blocks)):
        assert counts.hits == recorded[counts.measure].hits[:blocks], counts.measure
        if not REDUCED:
            assert counts.undefined == recorded[counts.measure].undefined, counts.measure
