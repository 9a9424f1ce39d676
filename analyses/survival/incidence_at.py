"""Cumulative incidence at given times, and its difference between groups."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.special import ndtr

from analyses.kernels.probability_interval import (
    INTERVAL_SCALES,
    IntervalScale,
    normal_quantile,
    probability_interval,
)
from analyses.survival.cumulative_incidence import (
    IncidenceCurve,
    incidence_curves,
    method_name,
    weight_at_risk,
    why_no_interval,
)
from analyses.survival.group_contrasts import NO_ERROR, one_without_events
from analyses.survival.inputs import FloatArray, check_choice, check_conf_level
from cohort.errors import AnalysisError
from cohort.results import ResultTable, result_table

BEYOND = "beyond the last observed time of the group: nothing is extrapolated"


def cumulative_incidence_at(
    data: pd.DataFrame,
    *,
    duration_col: str,
    event_col: str,
    times: Sequence[float],
    by: str | None = None,
    weights_col: str | None = None,
    entry_col: str | None = None,
    conf_type: IntervalScale = "log-log",
    conf_level: float = 0.95,
) -> ResultTable:
    """Estimate cumulative incidence at given times, and how it differs between groups.

    Parameters
    ----------
    data, duration_col, event_col, by, weights_col, entry_col, conf_type, conf_level
        As in :func:`analyses.survival.cumulative_incidence`.
    times
        Times in the unit of the durations; the order given is kept.

    Returns
    -------
    ResultTable
        ``term`` is the cause code as text. First ``statistic="cumulative_incidence"``, one row per group, cause and
        time: ``estimate, std_error, conf_low, conf_high``; ``n`` the number (weight) at risk just before ``time``,
        ``n_events`` that of failures from the cause up to and including it. Then
        ``statistic="cumulative_incidence_difference"``, one row per cause, time and level but the first in sorted
        order, which is the reference: ``contrast`` "level v reference", ``estimate`` level minus reference,
        ``std_error`` of independent groups, a symmetric interval, ``p_value`` of the Wald test, and the two groups'
        summed ``n`` and ``n_events``. ``note`` where something is missing: a time beyond the last observed one of a
        group some of whom have not failed, an interval that does not exist, a test without a standard error.

    Raises
    ------
    AnalysisError
        As :func:`analyses.survival.cumulative_incidence`; also when there are no times or one is negative or not
        finite.

    Examples
    --------
    >>> frame = pd.DataFrame({"months": [6.0, 12, 18, 24, 6, 9], "event": [1, 2, 1, 0, 1, 1], "arm": list("aaaabb")})
    >>> rows = cumulative_incidence_at(frame, duration_col="months", event_col="event", by="arm", times=[8]).frame
    >>> rows.loc[rows["term"] == "1", ["statistic", "estimate"]].to_numpy().tolist()
    [['cumulative_incidence', 0.25], ['cumulative_incidence', 0.5], ['cumulative_incidence_difference', 0.25]]
    """
    check_choice(conf_type, INTERVAL_SCALES, where="conf_type")
    check_conf_level(conf_level)
    wanted = np.asarray(times, dtype=np.float64)
    if wanted.ndim != 1 or not len(wanted) or not np.all(np.isfinite(wanted) & (wanted >= 0)):
        raise AnalysisError(
            "times must be one or more finite numbers from 0", where="times", got=str(times), remedy="name such times"
        )
    curves = incidence_curves(
        data, duration_col=duration_col, event_col=event_col, by=by, weights_col=weights_col, entry_col=entry_col
    )
    groups, contrasts = [], []
    for curve in curves.groups:
        for place, cause in enumerate(curves.causes):
            part = _at(curve, place, wanted, conf_type, conf_level)
            part["group"] = pd.Series([curve.level] * len(part), dtype="string")
            groups.append(part.assign(term=cause))
    size = len(curves.causes)
    for place, part in enumerate(groups[size:], start=size):
        reference = groups[place % size]
        contrasts.append(_difference(part, reference, normal_quantile(conf_level)))
    return result_table(
        pd.concat([*groups, *contrasts], ignore_index=True),
        metadata={"spec": {**curves.spec, "times": wanted.tolist(), "conf_type": conf_type}},
        analysis="survival",
        conf_level=conf_level,
    )


def _at(
    curve: IncidenceCurve, place: int, times: FloatArray, conf_type: IntervalScale, conf_level: float
) -> pd.DataFrame:
    known, rows = curve.estimate, curve.rows
    index = np.searchsorted(known.times, times, side="right")
    beyond = (times > known.times[-1]) & (known.survival[-1] > 0)
    estimate = np.where(beyond, np.nan, np.concatenate([[0.0], known.incidence[:, place]])[index])
    std_error = np.where(beyond, np.nan, np.concatenate([[0.0], known.std_error[:, place]])[index])
    low, high = probability_interval(estimate, std_error, scale=conf_type, conf_level=conf_level)
    failed = np.concatenate([[0.0], np.cumsum(known.events[:, place])])[index]
    return pd.DataFrame(
        {
            "statistic": "cumulative_incidence",
            "time": times,
            "estimate": estimate,
            "std_error": std_error,
            "conf_low": low,
            "conf_high": high,
            "n": [weight_at_risk(rows, float(time)) for time in times],
            "n_events": failed,
            "note": pd.Series(np.where(beyond, BEYOND, why_no_interval(estimate, low)), dtype="string"),
            "method": method_name(conf_type),
        }
    )


def _difference(part: pd.DataFrame, reference: pd.DataFrame, quantile: float) -> pd.DataFrame:
    difference = part["estimate"] - reference["estimate"]
    error = pd.Series(np.hypot(part["std_error"].to_numpy(), reference["std_error"].to_numpy()), index=part.index)
    missing, certain = difference.isna(), error == 0
    counts = zip(part["group"], reference["group"], part["n_events"], reference["n_events"], strict=True)
    flat = [one_without_events((own, other), (events, others)) for own, other, events, others in counts]
    note = pd.Series(flat, dtype="string", index=part.index).mask(missing, BEYOND).mask(certain, NO_ERROR)
    shown = error.mask(certain)
    return pd.DataFrame(
        {
            "statistic": "cumulative_incidence_difference",
            "contrast": part["group"] + " v " + reference["group"],
            "term": part["term"],
            "time": part["time"],
            "estimate": difference,
            "std_error": error,
            "conf_low": difference - quantile * shown,
            "conf_high": difference + quantile * shown,
            "p_value": 2 * ndtr(-np.abs(difference / shown)),
            "n": part["n"] + reference["n"],
            "n_events": part["n_events"] + reference["n_events"],
            "note": note,
            "method": "Aalen-Johansen, infinitesimal-jackknife variance, Wald interval",
        }
    )
