"""Protects agreement with R on scores, weights and balance of lalonde and rotterdam (no R needed to run)."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analyses.kernels.logistic_batch import fit_logistic_batch
from analyses.propensity import PropensityFit, fit_propensity, weight_table
from analyses.propensity.weights import truncate_weights

FOLDER = Path(__file__).parent / "propensity"
NUMBERS = pd.read_csv(FOLDER / "numbers.csv", dtype={"term": "string"}, keep_default_na=False)
FORMULAS = {
    "lalonde": ("trained", "age + educ + race + married + nodegree + re74 + re75"),
    "rotterdam": ("hormone", "age + year + size + grade + nodes + er"),
}
ESTIMANDS = ["ATE", "ATT", "ATC", "ATO", "ATM", "ATEN"]


@pytest.fixture(scope="module", params=list(FORMULAS))
def case(request: pytest.FixtureRequest) -> tuple[str, pd.DataFrame, PropensityFit]:
    treated, formula = FORMULAS[request.param]
    data = pd.read_csv(FOLDER / "inputs" / f"{request.param}.csv", dtype={"size": "string"})
    return request.param, data, fit_propensity(data, formula, treatment_col="arm", treated=treated)


def reference(scenario: str, quantity: str) -> pd.Series:
    rows = NUMBERS[(NUMBERS["scenario"] == scenario) & (NUMBERS["quantity"] == quantity)]
    assert len(rows), f"no reference numbers for {scenario} {quantity}"
    return rows.set_index("term")["value"]


def assert_same(ours: object, theirs: object) -> None:
    np.testing.assert_allclose(np.asarray(ours, float), np.asarray(theirs, float), rtol=1e-8, atol=1e-10)


def test_the_committed_files_are_those_of_the_generating_run() -> None:
    manifest = pd.read_csv(FOLDER / "manifest.csv")
    sums = [hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() for name in manifest["file"]]
    assert sums == manifest["sha256"].tolist()


def test_model(case: tuple[str, pd.DataFrame, PropensityFit]) -> None:
    name, data, fit = case
    tidy = fit.tidy().frame
    assert_same(tidy["estimate"], reference(name, "coefficient"))
    assert_same(tidy["std_error"], reference(name, "std_error"))
    assert_same(fit.glance().frame["estimate"], reference(name, "log_likelihood"))
    score = pd.Series(fit.score, index=data["patient_id"])
    theirs = reference(name, "score")
    assert_same(score.loc[theirs.index], theirs)


def test_a_batch_of_one_is_the_same_fit(case: tuple[str, pd.DataFrame, PropensityFit]) -> None:
    name, data, fit = case
    batch = fit_logistic_batch(fit._design, fit.treated.astype(float), np.ones((1, len(data))))
    assert_same(batch.coefficients[0], reference(name, "coefficient"))


@pytest.mark.parametrize("estimand", ESTIMANDS)
def test_weights(case: tuple[str, pd.DataFrame, PropensityFit], estimand: str) -> None:
    name, data, fit = case
    weights = pd.Series(fit.weights(estimand), index=data["patient_id"])
    theirs = reference(name, f"weight_{estimand}")
    assert_same(weights.loc[theirs.index], theirs)
    table = weight_table(fit, fit.weights(estimand)).frame
    sizes = table.loc[table["statistic"] == "effective_sample_size", "estimate"]
    assert_same(sizes, reference(name, f"ess_{estimand}"))


def test_stabilised_and_truncated_weights(case: tuple[str, pd.DataFrame, PropensityFit]) -> None:
    name, data, fit = case
    theirs = reference(name, "weight_stabilised")
    assert_same(pd.Series(fit.weights(stabilized=True), index=data["patient_id"]).loc[theirs.index], theirs)
    bounds = truncate_weights(fit.weights(), fit.treated, 0.01).bounds
    assert_same(np.ravel(bounds), reference(name, "truncation_bound"))


@pytest.mark.parametrize("estimand", ["ATE", "ATT", "ATC"])
@pytest.mark.parametrize("suffix", ["unadjusted", "adjusted"])
def test_standardised_differences(case: tuple[str, pd.DataFrame, PropensityFit], estimand: str, suffix: str) -> None:
    name, _, fit = case
    theirs = reference(name, f"smd_{suffix}_{estimand}")
    ours = fit.balance(estimand=estimand).frame
    ours = ours[ours["statistic"] == f"smd_{suffix}"].set_index("term")["estimate"]
    assert_same(ours.loc[theirs.index], theirs)


@pytest.mark.parametrize("measure", ["variance_ratio", "ks"])
@pytest.mark.parametrize("suffix", ["unadjusted", "adjusted"])
def test_other_measures(case: tuple[str, pd.DataFrame, PropensityFit], measure: str, suffix: str) -> None:
    name, _, fit = case
    theirs = reference(name, f"{measure}_{suffix}")
    ours = fit.balance(measures=[measure]).frame
    ours = ours[ours["statistic"] == f"{measure}_{suffix}"].set_index("term")["estimate"]
    assert_same(ours.loc[theirs.index], theirs)
