"""A cell at fault: what a kind of fault sees of it and what it makes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from cohort.codes import Fault
from synthetic.dirt.layout import Sheet

Place = tuple[Sheet, str]
"""A file and a header."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell to spoil.

    ``clean`` is its text without any fault and ``text`` what it holds by now (another unit, perhaps); ``row`` is the
    clean row by header; ``variant``, uniform on [0, 1), picks the form of the fault.
    """

    clean: str
    text: str
    row: Mapping[str, str]
    variant: float


@dataclass(frozen=True, slots=True)
class Change:
    """The new text of a cell, never the one it had; whether the clean value follows from it; what was done."""

    text: str
    recoverable: bool
    description: str


@dataclass(frozen=True, slots=True)
class CellFault:
    """A kind of fault of single cells.

    ``fits`` says which rows of a clean file are eligible in a column; ``change`` spoils one of them. At most one such
    kind befalls a cell.
    """

    fault: Fault
    places: tuple[Place, ...]
    fits: Callable[[pd.DataFrame, str], npt.NDArray[np.bool_]]
    change: Callable[[Cell], Change]


def where_text(predicate: Callable[[str], bool]) -> Callable[[pd.DataFrame, str], npt.NDArray[np.bool_]]:
    """Return a ``fits`` that asks ``predicate`` about each cell that is not empty."""

    def fits(frame: pd.DataFrame, header: str) -> npt.NDArray[np.bool_]:
        return np.asarray([bool(text) and predicate(text) for text in frame[header]], dtype=bool)

    return fits
