"""Turning a dial one way moves what it is about that way, while the printed rates stay."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from cohort.record import Measure
from synthetic.calendar import schedule
from synthetic.calibrate import calibrated_population
from synthetic.centres import centre_effects
from synthetic.course import COMPLETE
from synthetic.design import Design
from synthetic.scenario import read_scenario
from synthetic.setting import Setting, average_difference, settle

SIZE = 4096
Draw = Callable[..., Any]


@pytest.fixture(scope="module", autouse=True)
def quick(cheaply: Callable[[int], AbstractContextManager[None]]) -> Iterator[None]:
    with cheaply(12):
        yield


@pytest.fixture(scope="module")
def under(design: Design) -> Callable[[str], Setting]:
    """Give a function that settles the dials of a text."""
    return lambda text: settle(design, read_scenario(text, where="dials.toml"))


@pytest.mark.parametrize("measure", [Measure.COMPLETE_RESPONSE, Measure.OVERALL_RESPONSE])
def test_stronger_confounding_hides_a_larger_effect_behind_the_same_print(measure: Measure, design: Design) -> None:
    effects = []
    for strength in (0.0, 0.5, 1.0, 2.0, 3.0):
        model = read_scenario(f"[assignment]\nstrength = {strength}\n", where="x.toml").model()
        population = calibrated_population(design, model, power=13)
        effects.append([average_difference(population, measure, visit) for visit in range(len(design.months))])
    assert (np.diff(effects, axis=0) > 0).all()
    # Without confounding the effect is the printed difference, from the first visit to which nobody was lost unevenly.
    counts = design.counts
    responding = counts.complete + (counts.partial if measure is Measure.OVERALL_RESPONSE else 0)
    printed = responding[0, 0] / counts.assessed[0, 0] - responding[1, 0] / counts.assessed[1, 0]
    assert effects[0][0] == pytest.approx(printed, abs=2 / 2**13 + 1e-3)


def test_an_asked_effect_is_the_effect_found(design: Design, under: Callable[[str], Setting]) -> None:
    text = '[response]\nmeasure = "complete_response"\nmonth = 12\nrisk_difference = {}\n'
    strengths = []
    for wanted in (-0.12, -0.02):
        setting = under(text.format(wanted))
        population = calibrated_population(design, setting.model, power=12)
        found = average_difference(population, Measure.COMPLETE_RESPONSE, design.months.tolist().index(12))
        assert found == pytest.approx(wanted, abs=3e-3)
        strengths.append(setting.model.assignment.strength)
    assert strengths == sorted(strengths)
    assert len(set(strengths)) == 2


def test_the_sicker_the_leavers_the_healthier_who_is_assessed(under: Callable[[str], Setting], draw: Draw) -> None:
    severity, assessed = [], []
    for ratio in (0.6, 1.0, 1.6, 2.5):
        story = draw(under(f"[calendar]\nleaving_hr_severity = {ratio}\n"), SIZE).story
        seen = story.attendance.attended[:, -1]
        severity.append(story.assigned.baseline.latent_severity[seen].mean())
        assessed.append(seen.mean())
    assert (np.diff(severity) < -0.02).all()
    # The shares assessed stay: four standard errors of the difference of two of them.
    assert np.ptp(assessed) < 4 * np.sqrt(2 * 0.25 / SIZE)


@pytest.mark.parametrize(("mechanism", "sign"), [("mar", 1), ("informative", -1)])
def test_who_misses_visits_is_whom_the_mechanism_names(
    mechanism: str, sign: int, under: Callable[[str], Setting], draw: Draw
) -> None:
    gaps = []
    for strength in (0.0, 1.0, 3.0):
        text = f'[missing]\nmissed_visit_share = 0.9\nmechanism = "{mechanism}"\nstrength = {strength}\n'
        story = draw(under(text), SIZE).story
        staying = story.attendance.last_visit == len(story.attendance.visit_day[0]) - 1
        missed = story.attendance.missed[staying, -1]
        driver = np.log(story.assigned.baseline.upcr) if mechanism == "mar" else story.noise.score[:, -1]
        gaps.append(sign * (driver[staying][missed].mean() - driver[staying][~missed].mean()))
    assert abs(gaps[0]) < 0.15
    assert gaps[0] + 0.1 < gaps[1] < gaps[2]


def test_nobody_misses_a_visit_unless_asked(under: Callable[[str], Setting], draw: Draw) -> None:
    def holes(text: str) -> int:
        cohort = draw(under(text), 1024).cohort
        months = sorted(cohort.visits["visit_month"].dropna().unique())
        wide = pd.crosstab(cohort.visits["patient_id"], cohort.visits["visit_month"])[months].to_numpy()
        return int((np.diff(wide, axis=1) > 0).sum())

    assert holes("[missing]\nmissed_visit_share = 0.0\n") == 0
    assert holes("[missing]\nmissed_visit_share = 0.5\n") > 20


def test_without_jitter_every_visit_is_on_its_nominal_day(
    under: Callable[[str], Setting], draw: Draw, design: Design
) -> None:
    setting = under("[calendar]\nvisit_jitter_sd = 0.0\n")
    visits = draw(setting, 512).cohort.visits.dropna(subset="visit_month")
    days = schedule(design.months, setting.model.calendar).day.tolist()
    nominal = dict(zip([0, *design.months.tolist()], [0, *days], strict=True))
    assert (visits["day"] == visits["visit_month"].map(nominal)).all()
    widths = []
    for jitter in (0.2, 0.5, 1.0):
        drawn = draw(under(f"[calendar]\nvisit_jitter_sd = {jitter}\n"), 512).cohort.visits
        widths.append(drawn.loc[drawn["visit_month"].eq(24).fillna(False), "day"].std())
    assert widths == sorted(widths)


def test_the_more_stays_with_a_patient_the_more_responses_agree(under: Callable[[str], Setting], draw: Draw) -> None:
    def agreement(dials: str) -> float:
        truth = draw(under(f"[course]\nvisit_autocorrelation = 0.0\n{dials}"), SIZE).truth["responses"]
        own = truth[truth["arm"] == "no_tacrolimus"].pivot(index="patient_id", columns="visit_month", values="response")
        complete = (own == "CR").to_numpy(dtype=float)
        return float(np.corrcoef(complete[:, 0], complete[:, -1])[0, 1])

    by_patient = [agreement(f"patient_sd = {sd}\n") for sd in (0.0, 0.6, 1.5)]
    assert by_patient[0] + 0.03 < by_patient[1] < by_patient[2] - 0.03
    by_visit = [agreement(f"visit_sd = {sd}\n") for sd in (0.2, 0.6, 1.5)]
    assert by_visit[0] > by_visit[1] > by_visit[2]


def test_one_centre_is_no_centre_effect(under: Callable[[str], Setting], draw: Draw) -> None:
    plain = draw(under(""), 512).cohort
    one = draw(under("[centres]\nnumber = 1\ncase_mix_sd = 2.0\npractice_sd = 2.0\noutcome_sd = 2.0\n"), 512).cohort
    for table in ("patients", "visits", "treatments", "events"):
        pd.testing.assert_frame_equal(plain.table(table), one.table(table))


@pytest.mark.parametrize("effect", ["case_mix", "practice", "outcome"])
def test_sites_differ_in_the_order_of_their_effects(effect: str, under: Callable[[str], Setting], draw: Draw) -> None:
    sizes = {"case_mix": 0.0, "practice": 0.0, "outcome": 0.0} | {effect: 1.2}
    text = "[centres]\nnumber = 6\n" + "".join(f"{name}_sd = {size}\n" for name, size in sizes.items())
    setting = under(text)
    drawn = draw(setting, SIZE)
    baseline, site = drawn.story.assigned.baseline, drawn.cohort.patients["site"].to_numpy()
    values = {
        "case_mix": baseline.latent_severity,
        "practice": drawn.story.assigned.tacrolimus.astype(float),
        "outcome": (drawn.story.course.state[:, 0] == COMPLETE).astype(float),
    }
    means = {name: pd.Series(found).groupby(site).mean() for name, found in values.items()}
    truth = dict(zip(("case_mix", "practice", "outcome"), centre_effects(setting.model.centres), strict=True))
    assert means[effect].index.tolist() == [f"centre {number}" for number in range(1, 7)]
    assert spearmanr(means[effect], truth[effect]).statistic > 0.9
    # A centre of sicker patients responds less and treats them more; practice and outcome keep to themselves.
    if effect == "practice":
        assert np.ptp(means["case_mix"]) < 0.3
    if effect == "outcome":
        assert np.ptp(means["practice"]) < 0.15


def test_more_deaths_and_kidney_failures_are_asked_for_and_come(under: Callable[[str], Setting], draw: Draw) -> None:
    found = {}
    for dial in ("death_rate", "eskd_rate"):
        found[dial] = []
        for rate in (0.2, 1.0, 3.0):
            outcomes = draw(under(f"[course]\n{dial} = {rate}\n"), SIZE).truth["outcomes"]
            own = outcomes[outcomes["arm"] == "no_tacrolimus"]
            found[dial].append(own["death_day" if dial == "death_rate" else "eskd_day"].notna().mean())
    for shares in found.values():
        assert shares[0] < shares[1] < shares[2]
        assert shares[2] > 5 * shares[0]
