"""Protects the fits of many replicates in one call: each is the fit of its own rows, whatever becomes of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from analyses.kernels.cox import TermStatus, maximise
from analyses.kernels.cox_problem import Ties, cox_problem
from analyses.kernels.cox_replicates import CoxReplicates, fit_replicates
from analyses.kernels.cox_residuals import robust_variance

SIZE, REPLICATES = 60, 12


@dataclass(frozen=True)
class Rows:
    matrix: np.ndarray
    durations: np.ndarray
    events: np.ndarray
    entries: np.ndarray
    strata: np.ndarray
    offset: np.ndarray


def rows(size: int = SIZE, seed: int = 1) -> Rows:
    random = np.random.default_rng(seed)
    durations = random.integers(2, 15, size).astype(float)
    return Rows(
        matrix=random.normal(size=(size, 2)),
        durations=durations,
        events=random.random(size) < 0.7,
        entries=np.floor(durations * random.uniform(0, 0.9, size)),
        strata=random.integers(0, 3, size),
        offset=random.normal(size=size),
    )


def alone(data: Rows, chosen: np.ndarray, weights: np.ndarray, *, ties: Ties, full: bool) -> tuple[np.ndarray, ...]:
    problem = cox_problem(
        data.matrix[chosen],
        data.durations[chosen],
        data.events[chosen],
        weights=weights[chosen],
        entries=data.entries[chosen] if full else None,
        strata=data.strata[chosen] if full else None,
        offset=data.offset[chosen] if full else None,
        ties=ties,
    )
    found = maximise(problem)
    return found.coefficients, found.variance, robust_variance(problem, found.coefficients, found.variance, None)


def options(data: Rows, *, full: bool) -> dict[str, np.ndarray]:
    return {"entries": data.entries, "strata": data.strata, "offset": data.offset} if full else {}


def assert_each(result: CoxReplicates, expected: list[tuple[np.ndarray, ...]]) -> None:
    assert result.robust_variance is not None
    for replicate, (coefficients, variance, sandwich) in enumerate(expected):
        np.testing.assert_allclose(result.coefficients[replicate], coefficients, rtol=1e-9, atol=1e-11)
        np.testing.assert_allclose(result.variance[replicate], variance, rtol=1e-8, atol=1e-11)
        np.testing.assert_allclose(result.robust_variance[replicate], sandwich, rtol=1e-8, atol=1e-11)
    assert (result.status == TermStatus.ESTIMATED).all()


@pytest.mark.parametrize("full", [False, True], ids=["plain", "strata, late entry, offset"])
@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_a_bootstrap_is_the_fit_of_the_rows_drawn(ties: Ties, full: bool) -> None:
    data, random = rows(), np.random.default_rng(2)
    copies = random.multinomial(SIZE, np.full(SIZE, 1 / SIZE), REPLICATES)
    weights = random.uniform(0.5, 2, (REPLICATES, SIZE))
    result = fit_replicates(
        data.matrix, data.durations, data.events, copies=copies, weights=weights, ties=ties, robust=True,
        **options(data, full=full),
    )  # fmt: skip
    drawn = [np.repeat(np.arange(SIZE), line) for line in copies]
    assert result.events.tolist() == [int(data.events[chosen].sum()) for chosen in drawn]
    assert_each(
        result, [alone(data, chosen, line, ties=ties, full=full) for chosen, line in zip(drawn, weights, strict=True)]
    )


@pytest.mark.parametrize("full", [False, True], ids=["plain", "strata, late entry, offset"])
def test_cohorts_are_fitted_apart(full: bool) -> None:
    data, random = rows(4 * SIZE), np.random.default_rng(3)
    cohorts, weights = random.integers(0, 4, 4 * SIZE), random.uniform(0.5, 2, 4 * SIZE)
    result = fit_replicates(
        data.matrix, data.durations, data.events, cohorts=cohorts, weights=weights, robust=True,
        **options(data, full=full),
    )  # fmt: skip
    apart = [np.flatnonzero(cohorts == cohort) for cohort in range(4)]
    assert_each(result, [alone(data, chosen, weights, ties="efron", full=full) for chosen in apart])


def test_weights_of_zero_leave_rows_out() -> None:
    """A row without weight is no tied event either."""
    data = rows()
    weights = np.where(np.arange(SIZE) % 3 == 0, 0.0, 1.5)
    result = fit_replicates(data.matrix, data.durations, data.events, weights=weights[None], robust=True)
    assert_each(result, [alone(data, np.flatnonzero(weights), weights, ties="efron", full=False)])


def test_replicates_without_an_ordinary_maximum_are_fitted_with_care() -> None:
    """First the whole; then an aliased column; a column that orders the events; no events at all."""
    data = rows()
    base = np.ones((4, SIZE), dtype=int)
    base[1] = data.matrix[:, 1] > 0
    base[3] = ~data.events
    matrix = np.column_stack([data.matrix[:, 0], np.where(data.matrix[:, 1] > 0, 1.0, data.matrix[:, 1])])
    early = data.durations < np.quantile(data.durations, 0.4)
    base[2] = ~early | data.events
    third = np.column_stack([matrix, (early & data.events).astype(float)])
    result = fit_replicates(third, data.durations, data.events, copies=base, robust=True)
    assert result.status[0].tolist()[:2] == ["estimated", "estimated"]
    assert result.status[1].tolist()[1] == "aliased"
    assert result.status[2].tolist()[2] == "increasing"
    assert result.status[3].tolist() == [""] * 3
    assert np.isnan(result.coefficients[1, 1])
    assert np.isfinite(result.coefficients[2, :2]).all()
    assert np.isnan(result.coefficients[2, 2])
    assert result.events[3] == 0
    assert np.isnan(result.log_likelihood[3])
    chosen = np.flatnonzero(base[2])
    careful = maximise(cox_problem(third[chosen], data.durations[chosen], data.events[chosen]))
    np.testing.assert_allclose(result.coefficients[2, :2], careful.coefficients[:2], rtol=1e-9)


def test_cohorts_without_any_event() -> None:
    data = rows()
    never = np.zeros(SIZE, dtype=bool)
    result = fit_replicates(data.matrix, data.durations, never, cohorts=np.arange(SIZE) % 3)
    assert result.coefficients.shape == (3, 2)
    assert np.isnan(result.coefficients).all()
    assert result.robust_variance is None


def test_strong_effects_take_short_steps() -> None:
    """A rare covariate with a large effect: the first Newton step is cut, the maximum is the same."""
    data, random = rows(400, seed=5), np.random.default_rng(6)
    rare = (np.arange(400) < 8).astype(float)
    durations = np.where(rare > 0, random.exponential(1.0, 400), random.exponential(400.0, 400))
    matrix = np.column_stack([rare * 30, data.matrix[:, 0]])
    everyone = np.ones(400, dtype=bool)
    result = fit_replicates(matrix, durations, everyone, robust=True)
    found = maximise(cox_problem(matrix, durations, everyone))
    np.testing.assert_allclose(result.coefficients[0], found.coefficients, rtol=1e-8)
