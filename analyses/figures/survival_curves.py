"""Kaplan-Meier curves with the numbers at risk beneath them."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analyses.figures.formatting import count
from analyses.figures.selection import rows_of, single_time_unit
from analyses.figures.style import FAINT, ArmStyle, arm_styles, house_style, new_figure
from cohort.errors import AnalysisError
from cohort.results import ResultTable

if TYPE_CHECKING:
    from matplotlib.axes import Axes


_LABEL = 17
"""Characters of a label beside the numbers at risk before it goes on in a second line."""


def plot_survival(
    table: ResultTable,
    at_risk: ResultTable,
    *,
    arms: Mapping[str, str],
    quantity: str = "Flare-free survival",
    since: str = "day 0",
    counted: str = "Number at risk",
) -> tuple[Axes, Axes]:
    """Draw survival curves, with pointwise intervals, marks at censorings and the numbers at risk.

    Parameters
    ----------
    table
        Rows ``statistic="survival"`` by ``group`` and ``time``; each curve is drawn from 1 at time 0. Rows without an
        event are censorings.
    at_risk
        Rows ``statistic="at_risk"`` by ``group`` and ``time``, in the same unit of time; their times are the ticks.
    arms
        Code to label, in drawing order.
    quantity
        What survival means here, for the vertical axis.
    since
        Where time 0 is, for the horizontal axis.
    counted
        What the numbers beneath are; weighted ones have a decimal.

    Returns
    -------
    tuple of Axes
        The curves, and the table beneath them.

    Raises
    ------
    AnalysisError
        A table without these rows, a group that is not in ``arms``, or two units of time.

    Examples
    --------
    >>> from cohort.results import result_table
    >>> curve = result_table(
    ...     [{"time": 1.0, "estimate": 0.8, "n": 5, "n_events": 1}], group="a", statistic="survival", time_unit="year"
    ... )
    >>> risk = result_table([{"time": 0.0, "estimate": 5}], group="a", statistic="at_risk", time_unit="year")
    >>> curves, numbers = plot_survival(curve, risk, arms={"a": "Arm A"})
    >>> numbers.get_title(loc="left")
    'Number at risk'
    """
    where = "plot_survival"
    rows = rows_of(table, "survival", where=where, arms=arms)
    numbers = rows_of(at_risk, "at_risk", where=where, arms=arms)
    unit = single_time_unit(pd.concat([rows, numbers], ignore_index=True), where=where)
    styles = arm_styles({code: textwrap.fill(label, _LABEL) for code, label in arms.items()})
    lines = max(style.label.count("\n") + 1 for style in styles)
    ticks = sorted(numbers["time"].unique())
    with house_style():
        figure = new_figure(3.7 + (0.1 + 0.12 * lines) * len(styles))
        curves, risk = figure.subplots(2, 1, sharex=True, height_ratios=[10, (0.4 + 0.5 * lines) * len(styles)])
        for style in styles:
            draw_curve(curves, rows[rows["group"] == style.code], style, origin=1.0)
        curves.set_ylim(0, 1.02)
        curves.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0 %", "25 %", "50 %", "75 %", "100 %"])
        curves.set_ylabel(quantity)
        curves.set_xlabel(f"{unit.capitalize()}s since {since}")
        curves.grid(axis="y", color=FAINT, alpha=0.25, linewidth=0.6)
        curves.legend(loc="lower left", frameon=False, handlelength=3)
        curves.set_xlim(0, max(float(rows["time"].max()), ticks[-1]) * 1.02)
        curves.set_xticks(ticks, [f"{tick:.3g}" for tick in ticks])
        curves.tick_params(axis="x", labelbottom=True)
        _write_numbers(risk, numbers, styles, counted)
    return curves, risk


def draw_curve(axes: Axes, rows: pd.DataFrame, style: ArmStyle, *, origin: float) -> None:
    """Draw one step curve from ``origin`` at time 0, its interval as a light band, and marks at censorings.

    Parameters
    ----------
    axes
        Where to draw.
    rows
        One group and cause, with ``time``, ``estimate``, ``conf_low``, ``conf_high`` and ``n_events``.
    style
        How the arm looks.
    origin
        Value at time 0.
    """
    if not len(rows):
        raise AnalysisError(
            "no curve for an arm", where="column group", got=f"no rows of {style.code}", remedy="draw only arms present"
        )
    ordered = rows.sort_values("time")
    starts_late = float(ordered["time"].iloc[0]) > 0
    time, centre, low, high = (
        np.concatenate([[first], ordered[name].to_numpy()]) if starts_late else ordered[name].to_numpy()
        for name, first in (("time", 0.0), ("estimate", origin), ("conf_low", np.nan), ("conf_high", np.nan))
    )
    axes.step(time, centre, where="post", color=style.colour, linestyle=style.line, linewidth=1.8, label=style.label)
    axes.fill_between(time, low, high, step="post", color=style.colour, alpha=0.13, linewidth=0)
    if origin == 1.0:
        censored = ordered[ordered["n_events"] == 0]
        axes.plot(
            censored["time"].to_numpy(),
            censored["estimate"].to_numpy(),
            linestyle="none",
            marker="|",
            markersize=5,
            markeredgewidth=0.9,
            color=style.colour,
        )


def _write_numbers(axes: Axes, numbers: pd.DataFrame, styles: tuple[ArmStyle, ...], counted: str) -> None:
    for place, style in enumerate(styles):
        own = numbers[numbers["group"] == style.code]
        for time, patients in zip(own["time"].to_numpy(), own["estimate"].to_numpy(), strict=True):
            axes.text(float(time), place, count(float(patients)), ha="center", va="center", color=style.colour)
    axes.set_yticks(range(len(styles)), [style.label for style in styles])
    for label, style in zip(axes.get_yticklabels(), styles, strict=True):
        label.set_color(style.colour)
    axes.set_ylim(len(styles) - 0.5, -0.5)
    axes.set_title(counted, loc="left", fontsize=9, fontweight="normal")
    axes.tick_params(length=0, labelbottom=False)
    digits = max(len(count(float(patients))) for patients in numbers["estimate"])
    axes.tick_params(axis="y", pad=6 + 3 * digits)
    axes.spines[:].set_visible(False)
