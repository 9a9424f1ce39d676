"""Inverse-probability-of-censoring weights for drop-out that depends on covariates."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pandas as pd

from analyses.columns import BoolArray, FloatArray, as_text, require_complete
from analyses.comparison.folds import refuse_repeated_patients
from analyses.comparison.standardised import covariate_columns
from analyses.kernels.discrete_hazard import censoring_durations, fit_discrete_hazard
from analyses.survival.inputs import grouping, survival_columns
from cohort.errors import AnalysisError, UsageError

IntArray = npt.NDArray[np.intp]
CENSORING_COLUMNS = ("entry", "exit", "failed", "censoring_weight")
"""Columns that :func:`censoring_weights` adds."""


def censoring_weights(
    data: pd.DataFrame,
    formula: str,
    *,
    duration_col: str,
    event_col: str,
    by: str | None = None,
    stabilized: bool = True,
    largest: float | None = None,
    patient_col: str = "patient_id",
) -> pd.DataFrame:
    """Split follow-up into spells weighted by one over the probability of not having dropped out yet.

    A Cox model of censoring given covariates (Breslow ties and baseline) is fitted within the levels of ``by``. At each
    event time the patients at risk then stand for those like them who were censored before, so that weighted
    Kaplan-Meier curves and Cox models are right under censoring that depends on these covariates.

    Parameters
    ----------
    data
        One row per patient.
    formula
        Right-hand side of baseline covariates.
    duration_col, event_col
        As in :func:`analyses.survival.kaplan_meier`. A row without event dropped out at its duration, except at the
        last observed time of its level, where nobody can be followed further.
    by
        Column of the arm, or None for one model.
    stabilized
        Multiply by the Kaplan-Meier probability of not being censored within the level of ``by``: smaller weights,
        the same curves within a level.
    largest
        Weights above it are set to it; None keeps them.
    patient_col
        Column of the patient.

    Returns
    -------
    pandas.DataFrame
        The columns of ``data``, repeated for each spell, and ``entry``, ``exit``, ``failed`` (0, 1) and
        ``censoring_weight``, by patient (text order of ``patient_col``) and time. Pass them as
        ``entry_col="entry", duration_col="exit", event_col="failed", weights_col="censoring_weight"``, with
        ``cluster_col=patient_col`` where it is offered; multiply by a weight of treatment where there is one. Weights
        change at event times only: a spell ends at the last event time with as many censorings behind it as the others
        of the spell. Variances that take the weights as known are as a rule on the safe side.

    Raises
    ------
    AnalysisError
        Unknown column, no rows, missing values, values out of range, two rows of a patient, a constant or collinear
        covariate (named), a duration of 0, covariates that order the censorings perfectly so that the model has no
        finite estimate.
    UsageError
        ``largest`` not above zero.

    References
    ----------
    Robins JM, Finkelstein DM. Biometrics 2000;56:779-788. doi:10.1111/j.0006-341X.2000.00779.x

    Examples
    --------
    >>> frame = pd.DataFrame({"patient_id": list("abcd"), "x": [0, 0, 1, 1], "months": [1.0, 4.0, 2.0, 3.0]})
    >>> frame["flare"] = [0, 1, 1, 0]
    >>> spells = censoring_weights(frame, "x", duration_col="months", event_col="flare", stabilized=False)
    >>> spells.loc[spells["patient_id"] == "b", ["entry", "exit", "failed"]].to_numpy().tolist()
    [[0.0, 2.0, 0.0], [2.0, 4.0, 1.0]]
    """
    where = "censoring_weights"
    if largest is not None and not (math.isfinite(largest) and largest > 0):
        raise UsageError(
            "the largest weight must be above zero", where=f"{where}, largest", got=str(largest), remedy="use 10"
        )
    taken = [name for name in CENSORING_COLUMNS if name in data.columns]
    if taken:
        raise AnalysisError(
            "the data have a column that is to be added",
            where=f"{where}, column {', '.join(taken)}",
            remedy="rename it",
        )
    columns = survival_columns(data, duration_col=duration_col, event_col=event_col)
    require_complete(data, [patient_col], where=where)
    patients = as_text(data[patient_col])
    refuse_repeated_patients(patients, where=where)
    if np.any(columns.durations == 0):
        raise AnalysisError(
            "a patient without follow-up has no spell",
            where=f"{where}, duration_col {duration_col!r}",
            got=f"{int(np.sum(columns.durations == 0))} rows with 0",
            remedy="leave them out, or give them a short time",
        )
    covariates = covariate_columns(formula, data, where=where)[0][:, 1:]
    parts = [
        _spells(columns.durations, columns.events, covariates, rows, stabilized=stabilized, level=level)
        for level, rows in grouping(data, by).members()
    ]
    row, entry, leave, failed, weight = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.lexsort((entry, patients[row]))
    spells = data.iloc[row[order]].reset_index(drop=True)
    capped = weight if largest is None else np.minimum(weight, largest)
    added = (entry, leave, failed.astype(np.int64), capped)
    return spells.assign(**{name: values[order] for name, values in zip(CENSORING_COLUMNS, added, strict=True)})


def _spells(
    durations: FloatArray,
    events: BoolArray,
    covariates: FloatArray,
    rows: IntArray,
    *,
    stabilized: bool,
    level: str | None,
) -> tuple[IntArray, FloatArray, FloatArray, BoolArray, FloatArray]:
    """Return row, entry, exit, event and weight of each spell of one level."""
    own, failing, given = durations[rows], events[rows], covariates[rows]
    dropped = ~failing & (own < own.max())
    leaving = censoring_durations(own, failing)
    model = fit_discrete_hazard(leaving, dropped, given)
    if model is None:
        raise AnalysisError(
            "the covariates order the censorings perfectly, so the model of censoring has no finite estimate",
            where="censoring_weights" if level is None else f"censoring_weights, group {level}",
            got=f"{int(dropped.sum())} censored",
            remedy="leave terms out",
        )
    marginal = fit_discrete_hazard(leaving, dropped, np.empty((len(own), 0)))
    assert marginal is not None
    event_times = np.unique(own[failing])
    passed = np.searchsorted(model.times, event_times, side="left")
    # Event times with as many censorings behind them share their weights; a spell ends with the last of them.
    ends = event_times[np.flatnonzero(np.diff(passed, append=-1))] if len(event_times) else np.full(1, np.inf)
    starts = np.concatenate([[0.0], ends[:-1]])
    kept = model.survival_before(given, ends)
    share = marginal.survival_before(np.empty((1, 0)), ends)[0] if stabilized else np.ones(len(ends))
    count = np.searchsorted(starts, own, side="left")
    who = np.repeat(np.arange(len(own)), count)
    spell = np.arange(len(who)) - np.repeat(np.cumsum(count) - count, count)
    last = spell == count[who] - 1
    leave = np.where(last, own[who], ends[spell])
    return rows[who], starts[spell], leave, last & failing[who], share[spell] / kept[who, spell]
