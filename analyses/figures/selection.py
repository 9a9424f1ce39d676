"""Which rows of a result table a figure draws."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from cohort.errors import AnalysisError
from cohort.results import ResultTable


def rows_of(table: ResultTable, statistic: str, *, where: str, arms: Mapping[str, str] | None = None) -> pd.DataFrame:
    """Return the rows of one statistic, in their order.

    Parameters
    ----------
    table
        What to draw.
    statistic
        Value of the ``statistic`` column.
    where
        Name of the figure, for messages.
    arms
        Code to label of the arms that may occur in ``group``; None to leave groups unchecked.

    Raises
    ------
    AnalysisError
        No such rows, or a group that is not among ``arms``.

    Examples
    --------
    >>> from cohort.results import result_table
    >>> table = result_table([{"statistic": "survival", "estimate": 0.9}, {"statistic": "at_risk", "estimate": 9.0}])
    >>> rows_of(table, "at_risk", where="demo")["estimate"].tolist()
    [9.0]
    """
    frame = table.frame
    rows = frame[(frame["statistic"] == statistic).fillna(False).to_numpy(dtype=bool)]
    if not len(rows):
        raise AnalysisError(
            f"no rows of statistic {statistic}",
            where=where,
            got=", ".join(sorted(frame["statistic"].dropna().unique())) or "an empty table",
            remedy="pass the result table this figure is made for",
        )
    unknown = [] if arms is None else sorted(set(rows["group"].dropna()) - set(arms))
    if unknown:
        raise AnalysisError(
            "a group without a label",
            where=f"{where}, column group",
            got=", ".join(unknown),
            remedy="give every group of the table a label in arms",
        )
    return rows


def single_time_unit(frame: pd.DataFrame, *, where: str) -> str:
    """Return the one unit of time of the rows.

    Raises
    ------
    AnalysisError
        If there is none, or more than one.
    """
    units = sorted(frame["time_unit"].dropna().unique())
    if len(units) != 1:
        raise AnalysisError(
            "times need one unit",
            where=f"{where}, column time_unit",
            got=", ".join(units) or "none",
            remedy="put all times of the figure in one unit",
        )
    return str(units[0])
