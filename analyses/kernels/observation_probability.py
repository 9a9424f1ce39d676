"""Probability of still being under observation just before a time: censoring and late entry, by groups of rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analyses.kernels.grouped_sums import FloatArray, IntArray
from analyses.kernels.kaplan_meier import BoolArray


@dataclass(frozen=True, slots=True)
class ObservationProbability:
    """Product-limit estimates for one group of rows.

    Attributes
    ----------
    censoring_times, uncensored
        Shapes ``(k,)`` and ``(k + 1,)``: distinct times of censoring, and the probability of not being censored
        before the first, after the first, and so on.
    entry_times, entered
        Shapes ``(e,)`` and ``(e + 1,)``: distinct entry times, and the probability of having entered before the first
        (empty and 1 without late entry), before the second, and so on.
    last_time
        Largest time in the group; beyond it nobody of the group is observed.
    """

    censoring_times: FloatArray
    uncensored: FloatArray
    entry_times: FloatArray
    entered: FloatArray
    last_time: float

    def before(self, times: FloatArray) -> FloatArray:
        """Return the probability of being observed just before each of ``times``, in their shape."""
        uncensored = self.uncensored[np.searchsorted(self.censoring_times, times, side="left")]
        entered = self.entered[np.searchsorted(self.entry_times, times, side="left")]
        return np.where(times <= self.last_time, uncensored * entered, 0.0)


def observation_probability(
    durations: FloatArray, failed: BoolArray, *, entries: FloatArray | None, failures_leave_first: bool
) -> ObservationProbability:
    """Estimate how long the rows of one group stay under observation.

    Parameters
    ----------
    durations, failed
        Shape ``(n,)``: end of follow-up, and whether it is a failure of any cause rather than a censoring.
    entries
        Shape ``(n,)``, below ``durations``; None without late entry.
    failures_leave_first
        Whether a failure at the time of a censoring has left the risk set of that censoring (so that, as in a
        Kaplan-Meier curve of the failures, failures precede censorings at a tie), or still belongs to it.

    Examples
    --------
    >>> durations, failed = np.array([1.0, 2.0, 2.0, 3.0]), np.array([True, False, True, True])
    >>> g = observation_probability(durations, failed, entries=None, failures_leave_first=True)
    >>> g.before(np.array([2.0, 3.0])).tolist()
    [1.0, 0.5]
    """
    ordered = np.sort(durations)
    censored, leaving = np.unique(durations[~failed], return_counts=True)
    at_risk = len(ordered) - np.searchsorted(ordered, censored, side="left")
    if failures_leave_first:
        failures = np.sort(durations[failed])
        at_risk = at_risk - _count(failures, censored)
    if entries is None:
        none = np.zeros(0)
        uncensored = np.concatenate([[1.0], np.cumprod(1.0 - leaving / at_risk)])
        return ObservationProbability(censored, uncensored, none, np.ones(1), float(ordered[-1]))
    starts = np.sort(entries)
    at_risk = at_risk - (len(starts) - np.searchsorted(starts, censored, side="left"))
    uncensored = np.concatenate([[1.0], np.cumprod(1.0 - leaving / at_risk)])
    entering_at, entering = np.unique(entries, return_counts=True)
    present = np.searchsorted(starts, entering_at, side="right") - np.searchsorted(ordered, entering_at, side="right")
    entered = np.concatenate([np.cumprod((1.0 - entering / present)[::-1])[::-1], [1.0]])
    return ObservationProbability(censored, uncensored, entering_at, entered, float(ordered[-1]))


def _count(ordered: FloatArray, times: FloatArray) -> IntArray:
    return np.searchsorted(ordered, times, side="right") - np.searchsorted(ordered, times, side="left")
