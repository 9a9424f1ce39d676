"""Protects between which visits a first complete response is placed, and what counts as sustained response."""

from __future__ import annotations

import math
from typing import cast

import numpy as np
import pandas as pd
import pytest

from analyses.datasets import AnalysisData, analysis_data
from analyses.kernels.proportions import wilson_interval
from analyses.response import first_response_intervals, sustained_response_rates
from analyses.survival import turnbull
from cohort.definitions import KDIGO_2012, KIM2025
from cohort.errors import UsageError
from cohort.store import Cohort
from synthetic.generate import GeneratedCohort

MONTHS = (0, 6, 12, 24)


def of(courses: dict[str, str], *, arms: dict[str, str] | None = None) -> AnalysisData:
    """Lay out patients from one letter a visit at 6, 12 and 24 months: C, P, N, or - for not assessed."""
    codes = {"C": "CR", "P": "PR", "N": "NR"}
    arm = arms or dict.fromkeys(courses, "a")
    rows = [
        {"patient_id": patient, "visit_month": month, "response": codes[letter], "arm": arm[patient]}
        for patient, course in courses.items()
        for month, letter in zip(MONTHS[1:], course, strict=True)
        if letter != "-"
    ]
    empty = pd.DataFrame()
    return AnalysisData(
        baseline=pd.DataFrame({"patient_id": list(courses), "arm": [arm[patient] for patient in courses]}),
        responses=pd.DataFrame(rows, columns=["patient_id", "visit_month", "response", "arm"]),
        not_assessable=empty,
        missing=empty,
        event_free=empty,
        flares=empty,
        treated="a",
        reference="b" if "b" in arm.values() else None,
        months=MONTHS,
        horizon_years=2.0,
        cohort=cast(Cohort, None),
    )


@pytest.mark.parametrize(
    ("course", "lower", "upper", "visits"),
    [
        pytest.param("CCC", 0, 6, 3, id="at the first visit"),
        pytest.param("NPC", 12, 24, 3, id="at the last"),
        pytest.param("N-C", 6, 24, 2, id="a visit missed in between"),
        pytest.param("--C", 0, 24, 1, id="only seen in response"),
        pytest.param("NCN", 6, 12, 3, id="lost again"),
        pytest.param("NNN", 24, math.inf, 3, id="never"),
        pytest.param("P--", 6, math.inf, 1, id="lost to follow-up"),
        pytest.param("---", 0, math.inf, 0, id="never assessed"),
    ],
)
def test_interval_of_the_first_complete_response(course: str, lower: float, upper: float, visits: int) -> None:
    """From the last assessed visit without it (or day 0) to the first with it."""
    row = first_response_intervals(of({"p": course})).iloc[0]
    assert (row["lower_months"], row["upper_months"], row["visits_assessed"]) == (lower, upper, visits)


def test_patients_keep_their_order_and_their_columns() -> None:
    data = of({"z": "NCC", "a": "CNN", "m": "---"})
    before = data.responses.copy()
    frame = first_response_intervals(data)
    assert frame["patient_id"].tolist() == ["z", "a", "m"]
    assert frame["upper_months"].tolist() == [12, 6, math.inf]
    assert list(frame.columns) == ["patient_id", "arm", "lower_months", "upper_months", "visits_assessed"]
    pd.testing.assert_frame_equal(data.responses, before)
    shuffled = AnalysisData(**{**fields(data), "responses": data.responses.iloc[::-1].set_axis([5] * 6)})
    pd.testing.assert_frame_equal(first_response_intervals(shuffled), frame)


def fields(data: AnalysisData) -> dict[str, object]:
    return {name: getattr(data, name) for name in AnalysisData.__dataclass_fields__}


def test_sustained_response() -> None:
    """From 6 on: CCC and C-C are; CCN, CNC and NCC are not; C-- has no later visit, so it is left out: 2 of 5. From 12
    on: CCC and NCC are of CCC, CCN, CNC, NCC (C-C is not assessed at 12): 2 of 4."""
    courses = {"1": "CCC", "2": "C-C", "3": "CCN", "4": "CNC", "5": "NCC", "6": "C--"}
    rows = sustained_response_rates(of(courses)).frame
    assert rows["time"].tolist() == [6, 12]
    assert rows["n"].tolist() == [5, 4]
    assert rows["n_events"].tolist() == [2, 2]
    assert rows["estimate"].tolist() == [0.4, 0.5]
    expected = wilson_interval(2, 5, conf_level=0.95)
    assert rows["conf_low"][0] == float(expected.low)
    assert rows["conf_high"][0] == float(expected.high)
    assert rows["note"][0] == "1 assessed here and at no later visit are left out"
    assert pd.isna(rows["note"][1])


def test_sustained_response_by_arm_and_where_nobody_can_be_judged() -> None:
    data = of({"1": "CCC", "2": "N--"}, arms={"1": "a", "2": "b"})
    rows = sustained_response_rates(data).frame
    assert rows["group"].tolist() == ["a", "a", "b", "b"]
    assert rows["n"].tolist() == [1, 1, 0, 0]
    assert rows["estimate"].tolist()[:2] == [1, 1]
    nobody = "no patient of this group is assessed at this visit and a later one"
    assert rows["note"].tolist()[2:] == [f"{nobody}; 1 assessed here and at no later visit are left out", nobody]
    with pytest.raises(UsageError, match="conf_level: must lie strictly between 0 and 1"):
        sustained_response_rates(data, conf_level=1.0)


def test_of_a_whole_cohort(generated: GeneratedCohort) -> None:
    """With a fixed schedule and nobody missing before, the mass up to 6 months is the proportion in CR there."""
    data = analysis_data(
        generated.cohort, treated="tacrolimus", reference="no_tacrolimus", response=KIM2025, flare=KDIGO_2012
    )
    frame = first_response_intervals(data)
    assert len(frame) == len(data.baseline)
    assert (frame["lower_months"] < frame["upper_months"]).all()
    assert set(frame["lower_months"]) <= set(data.months)
    seen = frame[frame["visits_assessed"] > 0]
    table = turnbull(seen, lower_col="lower_months", upper_col="upper_months", by="arm").frame
    points = table[table["statistic"] == "survival"]
    assert set(points["time"]) <= set(data.months)
    at_six = data.responses[data.responses["visit_month"] == 6]
    for arm, rows in at_six.groupby("arm"):
        left = points.loc[(points["group"] == arm) & (points["time"] == 6), "estimate"].item()
        assert 1 - left == pytest.approx((rows["response"] == "CR").mean(), abs=0.02)
    assert np.isfinite(points["estimate"]).all()
