"""Findings in words that an exact cohort is conditioned on: outcomes that did not differ significantly."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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


def contradicts_print(study: Study, story: Story, replicates: int) -> BoolArray:
    """Return whether an outcome differs significantly between the arms although the study says it does not.

    One answer for each of the ``replicates`` in ``story``, shape ``(r,)``.
    """
    shape = (replicates, -1)
    treated, end = story.assigned.tacrolimus.reshape(shape), story.attendance.follow_up_days
    events, horizon = story.events, max(study.visit_months) * DAYS_PER_MONTH

    def having(*codes: Event) -> BoolArray:
        chosen = np.zeros(len(end), dtype=bool)
        chosen[events.patient[np.isin(events.event, [position_of(code) for code in codes])]] = True
        return chosen.reshape(shape)

    def free_of(*codes: Event) -> FloatArray:
        day, happened = _first(events, codes, end, horizon)
        return logrank_p(day.reshape(shape), happened.reshape(shape), treated)

    p_values: dict[Measure, Callable[[], FloatArray]] = {
        Measure.RENAL_FLARE: lambda: two_by_two_p(having(Event.RENAL_FLARE), treated),
        Measure.FLARE_FREE_SURVIVAL: lambda: free_of(Event.RENAL_FLARE, *_POOR),
        Measure.POOR_OUTCOME: lambda: free_of(*_POOR),
        Measure.ADVERSE_EVENTS: lambda: np.min(
            [two_by_two_p(having(*codes), treated) for codes in (ADVERSE_EVENTS, *((event,) for event in NAMED_HARMS))],
            axis=0,
        ),
        Measure.LABORATORY_VALUES: lambda: np.min(
            [mann_whitney_p(*measured, replicates) for measured in _last_laboratory_values(story, replicates)], axis=0
        ),
    }
    contradicted = np.zeros(replicates, dtype=bool)
    for measure in conditioned_measures(study):
        contradicted |= p_values[measure]() < _ALPHA
    return contradicted


def _last_laboratory_values(story: Story, replicates: int) -> Iterator[tuple[FloatArray, BoolArray, IntArray]]:
    """Yield the values print calls similar at the last scheduled visit, with who of the seen is treated, and where."""
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
    per_replicate = baseline.size // replicates
    for values, missing in measured:
        seen = rows & ~missing
        who = visits.patient[seen]
        yield values[seen].astype(np.float64), story.assigned.tacrolimus[who], who // per_replicate


def _first(events: EventRows, codes: tuple[Event, ...], end: IntArray, horizon: float) -> tuple[FloatArray, BoolArray]:
    """Return day of the first such event or of censoring, and whether it happened, within ``horizon`` days."""
    chosen = np.isin(events.event, [position_of(code) for code in codes])
    first = np.full(len(end), np.inf)
    np.minimum.at(first, events.patient[chosen], events.day[chosen])
    last = np.minimum(end, horizon)
    return np.minimum(first, last), first <= last


def two_by_two_p(outcome: BoolArray, treated: BoolArray) -> FloatArray:
    """Return the Pearson chi-square p-value of outcome by arm in each row, shape ``(r,)``; 1 if it does not vary."""
    from scipy.special import chdtrc

    share, treated_share = outcome.mean(axis=1), treated.mean(axis=1)
    covariance = (outcome & treated).mean(axis=1) - share * treated_share
    variance = share * (1 - share) * treated_share * (1 - treated_share)
    varies = variance > 0
    chi_square = outcome.shape[1] * covariance**2 / np.where(varies, variance, 1.0)
    return np.where(varies, chdtrc(1, chi_square), 1.0)


def mann_whitney_p(values: FloatArray, treated: BoolArray, replicate: IntArray, replicates: int) -> FloatArray:
    """Return the two-sided Mann-Whitney p-value of each replicate, normal with corrections for ties and continuity.

    ``values``, ``treated`` and ``replicate`` have shape ``(m,)``; the result has shape ``(replicates,)``, 1 where the
    values do not vary. The generator may not import the estimators; the tests hold this to SciPy.
    """
    from scipy.special import ndtr

    order = np.lexsort((values, replicate))
    values, treated, replicate = values[order], treated[order], replicate[order]
    total = np.bincount(replicate, minlength=replicates)
    start = (np.cumsum(total) - total)[replicate]
    new = np.concatenate([[True], (values[1:] != values[:-1]) | (replicate[1:] != replicate[:-1])])
    begin = np.flatnonzero(new)
    ties = np.diff(np.append(begin, len(values)))
    rank = np.repeat(begin + (ties + 1) / 2, ties) - start
    n1 = np.bincount(replicate, treated, replicates)
    n0 = total - n1
    excess = np.abs(np.bincount(replicate, rank * treated, replicates) - n1 * (total + 1) / 2) - 0.5
    tied = np.bincount(replicate[begin], ties**3 - ties, replicates)
    several = total > 1
    variance = n1 * n0 / 12 * (total + 1 - tied / np.where(several, total * (total - 1), 1))
    varies = several & (variance > 0)
    p = 2 * ndtr(-excess / np.sqrt(np.where(varies, variance, 1.0)))
    return np.where(varies, np.minimum(p, 1.0), 1.0)


def logrank_p(day: FloatArray, happened: BoolArray, treated: BoolArray) -> FloatArray:
    """Return the log-rank p-value of two arms in each row, shape ``(r,)``; 1 without events.

    The generator may not import the estimators; the tests hold this to :func:`analyses.survival.logrank`.
    """
    from scipy.special import chdtrc

    replicates, size = day.shape
    order = np.argsort(day, axis=1, kind="stable")
    day = np.take_along_axis(day, order, axis=1)
    happened, treated = np.take_along_axis(happened, order, axis=1), np.take_along_axis(treated, order, axis=1)
    new = np.concatenate([np.ones((replicates, 1), dtype=bool), day[:, 1:] != day[:, :-1]], axis=1)
    begin = np.flatnonzero(new)
    row, place = np.divmod(begin, size)
    treated_before: IntArray = np.cumsum(treated, axis=1, dtype=np.int64) - treated
    at_risk = size - place
    treated_at_risk = treated.sum(axis=1)[row] - treated_before.ravel()[begin]
    failing = np.add.reduceat(happened.ravel().astype(np.int64), begin)
    treated_failing = np.add.reduceat((happened & treated).ravel().astype(np.int64), begin)
    share = treated_at_risk / at_risk
    several = np.where(at_risk > 1, at_risk - 1, 1)
    excess = np.bincount(row, treated_failing - failing * share, replicates)
    variance = np.bincount(row, failing * share * (1 - share) * np.maximum(at_risk - failing, 0) / several, replicates)
    return np.where(variance > 0, chdtrc(1, excess**2 / np.where(variance > 0, variance, 1.0)), 1.0)
