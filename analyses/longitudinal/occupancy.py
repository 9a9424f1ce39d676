"""State occupancy over time and mean time in each state."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtr

from analyses.columns import require_probability
from analyses.kernels import multi_state as kernel
from analyses.kernels.probability_interval import IntervalScale, normal_quantile
from analyses.longitudinal.occupancy_curves import (
    at_rest,
    check_interval,
    occupancy_curve,
    repeated,
    report_times,
    spec,
    state_rows,
)
from analyses.spell_rows import SpellColumns, StateSpells, state_spells
from cohort.errors import AnalysisError
from cohort.results import ResultTable, result_table

FloatArray = NDArray[np.float64]

NO_SPREAD = "nobody differs in the time spent here: the standard error is zero"


def state_occupancy(
    data: pd.DataFrame,
    *,
    subject_col: str = "patient_id",
    start_col: str = "start",
    stop_col: str = "stop",
    from_col: str = "from_state",
    to_col: str = "to_state",
    by: str | None = None,
    weights_col: str | None = None,
    times: Sequence[float] | None = None,
    conf_type: IntervalScale = "log-log",
    conf_level: float = 0.95,
) -> ResultTable:
    """Estimate the probability of being in each state over time (Aalen-Johansen).

    Parameters
    ----------
    data
        One row per spell of a patient in a state, for instance of :func:`analyses.longitudinal.response_history`.
    subject_col
        Patient; rows of one patient do not overlap, and each starts in the state in which the one before ended.
    start_col, stop_col
        Ends of the spell, numbers from 0 in any one unit; at risk at ``t`` when start < t <= stop. A patient who is
        first seen later (left truncation) or is away for a while has no row for that time.
    from_col, to_col
        State during the spell, and state entered at its stop: the same when the spell only ends, by censoring or
        because another row goes on. An ordered categorical gives the order of the states, else they are sorted.
    by
        Column whose levels are estimated apart, in sorted order; constant within a patient.
    weights_col
        Positive weights.
    times
        Times to report at, increasing; every distinct stop of the group when left out.
    conf_type, conf_level
        Scale and coverage of the pointwise interval, as for :func:`analyses.survival.kaplan_meier`.

    Returns
    -------
    ResultTable
        ``statistic="state_probability"``, one row per ``group``, state (``term``) and ``time``, time 0 first.
        ``estimate`` the probability of being in the state just after ``time``, ``std_error``, ``conf_low, conf_high``;
        ``n`` the weight at risk in the state just before ``time`` (at time 0, that starts in it) and ``n_events`` the
        weight arriving in it since the row before; ``note`` where there is no estimate (after the last time observed)
        or no interval. The probabilities of a group and time sum to 1.

    Raises
    ------
    AnalysisError
        As :func:`analyses.spell_rows.state_spells`; naming the patients whose rows contradict each other.
    UsageError
        ``times`` not increasing from 0, an unknown ``conf_type`` or a ``conf_level`` out of range.

    Notes
    -----
    The estimate holds for a process that is not Markov as well, when censoring is independent of it. Standard errors
    are the infinitesimal jackknife over patients and count the sampling of the initial distribution, which is that of
    the patients at risk at the first transition (with delayed entry there may be few of them). Transitions at
    one time share the risk sets just before it; without any transition the initial distribution stays.

    References
    ----------
    Aalen and Johansen (1978), Scandinavian Journal of Statistics 5:141-150. Datta and Satten (2001),
    doi:10.1016/S0167-7152(01)00155-9.

    Examples
    --------
    >>> rows = pd.DataFrame({"patient_id": ["a", "a", "b"], "start": [0, 6, 0], "stop": [6, 12, 12],
    ...                      "from_state": ["NR", "CR", "NR"], "to_state": ["CR", "CR", "NR"]})
    >>> table = state_occupancy(rows, times=[6.0]).frame
    >>> table[["term", "time", "estimate"]].to_numpy().tolist()
    [['CR', 0.0, 0.0], ['CR', 6.0, 0.5], ['NR', 0.0, 1.0], ['NR', 6.0, 0.5]]
    """
    where = "state_occupancy"
    columns = SpellColumns(subject_col, start_col, stop_col, from_col, to_col)
    check_interval(conf_type, conf_level, where)
    grid = report_times(times, after=0.0, where=where)
    spells = state_spells(data, columns, by=by, weights_col=weights_col, where=where)
    parts = []
    for level in spells.levels:
        rows, destinations = spells.kernel_rows(spells.of_group(level))
        occupancy = kernel.state_occupancy(rows, destinations, n_states=len(spells.states))
        curve = occupancy_curve(occupancy, rows, grid, begin=0.0)
        for place, state in enumerate(spells.states):
            part = state_rows(curve, place, conf_type, conf_level)
            parts.append(part.assign(group=repeated(level, len(part)), term=repeated(state, len(part))))
    return result_table(
        pd.concat(parts, ignore_index=True),
        metadata={"spec": spec(where, columns, by=by, weights_col=weights_col, times=times, conf_type=conf_type)},
        analysis="longitudinal",
        statistic="state_probability",
        conf_level=conf_level,
        method=f"Aalen-Johansen, infinitesimal-jackknife variance, {conf_type} interval",
    )


def mean_time_in_state(
    data: pd.DataFrame,
    *,
    tau: float,
    subject_col: str = "patient_id",
    start_col: str = "start",
    stop_col: str = "stop",
    from_col: str = "from_state",
    to_col: str = "to_state",
    by: str | None = None,
    weights_col: str | None = None,
    conf_level: float = 0.95,
) -> ResultTable:
    """Estimate the mean time spent in each state from 0 to ``tau``: the area under its occupancy curve.

    Parameters
    ----------
    data, subject_col, start_col, stop_col, from_col, to_col, by, weights_col
        As in :func:`state_occupancy`.
    tau
        Horizon, above zero, in the unit of the times. Every group is observed that far, or has come to rest in states
        that nobody is observed to leave. Nothing is extrapolated.
    conf_level
        Coverage of the intervals.

    Returns
    -------
    ResultTable
        ``time`` is ``tau``. One row ``statistic="mean_time_in_state"`` per group and state (``term``), whose estimates
        sum to ``tau``, then for each level but the first, which is the reference, rows
        ``mean_time_in_state_difference`` with ``contrast`` "level v reference" and ``p_value`` of a Wald test.
        ``n`` patients, ``n_events`` unweighted arrivals in the state up to ``tau``; ``note`` where a standard error
        is zero.

    Raises
    ------
    AnalysisError
        As :func:`state_occupancy`, and for a ``tau`` not above zero or beyond what a group supports.

    References
    ----------
    Andersen (2013), doi:10.1002/sim.5903, for mean time lost to a state.

    Examples
    --------
    >>> rows = pd.DataFrame({"patient_id": ["a", "a", "b"], "start": [0, 6, 0], "stop": [6, 12, 12],
    ...                      "from_state": ["NR", "CR", "NR"], "to_state": ["CR", "CR", "NR"]})
    >>> mean_time_in_state(rows, tau=12).frame[["term", "estimate"]].to_numpy().tolist()
    [['CR', 3.0], ['NR', 9.0]]
    """
    where = "mean_time_in_state"
    columns = SpellColumns(subject_col, start_col, stop_col, from_col, to_col)
    require_probability(conf_level, "conf_level")
    if not (math.isfinite(tau) and tau > 0):
        raise AnalysisError("tau must be above zero", where=f"{where}, tau", got=str(tau), remedy="name a horizon")
    spells = state_spells(data, columns, by=by, weights_col=weights_col, where=where)
    groups = [_mean_times(spells, level, float(tau), where) for level in spells.levels]
    rows = [row for group in groups for row in _group_rows(group, spells.states, conf_level)]
    for group in groups[1:]:
        rows += _difference_rows(group, groups[0], spells.states, conf_level)
    return result_table(
        rows,
        metadata={"spec": spec(where, columns, by=by, weights_col=weights_col, tau=float(tau))},
        analysis="longitudinal",
        time=float(tau),
        conf_level=conf_level,
        method="area under the Aalen-Johansen curve, infinitesimal-jackknife variance",
    )


@dataclass(frozen=True, slots=True)
class _MeanTimes:
    """Mean times of one group; arrays of shape ``(s,)``."""

    level: str | None
    means: FloatArray
    errors: FloatArray
    arrivals: FloatArray
    n: float


def _mean_times(spells: StateSpells, level: str | None, tau: float, where: str) -> _MeanTimes:
    rows, destinations = spells.kernel_rows(spells.of_group(level))
    size = len(spells.states)
    occupancy = kernel.state_occupancy(rows, destinations, n_states=size, horizon=tau)
    if tau > occupancy.times[-1] and not at_rest(occupancy, rows):
        raise AnalysisError(
            "tau lies beyond the last observed time",
            where=f"{where}, tau" if level is None else f"{where}, tau, group {level!r}",
            got=f"tau={tau:g}, last time {occupancy.times[-1]:g}",
            remedy="choose a tau that every group reaches",
        )
    came = rows.happens & (rows.stops <= tau)
    arrivals = np.bincount(destinations[came], minlength=size).astype(np.float64)
    return _MeanTimes(level, occupancy.mean_time, occupancy.mean_time_std_error, arrivals, float(rows.n_subjects))


def _group_rows(group: _MeanTimes, states: tuple[str, ...], conf_level: float) -> list[dict[str, object]]:
    quantile = normal_quantile(conf_level)
    return [
        {
            "group": group.level,
            "statistic": "mean_time_in_state",
            "term": state,
            "estimate": mean,
            "std_error": error,
            "conf_low": mean - quantile * error,
            "conf_high": mean + quantile * error,
            "n": group.n,
            "n_events": arrivals,
            "note": None if error else NO_SPREAD,
        }
        for state, mean, error, arrivals in zip(states, group.means, group.errors, group.arrivals, strict=True)
    ]


def _difference_rows(
    group: _MeanTimes, reference: _MeanTimes, states: tuple[str, ...], conf_level: float
) -> list[dict[str, object]]:
    quantile = normal_quantile(conf_level)
    rows: list[dict[str, object]] = []
    for place, state in enumerate(states):
        difference = float(group.means[place] - reference.means[place])
        error = math.hypot(group.errors[place], reference.errors[place])
        rows.append(
            {
                "contrast": f"{group.level} v {reference.level}",
                "statistic": "mean_time_in_state_difference",
                "term": state,
                "estimate": difference,
                "std_error": error,
                "conf_low": difference - quantile * error,
                "conf_high": difference + quantile * error,
                "p_value": 2 * float(ndtr(-abs(difference) / error)) if error else math.nan,
                "n": group.n + reference.n,
                "n_events": float(group.arrivals[place] + reference.arrivals[place]),
                "note": None if error else NO_SPREAD,
            }
        )
    return rows
