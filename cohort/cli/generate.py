"""``lncohort generate``: a synthetic cohort with the published rates, exact or in expectation."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from cohort.cli.console import print_line, progress, suggest, talk
from cohort.cli.options import Out, Overwrite, Seed, StudyName
from cohort.codes import DirtLevel
from cohort.errors import UsageError

if TYPE_CHECKING:
    from synthetic.stream import Plan


class Mode(StrEnum):
    """How the published rates are met."""

    EXACT = "exact"
    POPULATION = "population"
    ENSEMBLE = "ensemble"


def generate(
    study: StudyName,
    out: Out,
    seed: Seed = 2025,
    mode: Annotated[
        Mode,
        typer.Option(
            "--mode",
            help="Exact: the study's own size and counts. Population: expected rates, any size. Ensemble: expected "
            "rates at the study's own size, each replicate at another table of patients that print admits.",
        ),
    ] = Mode.EXACT,
    patients: Annotated[
        int | None, typer.Option("--patients", min=1, help="Number of patients (population mode).")
    ] = None,
    replicates: Annotated[
        int | None,
        typer.Option("--replicates", min=1, help="Number of independent cohorts, written as one dataset."),
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", min=1, help="Processes; the output is the same.")] = 1,
    scenario: Annotated[
        str, typer.Option("--scenario", metavar="NAME|FILE", help="Dials of the patient model: a name, or a TOML file.")
    ] = "default",
    cluster: Annotated[
        str | None,
        typer.Option(
            "--cluster",
            metavar="ADDR",
            help="Dask scheduler whose workers write (extra cluster); the output is the same.",
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

    With --replicates every table has a column replicate, from 1, and identifiers are unique over replicates.
    """
    from cohort.cli.pipeline import analysis_command
    from cohort.targets import load_study

    plan = _plan(study, seed, scenario, mode, patients, replicates)
    if plan is None and (jobs != 1 or cluster is not None):
        raise UsageError(
            "a single exact cohort is written at once",
            where="--jobs, --cluster",
            remedy="leave them out, or add --replicates or --mode population",
        )
    if plan is not None and dirt is not None:
        raise UsageError(
            "a registry twin is made in exact mode only, of a single cohort",
            where="--dirt",
            remedy="leave it out, or leave out --mode and --replicates",
        )
    if plan is not None and reading is not None:
        raise UsageError(
            "an alternative reading is for exact mode and a single cohort", where="--reading", remedy="leave it out"
        )
    if plan is None:
        _generate_exact(study, out, seed, scenario, reading, dirt, overwrite)
    else:
        _write(plan, out, jobs, cluster, overwrite)
    print_line(str(out))
    if dirt is not None:
        talk(f"registry twin: {out}/registry; its faults, with a count of each kind: {out}/truth/fault_kinds.csv")
    if replicates is None:
        place = quote(str(out))
        suggest(f"lncohort validate {place}", f"lncohort derive {place}", analysis_command(out, load_study(study)))
    else:
        suggest(f"lncohort validate {quote(str(out))}", analysis_command(out, load_study(study), "--replicate 1"))


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


def _plan(
    study: str, seed: int, scenario: str, mode: Mode, patients: int | None, replicates: int | None
) -> Plan | None:
    """Return what to write in parts, or ``None`` for a single exact cohort."""
    from synthetic.population_plan import PopulationPlan
    from synthetic.replicates import ReplicateMode, ReplicatePlan
    from synthetic.scenario import load_scenario

    if replicates is not None:
        if patients is not None:
            raise UsageError(
                "replicates have the study's own size", where="--patients, --replicates", remedy="leave one of them out"
            )
        return ReplicatePlan(study, seed, replicates, ReplicateMode(mode.value), load_scenario(scenario))
    if mode is Mode.EXACT:
        if patients is not None:
            raise UsageError(
                "an exact cohort has the study's own size",
                where="--patients",
                remedy="leave it out or add --mode population",
            )
        return None
    if mode is Mode.ENSEMBLE:
        raise UsageError(
            "an ensemble is made of replicates of the study's own size",
            where="--replicates",
            remedy="add for instance --replicates 200",
        )
    if patients is None:
        raise UsageError(
            "population mode needs a size",
            where="--patients",
            remedy="add for instance --patients 10000, or --replicates 100 for cohorts of the study's own size",
        )
    return PopulationPlan(study, seed, patients, load_scenario(scenario))


def _write(plan: Plan, out: Path, jobs: int, cluster: str | None, overwrite: bool) -> None:
    from synthetic.stream import parts_of, write_population

    if plan.mode == Mode.ENSEMBLE:
        talk("calibrating the tables of the ensemble first: about a second each")
    with progress() as bar:
        task = bar.add_task("writing parts", total=parts_of(plan))
        write_population(plan, out, jobs=jobs, cluster=cluster, overwrite=overwrite, advance=lambda: bar.advance(task))
