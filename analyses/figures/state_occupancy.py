"""The share of patients in each state over time: stacked areas, one panel an arm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pandas as pd

from analyses.figures.labels import outcome_label
from analyses.figures.selection import rows_of
from analyses.figures.style import FAINT, INK, ORANGE, PURPLE, SKY, arm_styles, house_style, new_figure
from cohort.results import ResultTable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LOOKS = {
    "CR": ("#00664b", ""),
    "PR": (SKY, "////"),
    "NR": (ORANGE, ""),
    "flare": (PURPLE, "\\\\\\\\"),
    "eskd": (FAINT, ""),
    "death": (INK, ""),
}
"""Fill and hatch from the best state to the worst: told apart in grey by lightness and hatch."""


def plot_state_occupancy(table: ResultTable, *, arms: Mapping[str, str]) -> tuple[Axes, ...]:
    """Draw, for each arm, the estimated share of patients in each state at each time.

    Parameters
    ----------
    table
        ``state_occupancy``: rows ``statistic="state_probability"`` by ``group``, ``time`` and ``term``, the state.
        Between the times given, shares stay as they are: they change when a visit or an event shows it.
    arms
        Code to label, in drawing order.

    Returns
    -------
    tuple of Axes
        One per arm, side by side, with one scale. States are stacked from complete response upwards.

    Raises
    ------
    AnalysisError
        A table without these rows, or with a group that is not in ``arms``.

    Examples
    --------
    >>> from cohort.results import result_table
    >>> rows = [{"time": time, "term": term, "estimate": share} for time in (0.0, 1.0)
    ...         for term, share in (("CR", time / 2), ("NR", 1 - time / 2))]
    >>> table = result_table(rows, group="a", statistic="state_probability", time_unit="year")
    >>> len(plot_state_occupancy(table, arms={"a": "Arm A"}))
    1
    """
    shares = rows_of(table, "state_probability", where="plot_state_occupancy", arms=arms)
    unit = str(shares["time_unit"].iloc[0])
    with house_style():
        figure = new_figure(3.6)
        panels = figure.subplots(1, len(arms), sharey=True, squeeze=False)[0]
        for axes, style in zip(panels, arm_styles(arms), strict=True):
            _draw_arm(axes, shares[shares["group"] == style.code])
            axes.set_title(style.label)
            axes.set_xlabel(f"{unit.capitalize()}s since day 0")
        panels[0].set_ylim(0, 1)
        panels[0].set_yticks([0, 0.25, 0.5, 0.75, 1], ["0 %", "25 %", "50 %", "75 %", "100 %"])
        panels[0].set_ylabel("Share of patients")
        handles, names = panels[0].get_legend_handles_labels()
        figure.legend(handles[::-1], names[::-1], loc="outside lower center", ncols=2, frameon=False)
    return tuple(panels)


def _draw_arm(axes: Axes, shares: pd.DataFrame) -> None:
    wide = shares.pivot(index="time", columns="term", values="estimate").sort_index()
    shown = [state for state in _LOOKS if state in wide.columns]
    areas = axes.stackplot(
        wide.index.to_numpy(dtype=float),
        *(wide[state].to_numpy(dtype=float) for state in shown),
        labels=[outcome_label(state) for state in shown],
        colors=[_LOOKS[state][0] for state in shown],
        edgecolor=INK,
        linewidth=0.5,
        step="post",
    )
    for area, state in zip(areas, shown, strict=True):
        area.set_hatch(_LOOKS[state][1])
    axes.set_xlim(float(wide.index.min()), float(wide.index.max()))
