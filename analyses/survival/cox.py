"""The Cox proportional hazards model: fit, tidy results and the test of proportionality."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import chdtrc, ndtr

from analyses.design_matrix import build_design
from analyses.kernels.cox import TermStatus, maximise
from analyses.kernels.cox_problem import CoxProblem, Ties, cox_problem
from analyses.kernels.cox_residuals import robust_variance as sandwich
from analyses.kernels.probability_interval import normal_quantile
from analyses.kernels.proportional_hazards import (
    TIME_TRANSFORMS,
    TimeTransform,
    transformed_times,
    trend_tests,
)
from analyses.kernels.quadratic_form import quadratic_form
from analyses.survival.inputs import (
    SurvivalColumns,
    check_choice,
    check_conf_level,
    cluster_codes,
    stratum_codes,
    survival_columns,
)
from cohort.errors import AnalysisError
from cohort.results import ResultTable, result_table

FloatArray = NDArray[np.float64]

STATUS_NOTES = {
    TermStatus.ALIASED: "no estimate: constant within every risk set or a combination of earlier terms",
    TermStatus.INCREASING: "no estimate: monotone likelihood, the coefficient runs to plus infinity",
    TermStatus.DECREASING: "no estimate: monotone likelihood, the coefficient runs to minus infinity",
    TermStatus.UNINFORMED: "no estimate: no information is left on it where another term runs to infinity",
    TermStatus.NOT_CONVERGED: "no estimate: the iterations did not converge",
}
NO_EVENTS = "no estimate: no events"
NO_SPREAD = "no standard error: the rows or clusters are too few or too alike for a robust variance"
NO_JOINT_TEST = "no joint test: the variance of the terms is singular"
VANISHING = 1e-8
"""A robust standard error below this share of the model-based one is rounding error, not precision."""


@dataclass(frozen=True, slots=True, eq=False)
class CoxFit:
    """A fitted Cox model with ``p`` terms.

    Attributes
    ----------
    terms
        Names of the coefficients.
    coefficients
        Shape ``(p,)``: log hazard ratios, NaN for terms without an estimate.
    variance
        Shape ``(p, p)``: inverse information, NaN for terms without an estimate.
    robust_variance
        Shape ``(p, p)``: sandwich variance, or None when it was not asked for.
    notes
        For each term why there is no estimate, else an empty text.
    log_likelihood, log_likelihood_null
        Maximised log partial likelihood and that of all coefficients zero; NaN without events.
    converged
        Whether every term has an estimate.
    n, n_events
        Rows and events used, unweighted.
    conf_level
        Level of the intervals of :meth:`tidy`.
    method
        The model in words.
    """

    terms: tuple[str, ...]
    coefficients: FloatArray
    variance: FloatArray
    robust_variance: FloatArray | None
    notes: tuple[str, ...]
    log_likelihood: float
    log_likelihood_null: float
    converged: bool
    n: int
    n_events: int
    conf_level: float
    method: str
    spec: dict[str, object]
    _variables: tuple[str, ...] = field(repr=False)
    _columns: SurvivalColumns = field(repr=False)
    _problem: CoxProblem | None = field(repr=False)
    _left_at: FloatArray = field(repr=False)

    @property
    def std_errors(self) -> FloatArray:
        """Standard errors of the log hazard ratios, shape ``(p,)``: robust when the fit is, else model-based.

        A robust one that vanishes (a single cluster, rows that all fail together) is NaN.
        """
        model_based = np.sqrt(np.diag(self.variance))
        if self.robust_variance is None:
            return np.asarray(model_based)
        errors = np.sqrt(np.diag(self.robust_variance))
        return np.where(errors > VANISHING * model_based, errors, np.nan)

    def tidy(self, *, exponentiate: bool = False) -> ResultTable:
        """Return one row per term.

        Parameters
        ----------
        exponentiate
            False for ``statistic="log_hazard_ratio"``; True for ``"hazard_ratio"``, with ``estimate, conf_low,
            conf_high`` exponentiated and ``std_error`` left on the log scale.

        Returns
        -------
        ResultTable
            ``term, estimate, std_error, conf_low, conf_high, conf_level``, two-sided Wald ``p_value``, ``n`` rows,
            ``n_events`` events, ``method``, and in ``note`` why a term has no estimate or no standard error.
        """
        errors = self.std_errors
        half = normal_quantile(self.conf_level) * errors
        carry = np.exp if exponentiate else np.asarray
        lacking = np.isnan(errors)
        notes = [note or (NO_SPREAD if lacks else None) for note, lacks in zip(self.notes, lacking, strict=True)]
        rows = pd.DataFrame(
            {
                "term": list(self.terms),
                "estimate": carry(self.coefficients),
                "std_error": errors,
                "conf_low": carry(self.coefficients - half),
                "conf_high": carry(self.coefficients + half),
                "p_value": 2 * ndtr(-np.abs(self.coefficients) / errors),
                "note": pd.Series(notes, dtype="string"),
            }
        )
        return self._table(
            rows,
            statistic="hazard_ratio" if exponentiate else "log_hazard_ratio",
            conf_level=self.conf_level,
            method=self.method,
        )

    def glance(self) -> ResultTable:
        """Return one row about the whole model.

        Returns
        -------
        ResultTable
            ``statistic="log_likelihood"``: ``estimate`` the maximised log partial likelihood, ``p_value`` of the test
            that all coefficients are zero, ``n``, ``n_events``; ``method`` names the test, which is the
            likelihood-ratio test for an unweighted model-based fit and otherwise the Wald test with the variance of
            :attr:`std_errors`; ``note`` gives ``df=...``, or why there is no test: a term without an estimate, or a
            singular robust variance (fewer clusters than terms).
        """
        estimated = np.flatnonzero(~np.isnan(self.coefficients))
        wald = self.robust_variance is not None or self._columns.weights is not None
        chi_square = self._wald(estimated) if wald else 2 * (self.log_likelihood - self.log_likelihood_null)
        tested = self.converged and not math.isnan(chi_square)
        failures = "; ".join(f"{term}: {note}" for term, note in zip(self.terms, self.notes, strict=True) if note)
        row = {
            "estimate": self.log_likelihood,
            "p_value": float(chdtrc(len(estimated), max(chi_square, 0.0))) if tested else math.nan,
            "note": f"df={len(estimated)}" if tested else failures or NO_JOINT_TEST,
        }
        test = "Wald test" if wald else "likelihood-ratio test"
        return self._table(pd.DataFrame([row]), statistic="log_likelihood", method=f"{self.method}; {test}")

    def test_proportional_hazards(self, transform: TimeTransform = "km") -> ResultTable:
        """Test each term of the formula for a trend of its coefficients over time (score test).

        Parameters
        ----------
        transform
            Function of time: ``km`` (one minus pooled Kaplan-Meier), ``rank``, ``identity`` or ``log``.

        Returns
        -------
        ResultTable
            ``statistic="chi_square"``, one row per term of the formula, all levels of a categorical together, and a
            row ``GLOBAL``: ``estimate``, ``p_value``, ``n``, ``n_events``; ``note`` is ``df=...``, or why there is no
            test. Columns without an estimate are left out of every test. The test rests on the model-based variance
            even when the fit is robust or weighted; with weights that are not numbers of patients it is only a guide.

        Raises
        ------
        AnalysisError
            For an unknown transform, or ``log`` with an event at time 0.

        References
        ----------
        Grambsch and Therneau (1994), doi:10.1093/biomet/81.3.515.
        """
        check_choice(transform, TIME_TRANSFORMS, where="transform")
        events, durations = self._columns.events, self._columns.durations
        if transform == "log" and np.any(durations[events] == 0):
            raise AnalysisError(
                "an event at time 0 has no logarithm", where="transform 'log'", remedy="use transform='km'"
            )
        estimated = np.flatnonzero(~np.isnan(self.coefficients))
        owners = dict.fromkeys(self._variables)
        blocks = [np.array([j for j in estimated if self._variables[j] == owner], dtype=np.intp) for owner in owners]
        blocks.append(estimated)
        rows: list[dict[str, object]] = [
            {"term": label, "note": self._why_untested(len(block))}
            for label, block in zip([*owners, "GLOBAL"], blocks, strict=True)
        ]
        if self._problem is not None and len(estimated):
            trend = transformed_times(durations, events, entries=self._columns.entries, transform=transform)
            tests = trend_tests(self._problem, self._left_at, trend, blocks)
            for row, test in zip(rows, tests, strict=True):
                if test.degrees_of_freedom:
                    row["estimate"] = test.chi_square
                    row["p_value"] = float(chdtrc(test.degrees_of_freedom, test.chi_square))
                    row["note"] = f"df={test.degrees_of_freedom}"
        method = f"score test of proportional hazards, transform={transform}, model-based variance"
        frame = pd.DataFrame(rows).reindex(columns=["term", "estimate", "p_value", "note"])
        return self._table(frame, statistic="chi_square", method=method)

    def _wald(self, estimated: NDArray[np.intp]) -> float:
        used = self.variance if self.robust_variance is None else self.robust_variance
        block = np.ix_(estimated, estimated)
        unit = np.sqrt(np.diag(self.variance))[estimated]
        return quadratic_form(self.coefficients[estimated] / unit, used[block] / np.outer(unit, unit), scale=1.0)

    def _why_untested(self, columns: int) -> str:
        if self.n_events == 0:
            return "no test: no events"
        return "no test: events too few for a trend" if columns else "no test: no estimate of this term"

    def _table(self, rows: pd.DataFrame, **constants: object) -> ResultTable:
        return result_table(
            rows,
            metadata={"spec": self.spec},
            analysis="survival",
            n=float(self.n),
            n_events=float(self.n_events),
            **constants,
        )


def fit_cox(
    data: pd.DataFrame,
    formula: str,
    *,
    duration_col: str,
    event_col: str,
    weights_col: str | None = None,
    entry_col: str | None = None,
    strata: str | Sequence[str] | None = None,
    cluster_col: str | None = None,
    ties: Ties = "efron",
    robust: bool = False,
    conf_level: float = 0.95,
) -> CoxFit:
    """Fit a Cox proportional hazards model by maximum partial likelihood.

    Parameters
    ----------
    data
        One row per subject, or per spell at risk when there is an ``entry_col``.
    formula
        Right-hand side, for instance ``"arm + age_years + isn_rps_class"``; see
        :func:`analyses.design_matrix.build_design` for term names and reference levels.
    duration_col, event_col, entry_col
        As in :func:`analyses.survival.kaplan_meier`; a row is at risk at ``t`` when entry < t <= duration.
    weights_col
        Positive weights. Ask for ``robust=True`` unless they are numbers of identical patients: the model-based
        variance takes them as that.
    strata
        Column or columns whose combinations have baseline hazards of their own.
    cluster_col
        Column of the independent units, for instance ``patient_id`` when a patient has several rows; implies
        ``robust``.
    ties
        ``efron`` or ``breslow``. Times tie only when exactly equal.
    robust
        Whether to use the sandwich variance, with score residuals exact for the chosen handling of ties and no
        small-sample factor.
    conf_level
        Level of the intervals.

    Returns
    -------
    CoxFit
        Always, when the request is possible. A term that cannot be estimated has NaN and a note saying why, and does
        not take the others with it: aliased terms (constant within every risk set, or a combination of earlier
        terms) are set to zero; terms along which the likelihood is monotone (for instance a level without events)
        are taken to their limit. Without events, or when the iterations do not converge, no term has an estimate.
        Coefficients have converged to 1e-10 of their size or standard error.

    Raises
    ------
    AnalysisError
        When the request is impossible: columns as in :func:`analyses.survival.inputs.survival_columns`, a formula as
        in :func:`analyses.design_matrix.build_design`, missing values in any column used, an unknown ``ties``.

    References
    ----------
    Cox (1972), doi:10.1111/j.2517-6161.1972.tb00899.x. Efron (1977), doi:10.1080/01621459.1977.10480613. Lin and
    Wei (1989), doi:10.1080/01621459.1989.10478874.

    Examples
    --------
    >>> frame = pd.DataFrame({"months": [1.0, 2.0, 3.0, 4.0], "flare": [1, 1, 1, 0], "arm": ["b", "a", "b", "a"]})
    >>> fit = fit_cox(frame, "arm", duration_col="months", event_col="flare")
    >>> fit.tidy().frame[["term", "estimate"]].round(4).to_numpy().tolist()
    [['arm=b', 0.9406]]
    """
    check_choice(ties, get_args(Ties), where="ties")
    check_conf_level(conf_level)
    columns = survival_columns(
        data, duration_col=duration_col, event_col=event_col, weights_col=weights_col, entry_col=entry_col
    )
    design = build_design(formula, data, intercept=False)
    codes = stratum_codes(data, strata)
    clusters = None if cluster_col is None else cluster_codes(data, cluster_col)
    sandwiched = robust or clusters is not None
    solved = _without_events(len(design.terms), sandwiched=sandwiched)
    if columns.events.any():
        problem = cox_problem(
            design.matrix,
            columns.durations,
            columns.events,
            weights=np.ones(len(data)) if columns.weights is None else columns.weights,
            entries=columns.entries,
            strata=codes,
            ties=ties,
        )
        solved = _solve(problem, clusters, sandwiched=sandwiched)
    return CoxFit(
        terms=design.terms,
        coefficients=solved.coefficients,
        variance=solved.variance,
        robust_variance=solved.robust_variance,
        notes=solved.notes,
        log_likelihood=solved.log_likelihood,
        log_likelihood_null=solved.log_likelihood_null,
        converged=not any(solved.notes),
        n=len(data),
        n_events=int(columns.events.sum()),
        conf_level=conf_level,
        method=_method(ties, stratified=bool(strata), sandwiched=sandwiched),
        spec={
            "formula": formula,
            "duration_col": duration_col,
            "event_col": event_col,
            "weights_col": weights_col,
            "entry_col": entry_col,
            "strata": strata if strata is None or isinstance(strata, str) else list(strata),
            "cluster_col": cluster_col,
            "ties": ties,
            "robust": robust,
        },
        _variables=design.variables,
        _columns=columns,
        _problem=solved.problem,
        _left_at=solved.left_at,
    )


def _method(ties: Ties, *, stratified: bool, sandwiched: bool) -> str:
    name = "stratified Cox model" if stratified else "Cox model"
    return f"{name}, {ties.capitalize()} ties, {'robust' if sandwiched else 'model-based'} variance"


@dataclass(frozen=True, slots=True, eq=False)
class _Solved:
    """What the likelihood gives; attributes as of :class:`CoxFit`, ``left_at`` where the iterations ended."""

    coefficients: FloatArray
    variance: FloatArray
    robust_variance: FloatArray | None
    notes: tuple[str, ...]
    log_likelihood: float
    log_likelihood_null: float
    problem: CoxProblem | None
    left_at: FloatArray


def _without_events(size: int, *, sandwiched: bool) -> _Solved:
    unknown = np.full((size, size), np.nan)
    return _Solved(
        coefficients=np.full(size, np.nan),
        variance=unknown,
        robust_variance=unknown.copy() if sandwiched else None,
        notes=(NO_EVENTS,) * size,
        log_likelihood=math.nan,
        log_likelihood_null=math.nan,
        problem=None,
        left_at=np.zeros(size),
    )


def _solve(problem: CoxProblem, clusters: NDArray[np.intp] | None, *, sandwiched: bool) -> _Solved:
    solution = maximise(problem)
    left_at, variance = solution.coefficients, solution.variance
    return _Solved(
        coefficients=np.where([s is TermStatus.ESTIMATED for s in solution.status], left_at, np.nan),
        variance=variance,
        robust_variance=sandwich(problem, left_at, variance, clusters) if sandwiched else None,
        notes=tuple(STATUS_NOTES.get(status, "") for status in solution.status),
        log_likelihood=solution.log_likelihood,
        log_likelihood_null=solution.log_likelihood_null,
        problem=problem,
        left_at=left_at,
    )
