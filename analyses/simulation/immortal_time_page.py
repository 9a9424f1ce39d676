"""One self-contained page of the simulation study of immortal time."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pandas as pd

from analyses.kernels.proportions import normal_quantile
from analyses.simulation.conclusions import MONTE_CARLO_LEVEL, NOMINAL, monte_carlo_band
from analyses.simulation.frame import render_page
from analyses.simulation.immortal_time import START_METHODS
from analyses.simulation.page import SimulationFacts
from analyses.simulation.performance import setting_columns
from cohort.results import ResultTable

_MEASURES = (
    ("bias", "bias"),
    ("empirical_std_error", "empirical SE"),
    ("model_std_error", "model SE"),
    ("coverage", "coverage, %"),
    ("rejection", "true null rejected, %"),
    ("failure", "failed, %"),
)
_SHARES = ("coverage", "rejection", "failure")


def immortal_time_page(table: ResultTable, provenance: pd.DataFrame, facts: SimulationFacts) -> str:
    """Build the page.

    Parameters
    ----------
    table
        From :func:`analyses.simulation.immortal_time.immortal_time_performance`, of cohorts without effect.
    provenance
        ``parameter, value, unit, status, source`` of the numbers the cohorts are drawn from.
    facts
        The run.

    Returns
    -------
    str
        A complete HTML document with style and figure inside; the same arguments give the same text.
    """
    from analyses.figures.start_estimates import plot_start_estimates
    from analyses.figures.svg import figure_svg

    names = [method.name for method in START_METHODS]
    axes = plot_start_estimates(table, methods=names, naive=[method.name for method in START_METHODS if method.naive])
    svg = figure_svg(
        axes,
        name="start-estimates",
        description="Mean estimated hazard ratio of each method beside the true one, by size and by what starts depend "
        "on; the numbers are in the table below",
    )
    columns = ["parameter", "value", "unit", "status", "source"]
    return render_page(
        "immortal_time.html",
        facts=facts,
        svg=svg,
        band=f"{100 * MONTE_CARLO_LEVEL:g} %",
        sentences=list(immortal_time_conclusions(table)),
        methods=START_METHODS,
        columns=("patients", "strength", "method", *(label for _, label in _MEASURES)),
        rows=list(_rows(table)),
        provenance_columns=columns,
        provenance=[[str(value) for value in row] for row in provenance[columns].to_numpy().tolist()],
    )


def immortal_time_conclusions(table: ResultTable) -> Iterator[str]:
    """Say of each size and strength which methods are biased and which keep their coverage.

    A method is biased where its mean differs from the truth by more than 99 % of an unbiased one's would, and loses its
    coverage where that is below 95 % by more than 99 % of a right one's would be.
    """
    frame = setting_columns(table)
    limit = normal_quantile(MONTE_CARLO_LEVEL)
    for (size, strength), part in frame.groupby(["patients", "strength"], sort=True):
        bias = part[part["statistic"].eq("bias").to_numpy(dtype=bool)].set_index("group")
        cover = part[part["statistic"].eq("coverage").to_numpy(dtype=bool)].set_index("group")
        clear = bias[(bias["estimate"].abs() > limit * bias["std_error"]).fillna(False).to_numpy(dtype=bool)]
        low = cover[(cover["estimate"] < NOMINAL - cover["n"].map(monte_carlo_band)).to_numpy(dtype=bool)]
        where = f"n = {float(str(size)):,.0f}, strength {float(str(strength)):g}"
        ratios = "; ".join(f"{name} ({math.exp(value):.2f})" for name, value in clear["estimate"].items())
        lost = "; ".join(f"{name} ({100 * value:.0f} %)" for name, value in low["estimate"].items())
        silent = "; ".join(bias.index[(bias["n"] == 0).to_numpy(dtype=bool)])
        yield (
            f"{where}: a bias beyond Monte Carlo error, with the factor by which the hazard ratio is off: "
            f"{ratios or 'none'}. Coverage below 95 %: {lost or 'none'}."
            + (f" No estimate in any cohort: {silent}." if silent else "")
        )


def _rows(table: ResultTable) -> Iterator[tuple[str, ...]]:
    frame = setting_columns(table)
    order = {method.name: place for place, method in enumerate(START_METHODS)}
    keys = zip(frame["patients"], frame["strength"], frame["group"], frame["statistic"], strict=True)
    values = zip(frame["estimate"].tolist(), frame["std_error"].tolist(), strict=True)
    cells = {
        (float(size), float(strength), str(name), str(statistic)): value
        for (size, strength, name, statistic), value in zip(keys, values, strict=True)
    }
    settings = dict.fromkeys((size, strength, name) for size, strength, name, _ in cells)
    for size, strength, name in sorted(settings, key=lambda key: (key[0], key[1], order.get(key[2], len(order)))):
        written = (_cell(statistic, *cells[size, strength, name, statistic]) for statistic, _ in _MEASURES)
        yield (f"{size:,.0f}", f"{strength:g}", name, *written)


def _cell(statistic: str, estimate: float, error: float) -> str:
    """Write a value with its Monte Carlo standard error in brackets."""
    if math.isnan(estimate):
        return "–"
    if statistic in _SHARES:
        return f"{100 * estimate:.1f} ({100 * error:.1f})"
    text = f"{estimate:{'+' if statistic == 'bias' else ''}.3f}"
    return text if math.isnan(error) else f"{text} ({error:.3f})"
