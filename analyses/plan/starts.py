"""Tacrolimus that is started during follow-up: who, when, and what follows, compared without immortal time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyses.datasets import AnalysisData
from analyses.plan.attempts import Tables, attempt
from cohort.results import ResultTable, concat_results, result_table

if TYPE_CHECKING:
    from analyses.starts import TreatmentStarts

MODEL = "age_years + class_v + log_upcr"
"""What a start is taken to depend on: a cohort of this size has few starts, so few terms."""
LANDMARKS, INTERVAL, TRIALS, GRACE = (6.0, 12.0), 6.0, 6, 12.0
"""Months."""
NOBODY = "nobody starts tacrolimus during follow-up: there is nothing to compare"


def starts(data: AnalysisData) -> Tables:
    """Count starts of tacrolimus during follow-up and, if there are any, compare starters with others."""
    from analyses.starts import treatment_starts

    found = treatment_starts(data)
    counts = [
        {"term": str(reason), "estimate": float(patients), "n": float(len(data.event_free))}
        for reason, patients in zip(found.counts["reason"], found.counts["patients"], strict=True)
    ]
    table = result_table(counts, analysis="starts", population="all patients", statistic="count", method="counts")
    if found.rows["start_months"].notna().any():
        return {"tacrolimus_starts": concat_results([table, _compared(found, float(12 * data.horizon_years))])}
    nobody = result_table(
        [{"statistic": "log_hazard_ratio", "term": "started", "note": NOBODY}],
        analysis="starts",
        population="all patients",
    )
    return {"tacrolimus_starts": concat_results([table, nobody])}


def _compared(found: TreatmentStarts, horizon: float) -> ResultTable:
    from analyses.starts import (
        clone_censor_weight,
        landmark_start,
        naive_ever_started,
        sequential_trials,
        time_varying_start,
    )

    rows, seen = found.rows, found.visits[["patient_id", "month", "log_upcr"]]
    return concat_results(
        [
            attempt("starts", lambda: naive_ever_started(rows)),
            attempt("starts", lambda: landmark_start(rows, MODEL, at=LANDMARKS)),
            attempt("starts", lambda: time_varying_start(rows, MODEL, visits=seen)),
            attempt("starts", lambda: sequential_trials(rows, MODEL, interval=INTERVAL, trials=TRIALS, visits=seen)),
            attempt(
                "starts",
                lambda: clone_censor_weight(rows, MODEL, grace=GRACE, interval=INTERVAL, horizon=horizon, visits=seen),
            ),
        ]
    )
