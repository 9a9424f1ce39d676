"""Protects the eGFR equation beyond its hand-worked values: shapes, missing values, continuity, its inverse."""

from __future__ import annotations

import numpy as np
import pytest

from cohort.egfr import ckd_epi_2021, creatinine_factor, creatinine_for_egfr, egfr_from_factor


def test_shapes_follow_the_arguments() -> None:
    assert ckd_epi_2021(1.0, 40.0, True).shape == ()
    assert ckd_epi_2021([1.0, 2.0], 40.0, [True, False]).shape == (2,)
    assert ckd_epi_2021(np.ones((2, 1)), np.ones(3), True).shape == (2, 3)


def test_a_missing_value_stays_missing_and_moves_no_other() -> None:
    got = ckd_epi_2021([np.nan, 1.0, 1.0], [40.0, np.nan, 40.0], [True, True, True])
    assert np.isnan(got).tolist() == [True, True, False]
    assert got[2] == ckd_epi_2021(1.0, 40.0, True)


@pytest.mark.parametrize("female", [True, False])
def test_it_falls_with_creatinine_and_age_without_a_jump_at_the_knot(female: bool) -> None:
    creatinine = np.linspace(0.3, 8.0, 2000)
    values = ckd_epi_2021(creatinine, 40.0, female)
    assert (np.diff(values) < 0).all()
    knot = 0.7 if female else 0.9
    below, above = ckd_epi_2021([knot - 1e-9, knot + 1e-9], 40.0, female)
    assert below == pytest.approx(above, rel=1e-8)
    assert (np.diff(ckd_epi_2021(1.0, np.arange(18.0, 90.0), female)) < 0).all()


@pytest.mark.parametrize("female", [True, False])
def test_the_inverse_gives_the_creatinine_back(female: bool) -> None:
    creatinine = np.linspace(0.3, 12.0, 500)
    age = np.linspace(18.0, 90.0, 500)
    back = creatinine_for_egfr(ckd_epi_2021(creatinine, age, female), age, female)
    np.testing.assert_allclose(back, creatinine, rtol=1e-12)


def test_a_table_of_factors_gives_the_very_same_numbers() -> None:
    random = np.random.default_rng(4)
    hundredths, age = random.integers(40, 900, 500), random.uniform(18, 80, 500)
    female = random.random(500) < 0.8
    table = np.stack([creatinine_factor(np.arange(1, 900) / 100, sex) for sex in (False, True)])
    looked_up = egfr_from_factor(table[female.astype(int), hundredths - 1], age, female)
    assert looked_up.tolist() == ckd_epi_2021(hundredths / 100, age, female).tolist()
