"""Proportions and their differences when some responses are imputed or weighted, on one kind of interval."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from analyses.columns import BoolArray, FloatArray
from analyses.comparison.weighted import hajek_mean
from analyses.imputation import pool_imputations
from analyses.kernels.proportions import wilson_interval

NO_TEST = "no spread in either arm: no test"


@dataclass(frozen=True, slots=True, eq=False)
class ResponseRate:
    """A proportion, its standard error and what its interval is made of.

    Attributes
    ----------
    estimate, std_error
        NaN where nothing can be estimated.
    effective
        Number of patients that would give this variance without missing data; the interval is Wilson's of that many.
    conf_level
        Level whose normal quantile is the interval's critical value.
    n, events
        Patients and responders, for the result.
    note
        Remarks.
    draws
        Proportion in each imputation, which the arms share; None without imputation.
    """

    estimate: float
    std_error: float
    effective: float
    conf_level: float
    n: float
    events: float
    note: str
    draws: FloatArray | None = None


def no_rate(note: str) -> ResponseRate:
    """Return a rate that cannot be estimated, with the reason."""
    return ResponseRate(np.nan, np.nan, np.nan, np.nan, 0, np.nan, note)


def plain_rate(event: BoolArray, note: str, conf_level: float) -> ResponseRate:
    """Return the share of patients with the event, ``event`` of shape (patients,)."""
    n, events = len(event), int(event.sum())
    estimate = events / n
    return ResponseRate(estimate, float(np.sqrt(estimate * (1 - estimate) / n)), n, conf_level, n, events, note)


def weighted_rate(event: BoolArray, weights: FloatArray, note: str, conf_level: float) -> ResponseRate:
    """Return the weighted share; ``event`` and ``weights`` of shape (patients,), weight 0 where it is not known.

    The effective number is that with the same binomial variance; where the event has no spread, Kish's
    ``sum(w)**2 / sum(w**2)``.
    """
    counted = weights > 0
    mean = hajek_mean(event.astype(np.float64), weights)
    variance = float(np.sum(mean.influence**2))
    spread = mean.estimate * (1 - mean.estimate)
    size = float(weights.sum() ** 2 / np.sum(weights**2))
    if 0 < int(event[counted].sum()) < int(counted.sum()):
        size = spread / variance
    own = weights[counted] / weights[counted].mean()
    remark = f"effective number {size:.1f}, largest weight {own.max():.2f} times the mean" if note else ""
    events = float(event[counted].sum())
    return ResponseRate(
        mean.estimate, float(np.sqrt(variance)), size, conf_level, float(counted.sum()), events, _joined(note, remark)
    )


def pooled_rate(event: BoolArray, note: str, conf_level: float) -> ResponseRate:
    """Return the share pooled over imputations, ``event`` of shape (imputations, patients)."""
    draws = event.mean(axis=1)
    n = event.shape[1]
    pooled = pool_imputations(draws, draws * (1 - draws) / n, complete_degrees_of_freedom=max(n - 1, 1))
    estimate = float(pooled.estimate)
    size, level = float(n), conf_level
    if pooled.between > 0:
        size = float(estimate * (1 - estimate) / pooled.std_error**2)
        level = float(2 * ndtr(pooled.critical_value(conf_level)) - 1)
    remark = _imputation_remark(pooled.imputations, float(pooled.degrees_of_freedom), float(pooled.missing_information))
    return ResponseRate(
        estimate, float(pooled.std_error), size, level, n, estimate * n, _joined(note, remark if note else ""), draws
    )


def _imputation_remark(imputations: int, freedom: float, missing: float) -> str:
    return f"{imputations} imputations; df={freedom:.1f}; fraction of missing information {missing:.3f}"


def _joined(*parts: str) -> str:
    return "; ".join(dict.fromkeys(part for part in parts if part))


def rate_rows(rates: dict[str, ResponseRate], reference: str | None) -> Iterator[dict[str, object]]:
    """Yield the result rows of the arms' rates at one visit, then of their differences from the reference."""
    for arm, rate in rates.items():
        low, high = _limits(rate)
        yield {
            "group": arm,
            "statistic": "proportion",
            "estimate": rate.estimate,
            "std_error": rate.std_error,
            "conf_low": low,
            "conf_high": high,
            "n": rate.n,
            "n_events": rate.events,
            "note": rate.note or None,
        }
    if reference is not None:
        for arm, rate in rates.items():
            if arm != reference:
                yield {
                    "contrast": f"{arm} v {reference}",
                    "statistic": "risk_difference",
                    **_difference(arm, rate, reference, rates[reference]),
                }


def _limits(rate: ResponseRate) -> tuple[float, float]:
    if not np.isfinite(rate.estimate):
        return np.nan, np.nan
    interval = wilson_interval(rate.estimate * rate.effective, rate.effective, conf_level=rate.conf_level)
    return float(interval.low), float(interval.high)


def _difference(arm: str, one: ResponseRate, reference: str, two: ResponseRate) -> dict[str, object]:
    """Difference with Newcombe's interval, which takes what the arms share by imputation into account."""
    estimate = one.estimate - two.estimate
    (low_1, high_1), (low_2, high_2) = _limits(one), _limits(two)
    shared, p_value, remark = 0.0, np.nan, ""
    error = float(np.hypot(one.std_error, two.std_error))
    if one.draws is not None and two.draws is not None:
        within = one.draws * (1 - one.draws) / one.n + two.draws * (1 - two.draws) / two.n
        pooled = pool_imputations(one.draws - two.draws, within, complete_degrees_of_freedom=max(one.n + two.n - 2, 1))
        product = one.std_error * two.std_error
        covariance = 0.5 * (one.std_error**2 + two.std_error**2 - float(pooled.std_error) ** 2)
        shared = float(np.clip(covariance / product, -1, 1)) if product > 0 else 0.0
        error = float(pooled.std_error)
        p_value = float(pooled.p_value()) if pooled.between > 0 else np.nan
        if one.note or two.note:
            remark = _imputation_remark(
                pooled.imputations, float(pooled.degrees_of_freedom), float(pooled.missing_information)
            )
    if not np.isfinite(p_value) and error > 0:
        p_value = float(2 * ndtr(-abs(estimate) / error))
    if error == 0:
        remark = _joined(NO_TEST, remark)
    notes = (f"{name}: {rate.note}" if rate.note else "" for name, rate in ((arm, one), (reference, two)))
    return {
        "estimate": estimate,
        "std_error": error,
        "conf_low": estimate - _combined(one.estimate - low_1, high_2 - two.estimate, shared),
        "conf_high": estimate + _combined(high_1 - one.estimate, two.estimate - low_2, shared),
        "p_value": p_value,
        "n": one.n + two.n,
        "n_events": one.events + two.events,
        "note": _joined(remark, *notes) or None,
    }


def _combined(one: float, two: float, correlation: float) -> float:
    return float(np.sqrt(max(one**2 - 2 * correlation * one * two + two**2, 0.0)))
