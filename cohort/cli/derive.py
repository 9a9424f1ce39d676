"""``lncohort derive``: response and flares from raw laboratory values."""

from __future__ import annotations

from typing import Annotated

import typer

from cohort.cli.console import print_json, print_line, print_table, suggest
from cohort.cli.options import AsJson, CohortFolder

_STATES = ("CR", "PR", "NR", "not_assessable")


def derive(
    cohort: CohortFolder,
    definition: Annotated[
        list[str] | None,
        typer.Option("--definition", help="Response definition; may be repeated. Default: the study's own (kim2025)."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Derive renal response and flares from the raw laboratory values of a cohort directory.

    Writes derived/responses.parquet (complete, partial or no response at each scheduled visit, with the reason) and
    derived/flares.parquet (KDIGO 2012), replacing earlier ones. Prints how many patients respond at each visit, and how
    many were seen without the values that would tell.
    """
    from cohort.cli.pipeline import analysis_command, derive_into, open_cohort, require_sound
    from cohort.definitions import KIM2025, response_definition

    definitions = [response_definition(name) for name in dict.fromkeys(definition or [KIM2025.name])]
    opened = open_cohort(cohort)
    require_sound(opened)
    tables = derive_into(cohort, opened.cohort, definitions)
    responses = tables["responses"].merge(opened.cohort.patients[["patient_id", "arm"]], on="patient_id")
    counts = (
        responses.assign(response=responses["response"].fillna("not_assessable"))
        .groupby(["definition", "arm", "visit_month"])["response"]
        .value_counts()
        .unstack(fill_value=0)
        .reindex(columns=list(_STATES), fill_value=0)
        .reset_index()
    )
    if as_json:
        print_json({"responses": counts.to_dict("records"), "flares": len(tables["flares"])})
        return
    rows = [
        (
            str(row["definition"]),
            str(row["arm"]),
            str(row["visit_month"]),
            *(str(row[name]) for name in _STATES),
        )
        for row in counts.to_dict("records")
    ]
    print_table(
        "Renal response, patients", ("definition", "arm", "month", *(name.replace("_", " ") for name in _STATES)), rows
    )
    print_line(f"renal flares: {len(tables['flares'])}")
    suggest(analysis_command(cohort, opened.study))
