"""Protects the audit of a user's own table: what a file may hold, and where its mistakes are reported."""

from __future__ import annotations

from pathlib import Path

import pytest

from cohort.audit import audit_table
from cohort.errors import UsageError

HEADER = "comparison,arm,percentage,n_max,n,p_value\n"
GOOD = HEADER + "CR at 1 year,tacrolimus,52.3,92,,0.006\nCR at 1 year,control,73.1,87,,\n\nalone,all,5.47,83,,\n"


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "mine.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_table_is_audited_like_a_study(tmp_path: Path) -> None:
    table = audit_table(written(tmp_path, GOOD))
    assert table.name == "mine.csv"
    rows = table.percentages.set_index("target_id")
    assert rows.loc["CR at 1 year:tacrolimus", "candidates"] == "23/44; 34/65; 45/86; 46/88"
    assert not rows.loc["alone:all", "attainable"] or rows.loc["alone:all", "n_candidates"] > 0
    p = table.p_values.iloc[0]
    assert (p["target_id"], p["printed"], p["verdict"], p["n_pairs"]) == ("CR at 1 year:p", "0.006", "attainable", 16)
    assert p["two_sided_tests"].startswith("pearson, ")


def test_decimals_count_as_printed_and_n_fixes_the_denominator(tmp_path: Path) -> None:
    table = audit_table(written(tmp_path, HEADER + "a,x,33.0,10,,\nb,x,33,10,,\nc,x,50,10,4,\n"))
    rows = table.percentages.set_index("target_id")
    assert rows.loc["a:x", "n_candidates"] == 0
    assert rows.loc["b:x", "candidates"] == "1/3; 2/6; 3/9"
    assert rows.loc["c:x", "candidates"] == "2/4"
    assert table.p_values.empty
    assert table.tests.empty


def test_optional_columns_may_be_missing_and_spaces_are_ignored(tmp_path: Path) -> None:
    table = audit_table(written(tmp_path, "\ufeffcomparison, arm, percentage, n_max\n a , x , 50 , 2\n"))
    assert table.percentages["candidates"].tolist() == ["1/2"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"mine\.csv line 1: a missing column; got comparison, arm, percentage, n_max; the columns are comparison"),
        ("comparison,arm,percentage\n", r"line 1: a missing column; got n_max"),
        (HEADER.replace("p_value", "p"), r"line 1: an unknown or doubled column; got p; the columns are"),
        (HEADER.replace("n,p_value", "n,n"), r"line 1: an unknown or doubled column; got n, n"),
        (HEADER, r"mine\.csv: the table has no rows; add one row per arm"),
        (HEADER + "a,x,50,2\n", r"line 2: a row of another length than the header; got 4 cells for 6 columns"),
        (HEADER + ",x,50,2,,\n", r"line 2, comparison: an empty name; got ''; name it"),
        (HEADER + "\na,,50,2,,\n", r"line 3, arm: an empty name"),
        (HEADER + "a,x,50%,2,,\n", r"line 2, percentage: not a plain decimal number; got '50%'; write it as printed"),
        (HEADER + "a,x,101,2,,\n", r"line 2, percentage: not a plain decimal number; got '101'; .*0 to 100"),
        (HEADER + "a,x,50,2,,<0.05\n", r"line 2, p_value: not a plain decimal number; got '<0\.05'"),
        (HEADER + "a,x,50,2,,1.5\n", r"line 2, p_value: not a plain decimal number; got '1\.5'; .*0 to 1,"),
        (HEADER + "a,x,50,0,,\n", r"line 2, n_max: not a number of patients; got '0'; give a whole number"),
        (HEADER + "a,x,50,,,\n", r"line 2, n_max: not a number of patients; got ''"),
        (HEADER + "a,x,50,2,3,\n", r"line 2, n: more patients than n_max; got '3'; give at most 2"),
        (HEADER + "a,x,50,2,,\na,x,50,2,,\n", r"line 3: the same arm twice in a comparison; got a, x; give each"),
        (
            HEADER + "a,x,50,2,,0.1\na,y,50,2,,0.2\n",
            r"line 3, p_value: comparison a has several p-values; got 0\.1, 0\.2",
        ),
        (HEADER + "a,x,50,2,,0.1\n", r"line 2, p_value: the p-value of a must compare two arms; got 1; give one row"),
    ],
)
def test_mistakes_name_line_and_column(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        audit_table(written(tmp_path, text))


def test_the_same_p_value_on_both_rows_is_one(tmp_path: Path) -> None:
    table = audit_table(written(tmp_path, HEADER + "a,x,50,4,,0.3\na,y,25,4,,0.3\n"))
    assert len(table.p_values) == 1


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.csv: cannot read the table; got .*; give the name of a study"):
        audit_table(tmp_path / "none.csv")
    (tmp_path / "latin.csv").write_bytes("größe".encode("latin-1"))
    with pytest.raises(UsageError, match=r"cannot read the table; got .*utf-8"):
        audit_table(tmp_path / "latin.csv")
