"""Differences of response rates within subgroups, with a test of interaction."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import chdtrc

from analyses.columns import as_text, require_complete, require_probability, treated_rows, visit_months
from analyses.design_matrix import ordered_levels
from analyses.kernels.proportions import newcombe_difference
from analyses.response.rates import Outcome, response_events
from cohort.results import ResultTable, result_table

ONE_SUBGROUP = "no test: fewer than two subgroups have patients on both arms"


def subgroup_differences(
    data: pd.DataFrame,
    *,
    treated: str,
    subgroup_col: str,
    response_col: str = "response",
    group_col: str = "arm",
    time_col: str | None = "visit_month",
    outcome: Outcome = "CR or PR",
    conf_level: float = 0.95,
) -> ResultTable:
    """Estimate the difference of response rates between two arms in each subgroup at each visit.

    Parameters
    ----------
    data, response_col, group_col, time_col, outcome, conf_level
        As for :func:`analyses.response.response_rates`.
    treated
        Level of ``group_col`` whose rate is the first of the difference; there are two levels.
    subgroup_col
        Column of the subgroups, known at baseline, for instance ``isn_rps_class``.

    Returns
    -------
    ResultTable
        For each time, one row ``population="subgroup"`` per level (``group``), ``statistic="risk_difference"``,
        ``contrast`` "treated v reference", ``term`` the outcome, with Newcombe's interval, ``n`` patients and
        ``n_events`` responders of both arms; a subgroup with nobody in an arm has a row with a ``note``. Then a row
        ``statistic="chi_square"``: test that the differences are equal, the sum of their squared deviations from their
        inverse-variance mean, each arm of a subgroup counted with one responder and one non-responder more; ``note``
        ``df=...`` or why there is none. Without them the test takes the difference between two small groups that
        happen to respond alike for exact: with the classes of 179 patients it rejected 25 % of true null hypotheses
        at the 5 % level, with them 3 % (20,000 draws). Subgroups with an empty arm take no part.

    Raises
    ------
    AnalysisError
        As :func:`analyses.response.response_rates`; also unless there are two arms, one of them ``treated``.
    UsageError
        ``outcome`` or ``conf_level`` out of range.

    References
    ----------
    Newcombe RG. Stat Med 1998;17:873-890. Agresti A, Caffo B. Am Stat 2000;54:280-288.
    doi:10.1080/00031305.2000.10474560

    Examples
    --------
    >>> seen = pd.DataFrame({"arm": ["a", "a", "b", "b"] * 2, "isn_rps_class": ["IV"] * 4 + ["V"] * 4,
    ...                      "response": ["CR", "NR", "NR", "NR", "CR", "CR", "CR", "NR"]})
    >>> table = subgroup_differences(seen, treated="a", subgroup_col="isn_rps_class", time_col=None).frame
    >>> table[["group", "estimate"]].iloc[:2].to_numpy().tolist()
    [['IV', 0.5], ['V', 0.5]]
    """
    where = "subgroup_differences"
    require_probability(conf_level, "conf_level")
    require_complete(data, [response_col, group_col, subgroup_col], where=where)
    responded = response_events(data, response_col, outcome, where=where)
    on = treated_rows(data, group_col, treated, where=where)
    reference = next(name for name in sorted(set(as_text(data[group_col]).tolist())) if name != str(treated))
    levels, codes = ordered_levels(data[subgroup_col])
    months = None if time_col is None else visit_months(data, time_col, where=where)
    rows: list[dict[str, object]] = []
    for month in [None] if months is None else np.unique(months):
        here = np.ones(len(data), dtype=bool) if months is None else months == month
        when: dict[str, object] = {} if month is None else {"time": float(month), "time_unit": "month"}
        cells = [_cell(here & (codes == code), on, responded) for code in range(len(levels))]
        own = [
            _difference_row(cell, (str(treated), reference), conf_level) | {"group": level}
            for level, cell in zip(levels, cells, strict=True)
        ]
        rows += [when | row for row in [*own, _interaction_row(cells)]]
    return result_table(
        rows,
        metadata={
            "spec": {
                "function": where,
                "treated": str(treated),
                "subgroup_col": subgroup_col,
                "response_col": response_col,
                "group_col": group_col,
                "time_col": time_col,
                "outcome": outcome,
                "conf_level": conf_level,
            }
        },
        analysis="response",
        population="subgroup",
        contrast=f"{treated} v {reference}",
        term=outcome,
    )


Cell = tuple[int, int, int, int]
"""Responders and patients, treated then reference."""


def _cell(inside: NDArray[np.bool_], on: NDArray[np.bool_], responded: NDArray[np.bool_]) -> Cell:
    treated, reference = inside & on, inside & ~on
    return (
        int(responded[treated].sum()),
        int(treated.sum()),
        int(responded[reference].sum()),
        int(reference.sum()),
    )


def _padded(cell: Cell) -> tuple[float, float]:
    """Difference and variance with a responder and a non-responder more in each arm; NaN where an arm is empty."""
    events, n, other_events, other = cell
    if not (n and other):
        return math.nan, math.nan
    rate, other_rate = (events + 1) / (n + 2), (other_events + 1) / (other + 2)
    return rate - other_rate, rate * (1 - rate) / (n + 2) + other_rate * (1 - other_rate) / (other + 2)


def _difference_row(cell: Cell, arms: tuple[str, str], conf_level: float) -> dict[str, object]:
    interval = newcombe_difference(*cell, conf_level=conf_level)
    empty = [arm for arm, size in zip(arms, cell[1::2], strict=True) if not size]
    return {
        "statistic": "risk_difference",
        "estimate": float(interval.estimate),
        "conf_low": float(interval.low),
        "conf_high": float(interval.high),
        "conf_level": conf_level,
        "n": float(cell[1] + cell[3]),
        "n_events": float(cell[0] + cell[2]),
        "method": "Newcombe hybrid score interval",
        "note": f"not estimated: nobody on {' or '.join(empty)}" if empty else None,
    }


def _interaction_row(cells: list[Cell]) -> dict[str, object]:
    differences, variances = np.array([_padded(cell) for cell in cells]).T
    used = ~np.isnan(variances)
    row: dict[str, object] = {
        "statistic": "chi_square",
        "n": float(sum(cell[1] + cell[3] for cell in cells)),
        "n_events": float(sum(cell[0] + cell[2] for cell in cells)),
        "method": "test of interaction, equal risk differences, one responder and non-responder added to each arm",
    }
    if used.sum() < 2:
        return row | {"note": ONE_SUBGROUP}
    weights = 1 / variances[used]
    mean = np.sum(weights * differences[used]) / weights.sum()
    chi_square = float(np.sum(weights * (differences[used] - mean) ** 2))
    degrees = int(used.sum()) - 1
    return row | {"estimate": chi_square, "p_value": float(chdtrc(degrees, chi_square)), "note": f"df={degrees}"}
