"""What whole numbers of patients cannot give of a study's printed numbers, in plain words, for two commands."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from cohort.cli.console import print_line, print_table

if TYPE_CHECKING:
    import pandas as pd

    from cohort.targets import Study


def unattainable_numbers(study: Study) -> tuple[pd.DataFrame | None, str]:
    """Return the printed numbers that the reconstruction does not give back, or ``None`` and why there is none."""
    from cohort.errors import ReconstructionError
    from synthetic.reconstruct import reconstruct

    try:
        return reconstruct(study).unattainable, ""
    except ReconstructionError as error:
        return None, str(error)


def _how_many(study: Study, *, every: bool) -> str:
    """Say how many tables of whole patients print admits; ``every`` says that they give every printed number."""
    from synthetic.admissible_tables import count_tables

    admitted = count_tables(study)
    if admitted == 1:
        return f"One table of whole patients {'gives' if every else 'comes nearest to'} every printed rate and count."
    what = "give" if every else "come nearest to"
    return f"{admitted:,} tables of whole patients {what} every printed rate and count; one of them is taken by rule."


def show_unattainable(study: Study) -> None:
    """Print which printed numbers no whole number of patients gives, and what is taken in their place."""
    unattainable, why = unattainable_numbers(study)
    if unattainable is None:
        print_line(f"No table of whole patients agrees with these numbers: {why}")
        return
    print_line(_how_many(study, every=unattainable.empty))
    if not unattainable.empty:
        rows = json.loads(unattainable.to_json(orient="records"))
        print_table(
            "Printed numbers that no whole number of patients gives",
            ("target", "arm", "month", "printed", "taken instead", "why"),
            [
                (
                    row["target_id"],
                    row["arm"],
                    str(row["month"]),
                    row["printed"],
                    f"{row['nearest']} of {row['n']} ({row['percentage']:.2f} %)",
                    row["reason"].partition(";")[0],
                )
                for row in rows
            ],
        )
    estimates = [target.id for target in study.targets if target.kaplan_meier]
    if estimates:
        print_line(f"Kaplan-Meier estimates, which owe no whole number of patients: {', '.join(estimates)}")
