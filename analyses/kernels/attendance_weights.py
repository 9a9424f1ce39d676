"""Weights that let the patients whose response is known at a visit stand for all patients due then."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analyses.kernels.response_imputation import UNKNOWN
from analyses.kernels.shrunken_logistic import fit_shrunken_logistic

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
StateArray = NDArray[np.int8]


@dataclass(frozen=True, slots=True, eq=False)
class AttendanceProbabilities:
    """Estimated probabilities, each of shape (n, v); NaN where they do not apply.

    Attributes
    ----------
    staying
        Of staying under observation (or having a terminal event) at a visit, for those under observation before.
    assessed
        Of having the response assessed, for those under observation.
    known
        Of the response being known: the product of ``staying`` up to the visit, times ``assessed`` unless a terminal
        event makes it known. NaN where it is not known.
    """

    staying: FloatArray
    assessed: FloatArray
    known: FloatArray


def attendance_probabilities(
    states: StateArray, covariates: FloatArray, *, due: BoolArray, under_observation: BoolArray, terminal: BoolArray
) -> AttendanceProbabilities:
    """Model who is lost and who is assessed by what was seen before, pooled over the visits.

    Two logistic models with a weak prior, each with a term for every visit, the covariates, the response seen last
    (none yet, any, complete) and whether the visit before was assessed: of staying under observation from one visit
    to the next, and of being assessed when under observation.

    Parameters
    ----------
    states
        Shape (n, v): assessed response (0, 1, 2), -1 where not assessed.
    covariates
        Shape (n, k): arm and baseline covariates, complete.
    due
        Shape (n, v), visits that count; those of a patient come before those that do not.
    under_observation
        Shape (n, v), not lost by the visit.
    terminal
        Shape (n, v), unassessed but known from an event that happened by the visit.

    References
    ----------
    Robins JM, Rotnitzky A, Zhao LP. Analysis of semiparametric regression models for repeated outcomes in the presence
    of missing data. J Am Stat Assoc 1995;90:106-121. doi:10.1080/01621459.1995.10476493

    Examples
    --------
    Of two patients like each, one is assessed: each assessed one counts about twice.

    >>> states = np.array([[2], [-1], [2], [-1]], dtype=np.int8)
    >>> yes, no = np.ones((4, 1), dtype=bool), np.zeros((4, 1), dtype=bool)
    >>> found = attendance_probabilities(states, np.zeros((4, 1)), due=yes, under_observation=yes, terminal=no)
    >>> found.known[:, 0].round(6).tolist()
    [0.5, nan, 0.5, nan]
    """
    assessed = states != UNKNOWN
    history = _history(states, covariates)
    settled = np.zeros_like(terminal)
    settled[:, 1:] = np.maximum.accumulate(terminal, axis=1)[:, :-1]
    before = np.ones_like(due)
    before[:, 1:] = under_observation[:, :-1]
    staying = _modelled(history, under_observation | terminal, due & before & ~settled)
    attending = _modelled(history, assessed, due & under_observation & ~terminal)
    product = np.cumprod(np.where(np.isnan(staying), 1.0, staying), axis=1)
    known = np.where(terminal, product, product * attending)
    return AttendanceProbabilities(staying, attending, np.where(due & (assessed | terminal), known, np.nan))


def _history(states: StateArray, covariates: FloatArray) -> FloatArray:
    """Predictors of each patient and visit, shape (n, v, columns), from before the visit only."""
    n, visits = states.shape
    last = np.full((n, visits), UNKNOWN, dtype=np.int8)
    for visit in range(1, visits):
        last[:, visit] = np.where(states[:, visit - 1] == UNKNOWN, last[:, visit - 1], states[:, visit - 1])
    skipped = np.zeros((n, visits), dtype=np.bool_)
    skipped[:, 1:] = states[:, :-1] == UNKNOWN
    first = np.arange(visits) == 0
    seen = np.stack([last >= 1, last == 2, (last == UNKNOWN) & ~first, skipped], axis=2).astype(np.float64)
    which = np.broadcast_to(np.eye(visits)[:, 1:], (n, visits, visits - 1))
    own = np.broadcast_to(covariates[:, None, :], (n, visits, covariates.shape[1]))
    return np.concatenate([which, own, seen], axis=2)


def _modelled(history: FloatArray, outcome: BoolArray, rows: BoolArray) -> FloatArray:
    """Fitted probability of ``outcome`` in the rows, exactly 1 where it holds in all of them."""
    found = np.full(rows.shape, np.nan)
    if outcome[rows].all():
        found[rows] = 1.0
    else:
        model = fit_shrunken_logistic(history[rows], outcome[rows].astype(np.float64))
        found[rows] = model.probability(history[rows])
    return found
