"""Logistic regression with a weak prior: always finite, for nuisance models of small and separated data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

FloatArray = NDArray[np.float64]

PRIOR_SD = 2.5
"""Of a coefficient per two standard deviations of its column."""
INTERCEPT_PRIOR_SD = 10.0
_MAX_ITERATIONS = 100
_TOLERANCE = 1e-9
_ROUNDING = 1e-10
_QUICK = 0.1
"""Share of the step before below which the next is taken with the same curvature."""


@dataclass(frozen=True, slots=True, eq=False)
class ShrunkenLogistic:
    """Logistic regressions at their posterior modes; ``...`` are the axes of fits made together, if any.

    Attributes
    ----------
    centre, scale
        Shape (..., p): mean and twice the standard deviation of each column; a constant column has scale 1.
    coefficients
        Shape (..., 1 + p): the intercept at the centre, then coefficients of the scaled columns.
    """

    centre: FloatArray
    scale: FloatArray
    coefficients: FloatArray

    def probability(self, columns: FloatArray) -> FloatArray:
        """Return fitted probabilities of rows, shape (..., n)."""
        scaled = (columns - self.centre[..., None, :]) / self.scale[..., None, :]
        return np.asarray(expit(self.coefficients[..., :1] + _times(scaled, self.coefficients[..., 1:])))


def fit_shrunken_logistic(
    columns: FloatArray,
    outcome: FloatArray,
    *,
    weights: FloatArray | None = None,
    start: FloatArray | None = None,
) -> ShrunkenLogistic:
    """Find the posterior mode under independent normal priors with mean zero.

    Parameters
    ----------
    columns
        Shape (..., n, p), without an intercept. Columns may be constant or collinear: the prior decides between them.
        Leading axes are separate fits of one outcome.
    outcome
        Shape (n,), zeros and ones; may be all the same.
    weights
        Of the rows in the likelihood, shape (..., n), positive; by default 1.
    start
        Coefficients to start from, as fits of nearly the same data have them, shape (..., 1 + p).

    Returns
    -------
    ShrunkenLogistic
        Columns are centred and divided by twice their standard deviation; a coefficient then has prior standard
        deviation 2.5 and the intercept 10. With hundreds of patients this moves a well-determined coefficient by
        little, and it keeps one that the data leave infinite within reach. A fit does not depend on those beside it.

    References
    ----------
    Gelman A, Jakulin A, Pittau MG, Su YS. A weakly informative default prior distribution for logistic and other
    regression models. Ann Appl Stat 2008;2:1360-1383. doi:10.1214/08-AOAS191 (they use Cauchy priors)

    Examples
    --------
    >>> import numpy as np
    >>> fit = fit_shrunken_logistic(np.array([[0.0], [0.0], [1.0], [1.0]]), np.array([0.0, 0.0, 1.0, 1.0]))
    >>> bool(0.5 < fit.probability(np.array([[1.0]]))[0] < 1)
    True
    """
    centre = columns.mean(axis=-2)
    spread = 2 * columns.std(axis=-2)
    scale = np.where(spread > 0, spread, 1.0)
    scaled = (columns - centre[..., None, :]) / scale[..., None, :]
    design = np.concatenate([np.ones((*scaled.shape[:-1], 1)), scaled], axis=-1)
    precision = np.array([INTERCEPT_PRIOR_SD**-2] + [PRIOR_SD**-2] * columns.shape[-1])
    sign = 2 * outcome - 1
    weight = np.ones(len(outcome)) if weights is None else weights
    coefficients = np.zeros((*scale.shape[:-1], len(precision))) if start is None else start
    value = _objective(design, sign, weight, precision, coefficients)
    moving = np.ones(value.shape, dtype=np.bool_)
    stale = moving
    curvature = np.empty((*value.shape, len(precision), len(precision)))
    before = np.full(value.shape, np.inf)
    for _ in range(_MAX_ITERATIONS):
        probability = expit(_times(design, coefficients))
        gradient = _times(np.swapaxes(design, -1, -2), weight * (outcome - probability)) - precision * coefficients
        if stale.any():
            variance = weight * probability * (1 - probability)
            curvature[stale] = _precision(design[stale], variance[stale], precision)
        step = np.linalg.solve(curvature, gradient[..., None])[..., 0]
        length = np.abs(step).max(axis=-1)
        moving = moving & (length >= _TOLERANCE)
        if not moving.any():
            break
        # Curvature is most of the work: it is kept as long as steps shrink quickly without it.
        stale = moving & (length > _QUICK * before)
        before = length
        step = np.where(moving[..., None], step, 0.0)
        moved = _objective(design, sign, weight, precision, coefficients + step)
        # The objective is concave, so that a short enough step rises; a fall by rounding does not count.
        while (worse := moved < value - _ROUNDING * (1 + np.abs(value))).any():
            step = np.where(worse[..., None], step / 2, step)
            moved = _objective(design, sign, weight, precision, coefficients + step)
        coefficients, value = coefficients + step, moved
    return ShrunkenLogistic(centre, scale, np.asarray(coefficients))


def _times(matrix: FloatArray, vector: FloatArray) -> FloatArray:
    return np.asarray((matrix @ vector[..., None])[..., 0])


def _precision(design: FloatArray, variance: FloatArray, prior: FloatArray) -> FloatArray:
    return np.asarray(np.swapaxes(design * variance[..., None], -1, -2) @ design + np.diag(prior))


def _objective(
    design: FloatArray, sign: FloatArray, weight: FloatArray, prior: FloatArray, coefficients: FloatArray
) -> FloatArray:
    """Log posterior, without the cancellation of its usual form where fitted probabilities are near 0 or 1."""
    log_likelihood = -(weight * np.logaddexp(0.0, -sign * _times(design, coefficients))).sum(axis=-1)
    return np.asarray(log_likelihood - 0.5 * (prior * coefficients**2).sum(axis=-1))
