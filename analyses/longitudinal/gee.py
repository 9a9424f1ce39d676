"""Generalised estimating equations for repeated outcomes of the same patients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

import numpy as np
import pandas as pd

from analyses.columns import FloatArray, as_binary, require_complete, require_probability
from analyses.design_matrix import Design, build_design
from analyses.kernels.gee import Correlation, Family, GeeProblem, GeeSolution, GeeStatus, gee_problem, solve_gee
from analyses.kernels.gee_variance import Variance, gee_variance
from analyses.kernels.logistic import separated_columns
from analyses.longitudinal.gee_fit import NO_VARIANCE, GeeFit
from analyses.longitudinal.inputs import (
    IntArray,
    Visits,
    formula_sides,
    numeric_column,
    refuse_collinear,
    require_offered,
    subject_codes,
    visits_of,
)
from cohort.errors import AnalysisError, UsageError

_WHERE = "fit_gee"
_SUSPECT_ETA = 10.0
"""Separated rows reach at least this linear predictor before the steps shrink to their tolerance."""
_NO_SPREAD = 1e-10


def fit_gee(
    data: pd.DataFrame,
    formula: str,
    *,
    subject_col: str,
    family: Family = "binomial",
    correlation: Correlation = "independence",
    time_col: str | None = None,
    weights_col: str | None = None,
    offset_col: str | None = None,
    variance: Variance = "robust",
    conf_level: float = 0.95,
) -> GeeFit:
    """Fit a marginal regression to repeated outcomes by generalised estimating equations.

    Estimates are those of the R package geepack: moments of scale and correlation divide by the numbers (or weights) of
    rows and of pairs, without subtracting the number of coefficients, and ``ar1`` uses all pairs of visits. statsmodels
    subtracts by default, which moved exchangeable coefficients by 2e-5 to 1e-4 of their size among 150 patients, and
    fits the autoregressive correlation by another criterion, which moved coefficients by up to some per cent. Both are
    valid; they are two estimators, and numbers of one are not those of the other.

    Parameters
    ----------
    data
        One row per subject and visit; rows of a subject need not be adjacent.
    formula
        Two-sided: ``"responder ~ arm * C(visit_month)"``. The left side is the name of a column: boolean or 0/1 for
        binomial, numeric for gaussian, whole and non-negative for poisson.
    subject_col
        Column that says which rows belong together.
    family
        Distribution, each with its canonical link (logit, identity, log).
    correlation
        Working correlation of the rows of a subject: ``"independence"``, ``"exchangeable"``, ``"ar1"`` (alpha to the
        power of the number of visits apart) or ``"unstructured"`` (one for each pair of visits).
    time_col
        Column of the visit, needed for ``ar1`` and ``unstructured``. The distinct times of the data, in order, count
        as visits 1, 2, 3, ..., equally spaced whatever their values (geepack's ``waves``), so that months 6 and 24 are
        two apart if somebody was seen at 12. A missed visit leaves a gap. Two rows of a subject at the same time are
        refused.
    weights_col
        Positive weights of rows, for instance of inverse probability of treatment or of being seen. They divide the
        working variance and weight the moments, pairs by the product of two weights (geepack's convention). The
        sandwich treats them as known, which as a rule errs to the side of caution; ``variance="model"`` is right only
        for inverse variances.
    offset_col
        Known part of the linear predictor, for instance the logarithm of time at risk.
    variance
        ``"robust"`` (sandwich); with few subjects ``"mancl_derouen"`` (somewhat too large) or ``"kauermann_carroll"``
        (between the two); ``"model"`` assumes the working correlation true.
    conf_level
        Of the Wald intervals of :meth:`GeeFit.tidy`, with normal quantiles for every variance: no t reference is
        offered, since degrees of freedom for these sandwiches are a convention that differs between authors.

    Returns
    -------
    GeeFit
        A fit without a finite solution (separated or constant outcome, exact fit, no convergence, impossible
        correlation) is returned with missing estimates and a ``note``.

    Raises
    ------
    AnalysisError
        Unknown column, no rows, missing values, an outcome that does not suit the family, a constant or collinear term
        (named), a single subject, repeated rows when ``time_col`` is given, weights that are not above zero.
    UsageError
        Unknown family, correlation or variance, a correlation that needs ``time_col`` without it, a formula without
        one ``~``, ``conf_level`` out of range.

    References
    ----------
    Liang KY, Zeger SL. Longitudinal data analysis using generalized linear models. Biometrika 1986;73:13-22.
    doi:10.1093/biomet/73.1.13. Halekoh U, Højsgaard S, Yan J. The R package geepack. J Stat Softw 2006;15(2):1-11.
    doi:10.18637/jss.v015.i02. Mancl and DeRouen (2001), doi:10.1111/j.0006-341X.2001.00126.x. Kauermann and Carroll
    (2001), doi:10.1198/016214501753382309

    Examples
    --------
    >>> import pandas as pd
    >>> data = pd.DataFrame({"patient_id": ["a", "a", "b", "b", "c", "c"], "responder": [1, 1, 0, 1, 0, 0]})
    >>> data["late"] = [0, 1, 0, 1, 0, 1]
    >>> fit = fit_gee(data, "responder ~ late", subject_col="patient_id")
    >>> fit.tidy(exponentiate=True).frame["estimate"].round(6).tolist()
    [0.5, 4.0]
    """
    require_probability(conf_level, "conf_level")
    require_offered("family", family, get_args(Family), where=_WHERE)
    require_offered("correlation", correlation, get_args(Correlation), where=_WHERE)
    require_offered("variance", variance, get_args(Variance), where=_WHERE)
    response, right = formula_sides(formula, where=_WHERE)
    require_complete(data, [response], where=_WHERE)
    outcome = _outcome(data, response, family)
    subject, sizes = subject_codes(data, subject_col, where=_WHERE)
    visits = _visits(data, subject, subject_col, time_col, correlation)
    weights = offset = None
    if weights_col is not None:
        weights = numeric_column(data, weights_col, role="weights_col", where=_WHERE, positive=True)
    if offset_col is not None:
        offset = numeric_column(data, offset_col, role="offset_col", where=_WHERE)
    design = build_design(right, data, intercept=True)
    refuse_collinear(design, formula, where=_WHERE)
    problem = gee_problem(
        design.matrix,
        outcome,
        subject,
        family=family,
        correlation=correlation,
        position=None if visits is None else visits.position,
        weights=weights,
        offset=offset,
    )
    solution = _solve(problem, design, outcome, variance)
    return GeeFit(
        terms=design.terms,
        variables=design.variables,
        coefficients=solution.coefficients,
        covariance=solution.covariance,
        working_correlation=solution.correlation,
        visits=() if visits is None else visits.labels,
        scale=solution.scale,
        linear_predictor=solution.linear_predictor,
        fitted=solution.fitted,
        residuals=outcome - solution.fitted,
        family=family,
        correlation=correlation,
        variance=variance,
        conf_level=conf_level,
        rows=len(data),
        subjects=len(sizes),
        largest_subject=int(sizes.max()),
        events=float("nan") if family == "gaussian" else float(outcome.sum()),
        weighted=weights is not None,
        note=solution.note,
        spec={
            "function": _WHERE,
            "formula": formula,
            "subject_col": subject_col,
            "family": family,
            "correlation": correlation,
            "time_col": time_col,
            "weights_col": weights_col,
            "offset_col": offset_col,
            "variance": variance,
            "conf_level": conf_level,
        },
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Solution:
    coefficients: FloatArray
    covariance: FloatArray
    correlation: FloatArray
    scale: float
    linear_predictor: FloatArray
    fitted: FloatArray
    note: str


def _solve(problem: GeeProblem, design: Design, outcome: FloatArray, variance: Variance) -> _Solution:
    """Run the kernel and judge what it returns."""
    if np.ptp(outcome) == 0:
        return _without_estimates(problem, "the outcome is the same in every row: nothing to model")
    solved = solve_gee(problem)
    separated = _separated(problem, design, outcome, solved)
    if separated:
        return _without_estimates(problem, f"the outcome is separated by {separated}: no finite estimate")
    if solved.status is GeeStatus.EXACT_FIT:
        return _without_estimates(problem, "the model fits every row exactly: no variance to estimate")
    if solved.status is GeeStatus.NOT_CONVERGED:
        return _without_estimates(problem, "no convergence, or fitted values at the edge of their range: no estimate")
    if solved.status is GeeStatus.IMPOSSIBLE_CORRELATION:
        return _without_estimates(problem, _impossible(problem, solved))
    model_based = np.diag(gee_variance(problem, solved, "model"))
    robust = gee_variance(problem, solved, "robust")
    if np.any(np.diag(robust) <= _NO_SPREAD**2 * model_based):
        return _without_estimates(problem, "the residuals of every subject cancel: no variance to estimate")
    covariance = robust if variance == "robust" else gee_variance(problem, solved, variance)
    return _Solution(
        solved.coefficients,
        covariance,
        solved.correlation,
        solved.scale,
        solved.linear_predictor,
        solved.fitted,
        NO_VARIANCE if np.isnan(covariance).any() else "",
    )


def _without_estimates(problem: GeeProblem, why: str) -> _Solution:
    rows, p = problem.basis.shape
    unknown, nowhere = np.full(p, np.nan), np.full(rows, np.nan)
    return _Solution(
        coefficients=unknown,
        covariance=np.full((p, p), np.nan),
        correlation=np.full(problem.structure.parameters, np.nan),
        scale=float("nan"),
        linear_predictor=nowhere,
        fitted=nowhere,
        note=why,
    )


def _separated(problem: GeeProblem, design: Design, outcome: FloatArray, solved: GeeSolution) -> str:
    """Name the terms without finite estimate; small steps alone do not prove that there is one."""
    if problem.family == "gaussian":
        return ""
    eta = solved.linear_predictor[problem.order] - problem.offset
    if np.isfinite(eta).all() and np.abs(eta).max() < _SUSPECT_ETA:
        return ""
    ones = outcome == 1 if problem.family == "binomial" else np.zeros(len(outcome), dtype=np.bool_)
    return ", ".join(design.terms[index] for index in separated_columns(design.matrix, outcome == 0, ones))


def _impossible(problem: GeeProblem, solved: GeeSolution) -> str:
    if len(solved.correlation) > 1:
        return "the working correlations are impossible together: their matrix is not positive definite"
    largest = int(problem.clusters.sizes.max())
    return f"the working correlation {solved.correlation[0]:.3f} is impossible for subjects of {largest} rows"


def _visits(
    data: pd.DataFrame, subject: IntArray, subject_col: str, time_col: str | None, correlation: Correlation
) -> Visits | None:
    if time_col is not None:
        return visits_of(data, subject, subject_col, time_col, where=_WHERE)
    if correlation in ("ar1", "unstructured"):
        raise UsageError(
            f"the {correlation} correlation needs to know the visits",
            where=_WHERE,
            got="time_col=None",
            remedy="name the column of the visit with time_col",
        )
    return None


def _outcome(data: pd.DataFrame, response: str, family: Family) -> FloatArray:
    if family == "binomial":
        return as_binary(data, response, where=_WHERE)
    column = data[response]
    if pd.api.types.is_numeric_dtype(column):
        values = column.to_numpy(dtype=np.float64)
        if family == "gaussian" or bool(np.all((values >= 0) & (values == np.floor(values)))):
            return values
    raise AnalysisError(
        "the outcome must be numeric" if family == "gaussian" else "the outcome must be whole and not negative",
        where=f"{_WHERE}, column {response}",
        got=str(column.dtype),
        remedy="convert it or choose another family",
    )
