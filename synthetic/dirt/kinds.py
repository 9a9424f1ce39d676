"""Every kind of fault: how often it is planted at each level, whether it can be mended, and why we think so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from cohort.codes import DirtLevel, Fault, Status
from cohort.provenance import PROVENANCE_COLUMNS


@dataclass(frozen=True, slots=True)
class FaultKind:
    """One kind of fault.

    ``rates`` are the expected shares of the eligible units (``per``) at fault at the levels light, moderate and
    heavy. ``recoverable`` is yes, no, or depends (on the cell: see the fault list). No registry audit of lupus
    nephritis that counts such faults was found, so that every rate is assumed; ``why`` gives the reasoning.
    """

    fault: Fault
    rates: tuple[float, float, float]
    per: str
    recoverable: str
    what: str
    why: str
    status: Status = Status.ASSUMED


_LAB, _DATE, _CODE = "laboratory results", "dates", "codes"
_CELL = "numbers"
_RARE = "a slip of the hand, rare in any one cell"
_HABIT = "a habit of whoever types, so more frequent than a slip"

KINDS: tuple[FaultKind, ...] = (
    FaultKind(
        Fault.VISIT_LOST, (0.01, 0.04, 0.10), "visits after month 0", "no",
        "visit and its results absent, more often when proteinuria is high",
        "sicker patients are admitted elsewhere; chance in line with the rank of the protein-creatinine ratio, "
        "from near none to twice the mean",
    ),
    FaultKind(
        Fault.LAB_MISSING_AT_RANDOM, (0.01, 0.03, 0.08), _LAB, "no",
        "result absent, whatever its value", "lost samples and orders that were forgotten",
    ),
    FaultKind(
        Fault.LAB_MISSING_NOT_AT_RANDOM, (0.01, 0.04, 0.12), "secondary laboratory results", "no",
        "result absent, more often when its own value shows sicker patients",
        "tests done at admission elsewhere are not in the export; chance as for lost visits, by the result itself",
    ),
    FaultKind(
        Fault.UNIT_STATED, (0.05, 0.12, 0.25), "item, clinic and three-year period", "yes",
        "all results of a clinic and period in another unit, which column UNIT states",
        "laboratories change analyser and unit for everybody at once",
    ),
    FaultKind(
        Fault.UNIT_NOT_STATED, (0.02, 0.06, 0.15), "item, clinic and three-year period", "no",
        "all results of a clinic and period in another unit, column UNIT empty",
        "older exports often lack the unit; less frequent than stated changes",
    ),
    FaultKind(
        Fault.ASSAY_LIMIT, (0.02, 0.06, 0.13), "results beyond a limit of the assay", "depends",
        "text such as <10, >300, neg or trace in place of a number",
        "only some laboratories print numbers beyond their limits",
    ),
    FaultKind(Fault.DECIMAL_COMMA, (0.001, 0.005, 0.03), "numbers with decimals", "yes",
              "comma in place of the decimal point", _HABIT),
    FaultKind(Fault.THOUSANDS_SEPARATOR, (0.02, 0.06, 0.13), "numbers of 1000 and above", "yes",
              "comma between thousands", "spreadsheets add it"),
    FaultKind(Fault.MISTYPED_DIGITS, (0.0005, 0.002, 0.01), _CELL, "no",
              "two neighbouring digits transposed, or the last one wrong where all are the same", _RARE),
    FaultKind(Fault.DECIMAL_SLIP, (0.0005, 0.002, 0.01), _CELL, "no",
              "decimal point one place too far left or right", _RARE),
    FaultKind(Fault.MISSING_CODE, (0.002, 0.01, 0.04), "numbers and yes-no fields", "no",
              "a code for missing (-9, 999, NA, n/a, a point, nothing) in place of the value",
              "several codes live side by side where no data manager chose one"),
    FaultKind(Fault.CORRECTED_RESULT, (0.0005, 0.002, 0.01), _LAB, "yes",
              "wrong result followed by a row with status C that corrects it", "as rare as the slips it corrects"),
    FaultKind(Fault.DATE_FORMAT, (0.005, 0.02, 0.10), _DATE, "yes",
              "date in another but unmistakable form", _HABIT),
    FaultKind(Fault.DATE_AMBIGUOUS, (0.003, 0.01, 0.06), "dates whose day is at most 12 and not the month", "no",
              "DD/MM/YYYY or MM/DD/YY where either reading is a date", _HABIT),
    FaultKind(Fault.DATE_SWAPPED, (0.002, 0.006, 0.03), "dates whose day is at most 12 and not the month", "no",
              "month and day swapped", "spreadsheets read dates in the order of the wrong country"),
    FaultKind(Fault.DATE_IMPOSSIBLE, (0.001, 0.004, 0.02), _DATE, "no",
              "a date the calendar does not have", _RARE),
    FaultKind(Fault.DATE_WRONG_YEAR, (0.001, 0.004, 0.02), _DATE, "no",
              "year off by one or ten", "typical in January and in copied rows"),
    FaultKind(Fault.CODE_SPELLING, (0.005, 0.03, 0.12), _CODE, "yes",
              "blanks around a code, another letter case, blank for underscore", _HABIT),
    FaultKind(Fault.DRUG_SYNONYM, (0.02, 0.08, 0.30), "drugs", "yes",
              "abbreviation, development code or brand in place of the drug's name",
              "prescribers write what they say: FK506, MMF, PDL"),
    FaultKind(Fault.SEX_CODE, (0.02, 0.08, 0.30), "patients", "yes",
              "Korean word, spelled-out word, or digit of the resident number in place of F or M",
              "the seventh digit of the resident number (odd male, even female) is copied as the sex"),
    FaultKind(Fault.CLASS_SPELLING, (0.03, 0.12, 0.35), "patients", "yes",
              "class of nephritis in Arabic numerals or with additions",
              "pathology reports spell the class as the pathologist likes"),
    FaultKind(Fault.ARM_SWAPPED, (0.003, 0.01, 0.03), "patients", "depends",
              "code of another arm", "rare, since the arm is looked at often"),
    FaultKind(Fault.DOSE_TEXT, (0.01, 0.05, 0.14), "doses", "yes",
              "dose as it is prescribed, such as 1 mg bid", "copied from the prescription"),
    FaultKind(Fault.OVERLAPPING_TREATMENT, (0.005, 0.02, 0.08), "treatment rows that the next continues", "yes",
              "row stops after the next row of the same drug has begun", "the old row is closed late"),
    FaultKind(Fault.PATIENT_TWO_IDS, (0.005, 0.015, 0.05), "patients with at least three visits", "yes",
              "patient registered again under a new number, which later visits carry", "one change of clinic in many"),
    FaultKind(Fault.MERGED_CELLS, (0.01, 0.04, 0.12), "patients with several treatment rows", "yes",
              "number of the patient only in the first of the rows", "left behind by merged cells of spreadsheets"),
    FaultKind(Fault.VISIT_DUPLICATED, (0.003, 0.01, 0.04), "visits", "yes",
              "visit and its results twice, the same", "two exports that overlap"),
    FaultKind(Fault.VISIT_BEFORE_START, (0.01, 0.03, 0.08), "patients", "yes",
              "first visit typed in again as a visit before the start of therapy", "screening kept as a study visit"),
    FaultKind(Fault.VISIT_AFTER_DEATH, (0.20, 0.50, 0.90), "patients who died", "yes",
              "last visit carried forward to a date after death",
              "forms filled ahead; frequent, so that the few deaths show it"),
    FaultKind(Fault.REPEATED_HEADER, (0.02, 0.10, 0.30), "blocks of 50 rows", "yes",
              "header line again between rows", "exports put one below the other"),
)  # fmt: skip
"""All kinds, in the order of the codes."""


@dataclass(frozen=True, slots=True)
class DirtPlan:
    """How much of each kind to plant.

    ``rates`` gives the expected share of eligible units for every kind; with ``at_least_once`` each kind of a
    positive rate that can occur does occur.
    """

    rates: Mapping[Fault, float]
    at_least_once: bool


def plan_at(level: DirtLevel) -> DirtPlan:
    """Return the plan of a level.

    Examples
    --------
    >>> plan_at(DirtLevel.HEAVY).rates[Fault.DECIMAL_COMMA]
    0.03
    """
    if level is DirtLevel.NONE:
        return DirtPlan(dict.fromkeys(Fault, 0.0), at_least_once=False)
    place = (DirtLevel.LIGHT, DirtLevel.MODERATE, DirtLevel.HEAVY).index(level)
    return DirtPlan({kind.fault: kind.rates[place] for kind in KINDS}, at_least_once=level is not DirtLevel.LIGHT)


def rate_provenance() -> pd.DataFrame:
    """List the rates of every kind with their status and reasoning, columns as in cohort.provenance."""
    rows = [
        (
            FaultKind.__name__,
            kind.fault.value,
            ", ".join(f"{rate:g}" for rate in kind.rates),
            f"share of {kind.per} at light, moderate, heavy",
            kind.status.value,
            kind.why,
        )
        for kind in KINDS
    ]
    return pd.DataFrame(rows, columns=list(PROVENANCE_COLUMNS))
