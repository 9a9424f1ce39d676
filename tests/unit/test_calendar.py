"""The calendar: windows that keep visits in order, who leaves when, index dates inside accrual."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cohort.codes import EndReason
from cohort.columns import names_of
from synthetic.calendar import Attendance, Leaving, attendance_by_chance, attendance_by_count, draw_visit_days, schedule
from synthetic.course import NO_DAY
from synthetic.groups import Arms
from synthetic.model import CalendarModel, PatientModel
from synthetic.mortality import Mortality, mortality

MONTHS = np.array([6, 12, 24, 36, 60])
PARTS = PatientModel()
KEPT = np.array([[91, 88, 79, 69, 48], [83, 78, 71, 65, 55]])
SIZES = np.array([92, 87])


def reasons(found: Attendance) -> np.ndarray:
    return np.array(names_of(EndReason))[found.end_reason]


def leaving_of(arm: np.ndarray, early: float | np.ndarray = 1.0, death: float | np.ndarray = 1.0) -> Leaving:
    size = len(arm)
    return Leaving(
        arm, arm == 0, np.broadcast_to(death, size).astype(float), np.broadcast_to(early, size).astype(float)
    )


def test_days_and_windows_by_hand() -> None:
    plan = schedule(MONTHS, PARTS.calendar)
    assert plan.day.tolist() == [183, 365, 730, 1096, 1826]
    assert plan.window.tolist() == [21, 30, 45, 60, 60]


def test_windows_shrink_where_visits_are_close() -> None:
    plan = schedule(np.array([1, 2, 6]), PARTS.calendar)
    assert plan.day.tolist() == [30, 61, 183]
    # 0.45 of 30, 31 and 122 days to the nearest other visit, 21 at most.
    assert plan.window.tolist() == [13, 13, 21]
    single = schedule(np.array([1]), PARTS.calendar)
    assert single.window.tolist() == [13]


@pytest.mark.parametrize("jitter", [0.0, 0.4, 1.0])
def test_visits_keep_their_window_and_order(jitter: float) -> None:
    model = CalendarModel(visit_jitter_sd=jitter, visit_window_days=(300, 300, 300, 300, 300))
    plan = schedule(MONTHS, model)
    days = draw_visit_days(4000, plan, model, np.random.default_rng(1))
    assert (np.abs(days - plan.day) <= plan.window).all()
    assert (np.diff(days, axis=1) > 0).all()
    if jitter == 0.0:
        assert (days == plan.day).all()
    else:
        assert (np.abs(days - plan.day) == plan.window).any()


def test_exactly_so_many_are_kept_and_the_frail_leave_first() -> None:
    random = np.random.default_rng(4)
    arm = random.permutation(np.repeat([0, 1], SIZES))
    early = np.exp(3 * random.normal(size=len(arm)))
    death = mortality(0.48, schedule(MONTHS, PARTS.calendar).day, KEPT, SIZES)
    found = attendance_by_count(leaving_of(arm, early), Arms.of(arm, SIZES), KEPT, MONTHS, death, PARTS, random)
    for position in range(2):
        staying = (found.last_visit[arm == position, None] >= np.arange(5)).sum(axis=0)
        assert staying.tolist() == KEPT[position].tolist()
    completed = found.last_visit == 4
    assert np.log(early[completed]).mean() < np.log(early[~completed]).mean() - 2.0
    assert set(reasons(found)[completed]) == {"completed"}
    dead = reasons(found) == "death"
    np.testing.assert_array_equal(found.death_day[dead], found.follow_up_days[dead])
    later = found.death_day[~dead]
    assert ((later == NO_DAY) | (later > found.follow_up_days[~dead])).all()
    check_dates(found.index_date, found.follow_up_days, reasons(found))


def check_dates(index_date: np.ndarray, end: np.ndarray, reason: np.ndarray) -> None:
    first, lock = np.datetime64("1999-01-01"), np.datetime64("2021-12-31")
    assert (index_date >= first).all()
    assert (index_date + end.astype("timedelta64[D]") <= lock).all()
    locked = reason == "data_lock"
    assert (index_date[locked] + end[locked].astype("timedelta64[D]") == lock).all()
    assert locked.any()


def test_by_chance_so_many_stay_as_calibrated() -> None:
    size = 60_000
    arm = np.repeat([0, 1], size // 2)
    stays = np.array([[0.99, 0.95, 0.85, 0.75, 0.52], [0.95, 0.9, 0.8, 0.7, 0.6]])
    rule = Mortality(np.array([0.002, 0.005, 0.01, 0.02, 0.03]))
    found = attendance_by_chance(leaving_of(arm), stays, MONTHS, rule, PARTS, np.random.default_rng(8))
    for position in range(2):
        expected = stays[position] * np.exp(-rule.cumulative)
        share = (found.last_visit[arm == position, None] >= np.arange(5)).mean(axis=0)
        assert np.abs((share - expected) / np.sqrt(expected * (1 - expected) / (size / 2))).max() < 5
    assert not found.missed.any()
    assert (found.attended.sum(axis=1) == found.last_visit + 1).all()
    dead = reasons(found) == "death"
    np.testing.assert_array_equal(found.death_day[dead], found.follow_up_days[dead])
    last_day = np.where(found.last_visit >= 0, found.visit_day[np.arange(size), found.last_visit], 0)
    assert (last_day <= found.follow_up_days).all()
    assert (last_day[dead] < found.follow_up_days[dead]).all()
    check_dates(found.index_date, found.follow_up_days, reasons(found))


@pytest.mark.parametrize(("slope", "sign"), [(0.3, 1), (0.0, 0), (-0.3, -1)])
def test_tacrolimus_is_later_by_the_drift(slope: float, sign: int) -> None:
    parts = replace(PARTS, assignment=replace(PARTS.assignment, calendar_year=slope))
    arm = np.repeat([0, 1], 20_000)
    stays = np.tile([0.9, 0.8, 0.7, 0.6, 0.5], (2, 1))
    found = attendance_by_chance(
        leaving_of(arm), stays, MONTHS, Mortality(np.zeros(5)), parts, np.random.default_rng(8)
    )
    years = (found.index_date - np.datetime64("1999-01-01")).astype(float) / 365.25
    free = reasons(found) != "data_lock"
    gap = years[free & (arm == 0)].mean() - years[free & (arm == 1)].mean()
    assert (gap > 1) if sign > 0 else (gap < -1) if sign < 0 else (abs(gap) < 0.25)


def test_all_early_ends_are_losses_if_asked() -> None:
    parts = replace(PARTS, calendar=replace(PARTS.calendar, lost_share=1.0))
    stays = np.full((1, 5), 0.5)
    rule = Mortality(np.zeros(5))
    found = attendance_by_chance(
        leaving_of(np.zeros(500, dtype=int)), stays, MONTHS, rule, parts, np.random.default_rng(1)
    )
    assert set(reasons(found)) == {"lost_to_follow_up", "completed"}
