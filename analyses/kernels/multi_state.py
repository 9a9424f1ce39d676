"""Occupancy of the states of a process observed in spells: Aalen-Johansen with infinitesimal-jackknife errors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analyses.kernels.grouped_sums import FloatArray, IntArray, sum_by
from analyses.kernels.spells import Spells, walk


@dataclass(frozen=True, slots=True)
class StateOccupancy:
    """Probability of being in each state; ``k`` times, ``s`` states.

    Attributes
    ----------
    times
        Shape ``(k,)``: the distinct times at which a row ends, increasing.
    at_risk, arrivals
        Shape ``(k, s)``: weight at risk in each state just before, and arriving in each state at, each time.
    probability, std_error
        Shape ``(k, s)``: probability of being in each state just after each time, and its standard error.
    initial, initial_std_error
        Shape ``(s,)``: the distribution before the first transition.
    mean_time, mean_time_std_error
        Shape ``(s,)``: expected time spent in each state from the origin to the horizon; NaN without a horizon.
    """

    times: FloatArray
    at_risk: FloatArray
    arrivals: FloatArray
    probability: FloatArray
    std_error: FloatArray
    initial: FloatArray
    initial_std_error: FloatArray
    mean_time: FloatArray
    mean_time_std_error: FloatArray


def state_occupancy(
    spells: Spells,
    destinations: IntArray,
    *,
    n_states: int,
    initial: FloatArray | None = None,
    origin: float = 0.0,
    horizon: float | None = None,
) -> StateOccupancy:
    """Estimate the probability of being in each state as the running product of transition matrices.

    Parameters
    ----------
    spells
        Rows at risk. Something happens at the stop of a row where its destination differs from its state.
    destinations
        Shape ``(n,)``: the state entered at the stop, the row's own state where nothing happens.
    n_states
        Number of states.
    initial
        Shape ``(s,)``: distribution at the origin, taken as known. None takes that of the subjects at risk at the
        first transition and counts its sampling in the standard errors.
    origin, horizon
        Where mean times in state begin and end. Transitions before the origin are not left out.

    Notes
    -----
    At each time every transition out of a state shares the risk set of that state just before it; rows that end
    without a transition at that time leave after it. So neither ties nor the order of rows matter.

    A subject's influence on the probabilities is carried through the same product: it is multiplied by the matrix of
    each time and gains what the subject's own transition (or staying) adds to that matrix. The variance is the sum
    over subjects of their squared influences, so it holds for subjects with several rows and for weights, and does
    not ask that the process be Markov: occupancy probabilities are consistent without it when censoring does not
    depend on the state.

    Cost: time points times subjects.

    References
    ----------
    Aalen and Johansen (1978), Scandinavian Journal of Statistics 5:141-150. Datta and Satten (2001),
    doi:10.1016/S0167-7152(01)00155-9, for occupancy without the Markov property.

    Examples
    --------
    >>> spells = Spells(np.zeros(2), np.array([1.0, 2.0]), np.arange(2), np.zeros(2, dtype=np.intp),
    ...                 np.array([True, False]), np.ones(2), 2)
    >>> state_occupancy(spells, np.array([1, 0]), n_states=2).probability.tolist()
    [[0.5, 0.5], [0.5, 0.5]]
    """
    times, stop_index = np.unique(spells.stops, return_inverse=True)
    at_risk = spells.at_risk(times, n_states)
    moved = spells.happens
    cell = stop_index[moved] * n_states + destinations[moved]
    arrivals = sum_by(cell, spells.weights[moved], len(times) * n_states).reshape(len(times), n_states)

    known = initial is not None
    if initial is None:
        probability, influence = _starting(spells, times, n_states)
    else:
        probability, influence = initial.astype(np.float64), np.zeros((spells.n_subjects, n_states))
    begin, begin_error = probability, np.sqrt((influence**2).sum(axis=0))
    end = np.inf if horizon is None else horizon
    area, area_influence, last = np.zeros(n_states), np.zeros_like(influence), origin

    moments = np.unique(spells.stops[moved])
    curve = np.empty((len(moments) + 1, n_states))
    errors = np.empty_like(curve)
    curve[0], errors[0] = begin, begin_error
    for place, moment in enumerate(walk(spells)):
        if last < end:
            width = min(moment.time, end) - last
            area = area + width * probability
            area_influence += width * influence
            last = min(moment.time, end)
        probability, influence = _step(
            moment.state, moment.weight, moment.rows, spells, destinations, probability, influence
        )
        curve[place + 1] = probability
        errors[place + 1] = np.sqrt((influence**2).sum(axis=0))
    if horizon is None:
        mean_time = mean_error = np.full(n_states, np.nan)
    else:
        mean_time = area + (end - last) * probability
        mean_error = np.sqrt(((area_influence + (end - last) * influence) ** 2).sum(axis=0))
    shown = np.searchsorted(moments, times, side="right")
    return StateOccupancy(
        times=times,
        at_risk=at_risk,
        arrivals=arrivals,
        probability=curve[shown],
        std_error=errors[shown],
        initial=begin,
        initial_std_error=np.zeros(n_states) if known else begin_error,
        mean_time=mean_time,
        mean_time_std_error=mean_error,
    )


def _starting(spells: Spells, times: FloatArray, n_states: int) -> tuple[FloatArray, FloatArray]:
    """Distribution over states of the weight at risk at the first transition, and the subjects' influence on it."""
    first = spells.stops[spells.happens].min() if spells.happens.any() else times[-1]
    there = np.flatnonzero((spells.starts < first) & (spells.stops >= first))
    weight = spells.weights[there]
    total = weight.sum()
    share = sum_by(spells.states[there], weight, n_states) / total
    influence = np.zeros((spells.n_subjects, n_states))
    own = np.zeros((len(there), n_states))
    own[np.arange(len(there)), spells.states[there]] = 1.0
    influence[spells.subjects[there]] = weight[:, None] * (own - share) / total
    return share, influence


def _step(
    state: IntArray,
    weight: FloatArray,
    rows: IntArray,
    spells: Spells,
    destinations: IntArray,
    probability: FloatArray,
    influence: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Carry probabilities and influences over one time; the influences are changed in place."""
    size = len(probability)
    sources = spells.states[rows]
    after = probability.copy()
    # Influences before this time, of the states left now: the update of one state must not feed that of another.
    leaving = np.unique(sources)
    before = influence[:, leaving].copy()
    for column, source in enumerate(leaving):
        own = rows[sources == source]
        here = np.flatnonzero(state == source)
        total = weight[here].sum()
        mass = spells.weights[own]
        hazard = sum_by(destinations[own], mass, size) / total
        # Everyone leaves: the share that stays is zero, not a rounding error.
        hazard[source] = -1.0 if len(own) == len(here) else -(mass.sum() / total)
        after += probability[source] * hazard
        touched = np.flatnonzero(hazard)
        influence[:, touched] += before[:, column, None] * hazard[touched]
        scale = probability[source] / total
        influence[np.ix_(here, touched)] -= scale * weight[here, None] * hazard[touched]
        who = spells.subjects[own]
        influence[who, destinations[own]] += scale * mass
        influence[who, source] -= scale * mass
        if len(own) == len(here) and not (destinations[rows] == source).any():
            after[source] = 0.0
    return after, influence
