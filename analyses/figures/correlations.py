"""Rank correlations with their intervals, the expected side of zero shaded."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pandas as pd

from analyses.figures.formatting import interval
from analyses.figures.labels import pair_label
from analyses.figures.style import BLUE, FAINT, INK, VERMILLION, house_style, new_figure
from cohort.errors import AnalysisError
from cohort.results import ResultTable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PANELS = {"spearman": "Between values at the start", "spearman_lag_1": "From one scheduled visit to the next"}
_LOOKS = {"right": (BLUE, "o", BLUE), "wrong": (VERMILLION, "X", VERMILLION), "unclear": (INK, "o", "white")}
_NAMES = {"right": "Expected sign", "wrong": "Opposite sign", "unclear": "Interval holds zero"}


def plot_correlations(table: ResultTable) -> tuple[Axes, ...]:
    """Draw each correlation with its interval; the shaded side is where a nephrologist expects it.

    Parameters
    ----------
    table
        ``realism``: rows ``spearman`` and ``spearman_lag_1`` by ``term``; ``group`` says the expected sign.

    Returns
    -------
    tuple of Axes
        A panel for each of the two kinds that the table holds, with one line per correlation and its number beside
        it: a disc where the interval lies on the expected side, a cross where it lies on the other, a ring where it
        holds zero. What could not be computed shows a dash.

    Raises
    ------
    AnalysisError
        A table without correlations.

    Examples
    --------
    >>> from cohort.results import result_table
    >>> row = {"term": "albumin_g_dl with upcr_g_g", "estimate": -0.8, "conf_low": -0.9, "conf_high": -0.7}
    >>> table = result_table([row], statistic="spearman", group="expected negative")
    >>> plot_correlations(table)[0].get_yticklabels()[0].get_text()
    'Albumin and UPCR'
    """
    frame = table.frame
    kinds = [kind for kind in _PANELS if (frame["statistic"] == kind).fillna(False).any()]
    if not kinds:
        raise AnalysisError("no correlations to draw", where="plot_correlations", remedy="pass the table realism")
    rows = {kind: frame[(frame["statistic"] == kind).fillna(False).to_numpy(dtype=bool)] for kind in kinds}
    sizes = [len(rows[kind]) for kind in kinds]
    with house_style():
        figure = new_figure(1.1 + 0.3 * len(kinds) + 0.24 * sum(sizes))
        panels = figure.subplots(len(kinds), 1, sharex=True, squeeze=False, height_ratios=sizes)[:, 0]
        for axes, kind in zip(panels, kinds, strict=True):
            _draw(axes, rows[kind])
            axes.set_title(_PANELS[kind], loc="left", fontsize=9)
        panels[0].set_xlim(-1, 1)
        panels[-1].set_xticks([-1, -0.5, 0, 0.5, 1], ["−1", "−0.5", "0", "0.5", "1"])
        panels[-1].set_xlabel("Rank correlation (shaded: the expected side)")
        _legend(panels[0])
    return tuple(panels)


def _draw(axes: Axes, rows: pd.DataFrame) -> None:
    for place, row in enumerate(rows.to_dict("records")):
        positive = str(row["group"]).endswith("positive")
        axes.fill_betweenx([place - 0.42, place + 0.42], 0, 1 if positive else -1, color=FAINT, alpha=0.16, linewidth=0)
        estimate, low, high = (float(row[name]) for name in ("estimate", "conf_low", "conf_high"))
        if not math.isnan(estimate):
            colour, marker, fill = _LOOKS[_kind(low, high, positive)]
            axes.plot([low, high], [place, place], color=colour, linewidth=1.4)
            axes.plot(estimate, place, marker=marker, markersize=5.5, color=colour, markerfacecolor=fill)
        text = interval(estimate, low, high)
        axes.text(1.06, place, text, transform=axes.get_yaxis_transform(), va="center", fontsize=8)
    axes.axvline(0, color=FAINT, linewidth=0.9)
    axes.set_yticks(range(len(rows)), [pair_label(str(term)) for term in rows["term"]], fontsize=8.5)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def _kind(low: float, high: float, positive: bool) -> str:
    if math.isnan(low) or low <= 0 <= high:
        return "unclear"
    return "right" if (low > 0) == positive else "wrong"


def _legend(axes: Axes) -> None:
    from matplotlib.lines import Line2D

    figure = axes.get_figure(root=True)
    handles = [
        Line2D([], [], color=colour, marker=marker, markersize=5.5, markerfacecolor=fill, label=_NAMES[kind])
        for kind, (colour, marker, fill) in _LOOKS.items()
    ]
    if figure is not None:
        figure.legend(
            handles=handles, loc="outside upper center", ncols=3, frameon=False, fontsize=8.5, columnspacing=1
        )
