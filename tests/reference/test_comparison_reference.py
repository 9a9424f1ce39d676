"""Protects agreement of weighted, standardised and augmented contrasts with R's survey and survival packages."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analyses.comparison import (
    augmented_rates,
    standardised_rates,
    weighted_hazard_ratio,
    weighted_logrank,
    weighted_rates,
    weighted_restricted_mean,
    weighted_survival,
)
from analyses.propensity import fit_propensity
from analyses.survival import kaplan_meier

FOLDER = Path(__file__).parent / "comparison"
RELATIVE, ABSOLUTE = 1e-8, 1e-10
NUMBERS = pd.read_csv(FOLDER / "numbers.csv", dtype={"group": "string"}).fillna({"group": ""})
SCORES = {
    "lalonde": "age + educ + black + married + nodegree + re74",
    "rotterdam": "age + nodes + grade",
    "lung": "age + ecog",
}
ARMS = {"lalonde": "treat", "rotterdam": "hormon", "lung": "arm"}
EVENTS = {
    "rotterdam": ({"duration_col": "years", "event_col": "event"}, 6.0, (2.0, 5.0)),
    "lung": ({"duration_col": "time", "event_col": "status"}, 400.0, (200.0, 500.0)),
}


def read_input(name: str) -> pd.DataFrame:
    return pd.read_csv(FOLDER / "inputs" / f"{name}.csv")


def reference(scenario: str, quantity: str) -> pd.DataFrame:
    rows = NUMBERS[(NUMBERS["scenario"] == scenario) & (NUMBERS["quantity"] == quantity)]
    assert len(rows), f"no reference numbers for {scenario} {quantity}"
    return rows


def number(scenario: str, quantity: str) -> float:
    return float(reference(scenario, quantity)["value"].item())


def assert_same(ours: object, theirs: object) -> None:
    np.testing.assert_allclose(
        np.asarray(ours, dtype=float), np.asarray(theirs, dtype=float), rtol=RELATIVE, atol=ABSOLUTE
    )


def row(frame: pd.DataFrame, statistic: str) -> pd.Series:
    return frame[frame["statistic"] == statistic].iloc[0]


def test_the_committed_files_are_those_of_the_generating_run() -> None:
    manifest = pd.read_csv(FOLDER / "manifest.csv")
    sums = [hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() for name in manifest["file"]]
    assert sums == manifest["sha256"].tolist()


@pytest.mark.parametrize("name", sorted(SCORES))
def test_scores_and_weights(name: str) -> None:
    data = read_input(name)
    fit = fit_propensity(data, SCORES[name], treatment_col=ARMS[name], treated=1)
    assert_same(fit.score, data["score"])
    assert_same(fit.weights("ATE"), data["w_ate"])
    assert_same(fit.weights("ATO"), data["w_ato"])


@pytest.mark.parametrize("weight", ["w_ate", "w_ato"])
def test_weighted_contrasts_of_a_binary_outcome_are_those_of_svyglm(weight: str) -> None:
    data = read_input("lalonde")
    frame = weighted_rates(
        data, outcome_col="success", treatment_col="treat", treated=1, weights=data[weight].to_numpy()
    ).frame
    for scale, statistic in (("difference", "risk_difference"), ("ratio", "risk_ratio"), ("odds", "odds_ratio")):
        found = row(frame, statistic)
        estimate = found["estimate"] if scale == "difference" else np.log(found["estimate"])
        assert_same(estimate, number(f"rates_{weight}", scale))
        assert_same(found["std_error"], number(f"rates_{weight}", f"{scale}.se"))


@pytest.mark.parametrize("estimand", ["ATE", "ATT", "ATC"])
def test_g_computation_is_the_average_prediction(estimand: str) -> None:
    frame = standardised_rates(
        read_input("lalonde"),
        adjust=SCORES["lalonde"],
        outcome_col="success",
        treatment_col="treat",
        treated=1,
        estimand=estimand,
    ).frame
    scenario = f"gcomp_{estimand}"
    assert_same(frame["estimate"].iloc[:2], reference(scenario, "risk")["value"])
    assert_same(frame["std_error"].iloc[:2], reference(scenario, "risk.se")["value"])
    assert_same(row(frame, "risk_difference")["std_error"], number(scenario, "difference.se"))
    assert_same(row(frame, "risk_ratio")["std_error"], number(scenario, "ratio.se"))


@pytest.mark.parametrize("estimand", ["ATE", "ATT", "ATC"])
def test_aipw_with_both_variances(estimand: str) -> None:
    scenario = f"aipw_{estimand}"
    options = {"score": SCORES["lalonde"], "adjust": SCORES["lalonde"], "outcome_col": "success", "estimand": estimand}
    options |= {"treatment_col": "treat", "treated": 1}
    frame = augmented_rates(read_input("lalonde"), **options).frame
    assert_same(frame["estimate"].iloc[:2], reference(scenario, "risk")["value"])
    assert_same(frame["std_error"].iloc[:2], reference(scenario, "risk.se")["value"])
    assert_same(row(frame, "risk_difference")["std_error"], number(scenario, "difference.se"))
    plain = augmented_rates(read_input("lalonde"), **options, variance="influence").frame
    assert_same(row(plain, "risk_difference")["std_error"], number(scenario, "difference.influence"))


@pytest.mark.parametrize("weight", ["w_ate", "w_ato"])
@pytest.mark.parametrize("name", sorted(EVENTS))
class TestFixedWeights:
    def test_cox_with_robust_errors(self, name: str, weight: str) -> None:
        columns, _, _ = EVENTS[name]
        data = read_input(name)
        options = {**columns, "treatment_col": ARMS[name], "treated": 1, "weights": data[weight].to_numpy()}
        for ties in ("efron", "breslow"):
            found = row(weighted_hazard_ratio(data, **options, ties=ties).frame, "log_hazard_ratio")
            assert_same(found["estimate"], number(f"{name}_{weight}", f"cox.{ties}"))
            assert_same(found["std_error"], number(f"{name}_{weight}", f"cox.{ties}.se"))
        efron = row(weighted_hazard_ratio(data, **options).frame, "log_hazard_ratio")
        assert_same(efron["estimate"], number(f"{name}_{weight}", "svycox"))
        assert_same(efron["std_error"], number(f"{name}_{weight}", "svycox.se"))

    def test_logrank_is_the_robust_score_test(self, name: str, weight: str) -> None:
        columns, _, _ = EVENTS[name]
        data = read_input(name)
        table = weighted_logrank(data, **columns, treatment_col=ARMS[name], treated=1, weights=data[weight].to_numpy())
        assert_same(table.frame["estimate"].item(), number(f"{name}_{weight}", "logrank"))

    def test_survival_and_restricted_means(self, name: str, weight: str) -> None:
        columns, tau, times = EVENTS[name]
        data = read_input(name)
        options = {**columns, "treatment_col": ARMS[name], "treated": 1, "weights": data[weight].to_numpy()}
        curves = weighted_survival(data, **options, times=times).frame
        areas = weighted_restricted_mean(data, **options, tau=tau).frame
        for frame, quantity in ((curves, "surv"), (areas, "area")):
            theirs = reference(f"{name}_{weight}", quantity).set_index(["group", "time"])["value"]
            errors = reference(f"{name}_{weight}", f"{quantity}.se").set_index(["group", "time"])["value"]
            ours = frame[frame["group"].notna()].set_index(["group", "time"])
            assert_same(ours["estimate"].reindex(theirs.index), theirs)
            assert_same(ours["std_error"].reindex(errors.index), errors)

    def test_numbers_at_risk_are_weighted(self, name: str, weight: str) -> None:
        columns, _, _ = EVENTS[name]
        table = kaplan_meier(read_input(name), **columns, by=ARMS[name], weights_col=weight).frame
        theirs = reference(f"{name}_{weight}", "n.risk").set_index(["group", "time"])["value"]
        assert_same(table.set_index(["group", "time"])["n"].reindex(theirs.index), theirs)


def test_the_estimated_score_is_accounted_for_as_by_differentiating_the_whole_chain() -> None:
    """R's own chain (glm, coxph, survfit) differentiated by the case weight of each patient: five-point differences."""
    data = read_input("lung")
    fit = fit_propensity(data, SCORES["lung"], treatment_col="arm", treated=1)
    columns, _, _ = EVENTS["lung"]
    options = {**columns, "treatment_col": "arm", "treated": 1, "weights": fit.estimated_weights()}
    found = {
        "cox": row(weighted_hazard_ratio(data, **options).frame, "log_hazard_ratio"),
        "area.difference": row(weighted_restricted_mean(data, **options, tau=400).frame, "restricted_mean_difference"),
        "surv.difference": row(weighted_survival(data, **options, times=[200]).frame, "survival_difference"),
    }
    for quantity, ours in found.items():
        assert_same(ours["estimate"], number("stacked_lung", quantity))
        assert_same(ours["std_error"], number("stacked_lung", f"{quantity}.se"))
