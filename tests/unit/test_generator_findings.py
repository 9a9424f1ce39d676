"""The generator's own tests of findings agree with the estimators and with SciPy, which it may not import."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analyses.survival import logrank
from synthetic.findings import logrank_p, mann_whitney_p, two_by_two_p


@pytest.mark.parametrize("seed", range(5))
def test_logrank_is_that_of_the_estimators(seed: int) -> None:
    random = np.random.default_rng(seed)
    day = random.integers(1, 40, 120)
    happened = random.random(120) < 0.4
    treated = random.random(120) < 0.5
    frame = pd.DataFrame({"day": day, "event": happened.astype(int), "arm": np.where(treated, "a", "b")})
    expected = logrank(frame, duration_col="day", event_col="event", by="arm").frame["p_value"].item()
    assert logrank_p(day, happened, treated) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("seed", range(5))
def test_mann_whitney_and_chi_square_are_scipys(seed: int) -> None:
    random = np.random.default_rng(seed)
    first, second = np.round(random.normal(size=48), 1), np.round(random.normal(0.3, 1.0, 55), 1)
    assert mann_whitney_p(first, second) == pytest.approx(stats.mannwhitneyu(first, second).pvalue, rel=1e-10)
    outcome, treated = random.random(100) < 0.3, random.random(100) < 0.5
    table = pd.crosstab(outcome, treated)
    expected = stats.chi2_contingency(table, correction=False).pvalue
    assert two_by_two_p(outcome, treated) == pytest.approx(expected, rel=1e-10)


def test_what_does_not_vary_does_not_differ() -> None:
    treated = np.array([True, True, False, False])
    assert two_by_two_p(np.zeros(4, dtype=bool), treated) == 1.0
    assert two_by_two_p(np.ones(4, dtype=bool), treated) == 1.0
    assert logrank_p(np.arange(1, 5), np.zeros(4, dtype=bool), treated) == 1.0
    assert mann_whitney_p(np.ones(3), np.ones(4)) == 1.0
