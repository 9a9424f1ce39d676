"""Protects what must hold on any data: the competing-risks kernels equal their definitions, spelled out slowly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyses.kernels import fine_gray as kernel
from analyses.kernels.aalen_johansen import cumulative_incidence
from analyses.kernels.fine_gray_likelihood import (
    FineGrayProblem,
    Ties,
    fine_gray_problem,
    information,
    risk_averages,
    score,
    score_residuals,
)

SEEDED = settings(deadline=None, derandomize=True, max_examples=60)


@dataclass(frozen=True)
class Sample:
    durations: np.ndarray
    causes: np.ndarray
    weights: np.ndarray
    entries: np.ndarray
    strata: np.ndarray
    groups: np.ndarray
    matrix: np.ndarray


@st.composite
def samples(draw: st.DrawFn) -> Sample:
    """Small samples on a coarse grid of times, so that ties, late entries and empty risk sets are common."""
    n = draw(st.integers(3, 25))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    durations = rng.integers(1, draw(st.integers(2, 12)), n).astype(float)
    causes = rng.integers(0, 3, n)
    causes[0] = 1
    codes = np.unique(rng.integers(0, draw(st.integers(1, 3)), n), return_inverse=True)[1]
    groups = np.unique(rng.integers(0, draw(st.integers(1, 2)), n), return_inverse=True)[1]
    late = draw(st.sampled_from([0.0, 0.99]))
    entries = np.floor(durations * rng.uniform(0, 1, n) * late)
    return Sample(durations, causes, rng.uniform(0.2, 3, n), entries, codes, groups, rng.normal(size=(n, 2)).round(1))


def problem_of(sample: Sample, ties: Ties, *, failures_leave_first: bool = True) -> FineGrayProblem:
    return fine_gray_problem(
        sample.matrix,
        sample.durations,
        sample.causes == 1,
        sample.causes == 2,
        weights=sample.weights,
        entries=sample.entries,
        strata=sample.strata,
        censoring_groups=sample.groups,
        ties=ties,
        failures_leave_first=failures_leave_first,
    )


def observed_before(sample: Sample, group: int, time: float) -> float:
    """Probability of not yet censored and already entered just before a time; failures leave before censorings."""
    members = sample.groups == group
    start, stop, cause = sample.entries[members], sample.durations[members], sample.causes[members]
    if time > stop.max():
        return 0.0
    probability = 1.0
    for u in np.unique(stop[cause == 0]):
        if u < time:
            at_risk = (start < u) & ((stop > u) | ((stop == u) & (cause == 0)))
            probability *= 1 - (at_risk & (stop == u)).sum() / at_risk.sum()
    for u in np.unique(start):
        if u >= time:
            probability *= 1 - (start == u).sum() / ((start <= u) & (stop > u)).sum()
    return probability


def slow_log_likelihood(sample: Sample, ties: Ties, coefficients: np.ndarray) -> float:
    """Sum over strata, event times and tied events, with the weight of every row at every time looked up afresh."""
    hazard, total = np.exp(sample.matrix @ coefficients), 0.0
    for stratum in np.unique(sample.strata):
        own = sample.strata == stratum
        failing_ever = own & (sample.causes == 1)
        for t in np.unique(sample.durations[failing_ever]):
            weight = np.where(own & (sample.entries < t) & (sample.durations >= t), 1.0, 0.0)
            for row in np.flatnonzero(own & (sample.causes == 2) & (sample.durations < t)):
                group = sample.groups[row]
                weight[row] = observed_before(sample, group, t) / observed_before(sample, group, sample.durations[row])
            failing = failing_ever & (sample.durations == t)
            d, mass = failing.sum(), sample.weights[failing].sum()
            total += float(sample.weights[failing] @ np.log(hazard[failing]))
            whole = (weight * sample.weights * hazard).sum()
            tied = (sample.weights * hazard)[failing].sum()
            for j in range(d):
                left_out = j / d if ties == "efron" else 0.0
                total -= mass / d * np.log(whole - left_out * tied)
    return total


def slope(function: object, at: np.ndarray) -> np.ndarray:
    step = 1e-5
    return np.array([(function(at + step * e) - function(at - step * e)) / (2 * step) for e in np.eye(len(at))])


@pytest.mark.parametrize("ties", ["efron", "breslow"])
@SEEDED
@given(sample=samples())
def test_the_likelihood_and_its_derivatives_are_those_of_the_definition(ties: Ties, sample: Sample) -> None:
    problem = problem_of(sample, ties)
    if not problem.supported:
        return
    at = np.array([0.3, -0.2])
    averages = risk_averages(problem, at)
    assert averages.log_likelihood == pytest.approx(slow_log_likelihood(sample, ties, at), rel=1e-9, abs=1e-9)
    numeric = slope(lambda b: risk_averages(problem, b).log_likelihood, at)
    np.testing.assert_allclose(score(problem, averages), numeric, rtol=1e-5, atol=1e-6)
    numeric = -slope(lambda b: score(problem, risk_averages(problem, b)), at)
    np.testing.assert_allclose(information(problem, averages), numeric, rtol=1e-5, atol=1e-6)
    residuals = score_residuals(problem, averages)
    np.testing.assert_allclose(residuals.sum(axis=1), score(problem, averages), rtol=1e-9, atol=1e-9)


def weighted_incidence(sample: Sample, weights: np.ndarray, times: np.ndarray, cause: int) -> np.ndarray:
    survival, incidence, curve = 1.0, 0.0, []
    for t in times:
        at_risk = (sample.entries < t) & (sample.durations >= t)
        failing = at_risk & (sample.durations == t) & (sample.causes > 0)
        total = weights[at_risk].sum()
        incidence += survival * weights[failing & (sample.causes == cause)].sum() / total
        survival = 0.0 if (failing == at_risk).all() else survival * (1 - weights[failing].sum() / total)
        curve.append(incidence)
    return np.array(curve)


@SEEDED
@given(sample=samples())
def test_the_variance_of_incidence_is_the_sum_of_squared_weighted_derivatives(sample: Sample) -> None:
    curve = cumulative_incidence(
        sample.durations, sample.causes, n_causes=2, weights=sample.weights, entries=sample.entries
    )
    for cause in (1, 2):
        estimate = weighted_incidence(sample, sample.weights, curve.times, cause)
        np.testing.assert_allclose(curve.incidence[:, cause - 1], estimate, rtol=1e-9, atol=1e-12)
        variance = np.zeros(len(curve.times))
        for row, weight in enumerate(sample.weights):
            step = np.zeros(len(sample.weights))
            step[row] = 1e-5
            ahead = weighted_incidence(sample, sample.weights + step, curve.times, cause)
            behind = weighted_incidence(sample, sample.weights - step, curve.times, cause)
            variance += (weight * (ahead - behind) / 2e-5) ** 2
        np.testing.assert_allclose(curve.std_error[:, cause - 1] ** 2, variance, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("n_groups", [1, 2])
def test_the_censoring_part_is_the_derivative_by_the_distribution_of_censoring(n_groups: int) -> None:
    """One more unit of row i changes the censoring hazard of its own group at u by (1{i censored at u} - d(u)/Y(u)) /
    Y(u), and through it the weights of the lingering rows of that group alone; times are distinct."""
    rng = np.random.default_rng(5)
    n = 60
    durations, causes = rng.permutation(n) + 1.0, rng.integers(0, 3, n)
    groups, matrix = rng.integers(0, n_groups, n), rng.normal(size=(n, 2))
    problem = fine_gray_problem(
        matrix,
        durations,
        causes == 1,
        causes == 2,
        weights=np.ones(n),
        entries=None,
        strata=np.zeros(n, dtype=np.intp),
        censoring_groups=groups,
        ties="breslow",
        failures_leave_first=False,
    )
    solution = kernel.maximise(problem)
    hazard = np.exp(matrix @ solution.coefficients)

    def score_at(tilt: np.ndarray) -> np.ndarray:
        """Score when the censoring hazard of each group gains ``tilt`` (groups, times), the rest held."""
        total = np.zeros(2)
        for t in np.sort(durations[causes == 1]):
            weight = (durations >= t).astype(float)
            for row in np.flatnonzero((causes == 2) & (durations < t)):
                group = groups[row]
                lasting = problem.observed[group][np.searchsorted(problem.times, t)]
                place = np.searchsorted(problem.lingering[group], row)
                between = (np.arange(1, n + 1) >= durations[row]) & (np.arange(1, n + 1) < t)
                weight[row] = lasting * problem.inverse_observed[group][place] * np.exp(-tilt[group, between].sum())
            total += matrix[durations == t][0] - (weight * hazard) @ matrix / (weight * hazard).sum()
        return total

    expected = score_residuals(problem, risk_averages(problem, solution.coefficients))
    for row in range(n):
        tilt = np.zeros((n_groups, n))
        group = groups[row]
        for u in durations[(causes == 0) & (groups == group) & (durations <= durations[row])]:
            at_risk = ((groups == group) & (durations >= u)).sum()
            tilt[group, int(u) - 1] = ((durations[row] == u) - 1 / at_risk) / at_risk
        expected[:, row] += (score_at(tilt * 1e-4) - score_at(-tilt * 1e-4)) / 2e-4
    variance = kernel.censoring_aware_variance(
        problem,
        risk_averages(problem, solution.coefficients),
        solution.variance,
        None,
        durations=durations,
        censored=causes == 0,
        censoring_groups=groups,
        all_events=True,
    )
    np.testing.assert_allclose(variance, solution.variance @ expected @ expected.T @ solution.variance, rtol=1e-6)
