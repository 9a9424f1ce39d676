"""Who is in the cohort: flow, missing values, Table 1 and response states."""

from __future__ import annotations

from analyses.datasets import AnalysisData
from analyses.flow import missing_values, patient_flow, response_states, responses_not_assessable
from analyses.plan.attempts import Tables, attempt
from analyses.plan.variables import TABLE_ONE


def describe(data: AnalysisData) -> Tables:
    """Patient flow, values that are missing, Table 1 and response states."""
    from analyses.describe import baseline_table

    return {
        "patient_flow": patient_flow(data),
        "missing_values": missing_values(data),
        "response_not_assessable": responses_not_assessable(data),
        "table_one": attempt(
            "table_one",
            lambda: baseline_table(data.baseline, group_col="arm", reference=data.reference, variables=TABLE_ONE),
        ),
        "response_states": response_states(data),
    }
