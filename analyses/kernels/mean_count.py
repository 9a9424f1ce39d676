"""Mean number of recurrent events by time: Nelson-Aalen-type estimate with infinitesimal-jackknife errors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analyses.kernels.grouped_sums import FloatArray, sum_by
from analyses.kernels.kaplan_meier import BoolArray
from analyses.kernels.spells import Spells, walk


@dataclass(frozen=True, slots=True)
class MeanCount:
    """Mean number of events per subject; arrays of shape ``(k,)``.

    Attributes
    ----------
    times
        The distinct times at which a row ends, increasing.
    at_risk, events
        Weight at risk just before, and weight of events at, each time.
    mean, std_error
        Mean number of events up to and including each time, and its standard error.
    """

    times: FloatArray
    at_risk: FloatArray
    events: FloatArray
    mean: FloatArray
    std_error: FloatArray


def mean_count(spells: Spells, events: BoolArray, *, deaths: BoolArray | None = None) -> MeanCount:
    """Estimate the mean cumulative number of events.

    Parameters
    ----------
    spells
        Rows at risk, all in state 0; something happens where an event or a death ends the row.
    events
        Shape ``(n,)``: whether the row ends in an event.
    deaths
        Shape ``(n,)``: whether it ends in death, after which nothing can happen. None when nobody dies, or deaths are
        to count as censoring.

    Notes
    -----
    Without deaths the mean is the running sum of events over numbers at risk. With deaths each summand is multiplied
    by the Kaplan-Meier probability of being alive just before. Rows at one time share the risk set just before it.
    The variance is the sum over subjects of their squared influence.

    References
    ----------
    Lawless and Nadeau (1995), doi:10.1080/00401706.1995.10484300. Ghosh and Lin (2000),
    doi:10.1111/j.0006-341X.2000.00554.x, with deaths.

    Examples
    --------
    >>> spells = Spells(np.array([0.0, 1.0, 0.0]), np.array([1.0, 3.0, 2.0]), np.array([0, 0, 1]),
    ...                 np.zeros(3, dtype=np.intp), np.array([True, True, False]), np.ones(3), 2)
    >>> mean_count(spells, np.array([True, True, False])).mean.tolist()
    [0.5, 0.5, 1.5]
    """
    times, stop_index = np.unique(spells.stops, return_inverse=True)
    failing = sum_by(stop_index, spells.weights * events, len(times))
    moments = np.unique(spells.stops[spells.happens])
    mean, errors = np.zeros(len(moments) + 1), np.zeros(len(moments) + 1)
    alive, influence = 1.0, np.zeros(spells.n_subjects)
    alive_influence = np.zeros(spells.n_subjects)
    for place, moment in enumerate(walk(spells)):
        here = np.flatnonzero(moment.state == 0)
        total = moment.weight[here].sum()
        rate, own = _increment(spells, moment.rows[events[moment.rows]], here, moment.weight, total)
        mean[place + 1] = mean[place] + alive * rate
        influence += alive_influence * rate + alive * own
        if deaths is not None:
            dying = moment.rows[deaths[moment.rows]]
            hazard, own = _increment(spells, dying, here, moment.weight, total)
            alive_influence = alive_influence * (1 - hazard) - alive * own
            alive = alive * (1 - hazard) if len(dying) < len(here) else 0.0
        errors[place + 1] = np.sqrt(np.sum(influence**2))
    shown = np.searchsorted(moments, times, side="right")
    return MeanCount(times, spells.at_risk(times, 1)[:, 0], failing, mean[shown], errors[shown])


def _increment(
    spells: Spells, rows: np.ndarray, here: np.ndarray, weight: FloatArray, total: float
) -> tuple[float, FloatArray]:
    """Weight of the rows over the weight at risk, and each subject's influence on that."""
    own = np.zeros(spells.n_subjects)
    if not len(rows):
        return 0.0, own
    rate = float(spells.weights[rows].sum() / total)
    own[here] = -weight[here] * rate / total
    own[spells.subjects[rows]] += spells.weights[rows] / total
    return rate, own
