"""Two-sided formulas of repeated outcomes, and the random effects asked for, read and checked."""

from __future__ import annotations

from cohort.errors import UsageError


def formula_sides(formula: str, *, where: str) -> tuple[str, str]:
    """Split ``"outcome ~ terms"``.

    Raises
    ------
    UsageError
        Without exactly one ``~``, or with an empty side.

    Examples
    --------
    >>> formula_sides("log_upcr ~ arm * years", where="demo")
    ('log_upcr', 'arm * years')
    """
    parts = [part.strip() for part in formula.split("~")]
    if len(parts) != 2 or not all(parts):
        raise UsageError(
            "the formula needs a left and a right side",
            where=where,
            got=formula,
            remedy="write for instance log_upcr ~ arm + years",
        )
    return parts[0], parts[1]


def random_slope(random: str, *, where: str) -> str | None:
    """Return the column with a random slope, or None for a random intercept alone.

    Raises
    ------
    UsageError
        Unless ``random`` is ``"1"`` or ``"1 + column"``.

    Examples
    --------
    >>> random_slope("1 + years", where="demo")
    'years'
    """
    parts = [part.strip() for part in random.split("+")]
    if parts == ["1"]:
        return None
    if len(parts) == 2 and parts[0] == "1" and parts[1].isidentifier():
        return parts[1]
    raise UsageError(
        "unknown random effects",
        where=where,
        got=random,
        remedy='use random="1" (intercept) or random="1 + years" (intercept and slope of a column)',
    )
