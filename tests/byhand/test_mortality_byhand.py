"""Deaths: hazards that fill intervals up to their room, and days of death, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from synthetic.course import NO_DAY
from synthetic.mortality import Mortality, mortality

DAYS = np.array([100, 200])
SIZES = np.array([100])
ASSESSED = np.array([[90, 45]])
"""A tenth leaves in the first hundred days, half of the others in the second; six tenths of leavers may have died."""
ROOM = (0.0618754037, 0.3566749439)
"""-log(1 - 0.6 * 0.1) and -log(1 - 0.6 * 0.5)."""


class Exponentials:
    """Stands for a stream: hands out the given standard exponential values."""

    def __init__(self, *values: float) -> None:
        self._values = np.array(values)

    def standard_exponential(self, size: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        assert size == len(self._values)
        return self._values


@pytest.mark.parametrize(
    ("rate", "first", "second"),
    [
        # 0.1 deaths a year: 0.1 * 100 / 365.25 in each interval.
        (10.0, 0.0273785079, 0.0547570157),
        # 0.6 a year is 0.3285420945 over 200 days; the first interval has no room for half of it.
        (60.0, ROOM[0], 0.3285420945),
        # More than leave: both intervals are full.
        (1000.0, ROOM[0], ROOM[0] + ROOM[1]),
        (0.0, 0.0, 0.0),
    ],
)
def test_hazards_fill_the_intervals_evenly_up_to_their_room(rate: float, first: float, second: float) -> None:
    found = mortality(rate, DAYS, ASSESSED, SIZES)
    np.testing.assert_allclose(found.cumulative, [first, second], atol=1e-9)


def test_the_arm_that_loses_fewest_leaves_the_room() -> None:
    # 5 of 50 and 40 of 80 leave first; then 9 of 45 and nobody.
    assessed = np.array([[45, 36], [40, 40]])
    found = mortality(1000.0, DAYS, assessed, np.array([50, 80]))
    np.testing.assert_allclose(found.cumulative, [ROOM[0], ROOM[0]], atol=1e-9)


def test_nobody_dies_where_nobody_leaves() -> None:
    found = mortality(5.0, DAYS, np.array([[100, 100]]), SIZES)
    np.testing.assert_array_equal(found.cumulative, [0.0, 0.0])
    day = found.day_after(np.zeros(2, dtype=int), np.tile(DAYS, (2, 1)), np.ones(2), Exponentials(1e-9, 3.0))  # type: ignore[arg-type]
    np.testing.assert_array_equal(day, [NO_DAY, NO_DAY])


def test_survival_follows_the_relative_hazard() -> None:
    survival = Mortality(np.array([0.1, 0.3])).survival(np.array([1.0, 2.0, 0.0]))
    np.testing.assert_allclose(survival, [[0.904837418, 0.740818221], [0.818730753, 0.548811636], [1.0, 1.0]])


@pytest.mark.parametrize(
    ("day", "relative", "exponential", "dies"),
    [
        # Hazard 0.1 spent evenly over days 1 to 99: half of it by day 1 + floor(0.5 * 99).
        (0, 1.0, 0.05, 50),
        # 0.2 is half of the second interval: 101 + floor(0.5 * 99).
        (0, 1.0, 0.2, 150),
        # At twice the hazard, 0.4 is spent as 0.2 is at one.
        (0, 2.0, 0.4, 150),
        (0, 1.0, 0.31, NO_DAY),
        # Alive on day 50, 0.05 is spent already; 0.05 more ends the interval, on the day before the visit.
        (50, 1.0, 0.05, 99),
        (50, 1.0, 0.15, 150),
        # Alive on the day before a visit: never on that day itself.
        (99, 1.0, 0.0005, 100),
        # Nobody dies after the last visit.
        (200, 1.0, 1e-6, NO_DAY),
        (260, 1.0, 1e-6, NO_DAY),
    ],
)
def test_the_day_of_death_by_hand(day: int, relative: float, exponential: float, dies: int) -> None:
    rule = Mortality(np.array([0.1, 0.3]))
    found = rule.day_after(
        np.array([day]),
        DAYS[None],
        np.array([relative]),
        Exponentials(exponential),  # type: ignore[arg-type]
    )
    assert found.tolist() == [dies]


def test_intervals_are_those_between_a_patients_own_visits() -> None:
    visits = np.array([[100, 200], [60, 260]])
    rule = Mortality(np.array([0.1, 0.3]))
    found = rule.day_after(np.zeros(2, dtype=int), visits, np.ones(2), Exponentials(0.2, 0.2))  # type: ignore[arg-type]
    assert found.tolist() == [150, 160]
