"""Response rates of each group at each visit, and their comparison between groups."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from analyses.columns import (
    BoolArray,
    FloatArray,
    TextArray,
    as_text,
    require_complete,
    require_level,
    require_probability,
    visit_months,
)
from analyses.kernels.proportions import (
    IntervalEstimate,
    fisher_exact,
    newcombe_difference,
    odds_ratio,
    pearson_chi_square,
    risk_ratio,
    wilson_interval,
)
from cohort.codes import Response
from cohort.errors import AnalysisError, UsageError
from cohort.results import ResultTable, result_table

Outcome = Literal["CR", "PR", "CR or PR"]

_COUNTED: dict[str, tuple[Response, ...]] = {
    "CR": (Response.CR,),
    "PR": (Response.PR,),
    "CR or PR": (Response.CR, Response.PR),
}
_SMALL_EXPECTED_COUNT = 5.0
_EMPTY = "no patient of this group at this time"


@dataclass(frozen=True, slots=True)
class _Cell:
    """Counts of one group at one time."""

    group: str
    time: float | None
    patients: int
    events: int


def response_rates(
    data: pd.DataFrame,
    *,
    response_col: str = "response",
    group_col: str = "arm",
    time_col: str | None = "visit_month",
    outcome: Outcome = "CR or PR",
    conf_level: float = 0.95,
) -> ResultTable:
    """Proportion of patients in response, by group and visit, with Wilson intervals.

    The denominator is the rows there are: a patient without an assessed response at a visit has no row for it.

    Parameters
    ----------
    data
        One row per patient and visit (or per patient, with ``time_col=None``).
    response_col
        Column of ``CR``, ``PR`` and ``NR``.
    group_col
        Column of the groups, of any number of levels.
    time_col
        Numeric column of the visit month, or None when the data are of one time.
    outcome
        What counts as an event.
    conf_level
        Confidence level of the intervals.

    Returns
    -------
    ResultTable
        One row per group (sorted) and time (ascending): ``group``, ``time`` (with ``time_unit="month"``), ``term`` the
        outcome, ``statistic="proportion"``, ``estimate``, ``conf_low`` and ``conf_high``, ``n`` patients and
        ``n_events`` responders. The Wilson interval has no standard error, so ``std_error`` is missing. No event gives
        0 with a lower limit of 0. A group absent at a time others are seen has a row with ``n=0`` and a note.

    Raises
    ------
    AnalysisError
        Unknown column, no rows, missing values in a column used, a response other than the three codes.
    UsageError
        ``outcome`` or ``conf_level`` out of range.

    References
    ----------
    Wilson EB. J Am Stat Assoc 1927;22:209-212. doi:10.1080/01621459.1927.10502953

    Examples
    --------
    >>> import pandas as pd
    >>> data = pd.DataFrame({"arm": "a", "visit_month": 6, "response": ["CR", "PR", "NR", "NR"]})
    >>> response_rates(data, outcome="CR").frame[["estimate", "n", "n_events"]].iloc[0].tolist()
    [0.25, 4.0, 1.0]
    """
    require_probability(conf_level, "conf_level")
    rows = []
    for cell in _cells(data, response_col, group_col, time_col, outcome, where="response_rates"):
        interval = wilson_interval(cell.events, cell.patients, conf_level=conf_level)
        rows.append(
            {
                "group": cell.group,
                **_when(cell.time),
                "estimate": float(interval.estimate),
                "conf_low": float(interval.low),
                "conf_high": float(interval.high),
                "n": cell.patients,
                "n_events": cell.events,
                "note": None if cell.patients else _EMPTY,
            }
        )
    return result_table(
        rows,
        metadata={
            "spec": {
                "function": "response_rates",
                "response_col": response_col,
                "group_col": group_col,
                "time_col": time_col,
                "outcome": outcome,
                "conf_level": conf_level,
            }
        },
        analysis="response",
        term=outcome,
        statistic="proportion",
        method="Wilson score interval",
        conf_level=conf_level,
    )


def compare_rates(
    data: pd.DataFrame,
    *,
    reference: str,
    response_col: str = "response",
    group_col: str = "arm",
    time_col: str | None = "visit_month",
    outcome: Outcome = "CR or PR",
    conf_level: float = 0.95,
) -> ResultTable:
    """Compare the response rate of each group with that of the reference, visit by visit, unadjusted.

    Parameters
    ----------
    data, response_col, group_col, time_col, outcome, conf_level
        As for :func:`response_rates`.
    reference
        Level of ``group_col`` the others are compared with.

    Returns
    -------
    ResultTable
        Five rows per contrast (``"tacrolimus v no_tacrolimus"``) and time, told apart by ``statistic``:

        - ``risk_difference`` with Newcombe's hybrid score interval (no standard error);
        - ``risk_ratio`` and ``odds_ratio`` with log-Wald intervals, ``std_error`` on the log scale;
        - ``chi_square``: Pearson, no continuity correction, ``estimate`` the statistic; the note counts small expected
          counts;
        - ``fisher_exact``: ``p_value`` only, two-sided by the minimum-likelihood rule (with a note that it has no
          estimate).

        ``n`` and ``n_events`` are of both groups together. Zero cells are never corrected: the ratio is 0 without
        limits, or missing, and the note says so. Without variation (no event at all, or only events) the chi-square is
        missing with a note and Fisher's p-value is 1.

    Raises
    ------
    AnalysisError
        As :func:`response_rates`; also when there is only one group or ``reference`` is none of them.
    UsageError
        ``outcome`` or ``conf_level`` out of range.

    References
    ----------
    Newcombe RG. Stat Med 1998;17:873-890. doi:10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I

    Examples
    --------
    >>> import pandas as pd
    >>> data = pd.DataFrame({"arm": ["a"] * 4 + ["b"] * 4, "visit_month": 6, "response": ["CR", "CR", "CR", "NR"] * 2})
    >>> table = compare_rates(data, reference="b").frame
    >>> table["statistic"].tolist()
    ['risk_difference', 'risk_ratio', 'odds_ratio', 'chi_square', 'fisher_exact']
    """
    require_probability(conf_level, "conf_level")
    cells = _cells(data, response_col, group_col, time_col, outcome, where="compare_rates")
    groups = list(dict.fromkeys(cell.group for cell in cells))
    require_level(groups, reference, where=f"compare_rates, column {group_col}")
    baseline = {cell.time: cell for cell in cells if cell.group == reference}
    rows: list[dict[str, object]] = []
    for cell in cells:
        if cell.group != reference:
            rows.extend(_contrast_rows(cell, baseline[cell.time], conf_level))
    return result_table(
        rows,
        metadata={
            "spec": {
                "function": "compare_rates",
                "reference": reference,
                "response_col": response_col,
                "group_col": group_col,
                "time_col": time_col,
                "outcome": outcome,
                "conf_level": conf_level,
            }
        },
        analysis="response",
        term=outcome,
    )


def _when(time: float | None) -> dict[str, object]:
    return {} if time is None else {"time": time, "time_unit": "month"}


def response_events(data: pd.DataFrame, response_col: str, outcome: str, *, where: str) -> BoolArray:
    """Return which rows of a response column, without missing values, count as an event.

    Parameters
    ----------
    data, response_col, outcome
        As for :func:`response_rates`.
    where
        Name of the estimator, for messages.

    Raises
    ------
    AnalysisError
        A response other than CR, PR and NR.
    UsageError
        Unknown ``outcome``.

    Examples
    --------
    >>> import pandas as pd
    >>> response_events(pd.DataFrame({"response": ["CR", "PR"]}), "response", "PR", where="demo").tolist()
    [False, True]
    """
    if outcome not in _COUNTED:
        raise UsageError("unknown outcome", where=where, got=str(outcome), remedy=f"use one of {', '.join(_COUNTED)}")
    response = as_text(data[response_col])
    foreign = sorted(set(response.tolist()) - {code.value for code in Response})
    if foreign:
        raise AnalysisError(
            "not a response code",
            where=f"{where}, column {response_col}",
            got=", ".join(foreign),
            remedy="use CR, PR and NR",
        )
    return np.isin(response, [code.value for code in _COUNTED[outcome]])


def _cells(
    data: pd.DataFrame, response_col: str, group_col: str, time_col: str | None, outcome: str, *, where: str
) -> list[_Cell]:
    require_complete(data, [response_col, group_col], where=where)
    event = response_events(data, response_col, outcome, where=where)
    time = None if time_col is None else visit_months(data, time_col, where=where)
    return list(_count(as_text(data[group_col]), time, event))


def _count(group: TextArray, time: FloatArray | None, event: BoolArray) -> Iterator[_Cell]:
    times: list[float | None] = [None] if time is None else [float(value) for value in np.unique(time)]
    for name in sorted(set(group.tolist())):
        for when in times:
            rows = group == name if when is None else (group == name) & (time == when)
            yield _Cell(name, when, int(rows.sum()), int(event[rows].sum()))


def _contrast_rows(cell: _Cell, reference: _Cell, conf_level: float) -> list[dict[str, object]]:
    counts = (cell.events, cell.patients, reference.events, reference.patients)
    shared: dict[str, object] = {
        "contrast": f"{cell.group} v {reference.group}",
        **_when(cell.time),
        "n": cell.patients + reference.patients,
        "n_events": cell.events + reference.events,
    }
    empty = "" if cell.patients and reference.patients else "a group has no patient at this time"
    difference = newcombe_difference(*counts, conf_level=conf_level)
    return [
        shared | _interval_row("risk_difference", difference, conf_level, "Newcombe hybrid score interval", empty),
        shared
        | _interval_row(
            "risk_ratio",
            risk_ratio(*counts, conf_level=conf_level),
            conf_level,
            "log-Wald interval",
            empty or _risk_ratio_note(cell, reference),
        ),
        shared
        | _interval_row(
            "odds_ratio",
            odds_ratio(*counts, conf_level=conf_level),
            conf_level,
            "log-Wald interval",
            empty or _odds_ratio_note(cell, reference),
        ),
        shared | _chi_square_row(cell, reference, empty),
        shared
        | {
            "statistic": "fisher_exact",
            "p_value": np.nan if empty else fisher_exact(*counts),
            "method": "Fisher exact test, two-sided by minimum likelihood",
            "note": empty or "the test has a p-value and no estimate",
        },
    ]


def _interval_row(
    statistic: str, interval: IntervalEstimate, conf_level: float, method: str, note: str
) -> dict[str, object]:
    return {
        "statistic": statistic,
        "estimate": float(interval.estimate),
        "std_error": float(interval.std_error),
        "conf_low": float(interval.low),
        "conf_high": float(interval.high),
        "conf_level": conf_level,
        "method": method,
        "note": note or None,
    }


def _chi_square_row(cell: _Cell, reference: _Cell, empty: str) -> dict[str, object]:
    table = [[c.events, c.patients - c.events] for c in (cell, reference)]
    test = pearson_chi_square(table)
    note = empty
    if not note and np.isnan(test.statistic):
        note = "every patient has the same outcome, so there is nothing to test"
    elif not note and test.smallest_expected < _SMALL_EXPECTED_COUNT:
        note = f"smallest expected count {test.smallest_expected:.1f}, below {_SMALL_EXPECTED_COUNT:.0f}"
    return {
        "statistic": "chi_square",
        "estimate": test.statistic,
        "p_value": test.p_value,
        "method": "Pearson chi-square test, no continuity correction",
        "note": note or None,
    }


def _risk_ratio_note(cell: _Cell, reference: _Cell) -> str:
    if reference.events == 0:
        return f"no event in {reference.group}: the ratio is not defined"
    if cell.events == 0:
        return f"no event in {cell.group}: the log-Wald interval is not defined"
    if cell.events == cell.patients and reference.events == reference.patients:
        return "every patient of both groups has the event: the log-Wald interval has no width"
    return ""


def _odds_ratio_note(cell: _Cell, reference: _Cell) -> str:
    if reference.events == 0 or cell.events == cell.patients:
        return "a zero cell in the denominator: the ratio is not defined"
    if cell.events == 0 or reference.events == reference.patients:
        return "a zero cell: the log-Wald interval is not defined"
    return ""
