"""A sequence of emulated trials: at the end of each interval, those who have just started against the others."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from analyses.columns import as_text, require_complete
from analyses.starts.hazards import treated_hazard
from analyses.starts.patients import FollowedPatients, followed_patients
from cohort.errors import AnalysisError
from cohort.results import ResultTable, result_table


def trial_rows(
    data: pd.DataFrame,
    *,
    duration_col: str,
    event_col: str,
    start_col: str,
    every: float,
    trials: int,
    measures: pd.DataFrame | None = None,
    measured_col: str | None = None,
    censor_at_start: bool = False,
    patient_col: str = "patient_id",
) -> pd.DataFrame:
    """Lay out the patients of each emulated trial.

    Trial ``k`` begins at time ``k * every``. Its patients are free of the event and under observation beyond then, and
    had not started treatment by the end of the interval before the last one; those who started within the last interval
    are treated, the others are not. Nobody has to survive into an arm after the trial has begun.

    Parameters
    ----------
    data, duration_col, event_col, start_col, patient_col
        As in :func:`exposure_spells`.
    every
        Length of the intervals, in the unit of the durations.
    trials
        How many.
    measures, measured_col
        Values that change over time: rows with ``patient_col``, a column of the time and others. Each patient of trial
        ``k`` has the last row not later than the interval began, ``(k - 1) * every``: before anybody of the trial
        started. Patients without such a row are not in the trial.
    censor_at_start
        Whether untreated patients are censored when they start, instead of being followed as untreated.

    Returns
    -------
    pandas.DataFrame
        The columns of ``data`` and ``measures``, one row per patient and trial, by trial and patient, and ``trial``
        (from 1), ``treated``, ``entry`` (0), ``exit`` (since the trial began) and ``failed``.

    Raises
    ------
    AnalysisError
        As :func:`exposure_spells`; intervals or numbers of trials that are not above zero; measures that lack a column,
        have missing values or two rows of a patient at a time.

    Examples
    --------
    >>> frame = pd.DataFrame({"patient_id": ["a", "b"], "years": [3.0, 2.5], "flare": [1, 0], "start": [1.5, None]})
    >>> rows = trial_rows(
    ...     frame, duration_col="years", event_col="flare", start_col="start", every=1.0, trials=2
    ... )
    >>> rows[["trial", "patient_id", "treated", "exit", "failed"]].to_numpy().tolist()
    [[1, 'a', 0, 2.0, 1], [1, 'b', 0, 1.5, 0], [2, 'a', 1, 1.0, 1], [2, 'b', 0, 0.5, 0]]
    """
    where = "trial_rows"
    if not (math.isfinite(every) and every > 0) or trials < 1:
        raise AnalysisError(
            "the intervals and their number must be above zero",
            where=f"{where}, every, trials",
            got=f"{every:g}, {trials}",
            remedy="for instance every=0.5, trials=6 for half-years",
        )
    patients = followed_patients(
        data, duration_col=duration_col, event_col=event_col, start_col=start_col, patient_col=patient_col, where=where
    )
    if measures is not None:
        data = data.drop(columns=[name for name in measures.columns if name in data.columns and name != patient_col])
        _check_measures(measures, patient_col, measured_col, where)
    parts = []
    for trial in range(1, trials + 1):
        began, before = trial * every, (trial - 1) * every
        # Day 0 belongs to the first interval.
        untreated_before = patients.starts > before if trial > 1 else np.ones(len(patients.names), dtype=bool)
        who = np.flatnonzero((patients.durations > began) & untreated_before)
        part = _of_trial(data, patients, who, began, censor_at_start=censor_at_start).assign(trial=trial)
        if measures is not None and measured_col is not None:
            latest = _latest(measures, patient_col, measured_col, before)
            part = part.assign(**{patient_col: as_text(part[patient_col])}).merge(latest, on=patient_col, how="inner")
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def sequential_trials(
    data: pd.DataFrame,
    *,
    duration_col: str,
    event_col: str,
    start_col: str,
    every: float,
    trials: int,
    covariates: str | None = None,
    measures: pd.DataFrame | None = None,
    measured_col: str | None = None,
    censor_at_start: bool = False,
    patient_col: str = "patient_id",
    conf_level: float = 0.95,
) -> ResultTable:
    """Estimate the hazard ratio of starting treatment over a sequence of emulated trials.

    Parameters
    ----------
    data, duration_col, event_col, start_col, every, trials, measures, measured_col, censor_at_start, patient_col
        As in :func:`trial_rows`.
    covariates
        Right-hand side beside treatment, of columns of ``data`` and ``measures``, or None.
    conf_level
        Of the intervals.

    Returns
    -------
    ResultTable
        One row ``log_hazard_ratio`` of a Cox model with a baseline for each trial and an error clustered by patient,
        who may be in several trials (``n`` counts patients of trials), and two rows ``patients`` per trial (``term``),
        one per ``group``, whose ``estimate`` and ``n_events`` count them and their events. Without ``censor_at_start``
        the effect is that of starting now against not yet (intention to treat); with it, untreated patients are
        followed while untreated, and whether that is informative is not corrected for, which ``note`` says.

    Raises
    ------
    AnalysisError
        As :func:`trial_rows`; covariates with missing values, constant or collinear.

    References
    ----------
    Gran JM et al. A sequential Cox approach for estimating the causal effect of treatment in the presence of
    time-dependent confounding. Stat Med 2010;29:2757-2768. doi:10.1002/sim.4048. Hernan MA, Robins JM. Am J Epidemiol
    2016;183:758-764. doi:10.1093/aje/kwv254

    Examples
    --------
    >>> frame = pd.DataFrame({"patient_id": list("abcdef"), "years": [1.0, 2, 3, 4, 5, 6], "flare": [1, 1, 1, 1, 1, 0]})
    >>> frame["start"] = [None, None, 2.0, None, 1.0, 1.0]
    >>> table = sequential_trials(
    ...     frame, duration_col="years", event_col="flare", start_col="start", every=1.0, trials=2
    ... ).frame
    >>> table[["term", "group", "estimate"]].iloc[1:3].to_numpy().tolist()
    [['trial 1', 'treated', 2.0], ['trial 1', 'untreated', 3.0]]
    """
    rows = trial_rows(
        data,
        duration_col=duration_col,
        event_col=event_col,
        start_col=start_col,
        every=every,
        trials=trials,
        measures=measures,
        measured_col=measured_col,
        censor_at_start=censor_at_start,
        patient_col=patient_col,
    )
    hazard = treated_hazard(rows, covariates, strata="trial", cluster_col=patient_col, conf_level=conf_level)
    informative = "untreated patients censored at their start, taken as telling nothing" if censor_at_start else ""
    said = [one for one in (informative, hazard.get("note")) if isinstance(one, str) and one]
    found = [hazard | {"note": "; ".join(said) or None}, *_counts(rows, trials)]
    return result_table(
        found,
        metadata={
            "spec": {
                "function": "sequential_trials",
                "duration_col": duration_col,
                "event_col": event_col,
                "start_col": start_col,
                "every": every,
                "trials": trials,
                "covariates": covariates,
                "measured_col": measured_col,
                "censor_at_start": censor_at_start,
                "conf_level": conf_level,
            }
        },
        analysis="starts",
        population="sequential trials",
        method="Cox stratified by trial, error clustered by patient"
        + ("" if covariates is None else f", given {covariates}"),
    )


def _of_trial(
    data: pd.DataFrame, patients: FollowedPatients, who: np.ndarray, began: float, *, censor_at_start: bool
) -> pd.DataFrame:
    starts, treated = patients.starts[who], patients.starts[who] <= began
    end = patients.durations[who]
    if censor_at_start:
        end = np.where(treated, end, np.minimum(end, starts))
    failed = patients.events[who] & (end == patients.durations[who])
    rows = data.iloc[patients.rows[who]].reset_index(drop=True)
    added = {"treated": treated.astype(np.int64), "entry": 0.0, "exit": end - began, "failed": failed.astype(np.int64)}
    laid_out: pd.DataFrame = rows.assign(**added)
    return laid_out


def _check_measures(measures: pd.DataFrame, patient_col: str, measured_col: str | None, where: str) -> None:
    if measured_col is None:
        raise AnalysisError(
            "measures need the column of their time", where=f"{where}, measured_col", got="None", remedy="name it"
        )
    require_complete(measures, [patient_col, measured_col], where=f"{where}, measures")
    repeated = int(measures.duplicated([patient_col, measured_col]).sum())
    if repeated:
        raise AnalysisError(
            "a patient is measured twice at one time",
            where=f"{where}, measures, columns {patient_col}, {measured_col}",
            got=f"{repeated} repeated rows",
            remedy="keep one row per patient and time",
        )


def _latest(measures: pd.DataFrame, patient_col: str, measured_col: str, time: float) -> pd.DataFrame:
    """Return the last row of each patient not later than ``time``, without the column of the time."""
    known = measures[(measures[measured_col] <= time).to_numpy()].sort_values(measured_col, kind="stable")
    last = known.drop_duplicates(patient_col, keep="last").drop(columns=measured_col)
    return last.assign(**{patient_col: as_text(last[patient_col])})


def _counts(rows: pd.DataFrame, trials: int) -> Sequence[dict[str, object]]:
    found: list[dict[str, object]] = []
    for trial in range(1, trials + 1):
        for treated, name in ((1, "treated"), (0, "untreated")):
            own = rows[(rows["trial"] == trial) & (rows["treated"] == treated)]
            found.append(
                {
                    "term": f"trial {trial}",
                    "group": name,
                    "statistic": "patients",
                    "estimate": float(len(own)),
                    "n": float(len(own)),
                    "n_events": float(own["failed"].sum()),
                }
            )
    return found
