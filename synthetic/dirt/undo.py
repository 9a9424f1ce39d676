"""Taking planted faults back: the proof that the fault list is complete."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pandas as pd

from cohort.codes import FaultAction
from cohort.errors import UsageError
from synthetic.dirt.layout import Sheet


def undo_faults(files: Mapping[Sheet, pd.DataFrame], faults: pd.DataFrame) -> dict[Sheet, pd.DataFrame]:
    """Return the registry files without the listed faults.

    Parameters
    ----------
    files
        Frames of text with faults.
    faults
        Faults of these files, columns of :data:`cohort.schema.TRUTH_FAULTS`, in any order.

    Returns
    -------
    dict
        The files: added rows left out, changed cells set to their clean value, removed rows back in their place.
        For the full list these are the files of the clean cohort, cell by cell.

    Raises
    ------
    UsageError
        If the list names rows that the files cannot have, as a part of the list or that of other files does.
    """
    return {
        sheet: _undone(frame, faults[(faults["file"] == sheet.value).to_numpy(dtype=bool)])
        for sheet, frame in files.items()
    }


def _undone(frame: pd.DataFrame, faults: pd.DataFrame) -> pd.DataFrame:
    columns = [str(header) for header in frame.columns]
    rows = frame.to_numpy(dtype=object).tolist()
    action = faults["action"]
    if len(faults) and int(faults["row"].fillna(0).max()) > len(rows):
        raise _foreign(len(rows))
    changed = faults[action == FaultAction.CHANGED.value]
    for row, header, value in zip(changed["row"], changed["column"], changed["clean_value"], strict=True):
        rows[int(row) - 1][columns.index(header)] = value
    added = {int(row) - 1 for row in faults.loc[action == FaultAction.ADDED.value, "row"]}
    kept = iter([cells for number, cells in enumerate(rows) if number not in added])
    removed = faults[action == FaultAction.REMOVED.value]
    back = {
        int(row) - 1: list(json.loads(text).values())
        for row, text in zip(removed["clean_row"], removed["clean_value"], strict=True)
    }
    length = len(rows) - len(added) + len(back)
    if back and max(back) >= length:
        raise _foreign(len(rows))
    whole = [back[number] if number in back else next(kept) for number in range(length)]
    return pd.DataFrame(whole, columns=columns, dtype=object)


def _foreign(rows: int) -> UsageError:
    return UsageError(
        "the list names rows that the file does not have",
        where="fault list",
        got=f"a file of {rows} rows",
        remedy="take the whole list that was written with these files",
    )
