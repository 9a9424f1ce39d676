"""The methods whose size and coverage are published: **one entry each**, to which new estimators are added.

An entry names a design, says by `judge` what one cohort shows (for each measure True when the test rejects at 5 % or
the 95 % interval covers the truth, False when not, None when there is no test or interval) and lists its measures.
After adding one to ENTRIES, run `python benchmarks/validity_document.py NAME` to simulate and record it and to
write the document.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from validity.cohorts import (
    CAUSE_HAZARDS,
    DESIGNS,
    HAZARD,
    HAZARD_RATIO,
    HORIZON,
    LOG_HAZARD_PER_X,
    MONTHS,
    RATES,
    confounded_hazard,
    confounded_risk,
)

from analyses.comparison import weighted_rates
from analyses.kernels.gee import Correlation
from analyses.kernels.gee_variance import Variance
from analyses.kernels.probability_interval import probability_interval
from analyses.kernels.proportions import (
    fisher_exact,
    newcombe_difference,
    odds_ratio,
    pearson_chi_square,
    risk_ratio,
    wilson_interval,
)
from analyses.longitudinal import fit_gee, marginal_response
from analyses.propensity import fit_propensity
from analyses.survival import (
    cumulative_incidence,
    cumulative_incidence_at,
    fit_cox,
    fit_fine_gray,
    gray_test,
    kaplan_meier,
    logrank,
    median_survival,
    restricted_mean,
)
from cohort.results import ResultTable

Kind = Literal["size", "coverage"]
Gate = Literal["both", "upper", ""]
Judge = Callable[[pd.DataFrame], Mapping[str, bool | None]]


@dataclass(frozen=True)
class Measure:
    """What is counted: how often a test rejects (``size``, 5 % asked) or an interval covers (``coverage``, 95 %).

    Attributes
    ----------
    gate
        ``both`` when the suite fails on a size or coverage off its nominal value, ``upper`` when only on a size above
        it, empty when it is published as it is.
    remark
        Words for the document.
    """

    kind: Kind
    gate: Gate = ""
    remark: str = ""


@dataclass(frozen=True)
class Entry:
    """A method, the cohorts it meets and how they are judged."""

    name: str
    design: str
    judge: Judge
    measures: Mapping[str, Measure]
    slow: bool = False

    def __post_init__(self) -> None:
        assert self.design in DESIGNS, self.design

    @property
    def replicates(self) -> int:
        """Cohorts of each size: 4,000 where something is gated, 2,000 elsewhere, 500 where one takes long."""
        if self.slow:
            return 500
        return 4000 if any(measure.gate for measure in self.measures.values()) else 2000


SIZE, COVERAGE = Measure("size"), Measure("coverage")
GATED_SIZE, GATED_COVERAGE = Measure("size", "both"), Measure("coverage", "both")
EVENTS = {"duration_col": "day", "event_col": "event"}
TAU = HORIZON - 365
DAYS = (183, 365, 731, 1096, HORIZON)


def rejected(p_value: float) -> bool | None:
    return None if math.isnan(p_value) else bool(p_value < 0.05)


def covered(low: float, high: float, truth: float) -> bool | None:
    return None if math.isnan(low) or math.isnan(high) else bool(low <= truth <= high)


def rows(table: ResultTable, **wanted: object) -> pd.DataFrame:
    """Return the rows whose columns hold the values wanted, at least one."""
    frame = table.frame
    for column, value in wanted.items():
        frame = frame[frame[column] == value]
    assert len(frame), wanted
    return frame


def test_of(table: ResultTable, **wanted: object) -> bool | None:
    return rejected(rows(table, **wanted)["p_value"].item())


def interval_of(table: ResultTable, truth: float, **wanted: object) -> bool | None:
    row = rows(table, **wanted)
    return covered(row["conf_low"].item(), row["conf_high"].item(), truth)


def at_day(table: ResultTable, day: float, **wanted: object) -> pd.Series:
    """Return the last row of a curve up to a day."""
    frame = rows(table, **wanted)
    return frame[frame["time"] <= day].iloc[-1]


def survival_at(day: float, hazard: float = HAZARD) -> float:
    return math.exp(-hazard * day)


def mean_up_to(day: int, hazard: float = HAZARD) -> float:
    """Mean of the smaller of a time in whole days and ``day``."""
    return float(np.exp(-hazard * np.arange(day)).sum())


def average_over_z(values: Callable[[np.ndarray], np.ndarray]) -> float:
    """Mean of a function of a standard normal covariate, by Gauss-Hermite quadrature."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    return float(values(nodes) @ weights / weights.sum())


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


def judge_incidence(cohort: pd.DataFrame) -> dict[str, bool | None]:
    table = cumulative_incidence(cohort, duration_col="day", event_col="cause")
    total, verdicts = sum(CAUSE_HAZARDS), {}
    for cause, hazard in enumerate(CAUSE_HAZARDS, start=1):
        occurred = (table.frame["term"] == str(cause)).any()
        for day in (365, HORIZON):
            truth = hazard / total * -math.expm1(-total * day)
            row = at_day(table, day, term=str(cause)) if occurred else {"conf_low": math.nan, "conf_high": math.nan}
            verdicts[f"cause {cause}, day {day}"] = covered(row["conf_low"], row["conf_high"], truth)
    return verdicts


INCIDENCE = Entry(
    "cumulative incidence, log-log interval",
    "competing",
    judge_incidence,
    {f"cause {cause}, day {day}": COVERAGE for cause in (1, 2) for day in (365, HORIZON)},
)


def judge_competing(cohort: pd.DataFrame) -> dict[str, bool | None]:
    causes = {"duration_col": "day", "event_col": "cause"}
    verdicts = {}
    for cause in (1, 2):
        verdicts[f"Gray, cause {cause}"] = test_of(gray_test(cohort, **causes, by="arm", cause=cause))
        for variant in VARIANTS:
            fit = fit_fine_gray(cohort, "arm", **causes, cause=cause, variant=variant)
            verdicts[f"Fine-Gray ({variant}), cause {cause}"] = test_of(fit.tidy())
    differences = cumulative_incidence_at(cohort, **causes, by="arm", times=[TAU])
    verdicts["difference of incidence at day 1461, cause 1"] = test_of(
        differences, statistic="cumulative_incidence_difference", term="1"
    )
    return verdicts


VARIANTS: tuple[Literal["finegray", "crr"], ...] = ("finegray", "crr")
COMPETING_TESTS = Entry(
    "competing causes, no effect",
    "competing",
    judge_competing,
    {
        **{f"Gray, cause {cause}": SIZE for cause in (1, 2)},
        **{f"Fine-Gray ({variant}), cause {cause}": SIZE for variant in VARIANTS for cause in (1, 2)},
        "difference of incidence at day 1461, cause 1": SIZE,
    },
)


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

ENTRIES = (
    COUNTS,
    CURVES,
    EQUAL_ARMS,
    EQUAL_MEANS,
    EFFECT,
    TIMES,
    ADJUSTED,
    WEIGHTED_TESTS,
    WEIGHTED,
    INCIDENCE,
    COMPETING_TESTS,
    GEE,
    FEW_PATIENTS,
    STANDARDISED,
)
