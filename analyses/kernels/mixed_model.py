"""Linear mixed models with one grouping factor, by the likelihood profiled to the covariance of the random effects.

The outcome of subject ``i`` is ``X_i b + Z_i u_i + e_i`` with ``u_i ~ N(0, s2 L L')`` and ``e_i ~ N(0, s2 I)``. Given
the lower-triangular ``L`` the fixed effects and ``s2`` have closed forms, so that the search is over one number (a
random intercept) or three (intercept and slope). All it needs of a subject are the cross-products of ``Z_i`` with
``Z_i``, ``X_i`` and ``y_i``, summed once; a step of the search costs the same whatever the number of visits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]

EXHAUSTED = 1e-13
"""Share of the sum of squares that is rounding: where random effects leave no more, the likelihood is unbounded."""
SINGULAR = 1e-4
"""Below it a relative standard deviation of a random effect counts as zero, as in lme4."""
_STARTS = (1.0, 0.2, 4.0)
_LARGEST_RELATIVE_SD = 1e5
_GRADIENT_TOLERANCE = 1e-7
"""Times the number of rows: the deviance is a sum over them."""
_NEWTON_STEPS = 25
_DIFFERENCE = 1e-5


@dataclass(frozen=True, slots=True, eq=False)
class MixedModelFit:
    """A linear mixed model at its (restricted) maximum likelihood.

    Attributes
    ----------
    coefficients
        Fixed effects, shape ``(p,)``.
    covariance
        Their covariance given the variance components, ``s2 (X' V^-1 X)^-1``, shape ``(p, p)``.
    random_covariance
        Covariance of the random effects, shape ``(q, q)``.
    residual_variance
        Variance of one measurement around its subject's line.
    log_likelihood
        At the maximum; the restricted one under REML.
    converged
        Whether the gradient vanished; otherwise nothing else is an estimate.
    singular
        Whether a combination of the random effects has no variance: the maximum lies on the boundary.
    """

    coefficients: FloatArray
    covariance: FloatArray
    random_covariance: FloatArray
    residual_variance: float
    log_likelihood: float
    converged: bool
    singular: bool


def fit_mixed_model(
    design: FloatArray, outcome: FloatArray, random: FloatArray, subject: IntArray, *, reml: bool
) -> MixedModelFit:
    """Maximise the likelihood (or the restricted one) of a linear mixed model.

    Parameters
    ----------
    design
        Fixed effects, shape ``(n, p)``, of full column rank, ``p < n``.
    outcome
        Shape ``(n,)``.
    random
        Columns with random effects, shape ``(n, q)``, of full column rank.
    subject
        Number of each row's subject from 0, shape ``(n,)``; every number up to the largest occurs.
    reml
        Restricted maximum likelihood.

    Returns
    -------
    MixedModelFit
        Look at ``converged`` first.

    Notes
    -----
    Columns of ``random`` are made orthogonal and of unit mean square before the search and the covariance is carried
    back, so that neither the unit nor the origin of time matters. From each of three starts the search is by BFGS on
    exact derivatives, and the best end is refined by Newton steps. A zero variance is an inner point of this
    parametrisation (the likelihood is even in ``L``) and needs no bounds.

    References
    ----------
    Bates D, Maechler M, Bolker B, Walker S. Fitting linear mixed-effects models using lme4. J Stat Softw
    2015;67(1):1-48. doi:10.18637/jss.v067.i01

    Examples
    --------
    One-way layout of 2 subjects with 2 rows: within mean square 2, between 8, so the variance between is (8 - 2) / 2.

    >>> ones = np.ones((4, 1))
    >>> fit = fit_mixed_model(ones, np.array([0.0, 2.0, 3.0, 5.0]), ones, np.array([0, 0, 1, 1]), reml=True)
    >>> round(float(fit.residual_variance), 6), round(float(fit.random_covariance[0, 0]), 6)
    (2.0, 3.5)
    """
    problem = _Problem(design, outcome, random, subject, reml)
    theta, converged = _minimise(problem)
    factor = problem.factor(theta)
    weakest = float(np.linalg.svd(factor, compute_uv=False)[-1])
    if converged and weakest < SINGULAR:
        factor = _on_boundary(problem, factor)
    at = problem.evaluate(factor)
    variance = at.residual_sum / problem.freedom * problem.scale**2
    back = problem.random_back @ factor
    inverse = np.linalg.inv(at.information)
    coefficients = problem.ordinary + problem.scale * (problem.design_back @ at.coefficients)
    return MixedModelFit(
        coefficients=coefficients,
        covariance=np.asarray(variance * problem.design_back @ inverse @ problem.design_back.T),
        random_covariance=np.asarray(variance * back @ back.T),
        residual_variance=variance,
        log_likelihood=-0.5 * (at.deviance + problem.constant),
        converged=converged and at.residual_sum > EXHAUSTED * problem.yy,
        singular=weakest < SINGULAR,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Evaluation:
    deviance: float
    gradient: FloatArray
    """By the elements of the relative factor, shape (q, q); only the lower triangle is free."""
    coefficients: FloatArray
    information: FloatArray
    residual_sum: float


class _Problem:
    """Cross-products of the data in coordinates that keep the search well scaled."""

    def __init__(
        self, design: FloatArray, outcome: FloatArray, random: FloatArray, subject: IntArray, reml: bool
    ) -> None:
        rows, columns = design.shape
        basis, triangle = np.linalg.qr(design)
        fitted = basis.T @ outcome
        residual = outcome - basis @ fitted
        residual -= basis @ (basis.T @ residual)
        self.design_back = np.linalg.inv(triangle)
        self.ordinary = np.asarray(self.design_back @ fitted)
        self.scale = float(np.sqrt(np.mean(residual**2))) or 1.0
        self.rows, self.reml = rows, reml
        self.freedom = rows - columns if reml else rows
        # 2 log |det R| is what the orthonormal columns take from the determinant of X' V^-1 X.
        self.constant = 2 * self.freedom * float(np.log(self.scale)) + self.freedom * (1 + float(np.log(2 * np.pi)))
        if reml:
            self.constant += 2 * float(np.sum(np.log(np.abs(np.diag(triangle)))))
        z, z_triangle = np.linalg.qr(random)
        self.random_back = np.linalg.inv(z_triangle) * np.sqrt(rows)
        z = z * np.sqrt(rows)
        y = residual / self.scale
        order = np.argsort(subject, kind="stable")
        starts = np.flatnonzero(np.diff(subject[order], prepend=-1))

        def by_subject(left: FloatArray, right: FloatArray) -> FloatArray:
            products = left[order][:, :, None] * right[order][:, None, :]
            return np.asarray(np.add.reduceat(products, starts, axis=0))

        self.zz, self.zx = by_subject(z, z), by_subject(z, basis)
        self.zy = by_subject(z, y[:, None])[:, :, 0]
        self.yy = float(y @ y)
        self.size = random.shape[1]
        self.lower = np.tril_indices(self.size)

    def factor(self, theta: FloatArray) -> FloatArray:
        factor = np.zeros((self.size, self.size))
        factor[self.lower] = theta
        return factor

    def evaluate(self, factor: FloatArray) -> _Evaluation:
        """Profiled deviance, without its constant, and its derivative by the factor."""
        inner = np.eye(self.size) + factor.T @ self.zz @ factor
        _, log_determinant = np.linalg.slogdet(inner)
        kernel = factor @ np.linalg.solve(inner, np.broadcast_to(factor.T, inner.shape))
        shrunk = np.eye(self.size) - self.zz @ kernel
        zx = shrunk @ self.zx
        zy = np.einsum("iab,ib->ia", shrunk, self.zy)
        kernel_zx = kernel @ self.zx
        information = np.eye(self.zx.shape[2]) - np.einsum("iap,iaq->pq", self.zx, kernel_zx)
        score = -np.einsum("iap,ia->p", kernel_zx, self.zy)
        coefficients = np.linalg.solve(information, score)
        residual_sum = self.yy - float(np.einsum("ia,iab,ib->", self.zy, kernel, self.zy)) - float(coefficients @ score)
        residual_sum = max(residual_sum, EXHAUSTED * self.yy)
        deviance = float(log_determinant.sum()) + self.freedom * float(np.log(residual_sum / self.freedom))
        pull = zy - zx @ coefficients
        slope = (shrunk @ self.zz).sum(axis=0) - self.freedom / residual_sum * pull.T @ pull
        if self.reml:
            deviance += float(np.linalg.slogdet(information)[1])
            slope = slope - np.einsum("iap,pq,ibq->ab", zx, np.linalg.inv(information), zx)
        return _Evaluation(deviance, 2 * slope @ factor, coefficients, information, residual_sum)

    def value_and_gradient(self, theta: FloatArray) -> tuple[float, FloatArray]:
        at = self.evaluate(self.factor(theta))
        return at.deviance, at.gradient[self.lower]


def _minimise(problem: _Problem) -> tuple[FloatArray, bool]:
    from scipy.optimize import minimize

    best, lowest = np.zeros(len(problem.lower[0])), np.inf
    for start in _STARTS:
        theta = problem.factor(np.zeros_like(best))
        np.fill_diagonal(theta, start)
        found = minimize(
            problem.value_and_gradient,
            theta[problem.lower],
            jac=True,
            method="BFGS",
            options={"gtol": _GRADIENT_TOLERANCE, "maxiter": 500},
        )
        if found.fun < lowest:
            best, lowest = np.asarray(found.x, dtype=np.float64), float(found.fun)
    best = _newton(problem, best)
    gradient = problem.value_and_gradient(best)[1]
    within = float(np.abs(best).max()) < _LARGEST_RELATIVE_SD
    return best, within and float(np.abs(gradient).max()) <= _GRADIENT_TOLERANCE * problem.rows


def _newton(problem: _Problem, theta: FloatArray) -> FloatArray:
    """Refine by Newton steps, the second derivative by central differences of the exact first one."""
    value, gradient = problem.value_and_gradient(theta)
    for _ in range(_NEWTON_STEPS):
        shifts = _DIFFERENCE * np.maximum(1.0, np.abs(theta)) * np.eye(len(theta))
        columns = [
            (problem.value_and_gradient(theta + shift)[1] - problem.value_and_gradient(theta - shift)[1])
            / (2 * shift.sum())
            for shift in shifts
        ]
        curvature = np.array(columns)
        step, *_ = np.linalg.lstsq(0.5 * (curvature + curvature.T), -gradient, rcond=1e-10)
        moved_value, moved_gradient = problem.value_and_gradient(theta + step)
        downhill = moved_value <= value + 1e-12 * abs(value)
        if not (downhill and float(np.abs(moved_gradient).max()) < float(np.abs(gradient).max())):
            break
        theta, value, gradient = theta + step, moved_value, moved_gradient
    return theta


def _on_boundary(problem: _Problem, factor: FloatArray) -> FloatArray:
    """Set the vanishing direction to exactly zero if the likelihood is no worse for it."""
    left, sizes, right = np.linalg.svd(factor)
    sizes = np.where(sizes < SINGULAR, 0.0, sizes)
    reduced = (left * sizes) @ right
    worse = problem.evaluate(reduced).deviance - problem.evaluate(factor).deviance
    return reduced if worse <= 1e-8 else factor
