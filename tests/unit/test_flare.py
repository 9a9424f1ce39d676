"""Protects the search for flares: response first, reference, limits of each clause, merging, order of rows."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from cohort.definitions import KDIGO_2012, KIM2025
from cohort.errors import CohortDirectoryError
from cohort.flare import Reference, creatinine_flare_rise, derive_flares, flare_grade, upcr_flare_limit
from cohort.schema import FLARES
from synthetic.generate import GeneratedCohort


def grade(
    upcr: int = 40,
    creatinine: int = 80,
    rbc: int = 2,
    casts: bool = False,
    reference: tuple[int, int, int] = (40, 80, 2),
) -> int:
    lowest = Reference(*(np.array([value]) for value in reference))
    found = flare_grade(
        np.array([upcr]), np.array([creatinine]), np.array([rbc]), np.array([casts]), lowest, KDIGO_2012
    )
    return int(found.item())


@pytest.mark.parametrize(
    ("reference", "limit"),
    [(0, 100), (49, 100), (50, 200), (100, 200), (101, 202), (250, 500), (300, 600)],
)
def test_the_ratio_from_which_a_flare_is_present(reference: int, limit: int) -> None:
    assert upcr_flare_limit(reference, KDIGO_2012) == limit
    assert grade(upcr=limit, reference=(reference, 80, 2)) == 2
    assert grade(upcr=limit - 1, reference=(reference, 80, 2)) == 0


def test_a_multiple_is_not_rounded_up_by_binary_fractions() -> None:
    # 1.1 x 300 is 330.00000000000006 in binary fractions.
    gentle = dataclasses.replace(KDIGO_2012, upcr_high_fold=1.1)
    assert upcr_flare_limit([300, 301], gentle).tolist() == [330, 332]


@pytest.mark.parametrize(
    ("reference", "rise", "severe_above"), [(199, 20, 100), (200, 40, 150), (80, 20, 100), (450, 40, 150)]
)
def test_the_rise_of_creatinine_from_which_a_flare_is_present(reference: int, rise: int, severe_above: int) -> None:
    assert creatinine_flare_rise(reference, KDIGO_2012) == rise
    for step, expected in ((rise - 1, 0), (rise, 2), (severe_above, 2), (severe_above + 1, 3)):
        assert grade(creatinine=reference + step, reference=(40, reference, 2)) == expected, step


@pytest.mark.parametrize(("upcr", "expected"), [(540, 2), (541, 3)])
def test_a_rise_of_more_than_five_grams_is_severe(upcr: int, expected: int) -> None:
    assert grade(upcr=upcr) == expected


@pytest.mark.parametrize(
    ("quiet", "active", "casts", "expected"),
    [(4, 16, True, 1), (4, 15, True, 0), (5, 16, True, 0), (4, 16, False, 0), (0, 1000, True, 1)],
)
def test_active_sediment_after_a_quiet_one_is_mild(quiet: int, active: int, casts: bool, expected: int) -> None:
    assert grade(rbc=active, casts=casts, reference=(40, 80, quiet)) == expected


def test_the_worst_clause_gives_the_grade() -> None:
    assert grade(upcr=100, rbc=16, casts=True) == 2
    assert grade(upcr=100, creatinine=181, rbc=16, casts=True) == 3


def test_flares_do_not_depend_on_the_order_of_rows(generated: GeneratedCohort) -> None:
    cohort = generated.cohort
    expected = derive_flares(cohort.patients, cohort.visits, KIM2025, KDIGO_2012)
    assert len(expected) > 5
    shuffled = derive_flares(cohort.patients, cohort.visits.sample(frac=1, random_state=5), KIM2025, KDIGO_2012)
    pd.testing.assert_frame_equal(shuffled, expected)


def test_patients_do_not_influence_each_other(generated: GeneratedCohort) -> None:
    cohort = generated.cohort
    together = derive_flares(cohort.patients, cohort.visits, KIM2025, KDIGO_2012)
    some = cohort.patients["patient_id"].iloc[::7]
    alone = [
        derive_flares(cohort.patients, cohort.visits[cohort.visits["patient_id"] == one], KIM2025, KDIGO_2012)
        for one in some
    ]
    expected = together[together["patient_id"].isin(some)].reset_index(drop=True)
    pd.testing.assert_frame_equal(pd.concat(alone, ignore_index=True), expected, check_dtype=False)
    assert len(expected)


def test_no_visits_and_no_flares_give_tables_of_the_declared_columns(generated: GeneratedCohort) -> None:
    cohort = generated.cohort
    baseline = cohort.visits[cohort.visits["visit_month"].eq(0).fillna(False).astype(bool)]
    for frame in (baseline, baseline.iloc[:0]):
        found = derive_flares(cohort.patients, frame, KIM2025, KDIGO_2012)
        assert tuple(found.columns) == FLARES.column_names
        assert found.empty


def test_a_patient_without_baseline_visit(generated: GeneratedCohort) -> None:
    cohort = generated.cohort
    with pytest.raises(CohortDirectoryError, match="a patient has no visit of month 0; got kim2025-001"):
        derive_flares(cohort.patients, cohort.visits.iloc[1:], KIM2025, KDIGO_2012)
