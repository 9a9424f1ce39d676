"""The one shape every estimator returns: a tidy, unformatted frame with fixed columns and its metadata."""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.extensions import ExtensionArray

from cohort.errors import AnalysisError

TEXT_COLUMNS: tuple[str, ...] = (
    "analysis", "population", "group", "contrast", "time_unit", "term", "statistic", "method", "note",
)  # fmt: skip
RESULT_COLUMNS: tuple[str, ...] = (
    "analysis", "population", "group", "contrast", "time", "time_unit", "term", "statistic", "estimate", "std_error",
    "conf_low", "conf_high", "conf_level", "p_value", "n", "n_events", "method", "note",
)  # fmt: skip
"""Columns of a result table, in order. ``TEXT_COLUMNS`` are nullable strings, all others float64 (NaN where a column
does not apply); ``n`` and ``n_events`` are floats because weighted numbers need not be whole."""

TEXT = pd.StringDtype()
Column = NDArray[np.float64] | Sequence[str | None]


class ResultTable:
    """A tidy result frame plus what is needed to make it again; not to be changed once made.

    Parameters
    ----------
    frame
        DataFrame with exactly :data:`RESULT_COLUMNS`, or a function that makes it when :attr:`frame` is first read:
        simulations that look at a few of many tables need not lay out the others.
    metadata
        JSON-serialisable mapping: ``spec`` (arguments of the call), ``seed``, ``versions``, ``input_hash``. It holds
        no clock and no path.

    Raises
    ------
    AnalysisError
        If ``frame`` does not have exactly the result columns.
    """

    __slots__ = ("_frame", "_metadata")

    def __init__(
        self, frame: pd.DataFrame | Callable[[], pd.DataFrame], metadata: Mapping[str, object] | None = None
    ) -> None:
        self._frame = frame if callable(frame) else _checked(frame)
        self._metadata = {} if metadata is None else metadata

    @property
    def frame(self) -> pd.DataFrame:
        """The rows, with exactly :data:`RESULT_COLUMNS`."""
        if callable(self._frame):
            self._frame = _checked(self._frame())
        return self._frame

    @property
    def metadata(self) -> Mapping[str, object]:
        """What is needed to make the rows again."""
        return self._metadata

    def __len__(self) -> int:
        return len(self.frame)

    def __repr__(self) -> str:
        return f"ResultTable({self.frame!r}, {self._metadata!r})"

    def __reduce__(self) -> tuple[type[ResultTable], tuple[pd.DataFrame, Mapping[str, object]]]:
        return ResultTable, (self.frame, self._metadata)

    def with_metadata(self, **metadata: object) -> ResultTable:
        """Return the same frame with ``metadata`` added."""
        return ResultTable(self._frame, {**self._metadata, **metadata})

    def write(self, folder: Path, name: str) -> None:
        """Write ``name.parquet`` (with metadata) and ``name.csv`` into ``folder``, both free of clock and path."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = pa.Table.from_pandas(self.frame, schema=_arrow_schema(), preserve_index=False)
        notes = {b"lncohort": json.dumps(self.metadata, sort_keys=True, default=str).encode()}
        pq.write_table(table.replace_schema_metadata(notes), folder / f"{name}.parquet", compression="zstd")
        self.frame.to_csv(folder / f"{name}.csv", index=False, lineterminator="\n")

    @classmethod
    def read(cls, path: Path) -> ResultTable:
        """Read a result table that :meth:`write` wrote as Parquet.

        Raises
        ------
        AnalysisError
            If the file cannot be read, is not a result table or carries damaged metadata.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            table = pq.read_table(path)
        except (OSError, pa.ArrowException) as error:
            raise AnalysisError(
                "cannot read the result table",
                where=str(path),
                got=str(error),
                remedy="make the results again",
            ) from error
        if table.schema.remove_metadata() != _arrow_schema():
            raise AnalysisError(
                "not a result table",
                where=str(path),
                got=", ".join(
                    f"{name} ({kind})" for name, kind in zip(table.column_names, table.schema.types, strict=True)
                ),
                remedy="name a table that lncohort wrote into a folder of results",
            )
        metadata = _parsed((table.schema.metadata or {}).get(b"lncohort", b"{}"), path)
        return cls(_typed(table.replace_schema_metadata(None).to_pandas()), metadata)


def _checked(frame: pd.DataFrame) -> pd.DataFrame:
    if tuple(frame.columns) != RESULT_COLUMNS:
        raise AnalysisError(
            "a result table has fixed columns",
            where="ResultTable",
            got=", ".join(map(str, frame.columns)),
            remedy="build it with result_table()",
        )
    return frame


def _parsed(notes: bytes, path: Path) -> dict[str, object]:
    where, remedy = f"{path}, metadata lncohort", "make the results again"
    try:
        metadata = json.loads(notes)
    except (ValueError, RecursionError) as error:
        raise AnalysisError("the metadata is damaged", where=where, got=str(error), remedy=remedy) from error
    if not isinstance(metadata, dict):
        raise AnalysisError("the metadata is no JSON object", where=where, got=repr(metadata), remedy=remedy)
    return metadata


def _arrow_schema() -> object:
    import pyarrow as pa

    return pa.schema([(name, pa.string() if name in TEXT_COLUMNS else pa.float64()) for name in RESULT_COLUMNS])


def _typed(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.astype({name: "string" if name in TEXT_COLUMNS else "float64" for name in frame.columns})


def result_table(
    rows: pd.DataFrame | Mapping[str, Column] | Iterable[Mapping[str, object]],
    *,
    metadata: Mapping[str, object] | None = None,
    **constants: object,
) -> ResultTable:
    """Build a :class:`ResultTable` from rows that fill any subset of its columns.

    Parameters
    ----------
    rows
        A frame, a mapping of columns of one length, or one mapping a row, whose keys are result columns; absent
        columns are missing (``<NA>`` or NaN).
    metadata
        See :class:`ResultTable`.
    **constants
        Values for columns that are the same on every row, for instance ``analysis="survival"``.

    Returns
    -------
    ResultTable
        One row per input row, in the same order, on a fresh ``RangeIndex``.

    Raises
    ------
    AnalysisError
        If a key is not a result column.

    Examples
    --------
    >>> result_table([{"term": "age_years", "estimate": 1.0}], analysis="demo").frame["analysis"].item()
    'demo'
    """
    given: dict[str, pd.Series | Column]
    if isinstance(rows, Mapping):
        given, size = dict(rows), len(next(iter(rows.values())))
    else:
        frame = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(list(rows))
        given, size = {str(name): values for name, values in frame.items()}, len(frame)
    unknown = [name for name in [*given, *constants] if name not in RESULT_COLUMNS]
    if unknown:
        raise AnalysisError("not columns of a result table", where="result_table", got=", ".join(unknown))
    # Column by column in the final type: laying the frame out and converting it afterwards takes five times as long.
    columns = {
        name: _repeated(constants.get(name), size, text=name in TEXT_COLUMNS)
        if name in constants or name not in given
        else _converted(given[name], text=name in TEXT_COLUMNS)
        for name in RESULT_COLUMNS
    }
    return ResultTable(pd.DataFrame(columns, copy=False), dict(metadata or {}))


def _repeated(value: Hashable, size: int, *, text: bool) -> ExtensionArray | NDArray[np.float64]:
    if text:
        return _single(value).repeat(size)
    return np.full(size, np.nan if value is None else value, dtype=np.float64)


@lru_cache(maxsize=1024, typed=True)
def _single(value: Hashable) -> ExtensionArray:
    """Return an array of one text, made once: the same few texts fill whole columns of every table."""
    return pd.array([value], dtype=TEXT)


def _converted(values: pd.Series | Column, *, text: bool) -> ExtensionArray | NDArray[np.float64]:
    if not isinstance(values, pd.Series):
        return pd.array(list(values), dtype=TEXT) if text else np.array(values, dtype=np.float64)
    if text:
        return values.array.copy() if values.dtype == TEXT else values.astype(TEXT).array
    return values.to_numpy(dtype=np.float64, na_value=np.nan, copy=True)


def concat_results(tables: Iterable[ResultTable], *, metadata: Mapping[str, object] | None = None) -> ResultTable:
    """Stack result tables; the metadata of the parts is dropped unless given anew."""
    frames = [table.frame for table in tables if len(table)]
    if not frames:
        return result_table([], metadata=metadata)
    return ResultTable(_typed(pd.concat(frames, ignore_index=True)), dict(metadata or {}))
