"""Times by which given proportions have had the event, of groups and between them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from analyses.kernels.curve_readings import first_time_at_or_below
from analyses.kernels.grouped_sums import FloatArray
from analyses.kernels.probability_interval import IntervalScale
from analyses.survival.group_curves import GroupCurve, group_curves
from analyses.survival.inputs import SurvivalColumns, request
from cohort.errors import AnalysisError
from cohort.results import ResultTable, result_table

MEDIAN_NOT_REACHED = "survival does not fall to one half: the median is not reached"
MEDIAN_LIMIT_OPEN = "a confidence limit of the curve does not fall to one half: that limit is open"
QUANTILE_NOT_REACHED = "survival does not fall that far: the quantile is not reached"
QUANTILE_LIMIT_OPEN = "a confidence limit of the curve does not fall that far: that limit is open"
ACROSS_GROUPS = "clusters lie in both groups: no interval for this difference"


def survival_quantiles(
    data: pd.DataFrame,
    *,
    duration_col: str,
    event_col: str,
    probabilities: Sequence[float] = (0.25, 0.5, 0.75),
    by: str | None = None,
    weights_col: str | None = None,
    entry_col: str | None = None,
    cluster_col: str | None = None,
    conf_type: IntervalScale = "log-log",
    conf_level: float = 0.95,
) -> ResultTable:
    """Estimate the times by which given proportions have had the event, and their differences between groups.

    The quantile of probability p is the first time survival is at most 1 - p; a curve resting exactly there gives the
    midpoint of that rest. Its interval inverts the pointwise limits of the curve.

    Parameters
    ----------
    probabilities
        Strictly between 0 and 1; 0.5 is the median. The order given is kept.
    data, duration_col, event_col, by, weights_col, entry_col, cluster_col, conf_type, conf_level
        As in :func:`analyses.survival.kaplan_meier`.

    Returns
    -------
    ResultTable
        Rows ``statistic="survival_quantile"`` per group and probability, which ``term`` holds (``"0.5"``):
        ``estimate, conf_low, conf_high`` in the unit of the durations, NaN with a ``note`` where the curve or its
        limit does not fall so far; ``std_error`` is always NaN; ``n`` rows and ``n_events`` events of the group
        (weighted if there are weights). Then for each level but the first, the reference, rows
        ``survival_quantile_difference`` with ``contrast`` "level v reference" and an interval that combines the
        limits of the two groups (MOVER); there is no ``p_value``.

    Raises
    ------
    AnalysisError
        As :func:`analyses.survival.kaplan_meier`, or for a probability that is not strictly between 0 and 1.

    References
    ----------
    Brookmeyer and Crowley (1982), doi:10.2307/2530286. Zou and Donner (2008), doi:10.1002/sim.3095, for the interval
    of the difference.

    Examples
    --------
    >>> frame = pd.DataFrame({"months": [6.0, 12.0, 18.0], "flare": [1, 1, 1]})
    >>> survival_quantiles(frame, duration_col="months", event_col="flare").frame["estimate"].tolist()
    [6.0, 12.0, 18.0]
    """
    wanted = np.asarray(probabilities, dtype=np.float64)
    if wanted.ndim != 1 or not len(wanted) or not np.all((wanted > 0) & (wanted < 1)):
        raise AnalysisError(
            "probabilities must be one or more numbers between 0 and 1",
            where="probabilities",
            got=str(probabilities),
            remedy="use 0.5 for the median",
        )
    curves = group_curves(
        data, duration_col, event_col, by, weights_col, entry_col, cluster_col, conf_type=conf_type, level=conf_level
    )
    rows: list[dict[str, object]] = []
    for group in curves:
        for p in wanted:
            found = _quantile(group, float(p), QUANTILE_NOT_REACHED, QUANTILE_LIMIT_OPEN)
            rows.append({**found, "statistic": "survival_quantile", "term": f"{p:g}"})
    for group in curves[1:]:
        rows += _quantile_differences(group, curves[0], wanted)
    return result_table(
        rows,
        metadata=request(
            duration_col=duration_col,
            event_col=event_col,
            probabilities=wanted.tolist(),
            by=by,
            weights_col=weights_col,
            entry_col=entry_col,
            cluster_col=cluster_col,
            conf_type=conf_type,
        ),
        analysis="survival",
        conf_level=conf_level,
        method=f"Kaplan-Meier, inverted {conf_type} interval",
    )


def median_survival(
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
    """Estimate the median survival time of each group, with the interval that inverts the curve's pointwise limits.

    The median is the first time survival is at most one half; a curve resting exactly on one half gives the midpoint
    of that rest. Parameters are those of :func:`analyses.survival.kaplan_meier`; other quantiles and differences are
    those of :func:`analyses.survival.survival_quantiles`.

    Returns
    -------
    ResultTable
        ``statistic="median_survival"``, one row per group: ``estimate, conf_low, conf_high`` in the unit of the
        durations, NaN with a ``note`` where the curve or its limit does not fall to one half; ``std_error`` is always
        NaN; ``n`` rows and ``n_events`` events of the group (weighted if there are weights).

    Raises
    ------
    AnalysisError
        As :func:`analyses.survival.kaplan_meier`.

    References
    ----------
    Brookmeyer and Crowley (1982), doi:10.2307/2530286.

    Examples
    --------
    >>> frame = pd.DataFrame({"months": [6.0, 12.0, 18.0], "flare": [1, 1, 1]})
    >>> median_survival(frame, duration_col="months", event_col="flare").frame["estimate"].item()
    12.0
    """
    curves = group_curves(
        data, duration_col, event_col, by, weights_col, entry_col, cluster_col, conf_type=conf_type, level=conf_level
    )
    return result_table(
        [_quantile(group, 0.5, MEDIAN_NOT_REACHED, MEDIAN_LIMIT_OPEN) for group in curves],
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
        statistic="median_survival",
        conf_level=conf_level,
        method=f"Kaplan-Meier, inverted {conf_type} interval",
    )


def _quantile(group: GroupCurve, probability: float, not_reached: str, limit_open: str) -> dict[str, object]:
    estimate, low, high = _limits(group, probability)
    open_limit = limit_open if math.isnan(low) or math.isnan(high) else None
    return {
        "group": group.level,
        "estimate": estimate,
        "conf_low": low,
        "conf_high": high,
        "n": group.total,
        "n_events": float(group.curve.table.events.sum()),
        "note": not_reached if math.isnan(estimate) else open_limit,
    }


def _quantile_differences(
    group: GroupCurve, reference: GroupCurve, probabilities: FloatArray
) -> list[dict[str, object]]:
    shared = _share_clusters(group.rows, reference.rows)
    rows = []
    for p in probabilities:
        ours = _limits(group, float(p))
        theirs = _limits(reference, float(p))
        estimate = ours[0] - theirs[0]
        low = estimate - math.hypot(ours[0] - ours[1], theirs[2] - theirs[0])
        high = estimate + math.hypot(ours[2] - ours[0], theirs[0] - theirs[1])
        note = None
        if math.isnan(estimate):
            note = QUANTILE_NOT_REACHED
        elif shared:
            low, high, note = math.nan, math.nan, ACROSS_GROUPS
        elif math.isnan(low) or math.isnan(high):
            note = QUANTILE_LIMIT_OPEN
        rows.append(
            {
                "contrast": f"{group.level} v {reference.level}",
                "statistic": "survival_quantile_difference",
                "term": f"{p:g}",
                "estimate": estimate,
                "conf_low": low,
                "conf_high": high,
                "n": group.total + reference.total,
                "n_events": float(group.curve.table.events.sum() + reference.curve.table.events.sum()),
                "note": note,
            }
        )
    return rows


def _limits(group: GroupCurve, probability: float) -> tuple[float, float, float]:
    times, level = group.curve.table.times, 1.0 - probability
    return (
        first_time_at_or_below(times, group.curve.survival, level),
        first_time_at_or_below(times, group.low, level),
        first_time_at_or_below(times, group.high, level),
    )


def _share_clusters(ours: SurvivalColumns, theirs: SurvivalColumns) -> bool:
    if ours.clusters is None or theirs.clusters is None:
        return False
    return bool(np.isin(ours.clusters, theirs.clusters).any())
