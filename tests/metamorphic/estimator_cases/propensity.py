"""Cases of analyses.propensity."""

from __future__ import annotations

import numpy as np
import pandas as pd
from estimator_cases.case import Case, Exempt, Output

from analyses.propensity import EstimatedWeights, PropensityFit, fit_propensity


def propensity(data: pd.DataFrame) -> Output:
    fit = fit_propensity(data, "x + age + kind", treatment_col="arm", treated="b")
    own = fit.estimated_weights("ATE")
    return {
        "tidy": fit.tidy(),
        "glance": fit.glance(),
        "weights": fit.weights("ATE", stabilized=True),
        "estimated_weights": own.values,
        "for_rows": own.for_rows(np.arange(len(data))).values,
        "balance": fit.balance(),
        "effective_sample_size": fit.effective_sample_size(),
    }


CASES = (
    Case(
        "fit_propensity",
        lambda d, _: propensity(d),
        of=(fit_propensity, PropensityFit, EstimatedWeights),
        half_weights=Exempt("it takes no weights"),
        relative=1e-9,
        refuses=("empty", "one_arm", "one_row"),
    ),
)
