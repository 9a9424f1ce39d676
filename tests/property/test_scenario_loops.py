"""Under any admissible scenario the tables of a cohort tell one story: what was intended is what is found again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from cohort.codes import StopReason
from cohort.definitions import KDIGO_2012, KIM2025
from cohort.errors import CalibrationError
from cohort.flare import derive_flares
from cohort.record import Study
from cohort.response import derive_responses
from cohort.store import Cohort
from cohort.validation import validate_cohort
from synthetic.design import Design
from synthetic.generate import generate_exact
from synthetic.reconstruct import reconstruct
from synthetic.scenario import DEFAULT_SCENARIO, Scenario, available_scenarios, load_scenario, read_scenario
from synthetic.setting import settle

SIZE = 512
STATES = np.array(["NR", "PR", "CR", "-"])
NEVER = 10**6
FEW = settings(
    max_examples=6,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
MANY = settings(FEW, max_examples=150)
ROUGH = """
[calendar]
visit_jitter_sd = 1.0
leaving_hr_severity = 1.5
[missing]
missed_visit_share = 0.9
mechanism = "informative"
[course]
flare_rate = 30.0
death_rate = 0.4
eskd_rate = 3.0
mild_flare = 0.5
[centres]
number = 7
"""

Draw = Callable[..., Any]


@pytest.fixture(scope="module", autouse=True)
def quick(cheaply: Callable[[int], AbstractContextManager[None]]) -> Iterator[None]:
    with cheaply(12):
        yield


def derived_states(cohort: Cohort, design: Design) -> np.ndarray[Any, Any]:
    """Return the responses found in the laboratory values, one row a patient; "-" where none is found."""
    found = derive_responses(cohort.patients, cohort.visits, KIM2025)
    assessed = found[found["response"].isin(["NR", "PR", "CR"])]
    wide = assessed.pivot(index="patient_id", columns="visit_month", values="response")
    wide = wide.reindex(index=cohort.patients["patient_id"], columns=design.months.tolist())
    return wide.astype(object).where(wide.notna(), "-").to_numpy()


def days_of(cohort: Cohort, event: str) -> pd.Series:
    chosen = cohort.events[cohort.events["event"] == event]
    return chosen.groupby("patient_id")["day"].min()


def check_flares(cohort: Cohort) -> None:
    found = derive_flares(cohort.patients, cohort.visits, KIM2025, KDIGO_2012)
    recorded = cohort.events[cohort.events["event"] == "renal_flare"]
    columns = ("patient_id", "day", "kind"), ("patient_id", "day", "grade")
    pairs = [
        sorted(zip(*(frame[name].astype(str) for name in names), strict=True))
        for frame, names in zip((found, recorded), columns, strict=True)
    ]
    assert pairs[0] == pairs[1]


def check_kidney_failure(cohort: Cohort, design: Design, state: np.ndarray[Any, Any]) -> None:
    failure, visits = days_of(cohort, "eskd"), cohort.visits
    assert not cohort.events.loc[cohort.events["event"] == "eskd", "patient_id"].duplicated().any()
    day = visits["patient_id"].map(failure)
    after = visits[(visits["day"] >= day) & visits["egfr_ml_min_1_73m2"].notna()]
    assert (after["egfr_ml_min_1_73m2"] < 15).all()
    assert set(failure.index) == set(after.loc[after["day"] == day[after.index], "patient_id"])
    later = after[after["visit_month"].notna()]
    place = {patient: row for row, patient in enumerate(cohort.patients["patient_id"])}
    column = {month: position for position, month in enumerate(design.months.tolist())}
    responses = {
        state[place[patient], column[month]]
        for patient, month in zip(later["patient_id"], later["visit_month"], strict=True)
    }
    assert responses <= {"NR", "-"}


def check_death(cohort: Cohort) -> None:
    patients, death = cohort.patients, days_of(cohort, "death")
    end = patients.set_index("patient_id")["follow_up_days"]
    assert not cohort.events.loc[cohort.events["event"] == "death", "patient_id"].duplicated().any()
    assert set(death.index) == set(patients.loc[patients["end_reason"] == "death", "patient_id"])
    assert (death == end[death.index]).all()
    for frame, column in ((cohort.visits, "day"), (cohort.events, "day"), (cohort.treatments, "stop_day")):
        assert (frame[column] <= frame["patient_id"].map(end)).all()
    for frame in (cohort.visits, cohort.events[cohort.events["event"] != "death"]):
        assert not (frame["day"] >= frame["patient_id"].map(death)).any()


def check_drugs(cohort: Cohort, design: Design, state: np.ndarray[Any, Any]) -> None:
    arm = cohort.patients.set_index("patient_id")["arm"]
    end = cohort.patients.set_index("patient_id")["follow_up_days"]
    on_tacrolimus = design.arms[design.tacrolimus].tolist()
    spells = cohort.treatments[cohort.treatments["drug"] == "tacrolimus"].set_index("patient_id")
    assert spells.index.is_unique
    assert set(spells.index) == set(arm[arm.isin(on_tacrolimus)].index)
    measured = cohort.visits[cohort.visits["tacrolimus_trough_ng_ml"].notna()]
    assert set(measured["patient_id"]) <= set(spells.index)
    assert (measured["day"] > 0).all()
    assert (measured["day"] <= measured["patient_id"].map(spells["stop_day"])).all()
    # A drug stopped before the end is stopped for the response seen last.
    stopped = cohort.treatments[
        (cohort.treatments["phase"] == "maintenance") & cohort.treatments["drug"].isin(["tacrolimus", "mycophenolate"])
    ]
    visits = cohort.visits[cohort.visits["visit_month"].gt(0).fillna(False)]
    place = {patient: row for row, patient in enumerate(cohort.patients["patient_id"])}
    column = {month: position for position, month in enumerate(design.months.tolist())}
    seen = visits.assign(
        response=[
            state[place[patient], column[month]]
            for patient, month in zip(visits["patient_id"], visits["visit_month"], strict=True)
        ]
    )
    joined = stopped.merge(seen[seen["response"] != "-"], on="patient_id")
    last = joined[joined["day"] <= joined["stop_day"]].groupby(["patient_id", "drug"])["response"].last()
    reasons = stopped.set_index(["patient_id", "drug"])["stop_reason"]
    at_end = stopped["stop_day"].to_numpy() == stopped["patient_id"].map(end).to_numpy()
    assert (reasons[at_end] == StopReason.ONGOING).all()
    for reason, response in ((StopReason.REMISSION, "CR"), (StopReason.INEFFECTIVE, "NR")):
        chosen = last.reindex(reasons[reasons == reason].index).dropna()
        assert (chosen == response).all(), (reason, chosen[chosen != response])


def check_potential_outcomes(drawn: Any, design: Design, state: np.ndarray[Any, Any]) -> None:
    cohort, truth, missed = drawn.cohort, drawn.truth, drawn.story.attendance.missed
    ids, arm = cohort.patients["patient_id"], cohort.patients.set_index("patient_id")["arm"]
    responses = truth["responses"]
    own = responses[responses["arm"] == responses["patient_id"].map(arm)]
    wide = own.pivot(index="patient_id", columns="visit_month", values="response")
    potential = wide.reindex(index=ids, columns=design.months.tolist()).to_numpy(dtype=object)
    seen = state != "-"
    assert (state[seen] == potential[seen]).all()
    outcomes = truth["outcomes"].set_index("patient_id")
    mine = outcomes[outcomes["arm"] == outcomes.index.map(arm)].reindex(ids)
    end = cohort.patients["follow_up_days"].to_numpy()

    def days(values: Any) -> np.ndarray[Any, Any]:
        return pd.Series(values).astype("Float64").fillna(NEVER).to_numpy(dtype=np.int64)

    for event, column in (("eskd", "eskd_day"), ("renal_flare", "flare_day")):
        observed, would = days(days_of(cohort, event).reindex(ids).to_numpy()), days(mine[column].to_numpy())
        expected = np.where(would < end, would, NEVER)
        everything_seen = ~missed.any(axis=1) if event == "renal_flare" else np.ones(len(end), dtype=bool)
        np.testing.assert_array_equal(observed[everything_seen], expected[everything_seen])
        # A flare is not seen if nobody saw the response before it.
        assert (observed >= expected).all()
    dead = cohort.patients["end_reason"].to_numpy() == "death"
    death = days(mine["death_day"].to_numpy())
    np.testing.assert_array_equal(death[dead], end[dead])
    assert (death[~dead] >= end[~dead]).all()
    for column in ("flare_day", "eskd_day"):
        after = outcomes[column] >= outcomes["death_day"]
        assert not after.fillna(False).any()


def check(drawn: Any, design: Design) -> None:
    """Assert every loop of a population drawn in memory."""
    cohort = drawn.cohort
    findings = validate_cohort(cohort, arms=design.arms.tolist(), response=KIM2025)
    assert findings.empty, findings.to_string()
    state = derived_states(cohort, design)
    intended = STATES[drawn.story.course.state]
    # A visit without urine has no response; whatever response is found is the intended one.
    np.testing.assert_array_equal(state, intended)
    check_flares(cohort)
    check_kidney_failure(cohort, design, state)
    check_death(cohort)
    check_drugs(cohort, design, state)
    check_potential_outcomes(drawn, design, state)


def check_help(error: CalibrationError) -> None:
    """Assert that a refusal says where and what to do."""
    assert all((error.what, error.where, error.remedy)), error


def settled_or_refused(design: Design, scenario: Scenario) -> Any:
    """Return the setting, or ``None`` where print refuses the scenario with a message that helps."""
    try:
        return settle(design, scenario)
    except CalibrationError as error:
        check_help(error)
        return None


@pytest.mark.parametrize("name", [*available_scenarios(), "rough"])
def test_the_loops_close_under_every_scenario_carried_and_a_rough_one(name: str, draw: Draw, design: Design) -> None:
    scenario = read_scenario(ROUGH, where="rough.toml") if name == "rough" else load_scenario(name)
    check(draw(settle(design, scenario), 2048), design)


def test_the_loops_close_under_any_scenario(scenarios: st.SearchStrategy[Scenario], draw: Draw, design: Design) -> None:
    accepted = []

    @FEW
    @given(scenario=scenarios, seed=st.integers(0, 10**6))
    def closed(scenario: Scenario, seed: int) -> None:
        setting = settled_or_refused(design, scenario)
        if setting is not None:
            check(draw(setting, SIZE, seed), design)
            accepted.append(scenario)

    closed()
    assert len(accepted) >= 6


@pytest.mark.slow
def test_the_loops_close_under_many_scenarios(
    scenarios: st.SearchStrategy[Scenario], draw: Draw, design: Design
) -> None:
    accepted = []

    @MANY
    @given(scenario=scenarios, seed=st.integers(0, 10**6))
    def closed(scenario: Scenario, seed: int) -> None:
        setting = settled_or_refused(design, scenario)
        if setting is not None:
            check(draw(setting, SIZE, seed), design)
            accepted.append(scenario)

    closed()
    assert len(accepted) >= 75


def check_exact(cohort: Cohort, design: Design) -> None:
    """Assert that an exact cohort has exactly the reconstructed counts, and its loops."""
    findings = validate_cohort(cohort, arms=design.arms.tolist(), response=KIM2025)
    assert findings.empty, findings.to_string()
    state = derived_states(cohort, design)
    arm = cohort.patients["arm"].to_numpy()
    counts = design.counts
    for position, code in enumerate(design.arms):
        rows = state[arm == code]
        assert len(rows) == design.sizes[position]
        np.testing.assert_array_equal((rows != "-").sum(axis=0), counts.assessed[position])
        np.testing.assert_array_equal((rows == "CR").sum(axis=0), counts.complete[position])
        np.testing.assert_array_equal((rows == "PR").sum(axis=0), counts.partial[position])
    check_flares(cohort)
    check_kidney_failure(cohort, design, state)
    check_death(cohort)
    check_drugs(cohort, design, state)


MISSING = """
[missing]
missed_visit_share = {share}
mechanism = "{mechanism}"
strength = 1.5
[calendar]
leaving_hr_severity = {leaving}
"""


@pytest.mark.parametrize(
    ("mechanism", "share", "leaving"),
    [("mcar", 0.5, 1.0), ("mar", 0.3, 1.3), ("informative", 0.9, 0.8), ("informative", 0.0, 1.6)],
)
def test_exact_counts_are_right_whoever_misses_visits_and_leaves(
    mechanism: str, share: float, leaving: float, study: Study, design: Design
) -> None:
    text = MISSING.format(mechanism=mechanism, share=share, leaving=leaving)
    made = generate_exact(study, seed=7, scenario=read_scenario(text, where="missing.toml"))
    check_exact(made.cohort, design)
    missed = made.cohort.visits["visit_month"].value_counts().reindex(design.months)
    assert missed.tolist() == design.counts.assessed.sum(axis=0).tolist()


@pytest.mark.parametrize("name", available_scenarios())
def test_exact_counts_are_right_under_every_scenario_carried(name: str, study: Study, design: Design) -> None:
    check_exact(generate_exact(study, seed=5, scenario=load_scenario(name)).cohort, design)


@pytest.mark.slow
def test_exact_counts_are_right_under_any_scenario(
    scenarios: st.SearchStrategy[Scenario], study: Study, design: Design
) -> None:
    reconstruction = reconstruct(study)
    accepted = []

    @settings(FEW, max_examples=40)
    @given(scenario=scenarios, seed=st.integers(0, 10**6))
    def exact(scenario: Scenario, seed: int) -> None:
        try:
            made = generate_exact(study, seed=seed, scenario=scenario, reconstruction=reconstruction)
        except CalibrationError as error:
            check_help(error)
        else:
            check_exact(made.cohort, design)
            accepted.append(scenario)

    exact()
    assert len(accepted) >= 20


def test_a_smaller_hazard_of_flare_gives_fewer_potential_flares(draw: Draw, design: Design) -> None:
    share = {}
    for ratio in (0.3, 0.6, 1.0):
        text = f"[effect]\nflare_hazard_ratio = {ratio}\n[course]\nflare_rate = 40.0\n"
        outcomes = draw(settle(design, read_scenario(text, where="x.toml")), 2048).truth["outcomes"]
        flared = outcomes["flare_day"].notna().groupby(outcomes["arm"]).mean()
        share[ratio] = flared["tacrolimus"], flared["no_tacrolimus"]
    assert share[0.3][0] < share[0.6][0] < share[1.0][0]
    assert all(treated < reference for treated, reference in (share[0.3], share[0.6]))


def test_the_default_scenario_is_the_model_without_a_scenario(design: Design, draw: Draw) -> None:
    named, bare = (draw(settle(design, found), 64).cohort for found in (load_scenario("default"), DEFAULT_SCENARIO))
    for table in ("patients", "visits", "treatments", "events"):
        pd.testing.assert_frame_equal(named.table(table), bare.table(table))
    assert Path("default.toml").stem in available_scenarios()
