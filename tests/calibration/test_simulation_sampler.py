"""Light cohorts say what a whole cohort would: derived from its laboratory values, with and without the effect."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analyses.datasets import analysis_data
from analyses.simulation import METHODS, Setting, SimulationPlan, run_simulation, simulation_performance
from analyses.simulation.performance import setting_columns
from analyses.simulation.sample import MEASURED
from cohort.definitions import KDIGO_2012, KIM2025
from cohort.seeds import SeedTree
from synthetic.design import Design
from synthetic.estimands import response_bias
from synthetic.sampler import confounding_sampler, light_frame
from synthetic.scenario import load_scenario
from synthetic.setting import settle
from synthetic.true_effects import true_effects

SIZE = 1500


@pytest.fixture(scope="module")
def both(design: Design, draw: Callable[..., Any]) -> tuple[Any, pd.DataFrame]:
    """The same patients, whole and light: with missed visits and informative attendance."""
    setting = settle(design, load_scenario("strong_confounding"))
    own = SeedTree(1).child("population", "block", 0)
    return draw(setting, SIZE), light_frame(setting, SIZE, own)


def test_light_cohorts_are_what_the_laboratory_values_give(both: tuple[Any, pd.DataFrame]) -> None:
    whole, light = both
    data = analysis_data(
        whole.cohort, treated="tacrolimus", reference="no_tacrolimus", response=KIM2025, flare=KDIGO_2012
    )
    np.testing.assert_array_equal(light["treated"], data.baseline["arm"] == "tacrolimus")
    for name in MEASURED:
        if name == "sex":
            np.testing.assert_array_equal(light[name], data.baseline[name].astype(str))
        else:
            np.testing.assert_allclose(light[name], data.baseline[name].astype(float), rtol=1e-6)
    np.testing.assert_array_equal(light["event"], data.event_free["event"])
    np.testing.assert_allclose(light["years"], data.event_free["years"], rtol=1e-12)
    at_visit = data.responses[data.responses["visit_month"] == 12].set_index("patient_id")["response"]
    seen = data.baseline["patient_id"].isin(at_visit.index).to_numpy()
    np.testing.assert_array_equal(light["assessed"], seen)
    np.testing.assert_array_equal(
        light.loc[seen, "responded"], at_visit.reindex(data.baseline["patient_id"])[seen] == "CR"
    )
    assert 0 < light["event"].sum() < SIZE


def test_without_effect_everybody_has_the_outcomes_of_the_reference_arm(both: tuple[Any, pd.DataFrame]) -> None:
    whole, light = both
    reference = ~light["treated"]
    for name in ("responded", "years", "event"):
        np.testing.assert_array_equal(light.loc[reference, f"null_{name}"], light.loc[reference, name])
        assert (light.loc[~reference, f"null_{name}"] != light.loc[~reference, name]).any()
    potential = whole.truth["responses"]
    under_reference = potential[(potential["arm"] == "no_tacrolimus") & (potential["visit_month"] == 12)]
    seen = light["assessed"].to_numpy()
    np.testing.assert_array_equal(
        light.loc[seen, "null_responded"], (under_reference["response"] == "CR").to_numpy()[seen]
    )


@pytest.mark.slow
def test_bias_is_the_documented_one_and_the_oracle_has_none(design: Design) -> None:
    # Four Monte Carlo standard errors: one run in 16,000 of a right program fails, for each of four comparisons.
    sampler = confounding_sampler("kim2025", strengths=(0.0, 1.0), seed=2025)
    methods = tuple(
        method
        for method in METHODS
        if method.target == "risk_difference" and method.name in ("crude", "IPW, oracle", "overlap weights, oracle")
    )
    found = run_simulation(sampler, SimulationPlan((Setting(0.0, 2000), Setting(1.0, 2000)), 400, methods))
    frame = setting_columns(simulation_performance(found))
    bias = frame[frame["statistic"] == "bias"].set_index(["strength", "group", "world"])
    documented = response_bias(true_effects(settle(design, load_scenario("default"))))
    expected = documented[
        (documented["measure"] == "complete_response")
        & (documented["month"] == 12)
        & (documented["population"] == "ATE")
    ]["bias"].item()

    def distance(strength: float, name: str, value: float, world: str = "effect") -> float:
        row = bias.loc[(strength, name, world)]
        return abs(row["estimate"] - value) / row["std_error"]

    assert expected < -0.08
    assert distance(0.0, "crude", 0.0) < 4
    assert distance(0.0, "crude", 0.0, "null") < 4
    assert distance(1.0, "crude", expected) < 4
    assert distance(1.0, "IPW, oracle", 0.0) < 4
    assert distance(1.0, "IPW, oracle", 0.0, "null") < 4
    assert distance(1.0, "overlap weights, oracle", 0.0) < 4
