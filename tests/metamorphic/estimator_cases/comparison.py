"""Cases of analyses.comparison."""

from __future__ import annotations

import numpy as np
import pandas as pd
from estimator_cases.case import VISITS, Case, Exempt

from analyses.comparison import (
    BinaryOutcome,
    EventOutcome,
    augmented_rates,
    augmented_restricted_mean,
    censoring_weights,
    compare_arms,
    standardised_rates,
    standardised_survival,
    weighted_hazard_ratio,
    weighted_incidence,
    weighted_logrank,
    weighted_rates,
    weighted_restricted_mean,
    weighted_survival,
)
from analyses.propensity import fit_propensity
from cohort.results import ResultTable

ARMS = {"treatment_col": "arm", "treated": "b"}
OF_ARMS = {"outcome_col": "responder", **ARMS}
EVENTS = {"duration_col": "t", "event_col": "event", **ARMS}
CAUSES = {"duration_col": "t", "event_col": "cause", **ARMS}
NO_WEIGHTS = Exempt("takes no weights")
FROM_THE_SCORE = Exempt("the weights come from the model of the score, which takes none")
NO_ARM = ("empty", "one_arm", "one_row")
AREAS = {"restricted_mean": 1, "restricted_mean_difference": 1}


def with_estimated_weights(data: pd.DataFrame) -> ResultTable:
    fit = fit_propensity(data, "x + age", treatment_col="arm", treated="b")
    return weighted_rates(data, **OF_ARMS, weights=fit.estimated_weights("ATE"))


def given(data: pd.DataFrame) -> np.ndarray:
    return data["w"].to_numpy(dtype=np.float64)


def events_with_estimated_weights(data: pd.DataFrame, unit: float) -> dict[str, ResultTable]:
    weights = fit_propensity(data, "x + age", **ARMS).estimated_weights("ATO")
    return {
        "survival": weighted_survival(data, **EVENTS, weights=weights, times=[6 * unit, 15 * unit]),
        "incidence": weighted_incidence(data, **CAUSES, weights=weights, times=[6 * unit], cause=2),
        "area": weighted_restricted_mean(data, **EVENTS, weights=weights, tau=15 * unit),
        "hazard": weighted_hazard_ratio(data, **EVENTS, weights=weights),
        "logrank": weighted_logrank(data, **EVENTS, weights=weights),
    }


def last_censoring_weights(data: pd.DataFrame) -> dict[str, np.ndarray]:
    spells = censoring_weights(data.drop(columns="entry"), "x", duration_col="t", event_col="event", by="arm")
    last = spells.groupby(spells["patient_id"].astype(str))["censoring_weight"].last()
    return {"last": last[data["patient_id"].astype(str)].to_numpy(dtype=np.float64)}


def all_at_once(data: pd.DataFrame, unit: float) -> ResultTable:
    outcomes = [BinaryOutcome("responder"), EventOutcome("t", "event", tau=15 * unit, times=(6 * unit,))]
    return compare_arms(data, **ARMS, score="x + age", adjust="x", outcomes=outcomes)


CASES = (
    Case(
        "weighted_rates, known weights, by visit",
        lambda d, _: weighted_rates(d, **OF_ARMS, weights=d["w"].to_numpy(dtype=np.float64), time_col="visit_month"),
        of=(weighted_rates,),
        half_weights=("estimate",),
        table=VISITS,
        refuses=("empty", "one_arm", "one_row"),
    ),
    Case(
        "weighted_rates, estimated weights",
        lambda d, _: with_estimated_weights(d),
        of=(weighted_rates,),
        half_weights=Exempt("the weights come from the model of the score, which takes none"),
        relative=1e-9,
        refuses=("empty", "one_arm", "one_row"),
    ),
    Case(
        "standardised_rates, by visit",
        lambda d, _: standardised_rates(d, adjust="x", **OF_ARMS, time_col="visit_month"),
        of=(standardised_rates,),
        half_weights=NO_WEIGHTS,
        table=VISITS,
        relative=1e-9,
        refuses=NO_ARM,
    ),
    Case(
        "standardised_survival",
        lambda d, unit: standardised_survival(
            d, adjust="x + age", **EVENTS, times=[6 * unit, 15 * unit], tau=15 * unit
        ),
        of=(standardised_survival,),
        half_weights=NO_WEIGHTS,
        time_unit=AREAS,
        relative=1e-8,
        refuses=NO_ARM,
    ),
    Case(
        "augmented_rates",
        lambda d, _: augmented_rates(d, score="x + age", adjust="x + kind", **OF_ARMS),
        of=(augmented_rates,),
        half_weights=NO_WEIGHTS,
        relative=1e-9,
        refuses=NO_ARM,
    ),
    Case(
        "weighted_survival",
        lambda d, unit: weighted_survival(d, **EVENTS, weights=given(d), times=[6 * unit, 15 * unit]),
        of=(weighted_survival,),
        half_weights=("estimate",),
        refuses=NO_ARM,
    ),
    Case(
        "weighted_incidence",
        lambda d, unit: weighted_incidence(d, **CAUSES, weights=given(d), times=[6 * unit, 15 * unit], cause=2),
        of=(weighted_incidence,),
        half_weights=("estimate",),
        refuses=NO_ARM,
    ),
    Case(
        "weighted_restricted_mean",
        lambda d, unit: weighted_restricted_mean(d, **EVENTS, weights=given(d), tau=15 * unit),
        of=(weighted_restricted_mean,),
        half_weights=("estimate",),
        time_unit=AREAS,
        refuses=NO_ARM,
    ),
    Case(
        "weighted_hazard_ratio",
        lambda d, _: weighted_hazard_ratio(d, **EVENTS, weights=given(d), ties="breslow"),
        of=(weighted_hazard_ratio,),
        half_weights=("estimate",),
        relative=1e-9,
        refuses=NO_ARM,
    ),
    Case(
        "weighted_logrank",
        lambda d, _: weighted_logrank(d, **EVENTS, weights=given(d)),
        of=(weighted_logrank,),
        half_weights=Exempt("the robust variance counts rows, not their weight"),
        refuses=NO_ARM,
    ),
    Case(
        "weighted events, estimated weights",
        events_with_estimated_weights,
        of=(weighted_survival, weighted_incidence, weighted_restricted_mean, weighted_hazard_ratio, weighted_logrank),
        half_weights=FROM_THE_SCORE,
        time_unit=AREAS,
        relative=1e-8,
        refuses=NO_ARM,
    ),
    Case(
        "augmented_restricted_mean",
        lambda d, unit: augmented_restricted_mean(
            d, **EVENTS, tau=15 * unit, score="x + age", adjust="x", censoring="age", folds=None
        ),
        of=(augmented_restricted_mean,),
        half_weights=NO_WEIGHTS,
        time_unit=AREAS,
        relative=1e-9,
        refuses=NO_ARM,
    ),
    Case(
        "censoring_weights",
        lambda d, _: last_censoring_weights(d),
        of=(censoring_weights,),
        half_weights=NO_WEIGHTS,
        relative=1e-9,
        refuses=("empty", "one_row"),
    ),
    Case(
        "compare_arms",
        all_at_once,
        of=(compare_arms, BinaryOutcome, EventOutcome),
        half_weights=NO_WEIGHTS,
        time_unit=AREAS,
        relative=1e-8,
        refuses=NO_ARM,
    ),
)
