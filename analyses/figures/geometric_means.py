"""Proteinuria of each arm over the visits: geometric means with their intervals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from analyses.figures.formatting import exponential
from analyses.figures.labels import short_visit_label, variable_label
from analyses.figures.selection import rows_of
from analyses.figures.style import FAINT, arm_styles, house_style, months_axis, new_figure
from cohort.results import ResultTable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SIDE_STEP = 0.01
"""Share of the time axis by which arms are drawn apart, so that intervals do not cover each other."""
_TICKS = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 3.5, 5.0, 10.0)


def plot_proteinuria_course(table: ResultTable, *, arms: Mapping[str, str]) -> Axes:
    """Draw the geometric mean of UPCR at each visit, on a logarithmic axis.

    Parameters
    ----------
    table
        ``proteinuria_course``: rows ``statistic="mean"`` of the natural logarithm of g/g, by ``group`` and ``time`` in
        months. A missing estimate leaves a gap.
    arms
        Code to label, in drawing order.

    Returns
    -------
    Axes
        A line an arm, with intervals; a grey line at 0.5 g/g, below which proteinuria fits a complete response.

    Raises
    ------
    AnalysisError
        A table without these rows, or with a group that is not in ``arms``.

    Examples
    --------
    >>> from cohort.results import result_table
    >>> rows = [{"time": time, "estimate": 1.0, "conf_low": 0.8, "conf_high": 1.2} for time in (0.0, 6.0)]
    >>> plot_proteinuria_course(result_table(rows, group="a", statistic="mean"), arms={"a": "Arm A"}).get_yscale()
    'log'
    """
    from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator

    rows = rows_of(table, "mean", where="plot_proteinuria_course", arms=arms)
    months = sorted(rows["time"].unique())
    styles = arm_styles(arms)
    with house_style():
        figure = new_figure(3.0)
        axes: Axes = figure.add_subplot()
        for place, style in enumerate(styles):
            own = rows[rows["group"] == style.code].sort_values("time")
            centre, low, high = (
                own[name].map(exponential).to_numpy() for name in ("estimate", "conf_low", "conf_high")
            )
            axes.errorbar(
                own["time"].to_numpy() + _SIDE_STEP * max(months) * (place - (len(styles) - 1) / 2) * 2,
                centre,
                yerr=[centre - low, high - centre],
                color=style.colour,
                linestyle=style.line,
                marker=style.marker,
                markersize=5,
                linewidth=1.2,
                elinewidth=1.2,
                capsize=2.5,
                label=style.label,
            )
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(FixedLocator(_TICKS))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.axhline(0.5, color=FAINT, linewidth=0.9, linestyle=(0, (4, 3)), zorder=0)
        axes.grid(axis="y", color=FAINT, alpha=0.25, linewidth=0.6)
        axes.set_ylabel(f"{variable_label('upcr_g_g')} (log scale)")
        months_axis(axes, months, [short_visit_label(month) for month in months])
        axes.set_xlim(left=-0.04 * max(months))
        axes.set_xlabel("Time since day 0")
        figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
    return axes
