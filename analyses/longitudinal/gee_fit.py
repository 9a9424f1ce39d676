"""What a fitted marginal model says: coefficients, tests of terms, correlations, fitted values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy.special import expit, ndtr

from analyses.columns import FloatArray
from analyses.kernels.gee import Correlation, Family
from analyses.kernels.gee_variance import Variance
from analyses.kernels.proportions import normal_quantile
from analyses.longitudinal.standardised import Curves, counterfactuals, curve_table
from analyses.longitudinal.wald import chosen_terms, wald_test
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
        missing = "one correlation for each pair of visits, see correlations()" if len(parameters) > 1 else NO_PAIRS
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
            row without ``term`` for the other two, and with a single visit. No standard errors: the moments serve
            efficiency only.
        """
        if self.correlation in ("independence", "exchangeable") or self._failed or len(self.visits) < 2:
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
        label, chosen = chosen_terms(terms, self.terms, self.variables)
        test = wald_test(self.coefficients[list(chosen)], self.covariance[np.ix_(chosen, chosen)])
        row = {"term": label, "statistic": "chi_square", "estimate": test.chi_square, "p_value": test.p_value}
        table = self._results(pd.DataFrame([row]), note=self.note if self._failed else test.note)
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

    def marginal_response(
        self, data: pd.DataFrame, *, by: str, time_col: str | None = None, reference: object | None = None
    ) -> ResultTable:
        """Standardise the fitted means: what each group would show at each time if it were everybody.

        The model's mean is averaged over the subjects, each counted once with its own covariates, as if every one of
        them had belonged to the group and been seen at the time. Intervals come from the covariance of the fit by the
        delta method; the covariates of the subjects are taken as given. Offsets are set to zero, weights of rows do
        not enter the average.

        Parameters
        ----------
        data
            The frame the model was fitted to.
        by
            Column of the group, one of the formula's.
        time_col
            Numeric column of the visit, one of the formula's, or None.
        reference
            Level of ``by`` the others are compared with, or None for no comparison.

        Returns
        -------
        ResultTable
            Per group and time a row ``standardised_proportion`` (``standardised_rate``, ``standardised_mean``) with
            an interval symmetric on the scale of the link, then per contrast and time
            ``standardised_risk_difference`` (``standardised_rate_difference``, ``standardised_mean_difference``) with
            Wald interval and ``p_value``. ``n`` are the rows seen, ``n_events`` their events; a cell without rows is
            extrapolated by the model, with a note.

        Raises
        ------
        AnalysisError
            Another frame than that of the fit, a column the formula does not use, a covariate that changes within a
            subject, times that are not numbers, an unknown reference.
        """
        return gee_curves(self, data, by=by, time_col=time_col, reference=reference)

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


_CURVE = {"binomial": "proportion", "poisson": "rate", "gaussian": "mean"}
_CONTRAST = {"binomial": "risk_difference", "poisson": "rate_difference", "gaussian": "mean_difference"}


def gee_curves(
    fit: GeeFit, data: pd.DataFrame, *, by: str, time_col: str | None, reference: object | None
) -> ResultTable:
    """Do the work of :meth:`GeeFit.marginal_response`."""
    response, right = (part.strip() for part in str(fit.spec["formula"]).split("~"))
    grid = counterfactuals(
        data, right, subject_col=str(fit.spec["subject_col"]), by=by, time_col=time_col, reference=reference,
        intercept=True, rows=fit.rows,
    )  # fmt: skip
    offset_col = fit.spec["offset_col"]
    offset = 0.0 if offset_col is None else data[str(offset_col)].to_numpy(dtype=np.float64)
    grid.require_fit(grid.own @ fit.coefficients + offset, fit.linear_predictor)
    eta = grid.asked @ fit.coefficients
    if fit.family == "gaussian":
        mean, slope = eta, np.ones_like(eta)
    elif fit.family == "poisson":
        mean = slope = np.exp(eta)
    else:
        mean = expit(eta)
        slope = mean * (1 - mean)
    outcome = data[response].to_numpy(dtype=np.float64)
    curves = Curves(
        term=response,
        estimate=grid.averaged(mean),
        gradient=grid.averaged(slope[:, None] * grid.asked),
        events=np.full(len(grid.seen), np.nan) if fit.family == "gaussian" else grid.summed(outcome),
        scale="plain" if fit.family == "gaussian" else "log" if fit.family == "poisson" else "logit",
    )
    return curve_table(
        grid,
        [curves],
        fit.covariance,
        statistics=(f"standardised_{_CURVE[fit.family]}", f"standardised_{_CONTRAST[fit.family]}"),
        conf_level=fit.conf_level,
        method=fit.method,
        note=fit.note,
        metadata={"spec": {**fit.spec, "by": by, "curve_time_col": time_col, "reference": grid.reference}},
    )
