"""The way back from registry files without faults to the tables of the schema: strict, it repairs nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from cohort.errors import UsageError
from cohort.record import Study
from cohort.schema import VISITS, Column, Kind, Table
from synthetic.dirt.layout import (
    CASTS,
    FIELDS,
    FLAGS,
    ITEMS,
    PATIENT,
    SEXES,
    START,
    VISIT,
    Field,
    Sheet,
    arm_codes,
    column_of,
    is_relative_day,
    table_of,
)
from synthetic.dirt.rendering import UNSCHEDULED


def read_registry(files: Mapping[Sheet, pd.DataFrame], study: Study) -> dict[str, pd.DataFrame]:
    """Return the tables of the schema that registry files without faults hold.

    Parameters
    ----------
    files
        Frames of text as :func:`synthetic.dirt.rendering.render` makes them, or
        :func:`synthetic.dirt.undo.undo_faults` gives back.
    study
        The study whose arms the cohort has.

    Returns
    -------
    dict
        ``patients``, ``visits``, ``treatments`` and ``events`` with the types that
        :func:`cohort.store.read_table` gives.

    Raises
    ------
    UsageError
        If a cell is not written as the layout says: this reader is not meant for files with faults.
    """
    tables = {}
    for sheet in FIELDS:
        if sheet is Sheet.LABS:
            continue
        try:
            tables[table_of(sheet).name] = _table(files, sheet, study)
        except (KeyError, ValueError, TypeError) as error:
            raise UsageError(
                "a cell is not written as the layout says",
                where=sheet.value if sheet is not Sheet.VISITS else f"{sheet.value} or {Sheet.LABS.value}",
                got=str(error),
                remedy="undo the listed faults first",
            ) from error
    return tables


def _table(files: Mapping[Sheet, pd.DataFrame], sheet: Sheet, study: Study) -> pd.DataFrame:
    """Return the table that one file holds, for ``visits.csv`` with the results of ``labs.csv``."""
    patients, table, frame = files[Sheet.PATIENTS], table_of(sheet), files[sheet]
    starts = dict(zip(patients[PATIENT], patients[START], strict=True))
    origin = np.asarray([starts[patient] for patient in frame[PATIENT]], dtype="datetime64[D]")
    columns = {
        field.source: _values(field, column_of(table, field.source), frame[field.header].tolist(), origin, study)
        for field in FIELDS[sheet]
        if field.source
    }
    if sheet is Sheet.VISITS:
        columns |= _labs(files[Sheet.LABS], frame)
    return _typed(pd.DataFrame(columns)[list(table.column_names)], table)


def _labs(labs: pd.DataFrame, visits: pd.DataFrame) -> dict[str, list[object]]:
    """Spread the results over the rows of ``visits``; a result that has no row is missing."""
    results = dict(zip(zip(labs[PATIENT], labs[VISIT], labs["ITEM"], strict=True), labs["RESULT"], strict=True))
    visit_keys = list(zip(visits[PATIENT], visits[VISIT], strict=True))
    spread: dict[str, list[object]] = {}
    for item in ITEMS:
        texts = [results.get((patient, number, item.code), "") for patient, number in visit_keys]
        spread[item.source] = _parsed(column_of(VISITS, item.source), texts)
    return spread


def _values(
    field: Field,
    column: Column,
    texts: Sequence[str],
    origin: np.ndarray[tuple[int], np.dtype[np.datetime64]],
    study: Study,
) -> list[object]:
    if is_relative_day(column):
        return [
            None if not text else int((np.datetime64(text, "D") - start).astype(np.int64))
            for text, start in zip(texts, origin, strict=True)
        ]
    if field.header == "ARM":
        arms = {code: arm for arm, code in arm_codes(study).items()}
        return [arms[text] for text in texts]
    if field.header == "SEX":
        sexes = {code: sex for sex, code in SEXES.items()}
        return [sexes[text] if text else None for text in texts]
    if field.header == "VISIT":
        return [None if text == UNSCHEDULED else int(text.removeprefix("M")) for text in texts]
    return _parsed(column, texts)


def _parsed(column: Column, texts: Sequence[str]) -> list[object]:
    if column.kind is Kind.BOOLEAN:
        words = {word: flag for flag, word in (CASTS if column.name == "urine_casts" else FLAGS).items()}
        return [words[text] if text else None for text in texts]
    if column.kind is Kind.NUMBER:
        return [float(text) if text else None for text in texts]
    if column.kind is Kind.INTEGER:
        return [int(text) if text else None for text in texts]
    if column.kind is Kind.DATE:
        return [np.datetime64(text, "D") for text in texts]
    return [text if text else None for text in texts]


def _typed(frame: pd.DataFrame, table: Table) -> pd.DataFrame:
    types = {Kind.NUMBER: "float64", Kind.DATE: "datetime64[ms]"}
    wanted: dict[str, str] = {}
    for column in table.columns:
        if column.kind is Kind.INTEGER:
            wanted[column.name] = "Int32" if column.nullable else "int32"
        elif column.kind is Kind.BOOLEAN:
            wanted[column.name] = "boolean" if column.nullable else "bool"
        elif column.kind in types:
            wanted[column.name] = types[column.kind]
    return frame.astype(wanted)
