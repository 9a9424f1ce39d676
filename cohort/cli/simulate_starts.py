"""``lncohort simulate --study immortal-time``: ways of handling starts during follow-up, judged where nothing helps."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from cohort.cli.console import print_json, print_line, progress, suggest, talk
from cohort.errors import UsageError

if TYPE_CHECKING:
    from analyses.simulation import SimulationPlan

STRENGTHS = (0.0, 1.0)
SIZES = (179, 1_000)


def simulate_starts(
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
    """Draw cohorts, apply every method, write what it gave and the page, and say what it shows."""
    from analyses.simulation.immortal_time import immortal_time_performance, run_immortal_time, start_blocks
    from analyses.simulation.immortal_time_page import immortal_time_conclusions, immortal_time_page
    from analyses.simulation.page import SimulationFacts
    from cohort.cli.simulate import Experiment, simulate_command
    from cohort.output import check_free, new_directory
    from cohort.provenance import provenance_table
    from synthetic.late_starts import late_start_sampler

    check_free(out, overwrite=overwrite)
    plan = _plan(replicates, patients, strength)
    sampler = late_start_sampler(study, seed=seed)
    with progress() as bar:
        task = bar.add_task("cohorts", total=start_blocks(plan, sampler))
        estimates = run_immortal_time(sampler, plan, jobs=jobs, advance=lambda: bar.advance(task))
    table = immortal_time_performance(estimates).with_metadata(study=sampler.study, seed=seed, replicates=replicates)
    command = simulate_command(plan, sampler.study, Experiment.IMMORTAL_TIME, seed, strengths=STRENGTHS, sizes=SIZES)
    provenance = provenance_table(sampler.model)
    page = immortal_time_page(table, provenance, SimulationFacts(sampler.study, seed, replicates, command))
    with new_directory(out, overwrite=overwrite) as folder:
        estimates.to_parquet(folder / "estimates.parquet", index=False, compression="zstd")
        table.write(folder, "performance")
        provenance.to_csv(folder / "provenance.csv", index=False, lineterminator="\n")
        (folder / "simulation.html").write_text(page, encoding="utf-8", newline="\n")
    sentences = list(immortal_time_conclusions(table))
    if as_json:
        print_json({"folder": str(out), "conclusions": sentences})
        return
    for sentence in sentences:
        talk(sentence)
    print_line(str(out))
    suggest(f"open {out}/simulation.html in a browser")


def _plan(replicates: int, patients: list[int] | None, strength: list[float] | None) -> SimulationPlan:
    from analyses.simulation import Setting, SimulationPlan

    strengths, sizes = tuple(strength or STRENGTHS), tuple(patients or SIZES)
    wrong = [one for one in strengths if not (math.isfinite(one) and 0 <= one <= 2)]
    if wrong:
        raise UsageError(
            "expected a number from 0 to 2",
            where="--strength",
            got=", ".join(f"{one:g}" for one in wrong),
            remedy="0: starts by chance; 1: the assumed dependence on the state",
        )
    return SimulationPlan(tuple(Setting(float(one), size) for size in sizes for one in strengths), replicates, ())
