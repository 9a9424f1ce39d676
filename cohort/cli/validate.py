"""``lncohort validate``: every fault of a cohort directory at once."""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING

import typer

from cohort.cli.console import print_json, print_line, print_table, suggest, talk
from cohort.cli.options import AsJson, CohortFolder

if TYPE_CHECKING:
    import pandas as pd


def validate(cohort: CohortFolder, as_json: AsJson = False) -> None:
    """Check a cohort directory: types, codes, limits, keys, and what its tables must say together.

    Lists every finding with table, column, rule, patients and values. Exit code 0 if there is none, 1 if there are
    findings, 2 if the directory cannot be read. Missing laboratory values are no finding; how many there are is noted.
    """
    from cohort.cli.pipeline import analysis_command, open_cohort
    from cohort.definitions import KIM2025
    from cohort.store import changed_tables
    from cohort.validation import FINDING_COLUMNS, missing_values, validate_cohort

    opened = open_cohort(cohort)
    findings = validate_cohort(opened.cohort, arms=opened.arm_codes, response=KIM2025)
    changed = changed_tables(cohort)
    lacking = missing_values(opened.cohort)
    lacking = lacking[lacking["missing"] > 0]
    if as_json:
        print_json(
            {
                "findings": findings.to_dict("records"),
                "changed_tables": changed,
                "missing_values": lacking.to_dict("records"),
            }
        )
    elif len(findings):
        rows = [tuple(str(value) for value in row) for row in findings.itertuples(index=False)]
        print_table("Findings", FINDING_COLUMNS, rows)
    else:
        print_line(f"{cohort}: no findings")
    if len(lacking):
        talk(f"note: {_in_words(lacking)}")
    if changed:
        talk(f"note: changed since cohort.json was written: {', '.join(changed)}")
    if len(findings):
        raise typer.Exit(1)
    suggest(f"lncohort derive {quote(str(cohort))}", analysis_command(cohort, opened.study))


def _in_words(lacking: pd.DataFrame) -> str:
    """Say how many visits lack which value, and which values nobody has."""
    counts = ", ".join(
        f"{row['column']} {row['missing']} ({row['at_baseline']} at month 0)" for row in lacking.to_dict("records")
    )
    said = f"missing values at {lacking['visits'].iloc[0]} visits: {counts}"
    nowhere = lacking.loc[lacking["missing"] == lacking["visits"], "column"].tolist()
    if nowhere:
        said += f"; never measured, so that analyses that need it are not estimated: {', '.join(nowhere)}"
    return said
