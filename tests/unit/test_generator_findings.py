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
    assert logrank_p(day[None], happened[None], treated[None])[0] == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("seed", range(5))
def test_mann_whitney_and_chi_square_are_scipys(seed: int) -> None:
    random = np.random.default_rng(seed)
    first, second = np.round(random.normal(size=48), 1), np.round(random.normal(0.3, 1.0, 55), 1)
    values, on = np.concatenate([first, second]), np.repeat([True, False], [48, 55])
    expected = stats.mannwhitneyu(first, second).pvalue
    assert mann_whitney_p(values, on, np.zeros(103, dtype=np.int64), 1)[0] == pytest.approx(expected, rel=1e-10)
    outcome, treated = random.random(100) < 0.3, random.random(100) < 0.5
    table = pd.crosstab(outcome, treated)
    expected = stats.chi2_contingency(table, correction=False).pvalue
    assert two_by_two_p(outcome[None], treated[None])[0] == pytest.approx(expected, rel=1e-10)


def test_what_does_not_vary_does_not_differ() -> None:
    treated = np.array([[True, True, False, False]])
    assert two_by_two_p(np.zeros((1, 4), dtype=bool), treated)[0] == 1.0
    assert two_by_two_p(np.ones((1, 4), dtype=bool), treated)[0] == 1.0
    assert logrank_p(np.arange(1.0, 5)[None], np.zeros((1, 4), dtype=bool), treated)[0] == 1.0
    assert mann_whitney_p(np.ones(4), treated[0], np.zeros(4, dtype=np.int64), 1)[0] == 1.0


def test_each_replicate_is_tested_on_its_own() -> None:
    random = np.random.default_rng(3)
    day, happened = random.integers(1, 40, (6, 50)).astype(float), random.random((6, 50)) < 0.4
    treated = random.random((6, 50)) < 0.5
    values, replicate = np.round(random.normal(size=300), 1), np.repeat(np.arange(6), 50)
    together = (
        logrank_p(day, happened, treated),
        two_by_two_p(happened, treated),
        mann_whitney_p(values, treated.ravel(), replicate, 6),
    )
    for row in range(6):
        one, nobody = slice(row, row + 1), np.zeros(50, dtype=np.int64)
        assert logrank_p(day[one], happened[one], treated[one])[0] == together[0][row]
        assert two_by_two_p(happened[one], treated[one])[0] == together[1][row]
        assert mann_whitney_p(values[50 * row : 50 * row + 50], treated[row], nobody, 1)[0] == together[2][row]
