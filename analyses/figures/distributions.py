"""Baseline values of a cohort as histograms, with the centre and spread that other cohorts published above them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pandas as pd

from analyses.figures.labels import variable_label
from analyses.figures.selection import rows_of
from analyses.figures.style import FAINT, INK, SKY, VERMILLION, house_style, new_figure
from cohort.results import ResultTable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLUMNS = 2
_MARKERS = {"mean": "o", "median": "D"}
_LOGARITHMIC_RATIO = 1.2
"""Bins whose widths differ by more than this are of equal ratio: the axis is logarithmic."""


def plot_distributions(distributions: ResultTable, realism: ResultTable) -> tuple[Axes, ...]:
    """Draw a histogram of each variable, and above it a line for each other cohort with a published spread.

    Parameters
    ----------
    distributions
        ``realism_distributions``: rows ``bin_lower``, ``bin_upper`` and ``proportion`` by ``term`` and ``group``.
    realism
        ``realism``: rows ``mean`` or ``median`` with ``sd`` or ``q1`` and ``q3`` by ``term`` and ``population``.

    Returns
    -------
    tuple of Axes
        One per variable with values, in the order of the table. A circle is a published mean with a line of one
        standard deviation to either side, a diamond a median with a line between the quartiles. On a logarithmic axis
        a line that leaves it is cut at its end.

    Raises
    ------
    AnalysisError
        A table without these rows.

    Examples
    --------
    >>> from cohort.results import result_table
    >>> cells = {"bin_lower": 20.0, "bin_upper": 40.0, "proportion": 1.0}
    >>> rows = [{"statistic": name, "estimate": value} for name, value in cells.items()]
    >>> table = result_table(rows, term="age_years", group="bin 01", n=9)
    >>> other = result_table([{"statistic": "mean", "estimate": 30.0}, {"statistic": "sd", "estimate": 5.0}],
    ...                      term="age_years", population="Another cohort")
    >>> plot_distributions(table, other)[0].get_title(loc="left")
    'Age, years'
    """
    where = "plot_distributions"
    bins = rows_of(distributions, "proportion", where=where)
    wide = _wide_bins(distributions, bins)
    spreads = published_spreads(realism)
    terms = list(dict.fromkeys(wide["term"]))
    with house_style():
        lines = math.ceil(len(terms) / _COLUMNS)
        figure = new_figure(0.6 + 1.2 * lines)
        grid = figure.subplots(lines, _COLUMNS, squeeze=False).ravel()
        for axes, term in zip(grid, terms, strict=False):
            _draw_bins(axes, wide[wide["term"] == term])
            _draw_spreads(axes, spreads[spreads["term"] == term])
            axes.set_title(variable_label(term), loc="left", fontsize=9)
        for axes in grid[len(terms) :]:
            axes.set_visible(False)
        _legend(grid[0])
    return tuple(grid[: len(terms)])


def _wide_bins(table: ResultTable, bins: pd.DataFrame) -> pd.DataFrame:
    """One row per bin, with ``lower, upper, proportion``, in the order of the table."""
    frame = table.frame
    wide = frame.pivot_table(index=["term", "group"], columns="statistic", values="estimate", aggfunc="first")
    order = bins.dropna(subset=["estimate"])[["term", "group"]]
    return order.merge(wide.reset_index(), on=["term", "group"])


def published_spreads(realism: ResultTable) -> pd.DataFrame:
    """Return ``term, population, kind, centre, low, high`` of every published mean with SD or median with quartiles."""
    frame = realism.frame
    rows = []
    for (term, population), own in frame.groupby(["term", "population"], sort=False):
        for kind in _MARKERS:
            places = own.index[(own["statistic"] == kind).to_numpy(dtype=bool)]
            for place in places:
                # The spread of a published value stands in the rows beneath it.
                after = own.loc[own.index > place].head(2).set_index("statistic")["estimate"]
                centre = float(own.loc[place, "estimate"])
                if kind == "mean" and "sd" in after.head(1):
                    low, high = centre - float(after["sd"]), centre + float(after["sd"])
                elif kind == "median" and list(after.index) == ["q1", "q3"]:
                    low, high = float(after["q1"]), float(after["q3"])
                else:
                    continue
                rows.append((term, population, kind, centre, low, high))
    return pd.DataFrame(rows, columns=["term", "population", "kind", "centre", "low", "high"])


def _draw_bins(axes: Axes, bins: pd.DataFrame) -> None:
    widths = bins["bin_upper"] - bins["bin_lower"]
    if widths.max() > _LOGARITHMIC_RATIO * widths.min() and bins["bin_lower"].min() > 0:
        axes.set_xscale("log")
        _plain_ticks(axes, float(bins["bin_lower"].min()), float(bins["bin_upper"].max()))
    axes.bar(
        bins["bin_lower"].to_numpy(),
        bins["proportion"].to_numpy(),
        width=widths.to_numpy(),
        align="edge",
        color=SKY,
        edgecolor=INK,
        linewidth=0.5,
    )
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)


def _plain_ticks(axes: Axes, low: float, high: float) -> None:
    from matplotlib.ticker import FixedLocator, NullLocator

    ticks = [base * 10.0**power for power in range(-2, 4) for base in (1, 2, 5)]
    shown = [tick for tick in ticks if low <= tick <= high]
    axes.xaxis.set_major_locator(FixedLocator(shown if len(shown) <= 6 else [t for t in shown if f"{t:e}"[0] == "1"]))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_autoscalex_on(False)
    axes.set_xlim(0.7 * low, 1.3 * high)


def _draw_spreads(axes: Axes, spreads: pd.DataFrame) -> None:
    top = axes.get_ylim()[1]
    for place, row in enumerate(spreads.to_dict("records")):
        height = top * (1.13 + 0.17 * place)
        axes.plot([row["low"], row["high"]], [height, height], color=VERMILLION, linewidth=1.6)
        axes.plot(row["centre"], height, marker=_MARKERS[row["kind"]], markersize=4.5, color=VERMILLION)
    axes.set_ylim(0, top * (1.13 + 0.17 * max(len(spreads), 1)))
    axes.axhline(0, color=FAINT, linewidth=0.6)


def _legend(axes: Axes) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    figure = axes.get_figure(root=True)
    handles = [
        Patch(facecolor=SKY, edgecolor=INK, label="This cohort"),
        Line2D([], [], color=VERMILLION, marker="o", markersize=4.5, label="Other: mean ± SD"),
        Line2D([], [], color=VERMILLION, marker="D", markersize=4.5, label="Other: median, quartiles"),
    ]
    if figure is not None:
        figure.legend(
            handles=handles, loc="outside upper center", ncols=3, frameon=False, fontsize=8.5, columnspacing=1
        )
