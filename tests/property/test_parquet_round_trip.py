"""Any table of the schema survives writing and reading unchanged, and equal tables give equal bytes."""

from __future__ import annotations

import datetime as dt
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cohort.results import RESULT_COLUMNS, TEXT_COLUMNS, ResultTable, result_table
from cohort.schema import COHORT_TABLES, DERIVED_TABLES, DIRT_TABLES, TRUTH_ESTIMANDS, TRUTH_TABLES, Column, Kind, Table
from cohort.store import Cohort, read_cohort, read_table, write_cohort, write_table

STEADY = settings(derandomize=True, deadline=None, max_examples=40)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


def values(column: Column) -> st.SearchStrategy[object]:
    """Values of a column, limits included; of missing ones only where the schema allows them."""
    low, high = column.minimum, column.maximum
    drawn: st.SearchStrategy[object]
    if column.kind is Kind.TEXT:
        drawn = TEXT.filter(bool)
    elif column.kind is Kind.CODE:
        assert column.codes is not None
        drawn = st.sampled_from([code.value for code in column.codes])
    elif column.kind is Kind.INTEGER:
        drawn = st.integers(int(low or 0), int(high or 2**31 - 1))
    elif column.kind is Kind.NUMBER:
        drawn = st.floats(low, high, allow_nan=False, allow_infinity=False)
    elif column.kind is Kind.BOOLEAN:
        drawn = st.booleans()
    else:
        drawn = st.dates(dt.date(1950, 1, 1), dt.date(2100, 12, 31))
    return st.none() | drawn if column.nullable else drawn


DTYPES = {
    Kind.TEXT: object, Kind.CODE: object, Kind.INTEGER: "int32", Kind.NUMBER: "float64", Kind.BOOLEAN: bool,
    Kind.DATE: "datetime64[ms]",
}  # fmt: skip
NULLABLE = DTYPES | {Kind.INTEGER: "Int32", Kind.BOOLEAN: "boolean"}


def frame_of(table: Table, rows: list[tuple[object, ...]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=list(table.column_names), dtype=object)
    types = {column.name: (NULLABLE if column.nullable else DTYPES)[column.kind] for column in table.columns}
    return frame.astype(types)


def frames(table: Table) -> st.SearchStrategy[pd.DataFrame]:
    rows = st.lists(st.tuples(*map(values, table.columns)), max_size=8)
    return rows.map(lambda drawn: frame_of(table, drawn))


@pytest.mark.parametrize(
    "table",
    [*COHORT_TABLES, *DERIVED_TABLES, *TRUTH_TABLES, TRUTH_ESTIMANDS, *DIRT_TABLES],
    ids=lambda table: table.name,
)
def test_any_table_survives(table: Table) -> None:
    @STEADY
    @given(frames(table))
    def survives(frame: pd.DataFrame) -> None:
        with tempfile.TemporaryDirectory() as name:
            one, two = Path(name) / "one.parquet", Path(name) / "two.parquet"
            write_table(frame, table, one)
            read = read_table(one, table)
            pd.testing.assert_frame_equal(read, frame, check_exact=True)
            write_table(read, table, two)
            assert one.read_bytes() == two.read_bytes()

    survives()


@settings(STEADY, max_examples=20)
@given(
    st.tuples(*(frames(table) for table in COHORT_TABLES)),
    st.none() | st.integers(0, 2**63),
    st.sampled_from([None, "exact", "population"]),
    st.dictionaries(TEXT, st.none() | TEXT | st.integers() | st.lists(TEXT)),
)
def test_any_cohort_survives(
    tables: tuple[pd.DataFrame, ...], seed: int | None, mode: str | None, notes: dict[str, object]
) -> None:
    cohort = Cohort(*tables, study="kim2025", seed=seed, mode=mode, notes=notes)
    with tempfile.TemporaryDirectory() as name:
        write_cohort(cohort, Path(name))
        read = read_cohort(Path(name))
    for table in COHORT_TABLES:
        pd.testing.assert_frame_equal(read.table(table.name), cohort.table(table.name), check_exact=True)
    assert (read.study, read.seed, read.mode, read.notes) == ("kim2025", seed, mode, notes)


CELLS = {name: st.none() | (TEXT if name in TEXT_COLUMNS else st.floats(allow_nan=False)) for name in RESULT_COLUMNS}


@STEADY
@given(
    st.lists(st.fixed_dictionaries({}, optional=CELLS), max_size=6), st.dictionaries(TEXT, st.none() | st.integers())
)
def test_any_result_table_survives(rows: list[dict[str, object]], metadata: dict[str, object]) -> None:
    table = result_table(rows, metadata=metadata)
    with tempfile.TemporaryDirectory() as name:
        table.write(Path(name), "x")
        read = ResultTable.read(Path(name) / "x.parquet")
    pd.testing.assert_frame_equal(read.frame, table.frame, check_exact=True)
    assert read.metadata == metadata
    assert len(read) == len(rows)
    for position, row in enumerate(rows):
        for column, value in row.items():
            got = read.frame[column].iloc[position]
            assert pd.isna(got) if value is None else got == value
    assert np.array_equal(read.frame.columns, RESULT_COLUMNS)
