"""Cumulative incidence of competing causes in one group, with infinitesimal-jackknife standard errors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analyses.kernels.grouped_sums import FloatArray, IntArray, sum_by, sum_from_here


@dataclass(frozen=True, slots=True)
class CumulativeIncidence:
    """Probability of having failed from each cause by each time; ``k`` times, ``c`` causes.

    Attributes
    ----------
    times, at_risk
        Shape ``(k,)``: the distinct exit times, increasing, and how many are at risk just before each.
    events, incidence, std_error
        Shape ``(k, c)``: failures at, and cumulative incidence with its standard error up to, each time.
    """

    times: FloatArray
    at_risk: FloatArray
    events: FloatArray
    incidence: FloatArray
    std_error: FloatArray


def cumulative_incidence(durations: FloatArray, causes: IntArray, *, n_causes: int) -> CumulativeIncidence:
    """Estimate the Aalen-Johansen cumulative incidence of every cause.

    Parameters
    ----------
    durations
        Shape ``(n,)``.
    causes
        Shape ``(n,)``: 0 for censored, 1 to ``n_causes`` for a failure.

    Notes
    -----
    Failures of all causes at one time share the risk set just before it and leave it together; censorings at that
    time leave after them. The order of rows therefore never matters.

    A row's influence on the incidence F of a cause is common to all while at risk; once out at time x it is
    ``fixed + slope * F(t)``, the slope being its influence on log survival at x. Sums of ``fixed^2``,
    ``fixed * slope`` and ``slope^2`` over times therefore give the variance in linear time.

    References
    ----------
    Aalen and Johansen (1978), Scandinavian Journal of Statistics 5:141-150.

    Examples
    --------
    >>> cumulative_incidence(np.array([1.0, 2.0, 3.0]), np.array([1, 2, 0]), n_causes=2).incidence.round(4).tolist()
    [[0.3333, 0.0], [0.3333, 0.3333], [0.3333, 0.3333]]
    """
    times, index = np.unique(durations, return_inverse=True)
    size = len(times)
    cell = index * (n_causes + 1) + causes
    leaving = sum_by(cell, np.ones(len(cell)), size * (n_causes + 1)).reshape(size, n_causes + 1)
    censored, events = leaving[:, 0], leaving[:, 1:]
    at_risk = sum_from_here(leaving.sum(axis=1))
    failing = events.sum(axis=1)
    survivors = at_risk - failing
    before = np.concatenate([[1.0], np.cumprod(survivors / at_risk)[:-1]])
    incidence = np.cumsum(before[:, None] * events / at_risk[:, None], axis=0)

    spared = np.where(survivors > 0, survivors, 1.0)
    terms = np.where(survivors > 0, failing / (at_risk * spared), 0.0)
    hazard = np.cumsum(terms)
    hazard_before = hazard - terms
    slope_censored, slope_failed = hazard, np.where(survivors > 0, hazard - 1.0 / spared, 0.0)
    still = survivors - censored
    std_error = np.zeros((size, n_causes))
    for cause in range(n_causes):
        share, total = events[:, cause] / at_risk, incidence[:, cause]
        common = np.cumsum(before * share * (hazard_before - 1.0 / at_risk))
        own = common + before / at_risk
        other = failing - events[:, cause]
        fixed_own, fixed_other = own - slope_failed * total, common - slope_failed * total
        fixed_censored = common - slope_censored * total
        constant = (events[:, cause] * fixed_own**2 + other * fixed_other**2 + censored * fixed_censored**2).cumsum()
        cross = (
            (events[:, cause] * fixed_own + other * fixed_other) * slope_failed
            + censored * fixed_censored * slope_censored
        ).cumsum()
        square = (failing * slope_failed**2 + censored * slope_censored**2).cumsum()
        variance = constant + 2 * total * cross + total**2 * square + still * common**2
        std_error[:, cause] = np.sqrt(np.maximum(variance, 0.0))
    return CumulativeIncidence(times, at_risk, events, incidence, std_error)
