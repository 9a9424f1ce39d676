"""``lncohort audit``: which whole numbers of patients can stand behind printed percentages and p-values."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cohort.cli.console import print_json, print_line, print_table, suggest
from cohort.cli.whole_patients import show_unattainable, unattainable_numbers

if TYPE_CHECKING:
    import pandas as pd

    from cohort.audit import AuditTable


def audit(
    source: Annotated[
        str,
        typer.Argument(
            metavar="STUDY|FILE",
            help="A study that lncohort carries, a study file (.toml), or a table (.csv) with the columns comparison, "
            "arm, percentage, n_max and, if wanted, n and p_value.",
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with every candidate and test.")] = False,
) -> None:
    """Check printed percentages and p-values against whole numbers of patients.

    A percentage is attainable if some whole number of patients, out of at most the size of the arm, rounds to it (half
    up or half to even). A p-value is attainable if one of the listed unadjusted tests, at some pair of such numbers,
    rounds to it: Pearson, Yates, N - 1, likelihood ratio, Fisher (also mid-p and doubled), Wald, five of these
    one-sided, and, where the split into complete and partial response is printed, the tests of three categories.

    A p-value that is not attainable need not be wrong: an adjusted model could print it.

    Of a study, the whole numbers taken in place of percentages that are not attainable are shown too. A Kaplan-Meier
    estimate owes no whole number of patients.
    """
    from cohort.audit import audit_study, audit_table
    from cohort.targets import load_study

    study = None if source.lower().endswith(".csv") else load_study(source)
    table = audit_table(Path(source)) if study is None else audit_study(study)
    if as_json:
        parts = ("percentages", "candidates", "p_values", "tests", "hits")
        found: dict[str, object] = {part: _records(getattr(table, part)) for part in parts}
        if study is not None:
            unattainable, why = unattainable_numbers(study)
            found["unattainable"] = None if unattainable is None else _records(unattainable)
            found["not_reconstructed"] = why
        print_json({"name": table.name, **found})
        return
    _show(table)
    if study is not None:
        show_unattainable(study)
        suggest(f"lncohort studies {source}", f"lncohort generate {source} --out DIR")
    else:
        suggest(f"lncohort audit {source} --json")


def _records(frame: pd.DataFrame) -> list[dict[str, object]]:
    records: list[dict[str, object]] = json.loads(frame.to_json(orient="records", double_precision=15))
    return records


def _show(table: AuditTable) -> None:
    print_table(
        "Percentages",
        ("target", "printed", "of at most", "attainable", "candidates", "nearest attainable"),
        [
            (
                str(row["target_id"]),
                str(row["printed"]),
                str(row["n_max"]),
                _attainable(row),
                str(row["candidates"]) or "none",
                f"{row['nearest']:.4f} ({row['nearest_events']}/{row['nearest_n']})",
            )
            for row in _records(table.percentages)
        ],
    )
    if not len(table.p_values):
        return
    print_table(
        "p-values",
        ("target", "printed", "verdict", "two-sided tests", "one-sided tests", "nearest two-sided", "tried at"),
        [
            (
                str(row["target_id"]),
                str(row["printed"]),
                str(row["verdict"]),
                str(row["two_sided_tests"]),
                str(row["one_sided_tests"]),
                _nearest(row),
                _tried_at(row),
            )
            for row in _records(table.p_values)
        ],
    )
    print_line("own: each percentage by itself; shared: one denominator per arm and visit serves all printed there.")
    print_line(
        "free splits: divisions of responders that print leaves open; a three-category test attains the p-value."
    )


def _attainable(row: dict[str, object]) -> str:
    found = "yes" if row["attainable"] else "no"
    return f"{found}, and need not be (Kaplan-Meier)" if row["kaplan_meier"] else found


def _nearest(row: dict[str, object]) -> str:
    if row["nearest"] is None:
        return ""
    return f"{row['nearest']:.4f} {row['nearest_test']} ({row['nearest_counts']})"


def _tried_at(row: dict[str, object]) -> str:
    if row["n_pairs"] is None:
        return ""
    pairs = f"{row['n_pairs']} {'pair' if row['n_pairs'] == 1 else 'pairs'} ({row['candidate_set']})"
    free = row["free_split_hits"]
    return pairs if free is None else f"{pairs}; {free} free splits"
