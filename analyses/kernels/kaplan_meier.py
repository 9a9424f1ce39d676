"""Product-limit survival of one group: risk table, estimate, Greenwood and infinitesimal-jackknife variance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analyses.kernels.grouped_sums import FloatArray, IntArray, sum_by, sum_from_here
from analyses.kernels.influence import hazard_influence_at, hazard_influence_variance

BoolArray = NDArray[np.bool_]


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
    if entries is None or not np.any(entries >= times[:1]):
        entry_index = np.zeros(len(durations), dtype=np.intp)
    else:
        entry_index = np.searchsorted(times, entries, side="right")
    heads = _sum_at_risk(None, exit_index, entry_index, size)
    failing_heads = np.bincount(exit_index[events], minlength=size).astype(np.float64)
    if weights is None:
        at_risk, failing = heads, failing_heads
    else:
        at_risk = _sum_at_risk(weights, exit_index, entry_index, size)
        failing = sum_by(exit_index[events], weights[events], size)
    exhausted = (heads == failing_heads) & (heads > 0)
    return RiskTable(times, at_risk, failing, exhausted, exit_index, entry_index)


def _sum_at_risk(mass: FloatArray | None, exit_index: IntArray, entry_index: IntArray, size: int) -> FloatArray:
    at_risk = sum_from_here(np.bincount(exit_index, mass, size).astype(np.float64))
    late = entry_index > 0
    if late.any():
        entering = np.bincount(entry_index[late] - 1, None if mass is None else mass[late], size)
        at_risk = at_risk - sum_from_here(entering.astype(np.float64))
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
    clusters: IntArray | None = None,
) -> SurvivalCurve:
    """Estimate survival, with Greenwood's variance, or the infinitesimal jackknife for weights or clusters.

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
    clusters
        Shape ``(n,)``, codes from 0 of rows that belong together, as the spells of one patient.

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
    if weights is None and clusters is None:
        log_variance = np.cumsum(table.greenwood_terms)
    else:
        log_variance = hazard_influence_variance(
            table.greenwood_terms,
            _jumps(table, events),
            entry_index=table.entry_index,
            exit_index=table.exit_index,
            weights=np.ones(len(durations)) if weights is None else weights,
            clusters=clusters,
        )
    std_error = np.where(survival > 0, survival * np.sqrt(log_variance), np.nan)
    return SurvivalCurve(table, survival, std_error)


def log_survival_influence(table: RiskTable, events: BoolArray, time: float) -> FloatArray:
    """Return each row's influence on log survival at a time, shape ``(n,)``, before its own weight.

    It is the derivative of log survival with respect to the row's weight; zero where survival is zero.
    """
    place = int(np.searchsorted(table.times, time, side="right"))
    return hazard_influence_at(
        place,
        table.greenwood_terms,
        _jumps(table, events),
        entry_index=table.entry_index,
        exit_index=table.exit_index,
    )


def _jumps(table: RiskTable, events: BoolArray) -> FloatArray:
    return np.where(table.exhausted[table.exit_index], 0.0, events / table.survivors[table.exit_index])
