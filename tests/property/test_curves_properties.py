"""Protects the maximum of the interval-censored likelihood, and the score tests, on data of any shape."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from analyses.kernels import turnbull as kernel
from analyses.kernels.logrank import logrank
from analyses.kernels.spline_hazard import SplineHazard, spline_knots
from analyses.kernels.turnbull import GRADIENT_TOLERANCE, turnbull

LIMITS = st.tuples(st.integers(0, 9), st.integers(0, 4), st.booleans(), st.sampled_from([0.2, 1.0, 1.0, 3.0]))


def arrays(rows: list[tuple[int, int, bool, float]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    lower = np.array([row[0] for row in rows], dtype=float)
    upper = np.array([np.inf if row[2] else row[0] + row[1] for row in rows], dtype=float)
    return lower, upper, np.array([row[3] for row in rows])


def covering(lower: np.ndarray, upper: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Which intervals of mass (columns) lie in which rows, from the definition of (lower, upper] and exact times."""
    exact_row, exact = (lower == upper)[:, None], low == high
    starts = np.where(exact & ~exact_row, low > lower[:, None], low >= lower[:, None])
    starts = np.where(exact_row, exact & (low == lower[:, None]), starts)
    return np.asarray(starts & (high <= upper[:, None]))


@settings(max_examples=150, deadline=None)
@given(rows=st.lists(LIMITS, min_size=1, max_size=25))
def test_no_mass_anywhere_would_raise_the_likelihood(rows: list[tuple[int, int, bool, float]]) -> None:
    """Kuhn-Tucker, over every interval that could carry mass, counted from the definition."""
    lower, upper, weights = arrays(rows)
    found = turnbull(lower, upper, weights)
    assert found.converged
    assert found.mass.sum() == pytest.approx(1, rel=1e-12)
    probability = covering(lower, upper, found.lower, found.upper) @ found.mass
    assert (probability > 0).all()
    assert found.log_likelihood == pytest.approx(float(weights @ np.log(probability)), rel=1e-9, abs=1e-9)
    low, high = kernel.innermost_intervals(lower, upper)
    gradient = (weights / probability) @ covering(lower, upper, low, high)
    assert gradient.max() <= weights.sum() * (1 + 10 * GRADIENT_TOLERANCE)


def test_intervals_of_many_patients_with_visits_of_their_own() -> None:
    rng = np.random.default_rng(4)
    time, visits = rng.exponential(5, 400), np.sort(rng.uniform(0, 12, (400, 4)), axis=1)
    before = np.where(visits < time[:, None], visits, 0.0).max(axis=1)
    after = np.where(visits >= time[:, None], visits, np.inf).min(axis=1)
    found = turnbull(before, after, np.ones(400))
    assert found.converged
    assert found.unique
    assert len(found.mass) < len(kernel.innermost_intervals(before, after)[0])


def test_self_consistency_alone_finds_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where least squares do not settle, the remaining steps climb to the same maximum, or say that they did not."""
    import scipy.optimize

    def unsettled(*_: object, **__: object) -> None:
        raise RuntimeError("maximum number of iterations reached")

    monkeypatch.setattr(scipy.optimize, "nnls", unsettled)
    quick = turnbull(np.array([0.0, 1, 2, 2]), np.array([2.0, 3, 4, 4]), np.ones(4))
    assert quick.converged
    np.testing.assert_allclose(quick.mass, [1 / 3, 2 / 3], rtol=1e-9)
    # The middle mass goes to zero, but only as one over the number of steps.
    slow = turnbull(np.array([0.0, 1, 2, 0, 3]), np.array([2.0, 3, 4, 4, 4]), np.ones(5))
    assert not slow.converged
    assert slow.gradient_excess > GRADIENT_TOLERANCE


@settings(max_examples=80, deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.integers(1, 8), st.booleans(), st.integers(0, 2), st.integers(0, 1), st.integers(0, 3)),
        min_size=2,
        max_size=30,
    ),
    rho=st.sampled_from([0.0, 0.5, 1.0]),
    weighted=st.booleans(),
)
def test_scores_of_a_logrank_test_add_up_to_nothing(
    rows: list[tuple[int, bool, int, int, int]], rho: float, weighted: bool
) -> None:
    """Over groups, observed and expected events are equal in sum, and no variance is in the direction of all ones."""
    time, event, group, stratum, delay = (np.array(column) for column in zip(*rows, strict=True))
    test = logrank(
        time.astype(float),
        event.astype(bool),
        group.astype(np.intp),
        n_groups=3,
        strata=stratum.astype(np.intp),
        rho=rho,
        weights=1.0 + (np.arange(len(rows)) % 3) if weighted else None,
        entries=np.minimum(delay, time - 1).astype(float),
    )
    assert test.observed.sum() == pytest.approx(test.expected.sum(), abs=1e-9)
    np.testing.assert_allclose(test.variance.sum(axis=0), 0, atol=1e-9)
    assert test.degrees_of_freedom == 0 or test.chi_square >= 0


def test_a_spline_that_falls_is_outside_of_the_parameter_space() -> None:
    times, events = np.array([1.0, 2.0, 4.0, 8.0]), np.array([True] * 4)
    problem = SplineHazard.of(
        np.empty((4, 0)), times, events, weights=np.ones(4), entries=None, knots=spline_knots(times, events, 0)
    )
    assert problem.likelihood(np.array([0.0, -1.0])).value == -np.inf
    assert problem.likelihood(np.array([1e6, 1.0])).value == -np.inf
    assert np.isfinite(problem.likelihood(problem.start()).value)
