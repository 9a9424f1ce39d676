"""One self-contained page of a simulation study, laid out by aims, data, estimands, methods and performance."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from analyses.simulation.conclusions import MONTE_CARLO_LEVEL, conclusions
from analyses.simulation.frame import render_page
from analyses.simulation.methods import METHODS, Method, Target
from analyses.simulation.performance import setting_columns
from cohort.results import ResultTable


@dataclass(frozen=True, slots=True)
class _Shown:
    """How an estimand is shown: its title, and the factor and unit of its bias and errors."""

    title: str
    scale: float
    unit: str
    digits: int


_SHOWN: Mapping[str, _Shown] = {
    Target.RISK_DIFFERENCE: _Shown("Complete response at month 12: risk difference", 100.0, "percentage points", 2),
    Target.RESTRICTED_MEAN_DIFFERENCE: _Shown("Event-free survival: difference of restricted means", 365.25, "days", 1),
    Target.LOG_HAZARD_RATIO: _Shown("Event-free survival: marginal hazard ratio", 1.0, "log hazard ratio", 3),
}
_MEASURES = (
    ("bias", "effect", "bias"),
    ("empirical_std_error", "effect", "empirical SE"),
    ("model_std_error", "effect", "model SE"),
    ("coverage", "effect", "coverage"),
    ("rejection", "null", "type-I error"),
    ("rejection", "effect", "power"),
    ("failure", "effect", "failed"),
)


@dataclass(frozen=True, slots=True)
class SimulationFacts:
    """What the page says of the run besides its numbers."""

    study: str
    seed: int
    replicates: int
    command: str


@dataclass(frozen=True, slots=True)
class _Part:
    """The part of the page about one estimand."""

    title: str
    unit: str
    svg: str
    said: tuple[tuple[str, tuple[str, ...]], ...]
    methods: tuple[Method, ...]
    truth_columns: tuple[str, ...]
    truths: tuple[tuple[str, ...], ...]
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def simulation_page(table: ResultTable, truths: pd.DataFrame, facts: SimulationFacts) -> str:
    """Build the page.

    Parameters
    ----------
    table
        From :func:`analyses.simulation.simulation_performance`.
    truths
        ``strength, estimand, population, truth, std_error``, of every strength.
    facts
        The run.

    Returns
    -------
    str
        A complete HTML document with style and figures inside; the same arguments give the same text.
    """
    said = conclusions(table)
    terms = [term for term in Target if term in set(table.frame["term"])]
    parts = tuple(
        _part(
            term,
            table,
            truths,
            tuple((f"{one.patients:,} patients", one.sentences) for one in said if one.term == term),
        )
        for term in terms
    )
    return render_page("confounding.html", facts=facts, parts=parts, band=f"{100 * MONTE_CARLO_LEVEL:g} %")


def _part(
    term: Target, table: ResultTable, truths: pd.DataFrame, said: tuple[tuple[str, tuple[str, ...]], ...]
) -> _Part:
    from analyses.figures.simulation import plot_performance
    from analyses.figures.svg import figure_svg

    shown = _SHOWN[term]
    axes = plot_performance(table, term=term, scale=shown.scale, unit=shown.unit)
    names = set(table.frame.loc[(table.frame["term"] == term).to_numpy(dtype=bool), "group"])
    truth_columns, truth_rows = _truth_rows(truths[(truths["estimand"] == term).to_numpy(dtype=bool)], shown)
    return _Part(
        title=shown.title,
        unit=shown.unit,
        svg=figure_svg(
            axes,
            name=term.replace("_", "-"),
            description=f"{shown.title}: bias, coverage, type-I error and power of each method by strength of "
            "confounding and number of patients; the numbers are in the table below",
        ),
        said=said,
        methods=tuple(method for method in METHODS if method.target is term and method.name in names),
        truth_columns=truth_columns,
        truths=truth_rows,
        columns=("patients", "strength", "method", *(label for _, _, label in _MEASURES)),
        rows=tuple(_performance_rows(term, table, shown)),
    )


def _truth_rows(rows: pd.DataFrame, shown: _Shown) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    populations = list(dict.fromkeys(rows["population"]))
    wide = rows.pivot(index="strength", columns="population", values="truth")[populations] * shown.scale
    largest = shown.scale * rows["std_error"].max()
    heads = [
        "what a crude comparison tends to" if name == "assessed" else f"true effect, {name}" for name in populations
    ]
    lines = [
        (f"{strength:g}", *(f"{value:+.{shown.digits}f}" for value in values))
        for strength, values in zip(wide.index, wide.to_numpy(), strict=True)
    ]
    return ("strength", *heads), (*lines, (f"largest standard error {largest:.2g}", *[""] * len(populations)))


def _performance_rows(term: Target, table: ResultTable, shown: _Shown) -> list[tuple[str, ...]]:
    frame = setting_columns(table)
    frame = frame[(frame["term"] == term).to_numpy(dtype=bool)]
    names = ("statistic", "world", "patients", "strength", "group")
    keys = zip(*(frame[name].tolist() for name in names), strict=True)
    values = zip(frame["estimate"].tolist(), frame["std_error"].tolist(), strict=True)
    cells: dict[tuple[str, str, float, float, str], tuple[float, float]] = dict(zip(keys, values, strict=True))
    order = {method.name: place for place, method in enumerate(METHODS)}
    index = {key[2:] for key in cells}
    return [
        (
            f"{patients:,.0f}",
            f"{strength:g}",
            name,
            *(
                _cell(statistic, *cells[statistic, world, patients, strength, name], shown)
                for statistic, world, _ in _MEASURES
            ),
        )
        for patients, strength, name in sorted(index, key=lambda key: (key[0], key[1], order.get(key[2], len(order))))
    ]


def _cell(statistic: str, estimate: float, error: float, shown: _Shown) -> str:
    """Write a value with its Monte Carlo standard error in brackets."""
    if math.isnan(estimate):
        return "–"
    if statistic in ("coverage", "rejection", "failure"):
        return f"{100 * estimate:.1f} ({100 * error:.1f})"
    text = f"{shown.scale * estimate:{'+' if statistic == 'bias' else ''}.{shown.digits}f}"
    return text if math.isnan(error) else f"{text} ({shown.scale * error:.{shown.digits}f})"
