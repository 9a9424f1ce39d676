"""Risk difference, risk ratio and odds ratio of two arms from their proportions and influences on them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import ndtr

from analyses.columns import BoolArray, FloatArray, visit_months
from analyses.comparison.linearised import standard_error
from analyses.kernels.proportions import logit_interval, normal_quantile


@dataclass(frozen=True, slots=True, eq=False)
class ArmProportion:
    """The proportion estimated for an arm.

    Parameters
    ----------
    name
        Of the arm.
    estimate
        NaN where there is none.
    influence
        Shape (patients,); the variance is its sum of squares. None where there is no variance.
    patients, events
        Counted, unweighted.
    note
        Why there is no estimate or no variance, else empty.
    """

    name: str
    estimate: float
    influence: FloatArray | None
    patients: int
    events: int
    note: str = ""


def flat_note(name: str, events: int) -> str:
    """Say that an arm has no event, or only events."""
    return f"{'no event' if events == 0 else 'only events'} in {name}: no spread to estimate a variance from"


def visits_of(data: pd.DataFrame, time_col: str | None, *, where: str) -> Iterator[tuple[dict[str, object], BoolArray]]:
    """Yield the result columns of each visit and its rows; all rows at once without ``time_col``."""
    if time_col is None:
        yield {}, np.ones(len(data), dtype=np.bool_)
        return
    time = visit_months(data, time_col, where=where)
    for month in np.unique(time):
        yield {"time": float(month), "time_unit": "month"}, np.asarray(time == month)


def proportion_rows(
    treated: ArmProportion, reference: ArmProportion, *, conf_level: float, remark: str = ""
) -> Iterator[dict[str, object]]:
    """Yield five result rows: the proportion of each arm, risk difference, risk ratio and odds ratio.

    Parameters
    ----------
    treated, reference
        With influences of the same patients in the same order.
    conf_level
        Of the intervals: on the logit scale for proportions, plain for the difference, on the log scale for ratios,
        whose ``std_error`` is that of the logarithm.
    remark
        Ends the note of every row.
    """
    rows = [_arm_row(arm, conf_level) for arm in (treated, reference)]
    rows += [_contrast_row(treated, reference, statistic, conf_level) for statistic in _SCALES]
    for row in rows:
        words = [str(text) for text in (row.get("note"), remark) if text]
        yield row | {"note": "; ".join(words) or None}


def _arm_row(arm: ArmProportion, conf_level: float) -> dict[str, object]:
    row: dict[str, object] = {
        "group": arm.name,
        "statistic": "proportion",
        "estimate": arm.estimate,
        "n": arm.patients,
        "n_events": arm.events,
        "note": arm.note,
    }
    if arm.influence is None:
        return row
    std_error = standard_error(arm.influence)
    row["std_error"] = std_error
    if not 0 < arm.estimate < 1:
        return row | {"note": "not between 0 and 1: no interval on the logit scale; the models do not fit the data"}
    interval = logit_interval(arm.estimate, std_error, conf_level=conf_level)
    return row | {"conf_low": float(interval.low), "conf_high": float(interval.high)}


def _plain(p: float) -> tuple[float, float]:
    return p, 1.0


def _log(p: float) -> tuple[float, float]:
    return math.log(p), 1 / p


def _log_odds(p: float) -> tuple[float, float]:
    return math.log(p / (1 - p)), 1 / (p * (1 - p))


_SCALES = {"risk_difference": _plain, "risk_ratio": _log, "odds_ratio": _log_odds}


def _contrast_row(one: ArmProportion, zero: ArmProportion, statistic: str, conf_level: float) -> dict[str, object]:
    row: dict[str, object] = {
        "contrast": f"{one.name} v {zero.name}",
        "statistic": statistic,
        "n": one.patients + zero.patients,
        "n_events": one.events + zero.events,
    }
    if math.isnan(one.estimate) or math.isnan(zero.estimate):
        absent = not (one.patients and zero.patients)
        words = "an arm has no patient with weight at this time" if absent else _notes(one, zero)
        return row | {"note": words}
    if one.influence is None or zero.influence is None:
        return row | {"estimate": _bare(one.estimate, zero.estimate, statistic), "note": _notes(one, zero)}
    is_ratio = statistic != "risk_difference"
    if is_ratio and not (0 < one.estimate < 1 and 0 < zero.estimate < 1):
        return row | {"note": "a proportion is not between 0 and 1: the ratio has no logarithm"}
    scale = _SCALES[statistic]
    (value_one, slope_one), (value_zero, slope_zero) = scale(one.estimate), scale(zero.estimate)
    value = value_one - value_zero
    std_error = standard_error(slope_one * one.influence - slope_zero * zero.influence)
    half = normal_quantile(conf_level) * std_error
    shown = math.exp if is_ratio else float
    row |= {
        "estimate": shown(value),
        "std_error": std_error,
        "conf_low": shown(value - half),
        "conf_high": shown(value + half),
    }
    return row | ({"p_value": float(2 * ndtr(-abs(value) / std_error))} if std_error > 0 else {"note": "no spread"})


def _bare(one: float, zero: float, statistic: str) -> float:
    """Return an estimate without variance: 0 where the treated have no event, NaN where it does not exist."""
    if statistic == "risk_difference":
        return one - zero
    above, below = (one, zero) if statistic == "risk_ratio" else (one * (1 - zero), zero * (1 - one))
    return above / below if below > 0 else math.nan


def _notes(one: ArmProportion, zero: ArmProportion) -> str:
    return "; ".join(dict.fromkeys(arm.note for arm in (one, zero) if arm.note))
