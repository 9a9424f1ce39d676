"""``lncohort reproduce``: the main job, from the printed abstract to one report."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from cohort.cli.console import print_json, print_line, print_table, progress, suggest, talk
from cohort.cli.options import AsJson, Overwrite, Seed


def reproduce(
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Where to write; written whole or not at all.")
    ] = Path("reproduction"),
    seed: Seed = 2025,
    cohort: Annotated[
        Path | None,
        typer.Option("--cohort", metavar="DIR", help="Take this cohort directory instead of generating one."),
    ] = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Rebuild Kim 2025 as patient-level data, analyse it, and compare every published number with what comes out.

    Writes DIR/cohort (patients, visits, treatments, events, derived responses and flares), DIR/results (one tidy table
    a result, Parquet and CSV, and the ledger) and DIR/report.html. Exit code 0 if every reported response rate is given
    to its printed decimal, 1 if one is not.
    """
    from cohort.cli.reproduction import reproduce_into
    from cohort.output import check_free, new_directory

    check_free(out, overwrite=overwrite, inputs=[] if cohort is None else [cohort])
    with progress() as bar, new_directory(out, overwrite=overwrite) as folder:
        outcome = reproduce_into(folder, seed=seed, taken=cohort, advance=bar)
    if as_json:
        print_json(outcome.as_json())
    else:
        rows = [(verdict, str(number)) for verdict, number in outcome.verdicts.items()]
        print_table("Published numbers and findings", ("verdict", "targets"), rows)
        for line in outcome.unmet:
            print_line(f"not reproduced: {line}")
        print_line(str(out / "report.html"))
    if cohort is None:
        suggest(f"open {out / 'report.html'} in a browser", f"lncohort validate {quote(str(out / 'cohort'))}")
    if outcome.unmet:
        talk(f"{len(outcome.unmet)} reported response rate(s) not reproduced")
        raise typer.Exit(1)
