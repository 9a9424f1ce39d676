"""How alike two arms are, covariate by covariate, before and after weighting.

One definition of the standardised mean difference throughout: the difference of the (weighted) means over a standard
deviation *before* weighting, with denominator n - 1: ``sqrt((s1^2 + s0^2) / 2)``, or that of the treated where the
estimand is theirs (ATT) and that of the reference for an ATC. The denominator does not move when weights do, so that a
smaller value after weighting means closer means. Binary covariates and each level of a categorical one are treated the
same way, as zeros and ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd

from analyses.columns import BoolArray, FloatArray, as_text, require_complete, treated_rows
from analyses.design_matrix import ordered_levels
from analyses.kernels.balance import (
    kolmogorov_smirnov,
    overlapping_coefficient,
    sample_variance,
    standardised_difference,
    variance_ratio,
    weighted_variance,
)
from analyses.propensity.weights import Estimand
from cohort.errors import AnalysisError, UsageError
from cohort.results import ResultTable, result_table

Measure = Literal["mean", "smd", "variance_ratio", "ks", "overlap"]

SMD_METHOD = "difference of means over sqrt((s1^2 + s0^2) / 2), unweighted sample variances"
_SCALES = {"ATT": "treated", "ATC": "reference"}
_SMD_METHODS = {
    "pooled": SMD_METHOD,
    "treated": "difference of means over the unweighted sample SD of the treated",
    "reference": "difference of means over the unweighted sample SD of the reference arm",
}
_METHODS: dict[str, str] = {
    "variance_ratio": "ratio of the sample variances, treated over reference",
    "ks": "largest distance between the distribution functions",
    "overlap": "area under both densities (Gaussian kernel; shares for a level)",
}
_NO_VARIATION = "no variation in either arm, or fewer than two patients in one"
_NO_SCALE = "no variation in the arm that sets the scale"

__all__ = [
    "SMD_METHOD", "Covariate", "Measure", "balance_rows", "balance_table", "check_weights", "covariate_balance",
    "expand_covariates", "sample_variance", "standardised_difference", "variance_ratio",
]  # fmt: skip


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
    return tuple(_each_covariate(data, variables))


def _each_covariate(data: pd.DataFrame, variables: Sequence[str]) -> Iterator[Covariate]:
    """One at a time: a million patients by many levels need not be in memory together."""
    for name in variables:
        column = data[name]
        if pd.api.types.is_bool_dtype(column):
            yield Covariate(name, np.asarray(column.to_numpy(), dtype=np.float64), False)
        elif pd.api.types.is_numeric_dtype(column):
            yield Covariate(name, np.asarray(column.to_numpy(), dtype=np.float64), True)
        else:
            levels, codes = ordered_levels(column)
            for place, level in enumerate(levels):
                yield Covariate(f"{name}={level}", (codes == place).astype(np.float64), False)


def covariate_balance(
    data: pd.DataFrame,
    variables: Sequence[str],
    *,
    treatment_col: str,
    treated: object,
    weights: npt.ArrayLike | Mapping[str, npt.ArrayLike] | None = None,
    estimand: Estimand = "ATE",
    measures: Sequence[Measure] = get_args(Measure),
) -> ResultTable:
    """Measure the balance of covariates before weighting and under any number of weightings.

    Parameters
    ----------
    data
        One row per patient.
    variables
        Columns to measure, see :func:`expand_covariates`.
    treatment_col, treated
        Column of the arm (two levels) and its treated level.
    weights
        Shape (n,) in row order, or several of them by name; None to measure as they are. Matched pairs and strata
        are weights too: of a matched sample, how often each patient was used.
    estimand
        Sets the denominator of the SMD: the treated SD for ``ATT``, that of the reference for ``ATC``, the pooled SD
        for the others; always unweighted.
    measures
        ``mean`` (of each arm), ``smd``, ``variance_ratio``, ``ks`` (Kolmogorov-Smirnov distance) and ``overlap``
        (overlapping coefficient).

    Returns
    -------
    ResultTable
        Per term and measure a row ``<measure>_unadjusted`` and, for each weighting, a row ``<measure>_adjusted`` whose
        ``population`` is its name. ``mean`` rows have the arm as ``group`` and, for measurements, ``sd`` rows beside
        them; a proportion is the mean of an indicator. Variance ratios are of measurements only. What cannot be
        measured has a note.

    Raises
    ------
    AnalysisError
        Unknown column, missing values, not two arms, or unusable weights.
    UsageError
        Unknown measure.

    References
    ----------
    Austin PC, Stuart EA. Moving towards best practice when using inverse probability of treatment weighting. Stat Med
    2015;34:3661-3679. doi:10.1002/sim.6607

    Examples
    --------
    >>> data = pd.DataFrame({"arm": ["a", "a", "b", "b"], "age_years": [1.0, 3.0, 0.0, 2.0]})
    >>> table = covariate_balance(data, ["age_years"], treatment_col="arm", treated="a", weights=[3, 1, 1, 3])
    >>> frame = table.frame.set_index("statistic")
    >>> float(frame.loc["smd_unadjusted", "estimate"].round(4)), float(frame.loc["smd_adjusted", "estimate"])
    (0.7071, 0.0)
    """
    where = "covariate_balance"
    require_complete(data, [treatment_col], where=where)
    is_treated = treated_rows(data, treatment_col, treated, where=where)
    reference = str(as_text(data[treatment_col])[np.argmin(is_treated)])
    named: Mapping[str, object] = weights if isinstance(weights, Mapping) else {"": weights}
    checked = {
        name: (check_weights(values, is_treated, where=where), name or "weights as given")
        for name, values in named.items()
        if values is not None
    }
    rows = balance_rows(
        data, variables, is_treated, checked, estimand=estimand, measures=measures, arms=(str(treated), reference)
    )
    return result_table(rows, analysis="propensity", contrast=f"{treated} v {reference}", n=len(data))


def balance_rows(
    data: pd.DataFrame,
    variables: Sequence[str],
    treated: BoolArray,
    weightings: Mapping[str, tuple[FloatArray, str]],
    *,
    estimand: Estimand,
    measures: Sequence[Measure],
    arms: tuple[str, str] = ("treated", "reference"),
) -> list[dict[str, object]]:
    """Return the rows of :func:`covariate_balance` for arrays: ``weightings`` holds checked weights and their words."""
    unknown = [measure for measure in measures if measure not in get_args(Measure)]
    if unknown:
        raise UsageError(
            "unknown measure of balance",
            where="balance",
            got=", ".join(map(str, unknown)),
            remedy=f"use {', '.join(get_args(Measure))}",
        )
    require_complete(data, variables, where="balance")
    scale = _SCALES.get(estimand, "pooled")
    rows: list[dict[str, object]] = []
    for covariate in _each_covariate(data, variables):
        for measure in measures:
            if measure == "variance_ratio" and not covariate.is_numeric:
                continue
            for population, weights, words in [
                ("", None, ""),
                *((name, values, said) for name, (values, said) in weightings.items()),
            ]:
                suffix = "unadjusted" if weights is None else "adjusted"
                shared = {"term": covariate.term, "population": population or None}
                if measure == "mean":
                    rows += [shared | row for row in _means(covariate, treated, weights, arms, suffix, words)]
                    continue
                value = _measured(measure, covariate, treated, weights, scale)
                method = _SMD_METHODS[scale] if measure == "smd" else _METHODS[measure]
                flat = _NO_SCALE if measure == "smd" and scale != "pooled" else _NO_VARIATION
                rows.append(
                    shared
                    | {
                        "statistic": f"{measure}_{suffix}",
                        "estimate": value,
                        "method": f"{method}; {words}" if words else method,
                        "note": flat if np.isnan(value) else None,
                    }
                )
    return rows


def _measured(measure: str, covariate: Covariate, treated: BoolArray, weights: FloatArray | None, scale: str) -> float:
    values = covariate.values
    if measure == "smd":
        return standardised_difference(values, treated, weights, scale=scale)
    if measure == "variance_ratio":
        return variance_ratio(values, treated, weights)
    if covariate.is_numeric:
        return (kolmogorov_smirnov if measure == "ks" else overlapping_coefficient)(values, treated, weights)
    # The distribution functions of an indicator differ by the shares, and its densities are the shares themselves.
    one, zero = (_mean(values[arm], None if weights is None else weights[arm]) for arm in (treated, ~treated))
    return abs(one - zero) if measure == "ks" else 1 - abs(one - zero)


def _mean(values: FloatArray, weights: FloatArray | None) -> float:
    return float(np.average(values, weights=weights))


def _means(
    covariate: Covariate,
    treated: BoolArray,
    weights: FloatArray | None,
    arms: tuple[str, str],
    suffix: str,
    words: str,
) -> Iterator[dict[str, object]]:
    for name, arm in zip(arms, (treated, ~treated), strict=True):
        values, own = covariate.values[arm], np.ones(int(arm.sum())) if weights is None else weights[arm]
        row = {"group": name, "method": words or "as observed"}
        yield row | {"statistic": f"mean_{suffix}", "estimate": _mean(values, own)}
        if covariate.is_numeric:
            variance = weighted_variance(values, own)
            note = "fewer than two patients with weight" if np.isnan(variance) else None
            yield row | {"statistic": f"sd_{suffix}", "estimate": float(np.sqrt(variance)), "note": note}


def balance_table(balance: ResultTable, *, digits: int = 2) -> pd.DataFrame:
    """Lay out balance the way a journal prints it: one line per covariate, text ready to print.

    Parameters
    ----------
    balance
        Rows of :func:`covariate_balance` or :meth:`PropensityFit.balance`, whichever measures there are.
    digits
        Decimals.

    Returns
    -------
    pandas.DataFrame
        ``Covariate``; then for the patients as observed and for each weighting the columns there are rows for: the mean
        (SD) or percentage of each arm, ``SMD``, ``Variance ratio``, ``KS``, ``Overlap``, headed ``Unweighted: SMD``,
        ``Weighted: SMD`` or the name of the weighting. What was not estimated is an en dash.

    Examples
    --------
    >>> data = pd.DataFrame({"arm": ["a", "a", "b", "b"], "age_years": [1.0, 3.0, 0.0, 2.0]})
    >>> table = covariate_balance(data, ["age_years"], treatment_col="arm", treated="a", measures=("mean", "smd"))
    >>> balance_table(table).iloc[0].tolist()
    ['age_years', '2.00 (1.41)', '1.00 (1.41)', '0.71']
    """
    headings = {"smd": "SMD", "variance_ratio": "Variance ratio", "ks": "KS", "overlap": "Overlap"}
    lines: dict[str, dict[str, str]] = {}
    frame = balance.frame
    measured = set(frame.loc[frame["statistic"].str.startswith("sd_"), "term"])
    for row in frame.to_dict("records"):
        measure, _, suffix = str(row["statistic"]).rpartition("_")
        given = "" if pd.isna(row["population"]) else str(row["population"])
        heading = "Unweighted" if suffix == "unadjusted" else given or "Weighted"
        line = lines.setdefault(str(row["term"]), {"Covariate": str(row["term"])})
        number = "–" if np.isnan(row["estimate"]) else f"{row['estimate']:.{digits}f}"
        if measure == "sd":
            line[f"{heading}: {row['group']}"] += f" ({number})"
        elif measure == "mean":
            share = row["term"] not in measured and not np.isnan(row["estimate"])
            line[f"{heading}: {row['group']}"] = f"{100 * row['estimate']:.1f} %" if share else number
        else:
            line[f"{heading}: {headings[measure]}"] = number
    table = pd.DataFrame(list(lines.values()))
    order = sorted(table.columns[1:], key=lambda name: not str(name).startswith("Unweighted"))
    weightings = list(dict.fromkeys(str(name).split(": ")[0] for name in order))
    return table[["Covariate", *sorted(order, key=lambda name: weightings.index(str(name).split(": ")[0]))]].fillna("")


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
