"""Confidence intervals of a probability that comes with a standard error, on a chosen scale."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

FloatArray = NDArray[np.float64]
IntervalScale = Literal["plain", "log", "log-log", "logit", "arcsine"]
INTERVAL_SCALES: tuple[str, ...] = get_args(IntervalScale)


def normal_quantile(conf_level: float) -> float:
    """Return the standard normal quantile that leaves ``(1 - conf_level) / 2`` above it."""
    return float(ndtri(0.5 + conf_level / 2))


def probability_interval(
    probability: FloatArray, std_error: FloatArray, *, scale: IntervalScale, conf_level: float
) -> tuple[FloatArray, FloatArray]:
    """Return lower and upper limits, each of the shape of ``probability``, within 0 and 1.

    The interval is symmetric on the named scale and carried back. Where that scale cannot hold the estimate (log-log,
    logit and arcsine at 0 and 1, log at 0) the limits are NaN.

    Examples
    --------
    >>> low, high = probability_interval(np.array([0.5]), np.array([0.1]), scale="plain", conf_level=0.95)
    >>> round(float(low[0]), 3), round(float(high[0]), 3)
    (0.304, 0.696)
    """
    half = normal_quantile(conf_level) * std_error
    if scale == "plain":
        return np.clip(probability - half, 0.0, 1.0), np.clip(probability + half, 0.0, 1.0)
    bounded = scale != "log"
    p = np.where((probability <= 0) | (bounded & (probability >= 1)), np.nan, probability)
    if scale == "log":
        return p * np.exp(-half / p), np.minimum(p * np.exp(half / p), 1.0)
    if scale == "log-log":
        shift = half / (p * -np.log(p))
        return np.exp(np.log(p) * np.exp(shift)), np.exp(np.log(p) * np.exp(-shift))
    if scale == "logit":
        centre, shift = np.log(p / (1 - p)), half / (p * (1 - p))
        return 1 / (1 + np.exp(shift - centre)), 1 / (1 + np.exp(-shift - centre))
    centre, shift = np.arcsin(np.sqrt(p)), 0.5 * half / np.sqrt(p * (1 - p))
    return np.sin(np.maximum(centre - shift, 0.0)) ** 2, np.sin(np.minimum(centre + shift, np.pi / 2)) ** 2
