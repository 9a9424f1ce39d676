"""Generalised estimating equations with canonical links, solved for all clusters at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from analyses.kernels.working_correlation import (
    Autoregressive,
    Clusters,
    Exchangeable,
    Independence,
    WorkingCorrelation,
    unstructured,
)

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]
Family = Literal["binomial", "gaussian", "poisson"]
Correlation = Literal["independence", "exchangeable", "ar1", "unstructured"]

_MAX_ITERATIONS = 200
_TOLERANCE = 1e-11
"""Largest last step of any linear predictor (beside its size) and of any correlation."""
_START_TOLERANCE = 1.0
"""Length of a step under independence after which correlation is estimated too."""
_LARGEST_ETA = 30.0
"""Beyond it a fitted probability is 0 or 1 to thirteen digits, a fitted rate 0: the estimates run away."""
_OVERFLOW_ETA = 300.0
_EXACT_FIT = 1e-10
_WELL_CONDITIONED = 1e-5
"""Smallest share of a column left by those before it for which Cholesky serves as well as Householder."""


class GeeStatus(Enum):
    """How the iterations ended."""

    ESTIMATED = "estimated"
    NOT_CONVERGED = "not converged"
    IMPOSSIBLE_CORRELATION = "impossible correlation"
    EXACT_FIT = "exact fit"


@dataclass(frozen=True, slots=True, eq=False)
class GeeProblem:
    """Rows sorted by cluster, the covariates in a well-conditioned basis. Made by :func:`gee_problem`.

    Attributes
    ----------
    basis, back
        Shapes ``(n, p)`` and ``(p, p)``: ``basis = design @ back`` is nearly orthonormal, and coefficients of the
        design are ``back`` times those of the basis. A calendar year beside an intercept ruins the information matrix
        of the design itself.
    outcome, weights, offset
        Shape ``(n,)``.
    clusters, structure, family
        Where clusters lie, the working correlation, the distribution.
    order
        Shape ``(n,)``: number of each sorted row in the input.
    """

    basis: FloatArray
    back: FloatArray
    outcome: FloatArray
    weights: FloatArray
    offset: FloatArray
    clusters: Clusters
    structure: WorkingCorrelation
    family: Family
    order: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class GeeSolution:
    """The solution of the estimating equations, or where the iterations ended without one.

    Attributes
    ----------
    status
        Look at it first: the other fields are estimates only when it is ``ESTIMATED``.
    coefficients
        Shape ``(p,)``.
    scale
        Weighted mean of the squared Pearson residuals.
    correlation
        Shape ``(q,)``: parameters of the working correlation as the moments have them, NaN where no pair informs one.
    linear_predictor, fitted
        Shape ``(n,)``, offset included, in the order of the input.
    whitened, residual
        Shapes ``(n, p)`` and ``(n,)``, sorted rows: the basis times the root of the working weights, and the Pearson
        residuals, after the working correlation is taken out (the scale is not), as they were before the last,
        vanishing step. Their products are the estimating equations, which is all that variances need.
    iterations
        Steps taken.
    """

    status: GeeStatus
    coefficients: FloatArray
    scale: float
    correlation: FloatArray
    linear_predictor: FloatArray
    fitted: FloatArray
    whitened: FloatArray
    residual: FloatArray
    iterations: int


def gee_problem(
    design: FloatArray,
    outcome: FloatArray,
    cluster: IntArray,
    *,
    family: Family,
    correlation: Correlation,
    position: IntArray | None = None,
    weights: FloatArray | None = None,
    offset: FloatArray | None = None,
) -> GeeProblem:
    """Sort rows by cluster and visit and lay out the structure.

    Parameters
    ----------
    design
        Shape ``(n, p)``, of full column rank.
    outcome
        Shape ``(n,)``.
    cluster
        Shape ``(n,)``: cluster of each row, any integers.
    family, correlation
        Distribution (canonical link) and working correlation.
    position
        Shape ``(n,)``: visit of each row, 0 to ``T - 1``, no two alike in a cluster; needed for ``ar1`` and
        ``unstructured``.
    weights, offset
        Shape ``(n,)``; ones and zeros if not given.
    """
    visit = np.zeros(len(outcome), dtype=np.intp) if position is None else position
    key = cluster if position is None else cluster * (int(visit.max()) + 1) + visit
    order = np.arange(len(key)) if bool(np.all(key[1:] >= key[:-1])) else np.argsort(key, kind="stable")
    ordered = cluster[order]
    starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    sizes = np.diff(np.append(starts, len(ordered)))
    clusters = Clusters(starts, sizes, visit[order])
    structures: dict[str, Callable[[], WorkingCorrelation]] = {
        "independence": Independence,
        "exchangeable": lambda: Exchangeable(clusters),
        "ar1": lambda: Autoregressive(clusters),
        "unstructured": lambda: unstructured(clusters),
    }
    basis, back = _orthonormal(design[order])
    return GeeProblem(
        basis=basis,
        back=back,
        outcome=outcome[order],
        weights=np.ones(len(outcome)) if weights is None else weights[order],
        offset=np.zeros(len(outcome)) if offset is None else offset[order],
        clusters=clusters,
        structure=structures[correlation](),
        family=family,
        order=order,
    )


def solve_gee(problem: GeeProblem) -> GeeSolution:
    """Solve the estimating equations by Fisher scoring, residual moments giving scale and correlation at every step.

    The solution is that of the R package geepack, whatever the path to it: the scale is the weighted mean squared
    Pearson residual, the correlation solves the moment equations of :mod:`analyses.kernels.working_correlation`, and
    weights divide the working variance of a row.

    References
    ----------
    Liang KY, Zeger SL. Biometrika 1986;73:13-22. doi:10.1093/biomet/73.1.13. Halekoh U, Højsgaard S, Yan J. J Stat
    Softw 2006;15(2):1-11. doi:10.18637/jss.v015.i02

    Examples
    --------
    >>> outcome, cluster = np.array([1.0, 1.0, 0.0, 1.0, 0.0, 0.0]), np.array([0, 0, 1, 1, 2, 2])
    >>> problem = gee_problem(np.ones((6, 1)), outcome, cluster, family="gaussian", correlation="exchangeable")
    >>> solution = solve_gee(problem)
    >>> solution.coefficients.round(6).tolist(), solution.correlation.round(6).tolist()
    ([0.5], [0.333333])
    """
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        return _solved(problem)


@dataclass(frozen=True, slots=True, eq=False)
class _State:
    """Where the iterations are: coefficients of the basis, linear predictor, mean and root of its variance."""

    coefficients: FloatArray
    eta: FloatArray
    mean: FloatArray
    deviation: FloatArray
    runs_away: bool

    def pearson(self, problem: GeeProblem) -> FloatArray:
        """Return the Pearson residuals, unscaled."""
        return (problem.outcome - self.mean) / self.deviation


@dataclass(frozen=True, slots=True, eq=False)
class _Step:
    """One step of Fisher scoring: the state it leads to, its length, and the whitened rows it was made of."""

    state: _State
    length: float
    rows: FloatArray


def _orthonormal(design: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return a well-conditioned basis, nearly orthonormal, and the matrix from its coefficients to the design's."""
    products = design.T @ design
    scale = np.sqrt(np.diag(products))
    try:
        factor = np.linalg.cholesky(products / np.outer(scale, scale))
    except np.linalg.LinAlgError:
        factor = np.zeros((1, 1))
    if np.diag(factor).min() < _WELL_CONDITIONED:
        basis, triangle = np.linalg.qr(design)
        return basis, np.linalg.inv(triangle)
    back = np.linalg.inv(factor).T / scale[:, None]
    return design @ back, back


def _evaluated(problem: GeeProblem, coefficients: FloatArray) -> _State:
    eta = problem.basis @ coefficients + problem.offset
    if problem.family == "gaussian":
        return _State(coefficients, eta, eta, np.ones_like(eta), not bool(np.isfinite(coefficients).all()))
    lowest, highest = float(eta.min()), float(eta.max())
    if problem.family == "binomial":
        runs_away = not (lowest > -_LARGEST_ETA and highest < _LARGEST_ETA)
        return _State(coefficients, eta, *_logistic(eta), runs_away)
    runs_away = not (lowest > -_LARGEST_ETA + float(problem.offset.min()) and highest < _OVERFLOW_ETA)
    mean = np.exp(np.minimum(eta, _OVERFLOW_ETA))
    return _State(coefficients, eta, mean, np.sqrt(mean), runs_away)


def _logistic(eta: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return probabilities and the root of their variance, without loss near zero and one."""
    odds = np.exp(-np.abs(eta))
    total = 1 + odds
    return np.where(eta > 0, 1.0, odds) / total, np.sqrt(odds) / total


def _first_coefficients(problem: GeeProblem) -> FloatArray:
    """Return a least-squares step of the working response from means near the outcome."""
    y, weights = problem.outcome, problem.weights
    if problem.family == "gaussian":
        variance, working = np.ones_like(y), y
    elif problem.family == "binomial":
        probability = (y + 0.5) / 2
        variance = probability * (1 - probability)
        working = np.log(probability / (1 - probability)) + (y - probability) / variance
    else:
        variance = y + 0.1
        working = np.log(variance) - 0.1 / variance
    weighted = problem.basis * (weights * variance)[:, None]
    return np.asarray(np.linalg.solve(weighted.T @ problem.basis, weighted.T @ (working - problem.offset)))


def _step(problem: GeeProblem, state: _State, correlation: FloatArray | None) -> _Step:
    """Take a step of Fisher scoring, under independence unless there is a correlation."""
    root_weight = np.sqrt(problem.weights)
    rows = np.empty((len(state.eta), problem.basis.shape[1] + 1))
    np.multiply(problem.basis, (root_weight * state.deviation)[:, None], out=rows[:, :-1])
    np.multiply(root_weight, state.pearson(problem), out=rows[:, -1])
    if correlation is not None:
        rows = problem.structure.whitened(rows, correlation)
    products = rows.T @ rows
    try:
        change = np.linalg.solve(products[:-1, :-1], products[:-1, -1])
    except np.linalg.LinAlgError:  # weights that have all but vanished: the state that follows runs away
        change = np.full(len(products) - 1, np.nan)
    after = _evaluated(problem, state.coefficients + change)
    return _Step(after, float(np.abs(after.eta - state.eta).max()), rows)


def _solved(problem: GeeProblem) -> GeeSolution:
    structure = problem.structure
    alone = structure.parameters == 0
    state, moments = _evaluated(problem, _first_coefficients(problem)), np.full(structure.parameters, np.nan)
    used: FloatArray | None = None
    for iteration in range(1, _MAX_ITERATIONS + 1):
        step = _step(problem, state, used)
        state = step.state
        if state.runs_away:
            break
        moved = 0.0
        if not alone and (used is not None or step.length <= _START_TOLERANCE):
            before, moments = moments, _moments(problem, state)
            moved = float("inf") if used is None else _largest(moments - before)
            used = structure.nearest_possible(moments)
        settled = step.length <= _TOLERANCE * _size(problem, state)
        if settled and moved <= _TOLERANCE and (alone or used is not None):
            status = GeeStatus.ESTIMATED if structure.possible(moments) else GeeStatus.IMPOSSIBLE_CORRELATION
            return _solution(problem, step, moments, status, iteration)
    return _solution(problem, step, moments, GeeStatus.NOT_CONVERGED, iteration)


def _moments(problem: GeeProblem, state: _State) -> FloatArray:
    pearson = state.pearson(problem)
    scale = float(problem.weights @ pearson**2 / problem.weights.sum())
    return problem.structure.estimate(pearson / np.sqrt(scale), problem.weights)


def _largest(changes: FloatArray) -> float:
    return float(np.max(np.abs(np.nan_to_num(changes)), initial=0.0))


def _size(problem: GeeProblem, state: _State) -> float:
    """Return what the last step must be small beside, above the rounding of the step itself."""
    if problem.family == "gaussian":
        spread = float(np.sqrt(np.mean((problem.outcome - state.mean) ** 2)))
        return spread + 1e-3 * float(np.abs(problem.outcome).max())
    return 1.0 + max(float(state.eta.max()), -float(state.eta.min()))


def _solution(problem: GeeProblem, step: _Step, moments: FloatArray, status: GeeStatus, iterations: int) -> GeeSolution:
    state = step.state
    off = float(np.abs(problem.outcome - state.mean).max())
    if off <= _EXACT_FIT * float(np.abs(problem.outcome).max()):
        status = GeeStatus.EXACT_FIT
    linear_predictor, fitted = np.empty_like(state.eta), np.empty_like(state.eta)
    linear_predictor[problem.order], fitted[problem.order] = state.eta, state.mean
    return GeeSolution(
        status=status,
        coefficients=problem.back @ state.coefficients,
        scale=float(problem.weights @ state.pearson(problem) ** 2 / problem.weights.sum()),
        correlation=moments,
        linear_predictor=linear_predictor,
        fitted=fitted,
        whitened=step.rows[:, :-1],
        residual=step.rows[:, -1],
        iterations=iterations,
    )
