"""Every patient twice, once under each strategy of starting, censored when the patient no longer follows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from analyses.columns import BoolArray, FloatArray
from analyses.starts.inputs import StartTimes, refuse_taken, spell_frame, start_times
from analyses.starts.intervals import INTERVAL_START, StartHazards, decisions, start_hazards, whole_intervals
from analyses.starts.latest import refuse_unknown
from analyses.starts.remaining import Remaining
from analyses.survival.inputs import check_choice

IntArray = npt.NDArray[np.intp]
StartSpread = Literal["as starters", "as everybody"]
Otherwise = Literal["no start within the grace period", "never start"]

STRATEGY, WITHIN = "strategy", "start_within"
CLONE_COLUMNS = (STRATEGY, WITHIN, "entry", "exit", "failed", "deviated", "clone_weight")
START = "start within the grace period"
SPREADS: tuple[StartSpread, ...] = ("as starters", "as everybody")
OTHERWISES: tuple[Otherwise, ...] = ("no start within the grace period", "never start")


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategies:
    """What is compared: the two strategies, in whole intervals.

    Attributes
    ----------
    interval
        Length of an interval.
    grace
        Intervals of the grace period.
    spread
        When those start who follow the first strategy.
    otherwise
        The second strategy.
    stabilized
        Whether weights of the second strategy are stabilised.
    """

    interval: float
    grace: int
    spread: StartSpread
    otherwise: Otherwise
    stabilized: bool

    def intervals(self, times: StartTimes) -> int:
        """Return the number of intervals in which a start is looked at."""
        if self.otherwise == "never start":
            return max(self.grace, int(np.floor(times.durations.max() / self.interval)) + 1)
        return self.grace


@dataclass(frozen=True, slots=True, eq=False)
class CloneSpells:
    """Spells of clones, each of shape ``(m,)``; ``row`` is that of the patient."""

    row: IntArray
    start_within: BoolArray
    entry: FloatArray
    exit: FloatArray
    failed: BoolArray
    deviated: BoolArray
    weight: FloatArray


def clone_rows(
    data: pd.DataFrame,
    formula: str | None = None,
    *,
    grace: float,
    interval: float,
    visits: pd.DataFrame | None = None,
    spread: StartSpread = "as starters",
    otherwise: Otherwise = "no start within the grace period",
    stabilized: bool = True,
    start_col: str = "start_months",
    duration_col: str = "months",
    event_col: str = "event",
    patient_col: str = "patient_id",
    visit_time_col: str = "month",
) -> pd.DataFrame:
    """Lay out the clones of each patient in weighted spells; :func:`clone_censor_weight` says what the arguments are.

    Returns
    -------
    pandas.DataFrame
        The columns of ``data``, repeated for each spell, and ``strategy`` (``start within the grace period`` or that of
        ``otherwise``), ``start_within`` (1, 0), ``entry``, ``exit``, ``failed`` (0, 1), ``deviated`` (1 on the spell
        that ends because the patient no longer follows the strategy) and ``clone_weight``, by patient (text order),
        strategy and time. A patient who starts at time 0 has no time under the second strategy.

    Raises
    ------
    UsageError, AnalysisError
        As :func:`clone_censor_weight`; also when the model of starting has no finite estimate.

    Examples
    --------
    >>> frame = pd.DataFrame({"patient_id": ["a", "b"], "start_months": [5.0, None], "months": [9.0, 8.0],
    ...                       "event": [1, 0]})
    >>> rows = clone_rows(frame, grace=6, interval=6)
    >>> rows[["patient_id", "start_within", "entry", "exit", "clone_weight"]].to_numpy().tolist()
    [['a', 1, 0.0, 6.0, 1.0], ['a', 1, 6.0, 9.0, 2.0], ['a', 0, 0.0, 5.0, 1.0], ['b', 1, 0.0, 6.0, 1.0], \
['b', 0, 0.0, 6.0, 1.0], ['b', 0, 6.0, 8.0, 1.0]]
    """
    where = "clone_rows"
    times, strategies = checked(
        data, grace, interval, spread, otherwise, stabilized, start_col, duration_col, event_col, patient_col, where
    )
    spells = clone_spells(data, times, strategies, formula, visits, patient_col, visit_time_col, where)
    order = np.lexsort((spells.entry, ~spells.start_within, times.patients[spells.row]))
    values = (
        np.where(spells.start_within, START, otherwise)[order],
        *(
            column[order].astype(np.int64 if column.dtype == bool else np.float64)
            for column in (
                spells.start_within, spells.entry, spells.exit, spells.failed, spells.deviated, spells.weight
            )
        ),
    )  # fmt: skip
    return spell_frame(data, spells.row[order], dict(zip(CLONE_COLUMNS, values, strict=True)))


def checked(
    data: pd.DataFrame,
    grace: float,
    interval: float,
    spread: StartSpread,
    otherwise: Otherwise,
    stabilized: bool,
    start_col: str,
    duration_col: str,
    event_col: str,
    patient_col: str,
    where: str,
) -> tuple[StartTimes, Strategies]:
    """Check a request and read its columns."""
    check_choice(spread, SPREADS, where=f"{where}, spread")
    check_choice(otherwise, OTHERWISES, where=f"{where}, otherwise")
    intervals = whole_intervals(grace, interval, where=f"{where}, grace")
    refuse_taken(data, (*CLONE_COLUMNS, INTERVAL_START), where=where)
    times = start_times(
        data, start_col=start_col, duration_col=duration_col, event_col=event_col, patient_col=patient_col, where=where
    )
    return times, Strategies(
        interval=float(interval), grace=intervals, spread=spread, otherwise=otherwise, stabilized=stabilized
    )


def clone_spells(
    data: pd.DataFrame,
    times: StartTimes,
    strategies: Strategies,
    formula: str | None,
    visits: pd.DataFrame | None,
    patient_col: str,
    visit_time_col: str,
    where: str,
) -> CloneSpells:
    """Estimate the probabilities of starting, and lay out both clones of everybody."""
    count = strategies.intervals(times)
    found = decisions(
        data,
        times,
        interval=strategies.interval,
        count=count,
        visits=visits,
        patient_col=patient_col,
        visit_time_col=visit_time_col,
    )
    refuse_unknown(found.complete, times.patients[found.row], where=f"{where}, visits")
    hazards = start_hazards(found, formula, count=count, where=f"{where}, model of starting")
    remaining = Remaining.of(found, hazards, len(times))
    parts = (_starting(times, strategies, remaining), _otherwise(times, strategies, remaining))
    return CloneSpells(
        *(np.concatenate([getattr(part, name) for part in parts]) for name in CloneSpells.__dataclass_fields__)
    )


def spread_of(share: FloatArray) -> FloatArray:
    """Return the probability of starting in each interval of the grace period when a start by its end is certain.

    Parameters
    ----------
    share
        Shape ``(k,)``: of those who have not started, the share that does.

    Examples
    --------
    >>> spread_of(np.array([0.2, 0.25])).tolist()
    [0.5, 1.0]
    """
    mass = share * np.cumprod(np.append(1.0, 1.0 - share[:-1]))
    still = np.cumsum(mass[::-1])[::-1]
    return np.asarray(np.divide(mass, still, out=np.ones_like(mass), where=still > 0))


def start_weights(times: StartTimes, strategies: Strategies, hazards: StartHazards | Remaining) -> FloatArray:
    """Return the weights of the clones that are to start, shape ``(n, grace + 1)``: in each interval, and after."""
    grace = strategies.grace
    own = hazards.own[:, :grace]
    if strategies.spread == "as starters":
        target = np.tile(spread_of(hazards.share[:grace]), (len(own), 1))
    else:
        target = own.copy()
        target[:, -1] = 1.0
    begin = np.arange(grace) * strategies.interval
    starts = times.starts[:, None]
    starting = (starts >= begin) & (starts < begin + strategies.interval)
    waiting = starts >= begin + strategies.interval
    # Without hazard nobody could start there any more, as after the event: no factor.
    at_start = np.divide(target, own, out=np.ones_like(own), where=own > 0)
    at_wait = np.divide(1.0 - target, 1.0 - own, out=np.ones_like(own), where=own < 1)
    factor = np.where(starting, at_start, np.where(waiting, at_wait, 1.0))
    return np.asarray(np.hstack([np.ones((len(own), 1)), np.cumprod(factor, axis=1)]))


def _starting(times: StartTimes, strategies: Strategies, remaining: Remaining) -> CloneSpells:
    deadline = strategies.grace * strategies.interval
    deviating = (times.starts >= deadline) & (times.durations > deadline)
    end = np.where(deviating, deadline, times.durations)
    weights = start_weights(times, strategies, remaining)
    return _spells(times, strategies, end, deviating, weights, start_within=True)


def _otherwise(times: StartTimes, strategies: Strategies, remaining: Remaining) -> CloneSpells:
    deadline = np.inf if strategies.otherwise == "never start" else strategies.grace * strategies.interval
    deviating = times.starts < deadline
    end = np.where(deviating, times.starts, times.durations)
    weights = remaining.not_started(stabilized=strategies.stabilized)
    return _spells(times, strategies, end, deviating, weights, start_within=False)


def _spells(
    times: StartTimes,
    strategies: Strategies,
    end: FloatArray,
    deviating: BoolArray,
    weights: FloatArray,
    *,
    start_within: bool,
) -> CloneSpells:
    """Cut each clone at the ends of intervals, where weights change; spells without weight are left out."""
    edges = np.append(np.arange(weights.shape[1]) * strategies.interval, np.inf)
    row, number = np.nonzero(end[:, None] > edges[:-1])
    leave = np.minimum(end[row], edges[number + 1])
    last = end[row] <= edges[number + 1]
    kept = weights[row, number] > 0
    own, final = row[kept].astype(np.intp), last[kept]
    return CloneSpells(
        row=own,
        start_within=np.full(len(own), start_within),
        entry=edges[number[kept]],
        exit=leave[kept],
        failed=final & times.events[own] & ~deviating[own],
        deviated=final & deviating[own],
        weight=weights[own, number[kept]],
    )
