"""Baseline hazards and predictions of a fitted Cox model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analyses.kernels.cox import TermStatus
from analyses.kernels.cox_baseline import HazardSteps, PredictedHazard, hazard_steps, predicted_hazard
from analyses.kernels.cox_likelihood import weights_at_risk
from analyses.kernels.cox_problem import Ties
from analyses.kernels.probability_interval import (
    INTERVAL_SCALES,
    IntervalScale,
    normal_quantile,
    probability_interval,
)
from analyses.survival.cox_data import NO_SPREAD, STATUS_NOTES, VANISHING
from analyses.survival.inputs import check_choice, finite_numbers
from cohort.errors import AnalysisError
from cohort.results import ResultTable

if TYPE_CHECKING:
    from analyses.survival.cox_fit import CoxFit

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.intp]
PredictionKind = Literal["survival", "cumulative_hazard", "linear_predictor", "relative_hazard"]

NO_EVENTS = "no prediction: no events"
NO_EVENTS_IN_STRATUM = "no prediction: no events in this stratum"
NO_COEFFICIENT = "no prediction: a term that bears on this row has no estimate"
NO_INTERVAL = "nothing expected yet: the interval does not exist on this scale"
BEYOND = "beyond the last time observed in this stratum"
COLUMNS = ["group", "time", "estimate", "std_error", "note"]


def linear_predictors(matrix: FloatArray, coefficients: FloatArray, offset: FloatArray | None) -> FloatArray:
    """Return covariates (n, p) times coefficients plus offset, shape ``(n,)``, alike to the last bit for like rows."""
    total = np.zeros(len(matrix)) if offset is None else offset.copy()
    for column, coefficient in zip(matrix.T, coefficients, strict=True):
        total = total + column * coefficient
    return total


def unpredictable(fit: CoxFit, matrix: FloatArray) -> BoolArray:
    """Mark the rows on which a term without an estimate bears, shape ``(n,)``; aliased terms add nothing."""
    lacking = np.array([note not in ("", STATUS_NOTES[TermStatus.ALIASED]) for note in fit.notes])
    return np.asarray((matrix[:, lacking] != 0).any(axis=1))


def predictor_errors(fit: CoxFit, matrix: FloatArray) -> FloatArray:
    """Return standard errors of covariates (n, p) times coefficients, shape ``(n,)``; NaN for vanished robust ones."""
    model = np.sqrt(np.einsum("ni,ij,nj->n", matrix, np.nan_to_num(fit.variance), matrix))
    if fit.robust_variance is None:
        return np.asarray(model)
    robust = np.sqrt(np.einsum("ni,ij,nj->n", matrix, np.nan_to_num(fit.robust_variance), matrix))
    return np.where((model > 0) & (robust <= VANISHING * model), np.nan, robust)


def baseline_hazard(fit: CoxFit, ties: Ties | None) -> ResultTable:
    """Return the table of :meth:`analyses.survival.cox_fit.CoxFit.baseline_hazard`."""
    handling = _handling(fit, ties)
    steps = _steps(fit, handling)
    method = f"{fit.method}; cumulative baseline hazard, {handling.capitalize()} increments"
    constants = {"statistic": "cumulative_hazard", "conf_level": fit.conf_level, "method": method}
    if steps is None:
        return fit.table(pd.DataFrame([{"note": NO_EVENTS}]), **constants)
    problem, zero = steps.problem, np.zeros(len(fit.terms))
    parts = []
    for stratum, label in enumerate(fit.data.strata.labels):
        places = np.flatnonzero(problem.time_strata == stratum)
        if not len(places):
            parts.append(_untimed(label, NO_EVENTS_IN_STRATUM))
            continue
        found = _hazard(fit, steps, zero, 0.0, stratum, places)
        part = _curve_rows(label, problem.times[places], found.cumulative, found.std_error)
        parts.append(part.assign(n=weights_at_risk(problem)[places], n_events=_events(steps)[places]))
    frame = pd.concat([part.reindex(columns=[*COLUMNS, "n", "n_events"]) for part in parts], ignore_index=True)
    return fit.table(_with_log_interval(frame, fit.conf_level), **constants)


def predict(
    fit: CoxFit,
    data: pd.DataFrame,
    *,
    kind: PredictionKind,
    times: Sequence[float] | None,
    conf_type: IntervalScale,
    ties: Ties | None,
) -> ResultTable:
    """Return the table of :meth:`analyses.survival.cox_fit.CoxFit.predict`."""
    check_choice(kind, get_args(PredictionKind), where="kind")
    check_choice(conf_type, INTERVAL_SCALES, where="conf_type")
    handling = _handling(fit, ties)
    if not len(data):
        raise AnalysisError("no rows to predict for", where="predict, data", remedy="give at least one row")
    matrix = fit.data.design.matrix_of(data)
    offset_col = fit.data.offset_col
    offset = np.zeros(len(data)) if offset_col is None else finite_numbers(data, offset_col, "offset_col")
    labels = [str(label) for label in data.index]
    if kind in ("linear_predictor", "relative_hazard"):
        if times is not None:
            raise AnalysisError("no times go with this kind", where="times", got=kind, remedy="use kind='survival'")
        return _predictors(fit, matrix, offset, labels, exponentiate=kind == "relative_hazard")
    wanted = None if times is None else _checked_times(times)
    frame = _curves(fit, matrix, offset, fit.data.strata.codes_of(data), labels, wanted, handling)
    if kind == "survival":
        survival = np.exp(-frame["estimate"].to_numpy())
        frame = frame.assign(estimate=survival, std_error=survival * frame["std_error"].to_numpy())
        low, high = probability_interval(
            survival, frame["std_error"].to_numpy(), scale=conf_type, conf_level=fit.conf_level
        )
        frame = _noted(frame.assign(conf_low=low, conf_high=high))
        how = f"{conf_type} interval"
    else:
        frame, how = _with_log_interval(frame, fit.conf_level), "log interval"
    method = f"{fit.method}; {handling.capitalize()} increments, {how}"
    return fit.table(frame, statistic=kind, conf_level=fit.conf_level, method=method)


def _handling(fit: CoxFit, ties: Ties | None) -> Ties:
    if ties is None:
        return fit.data.ties
    check_choice(ties, get_args(Ties), where="ties")
    return ties


def _checked_times(times: Sequence[float]) -> FloatArray:
    wanted = np.asarray(times, dtype=np.float64)
    if wanted.ndim != 1 or not len(wanted) or not np.all(np.isfinite(wanted) & (wanted >= 0)):
        raise AnalysisError(
            "times must be one or more finite numbers from 0", where="times", got=str(times), remedy="name such times"
        )
    return wanted


def _predictors(
    fit: CoxFit, matrix: FloatArray, offset: FloatArray, labels: list[str], *, exponentiate: bool
) -> ResultTable:
    lost = unpredictable(fit, matrix)
    estimate = np.where(lost, np.nan, linear_predictors(matrix, fit.left_at, offset))
    error = np.where(lost, np.nan, predictor_errors(fit, matrix))
    notes = [
        NO_COEFFICIENT if gone else NO_SPREAD if np.isnan(e) else None for gone, e in zip(lost, error, strict=True)
    ]
    half = normal_quantile(fit.conf_level) * error
    carry = np.exp if exponentiate else np.asarray
    frame = pd.DataFrame(
        {
            "group": labels,
            "estimate": carry(estimate),
            "std_error": error * (np.exp(estimate) if exponentiate else 1.0),
            "conf_low": carry(estimate - half),
            "conf_high": carry(estimate + half),
            "note": pd.Series(notes, dtype="string"),
        }
    )
    statistic = "relative_hazard" if exponentiate else "linear_predictor"
    return fit.table(frame, statistic=statistic, conf_level=fit.conf_level, method=fit.method)


def _curves(
    fit: CoxFit,
    matrix: FloatArray,
    offset: FloatArray,
    strata: IntArray,
    labels: list[str],
    wanted: FloatArray | None,
    ties: Ties,
) -> pd.DataFrame:
    steps, lost = _steps(fit, ties), unpredictable(fit, matrix)
    own = np.empty(0, dtype=np.intp) if steps is None else steps.problem.time_strata
    known = {stratum: np.flatnonzero(own == stratum) for stratum in np.unique(strata)}
    last = {stratum: fit.data.columns.durations[fit.data.strata.codes == stratum].max() for stratum in known}
    parts = []
    for row, (label, stratum) in enumerate(zip(labels, strata, strict=True)):
        if steps is None or lost[row] or not len(known[stratum]):
            why = NO_EVENTS if steps is None else NO_COEFFICIENT if lost[row] else NO_EVENTS_IN_STRATUM
            parts.append(_untimed(label, why, wanted))
            continue
        event_times = steps.problem.times[known[stratum]]
        times = event_times if wanted is None else wanted
        places = np.searchsorted(event_times, times, side="right") - 1
        places = np.where(places >= 0, places + known[stratum][0], -1)
        found = _hazard(fit, steps, matrix[row], float(offset[row]), int(stratum), places)
        parts.append(_curve_rows(label, times, found.cumulative, found.std_error, beyond=times > last[stratum]))
    return pd.concat([part.reindex(columns=COLUMNS) for part in parts], ignore_index=True)


def _steps(fit: CoxFit, ties: Ties) -> HazardSteps | None:
    problem = fit.data.problem if ties == fit.data.ties else fit.data.problem_with(ties)
    return None if problem is None else hazard_steps(problem, fit.left_at)


def _hazard(
    fit: CoxFit, steps: HazardSteps, covariates: FloatArray, offset: float, stratum: int, places: IntArray
) -> PredictedHazard:
    found = predicted_hazard(
        steps,
        covariates,
        offset,
        stratum,
        places,
        coefficients=fit.left_at,
        variance=np.nan_to_num(fit.used_variance),
    )
    vanished = np.isnan(fit.std_errors) & ~np.isnan(fit.coefficients)
    return replace(found, std_error=np.full(len(places), np.nan)) if vanished.any() else found


def _events(steps: HazardSteps) -> FloatArray:
    problem = steps.problem
    return np.asarray(np.add.reduceat(problem.weights[problem.event_rows], problem.event_starts[:-1]))


def _curve_rows(
    label: str | None,
    times: FloatArray,
    hazard: FloatArray,
    error: FloatArray,
    *,
    beyond: BoolArray | None = None,
) -> pd.DataFrame:
    outside = np.zeros(len(times), dtype=np.bool_) if beyond is None else beyond
    return pd.DataFrame(
        {
            "group": pd.Series([label] * len(times), dtype="string"),
            "time": times,
            "estimate": np.where(outside, np.nan, hazard),
            "std_error": np.where(outside, np.nan, error),
            "note": pd.Series(
                [
                    BEYOND if gone else NO_SPREAD if np.isnan(e) else None
                    for gone, e in zip(outside, error, strict=True)
                ],
                dtype="string",
            ),
        }
    )


def _untimed(label: str | None, why: str, wanted: FloatArray | None = None) -> pd.DataFrame:
    times = np.array([np.nan]) if wanted is None else wanted
    nothing = np.full(len(times), np.nan)
    return _curve_rows(label, times, nothing, nothing).assign(note=pd.Series([why] * len(times), dtype="string"))


def _with_log_interval(frame: pd.DataFrame, conf_level: float) -> pd.DataFrame:
    estimate, error = frame["estimate"].to_numpy(), frame["std_error"].to_numpy()
    positive = np.where(estimate > 0, estimate, np.nan)
    spread = np.exp(normal_quantile(conf_level) * error / positive)
    return _noted(frame.assign(conf_low=positive / spread, conf_high=positive * spread))


def _noted(frame: pd.DataFrame) -> pd.DataFrame:
    """Say why an estimate with a standard error has no interval."""
    bare = frame["conf_low"].isna() & frame["std_error"].notna() & frame["note"].isna()
    return frame.assign(note=frame["note"].mask(bare, NO_INTERVAL))
