"""Forest plots: response differences by visit, and hazard ratios of one arm against the other."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import pandas as pd

from analyses.figures.forest_lines import (
    Line,
    LineGroup,
    contrast_labels,
    draw_groups,
    only_contrast,
    plain_ratio_ticks,
    ratio_of,
)
from analyses.figures.formatting import both_sides, count, interval
from analyses.figures.labels import model_label, outcome_label, variation_label, visit_label
from analyses.figures.selection import rows_of
from analyses.figures.style import BLUE, GREEN, INK, PURPLE, VERMILLION, house_style
from cohort.errors import AnalysisError
from cohort.results import ResultTable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

GOOD_OUTCOMES = ("CR", "CR or PR")
"""Outcomes of which more is better without doubt; a lower share of partial responses may be more complete ones."""

TREATED_TERM = "treated"
"""Name of the arm's indicator in a model: 1 for the treated arm."""

_DIFFERENCES = ("risk_difference", "standardised_risk_difference")
_LOOKS = ((VERMILLION, "o"), (BLUE, "D"), (GREEN, "^"), (PURPLE, "s"))


def plot_risk_differences(tables: Mapping[str, ResultTable], *, arms: Mapping[str, str]) -> tuple[Axes, ...]:
    """Draw differences of response rates by visit, in percentage points.

    Parameters
    ----------
    tables
        How the difference was estimated (``"unadjusted"``, ``"weighted"``), in drawing order, to a table with rows
        ``statistic="risk_difference"`` or ``"standardised_risk_difference"`` by ``contrast``, ``time`` in months and
        ``term``. Of the outcomes only ``CR`` and ``CR or PR`` are drawn.
    arms
        Code to label.

    Returns
    -------
    tuple of Axes
        One per outcome and way of estimating, on one scale; in each a line per visit with its number beside it. The
        ends of the axis say which arm has more responders. A line that could not be estimated shows a dash.

    Raises
    ------
    AnalysisError
        Tables without these rows, or a contrast with an arm that is not in ``arms``.

    Examples
    --------
    >>> from cohort.results import result_table
    >>> row = {"contrast": "a v b", "time": 6.0, "term": "CR", "estimate": -0.07, "conf_low": -0.21, "conf_high": 0.07}
    >>> table = result_table([row], statistic="risk_difference")
    >>> axes = plot_risk_differences({"unadjusted": table}, arms={"a": "Arm A", "b": "Arm B"})
    >>> axes[0].get_title(loc="left"), [label.get_text() for label in axes[0].get_yticklabels()]
    ('Complete response, unadjusted', ['6 months'])
    """
    where = "plot_risk_differences"
    kept = {kind: difference_rows(table) for kind, table in tables.items()}
    rows = pd.concat(list(kept.values())) if kept else pd.DataFrame(columns=["contrast", "term"])
    if not len(rows):
        raise AnalysisError(
            "no complete or overall response to draw", where=where, remedy="compare the outcomes CR and CR or PR"
        )
    first, second = contrast_labels(only_contrast(rows["contrast"], where), arms, where)
    groups = [
        _difference_group(own[own["term"] == term], f"{outcome_label(term)}, {kind}", *look)
        for term in GOOD_OUTCOMES
        for (kind, own), look in zip(kept.items(), itertools.cycle(_LOOKS), strict=False)
        if (own["term"] == term).any()
    ]
    with house_style():
        panels = draw_groups(groups, null=0.0)
        panels[-1].set_xlabel(
            f"Difference in responders, percentage points\n{both_sides(f'more on {second}', f'more on {first}')}",
            fontsize=8.5,
        )
    return panels


def plot_hazard_ratios(table: ResultTable, *, treated: str, arms: Mapping[str, str], counted: str = "events") -> Axes:
    """Draw the hazard ratio of the treated arm from each model, on a logarithmic axis.

    Parameters
    ----------
    table
        ``cox``: rows ``statistic="log_hazard_ratio"`` by ``population``, the model. Only the term of the arm is drawn:
        ``treated``, or ``arm=`` and the code.
    treated
        Code of the arm whose hazard is the numerator.
    arms
        Code to label, of two arms.
    counted
        What a ratio below 1 means fewer of.

    Returns
    -------
    Axes
        One line per model, with its number beside it; the ends of the axis say which arm has fewer events. A model
        without an estimate shows a dash.

    Raises
    ------
    AnalysisError
        A table without a term of the arm, not two arms, or ``treated`` none of them.

    Examples
    --------
    >>> from cohort.results import result_table
    >>> row = {"population": "unadjusted", "term": "arm=a", "estimate": 0.1, "conf_low": -0.4, "conf_high": 0.6}
    >>> table = result_table([row], statistic="log_hazard_ratio")
    >>> plot_hazard_ratios(table, treated="a", arms={"a": "Arm A", "b": "Arm B"}).get_xscale()
    'log'
    """
    where = "plot_hazard_ratios"
    rows = rows_of(table, "log_hazard_ratio", where=where)
    rows = rows[rows["term"].isin([TREATED_TERM, f"arm={treated}"])]
    if not len(rows):
        raise AnalysisError("no term of the arm", where=where, remedy="fit a model that holds the arm")
    reference = only_contrast(pd.Series([code for code in arms if code != treated], dtype="object"), f"{where}, arms")
    first, second = contrast_labels(f"{treated} v {reference}", arms, where)
    lines = tuple(Line(model_label(str(row["population"])), *ratio_of(row)) for _, row in rows.iterrows())
    return _draw_ratios(lines, both_sides(f"fewer {counted} on {first}", f"fewer on {second}"))


def plot_subgroup_ratios(
    table: ResultTable, *, arms: Mapping[str, str], reasons: Mapping[str, str] | None = None
) -> Axes:
    """Draw the hazard ratio of the treated arm in all patients and within each subgroup.

    Parameters
    ----------
    table
        ``subgroup_hazards``: rows ``statistic="log_hazard_ratio"`` with ``contrast``, ``population`` "all patients" or
        "subgroup", and the subgroup in ``group``.
    arms
        Code to label.
    reasons
        Subgroup to why it has no estimate, in few words; written in the line, which then holds no point.

    Returns
    -------
    Axes
        One line a subgroup, with patients and events in brackets and the ratio beside it.

    Raises
    ------
    AnalysisError
        A table without these rows, more than one contrast, or an arm that is not in ``arms``.

    Examples
    --------
    >>> from cohort.results import result_table
    >>> row = {"population": "subgroup", "group": "IV", "contrast": "a v b", "estimate": 0.1, "n": 80, "n_events": 17}
    >>> table = result_table([row], statistic="log_hazard_ratio")
    >>> axes = plot_subgroup_ratios(table, arms={"a": "Arm A", "b": "Arm B"})
    >>> axes.get_yticklabels()[0].get_text()
    'IV (80; 17)'
    """
    where = "plot_subgroup_ratios"
    rows = rows_of(table, "log_hazard_ratio", where=where)
    first, second = contrast_labels(only_contrast(rows["contrast"], where), arms, where)
    known = reasons or {}
    lines = []
    for _, row in rows.iterrows():
        everybody = pd.isna(row["group"])
        name = "All patients" if everybody else str(row["group"])
        label = f"{name} ({count(row['n'])}; {count(row['n_events'])})"
        lines.append(Line(label, *ratio_of(row), reason="" if everybody else known.get(name, "")))
    return _draw_ratios(lines, both_sides(f"fewer events on {first}", f"fewer on {second}"))


def plot_variations(table: ResultTable, *, statistic: str, arms: Mapping[str, str], counted: str = "events") -> Axes:
    """Draw one contrast from a comparison that was made again and again with one thing changed.

    Parameters
    ----------
    table
        ``leave_one_covariate_out`` or ``trimming_path``: rows of ``statistic`` by ``population``, with one
        ``contrast``, ``term`` and ``time``. The first is the comparison that the others vary; a thin line marks it.
    statistic
        ``risk_difference``, drawn in percentage points, or ``log_hazard_ratio``, drawn as a ratio.
    arms
        Code to label.
    counted
        What a hazard ratio below 1 means fewer of.

    Returns
    -------
    Axes
        One line per comparison, in the order of the table, without its number: there are many, and they hardly differ.
        One that could not be estimated shows a dash.

    Raises
    ------
    AnalysisError
        A table without these rows, more than one outcome, visit or contrast, or an arm that is not in ``arms``.

    Examples
    --------
    >>> from cohort.results import result_table
    >>> rows = [{"population": "every covariate", "estimate": -0.1}, {"population": "without sex", "estimate": -0.2}]
    >>> table = result_table(rows, statistic="risk_difference", contrast="a v b", term="CR", time=12.0)
    >>> axes = plot_variations(table, statistic="risk_difference", arms={"a": "Arm A", "b": "Arm B"})
    >>> [label.get_text() for label in axes.get_yticklabels()]
    ['Every covariate', 'Without sex']
    """
    where = "plot_variations"
    rows = rows_of(table, statistic, where=where)
    if len(rows[["term", "time"]].drop_duplicates()) != 1:
        raise AnalysisError("more than one outcome or visit", where=where, remedy="draw one at a time")
    first, second = contrast_labels(only_contrast(rows["contrast"], where), arms, where)
    if statistic == "log_hazard_ratio":
        lines = tuple(
            _wordless(Line(variation_label(str(row["population"])), *ratio_of(row))) for _, row in rows.iterrows()
        )
        axes = _draw_ratios(lines, both_sides(f"fewer {counted} on {first}", f"fewer on {second}"))
    else:
        group = _difference_group(rows, "", INK, "s", label=lambda row: variation_label(str(row["population"])))
        lines = tuple(map(_wordless, group.lines))
        with house_style():
            (axes,) = draw_groups([replace(group, lines=lines)], null=0.0)
            axes.set_xlabel(
                f"Difference in responders, percentage points\n{both_sides(f'more on {second}', f'more on {first}')}",
                fontsize=8.5,
            )
    axes.xaxis.label.set(x=1.0, horizontalalignment="right")  # the axis fills the figure: centred, the label would not
    if not math.isnan(lines[0].estimate):
        axes.axvline(lines[0].estimate, color=BLUE, linewidth=0.8, zorder=0)
    return axes


def _wordless(line: Line) -> Line:
    """Return a line without the number beside it; the dash of one without estimate stays."""
    return line if math.isnan(line.estimate) else replace(line, text="")


def _draw_ratios(lines: Sequence[Line], ends: str) -> Axes:
    with house_style():
        (axes,) = draw_groups([LineGroup("", tuple(lines))], null=1.0)
        axes.set_xscale("log")
        plain_ratio_ticks(axes)
        axes.set_xlabel(f"Hazard ratio (log scale)\n{ends}", fontsize=8.5)
    return axes


def difference_rows(table: ResultTable) -> pd.DataFrame:
    """Return the rows of a table that :func:`plot_risk_differences` draws; there may be none."""
    frame = table.frame
    is_difference = frame["statistic"].isin(_DIFFERENCES) & frame["term"].isin(GOOD_OUTCOMES)
    return frame[is_difference.to_numpy(dtype=bool)]


def _visit(row: pd.Series) -> str:
    return visit_label(row["time"])


def _difference_group(
    rows: pd.DataFrame, heading: str, colour: str, marker: str, label: Callable[[pd.Series], str] = _visit
) -> LineGroup:
    lines = []
    for _, row in rows.sort_values("time", kind="stable").iterrows():
        low, centre, high = (100 * float(row[name]) for name in ("conf_low", "estimate", "conf_high"))
        lines.append(Line(label(row), centre, low, high, interval(centre, low, high, decimals=1)))
    return LineGroup(heading, tuple(lines), colour, marker)
