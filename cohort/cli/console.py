"""Where the command line writes: data to stdout, talk to stderr, progress bars only on a terminal."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress


def print_json(value: object) -> None:
    """Print ``value`` as JSON on stdout, one document, non-ASCII kept, NaN refused."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def print_line(text: str = "") -> None:
    """Print one line of data on stdout."""
    sys.stdout.write(text + "\n")


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table on stdout: as wide as its content, or within a terminal, as records where that is too narrow."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold", min_width=min(12, len(column)))
    data = list(rows)
    for row in data:
        table.add_row(*(_plain(cell) for cell in row))
    console = Console(file=sys.stdout, highlight=False)
    if not console.is_terminal:
        unbounded = console.options.update(width=1_000_000)
        width = max(160, console.measure(table, options=unbounded).maximum)
        console = Console(file=sys.stdout, highlight=False, width=width)
    if console.is_terminal and console.measure(table).minimum > console.width:
        console.print(title, style="bold")
        for row in data:
            _print_record(console, columns, row)
        return
    console.print(table)


def _print_record(console: Console, columns: Sequence[str], row: Sequence[str]) -> None:
    """Print one row of a table too wide for the terminal, a line per filled cell."""
    console.print(_plain(row[0]), style="bold")
    for column, cell in zip(columns[1:], row[1:], strict=True):
        if cell:
            console.print(f"  {column}: {_plain(cell)}")


def _plain(cell: str) -> str:
    from rich.markup import escape

    return escape(cell)


def talk(text: str) -> None:
    """Say something to the person at the terminal, on stderr."""
    sys.stderr.write(text + "\n")


def suggest(*commands: str) -> None:
    """Name the commands a user would try next, on stderr."""
    talk("next: " + "\n      ".join(commands))


def progress() -> Progress:
    """Return a progress display on stderr that shows nothing unless stderr is a terminal."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    return Progress(console=console, transient=True, disable=not console.is_terminal)
