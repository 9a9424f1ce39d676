"""Visits of patients as arrays, for models of a response that is not always known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from analyses.columns import (
    BoolArray,
    FloatArray,
    TextArray,
    as_text,
    refuse_repeated,
    require_columns,
    require_complete,
    visit_months,
)
from analyses.design_matrix import build_design
from analyses.kernels.response_imputation import UNKNOWN
from analyses.longitudinal.response_visits import ASSESSED, KIDNEY_FAILURE, STATUSES
from cohort.codes import EndReason, Response
from cohort.errors import AnalysisError

StateArray = npt.NDArray[np.int8]

_CODES = {Response.NR.value: 0, Response.PR.value: 1, Response.CR.value: 2}


@dataclass(frozen=True, slots=True, eq=False)
class VisitLayout:
    """Patients by visits, the patients in an order that depends on nothing but their data.

    Attributes
    ----------
    arm
        Shape (n,).
    months
        Scheduled months, shape (v,).
    states
        Assessed response, shape (n, v): 0 none, 1 partial, 2 complete, -1 not assessed.
    due, lost, terminal
        Shape (n, v): whether the visit was due; whether the patient was lost by then; whether an event before it makes
        an unassessed response known to be none.
    covariates
        Shape (n, k): indicators of every arm but the first, then the baseline covariates.
    """

    arm: TextArray
    months: FloatArray
    states: StateArray
    due: BoolArray
    lost: BoolArray
    terminal: BoolArray
    covariates: FloatArray

    @property
    def known(self) -> StateArray:
        """States with those known from events filled in."""
        return np.where(self.terminal, 0, self.states).astype(np.int8)


def arrange_visits(
    visits: pd.DataFrame, covariates: str | None, *, death_is_no_response: bool, where: str
) -> VisitLayout:
    """Arrange a frame of visits as patients by visits and check that it is complete.

    Parameters
    ----------
    visits
        Frame of :func:`analyses.longitudinal.response_visits`.
    covariates
        Right-hand side of baseline covariates, or None.
    death_is_no_response
        Whether a death makes the response known; otherwise the dead count as lost.
    where
        Name of the estimator, for messages.

    Raises
    ------
    AnalysisError
        Unknown column, no rows, missing values, a patient without a row at a visit or with two, arm or covariate that
        changes within a patient, an unknown status or response, or a response that contradicts the status.
    """
    require_complete(visits, ["patient_id", "arm", "visit_month", "due", "status"], where=where)
    require_columns(visits, ["response"], where=where)
    refuse_repeated(visits, "patient_id", "visit_month", where=where)
    month = visit_months(visits, "visit_month", where=where)
    ids, patient = np.unique(as_text(visits["patient_id"]), return_inverse=True)
    months, place = np.unique(month, return_inverse=True)
    if len(visits) != len(ids) * len(months):
        raise AnalysisError(
            "a patient has no row at a visit",
            where=f"{where}, columns patient_id, visit_month",
            got=f"{len(visits)} rows for {len(ids)} patients and {len(months)} visits",
            remedy="use the frame of response_visits(), which has a row for every visit",
        )
    at = np.empty((len(ids), len(months)), dtype=np.intp)
    at[patient, place] = np.arange(len(visits))
    arm = as_text(visits["arm"])
    columns = (
        np.empty((len(visits), 0)) if covariates is None else build_design(covariates, visits, intercept=False).matrix
    )
    levels = np.unique(arm)
    design = np.column_stack([*(arm == level for level in levels[1:]), columns]).astype(np.float64)
    if (arm[at] != arm[at[:, :1]]).any() or (design[at] != design[at[:, :1]]).any():
        raise AnalysisError(
            "the value changes within a patient",
            where=f"{where}, arm or covariates {covariates}",
            remedy="use the baseline value on every row",
        )
    states, status = _states(visits, where)
    terminal = status == KIDNEY_FAILURE
    lost = status == EndReason.LOST.value
    died = status == EndReason.DEATH.value
    terminal, lost = (terminal | died, lost) if death_is_no_response else (terminal, lost | died)
    due = visits["due"].to_numpy(dtype=bool)
    by_visit = np.concatenate([states[at], due[at], terminal[at], lost[at]], axis=1)
    order = np.lexsort(np.column_stack([by_visit, design[at[:, 0]], np.searchsorted(levels, arm[at[:, 0]])]).T)
    at = at[order]
    return VisitLayout(arm[at[:, 0]], months, states[at], due[at], lost[at], terminal[at], design[at[:, 0]])


def _states(visits: pd.DataFrame, where: str) -> tuple[StateArray, TextArray]:
    """Read responses and statuses, which must agree on who was assessed."""
    status = as_text(visits["status"])
    response = np.array(
        [str(value) for value in visits["response"].astype(object).where(visits["response"].notna(), "")]
    )
    for column, values, codes in (("status", status, STATUSES), ("response", response, (*_CODES, ""))):
        foreign = sorted(set(values.tolist()) - set(codes))
        if foreign:
            raise AnalysisError(
                f"unknown {column}",
                where=f"{where}, column {column}",
                got=", ".join(foreign),
                remedy=f"use {', '.join(code for code in codes if code)}",
            )
    wrong = ((status == ASSESSED) != (response != "")) | ((status == ASSESSED) & ~visits["due"].to_numpy(dtype=bool))
    if wrong.any():
        raise AnalysisError(
            "a visit is assessed exactly where it has a response, and is then due",
            where=f"{where}, columns response, status, due",
            got=f"{int(wrong.sum())} rows that contradict",
            remedy="use the frame of response_visits()",
        )
    states = np.array([_CODES.get(value, UNKNOWN) for value in response.tolist()], dtype=np.int8)
    return states, status
