"""Response rates under each strategy for missing visits, side by side at every visit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pandas as pd

from analyses.figures.labels import outcome_label, short_visit_label, strategy_label
from analyses.figures.selection import rows_of
from analyses.figures.style import BLUE, FAINT, INK, ORANGE, VERMILLION, house_style, new_figure
from cohort.results import ResultTable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LOOKS = ((INK, "o", True), (VERMILLION, "v", True), (BLUE, "D", False), (ORANGE, "s", True))
"""Colour, marker and whether it is filled: told apart in grey by the marker."""
_SPREAD = 0.19
"""Of the distance between visits, how far neighbouring strategies stand apart."""


def plot_visit_strategies(table: ResultTable, *, arms: Mapping[str, str]) -> tuple[Axes, ...]:
    """Draw the response rate at each visit under each strategy for visits that were missed.

    Parameters
    ----------
    table
        ``missing_visit_strategies``: rows ``statistic="proportion"`` by ``population`` (the strategy), ``group``,
        ``time`` in months and ``term``, with their limits. A missing estimate leaves a gap.
    arms
        Code to label, in drawing order.

    Returns
    -------
    tuple of Axes
        Row by row: a row per outcome, a column per arm, on one scale. At each visit the strategies stand side by side
        in the order of the table; visits are spaced evenly, whatever time lies between them.

    Raises
    ------
    AnalysisError
        A table without these rows, or with a group that is not in ``arms``.

    Examples
    --------
    >>> from cohort.results import result_table
    >>> row = {"group": "a", "time": 6.0, "term": "CR", "estimate": 0.5, "conf_low": 0.4, "conf_high": 0.6}
    >>> table = result_table(
    ...     [row | {"population": name} for name in ("observed cases", "multiple imputation")], statistic="proportion"
    ... )
    >>> [axes.get_title() for axes in plot_visit_strategies(table, arms={"a": "Arm A"})]
    ['Arm A\\nComplete response']
    """
    rows = rows_of(table, "proportion", where="plot_visit_strategies", arms=arms)
    outcomes = list(dict.fromkeys(rows["term"]))
    months = sorted(rows["time"].unique())
    with house_style():
        figure = new_figure(1.2 + 1.75 * len(outcomes))
        grid = figure.subplots(len(outcomes), len(arms), sharex=True, sharey=True, squeeze=False)
        for line, outcome in zip(grid, outcomes, strict=True):
            for axes, (code, label) in zip(line, arms.items(), strict=True):
                _draw(axes, rows[(rows["term"] == outcome) & (rows["group"] == code)], months)
                axes.set_title(f"{label}\n{outcome_label(outcome)}" if axes in grid[0] else outcome_label(outcome),
                               fontsize=8.5)  # fmt: skip
        first = grid[0][0]
        first.set_ylim(0, 1)
        first.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0 %", "25 %", "50 %", "75 %", "100 %"])
        first.set_xlim(-0.5, len(months) - 0.5)
        first.set_xticks(range(len(months)), [short_visit_label(month) for month in months])
        handles, names = first.get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=2, frameon=False, fontsize=8.5)
    return tuple(grid.ravel())


def _draw(axes: Axes, rows: pd.DataFrame, months: list[float]) -> None:
    strategies = list(dict.fromkeys(rows["population"]))
    place = {month: position for position, month in enumerate(months)}
    for order, (strategy, (colour, marker, filled)) in enumerate(zip(strategies, _LOOKS, strict=False)):
        own = rows[rows["population"] == strategy].sort_values("time")
        centre = own["estimate"].to_numpy()
        shift = _SPREAD * (order - (len(strategies) - 1) / 2)
        axes.errorbar(
            own["time"].map(place).to_numpy(dtype=float) + shift,
            centre,
            yerr=[centre - own["conf_low"].to_numpy(), own["conf_high"].to_numpy() - centre],
            color=colour,
            linestyle="none",
            marker=marker,
            markersize=3.5,
            markerfacecolor=colour if filled else "white",
            elinewidth=0.9,
            label=strategy_label(str(strategy)),
        )
    axes.grid(axis="y", color=FAINT, alpha=0.25, linewidth=0.6)
    axes.tick_params(labelsize=8.5)
