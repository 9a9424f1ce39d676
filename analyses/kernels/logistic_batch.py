"""Many weighted logistic regressions of one design at once: the refits of a bootstrap."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

_MAX_ITERATIONS = 60
_ETA_TOLERANCE = 1e-9
_LARGEST_ETA = 30.0
_SINGULAR = 1e-11
"""Smallest over largest eigenvalue of the information, in an orthonormal basis of the design, of a usable replicate."""
_BLOCK_NUMBERS = 4_000_000
"""Numbers in one replicates-by-patients array; more replicates are worked through in blocks."""


@dataclass(frozen=True, slots=True)
class LogisticBatchFit:
    """Maximum-likelihood logistic regressions, one per replicate.

    Parameters
    ----------
    coefficients
        Shape (B, p), log odds ratios; NaN in a replicate that has no finite estimate.
    converged
        Shape (B,). False where the weighted rows of a replicate are separated or leave a column constant or collinear.
    iterations
        Newton steps taken by the slowest replicate.
    """

    coefficients: FloatArray
    converged: BoolArray
    iterations: int

    def probability(self, design: FloatArray) -> FloatArray:
        """Return the fitted probabilities of rows of ``design``, shape (B, rows); NaN where not converged."""
        return np.asarray(expit(self.coefficients @ design.T), dtype=np.float64)


def fit_logistic_batch(
    design: FloatArray, outcome: FloatArray, weights: FloatArray, *, start: FloatArray | None = None
) -> LogisticBatchFit:
    """Fit one weighted logistic regression per row of ``weights``, all by Newton's method side by side.

    Parameters
    ----------
    design
        Shape (n, p), with its intercept column if one is wanted; of full column rank.
    outcome
        Shape (n,), or (B, n) where replicates differ in it: zeros and ones, or shares between them.
    weights
        Shape (B, n), not negative: for a bootstrap, how often each patient was drawn. A row of ones gives the plain
        maximum-likelihood fit.
    start
        Shape (p,), coefficients to start from, zeros if left out. The coefficients of all patients save a step or two
        of a bootstrap and change nothing beyond rounding.

    Returns
    -------
    LogisticBatchFit
        Look at ``converged``: a bootstrap counts the replicates it leaves out.

    References
    ----------
    McCullagh P, Nelder JA. Generalized Linear Models, 2nd ed. 1989. doi:10.1007/978-1-4899-3242-6

    Examples
    --------
    >>> import numpy as np
    >>> weights = np.array([[1.0, 1.0, 1.0, 1.0], [3.0, 1.0, 0.0, 4.0], [1.0, 1.0, 1.0, 0.0]])
    >>> fit = fit_logistic_batch(np.ones((4, 1)), np.array([1.0, 1.0, 1.0, 0.0]), weights)
    >>> np.round(np.exp(fit.coefficients[:, 0]), 6).tolist(), fit.converged.tolist()
    ([3.0, 1.0, nan], [True, True, False])
    """
    replicates, columns = len(weights), design.shape[1]
    basis, triangle = np.linalg.qr(design)
    # Products of pairs of columns turn every replicate's information into one matrix product.
    upper = np.triu_indices(columns)
    products = basis[:, upper[0]] * basis[:, upper[1]]
    first = np.zeros(columns) if start is None else triangle @ start
    in_basis = np.full((replicates, columns), np.nan)
    iterations = 0
    size = max(1, _BLOCK_NUMBERS // len(design))
    for low in range(0, replicates, size):
        block = slice(low, min(low + size, replicates))
        own = outcome if outcome.ndim == 1 else outcome[block]
        in_basis[block], taken = _newton(basis, products, upper, own, weights[block], first)
        if start is not None and np.isnan(in_basis[block]).any():  # so that a poor start never decides who converges
            again = low + np.flatnonzero(np.isnan(in_basis[block]).any(axis=1))
            own = outcome if outcome.ndim == 1 else outcome[again]
            in_basis[again], more = _newton(basis, products, upper, own, weights[again], np.zeros(columns))
            taken = max(taken, more)
        iterations = max(iterations, taken)
    coefficients = np.linalg.solve(triangle, in_basis.T).T
    return LogisticBatchFit(coefficients, ~np.isnan(in_basis).any(axis=1), iterations)


def _newton(
    basis: FloatArray,
    products: FloatArray,
    upper: tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]],
    outcome: FloatArray,
    weights: FloatArray,
    first: FloatArray,
) -> tuple[FloatArray, int]:
    """Return coefficients in the basis, NaN where there are none, and the steps taken."""
    found = np.full((len(weights), basis.shape[1]), np.nan)
    active = np.flatnonzero(_identified(products, upper, weights))
    coefficients = np.tile(first, (len(active), 1))
    iteration = 0
    case = weights if len(active) == len(weights) else weights[active]
    target = outcome if outcome.ndim == 1 else outcome[active]
    probability = expit(coefficients @ basis.T)
    while len(active) and iteration < _MAX_ITERATIONS:
        iteration += 1
        gradient = (case * (target - probability)) @ basis
        information = _symmetric((case * (probability * (1 - probability))) @ products, upper)
        step = _solve(information, gradient)
        coefficients = coefficients + step
        moved = np.abs(step @ basis.T)
        eta = coefficients @ basis.T
        np.multiply(moved, case > 0, out=moved)
        done = moved.max(axis=1) <= _ETA_TOLERANCE
        lost = np.max(np.abs(eta) * (case > 0), axis=1) > _LARGEST_ETA
        found[active[done & ~lost]] = coefficients[done & ~lost]
        if np.any(done | lost):
            kept = ~(done | lost)
            active, coefficients, eta, case = active[kept], coefficients[kept], eta[kept], case[kept]
            target = target if target.ndim == 1 else target[kept]
        probability = expit(eta)
    return found, iteration


def _solve(information: FloatArray, gradient: FloatArray) -> FloatArray:
    try:
        return np.asarray(np.linalg.solve(information, gradient[:, :, None])[:, :, 0])
    except np.linalg.LinAlgError:  # a separated replicate on its way out
        return np.asarray((np.linalg.pinv(information, hermitian=True) @ gradient[:, :, None])[:, :, 0])


def _identified(
    products: FloatArray, upper: tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]], weights: FloatArray
) -> BoolArray:
    """Tell in which replicates the rows with weight leave the columns independent."""
    spread = np.linalg.eigvalsh(_symmetric(weights @ products, upper))
    return np.asarray((spread[:, -1] > 0) & (spread[:, 0] > _SINGULAR * spread[:, -1]))


def _symmetric(packed: FloatArray, upper: tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]) -> FloatArray:
    size = int(upper[0].max()) + 1
    full = np.empty((len(packed), size, size))
    full[:, upper[0], upper[1]] = packed
    full[:, upper[1], upper[0]] = packed
    return full
