"""How alike two arms are: standardised mean differences and variance ratios, before and after weighting.

One definition throughout: the difference of the (weighted) means over ``sqrt((s1^2 + s0^2) / 2)``, where ``s1^2`` and
``s0^2`` are the sample variances (denominator n - 1) of the two arms *before* weighting. The denominator does not move
when weights do, so that a smaller value after weighting means closer means. Binary covariates and each level of a
categorical one are treated the same way, as zeros and ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analyses.columns import BoolArray, FloatArray, as_text, require_complete
from cohort.errors import AnalysisError
from cohort.results import ResultTable, result_table

SMD_METHOD = "difference of means over sqrt((s1^2 + s0^2) / 2), unweighted sample variances"
_RATIO_METHOD = "ratio of the sample variances, treated over reference"
_NO_VARIATION = "no variation in either arm, or fewer than two patients in one"


@dataclass(frozen=True, slots=True)
class Covariate:
    """One numeric column of a covariate as balance is measured on it.

    Parameters
    ----------
    term
        Name, ``isn_rps_class=V`` for a level, the column's name for a number or a boolean.
    values
        Shape (n,).
    is_numeric
        Whether it is a measurement rather than the indicator of a level.
    """

    term: str
    values: FloatArray
    is_numeric: bool


def expand_covariates(data: pd.DataFrame, variables: Sequence[str]) -> tuple[Covariate, ...]:
    """Turn variables into the columns on which balance is measured.

    Parameters
    ----------
    data
        One row per patient, without missing values in ``variables``.
    variables
        Numeric columns stay as they are; a boolean one gives the indicator of True; any other gives one indicator per
        level, the reference level included.

    Returns
    -------
    tuple of Covariate

    Examples
    --------
    >>> import pandas as pd
    >>> data = pd.DataFrame({"sex": ["female", "male"], "diabetes": [True, False], "age_years": [30, 40]})
    >>> [covariate.term for covariate in expand_covariates(data, ["sex", "diabetes", "age_years"])]
    ['sex=female', 'sex=male', 'diabetes', 'age_years']
    """
    columns: list[Covariate] = []
    for name in variables:
        column = data[name]
        if pd.api.types.is_bool_dtype(column):
            columns.append(Covariate(name, np.asarray(column.to_numpy(), dtype=np.float64), False))
        elif pd.api.types.is_numeric_dtype(column):
            columns.append(Covariate(name, np.asarray(column.to_numpy(), dtype=np.float64), True))
        else:
            text = as_text(column)
            columns.extend(
                Covariate(f"{name}={level}", (text == level).astype(np.float64), False)
                for level in sorted(set(text.tolist()))
            )
    return tuple(columns)


def sample_variance(values: FloatArray) -> float:
    """Return the variance with denominator n - 1 of at least two values: exactly zero when they are all the same.

    Examples
    --------
    >>> import numpy as np
    >>> sample_variance(np.array([0.1, 0.1, 0.1]))
    0.0
    """
    return 0.0 if np.ptp(values) == 0 else float(np.var(values, ddof=1))


def standardised_difference(values: FloatArray, treated: BoolArray, weights: FloatArray | None = None) -> float:
    """Return the standardised mean difference, treated minus reference.

    Parameters
    ----------
    values
        Shape (n,), no missing values.
    treated
        Shape (n,).
    weights
        Shape (n,); they move the means and not the denominator.

    Returns
    -------
    float
        NaN when neither arm varies (even if the means agree: nothing then sets the scale) or an arm has fewer than two
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
    spread = np.sqrt((sample_variance(one) + sample_variance(zero)) / 2)
    if spread == 0:
        return float("nan")
    case = np.ones(len(values)) if weights is None else weights
    difference = np.average(one, weights=case[treated]) - np.average(zero, weights=case[~treated])
    return float(difference / spread)


def variance_ratio(values: FloatArray, treated: BoolArray, weights: FloatArray | None = None) -> float:
    """Return the ratio of the (weighted) variances, treated over reference.

    Parameters
    ----------
    values, treated, weights
        As for :func:`standardised_difference`. Weighted variances are ``sum(w (x - m)^2) sum(w) / (sum(w)^2 -
        sum(w^2))``, which is the sample variance when all weights are equal.

    Returns
    -------
    float
        NaN when the reference arm does not vary, or an arm has fewer than two patients with weight.
    """
    case = np.ones(len(values)) if weights is None else weights
    one = _weighted_variance(values[treated], case[treated])
    zero = _weighted_variance(values[~treated], case[~treated])
    return one / zero if zero > 0 else float("nan")


def balance_table(
    data: pd.DataFrame,
    variables: Sequence[str],
    treated: BoolArray,
    weights: FloatArray,
    *,
    contrast: str,
    weighting: str,
) -> ResultTable:
    """Measure the balance of covariates before and after weighting.

    Parameters
    ----------
    data
        One row per patient.
    variables
        Columns to measure, see :func:`expand_covariates`.
    treated, weights
        Shape (n,), in row order.
    contrast
        Text of the contrast, treated first.
    weighting
        Words for the weights, which go into ``method``.

    Returns
    -------
    ResultTable
        Per term two rows, ``statistic`` ``smd_unadjusted`` and ``smd_adjusted``; for numeric covariates also
        ``variance_ratio_unadjusted`` and ``variance_ratio_adjusted``. A covariate that varies in neither arm has
        missing estimates and a note.

    Raises
    ------
    AnalysisError
        Unknown column, missing values, or weights that :func:`check_weights` refuses.
    """
    require_complete(data, variables, where="balance")
    checked = check_weights(weights, treated, where="balance")
    rows: list[dict[str, object]] = []
    for covariate in expand_covariates(data, variables):
        measures = [("smd", SMD_METHOD, standardised_difference)]
        if covariate.is_numeric:
            measures.append(("variance_ratio", _RATIO_METHOD, variance_ratio))
        for name, method, measure in measures:
            for adjusted in (False, True):
                value = measure(covariate.values, treated, checked if adjusted else None)
                rows.append(
                    {
                        "term": covariate.term,
                        "statistic": f"{name}_adjusted" if adjusted else f"{name}_unadjusted",
                        "estimate": value,
                        "method": f"{method}; {weighting}" if adjusted else method,
                        "note": _NO_VARIATION if np.isnan(value) else None,
                    }
                )
    return result_table(rows, analysis="propensity", contrast=contrast, n=len(data))


def check_weights(weights: object, treated: BoolArray, *, where: str) -> FloatArray:
    """Return weights as a float array after checking that they can weight these patients.

    Parameters
    ----------
    weights
        Anything that becomes an array of shape (n,).
    treated
        Shape (n,).
    where
        Name of the caller, for the message.

    Raises
    ------
    AnalysisError
        Wrong length, a weight that is negative or not finite, or an arm whose weights are all zero.
    """
    values = np.asarray(weights, dtype=np.float64)
    if values.shape != treated.shape:
        raise AnalysisError(
            "one weight per row is needed",
            where=f"{where}, weights",
            got=f"shape {values.shape} for {len(treated)} rows",
            remedy="pass the weights in the row order of the data",
        )
    bad = int(np.sum(~np.isfinite(values) | (values < 0)))
    if bad:
        raise AnalysisError(
            "weights must be finite and not negative",
            where=f"{where}, weights",
            got=f"{bad} others",
            remedy="trim extreme scores or drop these rows",
        )
    for arm, rows in (("treated", treated), ("reference", ~treated)):
        if not np.any(values[rows] > 0):
            raise AnalysisError(
                f"no weight is left in the {arm} arm",
                where=f"{where}, weights",
                got=f"{int(rows.sum())} rows of zero weight",
                remedy="trim less, or choose another estimand",
            )
    return values


def _weighted_variance(values: FloatArray, weights: FloatArray) -> float:
    total = float(weights.sum())
    correction = total**2 - float(np.sum(weights**2))
    if np.sum(weights > 0) < 2:
        return float("nan")
    if np.ptp(values[weights > 0]) == 0:
        return 0.0
    mean = float(np.sum(weights * values)) / total
    return float(np.sum(weights * (values - mean) ** 2)) * total / correction
