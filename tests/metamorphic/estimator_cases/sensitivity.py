"""Cases of analyses.sensitivity."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from estimator_cases.case import Case, Exempt

from analyses.comparison import BinaryOutcome, EventOutcome, weighted_hazard_ratio
from analyses.propensity import fit_propensity
from analyses.sensitivity import (
    MeasureOutcome,
    leave_one_covariate_out,
    multiverse,
    negative_control,
    trimming_path,
)
from cohort.results import ResultTable

ARMS = {"treatment_col": "arm", "treated": "b"}
SHARED = {
    "half_weights": Exempt("the weights come from the model of the score, which takes none"),
    "relative": 1e-8,
    "refuses": ("empty", "one_arm", "one_row"),
}
AREAS = {"restricted_mean_difference": 1, "change_in_restricted_mean_difference": 1}


def outcomes(unit: float) -> list[BinaryOutcome | EventOutcome]:
    return [BinaryOutcome("responder"), EventOutcome("t", "event", tau=12 * unit)]


def of_two_scores(data: pd.DataFrame) -> ResultTable:
    def estimate(chosen: Mapping[str, object]) -> ResultTable:
        fit = fit_propensity(data, str(chosen["score"]), **ARMS)
        weights = fit.estimated_weights(str(chosen["estimand"]))
        return weighted_hazard_ratio(data, duration_col="t", event_col="event", weights=weights, **ARMS)

    choices = {"score": {"x alone": "x", "both": "x + age"}, "estimand": {"overlap": "ATO", "matching": "ATM"}}
    return multiverse(choices, estimate, statistic="log_hazard_ratio")


CASES = (
    Case(
        "leave_one_covariate_out",
        lambda d, unit: leave_one_covariate_out(d, **ARMS, covariates=["x", "age", "kind"], outcomes=outcomes(unit)),
        of=(leave_one_covariate_out,),
        time_unit=AREAS,
        **SHARED,
    ),
    Case(
        "negative_control",
        lambda d, _: negative_control(
            d, **ARMS, score="x + kind", outcomes=[MeasureOutcome("age"), BinaryOutcome("responder")]
        ),
        of=(negative_control, MeasureOutcome),
        **SHARED,
    ),
    Case(
        "trimming_path",
        lambda d, unit: trimming_path(d, **ARMS, score="x + age", outcomes=outcomes(unit), cutoffs=[0, 0.3, 0.4]),
        of=(trimming_path,),
        time_unit=AREAS,
        **SHARED,
    ),
    Case(
        "multiverse",
        lambda d, _: of_two_scores(d),
        of=(multiverse,),
        swapped_arms=Exempt("smallest and largest change places, and a median of logarithms has no contrast"),
        missing=Exempt("a specification that is refused keeps its row, with the refusal as its note"),
        **(SHARED | {"refuses": ()}),
    ),
)
