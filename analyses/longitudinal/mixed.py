"""Linear mixed models for repeated measurements of the same patients."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from analyses.columns import FloatArray, as_text, require_complete, require_probability
from analyses.design_matrix import Design, build_design
from analyses.kernels.logistic import collinear_columns
from analyses.kernels.mixed_model import MixedModelFit, fit_mixed_model
from analyses.longitudinal.formulas import formula_sides, random_slope
from analyses.longitudinal.mixed_fit import INTERCEPT, MixedFit
from cohort.errors import AnalysisError

IntArray: TypeAlias = npt.NDArray[np.intp]

_WHERE = "fit_mixed"
_EXACT_FIT = 1e-10
_BOUNDARY = "singular fit: a variance of the random effects is zero or their correlation is 1 in size"


def fit_mixed(
    data: pd.DataFrame,
    formula: str,
    *,
    subject_col: str,
    random: str = "1",
    reml: bool = True,
    conf_level: float = 0.95,
) -> MixedFit:
    """Fit a linear mixed model with a random intercept, or a random intercept and slope, of each subject.

    The profiled likelihood is this package's own (:func:`analyses.kernels.mixed_model.fit_mixed_model`), for fits that
    lie on the boundary, speed, and standard errors given the variance components as lme4 has them; statsmodels'
    ``MixedLM`` has the same maxima but stops short of them and inverts another information matrix.

    Parameters
    ----------
    data
        One row per subject and visit; rows of a subject need not be adjacent, subjects may have different visits.
    formula
        Two-sided: ``"log_upcr ~ arm * C(visit_month)"``. The left side is the name of a numeric column.
    subject_col
        Column that says which rows belong together.
    random
        ``"1"`` for a random intercept; ``"1 + years"`` for a correlated random intercept and slope of that column.
    reml
        Restricted maximum likelihood (for estimation) or maximum likelihood (to compare models of different means).
    conf_level
        Of Wald's intervals.

    Returns
    -------
    MixedFit
        Missing visits need no row: estimates are valid where, given the visits seen and the covariates, being seen
        does not depend on the value missed. A maximum on the boundary (no variance between subjects, or intercepts and
        slopes in proportion) is reported as such in ``note``. Where the variances cannot be told apart (one visit per
        subject; no subject with three visits or more for a slope), or the model fits every row exactly, the estimates
        are missing and ``note`` says why.

    Raises
    ------
    AnalysisError
        Unknown column, no rows, missing values, an outcome or slope that is not numeric, a constant or collinear term
        (named), a slope of a column that is the same for all rows, a single subject.
    UsageError
        A formula without one ``~``, ``random`` or ``conf_level`` out of range.

    References
    ----------
    Laird NM, Ware JH. Random-effects models for longitudinal data. Biometrics 1982;38:963-974. doi:10.2307/2529876.
    Bates D, Maechler M, Bolker B, Walker S. J Stat Softw 2015;67(1):1-48. doi:10.18637/jss.v067.i01

    Examples
    --------
    >>> import pandas as pd
    >>> data = pd.DataFrame({"patient_id": ["a", "a", "b", "b"], "albumin": [0.0, 2.0, 3.0, 6.0]})
    >>> data["visit"] = [1, 2, 1, 2]
    >>> fit = fit_mixed(data, "albumin ~ visit", subject_col="patient_id")
    >>> fit.tidy().frame[["term", "estimate"]].round(6).to_numpy().tolist()
    [['Intercept', -1.0], ['visit', 2.5]]
    """
    require_probability(conf_level, "conf_level")
    response, right = formula_sides(formula, where=_WHERE)
    slope = random_slope(random, where=_WHERE)
    require_complete(data, [response, subject_col, *([slope] if slope else [])], where=_WHERE)
    outcome = _numeric(data, response)
    _, codes, sizes = np.unique(as_text(data[subject_col]), return_inverse=True, return_counts=True)
    if len(sizes) < 2:
        raise AnalysisError("at least two subjects are needed", where=f"{_WHERE}, column {subject_col}", got="1")
    design = build_design(right, data, intercept=True)
    _refuse_collinear(design, formula)
    effects = _random_columns(data, slope)
    note = _unidentified(design, outcome, effects, codes, sizes)
    fit = _failed(design, effects) if note else fit_mixed_model(design.matrix, outcome, effects, codes, reml=reml)
    if not note and not fit.converged:
        note, fit = "the likelihood has no maximum that could be found", _failed(design, effects)
    elif not note and fit.singular:
        note = _BOUNDARY
    return MixedFit(
        terms=design.terms,
        coefficients=fit.coefficients,
        covariance=fit.covariance,
        random_terms=(INTERCEPT, *([slope] if slope else [])),
        random_covariance=fit.random_covariance,
        residual_variance=fit.residual_variance,
        log_likelihood=fit.log_likelihood,
        reml=reml,
        conf_level=conf_level,
        formula=formula,
        subject_col=subject_col,
        rows=len(data),
        subjects=len(sizes),
        largest_subject=int(sizes.max()),
        note=note,
        design=design,
        data=data[_used(data, right, subject_col)].copy(),
    )


def _used(data: pd.DataFrame, right: str, subject_col: str) -> list[str]:
    from formulaic import Formula

    names = {str(name) for name in Formula(right).required_variables}
    return [subject_col, *(str(name) for name in data.columns if str(name) in names - {subject_col})]


def _numeric(data: pd.DataFrame, name: str) -> FloatArray:
    column = data[name]
    if not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
        raise AnalysisError(
            "the column must be numeric", where=f"{_WHERE}, column {name}", got=str(column.dtype), remedy="convert it"
        )
    values = column.to_numpy(dtype=np.float64)
    if not np.isfinite(values).all():
        raise AnalysisError(
            "values are not finite",
            where=f"{_WHERE}, column {name}",
            got=f"{int((~np.isfinite(values)).sum())} rows",
            remedy="check the column",
        )
    return values


def _random_columns(data: pd.DataFrame, slope: str | None) -> FloatArray:
    ones = np.ones((len(data), 1))
    if slope is None:
        return ones
    effects = np.column_stack([ones, _numeric(data, slope)])
    if collinear_columns(effects):
        raise AnalysisError(
            "a slope of a column that is the same in every row",
            where=f"{_WHERE}, column {slope}",
            remedy='use random="1"',
        )
    return effects


def _unidentified(design: Design, outcome: FloatArray, effects: FloatArray, codes: IntArray, sizes: IntArray) -> str:
    """Say why the variances cannot be estimated, or return an empty text."""
    rows, columns = design.matrix.shape
    if rows <= columns:
        return f"{rows} rows for {columns} fixed effects: no variance to estimate"
    residual = outcome - design.matrix @ np.linalg.lstsq(design.matrix, outcome, rcond=None)[0]
    if float(np.abs(residual).max()) <= _EXACT_FIT * max(float(np.abs(outcome).max()), _EXACT_FIT):
        return "the fixed effects fit every row exactly: no variance to estimate"
    if sizes.max() == 1:
        return "one row per subject: the variance between subjects cannot be told from that within"
    if effects.shape[1] == 2:
        distinct = np.unique(np.column_stack([codes, effects[:, 1]]), axis=0)
        free = sizes - np.minimum(np.bincount(distinct[:, 0].astype(np.intp)), 2)
        if not free.any():
            return "no subject has rows enough to tell its own line from the scatter around it"
        if np.bincount(distinct[:, 0].astype(np.intp)).max() == 1:
            return "no subject has rows at two times: no slope of a subject to estimate"
    return ""


def _failed(design: Design, effects: FloatArray) -> MixedModelFit:
    p, q = len(design.terms), effects.shape[1]
    missing = float("nan")
    return MixedModelFit(
        np.full(p, np.nan), np.full((p, p), np.nan), np.full((q, q), np.nan), missing, missing, False, False
    )


def _refuse_collinear(design: Design, formula: str) -> None:
    collinear = collinear_columns(design.matrix)
    if collinear:
        raise AnalysisError(
            "constant or a combination of the other terms",
            where=f"{_WHERE}, formula {formula}",
            got=", ".join(design.terms[index] for index in collinear),
            remedy="leave these terms out",
        )
