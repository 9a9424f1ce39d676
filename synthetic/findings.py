"""Findings in words that an exact cohort is conditioned on: outcomes that did not differ significantly."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cohort.codes import Event
from cohort.record import Claim, Measure, Study
from cohort.response import BoolArray, IntArray
from synthetic.calendar import Attendance
from synthetic.events import EventRows

FloatArray = npt.NDArray[np.float64]

_ALPHA = 0.05
_ADVERSE = (
    Event.SERIOUS_INFECTION,
    Event.HERPES_ZOSTER,
    Event.CARDIOVASCULAR,
    Event.MALIGNANCY,
    Event.NEPHROTOXICITY,
    Event.HYPERTENSION_ONSET,
    Event.DIABETES_ONSET,
)
_POOR = (Event.ESKD, Event.DEATH)
_CONDITIONS = {
    Measure.RENAL_FLARE: "patients with a renal flare do not differ (Pearson chi-square, p >= 0.05)",
    Measure.FLARE_FREE_SURVIVAL: "survival free of flare, ESKD and death does not differ (log-rank, p >= 0.05)",
    Measure.POOR_OUTCOME: "ESKD or death does not differ (log-rank, p >= 0.05)",
    Measure.ADVERSE_EVENTS: "patients with an adverse event do not differ (Pearson chi-square, p >= 0.05)",
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


def contradicts_print(study: Study, treated: BoolArray, attendance: Attendance, events: EventRows) -> bool:
    """Return whether an outcome differs significantly between the arms although the study says it does not."""
    end = attendance.follow_up_days
    with_flare = np.isin(np.arange(len(end)), events.patient[events.event == Event.RENAL_FLARE.value])
    adverse = np.isin(events.event, [event.value for event in _ADVERSE])
    with_adverse = np.isin(np.arange(len(end)), events.patient[adverse])
    p_values = {
        Measure.RENAL_FLARE: lambda: two_by_two_p(with_flare, treated),
        Measure.FLARE_FREE_SURVIVAL: lambda: logrank_p(*_first(events, (Event.RENAL_FLARE, *_POOR), end), treated),
        Measure.POOR_OUTCOME: lambda: logrank_p(*_first(events, _POOR, end), treated),
        Measure.ADVERSE_EVENTS: lambda: two_by_two_p(with_adverse, treated),
    }
    return any(p_values[measure]() < _ALPHA for measure in conditioned_measures(study))


def _first(events: EventRows, codes: tuple[Event, ...], end: IntArray) -> tuple[IntArray, BoolArray]:
    """Return day of the first such event or end of follow-up, and whether it happened."""
    chosen = np.isin(events.event, [code.value for code in codes])
    first = np.full(len(end), np.iinfo(np.int64).max)
    np.minimum.at(first, events.patient[chosen], events.day[chosen])
    return np.minimum(first, end), first <= end


def two_by_two_p(outcome: BoolArray, treated: BoolArray) -> float:
    """Return the Pearson chi-square p-value of outcome by arm; 1 if the outcome does not vary."""
    from scipy.special import chdtrc

    if outcome.all() or not outcome.any():
        return 1.0
    correlation = np.corrcoef(outcome, treated)[0, 1]
    return float(chdtrc(1, len(outcome) * correlation**2))


def logrank_p(day: IntArray, happened: BoolArray, treated: BoolArray) -> float:
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
