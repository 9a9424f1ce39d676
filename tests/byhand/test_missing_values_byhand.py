"""Protects what is said of visits with missing values: truth tables of response and flare worked out on paper."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cohort.definitions import KDIGO_2012, KIM2025, KIM2025_STRICT, ResponseDefinition
from cohort.flare import derive_flares
from cohort.response import derive_responses

Value = float | None
WOMAN = pd.DataFrame({"patient_id": ["a"], "age_years": [30.0], "sex": ["female"]})


def judged(
    upcr: Value, creatinine: Value, start: tuple[Value, Value], definition: ResponseDefinition = KIM2025
) -> tuple[str | None, str]:
    """Response and reason of a woman of 30 at month 6; ``start`` is UPCR and creatinine of the baseline visit.

    Her limits: normal creatinine up to 1.00; the eGFR is 60 or more up to a creatinine of 1.23.
    """
    visits = pd.DataFrame(
        {
            "patient_id": ["a", "a"],
            "visit_month": [0, 6],
            "day": [0, 183],
            "upcr_g_g": pd.array([start[0], upcr], dtype="Float64").to_numpy(np.float64, na_value=np.nan),
            "serum_creatinine_mg_dl": pd.array([start[1], creatinine], dtype="Float64").to_numpy(
                np.float64, na_value=np.nan
            ),
        }
    )
    row = derive_responses(WOMAN, visits, definition).iloc[0]
    return (None if pd.isna(row["response"]) else str(row["response"])), str(row["reason"])


FULL = (4.0, 0.8)
COMPLETE = "UPCR and creatinine within the limits of CR"
PARTIAL = "UPCR reduced, not below the limit of CR"
RAISED = "UPCR reduced, creatinine beyond the limit of CR"
UNREDUCED, NEPHROTIC, POOR = "UPCR not reduced enough", "UPCR not sub-nephrotic", "eGFR not near normal"


@pytest.mark.parametrize(
    ("upcr", "creatinine", "start", "response", "reason"),
    [
        # Creatinine missing: UPCR alone can refuse a response, never grant one.
        (0.30, None, FULL, None, "missing: creatinine"),  # CR, PR or NR by creatinine
        (1.00, None, FULL, None, "missing: creatinine"),  # PR or NR by eGFR
        (2.01, None, FULL, "NR", UNREDUCED),  # more than half of 4.00
        (2.00, None, FULL, None, "missing: creatinine"),
        (3.50, None, (9.0, 0.8), "NR", NEPHROTIC),
        (0.49, None, (0.8, 0.8), None, "missing: creatinine"),  # not halved, yet CR if creatinine is normal
        (0.50, None, (0.8, 0.8), "NR", UNREDUCED),
        # UPCR missing: creatinine alone can refuse both responses, never grant one.
        (None, 0.80, FULL, None, "missing: UPCR"),
        (None, 1.23, FULL, None, "missing: UPCR"),  # eGFR 60.4: PR or NR
        (None, 1.24, FULL, "NR", POOR),  # eGFR 59.9
        (None, 1.30, FULL, "NR", POOR),  # neither creatinine clause, and eGFR below 60
        # Both missing.
        (None, None, FULL, None, "missing: UPCR; creatinine"),
        # UPCR missing at baseline: CR does not look at it, PR does.
        (0.30, 0.80, (None, 0.8), "CR", COMPLETE),
        (0.50, 0.80, (None, 0.8), None, "missing: UPCR at baseline"),
        (0.30, 1.20, (None, 0.8), None, "missing: UPCR at baseline"),  # no CR, eGFR above 60: PR or NR
        (3.50, 0.80, (None, 0.8), "NR", NEPHROTIC),
        (1.00, 1.30, (None, 0.8), "NR", POOR),
        # Creatinine missing at baseline: a normal creatinine is enough under this reading.
        (0.30, 1.00, (4.0, None), "CR", COMPLETE),
        (0.30, 1.01, (4.0, None), None, "missing: creatinine at baseline"),  # from 0.90 a small rise, from 1.10 not
        (0.30, 1.14, (4.0, None), None, "missing: creatinine at baseline"),  # from 1.00 the rise is 14 %
        (0.30, 1.15, (4.0, None), "PR", RAISED),  # from no normal baseline is that less than 15 %
        (0.30, 1.30, (4.0, None), "NR", POOR),
        (0.50, 1.10, (4.0, None), "PR", PARTIAL),  # no CR whatever the baseline creatinine
        (2.01, 0.80, (4.0, None), "NR", UNREDUCED),
        # Both missing at baseline.
        (0.30, 0.80, (None, None), "CR", COMPLETE),
        (0.30, 1.10, (None, None), None, "missing: UPCR at baseline; creatinine at baseline"),
        (3.50, 1.10, (None, None), "NR", NEPHROTIC),
        # Nothing measured at all.
        (None, None, (None, None), None, "missing: UPCR; creatinine; UPCR at baseline; creatinine at baseline"),
    ],
)
def test_response_with_each_pattern_of_missing_values(
    upcr: Value, creatinine: Value, start: tuple[Value, Value], response: str | None, reason: str
) -> None:
    assert judged(upcr, creatinine, start) == (response, reason)


@pytest.mark.parametrize(
    ("creatinine", "response"),
    [
        (0.80, None),  # normal; from 0.60 a rise of 33 %, from 0.75 of 7 %
        (1.00, None),
        (1.01, "PR"),  # not normal, so no CR whatever came before
        (0.11, "CR"),  # from 0.10, the lowest that is possible, still less than 15 %
    ],
)
def test_the_strict_reading_needs_the_creatinine_of_the_baseline(creatinine: float, response: str | None) -> None:
    assert judged(0.30, creatinine, (4.0, None), KIM2025_STRICT)[0] == response


def test_a_baseline_visit_without_values_is_still_no_response() -> None:
    visits = pd.DataFrame(
        {
            "patient_id": ["a", "a"],
            "visit_month": [0, 6],
            "day": [0, 183],
            "upcr_g_g": [np.nan, 0.3],
            "serum_creatinine_mg_dl": [np.nan, 0.8],
        }
    )
    assert derive_responses(WOMAN, visits, KIM2025)["response"].tolist() == ["CR"]


Visit = tuple[int, Value, Value, int | None, bool | None]


def flares(*course: Visit) -> list[tuple[int, str]]:
    """Day and grade of each flare of a woman of 30; a visit is day, UPCR, creatinine, erythrocytes and casts."""
    rows = [(0, 4.0, 0.8, 30, True), *course]
    visits = pd.DataFrame(
        {
            "patient_id": "a",
            "visit_month": pd.array([0] + [None] * len(course), dtype="Int32"),
            "day": [row[0] for row in rows],
            "upcr_g_g": pd.array([row[1] for row in rows], dtype="Float64").to_numpy(np.float64, na_value=np.nan),
            "serum_creatinine_mg_dl": pd.array([row[2] for row in rows], dtype="Float64").to_numpy(
                np.float64, na_value=np.nan
            ),
            "urine_rbc_hpf": pd.array([row[3] for row in rows], dtype="Int32"),
            "urine_casts": pd.array([row[4] for row in rows], dtype="boolean"),
        }
    )
    found = derive_flares(WOMAN, visits, KIM2025, KDIGO_2012)
    return list(zip(found["day"].tolist(), found["kind"].tolist(), strict=True))


QUIET: Visit = (180, 0.3, 0.8, 2, False)


@pytest.mark.parametrize(
    ("visit", "expected"),
    [
        ((360, 1.5, None, None, None), "moderate"),  # UPCR alone shows it
        ((360, None, 1.0, None, None), "moderate"),  # a rise of creatinine of 0.20 alone
        ((360, None, 1.81, None, None), "severe"),  # of more than 1.00
        ((360, None, None, 16, True), "mild"),  # sediment alone
        ((360, 5.31, None, 16, True), "severe"),  # the gravest of what is there
        ((360, None, 0.9, 16, True), "mild"),  # it may have been worse: UPCR is missing
        ((360, None, None, 16, None), None),  # cells without a look for casts
        ((360, None, None, None, True), None),  # casts without a count of cells
        ((360, 0.9, None, None, None), None),
        ((360, None, None, None, None), None),
    ],
)
def test_a_flare_needs_a_clause_that_the_values_meet(visit: Visit, expected: str | None) -> None:
    assert flares(QUIET, visit) == ([] if expected is None else [(360, expected)])


def test_the_reference_is_the_lowest_of_what_was_measured() -> None:
    """CR at 0.30; unmeasured at 270; 1.00 at 360 is a flare against 0.30. Sediment that was never quiet is no flare."""
    assert flares(QUIET, (270, None, None, None, None), (360, 1.0, 0.8, 2, False)) == [(360, "moderate")]
    unseen: Visit = (180, 0.3, 0.8, None, None)
    assert flares(unseen, (360, 0.3, 0.8, 16, True)) == []
    assert flares(unseen, (270, 0.3, 0.8, 4, False), (360, 0.3, 0.8, 16, True)) == [(360, "mild")]


def test_a_response_that_is_open_begins_no_response() -> None:
    """0.30 without creatinine at 180 may be CR, PR or NR: 1.50 at 360 is no flare. CR at 270 makes it one."""
    unknown: Visit = (180, 0.3, None, 2, False)
    assert flares(unknown, (360, 1.5, 0.8, 2, False)) == []
    assert flares(unknown, (270, 0.3, 0.8, 2, False), (360, 1.5, 0.8, 2, False)) == [(360, "moderate")]


def test_a_flare_not_measured_is_seen_at_the_next_visit_that_shows_it() -> None:
    """With 1.50 at 360 the visit of 540 is the same illness; without it the flare is seen there."""
    later: Visit = (540, 2.5, 0.8, 2, False)
    assert flares(QUIET, (360, 1.5, 0.8, 2, False), later) == [(360, "moderate")]
    assert flares(QUIET, (360, None, 0.8, 2, False), later) == [(540, "moderate")]
