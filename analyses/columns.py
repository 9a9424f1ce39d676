"""Checks on the columns an estimator was asked to use, so that each refuses bad input in the same words."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pandas as pd

from analyses.design_matrix import existing_column, ordered_levels
from cohort.errors import AnalysisError, UsageError

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
TextArray = npt.NDArray[np.str_]


def require_columns(data: pd.DataFrame, columns: Iterable[str], *, where: str) -> None:
    """Refuse a frame without rows or without one of ``columns``.

    Parameters
    ----------
    data
        The frame handed to the estimator.
    columns
        Names that must be there.
    where
        Name of the estimator, for the message.

    Raises
    ------
    AnalysisError
        Naming the columns that are missing and those that are there.
    """
    unknown = [name for name in dict.fromkeys(columns) if name not in data.columns]
    if unknown:
        raise AnalysisError(
            "no such column",
            where=f"{where}, column {', '.join(unknown)}",
            got=f"columns {', '.join(map(str, data.columns))}",
            remedy="name a column of the data",
        )
    if not len(data):
        raise AnalysisError("no rows to analyse", where=where, remedy="check the filter that made the data")


def require_complete(data: pd.DataFrame, columns: Iterable[str], *, where: str) -> None:
    """Refuse a frame without rows, without one of ``columns``, or with missing values in them.

    Parameters
    ----------
    data, columns, where
        As for :func:`require_columns`.

    Raises
    ------
    AnalysisError
        Naming the column and the number of rows.

    Examples
    --------
    >>> import pandas as pd
    >>> require_complete(pd.DataFrame({"age": [31.0, None]}), ["age"], where="demo")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    cohort.errors.AnalysisError: demo, column 'age': missing values; got 1 of 2 rows missing (row labels 1); ...
    """
    names = list(dict.fromkeys(columns))
    require_columns(data, names, where=where)
    for name in names:
        existing_column(data, name, role=f"{where}, column")


def as_text(column: pd.Series) -> TextArray:
    """Return the values of a column without missing values as text, the form in which results hold groups."""
    return np.array([str(value) for value in column.tolist()], dtype=np.str_)


def as_binary(data: pd.DataFrame, column: str, *, where: str) -> FloatArray:
    """Return a boolean or 0/1 column as zeros and ones.

    Raises
    ------
    AnalysisError
        If it holds anything else.

    Examples
    --------
    >>> import pandas as pd
    >>> as_binary(pd.DataFrame({"flare": [True, False]}), "flare", where="demo").tolist()
    [1.0, 0.0]
    """
    values = data[column]
    is_binary = pd.api.types.is_bool_dtype(values) or (
        pd.api.types.is_numeric_dtype(values) and bool(values.isin([0, 1]).all())
    )
    if not is_binary:
        found = ", ".join(sorted(set(as_text(values)))[:5])
        raise AnalysisError(
            "the outcome must be boolean or 0 and 1",
            where=f"{where}, column {column}",
            got=found,
            remedy=f"make a boolean column, for instance data[{column!r}] == 'CR'",
        )
    return np.asarray(values.to_numpy(), dtype=np.float64)


def visit_months(data: pd.DataFrame, time_col: str, *, where: str) -> FloatArray:
    """Return a numeric column of visit months.

    Raises
    ------
    AnalysisError
        Unknown column, missing values, or not numeric.
    """
    require_complete(data, [time_col], where=where)
    column = data[time_col]
    if not pd.api.types.is_numeric_dtype(column):
        raise AnalysisError(
            "the time must be a number of months",
            where=f"{where}, column {time_col}",
            got=str(column.dtype),
            remedy="convert it",
        )
    return np.asarray(column.to_numpy(), dtype=np.float64)


def refuse_repeated(data: pd.DataFrame, subject_col: str, time_col: str, *, where: str) -> None:
    """Refuse two rows of one subject at the same time.

    Raises
    ------
    AnalysisError
        Naming the columns and the number of repeated rows.
    """
    repeated = int(data.duplicated([subject_col, time_col]).sum())
    if repeated:
        raise AnalysisError(
            "a subject has more than one row at a time",
            where=f"{where}, columns {subject_col}, {time_col}",
            got=f"{repeated} repeated rows",
            remedy="keep one row per subject and visit",
        )


def treated_rows(data: pd.DataFrame, treatment_col: str, treated: object, *, where: str) -> BoolArray:
    """Return which rows are treated, after checking that there are exactly two arms.

    Parameters
    ----------
    data, where
        As for :func:`require_columns`.
    treatment_col
        Column of the arm, without missing values.
    treated
        Its level that counts as treated; the other level is the reference.

    Raises
    ------
    AnalysisError
        If there are not exactly two arms, or ``treated`` is none of them.
    """
    levels, arm = ordered_levels(data[treatment_col])
    if len(levels) != 2 or str(treated) not in levels:
        raise AnalysisError(
            f"two arms are needed, one of them {treated}",
            where=f"{where}, column {treatment_col}",
            got=", ".join(sorted(levels)),
            remedy="restrict the data to two arms and name one of them as treated",
        )
    return np.asarray(arm == levels.index(str(treated)))


def require_level(levels: Iterable[str], level: str, *, where: str) -> None:
    """Refuse a reference that is not among the levels, or is the only one.

    Raises
    ------
    AnalysisError
        Naming the levels there are.
    """
    present = list(levels)
    if level not in present or len(present) < 2:
        raise AnalysisError(
            f"the reference {level} and at least one other group are needed",
            where=where,
            got=f"groups {', '.join(present)}",
            remedy="name one of several groups as reference",
        )


def require_probability(value: float, name: str) -> None:
    """Refuse a confidence level (or another probability) outside the open unit interval.

    Raises
    ------
    UsageError
        Naming the argument.
    """
    if not 0 < value < 1:
        raise UsageError(
            "must lie strictly between 0 and 1", where=name, got=str(value), remedy="use for instance 0.95"
        )
