"""Population rates are the reconstructed ones under every scenario: exact binomial bounds, family-wise error stated.

Each family is one population: 2 arms, 5 visits, 4 shares (assessed of the arm; complete, partial and no response of
the assessed). Bonferroni over its 40 two-sided exact binomial tests holds the chance that a sound population fails
below FAMILY_ERROR.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from cohort.errors import CalibrationError
from cohort.seeds import SeedTree
from synthetic.course import COMPLETE, NO_RESPONSE, NOT_ASSESSED, PARTIAL
from synthetic.design import Design
from synthetic.population import BLOCK, draw_block
from synthetic.scenario import DEFAULT_SCENARIO, Scenario, load_scenario, read_scenario
from synthetic.setting import Setting, settle
from synthetic.story import Story

FAMILY_ERROR = 1e-4
SMALL = 4096
BLOCKS = 26
"""Of 8,192 patients: a share is then known to about a thousandth."""
NAMED = {
    "registry": "registry",
    "strong confounding": "strong_confounding",
    "at random": '[missing]\nmissed_visit_share = 0.5\nmechanism = "mcar"',
    "by baseline": '[missing]\nmissed_visit_share = 0.5\nmechanism = "mar"\nstrength = 1.5',
    "informative": '[missing]\nmissed_visit_share = 0.5\nmechanism = "informative"\nstrength = 1.5\n'
    "[calendar]\nleaving_hr_severity = 1.3",
    "visits off their day": "[calendar]\nvisit_jitter_sd = 1.0",
    "many events": "[course]\neskd_rate = 3.0\ndeath_rate = 1.5\nflare_rate = 25.0\n[effect]\nflare_hazard_ratio = 0.5",
}


def scenario_of(text: str) -> Scenario:
    return read_scenario(text, where="here.toml") if "[" in text else load_scenario(text)


def p_values(stories: list[Story], design: Design) -> np.ndarray[Any, Any]:
    """Return the two-sided exact binomial p-values of one population, shape (arms, visits, 4)."""
    arm = np.concatenate([story.assigned.arm for story in stories])
    state = np.concatenate([story.course.state for story in stories])
    counts = design.counts
    found = np.empty((*counts.assessed.shape, 4))
    for position, size in enumerate(design.sizes):
        own = state[arm == position]
        seen = (own != NOT_ASSESSED).sum(axis=0)
        assessed = counts.assessed[position]
        found[position, :, 0] = two_sided(seen, len(own), assessed / size)
        for place, (code, wanted) in enumerate(
            ((COMPLETE, counts.complete), (PARTIAL, counts.partial), (NO_RESPONSE, counts.none)), start=1
        ):
            found[position, :, place] = two_sided((own == code).sum(axis=0), seen, wanted[position] / assessed)
    return found


def two_sided(successes: Any, trials: Any, share: Any) -> Any:
    """Return twice the smaller exact tail, at most 1: conservative."""
    tails = np.minimum(binom.cdf(successes, trials, share), binom.sf(successes - 1, trials, share))
    return np.minimum(2 * tails, 1.0)


def assert_rates(stories: list[Story], design: Design) -> None:
    found = p_values(stories, design)
    assert found.min() > FAMILY_ERROR / found.size, np.argwhere(found <= FAMILY_ERROR / found.size)


def population(setting: Setting, blocks: int, seed: int) -> list[Story]:
    tree = SeedTree(seed).child("population")
    return [draw_block(setting, tree, block, blocks * BLOCK) for block in range(blocks)]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMED)
def test_rates_of_two_hundred_thousand_patients_are_the_reconstructed_ones(name: str, design: Design) -> None:
    setting = settle(design, scenario_of(NAMED[name]))
    assert_rates(population(setting, BLOCKS, seed=41), design)


def test_rates_are_met_whoever_misses_visits(
    cheaply: Callable[[int], AbstractContextManager[None]], design: Design
) -> None:
    with cheaply(15):
        setting = settle(design, scenario_of(NAMED["informative"]))
    assert_rates(population(setting, 2, seed=43), design)


@pytest.mark.slow
def test_rates_are_met_under_any_scenario(
    scenarios: st.SearchStrategy[Scenario],
    cheaply: Callable[[int], AbstractContextManager[None]],
    draw: Callable[..., Any],
    design: Design,
) -> None:
    accepted = []

    @settings(
        max_examples=8,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(scenario=scenarios, seed=st.integers(0, 10**6))
    def met(scenario: Scenario, seed: int) -> None:
        try:
            setting = settle(design, scenario)
        except CalibrationError:
            return
        assert_rates([draw(setting, SMALL, seed).story], design)
        accepted.append(scenario)

    with cheaply(14):
        met()
    assert len(accepted) >= 4


def test_the_bounds_see_thresholds_that_are_a_little_off(
    cheaply: Callable[[int], AbstractContextManager[None]], draw: Callable[..., Any], design: Design
) -> None:
    with cheaply(14):
        setting = settle(design, DEFAULT_SCENARIO)
    off = replace(setting.calibration, complete_from=setting.calibration.complete_from + 0.25)
    found = p_values([draw(replace(setting, calibration=off), SMALL).story], design)
    assert found.min() < FAMILY_ERROR / found.size


def test_the_p_value_is_twice_the_smaller_exact_tail() -> None:
    for successes, trials, share in ((45, 91, 0.5), (3, 40, 0.2), (0, 12, 0.05), (40, 40, 0.9), (50, 100, 0.5)):
        tails = [binomtest(successes, trials, share, alternative=side).pvalue for side in ("less", "greater")]
        assert two_sided(successes, trials, share) == pytest.approx(min(1.0, 2 * min(tails)), rel=1e-9)
