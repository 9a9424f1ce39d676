"""Follow-up before the start cut into intervals, and the probability of starting in each."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from analyses.columns import BoolArray, FloatArray
from analyses.design_matrix import build_design
from analyses.kernels.logistic import collinear_columns, fit_logistic
from analyses.starts.inputs import StartTimes
from analyses.starts.latest import with_latest
from cohort.errors import AnalysisError, UsageError

IntArray = npt.NDArray[np.intp]

INTERVAL_START = "interval_start"
"""Column for formulas: when the interval begins."""
_OWN_LEVEL = 1e-7
"""An interval has a level of its own when less than this share of its indicator is not in the design."""


@dataclass(frozen=True, slots=True, eq=False)
class Decisions:
    """Patient-intervals that begin event-free, under observation and not started; ``m`` of them.

    Attributes
    ----------
    row, number
        Shape ``(m,)``: row of the patient, and number of the interval from 0.
    started
        Shape ``(m,)``: whether the treatment was started before the next interval.
    frame
        ``m`` rows: the data with the latest values known when the interval begins, and ``interval_start``.
    complete
        Shape ``(m,)``: whether every such value is known.
    """

    row: IntArray
    number: IntArray
    started: BoolArray
    frame: pd.DataFrame
    complete: BoolArray

    def chosen(self, which: BoolArray) -> Decisions:
        """Return some of the patient-intervals."""
        kept = np.flatnonzero(which)
        frame = self.frame.iloc[kept].reset_index(drop=True)
        return Decisions(self.row[kept], self.number[kept], self.started[kept], frame, self.complete[kept])


@dataclass(frozen=True, slots=True, eq=False)
class StartHazards:
    """Probabilities of starting in an interval when not started before.

    Attributes
    ----------
    own
        Shape ``(m,)``: of each patient-interval, given its covariates.
    share
        Shape ``(k,)``: of each interval, whatever the covariates: starters over those who could start, 0 for nobody.
    """

    own: FloatArray
    share: FloatArray


def decisions(
    data: pd.DataFrame,
    times: StartTimes,
    *,
    interval: float,
    count: int,
    visits: pd.DataFrame | None,
    patient_col: str,
    visit_time_col: str,
) -> Decisions:
    """Lay out the patient-intervals number 0 to ``count - 1`` in which a start was possible."""
    begin: FloatArray = np.arange(count, dtype=np.float64) * interval
    possible = (times.durations[:, None] > begin) & (times.starts[:, None] >= begin)
    row, number = np.nonzero(possible)
    frame = data.iloc[row].reset_index(drop=True).assign(**{INTERVAL_START: begin[number]})
    frame, complete = with_latest(
        frame, visits, times.patients[row], begin[number], patient_col=patient_col, time_col=visit_time_col
    )
    started = times.starts[row] < (number + 1) * interval
    return Decisions(row.astype(np.intp), number.astype(np.intp), started, frame, complete)


def start_hazards(found: Decisions, formula: str | None, *, count: int, where: str) -> StartHazards:
    """Estimate the probability of starting in each patient-interval.

    Without a formula it is the share that starts in the interval; with one, that of a pooled logistic regression on
    its covariates, among which ``interval_start`` may be. Where the formula gives an interval a level of its own
    (``C(interval_start)``) and nobody, or everybody, starts in it, the probability there is 0, or 1, and the others are
    estimated from the other intervals: the limit of maximum likelihood.

    Raises
    ------
    AnalysisError
        Nobody starts, a term that is a combination of others, or covariates that separate the starters perfectly.
    """
    able = np.bincount(found.number, minlength=count)
    starting = np.bincount(found.number, weights=found.started, minlength=count)
    share = np.divide(starting, able, out=np.zeros(count), where=able > 0)
    if not found.started.any():
        raise AnalysisError("nobody starts in the intervals looked at", where=where, got=f"{len(found.row)} rows")
    if formula is None:
        return StartHazards(share[found.number], share)
    design = build_design(formula, found.frame, intercept=True)
    collinear = collinear_columns(design.matrix)
    if collinear:
        raise AnalysisError(
            "terms are constant or combinations of others",
            where=f"{where}, formula {formula!r}",
            got=", ".join(design.terms[place] for place in collinear),
            remedy="leave them out",
        )
    own = share[found.number]
    estimated = ~_settled(design.matrix, found.number, share)
    if estimated.any():
        matrix = design.matrix[estimated]
        # Levels of the intervals left out are zero in the rest.
        matrix = np.delete(matrix, collinear_columns(matrix), axis=1)
        fit = fit_logistic(matrix, found.started[estimated].astype(np.float64))
        if not fit.converged:
            raise AnalysisError(
                "the covariates separate those who start, so the model of starting has no finite estimate",
                where=f"{where}, formula {formula!r}",
                got=f"{int(found.started.sum())} starts in {len(found.row)} intervals",
                remedy="leave terms out",
            )
        own[estimated] = fit.probability
    return StartHazards(own, share)


def _settled(matrix: FloatArray, number: IntArray, share: FloatArray) -> BoolArray:
    """Return the patient-intervals of intervals with a level of their own in which nobody or everybody starts."""
    candidates = np.flatnonzero(np.isin(np.arange(len(share)), number) & ((share == 0) | (share == 1)))
    if not len(candidates):
        return np.zeros(len(number), dtype=bool)
    indicators = (number[:, None] == candidates).astype(np.float64)
    basis, _ = np.linalg.qr(matrix)
    beside = np.linalg.norm(indicators - basis @ (basis.T @ indicators), axis=0)
    own_level = beside <= _OWN_LEVEL * np.linalg.norm(indicators, axis=0)
    return np.asarray(np.isin(number, candidates[own_level]))


def whole_intervals(length: float, interval: float, *, where: str) -> int:
    """Return how many intervals make up a length.

    Raises
    ------
    UsageError
        Either is not above zero, or the length is no multiple of the interval.
    """
    good = math.isfinite(length) and math.isfinite(interval) and length > 0 and interval > 0
    count = round(length / interval) if good else 0
    if count < 1 or not math.isclose(count * interval, length, rel_tol=1e-9):
        raise UsageError(
            "must be above zero and a whole number of intervals",
            where=where,
            got=f"{length:g} with an interval of {interval:g}",
            remedy="use for instance 12 and 3",
        )
    return count
