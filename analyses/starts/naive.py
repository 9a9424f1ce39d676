"""Two analyses of late starts that are wrong, kept for contrast: immortal time counted as treated, or left out."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analyses.starts.inputs import STARTED, StartTimes, refuse_taken, spell_frame, start_times
from analyses.starts.rows import added_note, hazard_row, laid_out
from cohort.results import ResultTable

_BIASED = "biased, for contrast only"
_COLUMNS = ("naive_months", "naive_event", STARTED)


def naive_ever_started(
    data: pd.DataFrame,
    formula: str | None = None,
    *,
    start_col: str = "start_months",
    duration_col: str = "months",
    event_col: str = "event",
    patient_col: str = "patient_id",
    conf_level: float = 0.95,
) -> ResultTable:
    """Compare patients who ever started with those who never did, from day 0: **biased**, for contrast only.

    To start, a patient must have been free of the event until then. This time, which nobody who starts can fail to
    survive, is counted as treated, so the treatment seems to protect.

    Parameters
    ----------
    data
        One row per patient, as ``rows`` of :func:`treatment_starts`.
    formula
        Right-hand side of baseline covariates to adjust for, or None.
    start_col
        When the treatment was started, not negative; missing for those who never did. A start on or after the event or
        the end of follow-up counts as none.
    duration_col, event_col
        Time to the event or to the end of follow-up, above zero and in the unit of the starts, and 1 for the event.
    patient_col
        Column of the patient; one row each.
    conf_level
        Level of the interval.

    Returns
    -------
    ResultTable
        One row, ``statistic="log_hazard_ratio"``, ``term`` ``started``, ``contrast`` ``started v not started``, ``n``
        patients; its ``note`` begins with why there is no estimate, if there is none, and says that it is biased.

    Raises
    ------
    AnalysisError
        As :func:`analyses.starts.inputs.start_times` and :func:`analyses.survival.fit_cox`.

    References
    ----------
    Suissa S. Immortal time bias in pharmacoepidemiology. Am J Epidemiol 2008;167:492-499. doi:10.1093/aje/kwm324

    Examples
    --------
    >>> frame = pd.DataFrame({"patient_id": list("abcd"), "start_months": [5.0, None, None, 2.0],
    ...                       "months": [9.0, 1.0, 8.0, 4.0], "event": [1, 1, 0, 1]})
    >>> float(naive_ever_started(frame).frame["estimate"].round(3).item())
    -0.347
    """
    where = "naive_ever_started"
    times = _read(data, start_col, duration_col, event_col, patient_col, where)
    return _table(
        data,
        formula,
        times,
        times.durations,
        conf_level=conf_level,
        remark=f"{_BIASED}: time before the start is counted as treated",
        method="ever started v never, from day 0",
        where=where,
    )


def naive_clock_from_start(
    data: pd.DataFrame,
    formula: str | None = None,
    *,
    start_col: str = "start_months",
    duration_col: str = "months",
    event_col: str = "event",
    patient_col: str = "patient_id",
    conf_level: float = 0.95,
) -> ResultTable:
    """Compare starters from their start with those who never did from day 0: **biased**, for contrast only.

    Leaving the immortal time out does not put it where it belongs, which is with the untreated: their event-free time
    before a start is lost while all their events are kept, so the treatment still seems to protect; and the two groups
    are compared at different times of their disease.

    Parameters
    ----------
    data, formula, start_col, duration_col, event_col, patient_col, conf_level
        As for :func:`naive_ever_started`.

    Returns
    -------
    ResultTable
        As of :func:`naive_ever_started`.

    Raises
    ------
    AnalysisError
        As :func:`naive_ever_started`.

    References
    ----------
    Suissa S. Immortal time bias in pharmacoepidemiology. Am J Epidemiol 2008;167:492-499. doi:10.1093/aje/kwm324

    Examples
    --------
    >>> frame = pd.DataFrame({"patient_id": list("abcd"), "start_months": [5.0, None, None, 2.0],
    ...                       "months": [9.0, 1.0, 8.0, 4.0], "event": [1, 1, 0, 1]})
    >>> float(naive_clock_from_start(frame).frame["estimate"].round(3).item())
    0.481
    """
    where = "naive_clock_from_start"
    times = _read(data, start_col, duration_col, event_col, patient_col, where)
    return _table(
        data,
        formula,
        times,
        times.durations - np.where(times.starters, times.starts, 0.0),
        conf_level=conf_level,
        remark=f"{_BIASED}: time before the start is left out",
        method="starters from their start v never started from day 0",
        where=where,
    )


def _read(
    data: pd.DataFrame, start_col: str, duration_col: str, event_col: str, patient_col: str, where: str
) -> StartTimes:
    refuse_taken(data, _COLUMNS, where=where)
    return start_times(
        data, start_col=start_col, duration_col=duration_col, event_col=event_col, patient_col=patient_col, where=where
    )


def _table(
    data: pd.DataFrame,
    formula: str | None,
    times: StartTimes,
    durations: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    *,
    conf_level: float,
    remark: str,
    method: str,
    where: str,
) -> ResultTable:
    added = dict(zip(_COLUMNS, (durations, times.events.astype(np.int64), times.starters.astype(float)), strict=True))
    rows = spell_frame(data, np.arange(len(data)), added)
    row = hazard_row(
        rows,
        formula,
        duration_col=_COLUMNS[0],
        event_col=_COLUMNS[1],
        conf_level=conf_level,
        patients=len(times),
    )
    spec = {"function": where, "formula": formula}
    return laid_out([added_note(row, remark)], population="naive", method=method, spec=spec)
