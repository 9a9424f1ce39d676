"""The arms compared by every way of adjusting, side by side: responses at each visit, and event-free survival."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from analyses.datasets import AnalysisData
from analyses.plan.attempts import Tables, attempt
from analyses.plan.labels import in_population, in_years, with_term
from analyses.plan.scores import Scored
from cohort.errors import AnalysisError
from cohort.results import ResultTable, concat_results

if TYPE_CHECKING:
    from analyses.comparison import BinaryOutcome, EventOutcome
    from analyses.propensity import Matching

BOOTSTRAPS = 200
"""Replicates of the bootstrap: enough for a standard error to a twentieth, not for the far digits of a limit."""

BOOTSTRAP_SEED = 2093
"""Fixed, so that the same cohort gives the same results."""

EVENT_FREE = "flare, ESKD or death"
"""Name of the event in the results."""

STACKED, KNOWN, BOOTSTRAPPED = "weighted, stacked variance", "weighted, weights as known", "weighted, bootstrap"
"""The same weighted estimate with three standard errors."""


def adjusted_effects(data: AnalysisData, scored: Scored) -> Tables:
    """Differences and ratios of response at each visit, and of event-free survival, by every way of adjusting."""
    return {
        "compared_response": attempt("compared_response", lambda: _responses(data, scored)),
        "compared_survival": in_years(attempt("compared_survival", lambda: _survival(data, scored))),
    }


def _chain(data: AnalysisData, scored: Scored, outcomes: Sequence[BinaryOutcome | EventOutcome]) -> list[ResultTable]:
    """Compare unadjusted, weighted with three variances, standardised and doubly robust."""
    from analyses.comparison import compare_arms

    covariates = scored.covariates
    frame = covariates.rows.rename(columns={"event": EVENT_FREE})
    score = covariates.formula_of(data.design.adjustment)
    shared = {
        "treatment_col": "arm", "treated": data.treated, "estimand": scored.estimand, "outcomes": outcomes,
    }  # fmt: skip
    adjust = covariates.formula_of(data.design.outcome_covariates)
    whole = compare_arms(frame, score=score, adjust=adjust, **shared)  # type: ignore[arg-type]
    known = compare_arms(frame, score=score, variance="known", **shared)  # type: ignore[arg-type]
    drawn = compare_arms(
        frame, score=score, variance="bootstrap", replicates=BOOTSTRAPS, seed=BOOTSTRAP_SEED, **shared  # type: ignore[arg-type]
    )  # fmt: skip
    return [
        _of(whole, "unadjusted"),
        in_population(_of(whole, "weighted"), STACKED),
        in_population(_of(known, "weighted"), KNOWN),
        in_population(_without_tests(_of(drawn, "weighted")), BOOTSTRAPPED),
        _of(whole, "standardised"),
        _of(whole, "augmented"),
    ]


def _of(table: ResultTable, population: str) -> ResultTable:
    kept = (table.frame["population"] == population).to_numpy(dtype=bool, na_value=False)
    return ResultTable(table.frame[kept], table.metadata)


def _without_tests(table: ResultTable) -> ResultTable:
    """Leave out tests, of which there is no bootstrap."""
    return ResultTable(table.frame[(table.frame["statistic"] != "chi_square").to_numpy(dtype=bool)], table.metadata)


def _matched(scored: Scored, compare: Callable[[Matching], Iterable[ResultTable]]) -> list[ResultTable]:
    """Compare within each matched set; one that could not be made is a row with the reason."""

    def one(matching: Matching | AnalysisError) -> ResultTable:
        if isinstance(matching, AnalysisError):
            raise matching
        return concat_results(compare(matching))

    return [
        in_population(attempt("comparison", lambda made=made: one(made)), name)  # type: ignore[misc]
        for name, made in scored.matchings.items()
    ]


def _responses(data: AnalysisData, scored: Scored) -> ResultTable:
    from analyses.comparison import BinaryOutcome, matched_rates

    assessed = data.responses[data.responses["patient_id"].isin(scored.covariates.rows["patient_id"])]
    assessed = assessed.assign(visit_month=assessed["visit_month"].astype(int))
    outcomes = [
        BinaryOutcome("response", counts=counts, visits=assessed, time_col="visit_month")
        for counts in ("CR", "CR or PR")
    ]
    responded = {"CR": assessed["response"] == "CR", "CR or PR": assessed["response"] != "NR"}

    def within(matching: Matching) -> Iterable[ResultTable]:
        for outcome, events in responded.items():
            rows = assessed.assign(responded=events)
            found = matched_rates(rows, matching=matching, outcome_col="responded", time_col="visit_month")
            yield with_term(found, outcome)

    return concat_results([*_chain(data, scored, outcomes), *_matched(scored, within)])


def _survival(data: AnalysisData, scored: Scored) -> ResultTable:
    from analyses.comparison import EventOutcome
    from analyses.survival import fit_cox, restricted_mean, survival_at

    tau = data.horizon_years
    outcome = EventOutcome("years", EVENT_FREE, tau=tau, times=(tau,))

    def within(matching: Matching) -> Iterable[ResultTable]:
        rows = matching.matched_data()
        columns: dict[str, Any] = {
            "duration_col": "years", "event_col": "event", "weights_col": "weights",
            "cluster_col": "subclass" if len(matching.pairs) else "patient_id",
        }  # fmt: skip
        contrast = f"{data.treated} v {data.reference}"
        ratio = fit_cox(rows, "treated", **columns).tidy()
        yield ResultTable(ratio.frame.assign(contrast=pd.array([contrast] * len(ratio), dtype="string")), {})
        yield attempt("comparison", lambda: restricted_mean(rows, by="arm", tau=tau, **columns))
        yield attempt("comparison", lambda: survival_at(rows, by="arm", times=[tau], **columns))

    found = concat_results([*_chain(data, scored, [outcome]), *_matched(scored, within)])
    return with_term(found, EVENT_FREE)
