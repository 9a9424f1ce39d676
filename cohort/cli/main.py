"""The ``lncohort`` command: registers one file per command and turns every deliberate error into one line."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from cohort import __version__
from cohort.cli.analyze import analyze
from cohort.cli.audit import audit
from cohort.cli.derive import derive
from cohort.cli.dictionary import dictionary
from cohort.cli.generate import generate
from cohort.cli.report import report
from cohort.cli.reproduce import reproduce
from cohort.cli.simulate import simulate
from cohort.cli.studies import studies
from cohort.cli.validate import validate
from cohort.errors import LncohortError

app = typer.Typer(
    name="lncohort",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _paragraphs(docstring: str | None) -> str:
    """Return a docstring with the line breaks inside its paragraphs taken out, for the terminal to wrap."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in (docstring or "").split("\n\n"))


for command in (reproduce, studies, audit, dictionary, generate, validate, derive, analyze, simulate, report):
    app.command(name=command.__name__, help=_paragraphs(command.__doc__))(command)


def _print_version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"lncohort {__version__}\n")
        raise typer.Exit


_OVERVIEW = """
Rebuild published lupus-nephritis cohorts as patient-level data and analyse them as a registry would.

Start with `lncohort reproduce`. Data go to stdout, talk to stderr. Exit codes: 0 done, 1 something checked fell short,
2 usage or bad input.
"""


@app.callback(help=_paragraphs(_OVERVIEW))
def overview(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Take the options that stand before a command."""


def main() -> None:
    """Run the command line."""
    try:
        app()
    except LncohortError as error:
        sys.stderr.write(f"error: {error}\n")
        raise SystemExit(error.exit_code) from None
