"""Cases of analyses.longitudinal."""

from __future__ import annotations

import pandas as pd
from estimator_cases.case import SPELLS, VISITS, Case, Exempt, Output

from analyses.longitudinal import (
    GeeFit,
    fit_gee,
    marginal_response,
    mean_time_in_state,
    state_occupancy,
    transition_counts,
    transition_probabilities,
    visit_transitions,
)

NO_TWINS = Exempt("rows of a patient may not overlap, so none can be entered twice")
NO_WEIGHTS = Exempt("it takes no weights")


def gee(data: pd.DataFrame, formula: str, **options: object) -> Output:
    fit = fit_gee(data, formula, subject_col="patient_id", **options)
    outputs = {"tidy": fit.tidy(), "glance": fit.glance()}
    return outputs if fit.family == "gaussian" else outputs | {"tidy: exponentiated": fit.tidy(exponentiate=True)}


CASES = (
    Case(
        "fit_gee, binomial, independence",
        lambda d, _: gee(d, "responder ~ arm + x", time_col="visit_month"),
        of=(fit_gee, GeeFit),
        half_weights=NO_WEIGHTS,
        table=VISITS,
        relative=1e-8,
        refuses=("empty", "one_row", "one_arm"),
    ),
    Case(
        "fit_gee, gaussian, exchangeable",
        lambda d, _: gee(d, "value ~ arm + visit_month", family="gaussian", correlation="exchangeable"),
        of=(fit_gee, GeeFit),
        half_weights=NO_WEIGHTS,
        table=VISITS,
        relative=1e-8,
        time_unit={"visit_month": -1},
        refuses=("empty", "one_row", "one_arm", "one_time"),
    ),
    Case(
        "fit_gee, poisson, exchangeable",
        lambda d, _: gee(d, "count ~ arm + x", family="poisson", correlation="exchangeable"),
        of=(fit_gee, GeeFit),
        half_weights=NO_WEIGHTS,
        table=VISITS,
        relative=1e-8,
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
