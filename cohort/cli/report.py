"""``lncohort report``: one self-contained HTML page from a folder of results."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cohort.cli.console import print_line, suggest
from cohort.cli.options import Overwrite


def report(
    results: Annotated[Path, typer.Argument(metavar="RESULTS", help="A folder that analyze or reproduce wrote.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The HTML file to write.")],
    overwrite: Overwrite = False,
) -> None:
    """Write the report of a folder of results: one HTML file that opens from disk and loads nothing from a network."""
    from analyses.report import build_report, is_report
    from cohort.errors import OutputError
    from cohort.output import write_file

    if out.exists() and not overwrite:
        raise OutputError("the output exists already", where=str(out), remedy="name a new one or add --overwrite")
    if out.exists() and not is_report(out):
        raise OutputError(
            "--overwrite replaces only a report that lncohort wrote", where=str(out), remedy="name another file"
        )
    write_file(out, build_report(results), overwrite=overwrite)
    print_line(str(out))
    suggest(f"open {out} in a browser")
