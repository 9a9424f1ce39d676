"""Starters by a landmark against the others, among those still event-free and under observation there."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from analyses.starts.inputs import STARTED, StartTimes, refuse_taken, spell_frame, start_times
from analyses.starts.rows import Row, count_rows, hazard_row, laid_out
from cohort.errors import UsageError
from cohort.results import ResultTable

_COLUMNS = ("since_landmark", "failed", STARTED)
_WORDS = (
    "event before the landmark",
    "observation ended before the landmark",
    "started by the landmark",
    "not started",
)


def landmark_start(
    data: pd.DataFrame,
    formula: str | None = None,
    *,
    at: Sequence[float],
    start_col: str = "start_months",
    duration_col: str = "months",
    event_col: str = "event",
    patient_col: str = "patient_id",
    conf_level: float = 0.95,
) -> ResultTable:
    """Compare, from each of several landmarks on, those who have started by it with those who have not.

    Only those event-free and under observation at the landmark are compared, and only what comes after it counts, so
    there is no immortal time. Later starts are ignored: the others are those not started *by then*, as in an intention
    to treat, so the contrast fades as they start.

    Parameters
    ----------
    data, formula, start_col, duration_col, event_col, patient_col
        As for :func:`naive_ever_started`.
    at
        Landmarks, above zero, in the unit of the starts; a start at the landmark is one by it.
    conf_level
        Level of the intervals.

    Returns
    -------
    ResultTable
        For each landmark (``time``) a row ``log_hazard_ratio`` of ``started``, ``n`` patients compared; and rows
        ``count``, which sum to the patients of the data: ``event before the landmark``, ``observation ended before the
        landmark``, ``started by the landmark``, ``not started``. An event or end at the landmark itself is before it.

    Raises
    ------
    UsageError
        No landmark, or one that is not above zero.
    AnalysisError
        As :func:`naive_ever_started`.

    References
    ----------
    Anderson JR, Cain KC, Gelber RD. Analysis of survival by tumor response. J Clin Oncol 1983;1:710-719.
    doi:10.1200/JCO.1983.1.11.710

    Examples
    --------
    >>> frame = pd.DataFrame({"patient_id": list("abcd"), "start_months": [5.0, None, None, 2.0],
    ...                       "months": [9.0, 1.0, 8.0, 7.0], "event": [1, 1, 0, 1]})
    >>> table = landmark_start(frame, at=[3]).frame
    >>> table.loc[table["statistic"] == "count", "estimate"].tolist()
    [1.0, 0.0, 1.0, 2.0]
    """
    where = "landmark_start"
    wrong = [value for value in at if not (math.isfinite(value) and value > 0)]
    if wrong or not len(at):
        raise UsageError("landmarks must be above zero", where=f"{where}, at", got=str(list(at)), remedy="use 6 and 12")
    refuse_taken(data, _COLUMNS, where=where)
    times = start_times(
        data, start_col=start_col, duration_col=duration_col, event_col=event_col, patient_col=patient_col, where=where
    )
    rows = [row for time in at for row in _at(data, formula, times, float(time), conf_level)]
    return laid_out(
        rows,
        population="landmark",
        method="started by the landmark v not, from the landmark on",
        spec={"function": where, "formula": formula, "at": [float(time) for time in at]},
    )


def _at(data: pd.DataFrame, formula: str | None, times: StartTimes, time: float, conf_level: float) -> list[Row]:
    reached, started = times.durations > time, times.starts <= time
    chosen = np.flatnonzero(reached)
    values = (times.durations[chosen] - time, times.events[chosen].astype(np.int64), started[chosen].astype(np.int64))
    rows = spell_frame(data, chosen, dict(zip(_COLUMNS, values, strict=True)))
    hazard = hazard_row(
        rows,
        formula,
        duration_col="since_landmark",
        event_col="failed",
        conf_level=conf_level,
        patients=len(chosen),
    )
    groups = (~reached & times.events, ~reached & ~times.events, reached & started, reached & ~started)
    counts = {word: int(np.sum(group)) for word, group in zip(_WORDS, groups, strict=True)}
    return [row | {"time": time} for row in [hazard, *count_rows(counts, n=float(len(times)))]]
