"""Cox models of event-free survival, and whether their hazard ratio stays the same over time."""

from __future__ import annotations

from analyses.datasets import AnalysisData
from analyses.plan.attempts import Tables, failure, reference_arm
from analyses.plan.labels import in_population, in_years, with_treated
from analyses.varying_covariates import varying_covariates
from cohort.errors import AnalysisError
from cohort.results import ResultTable, concat_results

_NAMES = ("cox", "cox_proportional_hazards", "cox_over_time")


def hazards(data: AnalysisData) -> Tables:
    """Hazard ratio of the arms, unadjusted and adjusted, the test of proportional hazards and its picture over time.

    Patients without a covariate of the adjusted model are left out of it; its notes say how many.
    """
    models = {"unadjusted": (), "adjusted": data.design.outcome_covariates}
    made = [_model(data, adjustment, population) for population, adjustment in models.items()]
    return {name: concat_results(tables[name] for tables in made) for name in _NAMES}


def _model(data: AnalysisData, adjustment: tuple[str, ...], population: str) -> Tables:
    from analyses.survival import coefficient_trend, fit_cox

    try:
        reference_arm(data)
        cases = varying_covariates(with_treated(data), ("treated", *adjustment))
        fit = fit_cox(cases.rows, cases.formula, duration_col="years", event_col="event")
    except AnalysisError as error:
        return {name: in_population(failure("cox", error), population) for name in _NAMES}
    over_time = concat_results([_of_the_arm(fit.coefficients_over_time()), coefficient_trend(fit, "treated")])
    tables = {
        "cox": fit.tidy(),
        "cox_proportional_hazards": fit.test_proportional_hazards(),
        "cox_over_time": in_years(over_time),
    }
    return {name: in_population(cases.noted(table), population) for name, table in tables.items()}


def _of_the_arm(table: ResultTable) -> ResultTable:
    return ResultTable(table.frame[(table.frame["term"] == "treated").to_numpy(dtype=bool)], table.metadata)
