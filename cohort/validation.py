"""Checks of a cohort: the schema column by column, then what the tables must say together.

Every check adds rows to one frame of findings, so that a user sees all faults at once. A laboratory value that is
missing is no fault; how many are missing is counted apart, by :func:`missing_values`.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from cohort.codes import Drug, EndReason, Event, Sex
from cohort.definitions import KDIGO_2012, FlareDefinition, ResponseDefinition
from cohort.egfr import ckd_epi_2021
from cohort.flare import FLARES_JUDGED_BY, derive_flares
from cohort.response import JUDGED_BY
from cohort.schema import COHORT_TABLES, VISIT_VALUES, Column, Kind, Table
from cohort.store import Cohort

FINDING_COLUMNS = ("table", "column", "rule", "rows", "first_rows", "got", "remedy")
"""Columns of :func:`validate_cohort`: ``rows`` counts the rows at fault, ``first_rows`` names up to five by patient."""

MISSING_COLUMNS = ("column", "visits", "missing", "at_baseline")
"""Columns of :func:`missing_values`: the visits there are, and how many of all and of day 0 lack the value."""

_EGFR_TOLERANCE = 0.51
"""A laboratory may print eGFR as a whole number."""


def validate_cohort(cohort: Cohort, *, arms: Sequence[str], response: ResponseDefinition) -> pd.DataFrame:
    """Check a cohort and list every finding.

    Parameters
    ----------
    cohort
        Tables of the right columns and types (see :func:`cohort.store.read_cohort`).
    arms
        Codes of the arms of the study.
    response
        Response definition under which flares of a synthetic cohort must be found again.

    Returns
    -------
    pandas.DataFrame
        One row per finding, columns :data:`FINDING_COLUMNS`; empty when all is well. Rules that need sound ids or
        baseline visits are checked only once those are sound.
    """
    findings = _schema_and_links(cohort, arms)
    if not findings:
        findings += _history_findings(cohort)
        findings += _time_findings(cohort)
        findings += _laboratory_findings(cohort)
        findings += _treatment_findings(cohort)
        findings += _event_findings(cohort, response, KDIGO_2012)
    return pd.DataFrame(findings, columns=list(FINDING_COLUMNS))


def missing_values(cohort: Cohort) -> pd.DataFrame:
    """Count the visits at which each laboratory value is missing.

    Returns
    -------
    pandas.DataFrame
        Columns :data:`MISSING_COLUMNS`, one row for each of :data:`cohort.schema.VISIT_VALUES`.
    """
    visits = cohort.visits
    baseline = visits["visit_month"].eq(0).fillna(False).to_numpy(dtype=bool)
    rows = []
    for name in VISIT_VALUES:
        lacking = visits[name].isna().to_numpy(dtype=bool)
        rows.append((name, len(visits), int(lacking.sum()), int((lacking & baseline).sum())))
    return pd.DataFrame(rows, columns=list(MISSING_COLUMNS))


def schema_findings(cohort: Cohort, *, arms: Sequence[str]) -> pd.DataFrame:
    """Check only what any analysis needs: keys, codes, impossible values, links between tables, baseline visits.

    Parameters and result as in :func:`validate_cohort`.
    """
    return pd.DataFrame(_schema_and_links(cohort, arms), columns=list(FINDING_COLUMNS))


def _schema_and_links(cohort: Cohort, arms: Sequence[str]) -> list[tuple[object, ...]]:
    findings = [finding for table in COHORT_TABLES for finding in _schema_findings(cohort.table(table.name), table)]
    if cohort.patients.empty:
        rule, remedy = "a cohort has patients", "add the patients or make the cohort again"
        nobody = cohort.patients["patient_id"]
        return [*findings, _finding("patients", "patient_id", rule, nobody, nobody, remedy)]
    return findings + _arm_findings(cohort, arms) + _link_findings(cohort)


def _schema_findings(frame: pd.DataFrame, table: Table) -> list[tuple[object, ...]]:
    """Check types, nullability, codes, limits and keys with the schema library, gathering all failures."""
    import pandera.pandas as pa
    from pandera.errors import SchemaErrors

    schema = pa.DataFrameSchema(
        {column.name: pa.Column(nullable=column.nullable, checks=_checks(column)) for column in table.columns},
        unique=list(table.key),
        name=table.name,
    )
    try:
        with warnings.catch_warnings():
            # The schema library joins failure cases that are all missing in a way that pandas deprecates.
            warnings.simplefilter("ignore", FutureWarning)
            schema.validate(frame, lazy=True)
    except SchemaErrors as error:
        failures = error.failure_cases
    else:
        return []
    findings = []
    for (column, check), cases in failures.groupby(["column", "check"], sort=False):
        if check == _JOINT_KEY:
            continue
        rows = frame[frame.index.isin(cases["index"])]
        rule = _RULES.get(check, check)
        findings.append(_finding(table.name, column, rule, rows["patient_id"], rows[column], "correct the values"))
    if (failures["check"] == _JOINT_KEY).any():
        rows = frame[frame.duplicated(list(table.key), keep=False)]
        keys = rows[list(table.key)].astype(str).agg(" ".join, axis=1)
        rule, remedy = "a row of the key occurs once", "keep one row of each key"
        findings.append(_finding(table.name, ", ".join(table.key), rule, rows["patient_id"], keys, remedy))
    return findings


_RULES = {"not_nullable": "a value is present"}
_JOINT_KEY = "multiple_fields_uniqueness"
_FIRST_DATE, _LAST_DATE = "1950-01-01", "2100-12-31"
"""Dates beyond these are taken for slips of the pen."""


def _checks(column: Column) -> list[Any]:
    import pandera.pandas as pa

    checks: list[Any] = []
    if column.codes is not None:
        codes = [code.value for code in column.codes]
        checks.append(pa.Check.isin(codes, error=f"one of {', '.join(codes)}"))
    if column.minimum is not None:
        checks.append(pa.Check.ge(column.minimum, error=f"at least {column.minimum:g} {column.unit}".rstrip()))
    if column.maximum is not None:
        checks.append(pa.Check.le(column.maximum, error=f"at most {column.maximum:g} {column.unit}".rstrip()))
    if column.kind is Kind.DATE:
        within = f"from {_FIRST_DATE} to {_LAST_DATE}"
        checks.append(pa.Check.between(pd.Timestamp(_FIRST_DATE), pd.Timestamp(_LAST_DATE), error=within))
    if column.kind is Kind.TEXT:
        checks.append(pa.Check.str_length(min_value=1, error="not empty"))
    return checks


def _finding(
    table: str, column: str, rule: str, patients: pd.Series[str], got: pd.Series[Any], remedy: str
) -> tuple[object, ...]:
    named = ", ".join(map(str, patients.unique()[:5]))
    values = ", ".join(dict.fromkeys(str(value) for value in got[:5]))
    return (table, column, rule, len(patients), named, values, remedy)


def _where(
    frame: pd.DataFrame, faulty: pd.Series[bool], table: str, column: str, rule: str, remedy: str
) -> list[tuple[object, ...]]:
    """One finding if any row is faulty."""
    rows = frame[faulty.to_numpy(dtype=bool)]
    return [_finding(table, column, rule, rows["patient_id"], rows[column], remedy)] if len(rows) else []


def _arm_findings(cohort: Cohort, arms: Sequence[str]) -> list[tuple[object, ...]]:
    patients = cohort.patients
    unknown = ~patients["arm"].isin(list(arms))
    return _where(patients, unknown, "patients", "arm", f"one of {', '.join(arms)}", "use the arm codes of the study")


def _link_findings(cohort: Cohort) -> list[tuple[object, ...]]:
    findings = []
    known = cohort.patients["patient_id"]
    for table in COHORT_TABLES[1:]:
        frame = cohort.table(table.name)
        stranger = ~frame["patient_id"].isin(known)
        findings += _where(
            frame, stranger, table.name, "patient_id", "the patient is in table patients", "add or remove the patient"
        )
    scheduled = cohort.visits[cohort.visits["visit_month"].notna()]
    twice = scheduled.duplicated(["patient_id", "visit_month"], keep=False)
    findings += _where(scheduled, twice, "visits", "visit_month", "a scheduled visit occurs once", "keep one of them")
    baseline = scheduled[scheduled["visit_month"] == 0]
    without = ~cohort.patients["patient_id"].isin(baseline["patient_id"])
    findings += _where(
        cohort.patients, without, "patients", "patient_id", "has a visit of month 0", "add the baseline visit"
    )
    late = baseline["day"] != 0
    return findings + _where(baseline, late, "visits", "day", "the visit of month 0 is on day 0", "shift the days")


def _history_findings(cohort: Cohort) -> list[tuple[object, ...]]:
    patients = cohort.patients
    before_birth = patients["sle_duration_years"] > patients["age_years"]
    rule, remedy = "not longer than age_years", "correct the duration or the age"
    return _where(patients, before_birth, "patients", "sle_duration_years", rule, remedy)


def _time_findings(cohort: Cohort) -> list[tuple[object, ...]]:
    patients = cohort.patients.set_index("patient_id")
    follow_up = patients["follow_up_days"]
    findings = []
    for name, column in (("visits", "day"), ("treatments", "stop_day"), ("events", "day")):
        frame = cohort.table(name)
        after = frame[column] > frame["patient_id"].map(follow_up)
        rule = "not after the end of follow-up or death"
        findings += _where(frame, after, name, column, rule, "correct the day or follow_up_days")
    deaths = cohort.events[cohort.events["event"] == Event.DEATH.value]
    again = deaths.duplicated("patient_id", keep=False)
    findings += _where(deaths, again, "events", "day", "a patient dies once", "keep one of them")
    first_death = deaths.drop_duplicates("patient_id").set_index("patient_id")["day"]
    died = patients["end_reason"] == EndReason.DEATH.value
    death_day = first_death.reindex(patients.index)
    unmatched = (died != death_day.notna()) | (death_day.notna() & (death_day != follow_up))
    return findings + _where(
        patients.reset_index(),
        unmatched.reset_index(drop=True),
        "patients",
        "end_reason",
        "death exactly where events hold a death on the last day of follow-up",
        "make patients and events agree",
    )


def _laboratory_findings(cohort: Cohort) -> list[tuple[object, ...]]:
    visits = cohort.visits
    person = cohort.patients.set_index("patient_id").loc[visits["patient_id"]]
    expected = ckd_epi_2021(
        visits["serum_creatinine_mg_dl"],
        person["age_years"].to_numpy() + visits["day"].to_numpy() / 365.25,
        (person["sex"] == Sex.FEMALE.value).to_numpy(),
    )
    egfr = "egfr_ml_min_1_73m2"
    off = pd.Series(np.abs(visits[egfr].to_numpy() - expected) > _EGFR_TOLERANCE)
    rule, remedy = (
        "follows from creatinine, age at visit and sex by CKD-EPI 2021",
        "recompute eGFR or correct creatinine",
    )
    findings = _where(visits, off, "visits", egfr, rule, f"{remedy}, age or sex")
    one_of_two = visits[egfr].isna() != visits["serum_creatinine_mg_dl"].isna()
    rule, remedy = (
        "missing exactly where creatinine is",
        "compute eGFR from creatinine, or add the creatinine behind it",
    )
    findings += _where(visits, one_of_two, "visits", egfr, rule, remedy)
    for name in JUDGED_BY:
        nowhere = visits[name].isna() & bool(visits[name].isna().all())
        findings += _where(
            visits, nowhere, "visits", name, "measured at some visit", "add it: response is judged by it"
        )
    return findings


def _treatment_findings(cohort: Cohort) -> list[tuple[object, ...]]:
    treatments, visits = cohort.treatments, cohort.visits
    backwards = treatments["stop_day"] < treatments["start_day"]
    findings = _where(treatments, backwards, "treatments", "stop_day", "not before start_day", "correct the days")
    spells = treatments[treatments["drug"] == Drug.TACROLIMUS.value]
    measured = visits[visits["tacrolimus_trough_ng_ml"].notna()].reset_index(names="row")
    joined = measured.merge(spells[["patient_id", "start_day", "stop_day"]], on="patient_id")
    covered = joined.loc[joined["day"].between(joined["start_day"], joined["stop_day"]), "row"]
    uncovered = ~measured["row"].isin(covered)
    return findings + _where(
        measured,
        uncovered,
        "visits",
        "tacrolimus_trough_ng_ml",
        "measured only while tacrolimus is taken",
        "add the treatment or remove the level",
    )


def _event_findings(cohort: Cohort, response: ResponseDefinition, flare: FlareDefinition) -> list[tuple[object, ...]]:
    events, visits = cohort.events, cohort.visits
    failure = events[events["event"] == Event.ESKD.value]
    normal = (visits["egfr_ml_min_1_73m2"] >= 15).fillna(False).to_numpy(dtype=bool)
    unseen = _absent(failure, visits.loc[~normal, ["patient_id", "day"]])
    rule, remedy = "ESKD shows an eGFR below 15 that day, or none measured", "add the visit"
    findings = _where(failure, unseen, "events", "day", rule, remedy)
    if cohort.mode is None:
        return findings  # a registry may record flares by another rule than ours
    recorded = events[events["event"] == Event.RENAL_FLARE.value]
    found = derive_flares(cohort.patients, visits, response, flare)
    rule = f"renal flares are those found in visits by {flare.name}"
    remedy = "a laboratory value was changed; make the cohort again"
    # Where a value is missing a flare may go unseen, or be seen later than it is on record, but never earlier.
    gap = visits[list(FLARES_JUDGED_BY)].isna().any(axis="columns").to_numpy(dtype=bool)
    with_gaps = set(visits.loc[gap, "patient_id"])
    first = recorded.groupby("patient_id")["day"].min()
    later = found["day"] >= found["patient_id"].map(first).astype(np.float64)
    unseen = _absent(recorded, found) & ~recorded["patient_id"].isin(with_gaps)
    unrecorded = _absent(found, recorded) & ~(found["patient_id"].isin(with_gaps) & later)
    findings += _where(recorded, unseen, "events", "day", rule, remedy)
    return findings + _where(found, unrecorded, "visits", "day", rule, remedy)


def _absent(frame: pd.DataFrame, other: pd.DataFrame) -> pd.Series[bool]:
    """Return which (patient_id, day) pairs of ``frame`` do not occur in ``other``."""
    pairs = pd.MultiIndex.from_frame(frame[["patient_id", "day"]])
    return pd.Series(~pairs.isin(pd.MultiIndex.from_frame(other[["patient_id", "day"]])), index=frame.index)
