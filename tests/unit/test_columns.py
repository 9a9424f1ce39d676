"""Columns become Arrow data, files and frames of the declared types, with every value and every missing value kept."""

from __future__ import annotations

import datetime
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cohort.codes import Background, Drug, EndReason, Event, Grade, Induction
from cohort.columns import (
    Coded,
    Columns,
    Identifiers,
    Nullable,
    arrow_table,
    data_frame,
    names_of,
    position_of,
    rows_up_to,
)
from cohort.schema import COHORT_TABLES, EVENTS, TRUTH_TABLES, Column, Kind, Table, arrow_schema
from cohort.store import read_table, write_arrow, write_table
from synthetic.population_plan import PopulationPlan
from synthetic.stream import write_population

DRUGS = (Drug.RAAS_INHIBITOR, Drug.TACROLIMUS, Drug.MIZORIBINE, Drug.MIZORIBINE)
IDS = np.array([b"s-001", b"s-002", b"s-003"])
EVERY_KIND = Table(
    "every_kind",
    (
        Column("patient_id", Kind.TEXT, "Identifier"),
        Column("drug", Kind.CODE, "Drug", codes=Drug),
        Column("day", Kind.INTEGER, "Day", "days"),
        Column("month", Kind.INTEGER, "Month", "months", nullable=True),
        Column("lab", Kind.NUMBER, "Printed value", "g/g", decimals=2),
        Column("level", Kind.NUMBER, "Printed value, sometimes missing", "ng/mL", nullable=True, decimals=1),
        Column("score", Kind.NUMBER, "Unrounded value", "SD"),
        Column("flag", Kind.BOOLEAN, "Truth value"),
        Column("date", Kind.DATE, "Date"),
    ),
    ("patient_id",),
    "One column of every kind",
)


@pytest.fixture
def columns() -> Columns:
    return {
        "date": np.array(["1999-01-01", "2020-02-29", "1969-12-31", "2021-12-31"], dtype="datetime64[D]"),
        "patient_id": Identifiers(np.array([0, 0, 1, 2]), IDS),
        "drug": Coded(np.array([position_of(drug) for drug in DRUGS]), names_of(Drug)),
        "day": np.array([-36525, 0, 2**31 - 1, 5]),
        "month": Nullable(np.array([-1, 0, 60, -1]), np.array([True, False, False, True])),
        "lab": np.array([0.05, 3.1, 20.0, 0.29]),
        "level": np.array([np.nan, 4.9, 20.0, np.nan]),
        "score": np.array([-0.1, 1e-300, np.pi, 0.0]),
        "flag": np.array([True, False, False, True]),
    }


ROWS = [
    ("s-001", "raas_inhibitor", -36525, None, 0.05, None, -0.1, True, datetime.date(1999, 1, 1)),
    ("s-001", "tacrolimus", 0, 0, 3.1, 4.9, 1e-300, False, datetime.date(2020, 2, 29)),
    ("s-002", "mizoribine", 2**31 - 1, 60, 20.0, 20.0, np.pi, False, datetime.date(1969, 12, 31)),
    ("s-003", "mizoribine", 5, None, 0.29, None, 0.0, True, datetime.date(2021, 12, 31)),
]


def rows_of(content: pa.Table) -> list[tuple[object, ...]]:
    return list(zip(*(column.to_pylist() for column in content.columns), strict=True))


def test_every_kind_and_missing_value_survives_layout_and_file(columns: Columns, tmp_path: Path) -> None:
    content = arrow_table(columns, EVERY_KIND)
    content.validate(full=True)
    assert rows_of(content) == ROWS
    write_arrow(content, EVERY_KIND, tmp_path / "x.parquet")
    read = pq.read_table(tmp_path / "x.parquet", page_checksum_verification=True)
    assert rows_of(read) == ROWS


def test_the_file_has_the_declared_schema_and_no_dictionary_type(columns: Columns, tmp_path: Path) -> None:
    write_arrow(arrow_table(columns, EVERY_KIND), EVERY_KIND, tmp_path / "x.parquet")
    read = pq.read_schema(tmp_path / "x.parquet")
    assert read.equals(arrow_schema(EVERY_KIND), check_metadata=True)
    assert read.field("lab").metadata == {b"unit": b"g/g", b"description": b"Printed value"}


def test_identifiers_and_unrounded_numbers_are_plain_and_what_has_few_values_is_not(
    columns: Columns, tmp_path: Path
) -> None:
    write_arrow(arrow_table(columns, EVERY_KIND), EVERY_KIND, tmp_path / "x.parquet")
    group = pq.ParquetFile(tmp_path / "x.parquet").metadata.row_group(0)
    found = {group.column(i).path_in_schema: group.column(i) for i in range(group.num_columns)}
    dictionary = {name for name, column in found.items() if column.has_dictionary_page}
    assert dictionary == {"drug", "day", "month", "lab", "level", "date"}
    assert {column.compression for column in found.values()} == {"ZSTD"}
    assert (found["patient_id"].statistics.min, found["patient_id"].statistics.max) == ("s-001", "s-003")


def test_a_frame_of_the_columns_writes_the_same_rows(columns: Columns, tmp_path: Path) -> None:
    frame = data_frame(columns, EVERY_KIND)
    assert {name: str(kind) for name, kind in frame.dtypes.items() if name not in ("patient_id", "drug")} == {
        "day": "int64",
        "month": "Int32",
        "lab": "float64",
        "level": "float64",
        "score": "float64",
        "flag": "bool",
        "date": "datetime64[s]",
    }
    write_table(frame, EVERY_KIND, tmp_path / "x.parquet")
    assert rows_of(pq.read_table(tmp_path / "x.parquet")) == ROWS


def test_two_layouts_of_the_same_columns_are_the_same_bytes(columns: Columns, tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_arrow(arrow_table(columns, EVERY_KIND), EVERY_KIND, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_table_without_rows_is_written_and_read(tmp_path: Path) -> None:
    nobody: Columns = {
        "patient_id": Identifiers(np.empty(0, dtype=np.int64), IDS),
        "day": np.empty(0, dtype=np.int64),
        "event": Coded(np.empty(0, dtype=np.int8), names_of(Event)),
        "grade": Coded(np.empty(0, dtype=np.int8), names_of(Grade)),
    }
    write_arrow(arrow_table(nobody, EVENTS), EVENTS, tmp_path / "x.parquet")
    assert read_table(tmp_path / "x.parquet", EVENTS).empty


def test_codes_outside_their_names_and_columns_left_out_are_errors(columns: Columns) -> None:
    with pytest.raises(pa.ArrowIndexError, match="out of bounds"):
        arrow_table({**columns, "drug": Coded(np.array([0, 1, 2, len(Drug)]), names_of(Drug))}, EVERY_KIND)
    with pytest.raises(KeyError, match="drug"):
        arrow_table({name: values for name, values in columns.items() if name != "drug"}, EVERY_KIND)


def test_text_of_a_vocabulary_becomes_positions_and_other_text_is_no_position() -> None:
    assert Coded.of(np.array(["death", "completed"]), EndReason).position.tolist() == [
        position_of(EndReason.DEATH),
        position_of(EndReason.COMPLETED),
    ]
    assert Coded.of(np.array(["gone"]), EndReason).position.tolist() == [-1]


def test_more_names_than_fit_a_byte_are_laid_out(tmp_path: Path) -> None:
    names = [f"centre {number}" for number in range(300)]
    table = replace(EVERY_KIND, columns=(EVERY_KIND.columns[0], Column("site", Kind.TEXT, "Centre")))
    many: Columns = {"patient_id": Identifiers(np.zeros(300, np.int64), IDS), "site": Coded(np.arange(300), names)}
    write_arrow(arrow_table(many, table), table, tmp_path / "x.parquet")
    assert read_table(tmp_path / "x.parquet", table)["site"].tolist() == names


def test_rows_of_the_first_patients(columns: Columns) -> None:
    assert [rows_up_to(columns, patients) for patients in range(4)] == [0, 2, 3, 4]
    with pytest.raises(KeyError, match="no identifiers"):
        rows_up_to({"day": np.array([1])}, 1)


def test_every_file_of_a_population_has_the_declared_schema(tmp_path: Path) -> None:
    write_population(PopulationPlan("kim2025", 3, 40), tmp_path / "p")
    for table in (*COHORT_TABLES, *TRUTH_TABLES):
        (part,) = (tmp_path / "p" / table.path).iterdir()
        assert pq.read_schema(part).equals(arrow_schema(table), check_metadata=True)
        assert pq.read_table(part, partitioning=None).column("patient_id")[-1].as_py() <= "kim2025-040"


PEAK = """
import sys
from pathlib import Path

from synthetic.population import BLOCK
from synthetic.population_plan import PopulationPlan
from synthetic.stream import write_population

write_population(PopulationPlan("kim2025", 1, int(sys.argv[1]) * BLOCK), Path(sys.argv[2]))
# Of this program alone: the peak that getrusage tells is inherited from the process that started it.
peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(int(peak.split()[1]) / 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from Linux only")
def test_memory_does_not_depend_on_the_size_of_the_population(tmp_path: Path) -> None:
    peaks = [
        float(
            subprocess.run(
                [sys.executable, "-c", PEAK, str(blocks), tmp_path / str(blocks)],
                check=True,
                capture_output=True,
                text=True,
            ).stdout
        )
        for blocks in (8, 40)
    ]
    # Both write parts of four blocks: what is kept of a part would show as 30 MB for each of the eight parts more.
    assert max(peaks) < 500
    assert peaks[1] - peaks[0] < 60


def test_codes_spelled_alike_keep_the_place_in_their_own_vocabulary() -> None:
    for name in {*names_of(Drug)} & {*names_of(Background), *names_of(Induction)}:
        for vocabulary in (Drug, Background, Induction):
            if name in names_of(vocabulary):
                assert position_of(vocabulary(name)) == names_of(vocabulary).index(name)
    assert position_of(Induction.CYCLOPHOSPHAMIDE) != position_of(Drug.CYCLOPHOSPHAMIDE)
