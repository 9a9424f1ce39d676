"""Transitions between states: their probabilities from a later origin, and how often they happen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import gammaincinv

from analyses.columns import require_probability
from analyses.kernels import multi_state as kernel
from analyses.kernels.probability_interval import IntervalScale
from analyses.longitudinal.occupancy_curves import (
    check_interval,
    occupancy_curve,
    repeated,
    report_times,
    spec,
    state_rows,
)
from analyses.spell_rows import SpellColumns, StateSpells, state_spells
from cohort.errors import AnalysisError, UsageError
from cohort.results import ResultTable, result_table

FloatArray = NDArray[np.float64]
TransitionMethod = Literal["aalen-johansen", "landmark"]

NOBODY = "nobody is observed in this state at the start time"


def transition_probabilities(
    data: pd.DataFrame,
    *,
    start_time: float = 0.0,
    subject_col: str = "patient_id",
    start_col: str = "start",
    stop_col: str = "stop",
    from_col: str = "from_state",
    to_col: str = "to_state",
    by: str | None = None,
    weights_col: str | None = None,
    times: Sequence[float] | None = None,
    method: TransitionMethod = "aalen-johansen",
    conf_type: IntervalScale = "log-log",
    conf_level: float = 0.95,
) -> ResultTable:
    """Estimate the probability of being in each state later, given the state at ``start_time``.

    Parameters
    ----------
    data, subject_col, start_col, stop_col, from_col, to_col, by, weights_col, conf_type, conf_level
        As in :func:`state_occupancy`.
    start_time
        Time at which the state is given, from 0. A transition at that very time has happened.
    times
        Times to report at, increasing and above ``start_time``; every distinct later stop of the group when left out.
    method
        ``aalen-johansen`` uses every patient at risk after ``start_time`` and assumes that only the present state
        matters (Markov). ``landmark`` uses only the patients observed in the given state at ``start_time``, and needs
        no such assumption, at the price of precision.

    Returns
    -------
    ResultTable
        ``statistic="transition_probability"``, one row per ``group``, pair of states (``term``, "NR to CR"; states
        that nobody leaves are no origins) and ``time``. ``estimate, std_error, conf_low, conf_high`` as in
        :func:`state_occupancy`; ``n`` the weight in the first state just after ``start_time``, ``n_events`` the
        weight arriving in the second since the row before, among the patients used. A state in which nobody is
        observed at ``start_time`` has one row per pair, without a time, whose ``note`` says so.

    Raises
    ------
    AnalysisError, UsageError
        As :func:`state_occupancy`; also for a negative ``start_time`` or an unknown ``method``.

    References
    ----------
    Aalen and Johansen (1978), Scandinavian Journal of Statistics 5:141-150. Putter and Spitoni (2018),
    doi:10.1177/0962280216674497, for the landmark method.

    Examples
    --------
    >>> rows = pd.DataFrame({"patient_id": ["a", "a", "b"], "start": [0, 6, 0], "stop": [6, 12, 12],
    ...                      "from_state": ["NR", "CR", "NR"], "to_state": ["CR", "CR", "NR"]})
    >>> table = transition_probabilities(rows, times=[6.0]).frame
    >>> table[["term", "estimate"]].to_numpy().tolist()[2:]
    [['NR to CR', 0.5], ['NR to NR', 0.5]]
    """
    where = "transition_probabilities"
    columns = SpellColumns(subject_col, start_col, stop_col, from_col, to_col)
    check_interval(conf_type, conf_level, where)
    if method not in ("aalen-johansen", "landmark"):
        raise UsageError(
            "unknown method", where=f"{where}, method", got=repr(method), remedy="use aalen-johansen or landmark"
        )
    if not (math.isfinite(start_time) and start_time >= 0):
        raise UsageError("must be a number from 0", where=f"{where}, start_time", got=str(start_time))
    grid = report_times(times, after=start_time, where=where)
    spells = state_spells(data, columns, by=by, weights_col=weights_col, where=where)
    origins = np.unique(spells.sources)
    parts = []
    for level in spells.levels:
        for origin in origins:
            part = _from_state(spells, level, int(origin), start_time, method, grid, (conf_type, conf_level))
            parts.append(part.assign(group=repeated(level, len(part))))
    named = "landmark Aalen-Johansen" if method == "landmark" else "Aalen-Johansen"
    return result_table(
        pd.concat(parts, ignore_index=True),
        metadata={
            "spec": spec(
                where,
                columns,
                by=by,
                weights_col=weights_col,
                times=times,
                conf_type=conf_type,
                method=method,
                start_time=float(start_time),
            )
        },
        analysis="longitudinal",
        statistic="transition_probability",
        conf_level=conf_level,
        method=f"{named}, infinitesimal-jackknife variance, {conf_type} interval",
    )


def _from_state(
    spells: StateSpells,
    level: str | None,
    origin: int,
    start_time: float,
    method: TransitionMethod,
    grid: FloatArray | None,
    interval: tuple[IntervalScale, float],
) -> pd.DataFrame:
    """Rows of one group and one given state."""
    members = spells.of_group(level)
    members = members[spells.stops[members] > start_time]
    there = members[(spells.starts[members] <= start_time) & (spells.sources[members] == origin)]
    pairs = [f"{spells.states[origin]} to {state}" for state in spells.states]
    if not len(there):
        return pd.DataFrame({"term": pd.array(pairs, dtype="string"), "note": repeated(NOBODY, len(pairs))})
    if method == "landmark":
        members = members[np.isin(spells.subjects[members], spells.subjects[there])]
    rows, destinations = spells.kernel_rows(members)
    given = np.eye(len(spells.states))[origin]
    occupancy = kernel.state_occupancy(rows, destinations, n_states=len(spells.states), initial=given)
    curve = occupancy_curve(occupancy, rows, grid, begin=None)
    size = float(spells.weights[there].sum())
    return pd.concat(
        [state_rows(curve, place, *interval).assign(term=pair, n=size) for place, pair in enumerate(pairs)],
        ignore_index=True,
    )


def transition_counts(
    data: pd.DataFrame,
    *,
    subject_col: str = "patient_id",
    start_col: str = "start",
    stop_col: str = "stop",
    from_col: str = "from_state",
    to_col: str = "to_state",
    by: str | None = None,
    conf_level: float = 0.95,
) -> ResultTable:
    """Count transitions between states and divide them by the time under observation in the first.

    Parameters
    ----------
    data, subject_col, start_col, stop_col, from_col, to_col, by
        As in :func:`analyses.longitudinal.state_occupancy`.
    conf_level
        Coverage of the intervals of the rates.

    Returns
    -------
    ResultTable
        Two rows per ``group`` and ordered pair of states (``term``, "NR to CR") whose first is one that somebody is
        observed in: ``transition_count`` and ``transition_rate``, per unit of time, with the exact Poisson interval
        (``std_error`` the root of the count over the time). ``n`` patients observed in the first state, ``n_events``
        the count. A group in which nobody is observed in the state has a rate without estimate and a ``note``.

    Raises
    ------
    AnalysisError, UsageError
        As :func:`analyses.longitudinal.state_occupancy`; also when there is a single state.

    References
    ----------
    Garwood (1936), doi:10.1093/biomet/28.3-4.437, for the interval.

    Examples
    --------
    >>> rows = pd.DataFrame({"patient_id": ["a", "a", "b"], "start": [0, 6, 0], "stop": [6, 12, 12],
    ...                      "from_state": ["NR", "CR", "NR"], "to_state": ["CR", "CR", "NR"]})
    >>> transition_counts(rows).frame[["term", "statistic", "estimate"]].iloc[2:].round(4).to_numpy().tolist()
    [['NR to CR', 'transition_count', 1.0], ['NR to CR', 'transition_rate', 0.0556]]
    """
    where = "transition_counts"
    columns = SpellColumns(subject_col, start_col, stop_col, from_col, to_col)
    require_probability(conf_level, "conf_level")
    spells = state_spells(data, columns, by=by, weights_col=None, where=where)
    if len(spells.states) < 2:
        raise AnalysisError(
            "a transition needs two states",
            where=f"{where}, columns {from_col}, {to_col}",
            got=f"only {spells.states[0]}",
            remedy="check how the data were filtered",
        )
    rows = []
    for level in spells.levels:
        members = spells.of_group(level)
        for source in np.unique(spells.sources):
            own = members[spells.sources[members] == source]
            time = float((spells.stops[own] - spells.starts[own]).sum())
            for target in np.flatnonzero(np.arange(len(spells.states)) != source):
                shared: dict[str, object] = {
                    "group": level,
                    "term": f"{spells.states[source]} to {spells.states[target]}",
                    "n": float(len(np.unique(spells.subjects[own]))),
                }
                count = int(np.count_nonzero(spells.destinations[own] == target))
                rows += [shared | row for row in _count_rows(count, time, conf_level)]
    return result_table(
        rows, metadata={"spec": spec(where, columns, by=by, conf_level=conf_level)}, analysis="longitudinal"
    )


def _count_rows(count: int, time: float, conf_level: float) -> list[dict[str, object]]:
    counted = {"statistic": "transition_count", "estimate": float(count), "n_events": float(count), "method": "count"}
    rate: dict[str, object] = {
        "statistic": "transition_rate",
        "conf_level": conf_level,
        "n_events": float(count),
        "method": "transitions over time observed in the first state, exact Poisson interval",
    }
    if time == 0:
        return [counted, rate | {"note": "nobody is observed in the first state"}]
    tail = (1 - conf_level) / 2
    return [
        counted,
        rate
        | {
            "estimate": count / time,
            "std_error": math.sqrt(count) / time,
            "conf_low": float(gammaincinv(count, tail)) / time if count else 0.0,
            "conf_high": float(gammaincinv(count + 1, 1 - tail)) / time,
        },
    ]
