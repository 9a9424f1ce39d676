"""The comparison adjusted by a propensity score."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from analyses.complete_cases import complete_cases
from analyses.datasets import AnalysisData
from analyses.plan.attempts import Tables, attempt, failure, reference_arm
from analyses.plan.labels import in_population, with_term, with_treated
from cohort.errors import AnalysisError
from cohort.results import ResultTable, concat_results

if TYPE_CHECKING:
    from analyses.propensity import PropensityFit


def propensity(data: AnalysisData) -> Tables:
    """Propensity score, balance before and after weighting, weighted response difference and weighted Cox model.

    Patients without a covariate of the score are left out of all of them; the notes say how many.
    """
    from analyses.propensity import fit_propensity

    try:
        reference_arm(data)
        cases = complete_cases(with_treated(data), data.design.treatment_formula)
        frame = cases.rows
        fit = fit_propensity(frame, data.design.treatment_formula, treatment_col="arm", treated=data.treated)
    except AnalysisError as error:
        names = (
            "propensity_score",
            "propensity_balance",
            "propensity_sample_size",
            "weighted_response",
            "weighted_cox",
        )
        return {name: failure(name, error) for name in names}
    tables = {
        "propensity_score": fit.tidy(),
        "propensity_balance": fit.balance(),
        "propensity_sample_size": fit.effective_sample_size(fit.weights()),
        "weighted_response": attempt("weighted_response", lambda: _weighted_response(data, frame["patient_id"], fit)),
        "weighted_cox": attempt("weighted_cox", lambda: _weighted_cox(frame.assign(weight=fit.weights()))),
    }
    return {name: cases.noted(table) for name, table in tables.items()}


def _weighted_response(data: AnalysisData, scored: pd.Series[str], fit: PropensityFit) -> ResultTable:
    """Weigh the patients assessed at each visit by their baseline score: nothing corrects for who is not assessed.

    ``scored`` names the patients that the score was fitted to, in its order; others are left out.
    """
    from analyses.comparison import weighted_rates

    rows = pd.Series(range(len(scored)), index=scored.to_numpy())
    assessed = data.responses[data.responses["patient_id"].isin(scored)]
    weights = fit.estimated_weights().for_rows(assessed["patient_id"].map(rows).to_numpy())
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
