"""Kaplan-Meier curves, and the numbers at risk and censorings that are drawn with them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from analyses.kernels import kaplan_meier as kernel
from analyses.kernels.grouped_sums import FloatArray, sum_by
from analyses.kernels.probability_interval import INTERVAL_SCALES, IntervalScale, probability_interval
from analyses.survival.inputs import (
    SurvivalColumns,
    check_choice,
    check_conf_level,
    check_times,
    grouping,
    request,
    survival_columns,
    variance_name,
)
from cohort.results import ResultTable, result_table

NO_EVENT_YET = "no event yet: the interval does not exist on this scale"
REACHED_ZERO = "survival has reached zero: no standard error or interval"


def kaplan_meier(
    data: pd.DataFrame,
    *,
    duration_col: str,
    event_col: str,
    by: str | None = None,
    weights_col: str | None = None,
    entry_col: str | None = None,
    cluster_col: str | None = None,
    conf_type: IntervalScale = "log-log",
    conf_level: float = 0.95,
) -> ResultTable:
    """Estimate survival by the product-limit method.

    Parameters
    ----------
    data
        One row per subject, or per spell at risk when there is an ``entry_col``.
    duration_col
        Time of event or censoring, not negative, in any one unit; the results use the same unit.
    event_col
        1 for an event, 0 for censored.
    by
        Column whose levels are estimated apart, in sorted order.
    weights_col
        Positive weights, for instance inverse probabilities of treatment. They are not numbers of patients: the
        variance is then the infinitesimal jackknife, each row one unit, and does not depend on their scale.
    entry_col
        Time of entry into observation (left truncation). A row is at risk at ``t`` when entry < t <= duration.
    cluster_col
        Column of what belongs together, as the spells of one patient: the variance is then the infinitesimal
        jackknife with the influence of a cluster's rows added up before squaring.
    conf_type
        Scale of the interval: ``plain``, ``log``, ``log-log``, ``logit`` or ``arcsine``.
    conf_level
        Coverage of the pointwise interval.

    Returns
    -------
    ResultTable
        ``statistic="survival"``, one row per group and distinct observed time, of events and of censorings, ascending;
        no row is added for time 0. ``group`` level as text; ``time``; ``estimate`` survival just after ``time``;
        ``std_error`` on the probability scale; ``conf_low, conf_high, conf_level``; ``n`` weight at risk just before
        ``time`` and ``n_events`` weight failing at it (numbers of rows without weights); ``method``; ``note`` where
        an interval does not exist: before the first event on the log-log, logit and arcsine scales, and once survival
        is zero.

    Raises
    ------
    AnalysisError
        See :func:`analyses.survival.inputs.survival_columns`; also for an unknown ``conf_type``.

    Notes
    -----
    Times tie only when exactly equal. At a tie, events come before censorings. A group without events stays at 1.

    References
    ----------
    Kaplan and Meier (1958), doi:10.1080/01621459.1958.10501452.

    Examples
    --------
    >>> frame = pd.DataFrame({"months": [6.0, 12.0, 12.0, 24.0], "flare": [1, 1, 0, 0]})
    >>> kaplan_meier(frame, duration_col="months", event_col="flare").frame["estimate"].tolist()
    [0.75, 0.5, 0.5]
    """
    check_choice(conf_type, INTERVAL_SCALES, where="conf_type")
    check_conf_level(conf_level)
    columns = survival_columns(
        data,
        duration_col=duration_col,
        event_col=event_col,
        weights_col=weights_col,
        entry_col=entry_col,
        cluster_col=cluster_col,
    )
    parts = []
    for level, members in grouping(data, by).members():
        rows = columns.rows(members)
        curve = kernel.kaplan_meier(
            rows.durations, rows.events, weights=rows.weights, entries=rows.entries, clusters=rows.clusters
        )
        low, high = probability_interval(curve.survival, curve.std_error, scale=conf_type, conf_level=conf_level)
        lacking = np.where(curve.survival == 0, REACHED_ZERO, NO_EVENT_YET)
        part = pd.DataFrame(
            {
                "time": curve.table.times,
                "estimate": curve.survival,
                "std_error": curve.std_error,
                "conf_low": low,
                "conf_high": high,
                "n": curve.table.at_risk,
                "n_events": curve.table.events,
                "note": pd.Series(lacking, dtype="string").where(np.isnan(low)),
            }
        )
        parts.append(part.assign(group=pd.Series([level] * len(part), dtype="string")))
    variance = variance_name(weights_col, cluster_col, counted="Greenwood")
    return result_table(
        pd.concat(parts, ignore_index=True),
        metadata=request(
            duration_col=duration_col,
            event_col=event_col,
            by=by,
            weights_col=weights_col,
            entry_col=entry_col,
            cluster_col=cluster_col,
            conf_type=conf_type,
        ),
        analysis="survival",
        statistic="survival",
        conf_level=conf_level,
        method=f"Kaplan-Meier, {variance} variance, {conf_type} interval",
    )


def numbers_at_risk(
    data: pd.DataFrame,
    *,
    duration_col: str,
    event_col: str,
    times: Sequence[float],
    by: str | None = None,
    weights_col: str | None = None,
    entry_col: str | None = None,
) -> ResultTable:
    """Count those at risk at given times, for the table under a survival curve.

    A row is at risk at ``t`` when entry < t <= duration, and at time 0 when it enters at 0. Other parameters are
    those of :func:`kaplan_meier`.

    Parameters
    ----------
    times
        Times to count at, in the unit of the durations; the order given is kept.

    Returns
    -------
    ResultTable
        ``statistic="at_risk"``, one row per group and time: ``estimate`` and ``n`` the number (weight) at risk just
        before ``time``, ``n_events`` the number (weight) of events up to and including it.

    Raises
    ------
    AnalysisError
        As :func:`kaplan_meier`; also when there are no times or one is negative or not finite.

    Examples
    --------
    >>> frame = pd.DataFrame({"months": [6.0, 12.0, 18.0], "flare": [1, 0, 1]})
    >>> numbers_at_risk(frame, duration_col="months", event_col="flare", times=[0, 12]).frame["n"].tolist()
    [3.0, 2.0]
    """
    wanted = check_times(times)
    columns = survival_columns(
        data, duration_col=duration_col, event_col=event_col, weights_col=weights_col, entry_col=entry_col
    )
    parts = []
    for level, members in grouping(data, by).members():
        at_risk, failed = at_risk_and_failed(columns.rows(members), wanted)
        part = pd.DataFrame({"time": wanted, "estimate": at_risk, "n": at_risk, "n_events": failed})
        parts.append(part.assign(group=pd.Series([level] * len(part), dtype="string")))
    return result_table(
        pd.concat(parts, ignore_index=True),
        metadata=request(
            duration_col=duration_col, event_col=event_col, by=by, weights_col=weights_col, entry_col=entry_col
        ),
        analysis="survival",
        statistic="at_risk",
        method="count" if weights_col is None else "sum of weights",
    )


def censorings(
    data: pd.DataFrame,
    *,
    duration_col: str,
    event_col: str,
    by: str | None = None,
    weights_col: str | None = None,
    entry_col: str | None = None,
) -> ResultTable:
    """List when rows are censored, for the marks on a survival curve; at times of events too.

    Parameters are those of :func:`kaplan_meier`. A row that ends where another row of the same subject begins is
    censored here like any other: give one row per subject for marks.

    Returns
    -------
    ResultTable
        ``statistic="censored"``, one row per group and distinct time with a censoring, ascending: ``estimate`` the
        number (weight) censored at ``time``; ``n`` and ``n_events`` the number (weight) at risk just before it and
        failing at it. A group without censorings has one row, ``estimate`` 0 and no ``time``, with a ``note``.

    Raises
    ------
    AnalysisError
        As :func:`kaplan_meier`.

    Examples
    --------
    >>> frame = pd.DataFrame({"months": [6.0, 12.0, 12.0, 24.0], "flare": [1, 1, 0, 0]})
    >>> censorings(frame, duration_col="months", event_col="flare").frame[["time", "estimate"]].to_numpy().tolist()
    [[12.0, 1.0], [24.0, 1.0]]
    """
    columns = survival_columns(
        data, duration_col=duration_col, event_col=event_col, weights_col=weights_col, entry_col=entry_col
    )
    parts = []
    for level, members in grouping(data, by).members():
        rows = columns.rows(members)
        table = kernel.risk_table(rows.durations, rows.events, weights=rows.weights, entries=rows.entries)
        mass = np.ones(len(members)) if rows.weights is None else rows.weights
        leaving = sum_by(table.exit_index[~rows.events], mass[~rows.events], len(table.times))
        part = pd.DataFrame({"time": table.times, "estimate": leaving, "n": table.at_risk, "n_events": table.events})
        part = part[leaving > 0]
        if not len(part):
            part = pd.DataFrame({"estimate": [0.0], "n_events": [mass.sum()], "note": ["nobody is censored"]})
        parts.append(part.assign(group=pd.Series([level] * len(part), index=part.index, dtype="string")))
    return result_table(
        pd.concat(parts, ignore_index=True),
        metadata=request(
            duration_col=duration_col, event_col=event_col, by=by, weights_col=weights_col, entry_col=entry_col
        ),
        analysis="survival",
        statistic="censored",
        method="count" if weights_col is None else "sum of weights",
    )


def at_risk_and_failed(rows: SurvivalColumns, times: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Sum who is at risk just before each time, and who has failed up to it; shapes ``(w,)``, weighted."""
    mass = np.ones(len(rows.durations)) if rows.weights is None else rows.weights
    at_risk = _total_from(rows.durations, mass, times)
    if rows.entries is not None:
        late = rows.entries > 0
        at_risk = at_risk - _total_from(rows.entries[late], mass[late], times)
    return at_risk, _total_up_to(rows.durations[rows.events], mass[rows.events], times)


def _total_from(values: FloatArray, mass: FloatArray, times: FloatArray) -> FloatArray:
    """Sum the mass of the values at or after each time."""
    order = np.argsort(values, kind="stable")
    remaining = np.concatenate([np.cumsum(mass[order][::-1])[::-1], [0.0]])
    return np.asarray(remaining[np.searchsorted(values[order], times, side="left")])


def _total_up_to(values: FloatArray, mass: FloatArray, times: FloatArray) -> FloatArray:
    """Sum the mass of the values at or before each time."""
    order = np.argsort(values, kind="stable")
    running = np.concatenate([[0.0], np.cumsum(mass[order])])
    return np.asarray(running[np.searchsorted(values[order], times, side="right")])
