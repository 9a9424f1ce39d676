"""Columns of a data frame turned into the checked arrays every survival estimator takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analyses.design_matrix import existing_column, ordered_levels
from cohort.errors import AnalysisError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class SurvivalColumns:
    """Checked arrays of shape ``(n,)`` in the row order of the data.

    ``causes`` is 0 for censored and 1 (or a cause number) for a failure; ``weights``, ``entries`` and ``clusters``
    (codes from 0) are None when not asked for.
    """

    durations: FloatArray
    causes: IntArray
    weights: FloatArray | None
    entries: FloatArray | None
    clusters: IntArray | None = None

    @property
    def events(self) -> NDArray[np.bool_]:
        """True where a row ends in a failure of any cause."""
        return self.causes > 0

    def rows(self, chosen: IntArray) -> SurvivalColumns:
        """Return the chosen rows."""
        return SurvivalColumns(
            self.durations[chosen],
            self.causes[chosen],
            None if self.weights is None else self.weights[chosen],
            None if self.entries is None else self.entries[chosen],
            None if self.clusters is None else self.clusters[chosen],
        )


@dataclass(frozen=True, slots=True, eq=False)
class Grouping:
    """Levels that occur, as text in the order of the results, and each row's level number, shape ``(n,)``.

    ``levels`` holds None alone when there is no grouping.
    """

    levels: tuple[str | None, ...]
    codes: IntArray

    def members(self) -> Iterator[tuple[str | None, IntArray]]:
        """Yield each level with the rows that have it."""
        for code, level in enumerate(self.levels):
            yield level, np.flatnonzero(self.codes == code)


def survival_columns(
    data: pd.DataFrame,
    *,
    duration_col: str,
    event_col: str,
    weights_col: str | None = None,
    entry_col: str | None = None,
    cluster_col: str | None = None,
    competing: bool = False,
) -> SurvivalColumns:
    """Read and check the columns of a survival request.

    Durations are finite and not negative; zero is allowed. Events are 0 or 1 (or booleans), or with ``competing``
    whole numbers from 0. Weights are finite and above zero. Entries are not negative and below their duration.

    Raises
    ------
    AnalysisError
        For no rows, an unknown, non-numeric or incomplete column, or a value outside those ranges.
    """
    if not len(data):
        raise AnalysisError(
            "no rows", where=f"duration_col {duration_col!r}", remedy="check how the data were filtered"
        )
    durations = finite_numbers(data, duration_col, "duration_col")
    _require(durations >= 0, durations, data, f"duration_col {duration_col!r}", "durations must not be negative")
    events = finite_numbers(data, event_col, "event_col")
    where = f"event_col {event_col!r}"
    if competing:
        whole = (events >= 0) & (events == np.floor(events))
        _require(whole, events, data, where, "causes must be whole numbers, 0 for censored")
    else:
        _require((events == 0) | (events == 1), events, data, where, "events must be 0 (censored) or 1 (event)")
    weights = entries = None
    if weights_col is not None:
        weights = finite_numbers(data, weights_col, "weights_col")
        _require(weights > 0, weights, data, f"weights_col {weights_col!r}", "weights must be above zero")
    if entry_col is not None:
        entries = finite_numbers(data, entry_col, "entry_col")
        where = f"entry_col {entry_col!r}"
        _require(entries >= 0, entries, data, where, "entry times must not be negative")
        _require(entries < durations, entries, data, where, "entry must come before the duration")
    clusters = None if cluster_col is None else cluster_codes(data, cluster_col)
    return SurvivalColumns(durations, events.astype(np.intp), weights, entries, clusters)


def interval_columns(
    data: pd.DataFrame, *, lower_col: str, upper_col: str, weights_col: str | None = None
) -> tuple[FloatArray, FloatArray, FloatArray | None]:
    """Read and check the limits of interval-censored times; a missing upper limit is infinite.

    Raises
    ------
    AnalysisError
        For no rows, an unknown or non-numeric column, a lower limit that is missing, negative or above the upper one,
        or a weight that is not above zero.
    """
    if not len(data):
        raise AnalysisError("no rows", where=f"lower_col {lower_col!r}", remedy="check how the data were filtered")
    lower = finite_numbers(data, lower_col, "lower_col")
    _require(lower >= 0, lower, data, f"lower_col {lower_col!r}", "lower limits must not be negative")
    if upper_col not in data.columns or not pd.api.types.is_numeric_dtype(data[upper_col].dtype):
        upper = finite_numbers(data, upper_col, "upper_col")
    upper = data[upper_col].to_numpy(dtype=np.float64, na_value=np.nan)
    upper = np.where(np.isnan(upper), np.inf, upper)
    _require(upper >= lower, upper, data, f"upper_col {upper_col!r}", "upper limits must not lie below the lower")
    weights = None
    if weights_col is not None:
        weights = finite_numbers(data, weights_col, "weights_col")
        _require(weights > 0, weights, data, f"weights_col {weights_col!r}", "weights must be above zero")
    return lower, upper, weights


def variance_name(weights_col: str | None, cluster_col: str | None, *, counted: str) -> str:
    """Name the variance of a curve: ``counted`` for rows that count one each, the jackknife otherwise."""
    if cluster_col is not None:
        return "clustered infinitesimal-jackknife"
    return counted if weights_col is None else "infinitesimal-jackknife"


def request(**arguments: object) -> dict[str, dict[str, object]]:
    """Return the metadata of a result: the arguments of the call, sequences as lists."""
    return {"spec": {name: list(value) if isinstance(value, tuple) else value for name, value in arguments.items()}}


def grouping(data: pd.DataFrame, by: str | None) -> Grouping:
    """Split rows by the levels of a column; levels that no row has are not groups."""
    if by is None:
        return Grouping((None,), np.zeros(len(data), dtype=np.intp))
    levels, codes = ordered_levels(existing_column(data, by, role="by"))
    return Grouping(levels, codes)


def stratum_codes(data: pd.DataFrame, strata: str | Sequence[str] | None, *, role: str = "strata") -> IntArray:
    """Number the combinations of the strata columns from 0, shape ``(n,)``; all 0 without strata."""
    codes = np.zeros(len(data), dtype=np.intp)
    names = [strata] if isinstance(strata, str) else list(strata or [])
    for name in names:
        levels, own = ordered_levels(existing_column(data, name, role=role))
        codes = np.unique(codes * len(levels) + own, return_inverse=True)[1]
    return codes


def cluster_codes(data: pd.DataFrame, cluster_col: str) -> IntArray:
    """Number the clusters from 0, shape ``(n,)``."""
    return ordered_levels(existing_column(data, cluster_col, role="cluster_col"))[1]


def check_conf_level(conf_level: float) -> None:
    """Raise an AnalysisError unless the level lies strictly between 0 and 1."""
    if not 0 < conf_level < 1:
        raise AnalysisError(
            "a confidence level lies between 0 and 1", where="conf_level", got=str(conf_level), remedy="use 0.95"
        )


def check_cause(cause: object) -> None:
    """Raise an AnalysisError unless the cause is a whole number from 1."""
    if isinstance(cause, bool) or not isinstance(cause, int | np.integer) or cause < 1:
        raise AnalysisError(
            "a cause is a whole number from 1", where="cause", got=repr(cause), remedy="use a code of the event column"
        )


def check_times(times: Sequence[float]) -> FloatArray:
    """Return times to read a curve at, or raise an AnalysisError unless they are finite and not negative."""
    wanted = np.asarray(times, dtype=np.float64)
    if wanted.ndim != 1 or not len(wanted) or not np.all(np.isfinite(wanted) & (wanted >= 0)):
        raise AnalysisError(
            "times must be one or more finite numbers from 0", where="times", got=str(times), remedy="name such times"
        )
    return wanted


def check_choice(value: str, choices: Sequence[str], *, where: str) -> None:
    """Raise an AnalysisError that lists the choices unless ``value`` is one of them."""
    if value not in choices:
        raise AnalysisError("unknown choice", where=where, got=repr(value), remedy=f"use one of {', '.join(choices)}")


def finite_numbers(data: pd.DataFrame, name: str, role: str) -> FloatArray:
    """Return a numeric column of finite values, shape ``(n,)``, or raise an AnalysisError that names its role."""
    column = existing_column(data, name, role=role)
    if not pd.api.types.is_numeric_dtype(column.dtype):
        raise AnalysisError(
            "the column must be numeric", where=f"{role} {name!r}", got=str(column.dtype), remedy="convert it first"
        )
    values = column.to_numpy(dtype=np.float64)
    _require(np.isfinite(values), values, data, f"{role} {name!r}", "values must be finite")
    return values


def _require(good: NDArray[np.bool_], values: FloatArray, data: pd.DataFrame, where: str, what: str) -> None:
    if not good.all():
        bad = np.flatnonzero(~good)
        first = ", ".join(f"{values[row]:g} in row {data.index[row]}" for row in bad[:3])
        raise AnalysisError(
            what, where=where, got=f"{first} ({len(bad)} rows)", remedy="correct these rows or leave them out"
        )
