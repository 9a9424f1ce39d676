"""Score residuals of the Cox model, exact for Efron's and Breslow's likelihood, and the robust variance they give."""

from __future__ import annotations

import numpy as np

from analyses.kernels.cox_likelihood import CoxProblem, accumulate, risk_averages
from analyses.kernels.grouped_sums import FloatArray, IntArray, sum_rows_by


def score_residuals(problem: CoxProblem, coefficients: FloatArray) -> FloatArray:
    """Return each row's part of the score before its weight, shape ``(n, p)``.

    The weighted sum over rows is the score, zero at the estimate. At a tied event time under Efron's approximation a
    failing row is compared with the average of the d covariate means and is exposed to the d hazard increments with
    weights 1, (d-1)/d, ..., 1/d.

    References
    ----------
    Therneau, Grambsch and Fleming (1990), doi:10.1093/biomet/77.1.147.
    """
    averages = risk_averages(problem, coefficients)
    size = len(problem.times)
    factors_per_time = np.bincount(problem.factor_time, minlength=size)[:, None]
    tied_means = sum_rows_by(problem.factor_time, averages.means, size) / factors_per_time
    jumps = np.zeros_like(problem.matrix)
    jumps[problem.event_rows] = problem.matrix[problem.event_rows] - tied_means[problem.event_time]
    hazards = averages.hazards[:, None]
    exposure = accumulate(problem, np.column_stack([hazards, hazards * averages.means]))
    per_unit_weight = (averages.relative_hazard / problem.weights)[:, None]
    return jumps - per_unit_weight * (problem.matrix * exposure[:, :1] - exposure[:, 1:])


def robust_variance(
    problem: CoxProblem, coefficients: FloatArray, variance: FloatArray, clusters: IntArray | None
) -> FloatArray:
    """Return the sandwich (infinitesimal jackknife) variance, shape ``(p, p)``.

    Parameters
    ----------
    variance
        Shape ``(p, p)``: inverse information; all-NaN rows and columns belong to terms without an estimate.
    clusters
        Shape ``(n,)``, codes from 0 of the independent units; None when every row is one. No small-sample factor.

    References
    ----------
    Lin and Wei (1989), doi:10.1080/01621459.1989.10478874. Binder (1992), doi:10.1093/biomet/79.1.139.
    """
    influence = problem.weights[:, None] * score_residuals(problem, coefficients) @ np.nan_to_num(variance)
    if clusters is not None:
        influence = sum_rows_by(clusters, influence, int(clusters.max()) + 1)
    return np.where(np.isnan(variance), np.nan, influence.T @ influence)
