"""What a page is made of: sections of paragraphs, tables and figures, already in words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """Cells of a table row as text; the first heads the row. A line break in a cell is kept."""

    cells: tuple[str, ...]
    look: str = ""
    """Class of the row in the page's style sheet."""


@dataclass(frozen=True, slots=True)
class Group:
    """Rows under a heading of their own; an empty heading shows none."""

    rows: tuple[Row, ...]
    heading: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A table. ``text_columns`` are the places of columns that hold prose and are set flush left."""

    caption: str
    columns: tuple[str, ...]
    groups: tuple[Group, ...]
    notes: tuple[str, ...] = ()
    text_columns: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Figure:
    """A drawing with its caption; the drawing carries its own description for readers who do not see it."""

    svg: str
    caption: str


@dataclass(frozen=True, slots=True)
class Section:
    """A section of the page. ``folded`` tables can be opened by the reader and are open in print."""

    anchor: str
    title: str
    paragraphs: tuple[str, ...] = ()
    terms: tuple[tuple[str, str], ...] = ()
    """Pairs of a term and its explanation."""
    bullets: tuple[str, ...] = ()
    figures: tuple[Figure, ...] = ()
    tables: tuple[Table, ...] = ()
    folded: tuple[Table, ...] = ()


@dataclass(frozen=True, slots=True)
class Part:
    """Sections that the table of contents lists together."""

    title: str
    sections: tuple[Section, ...]


def plain_rows(rows: Iterable[tuple[str, ...]]) -> tuple[Group, ...]:
    """Put rows of text into one group without a heading."""
    return (Group(tuple(Row(cells) for cells in rows)),)


def reasons(failures: tuple[str, ...], missing: tuple[str, ...], what: str) -> tuple[str, ...]:
    """Say in plain words why something is not shown: the analysis was not run, or could not be estimated.

    Examples
    --------
    >>> reasons((), ("cox",), "hazard ratios")
    ('Not shown: hazard ratios. This analysis was not run: the results hold no table cox.',)
    """
    said = [f"Could not be estimated ({what}): {failure.removeprefix('not estimated: ')}" for failure in failures]
    if missing:
        word = "table" if len(missing) == 1 else "tables"
        said.append(f"Not shown: {what}. This analysis was not run: the results hold no {word} {', '.join(missing)}.")
    return tuple(said)
