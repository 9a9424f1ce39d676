"""Transitions between consecutive visits: from which state patients go to which, with intervals."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analyses.columns import as_text, refuse_repeated, require_complete, require_probability, visit_months
from analyses.design_matrix import ordered_levels
from analyses.kernels.proportions import wilson_interval
from cohort.errors import AnalysisError
from cohort.results import ResultTable, result_table

NOBODY = "nobody is in this state at the visit and seen at the next"


def visit_transitions(
    data: pd.DataFrame,
    *,
    subject_col: str = "patient_id",
    time_col: str = "visit_month",
    state_col: str = "state",
    by: str | None = "arm",
    conf_level: float = 0.95,
) -> ResultTable:
    """Estimate, for each two consecutive visits, the share of the patients in a state who are in each state next.

    Parameters
    ----------
    data
        One row per patient and visit with a known state, for instance of
        :func:`analyses.longitudinal.visit_states`. A visit missed has no row: such a patient does not count between
        the visits on either side of it, and nothing corrects for that.
    subject_col, time_col, state_col
        Patient, month of the visit, and state. An ordered categorical gives the order of the states.
    by
        Column whose levels are estimated apart, or None.
    conf_level
        Coverage of the Wilson intervals, each for itself.

    Returns
    -------
    ResultTable
        ``statistic="visit_transition"``, one row per ``group``, two consecutive visits (``time`` the later, ``method``
        names both) and pair of states (``term``, "NR to CR"): ``estimate`` the share, ``conf_low, conf_high``, ``n``
        patients in the first state who are seen at both, ``n_events`` those in the second state at the later. A state
        that nobody is in has rows with ``n=0`` and a ``note``.

    Raises
    ------
    AnalysisError
        Unknown column, no rows, missing values, times that are not numbers, a patient twice at a visit, a single visit.
    UsageError
        ``conf_level`` out of range.

    Examples
    --------
    >>> seen = pd.DataFrame({"patient_id": ["a", "a", "b", "b"], "visit_month": [0, 6, 0, 6],
    ...                      "state": ["NR", "CR", "NR", "NR"]})
    >>> visit_transitions(seen, by=None).frame[["term", "estimate", "n"]].iloc[2:].to_numpy().tolist()
    [['NR to CR', 0.5, 2.0], ['NR to NR', 0.5, 2.0]]
    """
    where = "visit_transitions"
    require_probability(conf_level, "conf_level")
    require_complete(data, [subject_col, state_col, *([] if by is None else [by])], where=where)
    months = visit_months(data, time_col, where=where)
    refuse_repeated(data, subject_col, time_col, where=where)
    states, codes = ordered_levels(data[state_col])
    visits, visit = np.unique(months, return_inverse=True)
    if len(visits) < 2:
        raise AnalysisError(
            "a transition needs two visits",
            where=f"{where}, column {time_col}",
            got=f"only month {visits[0]:g}",
            remedy="check how the data were filtered",
        )
    groups = np.full(len(data), "") if by is None else as_text(data[by])
    subjects = pd.factorize(data[subject_col])[0]
    rows = []
    for group in sorted(set(groups.tolist())):
        own = groups == group
        courses = np.full((subjects.max() + 1, len(visits)), -1, dtype=np.intp)
        courses[subjects[own], visit[own]] = codes[own]
        for place in range(len(visits) - 1):
            method = f"share from month {visits[place]:g} to month {visits[place + 1]:g}, Wilson interval"
            for row in _visit_rows(courses[:, place], courses[:, place + 1], states, conf_level):
                rows.append(row | {"group": group if by else None, "time": visits[place + 1], "method": method})
    return result_table(
        rows,
        metadata={
            "spec": {
                "function": where,
                "subject_col": subject_col,
                "time_col": time_col,
                "state_col": state_col,
                "by": by,
                "conf_level": conf_level,
            }
        },
        analysis="longitudinal",
        statistic="visit_transition",
        time_unit="month",
        conf_level=conf_level,
    )


def _visit_rows(
    earlier: np.ndarray, later: np.ndarray, states: tuple[str, ...], conf_level: float
) -> list[dict[str, object]]:
    both = (earlier >= 0) & (later >= 0)
    size = len(states)
    counts = np.bincount(earlier[both] * size + later[both], minlength=size * size).reshape(size, size)
    rows: list[dict[str, object]] = []
    for first in range(size):
        total = int(counts[first].sum())
        for second in range(size):
            interval = wilson_interval(counts[first, second], total, conf_level=conf_level)
            rows.append(
                {
                    "term": f"{states[first]} to {states[second]}",
                    "estimate": float(interval.estimate),
                    "conf_low": float(interval.low),
                    "conf_high": float(interval.high),
                    "n": float(total),
                    "n_events": float(counts[first, second]),
                    "note": None if total else NOBODY,
                }
            )
    return rows
