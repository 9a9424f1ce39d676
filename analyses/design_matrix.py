"""Right-hand sides of formulas turned into numeric matrices with readable term names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cohort.errors import AnalysisError

if TYPE_CHECKING:
    from formulaic import ModelSpec, SimpleFormula

FloatArray = NDArray[np.float64]

_SUM_OF_NAMES = re.compile(r"\s*[^\W\d]\w*(?:\s*\+\s*[^\W\d]\w*)*\s*")
_LEVEL = re.compile(r"\[(?:T\.)?([^\[\]]*)\]")
_CODED = re.compile(r"^C\(([^,()]+)(?:,.*)?\)((?:=.*)?)$")


Levels = tuple[str, ...]


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
    _formula: str = field(repr=False)
    _levels: dict[str, Levels | None] = field(repr=False)
    _encoder: ModelSpec | None = field(repr=False)

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the data that the formula uses."""
        return tuple(self._levels)

    def matrix_of(self, data: pd.DataFrame) -> FloatArray:
        """Build the same columns from other rows, with the levels and fitted functions of the first.

        Returns
        -------
        numpy.ndarray
            Shape ``(rows, p)``.

        Raises
        ------
        AnalysisError
            As :func:`build_design`; also for a level that the first data do not have.

        Examples
        --------
        >>> design = build_design("arm", pd.DataFrame({"arm": ["a", "b"]}), intercept=False)
        >>> design.matrix_of(pd.DataFrame({"arm": ["b"]})).tolist()
        [[1.0]]
        """
        columns = {name: _column(data, name, self._formula, levels) for name, levels in self._levels.items()}
        for name, column in columns.items():
            if self._levels[name] is None and column.levels is not None:
                raise AnalysisError(
                    "the column was numeric in the data of the model",
                    where=f"formula {self._formula!r}, column {name!r}",
                    got=f"levels {', '.join(column.levels[:5])}",
                    remedy="convert it",
                )
        if self._encoder is None:
            matrix = _side_by_side(columns, len(data), intercept="Intercept" in self.terms)
        else:
            matrix, terms, _ = _encoded(self._encoder, columns, data.index, self._formula)
            matrix = matrix[:, [terms.index(name) for name in self.terms]]
        _check_finite(matrix, self.terms, self._formula)
        return matrix


@dataclass(frozen=True, slots=True, eq=False)
class _Column:
    """A column used by a formula: numbers, or codes of levels."""

    values: FloatArray | NDArray[np.intp]
    levels: Levels | None


def build_design(formula: str, data: pd.DataFrame, *, intercept: bool) -> Design:
    """Build the design matrix of a right-hand side such as ``"arm + age_years * sex"``.

    Text, categorical and object columns are categorical: one column per level but the reference, named
    ``column=level``. The reference is the first level of those that occur, in sorted order; only an *ordered* pandas
    categorical keeps the order it declares. ``C(column, contr.treatment('level'))`` chooses another reference.
    Booleans are numbers, 0 and 1, named as the column. A categorical column with a single level keeps its term, as a
    column of zeros under the column's own name, for the estimator to say that it has no estimate.

    Parameters
    ----------
    formula
        Operators ``+ : * - ^``; functions such as ``log``, ``center``, ``bs`` and ``C`` of the formulaic package.
        No left-hand side, and the intercept is the caller's to choose, not the formula's. A plain sum of columns is
        built without that package, parsed formulas are kept.
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
    encoder = None
    if names := _plain_sum(formula):
        columns = {name: _column(data, name, formula, None) for name in names}
        terms, variables = ["Intercept"] * intercept, ["1"] * intercept
        for name, column in columns.items():
            own = [f"{name}={level}" for level in (column.levels or ())[1:]] or [name]
            terms += own
            variables += [name] * len(own)
        matrix = _side_by_side(columns, len(data), intercept=intercept)
    else:
        parsed = _parse(formula)
        columns = {name: _column(data, name, formula, None) for name in _columns_named(parsed)}
        matrix, terms, variables, encoder = _first_encoding(parsed, columns, data.index, formula)
        kept = [place for place, name in enumerate(terms) if intercept or name != "Intercept"]
        matrix = matrix[:, kept]
        terms, variables = [terms[k] for k in kept], [variables[k] for k in kept]
    if not terms:
        raise AnalysisError("the formula has no terms", where=f"formula {formula!r}", remedy="name at least one column")
    _check_finite(matrix, terms, formula)
    levels = {name: column.levels for name, column in columns.items()}
    return Design(matrix, tuple(terms), tuple(variables), formula, levels, encoder)


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
    places, found = pd.factorize(values)
    texts, codes = np.unique(np.array([str(value) for value in found], dtype=np.str_), return_inverse=True)
    return tuple(str(text) for text in texts), codes[places]


def missing_rows(values: pd.Series) -> str:
    """Describe the missing rows of a column, or return an empty text when there are none."""
    if isinstance(values.dtype, np.dtype) and values.dtype.kind in "iubf":
        numbers = values.to_numpy()
        if numbers.dtype.kind != "f" or not np.isnan(numbers).any():
            return ""
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


@lru_cache(maxsize=256)
def _plain_sum(formula: str) -> tuple[str, ...] | None:
    """Return the distinct column names of a formula that is nothing but their sum, else None."""
    if not _SUM_OF_NAMES.fullmatch(formula):
        return None
    return tuple(dict.fromkeys(name.strip() for name in formula.split("+")))


@lru_cache(maxsize=256)
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


def _columns_named(parsed: SimpleFormula) -> list[str]:
    """Return the columns a formula needs, sorted.

    ``parsed.required_variables`` leaves out, in formulaic 1.2, whatever stands inside ``center``, ``scale``, ``poly``
    or ``bs``; read without knowledge of these functions, their arguments are seen.
    """
    from formulaic.parser.types import Factor
    from formulaic.transforms import TRANSFORMS
    from formulaic.utils.variables import Variable, get_required_variables

    names: set[str] = set()
    for factor in (factor for term in parsed for factor in term.factors):
        if factor.eval_method is Factor.EvalMethod.LOOKUP:
            names.add(str(factor.expr))
        elif factor.eval_method is Factor.EvalMethod.PYTHON:
            found = get_required_variables(factor.expr, {})
            names |= {str(one.root) for one in found if one.root != one or Variable.Role.CALLABLE not in one.roles}
    return sorted(names - set(TRANSFORMS))


def _unreadable(formula: str, error: Exception) -> AnalysisError:
    plain = re.sub(r"\x1b\[[0-9;]*m|[⧛⧚]", "", str(error))
    return AnalysisError(
        "the formula cannot be read",
        where=f"formula {formula!r}",
        got=" ".join(plain.split()),
        remedy="write a right-hand side such as 'arm + age_years'",
    )


def _column(data: pd.DataFrame, name: str, formula: str, levels: Levels | None) -> _Column:
    """Read a column, coded by ``levels`` when it is categorical and they are given."""
    column = existing_column(data, name, role=f"formula {formula!r}, column")
    if pd.api.types.is_numeric_dtype(column.dtype) and levels is None:
        return _Column(column.to_numpy(dtype=np.float64), None)
    own, codes = ordered_levels(column)
    if levels is None or own == levels:
        return _Column(codes, own)
    unknown = [level for level in own if level not in levels]
    if unknown:
        raise AnalysisError(
            "levels that the model has not seen",
            where=f"formula {formula!r}, column {name!r}",
            got=", ".join(unknown),
            remedy=f"use the levels {', '.join(levels)}",
        )
    return _Column(np.array([levels.index(level) for level in own], dtype=np.intp)[codes], levels)


def _side_by_side(columns: dict[str, _Column], rows: int, *, intercept: bool) -> FloatArray:
    width = sum(max(len(column.levels or ()) - 1, 1) for column in columns.values())
    matrix = np.zeros((rows, intercept + width))
    if intercept:
        matrix[:, 0] = 1.0
    place = int(intercept)
    for column in columns.values():
        if column.levels is None:
            matrix[:, place] = column.values
            place += 1
        else:
            rest = len(column.levels) - 1
            matrix[:, place : place + rest] = column.values[:, None] == np.arange(1, rest + 1)
            place += max(rest, 1)  # a single level keeps a column of zeros
    return matrix


def _first_encoding(
    parsed: SimpleFormula, columns: dict[str, _Column], index: pd.Index, formula: str
) -> tuple[FloatArray, list[str], list[str], ModelSpec]:
    from formulaic import ModelSpec

    matrix, terms, encoder = _encoded(ModelSpec(formula=parsed), columns, index, formula)
    variables = []
    for structure in encoder.structure:
        variables += [_readable(str(structure.term))] * max(len(structure.columns), 1)
    return matrix, terms, variables, encoder


def _encoded(
    encoder: ModelSpec, columns: dict[str, _Column], index: pd.Index, formula: str
) -> tuple[FloatArray, list[str], ModelSpec]:
    """Return the matrix, the names of its columns and the encoder with what it has learnt of the data."""
    from formulaic.errors import FormulaicError

    frame = pd.DataFrame({name: _as_series(column, index) for name, column in columns.items()}, index=index)
    try:
        encoded = encoder.get_model_matrix(frame, context={}, na_action="ignore", output="numpy")
    except FormulaicError as error:
        raise _unreadable(formula, error) from error
    matrix, terms = np.asarray(encoded, dtype=np.float64), list[str]()
    for structure in encoded.model_spec.structure:
        if not structure.columns:  # a single level: the term stays, as a column without information
            matrix = np.insert(matrix, len(terms), 0.0, axis=1)
        terms += [_readable(str(name)) for name in structure.columns or [structure.term]]
    return matrix, terms, encoded.model_spec


def _as_series(column: _Column, index: pd.Index) -> pd.Series:
    if column.levels is None:
        return pd.Series(column.values, index=index)
    return pd.Series(
        pd.Categorical.from_codes(cast("Sequence[int]", column.values), categories=pd.Index(column.levels)), index=index
    )


def _readable(name: str) -> str:
    """Rewrite formulaic's ``C(a)[T.x]:b`` as ``a=x:b``; a level's own brackets are left alone."""
    return ":".join(_CODED.sub(r"\1\2", _LEVEL.sub(r"=\1", factor)).strip() for factor in name.split(":"))


def _check_finite(matrix: FloatArray, terms: Sequence[str], formula: str) -> None:
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(matrix.sum()):  # one pass without a copy; a sum that overflows is looked at more closely
            return
    lacking = ~np.isfinite(matrix)
    if not lacking.any():
        return
    wrong = [terms[int(place)] for place in np.flatnonzero(lacking.sum(axis=0))]
    raise AnalysisError(
        "terms are not finite",
        where=f"formula {formula!r}, terms {', '.join(wrong)}",
        got=f"{np.count_nonzero(lacking.sum(axis=1))} rows",
        remedy="check the values and the functions applied to them",
    )
