"""Every whole number of patients behind a printed percentage."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cohort.errors import UsageError
from cohort.rounding import Integers, percentage_prints_as, scaled


def candidate_counts(printed: str, max_n: int, *, min_n: int = 1) -> tuple[Integers, Integers]:
    """Return events and denominators of every candidate, as two arrays ordered by denominator, then events.

    The arguments and errors are those of :func:`candidates`.
    """
    if not 1 <= min_n <= max_n:
        raise UsageError(
            "denominators must run from at least 1 upwards",
            where="min_n, max_n",
            got=f"{min_n}, {max_n}",
            remedy="give 1 <= min_n <= max_n",
        )
    value, unit = scaled(printed)
    n = np.arange(min_n, max_n + 1, dtype=np.int64)
    # |100 unit events - value n| <= n / 2, solved for events; the exact tie rule is applied after.
    first = np.maximum(-((-(2 * value - 1) * n) // (200 * unit)), 0)
    last = np.minimum(((2 * value + 1) * n) // (200 * unit), n)
    many = np.maximum(last - first + 1, 0)
    denominators = np.repeat(n, many)
    offset = np.arange(len(denominators)) - np.repeat(np.cumsum(many) - many, many)
    events = np.repeat(first, many) + offset
    kept = percentage_prints_as(events, denominators, printed)
    return events[kept], denominators[kept]


def candidates(printed: str, max_n: int, *, min_n: int = 1) -> pd.DataFrame:
    """List every whole number of patients whose percentage rounds to the printed one.

    Parameters
    ----------
    printed
        The percentage as printed, for instance ``"49.5"``; its decimals matter.
    max_n, min_n
        Largest and smallest denominator considered, for instance the arm size and 1.

    Returns
    -------
    pandas.DataFrame
        One row per candidate, ordered by ``n``: ``events`` (int64), ``n`` (int64), ``percentage`` (float64,
        unrounded). Empty if no whole number of patients within the bounds can print so.

    Raises
    ------
    UsageError
        If ``printed`` is not a plain decimal number, or the bounds are not ``1 <= min_n <= max_n``.

    Notes
    -----
    The idea is the granularity test of Brown and Heathers, Soc Psychol Personal Sci 2017;8:363-369,
    https://doi.org/10.1177/1948550616673876, applied to proportions.

    Examples
    --------
    >>> candidates("49.5", 92)[["events", "n"]].to_dict("records")
    [{'events': 45, 'n': 91}]
    """
    events, n = candidate_counts(printed, max_n, min_n=min_n)
    return pd.DataFrame({"events": events, "n": n, "percentage": 100.0 * events / n})
