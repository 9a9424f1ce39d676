"""Survival, incidence and restricted mean of weighted rows, with the derivative of each by the weight of every row.

Weight times derivative is the influence of a row (the infinitesimal jackknife); the derivative alone tells how the
estimate moves when the weights themselves have been estimated.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analyses.kernels.grouped_sums import FloatArray, IntArray, sum_by
from analyses.kernels.kaplan_meier import BoolArray, product_limit, risk_table


@dataclass(frozen=True, slots=True)
class Sloped:
    """Estimates and their derivatives by the weights.

    Attributes
    ----------
    estimate
        Shape ``(q,)``.
    slope
        Shape ``(q, n)``.
    """

    estimate: FloatArray
    slope: FloatArray


def incidence_slopes(
    durations: FloatArray, causes: IntArray, weights: FloatArray, *, cause: int, times: FloatArray
) -> Sloped:
    """Estimate the cumulative incidence of a cause at given times (Aalen-Johansen).

    Parameters
    ----------
    durations, causes, weights
        Shape ``(n,)``; cause 0 is censored; weights are positive.
    cause
        The cause of interest.
    times
        Shape ``(q,)``.

    Notes
    -----
    With h the hazard of any failure and g that of the cause, n the weight at risk and F the incidence, row i moves the
    hazards at time s by (dN(s) - Y(s) h(s)) / n(s), and F(t) by the sum over s up to t of S(s-) times its move of g(s)
    less (F(t) - F(s)) / (1 - h(s)) times its move of h(s).

    Examples
    --------
    >>> found = incidence_slopes(np.array([1.0, 2.0]), np.array([1, 2]), np.ones(2), cause=1, times=np.array([1.0]))
    >>> found.estimate.tolist(), found.slope.tolist()
    ([0.5], [[0.25, -0.25]])
    """
    table = risk_table(durations, causes > 0, weights=weights)
    failing = sum_by(table.exit_index, weights * (causes == cause), len(table.times))
    survival = product_limit(table)
    before = np.concatenate([[1.0], survival[:-1]])
    incidence = np.cumsum(before * failing / table.at_risk)
    places = np.searchsorted(table.times, times, side="right")
    estimate = np.concatenate([[0.0], incidence])[places]
    slope = np.empty((len(times), len(durations)))
    own, other = causes == cause, causes > 0
    for row, (place, value) in enumerate(zip(places, estimate, strict=True)):
        left = np.where(table.exhausted, 0.0, (value - incidence) * table.at_risk / table.survivors) / table.at_risk
        gain = before / table.at_risk
        exposed = gain * failing / table.at_risk - left * table.events / table.at_risk
        gain[place:], left[place:], exposed[place:] = 0.0, 0.0, 0.0
        running = np.cumsum(exposed)
        at = table.exit_index
        slope[row] = own * gain[at] - other * left[at] - running[at]
    return Sloped(estimate, slope)


def survival_slopes(durations: FloatArray, events: BoolArray, weights: FloatArray, *, times: FloatArray) -> Sloped:
    """Estimate survival at given times (Kaplan-Meier); arguments as of :func:`incidence_slopes`.

    Examples
    --------
    >>> survival_slopes(np.array([1.0, 2.0]), np.array([True, False]), np.ones(2), times=np.array([1.0])).slope.tolist()
    [[-0.25, 0.25]]
    """
    failed = incidence_slopes(durations, events.astype(np.intp), weights, cause=1, times=times)
    return Sloped(1.0 - failed.estimate, -failed.slope)


def restricted_mean_slopes(durations: FloatArray, events: BoolArray, weights: FloatArray, *, horizon: float) -> Sloped:
    """Estimate the area under the Kaplan-Meier curve up to a horizon that observation reaches; ``q`` is one.

    Examples
    --------
    >>> found = restricted_mean_slopes(np.array([1.0, 3.0]), np.array([True, False]), np.ones(2), horizon=3.0)
    >>> found.estimate.tolist(), found.slope.tolist()
    ([2.0], [[-0.5, 0.5]])
    """
    table = risk_table(durations, events, weights=weights)
    survival = product_limit(table)
    inside = table.times <= horizon
    edges = np.concatenate([[0.0], table.times[inside], [horizon]])
    areas = np.diff(edges) * np.concatenate([[1.0], survival[inside]])
    beyond = np.zeros(len(table.times))
    beyond[inside] = np.cumsum(areas[:0:-1])[::-1]
    lost = np.cumsum(beyond * table.greenwood_terms)
    jump = events * beyond[table.exit_index] / table.survivors[table.exit_index]
    return Sloped(np.array([areas.sum()]), (lost[table.exit_index] - jump)[None])
