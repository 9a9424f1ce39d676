"""The section on the propensity score: where the arms overlap, and what weights and matching keep of them."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from analyses.figures import figure_svg, plot_overlap
from analyses.figures.formatting import count, number, percent
from analyses.figures.labels import covariate_label, model_label
from analyses.report.cells import arm_cells, matching, note_of, statistic_rows
from analyses.report.content import Figure, Group, Row, Section, Table, plain_rows, reasons
from analyses.report.inputs import NOT_ESTIMATED, Results
from cohort.results import ResultTable

LOGISTIC = "logistic score"
"""The score of the design, as tables name it."""

_WHOM = {
    "ATE": "everybody (ATE)",
    "ATT": "patients like those on {first} (ATT)",
    "ATC": "patients like those on {second} (ATC)",
    "ATO": "patients who might be in either arm (overlap, ATO)",
    "ATM": "patients who would find a partner (matching weights, ATM)",
    "ATEN": "patients whose arm is uncertain (entropy weights)",
}
"""Whom weights of an estimand speak of."""

_RULES = {
    "0.1 to 0.9": "Scores outside 0.1 to 0.9",
    "Crump": "Scores outside Crump's bounds",
    "5th to 95th percentile": "Treated below the 5th percentile of the treated, others above the 95th of the others",
}
"""Rules of trimming."""

_NAMES = ("propensity_histogram", "propensity_weights")


def overlap_section(results: Results) -> Section:
    """Make the mirrored histogram of the score, with effective sample sizes, matched sets and trimming."""
    title = "Overlap of the arms"
    if len(results.facts.arms) == 1:
        return Section("overlap", title, ("The study has one arm: no score is estimated.",))
    histogram, weights = (results.estimated(name) for name in _NAMES)
    labels = results.facts.labels
    said = reasons(results.failures(*_NAMES), results.missing(*_NAMES), "the propensity score")
    if histogram is None or weights is None:
        return Section("overlap", title, said)
    axes = plot_overlap(histogram, arms=labels)
    return Section(
        "overlap",
        title,
        (
            f"The propensity score is a patient's probability of {next(iter(labels.values()))} given the covariates "
            "measured at the start. Where both arms have patients of a score, like can be compared with like; where "
            "one is empty, an "
            "adjusted estimate leans on the model. What was not measured is no part of the score.",
            *results.unvarying("propensity_score"),
            *results.left_out("propensity_score"),
        ),
        figures=(
            Figure(
                figure_svg(axes, name="overlap", description=_described(results, labels)),
                "Propensity scores of the arms (logistic model), one upwards and the other downwards. Filled: patients "
                f"as they are. Outlined: weighted to represent {_target(weights, labels)}; two outlines that mirror "
                "each other mean comparable arms.",
            ),
        ),
        tables=(_weight_table(weights, labels),),
        folded=tuple(
            table
            for table in (
                _matching_table(results, labels),
                _outside_table(results, labels),
                _trimming_table(results, labels),
                _positivity_table(results),
            )
            if table is not None
        ),
    )


def _whom(estimand: str, labels: Mapping[str, str]) -> str:
    first, second = list(labels.values())[:2]
    return _WHOM.get(estimand, estimand).format(first=first, second=second)


def _target(weights: ResultTable, labels: Mapping[str, str]) -> str:
    """Whom the design's weights speak of: the estimand of the methods that make weights for one only."""
    own = weights.frame.loc[(weights.frame["population"] != LOGISTIC).to_numpy(dtype=bool), "term"].dropna()
    return _whom(str(own.iloc[0]) if len(own) else "ATE", labels)


def _described(results: Results, labels: Mapping[str, str]) -> str:
    overlap = results.estimated("propensity_overlap")
    said = "Mirrored histogram of propensity scores by arm, as observed and weighted."
    if overlap is None:
        return said
    rows = matching(overlap.frame, population=LOGISTIC)
    median = matching(rows, statistic="score_quantile", term="0.5")
    cells = arm_cells(median, labels, _two)
    medians = "; ".join(f"{label} {cell}" for label, cell in zip(labels.values(), cells, strict=True))
    return f"{said} Median score: {medians}."


def _two(row: pd.Series) -> str:
    return number(float(row["estimate"]), 2)


def _weight_table(table: ResultTable, labels: Mapping[str, str]) -> Table:
    rows = []
    for (population, term), own in table.frame.groupby(["population", "term"], sort=False):
        cells = [
            _two_arms(matching(own, statistic=name), labels, write)
            for name, write in (
                ("effective_sample_size", _effective), ("largest_weight", _two), ("largest_share", _share)
            )
        ]  # fmt: skip
        rows.append((f"{model_label(str(population))}: {_whom(str(term), labels)}", *cells))
    both = " / ".join(labels.values())
    return Table(
        "What weighting leaves of the arms",
        (
            "Weights, and whom they speak of",
            f"Effective number of patients\n{both}",
            "Largest weight",
            "Largest share of an arm's weight in one patient",
        ),
        plain_rows(rows),
        notes=(
            "The effective number is that of equally weighted patients who would estimate as precisely (Kish). Methods "
            "beside the logistic score make weights for the design's own population only.",
            *(
                f"{model_label(str(row['population']))} {note_of(row)}."
                for _, row in matching(table.frame, statistic=NOT_ESTIMATED).iterrows()
            ),
        ),
    )


def _two_arms(rows: pd.DataFrame, labels: Mapping[str, str], write: object) -> str:
    return " / ".join(arm_cells(rows, labels, write))  # type: ignore[arg-type]


def _effective(row: pd.Series) -> str:
    return f"{number(float(row['estimate']), 1)} of {count(row['n'])}"


def _share(row: pd.Series) -> str:
    return percent(float(row["estimate"]))


def _matching_table(results: Results, labels: Mapping[str, str]) -> Table | None:
    table = results.estimated("propensity_matching")
    if table is None:
        return None
    rows = []
    for population, own in table.frame.groupby("population", sort=False):
        if own["statistic"].eq(NOT_ESTIMATED).any():
            rows.append((model_label(str(population)), note_of(own.iloc[0]), "", "", ""))
            continue
        method, estimand = str(own["method"].iloc[0]), str(own["term"].iloc[0])
        distance = statistic_rows(ResultTable(own, {}), "largest_distance")
        why = "; ".join(dict.fromkeys(own["note"].dropna()))
        rows.append(
            (
                f"{model_label(str(population))}: {method}",
                _whom(estimand, labels),
                _two_arms(matching(own, statistic="matched"), labels, _of_arm),
                _two_arms(matching(own, statistic="effective_sample_size"), labels, _effective),
                _two(distance.iloc[0]) if len(distance) else "",
            )
        )
        if why:
            rows.append(("", f"left out, {why}", "", "", ""))
    return Table(
        "Matched sets and subclasses",
        ("Set", "Whom it speaks of", f"In the set\n{' / '.join(labels.values())}", "Effective number",
         "Largest distance, log odds"),
        plain_rows(rows),
        text_columns=frozenset({1}),
    )  # fmt: skip


def _of_arm(row: pd.Series) -> str:
    return f"{count(row['estimate'])} of {count(row['n'])}"


def _outside_table(results: Results, labels: Mapping[str, str]) -> Table | None:
    table = results.estimated("propensity_overlap")
    if table is None:
        return None
    rows = []
    for population, own in table.frame.groupby("population", sort=False):
        ends = [matching(own, statistic=f"common_support_{side}") for side in ("lower", "upper")]
        if any(not len(end) for end in ends):
            rows.append((model_label(str(population)), *("" for _ in labels), note_of(own.iloc[0])))
            continue
        outside = arm_cells(matching(own, statistic="share_outside"), labels, _outside)
        rows.append((model_label(str(population)), *outside, " to ".join(_two(end.iloc[0]) for end in ends)))
    return Table(
        "Patients without a counterpart in the other arm, by score",
        ("Score", *(f"{label}: outside" for label in labels.values()), "Common range"),
        plain_rows(rows),
        notes=("Outside: a score beyond the range in which both arms have patients.",),
    )


def _outside(row: pd.Series) -> str:
    return f"{count(row['n_events'])} of {count(row['n'])}"


def _trimming_table(results: Results, labels: Mapping[str, str]) -> Table | None:
    table = results.estimated("propensity_trimming")
    if table is None:
        return None
    rows = []
    for population, own in table.frame.groupby("population", sort=False):
        left = arm_cells(matching(own, statistic="left_out"), labels, _of_arm)
        why = own["note"].dropna()
        rows.append((_RULES.get(str(population), str(population)), *left, note_of(own.iloc[0]) if len(why) else ""))
    return Table(
        "Whom rules of trimming would leave out",
        ("Rule", *labels.values(), ""),
        plain_rows(rows),
        notes=("Nobody is trimmed in the estimates shown here; to trim is to ask about other patients.",),
    )


def _positivity_table(results: Results) -> Table | None:
    table = results.estimated("propensity_positivity")
    if table is None:
        return None
    flagged = table.frame[table.frame["note"].str.contains("here is", na=False).to_numpy(dtype=bool)]
    rows = [
        Row((covariate_label(str(row["term"])), f"{count(row['n_events'])} of {count(row['n'])}", note_of(row)))
        for _, row in flagged.iterrows()
    ]
    if not rows:
        return None
    return Table(
        "Kinds of patients of whom an arm has none, or hardly any",
        ("Patients", next(iter(results.facts.labels.values())), "Remark"),
        (Group(tuple(rows)),),
        text_columns=frozenset({2}),
    )
