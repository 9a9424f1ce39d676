"""Rows that are not there: lost visits, results missing at random, results missing because of what they would show."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cohort.codes import Fault
from synthetic.dirt.draws import FloatArray
from synthetic.dirt.layout import CASTS, PATIENT, VISIT, Sheet
from synthetic.dirt.planting import Planting

SICKER = {"ALB": -1, "C3": -1, "C4": -1, "DSDNA": 1, "HB": -1, "URBC": 1, "CAST": 1}
"""Secondary items, and whether high (1) or low (-1) values show sicker patients."""


def plant_losses(planting: Planting) -> None:
    """Remove visits with their results, then single results; must come before every other kind of fault."""
    draft = planting.draft
    visits, labs = draft.clean[Sheet.VISITS], draft.clean[Sheet.LABS]
    kind, what = Fault.VISIT_LOST, "visit lost with its results"
    lost = planting.share({kind: _proteinuria_weight(visits, labs)}, Sheet.VISITS.value)
    for hit in planting.hits(kind, [lost[kind]]):
        fault_id = draft.open(kind)
        draft.remove(fault_id, kind, Sheet.VISITS, hit.unit, what=what)
        for row in planting.lab_rows.get((visits[PATIENT].iloc[hit.unit], visits[VISIT].iloc[hit.unit]), ()):
            draft.remove(fault_id, kind, Sheet.LABS, row, what=what)
    weights = {
        Fault.LAB_MISSING_AT_RANDOM: np.ones(len(labs)),
        Fault.LAB_MISSING_NOT_AT_RANDOM: _sickness_weight(labs),
    }
    for kind, pool in planting.share(weights, Sheet.LABS.value).items():
        for hit in planting.row_hits(kind, [pool]):
            draft.remove(draft.open(kind), kind, Sheet.LABS, hit.unit, what="result missing")


def _proteinuria_weight(visits: pd.DataFrame, labs: pd.DataFrame) -> FloatArray:
    """Return the relative chance that each visit is lost: linear in the rank of its proteinuria, 0 at baseline."""
    upcr = labs[labs["ITEM"] == "UPCR"].set_index([PATIENT, VISIT])["RESULT"].astype("float64")
    value = upcr.reindex(pd.MultiIndex.from_frame(visits[[PATIENT, VISIT]])).to_numpy()
    later = (visits["VISIT"] != "M0").to_numpy()
    weight = np.zeros(len(visits))
    weight[later] = rank_weight(pd.Series(value[later]))
    return weight


def _sickness_weight(labs: pd.DataFrame) -> FloatArray:
    """Return the relative chance that each secondary result is missing, linear in the rank of its own value."""
    weight = np.zeros(len(labs))
    for item, direction in SICKER.items():
        rows = (labs["ITEM"] == item).to_numpy()
        texts = labs.loc[rows, "RESULT"].replace({CASTS[False]: "0", CASTS[True]: "1"})
        weight[rows] = rank_weight(direction * texts.astype("float64"))
    return weight


def rank_weight(values: pd.Series[float]) -> FloatArray:
    """Return weights from near 0 (lowest value) to near 2 (highest), mean 1; ties share theirs, missing values get 1.

    Examples
    --------
    >>> rank_weight(pd.Series([3.0, 1.0, 1.0, 9.0])).tolist()
    [1.25, 0.5, 0.5, 1.75]
    """
    rank = values.rank(method="average")
    weight = (rank - 0.5) * 2.0 / max(int(values.notna().sum()), 1)
    return np.asarray(weight.fillna(1.0), dtype=np.float64)
