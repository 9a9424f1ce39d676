"""Who enters an analysis: criteria applied one after the other, everybody accounted for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from cohort.errors import AnalysisError
from cohort.results import ResultTable, result_table

ASSESSED, ELIGIBLE = "assessed for eligibility", "eligible"


@dataclass(frozen=True, slots=True)
class Criterion:
    """One condition on a column of the baseline frame, in words and as a check.

    Parameters
    ----------
    reason
        Why a patient who does not meet it is left out, as the flow says it: ``"younger than 18 years"``.
    column
        Column of one value per patient.
    one_of
        Values that meet it, as text; empty if not asked.
    at_least, at_most
        Limits, both included; ``None`` if not asked.
    """

    reason: str
    column: str
    one_of: tuple[str, ...] = ()
    at_least: float | None = None
    at_most: float | None = None

    def met(self, data: pd.DataFrame) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
        """Return who meets the criterion, shape (patients,). A missing value does not.

        Raises
        ------
        AnalysisError
            The column is absent, or is not numeric where limits are asked.
        """
        if self.column not in data.columns:
            raise AnalysisError(
                "no such column",
                where=f"eligibility {self.reason!r}, column {self.column}",
                got=", ".join(map(str, data.columns)),
                remedy="name a baseline column",
            )
        values = data[self.column]
        kept = values.notna().to_numpy(dtype=bool)
        if self.one_of:
            kept &= values.astype("string").isin(self.one_of).to_numpy(dtype=bool)
        if self.at_least is None and self.at_most is None:
            return np.asarray(kept)
        if not pd.api.types.is_numeric_dtype(values.dtype):
            raise AnalysisError(
                "limits need a numeric column",
                where=f"eligibility {self.reason!r}, column {self.column}",
                got=str(values.dtype),
                remedy="use one_of",
            )
        numbers = values.astype("Float64").to_numpy(dtype=np.float64, na_value=np.nan)
        if self.at_least is not None:
            kept &= numbers >= self.at_least
        if self.at_most is not None:
            kept &= numbers <= self.at_most
        return np.asarray(kept)


@dataclass(frozen=True, slots=True, eq=False)
class EligibleCohort:
    """Those who meet every criterion, and the flow that leads to them.

    Attributes
    ----------
    data
        Rows of the eligible, in their order, columns untouched.
    flow
        Patient flow, as :func:`apply_criteria` describes it.
    """

    data: pd.DataFrame
    flow: ResultTable


def apply_criteria(data: pd.DataFrame, criteria: Sequence[Criterion], *, arm_col: str = "arm") -> EligibleCohort:
    """Apply eligibility criteria in order.

    Parameters
    ----------
    data
        One row per patient.
    criteria
        In the order in which a patient is judged: each is left out once, for the first criterion that is not met.
    arm_col
        Column of the arm, by which the flow is counted too.

    Returns
    -------
    EligibleCohort
        ``flow`` has ``statistic="count"``: for everybody (``group`` missing) and for each arm, ``term`` ``assessed for
        eligibility``, then ``excluded: REASON`` for each criterion, then ``eligible``. ``n`` is the number assessed.
        Patients whose value is missing do not meet a criterion and are counted apart, as ``excluded: REASON (not
        known)``. The counts of a group add up.

    Raises
    ------
    AnalysisError
        No rows, an unknown column, missing arms, or limits on a column that is not numeric.

    Examples
    --------
    >>> frame = pd.DataFrame({"arm": ["a", "a", "b"], "age_years": [17.0, 40.0, 30.0]})
    >>> chosen = apply_criteria(frame, [Criterion("younger than 18 years", "age_years", at_least=18)])
    >>> chosen.flow.frame.loc[chosen.flow.frame["group"].isna(), "estimate"].tolist()
    [3.0, 1.0, 0.0, 2.0]
    """
    if arm_col not in data.columns or data[arm_col].isna().any() or not len(data):
        raise AnalysisError(
            "every patient needs an arm",
            where=f"column {arm_col}",
            got="no rows" if not len(data) else "a missing column or missing values",
            remedy="patients whose arm is not known cannot be assessed for eligibility",
        )
    left = np.ones(len(data), dtype=bool)
    steps: list[tuple[str, np.ndarray[tuple[int, ...], np.dtype[np.bool_]]]] = [(ASSESSED, left)]
    for criterion in criteria:
        met = criterion.met(data)
        unknown = data[criterion.column].isna().to_numpy(dtype=bool)
        steps.append((f"excluded: {criterion.reason}", left & ~met & ~unknown))
        steps.append((f"excluded: {criterion.reason} (not known)", left & unknown))
        left = left & met
    steps.append((ELIGIBLE, left))
    arms = data[arm_col].astype("string").to_numpy()
    groups = [(None, np.ones(len(data), dtype=bool)), *((arm, arms == arm) for arm in sorted(set(arms)))]
    rows = [
        {"group": arm, "term": term, "estimate": float((chosen & members).sum()), "n": float(members.sum())}
        for arm, members in groups
        for term, chosen in steps
    ]
    flow = result_table(rows, analysis="design", population="all patients", statistic="count")
    return EligibleCohort(data[left], flow)
