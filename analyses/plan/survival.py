"""Survival free of flare, ESKD and death, and the incidence of flare beside it."""

from __future__ import annotations

from analyses.complete_cases import complete_cases
from analyses.datasets import AnalysisData
from analyses.plan.attempts import Tables, attempt, attempt_pair, reference_arm
from analyses.plan.labels import in_population, in_years, with_treated
from cohort.results import ResultTable, concat_results


def survival(data: AnalysisData) -> Tables:
    """Event-free survival (renal flare, ESKD, death) from day 0, its contrasts, and the incidence of flare.

    Patients without a covariate of the adjusted Cox model are left out of it; its notes say how many.
    """
    from analyses.survival import (
        cumulative_incidence,
        fit_cox,
        kaplan_meier,
        logrank,
        numbers_at_risk,
        restricted_mean,
    )

    frame = with_treated(data)

    def cox(formula: str, population: str) -> tuple[ResultTable, ResultTable]:
        reference_arm(data)
        cases = complete_cases(frame, formula)
        fit = fit_cox(cases.rows, formula, duration_col="years", event_col="event")
        estimates, test = (cases.noted(table) for table in (fit.tidy(), fit.test_proportional_hazards()))
        return in_population(estimates, population), in_population(test, population)

    def compared() -> ResultTable:
        reference_arm(data)
        return logrank(frame, by="arm", duration_col="years", event_col="event")

    models = [attempt_pair("cox", lambda: cox("treated", "unadjusted"), "unadjusted")]
    models.append(attempt_pair("cox", lambda: cox(f"treated + {data.design.outcome_formula}", "adjusted"), "adjusted"))
    tables = {
        "flare_free_survival": lambda: kaplan_meier(frame, by="arm", duration_col="years", event_col="event"),
        "flare_free_at_risk": lambda: numbers_at_risk(
            frame, by="arm", times=at_risk_times(data.horizon_years), duration_col="years", event_col="event"
        ),
        "flare_free_logrank": compared,
        "flare_free_restricted_mean": lambda: restricted_mean(
            frame, by="arm", tau=data.horizon_years, duration_col="years", event_col="event"
        ),
        "flare_incidence": lambda: _named_causes(
            cumulative_incidence(frame, duration_col="years", event_col="cause", by="arm")
        ),
    }
    return {name: in_years(attempt(name, run)) for name, run in tables.items()} | {
        "cox": concat_results([estimates for estimates, _ in models]),
        "cox_proportional_hazards": concat_results([test for _, test in models]),
    }


def at_risk_times(horizon_years: float) -> list[float]:
    """Half a year, whole years and the horizon; quarters too where follow-up is short."""
    marks = [0, 0.5, *range(1, int(horizon_years) + 1)] if horizon_years > 1 else [0, 0.25, 0.5, 0.75]
    apart = 0.2 if horizon_years <= 1 else 0.05 * horizon_years  # nearer to the horizon, two ticks would overlap
    return [*(mark for mark in marks if mark <= horizon_years - apart), horizon_years]


def _named_causes(table: ResultTable) -> ResultTable:
    named = table.frame["term"].replace({"1": "renal_flare", "2": "eskd or death"})
    return ResultTable(table.frame.assign(term=named), table.metadata)
