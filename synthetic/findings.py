"""Findings in words that an exact cohort is conditioned on: outcomes that did not differ significantly."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from cohort.codes import ADVERSE_EVENTS, DAYS_PER_MONTH, NAMED_HARMS, Event
from cohort.columns import position_of
from cohort.egfr import ckd_epi_2021
from cohort.record import Claim, Measure, Study
from cohort.response import BoolArray, IntArray
from synthetic.events import EventRows

if TYPE_CHECKING:
    from synthetic.story import Story

FloatArray = npt.NDArray[np.float64]

_ALPHA = 0.05
_POOR = (Event.ESKD, Event.DEATH)
_CONDITIONS = {
    Measure.RENAL_FLARE: "patients with a renal flare do not differ (Pearson chi-square, p >= 0.05)",
    Measure.FLARE_FREE_SURVIVAL: "survival free of flare, ESKD and death does not differ (log-rank, p >= 0.05)",
    Measure.POOR_OUTCOME: "ESKD or death does not differ (log-rank, p >= 0.05)",
    Measure.ADVERSE_EVENTS: "patients with an adverse event, and with each kind that print calls not more frequent on "
    "tacrolimus, do not differ (Pearson chi-square, p >= 0.05)",
    Measure.LABORATORY_VALUES: "laboratory values at the last visit do not differ (Mann-Whitney, p >= 0.05)",
}


def conditioned_measures(study: Study) -> list[Measure]:
    """Return the outcomes that ``study`` reports as not significantly different, in a fixed order."""
    found = {
        target.measure
        for target in study.targets
        if target.claim is Claim.NO_SIGNIFICANT_DIFFERENCE and target.superseded_by is None
    }
    return [measure for measure in _CONDITIONS if measure in found]


def conditions_on(study: Study) -> list[str]:
    """Return the conditions that a cohort of ``study`` meets, in words."""
    return [_CONDITIONS[measure] for measure in conditioned_measures(study)]


def contradicts_print(study: Study, story: Story) -> bool:
    """Return whether an outcome differs significantly between the arms although the study says it does not."""
    treated, events, end = story.assigned.tacrolimus, story.events, story.attendance.follow_up_days
    horizon = max(study.visit_months) * DAYS_PER_MONTH

    def having(*codes: Event) -> BoolArray:
        return np.isin(
            np.arange(len(end)), events.patient[np.isin(events.event, [position_of(code) for code in codes])]
        )

    p_values = {
        Measure.RENAL_FLARE: lambda: two_by_two_p(having(Event.RENAL_FLARE), treated),
        Measure.FLARE_FREE_SURVIVAL: lambda: logrank_p(
            *_first(events, (Event.RENAL_FLARE, *_POOR), end, horizon), treated
        ),
        Measure.POOR_OUTCOME: lambda: logrank_p(*_first(events, _POOR, end, horizon), treated),
        Measure.ADVERSE_EVENTS: lambda: min(
            two_by_two_p(having(*codes), treated) for codes in (ADVERSE_EVENTS, *((event,) for event in NAMED_HARMS))
        ),
        Measure.LABORATORY_VALUES: lambda: min(
            mann_whitney_p(values[on], values[~on]) for values, on in _last_laboratory_values(story)
        ),
    }
    return any(p_values[measure]() < _ALPHA for measure in conditioned_measures(study))


def _last_laboratory_values(story: Story) -> Iterator[tuple[FloatArray, BoolArray]]:
    """Yield the values print calls similar at the last scheduled visit, each with who of the seen is treated."""
    visits, baseline = story.visits, story.assigned.baseline
    rows, gaps = visits.month == visits.month.max(), story.gaps
    labs, creatinine = visits.labs, visits.creatinine / 100.0
    age = baseline.age_years[visits.patient] + visits.day / 365.25
    egfr = np.round(ckd_epi_2021(creatinine, age, baseline.female[visits.patient]), 1)
    renal = labs.urine_casts.astype(np.int64) + (labs.urine_rbc > 5) + (visits.upcr > 50)
    measured = (
        (visits.upcr, gaps.kidney),
        (egfr, gaps.kidney),
        (labs.anti_dsdna, gaps.anti_dsdna),
        (labs.c3, gaps.c3),
        (labs.c4, gaps.c4),
        (renal, gaps.kidney),
    )
    for values, missing in measured:
        seen = rows & ~missing
        yield values[seen].astype(np.float64), story.assigned.tacrolimus[visits.patient[seen]]


def _first(events: EventRows, codes: tuple[Event, ...], end: IntArray, horizon: float) -> tuple[FloatArray, BoolArray]:
    """Return day of the first such event or of censoring, and whether it happened, within ``horizon`` days."""
    chosen = np.isin(events.event, [position_of(code) for code in codes])
    first = np.full(len(end), np.inf)
    np.minimum.at(first, events.patient[chosen], events.day[chosen])
    last = np.minimum(end, horizon)
    return np.minimum(first, last), first <= last


def two_by_two_p(outcome: BoolArray, treated: BoolArray) -> float:
    """Return the Pearson chi-square p-value of outcome by arm; 1 if the outcome does not vary."""
    from scipy.special import chdtrc

    if outcome.all() or not outcome.any():
        return 1.0
    correlation = np.corrcoef(outcome, treated)[0, 1]
    return float(chdtrc(1, len(outcome) * correlation**2))


def mann_whitney_p(first: FloatArray, second: FloatArray) -> float:
    """Return the two-sided Mann-Whitney p-value, normal with corrections for ties and continuity.

    The generator may not import the estimators; the tests hold this to SciPy.
    """
    from scipy.special import ndtr

    n1, n2 = len(first), len(second)
    _, inverse, ties = np.unique(np.concatenate([first, second]), return_inverse=True, return_counts=True)
    ranks = (np.cumsum(ties) - (ties - 1) / 2)[inverse]
    total = n1 + n2
    excess = abs(ranks[:n1].sum() - n1 * (total + 1) / 2) - 0.5
    variance = n1 * n2 / 12 * (total + 1 - (ties**3 - ties).sum() / (total * (total - 1)))
    return float(min(2 * ndtr(-excess / np.sqrt(variance)), 1.0)) if variance > 0 else 1.0


def logrank_p(day: FloatArray, happened: BoolArray, treated: BoolArray) -> float:
    """Return the log-rank p-value of two arms; 1 without events.

    The generator may not import the estimators; the tests hold this to :func:`analyses.survival.logrank`.
    """
    from scipy.special import chdtrc

    times = np.unique(day[happened])
    at_risk = (day[:, None] >= times).astype(np.float64)
    failing = ((day[:, None] == times) & happened[:, None]).astype(np.float64)
    n, d = at_risk.sum(axis=0), failing.sum(axis=0)
    share = at_risk[treated].sum(axis=0) / n
    excess = (failing[treated].sum(axis=0) - d * share).sum()
    variance = (d * share * (1 - share) * np.divide(n - d, n - 1, out=np.zeros_like(n), where=n > 1)).sum()
    return float(chdtrc(1, excess**2 / variance)) if variance > 0 else 1.0
