"""Differences and ratios between two groups: their errors, intervals and tests."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import ndtr

from analyses.kernels.grouped_sums import FloatArray, IntArray
from analyses.kernels.influence import total_squared

NO_ERROR = "both standard errors are zero: no test"


def clustered_error(influence: tuple[FloatArray, FloatArray], clusters: tuple[IntArray, IntArray]) -> float:
    """Return the standard error of a difference of two estimates whose groups may share clusters.

    Parameters
    ----------
    influence
        Weighted influence of the rows of each group on its own estimate.
    clusters
        Codes of the same clusters, for the rows of each group.

    Examples
    --------
    >>> one = np.array([0])
    >>> clustered_error((np.array([2.0]), np.array([2.0])), (one, one))
    0.0
    """
    joint = np.concatenate([influence[0], -influence[1]])
    return math.sqrt(total_squared(joint, np.concatenate(clusters)))


def one_without_events(groups: tuple[str | None, str | None], events: tuple[float, float]) -> str | None:
    """Say which of two groups adds nothing to the error of a contrast for want of events; None unless exactly one does.

    Examples
    --------
    >>> one_without_events(("a", "b"), (0, 3))
    'no event in a, whose variance is taken as zero: the interval is too short'
    >>> one_without_events(("a", "b"), (0, 0)) is None
    True
    """
    lacking = [group for group, count in zip(groups, events, strict=True) if not count]
    if len(lacking) != 1:
        return None
    return f"no event in {lacking[0]}, whose variance is taken as zero: the interval is too short"


def wald(estimate: float, error: float, quantile: float) -> dict[str, object]:
    """Return standard error, Wald interval and p-value of an estimate that is zero when groups do not differ."""
    limits: dict[str, object] = {
        "std_error": error,
        "conf_low": estimate - quantile * error,
        "conf_high": estimate + quantile * error,
    }
    if error == 0:
        return {**limits, "note": NO_ERROR}
    return {**limits, "p_value": 2 * float(ndtr(-abs(estimate) / error))}
