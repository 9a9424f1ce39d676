"""Outcome after response without immortal time: landmark frames, and rows split at the first response."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import pandas as pd

from analyses.datasets import DAYS_PER_YEAR, AnalysisData
from analyses.histories import first_response_days, response_history
from cohort.errors import UsageError

Endpoint = Literal["event_free", "poor_outcome"]

_COLUMNS = {"event_free": ("years", "event"), "poor_outcome": ("poor_outcome_years", "poor_outcome")}


@dataclass(frozen=True, slots=True)
class Landmark:
    """Patients at a landmark.

    Attributes
    ----------
    rows
        One row per patient event-free and under observation at the landmark: ``years`` from the landmark to the event
        or to censoring, ``event`` (0, 1), with ``endpoint="event_free"`` its ``cause`` as in ``AnalysisData``;
        ``state``, what is known by then (``NR``, ``PR``, ``CR``; ``flare`` can occur with the poor outcome only), an
        ordered categorical; ``assessed_years``, how long before the landmark response was last assessed (missing if
        never: such patients are NR); and the columns of the baseline.
    left_out
        ``reason, patients``: how many are left out because the event came before, observation ended before, or no
        assessment was recent enough.
    """

    rows: pd.DataFrame
    left_out: pd.DataFrame


def landmark(
    data: AnalysisData,
    *,
    at_years: float,
    endpoint: Endpoint = "event_free",
    assessed_within_years: float | None = None,
) -> Landmark:
    """Choose the patients event-free and under observation at a time, and classify them by response then.

    Only what is known by the landmark classifies, and only what comes after it counts, so nobody's class is bought
    with event-free time. Scheduled visits spread around their nominal day: a landmark a little later than a visit's
    (with ``assessed_within_years`` about twice that) takes in the whole of it.

    Parameters
    ----------
    data
        Analysis frames of a cohort.
    at_years
        The landmark, in years from day 0.
    endpoint
        ``event_free``: the first of renal flare, ESKD and death; ``poor_outcome``: the first of ESKD and death.
    assessed_within_years
        Leave out patients whose last assessment of response is further back than this; None keeps all, the last
        state carried forward and those never assessed as NR.

    Returns
    -------
    Landmark
        Frames for :func:`analyses.survival.kaplan_meier`, ``logrank`` and ``fit_cox`` with ``duration_col="years",
        event_col="event"`` and ``by="state"`` or a formula with ``state``. They may have no rows.

    Raises
    ------
    UsageError
        ``at_years`` not between 0 and ``data.horizon_years``, an unknown ``endpoint``.

    References
    ----------
    Anderson, Cain and Gelber (1983), doi:10.1200/JCO.1983.1.11.710.
    """
    where = "landmark"
    _check_endpoint(endpoint, where)
    if not 0 < at_years < data.horizon_years:
        raise UsageError(
            f"must lie between 0 and {data.horizon_years:g}, where follow-up is cut",
            where=f"{where}, at_years",
            got=str(at_years),
        )
    if assessed_within_years is not None and not assessed_within_years > 0:
        raise UsageError("must be above zero", where=f"{where}, assessed_within_years", got=str(assessed_within_years))
    duration, event = _COLUMNS[endpoint]
    frame = data.event_free.reset_index(drop=True)
    reached = (frame[duration] > at_years).to_numpy()
    failed = ~reached & frame[event].eq(1).to_numpy()
    assessed = frame["patient_id"].map(_last_assessed(data, at_years)).to_numpy(dtype=np.float64)
    since = at_years - assessed
    recent = np.ones(len(frame), dtype=bool) if assessed_within_years is None else since <= assessed_within_years
    kept = reached & recent
    rows = frame[kept].assign(
        years=frame.loc[kept, duration] - at_years,
        event=frame.loc[kept, event],
        state=_states_at(data, at_years).reindex(frame.loc[kept, "patient_id"]).array.remove_unused_categories(),
        assessed_years=since[kept],
    )
    reasons = {
        "the event came before the landmark": failed,
        "observation ended before the landmark": ~reached & ~failed,
        "response was not assessed recently enough": reached & ~recent,
    }
    left_out = pd.DataFrame({"reason": list(reasons), "patients": [int(which.sum()) for which in reasons.values()]})
    surplus = ["poor_outcome_years", "poor_outcome"] + (["cause"] if endpoint == "poor_outcome" else [])
    return Landmark(rows.drop(columns=surplus).reset_index(drop=True), left_out)


def since_first_response(
    data: AnalysisData, *, outcome: Literal["CR", "CR or PR"] = "CR or PR", endpoint: Endpoint = "event_free"
) -> pd.DataFrame:
    """Split each patient's time from day 0 at the first response.

    The rows with ``responded`` 1 are the responders, who enter at their first response (delayed entry, the clock runs
    from day 0): with ``entry_col="start"`` they give event-free survival after response without counting the time
    before it. All rows together give a Cox model in which ``responded`` changes with time. Both are descriptive: who
    responds is not assigned. A flare is defined after a response only, so before it just ESKD and death can be events.

    Parameters
    ----------
    data
        Analysis frames of a cohort.
    outcome
        Which response: complete, or complete or partial.
    endpoint
        As for :func:`landmark`.

    Returns
    -------
    pandas.DataFrame
        One or two rows per patient: ``patient_id``, ``start`` and ``stop`` in years from day 0, ``event`` (0, 1), with
        ``endpoint="event_free"`` its ``cause``, ``responded`` (0, 1) and the columns of the baseline. A response on
        the day of the event or of the end of observation opens no row.

    Raises
    ------
    UsageError
        Unknown ``outcome`` or ``endpoint``.

    References
    ----------
    Suissa (2008), doi:10.1093/aje/kwm324, on immortal time.
    """
    _check_endpoint(endpoint, "since_first_response")
    duration, event = _COLUMNS[endpoint]
    frame = data.event_free[(data.event_free[duration] > 0).to_numpy()].reset_index(drop=True)
    end = frame[duration].to_numpy(dtype=np.float64)
    day = frame["patient_id"].map(first_response_days(data, outcome)).to_numpy(dtype=np.float64)
    response = np.where(np.isnan(day), math.inf, day / DAYS_PER_YEAR)
    splits = response < end
    surplus = ["years", "poor_outcome_years", "poor_outcome"] + (["cause"] if endpoint == "poor_outcome" else [])
    happened = frame[event].to_numpy(dtype=np.int64)
    base = frame.assign(event=happened).drop(columns=surplus)
    first = base.assign(start=0.0, stop=np.minimum(end, response), responded=0, event=np.where(splits, 0, happened))
    if endpoint == "event_free":
        first = first.assign(cause=np.where(splits, 0, frame["cause"]))
    second = base.assign(start=response, stop=end, responded=1)[splits]
    # Those who respond on day 0 have no time before it.
    both = pd.concat([first[(first["stop"] > 0).to_numpy()], second])
    ordered = both.sort_values(["patient_id", "start"], kind="stable").reset_index(drop=True)
    leading = ["patient_id", "start", "stop", "event", *(["cause"] if endpoint == "event_free" else []), "responded"]
    return ordered[[*leading, *(name for name in ordered.columns if name not in leading)]]


def _check_endpoint(endpoint: str, where: str) -> None:
    if endpoint not in get_args(Endpoint):
        raise UsageError(
            "unknown endpoint",
            where=f"{where}, endpoint",
            got=repr(endpoint),
            remedy=f"use one of {', '.join(get_args(Endpoint))}",
        )


def _states_at(data: AnalysisData, at_years: float) -> pd.Series:
    """State of each patient at a time, indexed by patient."""
    history = response_history(data)
    now = history[((history["start"] <= at_years) & (history["stop"] > at_years)).to_numpy()]
    return now.set_index("patient_id")["from_state"]


def _last_assessed(data: AnalysisData, at_years: float) -> pd.Series:
    """When response was last assessed by a time, in years, indexed by patient."""
    visits = data.cohort.visits
    scheduled = visits[visits["visit_month"].notna()].astype({"visit_month": "int64"})
    seen = data.responses[["patient_id", "visit_month"]].merge(
        scheduled[["patient_id", "visit_month", "day"]], on=["patient_id", "visit_month"]
    )
    years = seen["day"] / DAYS_PER_YEAR
    return years[(years <= at_years).to_numpy()].groupby(seen["patient_id"]).max()
