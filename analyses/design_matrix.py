"""Right-hand sides of formulas turned into numeric matrices with readable term names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cohort.errors import AnalysisError

if TYPE_CHECKING:
    from formulaic import SimpleFormula

FloatArray = NDArray[np.float64]

_LEVEL = re.compile(r"\[(?:T\.)?([^\[\]]*)\]")
_CODED = re.compile(r"^C\(([^,()]+)(?:,.*)?\)((?:=.*)?)$")


@dataclass(frozen=True, slots=True, eq=False)
class Design:
    """A numeric design; ``n`` rows in the order of the data, ``p`` columns.

    Attributes
    ----------
    matrix
        Shape ``(n, p)``.
    terms
        Name of each column: ``age_years``, ``isn_rps_class=V``, ``age_years:sex=male``, ``Intercept``.
    variables
        For each column, the term of the formula it belongs to: ``isn_rps_class`` for ``isn_rps_class=V``.
    """

    matrix: FloatArray
    terms: tuple[str, ...]
    variables: tuple[str, ...]


def build_design(formula: str, data: pd.DataFrame, *, intercept: bool) -> Design:
    """Build the design matrix of a right-hand side such as ``"arm + age_years * sex"``.

    Text, categorical and object columns are categorical: one column per level but the reference, named
    ``column=level``. The reference is the first level of those that occur, in sorted order; only an *ordered* pandas
    categorical keeps the order it declares. ``C(column, contr.treatment('level'))`` chooses another reference.
    Booleans are numbers, 0 and 1, named as the column.

    Parameters
    ----------
    formula
        Operators ``+ : * - ^``; functions such as ``log``, ``center``, ``bs`` and ``C`` of the formulaic package.
        No left-hand side, and the intercept is the caller's to choose, not the formula's.
    data
        One row per observation.
    intercept
        Whether to keep the leading column of ones. Levels are coded against their reference either way.

    Raises
    ------
    AnalysisError
        If the formula cannot be read or evaluated, names an unknown column, has no terms where there is no
        intercept, or a column it uses has missing or non-finite values. Nothing is dropped silently.

    Examples
    --------
    >>> frame = pd.DataFrame({"age_years": [30.0, 40.0, 50.0], "isn_rps_class": ["V", "III", "IV"]})
    >>> build_design("age_years + isn_rps_class", frame, intercept=False).terms
    ('age_years', 'isn_rps_class=IV', 'isn_rps_class=V')
    """
    from formulaic.errors import FormulaicError

    parsed = _parse(formula)
    columns = sorted(str(name) for name in parsed.required_variables)
    prepared = pd.DataFrame({name: _prepared(data, name, formula) for name in columns}, index=data.index)
    try:
        encoded = parsed.get_model_matrix(prepared, context={}, na_action="ignore", output="numpy")
    except FormulaicError as error:
        raise _unreadable(formula, error) from error
    matrix = np.asarray(encoded, dtype=np.float64)
    terms, variables = [], []
    for structure in encoded.model_spec.structure:
        terms += [_readable(str(name)) for name in structure.columns]
        variables += [_readable(str(structure.term))] * len(structure.columns)
    kept = [place for place, name in enumerate(terms) if intercept or name != "Intercept"]
    if not kept:
        raise AnalysisError("the formula has no terms", where=f"formula {formula!r}", remedy="name at least one column")
    design = Design(matrix[:, kept], tuple(terms[k] for k in kept), tuple(variables[k] for k in kept))
    _check_finite(design, formula)
    return design


def ordered_levels(values: pd.Series) -> tuple[tuple[str, ...], NDArray[np.intp]]:
    """Return the levels that occur, as text in sorted order, and each row's level number, shape ``(n,)``.

    Numbers and booleans sort by value, everything else by its text; an ordered pandas categorical keeps its declared
    order. Values must not be missing.

    Examples
    --------
    >>> ordered_levels(pd.Series(["b", "a", "b"]))
    (('a', 'b'), array([1, 0, 1]))
    """
    if isinstance(values.dtype, pd.CategoricalDtype) and values.dtype.ordered:
        used = values.cat.remove_unused_categories()
        return tuple(map(str, used.cat.categories)), used.cat.codes.to_numpy().astype(np.intp)
    if pd.api.types.is_numeric_dtype(values.dtype):
        numbers, codes = np.unique(values.to_numpy(), return_inverse=True)
        return tuple(str(number.item()) for number in numbers), codes
    texts, codes = np.unique(np.array([str(value) for value in values], dtype=np.str_), return_inverse=True)
    return tuple(str(text) for text in texts), codes


def missing_rows(values: pd.Series) -> str:
    """Describe the missing rows of a column, or return an empty text when there are none."""
    gaps = np.flatnonzero(values.isna().to_numpy())
    if not len(gaps):
        return ""
    first = ", ".join(str(values.index[gap]) for gap in gaps[:5])
    return f"{len(gaps)} of {len(values)} rows missing (row labels {first}{', ...' if len(gaps) > 5 else ''})"


def existing_column(data: pd.DataFrame, name: str, *, role: str) -> pd.Series:
    """Return a complete column, or raise an AnalysisError that names it and its role in the request."""
    if name not in data.columns:
        raise AnalysisError(
            "no such column",
            where=f"{role} {name!r}",
            got=", ".join(map(str, data.columns)),
            remedy="name one of the columns of the data",
        )
    column = data[name]
    if not isinstance(column, pd.Series):
        raise AnalysisError("more than one column has this name", where=f"{role} {name!r}", remedy="rename them")
    if gaps := missing_rows(column):
        raise AnalysisError(
            "missing values",
            where=f"{role} {name!r}",
            got=gaps,
            remedy="impute them, or restrict the data to complete rows",
        )
    return column


def _parse(formula: str) -> SimpleFormula:
    from formulaic import Formula, SimpleFormula
    from formulaic.errors import FormulaicError

    try:
        parsed = Formula(formula)
    except FormulaicError as error:
        raise _unreadable(formula, error) from error
    if not isinstance(parsed, SimpleFormula):
        raise AnalysisError(
            "the formula must be a right-hand side only", where=f"formula {formula!r}", remedy="drop what is before ~"
        )
    if "1" not in {str(term) for term in parsed}:
        raise AnalysisError(
            "the formula removes the intercept", where=f"formula {formula!r}", remedy="drop the 0 or - 1"
        )
    return parsed


def _unreadable(formula: str, error: Exception) -> AnalysisError:
    plain = re.sub(r"\x1b\[[0-9;]*m|[⧛⧚]", "", str(error))
    return AnalysisError(
        "the formula cannot be read",
        where=f"formula {formula!r}",
        got=" ".join(plain.split()),
        remedy="write a right-hand side such as 'arm + age_years'",
    )


def _prepared(data: pd.DataFrame, name: str, formula: str) -> pd.Series:
    column = existing_column(data, name, role=f"formula {formula!r}, column")
    if pd.api.types.is_numeric_dtype(column.dtype):
        return pd.Series(column.to_numpy(dtype=np.float64), index=column.index)
    levels, codes = ordered_levels(column)
    return pd.Series(pd.Categorical(np.array(levels)[codes], categories=pd.Index(levels)), index=column.index)


def _readable(name: str) -> str:
    """Rewrite formulaic's ``C(a)[T.x]:b`` as ``a=x:b``; a level's own brackets are left alone."""
    return ":".join(_CODED.sub(r"\1\2", _LEVEL.sub(r"=\1", factor)).strip() for factor in name.split(":"))


def _check_finite(design: Design, formula: str) -> None:
    lacking = ~np.isfinite(design.matrix)
    if not lacking.any():
        return
    wrong = [design.terms[place] for place in np.flatnonzero(lacking.sum(axis=0))]
    raise AnalysisError(
        "terms are not finite",
        where=f"formula {formula!r}, terms {', '.join(wrong)}",
        got=f"{np.count_nonzero(lacking.sum(axis=1))} rows",
        remedy="check the values and the functions applied to them",
    )
