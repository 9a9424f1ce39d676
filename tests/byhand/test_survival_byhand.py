"""Protects the survival estimators against truths small enough to derive by hand."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from analyses.survival import (
    cumulative_incidence,
    fit_cox,
    kaplan_meier,
    logrank,
    median_survival,
    numbers_at_risk,
    restricted_mean,
)

Z = 1.959963984540054
COLUMNS = {"duration_col": "t", "event_col": "d"}


def frame(t: list[float], d: list[int], **more: list[object]) -> pd.DataFrame:
    return pd.DataFrame({"t": t, "d": d, **more})


def test_kaplan_meier_with_ties_between_events_and_a_censoring() -> None:
    """Five rows, two events and a censoring at 2, an event at 4, a censoring at 5.

    The censored row at 2 is still at risk there: S(2) = 3/5, Greenwood 2/(5*3) = 2/15, variance 9/25 * 2/15.
    Two rows remain: S(4) = 3/5 * 1/2 = 3/10, Greenwood 2/15 + 1/2 = 19/30, variance 9/100 * 19/30.
    """
    rows = kaplan_meier(frame([2, 2, 2, 4, 5], [1, 0, 1, 1, 0]), **COLUMNS).frame
    assert rows["time"].tolist() == [2, 4, 5]
    assert rows["n"].tolist() == [5, 2, 1]
    assert rows["n_events"].tolist() == [2, 1, 0]
    np.testing.assert_allclose(rows["estimate"], [0.6, 0.3, 0.3], rtol=1e-14)
    np.testing.assert_allclose(rows["std_error"][:2] ** 2, [9 / 25 * 2 / 15, 9 / 100 * 19 / 30], rtol=1e-14)
    shift = Z * math.sqrt(2 / 15) / math.log(0.6)
    np.testing.assert_allclose(
        rows.loc[0, ["conf_low", "conf_high"]].to_numpy(dtype=float),
        [0.6 ** math.exp(-shift), 0.6 ** math.exp(shift)],
        rtol=1e-12,
    )
    assert rows["note"].isna().all()


def test_kaplan_meier_with_delayed_entry() -> None:
    """Spells (0,3] event, (1,4] event, (3,5] censored.

    At 3 the third row, entering at 3, is not yet at risk: S = 1/2. At 4 rows two and three are: S = 1/4.
    """
    data = frame([3, 4, 5], [1, 1, 0], entry=[0, 1, 3])
    rows = kaplan_meier(data, **COLUMNS, entry_col="entry").frame
    assert rows["n"].tolist() == [2, 2, 1]
    assert rows["estimate"].tolist() == [0.5, 0.25, 0.25]
    np.testing.assert_allclose(rows["std_error"] ** 2, [1 / 8, 1 / 16, 1 / 16], rtol=1e-14)


def test_a_risk_set_that_empties_before_others_enter_ends_the_curve_at_zero() -> None:
    """(0,1] event alone at risk, then (2,3] censored: S(1) = 0 and stays there, although one is at risk at 3."""
    rows = kaplan_meier(frame([1, 3], [1, 0], entry=[0, 2]), **COLUMNS, entry_col="entry").frame
    assert rows["estimate"].tolist() == [0, 0]
    assert rows["n"].tolist() == [1, 1]


@pytest.mark.parametrize("weights_col", [None, "w"])
def test_curves_without_events_and_with_all_events_tied(weights_col: str | None) -> None:
    """No event: S = 1 and no log-log interval. All fail at one time: S = 0 with neither error nor interval."""
    data = frame([1, 2, 3, 3], [0, 0, 1, 1], arm=["x", "x", "y", "y"], w=[1, 2, 0.1, 0.2])
    rows = kaplan_meier(data, **COLUMNS, by="arm", weights_col=weights_col).frame
    assert rows["group"].tolist() == ["x", "x", "y"]
    assert rows["estimate"].tolist() == [1, 1, 0]
    assert rows["std_error"][:2].tolist() == [0, 0]
    assert rows[["conf_low", "conf_high"]].isna().all(axis=None)
    assert math.isnan(rows["std_error"][2])
    assert rows["note"].tolist() == [
        "no event yet: the interval does not exist on this scale",
        "no event yet: the interval does not exist on this scale",
        "survival has reached zero: no standard error or interval",
    ]


def test_weighted_kaplan_meier_has_the_delta_method_variance() -> None:
    """Weights 2 (event at 1) and 1 (censored at 2): S(1) = w2 / (w1 + w2) = 1/3.

    dS/dw1 = -w2 / (w1+w2)^2 = -1/9 and dS/dw2 = 2/9, so the variance is (2 * 1/9)^2 + (1 * 2/9)^2 = 8/81.
    The area up to 2 is 1 + S(1), with the same derivative, hence the same variance.
    """
    data = frame([1, 2], [1, 0], w=[2, 1])
    rows = kaplan_meier(data, **COLUMNS, weights_col="w").frame
    np.testing.assert_allclose(rows["estimate"], [1 / 3, 1 / 3], rtol=1e-14)
    np.testing.assert_allclose(rows["std_error"] ** 2, [8 / 81, 8 / 81], rtol=1e-14)
    area = restricted_mean(data, **COLUMNS, tau=2, weights_col="w").frame
    np.testing.assert_allclose(area["estimate"], 4 / 3, rtol=1e-14)
    np.testing.assert_allclose(area["std_error"] ** 2, 8 / 81, rtol=1e-14)


def test_median_of_a_curve_resting_on_one_half_is_the_midpoint() -> None:
    """Events at 1, 2, 3, 4: S = 3/4, 1/2 from 2 to 3, 1/4, 0, so the median is 2.5. With 1, 2, 3 it is 2."""
    assert median_survival(frame([1, 2, 3, 4], [1] * 4), **COLUMNS).frame["estimate"].item() == 2.5
    assert median_survival(frame([1, 2, 3], [1] * 3), **COLUMNS).frame["estimate"].item() == 2


def test_median_not_reached_and_open_limit_are_said() -> None:
    """One event in four leaves S = 3/4. A curve that ends on one half has the time it got there as median."""
    rows = median_survival(frame([1, 2, 3, 4, 1, 2], [1, 0, 0, 0, 1, 0], arm=list("aaaabb")), **COLUMNS, by="arm").frame
    assert math.isnan(rows["estimate"][0])
    assert rows["note"][0] == "survival does not fall to one half: the median is not reached"
    assert rows["estimate"][1] == 1
    assert math.isnan(rows["conf_high"][1])
    assert "that limit is open" in rows["note"][1]


def test_numbers_at_risk_count_entries_and_events() -> None:
    """Spells (0,3] event, (1,4] event, (3,5] censored; at 3 the third is not in yet, at 0 only the first is."""
    data = frame([3, 4, 5], [1, 1, 0], entry=[0, 1, 3], w=[2, 3, 4])
    rows = numbers_at_risk(data, **COLUMNS, times=[0, 3, 4, 6], entry_col="entry").frame
    assert rows["estimate"].tolist() == rows["n"].tolist() == [1, 2, 2, 0]
    assert rows["n_events"].tolist() == [0, 1, 2, 2]
    weighted = numbers_at_risk(data, **COLUMNS, times=[4, 0], weights_col="w").frame
    assert weighted["n"].tolist() == [7, 9]
    assert weighted["n_events"].tolist() == [5, 0]


def test_logrank_without_ties() -> None:
    """a fails at 1 and 2, b at 3 and 4: expected in a is 2/4 + 1/3 = 5/6, variance 1/4 + 2/9 = 17/36.

    From 3 on only b is at risk. Chi-square (2 - 5/6)^2 / (17/36) = 49/17.
    """
    row = logrank(frame([1, 2, 3, 4], [1] * 4, arm=list("aabb")), **COLUMNS, by="arm").frame.iloc[0]
    assert row["estimate"] == pytest.approx(49 / 17, rel=1e-14)
    assert row["p_value"] == pytest.approx(math.erfc(math.sqrt(49 / 34)), rel=1e-12)
    assert row["note"] == "df=1"


def test_logrank_with_ties_uses_the_hypergeometric_variance() -> None:
    """Both arms of two lose one at 1: expected 1, variance 2 * 1/4 * (4-2)/(4-1) = 1/3. Then a fails at 2 with one
    of each at risk: expected 1/2, variance 1/4. Chi-square (1/2)^2 / (7/12) = 3/7."""
    row = logrank(frame([1, 2, 1, 3], [1, 1, 1, 0], arm=list("aabb")), **COLUMNS, by="arm").frame.iloc[0]
    assert row["estimate"] == pytest.approx(3 / 7, rel=1e-14)


def test_weighted_logrank_sums_squared_score_residuals() -> None:
    """Weights 1 and 2, arm b fails at 1 (weight 1), arm a is censored at 2 (weight 2).

    At 1 the share of b is 1/3 and the hazard 1/3. Residuals of b: 1 - 1/3 - (1 - 1/3)/3 = 4/9 and of a: 1/9; weighted
    4/9 and 2/9. Score 4/9 + 2/9 = 2/3; chi-square (2/3)^2 / (16/81 + 4/81) = 9/5.
    """
    row = logrank(frame([1, 2], [1, 0], arm=list("ba"), w=[1, 2]), **COLUMNS, by="arm", weights_col="w").frame.iloc[0]
    assert row["estimate"] == pytest.approx(9 / 5, rel=1e-14)


@pytest.mark.parametrize(
    ("t", "d", "why"),
    [
        ([1, 2, 3, 4], [0, 0, 0, 0], "no events"),
        ([1, 1, 2, 3], [0, 0, 1, 1], "no event while two groups are at risk: nothing to compare"),
        ([1, 1, 1, 1], [1, 1, 1, 1], "no event while two groups are at risk: nothing to compare"),
    ],
)
@pytest.mark.parametrize("weights_col", [None, "w"])
def test_logrank_with_nothing_to_compare(t: list[float], d: list[int], why: str, weights_col: str | None) -> None:
    """No events; arm a gone before the first event; everyone failing at once (the margins fix the table)."""
    data = frame(t, d, arm=list("aabb"), w=[1.0] * 4)
    row = logrank(data, **COLUMNS, by="arm", weights_col=weights_col).frame.iloc[0]
    assert math.isnan(row["estimate"])
    assert math.isnan(row["p_value"])
    assert row["note"] == why


def test_restricted_mean_and_its_contrasts() -> None:
    """a: event at 1, censored at 3: area 1 + 2/2 = 2, variance 1^2 * 1/(2*1) = 1/2. b: no event: area 3, variance 0."""
    rows = restricted_mean(frame([1, 3, 3, 3], [1, 0, 0, 0], arm=list("aabb")), **COLUMNS, by="arm", tau=3).frame
    assert rows["statistic"].tolist() == [
        "restricted_mean",
        "restricted_mean",
        "restricted_mean_difference",
        "restricted_mean_ratio",
    ]
    np.testing.assert_allclose(rows["estimate"], [2, 3, 1, 1.5], rtol=1e-14)
    np.testing.assert_allclose(rows["std_error"] ** 2, [1 / 2, 0, 1 / 2, 1 / 8], rtol=1e-14)
    assert rows["contrast"].tolist()[2:] == ["b v a", "b v a"]
    assert rows["note"][1] == "no event up to tau: the standard error is zero"
    assert rows["conf_low"][3] == pytest.approx(1.5 * math.exp(-Z / math.sqrt(8)), rel=1e-12)
    assert rows["p_value"][2] == pytest.approx(math.erfc(1 / math.sqrt(0.5) / math.sqrt(2)), rel=1e-12)


def test_restricted_means_of_zero_and_without_any_event() -> None:
    """All of arm b fail at time 0: its mean is 0 and has no ratio. Without events there is no test."""
    zero = restricted_mean(frame([3, 3, 0, 0], [1, 0, 1, 1], arm=list("aabb")), **COLUMNS, by="arm", tau=3).frame
    assert zero["estimate"].tolist()[:3] == [3, 0, -3]
    assert zero["note"][3] == "a mean is zero: the ratio has no logarithm"
    never = restricted_mean(frame([3, 3, 4, 4], [0] * 4, arm=list("aabb")), **COLUMNS, by="arm", tau=2).frame
    assert never["estimate"].tolist() == [2, 2, 0, 1]
    assert never["p_value"].isna().all()
    assert never["note"].tolist()[2:] == ["both standard errors are zero: no test"] * 2


def test_restricted_mean_may_pass_the_last_event_once_survival_is_zero() -> None:
    """Events at 1 and 2 leave nothing beyond 2: the area up to 10 is 1 + 1/2."""
    rows = restricted_mean(frame([1, 2], [1, 1]), **COLUMNS, tau=10).frame
    assert rows["estimate"].item() == 1.5


def test_cox_without_ties() -> None:
    """x: 1 fails at 1, 0 at 2, 1 at 3, 0 is censored. With r = exp(beta) the likelihood is
    r/(2r+2) * 1/(r+2) * r/(r+1); its maximum solves r^2 - r - 4 = 0.

    Information: r/(r+1)^2 + 2r/(r+2)^2 + r/(r+1)^2.
    """
    fit = fit_cox(frame([1, 2, 3, 4], [1, 1, 1, 0], x=[1, 0, 1, 0]), "x", **COLUMNS)
    r = (1 + math.sqrt(17)) / 2
    assert fit.coefficients[0] == pytest.approx(math.log(r), rel=1e-12)
    assert fit.variance[0, 0] == pytest.approx(1 / (2 * r / (r + 1) ** 2 + 2 * r / (r + 2) ** 2), rel=1e-12)
    assert fit.log_likelihood == pytest.approx(2 * math.log(r) - math.log((2 * r + 2) * (r + 2) * (r + 1)), rel=1e-12)
    assert fit.log_likelihood_null == pytest.approx(-math.log(24), rel=1e-12)


TIED = frame([1, 1, 2], [1, 1, 0], x=[1, 0, 0])


def test_cox_with_efron_ties_and_its_exact_score_residuals() -> None:
    """x = 1 and x = 0 fail together, another x = 0 is censored: likelihood r / ((r+2) (r+2 - (r+1)/2)).

    1 = r/(r+2) + r/(r+3) gives r = sqrt(6). The two covariate means are m1 = r/(r+2) and m2 = r/(r+3), mean 1/2; the
    increments h1 = 1/(r+2), h2 = 2/(r+3). A tied event is exposed to h1 and to half of h2.
    """
    fit = fit_cox(TIED, "x", **COLUMNS, robust=True)
    r = math.sqrt(6)
    m1, m2, h1, h2 = r / (r + 2), r / (r + 3), 1 / (r + 2), 2 / (r + 3)
    information = 2 * r / (r + 2) ** 2 + 3 * r / (r + 3) ** 2
    residuals = [
        0.5 - r * ((1 - m1) * h1 + 0.5 * (1 - m2) * h2),
        -0.5 + m1 * h1 + 0.5 * m2 * h2,
        m1 * h1 + m2 * h2,
    ]
    assert sum(residuals) == pytest.approx(0, abs=1e-15)
    assert fit.coefficients[0] == pytest.approx(math.log(6) / 2, rel=1e-12)
    assert fit.variance[0, 0] == pytest.approx(1 / information, rel=1e-12)
    assert fit.robust_variance is not None
    assert fit.robust_variance[0, 0] == pytest.approx(sum(u * u for u in residuals) / information**2, rel=1e-12)


def test_cox_with_breslow_ties() -> None:
    """The same rows under Breslow: r / (r+2)^2 is largest at r = 2, with information 2 * 2r/(r+2)^2 = 1/2."""
    fit = fit_cox(TIED, "x", **COLUMNS, ties="breslow")
    assert fit.coefficients[0] == pytest.approx(math.log(2), rel=1e-12)
    assert fit.variance[0, 0] == pytest.approx(2, rel=1e-12)


def test_cox_with_delayed_entry() -> None:
    """x=1 fails at 1; x=0 enters at 1 and fails at 2; an x=0 and an x=1 are censored at 3.

    The late row is not at risk at 1: r/(2r+1) * 1/(r+2), largest at r = 1. Were it there from 0, the likelihood would
    be r/(2r+2) * 1/(r+2), largest at r = sqrt(2).
    """
    data = frame([1, 3, 2, 3], [1, 0, 1, 0], x=[1, 0, 0, 1], entry=[0, 0, 1, 0])
    assert fit_cox(data, "x", **COLUMNS, entry_col="entry").coefficients[0] == pytest.approx(0, abs=1e-12)
    assert fit_cox(data, "x", **COLUMNS).coefficients[0] == pytest.approx(math.log(2) / 2, rel=1e-12)


def test_cox_with_an_event_at_time_zero() -> None:
    """Time zero is a time like any other: shifting the hand-made example by one changes nothing."""
    fit = fit_cox(frame([0, 1, 2, 3], [1, 1, 1, 0], x=[1, 0, 1, 0]), "x", **COLUMNS)
    assert fit.coefficients[0] == pytest.approx(math.log((1 + math.sqrt(17)) / 2), rel=1e-12)


def test_cumulative_incidence_with_ties() -> None:
    """Cause 1 at 1; cause 2 and a censoring at 2; cause 1 at 3.

    F1(1) = 1/4 with variance 1/4 * 3/4 / 4. At 2 three are at risk: F2 = 3/4 * 1/3 = 1/4, S = 1/2. At 3 the one left
    fails: F1 = 1/4 + 1/2 = 3/4.
    """
    rows = cumulative_incidence(frame([2, 3, 1, 2], [0, 1, 1, 2]), **COLUMNS).frame
    assert rows["term"].tolist() == ["1"] * 4 + ["2"] * 4
    assert rows["time"].tolist() == [0, 1, 2, 3] * 2
    np.testing.assert_allclose(rows["estimate"], [0, 0.25, 0.25, 0.75, 0, 0, 0.25, 0.25], rtol=1e-14)
    assert rows["std_error"][1] ** 2 == pytest.approx(3 / 64, rel=1e-14)
    assert rows["n"].tolist() == [4, 4, 3, 1] * 2
    assert rows["n_events"].tolist() == [0, 1, 0, 1, 0, 0, 1, 0]
    assert rows["note"][0] == "no event of this cause yet: the interval does not exist on this scale"


def test_cumulative_incidence_of_an_arm_without_the_cause_and_of_one_where_all_fail() -> None:
    """Arm a has no event at all; arm b fails entirely from cause 2, half of it at time 0."""
    data = frame([5, 5, 0, 2], [0, 0, 2, 2], arm=list("aabb"))
    rows = cumulative_incidence(data, **COLUMNS, by="arm").frame
    assert rows["group"].tolist() == ["a", "a", "b", "b"]
    assert rows["term"].tolist() == ["2"] * 4
    assert rows["time"].tolist() == [0, 5, 0, 2]
    assert rows["estimate"].tolist() == [0, 0, 0.5, 1]
    assert rows["note"][3] == "everyone has failed from this cause: no interval"


def test_a_declared_level_without_rows_is_not_a_group() -> None:
    arm = pd.Categorical(["a", "b"], categories=["a", "b", "empty"])
    rows = kaplan_meier(pd.DataFrame({"t": [1.0, 2.0], "d": [1, 1], "arm": arm}), **COLUMNS, by="arm").frame
    assert rows["group"].tolist() == ["a", "b"]
