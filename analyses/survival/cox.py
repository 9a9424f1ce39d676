"""The Cox proportional hazards model: the request, its check and the fit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import get_args

import numpy as np
import pandas as pd

from analyses.design_matrix import build_design
from analyses.kernels.cox import TermStatus, maximise
from analyses.kernels.cox_problem import Ties
from analyses.kernels.cox_residuals import robust_variance as sandwich
from analyses.survival.cox_data import STATUS_NOTES, CoxData, stratify
from analyses.survival.cox_fit import CoxFit
from analyses.survival.inputs import (
    check_choice,
    check_conf_level,
    cluster_codes,
    finite_numbers,
    survival_columns,
)

NO_EVENTS = "no estimate: no events"


def fit_cox(
    data: pd.DataFrame,
    formula: str,
    *,
    duration_col: str,
    event_col: str,
    weights_col: str | None = None,
    entry_col: str | None = None,
    offset_col: str | None = None,
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
    offset_col
        Column added to the linear predictor with coefficient 1, finite numbers on the log hazard scale.
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
    kept = CoxData(
        design=build_design(formula, data, intercept=False),
        columns=columns,
        offset=None if offset_col is None else finite_numbers(data, offset_col, "offset_col"),
        offset_col=offset_col,
        strata=stratify(data, strata),
        clusters=None if cluster_col is None else cluster_codes(data, cluster_col),
        index=data.index,
        ties=ties,
    )
    sandwiched = robust or cluster_col is not None
    return _fitted(
        kept,
        sandwiched=sandwiched,
        conf_level=conf_level,
        method=_method(ties, stratified=bool(strata), sandwiched=sandwiched),
        spec={
            "formula": formula,
            "duration_col": duration_col,
            "event_col": event_col,
            "weights_col": weights_col,
            "entry_col": entry_col,
            "offset_col": offset_col,
            "strata": strata if strata is None or isinstance(strata, str) else list(strata),
            "cluster_col": cluster_col,
            "ties": ties,
            "robust": robust,
        },
    )


def _fitted(data: CoxData, *, sandwiched: bool, conf_level: float, method: str, spec: dict[str, object]) -> CoxFit:
    terms, size = data.design.terms, len(data.design.terms)
    left_at, variance, robust = np.zeros(size), np.full((size, size), np.nan), None
    coefficients, notes = np.full(size, np.nan), (NO_EVENTS,) * size
    log_likelihood = log_likelihood_null = math.nan
    problem = data.problem
    if problem is not None:
        solution = maximise(problem)
        left_at, variance = solution.coefficients, solution.variance
        coefficients = np.where([status is TermStatus.ESTIMATED for status in solution.status], left_at, np.nan)
        notes = tuple(STATUS_NOTES.get(status, "") for status in solution.status)
        log_likelihood, log_likelihood_null = solution.log_likelihood, solution.log_likelihood_null
    if sandwiched:
        robust = variance.copy() if problem is None else sandwich(problem, left_at, variance, data.clusters)
    return CoxFit(
        terms=terms,
        coefficients=coefficients,
        variance=variance,
        robust_variance=robust,
        notes=notes,
        log_likelihood=log_likelihood,
        log_likelihood_null=log_likelihood_null,
        converged=not any(notes),
        n=len(data.index),
        n_events=int(data.columns.events.sum()),
        conf_level=conf_level,
        method=method,
        spec=spec,
        data=data,
        left_at=left_at,
    )


def _method(ties: Ties, *, stratified: bool, sandwiched: bool) -> str:
    name = "stratified Cox model" if stratified else "Cox model"
    return f"{name}, {ties.capitalize()} ties, {'robust' if sandwiched else 'model-based'} variance"
