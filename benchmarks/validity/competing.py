"""Cumulative incidence, Gray's test and Fine-Gray models."""

from __future__ import annotations

import math
from typing import Literal

import pandas as pd
from validity.cohorts import CAUSE_HAZARDS, HORIZON
from validity.entry import COVERAGE, SIZE, TAU, Entry, at_day, covered, test_of

from analyses.survival import cumulative_incidence, cumulative_incidence_at, fit_fine_gray, gray_test


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
