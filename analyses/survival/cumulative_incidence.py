"""Cumulative incidence of competing events."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analyses.kernels import aalen_johansen as kernel
from analyses.kernels.grouped_sums import FloatArray
from analyses.kernels.probability_interval import INTERVAL_SCALES, IntervalScale, probability_interval
from analyses.survival.inputs import SurvivalColumns, check_choice, check_conf_level, grouping, survival_columns
from cohort.errors import AnalysisError
from cohort.results import ResultTable, result_table

NO_EVENT_YET = "no event of this cause yet: the interval does not exist on this scale"
CERTAIN = "everyone has failed from this cause: no interval"


def cumulative_incidence(
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
    weights_col
        Positive weights, for instance inverse probabilities of treatment. They are not numbers of patients: each row
        is one unit of the variance, which does not depend on their scale.
    entry_col
        Time of entry into observation (left truncation). A row is at risk at ``t`` when entry < t <= duration.
    conf_type
        Scale of the interval: ``plain``, ``log``, ``log-log``, ``logit`` or ``arcsine`` of the incidence itself.
    conf_level
        Coverage of the pointwise interval.

    Returns
    -------
    ResultTable
        ``statistic="cumulative_incidence"``, one row per group, cause and distinct time, starting with time 0
        (``estimate`` 0 unless someone failed at 0), ascending in that order. ``term`` is the cause code as text;
        ``estimate`` the incidence up to and including ``time``; ``std_error`` its infinitesimal-jackknife standard
        error; ``conf_low, conf_high, conf_level``; ``n`` the number (weight) at risk just before ``time`` and
        ``n_events`` that of failures from this cause at it; ``note`` where the interval does not exist. Every cause
        that occurs anywhere in the data has rows in every group, with incidence 0 where it does not occur. The frame
        is laid out when it is first read.

    Raises
    ------
    AnalysisError
        For the columns as in :func:`analyses.survival.inputs.survival_columns`; when no row has an event, since the
        causes are then unknown.

    Notes
    -----
    Times tie only when exactly equal. All failures at one time share the risk set just before it, whatever their
    causes, and precede censorings at that time; the order and the index of the rows do not matter. The standard error
    is that of R's ``survfit``; ``cmprsk::cuminc`` has another variance, which differs from it by up to a few parts in
    a thousand.

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
    check_choice(conf_type, INTERVAL_SCALES, where="conf_type")
    check_conf_level(conf_level)
    curves = incidence_curves(
        data,
        duration_col=duration_col,
        event_col=event_col,
        by=by,
        weights_col=weights_col,
        entry_col=entry_col,
    )

    def laid_out() -> pd.DataFrame:
        parts = [
            _cause_rows(curve, place, cause, conf_type, conf_level)
            for curve in curves.groups
            for place, cause in enumerate(curves.causes)
        ]
        return result_table(
            {name: np.concatenate([part[name] for part in parts]) for name in parts[0]},
            analysis="survival",
            statistic="cumulative_incidence",
            conf_level=conf_level,
            method=method_name(conf_type),
        ).frame

    return ResultTable(laid_out, {"spec": {**curves.spec, "conf_type": conf_type}})


@dataclass(frozen=True, slots=True, eq=False)
class IncidenceCurve:
    """One group: its level as text (None without groups), its rows, and the curves of every cause."""

    level: str | None
    rows: SurvivalColumns
    estimate: kernel.CumulativeIncidence


@dataclass(frozen=True, slots=True, eq=False)
class IncidenceCurves:
    """Curves of every group, for the causes that occur anywhere in the data, their codes as text."""

    causes: tuple[str, ...]
    groups: tuple[IncidenceCurve, ...]
    spec: dict[str, object]


def incidence_curves(
    data: pd.DataFrame,
    *,
    duration_col: str,
    event_col: str,
    by: str | None,
    weights_col: str | None,
    entry_col: str | None,
) -> IncidenceCurves:
    """Estimate the curves of every group; arguments and errors as of :func:`cumulative_incidence`."""
    columns = survival_columns(
        data,
        duration_col=duration_col,
        event_col=event_col,
        weights_col=weights_col,
        entry_col=entry_col,
        competing=True,
    )
    causes, codes = np.unique(np.append(columns.causes, 0), return_inverse=True)
    if len(causes) == 1:
        raise AnalysisError(
            "no events, so the causes are unknown",
            where=f"event_col {event_col!r}",
            remedy="check the coding: 0 is censored, causes count from 1",
        )
    groups = []
    for level, members in grouping(data, by).members():
        rows = columns.rows(members)
        estimate = kernel.cumulative_incidence(
            rows.durations, codes[members], n_causes=len(causes) - 1, weights=rows.weights, entries=rows.entries
        )
        groups.append(IncidenceCurve(level, rows, estimate))
    spec: dict[str, object] = {
        "duration_col": duration_col,
        "event_col": event_col,
        "by": by,
        "weights_col": weights_col,
        "entry_col": entry_col,
    }
    return IncidenceCurves(tuple(map(str, causes[1:])), tuple(groups), spec)


def method_name(conf_type: IntervalScale) -> str:
    """Name the estimator, its variance and its interval."""
    return f"Aalen-Johansen, infinitesimal-jackknife variance, {conf_type} interval"


def _cause_rows(
    group: IncidenceCurve, place: int, cause: str, conf_type: IntervalScale, conf_level: float
) -> dict[str, NDArray[np.generic]]:
    curve = group.estimate
    columns = {
        "time": curve.times,
        "estimate": curve.incidence[:, place],
        "std_error": curve.std_error[:, place],
        "n": curve.at_risk,
        "n_events": curve.events[:, place],
    }
    if curve.times[0] > 0:
        origin = {"n": weight_at_risk(group.rows, 0.0)}
        columns = {name: np.append(origin.get(name, 0.0), values) for name, values in columns.items()}
    estimate = columns["estimate"]
    low, high = probability_interval(estimate, columns["std_error"], scale=conf_type, conf_level=conf_level)
    size = len(estimate)
    return {
        **columns,
        "conf_low": low,
        "conf_high": high,
        "note": why_no_interval(estimate, low),
        "group": np.full(size, group.level, dtype=object),
        "term": np.full(size, cause, dtype=object),
    }


def weight_at_risk(rows: SurvivalColumns, time: float) -> float:
    """Sum the weight of the rows at risk just before a time; at time 0 of those that enter at 0."""
    present = rows.durations >= time
    if rows.entries is not None:
        present &= (rows.entries < time) | (rows.entries == 0)
    return float(present.sum() if rows.weights is None else rows.weights[present].sum())


def why_no_interval(estimate: FloatArray, low: FloatArray) -> NDArray[np.object_]:
    """Say why an interval does not exist where its lower limit is missing; None elsewhere."""
    reasons = np.where(estimate > 0, CERTAIN, NO_EVENT_YET).astype(object)
    reasons[~np.isnan(low)] = None
    return reasons
