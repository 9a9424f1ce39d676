"""Protects averages over potential outcomes against how patients are listed: order, parts, and copies."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from synthetic.course import NO_DAY
from synthetic.estimands import Comparisons
from synthetic.true_effects import average_effects
from synthetic.truth import PotentialOutcomes

COMPARISONS = Comparisons(("high", "low", "control"), (6, 12), np.array([183, 365]))
SIZE = 300
Sample = tuple[PotentialOutcomes, npt.NDArray[np.float64]]


def part(sample: Sample, rows: npt.NDArray[np.int64] | slice) -> Sample:
    outcomes, probability = sample
    kept = PotentialOutcomes(
        outcomes.state[:, rows], outcomes.flare_day[:, rows], outcomes.failure_day[:, rows], outcomes.death_day[rows]
    )
    return kept, probability[rows]


@pytest.fixture(scope="module")
def sample() -> Sample:
    random = np.random.default_rng(4)

    def days(*shape: int) -> npt.NDArray[np.int64]:
        return np.where(random.random(shape) < 0.3, random.integers(1, 400, shape), NO_DAY)

    outcomes = PotentialOutcomes(random.integers(0, 3, (3, SIZE, 2)), days(3, SIZE), days(3, SIZE), days(SIZE))
    return outcomes, random.dirichlet(np.ones(3), SIZE)


def test_parts_add_up_to_the_whole(sample: Sample) -> None:
    whole = average_effects(COMPARISONS, [sample])
    cut = average_effects(
        COMPARISONS, [part(sample, slice(0, 70)), part(sample, slice(70, 71)), part(sample, slice(71, None))]
    )
    np.testing.assert_allclose(cut["value"], whole["value"], rtol=1e-12)
    np.testing.assert_allclose(cut["std_error"], whole["std_error"], rtol=1e-9, atol=1e-15)


def test_the_order_of_patients_does_not_matter_to_values(sample: Sample) -> None:
    whole = average_effects(COMPARISONS, [sample])
    mixed = average_effects(COMPARISONS, [part(sample, np.random.default_rng(5).permutation(SIZE))])
    np.testing.assert_allclose(mixed["value"], whole["value"], rtol=1e-9, atol=1e-12)


def test_copies_of_patients_change_no_value(sample: Sample) -> None:
    whole = average_effects(COMPARISONS, [sample])
    twice = average_effects(COMPARISONS, [sample, sample])
    np.testing.assert_allclose(twice["value"], whole["value"], rtol=1e-9, atol=1e-12)


def test_an_arm_left_out_changes_no_effect_of_another_on_everybody(sample: Sample) -> None:
    outcomes, probability = sample
    two = PotentialOutcomes(outcomes.state[1:], outcomes.flare_day[1:], outcomes.failure_day[1:], outcomes.death_day)
    low = Comparisons(("low", "control"), COMPARISONS.months, COMPARISONS.days)
    alone = average_effects(low, [(two, probability[:, 1:])])
    among = average_effects(COMPARISONS, [sample])
    among = among[among["contrast"] == "low v control"]
    # The overlap weight of two of three arms does not depend on the third either.
    for population in ("ATE", "ATT", "ATO"):
        np.testing.assert_allclose(
            alone.loc[alone["population"] == population, "value"],
            among.loc[among["population"] == population, "value"],
            rtol=1e-9,
            atol=1e-12,
        )
