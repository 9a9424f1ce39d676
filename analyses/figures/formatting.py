"""Numbers as a clinical reader expects them: p-values, intervals, true minus signs, a dash with its reason."""

from __future__ import annotations

import math

MISSING = "\N{EM DASH}"
MINUS = "\N{MINUS SIGN}"
_SMALLEST_P, _LARGEST_P = 0.001, 0.999


def number(value: float, decimals: int) -> str:
    """Write a number with a fixed count of decimals; a missing one is an em dash.

    Examples
    --------
    >>> number(-1.25, 1), number(-0.04, 1), number(float("nan"), 2)
    ('−1.2', '0.0', '—')
    """
    if math.isnan(value):
        return MISSING
    if math.isinf(value):
        return "infinity" if value > 0 else f"{MINUS}infinity"
    text = f"{value:.{decimals}f}"
    if float(text) == 0:
        text = f"{0:.{decimals}f}"
    return text.replace("-", MINUS)


def measurement(value: float) -> str:
    """Write a measurement with about three significant digits: none, one or two decimals by its size.

    Examples
    --------
    >>> measurement(612.4), measurement(35.52), measurement(0.8)
    ('612', '35.5', '0.80')
    """
    size = abs(value)
    return number(value, 0 if size >= 100 else 1 if size >= 10 else 2)


def rounded(value: float) -> str:
    """Write a quantile like :func:`measurement`, without zeros at the end: whole points stay whole.

    Examples
    --------
    >>> rounded(8.0), rounded(26.175), rounded(0.5), rounded(2010.0)
    ('8', '26.2', '0.5', '2010')
    """
    text = measurement(value)
    return text.rstrip("0").rstrip(".") if "." in text else text


def exponential(value: float) -> float:
    """Return e to the power of a logarithm, infinite where that is beyond any float.

    Examples
    --------
    >>> exponential(0.0), exponential(1000.0), exponential(float("nan"))
    (1.0, inf, nan)
    """
    try:
        return math.exp(value)
    except OverflowError:
        return math.inf


def count(value: float) -> str:
    """Write a count: whole when it is whole, else (weighted counts) with one decimal.

    Examples
    --------
    >>> count(92.0), count(91.48)
    ('92', '91.5')
    """
    return number(value, 0 if math.isnan(value) or float(value).is_integer() else 1)


def percent(value: float, decimals: int = 1) -> str:
    """Write a proportion as a percentage.

    Examples
    --------
    >>> percent(45 / 91)
    '49.5 %'
    """
    return MISSING if math.isnan(value) else f"{number(100 * value, decimals)} %"


def p_value(value: float) -> str:
    """Write a p-value with three decimals and open ends.

    Examples
    --------
    >>> p_value(0.0058), p_value(0.00004), p_value(0.9999), p_value(float("nan"))
    ('0.006', '<0.001', '>0.999', '—')
    """
    if math.isnan(value):
        return MISSING
    if value < _SMALLEST_P:
        return f"<{_SMALLEST_P}"
    return f">{_LARGEST_P}" if value > _LARGEST_P else number(value, 3)


def equation(symbol: str, value: str) -> str:
    """Join a symbol and a written value, without an equals sign before an inequality.

    Examples
    --------
    >>> equation("p", "0.006"), equation("p", "<0.001")
    ('p = 0.006', 'p < 0.001')
    """
    return f"{symbol} {value[0]} {value[1:]}" if value[:1] in "<>" else f"{symbol} = {value}"


def percent_interval(estimate: float, low: float, high: float, *, note: str = "") -> str:
    """Write a proportion with its confidence interval in per cent, like :func:`interval`.

    Examples
    --------
    >>> percent_interval(0.267, 0.165, 0.379)
    '26.7 % (16.5 to 37.9)'
    """
    centre, space, limits = interval(estimate, low, high, decimals=1, scale=100, note=note).partition(" ")
    return f"{centre}{'' if math.isnan(estimate) else ' %'}{space}{limits}"


def interval(estimate: float, low: float, high: float, *, decimals: int = 2, scale: float = 1.0, note: str = "") -> str:
    """Write an estimate with its confidence interval, or the dash with the reason.

    Parameters
    ----------
    estimate, low, high
        Any of them may be NaN.
    decimals
        Decimals of all three.
    scale
        Factor applied before writing, 100 for percentage points.
    note
        Why something is missing; written after a dash, or in place of an absent interval.

    Examples
    --------
    >>> interval(0.52, 0.31, 0.88)
    '0.52 (0.31 to 0.88)'
    >>> interval(-0.071, -0.213, 0.074, decimals=1, scale=100)
    '−7.1 (−21.3 to 7.4)'
    >>> interval(float("nan"), float("nan"), float("nan"), note="no events")
    '— (no events)'
    >>> interval(1.0, float("nan"), float("nan"), note="no event yet")
    '1.00 (no interval: no event yet)'
    """
    if math.isnan(estimate):
        return f"{MISSING} ({note})" if note else MISSING
    centre = number(scale * estimate, decimals)
    if math.isnan(low) and math.isnan(high):
        return f"{centre} (no interval: {note})" if note else centre
    return f"{centre} ({number(scale * low, decimals)} to {number(scale * high, decimals)})"


_ONE_LINE = 64
"""Letters beneath an axis that fit the width of a figure."""


def both_sides(left: str, right: str) -> str:
    """Write what lies to either side of an axis' middle, beneath each other where one line is too short.

    Examples
    --------
    >>> both_sides("more on B", "more on A")
    '← more on B   |   more on A →'
    >>> both_sides("more on intravenous cyclophosphamide", "more on tacrolimus and mycophenolate").count(chr(10))
    1
    """
    line = f"← {left}   |   {right} →"
    return line if len(line) <= _ONE_LINE else f"← {left}\n{right} →"
