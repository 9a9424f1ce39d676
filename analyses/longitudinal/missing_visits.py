"""Response rates under four ways of dealing with visits at which the response is not known, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import pandas as pd

from analyses.columns import BoolArray, FloatArray, require_level, require_probability
from analyses.kernels.attendance_weights import attendance_probabilities
from analyses.kernels.response_imputation import UNKNOWN, impute_states
from analyses.longitudinal.strategy_rates import (
    ResponseRate,
    no_rate,
    plain_rate,
    pooled_rate,
    rate_rows,
    weighted_rate,
)
from analyses.longitudinal.visit_layout import StateArray, VisitLayout, arrange_visits
from cohort.errors import UsageError
from cohort.results import ResultTable, result_table
from cohort.seeds import SeedTree

Death = Literal["no response", "missing"]
Outcome = Literal["CR", "CR or PR"]

OBSERVED = "observed cases"
NON_RESPONDER = "non-responder imputation"
IMPUTED = "multiple imputation"
WEIGHTED = "inverse probability of assessment"
STRATEGIES = (OBSERVED, NON_RESPONDER, IMPUTED, WEIGHTED)

_WHERE = "missing_visit_strategies"
_LOWEST = {"CR or PR": 1, "CR": 2}
_METHOD = {
    OBSERVED: "patients assessed among those due",
    NON_RESPONDER: "patients due, no response where not assessed",
    IMPUTED: "patients due, chained continuation-ratio imputation, Rubin's rules",
    WEIGHTED: "patients due, stabilised inverse-probability weights, robust variance, weights taken as known",
}
_INTERVAL = "; Wilson and Newcombe intervals of the effective number, Wald p-value"


def missing_visit_strategies(
    visits: pd.DataFrame,
    *,
    reference: str | None,
    covariates: str | None,
    seed: int,
    imputations: int = 50,
    death: Death = "no response",
    outcomes: Sequence[Outcome] = ("CR", "CR or PR"),
    conf_level: float = 0.95,
) -> ResultTable:
    """Response rate of each arm at each visit, and differences, under four strategies for missing responses.

    All are about the patients *due* at the visit (see :func:`analyses.longitudinal.response_visits`): a visit after
    the data lock is not missing, the patient has not been followed for that long. Among those due, the response may be
    missing because the visit was missed, the values were not measured, or the patient was lost.

    - **observed cases**: the patients assessed, as if they were a random sample of those due in their arm;
    - **non-responder imputation**: whoever is due and not assessed has no response;
    - **multiple imputation**: the ordered response (none, partial, complete) imputed by chained logistic models from
      arm, covariates and the response at all other visits, pooled by Rubin's rules. Valid if, given these, a response
      is as likely to be missing whatever it was (missing at random);
    - **inverse probability of assessment**: the patients assessed, weighted by one over the probability of being so,
      by pooled logistic models of staying under observation and of being assessed, given visit, arm, covariates, the
      response seen last and whether the visit before was assessed. Valid if nothing else about the response matters.
      Weights are stabilised by the share known in each arm and visit, which leaves every rate as it is.

    Parameters
    ----------
    visits
        Frame of :func:`analyses.longitudinal.response_visits`, with one row per patient and visit.
    reference
        Arm the others are compared with; None for rates alone.
    covariates
        Right-hand side of baseline covariates without missing values, or None.
    seed
        Of the imputations; no draw depends on the order of rows or the names of patients.
    imputations
        Their number, at least two.
    death
        Response at a visit due after a death: ``"no response"`` (death is part of the outcome; known in all but the
        observed cases) or ``"missing"`` (the response had the patient lived, as the other missing ones).
    outcomes
        What counts as an event.
    conf_level
        Confidence level of the intervals.

    Returns
    -------
    ResultTable
        Per strategy (``population``), outcome (``term``) and ``time`` a row ``proportion`` per ``group`` and, with a
        reference, a row ``risk_difference`` per ``contrast``. Intervals are Wilson's and Newcombe's for the number of
        patients that would give the strategy's variance without missing data (imputation: with Student's quantile),
        so that all four equal the plain ones where nothing is missing; ``p_value`` is Wald's (imputation: t). ``n`` is
        the patients assessed (weighted: known) or due; ``n_events`` responders among them (imputation: their mean).
        ``note`` has the patients due and not assessed; for imputation the number of imputations, Barnard and Rubin's
        degrees of freedom and the fraction of missing information; for weights the effective number of patients and
        the largest weight. Kidney failure before an unassessed visit is known no response, except in the observed
        cases.

    Raises
    ------
    AnalysisError
        Unknown column, no rows, missing values in covariates, a patient without a row at a visit or with two, arm or
        covariate that changes within a patient, an unknown status or response, no such reference.
    UsageError
        ``seed``, ``imputations``, ``death``, ``outcomes`` or ``conf_level`` out of range.

    References
    ----------
    National Research Council. The Prevention and Treatment of Missing Data in Clinical Trials. 2010.
    doi:10.17226/12955. Lott A, Reiter JP. Wilson confidence intervals for binomial proportions with multiple
    imputation for missing data. Am Stat 2020;74:109-115. doi:10.1080/00031305.2018.1473796. Zou GY, Donner A.
    Construction of confidence limits about effect measures. Stat Med 2008;27:1693-1702. doi:10.1002/sim.3095

    Examples
    --------
    >>> import pandas as pd
    >>> visits = pd.DataFrame({"patient_id": range(8), "arm": ["a"] * 4 + ["b"] * 4, "visit_month": 6, "due": True})
    >>> visits["response"] = ["CR", "CR", "PR", None, "CR", "NR", "NR", None]
    >>> visits["status"] = (["assessed"] * 3 + ["missed visit"]) * 2
    >>> table = missing_visit_strategies(visits, reference="b", covariates=None, seed=1, outcomes=["CR"]).frame
    >>> rates = table[table["statistic"] == "proportion"]
    >>> rates.loc[rates["population"] == "non-responder imputation", "estimate"].tolist()
    [0.5, 0.25]
    """
    require_probability(conf_level, "conf_level")
    _check_request(imputations, death, outcomes)
    layout = arrange_visits(visits, covariates, death_is_no_response=death == "no response", where=_WHERE)
    arms = sorted(set(layout.arm.tolist()))
    if reference is not None:
        require_level(arms, reference, where=f"{_WHERE}, column arm")
    tree = SeedTree(seed).child("response imputation")
    random = [tree.child(number).generator() for number in range(imputations)]
    completed = impute_states(layout.known, layout.covariates, random=random)
    weights = _weights(layout)
    rows: list[dict[str, object]] = []
    for strategy in STRATEGIES:
        for outcome in outcomes:
            for visit, month in enumerate(layout.months):
                rates = {
                    arm: _rate(strategy, layout, completed, weights, layout.arm == arm, visit, outcome, conf_level)
                    for arm in arms
                }
                shared = {
                    "population": strategy,
                    "term": outcome,
                    "time": month,
                    "method": _METHOD[strategy] + _INTERVAL,
                }
                rows += [shared | row for row in rate_rows(rates, reference)]
    return result_table(
        rows,
        metadata={
            "spec": {
                "function": _WHERE,
                "reference": reference,
                "covariates": covariates,
                "imputations": imputations,
                "death": death,
                "outcomes": list(outcomes),
                "conf_level": conf_level,
            },
            "seed": seed,
        },
        analysis="longitudinal",
        time_unit="month",
        conf_level=conf_level,
    )


def _rate(
    strategy: str,
    layout: VisitLayout,
    completed: StateArray,
    weights: FloatArray,
    arm: BoolArray,
    visit: int,
    outcome: str,
    conf_level: float,
) -> ResponseRate:
    """Estimate one arm, visit and outcome under one strategy."""
    due = arm & layout.due[:, visit]
    states = layout.states[:, visit]
    assessed = due & (states != UNKNOWN)
    lacking = int(due.sum() - assessed.sum())
    said = f"{lacking} of the {int(due.sum())} patients due not assessed" if lacking else ""
    if not due.any():
        return no_rate("no patient of this arm is due at this time")
    lowest = _LOWEST[outcome]
    if strategy == NON_RESPONDER:
        return plain_rate(states[due] >= lowest, said, conf_level)
    if not assessed.any():
        return no_rate(f"{said}: nothing to estimate from")
    if strategy == OBSERVED:
        return plain_rate(states[assessed] >= lowest, said, conf_level)
    if strategy == WEIGHTED:
        return weighted_rate(states >= lowest, np.where(arm, weights[:, visit], 0.0), said, conf_level)
    return pooled_rate(completed[:, due, visit] >= lowest, said, conf_level)


def _weights(layout: VisitLayout) -> FloatArray:
    """Stabilised weights, shape (n, v); 0 where the response is not known or not due."""
    found = attendance_probabilities(
        layout.states,
        layout.covariates,
        due=layout.due,
        under_observation=~layout.lost,
        terminal=layout.terminal & layout.due,
    )
    known = np.isfinite(found.known)
    weights = np.where(known, 1 / np.where(known, found.known, 1.0), 0.0)
    for arm in np.unique(layout.arm):
        own = layout.arm == arm
        due = np.maximum(layout.due[own].sum(axis=0), 1)
        weights[own] *= known[own].sum(axis=0) / due
    return weights


def _check_request(imputations: int, death: str, outcomes: Sequence[str]) -> None:
    if imputations < 2:
        raise UsageError(
            "at least two imputations are needed", where=_WHERE, got=str(imputations), remedy="use for instance 50"
        )
    for name, values, offered in (("death", [death], get_args(Death)), ("outcome", outcomes, get_args(Outcome))):
        if not values or any(value not in offered for value in values):
            raise UsageError(
                f"unknown {name}", where=_WHERE, got=", ".join(values), remedy=f"use {' or '.join(offered)}"
            )
