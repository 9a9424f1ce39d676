"""Beside event-free survival: poor outcome, recurrent flares, what follows response, and subgroups."""

from __future__ import annotations

from typing import get_args

from analyses.datasets import AnalysisData
from analyses.plan.attempts import Tables, attempt, reference_arm
from analyses.plan.labels import in_population, in_years, with_treated
from cohort.errors import AnalysisError
from cohort.results import ResultTable, concat_results

AFTER_VISIT_YEARS = 0.25
"""How long after a scheduled visit a landmark stands, so that the whole spread of its dates lies before it."""

LANDMARK_MONTH = 12
"""Scheduled month after which the landmark stands, or the first visit where a study has none so late."""


def poor_outcome(data: AnalysisData) -> Tables:
    """Survival free of ESKD and death from day 0, by arm, with the log-rank test and the unadjusted hazard ratio."""
    from analyses.survival import fit_cox, kaplan_meier, logrank

    frame = with_treated(data)
    frame = frame.assign(years=frame["poor_outcome_years"], event=frame["poor_outcome"])

    def compared() -> ResultTable:
        reference_arm(data)
        return logrank(frame, by="arm", duration_col="years", event_col="event")

    def ratio() -> ResultTable:
        reference_arm(data)
        return in_population(fit_cox(frame, "treated", duration_col="years", event_col="event").tidy(), "unadjusted")

    tables = {
        "poor_outcome_survival": lambda: kaplan_meier(frame, by="arm", duration_col="years", event_col="event"),
        "poor_outcome_logrank": compared,
        "poor_outcome_cox": ratio,
    }
    return {name: in_years(attempt(name, run)) for name, run in tables.items()}


def recurrent(data: AnalysisData) -> Tables:
    """Every flare, not the first alone: the ratio of rates under three models, and the mean number per patient."""
    from analyses.survival import fit_recurrent, mean_cumulative_events, recurrent_flares
    from analyses.survival.recurrent import RecurrentModel

    rows = recurrent_flares(data)
    rows = rows.assign(treated=(rows["arm"] == data.treated).astype(int))

    def ratio(model: RecurrentModel) -> ResultTable:
        reference_arm(data)
        return in_population(fit_recurrent(rows, "treated", model=model, last_number=3).tidy(), model)

    return {
        "recurrent_flares": concat_results(
            attempt("recurrent_flares", lambda model=model: ratio(model))  # type: ignore[misc]
            for model in get_args(RecurrentModel)
        ),
        "mean_flares": in_years(
            attempt("mean_flares", lambda: mean_cumulative_events(rows, by="arm", terminal_col="terminal"))
        ),
    }


def after_response(data: AnalysisData) -> Tables:
    """What follows response, descriptively: by response at a landmark, and from the first response on."""
    from analyses.survival import kaplan_meier, landmark, since_first_response

    def by_state() -> ResultTable:
        visits = [month for month in data.months if month > 0]
        month = LANDMARK_MONTH if LANDMARK_MONTH in visits else visits[0]
        at = month / 12 + AFTER_VISIT_YEARS
        if at >= data.horizon_years:
            raise AnalysisError(
                "no landmark: follow-up ends with the visit that would classify the patients",
                where=f"month {month}",
                got=f"follow-up of {data.horizon_years:g} years",
            )
        chosen = landmark(data, at_years=at)
        table = kaplan_meier(chosen.rows, by="state", duration_col="years", event_col="event")
        return in_population(table, f"event-free {at:g} years after day 0")

    def from_response() -> ResultTable:
        rows = since_first_response(data)
        responded = rows[rows["responded"] == 1]
        table = kaplan_meier(responded, by="arm", duration_col="stop", event_col="event", entry_col="start")
        return in_population(table, "responders, entering at the first response")

    tables = {"survival_by_response": by_state, "survival_from_response": from_response}
    return {name: in_years(attempt(name, run)) for name, run in tables.items()}


def subgroups(data: AnalysisData) -> Tables:
    """Hazard ratio and difference of complete response within each biopsy class, with tests of interaction."""
    from analyses.response import subgroup_differences
    from analyses.survival import subgroup_effects

    def hazards() -> ResultTable:
        reference_arm(data)
        return subgroup_effects(
            data.event_free,
            treatment_col="arm",
            treated=data.treated,
            subgroup_col="isn_rps_class",
            duration_col="years",
            event_col="event",
        )

    def responses() -> ResultTable:
        reference_arm(data)
        return subgroup_differences(data.responses, treated=data.treated, subgroup_col="isn_rps_class", outcome="CR")

    return {
        "subgroup_hazards": attempt("subgroup_hazards", hazards),
        "subgroup_responses": attempt("subgroup_responses", responses),
    }
