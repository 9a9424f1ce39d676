"""Nelson-Aalen cumulative hazards."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import pandas as pd

from analyses.kernels import nelson_aalen as kernel
from analyses.kernels.grouped_sums import FloatArray
from analyses.kernels.probability_interval import normal_quantile
from analyses.survival.inputs import (
    check_choice,
    check_conf_level,
    grouping,
    request,
    survival_columns,
    variance_name,
)
from analyses.survival.kaplan_meier import NO_EVENT_YET
from cohort.results import ResultTable, result_table

HazardScale = Literal["plain", "log"]


def nelson_aalen(
    data: pd.DataFrame,
    *,
    duration_col: str,
    event_col: str,
    by: str | None = None,
    weights_col: str | None = None,
    entry_col: str | None = None,
    cluster_col: str | None = None,
    conf_type: HazardScale = "log",
    conf_level: float = 0.95,
) -> ResultTable:
    """Estimate the cumulative hazard as the running sum of events over those at risk.

    Parameters
    ----------
    data, duration_col, event_col, by, weights_col, entry_col, cluster_col, conf_level
        As in :func:`analyses.survival.kaplan_meier`.
    conf_type
        Scale of the interval: ``plain`` (never below zero) or ``log``.

    Returns
    -------
    ResultTable
        ``statistic="cumulative_hazard"``, one row per group and distinct observed time, of events and of censorings,
        ascending: ``estimate`` up to and including ``time``, ``std_error, conf_low, conf_high, conf_level``; ``n``
        weight at risk just before ``time`` and ``n_events`` weight failing at it (numbers of rows without weights);
        ``note`` before the first event on the log scale, where no interval exists.

    Raises
    ------
    AnalysisError
        See :func:`analyses.survival.inputs.survival_columns`; also for an unknown ``conf_type``.

    Notes
    -----
    Times tie only when exactly equal; tied events share the risk set just before them. The variance is the sum of
    d / n^2 (Aalen's); with weights or clusters the infinitesimal jackknife. A group without events stays at 0.

    References
    ----------
    Aalen (1978), doi:10.1214/aos/1176344247.

    Examples
    --------
    >>> frame = pd.DataFrame({"months": [6.0, 12.0, 12.0, 24.0], "flare": [1, 1, 0, 0]})
    >>> nelson_aalen(frame, duration_col="months", event_col="flare").frame["estimate"].round(4).tolist()
    [0.25, 0.5833, 0.5833]
    """
    check_choice(conf_type, get_args(HazardScale), where="conf_type")
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
        curve = kernel.nelson_aalen(
            rows.durations, rows.events, weights=rows.weights, entries=rows.entries, clusters=rows.clusters
        )
        low, high = _interval(curve.hazard, curve.std_error, conf_type, conf_level)
        part = pd.DataFrame(
            {
                "time": curve.table.times,
                "estimate": curve.hazard,
                "std_error": curve.std_error,
                "conf_low": low,
                "conf_high": high,
                "n": curve.table.at_risk,
                "n_events": curve.table.events,
                "note": pd.Series(NO_EVENT_YET, index=range(len(low)), dtype="string").where(np.isnan(low)),
            }
        )
        parts.append(part.assign(group=pd.Series([level] * len(part), dtype="string")))
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
        statistic="cumulative_hazard",
        conf_level=conf_level,
        method=f"Nelson-Aalen, {variance_name(weights_col, cluster_col, counted='Aalen')} variance, "
        f"{conf_type} interval",
    )


def _interval(
    hazard: FloatArray, std_error: FloatArray, scale: HazardScale, conf_level: float
) -> tuple[FloatArray, FloatArray]:
    half = normal_quantile(conf_level) * std_error
    if scale == "plain":
        return np.maximum(hazard - half, 0.0), hazard + half
    begun = np.where(hazard > 0, hazard, np.nan)
    return begun * np.exp(-half / begun), begun * np.exp(half / begun)
