"""Groups of analyses by name, and running them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from analyses.datasets import AnalysisData
from analyses.plan.attempts import Tables
from analyses.plan.competing import competing
from analyses.plan.course import course
from analyses.plan.describe import describe
from analyses.plan.design import design
from analyses.plan.first_response import first_response
from analyses.plan.hazards import hazards
from analyses.plan.later_events import after_response, poor_outcome, recurrent, subgroups
from analyses.plan.longitudinal import longitudinal
from analyses.plan.propensity import propensity
from analyses.plan.realism import realism
from analyses.plan.response import response
from analyses.plan.sensitivity import sensitivity
from analyses.plan.starts import starts
from analyses.plan.states import states
from analyses.plan.survival import survival
from cohort.errors import UsageError

Analysis = Callable[[AnalysisData], Tables]

ANALYSES: Mapping[str, tuple[Analysis, ...]] = {
    "design": (design,),
    "describe": (describe,),
    "response": (response, first_response),
    "longitudinal": (longitudinal, states, course),
    "survival": (survival, hazards, competing, poor_outcome, recurrent, after_response, subgroups),
    "propensity": (propensity,),
    "sensitivity": (sensitivity,),
    "starts": (starts,),
    "realism": (realism,),
}
"""Groups of analyses by the name that ``--only`` takes."""


def run_analyses(data: AnalysisData, *, only: Sequence[str] | None = None) -> Tables:
    """Run groups of analyses.

    Parameters
    ----------
    data
        Analysis frames of a cohort.
    only
        Names of groups (:data:`ANALYSES`); all if ``None``.

    Returns
    -------
    dict of str to ResultTable
        Result tables by name. An analysis that the data cannot support is a row whose ``note`` says why.

    Raises
    ------
    UsageError
        If a group is unknown.
    """
    chosen = list(ANALYSES) if only is None else list(only)
    unknown = [name for name in chosen if name not in ANALYSES]
    if unknown or not chosen:
        raise UsageError(
            "no analysis of that name",
            where="--only",
            got=", ".join(unknown) or "nothing",
            remedy=f"choose from {', '.join(ANALYSES)}",
        )
    tables: Tables = {}
    for name in chosen:
        tables |= run_group(data, name)
    return tables


def run_group(data: AnalysisData, name: str) -> Tables:
    """Run one group of analyses, as :func:`run_analyses` runs several.

    The metadata of every table say how many patients were assessed for eligibility, left out and why, and eligible.
    """
    from threadpoolctl import threadpool_limits  # what scikit-learn itself governs its threads with

    tables: Tables = {}
    # One thread: matrices are many and small, and threads of linear algebra wait for each other longer than they work.
    with threadpool_limits(1):
        for analysis in ANALYSES[name]:
            tables |= analysis(data)
    everybody = data.eligibility.frame[data.eligibility.frame["group"].isna().to_numpy()]
    flow = {str(term): int(count) for term, count in zip(everybody["term"], everybody["estimate"], strict=True)}
    return {key: table.with_metadata(design=data.design.name, flow=flow) for key, table in tables.items()}
