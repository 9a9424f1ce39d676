"""Clones of each patient under two strategies: start treatment within a grace period, or do not."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from analyses.columns import BoolArray, FloatArray
from analyses.kernels.logistic_batch import fit_logistic_batch
from analyses.starts.patients import FollowedPatients
from cohort.errors import AnalysisError

IntArray = npt.NDArray[np.intp]
START, WAIT = 1, 0
"""The strategies, as values of ``treated``."""


@dataclass(frozen=True, slots=True, eq=False)
class Clones:
    """Spells of the clones of ``n`` patients; ``r`` rows.

    Attributes
    ----------
    patient, strategy, entry, leave, failed
        Shape ``(r,)``. A clone is censored where its patient deviates from the strategy.
    spell
        Shape ``(r,)``: for clones that wait, the row of ``waiting`` that the spell follows on, or -1 at the index date;
        for clones that start, -1 within the grace period and -2 after it.
    waiting
        Shape ``(k, 2)``: patient and interval (from 0) of those who, at its beginning, are followed, free of the event
        and have not started; by patient and interval.
    starting
        Shape ``(k,)``: who of them starts within the interval.
    reaching
        Shape ``(q,)``: patients followed beyond the grace period.
    in_time
        Shape ``(q,)``: who of them has started by then.
    """

    patient: IntArray
    strategy: IntArray
    entry: FloatArray
    leave: FloatArray
    failed: BoolArray
    spell: IntArray
    waiting: IntArray
    starting: BoolArray
    reaching: IntArray
    in_time: BoolArray


def clone_patients(patients: FollowedPatients, *, grace: float, interval: float) -> Clones:
    """Clone every patient and censor each clone where its patient deviates from the clone's strategy.

    A patient who has not started by the end of the grace period deviates from starting then; one who starts within it
    deviates from waiting at the start. Until they differ both clones share what happens.
    """
    edges = np.append(np.arange(math.ceil(grace / interval - 1e-9)) * interval, grace)
    number = len(edges) - 1
    starts, end, events = patients.starts, patients.durations, patients.events
    size = len(end)
    # Interval in which treatment starts; the number of intervals if not within the grace period.
    begun = np.searchsorted(edges, starts, side="left").clip(1) - 1
    inside = starts <= grace
    counted = np.where(inside, np.minimum(begun + 1, number), number)
    counted = np.minimum(counted, np.searchsorted(edges[:-1], end, side="left"))
    who = np.repeat(np.arange(size), counted)
    nth = np.arange(len(who)) - np.repeat(np.cumsum(counted) - counted, counted)
    starting = inside[who] & (nth == begun[who])
    waited = np.where(inside, starts, end)
    failed_waiting = events & ~inside
    leave = np.minimum(waited[who], edges[nth + 1])
    own = np.arange(len(who))
    spans = leave > edges[nth]
    first = nth == 0
    wait_rows = (
        who[spans],
        edges[nth][spans],
        leave[spans],
        (failed_waiting[who] & (end[who] <= edges[nth + 1]))[spans],
        np.where(first, -1, own - 1)[spans],
    )
    beyond = np.flatnonzero(~inside & (end > grace))
    last = np.cumsum(counted)[beyond] - 1
    late_rows = (beyond, np.full(len(beyond), grace), end[beyond], events[beyond], last)
    everybody = np.arange(size)
    stop = np.minimum(end, grace)
    early_rows = (everybody, np.zeros(size), stop, events & (end <= grace), np.full(size, -1))
    kept = np.flatnonzero(inside & (end > grace))
    after_rows = (kept, np.full(len(kept), grace), end[kept], events[kept], np.full(len(kept), -2))
    parts = (wait_rows, late_rows, early_rows, after_rows)
    patient, entry, out, failed, spell = (np.concatenate(column) for column in zip(*parts, strict=True))
    strategy = np.repeat([WAIT, START], [len(wait_rows[0]) + len(beyond), size + len(kept)])
    reaching = np.flatnonzero(end > grace)
    return Clones(
        patient.astype(np.intp), strategy, entry, out, failed.astype(np.bool_), spell.astype(np.intp),
        np.column_stack([who, nth]), starting, reaching, inside[reaching],
    )  # fmt: skip


def clone_weights(clones: Clones, covariates: FloatArray, copies: FloatArray) -> tuple[FloatArray, BoolArray]:
    """Return the inverse probability of not having deviated at each spell, and which replicates have one.

    Parameters
    ----------
    clones
        From :func:`clone_patients`.
    covariates
        Shape ``(n, p)``, with a leading column of ones.
    copies
        Shape ``(b, n)``: how often each replicate holds a patient.

    Returns
    -------
    tuple
        Weights of shape ``(b, r)``, not times copies, and shape ``(b,)``.

    Notes
    -----
    For waiting, a logistic model of starting in an interval among those who have not (covariates, and the number of the
    interval if there are several): the weight is one over the probability of not having started in the intervals
    before. For starting, a logistic model of having started among those followed beyond the grace period: the weight
    after it is one over that probability.
    """
    who, nth = clones.waiting[:, 0], clones.waiting[:, 1]
    design = covariates[who]
    if nth.any():
        design = np.column_stack([design, nth])
    if not clones.starting.any() or clones.starting.all():
        raise AnalysisError(
            "patients who start within the grace period and patients who do not are needed",
            where="clone_censor_weight, grace",
            got=f"{int(clones.starting.sum())} of {len(np.unique(who))} start",
            remedy="choose another grace period",
        )
    waiting = fit_logistic_batch(design, clones.starting.astype(np.float64), copies[:, who])
    arrived = covariates[clones.reaching]
    ready = fit_logistic_batch(arrived, clones.in_time.astype(np.float64), copies[:, clones.reaching])
    converged = waiting.converged & ready.converged
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        staying = np.log1p(-waiting.probability(design))
        own = np.cumsum(staying, axis=1)
        first = nth == 0
        before = (own - staying)[:, first]
        lasting = own - before[:, np.cumsum(first) - 1]
        by_spell = np.exp(-np.column_stack([lasting, np.zeros(len(copies))]))
        in_time = np.ones((len(copies), covariates.shape[0]))
        in_time[:, clones.reaching] = 1.0 / ready.probability(arrived)
    weights = np.where(clones.spell == -2, in_time[:, clones.patient], by_spell[:, np.maximum(clones.spell, -1)])
    return weights, converged
