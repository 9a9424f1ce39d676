"""The sections on the course of the disease: states over time, and what the laboratory measured."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from analyses.figures import figure_svg, plot_proteinuria_course, plot_state_occupancy
from analyses.figures.formatting import exponential, interval, p_value
from analyses.figures.labels import outcome_label, visit_label
from analyses.report.cells import (
    amount,
    arm_cells,
    contrast_label,
    last_rows,
    matching,
    methods_of,
    note_of,
    statistic_rows,
    when,
)
from analyses.report.content import Figure, Section, Table, plain_rows, reasons
from analyses.report.inputs import Results
from cohort.results import ResultTable


def course_section(results: Results) -> Section:
    """Make the section on the share of patients in each state, and the mean time spent there."""
    title, names = "Course: states over time", ("state_occupancy", "mean_time_in_state")
    occupancy, means = (results.estimated(name) for name in names)
    labels = results.facts.labels
    figures: tuple[Figure, ...] = ()
    if occupancy is not None:
        axes = plot_state_occupancy(occupancy, arms=labels)
        figures = (
            Figure(
                figure_svg(axes[0], name="occupancy", description=_occupancy_description(occupancy, labels)),
                "Estimated share of patients in each state (Aalen-Johansen), as if nobody's follow-up had ended "
                "early. A change of response is dated on the visit that shows it.",
            ),
        )
    return Section(
        "course",
        title,
        (
            "Everybody starts without response, moves between states at visits and flares, and may end in end-stage "
            "kidney disease or death. Mean times add up the areas: how long the average patient is in each state.",
            *reasons(results.failures(*names), results.missing(*names), "the course"),
        ),
        figures=figures,
        tables=() if means is None else (_mean_times(means, labels),),
    )


def _occupancy_description(table: ResultTable, labels: Mapping[str, str]) -> str:
    rows = statistic_rows(table, "state_probability")
    said = []
    for code, label in labels.items():
        own = matching(rows, group=code)
        last = matching(own, time=own["time"].max())
        values = ", ".join(
            f"{outcome_label(row['term']).lower()} {100 * row['estimate']:.0f} %" for _, row in last.iterrows()
        )
        if len(last):
            said.append(f"{label} at {when(last.iloc[0])}: {values}")
    return f"Stacked areas of the share of patients in each state, one panel an arm. {'. '.join(said)}."


def _mean_times(means: ResultTable, labels: Mapping[str, str]) -> Table:
    own, versus = (statistic_rows(means, name) for name in ("mean_time_in_state", "mean_time_in_state_difference"))
    heads = [contrast_label(str(found), labels) for found in dict.fromkeys(versus["contrast"])]
    rows = []
    for state in dict.fromkeys(own["term"]):
        by_arm = matching(own, term=state)
        compared = [row for _, row in matching(versus, term=state).iterrows()]
        rows.append(
            (
                outcome_label(str(state)),
                *arm_cells(by_arm, labels, _years),
                *(_years(row) for row in compared),
                *(p_value(row["p_value"]) for row in compared),
            )
        )
    return Table(
        f"Mean time in each state within the first {when(own.iloc[0])}, in {own['time_unit'].iloc[0]}s",
        ("State", *(f"{label} (95 % CI)" for label in labels.values()), *heads, *("p" for _ in heads)),
        plain_rows(rows),
        notes=methods_of(own),
    )


def _years(row: pd.Series) -> str:
    return interval(
        row["estimate"], row["conf_low"], row["conf_high"], note=note_of(row) if pd.isna(row["estimate"]) else ""
    )


def laboratory_section(results: Results) -> Section:
    """Make the section on proteinuria over the visits and on the slope of kidney function."""
    title, names = "Course: proteinuria and kidney function", ("proteinuria_course", "egfr_slopes")
    proteinuria, slopes = (results.estimated(name) for name in names)
    labels = results.facts.labels
    figures: tuple[Figure, ...] = ()
    if proteinuria is not None:
        axes = plot_proteinuria_course(proteinuria, arms=labels)
        figures = (
            Figure(
                figure_svg(axes, name="proteinuria", description=_proteinuria_description(proteinuria, labels)),
                "Geometric mean of the urine protein-creatinine ratio (UPCR) at each visit, with 95 % confidence "
                "intervals, from a mixed model. Dashed: 0.5 g/g, below which a complete response is possible.",
            ),
        )
    return Section(
        "laboratory",
        title,
        (
            "Values as measured, before they are cut into responses. Visits that were missed do no harm here where "
            "being seen depends on the arm and the values seen. Values after kidney failure are left out.",
            *_left_out(proteinuria),
            *reasons(results.failures(*names), results.missing(*names), "laboratory values"),
        ),
        figures=figures,
        tables=() if slopes is None else (_slope_table(slopes, labels),),
        folded=() if proteinuria is None else (_proteinuria_table(proteinuria, labels),),
    )


def _left_out(table: ResultTable | None) -> tuple[str, ...]:
    notes = [] if table is None else [note for note in table.frame["note"].dropna() if note.startswith("left out")]
    return tuple(f"{note[:1].upper()}{note[1:]}." for note in dict.fromkeys(notes))


def _geometric(row: pd.Series) -> str:
    return interval(*(exponential(row[name]) for name in ("estimate", "conf_low", "conf_high")))


def _proteinuria_description(table: ResultTable, labels: Mapping[str, str]) -> str:
    rows = statistic_rows(table, "mean")
    first = matching(rows, time=rows["time"].min())
    said = [
        f"{label} {_geometric(row)} g/g at {visit_label(row['time']).lower()}"
        for part in (first, rows)
        for label, row in last_rows(part, labels)
    ]
    return f"Geometric means of UPCR by visit, one line an arm, on a logarithmic scale. {'; '.join(said)}."


def _proteinuria_table(table: ResultTable, labels: Mapping[str, str]) -> Table:
    means, versus = (statistic_rows(table, name) for name in ("mean", "mean_difference"))
    arms = [
        contrast_label(str(found), labels).removeprefix("Difference ") for found in dict.fromkeys(versus["contrast"])
    ]
    rows = []
    for month in sorted(means["time"].unique()):
        by_arm = matching(means, time=month)
        compared = [row for _, row in matching(versus, time=month).iterrows()]
        rows.append(
            (
                visit_label(month),
                *arm_cells(by_arm, labels, _geometric),
                *(_geometric(row) for row in compared),
                *(p_value(row["p_value"]) for row in compared),
            )
        )
    return Table(
        "Geometric mean UPCR by visit, g/g",
        (
            "Visit",
            *(f"{label} (95 % CI)" for label in labels.values()),
            *(f"Ratio {words.replace(' − ', ' / ')}" for words in arms),
            *("p" for _ in arms),
        ),
        plain_rows(rows),
        notes=methods_of(means),
    )


def _slope_table(table: ResultTable, labels: Mapping[str, str]) -> Table:
    slopes = statistic_rows(table, "slope", "slope_difference")
    ordered = [row for code in labels for _, row in matching(slopes, group=code).iterrows()]
    ordered += [row for _, row in slopes[slopes["group"].isna().to_numpy(dtype=bool)].iterrows()]
    rows = [
        (
            labels.get(str(row["group"]), "")
            if pd.notna(row["group"])
            else contrast_label(str(row["contrast"]), labels),
            amount(row) if pd.isna(row["estimate"]) else interval(row["estimate"], row["conf_low"], row["conf_high"]),
            p_value(row["p_value"]) if pd.isna(row["group"]) else "",
        )
        for row in ordered
    ]
    return Table(
        "Slope of eGFR, mL/min/1.73 m² a year",
        ("Arm", "Slope (95 % CI)", "p"),
        plain_rows(rows),
        notes=(
            "A straight line over the first months after an induction is an approximation: eGFR that recovers at first "
            "and falls later can have a rising slope.",
            *methods_of(slopes),
        ),
    )
