"""Single patients, chosen by rule: their laboratory values over time, and the course of response of thirty."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from analyses.datasets import AnalysisData
from cohort.codes import DAYS_PER_MONTH, Event
from cohort.results import ResultTable, result_table

EXAMPLES_PER_ARM = 4
"""Patients of an arm whose laboratory values are shown: half with a renal flare, half without."""
COURSES_PER_ARM = 15
"""Patients of an arm in the swimmer plot."""
FEWEST_VISITS = 4
"""Scheduled visits that an example has at least, so that there is a course to see."""
SHOWN_LABORATORY = ("upcr_g_g", "serum_creatinine_mg_dl", "c3_mg_dl", "anti_dsdna_iu_ml")
NOT_YET_ASSESSED = "not yet assessed"
MARKED_EVENTS = (Event.RENAL_FLARE.value, Event.ESKD.value, Event.DEATH.value)

Row = dict[str, object]


def example_trajectories(data: AnalysisData) -> ResultTable:
    """Lay out laboratory values of some patients.

    The rule: in each arm, in the order of ``patient_id``, the first two patients with a renal flare and the first two
    without, among those with at least four scheduled visits. Nothing is drawn at random.

    Parameters
    ----------
    data
        Analysis frames.

    Returns
    -------
    ResultTable
        ``population`` the patient, ``group`` the arm, ``time`` in months from day 0: rows ``laboratory_value`` by
        ``term`` (UPCR, creatinine, C3, anti-dsDNA) at every visit at which it was measured, and rows ``event`` with
        ``term`` "renal_flare".
    """
    chosen = _example_patients(data)
    visits = data.cohort.visits.merge(chosen, on="patient_id").sort_values(["place", "day"], kind="stable")
    flares = data.flares.merge(chosen, on="patient_id").sort_values(["place", "day"], kind="stable")
    rows: list[Row] = []
    for name in SHOWN_LABORATORY:
        observed = visits[visits[name].notna()]
        rows.extend(_timed(observed) | {"term": name, "statistic": "laboratory_value", "estimate": float(value)}
                    for observed, value in zip(_records(observed), observed[name], strict=True))  # fmt: skip
    rows.extend(_timed(row) | {"term": Event.RENAL_FLARE.value, "statistic": "event"} for row in _records(flares))
    return result_table(rows, analysis="realism", time_unit="month")


def example_courses(data: AnalysisData) -> ResultTable:
    """Lay out follow-up, response states and events of the first patients of each arm.

    The rule: the first 15 patients of each arm in the order of ``patient_id``. Nothing is drawn at random.

    Parameters
    ----------
    data
        Analysis frames.

    Returns
    -------
    ResultTable
        ``population`` the patient, ``group`` the arm, ``time`` in months from day 0:

        - ``months_in_state``: ``term`` (``CR``, ``PR``, ``NR``; before the first assessment "not yet assessed") holds
          from ``time`` for ``estimate`` months, from one assessment to the next or to the end of follow-up; after a
          renal flare the patient counts as not yet assessed until the next scheduled visit;
        - ``event``: ``term`` "renal_flare" (as derived), "eskd" or "death";
        - ``end_of_follow_up``: ``term`` the reason.
    """
    ordered = data.baseline.sort_values("patient_id", kind="stable")
    chosen = _placed(ordered.groupby("arm", sort=True).head(COURSES_PER_ARM).sort_values("arm", kind="stable"))
    ends = chosen.merge(data.baseline[["patient_id", "follow_up_days", "end_reason"]], on="patient_id")
    rows = list(_state_rows(data, ends))
    for row in _records(_marks(data).merge(chosen, on="patient_id").sort_values(["place", "day"], kind="stable")):
        rows.append(_timed(row) | {"term": row["event"], "statistic": "event"})
    for row in _records(ends.rename(columns={"follow_up_days": "day"})):
        rows.append(_timed(row) | {"term": row["end_reason"], "statistic": "end_of_follow_up"})
    return result_table(rows, analysis="realism", time_unit="month")


def _records(frame: pd.DataFrame) -> list[dict[str, object]]:
    return [{str(key): value for key, value in row.items()} for row in frame.to_dict("records")]


def _timed(row: Row) -> Row:
    return {"population": row["patient_id"], "group": row["arm"], "time": float(str(row["day"])) / DAYS_PER_MONTH}


def _placed(patients: pd.DataFrame) -> pd.DataFrame:
    return patients[["patient_id", "arm"]].assign(place=np.arange(len(patients)))


def _example_patients(data: AnalysisData) -> pd.DataFrame:
    attended = data.cohort.visits.loc[data.cohort.visits["visit_month"].notna(), "patient_id"].value_counts()
    ordered = data.baseline.sort_values("patient_id", kind="stable")
    ordered = ordered[ordered["patient_id"].map(attended).fillna(0).to_numpy() >= FEWEST_VISITS]
    flared = ordered["patient_id"].isin(data.flares["patient_id"])
    kinds = [ordered[own].groupby("arm").head(EXAMPLES_PER_ARM // 2) for own in (flared, ~flared)]
    return _placed(pd.concat(kinds).sort_values("arm", kind="stable"))


def _marks(data: AnalysisData) -> pd.DataFrame:
    flares = data.flares[["patient_id", "day"]].assign(event=Event.RENAL_FLARE.value)
    failures = data.cohort.events[data.cohort.events["event"].isin([Event.ESKD.value, Event.DEATH.value])]
    return pd.concat([flares, failures[["patient_id", "day", "event"]]], ignore_index=True)


def _state_rows(data: AnalysisData, ends: pd.DataFrame) -> Iterator[Row]:
    days = data.cohort.visits[["patient_id", "visit_month", "day"]].dropna(subset=["visit_month"])
    assessed = data.responses[["patient_id", "visit_month", "response"]].merge(days, on=["patient_id", "visit_month"])
    reopened = data.flares[["patient_id", "day"]].assign(response=NOT_YET_ASSESSED)
    # A flare on the day of a scheduled visit is judged by that visit: the assessment comes last.
    changes = pd.concat([reopened, assessed[["patient_id", "day", "response"]]], ignore_index=True)
    latest = changes.drop_duplicates(["patient_id", "day"], keep="last").sort_values("day", kind="stable")
    by_patient = {str(name): own for name, own in latest.groupby("patient_id")}
    for row in _records(ends):
        own = by_patient.get(str(row["patient_id"]), latest.iloc[:0])
        starts = [0, *map(int, own["day"])]
        stops = [*starts[1:], max(int(str(row["follow_up_days"])), starts[-1])]
        for state, start, stop in zip([NOT_YET_ASSESSED, *own["response"]], starts, stops, strict=True):
            if stop > start:
                shared = {"term": str(state), "statistic": "months_in_state"}
                yield _timed(row | {"day": start}) | shared | {"estimate": (stop - start) / DAYS_PER_MONTH}
