"""Cases of analyses.comparison."""

from __future__ import annotations

import numpy as np
import pandas as pd
from estimator_cases.case import VISITS, Case, Exempt

from analyses.comparison import weighted_rates
from analyses.propensity import fit_propensity
from cohort.results import ResultTable

OF_ARMS = {"outcome_col": "responder", "treatment_col": "arm", "treated": "b"}


def with_estimated_weights(data: pd.DataFrame) -> ResultTable:
    fit = fit_propensity(data, "x + age", treatment_col="arm", treated="b")
    return weighted_rates(data, **OF_ARMS, weights=fit.estimated_weights("ATE"))


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
)
