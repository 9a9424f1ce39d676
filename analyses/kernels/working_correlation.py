"""Working correlations of the rows of a cluster: moment estimates, and rows carried to where they are uncorrelated.

Every structure reads rows sorted by cluster and, within a cluster, by visit. ``whitened`` multiplies the rows of each
cluster by a square root of the inverse of its correlation matrix, so that whatever is built from them afterwards (the
estimating equations, any sandwich) needs no further word on correlation.

The moment equations are those of the R package geepack: pairs weighted by the product of their weights, denominators
that do not subtract the number of coefficients, and all pairs, not only neighbours, for the autoregressive structure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]

_INSIDE = 1e-3
"""How far from the ends of its range a correlation is kept while the iterations pass through impossible values."""
_MOST_STEPS = 100
_STEP_TOLERANCE = 1e-14
_SMALLEST_EIGENVALUE = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Clusters:
    """Where the clusters lie in sorted rows.

    Attributes
    ----------
    starts, sizes
        Shape ``(K,)``: first row and number of rows of each cluster.
    position
        Shape ``(n,)``: number of each row's visit from 0, increasing within a cluster; only the autoregressive and the
        unstructured correlation read it.
    """

    starts: IntArray
    sizes: IntArray
    position: IntArray

    def sums(self, rows: FloatArray) -> FloatArray:
        """Sum values ``(n,)`` or rows ``(n, q)`` over each cluster, shape ``(K,)`` or ``(K, q)``."""
        if rows.ndim == 1:
            return np.asarray(np.add.reduceat(rows, self.starts))
        # The product with a sparse matrix of ones takes half the time of reduceat along the first axis.
        pointer = np.append(self.starts, len(rows)).astype(np.int32)
        ones = (np.ones(len(rows)), np.arange(len(rows), dtype=np.int32), pointer)
        return np.asarray(csr_array(ones, shape=(len(self.starts), len(rows))) @ rows, dtype=np.float64)

    def spread(self, values: FloatArray) -> FloatArray:
        """Repeat a value or row of each cluster for each of its rows."""
        return np.repeat(values, self.sizes, axis=0)


class WorkingCorrelation(Protocol):
    """What the estimating equations ask of a structure with ``q`` parameters."""

    @property
    def parameters(self) -> int:
        """Number of parameters."""

    def estimate(self, residual: FloatArray, weights: FloatArray) -> FloatArray:
        """Return moment estimates, shape ``(q,)``, from standardised residuals; NaN where no pair informs one."""

    def possible(self, estimate: FloatArray) -> bool:
        """Whether every cluster's correlation matrix is positive definite."""

    def nearest_possible(self, estimate: FloatArray) -> FloatArray:
        """Return an estimate that is possible: the same one if it is."""

    def whitened(self, rows: FloatArray, estimate: FloatArray) -> FloatArray:
        """Return rows ``(n, q)`` multiplied by a square root of the inverse correlation of each cluster."""

    def matrix(self, estimate: FloatArray, size: int) -> FloatArray:
        """Return the correlation matrix of visits 0 to ``size - 1``."""


@dataclass(frozen=True, slots=True, eq=False)
class Independence:
    """No correlation."""

    parameters: int = 0

    def estimate(self, residual: FloatArray, weights: FloatArray) -> FloatArray:  # noqa: ARG002
        """Return an empty array."""
        return np.empty(0)

    def possible(self, estimate: FloatArray) -> bool:  # noqa: ARG002
        """Always."""
        return True

    def nearest_possible(self, estimate: FloatArray) -> FloatArray:
        """Return what is given."""
        return estimate

    def whitened(self, rows: FloatArray, estimate: FloatArray) -> FloatArray:  # noqa: ARG002
        """Return the rows as they are."""
        return rows

    def matrix(self, estimate: FloatArray, size: int) -> FloatArray:  # noqa: ARG002
        """Return the identity."""
        return np.eye(size)


@dataclass(frozen=True, slots=True, eq=False)
class Exchangeable:
    """One correlation for every pair."""

    clusters: Clusters
    parameters: int = 1

    def estimate(self, residual: FloatArray, weights: FloatArray) -> FloatArray:
        """Return the weighted mean product of the residuals of all pairs.

        Examples
        --------
        >>> clusters = Clusters(np.array([0, 2]), np.array([2, 2]), np.array([0, 1, 0, 1]))
        >>> Exchangeable(clusters).estimate(np.array([1.0, 0.5, -1.0, 1.0]), np.ones(4)).tolist()
        [-0.25]
        """
        if int(self.clusters.sizes.max()) == 1:
            return np.array([np.nan])
        weighted = weights * residual
        products = np.sum(self.clusters.sums(weighted) ** 2) - weighted @ weighted
        pairs = np.sum(self.clusters.sums(weights) ** 2) - weights @ weights
        return np.array([products / pairs])

    def possible(self, estimate: FloatArray) -> bool:
        """Whether it lies between -1 / (largest cluster - 1) and 1."""
        low = self._lowest()
        return bool(np.isnan(estimate[0]) or low < estimate[0] < 1)

    def nearest_possible(self, estimate: FloatArray) -> FloatArray:
        """Return it kept inside that range."""
        low = self._lowest()
        inside = _INSIDE * (1 - low)
        return estimate if self.possible(estimate) else np.clip(estimate, low + inside, 1 - inside)

    def whitened(self, rows: FloatArray, estimate: FloatArray) -> FloatArray:
        """Multiply by the symmetric root ``a I + b J`` of the inverse, whose ``b`` depends on the cluster's size."""
        alpha = float(np.nan_to_num(estimate[0]))
        sizes = self.clusters.sizes
        own = 1 / np.sqrt(1 - alpha)
        common = (1 / np.sqrt(1 + (sizes - 1) * alpha) - own) / sizes
        return np.asarray(own * rows + self.clusters.spread(common[:, None] * self.clusters.sums(rows)))

    def matrix(self, estimate: FloatArray, size: int) -> FloatArray:
        """Return the correlation off the diagonal, one on it."""
        return np.asarray(np.where(np.eye(size, dtype=np.bool_), 1.0, estimate[0]), dtype=np.float64)

    def _lowest(self) -> float:
        largest = int(self.clusters.sizes.max())
        return -1 / (largest - 1) if largest > 1 else -1.0


@dataclass(frozen=True, slots=True, eq=False)
class Autoregressive:
    """Correlation ``alpha ** d`` of two visits ``d`` positions apart, seen or not in between."""

    clusters: Clusters
    parameters: int = 1

    def estimate(self, residual: FloatArray, weights: FloatArray) -> FloatArray:
        """Solve the least-squares equation of the products of all pairs on ``alpha ** d``, from zero.

        Without any pair one position apart the search begins at one half, so that of two roots of different sign the
        positive one is taken.

        Examples
        --------
        >>> clusters = Clusters(np.array([0]), np.array([2]), np.array([0, 1]))
        >>> Autoregressive(clusters).estimate(np.array([0.5, 0.6]), np.ones(2)).tolist()
        [0.3]
        """
        gaps, products, pairs = self._moments(residual, weights)
        if not len(gaps):
            return np.array([np.nan])
        alpha = 0.0 if gaps[0] == 1 else 0.5
        for _ in range(_MOST_STEPS):
            slope = gaps * alpha ** (gaps - 1)
            step = float(slope @ (products - pairs * alpha**gaps) / (pairs @ slope**2))
            alpha += step
            if abs(step) <= _STEP_TOLERANCE * max(abs(alpha), 1.0) or not abs(alpha) < 2:
                break
        return np.array([alpha])

    def possible(self, estimate: FloatArray) -> bool:
        """Whether it lies between -1 and 1."""
        return bool(np.isnan(estimate[0]) or abs(estimate[0]) < 1)

    def nearest_possible(self, estimate: FloatArray) -> FloatArray:
        """Return it kept inside that range."""
        return estimate if self.possible(estimate) else np.clip(estimate, _INSIDE - 1, 1 - _INSIDE)

    def whitened(self, rows: FloatArray, estimate: FloatArray) -> FloatArray:
        """Subtract from each row its regression on the row before it in the cluster, and scale."""
        alpha = float(np.nan_to_num(estimate[0]))
        rho = alpha ** np.maximum(np.diff(self.clusters.position), 0)
        rho[self.clusters.starts[1:] - 1] = 0.0
        out = rows.copy()
        out[1:] -= rho[:, None] * rows[:-1]
        out[1:] /= np.sqrt(1 - rho**2)[:, None]
        return np.asarray(out, dtype=np.float64)

    def matrix(self, estimate: FloatArray, size: int) -> FloatArray:
        """Return the powers of the correlation."""
        return np.asarray(estimate[0] ** np.abs(np.subtract.outer(np.arange(size), np.arange(size))), dtype=np.float64)

    def _moments(self, residual: FloatArray, weights: FloatArray) -> tuple[IntArray, FloatArray, FloatArray]:
        """Return the distinct distances of pairs, and for each the weighted products and the weights summed."""
        weighted, position, sizes = weights * residual, self.clusters.position, self.clusters.sizes
        owner = np.repeat(np.arange(len(sizes)), sizes)
        longest = int(np.ptp(position)) + 1
        products, pairs = np.zeros(longest), np.zeros(longest)
        for lag in range(1, int(sizes.max())):
            # Rows of different clusters go to distance zero, where no pair of one cluster is.
            gap = np.where(owner[lag:] == owner[:-lag], position[lag:] - position[:-lag], 0)
            products += np.bincount(gap, weights=weighted[:-lag] * weighted[lag:], minlength=longest)
            pairs += np.bincount(gap, weights=weights[:-lag] * weights[lag:], minlength=longest)
        pairs[0] = 0.0
        gaps = np.flatnonzero(pairs > 0)
        return gaps, products[gaps], pairs[gaps]


@dataclass(frozen=True, slots=True, eq=False)
class Unstructured:
    """A correlation of its own for every pair of visits; made by :func:`unstructured`.

    Attributes
    ----------
    clusters, visits
        The rows, and the number of visits.
    owner
        Shape ``(n,)``: cluster of each row.
    patterns, pattern
        Shapes ``(P, T)`` and ``(K,)``: the sets of visits at which clusters are seen, and which one each cluster has.
    """

    clusters: Clusters
    visits: int
    owner: IntArray
    patterns: NDArray[np.bool_]
    pattern: IntArray

    @property
    def parameters(self) -> int:
        """Number of pairs of visits."""
        return self.visits * (self.visits - 1) // 2

    def estimate(self, residual: FloatArray, weights: FloatArray) -> FloatArray:
        """Return for each pair of visits the weighted mean product; NaN for a pair never seen in one cluster.

        Pairs are ordered as ``(0, 1), (0, 2), ..., (1, 2), ...``.
        """
        upper = np.triu_indices(self.visits, 1)
        weighted, weight = (self._padded(column[:, None])[:, :, 0] for column in (weights * residual, weights))
        products, pairs = (weighted.T @ weighted)[upper], (weight.T @ weight)[upper]
        estimate = np.full(len(products), np.nan)
        np.divide(products, pairs, out=estimate, where=pairs > 0)
        return estimate

    def possible(self, estimate: FloatArray) -> bool:
        """Whether the matrix of every set of visits that occurs is positive definite."""
        eigenvalues = np.linalg.eigvalsh(self._by_pattern(estimate))
        return bool(eigenvalues.min() > _SMALLEST_EIGENVALUE)

    def nearest_possible(self, estimate: FloatArray) -> FloatArray:
        """Return the correlations shrunk by a common factor as far as needed."""
        lowest = float(np.linalg.eigvalsh(self._by_pattern(estimate)).min())
        return estimate if lowest > _SMALLEST_EIGENVALUE else estimate * (1 - _INSIDE) / (1 - lowest)

    def whitened(self, rows: FloatArray, estimate: FloatArray) -> FloatArray:
        """Multiply by the inverse Cholesky factor of the cluster's matrix."""
        factors = np.linalg.inv(np.linalg.cholesky(self._by_pattern(estimate)))
        out = factors[self.pattern] @ self._padded(rows)
        return np.asarray(out[self.owner, self.clusters.position], dtype=np.float64)

    def matrix(self, estimate: FloatArray, size: int) -> FloatArray:
        """Return the correlations off the diagonal, one on it."""
        full = np.eye(self.visits)
        full[np.triu_indices(self.visits, 1)] = estimate
        return np.asarray(np.triu(full) + np.triu(full, 1).T, dtype=np.float64)[:size, :size]

    def _padded(self, rows: FloatArray) -> FloatArray:
        out = np.zeros((len(self.clusters.starts), self.visits, rows.shape[1]))
        out[self.owner, self.clusters.position] = rows
        return out

    def _by_pattern(self, estimate: FloatArray) -> FloatArray:
        """Return the matrix of each set of visits, shape ``(P, T, T)``, visits not seen standing alone."""
        both = self.patterns[:, :, None] & self.patterns[:, None, :]
        full = np.nan_to_num(self.matrix(estimate, self.visits))
        return np.asarray(np.where(both, full, np.eye(self.visits)), dtype=np.float64)


def unstructured(clusters: Clusters) -> Unstructured:
    """Return the unstructured correlation of the visits that occur."""
    visits = int(clusters.position.max()) + 1
    owner = np.repeat(np.arange(len(clusters.starts)), clusters.sizes)
    seen = np.zeros((len(clusters.starts), visits), dtype=np.bool_)
    seen[owner, clusters.position] = True
    packed, pattern = np.unique(np.packbits(seen, axis=1), axis=0, return_inverse=True)
    patterns = np.unpackbits(packed, axis=1, count=visits).astype(np.bool_)
    return Unstructured(clusters, visits, owner, patterns, pattern.reshape(-1))
