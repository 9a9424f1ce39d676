"""How alike two arms are on one covariate: means, variances, distribution functions and densities."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

_GRID = 1024
_REACH = 4.0
"""Bandwidths that the grid of a density extends beyond the values."""


def sample_variance(values: FloatArray) -> float:
    """Return the variance with denominator n - 1 of at least two values: exactly zero when they are all the same.

    Examples
    --------
    >>> import numpy as np
    >>> sample_variance(np.array([0.1, 0.1, 0.1]))
    0.0
    """
    return 0.0 if np.ptp(values) == 0 else float(np.var(values, ddof=1))


def standardised_difference(
    values: FloatArray, treated: BoolArray, weights: FloatArray | None = None, *, scale: str = "pooled"
) -> float:
    """Return the standardised mean difference, treated minus reference.

    Parameters
    ----------
    values
        Shape (n,), no missing values.
    treated
        Shape (n,).
    weights
        Shape (n,); they move the means and not the denominator.
    scale
        The denominator, always of the unweighted sample variances: ``pooled`` is ``sqrt((s1^2 + s0^2) / 2)``,
        ``treated`` is ``s1`` (for an ATT), ``reference`` is ``s0`` (for an ATC).

    Returns
    -------
    float
        NaN when the arms that set the scale do not vary (even if the means agree) or an arm has fewer than two
        patients.

    References
    ----------
    Austin PC. Balance diagnostics for comparing the distribution of baseline covariates between treatment groups in
    propensity-score matched samples. Stat Med 2009;28:3083-3107. doi:10.1002/sim.3697

    Examples
    --------
    >>> import numpy as np
    >>> values, treated = np.array([1.0, 3.0, 0.0, 2.0]), np.array([True, True, False, False])
    >>> round(standardised_difference(values, treated), 6)
    0.707107
    """
    one, zero = values[treated], values[~treated]
    if min(len(one), len(zero)) < 2:
        return float("nan")
    share = {"pooled": (0.5, 0.5), "treated": (1.0, 0.0), "reference": (0.0, 1.0)}[scale]
    spread = math.sqrt(share[0] * sample_variance(one) + share[1] * sample_variance(zero))
    if spread == 0:
        return float("nan")
    case = np.ones(len(values)) if weights is None else weights
    difference = np.average(one, weights=case[treated]) - np.average(zero, weights=case[~treated])
    return float(difference / spread)


def weighted_variance(values: FloatArray, weights: FloatArray) -> float:
    """Return ``sum(w (x - m)^2) sum(w) / (sum(w)^2 - sum(w^2))``: the sample variance when all weights are equal.

    Returns
    -------
    float
        NaN with fewer than two values with weight.

    Examples
    --------
    >>> import numpy as np
    >>> weighted_variance(np.array([1.0, 3.0]), np.array([2.0, 2.0]))
    2.0
    """
    total = float(weights.sum())
    correction = total**2 - float(np.sum(weights**2))
    if np.sum(weights > 0) < 2:
        return float("nan")
    if np.ptp(values[weights > 0]) == 0:
        return 0.0
    mean = float(np.sum(weights * values)) / total
    return float(np.sum(weights * (values - mean) ** 2)) * total / correction


def variance_ratio(values: FloatArray, treated: BoolArray, weights: FloatArray | None = None) -> float:
    """Return the ratio of the (weighted) variances, treated over reference.

    Parameters
    ----------
    values, treated, weights
        As for :func:`standardised_difference`; see :func:`weighted_variance`.

    Returns
    -------
    float
        NaN when the reference arm does not vary, or an arm has fewer than two patients with weight.
    """
    case = np.ones(len(values)) if weights is None else weights
    one = weighted_variance(values[treated], case[treated])
    zero = weighted_variance(values[~treated], case[~treated])
    return one / zero if zero > 0 else float("nan")


def kolmogorov_smirnov(values: FloatArray, treated: BoolArray, weights: FloatArray | None = None) -> float:
    """Return the largest distance between the (weighted) distribution functions of the arms, between 0 and 1.

    Parameters
    ----------
    values, treated, weights
        As for :func:`standardised_difference`; each arm needs weight.

    References
    ----------
    Austin PC, Stuart EA. Stat Med 2015;34:3661-3679. doi:10.1002/sim.6607

    Examples
    --------
    >>> import numpy as np
    >>> kolmogorov_smirnov(np.array([1.0, 2.0, 2.0, 3.0]), np.array([True, True, False, False]))
    0.5
    """
    case = np.ones(len(values)) if weights is None else weights
    step = np.where(treated, case / case[treated].sum(), -case / case[~treated].sum())
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    last_of_ties = np.append(ordered[1:] != ordered[:-1], True)
    return float(min(np.max(np.abs(np.cumsum(step[order])[last_of_ties])), 1.0))


def overlapping_coefficient(values: FloatArray, treated: BoolArray, weights: FloatArray | None = None) -> float:
    """Return the area under both densities of a measurement, 1 for arms that are alike and 0 for arms apart.

    Parameters
    ----------
    values, treated, weights
        As for :func:`standardised_difference`.

    Returns
    -------
    float
        From Gaussian kernel densities on a common grid of 1,024 points, each arm with Silverman's bandwidth ``0.9
        min(sd, iqr / 1.34) n^(-1/5)`` from its values before weighting. NaN when an arm does not vary.

    References
    ----------
    Franklin JM et al. Metrics for covariate balance in cohort studies of causal effects. Stat Med 2014;33:1685-1699.
    doi:10.1002/sim.6058

    Examples
    --------
    >>> import numpy as np
    >>> values = np.array([1.0, 2.0, 4.0, 1.0, 2.0, 4.0])
    >>> overlapping_coefficient(values, np.array([True, True, True, False, False, False]))
    1.0
    """
    case = np.ones(len(values)) if weights is None else weights
    widths = [_silverman(values[arm]) for arm in (treated, ~treated)]
    if not min(widths) > 0:
        return float("nan")
    low, high = values.min() - _REACH * max(widths), values.max() + _REACH * max(widths)
    spacing = (high - low) / (_GRID - 1)
    densities = [
        _density((values[arm] - low) / spacing, case[arm], width / spacing)
        for arm, width in zip((treated, ~treated), widths, strict=True)
    ]
    return float(np.minimum(densities[0], densities[1]).sum() / max(densities[0].sum(), densities[1].sum()))


def _silverman(values: FloatArray) -> float:
    if len(values) < 2:
        return float("nan")
    spread = math.sqrt(sample_variance(values))
    quartiles = np.quantile(values, [0.25, 0.75])
    middle = float(quartiles[1] - quartiles[0]) / 1.34
    return 0.9 * (min(spread, middle) if middle > 0 else spread) * float(len(values) ** -0.2)


def _density(places: FloatArray, weights: FloatArray, width: float) -> FloatArray:
    """Return the density on the grid, by linear binning and a product of Fourier transforms; sums to about one."""
    below = places.astype(np.intp)
    above_share = places - below
    counts = np.bincount(below, weights * (1 - above_share), minlength=_GRID + 1)
    counts += np.bincount(below + 1, weights * above_share, minlength=_GRID + 1)[: _GRID + 1]
    counts = counts[:_GRID] / weights.sum()
    reach = np.arange(_GRID)
    kernel = np.exp(-0.5 * (reach / width) ** 2)
    both = np.concatenate([kernel[:0:-1], kernel])
    size = 4 * _GRID
    spread = np.fft.irfft(np.fft.rfft(counts, size) * np.fft.rfft(both / both.sum(), size), size)
    return np.asarray(np.maximum(spread[_GRID - 1 : 2 * _GRID - 1], 0.0))
