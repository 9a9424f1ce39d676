"""The course of response as states: how many are in each, how long, and how they move between visits."""

from __future__ import annotations

import numpy as np

from analyses.datasets import AnalysisData
from analyses.plan.attempts import Tables, attempt
from analyses.plan.labels import in_years, with_ordered_arms

SHORT_YEARS = 2
"""Up to here the course is shown by month, beyond by quarter of a year."""


def states(data: AnalysisData) -> Tables:
    """Occupancy of each state over time, mean time in each, and transitions between scheduled visits."""
    from analyses.longitudinal import (
        mean_time_in_state,
        response_history,
        state_occupancy,
        visit_states,
        visit_transitions,
    )

    history = with_ordered_arms(data, response_history(data))
    per_year = 12 if data.horizon_years <= SHORT_YEARS else 4
    marks = np.arange(round(data.horizon_years * per_year) + 1) / per_year
    times = [*(float(mark) for mark in marks if mark < data.horizon_years), data.horizon_years]
    return {
        "state_occupancy": in_years(
            attempt("state_occupancy", lambda: state_occupancy(history, times=times, by="arm"))
        ),
        "mean_time_in_state": in_years(
            attempt("mean_time_in_state", lambda: mean_time_in_state(history, tau=data.horizon_years, by="arm"))
        ),
        "visit_transitions": attempt("visit_transitions", lambda: visit_transitions(visit_states(data), by="arm")),
    }
