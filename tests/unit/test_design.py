"""Design files say who is eligible, which effect is asked for and what is adjusted for; mistakes are named by line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analyses.design import (
    Criterion,
    Estimand,
    apply_criteria,
    available_designs,
    diagram_table,
    load_design,
    read_design,
    target_trial_table,
)
from analyses.figures import figure_svg, plot_causal_diagram
from cohort.errors import AnalysisError, DesignError

OBSERVATIONAL = Path(__file__).parents[2] / "analyses" / "design" / "designs" / "observational.toml"


def patients() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "arm": ["a", "a", "b", "b", "b"],
            "age_years": [17.0, 40.0, np.nan, 66.0, 30.0],
            "isn_rps_class": ["IV", "V", "IV", "IV", None],
        },
        index=[3, 3, 9, 1, 0],
    )


ADULT = Criterion("not 18 to 65 years old", "age_years", at_least=18, at_most=65)
KNOWN_CLASS = Criterion("no class IV or V", "isn_rps_class", one_of=("IV", "V"))


@pytest.mark.parametrize("name", available_designs())
def test_carried_designs_adjust_for_measured_causes_only(name):
    design = load_design(name)
    assert design.diagram.mistakes(design.adjustment) == ()
    assert set(design.outcome_covariates) <= set(design.adjustment)
    assert design.estimand is Estimand.ATE


def test_the_observational_design_says_what_stays_open_and_the_randomised_one_has_nothing_open():
    observational, randomised = load_design("observational"), load_design("randomised")
    assert observational.diagram.unmeasured_confounders(observational.adjustment) == ("severity",)
    assert not randomised.diagram.confounding_left_open([])


def test_every_patient_is_accounted_for_once():
    """Age: one too young, one too old, one not known; then one without a class among the two left."""
    chosen = apply_criteria(patients(), [ADULT, KNOWN_CLASS])
    flow = chosen.flow.frame
    everybody = flow[flow["group"].isna()].set_index("term")["estimate"]
    assert everybody.to_dict() == {
        "assessed for eligibility": 5,
        "excluded: not 18 to 65 years old": 2,
        "excluded: not 18 to 65 years old (not known)": 1,
        "excluded: no class IV or V": 0,
        "excluded: no class IV or V (not known)": 1,
        "eligible": 1,
    }
    by_arm = flow[flow["group"].notna()].groupby("term", sort=False)["estimate"].sum()
    pd.testing.assert_series_equal(by_arm, everybody, check_names=False)
    assert chosen.data["age_years"].tolist() == [40.0]


def test_without_criteria_everybody_is_eligible_and_the_data_are_untouched():
    frame = patients()
    before = frame.copy(deep=True)
    pd.testing.assert_frame_equal(apply_criteria(frame, []).data, before)
    pd.testing.assert_frame_equal(frame, before)


@pytest.mark.parametrize("dtype", ["Float64", "float64[pyarrow]"])
def test_nullable_numbers_are_judged_alike(dtype):
    frame = patients().astype({"age_years": dtype})
    assert apply_criteria(frame, [ADULT]).data.index.tolist() == [3, 0]


@pytest.mark.parametrize(
    ("frame", "criterion", "message"),
    [
        (patients(), Criterion("x", "weight", at_least=1), "column weight: no such column"),
        (patients(), Criterion("x", "isn_rps_class", at_least=1), "limits need a numeric column"),
        (patients().assign(arm=None), ADULT, "every patient needs an arm"),
        (patients().iloc[:0], ADULT, "every patient needs an arm; got no rows"),
    ],
)
def test_criteria_that_cannot_be_judged_are_errors(frame, criterion, message):
    with pytest.raises(AnalysisError, match=message):
        apply_criteria(frame, [criterion])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('estimand = "ATE"', 'estimand = "ITT"', "estimand"),
        (
            '"albumin_g_dl", "index_year",\n]',
            '"albumin_g_dl", "trough",\n]',
            "trough is caused by arm.*to close it, add index_year",
        ),
        ('outcome_covariates = ["age_years"', 'outcome_covariates = ["severity"', "severity is unmeasured"),
        ('"later_proteinuria -> outcome"', '"outcome -> arm"', "the arrows form a circle"),
        ('one_of = ["II", "III", "IV", "V", "III+V", "IV+V"]', "", "asks nothing"),
        ('name = "observational"', 'nam = "observational"', "nam"),
    ],
)
def test_mistakes_in_a_design_file_are_named(old, new, message):
    text = OBSERVATIONAL.read_text("utf-8")
    assert old in text
    with pytest.raises(DesignError, match=rf"(?s)mine\.toml line \d+.*{message}"):
        read_design(text.replace(old, new), where="mine.toml")


def test_a_design_is_read_from_a_path_or_refused_by_name(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(OBSERVATIONAL.read_text("utf-8"), "utf-8")
    assert load_design(path) == load_design("observational")
    with pytest.raises(DesignError, match="no such design; got observatonal; did you mean observational"):
        load_design("observatonal")
    with pytest.raises(DesignError, match="cannot read the design file"):
        load_design(tmp_path / "absent.toml")


def test_the_target_trial_stands_beside_its_emulation_with_the_numbers_of_the_cohort():
    eligible = apply_criteria(patients(), [ADULT])
    frame = target_trial_table(load_design("observational"), eligible.flow).frame
    assert (frame.groupby("term")["group"].apply(list).map(len) == 2).all()
    row = frame[(frame["term"] == "eligibility criteria") & (frame["group"] == "emulation")].iloc[0]
    assert (row["estimate"], row["n"]) == (2, 5)
    assert frame.loc[frame["term"] == "data analysis plan", "note"].iloc[1].endswith("left open: severity")
    assert frame["note"].notna().all()


def test_the_diagram_is_drawn_from_its_table_and_every_variable_is_on_it():
    design = load_design("observational")
    table = diagram_table(design.diagram, design.adjustment)
    axes = plot_causal_diagram(table, treatment="Tacrolimus", outcome="Flare")
    drawn = {text.get_text() for text in axes.texts} - {""}
    assert len(drawn) == len(design.diagram.variables)
    assert {"Tacrolimus", "Flare", "Severity"} <= drawn
    svg = figure_svg(axes, name="diagram", description="A diagram.")
    again = plot_causal_diagram(table, treatment="Tacrolimus", outcome="Flare")
    assert svg == figure_svg(again, name="diagram", description="A diagram.")
    wrong = diagram_table(design.diagram, ["trough"])
    assert wrong.frame["statistic"].eq("mistake").sum() == 2


def test_only_data_without_assignment_by_lot_emulate_an_open_label_trial() -> None:
    said = {}
    for name in ("observational", "randomised"):
        rows = target_trial_table(load_design(name)).frame
        said[name] = rows.loc[(rows["term"] == "assignment") & (rows["group"] == "target trial"), "note"].item()
    assert said == {"observational": "by lot, open label", "randomised": "by lot"}
