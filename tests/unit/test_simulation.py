"""Protects the simulation study: methods give what the public estimators give, failures are rows, words fit numbers."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from analyses.comparison import augmented_rates, matched_rates, weighted_rates
from analyses.figures.simulation import plot_performance
from analyses.longitudinal import marginal_response
from analyses.propensity import fit_propensity
from analyses.response import compare_rates
from analyses.simulation import METHODS, Setting, SimulationPlan, run_simulation, simulation_performance
from analyses.simulation.conclusions import conclusions, monte_carlo_band
from analyses.simulation.methods import Estimate, Method, Target, apply_method
from analyses.simulation.page import SimulationFacts, simulation_page
from analyses.simulation.performance import setting_columns
from analyses.simulation.sample import COVARIATES, Adjustment, Sample, World
from analyses.survival import fit_cox, restricted_mean
from cohort.errors import AnalysisError, CalibrationError, ScenarioError, UsageError
from cohort.results import ResultTable, result_table
from synthetic.sampler import ConfoundingSampler, confounding_sampler


@pytest.fixture(scope="module")
def sampler() -> ConfoundingSampler:
    return confounding_sampler("kim2025", strengths=(0.0, 1.0), seed=5)


@pytest.fixture(scope="module")
def patients(sampler: ConfoundingSampler) -> pd.DataFrame:
    return sampler.draw(1.0, 300, 0).iloc[:300].reset_index(drop=True)


def method_of(target: str, name: str) -> Method:
    return next(method for method in METHODS if method.target == target and method.name == name)


def estimated(target: str, name: str, patients: pd.DataFrame, world: World = World.EFFECT) -> Estimate:
    return apply_method(method_of(target, name), Sample.of(patients, 5.0), world)


# Methods against the public estimators


def assert_same(found: Estimate, table: ResultTable, statistic: str, contrast: str | None = None) -> None:
    frame = table.frame
    rows = frame[(frame["statistic"] == statistic) & (True if contrast is None else frame["contrast"] == contrast)]
    assert len(rows) == 1
    for name in ("estimate", "std_error", "conf_low", "conf_high", "p_value"):
        assert getattr(found, name) == pytest.approx(float(rows[name].iloc[0]), rel=1e-9, abs=1e-12), name


@pytest.fixture(scope="module")
def assessed(patients: pd.DataFrame) -> pd.DataFrame:
    rows = patients[patients["assessed"]]
    return rows.assign(response=np.where(rows["responded"], "CR", "NR"), visit_month=12, arm=rows["treated"].map(str))


def test_the_crude_difference_is_that_of_compare_rates(patients: pd.DataFrame, assessed: pd.DataFrame) -> None:
    found = estimated("risk_difference", "crude", patients)
    table = compare_rates(assessed, group_col="arm", reference="False", outcome="CR")
    public = table.frame.set_index("statistic")
    for name in ("estimate", "conf_low", "conf_high"):
        assert getattr(found, name) == pytest.approx(public.loc["risk_difference", name], rel=1e-12)
    assert found.p_value == pytest.approx(public.loc["chi_square", "p_value"], rel=1e-12)
    risk = assessed.groupby("arm")["responded"].agg(["mean", "size"])
    assert found.std_error == pytest.approx(math.sqrt((risk["mean"] * (1 - risk["mean"]) / risk["size"]).sum()))


@pytest.mark.parametrize("own", [Adjustment.MEASURED, Adjustment.ORACLE])
def test_g_computation_is_that_of_marginal_response(
    own: Adjustment, patients: pd.DataFrame, assessed: pd.DataFrame
) -> None:
    table = marginal_response(assessed, reference="False", outcome="CR", adjust=" + ".join(COVARIATES[own]))
    found = estimated("risk_difference", f"g-computation, {own}", patients)
    assert_same(found, table, "standardised_risk_difference")


@pytest.mark.parametrize("own", [Adjustment.MEASURED, Adjustment.ORACLE])
@pytest.mark.parametrize(
    ("name", "population", "known"),
    [("IPW", "ATE", False), ("IPW known weights", "ATE", True), ("overlap weights", "ATO", False)],
)
def test_weighted_differences_are_those_of_weighted_rates(
    own: Adjustment, name: str, population: str, known: bool, patients: pd.DataFrame, assessed: pd.DataFrame
) -> None:
    fit = fit_propensity(patients, " + ".join(COVARIATES[own]), treatment_col="treated", treated=True)
    weights = fit.estimated_weights(population).for_rows(assessed.index)  # type: ignore[arg-type]
    table = weighted_rates(
        assessed,
        outcome_col="responded",
        treatment_col="treated",
        treated=True,
        weights=weights.values if known else weights,
    )
    assert_same(estimated("risk_difference", f"{name}, {own}", patients), table, "risk_difference")


@pytest.mark.parametrize("own", [Adjustment.MEASURED, Adjustment.ORACLE])
def test_the_augmented_difference_is_that_of_augmented_rates(
    own: Adjustment, patients: pd.DataFrame, assessed: pd.DataFrame
) -> None:
    terms = " + ".join(COVARIATES[own])
    table = augmented_rates(
        assessed,
        score=terms,
        adjust=terms,
        outcome_col="responded",
        treatment_col="treated",
        treated=True,
        separate_arms=False,
    )
    assert_same(estimated("risk_difference", f"AIPW, {own}", patients), table, "risk_difference")


@pytest.mark.parametrize("own", [Adjustment.MEASURED, Adjustment.ORACLE])
def test_the_matched_difference_is_that_of_matched_rates(
    own: Adjustment, patients: pd.DataFrame, assessed: pd.DataFrame
) -> None:
    fit = fit_propensity(patients, " + ".join(COVARIATES[own]), treatment_col="treated", treated=True)
    table = matched_rates(assessed, matching=fit.match(caliper=0.2), outcome_col="responded")
    assert_same(estimated("risk_difference", f"matching, {own}", patients), table, "risk_difference")


@pytest.mark.parametrize("world", list(World))
@pytest.mark.parametrize(
    ("name", "population"), [("crude", None), ("IPW, oracle", "ATE"), ("overlap weights, measured", "ATO")]
)
def test_survival_methods_are_the_public_ones(
    name: str, population: str | None, world: World, patients: pd.DataFrame
) -> None:
    prefix = "" if world is World.EFFECT else "null_"
    frame = pd.DataFrame(
        {
            "treated": patients["treated"].astype(float),
            "years": patients[f"{prefix}years"],
            "event": patients[f"{prefix}event"],
        }
    )
    weighted: dict[str, str] = {}
    if population is not None:
        covariates = COVARIATES[Adjustment.ORACLE if "oracle" in name else Adjustment.MEASURED]
        fit = fit_propensity(patients, " + ".join(covariates), treatment_col="treated", treated=True)
        frame = frame.assign(weight=fit.weights(population))  # type: ignore[arg-type]
        weighted = {"weights_col": "weight"}
    area = restricted_mean(frame, duration_col="years", event_col="event", by="treated", tau=5.0, **weighted)
    assert_same(estimated("restricted_mean_difference", name, patients, world), area, "restricted_mean_difference")
    fit_ = fit_cox(frame, "treated", duration_col="years", event_col="event", robust=bool(weighted), **weighted)
    assert_same(estimated("log_hazard_ratio", name, patients, world), fit_.tidy(), "log_hazard_ratio")


def test_names_are_unique_and_every_target_has_a_crude_and_an_oracle_method() -> None:
    named = [(method.target, method.name) for method in METHODS]
    assert len(set(named)) == len(named)
    for target in Target:
        own = {method.adjustment for method in METHODS if method.target is target}
        assert own == set(Adjustment)


# Failures are estimates with a note


@pytest.mark.parametrize(
    ("target", "name", "change", "message"),
    [
        ("log_hazard_ratio", "IPW, measured", {"treated": True}, "propensity score: a single arm"),
        ("risk_difference", "IPW, measured", {"age_years": 40.0}, "combination of the other terms; got age_years"),
        ("log_hazard_ratio", "IPW, measured", {"log_upcr": "treated"}, "the covariates separate the arms"),
        ("risk_difference", "crude", {"assessed": False}, "the treated arm: nobody is assessed"),
        ("risk_difference", "IPW, oracle", {"responded": True}, "no patient, or every patient, of an arm responds"),
        ("risk_difference", "matching, oracle", {"responded": True}, "only events in True"),
        ("risk_difference", "AIPW, oracle", {"responded": True}, "only events in treated"),
        ("risk_difference", "AIPW, measured", {"log_upcr": "responded"}, "AIPW: outcome model: separation"),
        ("risk_difference", "g-computation, oracle", {"responded": False}, "no patient, or every patient"),
        ("risk_difference", "g-computation, measured", {"age_years": 40.0}, "outcome model has no finite estimate"),
        ("risk_difference", "g-computation, measured", {"log_upcr": "responded"}, "outcome model has no finite"),
        ("restricted_mean_difference", "crude", {"years": 4.0, "event": 0}, "followed to the horizon"),
        ("log_hazard_ratio", "crude", {"event": 0}, "no events"),
    ],
)
def test_a_method_that_cannot_estimate_says_why(
    target: str, name: str, change: dict[str, object], message: str, patients: pd.DataFrame
) -> None:
    changed = patients.assign(
        **{key: patients[value].astype(float) if isinstance(value, str) else value for key, value in change.items()}
    )
    found = estimated(target, name, changed)
    assert math.isnan(found.estimate)
    assert found.note is not None
    assert message in found.note


def test_a_contrast_without_spread_has_no_error(patients: pd.DataFrame) -> None:
    found = estimated("restricted_mean_difference", "crude", patients.assign(event=0, years=5.0))
    assert (found.estimate, found.note) == (0.0, "no spread to estimate a variance from")
    assert math.isnan(found.std_error)
    crude = estimated("risk_difference", "crude", patients.assign(responded=False))
    assert crude.note == "every patient has the same outcome"


# Runner


@dataclass(frozen=True)
class Known:
    """A sampler of given rows and truths."""

    rows: pd.DataFrame
    truth: pd.DataFrame
    horizon_years: float = 5.0

    def per_block(self, patients: int) -> int:
        return len(self.rows) // patients

    def draw(self, strength: float, patients: int, block: int) -> pd.DataFrame:
        assert strength == 1.0
        number = block * self.per_block(patients) + np.repeat(np.arange(self.per_block(patients)), patients) + 1
        return self.rows.assign(replicate=number)

    def truths(self, strength: float) -> pd.DataFrame:
        assert strength == 1.0
        return self.truth


@pytest.fixture(scope="module")
def known(sampler: ConfoundingSampler) -> Known:
    return Known(sampler.draw(1.0, 100, 0).iloc[:300], sampler.truths(1.0))


CRUDE = tuple(method for method in METHODS if method.name == "crude")


def test_estimates_stand_beside_their_truth_and_the_input_is_untouched(known: Known) -> None:
    before = known.rows.copy(deep=True)
    found = run_simulation(known, SimulationPlan((Setting(1.0, 100),), 2, CRUDE))
    pd.testing.assert_frame_equal(known.rows, before)
    assert len(found) == 2 * 2 * 3
    assert found["replicate"].unique().tolist() == [1, 2]
    truth = found.drop_duplicates(["world", "target"]).set_index(["world", "target"])["truth"]
    assert (truth["null"] == 0).all()
    table = known.truth.set_index(["estimand", "population"])["truth"]
    assert truth["effect", "risk_difference"] == table["risk_difference", "ATE"]


def test_a_method_that_fails_is_counted(known: Known) -> None:
    spoilt = dataclasses.replace(known, rows=known.rows.assign(event=0))
    found = run_simulation(spoilt, SimulationPlan((Setting(1.0, 100),), 3, (method_of("log_hazard_ratio", "crude"),)))
    effect = found[found["world"] == "effect"]
    assert effect["estimate"].isna().all()
    assert effect["note"].str.contains("no events").all()
    table = setting_columns(simulation_performance(found))
    failed = table[(table["statistic"] == "failure") & (table["world"] == "effect")]
    assert failed["estimate"].tolist() == [1.0]


def test_a_sampler_that_lacks_a_column_or_a_truth_is_refused(known: Known) -> None:
    plan = SimulationPlan((Setting(1.0, 100),), 2, CRUDE)
    with pytest.raises(AnalysisError, match="leaves out columns; got assessed"):
        run_simulation(dataclasses.replace(known, rows=known.rows.drop(columns="assessed")), plan)
    without = known.truth[known.truth["estimand"] != "log_hazard_ratio"]
    with pytest.raises(AnalysisError, match=r"does not know the truth.*log_hazard_ratio \(ATE\)"):
        run_simulation(dataclasses.replace(known, truth=without), plan)


@pytest.mark.parametrize(
    ("settings", "replicates", "message"),
    [
        ((Setting(1.0, 100),), 1, "--replicates: performance needs at least two replicates; got 1"),
        ((), 5, "there is at least one; got none"),
        ((Setting(1.0, 100), Setting(1.0, 100)), 5, "each setting is named once.*strength 1 with 100 patients"),
        ((Setting(1.0, 19),), 5, "--patients: a cohort has at least 20 patients; got 19"),
    ],
)
def test_impossible_plans_are_refused(settings: tuple[Setting, ...], replicates: int, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        SimulationPlan(settings, replicates)


def test_no_process_is_refused(known: Known) -> None:
    with pytest.raises(UsageError, match="at least one process is needed; got 0"):
        run_simulation(known, SimulationPlan((Setting(1.0, 100),), 2, CRUDE), jobs=0)


# Sampler


def test_strengths_out_of_range_are_refused() -> None:
    for strength in (-1.0, 9.0, math.nan):
        with pytest.raises(ScenarioError, match=r"dial assignment\.strength: expected a number"):
            confounding_sampler("kim2025", strengths=(strength,), seed=1)


@pytest.mark.parametrize("name", ["li2012", "mok2013"])
def test_studies_without_the_visits_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match=f"study {name}: the study of confounding needs two arms, a visit at month 12"):
        confounding_sampler(name, strengths=(0.0,), seed=1)


def test_a_randomised_study_is_not_confounded() -> None:
    with pytest.raises(CalibrationError, match="arms of a randomised study are not confounded"):
        confounding_sampler("aurora1", strengths=(2.0,), seed=1)


def test_truths_are_those_carried(sampler: ConfoundingSampler) -> None:
    truths = sampler.truths(1.0).set_index(["estimand", "population"])["truth"]
    assert truths["risk_difference", "ATE"] == pytest.approx(-0.124, abs=0.001)
    assert truths["risk_difference", "assessed"] == pytest.approx(-0.208, abs=0.001)
    assert truths["log_hazard_ratio", "ATE"] == pytest.approx(math.log(0.999), abs=0.0006)
    assert set(truths.index.get_level_values(1)) == {"ATE", "ATT", "ATO", "assessed"}


# Words, figure and page


def performance_of(
    shares: dict[tuple[float, str], float], rejections: dict[str, float], n: float = 1000
) -> ResultTable:
    rows: list[dict[str, object]] = []
    for (strength, name), share in shares.items():
        for world in ("effect", "null"):
            common = {"group": name, "n": n, "population": f"strength={strength:g}; patients=179; world={world}"}
            values = {
                "coverage": share,
                "rejection": rejections[name] if world == "null" else 0.5,
                "bias": 0.95 - share,
            }
            values |= dict.fromkeys(("empirical_std_error", "model_std_error"), 0.1) | {"failure": 0.0}
            rows += [common | {"statistic": key, "estimate": value, "std_error": 0.01} for key, value in values.items()]
    return result_table(rows, term="risk_difference", analysis="simulation")


SHARES = {
    (0.0, "crude"): 0.95, (1.0, "crude"): 0.60,
    (0.0, "IPW, measured"): 0.90, (1.0, "IPW, measured"): 0.70,
    (0.0, "IPW, oracle"): 0.94, (1.0, "IPW, oracle"): 0.99,
}  # fmt: skip
REJECTIONS = {"crude": 0.30, "IPW, measured": 0.06, "IPW, oracle": 0.04}


def test_conclusions_follow_from_the_numbers() -> None:
    # 99 % of a right method's coverages in 1,000 replicates lie within 1.78 points of 95 %.
    said = conclusions(performance_of(SHARES, REJECTIONS))
    assert [(one.term, one.patients) for one in said] == [("risk_difference", 179)]
    assert said[0].sentences == (
        "Coverage within Monte Carlo error of 95 %, or above, at every strength looked at: IPW, oracle.",
        "Coverage kept at some strengths only: crude (below at strength 1; lowest 60.0 %).",
        "Coverage below 95 % at every strength looked at: IPW, measured (70.0 to 90.0 %).",
        "Tests that reject a true null too often: crude (30.0 % at strength 0, 1).",
    )


def test_conclusions_on_one_strength_name_it() -> None:
    one = {key: share for key, share in SHARES.items() if key[0] == 0.0}
    said = conclusions(performance_of(one, dict.fromkeys(REJECTIONS, 0.05)))[0].sentences
    assert said[0].startswith("Coverage within Monte Carlo error of 95 %, or above, at strength 0: IPW, oracle; crude")
    assert said[1] == "Coverage below 95 % at strength 0: IPW, measured (90.0 %)."
    assert said[2] == "No test rejects a true null more often than 5 % within Monte Carlo error."
    assert said[3] == "No bias beyond Monte Carlo error at any strength: IPW, oracle; crude."


def test_the_figure_has_a_panel_per_measure_and_size_and_a_line_per_method() -> None:
    table = performance_of(SHARES, REJECTIONS)
    first = plot_performance(table, term="risk_difference", scale=100, unit="points")
    figure = first.get_figure(root=True)
    assert figure is not None
    assert len(figure.axes) == 4
    assert first.get_title() == "n = 179"
    assert first.get_ylabel() == "Bias, points"
    labels = first.get_legend_handles_labels()[1]
    assert labels == ["crude", "IPW, measured", "IPW, oracle"]
    line = first.get_legend_handles_labels()[0][0].lines[0]  # type: ignore[attr-defined]
    np.testing.assert_allclose(line.get_ydata(), [0.0, 35.0], atol=1e-9)


def test_the_figure_refuses_what_it_cannot_show() -> None:
    with pytest.raises(AnalysisError, match="no rows of this estimand; got risk_difference"):
        plot_performance(performance_of(SHARES, REJECTIONS), term="hazard")
    many = {(0.0, f"method {place}"): 0.95 for place in range(8)}
    with pytest.raises(AnalysisError, match="a figure tells 7 methods apart"):
        plot_performance(performance_of(many, {name: 0.05 for _, name in many}), term="risk_difference")


def test_the_page_is_whole_and_the_same_every_time() -> None:
    truths = pd.DataFrame(
        {
            "strength": [0.0, 1.0] * 2,
            "estimand": "risk_difference",
            "population": ["ATE", "ATE", "assessed", "assessed"],
            "truth": [-0.2, -0.1, -0.2, -0.2],
            "std_error": 0.0002,
        }
    )
    facts = SimulationFacts("kim2025", 7, 1000, "lncohort simulate kim2025 --seed 7 --out DIR")
    table = performance_of(SHARES, REJECTIONS)
    page = simulation_page(table, truths, facts)
    assert page == simulation_page(table, truths, facts)
    for heading in ("Aims", "Data-generating mechanisms", "Estimands", "Methods", "Performance measures"):
        assert f"<h2>{heading}</h2>" in page
    assert "what a crude comparison tends to" in page
    assert "<td>-10.00</td>" in page
    assert "<td>60.0 (1.0)</td>" in page
    assert "IPW, measured (70.0 to 90.0 %)" in page
    assert facts.command in page
    assert "http" not in page.replace("http://www.w3.org", "")


def test_a_method_without_any_estimate_is_said_to_have_none() -> None:
    lacking = dict.fromkeys(("estimate", "std_error", "conf_low", "conf_high", "p_value"), np.nan)
    known = {"estimate": 0.1, "std_error": 0.2, "conf_low": -0.3, "conf_high": 0.5, "p_value": 0.6}
    rows = [
        {"strength": 1.0, "patients": 60, "world": world, "target": "risk_difference", "estimator": name, "truth": 0.0}
        | numbers
        for world in ("effect", "null")
        for name, numbers in (("silent", lacking), ("crude", known))
        for _ in range(2)
    ]
    (said,) = conclusions(simulation_performance(pd.DataFrame(rows)))
    assert said.sentences[0] == "No estimate in any cohort at strength 1: silent."
    assert all("silent" not in sentence for sentence in said.sentences[1:])
    assert monte_carlo_band(0) == np.inf
