"""Columns of patients who may start a treatment during follow-up, turned into checked arrays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from analyses.columns import BoolArray, FloatArray, TextArray, as_text, require_columns, require_complete
from analyses.comparison.folds import refuse_repeated_patients
from analyses.survival.inputs import survival_columns
from cohort.errors import AnalysisError

IntArray = npt.NDArray[np.intp]

STARTED = "started"
"""Column of the exposure in the rows laid out here, and term of its hazard ratio."""


@dataclass(frozen=True, slots=True, eq=False)
class StartTimes:
    """Of ``n`` patients, in the row order of the data, each of shape ``(n,)``.

    Attributes
    ----------
    patients
        Identifiers as text.
    starts
        When the treatment was started; infinite for those who did not before the event or the end of follow-up.
    durations
        When the event or the end of follow-up came, above zero.
    events
        Whether it was the event.
    """

    patients: TextArray
    starts: FloatArray
    durations: FloatArray
    events: BoolArray

    def __len__(self) -> int:
        return len(self.patients)

    @property
    def starters(self) -> BoolArray:
        """Who started during follow-up."""
        return np.isfinite(self.starts)


def start_times(
    data: pd.DataFrame, *, start_col: str, duration_col: str, event_col: str, patient_col: str, where: str
) -> StartTimes:
    """Read and check the columns; a missing start is a patient who never started.

    A start on or after the day of the event or of the end of follow-up is none: it changes nothing that was observed.

    Raises
    ------
    AnalysisError
        No rows, an unknown or non-numeric column, missing values but of the start, a negative start, a duration that is
        not above zero, an event other than 0 or 1, two rows of a patient.
    """
    require_complete(data, [patient_col, duration_col, event_col], where=where)
    require_columns(data, [start_col], where=where)
    columns = survival_columns(data, duration_col=duration_col, event_col=event_col)
    patients = as_text(data[patient_col])
    refuse_repeated_patients(patients, where=where)
    without = int(np.sum(columns.durations == 0))
    if without:
        raise AnalysisError(
            "a patient without follow-up cannot be at risk",
            where=f"{where}, duration_col {duration_col!r}",
            got=f"{without} rows with 0",
            remedy="leave them out and count them",
        )
    given = _starts(data, start_col, where)
    return StartTimes(patients, np.where(given < columns.durations, given, np.inf), columns.durations, columns.events)


def _starts(data: pd.DataFrame, start_col: str, where: str) -> FloatArray:
    column, place = data[start_col], f"{where}, start_col {start_col!r}"
    if column.isna().all():
        return np.full(len(data), np.inf)
    if not pd.api.types.is_numeric_dtype(column.dtype):
        raise AnalysisError("the column must be numeric", where=place, got=str(column.dtype), remedy="convert it first")
    values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    early = int(np.sum(values < 0))
    if early:
        raise AnalysisError(
            "a start before the clock starts is no start during follow-up",
            where=place,
            got=f"{early} rows below 0",
            remedy="leave these patients out: they are prevalent users",
        )
    return np.where(np.isnan(values), np.inf, values)


def refuse_taken(data: pd.DataFrame, names: Iterable[str], *, where: str) -> None:
    """Refuse data with a column of a name that is to be added.

    Raises
    ------
    AnalysisError
        Naming the columns.
    """
    taken = [name for name in names if name in data.columns]
    if taken:
        raise AnalysisError(
            "the data have a column that is to be added",
            where=f"{where}, column {', '.join(taken)}",
            remedy="rename it",
        )


def spell_frame(data: pd.DataFrame, row: IntArray, columns: Mapping[str, npt.ArrayLike]) -> pd.DataFrame:
    """Return rows of the data, repeated as ``row`` says, with columns added, on a fresh index."""
    laid_out = data.iloc[row].reset_index(drop=True)
    return laid_out.assign(**{name: np.asarray(values) for name, values in columns.items()})
