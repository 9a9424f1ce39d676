"""How alike two arms are, covariate by covariate, before and after weighting.

One definition of the standardised mean difference throughout: the difference of the (weighted) means over a standard
deviation *before* weighting, with denominator n - 1: ``sqrt((s1^2 + s0^2) / 2)``, or that of the treated where the
estimand is theirs (ATT) and that of the reference for an ATC. The denominator does not move when weights do, so that a
smaller value after weighting means closer means. Binary covariates and each level of a categorical one are treated the
same way, as zeros and ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
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
    "SMD_METHOD", "Measure", "balance_rows", "check_weights", "covariate_balance", "sample_variance",
    "standardised_difference", "variance_ratio",
]  # fmt: skip


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
        Columns to measure. Numeric ones are measured as they are; a boolean one by the share of True (term: its name);
        any other by the share of each level, the reference level included (``isn_rps_class=V``).
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
    estimand: str,
    measures: Sequence[Measure],
    arms: tuple[str, str],
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
    given: dict[str, tuple[FloatArray | None, str]] = {"\0": (None, "")}
    given.update(weightings)
    rows: list[dict[str, object]] = []
    for name in variables:
        for term, is_numeric, describe in _described(data, name, treated, [weights for weights, _ in given.values()]):
            for measure in measures:
                if measure == "variance_ratio" and not is_numeric:
                    continue
                for place, (population, (weights, words)) in enumerate(given.items()):
                    suffix = "unadjusted" if weights is None else "adjusted"
                    shared = {"term": term, "population": None if weights is None else population or None}
                    if measure == "mean":
                        shared["method"] = words or "as observed"
                        rows += [shared | row for row in _means(describe, is_numeric, place, arms, suffix)]
                        continue
                    value = describe(measure, place, scale)
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


_Describe = Callable[[str, int, str], float]
"""From a measure (or ``mean treated``, ``sd reference`` ...), the place of a weighting and a scale to a number."""


def _described(
    data: pd.DataFrame, name: str, treated: BoolArray, weightings: Sequence[FloatArray | None]
) -> Iterator[tuple[str, bool, _Describe]]:
    """Yield each term of a variable with what measures it: one at a time, so that memory does not grow with them."""
    column = data[name]
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        values = np.asarray(column.to_numpy(), dtype=np.float64)
        yield name, True, partial(_of_numbers, values, treated, weightings)
        return
    if pd.api.types.is_bool_dtype(column):
        terms, codes = {1: name}, np.asarray(column.to_numpy(), dtype=np.intp)
    else:
        levels, codes = ordered_levels(column)
        terms = {place: f"{name}={level}" for place, level in enumerate(levels)}
    counts = len(terms) + 1
    sizes = (int(treated.sum()), int((~treated).sum()))
    shares = [_shares(codes, treated, weights, counts) for weights in weightings]
    for place, term in terms.items():
        yield term, False, partial(_of_shares, [(one[place], zero[place]) for one, zero in shares], sizes)


def _shares(
    codes: npt.NDArray[np.intp], treated: BoolArray, weights: FloatArray | None, counts: int
) -> tuple[FloatArray, FloatArray]:
    """Return the share of each level in the treated and in the reference arm."""
    cells = codes + counts * ~treated
    totals = np.bincount(cells, weights, minlength=2 * counts).reshape(2, counts)
    one, zero = totals / totals.sum(axis=1, keepdims=True)
    return one, zero


def _of_numbers(
    values: FloatArray,
    treated: BoolArray,
    weightings: Sequence[FloatArray | None],
    measure: str,
    place: int,
    scale: str,
) -> float:
    weights = weightings[place]
    if measure == "smd":
        return standardised_difference(values, treated, weights, scale=scale)
    if measure == "variance_ratio":
        return variance_ratio(values, treated, weights)
    if measure == "ks":
        return kolmogorov_smirnov(values, treated, weights)
    if measure == "overlap":
        return overlapping_coefficient(values, treated, weights)
    own = treated if measure.endswith(" treated") else ~treated
    case = np.ones(int(own.sum())) if weights is None else weights[own]
    if measure.startswith("mean"):
        return float(np.average(values[own], weights=case))
    return float(np.sqrt(weighted_variance(values[own], case)))


def _of_shares(
    shares: Sequence[tuple[float, float]], sizes: tuple[int, int], measure: str, place: int, scale: str
) -> float:
    one, zero = shares[place]
    if measure == "smd":
        return _difference_of_shares(shares[0], sizes, one - zero, scale)
    if measure == "ks":  # the distribution functions of an indicator differ by the shares
        return float(abs(one - zero))
    if measure == "overlap":  # and its densities are the shares themselves
        return float(1 - abs(one - zero))
    return float(one if measure.endswith(" treated") else zero)


def _difference_of_shares(before: tuple[float, float], sizes: tuple[int, int], difference: float, scale: str) -> float:
    """Return the standardised difference of an indicator from its shares: the same as from zeros and ones."""
    if min(sizes) < 2:
        return float("nan")
    one, zero = (n / (n - 1) * share * (1 - share) for share, n in zip(before, sizes, strict=True))
    variance = {"pooled": (one + zero) / 2, "treated": one, "reference": zero}[scale]
    return float(difference / np.sqrt(variance)) if variance > 0 else float("nan")


def _means(
    describe: _Describe, is_numeric: bool, place: int, arms: tuple[str, str], suffix: str
) -> Iterator[dict[str, object]]:
    for name, which in zip(arms, ("treated", "reference"), strict=True):
        yield {"group": name, "statistic": f"mean_{suffix}", "estimate": describe(f"mean {which}", place, "")}
        if is_numeric:
            spread = describe(f"sd {which}", place, "")
            note = "fewer than two patients with weight" if np.isnan(spread) else None
            yield {"group": name, "statistic": f"sd_{suffix}", "estimate": spread, "note": note}


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
