"""The whole numbers of patients nearest to printed numbers that none of a printed denominator gives.

Where the denominator of an arm at a visit is printed and no whole numbers of patients give back everything printed
there, those are taken that give back as many of the printed numbers as can be; among these, those with the smallest sum
of squared distances, in percentage points, to the numbers not given back. What is left open is chosen as elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from cohort.admissible import Splits
from cohort.rounding import Booleans, Floats, Integers, percentage_prints_as, scaled
from cohort.targets import Target, Unit

UNATTAINABLE_COLUMNS = {
    "target_id": "str",
    "measure": "str",
    "arm": "str",
    "month": "int64",
    "printed": "str",
    "n": "int64",
    "nearest": "int64",
    "percentage": "float64",
    "reason": "str",
}


def nearest_splits(targets: Sequence[Target], n: int) -> Splits:
    """Return the splits of ``n`` patients nearest to what is printed, by the rule at the top of this module.

    Parameters
    ----------
    targets
        Printed numbers of response of one arm at one visit, at most one a measure.
    n
        Patients assessed.

    Returns
    -------
    Splits
        More than one where a measure is not printed, or several lie equally near.

    Examples
    --------
    >>> from cohort.targets import load_study
    >>> study = load_study("zavada2010")
    >>> found = nearest_splits([study.target("cr_9_csa"), study.target("or_9_csa")], 19)
    >>> found.complete.tolist(), found.overall.tolist()
    ([5], [8])
    """
    complete, partial = (grid.ravel() for grid in np.indices((n + 1, n + 1), dtype=np.int64))
    possible = complete + partial <= n
    splits = Splits(n, complete[possible], partial[possible])
    missed = np.zeros(len(splits), dtype=np.int64)
    distance: Floats = np.zeros(len(splits))
    for target in targets:
        counts = splits.counts(target.measure)
        away = ~gives_back(target, counts, n)
        missed += away
        distance += away * (100 * counts / n - _percentage(target, n)) ** 2
    nearest = np.flatnonzero(missed == missed.min())
    # Equal distances may differ in the last bit, by the order of their terms.
    nearest = nearest[distance[nearest] <= distance[nearest].min() + 1e-9]
    return Splits(n, splits.complete[nearest], splits.partial[nearest])


def gives_back(target: Target, counts: Integers, n: int) -> Booleans:
    """Return which numbers of patients, out of ``n``, print as the target."""
    if target.unit is Unit.PATIENTS:
        same: Booleans = counts == int(target.printed)
        return same
    return percentage_prints_as(counts, np.full(counts.shape, n), target.printed)


def nearest_count(target: Target, n: int) -> int:
    """Return the number of patients, out of ``n``, nearest to a printed number; the smaller of two equally near.

    A number that prints as the target is nearest, whatever lies nearer before rounding.
    """
    counts = np.arange(n + 1, dtype=np.int64)
    distance = np.abs(100 * counts / n - _percentage(target, n))
    return int(np.lexsort((counts, distance, ~gives_back(target, counts, n)))[0])


def unattained(chosen: Iterable[tuple[Target, int, int]], beside: dict[str, str]) -> pd.DataFrame:
    """List the printed numbers that the chosen numbers of patients do not give back.

    Parameters
    ----------
    chosen
        Targets of an arm and month, each with its chosen number of patients and the denominator.
    beside
        From the id of a target to the other numbers printed of the same arm and visit, described.

    Returns
    -------
    pandas.DataFrame
        One row per printed number not given back: ``target_id``, ``measure``, ``arm``, ``month``, ``printed``, ``n``,
        ``nearest`` (patients taken), ``percentage`` (unrounded, of ``n``) and ``reason``.
    """
    rows = []
    for target, count, n in chosen:
        if gives_back(target, np.array([count]), n)[0]:
            continue
        percentage = 100 * count / n
        rows.append(
            (
                target.id,
                str(target.measure),
                target.arm,
                target.month,
                target.printed,
                n,
                count,
                percentage,
                f"{_why(target, n, beside.get(target.id, ''))}; {count} of {n}, {percentage:.2f} %, is taken",
            )
        )
    return pd.DataFrame(rows, columns=list(UNATTAINABLE_COLUMNS)).astype(UNATTAINABLE_COLUMNS)


def _why(target: Target, n: int, beside: str) -> str:
    unit = "patients" if target.unit is Unit.PATIENTS else "%"
    if gives_back(target, np.arange(n + 1, dtype=np.int64), n).any():
        return f"{target.printed} {unit} does not agree with what is printed beside it ({beside})"
    return f"no whole number of {n} patients prints as {target.printed} {unit}"


def _percentage(target: Target, n: int) -> float:
    if target.unit is Unit.PATIENTS:
        return 100 * int(target.printed) / n
    value, unit = scaled(target.printed)
    return value / unit
