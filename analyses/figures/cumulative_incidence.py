"""Cumulative incidence of competing events, one panel a cause."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from analyses.figures.labels import outcome_label
from analyses.figures.selection import rows_of, single_time_unit
from analyses.figures.style import FAINT, arm_styles, house_style, new_figure
from analyses.figures.survival_curves import draw_curve
from cohort.results import ResultTable

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_cumulative_incidence(table: ResultTable, *, arms: Mapping[str, str]) -> tuple[Axes, ...]:
    """Draw the probability of each cause over time, the other causes competing.

    Parameters
    ----------
    table
        Rows ``statistic="cumulative_incidence"`` by ``group``, ``time`` and ``term``, the cause.
    arms
        Code to label, in drawing order.

    Returns
    -------
    tuple of Axes
        One per cause, in the order of the table, one below the other and on one scale.

    Raises
    ------
    AnalysisError
        A table without these rows, a group that is not in ``arms``, an arm without rows, or two units of time.

    Examples
    --------
    >>> from cohort.results import result_table
    >>> rows = [{"time": 0.0, "estimate": 0.0}, {"time": 1.0, "estimate": 0.2}]
    >>> table = result_table(
    ...     rows, group="a", term="renal_flare", statistic="cumulative_incidence", time_unit="year", n_events=1
    ... )
    >>> plot_cumulative_incidence(table, arms={"a": "Arm A"})[0].get_title(loc="left")
    'Renal flare'
    """
    where = "plot_cumulative_incidence"
    rows = rows_of(table, "cumulative_incidence", where=where, arms=arms)
    unit = single_time_unit(rows, where=where)
    causes = list(dict.fromkeys(rows["term"]))
    with house_style():
        figure = new_figure(0.7 + 1.9 * len(causes))
        panels = figure.subplots(len(causes), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
        for axes, cause in zip(panels, causes, strict=True):
            for style in arm_styles(arms):
                own = rows[(rows["term"] == cause) & (rows["group"] == style.code)]
                draw_curve(axes, own, style, origin=0.0)
            axes.set_title(outcome_label(cause), loc="left")
            axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
            axes.grid(axis="y", color=FAINT, alpha=0.25, linewidth=0.6)
        panels[0].set_ylim(bottom=-0.015 * panels[0].get_ylim()[1])  # a curve that stays at 0 shows above the axis
        panels[0].set_xlim(left=0)
        panels[-1].set_xlabel(f"{unit.capitalize()}s since day 0")
        handles, names = panels[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=2, frameon=False, handlelength=3)
    return tuple(panels)
