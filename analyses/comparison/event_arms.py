"""Two arms with weights and times to an event: checked columns, influences and the layout of results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import ndtr

from analyses.columns import BoolArray, FloatArray, as_text, require_complete, treated_rows
from analyses.comparison.linearised import ESTIMATED, KNOWN, few_effective, patient_influence
from analyses.kernels.weight_slopes import Sloped
from analyses.propensity.balance import check_weights
from analyses.propensity.weights import EstimatedWeights
from analyses.survival.inputs import check_conf_level, survival_columns
from cohort.errors import AnalysisError
from cohort.results import ResultTable, result_table

IntArray = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class EventArms:
    """Checked columns of a weighted comparison; arrays of shape (n,) in row order.

    Parameters
    ----------
    durations, causes
        Times and what ended them, 0 for censoring.
    treated
        Who was treated.
    weights
        Zero for rows that play no part.
    model
        How the weights were estimated, or None where they are taken as known.
    arms
        Names of the treated and the reference arm.
    description
        Words for the weights.
    """

    durations: FloatArray
    causes: IntArray
    treated: BoolArray
    weights: FloatArray
    model: EstimatedWeights | None
    arms: tuple[str, str]
    description: str

    @property
    def members(self) -> dict[str, BoolArray]:
        """Rows of each arm that have weight."""
        weighted = self.weights > 0
        return dict(zip(self.arms, (self.treated & weighted, ~self.treated & weighted), strict=True))

    @property
    def contrast(self) -> str:
        """The contrast in words."""
        return f"{self.arms[0]} v {self.arms[1]}"

    @property
    def remark(self) -> str:
        """A warning where the weights leave an arm a handful of patients."""
        return few_effective(self.weights, self.members)

    def influence(self, slope: FloatArray) -> FloatArray:
        """Return the influence of each patient on an estimate with this derivative by the weights, shape (n,)."""
        return patient_influence(slope, self.weights, self.model)

    def spread(self, rows: BoolArray, sloped: Sloped) -> FloatArray:
        """Return the influences on estimates of some rows, shape (q, patients)."""
        full = np.zeros((len(sloped.estimate), len(self.weights)))
        full[:, rows] = sloped.slope
        return np.array([self.influence(slope) for slope in full])

    def table(
        self, rows: Sequence[dict[str, object]], function: str, words: str, *, variance: str = "", **spec: object
    ) -> ResultTable:
        """Lay rows out as results; ``variance`` in words if it is not the one that goes with the weights."""
        by_weights = f"{self.description}; {KNOWN if self.model is None else ESTIMATED}"
        noted = []
        for row in rows:
            notes = [str(text) for text in (row.get("note"), self.remark) if text]
            noted.append(row | {"note": "; ".join(notes) or None})
        return result_table(
            noted,
            metadata={"spec": {"function": function, "arms": list(self.arms), "weights": self.description, **spec}},
            analysis="comparison",
            method=f"{words}; {variance}" if variance else f"{words}, {by_weights}",
        )


def event_arms(
    data: pd.DataFrame,
    *,
    duration_col: str,
    event_col: str,
    treatment_col: str,
    treated: object,
    weights: npt.ArrayLike | EstimatedWeights,
    conf_level: float,
    where: str,
    competing: bool = False,
) -> EventArms:
    """Read and check what the estimators of this module share.

    Raises
    ------
    AnalysisError
        As the estimators.
    """
    check_conf_level(conf_level)
    columns = survival_columns(data, duration_col=duration_col, event_col=event_col, competing=competing)
    require_complete(data, [treatment_col], where=where)
    is_treated = treated_rows(data, treatment_col, treated, where=where)
    arm = as_text(data[treatment_col])
    model = weights if isinstance(weights, EstimatedWeights) else None
    values = check_weights(weights if model is None else model.values, is_treated, where=where)
    if model is not None and len(np.unique(model.patient)) < len(values):
        raise AnalysisError(
            "a patient has more than one row",
            where=where,
            got=f"{len(values)} rows of {len(np.unique(model.patient))} patients",
            remedy="keep one row per patient",
        )
    return EventArms(
        columns.durations,
        columns.causes,
        is_treated,
        values,
        model,
        (str(treated), str(arm[~is_treated][0])),
        "weights as given" if model is None else model.description,
    )


def wald(estimate: float, error: float, quantile: float) -> dict[str, object]:
    """Return error, plain interval and two-sided p-value as result columns."""
    return {
        "std_error": error,
        "conf_low": estimate - quantile * error,
        "conf_high": estimate + quantile * error,
        "p_value": float(2 * ndtr(-abs(estimate) / error)),
    }
