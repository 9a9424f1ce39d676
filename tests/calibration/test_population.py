"""Population mode: rates are met in expectation, truth is what the thresholds say, tables agree with each other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cohort.definitions import KIM2025
from cohort.errors import CalibrationError
from cohort.record import Study
from cohort.seeds import SeedTree
from cohort.store import Cohort
from cohort.targets import load_study
from cohort.validation import validate_cohort
from synthetic.calibrate import Calibration, calibrate
from synthetic.calibration_file import calibration_for, fingerprint
from synthetic.course import COMPLETE, NO_DAY, NO_RESPONSE, PARTIAL, flare_hazard
from synthetic.cuts import Counts
from synthetic.model import PatientModel
from synthetic.population import BLOCK, draw_block
from synthetic.reconstruct import reconstruct
from synthetic.story import Story, arm_sizes, study_counts
from synthetic.stream import study_calibration
from synthetic.tables import events_frame, patients_frame, treatments_frame, visits_frame
from synthetic.truth import potential_outcomes

MODEL = PatientModel()
BLOCKS = 12


@pytest.fixture(scope="module")
def record() -> Study:
    return load_study("kim2025")


@pytest.fixture(scope="module")
def counts(record: Study) -> Counts:
    return study_counts(record, reconstruct(record))


@pytest.fixture(scope="module")
def calibration(record: Study) -> Calibration:
    return study_calibration(record, MODEL)


@pytest.fixture(scope="module")
def stories(record: Study, calibration: Calibration) -> list[Story]:
    tree = SeedTree(2025).child("population")
    return [draw_block(record, calibration, MODEL, tree, block, BLOCKS * BLOCK) for block in range(BLOCKS)]


def test_every_rate_is_within_four_standard_errors(stories: list[Story], counts: Counts) -> None:
    treated = np.concatenate([story.assigned.tacrolimus for story in stories])
    state = np.concatenate([story.course.state for story in stories])
    for position, members in enumerate((treated, ~treated)):
        seen = (state[members] != -1).sum(axis=0)
        share = counts.assessed[position] / (92, 87)[position]
        z = (seen / members.sum() - share) / np.sqrt(share * (1 - share) / members.sum())
        assert np.abs(z).max() < 4
        for code, wanted in ((COMPLETE, counts.complete), (PARTIAL, counts.partial), (NO_RESPONSE, counts.none)):
            rate = wanted[position] / counts.assessed[position]
            found = (state[members] == code).sum(axis=0) / seen
            assert np.abs((found - rate) / np.sqrt(rate * (1 - rate) / seen)).max() < 4
    share = 92 / 179
    assert abs(treated.mean() - share) < 4 * np.sqrt(share * (1 - share) / len(treated))


def test_tables_of_a_block_agree_with_each_other(stories: list[Story], record: Study) -> None:
    story, tree = stories[0], SeedTree(2025).child("population", "block", 0)
    cohort = Cohort(
        patients_frame(story, record),
        visits_frame(story, MODEL, tree),
        treatments_frame(story, MODEL, tree),
        events_frame(story),
        study=record.name,
        seed=2025,
        mode="population",
    )
    findings = validate_cohort(cohort, arms=[arm.code for arm in record.arms], response=KIM2025)
    assert findings.empty, findings.to_string()


def test_what_is_observed_is_the_potential_outcome_under_the_treatment_taken(
    stories: list[Story], calibration: Calibration
) -> None:
    story = stories[1]
    hazard = flare_hazard(story.assigned.baseline, MODEL.course)
    outcomes = potential_outcomes(story.noise, hazard, story.attendance.visit_day, calibration, MODEL.course)
    own = np.where(story.assigned.tacrolimus, 0, 1)
    everybody = np.arange(BLOCK)
    attended = story.attendance.attended
    assert (story.course.state == outcomes.state[own, everybody])[attended].all()
    observed = np.where(story.course.flare_day == NO_DAY, 10**6, story.course.flare_day).min(axis=1)
    potential = np.where(outcomes.flare_day == NO_DAY, 10**6, outcomes.flare_day)[own, everybody]
    before_end = potential < story.attendance.follow_up_days
    np.testing.assert_array_equal(observed[before_end], potential[before_end])
    assert (observed[~before_end] == 10**6).all()


def test_the_arms_differ_by_confounding_and_by_treatment(stories: list[Story], calibration: Calibration) -> None:
    treated = np.concatenate([story.assigned.tacrolimus for story in stories])
    severity = np.concatenate([story.assigned.baseline.latent_severity for story in stories])
    assert severity[treated].mean() - severity[~treated].mean() > 0.2
    states = np.concatenate(
        [
            potential_outcomes(
                story.noise,
                flare_hazard(story.assigned.baseline, MODEL.course),
                story.attendance.visit_day,
                calibration,
                MODEL.course,
            ).state
            for story in stories
        ],
        axis=1,
    )
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


def test_the_shipped_calibration_is_the_solved_one(record: Study, counts: Counts, calibration: Calibration) -> None:
    settings = (arm_sizes(record), np.asarray(record.visit_months), counts, MODEL)
    solved = calibrate(*settings)
    np.testing.assert_allclose(calibration.intercept, solved.intercept, atol=1e-9)
    np.testing.assert_allclose(calibration.share_assessed, solved.share_assessed)
    np.testing.assert_allclose(calibration.no_response_below, solved.no_response_below, atol=1e-9)
    np.testing.assert_allclose(calibration.complete_from, solved.complete_from, atol=1e-9)
    assert len(fingerprint(*settings)) == 64


def test_other_settings_are_solved_anew(record: Study, counts: Counts, calibration: Calibration) -> None:
    more_flares = replace(MODEL, course=replace(MODEL.course, flare_rate=2 * MODEL.course.flare_rate))
    anew = calibration_for(record.name, arm_sizes(record), np.asarray(record.visit_months), counts, more_flares)
    assert (anew.no_response_below[:, 1:] < calibration.no_response_below[:, 1:]).all()


def test_rates_that_need_more_flares_than_there_are_name_the_arm_and_visit() -> None:
    assessed = np.full((2, 2), 80)
    impossible = Counts(assessed, np.array([[70, 10], [40, 40]]), np.array([[8, 8], [20, 20]]))
    with pytest.raises(CalibrationError, match=r"arm 0, visit 2: too few flares.*raise the flare rate"):
        calibrate((90, 90), np.array([6, 12]), impossible, MODEL)
