"""Which rows a section reads, and the cells and phrases that several sections write from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from analyses.figures.formatting import equation, exponential, interval, p_value, percent_interval
from analyses.figures.labels import contrast_arms, visit_label
from cohort.results import ResultTable


def statistic_rows(table: ResultTable, *statistics: str) -> pd.DataFrame:
    """Return the rows of these statistics, in their order; there may be none."""
    return table.frame[table.frame["statistic"].isin(statistics).to_numpy(dtype=bool)]


def matching(rows: pd.DataFrame, **wanted: object) -> pd.DataFrame:
    """Return the rows whose columns hold these values; a missing value is no match.

    Examples
    --------
    >>> matching(pd.DataFrame({"group": ["a", None]}, dtype="string"), group="a").index.tolist()
    [0]
    """
    kept = np.ones(len(rows), dtype=bool)
    for column, value in wanted.items():
        kept &= (rows[column] == value).to_numpy(dtype=bool, na_value=False)
    return rows[kept]


def note_of(row: pd.Series) -> str:
    """Return the note of a row, empty where there is none."""
    return "" if pd.isna(row["note"]) else str(row["note"])


def share(row: pd.Series) -> str:
    """Write a proportion in per cent with its interval, or why there is none."""
    return percent_interval(row["estimate"], row["conf_low"], row["conf_high"], note=note_of(row))


def points(row: pd.Series) -> str:
    """Write a difference of proportions in percentage points with its interval."""
    return interval(row["estimate"], row["conf_low"], row["conf_high"], decimals=1, scale=100)


def amount(row: pd.Series, decimals: int = 2) -> str:
    """Write an estimate with its interval; the note only where one of them is missing."""
    return interval(row["estimate"], row["conf_low"], row["conf_high"], decimals=decimals, note=note_of(row))


def ratio(row: pd.Series) -> str:
    """Write a ratio, held on the logarithmic scale, with its interval, or why there is none."""
    values = (exponential(row[name]) for name in ("estimate", "conf_low", "conf_high"))
    return interval(*values, note=note_of(row))


def when(row: pd.Series) -> str:
    """Write a time with its unit.

    Examples
    --------
    >>> when(pd.Series({"time": 5.0, "time_unit": "year"})), when(pd.Series({"time": 1.0, "time_unit": "year"}))
    ('5 years', '1 year')
    >>> when(pd.Series({"time": 11 / 12, "time_unit": "year"})), when(pd.Series({"time": 4.66, "time_unit": "year"}))
    ('11 months', '4.66 years')
    """
    months = 12 * float(row["time"])
    if row["time_unit"] == "year" and abs(months - round(months)) < 1e-9 and round(months) % 12:
        return visit_label(float(round(months)))
    written = f"{row['time']:.3g}"
    return f"{written} {row['time_unit']}{'' if written == '1' else 's'}"


def contrast_label(contrast: str, labels: Mapping[str, str]) -> str:
    """Write a contrast as a difference in the words of the study's arms.

    Examples
    --------
    >>> contrast_label("tac v none", {"tac": "Tacrolimus", "none": "No tacrolimus"})
    'Difference Tacrolimus − No tacrolimus'
    """
    first, second = (labels.get(code, code) for code in contrast_arms(contrast))
    return f"Difference {first} − {second}"


def arm_cells(rows: pd.DataFrame, labels: Mapping[str, str], write: Callable[[pd.Series], str]) -> tuple[str, ...]:
    """Write one cell per arm from its first row; an arm without a row has an empty cell."""
    found = (matching(rows, group=code) for code in labels)
    return tuple(write(own.iloc[0]) if len(own) else "" for own in found)


def last_rows(rows: pd.DataFrame, labels: Mapping[str, str]) -> list[tuple[str, pd.Series]]:
    """Return, for each group that has rows, its label and the row of its latest time."""
    ordered = rows.sort_values("time", kind="stable")
    return [
        (label, matching(ordered, group=code).iloc[-1])
        for code, label in labels.items()
        if (ordered["group"] == code).any()
    ]


def said_of_test(row: pd.Series, name: str | None = None) -> str:
    """Say in a sentence what a test found, or why it has no p-value."""
    method = str(row["method"]) if name is None else name
    method = f"{method[:1].upper()}{method[1:]}"
    if pd.isna(row["p_value"]):
        return f"{method}: not computed ({note_of(row)})."
    return f"{method}: {equation('p', p_value(row['p_value']))}."


def methods_of(rows: pd.DataFrame) -> tuple[str, ...]:
    """Return the methods of the rows as sentences, each once."""
    return tuple(f"{method[:1].upper()}{method[1:]}." for method in dict.fromkeys(rows["method"].dropna()))
