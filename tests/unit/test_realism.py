"""The realism tables of a generated cohort and of spoilt ones: what is out of range or of the wrong sign is said."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from analyses.datasets import AnalysisData, analysis_data
from analyses.plan import run_analyses
from analyses.realism import (
    RealismRanges,
    baseline_distributions,
    example_courses,
    example_trajectories,
    realism_table,
)
from analyses.realism.correlations import LABORATORY
from analyses.realism.verdicts import Verdict, verdict_of
from cohort.codes import DAYS_PER_MONTH, Status
from cohort.definitions import KDIGO_2012, KIM2025
from cohort.provenance import provenance_table
from cohort.store import Cohort
from synthetic.generate import GeneratedCohort


def laid_out(cohort: Cohort) -> AnalysisData:
    return analysis_data(cohort, treated="tacrolimus", reference="no_tacrolimus", response=KIM2025, flare=KDIGO_2012)


@pytest.fixture(scope="module")
def cohort(generated: GeneratedCohort) -> Cohort:
    return generated.cohort


@pytest.fixture(scope="module")
def data(cohort: Cohort) -> AnalysisData:
    return laid_out(cohort)


@pytest.fixture(scope="module")
def table(data: AnalysisData) -> pd.DataFrame:
    return realism_table(data).frame


def verdict(table: pd.DataFrame, term: str, statistic: str) -> Verdict:
    rows = table[(table["term"] == term) & (table["statistic"] == statistic) & (table["population"] == "this cohort")]
    return verdict_of(rows["note"].item())


def test_every_row_about_the_cohort_has_a_verdict_and_a_number(table: pd.DataFrame) -> None:
    own = table[table["population"] == "this cohort"]
    assert own["estimate"].notna().all()
    assert {verdict_of(note) for note in own["note"]} <= set(Verdict)
    assert not own.duplicated(["term", "statistic"]).any()


def test_each_reference_stands_beside_its_range_and_its_sources(table: pd.DataFrame) -> None:
    ranges = table[table["statistic"] == "range"]
    assert len(ranges) == len(RealismRanges().references())
    assert (ranges["conf_low"] <= ranges["conf_high"]).all()
    for place in ranges.index:
        assert table.loc[place - 1, "population"] == "this cohort"
        assert table.loc[place - 1, "term"] == table.loc[place, "term"]
        assert table.loc[place + 1, "method"] == "as published"
    published = table[table["method"] == "as published"]
    assert published["note"].str.contains(r"doi:|https?://|PMID|WPRIM|Lupus").all()


def test_every_borrowed_range_says_where_it_comes_from() -> None:
    listed = provenance_table(RealismRanges())
    assert len(listed) == len(RealismRanges().references())
    assert set(listed["status"]) == {Status.BORROWED.value}
    assert (listed["source"].str.len() > 10).all()
    assert listed.set_index("parameter").loc["chronicity", "value"] == "2.6 SD 1.6 [Mok trial, Hong Kong]"


def test_the_numbers_are_those_of_the_tables(table: pd.DataFrame, cohort: Cohort, data: AnalysisData) -> None:
    own = table[table["population"] == "this cohort"].set_index(["term", "statistic"])
    assert own.loc[("age_years", "mean"), "estimate"] == pytest.approx(cohort.patients["age_years"].mean())
    assert own.loc[("sex=female", "proportion"), "n_events"] == (cohort.patients["sex"] == "female").sum()
    mixed = cohort.patients["isn_rps_class"].isin(["III", "III+V"]).sum()
    assert own.loc[("isn_rps_class=III or III+V", "proportion"), "n_events"] == mixed
    start = cohort.visits[cohort.visits["visit_month"].eq(0).fillna(False).astype(bool)]
    assert own.loc[("upcr_g_g", "median"), "estimate"] == pytest.approx(start["upcr_g_g"].median())
    assert own.loc[("egfr_below_90", "proportion"), "n_events"] == (start["egfr_ml_min_1_73m2"] < 90).sum()
    years = cohort.patients["follow_up_days"].sum() / 365.25
    assert own.loc[("renal_flare", "rate_per_100_patient_years"), "estimate"] == pytest.approx(
        100 * len(data.flares) / years
    )
    expected = start[["albumin_g_dl", "upcr_g_g"]].corr(method="spearman").iloc[0, 1]
    assert own.loc[("albumin_g_dl with upcr_g_g", "spearman"), "estimate"] == pytest.approx(expected)


def test_no_sign_of_a_generated_cohort_is_wrong(table: pd.DataFrame) -> None:
    own = table[(table["population"] == "this cohort") & table["statistic"].str.startswith("spearman")]
    verdicts = [verdict_of(note) for note in own["note"]]
    assert Verdict.WRONG_SIGN not in verdicts
    assert verdicts.count(Verdict.RIGHT_SIGN) > len(verdicts) / 2


def test_a_value_out_of_range_is_flagged(table: pd.DataFrame, cohort: Cohort) -> None:
    assert verdict(table, "age_years", "mean") is Verdict.WITHIN
    older = realism_table(laid_out(replace(cohort, patients=cohort.patients.assign(age_years=70.0)))).frame
    assert verdict(older, "age_years", "mean") is Verdict.OUTSIDE
    men = realism_table(laid_out(replace(cohort, patients=cohort.patients.assign(sex="male")))).frame
    assert verdict(men, "sex=female", "proportion") is Verdict.OUTSIDE


def test_a_wrong_sign_is_flagged(table: pd.DataFrame, cohort: Cohort) -> None:
    term = "albumin_g_dl with upcr_g_g"
    assert verdict(table, term, "spearman") is Verdict.RIGHT_SIGN
    turned = cohort.visits.assign(albumin_g_dl=7.0 - cohort.visits["albumin_g_dl"])
    spoilt = realism_table(laid_out(replace(cohort, visits=turned))).frame
    assert verdict(spoilt, term, "spearman") is Verdict.WRONG_SIGN
    # The common course and the patient's own level are turned round with it: successive values still go together.
    assert verdict(spoilt, "albumin_g_dl", "spearman_lag_1") is Verdict.RIGHT_SIGN


def test_values_shuffled_among_patients_lose_their_memory(cohort: Cohort) -> None:
    visits = cohort.visits.copy()
    random = np.random.default_rng(5)
    visits["c3_mg_dl"] = random.permutation(visits["c3_mg_dl"].to_numpy())
    shuffled = realism_table(laid_out(replace(cohort, visits=visits))).frame
    assert verdict(shuffled, "c3_mg_dl", "spearman_lag_1") is not Verdict.RIGHT_SIGN


def test_missing_values_are_left_out_pair_by_pair_and_counted(cohort: Cohort, table: pd.DataFrame) -> None:
    visits = cohort.visits.copy()
    start = np.flatnonzero(visits["visit_month"].eq(0).fillna(False).to_numpy(dtype=bool))
    visits.loc[visits.index[start[:10]], "albumin_g_dl"] = np.nan
    visits.loc[visits.index[start[5:20]], "c3_mg_dl"] = np.nan
    visits["c4_mg_dl"] = np.nan
    visits["sledai_2k"] = visits["sledai_2k"].astype("Int32").mask(visits.index.isin(visits.index[start[:3]]))
    data = laid_out(replace(cohort, visits=visits))
    own = realism_table(data).frame
    own = own[own["population"] == "this cohort"].set_index(["term", "statistic"])
    before = table[table["population"] == "this cohort"].set_index(["term", "statistic"])
    patients = len(cohort.patients)
    assert own.loc[("albumin_g_dl", "median"), "n"] == patients - 10
    assert own.loc[("albumin_g_dl with upcr_g_g", "spearman"), "n"] == patients - 10
    assert own.loc[("anti_dsdna_iu_ml with c3_mg_dl", "spearman"), "n"] == patients - 15
    assert own.loc[("c3_mg_dl with sledai_2k", "spearman"), "n"] == patients - 18
    assert (
        own.loc[("albumin_g_dl", "largest_fold_change"), "n"] < before.loc[("albumin_g_dl", "largest_fold_change"), "n"]
    )
    for statistic in ("median", "mean", "spearman_lag_1", "largest_fold_change", "share_at_lowest"):
        assert own.loc[("c4_mg_dl", statistic), "note"].startswith("not computed; "), statistic
        assert own.loc[("c4_mg_dl", statistic), "n"] == 0
    bins = baseline_distributions(data).frame
    assert bins.loc[bins["term"] == "c4_mg_dl", "note"].tolist() == ["no value observed"]


def test_without_follow_up_there_is_no_rate(data: AnalysisData) -> None:
    still = replace(data, baseline=data.baseline.assign(follow_up_days=0))
    own = realism_table(still).frame
    assert verdict(own, "eskd", "rate_per_100_patient_years") is Verdict.NOT_COMPUTED


def test_one_patient_has_means_without_intervals(data: AnalysisData) -> None:
    one = replace(data, baseline=data.baseline.iloc[:1])
    own = realism_table(one).frame
    row = own[(own["term"] == "age_years") & (own["population"] == "this cohort")].iloc[0]
    assert row["estimate"] == data.baseline["age_years"].iloc[0]
    assert np.isnan(row["conf_low"])
    assert verdict(own, "albumin_g_dl with upcr_g_g", "spearman") is Verdict.NOT_COMPUTED


def test_the_bins_of_a_variable_hold_every_patient_once(data: AnalysisData) -> None:
    bins = baseline_distributions(data).frame
    shares = bins[bins["statistic"] == "proportion"].groupby("term")
    np.testing.assert_allclose(shares["estimate"].sum(), 1.0)
    assert (shares["n_events"].sum() == shares["n"].first()).all()
    assert (shares.size() <= 16).all()
    lower = bins[bins["statistic"] == "bin_lower"].set_index(["term", "group"])["estimate"]
    upper = bins[bins["statistic"] == "bin_upper"].set_index(["term", "group"])["estimate"]
    assert (lower < upper).all()
    assert set(LABORATORY) <= set(bins["term"])


def test_examples_are_the_first_of_each_arm_by_identifier(data: AnalysisData, cohort: Cohort) -> None:
    rows = example_trajectories(data).frame
    chosen = rows[["group", "population"]].drop_duplicates()
    attended = cohort.visits["patient_id"][cohort.visits["visit_month"].notna()].value_counts()
    seen = cohort.patients[cohort.patients["patient_id"].map(attended) >= 4]
    flared = set(data.flares["patient_id"])
    for arm in ("tacrolimus", "no_tacrolimus"):
        of_arm = sorted(seen.loc[seen["arm"] == arm, "patient_id"])
        with_flare = [name for name in of_arm if name in flared][:2]
        without = [name for name in of_arm if name not in flared][:2]
        assert sorted(chosen.loc[chosen["group"] == arm, "population"]) == sorted(with_flare + without)
    values = rows[(rows["statistic"] == "laboratory_value") & (rows["term"] == "upcr_g_g")]
    assert len(values) == cohort.visits["patient_id"].isin(chosen["population"]).sum()
    assert (rows["statistic"] == "event").sum() == data.flares["patient_id"].isin(chosen["population"]).sum()


def test_courses_fill_follow_up_without_gap_or_overlap(data: AnalysisData, cohort: Cohort) -> None:
    rows = example_courses(data).frame
    ends = rows[rows["statistic"] == "end_of_follow_up"]
    for arm in ("tacrolimus", "no_tacrolimus"):
        of_arm = sorted(cohort.patients.loc[cohort.patients["arm"] == arm, "patient_id"])
        assert ends.loc[ends["group"] == arm, "population"].tolist() == of_arm[:15]
    states = rows[rows["statistic"] == "months_in_state"]
    for patient, own in states.groupby("population"):
        stops = (own["time"] + own["estimate"]).to_numpy()
        np.testing.assert_allclose(own["time"].to_numpy()[1:], stops[:-1])
        assert own["time"].iloc[0] == 0
        assert own["term"].iloc[0] == "not yet assessed"
        followed = cohort.patients.set_index("patient_id").loc[patient, "follow_up_days"]
        assert stops[-1] == pytest.approx(followed / DAYS_PER_MONTH)
    flares = rows[(rows["statistic"] == "event") & (rows["term"] == "renal_flare")]
    for flare in flares.to_dict("records"):
        own = states[(states["population"] == flare["population"]) & (states["time"] <= flare["time"])]
        assert own["term"].iloc[-1] in ("not yet assessed", "NR")


def test_fewer_patients_than_the_rule_wants_are_shown_as_they_are(data: AnalysisData) -> None:
    few = replace(data, baseline=data.baseline.sort_values("patient_id").head(3))
    courses = example_courses(few).frame
    assert (courses["statistic"] == "end_of_follow_up").sum() == 3
    unseen = replace(data, responses=data.responses.iloc[:0], flares=data.flares.iloc[:0])
    states = example_courses(unseen).frame
    assert set(states.loc[states["statistic"] == "months_in_state", "term"]) == {"not yet assessed"}


def test_results_of_a_registry_hold_no_single_patients(cohort: Cohort) -> None:
    recorded = laid_out(replace(cohort, mode=None, seed=None, notes={}))
    tables = run_analyses(recorded, only=["realism"])
    assert set(tables) == {"realism", "realism_distributions", "realism_trajectories", "realism_courses"}
    for name in ("realism_trajectories", "realism_courses"):
        assert tables[name].frame["statistic"].tolist() == ["none"]
        assert "registry" in tables[name].frame["note"].item()
    text = pd.concat([table.frame for table in tables.values()]).to_csv()
    assert not any(name in text for name in cohort.patients["patient_id"])
