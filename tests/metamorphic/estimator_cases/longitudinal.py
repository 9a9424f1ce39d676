"""Cases of analyses.longitudinal."""

from __future__ import annotations

import numpy as np
import pandas as pd
from estimator_cases.case import DUE_VISITS, SPELLS, VISITS, Case, Exempt, Output

from analyses.longitudinal import (
    GeeFit,
    MixedFit,
    OrdinalFit,
    fit_gee,
    fit_mixed,
    fit_ordinal,
    marginal_response,
    mean_time_in_state,
    missing_visit_strategies,
    state_occupancy,
    transition_counts,
    transition_probabilities,
    visit_transitions,
)
from cohort.results import ResultTable

NO_TWINS = Exempt("rows of a patient may not overlap, so none can be entered twice")
NO_WEIGHTS = Exempt("it takes no weights")


def gee(data: pd.DataFrame, formula: str, **options: object) -> Output:
    fit = fit_gee(data, formula, subject_col="patient_id", **options)
    outputs = {
        "tidy": fit.tidy(),
        "glance": fit.glance(),
        "correlations": fit.correlations(),
        "test_terms": fit.test_terms("arm"),
        "augment": fit.augment(data)[["fitted", "residual", "linear_predictor"]].to_numpy(dtype=np.float64),
        "marginal_response": fit.marginal_response(data, by="arm", reference="a"),
    }
    return outputs if fit.family == "gaussian" else outputs | {"tidy: exponentiated": fit.tidy(exponentiate=True)}


def ordinal(data: pd.DataFrame) -> Output:
    fit = fit_ordinal(data, "response ~ arm + x", subject_col="patient_id", weights_col="w")
    return {
        "tidy": fit.tidy(),
        "tidy: exponentiated": fit.tidy(exponentiate=True),
        "glance": fit.glance(),
        "test_terms": fit.test_terms("arm"),
        "test_proportional_odds": fit.test_proportional_odds(),
        "marginal_probabilities": fit.marginal_probabilities(data, by="arm", reference="a"),
    }


def mixed(data: pd.DataFrame, formula: str, **options: object) -> dict[str, ResultTable]:
    fit = fit_mixed(data, formula, subject_col="patient_id", **options)
    return {
        "tidy": fit.tidy(),
        "variance_components": fit.variance_components(),
        "glance": fit.glance(),
        "trajectory": fit.trajectory(group_col="arm", time_col="visit_month", reference="a"),
        "slopes": fit.slopes(group_col="arm", time_col="visit_month", reference="a"),
    }


def predicted(data: pd.DataFrame) -> Output:
    fit = fit_mixed(data, "value ~ arm + x", subject_col="patient_id")
    return {"predict": fit.predict(pd.DataFrame({"arm": ["a", "b"], "x": [0.0, 1.0]}))}


TWO_ARMS = ("empty", "one_row", "one_arm")
CASES = (
    Case(
        "fit_gee, binomial, independence, weighted",
        lambda d, _: gee(d, "responder ~ arm + x", weights_col="w"),
        of=(fit_gee, GeeFit),
        half_weights=("estimate", "std_error", "conf_low", "conf_high", "p_value"),
        table=VISITS,
        relative=1e-8,
        refuses=TWO_ARMS,
    ),
    Case(
        "fit_gee, binomial, unstructured, Kauermann-Carroll",
        lambda d, _: gee(
            d,
            "responder ~ arm + x",
            correlation="unstructured",
            time_col="visit_month",
            variance="kauermann_carroll",
        ),
        of=(fit_gee, GeeFit),
        half_weights=NO_WEIGHTS,
        table=VISITS,
        relative=1e-8,
        time_unit=Exempt("its correlations name the visits"),
        refuses=TWO_ARMS,
    ),
    Case(
        "fit_gee, gaussian, exchangeable",
        lambda d, _: gee(d, "value ~ arm + x", family="gaussian", correlation="exchangeable"),
        of=(fit_gee, GeeFit),
        half_weights=NO_WEIGHTS,
        table=VISITS,
        relative=1e-8,
        refuses=TWO_ARMS,
    ),
    Case(
        "fit_gee, poisson, ar1, Mancl-DeRouen",
        lambda d, _: gee(
            d, "count ~ arm + x", family="poisson", correlation="ar1", time_col="visit_month", variance="mancl_derouen"
        ),
        of=(fit_gee, GeeFit),
        half_weights=NO_WEIGHTS,
        table=VISITS,
        relative=1e-8,
        time_unit=Exempt("its correlations name the visits"),
        refuses=TWO_ARMS,
    ),
    Case(
        "fit_ordinal",
        lambda d, _: ordinal(d),
        of=(fit_ordinal, OrdinalFit),
        half_weights=("estimate", "std_error", "conf_low", "conf_high", "p_value"),
        table=VISITS,
        relative=1e-8,
        refuses=TWO_ARMS,
    ),
    Case(
        "fit_mixed, random intercept and slope",
        lambda d, _: mixed(d, "value ~ arm + x + visit_month", random="1 + visit_month"),
        of=(fit_mixed,),
        half_weights=NO_WEIGHTS,
        table=VISITS,
        relative=1e-5,
        time_unit=Exempt("each variance component scales by a power of its own; held to lme4 instead"),
        refuses=(*TWO_ARMS, "one_time"),
    ),
    Case(
        "fit_mixed, every method",
        lambda d, _: mixed(d, "value ~ arm + visit_month", reml=False) | predicted(d),
        of=(fit_mixed, MixedFit),
        half_weights=NO_WEIGHTS,
        table=VISITS,
        relative=1e-6,
        time_unit={"visit_month": -1},
        swapped_arms=Exempt("predictions are of profiles, which name an arm"),
        refuses=(*TWO_ARMS, "one_time"),
    ),
    Case(
        "missing_visit_strategies",
        lambda d, _: missing_visit_strategies(d, reference="a", covariates="x", seed=1, imputations=3),
        of=(missing_visit_strategies,),
        half_weights=NO_WEIGHTS,
        table=DUE_VISITS,
        relative=1e-9,
        swapped_arms=Exempt("each arm has random draws of its own"),
        missing=Exempt("a response that was not assessed is missing: that is what it is about"),
        refuses=("empty", "one_row", "one_arm"),
    ),
    Case(
        "marginal_response",
        lambda d, _: marginal_response(d, reference="a", adjust="x"),
        of=(marginal_response,),
        half_weights=NO_WEIGHTS,
        table=VISITS,
        relative=1e-9,
        refuses=("empty", "one_row", "one_arm"),
    ),
    Case(
        "visit_transitions",
        lambda d, _: visit_transitions(d, state_col="response"),
        of=(visit_transitions,),
        half_weights=NO_WEIGHTS,
        table=VISITS,
        time_unit=Exempt("its method names the visits in months"),
        refuses=("empty", "one_row", "one_time"),
    ),
    Case(
        "state_occupancy",
        lambda d, u: state_occupancy(d, by="arm", weights_col="w", times=[6 * u, 12 * u, 40 * u]),
        of=(state_occupancy,),
        half_weights=NO_TWINS,
        table=SPELLS,
    ),
    Case(
        "mean_time_in_state",
        lambda d, u: mean_time_in_state(d, tau=24 * u, by="arm", weights_col="w"),
        of=(mean_time_in_state,),
        half_weights=NO_TWINS,
        table=SPELLS,
        time_unit={"mean_time_in_state": 1, "mean_time_in_state_difference": 1},
        refuses=("empty", "one_row"),
    ),
    Case(
        "transition_probabilities",
        lambda d, u: transition_probabilities(d, start_time=3 * u, by="arm"),
        of=(transition_probabilities,),
        half_weights=NO_TWINS,
        table=SPELLS,
    ),
    Case(
        "transition_counts",
        lambda d, _: transition_counts(d, by="arm"),
        of=(transition_counts,),
        half_weights=NO_WEIGHTS,
        table=SPELLS,
        time_unit={"transition_rate": -1},
        refuses=("empty", "one_row", "no_events", "one_event", "events_only"),
    ),
)
