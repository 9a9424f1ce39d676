"""Findings in words that an exact cohort is conditioned on: outcomes that did not differ significantly."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from cohort.codes import ADVERSE_EVENTS, DAYS_PER_MONTH, NAMED_HARMS, Event
from cohort.columns import position_of
from cohort.record import Claim, Measure, Study
from cohort.response import BoolArray, IntArray
from synthetic.baseline import Baseline
from synthetic.events import EventRows, doubling_rows
from synthetic.groups import select_patients
from synthetic.story import RecordedVisits
from synthetic.visits import printed_egfr

FloatArray = npt.NDArray[np.float64]
Number = TypeVar("Number", bound=np.generic)

_ALPHA = 0.05
_POOR = (Event.ESKD, Event.DEATH)
_SEEN_AT_VISITS = Event.CREATININE_DOUBLING
_LAST_BIT = np.int64(1)
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


@dataclass(frozen=True, slots=True)
class Followed:
    """Patients of ``replicates`` replicates: who is ``treated``, and the last day of follow-up, of shape ``(n,)``."""

    treated: BoolArray
    end: IntArray
    replicates: int

    def by_replicate(self, values: npt.NDArray[Number]) -> npt.NDArray[Number]:
        """Return values of patients, shape ``(n,)``, one row a replicate."""
        return values.reshape(self.replicates, -1)


def events_contradict(study: Study, followed: Followed, events: EventRows) -> BoolArray:
    """Return whether an event differs significantly between the arms although the study says it does not, ``(r,)``.

    All that are known before any visit is written, so all but a doubling of creatinine.
    """
    horizon = max(study.visit_months) * DAYS_PER_MONTH

    def free_of(*codes: Event) -> FloatArray:
        day, happened = _first(events, codes, followed.end, horizon)
        by_replicate = followed.by_replicate
        return logrank_p(by_replicate(day), by_replicate(happened), by_replicate(followed.treated))

    def harms() -> FloatArray:
        kinds = (ADVERSE_EVENTS, *((event,) for event in NAMED_HARMS if event is not _SEEN_AT_VISITS))
        return np.asarray(np.min([_having_p(followed, events, kind) for kind in kinds], axis=0))

    p_values: dict[Measure, Callable[[], FloatArray]] = {
        Measure.RENAL_FLARE: lambda: _having_p(followed, events, (Event.RENAL_FLARE,)),
        Measure.FLARE_FREE_SURVIVAL: lambda: free_of(Event.RENAL_FLARE, *_POOR),
        Measure.POOR_OUTCOME: lambda: free_of(*_POOR),
        Measure.ADVERSE_EVENTS: harms,
    }
    return _contradicted(study, p_values, followed.replicates)


def visits_contradict(study: Study, followed: Followed, baseline: Baseline, seen: RecordedVisits) -> BoolArray:
    """Return whether what visits show differs significantly although the study says it does not, shape ``(r,)``."""
    doubled = doubling_rows(seen.visits, baseline)
    p_values: dict[Measure, Callable[[], FloatArray]] = {
        Measure.ADVERSE_EVENTS: lambda: _having_p(followed, doubled, (_SEEN_AT_VISITS,)),
        Measure.LABORATORY_VALUES: lambda: np.min(
            [
                mann_whitney_p(*measured, followed.replicates)
                for measured in _last_laboratory_values(followed, baseline, seen)
            ],
            axis=0,
        ),
    }
    return _contradicted(study, p_values, followed.replicates)


def _contradicted(study: Study, p_values: Mapping[Measure, Callable[[], FloatArray]], replicates: int) -> BoolArray:
    contradicted = np.zeros(replicates, dtype=bool)
    for measure in conditioned_measures(study):
        if measure in p_values:
            contradicted |= p_values[measure]() < _ALPHA
    return contradicted


def _having_p(followed: Followed, events: EventRows, codes: tuple[Event, ...]) -> FloatArray:
    """Compare how many patients of the arms have any of the events, shape ``(r,)``."""
    having = np.zeros(len(followed.end), dtype=bool)
    having[events.patient[_among(events, codes)]] = True
    return two_by_two_p(followed.by_replicate(having), followed.by_replicate(followed.treated))


def _among(events: EventRows, codes: tuple[Event, ...]) -> BoolArray:
    """Return which events are of one of the kinds."""
    asked = np.zeros(len(Event), dtype=bool)
    asked[[position_of(code) for code in codes]] = True
    return np.asarray(asked[events.event])


def _last_laboratory_values(
    followed: Followed, baseline: Baseline, seen: RecordedVisits
) -> Iterator[tuple[FloatArray, BoolArray, IntArray]]:
    """Yield the values print calls similar at the last scheduled visit, with who of the seen is treated, and where."""
    rows = np.flatnonzero(seen.visits.month == seen.visits.month.max())
    visits, gaps = select_patients(seen.visits, rows), select_patients(seen.gaps, rows)
    labs = visits.labs
    renal = labs.urine_casts.astype(np.int64) + (labs.urine_rbc > 5) + (visits.upcr > 50)
    measured = (
        (visits.upcr, gaps.kidney),
        (printed_egfr(visits, baseline), gaps.kidney),
        (labs.anti_dsdna, gaps.anti_dsdna),
        (labs.c3, gaps.c3),
        (labs.c4, gaps.c4),
        (renal, gaps.kidney),
    )
    replicate = visits.patient // np.int64(baseline.size // followed.replicates)
    treated = followed.treated[visits.patient]
    for values, missing in measured:
        known = ~missing
        yield values[known].astype(np.float64), treated[known], replicate[known]


def _first(events: EventRows, codes: tuple[Event, ...], end: IntArray, horizon: float) -> tuple[FloatArray, BoolArray]:
    """Return day of the first such event or of censoring, and whether it happened, within ``horizon`` days."""
    chosen = _among(events, codes)
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

    ``values``, ``treated`` and ``replicate``, which never falls, have shape ``(m,)``; the result has shape
    ``(replicates,)``, 1 where the values do not vary. Values that differ in the last bit only count as tied. The
    generator may not import the estimators; the tests hold this to SciPy.
    """
    from scipy.special import ndtr

    total = np.bincount(replicate, minlength=replicates)
    width = int(total.max(initial=1))
    place = np.arange(len(values)) - (np.cumsum(total) - total)[replicate]
    table = np.full((replicates, width), np.inf)
    # The last bit of a value says who is treated, so that sorting numbers alone sorts both, which is much faster.
    table[replicate, place] = ((values.view(np.int64) & ~_LAST_BIT) | treated).view(np.float64)
    table.sort(axis=1)
    bits = table.view(np.int64)
    on, ordered = bits & _LAST_BIT, (bits & ~_LAST_BIT).view(np.float64)
    new = np.ones(ordered.shape, dtype=bool)
    new[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    begin = np.flatnonzero(new)
    row, before = np.divmod(begin, width)
    ties = np.diff(np.append(begin, new.size))
    n1 = np.bincount(replicate, treated, replicates)
    n0 = total - n1
    ranks = np.bincount(row, np.add.reduceat(on.ravel(), begin) * (before + (ties + 1) / 2), replicates)
    excess = np.abs(ranks - n1 * (total + 1) / 2) - 0.5
    known = np.isfinite(ordered.ravel()[begin])
    tied = np.bincount(row[known], (ties**3 - ties)[known], replicates)
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
