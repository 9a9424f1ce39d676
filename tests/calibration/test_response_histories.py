"""Protects that histories, landmarks and flare processes of a cohort tell the same story as its other frames."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analyses.datasets import AnalysisData, analysis_data
from analyses.longitudinal import response_history, state_occupancy, visit_states, visit_transitions
from analyses.survival import landmark, recurrent_flares, since_first_response, subgroup_effects
from cohort.definitions import KDIGO_2012, KIM2025
from synthetic.generate import GeneratedCohort


@pytest.fixture(scope="module")
def data(generated: GeneratedCohort) -> AnalysisData:
    return analysis_data(
        generated.cohort, treated="tacrolimus", reference="no_tacrolimus", response=KIM2025, flare=KDIGO_2012
    )


def test_a_history_covers_the_follow_up_of_every_patient(data: AnalysisData) -> None:
    history = response_history(data)
    time = (history["stop"] - history["start"]).groupby(history["patient_id"]).sum() * 365.25
    follow_up = data.baseline.set_index("patient_id")["follow_up_days"]
    np.testing.assert_allclose(time.reindex(follow_up.index), follow_up)


def test_arrivals_are_the_events_on_record(data: AnalysisData) -> None:
    history = response_history(data)
    arrived = history.loc[history["from_state"] != history["to_state"], "to_state"].value_counts()
    events = data.cohort.events["event"].value_counts()
    assert arrived["death"] == events["death"]
    assert arrived["eskd"] == events["eskd"]
    assert 0.8 * len(data.flares) < arrived["flare"] <= len(data.flares)  # a flare on the day of another state, or two


def test_states_at_visits_are_the_responses_but_for_flares_and_failures(data: AnalysisData) -> None:
    known = visit_states(data).merge(data.responses[["patient_id", "visit_month", "response"]], how="left")
    same = known["state"].astype(str) == known["response"]
    assert set(known.loc[~same & (known["visit_month"] > 0), "state"]) <= {"flare", "eskd", "death"}
    shares = visit_transitions(visit_states(data)).frame
    some = shares[shares["n"] > 0]
    first = some["term"].str.split(" to ").str[0]
    np.testing.assert_allclose(some.groupby(["group", "time", first])["estimate"].sum(), 1.0)


def test_the_first_event_of_each_process_is_that_of_event_free_survival(data: AnalysisData) -> None:
    rows = recurrent_flares(data)
    first = rows[rows["number"] == 1].set_index("patient_id")
    frame = data.event_free.set_index("patient_id")
    flared = frame[frame["cause"] == 1]
    np.testing.assert_allclose(first.loc[flared.index, "stop"], flared["years"])
    assert first["event"].sum() == len(flared)
    assert rows["event"].sum() == (data.flares["day"] <= 5 * 365.25).sum()
    split = since_first_response(data)
    assert split["event"].sum() == frame["event"].sum()
    np.testing.assert_allclose(
        (split["stop"] - split["start"]).groupby(split["patient_id"]).sum(), frame["years"].sort_index()
    )
    assert not split.loc[split["responded"] == 0, "cause"].eq(1).any()  # a flare comes after a response only


def test_a_landmark_accounts_for_every_patient(data: AnalysisData) -> None:
    for endpoint in ("event_free", "poor_outcome"):
        found = landmark(data, at_years=1.1, endpoint=endpoint, assessed_within_years=0.3)  # type: ignore[arg-type]
        assert len(found.rows) + found.left_out["patients"].sum() == len(data.baseline)
        assert (found.rows["assessed_years"] <= 0.3).all()


def test_every_class_has_a_row(data: AnalysisData) -> None:
    table = subgroup_effects(
        data.event_free,
        treatment_col="arm",
        treated="tacrolimus",
        subgroup_col="isn_rps_class",
        duration_col="years",
        event_col="event",
        adjust="age_years + log_creatinine",
    ).frame
    classes = sorted(data.event_free["isn_rps_class"].unique())
    rows = table[(table["population"] == "subgroup") & table["group"].notna()]
    assert rows["group"].tolist() == classes
    assert (rows["estimate"].notna() | rows["note"].notna()).all()
    assert rows["n_events"].sum() == data.event_free["event"].sum()


def test_occupancy_of_a_cohort_sums_to_one_to_the_last_visit(data: AnalysisData) -> None:
    table = state_occupancy(response_history(data), by="arm", times=[0.5, 1, 2, 3, 5]).frame
    assert isinstance(table, pd.DataFrame)
    np.testing.assert_allclose(table.groupby(["group", "time"])["estimate"].sum(), 1.0)
    assert table["term"].unique().tolist() == ["NR", "PR", "CR", "flare", "eskd", "death"]
