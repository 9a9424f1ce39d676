"""Kaplan-Meier curves, their medians and the numbers at risk beneath them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from analyses.kernels import kaplan_meier as kernel
from analyses.kernels.grouped_sums import FloatArray
from analyses.kernels.probability_interval import INTERVAL_SCALES, IntervalScale, probability_interval
from analyses.survival.inputs import check_choice, check_conf_level, grouping, survival_columns
from cohort.errors import AnalysisError
from cohort.results import ResultTable, result_table

NO_EVENT_YET = "no event yet: the interval does not exist on this scale"
REACHED_ZERO = "survival has reached zero: no standard error or interval"
MEDIAN_NOT_REACHED = "survival does not fall to one half: the median is not reached"
LIMIT_NOT_REACHED = "a confidence limit of the curve does not fall to one half: that limit is open"


def kaplan_meier(
    data: pd.DataFrame,
    *,
    duration_col: str,
    event_col: str,
    by: str | None = None,
    weights_col: str | None = None,
    entry_col: str | None = None,
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
        data, duration_col=duration_col, event_col=event_col, weights_col=weights_col, entry_col=entry_col
    )
    parts = []
    for level, members in grouping(data, by).members():
        rows = columns.rows(members)
        curve = kernel.kaplan_meier(rows.durations, rows.events, weights=rows.weights, entries=rows.entries)
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
    return result_table(
        pd.concat(parts, ignore_index=True),
        metadata={"spec": _spec(duration_col, event_col, by, weights_col, entry_col, conf_type=conf_type)},
        analysis="survival",
        statistic="survival",
        conf_level=conf_level,
        method=f"Kaplan-Meier, {_variance_name(weights_col)} variance, {conf_type} interval",
    )


def median_survival(
    data: pd.DataFrame,
    *,
    duration_col: str,
    event_col: str,
    by: str | None = None,
    weights_col: str | None = None,
    entry_col: str | None = None,
    conf_type: IntervalScale = "log-log",
    conf_level: float = 0.95,
) -> ResultTable:
    """Estimate the median survival time of each group, with the interval that inverts the curve's pointwise limits.

    The median is the first time survival is at most one half; a curve resting exactly on one half gives the midpoint
    of that rest. Parameters are those of :func:`kaplan_meier`.

    Returns
    -------
    ResultTable
        ``statistic="median_survival"``, one row per group: ``estimate, conf_low, conf_high`` in the unit of the
        durations, NaN with a ``note`` where the curve or its limit does not fall to one half; ``std_error`` is always
        NaN; ``n`` rows and ``n_events`` events of the group (weighted if there are weights).

    Raises
    ------
    AnalysisError
        As :func:`kaplan_meier`.

    References
    ----------
    Brookmeyer and Crowley (1982), doi:10.2307/2530286.

    Examples
    --------
    >>> frame = pd.DataFrame({"months": [6.0, 12.0, 18.0], "flare": [1, 1, 1]})
    >>> median_survival(frame, duration_col="months", event_col="flare").frame["estimate"].item()
    12.0
    """
    curves = kaplan_meier(
        data,
        duration_col=duration_col,
        event_col=event_col,
        by=by,
        weights_col=weights_col,
        entry_col=entry_col,
        conf_type=conf_type,
        conf_level=conf_level,
    )
    groups = grouping(data, by)
    rows = []
    for level, members in groups.members():
        curve = curves.frame if level is None else curves.frame[curves.frame["group"] == level]
        total = float(len(members) if weights_col is None else data[weights_col].to_numpy()[members].sum())
        rows.append({"group": level, "n": total, "n_events": curve["n_events"].sum(), **_median_of(curve)})
    return result_table(
        rows,
        metadata=curves.metadata,
        analysis="survival",
        statistic="median_survival",
        conf_level=conf_level,
        method=f"Kaplan-Meier, inverted {conf_type} interval",
    )


def _median_of(curve: pd.DataFrame) -> dict[str, object]:
    times = curve["time"].to_numpy()
    median, low, high = (
        kernel.first_time_below_half(times, curve[name].to_numpy()) for name in ("estimate", "conf_low", "conf_high")
    )
    open_limit = LIMIT_NOT_REACHED if np.isnan([low, high]).any() else None
    note = MEDIAN_NOT_REACHED if np.isnan(median) else open_limit
    return {"estimate": median, "conf_low": low, "conf_high": high, "note": note}


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
    wanted = np.asarray(times, dtype=np.float64)
    if wanted.ndim != 1 or not len(wanted) or not np.all(np.isfinite(wanted) & (wanted >= 0)):
        raise AnalysisError(
            "times must be one or more finite numbers from 0", where="times", got=str(times), remedy="name such times"
        )
    columns = survival_columns(
        data, duration_col=duration_col, event_col=event_col, weights_col=weights_col, entry_col=entry_col
    )
    parts = []
    for level, members in grouping(data, by).members():
        rows = columns.rows(members)
        mass = np.ones(len(members)) if rows.weights is None else rows.weights
        at_risk = _total_from(rows.durations, mass, wanted)
        if rows.entries is not None:
            late = rows.entries > 0
            at_risk = at_risk - _total_from(rows.entries[late], mass[late], wanted)
        failed = _total_up_to(rows.durations[rows.events], mass[rows.events], wanted)
        part = pd.DataFrame({"time": wanted, "estimate": at_risk, "n": at_risk, "n_events": failed})
        parts.append(part.assign(group=pd.Series([level] * len(part), dtype="string")))
    return result_table(
        pd.concat(parts, ignore_index=True),
        metadata={"spec": _spec(duration_col, event_col, by, weights_col, entry_col)},
        analysis="survival",
        statistic="at_risk",
        method="count" if weights_col is None else "sum of weights",
    )


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


def _variance_name(weights_col: str | None) -> str:
    return "Greenwood" if weights_col is None else "infinitesimal-jackknife"


def _spec(
    duration_col: str, event_col: str, by: str | None, weights_col: str | None, entry_col: str | None, **more: str
) -> dict[str, str | None]:
    return {
        "duration_col": duration_col,
        "event_col": event_col,
        "by": by,
        "weights_col": weights_col,
        "entry_col": entry_col,
        **more,
    }
