"""The prespecified analyses of a cohort of two arms or one: which estimator runs on what, under which name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from analyses.complete_cases import complete_cases
from analyses.datasets import AnalysisData
from analyses.flow import missing_values, patient_flow, response_states, responses_not_assessable
from cohort.errors import AnalysisError, UsageError
from cohort.results import ResultTable, concat_results, result_table

if TYPE_CHECKING:
    from analyses.propensity import PropensityFit

OUTCOMES = ("CR", "PR", "CR or PR")
"""Response outcomes analysed at every visit."""

ADJUSTMENT = "age_years + class_v + chronicity_index + refractory + log_upcr + log_creatinine"
"""Covariates of the adjusted outcome models: few, since a cohort of this size has some forty events."""

PROPENSITY = (
    "age_years + sex + sle_duration_years + class_v + activity_index + chronicity_index + hypertension + refractory"
    " + log_upcr + log_creatinine + albumin_g_dl + index_year"
)
"""Covariates of the propensity model: known at the index date, not affected by the treatment."""

TABLE_ONE = (
    "age_years", "sex", "ethnicity", "site", "sle_duration_years", "isn_rps_class", "class_v", "activity_index",
    "chronicity_index", "hypertension", "diabetes", "refractory", "upcr_g_g", "serum_creatinine_mg_dl",
    "egfr_ml_min_1_73m2", "albumin_g_dl", "c3_mg_dl", "c4_mg_dl", "anti_dsdna_iu_ml", "hemoglobin_g_dl",
    "urine_rbc_hpf", "urine_casts", "sledai_2k", "prednisolone_mg_day", "index_year", "induction",
    "background_therapy", "hydroxychloroquine", "raas_inhibitor",
)  # fmt: skip
"""Rows of Table 1, in order."""

RECORDED_PATIENTS = (
    "single patients of a registry are not written into results; analyses.realism.example_trajectories and "
    "example_courses lay them out for those who may see them"
)
"""Why a registry's results hold no single patients."""

NOBODY_SHOWN = "no patient is seen at as many visits, or has such events, as an example needs"
"""Why a cohort with few visits shows no single patients."""

Tables = dict[str, ResultTable]


def describe(data: AnalysisData) -> Tables:
    """Patient flow, values that are missing, Table 1 and response states."""
    from analyses.describe import baseline_table

    return {
        "patient_flow": patient_flow(data),
        "missing_values": missing_values(data),
        "response_not_assessable": responses_not_assessable(data),
        "table_one": _attempt(
            "table_one",
            lambda: baseline_table(data.baseline, group_col="arm", reference=data.reference, variables=TABLE_ONE),
        ),
        "response_states": response_states(data),
    }


def response(data: AnalysisData) -> Tables:
    """Response rates per visit and their differences between the arms, unadjusted.

    A visit may be judged although values are missing, more often as no response than as a response. The rates among
    visits with every value, which that cannot bend, stand beside the others.
    """
    from analyses.response import compare_rates, response_rates

    def rates(rows: pd.DataFrame) -> ResultTable:
        return _each_outcome(lambda outcome: response_rates(rows, outcome=outcome))  # type: ignore[arg-type]

    measured = data.responses[data.responses["all_measured"].to_numpy(dtype=bool)]
    return {
        "response_rates": rates(data.responses),
        "response_rates_measured": _in_population(rates(measured), "visits with every value"),
        "response_differences": _each_outcome(
            lambda outcome: compare_rates(data.responses, reference=_reference(data), outcome=outcome)  # type: ignore[arg-type]
        ),
    }


def longitudinal(data: AnalysisData) -> Tables:
    """GEE logistic model of complete response with arm by visit, and standardised response by visit.

    Patients without a covariate of the standardisation are left out of it; its notes say how many.
    """
    from analyses.longitudinal import fit_gee, marginal_response

    def standardised() -> ResultTable:
        reference = _reference(data)
        cases = complete_cases(data.responses, ADJUSTMENT)
        return cases.noted(marginal_response(cases.rows, reference=reference, outcome="CR", adjust=ADJUSTMENT))

    def over_time() -> ResultTable:
        _reference(data)
        formula = "complete ~ treated * visit" if frame["visit"].nunique() > 1 else "complete ~ treated"
        return fit_gee(frame, formula, subject_col="patient_id", correlation="exchangeable").tidy()

    frame = data.responses.assign(
        complete=(data.responses["response"] == "CR").astype(int),
        treated=(data.responses["arm"] == data.treated).astype(int),
        visit=data.responses["visit_month"].astype(int).map("month {:02d}".format),
    )
    return {
        "response_gee": _attempt("response_gee", over_time),
        "response_standardised": _attempt("response_standardised", standardised),
    }


def survival(data: AnalysisData) -> Tables:
    """Event-free survival (renal flare, ESKD, death) from day 0, its contrasts, and the incidence of flare.

    Patients without a covariate of the adjusted Cox model are left out of it; its notes say how many.
    """
    from analyses.survival import (
        cumulative_incidence,
        fit_cox,
        kaplan_meier,
        logrank,
        numbers_at_risk,
        restricted_mean,
    )

    frame = _with_treated(data)

    def cox(formula: str, population: str) -> tuple[ResultTable, ResultTable]:
        _reference(data)
        cases = complete_cases(frame, formula)
        fit = fit_cox(cases.rows, formula, duration_col="years", event_col="event")
        estimates, test = (cases.noted(table) for table in (fit.tidy(), fit.test_proportional_hazards()))
        return _in_population(estimates, population), _in_population(test, population)

    def compared() -> ResultTable:
        _reference(data)
        return logrank(frame, by="arm", duration_col="years", event_col="event")

    models = [_attempt_pair("cox", lambda: cox("treated", "unadjusted"), "unadjusted")]
    models.append(_attempt_pair("cox", lambda: cox(f"treated + {ADJUSTMENT}", "adjusted"), "adjusted"))
    tables = {
        "flare_free_survival": lambda: kaplan_meier(frame, by="arm", duration_col="years", event_col="event"),
        "flare_free_at_risk": lambda: numbers_at_risk(
            frame, by="arm", times=_at_risk_times(data.horizon_years), duration_col="years", event_col="event"
        ),
        "flare_free_logrank": compared,
        "flare_free_restricted_mean": lambda: restricted_mean(
            frame, by="arm", tau=data.horizon_years, duration_col="years", event_col="event"
        ),
        "flare_incidence": lambda: _named_causes(
            cumulative_incidence(frame, duration_col="years", event_col="cause", by="arm")
        ),
    }
    return {name: _in_years(_attempt(name, run)) for name, run in tables.items()} | {
        "cox": concat_results([estimates for estimates, _ in models]),
        "cox_proportional_hazards": concat_results([test for _, test in models]),
    }


def propensity(data: AnalysisData) -> Tables:
    """Propensity score, balance before and after weighting, weighted response difference and weighted Cox model.

    Patients without a covariate of the score are left out of all of them; the notes say how many.
    """
    from analyses.propensity import fit_propensity

    try:
        _reference(data)
        cases = complete_cases(_with_treated(data), PROPENSITY)
        frame = cases.rows
        fit = fit_propensity(frame, PROPENSITY, treatment_col="arm", treated=data.treated)
    except AnalysisError as error:
        names = (
            "propensity_score",
            "propensity_balance",
            "propensity_sample_size",
            "weighted_response",
            "weighted_cox",
        )
        return {name: _failure(name, error) for name in names}
    tables = {
        "propensity_score": fit.tidy(),
        "propensity_balance": fit.balance(),
        "propensity_sample_size": fit.effective_sample_size(fit.weights()),
        "weighted_response": _attempt("weighted_response", lambda: _weighted_response(data, frame["patient_id"], fit)),
        "weighted_cox": _attempt("weighted_cox", lambda: _weighted_cox(frame.assign(weight=fit.weights()))),
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
        _with_term(
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
    return _in_population(fit.tidy(), "weighted")


def realism(data: AnalysisData) -> Tables:
    """Baseline, correlations and courses beside those of other cohorts; single patients of generated cohorts only."""
    from analyses.realism import baseline_distributions, example_courses, example_trajectories, realism_table

    return {
        "realism": realism_table(data),
        "realism_distributions": baseline_distributions(data),
        "realism_trajectories": _single_patients(data, example_trajectories),
        "realism_courses": _single_patients(data, example_courses),
    }


ANALYSES: Mapping[str, Callable[[AnalysisData], Tables]] = {
    "describe": describe,
    "response": response,
    "longitudinal": longitudinal,
    "survival": survival,
    "propensity": propensity,
    "realism": realism,
}
"""Groups of analyses by the name that ``--only`` takes."""


def run_analyses(data: AnalysisData, *, only: Sequence[str] | None = None) -> Tables:
    """Run groups of analyses.

    Parameters
    ----------
    data
        Analysis frames of a cohort.
    only
        Names of groups (:data:`ANALYSES`); all if ``None``.

    Returns
    -------
    dict of str to ResultTable
        Result tables by name. An analysis that the data cannot support is a row whose ``note`` says why.

    Raises
    ------
    UsageError
        If a group is unknown.
    """
    chosen = list(ANALYSES) if only is None else list(only)
    unknown = [name for name in chosen if name not in ANALYSES]
    if unknown or not chosen:
        raise UsageError(
            "no analysis of that name",
            where="--only",
            got=", ".join(unknown) or "nothing",
            remedy=f"choose from {', '.join(ANALYSES)}",
        )
    tables: Tables = {}
    for name in chosen:
        tables |= ANALYSES[name](data)
    return tables


def _single_patients(data: AnalysisData, lay_out: Callable[[AnalysisData], ResultTable]) -> ResultTable:
    """Lay out single patients of a generated cohort; results of a registry hold no row of a recorded patient."""
    if data.cohort.mode is None:
        return result_table([{"note": RECORDED_PATIENTS}], analysis="realism", statistic="none")
    table = lay_out(data)
    return table if len(table) else result_table([{"note": NOBODY_SHOWN}], analysis="realism", statistic="none")


def _attempt(name: str, run: Callable[[], ResultTable]) -> ResultTable:
    try:
        return run()
    except AnalysisError as error:
        return _failure(name, error)


def _attempt_pair(
    name: str, run: Callable[[], tuple[ResultTable, ResultTable]], population: str
) -> tuple[ResultTable, ResultTable]:
    try:
        return run()
    except AnalysisError as error:
        failed = _in_population(_failure(name, error), population)
        return failed, failed


def _failure(name: str, error: AnalysisError) -> ResultTable:
    return result_table([{"note": f"not estimated: {error}"}], analysis=name, statistic="none")


def _each_outcome(run: Callable[[str], ResultTable]) -> ResultTable:
    return concat_results(_attempt(outcome, lambda outcome=outcome: run(outcome)) for outcome in OUTCOMES)  # type: ignore[misc]


def _reference(data: AnalysisData) -> str:
    """Return the reference arm; what compares arms cannot be estimated without one."""
    if data.reference is None:
        raise AnalysisError("one arm: nothing to compare", where=f"arm {data.treated}")
    return data.reference


def _at_risk_times(horizon_years: float) -> list[float]:
    """Half a year, whole years and the horizon; quarters too where follow-up is short."""
    marks = [0, 0.5, *range(1, int(horizon_years) + 1)] if horizon_years > 1 else [0, 0.25, 0.5, 0.75]
    return [*(mark for mark in marks if mark < horizon_years), horizon_years]


def _with_treated(data: AnalysisData) -> pd.DataFrame:
    """Mark the treated; the arm becomes a category whose first level is the reference of every contrast."""
    levels = [code for code in (data.reference, data.treated) if code is not None]
    arm = data.event_free["arm"]
    return data.event_free.assign(
        treated=(arm == data.treated).astype(int), arm=pd.Categorical(arm, categories=levels, ordered=True)
    )


def _in_population(table: ResultTable, population: str) -> ResultTable:
    return ResultTable(
        table.frame.assign(population=pd.array([population] * len(table), dtype="string")), table.metadata
    )


def _with_term(table: ResultTable, term: str) -> ResultTable:
    return ResultTable(table.frame.assign(term=pd.array([term] * len(table), dtype="string")), table.metadata)


def _in_years(table: ResultTable) -> ResultTable:
    unit = table.frame["time_unit"].where(table.frame["time"].isna(), "year")
    return ResultTable(table.frame.assign(time_unit=unit), table.metadata)


def _named_causes(table: ResultTable) -> ResultTable:
    named = table.frame["term"].replace({"1": "renal_flare", "2": "eskd or death"})
    return ResultTable(table.frame.assign(term=named), table.metadata)
