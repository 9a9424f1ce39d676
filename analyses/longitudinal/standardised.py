"""Standardised curves of a fitted model: averages over the subjects as if all had been in one group at one time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from scipy.special import ndtr

from analyses.columns import BoolArray, FloatArray, require_columns, visit_months
from analyses.design_matrix import build_design, ordered_levels
from analyses.kernels.proportions import logit_interval, normal_quantile
from analyses.longitudinal.inputs import IntArray
from cohort.errors import AnalysisError
from cohort.results import ResultTable, result_table

_WHERE = "marginal response"
_SAME_FIT = 1e-6
EXTRAPOLATED = "nobody seen in this group at this time: extrapolated by the model"


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """Every group at every time, and the subjects as they would be there.

    Attributes
    ----------
    groups, times
        Of each cell: the group as text, the time (NaN without one); groups outermost.
    reference
        Group the others are compared with, as text, or None.
    own
        Shape ``(n, p)``: design of the data themselves.
    asked
        Shape ``(cells * N, p)``: design of the N subjects in each cell, one cell after another.
    seen
        Shape ``(cells,)``: rows of the data in each cell.
    cell
        Shape ``(n,)``: cell of each row of the data.
    """

    groups: tuple[str, ...]
    times: FloatArray
    reference: str | None
    own: FloatArray
    asked: FloatArray
    seen: IntArray
    cell: IntArray

    def averaged(self, values: FloatArray) -> FloatArray:
        """Average values of shape ``(cells * N, ...)`` over the subjects of each cell."""
        cells = len(self.seen)
        return np.asarray(values.reshape(cells, len(values) // cells, *values.shape[1:]).mean(axis=1))

    def summed(self, values: FloatArray) -> FloatArray:
        """Sum values of the data's rows over each cell."""
        return np.asarray(np.bincount(self.cell, weights=values, minlength=len(self.seen)), dtype=np.float64)

    def require_fit(self, found: FloatArray, fitted: FloatArray) -> None:
        """Refuse data whose linear predictor is not that of the fit; a failed fit has none to compare."""
        if np.isnan(fitted).any():
            return
        if np.abs(found - fitted).max() > _SAME_FIT * (1 + np.abs(fitted).max()):
            raise AnalysisError(
                "not the data of this fit",
                where=_WHERE,
                got="other values in the columns of the formula, or another order of rows",
                remedy="pass the frame the model was fitted to",
            )


@dataclass(frozen=True, slots=True, eq=False)
class Curves:
    """Averages of one outcome in every cell.

    Attributes
    ----------
    term
        The outcome.
    estimate, events
        Shape ``(cells,)``.
    gradient
        Shape ``(cells, q)``: derivatives of the estimates in the parameters.
    scale
        On which intervals are symmetric.
    """

    term: str
    estimate: FloatArray
    gradient: FloatArray
    events: FloatArray
    scale: Literal["plain", "log", "logit"]


def counterfactuals(
    data: pd.DataFrame,
    formula: str,
    *,
    subject_col: str,
    by: str,
    time_col: str | None,
    reference: object | None,
    intercept: bool,
    rows: int,
) -> Grid:
    """Lay out the subjects in every group at every time.

    Parameters
    ----------
    data, formula, subject_col, intercept
        As the model was fitted; ``formula`` is the right-hand side.
    by, time_col, reference
        Column of the group, of the time (or None), and the reference (or None).
    rows
        Number of rows of the fit.

    Raises
    ------
    AnalysisError
        As :meth:`analyses.longitudinal.GeeFit.marginal_response`.
    """
    require_columns(data, [by, *([time_col] if time_col else [])], where=_WHERE)
    if len(data) != rows:
        raise AnalysisError(
            "not the data of this fit", where=_WHERE, got=f"{len(data)} rows", remedy=f"pass the {rows} rows of the fit"
        )
    varied = [by, *([time_col] if time_col else [])]
    covariates = _covariates(data, formula, varied)
    levels, group = ordered_levels(data[by])
    if reference is not None and (str(reference) not in levels or len(levels) < 2):
        raise AnalysisError(
            f"the reference {reference} and at least one other group are needed",
            where=f"{_WHERE}, column {by}",
            got=f"groups {', '.join(levels)}",
            remedy="name one of several groups as reference",
        )
    months = np.zeros(len(data)) if time_col is None else visit_months(data, time_col, where=_WHERE)
    times, when = np.unique(months, return_inverse=True)
    subject, _ = pd.factorize(data[subject_col])
    _refuse_changing(data, covariates, subject)
    first = np.flatnonzero(~pd.Series(subject).duplicated().to_numpy())
    one = data.iloc[first]
    cell = group * len(times) + when
    example = [np.flatnonzero(group == g)[0] for g in range(len(levels))]
    at = [np.flatnonzero(when == t)[0] for t in range(len(times))]
    parts = []
    for g in range(len(levels)):
        for t in range(len(times)):
            part = one.assign(**{by: data[by].iloc[np.full(len(one), example[g])].array})
            parts.append(
                part
                if time_col is None
                else part.assign(**{time_col: data[time_col].iloc[np.full(len(one), at[t])].array})
            )
    needed = [*covariates, *varied]
    design = build_design(formula, data, intercept=intercept)
    asked = design.matrix_of(pd.concat([part[needed] for part in parts], ignore_index=True))
    return Grid(
        groups=tuple(np.repeat(levels, len(times)).tolist()),
        times=np.tile(np.full(1, np.nan) if time_col is None else times, len(levels)),
        reference=None if reference is None else str(reference),
        own=design.matrix,
        asked=asked,
        seen=np.bincount(cell, minlength=len(levels) * len(times)),
        cell=cell,
    )


def curve_table(
    grid: Grid,
    curves: Sequence[Curves],
    covariance: FloatArray,
    *,
    statistics: tuple[str, str],
    conf_level: float,
    method: str,
    note: str,
    metadata: dict[str, object],
) -> ResultTable:
    """Lay out averages and their differences from the reference, with delta-method intervals.

    Parameters
    ----------
    grid, curves, covariance
        Cells, the outcomes averaged over them, covariance of the parameters.
    statistics
        Names of an average and of a difference.
    conf_level, method, note, metadata
        Of every row; a cell without rows adds to the note.
    """
    rows = [row for each in curves for row in _averages(grid, each, covariance, statistics[0], conf_level, note)]
    if grid.reference is not None:
        for each in curves:
            rows += _differences(grid, each, covariance, statistics[1], conf_level, note)
    return result_table(
        rows,
        metadata=metadata,
        analysis="longitudinal",
        conf_level=conf_level,
        time_unit=None if np.isnan(grid.times).all() else "month",
        method=f"{method}; standardised to the subjects, delta method",
    )


def _averages(
    grid: Grid, curves: Curves, covariance: FloatArray, statistic: str, conf_level: float, note: str
) -> Iterator[dict[str, object]]:
    std_error = np.sqrt(np.einsum("cp,pq,cq->c", curves.gradient, covariance, curves.gradient))
    low, high = _interval(curves, std_error, conf_level)
    for place, group in enumerate(grid.groups):
        yield {
            "group": group,
            "time": grid.times[place],
            "term": curves.term,
            "statistic": statistic,
            "estimate": curves.estimate[place],
            "std_error": std_error[place],
            "conf_low": low[place],
            "conf_high": high[place],
            "n": grid.seen[place],
            "n_events": curves.events[place],
            "note": _noted(note, bool(grid.seen[place] == 0)),
        }


def _differences(
    grid: Grid, curves: Curves, covariance: FloatArray, statistic: str, conf_level: float, note: str
) -> Iterator[dict[str, object]]:
    times = len(grid.groups) // len(set(grid.groups))
    base, half = grid.groups.index(str(grid.reference)), normal_quantile(conf_level)
    for place, group in enumerate(grid.groups):
        if group == grid.reference:
            continue
        other = base + place % times
        slope = curves.gradient[place] - curves.gradient[other]
        std_error = float(np.sqrt(slope @ covariance @ slope))
        difference = float(curves.estimate[place] - curves.estimate[other])
        tested = std_error > 0
        yield {
            "contrast": f"{group} v {grid.reference}",
            "time": grid.times[place],
            "term": curves.term,
            "statistic": statistic,
            "estimate": difference,
            "std_error": std_error,
            "conf_low": difference - half * std_error,
            "conf_high": difference + half * std_error,
            "p_value": float(2 * ndtr(-abs(difference) / std_error)) if tested else float("nan"),
            "n": grid.seen[place] + grid.seen[other],
            "n_events": curves.events[place] + curves.events[other],
            "note": _noted(note, bool(grid.seen[place] == 0 or grid.seen[other] == 0)),
        }


def _interval(curves: Curves, std_error: FloatArray, conf_level: float) -> tuple[FloatArray, FloatArray]:
    estimate, half = curves.estimate, normal_quantile(conf_level) * std_error
    if curves.scale == "logit":
        limits = logit_interval(estimate, std_error, conf_level=conf_level)
        return limits.low, limits.high
    if curves.scale == "log":
        return estimate * np.exp(-half / estimate), estimate * np.exp(half / estimate)
    return estimate - half, estimate + half


def _noted(note: str, empty: bool) -> str | None:
    return "; ".join(part for part in (note, EXTRAPOLATED if empty else "") if part) or None


def _covariates(data: pd.DataFrame, formula: str, varied: list[str]) -> list[str]:
    """Return the columns of the formula that are carried from subject to counterfactual."""
    from formulaic import Formula

    used = {str(name) for name in Formula(formula).required_variables}
    absent = [name for name in varied if name not in used]
    if absent:
        raise AnalysisError(
            "the model does not depend on it",
            where=f"{_WHERE}, column {', '.join(absent)}",
            got=f"formula {formula!r}",
            remedy="name the columns that the formula uses for group and visit",
        )
    return [str(name) for name in data.columns if str(name) in used and str(name) not in varied]


def _refuse_changing(data: pd.DataFrame, covariates: list[str], subject: IntArray) -> None:
    changing = []
    for name in covariates:
        _, codes = ordered_levels(data[name])
        low = np.full(int(subject.max()) + 1, len(data))
        high = np.full(int(subject.max()) + 1, -1)
        np.minimum.at(low, subject, codes)
        np.maximum.at(high, subject, codes)
        moves: BoolArray = low != high
        if moves.any():
            changing.append(f"{name} ({int(moves.sum())} subjects)")
    if changing:
        raise AnalysisError(
            "the value changes within a subject, so that nobody has a value of their own to standardise to",
            where=_WHERE,
            got=", ".join(changing),
            remedy="use the baseline value on every row",
        )
