"""Product-limit survival of one group: risk table, estimate, Greenwood and infinitesimal-jackknife variance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analyses.kernels.grouped_sums import FloatArray, IntArray, sum_by, sum_from_here

BoolArray = NDArray[np.bool_]

HALF_TOLERANCE = float(np.sqrt(np.finfo(np.float64).eps))
"""A curve within this distance of one half is taken to be at one half, as R's ``survival`` does."""


@dataclass(frozen=True, slots=True)
class RiskTable:
    """Who is at risk and who fails at each distinct observed time.

    Attributes
    ----------
    times
        Shape ``(k,)``, increasing: every distinct exit time, of events and of censorings.
    at_risk, events
        Shape ``(k,)``: weight at risk just before, and weight failing at, each time.
    exhausted
        Shape ``(k,)``: everyone at risk fails at that time, so that survival drops to exactly zero.
    exit_index, entry_index
        Shape ``(n,)``: a row is at risk at ``times[entry_index:exit_index + 1]``.
    """

    times: FloatArray
    at_risk: FloatArray
    events: FloatArray
    exhausted: BoolArray
    exit_index: IntArray
    entry_index: IntArray

    @property
    def survivors(self) -> FloatArray:
        """Weight at risk less weight failing, shape ``(k,)``; one where that is zero, to divide by."""
        return np.where(self.exhausted, 1.0, self.at_risk - self.events)

    @property
    def greenwood_terms(self) -> FloatArray:
        """Summands d / (n (n - d)) of Greenwood's formula, shape ``(k,)``; zero where everyone fails."""
        terms = self.events / (self.at_risk * self.survivors)
        return np.where(self.exhausted, 0.0, terms)


@dataclass(frozen=True, slots=True)
class SurvivalCurve:
    """Product-limit estimate at each time of ``table``; arrays of shape ``(k,)``.

    ``std_error`` is that of the survival probability; it is NaN from the time survival reaches zero.
    """

    table: RiskTable
    survival: FloatArray
    std_error: FloatArray


def risk_table(
    durations: FloatArray,
    events: BoolArray,
    *,
    weights: FloatArray | None = None,
    entries: FloatArray | None = None,
) -> RiskTable:
    """Count who is at risk and who fails at each distinct time.

    A row is at risk at ``t`` when ``entry < t <= duration``; without ``entries`` every row is at risk from the start,
    time zero included. Equal times are ties; at a tie, events precede censorings. Cost: one sort.
    """
    times, exit_index = np.unique(durations, return_inverse=True)
    size = len(times)
    mass = np.ones(len(durations)) if weights is None else weights
    if entries is None:
        entry_index = np.zeros(len(durations), dtype=np.intp)
    else:
        entry_index = np.searchsorted(times, entries, side="right")
    at_risk = _sum_at_risk(mass, exit_index, entry_index, size)
    heads = _sum_at_risk(np.ones(len(durations)), exit_index, entry_index, size)
    failing = sum_by(exit_index, mass * events, size)
    failing_heads = sum_by(exit_index, events.astype(np.float64), size)
    exhausted = (heads == failing_heads) & (heads > 0)
    return RiskTable(times, at_risk, failing, exhausted, exit_index, entry_index)


def _sum_at_risk(mass: FloatArray, exit_index: IntArray, entry_index: IntArray, size: int) -> FloatArray:
    leaving = sum_by(exit_index, mass, size)
    at_risk = sum_from_here(leaving)
    late = entry_index > 0
    if late.any():
        entering = sum_by(entry_index[late] - 1, mass[late], size)
        at_risk = at_risk - sum_from_here(entering)
    return at_risk


def product_limit(table: RiskTable) -> FloatArray:
    """Return the Kaplan-Meier survival at each time, shape ``(k,)``, as the running product of 1 - d/n."""
    with np.errstate(divide="ignore", invalid="ignore"):
        factors = np.where(table.at_risk > 0, 1.0 - table.events / table.at_risk, 1.0)
    return np.asarray(np.cumprod(np.where(table.exhausted, 0.0, factors)))


def kaplan_meier(
    durations: FloatArray,
    events: BoolArray,
    *,
    weights: FloatArray | None = None,
    entries: FloatArray | None = None,
) -> SurvivalCurve:
    """Estimate survival, with Greenwood's variance, or the infinitesimal jackknife when there are weights.

    Parameters
    ----------
    durations
        Shape ``(n,)``, time of event or censoring, any one unit.
    events
        Shape ``(n,)``, True where the time is an event.
    weights
        Shape ``(n,)``, positive. Results do not change when all weights are multiplied by a constant.
    entries
        Shape ``(n,)``, time of entry into observation, below ``durations``.

    References
    ----------
    Greenwood (1926), Reports on Public Health and Medical Subjects 33. Therneau and Grambsch (2000),
    doi:10.1007/978-1-4757-3294-8, for the infinitesimal jackknife.

    Examples
    --------
    >>> kaplan_meier(np.array([1.0, 2.0, 3.0]), np.array([True, False, True])).survival.round(4).tolist()
    [0.6667, 0.6667, 0.0]
    """
    table = risk_table(durations, events, weights=weights, entries=entries)
    survival = product_limit(table)
    if weights is None:
        log_variance = np.cumsum(table.greenwood_terms)
    else:
        log_variance = _jackknife_log_variance(table, events, weights)
    std_error = np.where(survival > 0, survival * np.sqrt(log_variance), np.nan)
    return SurvivalCurve(table, survival, std_error)


def _jackknife_log_variance(table: RiskTable, events: BoolArray, weights: FloatArray) -> FloatArray:
    """Sum over rows of the squared weighted influence on log survival, shape ``(k,)``, in linear time.

    With A the running sum of Greenwood's terms, row i adds A(t) - A(entry) while at risk and, once out, the constant
    A(exit) - A(entry) - event / (n - d) at its exit. Expanding the square lets running sums replace the k x n table.
    """
    hazard = np.concatenate([[0.0], np.cumsum(table.greenwood_terms)])
    at_entry = hazard[table.entry_index]
    jump = np.where(table.exhausted[table.exit_index], 0.0, events / table.survivors[table.exit_index])
    settled = hazard[table.exit_index + 1] - at_entry - jump
    size, squared = len(table.times), weights**2
    out = np.cumsum(sum_by(table.exit_index, squared * settled**2, size))

    def present(values: FloatArray) -> FloatArray:
        entered = np.cumsum(sum_by(table.entry_index, values, size))
        return entered - np.cumsum(sum_by(table.exit_index, values, size))

    now = hazard[1:]
    within = now**2 * present(squared) - 2 * now * present(squared * at_entry) + present(squared * at_entry**2)
    return np.maximum(out + within, 0.0)


def first_time_below_half(times: FloatArray, curve: FloatArray) -> float:
    """Return the time a non-increasing curve crosses one half, NaN when it does not.

    A curve that rests exactly on one half yields the midpoint of that rest, the usual convention for a median.
    NaN entries of ``curve`` (a bound that does not exist yet) count as not crossed.
    """
    reached = np.flatnonzero(curve < 0.5 + HALF_TOLERANCE)
    if not len(reached):
        return float("nan")
    first = reached[0]
    lower = np.flatnonzero(curve < curve[first])
    if abs(curve[first] - 0.5) < HALF_TOLERANCE and len(lower):
        return float((times[first] + times[lower[0]]) / 2)
    return float(times[first])
