"""Properties of renal response at its thresholds: exact in printed values, monotone, the two readings nested."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cohort.definitions import KIM2025, KIM2025_STRICT, ResponseDefinition
from cohort.egfr import creatinine_for_egfr
from cohort.response import Labs, classify, derive_responses, hundredths

STEADY = settings(derandomize=True, deadline=None, max_examples=200)
FEWER = settings(STEADY, max_examples=60)
"""For properties that go through whole tables; the edges themselves are given as examples."""
RATIO = st.integers(0, 1500)
CREATININE = st.integers(30, 400)


def labs(
    upcr: int, creatinine: int, baseline_upcr: int, baseline_creatinine: int, female: bool, egfr: int = 900
) -> Labs:
    values = (upcr, creatinine, egfr, baseline_upcr, baseline_creatinine)
    return Labs(*(np.array([value]) for value in values), np.array([female]))


def derived(
    upcr: str, creatinine: str, baseline_upcr: str, baseline_creatinine: str, definition: ResponseDefinition = KIM2025
) -> str:
    """Response of a woman of 30 at month 6, from values as printed."""
    patients = pd.DataFrame({"patient_id": ["a"], "age_years": [30.0], "sex": ["female"]})
    visits = pd.DataFrame(
        {
            "patient_id": ["a", "a"],
            "visit_month": [0, 6],
            "day": [0, 183],
            "upcr_g_g": [float(baseline_upcr), float(upcr)],
            "serum_creatinine_mg_dl": [float(baseline_creatinine), float(creatinine)],
        }
    )
    return str(derive_responses(patients, visits, definition)["response"].item())


def printed(value: int) -> str:
    return str(Decimal(value).scaleb(-2))


@STEADY
@given(st.integers(0, 10_000_00))
def test_a_printed_value_is_its_hundredths(value: int) -> None:
    assert hundredths(float(printed(value))) == value


@FEWER
@given(upcr=st.integers(0, 120), baseline=st.integers(100, 1500))
@example(upcr=49, baseline=100)
@example(upcr=50, baseline=100)
def test_complete_response_ends_exactly_at_one_half(upcr: int, baseline: int) -> None:
    complete = derived(printed(upcr), "0.80", printed(baseline), "0.80") == "CR"
    assert complete == (upcr <= 49)


@FEWER
@given(upcr=st.integers(50, 400), baseline=st.integers(100, 1500))
@example(upcr=50, baseline=100)
@example(upcr=51, baseline=101)
@example(upcr=349, baseline=698)
@example(upcr=350, baseline=700)
def test_partial_response_ends_exactly_at_half_of_baseline_and_below_nephrotic(upcr: int, baseline: int) -> None:
    response = derived(printed(upcr), "0.80", printed(baseline), "0.80")
    assert response == ("PR" if Fraction(upcr, baseline) <= Fraction(1, 2) and upcr < 350 else "NR")


@STEADY
@given(baseline=st.integers(30, 100), creatinine=CREATININE)
@example(baseline=100, creatinine=114)
@example(baseline=100, creatinine=115)
@example(baseline=60, creatinine=69)
@example(baseline=60, creatinine=68)
def test_a_rise_of_fifteen_per_cent_is_too_much_under_the_strict_reading(baseline: int, creatinine: int) -> None:
    judged = classify(labs(30, creatinine, 400, baseline, True), KIM2025_STRICT)
    rise = Fraction(creatinine - baseline, baseline)
    assert judged.creatinine_ok.item() == (creatinine <= 100 and rise < Fraction(15, 100))


@STEADY
@given(baseline=CREATININE, creatinine=CREATININE, female=st.booleans())
@example(baseline=100, creatinine=114, female=True)
@example(baseline=100, creatinine=115, female=True)
@example(baseline=101, creatinine=100, female=True)
@example(baseline=60, creatinine=100, female=True)
@example(baseline=120, creatinine=137, female=False)
@example(baseline=120, creatinine=138, female=False)
def test_the_two_readings_of_the_creatinine_clause(baseline: int, creatinine: int, female: bool) -> None:
    values = labs(30, creatinine, 400, baseline, female)
    either, both = (bool(classify(values, one).creatinine_ok.item()) for one in (KIM2025, KIM2025_STRICT))
    limit = 100 if female else 120
    normal, was_normal = creatinine <= limit, baseline <= limit
    small = Fraction(creatinine, baseline) < Fraction(115, 100)
    assert either == (normal or (was_normal and small))
    assert both == ((normal and small) if was_normal else normal)
    assert either or not both
    # They part only where baseline was normal and exactly one of the two conditions holds.
    assert (either != both) == (was_normal and normal != small)


@FEWER
@given(age=st.integers(18, 85), female=st.booleans())
def test_near_normal_begins_exactly_at_sixty(age: int, female: bool) -> None:
    judged = [classify(labs(100, 110, 400, 110, female, egfr), KIM2025) for egfr in (599, 600)]
    assert [bool(one.partial.item()) for one in judged] == [False, True]
    edge = int(hundredths(creatinine_for_egfr(60.0, age, female)))
    patients = pd.DataFrame({"patient_id": ["a"], "age_years": [float(age)], "sex": ["female" if female else "male"]})
    visits = pd.DataFrame(
        {
            "patient_id": ["a"] * 3,
            "visit_month": [0, 6, 12],
            "day": [0, 0, 0],
            "upcr_g_g": [4.0, 1.0, 1.0],
            "serum_creatinine_mg_dl": [edge / 100, (edge - 1) / 100, (edge + 1) / 100],
        }
    )
    # One hundredth below and above the creatinine of an eGFR of 60 the eGFR is on either side of it.
    assert derive_responses(patients, visits, KIM2025)["response"].tolist() == ["PR", "NR"]


@STEADY
@given(RATIO, CREATININE, st.integers(1, 1500), CREATININE, st.booleans(), st.integers(50, 1500), st.integers(0, 300))
def test_less_protein_and_less_creatinine_never_worsen_a_response(
    upcr: int, creatinine: int, baseline: int, baseline_creatinine: int, female: bool, egfr: int, better: int
) -> None:
    rank = {"CR": 2, "PR": 1, "NR": 0}

    def judged(values: Labs, definition: ResponseDefinition) -> int:
        one = classify(values, definition)
        assert not (one.complete & one.partial).any()
        return rank["CR" if one.complete.item() else "PR" if one.partial.item() else "NR"]

    for definition in (KIM2025, KIM2025_STRICT):
        before = judged(labs(upcr, creatinine, baseline, baseline_creatinine, female, egfr), definition)
        lower = max(upcr - better, 0)
        assert judged(labs(lower, creatinine, baseline, baseline_creatinine, female, egfr), definition) >= before
        lower = max(creatinine - better, 10)
        assert judged(labs(upcr, lower, baseline, baseline_creatinine, female, egfr + better), definition) >= before


@STEADY
@given(RATIO, CREATININE, st.integers(1, 1500), CREATININE, st.booleans(), st.integers(50, 1500))
def test_the_strict_reading_never_gives_a_better_response(
    upcr: int, creatinine: int, baseline: int, baseline_creatinine: int, female: bool, egfr: int
) -> None:
    values = labs(upcr, creatinine, baseline, baseline_creatinine, female, egfr)
    either, both = classify(values, KIM2025), classify(values, KIM2025_STRICT)
    assert either.complete.item() or not both.complete.item()
    # What the strict reading takes from CR keeps PR if the other clauses hold, so overall response differs by those.
    if either.complete.item() and not both.complete.item():
        assert both.partial.item() == (upcr * 2 <= baseline and egfr >= 600)
