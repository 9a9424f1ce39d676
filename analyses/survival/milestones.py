"""Survival at given times, of groups and between them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analyses.kernels import kaplan_meier as kernel
from analyses.kernels.curve_readings import values_at
from analyses.kernels.grouped_sums import FloatArray
from analyses.kernels.probability_interval import IntervalScale, normal_quantile, probability_interval
from analyses.survival.group_contrasts import clustered_error, one_without_events, wald
from analyses.survival.group_curves import GroupCurve, group_curves
from analyses.survival.inputs import check_times, request, variance_name
from analyses.survival.kaplan_meier import NO_EVENT_YET, REACHED_ZERO, at_risk_and_failed
from cohort.results import ResultTable, result_table


def survival_at(
    data: pd.DataFrame,
    *,
    duration_col: str,
    event_col: str,
    times: Sequence[float],
    by: str | None = None,
    weights_col: str | None = None,
    entry_col: str | None = None,
    cluster_col: str | None = None,
    conf_type: IntervalScale = "log-log",
    conf_level: float = 0.95,
) -> ResultTable:
    """Estimate survival at given times (milestones) and its differences between groups.

    Parameters
    ----------
    times
        In the unit of the durations; the order given is kept.
    data, duration_col, event_col, by, weights_col, entry_col, cluster_col, conf_type, conf_level
        As in :func:`analyses.survival.kaplan_meier`.

    Returns
    -------
    ResultTable
        Rows ``statistic="survival"`` per group and time: ``estimate, std_error, conf_low, conf_high`` of the curve at
        ``time``, ``n`` weight at risk just before ``time`` and ``n_events`` weight failing up to and including it
        (numbers of rows without weights). Then for each level but the first in sorted order, which is the reference,
        a row ``survival_difference`` per time, ``contrast`` "level v reference", with a Wald interval and
        ``p_value``. After the last time of a group that is still above zero its survival is unknown: a row without
        estimate, with a ``note``. A ``note`` also says where an interval does not exist.

    Raises
    ------
    AnalysisError
        As :func:`analyses.survival.kaplan_meier`; also when there are no times or one is negative or not finite.

    Notes
    -----
    Groups are independent, unless a cluster lies in both: then the variance of their difference is that of the summed
    influence of each cluster.

    References
    ----------
    Klein and others (2007), doi:10.1002/sim.2864, on comparing curves at a fixed time.

    Examples
    --------
    >>> frame = pd.DataFrame({"months": [6.0, 12.0, 12.0, 24.0], "flare": [1, 1, 0, 0]})
    >>> survival_at(frame, duration_col="months", event_col="flare", times=[7, 12]).frame["estimate"].tolist()
    [0.75, 0.5]
    """
    wanted = check_times(times)
    curves = group_curves(
        data, duration_col, event_col, by, weights_col, entry_col, cluster_col, conf_type=conf_type, level=conf_level
    )
    quantile = normal_quantile(conf_level)
    points = [_points(group, wanted) for group in curves]
    contrasts = [_difference(points[0], other, place, quantile) for other in points[1:] for place in range(len(wanted))]
    rows = [row for group in points for row in group.table_rows(conf_type, conf_level)]
    return result_table(
        [*rows, *contrasts],
        metadata=request(
            duration_col=duration_col,
            event_col=event_col,
            times=wanted.tolist(),
            by=by,
            weights_col=weights_col,
            entry_col=entry_col,
            cluster_col=cluster_col,
            conf_type=conf_type,
        ),
        analysis="survival",
        conf_level=conf_level,
        method=f"Kaplan-Meier, {variance_name(weights_col, cluster_col, counted='Greenwood')} variance, "
        f"{conf_type} interval, Wald interval of differences",
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Points:
    """One group's curve at the wanted times, shape ``(w,)``; NaN where it is unknown."""

    group: GroupCurve
    times: FloatArray
    survival: FloatArray
    std_error: FloatArray
    at_risk: FloatArray
    failed: FloatArray

    def table_rows(self, conf_type: IntervalScale, conf_level: float) -> list[dict[str, object]]:
        low, high = probability_interval(self.survival, self.std_error, scale=conf_type, conf_level=conf_level)
        return [
            {
                "group": self.group.level,
                "statistic": "survival",
                "time": self.times[k],
                "estimate": self.survival[k],
                "std_error": self.std_error[k],
                "conf_low": low[k],
                "conf_high": high[k],
                "n": self.at_risk[k],
                "n_events": self.failed[k],
                "note": self.lacking(k) or (NO_EVENT_YET if np.isnan(low[k]) else None),
            }
            for k in range(len(self.times))
        ]

    def lacking(self, place: int) -> str | None:
        """Say why the curve has no value, or no standard error, at a time; None where it has."""
        if np.isnan(self.survival[place]):
            last = self.group.curve.table.times[-1]
            return f"beyond the last observed time {last:g}: survival is unknown there"
        return REACHED_ZERO if self.survival[place] == 0 else None

    def influence(self, place: int) -> FloatArray:
        """Return the weighted influence of each row on survival at a time, shape ``(n,)``."""
        rows = self.group.rows
        own = kernel.log_survival_influence(self.group.curve.table, rows.events, self.times[place])
        return np.asarray(self.survival[place] * own * (1.0 if rows.weights is None else rows.weights))


def _points(group: GroupCurve, wanted: FloatArray) -> _Points:
    curve, times = group.curve, group.curve.table.times
    unknown = (wanted > times[-1]) & (curve.survival[-1] > 0)
    survival = values_at(times, curve.survival, wanted, start=1.0)
    std_error = values_at(times, curve.std_error, wanted, start=0.0)
    at_risk, failed = at_risk_and_failed(group.rows, wanted)
    return _Points(
        group, wanted, np.where(unknown, np.nan, survival), np.where(unknown, np.nan, std_error), at_risk, failed
    )


def _difference(reference: _Points, other: _Points, place: int, quantile: float) -> dict[str, object]:
    estimate = float(other.survival[place] - reference.survival[place])
    clusters = (other.group.rows.clusters, reference.group.rows.clusters)
    levels = other.group.level, reference.group.level
    lacking = other.lacking(place) or reference.lacking(place)
    if lacking or clusters[0] is None or clusters[1] is None:
        error = math.hypot(other.std_error[place], reference.std_error[place])
    else:
        error = clustered_error((other.influence(place), reference.influence(place)), (clusters[0], clusters[1]))
    return {
        "contrast": f"{levels[0]} v {levels[1]}",
        "statistic": "survival_difference",
        "time": other.times[place],
        "estimate": estimate,
        "n": other.at_risk[place] + reference.at_risk[place],
        "n_events": other.failed[place] + reference.failed[place],
        "note": lacking or one_without_events(levels, (other.failed[place], reference.failed[place])),
        **({} if lacking else wald(estimate, error, quantile)),
    }
