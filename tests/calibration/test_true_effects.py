"""True effects: three ways agree with each other and with closed forms; documented bias is the bias of populations.

Standard errors come from 64 groups (63 degrees of freedom). Of about 220 estimands, all within 4.5 standard errors:
a sound program fails in fewer than 1 of 150 choices of the seed, fixed here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from scipy.optimize import brentq

from cohort.record import Measure
from cohort.schema import TRUTH_ESTIMANDS
from cohort.seeds import SeedTree
from cohort.store import read_table
from cohort.targets import load_study
from synthetic.assignment import arm_probabilities
from synthetic.calibrate import SEED, calibrated_population
from synthetic.course import COMPLETE, NO_RESPONSE
from synthetic.cuts import Counts
from synthetic.design import Design, design_of
from synthetic.effect_table import effect_table
from synthetic.estimands import Estimand, TargetPopulation, comparisons_of, response_bias, true_value
from synthetic.model import PatientModel
from synthetic.population import BLOCK, draw_block
from synthetic.population_plan import PopulationPlan
from synthetic.quadrature import cumulative_hazard, integrate
from synthetic.reconstruct import reconstruct
from synthetic.replicates import ReplicateMode, ReplicatePlan
from synthetic.scenario import DEFAULT_SCENARIO, available_scenarios, load_scenario
from synthetic.setting import Setting, settle
from synthetic.story import Story
from synthetic.stream import write_population
from synthetic.true_effects import CARRIED, Accuracy, average_effects, solve_effects, true_effects
from synthetic.true_values import carried_effects, format_effects
from synthetic.truth import potential_outcomes
from synthetic.truth_tables import cohort_effects

FloatArray = npt.NDArray[np.float64]

KEY = list(TRUTH_ESTIMANDS.key)
MOST = 4.5
PLAIN = PatientModel()
POWER = 12
SCRAMBLINGS = range(4)


@pytest.fixture(scope="module")
def design() -> Design:
    study = load_study("kim2025")
    return design_of(study, reconstruct(study))


@pytest.fixture(scope="module")
def setting(design: Design) -> Setting:
    return settle(design, DEFAULT_SCENARIO)


@pytest.fixture(scope="module")
def carried(setting: Setting) -> pd.DataFrame:
    return true_effects(setting)


def largest_z(one: pd.DataFrame, other: pd.DataFrame) -> float:
    both = one.merge(other, on=KEY, validate="one_to_one")
    assert len(both) == min(len(one), len(other))
    error = np.hypot(both["std_error_x"], both["std_error_y"])
    gap = (both["value_x"] - both["value_y"]).abs()
    assert (gap[error == 0] == 0).all()
    return float((gap[error > 0] / error[error > 0]).max())


def value(table: pd.DataFrame, measure: Measure, estimand: str, month: int, population: str = "ATE") -> float:
    return true_value(table, Estimand(measure, estimand, population, table["contrast"].iloc[0], month))


# Three ways


def test_an_independent_draw_agrees_with_the_quadrature(setting: Setting, carried: pd.DataFrame) -> None:
    drawn = true_effects(setting, way="draw", patients=2**17, seed=11)
    assert set(drawn["way"]) == {"draw"}
    assert len(drawn) == len(carried) - 50
    assert largest_z(drawn, carried) < MOST


def test_patients_of_a_directory_average_to_the_quadrature_written_beside_them(tmp_path: Path) -> None:
    write_population(PopulationPlan("kim2025", 3, BLOCK + 100, blocks_per_part=1), tmp_path / "population")
    averaged = cohort_effects(tmp_path / "population")
    written = read_table(tmp_path / "population" / TRUTH_ESTIMANDS.path, TRUTH_ESTIMANDS)
    assert set(averaged["way"]) == {"average"}
    assert set(written["way"]) == {"quadrature"}
    assert largest_z(averaged, written) < MOST


@pytest.mark.slow
@pytest.mark.parametrize("name", available_scenarios())
def test_a_million_patients_agree_with_the_quadrature_of_every_scenario(design: Design, name: str) -> None:
    settled = settle(design, load_scenario(name))
    assert largest_z(true_effects(settled, way="draw", patients=2**20, seed=12), true_effects(settled)) < MOST


@pytest.mark.slow
def test_the_carried_values_are_the_solved_ones(setting: Setting, carried: pd.DataFrame) -> None:
    solved = solve_effects(setting, CARRIED)
    np.testing.assert_allclose(carried["value"], solved["value"], rtol=1e-5, atol=1e-6)


def test_fewer_points_give_the_carried_values_within_error(setting: Setting, carried: pd.DataFrame) -> None:
    # Eight scramblings leave seven degrees of freedom: beyond 12 standard errors lie 1 in 100,000.
    assert largest_z(solve_effects(setting, Accuracy(power=11, scramblings=8)), carried) < 12


@pytest.mark.parametrize("name", available_scenarios())
def test_every_scenario_carries_its_values(design: Design, name: str) -> None:
    # Fails when the model has changed: run benchmarks/make_calibrations.py kim2025.
    settled = settle(design, load_scenario(name))
    found = carried_effects(design, settled.model)
    assert found is not None
    again = format_effects(design, settled.model, found)
    assert again.splitlines()[3:8] == format_effects(design, settled.model, true_effects(settled)).splitlines()[3:8]


def test_an_exact_cohort_carries_the_values_of_its_population(cohort_folder: Path, carried: pd.DataFrame) -> None:
    written = read_table(cohort_folder / TRUTH_ESTIMANDS.path, TRUTH_ESTIMANDS)
    np.testing.assert_array_equal(written["value"], carried["value"])
    sample = cohort_effects(cohort_folder)
    assert len(sample) == len(carried) - 50


# Closed forms


def plain_design(arms: Sequence[str], complete: float, assessed: Sequence[int], *, none: float = 0.0) -> Design:
    """Return arms of 100 patients of whom the same share responds at months 6, 12 and 24."""
    seen = np.tile(np.asarray(assessed), (len(arms), 1))
    full = np.rint(seen * complete).astype(np.int64)
    return Design(
        study="plain",
        arms=np.array(arms),
        sizes=np.full(len(arms), 100),
        tacrolimus=np.arange(len(arms)) < len(arms) - 1,
        months=np.array([6, 12, 24]),
        counts=Counts(seen, full, seen - full - np.rint(seen * none).astype(np.int64)),
        alone=0,
        randomised=False,
    )


def turned(**parts: dict[str, float]) -> PatientModel:
    return replace(PLAIN, **{name: replace(getattr(PLAIN, name), **dials) for name, dials in parts.items()})


def settled(design: Design, model: PatientModel) -> Setting:
    return Setting(design, DEFAULT_SCENARIO, model, calibrated_population(design, model, power=POWER).calibration)


def quadrature(setting: Setting, seeds: Sequence[int] = SCRAMBLINGS) -> pd.DataFrame:
    found = integrate(setting, POWER, seeds)
    return effect_table(comparisons_of(setting.design, setting.model), found.everybody, "quadrature", found.assessed)


def test_without_confounding_and_deaths_the_effect_is_the_printed_difference(design: Design) -> None:
    # Over the very points the constants were solved on, to the weight of one patient.
    found = quadrature(settled(design, turned(assignment={"strength": 0.0}, course={"death_rate": 0.0})), [SEED])
    counts = design.counts
    for measure, responders in (
        (Measure.COMPLETE_RESPONSE, counts.complete),
        (Measure.OVERALL_RESPONSE, counts.complete + counts.partial),
    ):
        printed = responders[0] / counts.assessed[0] - responders[-1] / counts.assessed[-1]
        for month, difference in zip(design.months, printed, strict=True):
            for population in (*TargetPopulation, "assessed"):
                got = value(found, measure, "risk_difference", month, population)
                assert got == pytest.approx(difference, abs=2.5 / 2**POWER)


def test_crude_differences_are_the_printed_ones_under_confounding_too(design: Design) -> None:
    found = response_bias(quadrature(settled(design, turned(assignment={"strength": 2.0})), [SEED]))
    rows = found[(found["measure"] == "complete_response") & (found["population"] == "ATE")]
    rates = design.counts.complete / design.counts.assessed
    np.testing.assert_allclose(rows["crude"], rates[0] - rates[-1], atol=2.5e-3)
    assert (rows["bias"] < -0.02).all()


def test_death_alone_follows_from_its_hazard_over_normal_severity() -> None:
    design = plain_design(["drug", "control"], 1.0, [95, 85, 60])
    setting = settled(design, turned(course={"death_rate": 6.0, "flare_rate": 0.0, "eskd_rate": 0.0}))
    node, weight = np.polynomial.hermite_e.hermegauss(80)
    slope = np.log(PLAIN.course.poor_outcome_hr_severity)
    days = comparisons_of(design, PLAIN).days
    hazard = cumulative_hazard(setting.calibration.mortality, days)
    survival = weight / weight.sum() @ np.exp(-np.exp(slope * node - slope**2 / 2)[:, None] * hazard)
    assert 0.85 < survival[-1] < 0.95
    expected = survival[:-1].sum() / 365.25
    found = quadrature(setting)
    for measure in (Measure.FLARE_FREE_SURVIVAL, Measure.POOR_OUTCOME):
        assert value(found, measure, "restricted_mean", 24) == pytest.approx(expected, abs=2e-5)
        assert value(found, measure, "hazard_ratio", 24) == pytest.approx(1, abs=1e-9)
        assert value(found, measure, "restricted_mean_difference", 24) == pytest.approx(0, abs=1e-12)
    drawn = true_effects(setting, way="draw", patients=2**15)
    mean = drawn[(drawn["estimand"] == "restricted_mean") & (drawn["population"] == "ATE")].iloc[0]
    assert abs(mean["value"] - expected) < MOST * mean["std_error"]


def between_visits(probability: FloatArray, first: npt.NDArray[np.int64], last: npt.NDArray[np.int64]) -> FloatArray:
    """Return the probability of the first event on each day, evenly spread within each interval."""
    mass, free = np.zeros(last[-1] + 31), 1.0
    for chance, begin, end in zip(probability, first, last, strict=True):
        mass[begin : end + 1] += free * chance / (end - begin + 1)
        free *= 1 - chance
    return mass


def test_kidney_failure_alone_follows_from_its_calibrated_hazard() -> None:
    design = plain_design(["drug", "control"], 0.0, [100, 100, 100], none=1.0)
    model = turned(
        course={"death_rate": 0.0, "eskd_rate": 5.0, "poor_outcome_hr_severity": 1.0, "eskd_hr_low_egfr": 1.0},
        calendar={"visit_jitter_sd": 0.0},
    )
    setting = settled(design, model)
    days = comparisons_of(design, model).days
    chance = -np.expm1(-setting.calibration.failure_level[1:] * np.diff(days))
    mass = between_visits(chance, days[:-1] + 45, days[1:] - 7)[: days[-1] + 1]
    expected = (1 - mass.cumsum())[:-1].sum() / 365.25
    found = quadrature(setting)
    rows = found[(found["measure"] == "poor_outcome") & (found["estimand"] == "restricted_mean")]
    assert (np.abs(rows["value"] - expected) < 12 * rows["std_error"]).all()
    assert (rows["std_error"] < 1e-3).all()
    assert value(found, Measure.POOR_OUTCOME, "hazard_ratio", 24) == 1
    np.testing.assert_array_equal(found.loc[found["estimand"] == "risk_difference", "value"], 0)


def test_flares_alone_follow_from_their_hazard_and_its_ratio() -> None:
    design = plain_design(["drug", "control"], 1.0, [100, 100, 100])
    model = turned(
        course={"death_rate": 0.0, "eskd_rate": 0.0, "flare_hr_severity": 1.0, "flare_hr_age_decade": 1.0},
        calendar={"visit_jitter_sd": 0.0},
        effect={"flare_hazard_ratio": 2.0},
    )
    days = comparisons_of(design, model).days
    rate = model.course.flare_rate / 100 / 365.25
    curves = [
        between_visits(-np.expm1(-ratio * rate * np.diff(days)), days[:-1] + 30, days[1:] - 30)[: days[-1] + 1]
        for ratio in (2.0, 1.0)
    ]
    at_risk = [1 - (curve.cumsum() - curve) for curve in curves]

    def score(ratio: float) -> float:
        share = ratio * at_risk[0] / (ratio * at_risk[0] + at_risk[1])
        return float(curves[0].sum() - (curves[0] + curves[1]) @ share)

    expected = {
        ("renal_flare", "cumulative_incidence"): curves[0].sum(),
        ("renal_flare", "reference_cumulative_incidence"): curves[1].sum(),
        ("flare_free_survival", "hazard_ratio"): brentq(score, 0.1, 10),
        ("flare_free_survival", "restricted_mean"): (1 - curves[0].cumsum())[:-1].sum() / 365.25,
    }
    assert expected["flare_free_survival", "hazard_ratio"] == pytest.approx(2, abs=0.05)
    found = quadrature(settled(design, model))
    for (measure, estimand), wanted in expected.items():
        cell = found[(found["measure"] == measure) & (found["estimand"] == estimand) & (found["population"] == "ATE")]
        assert abs(cell["value"].iloc[-1] - wanted) < 12 * cell["std_error"].iloc[-1]


def test_several_arms_are_each_compared_with_the_reference() -> None:
    design = plain_design(["high", "low", "control"], 0.5, [100, 90, 80], none=0.3)
    setting = settled(design, PLAIN)
    found = quadrature(setting)
    assert found["contrast"].unique().tolist() == ["high v control", "low v control"]
    assert largest_z(true_effects(setting, way="draw", patients=2**15, seed=5), found) < 12
    # The two arms have the same counts and the same indication, so the same constants.
    high, low = (found.loc[found["contrast"] == contrast, "value"] for contrast in found["contrast"].unique())
    np.testing.assert_allclose(high, low, atol=1e-12)


def test_a_single_arm_has_no_effects() -> None:
    setting = settled(plain_design(["only"], 0.5, [100, 90, 80], none=0.3), PLAIN)
    assert quadrature(setting).empty
    assert true_effects(setting, way="draw", patients=100).empty
    assert response_bias(quadrature(setting)).empty


# Bias


@pytest.fixture(scope="module")
def blocks(setting: Setting) -> list[Story]:
    tree = SeedTree(7).child("population")
    return [draw_block(setting, tree, block, 6 * BLOCK) for block in range(6)]


def crude_z(stories: Sequence[Story], bias: pd.DataFrame, design: Design, column: str) -> FloatArray:
    """Return, by measure and visit, how far observed crude differences lie from ``column``, in standard errors."""
    arm = np.concatenate([story.assigned.arm for story in stories])
    state = np.concatenate([story.course.state for story in stories])
    seen, found = state != -1, []
    for lowest, measure in ((COMPLETE, "complete_response"), (NO_RESPONSE + 1, "overall_response")):
        wanted = bias[(bias["measure"] == measure) & (bias["population"] == "ATE")][column].to_numpy()
        for visit in range(len(design.months)):
            cells = [state[seen[:, visit] & (arm == mine), visit] >= lowest for mine in (0, 1)]
            rates = [cell.mean() for cell in cells]
            error = np.sqrt(sum(rate * (1 - rate) / len(cell) for rate, cell in zip(rates, cells, strict=True)))
            found.append((rates[0] - rates[1] - wanted[visit]) / error)
    return np.asarray(found)


def test_confounding_biases_crude_differences_by_the_documented_amount(
    blocks: list[Story], carried: pd.DataFrame, design: Design
) -> None:
    bias = response_bias(carried)
    # Ten cells within 4 standard errors: a sound program fails for 1 seed in 1500.
    assert np.abs(crude_z(blocks, bias, design, "crude")).max() < 4
    assert crude_z(blocks, bias, design, "effect").max() < -4
    assert (bias.loc[bias["population"] == "ATE", "bias"] < -0.02).all()


def test_without_confounding_crude_differences_are_unbiased(design: Design) -> None:
    setting = settle(design, load_scenario("randomised"))
    bias = response_bias(true_effects(setting))
    tree = SeedTree(8).child("population")
    stories = [draw_block(setting, tree, block, 4 * BLOCK) for block in range(4)]
    # What is left is that the dead are not assessed.
    assert bias["bias"].abs().max() < 2e-3
    assert np.abs(crude_z(stories, bias, design, "effect")).max() < 4


def test_stories_in_memory_average_to_the_quadrature(
    blocks: list[Story], setting: Setting, carried: pd.DataFrame
) -> None:
    model, calibration, design = setting.model, setting.calibration, setting.design
    samples = (
        (
            potential_outcomes(
                story.assigned.baseline,
                story.noise,
                story.attendance.visit_day,
                story.attendance.death_day,
                calibration,
                model,
            ),
            arm_probabilities(story.assigned.logit, calibration.intercepts, design.tacrolimus),
        )
        for story in blocks
    )
    assert largest_z(average_effects(comparisons_of(design, model), samples), carried) < MOST


def test_calibration_and_quadrature_walk_the_same_points(design: Design) -> None:
    population = calibrated_population(design, PLAIN, power=8)
    setting = Setting(design, DEFAULT_SCENARIO, PLAIN, population.calibration)
    shares = integrate(setting, 8, [SEED]).everybody.responders[0, 0, 0, :, 0] / 2**8
    own = np.stack([(course.state == COMPLETE).mean(axis=0) for course in population.courses])
    np.testing.assert_array_equal(shares, own)


def test_replicates_are_averaged_like_one_population(tmp_path: Path, carried: pd.DataFrame) -> None:
    plan = ReplicatePlan("kim2025", 4, 70, ReplicateMode.POPULATION, blocks_per_part=1)
    write_population(plan, tmp_path / "replicates")
    averaged = cohort_effects(tmp_path / "replicates")
    assert largest_z(averaged, carried) < MOST
