"""Printed numbers against the cohort: sizes, response rates and p-values."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

import numpy as np
import pandas as pd

from analyses.datasets import AnalysisData
from analyses.reproduction.comparisons import poor_outcome_logrank
from analyses.reproduction.entry import Entry, Verdict
from cohort.codes import Background
from cohort.p_values import TEST_NAMES, TWO_SIDED, ComparisonTest, three_category, two_by_two
from cohort.record import RESPONSE_MEASURES, Measure, Target
from cohort.rounding import percentage_prints_as, printed_decimals, probability_prints_as
from cohort.store import Cohort


def judge_number(
    target: Target,
    counts: pd.DataFrame,
    audited: pd.DataFrame,
    data: AnalysisData,
    cohort: Cohort,
) -> Entry:
    """Judge one printed number.

    Parameters
    ----------
    target
        The number.
    counts
        Columns ``arm, month, assessed, complete, partial, none``, as derived from the cohort.
    audited
        ``p_values`` of the study's audit, indexed by target id.
    data, cohort
        The cohort.
    """
    if target.measure in RESPONSE_MEASURES:
        return _rate(target, counts)
    if target.measure is Measure.P_VALUE:
        return _p_value(target, counts, audited, data)
    return _size(target, cohort)


def format_percentage(events: int, n: int, decimals: int) -> str:
    """Format ``events`` out of ``n`` as a percentage, rounded half up.

    Examples
    --------
    >>> format_percentage(45, 91, 1)
    '49.5'
    """
    exact = Decimal(100 * events) / Decimal(n)
    return str(exact.quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_UP))


@dataclass(frozen=True, slots=True)
class _Cell:
    """Patients of one arm and visit."""

    complete: int
    partial: int
    assessed: int

    def responders(self, measure: Measure) -> int:
        return {
            Measure.COMPLETE_RESPONSE: self.complete,
            Measure.PARTIAL_RESPONSE: self.partial,
            Measure.OVERALL_RESPONSE: self.complete + self.partial,
        }[measure]


def _cell(counts: pd.DataFrame, arm: str | None, month: int | None) -> _Cell | None:
    """Return the counts of an arm and visit, or None if nobody was assessed."""
    found = counts[(counts["arm"] == arm) & (counts["month"] == month)]
    if found.empty:
        return None
    return _Cell(*(int(found[name].iloc[0]) for name in ("complete", "partial", "assessed")))


def _rate(target: Target, counts: pd.DataFrame) -> Entry:
    cell = _cell(counts, target.arm, target.month)
    if cell is None:
        return Entry(Verdict.NOT_REPRODUCED, "nobody of the arm is assessed at this visit")
    events, n = cell.responders(target.measure), cell.assessed
    value = format_percentage(events, n, printed_decimals(target.printed))
    met = bool(percentage_prints_as(np.array([events]), np.array([n]), target.printed)[0])
    if met:
        reason = "from laboratory values; denominator reconstructed"
        return Entry(Verdict.REPRODUCED, reason, value, events, n)
    return Entry(Verdict.NOT_REPRODUCED, f"printed {target.printed}, the cohort gives {value}", value, events, n)


def _p_value(target: Target, counts: pd.DataFrame, audited: pd.DataFrame, data: AnalysisData) -> Entry:
    if target.compares not in RESPONSE_MEASURES or target.month is None:
        return _logrank_p(target, data)
    first, second = (_cell(counts, arm, target.month) for arm in (data.treated, data.reference))
    if first is None or second is None:
        return Entry(Verdict.NOT_REPRODUCED, "nobody of an arm is assessed at this visit")
    tests = _tests(first, second, target.compares)
    hits = [name for name, p in tests.items() if probability_prints_as(np.array([p]), target.printed)[0]]
    pearson = tests["Pearson"]
    if hits:
        return Entry(
            Verdict.REPRODUCED, f"two-sided, unadjusted: {', '.join(hits)}", f"{tests[hits[0]]:.4f} ({hits[0]})"
        )
    shown = f"{pearson:.3f} (Pearson)"
    audit = audited.loc[target.id]
    if audit["two_sided_tests"]:
        return Entry(Verdict.NOT_REPRODUCED, "other admissible counts would give it, these do not", shown)
    reason = f"no two-sided test of two groups gives it at any admissible counts; nearest {audit['nearest']:.3f}"
    if audit["one_sided_tests"]:
        names = [TEST_NAMES[ComparisonTest(name)] for name in str(audit["one_sided_tests"]).split(", ")]
        reason += f"; {', '.join(names)} only"
    if pd.notna(audit["free_split_hits"]) and audit["free_split_hits"] > 0:
        reason += "; a three-category test could give it with another division of responders"
    return Entry(Verdict.NOT_ATTAINABLE, reason + "; an adjusted model could print it", shown)


def _tests(first: _Cell, second: _Cell, measure: Measure) -> dict[str, float]:
    """Two-sided unadjusted p-values at the cohort's counts, by name of the test, Pearson first."""
    pairs = [(cell.responders(measure), cell.assessed) for cell in (first, second)]
    binary = two_by_two(*(np.array([number]) for pair in pairs for number in pair), tests=TWO_SIDED)
    splits = [(cell.complete, cell.partial, cell.assessed) for cell in (first, second)]
    ordered = three_category(*(np.array([number]) for split in splits for number in split))
    return {TEST_NAMES[test]: float(p[0]) for test, p in (binary | ordered).items()}


def _logrank_p(target: Target, data: AnalysisData) -> Entry:
    p = poor_outcome_logrank(data).p_value
    reproduced = f"{p:.3f} (log-rank)"
    if probability_prints_as(np.array([p]), target.printed)[0]:
        return Entry(Verdict.REPRODUCED, "by chance of the seed: no counts are printed", reproduced)
    same_side = (p >= 0.05) == (float(target.printed) >= 0.05)
    reason = "no counts are printed, so the value itself is no target"
    verdict = Verdict.CONSISTENT if same_side else Verdict.NOT_REPRODUCED
    return Entry(verdict, f"{reason}; {'same' if same_side else 'other'} side of 0.05", reproduced)


def _size(target: Target, cohort: Cohort) -> Entry:
    patients = cohort.patients
    if target.arm is not None:
        patients = patients[patients["arm"] == target.arm]
    n = len(patients)
    if target.measure in (Measure.TOTAL_PATIENTS, Measure.ARM_SIZE):
        met = n == int(target.printed)
        return Entry(Verdict.REPRODUCED if met else Verdict.NOT_REPRODUCED, "patients in the cohort", str(n))
    alone = int((patients["background_therapy"] == Background.NONE.value).sum())
    if target.measure is Measure.MONOTHERAPY_COUNT:
        met, value = alone == int(target.printed), str(alone)
    else:
        met = bool(percentage_prints_as(np.array([alone]), np.array([n]), target.printed)[0])
        value = format_percentage(alone, n, printed_decimals(target.printed))
    reason = "tacrolimus without another immunosuppressant"
    return Entry(Verdict.REPRODUCED if met else Verdict.NOT_REPRODUCED, reason, value, alone, n)
