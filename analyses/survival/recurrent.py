"""Recurrent events: frames of flares, Andersen-Gill and Prentice-Williams-Peterson models, mean numbers of events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analyses.columns import require_columns, require_probability
from analyses.datasets import DAYS_PER_YEAR, AnalysisData
from analyses.design_matrix import existing_column, ordered_levels
from analyses.histories import first_response_days
from analyses.kernels.mean_count import mean_count
from analyses.kernels.probability_interval import normal_quantile
from analyses.kernels.spells import Spells
from analyses.spell_rows import refuse, spell_groups, spell_numbers, spell_weights
from analyses.survival.cox import fit_cox
from analyses.survival.cox_fit import CoxFit
from cohort.codes import Event
from cohort.errors import AnalysisError, UsageError
from cohort.results import ResultTable, result_table

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]
RecurrentModel = Literal["andersen-gill", "pwp-total", "pwp-gap"]

MODEL_NAMES: dict[str, str] = {
    "andersen-gill": "Andersen-Gill",
    "pwp-total": "Prentice-Williams-Peterson, total time",
    "pwp-gap": "Prentice-Williams-Peterson, gap time",
}
NOTHING_YET = "no event yet: no interval"
DIGITS = 10
"""Significant digits of the longest gap to which gap times are rounded, so that equal gaps stay tied."""


def recurrent_flares(data: AnalysisData, *, from_response: bool = False) -> pd.DataFrame:
    """Lay out renal flares as a counting process: one row from each flare to the next.

    Parameters
    ----------
    data
        Analysis frames of a cohort.
    from_response
        False: patients are at risk from day 0, as randomised comparisons take it. True: they enter at the first
        response (delayed entry, the clock still runs from day 0) and patients who never respond have no row; that is
        descriptive, since response comes after treatment.

    Returns
    -------
    pandas.DataFrame
        ``patient_id``, ``start`` and ``stop`` in years from day 0, ``event`` (0, 1), ``number`` (1 for the time to
        the first flare, and so on), ``terminal`` (1 where ESKD or death ends the row) and the columns of
        ``data.baseline``. Rows end at ESKD, death, the end of follow-up or ``data.horizon_years``. The definition of
        a flare asks for a response after the flare before; that a patient cannot flare until then is not taken out of
        the time at risk. Flares on the day a patient leaves observation count.
    """
    failures = data.cohort.events[data.cohort.events["event"].isin([Event.ESKD.value, Event.DEATH.value])]
    last = failures.groupby("patient_id")["day"].min().reindex(data.baseline["patient_id"]).to_numpy(dtype=np.float64)
    end = pd.DataFrame(
        {
            "patient_id": data.baseline["patient_id"],
            "end": np.fmin(last, data.baseline["follow_up_days"].to_numpy(dtype=np.float64)),
            "failed": ~np.isnan(last),
            "entry": 0.0,
        }
    )
    if from_response:
        end["entry"] = end["patient_id"].map(first_response_days(data))
        end = end[(end["entry"] < end["end"]).to_numpy()]
    flares = data.flares[["patient_id", "day"]].merge(end, on="patient_id")
    flares = flares[((flares["day"] <= flares["end"]) & (flares["day"] > flares["entry"])).to_numpy()]
    flaring = flares.drop(columns="day").assign(event=1, stop=flares["day"].astype(np.float64))
    rows = pd.concat([flaring.astype(end.dtypes), end.assign(event=0, stop=end["end"])], ignore_index=True)
    rows = rows.sort_values(["patient_id", "stop", "event"], ascending=[True, True, False], kind="stable")
    before = rows.groupby("patient_id")["stop"].shift()
    rows = rows.assign(start=before.fillna(rows["entry"]), number=rows.groupby("patient_id").cumcount() + 1)
    rows = rows.assign(start=rows["start"] / DAYS_PER_YEAR, reached=rows["stop"] / DAYS_PER_YEAR)
    rows = rows[((rows["start"] < rows["reached"]) & (rows["start"] < data.horizon_years)).to_numpy()]
    ends_it = rows["stop"].eq(rows["end"]).to_numpy()
    within = (rows["reached"] <= data.horizon_years).to_numpy()
    frame = pd.DataFrame(
        {
            "patient_id": rows["patient_id"],
            "start": rows["start"],
            "stop": np.minimum(rows["reached"], data.horizon_years),
            "event": (rows["event"].eq(1).to_numpy() & within).astype(np.int64),
            "number": rows["number"].astype(np.int64),
            "terminal": (rows["failed"].to_numpy(dtype=bool) & ends_it & within).astype(np.int64),
        }
    )
    return frame.merge(data.baseline, on="patient_id", validate="many_to_one")


def fit_recurrent(
    data: pd.DataFrame,
    formula: str,
    *,
    model: RecurrentModel = "andersen-gill",
    subject_col: str = "patient_id",
    start_col: str = "start",
    stop_col: str = "stop",
    event_col: str = "event",
    last_number: int | None = None,
    weights_col: str | None = None,
    strata: str | Sequence[str] | None = None,
    ties: Literal["efron", "breslow"] = "efron",
    conf_level: float = 0.95,
) -> CoxFit:
    """Fit a Cox-type model of recurrent events, with the variance clustered by patient.

    Parameters
    ----------
    data
        Counting-process rows, for instance of :func:`recurrent_flares`: a patient's rows do not overlap.
    formula
        Right-hand side, as for :func:`analyses.survival.fit_cox`.
    model
        ``andersen-gill``: all events on one scale with one baseline, the rate of events whatever came before.
        ``pwp-total``: a baseline for each event number, time since the origin: the hazard of the next event among
        patients who have had the ones before. ``pwp-gap``: the same with time since the event before (since the start
        of the patient's first row for the first). Conditioning on earlier events, which treatment may have prevented,
        gives up the comparability of the arms beyond the first event.
    subject_col, start_col, stop_col, event_col
        Patient, ends of the row, and 1 where it ends in an event.
    last_number
        Event number in which all later ones are pooled; the strata of late events are sparse.
    weights_col, strata, ties, conf_level
        As for :func:`analyses.survival.fit_cox`.

    Returns
    -------
    CoxFit
        ``n`` counts rows.

    Raises
    ------
    AnalysisError
        As :func:`analyses.survival.fit_cox`; also for rows of a patient that overlap, naming patients.
    UsageError
        Unknown ``model``, ``last_number`` below 1.

    References
    ----------
    Andersen and Gill (1982), doi:10.1214/aos/1176345976. Prentice, Williams and Peterson (1981),
    doi:10.1093/biomet/68.2.373. Lin, Wei, Yang and Ying (2000), doi:10.1111/1467-9868.00259, for the variance.

    Examples
    --------
    >>> rows = pd.DataFrame({"patient_id": ["a", "a", "b", "c", "d"], "start": [0, 3, 0, 0, 0],
    ...                      "stop": [3, 7, 5, 6, 8], "event": [1, 1, 0, 1, 0], "x": [1, 1, 0, 0, 1]})
    >>> fit_recurrent(rows, "x").tidy().frame[["term", "estimate"]].round(3).to_numpy().tolist()
    [['x', -0.347]]
    """
    where = "fit_recurrent"
    if model not in get_args(RecurrentModel):
        raise UsageError(
            "unknown model", where=f"{where}, model", got=repr(model), remedy=f"use one of {', '.join(MODEL_NAMES)}"
        )
    if last_number is not None and last_number < 1:
        raise UsageError("must be 1 or more", where=f"{where}, last_number", got=str(last_number))
    require_columns(data, [subject_col, start_col, stop_col, event_col], where=where)
    course = _course(data, subject_col, start_col, stop_col, event_col, where)
    ordinal = _free_name(data, "event number")
    rows = data.assign(**{ordinal: course.number if last_number is None else np.minimum(course.number, last_number)})
    entry, duration = start_col, stop_col
    if model == "pwp-gap":
        entry, duration = _free_name(data, "gap entry"), _free_name(data, "gap time")
        longest = float((course.stops - course.origin).max())
        decimals = DIGITS - int(np.ceil(np.log10(longest)))
        rows = rows.assign(
            **{
                entry: np.round(course.starts - course.origin, decimals),
                duration: np.round(course.stops - course.origin, decimals),
            }
        )
    chosen = [strata] if isinstance(strata, str) else list(strata or [])
    fit = fit_cox(
        rows,
        formula,
        duration_col=duration,
        event_col=event_col,
        entry_col=entry,
        weights_col=weights_col,
        strata=chosen if model == "andersen-gill" else [*chosen, ordinal],
        cluster_col=subject_col,
        ties=ties,
        conf_level=conf_level,
    )
    return replace(fit, method=f"{MODEL_NAMES[model]}: {fit.method}")


def mean_cumulative_events(
    data: pd.DataFrame,
    *,
    subject_col: str = "patient_id",
    start_col: str = "start",
    stop_col: str = "stop",
    event_col: str = "event",
    terminal_col: str | None = None,
    by: str | None = None,
    weights_col: str | None = None,
    conf_level: float = 0.95,
) -> ResultTable:
    """Estimate the mean number of events per patient by each time.

    Parameters
    ----------
    data, subject_col, start_col, stop_col, event_col
        Counting-process rows, as for :func:`fit_recurrent`.
    terminal_col
        1 where death (or another end of all events) ends the row. Events are then counted per patient enrolled, the
        dead included (Ghosh and Lin). Without it the dead count as censored: the mean of a world without deaths.
    by
        Column whose levels are estimated apart, in sorted order; constant within a patient.
    weights_col
        Positive weights.
    conf_level
        Coverage of the pointwise interval, made on the log scale.

    Returns
    -------
    ResultTable
        ``statistic="mean_events"``, one row per ``group`` and distinct stop: ``estimate`` the mean number up to and
        including ``time``; ``std_error``, robust to any dependence between a patient's events; ``n`` weight at risk
        just before ``time`` and ``n_events`` weight of events at it; ``note`` before the first event, where there is
        no interval.

    Raises
    ------
    AnalysisError
        As :func:`fit_recurrent`; also for a patient in two groups.
    UsageError
        ``conf_level`` out of range.

    References
    ----------
    Lawless and Nadeau (1995), doi:10.1080/00401706.1995.10484300. Ghosh and Lin (2000),
    doi:10.1111/j.0006-341X.2000.00554.x.

    Examples
    --------
    >>> rows = pd.DataFrame({"patient_id": ["a", "a", "b"], "start": [0, 1, 0], "stop": [1, 3, 2], "event": [1, 1, 0]})
    >>> mean_cumulative_events(rows).frame[["time", "estimate"]].to_numpy().tolist()
    [[1.0, 0.5], [2.0, 0.5], [3.0, 1.5]]
    """
    where = "mean_cumulative_events"
    require_probability(conf_level, "conf_level")
    require_columns(data, [subject_col, start_col, stop_col, event_col], where=where)
    course = _course(data, subject_col, start_col, stop_col, event_col, where)
    deaths = None if terminal_col is None else _flags(data, terminal_col, f"{where}, terminal_col")
    levels, codes = spell_groups(data, by, course.subjects, course.patients, where)
    weights = spell_weights(data, weights_col, course.patients, where)
    half = normal_quantile(conf_level)
    parts = []
    for code, level in enumerate(levels):
        own = np.flatnonzero(codes == code)
        known, subjects = np.unique(course.subjects[own], return_inverse=True)
        events = course.events[own]
        dying = None if deaths is None else deaths[own]
        spells = Spells(
            starts=course.starts[own],
            stops=course.stops[own],
            subjects=subjects,
            states=np.zeros(len(own), dtype=np.intp),
            happens=events if dying is None else events | dying,
            weights=weights[own],
            n_subjects=len(known),
        )
        curve = mean_count(spells, events, deaths=dying)
        mean = np.where(curve.mean > 0, curve.mean, np.nan)
        part = pd.DataFrame(
            {
                "time": curve.times,
                "estimate": curve.mean,
                "std_error": curve.std_error,
                "conf_low": mean * np.exp(-half * curve.std_error / mean),
                "conf_high": mean * np.exp(half * curve.std_error / mean),
                "n": curve.at_risk,
                "n_events": curve.events,
                "note": pd.Series([NOTHING_YET] * len(mean), dtype="string").where(np.isnan(mean)),
            }
        )
        parts.append(part.assign(group=pd.Series([level] * len(part), dtype="string")))
    name = "Nelson-Aalen mean" if terminal_col is None else "Ghosh-Lin mean"
    return result_table(
        pd.concat(parts, ignore_index=True),
        metadata={
            "spec": {
                "function": where,
                "subject_col": subject_col,
                "start_col": start_col,
                "stop_col": stop_col,
                "event_col": event_col,
                "terminal_col": terminal_col,
                "by": by,
                "weights_col": weights_col,
            }
        },
        analysis="survival",
        statistic="mean_events",
        conf_level=conf_level,
        method=f"{name} number of events, infinitesimal-jackknife variance, log interval",
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Courses:
    """Checked rows in the order of the data, shape ``(n,)``.

    ``patients`` names each row's patient, ``number`` is that of the event a row leads to, ``origin`` the time its gap
    began: the patient's first start, or the event before.
    """

    starts: FloatArray
    stops: FloatArray
    events: NDArray[np.bool_]
    subjects: IntArray
    patients: NDArray[np.object_]
    number: IntArray
    origin: FloatArray


def _course(
    data: pd.DataFrame, subject_col: str, start_col: str, stop_col: str, event_col: str, where: str
) -> _Courses:
    names, subjects = ordered_levels(existing_column(data, subject_col, role=f"{where}, subject_col"))
    patients = np.array(names, dtype=object)[subjects]
    starts, stops = (spell_numbers(data, name, where) for name in (start_col, stop_col))
    events = _flags(data, event_col, f"{where}, event_col")
    times = f"{where}, columns {start_col}, {stop_col}"
    refuse(starts < 0, patients, where=times, what="times must not be negative")
    refuse(stops <= starts, patients, where=times, what="a row must stop after it starts")
    order = np.lexsort((starts, subjects))
    first = np.diff(subjects[order], prepend=-1) != 0
    previous_stop = np.roll(stops[order], 1)
    overlap = np.zeros(len(order), dtype=bool)
    overlap[order] = ~first & (starts[order] < previous_stop)
    refuse(overlap, patients, where=times, what="rows of a patient overlap in time")
    earlier: IntArray = np.cumsum(events[order]) - events[order]
    rows = np.arange(len(order))
    opens = np.maximum.accumulate(np.where(first, rows, 0))
    fresh = np.maximum.accumulate(np.where(first | np.roll(events[order], 1), rows, 0))
    begun = np.where(first, starts[order], previous_stop)
    number, origin = np.empty(len(order), dtype=np.intp), np.empty(len(order))
    number[order] = earlier - earlier[opens] + 1
    origin[order] = begun[fresh]
    return _Courses(starts, stops, events, subjects, patients, number, origin)


def _flags(data: pd.DataFrame, name: str, role: str) -> NDArray[np.bool_]:
    values = spell_numbers(data, name, role)
    if not np.isin(values, (0.0, 1.0)).all():
        raise AnalysisError(
            "values must be 0 or 1",
            where=f"{role} {name!r}",
            got=f"{np.count_nonzero(~np.isin(values, (0.0, 1.0)))} other values",
            remedy="code what happens as 1",
        )
    return values > 0


def _free_name(data: pd.DataFrame, wanted: str) -> str:
    """A column name that the data do not use."""
    while wanted in data.columns:
        wanted += " "
    return wanted
