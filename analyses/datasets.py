"""Analysis-ready frames of a cohort: one row per patient, per patient and visit, and per patient to the first event."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from cohort.codes import Event
from cohort.definitions import FlareDefinition, ResponseDefinition
from cohort.errors import AnalysisError
from cohort.flare import derive_flares
from cohort.response import derive_responses
from cohort.store import Cohort

DAYS_PER_YEAR = 365.25
HORIZON_YEARS = 5.0
"""Survival analyses end here: follow-up later than the last scheduled visit is cut off."""

_BASELINE_LABS = [
    "upcr_g_g", "serum_creatinine_mg_dl", "egfr_ml_min_1_73m2", "albumin_g_dl", "c3_mg_dl", "c4_mg_dl",
    "anti_dsdna_iu_ml", "hemoglobin_g_dl", "urine_rbc_hpf", "urine_casts", "sledai_2k", "prednisolone_mg_day",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class AnalysisData:
    """What the analyses work on.

    Parameters
    ----------
    baseline
        One row per patient: the patients table, the laboratory values of day 0, and ``index_year``, ``class_v`` (pure
        class V), ``log_upcr``, ``log_creatinine``.
    responses
        One row per patient and visit assessed: ``patient_id, visit_month, response`` and the columns of ``baseline``.
    event_free
        The columns of ``baseline`` and ``years`` to the first of renal flare, ESKD and death or to censoring,
        ``event`` (0, 1) and ``cause`` (0 censored, 1 renal flare, 2 ESKD or death); ``poor_outcome_years`` to the
        first of ESKD and death or to censoring, and ``poor_outcome`` (0, 1). Both are cut at :data:`HORIZON_YEARS`.
    flares
        Renal flares derived from the laboratory values: ``patient_id, day, definition, kind``.
    treated, reference
        Codes of the arms compared.
    months
        Scheduled months, 0 included.
    cohort
        The tables themselves, for what the frames do not hold: every visit, every event.
    """

    baseline: pd.DataFrame
    responses: pd.DataFrame
    event_free: pd.DataFrame
    flares: pd.DataFrame
    treated: str
    reference: str
    months: tuple[int, ...]
    cohort: Cohort


def analysis_data(
    cohort: Cohort, *, treated: str, reference: str, response: ResponseDefinition, flare: FlareDefinition
) -> AnalysisData:
    """Derive responses and flares from raw laboratory values and lay out the analysis frames.

    Parameters
    ----------
    cohort
        Any cohort of the schema.
    treated, reference
        Codes of the two arms compared.
    response, flare
        Definitions.

    Raises
    ------
    AnalysisError
        If an arm has no patients.
    CohortDirectoryError
        If a patient has no baseline visit.
    """
    found = set(cohort.patients["arm"].unique())
    if {treated, reference} - found:
        raise AnalysisError(
            "an arm has no patients",
            where="table patients, column arm",
            got=", ".join(sorted(map(str, found))) or "no rows",
            remedy=f"both {treated} and {reference} are compared",
        )
    baseline = _baseline(cohort)
    responses = derive_responses(cohort.patients, cohort.visits, response)[["patient_id", "visit_month", "response"]]
    flares = derive_flares(cohort.patients, cohort.visits, response, flare)
    months = tuple(sorted(int(month) for month in cohort.visits["visit_month"].dropna().unique()))
    return AnalysisData(
        baseline=baseline,
        responses=responses.merge(baseline, on="patient_id", how="left", validate="many_to_one"),
        event_free=_event_free(baseline, flares, cohort.events),
        flares=flares,
        treated=treated,
        reference=reference,
        months=months,
        cohort=cohort,
    )


def _baseline(cohort: Cohort) -> pd.DataFrame:
    at_start = cohort.visits[cohort.visits["visit_month"].eq(0).fillna(False).astype(bool)]
    frame = cohort.patients.merge(at_start[["patient_id", *_BASELINE_LABS]], on="patient_id", validate="one_to_one")
    return frame.assign(
        index_year=frame["index_date"].dt.year.astype(np.float64),
        class_v=frame["isn_rps_class"].eq("V").astype(bool),
        # A printed 0.00 g/g is anything below 0.005.
        log_upcr=np.log(np.maximum(frame["upcr_g_g"], 0.005)),
        log_creatinine=np.log(frame["serum_creatinine_mg_dl"]),
    )


def _event_free(baseline: pd.DataFrame, flares: pd.DataFrame, events: pd.DataFrame) -> pd.DataFrame:
    """First of flare (as derived), ESKD and death; of events on one day the flare counts first."""
    failures = events.loc[events["event"].isin([Event.ESKD.value, Event.DEATH.value]), ["patient_id", "day"]]
    candidates = pd.concat([flares[["patient_id", "day"]].assign(cause=1), failures.assign(cause=2)])
    first = candidates.sort_values(["day", "cause"], kind="stable").drop_duplicates("patient_id")
    frame = baseline.merge(first, on="patient_id", how="left", validate="one_to_one")
    years, happened = _cut(frame["day"], frame["follow_up_days"])
    poor_day = frame["patient_id"].map(failures.groupby("patient_id")["day"].min())
    poor_years, poor = _cut(poor_day, frame["follow_up_days"])
    return frame.drop(columns="day").assign(
        years=years,
        event=happened.astype(np.int64),
        cause=np.where(happened, frame["cause"].fillna(0), 0).astype(np.int64),
        poor_outcome_years=poor_years,
        poor_outcome=poor.astype(np.int64),
    )


def _cut(
    day: pd.Series[float], follow_up_days: pd.Series[int]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Years to the event or to the end of follow-up, cut at the horizon, and whether the event came by then."""
    seen = day.notna().to_numpy()
    years = np.where(seen, day.to_numpy(), follow_up_days.to_numpy()).astype(np.float64) / DAYS_PER_YEAR
    happened = seen & (years <= HORIZON_YEARS)
    return np.minimum(years, HORIZON_YEARS), happened
