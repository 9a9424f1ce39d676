"""Survival free of flare, ESKD and death, and the incidence of flare beside it."""

from __future__ import annotations

from analyses.datasets import AnalysisData
from analyses.plan.attempts import Tables, attempt, reference_arm
from analyses.plan.labels import in_years, with_treated
from cohort.results import ResultTable


def survival(data: AnalysisData) -> Tables:
    """Event-free survival (renal flare, ESKD, death) from day 0, its contrasts, and the incidence of flare."""
    from analyses.survival import (
        cumulative_incidence,
        kaplan_meier,
        logrank,
        numbers_at_risk,
        restricted_mean,
    )

    frame = with_treated(data)

    def compared() -> ResultTable:
        reference_arm(data)
        return logrank(frame, by="arm", duration_col="years", event_col="event")

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
    return {name: in_years(attempt(name, run)) for name, run in tables.items()}


def at_risk_times(horizon_years: float) -> list[float]:
    """Half a year, whole years and the horizon; quarters too where follow-up is short."""
    marks = [0, 0.5, *range(1, int(horizon_years) + 1)] if horizon_years > 1 else [0, 0.25, 0.5, 0.75]
    apart = 0.2 if horizon_years <= 1 else 0.05 * horizon_years  # nearer to the horizon, two ticks would overlap
    return [*(mark for mark in marks if mark <= horizon_years - apart), horizon_years]


def _named_causes(table: ResultTable) -> ResultTable:
    named = table.frame["term"].replace({"1": "renal_flare", "2": "eskd or death"})
    return ResultTable(table.frame.assign(term=named), table.metadata)
