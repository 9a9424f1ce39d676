"""The section on subgroups by biopsy class."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from analyses.figures import figure_svg, plot_subgroup_ratios
from analyses.figures.formatting import count, p_value
from analyses.figures.labels import visit_label
from analyses.report.cells import matching, note_of, points, ratio, said_of_test, statistic_rows
from analyses.report.content import Figure, Group, Row, Section, Table, plain_rows, reasons
from analyses.report.inputs import Results
from cohort.results import ResultTable

_NOT_ESTIMATED = "not estimated: "


def subgroups_section(results: Results) -> Section:
    """Make the section on hazard ratios and differences of response within each biopsy class."""
    title, names = "Subgroups by ISN/RPS class", ("subgroup_hazards", "subgroup_responses")
    labels = results.facts.labels
    if len(labels) == 1:
        return Section("subgroups", title, ("The study has one arm: nothing is compared.",))
    hazards, responses = (results.estimated(name) for name in names)
    figures: tuple[Figure, ...] = ()
    if hazards is not None:
        axes = plot_subgroup_ratios(hazards, arms=labels, reasons=_reasons(hazards, labels))
        figures = (
            Figure(
                figure_svg(axes, name="subgroups", description=_description(hazards, labels)),
                "Hazard ratio of renal flare, end-stage kidney disease or death within each class, from one Cox model, "
                "with 95 % confidence intervals; in brackets patients and events.",
            ),
        )
    return Section(
        "subgroups",
        title,
        (
            "Whether the arms differ more in one class than in another is for the test of interaction to say, and at "
            "this size it sees large differences only. A single class whose interval leaves the dashed line proves "
            "nothing.",
            *(() if hazards is None else _interaction(hazards)),
            *reasons(results.failures(*names), results.missing(*names), "subgroups"),
        ),
        figures=figures,
        folded=(
            *(() if hazards is None else (_hazard_table(hazards, labels),)),
            *(() if responses is None else (_response_table(responses),)),
        ),
    )


def _interaction(hazards: ResultTable) -> tuple[str, ...]:
    rows = statistic_rows(hazards, "chi_square")
    return tuple(said_of_test(row, "Test of interaction, classes with an estimate only") for _, row in rows.iterrows())


def _reasons(hazards: ResultTable, labels: Mapping[str, str]) -> dict[str, str]:
    rows = statistic_rows(hazards, "log_hazard_ratio")
    lacking = rows[(rows["estimate"].isna() & rows["group"].notna()).to_numpy(dtype=bool)]
    return {str(row["group"]): _in_labels(note_of(row), labels) for _, row in lacking.iterrows()}


def _in_labels(note: str, labels: Mapping[str, str]) -> str:
    words = note.removeprefix(_NOT_ESTIMATED)
    for code, label in labels.items():
        head, separator, last = words.rpartition(" ")
        words = f"{head}{separator}{label}" if last == code else words
    return words


def _description(hazards: ResultTable, labels: Mapping[str, str]) -> str:
    why = _reasons(hazards, labels)
    said = "; ".join(
        f"{'all patients' if pd.isna(row['group']) else row['group']} "
        f"{ratio(row) if pd.notna(row['estimate']) else why.get(str(row['group']), note_of(row))}"
        for _, row in statistic_rows(hazards, "log_hazard_ratio").iterrows()
    )
    return f"Forest plot of hazard ratios, {' v '.join(labels.values())}, by class. {said}."


def _hazard_table(hazards: ResultTable, labels: Mapping[str, str]) -> Table:
    why = _reasons(hazards, labels)
    return Table(
        "Hazard ratios by class",
        ("Class", "Patients", "Events", "Hazard ratio (95 % CI)"),
        plain_rows(
            (
                "All patients" if pd.isna(row["group"]) else str(row["group"]),
                count(row["n"]),
                count(row["n_events"]),
                ratio(row.where(row.index != "note", why.get(str(row["group"]), note_of(row)))),
            )
            for _, row in statistic_rows(hazards, "log_hazard_ratio").iterrows()
        ),
        notes=tuple(said_of_test(row) for _, row in statistic_rows(hazards, "chi_square").iterrows()),
    )


def _response_table(responses: ResultTable) -> Table:
    differences, tests = (statistic_rows(responses, name) for name in ("risk_difference", "chi_square"))
    p_by_visit = tests.set_index("time")["p_value"]
    groups = []
    for month in sorted(differences["time"].unique()):
        own = matching(differences, time=month)
        rows = [
            Row((str(row["group"]), f"{count(row['n_events'])} of {count(row['n'])}", points(row) + _why(row)))
            for _, row in own.iterrows()
        ]
        if month in p_by_visit.index:
            rows.append(Row(("Test of interaction", "", f"p {p_value(float(p_by_visit[month]))}")))
        groups.append(Group(tuple(rows), visit_label(month)))
    return Table(
        "Difference in complete response by class, percentage points",
        ("Class", "Responders, both arms", "Difference (95 % CI)"),
        tuple(groups),
        notes=tuple(
            f"{method[:1].upper()}{method[1:]}." for method in dict.fromkeys(responses.frame["method"].dropna())
        ),
    )


def _why(row: pd.Series) -> str:
    return f" ({note_of(row).removeprefix(_NOT_ESTIMATED)})" if pd.isna(row["estimate"]) and note_of(row) else ""
