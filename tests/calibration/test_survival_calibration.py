"""Protects the weighted log-rank test's size: weights are not patients, and the robust variance knows it."""

from __future__ import annotations

import os

import numpy as np
import pytest
from scipy.special import chdtri
from scipy.stats import binom

from analyses.kernels.logrank import logrank

REPLICATES = 500 if os.environ.get("LNCOHORT_SLOW") == "reduced" else 2000
PATIENTS = 200


def null_trial(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """One trial without effect of the arm: a confounder drives arm and hazard, weights are the true inverse odds."""
    confounder = rng.normal(size=PATIENTS)
    propensity = 1 / (1 + np.exp(-confounder))
    arm = (rng.uniform(size=PATIENTS) < propensity).astype(np.intp)
    failure = rng.exponential(10 * np.exp(-0.5 * confounder))
    censoring = rng.uniform(5, 30, PATIENTS)
    weights = np.where(arm == 1, 1 / propensity, 1 / (1 - propensity))
    return np.minimum(failure, censoring), failure <= censoring, arm, weights


@pytest.mark.slow
@pytest.mark.parametrize("rho", [0.0, 1.0])
def test_weighted_logrank_keeps_its_level_where_counting_weights_does_not(rho: float) -> None:
    rng = np.random.default_rng(20250101)
    critical = float(chdtri(1, 0.05))
    robust = naive = unweighted = 0
    for _ in range(REPLICATES):
        durations, events, arm, weights = null_trial(rng)
        one_stratum = np.zeros(PATIENTS, dtype=np.intp)
        test = logrank(durations, events, arm, n_groups=2, strata=one_stratum, rho=rho, weights=weights)
        robust += test.chi_square > critical
        plain = logrank(durations, events, arm, n_groups=2, strata=one_stratum, rho=rho)
        unweighted += plain.chi_square > critical
        difference = test.observed[1] - test.expected[1]
        naive += difference**2 / (plain.variance[1, 1] * weights.sum() / PATIENTS) > critical
    low, high = binom.ppf([0.0005, 0.9995], REPLICATES, 0.05)
    assert low <= robust <= high
    assert naive > high, "the trial must be one in which taking weights for patients fails"
    assert unweighted > high, "the trial must be confounded"
