"""``lncohort analyze``: the prespecified analyses of a cohort directory."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from cohort.cli.console import print_line, suggest
from cohort.cli.options import CohortFolder, Out, Overwrite


def analyze(
    cohort: CohortFolder,
    out: Out,
    only: Annotated[
        str | None,
        typer.Option(
            "--only",
            metavar="NAMES",
            help="Comma-separated: design, describe, response, longitudinal, survival, propensity, sensitivity, "
            "starts, realism.",
        ),
    ] = None,
    arms: Annotated[
        str | None,
        typer.Option("--arms", metavar="A,B", help="The two arms to compare, the reference last, if there are more."),
    ] = None,
    design: Annotated[
        str | None,
        typer.Option(
            "--design",
            metavar="NAME|FILE",
            help="Design of the comparison: observational, randomised, or a TOML file; by default as the study was.",
        ),
    ] = None,
    replicate: Annotated[
        int | None,
        typer.Option("--replicate", min=1, help="Which replicate to analyse, if the directory holds several."),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Run the analyses of a cohort, two arms compared, and write each result as Parquet and CSV.

    Response and flares are derived afresh from the raw laboratory values. Results are tidy tables with fixed columns
    (estimate, interval, p-value, n, method, note); an analysis the data cannot support is a row whose note says why.
    A single arm is described, and what would compare it says so.
    """
    from analyses.plan import run_analyses
    from cohort.cli.pipeline import open_single_cohort, prepare, require_sound, write_results
    from cohort.output import check_free, new_directory

    check_free(out, overwrite=overwrite, inputs=[cohort])
    groups = None if only is None else [name.strip() for name in only.split(",") if name.strip()]
    opened = open_single_cohort(cohort, replicate)
    require_sound(opened)
    with new_directory(out, overwrite=overwrite) as folder:
        data = prepare(opened, arms, design)
        tables = run_analyses(data, only=groups)
        chosen = "" if arms is None else f" --arms {arms}"
        chosen += "" if design is None else f" --design {Path(design).name}"
        chosen += "" if only is None else f" --only {only}"
        chosen += "" if replicate is None else f" --replicate {replicate}"
        write_results(folder, opened, data, tables, None, f"lncohort analyze DIR{chosen} --out {quote(out.name)}")
    for name in tables:
        print_line(str(out / f"{name}.parquet"))
    suggest(f"lncohort report {quote(str(out))} --out report.html")
