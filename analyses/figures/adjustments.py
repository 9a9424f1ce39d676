"""Forest plots of one effect as every way of adjusting estimates it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from analyses.figures.forest_lines import (
    Line,
    LineGroup,
    contrast_labels,
    draw_groups,
    only_contrast,
    plain_ratio_ticks,
    ratio_of,
)
from analyses.figures.formatting import both_sides, interval
from analyses.figures.labels import model_label, outcome_label, visit_label
from analyses.figures.selection import rows_of
from analyses.figures.style import house_style
from cohort.results import ResultTable

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, slots=True)
class _Measure:
    """How an effect is written: its axis, what lies to the left and right of no effect, and the scale."""

    axis: str
    left: str
    right: str
    scale: float = 1.0
    is_log: bool = False


_MORE = ("more on {1}", "more on {0}")
_MEASURES = {
    "risk_difference": _Measure("Difference in responders, percentage points", *_MORE, 100.0),
    "survival_difference": _Measure("Difference, percentage points", *_MORE, 100.0),
    "restricted_mean_difference": _Measure("Difference, years", "longer on {1}", "longer on {0}"),
    "log_hazard_ratio": _Measure("Hazard ratio (log scale)", "fewer events on {0}", "fewer on {1}", is_log=True),
}
"""Effects that :func:`plot_adjustments` draws; the arms fill the places, treated first."""


def plot_adjustments(table: ResultTable, *, statistic: str, arms: Mapping[str, str]) -> tuple[Axes, ...]:
    """Draw one effect as every way of adjusting estimates it.

    Parameters
    ----------
    table
        ``compared_response`` of one outcome, or ``compared_survival``: rows of ``statistic`` by ``population`` (the way
        of adjusting), ``contrast`` and ``time``.
    statistic
        ``risk_difference``, ``survival_difference``, ``restricted_mean_difference`` or ``log_hazard_ratio``.
    arms
        Code to label.

    Returns
    -------
    tuple of Axes
        One per time, on one scale; in each a line per way of adjusting, with its number beside it. A way without an
        estimate shows a dash.

    Raises
    ------
    AnalysisError
        A table without these rows, more than one contrast, or an arm that is not in ``arms``.

    Examples
    --------
    >>> from cohort.results import result_table
    >>> row = {"population": "matched pairs", "contrast": "a v b", "estimate": 0.1, "conf_low": -0.4, "conf_high": 0.6}
    >>> table = result_table([row], statistic="log_hazard_ratio")
    >>> axes = plot_adjustments(table, statistic="log_hazard_ratio", arms={"a": "Arm A", "b": "Arm B"})
    >>> [label.get_text() for label in axes[0].get_yticklabels()]
    ['Matched pairs']
    """
    where = "plot_adjustments"
    measure, rows = _MEASURES[statistic], rows_of(table, statistic, where=where)
    named = contrast_labels(only_contrast(rows["contrast"], where), arms, where)
    ends = both_sides(measure.left.format(*named), measure.right.format(*named))
    times = sorted(rows["time"].dropna().unique()) if (rows["time_unit"] == "month").any() else []
    outcomes = list(dict.fromkeys(rows["term"].dropna()))
    outcome = f"{outcome_label(str(outcomes[0]))}, " if len(outcomes) == 1 else ""
    parts = [(f"{outcome}{visit_label(time)}", rows[rows["time"] == time]) for time in times] or [("", rows)]
    groups = [
        LineGroup(heading, tuple(_adjusted_line(row, measure) for _, row in own.iterrows())) for heading, own in parts
    ]
    with house_style():
        panels = draw_groups(groups, null=1.0 if measure.is_log else 0.0)
        if measure.is_log:
            panels[-1].set_xscale("log")
            plain_ratio_ticks(panels[-1])
        panels[-1].set_xlabel(f"{measure.axis}\n{ends}", fontsize=8.5)
    return panels


def _adjusted_line(row: pd.Series, measure: _Measure) -> Line:
    label = model_label(str(row["population"]))
    if measure.is_log:
        return Line(label, *ratio_of(row))
    centre, low, high = (measure.scale * float(row[name]) for name in ("estimate", "conf_low", "conf_high"))
    return Line(label, centre, low, high, interval(centre, low, high, decimals=1 if measure.scale > 1 else 2))
