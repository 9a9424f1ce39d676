"""Restricted mean survival time of each group, and differences and ratios between groups."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd

from analyses.kernels import restricted_mean as kernel
from analyses.kernels.grouped_sums import FloatArray, IntArray
from analyses.kernels.probability_interval import normal_quantile
from analyses.survival.group_contrasts import clustered_error, one_without_events, wald
from analyses.survival.inputs import (
    SurvivalColumns,
    check_conf_level,
    grouping,
    request,
    survival_columns,
    variance_name,
)
from cohort.errors import AnalysisError
from cohort.results import ResultTable, result_table


def restricted_mean(
    data: pd.DataFrame,
    *,
    duration_col: str,
    event_col: str,
    tau: float,
    by: str | None = None,
    weights_col: str | None = None,
    entry_col: str | None = None,
    cluster_col: str | None = None,
    conf_level: float = 0.95,
) -> ResultTable:
    """Estimate the mean event-free time up to ``tau``: the area under the Kaplan-Meier curve.

    Parameters
    ----------
    data, duration_col, event_col, by, weights_col, entry_col, cluster_col
        As in :func:`analyses.survival.kaplan_meier`.
    tau
        Horizon, above zero, in the unit of the durations. Every group must be observed that far: its last time is at
        least ``tau``, or its survival has reached zero. Nothing is extrapolated.
    conf_level
        Coverage of the intervals.

    Returns
    -------
    ResultTable
        ``time`` is ``tau`` on every row, ``estimate, std_error, conf_low, conf_high, conf_level`` as described here.
        One row ``statistic="restricted_mean"`` per ``group`` (``n`` rows and ``n_events`` events up to ``tau``,
        unweighted), then for each level but the first in sorted order, which is the reference, a row
        ``restricted_mean_difference`` (level minus reference) and a row ``restricted_mean_ratio`` (level over
        reference), both with ``contrast`` "level v reference", ``p_value`` of a Wald test, and the two groups'
        summed ``n`` and ``n_events``. The ratio's ``std_error`` is that of its logarithm and its interval is made on
        the log scale.

    Raises
    ------
    AnalysisError
        For the columns as in :func:`analyses.survival.inputs.survival_columns`, for a ``tau`` that is not positive,
        or beyond what a group supports.

    Notes
    -----
    Without weights and clusters the variance is Greenwood's; otherwise the infinitesimal jackknife. Groups are
    independent, unless a cluster lies in both: then its influence on both means is added up before squaring. A group
    without events has mean ``tau`` and standard error 0, with a ``note`` there and at its contrasts. If all failed at
    time 0 the mean is 0 and its ratios are NaN, with a ``note``. With delayed entry the curve is 1 until the first
    entry, which a ``note`` says.

    References
    ----------
    Royston and Parmar (2013), doi:10.1186/1471-2288-13-152.

    Examples
    --------
    >>> frame = pd.DataFrame({"months": [6.0, 12.0, 12.0], "flare": [1, 0, 0]})
    >>> restricted_mean(frame, duration_col="months", event_col="flare", tau=12).frame["estimate"].item()
    10.0
    """
    check_conf_level(conf_level)
    if not (math.isfinite(tau) and tau > 0):
        raise AnalysisError("tau must be above zero", where="tau", got=str(tau), remedy="name a horizon")
    columns = survival_columns(
        data,
        duration_col=duration_col,
        event_col=event_col,
        weights_col=weights_col,
        entry_col=entry_col,
        cluster_col=cluster_col,
    )
    quantile = normal_quantile(conf_level)
    groups = [_estimate(columns.rows(members), level, float(tau)) for level, members in grouping(data, by).members()]
    contrasts = [make(group, groups[0], quantile) for group in groups[1:] for make in (_difference_row, _ratio_row)]
    return result_table(
        [*(_group_row(group, quantile) for group in groups), *contrasts],
        metadata=request(
            duration_col=duration_col,
            event_col=event_col,
            by=by,
            tau=float(tau),
            weights_col=weights_col,
            entry_col=entry_col,
            cluster_col=cluster_col,
        ),
        analysis="survival",
        time=float(tau),
        conf_level=conf_level,
        method=f"Kaplan-Meier area, {variance_name(weights_col, cluster_col, counted='Greenwood')} variance",
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Group:
    """Area of one group; ``influence`` and ``clusters`` have one element a row where there are clusters."""

    level: str | None
    mean: float
    std_error: float
    n: float
    n_events: float
    observed_from: float
    influence: FloatArray | None
    clusters: IntArray | None

    @property
    def note(self) -> str | None:
        """Say what the number alone does not."""
        remarks = []
        if not self.n_events:
            remarks.append("no event up to tau: the standard error is zero")
        if self.observed_from > 0:
            remarks.append(f"nobody is observed before {self.observed_from:g}: taken as event-free until then")
        return "; ".join(remarks) or None


def _estimate(rows: SurvivalColumns, level: str | None, tau: float) -> _Group:
    area = kernel.restricted_mean(
        rows.durations, rows.events, horizon=tau, weights=rows.weights, entries=rows.entries, clusters=rows.clusters
    )
    if not area.supported:
        raise AnalysisError(
            "tau lies beyond the last observed time",
            where="tau" if level is None else f"tau, group {level!r}",
            got=f"tau={tau:g}, last time {rows.durations.max():g}",
            remedy="choose a tau that every group reaches",
        )
    events = float((rows.events & (rows.durations <= tau)).sum())
    start = 0.0 if rows.entries is None else float(rows.entries.min())
    return _Group(
        level, area.mean, area.std_error, float(len(rows.durations)), events, start, area.influence, rows.clusters
    )


def _group_row(group: _Group, quantile: float) -> dict[str, object]:
    return {
        "group": group.level,
        "statistic": "restricted_mean",
        "estimate": group.mean,
        "std_error": group.std_error,
        "conf_low": group.mean - quantile * group.std_error,
        "conf_high": group.mean + quantile * group.std_error,
        "n": group.n,
        "n_events": group.n_events,
        "note": group.note,
    }


def _difference_row(group: _Group, reference: _Group, quantile: float) -> dict[str, object]:
    difference = group.mean - reference.mean
    return {
        **_shared(group, reference),
        "statistic": "restricted_mean_difference",
        "estimate": difference,
        **wald(difference, _error(group, reference, 1.0, 1.0), quantile),
    }


def _ratio_row(group: _Group, reference: _Group, quantile: float) -> dict[str, object]:
    shared = {**_shared(group, reference), "statistic": "restricted_mean_ratio"}
    if group.mean == 0 or reference.mean == 0:
        return {**shared, "note": "a mean is zero: the ratio has no logarithm"}
    log_ratio = math.log(group.mean / reference.mean)
    error = _error(group, reference, group.mean, reference.mean)
    return {
        **shared,
        **wald(log_ratio, error, quantile),
        "estimate": group.mean / reference.mean,
        "conf_low": math.exp(log_ratio - quantile * error),
        "conf_high": math.exp(log_ratio + quantile * error),
    }


def _error(group: _Group, reference: _Group, scale: float, reference_scale: float) -> float:
    """Return the standard error of the difference of two means, each divided by its scale."""
    if group.clusters is None or reference.clusters is None or group.influence is None or reference.influence is None:
        return math.hypot(group.std_error / scale, reference.std_error / reference_scale)
    influence = (group.influence / scale, reference.influence / reference_scale)
    return clustered_error(influence, (group.clusters, reference.clusters))


def _shared(group: _Group, reference: _Group) -> dict[str, object]:
    return {
        "contrast": f"{group.level} v {reference.level}",
        "n": group.n + reference.n,
        "n_events": group.n_events + reference.n_events,
        "note": one_without_events((group.level, reference.level), (group.n_events, reference.n_events)),
    }
