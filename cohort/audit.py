"""Audit of printed percentages and p-values: which whole numbers of patients could stand behind them.

A percentage is *attainable* if some whole number of patients, out of at most the arm size, prints as it. A p-value is
attainable if some listed unadjusted test prints it at some pair of such numbers. A p-value that is not attainable need
not be wrong: an adjusted model could print it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from cohort.attainability import (
    HIT_COLUMNS,
    TEST_COLUMNS,
    Attainability,
    CandidateSet,
    Verdict,
    attainability,
    narrowest_set,
    verdict,
)
from cohort.audit_entries import PrintedPercentage, PrintedPValue, p_values_of, percentages_of
from cohort.audit_file import read_audit_file
from cohort.candidates import candidates
from cohort.record import Study
from cohort.rounding import Integers, scaled

__all__ = ["AuditTable", "CandidateSet", "Verdict", "audit_study", "audit_table", "candidates"]

PERCENTAGE_COLUMNS = (
    "target_id", "measure", "arm", "month", "status", "printed", "n_max", "attainable", "n_candidates", "candidates",
    "nearest_events", "nearest_n", "nearest", "kaplan_meier",
)  # fmt: skip
P_VALUE_COLUMNS = (
    "target_id", "measure", "month", "status", "printed", "verdict", "candidate_set", "n_pairs", "two_sided_tests",
    "one_sided_tests", "nearest", "nearest_test", "nearest_counts", "free_split_hits",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class AuditTable:
    """The audit of a study or of a table of percentages and p-values.

    Parameters
    ----------
    name
        Name of the study or file.
    percentages
        One row per printed percentage: ``target_id``, ``measure``, ``arm``, ``month`` (missing where there is none),
        ``status``, ``printed``, ``n_max`` (largest denominator considered), ``attainable``, ``n_candidates``,
        ``candidates`` (as ``45/91; ...``), and the attainable percentage nearest to the printed one: ``nearest``
        (unrounded) at ``nearest_events`` out of ``nearest_n``; ``kaplan_meier`` says that no whole number of patients
        need stand behind it.
    candidates
        One row per candidate: ``target_id``, ``events``, ``n``, ``percentage`` (unrounded).
    p_values
        One row per printed p-value: ``target_id``, ``measure`` compared, ``month``, ``status``, ``printed``,
        ``verdict`` (see :class:`cohort.attainability.Verdict`), ``candidate_set`` and ``n_pairs`` it rests on,
        ``two_sided_tests`` and ``one_sided_tests`` that attain it, the ``nearest`` two-sided value with its
        ``nearest_test`` and ``nearest_counts``, and ``free_split_hits``: how many divisions of the responders that
        print leaves open would attain it as a three-category test (missing where none is open).
    tests, hits
        See :class:`cohort.attainability.Attainability`.
    """

    name: str
    percentages: pd.DataFrame
    candidates: pd.DataFrame
    p_values: pd.DataFrame
    tests: pd.DataFrame
    hits: pd.DataFrame


def audit_study(study: Study) -> AuditTable:
    """Audit every printed percentage of an arm and every printed p-value of a study.

    Parameters
    ----------
    study
        The published record. Superseded numbers are audited too: a superseded p-value against the percentages of
        its own source.

    Returns
    -------
    AuditTable

    Raises
    ------
    UsageError
        If a printed value leaves too many counts to try.

    Examples
    --------
    >>> from cohort.targets import load_study
    >>> table = audit_study(load_study("kim2025")).p_values.set_index("target_id")
    >>> table.loc["cr_12_p", "verdict"], table.loc["cr_6_p", "verdict"]
    ('attainable', 'not attainable by the listed unadjusted tests')
    """
    return _table(study.name, percentages_of(study), p_values_of(study))


def audit_table(path: Path) -> AuditTable:
    """Audit a table of percentages and p-values of a paper, read from a CSV file.

    Parameters
    ----------
    path
        CSV file with a header and the columns ``comparison, arm, percentage, n_max`` and, optionally, ``n`` and
        ``p_value``. One row per arm of a comparison; the p-value stands on either or both rows of its comparison.
        Percentages and p-values are read as printed: ``33.0`` is not ``33``.

    Returns
    -------
    AuditTable
        ``measure`` is the comparison, ``target_id`` the comparison and arm (or ``p``) joined by a colon.

    Raises
    ------
    UsageError
        If the file cannot be read, a column is missing or unknown, a value is malformed, or a p-value does not
        compare exactly two arms; the message gives the line.
    """
    return _table(path.name, *read_audit_file(path))


def _table(name: str, percentages: Sequence[PrintedPercentage], p_values: Sequence[PrintedPValue]) -> AuditTable:
    counts = [entry.candidates() for entry in percentages]
    attained = [attainability(entry.comparison) for entry in p_values]
    return AuditTable(
        name=name,
        percentages=_percentages(percentages, counts),
        candidates=_candidates(percentages, counts),
        p_values=_p_values(p_values, attained),
        tests=_stacked([found.tests for found in attained], TEST_COLUMNS),
        hits=_stacked([found.hits for found in attained], HIT_COLUMNS),
    )


def _stacked(frames: Sequence[pd.DataFrame], columns: Sequence[str]) -> pd.DataFrame:
    filled = [frame for frame in frames if len(frame)]
    stacked = pd.concat(filled, ignore_index=True) if filled else pd.DataFrame(columns=list(columns))
    whole = dict.fromkeys(("events_1", "n_1", "events_2", "n_2"), "Int64")
    return stacked.astype(whole)


def _percentages(entries: Sequence[PrintedPercentage], counts: Sequence[tuple[Integers, Integers]]) -> pd.DataFrame:
    rows = []
    for entry, (events, n) in zip(entries, counts, strict=True):
        nearest_events, nearest_n = nearest_percentage(entry.printed, entry.n or entry.n_max, min_n=entry.n or 1)
        listed = [f"{e}/{of}" for e, of in zip(events.tolist(), n.tolist(), strict=True)]
        rows.append(
            {
                "target_id": entry.target_id,
                "measure": entry.measure,
                "arm": entry.arm,
                "month": entry.month,
                "status": entry.status,
                "printed": entry.printed,
                "n_max": entry.n or entry.n_max,
                "attainable": bool(listed),
                "n_candidates": len(listed),
                "candidates": "; ".join(listed),
                "nearest_events": nearest_events,
                "nearest_n": nearest_n,
                "nearest": 100 * nearest_events / nearest_n,
                "kaplan_meier": entry.kaplan_meier,
            }
        )
    return pd.DataFrame(rows, columns=list(PERCENTAGE_COLUMNS)).astype({"month": "Int64"})


def nearest_percentage(printed: str, max_n: int, *, min_n: int = 1) -> tuple[int, int]:
    """Return the events and denominator whose percentage lies nearest to a printed one; the smallest ``n`` on ties.

    Examples
    --------
    >>> nearest_percentage("5.47", 83)
    (4, 73)
    """
    value, unit = scaled(printed)
    n = np.arange(min_n, max_n + 1, dtype=np.int64)
    events = np.minimum((2 * value * n + 100 * unit) // (200 * unit), n)
    place = int(np.abs(100 * events / n - value / unit).argmin())
    return int(events[place]), int(n[place])


def _candidates(entries: Sequence[PrintedPercentage], counts: Sequence[tuple[Integers, Integers]]) -> pd.DataFrame:
    empty = np.zeros(0, dtype=np.int64)
    events = np.concatenate([empty, *(found for found, _ in counts)])
    n = np.concatenate([empty, *(found for _, found in counts)])
    ids = [entry.target_id for entry, (found, _) in zip(entries, counts, strict=True) for _ in found]
    return pd.DataFrame({"target_id": ids, "events": events, "n": n, "percentage": 100 * events / np.maximum(n, 1)})


def _p_values(entries: Sequence[PrintedPValue], attained: Sequence[Attainability]) -> pd.DataFrame:
    rows = []
    for entry, found in zip(entries, attained, strict=True):
        rows.append(
            {
                "target_id": entry.comparison.target_id,
                "measure": entry.measure,
                "month": entry.month,
                "status": entry.status,
                "printed": entry.comparison.printed,
                "verdict": str(verdict(found.tests)),
                **_of_narrowest(found.tests),
            }
        )
    whole = dict.fromkeys(("month", "n_pairs", "free_split_hits"), "Int64")
    return pd.DataFrame(rows, columns=list(P_VALUE_COLUMNS)).astype(whole)


def _of_narrowest(tests: pd.DataFrame) -> dict[str, object]:
    """Return what the narrowest candidate set of one p-value says."""
    free = tests[tests["candidate_set"] == CandidateSet.FREE_SPLIT]
    row: dict[str, object] = {"free_split_hits": int(free["n_hits"].sum()) if len(free) else None}
    fixed = tests[tests["candidate_set"] == narrowest_set(tests)]
    defined = fixed[(fixed["sides"] == 2) & fixed["nearest"].notna()]
    if not len(fixed):
        text = ("candidate_set", "two_sided_tests", "one_sided_tests", "nearest_test", "nearest_counts")
        return row | dict.fromkeys(text, "")
    hit = fixed[fixed["n_hits"] > 0]
    row |= {
        "nearest_test": "",
        "nearest_counts": "",
        "candidate_set": fixed["candidate_set"].iloc[0],
        "n_pairs": int(fixed["n_pairs"].iloc[0]),
        "two_sided_tests": ", ".join(hit.loc[hit["sides"] == 2, "test"]),
        "one_sided_tests": ", ".join(hit.loc[hit["sides"] == 1, "test"]),
    }
    if len(defined):
        gap = (defined["nearest"] - float(defined["printed"].iloc[0])).abs()
        best = defined.loc[gap.idxmin()]
        row |= {
            "nearest": float(best["nearest"]),
            "nearest_test": best["test"],
            "nearest_counts": f"{best['events_1']:.0f}/{best['n_1']:.0f} v {best['events_2']:.0f}/{best['n_2']:.0f}",
        }
    return row
