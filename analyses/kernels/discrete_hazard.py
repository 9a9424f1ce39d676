"""Hazards at the observed times, alike for everybody or proportional in covariates, and the survival they give."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analyses.kernels.cox import TermStatus, maximise
from analyses.kernels.cox_problem import cox_problem
from analyses.kernels.grouped_sums import FloatArray, sum_by
from analyses.kernels.kaplan_meier import BoolArray, risk_table


@dataclass(frozen=True, slots=True)
class DiscreteHazard:
    """Hazards at ``k`` times.

    Attributes
    ----------
    times
        Shape ``(k,)``, increasing: the times of events.
    baseline
        Shape ``(k,)``: share of those at risk that fail or, with covariates, Breslow's hazard increment at ``centre``.
    coefficients, centre
        Shape ``(p,)``; ``p`` is 0 without covariates.
    """

    times: FloatArray
    baseline: FloatArray
    coefficients: FloatArray
    centre: FloatArray

    def at(self, covariates: FloatArray, times: FloatArray) -> FloatArray:
        """Return the probability of failing at each of some times when at risk, shape ``(n, q)``."""
        places = np.searchsorted(self.times, times)
        inside = places < len(self.times)
        baseline = np.zeros(len(times))
        hit = inside.copy()
        hit[inside] = self.times[places[inside]] == times[inside]
        baseline[hit] = self.baseline[places[hit]]
        if not len(self.coefficients):
            return np.tile(baseline, (len(covariates), 1))
        relative = np.exp((covariates - self.centre) @ self.coefficients)
        return np.asarray(-np.expm1(-np.outer(relative, baseline)))

    def survival_before(self, covariates: FloatArray, times: FloatArray) -> FloatArray:
        """Return the probability of no failure before each of some increasing times, shape ``(n, q)``."""
        own = self.at(covariates, self.times)
        with np.errstate(divide="ignore"):
            running = np.cumsum(np.log1p(-own), axis=1)
        lasting = np.exp(np.hstack([np.zeros((len(covariates), 1)), running]))
        return np.asarray(lasting[:, np.searchsorted(self.times, times, side="left")])


def fit_discrete_hazard(durations: FloatArray, events: BoolArray, covariates: FloatArray) -> DiscreteHazard | None:
    """Fit hazards to rows that are at risk from time 0.

    Parameters
    ----------
    durations, events
        Shape ``(n,)``.
    covariates
        Shape ``(n, p)``; without columns the hazards are those of the Kaplan-Meier estimate, else of a Cox model with
        Breslow's handling of ties.

    Returns
    -------
    DiscreteHazard or None
        None when a coefficient has no finite estimate; no times when there are no events.

    Examples
    --------
    >>> found = fit_discrete_hazard(np.array([1.0, 2.0, 3.0]), np.array([True, True, False]), np.empty((3, 0)))
    >>> found.baseline.round(4).tolist()
    [0.3333, 0.5]
    >>> found.survival_before(np.empty((1, 0)), np.array([2.0, 3.0])).round(4).tolist()
    [[0.6667, 0.3333]]
    """
    width = covariates.shape[1]
    centre = covariates.mean(axis=0) if len(covariates) else np.zeros(width)
    if not events.any():
        return DiscreteHazard(np.empty(0), np.empty(0), np.zeros(width), centre)
    coefficients = np.zeros(width)
    if width:
        solution = maximise(cox_problem(covariates, durations, events, ties="breslow"))
        if any(status is not TermStatus.ESTIMATED for status in solution.status):
            return None
        coefficients = solution.coefficients
    relative = np.exp((covariates - centre) @ coefficients)
    table = risk_table(durations, events, weights=relative)
    failing = sum_by(table.exit_index, events.astype(np.float64), len(table.times))
    kept = failing > 0
    return DiscreteHazard(table.times[kept], failing[kept] / table.at_risk[kept], coefficients, centre)


def censoring_durations(durations: FloatArray, events: BoolArray) -> FloatArray:
    """Return times at which a row leaves the risk set of censoring: just before its event, which precedes a tie."""
    return np.where(events, np.nextafter(durations, -np.inf), durations)


def area_with_correction(
    durations: FloatArray,
    events: BoolArray,
    share: FloatArray,
    hazards: FloatArray,
    uncensored: FloatArray,
    times: FloatArray,
    *,
    horizon: float,
) -> tuple[FloatArray, FloatArray]:
    """Return each row's predicted restricted mean and its correction by what was observed of it, each ``(n,)``.

    Parameters
    ----------
    durations, events
        Shape ``(n,)``.
    share
        Shape ``(n,)``: one over the probability of the row's arm, or 0 for rows of another arm.
    hazards
        Shape ``(n, k)``: predicted probability of failing at each time when at risk.
    uncensored
        Shape ``(n, k)``: predicted probability of not being censored before each time.
    times
        Shape ``(k,)``, increasing, up to ``horizon``.

    Notes
    -----
    The correction at time u is -(share / G(u-)) (area of S beyond u / S(u)) (dN(u) - Y(u) h(u)).
    """
    survival = np.cumprod(1 - hazards, axis=1)
    edges = np.diff(np.concatenate([[0.0], times, [horizon]]))
    pieces = np.hstack([np.ones((len(survival), 1)), survival]) * edges
    beyond = np.cumsum(pieces[:, ::-1], axis=1)[:, ::-1]
    at_risk = durations[:, None] >= times
    failing = events[:, None] & (durations[:, None] == times)
    martingale = np.where(at_risk, failing - hazards, 0.0)
    ahead = np.divide(beyond[:, 1:], survival, out=np.zeros_like(survival), where=survival > 0)
    used = at_risk & (share[:, None] > 0)
    scaled = np.divide(ahead * martingale, uncensored, out=np.zeros_like(ahead), where=used)
    return beyond[:, 0], -share * scaled.sum(axis=1)
