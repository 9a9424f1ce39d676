"""Protects the one shape of results: fixed columns and types, metadata, and files without clock or path."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cohort.errors import AnalysisError
from cohort.results import RESULT_COLUMNS, TEXT_COLUMNS, ResultTable, concat_results, result_table


def example() -> ResultTable:
    rows = [{"term": "age_years", "estimate": 1.5, "n": 179}, {"term": "sex", "note": "no events", "p_value": 0.04}]
    return result_table(rows, analysis="survival", metadata={"seed": 2025, "spec": {"ties": "efron"}})


def test_every_column_is_there_in_order_with_its_type() -> None:
    frame = example().frame
    assert tuple(frame.columns) == RESULT_COLUMNS
    for name in RESULT_COLUMNS:
        assert frame[name].dtype == ("string" if name in TEXT_COLUMNS else "float64"), name


def test_rows_keep_their_order_and_what_is_absent_is_missing() -> None:
    frame = example().frame
    assert frame["term"].tolist() == ["age_years", "sex"]
    assert frame["analysis"].tolist() == ["survival", "survival"]
    assert frame["n"].tolist()[0] == 179.0
    assert np.isnan(frame["n"].iloc[1])
    assert frame["note"].isna().tolist() == [True, False]
    assert frame["method"].isna().all()


def test_a_frame_gets_a_fresh_index_and_is_not_changed() -> None:
    rows = pd.DataFrame({"estimate": [1.0, 2.0]}, index=[7, 3])
    made = result_table(rows, analysis="x")
    assert made.frame.index.tolist() == [0, 1]
    assert list(rows.columns) == ["estimate"]


def test_no_rows_is_a_table_of_the_same_shape() -> None:
    made = result_table([], analysis="x")
    assert len(made) == 0
    assert tuple(made.frame.columns) == RESULT_COLUMNS
    assert made.frame["term"].dtype == "string"


def test_unknown_columns_are_refused() -> None:
    with pytest.raises(AnalysisError, match="result_table: not columns of a result table; got odds, hazard"):
        result_table([{"odds": 1.0, "hazard": 2.0}])
    with pytest.raises(AnalysisError, match="not columns of a result table; got colour"):
        result_table([{"estimate": 1.0}], colour="red")


def test_a_frame_of_other_columns_is_no_result_table() -> None:
    with pytest.raises(
        AnalysisError, match=r"a result table has fixed columns; got term; build it with result_table\("
    ):
        ResultTable(pd.DataFrame({"term": ["x"]}))


def test_metadata_is_added_without_touching_the_original() -> None:
    one = example()
    other = one.with_metadata(versions={"numpy": "2"}, seed=1)
    assert other.metadata == {"seed": 1, "spec": {"ties": "efron"}, "versions": {"numpy": "2"}}
    assert one.metadata["seed"] == 2025
    assert other.frame is one.frame


def test_stacking_keeps_rows_and_drops_metadata() -> None:
    both = concat_results([example(), result_table([]), example()], metadata={"seed": 3})
    assert both.frame["term"].tolist() == ["age_years", "sex"] * 2
    assert both.frame.index.tolist() == [0, 1, 2, 3]
    assert both.metadata == {"seed": 3}
    assert concat_results([example()]).metadata == {}


@pytest.mark.parametrize("tables", [[], [result_table([])]])
def test_stacking_nothing_is_an_empty_table(tables: list[ResultTable]) -> None:
    assert len(concat_results(tables)) == 0


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    example().write(tmp_path, "cox")
    read = ResultTable.read(tmp_path / "cox.parquet")
    pd.testing.assert_frame_equal(read.frame, example().frame)
    assert read.metadata == example().metadata
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cox.csv", "cox.parquet"]


def test_csv_has_the_same_numbers_to_the_last_digit(tmp_path: Path) -> None:
    made = result_table([{"term": "a,b", "estimate": 0.1 + 0.2, "p_value": 1e-300}])
    made.write(tmp_path, "x")
    content = (tmp_path / "x.csv").read_bytes()
    assert b"\r" not in content
    read = pd.read_csv(tmp_path / "x.csv", float_precision="round_trip")
    assert tuple(read.columns) == RESULT_COLUMNS
    assert read["estimate"].item() == 0.1 + 0.2
    assert read["p_value"].item() == 1e-300
    assert read["term"].item() == "a,b"


def test_equal_tables_give_equal_bytes_wherever_they_are_written(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        example().write(tmp_path / name, "x")
    for suffix in ("csv", "parquet"):
        assert (tmp_path / "one" / f"x.{suffix}").read_bytes() == (tmp_path / "two" / f"x.{suffix}").read_bytes()


def test_files_that_are_no_result_tables(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    with pytest.raises(AnalysisError, match=r"x\.parquet: cannot read the result table; got .*make the results again"):
        ResultTable.read(path)
    path.write_text("not Parquet")
    with pytest.raises(AnalysisError, match="cannot read the result table"):
        ResultTable.read(path)
    pq.write_table(pa.table({"patient_id": ["a"], "day": [1]}), path)
    with pytest.raises(
        AnalysisError, match=r"x\.parquet: not a result table; got patient_id \(string\), day \(int64\)"
    ):
        ResultTable.read(path)


def test_right_columns_of_wrong_types_are_refused(tmp_path: Path) -> None:
    content = pa.table({name: ["x"] for name in RESULT_COLUMNS})
    pq.write_table(content, tmp_path / "x.parquet")
    with pytest.raises(AnalysisError, match=r"not a result table; got .*estimate \(string\)"):
        ResultTable.read(tmp_path / "x.parquet")


@pytest.mark.parametrize(
    ("notes", "what"),
    [
        (b'{"seed": 2025', "the metadata is damaged"),
        (b"\xff\xfe", "the metadata is damaged"),
        (b"[" * 100_000, "the metadata is damaged"),
        (b"[1]", r"the metadata is no JSON object; got \[1\]"),
    ],
)
def test_damaged_metadata_is_refused(notes: bytes, what: str, tmp_path: Path) -> None:
    example().write(tmp_path, "x")
    path = tmp_path / "x.parquet"
    pq.write_table(pq.read_table(path).replace_schema_metadata({b"lncohort": notes}), path)
    with pytest.raises(AnalysisError, match=rf"x\.parquet, metadata lncohort: {what}.*make the results again"):
        ResultTable.read(path)


def test_a_table_without_metadata_is_read(tmp_path: Path) -> None:
    example().write(tmp_path, "x")
    path = tmp_path / "x.parquet"
    pq.write_table(pq.read_table(path).replace_schema_metadata(None), path)
    assert ResultTable.read(path).metadata == {}
