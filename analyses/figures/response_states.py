"""Response states over time: stacked bars per arm, patients not assessed included."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pandas as pd

from analyses.figures.labels import outcome_label, short_visit_label
from analyses.figures.selection import rows_of
from analyses.figures.style import INK, ORANGE, SKY, arm_styles, house_style, new_figure
from cohort.results import ResultTable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LOOKS = {
    "CR": ("#00664b", "white", ""),
    "PR": (SKY, INK, "////"),
    "NR": (ORANGE, INK, ""),
    "not assessed": ("#f2f2f2", INK, ""),
}
"""Fill, ink of the count and hatch: dark, hatched, plain and near-white, so that they differ without colour."""

_ROOM_FOR_A_COUNT = 0.045


def plot_response_states(table: ResultTable, *, arms: Mapping[str, str]) -> tuple[Axes, ...]:
    """Draw, for each arm and visit, how many patients are in which state of response.

    Parameters
    ----------
    table
        ``response_states``: rows ``statistic="proportion"`` (of the arm at enrolment) and ``"count"`` by ``group``,
        ``time`` in months and ``term`` (``CR``, ``PR``, ``NR``, ``not assessed``). Bars have the height of the
        proportion and carry the count where there is room for it.
    arms
        Code to label, in drawing order.

    Returns
    -------
    tuple of Axes
        One per arm, side by side, with one scale.

    Raises
    ------
    AnalysisError
        A table without these rows, or with a group that is not in ``arms``.

    Examples
    --------
    >>> from cohort.results import result_table
    >>> rows = [
    ...     {"group": "a", "time": 6.0, "term": term, "statistic": name, "estimate": value}
    ...     for term, count in (("CR", 3), ("NR", 1))
    ...     for name, value in (("count", count), ("proportion", count / 4))
    ... ]
    >>> len(plot_response_states(result_table(rows), arms={"a": "Arm A"}))
    1
    """
    where = "plot_response_states"
    shares = rows_of(table, "proportion", where=where, arms=arms)
    counts = rows_of(table, "count", where=where, arms=arms).set_index(["group", "time", "term"])["estimate"]
    months = sorted(shares["time"].unique())
    with house_style():
        figure = new_figure(3.6)
        panels = figure.subplots(1, len(arms), sharey=True, squeeze=False)[0]
        for axes, style in zip(panels, arm_styles(arms), strict=True):
            _draw_arm(axes, shares[shares["group"] == style.code], counts, months)
            axes.set_title(style.label)
            axes.set_xticks(range(len(months)), [short_visit_label(month) for month in months])
            axes.tick_params(axis="x", length=0)
        panels[0].set_ylim(0, 1)
        panels[0].set_yticks([0, 0.25, 0.5, 0.75, 1], ["0 %", "25 %", "50 %", "75 %", "100 %"])
        panels[0].set_ylabel("Patients enrolled in the arm")
        handles, names = panels[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=2, frameon=False)
    return tuple(panels)


def _draw_arm(axes: Axes, shares: pd.DataFrame, counts: pd.Series, months: list[float]) -> None:
    bottom = [0.0] * len(months)
    for term, (fill, ink, hatch) in _LOOKS.items():
        rows = shares[shares["term"] == term].set_index("time")["estimate"]
        heights = [float(rows.get(month, 0.0)) for month in months]
        axes.bar(
            range(len(months)),
            heights,
            bottom=bottom,
            width=0.86,
            color=fill,
            edgecolor=INK,
            linewidth=0.6,
            hatch=hatch,
            label=outcome_label(term),
        )
        group = shares["group"].iloc[0] if len(shares) else ""
        for place, (month, height) in enumerate(zip(months, heights, strict=True)):
            if height >= _ROOM_FOR_A_COUNT:
                axes.text(
                    place,
                    bottom[place] + height / 2,
                    f"{counts[group, month, term]:.0f}",
                    ha="center",
                    va="center",
                    color=ink,
                    fontsize=8,
                    bbox={"facecolor": fill, "edgecolor": "none", "pad": 0.8} if hatch else None,
                )
        bottom = [low + height for low, height in zip(bottom, heights, strict=True)]
