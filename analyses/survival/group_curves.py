"""The Kaplan-Meier curve of each group of a request, for what is read off curves."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from analyses.kernels import kaplan_meier as kernel
from analyses.kernels.grouped_sums import FloatArray
from analyses.kernels.probability_interval import INTERVAL_SCALES, IntervalScale, probability_interval
from analyses.survival.inputs import (
    SurvivalColumns,
    check_choice,
    check_conf_level,
    grouping,
    survival_columns,
)


@dataclass(frozen=True, slots=True, eq=False)
class GroupCurve:
    """The curve of one group with its pointwise limits."""

    level: str | None
    rows: SurvivalColumns
    curve: kernel.SurvivalCurve
    low: FloatArray
    high: FloatArray

    @property
    def total(self) -> float:
        """Rows, or their weight."""
        return float(len(self.rows.durations) if self.rows.weights is None else self.rows.weights.sum())


def group_curves(
    data: pd.DataFrame,
    duration_col: str,
    event_col: str,
    by: str | None,
    weights_col: str | None,
    entry_col: str | None,
    cluster_col: str | None,
    *,
    conf_type: IntervalScale,
    level: float,
) -> list[GroupCurve]:
    """Estimate the curve of each group with its pointwise limits, after checking the request."""
    check_choice(conf_type, INTERVAL_SCALES, where="conf_type")
    check_conf_level(level)
    columns = survival_columns(
        data,
        duration_col=duration_col,
        event_col=event_col,
        weights_col=weights_col,
        entry_col=entry_col,
        cluster_col=cluster_col,
    )
    curves = []
    for name, members in grouping(data, by).members():
        rows = columns.rows(members)
        curve = kernel.kaplan_meier(
            rows.durations, rows.events, weights=rows.weights, entries=rows.entries, clusters=rows.clusters
        )
        low, high = probability_interval(curve.survival, curve.std_error, scale=conf_type, conf_level=level)
        curves.append(GroupCurve(name, rows, curve, low, high))
    return curves
