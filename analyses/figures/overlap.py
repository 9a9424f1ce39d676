"""Mirrored histograms of the propensity score: where the arms can be compared, and what weighting does to them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from analyses.figures.selection import rows_of
from analyses.figures.style import FAINT, INK, arm_styles, house_style, new_figure
from cohort.errors import AnalysisError
from cohort.results import ResultTable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WHERE = "plot_overlap"
_ROOM = 1.3
"""Height of a half over its tallest bar: the arm's name stands above it."""


def plot_overlap(table: ResultTable, *, arms: Mapping[str, str]) -> Axes:
    """Draw the scores of one arm upwards and of the other downwards.

    Parameters
    ----------
    table
        :func:`analyses.propensity.overlap_histogram`: ``bin_lower``, ``bin_upper`` and ``proportion`` by ``term``.
    arms
        Code to label of the two arms, the upper one first.

    Returns
    -------
    Axes
        Filled bars for the patients as they are and, if the table has them, outlines for the weighted arms. Heights are
        percentages of an arm.

    Raises
    ------
    AnalysisError
        A table without these rows, or other than two arms.

    Examples
    --------
    >>> from cohort.results import result_table
    >>> rows = [{"statistic": "bin_lower", "estimate": 0.0}, {"statistic": "bin_upper", "estimate": 1.0}]
    >>> rows += [{"statistic": "proportion", "group": arm, "population": "unweighted", "estimate": 1.0} for arm in "ab"]
    >>> axes = plot_overlap(result_table(rows, term="bin 01"), arms={"a": "A", "b": "B"})
    >>> [text.get_text() for text in axes.texts]
    ['A', 'B']
    """
    styles = arm_styles(arms)
    if len(styles) != 2:
        raise AnalysisError(
            "scores are drawn for two arms", where=_WHERE, got=", ".join(arms), remedy="label exactly two arms"
        )
    shares = rows_of(table, "proportion", where=_WHERE, arms=arms)
    lower, upper = (
        rows_of(table, side, where=_WHERE).set_index("term")["estimate"] for side in ("bin_lower", "bin_upper")
    )
    with house_style():
        figure = new_figure(2.8)
        axes: Axes = figure.add_subplot()
        tallest = 100 * float(shares["estimate"].max())
        for style, sign in zip(styles, (1, -1), strict=True):
            for population in ("unweighted", "weighted"):
                rows = shares[(shares["group"] == style.code) & (shares["population"] == population)]
                if not len(rows):
                    continue
                left = lower.loc[rows["term"]].to_numpy()
                filled = population == "unweighted"
                axes.bar(
                    left,
                    sign * 100 * rows["estimate"].to_numpy(),
                    width=upper.loc[rows["term"]].to_numpy() - left,
                    align="edge",
                    facecolor=style.colour if filled else "none",
                    alpha=0.45 if filled else 1.0,
                    edgecolor="white" if filled else INK,
                    linewidth=0.4 if filled else 1.0,
                    label=None if sign < 0 else {True: "As observed", False: "Weighted"}[filled],
                )
            axes.text(0.01, sign * _ROOM * tallest, style.label, va="top" if sign > 0 else "bottom", color=style.colour)
        axes.axhline(0, color=FAINT, linewidth=0.9)
        axes.set_xlim(0, 1)
        axes.set_ylim(-_ROOM * tallest, _ROOM * tallest)
        axes.yaxis.set_major_formatter(lambda value, _: f"{abs(value):g}")
        axes.set_xlabel("Propensity score")
        axes.set_ylabel("Patients of the arm, %")
        if (shares["population"] == "weighted").any():
            figure.legend(loc="outside upper center", ncols=2, frameon=False)
    return axes
