"""Response over the visits: marginal models and standardisation."""

from __future__ import annotations

from typing import get_args

import pandas as pd

from analyses.datasets import AnalysisData
from analyses.plan.attempts import Tables, attempt, attempt_pair, reference_arm
from analyses.plan.labels import in_group, in_population
from analyses.varying_covariates import varying_covariates
from cohort.results import ResultTable, concat_results


def longitudinal(data: AnalysisData) -> Tables:
    """GEE logistic model of complete response with arm by visit, and standardised response by visit.

    Patients without a covariate of the standardisation are left out of it; its notes say how many.
    """
    from analyses.longitudinal import fit_gee, marginal_response

    def standardised() -> ResultTable:
        reference = reference_arm(data)
        cases = varying_covariates(data.responses, data.design.outcome_covariates)
        return cases.noted(marginal_response(cases.rows, reference=reference, outcome="CR", adjust=cases.formula))

    def over_time() -> ResultTable:
        reference_arm(data)
        formula = "complete ~ treated * visit" if frame["visit"].nunique() > 1 else "complete ~ treated"
        return fit_gee(frame, formula, subject_col="patient_id", correlation="exchangeable").tidy()

    frame = data.responses.assign(
        complete=(data.responses["response"] == "CR").astype(int),
        treated=(data.responses["arm"] == data.treated).astype(int),
        visit=data.responses["visit_month"].astype(int).map("month {:02d}".format),
    )
    return {
        "response_gee": attempt("response_gee", over_time),
        "response_standardised": attempt("response_standardised", standardised),
        **_repeated(data, frame.assign(overall=(data.responses["response"] != "NR").astype(int))),
    }


def _repeated(data: AnalysisData, frame: pd.DataFrame) -> Tables:
    """Each outcome under each working correlation, and the three ordered states in one model."""
    from analyses.kernels.gee import Correlation
    from analyses.longitudinal import fit_gee, fit_ordinal

    outcomes = {"CR": "complete", "CR or PR": "overall"}
    interaction = frame["visit"].nunique() > 1

    def model(outcome: str, correlation: Correlation) -> ResultTable:
        reference_arm(data)
        fit = fit_gee(
            frame,
            f"{outcomes[outcome]} ~ treated * visit" if interaction else f"{outcomes[outcome]} ~ treated",
            subject_col="patient_id",
            correlation=correlation,
            time_col="visit_month",
            variance="mancl_derouen",
        )
        tables = [fit.tidy(), fit.test_terms("treated:visit")] if interaction and not fit.note else [fit.tidy()]
        return in_group(in_population(concat_results(tables), f"{correlation} working correlation"), outcome)

    def ordered() -> tuple[ResultTable, ResultTable]:
        reference = reference_arm(data)
        formula = "response ~ arm * C(visit_month)" if interaction else "response ~ arm"
        fit = fit_ordinal(frame, formula, subject_col="patient_id", categories=("NR", "PR", "CR"))
        shares = fit.marginal_probabilities(
            frame, by="arm", time_col="visit_month" if interaction else None, reference=reference
        )
        return shares, concat_results([fit.tidy(), fit.test_proportional_odds()])

    shares, coefficients = attempt_pair("response_ordinal", ordered, "NR, PR, CR")
    return {
        "response_gee_structures": concat_results(
            attempt(outcome, lambda outcome=outcome, structure=structure: model(outcome, structure))  # type: ignore[misc]
            for outcome in outcomes
            for structure in get_args(Correlation)
        ),
        "response_ordinal": coefficients,
        "response_probabilities": shares,
    }
