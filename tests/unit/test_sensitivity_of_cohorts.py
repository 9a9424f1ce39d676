"""The multiverses, negative controls and E-values of a cohort agree with the analyses that they vary."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analyses.datasets import AnalysisData, analysis_data
from analyses.design import load_design
from analyses.figures import figure_svg, plot_specification_curve, plot_variations
from analyses.longitudinal import missing_visit_strategies, response_visits
from analyses.plan import sensitivity as plan
from analyses.plan.competing import competing
from analyses.plan.propensity import propensity
from analyses.report.content import Section
from analyses.report.inputs import Facts, ReportedArm, Results
from analyses.report.sensitivity import sensitivity_section
from analyses.sensitivity import e_value, event_multiverse, response_multiverse
from cohort.definitions import KDIGO_2012, KIM2025, KIM2025_STRICT
from cohort.errors import AnalysisError, DesignError, UsageError
from cohort.results import ResultTable, result_table
from synthetic.generate import GeneratedCohort

ARMS = {"tacrolimus": "Tacrolimus", "no_tacrolimus": "No tacrolimus"}


@pytest.fixture(scope="module")
def definitions(generated: GeneratedCohort) -> dict[str, AnalysisData]:
    return {
        name: analysis_data(
            generated.cohort, treated="tacrolimus", reference="no_tacrolimus", response=definition, flare=KDIGO_2012
        )
        for name, definition in (("either", KIM2025), ("both", KIM2025_STRICT))
    }


@pytest.fixture(scope="module")
def data(definitions: Mapping[str, AnalysisData]) -> AnalysisData:
    return definitions["either"]


@pytest.fixture(scope="module")
def responses(definitions: Mapping[str, AnalysisData]) -> ResultTable:
    return response_multiverse(definitions, adjustments=["unadjusted", "weighted, everybody"])


@pytest.fixture(scope="module")
def events(definitions: Mapping[str, AnalysisData]) -> ResultTable:
    return event_multiverse(definitions, adjustments=["unadjusted", "weighted, everybody", "covariates in the model"])


def specification(table: ResultTable, **chosen: str) -> pd.Series:
    frame = table.frame
    for choice, option in chosen.items():
        wanted = f"{choice.replace('_', ' ')}={option}"
        frame = frame[
            frame["population"].map(lambda name, one=wanted: one in str(name).split("; ")).to_numpy(dtype=bool)
        ]
    assert len(frame) == 1
    return frame.iloc[0]


def rows_of(table: ResultTable, **wanted: object) -> pd.DataFrame:
    frame = table.frame
    for column, value in wanted.items():
        frame = frame[frame[column].eq(value).fillna(False).to_numpy(dtype=bool)]
    return frame


@pytest.mark.parametrize("strategy", ["observed cases", "non-responder imputation"])
@pytest.mark.parametrize("month", [12, 24])
def test_unadjusted_specifications_are_the_strategies_for_missed_visits(
    responses: ResultTable, data: AnalysisData, strategy: str, month: int
) -> None:
    known = missing_visit_strategies(
        response_visits(data), reference=data.reference, covariates=None, seed=1, imputations=2
    )
    row = specification(responses, definition="either", visit=f"month {month}", response="at the visit",
                        missed_visits=strategy, adjustment="unadjusted")  # fmt: skip
    same = rows_of(known, population=strategy, term="CR", time=month, statistic="risk_difference")
    assert row["estimate"] == pytest.approx(same["estimate"].item(), abs=1e-12)
    assert (row["time"], row["term"]) == (month, "CR")


def test_the_weighted_specification_is_the_weighted_analysis(responses: ResultTable, data: AnalysisData) -> None:
    main = propensity(data)["weighted_response"]
    row = specification(responses, definition="either", visit="month 12", response="at the visit",
                        missed_visits="observed cases", adjustment="weighted, everybody")  # fmt: skip
    same = rows_of(main, term="CR", time=12, statistic="risk_difference")
    for column in ("estimate", "std_error", "n", "n_events"):
        assert row[column] == pytest.approx(same[column].item(), abs=1e-12)


def test_confirmed_responses_are_there_at_both_visits(responses: ResultTable, data: AnalysisData) -> None:
    wide = data.responses.assign(cr=data.responses["response"].eq("CR")).pivot(
        index="patient_id", columns="visit_month", values="cr"
    )
    arm = data.baseline.set_index("patient_id")["arm"]
    kept = wide[wide[12].notna() & wide[24].notna()]
    event = kept[12].astype(bool) & kept[24].astype(bool)
    rates = event.groupby(arm.reindex(kept.index)).mean()
    row = specification(responses, definition="either", visit="month 12", response="at the next visit too",
                        missed_visits="observed cases", adjustment="unadjusted")  # fmt: skip
    assert row["estimate"] == pytest.approx(rates["tacrolimus"] - rates["no_tacrolimus"], abs=1e-12)
    assert row["n_events"] == event.sum()


def test_a_response_is_carried_forward_until_death_or_kidney_failure(data: AnalysisData) -> None:
    visits = response_visits(data)
    at = visits[visits["visit_month"] == 24]
    last = visits[visits["visit_month"] <= 24].groupby("patient_id")["response"].last()
    carried = (
        at["patient_id"].map(last).eq("CR").to_numpy() & ~at["status"].isin(["death", "kidney_failure"]).to_numpy()
    )
    due = at["due"].to_numpy(dtype=bool)
    table = response_multiverse(
        {"one": data}, months=[24], missed=["last response carried forward"], confirmation=["at the visit"],
        adjustments=["unadjusted"],
    )  # fmt: skip
    assert table.frame["n_events"].iloc[0] == (carried & due).sum()
    assert table.frame["n"].iloc[0] == due.sum()


def test_nothing_confirms_the_last_visit(data: AnalysisData) -> None:
    table = response_multiverse({"one": data}, months=[60], adjustments=["unadjusted"], missed=["observed cases"]).frame
    assert table["estimate"].notna().tolist()[:2] == [True, False]
    assert "no later visit confirms a response" in table["note"].iloc[1]


def test_hazards_of_flare_alone_are_cause_specific(events: ResultTable, data: AnalysisData) -> None:
    known = rows_of(competing(data)["flare_hazards"], population="cause-specific hazard")["estimate"].item()
    row = specification(events, definition="either", flare="any grade", endpoint="flare alone", adjustment="unadjusted")
    assert row["estimate"] == pytest.approx(known, abs=1e-8)
    graver = specification(
        events, definition="either", flare="moderate or severe", endpoint="flare alone", adjustment="unadjusted"
    )
    mild_first = data.flares.loc[data.flares["kind"].eq("mild"), "patient_id"].nunique()
    assert 0 < row["n_events"] - graver["n_events"] <= mild_first


def test_the_weighted_event_specification_is_the_weighted_cox_model(events: ResultTable, data: AnalysisData) -> None:
    row = specification(events, definition="both", flare="any grade", endpoint="flare, ESKD or death",
                        adjustment="weighted, everybody")  # fmt: skip
    same = rows_of(propensity(data)["weighted_cox"], term="treated")["estimate"].item()
    assert row["estimate"] == pytest.approx(same, abs=1e-8)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda _: response_multiverse({}), "no definition"),
        (lambda _: event_multiverse({}), "no definition"),
        (lambda data: response_multiverse({"one": data}, months=[7]), "months: unknown option; got 7"),
        (lambda data: response_multiverse({"one": data}, missed=["hope"]), "missed: unknown option; got hope"),
        (lambda data: event_multiverse({"one": data}, flares=["mild"]), "flares: unknown option; got mild"),
    ],
)
def test_faulty_requests_are_refused(call: Callable[[AnalysisData], object], match: str, data: AnalysisData) -> None:
    with pytest.raises(UsageError, match=match):
        call(data)


def test_one_arm_has_nothing_to_vary(data: AnalysisData) -> None:
    with pytest.raises(AnalysisError, match="one arm"):
        response_multiverse({"one": replace(data, reference=None)})


def test_controls_of_the_design_may_be_values_facts_or_events(data: AnalysisData) -> None:
    named = ("c3_mg_dl", "diabetes", "herpes_zoster", "astrology")
    table = plan.negative_controls(replace(data, design=replace(data.design, negative_controls=named)))
    found = table.frame.dropna(subset=["term"]).groupby("term")["statistic"].first().to_dict()
    assert found == {
        "c3_mg_dl": "standardised_mean_difference", "diabetes": "risk_difference", "herpes_zoster": "log_hazard_ratio",
    }  # fmt: skip
    zoster = data.cohort.events.query("event == 'herpes_zoster'")
    within = zoster.loc[zoster["day"] <= 365.25 * data.horizon_years, "patient_id"].nunique()
    assert set(rows_of(table, term="herpes_zoster")["n_events"]) == {within}
    assert "no such negative control; got astrology" in rows_of(table, statistic="none")["note"].item()
    nothing = plan.negative_controls(replace(data, design=replace(data.design, negative_controls=())))
    assert "names no negative control" in nothing.frame["note"].item()


def test_a_design_refuses_controls_that_are_none(tmp_path: Path) -> None:
    from importlib import resources

    text = (resources.files("analyses.design") / "designs" / "observational.toml").read_text(encoding="utf-8")
    path = tmp_path / "design.toml"
    for name, why in (("albumin_g_dl", "is in the adjustment set"), ("trough", "is caused by arm")):
        path.write_text(text.replace('negative_controls = ["', f'negative_controls = ["{name}", "'), encoding="utf-8")
        with pytest.raises(DesignError, match=f"negative_controls: no negative control; got {name} {why}"):
            load_design(path)


def test_e_values_are_those_of_the_weighted_ratios(data: AnalysisData) -> None:
    table = plan.unmeasured_confounding(data)
    ratio = rows_of(propensity(data)["weighted_response"], term="CR", time=12, statistic="risk_ratio").iloc[0]
    expected = e_value(ratio["estimate"], ratio["conf_low"], ratio["conf_high"]).frame["estimate"]
    found = rows_of(table, term="CR", time=12, statistic="e_value")
    assert found["group"].tolist() == ["estimate", "confidence limit"]
    np.testing.assert_allclose(found["estimate"], expected, rtol=1e-12)
    hazard = rows_of(table, term=plan.EVENT_FREE, statistic="e_value")
    assert hazard["method"].str.contains("not rare").all()


class TestFigures:
    def rows(self, statistic: str) -> list[dict[str, object]]:
        shared = {"contrast": "tacrolimus v no_tacrolimus", "statistic": statistic}
        estimates = {"visit=month 6; how=a; only=x": 0.3, "visit=month 6; how=b; only=x": -0.2,
                     "visit=month 12; how=a; only=x": None, "visit=month 12; how=b; only=x": 0.1}  # fmt: skip
        made = [
            shared | {"population": name, "estimate": value, "conf_low": value and value - 0.15,
                      "conf_high": value and value + 0.15}
            for name, value in estimates.items()
        ]  # fmt: skip
        return [*made, {"population": "all specifications", "statistic": "median", "estimate": 0.1}]

    def test_estimates_rise_and_those_missing_stand_last(self) -> None:
        above, choices = plot_specification_curve(result_table(self.rows("risk_difference")), arms=ARMS)
        points = {line.get_label(): list(line.get_ydata()) for line in above.get_lines()}
        assert points["interval stays clear of it"] == pytest.approx([-20.0, 30.0])
        assert points["interval crosses the dashed line"] == pytest.approx([10.0])
        labels = [label.get_text() for label in choices.get_yticklabels()]
        assert labels == ["Visit", "6 months", "1 year", "How", "a", "b"]  # the choice of one option is left out
        assert "Tacrolimus" in above.get_title(loc="left")
        assert above.get_shared_x_axes().joined(above, choices)

    def test_ratios_are_drawn_on_a_logarithmic_axis(self) -> None:
        above, _ = plot_specification_curve(result_table(self.rows("log_hazard_ratio")), arms=ARMS)
        assert above.get_yscale() == "log"
        svg = figure_svg(above, name="curve", description="Curve")
        assert 'aria-label="Curve"' in svg

    def test_tables_it_cannot_draw_are_refused(self) -> None:
        with pytest.raises(AnalysisError, match="one contrast; got no specification"):
            plot_specification_curve(result_table([{"statistic": "median"}]), arms=ARMS)
        with pytest.raises(AnalysisError, match="without a label"):
            plot_specification_curve(result_table(self.rows("risk_difference")), arms={"tacrolimus": "T"})
        none = [row | {"contrast": None} for row in self.rows("risk_difference")]
        with pytest.raises(AnalysisError, match="got none"):
            plot_specification_curve(result_table(none), arms=ARMS)

    def test_variations_keep_the_order_of_the_table(self) -> None:
        shared = {"contrast": "tacrolimus v no_tacrolimus", "statistic": "log_hazard_ratio", "term": "event"}
        rows = [
            shared | {"population": name, "estimate": 0.1} for name in ("nobody trimmed", "scores within [0.2, 0.8]")
        ]
        axes = plot_variations(result_table(rows), statistic="log_hazard_ratio", arms=ARMS)
        assert [label.get_text() for label in axes.get_yticklabels()] == ["Nobody trimmed", "Scores 0.2 to 0.8"]
        with pytest.raises(AnalysisError, match="more than one outcome"):
            plot_variations(result_table([*rows, rows[0] | {"term": "other"}]), statistic="log_hazard_ratio", arms=ARMS)


class TestReport:
    FACTS = Facts(
        study_title="Demo", citation="Doe", doi="", randomised=False, day_zero="start", drug="tacrolimus",
        arms=tuple(ReportedArm(code, label, 9) for code, label in ARMS.items()), seed=1, mode="exact", synthetic=True,
        package_version="1", definitions=(), definitions_in_words=(), command="", assignment_draws=None,
        conditioned_on=(), reconstruction="", input_hashes={},
    )  # fmt: skip

    def section(self, tables: Mapping[str, ResultTable], arms: int = 2) -> Section:
        facts = replace(self.FACTS, arms=self.FACTS.arms[:arms])
        return sensitivity_section(Results(facts, tables, None, None))

    @pytest.mark.slow
    def test_every_table_of_the_group_is_shown(
        self, data: AnalysisData, responses: ResultTable, events: ResultTable
    ) -> None:
        tables = {
            "unmeasured_confounding": plan.unmeasured_confounding(data),
            "leave_one_covariate_out": plan.one_left_out(data),
            "negative_controls": plan.negative_controls(data),
            "trimming_path": plan.trimmed(data),
            "response_multiverse": responses,
            "event_multiverse": events,
        }
        section = self.section(tables)
        assert len(section.figures) == 6
        assert [table.caption.split(" ")[0] for table in section.folded] == [
            "E-values", "What", "Each", "Outcomes", "Patients",
        ]  # fmt: skip
        assert "Over 48 of 48 combinations of choices the difference" in " ".join(section.paragraphs)
        left_out = section.folded[2].groups[0].rows
        assert [row.cells[0] for row in left_out][:2] == ["Every covariate", "Without age"]

    def test_what_was_not_run_and_one_arm_are_said(self) -> None:
        assert "This analysis was not run" in " ".join(self.section({}).paragraphs)
        assert "one arm" in self.section({}, arms=1).paragraphs[0]

    def test_a_multiverse_without_estimates_has_no_curve(self) -> None:
        rows = [{"population": "a=b", "statistic": "risk_difference", "note": "not estimated"}]
        rows += [{"population": "all specifications", "statistic": "specifications", "estimate": 1.0}]  # type: ignore[dict-item]
        assert self.section({"response_multiverse": result_table(rows)}).figures == ()


def test_covariates_in_which_all_patients_agree_are_left_out(definitions: Mapping[str, AnalysisData]) -> None:
    alike = {
        name: replace(one, baseline=one.baseline.assign(class_v=True), event_free=one.event_free.assign(class_v=True))
        for name, one in definitions.items()
    }
    data = alike["either"]
    remark = "not adjusted for, since all patients agree: class_v"
    tables = {
        "left out": plan.one_left_out(data),
        "events": event_multiverse(alike, flares=["any grade"], endpoints=["flare alone"]),
        "unmeasured": plan.unmeasured_confounding(data),
    }
    for table in tables.values():
        assert not table.frame["statistic"].eq("none").any()
        assert table.frame["note"].str.contains(remark).all()
    assert "without class_v" not in set(tables["left out"].frame["population"])
    assert rows_of(tables["events"], statistic="log_hazard_ratio")["estimate"].notna().all()
    controls = replace(data, design=replace(data.design, negative_controls=("class_v",)))
    assert "all patients agree" in plan.negative_controls(controls).frame["note"].item()
