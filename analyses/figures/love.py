"""The love plot: standardised mean differences of the covariates before and after each adjustment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pandas as pd

from analyses.figures.formatting import both_sides
from analyses.figures.labels import contrast_arms, covariate_label, model_label
from analyses.figures.selection import rows_of
from analyses.figures.style import BLUE, FAINT, GREEN, ORANGE, PURPLE, SKY, VERMILLION, house_style, new_figure
from cohort.errors import AnalysisError
from cohort.results import ResultTable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BALANCE_LIMIT = 0.1
"""Absolute standardised mean difference below which arms are customarily called balanced (doi:10.1002/sim.3697)."""

AFTER_WEIGHTING = "After weighting"
"""Name of the only adjustment, where none is named."""

_LOOKS = ((BLUE, "D"), (GREEN, "^"), (PURPLE, "s"), (ORANGE, "v"), (SKY, "P"))


def plot_balance(table: ResultTable, *, arms: Mapping[str, str]) -> Axes:
    """Draw each covariate's standardised mean difference, unadjusted and under each adjustment.

    Parameters
    ----------
    table
        ``propensity_balance``: rows ``statistic="smd_unadjusted"`` and ``"smd_adjusted"`` by ``term``, with the
        ``contrast``; adjustments are told apart by ``population``, which names them. A missing difference (a covariate
        that does not vary) leaves its line empty.
    arms
        Code to label.

    Returns
    -------
    Axes
        Covariates from the most to the least different before weighting; dashed lines at plus and minus
        :data:`BALANCE_LIMIT`.

    Raises
    ------
    AnalysisError
        A table without these rows, or with more than five adjustments.

    Examples
    --------
    >>> from cohort.results import result_table
    >>> rows = [{"statistic": "smd_unadjusted", "estimate": 0.3}, {"statistic": "smd_adjusted", "estimate": 0.02}]
    >>> axes = plot_balance(result_table(rows, term="age_years", contrast="a v b"), arms={"a": "A", "b": "B"})
    >>> [label.get_text() for label in axes.get_yticklabels()]
    ['Age, years']
    """
    before = rows_of(table, "smd_unadjusted", where="plot_balance").set_index("term")["estimate"]
    adjusted = rows_of(table, "smd_adjusted", where="plot_balance")
    after = {
        name: rows.set_index("term")["estimate"] for name, rows in adjusted.groupby(_adjustment(adjusted), sort=False)
    }
    if len(after) > len(_LOOKS):
        raise AnalysisError(
            "too many adjustments to tell apart",
            where="plot_balance, column population",
            got=", ".join(map(str, after)),
            remedy=f"draw at most {len(_LOOKS)}",
        )
    terms = list(before.abs().sort_values(ascending=False, kind="stable").index)
    contrast = str(table.frame["contrast"].dropna().iloc[0]) if table.frame["contrast"].notna().any() else ""
    first, second = (arms.get(code, code) for code in contrast_arms(contrast))
    with house_style():
        figure = new_figure(1.2 + 0.2 * len(terms))
        axes: Axes = figure.add_subplot()
        places = range(len(terms))
        axes.hlines(places, 0, 1, transform=axes.get_yaxis_transform(), color=FAINT, alpha=0.2, linewidth=0.6)
        axes.axvline(0, color=FAINT, linewidth=0.9)
        for limit in (-BALANCE_LIMIT, BALANCE_LIMIT):
            axes.axvline(limit, color=FAINT, linewidth=0.9, linestyle=(0, (4, 3)))
        axes.plot(
            before.reindex(terms).to_numpy(),
            places,
            linestyle="none",
            marker="o",
            markersize=6,
            markerfacecolor="white",
            markeredgewidth=1.4,
            color=VERMILLION,
            label="Before",
        )
        for (name, values), (colour, marker) in zip(after.items(), _LOOKS, strict=False):
            axes.plot(
                values.reindex(terms).to_numpy(),
                places,
                linestyle="none",
                marker=marker,
                markersize=4.5,
                color=colour,
                label=model_label(str(name)),
            )
        axes.set_yticks(places, [covariate_label(term) for term in terms], fontsize=8.5)
        axes.tick_params(axis="y", length=0)
        axes.set_ylim(len(terms) - 0.4, -0.6)
        axes.spines["left"].set_visible(False)
        direction = f"\n{both_sides(f'higher on {second}', f'higher on {first}')}" if contrast else ""
        axes.set_xlabel(f"Standardised mean difference{direction}", fontsize=8.5)
        figure.legend(loc="outside upper center", ncols=2 if len(after) == 1 else 3, frameon=False)
    return axes


def _adjustment(rows: pd.DataFrame) -> pd.Series[str]:
    return rows["population"].fillna(AFTER_WEIGHTING)
