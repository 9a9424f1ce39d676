"""Protects what must hold on any data: the kernels equal their textbook definitions, and curves are probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyses.kernels import cox_likelihood
from analyses.kernels import cox_problem as problems
from analyses.kernels.aalen_johansen import cumulative_incidence
from analyses.kernels.cox_problem import Ties, cox_problem
from analyses.kernels.cox_residuals import score_residuals
from analyses.kernels.kaplan_meier import kaplan_meier, product_limit, risk_table
from analyses.kernels.probability_interval import IntervalScale
from analyses.kernels.restricted_mean import restricted_mean
from analyses.survival import fit_cox
from analyses.survival import kaplan_meier as kaplan_meier_table

SEEDED = settings(deadline=None, derandomize=True)
TOLERANCE = {"rtol": 1e-9, "atol": 1e-11}


@dataclass(frozen=True)
class Sample:
    durations: np.ndarray
    events: np.ndarray
    weights: np.ndarray
    entries: np.ndarray
    causes: np.ndarray
    strata: np.ndarray
    matrix: np.ndarray


@st.composite
def samples(draw: st.DrawFn) -> Sample:
    """Small samples on a coarse grid of times, so that ties, late entries and empty risk sets are common."""
    n = draw(st.integers(2, 25))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    durations = rng.integers(1, draw(st.integers(2, 12)), n).astype(float)
    causes = rng.integers(0, 3, n)
    return Sample(
        durations,
        causes > 0,
        rng.uniform(0.2, 3, n),
        np.floor(durations * rng.uniform(0, 1, n) * draw(st.sampled_from([0.0, 0.99]))),
        causes,
        np.unique(rng.integers(0, draw(st.integers(1, 3)), n), return_inverse=True)[1],
        rng.normal(size=(n, 2)).round(1),
    )


def weighted_survival(sample: Sample, weights: np.ndarray, times: np.ndarray) -> np.ndarray:
    survival, curve = 1.0, []
    for t in times:
        at_risk = (sample.entries < t) & (sample.durations >= t)
        failing = sample.events & (sample.durations == t)
        if at_risk.any():
            survival *= 1 - weights[failing].sum() / weights[at_risk].sum()
        curve.append(survival)
    return np.array(curve)


def derivatives(function: object, weights: np.ndarray) -> np.ndarray:
    """Central differences of a vector function of the weights, shape (n, k)."""
    rows = []
    for i, weight in enumerate(weights):
        step = 1e-5 * weight
        up, down = weights.copy(), weights.copy()
        up[i] += step
        down[i] -= step
        rows.append((function(up) - function(down)) / (2 * step))
    return np.array(rows)


@SEEDED
@given(samples())
def test_weighted_curve_and_its_variance_follow_from_their_definitions(sample: Sample) -> None:
    curve = kaplan_meier(sample.durations, sample.events, weights=sample.weights, entries=sample.entries)
    times = curve.table.times
    np.testing.assert_allclose(curve.survival, weighted_survival(sample, sample.weights, times), atol=1e-12)
    influence = derivatives(lambda w: weighted_survival(sample, w, times), sample.weights)
    variance = ((sample.weights[:, None] * influence) ** 2).sum(axis=0)
    alive = curve.survival > 1e-9
    np.testing.assert_allclose(curve.std_error[alive], np.sqrt(variance)[alive], rtol=1e-5, atol=1e-7)


@SEEDED
@given(samples())
def test_weighted_restricted_mean_variance_follows_from_its_definition(sample: Sample) -> None:
    times = np.unique(sample.durations)
    horizon = float(times[-1])

    def area(weights: np.ndarray) -> np.ndarray:
        steps = np.concatenate([[1.0], weighted_survival(sample, weights, times)])
        return np.array([np.sum(np.diff(np.concatenate([[0.0], times])) * steps[:-1])])

    ours = restricted_mean(
        sample.durations, sample.events, horizon=horizon, weights=sample.weights, entries=sample.entries
    )
    assert ours.supported
    influence = sample.weights * derivatives(area, sample.weights)[:, 0]
    np.testing.assert_allclose(ours.mean, area(sample.weights)[0], **TOLERANCE)
    np.testing.assert_allclose(ours.std_error, np.sqrt((influence**2).sum()), rtol=1e-5, atol=1e-7)


@settings(SEEDED, max_examples=25)
@pytest.mark.parametrize("scale", ["plain", "log", "log-log", "logit", "arcsine"])
@given(sample=samples())
def test_unweighted_curve_stays_a_survival_function(scale: IntervalScale, sample: Sample) -> None:
    data = pd.DataFrame({"t": sample.durations, "d": sample.events, "e": sample.entries})
    rows = kaplan_meier_table(data, duration_col="t", event_col="d", entry_col="e", conf_type=scale).frame
    estimate = rows["estimate"].to_numpy()
    assert np.all(np.diff(estimate) <= 0)
    assert np.all((estimate >= 0) & (estimate <= 1))
    given_rows = rows[rows["conf_low"].notna()]
    assert (given_rows["conf_low"] <= given_rows["estimate"] + 1e-12).all()
    assert (given_rows["conf_high"] >= given_rows["estimate"] - 1e-12).all()
    assert given_rows[["conf_low", "conf_high"]].stack().between(0, 1).all()
    assert (rows["note"].notna() == rows["conf_low"].isna()).all()


@SEEDED
@given(samples())
def test_without_censoring_the_curve_is_the_empirical_one(sample: Sample) -> None:
    everyone = np.ones(len(sample.durations), dtype=bool)
    curve = kaplan_meier(sample.durations, everyone)
    empirical = (sample.durations[None, :] > curve.table.times[:, None]).mean(axis=1)
    np.testing.assert_allclose(curve.survival, empirical, atol=1e-12)
    inside = empirical > 0
    binomial = np.sqrt(empirical * (1 - empirical) / len(sample.durations))
    np.testing.assert_allclose(curve.std_error[inside], binomial[inside], atol=1e-12)


@SEEDED
@given(samples())
def test_incidences_of_all_causes_and_survival_add_to_one(sample: Sample) -> None:
    ours = cumulative_incidence(sample.durations, sample.causes, n_causes=2)
    survival = product_limit(risk_table(sample.durations, sample.events))
    np.testing.assert_allclose(ours.incidence.sum(axis=1) + survival, 1, atol=1e-12)
    assert np.all(np.diff(ours.incidence, axis=0) >= 0)


@SEEDED
@given(samples())
def test_incidence_variance_follows_from_its_definition(sample: Sample) -> None:
    ours = cumulative_incidence(sample.durations, sample.causes, n_causes=2)

    def incidence(weights: np.ndarray) -> np.ndarray:
        survival, total, curve = 1.0, 0.0, []
        for t in ours.times:
            at_risk = weights[sample.durations >= t].sum()
            total += survival * weights[(sample.durations == t) & (sample.causes == 1)].sum() / at_risk
            survival *= 1 - weights[(sample.durations == t) & sample.events].sum() / at_risk
            curve.append(total)
        return np.array(curve)

    influence = derivatives(incidence, np.ones(len(sample.durations)))
    np.testing.assert_allclose(ours.std_error[:, 0], np.sqrt((influence**2).sum(axis=0)), rtol=1e-5, atol=1e-7)


def textbook_likelihood(sample: Sample, beta: np.ndarray, ties: Ties) -> tuple[float, np.ndarray, np.ndarray]:
    """Log likelihood, score and information by looping over event times, ties and risk sets."""
    total, gradient, curvature = 0.0, np.zeros(2), np.zeros((2, 2))
    risk = sample.weights * np.exp(sample.matrix @ beta)
    for stratum in np.unique(sample.strata):
        mine = sample.strata == stratum
        for t in np.unique(sample.durations[mine & sample.events]):
            at_risk = mine & (sample.entries < t) & (sample.durations >= t)
            tied = np.flatnonzero(mine & sample.events & (sample.durations == t))
            total += sample.weights[tied] @ sample.matrix[tied] @ beta
            gradient += sample.weights[tied] @ sample.matrix[tied]
            for position in range(len(tied)):
                r = np.where(at_risk, risk, 0.0)
                if ties == "efron":
                    r[tied] *= 1 - position / len(tied)
                mean = r @ sample.matrix / r.sum()
                weight = sample.weights[tied].mean()
                centred = sample.matrix - mean
                total -= weight * np.log(r.sum())
                gradient -= weight * mean
                curvature += weight * (centred.T * r) @ centred / r.sum()
    return total, gradient, curvature


@pytest.mark.parametrize("ties", ["efron", "breslow"])
@SEEDED
@given(sample=samples(), seed=st.integers(0, 1000))
def test_cox_likelihood_follows_from_its_definition(ties: Ties, sample: Sample, seed: int) -> None:
    if not sample.events.any():
        return
    beta = np.random.default_rng(seed).normal(size=2)
    total, gradient, curvature = textbook_likelihood(sample, beta, ties)
    for compiled_from in (problems.COMPILED_FROM, 0):
        with patch.object(problems, "COMPILED_FROM", compiled_from):
            problem = cox_problem(
                sample.matrix,
                sample.durations,
                sample.events,
                weights=sample.weights,
                entries=sample.entries,
                strata=sample.strata,
                ties=ties,
            )
            here = cox_likelihood.evaluate(problem, beta)
            residuals = score_residuals(problem, beta)
        np.testing.assert_allclose(here.log_likelihood, total, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(here.score, gradient, rtol=1e-8, atol=1e-9)
        np.testing.assert_allclose(here.information, curvature, rtol=1e-8, atol=1e-9)
        np.testing.assert_allclose(sample.weights @ residuals, gradient, rtol=1e-8, atol=1e-9)


@settings(SEEDED, max_examples=40)
@given(samples())
def test_a_fit_either_zeroes_the_score_or_says_why_not(sample: Sample) -> None:
    data = pd.DataFrame(sample.matrix, columns=["x", "y"]).assign(t=sample.durations, d=sample.events)
    fit = fit_cox(data, "x + y", duration_col="t", event_col="d", robust=True)
    rows = fit.tidy().frame
    assert (rows["std_error"].isna() == rows["note"].notna()).all()
    assert rows["std_error"].isna().equals(rows["p_value"].isna())
    assert rows.loc[rows["estimate"].isna(), "note"].str.startswith("no estimate").all()
    glance = fit.glance().frame
    assert glance["p_value"].isna().item() == (not glance["note"].str.startswith("df=").item())
    trends = fit.test_proportional_hazards().frame
    assert (trends["estimate"].isna() == ~trends["note"].str.startswith("df=")).all()
    if fit.converged:
        plain = Sample(
            sample.durations, sample.events, np.ones(len(data)), np.full(len(data), -1.0), sample.causes,
            np.zeros(len(data), dtype=int), sample.matrix,
        )  # fmt: skip
        total, gradient, curvature = textbook_likelihood(plain, fit.coefficients, "efron")
        assert gradient @ np.linalg.solve(curvature, gradient) < 1e-12
        assert fit.log_likelihood == pytest.approx(total, rel=1e-9, abs=1e-9)
