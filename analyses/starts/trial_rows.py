"""A trial emulated in each of a series of intervals: who is eligible, who starts, and follow-up after the interval."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from analyses.columns import BoolArray, FloatArray
from analyses.starts.inputs import STARTED, StartTimes, refuse_taken, start_times
from analyses.starts.intervals import INTERVAL_START, Decisions, decisions
from cohort.errors import UsageError

IntArray = npt.NDArray[np.intp]

TRIAL_COLUMNS = ("trial", "entry", "exit", "failed", STARTED)
TRIAL_WEIGHT = "trial_weight"
STARTED_BEFORE, EVENT_BEFORE = "started before", "event before follow-up of the trial"
ENDED_BEFORE, NOT_ASSESSED = "observation ended before follow-up of the trial", "not assessed before the trial"


@dataclass(frozen=True, slots=True)
class SequentialTrials:
    """Trials laid out under one another.

    Attributes
    ----------
    rows
        One row per patient and trial the patient is eligible for: the columns of the data with the latest values known
        when the interval of the trial begins, ``interval_start``, ``trial`` (from 1), ``entry`` (0), ``exit`` (time
        from the end of the interval), ``failed`` and ``started`` (0, 1).
    counts
        ``trial, reason, patients``: ``starters`` and ``others`` of each trial, and who is not eligible and why; the
        counts of a trial sum to the patients of the data.
    """

    rows: pd.DataFrame
    counts: pd.DataFrame


@dataclass(frozen=True, slots=True, eq=False)
class Eligible:
    """The decisions that make up the trials, of patients whose ``times`` are these."""

    times: StartTimes
    found: Decisions
    interval: float

    @property
    def zero(self) -> FloatArray:
        """When follow-up of the trial begins, per row."""
        return np.asarray((self.found.number + 1) * self.interval)

    def frame(self) -> pd.DataFrame:
        """Rows of :class:`SequentialTrials`."""
        row, zero = self.found.row, self.zero
        values = (
            self.found.number + 1,
            np.zeros(len(row)),
            self.times.durations[row] - zero,
            self.times.events[row].astype(np.int64),
            self.found.started.astype(np.int64),
        )
        return self.found.frame.assign(**dict(zip(TRIAL_COLUMNS, values, strict=True)))


def sequential_trial_rows(
    data: pd.DataFrame,
    *,
    interval: float,
    trials: int,
    visits: pd.DataFrame | None = None,
    start_col: str = "start_months",
    duration_col: str = "months",
    event_col: str = "event",
    patient_col: str = "patient_id",
    visit_time_col: str = "month",
) -> SequentialTrials:
    """Lay out a trial for each of the first intervals of follow-up.

    Trial number k is decided in the interval from ``(k - 1) * interval`` to just before ``k * interval``: its starters
    are those who start in it, the others those who could but do not. Eligible is who has not started before the
    interval, is event-free and under observation at its end and, given ``visits``, has every value when it begins.
    Follow-up begins at the end of the interval, for everybody: from its beginning on, starters would be immortal until
    their start. An event or end of observation at the end of the interval is before follow-up.

    Parameters
    ----------
    data, visits, start_col, duration_col, event_col, patient_col, visit_time_col
        As for :func:`start_rows`.
    interval
        Length of an interval, in the unit of the starts.
    trials
        How many.

    Returns
    -------
    SequentialTrials
        A patient is in every trial until the start, so rows are not independent.

    Raises
    ------
    UsageError
        ``interval`` not above zero, or no trial.
    AnalysisError
        As :func:`analyses.starts.inputs.start_times`.

    References
    ----------
    Gran JM, et al. A sequential Cox approach for estimating the causal effect of treatment in the presence of
    time-dependent confounding. Stat Med 2010;29:2757-2768. doi:10.1002/sim.4048. Hernán MA, Robins JM. Using big data
    to emulate a target trial. Am J Epidemiol 2016;183:758-764. doi:10.1093/aje/kwv254

    Examples
    --------
    >>> frame = pd.DataFrame({"patient_id": ["a", "b"], "start_months": [5.0, None], "months": [9.0, 4.0],
    ...                       "event": [1, 0]})
    >>> laid_out = sequential_trial_rows(frame, interval=3, trials=2)
    >>> laid_out.rows[["patient_id", "trial", "exit", "started"]].to_numpy().tolist()
    [['a', 1, 6.0, 0], ['b', 1, 1.0, 0], ['a', 2, 3.0, 1]]
    """
    eligible, counts = eligible_rows(
        data,
        interval=interval,
        trials=trials,
        visits=visits,
        start_col=start_col,
        duration_col=duration_col,
        event_col=event_col,
        patient_col=patient_col,
        visit_time_col=visit_time_col,
        where="sequential_trial_rows",
    )
    rows = eligible.frame()
    order = np.lexsort((eligible.times.patients[eligible.found.row], eligible.found.number))
    return SequentialTrials(rows.iloc[order].reset_index(drop=True), counts)


def eligible_rows(
    data: pd.DataFrame,
    *,
    interval: float,
    trials: int,
    visits: pd.DataFrame | None,
    start_col: str,
    duration_col: str,
    event_col: str,
    patient_col: str,
    visit_time_col: str,
    where: str,
) -> tuple[Eligible, pd.DataFrame]:
    """Return who is in which trial, and the counts of :class:`SequentialTrials`."""
    if not interval > 0 or trials < 1:
        raise UsageError(
            "at least one trial, and an interval above zero",
            where=f"{where}, interval, trials",
            got=f"{interval:g}, {trials}",
            remedy="use for instance 3 and 8",
        )
    refuse_taken(data, (*TRIAL_COLUMNS, INTERVAL_START, TRIAL_WEIGHT), where=where)
    times = start_times(
        data, start_col=start_col, duration_col=duration_col, event_col=event_col, patient_col=patient_col, where=where
    )
    found = decisions(
        data,
        times,
        interval=interval,
        count=trials,
        visits=visits,
        patient_col=patient_col,
        visit_time_col=visit_time_col,
    )
    followed = times.durations[found.row] > (found.number + 1) * interval
    eligible = Eligible(times, found.chosen(followed & found.complete), interval)
    return eligible, _counts(eligible, followed, found, trials)


def _counts(eligible: Eligible, followed: BoolArray, found: Decisions, trials: int) -> pd.DataFrame:
    times = eligible.times
    end = (np.arange(trials) + 1) * eligible.interval
    over = times.durations[:, None] <= end
    earlier = (times.starts[:, None] < end - eligible.interval) & ~over

    def per_trial(number: IntArray) -> IntArray:
        return np.bincount(number, minlength=trials).astype(np.intp)

    chosen = eligible.found
    parts = {
        "starters": per_trial(chosen.number[chosen.started]),
        "others": per_trial(chosen.number[~chosen.started]),
        STARTED_BEFORE: earlier.sum(axis=0),
        EVENT_BEFORE: (over & times.events[:, None]).sum(axis=0),
        ENDED_BEFORE: (over & ~times.events[:, None]).sum(axis=0),
        NOT_ASSESSED: per_trial(found.number[followed & ~found.complete]),
    }
    table = pd.DataFrame({"trial": np.arange(trials) + 1, **parts})
    long = table.melt(id_vars="trial", var_name="reason", value_name="patients")
    return long.sort_values("trial", kind="stable").reset_index(drop=True)
