"""Patients followed from one index date, of whom some start a treatment later: checked columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from analyses.columns import BoolArray, FloatArray, TextArray, as_text, require_complete
from analyses.comparison.folds import refuse_repeated_patients
from analyses.design_matrix import build_design
from analyses.survival.inputs import survival_columns
from cohort.errors import AnalysisError

IntArray = npt.NDArray[np.intp]
LAID_OUT = ("entry", "exit", "failed", "treated", "trial")
"""Columns that rows of these analyses add to the covariates."""


@dataclass(frozen=True, slots=True, eq=False)
class FollowedPatients:
    """``n`` patients in the text order of their identifiers, so that the order of rows plays no part.

    Attributes
    ----------
    names, durations, events
        Shape ``(n,)``.
    starts
        Shape ``(n,)``: when treatment starts, infinite where it does not start before the end of follow-up.
    rows
        Shape ``(n,)``: the row of each in the data.
    unseen
        Patients whose start on record is not before the end of their follow-up: they count as not started.
    """

    names: TextArray
    durations: FloatArray
    events: BoolArray
    starts: FloatArray
    rows: IntArray
    unseen: int

    @property
    def remark(self) -> str:
        """Say what was made of starts after the end of follow-up; empty if there are none."""
        if not self.unseen:
            return ""
        return f"{self.unseen} with a start not before the end of follow-up: taken as not started"

    def covariates(self, data: pd.DataFrame, formula: str | None) -> FloatArray:
        """Return baseline covariates and a leading column of ones, shape ``(n, p)``."""
        if formula is None:
            return np.ones((len(self.names), 1))
        return build_design(formula, data, intercept=True).matrix[self.rows]


def followed_patients(
    data: pd.DataFrame, *, duration_col: str, event_col: str, start_col: str, patient_col: str, where: str
) -> FollowedPatients:
    """Read and check the columns of a request.

    Raises
    ------
    AnalysisError
        Unknown or non-numeric columns, no rows, missing durations, events or patients, a patient with two rows, a
        start before the index date, a column of the data whose name is needed, nobody or everybody who starts.
    """
    columns = survival_columns(data, duration_col=duration_col, event_col=event_col)
    require_complete(data, [patient_col], where=where)
    names = as_text(data[patient_col])
    refuse_repeated_patients(names, where=where)
    taken = [name for name in LAID_OUT if name in data.columns]
    if taken:
        raise AnalysisError(
            "the data have a column that is to be added",
            where=f"{where}, column {', '.join(taken)}",
            remedy="rename it",
        )
    recorded = _recorded_starts(data, start_col, where=where)
    unseen = np.isfinite(recorded) & (recorded >= columns.durations)
    starts = np.where(unseen, np.inf, recorded)
    started = np.isfinite(starts)
    if started.all() or not started.any():
        raise AnalysisError(
            "patients who start and patients who do not are needed",
            where=f"{where}, start_col {start_col!r}",
            got=f"{int(started.sum())} of {len(started)} start before the end of their follow-up",
            remedy="include everybody followed from the index date, with a missing start for those who never start",
        )
    order = np.argsort(names, kind="stable")
    return FollowedPatients(
        names[order],
        columns.durations[order],
        columns.events[order],
        starts[order],
        order,
        int(unseen.sum()),
    )


def _recorded_starts(data: pd.DataFrame, start_col: str, *, where: str) -> FloatArray:
    if start_col not in data.columns or not pd.api.types.is_numeric_dtype(data[start_col].dtype):
        raise AnalysisError(
            "a numeric column of starts is needed",
            where=f"{where}, start_col {start_col!r}",
            got=str(data[start_col].dtype) if start_col in data.columns else ", ".join(map(str, data.columns)),
            remedy="give the time of the first dose since the index date, missing where there is none",
        )
    recorded = data[start_col].to_numpy(dtype=np.float64, na_value=np.nan)
    recorded = np.where(np.isnan(recorded), np.inf, recorded)
    early = int((recorded < 0).sum())
    if early:
        raise AnalysisError(
            "treatment started before the index date",
            where=f"{where}, start_col {start_col!r}",
            got=f"{early} rows below 0",
            remedy="leave out patients who were treated already, or choose an earlier index date",
        )
    return np.asarray(recorded)
