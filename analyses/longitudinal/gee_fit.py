"""What a fitted marginal model says: coefficients, tests of terms, correlations, fitted values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy.special import chdtrc, ndtr

from analyses.columns import FloatArray
from analyses.kernels.gee import Correlation, Family
from analyses.kernels.gee_variance import Variance
from analyses.kernels.proportions import normal_quantile
from analyses.kernels.quadratic_form import quadratic_form
from cohort.errors import AnalysisError, UsageError
from cohort.results import ResultTable, result_table

LINK = {"binomial": "logit", "gaussian": "identity", "poisson": "log"}
VARIANCE = {
    "robust": "sandwich variance",
    "mancl_derouen": "Mancl-DeRouen sandwich variance",
    "kauermann_carroll": "Kauermann-Carroll sandwich variance",
    "model": "model-based variance",
}
_RATIO = {"binomial": "odds_ratio", "poisson": "rate_ratio"}
_LEVEL = {"binomial": "odds", "poisson": "rate"}
_INTERCEPT = "Intercept"
NO_VARIANCE = "no standard error: one subject alone determines a coefficient, which the correction cannot bear"
NO_PAIRS = "no correlation: no two rows of a subject"
NEVER_TOGETHER = "no correlation: no subject has both visits"
NO_TEST = "no test: the variance of the terms is singular"


@dataclass(frozen=True, slots=True, eq=False)
class GeeFit:
    """A fitted marginal model with ``p`` coefficients. Made by :func:`analyses.longitudinal.fit_gee`.

    Attributes
    ----------
    terms, variables
        Names of the coefficients, and for each the term of the formula it belongs to.
    coefficients, covariance
        Shapes (p,) and (p, p); the covariance is the one asked for. NaN when the fit failed.
    working_correlation
        Shape (q,): nothing under independence, one number for exchangeable and ar1, one for each pair of visits
        (first with second, first with third, ...) for unstructured. NaN where no pair of rows informs it.
    visits
        Distinct times as text, in order; empty without ``time_col``.
    scale
        Weighted mean squared Pearson residual (denominator the sum of weights).
    linear_predictor, fitted, residuals
        Shape (n,), in the row order of the data: offset included, means, outcome minus mean. NaN when the fit failed.
    family, correlation, variance, conf_level
        As asked.
    rows, subjects, largest_subject
        Numbers of rows and subjects and of rows of the largest subject.
    events
        Sum of a binary outcome or of counts; NaN for a gaussian one.
    weighted
        Whether rows were weighted.
    note
        Why the fit failed, or what is remarkable about it, or empty.
    """

    terms: tuple[str, ...]
    variables: tuple[str, ...]
    coefficients: FloatArray
    covariance: FloatArray
    working_correlation: FloatArray
    visits: tuple[str, ...]
    scale: float
    linear_predictor: FloatArray = field(repr=False)
    fitted: FloatArray = field(repr=False)
    residuals: FloatArray = field(repr=False)
    family: Family
    correlation: Correlation
    variance: Variance
    conf_level: float
    rows: int
    subjects: int
    largest_subject: int
    events: float
    weighted: bool
    note: str
    spec: dict[str, object] = field(repr=False)

    def tidy(self, *, exponentiate: bool = False) -> ResultTable:
        """Return the coefficients.

        Parameters
        ----------
        exponentiate
            Ratios instead of their logarithms (``std_error`` stays that of the logarithm); not for gaussian outcomes.

        Returns
        -------
        ResultTable
            One row per term with ``std_error``, Wald interval and ``p_value`` (normal reference), ``n`` rows of data.
            ``statistic`` is ``log_odds_ratio``, ``log_rate_ratio`` or, for gaussian outcomes, ``mean_difference``
            (intercept: ``log_odds``, ``log_rate``, ``mean``), without ``log_`` when exponentiated. A failed fit has
            missing estimates and its reason in ``note``.

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
        """Return the fit in one row.

        Returns
        -------
        ResultTable
            ``statistic="working_correlation"``: ``estimate`` the correlation of exchangeable or ar1, 0 under
            independence; an unstructured fit has several, for which see :meth:`correlations`. ``n`` rows, ``n_events``
            their events. The metadata holds ``subjects``, ``largest_subject`` and ``scale``.
        """
        parameters = self.working_correlation
        several = self.correlation == "unstructured"
        alpha = 0.0 if self.correlation == "independence" and not self._failed else float("nan")
        if not several and len(parameters):
            alpha = float(parameters[0])
        missing = "one correlation for each pair of visits, see correlations()" if several else NO_PAIRS
        row = {"statistic": "working_correlation", "estimate": alpha}
        note = self.note or (missing if np.isnan(alpha) else "")
        return self._results(pd.DataFrame([row]), note=note).with_metadata(
            subjects=self.subjects,
            largest_subject=self.largest_subject,
            scale=None if np.isnan(self.scale) else self.scale,
        )

    def correlations(self) -> ResultTable:
        """Return the working correlation of each pair of visits.

        Returns
        -------
        ResultTable
            Rows ``working_correlation`` with ``term`` the two visits, ``"6 v 12"``, for unstructured and ar1; a single
            row without ``term`` for the other two. No standard errors: the moments serve efficiency only.
        """
        if self.correlation in ("independence", "exchangeable") or self._failed:
            return self.glance()
        pairs = [(j, k) for j in range(len(self.visits)) for k in range(j + 1, len(self.visits))]
        alpha = self.working_correlation
        estimates = alpha if self.correlation == "unstructured" else [alpha[0] ** (k - j) for j, k in pairs]
        rows = pd.DataFrame(
            {
                "term": [f"{self.visits[j]} v {self.visits[k]}" for j, k in pairs],
                "statistic": "working_correlation",
                "estimate": np.asarray(estimates, dtype=np.float64),
            }
        )
        lacking = NEVER_TOGETHER if self.correlation == "unstructured" else NO_PAIRS
        notes = [lacking if np.isnan(value) else self.note or None for value in rows["estimate"]]
        return self._results(rows.assign(note=pd.Series(notes, dtype="string")), note=None)

    def test_terms(self, terms: str | Sequence[str]) -> ResultTable:
        """Test that several coefficients are all zero (Wald test with the covariance of the fit).

        Parameters
        ----------
        terms
            Terms of the formula, each standing for all its coefficients (``"treated:visit"``), or single coefficients
            (``"visit=month 12"``).

        Returns
        -------
        ResultTable
            One row ``chi_square`` with ``p_value``; ``term`` names what was tested, ``note`` holds ``df=...``. With
            more coefficients than subjects, or a singular variance, there is no test and ``note`` says so.

        Raises
        ------
        UsageError
            A name that is neither (those there are listed), or none.
        """
        names = [terms] if isinstance(terms, str) else list(terms)
        known = {*self.terms, *self.variables}
        unknown = [name for name in names if name not in known]
        if unknown or not names:
            raise UsageError(
                "no such term",
                where="test_terms",
                got=", ".join(unknown) or "no name",
                remedy=f"use terms {', '.join(dict.fromkeys(self.variables))} or coefficients {', '.join(self.terms)}",
            )
        both = zip(self.terms, self.variables, strict=True)
        chosen = np.array([j for j, owners in enumerate(both) if set(owners) & set(names)], dtype=np.intp)
        block = self.covariance[np.ix_(chosen, chosen)]
        row: dict[str, object] = {"term": " + ".join(names), "statistic": "chi_square"}
        note = self.note
        if not self._failed and np.isfinite(block).all():
            unit = np.sqrt(np.diag(block))
            row["estimate"] = quadratic_form(self.coefficients[chosen] / unit, block / np.outer(unit, unit), scale=1.0)
            tested = not np.isnan(row["estimate"])
            row["p_value"] = float(chdtrc(len(chosen), row["estimate"])) if tested else float("nan")
            note = f"df={len(chosen)}" if tested else NO_TEST
        table = self._results(pd.DataFrame([row]), note=note)
        return ResultTable(table.frame.assign(method=table.frame["method"] + "; Wald test"), table.metadata)

    def augment(self, data: pd.DataFrame) -> pd.DataFrame:
        """Return ``data``, the frame the model was fitted to, with ``fitted``, ``residual`` and ``linear_predictor``.

        Raises
        ------
        AnalysisError
            If it has another number of rows.
        """
        if len(data) != self.rows:
            raise AnalysisError(
                "not the data of this fit",
                where="augment",
                got=f"{len(data)} rows",
                remedy=f"pass the {self.rows} rows",
            )
        return data.assign(fitted=self.fitted, residual=self.residuals, linear_predictor=self.linear_predictor)

    @property
    def _failed(self) -> bool:
        return bool(np.isnan(self.coefficients).any())

    @property
    def method(self) -> str:
        """The model in words."""
        weighted = ", weighted" if self.weighted else ""
        return (
            f"GEE, {self.family}, {LINK[self.family]} link, {self.correlation} working correlation{weighted}, "
            f"{VARIANCE[self.variance]}"
        )

    def _statistic(self, term: str, exponentiate: bool) -> str:
        if self.family == "gaussian":
            return "mean" if term == _INTERCEPT else "mean_difference"
        name = (_LEVEL if term == _INTERCEPT else _RATIO)[self.family]
        return name if exponentiate else f"log_{name}"

    def _results(self, rows: pd.DataFrame, note: str | None = "") -> ResultTable:
        """Lay out rows; ``note`` None leaves theirs, an empty one stands for that of the fit."""
        constants: dict[str, object] = {} if note is None else {"note": note or self.note or None}
        return result_table(
            rows,
            metadata={"spec": self.spec},
            analysis="longitudinal",
            n=self.rows,
            n_events=self.events,
            method=self.method,
            **constants,
        )
