"""Variances of the coefficients of generalised estimating equations: model-based, and three sandwiches."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from analyses.kernels.gee import GeeProblem, GeeSolution

FloatArray = NDArray[np.float64]
Variance = Literal["robust", "mancl_derouen", "kauermann_carroll", "model"]

_LARGEST_LEVERAGE = 1 - 1e-9
_BLOCK = 4_000_000
"""Numbers held at once by the products of rows with themselves."""


def gee_variance(problem: GeeProblem, solution: GeeSolution, variance: Variance) -> FloatArray:
    """Return the covariance matrix of the coefficients.

    Parameters
    ----------
    problem, solution
        A converged fit.
    variance
        ``model``, the scale times the inverse information, right only if the working correlation is; ``robust``, the
        sandwich; ``mancl_derouen`` and ``kauermann_carroll``, sandwiches whose residuals are first multiplied by
        ``(I - H_i)^-1`` and ``(I - H_i)^-1/2``, with ``H_i`` the leverage of the cluster.

    Returns
    -------
    array
        Shape ``(p, p)``. NaN throughout for the corrected sandwiches when a cluster has leverage one: it alone then
        determines a coefficient, its residual is zero whatever the data, and the correction divides zero by zero.

    References
    ----------
    Liang KY, Zeger SL. Biometrika 1986;73:13-22. doi:10.1093/biomet/73.1.13. Mancl LA, DeRouen TA. Biometrics
    2001;57:126-134. doi:10.1111/j.0006-341X.2001.00126.x. Kauermann G, Carroll RJ. J Am Stat Assoc 2001;96:1387-1396.
    doi:10.1198/016214501753382309
    """
    design, residual = solution.whitened, solution.residual
    values, vectors = np.linalg.eigh(design.T @ design)
    # In this basis the information is the identity, so that leverages are the clusters' own parts of it.
    root = vectors / np.sqrt(values)
    design = design @ root
    back = problem.back @ root
    if variance == "model":
        return np.asarray(solution.scale * back @ back.T, dtype=np.float64)
    scores = problem.clusters.sums(design * residual[:, None])
    if variance != "robust":
        scores = _corrected(problem, design, scores, -1.0 if variance == "mancl_derouen" else -0.5)
    scores = scores @ back.T
    return np.asarray(scores.T @ scores, dtype=np.float64)


def _corrected(problem: GeeProblem, design: FloatArray, scores: FloatArray, power: float) -> FloatArray:
    """Multiply the score of each cluster by ``(I - A_i) ** power``, ``A_i`` its part of the information.

    That is the same as correcting its residuals by its leverage, and smaller: p by p instead of visits by visits.
    """
    clusters, p = problem.clusters, design.shape[1]
    out = np.empty_like(scores)
    ends = clusters.starts + clusters.sizes
    first = 0
    while first < len(ends):
        start = int(clusters.starts[first])
        last = max(int(np.searchsorted(ends, start + max(_BLOCK // p**2, 1), side="right")), first + 1)
        rows = design[start : int(ends[last - 1])]
        part = np.add.reduceat(rows[:, :, None] * rows[:, None, :], clusters.starts[first:last] - start, axis=0)
        leverage, directions = np.linalg.eigh(part)
        if float(leverage.max()) >= _LARGEST_LEVERAGE:
            return np.full_like(scores, np.nan)
        turned = np.einsum("kij,ki->kj", directions, scores[first:last])
        out[first:last] = np.einsum("kij,kj->ki", directions, turned * (1 - leverage) ** power)
        first = last
    return out
