"""Visits about which nothing is printed: patients assessed and responding, between the visits that are printed.

Both rules continue those of :mod:`synthetic.reconstruct`. The annual loss stays constant between printed denominators
(the arm size at month 0 among them) and, after the last, goes on as before it. The logits of overall response and of
complete response among responders run straight in time between the printed visits and stay level before the first and
after the last: what costs least in the criterion of splits. The whole numbers nearest to these are taken.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cohort.rounding import Floats, Integers


def all_denominators(printed: Integers, printed_months: Sequence[int], months: Sequence[int], size: int) -> Integers:
    """Return the patients assessed at every visit, given those at the printed ones.

    Parameters
    ----------
    printed
        Patients assessed at the printed visits, shape (chains, printed visits); never rising along a row.
    printed_months, months
        Months of the printed visits, at least one, and of all visits.
    size
        Patients at month 0.

    Returns
    -------
    int array, shape (chains, visits)
        Never rising, at least 1; halves are rounded up.

    Examples
    --------
    >>> all_denominators(np.array([[90, 60]]), [12, 36], [6, 12, 24, 36, 48], 100).tolist()
    [[95, 90, 75, 60, 45]]
    """
    knots = np.array([0, *printed_months], dtype=np.float64)
    values = np.hstack([np.full((len(printed), 1), size), printed]).astype(np.float64)
    at = np.array(months, dtype=np.float64)
    segment = np.clip(np.searchsorted(knots, at), 1, len(knots) - 1)
    slope = np.diff(values, axis=1) / np.diff(knots)
    line = values[:, segment - 1] + slope[:, segment - 1] * (at - knots[segment - 1])
    # The small shift keeps a half, which the line may miss by the last bit, rounding up.
    rounded: Integers = np.maximum(np.floor(line + 0.5 + 1e-9), 1).astype(np.int64)
    return rounded


def split_near(logits: tuple[float, float], n: int) -> tuple[int, int]:
    """Return the complete and partial responders among ``n`` whose logits lie nearest to those given.

    Parameters
    ----------
    logits
        Of overall response, and of complete response among responders, with 0.5 added to counts.
    n
        Patients assessed.

    Returns
    -------
    tuple of int
        The smallest sum of squared distances of both logits; of several equally near the one with fewer responders,
        then fewer complete.

    Examples
    --------
    >>> split_near((0.0, 0.0), 20)
    (5, 5)
    """
    overall = np.arange(n + 1, dtype=np.int64)
    off = (np.log((overall + 0.5) / (n - overall + 0.5)) - logits[0]) ** 2
    # For given responders the distance falls, then rises with the complete ones: the best stands beside its zero.
    zero = np.floor((overall + 1) / (1 + np.exp(-logits[1])) - 0.5).astype(np.int64)
    complete = np.stack([np.clip(zero, 0, overall), np.clip(zero + 1, 0, overall)])
    distance = off + (np.log((complete + 0.5) / (overall - complete + 0.5)) - logits[1]) ** 2
    order = np.lexsort((complete.ravel(), np.tile(overall, 2), np.round(distance.ravel(), 12)))
    row, responders = divmod(int(order[0]), n + 1)
    chosen = int(complete[row, responders])
    return chosen, responders - chosen


def logits_between(printed: Floats, printed_months: Sequence[int], month: int) -> tuple[float, float]:
    """Return both logits at a month, straight in time between the printed visits and level outside them.

    Parameters
    ----------
    printed
        Logits of overall response and of complete response among responders at the printed visits, shape (2, visits).
    printed_months
        Months of these visits, increasing.
    month
        Month asked for.
    """
    overall, complete = (float(np.interp(month, printed_months, row)) for row in printed)
    return overall, complete
