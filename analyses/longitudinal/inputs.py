"""What every model of repeated outcomes reads from a request: formula, subjects, visits, weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analyses.columns import refuse_repeated, require_columns, require_complete
from analyses.design_matrix import Design, ordered_levels
from analyses.kernels.logistic import collinear_columns
from cohort.errors import AnalysisError, UsageError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Visits:
    """Distinct times as text in their order, and each row's number among them, shape ``(n,)``."""

    labels: tuple[str, ...]
    position: IntArray


def formula_sides(formula: str, *, where: str) -> tuple[str, str]:
    """Split a two-sided formula into the outcome's column and the right-hand side.

    Raises
    ------
    UsageError
        Without exactly one ``~`` between two sides.
    """
    parts = [part.strip() for part in formula.split("~")]
    if len(parts) != 2 or not all(parts):
        raise UsageError(
            "the formula needs a left and a right side",
            where=where,
            got=formula,
            remedy="write for instance responder ~ arm + age_years",
        )
    return parts[0], parts[1]


def subject_codes(data: pd.DataFrame, subject_col: str, *, where: str) -> tuple[IntArray, IntArray]:
    """Number the subjects in the order of their first rows; return each row's number and each subject's rows.

    Raises
    ------
    AnalysisError
        Unknown column, missing values, fewer than two subjects.
    """
    require_columns(data, [subject_col], where=where)
    codes, subjects = pd.factorize(data[subject_col])
    if bool((codes < 0).any()):
        require_complete(data, [subject_col], where=where)
    if len(subjects) < 2:
        raise AnalysisError("at least two subjects are needed", where=f"{where}, column {subject_col}", got="1")
    return codes, np.bincount(codes)


def visits_of(data: pd.DataFrame, subject: IntArray, subject_col: str, time_col: str, *, where: str) -> Visits:
    """Number the distinct times from 0, in the order of :func:`analyses.design_matrix.ordered_levels`.

    Raises
    ------
    AnalysisError
        Unknown column, missing values, a subject with two rows at a time.
    """
    require_complete(data, [time_col], where=where)
    labels, position = ordered_levels(data[time_col])
    cells = np.sort(subject * len(labels) + position)
    if bool((cells[1:] == cells[:-1]).any()):
        refuse_repeated(data, subject_col, time_col, where=where)
    return Visits(labels, position)


def numeric_column(data: pd.DataFrame, name: str, *, role: str, where: str, positive: bool = False) -> FloatArray:
    """Return a column of finite numbers, above zero if ``positive``.

    Raises
    ------
    AnalysisError
        Unknown column, missing values, no numbers, or numbers out of range (counted).
    """
    require_complete(data, [name], where=where)
    place = f"{where}, {role} {name!r}"
    column = data[name]
    if not pd.api.types.is_numeric_dtype(column):
        raise AnalysisError("the column must be numeric", where=place, got=str(column.dtype), remedy="convert it first")
    values = column.to_numpy(dtype=np.float64)
    wrong = ~np.isfinite(values) | (values <= 0 if positive else np.zeros(len(values), dtype=np.bool_))
    if wrong.any():
        raise AnalysisError(
            "values must be finite and above zero" if positive else "values must be finite",
            where=place,
            got=f"{int(wrong.sum())} rows, the first {values[np.argmax(wrong)]:g}",
            remedy="correct these rows or leave them out",
        )
    return values


def refuse_collinear(design: Design, formula: str, *, where: str, with_intercept: bool = False) -> None:
    """Refuse a term that is constant or a combination of the others.

    Parameters
    ----------
    design, formula
        The design, and its formula for the message.
    where
        Name of the estimator.
    with_intercept
        Whether to count a column of ones that the design does not hold.

    Raises
    ------
    AnalysisError
        Naming the terms.
    """
    ones = np.ones((len(design.matrix), int(with_intercept)))
    collinear = collinear_columns(np.hstack([ones, design.matrix]))
    if collinear:
        raise AnalysisError(
            "constant or a combination of the other terms",
            where=f"{where}, formula {formula}",
            got=", ".join(design.terms[index - int(with_intercept)] for index in collinear),
            remedy="leave these terms out",
        )


def require_offered(name: str, value: str, offered: tuple[str, ...], *, where: str) -> None:
    """Refuse an argument that is none of those offered.

    Raises
    ------
    UsageError
        Naming them.
    """
    if value not in offered:
        raise UsageError(f"unknown {name}", where=where, got=str(value), remedy=f"use one of {', '.join(offered)}")
