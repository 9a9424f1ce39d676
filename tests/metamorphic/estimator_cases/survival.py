"""Cases of analyses.survival."""

from __future__ import annotations

import numpy as np
import pandas as pd
from estimator_cases.case import SPELLS, Case, Exempt, Output

from analyses.survival import (
    CoxFit,
    FineGrayFit,
    ParametricFit,
    censorings,
    coefficient_trend,
    cumulative_incidence,
    cumulative_incidence_at,
    fit_cox,
    fit_fine_gray,
    fit_parametric,
    fit_recurrent,
    gray_test,
    kaplan_meier,
    logrank,
    logrank_events,
    logrank_trend,
    mean_cumulative_events,
    median_survival,
    nelson_aalen,
    numbers_at_risk,
    restricted_mean,
    subgroup_effects,
    survival_at,
    survival_quantiles,
    turnbull,
)
from cohort.results import ResultTable

EVENTS = {"duration_col": "t", "event_col": "event"}
COMPETING = {"duration_col": "t", "event_col": "cause"}
NO_TWINS = Exempt("rows of a patient may not overlap, so none can be entered twice")
NO_WEIGHTS = Exempt("it takes no weights")
TWO_UNITS = "a row is one unit to the robust variance, so two half rows are two units"


def cox(data: pd.DataFrame, **options: object) -> Output:
    return cox_outputs(fit_cox(data, "arm + x", **EVENTS, **options))


def cox_outputs(fit: CoxFit) -> Output:
    return {
        "tidy": fit.tidy(),
        "tidy: exponentiated": fit.tidy(exponentiate=True),
        "glance": fit.glance(),
        "test_proportional_hazards": fit.test_proportional_hazards(),
    }


def every_cox_method(data: pd.DataFrame, unit: float) -> Output:
    fit = fit_cox(data, "arm + x", **EVENTS, strata="site")
    arms = sorted(set(data["arm"]))
    profiles = pd.DataFrame({"arm": arms, "x": 0.5, "site": data["site"].iloc[0]}, index=arms)
    by_row = [fit.residuals(kind) for kind in ("martingale", "deviance", "score", "dfbeta")]
    over_time = fit.coefficients_over_time()  # at a tie in the order of the rows
    in_order = over_time.frame.sort_values(["term", "group", "time", "estimate"], ignore_index=True)
    return {
        **cox_outputs(fit),
        "test_terms": fit.test_terms(["x"]),
        "contrasts": fit.contrasts({"two": {"x": 2.0}}),
        "concordance": fit.concordance(),
        "residuals": pd.concat(by_row, axis=1).to_numpy(dtype=np.float64),
        "coefficients_over_time": ResultTable(in_order, over_time.metadata),
        "coefficient_trend": coefficient_trend(fit, "x"),
        "augment": fit.augment().to_numpy(dtype=np.float64),
        "baseline_hazard": fit.baseline_hazard(),
        "predict": fit.predict(profiles, times=[5 * unit, 20 * unit]),
    }


def fine_gray(data: pd.DataFrame, unit: float) -> Output:
    fit = fit_fine_gray(data, "arm + x", **COMPETING, cluster_col="patient_id")
    arms = sorted(set(data["arm"]))
    profiles = pd.DataFrame({"arm": arms, "x": 0.5}, index=arms)  # predictions are grouped by the label of the profile
    return {
        "tidy": fit.tidy(),
        "tidy: exponentiated": fit.tidy(exponentiate=True),
        "glance": fit.glance(),
        "predict": fit.predict(profiles, times=[5 * unit, 20 * unit]),
    }


def parametric(data: pd.DataFrame, unit: float, **options: object) -> Output:
    fit = fit_parametric(data, "arm + x", **EVENTS, **options)
    profile = pd.DataFrame({"arm": sorted(set(data["arm"]))[-1:], "x": [0.5]})
    return {
        "tidy": fit.tidy(),
        "tidy: exponentiated": fit.tidy(exponentiate=True),
        "glance": fit.glance(),
        "predict": fit.predict(profile, times=[5 * unit, 20 * unit]),
    }


CASES = (
    Case(
        "kaplan_meier",
        lambda d, _: kaplan_meier(d, **EVENTS, by="arm"),
        of=(kaplan_meier,),
        half_weights=NO_WEIGHTS,
    ),
    Case(
        "kaplan_meier, weighted, delayed entry",
        lambda d, _: kaplan_meier(d, **EVENTS, by="arm", weights_col="w", entry_col="entry"),
        of=(kaplan_meier,),
        half_weights=("time", "estimate", "n", "n_events"),
    ),
    Case(
        "median_survival",
        lambda d, _: median_survival(d, **EVENTS, by="arm", weights_col="w"),
        of=(median_survival,),
        half_weights=("estimate", "n", "n_events"),
        time_unit={"median_survival": 1},
    ),
    Case(
        "numbers_at_risk",
        lambda d, u: numbers_at_risk(d, **EVENTS, by="arm", times=[0, 5 * u, 20 * u], weights_col="w"),
        of=(numbers_at_risk,),
        half_weights=("estimate", "n", "n_events"),
    ),
    Case(
        "logrank, stratified",
        lambda d, _: logrank(d, **EVENTS, by="arm", strata="site"),
        of=(logrank,),
        half_weights=NO_WEIGHTS,
        refuses=("empty", "one_arm", "one_row"),
    ),
    Case(
        "logrank, weighted",
        lambda d, _: logrank(d, **EVENTS, by="arm", rho=1, weights_col="w"),
        of=(logrank,),
        half_weights=Exempt(TWO_UNITS),
        refuses=("empty", "one_arm", "one_row"),
    ),
    Case(
        "restricted_mean",
        lambda d, u: restricted_mean(d, **EVENTS, by="arm", tau=20 * u, weights_col="w"),
        of=(restricted_mean,),
        half_weights=("estimate",),
        time_unit={"restricted_mean": 1, "restricted_mean_difference": 1},
    ),
    Case(
        "cumulative_incidence",
        lambda d, _: cumulative_incidence(d, **COMPETING, by="arm"),
        of=(cumulative_incidence,),
        half_weights=NO_WEIGHTS,
        refuses=("empty", "one_row", "no_events"),
    ),
    Case(
        "fit_cox, Efron",
        lambda d, _: cox(d),
        of=(fit_cox,),
        half_weights=Exempt(
            "Efron's average over tied events counts rows: two half rows are a tie that one row is not"
        ),
        relative=1e-9,
    ),
    Case(
        "fit_cox, every method",
        every_cox_method,
        of=(fit_cox, CoxFit, coefficient_trend),
        half_weights=NO_WEIGHTS,
        relative=1e-9,
        swapped_arms=Exempt("a baseline is that of the reference arm"),
    ),
    Case(
        "fit_cox, Breslow, weighted, robust by patient",
        lambda d, _: cox(
            d, ties="breslow", weights_col="w", entry_col="entry", strata="site", cluster_col="patient_id"
        ),
        of=(fit_cox,),
        half_weights=("estimate", "std_error", "conf_low", "conf_high", "p_value"),
        relative=1e-9,
    ),
    *(
        Case(
            f"fit_recurrent, {model}",
            lambda d, _, model=model: cox_outputs(fit_recurrent(d, "arm + x", model=model, last_number=3)),
            of=(fit_recurrent,),
            half_weights=NO_TWINS,
            table=SPELLS,
            relative=1e-9,
        )
        for model in ("andersen-gill", "pwp-gap")
    ),
    Case(
        "mean_cumulative_events",
        lambda d, _: mean_cumulative_events(d, terminal_col="terminal", by="arm", weights_col="w"),
        of=(mean_cumulative_events,),
        half_weights=NO_TWINS,
        table=SPELLS,
    ),
    Case(
        "subgroup_effects",
        lambda d, _: subgroup_effects(
            d, treatment_col="arm", treated="b", subgroup_col="kind", **EVENTS, adjust="x", min_events=3
        ),
        of=(subgroup_effects,),
        half_weights=Exempt("Efron's average over tied events counts rows"),
        relative=1e-9,
        refuses=("empty", "one_arm", "one_row"),
    ),
    Case(
        "cumulative_incidence, weighted, delayed entry",
        lambda d, _: cumulative_incidence(d, **COMPETING, by="arm", weights_col="w", entry_col="entry"),
        of=(cumulative_incidence,),
        half_weights=("time", "estimate", "n", "n_events"),
        refuses=("empty", "one_row", "no_events"),
    ),
    Case(
        "cumulative_incidence_at",
        lambda d, u: cumulative_incidence_at(d, **COMPETING, by="arm", weights_col="w", times=[5 * u, 20 * u]),
        of=(cumulative_incidence_at,),
        half_weights=("time", "estimate", "n", "n_events"),
        refuses=("empty", "one_row", "no_events"),
    ),
    Case(
        "gray_test",
        lambda d, _: gray_test(d, **COMPETING, by="arm", strata="site"),
        of=(gray_test,),
        half_weights=NO_WEIGHTS,
        refuses=("empty", "one_row", "one_arm"),
    ),
    Case(
        "fit_fine_gray",
        fine_gray,
        of=(fit_fine_gray, FineGrayFit),
        half_weights=NO_WEIGHTS,
        relative=1e-9,
    ),
    Case(
        "nelson_aalen",
        lambda d, _: nelson_aalen(d, **EVENTS, by="arm", weights_col="w", entry_col="entry", cluster_col="patient_id"),
        of=(nelson_aalen,),
        half_weights=("time", "estimate", "std_error", "conf_low", "conf_high", "n", "n_events"),
    ),
    Case(
        "survival_at",
        lambda d, u: survival_at(
            d, **EVENTS, by="arm", times=[5 * u, 20 * u], weights_col="w", cluster_col="patient_id"
        ),
        of=(survival_at,),
        half_weights=("time", "estimate", "std_error", "conf_low", "conf_high", "n", "n_events"),
    ),
    Case(
        "survival_quantiles",
        lambda d, _: survival_quantiles(d, **EVENTS, by="arm", weights_col="w", cluster_col="patient_id"),
        of=(survival_quantiles,),
        half_weights=("estimate", "conf_low", "conf_high", "n", "n_events"),
        time_unit={"survival_quantile": 1, "survival_quantile_difference": 1},
    ),
    Case(
        "censorings",
        lambda d, _: censorings(d, **EVENTS, by="arm", weights_col="w"),
        of=(censorings,),
        half_weights=("time", "estimate"),
    ),
    Case(
        "logrank_events",
        lambda d, _: logrank_events(d, **EVENTS, by="arm", weights_col="w", entry_col="entry"),
        of=(logrank_events,),
        half_weights=("estimate",),
        refuses=("empty", "one_arm", "one_row"),
    ),
    Case(
        "logrank_trend",
        lambda d, _: logrank_trend(d, **EVENTS, by="arm", weights_col="w", cluster_col="patient_id"),
        of=(logrank_trend,),
        half_weights=("estimate", "p_value"),
        refuses=("empty", "one_arm", "one_row"),
    ),
    *(
        Case(
            f"fit_parametric, {model}",
            lambda d, u, model=model: parametric(d, u, model=model, weights_col="w", cluster_col="patient_id"),
            of=(fit_parametric, ParametricFit),
            half_weights=("estimate", "std_error", "conf_low", "conf_high", "p_value"),
            relative=1e-6,
            time_unit=Exempt("its parameters follow the logarithm of time, its likelihood the Jacobian"),
            swapped_arms=Exempt("its scale and its predictions are of the reference arm"),
        )
        for model in ("weibull_aft", "spline")
    ),
    Case(
        "turnbull",
        lambda d, _: turnbull(d, lower_col="lower", upper_col="upper", by="arm", weights_col="w"),
        of=(turnbull,),
        half_weights=("time", "estimate"),
        relative=1e-6,
        time_unit=Exempt("its terms name the ends of intervals"),
        missing=Exempt("a missing upper end says that the event was never seen"),
    ),
)
