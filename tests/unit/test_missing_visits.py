"""Missed visits: who misses them, in exact numbers and by chance, and which take place without kidney tests."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy.special import expit

from synthetic.groups import Arms
from synthetic.missing import (
    ALWAYS,
    attend_probability,
    draw_untested,
    miss_by_chance,
    miss_by_count,
    missing_driver,
    retained,
)
from synthetic.model import MissingModel

MODEL = MissingModel()
SIZES = np.array([10, 8])
ASSESSED = np.array([[9, 6, 4], [8, 5, 5]])


@pytest.mark.parametrize(
    ("share", "kept"),
    [
        (0.0, [[9, 6, 4], [8, 5, 5]]),
        # Half of 1, 4, 6 and 0, 3, 3 absent patients, rounded down.
        (0.5, [[9, 8, 7], [8, 6, 6]]),
        (1.0, [[10, 10, 10], [8, 8, 8]]),
    ],
)
def test_so_many_stay_under_observation(share: float, kept: list[list[int]]) -> None:
    assert retained(ASSESSED, SIZES, replace(MODEL, missed_visit_share=share)).tolist() == kept


def test_drivers_are_what_the_mechanism_says() -> None:
    baseline: Any = SimpleNamespace(upcr=np.array([300, 600]))
    noise: Any = SimpleNamespace(score=np.array([[0.5, -1.0], [2.0, 0.0]]))
    assert not missing_driver(baseline, noise, MODEL).any()
    by_baseline = missing_driver(baseline, noise, replace(MODEL, mechanism="mar", strength=2.0))
    np.testing.assert_allclose(by_baseline, [[0.0, 0.0], [2 * np.log(2) / 0.75] * 2])
    informative = missing_driver(baseline, noise, replace(MODEL, mechanism="informative", strength=2.0))
    np.testing.assert_allclose(informative, [[-1.0, 2.0], [-4.0, 0.0]])


def test_exactly_so_many_attend_and_only_who_stays_misses() -> None:
    random = np.random.default_rng(3)
    arm = random.permutation(np.repeat([0, 1], SIZES))
    arms = Arms.of(arm, SIZES)
    last = np.where(arm == 0, 2, np.array([2] * 18))
    last[np.flatnonzero(arm == 0)[:2]] = 0
    stays = np.arange(3) <= last[:, None]
    assessed = np.array([[9, 6, 4], [8, 5, 5]])
    missed = miss_by_count(random.normal(size=(18, 3)), arms, last, assessed, random)
    assert not (missed & ~stays).any()
    for position in range(2):
        attending = (stays & ~missed)[arm == position].sum(axis=0)
        assert attending.tolist() == assessed[position].tolist()


def test_the_driver_decides_who_misses() -> None:
    arm = np.zeros(200, dtype=int)
    driver = np.repeat([-30.0, 30.0], 100)[:, None]
    missed = miss_by_count(
        driver, Arms.of(arm, np.array([200])), np.zeros(200, dtype=int), np.array([[100]]), np.random.default_rng(1)
    )
    assert missed[:, 0].tolist() == [False] * 100 + [True] * 100


def test_by_chance_so_many_attend_as_likely() -> None:
    size = 40_000
    arm, last = np.repeat([0, 1], size // 2), np.ones(size, dtype=int)
    last[::4] = 0
    attends = np.array([[ALWAYS, 1.0], [0.0, -1.0]])
    missed = miss_by_chance(np.zeros((size, 2)), arm, last, attends, np.random.default_rng(5))
    assert not missed[arm == 0, 0].any()
    assert not missed[last == 0, 1].any()
    for position, visit, rows in ((0, 1, last == 1), (1, 0, last >= 0), (1, 1, last == 1)):
        chosen = missed[(arm == position) & rows, visit]
        share = 1 - float(expit(attends[position, visit]))
        assert abs(chosen.mean() - share) < 5 * np.sqrt(share * (1 - share) / len(chosen))
    nobody = miss_by_chance(
        np.zeros((4, 1)), np.zeros(4, dtype=int), np.zeros(4, dtype=int), np.array([[ALWAYS]]), None
    )  # type: ignore[arg-type]
    assert not nobody.any()


def test_attendance_falls_with_the_driver() -> None:
    found = attend_probability(0.0, np.array([-1.0, 0.0, 1.0]))
    np.testing.assert_allclose(found, [0.7310585786, 0.5, 0.2689414214])


def test_only_missed_visits_go_without_tests() -> None:
    missed = np.zeros((5000, 2), dtype=bool)
    missed[:, 1] = True
    untested = draw_untested(missed, replace(MODEL, without_kidney_tests=0.3), np.random.default_rng(2))
    assert not untested[:, 0].any()
    assert abs(untested[:, 1].mean() - 0.3) < 5 * np.sqrt(0.3 * 0.7 / 5000)
    assert not draw_untested(missed, MODEL, np.random.default_rng(2)).any()
