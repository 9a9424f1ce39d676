"""A drawn story laid out as the tables of the schema."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from cohort.codes import (
    Background,
    Drug,
    EndReason,
    Ethnicity,
    Event,
    Grade,
    Induction,
    Phase,
    Response,
    Sex,
    StopReason,
)
from cohort.columns import Coded, Columns, Identifiers, Nullable, data_frame, names_of
from cohort.response import BoolArray, IntArray
from cohort.schema import EVENTS, PATIENTS, TREATMENTS, TRUTH_TABLES, VISITS
from cohort.seeds import SeedTree
from synthetic.assignment import arm_probabilities
from synthetic.baseline import CLASSES, Baseline
from synthetic.coarse import NoiseSource
from synthetic.course import NO_DAY
from synthetic.design import Design
from synthetic.model import PatientModel
from synthetic.setting import Setting
from synthetic.story import Story
from synthetic.treatment_rows import treatment_rows
from synthetic.treatments import tacrolimus_trough
from synthetic.truth import OwnCourse, potential_outcomes
from synthetic.visits import UNSCHEDULED, printed_egfr

FloatArray = npt.NDArray[np.float64]

_RESPONSES = (Response.NR.value, Response.PR.value, Response.CR.value)
_CLINICS = ("nephrology clinic", "rheumatology clinic")


def patients_columns(story: Story, design: Design) -> Columns:
    """Return the columns of the table patients."""
    baseline, attendance, treatment = story.assigned.baseline, story.attendance, story.treatment
    return {
        "patient_id": Identifiers(np.arange(len(story.ids)), story.ids),
        "arm": Coded(story.assigned.arm, design.arms.tolist()),
        "site": _sites(baseline),
        "index_date": attendance.index_date,
        "age_years": baseline.age_years,
        "sex": Coded((~baseline.female).astype(np.int8), (Sex.FEMALE.value, Sex.MALE.value)),
        "ethnicity": Coded(baseline.ethnicity.astype(np.int8), names_of(Ethnicity)),
        "sle_duration_years": baseline.sle_duration_years,
        "isn_rps_class": Coded(baseline.lupus_class, CLASSES),
        "activity_index": baseline.activity_index,
        "chronicity_index": baseline.chronicity_index,
        "hypertension": baseline.hypertension,
        "diabetes": baseline.diabetes,
        "refractory": baseline.refractory,
        "induction": Coded(treatment.induction, names_of(Induction)),
        "background_therapy": Coded(treatment.background, names_of(Background)),
        "hydroxychloroquine": treatment.hydroxychloroquine,
        "raas_inhibitor": treatment.raas_inhibitor,
        "follow_up_days": attendance.follow_up_days,
        "end_reason": Coded(attendance.end_reason, names_of(EndReason)),
    }


def _sites(baseline: Baseline) -> Coded:
    """The centre, or the clinic within the only one."""
    centre = baseline.centre
    if centre.number == 1:
        return Coded(baseline.rheumatology_clinic.astype(np.int8), _CLINICS)
    digits = len(str(centre.number))
    return Coded(centre.index, [f"centre {number + 1:0{digits}d}" for number in range(centre.number)])


def visits_columns(
    story: Story,
    model: PatientModel,
    tree: SeedTree,
    source: Callable[[np.random.Generator], NoiseSource] = lambda generator: generator,
) -> Columns:
    """Return the columns of the table visits; ``source`` makes of a generator what levels are drawn from."""
    visits, baseline, gaps = story.visits, story.assigned.baseline, story.gaps
    who, kidney = visits.patient, gaps.kidney
    return {
        "patient_id": Identifiers(who, story.ids),
        "visit_month": Nullable(visits.month, visits.month == UNSCHEDULED),
        "day": visits.day,
        "upcr_g_g": _unless(kidney, visits.upcr / 100.0),
        "serum_creatinine_mg_dl": _unless(kidney, visits.creatinine / 100.0),
        "egfr_ml_min_1_73m2": _unless(kidney, printed_egfr(visits, baseline)),
        "albumin_g_dl": _unless(gaps.albumin, visits.labs.albumin),
        "c3_mg_dl": _unless(gaps.c3, visits.labs.c3),
        "c4_mg_dl": _unless(gaps.c4, visits.labs.c4),
        "anti_dsdna_iu_ml": _unless(gaps.anti_dsdna, visits.labs.anti_dsdna),
        "hemoglobin_g_dl": _unless(gaps.hemoglobin, visits.labs.hemoglobin),
        "urine_rbc_hpf": Nullable(visits.labs.urine_rbc, kidney),
        "urine_casts": Nullable(visits.labs.urine_casts, kidney),
        "sledai_2k": Nullable(visits.labs.sledai, gaps.sledai),
        "prednisolone_mg_day": story.prednisolone,
        "tacrolimus_trough_ng_ml": tacrolimus_trough(
            visits, story.treatment, story.stops, model.treatment, source(tree.child("trough").generator())
        ),
    }


def _unless(missing: BoolArray, values: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.floating[Any]]:
    """Return ``values`` with NaN where they are ``missing``."""
    return np.where(missing, np.float32("nan"), values) if missing.any() else values


def treatments_columns(
    story: Story,
    model: PatientModel,
    tree: SeedTree,
    source: Callable[[np.random.Generator], NoiseSource] = lambda generator: generator,
) -> Columns:
    """Return the columns of the table treatments; ``source`` makes of a generator what doses are drawn from."""
    rows = treatment_rows(
        story.treatment,
        story.stops,
        story.visits,
        story.prednisolone,
        story.attendance.follow_up_days,
        model.treatment,
        source(tree.child("doses").generator()),
    )
    return {
        "patient_id": Identifiers(rows.patient, story.ids),
        "drug": Coded(rows.drug, names_of(Drug)),
        "phase": Coded(rows.phase, names_of(Phase)),
        "start_day": rows.start_day,
        "stop_day": rows.stop_day,
        "dose_mg_day": rows.dose,
        "stop_reason": Coded(rows.stop_reason, names_of(StopReason)),
    }


def events_columns(story: Story) -> Columns:
    """Return the columns of the table events."""
    events = story.events
    return {
        "patient_id": Identifiers(events.patient, story.ids),
        "day": events.day,
        "event": Coded(events.event, names_of(Event)),
        "grade": Coded(events.grade, names_of(Grade)),
    }


def truth_columns(story: Story, setting: Setting) -> dict[str, Columns]:
    """Return the columns of what a registry would not know, by table: ``truth_patients`` and so on."""
    design, calibration = setting.design, setting.calibration
    assigned, attendance, months = story.assigned, story.attendance, design.months
    size, arms, visits = len(story.ids), len(design.arms), len(months)
    probability = arm_probabilities(assigned.logit, calibration.intercepts, design.tacrolimus)
    own = None if story.walked is None else OwnCourse(assigned.arm, story.walked)
    outcomes = potential_outcomes(
        assigned.baseline, story.noise, attendance.visit_day, attendance.death_day, calibration, setting.model, own
    )
    everybody, each_arm, names = np.arange(size), np.arange(arms, dtype=np.int8), design.arms.tolist()
    return {
        "truth_patients": {
            "patient_id": Identifiers(everybody, story.ids),
            "propensity": probability[:, design.tacrolimus].sum(axis=1),
            "latent_severity": assigned.baseline.latent_severity,
        },
        "truth_responses": {
            "patient_id": Identifiers(np.repeat(everybody, arms * visits), story.ids),
            "arm": Coded(np.tile(np.repeat(each_arm, visits), size), names),
            "visit_month": np.tile(months.astype(np.int32), size * arms),
            "response": Coded(outcomes.state.transpose(1, 0, 2).ravel(), _RESPONSES),
        },
        "truth_outcomes": {
            "patient_id": Identifiers(np.repeat(everybody, arms), story.ids),
            "arm": Coded(np.tile(each_arm, size), names),
            "flare_day": _days(outcomes.flare_day.T.ravel()),
            "eskd_day": _days(outcomes.failure_day.T.ravel()),
            "death_day": _days(np.repeat(outcomes.death_day, arms)),
        },
    }


def story_columns(
    story: Story, setting: Setting, tree: SeedTree, source: Callable[[np.random.Generator], NoiseSource]
) -> dict[str, Columns]:
    """Return the columns of every table, those of ``truth/`` among them, by name of the table."""
    return {
        "patients": patients_columns(story, setting.design),
        "visits": visits_columns(story, setting.model, tree, source),
        "treatments": treatments_columns(story, setting.model, tree),
        "events": events_columns(story),
        **truth_columns(story, setting),
    }


def _days(day: IntArray) -> Nullable:
    return Nullable(day, day == NO_DAY)


def patients_frame(story: Story, design: Design) -> pd.DataFrame:
    """Lay out the table patients as a frame."""
    return data_frame(patients_columns(story, design), PATIENTS)


def visits_frame(story: Story, model: PatientModel, tree: SeedTree) -> pd.DataFrame:
    """Lay out the table visits as a frame."""
    return data_frame(visits_columns(story, model, tree), VISITS)


def treatments_frame(story: Story, model: PatientModel, tree: SeedTree) -> pd.DataFrame:
    """Lay out the table treatments as a frame."""
    return data_frame(treatments_columns(story, model, tree), TREATMENTS)


def events_frame(story: Story) -> pd.DataFrame:
    """Lay out the table events as a frame."""
    return data_frame(events_columns(story), EVENTS)


def truth_frames(story: Story, setting: Setting) -> dict[str, pd.DataFrame]:
    """Lay out the tables of ``truth/`` as frames, by name: ``patients``, ``responses`` and ``outcomes``."""
    columns = truth_columns(story, setting)
    return {table.name.removeprefix("truth_"): data_frame(columns[table.name], table) for table in TRUTH_TABLES}
