"""The specification curve: estimates of every combination of choices in order of size, above the choices made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from analyses.columns import BoolArray, FloatArray
from analyses.figures.labels import contrast_arms, in_words, option_label
from analyses.figures.style import FAINT, INK, SKY, house_style, new_figure
from cohort.errors import AnalysisError
from cohort.results import ResultTable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WHERE = "plot_specification_curve"
_EXCLUDES, _INCLUDES = INK, SKY
"""Of intervals that exclude the null, and of the others: dark and light, in grey too."""
_SCALES: dict[str, tuple[str, float, Callable[[FloatArray], FloatArray]]] = {
    "risk_difference": ("Difference in responders,\npercentage points", 0.0, lambda values: 100 * values),
    "log_hazard_ratio": ("Hazard ratio\n(log scale)", 1.0, np.exp),
}
"""Axis label, value without effect and what is drawn of an estimate."""


def plot_specification_curve(table: ResultTable, *, arms: Mapping[str, str]) -> tuple[Axes, Axes]:
    """Draw every specification of a multiverse: its estimate with interval, and below which choices it made.

    Parameters
    ----------
    table
        Of :func:`analyses.sensitivity.multiverse`: rows ``statistic`` ``risk_difference`` or ``log_hazard_ratio`` with
        ``population`` ``choice=option; choice=option``. Rows of the summary are not drawn.
    arms
        Code to label of the arms in ``contrast``.

    Returns
    -------
    tuple of Axes
        The estimates from the smallest to the largest, and the choices: a tick where a specification took the option.
        Intervals that exclude the null are drawn darker, with filled points. Specifications without an estimate
        stand at the right end, on a shaded ground, and have ticks only. Choices of one option are not shown.

    Raises
    ------
    AnalysisError
        A table without specifications, or with an arm that is not in ``arms``.

    Examples
    --------
    >>> from cohort.results import result_table
    >>> rows = [{"population": f"visit=month {month}", "estimate": 0.1 / month} for month in (6, 12)]
    >>> table = result_table(rows, statistic="risk_difference", contrast="a v b")
    >>> _, choices = plot_specification_curve(table, arms={"a": "Arm A", "b": "Arm B"})
    >>> [label.get_text() for label in choices.get_yticklabels()]
    ['Visit', '6 months', '1 year']
    """
    rows, statistic = _specifications(table)
    label, null, shown = _SCALES[statistic]
    chosen = _choices(rows.sort_index())
    lines = _lines(chosen)
    chosen = chosen.loc[rows.index]
    estimates = shown(rows["estimate"].to_numpy())
    low, high = (shown(rows[name].to_numpy()) for name in ("conf_low", "conf_high"))
    with house_style():
        below = 0.145 * len(lines)
        figure = new_figure(2.6 + below)
        above, choices = figure.subplots(2, 1, sharex=True, height_ratios=[2.0, below])
        _draw_estimates(above, estimates, low, high, null)
        if statistic == "log_hazard_ratio":
            above.set_yscale("log")
            _plain_ticks(above, np.concatenate([estimates, low, high]))
        above.set_ylabel(label, fontsize=8.5)
        above.set_title(_directions(rows, arms, statistic), loc="left", fontsize=8.5, fontweight="normal")
        figure.legend(loc="outside upper center", ncols=2, frameon=False, fontsize=8, handletextpad=0.1)
        _draw_choices(choices, chosen, lines, _excludes(low, high, null))
        choices.set_xlabel(f"{len(rows)} specifications, ordered by their estimate", fontsize=8.5)
        failed = int(np.isnan(estimates).sum())
        for axes in (above, choices):
            if failed:
                axes.axvspan(len(rows) - failed - 0.5, len(rows) - 0.5, color=FAINT, alpha=0.15, linewidth=0)
            axes.set_xlim(-0.02 * len(rows) - 0.5, 1.02 * len(rows) - 0.5)
            axes.set_xticks([])
    return above, choices


def _specifications(table: ResultTable) -> tuple[pd.DataFrame, str]:
    """Return the specifications from the smallest estimate to the largest, those without one last."""
    frame = table.frame
    kept = frame["statistic"].isin(list(_SCALES)) & frame["population"].str.contains("=", regex=False).fillna(False)
    rows = frame[kept.to_numpy(dtype=bool)].sort_values("estimate", kind="stable", na_position="last")
    found = sorted(rows["statistic"].unique())
    if len(found) != 1:
        raise AnalysisError(
            "a specification curve shows one contrast",
            where=_WHERE,
            got=", ".join(found) or "no specification of a risk difference or log hazard ratio",
            remedy="pass the result of analyses.sensitivity.multiverse",
        )
    return rows, str(found[0])


def _choices(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the option of every choice, a column each, on the index of the rows."""
    parts = [dict(part.split("=", 1) for part in str(name).split("; ")) for name in rows["population"]]
    return pd.DataFrame(parts, index=rows.index)


def _lines(chosen: pd.DataFrame) -> list[tuple[str, str | None]]:
    """Return the lines of the lower panel: a choice alone as a heading, then each option in the order of the table."""
    lines: list[tuple[str, str | None]] = []
    for choice in chosen.columns:
        options = list(chosen[choice].unique())
        if len(options) > 1:
            lines += [(str(choice), None), *((str(choice), str(option)) for option in options)]
    return lines


def _excludes(low: FloatArray, high: FloatArray, null: float) -> BoolArray:
    return np.asarray((low > null) | (high < null), dtype=np.bool_)


def _draw_estimates(axes: Axes, estimates: FloatArray, low: FloatArray, high: FloatArray, null: float) -> None:
    places = np.arange(len(estimates))
    clear = _excludes(low, high, null)
    for rows, colour, filled, words in (
        (~clear, _INCLUDES, False, "interval crosses the dashed line"),
        (clear, _EXCLUDES, True, "interval stays clear of it"),
    ):
        kept = rows & ~np.isnan(estimates)
        if not kept.any():
            continue
        _upright(axes, places[kept], low[kept], high[kept], color=colour, linewidth=0.7, alpha=0.8)
        face = colour if filled else "white"
        axes.plot(places[kept], estimates[kept], linestyle="none", marker="o", markersize=2.6, color=colour,
                  markerfacecolor=face, markeredgewidth=0.6, label=words)  # fmt: skip
    axes.axhline(null, color=FAINT, linewidth=0.9, linestyle=(0, (4, 3)), zorder=0)
    axes.tick_params(axis="y", labelsize=8.5)


def _upright(axes: Axes, places: npt.NDArray[np.intp], low: FloatArray, high: FloatArray, **look: Any) -> None:
    """Draw upright lines as one path with gaps: a path each would make the drawing several times as large."""
    gap = np.full(len(places), np.nan)
    axes.plot(np.repeat(places, 3), np.stack([low, high, gap], axis=1).ravel(), solid_capstyle="butt", **look)


def _draw_choices(axes: Axes, chosen: pd.DataFrame, lines: list[tuple[str, str | None]], clear: BoolArray) -> None:
    for place, (choice, option) in enumerate(lines):
        if option is None:
            continue
        took = chosen[choice].eq(option).to_numpy(dtype=bool)
        axes.axhline(place, color=FAINT, alpha=0.2, linewidth=0.5, zorder=0)
        for rows, colour in ((took & ~clear, _INCLUDES), (took & clear, _EXCLUDES)):
            where = np.flatnonzero(rows)
            ends = np.full(len(where), float(place))
            _upright(axes, where, ends - 0.33, ends + 0.33, color=colour, linewidth=min(2.0, 130 / len(chosen)))
    labels = [in_words(choice) if option is None else option_label(option) for choice, option in lines]
    axes.set_yticks(range(len(lines)), labels, fontsize=8)
    for label, (_, option) in zip(axes.get_yticklabels(), lines, strict=True):
        if option is None:
            label.set_fontweight("bold")
            label.set_color(INK)
    axes.set_ylim(len(lines) - 0.4, -0.6)
    axes.tick_params(axis="both", length=0)
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)


def _directions(rows: pd.DataFrame, arms: Mapping[str, str], statistic: str) -> str:
    contrasts = list(dict.fromkeys(rows["contrast"].dropna()))
    if len(contrasts) != 1:
        raise AnalysisError(
            "a specification curve shows one contrast", where=_WHERE, got=", ".join(contrasts) or "none"
        )
    unknown = [code for code in contrast_arms(contrasts[0]) if code not in arms]
    if unknown:
        raise AnalysisError("an arm without a label", where=_WHERE, got=", ".join(unknown), remedy="name it in arms")
    first, second = (arms[code] for code in contrast_arms(contrasts[0]))
    if statistic == "risk_difference":
        return f"↑ more respond on {first}\n↓ more respond on {second}"
    return f"↑ fewer events on {second}\n↓ fewer events on {first}"


def _plain_ticks(axes: Axes, values: FloatArray) -> None:
    from matplotlib.ticker import FixedLocator, NullFormatter

    low, high = min(float(np.nanmin(values)), 0.5), max(float(np.nanmax(values)), 2.0)
    ticks = [tick for tick in (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0) if low <= tick <= high]
    axes.yaxis.set_major_locator(FixedLocator(ticks))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.yaxis.set_minor_formatter(NullFormatter())
