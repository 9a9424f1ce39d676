"""Every way of adjusting side by side: what the plan estimates, and what the report says of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from analyses.datasets import AnalysisData, analysis_data
from analyses.plan import Tables, run_analyses
from analyses.report.adjusted import adjusted_section
from analyses.report.content import Section
from analyses.report.effects import BY_LOT, balance_section
from analyses.report.first_response import first_response_section
from analyses.report.inputs import Facts, ReportedArm, Results
from analyses.report.overlap import overlap_section
from analyses.report.survival import survival_section
from cohort.definitions import KDIGO_2012, KIM2025
from cohort.results import ResultTable, result_table
from synthetic.generate import GeneratedCohort

WEIGHTED = ("weighted, stacked variance", "weighted, weights as known", "weighted, bootstrap")
MATCHED = ("matched pairs", "full matching", "score subclasses")
FACTS = Facts(
    study_title="Demo", citation="Doe", doi="", randomised=False, day_zero="start", drug="tacrolimus",
    arms=(ReportedArm("tacrolimus", "Tacrolimus", 92), ReportedArm("no_tacrolimus", "No tacrolimus", 87)),
    seed=1, mode="exact", synthetic=True, package_version="1", definitions=(), definitions_in_words=(), command="",
    assignment_draws=None, conditioned_on=(), reconstruction="", input_hashes={},
)  # fmt: skip


@pytest.fixture(scope="module")
def data(generated: GeneratedCohort) -> AnalysisData:
    return analysis_data(
        generated.cohort, treated="tacrolimus", reference="no_tacrolimus", response=KIM2025, flare=KDIGO_2012
    )


@pytest.fixture(scope="module")
def tables(data: AnalysisData) -> Tables:
    return run_analyses(data, only=["response", "survival", "propensity"])


def results(tables: Tables, **facts: object) -> Results:
    return Results(replace(FACTS, **facts), tables, None, None)  # type: ignore[arg-type]


def cells(table: ResultTable, statistic: str) -> pd.DataFrame:
    """Estimates of a statistic, a row a cell and a column a way of adjusting."""
    rows = table.frame[table.frame["statistic"] == statistic]
    return rows.pivot_table(index=["term", "time"], columns="population", values="estimate", dropna=False)


def test_the_same_estimate_has_three_standard_errors(tables: Tables) -> None:
    frame = tables["compared_response"].frame
    rows = frame[(frame["statistic"] == "risk_difference") & frame["population"].isin(WEIGHTED)]
    assert (rows.groupby(["term", "time"])["estimate"].nunique() == 1).all()
    assert (rows.groupby(["term", "time"])["std_error"].nunique() == 3).all()
    assert rows[rows["population"] == WEIGHTED[2]]["method"].str.contains("200 replicates").all()


def test_ways_stand_side_by_side_in_every_cell(tables: Tables) -> None:
    found = cells(tables["compared_response"], "risk_difference")
    assert set(found.columns) == {"unadjusted", *WEIGHTED, "standardised", "augmented", *MATCHED}
    assert len(found) == 10
    assert found.notna().all(axis=None)
    crude = tables["response_differences"].frame.query("statistic == 'risk_difference' and term != 'PR'")
    np.testing.assert_allclose(found["unadjusted"], crude.sort_values(["term", "time"])["estimate"], rtol=1e-12)


def test_event_free_survival_agrees_with_the_estimators_themselves(tables: Tables) -> None:
    rows = tables["compared_survival"].frame
    ratios = rows[rows["statistic"] == "log_hazard_ratio"].set_index("population")["estimate"]
    assert ratios[WEIGHTED[1]] == pytest.approx(tables["weighted_cox"].frame["estimate"].item(), rel=1e-8)
    ends = tables["weighted_survival"].frame.groupby("group")["estimate"].last()
    shares = rows[(rows["statistic"] == "survival") & (rows["population"] == WEIGHTED[0])].set_index("group")
    np.testing.assert_allclose(shares["estimate"], ends[shares.index], rtol=1e-10)
    matched = rows[rows["population"] == "matched pairs"]
    assert {"restricted_mean_difference", "survival_difference", "log_hazard_ratio"} <= set(matched["statistic"])


def test_event_times_are_standardised_beside_the_weighted_and_augmented_means(tables: Tables) -> None:
    frame = tables["compared_survival"].frame
    differences = frame[frame["statistic"] == "restricted_mean_difference"].set_index("population")
    assert set(differences.index) == {"unadjusted", *WEIGHTED, "standardised", "augmented", *MATCHED}
    own = differences.loc["standardised"]
    assert own["conf_low"] < own["estimate"] < own["conf_high"]
    rows = frame[frame["population"] == "standardised"]
    assert {"survival", "survival_difference", "risk_difference", "risk_ratio"} < set(rows["statistic"])
    assert (rows["term"] == "flare, ESKD or death").all()
    assert rows["method"].str.contains("g-computation, ATE, Cox model given .*, stratified by arm").all()
    written = {row.cells[0]: row.cells for row in adjusted_section(results(tables)).folded[-1].groups[0].rows}
    _, mean, share, ratio, *_ = written["Standardised"]
    assert f"{own['estimate']:.2f}".lstrip("-") in mean
    assert share
    assert not ratio


def test_replicates_without_a_score_do_not_reach_the_horizon(tables: Tables) -> None:
    rows = tables["compared_survival"].frame
    areas = rows[(rows["population"] == WEIGHTED[2]) & (rows["statistic"] == "restricted_mean")]
    assert areas["note"].str.contains("replicates without estimate").all()
    assert (areas["conf_high"] < 5).all()


def test_weights_at_risk_add_up_to_the_patients(tables: Tables) -> None:
    start = tables["weighted_at_risk"].frame.query("time == 0").set_index("group")["estimate"]
    np.testing.assert_allclose(start[["tacrolimus", "no_tacrolimus"]], [92, 87])


def test_balance_holds_every_adjustment_over_one_denominator(tables: Tables) -> None:
    frame = tables["propensity_balance"].frame
    assert {"ks_adjusted", "overlap_adjusted", "variance_ratio_adjusted", "smd_adjusted"} <= set(frame["statistic"])
    entropy = frame[(frame["population"] == "entropy balancing") & (frame["statistic"] == "smd_adjusted")]
    assert (entropy["estimate"].abs() < 1e-8).all()
    assert entropy["method"].str.endswith("entropy balancing, ATE").all()
    assert frame.groupby("term")["statistic"].apply(lambda names: (names == "smd_unadjusted").sum()).eq(1).all()


def test_a_way_that_fails_keeps_a_row_with_the_reason(data: AnalysisData) -> None:
    overlap_weights = replace(data, design=replace(data.design, estimand=type(data.design.estimand)("ATO")))
    found = run_analyses(overlap_weights, only=["propensity"])
    rows = found["propensity_weights"].frame.set_index("population")
    assert "no weights for this estimand" in rows.loc["entropy balancing", "note"]
    assert "no standardised or augmented estimate" in " ".join(found["compared_response"].frame["note"].dropna())
    assert found["weighted_response"].frame["method"].str.contains("ATO").all()


def test_first_response_reads_the_share_that_has_responded(tables: Tables) -> None:
    frame = tables["first_response"].frame
    masses = frame[frame["statistic"] == "mass"]
    np.testing.assert_allclose(masses.groupby("group")["estimate"].sum(), 1)
    reached = frame[(frame["statistic"] == "proportion") & (frame["group"] == "tacrolimus")]
    own = masses[(masses["group"] == "tacrolimus") & masses["time"].notna()]
    np.testing.assert_allclose(reached["estimate"], own["estimate"].cumsum())
    assert ((reached["conf_low"] <= reached["estimate"]) & (reached["estimate"] <= reached["conf_high"])).all()
    median = frame[frame["statistic"] == "median_interval"].set_index("group")
    assert median.loc["tacrolimus", "term"] == "(6, 12]"


def sections(made: Results) -> dict[str, Section]:
    makers = (overlap_section, balance_section, adjusted_section, survival_section, first_response_section)
    return {section.anchor: section for section in (make(made) for make in makers)}


def test_the_report_draws_and_says_what_is_estimated(tables: Tables) -> None:
    made = sections(results(tables))
    assert {anchor: len(section.figures) for anchor, section in made.items()} == {
        "overlap": 1, "balance": 1, "adjusted": 4, "survival": 3, "first-response": 1,
    }  # fmt: skip
    spoken = " ".join(made["adjusted"].paragraphs)
    assert "tells nothing about the patients of the study" in spoken
    assert "whether the unadjusted comparison of the study was confounded cannot be seen" in spoken
    assert "Matched pairs at 5 years" in made["adjusted"].figures[0].svg
    assert "Test that the line is level: unadjusted p = " in made["survival"].figures[2].caption
    assert "represent everybody (ATE)" in made["overlap"].figures[0].caption
    assert "Tacrolimus in the interval from 6 months to 1 year" in " ".join(made["first-response"].paragraphs)
    assert len(made["balance"].folded[0].columns) == 10


def test_a_trial_and_a_registry_are_spoken_of_as_such(tables: Tables) -> None:
    few = {name: tables[name] for name in ("compared_survival", "weighted_survival", "weighted_at_risk")}
    trial = " ".join(adjusted_section(results(few, randomised=True)).paragraphs)
    assert BY_LOT in trial
    assert "was confounded" not in trial
    registry = results(few, synthetic=False, mode=None)
    assert "generated" not in " ".join(adjusted_section(registry).paragraphs)
    assert "generated" not in survival_section(registry).figures[0].caption


def test_one_arm_or_nothing_run_is_said(tables: Tables) -> None:
    for make in (overlap_section, balance_section, adjusted_section):
        one = make(results(tables, arms=FACTS.arms[:1]))
        assert not one.figures
        assert "The study has one arm" in one.paragraphs[0]
    none = sections(results({}))
    for section in none.values():
        assert not section.figures
        assert "This analysis was not run" in " ".join(section.paragraphs)


def test_outcomes_without_spread_are_not_drawn() -> None:
    flat = {"time": 6.0, "time_unit": "month", "term": "CR or PR", "statistic": "risk_difference", "estimate": 0.0,
            "contrast": "tacrolimus v no_tacrolimus", "population": "unadjusted", "note": "only events"}  # fmt: skip
    section = adjusted_section(results({"compared_response": result_table([flat])}))
    assert not section.figures
    assert section.folded[0].groups[0].rows[0].cells[-1] == "only events"
