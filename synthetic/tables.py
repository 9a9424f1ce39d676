"""A drawn story laid out as the tables of the schema."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from cohort.codes import Ethnicity, Response, Sex
from cohort.egfr import ckd_epi_2021
from cohort.response import IntArray
from cohort.schema import EVENTS, PATIENTS, TREATMENTS, TRUTH_OUTCOMES, TRUTH_PATIENTS, TRUTH_RESPONSES, VISITS
from cohort.seeds import SeedTree
from synthetic.assignment import arm_probabilities
from synthetic.baseline import CLASSES, Baseline
from synthetic.course import NO_DAY
from synthetic.design import Design
from synthetic.model import PatientModel
from synthetic.setting import Setting
from synthetic.story import Story
from synthetic.treatment_rows import treatment_rows
from synthetic.treatments import tacrolimus_trough
from synthetic.truth import potential_outcomes
from synthetic.visits import UNSCHEDULED

FloatArray = npt.NDArray[np.float64]

_RESPONSES = np.array([Response.NR.value, Response.PR.value, Response.CR.value])


def patients_frame(story: Story, design: Design) -> pd.DataFrame:
    """Lay out the table patients."""
    baseline, attendance, treatment = story.assigned.baseline, story.attendance, story.treatment
    columns = {
        "patient_id": story.ids,
        "arm": design.arms[story.assigned.arm],
        "site": _sites(baseline),
        "index_date": attendance.index_date.astype("datetime64[s]"),
        "age_years": baseline.age_years,
        "sex": np.where(baseline.female, Sex.FEMALE.value, Sex.MALE.value),
        "ethnicity": np.where(baseline.korean, Ethnicity.KOREAN.value, Ethnicity.OTHER_ASIAN.value),
        "sle_duration_years": baseline.sle_duration_years,
        "isn_rps_class": np.asarray(CLASSES)[baseline.lupus_class],
        "activity_index": baseline.activity_index,
        "chronicity_index": baseline.chronicity_index,
        "hypertension": baseline.hypertension,
        "diabetes": baseline.diabetes,
        "refractory": baseline.refractory,
        "induction": treatment.induction,
        "background_therapy": treatment.background,
        "hydroxychloroquine": treatment.hydroxychloroquine,
        "raas_inhibitor": treatment.raas_inhibitor,
        "follow_up_days": attendance.follow_up_days,
        "end_reason": attendance.end_reason,
    }
    return pd.DataFrame(columns)[list(PATIENTS.column_names)]


def _sites(baseline: Baseline) -> npt.NDArray[np.str_]:
    """The centre, or the clinic within the only one."""
    if baseline.centre.number == 1:
        return np.where(baseline.rheumatology_clinic, "rheumatology clinic", "nephrology clinic")
    digits = len(str(baseline.centre.number))
    return np.array([f"centre {number + 1:0{digits}d}" for number in range(baseline.centre.number)])[
        baseline.centre.index
    ]


def visits_frame(story: Story, model: PatientModel, tree: SeedTree) -> pd.DataFrame:
    """Lay out the table visits."""
    visits, baseline = story.visits, story.assigned.baseline
    who = visits.patient
    age = baseline.age_years[who] + visits.day / 365.25
    creatinine = visits.creatinine / 100.0
    month = pd.array(visits.month, dtype="Int32")
    month[visits.month == UNSCHEDULED] = pd.NA
    columns = {
        "patient_id": story.ids[who],
        "visit_month": month,
        "day": visits.day,
        "upcr_g_g": visits.upcr / 100.0,
        "serum_creatinine_mg_dl": creatinine,
        "egfr_ml_min_1_73m2": np.round(ckd_epi_2021(creatinine, age, baseline.female[who]), 1),
        "albumin_g_dl": visits.labs.albumin,
        "c3_mg_dl": visits.labs.c3,
        "c4_mg_dl": visits.labs.c4,
        "anti_dsdna_iu_ml": visits.labs.anti_dsdna,
        "hemoglobin_g_dl": visits.labs.hemoglobin,
        "urine_rbc_hpf": visits.labs.urine_rbc,
        "urine_casts": visits.labs.urine_casts,
        "sledai_2k": visits.labs.sledai,
        "prednisolone_mg_day": story.prednisolone,
        "tacrolimus_trough_ng_ml": tacrolimus_trough(
            visits, story.treatment, story.stops, model.treatment, tree.child("trough").generator()
        ),
    }
    return pd.DataFrame(columns)[list(VISITS.column_names)]


def treatments_frame(story: Story, model: PatientModel, tree: SeedTree) -> pd.DataFrame:
    """Lay out the table treatments."""
    rows = treatment_rows(
        story.treatment,
        story.stops,
        story.visits,
        story.prednisolone,
        story.attendance.follow_up_days,
        model.treatment,
        tree.child("doses").generator(),
    )
    frame = pd.DataFrame(
        {
            "patient_id": story.ids[rows.patient],
            "drug": rows.drug,
            "phase": rows.phase,
            "start_day": rows.start_day,
            "stop_day": rows.stop_day,
            "dose_mg_day": rows.dose,
            "stop_reason": rows.stop_reason,
        }
    )
    return frame.sort_values(list(TREATMENTS.key), ignore_index=True)[list(TREATMENTS.column_names)]


def events_frame(story: Story) -> pd.DataFrame:
    """Lay out the table events."""
    events = story.events
    frame = pd.DataFrame(
        {
            "patient_id": story.ids[events.patient],
            "day": events.day,
            "event": events.event,
            "grade": events.grade,
        }
    )
    return frame[list(EVENTS.column_names)]


def truth_frames(story: Story, setting: Setting) -> dict[str, pd.DataFrame]:
    """Lay out what a registry would not know: ``patients``, ``responses`` and ``outcomes``."""
    design, calibration = setting.design, setting.calibration
    assigned, arms, months = story.assigned, design.arms, design.months
    probability = arm_probabilities(assigned.logit, calibration.intercepts, design.tacrolimus)
    patients = pd.DataFrame(
        {
            "patient_id": story.ids,
            "propensity": probability[:, design.tacrolimus].sum(axis=1),
            "latent_severity": assigned.baseline.latent_severity,
        }
    )
    attendance = story.attendance
    outcomes = potential_outcomes(
        assigned.baseline, story.noise, attendance.visit_day, attendance.death_day, calibration, setting.model
    )
    size, visits = len(story.ids), len(months)
    responses = pd.DataFrame(
        {
            "patient_id": np.repeat(story.ids, len(arms) * visits),
            "arm": np.tile(np.repeat(arms, visits), size),
            "visit_month": np.tile(months, size * len(arms)),
            "response": _RESPONSES[outcomes.state.transpose(1, 0, 2).ravel()],
        }
    )
    events = pd.DataFrame(
        {
            "patient_id": np.repeat(story.ids, len(arms)),
            "arm": np.tile(arms, size),
            "flare_day": _days(outcomes.flare_day.T.ravel()),
            "eskd_day": _days(outcomes.failure_day.T.ravel()),
            "death_day": _days(np.repeat(outcomes.death_day, len(arms))),
        }
    )
    return {
        "patients": patients[list(TRUTH_PATIENTS.column_names)],
        "responses": responses[list(TRUTH_RESPONSES.column_names)],
        "outcomes": events[list(TRUTH_OUTCOMES.column_names)],
    }


def _days(day: IntArray) -> pd.api.extensions.ExtensionArray:
    values = pd.array(np.where(day == NO_DAY, 0, day), dtype="Int32")
    values[day == NO_DAY] = pd.NA
    return values
