"""The sections on renal response: states over time, and rates with their intervals."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from analyses.figures import figure_svg, plot_response_rates, plot_response_states
from analyses.figures.formatting import count, interval, p_value, percent
from analyses.figures.labels import outcome_label, visit_label
from analyses.report.cells import statistic_rows
from analyses.report.content import Figure, Group, Row, Section, Table, reasons
from analyses.report.inputs import Results
from analyses.report.model_terms import model_table
from analyses.report.repeated import structures_table
from cohort.results import ResultTable

_STATES = ("CR", "PR", "NR", "not assessed")


def response_states_section(results: Results) -> Section:
    """Make the section on response states over time, patients not assessed included."""
    title, name = "Response states over time", "response_states"
    table = results.estimated(name)
    if table is None:
        return Section("states", title, reasons(results.failures(name), results.missing(name), "response states"))
    labels = results.facts.labels
    counts = statistic_rows(table, "count").set_index(["group", "time", "term"])["estimate"]
    axes = plot_response_states(table, arms=labels)
    return Section(
        "states",
        title,
        (
            "Every enrolled patient at every visit. Patients not assessed are part of the bar: their number grows as "
            "follow-up ends, and a response rate is a share of the assessed only.",
        ),
        figures=(
            Figure(
                figure_svg(axes[0], name="states", description=_states_description(counts, labels)),
                "Renal response at each visit, as a share of the patients enrolled in each arm; the numbers in the "
                "bars are patients.",
            ),
        ),
        folded=(_states_table(counts, labels),),
    )


def response_rates_section(results: Results) -> Section:
    """Make the section on response rates, their differences and the repeated-measures model."""
    title, name = "Response rates", "response_rates"
    table = results.estimated(name)
    failures = reasons(results.failures(name), results.missing(name), "response rates")
    labels = results.facts.labels
    figures: tuple[Figure, ...] = ()
    if table is not None:
        axes = plot_response_rates(table, arms=labels)
        figures = (
            Figure(
                figure_svg(axes[0], name="rates", description=_rates_description(table, labels)),
                "Share of the patients assessed at each visit who are in response, with 95 % confidence intervals. "
                "Fewer partial responses can mean more complete ones: read the first panel with the last.",
            ),
        )
    measured = results.estimated("response_rates_measured")
    said = reasons(
        results.failures("response_gee"), results.missing("response_gee"), "the model of complete response over time"
    )
    folded = [] if table is None else [_rates_table(table, results.estimated("response_differences"), labels)]
    if table is not None and measured is not None and table.frame["n"].sum() > measured.frame["n"].sum():
        folded.append(_measured_table(measured, labels))
    gee = results.estimated("response_gee")
    if gee is not None:
        folded.append(
            model_table(
                gee,
                results.facts,
                statistic="log_odds_ratio",
                caption="Complete response over the visits: odds ratios of a repeated-measures model",
                heading="Odds ratio",
                notes=(
                    "The first row compares the arms at the first visit after the start. Rows of a visit compare it "
                    "with the first one; rows with × say by what factor the odds ratio of the arms is larger or "
                    "smaller there.",
                ),
            )
        )
    structures = results.estimated("response_gee_structures")
    if structures is not None:
        folded.append(structures_table(structures, labels))
    return Section("rates", title, (*failures, *said), figures=figures, folded=tuple(folded))


def _states_description(counts: pd.Series, labels: Mapping[str, str]) -> str:
    months = sorted({time for _, time, _ in counts.index})
    ends = list(dict.fromkeys([months[0], months[-1]]))
    said = [
        f"{label} at {visit_label(month)}: "
        + ", ".join(
            f"{count(counts.get((code, month, term), np.nan))} {outcome_label(term).lower()}" for term in _STATES
        )
        for code, label in labels.items()
        for month in ends
    ]
    return f"Stacked bars of response states by visit, one panel an arm. {'. '.join(said)}."


def _states_table(counts: pd.Series, labels: Mapping[str, str]) -> Table:
    months = sorted({time for _, time, _ in counts.index})
    return Table(
        "Patients in each response state",
        ("Visit", *(outcome_label(term) for term in _STATES)),
        tuple(
            Group(
                tuple(
                    Row(
                        (
                            visit_label(month),
                            *(count(counts.get((code, month, term), np.nan)) for term in _STATES),
                        )
                    )
                    for month in months
                ),
                label,
            )
            for code, label in labels.items()
        ),
    )


def _rates_description(table: ResultTable, labels: Mapping[str, str]) -> str:
    rates = statistic_rows(table, "proportion")
    shown = rates[rates["term"] == rates["term"].iloc[0]]
    said = []
    for code, label in labels.items():
        own = shown[shown["group"] == code].sort_values("time")
        values = ", ".join(f"{percent(row['estimate'])} at {visit_label(row['time'])}" for _, row in own.iterrows())
        said.append(f"{label}: {values}")
    outcomes = ", ".join(outcome_label(term).lower() for term in dict.fromkeys(rates["term"]))
    return (
        f"Response rates with confidence intervals by visit and arm, in panels for {outcomes}. "
        f"{outcome_label(shown['term'].iloc[0])}: {'; '.join(said)}."
    )


def _rates_table(table: ResultTable, differences: ResultTable | None, labels: Mapping[str, str]) -> Table:
    rates = statistic_rows(table, "proportion")
    contrasts = None if differences is None else differences.frame
    groups = []
    for term in dict.fromkeys(rates["term"]):
        rows = []
        for month in sorted(rates.loc[rates["term"] == term, "time"].unique()):
            here = rates[(rates["term"] == term) & (rates["time"] == month)]
            cells = [_rate_cell(here[here["group"] == code]) for code in labels]
            rows.append(Row((visit_label(month), *cells, *_contrast_cells(contrasts, term, month))))
        groups.append(Group(tuple(rows), outcome_label(term)))
    if len(labels) == 1:
        return Table(
            "Response rates by visit",
            ("Visit", *(f"{label}: % (95 % CI), patients" for label in labels.values())),
            tuple(Group(tuple(Row(row.cells[:-3]) for row in group.rows), group.heading) for group in groups),
            notes=("Intervals: Wilson.",),
        )
    first, second = list(labels.values())[:2]
    return Table(
        "Response rates by visit, and their unadjusted comparison",
        (
            "Visit",
            *(f"{label}: % (95 % CI), patients" for label in labels.values()),
            f"Difference {first} − {second}, percentage points",
            "p, Pearson",
            "p, Fisher",
        ),
        tuple(groups),
        notes=("Intervals: Wilson for rates, Newcombe for differences. p-values are unadjusted and two-sided.",),
    )


def _measured_table(table: ResultTable, labels: Mapping[str, str]) -> Table:
    rates = statistic_rows(table, "proportion")
    groups = []
    for term in dict.fromkeys(rates["term"]):
        own = rates[rates["term"] == term]
        rows = (
            Row((visit_label(month), *(_rate_cell(here[here["group"] == code]) for code in labels)))
            for month, here in own.groupby("time")
        )
        groups.append(Group(tuple(rows), outcome_label(term)))
    return Table(
        "Response rates among visits at which every value was measured",
        ("Visit", *(f"{label}: % (95 % CI), patients" for label in labels.values())),
        tuple(groups),
        notes=(
            "Some visits are judged although values are missing, where these could not change the answer. That is so "
            "more often for no response than for a response, and lowers the rates above; it does not touch these.",
        ),
    )


def _rate_cell(rows: pd.DataFrame) -> str:
    if not len(rows):
        return ""
    row = rows.iloc[0]
    note = "" if pd.isna(row["note"]) else str(row["note"])
    rate = interval(row["estimate"], row["conf_low"], row["conf_high"], decimals=1, scale=100, note=note)
    return f"{rate}\n{count(row['n_events'])} of {count(row['n'])}"


def _contrast_cells(contrasts: pd.DataFrame | None, term: str, month: float) -> tuple[str, str, str]:
    if contrasts is None:
        return "not run", "not run", "not run"
    here = contrasts[((contrasts["term"] == term) & (contrasts["time"] == month)).fillna(False).to_numpy(dtype=bool)]
    by_statistic = here.drop_duplicates("statistic").set_index("statistic")

    def value(statistic: str, column: str) -> float:
        return float(by_statistic[column].get(statistic, np.nan))

    difference = interval(
        *(value("risk_difference", column) for column in ("estimate", "conf_low", "conf_high")), decimals=1, scale=100
    )
    return difference, p_value(value("chi_square", "p_value")), p_value(value("fisher_exact", "p_value"))
