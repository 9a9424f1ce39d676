"""Cumulative-logit (proportional odds) regression by Newton's method, and Wald tests of equal slopes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_expit

from analyses.kernels.gee import GeeStatus, gee_problem, solve_gee
from analyses.kernels.grouped_sums import sum_by, sum_rows_by
from analyses.kernels.logistic import separated_columns

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]

_MAX_ITERATIONS = 60
_MAX_HALVINGS = 30
_ETA_TOLERANCE = 1e-10
"""Largest last step of any linear predictor; the error that Newton leaves is far smaller."""
_LARGEST_ETA = 30.0


@dataclass(frozen=True, slots=True, eq=False)
class CumulativeLogitFit:
    """Maximum-likelihood fit of ``logit P(Y <= k) = threshold_k - x'b`` for C categories.

    Attributes
    ----------
    thresholds, coefficients
        Shapes ``(C - 1,)``, increasing, and ``(p,)``; a positive coefficient makes higher categories likelier.
    information
        Shape ``(C - 1 + p, C - 1 + p)``: minus the second derivatives, thresholds first.
    scores
        Shape ``(n, C - 1 + p)``: first derivative of each row's weighted log-likelihood.
    log_likelihood
        At the maximum.
    iterations
        Newton steps taken.
    converged
        False when the steps did not shrink to nothing or a linear predictor ran away (separation, as a rule); the other
        fields then hold the last iterate and are not estimates.
    """

    thresholds: FloatArray
    coefficients: FloatArray
    information: FloatArray
    scores: FloatArray
    log_likelihood: float
    iterations: int
    converged: bool


def fit_cumulative_logit(design: FloatArray, category: IntArray, weights: FloatArray) -> CumulativeLogitFit:
    """Fit by Newton's method; the log-likelihood is concave, steps that lower it are halved.

    Parameters
    ----------
    design
        Shape ``(n, p)``, without intercept, of full column rank beside one; ``p`` may be 0.
    category
        Shape ``(n,)``: 0 to ``C - 1``, each of them occurring.
    weights
        Shape ``(n,)``, positive.

    References
    ----------
    McCullagh P. Regression models for ordinal data. J R Stat Soc B 1980;42:109-142.
    doi:10.1111/j.2517-6161.1980.tb01109.x

    Examples
    --------
    >>> fit = fit_cumulative_logit(np.empty((4, 0)), np.array([0, 1, 2, 2]), np.ones(4))
    >>> expit(fit.thresholds).round(6).tolist()
    [0.25, 0.5]
    """
    cuts = int(category.max())
    share = np.cumsum(sum_by(category, weights, cuts + 1))[:-1] / weights.sum()
    # Covariates in a centred orthonormal basis, so that a calendar year does not ruin the information.
    centre = weights @ design / weights.sum()
    basis, triangle = np.linalg.qr(design - centre)
    parameters = np.concatenate([np.log(share / (1 - share)), np.zeros(basis.shape[1])])
    state = _evaluate(basis, category, weights, parameters)
    converged, iteration = False, 0
    while not converged and iteration < _MAX_ITERATIONS and state.reach <= _LARGEST_ETA:
        iteration += 1
        step = np.linalg.solve(state.information, state.scores.sum(axis=0))
        for _ in range(_MAX_HALVINGS):
            after = _evaluate(basis, category, weights, parameters + step)
            slack = 1e-12 * (1 + abs(state.log_likelihood))
            if after.log_likelihood >= state.log_likelihood - slack:
                break
            step = step / 2
        moved = np.abs(step[:cuts]).max() + np.abs(basis @ step[cuts:]).max(initial=0.0)
        parameters, state = parameters + step, after
        converged = bool(moved <= _ETA_TOLERANCE and state.reach <= _LARGEST_ETA)
    # Back from the basis: theta' - q'g = theta - x'b, with q = (x - centre) / triangle.
    back = np.eye(len(parameters))
    back[cuts:, cuts:] = np.linalg.inv(triangle)
    back[:cuts, cuts:] = centre @ back[cuts:, cuts:]
    there = np.linalg.inv(back)
    own = back @ parameters
    return CumulativeLogitFit(
        thresholds=own[:cuts],
        coefficients=own[cuts:],
        information=there.T @ state.information @ there,
        scores=state.scores @ there,
        log_likelihood=state.log_likelihood,
        iterations=iteration,
        converged=converged,
    )


def category_probabilities(thresholds: FloatArray, shift: FloatArray) -> FloatArray:
    """Return the probability of each category, shape ``(n, C)``, at linear predictors ``shift`` (n,).

    Examples
    --------
    >>> category_probabilities(np.log([1.0, 3.0]), np.zeros(1)).round(6).tolist()
    [[0.5, 0.25, 0.25]]
    """
    upper, lower = _limits(thresholds, shift)
    # F(a) - F(b) without cancellation.
    return np.asarray(expit(upper) * expit(-lower) * -np.expm1(lower - upper), dtype=np.float64)


def probability_slopes(thresholds: FloatArray, shift: FloatArray) -> FloatArray:
    """Return the derivative of each category's probability in its upper and its lower limit, shape ``(2, n, C)``.

    The first is not negative, the second not positive; minus their sum is the derivative in the linear predictor.
    """
    upper, lower = _limits(thresholds, shift)
    return np.stack([expit(upper) * expit(-upper), -expit(lower) * expit(-lower)])


def separated_parameters(design: FloatArray, category: IntArray) -> tuple[int, ...]:
    """Return parameters (thresholds first, then columns) whose maximum-likelihood estimates run away.

    A direction that raises no lower limit and lowers no upper limit of any row, and moves some, improves the likelihood
    for ever; its parameters are returned. Each row is one or two rows of the linear programme of
    :func:`analyses.kernels.logistic.separated_columns`.

    Examples
    --------
    >>> separated_parameters(np.array([[0.0], [0.0], [1.0], [1.0]]), np.array([0, 1, 2, 2]))
    (2,)
    """
    cuts = int(category.max())
    indicator = np.eye(cuts)
    upper, lower = category < cuts, category > 0
    rows = np.vstack(
        [
            np.hstack([indicator[category[upper]], -design[upper]]),
            np.hstack([indicator[category[lower] - 1], -design[lower]]),
        ]
    )
    rises = np.arange(len(rows)) < np.count_nonzero(upper)
    return separated_columns(rows, ~rises, rises)


@dataclass(frozen=True, slots=True, eq=False)
class BinarySlopes:
    """Slopes of the binary logistic models of ``Y > k`` with their joint sandwich covariance.

    Attributes
    ----------
    slopes, covariance
        Shapes ``(C - 1, p)`` and ``((C - 1) p, (C - 1) p)``, slopes of the first cut first; None when a model has no
        finite estimate.
    failed
        Number of the first cut without one, or None.
    """

    slopes: FloatArray | None
    covariance: FloatArray | None
    failed: int | None


def binary_slopes(design: FloatArray, category: IntArray, weights: FloatArray, cluster: IntArray) -> BinarySlopes:
    """Fit a binary logistic model for each cut, covariance clustered.

    Parameters
    ----------
    design, category, weights
        As for :func:`fit_cumulative_logit`.
    cluster
        Shape ``(n,)``: 0 to ``K - 1``.

    References
    ----------
    Brant R. Assessing proportionality in the proportional odds model for ordinal logistic regression. Biometrics
    1990;46:1171-1178. doi:10.2307/2532457
    """
    with_ones = np.hstack([np.ones((len(design), 1)), design])
    slopes, influences = [], []
    for cut in range(int(category.max())):
        above = (category > cut).astype(np.float64)
        problem = gee_problem(with_ones, above, cluster, family="binomial", correlation="independence", weights=weights)
        solved = solve_gee(problem)
        if solved.status is not GeeStatus.ESTIMATED:
            return BinarySlopes(None, None, cut)
        scores = problem.clusters.sums(solved.whitened * solved.residual[:, None])
        information = solved.whitened.T @ solved.whitened
        slopes.append(solved.coefficients[1:])
        influences.append((scores @ np.linalg.solve(information, problem.back.T))[:, 1:])
    joint = np.hstack(influences)
    return BinarySlopes(np.array(slopes), joint.T @ joint, None)


@dataclass(frozen=True, slots=True, eq=False)
class _State:
    log_likelihood: float
    scores: FloatArray
    information: FloatArray
    reach: float


def _limits(thresholds: FloatArray, shift: FloatArray) -> tuple[FloatArray, FloatArray]:
    edges = np.concatenate([[-np.inf], thresholds, [np.inf]])
    return edges[1:] - shift[:, None], edges[:-1] - shift[:, None]


def _evaluate(basis: FloatArray, category: IntArray, weights: FloatArray, parameters: FloatArray) -> _State:
    """Return log-likelihood, scores and information at thresholds and coefficients.

    With ``a`` and ``b`` the limits of a row's category and ``d = a - b``, its log-likelihood is
    ``log F(a) + log F(-b) + log(1 - exp(-d))``, of which nothing cancels.
    """
    cuts = int(category.max())
    thresholds, shift = parameters[:cuts], basis @ parameters[cuts:]
    width = np.diff(thresholds)
    size = len(parameters)
    if np.any(width <= 0):
        return _State(-np.inf, np.zeros((1, size)), np.eye(size), 0.0)
    edges = np.concatenate([[-np.inf], thresholds, [np.inf]])
    upper, lower = edges[category + 1] - shift, edges[category] - shift
    between = np.concatenate([[0.0], np.log(-np.expm1(-width)), [0.0]])
    pull = np.concatenate([[0.0], 1 / np.expm1(width), [0.0]])
    log_likelihood = float(weights @ (log_expit(upper) + log_expit(-lower) + between[category]))
    up = weights * (expit(-upper) + pull[category])
    down = -weights * (expit(lower) + pull[category])
    scores = np.zeros((len(shift), size))
    rows = np.arange(len(shift))
    inner = category < cuts
    scores[rows[inner], category[inner]] = up[inner]
    inner = category > 0
    scores[rows[inner], category[inner] - 1] = down[inner]
    scores[:, cuts:] = -(up + down)[:, None] * basis
    curve_up, curve_down = weights * expit(upper) * expit(-upper), weights * expit(lower) * expit(-lower)
    information = np.zeros((size, size))
    stiffness = pull * (1 + pull) * sum_by(category, weights, cuts + 1)
    diagonal = sum_by(category, curve_up, cuts + 1)[:-1] + sum_by(category, curve_down, cuts + 1)[1:]
    information[range(cuts), range(cuts)] = diagonal + stiffness[:-1] + stiffness[1:]
    information[range(cuts - 1), range(1, cuts)] = information[range(1, cuts), range(cuts - 1)] = -stiffness[1:-1]
    cross = sum_rows_by(category, curve_up[:, None] * basis, cuts + 1)[:-1] if basis.shape[1] else np.empty((cuts, 0))
    if basis.shape[1]:
        cross = cross + sum_rows_by(category, curve_down[:, None] * basis, cuts + 1)[1:]
    information[:cuts, cuts:] = -cross
    information[cuts:, :cuts] = -cross.T
    information[cuts:, cuts:] = (basis * (curve_up + curve_down)[:, None]).T @ basis
    reach = float(max(np.abs(upper[np.isfinite(upper)]).max(), np.abs(lower[np.isfinite(lower)]).max()))
    return _State(log_likelihood, scores, information, reach)
