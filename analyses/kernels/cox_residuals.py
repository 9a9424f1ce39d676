"""Residuals of the Cox model, exact for Efron's and Breslow's likelihood, and the robust variance they give."""

from __future__ import annotations

import numpy as np

from analyses.kernels.cox_likelihood import event_time_sums, exposure
from analyses.kernels.cox_problem import CoxProblem
from analyses.kernels.grouped_sums import FloatArray, IntArray, sum_rows_by


def expected_events(problem: CoxProblem, coefficients: FloatArray) -> FloatArray:
    """Return each row's accumulated hazard, the events expected of it, shape ``(rows of the data,)``.

    The martingale residual is the event indicator less this. A row at risk at no event time expects none. Under
    Efron's approximation a failing row is exposed to the hazard increments of its own event time with the weights 1,
    (d-1)/d, ..., 1/d of the tied factors it belongs to.
    """
    sums = event_time_sums(problem, coefficients)
    expected = np.zeros(problem.size)
    expected[problem.rows] = sums.relative_hazard * exposure(problem, sums.hazard, sums.hazard_tied)
    return expected


def deviance_residuals(events: FloatArray, expected: FloatArray) -> FloatArray:
    """Return ``sign(m) sqrt(-2 (m + d log(d - m)))`` with ``m = d - expected``, shape ``(n,)``.

    An event where none was expected (a term that runs to minus infinity) is infinitely surprising.

    References
    ----------
    Therneau, Grambsch and Fleming (1990), doi:10.1093/biomet/77.1.147.

    Examples
    --------
    >>> deviance_residuals(np.array([1.0, 0.0]), np.array([1.0, 0.5])).tolist()
    [0.0, -1.0]
    """
    martingale = events - expected
    with np.errstate(divide="ignore"):
        surprise = np.log(np.where(events > 0, expected, 1.0))
    return np.asarray(np.sign(martingale) * np.sqrt(np.maximum(-2 * (martingale + surprise), 0.0)))


def score_residuals(problem: CoxProblem, coefficients: FloatArray) -> FloatArray:
    """Return each row's part of the score before its weight, shape ``(rows of the data, p)``.

    The weighted sum over rows is the score, zero at the estimate. At a tied event time under Efron's approximation a
    failing row is compared with the average of the d covariate means and is exposed to the d hazard increments with
    weights 1, (d-1)/d, ..., 1/d.

    References
    ----------
    Therneau, Grambsch and Fleming (1990), doi:10.1093/biomet/77.1.147.
    """
    sums = event_time_sums(problem, coefficients)
    rows, matrix = problem.event_rows, problem.matrix
    exposed = exposure(problem, sums.hazard, sums.hazard_tied)
    exposed_means = exposure(problem, sums.mean_hazard, sums.mean_hazard_tied)
    parts = sums.relative_hazard[:, None] * (exposed_means - matrix * exposed[:, None])
    parts[rows] += matrix.take(rows, axis=0) - sums.means.take(problem.event_time, axis=0)
    residuals = np.zeros((problem.size, matrix.shape[1]))
    residuals[problem.rows] = parts
    return residuals


def schoenfeld_residuals(problem: CoxProblem, coefficients: FloatArray) -> FloatArray:
    """Return each event's covariates less their risk-weighted mean, shape ``(number of events, p)``.

    In the order of ``problem.event_rows``: by stratum, then time. Tied events are all compared with the average of
    the means of their factors.

    References
    ----------
    Schoenfeld (1982), doi:10.1093/biomet/69.1.239.
    """
    sums = event_time_sums(problem, coefficients)
    return np.asarray(problem.matrix[problem.event_rows] - sums.means[problem.event_time])


def influence(problem: CoxProblem, coefficients: FloatArray, variance: FloatArray) -> FloatArray:
    """Return the approximate change of each coefficient that each row makes (dfbeta), shape ``(rows of the data, p)``.

    The change when the row, with its whole weight, is added; zero for terms without an estimate (NaN in ``variance``).
    """
    weights = np.zeros(problem.size)
    weights[problem.rows] = problem.weights
    known = np.where(np.isnan(variance), 0.0, variance)
    return np.asarray((weights[:, None] * score_residuals(problem, coefficients)) @ known)


def robust_variance(
    problem: CoxProblem, coefficients: FloatArray, variance: FloatArray, clusters: IntArray | None
) -> FloatArray:
    """Return the sandwich (infinitesimal jackknife) variance, shape ``(p, p)``.

    Parameters
    ----------
    variance
        Shape ``(p, p)``: inverse information; all-NaN rows and columns belong to terms without an estimate.
    clusters
        Shape ``(rows of the data,)``, codes from 0 of the independent units; None when every row is one. No
        small-sample factor.

    References
    ----------
    Lin and Wei (1989), doi:10.1080/01621459.1989.10478874. Binder (1992), doi:10.1093/biomet/79.1.139.
    """
    changes = influence(problem, coefficients, variance)
    if clusters is not None:
        changes = sum_rows_by(clusters, changes, int(clusters.max()) + 1)
    return np.where(np.isnan(variance), np.nan, changes.T @ changes)
