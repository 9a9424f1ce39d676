"""Many weighted logistic regressions of one design at once: the refits of a bootstrap."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg.lapack import dtrtrs
from scipy.special import expit

from analyses.kernels.logistic import orthonormal_basis
from analyses.kernels.logistic_climb import climb_all

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

_SINGULAR = 1e-11
"""Smallest over largest eigenvalue of the information, in an orthonormal basis of the design, of a usable replicate."""


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
    basis, triangle = orthonormal_basis(design)
    basis = np.ascontiguousarray(basis)
    outcomes = np.ascontiguousarray(np.atleast_2d(outcome), dtype=np.float64)
    cases = np.ascontiguousarray(weights, dtype=np.float64)
    first = np.zeros(design.shape[1]) if start is None else triangle @ start
    in_basis, independence, iterations = climb_all(basis, outcomes, cases, np.arange(len(cases)), first)
    if start is not None and np.isnan(in_basis).any():  # so that a poor start never decides who converges
        lost = np.flatnonzero(np.isnan(in_basis[:, 0]))
        again, theirs, more = climb_all(basis, outcomes, cases, lost, np.zeros(len(first)))
        in_basis[lost], independence[lost], iterations = again[lost], theirs[lost], max(iterations, more)
    for replicate in np.flatnonzero((independence <= _SINGULAR) & ~np.isnan(in_basis[:, 0])):  # a bound
        if not _identified(basis, cases[replicate]):
            in_basis[replicate] = np.nan
    coefficients = dtrtrs(triangle, in_basis.T)[0].T
    return LogisticBatchFit(coefficients, ~np.isnan(in_basis).any(axis=1), iterations)


def _identified(basis: FloatArray, weights: FloatArray) -> bool:
    """Tell whether the rows with weight leave the columns independent."""
    spread = np.linalg.eigvalsh(basis.T @ (weights[:, None] * basis))
    return bool(spread[-1] > 0 and spread[0] > _SINGULAR * spread[-1])
