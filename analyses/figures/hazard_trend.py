"""The hazard ratio over time: scaled Schoenfeld residuals and the smooth line through them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analyses.figures.formatting import exponential
from analyses.figures.labels import model_label
from analyses.figures.selection import rows_of, single_time_unit
from analyses.figures.style import BLUE, FAINT, VERMILLION, house_style, new_figure
from cohort.results import ResultTable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_TICKS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
_TERM = "treated"


def plot_hazard_trend(table: ResultTable, *, arms: Mapping[str, str]) -> tuple[Axes, ...]:
    """Draw how the hazard ratio of the arms moves over time, one panel a model.

    Parameters
    ----------
    table
        ``cox_over_time``: rows ``log_hazard_ratio_at_event`` (points) and ``log_hazard_ratio_trend`` (line and band) by
        ``population``, the model, and ``time``. A model without a trend shows its points alone.
    arms
        Code to label, the treated arm first.

    Returns
    -------
    tuple of Axes
        One per model. The line level at the dashed one means a ratio of 1 all along; a level line, proportional
        hazards.

    Raises
    ------
    AnalysisError
        A table without these rows, or two units of time.

    Examples
    --------
    >>> from cohort.results import result_table
    >>> row = {"population": "adjusted", "term": "treated", "time": 1.0, "time_unit": "year", "estimate": 0.7}
    >>> table = result_table([row | {"statistic": f"log_hazard_ratio_{kind}"} for kind in ("at_event", "trend")])
    >>> plot_hazard_trend(table, arms={"a": "Arm A", "b": "Arm B"})[0].get_title(loc="left")
    'Adjusted'
    """
    from matplotlib.ticker import FixedLocator, NullLocator

    where = "plot_hazard_trend"
    points = rows_of(table, "log_hazard_ratio_at_event", where=where)
    trend = rows_of(table, "log_hazard_ratio_trend", where=where)
    points, trend = (rows[(rows["term"] == _TERM) & rows["time"].notna()] for rows in (points, trend))
    unit = single_time_unit(points, where=where)
    models = list(dict.fromkeys(points["population"]))
    with house_style():
        figure = new_figure(0.8 + 1.9 * len(models))
        panels = figure.subplots(len(models), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
        for axes, model in zip(panels, models, strict=True):
            _draw(axes, points[points["population"] == model], trend[trend["population"] == model])
            axes.set_title(model_label(str(model)), loc="left", fontsize=9)
        panels[0].set_yscale("log")
        panels[0].yaxis.set_major_locator(FixedLocator(_TICKS))
        panels[0].yaxis.set_minor_locator(NullLocator())
        panels[0].yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        panels[-1].set_xlabel(f"{unit.capitalize()}s since day 0")
        figure.supylabel(f"Hazard ratio, {' v '.join(arms.values())} (log scale)", fontsize=9)
    return tuple(panels)


def _draw(axes: Axes, points: pd.DataFrame, trend: pd.DataFrame) -> None:
    axes.plot(
        points["time"].to_numpy(),
        points["estimate"].map(exponential).to_numpy(),
        linestyle="none",
        marker="o",
        markersize=3,
        markerfacecolor="white",
        color=VERMILLION,
    )
    own = trend.sort_values("time", kind="stable")
    centre, low, high = (
        np.asarray(own[name].map(exponential), dtype=np.float64) for name in ("estimate", "conf_low", "conf_high")
    )
    axes.plot(own["time"].to_numpy(), centre, color=BLUE, linewidth=1.6)
    axes.fill_between(own["time"].to_numpy(), low, high, color=BLUE, alpha=0.15, linewidth=0)
    axes.axhline(1.0, color=FAINT, linewidth=0.9, linestyle=(0, (4, 3)), zorder=0)
    axes.grid(axis="y", color=FAINT, alpha=0.25, linewidth=0.6)
