"""A drawn story laid out as the tables of the schema."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from cohort.codes import Ethnicity, Sex
from cohort.egfr import ckd_epi_2021
from cohort.record import Study
from cohort.response import IntArray
from cohort.schema import EVENTS, PATIENTS, TREATMENTS, TRUTH_PATIENTS, VISITS
from cohort.seeds import SeedTree
from synthetic.baseline import CLASSES
from synthetic.calibrate import Calibration
from synthetic.course import flare_hazard
from synthetic.model import PatientModel
from synthetic.story import Story, arm_codes
from synthetic.treatment_rows import treatment_rows
from synthetic.treatments import tacrolimus_trough
from synthetic.truth import flares_frame, potential_outcomes, responses_frame
from synthetic.visits import UNSCHEDULED

FloatArray = npt.NDArray[np.float64]


def patients_frame(story: Story, study: Study) -> pd.DataFrame:
    """Lay out the table patients."""
    baseline, attendance, treatment = story.assigned.baseline, story.attendance, story.treatment
    columns = {
        "patient_id": story.ids,
        "arm": np.where(story.assigned.tacrolimus, *arm_codes(study)),
        "site": np.where(baseline.rheumatology_clinic, "rheumatology clinic", "nephrology clinic"),
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


def truth_frames(
    story: Story, months: IntArray, calibration: Calibration, model: PatientModel
) -> dict[str, pd.DataFrame]:
    """Lay out what a registry would not know: ``patients``, ``responses`` and ``flares``."""
    baseline = story.assigned.baseline
    year = story.attendance.index_date.astype("datetime64[Y]").astype(np.int64) + 1970
    logit = story.assigned.logit + model.assignment.calendar_year * (year - year.mean())
    patients = pd.DataFrame(
        {
            "patient_id": story.ids,
            "propensity": _centred_probability(logit, story.assigned.tacrolimus.mean()),
            "latent_severity": baseline.latent_severity,
        }
    )
    outcomes = potential_outcomes(
        story.noise,
        flare_hazard(baseline, model.course),
        story.attendance.visit_day,
        calibration,
        model.course,
    )
    return {
        "patients": patients[list(TRUTH_PATIENTS.column_names)],
        "responses": responses_frame(story.ids, months, outcomes),
        "flares": flares_frame(story.ids, outcomes),
    }


def _centred_probability(logit: FloatArray, share: float) -> FloatArray:
    """Return inverse-logit probabilities with the intercept at which their mean is ``share``."""
    from scipy.optimize import brentq
    from scipy.special import expit

    intercept = brentq(lambda value: float(expit(logit + value).mean() - share), -50.0, 50.0, xtol=1e-12)
    return np.asarray(expit(logit + intercept))
