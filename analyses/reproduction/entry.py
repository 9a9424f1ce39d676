"""What is said of one target."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """Verdict on a published number or finding."""

    REPRODUCED = "reproduced"
    CONSISTENT = "consistent"
    NOT_ATTAINABLE = "not attainable by the listed tests"
    SUPERSEDED = "superseded"
    NOT_REPRODUCED = "not reproduced"
    NOT_CHECKABLE = "not checkable"


@dataclass(frozen=True, slots=True)
class Entry:
    """Verdict, its reason in words, the reproduced value as text, and the whole patients behind it."""

    verdict: Verdict
    reason: str
    reproduced: str = ""
    responders: int | None = None
    assessed: int | None = None
