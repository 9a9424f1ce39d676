"""Cumulative-logit models of ordered categories such as NR < PR < CR, once or repeatedly per patient."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analyses.columns import FloatArray, as_text, require_complete, require_probability
from analyses.design_matrix import Design, build_design, ordered_levels
from analyses.kernels.cumulative_logit import fit_cumulative_logit, separated_parameters
from analyses.kernels.grouped_sums import sum_rows_by
from analyses.longitudinal.inputs import IntArray, formula_sides, numeric_column, refuse_collinear, subject_codes
from analyses.longitudinal.ordinal_fit import OrdinalFit
from cohort.codes import Response
from cohort.errors import AnalysisError

_WHERE = "fit_ordinal"
_RESPONSE = (Response.NR.value, Response.PR.value, Response.CR.value)
_NO_SPREAD = 1e-10


def fit_ordinal(
    data: pd.DataFrame,
    formula: str,
    *,
    subject_col: str | None = None,
    categories: Sequence[object] | None = None,
    weights_col: str | None = None,
    conf_level: float = 0.95,
) -> OrdinalFit:
    """Fit a cumulative-logit (proportional odds) model of ordered categories by maximum likelihood.

    Repeated rows of a subject are fitted as if independent (a working independence: the estimates are consistent if
    the marginal model holds) with a sandwich variance clustered by subject.

    Parameters
    ----------
    data
        One row per subject, or per subject and visit.
    formula
        Two-sided: ``"response ~ arm * C(visit_month)"``. The left side is the name of a column.
    subject_col
        Column that says which rows belong together; implies the sandwich variance. Without it rows are independent
        and the variance is the inverse information (the sandwich by row if there are weights).
    categories
        Values of the outcome, lowest first. Not needed for response codes (NR < PR < CR), numbers (by size) and
        ordered pandas categoricals (as declared).
    weights_col
        Positive weights of rows, treated as known by the sandwich.
    conf_level
        Of the Wald intervals.

    Returns
    -------
    OrdinalFit
        A category that does not occur has no threshold; ``note`` names it, and the others are modelled. A fit without
        finite solution (separation, one category only) has missing estimates and a ``note``.

    Raises
    ------
    AnalysisError
        Unknown column, no rows, missing values, values that are not among ``categories`` or whose order is not known, a
        constant or collinear term (named), a single subject, weights that are not above zero.
    UsageError
        A formula without one ``~``, ``conf_level`` out of range.

    References
    ----------
    McCullagh P. Regression models for ordinal data. J R Stat Soc B 1980;42:109-142.
    doi:10.1111/j.2517-6161.1980.tb01109.x. Lipsitz SR, Kim K, Zhao L. Analysis of repeated categorical data using
    generalized estimating equations. Stat Med 1994;13:1149-1163. doi:10.1002/sim.4780131106

    Examples
    --------
    >>> data = pd.DataFrame({"response": ["NR", "PR", "CR", "NR", "CR", "CR"], "arm": ["a", "a", "a", "b", "b", "b"]})
    >>> fit_ordinal(data, "response ~ arm").tidy().frame[["term", "estimate"]].round(3).to_numpy().tolist()
    [['NR|PR', -0.361], ['PR|CR', 0.361], ['arm=b', 0.834]]
    """
    require_probability(conf_level, "conf_level")
    response, right = formula_sides(formula, where=_WHERE)
    require_complete(data, [response], where=_WHERE)
    levels, code = _categories(data[response], categories)
    cluster, subjects = np.arange(len(data)), None
    if subject_col is not None:
        cluster, sizes = subject_codes(data, subject_col, where=_WHERE)
        subjects = len(sizes)
    weights = np.ones(len(data))
    if weights_col is not None:
        weights = numeric_column(data, weights_col, role="weights_col", where=_WHERE, positive=True)
    design = build_design(right, data, intercept=False)
    refuse_collinear(design, formula, where=_WHERE, with_intercept=True)
    counts = np.bincount(code, minlength=len(levels))
    present = np.flatnonzero(counts)
    empty = ", ".join(levels[k] for k in np.flatnonzero(counts == 0))
    category = np.searchsorted(present, code)
    names = tuple(levels[k] for k in present)
    cuts = tuple(f"{low}|{high}" for low, high in itertools.pairwise(names))
    robust = subject_col is not None or weights_col is not None
    solved = _solve(design, category, weights, cluster if robust else None, (*cuts, *design.terms), len(cuts))
    remark = f"no row in {empty}: the other categories are modelled" if empty else ""
    return OrdinalFit(
        categories=names,
        counts=tuple(int(counts[k]) for k in present),
        terms=(*cuts, *design.terms),
        variables=(*cuts, *design.variables),
        thresholds=solved.parameters[: len(cuts)],
        coefficients=solved.parameters[len(cuts) :],
        covariance=solved.covariance,
        log_likelihood=solved.log_likelihood,
        conf_level=conf_level,
        rows=len(data),
        subjects=subjects,
        robust=robust,
        note="; ".join(part for part in (solved.note, remark) if part),
        spec={
            "function": _WHERE,
            "formula": formula,
            "subject_col": subject_col,
            "categories": None if categories is None else [str(value) for value in categories],
            "weights_col": weights_col,
            "conf_level": conf_level,
        },
        _design=design,
        _category=category,
        _weights=weights,
        _cluster=cluster,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Solved:
    parameters: FloatArray
    covariance: FloatArray
    log_likelihood: float
    note: str


def _solve(
    design: Design,
    category: IntArray,
    weights: FloatArray,
    cluster: IntArray | None,
    names: tuple[str, ...],
    cuts: int,
) -> _Solved:
    size = len(names)
    lost = _Solved(np.full(size, np.nan), np.full((size, size), np.nan), float("nan"), "")
    if cuts == 0:
        return _failed(lost, "the outcome is the same in every row: nothing to model")
    fit = fit_cumulative_logit(design.matrix, category, weights)
    if not fit.converged:
        separated = ", ".join(names[index] for index in separated_parameters(design.matrix, category))
        why = f"is separated by {separated}" if separated else "reaches fitted probabilities of 0 or 1"
        return _failed(lost, f"the outcome {why}: no finite estimate")
    covariance = np.asarray(np.linalg.inv(fit.information), dtype=np.float64)
    if cluster is not None:
        scores = sum_rows_by(cluster, fit.scores, int(cluster.max()) + 1) @ covariance
        robust = np.asarray(scores.T @ scores, dtype=np.float64)
        if np.any(np.diag(robust) <= _NO_SPREAD**2 * np.diag(covariance)):
            return _failed(lost, "the residuals of every subject cancel: no variance to estimate")
        covariance = robust
    return _Solved(np.concatenate([fit.thresholds, fit.coefficients]), covariance, fit.log_likelihood, "")


def _failed(lost: _Solved, why: str) -> _Solved:
    return _Solved(lost.parameters, lost.covariance, lost.log_likelihood, why)


def _categories(column: pd.Series, categories: Sequence[object] | None) -> tuple[tuple[str, ...], IntArray]:
    """Return the categories in order as text, and each row's number among them."""
    ordered = isinstance(column.dtype, pd.CategoricalDtype) and column.dtype.ordered
    if categories is None and (ordered or pd.api.types.is_numeric_dtype(column.dtype)):
        if ordered:
            return tuple(map(str, column.cat.categories)), column.cat.codes.to_numpy().astype(np.intp)
        return ordered_levels(column)
    order = _RESPONSE if categories is None else tuple(str(value) for value in categories)
    values = as_text(column)
    foreign = sorted(set(values.tolist()) - set(order))
    if foreign or len(set(order)) < len(order):
        raise AnalysisError(
            "the order of the categories is not known" if categories is None else "not among the categories",
            where=f"{_WHERE}, column {column.name}",
            got=", ".join(foreign[:5]) or "a category named twice",
            remedy="name each value once with categories=(...), lowest first",
        )
    place = {name: number for number, name in enumerate(order)}
    return order, np.array([place[value] for value in values.tolist()], dtype=np.intp)
