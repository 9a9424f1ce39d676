"""Printed numbers against the cohort: sizes, response rates and p-values."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

import numpy as np
import pandas as pd

from analyses.datasets import AnalysisData
from analyses.reproduction.comparisons import poor_outcome_logrank
from analyses.reproduction.drugs import OTHER_IMMUNOSUPPRESSANTS, maintenance_immunosuppressants
from analyses.reproduction.entry import Entry, Verdict
from analyses.reproduction.origin import origin
from cohort.codes import Drug
from cohort.p_values import TEST_NAMES, TWO_SIDED, ComparisonTest, three_category, two_by_two
from cohort.record import CUMULATIVE_MEASURES, RESPONSE_MEASURES, Measure, Study, Target, Unit
from cohort.rounding import percentage_prints_as, printed_decimals, probability_prints_as
from cohort.store import Cohort


def judge_number(
    target: Target,
    study: Study,
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
    study
        The record it belongs to.
    counts
        Columns ``arm, month, assessed, complete, partial, none``, as derived from the cohort.
    audited
        ``p_values`` of the study's audit, indexed by target id.
    data, cohort
        The cohort.
    """
    if target.measure in RESPONSE_MEASURES:
        return _rate(target, counts, data, cohort)
    if target.measure is Measure.P_VALUE:
        if target.compares in RESPONSE_MEASURES and target.month is not None:
            return _p_value(target, study, counts, audited, data)
        return _poor_outcome_p(data)
    if target.measure in _NOT_BUILT_IN:
        return Entry(Verdict.NOT_CHECKABLE, "the cohort is not built to give this number")
    return _size(target, cohort)


_NOT_BUILT_IN = (*CUMULATIVE_MEASURES, Measure.RENAL_FLARE_RATE, Measure.ASSESSED)
"""Numbers that no part of the cohort is conditioned on, and that are not compared with it."""


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


def _rate(target: Target, counts: pd.DataFrame, data: AnalysisData, cohort: Cohort) -> Entry:
    cell = _cell(counts, target.arm, target.month)
    if cell is None:
        return Entry(Verdict.NOT_REPRODUCED, "nobody of the arm is assessed at this visit", "nobody assessed")
    events, n = cell.responders(target.measure), cell.assessed
    if target.unit is Unit.PATIENTS:
        value, met = str(events), events == int(target.printed)
    else:
        value = format_percentage(events, n, printed_decimals(target.printed))
        met = bool(percentage_prints_as(np.array([events]), np.array([n]), target.printed)[0])
    if met:
        reason = origin(cohort, target.measure, exact="from laboratory values; denominator reconstructed")
        return Entry(Verdict.REPRODUCED, reason, value, events, n)
    seen = (data.not_assessable["arm"] == target.arm) & (data.not_assessable["visit_month"] == target.month)
    reason = f"printed {target.printed}, the cohort gives {value}"
    reason += f"; {seen.sum()} more are seen without the values that would decide" if seen.any() else ""
    return Entry(Verdict.NOT_REPRODUCED, reason, value, events, n)


def _p_value(target: Target, study: Study, counts: pd.DataFrame, audited: pd.DataFrame, data: AnalysisData) -> Entry:
    first, second = (_cell(counts, arm, target.month) for arm in (data.treated, data.reference))
    if first is None or second is None:
        return Entry(Verdict.NOT_REPRODUCED, "nobody of an arm is assessed at this visit")
    tests = _tests(target, study, first, second)
    hits = [name for name, p in tests.items() if probability_prints_as(np.array([p]), target.printed)[0]]
    if hits:
        return Entry(
            Verdict.REPRODUCED,
            f"two-sided, unadjusted: {', '.join(hits)}",
            f"{tests[hits[0]]:.4f}, prints as {target.printed} ({hits[0]})",
        )
    shown = f"{tests['Pearson']:.3f} (Pearson)"
    audit = audited.loc[[target.id]].iloc[0]
    if audit["two_sided_tests"]:
        return Entry(Verdict.NOT_REPRODUCED, "other admissible counts would give it, these do not", shown)
    return Entry(Verdict.NOT_ATTAINABLE, _why_not_attainable(target, audit), shown)


def _why_not_attainable(target: Target, audit: pd.Series) -> str:
    parts = [f"no two-sided test of two groups gives it at any admissible counts (nearest {audit['nearest']:.3f})"]
    if audit["one_sided_tests"]:
        names = [TEST_NAMES[ComparisonTest(name)] for name in str(audit["one_sided_tests"]).split(", ")]
        parts.append(f"a {' or '.join(names)} test would")
    # A test of complete, partial and no response says nothing about complete and partial taken together.
    free = pd.notna(audit["free_split_hits"]) and audit["free_split_hits"] > 0
    if free and target.compares is not Measure.OVERALL_RESPONSE:
        parts.append("with another division of responders a three-category test would")
    return "; ".join([*parts, "an adjusted model could print it"])


def _tests(target: Target, study: Study, first: _Cell, second: _Cell) -> dict[str, float]:
    """Two-sided unadjusted p-values at the cohort's counts, by name of the test, Pearson first.

    The tests of three categories are among them where print gives both complete and partial response.
    """
    measure = Measure(str(target.compares))
    pairs = [(cell.responders(measure), cell.assessed) for cell in (first, second)]
    found = two_by_two(*(np.array([number]) for pair in pairs for number in pair), tests=TWO_SIDED)
    if measure is not Measure.OVERALL_RESPONSE and _prints_three_categories(study, target.month):
        splits = [(cell.complete, cell.partial, cell.assessed) for cell in (first, second)]
        found |= three_category(*(np.array([number]) for split in splits for number in split))
    return {TEST_NAMES[test]: float(p[0]) for test, p in found.items()}


def _prints_three_categories(study: Study, month: int | None) -> bool:
    return all(
        study.printed(measure, arm=arm.code, month=month) is not None
        for measure in (Measure.COMPLETE_RESPONSE, Measure.PARTIAL_RESPONSE)
        for arm in study.arms
    )


def _poor_outcome_p(data: AnalysisData) -> Entry:
    comparison = poor_outcome_logrank(data)
    reason = f"no counts are printed; the cohort gives {comparison.text}"
    return Entry(Verdict.NOT_CHECKABLE, reason, f"{comparison.p_value:.3f} ({comparison.test})")


def _size(target: Target, cohort: Cohort) -> Entry:
    patients = cohort.patients
    if target.arm is not None:
        patients = patients[patients["arm"] == target.arm]
    n = len(patients)
    if target.measure in (Measure.TOTAL_PATIENTS, Measure.ARM_SIZE):
        met = n == int(target.printed)
        return Entry(Verdict.REPRODUCED if met else Verdict.NOT_REPRODUCED, "patients in the cohort", str(n))
    given = maintenance_immunosuppressants(cohort, patients["patient_id"])
    others = given[[drug.value for drug in OTHER_IMMUNOSUPPRESSANTS]].any(axis="columns")
    alone = int((given[Drug.TACROLIMUS.value] & ~others).sum())
    if target.measure is Measure.MONOTHERAPY_COUNT:
        met, value = alone == int(target.printed), str(alone)
    else:
        met = bool(percentage_prints_as(np.array([alone]), np.array([n]), target.printed)[0])
        value = format_percentage(alone, n, printed_decimals(target.printed))
    reason = "tacrolimus without another immunosuppressant in maintenance"
    return Entry(Verdict.REPRODUCED if met else Verdict.NOT_REPRODUCED, reason, value, alone, n)
