"""The section on the first complete response, and on complete response that lasts."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from analyses.figures import figure_svg, plot_response_rates
from analyses.figures.labels import outcome_label, visit_label
from analyses.report.cells import arm_cells, matching, methods_of, note_of, share, statistic_rows
from analyses.report.content import Figure, Group, Row, Section, Table, reasons
from analyses.report.inputs import Results
from cohort.results import ResultTable, concat_results

_NAMES = ("first_response", "sustained_response")


def first_response_section(results: Results) -> Section:
    """Make the section on when complete response is first seen, and whether it lasts."""
    title = "First and lasting complete response"
    found = [table for name in _NAMES if (table := results.estimated(name)) is not None]
    said = reasons(results.failures(*_NAMES), results.missing(*_NAMES), "first or lasting response")
    if not found:
        return Section("first-response", title, said)
    labels = results.facts.labels
    rates = ResultTable(statistic_rows(concat_results(found), "proportion"), {})
    axes = plot_response_rates(rates, arms=labels)
    return Section(
        "first-response",
        title,
        (
            "Response is seen at visits only: a first complete response lies somewhere between the last visit "
            "without it "
            "and the first with it, and a visit that was missed widens that interval. One that came and went between "
            "two "
            "visits is not seen.",
            *_medians(found, labels),
            "What is not counted as response here is not failure: patients who die or lose their kidneys before are "
            "taken to be like those still followed.",
            *said,
        ),
        figures=(
            Figure(
                figure_svg(axes[0], name="first-response", description=_described(rates.frame, labels)),
                "Share of patients who have had a complete response by each visit (Turnbull's estimate for times known "
                "only to lie between visits; 95 % bootstrap intervals) and, beneath, share of those assessed at a "
                "visit "
                "and again later who are in complete response there and at every later visit assessed (95 % Wilson "
                "intervals). The dates of visits are fixed by the study, so the curve says nothing about the time "
                "between them. The arms are compared as they are, without adjustment.",
            ),
        ),
        folded=(_table(rates, labels),),
    )


def _medians(found: list[ResultTable], labels: Mapping[str, str]) -> tuple[str, ...]:
    rows = [row for table in found for _, row in statistic_rows(table, "median_interval").iterrows()]
    said = [
        f"{label} {note_of(row) if pd.isna(row['term']) else f'in the interval {_interval(str(row.term))}'}"
        for code, label in labels.items()
        for row in rows
        if row["group"] == code
    ]
    return (f"Half of the patients have had a complete response: {'; '.join(said)}.",) if said else ()


def _interval(term: str) -> str:
    """Write an interval of months in words.

    Examples
    --------
    >>> _interval("(0, 6]"), _interval("(6, 12]")
    ('from the start to 6 months', 'from 6 months to 1 year')
    """
    low, _, high = term.strip("([])").partition(", ")
    first = "the start" if float(low) == 0 else visit_label(float(low))
    return f"from {first} to {visit_label(float(high or low))}"


def _described(rows: pd.DataFrame, labels: Mapping[str, str]) -> str:
    said = []
    for term in dict.fromkeys(rows["term"]):
        own = matching(rows, term=term)
        last = matching(own, time=own["time"].max())
        cells = arm_cells(last, labels, share)
        values = "; ".join(f"{label} {cell}" for label, cell in zip(labels.values(), cells, strict=True))
        said.append(f"{outcome_label(str(term))} at {visit_label(own['time'].max())}: {values}.")
    return f"Shares by visit, one line an arm, a panel a question. {' '.join(said)}"


def _table(table: ResultTable, labels: Mapping[str, str]) -> Table:
    groups = []
    for term in dict.fromkeys(table.frame["term"]):
        own = matching(table.frame, term=term)
        rows = (
            Row((visit_label(month), *arm_cells(matching(own, time=month), labels, share)))
            for month in sorted(own["time"].unique())
        )
        groups.append(Group(tuple(rows), outcome_label(str(term))))
    return Table(
        "First and lasting complete response",
        ("Visit", *(f"{label}: % (95 % CI)" for label in labels.values())),
        tuple(groups),
        notes=methods_of(table.frame),
    )
