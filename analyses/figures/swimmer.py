"""The swimmer plot: one bar a patient, from day 0 to the end of follow-up, coloured by response."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pandas as pd

from analyses.figures.labels import outcome_label
from analyses.figures.selection import rows_of
from analyses.figures.style import INK, ORANGE, SKY, house_style, new_figure
from cohort.results import ResultTable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_STATES = {
    "not yet assessed": ("#f2f2f2", ""),
    "CR": ("#00664b", ""),
    "PR": (SKY, "////"),
    "NR": (ORANGE, ""),
}
"""Fill and hatch, those of the bars of response states."""
_EVENTS = {"renal_flare": ("^", "white", 5.5), "eskd": ("s", "white", 5.0), "death": ("X", INK, 7.0)}
_ENDS = {
    "data_lock": (">", "Still followed at the data lock"),
    "completed": ("|", "Follow-up completed"),
    "lost_to_follow_up": ("o", "Lost to follow-up"),
}


def plot_swimmer(table: ResultTable, *, arms: Mapping[str, str]) -> tuple[Axes, ...]:
    """Draw the course of each patient as a bar.

    Parameters
    ----------
    table
        ``realism_courses``: rows ``months_in_state``, ``event`` and ``end_of_follow_up`` by ``population`` (the
        patient), ``group``, ``term`` and ``time`` in months.
    arms
        Code to label, in drawing order.

    Returns
    -------
    tuple of Axes
        One per arm with patients, one below the other, the longest follow-up on top. A state holds from the visit
        that shows it to the next one or to a flare. Triangles are renal flares, squares ESKD, crosses deaths; beyond
        the bar an arrow is a patient still followed at the data lock, a stroke one who completed follow-up, a ring one
        lost.

    Raises
    ------
    AnalysisError
        A table without these rows, or with a group that is not in ``arms``.

    Examples
    --------
    >>> from cohort.results import result_table
    >>> rows = [
    ...     {"term": "CR", "statistic": "months_in_state", "time": 0.0, "estimate": 12.0},
    ...     {"term": "data_lock", "statistic": "end_of_follow_up", "time": 12.0},
    ... ]
    >>> table = result_table(rows, population="p-1", group="a", time_unit="month")
    >>> len(plot_swimmer(table, arms={"a": "Arm A"})[0].patches)
    1
    """
    where = "plot_swimmer"
    states = rows_of(table, "months_in_state", where=where, arms=arms)
    ends = rows_of(table, "end_of_follow_up", where=where, arms=arms)
    events = table.frame[(table.frame["statistic"] == "event").fillna(False).to_numpy(dtype=bool)]
    shown = {code: label for code, label in arms.items() if (ends["group"] == code).any()}
    sizes = [int((ends["group"] == code).sum()) for code in shown]
    shared = _shared_start([str(patient) for patient in ends["population"]])
    with house_style():
        figure = new_figure(1.3 + sum(0.35 + 0.19 * size for size in sizes))
        panels = figure.subplots(len(shown), 1, sharex=True, squeeze=False, height_ratios=sizes)[:, 0]
        for axes, (code, label) in zip(panels, shown.items(), strict=True):
            own_ends = ends[ends["group"] == code].sort_values("time", ascending=False, kind="stable")
            order = {str(patient): place for place, patient in enumerate(own_ends["population"])}
            _draw_states(axes, states[states["group"] == code], order)
            _draw_marks(axes, events[(events["group"] == code).to_numpy(dtype=bool)], own_ends, order)
            axes.set_yticks(range(len(order)), [name.removeprefix(shared) for name in order], fontsize=8)
            axes.set_ylim(len(order) - 0.4, -0.6)
            axes.set_title(label, loc="left", fontsize=9)
            axes.tick_params(axis="y", length=0)
            axes.spines["left"].set_visible(False)
        last = float(ends["time"].max())
        panels[-1].set_xlim(0, 1.06 * last)
        panels[-1].set_xticks(range(0, int(last) + 1, 12))
        panels[-1].set_xlabel("Months since day 0")
        _legend(panels[0], states, events, ends)
    return tuple(panels)


def _shared_start(names: list[str]) -> str:
    """Return what all of several names begin with, without digits at its end; of one name nothing."""
    first, last = min(names), max(names)
    shared = next((place for place, pair in enumerate(zip(first, last, strict=False)) if len(set(pair)) > 1), 0)
    return first[:shared].rstrip("0123456789")


def _draw_states(axes: Axes, states: pd.DataFrame, order: Mapping[str, int]) -> None:
    for term, (fill, hatch) in _STATES.items():
        own = states[states["term"] == term]
        axes.barh(
            [order[str(patient)] for patient in own["population"]],
            own["estimate"].to_numpy(),
            left=own["time"].to_numpy(),
            height=0.74,
            color=fill,
            hatch=hatch,
            edgecolor=INK,
            linewidth=0.4,
        )


def _draw_marks(axes: Axes, events: pd.DataFrame, ends: pd.DataFrame, order: Mapping[str, int]) -> None:
    for row in events.to_dict("records"):
        marker, fill, size = _EVENTS[row["term"]]
        axes.plot(row["time"], order[row["population"]], marker=marker, markersize=size, color=INK,
                  markerfacecolor=fill, markeredgewidth=0.9, clip_on=False, zorder=5)  # fmt: skip
    gap = 0.012 * float(ends["time"].max())
    for row in ends.to_dict("records"):
        if row["term"] in _ENDS:
            marker, _ = _ENDS[row["term"]]
            axes.plot(row["time"] + gap, order[row["population"]], marker=marker, markersize=5, color=INK,
                      markerfacecolor="white" if marker == "o" else INK, clip_on=False, zorder=4)  # fmt: skip


def _legend(axes: Axes, states: pd.DataFrame, events: pd.DataFrame, ends: pd.DataFrame) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Patch | Line2D] = [
        Patch(facecolor=fill, hatch=hatch, edgecolor=INK, linewidth=0.4, label=outcome_label(term))
        for term, (fill, hatch) in _STATES.items()
        if (states["term"] == term).any()
    ]
    marks = [(_EVENTS[term], outcome_label(term)) for term in _EVENTS if (events["term"] == term).any()]
    marks += [((marker, "white" if marker == "o" else INK, 5.0), words)
              for term, (marker, words) in _ENDS.items() if (ends["term"] == term).any()]  # fmt: skip
    handles += [
        Line2D([], [], linestyle="none", marker=marker, markersize=size, color=INK, markerfacecolor=fill, label=words)
        for (marker, fill, size), words in marks
    ]
    figure = axes.get_figure(root=True)
    if figure is not None:
        figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False, fontsize=8.5)
