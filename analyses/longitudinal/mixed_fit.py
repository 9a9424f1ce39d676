"""A fitted linear mixed model: fixed effects, variance components, population means and slopes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import ndtr

from analyses.columns import FloatArray, as_text, require_level
from analyses.design_matrix import Design
from analyses.kernels.proportions import normal_quantile
from cohort.errors import AnalysisError
from cohort.results import ResultTable, result_table

INTERCEPT = "Intercept"
_STRAIGHT = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class MixedFit:
    """A fitted linear mixed model. Made by :func:`analyses.longitudinal.fit_mixed`.

    Parameters
    ----------
    terms
        Names of the fixed effects.
    coefficients, covariance
        Shapes (p,) and (p, p). NaN when the fit failed.
    random_terms
        ``("Intercept",)`` or the intercept and the column with a random slope.
    random_covariance
        Covariance of the random effects, in the order of ``random_terms``; NaN when the fit failed.
    residual_variance, log_likelihood
        At the maximum; the log-likelihood is the restricted one under REML.
    reml, conf_level, formula, subject_col
        As asked.
    rows, subjects, largest_subject
        Numbers of rows and subjects and of rows of the largest subject.
    note
        Why the fit failed, or what to know about it (``singular fit ...``), or empty.
    design
        Design of the fixed effects.
    data
        The columns that the formula and the grouping use, kept for :meth:`trajectory` and :meth:`slopes`.
    """

    terms: tuple[str, ...]
    coefficients: FloatArray
    covariance: FloatArray
    random_terms: tuple[str, ...]
    random_covariance: FloatArray
    residual_variance: float
    log_likelihood: float
    reml: bool
    conf_level: float
    formula: str
    subject_col: str
    rows: int
    subjects: int
    largest_subject: int
    note: str
    design: Design
    data: pd.DataFrame

    def tidy(self) -> ResultTable:
        """Return the fixed effects.

        Returns
        -------
        ResultTable
            One row per term: ``statistic`` is ``mean`` for the intercept and ``mean_difference`` for all else (per unit
            of a numeric term), with model-based ``std_error``, and interval and ``p_value`` by Wald's z. No degrees of
            freedom are approximated (Satterthwaite's or others), so that with few patients intervals are too short.
            ``n`` counts rows.
        """
        std_error = np.sqrt(np.diag(self.covariance))
        rows = [
            {"term": term, "statistic": "mean" if term == INTERCEPT else "mean_difference"}
            | self._wald(float(estimate), float(error), tested=True)
            for term, estimate, error in zip(self.terms, self.coefficients, std_error, strict=True)
        ]
        return self._results(rows)

    def variance_components(self) -> ResultTable:
        """Return the variances between and within patients.

        Returns
        -------
        ResultTable
            ``statistic="variance"`` for each random term and ``Residual``; ``correlation`` of intercept and slope
            (``term`` ``Intercept:years``; missing with a note where a variance is zero); for a random intercept alone
            ``intraclass_correlation``. They come without standard error, as their intervals are far from symmetric.
        """
        variances = np.diag(self.random_covariance)
        rows: list[dict[str, object]] = [
            {"term": term, "statistic": "variance", "estimate": value}
            for term, value in zip((*self.random_terms, "Residual"), (*variances, self.residual_variance), strict=True)
        ]
        if len(self.random_terms) == 2:
            product = float(np.prod(variances))
            rows.append(
                {
                    "term": ":".join(self.random_terms),
                    "statistic": "correlation",
                    "estimate": self.random_covariance[0, 1] / np.sqrt(product) if product > 0 else np.nan,
                }
            )
        else:
            total = variances[0] + self.residual_variance
            rows.append({"term": INTERCEPT, "statistic": "intraclass_correlation", "estimate": variances[0] / total})
        return self._results(rows)

    def glance(self) -> ResultTable:
        """Return the fit in one row: ``statistic="log_likelihood"``, the restricted one under REML.

        The metadata holds ``subjects``, ``largest_subject``, ``parameters`` (fixed effects and variance components)
        and ``aic``.
        """
        q = len(self.random_terms)
        parameters = len(self.terms) + q * (q + 1) // 2 + 1
        failed = np.isnan(self.log_likelihood)
        table = self._results([{"statistic": "log_likelihood", "estimate": self.log_likelihood}])
        return table.with_metadata(
            subjects=self.subjects,
            largest_subject=self.largest_subject,
            parameters=parameters,
            aic=None if failed else -2 * self.log_likelihood + 2 * parameters,
        )

    def predict(self, new: pd.DataFrame) -> ResultTable:
        """Return the population mean at the covariates of other rows.

        Parameters
        ----------
        new
            Columns of the right-hand side, any rows.

        Returns
        -------
        ResultTable
            One row per row of ``new``, ``statistic="mean"``, ``term`` its row label: the mean of patients like that
            (random effects at zero), with the Wald interval of that mean, not of a patient.

        Raises
        ------
        AnalysisError
            A column is missing or incomplete, or holds a level that the model was not fitted to.
        """
        design = self.design.matrix_of(new)
        rows = [
            {"term": str(label), "statistic": "mean"} | self._combination(row, tested=False)
            for label, row in zip(new.index, design, strict=True)
        ]
        return self._results(rows)

    def trajectory(self, *, group_col: str | None, time_col: str, reference: str | None = None) -> ResultTable:
        """Return the population mean of each group at each time of the data, standardised over the patients.

        Parameters
        ----------
        group_col, time_col
            Columns of the formula. Every other covariate must be constant within a patient. Without groups (None) there
            is one mean of all patients, with no ``group``.
        reference
            Group the others are compared with; None for no comparison.

        Returns
        -------
        ResultTable
            Per group and time a row ``mean``: the model's mean averaged over the covariates of all patients, each
            counted once, as if all belonged to that group, with a Wald interval (the covariates taken as given). With a
            ``reference``, per other group and time a row ``mean_difference`` on ``contrast`` with ``p_value``.

        Raises
        ------
        AnalysisError
            A column is not of the formula, a covariate changes within a patient, or there is no such reference.
        """
        groups = self._groups(group_col, reference, where="trajectory")
        self._levels(time_col)
        cells = [(group, time) for group in groups for time in sorted(set(self.data[time_col].tolist()))]
        means = dict(zip(cells, self._standardised(group_col, time_col, cells), strict=True))
        rows: list[dict[str, object]] = [
            {"group": group, "time": float(time), "statistic": "mean"} | self._combination(mean, tested=False)
            for (group, time), mean in means.items()
        ]
        rows += [
            {"contrast": f"{group} v {reference}", "time": float(time), "statistic": "mean_difference"}
            | self._combination(mean - means[reference, time], tested=True)
            for (group, time), mean in means.items()
            if reference is not None and group != reference
        ]
        return self._results(rows)

    def slopes(self, *, group_col: str | None, time_col: str, reference: str | None = None) -> ResultTable:
        """Return the mean change per unit of time in each group, and the differences from the reference.

        Parameters
        ----------
        group_col, time_col, reference
            As for :meth:`trajectory`; the mean must be a straight line in time.

        Returns
        -------
        ResultTable
            Per group a row ``slope``, per other group a row ``slope_difference`` on ``contrast``, ``term`` the time
            column, with Wald intervals and ``p_value``.

        Raises
        ------
        AnalysisError
            As :meth:`trajectory`, or where the mean is no straight line in time.
        """
        groups = self._groups(group_col, reference, where="slopes")
        lines = {group: self._slope(group_col, group, time_col) for group in groups}
        rows = [
            {"group": group, "term": time_col, "statistic": "slope"} | self._combination(line, tested=True)
            for group, line in lines.items()
        ]
        rows += [
            {"contrast": f"{group} v {reference}", "term": time_col, "statistic": "slope_difference"}
            | self._combination(line - lines[reference], tested=True)
            for group, line in lines.items()
            if reference is not None and group != reference
        ]
        return self._results(rows)

    def _slope(self, group_col: str | None, group: str | None, time_col: str) -> FloatArray:
        self._levels(time_col)
        if not pd.api.types.is_numeric_dtype(self.data[time_col]):
            raise AnalysisError("the time must be a number", where=f"slopes, column {time_col}", remedy="convert it")
        low, high = float(self.data[time_col].min()), float(self.data[time_col].max())
        at = self._standardised(group_col, time_col, [(group, when) for when in (low, (low + high) / 2, high)])
        bend = np.abs(at[0] + at[2] - 2 * at[1]).max()
        if bend > _STRAIGHT * max(1.0, float(np.abs(at).max())):
            raise AnalysisError(
                "the mean is not a straight line in time",
                where=f"slopes, column {time_col}",
                got=self.formula,
                remedy="use trajectory(), or a formula in which time is a number and enters linearly",
            )
        return np.asarray((at[2] - at[0]) / (high - low))

    def _groups(self, group_col: str | None, reference: str | None, *, where: str) -> Sequence[str | None]:
        """Return the groups in order; a single one without a name where there is no column of them."""
        groups: list[str] = [] if group_col is None else self._levels(group_col)
        if reference is not None:
            require_level(groups, reference, where=f"{where}, column {group_col}")
        return groups or [None]

    def _levels(self, group_col: str) -> list[str]:
        if group_col not in self.data.columns:
            raise AnalysisError(
                "no column of the formula",
                where=f"MixedFit, column {group_col}",
                got=self.formula,
                remedy="name a column that the formula uses",
            )
        return sorted(set(as_text(self.data[group_col]).tolist()))

    def _standardised(
        self, group_col: str | None, time_col: str, cells: Sequence[tuple[str | None, float]]
    ) -> FloatArray:
        """Mean design row over the patients, put into the group and at the time of each cell; one row per cell."""
        patients = self.data.drop_duplicates(self.subject_col)
        others = [name for name in self.data.columns if name not in (group_col, time_col, self.subject_col)]
        changing = [name for name in others if len(self.data.drop_duplicates([self.subject_col, name])) > len(patients)]
        if changing:
            raise AnalysisError(
                "the value changes within a patient",
                where=f"MixedFit, formula {self.formula!r}, {', '.join(changing)}",
                got="covariates that vary with time beside the time column",
                remedy="use predict() at rows of your choice, or baseline values",
            )
        as_found = {} if group_col is None else {str(value): value for value in self.data[group_col].tolist()}
        distinct = patients.groupby(others, sort=False, observed=True).size() if others else pd.Series([len(patients)])
        covariates = distinct.index.to_frame(index=False)[others]
        moved = pd.concat(
            [
                covariates.assign(
                    **({} if group_col is None else {group_col: as_found[str(group)]}), **{time_col: time}
                )
                for group, time in cells
            ],
            ignore_index=True,
        )
        rows = self.design.matrix_of(moved).reshape(len(cells), len(distinct), len(self.terms))
        return np.asarray(np.average(rows, axis=1, weights=distinct.to_numpy(dtype=np.float64)))

    def _combination(self, weights: FloatArray, *, tested: bool) -> dict[str, object]:
        error = float(np.sqrt(weights @ self.covariance @ weights))
        return self._wald(float(weights @ self.coefficients), error, tested=tested)

    def _wald(self, estimate: float, error: float, *, tested: bool) -> dict[str, object]:
        half_width = normal_quantile(self.conf_level) * error
        return {
            "estimate": estimate,
            "std_error": error,
            "conf_low": estimate - half_width,
            "conf_high": estimate + half_width,
            "conf_level": self.conf_level,
            "p_value": 2 * ndtr(-abs(estimate) / error) if tested and error > 0 else np.nan,
        }

    def _results(self, rows: list[dict[str, object]]) -> ResultTable:
        effects = "random intercept" if len(self.random_terms) == 1 else f"random intercept and {self.random_terms[1]}"
        return result_table(
            rows,
            analysis="longitudinal",
            n=self.rows,
            method=f"linear mixed model, {effects}, {'REML' if self.reml else 'ML'}, Wald z",
            note=self.note or None,
        )
