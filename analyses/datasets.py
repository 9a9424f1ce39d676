"""Analysis-ready frames of a cohort: one row per patient, per patient and visit, and per patient to the first event."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from analyses.design import ELIGIBLE, Specification, apply_criteria, load_design
from cohort.codes import Event
from cohort.definitions import FlareDefinition, ResponseDefinition
from cohort.errors import AnalysisError
from cohort.flare import derive_flares
from cohort.response import JUDGED_BY, MISSING_VALUES, derive_responses
from cohort.results import ResultTable, result_table
from cohort.schema import VISIT_VALUES
from cohort.store import Cohort

DAYS_PER_YEAR = 365.25
MONTHS_PER_YEAR = 12


@dataclass(frozen=True, slots=True)
class AnalysisData:
    """What the analyses work on.

    Parameters
    ----------
    baseline
        One row per patient: the patients table, the laboratory values of day 0, and ``index_year``, ``class_v`` (pure
        class V), ``log_upcr``, ``log_creatinine``. Laboratory values may be missing.
    responses
        One row per patient and visit assessed: ``patient_id, visit_month, response``, ``all_measured`` (whether none of
        the values response is judged by is missing, at the visit or at baseline) and the columns of ``baseline``.
    not_assessable
        One row per patient and scheduled visit that was attended without the values that would decide the response:
        ``patient_id, arm, visit_month, lacking`` (which values, in words). Such a visit has no row in ``responses``.
    missing
        How often each value is missing at the visits of each arm: ``arm, column, visits, missing``.
    event_free
        The columns of ``baseline`` and ``years`` to the first of renal flare, ESKD and death or to censoring,
        ``event`` (0, 1) and ``cause`` (0 censored, 1 renal flare, 2 ESKD or death); ``poor_outcome_years`` to the
        first of ESKD and death or to censoring, and ``poor_outcome`` (0, 1). Both are cut at ``horizon_years``.
    flares
        Renal flares derived from the laboratory values: ``patient_id, day, definition, kind``. One that only missing
        values would have shown is not among them.
    treated, reference
        Codes of the arms compared; ``reference`` is ``None`` where there is one arm, ``treated``.
    months
        Scheduled months, 0 included.
    horizon_years
        The last of them in years, where survival analyses end: later follow-up is cut off.
    cohort
        The tables themselves, for what the frames do not hold: every visit, every event.
    design
        The design of the comparison: eligibility, estimand, what is adjusted for.
    eligibility
        How the patients of these arms were judged by its criteria; see :func:`analyses.design.apply_criteria`. Empty in
        frames laid out otherwise than by :func:`analysis_data`.
    """

    baseline: pd.DataFrame
    responses: pd.DataFrame
    not_assessable: pd.DataFrame
    missing: pd.DataFrame
    event_free: pd.DataFrame
    flares: pd.DataFrame
    treated: str
    reference: str | None
    months: tuple[int, ...]
    horizon_years: float
    cohort: Cohort
    design: Specification = field(default_factory=lambda: load_design("observational"))
    eligibility: ResultTable = field(default_factory=lambda: result_table([], statistic="count"))


def analysis_data(
    cohort: Cohort,
    *,
    treated: str,
    reference: str | None,
    response: ResponseDefinition,
    flare: FlareDefinition,
    design: Specification | None = None,
) -> AnalysisData:
    """Choose the eligible, derive responses and flares from raw laboratory values, lay out the analysis frames.

    Parameters
    ----------
    cohort
        Any cohort of the schema.
    treated, reference
        Codes of the two arms compared, patients of other arms being left out; without a ``reference``, one arm is laid
        out.
    response, flare
        Definitions.
    design
        The design of the comparison, by default the one carried for observational studies. Patients that do not meet
        its criteria are left out of every frame.

    Raises
    ------
    AnalysisError
        If an arm has no patients, or none that is eligible.
    CohortDirectoryError
        If a patient has no baseline visit.
    """
    found = set(cohort.patients["arm"].unique())
    wanted = [treated] if reference is None else [treated, reference]
    if set(wanted) - found:
        raise AnalysisError(
            "an arm has no patients",
            where="table patients, column arm",
            got=", ".join(sorted(map(str, found))) or "no rows",
            remedy=f"both {treated} and {reference} are compared" if reference else f"{treated} is analysed",
        )
    if found - set(wanted):
        cohort = _of_patients(cohort, cohort.patients.loc[cohort.patients["arm"].isin(wanted), "patient_id"])
    design = load_design("observational") if design is None else design
    baseline = _baseline(cohort)
    eligible = apply_criteria(baseline, design.eligibility)
    if len(eligible.data) < len(baseline):
        _require_every_arm(eligible.flow, design)
        baseline = eligible.data.reset_index(drop=True)
        cohort = _of_patients(cohort, baseline["patient_id"])
    judged = derive_responses(cohort.patients, cohort.visits, response).merge(
        _measured(cohort.visits), on=["patient_id", "visit_month"]
    )
    assessed = judged["response"].notna().to_numpy()
    flares = derive_flares(cohort.patients, cohort.visits, response, flare)
    months = tuple(sorted(int(month) for month in cohort.visits["visit_month"].dropna().unique()))
    horizon_years = months[-1] / MONTHS_PER_YEAR
    return AnalysisData(
        baseline=baseline,
        responses=judged.loc[assessed, ["patient_id", "visit_month", "response", "all_measured"]].merge(
            baseline, on="patient_id", how="left", validate="many_to_one"
        ),
        not_assessable=_not_assessable(judged[~assessed], baseline),
        missing=_missing(cohort),
        event_free=first_events(baseline, flares, cohort.events, horizon_years),
        flares=flares,
        treated=treated,
        reference=reference,
        months=months,
        horizon_years=horizon_years,
        cohort=cohort,
        design=design,
        eligibility=eligible.flow,
    )


def _require_every_arm(flow: ResultTable, design: Specification) -> None:
    counts = flow.frame[flow.frame["group"].notna().to_numpy() & flow.frame["term"].eq(ELIGIBLE).to_numpy()]
    nobody = counts.loc[counts["estimate"].eq(0).to_numpy(), "group"].tolist()
    if nobody:
        raise AnalysisError(
            "nobody is eligible",
            where=f"design {design.name}, arm {', '.join(nobody)}",
            got="; ".join(one.reason for one in design.eligibility),
            remedy="check the columns of the criteria, or name another design",
        )


def _of_patients(cohort: Cohort, ids: pd.Series[str]) -> Cohort:
    """Return some patients with all that is on record of them."""

    def theirs(frame: pd.DataFrame) -> pd.DataFrame:
        return frame[frame["patient_id"].isin(ids)].reset_index(drop=True)

    return replace(
        cohort,
        patients=theirs(cohort.patients),
        visits=theirs(cohort.visits),
        treatments=theirs(cohort.treatments),
        events=theirs(cohort.events),
    )


def _measured(visits: pd.DataFrame) -> pd.DataFrame:
    """Whether each scheduled visit, and the patient's baseline visit, has all that response is judged by."""
    scheduled = visits[visits["visit_month"].notna()].astype({"visit_month": "int64"})
    complete = scheduled[list(JUDGED_BY)].notna().all(axis="columns")
    at_start = scheduled.loc[complete & (scheduled["visit_month"] == 0), "patient_id"]
    measured = scheduled[["patient_id", "visit_month"]]
    return measured.assign(all_measured=complete & measured["patient_id"].isin(at_start))


def _not_assessable(judged: pd.DataFrame, baseline: pd.DataFrame) -> pd.DataFrame:
    named = judged.assign(lacking=judged["reason"].str.removeprefix(MISSING_VALUES))
    arms = baseline[["patient_id", "arm"]]
    return named.merge(arms, on="patient_id", validate="many_to_one")[["patient_id", "arm", "visit_month", "lacking"]]


def _missing(cohort: Cohort) -> pd.DataFrame:
    arm = cohort.visits["patient_id"].map(cohort.patients.set_index("patient_id")["arm"])
    by_arm = cohort.visits[list(VISIT_VALUES)].isna().groupby(arm.to_numpy())
    counts = by_arm.sum().rename_axis("arm").melt(ignore_index=False, var_name="column", value_name="missing")
    return counts.assign(visits=by_arm.size().reindex(counts.index)).reset_index()[
        ["arm", "column", "visits", "missing"]
    ]


def _baseline(cohort: Cohort) -> pd.DataFrame:
    at_start = cohort.visits[cohort.visits["visit_month"].eq(0).fillna(False).astype(bool)]
    frame = cohort.patients.merge(at_start[["patient_id", *VISIT_VALUES]], on="patient_id", validate="one_to_one")
    return frame.assign(
        index_year=frame["index_date"].dt.year.astype(np.float64),
        class_v=frame["isn_rps_class"].eq("V").astype(bool),
        # A printed 0.00 g/g is anything below 0.005.
        log_upcr=np.log(np.maximum(frame["upcr_g_g"], 0.005)),
        log_creatinine=np.log(frame["serum_creatinine_mg_dl"]),
    )


def first_events(
    baseline: pd.DataFrame, flares: pd.DataFrame, events: pd.DataFrame, horizon_years: float
) -> pd.DataFrame:
    """Return the frame ``event_free`` of :class:`AnalysisData` for some flares; on one day the flare counts first."""
    failures = events.loc[events["event"].isin([Event.ESKD.value, Event.DEATH.value]), ["patient_id", "day"]]
    candidates = pd.concat([flares[["patient_id", "day"]].assign(cause=1), failures.assign(cause=2)])
    first = candidates.sort_values(["day", "cause"], kind="stable").drop_duplicates("patient_id")
    frame = baseline.merge(first, on="patient_id", how="left", validate="one_to_one")
    years, happened = cut_at_horizon(frame["day"], frame["follow_up_days"], horizon_years)
    poor_day = frame["patient_id"].map(failures.groupby("patient_id")["day"].min())
    poor_years, poor = cut_at_horizon(poor_day, frame["follow_up_days"], horizon_years)
    return frame.drop(columns="day").assign(
        years=years,
        event=happened.astype(np.int64),
        cause=np.where(happened, frame["cause"].fillna(0), 0).astype(np.int64),
        poor_outcome_years=poor_years,
        poor_outcome=poor.astype(np.int64),
    )


def cut_at_horizon(
    day: pd.Series[float], follow_up_days: pd.Series[int], horizon_years: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Return years to the event or to the end of follow-up, cut at the horizon, and whether the event came by then."""
    seen = day.notna().to_numpy()
    years = np.where(seen, day.to_numpy(), follow_up_days.to_numpy()).astype(np.float64) / DAYS_PER_YEAR
    happened = seen & (years <= horizon_years)
    return np.minimum(years, horizon_years), happened
