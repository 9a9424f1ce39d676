"""The one declaration of the cohort tables, from which Arrow schema, checks and dictionary derive."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from cohort.codes import (
    Background,
    Drug,
    EndReason,
    Ethnicity,
    Event,
    Fault,
    FaultAction,
    Grade,
    Induction,
    IsnRpsClass,
    Phase,
    Response,
    Sex,
    StopReason,
)

if TYPE_CHECKING:
    import pyarrow as pa

SCHEMA_VERSION = 2
"""Raised whenever a table gains, loses or renames a column, or a column may hold what it could not before."""


class Kind(StrEnum):
    """Logical type of a column."""

    TEXT = "text"
    CODE = "code"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DATE = "date"


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its type, unit, admissible values and meaning.

    ``decimals`` is the precision a laboratory prints; ``minimum`` and ``maximum`` are limits beyond which a value is
    impossible rather than unusual, and are assumptions of this package.
    """

    name: str
    kind: Kind
    description: str
    unit: str = ""
    nullable: bool = False
    codes: type[StrEnum] | None = None
    minimum: float | None = None
    maximum: float | None = None
    decimals: int | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """One table of a cohort directory; ``key`` columns identify a row."""

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    description: str

    @property
    def path(self) -> str:
        """Place of the table in a cohort directory: a Parquet file, or a folder of Parquet parts of that name."""
        return (
            f"truth/{self.name.removeprefix('truth_')}.parquet"
            if self.name.startswith("truth_")
            else f"{self.name}.parquet"
        )

    @property
    def column_names(self) -> tuple[str, ...]:
        """Names of the columns in order."""
        return tuple(column.name for column in self.columns)


def _text(name: str, description: str, *, nullable: bool = False) -> Column:
    return Column(name, Kind.TEXT, description, nullable=nullable)


def _code(name: str, codes: type[StrEnum], description: str, *, nullable: bool = False) -> Column:
    return Column(name, Kind.CODE, description, codes=codes, nullable=nullable)


def _flag(name: str, description: str, *, nullable: bool = False) -> Column:
    return Column(name, Kind.BOOLEAN, description, nullable=nullable)


def _lab(name: str, unit: str, description: str, limits: tuple[float, float], decimals: int) -> Column:
    """A laboratory value of a visit: a visit at which it was not measured has none."""
    return Column(name, Kind.NUMBER, description, unit, True, None, *limits, decimals)


def _day(name: str, description: str, *, nullable: bool = False, minimum: float = 0) -> Column:
    return Column(name, Kind.INTEGER, description, "days from index date", nullable, None, minimum, 36525)


_PATIENT_ID = _text("patient_id", "Identifier of the patient, unique in the cohort")

PATIENTS = Table(
    "patients",
    (
        _PATIENT_ID,
        _text("arm", "Treatment arm; the study file names the codes"),
        _text("site", "Clinic that follows the patient"),
        Column(
            "index_date", Kind.DATE, "Day 0: start of maintenance therapy or, in a trial, of the treatment compared"
        ),
        Column("age_years", Kind.NUMBER, "Age at index date", "years", False, None, 0, 110, 1),
        _code("sex", Sex, "Sex as used by the eGFR equation"),
        _code("ethnicity", Ethnicity, "Self-reported origin"),
        Column(
            "sle_duration_years",
            Kind.NUMBER,
            "Time since diagnosis of SLE at index date",
            "years",
            False,
            None,
            0,
            80,
            1,
        ),
        _code("isn_rps_class", IsnRpsClass, "ISN/RPS 2003 class at biopsy"),
        Column("activity_index", Kind.INTEGER, "Histological activity index", "points", False, None, 0, 24),
        Column("chronicity_index", Kind.INTEGER, "Histological chronicity index", "points", False, None, 0, 12),
        _flag("hypertension", "Hypertension at index date"),
        _flag("diabetes", "Diabetes mellitus at index date"),
        _flag("refractory", "No remission under the induction therapy before index date"),
        _code("induction", Induction, "Induction therapy before index date, beside glucocorticoids"),
        _code(
            "background_therapy",
            Background,
            "Immunosuppressant from day 0 beside or instead of a calcineurin inhibitor",
        ),
        _flag("hydroxychloroquine", "Hydroxychloroquine at index date"),
        _flag("raas_inhibitor", "Renin-angiotensin system inhibitor at index date"),
        _day("follow_up_days", "Last day under observation"),
        _code("end_reason", EndReason, "Why follow-up ended"),
    ),
    ("patient_id",),
    "One row per patient, as known at the index date, and the end of follow-up",
)

VISITS = Table(
    "visits",
    (
        _PATIENT_ID,
        Column(
            "visit_month",
            Kind.INTEGER,
            "Scheduled month; missing for an unscheduled visit",
            "months",
            True,
            None,
            0,
            1200,
        ),
        _day("day", "Day of the visit"),
        _lab("upcr_g_g", "g/g", "Urine protein-creatinine ratio", (0, 100), 2),
        _lab("serum_creatinine_mg_dl", "mg/dL", "Serum creatinine, enzymatic", (0.1, 30), 2),
        _lab(
            "egfr_ml_min_1_73m2",
            "mL/min/1.73 m2",
            "Estimated GFR by CKD-EPI 2021 from creatinine, age at visit and sex; missing exactly where creatinine is",
            (0, 250),
            1,
        ),
        _lab("albumin_g_dl", "g/dL", "Serum albumin", (0.5, 7), 1),
        _lab("c3_mg_dl", "mg/dL", "Complement C3", (1, 400), 0),
        _lab("c4_mg_dl", "mg/dL", "Complement C4", (0.5, 150), 1),
        _lab("anti_dsdna_iu_ml", "IU/mL", "Anti-double-stranded DNA antibodies", (0, 20000), 1),
        _lab("hemoglobin_g_dl", "g/dL", "Haemoglobin", (2, 22), 1),
        Column("urine_rbc_hpf", Kind.INTEGER, "Erythrocytes in urine", "per high-power field", True, None, 0, 1000),
        _flag("urine_casts", "Erythrocyte or haem-granular casts in urine", nullable=True),
        Column("sledai_2k", Kind.INTEGER, "SLEDAI-2K at the visit", "points", True, None, 0, 105),
        _lab("prednisolone_mg_day", "mg/day", "Prednisolone or equivalent; 0 when none is taken", (0, 1000), 1),
        _lab(
            "tacrolimus_trough_ng_ml",
            "ng/mL",
            "Tacrolimus trough level; missing when not taken or not measured",
            (0, 60),
            1,
        ),
    ),
    ("patient_id", "day"),
    "One row per visit, scheduled or not, with the raw laboratory values; what was not measured is missing",
)

VISIT_VALUES = tuple(
    column.name
    for column in VISITS.columns
    if column.nullable and column.name not in ("visit_month", "tacrolimus_trough_ng_ml")
)
"""What each visit should measure but may lack; the month and the trough are rightly missing at many visits."""

TREATMENTS = Table(
    "treatments",
    (
        _PATIENT_ID,
        _code("drug", Drug, "Drug"),
        _code("phase", Phase, "Phase of treatment"),
        _day("start_day", "First day of the drug; negative before the index date", minimum=-36525),
        _day("stop_day", "Last day of the drug", minimum=-36525),
        Column("dose_mg_day", Kind.NUMBER, "Mean daily dose", "mg/day", False, None, 0, 20000, 1),
        _code("stop_reason", StopReason, "Why the row ends"),
    ),
    ("patient_id", "drug", "phase", "start_day"),
    "One row per patient, drug and phase",
)

EVENTS = Table(
    "events",
    (
        _PATIENT_ID,
        _day("day", "Day of the event"),
        _code("event", Event, "Event"),
        _code("grade", Grade, "Severity; for renal flares by KDIGO 2012"),
    ),
    ("patient_id", "day", "event"),
    "One row per event",
)

RESPONSES = Table(
    "responses",
    (
        _PATIENT_ID,
        Column("visit_month", Kind.INTEGER, "Scheduled month", "months", False, None, 0, 1200),
        _text("definition", "Name of the response definition"),
        _code(
            "response",
            Response,
            "Renal response at the visit; missing when values that would decide it are missing",
            nullable=True,
        ),
        _text("reason", "Which clause of the definition decided, or which values are missing"),
    ),
    ("patient_id", "visit_month", "definition"),
    "Renal response at scheduled visits attended after day 0, derived from raw laboratory values",
)

FLARES = Table(
    "flares",
    (
        _PATIENT_ID,
        _day("day", "Day of the visit that shows the flare"),
        _text("definition", "Name of the flare definition"),
        _code("kind", Grade, "Severity of the flare"),
    ),
    ("patient_id", "day", "definition"),
    "Renal flares, derived from raw laboratory values at all visits",
)

TRUTH_PATIENTS = Table(
    "truth_patients",
    (
        _PATIENT_ID,
        Column(
            "propensity",
            Kind.NUMBER,
            "Probability of tacrolimus given all that the assignment model knows",
            "",
            False,
            None,
            0,
            1,
        ),
        Column("latent_severity", Kind.NUMBER, "Unmeasured severity, standard normal in the source population", "SD"),
    ),
    ("patient_id",),
    "What the generator knows of each patient and a registry does not; no analysis reads it",
)

_POTENTIAL_ARM = _text("arm", "Arm the patient is put into, own or other")

TRUTH_RESPONSES = Table(
    "truth_responses",
    (
        _PATIENT_ID,
        _POTENTIAL_ARM,
        Column("visit_month", Kind.INTEGER, "Scheduled month", "months", False, None, 0, 1200),
        _code("response", Response, "Response had the patient been in that arm, alive and seen"),
    ),
    ("patient_id", "arm", "visit_month"),
    "Potential responses under every arm, at the thresholds of the whole population",
)

TRUTH_OUTCOMES = Table(
    "truth_outcomes",
    (
        _PATIENT_ID,
        _POTENTIAL_ARM,
        _day("flare_day", "First renal flare before death; missing if none", nullable=True),
        _day("eskd_day", "Kidney failure before death; missing if none", nullable=True),
        _day("death_day", "Death; missing if alive at the last visit", nullable=True),
    ),
    ("patient_id", "arm"),
    "Potential events under every arm up to the last scheduled visit, had every visit been attended",
)

TRUTH_FAULTS = Table(
    "truth_faults",
    (
        _text("fault_id", "Identifier of the fault; one fault may touch several cells or rows"),
        Column("part", Kind.INTEGER, "Number of the cell or row within the fault", "", False, None, 1),
        _code("kind", Fault, "Kind of fault"),
        _code("action", FaultAction, "What happened to the row"),
        _text("file", "File of registry/"),
        Column(
            "row",
            Kind.INTEGER,
            "Data row in the file, counted from 1; missing for a removed row",
            "rows",
            True,
            None,
            1,
        ),
        Column(
            "clean_row",
            Kind.INTEGER,
            "Data row in the file without any fault, counted from 1; missing for an added row",
            "rows",
            True,
            None,
            1,
        ),
        _text("column", "Header of the cell; missing where a whole row was added or removed", nullable=True),
        _text("patient_id", "Patient the row belongs to in truth; missing for a repeated header", nullable=True),
        _text(
            "clean_value", "Cell, or removed row as JSON, without any fault; missing for an added row", nullable=True
        ),
        _text(
            "dirty_value", "Cell, or added row as JSON, as the file holds it; missing for a removed row", nullable=True
        ),
        _flag("recoverable", "Whether the clean value follows from the files of the registry and their codebook alone"),
        _text("description", "What was done"),
    ),
    ("fault_id", "part"),
    "Every fault planted in registry/, one row per cell changed and per row added or removed; undoing all of them "
    "gives the clean cohort",
)

REPLICATE = Column("replicate", Kind.INTEGER, "Number of the replicate, from 1", "", False, None, 1)
"""First column of every table of a replicated cohort; identifiers of patients are unique over replicates."""


def replicated(table: Table) -> Table:
    """Return the declaration of ``table`` in a replicated cohort."""
    return replace(table, columns=(REPLICATE, *table.columns), key=("replicate", *table.key))


TRUTH_ESTIMANDS = Table(
    "truth_estimands",
    (
        _text("estimand", "What is compared and how: risk_difference, hazard_ratio, restricted_mean_difference, ..."),
        _text("population", "Whom it is averaged over: everybody (ATE), who gets the arm (ATT), the overlap (ATO)"),
        _text("measure", "Response at the visit, first renal flare, or a time to a first event"),
        Column("month", Kind.INTEGER, "Scheduled month; the last one for times to an event", "months", minimum=0),
        _text("contrast", "Arm v reference arm"),
        Column("value", Kind.NUMBER, "True value; restricted means in years of 365.25 days", nullable=True),
        Column("std_error", Kind.NUMBER, "Monte Carlo standard error; missing for an integral", nullable=True),
        _text("way", "How it was computed: quadrature, draw or average"),
        _text("note", "Why a value is undefined", nullable=True),
    ),
    ("estimand", "population", "measure", "month", "contrast"),
    "True marginal effects in the population the cohort is drawn from, not among its own patients",
)

COHORT_TABLES: tuple[Table, ...] = (PATIENTS, VISITS, TREATMENTS, EVENTS)
"""The four tables every cohort directory holds."""
DERIVED_TABLES: tuple[Table, ...] = (RESPONSES, FLARES)
"""Tables written into ``derived/``."""
TRUTH_TABLES: tuple[Table, ...] = (TRUTH_PATIENTS, TRUTH_RESPONSES, TRUTH_OUTCOMES)
"""Tables of ``truth/`` whose rows are of patients, in synthetic cohorts only."""
DIRT_TABLES: tuple[Table, ...] = (TRUTH_FAULTS,)
"""Tables of ``truth/`` in a cohort that was generated with a registry twin."""


def arrow_schema(table: Table) -> pa.Schema:
    """Return the Arrow schema of ``table``; each field carries its unit and description as metadata."""
    import pyarrow as pa

    types = {
        Kind.TEXT: pa.string(),
        Kind.CODE: pa.string(),
        Kind.INTEGER: pa.int32(),
        Kind.NUMBER: pa.float64(),
        Kind.BOOLEAN: pa.bool_(),
        Kind.DATE: pa.date32(),
    }
    return pa.schema(
        [
            pa.field(
                column.name,
                types[column.kind],
                nullable=column.nullable,
                metadata={"unit": column.unit, "description": column.description},
            )
            for column in table.columns
        ]
    )
