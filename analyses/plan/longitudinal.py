"""Response over the visits: marginal models and standardisation."""

from __future__ import annotations

from analyses.complete_cases import complete_cases
from analyses.datasets import AnalysisData
from analyses.plan.attempts import Tables, attempt, reference_arm
from cohort.results import ResultTable


def longitudinal(data: AnalysisData) -> Tables:
    """GEE logistic model of complete response with arm by visit, and standardised response by visit.

    Patients without a covariate of the standardisation are left out of it; its notes say how many.
    """
    from analyses.longitudinal import fit_gee, marginal_response

    def standardised() -> ResultTable:
        reference = reference_arm(data)
        cases = complete_cases(data.responses, data.design.outcome_formula)
        return cases.noted(
            marginal_response(cases.rows, reference=reference, outcome="CR", adjust=data.design.outcome_formula)
        )

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
    }
