"""The tables of a cohort written out as the files of a registry, without any fault and without any loss."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from cohort.record import Study
from cohort.schema import PATIENTS, VISITS, Column, Kind
from cohort.store import Cohort
from synthetic.dirt.layout import (
    CASTS,
    FIELDS,
    FLAGS,
    ITEMS,
    SEXES,
    VISIT,
    Field,
    Sheet,
    arm_codes,
    column_of,
    headers,
    is_relative_day,
    table_of,
)

UNSCHEDULED = "UN"
"""Code of a visit without a scheduled month."""


def render(cohort: Cohort, study: Study) -> dict[Sheet, pd.DataFrame]:
    """Lay out a cohort as registry files.

    Parameters
    ----------
    cohort
        Tables of the schema.
    study
        The study whose arms the cohort has.

    Returns
    -------
    dict
        A frame of text for each file, headers as in :data:`synthetic.dirt.layout.FIELDS`, rows in the order of the
        tables; missing values are empty cells, a laboratory value that is missing has no row.
        :func:`synthetic.dirt.reading.read_registry` gives the tables back exactly.
    """
    index_dates = cohort.patients.set_index("patient_id")["index_date"]
    files: dict[Sheet, pd.DataFrame] = {}
    for sheet, fields in FIELDS.items():
        if sheet is Sheet.LABS:
            continue
        table = table_of(sheet)
        frame = cohort.table(table.name)
        starts = index_dates.loc[frame["patient_id"]].to_numpy()
        columns = {
            field.header: _column_text(field, column_of(table, field.source), frame[field.source], starts, study)
            for field in fields
            if field.source
        }
        if sheet is Sheet.VISITS:
            columns[VISIT] = visit_numbers(frame)
        files[sheet] = pd.DataFrame(columns, columns=headers(sheet), dtype=object)
    files[Sheet.LABS] = _labs(cohort.visits)
    return {sheet: files[sheet] for sheet in Sheet}


def visit_numbers(visits: pd.DataFrame) -> list[str]:
    """Return the running number of each visit within its patient, as text."""
    return [str(number + 1) for number in visits.groupby("patient_id", sort=False).cumcount()]


def _labs(visits: pd.DataFrame) -> pd.DataFrame:
    """Lay out the laboratory values of all visits in long form, visit by visit."""
    numbers = visit_numbers(visits)
    ids = visits["patient_id"].astype(str).tolist()
    results = [_values_text(column_of(VISITS, item.source), visits[item.source], trimmed=False) for item in ITEMS]
    rows = [
        (ids[row], numbers[row], item.code, texts[row], item.unit, "F")
        for row in range(len(visits))
        for item, texts in zip(ITEMS, results, strict=True)
        if texts[row]
    ]
    return pd.DataFrame(rows, columns=headers(Sheet.LABS), dtype=object)


def _column_text(
    field: Field,
    column: Column,
    values: pd.Series[Any],
    starts: np.ndarray[tuple[int], np.dtype[np.generic]],
    study: Study,
) -> list[str]:
    if is_relative_day(column):
        days = values.to_numpy(dtype=np.float64, na_value=np.nan)
        known = np.where(np.isnan(days), 0, days).astype(np.int64)
        dates = starts.astype("datetime64[D]") + known.astype("timedelta64[D]")
        return ["" if np.isnan(day) else text for day, text in zip(days, _iso(dates), strict=True)]
    if column is column_of(PATIENTS, "arm"):
        codes = arm_codes(study)
        return [codes[str(value)] for value in values]
    if column is column_of(PATIENTS, "sex"):
        return ["" if value is None else SEXES[str(value)] for value in _present(values)]
    if column is column_of(VISITS, "visit_month"):
        return [UNSCHEDULED if value is None else f"M{_whole(value)}" for value in _present(values)]
    return _values_text(column, values, trimmed=field.trimmed)


def _values_text(column: Column, values: pd.Series[Any], *, trimmed: bool) -> list[str]:
    present = _present(values)
    if column.kind is Kind.BOOLEAN:
        words = CASTS if column.name == "urine_casts" else FLAGS
        return ["" if value is None else words[bool(value)] for value in present]
    if column.kind is Kind.NUMBER:
        return ["" if value is None else number_text(float(str(value)), column.decimals, trimmed) for value in present]
    if column.kind is Kind.INTEGER:
        return ["" if value is None else _whole(value) for value in present]
    if column.kind is Kind.DATE:
        return _iso(values.to_numpy().astype("datetime64[D]"))
    return ["" if value is None else str(value) for value in present]


def _whole(value: object) -> str:
    """Write a whole number, held as a floating one where others of its column are missing."""
    return str(int(float(str(value))))


def number_text(value: float, decimals: int | None, trimmed: bool) -> str:
    """Write a number as a laboratory prints it, with more decimals only where it would not be read back the same.

    Examples
    --------
    >>> number_text(0.5, 2, trimmed=False), number_text(0.5, 2, trimmed=True), number_text(0.125, 2, trimmed=False)
    ('0.50', '0.5', '0.125')
    """
    text = f"{value:.{decimals}f}" if decimals is not None else repr(value)
    if float(text) != value:
        text = np.format_float_positional(value, trim="0")
    return text.rstrip("0").rstrip(".") if trimmed and "." in text else text


def _iso(dates: np.ndarray[tuple[int], np.dtype[np.datetime64]]) -> list[str]:
    return [str(text) for text in np.datetime_as_string(dates, unit="D")]


def _present(values: pd.Series[Any]) -> Iterable[object]:
    """Yield the values, ``None`` for missing ones."""
    return (None if absent else value for value, absent in zip(values, values.isna(), strict=True))
