"""Cumulative incidence of competing events."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analyses.kernels import aalen_johansen as kernel
from analyses.kernels.probability_interval import probability_interval
from analyses.survival.inputs import check_conf_level, grouping, survival_columns
from cohort.errors import AnalysisError
from cohort.results import ResultTable, result_table

NO_EVENT_YET = "no event of this cause yet: the interval does not exist on this scale"
CERTAIN = "everyone has failed from this cause: no interval"


def cumulative_incidence(
    data: pd.DataFrame, *, duration_col: str, event_col: str, by: str | None = None, conf_level: float = 0.95
) -> ResultTable:
    """Estimate the probability of having failed from each cause, other causes competing (Aalen-Johansen).

    Parameters
    ----------
    data
        One row per subject.
    duration_col
        Time of the first event or of censoring, not negative.
    event_col
        0 for censored, a whole number from 1 for the cause of the event.
    by
        Column whose levels are estimated apart, in sorted order.
    conf_level
        Coverage of the pointwise log-log interval.

    Returns
    -------
    ResultTable
        ``statistic="cumulative_incidence"``, one row per group, cause and distinct time, starting with time 0
        (``estimate`` 0 unless someone failed at 0), ascending in that order. ``term`` is the cause code as text;
        ``estimate`` the incidence up to and including ``time``; ``std_error`` its infinitesimal-jackknife standard
        error; ``conf_low, conf_high, conf_level``; ``n`` at risk just before ``time`` and ``n_events`` failures from
        this cause at it; ``note`` where the interval does not exist. Every cause that occurs anywhere in the data
        has rows in every group, with incidence 0 where it does not occur.

    Raises
    ------
    AnalysisError
        For the columns as in :func:`analyses.survival.inputs.survival_columns`; when no row has an event, since the
        causes are then unknown.

    Notes
    -----
    Times tie only when exactly equal. All failures at one time share the risk set just before it, whatever their
    causes, and precede censorings at that time; the order and the index of the rows do not matter.

    References
    ----------
    Aalen and Johansen (1978), Scandinavian Journal of Statistics 5:141-150.

    Examples
    --------
    >>> frame = pd.DataFrame({"months": [6.0, 12.0, 18.0, 24.0], "event": [1, 2, 1, 0]})
    >>> table = cumulative_incidence(frame, duration_col="months", event_col="event").frame
    >>> table.loc[table["term"] == "1", "estimate"].tolist()
    [0.0, 0.25, 0.25, 0.5, 0.5]
    """
    check_conf_level(conf_level)
    columns = survival_columns(data, duration_col=duration_col, event_col=event_col, competing=True)
    causes, codes = np.unique(np.append(columns.causes, 0), return_inverse=True)
    if len(causes) == 1:
        raise AnalysisError(
            "no events, so the causes are unknown",
            where=f"event_col {event_col!r}",
            remedy="check the coding: 0 is censored, causes count from 1",
        )
    parts = []
    for level, members in grouping(data, by).members():
        curve = kernel.cumulative_incidence(columns.durations[members], codes[members], n_causes=len(causes) - 1)
        for place, cause in enumerate(causes[1:]):
            part = _cause_rows(curve, place, conf_level)
            parts.append(
                part.assign(
                    group=pd.Series([level] * len(part), dtype="string"),
                    term=pd.Series([str(cause)] * len(part), dtype="string"),
                )
            )
    return result_table(
        pd.concat(parts, ignore_index=True),
        metadata={"spec": {"duration_col": duration_col, "event_col": event_col, "by": by}},
        analysis="survival",
        statistic="cumulative_incidence",
        conf_level=conf_level,
        method="Aalen-Johansen, infinitesimal-jackknife variance, log-log interval",
    )


def _cause_rows(curve: kernel.CumulativeIncidence, place: int, conf_level: float) -> pd.DataFrame:
    estimate, std_error = curve.incidence[:, place], curve.std_error[:, place]
    low, high = probability_interval(estimate, std_error, scale="log-log", conf_level=conf_level)
    rows = pd.DataFrame(
        {
            "time": curve.times,
            "estimate": estimate,
            "std_error": std_error,
            "conf_low": low,
            "conf_high": high,
            "n": curve.at_risk,
            "n_events": curve.events[:, place],
        }
    )
    if curve.times[0] > 0:
        origin = {"time": 0.0, "estimate": 0.0, "std_error": 0.0, "n": curve.at_risk[0], "n_events": 0.0}
        rows = pd.concat([pd.DataFrame([origin]), rows], ignore_index=True)
    lacking = pd.Series(np.where(rows["estimate"] > 0, CERTAIN, NO_EVENT_YET), dtype="string")
    return rows.assign(note=lacking.where(rows["conf_low"].isna()))
