"""Laboratory values of single patients over time, an arm a column."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pandas as pd

from analyses.figures.labels import variable_label
from analyses.figures.selection import rows_of
from analyses.figures.style import BLUE, FAINT, GREEN, INK, ORANGE, PURPLE, house_style, new_figure
from cohort.results import ResultTable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LOOKS = ((BLUE, "-", "o"), (ORANGE, "--", "s"), (GREEN, "-.", "^"), (PURPLE, ":", "D"))
_LOGARITHMIC = {"upcr_g_g": (0.1, 0.5, 1.0, 3.5, 10.0), "anti_dsdna_iu_ml": (1.0, 10.0, 100.0, 1000.0)}
"""Laboratory values on a logarithmic axis, with its ticks."""
_RESPONSE_BANDS = ((0.5, 0.2, "CR"), (3.5, 1.3, "PR"))
"""UPCR limit of complete and of partial response in g/g, and where and what is written beside it."""
_SMALLEST_DRAWN = 0.02
"""Where a printed 0 stands on a logarithmic axis."""


def plot_trajectories(table: ResultTable, *, arms: Mapping[str, str]) -> tuple[Axes, ...]:
    """Draw the laboratory values of example patients, with their flares.

    Parameters
    ----------
    table
        ``realism_trajectories``: rows ``laboratory_value`` by ``population`` (the patient), ``group``, ``term`` and
        ``time`` in months; rows ``event`` with ``term`` "renal_flare".
    arms
        Code to label, in drawing order. At most four patients an arm can be told apart.

    Returns
    -------
    tuple of Axes
        Row by row, a row per laboratory value and a column per arm, with one scale a row. UPCR and anti-dsDNA are on
        a logarithmic scale; on UPCR's, shades below 0.5 and 3.5 g/g mark where complete and partial response begin.
        A large star marks the patient's value at the visit that shows a flare.

    Raises
    ------
    AnalysisError
        A table without these rows, or with a group that is not in ``arms``.

    Examples
    --------
    >>> from cohort.results import result_table
    >>> rows = [{"term": "upcr_g_g", "time": t, "estimate": v} for t, v in ((0.0, 4.0), (6.0, 0.4))]
    >>> table = result_table(rows, population="patient 1", group="a", statistic="laboratory_value", time_unit="month")
    >>> [axes.get_title() for axes in plot_trajectories(table, arms={"a": "Arm A"})]
    ['Arm A']
    """
    rows = rows_of(table, "laboratory_value", where="plot_trajectories", arms=arms)
    events = table.frame[(table.frame["statistic"] == "event").fillna(False).to_numpy(dtype=bool)]
    terms = list(dict.fromkeys(rows["term"]))
    with house_style():
        figure = new_figure(1.6 + 1.5 * len(terms))
        grid = figure.subplots(len(terms), len(arms), sharex=True, sharey="row", squeeze=False)
        for line, term in zip(grid, terms, strict=True):
            for axes, code in zip(line, arms, strict=True):
                own = rows[(rows["term"] == term) & (rows["group"] == code)]
                _draw_patients(axes, own, events)
            for axes in line:
                axes.margins(y=0.14)
                _scale(axes, term)
            line[0].set_ylabel(variable_label(term).replace(", ", "\n"), fontsize=8.5)
        for axes, label in zip(grid[0], arms.values(), strict=True):
            axes.set_title(label, fontsize=9)
        for axes in grid[-1]:
            axes.set_xlabel("Months", fontsize=8.5)
            axes.set_xticks(range(0, int(rows["time"].max()) + 1, 12))
            axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.42), ncols=1, frameon=False, fontsize=8.5,
                        handlelength=3.2)  # fmt: skip
        if "upcr_g_g" in terms:
            _name_bands(grid[terms.index("upcr_g_g")][-1])
        _legend(grid[0][0])
    return tuple(grid.ravel())


def _draw_patients(axes: Axes, rows: pd.DataFrame, events: pd.DataFrame) -> None:
    for patient, (colour, line, marker) in zip(dict.fromkeys(rows["population"]), _LOOKS, strict=False):
        own = rows[rows["population"] == patient].sort_values("time")
        values = own["estimate"].clip(lower=_SMALLEST_DRAWN).to_numpy()
        axes.plot(own["time"].to_numpy(), values, color=colour, linestyle=line, marker=marker, markersize=3.5,
                  linewidth=1.3, label=str(patient))  # fmt: skip
        flares = events.loc[events["population"] == patient, "time"]
        at_flare = own["time"].isin(flares).to_numpy(dtype=bool)
        axes.plot(own["time"].to_numpy()[at_flare], values[at_flare], linestyle="none", marker="*", markersize=11,
                  color=colour, markeredgecolor=INK, markeredgewidth=0.8, zorder=5)  # fmt: skip


def _scale(axes: Axes, term: str) -> None:
    from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator

    if term in _LOGARITHMIC:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(FixedLocator(_LOGARITHMIC[term]))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.yaxis.set_minor_formatter(NullFormatter())
    if term == "upcr_g_g":
        low, high = min(axes.get_ylim()[0], 0.04), max(axes.get_ylim()[1], 10.0)
        for limit, _, _ in _RESPONSE_BANDS:
            axes.axhspan(low, limit, color=FAINT, alpha=0.13, linewidth=0)
        axes.set_ylim(low, high)
    axes.grid(axis="y", color=FAINT, alpha=0.25, linewidth=0.6)
    axes.tick_params(labelsize=8.5)


def _name_bands(axes: Axes) -> None:
    """Write beside the panel what the shades mean, where no line runs."""
    for _, height, words in _RESPONSE_BANDS:
        axes.text(1.02, height, words, transform=axes.get_yaxis_transform(), va="center", fontsize=8.5)


def _legend(axes: Axes) -> None:
    from matplotlib.lines import Line2D

    figure = axes.get_figure(root=True)
    star = Line2D([], [], linestyle="none", marker="*", markersize=11, color="white", markeredgecolor=INK,
                  label="Visit that shows a renal flare")  # fmt: skip
    if figure is not None:
        figure.legend(handles=[star], loc="outside upper center", frameon=False, fontsize=8.5)
