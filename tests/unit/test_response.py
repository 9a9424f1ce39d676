"""Protects renal response at single visits: who is judged, against what, why, and what stops the judgement."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from cohort.definitions import KIM2025, KIM2025_STRICT
from cohort.errors import CohortDirectoryError
from cohort.response import Labs, bracketed_labs, classify, classify_visits, derive_responses, hundredths, tenths
from cohort.schema import RESPONSES
from synthetic.generate import GeneratedCohort

PATIENTS = pd.DataFrame({"patient_id": ["a", "b"], "age_years": [30.0, 40.0], "sex": ["female", "male"]})


def visits(*rows: tuple[str, int | None, int, float, float]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["patient_id", "visit_month", "day", "upcr_g_g", "serum_creatinine_mg_dl"])
    return frame.astype({"visit_month": "Int32"})


START = ("a", 0, 0, 4.0, 0.8)


def response(upcr: float, creatinine: float, start: tuple[float, float] = (4.0, 0.8)) -> tuple[str, str]:
    judged = derive_responses(PATIENTS, visits(("a", 0, 0, *start), ("a", 6, 180, upcr, creatinine)), KIM2025)
    return judged["response"].item(), judged["reason"].item()


@pytest.mark.parametrize(
    ("upcr", "creatinine", "expected", "reason"),
    [
        (0.49, 0.80, "CR", "UPCR and creatinine within the limits of CR"),
        (0.50, 0.80, "PR", "UPCR reduced, not below the limit of CR"),
        (2.00, 0.80, "PR", "UPCR reduced, not below the limit of CR"),
        (2.01, 0.80, "NR", "UPCR not reduced enough"),
        (0.49, 1.01, "PR", "UPCR reduced, creatinine beyond the limit of CR"),
        (0.49, 1.30, "NR", "eGFR not near normal"),
        (0.00, 0.80, "CR", "UPCR and creatinine within the limits of CR"),
    ],
)
def test_each_clause_decides_and_is_named(upcr: float, creatinine: float, expected: str, reason: str) -> None:
    assert response(upcr, creatinine) == (expected, reason)


def test_a_halved_but_nephrotic_ratio_is_no_response() -> None:
    assert response(3.50, 0.8, start=(8.0, 0.8)) == ("NR", "UPCR not sub-nephrotic")
    assert response(3.49, 0.8, start=(8.0, 0.8))[0] == "PR"


def test_the_table_has_the_declared_columns_sorted_by_patient_and_month() -> None:
    table = derive_responses(
        PATIENTS,
        visits(
            ("b", 12, 365, 1.0, 0.9), ("b", 0, 0, 4.0, 0.9), ("a", 6, 180, 0.2, 0.8), START, ("b", 6, 170, 3.0, 0.9)
        ),
        KIM2025,
    )
    assert tuple(table.columns) == RESPONSES.column_names
    assert table[["patient_id", "visit_month", "response"]].to_numpy().tolist() == [
        ["a", 6, "CR"], ["b", 6, "NR"], ["b", 12, "PR"],
    ]  # fmt: skip
    assert table["visit_month"].dtype == np.int64
    assert set(table["definition"]) == {"kim2025"}
    assert table.index.tolist() == [0, 1, 2]


def test_order_and_index_of_the_rows_do_not_matter(generated: GeneratedCohort) -> None:
    cohort = generated.cohort
    expected = derive_responses(cohort.patients, cohort.visits, KIM2025)
    shuffled = derive_responses(
        cohort.patients.sample(frac=1, random_state=1), cohort.visits.sample(frac=1, random_state=2), KIM2025
    )
    pd.testing.assert_frame_equal(shuffled, expected)


def test_visits_not_scheduled_and_not_attended_have_no_row() -> None:
    table = derive_responses(PATIENTS, visits(START, ("a", None, 90, 0.2, 0.8), ("a", 12, 365, 0.2, 0.8)), KIM2025)
    assert table["visit_month"].tolist() == [12]


def test_only_baseline_visits_and_no_visits_give_empty_tables_of_the_same_shape() -> None:
    for frame in (visits(START), visits()):
        table = derive_responses(PATIENTS, frame, KIM2025)
        assert tuple(table.columns) == RESPONSES.column_names
        assert table.empty


def test_the_baseline_visit_is_no_response_even_in_remission() -> None:
    judged = classify_visits(PATIENTS, visits(("a", 0, 0, 0.2, 0.8), ("a", 6, 180, 0.2, 0.8)), KIM2025)
    assert judged["response"].tolist() == ["NR", "CR"]
    assert judged["reason"].tolist()[0] == "baseline visit, nothing to compare it with"


def test_every_visit_is_judged_in_the_order_given() -> None:
    frame = visits(("a", None, 90, 1.9, 0.8), START)
    judged = classify_visits(PATIENTS, frame, KIM2025)
    assert judged["day"].tolist() == [90, 0]
    assert judged["response"].tolist() == ["PR", "NR"]
    assert judged["visit_month"].isna().tolist() == [True, False]


def test_sex_sets_the_limit_of_creatinine() -> None:
    for patient, limit in (("a", 1.00), ("b", 1.20)):
        for creatinine, expected in ((limit, "CR"), (round(limit + 0.01, 2), "PR")):
            frame = visits((patient, 0, 0, 4.0, creatinine - 0.5), (patient, 6, 180, 0.3, creatinine))
            # From so low a start both are a rise of more than 15 %, so that only the limit decides.
            assert derive_responses(PATIENTS, frame, KIM2025)["response"].item() == expected, (patient, creatinine)


def test_age_at_the_visit_counts_not_age_at_the_index_date() -> None:
    # A man of 62 at 1.33 mg/dL has an eGFR of 60.4, at 67 of 58.6.
    old = PATIENTS.assign(age_years=[62.0, 62.0])
    frame = visits(("b", 0, 0, 4.0, 1.33), ("b", 6, 30, 1.0, 1.33), ("b", 60, 1826, 1.0, 1.33))
    assert derive_responses(old, frame, KIM2025)["response"].tolist() == ["PR", "NR"]


def labs(**values: int) -> Labs:
    base = {"upcr": 40, "creatinine": 80, "egfr": 900, "baseline_upcr": 400, "baseline_creatinine": 80} | values
    return Labs(**{name: np.array([value]) for name, value in base.items()}, female=np.array([True]))


def test_shares_finer_than_one_per_cent_are_kept() -> None:
    # A rise of 10 on 80 is 12.5 %: not below 12.5 %, but below 12.6 %.
    strict = dataclasses.replace(KIM2025_STRICT, name="mine", creatinine_rise_below=0.125)
    loose = dataclasses.replace(strict, creatinine_rise_below=0.126)
    rise = labs(baseline_creatinine=80, creatinine=90)
    assert not classify(rise, strict).creatinine_ok.item()
    assert classify(rise, loose).creatinine_ok.item()
    third = dataclasses.replace(KIM2025, name="mine", partial_reduction=0.125)
    assert classify(labs(upcr=350), third).proteinuria_halved.item()
    assert not classify(labs(upcr=351), third).proteinuria_halved.item()


def test_complete_and_partial_exclude_each_other(generated: GeneratedCohort) -> None:
    labs_of_all = bracketed_labs(generated.cohort.patients, generated.cohort.visits, KIM2025)
    assert labs_of_all.best is labs_of_all.worst
    judged = classify(labs_of_all.best, KIM2025)
    assert judged.complete.any()
    assert judged.partial.any()
    assert not (judged.complete & judged.partial).any()


def test_values_are_compared_as_printed() -> None:
    assert hundredths([0.29, 0.57, 1.15, 4.35]).tolist() == [29, 57, 115, 435]
    assert tenths([59.94, 59.96, 60.0]).tolist() == [599, 600, 600]
    # 0.1 + 0.2 and 0.3 are different numbers and the same print.
    assert hundredths(0.1 + 0.2) == hundredths(0.3)


def test_a_patient_without_baseline_visit() -> None:
    wanted = "table visits, column patient_id: a patient has no visit of month 0; got b; response is judged against"
    with pytest.raises(CohortDirectoryError, match=wanted):
        derive_responses(PATIENTS, visits(START, ("b", 6, 180, 1.0, 0.9)), KIM2025)


def test_a_patient_with_two_baseline_visits() -> None:
    with pytest.raises(CohortDirectoryError, match="a patient has several visits of month 0; got a; keep one of them"):
        derive_responses(PATIENTS, visits(START, ("a", 0, 3, 5.0, 0.8)), KIM2025)


def test_a_patient_listed_twice() -> None:
    wanted = "table patients, column patient_id: a patient occurs in several rows; got a"
    with pytest.raises(CohortDirectoryError, match=wanted):
        derive_responses(pd.concat([PATIENTS, PATIENTS.iloc[[0]]]), visits(START), KIM2025)


def test_strangers_are_counted_and_five_are_named() -> None:
    strangers = [(f"s{number}", 0, 0, 4.0, 0.8) for number in range(7)]
    with pytest.raises(
        CohortDirectoryError, match="not in the table patients; got s0, s1, s2, s3, s4 and 2 more; remo"
    ):
        derive_responses(PATIENTS, visits(START, *strangers), KIM2025)


@pytest.mark.parametrize("column", ["age_years", "sex"])
def test_a_missing_age_or_sex_is_never_guessed(column: str) -> None:
    people = PATIENTS.astype(object)
    people.loc[0, column] = None
    with pytest.raises(
        CohortDirectoryError, match=f"table patients, column {column}: a value is missing; got 1 row, pa"
    ):
        derive_responses(people, visits(START), KIM2025)


@pytest.mark.parametrize("creatinine", [0.0, -0.8])
def test_a_creatinine_that_is_not_positive(creatinine: float) -> None:
    with pytest.raises(
        CohortDirectoryError, match="column serum_creatinine_mg_dl: a creatinine is not positive; got 1 r"
    ):
        derive_responses(PATIENTS, visits(START, ("a", 6, 180, 0.3, creatinine)), KIM2025)
