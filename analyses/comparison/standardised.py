"""Standardised response rates of two arms (g-computation) and their contrasts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import pandas as pd

from analyses.columns import (
    BoolArray,
    FloatArray,
    TextArray,
    as_binary,
    as_text,
    require_complete,
    require_probability,
    treated_rows,
)
from analyses.comparison.arm_proportions import ArmProportion, flat_note, proportion_rows, visits_of
from analyses.comparison.folds import refuse_repeated_patients
from analyses.comparison.outcome_model import BinaryModel, fit_binary, outcome_settings
from analyses.design_matrix import build_design
from analyses.kernels.logistic import collinear_columns
from cohort.errors import AnalysisError, UsageError
from cohort.results import ResultTable, result_table

TargetPopulation = Literal["ATE", "ATT", "ATC"]


@dataclass(frozen=True, slots=True, eq=False)
class BinaryRequest:
    """Checked columns of a request about a binary outcome; arrays of shape (n,) in row order."""

    outcome: FloatArray
    treated: BoolArray
    arms: tuple[str, str]
    patients: TextArray


def binary_request(
    data: pd.DataFrame,
    *,
    outcome_col: str,
    treatment_col: str,
    treated: object,
    patient_col: str,
    estimand: str,
    conf_level: float,
    where: str,
) -> BinaryRequest:
    """Read and check what the estimators of a binary outcome share."""
    require_probability(conf_level, "conf_level")
    check_target(estimand, where=where)
    require_complete(data, [outcome_col, treatment_col, patient_col], where=where)
    is_treated = treated_rows(data, treatment_col, treated, where=where)
    arm = as_text(data[treatment_col])
    return BinaryRequest(
        as_binary(data, outcome_col, where=where),
        is_treated,
        (str(treated), str(arm[~is_treated][0])),
        as_text(data[patient_col]),
    )


def check_target(estimand: str, *, where: str) -> None:
    """Refuse an estimand that is no average over patients."""
    if estimand not in get_args(TargetPopulation):
        raise UsageError(
            "unknown estimand",
            where=f"{where}, estimand",
            got=str(estimand),
            remedy=f"use {', '.join(get_args(TargetPopulation))}; weighting offers others",
        )


def covariate_columns(formula: str | None, data: pd.DataFrame, *, where: str) -> tuple[FloatArray, tuple[str, ...]]:
    """Return the columns of a formula after an intercept, and their names; refuse constant and collinear ones."""
    if formula is None:
        return np.ones((len(data), 1)), ("Intercept",)
    design = build_design(formula, data, intercept=True)
    collinear = collinear_columns(design.matrix)
    if collinear:
        raise AnalysisError(
            "constant or a combination of the other terms",
            where=f"{where}, formula {formula!r}",
            got=", ".join(design.terms[place] for place in collinear),
            remedy="leave these terms out",
        )
    return design.matrix, design.terms


def target_rows(treated: BoolArray, estimand: str) -> BoolArray:
    """Return which patients an estimand averages over."""
    return {"ATE": np.ones(len(treated), np.bool_), "ATT": treated, "ATC": ~treated}[estimand]


def standardised_rates(
    data: pd.DataFrame,
    *,
    adjust: str,
    outcome_col: str,
    treatment_col: str,
    treated: object,
    time_col: str | None = None,
    estimand: TargetPopulation = "ATE",
    separate_arms: bool = False,
    patient_col: str = "patient_id",
    conf_level: float = 0.95,
) -> ResultTable:
    """Standardise the outcome of each arm to one population (g-computation), by visit if there are several.

    A logistic model of the outcome given arm and covariates predicts for every patient the risk under either arm; the
    predictions are averaged over all patients, the treated or the others.

    Parameters
    ----------
    data
        One row per patient, or per patient and visit.
    adjust
        Right-hand side of baseline covariates; the arm is added.
    outcome_col
        Boolean or 0/1 column.
    treatment_col, treated
        Column of the arm (two levels) and its treated level.
    time_col
        Numeric column of the visit month. Each visit is analysed by itself, on the patients assessed there.
    estimand
        Whom the averages are over: ``ATE`` everybody, ``ATT`` the treated, ``ATC`` the others.
    separate_arms
        Whether each arm has coefficients of its own; else the arms share all but the intercept.
    patient_col
        Column of the patient, who may have one row at a time.
    conf_level
        Confidence level of the intervals.

    Returns
    -------
    ResultTable
        Rows as of :func:`weighted_rates`. The variance is the sandwich of the stacked estimating equations of model and
        averages, so it includes that of the covariate distribution. An arm in which nobody, or everybody, has the event
        is estimated as 0 or 1 without interval (the limit of its likelihood), with a note, as are the contrasts.
        At a visit where the model has no finite estimate, the rows' ``note`` names the terms.

    Raises
    ------
    AnalysisError
        Unknown column, no rows, missing values, not two arms, an outcome not binary, a constant or collinear covariate
        (named), two rows of a patient at one time.
    UsageError
        ``estimand`` or ``conf_level`` out of range.

    References
    ----------
    Robins J. Math Model 1986;7:1393-1512. doi:10.1016/0270-0255(86)90088-6. Snowden JM, Rose S, Mortimer KM. Am J
    Epidemiol 2011;173:731-738. doi:10.1093/aje/kwq472

    Examples
    --------
    >>> import pandas as pd
    >>> cells = [("a", "f", 3, 4), ("a", "m", 1, 2), ("b", "f", 1, 2), ("b", "m", 1, 4)]
    >>> data = pd.DataFrame(
    ...     [(arm, sex, i < events) for arm, sex, events, n in cells for i in range(n)],
    ...     columns=["arm", "sex", "responder"],
    ... ).assign(patient_id=range(12))
    >>> table = standardised_rates(
    ...     data, adjust="sex", outcome_col="responder", treatment_col="arm", treated="a", separate_arms=True
    ... )
    >>> table.frame["estimate"].round(6).tolist()[:3]
    [0.625, 0.375, 0.25]
    """
    where = "standardised_rates"
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
    covariates, terms = covariate_columns(adjust, data, where=where)
    rows: list[dict[str, object]] = []
    for when, at in visits_of(data, time_col, where=where):
        refuse_repeated_patients(request.patients[at], where=where)
        arms = standardised_arms(
            request.outcome[at],
            request.treated[at],
            covariates[at],
            terms,
            names=request.arms,
            estimand=estimand,
            separate_arms=separate_arms,
        )
        rows.extend(when | row for row in proportion_rows(*arms, conf_level=conf_level))
    return result_table(
        rows,
        metadata={
            "spec": {
                "function": where,
                "adjust": adjust,
                "outcome_col": outcome_col,
                "treatment_col": treatment_col,
                "treated": str(treated),
                "time_col": time_col,
                "estimand": estimand,
                "separate_arms": separate_arms,
                "conf_level": conf_level,
            }
        },
        analysis="comparison",
        term=outcome_col,
        conf_level=conf_level,
        method=f"g-computation, {estimand}, logistic model {model_words(adjust, separate_arms=separate_arms)}; "
        "sandwich variance of the stacked estimating equations",
    )


def model_words(adjust: str, *, separate_arms: bool) -> str:
    """Describe an outcome model."""
    return f"of each arm given {adjust}" if separate_arms else f"given arm + {adjust}"


def standardised_arms(
    outcome: FloatArray,
    treated: BoolArray,
    covariates: FloatArray,
    terms: Sequence[str],
    *,
    names: tuple[str, str],
    estimand: str,
    separate_arms: bool,
) -> tuple[ArmProportion, ArmProportion]:
    """Standardise one set of patients; arguments as of :func:`standardised_rates`, as arrays of shape (n, ...)."""
    absent = arms_without_estimate(outcome, treated, names, "")
    if not (treated.any() and not treated.all()):
        return absent
    settings = outcome_settings(covariates, terms, treated, outcome, separate_arms=separate_arms)
    model = fit_binary(settings, outcome, what="outcome model")
    if isinstance(model, str):
        return arms_without_estimate(outcome, treated, names, model)
    target = target_rows(treated, estimand)
    one, zero = (
        _arm(place, model, outcome, own, target, name)
        for place, (own, name) in enumerate(zip((treated, ~treated), names, strict=True))
    )
    return one, zero


def arms_without_estimate(
    outcome: FloatArray, treated: BoolArray, names: tuple[str, str], note: str
) -> tuple[ArmProportion, ArmProportion]:
    """Return both arms counted but not estimated; without a note because one is empty."""
    found = []
    for own, name in zip((treated, ~treated), names, strict=True):
        patients = int(own.sum())
        empty = f"no patient of {name}" if not patients else "the other arm has no patient"
        found.append(ArmProportion(name, math.nan, None, patients, int(outcome[own].sum()), note or empty))
    return found[0], found[1]


def _arm(
    place: int, model: BinaryModel, outcome: FloatArray, own: BoolArray, target: BoolArray, name: str
) -> ArmProportion:
    risk, size = model.risk[place], int(target.sum())
    estimate = float(risk[target].mean())
    patients, events = int(own.sum()), int(outcome[own].sum())
    if not 0 < events < patients:
        return ArmProportion(name, estimate, None, patients, events, flat_note(name, events))
    slope = model.gradient[place][target].sum(axis=0) / size
    influence = np.where(target, risk - estimate, 0.0) / size + model.influence @ slope
    return ArmProportion(name, estimate, influence, patients, events)
