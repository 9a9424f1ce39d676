"""Missing covariates filled in several times by chained equations, and any analysis carried through all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analyses.columns import BoolArray, FloatArray, as_binary, as_text, require_columns, require_complete
from analyses.design_matrix import ordered_levels
from analyses.folds import IntArray
from analyses.kernels.chained_equations import draw_by_predictive_means, draw_categories
from analyses.pooled_results import pool_results
from cohort.errors import AnalysisError, UsageError
from cohort.results import ResultTable

_WHERE = "impute_covariates"


@dataclass(frozen=True, slots=True, eq=False)
class ImputedData:
    """Several completed copies of a data set.

    Parameters
    ----------
    frames
        In the row order, on the index and with the columns of the data; only missing values of ``columns`` differ.
    columns
        Columns filled in.
    missing
        Rows that lacked each of them.
    """

    frames: tuple[pd.DataFrame, ...]
    columns: tuple[str, ...]
    missing: tuple[int, ...]

    def analyse(self, estimate: Callable[[pd.DataFrame], ResultTable]) -> ResultTable:
        """Run an analysis on every copy and pool its rows by Rubin's rules.

        Parameters
        ----------
        estimate
            From one completed frame to a result table, the whole chain: derived columns, score, weights, outcome.

        Returns
        -------
        ResultTable
            See :func:`analyses.pooled_results.pool_results`; the notes end in the gaps that were filled.
        """
        pooled = pool_results([estimate(frame) for frame in self.frames])
        gaps = ", ".join(f"{name} ({count})" for name, count in zip(self.columns, self.missing, strict=True) if count)
        remark = f"imputed {gaps}" if gaps else "nothing was missing"
        note = (pooled.frame["note"] + "; ").fillna("") + remark
        return ResultTable(pooled.frame.assign(note=note), pooled.metadata)


def impute_covariates(
    data: pd.DataFrame,
    columns: Sequence[str],
    *,
    predictors: Sequence[str],
    duration_col: str | None = None,
    event_col: str | None = None,
    imputations: int = 20,
    iterations: int = 10,
    donors: int = 5,
    id_col: str = "patient_id",
    seed: int = 2025,
) -> ImputedData:
    """Fill in missing covariates by chained equations.

    Each column is drawn in turn given all others: numbers by predictive mean matching, booleans and categories from a
    (multinomial) logistic model with drawn coefficients. Treatment and outcome must be among the predictors: values
    imputed without them bend effects towards none.

    Parameters
    ----------
    data
        One row per patient.
    columns
        Covariates, with or without gaps.
    predictors
        Other columns to impute from, the treatment and every outcome to be analysed among them. Their own gaps are
        drawn along the way and given back as gaps: an outcome is never imputed.
    duration_col, event_col
        Of an outcome in time: its event indicator and the cumulative hazard (Nelson and Aalen) at the patient's time
        then predict, as White and Royston found best for a Cox model.
    imputations, iterations, donors
        Copies; rounds of each chain; donors of predictive mean matching.
    id_col
        Column of the patient. Draws go through patients in its order, so that the order of rows plays no part.
    seed
        Of all draws.

    Returns
    -------
    ImputedData
        The same values for the same seed, whatever the order of rows.

    Raises
    ------
    AnalysisError
        Unknown columns, a column nobody has or with a single observed value and gaps, missing or repeated identifiers,
        missing times or events.
    UsageError
        Fewer than two imputations, one of ``duration_col`` and ``event_col`` alone, no predictors.

    References
    ----------
    White IR, Royston P, Wood AM. Multiple imputation using chained equations. Stat Med 2011;30:377-399.
    doi:10.1002/sim.4067. White IR, Royston P. Stat Med 2009;28:1982-1998. doi:10.1002/sim.3618 (survival outcomes).
    Leyrat C et al. Propensity score analysis with partially observed covariates. Stat Methods Med Res 2019;28:3-19.
    doi:10.1177/0962280217713032 (effects, not scores, are pooled). von Hippel PT. Sociol Methodol 2007;37:83-117.
    doi:10.1111/j.1467-9531.2007.00180.x (imputed outcomes are given back)

    Examples
    --------
    >>> data = pd.DataFrame({"patient_id": list("abcdefgh"), "age_years": [30.0, 40, 50, 60, None, 35, 45, 55],
    ...                      "arm": list("ttrrtrtr")})
    >>> imputed = impute_covariates(data, ["age_years"], predictors=["arm"], imputations=2)
    >>> len(imputed.frames), imputed.missing, int(imputed.frames[0]["age_years"].isna().sum())
    (2, (1,), 0)
    """
    _check_request(data, columns, predictors, duration_col, event_col, imputations, id_col)
    patients = as_text(data[id_col])
    order = np.argsort(patients, kind="stable")
    if len(np.unique(patients)) < len(patients):
        raise AnalysisError(
            "a patient has more than one row",
            where=f"{_WHERE}, column {id_col}",
            got=f"{len(patients) - len(np.unique(patients))} repeated rows",
            remedy="impute one row per patient",
        )
    names = list(dict.fromkeys([*columns, *predictors]))
    variables = [_variable(data, name, order) for name in names]
    extra = np.empty((len(data), 0))
    if duration_col is not None and event_col is not None:
        extra = _event_predictors(data, duration_col, event_col)[order]
    frames = []
    for number in range(imputations):
        rng = np.random.Generator(np.random.Philox(key=[seed % 2**64, number]))
        drawn = _chain(variables, extra, iterations, donors, rng)
        frames.append(_completed(data, columns, variables, drawn, order))
    missing = {variable.name: int(variable.gaps.sum()) for variable in variables}
    return ImputedData(tuple(frames), tuple(columns), tuple(missing[name] for name in columns))


@dataclass(frozen=True, slots=True, eq=False)
class _Variable:
    """A column in the order of identifiers: numbers, or codes of levels; gaps hold nothing to rely on."""

    name: str
    values: FloatArray
    gaps: BoolArray
    levels: tuple[object, ...] | None


def _check_request(
    data: pd.DataFrame,
    columns: Sequence[str],
    predictors: Sequence[str],
    duration_col: str | None,
    event_col: str | None,
    imputations: int,
    id_col: str,
) -> None:
    if imputations < 2:
        raise UsageError("at least two imputations are needed", where=_WHERE, got=str(imputations))
    if (duration_col is None) != (event_col is None):
        raise UsageError(
            "duration_col and event_col belong together",
            where=_WHERE,
            got=f"{duration_col} and {event_col}",
            remedy="pass both or neither",
        )
    if not predictors:
        raise UsageError(
            "the imputation needs the treatment and the outcome",
            where=f"{_WHERE}, predictors",
            remedy="name their columns, so that imputed values keep their relation to both",
        )
    require_columns(data, [*columns, *predictors], where=_WHERE)
    require_complete(data, [id_col], where=_WHERE)


def _variable(data: pd.DataFrame, name: str, order: IntArray) -> _Variable:
    column = data[name]
    gaps = column.isna().to_numpy(dtype=bool)
    present = column[~gaps]
    distinct = present.nunique()
    if gaps.any() and distinct < 2:
        raise AnalysisError(
            "nothing to impute from",
            where=f"{_WHERE}, column {name!r}",
            got=f"{distinct} distinct values among {len(present)} of {len(data)} rows",
            remedy="leave the column out",
        )
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        return _Variable(name, column.to_numpy(dtype=np.float64, na_value=np.nan)[order], gaps[order], None)
    text, codes = ordered_levels(present.astype(object) if not len(present) else present)
    originals: dict[str, object] = {str(value): value for value in present.tolist()}
    values = np.full(len(data), np.nan)
    values[~gaps] = codes
    return _Variable(name, values[order], gaps[order], tuple(originals[level] for level in text))


def _event_predictors(data: pd.DataFrame, duration_col: str, event_col: str) -> FloatArray:
    require_complete(data, [duration_col, event_col], where=_WHERE)
    event = as_binary(data, event_col, where=_WHERE)
    time = data[duration_col].to_numpy(dtype=np.float64)
    times, place = np.unique(time, return_inverse=True)
    deaths = np.bincount(place, event, minlength=len(times))
    at_risk = np.cumsum(np.bincount(place, minlength=len(times))[::-1])[::-1]
    return np.column_stack([event, np.cumsum(deaths / at_risk)[place]])


def _chain(
    variables: Sequence[_Variable], extra: FloatArray, iterations: int, donors: int, rng: np.random.Generator
) -> dict[str, FloatArray]:
    """Return each column completed, in the order of identifiers."""
    current: dict[str, FloatArray] = {}
    for variable in variables:
        values = variable.values.copy()
        if variable.gaps.any():
            values[variable.gaps] = rng.choice(values[~variable.gaps], int(variable.gaps.sum()))
        current[variable.name] = values
    incomplete = sorted((one for one in variables if one.gaps.any()), key=lambda one: int(one.gaps.sum()))
    for _ in range(iterations if incomplete else 0):
        for variable in incomplete:
            others = [_columns(one, current[one.name]) for one in variables if one is not variable]
            design = _standardised(np.column_stack([*others, extra]))
            known = ~variable.gaps
            values = variable.values[known]
            if variable.levels is None:
                drawn = draw_by_predictive_means(design[known], values, design[~known], rng, donors=donors)
            else:
                codes = values.astype(np.intp)
                drawn = draw_categories(design[known], codes, len(variable.levels), design[~known], rng).astype(float)
            current[variable.name][variable.gaps] = drawn
    return current


def _columns(variable: _Variable, values: FloatArray) -> FloatArray:
    if variable.levels is None:
        return values[:, None]
    return np.asarray(values[:, None] == np.arange(1, len(variable.levels)), dtype=np.float64)


def _standardised(matrix: FloatArray) -> FloatArray:
    spread = matrix.std(axis=0)
    return np.asarray((matrix - matrix.mean(axis=0)) / np.where(spread > 1e-12, spread, 1.0))


def _completed(
    data: pd.DataFrame,
    columns: Sequence[str],
    variables: Sequence[_Variable],
    drawn: dict[str, FloatArray],
    order: IntArray,
) -> pd.DataFrame:
    frame = data.copy()
    by_name = {variable.name: variable for variable in variables}
    for name in columns:
        variable = by_name[name]
        if not variable.gaps.any():
            continue
        rows, values = order[variable.gaps], drawn[name][variable.gaps]
        filled = data[name].to_numpy(dtype=object, copy=True)
        levels = variable.levels
        filled[rows] = values if levels is None else np.array([levels[int(code)] for code in values], dtype=object)
        whole = pd.Series(filled, index=data.index)
        # Booleans with gaps come as objects; without gaps they are booleans again.
        booleans = levels is not None and all(isinstance(level, (bool, np.bool_)) for level in levels)
        frame[name] = whole.astype(bool if booleans and data[name].dtype.kind == "O" else data[name].dtype)
    return frame
