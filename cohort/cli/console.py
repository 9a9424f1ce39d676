"""Where the command line writes: data to stdout, talk to stderr, progress bars only on a terminal."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress


def print_json(value: object) -> None:
    """Print ``value`` as JSON on stdout, one document, non-ASCII kept, NaN refused."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def print_line(text: str = "") -> None:
    """Print one line of data on stdout."""
    sys.stdout.write(text + "\n")


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table on stdout, as wide as its content when stdout is not a terminal."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(_plain(cell) for cell in row))
    console = Console(file=sys.stdout, highlight=False)
    if not console.is_terminal:
        unbounded = console.options.update(width=1_000_000)
        width = max(160, console.measure(table, options=unbounded).maximum)
        console = Console(file=sys.stdout, highlight=False, width=width)
    console.print(table)


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
