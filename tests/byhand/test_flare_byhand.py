"""Courses of single patients judged by hand against KDIGO 2012 Table 29, each stated in its docstring."""

from __future__ import annotations

import pandas as pd

from cohort.definitions import KDIGO_2012, KIM2025
from cohort.flare import derive_flares

Visit = tuple[int, float] | tuple[int, float, float] | tuple[int, float, float, int, bool]


def flares(*course: Visit, start: tuple[float, float] = (4.0, 0.8)) -> list[tuple[int, str]]:
    """Day and grade of each flare of a woman of 30.

    A visit is (day, UPCR), then creatinine (0.8 unless given), erythrocytes (2) and casts (none). ``start`` holds
    UPCR and creatinine of the baseline visit.
    """
    filled = [(0, *start, 30, True), *((*visit, *(0.8, 2, False)[len(visit) - 2 :]) for visit in course)]
    visits = pd.DataFrame(
        filled, columns=["day", "upcr_g_g", "serum_creatinine_mg_dl", "urine_rbc_hpf", "urine_casts"]
    ).assign(patient_id="a")
    months = pd.array([0] + [None] * len(course), dtype="Int32")
    patients = pd.DataFrame({"patient_id": ["a"], "age_years": [30.0], "sex": ["female"]})
    found = derive_flares(patients, visits.assign(visit_month=months), KIM2025, KDIGO_2012)
    return list(zip(found["day"].tolist(), found["kind"].tolist(), strict=True))


def test_without_response_nothing_flares() -> None:
    """4.0, 3.0, 9.0: never halved, so the tripling is worsening, not a flare."""
    assert flares((180, 3.0), (360, 9.0)) == []


def test_moderate_from_below_half_a_gram() -> None:
    """CR at 0.30, then 1.00: reference below 0.5 and at least 1.0. At 0.99 there is none."""
    assert flares((180, 0.30), (360, 1.00)) == [(360, "moderate")]
    assert flares((180, 0.30), (360, 0.99)) == []


def test_moderate_from_half_to_one_gram() -> None:
    """PR at 0.50: 2.00 is needed, though 1.99 is four times the reference. At a reference of 1.00 2.00 still."""
    assert flares((180, 0.50), (360, 1.99)) == []
    assert flares((180, 0.50), (360, 2.00)) == [(360, "moderate")]
    assert flares((180, 1.00), (360, 2.00)) == [(360, "moderate")]


def test_moderate_from_above_one_gram() -> None:
    """PR at 1.01 of 4.00: twice, 2.02, is needed. At 2.01 there is none."""
    assert flares((180, 1.01), (360, 2.01)) == []
    assert flares((180, 1.01), (360, 2.02)) == [(360, "moderate")]


def test_severe_by_a_rise_of_more_than_five_grams() -> None:
    """From 0.30, 5.30 is a rise of exactly 5.00: moderate. 5.31 is severe."""
    assert flares((180, 0.30), (360, 5.30)) == [(360, "moderate")]
    assert flares((180, 0.30), (360, 5.31)) == [(360, "severe")]


def test_the_reference_is_the_lowest_ratio_since_response() -> None:
    """0.80, 0.40, 0.90, 1.00: from 0.40 a ratio of 1.00 is a flare; from 0.80 it would not be."""
    assert flares((180, 0.80), (270, 0.40), (360, 0.90), (450, 1.00)) == [(450, "moderate")]
    assert flares((180, 0.80), (360, 0.90), (450, 1.00)) == []


def test_moderate_by_creatinine_below_two() -> None:
    """CR at creatinine 0.80: 0.99 is a rise of 0.19, none; 1.00 of 0.20, moderate; 1.80 still; 1.81 severe."""
    assert flares((180, 0.3), (360, 0.3, 0.99)) == []
    assert flares((180, 0.3), (360, 0.3, 1.00)) == [(360, "moderate")]
    assert flares((180, 0.3), (360, 0.3, 1.80)) == [(360, "moderate")]
    assert flares((180, 0.3), (360, 0.3, 1.81)) == [(360, "severe")]


def test_each_reference_has_its_own_lowest_value() -> None:
    """Lowest ratio at day 180, lowest creatinine at day 270: 0.90 from 0.70 is a rise of 0.20."""
    assert flares((180, 0.3, 0.8), (270, 0.4, 0.70), (360, 0.4, 0.90)) == [(360, "moderate")]


def test_mild_by_sediment_alone() -> None:
    """Quiet urine in response, then 16 erythrocytes with casts: mild. 15, or no casts, or never quiet: none."""
    assert flares((180, 0.3), (360, 0.3, 0.8, 16, True)) == [(360, "mild")]
    assert flares((180, 0.3), (360, 0.3, 0.8, 15, True)) == []
    assert flares((180, 0.3), (360, 0.3, 0.8, 16, False)) == []
    assert flares((180, 0.3, 0.8, 5, False), (360, 0.3, 0.8, 30, True)) == []


def test_after_a_flare_a_new_response_must_come_first() -> None:
    """Flare at 360; worse at 540 is the same illness; CR at 720; flare again at 900."""
    assert flares((180, 0.3), (360, 2.5), (540, 4.5), (720, 0.3), (900, 1.5)) == [(360, "moderate"), (900, "moderate")]


def test_after_a_flare_the_reference_starts_anew() -> None:
    """0.30, flare at 2.50, PR at 1.80: the new reference is 1.80, so 3.00 is no doubling and 3.60 is."""
    assert flares((180, 0.3), (360, 2.5), (540, 1.8), (720, 3.0)) == [(360, "moderate")]
    assert flares((180, 0.3), (360, 2.5), (540, 1.8), (720, 3.6)) == [(360, "moderate"), (720, "moderate")]


def test_two_flares_within_ninety_days_are_one() -> None:
    """Flare at 360, CR at 400, flare at 450 (90 days on): one. At 451: two."""
    assert flares((180, 0.3), (360, 1.5), (400, 0.3), (450, 1.5)) == [(360, "moderate")]
    assert flares((180, 0.3), (360, 1.5), (400, 0.3), (451, 1.5)) == [(360, "moderate"), (451, "moderate")]


def test_a_merged_flare_ends_the_response_and_does_not_prolong_the_ninety_days() -> None:
    """Flare at 360, merged at 450; without a new response 1.5 at 460 is nothing; after CR at 470, 500 is a flare."""
    assert flares((180, 0.3), (360, 1.5), (400, 0.3), (450, 2.5), (460, 2.5)) == [(360, "moderate")]
    assert flares((180, 0.3), (360, 1.5), (400, 0.3), (450, 2.5), (470, 0.3), (500, 1.5)) == [
        (360, "moderate"),
        (500, "moderate"),
    ]


def test_remission_at_the_index_date_is_not_yet_a_response() -> None:
    """0.30 at baseline and 1.50 at 180: no response after day 0 came first. With CR at 180 the rise at 360 counts."""
    assert flares((180, 1.5), start=(0.3, 0.8)) == []
    assert flares((180, 0.3), (360, 1.5), start=(0.3, 0.8)) == [(360, "moderate")]


def test_high_creatinine_needs_a_larger_rise() -> None:
    """No CR or PR is possible at a creatinine of 2.00 for a woman of 30, so a high reference must rise from response.

    CR at 0.80 and at once 2.10: severe by a rise of 1.30. The limits at a reference of 2.00 are met by grade alone
    (0.40 and 1.50), tested where the limits are.
    """
    assert flares((180, 0.3), (360, 0.3, 2.10)) == [(360, "severe")]
