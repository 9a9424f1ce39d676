"""Protects what true effects say when they cannot be computed or looked up: messages that name place and remedy."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from cohort.errors import CohortDirectoryError, UsageError
from cohort.record import Measure, Study
from cohort.schema import TRUTH_ESTIMANDS
from synthetic.calibration_file import carried_stem
from synthetic.design import design_of
from synthetic.estimands import Comparisons, Estimand, TargetPopulation, response_bias, true_value
from synthetic.generate import GeneratedCohort
from synthetic.model import PatientModel
from synthetic.reconstruct import reconstruct
from synthetic.scenario import DEFAULT_SCENARIO, load_scenario
from synthetic.setting import Setting, settle
from synthetic.true_effects import average_effects, true_effects
from synthetic.true_values import carried_effects
from synthetic.truth_tables import _shares_within, cohort_effects

WANTED = Estimand(Measure.COMPLETE_RESPONSE, "risk_difference", TargetPopulation.ATE, "tacrolimus v no_tacrolimus", 12)


@pytest.fixture(scope="module")
def setting(study: Study) -> Setting:
    return settle(design_of(study, reconstruct(study)), DEFAULT_SCENARIO)


def test_an_unknown_way_names_the_known_ones(setting: Setting) -> None:
    with pytest.raises(UsageError, match=r"way: no such way .*got 'average'; choose quadrature or draw"):
        true_effects(setting, way="average")


@pytest.mark.parametrize("patients", [0, -1])
def test_no_patients_have_no_effects(setting: Setting, patients: int) -> None:
    with pytest.raises(UsageError, match="no patients to average over"):
        true_effects(setting, way="draw", patients=patients)
    with pytest.raises(UsageError, match="no patients to average over"):
        average_effects(Comparisons(("a", "b"), (6,), np.array([183])), [])


def test_an_estimand_is_looked_up_by_all_that_names_it(generated: GeneratedCohort) -> None:
    table = generated.truth["estimands"]
    found = true_value(table, WANTED)
    rows = table[(table["estimand"] == "risk_difference") & (table["month"] == 12) & (table["population"] == "ATE")]
    assert found == rows.loc[rows["measure"] == "complete_response", "value"].iloc[0]


def test_an_estimand_that_is_not_listed_is_named(generated: GeneratedCohort) -> None:
    table = generated.truth["estimands"]
    other = Estimand(WANTED.measure, WANTED.estimand, WANTED.population, WANTED.contrast, 13)
    with pytest.raises(UsageError, match=r"truth/estimands: no such estimand; got .*month 13"):
        true_value(table, other)
    with pytest.raises(UsageError, match="more than one row"):
        true_value(pd.concat([table, table]), WANTED)


def test_bias_needs_crude_differences(setting: Setting) -> None:
    drawn = true_effects(setting, way="draw", patients=64)
    with pytest.raises(UsageError, match=r"column population: no crude differences; got ATE, ATO, ATT; .*quadrature"):
        response_bias(drawn)


def test_the_table_is_as_the_schema_declares(generated: GeneratedCohort) -> None:
    table = generated.truth["estimands"]
    assert tuple(table.columns) == TRUTH_ESTIMANDS.column_names
    assert not table.duplicated(list(TRUTH_ESTIMANDS.key)).any()
    assert len(table) == 3 * (2 * 5 * 5 + 2 * 4 + 5 * 3) + 50
    assert table["value"].notna().all()


def test_carried_values_are_found_by_settings_alone(setting: Setting) -> None:
    renamed = load_scenario("randomised").model()
    assert carried_stem(setting.design, renamed) == "kim2025-randomised"
    assert carried_stem(setting.design, PatientModel()) == "kim2025"
    other = settle_model(0.7)
    assert carried_stem(setting.design, other) is None
    assert carried_effects(setting.design, other) is None


def settle_model(strength: float) -> PatientModel:
    model = PatientModel()
    return replace(model, assignment=replace(model.assignment, strength=strength))


def test_truth_tables_in_another_order_are_refused(cohort_folder: Path) -> None:
    path = cohort_folder / "truth" / "responses.parquet"
    content = pq.read_table(path)
    pq.write_table(content.slice(0, len(content) - 1), path)
    with pytest.raises(
        CohortDirectoryError, match=r"responses.parquet: table truth_responses does not list the patients"
    ):
        cohort_effects(cohort_folder)


def test_months_of_another_study_are_refused(cohort_folder: Path) -> None:
    path = cohort_folder / "truth" / "responses.parquet"
    content = pq.read_table(path)
    months = content["visit_month"].to_pandas() + 1
    pq.write_table(content.set_column(2, "visit_month", [months.to_numpy()]), path)
    with pytest.raises(CohortDirectoryError, match=r"does not list the patients .* by arm and visit"):
        cohort_effects(cohort_folder)


def test_different_numbers_of_parts_are_refused(cohort_folder: Path) -> None:
    path = cohort_folder / "truth" / "outcomes.parquet"
    content = pq.read_table(path)
    path.unlink()
    path.mkdir()
    for part in range(2):
        pq.write_table(content, path / f"part-{part}.parquet")
    with pytest.raises(CohortDirectoryError, match=r"different numbers of parts; got .*truth_outcomes 2"):
        cohort_effects(cohort_folder)


def test_a_registry_has_no_true_effects(cohort_folder: Path) -> None:
    for path in (cohort_folder / "truth").iterdir():
        path.unlink()
    with pytest.raises(CohortDirectoryError, match="the table truth_patients is missing"):
        cohort_effects(cohort_folder)


def test_arms_that_agree_on_tacrolimus_are_told_apart_by_the_recorded_constants(
    setting: Setting, cohort_folder: Path
) -> None:
    three = replace(setting.design, arms=np.array(["high", "low", "control"]), tacrolimus=np.array([True, True, False]))
    shares = _shares_within(three, {"intercepts": [np.log(3.0), 0.0, 0.0]}, cohort_folder)
    assert shares.tolist() == pytest.approx([0.75, 0.25, 1.0])
    with pytest.raises(CohortDirectoryError, match=r"notes of cohort.json: .*not recorded; got intercepts None"):
        _shares_within(three, {}, cohort_folder)
