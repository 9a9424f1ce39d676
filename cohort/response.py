"""Renal response derived from raw laboratory values under a named definition.

Values are compared as a laboratory prints them: UPCR and creatinine in whole hundredths, eGFR in whole tenths, so
that a printed 0.50 is never below 0.50 because of binary fractions.

Where values are missing, a visit is judged twice: with the most and with the least favourable values the schema admits
in their place. Response never worsens when protein or creatinine falls or the protein of the baseline rises, so these
two answers bracket every other. If they agree the visit is judged whatever the missing values were; if they differ it
is not assessed, and nothing is imputed.
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
from cohort.schema import RESPONSES, VISITS

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

JUDGED_BY = ("upcr_g_g", "serum_creatinine_mg_dl")
"""Columns of visits, at the visit and at baseline, that response is judged by; eGFR is computed from creatinine."""
MISSING_VALUES = "missing: "
"""How the reason of a visit that cannot be judged begins, before the names of the values."""
_SHORT_NAMES = {"upcr_g_g": "UPCR", "serum_creatinine_mg_dl": "creatinine"}
_LIMITS = {
    column.name: (column.minimum, column.maximum)
    for column in VISITS.columns
    if column.minimum is not None and column.maximum is not None
}


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
class BracketedLabs:
    """What the values of each visit may be: the same twice where none is missing.

    Attributes
    ----------
    best, worst
        Missing values replaced by the most and the least favourable ones that the schema admits.
    lacking
        Which of the values response is judged by are missing, in words; empty where none is. Shape ``(n,)``.
    """

    best: Labs
    worst: Labs
    lacking: npt.NDArray[np.str_]


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


def bracketed_labs(patients: pd.DataFrame, visits: pd.DataFrame, definition: ResponseDefinition) -> BracketedLabs:
    """Line up each visit with its patient's baseline visit, and bracket what is missing.

    Parameters
    ----------
    patients
        Columns ``patient_id, age_years, sex``.
    visits
        The visits table; every patient in it has one row with ``visit_month`` 0. UPCR and creatinine may be missing, at
        baseline too.
    definition
        Says which creatinine of the baseline is the most favourable.

    Raises
    ------
    CohortDirectoryError
        If a patient of ``visits`` has no baseline visit or several, or is not in ``patients``, or an age, a sex or a
        day is missing, or a creatinine is not positive.
    """
    require_values(patients, "patients", ("patient_id", "age_years", "sex"))
    require_values(visits, "visits", ("patient_id", "day"))
    person = patients.set_index("patient_id")
    baseline = visits[is_baseline(visits)].set_index("patient_id")
    ids = visits["patient_id"]
    _require_once(person.index, "patients", "occurs in several rows")
    _require_once(baseline.index, "visits", "has several visits of month 0")
    _require_known(ids, person.index, "is not in the table patients", "remove the visits or add the patients")
    _require_known(ids, baseline.index, "has no visit of month 0", "response is judged against the baseline visit")
    upcr, creatinine = (as_floats(visits[name]) for name in JUDGED_BY)
    _require(pd.Series(creatinine <= 0), visits, "serum_creatinine_mg_dl", "a creatinine is not positive")
    upcr_0, creatinine_0 = (as_floats(baseline[name].reindex(ids)) for name in JUDGED_BY)
    female = person["sex"].reindex(ids).eq(Sex.FEMALE.value).to_numpy(dtype=bool)
    age = person["age_years"].reindex(ids).to_numpy(dtype=np.float64) + visits["day"].to_numpy() / 365.25

    def labs(upcr: FloatArray, creatinine: FloatArray, upcr_0: FloatArray, creatinine_0: FloatArray) -> Labs:
        printed = hundredths(creatinine)
        egfr = tenths(ckd_epi_2021(printed / 100.0, age, female))
        return Labs(hundredths(upcr), printed, egfr, hundredths(upcr_0), hundredths(creatinine_0), female)

    values = (upcr, creatinine, upcr_0, creatinine_0)
    lacking = _lacking([np.isnan(one) for one in values])
    if not (lacking != "").any():
        known = labs(*values)
        return BracketedLabs(known, known, lacking)
    best, worst = _extremes(definition, female)
    return BracketedLabs(
        labs(*(np.where(np.isnan(one), fill, one) for one, fill in zip(values, best, strict=True))),
        labs(*(np.where(np.isnan(one), fill, one) for one, fill in zip(values, worst, strict=True))),
        lacking,
    )


def _extremes(
    definition: ResponseDefinition, female: BoolArray
) -> tuple[tuple[npt.ArrayLike, ...], tuple[npt.ArrayLike, ...]]:
    """Most and least favourable UPCR, creatinine, baseline UPCR and baseline creatinine.

    A baseline creatinine helps in two ways, by being high, so that the rise is small, and by being normal, so that the
    rise counts: where either condition is enough it is best at the upper limit of normal and worst far above it; where
    both are asked of a normal baseline it is best above the limit and worst at the bottom.
    """
    (upcr_low, upcr_high), (low, high) = (_LIMITS[name] for name in JUDGED_BY)
    limit = np.where(female, definition.normal_creatinine_women, definition.normal_creatinine_men)
    best, worst = (limit, high) if definition.creatinine_reading == "either" else (high, low)
    return (upcr_low, low, upcr_high, best), (upcr_high, high, upcr_low, worst)


def _lacking(missing: list[BoolArray]) -> npt.NDArray[np.str_]:
    """Name the values missing in each row, for instance ``creatinine; UPCR at baseline``."""
    names = [*(_SHORT_NAMES[name] for name in JUDGED_BY), *(f"{_SHORT_NAMES[name]} at baseline" for name in JUDGED_BY)]
    code = np.sum([rows << place for place, rows in enumerate(missing)], axis=0, dtype=np.int64)
    words = ["; ".join(name for place, name in enumerate(names) if one >> place & 1) for one in range(1 << len(names))]
    return np.asarray(words)[code]


def as_floats(column: pd.Series[float]) -> FloatArray:
    """Return a numeric column as floats, NaN where missing, shape ``(n,)``."""
    return np.asarray(column.to_numpy(dtype=np.float64, na_value=np.nan), dtype=np.float64)


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
        One row per row of ``visits``, same order: ``patient_id, visit_month, day, response`` (``CR``, ``PR``, ``NR``,
        or missing where values that would decide are missing) and ``reason`` (the clause that decided, or the values
        that are missing).
    """
    labs = bracketed_labs(patients, visits, definition)
    baseline = is_baseline(visits)
    # A clause that fails at the most favourable values fails at all: the reason of a decided visit is theirs.
    response, reason = _answer(classify(labs.best, definition))
    decided = np.ones(len(visits), dtype=np.bool_)
    if labs.best is not labs.worst:
        at_worst, _ = _answer(classify(labs.worst, definition))
        decided = (response == at_worst) | baseline
        reason = np.where(decided, reason, np.char.add(MISSING_VALUES, labs.lacking))
    return pd.DataFrame(
        {
            "patient_id": visits["patient_id"].to_numpy(),
            "visit_month": visits["visit_month"].to_numpy(),
            "day": visits["day"].to_numpy(),
            "response": pd.Series(np.where(baseline, Response.NR.value, response)).where(decided),
            "reason": np.where(baseline, "baseline visit, nothing to compare it with", reason),
        }
    )


def _answer(judged: Classification) -> tuple[npt.NDArray[np.str_], npt.NDArray[np.str_]]:
    """Response of each visit after day 0 and the clause that decided."""
    response = np.select(
        [judged.complete, judged.partial], [Response.CR.value, Response.PR.value], default=Response.NR.value
    )
    reason = np.select(
        [
            judged.complete,
            judged.partial & ~judged.creatinine_ok,
            judged.partial,
            ~judged.proteinuria_halved,
            ~judged.sub_nephrotic,
        ],
        [
            "UPCR and creatinine within the limits of CR",
            "UPCR reduced, creatinine beyond the limit of CR",
            "UPCR reduced, not below the limit of CR",
            "UPCR not reduced enough",
            "UPCR not sub-nephrotic",
        ],
        default="eGFR not near normal",
    )
    return response, reason


def derive_responses(patients: pd.DataFrame, visits: pd.DataFrame, definition: ResponseDefinition) -> pd.DataFrame:
    """Derive the renal response at each scheduled visit after day 0.

    Parameters
    ----------
    patients, visits
        Tables of a cohort; see :func:`bracketed_labs`.
    definition
        Response definition.

    Returns
    -------
    pandas.DataFrame
        ``patient_id, visit_month, definition, response, reason``, one row per scheduled visit attended after day 0,
        ordered by patient and month. A visit not attended has no row: not assessed is not no response. A visit attended
        at which missing values leave the answer open has a row without ``response``, whose ``reason`` names them, as in
        ``missing: creatinine; UPCR at baseline``; it is not assessed either, and only rows with a response count. A
        visit is judged despite missing values where they cannot matter: UPCR of 4 is no response whatever the
        creatinine.

    Raises
    ------
    CohortDirectoryError
        As :func:`bracketed_labs`.

    Examples
    --------
    >>> from cohort.definitions import KIM2025
    >>> patients = pd.DataFrame({"patient_id": ["a"], "age_years": [30.0], "sex": ["female"]})
    >>> visits = pd.DataFrame({"patient_id": ["a"] * 3, "visit_month": [0, 6, 12], "day": [0, 183, 365],
    ...                        "upcr_g_g": [3.0, 0.49, 0.49], "serum_creatinine_mg_dl": [0.7, 0.7, np.nan]})
    >>> derive_responses(patients, visits, KIM2025)[["response", "reason"]].fillna("").to_numpy().tolist()
    [['CR', 'UPCR and creatinine within the limits of CR'], ['', 'missing: creatinine']]
    """
    judged = classify_visits(patients, visits, definition)
    scheduled = judged[judged["visit_month"].gt(0).fillna(False).astype(bool)]
    ordered = scheduled.assign(definition=definition.name).sort_values(["patient_id", "visit_month"])
    return ordered[list(RESPONSES.column_names)].astype({"visit_month": "int64"}).reset_index(drop=True)
