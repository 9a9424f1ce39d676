"""Protects that an ensemble holds the admissible tables the model can meet, and says which it cannot meet and why."""

from __future__ import annotations

import numpy as np
import pytest

from cohort.errors import CalibrationError, UsageError
from cohort.seeds import SeedTree
from cohort.targets import load_study
from synthetic import calibratable_tables as module
from synthetic.admissible_tables import sample_tables
from synthetic.calibratable_tables import CalibratableTables, calibratable_tables
from synthetic.design import Design
from synthetic.scenario import DEFAULT_SCENARIO, Scenario, read_scenario
from synthetic.setting import Setting, settle

KIM = load_study("kim2025")
POWER = 9


@pytest.fixture(scope="module")
def found() -> CalibratableTables:
    return calibratable_tables(KIM, DEFAULT_SCENARIO, 4, SeedTree(1), power=POWER)


def test_each_setting_has_the_counts_of_its_table(found: CalibratableTables) -> None:
    assert len(found.tables) == len(found.settings) == 4
    for table, setting in zip(found.tables, found.settings, strict=True):
        rows = table.counts.set_index(["arm", "month"])
        for arm, of_arm in zip(setting.design.arms.tolist(), setting.design.counts.complete, strict=True):
            assert rows.loc[arm, "complete"].tolist() == of_arm.tolist()


def test_refused_tables_are_counted_and_drawn_again(found: CalibratableTables) -> None:
    assert list(found.refused.columns) == ["reason", "where", "tables"]
    assert found.drawn > 4  # with this seed some are refused
    drawn = {table.name: table for table in sample_tables(KIM, found.drawn, SeedTree(1))}
    taken = {table.name for table in found.tables}
    assert len(drawn) - len(taken) == found.refused["tables"].sum()
    for name, table in drawn.items():
        if name in taken:
            continue
        with pytest.raises(CalibrationError) as refusal:
            settle(module.design_of(KIM, table), DEFAULT_SCENARIO, power=POWER)
        listed = found.refused[found.refused["where"] == refusal.value.where]
        assert listed["reason"].tolist() == [refusal.value.what]


def test_the_frame_has_every_table_and_its_raised_flares(found: CalibratableTables) -> None:
    frame = found.frame()
    names = ["table", "arm", "month", "assessed", "complete", "partial", "none", "flare_hazard"]
    assert list(frame.columns) == names
    assert len(frame) == 4 * 2 * len(KIM.visit_months)
    for table, setting in zip(found.tables, found.settings, strict=True):
        mine = frame[frame["table"] == table.name].reset_index(drop=True)
        assert mine[names[1:-1]].equals(table.counts[names[1:-1]])
        hazard = mine[mine["arm"] == setting.design.arms[1]]["flare_hazard"].to_numpy()
        expected = setting.calibration.flare_ratio[1] / found.settings[0].calibration.flare_ratio[1]
        np.testing.assert_array_equal(hazard, expected)
    assert (frame[frame["table"] == "ensemble-0001"]["flare_hazard"] == 1.0).all()
    assert (frame["flare_hazard"] >= 1.0).all()
    assert (frame["flare_hazard"] > 1.0).any()


def test_no_more_tables_than_print_admits() -> None:
    found = calibratable_tables(load_study("bao2008"), DEFAULT_SCENARIO, 3, SeedTree(1), power=POWER)
    assert [table.name for table in found.tables] == ["ensemble-0001"]
    assert found.drawn == 1
    assert found.refused.empty


def test_a_default_table_that_cannot_be_met_is_refused_as_in_population_mode() -> None:
    scenario = read_scenario("[course]\neskd_rate = 30.0\n", where="deadly.toml")
    with pytest.raises(CalibrationError, match="too many kidney failures"):
        calibratable_tables(KIM, scenario, 2, SeedTree(1), power=POWER)


def test_a_search_that_finds_next_to_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    settled: list[Setting] = []

    def only_the_first(design: Design, scenario: Scenario, *, power: int, limits: bool) -> Setting:
        if settled:
            assert not limits  # nobody reads how far a dial may be turned for a table that is drawn again
            raise CalibrationError("too steep", where="arm x, month 6", got="1", remedy="r")
        settled.append(settle(design, scenario, power=power))
        return settled[0]

    monkeypatch.setattr(module, "settle", only_the_first)
    with pytest.raises(
        CalibrationError, match="got 1 tables, and 39 refused, of which 39 since arm x, month 6: too steep"
    ):
        calibratable_tables(KIM, DEFAULT_SCENARIO, 2, SeedTree(1), power=POWER)


def test_no_tables_asked_for() -> None:
    with pytest.raises(UsageError, match="at least one table is needed"):
        calibratable_tables(KIM, DEFAULT_SCENARIO, 0, SeedTree(1))
