"""One row per patient and scheduled visit, attended or not, with the reason why a response is not known."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd

from analyses.columns import BoolArray, FloatArray
from analyses.datasets import AnalysisData
from analyses.flow import MISSED, NOT_ASSESSABLE
from cohort.codes import DAYS_PER_MONTH, EndReason, Event

ASSESSED = "assessed"
KIDNEY_FAILURE = "kidney_failure"
STATUSES = (
    ASSESSED, NOT_ASSESSABLE, MISSED, EndReason.LOST.value, EndReason.DEATH.value, KIDNEY_FAILURE,
    EndReason.DATA_LOCK.value,
)  # fmt: skip


def response_visits(data: AnalysisData, *, data_lock: date | None = None) -> pd.DataFrame:
    """Lay out every scheduled visit of every patient and say whether it was due and what is known of the response.

    A visit is *due* when the patient has been in the study for long enough by the data lock, whether or not they are
    still under observation: that depends on the index date alone, so that leaving it out selects nobody by their
    course. In practice a visit is due if the patient was seen then or later, if follow-up is complete, or if the
    visit's nominal day falls by the end of the possible follow-up: for a patient whose follow-up ended at the data
    lock, the end of follow-up; for one lost or dead, the days from the index date to the data lock.

    Parameters
    ----------
    data
        Analysis frames.
    data_lock
        Calendar date of the lock. By default the latest date on which anybody's follow-up ended.

    Returns
    -------
    pandas.DataFrame
        One row per patient and scheduled month after 0, sorted: the columns of the baseline frame and

        - ``visit_month``; ``due`` (bool);
        - ``response``: ``CR``, ``PR``, ``NR``, or missing unless assessed;
        - ``status``: ``assessed``; ``death`` or ``kidney_failure`` for an unassessed patient who had died, or failed,
          by the visit's nominal day (so that the response is known from events); ``not assessable`` (seen without the
          values that decide); ``missed visit`` (seen later, or followed further); ``lost_to_follow_up`` (neither, and
          follow-up ended so); ``data_lock`` where the visit was not due.
    """
    months = np.array(data.months[1:])
    baseline = data.baseline
    frame = baseline.loc[baseline.index.repeat(len(months))].reset_index(drop=True)
    frame = frame.assign(visit_month=np.tile(months, len(baseline)).astype(np.int64))
    seen = _keys(data.responses, data.not_assessable)
    keys = frame[["patient_id", "visit_month"]]
    judged = data.responses[["patient_id", "visit_month", "response"]].astype({"visit_month": "int64"})
    frame = frame.merge(judged, on=["patient_id", "visit_month"], how="left", validate="one_to_one")
    present = keys.merge(seen, how="left", indicator="found")["found"].eq("both").to_numpy(dtype=bool)
    last_seen = frame["patient_id"].map(seen.groupby("patient_id")["visit_month"].max()).fillna(0)
    later = (last_seen >= frame["visit_month"]).to_numpy(dtype=bool)
    nominal = np.rint(frame["visit_month"].to_numpy(dtype=np.float64) * DAYS_PER_MONTH)
    due = later | _could_be_seen(frame, nominal, data_lock)
    gone = ~later & (frame["end_reason"] == EndReason.LOST.value).to_numpy(dtype=bool)
    assessed = frame["response"].notna().to_numpy(dtype=bool)
    status = np.select(
        [
            assessed,
            ~due,
            _happened(frame, data.cohort.events, Event.DEATH, nominal),
            _happened(frame, data.cohort.events, Event.ESKD, nominal),
            present,
            gone,
        ],
        [
            ASSESSED,
            EndReason.DATA_LOCK.value,
            EndReason.DEATH.value,
            KIDNEY_FAILURE,
            NOT_ASSESSABLE,
            EndReason.LOST.value,
        ],
        default=MISSED,
    )
    order = ["patient_id", "visit_month"]
    return frame.assign(due=due, status=status).sort_values(order, kind="stable").reset_index(drop=True)


def _keys(*frames: pd.DataFrame) -> pd.DataFrame:
    keys = [frame[["patient_id", "visit_month"]].astype({"visit_month": "int64"}) for frame in frames]
    return pd.concat(keys).drop_duplicates()


def _could_be_seen(frame: pd.DataFrame, nominal: FloatArray, lock: date | None) -> BoolArray:
    """Whether each visit's nominal day falls within the follow-up the patient could have had."""
    follow_up = frame["follow_up_days"].to_numpy(dtype=np.float64)
    ended = frame["index_date"] + pd.to_timedelta(follow_up, unit="D")
    locked = ended.max() if lock is None else pd.Timestamp(lock)
    possible = (locked - frame["index_date"]).dt.days.to_numpy(dtype=np.float64)
    reason = frame["end_reason"].to_numpy()
    possible = np.where(reason == EndReason.DATA_LOCK.value, follow_up, np.maximum(possible, follow_up))
    return np.asarray((reason == EndReason.COMPLETED.value) | (nominal <= possible), dtype=np.bool_)


def _happened(frame: pd.DataFrame, events: pd.DataFrame, event: Event, nominal: FloatArray) -> BoolArray:
    first = events.loc[events["event"] == event.value].groupby("patient_id")["day"].min()
    day = frame["patient_id"].map(first).to_numpy(dtype=np.float64, na_value=np.nan)
    return np.asarray(day <= nominal, dtype=np.bool_)
