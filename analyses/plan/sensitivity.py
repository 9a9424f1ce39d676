"""How far the comparison of the arms depends on what was assumed and chosen."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analyses.datasets import AnalysisData, analysis_data, cut_at_horizon
from analyses.plan.attempts import Tables, attempt, reference_arm
from analyses.plan.labels import with_treated
from analyses.varying_covariates import Covariates, varying_covariates
from cohort.codes import Event
from cohort.definitions import KDIGO_2012, KIM2025, KIM2025_STRICT
from cohort.errors import AnalysisError
from cohort.results import ResultTable, concat_results, result_table

if TYPE_CHECKING:
    from analyses.comparison import BinaryOutcome, EventOutcome

MAIN_MONTH = 12
"""Scheduled month whose complete response is followed, or the first visit where a study has none then."""
COMMON = 0.15
"""Share with the event from which a hazard ratio cannot be read as a risk ratio (doi:10.7326/M16-2607)."""
PREVALENCE_REFERENCE = 0.2
PREVALENCE_TREATED = (0.3, 0.4, 0.6, 0.8)
"""Shares of the arms with an imagined binary confounder: a grid to read from, no statement about patients."""

READINGS = {"either creatinine clause": KIM2025, "both creatinine clauses": KIM2025_STRICT}
"""Readings of the published response definition, by name."""

EVENT_FREE = "flare, ESKD or death"
"""Name of the event in the results."""


def sensitivity(data: AnalysisData) -> Tables:
    """E-values, one covariate at a time left out, negative controls, trimming and the multiverses of choices.

    Followed are complete response at one visit and event-free survival, weighted as the design asks. Patients without
    a covariate of the score are left out, and covariates in which all agree; the notes say so.
    """
    from analyses.sensitivity import event_multiverse, response_multiverse

    definitions = {
        name: analysis_data(
            data.cohort,
            treated=data.treated,
            reference=data.reference,
            response=one,
            flare=KDIGO_2012,
            design=data.design,
        )
        for name, one in READINGS.items()
    }

    return {
        "unmeasured_confounding": attempt("unmeasured_confounding", lambda: unmeasured_confounding(data)),
        "leave_one_covariate_out": attempt("leave_one_covariate_out", lambda: one_left_out(data)),
        "negative_controls": negative_controls(data),
        "trimming_path": attempt("trimming_path", lambda: trimmed(data)),
        "response_multiverse": attempt("response_multiverse", lambda: response_multiverse(definitions)),
        "event_multiverse": attempt("event_multiverse", lambda: event_multiverse(definitions)),
    }


def _scored(data: AnalysisData, *further: str) -> Covariates:
    """Return the patients with every covariate of the score, and with the columns named further."""
    reference_arm(data)
    return varying_covariates(with_treated(data).rename(columns={"event": EVENT_FREE}), data.design.adjustment, further)


def _request(data: AnalysisData) -> dict[str, object]:
    return {"treatment_col": "arm", "treated": data.treated, "estimand": data.design.estimand.value}


def _main_outcomes(data: AnalysisData) -> tuple[BinaryOutcome, EventOutcome]:
    from analyses.comparison import BinaryOutcome, EventOutcome

    months = sorted(int(month) for month in data.responses["visit_month"].unique())
    if not months:
        raise AnalysisError("nobody is assessed at any visit", where="table visits")
    month = MAIN_MONTH if MAIN_MONTH in months else months[0]
    visits = data.responses[data.responses["visit_month"].eq(month).to_numpy(dtype=bool)]
    return (
        BinaryOutcome("response", counts="CR", visits=visits, time_col="visit_month"),
        EventOutcome("years", EVENT_FREE),
    )


def one_left_out(data: AnalysisData) -> ResultTable:
    """Leave each covariate of the design's adjustment set out of the score in turn."""
    from analyses.sensitivity import leave_one_covariate_out

    cases = _scored(data)
    covariates, outcomes = cases.columns, _main_outcomes(data)
    return cases.noted(
        leave_one_covariate_out(cases.rows, **_request(data), covariates=covariates, outcomes=outcomes)  # type: ignore[arg-type]
    )


def trimmed(data: AnalysisData) -> ResultTable:
    """Trim the score at rising cut-offs and by Crump's rule."""
    from analyses.sensitivity import trimming_path

    cases = _scored(data)
    score, outcomes = cases.formula, _main_outcomes(data)
    return cases.noted(trimming_path(cases.rows, **_request(data), score=score, outcomes=outcomes))  # type: ignore[arg-type]


def negative_controls(data: AnalysisData) -> ResultTable:
    """Compare the arms on each negative control of the design, among the patients who have it and every covariate."""
    controls = data.design.negative_controls
    if not controls:
        note = f"the design {data.design.name} names no negative control"
        return result_table([{"note": note}], analysis="sensitivity", statistic="none")
    return concat_results(
        attempt("negative_controls", lambda name=name: _negative_control(data, name))  # type: ignore[misc]
        for name in controls
    )


def _negative_control(data: AnalysisData, name: str) -> ResultTable:
    from analyses.comparison import BinaryOutcome, EventOutcome
    from analyses.sensitivity import MeasureOutcome, negative_control

    outcome: BinaryOutcome | EventOutcome | MeasureOutcome
    if name in {kind.value for kind in Event}:
        cases, outcome = _scored(data), EventOutcome("years", name)
        found = data.cohort.events[data.cohort.events["event"].eq(name).to_numpy(dtype=bool)]
        day = cases.rows["patient_id"].map(found.groupby("patient_id")["day"].min())
        years, happened = cut_at_horizon(day, cases.rows["follow_up_days"], data.horizon_years)
        rows = cases.rows.assign(**{"years": years, name: happened.astype(np.int64)})
    elif name in data.baseline.columns:
        cases = _scored(data, name)
        if name not in cases.columns:
            raise AnalysisError("all patients agree", where=f"design {data.design.name}, negative_controls", got=name)
        rows = cases.rows
        measured = pd.api.types.is_numeric_dtype(rows[name]) and not pd.api.types.is_bool_dtype(rows[name])
        outcome = MeasureOutcome(name) if measured else BinaryOutcome(name)
    else:
        raise AnalysisError(
            "no such negative control",
            where=f"design {data.design.name}, negative_controls",
            got=name,
            remedy=f"name a column of day 0 or an event: {', '.join(Event)}",
        )
    score = cases.formula_of(data.design.adjustment)
    return cases.noted(negative_control(rows, **_request(data), score=score, outcomes=outcome))  # type: ignore[arg-type]


def unmeasured_confounding(data: AnalysisData) -> ResultTable:
    """Return E-values and tipping points of the weighted risk ratio of response and hazard ratio of the event."""
    from analyses.comparison import weighted_hazard_ratio, weighted_rates
    from analyses.propensity import fit_propensity

    cases = _scored(data)
    request = {"treatment_col": "arm", "treated": data.treated}
    fit = fit_propensity(cases.rows, cases.formula, **request)  # type: ignore[arg-type]
    weights = fit.estimated_weights(data.design.estimand.value)
    position = pd.Series(range(len(cases.rows)), index=cases.rows["patient_id"].to_numpy())
    visits = data.responses[data.responses["patient_id"].isin(position.index)]
    visits = visits.assign(CR=visits["response"].eq("CR"))
    own = weights.for_rows(visits["patient_id"].map(position).to_numpy())
    rates = weighted_rates(visits, outcome_col="CR", weights=own, time_col="visit_month", **request)  # type: ignore[arg-type]
    hazards = weighted_hazard_ratio(
        cases.rows, duration_col="years", event_col=EVENT_FREE, weights=weights, **request  # type: ignore[arg-type]
    )  # fmt: skip
    ratios = rates.frame[rates.frame["statistic"].eq("risk_ratio").to_numpy(dtype=bool)]
    hazard = hazards.frame.assign(term=pd.array([EVENT_FREE] * len(hazards), dtype="string"))
    return cases.noted(
        concat_results(_strength(row) for _, row in pd.concat([ratios, hazard], ignore_index=True).iterrows())
    )


def _strength(row: pd.Series) -> ResultTable:
    """Return how strong an unmeasured confounder would have to be to explain one weighted ratio."""
    from analyses.sensitivity import e_value, tipping_points
    from analyses.sensitivity.unmeasured import as_risk_ratio

    names = ("estimate", "conf_low", "conf_high")
    key = {"population": "weighted", "term": row["term"], "time": row["time"], "time_unit": row["time_unit"],
           "contrast": row["contrast"], "n": row["n"], "n_events": row["n_events"]}  # fmt: skip
    is_hazard = row["statistic"] == "log_hazard_ratio"
    centre, low, high = (math.exp(float(row[name])) if is_hazard else float(row[name]) for name in names)
    if not all(map(math.isfinite, (centre, low, high))) or centre <= 0:
        note = f"not estimated: {row['note']}"
        return result_table([key | {"statistic": "e_value", "note": note}], analysis="sensitivity")
    scale = "hazard_ratio" if is_hazard else "risk_ratio"
    rare = float(row["n_events"]) < COMMON * float(row["n"])
    values = e_value(centre, low, high, scale=scale, rare=rare)  # type: ignore[arg-type]
    shown = as_risk_ratio(centre, scale, rare)  # type: ignore[arg-type]
    tipping = tipping_points(shown, prevalence_treated=PREVALENCE_TREATED, prevalence_reference=PREVALENCE_REFERENCE)
    return result_table([*_grouped(values, key), *_grouped(tipping, key)], analysis="sensitivity")


def _grouped(table: ResultTable, key: dict[str, object]) -> Iterator[dict[str, object]]:
    """Yield the rows with the outcome as their term; what the rows of an outcome differ in moves to the group."""
    for _, row in table.frame.iterrows():
        kept = {name: row[name] for name in ("statistic", "estimate", "method", "note")}
        yield key | kept | {"group": row["term"]}
