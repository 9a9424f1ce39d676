"""``lncohort generate``: a synthetic cohort with the published rates, exact or in expectation."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cohort.cli.console import print_line, progress, suggest, talk
from cohort.cli.options import Out, Overwrite, Seed, StudyName
from cohort.codes import DirtLevel
from cohort.errors import UsageError

if TYPE_CHECKING:
    from synthetic.stream import PopulationPlan


class Mode(StrEnum):
    """How the published rates are met."""

    EXACT = "exact"
    POPULATION = "population"


def generate(
    study: StudyName,
    out: Out,
    seed: Seed = 2025,
    mode: Annotated[
        Mode,
        typer.Option("--mode", help="Exact: the study's own size and counts. Population: expected rates, any size."),
    ] = Mode.EXACT,
    patients: Annotated[
        int | None, typer.Option("--patients", min=1, help="Number of patients (population mode).")
    ] = None,
    jobs: Annotated[
        int, typer.Option("--jobs", min=1, help="Processes (population mode); the output is the same.")
    ] = 1,
    scenario: Annotated[
        str, typer.Option("--scenario", metavar="NAME|FILE", help="Dials of the patient model: a name, or a TOML file.")
    ] = "default",
    cluster: Annotated[
        str | None,
        typer.Option(
            "--cluster",
            metavar="ADDR",
            help="Dask scheduler whose workers write (population mode, extra cluster); the output is the same.",
        ),
    ] = None,
    reading: Annotated[
        str | None,
        typer.Option(
            "--reading", metavar="NAME", help="A named alternative reading of the printed numbers, such as B."
        ),
    ] = None,
    dirt: Annotated[
        DirtLevel | None,
        typer.Option(
            "--dirt",
            help="Also write registry/: the same patients as a real registry would hold them, with planted faults "
            "that truth/faults.parquet lists; none changes the layout only (exact mode).",
        ),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Generate a cohort from a published record.

    Writes a cohort directory: patients, visits with raw laboratory values, treatments and events as Parquet,
    cohort.json, and truth/ with what only the generator knows. In exact mode, deriving response from the laboratory
    values gives the published rates to their printed decimals; in population mode they are met in expectation, and a
    run that was interrupted is taken up again by the same command. The same seed gives the same bytes.
    """
    if mode is Mode.EXACT:
        if patients is not None or jobs != 1 or cluster is not None:
            raise UsageError(
                "an exact cohort has the study's own size",
                where="--patients, --jobs, --cluster",
                remedy="leave them out or add --mode population",
            )
        _generate_exact(study, out, seed, scenario, reading, dirt, overwrite)
    else:
        if dirt is not None:
            raise UsageError(
                "a registry twin is made in exact mode only",
                where="--dirt",
                remedy="leave it out or leave out --mode population",
            )
        if reading is not None:
            raise UsageError("an alternative reading is for exact mode", where="--reading", remedy="leave it out")
        _write_population(_population_plan(study, seed, scenario, patients), out, jobs, cluster, overwrite)
    print_line(str(out))
    if dirt is not None:
        talk(f"registry twin: {out}/registry; its faults, with a count of each kind: {out}/truth/fault_kinds.csv")
    suggest(f"lncohort validate {out}", f"lncohort derive {out}", f"lncohort analyze {out} --out RESULTS")


def _generate_exact(
    study: str, out: Path, seed: int, scenario: str, reading: str | None, dirt: DirtLevel | None, overwrite: bool
) -> None:
    from cohort.cli.pipeline import generate_into
    from cohort.output import check_free, new_directory
    from cohort.targets import load_study
    from synthetic.scenario import load_scenario

    check_free(out, overwrite=overwrite)
    record, dials = load_study(study), load_scenario(scenario)
    with new_directory(out, overwrite=overwrite) as folder:
        generate_into(folder, record, seed, reading, dials, dirt)


def _population_plan(study: str, seed: int, scenario: str, patients: int | None) -> PopulationPlan:
    from synthetic.scenario import load_scenario
    from synthetic.stream import PopulationPlan

    if patients is None:
        raise UsageError("population mode needs a size", where="--patients", remedy="add for instance --patients 10000")
    return PopulationPlan(study, seed, patients, load_scenario(scenario))


def _write_population(plan: PopulationPlan, out: Path, jobs: int, cluster: str | None, overwrite: bool) -> None:
    from synthetic.stream import write_population

    with progress() as bar:
        task = bar.add_task("writing patients", total=plan.parts)
        write_population(plan, out, jobs=jobs, cluster=cluster, overwrite=overwrite, advance=lambda: bar.advance(task))
