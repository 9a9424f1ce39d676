"""Treatment as a time-varying exposure, beside the two analyses that immortal time spoils."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analyses.starts.hazards import treated_hazard
from analyses.starts.patients import FollowedPatients, followed_patients
from cohort.results import ResultTable, result_table

EVER = "ever v never treated, from the index date"
LEFT_OUT = "time before the start left out"
BIASED = "biased by immortal time, shown for contrast"


def exposure_spells(
    data: pd.DataFrame, *, duration_col: str, event_col: str, start_col: str, patient_col: str = "patient_id"
) -> pd.DataFrame:
    """Split each patient's follow-up at the start of treatment.

    Parameters
    ----------
    data
        One row per patient.
    duration_col, event_col
        As in :func:`analyses.survival.kaplan_meier`, counted from one index date.
    start_col
        Time from the index date to the first dose, in the same unit; missing where there is none. A start at or after
        the end of follow-up counts as none.
    patient_col
        Column of the patient.

    Returns
    -------
    pandas.DataFrame
        The columns of ``data``, one row or two per patient, by patient and time, and ``entry``, ``exit``, ``failed``
        (0, 1) and ``treated`` (0 until the start, 1 from then on, whether or not treatment is stopped later).

    Raises
    ------
    AnalysisError
        Unknown or non-numeric columns, no rows, missing durations, events or patients, two rows of a patient, a start
        before the index date, nobody or everybody who starts.

    Examples
    --------
    >>> frame = pd.DataFrame({"patient_id": ["a", "b"], "years": [3.0, 2.0], "flare": [1, 0], "start": [1.0, None]})
    >>> spells = exposure_spells(frame, duration_col="years", event_col="flare", start_col="start")
    >>> spells[["patient_id", "entry", "exit", "failed", "treated"]].to_numpy().tolist()
    [['a', 0.0, 1.0, 0, 0], ['a', 1.0, 3.0, 1, 1], ['b', 0.0, 2.0, 0, 0]]
    """
    patients = followed_patients(
        data,
        duration_col=duration_col,
        event_col=event_col,
        start_col=start_col,
        patient_col=patient_col,
        where="exposure_spells",
    )
    return _spells(data, patients)


def time_varying_start(
    data: pd.DataFrame,
    *,
    duration_col: str,
    event_col: str,
    start_col: str,
    covariates: str | None = None,
    patient_col: str = "patient_id",
    conf_level: float = 0.95,
) -> ResultTable:
    """Estimate the hazard ratio of having started, a time-varying exposure, beside two naive analyses.

    Parameters
    ----------
    data, duration_col, event_col, start_col, patient_col
        As in :func:`exposure_spells`.
    covariates
        Right-hand side of baseline covariates, or None.
    conf_level
        Of the intervals.

    Returns
    -------
    ResultTable
        Three rows ``statistic="log_hazard_ratio"``: ``population="time-varying exposure"``, with an error clustered by
        patient; and, with a ``note`` that calls them biased, ``ever v never treated, from the index date`` (the time
        before the start, in which no event could happen, counts as treated) and ``time before the start left out`` (it
        counts nowhere, and the treated are followed from their start). Where nobody of a kind has an event, a row
        without estimate says so.

    Raises
    ------
    AnalysisError
        As :func:`exposure_spells`, and for covariates as :func:`analyses.survival.fit_cox`.

    Notes
    -----
    Conditional on the covariates, patients who have started are compared with those who have not yet, at the same time
    since the index date. A covariate that changes over time, predicts the start and is changed by treatment confounds
    this comparison whether it is in the model or not; :func:`sequential_trials` takes covariates as they stand at each
    trial's baseline.

    References
    ----------
    Suissa S. Immortal time bias in pharmaco-epidemiology. Am J Epidemiol 2008;167:492-499. doi:10.1093/aje/kwm324

    Examples
    --------
    >>> frame = pd.DataFrame({"patient_id": list("abcdef"), "years": [1.0, 2, 3, 4, 5, 6], "flare": [1, 1, 1, 1, 1, 0]})
    >>> frame["start"] = [None, None, 2.0, None, 1.0, 1.0]
    >>> table = time_varying_start(frame, duration_col="years", event_col="flare", start_col="start").frame
    >>> table[["population", "estimate"]].round(2).to_numpy().tolist()[0]
    ['time-varying exposure', -1.23]
    """
    patients = followed_patients(
        data,
        duration_col=duration_col,
        event_col=event_col,
        start_col=start_col,
        patient_col=patient_col,
        where="time_varying_start",
    )
    ever, whole = np.isfinite(patients.starts), data.iloc[patients.rows].reset_index(drop=True)
    naive = whole.assign(
        entry=0.0, exit=patients.durations, failed=patients.events.astype(np.int64), treated=ever.astype(np.int64)
    )
    late = naive.assign(exit=patients.durations - np.where(ever, patients.starts, 0.0))
    rows = []
    for population, laid_out, biased in (
        ("time-varying exposure", _spells(data, patients), False),
        (EVER, naive, True),
        (LEFT_OUT, late, True),
    ):
        followed = laid_out[(laid_out["exit"] > laid_out["entry"]).to_numpy()]
        row = treated_hazard(followed, covariates, cluster_col=patient_col, conf_level=conf_level)
        said = [BIASED if biased else "", patients.remark, row.get("note")]
        kept = [one for one in said if isinstance(one, str) and one]
        rows.append(row | {"population": population, "note": "; ".join(kept) or None})
    return result_table(
        rows,
        metadata={
            "spec": {
                "function": "time_varying_start",
                "duration_col": duration_col,
                "event_col": event_col,
                "start_col": start_col,
                "covariates": covariates,
                "conf_level": conf_level,
            }
        },
        analysis="starts",
        method="Cox, Efron, error clustered by patient" + ("" if covariates is None else f", given {covariates}"),
    )


def _spells(data: pd.DataFrame, patients: FollowedPatients) -> pd.DataFrame:
    started = np.isfinite(patients.starts)
    before = np.flatnonzero(patients.starts > 0)
    after = np.flatnonzero(started)
    who = np.concatenate([before, after])
    treated = np.repeat([0, 1], [len(before), len(after)])
    ends = np.where(started & (patients.starts > 0), patients.starts, patients.durations)
    entry = np.concatenate([np.zeros(len(before)), patients.starts[after]])
    leave = np.concatenate([ends[before], patients.durations[after]])
    last = np.concatenate([~started[before], np.ones(len(after), dtype=bool)])
    order = np.lexsort((treated, who))
    spells = data.iloc[patients.rows[who[order]]].reset_index(drop=True)
    failed = (last & patients.events[who])[order].astype(np.int64)
    added = {"entry": entry[order], "exit": leave[order], "failed": failed, "treated": treated[order]}
    laid_out: pd.DataFrame = spells.assign(**added)
    return laid_out
