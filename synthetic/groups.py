"""Patients of many replicates of one design, and the arms within them: what exact counts are counted over."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from cohort.response import IntArray

Record = TypeVar("Record")


@dataclass(frozen=True, slots=True)
class Arms:
    """Positions of the patients of each arm of ``r`` replicates: one matrix an arm, shape ``(r, size of the arm)``.

    Patients are numbered replicate by replicate, ``per_replicate`` in each.
    """

    members: tuple[IntArray, ...]
    per_replicate: int

    @property
    def replicates(self) -> int:
        """Number of replicates."""
        return len(self.members[0])

    def arm(self) -> IntArray:
        """Return the position of each patient's arm, shape ``(n,)``."""
        arm = np.empty(self.replicates * self.per_replicate, dtype=np.int64)
        for position, members in enumerate(self.members):
            arm[members] = position
        return arm

    def only(self, replicates: IntArray) -> Arms:
        """Return the arms of some ``replicates``, their patients numbered anew."""
        moved = self.per_replicate * (np.arange(len(replicates)) - replicates)[:, None]
        return Arms(tuple(members[replicates] + moved for members in self.members), self.per_replicate)

    @classmethod
    def of(cls, arm: IntArray, sizes: IntArray) -> Arms:
        """Find the members of the arms from each patient's ``arm``, shape ``(n,)``, all replicates being alike."""
        total = int(sizes.sum())
        order = np.argsort(arm.reshape(-1, total), axis=1, kind="stable")
        order += total * np.arange(len(order))[:, None]
        return cls(tuple(np.split(order, np.cumsum(sizes)[:-1], axis=1)), total)


def patients_of(replicates: IntArray, per_replicate: int) -> IntArray:
    """Return the positions of the patients of ``replicates``, one replicate after the other."""
    return np.asarray((replicates[:, None] * per_replicate + np.arange(per_replicate)).ravel())


def numbered_anew(patients: IntArray, size: int) -> IntArray:
    """Return the place of each of ``size`` patients among ``patients``, -1 for the others, shape ``(size,)``."""
    number = np.full(size, -1)
    number[patients] = np.arange(len(patients))
    return number


def select_patients(record: Record, patients: IntArray, axis: int = -1) -> Record:
    """Return a frozen dataclass with its arrays, whose ``axis`` counts patients, restricted to ``patients``."""
    if not dataclasses.is_dataclass(record) or isinstance(record, type):
        raise TypeError(f"a dataclass of arrays expected, got {type(record).__name__}")
    values: dict[str, Any] = {}
    for field in dataclasses.fields(record):
        value = getattr(record, field.name)
        if isinstance(value, np.ndarray):
            # Taken along the axis that stands together in memory, and laid out as it was.
            across = value.ndim == 2 and axis == 0 and value.flags.f_contiguous
            value = value.T.take(patients, axis=1).T if across else value.take(patients, axis=axis)
        elif dataclasses.is_dataclass(value):
            value = select_patients(value, patients, axis)
        values[field.name] = value
    return dataclasses.replace(record, **values)


def join_patients(records: list[Record], axis: int = -1) -> Record:
    """Return a frozen dataclass whose arrays are those of ``records``, one after the other along ``axis``."""
    first = records[0]
    if not dataclasses.is_dataclass(first) or isinstance(first, type):
        raise TypeError(f"a dataclass of arrays expected, got {type(first).__name__}")
    values: dict[str, Any] = {}
    for field in dataclasses.fields(first):
        parts = [getattr(record, field.name) for record in records]
        if isinstance(parts[0], np.ndarray):
            values[field.name] = np.concatenate(parts, axis=axis)
        elif dataclasses.is_dataclass(parts[0]):
            values[field.name] = join_patients(parts, axis)
    return dataclasses.replace(first, **values)
