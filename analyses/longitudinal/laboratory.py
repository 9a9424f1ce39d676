"""Laboratory values over the visits as one frame, and the two courses reported: log UPCR and the eGFR slope."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from analyses.datasets import DAYS_PER_YEAR, AnalysisData
from analyses.longitudinal.mixed import fit_mixed
from cohort.codes import Event
from cohort.errors import UsageError
from cohort.results import ResultTable, concat_results
from cohort.schema import VISIT_VALUES

_LOGARITHMS = {"log_upcr": "upcr_g_g", "log_creatinine": "serum_creatinine_mg_dl"}
_LOWEST_UPCR = 0.005
"""A printed 0.00 g/g is anything below it."""


@dataclass(frozen=True, slots=True, eq=False)
class LaboratoryCourse:
    """Measurements of one laboratory value at scheduled visits.

    Attributes
    ----------
    rows
        One row per patient and scheduled visit with the value: ``patient_id, visit_month, day, years`` (since day 0, of
        365.25 days), the value under its own name, and the columns of the baseline frame, of which laboratory values
        are renamed ``baseline_...``. Baseline values may be missing.
    remark
        How many visits are left out and why; empty where none is.
    """

    rows: pd.DataFrame
    remark: str

    def noted(self, table: ResultTable) -> ResultTable:
        """Return ``table`` with the remark at the end of the note of each row."""
        if not self.remark:
            return table
        note = (table.frame["note"] + "; ").fillna("") + self.remark
        return ResultTable(table.frame.assign(note=note), table.metadata)


def laboratory_course(data: AnalysisData, *, column: str) -> LaboratoryCourse:
    """Lay out one laboratory value at the scheduled visits, month 0 included.

    Unscheduled visits are left out, since they happen because of what they find: a flare. So are visits after kidney
    failure, whose values are those of dialysis or of a transplant, and visits without the value; the last two are
    counted.

    Parameters
    ----------
    data
        Analysis frames.
    column
        A laboratory column of ``visits``, or ``log_upcr`` or ``log_creatinine`` (natural logarithms; a UPCR printed
        as 0.00 counts as 0.005).

    Returns
    -------
    LaboratoryCourse
        The remark reads ``left out of 800 scheduled visits: 12 without upcr_g_g, 3 after kidney failure``.

    Raises
    ------
    UsageError
        Unknown ``column``.
    """
    source = _LOGARITHMS.get(column, column)
    if source not in VISIT_VALUES:
        raise UsageError(
            "not a laboratory value",
            where="laboratory_course, column",
            got=column,
            remedy=f"use one of {', '.join((*VISIT_VALUES, *_LOGARITHMS))}",
        )
    visits = data.cohort.visits
    scheduled = visits.loc[visits["visit_month"].notna(), ["patient_id", "visit_month", "day", source]]
    events = data.cohort.events
    failed = events.loc[events["event"] == Event.ESKD.value].groupby("patient_id")["day"].min()
    after = (scheduled["day"] > scheduled["patient_id"].map(failed)).to_numpy(dtype=bool, na_value=False)
    lacking = scheduled[source].isna().to_numpy(dtype=bool)
    kept = scheduled[~after & ~lacking]
    value = kept[source].to_numpy(dtype=np.float64)
    if column in _LOGARITHMS:
        value = np.log(np.maximum(value, _LOWEST_UPCR) if column == "log_upcr" else value)
    measured = pd.DataFrame(
        {
            "patient_id": kept["patient_id"].to_numpy(),
            "visit_month": kept["visit_month"].to_numpy(dtype=np.int64),
            "day": kept["day"].to_numpy(dtype=np.int64),
            "years": kept["day"].to_numpy(dtype=np.float64) / DAYS_PER_YEAR,
            column: value,
        }
    )
    baseline = data.baseline.rename(columns={name: f"baseline_{name}" for name in (*VISIT_VALUES, *_LOGARITHMS)})
    rows = measured.merge(baseline, on="patient_id", how="inner", validate="many_to_one")
    return LaboratoryCourse(rows, _remark(len(scheduled), int((lacking & ~after).sum()), int(after.sum()), source))


def _remark(visits: int, lacking: int, after: int, source: str) -> str:
    reasons = [
        text
        for number, text in ((lacking, f"{lacking} without {source}"), (after, f"{after} after kidney failure"))
        if number
    ]
    return f"left out of {visits} scheduled visits: {', '.join(reasons)}" if reasons else ""


def proteinuria_course(data: AnalysisData, *, conf_level: float = 0.95) -> ResultTable:
    """Mean log UPCR of each arm at each visit, by a mixed model with a random intercept of each patient.

    Parameters
    ----------
    data
        Analysis frames.
    conf_level
        Confidence level of the intervals.

    Returns
    -------
    ResultTable
        Rows ``mean`` per ``group`` and ``time`` (month) and, with two arms, ``mean_difference`` per ``contrast`` and
        time, on the scale of the natural logarithm of g/g: the exponential of a difference is a ratio of geometric
        means. Day 0 is among the times, so that the arms' difference at baseline stands beside the later ones. The
        random intercept lets any two visits of a patient correlate alike. Missing visits do no harm where being seen
        depends on nothing but arm and the values seen.
    """
    course = laboratory_course(data, column="log_upcr")
    arm = "" if data.reference is None else "arm * "
    fit = fit_mixed(course.rows, f"log_upcr ~ {arm}C(visit_month)", subject_col="patient_id", conf_level=conf_level)
    table = fit.trajectory(group_col=_arm_column(data), time_col="visit_month", reference=data.reference)
    return course.noted(_of_the_arm(data, _titled(table, time_unit="month", term="log_upcr")))


def egfr_slopes(data: AnalysisData, *, conf_level: float = 0.95) -> ResultTable:
    """Mean slope of eGFR in each arm and their difference, by a mixed model with random intercepts and slopes.

    Where nobody has more than two visits, a line of each patient's own cannot be told from scatter: the intercept alone
    is random then, as ``method`` says.

    Parameters
    ----------
    data, conf_level
        As for :func:`proteinuria_course`.

    Returns
    -------
    ResultTable
        Rows ``slope`` per ``group`` and, with two arms, ``slope_difference``, in mL/min/1.73 m2 per year, by the actual
        days of visits from day 0 to the last; then the model's ``variance`` and ``correlation`` rows. A straight line
        over the first months after an induction is an approximation: read it beside the values by visit.
    """
    course = laboratory_course(data, column="egfr_ml_min_1_73m2")
    arm = "" if data.reference is None else "arm * "
    visits = int(course.rows.groupby("patient_id").size().max()) if len(course.rows) else 0
    fit = fit_mixed(
        course.rows,
        f"egfr_ml_min_1_73m2 ~ {arm}years",
        subject_col="patient_id",
        random="1 + years" if visits > 2 else "1",
        conf_level=conf_level,
    )
    slopes = _of_the_arm(data, fit.slopes(group_col=_arm_column(data), time_col="years", reference=data.reference))
    table = concat_results([slopes, fit.variance_components()], metadata=slopes.metadata)
    return course.noted(_titled(table))


def _arm_column(data: AnalysisData) -> str | None:
    return None if data.reference is None else "arm"


def _of_the_arm(data: AnalysisData, table: ResultTable) -> ResultTable:
    """Name the arm of a cohort of one, which its model does not know."""
    return table if data.reference is not None else _titled(table, group=data.treated)


def _titled(table: ResultTable, **columns: str) -> ResultTable:
    return ResultTable(table.frame.assign(**columns).astype(table.frame.dtypes), table.metadata)
