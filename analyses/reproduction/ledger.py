"""The ledger: every published number and finding, what the cohort gives instead, and a verdict."""

from __future__ import annotations

import pandas as pd

from analyses.datasets import AnalysisData
from analyses.flow import response_counts
from analyses.reproduction.entry import Entry, Verdict
from analyses.reproduction.findings import judge_finding
from analyses.reproduction.numbers import judge_number
from cohort.audit import audit_study
from cohort.codes import Status
from cohort.record import RESPONSE_MEASURES, Study, Target, TargetKind
from cohort.store import Cohort

LEDGER_COLUMNS = (
    "target_id", "kind", "measure", "compares", "arm", "month", "status", "source", "printed", "reproduced",
    "responders", "assessed", "verdict", "reason",
)  # fmt: skip
"""Columns of the ledger; text but for ``month, responders, assessed``, which are nullable integers."""

__all__ = ["LEDGER_COLUMNS", "Verdict", "reproduction_ledger", "unmet_rates"]


def reproduction_ledger(study: Study, data: AnalysisData, cohort: Cohort) -> pd.DataFrame:
    """Compare every target of a study with what a cohort gives.

    Parameters
    ----------
    study
        Published record.
    data
        Analysis frames of the cohort: responses and flares derived from raw laboratory values.
    cohort
        The tables the frames come from.

    Returns
    -------
    pandas.DataFrame
        One row per target, in the order of the study file, columns :data:`LEDGER_COLUMNS`. ``kind`` is ``number`` or
        ``finding``; ``compares`` is the measure that a p-value compares, missing elsewhere. ``responders`` out of
        ``assessed`` are the whole patients behind a reproduced rate. ``verdict`` is one of :class:`Verdict`:
        ``reproduced`` (gives the printed decimals), ``consistent`` (a finding in words holds), ``not attainable by the
        listed tests`` (a printed p-value that no listed test gives at any admissible counts), ``superseded`` (replaced
        or repeated in a later text), ``not reproduced``, ``not checkable`` (print gives too little to compare with).
    """
    counts = response_counts(data)
    audited = audit_study(study).p_values.set_index("target_id")
    rows = []
    for target in study.targets:
        if target.kind is TargetKind.NUMBER:
            entry = judge_number(target, study, counts, audited, data, cohort)
        else:
            entry = judge_finding(target, data, cohort)
        rows.append(_row(target, study, _superseded(entry, target, study)))
    frame = pd.DataFrame(rows, columns=list(LEDGER_COLUMNS))
    whole = dict.fromkeys(("month", "responders", "assessed"), "Int64")
    return frame.astype(whole | dict.fromkeys((name for name in LEDGER_COLUMNS if name not in whole), "string"))


def unmet_rates(ledger: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of reported response rates that the cohort does not give to their printed decimals.

    A rate whose visit nobody attends is among them; a finding in words about response is not.
    """
    rate = (ledger["kind"] == TargetKind.NUMBER.value) & ledger["measure"].isin(list(RESPONSE_MEASURES))
    printed = rate & (ledger["status"] == Status.REPORTED.value)
    return ledger[printed & (ledger["verdict"] == Verdict.NOT_REPRODUCED.value)]


def _superseded(entry: Entry, target: Target, study: Study) -> Entry:
    if target.superseded_by is None:
        return entry
    later = study.target(target.superseded_by)
    said = later.value if later.value is not None else later.statement
    change = "repeated" if target.value is not None and later.value == target.value else "replaced"
    reason = f"{change} in a later text by {later.id} ({said})"
    return Entry(Verdict.SUPERSEDED, reason, entry.reproduced, entry.responders, entry.assessed)


def _row(target: Target, study: Study, entry: Entry) -> tuple[object, ...]:
    # A finding with a threshold prints its sentence, which holds the number.
    printed = target.statement if target.statement is not None else target.printed
    return (
        target.id,
        target.kind.value,
        target.measure.value,
        None if target.compares is None else target.compares.value,
        target.arm,
        target.month,
        target.status.value,
        study.source(target.source).citation,
        printed,
        entry.reproduced,
        entry.responders,
        entry.assessed,
        entry.verdict.value,
        entry.reason,
    )
