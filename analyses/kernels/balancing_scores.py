"""Weights solved for so that covariates balance: exponential tilting to given totals, and balancing propensity scores.

All three are M-estimators. Each solution carries the influence of every row on its coefficients, from which the
variance of whatever is computed with the weights follows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

_MAX_ITERATIONS = 200
_MAX_HALVINGS = 40
_ETA_TOLERANCE = 1e-10
_LARGEST_ETA = 40.0
_MOMENT_TOLERANCE = 1e-10
_RANK_TOLERANCE = 1e-10


@dataclass(frozen=True, slots=True)
class Tilting:
    """Weights ``exp(x' coefficients)`` whose weighted totals are those asked for.

    Parameters
    ----------
    coefficients
        Shape (p,).
    weights
        Shape (n,), all positive.
    hessian
        Shape (p, p), ``sum(w x x')``: the derivative of the totals by the coefficients.
    converged
        False when no such weights were found: the totals lie outside what the rows can be weighted to.
    """

    coefficients: FloatArray
    weights: FloatArray
    hessian: FloatArray
    converged: bool


@dataclass(frozen=True, slots=True)
class BalancingScore:
    """A logistic propensity score fitted to balance covariates.

    Parameters
    ----------
    coefficients
        Shape (p,), log odds ratios of treatment.
    influence
        Shape (n, p), of each row on the coefficients; the outer product is their variance.
    probability
        Shape (n,).
    statistic, degrees_of_freedom
        Over-identification test; 0 and 0 for a just-identified score.
    converged
        False when there is no finite solution.
    """

    coefficients: FloatArray
    influence: FloatArray
    probability: FloatArray
    statistic: float
    degrees_of_freedom: int
    converged: bool


def tilt_to_totals(design: FloatArray, totals: FloatArray) -> Tilting:
    """Find weights ``exp(x' c)`` with ``sum(w x)`` equal to ``totals``: the dual of entropy balancing.

    Parameters
    ----------
    design
        Shape (n, p), with a column of ones, of full column rank.
    totals
        Shape (p,); that of the column of ones is the sum of the weights.

    Returns
    -------
    Tilting
        Among all positive weights with these totals, those of largest entropy. The dual is convex: Newton's method
        with halved steps finds its minimum whenever there is one.

    References
    ----------
    Hainmueller J. Entropy balancing for causal effects. Polit Anal 2012;20:25-46. doi:10.1093/pan/mpr025

    Examples
    --------
    Two rows at 0 and 1 that are to have a mean of 0.75 and a sum of 4.

    >>> import numpy as np
    >>> tilt_to_totals(np.array([[1.0, 0.0], [1.0, 1.0]]), np.array([4.0, 3.0])).weights.round(9).tolist()
    [1.0, 3.0]
    """
    basis, triangle = np.linalg.qr(design)
    wanted = np.linalg.solve(triangle.T, totals)
    level = float(np.log(totals[0] / len(design))) if totals[0] > 0 else 0.0
    coefficients = basis.T @ np.full(len(design), level)

    def value_of(at: FloatArray) -> float:
        return float(np.sum(np.exp(np.minimum(basis @ at, 700.0))) - wanted @ at)

    weights = np.exp(basis @ coefficients)
    value, converged = value_of(coefficients), False
    for _ in range(_MAX_ITERATIONS):
        hessian = (basis * weights[:, None]).T @ basis
        step = _newton_step(hessian, wanted - basis.T @ weights)
        coefficients, value, moved = _damped(value_of, coefficients, step, value)
        eta = basis @ coefficients
        weights = np.exp(eta)
        if moved is None or np.ptp(eta) > 2 * _LARGEST_ETA:
            break
        if np.max(np.abs(basis @ moved)) <= _ETA_TOLERANCE:
            gap = np.abs(design.T @ weights - totals)
            converged = bool(np.all(gap <= _MOMENT_TOLERANCE * (np.abs(design).T @ weights)))
            break
    back = np.linalg.inv(triangle)
    hessian = (design * weights[:, None]).T @ design
    return Tilting(np.asarray(back @ coefficients), weights, hessian, converged)


def balancing_score_all(design: FloatArray, treated: BoolArray) -> BalancingScore:
    """Fit the score whose inverse-probability weights give both arms the same covariate totals (ATE).

    Parameters
    ----------
    design
        Shape (n, p), with its intercept, of full column rank.
    treated
        Shape (n,).

    Returns
    -------
    BalancingScore
        The solution of ``sum(x t / e) = sum(x (1 - t) / (1 - e))``, unique because it maximises a concave function;
        there is none when the covariates separate the arms.

    References
    ----------
    Imai K, Ratkovic M. Covariate balancing propensity score. J R Stat Soc B 2014;76:243-263. doi:10.1111/rssb.12027.
    Zhao Q. Covariate balancing propensity score by tailored loss functions. Ann Stat 2019;47:965-993.
    doi:10.1214/18-AOS1698
    """
    basis, triangle = np.linalg.qr(design)
    coefficients = np.zeros(design.shape[1])
    sign = np.where(treated, 1.0, -1.0)

    def value_of(at: FloatArray) -> float:
        eta = sign * (basis @ at)
        return float(np.sum(np.exp(np.minimum(-eta, 700.0)) - eta))

    value, converged, eta = value_of(coefficients), False, np.zeros(len(design))
    for _ in range(_MAX_ITERATIONS):
        decay = np.exp(-sign * eta)
        step = _newton_step((basis * decay[:, None]).T @ basis, basis.T @ (sign * (1 + decay)))
        coefficients, value, moved = _damped(value_of, coefficients, step, value)
        eta = basis @ coefficients
        if moved is None or np.max(np.abs(eta)) > _LARGEST_ETA:
            break
        if np.max(np.abs(basis @ moved)) <= _ETA_TOLERANCE:
            converged = True
            break
    decay = np.exp(-sign * eta)
    moments = (sign * (1 + decay))[:, None] * basis
    bread = np.linalg.pinv((basis * decay[:, None]).T @ basis, hermitian=True)
    back = np.linalg.inv(triangle)
    return BalancingScore(np.asarray(back @ coefficients), moments @ bread @ back.T, expit(eta), 0.0, 0, converged)


def overidentified_score(
    design: FloatArray, treated: BoolArray, start: FloatArray, *, target: str = "all"
) -> BalancingScore:
    """Fit the score to its likelihood equations and to balance at once, by the generalised method of moments.

    Parameters
    ----------
    design
        Shape (n, p), with its intercept, of full column rank.
    treated
        Shape (n,).
    start
        Shape (p,), the maximum-likelihood coefficients, at which the weight matrix of the moments is computed.
    target
        ``"all"`` balances inverse-probability weights of both arms (ATE), ``"treated"`` the odds weights of the
        reference arm (ATT).

    Returns
    -------
    BalancingScore
        Two steps: the weight matrix is the model's own variance of the moments at ``start``, and stays. ``statistic``
        is Hansen's J on the rank of the moments minus p degrees of freedom. The influence takes the matrix as fixed.

    References
    ----------
    Imai K, Ratkovic M. J R Stat Soc B 2014;76:243-263. doi:10.1111/rssb.12027
    """
    basis, triangle = np.linalg.qr(design)
    basis = basis * np.sqrt(len(design))  # columns of mean square one, so that the moments are of one size
    triangle = triangle / np.sqrt(len(design))
    n, p = basis.shape
    weight, rank = _moment_weight(basis, expit(design @ start), target)
    coefficients = triangle @ start

    def objective(at: FloatArray) -> float:
        mean = _moments(basis, treated, at, target).mean(axis=0)
        return float(mean @ weight @ mean)

    value, converged = objective(coefficients), False
    for _ in range(_MAX_ITERATIONS):
        mean = _moments(basis, treated, coefficients, target).mean(axis=0)
        slope = _moment_slope(basis, treated, coefficients, target)
        flat = slope.T @ weight @ slope
        downhill = -slope.T @ weight @ mean
        step = _newton_step(flat + _moment_bend(basis, treated, coefficients, target, weight @ mean), downhill)
        if step @ downhill <= 0:  # not convex here: Gauss and Newton's step goes down all the same
            step = _newton_step(flat, downhill)
        coefficients, value, moved = _damped(objective, coefficients, step, value)
        if moved is None or np.max(np.abs(basis @ coefficients)) > _LARGEST_ETA:
            break
        if np.max(np.abs(basis @ moved)) <= _ETA_TOLERANCE:
            converged = True
            break
    slope = _moment_slope(basis, treated, coefficients, target)
    bread = np.linalg.pinv(slope.T @ weight @ slope, hermitian=True) @ slope.T @ weight
    back = np.linalg.inv(triangle)
    influence = -_moments(basis, treated, coefficients, target) @ bread.T @ back.T / n
    return BalancingScore(
        np.asarray(back @ coefficients), influence, expit(basis @ coefficients), n * value, rank - p, converged
    )


def _moments(basis: FloatArray, treated: BoolArray, at: FloatArray, target: str) -> FloatArray:
    """Return likelihood and balance moments of each row, shape (n, 2 p)."""
    eta = np.clip(basis @ at, -300.0, 300.0)
    other = -np.exp(eta) if target == "treated" else -(1 + np.exp(eta))
    one = np.ones(len(eta)) if target == "treated" else 1 + np.exp(-eta)
    return np.hstack([(treated - expit(eta))[:, None] * basis, np.where(treated, one, other)[:, None] * basis])


def _moment_slope(basis: FloatArray, treated: BoolArray, at: FloatArray, target: str) -> FloatArray:
    """Return the derivative of the mean moments by the coefficients, shape (2 p, p)."""
    eta = np.clip(basis @ at, -300.0, 300.0)
    probability = expit(eta)
    own = np.zeros(len(eta)) if target == "treated" else np.exp(-eta)
    balance = np.where(treated, own, np.exp(eta))
    spread = probability * (1 - probability)
    return -np.vstack([(basis * spread[:, None]).T @ basis, (basis * balance[:, None]).T @ basis]) / len(eta)


def _moment_bend(basis: FloatArray, treated: BoolArray, at: FloatArray, target: str, along: FloatArray) -> FloatArray:
    """Return the second derivative of ``along`` times the mean moments, shape (p, p)."""
    eta = np.clip(basis @ at, -300.0, 300.0)
    probability = expit(eta)
    own = np.zeros(len(eta)) if target == "treated" else np.exp(-eta)
    balance = np.where(treated, own, -np.exp(eta))
    p = basis.shape[1]
    likelihood = -probability * (1 - probability) * (1 - 2 * probability)
    curvature = likelihood * (basis @ along[:p]) + balance * (basis @ along[p:])
    return np.asarray((basis * curvature[:, None]).T @ basis / len(eta))


def _moment_weight(basis: FloatArray, probability: FloatArray, target: str) -> tuple[FloatArray, int]:
    """Return the generalised inverse of the moments' variance under the model, and its rank."""
    spread = probability * (1 - probability)
    across = probability if target == "treated" else np.ones(len(probability))
    balance = probability / (1 - probability) if target == "treated" else 1 / spread
    upper, mixed, lower = ((basis * part[:, None]).T @ basis / len(basis) for part in (spread, across, balance))
    values, vectors = np.linalg.eigh(np.block([[upper, mixed], [mixed, lower]]))
    kept = values > _RANK_TOLERANCE * values[-1]
    return np.asarray((vectors[:, kept] / values[kept]) @ vectors[:, kept].T), int(kept.sum())


def _newton_step(hessian: FloatArray, gradient: FloatArray) -> FloatArray:
    try:
        return np.asarray(np.linalg.solve(hessian, gradient))
    except np.linalg.LinAlgError:  # on its way to infinity
        return np.asarray(np.linalg.pinv(hessian, hermitian=True) @ gradient)


def _damped(
    value_of: Callable[[FloatArray], float], at: FloatArray, step: FloatArray, value: float
) -> tuple[FloatArray, float, FloatArray | None]:
    """Halve the step until the value does not rise beyond rounding; None where it never stops rising."""
    for _ in range(_MAX_HALVINGS):
        reached = value_of(at + step)
        if reached <= value + 1e-12 * (1 + abs(value)):
            return at + step, reached, step
        step = step / 2
    return at, value, None
