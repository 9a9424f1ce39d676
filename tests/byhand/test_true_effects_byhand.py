"""Protects true effects, their weights and standard errors against populations small enough to work out by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cohort.record import Measure
from synthetic.course import COMPLETE, NO_DAY, NO_RESPONSE, PARTIAL
from synthetic.estimands import Comparisons, Estimand, TargetPopulation, population_weights, true_value
from synthetic.event_curves import cox_limit, restricted_mean_years
from synthetic.true_effects import average_effects
from synthetic.truth import PotentialOutcomes

CR, PR, NR = COMPLETE, PARTIAL, NO_RESPONSE
NO = NO_DAY
COMPARISONS = Comparisons(("drug", "control"), (6, 12), np.array([183, 365]))
OUTCOMES = PotentialOutcomes(
    # Four patients at months 6 and 12, on drug, then on control.
    state=np.array(
        [
            [[CR, CR], [CR, PR], [PR, NR], [NR, CR]],
            [[CR, PR], [NR, NR], [NR, NR], [NR, CR]],
        ]
    ),
    flare_day=np.array([[NO, 200, NO, NO], [300, NO, NO, NO]]),
    failure_day=np.array([[NO, 250, NO, NO], [NO, NO, 265, NO]]),
    death_day=np.array([NO, NO, 315, 400]),
)
PROBABILITY = np.array([[0.5, 0.5], [0.5, 0.5], [0.8, 0.2], [0.2, 0.8]])


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return average_effects(COMPARISONS, [(OUTCOMES, PROBABILITY)])


def value(table: pd.DataFrame, measure: Measure, estimand: str, population: str = "ATE", month: int = 12) -> float:
    return true_value(table, Estimand(measure, estimand, population, "drug v control", month))


def test_responses_of_everybody_are_counted(table: pd.DataFrame) -> None:
    complete, overall = Measure.COMPLETE_RESPONSE, Measure.OVERALL_RESPONSE
    # Month 6: CR in 2 of 4 on drug and 1 of 4 on control; CR or PR in 3 and 1.
    assert value(table, complete, "risk", month=6) == pytest.approx(1 / 2)
    assert value(table, complete, "reference_risk", month=6) == pytest.approx(1 / 4)
    assert value(table, complete, "risk_difference", month=6) == pytest.approx(1 / 4)
    assert value(table, complete, "risk_ratio", month=6) == pytest.approx(2)
    assert value(table, complete, "odds_ratio", month=6) == pytest.approx(3)
    assert value(table, overall, "risk_difference", month=6) == pytest.approx(1 / 2)
    assert value(table, overall, "odds_ratio", month=6) == pytest.approx(9)
    # Month 12: CR in 2 and 1, CR or PR in 3 and 2; the third patient, dead by then, counts as if alive.
    assert value(table, complete, "risk_difference") == pytest.approx(1 / 4)
    assert value(table, overall, "risk_difference") == pytest.approx(1 / 4)


def test_treated_and_overlap_weigh_patients_by_their_probabilities(table: pd.DataFrame) -> None:
    complete = Measure.COMPLETE_RESPONSE
    # At month 6 only the second patient responds on drug alone; weights of the treated 0.5, 0.5, 0.8, 0.2.
    assert value(table, complete, "risk_difference", "ATT", 6) == pytest.approx(0.5 / 2.0)
    # Overlap weights 0.25, 0.25, 0.16, 0.16.
    assert value(table, complete, "risk_difference", "ATO", 6) == pytest.approx(0.25 / 0.82)
    assert value(table, complete, "risk", "ATO", 6) == pytest.approx(0.5 / 0.82)


def test_overlap_of_three_arms_is_that_of_the_two_compared() -> None:
    probability = np.array([[0.2, 0.5, 0.3]])
    assert population_weights(probability, 0, TargetPopulation.ATO) == pytest.approx([0.2 * 0.3 / 0.5])
    assert population_weights(probability, 1, TargetPopulation.ATO) == pytest.approx([0.5 * 0.3 / 0.8])
    assert population_weights(probability, 1, TargetPopulation.ATT) == pytest.approx([0.5])


def test_first_events_are_cut_at_the_horizon(table: pd.DataFrame) -> None:
    free, poor, flare = Measure.FLARE_FREE_SURVIVAL, Measure.POOR_OUTCOME, Measure.RENAL_FLARE
    # First events on drug: none, day 200 (flare), day 315 (death), none before day 365 (death on day 400).
    assert value(table, free, "restricted_mean") == pytest.approx((365 + 200 + 315 + 365) / 4 / 365.25)
    # On control: day 300 (flare), none, day 265 (kidney failure before death), none.
    assert value(table, free, "reference_restricted_mean") == pytest.approx((300 + 365 + 265 + 365) / 4 / 365.25)
    assert value(table, free, "restricted_mean_difference") == pytest.approx(-50 / 4 / 365.25)
    # Kidney failure or death: days 250 and 315 against day 265.
    assert value(table, poor, "restricted_mean_difference") == pytest.approx((250 + 315 - 365 - 265) / 4 / 365.25)
    assert value(table, flare, "cumulative_incidence") == pytest.approx(1 / 4)
    assert value(table, flare, "cumulative_incidence_difference") == pytest.approx(0)
    assert value(table, flare, "reference_cumulative_incidence", month=6) == 0


def test_hazard_ratio_solves_the_score_equation_of_the_ordered_events(table: pd.DataFrame) -> None:
    # Event-free: days 200 drug (4 and 4 at risk), 265 control (3, 4), 300 control (3, 3), 315 drug (3, 2).
    # 2 = t/(t+1) + 3t/(3t+4) + t/(t+1) + 3t/(3t+2).
    found = value(table, Measure.FLARE_FREE_SURVIVAL, "hazard_ratio")
    assert 2 * found / (found + 1) + 3 * found / (3 * found + 4) + 3 * found / (3 * found + 2) == pytest.approx(2)
    # Poor outcome: days 250 drug (4, 4), 265 control (3, 4), 315 drug (3, 3):
    # 2 = t/(t+1) + 3t/(3t+4) + t/(t+1), that is 3t^2 - 3t - 8 = 0.
    found = value(table, Measure.POOR_OUTCOME, "hazard_ratio")
    assert found == pytest.approx((3 + np.sqrt(9 + 96)) / 6)


def test_hazard_ratio_of_a_two_by_two_table() -> None:
    # One day of events: 3 of 10 against 1 of 10. Breslow's score: 3/10 = 4/10 * t/(t+1), so t = 3.
    assert cox_limit(np.array([0, 0.3]), np.array([0, 0.1])) == pytest.approx(3)
    # Two days: at risk 1 against 1 with events 1/2 and 0, then 1/2 against 1 with 1/2 and 1/2.
    # 1 = (1/2) t/(t+1) + (t/2) / (t/2+1), that is t^2 - 2t - 4 = 0.
    assert cox_limit(np.array([0, 0.5, 0.5]), np.array([0, 0.0, 0.5])) == pytest.approx(1 + np.sqrt(5))


def test_no_hazard_ratio_exists_without_events_in_both_arms_while_the_other_is_at_risk() -> None:
    some, none = np.array([0, 0.5, 0]), np.zeros(3)
    assert np.isnan(cox_limit(some, none))
    assert np.isnan(cox_limit(none, some))
    assert np.isnan(cox_limit(none, none))
    # Everybody of the one arm has the event before anybody of the other.
    assert np.isnan(cox_limit(np.array([0, 1.0, 0]), np.array([0, 0, 0.5])))


def test_restricted_mean_is_the_area_under_the_steps() -> None:
    # Half at day 1, a quarter at day 3, horizon 4 days: 1 + 1/2 + 1/2 + 1/4.
    assert restricted_mean_years(np.array([0, 0.5, 0, 0.25, 0])) == pytest.approx(2.25 / 365.25)
    # An event on the last day costs no time.
    assert restricted_mean_years(np.array([0, 0, 1.0])) == pytest.approx(2 / 365.25)


def test_standard_errors_are_those_of_leaving_out_one_patient(table: pd.DataFrame) -> None:
    # Up to as many groups as patients, so the error of a mean is the sample standard deviation over the root of n:
    # month 6, differences of complete response 0, 1, 0, 0.
    row = table[(table["estimand"] == "risk_difference") & (table["population"] == "ATE") & (table["month"] == 6)]
    assert row["std_error"].iloc[0] == pytest.approx(np.std([0, 1, 0, 0], ddof=1) / 2)


def test_undefined_values_say_why() -> None:
    nobody = PotentialOutcomes(
        state=np.full((2, 2, 2), NR),
        flare_day=np.full((2, 2), NO),
        failure_day=np.full((2, 2), NO),
        death_day=np.full(2, NO),
    )
    empty = average_effects(COMPARISONS, [(nobody, np.full((2, 2), 0.5))])
    missing = empty[empty["value"].isna()]
    assert set(missing["estimand"]) == {"risk_ratio", "odds_ratio", "hazard_ratio"}
    assert missing["note"].notna().all()
    assert empty.loc[empty["value"].notna(), "note"].isna().all()
    assert missing["std_error"].isna().all()
    assert (empty.loc[empty["estimand"] == "risk_difference", "value"] == 0).all()


def test_one_patient_has_values_without_errors() -> None:
    first = PotentialOutcomes(
        OUTCOMES.state[:, :1], OUTCOMES.flare_day[:, :1], OUTCOMES.failure_day[:, :1], OUTCOMES.death_day[:1]
    )
    table = average_effects(COMPARISONS, [(first, PROBABILITY[:1])])
    assert value(table, Measure.COMPLETE_RESPONSE, "risk", month=6) == 1
    assert table["std_error"].isna().all()
