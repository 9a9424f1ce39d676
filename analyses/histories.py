"""Histories of renal response: each patient's spells in the states NR, PR, CR, flare, ESKD and death."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import pandas as pd

from analyses.datasets import DAYS_PER_YEAR, AnalysisData
from cohort.codes import DAYS_PER_MONTH, Event, Response
from cohort.errors import UsageError

MissedVisits = Literal["carry", "censor"]

FLARE, ESKD, DEATH = "flare", "eskd", "death"
STATES = (Response.NR.value, Response.PR.value, Response.CR.value, FLARE, ESKD, DEATH)
"""States of a history, in the order of results."""

HALF_A_DAY = 0.5
"""When what happens on day 0 is dated, since a history begins there."""

_RANK = {name: rank for rank, name in enumerate((*STATES[:3], FLARE, ESKD, DEATH))}


def response_history(
    data: AnalysisData, *, missed_visits: MissedVisits = "carry", horizon_years: float | None = None
) -> pd.DataFrame:
    """Lay out each patient's course as spells in states, as multi-state estimators take them.

    - Everybody is in no response (NR) on day 0.
    - Response is known at visits only: a change is dated on the day of the scheduled visit that shows it, and the
      state then holds until the next. The change happened at some time since the visit before, so the time to a
      response is overstated by up to the interval between visits.
    - A renal flare is a state from the day it is derived on, scheduled visit or not, to the next scheduled visit
      assessed after it; what is assessed on the very day of a flare is part of it.
    - ESKD ends response: only death leaves it, and later responses and flares are not counted. Death is final. Of
      what falls on one day the gravest counts, death before ESKD before flare before response; what falls on day 0 is
      dated half a day later.
    - Follow-up ends on the patient's last day under observation.

    Parameters
    ----------
    data
        Analysis frames of a cohort.
    missed_visits
        What becomes of a patient whose scheduled visit is missed, or cannot be assessed, during follow-up. ``carry``:
        the last state holds until the next visit assessed, as registries take it; the patient stays at risk of flare,
        ESKD and death, which are recorded whenever they happen. ``censor``: observation ends on the nominal day of
        the first visit missed, unless an event came before; this leaves out what is known of the patient later.
    horizon_years
        Where to cut; None keeps all follow-up. Visits of the last scheduled month fall on both sides of its nominal
        day, so a cut there loses some of them.

    Returns
    -------
    pandas.DataFrame
        One row per spell, ordered by patient and time: ``patient_id``, ``start`` and ``stop`` in years from day 0,
        ``from_state`` during the spell and ``to_state`` entered at its stop (the same when follow-up ends), both
        ordered categoricals of :data:`STATES`, and the columns of ``data.baseline``. A patient's spells follow each
        other without gap. Patients without any follow-up after day 0 have no row.

    Raises
    ------
    UsageError
        Unknown ``missed_visits``, or a ``horizon_years`` not above zero.

    See Also
    --------
    analyses.longitudinal.state_occupancy, analyses.longitudinal.transition_probabilities
    """
    if missed_visits not in get_args(MissedVisits):
        raise UsageError(
            "unknown choice", where="response_history, missed_visits", got=repr(missed_visits), remedy="carry or censor"
        )
    if horizon_years is not None and not horizon_years > 0:
        raise UsageError("must be above zero", where="response_history, horizon_years", got=str(horizon_years))
    end = data.baseline.set_index("patient_id")["follow_up_days"].astype(np.float64)
    if missed_visits == "censor":
        missed = _first_missed(data)
        end = end.clip(upper=missed.reindex(end.index).fillna(np.inf))
    changes = _changes(data)
    changes = changes[(changes["day"] <= changes["patient_id"].map(end)).to_numpy(dtype=bool)]
    spells = _spells(changes, end, np.inf if horizon_years is None else horizon_years)
    return spells.merge(data.baseline, on="patient_id", how="left", validate="many_to_one")


def visit_states(data: AnalysisData) -> pd.DataFrame:
    """Lay out the state of each patient at each scheduled visit, for transitions between visits.

    Returns
    -------
    pandas.DataFrame
        One row per patient and scheduled month in which the state is known: ``patient_id, arm, visit_month, state``.
        Month 0 is NR. At a visit assessed, the response, or ``flare`` when a flare was derived on that day or since
        the scheduled visit before; after ESKD or death (by the day of the visit, by the nominal day where there was
        none), that. A visit missed without them has no row.
    """
    failures = _failures(data).groupby(["patient_id", "state"])["day"].min().unstack()
    failures = failures.reindex(columns=[ESKD, DEATH]).reindex(data.baseline["patient_id"])
    seen = _visit_days(data)
    grid = data.baseline[["patient_id", "arm"]].merge(pd.DataFrame({"visit_month": list(data.months)}), how="cross")
    grid = grid.merge(seen, on=["patient_id", "visit_month"], how="left").merge(
        data.responses[["patient_id", "visit_month", "response"]], on=["patient_id", "visit_month"], how="left"
    )
    day = grid["day"].fillna(grid["visit_month"] * DAYS_PER_MONTH).to_numpy(dtype=np.float64)
    state = grid["response"].astype(object).to_numpy(copy=True)
    state[(grid["visit_month"] == 0).to_numpy()] = Response.NR.value
    assessed = pd.notna(state)
    state[_flared(data, grid["patient_id"], grid["visit_month"], day) & assessed] = FLARE
    for name in (ESKD, DEATH):
        happened = failures[name].reindex(grid["patient_id"]).to_numpy(dtype=np.float64)
        state[happened <= day] = name
    known = grid.assign(state=pd.Categorical(state, categories=list(STATES), ordered=True))
    return known.loc[pd.notna(state), ["patient_id", "arm", "visit_month", "state"]].reset_index(drop=True)


def first_response_days(data: AnalysisData, outcome: str = "CR or PR") -> pd.Series:
    """Return the day of each patient's first response at a scheduled visit, indexed by patient; none, no entry.

    Parameters
    ----------
    data
        Analysis frames of a cohort.
    outcome
        ``CR``, or ``CR or PR``.

    Raises
    ------
    UsageError
        Another ``outcome``.
    """
    counted = {"CR": [Response.CR.value], "CR or PR": [Response.CR.value, Response.PR.value]}
    if outcome not in counted:
        raise UsageError("unknown outcome", where="outcome", got=repr(outcome), remedy="use 'CR' or 'CR or PR'")
    seen = data.responses[data.responses["response"].isin(counted[outcome])]
    days = seen[["patient_id", "visit_month"]].merge(_visit_days(data), on=["patient_id", "visit_month"])
    return days.groupby("patient_id")["day"].min().astype(np.float64)


def _flared(data: AnalysisData, patients: pd.Series, months: pd.Series, days: np.ndarray) -> np.ndarray:
    """Whether a flare was derived since the patient's visit slot before, shape of the grid, which runs by patient."""
    before = np.where(months.to_numpy() == data.months[0], -np.inf, np.roll(days, 1))
    grid = pd.DataFrame({"patient_id": patients.to_numpy(), "row": np.arange(len(days)), "day": days, "before": before})
    near = grid.merge(data.flares[["patient_id", "day"]], on="patient_id", suffixes=("", "_flare"))
    hit = near.loc[(near["day_flare"] > near["before"]) & (near["day_flare"] <= near["day"]), "row"]
    return np.isin(grid["row"].to_numpy(), hit.to_numpy())


def _visit_days(data: AnalysisData) -> pd.DataFrame:
    visits = data.cohort.visits
    scheduled = visits[visits["visit_month"].notna()].astype({"visit_month": "int64"})
    return scheduled[["patient_id", "visit_month", "day"]]


def _failures(data: AnalysisData) -> pd.DataFrame:
    names = {Event.ESKD.value: ESKD, Event.DEATH.value: DEATH}
    events = data.cohort.events[data.cohort.events["event"].isin(list(names))]
    return pd.DataFrame({"patient_id": events["patient_id"], "day": events["day"], "state": events["event"].map(names)})


def _first_missed(data: AnalysisData) -> pd.Series:
    """Nominal day of the first scheduled visit without an assessed response, by patient."""
    months = [month for month in data.months if month > 0]
    every = data.baseline[["patient_id"]].merge(pd.DataFrame({"visit_month": months}), how="cross")
    seen = data.responses[["patient_id", "visit_month"]].assign(seen=True)
    lacking = every.merge(seen, on=["patient_id", "visit_month"], how="left")
    lacking = lacking[lacking["seen"].isna().to_numpy()]
    return lacking.groupby("patient_id")["visit_month"].min() * DAYS_PER_MONTH


def _changes(data: AnalysisData) -> pd.DataFrame:
    """What is seen of each patient, one state a day: ``patient_id, day, state``, in order."""
    assessed = data.responses.merge(_visit_days(data), on=["patient_id", "visit_month"], validate="one_to_one")
    failures = _failures(data)
    seen = pd.concat(
        [
            _sightings(data.baseline["patient_id"], 0.0, Response.NR.value),
            _sightings(assessed["patient_id"], assessed["day"], assessed["response"]),
            _sightings(data.flares["patient_id"], data.flares["day"], FLARE),
            _sightings(failures["patient_id"], failures["day"], failures["state"]),
        ],
        ignore_index=True,
    )
    rank = seen["state"].map(_RANK)
    later = seen["day"].where((rank < _RANK[FLARE]) | (seen["day"] > 0), HALF_A_DAY)
    seen = seen.assign(day=later, rank=rank).sort_values(["patient_id", "day", "rank"], kind="stable")
    seen = seen.drop_duplicates(["patient_id", "day"], keep="last")
    # Nothing but death comes after ESKD, and nothing after death.
    gravest = seen["rank"].where(seen["rank"] >= _RANK[ESKD], -1).groupby(seen["patient_id"]).cummax()
    return seen.loc[seen["rank"] >= gravest, ["patient_id", "day", "state"]]


def _sightings(patients: pd.Series, days: pd.Series | float, states: pd.Series | str) -> pd.DataFrame:
    """Frame of one kind of sighting, of the same types whether or not there are any."""
    frame = pd.DataFrame({"patient_id": patients, "day": days, "state": states})
    return frame.astype({"patient_id": "object", "day": "float64", "state": "object"})


def _spells(changes: pd.DataFrame, end: pd.Series, horizon_years: float) -> pd.DataFrame:
    """Turn states and the days they are seen on into spells; a state seen again goes on."""
    again = changes["state"].eq(changes.groupby("patient_id")["state"].shift())
    changes = changes[~again.to_numpy()]
    following = changes.groupby("patient_id")[["day", "state"]].shift(-1)
    leaves = following["day"].notna().to_numpy()
    start = changes["day"].to_numpy() / DAYS_PER_YEAR
    last = changes["patient_id"].map(end).to_numpy(dtype=np.float64)
    stop = np.where(leaves, following["day"], last) / DAYS_PER_YEAR
    leaves &= stop <= horizon_years
    target = np.where(leaves, following["state"], changes["state"])
    spells = pd.DataFrame(
        {
            "patient_id": changes["patient_id"].to_numpy(),
            "start": start,
            "stop": np.minimum(stop, horizon_years),
            "from_state": pd.Categorical(changes["state"], categories=list(STATES), ordered=True),
            "to_state": pd.Categorical(target, categories=list(STATES), ordered=True),
        }
    )
    lasting = (spells["stop"] > spells["start"]) & (spells["from_state"] != DEATH)
    return spells[lasting].reset_index(drop=True)
