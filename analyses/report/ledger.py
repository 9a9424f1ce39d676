"""The ledger section: every published number beside what the cohort gives."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from analyses.figures.formatting import MINUS, MISSING
from analyses.figures.labels import in_words, outcome_label, variable_label, visit_label
from analyses.report.content import Group, Row, Section, Table
from analyses.report.inputs import Results
from analyses.reproduction import Verdict
from cohort.errors import AnalysisError
from cohort.record import RESPONSE_MEASURES, TargetKind

VERDICTS: dict[str, tuple[str, str]] = {
    Verdict.REPRODUCED.value: ("✓", "the cohort gives the published number to its last printed decimal"),
    Verdict.CONSISTENT.value: ("≈", "a finding in words, and the cohort agrees with it"),
    Verdict.NOT_ATTAINABLE.value: (
        "≠",
        "a published p-value that no listed unadjusted two-sided test of two groups gives for any admissible number of "
        "patients; "
        "another method, such as an adjusted model, may have been used",
    ),
    Verdict.SUPERSEDED.value: ("»", "an earlier abstract's number or finding that a later text replaced or repeated"),
    Verdict.NOT_REPRODUCED.value: ("✗", "the cohort gives something else"),
    Verdict.NOT_CHECKABLE.value: ("–", "too little was published to compare with"),
}
"""Sign and explanation of each verdict, in the order of the summary."""

_RATES = tuple(measure.value for measure in RESPONSE_MEASURES)
_HOW_TO_READ = (
    "Under a rate stand the whole patients behind it: responders of those assessed. The number in brackets names the "
    "source, listed under the table; beneath each item stands its name in the study file."
)
_STATUSES = {"reported": "Final paper or editorial", "reported_earlier": "Conference abstract"}
_MEASURES = {
    "total_patients": "Patients in all",
    "arm_size": "Patients in the arm",
    "monotherapy_count": "Patients on the drug alone",
    "monotherapy_percentage": "Patients on the drug alone, %",
    "baseline_balance": "Similarity of the arms at the start",
    "class_v": "Class V",
    "disease_severity": "Severity of disease at the start",
    "treatment_pattern": "Drugs taken together",
}


def ledger_section(results: Results) -> Section:
    """Make the section from the ledger, or say that nothing was compared.

    Parameters
    ----------
    results
        A results folder.

    Returns
    -------
    Section
        A summary of the verdicts, what each means, and the table in groups: response rates, p-values, other numbers
        and findings, superseded numbers.

    Raises
    ------
    AnalysisError
        A verdict that is not one of :data:`VERDICTS`.
    """
    title = "Published against reproduced"
    if results.ledger is None:
        return Section(
            "ledger",
            title,
            (
                "Nothing was compared with the publication: these results hold no ledger.",
                *results.facts.definitions_in_words,
            ),
        )
    ledger = results.ledger
    unknown = sorted(set(ledger["verdict"].dropna()) - set(VERDICTS))
    if unknown:
        raise AnalysisError(
            "unknown verdict",
            where="ledger, column verdict",
            got=", ".join(unknown),
            remedy=f"known: {', '.join(VERDICTS)}",
        )
    present = [name for name in VERDICTS if (ledger["verdict"] == name).any()]
    return Section(
        "ledger",
        title,
        (verdict_summary(ledger), *results.facts.definitions_in_words, _HOW_TO_READ),
        terms=tuple((f"{VERDICTS[name][0]} {in_words(name)}", VERDICTS[name][1]) for name in present),
        tables=(_table(ledger, results.facts.labels),),
    )


def verdict_summary(ledger: pd.DataFrame) -> str:
    """Count the verdicts in one sentence.

    Examples
    --------
    >>> verdict_summary(pd.DataFrame({"verdict": ["reproduced", "reproduced", "not checkable"]}))
    'Of 3 published numbers and findings: 2 reproduced, 1 not checkable.'
    """
    counts = ledger["verdict"].value_counts()
    parts = [f"{counts[name]} {name}" for name in VERDICTS if name in counts]
    return f"Of {len(ledger)} published numbers and findings: {', '.join(parts)}."


def _table(ledger: pd.DataFrame, labels: Mapping[str, str]) -> Table:
    sources = {source: number for number, source in enumerate(dict.fromkeys(ledger["source"].dropna()), start=1)}
    words = _Words(labels, sources, frozenset(ledger["target_id"].dropna()))
    superseded = ledger["verdict"] == Verdict.SUPERSEDED.value
    rate = (ledger["kind"] == TargetKind.NUMBER.value) & ledger["measure"].isin(_RATES) & ~superseded
    p_value = (ledger["measure"] == "p_value") & ~superseded
    groups = (
        ("Response rates, %", rate),
        ("p-values", p_value),
        ("Other numbers and findings", ~(rate | p_value | superseded)),
        ("Superseded numbers", superseded),
    )
    return Table(
        "Published items and what this cohort gives",
        ("Published item", "Arm\nvisit", "Published", "Here\npatients", "Verdict", "Why"),
        tuple(
            _group(heading, ledger[chosen.to_numpy(dtype=bool)], words) for heading, chosen in groups if chosen.any()
        ),
        notes=tuple(f"[{number}] {_kind(ledger, source)}: {source}" for source, number in sources.items()),
        text_columns=frozenset({1, 2, 3, 4, 5}),
    )


@dataclass(frozen=True, slots=True)
class _Words:
    """What a row needs beyond itself: labels of arms, numbers of sources, and identifiers left as they are."""

    labels: Mapping[str, str]
    sources: Mapping[str, int]
    identifiers: frozenset[str]

    def plain(self, text: str) -> str:
        """Spell out codes inside a text, except identifiers of other items, and set true minus signs."""
        spelt = re.sub(r"\b[a-z0-9]+(?:_[a-z0-9]+)+\b", lambda found: self._spell(found[0]), text)
        return re.sub(r"(?<![\w.])-(?=\d)", MINUS, spelt)

    def _spell(self, code: str) -> str:
        if code in self.identifiers:
            return code
        label = variable_label(code).split(",")[0]
        return self.labels.get(code, label if label != in_words(code) else code.replace("_", " "))


def _group(heading: str, rows: pd.DataFrame, words: _Words) -> Group:
    """Make a group; a reason that all its rows share is said once, in the heading."""
    reasons = {_text(reason) for reason in rows["reason"]}
    shared = reasons.pop() if len(rows) > 1 and len(reasons) == 1 else ""
    lines = tuple(_row(row, words, "" if shared else _text(row["reason"])) for _, row in rows.iterrows())
    return Group(lines, f"{heading}: {words.plain(shared)}" if shared else heading)


def _row(row: pd.Series, words: _Words, reason: str) -> Row:
    measure = str(row["measure"])
    name = _p_value_of(_text(row["compares"])) if measure == "p_value" else _measure(measure)
    cited = f" [{words.sources[row['source']]}]" if row["source"] in words.sources else ""
    arm = words.labels.get(_text(row["arm"]), _text(row["arm"])) or "Both arms"
    whole = f"\n{row['responders']:.0f} of {row['assessed']:.0f}" if pd.notna(row["assessed"]) else ""
    sign, _ = VERDICTS[row["verdict"]]
    return Row(
        (
            f"{name}{cited}\n{row['target_id']}",
            f"{arm}{_visit(row['month'])}",
            _text(row["printed"]) or MISSING,
            f"{words.plain(_text(row['reproduced'])) or MISSING}{whole}",
            f"{sign} {in_words(str(row['verdict']))}",
            words.plain(reason),
        ),
        look=str(row["verdict"]) if row["verdict"] in (Verdict.REPRODUCED, Verdict.CONSISTENT) else "other",
    )


def _p_value_of(compares: str) -> str:
    compared = _measure(compares) if compares else ""
    return f"p-value: {compared[:1].lower()}{compared[1:]}" if compared else "p-value"


def _measure(code: str) -> str:
    return _MEASURES.get(code, outcome_label(code))


def _kind(ledger: pd.DataFrame, source: str) -> str:
    status = str(ledger.loc[(ledger["source"] == source).fillna(False), "status"].iloc[0])
    return _STATUSES.get(status, in_words(status))


def _text(value: object) -> str:
    return "" if value is None or pd.isna(value) else str(value)  # type: ignore[call-overload]


def _visit(month: object) -> str:
    text = _text(month)
    if not text:
        return ""
    return f"\n{visit_label(float(text)) if text.replace('.', '', 1).isdigit() else text}"
