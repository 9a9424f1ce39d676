"""The section on the design: who was eligible, the target trial and its emulation, and the causal diagram."""

from __future__ import annotations

import re
import textwrap

import numpy as np
import pandas as pd

from analyses.figures import figure_svg, plot_causal_diagram
from analyses.figures.formatting import count
from analyses.figures.labels import inline_label, variable_label
from analyses.report.cells import matching, note_of, statistic_rows
from analyses.report.content import Figure, Group, Row, Section, Table, plain_rows, reasons
from analyses.report.inputs import Facts, Results
from cohort.results import ResultTable

_NAMES = ("eligibility", "target_trial", "causal_diagram")
_ROLES = {
    "unmeasured": "Not measured",
    "adjusted for": "Adjusted for",
    "not adjusted for": "Not adjusted for",
    "caused by treatment": "Caused by treatment, hence never adjusted for",
}


def design_section(results: Results) -> Section:
    """Make the section on the design as it was written down before the analysis."""
    eligibility, trial, diagram = (results.estimated(name) for name in _NAMES)
    compared = len(results.facts.arms) > 1
    return Section(
        "design",
        "Design",
        (
            *_question(trial, results.facts),
            *_eligible(eligibility, results.facts),
            *(_open(diagram, results.facts) if compared else ()),
            *reasons(results.failures(*_NAMES), results.missing(*_NAMES), "the design"),
        ),
        figures=() if diagram is None or not compared else (_diagram_figure(diagram, results.facts),),
        tables=() if eligibility is None else (_eligibility_table(eligibility, results.facts),),
        folded=(
            *(() if trial is None or not compared else (_trial_table(trial, results.facts),)),
            *(() if diagram is None or not compared else (_arrow_table(diagram),)),
        ),
    )


def _question(trial: ResultTable | None, facts: Facts) -> tuple[str, ...]:
    if len(facts.arms) == 1:
        return ("The study has one arm: it is described, and no treatment is compared.",)
    if trial is None:
        return ()
    rows = statistic_rows(trial, "description")
    asked = [_in_words(note_of(row), facts) for _, row in matching(rows, term="causal question").iterrows()]
    if facts.randomised:
        then = "The arms were drawn by lot; what is asked and how is written down before the analysis all the same."
    else:
        then = (
            "Nobody was allocated by lot, so the analysis imitates the trial that would answer this: the folded table "
            "sets that trial beside what is done instead."
        )
    return (f"{asked[0]} {then}",) if asked else ()


def _eligible(eligibility: ResultTable | None, facts: Facts) -> tuple[str, ...]:
    if eligibility is None:
        return ()
    counts = _counts(eligibility)[None]
    left_out = counts.get("assessed for eligibility", np.nan) - counts.get("eligible", np.nan)
    said = "nobody was left out" if not left_out else f"{count(left_out)} were left out for the reasons below"
    where = "of these arms" if facts.other_arms else "on record"
    return (f"Of {count(counts.get('assessed for eligibility', np.nan))} patients {where} {said}.",)


def _open(diagram: ResultTable | None, facts: Facts) -> tuple[str, ...]:
    if diagram is None:
        return ()
    mistakes = [f"Wrong in the adjustment: {note_of(row)}." for _, row in statistic_rows(diagram, "mistake").iterrows()]
    left = [
        f"What stays open: {_listed(note_of(row))} sways both treatment and outcome and was not measured, so no "
        "adjustment on this page removes the confounding that comes through it."
        for _, row in statistic_rows(diagram, "open_confounding").iterrows()
    ]
    closed = (
        "Treatment was drawn by lot, so nothing causes it: covariates are adjusted for to gain precision."
        if facts.randomised
        else "If the diagram is right, adjusting for the variables in solid boxes leaves no confounding open."
    )
    return (*mistakes, *(left or [closed]))


def _diagram_figure(diagram: ResultTable, facts: Facts) -> Figure:
    variables = statistic_rows(diagram, "variable")
    said = "; ".join(
        f"{words.lower()}: {_listed(', '.join(matching(variables, group=role)['term']))}"
        for role, words in _ROLES.items()
        if (variables["group"] == role).any()
    )
    axes = plot_causal_diagram(diagram, treatment=_treatment(facts), outcome="Outcome")
    return Figure(
        figure_svg(axes, name="diagram", description=f"Causal diagram of treatment and outcome. {said}."),
        "What is assumed to cause what: arrows to and from treatment and outcome. Solid boxes are adjusted for, dashed "
        "ones were not measured, dotted ones follow from treatment. Arrows among the other variables are in the table.",
    )


def _eligibility_table(eligibility: ResultTable, facts: Facts) -> Table:
    counts = _counts(eligibility)
    terms = dict.fromkeys(statistic_rows(eligibility, "count")["term"])
    everybody = ("Everybody",) if len(facts.arms) > 1 else ()
    groups: tuple[str | None, ...] = (*facts.labels, *((None,) if everybody else ()))
    return Table(
        "Patients assessed for eligibility",
        ("", *facts.labels.values(), *everybody),
        plain_rows(
            (
                f"{term[:1].upper()}{term[1:]}",
                *(count(counts.get(group, {}).get(term, np.nan)) for group in groups),
            )
            for term in terms
        ),
    )


def _counts(eligibility: ResultTable) -> dict[str | None, dict[str, float]]:
    rows = statistic_rows(eligibility, "count")
    counts: dict[str | None, dict[str, float]] = {None: {}}
    for group, term, estimate in zip(rows["group"], rows["term"], rows["estimate"], strict=True):
        counts.setdefault(None if pd.isna(group) else str(group), {})[str(term)] = float(estimate)
    return counts


def _trial_table(trial: ResultTable, facts: Facts) -> Table:
    rows = statistic_rows(trial, "description")
    cells = []
    for term in dict.fromkeys(rows["term"]):
        own = matching(rows, term=term).set_index("group")["note"]
        said = [_in_words(str(own.get(side, "")), facts) for side in ("target trial", "emulation")]
        cells.append((f"{term[:1].upper()}{term[1:]}", *said))
    return Table(
        "The target trial and its emulation",
        ("Item", "Target trial", "This analysis"),
        plain_rows(cells),
        notes=("Items: TARGET statement, JAMA 2025, doi:10.1001/jama.2025.13350.",),
        text_columns=frozenset({1, 2}),
    )


def _arrow_table(diagram: ResultTable) -> Table:
    variables = statistic_rows(diagram, "variable").set_index("term")["group"]
    ends = [tuple(term.split(" -> ")) for term in statistic_rows(diagram, "arrow")["term"]]

    def row(name: str) -> Row:
        causes = ", ".join(inline_label(cause) for cause, effect in ends if effect == name)
        return Row((variable_label(name).partition(",")[0], causes or "nothing in the diagram"))

    groups = [Group(tuple(row(name) for name in variables.index[variables.isin(["treatment", "outcome"])]))]
    groups += [
        Group(tuple(row(name) for name in variables.index[variables == role]), words)
        for role, words in _ROLES.items()
        if (variables == role).any()
    ]
    caption = "What is assumed to cause what"
    return Table(caption, ("Variable", "Caused by"), tuple(groups), text_columns=frozenset({1}))


def _treatment(facts: Facts) -> str:
    return textwrap.fill(" v ".join(arm.label for arm in facts.arms), 15)


def _listed(names: str) -> str:
    return ", ".join(inline_label(name) for name in names.split(", "))


def _in_words(text: str, facts: Facts) -> str:
    """Put the study's arms and the names of variables into the words of a design that knows neither."""
    first, second = (arm.label for arm in facts.arms[:2])
    for said, meant in (
        ("the treatment of the first arm", first),
        ("compared with the second?", f"compared with {second}?"),
        ("the first arm", f"the arm {first}"),
        ("the second arm", f"the arm {second}"),
        (" | ", "; against: "),
    ):
        text = text.replace(said, meant)
    return re.sub(r"\b[a-z0-9]+(?:_[a-z0-9]+)+\b", lambda name: inline_label(name[0]), text)
