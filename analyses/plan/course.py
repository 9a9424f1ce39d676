"""Measurements over the visits, and the response under four strategies for visits without one."""

from __future__ import annotations

from analyses.datasets import AnalysisData
from analyses.plan.attempts import Tables, attempt
from analyses.varying_covariates import varying_covariates
from cohort.results import ResultTable

IMPUTATION_SEED = 1052
"""Of the multiple imputation: fixed, so that the same cohort gives the same results."""

IMPUTATIONS = 50


def course(data: AnalysisData) -> Tables:
    """Log UPCR by visit, the slope of eGFR, and the response when some are not assessed."""
    from analyses.longitudinal import egfr_slopes, missing_visit_strategies, proteinuria_course, response_visits

    def strategies() -> ResultTable:
        cases = varying_covariates(response_visits(data), data.design.outcome_covariates)
        return cases.noted(
            missing_visit_strategies(
                cases.rows,
                reference=data.reference,
                covariates=cases.formula,
                seed=IMPUTATION_SEED,
                imputations=IMPUTATIONS,
            )
        )

    return {
        "proteinuria_course": attempt("proteinuria_course", lambda: proteinuria_course(data)),
        "egfr_slopes": attempt("egfr_slopes", lambda: egfr_slopes(data)),
        "missing_visit_strategies": attempt("missing_visit_strategies", strategies),
    }
