"""What several commands do: generate into a folder, derive, analyse, and write results with their provenance."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

import pandas as pd

from cohort import __version__
from cohort.codes import CALCINEURIN_INHIBITORS, DirtLevel, Drug
from cohort.definitions import KDIGO_2012, KIM2025, ResponseDefinition
from cohort.errors import CohortDirectoryError, OutputError, UsageError
from cohort.flare import derive_flares
from cohort.output import replace_directory
from cohort.provenance import PROVENANCE_COLUMNS, provenance_table
from cohort.record import Study
from cohort.response import derive_responses
from cohort.schema import DERIVED_TABLES
from cohort.store import Cohort, file_hash, read_cohort, write_cohort, write_table
from cohort.targets import available_studies, load_study

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyses.datasets import AnalysisData
    from cohort.results import ResultTable
    from synthetic.scenario import Scenario


@dataclass(frozen=True, slots=True)
class OpenedCohort:
    """A cohort directory read and checked, with its study."""

    folder: Path
    cohort: Cohort
    study: Study

    @property
    def arm_codes(self) -> list[str]:
        """Codes of the study's arms."""
        return [arm.code for arm in self.study.arms]


def open_single_cohort(folder: Path, replicate: int | None = None) -> OpenedCohort:
    """Read a cohort directory, or one replicate where it holds several: patients of replicates are not pooled.

    Raises
    ------
    CohortDirectoryError
        As :func:`open_cohort`, or if the directory holds several replicates and none is chosen.
    """
    opened = open_cohort(folder, replicate)
    several = opened.cohort.notes.get("replicates")
    if replicate is None and isinstance(several, int):
        raise CohortDirectoryError(
            "independent cohorts are not analysed as one",
            where=str(folder),
            got=f"{several} replicates",
            remedy=f"choose one, from --replicate 1 to --replicate {several}",
        )
    return opened


def open_cohort(folder: Path, replicate: int | None = None) -> OpenedCohort:
    """Read a cohort directory, or one replicate of it, and the study file it names.

    Raises
    ------
    CohortDirectoryError
        If it is not a readable cohort directory, or of a study this package does not carry.
    """
    cohort = read_cohort(folder, replicate=replicate)
    if cohort.study not in available_studies():
        raise CohortDirectoryError(
            "the cohort is of a study this package does not carry",
            where=str(folder / "cohort.json"),
            got=repr(cohort.study),
            remedy=f"known: {', '.join(available_studies())}",
        )
    return OpenedCohort(folder, cohort, load_study(cohort.study))


def require_sound(opened: OpenedCohort) -> None:
    """Refuse a cohort whose rows break the schema (ids, codes, impossible values), before anything is computed.

    Raises
    ------
    CohortDirectoryError
        Naming the first finding; ``lncohort validate`` lists all.
    """
    from cohort.validation import schema_findings

    findings = schema_findings(opened.cohort, arms=opened.arm_codes)
    if len(findings):
        first = findings.iloc[0]
        place = (str(opened.folder), f"table {first['table']}", f"column {first['column']}", str(first["first_rows"]))
        raise CohortDirectoryError(
            f"{len(findings)} validation finding{'s' if len(findings) > 1 else ''}; the first: {first['rule']}",
            where=", ".join(part for part in place if part),
            got=str(first["got"]),
            remedy=f"run `lncohort validate {opened.folder}` to see them all",
        )


def generate_into(
    folder: Path,
    study: Study,
    seed: int,
    reading: str | None = None,
    scenario: Scenario | None = None,
    dirt: DirtLevel | None = None,
) -> None:
    """Generate an exact cohort into the existing, empty ``folder``, with its registry twin if ``dirt`` is given.

    ``reading`` names an alternative reading of the printed numbers.
    """
    from synthetic.generate import generate_exact
    from synthetic.reconstruct import reconstruct
    from synthetic.scenario import DEFAULT_SCENARIO

    read = reconstruct(study, alternative=reading)
    made = generate_exact(study, seed=seed, reconstruction=read, scenario=scenario or DEFAULT_SCENARIO)
    write_cohort(made.cohort, folder, made.truth)
    if dirt is not None:
        from cohort.seeds import SeedTree
        from synthetic.dirt.kinds import plan_at
        from synthetic.dirt.registry import make_registry
        from synthetic.dirt.writing import write_registry

        twin = make_registry(made.cohort, study, SeedTree(seed).child("dirt"), plan_at(dirt))
        write_registry(twin, study, folder)


def derive_into(folder: Path, cohort: Cohort, definitions: Sequence[ResponseDefinition]) -> dict[str, pd.DataFrame]:
    """Write ``derived/`` of a cohort directory, replacing an earlier one in one rename; return the tables.

    Raises
    ------
    OutputError
        If the cohort directory cannot be written, or something other than a folder is called ``derived``.
    """
    responses = [derive_responses(cohort.patients, cohort.visits, definition) for definition in definitions]
    flares = derive_flares(cohort.patients, cohort.visits, definitions[0], KDIGO_2012)
    tables = {"responses": pd.concat(responses, ignore_index=True), "flares": flares}
    target = folder / "derived"
    if target.exists() and not target.is_dir():
        raise OutputError("a file stands where a folder is needed", where=str(target), remedy="move it away")
    try:
        with tempfile.TemporaryDirectory(prefix=".derived.", dir=folder) as scratch:
            new = Path(scratch) / "new"
            new.mkdir()
            for table in DERIVED_TABLES:
                write_table(tables[table.name], table, new / f"{table.name}.parquet")
            replace_directory(new, target, Path(scratch) / "old")
    except OSError as error:
        raise OutputError(
            "cannot write the derived tables",
            where=str(target),
            got=str(error.strerror or error),
            remedy="check space and rights, or copy the cohort directory",
        ) from error
    return tables


def prepare(opened: OpenedCohort, arms: str | None = None, design: str | None = None) -> AnalysisData:
    """Lay out the analysis frames of a cohort under the study's definition.

    Parameters
    ----------
    opened
        The cohort and its study.
    arms
        Codes of two arms with a comma between them, the reference last; by default both arms of a study of two, or the
        only arm.
    design
        Name or path of the design, by default the one for the study's way of assigning treatment.

    Raises
    ------
    UsageError
        If ``arms`` does not name two arms of the study, or is needed and not given.
    DesignError
        If the design is unknown or its file is wrong.
    """
    from analyses.datasets import analysis_data
    from analyses.design import load_design

    treated, reference = compared_arms(opened.study, arms)
    return analysis_data(
        opened.cohort,
        treated=treated,
        reference=reference,
        response=KIM2025,
        flare=KDIGO_2012,
        design=load_design(opened.study.assignment.value if design is None else design),
    )


def compared_arms(study: Study, named: str | None) -> tuple[str, str | None]:
    """Return the arm of interest and the reference, ``None`` in a study of one arm.

    Arms on tacrolimus come first and the last arm of the file is the reference, as in the generator.
    """
    codes = _codes_in_order(study)
    if named is not None:
        chosen = [code.strip() for code in named.split(",")]
        if len(chosen) != 2 or len(set(chosen)) != 2 or set(chosen) - set(codes):
            raise UsageError(
                "two arms of the study are compared", where="--arms", got=named, remedy=f"arms: {', '.join(codes)}"
            )
        return chosen[0], chosen[1]
    if len(codes) > 2:
        raise UsageError(
            f"study {study.name} has {len(codes)} arms, and two are compared at a time",
            where="--arms",
            got="nothing",
            remedy=f"name two, the reference last: --arms {codes[0]},{codes[-1]}; arms: {', '.join(codes)}",
        )
    return codes[0], codes[1] if len(codes) == 2 else None


def analysis_command(folder: Path, study: Study, *options: str) -> str:
    """Return the command that analyses a cohort of the study, naming two arms where it has more."""
    codes = _codes_in_order(study)
    arms = (f"--arms {codes[0]},{codes[-1]}",) if len(codes) > 2 else ()
    return " ".join(("lncohort analyze", quote(str(folder)), *options, *arms, "--out RESULTS"))


def _codes_in_order(study: Study) -> list[str]:
    return [arm.code for arm in sorted(study.arms, key=lambda arm: not arm.tacrolimus)]


def _drug_in_question(study: Study, treated: str) -> str:
    """Return the calcineurin inhibitor of an arm, or else what the study calls the arm."""
    arm = study.arm(treated)
    if arm.tacrolimus:
        return Drug.TACROLIMUS.value
    return next((drug.value for drug in arm.regimen if drug in CALCINEURIN_INHIBITORS), arm.label)


def write_results(
    folder: Path,
    opened: OpenedCohort,
    data: AnalysisData,
    tables: dict[str, ResultTable],
    ledger: pd.DataFrame | None,
    command: str,
) -> None:
    """Write result tables, the ledger, the provenance of every number, and ``results.json`` into ``folder``."""
    from analyses.report import write_frame

    study, cohort = opened.study, opened.cohort
    input_hash = {name: file_hash(opened.folder / f"{name}.parquet") for name in ("patients", "visits", "events")}
    for name, table in tables.items():
        table.with_metadata(seed=cohort.seed, versions=_versions(), input_hash=input_hash).write(folder, name)
    if ledger is not None:
        write_frame(ledger, folder, "ledger")
    write_frame(_provenance(cohort, compared="realism" in tables), folder, "provenance")
    facts = {
        "study": {
            "name": study.name,
            "title": study.title,
            "citation": study.citation,
            "doi": study.doi,
            "assignment": study.assignment.value,
            "day_zero": study.day_zero,
            "drug": _drug_in_question(study, data.treated),
        },
        "arms": [
            {"code": code, "label": study.arm(code).label, "size": int((cohort.patients["arm"] == code).sum())}
            for code in (data.treated, data.reference)
            if code is not None
        ],
        "other_arms": [
            {"code": arm.code, "label": arm.label, "size": int((cohort.patients["arm"] == arm.code).sum())}
            for arm in study.arms
            if arm.code not in (data.treated, data.reference)
        ],
        "seed": cohort.seed,
        "mode": cohort.mode,
        "synthetic": cohort.mode is not None,
        "package_version": __version__,
        "definitions": [KIM2025.name, KDIGO_2012.name],
        "definitions_in_words": [KIM2025.in_words, KDIGO_2012.in_words],
        "notes": {name: value for name, value in cohort.notes.items() if name != "assumptions"},
        "command": command,
        "input_hash": input_hash,
    }
    text = json.dumps(facts, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    (folder / "results.json").write_text(text, encoding="utf-8", newline="\n")


def _provenance(cohort: Cohort, *, compared: bool) -> pd.DataFrame:
    """List what went into the cohort and the definitions and, if it was compared with other cohorts, their values."""
    from analyses.realism import RealismRanges

    recorded = cohort.notes.get("assumptions")
    if isinstance(recorded, list) and all(isinstance(row, dict) for row in recorded):
        table = pd.DataFrame(recorded, columns=list(PROVENANCE_COLUMNS))
    else:
        table = provenance_table(KIM2025, KDIGO_2012)
    tables = [table, provenance_table(RealismRanges())] if compared else [table]
    return pd.concat(tables, ignore_index=True).astype("string")


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    used = ("lncohort", "numpy", "pandas", "scipy", "scikit-learn", "formulaic", "numba", "pyarrow")
    return {name: version(name) for name in used}
