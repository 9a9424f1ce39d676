"""Candidate arms are accepted exactly when tests made one by one with SciPy say what print says of the arms."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from cohort.response import BoolArray
from synthetic.balance import ArmComparison
from synthetic.baseline import Baseline, draw_baseline
from synthetic.groups import select_patients
from synthetic.scenario import DEFAULT_SCENARIO

SIZE, TREATED, REPLICATES = 179, 92, 2


def similar(first: np.ndarray, second: np.ndarray, cap: float) -> bool:
    """Compare one covariate between the arms as a statistician would with SciPy."""
    smd = abs(first.mean() - second.mean()) / np.sqrt((first.var(ddof=1) + second.var(ddof=1)) / 2)
    both = np.concatenate([first, second])
    if len(np.unique(both)) == 2:
        high = both.max()
        table = [[np.sum(arm == high), np.sum(arm != high)] for arm in (first, second)]
        return bool(smd <= cap and stats.chi2_contingency(table, correction=False).pvalue >= 0.05)
    return bool(smd <= cap and stats.ttest_ind(first, second, equal_var=False).pvalue >= 0.05)


def accepted(baseline: Baseline, on: BoolArray, cap: float) -> bool:
    """Judge one candidate."""
    v = baseline.class_v
    table = [[np.sum(v & on), np.sum(~v & on)], [np.sum(v & ~on), np.sum(~v & ~on)]]
    more = table[0][0] * (~on).sum() > table[1][0] * on.sum()
    if not more or stats.chi2_contingency(table, correction=False).pvalue >= 0.05:
        return False
    covariates = baseline.balance_covariates().values()
    return all(similar(values[on], values[~on], cap) for values in covariates)


@pytest.mark.parametrize("cap", [0.25, 2.0])
def test_candidates_are_judged_as_by_one_test_after_another(cap: float) -> None:
    # At the wide cap significance alone decides, at the other one the cap.
    model = DEFAULT_SCENARIO.model()
    model = replace(model, assignment=replace(model.assignment, smd_cap=cap))
    random = np.random.default_rng(6)
    baseline = draw_baseline(SIZE * REPLICATES, model, random)
    comparison = ArmComparison.of(baseline, REPLICATES, TREATED, model)
    assert comparison.varying.all()
    assert comparison.constant == ()
    outcomes = []
    for row in range(REPLICATES):
        mine = select_patients(baseline, np.arange(row * SIZE, (row + 1) * SIZE))
        liking = random.normal(size=(SIZE, 120)) + 0.5 * mine.class_v[:, None]
        tacrolimus = liking >= np.sort(liking, axis=0)[SIZE - TREATED]
        met = comparison.met(np.full(tacrolimus.shape[1], row), tacrolimus.T)
        assert met.tolist() == [accepted(mine, on, cap) for on in tacrolimus.T]
        near = comparison.near(row, tacrolimus.T)
        assert set(np.flatnonzero(met)) <= set(near)
        assert cap > 1 or len(near) < len(met)
        # One patient too many on tacrolimus, as after a tie for the last place.
        more = tacrolimus.T[met] | (np.arange(SIZE) == np.argmin(tacrolimus.T[met], axis=1)[:, None])
        assert not comparison.met(np.full(len(more), row), more).any()
        outcomes += met.tolist()
    assert 3 <= sum(outcomes) <= len(outcomes) - 3, sum(outcomes)


def test_a_replicate_without_class_v_is_not_asked() -> None:
    model = DEFAULT_SCENARIO.model()
    baseline = draw_baseline(2 * SIZE, model, np.random.default_rng(1))
    lupus_class = baseline.lupus_class.copy()
    lupus_class[:SIZE] = 0
    comparison = ArmComparison.of(replace(baseline, lupus_class=lupus_class), 2, TREATED, model)
    assert comparison.varying.tolist() == [False, True]
    assert comparison.constant == ()
    everywhere = ArmComparison.of(replace(baseline, lupus_class=np.zeros_like(lupus_class)), 2, TREATED, model)
    assert everywhere.constant == ("pure class V",)
