"""The registry files while faults are planted, with the account of every fault."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from cohort.codes import Fault, FaultAction
from cohort.schema import TRUTH_FAULTS
from synthetic.dirt.layout import PATIENT, Sheet

ObjectArray = npt.NDArray[np.object_]
Row = dict[str, str]
"""A row of a file by header."""


@dataclass(frozen=True, slots=True)
class _Changed:
    fault_id: str
    kind: Fault
    sheet: Sheet
    row: int
    header: str
    recoverable: bool
    description: str


@dataclass(frozen=True, slots=True)
class _Added:
    fault_id: str
    kind: Fault
    sheet: Sheet
    after: int
    cells: Row
    patient: str | None
    description: str


@dataclass(frozen=True, slots=True)
class _Removed:
    fault_id: str
    kind: Fault
    description: str


class _Listed(NamedTuple):
    """A row of the fault list, columns of the schema but the number within the fault."""

    fault_id: str
    kind: str
    action: str
    file: str
    row: int | None
    clean_row: int | None
    column: str | None
    patient_id: str | None
    clean_value: str | None
    dirty_value: str | None
    recoverable: bool
    description: str


@dataclass
class Draft:
    """Files under way: clean rows keep their number, counted from 0, until :meth:`finish` lays them out."""

    clean: Mapping[Sheet, pd.DataFrame]
    current: dict[Sheet, dict[str, ObjectArray]] = field(init=False)
    original: dict[Sheet, dict[str, ObjectArray]] = field(init=False)
    _changed: list[_Changed] = field(default_factory=list)
    _added: list[_Added] = field(default_factory=list)
    _removed: dict[Sheet, dict[int, _Removed]] = field(init=False)
    _numbers: Counter[Fault] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.original = {
            sheet: {str(header): frame[header].to_numpy(dtype=object) for header in frame.columns}
            for sheet, frame in self.clean.items()
        }
        self.current = {
            sheet: {header: values.copy() for header, values in columns.items()}
            for sheet, columns in self.original.items()
        }
        self._removed = {sheet: {} for sheet in self.clean}

    def open(self, kind: Fault) -> str:
        """Return the identifier of a new fault."""
        self._numbers[kind] += 1
        return f"{kind.value}-{self._numbers[kind]:05d}"

    def change(
        self,
        fault_id: str,
        kind: Fault,
        sheet: Sheet,
        row: int,
        header: str,
        text: str,
        *,
        recoverable: bool,
        what: str,
    ) -> None:
        """Put ``text`` into a cell."""
        self.current[sheet][header][row] = text
        self._changed.append(_Changed(fault_id, kind, sheet, row, header, recoverable, what))

    def add(
        self, fault_id: str, kind: Fault, sheet: Sheet, after: int, cells: Row, *, patient: str | None, what: str
    ) -> None:
        """Put a row below the clean row ``after``; rows added first stand first."""
        self._added.append(_Added(fault_id, kind, sheet, after, cells, patient, what))

    def remove(self, fault_id: str, kind: Fault, sheet: Sheet, row: int, *, what: str) -> None:
        """Leave a row out; whoever removed it first stays its reason."""
        self._removed[sheet].setdefault(row, _Removed(fault_id, kind, what))

    def alive(self, sheet: Sheet) -> npt.NDArray[np.bool_]:
        """Return which clean rows are still there."""
        kept = np.ones(len(self.clean[sheet]), dtype=bool)
        kept[list(self._removed[sheet])] = False
        return kept

    def row(self, sheet: Sheet, row: int) -> Row:
        """Return a row as it is by now."""
        return {header: str(values[row]) for header, values in self.current[sheet].items()}

    def clean_row(self, sheet: Sheet, row: int) -> Row:
        """Return a row without any fault."""
        return {header: str(values[row]) for header, values in self.original[sheet].items()}

    def finish(self) -> tuple[dict[Sheet, pd.DataFrame], pd.DataFrame]:
        """Lay out the files and list the faults, columns as in :data:`cohort.schema.TRUTH_FAULTS`."""
        files, places, added_places = {}, {}, {}
        for sheet in self.clean:
            files[sheet], places[sheet], lines = self._lay_out(sheet)
            added_places.update(lines)
        rows = self._changed_rows(places) + self._removed_rows() + self._added_rows(added_places)
        rows.sort(key=_order)
        frame = pd.DataFrame(rows, columns=list(_Listed._fields))
        frame = frame.assign(part=frame.groupby("fault_id").cumcount() + 1)
        types = {"part": "int32", "row": "Int32", "clean_row": "Int32", "recoverable": "bool"}
        return files, frame[list(TRUTH_FAULTS.column_names)].astype(types)

    def _lay_out(self, sheet: Sheet) -> tuple[pd.DataFrame, dict[int, int], dict[int, int]]:
        """Return the file, the line of each clean row that is left, and the line of each added row."""
        columns = self.current[sheet]
        added: dict[int, list[int]] = {}
        for number, entry in enumerate(self._added):
            if entry.sheet is sheet:
                added.setdefault(entry.after, []).append(number)
        lines: list[Sequence[object]] = []
        places: dict[int, int] = {}
        added_places: dict[int, int] = {}
        for row, kept in enumerate(self.alive(sheet)):
            if kept:
                lines.append([values[row] for values in columns.values()])
                places[row] = len(lines)
            for number in added.get(row, []):
                lines.append([self._added[number].cells[header] for header in columns])
                added_places[number] = len(lines)
        return pd.DataFrame(lines, columns=list(columns), dtype=object), places, added_places

    def _changed_rows(self, places: Mapping[Sheet, Mapping[int, int]]) -> list[_Listed]:
        hopeless = {
            (entry.sheet, entry.row, entry.header) for entry in self._changed if not entry.recoverable
        }  # a cell with two faults is recoverable only if both are
        return [
            _Listed(
                entry.fault_id,
                entry.kind.value,
                FaultAction.CHANGED.value,
                entry.sheet.value,
                places[entry.sheet][entry.row],
                entry.row + 1,
                entry.header,
                self._patient(entry.sheet, entry.row),
                str(self.original[entry.sheet][entry.header][entry.row]),
                str(self.current[entry.sheet][entry.header][entry.row]),
                (entry.sheet, entry.row, entry.header) not in hopeless,
                entry.description,
            )
            for entry in self._changed
        ]

    def _removed_rows(self) -> list[_Listed]:
        return [
            _Listed(
                entry.fault_id,
                entry.kind.value,
                FaultAction.REMOVED.value,
                sheet.value,
                None,
                row + 1,
                None,
                self._patient(sheet, row),
                _json(self.clean_row(sheet, row)),
                None,
                False,
                entry.description,
            )
            for sheet, rows in self._removed.items()
            for row, entry in rows.items()
        ]

    def _added_rows(self, places: Mapping[int, int]) -> list[_Listed]:
        return [
            _Listed(
                entry.fault_id,
                entry.kind.value,
                FaultAction.ADDED.value,
                entry.sheet.value,
                places[number],
                None,
                None,
                entry.patient,
                None,
                _json(entry.cells),
                True,
                entry.description,
            )
            for number, entry in enumerate(self._added)
        ]

    def _patient(self, sheet: Sheet, row: int) -> str:
        return str(self.original[sheet][PATIENT][row])


_KIND_ORDER = {kind.value: place for place, kind in enumerate(Fault)}
_FILE_ORDER = {sheet.value: place for place, sheet in enumerate(Sheet)}


def _order(listed: _Listed) -> tuple[int, str, int, int]:
    """Kinds and files as declared, then down the file."""
    place = listed.clean_row if listed.row is None else listed.row
    return (_KIND_ORDER[listed.kind], listed.fault_id, _FILE_ORDER[listed.file], place or 0)


def _json(cells: Row) -> str:
    return json.dumps(cells, ensure_ascii=False)
