"""Who starts a drug during follow-up, and when, from the exposure rows of a cohort."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from analyses.datasets import MONTHS_PER_YEAR, AnalysisData
from cohort.codes import DAYS_PER_MONTH, Drug
from cohort.errors import UsageError
from cohort.schema import VISIT_VALUES


@dataclass(frozen=True, slots=True)
class TreatmentStarts:
    """Patients not yet treated at day 0.

    Attributes
    ----------
    rows
        One row per patient: ``start_months`` (missing for those who did not start before the event or the end of
        follow-up), ``months`` to the first of renal flare, ESKD and death or to censoring, ``event`` (0, 1), and the
        columns of the baseline.
    visits
        One row per visit of these patients: ``patient_id``, ``month`` and the laboratory values, missing where not
        measured, with ``log_upcr`` and ``log_creatinine``.
    counts
        ``reason, patients``: patients left out by reason, and of those kept how many started, never did, or did only
        after the event or the end of follow-up.
    """

    rows: pd.DataFrame
    visits: pd.DataFrame
    counts: pd.DataFrame


def treatment_starts(data: AnalysisData, *, drug: str = Drug.TACROLIMUS, grace_days: int = 0) -> TreatmentStarts:
    """Find the first start of a drug after day 0.

    Parameters
    ----------
    data
        Analysis frames of a cohort, the arms of which are not looked at.
    drug
        A drug of the treatments table.
    grace_days
        A start up to this day is one at the index date: such patients are left out, as are those whose drug began
        before it, since for them follow-up does not begin untreated.

    Returns
    -------
    TreatmentStarts
        Months of 365.25 / 12 days. ``rows`` is empty where everybody is treated from the beginning.

    Raises
    ------
    UsageError
        Unknown drug, negative ``grace_days``.

    References
    ----------
    Hernán MA, et al. Specifying a target trial prevents immortal time bias. J Clin Epidemiol 2016;79:70-75.
    doi:10.1016/j.jclinepi.2016.04.014
    """
    if drug not in list(Drug):
        raise UsageError(
            "no such drug",
            where="treatment_starts, drug",
            got=repr(drug),
            remedy=f"use one of {', '.join(Drug)}",
        )
    if grace_days < 0:
        raise UsageError("must not be negative", where="treatment_starts, grace_days", got=str(grace_days))
    exposures = data.cohort.treatments
    first = exposures[exposures["drug"].eq(drug).to_numpy(dtype=bool)].groupby("patient_id")["start_day"].min()
    frame = data.event_free.reset_index(drop=True)
    day = frame["patient_id"].map(first).to_numpy(dtype=np.float64, na_value=np.nan)
    months = frame["years"].to_numpy(dtype=np.float64) * MONTHS_PER_YEAR
    treated, followed = day <= grace_days, months > 0
    kept = ~treated & followed
    start = day / DAYS_PER_MONTH
    late = ~np.isnan(day) & (start >= months)
    surplus = ["years", "cause", "poor_outcome_years", "poor_outcome"]
    rows = (
        frame[kept].drop(columns=surplus).assign(start_months=np.where(late, np.nan, start)[kept], months=months[kept])
    )
    leading = ["patient_id", "start_months", "months", "event"]
    reasons = {
        "left out: treated from the beginning": treated,
        "left out: no follow-up": ~treated & ~followed,
        "started during follow-up": kept & ~np.isnan(day) & ~late,
        "started after the event or the end of follow-up": kept & late,
        "never started": kept & np.isnan(day),
    }
    counts = pd.DataFrame({"reason": list(reasons), "patients": [int(which.sum()) for which in reasons.values()]})
    ordered = rows[[*leading, *(name for name in rows.columns if name not in leading)]].reset_index(drop=True)
    return TreatmentStarts(ordered, _visits(data, ordered["patient_id"]), counts)


def _visits(data: AnalysisData, patients: pd.Series[str]) -> pd.DataFrame:
    seen = data.cohort.visits[data.cohort.visits["patient_id"].isin(patients).to_numpy()]
    values = seen[["patient_id", *VISIT_VALUES]]
    return values.assign(
        month=seen["day"] / DAYS_PER_MONTH,
        # A printed 0.00 g/g is anything below 0.005.
        log_upcr=np.log(np.maximum(seen["upcr_g_g"], 0.005)),
        log_creatinine=np.log(seen["serum_creatinine_mg_dl"]),
    ).reset_index(drop=True)
