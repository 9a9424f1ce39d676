"""Protects the laws that intervals and tests of proportions obey whatever the counts."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from analyses.kernels.proportions import (
    fisher_exact,
    logit_interval,
    newcombe_difference,
    odds_ratio,
    pearson_chi_square,
    risk_ratio,
    wilson_interval,
)

steady = settings(derandomize=True, deadline=None, max_examples=150)


@st.composite
def counts(draw: st.DrawFn, largest: int = 400) -> tuple[int, int]:
    patients = draw(st.integers(1, largest))
    return draw(st.integers(0, patients)), patients


@steady
@given(counts(), st.floats(0.5, 0.999))
def test_wilson_contains_the_proportion_and_stays_in_the_unit_interval(cell: tuple[int, int], level: float) -> None:
    interval = wilson_interval(*cell, conf_level=level)
    assert 0 <= interval.low <= interval.estimate <= interval.high <= 1
    assert (interval.low == 0) == (cell[0] == 0)
    assert (interval.high == 1) == (cell[0] == cell[1])


@steady
@given(counts())
def test_wilson_of_the_complement_is_mirrored(cell: tuple[int, int]) -> None:
    events, patients = cell
    one, other = wilson_interval(events, patients), wilson_interval(patients - events, patients)
    np.testing.assert_allclose([one.low, one.high], [1 - other.high, 1 - other.low], atol=1e-12)


@steady
@given(counts(), counts())
def test_newcombe_contains_the_difference_stays_in_range_and_changes_sign(
    one: tuple[int, int], zero: tuple[int, int]
) -> None:
    interval, swapped = newcombe_difference(*one, *zero), newcombe_difference(*zero, *one)
    assert -1 - 1e-12 <= interval.low <= interval.estimate <= interval.high <= 1 + 1e-12
    np.testing.assert_allclose([interval.low, interval.high], [-swapped.high, -swapped.low], atol=1e-12)


@steady
@given(counts(), st.integers(2, 50))
def test_more_patients_at_the_same_rate_narrow_the_interval(cell: tuple[int, int], factor: int) -> None:
    few = wilson_interval(*cell)
    many = wilson_interval(cell[0] * factor, cell[1] * factor)
    assert many.high - many.low < few.high - few.low


@steady
@given(counts(), counts())
def test_ratios_invert_when_the_groups_swap(one: tuple[int, int], zero: tuple[int, int]) -> None:
    for ratio in (risk_ratio, odds_ratio):
        there, back = ratio(*one, *zero), ratio(*zero, *one)
        assert np.isnan(there.low) == np.isnan(back.high)
        if not np.isnan(there.low):
            np.testing.assert_allclose(
                [there.estimate, there.low, there.high],
                [1 / back.estimate, 1 / back.high, 1 / back.low],
                rtol=1e-10,
            )


@steady
@given(counts(60), counts(60))
def test_fisher_is_symmetric_and_agrees_with_scipy(one: tuple[int, int], zero: tuple[int, int]) -> None:
    from scipy.stats import fisher_exact as oracle

    p = fisher_exact(*one, *zero)
    assert 0 < p <= 1
    np.testing.assert_allclose(p, fisher_exact(*zero, *one), rtol=1e-9)
    np.testing.assert_allclose(p, fisher_exact(one[1] - one[0], one[1], zero[1] - zero[0], zero[1]), rtol=1e-9)
    table = [[one[0], one[1] - one[0]], [zero[0], zero[1] - zero[0]]]
    np.testing.assert_allclose(p, oracle(table).pvalue, rtol=1e-7)


@steady
@given(counts(), counts())
def test_chi_square_is_the_squared_pooled_z(one: tuple[int, int], zero: tuple[int, int]) -> None:
    test = pearson_chi_square([[one[0], one[1] - one[0]], [zero[0], zero[1] - zero[0]]])
    pooled = (one[0] + zero[0]) / (one[1] + zero[1])
    if pooled in (0, 1):
        assert np.isnan(test.statistic)
        assert np.isnan(test.p_value)
        return
    z = (one[0] / one[1] - zero[0] / zero[1]) / np.sqrt(pooled * (1 - pooled) * (1 / one[1] + 1 / zero[1]))
    np.testing.assert_allclose(test.statistic, z**2, rtol=1e-9, atol=1e-12)
    assert 0 <= test.p_value <= 1


@steady
@given(st.floats(0.001, 0.999), st.floats(0.0001, 0.5))
def test_logit_interval_stays_inside_and_mirrors(p: float, error: float) -> None:
    one, other = logit_interval(p, error), logit_interval(1 - p, error)
    assert 0 <= one.low < p < one.high <= 1
    np.testing.assert_allclose([one.low, one.high], [1 - other.high, 1 - other.low], rtol=1e-9, atol=1e-12)
