"""The words in which the realism table judges a row; they open its ``note``."""

from __future__ import annotations

from enum import StrEnum


class Verdict(StrEnum):
    """What a row of the realism table says about the cohort."""

    WITHIN = "within the borrowed range"
    OUTSIDE = "outside the borrowed range"
    NO_RANGE = "no range found"
    RIGHT_SIGN = "right sign"
    WRONG_SIGN = "wrong sign"
    UNCLEAR_SIGN = "sign not distinguishable"
    AS_PRINTED = "as a laboratory prints"
    TOO_FINE = "finer than a laboratory prints"
    NOT_HEAPED = "last digits not heaped"
    HEAPED = "last digits heaped"
    NO_PILE = "no pile-up at the end"
    PILE = "values pile up at the end"
    NOT_COMPUTED = "not computed"


FAULTS = (Verdict.OUTSIDE, Verdict.WRONG_SIGN, Verdict.TOO_FINE, Verdict.HEAPED, Verdict.PILE)
"""Verdicts that a reader should look at. A pile-up or heaped digits may be a property of the laboratory."""


def noted(verdict: Verdict, *remarks: str) -> str:
    """Write a note: the verdict, then remarks, parted by semicolons.

    Examples
    --------
    >>> noted(Verdict.OUTSIDE, "its interval reaches the range", "")
    'outside the borrowed range; its interval reaches the range'
    """
    return "; ".join([verdict.value, *(remark for remark in remarks if remark)])


def verdict_of(note: str) -> Verdict:
    """Read the verdict back from a note.

    Raises
    ------
    ValueError
        If the note does not open with a verdict.

    Examples
    --------
    >>> verdict_of("wrong sign; expected negative").name
    'WRONG_SIGN'
    """
    return Verdict(note.split("; ", 1)[0])
