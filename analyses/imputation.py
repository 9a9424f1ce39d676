"""Rubin's rules: one estimate and its uncertainty from the analyses of several imputed data sets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import stdtr, stdtrit

from analyses.columns import FloatArray
from cohort.errors import AnalysisError

_WHERE = "pool_imputations"


@dataclass(frozen=True, slots=True, eq=False)
class PooledEstimates:
    """Estimates pooled over imputations; every array has the shape of one imputation's estimates.

    Attributes
    ----------
    estimate, std_error
        Mean estimate and square root of ``within + (1 + 1 / m) between``.
    within, between
        Mean variance of the complete data, and variance of the estimates between imputations (denominator m - 1).
    relative_increase
        ``(1 + 1 / m) between / within``; 0 where nothing varies, infinite where only the imputations do.
    degrees_of_freedom
        Of the t distribution by Barnard and Rubin; those of the complete data where the imputations agree.
    missing_information
        Fraction of information missing about each estimate, between 0 and 1, with the correction for the number of
        imputations.
    imputations
        Their number, m.
    """

    estimate: FloatArray
    std_error: FloatArray
    within: FloatArray
    between: FloatArray
    relative_increase: FloatArray
    degrees_of_freedom: FloatArray
    missing_information: FloatArray
    imputations: int

    def critical_value(self, conf_level: float) -> FloatArray:
        """Return the quantile of each estimate's t distribution that bounds an interval of ``conf_level``."""
        return np.asarray(stdtrit(self.degrees_of_freedom, 0.5 + conf_level / 2), dtype=np.float64)

    def p_value(self) -> FloatArray:
        """Return the two-sided p-value of each estimate against zero; NaN without a standard error."""
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(self.std_error > 0, np.abs(self.estimate) / self.std_error, np.nan)
        return np.asarray(2 * stdtr(self.degrees_of_freedom, -ratio), dtype=np.float64)


def pool_imputations(
    estimates: npt.ArrayLike, variances: npt.ArrayLike, *, complete_degrees_of_freedom: npt.ArrayLike = np.inf
) -> PooledEstimates:
    """Pool estimates of several imputed data sets by Rubin's rules.

    Parameters
    ----------
    estimates, variances
        Shape (m, ...): one row per imputation, at least two, on a scale on which the estimate is about normal.
    complete_degrees_of_freedom
        Those the analysis would have had without missing data (for a mean, n - 1), broadcast to one row; infinite
        where its test is normal.

    Returns
    -------
    PooledEstimates
        With estimates the same in every imputation, ``within`` alone counts.

    Raises
    ------
    AnalysisError
        Fewer than two imputations, shapes that differ, values that are not finite, negative variances.

    References
    ----------
    Rubin DB. Multiple Imputation for Nonresponse in Surveys. 1987. doi:10.1002/9780470316696. Barnard J, Rubin DB.
    Small-sample degrees of freedom with multiple imputation. Biometrika 1999;86:948-955. doi:10.1093/biomet/86.4.948

    Examples
    --------
    >>> pooled = pool_imputations([1.0, 2.0, 3.0], [0.5, 0.5, 0.5])
    >>> float(pooled.estimate), round(float(pooled.std_error) ** 2, 4)
    (2.0, 1.8333)
    """
    q, u = np.asarray(estimates, dtype=np.float64), np.asarray(variances, dtype=np.float64)
    _check(q, u)
    m = len(q)
    mean, within, between = q.mean(axis=0), u.mean(axis=0), q.var(axis=0, ddof=1)
    # Equal estimates may differ from their mean in the last digit.
    between = np.where(np.ptp(q, axis=0) == 0, 0.0, between)
    extra = (1 + 1 / m) * between
    total = within + extra
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(extra > 0, extra / total, 0.0)
        increase = np.where(extra > 0, extra / within, 0.0)
        freedom = _barnard_rubin(share, np.broadcast_to(complete_degrees_of_freedom, mean.shape), m)
        missing = np.where(
            extra > 0, np.where(np.isinf(increase), 1.0, (increase + 2 / (freedom + 3)) / (increase + 1)), 0.0
        )
    return PooledEstimates(mean, np.sqrt(total), within, between, increase, freedom, np.minimum(missing, 1.0), m)


def _barnard_rubin(share: FloatArray, complete: FloatArray, imputations: int) -> FloatArray:
    """Degrees of freedom; ``share`` is the part of the total variance that is between imputations."""
    many = (imputations - 1) / share**2
    observed = np.where(np.isinf(complete), np.inf, (complete + 1) / (complete + 3) * complete * (1 - share))
    both = np.where(np.isinf(observed), many, many * observed / (many + observed))
    return np.where(share > 0, both, complete)


def _check(estimates: FloatArray, variances: FloatArray) -> None:
    if estimates.ndim == 0 or len(estimates) < 2:
        raise AnalysisError(
            "at least two imputations are needed",
            where=_WHERE,
            got=f"shape {estimates.shape}",
            remedy="one row per imputation",
        )
    if estimates.shape != variances.shape:
        raise AnalysisError(
            "estimates and variances must have one shape",
            where=_WHERE,
            got=f"{estimates.shape} and {variances.shape}",
        )
    wrong = int((~np.isfinite(estimates)).sum() + (~np.isfinite(variances) | (variances < 0)).sum())
    if wrong:
        raise AnalysisError(
            "estimates must be finite and variances finite and not negative",
            where=_WHERE,
            got=f"{wrong} values that are not",
            remedy="find out why an imputation could not be analysed; leaving it out would bias the result",
        )
