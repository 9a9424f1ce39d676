"""Spells under observation of subjects who may have several, walked through the times at which something happens."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from analyses.kernels.grouped_sums import FloatArray, IntArray, sum_by


@dataclass(frozen=True, slots=True)
class Spells:
    """Rows of subjects at risk; ``n`` rows of ``m`` subjects, who have at most one row at a time.

    Attributes
    ----------
    starts, stops
        Shape ``(n,)``, start below stop: a row is at risk at ``t`` when start < t <= stop.
    subjects
        Shape ``(n,)``, from 0 to ``n_subjects - 1``.
    states
        Shape ``(n,)``: the state a row is spent in, from 0.
    happens
        Shape ``(n,)``: whether something happens at the stop.
    weights
        Shape ``(n,)``, positive.
    n_subjects
        How many subjects there are.
    """

    starts: FloatArray
    stops: FloatArray
    subjects: IntArray
    states: IntArray
    happens: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]
    weights: FloatArray
    n_subjects: int

    def at_risk(self, times: FloatArray, n_states: int) -> FloatArray:
        """Sum the weight at risk in each state just before each of the increasing ``times``, shape ``(k, s)``."""
        entered = self._cumulated(np.searchsorted(times, self.starts, side="right"), len(times), n_states)
        left = self._cumulated(np.searchsorted(times, self.stops, side="right"), len(times), n_states)
        return entered - left

    def _cumulated(self, first: IntArray, size: int, n_states: int) -> FloatArray:
        cell = np.minimum(first, size) * n_states + self.states
        summed = sum_by(cell, self.weights, (size + 1) * n_states).reshape(size + 1, n_states)
        return np.asarray(np.cumsum(summed[:-1], axis=0))


@dataclass(frozen=True, slots=True)
class Moment:
    """One time at which something happens.

    Attributes
    ----------
    time
        The time.
    state, weight
        Shape ``(m,)``: of each subject, the state it is at risk in (-1 when not at risk) and its weight. They are
        views that change as the walk goes on.
    rows
        Rows at whose stop something happens.
    """

    time: float
    state: IntArray
    weight: FloatArray
    rows: IntArray


def walk(spells: Spells) -> Iterator[Moment]:
    """Yield the distinct times at which something happens, in order, with who is then at risk and where."""
    by_start, by_stop = np.argsort(spells.starts, kind="stable"), np.argsort(spells.stops, kind="stable")
    starts, stops = spells.starts[by_start], spells.stops[by_stop]
    happening = by_stop[spells.happens[by_stop]]
    times, first = np.unique(spells.stops[happening], return_index=True)
    left = np.searchsorted(stops, times, side="left")
    begun = np.searchsorted(starts, times, side="left")
    state = np.full(spells.n_subjects, -1, dtype=np.intp)
    weight = np.zeros(spells.n_subjects)
    was_left = was_begun = 0
    for place, time in enumerate(times):
        state[spells.subjects[by_stop[was_left : left[place]]]] = -1
        new = by_start[was_begun : begun[place]]
        new = new[spells.stops[new] >= time]
        state[spells.subjects[new]] = spells.states[new]
        weight[spells.subjects[new]] = spells.weights[new]
        was_left, was_begun = left[place], begun[place]
        end = first[place + 1] if place + 1 < len(first) else len(happening)
        yield Moment(float(time), state, weight, happening[first[place] : end])
