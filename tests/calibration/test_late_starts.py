"""Late starts without effect: the naive analyses are visibly wrong, the others are right about the truth."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from analyses.simulation import Setting, SimulationPlan
from analyses.simulation.immortal_time import START_METHODS, immortal_time_performance, run_immortal_time
from analyses.simulation.performance import setting_columns
from analyses.starts import clone_censor_weight, sequential_trials, time_varying_start
from synthetic.late_starts import LateStartModel, LateStartSampler, late_start_sampler

RIGHT = {"time-varying, latest state", "sequential trials", "clone-censor-weight"}


@pytest.fixture(scope="module")
def sampler() -> LateStartSampler:
    return late_start_sampler("kim2025", seed=11)


@pytest.fixture(scope="module")
def cohort(sampler: LateStartSampler) -> tuple[pd.DataFrame, pd.DataFrame]:
    return sampler.draw(1.0, 20_000, 0)


def test_rates_are_those_stated(sampler: LateStartSampler) -> None:
    patients, visits = sampler.draw(0.0, 20_000, 0)
    exposed = patients["start_months"].fillna(patients["months"]).sum() / 12
    starts = patients["start_months"].notna().sum()
    assert starts / exposed == pytest.approx(0.15, abs=4 * math.sqrt(starts) / exposed)
    # At entry the state is standard normal and the mean hazard the borrowed rate.
    early = patients["months"].clip(upper=3).sum() / 12
    flares = int(((patients["months"] < 3) & (patients["event"] == 1)).sum())
    assert flares / early == pytest.approx(0.096, abs=4 * math.sqrt(flares) / early)
    left = ((patients["event"] == 0) & (patients["months"] < 12)).sum() / len(patients)
    assert 0.05 < left < 1 - 78 / 87
    assert visits["month"].mod(3).eq(0).all()
    assert visits.groupby("patient_id")["month"].min().eq(0).all()


def test_naive_analyses_are_far_off_and_the_others_hold_the_truth(
    cohort: tuple[pd.DataFrame, pd.DataFrame], sampler: LateStartSampler
) -> None:
    patients = cohort[0].iloc[:4000]
    visits = cohort[1][cohort[1]["patient_id"].isin(patients["patient_id"])]
    for method in START_METHODS:
        table = method.analyse(patients, visits, sampler.horizon_months).frame
        row = table[table["statistic"] == "log_hazard_ratio"].iloc[0]
        if method.name == "ever started (naive)":
            assert row["conf_high"] < math.log(0.75)
            assert row["note"].startswith("biased")
        elif method.name == "time-varying, crude":
            assert row["conf_low"] > math.log(1.2)  # those who are worse start sooner
        elif method.name in RIGHT:
            assert row["conf_low"] < 0 < row["conf_high"], method.name
            assert row["std_error"] < 0.1


def test_an_effect_that_is_there_is_found() -> None:
    strong = late_start_sampler("kim2025", seed=5, model=LateStartModel(hazard_ratio=0.4))
    drawn, seen = strong.draw(1.0, 20_000, 0)
    patients, visits = drawn.iloc[:3000], seen[seen["patient_id"] < 3000]
    row = time_varying_start(patients, "state", visits=visits).frame.iloc[0]
    assert abs(row["estimate"] - strong.truth()) < 4 * row["std_error"]
    per_protocol = sequential_trials(
        patients, "state", interval=3, trials=12, visits=visits, censor_at_start=True, adjust="covariates"
    ).frame.iloc[0]
    # Trials look at the state when they begin, which predicts flares less and less: a ratio a little nearer to one.
    assert strong.truth() - 0.1 < per_protocol["estimate"] < -0.6


def test_a_cohort_depends_on_seed_strength_size_and_number_only(sampler: LateStartSampler) -> None:
    first, again = (sampler.draw(1.0, 10_000, 0)[0] for _ in range(2))
    pd.testing.assert_frame_equal(first, again)
    assert first["replicate"].unique().tolist() == [1, 2]
    assert not first["months"].equals(sampler.draw(1.0, 10_000, 1)[0]["months"])


def test_never_starting_and_waiting_agree_without_effect(cohort: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    patients = cohort[0].iloc[:4000]
    visits = cohort[1][cohort[1]["patient_id"].isin(patients["patient_id"])]
    for options in ({"otherwise": "never start"}, {"spread": "as everybody"}):
        table = clone_censor_weight(patients, "state", grace=12, interval=3, horizon=60, visits=visits, **options).frame
        row = table[table["statistic"] == "risk_difference"].iloc[0]
        assert abs(row["estimate"]) < 4 * row["std_error"]


@pytest.mark.slow
def test_coverage_and_bias_over_many_cohorts(sampler: LateStartSampler) -> None:
    """At n = 500: right methods within four Monte Carlo errors of no bias, and their coverage not below 88 %."""
    plan = SimulationPlan((Setting(0.0, 500), Setting(1.0, 500)), 120, ())
    table = setting_columns(immortal_time_performance(run_immortal_time(sampler, plan)))
    for (strength, name), part in table.groupby(["strength", "group"]):
        cells = part.set_index("statistic")[["estimate", "std_error"]]
        bias, error = cells.loc["bias"]
        right = name in RIGHT or (strength == 0 and "naive" not in str(name))
        if right:
            assert abs(bias) < 4 * error, name
            assert cells.loc["coverage", "estimate"] > 0.88, name
        elif str(name) == "ever started (naive)":
            assert bias < np.log(0.7)
            assert cells.loc["coverage", "estimate"] < 0.5
