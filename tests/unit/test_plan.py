"""The analysis frames, the prespecified analyses and the ledger, on a generated cohort and on damaged ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from analyses.datasets import HORIZON_YEARS, AnalysisData, analysis_data
from analyses.flow import patient_flow, response_states
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


def laid_out(cohort: Cohort) -> AnalysisData:
    return analysis_data(cohort, treated="tacrolimus", reference="no_tacrolimus", response=KIM2025, flare=KDIGO_2012)


@pytest.fixture(scope="module")
def data(made: Cohort) -> AnalysisData:
    return laid_out(made)


def test_one_row_per_patient_and_first_event_first(data: AnalysisData, made: Cohort) -> None:
    frame = data.event_free.set_index("patient_id")
    assert len(frame) == 179
    assert frame["years"].max() == HORIZON_YEARS
    events = made.events[made.events["event"].isin(["renal_flare", "eskd", "death"])]
    first = events.groupby("patient_id")["day"].min() / 365.25
    within = first[first <= HORIZON_YEARS]
    assert set(frame.index[frame["event"] == 1]) == set(within.index)
    np.testing.assert_allclose(frame.loc[within.index, "years"], within)
    assert ((frame["cause"] > 0) == (frame["event"] == 1)).all()
    censored = frame[frame["event"] == 0]
    expected = np.minimum(censored["follow_up_days"] / 365.25, HORIZON_YEARS)
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
        assert not table.frame["note"].str.startswith("not estimated", na=False).any(), name
    assert set(tables["cox"].frame["population"]) == {"unadjusted", "adjusted"}
    assert set(tables["flare_incidence"].frame["term"]) == {"renal_flare", "eskd or death"}
    assert set(tables["flare_free_survival"].frame["time_unit"]) == {"year"}


def test_only_runs_what_is_asked(data: AnalysisData) -> None:
    assert set(run_analyses(data, only=["describe"])) == {"patient_flow", "table_one", "response_states"}
    with pytest.raises(UsageError, match=r"no analysis of that name.*got magic.*describe"):
        run_analyses(data, only=["magic"])
    with pytest.raises(UsageError, match="no analysis of that name"):
        run_analyses(data, only=[])


def test_what_the_data_cannot_support_is_a_row_that_says_why(made: Cohort) -> None:
    women_only = replace(made, patients=made.patients.assign(sex="female", refractory=False))
    tables = run_analyses(laid_out(women_only), only=["survival", "propensity"])
    notes = pd.concat([tables[name].frame for name in ("cox", "propensity_balance", "weighted_cox")])["note"]
    failed = notes.dropna()
    assert failed.str.startswith("not estimated: ").any()
    assert failed.str.contains("refractory|sex").any()
    assert set(ANALYSES) == {"describe", "response", "longitudinal", "survival", "propensity"}


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
    reasons = ledger.set_index("target_id")["reason"]
    assert "exact mode conditions on it" in reasons["renal_flares"]
    assert "the seed gave it" in reasons["laboratory_60_similar"]


def test_findings_of_a_registry_are_computed_from_the_data(data: AnalysisData, made: Cohort, record: Study) -> None:
    registry = replace(made, mode=None, notes={})
    reasons = reproduction_ledger(record, data, registry).set_index("target_id")["reason"]
    assert reasons["renal_flares"] == "computed from the data"


def test_contradicted_findings_and_sizes_are_not_reproduced(made: Cohort, record: Study) -> None:
    is_treated = made.patients["arm"] == "tacrolimus"
    lopsided = made.patients.assign(
        isn_rps_class=np.where(is_treated, "IV", "V"),
        background_therapy="none",
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
    changed = replace(made, patients=lopsided, events=pd.concat([made.events, infections], ignore_index=True))
    ledger = reproduction_ledger(record, laid_out(changed), changed).set_index("target_id")
    for target in ("baseline_class_v", "baseline_similar", "adverse_events", "adverse_events_by_type"):
        assert ledger.loc[target, "verdict"] == Verdict.NOT_REPRODUCED.value, target
    for target in ("monotherapy_count_tacrolimus", "combination_therapy_tacrolimus"):
        assert ledger.loc[target, "verdict"] == Verdict.NOT_REPRODUCED.value, target
    assert "age_years" in ledger.loc["baseline_similar", "reason"]
    assert "serious_infection" in ledger.loc["adverse_events_by_type", "reason"]


def test_a_visit_nobody_attends_cannot_be_reproduced(made: Cohort, record: Study) -> None:
    kept = made.visits[~made.visits["visit_month"].eq(60).fillna(False).astype(bool)]
    cut = replace(made, visits=kept)
    ledger = reproduction_ledger(record, laid_out(cut), cut).set_index("target_id")
    assert ledger.loc["or_60_tacrolimus", "verdict"] == Verdict.NOT_REPRODUCED.value
    assert ledger.loc["or_60_p", "reason"] == "nobody of an arm is assessed at this visit"
    assert ledger.loc["laboratory_60_similar", "verdict"] == Verdict.NOT_CHECKABLE.value


def test_without_events_nothing_differs(made: Cohort, record: Study) -> None:
    quiet = replace(made, events=made.events.iloc[:0])
    ledger = reproduction_ledger(record, laid_out(quiet), quiet).set_index("target_id")
    assert ledger.loc["poor_outcomes", "reproduced"].endswith("log-rank p = 1.000")
    assert ledger.loc["adverse_events", "reproduced"].startswith("0/92 v 0/87")
