"""What an exact cohort promises beyond its rates: findings, plausibility, and tables that agree with each other."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from cohort.definitions import KDIGO_2012, KIM2025
from cohort.flare import derive_flares
from cohort.record import Study
from cohort.schema import COHORT_TABLES
from cohort.store import Cohort
from cohort.targets import load_study
from cohort.validation import validate_cohort
from synthetic.generate import generate_exact

SEEDS = (2025, *range(1, 12))
BALANCED = (
    "age_years", "sle_duration_years", "activity_index", "chronicity_index", "upcr_g_g", "serum_creatinine_mg_dl",
    "egfr_ml_min_1_73m2", "albumin_g_dl", "c3_mg_dl", "c4_mg_dl", "anti_dsdna_iu_ml", "hemoglobin_g_dl",
    "urine_rbc_hpf", "sledai_2k",
)  # fmt: skip
BALANCED_YES_NO = ("sex", "ethnicity", "site", "hypertension", "diabetes", "urine_casts")


@pytest.fixture(scope="module")
def record() -> Study:
    return load_study("kim2025")


@pytest.fixture(scope="module", params=SEEDS)
def made(request: pytest.FixtureRequest, record: Study) -> Cohort:
    return generate_exact(record, seed=request.param).cohort


def baseline(cohort: Cohort) -> pd.DataFrame:
    return cohort.patients.merge(cohort.visits[cohort.visits["visit_month"].eq(0).fillna(False)], on="patient_id")


def test_arms_have_their_printed_sizes(made: Cohort) -> None:
    assert made.patients["arm"].value_counts().to_dict() == {"tacrolimus": 92, "no_tacrolimus": 87}


def test_validate_finds_nothing(made: Cohort, record: Study) -> None:
    findings = validate_cohort(made, arms=[arm.code for arm in record.arms], response=KIM2025)
    assert findings.empty, findings.to_string()


def test_no_column_is_constant_and_none_is_empty(made: Cohort) -> None:
    for table in COHORT_TABLES:
        frame = made.table(table.name)
        assert list(frame.columns) == list(table.column_names)
        for name in frame.columns:
            assert frame[name].nunique() > 1, f"{table.name}.{name}"


def test_pure_class_v_is_significantly_more_frequent_on_tacrolimus(made: Cohort) -> None:
    table = pd.crosstab(made.patients["arm"], made.patients["isn_rps_class"] == "V")
    assert table.loc["tacrolimus", True] / 92 > table.loc["no_tacrolimus", True] / 87
    assert stats.chi2_contingency(table, correction=False).pvalue < 0.05


def test_no_listed_balance_variable_differs_significantly(made: Cohort) -> None:
    frame = baseline(made)
    treated = frame["arm"] == "tacrolimus"
    for name in BALANCED:
        one, zero = frame.loc[treated, name], frame.loc[~treated, name]
        assert stats.ttest_ind(one, zero, equal_var=False).pvalue >= 0.05, name
        assert abs(one.mean() - zero.mean()) / np.sqrt((one.var() + zero.var()) / 2) <= 0.20 + 1e-12, name
    for name in BALANCED_YES_NO:
        assert stats.chi2_contingency(pd.crosstab(treated, frame[name]), correction=False).pvalue >= 0.05, name


def test_nobody_responds_at_baseline(made: Cohort) -> None:
    start = baseline(made)
    assert start["upcr_g_g"].min() >= 1.0
    assert (start["upcr_g_g"] > 2.0).mean() > 0.5


def test_renal_flares_are_exactly_those_the_definition_finds(made: Cohort) -> None:
    found = derive_flares(made.patients, made.visits, KIM2025, KDIGO_2012)
    recorded = made.events[made.events["event"] == "renal_flare"]
    assert list(zip(found["patient_id"], found["day"], found["kind"], strict=True)) == list(
        zip(recorded["patient_id"], recorded["day"], recorded["grade"], strict=True)
    )
    assert len(found) > 10


def test_kidney_failure_shows_and_lasts(made: Cohort) -> None:
    failure = made.events[made.events["event"] == "eskd"].set_index("patient_id")["day"]
    later = made.visits[made.visits["patient_id"].isin(failure.index)]
    after = later[later["day"] >= later["patient_id"].map(failure)]
    assert (after["egfr_ml_min_1_73m2"] < 15).all()
    before = made.visits.drop(index=after.index)
    assert (before["egfr_ml_min_1_73m2"] >= 15).all()


def test_nothing_follows_death_or_the_end_of_follow_up(made: Cohort) -> None:
    end = made.patients.set_index("patient_id")["follow_up_days"]
    for frame, column in ((made.visits, "day"), (made.events, "day"), (made.treatments, "stop_day")):
        assert (frame[column] <= frame["patient_id"].map(end)).all()


def test_calendar_is_inside_the_accrual_window_and_ends_at_the_data_lock(made: Cohort) -> None:
    patients = made.patients
    last_day = patients["index_date"] + pd.to_timedelta(patients["follow_up_days"], unit="D")
    assert patients["index_date"].min() >= pd.Timestamp("1999-01-01")
    assert last_day.max() <= pd.Timestamp("2021-12-31")
    locked = patients["end_reason"] == "data_lock"
    assert (last_day[locked] == pd.Timestamp("2021-12-31")).all()


def test_troughs_belong_to_tacrolimus_and_19_take_it_alone(made: Cohort) -> None:
    arm = made.patients.set_index("patient_id")["arm"]
    measured = made.visits[made.visits["tacrolimus_trough_ng_ml"].notna()]
    assert (measured["patient_id"].map(arm) == "tacrolimus").all()
    alone = made.patients[(made.patients["background_therapy"] == "none") & (made.patients["arm"] == "tacrolimus")]
    assert len(alone) == 19
    immunosuppressants = made.treatments[
        (made.treatments["phase"] == "maintenance")
        & made.treatments["drug"].isin(["mycophenolate", "azathioprine", "mizoribine"])
    ]
    treated = set(arm[arm == "tacrolimus"].index)
    assert treated - set(immunosuppressants["patient_id"]) == set(alone["patient_id"])
    assert set(made.treatments.loc[made.treatments["drug"] == "tacrolimus", "patient_id"]) == treated


def test_values_are_printed_as_a_laboratory_prints_them(made: Cohort) -> None:
    for table in COHORT_TABLES:
        for column in table.columns:
            if column.decimals is not None:
                values = made.table(table.name)[column.name].dropna().to_numpy()
                np.testing.assert_array_equal(values, np.round(values, column.decimals), err_msg=column.name)


def test_correlations_have_the_sign_a_nephrologist_expects(made: Cohort) -> None:
    visits = made.visits
    rank = visits[["upcr_g_g", "albumin_g_dl", "c3_mg_dl", "anti_dsdna_iu_ml", "sledai_2k", "hemoglobin_g_dl"]].corr(
        method="spearman"
    )["upcr_g_g"]
    assert rank["albumin_g_dl"] < -0.5
    assert rank["c3_mg_dl"] < -0.2
    assert rank["hemoglobin_g_dl"] < -0.2
    assert rank["anti_dsdna_iu_ml"] > 0.2
    assert rank["sledai_2k"] > 0.5


def test_a_responder_turns_non_responder_only_through_a_flare(made: Cohort) -> None:
    from cohort.response import derive_responses

    responses = derive_responses(made.patients, made.visits, KIM2025)
    flares = made.events[made.events["event"] == "renal_flare"]
    days = made.visits.dropna(subset=["visit_month"]).set_index(["patient_id", "visit_month"])["day"]
    for patient, course in responses.groupby("patient_id"):
        own = flares.loc[flares["patient_id"] == patient, "day"]
        for before, after in zip(course.itertuples(), course.iloc[1:].itertuples(), strict=False):
            if before.response != "NR" and after.response == "NR":
                start, end = days[(patient, before.visit_month)], days[(patient, after.visit_month)]
                assert own.between(start, end).any(), (patient, after.visit_month)


def test_kidney_failure_ends_its_drugs(made: Cohort) -> None:
    failure = made.events[made.events["event"] == "eskd"].set_index("patient_id")["day"]
    drugs = made.treatments[
        (made.treatments["phase"] == "maintenance")
        & ~made.treatments["drug"].isin(["prednisolone", "hydroxychloroquine"])
        & made.treatments["patient_id"].isin(failure.index)
    ]
    assert (drugs["stop_day"] <= drugs["patient_id"].map(failure)).all()
    late = made.visits[made.visits["day"] > made.visits["patient_id"].map(failure)]
    assert late["tacrolimus_trough_ng_ml"].isna().all()


def test_nephrotoxicity_stops_tacrolimus_that_day(made: Cohort) -> None:
    toxic = made.events[made.events["event"] == "nephrotoxicity"]
    tacrolimus = made.treatments[made.treatments["drug"] == "tacrolimus"].set_index("patient_id")
    for patient, day in zip(toxic["patient_id"], toxic["day"], strict=True):
        assert tacrolimus.loc[patient, "stop_day"] == day
        assert tacrolimus.loc[patient, "stop_reason"] == "adverse_event"


def test_prednisolone_rows_say_what_the_visits_show(made: Cohort) -> None:
    rows = made.treatments[(made.treatments["drug"] == "prednisolone") & (made.treatments["phase"] == "maintenance")]
    joined = made.visits[["patient_id", "day", "prednisolone_mg_day"]].merge(rows, on="patient_id", how="left")
    covering = joined[(joined["start_day"] <= joined["day"]) & (joined["day"] <= joined["stop_day"])]
    taken = made.visits["prednisolone_mg_day"] > 0
    assert len(covering) == taken.sum()
    assert (covering["dose_mg_day"] == covering["prednisolone_mg_day"]).all()


def test_tacrolimus_stopped_for_remission_follows_a_complete_response(made: Cohort) -> None:
    from cohort.response import derive_responses

    stopped = made.treatments[
        (made.treatments["drug"] == "tacrolimus") & (made.treatments["stop_reason"] == "remission")
    ]
    responses = derive_responses(made.patients, made.visits, KIM2025).merge(
        made.visits[["patient_id", "visit_month", "day"]], on=["patient_id", "visit_month"]
    )
    for row in stopped.itertuples():
        before = responses[(responses["patient_id"] == row.patient_id) & (responses["day"] <= row.stop_day)]
        assert before.sort_values("day")["response"].iloc[-1] == "CR"


def test_laboratory_values_vary_between_cohorts(record: Study) -> None:
    def complete(seed: int) -> list[float]:
        visits = generate_exact(record, seed=seed).cohort.visits
        at_12 = visits[visits["visit_month"].eq(12).fillna(False).astype(bool)]
        return sorted(at_12.loc[at_12["upcr_g_g"] < 0.5, "upcr_g_g"])

    assert complete(1) != complete(2)
