"""Protects what holds for true effects in any population: no effect, no confounding, and arms in another order."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthetic.course import NO_DAY
from synthetic.estimands import Comparisons, TargetPopulation, population_weights
from synthetic.event_curves import cox_limit, restricted_mean_years
from synthetic.true_effects import average_effects
from synthetic.truth import PotentialOutcomes

COMPARISONS = Comparisons(("drug", "control"), (6, 12), np.array([20, 40]))
STEADY = settings(derandomize=True, deadline=None, max_examples=12)
SEEDS = st.integers(0, 2**32 - 1)


def outcomes(seed: int, size: int = 30) -> PotentialOutcomes:
    random = np.random.default_rng(seed)

    def days(*shape: int) -> npt.NDArray[np.int64]:
        return np.where(random.random(shape) < 0.5, random.integers(1, 50, shape), NO_DAY)

    return PotentialOutcomes(random.integers(0, 3, (2, size, 2)), days(2, size), days(2, size), days(size))


def probabilities(seed: int, size: int = 30) -> npt.NDArray[np.float64]:
    own = np.random.default_rng(seed + 1).uniform(0.05, 0.95, size)
    return np.column_stack([own, 1 - own])


def swapped(given_outcomes: PotentialOutcomes) -> PotentialOutcomes:
    return PotentialOutcomes(
        given_outcomes.state[::-1], given_outcomes.flare_day[::-1], given_outcomes.failure_day[::-1],
        given_outcomes.death_day,
    )  # fmt: skip


def values(table: pd.DataFrame, estimand: str, population: str | None = None) -> npt.NDArray[np.float64]:
    rows = table["estimand"] == estimand
    if population is not None:
        rows &= table["population"] == population
    return table.loc[rows, "value"].to_numpy()


@STEADY
@given(SEEDS)
def test_equal_outcomes_under_both_arms_are_no_effect(seed: int) -> None:
    same = outcomes(seed)
    same = PotentialOutcomes(same.state[[0, 0]], same.flare_day[[0, 0]], same.failure_day[[0, 0]], same.death_day)
    table = average_effects(COMPARISONS, [(same, probabilities(seed))])
    for estimand in ("risk_difference", "restricted_mean_difference", "cumulative_incidence_difference"):
        np.testing.assert_array_equal(values(table, estimand), 0)
    for estimand in ("risk_ratio", "odds_ratio", "hazard_ratio"):
        np.testing.assert_allclose(values(table, estimand), 1, rtol=1e-9)


@STEADY
@given(SEEDS, st.floats(0.05, 0.95))
def test_without_confounding_the_target_populations_are_one(seed: int, share: float) -> None:
    table = average_effects(COMPARISONS, [(outcomes(seed), np.tile([share, 1 - share], (30, 1)))])
    everybody = table[table["population"] == "ATE"]
    for population in ("ATT", "ATO"):
        other = table[table["population"] == population]
        np.testing.assert_allclose(other["value"], everybody["value"], rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(other["std_error"], everybody["std_error"], rtol=1e-6, atol=1e-12)


@STEADY
@given(SEEDS)
def test_the_arms_exchanged_give_the_opposite_effect(seed: int) -> None:
    drawn, chance = outcomes(seed), probabilities(seed)
    one = average_effects(COMPARISONS, [(drawn, chance)])
    other = average_effects(COMPARISONS, [(swapped(drawn), chance[:, ::-1])])
    for population in ("ATE", "ATO"):
        for estimand in ("risk_difference", "restricted_mean_difference", "cumulative_incidence_difference"):
            np.testing.assert_allclose(
                values(one, estimand, population), -values(other, estimand, population), atol=1e-12
            )
        for estimand in ("risk_ratio", "hazard_ratio"):
            np.testing.assert_allclose(
                values(one, estimand, population), 1 / values(other, estimand, population), rtol=1e-8
            )


@STEADY
@given(SEEDS)
def test_risks_lie_between_nothing_and_all(seed: int) -> None:
    table = average_effects(COMPARISONS, [(outcomes(seed), probabilities(seed))])
    for estimand in ("risk", "reference_risk", "cumulative_incidence", "reference_cumulative_incidence"):
        assert ((values(table, estimand) >= 0) & (values(table, estimand) <= 1 + 1e-12)).all()
    means = np.concatenate([values(table, "restricted_mean"), values(table, "reference_restricted_mean")])
    assert ((means > 0) & (means <= 40 / 365.25)).all()


@STEADY
@given(st.lists(st.floats(0.001, 0.01), min_size=20, max_size=20), st.floats(0.2, 5.0))
def test_the_limit_is_the_hazard_ratio_where_hazards_are_proportional(hazard: list[float], ratio: float) -> None:
    def mass(daily: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return -np.diff(np.exp(-np.cumsum(daily)), prepend=1.0)

    reference = np.asarray(hazard) / 100
    # Ties within a day pull the ratio to 1 by less than the largest daily hazard, relatively.
    assert cox_limit(mass(ratio * reference), mass(reference)) == pytest.approx(ratio, rel=1e-3)


@STEADY
@given(SEEDS)
def test_the_hazard_ratio_depends_on_the_order_of_events_only(seed: int) -> None:
    random = np.random.default_rng(seed)
    one, other = (random.dirichlet(np.ones(12))[:-1] for _ in range(2))
    day = np.sort(random.choice(100, 11, replace=False))
    late_one, late_other = np.zeros(101), np.zeros(101)
    late_one[day], late_other[day] = one, other
    assert cox_limit(late_one, late_other) == pytest.approx(cox_limit(one, other), rel=1e-9)


@STEADY
@given(SEEDS)
def test_restricted_means_are_means_of_the_time_until_the_horizon(seed: int) -> None:
    day = np.random.default_rng(seed).integers(0, 60, 25)
    mass = np.bincount(day, minlength=60)[:41] / 25
    assert restricted_mean_years(mass) * 365.25 == pytest.approx(np.minimum(day, 40).mean())


@STEADY
@given(SEEDS)
def test_weights_of_treated_and_reference_add_up_to_everybody(seed: int) -> None:
    chance = np.random.default_rng(seed).dirichlet(np.ones(3), 10)
    treated = [population_weights(chance, arm, TargetPopulation.ATT) for arm in (0, 1)]
    np.testing.assert_allclose(treated[0] + treated[1] + chance[:, 2], 1)
    overlap = population_weights(chance, 0, TargetPopulation.ATO)
    assert (overlap <= np.minimum(chance[:, 0], chance[:, 2])).all()
