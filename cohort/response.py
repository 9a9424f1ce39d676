"""Renal response derived from raw laboratory values under a named definition.

Values are compared as a laboratory prints them: UPCR and creatinine in whole hundredths, eGFR in whole tenths, so
that a printed 0.50 is never below 0.50 because of binary fractions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from cohort.codes import Response, Sex
from cohort.definitions import ResponseDefinition
from cohort.egfr import ckd_epi_2021
from cohort.errors import CohortDirectoryError
from cohort.schema import RESPONSES

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


def hundredths(values: npt.ArrayLike) -> IntArray:
    """Return ``values`` in whole hundredths, rounding half to even."""
    return np.rint(np.asarray(values, dtype=np.float64) * 100.0).astype(np.int64)


def tenths(values: npt.ArrayLike) -> IntArray:
    """Return ``values`` in whole tenths, rounding half to even."""
    return np.rint(np.asarray(values, dtype=np.float64) * 10.0).astype(np.int64)


@dataclass(frozen=True, slots=True)
class Labs:
    """What a response is judged from, one element per visit: hundredths of UPCR and creatinine, tenths of eGFR."""

    upcr: IntArray
    creatinine: IntArray
    egfr: IntArray
    baseline_upcr: IntArray
    baseline_creatinine: IntArray
    female: BoolArray


@dataclass(frozen=True, slots=True)
class Classification:
    """Clauses of a response definition that each visit meets."""

    complete: BoolArray
    partial: BoolArray
    creatinine_ok: BoolArray
    proteinuria_halved: BoolArray
    sub_nephrotic: BoolArray
    near_normal_gfr: BoolArray


def classify(labs: Labs, definition: ResponseDefinition) -> Classification:
    """Judge each visit by ``definition``.

    Parameters
    ----------
    labs
        Whole-number laboratory values, arrays of shape ``(n,)``.
    definition
        Thresholds.

    Returns
    -------
    Classification
        Boolean arrays of shape ``(n,)``; ``complete`` and ``partial`` never hold together.
    """
    limit = np.where(
        labs.female,
        hundredths(definition.normal_creatinine_women),
        hundredths(definition.normal_creatinine_men),
    )
    normal = labs.creatinine <= limit
    normal_at_baseline = labs.baseline_creatinine <= limit
    rise = _per_ten_thousand(definition.creatinine_rise_below)
    small_rise = labs.creatinine * 10_000 < labs.baseline_creatinine * (10_000 + rise)
    if definition.creatinine_reading == "either":
        creatinine_ok = normal | (normal_at_baseline & small_rise)
    else:
        creatinine_ok = normal & (~normal_at_baseline | small_rise)
    kept = 10_000 - _per_ten_thousand(definition.partial_reduction)
    halved = labs.upcr * 10_000 <= labs.baseline_upcr * kept
    sub_nephrotic = labs.upcr < hundredths(definition.partial_upcr_below)
    near_normal = labs.egfr >= tenths(definition.near_normal_egfr)
    complete = (labs.upcr < hundredths(definition.complete_upcr_below)) & creatinine_ok
    partial = halved & sub_nephrotic & near_normal & ~complete
    return Classification(complete, partial, creatinine_ok, halved, sub_nephrotic, near_normal)


def _per_ten_thousand(share: float) -> int:
    return round(share * 10_000)


def visit_labs(patients: pd.DataFrame, visits: pd.DataFrame) -> Labs:
    """Line up each visit with its patient's baseline visit.

    Parameters
    ----------
    patients
        Columns ``patient_id, age_years, sex``.
    visits
        The visits table; every patient in it has one row with ``visit_month`` 0.

    Raises
    ------
    CohortDirectoryError
        If a patient of ``visits`` has no baseline visit or several, or is not in ``patients``, or a value that
        response is judged by is missing or a creatinine is not positive.
    """
    require_values(patients, "patients", ("patient_id", "age_years", "sex"))
    require_values(visits, "visits", ("patient_id", "day", "upcr_g_g", "serum_creatinine_mg_dl"))
    _require(visits["serum_creatinine_mg_dl"] <= 0, visits, "serum_creatinine_mg_dl", "a creatinine is not positive")
    person = patients.set_index("patient_id")
    baseline = visits[is_baseline(visits)].set_index("patient_id")
    ids = visits["patient_id"]
    _require_once(person.index, "patients", "occurs in several rows")
    _require_once(baseline.index, "visits", "has several visits of month 0")
    _require_known(ids, person.index, "is not in the table patients", "remove the visits or add the patients")
    _require_known(ids, baseline.index, "has no visit of month 0", "response is judged against the baseline visit")
    female = person["sex"].reindex(ids).eq(Sex.FEMALE.value).to_numpy(dtype=bool)
    age = person["age_years"].reindex(ids).to_numpy(dtype=np.float64) + visits["day"].to_numpy() / 365.25
    creatinine = hundredths(visits["serum_creatinine_mg_dl"])
    return Labs(
        upcr=hundredths(visits["upcr_g_g"]),
        creatinine=creatinine,
        egfr=tenths(ckd_epi_2021(creatinine / 100.0, age, female)),
        baseline_upcr=hundredths(baseline["upcr_g_g"].reindex(ids)),
        baseline_creatinine=hundredths(baseline["serum_creatinine_mg_dl"].reindex(ids)),
        female=female,
    )


def is_baseline(visits: pd.DataFrame) -> BoolArray:
    """Return which rows of ``visits`` are the visit of month 0; an unscheduled visit is not."""
    return visits["visit_month"].eq(0).fillna(False).to_numpy(dtype=bool)


def require_values(frame: pd.DataFrame, table: str, columns: tuple[str, ...]) -> None:
    """Refuse ``frame``, rows of ``table`` with a ``patient_id``, if a value in ``columns`` is missing.

    Raises
    ------
    CohortDirectoryError
        Naming the first such column, the number of rows and their patients.
    """
    for name in columns:
        _require(frame[name].isna(), frame, name, "a value is missing", table)


def _require(faulty: pd.Series[bool], frame: pd.DataFrame, column: str, what: str, table: str = "visits") -> None:
    patients = frame.loc[faulty.to_numpy(dtype=bool), "patient_id"]
    if len(patients):
        raise CohortDirectoryError(
            what,
            where=f"table {table}, column {column}",
            got=f"{len(patients)} {'row' if len(patients) == 1 else 'rows'}, patient {_first(patients)}",
            remedy="complete or remove these rows; `lncohort validate` lists every fault",
        )


def _require_once(ids: pd.Index[str], table: str, what: str) -> None:
    twice = ids[ids.duplicated()].unique()
    if len(twice):
        raise CohortDirectoryError(
            f"a patient {what}", where=f"table {table}, column patient_id", got=_first(twice), remedy="keep one of them"
        )


def _first(ids: pd.Series[str] | pd.Index[str] | npt.NDArray[np.object_]) -> str:
    return ", ".join(map(str, ids[:5])) + (f" and {len(ids) - 5} more" if len(ids) > 5 else "")


def _require_known(ids: pd.Series[str], known: pd.Index[str], what: str, remedy: str) -> None:
    unknown = ids[~ids.isin(known)].unique()
    if len(unknown):
        raise CohortDirectoryError(
            f"a patient {what}",
            where="table visits, column patient_id",
            got=_first(unknown),
            remedy=remedy,
        )


def classify_visits(patients: pd.DataFrame, visits: pd.DataFrame, definition: ResponseDefinition) -> pd.DataFrame:
    """Judge every visit, scheduled or not; the baseline visit is no response whatever its values.

    Returns
    -------
    pandas.DataFrame
        One row per row of ``visits``, same order: ``patient_id, visit_month, day, response`` (``CR``, ``PR``,
        ``NR``) and ``reason`` (the clause that decided).
    """
    judged = classify(visit_labs(patients, visits), definition)
    baseline = is_baseline(visits)
    response = np.select(
        [baseline, judged.complete, judged.partial],
        [Response.NR.value, Response.CR.value, Response.PR.value],
        default=Response.NR.value,
    )
    reason = np.select(
        [
            baseline,
            judged.complete,
            judged.partial & ~judged.creatinine_ok,
            judged.partial,
            ~judged.proteinuria_halved,
            ~judged.sub_nephrotic,
        ],
        [
            "baseline visit, nothing to compare it with",
            "UPCR and creatinine within the limits of CR",
            "UPCR reduced, creatinine beyond the limit of CR",
            "UPCR reduced, not below the limit of CR",
            "UPCR not reduced enough",
            "UPCR not sub-nephrotic",
        ],
        default="eGFR not near normal",
    )
    return pd.DataFrame(
        {
            "patient_id": visits["patient_id"].to_numpy(),
            "visit_month": visits["visit_month"].to_numpy(),
            "day": visits["day"].to_numpy(),
            "response": response,
            "reason": reason,
        }
    )


def derive_responses(patients: pd.DataFrame, visits: pd.DataFrame, definition: ResponseDefinition) -> pd.DataFrame:
    """Derive the renal response at each scheduled visit after day 0.

    Parameters
    ----------
    patients, visits
        Tables of a cohort; see :func:`visit_labs`.
    definition
        Response definition.

    Returns
    -------
    pandas.DataFrame
        ``patient_id, visit_month, definition, response, reason``, one row per scheduled visit attended after day 0,
        ordered by patient and month. A visit not attended has no row: not assessed is not no response.

    Raises
    ------
    CohortDirectoryError
        As :func:`visit_labs`.

    Examples
    --------
    >>> from cohort.definitions import KIM2025
    >>> patients = pd.DataFrame({"patient_id": ["a"], "age_years": [30.0], "sex": ["female"]})
    >>> visits = pd.DataFrame({"patient_id": ["a", "a"], "visit_month": [0, 6], "day": [0, 183],
    ...                        "upcr_g_g": [3.0, 0.49], "serum_creatinine_mg_dl": [0.7, 0.7]})
    >>> derive_responses(patients, visits, KIM2025)["response"].tolist()
    ['CR']
    """
    judged = classify_visits(patients, visits, definition)
    scheduled = judged[judged["visit_month"].gt(0).fillna(False).astype(bool)]
    ordered = scheduled.assign(definition=definition.name).sort_values(["patient_id", "visit_month"])
    return ordered[list(RESPONSES.column_names)].astype({"visit_month": "int64"}).reset_index(drop=True)
