"""Protects agreement of parametric survival models with R's survreg, and of the spline with what it contains."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analyses.survival import ParametricFit, fit_parametric

FOLDER = Path(__file__).parent / "curves"
NUMBERS = pd.read_csv(FOLDER / "numbers.csv", dtype={"group": "string", "term": "string"})
RELATIVE, ABSOLUTE = 1e-8, 1e-10
FORMULAS = {"lung": "age + group", "veteran": "age + karno", "ovarian": "age", "pbc": "age + log(bili)"}
COLUMNS = {"duration_col": "time", "event_col": "status"}


def read_input(name: str) -> pd.DataFrame:
    return pd.read_csv(FOLDER / "inputs" / f"{name}.csv")


def reference(scenario: str, quantity: str) -> np.ndarray:
    rows = NUMBERS[(NUMBERS["scenario"] == scenario) & (NUMBERS["quantity"] == quantity)]
    assert len(rows), f"no reference numbers for {scenario} {quantity}"
    return rows["value"].to_numpy()


def assert_same(ours: object, theirs: object) -> None:
    np.testing.assert_allclose(np.asarray(ours, dtype=float), theirs, rtol=RELATIVE, atol=ABSOLUTE)


@pytest.mark.parametrize("noise", ["weibull", "lognormal", "loglogistic"])
@pytest.mark.parametrize("name", FORMULAS)
def test_accelerated_failure(name: str, noise: str) -> None:
    fit = fit_parametric(read_input(name), FORMULAS[name], **COLUMNS, model=f"{noise}_aft")
    scenario = f"aft_{name}_{noise}"
    assert fit.converged
    assert_same(fit.tidy().frame["estimate"], reference(scenario, "coef"))
    assert_same(fit.variance.ravel(order="F"), reference(scenario, "variance"))
    assert_same(fit.glance().frame["estimate"][0], reference(scenario, "loglik"))
    without = fit_parametric(read_input(name), "1", **COLUMNS, model=f"{noise}_aft")
    assert_same(without.log_likelihood, reference(scenario, "loglik_null"))


@pytest.mark.parametrize("noise", ["weibull", "lognormal", "loglogistic"])
@pytest.mark.parametrize("name", FORMULAS)
def test_weighted_accelerated_failure_with_its_sandwich(name: str, noise: str) -> None:
    data, scenario = read_input(name), f"aft_{name}_{noise}_weighted"
    arguments = {**COLUMNS, "weights_col": "w", "model": f"{noise}_aft"}
    counted = fit_parametric(data, FORMULAS[name], **arguments)
    robust = fit_parametric(data, FORMULAS[name], **arguments, robust=True)
    clustered = fit_parametric(data, FORMULAS[name], **arguments, cluster_col="centre")
    assert_same(robust.tidy().frame["estimate"], reference(scenario, "coef"))
    assert_same(counted.variance.ravel(order="F"), reference(scenario, "variance"))
    assert_same(robust.variance.ravel(order="F"), reference(scenario, "robust"))
    assert_same(clustered.variance.ravel(order="F"), reference(scenario, "clustered"))
    assert_same(robust.log_likelihood, reference(scenario, "loglik"))


@pytest.mark.parametrize("noise", ["weibull", "lognormal", "loglogistic"])
@pytest.mark.parametrize("name", FORMULAS)
def test_predicted_survival_at_the_predicted_quantiles(name: str, noise: str) -> None:
    """R's quantile of probability p is where a predicted curve is at 1 - p."""
    data = read_input(name)
    fit = fit_parametric(data, FORMULAS[name], **COLUMNS, model=f"{noise}_aft")
    rows = NUMBERS[(NUMBERS["scenario"] == f"aft_{name}_{noise}") & (NUMBERS["quantity"] == "quantile")]
    for patient, p, quantile in zip(rows["group"], rows["term"].astype(float), rows["value"], strict=True):
        row = fit.predict(data.iloc[[int(patient) - 1]], times=[quantile]).frame.iloc[0]
        assert row["estimate"] == pytest.approx(1 - p, rel=1e-8)


@pytest.mark.parametrize("name", FORMULAS)
def test_a_spline_without_interior_knots_is_the_weibull_model(name: str) -> None:
    """Log hazard ratio = - log time ratio / scale, and the slope of the log cumulative hazard is 1 / scale."""
    data = read_input(name)
    spline = fit_parametric(data, FORMULAS[name], **COLUMNS, model="spline", interior_knots=0)
    weibull = fit_parametric(data, FORMULAS[name], **COLUMNS)
    scale = np.exp(weibull.estimates[-1])
    assert spline.log_likelihood == pytest.approx(weibull.log_likelihood, rel=1e-12)
    assert_same(spline.estimates[:-2], -weibull.estimates[1:-1] / scale)
    assert_same(spline.estimates[-1], 1 / scale)
    times = [30.0, 200.0, 900.0]
    for column in ("estimate", "std_error", "conf_low", "conf_high"):
        assert_same(
            spline.predict(data.iloc[:3], times=times).frame[column],
            weibull.predict(data.iloc[:3], times=times).frame[column],
        )


def likelihood_by_hand(fit: ParametricFit, data: pd.DataFrame, parameters: np.ndarray) -> float:
    """Write the log-likelihood of the spline with three knots out from its definition, by numerical slopes."""
    first, middle, last = np.log(fit.knots)
    share = (last - middle) / (last - first)

    def log_hazard(x: np.ndarray) -> np.ndarray:
        def cubed(knot: float) -> np.ndarray:
            return np.clip(x - knot, 0, None) ** 3

        bend = cubed(middle) - share * cubed(first) - (1 - share) * cubed(last)
        covariates = parameters[0] * data["age"] + parameters[1] * data["group"]
        return np.asarray(parameters[2] + parameters[3] * x + parameters[4] * bend + covariates)

    x, d = np.log(data["time"].to_numpy(dtype=float)), data["status"].to_numpy()
    slope = (log_hazard(x + 1e-6) - log_hazard(x - 1e-6)) / 2e-6
    total = d * (log_hazard(x) + np.log(slope) - x) - np.exp(log_hazard(x))
    entry = data["entry"].to_numpy(dtype=float)
    began = np.where(entry > 0, np.exp(log_hazard(np.log(np.maximum(entry, 1e-300)))), 0.0)
    return float(np.sum(total + began))


def test_the_spline_is_at_the_top_of_its_likelihood_under_delayed_entry() -> None:
    data = read_input("lung")
    fit = fit_parametric(data, "age + group", **COLUMNS, model="spline", interior_knots=1, entry_col="entry")
    top = likelihood_by_hand(fit, data, fit.estimates)
    assert fit.log_likelihood == pytest.approx(top, rel=1e-9)
    for k, error in enumerate(np.sqrt(np.diag(fit.variance))):
        for sign in (-1, 1):
            moved = fit.estimates.copy()
            moved[k] += sign * error / 10
            assert likelihood_by_hand(fit, data, moved) < top


def test_the_spline_fits_no_worse_than_that_of_lifelines_at_the_same_knots() -> None:
    from lifelines import SplineFitter

    data = read_input("lung")
    ours = fit_parametric(data, "1", **COLUMNS, model="spline", interior_knots=2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = SplineFitter(knot_locations=list(ours.knots)).fit(data["time"], data["status"])
    assert 0 <= ours.log_likelihood - theirs.log_likelihood_ < 1e-3
    np.testing.assert_allclose(
        ours.predict(data.iloc[:1], times=[100, 300, 700]).frame["estimate"],
        theirs.survival_function_at_times([100, 300, 700]),
        atol=2e-3,
    )
