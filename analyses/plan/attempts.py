"""Analyses that may fail: one that the data cannot support is a row that says why."""

from __future__ import annotations

from collections.abc import Callable

from analyses.datasets import AnalysisData
from analyses.plan.labels import in_population
from analyses.plan.variables import OUTCOMES
from cohort.errors import AnalysisError
from cohort.results import ResultTable, concat_results, result_table

Tables = dict[str, ResultTable]
"""Result tables by name."""


def attempt(name: str, run: Callable[[], ResultTable]) -> ResultTable:
    """Run an analysis; one that the data cannot support is a row whose note says why."""
    try:
        return run()
    except AnalysisError as error:
        return failure(name, error)


def attempt_pair(
    name: str, run: Callable[[], tuple[ResultTable, ResultTable]], population: str
) -> tuple[ResultTable, ResultTable]:
    """Run an analysis of two tables, as :func:`attempt` runs one, for a population."""
    try:
        return run()
    except AnalysisError as error:
        failed = in_population(failure(name, error), population)
        return failed, failed


def failure(name: str, error: AnalysisError) -> ResultTable:
    """Return the row that stands for an analysis that was not possible."""
    return result_table([{"note": f"not estimated: {error}"}], analysis=name, statistic="none")


def each_outcome(run: Callable[[str], ResultTable]) -> ResultTable:
    """Run an analysis for each response outcome; its name stands for one that fails."""
    return concat_results(attempt(outcome, lambda outcome=outcome: run(outcome)) for outcome in OUTCOMES)  # type: ignore[misc]


def reference_arm(data: AnalysisData) -> str:
    """Return the reference arm; what compares arms cannot be estimated without one."""
    if data.reference is None:
        raise AnalysisError("one arm: nothing to compare", where=f"arm {data.treated}")
    return data.reference
