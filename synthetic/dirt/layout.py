"""The files of a registry export: their headers, the columns of the schema behind them, and the codebook."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import pandas as pd

from cohort.codes import Sex
from cohort.record import Study
from cohort.schema import COHORT_TABLES, Column, Kind, Table


class Sheet(StrEnum):
    """Files of the export; laboratory results are in long form, one row per result."""

    PATIENTS = "patients.csv"
    VISITS = "visits.csv"
    LABS = "labs.csv"
    TREATMENTS = "treatments.csv"
    EVENTS = "events.csv"


@dataclass(frozen=True, slots=True)
class Field:
    """A column of a file: its header, the column of the schema it holds (none for the export's own), its meaning.

    ``trimmed`` numbers are written as a person types them, without trailing zeros.
    """

    header: str
    source: str
    korean: str
    meaning: str
    trimmed: bool = False


@dataclass(frozen=True, slots=True)
class Item:
    """A laboratory item of ``labs.csv``: its code, the column of table visits it holds, and the unit it is kept in."""

    code: str
    source: str
    unit: str
    korean: str


PATIENT = "REG_NO"
"""Header of the patient's number in every file."""
VISIT = "VISIT_NO"
"""Header of the running number of the visit within the patient, in ``visits.csv`` and ``labs.csv``."""
START = "MT_START"
"""Header of the index date in ``patients.csv``."""

FIELDS: dict[Sheet, tuple[Field, ...]] = {
    Sheet.PATIENTS: (
        Field(PATIENT, "patient_id", "등록번호", "Patient's number"),
        Field("ARM", "arm", "치료군", "Treatment arm, coded"),
        Field("CLINIC", "site", "진료과", "Clinic"),
        Field(START, "index_date", "유지요법 시작일", "Start of maintenance therapy, YYYY-MM-DD"),
        Field("AGE", "age_years", "나이", "Age at MT_START, years", trimmed=True),
        Field("SEX", "sex", "성별", "Sex, F or M"),
        Field("ETHNIC", "ethnicity", "민족", "Self-reported origin"),
        Field("SLE_DUR_Y", "sle_duration_years", "루푸스 유병기간", "Years since diagnosis at MT_START", trimmed=True),
        Field("LN_CLASS", "isn_rps_class", "신염 분류", "ISN/RPS 2003 class"),
        Field("AI", "activity_index", "활동성 지수", "Activity index"),
        Field("CI", "chronicity_index", "만성도 지수", "Chronicity index"),
        Field("HTN", "hypertension", "고혈압", "Hypertension, Y or N"),
        Field("DM", "diabetes", "당뇨병", "Diabetes, Y or N"),
        Field("REFRACT", "refractory", "불응성", "No remission under induction, Y or N"),
        Field("IND_TX", "induction", "유도요법", "Induction therapy"),
        Field("MT_BG", "background_therapy", "병용 면역억제제", "Background immunosuppressant"),
        Field("HCQ", "hydroxychloroquine", "하이드록시클로로퀸", "Hydroxychloroquine at MT_START, Y or N"),
        Field("RAASI", "raas_inhibitor", "레닌-안지오텐신계 억제제", "RAAS inhibitor at MT_START, Y or N"),
        Field("LAST_FU", "follow_up_days", "최종 추적일", "Last day under observation, YYYY-MM-DD"),
        Field("END_CD", "end_reason", "추적 종료 사유", "Why follow-up ended"),
    ),
    Sheet.VISITS: (
        Field(PATIENT, "patient_id", "등록번호", "Patient's number"),
        Field(VISIT, "", "방문 순번", "Running number of the visit"),
        Field("VISIT", "visit_month", "방문", "M and the scheduled month, or UN when unscheduled"),
        Field("VISIT_DT", "day", "방문일", "Date of the visit, YYYY-MM-DD"),
        Field("SLEDAI", "sledai_2k", "SLEDAI-2K", "SLEDAI-2K at the visit"),
        Field("PSL_MG", "prednisolone_mg_day", "프레드니솔론 용량", "Prednisolone or equivalent, mg/day", trimmed=True),
    ),
    Sheet.LABS: (
        Field(PATIENT, "patient_id", "등록번호", "Patient's number"),
        Field(VISIT, "", "방문 순번", "Running number of the visit"),
        Field("ITEM", "", "검사항목", "Laboratory item"),
        Field("RESULT", "", "결과", "Result, in the unit of column UNIT"),
        Field("UNIT", "", "단위", "Unit of the result"),
        Field("STATUS", "", "보고상태", "F final, C correction of a result reported before"),
    ),
    Sheet.TREATMENTS: (
        Field(PATIENT, "patient_id", "등록번호", "Patient's number"),
        Field("DRUG", "drug", "약제", "Drug"),
        Field("PHASE", "phase", "치료 단계", "Phase of treatment"),
        Field("START_DT", "start_day", "시작일", "First day, YYYY-MM-DD"),
        Field("STOP_DT", "stop_day", "종료일", "Last day, YYYY-MM-DD"),
        Field("DOSE", "dose_mg_day", "용량", "Mean daily dose, mg", trimmed=True),
        Field("STOP_RSN", "stop_reason", "종료 사유", "Why the row ends"),
    ),
    Sheet.EVENTS: (
        Field(PATIENT, "patient_id", "등록번호", "Patient's number"),
        Field("EVENT_DT", "day", "발생일", "Date of the event, YYYY-MM-DD"),
        Field("EVENT", "event", "사건", "Event"),
        Field("GRADE", "grade", "중증도", "Severity"),
    ),
}
"""Columns of each file, in order."""

ITEMS: tuple[Item, ...] = (
    Item("UPCR", "upcr_g_g", "g/g", "소변 단백/크레아티닌 비"),
    Item("CR", "serum_creatinine_mg_dl", "mg/dL", "혈청 크레아티닌"),
    Item("EGFR", "egfr_ml_min_1_73m2", "mL/min/1.73m2", "추정 사구체여과율"),
    Item("ALB", "albumin_g_dl", "g/dL", "알부민"),
    Item("C3", "c3_mg_dl", "mg/dL", "보체 C3"),
    Item("C4", "c4_mg_dl", "mg/dL", "보체 C4"),
    Item("DSDNA", "anti_dsdna_iu_ml", "IU/mL", "항 dsDNA 항체"),
    Item("HB", "hemoglobin_g_dl", "g/dL", "혈색소"),
    Item("URBC", "urine_rbc_hpf", "/HPF", "요 적혈구"),
    Item("CAST", "urine_casts", "", "요 원주"),
    Item("FK_C0", "tacrolimus_trough_ng_ml", "ng/mL", "타크로리무스 최저농도"),
)
"""Items of ``labs.csv`` in the order of a report."""

SEXES = {Sex.FEMALE.value: "F", Sex.MALE.value: "M"}
FLAGS = {True: "Y", False: "N"}
CASTS = {True: "pos", False: "neg"}
"""Registry codes of the schema's values."""


def table_of(sheet: Sheet) -> Table:
    """Return the table of the schema that a file holds (for ``labs.csv``: visits)."""
    name = "visits" if sheet is Sheet.LABS else sheet.value.removesuffix(".csv")
    return next(table for table in COHORT_TABLES if table.name == name)


def column_of(table: Table, name: str) -> Column:
    """Return the column of ``table`` called ``name``."""
    return next(column for column in table.columns if column.name == name)


def headers(sheet: Sheet) -> list[str]:
    """Return the headers of a file."""
    return [field.header for field in FIELDS[sheet]]


def arm_codes(study: Study) -> dict[str, str]:
    """Return the registry's code of each arm of the study: its place in the study file."""
    return {arm.code: str(number) for number, arm in enumerate(study.arms, start=1)}


def is_relative_day(column: Column) -> bool:
    """Whether a column counts days from the index date; the registry writes such a day as a date."""
    return column.kind is Kind.INTEGER and column.unit == "days from index date"


def codebook(study: Study) -> pd.DataFrame:
    """Return the codebook that the registry hands out with its files.

    Returns
    -------
    pandas.DataFrame
        One row per header, and below it one per code: ``file, column, code, label_ko, meaning, unit``; text, empty
        where it does not apply.
    """
    rows: list[tuple[str, str, str, str, str, str]] = []
    for sheet, fields in FIELDS.items():
        for field in fields:
            rows.append((sheet.value, field.header, "", field.korean, field.meaning, ""))
            rows += [
                (sheet.value, field.header, code, "", meaning, "") for code, meaning in _codes(field, sheet, study)
            ]
            if field.header == "ITEM":
                source = table_of(sheet)
                rows += [
                    (sheet.value, "ITEM", item.code, item.korean, column_of(source, item.source).description, item.unit)
                    for item in ITEMS
                ]
    return pd.DataFrame(rows, columns=["file", "column", "code", "label_ko", "meaning", "unit"])


def _codes(field: Field, sheet: Sheet, study: Study) -> list[tuple[str, str]]:
    if field.header == "ARM":
        return [(arm_codes(study)[arm.code], arm.label) for arm in study.arms]
    if field.header == "SEX":
        return [(code, sex) for sex, code in SEXES.items()]
    if not field.source:
        return []
    codes = column_of(table_of(sheet), field.source).codes
    return [(code.value, code.value.replace("_", " ")) for code in codes] if codes else []
