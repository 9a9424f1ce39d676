"""Sequential trials pooled: those who start in an interval against those who could but do not, interval by interval."""

from __future__ import annotations

import math
from typing import Literal, get_args

import numpy as np
import pandas as pd

from analyses.columns import FloatArray
from analyses.propensity.weights import balancing_weights
from analyses.starts.inputs import STARTED
from analyses.starts.intervals import decisions, start_hazards
from analyses.starts.remaining import Remaining, held
from analyses.starts.rows import Row, added_note, hazard_row, laid_out, refused_row
from analyses.starts.trial_rows import TRIAL_WEIGHT, Eligible, eligible_rows
from analyses.survival.inputs import check_choice
from cohort.errors import AnalysisError, UsageError
from cohort.results import ResultTable

Adjustment = Literal["weights", "covariates"]
TrialEstimand = Literal["ATE", "ATT", "ATO"]
_WHERE = "sequential_trials"


def sequential_trials(
    data: pd.DataFrame,
    formula: str | None = None,
    *,
    interval: float,
    trials: int,
    visits: pd.DataFrame | None = None,
    adjust: Adjustment = "weights",
    estimand: TrialEstimand = "ATE",
    censor_at_start: bool = False,
    largest: float | None = None,
    start_col: str = "start_months",
    duration_col: str = "months",
    event_col: str = "event",
    patient_col: str = "patient_id",
    visit_time_col: str = "month",
    conf_level: float = 0.95,
) -> ResultTable:
    """Emulate a trial in each interval (:func:`sequential_trial_rows`) and pool them in one Cox model.

    Each trial is a stratum with its own baseline hazard, on the clock of the trial; standard errors are robust by
    patient, since a patient is in several trials. Weights are taken as known.

    Parameters
    ----------
    data, visits, interval, trials, start_col, duration_col, event_col, patient_col, visit_time_col
        As for :func:`sequential_trial_rows`.
    formula
        Right-hand side of what the start depends on and the outcome too: baseline covariates, the latest values of
        ``visits``, ``interval_start``. None leaves the trials unadjusted.
    adjust
        ``weights``: inverse-probability weights from a logistic model of starting, pooled over the trials.
        ``covariates``: the formula goes into the Cox model instead, which then estimates a conditional hazard ratio.
    estimand
        Of the weights: ``ATE`` everybody eligible (stabilised by the share that starts in each trial), ``ATT`` the
        starters, ``ATO`` the overlap.
    censor_at_start
        False: the others stay in their group when they start later (intention to treat). True: they are censored then,
        and those who remain are weighted by one over the probability of not having started yet, stabilised, from the
        same formula (per protocol). Weights change at the ends of intervals.
    largest
        Weights above it are held at it, which the ``note`` counts; None keeps them.
    conf_level
        Level of the interval.

    Returns
    -------
    ResultTable
        A row ``log_hazard_ratio`` of ``started``: ``n`` distinct patients, ``n_events`` events of the pooled rows, a
        patient's counted in each trial; a row ``largest_weight``; and for each trial, ``time`` the beginning of its
        follow-up, rows ``count`` of ``starters``, ``others`` and those not eligible by reason. Trials without starters
        say nothing. A model without finite estimate is a row with a ``note``.

    Raises
    ------
    UsageError
        As :func:`sequential_trial_rows`; ``largest`` not above zero.
    AnalysisError
        As :func:`sequential_trial_rows` and :func:`analyses.survival.fit_cox`; unknown ``adjust`` or ``estimand``.

    References
    ----------
    Gran JM, et al. A sequential Cox approach for estimating the causal effect of treatment in the presence of
    time-dependent confounding. Stat Med 2010;29:2757-2768. doi:10.1002/sim.4048. Hernán MA, et al. Specifying a target
    trial prevents immortal time bias. J Clin Epidemiol 2016;79:70-75. doi:10.1016/j.jclinepi.2016.04.014

    Examples
    --------
    >>> frame = pd.DataFrame({"patient_id": list("abcd"), "start_months": [5.0, None, None, 2.0],
    ...                       "months": [9.0, 7.0, 8.0, 5.0], "event": [1, 1, 0, 1]})
    >>> found = sequential_trials(frame, interval=3, trials=2).frame
    >>> found.loc[found["term"] == "starters", ["time", "estimate"]].to_numpy().tolist()
    [[3.0, 1.0], [6.0, 1.0]]
    """
    check_choice(adjust, get_args(Adjustment), where=f"{_WHERE}, adjust")
    check_choice(estimand, get_args(TrialEstimand), where=f"{_WHERE}, estimand")
    if largest is not None and not (math.isfinite(largest) and largest > 0):
        raise UsageError("the largest weight must be above zero", where=f"{_WHERE}, largest", got=str(largest))
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
        where=_WHERE,
    )
    rows, weights = eligible.frame(), np.ones(len(eligible.found.row))
    found: list[Row]
    try:
        if formula is not None and adjust == "weights":
            weights = _balancing(eligible, formula, estimand, trials)
        if censor_at_start:
            later = _later_starts(
                data, eligible, formula, visits=visits, patient_col=patient_col, time_col=visit_time_col
            )
            rows, weights = _per_protocol(rows, eligible, weights, later)
        found = _pooled(
            rows, weights, formula if adjust == "covariates" else None, patient_col, conf_level, largest=largest
        )
    except AnalysisError as error:
        if formula is None and not censor_at_start:
            raise
        found = [refused_row(error, statistic="log_hazard_ratio", term=STARTED)]
    of_trials: list[Row] = [
        {"statistic": "count", "term": str(reason), "time": trial * interval, "estimate": float(patients)}
        for trial, reason, patients in zip(counts["trial"], counts["reason"], counts["patients"], strict=True)
    ]
    spec = {
        "function": _WHERE, "formula": formula, "interval": float(interval), "trials": trials, "adjust": adjust,
        "estimand": estimand, "censor_at_start": censor_at_start, "largest": largest,
    }  # fmt: skip
    words = "per protocol" if censor_at_start else "intention to treat"
    weighted = f", {estimand} weights" if formula is not None and adjust == "weights" else ""
    return laid_out(
        [*found, *of_trials], population="sequential trials", method=f"sequential trials, {words}{weighted}", spec=spec
    )


def _balancing(eligible: Eligible, formula: str, estimand: TrialEstimand, trials: int) -> FloatArray:
    found = eligible.found
    hazards = start_hazards(found, formula, count=trials, where=f"{_WHERE}, model of starting")
    share = hazards.share[found.number]
    weights = np.ones(len(share))
    # In a trial in which nobody or everybody must start the Cox model has nothing to compare; any positive weight does.
    open_to = (hazards.own > 0) & (hazards.own < 1)
    weights[open_to] = balancing_weights(hazards.own[open_to], found.started[open_to], estimand=estimand).values
    if estimand == "ATE":
        weights *= np.where(found.started, share, 1 - share)
    return weights


def _later_starts(
    data: pd.DataFrame,
    eligible: Eligible,
    formula: str | None,
    *,
    visits: pd.DataFrame | None,
    patient_col: str,
    time_col: str,
) -> Remaining:
    """Return the probabilities of starting in every interval of follow-up."""
    times, interval = eligible.times, eligible.interval
    count = int(np.floor(times.durations.max() / interval)) + 1
    found = decisions(
        data,
        times,
        interval=interval,
        count=count,
        visits=visits,
        patient_col=patient_col,
        visit_time_col=time_col,
    )
    known = found.chosen(found.complete)
    hazards = start_hazards(known, formula, count=count, where=f"{_WHERE}, model of later starts")
    return Remaining.of(known, hazards, len(times))


def _per_protocol(
    rows: pd.DataFrame, eligible: Eligible, weights: FloatArray, later: Remaining
) -> tuple[pd.DataFrame, FloatArray]:
    """Censor the others at their start and cut them at the ends of intervals, where their weights change."""
    found, times = eligible.found, eligible.times
    zero, own = eligible.zero, times.durations[found.row]
    deviating = ~found.started & (times.starts[found.row] < own)
    end = np.where(deviating, times.starts[found.row], own)
    edges = np.arange(later.own.shape[1] + 1) * eligible.interval
    # Starters have one row; the others one per interval from the beginning of follow-up.
    last = np.minimum(np.searchsorted(edges, end, side="left") - 1, len(edges) - 2)
    first = found.number + 1
    spells = np.where(found.started, 1, np.maximum(last - first + 1, 0))
    who = np.repeat(np.arange(len(spells)), spells)
    step = np.arange(len(who)) - np.repeat(np.cumsum(spells) - spells, spells)
    number = first[who] + step
    final = step == spells[who] - 1
    entry = np.where(step > 0, edges[number], zero[who])
    leave = np.where(final, end[who], edges[np.minimum(number + 1, len(edges) - 1)])
    ratio = later.not_started(stabilized=True)
    kept = np.where(found.started[who], 1.0, ratio[found.row[who], number] / ratio[found.row[who], first[who]])
    cut = rows.iloc[who].reset_index(drop=True)
    failed = final & times.events[found.row[who]] & ~deviating[who]
    cut = cut.assign(entry=entry - zero[who], exit=leave - zero[who], failed=failed.astype(np.int64))
    return cut, weights[who] * kept


def _pooled(
    rows: pd.DataFrame,
    weights: FloatArray,
    formula: str | None,
    patient_col: str,
    conf_level: float,
    *,
    largest: float | None,
) -> list[Row]:
    weights, remark = held(weights, largest)
    weighted = bool(np.any(weights != 1.0))
    if weighted:
        rows = rows.assign(**{TRIAL_WEIGHT: weights})
    hazard = hazard_row(
        rows,
        formula,
        duration_col="exit",
        event_col="failed",
        entry_col="entry",
        weights_col=TRIAL_WEIGHT if weighted else None,
        strata="trial",
        cluster_col=patient_col,
        conf_level=conf_level,
        patients=rows[patient_col].nunique(),
    )
    return [
        added_note(hazard, remark) if remark else hazard,
        {"statistic": "largest_weight", "estimate": float(weights.max()) if len(weights) else math.nan,
         "note": None if len(weights) else "nobody is eligible"},
    ]  # fmt: skip
