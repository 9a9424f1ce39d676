"""Generalised estimating equations for repeated outcomes of the same patients."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import pandas as pd
from scipy.special import ndtr

from analyses.columns import (
    FloatArray,
    as_binary,
    as_text,
    refuse_repeated,
    require_complete,
    require_probability,
)
from analyses.design_matrix import Design, build_design
from analyses.kernels.logistic import collinear_columns, separated_columns
from analyses.kernels.proportions import normal_quantile
from cohort.errors import AnalysisError, UsageError
from cohort.results import ResultTable, result_table

Family = Literal["binomial", "gaussian", "poisson"]
Correlation = Literal["independence", "exchangeable"]

_LINK = {"binomial": "logit", "gaussian": "identity", "poisson": "log"}
_RATIO = {"binomial": "odds_ratio", "poisson": "rate_ratio"}
_LEVEL = {"binomial": "odds", "poisson": "rate"}
_INTERCEPT = "Intercept"
_MAX_ITERATIONS = 200
_SCORE_TOLERANCE = 1e-12
"""Times the sum of absolute covariate values: small beside any curvature, above the rounding of the score."""
_SUSPECT_ETA = 10.0
"""Separated rows reach at least this linear predictor before the score passes its tolerance."""
_EXACT_FIT = 1e-10


@dataclass(frozen=True, slots=True, eq=False)
class GeeFit:
    """A fitted marginal model. Made by :func:`fit_gee`.

    Parameters
    ----------
    terms
        Names of the coefficients.
    coefficients, covariance
        Shapes (p,) and (p, p); the covariance is the sandwich. NaN when the fit failed.
    working_correlation
        Estimated correlation of two rows of a subject; 0 under independence.
    scale
        Mean squared Pearson residual (denominator the number of rows).
    family, correlation, conf_level
        As asked.
    rows, subjects, largest_subject
        Numbers of rows and subjects and of rows of the largest subject.
    events
        Sum of a binary outcome or of counts; NaN for a gaussian one.
    note
        Why the fit failed, or empty.
    """

    terms: tuple[str, ...]
    coefficients: FloatArray
    covariance: FloatArray
    working_correlation: float
    scale: float
    family: Family
    correlation: Correlation
    conf_level: float
    rows: int
    subjects: int
    largest_subject: int
    events: float
    note: str

    def tidy(self, *, exponentiate: bool = False) -> ResultTable:
        """Return the coefficients.

        Parameters
        ----------
        exponentiate
            Ratios instead of their logarithms (``std_error`` stays that of the logarithm); not for gaussian outcomes.

        Returns
        -------
        ResultTable
            One row per term with robust ``std_error``, Wald interval and ``p_value``, ``n`` rows of data. ``statistic``
            is ``log_odds_ratio``, ``log_rate_ratio`` or, for gaussian outcomes, ``mean_difference`` (intercept:
            ``log_odds``, ``log_rate``, ``mean``), without ``log_`` when exponentiated. A failed fit has missing
            estimates and its reason in ``note``.

        Raises
        ------
        UsageError
            ``exponentiate`` for a gaussian outcome.
        """
        if exponentiate and self.family == "gaussian":
            raise UsageError(
                "a mean difference has no exponential", where="tidy", got="gaussian", remedy="leave exponentiate=False"
            )
        std_error = np.sqrt(np.diag(self.covariance))
        half_width = normal_quantile(self.conf_level) * std_error
        shown = np.exp if exponentiate else np.asarray
        frame = pd.DataFrame(
            {
                "term": list(self.terms),
                "statistic": [self._statistic(term, exponentiate) for term in self.terms],
                "estimate": shown(self.coefficients),
                "std_error": std_error,
                "conf_low": shown(self.coefficients - half_width),
                "conf_high": shown(self.coefficients + half_width),
                "conf_level": self.conf_level,
                "p_value": 2 * ndtr(-np.abs(self.coefficients / std_error)),
            }
        )
        return self._results(frame)

    def glance(self) -> ResultTable:
        """Return the fit in one row: ``statistic="working_correlation"``, ``n`` rows, ``n_events`` their events.

        The metadata holds ``subjects``, ``largest_subject`` and ``scale``.
        """
        row = pd.DataFrame({"statistic": ["working_correlation"], "estimate": [self.working_correlation]})
        return self._results(row).with_metadata(
            subjects=self.subjects,
            largest_subject=self.largest_subject,
            scale=None if np.isnan(self.scale) else self.scale,
        )

    def _statistic(self, term: str, exponentiate: bool) -> str:
        if self.family == "gaussian":
            return "mean" if term == _INTERCEPT else "mean_difference"
        name = (_LEVEL if term == _INTERCEPT else _RATIO)[self.family]
        return name if exponentiate else f"log_{name}"

    def _results(self, rows: pd.DataFrame) -> ResultTable:
        return result_table(
            rows,
            analysis="longitudinal",
            n=self.rows,
            n_events=self.events,
            method=f"GEE, {self.family}, {_LINK[self.family]} link, {self.correlation} working correlation, "
            "sandwich variance",
            note=self.note or None,
        )


def fit_gee(
    data: pd.DataFrame,
    formula: str,
    *,
    subject_col: str,
    family: Family = "binomial",
    correlation: Correlation = "independence",
    time_col: str | None = None,
    conf_level: float = 0.95,
) -> GeeFit:
    """Fit a marginal regression to repeated outcomes by generalised estimating equations.

    The moment estimators of scale and correlation divide by the numbers of rows and of pairs, without subtracting the
    number of coefficients, as the R package geepack does; coefficients and standard errors then agree with it to
    1e-8. (The default of statsmodels subtracts, which moves exchangeable coefficients in the fifth decimal or so.)

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
        Distribution, each with its canonical link.
    correlation
        Working correlation of the rows of a subject, ``"independence"`` or ``"exchangeable"``.
    time_col
        If given, two rows of a subject at the same time are refused. The two correlations do not depend on time.
    conf_level
        Of the Wald intervals of :meth:`GeeFit.tidy`.

    Returns
    -------
    GeeFit
        Standard errors are robust (sandwich, no small-sample correction). A fit without a finite solution (separated
        or constant outcome, exact fit, no convergence, impossible correlation) is returned with missing estimates and
        a ``note``.

    Raises
    ------
    AnalysisError
        Unknown column, no rows, missing values, an outcome that does not suit the family, a constant or collinear term
        (named), a single subject, repeated rows when ``time_col`` is given.
    UsageError
        Unknown family or correlation, a formula without one ``~``, ``conf_level`` out of range.

    References
    ----------
    Liang KY, Zeger SL. Longitudinal data analysis using generalized linear models. Biometrika 1986;73:13-22.
    doi:10.1093/biomet/73.1.13

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
    _require_offered("family", family, get_args(Family))
    _require_offered("correlation", correlation, get_args(Correlation))
    response, right = _sides(formula)
    require_complete(data, [response, subject_col], where="fit_gee")
    outcome = _outcome(data, response, family)
    subject = as_text(data[subject_col])
    _, codes, sizes = np.unique(subject, return_inverse=True, return_counts=True)
    if len(sizes) < 2:
        raise AnalysisError("at least two subjects are needed", where=f"fit_gee, column {subject_col}", got="1")
    if time_col is not None:
        require_complete(data, [time_col], where="fit_gee")
        refuse_repeated(data, subject_col, time_col, where="fit_gee")
    design = build_design(right, data, intercept=True)
    _refuse_collinear(design, formula)
    solution = _solve(design, outcome, codes, family, correlation, int(sizes.max()))
    return GeeFit(
        terms=design.terms,
        coefficients=solution.coefficients,
        covariance=solution.covariance,
        working_correlation=solution.working_correlation,
        scale=solution.scale,
        family=family,
        correlation=correlation,
        conf_level=conf_level,
        rows=len(data),
        subjects=len(sizes),
        largest_subject=int(sizes.max()),
        events=float("nan") if family == "gaussian" else float(outcome.sum()),
        note=solution.note,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Solution:
    coefficients: FloatArray
    covariance: FloatArray
    working_correlation: float
    scale: float
    note: str


def _solve(
    design: Design,
    outcome: FloatArray,
    subject: np.ndarray[tuple[int, ...], np.dtype[np.intp]],
    family: Family,
    correlation: Correlation,
    largest: int,
) -> _Solution:
    """Run statsmodels with its warnings caught, and judge what it returns."""
    if np.ptp(outcome) == 0:
        return _failed(design, "the outcome is the same in every row: nothing to model")
    import statsmodels.api as sm

    distribution = {"binomial": sm.families.Binomial, "gaussian": sm.families.Gaussian, "poisson": sm.families.Poisson}
    structure = {"independence": sm.cov_struct.Independence, "exchangeable": sm.cov_struct.Exchangeable}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = sm.GEE(
            outcome, design.matrix, groups=subject, family=distribution[family](), cov_struct=structure[correlation]()
        )
        tolerance = _SCORE_TOLERANCE * float(np.abs(design.matrix).sum(axis=0).max())
        result = model.fit(maxiter=_MAX_ITERATIONS, ctol=tolerance, ddof_scale=0)
    said = "; ".join(dict.fromkeys(str(warning.message) for warning in caught))
    if result is None:
        return _failed(design, said)
    coefficients = np.asarray(result.params, dtype=np.float64)
    covariance = np.asarray(result.cov_robust, dtype=np.float64)
    alpha = float(np.asarray(result.cov_struct.dep_params if correlation == "exchangeable" else 0.0))
    separated = _separated(design, outcome, coefficients, family)
    if separated:
        return _failed(design, f"the outcome is separated by {separated}: no finite estimate")
    if not (np.isfinite(coefficients).all() and np.isfinite(covariance).all() and result.converged):
        return _failed(design, said or "the estimating equations have no finite solution")
    if largest > 1 and not -1 / (largest - 1) < alpha < 1:
        return _failed(design, f"the working correlation {alpha:.3f} is impossible for subjects of {largest} rows")
    if np.abs(np.asarray(result.resid_response)).max() <= _EXACT_FIT * np.abs(outcome).max():
        return _failed(design, "the model fits every row exactly: no variance to estimate")
    if np.any(np.diag(covariance) <= _EXACT_FIT**2 * np.diag(np.asarray(result.cov_naive))):
        return _failed(design, "the residuals of every subject cancel: no variance to estimate")
    residual = np.asarray(result.resid_pearson, dtype=np.float64)
    return _Solution(coefficients, covariance, alpha, float(np.mean(residual**2)), said)


def _failed(design: Design, why: str) -> _Solution:
    p = len(design.terms)
    return _Solution(np.full(p, np.nan), np.full((p, p), np.nan), float("nan"), float("nan"), why)


def _separated(design: Design, outcome: FloatArray, coefficients: FloatArray, family: Family) -> str:
    """Name the terms without finite estimate; the library's convergence test passes on separated data."""
    with np.errstate(invalid="ignore", over="ignore"):
        eta = design.matrix @ coefficients
    if family == "gaussian" or (np.isfinite(eta).all() and np.abs(eta).max() < _SUSPECT_ETA):
        return ""
    ones = outcome == 1 if family == "binomial" else np.zeros(len(outcome), dtype=np.bool_)
    return ", ".join(design.terms[index] for index in separated_columns(design.matrix, outcome == 0, ones))


def _require_offered(name: str, value: str, offered: tuple[str, ...]) -> None:
    if value not in offered:
        raise UsageError(f"unknown {name}", where="fit_gee", got=str(value), remedy=f"use one of {', '.join(offered)}")


def _sides(formula: str) -> tuple[str, str]:
    parts = [part.strip() for part in formula.split("~")]
    if len(parts) != 2 or not all(parts):
        raise UsageError(
            "the formula needs a left and a right side",
            where="fit_gee",
            got=formula,
            remedy="write for instance responder ~ arm + age_years",
        )
    return parts[0], parts[1]


def _outcome(data: pd.DataFrame, response: str, family: Family) -> FloatArray:
    if family == "binomial":
        return as_binary(data, response, where="fit_gee")
    column = data[response]
    if pd.api.types.is_numeric_dtype(column):
        values = np.asarray(column.to_numpy(), dtype=np.float64)
        if family == "gaussian" or bool(np.all((values >= 0) & (values == np.floor(values)))):
            return values
    raise AnalysisError(
        "the outcome must be numeric" if family == "gaussian" else "the outcome must be whole and not negative",
        where=f"fit_gee, column {response}",
        got=str(column.dtype),
        remedy="convert it or choose another family",
    )


def _refuse_collinear(design: Design, formula: str) -> None:
    collinear = collinear_columns(design.matrix)
    if collinear:
        raise AnalysisError(
            "constant or a combination of the other terms",
            where=f"fit_gee, formula {formula}",
            got=", ".join(design.terms[index] for index in collinear),
            remedy="leave these terms out",
        )
