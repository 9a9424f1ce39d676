"""Newton's method for a log-likelihood that need not be concave everywhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from analyses.kernels.grouped_sums import FloatArray

MAX_STEPS = 200
NEAR = 1e-10
"""Share of the log-likelihood a step may still promise where the maximum counts as found, but for its last digits."""
SINGULAR = 1e-11
"""A direction whose information is below this share of the largest, on the scale of a correlation, is flat."""


@dataclass(frozen=True, slots=True)
class Likelihood:
    """Log-likelihood of ``p`` parameters with its first and second derivatives, and each row's own first ones.

    ``value`` is minus infinity outside of the parameter space; ``scores`` has shape ``(n, p)``.
    """

    value: float
    gradient: FloatArray
    hessian: FloatArray
    scores: FloatArray


@dataclass(frozen=True, slots=True)
class Maximum:
    """Where Newton's method ended.

    Attributes
    ----------
    parameters
        Shape ``(p,)``.
    at
        The likelihood there.
    variance
        Shape ``(p, p)``: inverse of the negative second derivatives, NaN unless converged.
    converged
        Whether the gradient is zero and the second derivatives are negative definite.
    """

    parameters: FloatArray
    at: Likelihood
    variance: FloatArray
    converged: bool


def maximise(likelihood: Callable[[FloatArray], Likelihood], start: FloatArray) -> Maximum:
    """Climb from ``start``, which must lie in the parameter space, by damped Newton steps.

    Where the likelihood is not concave the step follows the gradient in the directions that curve upwards. A maximum
    at infinity shows as second derivatives that vanish, and is not converged.

    Examples
    --------
    >>> def bell(x):
    ...     return Likelihood(-float((x[0] - 2) ** 2), -2 * (x - 2), np.array([[-2.0]]), -2 * (x - 2)[None])
    >>> maximise(bell, np.zeros(1)).parameters.tolist()
    [2.0]
    """
    parameters, at = start, likelihood(start)
    for _ in range(MAX_STEPS):
        step, definite = _step(at)
        if definite and float(step @ at.gradient) <= NEAR * max(1.0, abs(at.value)):
            parameters, at = _polished(likelihood, parameters, at)
            return Maximum(parameters, at, np.asarray(np.linalg.inv(-at.hessian), dtype=np.float64), True)
        moved = _climbed(likelihood, parameters, at, step)
        if moved is None:
            break
        parameters, at = moved
    return Maximum(parameters, at, np.full_like(at.hessian, np.nan), False)


def _polished(
    likelihood: Callable[[FloatArray], Likelihood], parameters: FloatArray, at: Likelihood
) -> tuple[FloatArray, Likelihood]:
    """Take full steps for as long as they shrink: here differences of the likelihood are rounding error."""
    step, _ = _step(at)
    while True:
        tried = parameters + step
        there = likelihood(tried)
        next_step, definite = _step(there)
        if not definite or float(next_step @ there.gradient) >= float(step @ at.gradient):
            return parameters, at
        parameters, at, step = tried, there, next_step


def _step(at: Likelihood) -> tuple[FloatArray, bool]:
    """Return the step, and whether the second derivatives are safely negative definite."""
    size = np.sqrt(np.abs(np.diag(at.hessian)))
    size = np.where(size > 0, size, 1.0)
    values, vectors = np.linalg.eigh(-at.hessian / np.outer(size, size))
    definite = bool(values[0] > SINGULAR * values[-1])
    values = np.maximum(np.abs(values), SINGULAR * max(float(np.abs(values).max()), SINGULAR))
    return np.asarray(vectors @ (vectors.T @ (at.gradient / size) / values) / size), definite


def _climbed(
    likelihood: Callable[[FloatArray], Likelihood], parameters: FloatArray, at: Likelihood, step: FloatArray
) -> tuple[FloatArray, Likelihood] | None:
    share = 1.0
    while share > 1e-10:
        tried = parameters + share * step
        there = likelihood(tried)
        if there.value > at.value:
            return tried, there
        share /= 2
    return None
