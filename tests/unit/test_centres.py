"""Centres: fixed effects of mean zero and the size asked for, in another order for each, and equal shares."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from synthetic.centres import centre_effects, draw_centres
from synthetic.model import CentreModel

MODEL = CentreModel()


@pytest.mark.parametrize("number", [2, 3, 7, 12, 100, 1000])
def test_effects_have_mean_zero_and_the_size_asked_for(number: int) -> None:
    model = replace(MODEL, number=number, case_mix_sd=0.5, practice_sd=0.8, outcome_sd=0.3)
    effects = centre_effects(model)
    assert effects.shape == (3, number)
    np.testing.assert_allclose(effects.mean(axis=1), 0.0, atol=1e-12)
    # Severity keeps variance one, of which centres take sd^2 / (1 + sd^2).
    np.testing.assert_allclose(effects.std(axis=1), [0.5 / np.sqrt(1.25), 0.8, 0.3])
    assert all(len(np.unique(row.round(12))) == number for row in effects)


@pytest.mark.parametrize("number", [4, 12, 50])
def test_the_three_orders_are_not_one(number: int) -> None:
    ranks = np.argsort(np.argsort(centre_effects(replace(MODEL, number=number)), axis=1), axis=1)
    assert ranks[0].tolist() == list(range(number))
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert ranks[one].tolist() != ranks[other].tolist()
        assert abs(np.corrcoef(ranks[one], ranks[other])[0, 1]) < 0.9


def test_one_centre_has_no_effect_whatever_the_sizes() -> None:
    model = replace(MODEL, number=1, case_mix_sd=3.0, practice_sd=3.0, outcome_sd=3.0)
    np.testing.assert_array_equal(centre_effects(model), np.zeros((3, 1)))
    drawn = draw_centres(5, model, np.random.default_rng(1))
    assert drawn.index.tolist() == [0] * 5
    assert drawn.case_mix_variance == 0.0


def test_patients_are_spread_evenly_and_carry_their_centres_effects() -> None:
    model = replace(MODEL, number=6)
    drawn = draw_centres(60_000, model, np.random.default_rng(7))
    counts = np.bincount(drawn.index, minlength=6)
    # Multinomial, five standard errors.
    assert np.abs(counts - 10_000).max() < 5 * np.sqrt(60_000 * 5 / 36)
    effects = centre_effects(model)
    for row, values in enumerate((drawn.case_mix, drawn.practice, drawn.outcome)):
        np.testing.assert_array_equal(values, effects[row, drawn.index])
    assert drawn.case_mix_variance == pytest.approx(0.3**2 / 1.3**2 * 1.3**2 / (1 + 0.3**2))
