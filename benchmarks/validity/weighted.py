"""Comparisons adjusted for a covariate by weights, outcome models, both, and matching."""

from __future__ import annotations

import numpy as np
import pandas as pd
from validity.cohorts import confounded_hazard, confounded_risk
from validity.entry import (
    COVERAGE,
    EVENTS,
    SIZE,
    TAU,
    Entry,
    Measure,
    at_day,
    average_over_z,
    covered,
    interval_of,
    test_of,
)

from analyses.comparison import (
    augmented_rates,
    augmented_restricted_mean,
    matched_rates,
    standardised_rates,
    standardised_survival,
    weighted_hazard_ratio,
    weighted_logrank,
    weighted_rates,
    weighted_restricted_mean,
    weighted_survival,
)
from analyses.multiple_imputation import impute_covariates
from analyses.pooled_results import pool_results
from analyses.propensity import fit_propensity
from analyses.survival import fit_cox, kaplan_meier, logrank, restricted_mean


def judge_weighted_tests(cohort: pd.DataFrame) -> dict[str, bool | None]:
    weighted = cohort.assign(w=fit_propensity(cohort, "z", treatment_col="arm", treated="b").weights("ATE"))
    return {
        "log-rank": test_of(logrank(weighted, **EVENTS, weights_col="w", by="arm")),
        "Peto-Peto (rho 1)": test_of(logrank(weighted, **EVENTS, weights_col="w", by="arm", rho=1)),
        "Cox, robust": test_of(fit_cox(weighted, "arm", **EVENTS, weights_col="w", robust=True).tidy()),
    }


AS_KNOWN = "estimated weights taken as known"
WEIGHTED_TESTS = Entry(
    "tests weighted by an estimated propensity score (ATE)",
    "confounded",
    judge_weighted_tests,
    dict.fromkeys(("log-rank", "Peto-Peto (rho 1)", "Cox, robust"), Measure("size", "upper", AS_KNOWN)),
)


def judge_weighted(cohort: pd.DataFrame) -> dict[str, bool | None]:
    fit = fit_propensity(cohort, "z", treatment_col="arm", treated="b")
    weighted = cohort.assign(w=fit.weights("ATE"))
    options = {"outcome_col": "responder", "treatment_col": "arm", "treated": "b"}
    stacked = weighted_rates(cohort, **options, weights=fit.estimated_weights("ATE"))
    known = weighted_rates(cohort, **options, weights=weighted["w"])
    means = restricted_mean(weighted, **EVENTS, weights_col="w", by="arm", tau=TAU)
    point = at_day(kaplan_meier(weighted[weighted["arm"] == "b"], **EVENTS, weights_col="w"), 731)
    free = average_over_z(lambda z: np.exp(-confounded_hazard(z) * 731))
    risk = average_over_z(confounded_risk)
    return {
        "restricted mean difference": test_of(means, statistic="restricted_mean_difference"),
        "Kaplan-Meier, log-log, day 731": covered(point["conf_low"], point["conf_high"], free),
        "risk difference": test_of(known, statistic="risk_difference"),
        "risk difference, stacked variance": test_of(stacked, statistic="risk_difference"),
        "proportion, stacked variance": interval_of(stacked, risk, statistic="proportion", group="b"),
    }


WEIGHTED = Entry(
    "estimates weighted by an estimated propensity score (ATE)",
    "confounded",
    judge_weighted,
    {
        "restricted mean difference": Measure("size", remark=AS_KNOWN),
        "Kaplan-Meier, log-log, day 731": Measure("coverage", remark=AS_KNOWN),
        "risk difference": Measure("size", remark=AS_KNOWN),
        "risk difference, stacked variance": SIZE,
        "proportion, stacked variance": COVERAGE,
    },
)


ARMS = {"treatment_col": "arm", "treated": "b"}


def with_names(cohort: pd.DataFrame) -> pd.DataFrame:
    return cohort.assign(patient_id=np.arange(len(cohort)))


def judge_doubly_robust(cohort: pd.DataFrame) -> dict[str, bool | None]:
    patients, risk = with_names(cohort), average_over_z(confounded_risk)
    tables = {"g-computation": standardised_rates(patients, adjust="z", outcome_col="responder", **ARMS)}
    for name, folds in (("AIPW", None), ("AIPW, cross-fitted", 5)):
        tables[name] = augmented_rates(
            patients, score="z", adjust="z", outcome_col="responder", separate_arms=False, folds=folds, **ARMS
        )
    tables["AIPW, no outcome model"] = augmented_rates(
        patients.assign(one=1.0 * (patients["patient_id"] % 2)),
        score="z",
        adjust="one",
        outcome_col="responder",
        **ARMS,
    )
    verdicts = {}
    for name, table in tables.items():
        verdicts[f"risk difference, {name}"] = test_of(table, statistic="risk_difference")
        verdicts[f"proportion, {name}"] = interval_of(table, risk, statistic="proportion", group="b")
    return verdicts


DOUBLY_ROBUST = Entry(
    "standardised and doubly robust response",
    "confounded",
    judge_doubly_robust,
    {
        f"{what}, {name}": Measure(measure.kind, remark=remark)
        for name, remark in (
            ("g-computation", ""),
            ("AIPW", ""),
            ("AIPW, cross-fitted", "five folds"),
            ("AIPW, no outcome model", "the outcome is modelled by a covariate without meaning, the score rightly"),
        )
        for what, measure in (("risk difference", SIZE), ("proportion", COVERAGE))
    },
)


def judge_stacked_events(cohort: pd.DataFrame) -> dict[str, bool | None]:
    fit = fit_propensity(cohort, "z", treatment_col="arm", treated="b")
    options = EVENTS | ARMS | {"weights": fit.estimated_weights("ATE")}
    free = average_over_z(lambda z: np.exp(-confounded_hazard(z) * 731))
    curve = weighted_survival(cohort, times=[731], **options)
    areas = augmented_restricted_mean(with_names(cohort), score="z", adjust="z", tau=TAU, **EVENTS, **ARMS)
    return {
        "log-rank": test_of(weighted_logrank(cohort, **options)),
        "hazard ratio": test_of(weighted_hazard_ratio(cohort, **options)),
        "survival, day 731": interval_of(curve, free, statistic="survival", group="b"),
        "survival difference, day 731": test_of(curve, statistic="survival_difference"),
        "restricted mean difference": test_of(
            weighted_restricted_mean(cohort, tau=TAU, **options), statistic="restricted_mean_difference"
        ),
        "restricted mean difference, augmented": test_of(areas, statistic="restricted_mean_difference"),
    }


STACKED_EVENTS = Entry(
    "event times weighted by an estimated propensity score (ATE), stacked variance",
    "confounded",
    judge_stacked_events,
    {
        "log-rank": SIZE,
        "hazard ratio": SIZE,
        "survival, day 731": COVERAGE,
        "survival difference, day 731": SIZE,
        "restricted mean difference": SIZE,
        "restricted mean difference, augmented": Measure("size", remark="cross-fitted in five folds"),
    },
)


def judge_standardised_events(cohort: pd.DataFrame) -> dict[str, bool | None]:
    patients, free = with_names(cohort), average_over_z(lambda z: np.exp(-confounded_hazard(z) * 731))
    options = {"adjust": "z", "times": [731], "tau": TAU, **EVENTS, **ARMS}
    verdicts = {}
    for name, table in (
        ("arm a stratum", standardised_survival(patients, **options)),
        ("arm a term", standardised_survival(patients, arm="term", **options)),
    ):
        verdicts |= {
            f"survival, day 731, {name}": interval_of(table, free, statistic="survival", group="b"),
            f"risk difference, day 731, {name}": test_of(table, statistic="risk_difference"),
            f"risk ratio, day 731, {name}": test_of(table, statistic="risk_ratio"),
            f"restricted mean difference, {name}": test_of(table, statistic="restricted_mean_difference"),
        }
    return verdicts


STANDARDISED_EVENTS = Entry(
    "standardised event times (g-computation by a Cox model)",
    "confounded",
    judge_standardised_events,
    {
        f"{what}, {name}": measure
        for name in ("arm a stratum", "arm a term")
        for what, measure in (
            ("survival, day 731", COVERAGE),
            ("risk difference, day 731", SIZE),
            ("risk ratio, day 731", SIZE),
            (
                "restricted mean difference",
                Measure("size", remark="the weighted one has 7.2 in the same 500 of 1,000 patients"),
            ),
        )
    },
    slow=True,
)


def judge_matched(cohort: pd.DataFrame) -> dict[str, bool | None]:
    patients = with_names(cohort)
    fit = fit_propensity(patients, "z", treatment_col="arm", treated="b")
    verdicts = {}
    for name, matching in (
        ("pairs within 0.2 SD", fit.match(caliper=0.2)),
        ("two each, with replacement", fit.match(ratio=2, replace=True)),
        ("optimal full", fit.match("full")),
    ):
        table = matched_rates(patients, matching=matching, outcome_col="responder")
        verdicts[name] = test_of(table, statistic="risk_difference")
    return verdicts


MATCHED = Entry(
    "risk difference after matching on an estimated propensity score",
    "confounded",
    judge_matched,
    {
        "pairs within 0.2 SD": Measure("size", remark="arms of one size: pairs differ by what the caliper allows"),
        "two each, with replacement": SIZE,
        "optimal full": Measure("size", remark="clustered by subclass"),
    },
)


def judge_imputed(cohort: pd.DataFrame) -> dict[str, bool | None]:
    imputed = impute_covariates(cohort, ["z"], predictors=["arm", "responder"], imputations=10, iterations=1, seed=1)
    weighted, standardised = [], []
    for whole in imputed.frames:
        fit = fit_propensity(whole, "z", treatment_col="arm", treated="b")
        weighted.append(weighted_rates(whole, outcome_col="responder", weights=fit.estimated_weights("ATE"), **ARMS))
        standardised.append(standardised_rates(whole, adjust="z", outcome_col="responder", **ARMS))
    complete = cohort.dropna(subset="z")
    left = standardised_rates(complete, adjust="z", outcome_col="responder", **ARMS)
    risk = average_over_z(confounded_risk)
    verdicts = {}
    for name, table in (("weighting", pool_results(weighted)), ("g-computation", pool_results(standardised))):
        verdicts[f"risk difference, {name}"] = test_of(table, statistic="risk_difference")
        verdicts[f"proportion, {name}"] = interval_of(table, risk, statistic="proportion", group="b")
    verdicts["risk difference, complete cases"] = test_of(left, statistic="risk_difference")
    return verdicts


IMPUTED = Entry(
    "covariate imputed ten times, Rubin's rules",
    "incomplete",
    judge_imputed,
    {
        "risk difference, weighting": SIZE,
        "proportion, weighting": COVERAGE,
        "risk difference, g-computation": SIZE,
        "proportion, g-computation": COVERAGE,
        "risk difference, complete cases": Measure("size", remark="g-computation without the patients who lack z"),
    },
    slow=True,
)
