"""What a fitted cumulative-logit model says: coefficients, tests, probabilities of the categories."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy.special import ndtr

from analyses.columns import FloatArray
from analyses.design_matrix import Design
from analyses.kernels.cumulative_logit import binary_slopes, category_probabilities, probability_slopes
from analyses.kernels.proportions import normal_quantile
from analyses.longitudinal.inputs import IntArray
from analyses.longitudinal.standardised import Curves, counterfactuals, curve_table
from analyses.longitudinal.wald import chosen_terms, wald_test
from cohort.results import ResultTable, result_table

FEW_CUTS = "no test: two categories have one cut, with nothing to compare"


@dataclass(frozen=True, slots=True, eq=False)
class OrdinalFit:
    """A fitted cumulative-logit model. Made by :func:`analyses.longitudinal.fit_ordinal`.

    The model is ``log odds(Y <= k) = threshold_k - x'b``: a positive coefficient makes higher categories likelier.

    Attributes
    ----------
    categories, counts
        Those that occur, lowest first, and their rows.
    terms, variables
        Names of all parameters, thresholds (``"NR|PR"``) first, and the term of the formula each belongs to.
    thresholds, coefficients
        Shapes (C - 1,) and (p,); NaN when the fit failed.
    covariance
        Shape (C - 1 + p, C - 1 + p), thresholds first: clustered sandwich, or the inverse information.
    log_likelihood
        At the maximum (of independent rows).
    conf_level, rows, subjects, robust
        As asked, and what they came to; ``subjects`` is None without ``subject_col``.
    note
        Why the fit failed, or what is remarkable about it, or empty.
    """

    categories: tuple[str, ...]
    counts: tuple[int, ...]
    terms: tuple[str, ...]
    variables: tuple[str, ...]
    thresholds: FloatArray
    coefficients: FloatArray
    covariance: FloatArray
    log_likelihood: float
    conf_level: float
    rows: int
    subjects: int | None
    robust: bool
    note: str
    spec: dict[str, object] = field(repr=False)
    _design: Design = field(repr=False)
    _category: IntArray = field(repr=False)
    _weights: FloatArray = field(repr=False)
    _cluster: IntArray = field(repr=False)

    def tidy(self, *, exponentiate: bool = False) -> ResultTable:
        """Return thresholds and coefficients.

        Parameters
        ----------
        exponentiate
            Odds and odds ratios instead of their logarithms (``std_error`` stays that of the logarithm).

        Returns
        -------
        ResultTable
            First a row ``log_odds`` for each threshold, ``term`` ``"NR|PR"``: of a category up to the first named, at
            covariates of zero and reference levels. Then a row ``log_odds_ratio`` per coefficient, of a higher
            category, the same at every cut. Wald interval and ``p_value``. A failed fit has missing estimates and its
            reason in ``note``.
        """
        estimate = self._parameters
        std_error = np.sqrt(np.diag(self.covariance))
        half_width = normal_quantile(self.conf_level) * std_error
        shown = np.exp if exponentiate else np.asarray
        kinds = ["log_odds"] * len(self.thresholds) + ["log_odds_ratio"] * len(self.coefficients)
        frame = pd.DataFrame(
            {
                "term": list(self.terms),
                "statistic": [kind.removeprefix("log_") if exponentiate else kind for kind in kinds],
                "estimate": shown(estimate),
                "std_error": std_error,
                "conf_low": shown(estimate - half_width),
                "conf_high": shown(estimate + half_width),
                "conf_level": self.conf_level,
                "p_value": 2 * ndtr(-np.abs(estimate / std_error)),
            }
        )
        return self._results(frame, self.note)

    def glance(self) -> ResultTable:
        """Return the fit in one row, ``statistic="log_likelihood"``; the metadata holds ``subjects`` and ``counts``."""
        row = {"statistic": "log_likelihood", "estimate": self.log_likelihood}
        table = self._results(pd.DataFrame([row]), self.note)
        return table.with_metadata(subjects=self.subjects, counts=dict(zip(self.categories, self.counts, strict=True)))

    def test_terms(self, terms: str | Sequence[str]) -> ResultTable:
        """Test that several coefficients are all zero (Wald test with the covariance of the fit).

        Parameters
        ----------
        terms
            Terms of the formula, each standing for all its coefficients, or single coefficients.

        Returns
        -------
        ResultTable
            One row ``chi_square`` with ``p_value``, ``note`` ``df=...`` or why there is no test.

        Raises
        ------
        UsageError
            A name that is neither (those there are listed), or none.
        """
        label, chosen = chosen_terms(terms, self.terms, self.variables)
        test = wald_test(self._parameters[list(chosen)], self.covariance[np.ix_(chosen, chosen)])
        row = {"term": label, "statistic": "chi_square", "estimate": test.chi_square, "p_value": test.p_value}
        return self._results(pd.DataFrame([row]), self.note if self._failed else test.note, "; Wald test")

    def test_proportional_odds(self) -> ResultTable:
        """Test whether each coefficient is the same at every cut (Brant's Wald test, with a sandwich).

        A binary logistic model is fitted to each event "above the cut", and the slopes are compared. Brant's test takes
        their covariance from the models; here it is the sandwich of their joint scores, clustered by subject, or by row
        without ``subject_col``, so that repeated visits and weights are allowed.

        Returns
        -------
        ResultTable
            A row ``chi_square`` per term of the formula and a row ``GLOBAL``, each with ``p_value`` and ``df=...`` in
            ``note``. Where a binary model has no finite estimate there is no test, and ``note`` names the cut.

        References
        ----------
        Brant R. Biometrics 1990;46:1171-1178. doi:10.2307/2532457
        """
        cuts, p = len(self.thresholds), len(self.coefficients)
        owners = list(dict.fromkeys(self.variables[cuts:]))
        blocks = [[j for j in range(p) if self.variables[cuts + j] == owner] for owner in owners]
        rows: list[dict[str, object]] = []
        why = self.note if self._failed else FEW_CUTS if cuts < 2 else ""
        found = None
        if not why:
            found = binary_slopes(self._design.matrix, self._category, self._weights, self._cluster)
            if found.failed is not None:
                cut = self.terms[found.failed]
                why = f"no test: the binary model of the cut {cut} has no finite estimate"
        for label, block in zip([*owners, "GLOBAL"], [*blocks, list(range(p))], strict=True):
            row: dict[str, object] = {"term": label, "statistic": "chi_square", "note": why}
            if found is not None and found.slopes is not None and found.covariance is not None:
                contrast = np.zeros(((cuts - 1) * len(block), cuts * p))
                for k in range(1, cuts):
                    for place, j in enumerate(block):
                        contrast[(k - 1) * len(block) + place, [j, k * p + j]] = 1.0, -1.0
                test = wald_test(contrast @ found.slopes.ravel(), contrast @ found.covariance @ contrast.T)
                row |= {"estimate": test.chi_square, "p_value": test.p_value, "note": test.note}
            rows.append(row)
        return self._results(pd.DataFrame(rows), None, "; Wald test of equal slopes at every cut, sandwich variance")

    def marginal_probabilities(
        self, data: pd.DataFrame, *, by: str, time_col: str | None = None, reference: object | None = None
    ) -> ResultTable:
        """Standardise the probability of each category: what each group would show at each time if it were everybody.

        The model's probabilities are averaged over the subjects (rows, without ``subject_col``), each counted once with
        its own covariates, as if every one had belonged to the group and been seen at the time. Intervals come from
        the covariance of the fit by the delta method; the covariates of the subjects are taken as given.

        Parameters
        ----------
        data
            The frame the model was fitted to.
        by, time_col
            Columns of the group and of the visit (numeric, or None), both of the formula.
        reference
            Level of ``by`` the others are compared with, or None for no comparison.

        Returns
        -------
        ResultTable
            Per category (``term``), group and time a row ``standardised_proportion`` with an interval symmetric on the
            logit scale, then per category, contrast and time ``standardised_risk_difference`` with Wald interval and
            ``p_value``. Proportions of a group and time add to one, differences to zero. ``n`` are the rows seen,
            ``n_events`` those in the category.

        Raises
        ------
        AnalysisError
            As :meth:`analyses.longitudinal.GeeFit.marginal_response`.
        """
        right = str(self.spec["formula"]).split("~")[1].strip()
        subject_col = self.spec["subject_col"]
        keyed = data.assign(**{"": np.arange(len(data))}) if subject_col is None else data
        grid = counterfactuals(
            keyed, right, subject_col="" if subject_col is None else str(subject_col), by=by, time_col=time_col,
            reference=reference, intercept=False, rows=self.rows,
        )  # fmt: skip
        grid.require_fit(grid.own @ self.coefficients, self._design.matrix @ self.coefficients)
        shift = grid.asked @ self.coefficients
        probability = category_probabilities(self.thresholds, shift)
        upper, lower = probability_slopes(self.thresholds, shift)
        cuts = len(self.thresholds)
        curves = []
        for k, category in enumerate(self.categories):
            own = np.zeros((len(shift), cuts))
            if k < cuts:
                own[:, k] = upper[:, k]
            if k > 0:
                own[:, k - 1] = lower[:, k]
            slopes = np.hstack([own, -(upper[:, k] + lower[:, k])[:, None] * grid.asked])
            curves.append(
                Curves(
                    term=category,
                    estimate=grid.averaged(probability[:, k]),
                    gradient=grid.averaged(slopes),
                    events=grid.summed((self._category == k).astype(np.float64)),
                    scale="logit",
                )
            )
        return curve_table(
            grid,
            curves,
            self.covariance,
            statistics=("standardised_proportion", "standardised_risk_difference"),
            conf_level=self.conf_level,
            method=self.method,
            note=self.note,
            metadata={"spec": {**self.spec, "by": by, "time_col": time_col, "reference": grid.reference}},
        )

    @property
    def method(self) -> str:
        """The model in words."""
        variance = "model-based variance"
        if self.robust:
            variance = "sandwich variance" + (" clustered by subject" if self.subjects is not None else "")
        weighted = ", weighted" if self.spec["weights_col"] is not None else ""
        return f"cumulative logit{weighted}, {variance}"

    @property
    def _parameters(self) -> FloatArray:
        return np.concatenate([self.thresholds, self.coefficients])

    @property
    def _failed(self) -> bool:
        return bool(np.isnan(self._parameters).any())

    def _results(self, rows: pd.DataFrame, note: str | None, more: str = "") -> ResultTable:
        constants: dict[str, object] = {} if note is None else {"note": note or None}
        return result_table(
            rows,
            metadata={"spec": self.spec},
            analysis="longitudinal",
            n=self.rows,
            method=self.method + more,
            **constants,
        )
