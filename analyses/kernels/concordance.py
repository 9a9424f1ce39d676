"""Concordance of a prognostic score with survival, with its infinitesimal-jackknife standard error."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from analyses.kernels.compiled import compiled
from analyses.kernels.grouped_sums import FloatArray, IntArray, sum_by
from analyses.kernels.kaplan_meier import BoolArray

COMPILED_FROM = 3_000
"""Rows from which pairs are counted in trees by compiled code rather than one by one in array operations."""


@dataclass(frozen=True, slots=True)
class Concordance:
    """Share of comparable pairs in which the higher score fails first, ties of the score counting one half.

    Attributes
    ----------
    estimate, std_error
        NaN when no pair is comparable.
    concordant, discordant, tied_score
        Numbers (sums of products of weights) of comparable pairs.
    tied_time, tied_both
        Pairs of events at the same time, which are not compared, without and with a tie of the score.
    """

    estimate: float
    std_error: float
    concordant: float
    discordant: float
    tied_score: float
    tied_time: float
    tied_both: float


def concordance(
    score: FloatArray,
    durations: FloatArray,
    events: BoolArray,
    *,
    weights: FloatArray | None = None,
    entries: FloatArray | None = None,
    strata: IntArray | None = None,
    clusters: IntArray | None = None,
) -> Concordance:
    """Compare every event with those still at risk beyond it in its stratum.

    A row censored at the time of an event outlives it; two events at one time are not compared; a row that enters at
    or after an event is not compared with it. All arrays have shape ``(n,)``. The standard error takes the rows, or
    the clusters, as independent and the scores as given.

    References
    ----------
    Harrell, Califf, Pryor, Lee and Rosati (1982), doi:10.1001/jama.1982.03320430047030. Therneau and Watson (2017),
    Mayo Clinic technical report 85, for the standard error.

    Examples
    --------
    >>> concordance(np.array([3.0, 1.0, 2.0]), np.array([1.0, 2.0, 3.0]), np.array([True, True, False])).concordant
    2.0
    """
    size = len(score)
    mass = np.ones(size) if weights is None else weights
    start = np.full(size, -np.inf) if entries is None else entries
    own = np.zeros(size, dtype=np.intp) if strata is None else strata
    _, rank = np.unique(score, return_inverse=True)
    count = _counted_by_trees if size >= COMPILED_FROM else _counted_pair_by_pair
    higher, lower, equal = count(rank, durations, events, mass, start, own)
    # Every pair is counted at both its rows, hence the halves.
    concordant, discordant, tied = (float(mass @ part) / 2 for part in (higher, lower, equal))
    tied_time, tied_both = _tied_events(rank, durations, events, mass, own)
    pairs = concordant + discordant + tied
    if not pairs > 0:
        return Concordance(math.nan, math.nan, concordant, discordant, tied, tied_time, tied_both)
    difference = (concordant - discordant) / pairs
    change = mass * ((higher - lower) - difference * (higher + lower + equal)) / (2 * pairs)
    if clusters is not None:
        change = sum_by(clusters, change, int(clusters.max()) + 1)
    error = float(np.sqrt(change @ change))
    return Concordance((difference + 1) / 2, error, concordant, discordant, tied, tied_time, tied_both)


def _counted_pair_by_pair(
    rank: IntArray, durations: FloatArray, events: BoolArray, mass: FloatArray, start: FloatArray, own: IntArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return, for each row, the weight of the rows it makes concordant, discordant and tied pairs with."""
    failing = np.flatnonzero(events)
    time, weight = durations[failing, None], mass[failing]
    outlives = (durations > time) | ((durations == time) & ~events)
    compared = outlives & (start < time) & (own == own[failing, None])
    sign = np.sign(rank[failing, None] - rank)
    parts = []
    for which in (1, -1, 0):
        pairs = (compared & (sign == which)).astype(np.float64)
        part = weight @ pairs
        part[failing] += pairs @ mass
        parts.append(part)
    return parts[0], parts[1], parts[2]


def _counted_by_trees(
    rank: IntArray, durations: FloatArray, events: BoolArray, mass: FloatArray, start: FloatArray, own: IntArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """As :func:`_counted_pair_by_pair`, in time proportional to n log n."""
    leaving = np.lexsort((events, -durations, own))  # by stratum; latest first, censored before events at one time
    entering = np.lexsort((-start, own))
    higher, lower, equal = pair_sweep(rank, durations, events, mass, start, own, leaving, entering)
    return higher, lower, equal


@compiled
def _add(tree: FloatArray, place: int, value: float) -> None:
    """Add to one rank of a binary indexed tree of sums; its last element holds the sum of all."""
    k = place + 1
    while k < len(tree) - 1:
        tree[k] += value
        k += k & -k
    tree[-1] += value


@compiled
def _clear(tree: FloatArray, place: int) -> None:
    """Empty every sum that one rank is part of."""
    k = place + 1
    while k < len(tree) - 1:
        tree[k] = 0.0
        k += k & -k
    tree[-1] = 0.0


@compiled
def _split(tree: FloatArray, place: int) -> tuple[float, float, float]:
    """Return the sums over the ranks below, at and above ``place``."""
    below, up_to = 0.0, 0.0
    k = place
    while k > 0:
        below += tree[k]
        k -= k & -k
    k = place + 1
    while k > 0:
        up_to += tree[k]
        k -= k & -k
    return below, up_to - below, tree[-1] - up_to


@compiled
def pair_sweep(
    rank: IntArray,
    durations: FloatArray,
    events: BoolArray,
    mass: FloatArray,
    start: FloatArray,
    own: IntArray,
    leaving: IntArray,
    entering: IntArray,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Sweep each stratum from its latest time, with trees over ranks of those at risk and of the events met so far.

    An event is compared with those at risk when it is met. A row at risk is compared with the events met between the
    moment it joins, before the events of its own time if it is censored and after them if it fails, and the moment it
    leaves at its entry: two readings of the tree of events give the difference.
    """
    n = len(rank)
    higher, lower, equal = np.zeros(n), np.zeros(n), np.zeros(n)
    at_risk, met = np.zeros(np.max(rank) + 3), np.zeros(np.max(rank) + 3)
    begin, gone = 0, 0
    while begin < n:
        end = begin
        while end < n and own[leaving[end]] == own[leaving[begin]]:
            end += 1
        k = begin
        while k < end:
            now = durations[leaving[k]]
            while gone < end and start[entering[gone]] >= now:
                i = entering[gone]
                below, same, above = _split(met, rank[i])
                higher[i] += above
                lower[i] += below
                equal[i] += same
                _add(at_risk, rank[i], -mass[i])
                gone += 1
            opening = k
            while k < end and durations[leaving[k]] == now and not events[leaving[k]]:
                k += 1
            first = k
            while k < end and durations[leaving[k]] == now:
                k += 1
            for place in range(opening, first):
                i = leaving[place]
                below, same, above = _split(met, rank[i])
                higher[i] -= above
                lower[i] -= below
                equal[i] -= same
                _add(at_risk, rank[i], mass[i])
            for place in range(first, k):
                i = leaving[place]
                below, same, above = _split(at_risk, rank[i])
                higher[i] += below
                lower[i] += above
                equal[i] += same
            for place in range(first, k):
                _add(met, rank[leaving[place]], mass[leaving[place]])
            for place in range(first, k):
                i = leaving[place]
                below, same, above = _split(met, rank[i])
                higher[i] -= above
                lower[i] -= below
                equal[i] -= same
                _add(at_risk, rank[i], mass[i])
        while gone < end:
            i = entering[gone]
            below, same, above = _split(met, rank[i])
            higher[i] += above
            lower[i] += below
            equal[i] += same
            gone += 1
        for place in range(begin, end):
            _clear(at_risk, rank[leaving[place]])
            _clear(met, rank[leaving[place]])
        begin = end
    return higher, lower, equal


def _tied_events(
    rank: IntArray, durations: FloatArray, events: BoolArray, mass: FloatArray, own: IntArray
) -> tuple[float, float]:
    """Weigh the pairs of events at one time of a stratum: with different and with equal scores."""
    if not events.any():
        return 0.0, 0.0
    _, moment = np.unique(np.stack([own[events].astype(np.float64), durations[events]]), axis=1, return_inverse=True)
    weight = mass[events]
    _, same = np.unique(np.stack([moment.ravel(), rank[events]]), axis=1, return_inverse=True)
    together, alike = (_pairs_within(codes.ravel(), weight) for codes in (moment, same))
    return together - alike, alike


def _pairs_within(codes: IntArray, weight: FloatArray) -> float:
    size = int(codes.max()) + 1
    return float(np.sum(sum_by(codes, weight, size) ** 2 - sum_by(codes, weight**2, size)) / 2)
