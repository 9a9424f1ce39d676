"""Findings in words against the cohort."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pandas as pd

from analyses.datasets import AnalysisData
from analyses.flow import response_counts
from analyses.reproduction.comparisons import (
    ADVERSE_EVENTS,
    Comparison,
    compare_share,
    event_free_logrank,
    has_event,
    poor_outcome_logrank,
)
from analyses.reproduction.entry import Entry, Verdict
from cohort.codes import Background, Event
from cohort.record import Claim, Measure, Target
from cohort.store import Cohort

_ALPHA = 0.05
_LABS_AT_END = {
    "upcr_g_g": "UPCR",
    "egfr_ml_min_1_73m2": "eGFR",
    "anti_dsdna_iu_ml": "anti-dsDNA",
    "c3_mg_dl": "C3",
    "c4_mg_dl": "C4",
    "sledai_2k": "SLEDAI-2K",
}
_BALANCED = (
    "age_years", "sex", "ethnicity", "site", "sle_duration_years", "activity_index", "chronicity_index",
    "hypertension", "diabetes", "upcr_g_g", "serum_creatinine_mg_dl", "egfr_ml_min_1_73m2", "albumin_g_dl", "c3_mg_dl",
    "c4_mg_dl", "anti_dsdna_iu_ml", "hemoglobin_g_dl", "urine_rbc_hpf", "urine_casts", "sledai_2k",
)  # fmt: skip
"""Baseline covariates of the balance finding: not class V, index date, treatments or refractory disease."""
_NOT_HIGHER = (Event.SERIOUS_INFECTION, Event.CARDIOVASCULAR, Event.MALIGNANCY, Event.CREATININE_DOUBLING)

Judge = Callable[[Target, AnalysisData, Cohort], Entry]


def judge_finding(target: Target, data: AnalysisData, cohort: Cohort) -> Entry:
    """Judge one finding; the reason says whether the cohort was made to show it or the seed gave it."""
    judge = _JUDGES.get((target.measure, target.claim))
    if judge is None:
        return Entry(Verdict.NOT_CHECKABLE, "said in words only; print gives nothing to compute")
    return judge(target, data, cohort)


def _origin(target: Target, cohort: Cohort) -> str:
    if cohort.mode is None:
        return "computed from the data"
    conditioned = cohort.notes.get("conditioned_measures")
    if isinstance(conditioned, list) and target.measure.value in conditioned:
        return "exact mode conditions on it"
    return "not conditioned on: the seed gave it"


def _verdict(holds: bool) -> Verdict:
    return Verdict.CONSISTENT if holds else Verdict.NOT_REPRODUCED


def _no_difference(compare: Callable[[AnalysisData, Cohort], Comparison]) -> Judge:
    def judge(target: Target, data: AnalysisData, cohort: Cohort) -> Entry:
        comparison = compare(data, cohort)
        return Entry(_verdict(comparison.p_value >= _ALPHA), _origin(target, cohort), comparison.text)

    return judge


def _class_v(target: Target, data: AnalysisData, cohort: Cohort) -> Entry:
    comparison = compare_share(data, data.baseline["class_v"])
    holds = comparison.treated_higher and comparison.p_value < _ALPHA
    return Entry(_verdict(holds), f"pure class V; {_origin(target, cohort)}", comparison.text)


def _balance(target: Target, data: AnalysisData, cohort: Cohort) -> Entry:
    from analyses.describe import baseline_table

    table = baseline_table(data.baseline, group_col="arm", reference=data.reference, variables=_BALANCED).frame
    tests = table[table["statistic"] == "difference_test"]
    differing = tests.loc[tests["p_value"] < _ALPHA, "term"].tolist()
    smallest = tests["p_value"].min()
    shown = f"{len(tests)} covariates, smallest p = {smallest:.3f}"
    reason = f"Welch t or Pearson, class V apart; {_origin(target, cohort)}"
    return Entry(_verdict(not differing), reason + (f"; differ: {', '.join(differing)}" if differing else ""), shown)


def _severity(_target: Target, _data: AnalysisData, _cohort: Cohort) -> Entry:
    return Entry(
        Verdict.NOT_CHECKABLE,
        "print names no measure of severity and calls the measured baseline similar; a generated cohort carries the "
        "direction in an unmeasured severity that no analysis sees",
    )


def _overall_similar(target: Target, data: AnalysisData, _cohort: Cohort) -> Entry:
    at_visit = data.responses[data.responses["visit_month"] == target.month]
    assessed = data.baseline["patient_id"].isin(at_visit["patient_id"])
    responding = data.baseline["patient_id"].isin(at_visit.loc[at_visit["response"] != "NR", "patient_id"])
    comparison = compare_share(replace(data, baseline=data.baseline[assessed]), responding[assessed])
    return Entry(
        _verdict(comparison.p_value >= _ALPHA),
        "the division of responders is reconstructed so that the printed p-value is given",
        comparison.text,
    )


def _exceeds(target: Target, data: AnalysisData, _cohort: Cohort) -> Entry:
    counts = response_counts(data)
    at_visit = counts[counts["month"] == target.month].set_index("arm")
    share = 100 * (at_visit["complete"] + at_visit["partial"]) / at_visit["assessed"]
    shown = ", ".join(f"{arm} {value:.1f} %" for arm, value in share.items())
    return Entry(_verdict(bool((share > float(target.printed)).all())), "in both arms", shown)


def _combination(target: Target, data: AnalysisData, _cohort: Cohort) -> Entry:
    drugs = data.baseline.loc[data.baseline["arm"] == data.treated, "background_therapy"]
    combined = float((drugs != Background.NONE.value).mean())
    mycophenolate = float((drugs == Background.MYCOPHENOLATE.value).mean())
    shown = f"{100 * combined:.1f} % of {data.treated} with another immunosuppressant"
    if target.arm is None:
        shown += f"; {data.reference} with one at most"
        return Entry(_verdict(combined > 0.5), "shares of the other drugs are assumed", shown)
    holds = combined > 0.5 and mycophenolate > combined / 2
    shown += f", {100 * mycophenolate:.1f} % with mycophenolate"
    return Entry(_verdict(holds), "the number on tacrolimus alone is a target; shares of drugs are assumed", shown)


def _not_higher(_target: Target, data: AnalysisData, cohort: Cohort) -> Entry:
    found = {event: compare_share(data, has_event(data, cohort, event)) for event in _NOT_HIGHER}
    higher = [event.value for event, one in found.items() if one.treated_higher and one.p_value < _ALPHA]
    shown = "; ".join(f"{event.value} {one.text}" for event, one in found.items())
    reason = "none significantly more frequent on tacrolimus" if not higher else f"higher: {', '.join(higher)}"
    origin = "computed from the data" if cohort.mode is None else "not conditioned on: the seed gave it"
    return Entry(_verdict(not higher), f"{reason}; {origin}", shown)


def _labs_similar(target: Target, data: AnalysisData, cohort: Cohort) -> Entry:
    from scipy.stats import mannwhitneyu

    at_visit = cohort.visits[cohort.visits["visit_month"] == target.month].merge(
        cohort.patients[["patient_id", "arm"]], on="patient_id"
    )
    treated = at_visit[at_visit["arm"] == data.treated]
    reference = at_visit[at_visit["arm"] == data.reference]
    if treated.empty or reference.empty:
        return Entry(Verdict.NOT_CHECKABLE, "nobody of an arm is seen at this visit")
    p = {label: float(mannwhitneyu(treated[name], reference[name]).pvalue) for name, label in _LABS_AT_END.items()}
    differing = [name for name, value in p.items() if value < _ALPHA]
    reason = f"Mann-Whitney; SLEDAI-2K stands for its renal part; {_origin(target, cohort)}"
    shown = ", ".join(f"{name} p = {value:.3f}" for name, value in p.items())
    return Entry(_verdict(not differing), reason + (f"; differ: {', '.join(differing)}" if differing else ""), shown)


def _kidney_function(target: Target, data: AnalysisData, cohort: Cohort) -> Entry:
    visits = cohort.visits.loc[cohort.visits["visit_month"] == target.month, ["patient_id", "egfr_ml_min_1_73m2"]]
    joined = data.baseline.merge(visits, on="patient_id", suffixes=("", "_later"))
    change: pd.Series[float] = joined["egfr_ml_min_1_73m2_later"] - joined["egfr_ml_min_1_73m2"]
    medians = change.groupby(joined["arm"]).median()
    shown = ", ".join(f"{arm} median change {value:+.1f}" for arm, value in medians.items())
    return Entry(Verdict.NOT_CHECKABLE, "print gives no number or limit for stable", shown)


_SIMILAR = Claim.NO_SIGNIFICANT_DIFFERENCE
_JUDGES: dict[tuple[Measure, Claim | None], Judge] = {
    (Measure.BASELINE_BALANCE, _SIMILAR): _balance,
    (Measure.CLASS_V, Claim.HIGHER): _class_v,
    (Measure.DISEASE_SEVERITY, Claim.HIGHER): _severity,
    (Measure.TREATMENT_PATTERN, Claim.DESCRIPTIVE): _combination,
    (Measure.OVERALL_RESPONSE, _SIMILAR): _overall_similar,
    (Measure.OVERALL_RESPONSE, Claim.EXCEEDS): _exceeds,
    (Measure.RENAL_FLARE, _SIMILAR): _no_difference(
        lambda data, _: compare_share(data, data.baseline["patient_id"].isin(data.flares["patient_id"]))
    ),
    (Measure.FLARE_FREE_SURVIVAL, _SIMILAR): _no_difference(lambda data, _: event_free_logrank(data)),
    (Measure.POOR_OUTCOME, _SIMILAR): _no_difference(lambda data, _: poor_outcome_logrank(data)),
    (Measure.ADVERSE_EVENTS, _SIMILAR): _no_difference(
        lambda data, cohort: compare_share(data, has_event(data, cohort, *ADVERSE_EVENTS))
    ),
    (Measure.ADVERSE_EVENTS, Claim.NOT_HIGHER): _not_higher,
    (Measure.LABORATORY_VALUES, _SIMILAR): _labs_similar,
    (Measure.KIDNEY_FUNCTION, Claim.DESCRIPTIVE): _kidney_function,
}
