"""Weighted response rates of two arms and their difference, with variances that say what they assume."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import ndtr

from analyses.columns import (
    BoolArray,
    FloatArray,
    as_binary,
    as_text,
    require_complete,
    require_probability,
    treated_rows,
    visit_months,
)
from analyses.kernels.proportions import logit_interval, normal_quantile
from analyses.propensity.balance import check_weights
from analyses.propensity.weights import EstimatedWeights
from cohort.errors import AnalysisError
from cohort.results import ResultTable, result_table

_KNOWN = "robust variance, weights taken as known"
_ESTIMATED = "robust variance, estimation of the propensity score accounted for"


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
    residual = (outcome - estimate) / total
    direct = weights * residual
    if score_model is None:
        return HajekMean(estimate, direct)
    influence = score_model.influence @ (score_model.gradient.T @ residual)
    # A patient has one row per visit: contributions are added up, which indexed += would not do.
    influence += np.bincount(score_model.patient, weights=direct, minlength=len(influence))
    return HajekMean(estimate, influence)


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
    """Weighted (Hajek) proportion of each arm and the risk difference, by visit if there are several.

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
        Per time three rows: ``proportion`` of the treated and of the reference ``group`` (interval on the logit scale,
        ``std_error`` of the proportion), and ``risk_difference`` on ``contrast`` (Wald interval and p-value). ``n``
        counts patients with weight and ``n_events`` events among them, both unweighted. ``method`` names the variance.
        An arm in which nobody, or everybody, has the event shows no spread: its proportion is given without interval,
        and so is the difference, with a note. An arm absent at a visit gives rows with a note.

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
    >>> table.frame["estimate"].tolist()
    [0.75, 0.5, 0.25]
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
    for when, at in _visits(data, time_col):
        _refuse_repeated(model, at, where)
        means = {
            name: _arm_mean(outcome, values, at & own, model)
            for name, own in zip(arms, (is_treated, ~is_treated), strict=True)
        }
        rows.extend(when | row for row in _rows(means, conf_level))
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
        method=f"Hajek, {description}; {_KNOWN if model is None else _ESTIMATED}",
    )


@dataclass(frozen=True, slots=True, eq=False)
class _ArmMean:
    mean: HajekMean | None
    patients: int
    events: int

    @property
    def has_spread(self) -> bool:
        return 0 < self.events < self.patients


def _visits(data: pd.DataFrame, time_col: str | None) -> Iterator[tuple[dict[str, object], BoolArray]]:
    if time_col is None:
        yield {}, np.ones(len(data), dtype=np.bool_)
        return
    time = visit_months(data, time_col, where="weighted_rates")
    for month in np.unique(time):
        yield {"time": float(month), "time_unit": "month"}, np.asarray(time == month)


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


def _arm_mean(outcome: FloatArray, weights: FloatArray, rows: BoolArray, model: EstimatedWeights | None) -> _ArmMean:
    weighted = rows & (weights > 0)
    patients, events = int(weighted.sum()), int(outcome[weighted].sum())
    if not patients:
        return _ArmMean(None, 0, 0)
    # Everything stays in row order and an absent row has weight zero, so that both arms' influences line up.
    own = np.where(weighted, weights, 0.0)
    restricted = (
        None
        if model is None
        else EstimatedWeights(
            own,
            np.where(weighted[:, None], model.gradient, 0.0),
            model.influence,
            model.patient,
            model.description,
        )
    )
    return _ArmMean(hajek_mean(outcome, own, restricted), patients, events)


def _rows(means: dict[str, _ArmMean], conf_level: float) -> Iterator[dict[str, object]]:
    for name, arm in means.items():
        row: dict[str, object] = {
            "group": name,
            "statistic": "proportion",
            "n": arm.patients,
            "n_events": arm.events,
        }
        if arm.mean is None:
            yield row | {"note": "no patient with weight in this arm at this time"}
        elif not arm.has_spread:
            yield row | {"estimate": arm.mean.estimate, "note": _flat_note(name, arm)}
        else:
            std_error = float(np.sqrt(np.sum(arm.mean.influence**2)))
            interval = logit_interval(arm.mean.estimate, std_error, conf_level=conf_level)
            yield row | {
                "estimate": arm.mean.estimate,
                "std_error": std_error,
                "conf_low": float(interval.low),
                "conf_high": float(interval.high),
            }
    yield _difference_row(means, normal_quantile(conf_level))


def _difference_row(means: dict[str, _ArmMean], z: float) -> dict[str, object]:
    (name, one), (reference, zero) = means.items()
    row: dict[str, object] = {
        "contrast": f"{name} v {reference}",
        "statistic": "risk_difference",
        "n": one.patients + zero.patients,
        "n_events": one.events + zero.events,
    }
    if one.mean is None or zero.mean is None:
        return row | {"note": "an arm has no patient with weight at this time"}
    difference = one.mean.estimate - zero.mean.estimate
    flat = [_flat_note(label, arm) for label, arm in means.items() if not arm.has_spread]
    if flat:
        return row | {"estimate": difference, "note": "; ".join(flat)}
    std_error = float(np.sqrt(np.sum((one.mean.influence - zero.mean.influence) ** 2)))
    return row | {
        "estimate": difference,
        "std_error": std_error,
        "conf_low": difference - z * std_error,
        "conf_high": difference + z * std_error,
        "p_value": float(2 * ndtr(-abs(difference) / std_error)),
    }


def _flat_note(name: str, arm: _ArmMean) -> str:
    return f"{'no event' if arm.events == 0 else 'only events'} in {name}: no spread to estimate a variance from"
