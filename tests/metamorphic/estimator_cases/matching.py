"""Cases of matched and subclassified patients, of analyses.propensity and analyses.comparison."""

from __future__ import annotations

import numpy as np
import pandas as pd
from estimator_cases.case import Case, Exempt, Output

from analyses.comparison import matched_rates
from analyses.propensity import Matching, match_patients, subclassify

# `score` has no ties, which the names of patients would decide.
BY_SCORE = {"treatment_col": "arm", "treated": "b", "distance": "score"}
ONE_SIDED = Exempt("a partner is sought for each patient of one arm, not of the other")
SHARED = {"half_weights": Exempt("it takes no weights"), "refuses": ("empty", "one_arm", "one_row")}


def matching(data: pd.DataFrame) -> Output:
    found = match_patients(data, **BY_SCORE, exact="site")
    return {
        "matched_data": found.weights,
        "rows_of": found.rows_of(data.copy(), where="case") == np.arange(len(data)),
        "balance": found.balance(["x", "age"]),
        "tidy": found.tidy(),
    }


def subclasses(data: pd.DataFrame) -> Output:
    found = subclassify(data, **BY_SCORE, subclasses=3)
    return {"weights": found.weights, "balance": found.balance(["x", "age"]), "tidy": found.tidy()}


CASES = (
    Case("match_patients", lambda d, _: matching(d), of=(match_patients, Matching), swapped_arms=ONE_SIDED, **SHARED),
    Case("subclassify", lambda d, _: subclasses(d), of=(subclassify,), **SHARED),
    Case(
        "matched_rates",
        lambda d, _: matched_rates(d, matching=match_patients(d, **BY_SCORE), outcome_col="responder"),
        of=(matched_rates,),
        swapped_arms=ONE_SIDED,
        **SHARED,
    ),
)
