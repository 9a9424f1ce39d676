"""The steps of ``lncohort reproduce``: generate or take, derive, analyse, compare with print, report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cohort.cli.pipeline import (
    derive_into,
    generate_into,
    open_single_cohort,
    prepare,
    require_sound,
    write_results,
)
from cohort.definitions import KIM2025
from cohort.errors import UsageError
from cohort.targets import load_study

if TYPE_CHECKING:
    from rich.progress import Progress

STUDY = "kim2025"
"""The flagship study."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How many targets got which verdict, and the reported rates that were not reproduced, in words."""

    verdicts: dict[str, int]
    unmet: tuple[str, ...]

    def as_json(self) -> dict[str, object]:
        """Return the outcome as JSON-serialisable values."""
        return {"verdicts": self.verdicts, "not_reproduced": list(self.unmet)}


def reproduce_into(folder: Path, *, seed: int, taken: Path | None, advance: Progress) -> Outcome:
    """Do the main job inside the existing, empty ``folder``.

    Parameters
    ----------
    folder
        Gets ``cohort/`` (unless a cohort is taken), ``results/`` and ``report.html``.
    seed
        Seed of the generated cohort.
    taken
        Cohort directory to take instead of generating one; it is not written to.
    advance
        Progress display.
    """
    from analyses.plan import ANALYSES, Tables, run_group
    from analyses.report import build_report
    from analyses.reproduction import reproduction_ledger, unmet_rates

    steps = advance.add_task("generating the cohort", total=len(ANALYSES) + 3)
    source = taken if taken is not None else folder / "cohort"
    if taken is None:
        source.mkdir()
        generate_into(source, load_study(STUDY), seed)
    # Everything below is computed from the Parquet files, not from the generator's memory.
    opened = open_single_cohort(source)
    if opened.cohort.mode == "population":
        raise UsageError(
            "a population meets the published rates in expectation, not to the printed decimal",
            where=str(source),
            remedy="use `lncohort analyze`, or take an exact cohort",
        )
    require_sound(opened)
    if taken is None:
        derive_into(source, opened.cohort, [KIM2025])
    advance.advance(steps)
    data = prepare(opened)
    tables: Tables = {}
    for name in ANALYSES:
        advance.update(steps, description=f"analysing: {name}")
        tables |= run_group(data, name)
        advance.advance(steps)
    ledger = reproduction_ledger(opened.study, data, opened.cohort)
    results = folder / "results"
    results.mkdir()
    origin = f"--seed {opened.cohort.seed}" if taken is None else "--cohort DIR"
    write_results(results, opened, data, tables, ledger, f"lncohort reproduce {origin} --out DIR")
    advance.update(steps, description="writing the report", advance=1)
    (folder / "report.html").write_text(build_report(results), encoding="utf-8", newline="\n")
    advance.advance(steps)
    unmet = unmet_rates(ledger)
    return Outcome(
        {str(verdict): int(number) for verdict, number in ledger["verdict"].value_counts().items()},
        tuple(
            f"{row['target_id']}: printed {row['printed']}, got {row['reproduced']}" for row in unmet.to_dict("records")
        ),
    )
