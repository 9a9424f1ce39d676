"""When complete response is first seen, and when it lasts: what visits tell of it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analyses.columns import require_probability
from analyses.datasets import AnalysisData
from analyses.kernels.proportions import wilson_interval
from cohort.codes import Response
from cohort.results import ResultTable, result_table

_HALF = 0.5 - 1e-12
"""A half, but for the last digits of sums of masses."""


def first_response_intervals(data: AnalysisData) -> pd.DataFrame:
    """Lay out between which visits each patient first reached complete response (CR).

    A visit that was not made, or could not be assessed, says nothing: the interval then spans it. Response between
    two visits that was lost again before the second is not seen, so the time is that of the first *observed* CR.

    Parameters
    ----------
    data
        Of a cohort; scheduled visits count at their months as published.

    Returns
    -------
    DataFrame
        One row per patient in the order of ``data.baseline``, whose columns it has, and ``lower_months`` the last
        assessed visit without CR before the first with it (0 if none: nobody is in CR at day 0), ``upper_months`` the
        first assessed visit with CR (infinite if none was seen) and ``visits_assessed`` how many visits after day 0
        were. Without any of them the interval is ``(0, inf)`` and tells nothing. For
        :func:`analyses.survival.turnbull`.

    Notes
    -----
    A patient who dies or reaches ESKD before a CR is censored at the last assessed visit: what is estimated is the
    time to CR were neither to happen, under independence. Nothing is imputed.
    """
    seen = _assessed(data)
    complete = seen["response"].eq(Response.CR.value).to_numpy()
    first = seen[complete].groupby("patient_id")["visit_month"].min()
    ids = data.baseline["patient_id"]
    upper = ids.map(first).to_numpy(dtype=np.float64, na_value=np.inf)
    reached = seen["patient_id"].map(first).to_numpy(dtype=np.float64, na_value=np.inf)
    before = seen[seen["visit_month"].to_numpy(dtype=np.float64) < reached]
    last = before.groupby("patient_id")["visit_month"].max()
    assessed = seen.groupby("patient_id").size()
    return data.baseline.assign(
        lower_months=ids.map(last).to_numpy(dtype=np.float64, na_value=0.0),
        upper_months=upper,
        visits_assessed=ids.map(assessed).to_numpy(dtype=np.float64, na_value=0.0).astype(np.int64),
    )


def median_first_response(curves: ResultTable) -> ResultTable:
    """Read from Turnbull curves between which visits half of each group had reached its first response.

    Parameters
    ----------
    curves
        Of :func:`analyses.survival.turnbull`: rows ``mass`` by ``group``, ``term`` the interval and ``time`` its end.

    Returns
    -------
    ResultTable
        One row per group, ``statistic="median_interval"``: ``term`` the interval in which the share with a response
        passes a half, ``time`` and ``estimate`` its upper end. When within the interval is not identified. Where less
        than half ever responds there is no estimate, and a ``note``.

    Examples
    --------
    >>> from cohort.results import result_table
    >>> masses = [{"term": "(0, 6]", "time": 6, "estimate": 0.4}, {"term": "(6, 12]", "time": 12, "estimate": 0.6}]
    >>> median_first_response(result_table(masses, statistic="mass", group="a")).frame["term"].tolist()
    ['(6, 12]']
    """
    masses = curves.frame[(curves.frame["statistic"] == "mass").to_numpy(dtype=bool, na_value=False)]
    rows: list[dict[str, object]] = []
    for group, own in masses.groupby("group", sort=False, dropna=False):
        reached = own["estimate"].cumsum().to_numpy() >= _HALF
        ends = own["time"].to_numpy(dtype=np.float64)[reached]
        row: dict[str, object] = {"group": group, "n": own["n"].iloc[0], "n_events": own["n_events"].iloc[0]}
        if len(ends) and np.isfinite(ends[0]):
            rows.append(row | {"term": own["term"].to_numpy()[reached][0], "time": ends[0], "estimate": ends[0]})
        else:
            rows.append(row | {"note": "less than half reaches a response by the last visit"})
    return result_table(
        rows, analysis="response", statistic="median_interval", method="first interval in which Turnbull's curve halves"
    )


def sustained_response_rates(data: AnalysisData, *, conf_level: float = 0.95) -> ResultTable:
    """Proportion of patients whose complete response is sustained from each visit on, by arm.

    Sustained from a visit on: CR at that visit and at every later assessed visit, of which there is at least one, so
    at no less than two assessed visits one after the other. Visits not assessed are passed over.

    Parameters
    ----------
    data
        Of a cohort.
    conf_level
        Of the Wilson intervals.

    Returns
    -------
    ResultTable
        One row per arm and scheduled month after day 0 but the last: ``group``, ``time`` with ``time_unit="month"``,
        ``term="sustained CR"``, ``statistic="proportion"``, ``estimate``, ``conf_low``, ``conf_high``, ``n`` patients
        assessed at that month and at a later one, ``n_events`` those in sustained CR. ``note`` counts patients
        assessed at the month but at none later, who cannot be judged and are left out.

    Raises
    ------
    UsageError
        ``conf_level`` out of range.
    """
    require_probability(conf_level, "conf_level")
    judged = _sustained(data)
    months = [month for month in data.months if month > 0][:-1]
    arms = [data.treated] if data.reference is None else sorted([data.treated, data.reference])
    rows = []
    for arm in arms:
        for month in months:
            cell = judged[(judged["arm"] == arm) & (judged["visit_month"] == month)]
            followed = cell[cell["later_visits"] > 0]
            patients, events = len(followed), int(followed["sustained"].sum())
            interval = wilson_interval(events, patients, conf_level=conf_level)
            alone = len(cell) - patients
            rows.append(
                {
                    "group": arm,
                    "time": float(month),
                    "estimate": float(interval.estimate),
                    "conf_low": float(interval.low),
                    "conf_high": float(interval.high),
                    "n": patients,
                    "n_events": events,
                    "note": _remark(patients, alone),
                }
            )
    return result_table(
        rows,
        metadata={"spec": {"function": "sustained_response_rates", "conf_level": conf_level}},
        analysis="response",
        time_unit="month",
        term="sustained CR",
        statistic="proportion",
        conf_level=conf_level,
        method="CR at every assessed visit from this one on, at least two; Wilson interval",
    )


def _assessed(data: AnalysisData) -> pd.DataFrame:
    """Assessed visits after day 0."""
    return data.responses.loc[data.responses["visit_month"] > 0, ["patient_id", "arm", "visit_month", "response"]]


def _sustained(data: AnalysisData) -> pd.DataFrame:
    """Each assessed visit with the number of later ones, and whether it and all of them are CR."""
    seen = _assessed(data).sort_values(["patient_id", "visit_month"], ascending=[True, False], kind="stable")
    lacking = seen["response"].ne(Response.CR.value).astype(np.int64)
    from_here = lacking.groupby(seen["patient_id"]).cumsum()
    later = seen.groupby("patient_id").cumcount()
    return seen.assign(later_visits=later, sustained=(from_here == 0) & (later > 0))


def _remark(patients: int, alone: int) -> str | None:
    left_out = f"{alone} assessed here and at no later visit are left out" if alone else None
    if patients:
        return left_out
    nobody = "no patient of this group is assessed at this visit and a later one"
    return nobody if left_out is None else f"{nobody}; {left_out}"
