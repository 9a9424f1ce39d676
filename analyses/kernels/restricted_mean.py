"""Restricted mean survival time of one group: area under the Kaplan-Meier curve up to a horizon."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analyses.kernels.grouped_sums import FloatArray, IntArray
from analyses.kernels.influence import total_squared
from analyses.kernels.kaplan_meier import BoolArray, product_limit, risk_table


@dataclass(frozen=True, slots=True)
class RestrictedMean:
    """Area under the curve in the unit of the durations.

    Attributes
    ----------
    mean, std_error
        The area up to the horizon and its standard error.
    supported
        False when the curve is still above zero where observation ends, before the horizon: the area is then not
        identified without extrapolation.
    influence
        Shape ``(n,)``: weighted influence of each row on the area; None for Greenwood's variance.
    """

    mean: float
    std_error: float
    supported: bool
    influence: FloatArray | None


def restricted_mean(
    durations: FloatArray,
    events: BoolArray,
    *,
    horizon: float,
    weights: FloatArray | None = None,
    entries: FloatArray | None = None,
    clusters: IntArray | None = None,
) -> RestrictedMean:
    """Integrate survival from 0 to ``horizon``.

    Without weights and clusters the variance is the sum over event times of (area beyond it)^2 d / (n (n - d));
    otherwise the infinitesimal jackknife: the sum over clusters (rows) of their squared weighted influence on the area.

    References
    ----------
    Royston and Parmar (2013), doi:10.1186/1471-2288-13-152.

    Examples
    --------
    >>> restricted_mean(np.array([1.0, 3.0]), np.array([True, False]), horizon=3.0).mean
    2.0
    """
    table = risk_table(durations, events, weights=weights, entries=entries)
    survival = product_limit(table)
    inside = table.times <= horizon
    edges = np.concatenate([[0.0], table.times[inside], [horizon]])
    areas = np.diff(edges) * np.concatenate([[1.0], survival[inside]])
    beyond = np.zeros(len(table.times))
    beyond[inside] = np.cumsum(areas[:0:-1])[::-1]
    influence: FloatArray | None = None
    if weights is None and clusters is None:
        variance = float(np.sum(beyond**2 * table.greenwood_terms))
    else:
        lost = np.concatenate([[0.0], np.cumsum(beyond * table.greenwood_terms)])
        jump = events * beyond[table.exit_index] / table.survivors[table.exit_index]
        influence = lost[table.exit_index + 1] - lost[table.entry_index] - jump
        influence = influence if weights is None else weights * influence
        variance = total_squared(influence, clusters)
    supported = bool(table.times[-1] >= horizon or survival[-1] == 0.0)
    return RestrictedMean(float(areas.sum()), float(np.sqrt(variance)), supported, influence)
