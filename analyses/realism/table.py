"""The realism table of a cohort."""

from __future__ import annotations

from analyses.datasets import AnalysisData
from analyses.realism.correlations import correlation_rows
from analyses.realism.marginals import marginal_rows
from analyses.realism.plausibility import plausibility_rows
from analyses.realism.ranges import RealismRanges
from cohort.results import ResultTable, result_table


def realism_table(data: AnalysisData, *, ranges: RealismRanges | None = None) -> ResultTable:
    """Put a cohort beside what is known of other cohorts, and beside what the disease and a laboratory allow.

    Parameters
    ----------
    data
        Analysis frames of any cohort, generated or recorded. Only its tables are read, never what a generator knows.
    ranges
        Published values to compare with; the package's own by default.

    Returns
    -------
    ResultTable
        The rows of :func:`~analyses.realism.marginals.marginal_rows`,
        :func:`~analyses.realism.correlations.correlation_rows` and
        :func:`~analyses.realism.plausibility.plausibility_rows`. The ``note`` of each row about the cohort opens
        with a verdict (:class:`~analyses.realism.verdicts.Verdict`).
    """
    used = RealismRanges() if ranges is None else ranges
    rows = [*marginal_rows(data, used), *correlation_rows(data), *plausibility_rows(data)]
    return result_table(rows, metadata={"spec": {"function": "realism_table"}}, analysis="realism")
