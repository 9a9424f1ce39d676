"""Generalised estimating equations with canonical links, solved for all clusters at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

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
_START_TOLERANCE = 1e-4
"""The same for the independence fit that gives the other structures their first residuals."""
_LARGEST_ETA = 30.0
"""Beyond it a fitted probability is 0 or 1 to thirteen digits, a fitted rate 0: the estimates run away."""
_OVERFLOW_ETA = 300.0
_EXACT_FIT = 1e-10


class GeeStatus(Enum):
    """How the iterations ended."""

    ESTIMATED = "estimated"
    NOT_CONVERGED = "not converged"
    IMPOSSIBLE_CORRELATION = "impossible correlation"
    EXACT_FIT = "exact fit"


@dataclass(frozen=True, slots=True, eq=False)
class GeeProblem:
    """Rows sorted by cluster, the covariates in an orthonormal basis. Made by :func:`gee_problem`.

    Attributes
    ----------
    basis, back
        Shapes ``(n, p)`` and ``(p, p)``: the design is ``basis @ inv(back)``, coefficients are ``back`` times those of
        the basis. A calendar year beside an intercept ruins the information matrix of the design itself.
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
        residuals, after the working correlation is taken out (the scale is not). Their products are the estimating
        equations, which is all that variances need.
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
    none = np.full(problem.structure.parameters, np.nan)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        state = _independent(problem, _TOLERANCE if problem.structure.parameters == 0 else _START_TOLERANCE)
        if problem.structure.parameters == 0 or state.status is not GeeStatus.ESTIMATED:
            return _solution(problem, state, none)
        return _correlated(problem, state)


@dataclass(frozen=True, slots=True, eq=False)
class _State:
    """Where the iterations are: ``eta`` with its offset, Pearson ``residual`` and root of the working weight."""

    eta: FloatArray
    mean: FloatArray
    pearson: FloatArray
    root: FloatArray
    status: GeeStatus
    iterations: int


def _orthonormal(design: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return an orthonormal basis and the matrix from its coefficients to those of the design.

    Two rounds of Cholesky on scaled columns; the second removes what rounding left of the first.
    """
    scale = np.sqrt((design**2).sum(axis=0))
    basis, back = design / scale, np.diag(1 / scale)
    for _ in range(2):
        try:
            factor = np.linalg.inv(np.linalg.cholesky(basis.T @ basis)).T
        except np.linalg.LinAlgError:
            basis, triangle = np.linalg.qr(design)
            return basis, np.linalg.inv(triangle)
        basis, back = basis @ factor, back @ factor
    return basis, back


def _independent(problem: GeeProblem, tolerance: float) -> _State:
    state = _evaluated(problem, _first_eta(problem), 0)
    # The first linear predictor is not one of the model, so the first step is of the working response itself.
    design = problem.basis * state.root[:, None]
    target = design.T @ (state.root * (state.eta - problem.offset) + np.sqrt(problem.weights) * state.pearson)
    eta = problem.offset + problem.basis @ np.linalg.solve(design.T @ design, target)
    state = _evaluated(problem, eta, 1)
    while state.status is GeeStatus.ESTIMATED and state.iterations < _MAX_ITERATIONS:
        design = problem.basis * state.root[:, None]
        score = design.T @ (np.sqrt(problem.weights) * state.pearson)
        step = problem.basis @ np.linalg.solve(design.T @ design, score)
        state = _evaluated(problem, state.eta + step, state.iterations + 1)
        if np.abs(step).max() <= tolerance * _size(problem, state):
            return state
    return _stopped(state)


def _correlated(problem: GeeProblem, state: _State) -> GeeSolution:
    structure, root_weight = problem.structure, np.sqrt(problem.weights)
    scale = float(problem.weights @ state.pearson**2 / problem.weights.sum())
    moments = structure.estimate(state.pearson / np.sqrt(scale), problem.weights)
    while state.status is GeeStatus.ESTIMATED and state.iterations < _MAX_ITERATIONS:
        used = structure.nearest_possible(moments)
        rows = np.column_stack([problem.basis * state.root[:, None], root_weight * state.pearson])
        rows = structure.whitened(rows, used)
        products = rows.T @ rows
        step = problem.basis @ np.linalg.solve(products[:-1, :-1], products[:-1, -1])
        state = _evaluated(problem, state.eta + step, state.iterations + 1)
        scale = float(problem.weights @ state.pearson**2 / problem.weights.sum())
        before, moments = moments, structure.estimate(state.pearson / np.sqrt(scale), problem.weights)
        moved = float(np.max(np.abs(np.nan_to_num(moments - before)), initial=0.0))
        if np.abs(step).max() <= _TOLERANCE * _size(problem, state) and moved <= _TOLERANCE:
            return _solution(problem, state, moments)
    return _solution(problem, _stopped(state), moments)


def _solution(problem: GeeProblem, state: _State, moments: FloatArray) -> GeeSolution:
    structure, status = problem.structure, state.status
    if status is GeeStatus.ESTIMATED and not structure.possible(moments):
        status = GeeStatus.IMPOSSIBLE_CORRELATION
    rows = np.column_stack([problem.basis * state.root[:, None], np.sqrt(problem.weights) * state.pearson])
    if status is GeeStatus.ESTIMATED:
        rows = structure.whitened(rows, moments)
    linear_predictor, fitted = np.empty_like(state.eta), np.empty_like(state.eta)
    linear_predictor[problem.order], fitted[problem.order] = state.eta, state.mean
    return GeeSolution(
        status=status,
        coefficients=problem.back @ (problem.basis.T @ (state.eta - problem.offset)),
        scale=float(problem.weights @ state.pearson**2 / problem.weights.sum()),
        correlation=moments,
        linear_predictor=linear_predictor,
        fitted=fitted,
        whitened=rows[:, :-1],
        residual=rows[:, -1],
        iterations=state.iterations,
    )


def _first_eta(problem: GeeProblem) -> FloatArray:
    """Return a linear predictor near the outcome."""
    y = problem.outcome
    if problem.family == "binomial":
        return np.asarray(np.where(y > 0.5, 1.0, -1.0) * np.log(3.0))
    return np.log(y + 0.5) if problem.family == "poisson" else y


def _evaluated(problem: GeeProblem, eta: FloatArray, iterations: int) -> _State:
    y = problem.outcome
    if problem.family == "gaussian":
        mean, variance = eta, np.ones_like(eta)
        largest = float(np.abs(y).max())
        # With an offset the residual is small beside the linear predictor, not the outcome.
        exact = iterations > 0 and float(np.abs(y - mean).max()) <= _EXACT_FIT * largest
        left = not np.isfinite(eta).all()
    else:
        mean = expit(eta) if problem.family == "binomial" else np.exp(np.minimum(eta, _OVERFLOW_ETA))
        variance = mean * expit(-eta) if problem.family == "binomial" else mean
        exact = iterations > 0 and float(np.abs(y - mean).max()) <= _EXACT_FIT * max(float(y.max()), 1.0)
        highest = _LARGEST_ETA if problem.family == "binomial" else _OVERFLOW_ETA
        centred = eta if problem.family == "binomial" else eta - problem.offset
        left = not bool(np.all((centred > -_LARGEST_ETA) & (centred < highest)))
    status = GeeStatus.EXACT_FIT if exact else GeeStatus.NOT_CONVERGED if left else GeeStatus.ESTIMATED
    root = np.sqrt(variance)
    return _State(eta, mean, (y - mean) / root, np.sqrt(problem.weights) * root, status, iterations)


def _size(problem: GeeProblem, state: _State) -> float:
    """Return what the last step must be small beside, above the rounding of the step itself."""
    if problem.family == "gaussian":
        return float(np.sqrt(np.mean(state.pearson**2))) + 1e-3 * float(np.abs(problem.outcome).max())
    return 1.0 + float(np.abs(state.eta).max())


def _stopped(state: _State) -> _State:
    """Return the state as it is, not converged unless it has another reason."""
    status = GeeStatus.NOT_CONVERGED if state.status is GeeStatus.ESTIMATED else state.status
    return _State(state.eta, state.mean, state.pearson, state.root, status, state.iterations)
