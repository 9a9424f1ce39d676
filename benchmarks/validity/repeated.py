"""Repeated response: marginal models, ordered categories, laboratory courses and first responses."""

from __future__ import annotations

import math

import pandas as pd
from validity.cohorts import FALL_PER_YEAR, FIRST_RESPONSES_PER_MONTH, MONTHS, PARTIAL
from validity.entry import COVERAGE, SIZE, Entry, interval_of, test_of

from analyses.kernels.gee import Correlation
from analyses.kernels.gee_variance import Variance
from analyses.longitudinal import fit_gee, fit_mixed, fit_ordinal, marginal_response
from analyses.survival import turnbull


def judge_gee(cohort: pd.DataFrame) -> dict[str, bool | None]:
    verdicts = {}
    for correlation, variance in GEE_VARIANTS:
        fit = fit_gee(
            cohort,
            "responder ~ arm + C(visit_month)",
            subject_col="patient_id",
            time_col="visit_month",
            correlation=correlation,
            variance=variance,
        )
        verdicts[f"{correlation}, {variance}"] = test_of(fit.tidy(), term="arm=b")
    return verdicts


GEE_VARIANTS: tuple[tuple[Correlation, Variance], ...] = (
    ("independence", "robust"),
    ("exchangeable", "robust"),
    ("exchangeable", "mancl_derouen"),
    ("exchangeable", "kauermann_carroll"),
    ("unstructured", "robust"),
)
GEE = Entry(
    "GEE, logistic, coefficient of the arm",
    "repeated",
    judge_gee,
    {f"{correlation}, {variance}": SIZE for correlation, variance in GEE_VARIANTS},
    slow=True,
)
FEW_PATIENTS = Entry(
    "GEE, logistic, coefficient of the arm, one patient in five",
    "repeated",
    lambda cohort: judge_gee(cohort[cohort["patient_id"] % 5 == 0]),
    {f"{correlation}, {variance}": SIZE for correlation, variance in GEE_VARIANTS},
    slow=True,
)


def judge_standardised(cohort: pd.DataFrame) -> dict[str, bool | None]:
    verdicts = {}
    for words, adjust in (("unadjusted", None), ("adjusted", "x")):
        table = marginal_response(cohort, reference="a", adjust=adjust)
        for month, rate in MONTHS.items():
            verdicts[f"proportion, {words}, month {month}"] = interval_of(
                table, rate, statistic="standardised_proportion", group="b", time=month
            )
            verdicts[f"difference, {words}, month {month}"] = test_of(
                table, statistic="standardised_risk_difference", time=month
            )
    return verdicts


STANDARDISED = Entry(
    "standardised response",
    "repeated",
    judge_standardised,
    {
        f"{what}, {words}, month {month}": measure
        for words in ("unadjusted", "adjusted")
        for what, measure in (("proportion", COVERAGE), ("difference", SIZE))
        for month in MONTHS
    },
)


def judge_ordered(cohort: pd.DataFrame) -> dict[str, bool | None]:
    # One intercept shift per visit would not hold the model: partial responses are as frequent at every visit.
    at_year = cohort[cohort["visit_month"] == 12]
    fit = fit_ordinal(at_year, "state ~ arm + x")
    repeated = fit_ordinal(cohort, "state ~ arm + C(visit_month)", subject_col="patient_id")
    shares = fit_ordinal(at_year, "state ~ arm").marginal_probabilities(at_year, by="arm")
    truths = {"CR": MONTHS[12], "PR": PARTIAL, "NR": 1 - MONTHS[12] - PARTIAL}
    return {
        "one visit, arm": test_of(fit.tidy(), term="arm=b"),
        "all visits, clustered, arm": test_of(repeated.tidy(), term="arm=b"),
        "proportional odds, arm": test_of(fit.test_proportional_odds(), term="arm"),
        **{
            f"proportion {state}": interval_of(
                shares, truth, statistic="standardised_proportion", term=state, group="b"
            )
            for state, truth in truths.items()
        },
    }


ORDERED = Entry(
    "ordered response, cumulative logit",
    "repeated",
    judge_ordered,
    {
        "one visit, arm": SIZE,
        "all visits, clustered, arm": SIZE,
        "proportional odds, arm": SIZE,
        **dict.fromkeys((f"proportion {state}" for state in ("CR", "PR", "NR")), COVERAGE),
    },
)


def judge_courses(cohort: pd.DataFrame) -> dict[str, bool | None]:
    fit = fit_mixed(cohort, "value ~ arm * years", subject_col="patient_id", random="1 + years")
    slopes = fit.slopes(group_col="arm", time_col="years", reference="a")
    return {
        "arm at the start": test_of(fit.tidy(), term="arm=b"),
        "slope": interval_of(slopes, -FALL_PER_YEAR, statistic="slope", group="b"),
        "difference of slopes": test_of(slopes, statistic="slope_difference"),
    }


COURSES = Entry(
    "courses, random intercept and slope",
    "courses",
    judge_courses,
    {"arm at the start": SIZE, "slope": COVERAGE, "difference of slopes": SIZE},
    slow=True,
)


def judge_first_response(cohort: pd.DataFrame) -> dict[str, bool | None]:
    table = turnbull(cohort, lower_col="lower", upper_col="upper", bootstraps=200, seed=1)
    rows = table.frame[(table.frame["statistic"] == "survival") & (table.frame["time"] == 12)]
    truth = math.exp(-FIRST_RESPONSES_PER_MONTH * 12)
    return {"no response by month 12": interval_of(table, truth, statistic="survival", time=12) if len(rows) else None}


FIRST_RESPONSE = Entry(
    "first response between visits, Turnbull, percentile interval of 200 bootstraps",
    "visited",
    judge_first_response,
    {"no response by month 12": COVERAGE},
    slow=True,
)
