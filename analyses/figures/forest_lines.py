"""Lines of forest plots: an estimate with its interval and the number beside it, drawn in groups."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from analyses.figures.formatting import exponential, interval
from analyses.figures.labels import contrast_arms
from analyses.figures.style import FAINT, INK, new_figure
from cohort.errors import AnalysisError

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a forest plot, with the number written beside it."""

    label: str
    estimate: float
    low: float
    high: float
    text: str
    reason: str = ""
    """Why there is no estimate; written where it would stand."""


@dataclass(frozen=True, slots=True)
class LineGroup:
    """Lines under one heading, drawn alike."""

    heading: str
    lines: tuple[Line, ...]
    colour: str = INK
    marker: str = "s"


def ratio_of(row: pd.Series) -> tuple[float, float, float, str]:
    """Return a ratio held on the logarithmic scale, its limits, and how they are written."""
    centre, low, high = (exponential(row[name]) for name in ("estimate", "conf_low", "conf_high"))
    return centre, low, high, interval(centre, low, high)


def only_contrast(values: pd.Series, where: str) -> str:
    """Return the only value; a forest plot shows one contrast.

    Raises
    ------
    AnalysisError
        None, or several.
    """
    found = list(dict.fromkeys(values.dropna()))
    if len(found) != 1:
        raise AnalysisError(
            "a forest plot shows one contrast of two arms",
            where=where,
            got=", ".join(map(str, found)) or "none",
            remedy="draw one contrast at a time",
        )
    return str(found[0])


def contrast_labels(contrast: str, arms: Mapping[str, str], where: str) -> tuple[str, str]:
    """Return the labels of the arms of a contrast.

    Raises
    ------
    AnalysisError
        An arm without a label.
    """
    codes = contrast_arms(contrast)
    unknown = [code for code in codes if code not in arms]
    if unknown:
        raise AnalysisError(
            "an arm without a label",
            where=where,
            got=", ".join(unknown),
            remedy="give both arms of the contrast a label in arms",
        )
    return arms[codes[0]], arms[codes[1]]


def draw_groups(groups: Sequence[LineGroup], *, null: float) -> tuple[Axes, ...]:
    """Draw a panel for each group, one below the other on one scale, with a dashed line at no effect."""
    sizes = [len(group.lines) for group in groups]
    figure = new_figure(0.75 + sum(0.3 * bool(group.heading) + 0.21 * len(group.lines) for group in groups))
    panels = figure.subplots(len(groups), 1, sharex=True, squeeze=False, height_ratios=sizes)[:, 0]
    for axes, group in zip(panels, groups, strict=True):
        _draw_group(axes, group)
        axes.axvline(null, color=FAINT, linewidth=0.9, linestyle=(0, (4, 3)), zorder=0)
        is_last = axes is panels[-1]
        axes.tick_params(axis="x", length=3.5 if is_last else 0)
        axes.spines["bottom"].set_visible(is_last)
    return tuple(panels)


def _draw_group(axes: Axes, group: LineGroup) -> None:
    for place, line in enumerate(group.lines):
        if not math.isnan(line.estimate):
            axes.plot([line.low, line.high], [place, place], color=group.colour, linewidth=1.4)
            axes.plot(line.estimate, place, marker=group.marker, markersize=5, color=group.colour)
        elif line.reason:
            axes.text(0.5, place, line.reason, transform=axes.get_yaxis_transform(), ha="center", va="center",
                      fontsize=8, color=FAINT, bbox={"facecolor": "white", "edgecolor": "none", "pad": 1})  # fmt: skip
        axes.text(1.03, place, line.text, transform=axes.get_yaxis_transform(), va="center", fontsize=8.5)
    axes.set_title(group.heading, loc="left", fontsize=9)
    axes.set_yticks(range(len(group.lines)), [line.label for line in group.lines], fontsize=8.5)
    axes.set_ylim(len(group.lines) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def plain_ratio_ticks(axes: Axes) -> None:
    """Write the ticks of a logarithmic axis as plain ratios."""
    from matplotlib.ticker import FixedLocator, NullFormatter

    low, high = axes.get_xlim()
    low, high = min(low, 0.5), max(high, 2.0)
    ticks = [tick for tick in (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0) if low <= tick <= high]
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlim(low, high)
