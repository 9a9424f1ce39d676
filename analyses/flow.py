"""Patient flow: who is assessed at each visit, who is not and why, and in which response state."""

from __future__ import annotations

import pandas as pd

from analyses.datasets import AnalysisData
from cohort.codes import EndReason, Response
from cohort.results import ResultTable, result_table

NOT_ASSESSED = "not assessed"
MISSED = "missed visit"
NOT_ASSESSABLE = "not assessable"
"""Seen at the visit, without the laboratory values that would decide the response."""


_TERMS = (
    "assessed", NOT_ASSESSABLE, EndReason.DATA_LOCK.value, EndReason.LOST.value, EndReason.DEATH.value, MISSED,
)  # fmt: skip


def patient_flow(data: AnalysisData) -> ResultTable:
    """Count, per arm and scheduled month, patients assessed and those not assessed by reason.

    Returns
    -------
    ResultTable
        ``statistic="count"``, ``group`` arm, ``time`` month; ``term`` is ``enrolled`` (month 0 only), ``assessed``,
        the reason follow-up ended (``data_lock``, ``lost_to_follow_up``, ``death``) for patients seen neither then nor
        later, ``missed visit`` for patients seen again later or followed to the end, or ``not assessable`` for patients
        seen at the visit without the values that would decide the response. ``n`` is the arm's size, and the terms of a
        month sum to it.
    """
    columns = ["patient_id", "visit_month"]
    assessed = data.responses[columns].astype({"visit_month": "int64"})
    seen = pd.concat([assessed, data.not_assessable[columns]]).astype({"visit_month": "int64"})
    last = seen.groupby("patient_id")["visit_month"].max()
    rows: list[dict[str, object]] = []
    for arm, members in data.baseline.groupby("arm"):
        rows.append({"group": arm, "time": 0, "term": "enrolled", "estimate": len(members), "n": len(members)})
        for month in data.months[1:]:
            present, judged = (
                members["patient_id"].isin(frame.loc[frame["visit_month"] == month, "patient_id"])
                for frame in (seen, assessed)
            )
            gone = members["patient_id"].map(last).fillna(0) < month
            reason = members["end_reason"].where(gone & (members["end_reason"] != EndReason.COMPLETED.value), MISSED)
            counts = reason.where(~present, NOT_ASSESSABLE).where(~judged, "assessed").value_counts()
            for term in _TERMS:
                rows.append(
                    {"group": arm, "time": month, "term": term, "estimate": counts.get(term, 0), "n": len(members)}
                )
    return result_table(rows, analysis="describe", population="all patients", time_unit="month", statistic="count")


def responses_not_assessable(data: AnalysisData) -> ResultTable:
    """Count, per arm and month, the visits attended without the values that would decide the response, and say which.

    Returns
    -------
    ResultTable
        ``statistic="count"``, ``group`` arm, ``time`` month, ``n`` the patients seen at the visit; ``term`` is ``all``
        (also where there is none) or the values that are missing, for instance ``creatinine; UPCR at baseline``.
    """
    rows: list[dict[str, object]] = []
    for arm in data.baseline["arm"].drop_duplicates().sort_values():
        for month in data.months[1:]:
            judged, lacking = (
                frame[(frame["arm"] == arm) & (frame["visit_month"] == month)]
                for frame in (data.responses, data.not_assessable)
            )
            row = {"group": arm, "time": month, "n": len(judged) + len(lacking)}
            rows.append({**row, "term": "all", "estimate": len(lacking)})
            counts = lacking["lacking"].value_counts().sort_index()
            rows.extend({**row, "term": values, "estimate": number} for values, number in counts.items())
    return result_table(rows, analysis="describe", population="all patients", time_unit="month", statistic="count")


def missing_values(data: AnalysisData) -> ResultTable:
    """Count, per arm, the visits at which each value is missing, scheduled or not.

    Returns
    -------
    ResultTable
        ``statistic="missing"``, ``group`` arm, ``term`` the column of visits, ``n`` the visits of the arm.
    """
    frame = data.missing.rename(columns={"arm": "group", "column": "term", "missing": "estimate", "visits": "n"})
    return result_table(frame, analysis="describe", population="all visits", statistic="missing")


def response_states(data: AnalysisData) -> ResultTable:
    """Count response states of all enrolled patients at each visit after day 0.

    Returns
    -------
    ResultTable
        Per ``group`` (arm), ``time`` (month) and ``term`` (``CR``, ``PR``, ``NR``, ``not assessed``) a row
        ``statistic="count"`` and a row ``statistic="proportion"`` of the ``n`` patients enrolled in the arm. Patients
        seen without the values that would decide are not assessed; :func:`patient_flow` tells them apart.
    """
    rows: list[dict[str, object]] = []
    order = [*(code.value for code in Response), NOT_ASSESSED]
    for arm, members in data.baseline.groupby("arm"):
        size = len(members)
        for month in data.months[1:]:
            at_visit = (data.responses["visit_month"] == month) & (data.responses["arm"] == arm)
            counts = data.responses.loc[at_visit, "response"].value_counts()
            counts[NOT_ASSESSED] = size - counts.sum()
            for term in order:
                number = int(counts.get(term, 0))
                row = {"group": arm, "time": month, "term": term, "n": size, "n_events": number}
                rows.append({**row, "statistic": "count", "estimate": number})
                rows.append({**row, "statistic": "proportion", "estimate": number / size})
    return result_table(rows, analysis="response", population="all patients", time_unit="month")


def response_counts(data: AnalysisData) -> pd.DataFrame:
    """Return ``arm, month, assessed, complete, partial, none``, one row per arm and visit."""
    wide = (
        data.responses.groupby(["arm", "visit_month"])["response"]
        .value_counts()
        .unstack(fill_value=0)
        .reindex(columns=[code.value for code in Response], fill_value=0)
    )
    wide.columns = pd.Index(["complete", "partial", "none"])
    return (
        wide.assign(assessed=wide.sum(axis=1))
        .rename_axis(["arm", "month"])
        .reset_index()[["arm", "month", "assessed", "complete", "partial", "none"]]
    )
