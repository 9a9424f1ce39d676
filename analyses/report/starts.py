"""The section on tacrolimus that is started during follow-up, analysed with and without immortal time."""

from __future__ import annotations

import pandas as pd

from analyses.figures.formatting import MISSING, count, p_value
from analyses.figures.labels import visit_label
from analyses.report.cells import amount, matching, note_of, points, ratio, statistic_rows
from analyses.report.content import Group, Row, Section, Table, reasons
from analyses.report.inputs import Results
from cohort.results import ResultTable

_NAME = "tacrolimus_starts"
_TITLE = "Tacrolimus started during follow-up"
_NAIVE = "naive"
_FROM_BEGINNING, _DURING = "left out: treated from the beginning", "started during follow-up"
_WHAT = (
    "A start counts here when it comes after day 0, in a patient who took no tacrolimus until then, before a flare, "
    "kidney failure, death and the end of follow-up; who takes it from the beginning is left out. To start, a patient "
    "must have stayed free of an event so far: counting that time as treated, or leaving it out, makes any drug look "
    "good. The first two lines do so and are there for contrast only. The others begin to count for both groups at the "
    "same moment. Nothing here takes away differences that were not recorded."
)
_COMPARED = {
    "landmark": "Those who have started by then with those who have not, among those event-free then",
    "time-varying start": "At each time, those who have started with those who have not; latest proteinuria",
    "sequential trials": "In each interval, those who start with those who could but do not; weighted",
    "clones": "Starting within the grace period with not doing so, as strategies of everybody; weighted",
}
_KINDS = {"risk": "Patients with an event, per cent,", "restricted_mean": "Months free of an event"}


def starts_section(results: Results) -> Section:
    """Make the section on starts during follow-up: how many, and what follows them."""
    table = results.estimated(_NAME)
    said = reasons(results.failures(_NAME), results.missing(_NAME), "starts during follow-up")
    if table is None:
        return Section("starts", _TITLE, said)
    everybody = matching(statistic_rows(table, "count"), population="all patients")
    patients = {str(term): float(number) for term, number in zip(everybody["term"], everybody["estimate"], strict=True)}
    total = count(sum(patients.values()))
    if not patients.get(_DURING):
        always = count(patients.get(_FROM_BEGINNING, 0.0))
        nobody = (
            f"Of {total} patients {always} take tacrolimus from day 0 and nobody starts it later during follow-up: "
            "there are no later starts to compare."
        )
        return Section("starts", _TITLE, (nobody, *said))
    counted = "; ".join(
        f"{term.removeprefix('left out: ')} {count(number)}" for term, number in patients.items() if number
    )
    return Section(
        "starts",
        _TITLE,
        (
            _WHAT,
            f"Of {total} patients: {counted}.",
            *said,
            *results.unvarying(_NAME),
            *results.left_out(_NAME),
        ),
        tables=(_ratios(table),),
        folded=_strategies(table),
    )


def _ratios(table: ResultTable) -> Table:
    rows = statistic_rows(table, "log_hazard_ratio")
    naive = rows["population"].eq(_NAIVE).fillna(False).to_numpy(dtype=bool)
    groups = (("Wrong, for contrast: immortal time", rows[naive]), ("Without immortal time", rows[~naive]))
    return Table(
        "Renal flare, kidney failure or death after starting tacrolimus, against not starting",
        ("Analysis", "What is compared", "Hazard ratio (95 % CI)", "p", "Patients"),
        tuple(
            Group(tuple(Row((*_words(row), *_numbers(row))) for _, row in own.iterrows()), heading)
            for heading, own in groups
        ),
        notes=("The lines without immortal time ask different questions and need not agree.",),
        text_columns=frozenset({1}),
    )


def _words(row: pd.Series) -> tuple[str, str]:
    name = str(row["population"])
    if name == _NAIVE:
        method = str(row["method"]).partition(";")[0]
        return "Naive", f"{method[:1].upper()}{method[1:]}"
    at = "" if pd.isna(row["time"]) else f", {visit_label(float(row['time']))}"
    return f"{name[:1].upper()}{name[1:]}{at}", _COMPARED.get(name, "")


def _numbers(row: pd.Series) -> tuple[str, str, str]:
    lacking = pd.isna(row["estimate"])
    shown = f"{MISSING} ({note_of(row)})" if lacking else ratio(row)
    return shown, MISSING if lacking else p_value(row["p_value"]), MISSING if pd.isna(row["n"]) else count(row["n"])


def _strategies(table: ResultTable) -> tuple[Table, ...]:
    """Lay out risks and event-free months under the two strategies, if they could be estimated."""
    clones = table.frame[table.frame["population"].eq("clones").fillna(False).to_numpy(dtype=bool)]
    estimated = ResultTable(clones[clones["estimate"].notna().to_numpy(dtype=bool)], {})
    kinds = {name: statistic_rows(estimated, name, f"{name}_difference") for name in _KINDS}
    groups = tuple(
        Group(
            tuple(
                Row((_strategy(row), points(row) if name == "risk" else amount(row, 1))) for _, row in rows.iterrows()
            ),
            f"{_KINDS[name]} by {visit_label(float(rows['time'].iloc[0]))}",
        )
        for name, rows in kinds.items()
        if len(rows)
    )
    methods = dict.fromkeys(str(method).partition(";")[0] for rows in kinds.values() for method in rows["method"])
    return (
        Table(
            "Two strategies, each as if everybody had followed it",
            ("Strategy", "Estimate (95 % CI)"),
            groups,
            notes=tuple(f"{method[:1].upper()}{method[1:]}." for method in methods),
        ),
    )[: len(groups)]


def _strategy(row: pd.Series) -> str:
    if pd.isna(row["group"]):
        return "Difference, first minus second"
    text = str(row["group"])
    return f"{text[:1].upper()}{text[1:]}"
