"""Protects that a node of the seed tree fixes the admissible tables, and that asking for more moves none of them."""

from __future__ import annotations

import pandas as pd
import pytest

from cohort.seeds import SeedTree
from cohort.targets import load_study
from synthetic.admissible_tables import AdmissibleTable, sample_tables
from synthetic.calibratable_tables import calibratable_tables
from synthetic.scenario import DEFAULT_SCENARIO


def same(some: tuple[AdmissibleTable, ...], others: tuple[AdmissibleTable, ...]) -> bool:
    return all(
        one.name == other.name and one.counts.equals(other.counts) for one, other in zip(some, others, strict=True)
    )


@pytest.mark.parametrize("name", ["kim2025", "rovin2019"])
def test_more_tables_begin_with_the_same_ones(name: str) -> None:
    study, tree = load_study(name), SeedTree(11).child("ensemble")
    few, many = sample_tables(study, 5, tree), sample_tables(study, 12, tree)
    assert same(few, many[:5])
    assert same(few, sample_tables(study, 5, tree))
    assert not same(few, sample_tables(study, 5, SeedTree(11).child("another")))


def test_more_settled_tables_begin_with_the_same_ones() -> None:
    study, tree = load_study("kim2025"), SeedTree(1)
    few, many = (calibratable_tables(study, DEFAULT_SCENARIO, number, tree, power=9) for number in (2, 4))
    assert same(few.tables, many.tables[:2])
    first = few.frame()
    pd.testing.assert_frame_equal(first, many.frame().head(len(first)), check_exact=True)
