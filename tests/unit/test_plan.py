"""The analysis frames, the prespecified analyses and the ledger, on a generated cohort and on damaged ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2_contingency

from analyses.datasets import AnalysisData, analysis_data
from analyses.design import Criterion, Specification, load_design
from analyses.flow import patient_flow, response_states
from analyses.longitudinal import fit_gee
from analyses.plan import ANALYSES, run_analyses
from analyses.reproduction import Verdict, reproduction_ledger, unmet_rates
from cohort.definitions import KDIGO_2012, KIM2025
from cohort.errors import AnalysisError, UsageError
from cohort.record import Study
from cohort.results import RESULT_COLUMNS
from cohort.store import Cohort
from cohort.targets import load_study
from synthetic.generate import generate_exact


@pytest.fixture(scope="module")
def record() -> Study:
    return load_study("kim2025")


@pytest.fixture(scope="module")
def made(record: Study) -> Cohort:
    return generate_exact(record, seed=3).cohort


def laid_out(cohort: Cohort, design: Specification | None = None) -> AnalysisData:
    return analysis_data(
        cohort, treated="tacrolimus", reference="no_tacrolimus", response=KIM2025, flare=KDIGO_2012, design=design
    )


@pytest.fixture(scope="module")
def data(made: Cohort) -> AnalysisData:
    return laid_out(made)


def test_one_row_per_patient_and_first_event_first(data: AnalysisData, made: Cohort) -> None:
    frame = data.event_free.set_index("patient_id")
    assert len(frame) == 179
    assert frame["years"].max() == data.horizon_years
    events = made.events[made.events["event"].isin(["renal_flare", "eskd", "death"])]
    first = events.groupby("patient_id")["day"].min() / 365.25
    within = first[first <= data.horizon_years]
    assert set(frame.index[frame["event"] == 1]) == set(within.index)
    np.testing.assert_allclose(frame.loc[within.index, "years"], within)
    assert ((frame["cause"] > 0) == (frame["event"] == 1)).all()
    censored = frame[frame["event"] == 0]
    expected = np.minimum(censored["follow_up_days"] / 365.25, data.horizon_years)
    np.testing.assert_allclose(censored["years"], expected)


def test_the_flow_adds_up_at_every_visit(data: AnalysisData) -> None:
    flow = patient_flow(data).frame
    later = flow[flow["term"] != "enrolled"]
    assert (later.groupby(["group", "time"])["estimate"].sum() == later.groupby(["group", "time"])["n"].first()).all()


def test_a_visit_missed_in_between_is_not_an_end_of_follow_up(made: Cohort) -> None:
    completed = made.patients.loc[made.patients["end_reason"] == "completed", "patient_id"].iloc[0]
    missed = (made.visits["patient_id"] == completed) & (made.visits["visit_month"] == 12).fillna(False)
    flow = patient_flow(laid_out(replace(made, visits=made.visits[~missed]))).frame
    at_12 = flow[(flow["time"] == 12) & (flow["term"] == "missed visit")]
    assert at_12["estimate"].sum() == 1


def test_response_states_of_a_visit_sum_to_the_arm(data: AnalysisData) -> None:
    states = response_states(data).frame
    shares = states[states["statistic"] == "proportion"].groupby(["group", "time"])["estimate"].sum()
    np.testing.assert_allclose(shares, 1.0)


def test_every_analysis_gives_tidy_rows_without_failures(data: AnalysisData) -> None:
    tables = run_analyses(data)
    assert {"table_one", "response_rates", "response_gee", "flare_free_survival", "cox", "propensity_balance",
            "weighted_response", "weighted_cox"} <= set(tables)  # fmt: skip
    for name, table in tables.items():
        assert tuple(table.frame.columns) == RESULT_COLUMNS
        assert len(table) > 0, name
        failed = table.frame["note"].str.startswith("not estimated", na=False)
        # Some classes are too small for an effect of their own, and have a row that says so.
        assert not failed.any() or (name.startswith("subgroup") and not failed.all()), name
    assert set(tables["cox"].frame["population"]) == {"unadjusted", "adjusted"}
    assert set(tables["flare_incidence"].frame["term"]) == {"renal_flare", "eskd or death"}
    assert set(tables["flare_free_survival"].frame["time_unit"]) == {"year"}


def test_every_table_carries_the_flow_of_patients(data: AnalysisData) -> None:
    for table in run_analyses(data, only=["response"]).values():
        assert table.metadata["design"] == "observational"
        flow = table.metadata["flow"]
        assert flow["assessed for eligibility"] == flow["eligible"] == 179


def test_the_ineligible_are_in_no_frame_and_an_arm_without_eligible_patients_is_refused(made: Cohort) -> None:
    old = Criterion("younger than 30 years", "age_years", at_least=30)
    design = replace(load_design("observational"), eligibility=(old,))
    data = laid_out(made, design=design)
    left = set(made.patients.loc[made.patients["age_years"] >= 30, "patient_id"])
    assert 0 < len(left) < 179
    for frame in (data.baseline, data.event_free, data.cohort.patients, data.cohort.visits):
        assert set(frame["patient_id"]) == left
    assert set(data.responses["patient_id"]) <= left
    nobody = replace(design, eligibility=(replace(old, at_least=200),))
    with pytest.raises(AnalysisError, match="nobody is eligible; got younger than 30 years"):
        laid_out(made, design=nobody)


@pytest.mark.parametrize("correlation", ["independence", "exchangeable", "ar1", "unstructured"])
@pytest.mark.parametrize("responses", [["CR"], ["CR", "PR"]])
def test_marginal_models_of_response_have_estimates(data: AnalysisData, correlation: str, responses: list[str]) -> None:
    frame = data.responses.assign(event=data.responses["response"].isin(responses))
    fit = fit_gee(
        frame,
        "event ~ arm * C(visit_month)",
        subject_col="patient_id",
        time_col="visit_month",
        correlation=correlation,
        variance="mancl_derouen",
    )
    assert fit.note == ""
    assert fit.test_terms("arm:visit_month").frame["note"].item() == "df=4"
    curves = fit.marginal_response(frame, by="arm", time_col="visit_month", reference="no_tacrolimus").frame
    assert len(curves) == 15
    assert curves["std_error"].between(0.01, 0.2).all()


def test_only_runs_what_is_asked(data: AnalysisData) -> None:
    assert set(run_analyses(data, only=["describe"])) == {
        "patient_flow", "missing_values", "response_not_assessable", "table_one", "response_states",
    }  # fmt: skip
    with pytest.raises(UsageError, match=r"no analysis of that name.*got magic.*describe"):
        run_analyses(data, only=["magic"])
    with pytest.raises(UsageError, match="no analysis of that name"):
        run_analyses(data, only=[])


def test_what_the_data_cannot_support_is_a_row_that_says_why(made: Cohort) -> None:
    in_no_other_arm = made.patients["arm"] == "tacrolimus"
    separated = replace(made, patients=made.patients.assign(refractory=in_no_other_arm))
    tables = run_analyses(laid_out(separated), only=["propensity"])
    for table in tables.values():
        assert table.frame["note"].str.startswith("not estimated: ").all()
        assert table.frame["note"].str.contains("separate the arms.*refractory").all()


def test_covariates_in_which_all_patients_agree_are_left_out_by_name(made: Cohort) -> None:
    women_only = replace(made, patients=made.patients.assign(sex="female", refractory=False))
    tables = run_analyses(laid_out(women_only), only=["survival", "propensity"])
    assert "refractory" not in set(tables["cox"].frame["term"].dropna())
    adjusted = tables["cox"].frame.query("population == 'adjusted'")
    assert adjusted["note"].str.contains("not adjusted for, since all patients agree: refractory").all()
    assert adjusted["estimate"].notna().all()
    for name in ("propensity_score", "propensity_balance", "weighted_cox", "compared_response"):
        assert tables[name].frame["note"].str.contains("all patients agree: sex, refractory").all(), name
    assert tables["weighted_cox"].frame["estimate"].notna().all()


def test_the_groups_have_their_names() -> None:
    assert set(ANALYSES) == {
        "design", "describe", "response", "longitudinal", "survival", "propensity", "sensitivity", "starts", "realism",
    }  # fmt: skip


def test_an_empty_arm_is_refused(made: Cohort) -> None:
    treated = made.patients[made.patients["arm"] == "tacrolimus"]
    visits = made.visits[made.visits["patient_id"].isin(treated["patient_id"])]
    with pytest.raises(AnalysisError, match=r"an arm has no patients.*both tacrolimus and no_tacrolimus"):
        laid_out(replace(made, patients=treated, visits=visits))


def test_the_ledger_has_one_row_per_target_in_order(data: AnalysisData, made: Cohort, record: Study) -> None:
    ledger = reproduction_ledger(record, data, made)
    assert ledger["target_id"].tolist() == [target.id for target in record.targets]
    assert unmet_rates(ledger).empty
    assert (ledger["reason"].str.len() > 0).all()


def test_reasons_say_what_an_exact_cohort_was_conditioned_on(data: AnalysisData, made: Cohort, record: Study) -> None:
    told = replace(made, notes={"conditioned_measures": ["renal_flare", "adverse_events"]})
    reasons = reproduction_ledger(record, data, told).set_index("target_id")["reason"]
    for target in ("renal_flares", "adverse_events", "adverse_events_by_type"):
        assert reasons[target].endswith("exact mode conditions on it: cohorts are drawn again until it holds"), target
    for target in ("laboratory_60_similar", "poor_outcomes"):
        assert reasons[target].endswith("not conditioned on: the seed gave it"), target


MADE_UP = r"reconstruct|assumed|exact mode|seed|generated|unmeasured"


def test_nothing_said_of_a_registry_speaks_of_a_generator(data: AnalysisData, made: Cohort, record: Study) -> None:
    registry = replace(made, mode=None, notes={})
    reasons = reproduction_ledger(record, data, registry).set_index("target_id")["reason"]
    for target in ("renal_flares", "cr_12_tacrolimus", "or_12_similar", "combination_therapy_contrast"):
        assert reasons[target] == "computed from the data", target
    assert reasons[reasons.str.contains(MADE_UP)].empty
    generated = reproduction_ledger(record, data, made).set_index("target_id")["reason"]
    assert generated["cr_12_tacrolimus"] == "from laboratory values; denominator reconstructed"
    assert generated.str.contains(MADE_UP).sum() > 15


def test_only_an_exact_cohort_is_said_to_be_reconstructed(data: AnalysisData, made: Cohort, record: Study) -> None:
    population = replace(made, mode="population", notes={})
    reasons = reproduction_ledger(record, data, population).set_index("target_id")["reason"]
    assert not reasons.str.contains("reconstruct|exact mode|is a target").any()
    assert reasons["cr_12_tacrolimus"] == "not conditioned on: the seed gave it"
    assert reasons["combination_therapy_tacrolimus"] == "shares of the other drugs are assumed"


def test_p_values_name_what_they_compare(data: AnalysisData, made: Cohort, record: Study) -> None:
    ledger = reproduction_ledger(record, data, made).set_index("target_id")
    assert ledger.loc["cr_6_p", "compares"] == "complete_response"
    assert ledger.loc["poor_outcomes_p", "compares"] == "poor_outcome"
    assert (ledger["compares"].notna() == (ledger["measure"] == "p_value")).all()
    assert set(ledger["kind"]) == {"number", "finding"}


def test_a_p_value_without_counts_behind_it_cannot_be_checked(data: AnalysisData, made: Cohort, record: Study) -> None:
    row = reproduction_ledger(record, data, made).set_index("target_id").loc["poor_outcomes_p"]
    assert row["verdict"] == Verdict.NOT_CHECKABLE.value
    assert row["reason"].startswith("no counts are printed; the cohort gives ")
    assert row["reason"].endswith(row["reproduced"].replace(" (log-rank)", ""))


def test_reasons_for_p_values_that_no_count_gives(data: AnalysisData, made: Cohort, record: Study) -> None:
    reasons = reproduction_ledger(record, data, made).set_index("target_id")["reason"]
    none = "no two-sided test of two groups gives it at any admissible counts"
    assert reasons["cr_24_p"] == (
        f"{none} (nearest 0.057); a one-sided unpooled Wald test would; with another division of responders a "
        "three-category test would; an adjusted model could print it"
    )
    # Three categories are no test of complete and partial response taken together.
    assert reasons["or_36_p"] == f"{none} (nearest 0.254); an adjusted model could print it"


@pytest.mark.parametrize(("target", "tested"), [("or_60_p", False), ("cr_12_p", False), ("pr_6_p", True)])
def test_three_categories_are_tested_only_where_print_gives_them(
    target: str, tested: bool, data: AnalysisData, made: Cohort, record: Study
) -> None:
    # Print is made to say what the three-category Pearson test gives at the cohort's own counts.
    month = int(record.target(target).month or 0)
    at_visit = data.responses[data.responses["visit_month"] == month]
    table = pd.crosstab(at_visit["arm"], at_visit["response"])
    printed = f"{chi2_contingency(table, correction=False).pvalue:.6f}"
    changed = record.model_copy(
        update={
            "targets": tuple(
                one.model_copy(update={"value": printed}) if one.id == target else one for one in record.targets
            )
        }
    )
    row = reproduction_ledger(changed, data, made).set_index("target_id").loc[target]
    assert ("three-category Pearson" in row["reason"]) is tested


def test_a_value_that_a_later_text_repeats_is_not_said_to_be_replaced(
    data: AnalysisData, made: Cohort, record: Study
) -> None:
    ledger = reproduction_ledger(record, data, made).set_index("target_id")
    assert ledger.loc["or_60_tacrolimus_2023", "reason"] == "repeated in a later text by or_60_tacrolimus (72.9)"
    assert ledger.loc["or_60_p_2023", "reason"] == "repeated in a later text by or_60_p (0.1)"
    assert ledger.loc["or_60_no_tacrolimus_2023", "reason"].startswith("replaced in a later text by or_60_no_")
    assert ledger.loc["baseline_similar_2022", "reason"].startswith("replaced in a later text by baseline_class_v")


def without_drugs(cohort: Cohort, arm: str, *drugs: str) -> Cohort:
    patients = cohort.patients.loc[cohort.patients["arm"] == arm, "patient_id"]
    dropped = cohort.treatments["patient_id"].isin(patients) & cohort.treatments["drug"].isin(drugs)
    return replace(cohort, treatments=cohort.treatments[~dropped])


OTHERS = ("mycophenolate", "azathioprine", "mizoribine")


def test_monotherapy_is_read_from_the_treatments(made: Cohort, record: Study) -> None:
    mislabelled = replace(made, patients=made.patients.assign(background_therapy="none"))
    ledger = reproduction_ledger(record, laid_out(mislabelled), mislabelled).set_index("target_id")
    assert ledger.loc["monotherapy_count_tacrolimus", "reproduced"] == "19"
    alone = without_drugs(made, "tacrolimus", *OTHERS)
    ledger = reproduction_ledger(record, laid_out(alone), alone).set_index("target_id")
    assert ledger.loc["monotherapy_count_tacrolimus", ["reproduced", "verdict"]].tolist() == ["92", "not reproduced"]
    untreated = without_drugs(made, "tacrolimus", "tacrolimus", *OTHERS)
    ledger = reproduction_ledger(record, laid_out(untreated), untreated).set_index("target_id")
    assert ledger.loc["monotherapy_count_tacrolimus", "reproduced"] == "0"


def test_cyclophosphamide_in_maintenance_is_another_immunosuppressant(made: Cohort, record: Study) -> None:
    maintenance = made.treatments.assign(
        phase=made.treatments["phase"].where(made.treatments["drug"] != "cyclophosphamide", "maintenance")
    )
    changed = replace(made, treatments=maintenance)
    ledger = reproduction_ledger(record, laid_out(changed), changed).set_index("target_id")
    assert int(ledger.loc["monotherapy_count_tacrolimus", "reproduced"]) < 19


def test_most_of_the_others_take_exactly_one_immunosuppressant(made: Cohort, record: Study) -> None:
    none = without_drugs(made, "no_tacrolimus", *OTHERS)
    others = made.patients.loc[made.patients["arm"] == "no_tacrolimus", "patient_id"]
    cyclophosphamide = pd.DataFrame(
        {
            "patient_id": others,
            "drug": "cyclophosphamide",
            "phase": "maintenance",
            "start_day": 0,
            "stop_day": 30,
            "dose_mg_day": 35.0,
            "stop_reason": "phase_completed",
        }
    )
    two = replace(made, treatments=pd.concat([made.treatments, cyclophosphamide], ignore_index=True))
    found = {}
    for name, cohort in {"as made": made, "none": none, "two": two}.items():
        row = (
            reproduction_ledger(record, laid_out(cohort), cohort)
            .set_index("target_id")
            .loc["combination_therapy_contrast"]
        )
        found[name] = (row["verdict"], row["reproduced"].split("; ")[1])
    assert found["as made"][0] == Verdict.CONSISTENT.value
    assert found["none"] == (
        Verdict.NOT_REPRODUCED.value, "0.0 % of no_tacrolimus with exactly one, 100.0 % with none",
    )  # fmt: skip
    assert found["two"][0] == Verdict.NOT_REPRODUCED.value


def test_the_renal_part_of_sledai_is_compared_not_the_whole(made: Cohort, record: Study) -> None:
    late = made.visits["visit_month"].eq(60).fillna(False).astype(bool).to_numpy()
    treated = made.visits["patient_id"].isin(made.patients.loc[made.patients["arm"] == "tacrolimus", "patient_id"])
    quiet = made.visits.assign(
        upcr_g_g=made.visits["upcr_g_g"].mask(late, 0.5),
        urine_rbc_hpf=made.visits["urine_rbc_hpf"].mask(late, 5),
        urine_casts=made.visits["urine_casts"] & ~late,
    )
    rows = {
        "whole": quiet.assign(sledai_2k=quiet["sledai_2k"].mask(late & treated, 40)),
        "casts": quiet.assign(urine_casts=quiet["urine_casts"] | (late & treated)),
        "erythrocytes": quiet.assign(urine_rbc_hpf=quiet["urine_rbc_hpf"].mask(late & treated, 6)),
    }
    found = {}
    for name, visits in rows.items():
        changed = replace(made, visits=visits)
        ledger = reproduction_ledger(record, laid_out(changed), changed).set_index("target_id")
        found[name] = ledger.loc["laboratory_60_similar"]
    assert found["whole"]["reproduced"].endswith("renal SLEDAI p = 1.000")
    for name in ("casts", "erythrocytes"):
        assert found[name]["verdict"] == Verdict.NOT_REPRODUCED.value
        assert "differ: renal SLEDAI" in found[name]["reason"]


def test_poor_outcomes_are_cut_at_the_horizon_as_flares_are(made: Cohort) -> None:
    first, second = made.patients["patient_id"].iloc[:2]
    quiet = made.events[~made.events["event"].isin(["eskd", "death"])]
    failures = pd.DataFrame({"patient_id": [first, second], "day": [1826, 1827], "event": "eskd", "grade": "severe"})
    patients = made.patients.assign(follow_up_days=1900)
    changed = replace(made, patients=patients, events=pd.concat([quiet, failures], ignore_index=True))
    frame = laid_out(changed).event_free.set_index("patient_id")
    assert frame["poor_outcome"].sum() == frame.loc[first, "poor_outcome"] == 1
    assert frame.loc[first, "poor_outcome_years"] == 1826 / 365.25
    assert (frame.drop(index=first)["poor_outcome_years"] == 5.0).all()


def test_contradicted_findings_and_sizes_are_not_reproduced(made: Cohort, record: Study) -> None:
    is_treated = made.patients["arm"] == "tacrolimus"
    lopsided = made.patients.assign(
        isn_rps_class=np.where(is_treated, "IV", "V"),
        age_years=made.patients["age_years"] + 20 * is_treated,
    )
    infections = pd.DataFrame(
        {
            "patient_id": made.patients.loc[is_treated, "patient_id"],
            "day": 1,
            "event": "serious_infection",
            "grade": "severe",
        }
    )
    alone = without_drugs(made, "tacrolimus", *OTHERS)
    changed = replace(alone, patients=lopsided, events=pd.concat([made.events, infections], ignore_index=True))
    ledger = reproduction_ledger(record, laid_out(changed), changed).set_index("target_id")
    for target in ("baseline_class_v", "baseline_similar", "adverse_events", "adverse_events_by_type"):
        assert ledger.loc[target, "verdict"] == Verdict.NOT_REPRODUCED.value, target
    for target in (
        "monotherapy_count_tacrolimus", "combination_therapy_tacrolimus", "combination_therapy_contrast",
    ):  # fmt: skip
        assert ledger.loc[target, "verdict"] == Verdict.NOT_REPRODUCED.value, target
    assert "age_years" in ledger.loc["baseline_similar", "reason"]
    assert "serious_infection" in ledger.loc["adverse_events_by_type", "reason"]


def test_a_visit_nobody_attends_cannot_be_reproduced(made: Cohort, record: Study) -> None:
    kept = made.visits[~made.visits["visit_month"].eq(60).fillna(False).astype(bool)]
    cut = replace(made, visits=kept)
    whole = reproduction_ledger(record, laid_out(cut), cut)
    assert unmet_rates(whole)["target_id"].tolist() == ["or_60_tacrolimus", "or_60_no_tacrolimus"]
    ledger = whole.set_index("target_id")
    assert ledger.loc["or_60_tacrolimus", "reproduced"] == "nobody assessed"
    assert ledger.loc["or_60_p", "reason"] == "nobody of an arm is assessed at this visit"
    for target in ("laboratory_60_similar", "or_60_exceeds_70"):
        assert ledger.loc[target, "verdict"] == Verdict.NOT_CHECKABLE.value


def test_findings_about_response_need_both_arms_and_never_count_as_rates(made: Cohort, record: Study) -> None:
    treated = made.visits["patient_id"].isin(made.patients.loc[made.patients["arm"] == "tacrolimus", "patient_id"])
    absent = made.visits["visit_month"].isin([12]).fillna(False).astype(bool) & treated
    one_arm = replace(made, visits=made.visits[~absent])
    whole = reproduction_ledger(record, laid_out(one_arm), one_arm)
    assert whole.set_index("target_id").loc["or_12_similar", "verdict"] == Verdict.NOT_CHECKABLE.value
    assert unmet_rates(whole)["target_id"].tolist() == ["cr_12_tacrolimus"]
    nobody_responds = made.visits["visit_month"].eq(60).fillna(False).astype(bool)
    worse = replace(made, visits=made.visits.assign(upcr_g_g=made.visits["upcr_g_g"].mask(nobody_responds, 20.0)))
    whole = reproduction_ledger(record, laid_out(worse), worse)
    assert whole.set_index("target_id").loc["or_60_exceeds_70", "verdict"] == Verdict.NOT_REPRODUCED.value
    assert unmet_rates(whole)["target_id"].tolist() == ["or_60_tacrolimus", "or_60_no_tacrolimus"]


def test_without_events_nothing_differs(made: Cohort, record: Study) -> None:
    quiet = replace(made, events=made.events.iloc[:0])
    ledger = reproduction_ledger(record, laid_out(quiet), quiet).set_index("target_id")
    assert ledger.loc["poor_outcomes", "reproduced"].endswith("log-rank p = 1.000")
    assert ledger.loc["adverse_events", "reproduced"].startswith("0/92 v 0/87")


def lacking(cohort: Cohort, rows: pd.Series | np.ndarray, *columns: str) -> Cohort:
    types = {"urine_rbc_hpf": "Int32", "sledai_2k": "Int32", "urine_casts": "boolean"}
    visits = cohort.visits.astype({name: kind for name, kind in types.items() if name in columns})
    hit = np.asarray(rows, dtype=bool)
    return replace(cohort, visits=visits.assign(**{name: visits[name].mask(hit) for name in columns}))


CREATININE = ("serum_creatinine_mg_dl", "egfr_ml_min_1_73m2")


def at_month(cohort: Cohort, month: int) -> np.ndarray:
    return cohort.visits["visit_month"].eq(month).fillna(False).to_numpy(dtype=bool)


def test_a_visit_without_the_values_is_neither_assessed_nor_missed(made: Cohort) -> None:
    first = made.patients["patient_id"].iloc[0]
    unmeasured = lacking(made, at_month(made, 6) & (made.visits["patient_id"] == first), "upcr_g_g", *CREATININE)
    data, before = laid_out(unmeasured), laid_out(made)
    assert len(data.responses) == len(before.responses) - 1
    assert data.not_assessable[["patient_id", "visit_month", "lacking"]].to_numpy().tolist() == [
        [first, 6, "UPCR; creatinine"]
    ]
    flow = patient_flow(data).frame
    at_6 = flow[flow["time"] == 6].groupby("term")["estimate"].sum()
    assert at_6["not assessable"] == 1
    earlier = patient_flow(before).frame
    for term in ("data_lock", "lost_to_follow_up", "death", "missed visit"):
        assert at_6[term] == earlier.loc[(earlier["time"] == 6) & (earlier["term"] == term), "estimate"].sum()
    later = flow[flow["term"] != "enrolled"].groupby(["group", "time"])
    assert (later["estimate"].sum() == later["n"].first()).all()
    table = run_analyses(data, only=["describe"])["response_not_assessable"].frame
    named = table[(table["term"] == "UPCR; creatinine").to_numpy(dtype=bool)]
    assert named[["time", "estimate"]].to_numpy().tolist() == [[6, 1]]
    assert table.loc[(table["term"] == "all").to_numpy(dtype=bool), "estimate"].sum() == 1
    at_visit = (before.responses["visit_month"] == 6) & (before.responses["arm"] == named["group"].item())
    assert named["n"].item() == at_visit.sum()


def test_the_last_visit_without_values_is_not_an_early_end(made: Cohort) -> None:
    ended = made.patients[made.patients["end_reason"] == "data_lock"]
    months = made.visits.groupby("patient_id")["visit_month"].max().loc[ended["patient_id"]]
    patient = months[months == 24].index[0]
    unmeasured = lacking(made, at_month(made, 24) & (made.visits["patient_id"] == patient), "upcr_g_g", *CREATININE)
    for cohort, expected in ((made, 0), (unmeasured, 1)):
        flow = patient_flow(laid_out(cohort)).frame
        at_24 = flow[flow["time"] == 24].groupby("term")["estimate"].sum()
        assert at_24["not assessable"] == expected
    assert at_24["data_lock"] == patient_flow(laid_out(made)).frame.loc[
        lambda frame: (frame["time"] == 24) & (frame["term"] == "data_lock"), "estimate"
    ].sum()  # fmt: skip


def test_rates_among_visits_with_every_value_leave_out_visits_judged_without(made: Cohort) -> None:
    everyone = lacking(made, at_month(made, 6), *CREATININE)
    tables = run_analyses(laid_out(everyone), only=["response"])
    judged, measured = (
        tables[name].frame[lambda frame: (frame["time"] == 6) & (frame["term"] == "CR or PR")]
        for name in ("response_rates", "response_rates_measured")
    )
    # Without creatinine a visit is no response or open: the rate of those judged says nothing.
    assert (judged["estimate"] == 0).all()
    assert (judged["n"] > 0).all()
    assert measured.empty or (measured["n"] == 0).all()
    whole = run_analyses(laid_out(made), only=["response"])
    for column in ("group", "time", "term", "estimate", "n"):
        assert whole["response_rates"].frame[column].equals(whole["response_rates_measured"].frame[column])
    no_baseline = laid_out(lacking(made, at_month(made, 0), "upcr_g_g"))
    assert not no_baseline.responses["all_measured"].any()


def test_missing_values_are_counted_by_arm(made: Cohort) -> None:
    data = laid_out(lacking(made, at_month(made, 12), "c3_mg_dl"))
    table = run_analyses(data, only=["describe"])["missing_values"].frame
    c3 = table[(table["term"] == "c3_mg_dl").to_numpy(dtype=bool)]
    assert c3["estimate"].sum() == at_month(made, 12).sum()
    assert c3["n"].sum() == len(made.visits)
    assert table.loc[(table["term"] != "c3_mg_dl").to_numpy(dtype=bool), "estimate"].sum() == 0


def test_adjusted_analyses_leave_out_and_count_patients_without_a_covariate(made: Cohort) -> None:
    some = made.visits["patient_id"].isin(made.patients["patient_id"].iloc[::20])
    gone = int((some & at_month(made, 0)).sum())
    tables = run_analyses(laid_out(lacking(made, some & at_month(made, 0), "albumin_g_dl")))
    remark = f"complete cases: {179 - gone} of 179 patients, left out for missing albumin_g_dl ({gone})"
    for name in ("propensity_score", "propensity_balance", "weighted_response", "weighted_cox"):
        assert tables[name].frame["note"].str.endswith(remark).all(), name
    assert tables["propensity_sample_size"].frame["n"].sum() == 179 - gone
    # Albumin is no covariate of the outcome models.
    for name in ("cox", "response_standardised"):
        assert not tables[name].frame["note"].str.contains("complete cases", na=False).any(), name


def test_a_covariate_nobody_has_is_an_analysis_not_estimated(made: Cohort) -> None:
    tables = run_analyses(laid_out(lacking(made, np.ones(len(made.visits)), "albumin_g_dl")), only=["propensity"])
    for table in tables.values():
        assert table.frame["note"].str.contains("no patient has every covariate; got 179 patients, missing alb").all()


def test_findings_use_the_values_there_are_and_count_the_others(made: Cohort, record: Study) -> None:
    late = at_month(made, 60)
    some = late & (np.arange(len(made.visits)) % 3 == 0)
    part = lacking(made, some, "urine_casts", "c3_mg_dl")
    row = reproduction_ledger(record, laid_out(part), part).set_index("target_id").loc["laboratory_60_similar"]
    assert (
        f"left out of {late.sum()} patients for want of the value: C3 {some.sum()}, renal SLEDAI {some.sum()}"
        in (row["reason"])
    )
    no_c3 = lacking(made, late, "c3_mg_dl")
    row = reproduction_ledger(record, laid_out(no_c3), no_c3).set_index("target_id").loc["laboratory_60_similar"]
    assert row["reason"].endswith("; not measured in both arms: C3")
    assert "C3" not in row["reproduced"]
    labs = ("upcr_g_g", *CREATININE, "anti_dsdna_iu_ml", "c3_mg_dl", "c4_mg_dl")
    none = lacking(made, late, *labs)
    ledger = reproduction_ledger(record, laid_out(none), none).set_index("target_id")
    assert ledger.loc["laboratory_60_similar", ["verdict", "reason"]].tolist() == [
        "not checkable", "none of these values is measured in both arms at this visit",
    ]  # fmt: skip
    assert ledger.loc["kidney_function_stable", "reproduced"] == ""
    assert "left out for want of an eGFR" in ledger.loc["kidney_function_stable", "reason"]
    assert ledger.loc["or_60_tacrolimus", "reproduced"] == "nobody assessed"


def test_balance_is_judged_by_the_covariates_that_can_be_compared(made: Cohort, record: Study) -> None:
    start = at_month(made, 0)
    no_c4 = lacking(made, start, "c4_mg_dl")
    row = reproduction_ledger(record, laid_out(no_c4), no_c4).set_index("target_id").loc["baseline_similar"]
    assert row["verdict"] == "consistent"
    assert row["reproduced"].startswith("19 covariates, smallest p = ")
    assert "cannot be compared: c4_mg_dl; patients without the value left out of c4_mg_dl" in row["reason"]
