"""Can any whole numbers of patients, under any listed unadjusted test, give a printed p-value?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import pandas as pd

from cohort.admissible import Splits
from cohort.errors import UsageError
from cohort.p_values import ONE_SIDED, THREE_CATEGORY, ComparisonTest, three_category, two_by_two
from cohort.rounding import Floats, Integers, probability_prints_as

MOST_PAIRS = 250_000
"""A comparison with more pairs of counts than this is refused."""


class CandidateSet(StrEnum):
    """Which counts a printed p-value is tried at."""

    OWN = "own"
    """Each compared percentage on its own: every whole number that prints as it."""
    SHARED = "shared"
    """As ``OWN``, with one denominator per arm and visit: it must serve every percentage printed there."""
    FREE_SPLIT = "free split"
    """As ``SHARED``, with every division of the responders that print leaves open; three-category tests only."""


class Verdict(StrEnum):
    """What the audit of a printed p-value concludes, from its narrowest set of two-category candidates."""

    ATTAINABLE = "attainable"
    ONE_SIDED_ONLY = "attainable one-sided only"
    NOT_ATTAINABLE = "not attainable by the listed unadjusted tests"
    NOTHING_COMPARED = "not audited: no printed percentages of two arms stand behind it"


@dataclass(frozen=True, slots=True)
class Comparison:
    """A printed p-value and the counts it may rest on.

    Parameters
    ----------
    target_id
        Identifies the p-value.
    printed
        The p-value as printed.
    own
        Events and denominators of each arm whose percentage is printed on its own; empty if one is not printed.
    shared
        The same under one denominator per arm and visit; empty where that adds nothing to ``own``.
    splits
        Admissible splits of each arm, for the three-category tests; empty where complete and partial response
        do not apply.
    """

    target_id: str
    printed: str
    own: Sequence[tuple[Integers, Integers]] = ()
    shared: Sequence[tuple[Integers, Integers]] = ()
    splits: Sequence[Mapping[int, Splits]] = ()


@dataclass(frozen=True, slots=True)
class Attainability:
    """What each test gives for one comparison.

    Parameters
    ----------
    tests
        One row per candidate set and test: ``target_id``, ``printed``, ``candidate_set``, ``test``, ``sides``,
        ``n_pairs`` (pairs of counts tried), ``n_hits`` (those that print as the p-value), ``lowest``, ``highest``
        (range of the p-value; NaN if the test is defined at no pair), ``nearest`` and the ``events_1``, ``n_1``,
        ``events_2``, ``n_2`` it is attained at (for three-category tests events are complete responders).
    hits
        One row per pair that prints as the p-value: ``target_id``, ``candidate_set``, ``test``, ``sides``,
        ``events_1``, ``n_1``, ``events_2``, ``n_2``, ``p_value``; free splits are counted in ``tests`` only.
    """

    tests: pd.DataFrame
    hits: pd.DataFrame


TEST_COLUMNS = (
    "target_id", "printed", "candidate_set", "test", "sides", "n_pairs", "n_hits", "lowest", "highest", "nearest",
    "events_1", "n_1", "events_2", "n_2",
)  # fmt: skip
HIT_COLUMNS = (
    "target_id", "candidate_set", "test", "sides", "events_1", "n_1", "events_2", "n_2", "p_value",
)  # fmt: skip


def attainability(comparison: Comparison) -> Attainability:
    """Try every listed test at every pair of candidate counts of one comparison.

    Raises
    ------
    UsageError
        If the candidates make more than :data:`MOST_PAIRS` pairs.
    """
    parts = []
    for candidate_set, arms in ((CandidateSet.OWN, comparison.own), (CandidateSet.SHARED, comparison.shared)):
        if arms:
            pairs = _pairs(comparison, arms)
            parts.append(_tried(comparison, candidate_set, pairs, two_by_two(*pairs)))
    if comparison.splits:
        parts.append(_three_categories(comparison))
    return Attainability(
        pd.DataFrame([row for tests, _ in parts for row in tests], columns=list(TEST_COLUMNS)),
        pd.DataFrame([row for _, hits in parts for row in hits], columns=list(HIT_COLUMNS)),
    )


def verdict(tests: pd.DataFrame) -> Verdict:
    """Return the verdict on one p-value from its rows of :attr:`Attainability.tests`."""
    chosen = narrowest_set(tests)
    if chosen is None:
        return Verdict.NOTHING_COMPARED
    hit = tests[(tests["candidate_set"] == chosen) & (tests["n_hits"] > 0)]
    if (hit["sides"] == 2).any():
        return Verdict.ATTAINABLE
    return Verdict.ONE_SIDED_ONLY if len(hit) else Verdict.NOT_ATTAINABLE


def narrowest_set(tests: pd.DataFrame) -> CandidateSet | None:
    """Return the narrowest candidate set that the rows of one p-value have, free splits apart."""
    for candidate_set in (CandidateSet.SHARED, CandidateSet.OWN):
        if (tests["candidate_set"] == candidate_set).any():
            return candidate_set
    return None


_Pairs = tuple[Integers, Integers, Integers, Integers]
_Rows = list[dict[str, object]]


def _pairs(comparison: Comparison, arms: Sequence[tuple[Integers, Integers]]) -> _Pairs:
    (events_1, n_1), (events_2, n_2) = arms
    _refuse_too_many(comparison, len(events_1) * len(events_2))
    first, second = (grid.ravel() for grid in np.indices((len(events_1), len(events_2))))
    return events_1[first], n_1[first], events_2[second], n_2[second]


def _refuse_too_many(comparison: Comparison, many: int) -> None:
    if many > MOST_PAIRS:
        raise UsageError(
            f"more than {MOST_PAIRS} pairs of counts could stand behind this p-value",
            where=comparison.target_id,
            got=str(many),
            remedy="give the printed denominators (n), smaller arms (n_max) or percentages with more decimals",
        )


def _tried(
    comparison: Comparison, candidate_set: CandidateSet, pairs: _Pairs, p_values: Mapping[ComparisonTest, Floats]
) -> tuple[_Rows, _Rows]:
    tests: _Rows = []
    hits: _Rows = []
    for test, p in p_values.items():
        named = {
            "target_id": comparison.target_id,
            "candidate_set": str(candidate_set),
            "test": str(test),
            "sides": 1 if test in ONE_SIDED else 2,
        }
        hit = probability_prints_as(p, comparison.printed)
        tests.append({**named, "printed": comparison.printed, **_summary(p, hit, pairs, float(comparison.printed))})
        if candidate_set is not CandidateSet.FREE_SPLIT:
            hits += [{**named, **_counts(pairs, place), "p_value": float(p[place])} for place in np.flatnonzero(hit)]
    return tests, hits


def _summary(p: Floats, hit: np.ndarray, pairs: _Pairs, printed: float) -> dict[str, object]:
    summary: dict[str, object] = {"n_pairs": len(p), "n_hits": int(hit.sum())}
    defined = np.flatnonzero(~np.isnan(p))
    if not len(defined):
        return {**summary, "lowest": np.nan, "highest": np.nan, "nearest": np.nan}
    nearest = defined[np.abs(p[defined] - printed).argmin()]
    return {
        **summary,
        "lowest": float(p[defined].min()),
        "highest": float(p[defined].max()),
        "nearest": float(p[nearest]),
        **_counts(pairs, nearest),
    }


def _counts(pairs: _Pairs, place: np.intp) -> dict[str, object]:
    return {name: int(x[place]) for name, x in zip(("events_1", "n_1", "events_2", "n_2"), pairs, strict=True)}


def _three_categories(comparison: Comparison) -> tuple[_Rows, _Rows]:
    """Try the tests of three categories; the split is free unless print leaves one a denominator."""
    first, second = (
        [np.concatenate([_NONE, *(part(splits) for splits in by_n.values())]) for part in _PARTS]
        for by_n in comparison.splits
    )
    _refuse_too_many(comparison, len(first[0]) * len(second[0]))
    printed = all(len(splits) == 1 for by_n in comparison.splits for splits in by_n.values())
    p = three_category(*(x[:, None] for x in first), *second)
    one, other = (grid.ravel() for grid in np.indices((len(first[0]), len(second[0]))))
    pairs = (first[0][one], first[2][one], second[0][other], second[2][other])
    chosen = CandidateSet.SHARED if printed else CandidateSet.FREE_SPLIT
    return _tried(comparison, chosen, pairs, {test: p[test].ravel() for test in THREE_CATEGORY})


_NONE = np.zeros(0, dtype=np.int64)

_PARTS = (
    lambda splits: splits.complete,
    lambda splits: splits.partial,
    lambda splits: np.full(len(splits), splits.n, dtype=np.int64),
)
