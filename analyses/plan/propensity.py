"""The propensity score: where the arms overlap, the weights and matched sets it gives, and the balance they reach."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar, get_args

import pandas as pd

from analyses.datasets import AnalysisData
from analyses.plan.adjusted import adjusted_effects
from analyses.plan.attempts import Tables, attempt, failure
from analyses.plan.labels import in_population, in_years, with_term
from analyses.plan.scores import LOGISTIC, Scored, score_patients
from analyses.plan.survival import at_risk_times
from cohort.errors import AnalysisError
from cohort.results import ResultTable, concat_results

_NAMES = (
    "propensity_score", "propensity_overlap", "propensity_histogram", "propensity_positivity", "propensity_trimming",
    "propensity_weights", "propensity_matching", "propensity_balance", "propensity_sample_size", "weighted_response",
    "weighted_cox", "weighted_survival", "weighted_at_risk", "compared_response", "compared_survival",
)  # fmt: skip

Made = TypeVar("Made")


def propensity(data: AnalysisData) -> Tables:
    """Scores, overlap, weights, matching and balance, and the arms compared by every way of adjusting side by side.

    Patients without a covariate are left out of all of them, covariates that do not vary out of every model; the notes
    say which and how many.
    """
    try:
        scored = score_patients(data)
    except AnalysisError as error:
        return {name: failure(name, error) for name in _NAMES}
    fit = scored.fit
    own = scored.estimand
    rows = scored.covariates.rows
    tables = {
        "propensity_score": fit.tidy(),
        **_overlap(data, scored),
        "propensity_weights": _weights(scored),
        "propensity_matching": _each(scored.matchings, lambda matching: matching.tidy()),
        "propensity_balance": _balance(data, scored),
        "propensity_sample_size": fit.effective_sample_size(fit.weights(own)),
        "weighted_response": attempt("weighted_response", lambda: _weighted_response(data, scored)),
        "weighted_cox": attempt("weighted_cox", lambda: _weighted_cox(rows.assign(weight=fit.weights(own)))),
        **_weighted_curves(data, rows.assign(weight=scored.scaled_weights())),
        **adjusted_effects(data, scored),
    }
    return {name: scored.covariates.noted(table) for name, table in tables.items()}


def _each(made: Mapping[str, Made | AnalysisError], table: Callable[[Made], ResultTable]) -> ResultTable:
    """Stack the tables of several fits or matched sets under their names; one that failed is a row with the reason."""
    return concat_results(
        in_population(failure("propensity", one) if isinstance(one, AnalysisError) else table(one), name)
        for name, one in made.items()
    )


def _overlap(data: AnalysisData, scored: Scored) -> Tables:
    """Where the scores of the arms overlap, who has no counterpart, and whom rules of trimming would leave out."""
    from analyses.propensity import (
        overlap_histogram,
        overlap_table,
        positivity_table,
        trim_asymmetric,
        trim_crump,
        trim_symmetric,
    )

    fit, rows = scored.fit, scored.covariates.rows
    with_score = {name: other for name, other in scored.scores.items() if name != "entropy balancing"}
    rules = {"0.1 to 0.9": trim_symmetric, "Crump": trim_crump, "5th to 95th percentile": trim_asymmetric}
    return {
        "propensity_overlap": _each(with_score, lambda one: overlap_table(one)),
        "propensity_histogram": overlap_histogram(fit, fit.weights(scored.estimand)),
        "propensity_positivity": positivity_table(
            rows, list(fit.covariates), treatment_col="arm", treated=data.treated
        ),
        "propensity_trimming": concat_results(
            in_population(attempt("propensity_trimming", lambda rule=rule: rule(fit).table), name)  # type: ignore[misc]
            for name, rule in rules.items()
        ),
    }


def _weights(scored: Scored) -> ResultTable:
    """Weights of the logistic score for each estimand, and of the other methods for that of the design."""
    from analyses.propensity import weight_table
    from analyses.propensity.weights import Estimand

    own = scored.estimand
    logistic = [with_term(weight_table(scored.fit, scored.fit.weights(name)), name) for name in get_args(Estimand)]
    others = _each(scored.others, lambda fit: with_term(weight_table(fit, fit.weights(own)), own))
    return concat_results([in_population(concat_results(logistic), LOGISTIC), others])


def _balance(data: AnalysisData, scored: Scored) -> ResultTable:
    """Balance before and after every adjustment, over one standard deviation, so that one plot can hold them."""
    from analyses.propensity import covariate_balance

    weightings = {name: weights for name, _, weights in scored.weightings}
    table = covariate_balance(
        scored.covariates.rows,
        list(scored.fit.covariates),
        treatment_col="arm",
        treated=data.treated,
        weights=weightings,
        measures=("smd", "variance_ratio", "ks", "overlap"),
    )
    estimands = pd.Series({name: f", {estimand}" for name, estimand, _ in scored.weightings}, dtype="string")
    words = table.frame["population"].map(estimands).fillna("")
    return ResultTable(table.frame.assign(method=table.frame["method"] + words), table.metadata)


def _weighted_response(data: AnalysisData, scored: Scored) -> ResultTable:
    """Weigh the patients assessed at each visit by their baseline score: nothing corrects for who is not assessed."""
    from analyses.comparison import weighted_rates

    patients = scored.covariates.rows["patient_id"]
    rows = pd.Series(range(len(patients)), index=patients.to_numpy())
    assessed = data.responses[data.responses["patient_id"].isin(patients)]
    estimated = scored.fit.estimated_weights(scored.estimand)
    weights = estimated.for_rows(assessed["patient_id"].map(rows).to_numpy())
    by_outcome = {"CR": assessed["response"] == "CR", "CR or PR": assessed["response"] != "NR"}
    return concat_results(
        with_term(
            weighted_rates(
                assessed.assign(responded=responded),
                outcome_col="responded",
                treatment_col="arm",
                treated=data.treated,
                weights=weights,
                time_col="visit_month",
            ),
            outcome,
        )
        for outcome, responded in by_outcome.items()
    )


def _weighted_cox(frame: pd.DataFrame) -> ResultTable:
    from analyses.survival import fit_cox

    fit = fit_cox(frame, "treated", duration_col="years", event_col="event", weights_col="weight", robust=True)
    return in_population(fit.tidy(), "weighted")


def _weighted_curves(data: AnalysisData, frame: pd.DataFrame) -> Tables:
    """Weighted Kaplan-Meier curves, and the weight at risk; weights add up to the patients of an arm."""
    from analyses.survival import kaplan_meier, numbers_at_risk

    kept = frame[frame["weight"] > 0]
    times = at_risk_times(data.horizon_years)
    tables = {
        "weighted_survival": lambda: kaplan_meier(
            kept, by="arm", duration_col="years", event_col="event", weights_col="weight"
        ),
        "weighted_at_risk": lambda: numbers_at_risk(
            kept, by="arm", times=times, duration_col="years", event_col="event", weights_col="weight"
        ),
    }
    return {name: in_population(in_years(attempt(name, run)), "weighted") for name, run in tables.items()}
