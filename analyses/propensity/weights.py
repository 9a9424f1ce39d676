"""Balancing weights from a propensity score, with what a variance needs to know about their estimation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
from scipy.special import logit

from analyses.columns import BoolArray, FloatArray
from cohort.errors import UsageError

Estimand = Literal["ATE", "ATT", "ATC", "ATO", "ATM", "ATEN"]


@dataclass(frozen=True, slots=True, eq=False)
class EstimatedWeights:
    """Weights together with how they depend on the estimated score model.

    Parameters
    ----------
    values
        Shape (rows,), the weights.
    gradient
        Shape (rows, p), derivative of each weight by the coefficients of the score model.
    influence
        Shape (patients, p), influence of each patient on those coefficients (sums to zero).
    patient
        Shape (rows,), position in ``influence`` of the patient of each row.
    description
        Words for a result's ``method``.
    """

    values: FloatArray
    gradient: FloatArray
    influence: FloatArray
    patient: npt.NDArray[np.intp]
    description: str

    def for_rows(self, patient: npt.ArrayLike) -> EstimatedWeights:
        """Return the weights for other rows of the same patients, for instance one per visit.

        Parameters
        ----------
        patient
            Shape (rows,), for each new row the position of its patient among the patients of the fit.

        Raises
        ------
        UsageError
            If a position is not that of a patient of the fit.

        Examples
        --------
        >>> import numpy as np
        >>> weights = EstimatedWeights(np.array([1.0, 2.0]), np.zeros((2, 1)), np.zeros((2, 1)), np.arange(2), "demo")
        >>> weights.for_rows([0, 0, 1]).values.tolist()
        [1.0, 1.0, 2.0]
        """
        given = np.asarray(patient, dtype=np.float64)
        strangers = ~((given >= 0) & (given < len(self.values)))  # NaN, from a failed look-up, is a stranger too
        if np.any(strangers):
            raise UsageError(
                "a row belongs to no patient of the propensity model",
                where="for_rows",
                got=f"{int(np.sum(strangers))} such rows",
                remedy="drop the rows of patients the model was not fitted on",
            )
        position = given.astype(np.intp)
        return replace(
            self, values=self.values[position], gradient=self.gradient[position], patient=self.patient[position]
        )


@dataclass(frozen=True, slots=True, eq=False)
class BalancingWeights:
    """Weights and their derivative by the score, each of shape (n,)."""

    values: FloatArray
    slope: FloatArray


def balancing_weights(
    score: FloatArray,
    treated: BoolArray,
    *,
    estimand: Estimand,
    stabilized: bool = False,
    trim: float | None = None,
) -> BalancingWeights:
    """Compute the weights ``h(e) / e`` of the treated and ``h(e) / (1 - e)`` of the others.

    Parameters
    ----------
    score
        Shape (n,), probability ``e`` of treatment, strictly between 0 and 1.
    treated
        Shape (n,).
    estimand
        Population the weighted contrast speaks of: ``ATE`` everybody (h = 1), ``ATT`` the treated (h = e), ``ATC`` the
        others (h = 1 - e), ``ATO`` the overlap (h = e (1 - e)), ``ATM`` the matchable (h = min(e, 1 - e)), ``ATEN``
        those of uncertain treatment, by entropy (h = -e log e - (1 - e) log(1 - e)).
    stabilized
        Multiply ATE weights by the share of the patient's own arm, so that they average one. Normalised contrasts do
        not change; sums of weights do.
    trim
        Give no weight to scores outside ``[trim, 1 - trim]``. The estimand becomes that of the patients kept. The
        score is not fitted again, and the patients kept are treated as fixed by variances.

    Returns
    -------
    BalancingWeights
        ``slope`` treats a trimmed patient as always trimmed and, for ATM, takes the side of 0.5 the score is on.

    Raises
    ------
    UsageError
        Unknown estimand, ``stabilized`` with another than ATE, ``trim`` outside (0, 0.5).

    References
    ----------
    Li F, Morgan KL, Zaslavsky AM. Balancing covariates via propensity score weighting. J Am Stat Assoc
    2018;113:390-400. doi:10.1080/01621459.2016.1260466. Crump RK et al. Biometrika 2009;96:187-199.
    doi:10.1093/biomet/asn055. Zhou Y, Matsouaka RA, Thomas L. Stat Methods Med Res 2020;29:3721-3756.
    doi:10.1177/0962280220940334 (ATEN)

    Examples
    --------
    >>> import numpy as np
    >>> score, treated = np.array([0.25, 0.25]), np.array([True, False])
    >>> balancing_weights(score, treated, estimand="ATO").values.tolist()
    [0.75, 0.25]
    """
    if estimand not in get_args(Estimand):
        raise UsageError(
            "unknown estimand", where="weights", got=str(estimand), remedy=f"use {', '.join(get_args(Estimand))}"
        )
    if stabilized and estimand != "ATE":
        raise UsageError(
            "only ATE weights can be stabilised", where="weights", got=estimand, remedy="leave stabilized=False"
        )
    if trim is not None and not 0 < trim < 0.5:
        raise UsageError(
            "trim must lie between 0 and 0.5", where="weights", got=str(trim), remedy="use for instance 0.05"
        )
    tilt, tilt_slope = _tilt(score, estimand)
    own = np.where(treated, score, 1 - score)
    own_slope = np.where(treated, 1.0, -1.0)
    values = tilt / own
    slope = (tilt_slope * own - tilt * own_slope) / own**2
    factor = np.ones(len(score))
    if stabilized:
        factor = np.where(treated, treated.mean(), 1 - treated.mean())
    if trim is not None:
        factor = np.where((score >= trim) & (score <= 1 - trim), factor, 0.0)
    return BalancingWeights(values * factor, slope * factor)


@dataclass(frozen=True, slots=True, eq=False)
class Truncation:
    """Weights held within percentiles.

    Parameters
    ----------
    values
        Shape (n,).
    moved
        Shape (n,), which weights were outside and now stand at a bound.
    bounds
        Lower and upper bound of the treated and of the reference arm.
    """

    values: FloatArray
    moved: BoolArray
    bounds: tuple[tuple[float, float], tuple[float, float]]


def truncate_weights(weights: FloatArray, treated: BoolArray, share: float) -> Truncation:
    """Hold the weights of each arm within its percentiles ``share`` and ``1 - share``.

    Nobody is left out, unlike by trimming: the estimand stays and some bias is taken for less variance.

    Parameters
    ----------
    weights, treated
        Shape (n,). Weights of zero (trimmed patients) stay zero and play no part in the percentiles.
    share
        Between 0 and 0.5, for instance 0.01.

    Raises
    ------
    UsageError
        ``share`` out of its range.

    References
    ----------
    Cole SR, Hernan MA. Constructing inverse probability weights for marginal structural models. Am J Epidemiol
    2008;168:656-664. doi:10.1093/aje/kwn164

    Examples
    --------
    >>> import numpy as np
    >>> weights, treated = np.array([1.0, 2.0, 3.0, 1.0, 1.0]), np.array([True, True, True, False, False])
    >>> truncate_weights(weights, treated, 0.25).values.tolist()
    [1.5, 2.0, 2.5, 1.0, 1.0]
    """
    if not 0 < share < 0.5:
        raise UsageError(
            "truncate must lie between 0 and 0.5", where="weights", got=str(share), remedy="use for instance 0.01"
        )
    values = weights.copy()
    bounds = []
    for arm in (treated, ~treated):
        own = arm & (weights > 0)
        low, high = np.quantile(weights[own], [share, 1 - share]) if own.any() else (0.0, 0.0)
        values[own] = np.clip(weights[own], low, high)
        bounds.append((float(low), float(high)))
    return Truncation(values, values != weights, (bounds[0], bounds[1]))


def effective_size(weights: FloatArray) -> float:
    """Return Kish's effective sample size, ``sum(w)^2 / sum(w^2)``.

    References
    ----------
    Kish L. Survey Sampling. Wiley, 1965.

    Examples
    --------
    >>> import numpy as np
    >>> effective_size(np.array([2.0, 2.0, 0.0]))
    2.0
    """
    return float(weights.sum() ** 2 / np.sum(weights**2))


def _tilt(score: FloatArray, estimand: Estimand) -> tuple[FloatArray, FloatArray]:
    """Return the tilting function and its derivative by the score."""
    one = np.ones(len(score))
    if estimand == "ATE":
        return one, 0 * one
    if estimand == "ATT":
        return score, one
    if estimand == "ATC":
        return 1 - score, -one
    if estimand == "ATO":
        return score * (1 - score), 1 - 2 * score
    if estimand == "ATEN":
        return np.asarray(-score * np.log(score) - (1 - score) * np.log1p(-score)), np.asarray(-logit(score))
    return np.minimum(score, 1 - score), np.where(score <= 0.5, 1.0, -1.0)
