"""The sections on who the patients are: cohort flow and Table 1."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from analyses.figures.formatting import MISSING, count, measurement, number, p_value, percent, rounded
from analyses.figures.labels import covariate_label, in_words, variable_label, visit_label
from analyses.report.content import Group, Row, Section, Table, plain_rows, reasons
from analyses.report.inputs import Results
from analyses.report.model_terms import treated_code

_ENDS = {
    "data_lock": "Data lock",
    "lost_to_follow_up": "Lost to follow-up",
    "death": "Died",
    "missed visit": "Missed visit",
    "not assessable": "Not assessable",
}


def flow_section(results: Results) -> Section:
    """Make the cohort flow: per arm and visit, patients assessed and why the others were not."""
    title, name = "Cohort flow", "patient_flow"
    table = results.estimated(name)
    if table is None:
        return Section("flow", title, reasons(results.failures(name), results.missing(name), "the cohort flow"))
    frame = table.frame
    return Section(
        "flow",
        title,
        (
            "How many patients of each arm were assessed at each visit, and why the others were not. The reasons are "
            "cumulative: a patient whose follow-up has ended is counted at every later visit. Not assessable: seen "
            "without the laboratory values that would decide the response.",
        ),
        tables=tuple(_flow_table(frame[frame["group"] == arm.code], arm.label) for arm in results.facts.arms),
        folded=(*_not_assessable_table(results), *_missing_table(results)),
    )


def _not_assessable_table(results: Results) -> tuple[Table, ...]:
    """Which values were missing where a patient was seen and response stayed open; nothing if nobody's did."""
    table = results.estimated("response_not_assessable")
    if table is None or not table.frame["estimate"].sum():
        return ()
    rows = table.frame[(table.frame["term"] != "all").to_numpy(dtype=bool)]
    counts = rows.set_index(["group", "term", "time"])["estimate"]
    months = sorted(table.frame["time"].unique())
    groups = tuple(
        Group(
            tuple(
                Row((term, *(count(counts.get((arm.code, term, month), 0.0)) for month in months)))
                for term in sorted(rows.loc[rows["group"] == arm.code, "term"].unique())
            ),
            arm.label,
        )
        for arm in results.facts.arms
    )
    caption = "Patients seen whose response could not be assessed, by the values that were missing"
    return (Table(caption, ("Missing", *map(visit_label, months)), groups),)


def _missing_table(results: Results) -> tuple[Table, ...]:
    """How often each value is missing at visits of any kind; nothing if none is."""
    table = results.estimated("missing_values")
    if table is None or not table.frame["estimate"].sum():
        return ()
    counts = table.frame.set_index(["term", "group"])
    labels = results.facts.labels

    def cell(term: str, arm: str) -> str:
        return " of ".join(count(float(counts[name].get((term, arm), np.nan))) for name in ("estimate", "n"))

    terms = dict.fromkeys(table.frame["term"])
    cells = [(variable_label(term), *(cell(term, arm) for arm in labels)) for term in terms]
    return (
        Table(
            "Visits at which a value is missing, scheduled or not",
            ("Value", *labels.values()),
            plain_rows(cells),
            notes=("A flare that only a missing value would have shown is not counted.",),
        ),
    )


def _flow_table(rows: pd.DataFrame, label: str) -> Table:
    counts = rows.set_index(["term", "time"])["estimate"]
    terms = [term for term in dict.fromkeys(rows["term"]) if term not in ("enrolled", "assessed")]
    months = sorted(rows.loc[rows["term"] == "assessed", "time"].unique())
    enrolled = counts.get(("enrolled", 0.0), np.nan)
    return Table(
        f"{label}: {count(enrolled)} patients enrolled",
        ("Visit", "Assessed", *(_ENDS.get(term, in_words(term)) for term in terms)),
        plain_rows(
            [
                (visit_label(month), *(count(counts.get((term, month), np.nan)) for term in ("assessed", *terms)))
                for month in months
            ]
        ),
    )


def table_one_section(results: Results) -> Section:
    """Make Table 1: baseline characteristics by arm with standardised differences and tests."""
    title, name = f"Table 1: patients at the {results.facts.day_zero}", "table_one"
    table = results.estimated(name)
    if table is None:
        return Section("table-one", title, reasons(results.failures(name), results.missing(name), "Table 1"))
    frame = table.frame
    compared = len(results.facts.arms) > 1
    terms = list(dict.fromkeys(frame["term"].dropna()))
    numeric = set(frame.loc[frame["statistic"] == "mean", "term"])
    rows: list[Row] = []
    seen: set[str] = set()
    for term in terms:
        variable = term.split("=")[0]
        own = frame[frame["term"] == term]
        if term in numeric:
            rows.append(Row(_numeric_cells(own, results.facts.labels)))
        elif (own["statistic"] == "count").any():
            if term != variable and variable not in seen:
                rows.append(Row(_variable_cells(frame[frame["term"] == variable], variable, results.facts.labels)))
            rows.append(_level_row(own, frame, results.facts.labels))
        seen.add(variable)
    return Section(
        "table-one",
        title,
        (
            "Numbers are mean (standard deviation) with the median (quartiles) beneath, or patients (%)."
            + (_on_differences(results) if compared else ""),
        ),
        tables=(
            Table(
                "Baseline characteristics by arm",
                (
                    "Characteristic",
                    *(f"{arm.label}\n(n = {arm.size})" for arm in results.facts.arms),
                    *(("Standardised difference", "p") if compared else ()),
                ),
                (Group(tuple(rows if compared else (_undivided(row) for row in rows))),),
                notes=(*_missing_notes(frame, results.facts.labels), *_test_notes(frame)),
            ),
        ),
    )


def _on_differences(results: Results) -> str:
    by_lot = (
        " The arms were drawn by lot, so that differences and their p-values show chance alone."
        if results.facts.randomised
        else ""
    )
    return (
        " The standardised difference is the difference of the means in units of their pooled standard deviation; it "
        "does not depend on the number of patients, and values beyond ±0.1 are customarily called imbalance. "
        f"Above zero, it is larger in the arm {results.facts.labels[treated_code(results)]}.{by_lot}"
    )


def _undivided(row: Row) -> Row:
    """Leave out the cells that compare arms."""
    return Row(row.cells[:-2], row.look)


def _numeric_cells(rows: pd.DataFrame, labels: Mapping[str, str]) -> tuple[str, ...]:
    def arm_cell(code: str) -> str:
        own = rows[rows["group"] == code].set_index("statistic")["estimate"]
        if own.reindex(["mean"]).isna().all():
            return MISSING
        mean, sd = (measurement(own.get(name, np.nan)) for name in ("mean", "sd"))
        median, q1, q3 = (rounded(own.get(name, np.nan)) for name in ("median", "q1", "q3"))
        return f"{mean} ({sd})\n{median} ({q1} to {q3}){_observed(rows, code)}"

    return (variable_label(rows["term"].iloc[0]), *map(arm_cell, labels), _smd(rows), _test(rows))


def _variable_cells(rows: pd.DataFrame, variable: str, labels: Mapping[str, str]) -> tuple[str, ...]:
    return (variable_label(variable), *("" for _ in labels), "", _test(rows))


def _level_row(rows: pd.DataFrame, frame: pd.DataFrame, labels: Mapping[str, str]) -> Row:
    term = str(rows["term"].iloc[0])
    variable, separator, level = term.partition("=")

    def arm_cell(code: str) -> str:
        own = rows[rows["group"] == code].set_index("statistic")["estimate"]
        shown = f"{count(own.get('count', np.nan))} ({percent(own.get('proportion', np.nan))})"
        return shown + _observed(frame[frame["term"] == variable], code)

    name = in_words(level) if separator else variable_label(variable)
    test = "" if separator else _test(frame[frame["term"] == variable])
    return Row((name, *map(arm_cell, labels), _smd(rows), test), look="level" if separator else "")


def _observed(rows: pd.DataFrame, code: str) -> str:
    """Say how many patients of an arm have the value, on a line of its own, where some lack it."""
    own = rows[((rows["group"] == code) & (rows["statistic"] == "missing")).fillna(False).to_numpy(dtype=bool)]
    lacking = own["estimate"].sum()
    return f"\nof {count(own['n'].sum() - lacking)} with a value" if lacking else ""


def _smd(rows: pd.DataFrame) -> str:
    found = rows.loc[rows["statistic"] == "smd", "estimate"]
    return number(float(found.iloc[0]), 2) if len(found) else ""


def _test(rows: pd.DataFrame) -> str:
    found = rows.loc[rows["statistic"] == "difference_test", "p_value"]
    return p_value(float(found.iloc[0])) if len(found) else ""


def _missing_notes(frame: pd.DataFrame, labels: Mapping[str, str]) -> tuple[str, ...]:
    lacking = frame[(frame["statistic"] == "missing").fillna(False).to_numpy(dtype=bool) & (frame["estimate"] > 0)]
    if not len(lacking):
        return ("No value is missing.",)
    listed = (
        f"{covariate_label(row['term'])}, {labels.get(row['group'], row['group'])}: {count(row['estimate'])}"
        for _, row in lacking.iterrows()
    )
    return (f"Missing values, left out of their row: {'; '.join(listed)}.",)


def _test_notes(frame: pd.DataFrame) -> tuple[str, ...]:
    tests = frame[(frame["statistic"] == "difference_test").fillna(False).to_numpy(dtype=bool)]
    methods = "; ".join(dict.fromkeys(tests["method"].dropna()))
    noted = [f"{variable_label(row['term'])}: {row['note']}" for _, row in tests.iterrows() if pd.notna(row["note"])]
    said = [f"p: {methods}."] if methods else []
    return (*said, *([f"{'; '.join(noted)}."] if noted else []))
