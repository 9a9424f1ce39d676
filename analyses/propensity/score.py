"""A fitted propensity model: its score, the weights it gives and the balance they achieve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd
from scipy.special import logit, ndtr

from analyses.columns import BoolArray, FloatArray, require_probability
from analyses.kernels.proportions import normal_quantile
from analyses.propensity.balance import Measure, balance_rows, check_weights
from analyses.propensity.matched_sample import Comparable, Matching, comparable_arms
from analyses.propensity.matching import MatchedEstimand, MatchingOptions, Method, Order, match_comparable
from analyses.propensity.solved_weights import SolvedWeights
from analyses.propensity.subclassification import subclassify_comparable
from analyses.propensity.weights import (
    Estimand,
    EstimatedWeights,
    balancing_weights,
    effective_size,
    truncate_weights,
)
from cohort.errors import UsageError
from cohort.results import ResultTable, result_table

_INTERCEPT = "Intercept"


@dataclass(frozen=True, slots=True, eq=False)
class PropensityFit:
    """A fitted propensity model. Made by :func:`fit_propensity`.

    Parameters
    ----------
    treated
        Shape (n,), who was treated.
    arms
        Names of the treated and the reference arm.
    terms, coefficients, covariance
        The model: log odds ratios of treatment and their covariance, model-based for ``logistic``, robust for ``cbps``;
        empty where a method has no coefficients.
    log_likelihood
        Of the treatment given the score: at the maximum for ``logistic``, of scores that never saw the patient for the
        cross-fitted methods; NaN for ``entropy``.
    covariates
        Columns of the data the formula uses.
    method
        As asked for.
    estimand
        Population that the covariates were balanced for, by the methods that solve for one; None where the score
        serves every estimand.
    description
        The method in words, which go into result tables.
    remark
        What else a reader must know of the fit, for the ``note`` of :meth:`glance`.
    """

    treated: BoolArray
    arms: tuple[str, str]
    terms: tuple[str, ...]
    coefficients: FloatArray
    covariance: FloatArray
    log_likelihood: float
    covariates: tuple[str, ...]
    method: str
    estimand: Estimand | None
    description: str
    remark: str | None
    _score: FloatArray | None = field(repr=False)
    _design: FloatArray = field(repr=False)
    _influence: FloatArray | None = field(repr=False)
    _solved: SolvedWeights | None = field(repr=False)
    _data: pd.DataFrame = field(repr=False)

    @property
    def data(self) -> pd.DataFrame:
        """The data of the fit, missing covariates filled in if that was asked for."""
        return self._data

    @property
    def score(self) -> FloatArray:
        """Fitted probability of treatment, shape (n,), in the row order of the data.

        Raises
        ------
        UsageError
            After entropy balancing, which has weights and no score.
        """
        if self._score is None:
            raise UsageError(
                "entropy balancing has weights and no score",
                where="score",
                remedy="use .weights(), or fit method='cbps' for a score that balances",
            )
        return self._score

    def weights(
        self,
        estimand: Estimand | None = None,
        *,
        stabilized: bool = False,
        trim: float | None = None,
        truncate: float | None = None,
    ) -> FloatArray:
        """Return balancing weights, shape (n,), in the row order of the data.

        Parameters
        ----------
        estimand
            By default ``ATE``, or the one a balancing method was fitted for, which cannot be changed. See
            :func:`analyses.propensity.weights.balancing_weights`.
        stabilized
            Multiply ATE weights by the share of the patient's own arm.
        trim
            Give no weight to scores outside ``[trim, 1 - trim]``: changes the population.
        truncate
            Hold the weights of each arm within its percentiles ``truncate`` and ``1 - truncate``, after trimming:
            keeps everybody.

        Raises
        ------
        UsageError
            An option out of its range, or one the method does not have.
        AnalysisError
            Trimming left an arm without patients.
        """
        return self._weighting(estimand, stabilized, trim, truncate).values

    def estimated_weights(
        self,
        estimand: Estimand | None = None,
        *,
        stabilized: bool = False,
        trim: float | None = None,
        truncate: float | None = None,
    ) -> EstimatedWeights:
        """Return the same weights with what is needed to account for their estimation.

        Pass the result to :func:`analyses.comparison.weighted_rates` instead of the bare weights. Arguments and errors
        are those of :meth:`weights`. The share that stabilises weights, who is trimmed and the bounds of truncation are
        taken as known.

        Raises
        ------
        UsageError
            After cross-fitted learners, whose scores have no influence function.
        """
        made = self._weighting(estimand, stabilized, trim, truncate)
        if self._solved is not None:
            gradient, influence = self._solved.gradient * made.sensitivity[:, None], self._solved.influence
        elif self.method in ("logistic", "cbps"):
            gradient = (made.sensitivity * self.score * (1 - self.score))[:, None] * self._design
            if self._influence is None:
                influence = (self._design * (self.treated - self.score)[:, None]) @ self.covariance
            else:
                influence = self._influence
        else:
            raise UsageError(
                "a cross-fitted score has no influence function",
                where="estimated_weights",
                got=f"method {self.method}",
                remedy="pass .weights() as known weights, or use method='logistic' or 'cbps'",
            )
        return EstimatedWeights(made.values, gradient, influence, np.arange(len(made.values)), made.description)

    def balance(
        self,
        weights: object = None,
        *,
        variables: Sequence[str] | None = None,
        estimand: Estimand | None = None,
        measures: Sequence[Measure] = ("smd", "variance_ratio"),
    ) -> ResultTable:
        """Measure covariate balance before and after weighting.

        Parameters
        ----------
        weights
            Shape (n,), in the row order of the data; the model's own weights for ``estimand`` if left out.
        variables
            Columns of the data, by default those of the formula; others may be named too.
        estimand
            Sets the denominator of the SMD: the treated SD for ``ATT``, that of the reference for ``ATC``, the pooled
            SD for the others; always before weighting.
        measures
            Of ``smd``, ``variance_ratio``, ``ks`` and ``overlap``.

        Returns
        -------
        ResultTable
            See :func:`analyses.propensity.covariate_balance`: per term and measure a row ``_unadjusted`` and a row
            ``_adjusted``, for every level of a categorical covariate; variance ratios for numeric covariates only. A
            covariate that varies in neither arm has missing estimates and a note.

        Raises
        ------
        AnalysisError
            Unknown column, missing values, or unusable weights.
        UsageError
            Unknown measure.
        """
        if weights is None:
            made = self._weighting(estimand, False, None, None)
            values, words = made.values, made.description
        else:
            values, words = check_weights(weights, self.treated, where="balance"), "weights as given"
        rows = balance_rows(
            self._data,
            self.covariates if variables is None else variables,
            self.treated,
            {"": (values, words)},
            estimand=estimand or self.estimand or "ATE",
            measures=measures,
            arms=self.arms,
        )
        return result_table(rows, analysis="propensity", contrast=self._contrast, n=len(self._data))

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
            intercept), ``p_value`` of the Wald test, ``n`` patients, ``n_events`` treated. One row with a note for
            methods without coefficients.
        """
        require_probability(conf_level, "conf_level")
        prefix = "" if exponentiate else "log_"
        if not len(self.coefficients):
            note = "this method has no coefficients to report"
            return self._results(pd.DataFrame({"statistic": [f"{prefix}odds_ratio"], "note": [note]}))
        std_error = np.sqrt(np.diag(self.covariance))
        half_width = normal_quantile(conf_level) * std_error
        shown = np.exp if exponentiate else np.asarray
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
        """Return the model in one row: ``statistic="log_likelihood"``, ``n`` patients, ``n_events`` treated.

        Entropy balancing has no likelihood: its row says so. The over-identification test of ``cbps`` is in ``note``.
        """
        frame = pd.DataFrame({"statistic": ["log_likelihood"], "estimate": [self.log_likelihood]})
        return self._results(frame.assign(note=pd.array([self.remark], dtype="string")))

    @property
    def _contrast(self) -> str:
        return f"{self.arms[0]} v {self.arms[1]}"

    def _weighting(
        self, estimand: Estimand | None, stabilized: bool, trim: float | None, truncate: float | None
    ) -> _Weighting:
        wanted: Estimand = estimand or self.estimand or "ATE"
        if self.estimand is not None and wanted != self.estimand:
            raise UsageError(
                f"the covariates were balanced for {self.estimand}",
                where="weights",
                got=wanted,
                remedy=f"fit again with estimand='{wanted}'",
            )
        words = f"{'stabilised ' if stabilized else ''}{wanted} weights"
        if self.method != "logistic":
            words += f" by {self.description}"
        if trim is not None:
            words += f", scores outside [{trim:g}, {1 - trim:g}] trimmed"
        if self._solved is None:
            made = balancing_weights(self.score, self.treated, estimand=wanted, stabilized=stabilized, trim=trim)
            values, sensitivity = made.values, made.slope
        else:
            factor = self._solved.factor(self.treated, estimand=wanted, stabilized=stabilized, trim=trim)
            values, sensitivity = self._solved.values * factor, factor
        values = check_weights(values, self.treated, where="weights")
        if truncate is not None:
            cut = truncate_weights(values, self.treated, truncate)
            values, sensitivity = cut.values, np.where(cut.moved, 0.0, sensitivity)
            ranges = "; ".join(
                f"{arm} {low:.4g} to {high:.4g}" for arm, (low, high) in zip(self.arms, cut.bounds, strict=True)
            )
            words += (
                f", truncated at percentiles {100 * truncate:g} and {100 - 100 * truncate:g} of each arm ({ranges})"
            )
        return _Weighting(values, sensitivity, words)

    def _results(self, rows: pd.DataFrame) -> ResultTable:
        return result_table(
            rows,
            analysis="propensity",
            contrast=self._contrast,
            n=len(self.treated),
            n_events=int(self.treated.sum()),
            method=self.description,
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Weighting:
    """Weights, their derivative by the score (by their own logarithm for solved weights), and words for both."""

    values: FloatArray
    sensitivity: FloatArray
    description: str
