"""``lncohort simulate``: estimators judged over repeated cohorts whose truth is known."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cohort.cli.console import print_json, print_line, progress, suggest, talk
from cohort.cli.options import AsJson, Out, Overwrite, Seed, StudyName

if TYPE_CHECKING:
    import pandas as pd

    from analyses.simulation import SimulationPlan
    from analyses.simulation.page import SimulationFacts
    from cohort.results import ResultTable

STRENGTHS = (0.0, 0.5, 1.0, 1.5, 2.0)
SIZES = (179, 1_000, 10_000)


class Experiment(StrEnum):
    """What is swept."""

    CONFOUNDING = "confounding"
    IMMORTAL_TIME = "immortal-time"


def simulate(
    study: StudyName,
    out: Out,
    experiment: Annotated[
        Experiment,
        typer.Option(
            "--study",
            help="Confounding: strength of confounding by indication and sample size. Immortal-time: treatment that "
            "starts during follow-up and does nothing.",
        ),
    ] = Experiment.CONFOUNDING,
    replicates: Annotated[
        int, typer.Option("--replicates", help="Independent cohorts of each strength and size; 1,000 for publication.")
    ] = 30,
    patients: Annotated[
        list[int] | None,
        typer.Option(
            "--patients",
            help="Patients of a cohort; may be repeated. Default: 179, 1000 and 10000 (immortal-time: the first two).",
        ),
    ] = None,
    strength: Annotated[
        list[float] | None,
        typer.Option(
            "--strength",
            help="Strength of confounding, 0 for assignment or starts by lot; may be repeated. Default: 0, 0.5, 1, 1.5 "
            "and 2 (immortal-time: 0 and 1).",
        ),
    ] = None,
    seed: Seed = 2025,
    jobs: Annotated[int, typer.Option("--jobs", min=1, help="Processes; the output is the same.")] = 1,
    as_json: AsJson = False,
    overwrite: Overwrite = False,
) -> None:
    """Judge estimators on many cohorts whose true effects are known.

    Draws cohorts at each strength of confounding and size, applies unadjusted, regression-adjusted, weighted, doubly
    robust and matched estimators to each, with measured covariates alone and with the latent severity too, and compares
    them with the truth: bias, standard errors, coverage, type-I error and power, with Monte Carlo standard errors.

    Writes estimates.parquet (a row per cohort and estimator), performance (Parquet, CSV), truths.csv and
    simulation.html, which says in words which methods kept their coverage where. The default of 30 replicates takes
    two to three minutes and shows the large biases; coverage needs hundreds.

    The study immortal-time compares seven ways of handling starts during follow-up where starting has no effect, in
    about half a minute.
    """
    if experiment is Experiment.IMMORTAL_TIME:
        from cohort.cli.simulate_starts import simulate_starts

        simulate_starts(
            study,
            out,
            replicates=replicates,
            patients=patients,
            strength=strength,
            seed=seed,
            jobs=jobs,
            as_json=as_json,
            overwrite=overwrite,
        )
        return
    _simulate_confounding(
        study,
        out,
        replicates=replicates,
        patients=patients,
        strength=strength,
        seed=seed,
        jobs=jobs,
        as_json=as_json,
        overwrite=overwrite,
    )


def _simulate_confounding(
    study: str,
    out: Path,
    *,
    replicates: int,
    patients: list[int] | None,
    strength: list[float] | None,
    seed: int,
    jobs: int,
    as_json: bool,
    overwrite: bool,
) -> None:
    import pandas as pd

    from analyses.simulation import Setting, SimulationPlan, blocks_of, run_simulation, simulation_performance
    from analyses.simulation.page import SimulationFacts
    from cohort.output import check_free, new_directory
    from synthetic.sampler import confounding_sampler

    check_free(out, overwrite=overwrite)
    strengths, sizes = tuple(strength or STRENGTHS), tuple(patients or SIZES)
    plan = SimulationPlan(tuple(Setting(float(one), size) for size in sizes for one in strengths), replicates)
    sampler = confounding_sampler(study, strengths=strengths, seed=seed)
    with progress() as bar:
        task = bar.add_task("cohorts", total=blocks_of(plan, sampler))
        estimates = run_simulation(sampler, plan, jobs=jobs, advance=lambda: bar.advance(task))
    table = simulation_performance(estimates).with_metadata(study=sampler.study, seed=seed, replicates=replicates)
    command = simulate_command(plan, sampler.study, Experiment.CONFOUNDING, seed, strengths=STRENGTHS, sizes=SIZES)
    truths = pd.concat([sampler.truths(one).assign(strength=float(one)) for one in strengths], ignore_index=True)
    with new_directory(out, overwrite=overwrite) as folder:
        _write(folder, estimates, table, truths, SimulationFacts(sampler.study, seed, replicates, command))
    _report(out, table, as_json=as_json)


def _write(
    folder: Path,
    estimates: pd.DataFrame,
    table: ResultTable,
    truths: pd.DataFrame,
    facts: SimulationFacts,
) -> None:
    from analyses.simulation.page import simulation_page

    estimates.to_parquet(folder / "estimates.parquet", index=False, compression="zstd")
    table.write(folder, "performance")
    columns = ["strength", "estimand", "population", "truth", "std_error"]
    truths[columns].to_csv(folder / "truths.csv", index=False, lineterminator="\n")
    (folder / "simulation.html").write_text(simulation_page(table, truths, facts), encoding="utf-8", newline="\n")


def simulate_command(
    plan: SimulationPlan,
    study: str,
    experiment: Experiment,
    seed: int,
    *,
    strengths: tuple[float, ...],
    sizes: tuple[int, ...],
) -> str:
    """Return the command that runs a plan again; ``strengths`` and ``sizes`` are those of the experiment by default."""
    swept = dict.fromkeys(setting.strength for setting in plan.settings)
    drawn = dict.fromkeys(setting.patients for setting in plan.settings)
    words = [f"lncohort simulate {study} --study {experiment}", f"--replicates {plan.replicates}"]
    words += [f"--strength {one:g}" for one in swept] if tuple(swept) != strengths else []
    words += [f"--patients {one}" for one in drawn] if tuple(drawn) != sizes else []
    return " ".join([*words, f"--seed {seed}", "--out DIR"])


def _report(out: Path, table: ResultTable, *, as_json: bool) -> None:
    from analyses.simulation.conclusions import conclusions

    said = conclusions(table)
    if as_json:
        print_json(
            {
                "folder": str(out),
                "conclusions": [
                    {"target": one.term, "patients": one.patients, "sentences": list(one.sentences)} for one in said
                ],
            }
        )
        return
    for one in said:
        talk(f"{one.term}, {one.patients} patients: {' '.join(one.sentences)}")
    print_line(str(out))
    suggest(f"open {out}/simulation.html in a browser")
