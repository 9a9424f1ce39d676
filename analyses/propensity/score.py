"""The propensity model: the probability of treatment given baseline covariates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd
from scipy.special import logit, ndtr

from analyses.columns import (
    BoolArray,
    FloatArray,
    as_text,
    require_complete,
    require_probability,
    treated_rows,
)
from analyses.design_matrix import build_design
from analyses.kernels.logistic import LogisticFit, collinear_columns, fit_logistic, separated_columns
from analyses.kernels.proportions import normal_quantile
from analyses.propensity.balance import balance_table, check_weights
from analyses.propensity.matched_sample import Comparable, Matching, comparable_arms
from analyses.propensity.matching import MatchedEstimand, MatchingOptions, Method, Order, match_comparable
from analyses.propensity.subclassification import subclassify_comparable
from analyses.propensity.weights import Estimand, EstimatedWeights, balancing_weights, effective_size
from cohort.errors import AnalysisError, UsageError
from cohort.results import ResultTable, result_table

_METHOD = "logistic regression, maximum likelihood"
_INTERCEPT = "Intercept"


@dataclass(frozen=True, slots=True, eq=False)
class PropensityFit:
    """A fitted propensity model. Made by :func:`fit_propensity`.

    Parameters
    ----------
    score
        Shape (n,), fitted probability of treatment, in the row order of the data.
    treated
        Shape (n,), who was treated.
    arms
        Names of the treated and the reference arm.
    terms, coefficients, covariance
        The model: log odds ratios of treatment and their model-based covariance.
    log_likelihood
        At the maximum.
    covariates
        Columns of the data the formula uses.
    """

    score: FloatArray
    treated: BoolArray
    arms: tuple[str, str]
    terms: tuple[str, ...]
    coefficients: FloatArray
    covariance: FloatArray
    log_likelihood: float
    covariates: tuple[str, ...]
    _design: FloatArray = field(repr=False)
    _data: pd.DataFrame = field(repr=False)

    def weights(self, estimand: Estimand = "ATE", *, stabilized: bool = False, trim: float | None = None) -> FloatArray:
        """Return balancing weights, shape (n,), in the row order of the data.

        See :func:`analyses.propensity.weights.balancing_weights` for the estimands, ``stabilized`` and ``trim``.

        Raises
        ------
        UsageError
            An option out of its range.
        AnalysisError
            Trimming left an arm without patients.
        """
        values = balancing_weights(self.score, self.treated, estimand=estimand, stabilized=stabilized, trim=trim).values
        return check_weights(values, self.treated, where="weights")

    def estimated_weights(
        self, estimand: Estimand = "ATE", *, stabilized: bool = False, trim: float | None = None
    ) -> EstimatedWeights:
        """Return the same weights with what is needed to account for the estimation of the score.

        Pass the result to :func:`analyses.comparison.weighted_rates` instead of the bare weights. Arguments and errors
        are those of :meth:`weights`. The share that stabilises weights is taken as known, which changes no normalised
        contrast.
        """
        values = self.weights(estimand, stabilized=stabilized, trim=trim)
        slope = balancing_weights(self.score, self.treated, estimand=estimand, stabilized=stabilized, trim=trim).slope
        residual = self.treated - self.score
        return EstimatedWeights(
            values=values,
            gradient=(slope * self.score * (1 - self.score))[:, None] * self._design,
            influence=(self._design * residual[:, None]) @ self.covariance,
            patient=np.arange(len(values)),
            description=_describe_weights(estimand, stabilized, trim),
        )

    def balance(self, weights: object = None, *, variables: Sequence[str] | None = None) -> ResultTable:
        """Measure covariate balance before and after weighting.

        Parameters
        ----------
        weights
            Shape (n,), in the row order of the data; the model's own ATE weights if left out.
        variables
            Columns of the data, by default those of the formula; others may be named too.

        Returns
        -------
        ResultTable
            Per term ``smd_unadjusted`` and ``smd_adjusted``, both over the unweighted ``sqrt((s1^2 + s0^2) / 2)``, for
            every level of a categorical covariate; for numeric covariates also ``variance_ratio_unadjusted`` and
            ``variance_ratio_adjusted``. A covariate that varies in neither arm has missing estimates and a note.

        Raises
        ------
        AnalysisError
            Unknown column, missing values, or unusable weights.
        """
        own = weights is None
        return balance_table(
            self._data,
            self.covariates if variables is None else variables,
            self.treated,
            self.weights() if own else check_weights(weights, self.treated, where="balance"),
            contrast=self._contrast,
            weighting=_describe_weights("ATE", False, None) if own else "weights as given",
        )

    def match(
        self,
        method: Method = "nearest",
        *,
        estimand: MatchedEstimand = "ATT",
        ratio: int = 1,
        replace: bool = False,
        caliper: float | None = None,
        exact: str | Sequence[str] | None = None,
        order: Order | None = None,
        on: Literal["logit", "score"] = "logit",
        subject_col: str = "patient_id",
    ) -> Matching:
        """Match patients on the logit of the score.

        Parameters
        ----------
        method, estimand, ratio, replace, caliper, exact, order, subject_col
            As for :func:`analyses.propensity.match_patients`.
        on
            ``logit`` (log odds of the score; a caliper is then in its standard deviations) or ``score``.

        Returns
        -------
        Matching
            Its :meth:`Matching.balance` measures the covariates of the formula.

        Raises
        ------
        AnalysisError, UsageError
            As for :func:`analyses.propensity.match_patients`.
        """
        options = MatchingOptions(method, estimand, ratio, replace, caliper, exact, order)
        patients = self._comparable(on, subject_col, where="match")
        return match_comparable(self._data, patients, options, subject_col=subject_col, covariates=self.covariates)

    def subclassify(
        self,
        subclasses: int = 5,
        *,
        estimand: MatchedEstimand = "ATE",
        on: Literal["logit", "score"] = "score",
        subject_col: str = "patient_id",
    ) -> Matching:
        """Divide patients at quantiles of the score; see :func:`analyses.propensity.subclassify`.

        Raises
        ------
        AnalysisError, UsageError
            As for :func:`analyses.propensity.subclassify`.
        """
        patients = self._comparable(on, subject_col, where="subclassify")
        return subclassify_comparable(
            self._data,
            patients,
            subclasses=subclasses,
            estimand=estimand,
            subject_col=subject_col,
            covariates=self.covariates,
        )

    def _comparable(self, on: str, subject_col: str, *, where: str) -> Comparable:
        if on not in ("logit", "score"):
            raise UsageError("unknown scale", where=f"{where}, on", got=str(on), remedy="use logit, score")
        values = logit(self.score) if on == "logit" else self.score
        return comparable_arms(self._data, self.treated, self.arms, values, subject_col=subject_col, where=where)

    def effective_sample_size(self, weights: object = None) -> ResultTable:
        """Return Kish's effective sample size of each arm.

        Parameters
        ----------
        weights
            As for :meth:`balance`.

        Returns
        -------
        ResultTable
            One row per arm, treated first: ``statistic="effective_sample_size"``, ``n`` the patients with weight.

        Raises
        ------
        AnalysisError
            Unusable weights.
        """
        values = check_weights(
            self.weights() if weights is None else weights, self.treated, where="effective_sample_size"
        )
        rows = [
            {
                "group": arm,
                "statistic": "effective_sample_size",
                "estimate": effective_size(values[own]),
                "n": int(np.sum(values[own] > 0)),
            }
            for arm, own in zip(self.arms, (self.treated, ~self.treated), strict=True)
        ]
        return result_table(rows, analysis="propensity", method="Kish: sum(w)^2 / sum(w^2)")

    def tidy(self, *, exponentiate: bool = False, conf_level: float = 0.95) -> ResultTable:
        """Return the model's coefficients.

        Parameters
        ----------
        exponentiate
            Odds ratios (with ``std_error`` still of their logarithm) instead of log odds ratios.
        conf_level
            Of the Wald intervals.

        Returns
        -------
        ResultTable
            One row per term, ``statistic`` ``log_odds_ratio`` or ``odds_ratio`` (``log_odds`` or ``odds`` for the
            intercept), ``p_value`` of the Wald test, ``n`` patients, ``n_events`` treated.
        """
        require_probability(conf_level, "conf_level")
        std_error = np.sqrt(np.diag(self.covariance))
        half_width = normal_quantile(conf_level) * std_error
        shown = np.exp if exponentiate else np.asarray
        prefix = "" if exponentiate else "log_"
        frame = pd.DataFrame(
            {
                "term": list(self.terms),
                "statistic": [prefix + ("odds" if term == _INTERCEPT else "odds_ratio") for term in self.terms],
                "estimate": shown(self.coefficients),
                "std_error": std_error,
                "conf_low": shown(self.coefficients - half_width),
                "conf_high": shown(self.coefficients + half_width),
                "conf_level": conf_level,
                "p_value": 2 * ndtr(-np.abs(self.coefficients / std_error)),
            }
        )
        return self._results(frame)

    def glance(self) -> ResultTable:
        """Return the model in one row: ``statistic="log_likelihood"``, ``n`` patients, ``n_events`` treated."""
        return self._results(pd.DataFrame({"statistic": ["log_likelihood"], "estimate": [self.log_likelihood]}))

    @property
    def _contrast(self) -> str:
        return f"{self.arms[0]} v {self.arms[1]}"

    def _results(self, rows: pd.DataFrame) -> ResultTable:
        return result_table(
            rows,
            analysis="propensity",
            contrast=self._contrast,
            n=len(self.score),
            n_events=int(self.treated.sum()),
            method=_METHOD,
        )


def fit_propensity(
    data: pd.DataFrame,
    formula: str,
    *,
    treatment_col: str,
    treated: object,
    method: Literal["logistic"] = "logistic",
) -> PropensityFit:
    """Model the probability of treatment given baseline covariates.

    Parameters
    ----------
    data
        One row per patient.
    formula
        Right-hand side, ``"age_years + isn_rps_class + upcr_g_g"``; an intercept is added.
    treatment_col
        Column of the arm, with exactly two levels.
    treated
        Its level that counts as treated.
    method
        ``"logistic"`` (maximum likelihood) is offered.

    Returns
    -------
    PropensityFit
        Scores, weights, balance and the model itself.

    Raises
    ------
    AnalysisError
        Unknown column, no rows, missing values (never dropped), a single arm or more than two; a covariate that is
        constant or a combination of others (named); covariates that tell the arms apart without error, so that some
        patients have no counterpart and coefficients no finite estimate (named).
    UsageError
        Unknown ``method``.

    References
    ----------
    Rosenbaum PR, Rubin DB. The central role of the propensity score in observational studies for causal effects.
    Biometrika 1983;70:41-55. doi:10.1093/biomet/70.1.41

    Examples
    --------
    >>> import pandas as pd
    >>> data = pd.DataFrame({"arm": ["a", "b", "b", "a", "a", "b"], "sex": ["f", "f", "f", "m", "m", "m"]})
    >>> fit_propensity(data, "sex", treatment_col="arm", treated="a").score.round(4).tolist()
    [0.3333, 0.3333, 0.3333, 0.6667, 0.6667, 0.6667]
    """
    if method != "logistic":
        raise UsageError("unknown method", where="fit_propensity", got=str(method), remedy="use logistic")
    require_complete(data, [treatment_col], where="fit_propensity")
    is_treated = treated_rows(data, treatment_col, treated, where="fit_propensity")
    design = build_design(formula, data, intercept=True)
    fit = _fit(design.matrix, design.terms, is_treated, formula)
    arm = as_text(data[treatment_col])
    return PropensityFit(
        score=fit.probability,
        treated=is_treated,
        arms=(str(treated), str(arm[~is_treated][0])),
        terms=design.terms,
        coefficients=fit.coefficients,
        covariance=fit.covariance,
        log_likelihood=fit.log_likelihood,
        covariates=_covariates(formula, data),
        _design=design.matrix,
        _data=data.copy(),
    )


def _fit(matrix: FloatArray, terms: Sequence[str], treated: BoolArray, formula: str) -> LogisticFit:
    where = f"fit_propensity, formula {formula}"
    collinear = collinear_columns(matrix)
    if collinear:
        raise AnalysisError(
            "constant or a combination of the other terms",
            where=where,
            got=", ".join(terms[index] for index in collinear),
            remedy="leave these terms out",
        )
    fit = fit_logistic(matrix, treated.astype(np.float64))
    if not fit.converged:
        separated = separated_columns(matrix, ~treated, treated)
        raise AnalysisError(
            "the covariates separate the arms, so the score has no finite estimate",
            where=where,
            got=", ".join(terms[index] for index in separated) or "fitted probabilities of 0 or 1",
            remedy="merge sparse levels, leave the term out, or restrict to patients eligible for both treatments",
        )
    return fit


def _covariates(formula: str, data: pd.DataFrame) -> tuple[str, ...]:
    from formulaic import Formula

    needed = set(map(str, Formula(formula).required_variables))
    return tuple(str(name) for name in data.columns if str(name) in needed)


def _describe_weights(estimand: str, stabilized: bool, trim: float | None) -> str:
    words = f"{'stabilised ' if stabilized else ''}{estimand} weights"
    return words if trim is None else f"{words}, scores outside [{trim:g}, {1 - trim:g}] trimmed"
