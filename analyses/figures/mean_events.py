"""The mean number of events per patient over time, one line an arm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from analyses.figures.selection import rows_of, single_time_unit
from analyses.figures.style import FAINT, arm_styles, house_style, new_figure
from analyses.figures.survival_curves import draw_curve
from cohort.results import ResultTable

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_mean_events(table: ResultTable, *, arms: Mapping[str, str], quantity: str = "Flares per patient") -> Axes:
    """Draw the mean cumulative number of events.

    Parameters
    ----------
    table
        ``mean_flares``: rows ``statistic="mean_events"`` by ``group`` and ``time``, drawn from 0 at
        time 0.
    arms
        Code to label, in drawing order.
    quantity
        What is counted, for the vertical axis.

    Returns
    -------
    Axes
        Step lines with pointwise intervals as light bands.

    Raises
    ------
    AnalysisError
        A table without these rows, a group that is not in ``arms``, an arm without rows, or two units of time.

    Examples
    --------
    >>> from cohort.results import result_table
    >>> table = result_table(
    ...     [{"time": 1.0, "estimate": 0.2, "n_events": 1}], group="a", statistic="mean_events", time_unit="year"
    ... )
    >>> plot_mean_events(table, arms={"a": "Arm A"}).get_ylabel()
    'Flares per patient'
    """
    where = "plot_mean_events"
    rows = rows_of(table, "mean_events", where=where, arms=arms)
    unit = single_time_unit(rows, where=where)
    with house_style():
        figure = new_figure(2.7)
        axes: Axes = figure.add_subplot()
        for style in arm_styles(arms):
            draw_curve(axes, rows[rows["group"] == style.code], style, origin=0.0)
        axes.set_ylabel(quantity)
        axes.set_ylim(bottom=-0.015 * axes.get_ylim()[1])  # a line that stays at 0 shows above the axis
        axes.set_xlim(left=0)
        axes.set_xlabel(f"{unit.capitalize()}s since day 0")
        axes.grid(axis="y", color=FAINT, alpha=0.25, linewidth=0.6)
        axes.legend(loc="upper left", frameon=False, handlelength=3)
    return axes
