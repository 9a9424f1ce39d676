"""What ways of handling late starts estimate over many cohorts, beside the truth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analyses.figures.style import BLUE, FAINT, INK, VERMILLION, house_style
from analyses.simulation.performance import setting_columns
from cohort.errors import AnalysisError
from cohort.results import ResultTable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_Z = 1.96
_TICKS = (0.25, 0.5, 0.7, 1.0, 1.4, 2.0, 4.0)


def plot_start_estimates(
    table: ResultTable, *, methods: Sequence[str], naive: Sequence[str] = (), truth: float = 0.0
) -> Axes:
    """Draw the mean estimated hazard ratio of each method, a column of panels per strength and a row per size.

    Parameters
    ----------
    table
        From :func:`analyses.simulation.immortal_time.immortal_time_performance`.
    methods
        Names of methods, from top to bottom.
    naive
        Those drawn as naive.
    truth
        The true log hazard ratio, a vertical line.

    Returns
    -------
    Axes
        The first panel. The point is the hazard ratio at the mean of the estimated logarithms, the thick bar its 95 %
        Monte Carlo interval, the thin one what 95 % of cohorts would give (1.96 empirical standard errors each way). At
        the right stands the coverage of 95 % intervals; a method without estimates shows a dash.

    Raises
    ------
    AnalysisError
        If the table has none of the methods.
    """
    frame = setting_columns(table)
    frame = frame[frame["group"].isin(list(methods)).to_numpy(dtype=bool)]
    if not len(frame):
        raise AnalysisError("no rows of these methods", where="plot_start_estimates", got=", ".join(methods) or "none")
    strengths, sizes = sorted(frame["strength"].unique()), sorted(frame["patients"].unique())
    with house_style():
        from matplotlib.figure import Figure

        height = 0.6 + len(sizes) * (0.7 + 0.23 * len(methods))
        figure = Figure(figsize=(2.2 + 2.5 * len(strengths), height), layout="constrained")
        grid = figure.subplots(len(sizes), len(strengths), sharex=True, sharey=True, squeeze=False)
        for row, size in zip(grid, sizes, strict=True):
            for axes, strength in zip(row, strengths, strict=True):
                own = frame[((frame["patients"] == size) & (frame["strength"] == strength)).to_numpy(dtype=bool)]
                _panel(axes, own, list(methods), list(naive), truth)
                chance = "starts by chance" if strength == 0 else f"starts by state, strength {strength:g}"
                axes.set_title(f"n = {size:,.0f}, {chance}", fontsize=8.5)
        first: Axes = grid[0][0]
        first.set_xscale("log")
        first.set_xticks(_TICKS, [f"{tick:g}" for tick in _TICKS])
        first.minorticks_off()
        first.set_yticks(range(len(methods)), list(methods))
        first.set_ylim(len(methods) - 0.5, -0.5)
        figure.supxlabel("Estimated hazard ratio; the line is the truth. Right: coverage of 95 % intervals", fontsize=9)
    return first


def _panel(axes: Axes, rows: pd.DataFrame, methods: list[str], naive: list[str], truth: float) -> None:
    axes.axvline(np.exp(truth), color=FAINT, linewidth=0.9)
    cells = {
        (str(name), str(statistic)): (float(value), float(error))
        for name, statistic, value, error in zip(
            rows["group"], rows["statistic"], rows["estimate"], rows["std_error"], strict=True
        )
    }
    lacking = (np.nan, np.nan)
    for place, name in enumerate(methods):
        bias, error = cells.get((name, "bias"), lacking)
        spread = cells.get((name, "empirical_std_error"), lacking)[0]
        coverage = cells.get((name, "coverage"), lacking)[0]
        if not np.isfinite(bias):
            axes.text(1.02, place, "–", transform=axes.get_yaxis_transform(), va="center", fontsize=8, color=INK)
            continue
        colour, marker = (VERMILLION, "X") if name in naive else (BLUE, "o")
        for half, width in ((spread, 0.8), (error, 2.6)):
            if np.isfinite(half):
                ends = np.exp(truth + bias + np.array([-1, 1]) * _Z * half)
                axes.plot(ends, [place, place], color=colour, linewidth=width, solid_capstyle="butt")
        axes.plot([np.exp(truth + bias)], [place], color=colour, marker=marker, markersize=4.5, linestyle="none")
        text = "–" if np.isnan(coverage) else f"{100 * coverage:.0f} %"
        axes.text(1.02, place, text, transform=axes.get_yaxis_transform(), va="center", fontsize=8, color=INK)
