"""Weighted response rates of two arms and their difference, with variances that say what they assume."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from analyses.columns import (
    BoolArray,
    FloatArray,
    as_binary,
    as_text,
    require_complete,
    require_probability,
    treated_rows,
)
from analyses.comparison.arm_proportions import ArmProportion, flat_note, proportion_rows, visits_of
from analyses.comparison.linearised import ESTIMATED, KNOWN, few_effective, patient_influence
from analyses.propensity.balance import check_weights
from analyses.propensity.weights import EstimatedWeights
from cohort.errors import AnalysisError
from cohort.results import ResultTable, result_table


@dataclass(frozen=True, slots=True, eq=False)
class HajekMean:
    """A weighted mean and the influence of each patient on it.

    Parameters
    ----------
    estimate
        ``sum(w y) / sum(w)``.
    influence
        Shape (patients,); the variance is its sum of squares.
    """

    estimate: float
    influence: FloatArray


def hajek_mean(outcome: FloatArray, weights: FloatArray, score_model: EstimatedWeights | None = None) -> HajekMean:
    """Weighted mean with its linearisation.

    Parameters
    ----------
    outcome, weights
        Shape (rows,); rows of zero weight play no part.
    score_model
        Gradient and influence of estimated weights for the same rows, or None to take the weights as known.

    Returns
    -------
    HajekMean
        With known weights the influence of a row is ``w (y - mean) / sum(w)``, so that the sum of squares is the HC0
        variance of a weighted regression on a constant. With a score model each patient adds the influence through the
        estimated coefficients: the stacked estimating equations of weights and mean.

    References
    ----------
    Lunceford JK, Davidian M. Stat Med 2004;23:2937-2960. doi:10.1002/sim.1903. Stefanski LA, Boos DD. Am Stat
    2002;56:29-38. doi:10.1198/000313002753631330

    Examples
    --------
    >>> import numpy as np
    >>> mean = hajek_mean(np.array([1.0, 0.0]), np.array([3.0, 1.0]))
    >>> mean.estimate, mean.influence.tolist()
    (0.75, [0.1875, -0.1875])
    """
    total = weights.sum()
    estimate = float(np.sum(weights * outcome) / total)
    return HajekMean(estimate, patient_influence((outcome - estimate) / total, weights, score_model))


def weighted_rates(
    data: pd.DataFrame,
    *,
    outcome_col: str,
    treatment_col: str,
    treated: object,
    weights: npt.ArrayLike | EstimatedWeights,
    time_col: str | None = None,
    conf_level: float = 0.95,
) -> ResultTable:
    """Weighted (Hajek) proportion of each arm, and risk difference, risk ratio and odds ratio, by visit.

    Parameters
    ----------
    data
        One row per patient, or per patient and visit; a patient has at most one row at a time.
    outcome_col
        Boolean or 0/1 column.
    treatment_col, treated
        Column of the arm (two levels) and its treated level.
    weights
        One per row, in row order. As an array they are taken as known. As
        :meth:`PropensityFit.estimated_weights <analyses.propensity.PropensityFit.estimated_weights>` (with
        ``for_rows`` for a frame of visits) the variance accounts for the estimation of the score.
    time_col
        Numeric column of the visit month. Each visit is analysed by itself, on the patients assessed there.
    conf_level
        Confidence level of the intervals.

    Returns
    -------
    ResultTable
        Per time five rows: ``proportion`` of the treated and of the reference ``group`` (interval on the logit scale,
        ``std_error`` of the proportion), and on ``contrast`` ``risk_difference`` (Wald interval and p-value),
        ``risk_ratio`` and ``odds_ratio`` (intervals and p-values on the log scale, ``std_error`` of the logarithm).
        ``n`` counts patients with weight and ``n_events`` events among them, both unweighted. ``method`` names the
        variance. An arm in which nobody, or everybody, has the event shows no spread: its proportion is given without
        interval, and so are the contrasts, with a note. An arm absent at a visit gives rows with a note, and so does
        one that the weights leave a small effective number of patients.

    Raises
    ------
    AnalysisError
        Unknown column, no rows, missing values, not two arms, an outcome not binary, unusable weights, a patient with
        two rows at one time (seen with estimated weights only).
    UsageError
        ``conf_level`` out of range.

    References
    ----------
    Lunceford JK, Davidian M. Stratification and weighting via the propensity score in estimation of causal treatment
    effects. Stat Med 2004;23:2937-2960. doi:10.1002/sim.1903

    Examples
    --------
    >>> import pandas as pd
    >>> data = pd.DataFrame({"arm": ["a", "a", "b", "b"], "responder": [True, False, False, True]})
    >>> table = weighted_rates(
    ...     data, outcome_col="responder", treatment_col="arm", treated="a", weights=[3, 1, 1, 1]
    ... )
    >>> table.frame["estimate"].round(9).tolist()
    [0.75, 0.5, 0.25, 1.5, 3.0]
    """
    where = "weighted_rates"
    require_probability(conf_level, "conf_level")
    require_complete(data, [outcome_col, treatment_col], where=where)
    is_treated = treated_rows(data, treatment_col, treated, where=where)
    arm = as_text(data[treatment_col])
    arms = (str(treated), str(arm[~is_treated][0]))
    outcome = as_binary(data, outcome_col, where=where)
    model = weights if isinstance(weights, EstimatedWeights) else None
    values = check_weights(weights if model is None else model.values, is_treated, where=where)
    rows: list[dict[str, object]] = []
    for when, at in visits_of(data, time_col, where=where):
        _refuse_repeated(model, at, where)
        members = {name: at & own for name, own in zip(arms, (is_treated, ~is_treated), strict=True)}
        one, zero = (_proportion(name, outcome, values, own, model) for name, own in members.items())
        remark = few_effective(values, members)
        rows.extend(when | row for row in proportion_rows(one, zero, conf_level=conf_level, remark=remark))
    description = "weights as given" if model is None else model.description
    return result_table(
        rows,
        metadata={
            "spec": {
                "function": where,
                "outcome_col": outcome_col,
                "treatment_col": treatment_col,
                "treated": str(treated),
                "weights": description,
                "time_col": time_col,
                "conf_level": conf_level,
            }
        },
        analysis="comparison",
        term=outcome_col,
        conf_level=conf_level,
        method=f"Hajek, {description}; {KNOWN if model is None else ESTIMATED}",
    )


def _refuse_repeated(model: EstimatedWeights | None, at: BoolArray, where: str) -> None:
    if model is None:
        return
    patients = model.patient[at]
    repeated = len(patients) - len(np.unique(patients))
    if repeated:
        raise AnalysisError(
            "a patient has more than one row at a time",
            where=where,
            got=f"{repeated} repeated rows",
            remedy="keep one row per patient and visit, or pass time_col",
        )


def _proportion(
    name: str, outcome: FloatArray, weights: FloatArray, rows: BoolArray, model: EstimatedWeights | None
) -> ArmProportion:
    weighted = rows & (weights > 0)
    patients, events = int(weighted.sum()), int(outcome[weighted].sum())
    if not patients:
        return ArmProportion(name, math.nan, None, 0, 0, "no patient with weight in this arm at this time")
    # Everything stays in row order and an absent row has slope zero, so that both arms' influences line up.
    own = np.where(weighted, weights, 0.0)
    estimate = float(own @ outcome / own.sum())
    if not 0 < events < patients:
        return ArmProportion(name, estimate, None, patients, events, flat_note(name, events))
    slope = np.where(weighted, (outcome - estimate) / own.sum(), 0.0)
    return ArmProportion(name, estimate, patient_influence(slope, own, model), patients, events)
