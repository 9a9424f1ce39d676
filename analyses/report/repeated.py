"""The sections on response over time beyond plain rates: missed visits, the ordered response, and repeated measures."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from analyses.figures import figure_svg, plot_response_rates, plot_visit_strategies
from analyses.figures.forest import TREATED_TERM
from analyses.figures.formatting import exponential, interval, p_value
from analyses.figures.labels import model_label, outcome_label, strategy_label, visit_label
from analyses.report.cells import (
    arm_cells,
    contrast_label,
    matching,
    methods_of,
    note_of,
    points,
    share,
    statistic_rows,
)
from analyses.report.content import Figure, Group, Row, Section, Table, reasons
from analyses.report.inputs import Results
from cohort.results import ResultTable

_ASSUMED = (
    ("Observed cases", "within an arm, patients not assessed would have responded like those who were"),
    ("Not seen = no response", "the worst: nobody who was not assessed had responded; too low by construction"),
    ("Multiple imputation", "arm, covariates and the responses seen explain which response was missed"),
    ("Weighted for being seen", "what was seen before explains who came; those like the missing count for more"),
)


def missed_visits_section(results: Results) -> Section:
    """Make the section that sets four strategies for missed visits side by side."""
    title, name = "Response when some are not assessed", "missing_visit_strategies"
    table = results.estimated(name)
    if table is None:
        return Section("missed", title, reasons(results.failures(name), results.missing(name), "missed visits"))
    labels = results.facts.labels
    axes = plot_visit_strategies(table, arms=labels)
    return Section(
        "missed",
        title,
        (
            "A visit is missed only if it was due: if the patient started early enough to have reached it by the data "
            "lock. Each way of treating missed visits assumes something that the data cannot show; where the four "
            "agree, little hangs on it.",
            *results.left_out(name),
            *reasons(results.failures(name), (), "missed visits"),
        ),
        terms=_ASSUMED,
        figures=(
            Figure(
                figure_svg(axes[0], name="missed", description=_strategies_description(table, labels)),
                "Response rates under four strategies for missed visits, with 95 % confidence intervals. No strategy "
                "takes away confounding between the arms.",
            ),
        ),
        folded=(_strategies_table(table, labels),),
    )


def _strategies_description(table: ResultTable, labels: Mapping[str, str]) -> str:
    rows = statistic_rows(table, "proportion")
    first = rows["term"].iloc[0]
    last = matching(rows, term=first, time=rows["time"].max())
    said = "; ".join(
        f"{label}: "
        + ", ".join(f"{strategy_label(str(row['population'])).lower()} {share(row)}" for _, row in own.iterrows())
        for code, label in labels.items()
        if len(own := matching(last, group=code))
    )
    return (
        "Points with intervals by visit, arm and strategy for missed visits. "
        f"{outcome_label(first)} at {visit_label(rows['time'].max())}: {said}."
    )


def _strategies_table(table: ResultTable, labels: Mapping[str, str]) -> Table:
    rates, contrasts = (statistic_rows(table, name) for name in ("proportion", "risk_difference"))
    heads = [contrast_label(str(found), labels) for found in dict.fromkeys(contrasts["contrast"])]
    groups = []
    for term in dict.fromkeys(rates["term"]):
        for month in sorted(rates.loc[rates["term"] == term, "time"].unique()):
            rows = []
            for strategy in dict.fromkeys(rates["population"]):
                here, versus = (
                    matching(part, population=strategy, term=term, time=month).drop_duplicates(["group", "contrast"])
                    for part in (rates, contrasts)
                )
                cells = arm_cells(here, labels, share)
                rows.append(
                    Row((strategy_label(str(strategy)), *cells, *(points(row) for _, row in versus.iterrows())))
                )
            due = _due(rates, term, month, labels)
            groups.append(Group(tuple(rows), f"{outcome_label(term)}, {visit_label(month)}{due}"))
    return Table(
        "Response rates under four strategies for missed visits",
        ("Strategy", *(f"{label}: % (95 % CI)" for label in labels.values()), *(f"{head}, points" for head in heads)),
        tuple(groups),
        notes=methods_of(rates),
    )


def _due(rates: pd.DataFrame, term: str, month: float, labels: Mapping[str, str]) -> str:
    """Say how many of the patients due were not assessed, which notes hold before their first semicolon."""
    written = arm_cells(matching(rates, term=term, time=month), labels, note_of)
    notes = {label: note.partition(";")[0] for label, note in zip(labels.values(), written, strict=True)}
    said = "; ".join(f"{label} {note}" for label, note in notes.items() if "not assessed" in note)
    return f" ({said})" if said else ""


def ordered_response_section(results: Results) -> Section:
    """Make the section on the three states of response in one model."""
    title, names = "The ordered response", ("response_probabilities", "response_ordinal")
    shares, model = (results.estimated(name) for name in names)
    said = reasons(results.failures(*names), results.missing(*names), "the ordered response")
    if len(results.facts.arms) == 1:
        return Section("ordered", title, ("The study has one arm: nothing is compared.",))
    labels = results.facts.labels
    figures: tuple[Figure, ...] = ()
    timed = shares is not None and bool(statistic_rows(shares, "standardised_proportion")["time"].notna().all())
    if shares is not None and timed:
        axes = plot_response_rates(shares, arms=labels, statistic="standardised_proportion")
        figures = (
            Figure(
                figure_svg(axes[0], name="ordered", description=_ordered_description(shares, labels)),
                "Standardised probability of no, partial and complete response at each visit, with 95 % confidence "
                "intervals: the model's answer if every patient had been in the arm.",
            ),
        )
    return Section(
        "ordered",
        title,
        (
            "No, partial and complete response are steps of one ladder. One model of all three uses what a split into "
            "responders and others throws away; it assumes that the arm shifts both steps alike.",
            *(() if model is None else _slopes(model)),
            *said,
        ),
        figures=figures,
        folded=() if shares is None else (_ordered_table(shares, labels),),
    )


def _slopes(model: ResultTable) -> tuple[str, ...]:
    rows = statistic_rows(model, "chi_square")
    return tuple(
        f"Test of that assumption: p {'' if written[:1] in '<>' else '= '}{written}. A small p speaks against it."
        for _, row in matching(rows, term="GLOBAL").iterrows()
        if (written := p_value(row["p_value"]))
    )


def _ordered_description(shares: ResultTable, labels: Mapping[str, str]) -> str:
    rows = statistic_rows(shares, "standardised_proportion")
    complete = matching(rows, term=rows["term"].iloc[-1])
    said = "; ".join(
        f"{label}: " + ", ".join(f"{share(row)} at {visit_label(row['time'])}" for _, row in own.iterrows())
        for code, label in labels.items()
        if len(own := matching(complete, group=code))
    )
    outcomes = ", ".join(outcome_label(term).lower() for term in dict.fromkeys(rows["term"]))
    return f"Standardised probabilities by visit and arm, in panels for {outcomes}. Complete response: {said}."


def _ordered_table(shares: ResultTable, labels: Mapping[str, str]) -> Table:
    rates, contrasts = (
        statistic_rows(shares, name) for name in ("standardised_proportion", "standardised_risk_difference")
    )
    heads = [contrast_label(str(found), labels) for found in dict.fromkeys(contrasts["contrast"])]
    groups = []
    for term in dict.fromkeys(rates["term"]):
        own, versus = (matching(part, term=term).fillna({"time": np.inf}) for part in (rates, contrasts))
        rows = []
        for month in sorted(own["time"].unique()):
            cells = [*arm_cells(matching(own, time=month), labels, share)]
            compared = [row for _, row in matching(versus, time=month).iterrows()]
            visit = "The visit" if np.isinf(month) else visit_label(month)
            cells += [points(row) for row in compared] + [p_value(row["p_value"]) for row in compared]
            rows.append(Row((visit, *cells)))
        groups.append(Group(tuple(rows), outcome_label(term)))
    return Table(
        "Standardised probabilities of the ordered response",
        (
            "Visit",
            *(f"{label}: % (95 % CI)" for label in labels.values()),
            *(f"{head}, points" for head in heads),
            *("p" for _ in heads),
        ),
        tuple(groups),
        notes=methods_of(rates),
    )


def structures_table(table: ResultTable, labels: Mapping[str, str]) -> Table:
    """Lay out the arm's odds ratios by visit under each working correlation, with the test of interaction.

    Parameters
    ----------
    table
        ``response_gee_structures``: ``population`` names the working correlation, ``group`` the outcome.
    labels
        Code to label of the arms, the treated one first.
    """
    models = list(dict.fromkeys(table.frame["population"].dropna()))
    names = [model_label(str(model)).partition(" working")[0] for model in models]
    groups = []
    for outcome in dict.fromkeys(table.frame["group"].dropna()):
        own = matching(table.frame, group=outcome)
        terms = [
            term
            for term in dict.fromkeys(matching(own, statistic="log_odds_ratio")["term"])
            if term == TREATED_TERM or str(term).startswith(f"{TREATED_TERM}:")
        ]
        rows = [Row((_term(str(term), labels), *(_cell(own, model, str(term)) for model in models))) for term in terms]
        tests = matching(own, statistic="chi_square").set_index("population")["p_value"]
        if len(tests):
            rows.append(Row(("Arm by visit, all at once: p", *(p_value(tests.get(model, np.nan)) for model in models))))
        groups.append(Group(tuple(rows), outcome_label(str(outcome))))
    return Table(
        "Odds ratios of the arms under four working correlations",
        ("Term", *names),
        tuple(groups),
        notes=(
            "The first row of an outcome compares the arms at the first visit after the start; each further row says "
            "by what factor the odds ratio is larger or smaller at that visit (95 % confidence intervals). If nothing "
            "but arm and visit sways who is assessed, all four estimate the same.",
            *dict.fromkeys(
                f"{note[:1].upper()}{note[1:]}." for note in table.frame["note"].dropna() if "df=" not in note
            ),
        ),
    )


def _term(term: str, labels: Mapping[str, str]) -> str:
    arms = " v ".join(labels.values())
    _, separator, visit = term.partition("visit=month ")
    return f"× {visit_label(float(visit))}" if separator else arms


def _cell(rows: pd.DataFrame, model: str, term: str) -> str:
    found = matching(rows, population=model, term=term)
    if not len(found):
        return ""
    row = found.iloc[0]
    return interval(*(exponential(row[name]) for name in ("estimate", "conf_low", "conf_high")))
