"""Tacrolimus that is started during follow-up: who, when, and what follows, compared without immortal time."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from analyses.datasets import AnalysisData
from analyses.plan.attempts import Tables, attempt
from analyses.varying_covariates import varying_covariates
from cohort.results import ResultTable, concat_results, result_table

if TYPE_CHECKING:
    from analyses.starts import TreatmentStarts

PROTEINURIA = "log_upcr"
COVARIATES = ("age_years", "class_v", PROTEINURIA)
"""What a start is taken to depend on: a cohort of this size has few starts, so few terms."""
LANDMARKS, INTERVAL, TRIALS, GRACE = (6.0, 12.0), 6.0, 6, 12.0
"""Months."""
NOBODY = "nobody starts tacrolimus during follow-up: there is nothing to compare"


def starts(data: AnalysisData) -> Tables:
    """Count starts of tacrolimus during follow-up and, if there are any, compare starters with others.

    Compared are the patients with every covariate at day 0; covariates in which they agree are left out of the models.
    """
    from analyses.starts import treatment_starts

    found = treatment_starts(data)
    counts = [
        {"term": str(reason), "estimate": float(patients), "n": float(len(data.event_free))}
        for reason, patients in zip(found.counts["reason"], found.counts["patients"], strict=True)
    ]
    table = result_table(counts, analysis="starts", population="all patients", statistic="count", method="counts")
    if found.rows["start_months"].notna().any():
        compared = attempt("starts", lambda: _compared(found, float(12 * data.horizon_years)))
        return {"tacrolimus_starts": concat_results([table, compared])}
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
        naive_clock_from_start,
        naive_ever_started,
        sequential_trials,
        time_varying_start,
    )

    covariates = varying_covariates(found.rows, COVARIATES)
    rows, model = covariates.rows, covariates.formula
    seen = found.visits[["patient_id", "month", PROTEINURIA]] if PROTEINURIA in covariates.columns else None
    analyses: tuple[Callable[[], ResultTable], ...] = (
        lambda: naive_ever_started(rows),
        lambda: naive_clock_from_start(rows),
        lambda: landmark_start(rows, model, at=LANDMARKS),
        lambda: time_varying_start(rows, model, visits=seen),
        lambda: sequential_trials(rows, model, interval=INTERVAL, trials=TRIALS, visits=seen),
        lambda: clone_censor_weight(rows, model, grace=GRACE, interval=INTERVAL, horizon=horizon, visits=seen),
    )
    return covariates.noted(concat_results(attempt("starts", analysis) for analysis in analyses))
