"""E-values and tipping points against arithmetic done by hand."""

from __future__ import annotations

import math

import pytest

from analyses.sensitivity import e_value, tipping_points
from cohort.errors import AnalysisError, UsageError


def estimates(table):
    return table.frame["estimate"].tolist()


def test_risk_ratio_of_two():
    """2 + sqrt(2 * 1) = 3.41421356..."""
    assert estimates(e_value(2.0)) == pytest.approx([2 + math.sqrt(2)], rel=1e-14)


def test_protective_ratios_are_turned_round():
    """1/2 needs as much as 2; its limit nearer to 1 is the upper one, 1/1.25: 1.25 + sqrt(1.25 * 0.25)."""
    assert estimates(e_value(0.5, 0.25, 0.8)) == pytest.approx([2 + math.sqrt(2), 1.25 + math.sqrt(0.3125)], rel=1e-14)


def test_common_odds_ratio_is_its_root():
    """OR 4 counts as RR 2; a rare outcome's OR 4 as RR 4: 4 + sqrt(12)."""
    assert estimates(e_value(4.0, scale="odds_ratio")) == pytest.approx([2 + math.sqrt(2)], rel=1e-14)
    assert estimates(e_value(4.0, scale="odds_ratio", rare=True)) == pytest.approx([4 + math.sqrt(12)], rel=1e-14)


def test_common_hazard_ratio():
    """HR 4: (1 - 0.5^2) / (1 - 0.5^0.5) = 0.75 / 0.29289322 = 2.56066017; plus sqrt(2.56066017 * 1.56066017)."""
    ratio = 0.75 / (1 - math.sqrt(0.5))
    assert estimates(e_value(4.0, scale="hazard_ratio")) == pytest.approx([ratio + math.sqrt(ratio * (ratio - 1))])


def test_nothing_is_needed_to_explain_nothing():
    frame = e_value(1.0, 0.8, 1.25).frame
    assert frame["estimate"].tolist() == [1, 1]
    assert "holds 1" in frame["note"].iloc[1]


def test_tipping_point_moves_the_estimate_to_one():
    """p1 = 0.6, p0 = 0.2, RR 1.5: 1 + 0.6 x = 1.5 + 0.3 x, x = 5/3, g = 8/3; the factor 2 / (4/3) is 1.5."""
    (strength,) = estimates(tipping_points(1.5, prevalence_treated=[0.6], prevalence_reference=0.2))
    assert strength == pytest.approx(8 / 3, rel=1e-14)
    assert (1 + (strength - 1) * 0.6) / (1 + (strength - 1) * 0.2) == pytest.approx(1.5, rel=1e-14)


def test_a_harmful_looking_estimate_may_be_tipped_by_a_protective_confounder():
    """p1 = 0, p0 = 0.5, RR 1.25: 1 = 1.25 (1 + 0.5 x), x = -0.4, g = 0.6."""
    assert estimates(tipping_points(1.25, prevalence_treated=[0.0], prevalence_reference=0.5)) == pytest.approx([0.6])


def test_what_no_strength_can_do_is_said():
    """p1 = 0.6, p0 = 0.5 gives factors from 0.4/0.5 = 0.8 to 1.2 only; p1 = p0 gives none; RR 1 needs none."""
    frame = tipping_points(1.5, prevalence_treated=[0.6, 0.5], prevalence_reference=0.5).frame
    assert frame["estimate"].isna().all()
    assert "factors from 0.8 to 1.2" in frame["note"].iloc[0]
    assert "cannot confound" in frame["note"].iloc[1]
    assert estimates(tipping_points(1.0, prevalence_treated=[0.5], prevalence_reference=0.5)) == [1]


def test_limits_of_the_factor_may_be_infinite():
    """p0 = 0: the factor grows without limit; p0 = 1: it does as g falls to 0, and tends to p1 above."""
    (strength,) = estimates(tipping_points(3.0, prevalence_treated=[0.5], prevalence_reference=0.0))
    assert strength == pytest.approx(5)
    frame = tipping_points(0.2, prevalence_treated=[0.4], prevalence_reference=1.0).frame
    assert "factors from 0.4 to inf" in frame["note"].iloc[0]
    frame = tipping_points(0.5, prevalence_treated=[0.4], prevalence_reference=0.0).frame
    assert "factors from 0.6 to inf" in frame["note"].iloc[0]
    frame = tipping_points(1.2, prevalence_treated=[0.6], prevalence_reference=0.5).frame
    assert frame["estimate"].isna().all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((-1.0,), "positive and finite; got -1"), ((2.0, 2.5, 3.0), "do not enclose"), ((2.0, 1.0), "conf_high")],
)
def test_impossible_ratios(arguments, message):
    with pytest.raises(AnalysisError, match=message):
        e_value(*arguments)


def test_impossible_requests():
    with pytest.raises(UsageError, match="unknown scale; got mean"):
        e_value(2.0, scale="mean")
    with pytest.raises(AnalysisError, match=r"between 0 and 1; got 1\.2, 0\.5"):
        tipping_points(2.0, prevalence_treated=[1.2], prevalence_reference=0.5)
    with pytest.raises(AnalysisError, match="no prevalence"):
        tipping_points(2.0, prevalence_treated=[], prevalence_reference=0.5)
