"""Rates of two arms, curves, log-rank tests, restricted means, Cox, parametric and recurrent models."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from validity.cohorts import FLARES_PER_DAY, HAZARD, HAZARD_RATIO, LOG_HAZARD_PER_X, RATES
from validity.entry import (
    COVERAGE,
    DAYS,
    EVENTS,
    GATED_COVERAGE,
    GATED_SIZE,
    SIZE,
    TAU,
    Entry,
    Measure,
    at_day,
    covered,
    interval_of,
    mean_up_to,
    rejected,
    survival_at,
    test_of,
)

from analyses.kernels.probability_interval import probability_interval
from analyses.kernels.proportions import (
    fisher_exact,
    newcombe_difference,
    odds_ratio,
    pearson_chi_square,
    risk_ratio,
    wilson_interval,
)
from analyses.survival import (
    fit_cox,
    fit_parametric,
    fit_recurrent,
    kaplan_meier,
    logrank,
    mean_cumulative_events,
    median_survival,
    restricted_mean,
)
from analyses.survival.parametric_fit import ParametricModel
from analyses.survival.recurrent import RecurrentModel


def judge_counts(cohort: pd.DataFrame) -> dict[str, bool | None]:
    verdicts: dict[str, bool | None] = {}
    for rate in RATES:
        cells = cohort[cohort["rate"] == rate].set_index("arm")[["events", "patients"]]
        (x0, n0), (x1, n1) = cells.loc["a"].tolist(), cells.loc["b"].tolist()
        wilson, newcombe = wilson_interval(x1, n1), newcombe_difference(x1, n1, x0, n0)
        ratio, odds = risk_ratio(x1, n1, x0, n0), odds_ratio(x1, n1, x0, n0)
        share = f"{rate:.0%}".replace("%", " %")
        verdicts |= {
            f"Wilson, {share}": covered(float(wilson.low), float(wilson.high), rate),
            f"Newcombe difference, {share}": covered(float(newcombe.low), float(newcombe.high), 0),
            f"risk ratio, log-Wald, {share}": covered(float(ratio.low), float(ratio.high), 1),
            f"odds ratio, log-Wald, {share}": covered(float(odds.low), float(odds.high), 1),
            f"chi-square, {share}": rejected(pearson_chi_square([[x1, n1 - x1], [x0, n0 - x0]]).p_value),
            f"Fisher, {share}": rejected(fisher_exact(x1, n1, x0, n0)),
        }
    return verdicts


COUNTS = Entry(
    "rates of two arms",
    "counts",
    judge_counts,
    {
        f"{name}, {share} %": measure
        for share in (30, 5)
        for name, measure in (
            ("Wilson", GATED_COVERAGE),
            ("Newcombe difference", GATED_COVERAGE),
            ("risk ratio, log-Wald", COVERAGE),
            ("odds ratio, log-Wald", COVERAGE),
            ("chi-square", SIZE),
            ("Fisher", Measure("size", "upper", "conservative by discreteness")),
        )
    },
)


def judge_curves(cohort: pd.DataFrame) -> dict[str, bool | None]:
    curve = kaplan_meier(cohort, **EVENTS)
    verdicts = {}
    for day in DAYS:
        row, truth = at_day(curve, day), survival_at(day)
        verdicts[f"log-log, day {day}"] = covered(row["conf_low"], row["conf_high"], truth)
        point = np.array([row["estimate"]]), np.array([row["std_error"]])
        for scale in ("plain", "log", "logit", "arcsine"):
            low, high = probability_interval(*point, scale=scale, conf_level=0.95)
            verdicts[f"{scale}, day {day}"] = covered(low[0], high[0], truth)
    return verdicts


CURVES = Entry(
    "Kaplan-Meier",
    "survival",
    judge_curves,
    {
        f"{scale}, day {day}": GATED_COVERAGE if scale == "log-log" else COVERAGE
        for scale in ("log-log", "plain", "log", "logit", "arcsine")
        for day in DAYS
    },
)


def judge_equal_arms(cohort: pd.DataFrame) -> dict[str, bool | None]:
    fit = fit_cox(cohort, "arm", **EVENTS)
    return {
        "log-rank": test_of(logrank(cohort, **EVENTS, by="arm")),
        "Peto-Peto (rho 1)": test_of(logrank(cohort, **EVENTS, by="arm", rho=1)),
        "Cox, unadjusted": interval_of(fit.tidy(), 0),
        "Cox, unadjusted, likelihood ratio": test_of(fit.glance()),
    }


EQUAL_ARMS = Entry(
    "two arms, no effect",
    "survival",
    judge_equal_arms,
    {
        "log-rank": GATED_SIZE,
        "Peto-Peto (rho 1)": GATED_SIZE,
        "Cox, unadjusted": GATED_COVERAGE,
        "Cox, unadjusted, likelihood ratio": SIZE,
    },
)


def judge_equal_means(cohort: pd.DataFrame) -> dict[str, bool | None]:
    means = restricted_mean(cohort, **EVENTS, by="arm", tau=TAU)
    return {
        "restricted mean": interval_of(means, mean_up_to(TAU), statistic="restricted_mean", group="b"),
        "restricted mean difference": test_of(means, statistic="restricted_mean_difference"),
        "restricted mean ratio": test_of(means, statistic="restricted_mean_ratio"),
    }


EQUAL_MEANS = Entry(
    "restricted means to day 1461, no effect",
    "survival",
    judge_equal_means,
    {"restricted mean": COVERAGE, "restricted mean difference": SIZE, "restricted mean ratio": SIZE},
)


def judge_effect(cohort: pd.DataFrame) -> dict[str, bool | None]:
    return {"Cox, unadjusted": interval_of(fit_cox(cohort, "arm", **EVENTS).tidy(), math.log(HAZARD_RATIO))}


EFFECT = Entry("two arms, hazard ratio 0.6", "effect", judge_effect, {"Cox, unadjusted": GATED_COVERAGE})


def judge_times(cohort: pd.DataFrame) -> dict[str, bool | None]:
    means = restricted_mean(cohort, **EVENTS, by="arm", tau=TAU)
    one, other = mean_up_to(TAU, HAZARD * HAZARD_RATIO), mean_up_to(TAU)
    medians = median_survival(cohort[cohort["arm"] == "a"], **EVENTS).frame.iloc[0]
    low, high = np.nan_to_num([medians["conf_low"], medians["conf_high"]], nan=math.inf)
    return {
        "restricted mean difference": interval_of(means, one - other, statistic="restricted_mean_difference"),
        "restricted mean ratio": interval_of(means, one / other, statistic="restricted_mean_ratio"),
        "median": bool(low <= math.ceil(math.log(2) / HAZARD) <= high),
    }


TIMES = Entry(
    "restricted means to day 1461 and median, hazard ratio 0.6",
    "effect",
    judge_times,
    {
        "restricted mean difference": COVERAGE,
        "restricted mean ratio": COVERAGE,
        "median": Measure("coverage", remark="an open limit counts as infinite"),
    },
)


def judge_adjusted(cohort: pd.DataFrame) -> dict[str, bool | None]:
    model = fit_cox(cohort, "arm + x", **EVENTS)
    robust = fit_cox(cohort, "arm + x", **EVENTS, robust=True).tidy()
    ours, trends = model.tidy(), model.test_proportional_hazards()
    return {
        "arm": interval_of(ours, 0, term="arm=b"),
        "arm, robust": interval_of(robust, 0, term="arm=b"),
        "covariate": interval_of(ours, LOG_HAZARD_PER_X, term="x"),
        "covariate, robust": interval_of(robust, LOG_HAZARD_PER_X, term="x"),
        "proportional hazards, covariate": test_of(trends, term="x"),
        "proportional hazards, GLOBAL": test_of(trends, term="GLOBAL"),
    }


ADJUSTED = Entry(
    "Cox, adjusted",
    "prognostic",
    judge_adjusted,
    {
        "arm": COVERAGE,
        "arm, robust": COVERAGE,
        "covariate": COVERAGE,
        "covariate, robust": COVERAGE,
        "proportional hazards, covariate": SIZE,
        "proportional hazards, GLOBAL": SIZE,
    },
)


def judge_parametric(cohort: pd.DataFrame) -> dict[str, bool | None]:
    verdicts = {}
    for model, truth in PARAMETRIC_TRUTHS.items():
        fit = fit_parametric(cohort, "arm", **EVENTS, model=model)
        verdicts[f"{model}, arm"] = interval_of(fit.tidy(), truth, term="arm=b")
        ahead = fit.predict(cohort.iloc[:1], times=[731])
        verdicts[f"{model}, survival at day 731"] = interval_of(ahead, survival_at(731, HAZARD * HAZARD_RATIO))
    return verdicts


PARAMETRIC_TRUTHS: dict[ParametricModel, float] = {
    "weibull_aft": -math.log(HAZARD_RATIO),
    "spline": math.log(HAZARD_RATIO),
}
PARAMETRIC = Entry(
    "parametric models, hazard ratio 0.6",
    "effect",
    judge_parametric,
    {f"{model}, {what}": COVERAGE for model in PARAMETRIC_TRUTHS for what in ("arm", "survival at day 731")},
)


def judge_recurrent(cohort: pd.DataFrame) -> dict[str, bool | None]:
    verdicts = {}
    for model in RECURRENT_MODELS:
        fit = fit_recurrent(cohort, "arm", model=model, last_number=3)
        verdicts[model] = test_of(fit.tidy(), term="arm=b")
    curve = mean_cumulative_events(cohort, by="arm")
    point = at_day(curve, 731, group="b", statistic="mean_events")
    return verdicts | {"mean number, day 731": covered(point["conf_low"], point["conf_high"], FLARES_PER_DAY * 731)}


RECURRENT_MODELS: tuple[RecurrentModel, ...] = ("andersen-gill", "pwp-total", "pwp-gap")
RECURRENT = Entry(
    "recurrent events, coefficient of the arm",
    "recurrent",
    judge_recurrent,
    {**dict.fromkeys(RECURRENT_MODELS, SIZE), "mean number, day 731": COVERAGE},
)
