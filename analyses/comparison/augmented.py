"""Augmented inverse probability weighting of a binary outcome: right if either the score or the outcome model is."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import pandas as pd

from analyses.columns import BoolArray, FloatArray, TextArray
from analyses.comparison.arm_proportions import ArmProportion, flat_note, proportion_rows, visits_of
from analyses.comparison.folds import patient_folds, refuse_repeated_patients
from analyses.comparison.linearised import few_effective
from analyses.comparison.outcome_model import (
    BinaryModel,
    cross_fit_binary,
    fit_binary,
    outcome_settings,
    score_settings,
)
from analyses.comparison.standardised import (
    TargetPopulation,
    arms_without_estimate,
    binary_request,
    covariate_columns,
    model_words,
    target_rows,
)
from analyses.propensity.weights import Estimand, balancing_weights
from cohort.errors import UsageError
from cohort.results import ResultTable, result_table

AugmentedVariance = Literal["stacked", "influence"]
_WORDS = {
    "influence": "variance of the efficient influence function, both models taken as known",
    "stacked": "sandwich variance of the stacked estimating equations of both models",
}


def augmented_rates(
    data: pd.DataFrame,
    *,
    score: str,
    adjust: str,
    outcome_col: str,
    treatment_col: str,
    treated: object,
    time_col: str | None = None,
    estimand: TargetPopulation = "ATE",
    separate_arms: bool = True,
    folds: int | None = None,
    variance: AugmentedVariance | None = None,
    patient_col: str = "patient_id",
    conf_level: float = 0.95,
) -> ResultTable:
    """Estimate the risk of each arm by augmented inverse probability weighting, by visit if there are several.

    The mean of the outcome model's predictions is corrected by the weighted mean of its residuals, so that the estimate
    is consistent when the score or the outcome model is right.

    Parameters
    ----------
    data
        One row per patient, or per patient and visit.
    score
        Right-hand side of the logistic model of treatment.
    adjust
        Right-hand side of the logistic model of the outcome; the arm is added.
    outcome_col, treatment_col, treated, time_col, patient_col, conf_level
        As for :func:`standardised_rates`. Both models of a visit are fitted to the patients assessed there.
    estimand
        ``ATE``, ``ATT`` or ``ATC``. For the last two the own arm's risk is its observed proportion.
    separate_arms
        Whether each arm has an outcome model of its own; else the arms share all coefficients but the intercept.
    folds
        Cross-fitting: each patient's score and predictions come from the patients of the other folds. Folds are dealt
        by a hash of ``patient_col``, evenly within arms. None fits both models to everybody.
    variance
        ``stacked`` (the default without folds) accounts for the estimation of both models and holds if either is right.
        ``influence`` (the default, and the only one, with folds) is the variance of the efficient influence function,
        which holds if both are right.

    Returns
    -------
    ResultTable
        Rows as of :func:`weighted_rates`. Proportions are not confined to 0 to 1; one outside has a note and no ratio.
        An arm in which nobody, or everybody, has the event is estimated as 0 or 1 without interval, with a note. A
        model without finite estimate, in any fold, gives rows whose ``note`` names its terms.

    Raises
    ------
    AnalysisError
        As :func:`standardised_rates`; also fewer patients in an arm than folds.
    UsageError
        ``estimand``, ``folds``, ``variance`` or ``conf_level`` out of range.

    References
    ----------
    Robins JM, Rotnitzky A, Zhao LP. J Am Stat Assoc 1994;89:846-866. doi:10.1080/01621459.1994.10476818. Lunceford JK,
    Davidian M. Stat Med 2004;23:2937-2960. doi:10.1002/sim.1903. Chernozhukov V et al. Econom J 2018;21:C1-C68.
    doi:10.1111/ectj.12097

    Examples
    --------
    >>> import pandas as pd
    >>> cells = [("a", "f", 3, 4), ("a", "m", 1, 2), ("b", "f", 1, 2), ("b", "m", 1, 4)]
    >>> data = pd.DataFrame(
    ...     [(arm, sex, i < events) for arm, sex, events, n in cells for i in range(n)],
    ...     columns=["arm", "sex", "responder"],
    ... ).assign(patient_id=range(12))
    >>> table = augmented_rates(
    ...     data, score="sex", adjust="sex", outcome_col="responder", treatment_col="arm", treated="a"
    ... )
    >>> table.frame["estimate"].round(6).tolist()[:3]
    [0.625, 0.375, 0.25]
    """
    where = "augmented_rates"
    chosen = _variance(variance, folds, where)
    request = binary_request(
        data,
        outcome_col=outcome_col,
        treatment_col=treatment_col,
        treated=treated,
        patient_col=patient_col,
        estimand=estimand,
        conf_level=conf_level,
        where=where,
    )
    scoring, score_terms = covariate_columns(score, data, where=f"{where}, score")
    covariates, terms = covariate_columns(adjust, data, where=f"{where}, adjust")
    rows: list[dict[str, object]] = []
    for when, at in visits_of(data, time_col, where=where):
        refuse_repeated_patients(request.patients[at], where=where)
        outcome, own = request.outcome[at], request.treated[at]
        one, zero, remark = augmented_arms(
            outcome,
            own,
            (scoring[at], score_terms),
            (covariates[at], terms),
            names=request.arms,
            estimand=estimand,
            separate_arms=separate_arms,
            folds=None if folds is None else _folds(request.patients[at], own, folds, where),
            stacked=chosen == "stacked",
        )
        rows.extend(when | row for row in proportion_rows(one, zero, conf_level=conf_level, remark=remark))
    fitting = "" if folds is None else f", cross-fitted in {folds} folds by {patient_col}"
    return result_table(
        rows,
        metadata={
            "spec": {
                "function": where,
                "score": score,
                "adjust": adjust,
                "outcome_col": outcome_col,
                "treatment_col": treatment_col,
                "treated": str(treated),
                "time_col": time_col,
                "estimand": estimand,
                "separate_arms": separate_arms,
                "folds": folds,
                "variance": chosen,
                "conf_level": conf_level,
            }
        },
        analysis="comparison",
        term=outcome_col,
        conf_level=conf_level,
        method=f"AIPW, {estimand}, score given {score}, logistic model "
        f"{model_words(adjust, separate_arms=separate_arms)}{fitting}; {_WORDS[chosen]}",
    )


def _variance(variance: str | None, folds: int | None, where: str) -> AugmentedVariance:
    if variance is None:
        return "stacked" if folds is None else "influence"
    if variance not in get_args(AugmentedVariance) or (variance == "stacked" and folds is not None):
        raise UsageError(
            "stacked equations need models fitted to everybody"
            if variance in get_args(AugmentedVariance)
            else "unknown variance",
            where=f"{where}, variance",
            got=str(variance),
            remedy="use influence" + ("" if folds is not None else " or stacked"),
        )
    return "stacked" if variance == "stacked" else "influence"


def _folds(patients: TextArray, treated: BoolArray, folds: int, where: str) -> np.ndarray | None:
    both = treated.any() and not treated.all()
    return patient_folds(patients, treated, folds=folds, where=where) if both else None


def augmented_arms(
    outcome: FloatArray,
    treated: BoolArray,
    scoring: tuple[FloatArray, tuple[str, ...]],
    covariates: tuple[FloatArray, tuple[str, ...]],
    *,
    names: tuple[str, str],
    estimand: Estimand,
    separate_arms: bool,
    folds: np.ndarray | None,
    stacked: bool,
) -> tuple[ArmProportion, ArmProportion, str]:
    """Estimate both arms on one set of patients, with a remark where the weights leave few of them.

    Parameters
    ----------
    outcome, treated
        Shape (n,).
    scoring, covariates
        Designs of the score and of the outcome model, shape (n, p), intercept included, with the names of their terms.
    names
        Of the treated and of the reference arm.
    estimand, separate_arms
        As for :func:`augmented_rates`.
    folds
        Shape (n,), folds from 0, or None.
    stacked
        Whether the variance accounts for the estimation of both models.

    Returns
    -------
    tuple
        The treated arm, the reference arm, and the remark, which may be empty.
    """
    if not (treated.any() and not treated.all()):
        return (*arms_without_estimate(outcome, treated, names, ""), "")
    score_design = score_settings(*scoring)
    model_design = outcome_settings(*covariates, treated, outcome, separate_arms=separate_arms)
    is_treated = treated.astype(np.float64)
    score: BinaryModel | FloatArray | str
    model: BinaryModel | FloatArray | str
    if folds is None:
        score = fit_binary(score_design, is_treated, what="score")
        model = fit_binary(model_design, outcome, what="outcome model")
    else:
        score = cross_fit_binary(score_design, is_treated, folds, what="score")
        model = cross_fit_binary(model_design, outcome, folds, what="outcome model")
    if isinstance(score, str) or isinstance(model, str):
        why = score if isinstance(score, str) else str(model)
        return (*arms_without_estimate(outcome, treated, names, why), "")
    probability = score.risk[0] if isinstance(score, BinaryModel) else score[0]
    weights = balancing_weights(probability, treated, estimand=estimand)
    target = target_rows(treated, estimand)
    found = []
    for place, (own, name) in enumerate(zip((treated, ~treated), names, strict=True)):
        patients, events = int(own.sum()), int(outcome[own].sum())
        risk = model.risk[place] if isinstance(model, BinaryModel) else model[place]
        size = int(target.sum())
        corrected = np.where(target, risk, 0.0) + np.where(own, weights.values * (outcome - risk), 0.0)
        estimate = float(corrected.sum() / size)
        if not 0 < events < patients:
            found.append(ArmProportion(name, estimate, None, patients, events, flat_note(name, events)))
            continue
        influence = (corrected - np.where(target, estimate, 0.0)) / size
        if stacked and isinstance(score, BinaryModel) and isinstance(model, BinaryModel):
            by_outcome = (target - np.where(own, weights.values, 0.0)) @ model.gradient[place] / size
            by_score = np.where(own, weights.slope * (outcome - risk), 0.0) @ score.gradient[0] / size
            influence = influence + model.influence @ by_outcome + score.influence @ by_score
        found.append(ArmProportion(name, estimate, influence, patients, events))
    arms = dict(zip(names, (treated, ~treated), strict=True))
    return found[0], found[1], few_effective(weights.values, arms)
