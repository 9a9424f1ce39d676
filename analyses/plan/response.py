"""Response rates by visit and their unadjusted differences."""

from __future__ import annotations

import pandas as pd

from analyses.datasets import AnalysisData
from analyses.plan.attempts import Tables, each_outcome, reference_arm
from analyses.plan.labels import in_population
from cohort.results import ResultTable


def response(data: AnalysisData) -> Tables:
    """Response rates per visit and their differences between the arms, unadjusted.

    A visit may be judged although values are missing, more often as no response than as a response. The rates among
    visits with every value, which that cannot bend, stand beside the others.
    """
    from analyses.response import compare_rates, response_rates

    def rates(rows: pd.DataFrame) -> ResultTable:
        return each_outcome(lambda outcome: response_rates(rows, outcome=outcome))  # type: ignore[arg-type]

    measured = data.responses[data.responses["all_measured"].to_numpy(dtype=bool)]
    return {
        "response_rates": rates(data.responses),
        "response_rates_measured": in_population(rates(measured), "visits with every value"),
        "response_differences": each_outcome(
            lambda outcome: compare_rates(data.responses, reference=reference_arm(data), outcome=outcome)  # type: ignore[arg-type]
        ),
    }
