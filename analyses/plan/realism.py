"""Whether the cohort resembles others; single patients of generated cohorts only."""

from __future__ import annotations

from collections.abc import Callable

from analyses.datasets import AnalysisData
from analyses.plan.attempts import Tables
from cohort.results import ResultTable, result_table

RECORDED_PATIENTS = (
    "single patients of a registry are not written into results; analyses.realism.example_trajectories and "
    "example_courses lay them out for those who may see them"
)
"""Why a registry's results hold no single patients."""

NOBODY_SHOWN = "no patient is seen at as many visits, or has such events, as an example needs"
"""Why a cohort with few visits shows no single patients."""


def realism(data: AnalysisData) -> Tables:
    """Baseline, correlations and courses beside those of other cohorts; single patients of generated cohorts only."""
    from analyses.realism import baseline_distributions, example_courses, example_trajectories, realism_table

    return {
        "realism": realism_table(data),
        "realism_distributions": baseline_distributions(data),
        "realism_trajectories": _single_patients(data, example_trajectories),
        "realism_courses": _single_patients(data, example_courses),
    }


def _single_patients(data: AnalysisData, lay_out: Callable[[AnalysisData], ResultTable]) -> ResultTable:
    """Lay out single patients of a generated cohort; results of a registry hold no row of a recorded patient."""
    if data.cohort.mode is None:
        return result_table([{"note": RECORDED_PATIENTS}], analysis="realism", statistic="none")
    table = lay_out(data)
    return table if len(table) else result_table([{"note": NOBODY_SHOWN}], analysis="realism", statistic="none")
