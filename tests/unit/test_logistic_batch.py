"""Protects the refits of a bootstrap: each equals the fit to the rows it stands for, or says that there is none."""

from __future__ import annotations

import numpy as np
import pytest

from analyses.kernels.logistic import fit_logistic
from analyses.kernels.logistic_batch import fit_logistic_batch


@pytest.fixture(scope="module")
def design() -> np.ndarray:
    stream = np.random.default_rng(3)
    year = stream.integers(1999, 2021, 120)
    return np.column_stack([np.ones(120), year, stream.normal(size=120), stream.random(120) < 0.3])


@pytest.fixture(scope="module")
def outcome(design: np.ndarray) -> np.ndarray:
    return (np.random.default_rng(4).random(120) < 1 / (1 + np.exp(-design[:, 2]))).astype(float)


@pytest.fixture(scope="module")
def counts() -> np.ndarray:
    return np.random.default_rng(5).multinomial(120, np.full(120, 1 / 120), size=12).astype(float)


@pytest.mark.parametrize("warm", [False, True])
def test_each_replicate_is_the_fit_to_its_resampled_rows(
    design: np.ndarray, outcome: np.ndarray, counts: np.ndarray, warm: bool
) -> None:
    start = fit_logistic(design, outcome).coefficients if warm else None
    batch = fit_logistic_batch(design, outcome, counts, start=start)
    assert batch.converged.all()
    for weights, coefficients in zip(counts.astype(int), batch.coefficients, strict=True):
        alone = fit_logistic(np.repeat(design, weights, axis=0), np.repeat(outcome, weights))
        np.testing.assert_allclose(coefficients, alone.coefficients, rtol=1e-8)
    np.testing.assert_allclose(
        batch.probability(design)[0], 1 / (1 + np.exp(-design @ batch.coefficients[0])), rtol=1e-12
    )


def test_replicates_may_differ_in_their_outcome_and_stand_alone(
    design: np.ndarray, outcome: np.ndarray, counts: np.ndarray
) -> None:
    outcomes, cases = np.array([outcome, 1 - outcome, outcome]), counts[[0, 0, 1]]
    whole = fit_logistic_batch(design, outcomes, cases)
    np.testing.assert_allclose(whole.coefficients[0], -whole.coefficients[1], rtol=1e-9)
    for own, case, coefficients in zip(outcomes, cases, whole.coefficients, strict=True):
        alone = fit_logistic_batch(design, own, case[None]).coefficients[0]
        np.testing.assert_allclose(alone, coefficients, rtol=1e-12)


def test_separated_constant_and_empty_replicates_have_no_estimate() -> None:
    # Two strata of four patients; the treated share is one half in each.
    x = np.repeat([0.0, 1.0], 4)
    design = np.column_stack([np.ones(8), x])
    outcome = np.tile([0.0, 1.0], 4)
    weights = np.array(
        [
            [1, 1, 1, 1, 1, 1, 1, 1],
            [1, 1, 1, 1, 0, 1, 0, 3],  # only the treated are left where x is 1
            [2, 2, 2, 2, 0, 0, 0, 0],  # x is constant
            [0, 0, 0, 0, 0, 0, 0, 0],
            [3, 1, 0, 0, 1, 1, 0, 0],
        ],
        dtype=float,
    )
    for start in (None, np.array([5.0, -40.0])):
        batch = fit_logistic_batch(design, outcome, weights, start=start)
        assert batch.converged.tolist() == [True, False, False, False, True]
        assert np.isnan(batch.coefficients[~batch.converged]).all()
        np.testing.assert_allclose(batch.coefficients[0], 0.0, atol=1e-12)
        np.testing.assert_allclose(batch.coefficients[4], [-np.log(3), np.log(3)], rtol=1e-9)


def test_columns_that_the_drawn_rows_hardly_tell_apart_have_no_estimate() -> None:
    """Where the quick bound is of no use the eigenvalues decide, for a column that is nearly another."""
    stream = np.random.default_rng(6)
    x, outcome = stream.normal(size=40), np.tile([0.0, 1.0, 1.0, 0.0], 10)
    noise = np.where(np.arange(40) < 20, 1.0, 0.0) * stream.normal(size=40)
    drawn = np.where(np.arange(40) < 20, 1.0, 2.0)
    for gap, told in ((1e-3, True), (1e-7, False)):
        near = np.where(np.arange(40) < 20, x + gap * noise, stream.normal(size=40))
        half = np.array([drawn, np.where(np.arange(40) < 20, 1.0, 0.0)])
        fit = fit_logistic_batch(np.column_stack([np.ones(40), x, near]), outcome, half)
        assert fit.converged.tolist() == [True, told]
