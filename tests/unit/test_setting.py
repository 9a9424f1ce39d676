"""Settling a scenario for a design: what is refused, with how far a dial may be turned, and what is solved."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace

import numpy as np
import pytest

from cohort.errors import CalibrationError
from cohort.record import Measure
from synthetic.calibrate import calibrated_population
from synthetic.cuts import Counts
from synthetic.design import Design
from synthetic.scenario import read_scenario
from synthetic.setting import Setting, average_difference, settle

RESPONSE = '[response]\nmeasure = "{}"\nmonth = {}\nrisk_difference = {}\n'


@pytest.fixture(autouse=True)
def quick(cheaply: Callable[[int], AbstractContextManager[None]], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("synthetic.attainable._POWER", 11)
    with cheaply(11):
        yield


def settled(design: Design, text: str) -> Setting:
    return settle(design, read_scenario(text, where="mine.toml"))


def limit(message: str) -> float:
    found = re.search(r"(?:about|most) (-?[\d.]+)$", message)
    assert found, message
    return float(found[1])


def test_deaths_may_be_as_many_as_leave_room(design: Design) -> None:
    with pytest.raises(CalibrationError, match=r"dial course\.death_rate.*more deaths than patients who leave") as told:
        settled(design, "[course]\ndeath_rate = 30.0\n")
    settled(design, f"[course]\ndeath_rate = {limit(str(told.value))}\n")
    with pytest.raises(CalibrationError, match="more deaths"):
        settled(design, f"[course]\ndeath_rate = {limit(str(told.value)) * 1.01}\n")


@pytest.mark.parametrize(
    ("dial", "value", "side"),
    [
        ("effect.flare_hazard_ratio", 0.2, "least"),
        ("course.flare_rate", 1.0, "least"),
    ],
)
def test_a_dial_that_print_refuses_is_named_with_how_far_it_may_be_turned(
    dial: str, value: float, side: str, design: Design
) -> None:
    part, name = dial.split(".")
    with pytest.raises(CalibrationError, match=f"^dial {dial}, study kim2025, arm .* at {side} about ") as told:
        settled(design, f"[{part}]\n{name} = {value}\n")
    settled(design, f"[{part}]\n{name} = {limit(str(told.value))}\n")


def test_kidney_failures_that_leave_too_few_responders_are_refused(design: Design) -> None:
    message = r"^dial course\.eskd_rate, study kim2025, arm .*too many kidney failures.*at most about [34]"
    with pytest.raises(CalibrationError, match=message):
        settled(design, "[course]\neskd_rate = 20.0\n")


def test_two_dials_that_are_too_much_together_are_both_named(design: Design) -> None:
    with pytest.raises(CalibrationError, match=r"^dials effect\.flare_hazard_ratio, course\.flare_rate, .* or "):
        settled(design, "[effect]\nflare_hazard_ratio = 0.85\n[course]\nflare_rate = 8.0\n")


def test_an_error_that_no_single_dial_causes_is_told_as_it_is(design: Design) -> None:
    with pytest.raises(CalibrationError, match=r"^arm tacrolimus, month \d+: too few flares"):
        settled(design, "[effect]\nflare_hazard_ratio = 0.02\n[course]\nflare_rate = 0.5\n")


def test_kidney_failures_that_cannot_come_are_refused(design: Design) -> None:
    few = np.full_like(design.counts.assessed, 4)
    hardly = replace(design, counts=Counts(design.counts.assessed, few, few))
    text = "[course]\neskd_rate = {}\n"
    with pytest.raises(CalibrationError, match=r"dial course\.eskd_rate.*more kidney failures than patients") as told:
        settled(hardly, text.format(30.0))
    settled(hardly, text.format(limit(str(told.value))))
    assert (settled(design, text.format(0.0)).calibration.failure_level == 0).all()


def test_nobody_can_miss_a_visit_that_everybody_attends(design: Design) -> None:
    everybody = np.broadcast_to(design.sizes[:, None], design.counts.assessed.shape)
    full = replace(design, counts=Counts(everybody, everybody // 2, everybody // 4))
    with pytest.raises(CalibrationError, match=r"dial missing\.missed_visit_share, study kim2025: nobody can miss"):
        settled(full, "[missing]\nmissed_visit_share = 0.2\n")
    settled(full, "[missing]\nmissed_visit_share = 0.0\n")


def test_one_arm_has_no_effect(design: Design) -> None:
    counts = Counts(*(part[:1] for part in (design.counts.assessed, design.counts.complete, design.counts.partial)))
    alone = replace(
        design, arms=design.arms[:1], sizes=design.sizes[:1], tacrolimus=design.tacrolimus[:1], counts=counts
    )
    with pytest.raises(CalibrationError, match=r"dial effect\.flare_hazard_ratio.*an effect needs two arms; got 1 arm"):
        settled(alone, "[effect]\nflare_hazard_ratio = 0.8\n")
    with pytest.raises(CalibrationError, match="the effect on response is what print says; got 1 arms, not randomised"):
        settled(alone, RESPONSE.format("complete_response", 12, 0.0))


def test_a_randomised_study_has_no_confounding_to_solve(design: Design) -> None:
    with pytest.raises(CalibrationError, match="got 2 arms, randomised; leave the table"):
        settled(replace(design, randomised=True), RESPONSE.format("complete_response", 12, 0.0))


def test_a_month_nobody_is_seen_is_refused(design: Design) -> None:
    with pytest.raises(
        CalibrationError, match=r"dial response\.month: no scheduled visit; got 18; choose one of \[6, 12"
    ):
        settled(design, RESPONSE.format("complete_response", 18, 0.0))


def test_the_accrual_window_holds_a_whole_follow_up(design: Design) -> None:
    text = '[calendar]\nfirst_index_year = {}\ndata_lock = "2021-12-31"\n'
    with pytest.raises(CalibrationError, match="choose first_index_year at most 2016"):
        settled(design, text.format(2017))
    settled(design, text.format(2016))


@pytest.mark.parametrize(("wanted", "side"), [(0.9, "up to"), (-0.9, "from")])
def test_an_effect_out_of_reach_tells_how_far_one_can_go(wanted: float, side: str, design: Design) -> None:
    with pytest.raises(CalibrationError, match=f"no admissible confounding explains.*choose a value {side} ") as told:
        settled(design, RESPONSE.format("complete_response", 12, wanted))
    found = re.search(r"choose a value (?:up to|from) (-?[\d.]+), which (-?[\d.]+) times", str(told.value))
    assert found
    assert (float(found[2]) > 0) == (wanted > 0)


def test_the_effect_of_no_confounding_is_solved_by_none(design: Design) -> None:
    model = read_scenario("[assignment]\nstrength = 0.0\n", where="x.toml").model()
    population = calibrated_population(design, model, power=11)
    unconfounded = average_difference(population, Measure.OVERALL_RESPONSE, 1)
    setting = settled(design, RESPONSE.format("overall_response", 12, unconfounded))
    assert setting.model.assignment.strength == 0.0
