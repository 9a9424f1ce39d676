"""Does a whole number of patients print as a given percentage? Decided in exact integer arithmetic.

Half up and half even are both admitted, since no paper says which its software used.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from cohort.errors import UsageError

Integers: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]
Booleans: TypeAlias = NDArray[np.bool_]

MOST_DECIMALS = 6
"""More printed decimals than this are refused; the integer arithmetic below stays within 64 bits up to it."""

MOST_PATIENTS = 10**9
"""Larger denominators are refused, for the same reason."""


def printed_decimals(printed: str) -> int:
    """Return how many decimals a printed number has.

    Examples
    --------
    >>> printed_decimals("33.0")
    1
    """
    return len(printed.partition(".")[2])


def scaled(printed: str) -> tuple[int, int]:
    """Return the printed number as a whole number of its last printed unit, and how many such units make 1.

    Raises
    ------
    UsageError
        If ``printed`` is not a plain decimal number, or has more than :data:`MOST_DECIMALS` decimals.

    Examples
    --------
    >>> scaled("49.5")
    (495, 10)
    """
    whole, _, fraction = printed.partition(".")
    if not (whole.isdecimal() and whole.isascii()) or (
        "." in printed and not (fraction.isdecimal() and fraction.isascii())
    ):
        raise UsageError("not a plain decimal number", where="printed value", got=repr(printed), remedy='write "49.5"')
    if len(fraction) > MOST_DECIMALS:
        raise UsageError(
            f"more than {MOST_DECIMALS} decimals", where="printed value", got=printed, remedy="give fewer decimals"
        )
    return int(whole + fraction), 10 ** len(fraction)


def percentage_prints_as(events: Integers, n: Integers, printed: str) -> Booleans:
    """Say of each ``events`` out of ``n`` whether its percentage rounds to ``printed``.

    Parameters
    ----------
    events, n
        Whole numbers of patients, same shape; ``n`` at least 1.
    printed
        The percentage as printed, for instance ``"49.5"``.

    Returns
    -------
    bool array
        True where rounding half up or half to even gives exactly ``printed``. A percentage exactly half a unit
        below always does (half up); exactly half a unit above only if the last printed digit is even (half even).

    Raises
    ------
    UsageError
        If ``printed`` is not a plain decimal number, or an ``n`` is not in 1 to :data:`MOST_PATIENTS`.

    Examples
    --------
    >>> percentage_prints_as(np.array([45, 44]), np.array([91, 91]), "49.5")
    array([ True, False])
    """
    value, unit = scaled(printed)
    events, n = np.asarray(events, dtype=np.int64), np.asarray(n, dtype=np.int64)
    if n.size and not 1 <= int(n.min()) <= int(n.max()) <= MOST_PATIENTS:
        raise UsageError(f"denominators must be from 1 to {MOST_PATIENTS}", where="n", got=f"{n.min()} to {n.max()}")
    # Twice the distance from the printed value, in units of the last printed digit, times n.
    distance = 2 * (100 * unit * events - value * n)
    below = distance >= -n
    above = distance <= n if value % 2 == 0 else distance < n
    return below & above


def probability_prints_as(p: Floats, printed: str) -> Booleans:
    """Say of each probability whether it rounds to ``printed``; NaN never does.

    The bounds, half a unit of the last printed digit to either side, are both admitted.

    Examples
    --------
    >>> probability_prints_as(np.array([0.0062, 0.0066]), "0.006")
    array([ True, False])
    """
    value, unit = scaled(printed)
    lower, upper = Decimal(2 * value - 1) / (2 * unit), Decimal(2 * value + 1) / (2 * unit)
    p = np.asarray(p, dtype=np.float64)
    return (p >= float(lower)) & (p <= float(upper))
