"""Protects how courses of patients become spells, landmarks and counting-process rows, against courses told by hand."""

from __future__ import annotations

import pandas as pd
import pytest

from analyses.datasets import AnalysisData
from analyses.histories import first_response_days, response_history, visit_states
from analyses.longitudinal import state_occupancy
from analyses.survival import landmark, recurrent_flares, since_first_response
from cohort.errors import UsageError
from cohort.store import Cohort

YEAR = 365.25

Course = dict[str, object]


def cohort_of(courses: dict[str, Course], *, horizon_years: float = 5.0) -> AnalysisData:
    """Frames of patients told by ``end`` (day), ``seen`` {month: (day, response)}, ``flares``, ``eskd``, ``death``."""
    patients = pd.DataFrame(
        {
            "patient_id": list(courses),
            "arm": [course.get("arm", "x") for course in courses.values()],
            "follow_up_days": [course["end"] for course in courses.values()],
        }
    )
    visits = [
        (name, month, day, state)
        for name, course in courses.items()
        for month, (day, state) in {0: (0, None), **course.get("seen", {})}.items()  # type: ignore[dict-item]
    ]
    seen = pd.DataFrame(visits, columns=["patient_id", "visit_month", "day", "response"])
    flares = [(name, day) for name, course in courses.items() for day in course.get("flares", [])]  # type: ignore[attr-defined]
    events = [(n, c[kind], kind) for n, c in courses.items() for kind in ("eskd", "death") if kind in c]
    flare_frame = pd.DataFrame(flares, columns=["patient_id", "day"])
    event_frame = pd.DataFrame(events, columns=["patient_id", "day", "event"])
    first_flare = flare_frame.groupby("patient_id")["day"].min().to_dict()
    poor = event_frame.groupby("patient_id")["day"].min().to_dict()
    rows = []
    for name, course in courses.items():
        first = min(first_flare.get(name, 10**9), poor.get(name, 10**9))
        happened = first <= course["end"] and first / YEAR <= horizon_years  # type: ignore[operator]
        bad = poor.get(name, 10**9)
        poorly = bad / YEAR <= horizon_years
        rows.append(
            {
                "patient_id": name,
                "arm": course.get("arm", "x"),
                "years": min(first if happened else course["end"] / 1, horizon_years * YEAR) / YEAR,  # type: ignore[operator]
                "event": int(happened),
                "cause": int(happened) * (1 if first == first_flare.get(name) else 2),
                "poor_outcome_years": min(bad if poorly else course["end"], horizon_years * YEAR) / YEAR,  # type: ignore[call-overload]
                "poor_outcome": int(poorly),
            }
        )
    empty = pd.DataFrame()
    return AnalysisData(
        baseline=patients,
        responses=seen.dropna(subset="response")[["patient_id", "visit_month", "response"]].reset_index(drop=True),
        not_assessable=empty,
        missing=empty,
        event_free=pd.DataFrame(rows),
        flares=flare_frame,
        treated="x",
        reference=None,
        months=(0, 6, 12, 24),
        horizon_years=horizon_years,
        cohort=Cohort(patients, seen.drop(columns="response"), empty, event_frame, study="by hand"),
    )


def told(history: pd.DataFrame) -> list[tuple[int, int, str, str]]:
    """Spells with their ends in whole days."""
    return [
        (round(row.start * YEAR), round(row.stop * YEAR), str(row.from_state), str(row.to_state))
        for row in history.itertuples()
    ]


def history_of(course: Course, **options: object) -> list[tuple[int, int, str, str]]:
    return told(response_history(cohort_of({"a": course}), **options))  # type: ignore[arg-type]


def test_responses_are_dated_at_visits_and_a_flare_lasts_to_the_next() -> None:
    course = {"end": 800, "seen": {6: (180, "PR"), 12: (370, "PR"), 24: (730, "CR")}, "flares": [500]}
    assert history_of(course) == [
        (0, 180, "NR", "PR"),
        (180, 500, "PR", "flare"),
        (500, 730, "flare", "CR"),
        (730, 800, "CR", "CR"),
    ]


def test_nobody_who_is_never_assessed_leaves_no_response() -> None:
    assert history_of({"end": 800}) == [(0, 800, "NR", "NR")]


def test_of_one_day_the_gravest_counts() -> None:
    assert history_of({"end": 700, "seen": {6: (180, "CR"), 12: (370, "NR")}, "flares": [370]})[-2:] == [
        (180, 370, "CR", "flare"),
        (370, 700, "flare", "flare"),
    ]
    assert history_of({"end": 370, "flares": [370], "eskd": 370, "death": 370}) == [(0, 370, "NR", "death")]


def test_only_death_ends_eskd() -> None:
    course = {"end": 900, "seen": {6: (180, "NR"), 12: (370, "PR")}, "flares": [600], "eskd": 300, "death": 900}
    assert history_of(course) == [(0, 300, "NR", "eskd"), (300, 900, "eskd", "death")]


def test_what_falls_on_day_zero_is_dated_half_a_day_later() -> None:
    data = cohort_of({"a": {"end": 100, "eskd": 0}, "b": {"end": 0}})
    rows = response_history(data)
    assert rows["patient_id"].tolist() == ["a", "a"]  # nobody follows b for any time
    assert (rows["stop"] * YEAR).tolist() == pytest.approx([0.5, 100])
    assert rows["to_state"].tolist() == ["eskd", "eskd"]


def test_a_missed_visit_carries_the_state_or_ends_observation() -> None:
    """Month 12 (nominal day 365.25) is missed, month 24 is not; the flare at 300 comes before, the ESKD after."""
    course = {"end": 900, "seen": {6: (180, "CR"), 24: (730, "PR")}, "flares": [300], "eskd": 800}
    assert history_of(course) == [
        (0, 180, "NR", "CR"),
        (180, 300, "CR", "flare"),
        (300, 730, "flare", "PR"),
        (730, 800, "PR", "eskd"),
        (800, 900, "eskd", "eskd"),
    ]
    assert history_of(course, missed_visits="censor") == [
        (0, 180, "NR", "CR"),
        (180, 300, "CR", "flare"),
        (300, 365, "flare", "flare"),
    ]


def test_a_horizon_cuts_spells_and_keeps_what_happens_on_it() -> None:
    course = {"end": 800, "seen": {6: (180, "PR"), 12: (370, "CR"), 24: (730, "NR")}}
    assert history_of(course, horizon_years=370 / YEAR) == [(0, 180, "NR", "PR"), (180, 370, "PR", "CR")]
    assert history_of(course, horizon_years=369 / YEAR)[-1] == (180, 369, "PR", "PR")


def test_histories_are_accepted_by_the_estimators() -> None:
    data = cohort_of({"a": {"end": 800, "seen": {6: (180, "CR")}, "flares": [400]}, "b": {"end": 900, "death": 900}})
    frame = state_occupancy(response_history(data), times=[1.0]).frame
    assert frame["term"].unique().tolist() == ["NR", "CR", "flare", "death"]  # those that occur, in their order
    assert frame[frame["time"] == 1.0]["estimate"].tolist() == [0.5, 0.5, 0, 0]


def test_bad_requests_of_histories() -> None:
    data = cohort_of({"a": {"end": 800}})
    with pytest.raises(UsageError, match=r"missed_visits: unknown choice; got 'drop'; carry or censor"):
        response_history(data, missed_visits="drop")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="horizon_years: must be above zero; got 0"):
        response_history(data, horizon_years=0)
    with pytest.raises(UsageError, match="outcome: unknown outcome; got 'PR'"):
        first_response_days(data, "PR")


def test_states_at_visits() -> None:
    """a flares between months 6 and 12 and is back in CR; b has ESKD on day 360 and misses month 12 (nominal day
    365.25), then dies before month 24; c misses month 12."""
    data = cohort_of(
        {
            "a": {"end": 800, "seen": {6: (180, "CR"), 12: (370, "CR"), 24: (730, "PR")}, "flares": [300]},
            "b": {"end": 600, "seen": {6: (180, "NR")}, "eskd": 360, "death": 600},
            "c": {"end": 800, "seen": {6: (190, "PR"), 24: (740, "CR")}},
        }
    )
    known = visit_states(data).pivot(index="patient_id", columns="visit_month", values="state").astype(object)
    assert known.loc["a"].tolist() == ["NR", "CR", "flare", "PR"]
    assert known.loc["b"].tolist() == ["NR", "NR", "eskd", "death"]
    assert known.loc["c"].fillna("").tolist() == ["NR", "PR", "", "CR"]


GROUP = {
    "early": {"end": 900, "seen": {6: (180, "CR")}, "flares": [300]},
    "late": {"end": 900, "seen": {6: (180, "PR"), 12: (370, "CR")}, "flares": [800]},
    "never": {"end": 700, "seen": {6: (180, "NR"), 12: (370, "NR")}, "death": 700},
    "unseen": {"end": 900},
    "short": {"end": 200, "seen": {6: (180, "CR")}},
}


def test_landmark_at_one_year() -> None:
    """At day 365.25: early has flared, short has left, late is in PR (the CR of day 370 is not known yet)."""
    found = landmark(cohort_of(GROUP), at_years=1.0)
    assert found.left_out["patients"].tolist() == [1, 1, 0]
    rows = found.rows.set_index("patient_id")
    assert rows["state"].astype(str).to_dict() == {"late": "PR", "never": "NR", "unseen": "NR"}
    assert rows["event"].to_dict() == {"late": 1, "never": 1, "unseen": 0}
    assert rows["cause"].to_dict() == {"late": 1, "never": 2, "unseen": 0}
    assert (rows["years"] * YEAR).to_dict() == pytest.approx({"late": 434.75, "never": 334.75, "unseen": 534.75})
    assert rows.loc["late", "assessed_years"] == pytest.approx(1 - 180 / YEAR)
    assert rows.loc["unseen", ["assessed_years"]].isna().all()


def test_landmark_for_the_poor_outcome_keeps_those_who_flared() -> None:
    found = landmark(cohort_of(GROUP), at_years=1.0, endpoint="poor_outcome")
    assert found.left_out["patients"].tolist() == [0, 1, 0]
    rows = found.rows.set_index("patient_id")
    assert rows.loc["early", "state"] == "flare"
    assert rows["event"].to_dict() == {"early": 0, "late": 0, "never": 1, "unseen": 0}
    assert not {"cause", "poor_outcome", "poor_outcome_years"} & set(rows.columns)


def test_landmark_of_recently_assessed_patients() -> None:
    found = landmark(cohort_of(GROUP), at_years=1.05, assessed_within_years=0.1)
    assert found.rows["patient_id"].tolist() == ["late", "never"]
    assert found.rows["state"].astype(str).tolist() == ["CR", "NR"]
    assert found.left_out["patients"].tolist() == [1, 1, 1]


def test_bad_landmarks() -> None:
    data = cohort_of(GROUP)
    with pytest.raises(UsageError, match="at_years: must lie between 0 and 5"):
        landmark(data, at_years=5)
    with pytest.raises(UsageError, match="endpoint: unknown endpoint; got 'death'"):
        landmark(data, at_years=1, endpoint="death")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="assessed_within_years: must be above zero"):
        landmark(data, at_years=1, assessed_within_years=0)
    with pytest.raises(UsageError, match="endpoint: unknown endpoint"):
        since_first_response(data, endpoint="flare")  # type: ignore[arg-type]


def test_rows_split_at_the_first_response() -> None:
    rows = since_first_response(cohort_of(GROUP))
    seen = [
        (row.patient_id, round(row.start * YEAR), round(row.stop * YEAR), row.event, row.cause, row.responded)
        for row in rows.itertuples()
    ]
    assert seen == [
        ("early", 0, 180, 0, 0, 0),
        ("early", 180, 300, 1, 1, 1),
        ("late", 0, 180, 0, 0, 0),
        ("late", 180, 800, 1, 1, 1),
        ("never", 0, 700, 1, 2, 0),
        ("short", 0, 180, 0, 0, 0),
        ("short", 180, 200, 0, 0, 1),
        ("unseen", 0, 900, 0, 0, 0),
    ]
    complete = since_first_response(cohort_of(GROUP), outcome="CR", endpoint="poor_outcome")
    late = complete[complete["patient_id"] == "late"]
    assert (late["start"] * YEAR).round().tolist() == [0, 370]
    assert "cause" not in complete.columns


def test_a_response_on_the_day_of_the_event_opens_no_row() -> None:
    rows = since_first_response(cohort_of({"a": {"end": 180, "seen": {6: (180, "CR")}, "death": 180}, "b": {"end": 0}}))
    assert rows[["patient_id", "event", "responded"]].to_numpy().tolist() == [["a", 1, 0]]


def test_flares_as_a_counting_process() -> None:
    """a flares twice and dies; b flares on its last day; c has ESKD; d, who has no day after the first, has no row."""
    data = cohort_of(
        {
            "a": {"end": 900, "seen": {6: (180, "CR")}, "flares": [300, 700], "death": 900},
            "b": {"end": 400, "seen": {6: (180, "PR")}, "flares": [400]},
            "c": {"end": 500, "eskd": 450},
            "d": {"end": 0},
        }
    )
    rows = recurrent_flares(data)
    columns = ["patient_id", "event", "number", "terminal"]
    ends = [(round(row.start * YEAR), round(row.stop * YEAR)) for row in rows.itertuples()]
    assert ends == [(0, 300), (300, 700), (700, 900), (0, 400), (0, 450)]
    assert rows[columns].to_numpy().tolist() == [
        ["a", 1, 1, 0],
        ["a", 1, 2, 0],
        ["a", 0, 3, 1],
        ["b", 1, 1, 0],
        ["c", 0, 1, 1],
    ]
    entered = recurrent_flares(data, from_response=True)
    assert [(row.patient_id, round(row.start * YEAR)) for row in entered.itertuples()] == [
        ("a", 180),
        ("a", 300),
        ("a", 700),
        ("b", 180),
    ]


def test_flares_after_the_horizon_are_cut() -> None:
    rows = recurrent_flares(cohort_of({"a": {"end": 900, "flares": [300, 700], "death": 900}}, horizon_years=1.0))
    assert rows[["event", "terminal"]].to_numpy().tolist() == [[1, 0], [0, 0]]
    assert rows["stop"].tolist() == pytest.approx([300 / YEAR, 1.0])
