"""The same comparison of an outcome that treatment cannot cause: what it finds is confounding, selection or chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import ndtr

from analyses.columns import BoolArray, FloatArray, require_complete
from analyses.comparison import BinaryOutcome, EventOutcome
from analyses.comparison.linearised import ESTIMATED, KNOWN, patient_influence, standard_error
from analyses.kernels.proportions import normal_quantile
from analyses.propensity import EstimatedWeights
from analyses.propensity.weights import Estimand
from analyses.sensitivity.repeated import Outcome, RepeatedComparison, Row, several
from cohort.errors import AnalysisError
from cohort.results import ResultTable, result_table

_WHERE = "negative_control"
_EXCLUDED = (
    "the interval excludes the null: treatment cannot cause this, so confounding, selection or chance remains after "
    "adjustment"
)
_HELD = "the interval includes the null, and with it every bias between its limits: no proof that confounding is gone"


@dataclass(frozen=True, slots=True)
class MeasureOutcome:
    """A number measured before treatment, as a negative control.

    Parameters
    ----------
    column
        Of the patients: a laboratory value of day 0, say, that is no covariate of the score.
    """

    column: str


def negative_control(
    data: pd.DataFrame,
    *,
    treatment_col: str,
    treated: object,
    score: str,
    outcomes: Sequence[Outcome | MeasureOutcome] | Outcome | MeasureOutcome,
    estimand: Estimand = "ATE",
    patient_col: str = "patient_id",
    conf_level: float = 0.95,
) -> ResultTable:
    """Compare the arms on outcomes that treatment cannot cause, unadjusted and weighted as the main comparison is.

    The true effect is none. A difference that the interval does not explain is therefore left by confounding, by
    selection, by measuring the arms differently, or by chance (as often as the confidence level allows where nothing is
    wrong). It warns about the main outcome as far as the same causes act on both. No difference is weaker news:
    the interval says how much bias it would have missed, and with few events that is nearly any.

    Parameters
    ----------
    data
        One row per patient.
    treatment_col, treated
        Column of the arm (two levels) and its treated level.
    score
        Right-hand side of the logistic score of the main comparison. A measure that is a covariate of it, or nearly
        follows from one, is balanced by construction and tells nothing.
    outcomes
        Negative controls: events or binary outcomes (see :func:`leave_one_covariate_out`), or a
        :class:`MeasureOutcome`.
    estimand
        Of the weights.
    patient_col
        Column of the patient, for outcomes at visits.
    conf_level
        Confidence level of the intervals.

    Returns
    -------
    ResultTable
        Per outcome (``term``) rows for ``population`` ``unadjusted`` and ``weighted``: ``log_hazard_ratio``,
        ``risk_difference`` by visit, ``restricted_mean_difference`` or, of a measure, ``standardised_mean_difference``
        (in standard deviations, pooled over the arms before weighting and taken as known), with interval and p-value.
        ``note`` of a weighted row says what its interval means. An arm without events gives a row with the reason.

    Raises
    ------
    AnalysisError
        The score cannot be fitted, missing values, unknown columns, not two arms, a measure that is no number.
    UsageError
        No outcome, ``conf_level`` out of range.

    References
    ----------
    Lipsitch M, Tchetgen Tchetgen E, Cohen T. Negative controls: a tool for detecting confounding and bias in
    observational studies. Epidemiology 2010;21:383-388. doi:10.1097/EDE.0b013e3181d61eeb

    Examples
    --------
    >>> data = pd.DataFrame({"arm": list("aaaabbbb"), "x": [0, 0, 0, 1, 0, 1, 1, 1]})
    >>> data = data.assign(earlier=[3, 1, 2, 5, 2, 4, 6, 5])
    >>> table = negative_control(data, treatment_col="arm", treated="a", score="x", outcomes=MeasureOutcome("earlier"))
    >>> table.frame.set_index("population")["estimate"].abs().round(3).to_dict()
    {'unadjusted': 0.878, 'weighted': 0.0}
    """
    controls: tuple[Outcome | MeasureOutcome, ...] = several(outcomes, where=_WHERE)
    measures = [one.column for one in controls if isinstance(one, MeasureOutcome)]
    others = tuple(one for one in controls if isinstance(one, BinaryOutcome | EventOutcome))
    comparison = RepeatedComparison(data, others, treatment_col, treated, estimand, patient_col, conf_level, _WHERE)
    for name in measures:
        _require_number(data, name)
    weights = comparison.score(score).estimated_weights(estimand)
    rows: list[Row] = []
    for population, own in (("unadjusted", np.ones(len(data))), ("weighted", weights)):
        found = [*comparison.contrasts(own), *(_measured(comparison, name, own) for name in measures)]
        rows += [row | {"population": population, "note": _meaning(row, population)} for row in found]
    spec = {"function": _WHERE, "treatment_col": treatment_col, "treated": str(treated), "score": score,
            "estimand": estimand, "conf_level": conf_level}  # fmt: skip
    return result_table(rows, metadata={"spec": spec}, analysis="sensitivity")


_BALANCED_EXACTLY = 1e-12
"""In standard deviations: a smaller error of a difference is rounding."""


def _measured(comparison: RepeatedComparison, name: str, weights: FloatArray | EstimatedWeights) -> Row:
    """Return the difference of two weighted means in standard deviations, with its interval."""
    values = comparison.data[name].to_numpy(dtype=np.float64)
    if not np.isfinite(values).all():
        raise AnalysisError(
            "a measure is a finite number",
            where=f"{_WHERE}, column {name}",
            got=f"{int((~np.isfinite(values)).sum())} rows that are not",
            remedy="correct these rows or leave them out",
        )
    treated = comparison.is_treated
    model = weights if isinstance(weights, EstimatedWeights) else None
    mass = weights.values if isinstance(weights, EstimatedWeights) else weights
    row: Row = {
        "term": name,
        "contrast": " v ".join(comparison.arms),
        "statistic": "standardised_mean_difference",
        "conf_level": comparison.conf_level,
        "n": len(values),
        "method": f"Hajek, {'weights as given' if model is None else model.description}; "
        f"{KNOWN if model is None else ESTIMATED}",
    }
    sides = (values[treated], values[~treated])
    if min(map(len, sides)) < 2 or not (spread := float(np.sqrt(np.mean([np.var(one, ddof=1) for one in sides])))):
        return row | {"note": "not estimated: the measure does not vary within the arms"}
    one, zero = (_mean(values, mass, rows) for rows in (treated, ~treated))
    slope = (_slope(values, mass, treated, one) - _slope(values, mass, ~treated, zero)) / spread
    difference = (one - zero) / spread
    error = standard_error(patient_influence(slope, mass, model))
    if error < _BALANCED_EXACTLY:
        return row | {"estimate": 0.0, "note": "not tested: these weights balance the measure exactly, by construction"}
    half = normal_quantile(comparison.conf_level) * error
    return row | {
        "estimate": difference,
        "std_error": error,
        "conf_low": difference - half,
        "conf_high": difference + half,
        "p_value": float(2 * ndtr(-abs(difference) / error)),
    }


def _mean(values: FloatArray, mass: FloatArray, rows: BoolArray) -> float:
    return float(values[rows] @ mass[rows] / mass[rows].sum())


def _slope(values: FloatArray, mass: FloatArray, rows: BoolArray, mean: float) -> FloatArray:
    """Return the derivative of a weighted mean by the weight of each patient, zero for the other arm."""
    return np.where(rows, (values - mean) / mass[rows].sum(), 0.0)


def _meaning(row: Row, population: str) -> str | None:
    """Say what an interval means where the true effect is none, after what else is to be said."""
    said = [str(row["note"])] if isinstance(row.get("note"), str) else []
    low, high = float(str(row.get("conf_low", "nan"))), float(str(row.get("conf_high", "nan")))
    if population == "weighted" and low <= high:
        said.append(_HELD if low <= 0 <= high else _EXCLUDED)
    return "; ".join(said) or None


def _require_number(data: pd.DataFrame, name: str) -> None:
    require_complete(data, [name], where=_WHERE)
    if not pd.api.types.is_numeric_dtype(data[name].dtype):
        raise AnalysisError(
            "a measure is a number", where=f"{_WHERE}, column {name}", got=str(data[name].dtype),
            remedy="name a numeric column, or give a BinaryOutcome",
        )  # fmt: skip
