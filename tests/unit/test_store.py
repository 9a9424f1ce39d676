"""Protects reading and writing of cohort directories: what other writers may do, and one clear error for the rest."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cohort import __version__
from cohort.errors import CohortDirectoryError
from cohort.schema import COHORT_TABLES, EVENTS, RESPONSES, VISITS, arrow_schema
from cohort.store import changed_tables, file_hash, read_cohort, read_derived, read_manifest, read_table, write_cohort
from synthetic.generate import GeneratedCohort

TABLES = [table.name for table in COHORT_TABLES]


def same(one: pd.DataFrame, other: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(one, other, check_dtype=False)


def cast(content: pa.Table, column: str, kind: pa.DataType) -> pa.Table:
    place = content.column_names.index(column)
    return content.set_column(place, column, content.column(column).cast(kind))


def fill(content: pa.Table, column: str, value: object, kind: pa.DataType) -> pa.Table:
    place = content.column_names.index(column)
    return content.set_column(place, column, pa.array([value] * len(content), kind))


def manifest(folder: Path, **changes: object) -> None:
    content = json.loads((folder / "cohort.json").read_text("utf-8")) | changes
    (folder / "cohort.json").write_text(json.dumps({name: v for name, v in content.items() if v != "absent"}))


def test_what_is_written_is_read_back(cohort_folder: Path, generated: GeneratedCohort) -> None:
    read = read_cohort(cohort_folder)
    for name in TABLES:
        same(read.table(name), generated.cohort.table(name))
    assert (read.study, read.seed, read.mode) == ("kim2025", 2025, "exact")
    assert read.notes == json.loads(json.dumps(generated.cohort.notes))


def test_types_after_reading(cohort_folder: Path) -> None:
    read = read_cohort(cohort_folder)
    assert read.visits["visit_month"].dtype == "Int32"
    assert read.visits["urine_rbc_hpf"].dtype == read.visits["sledai_2k"].dtype == "Int32"
    assert read.visits["urine_casts"].dtype == "boolean"
    assert read.visits["upcr_g_g"].dtype == np.float64
    assert read.patients["hypertension"].dtype == bool
    assert read.patients["index_date"].dtype.kind == "M"
    assert read.visits["day"].dtype == np.int32


def test_the_manifest_holds_hashes_and_neither_clock_nor_path(cohort_folder: Path) -> None:
    content = read_manifest(cohort_folder)
    assert set(content) == {"schema_version", "study", "seed", "mode", "package_version", "notes", "sha256"}
    assert content["package_version"] == __version__
    assert content["sha256"] == {
        name: hashlib.sha256((cohort_folder / f"{name}.parquet").read_bytes()).hexdigest() for name in TABLES
    }
    assert str(cohort_folder.parent) not in (cohort_folder / "cohort.json").read_text("utf-8")


def test_parquet_files_carry_no_pandas_metadata(cohort_folder: Path) -> None:
    schema = pq.read_schema(cohort_folder / "visits.parquet")
    assert schema.metadata is None
    assert schema.field("upcr_g_g").metadata[b"unit"] == b"g/g"


def test_missing_laboratory_values_are_read_in_types_that_hold_them(
    cohort_folder: Path, rewrite: Callable[..., None]
) -> None:
    for name in ("urine_rbc_hpf", "urine_casts", "upcr_g_g"):
        rewrite(cohort_folder, "visits", lambda content, name=name: fill(content, name, None, pa.null()))
    visits = read_cohort(cohort_folder).visits
    assert visits[["urine_rbc_hpf", "urine_casts", "upcr_g_g"]].isna().all(axis=None)
    assert visits["urine_rbc_hpf"].dtype == "Int32"
    assert visits["urine_casts"].dtype == "boolean"
    assert visits["upcr_g_g"].dtype == np.float64


def test_a_registry_has_no_truth_seed_or_mode(generated: GeneratedCohort, tmp_path: Path) -> None:
    made = generated.cohort
    cohort = type(made)(made.patients, made.visits, made.treatments, made.events, study="kim2025")
    write_cohort(cohort, tmp_path)
    read = read_cohort(tmp_path)
    assert (read.seed, read.mode, read.notes) == (None, None, {})
    assert not (tmp_path / "truth").exists()


def test_changed_tables_are_named(cohort_folder: Path, rewrite: Callable[..., None]) -> None:
    assert changed_tables(cohort_folder) == []
    rewrite(cohort_folder, "events", lambda content: content.slice(1))
    assert changed_tables(cohort_folder) == ["events"]


@pytest.mark.parametrize("recorded", ["absent", None, [], {}])
def test_tables_without_a_recorded_hash_are_not_called_changed(cohort_folder: Path, recorded: object) -> None:
    manifest(cohort_folder, sha256=recorded)
    assert changed_tables(cohort_folder) == []


def in_parts(folder: Path, table: str) -> Path:
    path = folder / f"{table}.parquet"
    content = pq.read_table(path)
    path.unlink()
    path.mkdir()
    half = len(content) // 2
    pq.write_table(content.slice(0, half), path / "part-0.parquet")
    pq.write_table(content.slice(half), path / "part-1.parquet")
    return path


def test_a_table_may_be_a_folder_of_parts(cohort_folder: Path, generated: GeneratedCohort) -> None:
    for name in TABLES:
        in_parts(cohort_folder, name)
    read = read_cohort(cohort_folder)
    for name in TABLES:
        same(read.table(name), generated.cohort.table(name))
    assert changed_tables(cohort_folder) == TABLES


def test_the_hash_of_parts_sees_content_and_names(cohort_folder: Path) -> None:
    path = in_parts(cohort_folder, "events")
    before = file_hash(path)
    assert file_hash(path) == before
    (path / "part-1.parquet").rename(path / "part-2.parquet")
    renamed = file_hash(path)
    assert renamed != before
    pq.write_table(pq.read_table(path / "part-2.parquet").slice(1), path / "part-2.parquet")
    assert file_hash(path) not in (before, renamed)


def test_a_folder_without_parts(cohort_folder: Path) -> None:
    path = cohort_folder / "visits.parquet"
    path.unlink()
    path.mkdir()
    (path / "README.txt").write_text("nothing here")
    with pytest.raises(
        CohortDirectoryError, match=r"visits\.parquet: the folder of table visits holds no Parquet part"
    ):
        read_cohort(cohort_folder)


def test_parts_of_different_types(cohort_folder: Path) -> None:
    path = in_parts(cohort_folder, "visits")
    part = path / "part-1.parquet"
    pq.write_table(fill(pq.read_table(part), "upcr_g_g", "not done", pa.string()), part)
    with pytest.raises(CohortDirectoryError, match=r"not a readable Parquet file; got .*not done"):
        read_cohort(cohort_folder)


def test_folder_names_above_a_table_do_not_become_columns(cohort_folder: Path, tmp_path: Path) -> None:
    odd = tmp_path / "day=7" / "upcr_g_g=1"
    odd.parent.mkdir()
    cohort_folder.rename(odd)
    assert read_cohort(odd).visits["day"].nunique() > 1


TOLERATED: dict[str, tuple[str, Callable[[pa.Table], pa.Table]]] = {
    "dictionary-encoded text": ("patients", lambda t: cast(t, "sex", pa.dictionary(pa.int8(), pa.string()))),
    "large text": ("patients", lambda t: cast(t, "patient_id", pa.large_string())),
    "text views": ("patients", lambda t: cast(t, "patient_id", pa.string_view())),
    "64-bit integers": ("visits", lambda t: cast(t, "day", pa.int64())),
    "unsigned integers": ("visits", lambda t: cast(t, "day", pa.uint16())),
    "whole numbers as floats": ("visits", lambda t: cast(t, "visit_month", pa.float64())),
    "dictionary-encoded integers": ("visits", lambda t: cast(t, "day", pa.int64()).set_column(
        2, "day", t.column("day").dictionary_encode())),
    "decimals": ("visits", lambda t: cast(t, "upcr_g_g", pa.decimal128(9, 2))),
    "timestamps at midnight": ("patients", lambda t: cast(t, "index_date", pa.timestamp("ns"))),
    "64-bit dates": ("patients", lambda t: cast(t, "index_date", pa.date64())),
    "columns in another order": ("visits", lambda t: t.select(t.column_names[::-1])),
    "columns the schema does not know": ("visits", lambda t: t.append_column("weight_kg", pa.array([60.0] * len(t)))),
}  # fmt: skip


@pytest.mark.parametrize("case", TOLERATED)
def test_what_other_writers_may_do(
    case: str, cohort_folder: Path, generated: GeneratedCohort, rewrite: Callable[..., None]
) -> None:
    table, change = TOLERATED[case]
    rewrite(cohort_folder, table, change)
    read = read_cohort(cohort_folder).table(table)
    assert list(read.columns) == list(generated.cohort.table(table).columns)
    same(read, generated.cohort.table(table))


def test_a_column_without_any_value_may_be_of_no_type(cohort_folder: Path, rewrite: Callable[..., None]) -> None:
    rewrite(cohort_folder, "visits", lambda t: fill(t, "tacrolimus_trough_ng_ml", None, pa.null()))
    trough = read_cohort(cohort_folder).visits["tacrolimus_trough_ng_ml"]
    assert trough.isna().all()
    assert trough.dtype == np.float64


def test_zero_rows_keep_their_types(cohort_folder: Path, rewrite: Callable[..., None]) -> None:
    for name in TABLES:
        rewrite(cohort_folder, name, lambda content: content.slice(0, 0))
    read = read_cohort(cohort_folder)
    assert [len(read.table(name)) for name in TABLES] == [0, 0, 0, 0]
    assert read.visits["visit_month"].dtype == "Int32"


NO_CAST = "no conversion that keeps the meaning"
REFUSED: dict[str, tuple[str, str, Callable[[pa.Table], pa.Table], str]] = {
    "numbers as text": ("visits", "upcr_g_g", lambda t: cast(t, "upcr_g_g", pa.string()), f"string .{NO_CAST}"),
    "flags as integers": ("visits", "urine_casts", lambda t: cast(t, "urine_casts", pa.int8()), f"int8 .{NO_CAST}"),
    "numbers as flags": ("visits", "upcr_g_g", lambda t: fill(t, "upcr_g_g", True, pa.bool_()), f"bool .{NO_CAST}"),
    "codes as integers": ("patients", "sex", lambda t: fill(t, "sex", 1, pa.int32()), f"int32 .{NO_CAST}"),
    "text as bytes": ("patients", "sex", lambda t: cast(t, "sex", pa.binary()), f"binary .{NO_CAST}"),
    "dates as integers": ("patients", "index_date", lambda t: fill(t, "index_date", 20200101, pa.int32()), NO_CAST),
    "days as dates": ("visits", "day", lambda t: cast(t, "day", pa.date32()), r"date32\[day\] .no conversion"),
    "days as durations": ("visits", "day", lambda t: fill(t, "day", 1, pa.duration("s")), r"duration\[s\] .no conv"),
    "lists": ("visits", "upcr_g_g", lambda t: fill(t, "upcr_g_g", [1.0], pa.list_(pa.float64())), NO_CAST),
    "fractions of days": ("visits", "day", lambda t: fill(t, "day", 0.5, pa.float64()), "double .Float value 0.5"),
    "days beyond 32 bits": ("visits", "day", lambda t: fill(t, "day", 2**40, pa.int64()), "int64 .Integer value"),
    "NaN for a missing month": (
        "visits", "visit_month", lambda t: fill(t, "visit_month", float("nan"), pa.float64()), "Float value nan",
    ),
    "times of day": (
        "patients", "index_date",
        lambda t: fill(t, "index_date", dt.datetime(2020, 1, 1, 13), pa.timestamp("us")), "a time of day would be lost",
    ),
    "times in a time zone": (
        "patients", "index_date",
        lambda t: fill(t, "index_date", dt.datetime(2020, 1, 1), pa.timestamp("us", "Asia/Seoul")), NO_CAST,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_a_wrong_type_is_named_with_table_and_column(
    case: str, cohort_folder: Path, rewrite: Callable[..., None]
) -> None:
    table, column, change, got = REFUSED[case]
    rewrite(cohort_folder, table, change)
    wanted = rf"{table}\.parquet: column {table}\.{column} is of the wrong type: .* expected; got .*{got}"
    with pytest.raises(CohortDirectoryError, match=wanted):
        read_cohort(cohort_folder)


def test_missing_columns_are_named(cohort_folder: Path, rewrite: Callable[..., None]) -> None:
    rewrite(cohort_folder, "visits", lambda content: content.drop_columns(["c3_mg_dl"]))
    with pytest.raises(
        CohortDirectoryError, match=r"table visits lacks a column: c3_mg_dl; got patient_id, .*dictiona"
    ):
        read_cohort(cohort_folder)
    rewrite(cohort_folder, "visits", lambda content: content.drop_columns(["c4_mg_dl", "day"]))
    with pytest.raises(CohortDirectoryError, match="lacks columns: day, c3_mg_dl, c4_mg_dl"):
        read_cohort(cohort_folder)


def test_a_column_that_occurs_twice(cohort_folder: Path, rewrite: Callable[..., None]) -> None:
    rewrite(cohort_folder, "visits", lambda content: content.append_column("day", content.column("day")))
    with pytest.raises(CohortDirectoryError, match=r"visits\.parquet: .*day"):
        read_cohort(cohort_folder)


@pytest.mark.parametrize("table", TABLES)
def test_a_missing_table_is_named(cohort_folder: Path, table: str) -> None:
    (cohort_folder / f"{table}.parquet").unlink()
    with pytest.raises(CohortDirectoryError, match=f"the table {table} is missing; make the cohort directory again"):
        read_cohort(cohort_folder)


@pytest.mark.parametrize("keep", [0, 3, 100, -1])
def test_a_truncated_file(cohort_folder: Path, keep: int) -> None:
    path = cohort_folder / "visits.parquet"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(
        CohortDirectoryError, match=r"not a readable Parquet file; got .*it may be truncated: make it ag"
    ):
        read_cohort(cohort_folder)


def test_a_file_of_another_kind(cohort_folder: Path) -> None:
    (cohort_folder / "visits.parquet").write_text("patient_id,day\na,0\n" * 50)
    with pytest.raises(CohortDirectoryError, match="not a readable Parquet file"):
        read_cohort(cohort_folder)


def test_altered_bytes_inside_a_table_are_noticed(cohort_folder: Path) -> None:
    path = cohort_folder / "visits.parquet"
    content = path.read_bytes()
    path.write_bytes(content[:3000] + bytes(300) + content[3300:])
    with pytest.raises(CohortDirectoryError, match="not a readable Parquet file"):
        read_cohort(cohort_folder)


def test_text_that_is_not_utf_8(cohort_folder: Path, rewrite: Callable[..., None]) -> None:
    def spoiled(content: pa.Table) -> pa.Table:
        broken = pa.array([b"\xff\xfe"] * len(content), pa.binary()).view(pa.string())
        return content.set_column(content.column_names.index("site"), "site", broken)

    rewrite(cohort_folder, "patients", spoiled)
    with pytest.raises(CohortDirectoryError, match=r"not a readable Parquet file; got .*UTF8"):
        read_cohort(cohort_folder)


def test_a_folder_that_is_not_there_or_not_a_folder(tmp_path: Path) -> None:
    with pytest.raises(CohortDirectoryError, match="nowhere: no such folder; name a cohort directory"):
        read_cohort(tmp_path / "nowhere")
    (tmp_path / "file").write_text("")
    with pytest.raises(CohortDirectoryError, match="file: not a folder; name a cohort directory"):
        read_cohort(tmp_path / "file")


def test_a_foreign_folder(tmp_path: Path) -> None:
    with pytest.raises(CohortDirectoryError, match=r"not a cohort directory, it holds no cohort\.json; make one with"):
        read_cohort(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"not json", "cannot read the file; got Expecting value: line 1 column 1"),
        (b"", "cannot read the file; got Expecting value"),
        (b"\xff\xfe\x00", "cannot read the file; got 'utf-8' codec"),
        (b"[" * 100_000, "cannot read the file; got maximum recursion depth"),
        (b"[]", "one JSON object expected; got list"),
        (b"null", "one JSON object expected; got NoneType"),
        (b"{}", "schema version 2 expected; got None; make the cohort again with this version"),
        (b'{"schema_version": 3}', "schema version 2 expected; got 3"),
        (b'{"schema_version": "1"}', "schema version 2 expected; got '1'"),
        (b'{"schema_version": true}', "schema version 2 expected; got True"),
        (b'{"schema_version": 2}', "the name of a study expected under the key study; got None"),
        (b'{"schema_version": 2, "study": ["kim2025"]}', r"the name of a study expected .* got \['kim2025'\]"),
    ],
)
def test_a_manifest_that_is_not_ours(cohort_folder: Path, content: bytes, message: str) -> None:
    (cohort_folder / "cohort.json").write_bytes(content)
    with pytest.raises(CohortDirectoryError, match=rf"cohort\.json: {message}"):
        read_cohort(cohort_folder)


def test_a_manifest_that_is_a_folder(cohort_folder: Path) -> None:
    (cohort_folder / "cohort.json").unlink()
    (cohort_folder / "cohort.json").mkdir()
    with pytest.raises(CohortDirectoryError, match=r"cohort\.json: cannot read the file; got .*directory"):
        read_cohort(cohort_folder)


def test_seed_mode_and_notes_of_other_types_are_left_out(cohort_folder: Path) -> None:
    manifest(cohort_folder, seed="2025", mode=1, notes=[1])
    read = read_cohort(cohort_folder)
    assert (read.seed, read.mode, read.notes) == (None, None, {})


def test_derived_tables_need_derive_first(cohort_folder: Path) -> None:
    with pytest.raises(CohortDirectoryError, match="no derived tables yet; run `lncohort derive"):
        read_derived(cohort_folder, "responses")
    (cohort_folder / "derived").mkdir()
    pq.write_table(arrow_schema(RESPONSES).empty_table(), cohort_folder / "derived" / "responses.parquet")
    assert list(read_derived(cohort_folder, "responses").columns) == list(RESPONSES.column_names)
    with pytest.raises(CohortDirectoryError, match="no derived tables yet"):
        read_derived(cohort_folder, "flares")


def test_a_table_read_under_another_declaration_names_what_lacks(cohort_folder: Path) -> None:
    with pytest.raises(CohortDirectoryError, match="table visits lacks columns: visit_month"):
        read_table(cohort_folder / "events.parquet", VISITS)
    assert len(read_table(cohort_folder / "events.parquet", EVENTS))
