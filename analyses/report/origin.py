"""The sections on where the numbers come from and how to make the results again."""

from __future__ import annotations

import re

import pandas as pd

from analyses.figures.labels import in_words
from analyses.report.content import Group, Row, Section, Table
from analyses.report.inputs import Facts, Results

_STATUSES = {
    "reported": "Reported",
    "reported_earlier": "Reported earlier",
    "borrowed": "Borrowed",
    "derived": "Derived",
    "assumed": "Assumed",
}
_MEANINGS = (
    ("Reported", "in the final paper"),
    ("Reported earlier", "in a conference abstract of the same cohort"),
    ("Borrowed", "from another cohort or guideline, named beside it"),
    ("Derived", "by arithmetic from the above"),
    ("Assumed", "chosen by the makers of this software, for the reason given"),
)


def provenance_section(results: Results) -> Section:
    """Make the table of every number that went into the cohort and the definitions, with its status and source."""
    title = "Where every number comes from"
    if results.provenance is None:
        return Section("provenance", title, ("These results hold no table provenance.",))
    frame = results.provenance
    counts = frame["status"].value_counts()
    said = ", ".join(f"{counts[status]} {words.lower()}" for status, words in _STATUSES.items() if status in counts)
    return Section(
        "provenance",
        title,
        (f"{len(frame)} {_numbers_of(frame)} were needed: {said}.",),
        terms=tuple((name, meaning) for name, meaning in _MEANINGS if name in map(_STATUSES.get, counts.index)),
        folded=(_provenance_table(frame),),
    )


def _numbers_of(frame: pd.DataFrame) -> str:
    compared = (frame["set"] == "RealismRanges").any()
    return f"numbers{' and sets of numbers to compare with' if compared else ''} that the publication does not fix"


def making_section(facts: Facts) -> Section:
    """Make the section on how the results were made and can be made again."""
    rows = [
        ("Command", facts.command),
        ("Seed", "none" if facts.seed is None else str(facts.seed)),
        ("Mode", facts.mode or "none: these are recorded patients"),
        ("Version", f"lncohort {facts.package_version}"),
        ("Definitions", ", ".join(facts.definitions)),
        *(
            [("Whole patients behind the percentages", f"reading “{facts.reconstruction}”")]
            if facts.reconstruction
            else []
        ),
        *(
            [("Assignments drawn until the conditions held", str(facts.assignment_draws))]
            if facts.assignment_draws is not None
            else []
        ),
        *((f"SHA-256 of {name}", digest) for name, digest in facts.input_hashes.items()),
    ]
    paragraphs = ["The same command with the same version gives the same numbers."]
    if facts.conditioned_on:
        paragraphs.append(
            "The cohort was drawn to agree with these published findings, which it therefore cannot test:"
        )
    return Section(
        "making",
        "How to make this again",
        tuple(paragraphs),
        bullets=facts.conditioned_on,
        tables=(
            Table(
                "How these results were made",
                ("What", "Value"),
                (Group(tuple(Row(cells, look="literal") for cells in rows)),),
                text_columns=frozenset({1}),
            ),
        ),
    )


def _provenance_table(frame: pd.DataFrame) -> Table:
    groups = [
        Group(
            tuple(_row(row) for _, row in frame[(frame["set"] == name).to_numpy(dtype=bool)].iterrows()), _spaced(name)
        )
        for name in dict.fromkeys(frame["set"])
    ]
    return Table(
        "Every number that was reported earlier, borrowed, derived or assumed",
        ("Parameter", "Value", "Unit", "Status", "Source or reason"),
        tuple(groups),
        text_columns=frozenset({1, 2, 3, 4}),
    )


def _row(row: pd.Series) -> Row:
    status = str(row["status"])
    return Row(
        (
            in_words(str(row["parameter"])),
            str(row["value"]),
            str(row["unit"]),
            _STATUSES.get(status, in_words(status)),
            str(row["source"]),
        )
    )


def _spaced(name: str) -> str:
    """Split the name of a class into words."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).capitalize()
