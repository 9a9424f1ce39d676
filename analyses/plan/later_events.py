"""Beside event-free survival: poor outcome, recurrent flares, what follows response, and subgroups."""

from __future__ import annotations

from typing import get_args

import pandas as pd

from analyses.datasets import AnalysisData
from analyses.plan.attempts import Tables, attempt, attempt_pair, reference_arm
from analyses.plan.labels import in_population, in_years, with_treated
from analyses.plan.survival import at_risk_times
from cohort.errors import AnalysisError
from cohort.results import ResultTable, concat_results

AFTER_VISIT_YEARS = 0.25
"""How long after a scheduled visit a landmark stands, so that the whole spread of its dates lies before it."""

LANDMARK_MONTH = 12
"""Scheduled month after which the landmark stands, or the first visit where a study has none so late."""


_RESPONDERS = "responders, entering at the first response"


def poor_outcome(data: AnalysisData) -> Tables:
    """Survival free of ESKD and death from day 0, by arm, with the log-rank test and the unadjusted hazard ratio."""
    from analyses.survival import fit_cox, kaplan_meier, logrank, numbers_at_risk

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
        "poor_outcome_at_risk": lambda: numbers_at_risk(
            frame, by="arm", times=at_risk_times(data.horizon_years), duration_col="years", event_col="event"
        ),
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
    from analyses.survival import kaplan_meier, numbers_at_risk, since_first_response

    def by_state() -> tuple[ResultTable, ResultTable]:
        at, rows = _at_landmark(data)
        times = at_risk_times(data.horizon_years - at)
        population = f"event-free {at:g} years after day 0"
        curves = kaplan_meier(rows, by="state", duration_col="years", event_col="event")
        at_risk = numbers_at_risk(rows, by="state", times=times, duration_col="years", event_col="event")
        return in_population(curves, population), in_population(at_risk, population)

    def from_response() -> tuple[ResultTable, ResultTable]:
        rows = since_first_response(data)
        responded = rows[rows["responded"] == 1]
        times = at_risk_times(data.horizon_years)
        curves = kaplan_meier(responded, by="arm", duration_col="stop", event_col="event", entry_col="start")
        at_risk = numbers_at_risk(
            responded, by="arm", times=times, duration_col="stop", event_col="event", entry_col="start"
        )
        return in_population(curves, _RESPONDERS), in_population(at_risk, _RESPONDERS)

    landmark_pair = attempt_pair("survival_by_response", by_state, "event-free at the landmark")
    response_pair = attempt_pair("survival_from_response", from_response, _RESPONDERS)
    return {
        "survival_by_response": in_years(landmark_pair[0]),
        "survival_by_response_at_risk": in_years(landmark_pair[1]),
        "survival_from_response": in_years(response_pair[0]),
        "survival_from_response_at_risk": in_years(response_pair[1]),
    }


def _at_landmark(data: AnalysisData) -> tuple[float, pd.DataFrame]:
    """Return the landmark in years after day 0 and the patients event-free there."""
    from analyses.survival import landmark

    visits = [month for month in data.months if month > 0]
    month = LANDMARK_MONTH if LANDMARK_MONTH in visits else visits[0]
    at = month / 12 + AFTER_VISIT_YEARS
    if at >= data.horizon_years:
        raise AnalysisError(
            "no landmark: follow-up ends with the visit that would classify the patients",
            where=f"month {month}",
            got=f"follow-up of {data.horizon_years:g} years",
        )
    return at, landmark(data, at_years=at).rows


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
