"""Estimating the probability of treatment, or weights that make up for it, given baseline covariates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import pandas as pd
from scipy.special import chdtrc

from analyses.columns import BoolArray, FloatArray, as_text, require_columns, require_complete, treated_rows
from analyses.design_matrix import Design, build_design
from analyses.folds import patient_folds
from analyses.kernels.logistic import LogisticFit, collinear_columns, fit_logistic, separated_columns
from analyses.propensity.learners import Learner, cross_fitted_score
from analyses.propensity.missing_indicator import with_missing_indicators
from analyses.propensity.score import PropensityFit
from analyses.propensity.solved_weights import SOLVED_ESTIMANDS, covariate_balancing_score, entropy_balance
from analyses.propensity.weights import Estimand
from cohort.errors import AnalysisError, UsageError

Method = Literal["logistic", "penalised", "boosting", "entropy", "cbps"]
_WHERE = "fit_propensity"
_WORDS = {
    "logistic": "logistic regression, maximum likelihood",
    "penalised": "ridge logistic regression, cross-fitted in {folds} folds",
    "boosting": "gradient boosting, cross-fitted in {folds} folds",
    "entropy": "entropy balancing",
    "cbps": "covariate balancing propensity score",
}


def fit_propensity(
    data: pd.DataFrame,
    formula: str,
    *,
    treatment_col: str,
    treated: object,
    method: Method = "logistic",
    estimand: Estimand | None = None,
    id_col: str = "patient_id",
    folds: int = 5,
    seed: int = 2025,
    missing: Literal["refuse", "indicator"] = "refuse",
    overidentified: bool = False,
) -> PropensityFit:
    """Model the probability of treatment given baseline covariates, or balance them directly.

    Parameters
    ----------
    data
        One row per patient.
    formula
        Right-hand side, ``"age_years + isn_rps_class + upcr_g_g"``; an intercept is added.
    treatment_col
        Column of the arm, with exactly two levels.
    treated
        Its level that counts as treated.
    method
        ``"logistic"`` by maximum likelihood. ``"penalised"`` (ridge) and ``"boosting"`` by scikit-learn, cross-fitted:
        nobody's score comes from a model that saw the patient. ``"cbps"``, a logistic score fitted to covariate
        balance, and ``"entropy"``, weights of largest entropy with exact balance of means, both for one estimand.
    estimand
        For ``cbps`` and ``entropy`` only: ``"ATE"`` (by default), ``"ATT"`` or ``"ATC"``.
    id_col
        Column of the patient, for the folds of cross-fitting; other methods do not use it.
    folds, seed
        Number of folds; seed of the hash of ``id_col`` that assigns them and of the learner. The order of rows plays
        no part.
    missing
        ``"refuse"`` raises on missing covariates. ``"indicator"`` fills a numeric covariate with its mean and adds
        an indicator term ``<column>_missing``; a categorical covariate gets the level ``missing``. Nobody is dropped.
        For multiple imputation see :func:`analyses.multiple_imputation.impute_covariates`.
    overidentified
        Of ``cbps``: meet the likelihood equations as well as balance, by the generalised method of moments. Balance
        is then close, not exact, and :meth:`PropensityFit.glance` has a test of the model.

    Returns
    -------
    PropensityFit
        Scores, weights, balance and the model itself.

    Raises
    ------
    AnalysisError
        Unknown column, no rows, missing values (never dropped), a single arm or more than two; a covariate that is
        constant or a combination of others (named); covariates that tell the arms apart without error, so that some
        patients have no counterpart and coefficients no finite estimate (named); covariate means that no weights
        reach (named); an arm with fewer patients than folds.
    UsageError
        Unknown ``method``, or an option that the method does not have.

    Notes
    -----
    The ridge penalty is chosen by the likelihood of left-out folds inside each training part. Boosting takes 100
    rounds of trees with at most 8 leaves of at least 10 patients at a rate of 0.05.

    References
    ----------
    Rosenbaum PR, Rubin DB. The central role of the propensity score in observational studies for causal effects.
    Biometrika 1983;70:41-55. doi:10.1093/biomet/70.1.41. Imai K, Ratkovic M. J R Stat Soc B 2014;76:243-263.
    doi:10.1111/rssb.12027. Hainmueller J. Polit Anal 2012;20:25-46. doi:10.1093/pan/mpr025. Chernozhukov V et al.
    Econom J 2018;21:C1-C68. doi:10.1111/ectj.12097 (cross-fitting)

    Examples
    --------
    >>> import pandas as pd
    >>> data = pd.DataFrame({"arm": ["a", "b", "b", "a", "a", "b"], "sex": ["f", "f", "f", "m", "m", "m"]})
    >>> fit_propensity(data, "sex", treatment_col="arm", treated="a").score.round(4).tolist()
    [0.3333, 0.3333, 0.3333, 0.6667, 0.6667, 0.6667]
    >>> balanced = fit_propensity(data, "sex", treatment_col="arm", treated="a", method="entropy", estimand="ATT")
    >>> balanced.weights().round(4).tolist()
    [1.0, 0.5, 0.5, 1.0, 1.0, 2.0]
    """
    _check_request(method, estimand, missing, overidentified)
    require_complete(data, [treatment_col], where=_WHERE)
    is_treated = treated_rows(data, treatment_col, treated, where=_WHERE)
    frame, extended = (data, formula) if missing == "refuse" else with_missing_indicators(data, formula)
    design = build_design(extended, frame, intercept=True)
    arms = (str(treated), str(data[treatment_col].array[int(np.argmin(is_treated))]))
    own: Estimand = estimand or "ATE"
    words = _WORDS[method].format(folds=folds)
    remark: str | None = None
    score = influence = solved = None
    coefficients, covariance = np.empty(0), np.empty((0, 0))
    if method in ("penalised", "boosting"):
        score = _cross_fitted(design, frame, is_treated, method, id_col, folds, seed)
    else:
        _refuse_collinear(design.matrix, design.terms, formula)
        where = _at(formula)
        if method == "logistic":
            fit = _logistic(design.matrix, design.terms, is_treated, where)
            score, coefficients, covariance = fit.probability, fit.coefficients, fit.covariance
        elif method == "entropy":
            solved = entropy_balance(design.matrix, design.terms, is_treated, arms, own, where)
            remark = "entropy balancing has no likelihood"
        else:
            balanced = covariate_balancing_score(
                design.matrix, design.terms, is_treated, arms, own, overidentified=overidentified, where=where
            )
            score, coefficients, influence = balanced.probability, balanced.coefficients, balanced.influence
            covariance = influence.T @ influence
            if overidentified:
                words += ", over-identified"
                remark = _overidentification(balanced.statistic, balanced.degrees_of_freedom)
    return PropensityFit(
        treated=is_treated,
        arms=arms,
        terms=design.terms,
        coefficients=coefficients,
        covariance=covariance,
        log_likelihood=float("nan") if score is None else _log_likelihood(score, is_treated),
        covariates=tuple(str(name) for name in frame.columns if str(name) in design.columns),
        method=method,
        estimand=own if method in ("entropy", "cbps") else None,
        description=words,
        remark=remark,
        _score=score,
        _design=design.matrix,
        _influence=influence,
        _solved=solved,
        _data=frame.copy() if frame is data else frame,
    )


def _check_request(method: str, estimand: str | None, missing: str, overidentified: bool) -> None:
    for value, known, name in (
        (method, get_args(Method), "method"),
        (missing, ("refuse", "indicator"), "treatment of missing covariates"),
    ):
        if value not in known:
            raise UsageError(f"unknown {name}", where=_WHERE, got=str(value), remedy=f"use {', '.join(known)}")
    solves = method in ("entropy", "cbps")
    if estimand is not None and not solves:
        raise UsageError(
            "this method's score serves every estimand",
            where=f"{_WHERE}, estimand",
            got=f"{estimand} with method {method}",
            remedy=f"name it where the weights are made: .weights({estimand!r})",
        )
    if estimand is not None and estimand not in SOLVED_ESTIMANDS:
        raise UsageError(
            "not a population that covariates can be balanced to",
            where=f"{_WHERE}, estimand",
            got=estimand,
            remedy=f"use {', '.join(SOLVED_ESTIMANDS)}, or a logistic score",
        )
    if overidentified and method != "cbps":
        raise UsageError("only cbps can be over-identified", where=_WHERE, got=method, remedy="leave it out")


def _at(formula: str) -> str:
    return f"{_WHERE}, formula {formula}"


def _refuse_collinear(matrix: FloatArray, terms: Sequence[str], formula: str) -> None:
    collinear = collinear_columns(matrix)
    if collinear:
        raise AnalysisError(
            "constant or a combination of the other terms",
            where=_at(formula),
            got=", ".join(terms[index] for index in collinear),
            remedy="leave these terms out",
        )


def _logistic(matrix: FloatArray, terms: Sequence[str], treated: BoolArray, where: str) -> LogisticFit:
    fit = fit_logistic(matrix, treated.astype(np.float64))
    if not fit.converged:
        separated = separated_columns(matrix, ~treated, treated)
        raise AnalysisError(
            "the covariates separate the arms, so the score has no finite estimate",
            where=where,
            got=", ".join(terms[index] for index in separated) or "fitted probabilities of 0 or 1",
            remedy="merge sparse levels, leave the term out, or restrict to patients eligible for both treatments",
        )
    return fit


def _cross_fitted(
    design: Design, frame: pd.DataFrame, treated: BoolArray, learner: Learner, id_col: str, folds: int, seed: int
) -> FloatArray:
    matrix, terms = design.matrix[:, 1:], design.terms[1:]
    constant = [term for term, spread in zip(terms, np.ptp(matrix, axis=0), strict=True) if spread == 0]
    if constant:
        raise AnalysisError(
            "constant covariates", where=_WHERE, got=", ".join(constant), remedy="leave these terms out"
        )
    require_columns(frame, [id_col], where=f"{_WHERE} (folds are assigned by patient)")
    require_complete(frame, [id_col], where=_WHERE)
    patients = as_text(frame[id_col])
    fold = patient_folds(patients, folds, seed=seed, strata=treated, where=_WHERE)
    order = np.argsort(patients, kind="stable")
    return cross_fitted_score(matrix, treated, fold, order, learner=learner, seed=seed)


def _log_likelihood(score: FloatArray, treated: BoolArray) -> float:
    return float(np.sum(np.log(np.where(treated, score, 1 - score))))


def _overidentification(statistic: float, degrees_of_freedom: int) -> str:
    if degrees_of_freedom < 1:
        return "over-identification test: df=0"
    p_value = float(chdtrc(degrees_of_freedom, statistic))
    return f"over-identification test: chi_square={statistic:.4g}, df={degrees_of_freedom}, p={p_value:.3g}"
