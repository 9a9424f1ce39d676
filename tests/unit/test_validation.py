"""Protects `validate`: each fault is found, in the right table and column, and sound cohorts give no finding."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from cohort.definitions import KIM2025
from cohort.schema import VISIT_VALUES
from cohort.store import Cohort
from cohort.validation import FINDING_COLUMNS, MISSING_COLUMNS, missing_values, schema_findings, validate_cohort
from synthetic.generate import GeneratedCohort

ARMS = ("tacrolimus", "no_tacrolimus")
FIRST = "kim2025-001"
Change = Callable[[pd.DataFrame], pd.DataFrame]


def check(cohort: Cohort) -> pd.DataFrame:
    findings = validate_cohort(cohort, arms=ARMS, response=KIM2025)
    assert tuple(findings.columns) == FINDING_COLUMNS
    return findings


def put(column: str, value: object, row: int = 0) -> Change:
    def change(frame: pd.DataFrame) -> pd.DataFrame:
        values = frame[column].astype(object)
        values.iloc[row] = value
        kind = frame[column].dtype
        keeps = not pd.isna(value) or kind in (object, "float64", "Int32") or kind.kind == "M"
        return frame.assign(**{column: values.astype(kind) if keeps else values})

    return change


def twice(row: int) -> Change:
    return lambda frame: pd.concat([frame, frame.iloc[[row]]], ignore_index=True)


def without(row: int) -> Change:
    return lambda frame: frame.drop(index=frame.index[row]).reset_index(drop=True)


def changed(cohort: Cohort, **changes: Change) -> Cohort:
    return dataclasses.replace(cohort, **{name: change(cohort.table(name)) for name, change in changes.items()})


def test_a_generated_cohort_has_no_finding(generated: GeneratedCohort) -> None:
    assert check(generated.cohort).empty


def test_order_and_index_of_rows_do_not_matter(generated: GeneratedCohort) -> None:
    def shuffle(frame: pd.DataFrame) -> pd.DataFrame:
        return frame.sample(frac=1, random_state=3)

    made = changed(generated.cohort, patients=shuffle, visits=shuffle, treatments=shuffle, events=shuffle)
    assert check(made).empty


SCHEMA_FAULTS: dict[str, tuple[str, Change, str, str, str]] = {
    "missing number": ("patients", put("age_years", np.nan), "age_years", "a value is present", "nan"),
    "missing flag": ("patients", put("hypertension", None), "hypertension", "a value is present", "None"),
    "missing count": ("patients", put("activity_index", None), "activity_index", "a value is present", "None"),
    "missing date": ("patients", put("index_date", pd.NaT), "index_date", "a value is present", "NaT"),
    "negative": ("visits", put("upcr_g_g", -0.01), "upcr_g_g", "at least 0 g/g", "-0.01"),
    "infinite": ("visits", put("upcr_g_g", np.inf), "upcr_g_g", "at most 100 g/g", "inf"),
    "in micromoles": (
        "visits", put("serum_creatinine_mg_dl", 88.0), "serum_creatinine_mg_dl", "at most 30 mg/dL", "88.0",
    ),
    "too old": ("patients", put("age_years", 111.0), "age_years", "at most 110 years", "111.0"),
    "a slip in the year": (
        "patients", put("index_date", pd.Timestamp("0202-01-01").as_unit("s")), "index_date",
        "from 1950-01-01 to 2100-12-31", "0202-01-01 00:00:00",
    ),
    "unknown code": ("patients", put("sex", "f"), "sex", "one of female, male", "f"),
    "code in another case": ("events", put("event", "Death"), "event", "one of renal_flare, eskd, death,", "Death"),
    "empty identifier": ("patients", put("site", ""), "site", "not empty", ""),
    "unknown arm": ("patients", put("arm", "placebo"), "arm", "one of tacrolimus, no_tacrolimus", "placebo"),
    "end before start": ("treatments", put("dose_mg_day", -1.0), "dose_mg_day", "at least 0 mg/day", "-1.0"),
}  # fmt: skip


@pytest.mark.parametrize("case", SCHEMA_FAULTS)
def test_one_impossible_value_is_one_finding(case: str, generated: GeneratedCohort) -> None:
    table, change, column, rule, got = SCHEMA_FAULTS[case]
    findings = check(changed(generated.cohort, **{table: change}))
    assert len(findings) == 1
    found = findings.iloc[0]
    assert (found["table"], found["column"], found["rows"]) == (table, column, 1)
    assert found["rule"].startswith(rule)
    assert found["got"] == got
    assert found["first_rows"] == generated.cohort.table(table)["patient_id"].iloc[0]
    assert found["remedy"]


def test_a_missing_trough_and_month_are_no_faults(generated: GeneratedCohort) -> None:
    visits = generated.cohort.visits
    assert visits["tacrolimus_trough_ng_ml"].isna().any()
    assert visits["visit_month"].isna().any()
    assert check(generated.cohort).empty


def rules(cohort: Cohort) -> set[tuple[str, str, str]]:
    findings = check(cohort)
    return set(zip(findings["table"], findings["column"], findings["rule"], strict=True))


def test_duplicate_patients(generated: GeneratedCohort) -> None:
    findings = check(changed(generated.cohort, patients=twice(4)))
    assert findings[["table", "column", "rule", "rows", "first_rows"]].to_numpy().tolist() == [
        ["patients", "patient_id", "a row of the key occurs once", 2, "kim2025-005"]
    ]


def test_a_duplicate_of_a_key_of_several_columns_is_one_finding(generated: GeneratedCohort) -> None:
    findings = check(changed(generated.cohort, treatments=twice(0)))
    assert len(findings) == 1
    found = findings.iloc[0]
    assert found["column"] == "patient_id, drug, phase, start_day"
    assert found["got"].startswith(f"{FIRST} ")


def test_several_faults_are_all_reported(generated: GeneratedCohort) -> None:
    made = changed(generated.cohort, patients=put("sex", "f"), visits=put("upcr_g_g", -1.0), events=twice(0))
    assert rules(made) == {
        ("patients", "sex", "one of female, male"),
        ("visits", "upcr_g_g", "at least 0 g/g"),
        ("events", "patient_id, day, event", "a row of the key occurs once"),
    }


def test_at_most_five_patients_are_named_each_once(generated: GeneratedCohort) -> None:
    findings = check(changed(generated.cohort, visits=lambda frame: frame.assign(upcr_g_g=-1.0)))
    assert findings.iloc[0]["rows"] == len(generated.cohort.visits)
    assert findings.iloc[0]["first_rows"] == ", ".join(f"kim2025-00{number}" for number in range(1, 6))
    assert findings.iloc[0]["got"] == "-1.0"


@pytest.mark.parametrize("table", ["visits", "treatments", "events"])
def test_patients_of_other_tables_are_in_the_table_patients(table: str, generated: GeneratedCohort) -> None:
    made = changed(generated.cohort, **{table: lambda frame: put("patient_id", "stranger", len(frame) - 1)(frame)})
    assert (table, "patient_id", "the patient is in table patients") in rules(made)


def test_identifiers_that_differ_by_a_space_are_different(generated: GeneratedCohort) -> None:
    made = changed(generated.cohort, patients=put("patient_id", f"{FIRST} "))
    assert ("visits", "patient_id", "the patient is in table patients") in rules(made)


def test_the_baseline_visit_exists_once_and_is_on_day_0(generated: GeneratedCohort) -> None:
    first = generated.cohort.visits.iloc[0]
    assert (first["patient_id"], first["visit_month"], first["day"]) == (FIRST, 0, 0)
    assert rules(changed(generated.cohort, visits=without(0))) == {("patients", "patient_id", "has a visit of month 0")}
    assert rules(changed(generated.cohort, visits=put("visit_month", pd.NA))) == {
        ("patients", "patient_id", "has a visit of month 0")
    }
    assert rules(changed(generated.cohort, visits=put("day", 3))) == {
        ("visits", "day", "the visit of month 0 is on day 0")
    }
    assert ("visits", "day", "at least 0 days from index date") in rules(
        changed(generated.cohort, visits=put("day", -3))
    )
    assert rules(changed(generated.cohort, visits=put("visit_month", 0, row=1))) >= {
        ("visits", "visit_month", "a scheduled visit occurs once")
    }


def test_lupus_does_not_begin_before_birth(generated: GeneratedCohort) -> None:
    age = float(generated.cohort.patients["age_years"].iloc[0])
    assert check(changed(generated.cohort, patients=put("sle_duration_years", age))).empty
    older = changed(generated.cohort, patients=put("sle_duration_years", age + 0.1))
    assert rules(older) == {("patients", "sle_duration_years", "not longer than age_years")}
    assert schema_findings(older, arms=ARMS).empty


AFTER = "not after the end of follow-up or death"


@pytest.mark.parametrize(("table", "column"), [("visits", "day"), ("treatments", "stop_day"), ("events", "day")])
def test_nothing_happens_after_follow_up(table: str, column: str, generated: GeneratedCohort) -> None:
    last = len(generated.cohort.table(table)) - 1
    assert (table, column, AFTER) in rules(changed(generated.cohort, **{table: put(column, 20_000, last)}))


def test_the_last_day_of_follow_up_is_allowed(generated: GeneratedCohort) -> None:
    end = int(generated.cohort.patients["follow_up_days"].iloc[0])
    extra = pd.DataFrame({"patient_id": [FIRST], "day": [end], "event": ["herpes_zoster"], "grade": ["mild"]})
    made = changed(generated.cohort, events=lambda frame: pd.concat([frame, extra], ignore_index=True))
    assert check(made).empty


def death(*days: int) -> Change:
    rows = pd.DataFrame({"patient_id": FIRST, "day": list(days), "event": "death", "grade": "fatal"})
    return lambda frame: pd.concat([frame, rows], ignore_index=True)


DEATH = ("patients", "end_reason", "death exactly where events hold a death on the last day of follow-up")


def test_death_agrees_between_patients_and_events(generated: GeneratedCohort) -> None:
    cohort = generated.cohort
    end = int(cohort.patients["follow_up_days"].iloc[0])
    assert cohort.patients["end_reason"].iloc[0] != "death"
    assert rules(changed(cohort, events=death(end))) == {DEATH}
    assert rules(changed(cohort, patients=put("end_reason", "death"))) == {DEATH}
    died = changed(cohort, patients=put("end_reason", "death"))
    assert check(changed(died, events=death(end))).empty
    assert rules(changed(died, events=death(end - 1))) == {DEATH}


def test_a_patient_dies_once(generated: GeneratedCohort) -> None:
    end = int(generated.cohort.patients["follow_up_days"].iloc[0])
    died = changed(generated.cohort, patients=put("end_reason", "death"), events=death(end, end - 5))
    assert ("events", "day", "a patient dies once") in rules(died)


def test_egfr_follows_from_creatinine_age_and_sex(generated: GeneratedCohort) -> None:
    egfr = float(generated.cohort.visits["egfr_ml_min_1_73m2"].iloc[0])
    rule = ("visits", "egfr_ml_min_1_73m2", "follows from creatinine, age at visit and sex by CKD-EPI 2021")
    # A laboratory may print a whole number.
    assert check(changed(generated.cohort, visits=put("egfr_ml_min_1_73m2", float(round(egfr))))).empty
    assert rules(changed(generated.cohort, visits=put("egfr_ml_min_1_73m2", egfr + 1.0))) == {rule}
    assert rules(changed(generated.cohort, visits=put("egfr_ml_min_1_73m2", egfr - 1.0))) == {rule}


def lacking(rows: np.ndarray | slice, *columns: str) -> Change:
    """Blank columns of visits, in the data types of a table that was read."""
    types = {"urine_rbc_hpf": "Int32", "sledai_2k": "Int32", "urine_casts": "boolean"}

    def change(frame: pd.DataFrame) -> pd.DataFrame:
        hit = np.zeros(len(frame), dtype=bool)
        hit[rows] = True
        nullable = frame.astype({name: kind for name, kind in types.items() if name in columns})
        return nullable.assign(**{name: nullable[name].mask(hit) for name in columns})

    return change


CREATININE = ("serum_creatinine_mg_dl", "egfr_ml_min_1_73m2")


@pytest.mark.parametrize("column", [name for name in VISIT_VALUES if name not in CREATININE])
def test_a_missing_value_is_no_fault(column: str, generated: GeneratedCohort) -> None:
    assert check(changed(generated.cohort, visits=lacking(np.arange(0, 900, 7), column))).empty


def test_egfr_is_missing_exactly_where_creatinine_is(generated: GeneratedCohort) -> None:
    rule = ("visits", "egfr_ml_min_1_73m2", "missing exactly where creatinine is")
    some = np.arange(3, 900, 9)
    assert check(changed(generated.cohort, visits=lacking(some, *CREATININE))).empty
    for column in CREATININE:
        findings = check(changed(generated.cohort, visits=lacking(some, column)))
        assert rules(changed(generated.cohort, visits=lacking(some, column))) == {rule}
        assert findings["rows"].item() == len(some)


def test_a_value_that_response_is_judged_by_is_measured_somewhere(generated: GeneratedCohort) -> None:
    whole = slice(None)
    rule = "measured at some visit"
    assert rules(changed(generated.cohort, visits=lacking(whole, "upcr_g_g"))) == {("visits", "upcr_g_g", rule)}
    assert rules(changed(generated.cohort, visits=lacking(whole, *CREATININE))) == {
        ("visits", "serum_creatinine_mg_dl", rule)
    }
    # Analyses run all the same, and say what they cannot estimate.
    nowhere = changed(generated.cohort, visits=lacking(whole, *VISIT_VALUES))
    assert schema_findings(nowhere, arms=ARMS).empty


def test_missing_values_are_counted_column_by_column(generated: GeneratedCohort) -> None:
    counts = missing_values(changed(generated.cohort, visits=lacking(np.array([0, 1, 2]), "c3_mg_dl", "urine_casts")))
    assert tuple(counts.columns) == MISSING_COLUMNS
    assert counts["column"].tolist() == list(VISIT_VALUES)
    number = len(generated.cohort.visits)
    assert counts[counts["missing"] > 0].to_numpy().tolist() == [
        ["c3_mg_dl", number, 3, 1],
        ["urine_casts", number, 3, 1],
    ]


def test_treatments_do_not_run_backwards(generated: GeneratedCohort) -> None:
    made = changed(generated.cohort, treatments=put("stop_day", -36_000))
    assert ("treatments", "stop_day", "not before start_day") in rules(made)


def test_troughs_need_tacrolimus_on_that_day(generated: GeneratedCohort) -> None:
    cohort = generated.cohort
    trough = ("visits", "tacrolimus_trough_ng_ml", "measured only while tacrolimus is taken")
    untreated = cohort.patients.loc[cohort.patients["arm"] == "no_tacrolimus", "patient_id"]
    row = int(np.flatnonzero(cohort.visits["patient_id"].isin(untreated))[0])
    assert rules(changed(cohort, visits=put("tacrolimus_trough_ng_ml", 5.0, row))) == {trough}
    assert rules(changed(cohort, treatments=lambda frame: frame[frame["drug"] != "tacrolimus"])) == {trough}


def test_kidney_failure_shows_in_the_visits(generated: GeneratedCohort) -> None:
    cohort = generated.cohort
    shown = ("events", "day", "ESKD shows an eGFR below 15 that day, or none measured")
    day = int(cohort.visits.loc[cohort.visits["patient_id"] == FIRST, "day"].iloc[1])
    extra = pd.DataFrame({"patient_id": [FIRST], "day": [day], "event": ["eskd"], "grade": ["severe"]})
    made = changed(cohort, events=lambda frame: pd.concat([frame, extra], ignore_index=True))
    assert rules(made) == {shown}


FLARES = "renal flares are those found in visits by kdigo2012"


def test_recorded_flares_of_a_synthetic_cohort_are_those_of_the_visits(generated: GeneratedCohort) -> None:
    cohort = generated.cohort
    row = int(np.flatnonzero(cohort.events["event"] == "renal_flare")[0])
    assert rules(changed(cohort, events=without(row))) == {("visits", "day", FLARES)}
    day = int(cohort.events["day"].iloc[row])
    moved = changed(cohort, events=put("day", day - 1, row))
    assert rules(moved) == {("visits", "day", FLARES), ("events", "day", FLARES)}


def test_a_flare_may_go_unseen_where_values_are_missing_but_not_appear(generated: GeneratedCohort) -> None:
    cohort = generated.cohort
    flare = cohort.events[cohort.events["event"] == "renal_flare"].iloc[0]
    own = (cohort.visits["patient_id"] == flare["patient_id"]).to_numpy()
    at_flare = own & (cohort.visits["day"] == flare["day"]).to_numpy()
    judged_by = ("upcr_g_g", *CREATININE, "urine_rbc_hpf", "urine_casts")
    unseen = changed(cohort, visits=lacking(np.flatnonzero(at_flare), *judged_by))
    assert check(unseen).empty
    # Seen although none is on record, or before the one on record: no missing value explains that.
    gap_elsewhere = np.flatnonzero(own & ~at_flare)[:1]
    row = int(np.flatnonzero(cohort.events.index == flare.name)[0])
    gappy = changed(cohort, visits=lacking(gap_elsewhere, "urine_casts"))
    assert check(gappy).empty
    assert rules(changed(gappy, events=without(row))) == {("visits", "day", FLARES)}
    assert ("visits", "day", FLARES) in rules(changed(gappy, events=put("day", int(flare["day"]) + 1, row)))
    # Elsewhere values are complete, so that a flare on record must be seen.
    others = cohort.events[
        (cohort.events["event"] == "renal_flare") & (cohort.events["patient_id"] != flare["patient_id"])
    ]
    other = int(np.flatnonzero(cohort.events.index == others.index[0])[0])
    assert rules(changed(unseen, events=without(other))) == {("visits", "day", FLARES)}


def test_kidney_failure_without_a_creatinine_is_believed(generated: GeneratedCohort) -> None:
    cohort = generated.cohort
    row = int(np.flatnonzero(cohort.visits["patient_id"] == FIRST)[1])
    extra = pd.DataFrame(
        {"patient_id": [FIRST], "day": [int(cohort.visits["day"].iloc[row])], "event": ["eskd"], "grade": ["severe"]}
    )
    failing = changed(cohort, events=lambda frame: pd.concat([frame, extra], ignore_index=True))
    assert not check(failing).empty
    assert check(changed(failing, visits=lacking(np.array([row]), *CREATININE))).empty


def test_a_registry_may_record_flares_by_another_rule(generated: GeneratedCohort) -> None:
    registry = dataclasses.replace(generated.cohort, seed=None, mode=None, notes={})
    keep_none: Change = lambda frame: frame[frame["event"] != "renal_flare"]  # noqa: E731
    assert check(changed(registry, events=keep_none)).empty
    assert not check(changed(generated.cohort, events=keep_none)).empty


def test_no_patients_is_one_finding(generated: GeneratedCohort) -> None:
    none: Change = lambda frame: frame.iloc[:0]  # noqa: E731
    made = changed(generated.cohort, patients=none, visits=none, treatments=none, events=none)
    findings = check(made)
    assert findings[["table", "column", "rule", "rows"]].to_numpy().tolist() == [
        ["patients", "patient_id", "a cohort has patients", 0]
    ]


def test_tables_other_than_patients_and_visits_may_be_empty(generated: GeneratedCohort) -> None:
    registry = dataclasses.replace(generated.cohort, mode=None)
    quiet = changed(
        registry,
        patients=lambda frame: frame.assign(end_reason=frame["end_reason"].replace("death", "lost_to_follow_up")),
        visits=lambda frame: frame.assign(tacrolimus_trough_ng_ml=np.nan),
        treatments=lambda frame: frame.iloc[:0],
        events=lambda frame: frame.iloc[:0],
    )
    assert check(quiet).empty


def test_what_any_analysis_needs_is_checked_alone(generated: GeneratedCohort) -> None:
    odd = changed(generated.cohort, visits=put("egfr_ml_min_1_73m2", 1.0))
    assert schema_findings(odd, arms=ARMS).empty
    assert not check(odd).empty
    assert len(schema_findings(changed(generated.cohort, visits=put("c3_mg_dl", 0.0)), arms=ARMS)) == 1
