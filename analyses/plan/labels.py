"""Labels that the plan puts on tables: the population, the outcome, the unit of time; and the arm as a category."""

from __future__ import annotations

import pandas as pd

from analyses.datasets import AnalysisData
from cohort.results import ResultTable


def with_treated(data: AnalysisData) -> pd.DataFrame:
    """Mark the treated in the frame of event-free survival, the arms ordered as :func:`with_ordered_arms` does."""
    frame = data.event_free
    return with_ordered_arms(data, frame.assign(treated=(frame["arm"] == data.treated).astype(int)))


def with_ordered_arms(data: AnalysisData, frame: pd.DataFrame) -> pd.DataFrame:
    """Make the arm a category whose first level is the reference of every contrast."""
    levels = [code for code in (data.reference, data.treated) if code is not None]
    return frame.assign(arm=pd.Categorical(frame["arm"], categories=levels, ordered=True))


def in_population(table: ResultTable, population: str) -> ResultTable:
    """Write the population into every row."""
    return ResultTable(
        table.frame.assign(population=pd.array([population] * len(table), dtype="string")), table.metadata
    )


def in_group(table: ResultTable, group: str) -> ResultTable:
    """Write the group into every row."""
    return ResultTable(table.frame.assign(group=pd.array([group] * len(table), dtype="string")), table.metadata)


def with_term(table: ResultTable, term: str) -> ResultTable:
    """Write the term into every row."""
    return ResultTable(table.frame.assign(term=pd.array([term] * len(table), dtype="string")), table.metadata)


def in_years(table: ResultTable) -> ResultTable:
    """Write the year as the unit of every row that has a time."""
    unit = table.frame["time_unit"].where(table.frame["time"].isna(), "year")
    return ResultTable(table.frame.assign(time_unit=unit), table.metadata)
