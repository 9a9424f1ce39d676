"""Residuals of a fitted Cox model, in frames with the index of its data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analyses.kernels.cox import TermStatus
from analyses.kernels.cox_residuals import (
    deviance_residuals,
    expected_events,
    influence,
    schoenfeld_residuals,
    score_residuals,
)
from analyses.survival.cox_data import STATUS_NOTES
from analyses.survival.cox_predictions import linear_predictors, unpredictable
from analyses.survival.inputs import check_choice
from cohort.results import ResultTable

if TYPE_CHECKING:
    from analyses.survival.cox_fit import CoxFit

FloatArray = NDArray[np.float64]
ResidualKind = Literal["martingale", "deviance", "score", "dfbeta", "dfbetas", "schoenfeld", "scaled_schoenfeld"]


def residual_frame(fit: CoxFit, kind: ResidualKind) -> pd.DataFrame:
    """Return the frame of :meth:`analyses.survival.cox_fit.CoxFit.residuals`."""
    check_choice(kind, get_args(ResidualKind), where="kind")
    if kind in ("martingale", "deviance"):
        events, expected = fit.data.columns.events.astype(np.float64), _expected(fit)
        values = events - expected if kind == "martingale" else deviance_residuals(events, expected)
        return pd.DataFrame({kind: values}, index=fit.data.index)
    if kind in ("schoenfeld", "scaled_schoenfeld"):
        return event_residuals(fit, scaled=kind == "scaled_schoenfeld")
    return pd.DataFrame(_by_row(fit, kind), index=fit.data.index, columns=list(fit.terms))


def _expected(fit: CoxFit) -> FloatArray:
    """Return the events expected of each row, NaN when the iterations did not converge."""
    problem = fit.data.problem
    if problem is None:
        return np.zeros(fit.n)
    if _lost(fit):
        return np.full(fit.n, np.nan)
    return expected_events(problem, fit.left_at)


def _lost(fit: CoxFit) -> bool:
    return STATUS_NOTES[TermStatus.NOT_CONVERGED] in fit.notes


def _by_row(fit: CoxFit, kind: str) -> FloatArray:
    problem = fit.data.problem
    if problem is None:
        return np.full((fit.n, len(fit.terms)), np.nan)
    score = kind == "score"
    values = score_residuals(problem, fit.left_at) if score else influence(problem, fit.left_at, fit.variance)
    if kind == "dfbetas":
        values = values / np.sqrt(np.diag(fit.variance))
    return np.where(np.isnan(fit.coefficients), np.nan, values)


def event_residuals(fit: CoxFit, *, scaled: bool) -> pd.DataFrame:
    """Return the Schoenfeld residuals: a row per event in the order of time, ``time`` and a column per term."""
    problem = fit.data.problem
    if problem is None:
        return pd.DataFrame(columns=["time", *fit.terms], index=fit.data.index[:0], dtype=np.float64)
    values = schoenfeld_residuals(problem, fit.left_at)
    if scaled:
        values = fit.n_events * values @ np.nan_to_num(fit.variance) + fit.left_at
    values = np.where(np.isnan(fit.coefficients), np.nan, values)
    rows = problem.rows[problem.event_rows]
    order = np.lexsort((rows, problem.event_time))
    frame = pd.DataFrame(values[order], index=fit.data.index[rows[order]], columns=list(fit.terms))
    frame.insert(0, "time", problem.times[problem.event_time[order]])
    return frame


def coefficients_over_time(fit: CoxFit) -> ResultTable:
    """Return the table of :meth:`analyses.survival.cox_fit.CoxFit.coefficients_over_time`."""
    parts = []
    problem = fit.data.problem
    points = event_residuals(fit, scaled=True)
    labels = np.array(fit.data.strata.labels, dtype=object)
    for k, term in enumerate(fit.terms):
        if problem is None or fit.notes[k]:
            parts.append(pd.DataFrame({"term": [term], "note": [fit.notes[k]]}))
            continue
        strata = labels[problem.time_strata[np.sort(problem.event_time)]]
        group = pd.Series(strata, dtype="string")
        values = points.iloc[:, k + 1].to_numpy()
        parts.append(
            pd.DataFrame({"term": term, "group": group, "time": points["time"].to_numpy(), "estimate": values})
        )
    method = f"{fit.method}; scaled Schoenfeld residuals, model-based variance"
    columns = ["term", "group", "time", "estimate", "note"]
    rows = pd.concat([part.reindex(columns=columns).astype({"note": "string", "group": "string"}) for part in parts])
    return fit.table(rows.reset_index(drop=True), statistic="log_hazard_ratio_at_event", method=method)


def augmented(fit: CoxFit) -> pd.DataFrame:
    """Return the frame of :meth:`analyses.survival.cox_fit.CoxFit.augment`."""
    matrix = fit.data.design.matrix
    predictor = linear_predictors(matrix, fit.left_at, fit.data.offset)
    predictor = np.where(unpredictable(fit, matrix), np.nan, predictor)
    events, expected = fit.data.columns.events.astype(np.float64), _expected(fit)
    return pd.DataFrame(
        {
            "linear_predictor": predictor,
            "relative_hazard": np.exp(predictor),
            "expected": expected,
            "martingale": events - expected,
            "deviance": deviance_residuals(events, expected),
        },
        index=fit.data.index,
    )
