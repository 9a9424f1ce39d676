"""The latest values known of a patient at a time: what a decision to start could have been based on."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from analyses.columns import BoolArray, FloatArray, TextArray, as_text, require_complete
from analyses.spell_rows import spell_numbers
from cohort.errors import AnalysisError

IntArray = npt.NDArray[np.intp]


def latest_values(
    visits: pd.DataFrame, patients: TextArray, times: FloatArray, *, patient_col: str, time_col: str
) -> pd.DataFrame:
    """Return the latest value of each column of ``visits`` known at each of some times.

    Parameters
    ----------
    visits
        One row per patient and visit: ``patient_col``, ``time_col`` and columns of values, missing where not measured.
    patients, times
        Shape ``(n,)``: of whom and when; a value measured at just that time is known.

    Returns
    -------
    pandas.DataFrame
        ``n`` rows, the columns of values. The last value that is not missing is carried forward; missing where there is
        none yet. Of two rows of a patient at one time the later row counts.

    Raises
    ------
    AnalysisError
        Unknown column, missing identifiers, times that are not finite numbers.

    Examples
    --------
    >>> seen = pd.DataFrame({"patient_id": ["a", "a", "b"], "month": [0.0, 6.0, 3.0], "upcr": [2.0, 1.0, 4.0]})
    >>> known = latest_values(seen, np.array(["a", "a", "b"]), np.array([5.0, 6.0, 2.0]), patient_col="patient_id",
    ...                       time_col="month")
    >>> known["upcr"].tolist()
    [2.0, 1.0, nan]
    """
    where = "visits"
    require_complete(visits, [patient_col, time_col], where=where)
    when = spell_numbers(visits, time_col, f"{where}, visit_time_col")
    who = as_text(visits[patient_col])
    names = np.unique(np.concatenate([who, patients]))
    moments = np.unique(np.concatenate([when, times]))
    key = np.searchsorted(names, who) * len(moments) + np.searchsorted(moments, when)
    asked = np.searchsorted(names, patients) * len(moments) + np.searchsorted(moments, times)
    first = np.searchsorted(names, patients) * len(moments)
    known = {}
    for name in [column for column in visits.columns if column not in (patient_col, time_col)]:
        measured = np.flatnonzero(visits[name].notna().to_numpy())
        order = measured[np.argsort(key[measured], kind="stable")]
        place = np.searchsorted(key[order], asked, side="right") - 1
        found = (place >= 0) & (key[order][np.maximum(place, 0)] >= first) if len(order) else np.zeros(len(asked), bool)
        taken = visits[name].iloc[order[np.where(found, place, 0)]] if len(order) else visits[name].iloc[:0]
        taken = taken.reset_index(drop=True).reindex(range(len(asked)))
        known[name] = taken.where(found)
    return pd.DataFrame(known, index=range(len(asked)))


def with_latest(
    rows: pd.DataFrame,
    visits: pd.DataFrame | None,
    patients: TextArray,
    times: FloatArray,
    *,
    patient_col: str,
    time_col: str,
) -> tuple[pd.DataFrame, BoolArray]:
    """Return rows whose covariates are the latest known, and which of them have all.

    A column of ``visits`` takes the place of the rows' own of that name. Without ``visits`` the rows are as they were.
    """
    if visits is None or not len(rows):
        return rows, np.ones(len(rows), dtype=bool)
    known = latest_values(visits, patients, times, patient_col=patient_col, time_col=time_col)
    complete = known.notna().all(axis="columns").to_numpy(dtype=bool)
    return rows.assign(**{str(name): known[name].array for name in known.columns}), complete


def refuse_unknown(complete: BoolArray, patients: TextArray, *, where: str) -> None:
    """Refuse rows whose patients lack a value at the time it is needed.

    Raises
    ------
    AnalysisError
        With the number of patients.
    """
    lacking = np.unique(patients[~complete])
    if len(lacking):
        raise AnalysisError(
            "patients at risk have no value yet of a column of the visits",
            where=where,
            got=f"{len(lacking)} patients: {', '.join(lacking[:5].tolist())}",
            remedy="give a visit at time 0, impute, or leave the column or the patients out",
        )
