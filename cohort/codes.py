"""The closed vocabularies of the cohort tables."""

from __future__ import annotations

from enum import StrEnum


class Sex(StrEnum):
    """Sex as the creatinine-based eGFR equations use it."""

    FEMALE = "female"
    MALE = "male"


class IsnRpsClass(StrEnum):
    """ISN/RPS 2003 histological class of lupus nephritis at biopsy."""

    II = "II"
    III = "III"
    IV = "IV"
    V = "V"
    III_V = "III+V"
    IV_V = "IV+V"


class Ethnicity(StrEnum):
    """Self-reported origin."""

    KOREAN = "korean"
    OTHER_ASIAN = "other_asian"
    OTHER = "other"
    WHITE = "white"
    HISPANIC = "hispanic"


class EndReason(StrEnum):
    """Why follow-up ended."""

    COMPLETED = "completed"
    DATA_LOCK = "data_lock"
    LOST = "lost_to_follow_up"
    DEATH = "death"


class Drug(StrEnum):
    """Drugs of the treatments table."""

    TACROLIMUS = "tacrolimus"
    MYCOPHENOLATE = "mycophenolate"
    AZATHIOPRINE = "azathioprine"
    MIZORIBINE = "mizoribine"
    CYCLOPHOSPHAMIDE = "cyclophosphamide"
    CYCLOSPORINE = "cyclosporine"
    VOCLOSPORIN = "voclosporin"
    PREDNISOLONE = "prednisolone"
    HYDROXYCHLOROQUINE = "hydroxychloroquine"
    RAAS_INHIBITOR = "raas_inhibitor"


CALCINEURIN_INHIBITORS = (Drug.TACROLIMUS, Drug.CYCLOSPORINE, Drug.VOCLOSPORIN)
"""Calcineurin inhibitors among the drugs."""


class Phase(StrEnum):
    """Phase of treatment: induction ends before day 0; maintenance, or what a trial gives, starts on it or later."""

    INDUCTION = "induction"
    MAINTENANCE = "maintenance"
    TRIAL = "trial"
    """Treatment of a trial: what its protocol gives, induction or maintenance, and what is taken beside it."""


class Induction(StrEnum):
    """Induction regimen given before day 0, beside glucocorticoids."""

    CYCLOPHOSPHAMIDE = "cyclophosphamide"
    MYCOPHENOLATE = "mycophenolate"
    GLUCOCORTICOID_ONLY = "glucocorticoid_only"
    NONE = "none"
    """None on record: day 0 is the start of induction."""


class Background(StrEnum):
    """Immunosuppressant taken from day 0 beside (or instead of) a calcineurin inhibitor."""

    NONE = "none"
    MYCOPHENOLATE = "mycophenolate"
    AZATHIOPRINE = "azathioprine"
    MIZORIBINE = "mizoribine"
    CYCLOPHOSPHAMIDE = "cyclophosphamide"


class StopReason(StrEnum):
    """Why a treatment row ended."""

    PHASE_COMPLETED = "phase_completed"
    ONGOING = "ongoing_at_end_of_follow_up"
    ADVERSE_EVENT = "adverse_event"
    INEFFECTIVE = "ineffective"
    DOSE_CHANGED = "dose_changed"
    KIDNEY_FAILURE = "kidney_failure"
    REMISSION = "remission"


class Event(StrEnum):
    """Events of the events table."""

    RENAL_FLARE = "renal_flare"
    ESKD = "eskd"
    DEATH = "death"
    CREATININE_DOUBLING = "creatinine_doubling"
    SERIOUS_INFECTION = "serious_infection"
    HERPES_ZOSTER = "herpes_zoster"
    CARDIOVASCULAR = "cardiovascular"
    MALIGNANCY = "malignancy"
    NEPHROTOXICITY = "nephrotoxicity"
    HYPERTENSION_ONSET = "hypertension_onset"
    DIABETES_ONSET = "diabetes_onset"


ADVERSE_EVENTS = (
    Event.SERIOUS_INFECTION,
    Event.HERPES_ZOSTER,
    Event.CARDIOVASCULAR,
    Event.MALIGNANCY,
    Event.NEPHROTOXICITY,
    Event.HYPERTENSION_ONSET,
    Event.DIABETES_ONSET,
)
"""Events counted as adverse events; flares, ESKD, creatinine doubling and death are outcomes of the disease."""

NAMED_HARMS = (Event.SERIOUS_INFECTION, Event.CARDIOVASCULAR, Event.MALIGNANCY, Event.CREATININE_DOUBLING)
"""Events by which infections, cardiovascular disease, malignancy and loss of kidney function are judged one by one."""


class Grade(StrEnum):
    """Severity of an event; renal flares use the first three as KDIGO 2012 does."""

    MILD = "mild"
    MODERATE = "moderate"
    SEVERE = "severe"
    FATAL = "fatal"


class Response(StrEnum):
    """Renal response."""

    CR = "CR"
    PR = "PR"
    NR = "NR"


class Status(StrEnum):
    """Where a number comes from."""

    REPORTED = "reported"
    REPORTED_EARLIER = "reported_earlier"
    BORROWED = "borrowed"
    DERIVED = "derived"
    ASSUMED = "assumed"


class DirtLevel(StrEnum):
    """How far a registry twin is from its clean cohort."""

    NONE = "none"
    LIGHT = "light"
    MODERATE = "moderate"
    HEAVY = "heavy"


class FaultAction(StrEnum):
    """What a planted fault did to a row of a registry file."""

    CHANGED = "changed"
    ADDED = "added"
    REMOVED = "removed"


class Fault(StrEnum):
    """Kinds of fault planted in a registry twin."""

    VISIT_LOST = "visit_lost"
    LAB_MISSING_AT_RANDOM = "lab_missing_at_random"
    LAB_MISSING_NOT_AT_RANDOM = "lab_missing_not_at_random"
    UNIT_STATED = "unit_stated"
    UNIT_NOT_STATED = "unit_not_stated"
    ASSAY_LIMIT = "assay_limit"
    DECIMAL_COMMA = "decimal_comma"
    THOUSANDS_SEPARATOR = "thousands_separator"
    MISTYPED_DIGITS = "mistyped_digits"
    DECIMAL_SLIP = "decimal_slip"
    MISSING_CODE = "missing_code"
    CORRECTED_RESULT = "corrected_result"
    DATE_FORMAT = "date_format"
    DATE_AMBIGUOUS = "date_ambiguous"
    DATE_SWAPPED = "date_swapped"
    DATE_IMPOSSIBLE = "date_impossible"
    DATE_WRONG_YEAR = "date_wrong_year"
    CODE_SPELLING = "code_spelling"
    DRUG_SYNONYM = "drug_synonym"
    SEX_CODE = "sex_code"
    CLASS_SPELLING = "class_spelling"
    ARM_SWAPPED = "arm_swapped"
    DOSE_TEXT = "dose_text"
    OVERLAPPING_TREATMENT = "overlapping_treatment"
    PATIENT_TWO_IDS = "patient_two_ids"
    MERGED_CELLS = "merged_cells"
    VISIT_DUPLICATED = "visit_duplicated"
    VISIT_BEFORE_START = "visit_before_start"
    VISIT_AFTER_DEATH = "visit_after_death"
    REPEATED_HEADER = "repeated_header"


SCHEDULED_MONTHS: tuple[int, ...] = (0, 6, 12, 24, 36, 60)
"""Months of the scheduled visits of the flagship study; month 0 is day 0."""

DAYS_PER_MONTH = 365.25 / 12
"""Mean length of a month in days."""
