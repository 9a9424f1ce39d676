"""Protects predictive mean matching: who may donate, with which probability, and that ties are settled by lot."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chisquare

from analyses.kernels.chained_equations import _nearest, draw_by_predictive_means

DRAWS = 9_000


@pytest.mark.parametrize(
    ("fitted", "donors", "expected"),
    [
        # 1.2 lies nearest to 1, then to 2, then to 0.
        ([0.0, 1.0, 2.0, 3.0, 10.0], 3, [1 / 3, 1 / 3, 1 / 3, 0, 0]),
        # Three tie at the nearest value for two places.
        ([0.0, 1.0, 1.0, 1.0, 10.0], 2, [0, 1 / 3, 1 / 3, 1 / 3, 0]),
        # 1.3 is nearest; the second place is shared by three.
        ([0.0, 1.0, 1.0, 1.0, 1.3], 2, [0, 1 / 6, 1 / 6, 1 / 6, 1 / 2]),
        # Fewer rows than donors are wanted.
        ([0.0, 9.0], 5, [1 / 2, 1 / 2]),
        # The same value but for rounding.
        ([0.1 + 0.2, 0.3, 7.0], 1, [1 / 2, 1 / 2, 0]),
    ],
)
def test_each_donor_has_its_probability(fitted: list[float], donors: int, expected: list[float]) -> None:
    chosen = _nearest(np.array(fitted), np.full(DRAWS, 1.2), donors, np.random.default_rng(5))
    counts, wanted = np.bincount(chosen, minlength=len(fitted)), DRAWS * np.array(expected)
    assert (counts[wanted == 0] == 0).all()
    # One run in 100,000 of a right program fails; the seed is fixed.
    assert chisquare(counts[wanted > 0], wanted[wanted > 0]).pvalue > 1e-5


def test_a_cell_lends_all_its_values_and_not_those_of_the_closest_few() -> None:
    stream = np.random.default_rng(1)
    cell = np.repeat([0.0, 1.0], 200)[:, None]
    values = np.concatenate([stream.normal(0, 1, 200), stream.normal(5, 1, 200)])
    drawn = draw_by_predictive_means(cell, values, np.repeat([0.0, 1.0], 100)[:, None], stream, donors=5)
    assert len(np.unique(drawn[:100])) > 60
    assert set(drawn[:100]) <= set(values[:200])
    assert set(drawn[100:]) <= set(values[200:])
