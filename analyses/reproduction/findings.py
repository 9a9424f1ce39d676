"""Findings in words against the cohort."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd

from analyses.datasets import AnalysisData
from analyses.flow import response_counts
from analyses.reproduction.comparisons import (
    Comparison,
    compare_share,
    event_free_logrank,
    has_event,
    poor_outcome_logrank,
)
from analyses.reproduction.drugs import OTHER_IMMUNOSUPPRESSANTS, maintenance_immunosuppressants
from analyses.reproduction.entry import Entry, Verdict
from analyses.reproduction.origin import origin
from cohort.codes import ADVERSE_EVENTS, NAMED_HARMS, Drug
from cohort.flare import FLARES_JUDGED_BY
from cohort.record import Claim, Measure, Target
from cohort.response import as_floats
from cohort.store import Cohort

_ALPHA = 0.05
_LABS_AT_END = {
    "upcr_g_g": "UPCR",
    "egfr_ml_min_1_73m2": "eGFR",
    "anti_dsdna_iu_ml": "anti-dsDNA",
    "c3_mg_dl": "C3",
    "c4_mg_dl": "C4",
    "renal_sledai": "renal SLEDAI",
}
_SEDIMENT_RBC, _PROTEINURIA_G_G = 5, 0.5
"""Limits above which SLEDAI-2K scores haematuria and proteinuria; g per day is read as g/g."""
_ASSUMED_SHARES = "shares of the other drugs are assumed"
_NOBODY = Entry(Verdict.NOT_CHECKABLE, "nobody of an arm is seen at this visit")
_BALANCED = (
    "age_years", "sex", "ethnicity", "site", "sle_duration_years", "activity_index", "chronicity_index",
    "hypertension", "diabetes", "upcr_g_g", "serum_creatinine_mg_dl", "egfr_ml_min_1_73m2", "albumin_g_dl", "c3_mg_dl",
    "c4_mg_dl", "anti_dsdna_iu_ml", "hemoglobin_g_dl", "urine_rbc_hpf", "urine_casts", "sledai_2k",
)  # fmt: skip
"""Baseline covariates of the balance finding: not class V, index date, treatments or refractory disease."""

Judge = Callable[[Target, AnalysisData, Cohort], Entry]


def judge_finding(target: Target, data: AnalysisData, cohort: Cohort) -> Entry:
    """Judge one finding; the reason says whether the cohort was made to show it or the seed gave it."""
    judge = _JUDGES.get((target.measure, target.claim))
    if judge is None:
        return Entry(Verdict.NOT_CHECKABLE, "said in words only; print gives nothing to compute")
    return judge(target, data, cohort)


def _verdict(holds: bool) -> Verdict:
    return Verdict.CONSISTENT if holds else Verdict.NOT_REPRODUCED


def _no_difference(compare: Callable[[AnalysisData, Cohort], Comparison]) -> Judge:
    def judge(target: Target, data: AnalysisData, cohort: Cohort) -> Entry:
        comparison = compare(data, cohort)
        reason = origin(cohort, target.measure) + _flares_unseen(target, cohort)
        return Entry(_verdict(comparison.p_value >= _ALPHA), reason, comparison.text)

    return judge


def _flares_unseen(target: Target, cohort: Cohort) -> str:
    if target.measure not in (Measure.RENAL_FLARE, Measure.FLARE_FREE_SURVIVAL):
        return ""
    gaps = int(cohort.visits[list(FLARES_JUDGED_BY)].isna().any(axis="columns").sum())
    return f"; {gaps} of {len(cohort.visits)} visits lack a value that could show a flare" if gaps else ""


def _class_v(target: Target, data: AnalysisData, cohort: Cohort) -> Entry:
    comparison = compare_share(data, data.baseline["class_v"])
    holds = comparison.treated_higher and comparison.p_value < _ALPHA
    return Entry(_verdict(holds), f"pure class V; {origin(cohort, target.measure)}", comparison.text)


def _balance(target: Target, data: AnalysisData, cohort: Cohort) -> Entry:
    from analyses.describe import baseline_table

    table = baseline_table(data.baseline, group_col="arm", reference=data.reference, variables=_BALANCED).frame
    tests = table[table["statistic"] == "difference_test"]
    tested = tests[tests["p_value"].notna()]
    if tested.empty:
        return Entry(Verdict.NOT_CHECKABLE, "no covariate can be compared")
    differing = tested.loc[tested["p_value"] < _ALPHA, "term"].tolist()
    shown = f"{len(tested)} covariates, smallest p = {tested['p_value'].min():.3f}"
    reason = f"Welch t or Pearson, class V apart; {origin(cohort, target.measure)}"
    reason += f"; differ: {', '.join(differing)}" if differing else ""
    untested = tests.loc[tests["p_value"].isna(), "term"].tolist()
    reason += f"; cannot be compared: {', '.join(untested)}" if untested else ""
    missing = table.loc[(table["statistic"] == "missing") & (table["estimate"] > 0), "term"].unique()
    reason += f"; patients without the value left out of {', '.join(missing)}" if len(missing) else ""
    return Entry(_verdict(not differing), reason, shown)


def _severity(_target: Target, _data: AnalysisData, cohort: Cohort) -> Entry:
    reason = "print names no measure of severity and calls the measured baseline similar"
    if cohort.mode is not None:
        reason += "; the direction is carried by an unmeasured severity that no analysis sees"
    return Entry(Verdict.NOT_CHECKABLE, reason)


def _overall_similar(target: Target, data: AnalysisData, cohort: Cohort) -> Entry:
    at_visit = data.responses[data.responses["visit_month"] == target.month]
    assessed = data.baseline["patient_id"].isin(at_visit["patient_id"])
    responding = data.baseline["patient_id"].isin(at_visit.loc[at_visit["response"] != "NR", "patient_id"])
    if not {data.treated, data.reference} <= set(at_visit["arm"]):
        return _NOBODY
    comparison = compare_share(replace(data, baseline=data.baseline[assessed]), responding[assessed])
    reason = origin(
        cohort,
        target.measure,
        exact="the division of responders is reconstructed so that the printed p-value is given",
    )
    return Entry(_verdict(comparison.p_value >= _ALPHA), reason, comparison.text)


def _exceeds(target: Target, data: AnalysisData, _cohort: Cohort) -> Entry:
    counts = response_counts(data)
    at_visit = counts[counts["month"] == target.month].set_index("arm")
    if not {data.treated, data.reference} <= set(at_visit.index):
        return _NOBODY
    share = 100 * (at_visit["complete"] + at_visit["partial"]) / at_visit["assessed"]
    shown = ", ".join(f"{arm} {value:.1f} %" for arm, value in share.items())
    return Entry(_verdict(bool((share > float(target.printed)).all())), "in both arms", shown)


def _treatment_pattern(target: Target, data: AnalysisData, cohort: Cohort) -> Entry:
    judge = _several_or_one if target.arm is None else _combination
    return judge(target, data, cohort)


def _combination(target: Target, data: AnalysisData, cohort: Cohort) -> Entry:
    """Judge that most of the treated, nearly 80 % in print, combine tacrolimus, mostly with mycophenolate."""
    treated = data.baseline.loc[data.baseline["arm"] == data.treated, "patient_id"]
    given = maintenance_immunosuppressants(cohort, treated)
    others = given[[drug.value for drug in OTHER_IMMUNOSUPPRESSANTS]]
    combining = given[Drug.TACROLIMUS.value] & others.any(axis="columns")
    combined = float(combining.mean())
    mycophenolate = float((combining & given[Drug.MYCOPHENOLATE.value]).mean())
    holds = combined > 0.5 and mycophenolate > combined / 2
    reason = origin(
        cohort,
        target.measure,
        exact="the number on tacrolimus alone is a target; shares of the other drugs are assumed",
        generated=_ASSUMED_SHARES,
    )
    shown = (
        f"{100 * combined:.1f} % of {data.treated} with another immunosuppressant, "
        f"{100 * mycophenolate:.1f} % with mycophenolate"
    )
    return Entry(_verdict(holds), reason, shown)


def _several_or_one(target: Target, data: AnalysisData, cohort: Cohort) -> Entry:
    """Judge that most of the treated have several immunosuppressants and most of the others exactly one."""
    number = maintenance_immunosuppressants(cohort, data.baseline["patient_id"]).sum(axis="columns")
    of_treated = number[data.baseline["arm"] == data.treated]
    of_others = number[data.baseline["arm"] == data.reference]
    several, one, none = ((of_treated > 1).mean(), (of_others == 1).mean(), (of_others == 0).mean())
    shown = (
        f"{100 * several:.1f} % of {data.treated} with several immunosuppressants; "
        f"{100 * one:.1f} % of {data.reference} with exactly one, {100 * none:.1f} % with none"
    )
    reason = origin(cohort, target.measure, generated=_ASSUMED_SHARES)
    return Entry(_verdict(bool(several > 0.5 and one > 0.5)), reason, shown)


def _not_higher(target: Target, data: AnalysisData, cohort: Cohort) -> Entry:
    found = {event: compare_share(data, has_event(data, cohort, event)) for event in NAMED_HARMS}
    higher = [event.value for event, one in found.items() if one.treated_higher and one.p_value < _ALPHA]
    shown = "; ".join(f"{event.value} {one.text}" for event, one in found.items())
    reason = "none significantly more frequent on tacrolimus" if not higher else f"higher: {', '.join(higher)}"
    return Entry(_verdict(not higher), f"{reason}; {origin(cohort, target.measure)}", shown)


def _labs_similar(target: Target, data: AnalysisData, cohort: Cohort) -> Entry:
    from scipy.stats import mannwhitneyu

    at_visit = cohort.visits[cohort.visits["visit_month"] == target.month].merge(
        cohort.patients[["patient_id", "arm"]], on="patient_id"
    )
    at_visit = at_visit.assign(renal_sledai=_renal_sledai(at_visit))
    arms = [at_visit[at_visit["arm"] == arm] for arm in (data.treated, data.reference)]
    if any(arm.empty for arm in arms):
        return _NOBODY
    values = {label: [as_floats(arm[name].dropna()) for arm in arms] for name, label in _LABS_AT_END.items()}
    p = {label: float(mannwhitneyu(one, two).pvalue) for label, (one, two) in values.items() if len(one) and len(two)}
    if not p:
        return Entry(Verdict.NOT_CHECKABLE, "none of these values is measured in both arms at this visit")
    differing = [name for name, value in p.items() if value < _ALPHA]
    reason = (
        f"Mann-Whitney; renal SLEDAI is 4 points each for urine casts, more than {_SEDIMENT_RBC} erythrocytes per "
        f"field and UPCR above {_PROTEINURIA_G_G} g/g (pyuria is not recorded); {origin(cohort, target.measure)}"
    )
    reason += f"; differ: {', '.join(differing)}" if differing else ""
    lacking = {label: len(at_visit) - sum(map(len, pair)) for label, pair in values.items() if label in p}
    said = ", ".join(f"{label} {number}" for label, number in lacking.items() if number)
    reason += f"; left out of {len(at_visit)} patients for want of the value: {said}" if said else ""
    absent = [label for label in values if label not in p]
    reason += f"; not measured in both arms: {', '.join(absent)}" if absent else ""
    return Entry(_verdict(not differing), reason, ", ".join(f"{name} p = {value:.3f}" for name, value in p.items()))


def _renal_sledai(visits: pd.DataFrame) -> pd.Series[float]:
    """Points of the renal items; missing where one of the three values is."""
    casts = as_floats(visits["urine_casts"])
    erythrocytes, protein = as_floats(visits["urine_rbc_hpf"]), as_floats(visits["upcr_g_g"])
    points = 4.0 * (casts + (erythrocytes > _SEDIMENT_RBC) + (protein > _PROTEINURIA_G_G))
    known = ~np.isnan(casts + erythrocytes + protein)
    return pd.Series(points, index=visits.index).where(known)


def _kidney_function(target: Target, data: AnalysisData, cohort: Cohort) -> Entry:
    visits = cohort.visits.loc[cohort.visits["visit_month"] == target.month, ["patient_id", "egfr_ml_min_1_73m2"]]
    joined = data.baseline.merge(visits, on="patient_id", suffixes=("", "_later"))
    change: pd.Series[float] = joined["egfr_ml_min_1_73m2_later"] - joined["egfr_ml_min_1_73m2"]
    by_arm = change.groupby(joined["arm"])
    shown = ", ".join(
        f"{arm} median eGFR change {value:+.1f} mL/min/1.73 m2" for arm, value in by_arm.median().dropna().items()
    )
    reason = "print gives no number or limit for stable"
    lacking = int(change.isna().sum())
    reason += (
        f"; of {len(change)} patients, {lacking} left out for want of an eGFR then or at baseline" if lacking else ""
    )
    return Entry(Verdict.NOT_CHECKABLE, reason, shown)


_SIMILAR = Claim.NO_SIGNIFICANT_DIFFERENCE
_JUDGES: dict[tuple[Measure, Claim | None], Judge] = {
    (Measure.BASELINE_BALANCE, _SIMILAR): _balance,
    (Measure.CLASS_V, Claim.HIGHER): _class_v,
    (Measure.DISEASE_SEVERITY, Claim.HIGHER): _severity,
    (Measure.TREATMENT_PATTERN, Claim.DESCRIPTIVE): _treatment_pattern,
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
