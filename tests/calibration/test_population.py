"""Population mode: rates are met in expectation, truth is what the thresholds say, tables agree with each other."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pandas as pd
import pytest

from cohort.codes import EndReason
from cohort.columns import position_of
from cohort.definitions import KIM2025
from cohort.errors import CalibrationError
from cohort.seeds import SeedTree
from cohort.store import Cohort
from cohort.targets import load_study
from cohort.validation import validate_cohort
from synthetic.calibrate import Calibration, calibrate
from synthetic.calibration_file import calibration_for, fingerprint
from synthetic.course import COMPLETE, NO_DAY, NO_RESPONSE, PARTIAL, walk_course
from synthetic.cuts import Counts
from synthetic.design import Design, design_of
from synthetic.model import PatientModel
from synthetic.population import BLOCK, draw_block
from synthetic.reconstruct import reconstruct
from synthetic.scenario import DEFAULT_SCENARIO
from synthetic.setting import Setting, settle
from synthetic.story import Story
from synthetic.tables import events_frame, patients_frame, treatments_frame, truth_frames, visits_frame
from synthetic.truth import OwnCourse, PotentialOutcomes, potential_outcomes

MODEL = PatientModel()
BLOCKS = 12
TREE = SeedTree(2025).child("population")


@pytest.fixture(scope="module")
def design() -> Design:
    study = load_study("kim2025")
    return design_of(study, reconstruct(study))


@pytest.fixture(scope="module")
def setting(design: Design) -> Setting:
    return settle(design, DEFAULT_SCENARIO)


@pytest.fixture(scope="module")
def calibration(setting: Setting) -> Calibration:
    return setting.calibration


@pytest.fixture(scope="module")
def stories(setting: Setting) -> list[Story]:
    return [draw_block(setting, TREE, block, BLOCKS * BLOCK) for block in range(BLOCKS)]


@pytest.fixture(scope="module")
def potential(stories: list[Story], calibration: Calibration) -> list[PotentialOutcomes]:
    return [outcomes_of(story, calibration) for story in stories]


def outcomes_of(story: Story, calibration: Calibration) -> PotentialOutcomes:
    attendance = story.attendance
    return potential_outcomes(
        story.assigned.baseline, story.noise, attendance.visit_day, attendance.death_day, calibration, MODEL
    )


def test_every_rate_is_within_four_standard_errors(stories: list[Story], design: Design) -> None:
    arm = np.concatenate([story.assigned.arm for story in stories])
    state = np.concatenate([story.course.state for story in stories])
    counts = design.counts
    for position, size in enumerate(design.sizes):
        members = arm == position
        seen = (state[members] != -1).sum(axis=0)
        share = counts.assessed[position] / size
        z = (seen / members.sum() - share) / np.sqrt(share * (1 - share) / members.sum())
        assert np.abs(z).max() < 4
        for code, wanted in ((COMPLETE, counts.complete), (PARTIAL, counts.partial), (NO_RESPONSE, counts.none)):
            rate = wanted[position] / counts.assessed[position]
            found = (state[members] == code).sum(axis=0) / seen
            assert np.abs((found - rate) / np.sqrt(rate * (1 - rate) / seen)).max() < 4
    share = 92 / 179
    assert abs((arm == 0).mean() - share) < 4 * np.sqrt(share * (1 - share) / len(arm))


def test_kidney_failures_and_deaths_come_at_the_borrowed_rates(
    stories: list[Story], potential: list[PotentialOutcomes]
) -> None:
    own = [story.assigned.arm for story in stories]
    patients = BLOCK * BLOCKS
    died = sum((outcomes.death_day != NO_DAY).sum() for outcomes in potential)
    expected = patients * -np.expm1(-MODEL.course.death_rate / 100 * 1826 / 365.25)
    # The relative hazard varies, so that slightly fewer die than at a constant one; four standard errors and 2 %.
    assert abs(died - expected) < 4 * np.sqrt(expected) + 0.02 * expected
    failed = sum(
        ((outcomes.failure_day != NO_DAY)[arm, np.arange(BLOCK)]).sum()
        for outcomes, arm in zip(potential, own, strict=True)
    )
    # The dead cannot fail afterwards.
    expected = patients * MODEL.course.eskd_rate / 100 * 1826 / 365.25
    assert abs(failed - expected) < 4 * np.sqrt(expected) + 0.03 * expected


def test_tables_of_a_block_agree_with_each_other(stories: list[Story], design: Design) -> None:
    story, tree = stories[0], TREE.child("block", 0)
    cohort = Cohort(
        patients_frame(story, design),
        visits_frame(story, MODEL, tree),
        treatments_frame(story, MODEL, tree),
        events_frame(story),
        study=design.study,
        seed=2025,
        mode="population",
    )
    findings = validate_cohort(cohort, arms=design.arms.tolist(), response=KIM2025)
    assert findings.empty, findings.to_string()


def test_what_is_observed_is_the_potential_outcome_under_the_treatment_taken(
    stories: list[Story], potential: list[PotentialOutcomes]
) -> None:
    for story, outcomes in zip(stories, potential, strict=True):
        own, everybody = story.assigned.arm, np.arange(BLOCK)
        attended = story.attendance.attended
        assert (story.course.state == outcomes.state[own, everybody])[attended].all()
        end = story.attendance.follow_up_days
        observed = np.where(story.course.flare_day == NO_DAY, 10**6, story.course.flare_day).min(axis=1)
        for seen, day in ((observed, outcomes.flare_day), (story.course.failure_day, outcomes.failure_day)):
            seen, mine = np.where(seen == NO_DAY, 10**6, seen), np.where(day == NO_DAY, 10**6, day)[own, everybody]
            np.testing.assert_array_equal(seen[mine < end], mine[mine < end])
            assert (seen[mine >= end] == 10**6).all()
        dead = story.attendance.end_reason == position_of(EndReason.DEATH)
        np.testing.assert_array_equal(outcomes.death_day[dead], end[dead])
        assert ((outcomes.death_day == NO_DAY) | (outcomes.death_day >= end))[~dead].all()


def test_a_course_walked_before_need_not_be_walked_again(stories: list[Story], calibration: Calibration) -> None:
    # A third arm between the two, so that every patient has two arms to be walked under.
    names = ("intercepts", "no_response_below", "complete_from", "flare_ratio")
    rows = {name: getattr(calibration, name) for name in names}
    three = replace(calibration, **{name: np.stack([*value, value.mean(axis=0)]) for name, value in rows.items()})
    story, baseline = stories[0], stories[0].assigned.baseline
    arm = np.random.default_rng(1).integers(0, 3, len(story.ids))
    visit_day, death_day = story.attendance.visit_day, story.attendance.death_day
    hazards = three.hazards(baseline, arm, MODEL)
    own = OwnCourse(arm, walk_course(story.noise, hazards, visit_day, three.cut(arm), MODEL.course))
    anew = potential_outcomes(baseline, story.noise, visit_day, death_day, three, MODEL)
    known = potential_outcomes(baseline, story.noise, visit_day, death_day, three, MODEL, own)
    for field in fields(PotentialOutcomes):
        np.testing.assert_array_equal(getattr(known, field.name), getattr(anew, field.name))
    assert (anew.state[0] != anew.state[2]).any()


def test_truth_tables_hold_every_arm(stories: list[Story], setting: Setting) -> None:
    frames = truth_frames(stories[0], setting)
    assert len(frames["responses"]) == BLOCK * 2 * 5
    assert len(frames["outcomes"]) == BLOCK * 2
    first = frames["responses"].head(10)
    assert first["arm"].tolist() == ["tacrolimus"] * 5 + ["no_tacrolimus"] * 5
    dead = frames["outcomes"]["death_day"].notna()
    for event in ("flare_day", "eskd_day"):
        after = frames["outcomes"].loc[dead, event] > frames["outcomes"].loc[dead, "death_day"]
        assert not after.fillna(False).any()
    assert frames["patients"]["propensity"].between(0, 1, inclusive="neither").all()


def test_propensity_is_the_share_treated_among_alike(stories: list[Story], setting: Setting) -> None:
    propensity = np.concatenate([truth_frames(story, setting)["patients"]["propensity"] for story in stories])
    treated = np.concatenate([story.assigned.tacrolimus for story in stories])
    groups = pd.qcut(propensity, 10, labels=False)
    for group in range(10):
        members = groups == group
        expected = propensity[members].mean()
        error = np.sqrt(expected * (1 - expected) / members.sum())
        assert abs(treated[members].mean() - expected) < 4.5 * error


def test_the_arms_differ_by_confounding_and_by_treatment(
    stories: list[Story], potential: list[PotentialOutcomes]
) -> None:
    treated = np.concatenate([story.assigned.tacrolimus for story in stories])
    severity = np.concatenate([story.assigned.baseline.latent_severity for story in stories])
    assert severity[treated].mean() - severity[~treated].mean() > 0.2
    states = np.concatenate([outcomes.state for outcomes in potential], axis=1)
    truth = (states[0] == COMPLETE).mean(axis=0) - (states[1] == COMPLETE).mean(axis=0)
    observed = np.concatenate([story.course.state for story in stories])
    seen = observed != -1
    crude = np.array(
        [
            (observed[treated & seen[:, visit], visit] == COMPLETE).mean()
            - (observed[~treated & seen[:, visit], visit] == COMPLETE).mean()
            for visit in range(5)
        ]
    )
    # Sicker patients take tacrolimus, so the crude difference exaggerates the harm of the printed contrast.
    assert (crude < truth).all()


def test_the_shipped_calibration_is_the_solved_one(design: Design, calibration: Calibration) -> None:
    solved = calibrate(design, MODEL)
    for field in fields(Calibration):
        np.testing.assert_allclose(getattr(calibration, field.name), getattr(solved, field.name), atol=1e-9)
    assert len(fingerprint(design, MODEL)) == 64


def test_other_settings_are_solved_anew(design: Design, calibration: Calibration) -> None:
    more_flares = replace(MODEL, course=replace(MODEL.course, flare_rate=2 * MODEL.course.flare_rate))
    anew = calibration_for(design, more_flares)
    assert (anew.no_response_below[:, 1:] < calibration.no_response_below[:, 1:]).all()


def test_rates_that_need_more_flares_than_there_are_name_the_arm_and_visit(design: Design) -> None:
    assessed = np.full((2, 2), 80)
    impossible = replace(
        design,
        sizes=np.array([90, 90]),
        months=np.array([6, 12]),
        counts=Counts(assessed, np.array([[70, 10], [40, 40]]), np.array([[8, 8], [20, 20]])),
    )
    with pytest.raises(CalibrationError, match=r"arm tacrolimus, month 12: too few flares.*raise course.flare_rate"):
        calibrate(impossible, MODEL, rate_is_free=False)


def test_the_flares_that_printed_responses_need_are_found_if_the_rate_is_free(design: Design) -> None:
    assessed = np.full((2, 2), 80)
    steep = replace(
        design,
        sizes=np.array([90, 90]),
        months=np.array([6, 12]),
        counts=Counts(assessed, np.array([[70, 50], [40, 40]]), np.array([[8, 8], [20, 20]])),
    )
    found = calibrate(steep, MODEL)
    assert found.flare_ratio[0, 1] > found.flare_ratio[0, 0]
    np.testing.assert_array_equal(found.flare_ratio[1], found.flare_ratio[0, 0])
