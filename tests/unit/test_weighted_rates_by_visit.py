"""Analysing visits together gives each visit the variance it has when analysed alone."""

import numpy as np
import pandas as pd

from analyses.comparison import weighted_rates
from analyses.propensity import fit_propensity


def _cohort(size: int = 120) -> tuple[pd.DataFrame, pd.DataFrame]:
    random = np.random.default_rng(7)
    age = random.normal(35, 10, size)
    treated = random.random(size) < 1 / (1 + np.exp(-(age - 35) / 10))
    patients = pd.DataFrame({"age_years": age, "arm": np.where(treated, "tacrolimus", "no_tacrolimus")})
    visits = pd.concat(
        [
            patients.assign(patient=np.arange(size), visit_month=month, responded=random.random(size) < 0.5)
            for month in (6, 12, 24)
        ],
        ignore_index=True,
    )
    return patients, visits


def test_standard_errors_of_a_visit_do_not_depend_on_the_other_visits() -> None:
    patients, visits = _cohort()
    fit = fit_propensity(patients, "age_years", treatment_col="arm", treated="tacrolimus")
    weights = fit.estimated_weights()
    options = {"outcome_col": "responded", "treatment_col": "arm", "treated": "tacrolimus"}
    together = weighted_rates(
        visits, weights=weights.for_rows(visits["patient"]), time_col="visit_month", **options
    ).frame
    for month, alone_rows in visits.groupby("visit_month"):
        alone = weighted_rates(alone_rows, weights=weights.for_rows(alone_rows["patient"]), **options).frame
        at_visit = together[together["time"] == month]
        np.testing.assert_allclose(at_visit["std_error"].to_numpy(), alone["std_error"].to_numpy(), rtol=1e-12)
