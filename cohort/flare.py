"""Renal flares derived from raw laboratory values at all visits, scheduled and unscheduled.

A flare needs a response before it: the reference is the lowest value since that response began, and after a flare a
new response must be reached before another flare can be found.

Where values are missing, a flare is found only if a clause is met by what is there. A missing value meets no clause and
lowers no reference, and a visit whose response is open begins no response. So a flare may be missed, graded too low or
seen at a later visit; it is never seen earlier than with every value, nor in a patient who has none with every value.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from cohort.codes import Grade, Response
from cohort.columns import WholeArray
from cohort.definitions import FlareDefinition, ResponseDefinition
from cohort.response import BoolArray, FloatArray, IntArray, as_floats, classify_visits, hundredths
from cohort.schema import FLARES

FLARES_JUDGED_BY = ("upcr_g_g", "serum_creatinine_mg_dl", "urine_rbc_hpf", "urine_casts")
"""Columns of visits that flares are judged by; where one is missing a flare may be missed."""

_NOTHING, _NO_REFERENCE = 0, 10**6
"""In place of a missing value: one that meets no clause, and a reference that none exceeds."""
_GRADES = np.array(["", Grade.MILD.value, Grade.MODERATE.value, Grade.SEVERE.value])


@dataclass(frozen=True, slots=True)
class Reference:
    """Lowest values since the response began, one element per patient (hundredths; erythrocytes as counted).

    Before any value was measured an element is so large that no clause is met against it.
    """

    upcr: IntArray
    creatinine: IntArray
    rbc: IntArray


def upcr_flare_limit(reference_upcr: npt.ArrayLike, definition: FlareDefinition) -> IntArray:
    """Return the UPCR, in hundredths, from which a flare is present, given the reference in hundredths."""
    reference = np.asarray(reference_upcr, dtype=np.int64)
    # Whole numbers throughout: 1.1 times 100 is above 110 in binary fractions, and rounding up would give 111.
    doubled = -(-reference * round(definition.upcr_high_fold * 100) // 100)
    return np.where(
        reference < hundredths(definition.upcr_low),
        hundredths(definition.upcr_low_flare),
        np.where(reference <= hundredths(definition.upcr_middle), hundredths(definition.upcr_middle_flare), doubled),
    ).astype(np.int64)


def creatinine_flare_rise(reference_creatinine: npt.ArrayLike, definition: FlareDefinition) -> IntArray:
    """Return the rise of creatinine, in hundredths, from which a flare is present."""
    high = np.asarray(reference_creatinine, dtype=np.int64) >= hundredths(definition.creatinine_high)
    rise = np.where(high, hundredths(definition.creatinine_rise_high), hundredths(definition.creatinine_rise))
    return rise.astype(np.int64)


def flare_grade(
    upcr: IntArray,
    creatinine: IntArray,
    rbc: WholeArray,
    casts: BoolArray,
    reference: Reference,
    definition: FlareDefinition,
) -> IntArray:
    """Grade each visit against its reference: 0 no flare, 1 mild, 2 moderate, 3 severe; shape ``(n,)``."""
    rise = creatinine - reference.creatinine
    high = reference.creatinine >= hundredths(definition.creatinine_high)
    severe_rise = np.where(
        high,
        hundredths(definition.creatinine_rise_high_severe),
        hundredths(definition.creatinine_rise_severe),
    )
    proteinuric = upcr >= upcr_flare_limit(reference.upcr, definition)
    renal = rise >= creatinine_flare_rise(reference.creatinine, definition)
    severe = (upcr - reference.upcr > hundredths(definition.severe_upcr_rise)) | (rise > severe_rise)
    sediment = (reference.rbc < definition.rbc_quiet) & (rbc > definition.rbc_active) & casts
    return np.where(severe, 3, np.where(proteinuric | renal, 2, np.where(sediment, 1, 0))).astype(np.int64)


def derive_flares(
    patients: pd.DataFrame, visits: pd.DataFrame, response: ResponseDefinition, flare: FlareDefinition
) -> pd.DataFrame:
    """Find every renal flare.

    Parameters
    ----------
    patients, visits
        Tables of a cohort; every patient of ``visits`` has a baseline visit. Values may be missing: see above for what
        that does.
    response
        Definition of the response that must come first.
    flare
        Definition of the flare.

    Returns
    -------
    pandas.DataFrame
        ``patient_id, day, definition, kind``: one row per flare, at the visit that shows it, ordered by patient and
        day. A flare within ``flare.merge_days`` of the one before is the same flare. No visit, no flare found.
        ``kind`` is the gravest grade that the values there are show.

    Raises
    ------
    CohortDirectoryError
        If a patient has no baseline visit or several, or an age or sex is missing.

    References
    ----------
    KDIGO Clinical Practice Guideline for Glomerulonephritis. Kidney Int Suppl 2012;2:139-274.
    doi:10.1038/kisup.2012.9
    """
    ordered = visits.sort_values(["patient_id", "day"], kind="stable").reset_index(drop=True)
    judged = classify_visits(patients, ordered, response)["response"]
    responding = judged.isin([Response.CR.value, Response.PR.value]).to_numpy(dtype=bool)
    in_hundredths = (100.0 * as_floats(ordered[name]) for name in ("upcr_g_g", "serum_creatinine_mg_dl"))
    measured = np.stack([*in_hundredths, as_floats(ordered["urine_rbc_hpf"])])
    shown, as_reference = _filled(measured, _NOTHING), _filled(measured, _NO_REFERENCE)
    casts = ordered["urine_casts"].astype("boolean").fillna(False).to_numpy(dtype=bool)
    day = ordered["day"].to_numpy(dtype=np.int64)
    patient, ids = pd.factorize(ordered["patient_id"])
    rank = ordered.groupby("patient_id").cumcount().to_numpy()

    in_response = np.zeros(len(ids), dtype=bool)
    lowest = np.zeros((3, len(ids)), dtype=np.int64)
    last_flare = np.full(len(ids), -(10**9), dtype=np.int64)
    found_row: list[IntArray] = []
    found_grade: list[IntArray] = []
    # Visits are walked in step, the first of every patient, then the second, since each depends on the one before.
    for step in range(int(rank.max(initial=-1)) + 1):
        rows = np.flatnonzero(rank == step)
        who = patient[rows]
        upcr, creatinine, rbc = shown[:, rows]
        grade = flare_grade(upcr, creatinine, rbc, casts[rows], Reference(*lowest[:, who]), flare)
        flaring = in_response[who] & (grade > 0)
        recorded = flaring & (day[rows] - last_flare[who] > flare.merge_days)
        found_row.append(rows[recorded])
        found_grade.append(grade[recorded])
        last_flare[who[recorded]] = day[rows[recorded]]
        starting = ~in_response[who] & responding[rows]
        values = as_reference[:, rows]
        lowest[:, who] = np.where(starting, values, np.minimum(lowest[:, who], values))
        in_response[who] = np.where(flaring, False, in_response[who] | starting)

    where = np.concatenate([*found_row, np.empty(0, dtype=np.int64)])
    kind = _GRADES[np.concatenate([*found_grade, np.empty(0, dtype=np.int64)])]
    found = pd.DataFrame(
        {
            "patient_id": ordered["patient_id"].to_numpy()[where],
            "day": day[where],
            "definition": flare.name,
            "kind": kind,
        }
    )
    return found.sort_values(["patient_id", "day"])[list(FLARES.column_names)].reset_index(drop=True)


def _filled(values: FloatArray, fill: int) -> IntArray:
    """Return whole numbers, ``fill`` where missing."""
    return np.rint(np.where(np.isnan(values), float(fill), values)).astype(np.int64)
