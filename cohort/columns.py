"""Columns held as arrays, laid out under the declaration of a table as Arrow data or as a frame.

The arrays are what a generator has at hand: text as positions in a short list of names, identifiers as bytes of one
width, numbers as numbers. They become Arrow buffers without a Python object per cell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from cohort.schema import Column, Kind, Table, arrow_schema

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

WholeArray: TypeAlias = npt.NDArray[np.integer[Any]]
"""Whole numbers of any size in memory."""
Values: TypeAlias = npt.NDArray[Any]
CodeArray: TypeAlias = npt.NDArray[np.int8]
"""WholeArray of codes in their vocabularies (:func:`names_of`)."""


@dataclass(frozen=True, slots=True)
class Coded:
    """A text column of shape ``(n,)``: ``position`` points into ``names``."""

    position: WholeArray
    names: Sequence[str]

    @classmethod
    def of(cls, text: npt.NDArray[np.str_], codes: type[StrEnum]) -> Coded:
        """Find the positions of values of the closed vocabulary ``codes``."""
        names = names_of(codes)
        position = np.full(len(text), -1, dtype=np.int8)
        for number, name in enumerate(names):
            position[text == name] = number
        return cls(position, names)


@dataclass(frozen=True, slots=True)
class Identifiers:
    """Identifiers of the rows, shape ``(n,)``: ``position`` points into ``values``, bytes that are all of one width."""

    position: WholeArray
    values: npt.NDArray[np.bytes_]


@dataclass(frozen=True, slots=True)
class Nullable:
    """Whole numbers or truth values of which those where ``missing`` is true are unknown, both of shape ``(n,)``."""

    values: WholeArray | npt.NDArray[np.bool_]
    missing: npt.NDArray[np.bool_]


ColumnValues: TypeAlias = Values | Coded | Identifiers | Nullable
"""One column; a plain array holds truth values, numbers (NaN where missing) or dates (``datetime64[D]``)."""
Columns: TypeAlias = Mapping[str, ColumnValues]
"""Columns of one table by name, in any order."""


def names_of(codes: type[StrEnum]) -> tuple[str, ...]:
    """Return the values of a closed vocabulary in the order of their declaration.

    Examples
    --------
    >>> from cohort.codes import Sex
    >>> names_of(Sex)
    ('female', 'male')
    """
    return tuple(code.value for code in codes)


# Codes of two vocabularies are equal if they are spelled alike, and must not share an answer.
@lru_cache(maxsize=None, typed=True)
def position_of(code: StrEnum) -> np.int8:
    """Return the position of ``code`` in :func:`names_of` its vocabulary.

    Examples
    --------
    >>> from cohort.codes import Sex
    >>> int(position_of(Sex.MALE))
    1
    """
    return np.int8(list(type(code)).index(code))


def arrow_table(columns: Columns, table: Table) -> pa.Table:
    """Lay out columns as Arrow data with the field names, nullability and metadata of the schema of ``table``.

    Coded text is of dictionary type here; :func:`cohort.store.write_arrow` gives the file the declared type.

    Parameters
    ----------
    columns
        Arrays of one length.
    table
        Declaration of the table.

    Raises
    ------
    KeyError
        If a column of the table is not given.
    pyarrow.ArrowIndexError
        If coded text points outside its names.
    pyarrow.ArrowInvalid
        If the columns differ in length.

    Examples
    --------
    >>> import numpy as np
    >>> from cohort.schema import EVENTS
    >>> from cohort.codes import Event, Grade
    >>> ids = Identifiers(np.array([0, 0]), np.array([b"kim2025-001"]))
    >>> codes = Coded(np.array([0, 1]), names_of(Event)), Coded(np.array([1, 2]), names_of(Grade))
    >>> day = np.array([200, 900])
    >>> arrow_table({"patient_id": ids, "day": day, "event": codes[0], "grade": codes[1]}, EVENTS).num_rows
    2
    """
    import pyarrow as pa

    arrays = [_arrow_array(columns[column.name], column) for column in table.columns]
    declared = arrow_schema(table)
    fields = [field.with_type(array.type) for field, array in zip(declared, arrays, strict=True)]
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def positions(columns: Columns) -> WholeArray:
    """Return the position of each row's patient, shape ``(n,)``.

    Raises
    ------
    KeyError
        If no column holds identifiers.
    """
    for values in columns.values():
        if isinstance(values, Identifiers):
            return values.position
    raise KeyError("no identifiers among the columns")


def take_rows(columns: Columns, rows: npt.NDArray[np.intp]) -> dict[str, ColumnValues]:
    """Return the ``rows`` of columns, in that order."""
    return {name: _take(values, rows) for name, values in columns.items()}


def join_rows(parts: Sequence[Columns]) -> dict[str, ColumnValues]:
    """Return the rows of columns of the same names and vocabularies, one part after the other."""
    return {name: _join([part[name] for part in parts]) for name in parts[0]}


def _take(values: ColumnValues, rows: npt.NDArray[np.intp]) -> ColumnValues:
    if isinstance(values, Coded):
        return Coded(values.position.take(rows), values.names)
    if isinstance(values, Identifiers):
        return Identifiers(values.position.take(rows), values.values)
    if isinstance(values, Nullable):
        return Nullable(values.values.take(rows), values.missing.take(rows))
    return values.take(rows)


def _join(parts: Sequence[ColumnValues]) -> ColumnValues:
    if all(isinstance(part, Coded) for part in parts):
        coded = [part for part in parts if isinstance(part, Coded)]
        return Coded(np.concatenate([part.position for part in coded]), coded[0].names)
    if all(isinstance(part, Identifiers) for part in parts):
        named = [part for part in parts if isinstance(part, Identifiers)]
        first = np.cumsum([0, *(len(part.values) for part in named)])
        position = [part.position + start for part, start in zip(named, first[:-1], strict=True)]
        return Identifiers(np.concatenate(position), np.concatenate([part.values for part in named]))
    if all(isinstance(part, Nullable) for part in parts):
        some = [part for part in parts if isinstance(part, Nullable)]
        return Nullable(np.concatenate([part.values for part in some]), np.concatenate([part.missing for part in some]))
    return np.concatenate([part for part in parts if isinstance(part, np.ndarray)])


def rows_up_to(columns: Columns, patients: int) -> int:
    """Return the number of rows of the first ``patients`` identifiers, the rows being ordered by identifier."""
    return int(np.searchsorted(positions(columns), patients))


def data_frame(columns: Columns, table: Table) -> pd.DataFrame:
    """Lay out columns as a frame: text as strings, whole numbers as ``int64`` or, where some are missing, ``Int32``.

    Parameters
    ----------
    columns
        Arrays of one length.
    table
        Declaration of the table.

    Raises
    ------
    KeyError
        If a column of the table is not given.
    """
    import pandas as pd

    return pd.DataFrame({column.name: _series(columns[column.name]) for column in table.columns})


def _series(values: ColumnValues) -> Any:
    import pandas as pd

    if isinstance(values, Coded):
        return np.asarray(values.names)[values.position]
    if isinstance(values, Identifiers):
        return values.values[values.position].astype(np.str_)
    if isinstance(values, Nullable):
        if values.values.dtype == np.bool_:
            return pd.arrays.BooleanArray(values.values.astype(np.bool_), values.missing.copy())
        return pd.arrays.IntegerArray(values.values.astype(np.int32), values.missing.copy())
    if values.dtype.kind == "M":
        return values.astype("datetime64[s]")
    return values.astype(np.int64) if values.dtype.kind == "i" else values


def _arrow_array(values: ColumnValues, column: Column) -> pa.Array:
    """Make an Arrow array out of buffers, since the conversion of numpy arrays would import pandas."""
    import pyarrow as pa

    if isinstance(values, Coded):
        narrow = len(values.names) <= 1 + np.iinfo(np.int8).max
        position = _primitive(values.position, *((np.int8, pa.int8()) if narrow else (np.int32, pa.int32())))
        return pa.DictionaryArray.from_arrays(position, pa.array(list(values.names), pa.string()))
    if isinstance(values, Identifiers):
        return _identifiers(values)
    if isinstance(values, Nullable) and values.values.dtype == np.bool_:
        return _truth_values(values.values, values.missing)
    if isinstance(values, Nullable):
        return _primitive(values.values, np.int32, pa.int32(), values.missing)
    if column.kind is Kind.BOOLEAN:
        return _truth_values(values, None)
    if column.kind is Kind.DATE:
        return _primitive(values.astype("datetime64[D]").view(np.int64), np.int32, pa.date32())
    if column.kind is Kind.INTEGER:
        return _primitive(values, np.int32, pa.int32())
    missing = np.isnan(values) if column.nullable else None
    return _primitive(values, np.float64, pa.float64(), missing)


def _truth_values(values: Values, missing: npt.NDArray[np.bool_] | None) -> pa.Array:
    import pyarrow as pa

    valid = None if missing is None else pa.py_buffer(np.packbits(~missing, bitorder="little"))
    return pa.Array.from_buffers(pa.bool_(), len(values), [valid, pa.py_buffer(np.packbits(values, bitorder="little"))])


def _primitive(
    values: Values, number: npt.DTypeLike, kind: pa.DataType, missing: npt.NDArray[np.bool_] | None = None
) -> pa.Array:
    import pyarrow as pa

    valid = None if missing is None else pa.py_buffer(np.packbits(~missing, bitorder="little"))
    data = pa.py_buffer(np.ascontiguousarray(values, dtype=number))
    return pa.Array.from_buffers(kind, len(values), [valid, data])


def _identifiers(identifiers: Identifiers) -> pa.Array:
    import pyarrow as pa

    width, size = identifiers.values.dtype.itemsize, len(identifiers.position)
    text = np.ascontiguousarray(identifiers.values.take(identifiers.position))
    start = np.arange(0, (size + 1) * width, width, dtype=np.int32)
    buffers = [None, pa.py_buffer(start), pa.py_buffer(text.view(np.uint8))]
    return pa.Array.from_buffers(pa.string(), size, buffers)
