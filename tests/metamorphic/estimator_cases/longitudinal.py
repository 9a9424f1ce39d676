"""Cases of analyses.longitudinal."""

from __future__ import annotations

import pandas as pd
from estimator_cases.case import VISITS, Case, Exempt, Output

from analyses.longitudinal import GeeFit, fit_gee, marginal_response

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
)
