"""What a simulation study shows, in plain words computed from its performance table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analyses.kernels.proportions import normal_quantile
from analyses.simulation.performance import setting_columns
from cohort.results import ResultTable

NOMINAL = 0.95
MONTE_CARLO_LEVEL = 0.99
"""How many of the shares a right method would show lie in the band that counts as agreement."""


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What is said of one estimand at one size.

    Attributes
    ----------
    term, patients
        Which.
    sentences
        In words, without markup.
    """

    term: str
    patients: int
    sentences: tuple[str, ...]


def monte_carlo_band(replicates: float, share: float = NOMINAL) -> float:
    """Return how far a share seen in so many replicates may lie from ``share`` and still agree with it.

    Infinitely far, where there are none.

    Examples
    --------
    >>> round(monte_carlo_band(1000), 3)
    0.018
    """
    if not replicates:
        return float("inf")
    return float(normal_quantile(MONTE_CARLO_LEVEL) * np.sqrt(share * (1 - share) / replicates))


def conclusions(table: ResultTable) -> tuple[Conclusion, ...]:
    """Say which methods keep their coverage, and at which strength the others lose it.

    Parameters
    ----------
    table
        From :func:`analyses.simulation.simulation_performance`.

    Returns
    -------
    tuple of Conclusion
        By estimand and size. A method keeps its coverage at a strength if, in the world with the effect, it is not
        below 95 % by more than 99 % of a right method's would be; about one verdict in 200 is wrong by chance.
    """
    frame = setting_columns(table)
    found = []
    for term in dict.fromkeys(frame["term"]):
        for size in sorted(frame["patients"].unique()):
            rows = frame[((frame["term"] == term) & (frame["patients"] == size)).to_numpy(dtype=bool)]
            found.append(Conclusion(str(term), int(size), tuple(_sentences(rows))))
    return tuple(found)


def _sentences(rows: pd.DataFrame) -> Iterator[str]:
    coverage = _of(rows, "coverage", "effect")
    silent = (coverage["n"] == 0).to_numpy(dtype=bool)
    for name, mine in coverage[silent].groupby("group", sort=True):
        yield f"No estimate in any cohort at strength {_listed(mine['strength'].tolist())}: {name}."
    coverage = coverage[~silent]
    if not len(coverage):
        return
    strengths = sorted(coverage["strength"].unique())
    everywhere, sometimes, never = [], [], []
    for name, mine in coverage.groupby("group", sort=True):
        low = mine.loc[_below(mine).to_numpy(), "strength"].tolist()
        if not low:
            everywhere.append(str(name))
        elif len(low) < len(strengths):
            worst = mine["estimate"].min()
            sometimes.append(f"{name} (below at strength {_listed(low)}; lowest {100 * worst:.1f} %)")
        else:
            never.append(f"{name} ({_span(mine['estimate'])})")
    several = "every strength looked at" if len(strengths) > 1 else f"strength {strengths[0]:g}"
    if everywhere:
        yield f"Coverage within Monte Carlo error of 95 %, or above, at {several}: {'; '.join(everywhere)}."
    if sometimes:
        yield f"Coverage kept at some strengths only: {'; '.join(sometimes)}."
    if never:
        yield f"Coverage below 95 % at {several}: {'; '.join(never)}."
    yield from _type_one(_of(rows, "rejection", "null"))
    yield from _largest_bias(_of(rows, "bias", "effect"), coverage)


def _type_one(rows: pd.DataFrame) -> Iterator[str]:
    high = [
        f"{name} ({_span(mine['estimate'])} at strength {_listed(mine['strength'].tolist())})"
        for name, mine in rows[_above(rows).to_numpy()].groupby("group", sort=True)
    ]
    if high:
        yield f"Tests that reject a true null too often: {'; '.join(high)}."
    else:
        yield "No test rejects a true null more often than 5 % within Monte Carlo error."


def _largest_bias(rows: pd.DataFrame, coverage: pd.DataFrame) -> Iterator[str]:
    known = rows[rows["estimate"].notna().to_numpy() & rows["std_error"].notna().to_numpy()]
    clear = known[(known["estimate"].abs() > normal_quantile(MONTE_CARLO_LEVEL) * known["std_error"]).to_numpy()]
    unbiased = sorted(set(coverage["group"]) - set(clear["group"]))
    if unbiased:
        yield f"No bias beyond Monte Carlo error at any strength: {'; '.join(unbiased)}."


def _of(rows: pd.DataFrame, statistic: str, world: str) -> pd.DataFrame:
    return rows[((rows["statistic"] == statistic) & (rows["world"] == world)).to_numpy(dtype=bool)]


def _below(rows: pd.DataFrame) -> pd.Series[bool]:
    return rows["estimate"] < NOMINAL - rows["n"].map(monte_carlo_band)


def _above(rows: pd.DataFrame) -> pd.Series[bool]:
    return rows["estimate"] > 1 - NOMINAL + rows["n"].map(monte_carlo_band)


def _listed(numbers: Sequence[float]) -> str:
    return ", ".join(f"{number:g}" for number in sorted(numbers))


def _span(shares: pd.Series[float]) -> str:
    low, high = (f"{100 * share:.1f}" for share in (shares.min(), shares.max()))
    return f"{low} %" if low == high else f"{low} to {high} %"
