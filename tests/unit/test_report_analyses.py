"""Sections on design, missed visits, courses, later events and subgroups say what their tables hold, or why not."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from analyses.report.content import Section, Table
from analyses.report.course import course_section, laboratory_section
from analyses.report.design import design_section
from analyses.report.inputs import Facts, ReportedArm, Results
from analyses.report.later_events import after_response_section, poor_outcome_section, recurrent_section
from analyses.report.repeated import missed_visits_section, ordered_response_section, structures_table
from analyses.report.subgroups import subgroups_section
from analyses.report.survival import incidence_section
from cohort.results import ResultTable, concat_results, result_table

pytestmark = pytest.mark.usefixtures("undrawn")

ARMS = ("tac", "none")
CONTRAST = "tac v none"
NOT_RUN = "This analysis was not run"
FACTS = Facts(
    study_title="Demo", citation="Doe", doi="", randomised=False, day_zero="start", drug="tacrolimus",
    arms=(ReportedArm("tac", "Tacrolimus", 10), ReportedArm("none", "No tacrolimus", 8)), seed=1, mode="exact",
    synthetic=True, package_version="1", definitions=(), definitions_in_words=(), command="", assignment_draws=None,
    conditioned_on=(), reconstruction="", input_hashes={},
)  # fmt: skip
ONE_ARM = replace(FACTS, arms=FACTS.arms[:1])
LIMITS = {"conf_low": 0.2, "conf_high": 0.8}


def design_tables() -> dict[str, ResultTable]:
    flow = [
        {"group": group, "term": term, "estimate": patients, "statistic": "count"}
        for group, patients_of in ((None, (20, 2, 18)), ("tac", (11, 1, 10)), ("none", (9, 1, 8)))
        for term, patients in zip(("assessed for eligibility", "excluded: child", "eligible"), patients_of, strict=True)
    ]
    said = {
        "causal question": "Does the treatment of the first arm help, compared with the second?",
        "treatment strategies": "as in the first arm | as in the second arm",
        "data analysis plan": "adjusted for age_years",
    }
    trial = [
        {"term": term, "group": side, "note": text if side == "target trial" else "the same"}
        for term, text in said.items()
        for side in ("target trial", "emulation")
    ]
    roles = {"arm": "treatment", "outcome": "outcome", "age_years": "adjusted for", "severity": "unmeasured"}
    diagram: list[dict[str, object]] = [{"statistic": "variable", "term": t, "group": r} for t, r in roles.items()]
    arrows = ("arm -> outcome", "age_years -> arm", "age_years -> outcome", "severity -> arm", "severity -> outcome")
    diagram += [{"statistic": "arrow", "term": arrow} for arrow in arrows]
    return {
        "eligibility": result_table(flow),
        "target_trial": result_table(trial, statistic="description"),
        "causal_diagram": result_table([*diagram, {"statistic": "open_confounding", "note": "severity"}]),
    }


def strategies(statistic: str = "proportion") -> ResultTable:
    shared = {"time": 6.0, "term": "CR", "estimate": 0.5, "n": 8, "time_unit": "month", "method": "way"} | LIMITS
    rows: list[dict[str, object]] = []
    for name in ("observed cases", "non-responder imputation"):
        own = shared | {"population": name}
        rows += [
            own | {"group": arm, "statistic": statistic, "note": "1 of the 9 patients due not assessed; 50 imputations"}
            for arm in ARMS
        ]
        rows += [own | {"contrast": CONTRAST, "statistic": "risk_difference", "estimate": 0.0, "conf_low": -0.3}]
    return result_table(rows)


def ordered(time: float = 6.0) -> dict[str, ResultTable]:
    shared = {"time": time, "time_unit": "month", "method": "cumulative logit", "estimate": 0.4} | LIMITS
    rows = [
        shared | {"term": term, "group": arm, "statistic": "standardised_proportion"}
        for term in ("NR", "PR", "CR")
        for arm in ARMS
    ]
    rows += [
        shared | {"term": "CR", "contrast": CONTRAST, "statistic": "standardised_risk_difference", "p_value": 0.04}
    ]
    test = {"statistic": "chi_square", "term": "GLOBAL", "estimate": 9.8, "p_value": 0.368}
    return {"response_probabilities": result_table(rows), "response_ordinal": result_table([test])}


def structures() -> ResultTable:
    rows: list[dict[str, object]] = []
    for name in ("independence", "ar1"):
        own = {"population": f"{name} working correlation", "group": "CR"}
        ratio = own | {"statistic": "log_odds_ratio", "conf_low": math.log(0.4), "conf_high": math.log(1.6)}
        rows += [
            ratio | {"term": "treated", "estimate": math.log(0.8)},
            ratio | {"term": "visit=month 12", "estimate": 0.0},
        ]
        rows += [ratio | {"term": "treated:visit=month 12", "estimate": math.nan, "note": "did not converge"}]
        rows += [own | {"term": "treated:visit", "statistic": "chi_square", "p_value": 0.361, "note": "df=1"}]
    return result_table(rows)


def course_tables() -> dict[str, ResultTable]:
    occupancy = [
        {"group": arm, "time": time, "term": state, "estimate": value}
        for arm in ARMS
        for time, values in ((0.0, (0.0, 1.0)), (5.0, (0.6, 0.4)))
        for state, value in zip(("CR", "NR"), values, strict=True)
    ]
    times = [{"group": a, "term": "CR", "estimate": 2.0, "statistic": "mean_time_in_state"} | LIMITS for a in ARMS]
    times += [
        {
            "contrast": CONTRAST,
            "term": "CR",
            "estimate": -0.6,
            "p_value": 0.03,
            "statistic": "mean_time_in_state_difference",
        }
    ]
    return {
        "state_occupancy": result_table(occupancy, statistic="state_probability", time_unit="year"),
        "mean_time_in_state": result_table(times, time=5.0, time_unit="year", method="area"),
    }


def laboratory_tables() -> dict[str, ResultTable]:
    log = {
        "time": 6.0,
        "time_unit": "month",
        "conf_low": math.log(0.25),
        "conf_high": 0.0,
        "note": "left out of 9 visits: 1",
    }
    rows = [log | {"group": arm, "statistic": "mean", "estimate": math.log(0.5)} for arm in ARMS]
    rows += [log | {"contrast": CONTRAST, "statistic": "mean_difference", "estimate": math.log(0.5), "p_value": 0.2}]
    slopes: list[dict[str, object]] = [
        {"group": a, "statistic": "slope", "estimate": 2.0, "p_value": 0.0} | LIMITS for a in reversed(ARMS)
    ]
    slopes += [{"contrast": CONTRAST, "statistic": "slope_difference", "note": "boundary"}]
    return {"proteinuria_course": result_table(rows), "egfr_slopes": result_table(slopes)}


def curve(groups: tuple[str, ...] = ARMS) -> tuple[ResultTable, ResultTable]:
    point = {
        "time": 1.0,
        "estimate": 0.9,
        "n": 10,
        "n_events": 1,
        "population": "event-free 1.25 years after day 0",
    } | LIMITS
    curves = result_table([point | {"group": g} for g in groups], statistic="survival", time_unit="year")
    numbers = result_table(
        [{"group": g, "time": 0.0, "estimate": 101.0} for g in groups], statistic="at_risk", time_unit="year"
    )
    return curves, numbers


def ratios(*populations: str, note: str | None = None, statistic: str = "log_hazard_ratio") -> ResultTable:
    row: dict[str, object] = {
        "term": "treated",
        "statistic": statistic,
        "n_events": 7,
        "method": "Cox model",
        "note": note,
    }
    row |= (
        {"estimate": math.log(0.8), "conf_low": math.log(0.4), "conf_high": math.log(1.6), "p_value": 0.5}
        if note is None
        else {}
    )
    return result_table([row | {"population": name} for name in populations])


def a_test(name: str, p: float = 0.565) -> ResultTable:
    return result_table([{"statistic": "chi_square", "method": name, "p_value": p}])


def later_tables() -> dict[str, ResultTable]:
    poor, poor_numbers = curve()
    states, state_numbers = curve(("NR", "PR", "CR"))
    responders, responder_numbers = curve()
    means = [
        {"group": arm, "time": 5.0, "estimate": 0.3, "n_events": 3, "statistic": "mean_events"} | LIMITS for arm in ARMS
    ]
    return {
        "poor_outcome_survival": poor, "poor_outcome_at_risk": poor_numbers,
        "poor_outcome_logrank": a_test("log-rank test"),
        "poor_outcome_cox": ratios("unadjusted"), "mean_flares": result_table(means, time_unit="year"),
        "recurrent_flares": ratios("andersen-gill", "pwp-total", "pwp-gap"),
        "survival_by_response": states, "survival_by_response_at_risk": state_numbers,
        "survival_from_response": responders, "survival_from_response_at_risk": responder_numbers,
    }  # fmt: skip


def subgroup_tables() -> dict[str, ResultTable]:
    whole = {
        "statistic": "log_hazard_ratio",
        "contrast": CONTRAST,
        "n": 18,
        "n_events": 6,
        "population": "all patients",
    }
    known = {"estimate": math.log(0.8), "conf_low": math.log(0.4), "conf_high": math.log(1.6)}
    own = whole | {"population": "subgroup"}
    rows = [
        whole | known,
        own | known | {"group": "IV"},
        own | {"group": "V", "note": "not estimated: no event on none"},
    ]
    rows += [{"statistic": "chi_square", "p_value": 0.3, "method": "Wald test of interaction"}]
    month = {"time": 6.0, "time_unit": "month", "statistic": "risk_difference", "n": 9, "n_events": 4}
    differences = [month | {"group": "IV", "estimate": 0.1, "conf_low": -0.2, "conf_high": 0.4}]
    differences += [
        month | {"group": "V", "note": "not estimated: nobody"},
        {"time": 6.0, "statistic": "chi_square", "p_value": 0.07},
    ]
    return {"subgroup_hazards": result_table(rows), "subgroup_responses": result_table(differences)}


def results(tables: Mapping[str, ResultTable], facts: Facts = FACTS) -> Results:
    return Results(facts, tables, None, None)


def cells(table: Table) -> list[tuple[str, ...]]:
    return [row.cells for group in table.groups for row in group.rows]


def words(section: Section) -> str:
    return " ".join(section.paragraphs)


SECTIONS: dict[str, tuple[Callable[[Results], Section], Callable[[], dict[str, ResultTable]], int]] = {
    "design": (design_section, design_tables, 1),
    "missed": (missed_visits_section, lambda: {"missing_visit_strategies": strategies()}, 1),
    "ordered": (ordered_response_section, ordered, 1),
    "course": (course_section, course_tables, 1),
    "laboratory": (laboratory_section, laboratory_tables, 1),
    "poor-outcome": (poor_outcome_section, later_tables, 1),
    "recurrent": (recurrent_section, later_tables, 2),
    "after-response": (after_response_section, later_tables, 2),
    "subgroups": (subgroups_section, subgroup_tables, 1),
}


@pytest.mark.parametrize("anchor", SECTIONS)
def test_every_figure_is_described_with_its_numbers(anchor: str) -> None:
    build, tables, figures = SECTIONS[anchor]
    section = build(results(tables()))
    assert section.anchor == anchor
    assert len(section.figures) == figures
    assert all('role="img" aria-label="' in figure.svg and figure.caption for figure in section.figures)
    assert NOT_RUN not in words(section)


@pytest.mark.parametrize("anchor", SECTIONS)
def test_what_was_not_run_or_failed_is_said_in_words(anchor: str) -> None:
    build, tables, _ = SECTIONS[anchor]
    absent = build(results({}))
    assert NOT_RUN in words(absent)
    assert not absent.figures
    failed = result_table([{"statistic": "none", "note": "not estimated: too few"}])
    section = build(results(dict.fromkeys(tables(), failed)))
    assert "too few" in words(section)
    assert NOT_RUN not in words(section)


@pytest.mark.parametrize("anchor", ["design", "ordered", "subgroups"])
def test_one_arm_is_compared_with_nothing(anchor: str) -> None:
    build, tables, _ = SECTIONS[anchor]
    section = build(results(tables(), ONE_ARM))
    assert "The study has one arm" in words(section)
    assert not section.figures


def test_the_design_names_the_arms_and_what_stays_open() -> None:
    section = design_section(results(design_tables()))
    assert section.paragraphs[0].startswith("Does Tacrolimus help, compared with No tacrolimus? Nobody was allocated")
    assert "Of 20 patients on record 2 were left out" in words(section)
    assert "What stays open: severity sways both" in words(section)
    assert cells(section.tables[0])[1] == ("Excluded: child", "1", "1", "2")
    trial, arrows = section.folded
    assert cells(trial)[1][1] == "as in the arm Tacrolimus; against: as in the arm No tacrolimus"
    assert cells(trial)[2][1] == "adjusted for age"
    assert cells(arrows) == [
        ("Arm", "age, severity"), ("Outcome", "arm, age, severity"), ("Severity", "nothing in the diagram"),
        ("Age", "nothing in the diagram"),
    ]  # fmt: skip


def test_a_randomised_design_says_so() -> None:
    tables = design_tables()
    frame = tables["causal_diagram"].frame
    tables["causal_diagram"] = ResultTable(frame[frame["statistic"] != "open_confounding"].reset_index(drop=True))
    drawn = design_section(results(tables, replace(FACTS, randomised=True)))
    assert "Treatment was drawn by lot, so nothing causes it" in words(drawn)
    assert "leaves no confounding open" in words(design_section(results(tables)))


def test_a_mistake_in_the_adjustment_is_told() -> None:
    mistake = result_table([{"statistic": "mistake", "note": "trough is caused by arm"}])
    section = design_section(results({"causal_diagram": concat_results([design_tables()["causal_diagram"], mistake])}))
    assert "Wrong in the adjustment: trough is caused by arm." in section.paragraphs


def test_strategies_stand_side_by_side_with_the_patients_not_assessed() -> None:
    (table,) = missed_visits_section(results({"missing_visit_strategies": strategies()})).folded
    assert table.columns[-1] == "Difference Tacrolimus − No tacrolimus, points"
    assert table.groups[0].heading.startswith(
        "Complete response, 6 months (Tacrolimus 1 of the 9 patients due not assessed; No tacrolimus 1 of the 9"
    )
    assert cells(table)[1] == (
        "Not seen = no response", "50.0 % (20.0 to 80.0)", "50.0 % (20.0 to 80.0)", "0.0 (−30.0 to 80.0)",
    )  # fmt: skip


def test_the_ordered_response_with_and_without_visits() -> None:
    section = ordered_response_section(results(ordered()))
    assert "p = 0.368" in words(section)
    assert cells(section.folded[0])[-1][-2:] == ("40.0 (20.0 to 80.0)", "0.040")
    single = ordered_response_section(results(ordered(math.nan)))
    assert not single.figures
    assert cells(single.folded[0])[-1][0] == "The visit"


def test_working_correlations_are_columns_with_the_test_beneath() -> None:
    table = structures_table(structures(), FACTS.labels)
    assert table.columns == ("Term", "Independence", "Autoregressive")
    assert cells(table) == [
        ("Tacrolimus v No tacrolimus", "0.80 (0.40 to 1.60)", "0.80 (0.40 to 1.60)"),
        ("× 1 year", "—", "—"),
        ("Arm by visit, all at once: p", "0.361", "0.361"),
    ]
    assert table.notes[-1] == "Did not converge."


def test_courses_give_times_ratios_and_slopes_in_the_order_of_the_arms() -> None:
    course = course_section(results(course_tables()))
    assert "Tacrolimus at 5 years: complete response 60 %, no response 40 %" in course.figures[0].svg
    assert course.tables[0].caption == "Mean time in each state within the first 5 years, in years"
    assert cells(course.tables[0]) == [
        ("Complete response", "2.00 (0.20 to 0.80)", "2.00 (0.20 to 0.80)", "−0.60", "0.030")
    ]
    laboratory = laboratory_section(results(laboratory_tables()))
    assert cells(laboratory.folded[0]) == [("6 months", *["0.50 (0.25 to 1.00)"] * 3, "0.200")]
    assert laboratory.folded[0].columns[3] == "Ratio Tacrolimus / No tacrolimus"
    assert "Left out of 9 visits: 1." in laboratory.paragraphs
    assert [row[0] for row in cells(laboratory.tables[0])] == [
        "Tacrolimus", "No tacrolimus", "Difference Tacrolimus − No tacrolimus",
    ]  # fmt: skip
    assert cells(laboratory.tables[0])[2][1] == "— (boundary)"


def test_poor_outcome_gives_numbers_before_the_ratio() -> None:
    section = poor_outcome_section(results(later_tables()))
    assert section.paragraphs[1] == (
        "Patients with such an event: Tacrolimus 1 of 10, No tacrolimus 1 of 10. Log-rank test: p = 0.565. "
        "Hazard ratio, Tacrolimus v No tacrolimus: 0.80 (0.40 to 1.60)."
    )
    alone = poor_outcome_section(results({"poor_outcome_survival": curve(("tac",))[0]}, ONE_ARM))
    assert "Hazard ratio" not in words(alone)
    assert "hold no table poor_outcome_at_risk" in words(alone)


def test_recurrent_flares_under_three_models_or_why_not() -> None:
    section = recurrent_section(results(later_tables()))
    assert [row[0] for row in cells(section.folded[0])] == ["Andersen-Gill", "PWP, total time", "PWP, gap time"]
    assert "fewer flares" not in section.figures[0].svg
    none = later_tables() | {"recurrent_flares": ratios("andersen-gill", note="no estimate: no events")}
    without = recurrent_section(results(none))
    assert len(without.figures) == 1
    assert cells(without.folded[0])[0][1] == "— (no estimate: no events)"


def test_what_follows_response_is_called_descriptive() -> None:
    section = after_response_section(results(later_tables()))
    assert section.paragraphs[0].startswith("Descriptive only.")
    assert section.figures[0].caption.startswith("Patients event-free 1.25 years after day 0, by their response there")
    assert section.figures[0].svg.index("Complete response 90.0 %") < section.figures[0].svg.index("No response 90.0 %")


def test_sparse_classes_give_their_reason_in_the_words_of_the_study() -> None:
    section = subgroups_section(results(subgroup_tables()))
    assert "Test of interaction, classes with an estimate only: p = 0.300." in section.paragraphs
    hazards, responses = section.folded
    assert cells(hazards)[2] == ("V", "18", "6", "— (no event on No tacrolimus)")
    assert "V no event on No tacrolimus" in section.figures[0].svg
    assert cells(responses) == [
        ("IV", "4 of 9", "10.0 (−20.0 to 40.0)"), ("V", "4 of 9", "— (nobody)"), ("Test of interaction", "", "p 0.070"),
    ]  # fmt: skip


def incidence(**more: ResultTable) -> Results:
    rows: list[dict[str, Any]] = [
        {"group": a, "term": "renal_flare", "time": t, "estimate": t / 5, "n_events": t}
        for a in ARMS
        for t in (0.0, 1.0)
    ]
    return results({"flare_incidence": result_table(rows, statistic="cumulative_incidence", time_unit="year"), **more})


def test_incidence_gives_grays_test_and_both_hazards() -> None:
    hazards = ratios("cause-specific hazard")
    section = incidence_section(incidence(flare_gray_test=a_test("Gray's test", 0.79), flare_hazards=hazards))
    assert "Gray's test: p = 0.790." in section.paragraphs
    assert cells(section.tables[0]) == [("Cause-specific", "0.80 (0.40 to 1.60)", "0.500")]
    assert "hold no tables flare_gray_test, flare_hazards" in words(incidence_section(incidence()))
