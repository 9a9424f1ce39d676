"""Reading and writing cohort directories: Parquet tables beside one ``cohort.json``."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from cohort import __version__
from cohort.errors import CohortDirectoryError
from cohort.schema import (
    COHORT_TABLES,
    DERIVED_TABLES,
    SCHEMA_VERSION,
    TRUTH_ESTIMANDS,
    TRUTH_TABLES,
    Kind,
    Table,
    arrow_schema,
)

if TYPE_CHECKING:
    import pyarrow as pa

MANIFEST = "cohort.json"
"""Name of the file that marks a folder as a cohort directory."""


@dataclass(frozen=True, slots=True)
class Cohort:
    """The four tables of a cohort and where they come from.

    ``study`` is the name of the study file whose arms and definition apply; ``seed`` and ``mode`` are ``None`` for a
    real registry. ``notes`` holds what the maker of the cohort recorded (for instance resampling draws).
    """

    patients: pd.DataFrame
    visits: pd.DataFrame
    treatments: pd.DataFrame
    events: pd.DataFrame
    study: str
    seed: int | None = None
    mode: str | None = None
    notes: dict[str, object] = field(default_factory=dict)

    def table(self, name: str) -> pd.DataFrame:
        """Return the table called ``name``."""
        frame: pd.DataFrame = getattr(self, name)
        return frame


def write_table(frame: pd.DataFrame, table: Table, path: Path) -> None:
    """Write ``frame`` as Parquet in the schema of ``table``; equal frames give equal bytes."""
    import pyarrow as pa

    schema = arrow_schema(table)
    content = pa.Table.from_pandas(frame[list(table.column_names)], schema=schema, preserve_index=False)
    write_arrow(content, table, path)


def write_arrow(content: pa.Table, table: Table, path: Path) -> None:
    """Write Arrow data as one row group of Parquet in the schema of ``table``; equal data give equal bytes.

    Coded text may be of dictionary type (:func:`cohort.columns.arrow_table`), which is written without looking at the
    text of each row; readers get the declared type either way. Codes, whole numbers and printed decimals have few
    distinct values and are dictionary-encoded; identifiers, which come in runs, and unrounded numbers are plain.
    """
    import pyarrow.parquet as pq

    identifier = table.key[0]
    few = [
        column.name
        for column in table.columns
        if column.name != identifier and (column.kind is not Kind.NUMBER or column.decimals is not None)
    ]
    ordered = [
        column.name
        for column in table.columns
        if column.name == identifier or column.kind not in (Kind.TEXT, Kind.CODE, Kind.BOOLEAN)
    ]
    declared = base64.b64encode(arrow_schema(table).serialize())
    with pq.ParquetWriter(
        path,
        content.schema,
        compression="zstd",
        use_dictionary=few,
        write_statistics=ordered,
        write_page_checksum=True,
        store_schema=False,
    ) as writer:
        writer.write_table(content, row_group_size=max(len(content), 1))
        writer.add_key_value_metadata({"ARROW:schema": declared})


def write_cohort(cohort: Cohort, folder: Path, truth: Mapping[str, pd.DataFrame] | None = None) -> None:
    """Write a cohort into the existing, empty ``folder`` (see :func:`cohort.output.new_directory`).

    Parameters
    ----------
    cohort
        The cohort.
    folder
        Existing folder.
    truth
        Frames of ``truth/`` by name (``patients``, ``responses``, ``outcomes``, ``estimands``); ``None`` for a real
        registry.
    """
    for table in COHORT_TABLES:
        write_table(cohort.table(table.name), table, folder / table.path)
    if truth is not None:
        (folder / "truth").mkdir()
        for table in (*TRUTH_TABLES, TRUTH_ESTIMANDS):
            write_table(truth[table.name.removeprefix("truth_")], table, folder / table.path)
    write_manifest(folder, study=cohort.study, seed=cohort.seed, mode=cohort.mode, notes=cohort.notes)


def write_manifest(
    folder: Path, *, study: str, seed: int | None, mode: str | None, notes: Mapping[str, object]
) -> None:
    """Write ``cohort.json`` beside the tables that stand in ``folder``, with their hashes."""
    manifest = {
        "schema_version": SCHEMA_VERSION,
        "study": study,
        "seed": seed,
        "mode": mode,
        "package_version": __version__,
        "notes": dict(notes),
        "sha256": {table.name: file_hash(folder / f"{table.name}.parquet") for table in COHORT_TABLES},
    }
    text = json.dumps(manifest, indent=2, sort_keys=True) + "\n"
    (folder / MANIFEST).write_text(text, encoding="utf-8", newline="\n")


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file, or of the names and contents of a folder of Parquet parts, as hexadecimal text."""
    if not path.is_dir():
        return hashlib.sha256(path.read_bytes()).hexdigest()
    digest = hashlib.sha256()
    for part in sorted(path.rglob("*.parquet")):
        digest.update(part.relative_to(path).as_posix().encode() + hashlib.sha256(part.read_bytes()).digest())
    return digest.hexdigest()


def read_manifest(folder: Path) -> dict[str, object]:
    """Return the parsed ``cohort.json`` of ``folder``.

    Raises
    ------
    CohortDirectoryError
        If the folder is missing, is not a cohort directory, was written under another schema version, or names no
        study.
    """
    if not folder.is_dir():
        raise CohortDirectoryError(
            "not a folder" if folder.exists() else "no such folder",
            where=str(folder),
            remedy="name a cohort directory, for instance one made by `lncohort generate`",
        )
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CohortDirectoryError(
            f"not a cohort directory, it holds no {MANIFEST}",
            where=str(folder),
            remedy="make one with `lncohort generate`",
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise CohortDirectoryError(
            "cannot read the file",
            where=str(folder / MANIFEST),
            got=str(error),
            remedy="it should be one JSON object: make the cohort again",
        ) from error
    if not isinstance(manifest, dict):
        raise CohortDirectoryError(
            "one JSON object expected",
            where=str(folder / MANIFEST),
            got=type(manifest).__name__,
            remedy="make the cohort again",
        )
    version = manifest.get("schema_version")
    if version != SCHEMA_VERSION or isinstance(version, bool):
        raise CohortDirectoryError(
            f"schema version {SCHEMA_VERSION} expected",
            where=str(folder / MANIFEST),
            got=repr(version),
            remedy="make the cohort again with this version of lncohort",
        )
    if not isinstance(manifest.get("study"), str):
        raise CohortDirectoryError(
            "the name of a study expected under the key study",
            where=str(folder / MANIFEST),
            got=repr(manifest.get("study")),
            remedy="`lncohort studies` lists the names",
        )
    return manifest


def read_cohort(folder: Path, *, replicate: int | None = None) -> Cohort:
    """Read a cohort directory and check that its tables are of the schema (columns and types, not values).

    Parameters
    ----------
    folder
        The directory.
    replicate
        Number of the replicate to read, from 1, where the directory holds several; ``None`` reads all patients.

    Raises
    ------
    CohortDirectoryError
        If a table is missing or truncated, or a column is missing or of another type, or there is no such replicate.
        Columns that the schema does not know are ignored.
    """
    manifest = read_manifest(folder)
    frames = {
        table.name: read_table(folder / f"{table.name}.parquet", table, replicate=replicate) for table in COHORT_TABLES
    }
    if replicate is not None and frames["patients"].empty:
        raise CohortDirectoryError(
            "no such replicate",
            where=str(folder),
            got=str(replicate),
            remedy="`cohort.json` says how many replicates there are",
        )
    seed = manifest.get("seed")
    mode = manifest.get("mode")
    notes = manifest.get("notes")
    return Cohort(
        **frames,
        study=str(manifest["study"]),
        seed=seed if isinstance(seed, int) else None,
        mode=mode if isinstance(mode, str) else None,
        notes=notes if isinstance(notes, dict) else {},
    )


def read_derived(folder: Path, name: str) -> pd.DataFrame:
    """Read ``derived/<name>.parquet`` of a cohort directory.

    Raises
    ------
    CohortDirectoryError
        If it does not exist yet or is not of the schema.
    """
    path = folder / "derived" / f"{name}.parquet"
    if not path.exists():
        raise CohortDirectoryError(
            "no derived tables yet", where=str(folder), remedy=f"run `lncohort derive {folder}` first"
        )
    return read_table(path, next(table for table in DERIVED_TABLES if table.name == name))


def changed_tables(folder: Path) -> list[str]:
    """Return the names of tables whose bytes no longer match the hash in ``cohort.json``, where it records one."""
    recorded = read_manifest(folder).get("sha256")
    hashes = recorded if isinstance(recorded, dict) else {}
    return [
        table.name
        for table in COHORT_TABLES
        if table.name in hashes and hashes[table.name] != file_hash(folder / f"{table.name}.parquet")
    ]


def read_table(path: Path, table: Table, *, replicate: int | None = None) -> pd.DataFrame:
    """Read one Parquet file, or a folder of Parquet parts, and check it against the schema of ``table``.

    Other writers' types (dictionaries, 64-bit integers, timestamps at midnight) are taken where nothing is lost;
    columns that the schema does not know are ignored.

    Parameters
    ----------
    path
        The file, or a folder of the same name (``visits.parquet/``) that holds the parts.
    table
        Declaration of the table.
    replicate
        Number of the replicate whose rows are read; ``None`` reads all rows.

    Returns
    -------
    pandas.DataFrame
        The columns of ``table`` in order; dates as ``datetime64``, text as strings, numbers as ``float64`` (NaN where
        missing), integers and truth values that may be missing as ``Int32`` and ``boolean``.

    Raises
    ------
    CohortDirectoryError
        If the file is missing, truncated or of another schema, or the folder holds no part.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.exists():
        raise CohortDirectoryError(
            f"the table {table.name} is missing", where=str(path), remedy="make the cohort directory again"
        )
    if path.is_dir() and not any(path.rglob("*.parquet")):
        raise CohortDirectoryError(
            f"the folder of table {table.name} holds no Parquet part",
            where=str(path),
            remedy="make the cohort directory again",
        )
    try:
        # Folder names such as arm=tacrolimus/ above the file would otherwise become columns.
        content = pq.read_table(path, partitioning=None, page_checksum_verification=True)
        if replicate is not None:
            content = _rows_of(replicate, content, table, path)
        content.validate(full=True)
    except (OSError, pa.ArrowException) as error:
        raise CohortDirectoryError(
            "not a readable Parquet file",
            where=str(path),
            got=str(error).splitlines()[0],
            remedy="it may be truncated: make it again",
        ) from error
    content = _conforming(content, table, path)
    frame = content.to_pandas(date_as_object=False)
    typed: pd.DataFrame = frame.astype(
        {
            column.name: _NULLABLE[column.kind]
            for column in table.columns
            if column.nullable and column.kind in _NULLABLE
        }
    )
    return typed


def _rows_of(replicate: int, content: pa.Table, table: Table, path: Path) -> pa.Table:
    import pyarrow.compute as pc

    if "replicate" not in content.column_names:
        raise CohortDirectoryError(
            f"table {table.name} holds no replicates",
            where=str(path),
            got=f"a single cohort, and replicate {replicate} asked for",
            remedy="leave --replicate out",
        )
    return content.filter(pc.equal(content.column("replicate"), replicate))


_NULLABLE = {Kind.INTEGER: "Int32", Kind.BOOLEAN: "boolean"}
"""Data types of columns that may lack a value; numbers hold NaN and text None without a type of their own."""


def _conforming(content: pa.Table, table: Table, path: Path) -> pa.Table:
    """Return the columns of the schema in order, cast where no information is lost."""
    missing = [name for name in table.column_names if name not in content.column_names]
    if missing:
        raise CohortDirectoryError(
            f"table {table.name} lacks {'a column' if len(missing) == 1 else 'columns'}: {', '.join(missing)}",
            where=str(path),
            got=", ".join(content.column_names),
            remedy="`lncohort dictionary` lists the columns",
        )
    import pyarrow as pa

    arrays = []
    for wanted in arrow_schema(table):
        got = content.column(wanted.name)
        try:
            arrays.append(_cast(got, wanted.type))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise CohortDirectoryError(
                f"column {table.name}.{wanted.name} is of the wrong type: {wanted.type} expected",
                where=str(path),
                got=f"{got.type} ({error})",
                remedy="`lncohort dictionary` lists the types",
            ) from error
    return pa.table(arrays, names=list(table.column_names))


def _cast(column: pa.ChunkedArray, wanted: pa.DataType) -> pa.ChunkedArray:
    """Cast within a family of types (text, truth values, dates, numbers), values unchanged."""
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if not pa.types.is_null(column.type) and _family(column.type) != _family(wanted):
        raise pa.ArrowInvalid("no conversion that keeps the meaning")
    result = column.cast(wanted)
    if pa.types.is_timestamp(column.type) and not result.cast(column.type).equals(column):
        raise pa.ArrowInvalid("a time of day would be lost")
    return result


def _family(kind: pa.DataType) -> str:
    """Name the kinds of value between which a cast keeps the meaning; a time in a time zone is in none of ours."""
    import pyarrow as pa

    types = pa.types
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        return "text"
    if types.is_date(kind) or (types.is_timestamp(kind) and kind.tz is None):
        return "date"
    if types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind):
        return "number"
    return str(kind)
