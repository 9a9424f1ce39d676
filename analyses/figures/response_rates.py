"""Response rates of each arm over the visits, with their intervals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from analyses.figures.labels import outcome_label, short_visit_label
from analyses.figures.selection import rows_of
from analyses.figures.style import FAINT, arm_styles, house_style, months_axis, new_figure
from cohort.results import ResultTable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SIDE_STEP = 0.012
"""Share of the time axis by which arms are drawn apart, so that intervals do not cover each other."""


def plot_response_rates(
    table: ResultTable, *, arms: Mapping[str, str], statistic: str = "proportion"
) -> tuple[Axes, ...]:
    """Draw the proportion of assessed patients in response at each visit.

    Parameters
    ----------
    table
        ``response_rates``: rows of ``statistic`` by ``group``, ``time`` in months and ``term``, with ``conf_low`` and
        ``conf_high``. A missing estimate leaves a gap.
    arms
        Code to label, in drawing order.
    statistic
        ``"proportion"``, or ``"standardised_proportion"`` for what a model gives.

    Returns
    -------
    tuple of Axes
        One per outcome, in the order of the table, one below the other.

    Raises
    ------
    AnalysisError
        A table without these rows, or with a group that is not in ``arms``.

    Examples
    --------
    >>> from cohort.results import result_table
    >>> row = {"group": "a", "time": 6.0, "term": "CR", "estimate": 0.5, "conf_low": 0.4, "conf_high": 0.6}
    >>> axes = plot_response_rates(result_table([row], statistic="proportion"), arms={"a": "Arm A"})
    >>> axes[0].get_title(loc="left")
    'Complete response'
    """
    rows = rows_of(table, statistic, where="plot_response_rates", arms=arms)
    outcomes = list(dict.fromkeys(rows["term"]))
    months = sorted(rows["time"].unique())
    styles = arm_styles(arms)
    with house_style():
        figure = new_figure(0.7 + 1.75 * len(outcomes))
        panels = figure.subplots(len(outcomes), 1, sharex=True, squeeze=False)[:, 0]
        for axes, outcome in zip(panels, outcomes, strict=True):
            for place, style in enumerate(styles):
                own = rows[(rows["term"] == outcome) & (rows["group"] == style.code)].sort_values("time")
                centre = own["estimate"].to_numpy()
                axes.errorbar(
                    own["time"].to_numpy() + _SIDE_STEP * max(months) * (place - (len(styles) - 1) / 2) * 2,
                    centre,
                    yerr=[centre - own["conf_low"].to_numpy(), own["conf_high"].to_numpy() - centre],
                    color=style.colour,
                    linestyle=style.line,
                    marker=style.marker,
                    markersize=5,
                    linewidth=1.2,
                    elinewidth=1.2,
                    capsize=2.5,
                    label=style.label,
                )
            axes.set_title(outcome_label(outcome), loc="left")
            axes.set_ylim(0, 1)
            axes.set_yticks([0, 0.5, 1], ["0 %", "50 %", "100 %"])
            axes.grid(axis="y", color=FAINT, alpha=0.25, linewidth=0.6)
        months_axis(panels[-1], months, [short_visit_label(month) for month in months])
        panels[-1].set_xlabel("Time since day 0")
        handles, names = panels[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=2, frameon=False)
    return tuple(panels)
