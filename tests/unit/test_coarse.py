"""Coarse noise has the moments it should have, and draws nothing impossible."""

from __future__ import annotations

import numpy as np
import pytest

from synthetic.coarse import CoarseNoise

SIZE = 1_000_000


def noise(key: int) -> CoarseNoise:
    return CoarseNoise(np.random.Generator(np.random.Philox(key=key)))


def test_normal_values_have_the_moments_of_a_normal_distribution() -> None:
    z = noise(1).standard_normal(SIZE).astype(np.float64)
    # Four standard errors of the mean, the second and the fourth moment.
    for found, wanted, variance in ((z.mean(), 0, 1), ((z**2).mean(), 1, 2), ((z**4).mean(), 3, 96)):
        assert abs(found - wanted) < 4 * np.sqrt(variance / SIZE)


def test_uniform_values_lie_strictly_between_zero_and_one() -> None:
    u = noise(2).random((3, 100_001))
    assert u.shape == (3, 100_001)
    assert u.dtype == np.float32
    assert 0 < u.min() < u.max() < 1
    assert abs(u.mean() - 0.5) < 4 * np.sqrt(1 / 12 / u.size)


def test_whole_numbers_are_even() -> None:
    number = noise(5).integers(90, 271, SIZE)
    assert (number.min(), number.max()) == (90, 270)
    assert abs(number.mean() - 180) < 4 * np.sqrt((181**2 - 1) / 12 / SIZE)


@pytest.mark.parametrize("mean", [0.001, 0.03, 0.6, 2.0, 5.0])
def test_numbers_are_poisson(mean: float) -> None:
    number = noise(3).poisson(np.full(SIZE, mean)).astype(np.float64)
    assert abs(number.mean() - mean) < 4 * np.sqrt(mean / SIZE)
    none = np.exp(-mean)
    assert abs((number == 0).mean() - none) < 4 * np.sqrt(none * (1 - none) / SIZE)
    assert abs(number.var() - mean) < 4 * np.sqrt((mean + 2 * mean**2) / SIZE)


class _OnesOnly:
    """A bit stream that gives nothing but ones: the largest value of every draw."""

    class bit_generator:  # noqa: N801
        @staticmethod
        def random_raw(size: int) -> np.ndarray:
            return np.full(size, 2**64 - 1, dtype=np.uint64)


def test_the_largest_draw_is_no_impossible_number() -> None:
    largest = CoarseNoise(_OnesOnly())  # type: ignore[arg-type]
    # Numbers beyond these have a probability below 1e-12.
    assert (largest.poisson(np.array([0.001, 0.03, 2.0])) <= np.array([4, 6, 20])).all()
    assert largest.standard_normal(1)[0] == pytest.approx(4.32, abs=0.01)


def test_the_same_stream_gives_the_same_values() -> None:
    np.testing.assert_array_equal(noise(4).standard_normal((2, 9)), noise(4).standard_normal((2, 9)))
