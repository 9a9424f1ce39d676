"""From the derivative of an estimate by each row's weight to the influence of each patient on it."""

from __future__ import annotations

import numpy as np

from analyses.columns import BoolArray, FloatArray
from analyses.propensity.weights import EstimatedWeights, effective_size

KNOWN = "robust variance, weights taken as known"
ESTIMATED = "robust variance, estimation of the propensity score accounted for"
LEAST_EFFECTIVE_SHARE = 0.25
"""Weights that leave an arm less than this share of its patients, by Kish's number, rest on a handful of them."""


def patient_influence(slope: FloatArray, weights: FloatArray, score_model: EstimatedWeights | None) -> FloatArray:
    """Return the influence of each patient on an estimate that depends on the weights.

    Parameters
    ----------
    slope
        Shape (rows,), derivative of the estimate by the weight of each row; zero for rows that play no part.
    weights
        Shape (rows,).
    score_model
        Gradient and influence of estimated weights for the same rows, or None to take the weights as known.

    Returns
    -------
    numpy.ndarray
        Shape (rows,) with known weights: weight times slope, the infinitesimal jackknife. With a score model shape
        (patients,): the rows of a patient are added up, and each patient adds its influence on the coefficients of the
        score times the derivative of the estimate by them. The variance is the sum of squares: the sandwich of the
        stacked estimating equations of score and estimate.

    References
    ----------
    Stefanski LA, Boos DD. The calculus of M-estimation. Am Stat 2002;56:29-38. doi:10.1198/000313002753631330

    Examples
    --------
    >>> import numpy as np
    >>> patient_influence(np.array([0.5, -0.5]), np.array([2.0, 2.0]), None).tolist()
    [1.0, -1.0]
    """
    direct = weights * slope
    if score_model is None:
        return direct
    influence = score_model.influence @ (score_model.gradient.T @ slope)
    # A patient may have one row per visit: contributions are added up, which indexed += would not do.
    influence += np.bincount(score_model.patient, weights=direct, minlength=len(influence))
    return np.asarray(influence, dtype=np.float64)


def standard_error(influence: FloatArray) -> float:
    """Return the square root of the sum of squares."""
    return float(np.sqrt(influence @ influence))


def few_effective(weights: FloatArray, arms: dict[str, BoolArray]) -> str:
    """Say which arms rest on a handful of patients, or return an empty text.

    Parameters
    ----------
    weights
        Shape (rows,).
    arms
        Rows of each arm, by its name.

    Examples
    --------
    >>> import numpy as np
    >>> few_effective(np.ones(9), {"a": np.ones(9, dtype=np.bool_)})
    ''
    >>> few_effective(np.array([92.0] + [1.0] * 8), {"a": np.ones(9, dtype=np.bool_)}).split(",")[0]
    'unstable: weights leave a an effective number of 1.2 of 9 patients'
    """
    words = []
    for name, rows in arms.items():
        own = weights[rows & (weights > 0)]
        if not len(own):
            continue
        size = effective_size(own)
        if size < LEAST_EFFECTIVE_SHARE * len(own):
            words.append(
                f"unstable: weights leave {name} an effective number of {size:.1f} of {len(own)} patients, the largest"
                f" holding {own.max() / own.sum():.0%} of all weight; trim the score or use overlap weights"
            )
    return "; ".join(words)
