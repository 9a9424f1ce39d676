"""The start of a treatment as an exposure that changes with time: not started until the start, started ever after."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analyses.starts.inputs import STARTED, StartTimes, refuse_taken, spell_frame, start_times
from analyses.starts.latest import refuse_unknown, with_latest
from analyses.starts.rows import count_rows, hazard_row, laid_out
from cohort.results import ResultTable

COLUMNS = ("entry", "exit", "failed", STARTED)


def start_rows(
    data: pd.DataFrame,
    *,
    visits: pd.DataFrame | None = None,
    start_col: str = "start_months",
    duration_col: str = "months",
    event_col: str = "event",
    patient_col: str = "patient_id",
    visit_time_col: str = "month",
) -> pd.DataFrame:
    """Split each patient's follow-up at the start of treatment and, given ``visits``, at each visit.

    Parameters
    ----------
    data, start_col, duration_col, event_col, patient_col
        As for :func:`naive_ever_started`.
    visits
        Values that change with time: ``patient_col``, ``visit_time_col`` (in the unit of the starts) and columns of
        values, of which the latest known holds until the next; a column takes the place of the patient's own of that
        name. None for baseline covariates only.
    visit_time_col
        When the visit was.

    Returns
    -------
    pandas.DataFrame
        The columns of ``data``, repeated for each row, and ``entry``, ``exit``, ``failed`` (0, 1) and ``started``
        (0, 1), by patient (text order) and time. Once started always started: stops are not looked at.

    Raises
    ------
    AnalysisError
        As :func:`analyses.starts.inputs.start_times`; a patient without a value of ``visits`` at time 0.

    Examples
    --------
    >>> frame = pd.DataFrame({"patient_id": ["a", "b"], "start_months": [5.0, None], "months": [9.0, 4.0],
    ...                       "event": [1, 0]})
    >>> start_rows(frame)[["patient_id", "entry", "exit", "failed", "started"]].to_numpy().tolist()
    [['a', 0.0, 5.0, 0, 0], ['a', 5.0, 9.0, 1, 1], ['b', 0.0, 4.0, 0, 0]]
    """
    where = "start_rows"
    refuse_taken(data, COLUMNS, where=where)
    times = start_times(
        data, start_col=start_col, duration_col=duration_col, event_col=event_col, patient_col=patient_col, where=where
    )
    row, entry = _cuts(times, visits, patient_col, visit_time_col)
    last = np.append(row[1:] != row[:-1], True)
    leave = np.where(last, times.durations[row], np.append(entry[1:], 0.0))
    order = np.lexsort((entry, times.patients[row]))
    row, entry, leave, last = row[order], entry[order], leave[order], last[order]
    failed = last & times.events[row]
    started = entry >= times.starts[row]
    values = (entry, leave, failed.astype(np.int64), started.astype(np.int64))
    frame = spell_frame(data, row, dict(zip(COLUMNS, values, strict=True)))
    known, complete = with_latest(
        frame, visits, times.patients[row], entry, patient_col=patient_col, time_col=visit_time_col
    )
    refuse_unknown(complete, times.patients[row], where=f"{where}, visits")
    return known


def _cuts(
    times: StartTimes, visits: pd.DataFrame | None, patient_col: str, time_col: str
) -> tuple[np.ndarray[tuple[int, ...], np.dtype[np.intp]], np.ndarray[tuple[int, ...], np.dtype[np.float64]]]:
    """Return the patient and the beginning of each spell, by row of the data and time, without repetitions."""
    everybody, starters = np.arange(len(times)), np.flatnonzero(times.starters)
    rows, cuts = [everybody, starters], [np.zeros(len(times)), times.starts[starters]]
    if visits is not None and len(visits):
        place = pd.Series(everybody, index=times.patients)
        who = place.reindex(visits[patient_col].astype(str).to_numpy()).to_numpy(dtype=np.float64)
        when = visits[time_col].to_numpy(dtype=np.float64, na_value=np.nan)
        ours = ~np.isnan(who) & (when > 0)
        ours[ours] = when[ours] < times.durations[who[ours].astype(np.intp)]
        rows, cuts = [*rows, who[ours].astype(np.intp)], [*cuts, when[ours]]
    row, cut = np.concatenate(rows), np.concatenate(cuts)
    order = np.lexsort((cut, row))
    row, cut = row[order], cut[order]
    new = np.append(True, (row[1:] != row[:-1]) | (cut[1:] != cut[:-1]))
    return row[new].astype(np.intp), cut[new]


def time_varying_start(
    data: pd.DataFrame,
    formula: str | None = None,
    *,
    visits: pd.DataFrame | None = None,
    start_col: str = "start_months",
    duration_col: str = "months",
    event_col: str = "event",
    patient_col: str = "patient_id",
    visit_time_col: str = "month",
    conf_level: float = 0.95,
) -> ResultTable:
    """Compare, at each time, those who have started with those who have not yet, in a Cox model.

    Time before the start counts as not started, so there is no immortal time. Once started always started: the exposure
    is like that of an intention to treat, whatever is stopped later.

    Parameters
    ----------
    data, visits, start_col, duration_col, event_col, patient_col, visit_time_col
        As for :func:`start_rows`.
    formula
        Right-hand side of covariates to adjust for, of the data or of ``visits``; None for none.
    conf_level
        Level of the interval.

    Returns
    -------
    ResultTable
        A row ``log_hazard_ratio`` of ``started``, standard error robust by patient, ``n`` patients; and rows ``count``:
        ``starters``, ``events after the start``, ``events before or without a start``.

    Raises
    ------
    AnalysisError
        As :func:`start_rows` and :func:`analyses.survival.fit_cox`.

    Notes
    -----
    Unadjusted it is confounded where the start depends on the state of the patient. Adjusting for the latest values
    takes that away only if the treatment does not itself change them; where it does, the model leaves out the part of
    the effect that runs through them. :func:`sequential_trials` and :func:`clone_censor_weight` do not.

    References
    ----------
    Suissa S. Immortal time bias in pharmacoepidemiology. Am J Epidemiol 2008;167:492-499. doi:10.1093/aje/kwm324

    Examples
    --------
    >>> frame = pd.DataFrame({"patient_id": list("abcd"), "start_months": [5.0, None, None, 2.0],
    ...                       "months": [9.0, 1.0, 8.0, 4.0], "event": [1, 1, 0, 1]})
    >>> time_varying_start(frame).frame["term"].tolist()[1:]
    ['starters', 'events after the start', 'events before or without a start']
    """
    rows = start_rows(
        data,
        visits=visits,
        start_col=start_col,
        duration_col=duration_col,
        event_col=event_col,
        patient_col=patient_col,
        visit_time_col=visit_time_col,
    )
    hazard = hazard_row(
        rows,
        formula,
        duration_col="exit",
        event_col="failed",
        entry_col="entry",
        cluster_col=patient_col,
        conf_level=conf_level,
        patients=len(data),
    )
    failed, started = rows["failed"].eq(1).to_numpy(), rows[STARTED].eq(1).to_numpy()
    counts = {
        "starters": rows.loc[started, patient_col].nunique(),
        "events after the start": int(np.sum(failed & started)),
        "events before or without a start": int(np.sum(failed & ~started)),
    }
    return laid_out(
        [hazard, *count_rows(counts, n=float(len(data)))],
        population="time-varying start",
        method="start as a time-varying exposure, once started always started",
        spec={"function": "time_varying_start", "formula": formula},
    )
