"""A CSV table of a paper's percentages and p-values, read for the audit."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cohort.attainability import Comparison
from cohort.audit_entries import PrintedPercentage, PrintedPValue
from cohort.errors import UsageError

REQUIRED = ("comparison", "arm", "percentage", "n_max")
OPTIONAL = ("n", "p_value")


@dataclass(frozen=True, slots=True)
class _Row:
    """One line of the file, checked."""

    line: int
    comparison: str
    percentage: PrintedPercentage
    p_value: str


def read_audit_file(path: Path) -> tuple[list[PrintedPercentage], list[PrintedPValue]]:
    """Return the percentages and p-values of a CSV file; see :func:`cohort.audit.audit_table` for its columns.

    Raises
    ------
    UsageError
        If the file cannot be read, a column is missing, unknown or doubled, a value is malformed, an arm stands twice
        in a comparison, or a p-value does not compare exactly two arms.
    """
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        remedy = "give the name of a study, or a readable UTF-8 file ending in .csv or .toml"
        raise UsageError("cannot read the table", where=str(path), got=str(error), remedy=remedy) from None
    rows = list(_rows(text, str(path)))
    if not rows:
        raise UsageError("the table has no rows", where=str(path), remedy="add one row per arm of a comparison")
    comparisons: dict[str, list[_Row]] = {}
    for row in rows:
        comparisons.setdefault(row.comparison, []).append(row)
    p_values = [found for name, group in comparisons.items() for found in _p_value(name, group, str(path))]
    return [row.percentage for row in rows], p_values


def _rows(text: str, where: str) -> Iterator[_Row]:
    reader = csv.reader(text.splitlines())
    header = [name.strip() for name in next(reader, [])]
    listed = f"the columns are {', '.join(REQUIRED)} and, if wanted, {', '.join(OPTIONAL)}"
    wrong = [name for name in REQUIRED if name not in header] or [
        name for name in header if name not in (*REQUIRED, *OPTIONAL) or header.count(name) > 1
    ]
    if wrong:
        what = "a missing column" if wrong[0] not in header else "an unknown or doubled column"
        raise UsageError(what, where=f"{where} line 1", got=", ".join(wrong), remedy=listed)
    seen: set[tuple[str, str]] = set()
    for cells in reader:
        line = reader.line_num
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(header):
            got = f"{len(cells)} cells for {len(header)} columns"
            raise UsageError("a row of another length than the header", where=f"{where} line {line}", got=got)
        row = _row(dict(zip(header, (cell.strip() for cell in cells), strict=True)), line, where)
        if (row.comparison, row.percentage.arm) in seen:
            got = f"{row.comparison}, {row.percentage.arm}"
            remedy = "give each comparison its own name"
            raise UsageError("the same arm twice in a comparison", where=f"{where} line {line}", got=got, remedy=remedy)
        seen.add((row.comparison, row.percentage.arm))
        yield row


def _row(cells: dict[str, str], line: int, where: str) -> _Row:
    def wrong(column: str, what: str, remedy: str) -> UsageError:
        return UsageError(what, where=f"{where} line {line}, {column}", got=repr(cells[column]), remedy=remedy)

    for column in ("comparison", "arm"):
        if not cells[column]:
            raise wrong(column, "an empty name", "name it")
    for column, highest in (("percentage", 100), ("p_value", 1)):
        value = cells.get(column, "")
        if value == "" and column == "p_value":
            continue
        if not re.fullmatch(r"\d{1,3}(\.\d{1,6})?", value) or float(value) > highest:
            remedy = f"write it as printed, from 0 to {highest}, without a sign or %"
            raise wrong(column, "not a plain decimal number", remedy)
    for column in ("n_max", "n"):
        value = cells.get(column, "")
        if value == "" and column == "n":
            continue
        if not re.fullmatch(r"[1-9]\d{0,5}", value):
            raise wrong(column, "not a number of patients", "give a whole number from 1 to 999999")
    n, n_max = int(cells.get("n") or 0), int(cells["n_max"])
    if n > n_max:
        raise wrong("n", "more patients than n_max", f"give at most {n_max}")
    percentage = PrintedPercentage(
        target_id=f"{cells['comparison']}:{cells['arm']}",
        measure=cells["comparison"],
        arm=cells["arm"],
        printed=cells["percentage"],
        n_max=n_max,
        n=n or None,
    )
    return _Row(line, cells["comparison"], percentage, cells.get("p_value", ""))


def _p_value(name: str, rows: list[_Row], where: str) -> Iterator[PrintedPValue]:
    printed = {row.p_value: row.line for row in rows if row.p_value}
    if not printed:
        return
    last = f"{where} line {max(printed.values())}, p_value"
    if len(printed) > 1:
        got, remedy = ", ".join(printed), "give one, or name the comparisons differently"
        raise UsageError(f"comparison {name} has several p-values", where=last, got=got, remedy=remedy)
    if len(rows) != 2:
        remedy = "give one row per arm, two in all, or leave the p-value out"
        raise UsageError(f"the p-value of {name} must compare two arms", where=last, got=str(len(rows)), remedy=remedy)
    own = [row.percentage.candidates() for row in rows]
    yield PrintedPValue(measure=name, comparison=Comparison(f"{name}:p", next(iter(printed)), own=own))
