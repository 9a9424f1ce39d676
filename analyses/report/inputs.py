"""The results folder: plain tables written beside the result tables, and the whole of it read back and checked."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from analyses.complete_cases import COMPLETE_CASES
from analyses.reproduction import LEDGER_COLUMNS
from analyses.varying_covariates import UNVARYING
from cohort.errors import AnalysisError
from cohort.provenance import PROVENANCE_COLUMNS
from cohort.results import RESULT_COLUMNS, ResultTable

FACTS_FILE = "results.json"
NOT_ESTIMATED = "none"
"""``statistic`` of the row that stands for a whole analysis that could not be estimated; its note says why."""


@dataclass(frozen=True, slots=True)
class ReportedArm:
    """An arm as the report names it."""

    code: str
    label: str
    size: int


@dataclass(frozen=True, slots=True)
class Facts:
    """What ``results.json`` says of the results.

    Attributes
    ----------
    study_title, citation, doi
        The published study.
    randomised
        Whether its arms were drawn by lot.
    day_zero
        What happens on day 0, in words.
    drug
        What the study is about: a calcineurin inhibitor, or an arm.
    arms
        The arms analysed, the reference last.
    seed, mode
        None for a real registry.
    synthetic
        Whether the patients were generated.
    package_version, definitions, command
        How the results were made.
    definitions_in_words
        The definitions, a paragraph each.
    assignment_draws
        How many assignments were drawn until one met the conditions; None if nothing was drawn.
    conditioned_on
        Those conditions, in words.
    reconstruction
        Name of the table of whole patients; empty for a real registry.
    input_hashes
        Name of what was hashed to its hash.
    other_arms
        Arms of the study that are not part of these results.
    """

    study_title: str
    citation: str
    doi: str
    randomised: bool
    day_zero: str
    drug: str
    arms: tuple[ReportedArm, ...]
    seed: int | None
    mode: str | None
    synthetic: bool
    package_version: str
    definitions: tuple[str, ...]
    definitions_in_words: tuple[str, ...]
    command: str
    assignment_draws: int | None
    conditioned_on: tuple[str, ...]
    reconstruction: str
    input_hashes: Mapping[str, str]
    other_arms: tuple[ReportedArm, ...] = ()

    @property
    def labels(self) -> dict[str, str]:
        """Code to label of the arms, in order."""
        return {arm.code: arm.label for arm in self.arms}


@dataclass(frozen=True, slots=True)
class Results:
    """A results folder, read.

    Attributes
    ----------
    facts
        What ``results.json`` says.
    tables
        Result tables by name.
    ledger, provenance
        Frames, or None when the folder holds none.
    """

    facts: Facts
    tables: Mapping[str, ResultTable]
    ledger: pd.DataFrame | None
    provenance: pd.DataFrame | None

    def estimated(self, name: str) -> ResultTable | None:
        """Return a table if it is there and holds at least one row other than a failure."""
        table = self.tables.get(name)
        if table is None or not bool((table.frame["statistic"] != NOT_ESTIMATED).fillna(False).any()):
            return None
        return table

    def failures(self, *names: str) -> tuple[str, ...]:
        """Return why analyses of these tables could not be estimated: their notes, each once, in order."""
        notes: list[str] = []
        for name in names:
            if name in self.tables:
                frame = self.tables[name].frame
                failed = (frame["statistic"] == NOT_ESTIMATED).fillna(False).to_numpy(dtype=bool)
                notes.extend(frame.loc[failed, "note"].dropna())
        return tuple(dict.fromkeys(notes))

    def left_out(self, *names: str) -> tuple[str, ...]:
        """Return the remarks of these tables on patients left out for missing covariates, each once, in order."""
        notes = [note for name in names if name in self.tables for note in self.tables[name].frame["note"].dropna()]
        remarks = [note[note.index(COMPLETE_CASES) :] for note in notes if COMPLETE_CASES in note]
        return tuple(f"{remark[:1].upper()}{remark[1:]}." for remark in dict.fromkeys(remarks))

    def unvarying(self, *names: str) -> tuple[str, ...]:
        """Return the remarks of these tables on covariates in which all patients agree, each once, in order."""
        notes = [note for name in names if name in self.tables for note in self.tables[name].frame["note"].dropna()]
        remarks = [note[note.index(UNVARYING) :].partition(";")[0] for note in notes if UNVARYING in note]
        return tuple(f"{remark[:1].upper()}{remark[1:]}." for remark in dict.fromkeys(remarks))

    def missing(self, *names: str) -> tuple[str, ...]:
        """Return which of these tables the folder does not hold."""
        return tuple(name for name in names if name not in self.tables)


def write_frame(frame: pd.DataFrame, folder: Path, name: str) -> None:
    """Write a plain table (not a result table) as ``name.parquet`` and ``name.csv``.

    Parameters
    ----------
    frame
        Columns with unique names; the index is not written.
    folder
        Existing folder.
    name
        ``"ledger"`` or ``"provenance"``, for instance.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    # Without pandas' own metadata, which names library versions, equal frames give equal bytes.
    table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
    pq.write_table(table, folder / f"{name}.parquet", compression="zstd")
    frame.to_csv(folder / f"{name}.csv", index=False, lineterminator="\n")


def read_results(folder: Path) -> Results:
    """Read every table of a results folder.

    Parameters
    ----------
    folder
        As ``lncohort reproduce`` or ``lncohort analyze`` wrote it.

    Returns
    -------
    Results
        Parquet files that are neither result tables nor the ledger nor the provenance are refused.

    Raises
    ------
    AnalysisError
        No such folder, no or malformed ``results.json``, or a table that cannot be read or has other columns.
    """
    facts = _read_facts(folder)
    tables: dict[str, ResultTable] = {}
    plain: dict[str, pd.DataFrame] = {}
    for path in sorted(folder.glob("*.parquet")):
        if path.stem in _PLAIN:
            plain[path.stem] = _read_plain(path, _PLAIN[path.stem])
        else:
            _require_columns(path, RESULT_COLUMNS)
            tables[path.stem] = ResultTable.read(path)
    return Results(facts, tables, plain.get("ledger"), plain.get("provenance"))


_PLAIN = {"ledger": LEDGER_COLUMNS, "provenance": PROVENANCE_COLUMNS}


def _read_plain(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    import pyarrow as pa
    import pyarrow.parquet as pq

    _require_columns(path, columns)
    try:
        frame: pd.DataFrame = pq.read_table(path).to_pandas()
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(path, error) from error
    return frame


def _require_columns(path: Path, columns: Sequence[str]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        found = pq.read_schema(path).names
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(path, error) from error
    if tuple(found) != tuple(columns):
        raise AnalysisError(
            "not a table of a results folder",
            where=str(path),
            got=f"columns {', '.join(found)}",
            remedy=f"expected {', '.join(columns)}; name a folder that lncohort wrote, or make the results again",
        )


def _unreadable(path: Path, error: Exception) -> AnalysisError:
    said = " ".join(str(error).split())
    return AnalysisError("cannot read the table", where=str(path), got=said, remedy="make the results again")


def _read_facts(folder: Path) -> Facts:
    path = folder / FACTS_FILE
    remedy = "name the results folder that `lncohort reproduce` or `lncohort analyze` wrote"
    if not path.is_file():
        raise AnalysisError("not a results folder", where=str(folder), got=f"no file {FACTS_FILE}", remedy=remedy)
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise AnalysisError(f"cannot read {FACTS_FILE}", where=str(path), got=str(error), remedy=remedy) from error
    return _Reader(path, facts).facts()


@dataclass(frozen=True, slots=True)
class _Reader:
    """Takes values out of parsed JSON and names the key that is missing or of another type."""

    path: Path
    content: Any

    def facts(self) -> Facts:
        study, notes = self.inner("study"), self.inner("notes")
        hashes = self.value("input_hash", str, dict)
        return Facts(
            study_title=study.value("title", str),
            citation=study.value("citation", str),
            doi=study.value("doi", str),
            randomised=study.value("assignment", str, default="observational") == "randomised",
            day_zero=study.value("day_zero", str, default="start of maintenance therapy"),
            drug=study.value("drug", str, default="tacrolimus"),
            arms=tuple(_Reader(self.path, arm).arm() for arm in self.value("arms", list)),
            other_arms=tuple(_Reader(self.path, arm).arm() for arm in self.value("other_arms", list, default=[])),
            seed=self.value("seed", int, type(None)),
            mode=self.value("mode", str, type(None)),
            synthetic=self.value("synthetic", bool),
            package_version=self.value("package_version", str),
            definitions=tuple(map(str, self.value("definitions", list))),
            definitions_in_words=tuple(map(str, self.value("definitions_in_words", list, default=[]))),
            command=self.value("command", str),
            assignment_draws=notes.value("assignment_draws", int, type(None), default=None),
            conditioned_on=tuple(map(str, notes.value("conditioned_on", list, default=[]))),
            reconstruction=notes.value("reconstruction", str, default=""),
            input_hashes={"all tables": hashes} if isinstance(hashes, str) else hashes,
        )

    def arm(self) -> ReportedArm:
        return ReportedArm(self.value("code", str), self.value("label", str), self.value("size", int))

    def inner(self, key: str) -> _Reader:
        return _Reader(self.path, self.value(key, dict))

    def value(self, key: str, *kinds: type, **fallback: Any) -> Any:
        if isinstance(self.content, dict) and key not in self.content and "default" in fallback:
            return fallback["default"]
        found = self.content.get(key, ...) if isinstance(self.content, dict) else ...
        if not isinstance(found, kinds) or (isinstance(found, bool) and bool not in kinds):
            raise AnalysisError(
                f"key {key!r} is missing or of another type",
                where=str(self.path),
                got="nothing" if found is ... else repr(found),
                remedy="make the results again",
            )
        return found
