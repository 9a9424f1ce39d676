"""Performance of estimators in a simulation study: bias, coverage, type-I error and power by strength and size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from analyses.figures.style import BLUE, FAINT, GREEN, INK, ORANGE, PURPLE, SKY, VERMILLION, house_style
from analyses.simulation.performance import setting_columns
from cohort.errors import AnalysisError
from cohort.results import ResultTable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]

_Z = 1.96
_ORACLE, _CRUDE = ", oracle", "crude"
_LOOKS = ((INK, "o"), (BLUE, "s"), (VERMILLION, "^"), (GREEN, "D"), (PURPLE, "v"), (ORANGE, "P"), (SKY, "X"))
"""Colour and marker of a method, by position; with an oracle's covariates its line is dashed and its marker hollow."""
_COVERAGE_TICKS = (0.0, 0.5, 0.8, 0.9, 0.95, 1.0)
_ERROR_TICKS = (0.0, 0.05, 0.2, 0.5, 1.0)


@dataclass(frozen=True, slots=True)
class _Panel:
    """A row of panels: which rows it shows and how its axis looks."""

    statistic: str
    world: str
    label: str
    reference: float | None
    ticks: tuple[float, ...] = ()


_PANELS = (
    _Panel("bias", "effect", "Bias", 0.0),
    _Panel("coverage", "effect", "Coverage of\n95 % intervals", 0.95, _COVERAGE_TICKS),
    _Panel("rejection", "null", "Type-I error\nat 5 %", 0.05, _ERROR_TICKS),
    _Panel("rejection", "effect", "Power", None, (0.0, 0.25, 0.5, 0.75, 1.0)),
)


def plot_performance(table: ResultTable, *, term: str, scale: float = 1.0, unit: str = "") -> Axes:
    """Draw bias, coverage, type-I error and power against the strength of confounding, a column of panels per size.

    Parameters
    ----------
    table
        From :func:`analyses.simulation.simulation_performance`.
    term
        Which estimand.
    scale, unit
        What bias is multiplied by for display, and the unit it is then in.

    Returns
    -------
    Axes
        The first panel. Bars are 95 % Monte Carlo intervals; points are set slightly apart so that they can be told.
        The grey band around 95 % and 5 % holds 95 % of the values a right method would show. The axes of coverage and
        type-I error are stretched towards 95 % and 5 % by a square root.

    Raises
    ------
    AnalysisError
        If the table has no rows of the term, or more methods than there are distinguishable looks.
    """
    frame = setting_columns(table)
    frame = frame[(frame["term"] == term).fillna(False).to_numpy(dtype=bool)]
    if not len(frame):
        raise AnalysisError(
            "no rows of this estimand",
            where="plot_performance, column term",
            got=", ".join(sorted(table.frame["term"].dropna().unique())) or "none",
            remedy="name one of these",
        )
    styles = _styles(sorted(set(frame["group"]), key=lambda name: (name.endswith(_ORACLE), name != _CRUDE, name)))
    sizes = sorted(frame["patients"].unique())
    strengths = np.sort(frame["strength"].unique())
    step = float(np.diff(strengths).min()) if len(strengths) > 1 else 1.0
    with house_style():
        from matplotlib.figure import Figure

        figure = Figure(figsize=(2.3 + 1.9 * len(sizes), 7.6), layout="constrained")
        grid = figure.subplots(len(_PANELS), len(sizes), sharex=True, sharey="row", squeeze=False)
        for row, panel in zip(grid, _PANELS, strict=True):
            wanted = (frame["statistic"] == panel.statistic) & (frame["world"] == panel.world)
            for axes, size in zip(row, sizes, strict=True):
                rows = frame[(wanted & (frame["patients"] == size)).to_numpy(dtype=bool)]
                _draw(axes, rows, styles, panel, step, scale if panel.statistic == "bias" else 1.0)
            label = f"{panel.label}, {unit}" if panel.statistic == "bias" and unit else panel.label
            row[0].set_ylabel(label)
        for axes, size in zip(grid[0], sizes, strict=True):
            axes.set_title(f"n = {size:,.0f}")
        for axes in grid[-1]:
            axes.set_xticks(strengths, [f"{strength:g}" for strength in strengths])
        figure.supxlabel("Strength of confounding (0: assignment by lot)", fontsize=9)
        handles, labels = grid[0][0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=2, frameon=False, fontsize=8)
    first: Axes = grid[0][0]
    return first


@dataclass(frozen=True, slots=True)
class _Style:
    colour: str
    marker: str
    oracle: bool
    shift: float


def _styles(estimators: list[str]) -> dict[str, _Style]:
    names = list(dict.fromkeys(_family(name) for name in estimators))
    if len(names) > len(_LOOKS):
        raise AnalysisError(
            f"a figure tells {len(_LOOKS)} methods apart",
            where="plot_performance, column group",
            got=", ".join(names),
            remedy="draw fewer methods at a time",
        )
    places = np.linspace(-0.2, 0.2, len(estimators)) if len(estimators) > 1 else np.zeros(1)
    return {
        name: _Style(*_LOOKS[names.index(_family(name))], name.endswith(_ORACLE), float(place))
        for name, place in zip(estimators, places, strict=True)
    }


def _family(estimator: str) -> str:
    return estimator.split(", ")[0]


def _draw(axes: Axes, rows: pd.DataFrame, styles: dict[str, _Style], panel: _Panel, step: float, scale: float) -> None:
    if panel.reference is not None:
        replicates = float(rows["n"].max())
        half = _Z * np.sqrt(panel.reference * (1 - panel.reference) / replicates) if panel.ticks else 0.0
        axes.axhspan(panel.reference - half, panel.reference + half, color=FAINT, alpha=0.25, linewidth=0)
        axes.axhline(panel.reference, color=FAINT, linewidth=0.9)
    for name, style in styles.items():
        mine = rows[(rows["group"] == name).to_numpy(dtype=bool)].sort_values("strength")
        value = scale * mine["estimate"].to_numpy()
        half = scale * _Z * mine["std_error"].fillna(0.0).to_numpy()
        if panel.ticks:
            half = np.stack([np.minimum(half, value), np.minimum(half, 1.0 - value)])
        axes.errorbar(
            mine["strength"].to_numpy() + style.shift * step,
            value,
            yerr=np.abs(half),
            color=style.colour,
            marker=style.marker,
            markersize=3.4,
            markerfacecolor="white" if style.oracle else style.colour,
            linestyle="--" if style.oracle else "-",
            linewidth=0.8,
            elinewidth=0.7,
            label=name,
        )
    if panel.ticks:
        _bounded(axes, panel)


def _bounded(axes: Axes, panel: _Panel) -> None:
    """Show shares from 0 to 1, stretched towards the reference where there is one."""
    if panel.ticks is _COVERAGE_TICKS:
        axes.set_yscale("function", functions=(_towards_one, _from_one))
    elif panel.ticks is _ERROR_TICKS:
        axes.set_yscale("function", functions=(_towards_zero, _from_zero))
    axes.set_yticks(panel.ticks, [f"{100 * tick:g} %" for tick in panel.ticks])
    axes.set_ylim(0.0, 1.0)
    axes.minorticks_off()


def _towards_one(share: FloatArray) -> FloatArray:
    return np.asarray(1.0 - np.sqrt(np.clip(1.0 - np.asarray(share), 0.0, None)))


def _from_one(place: FloatArray) -> FloatArray:
    return np.asarray(1.0 - (1.0 - np.asarray(place)) ** 2)


def _towards_zero(share: FloatArray) -> FloatArray:
    return np.asarray(np.sqrt(np.clip(np.asarray(share), 0.0, None)))


def _from_zero(place: FloatArray) -> FloatArray:
    return np.asarray(np.asarray(place) ** 2)
