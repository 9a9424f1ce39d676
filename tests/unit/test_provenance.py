"""Protects the list of parameters: every number with unit, status and source, names and plain fields left out."""

from __future__ import annotations

from dataclasses import dataclass

from cohort.codes import Status
from cohort.definitions import KDIGO_2012, KIM2025
from cohort.provenance import PROVENANCE_COLUMNS, parameter, provenance_table


@dataclass(frozen=True)
class Model:
    label: str = "plain"
    share: float = parameter(0.25, "share", Status.ASSUMED, "a guess")
    months: tuple[float, ...] = parameter((0.0, 6.5), "months", Status.BORROWED, "another cohort")
    patients: int = parameter(179, "patients", Status.REPORTED, "the paper")


def test_one_row_a_parameter_in_order() -> None:
    table = provenance_table(Model())
    assert tuple(table.columns) == PROVENANCE_COLUMNS
    assert table.to_numpy().tolist() == [
        ["Model", "share", "0.25", "share", "assumed", "a guess"],
        ["Model", "months", "0, 6.5", "months", "borrowed", "another cohort"],
        ["Model", "patients", "179", "patients", "reported", "the paper"],
    ]


def test_the_value_is_that_of_the_instance() -> None:
    assert provenance_table(Model(share=1.0))["value"].tolist()[0] == "1"


def test_several_sets_follow_each_other_and_none_is_an_empty_table() -> None:
    table = provenance_table(KIM2025, KDIGO_2012)
    assert table["set"].drop_duplicates().tolist() == ["ResponseDefinition", "FlareDefinition"]
    assert "name" not in set(table["parameter"])
    assert (table["source"].str.len() > 0).all()
    empty = provenance_table()
    assert tuple(empty.columns) == PROVENANCE_COLUMNS
    assert empty.empty
