"""Protects curves, tests and means of event times against truths small enough to derive by hand, case by case."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from analyses.survival import (
    censorings,
    kaplan_meier,
    logrank,
    logrank_events,
    logrank_trend,
    median_survival,
    nelson_aalen,
    restricted_mean,
    survival_at,
    survival_quantiles,
    turnbull,
)

Z = 1.959963984540054
COLUMNS = {"duration_col": "t", "event_col": "d"}


def frame(t: list[float], d: list[int], **more: list[object]) -> pd.DataFrame:
    return pd.DataFrame({"t": t, "d": d, **more})


TIED = frame([2, 2, 2, 4, 5], [1, 0, 1, 1, 0])
LATE = frame([3, 4, 5], [1, 1, 0], entry=[0, 1, 3])
WEIGHED = frame([1, 2], [1, 0], w=[2, 1], both=["x", "x"], own=["x", "y"])


def test_nelson_aalen_with_ties() -> None:
    """Two of five fail at 2, one of two at 4: H = 2/5, then 2/5 + 1/2; variances 2/25 and 2/25 + 1/4 = 33/100."""
    rows = nelson_aalen(TIED, **COLUMNS).frame
    assert rows["time"].tolist() == [2, 4, 5]
    np.testing.assert_allclose(rows["estimate"], [0.4, 0.9, 0.9], rtol=1e-14)
    np.testing.assert_allclose(rows["std_error"] ** 2, [0.08, 0.33, 0.33], rtol=1e-14)
    assert rows["n"].tolist() == [5, 2, 1]
    assert rows["n_events"].tolist() == [2, 1, 0]


def test_nelson_aalen_with_delayed_entry() -> None:
    """Spells (0,3] event, (1,4] event, (3,5] censored: one of two at 3, one of two at 4."""
    rows = nelson_aalen(LATE, **COLUMNS, entry_col="entry").frame
    assert rows["estimate"].tolist() == [0.5, 1, 1]
    np.testing.assert_allclose(rows["std_error"] ** 2, [0.25, 0.5, 0.5], rtol=1e-14)


def test_nelson_aalen_with_one_event_and_its_intervals() -> None:
    """One of three fails: H = 1/3, standard error 1/3, so the log interval is 1/3 times exp of plus and minus z."""
    data = frame([1, 2, 3], [1, 0, 0])
    row = nelson_aalen(data, **COLUMNS).frame.iloc[0]
    assert row["conf_low"] == pytest.approx(math.exp(-Z) / 3, rel=1e-12)
    assert row["conf_high"] == pytest.approx(math.exp(Z) / 3, rel=1e-12)
    plain = nelson_aalen(data, **COLUMNS, conf_type="plain").frame.iloc[0]
    assert plain["conf_low"] == 0
    assert plain["conf_high"] == pytest.approx((1 + Z) / 3, rel=1e-12)


def test_nelson_aalen_without_events_with_all_tied_and_an_empty_arm() -> None:
    """No event: H = 0 without a log interval. Three failing at once: H = 1, variance 3/9. No rows: no group."""
    arm = pd.Categorical(["x", "x", "y", "y", "y"], categories=["w", "x", "y"])
    rows = nelson_aalen(frame([1, 2, 2, 2, 2], [0, 0, 1, 1, 1]).assign(arm=arm), **COLUMNS, by="arm").frame
    assert rows["group"].tolist() == ["x", "x", "y"]
    assert rows["estimate"].tolist() == [0, 0, 1]
    assert rows["std_error"].tolist()[:2] == [0, 0]
    assert rows["std_error"][2] ** 2 == pytest.approx(1 / 3, rel=1e-14)
    assert rows["note"].tolist()[:2] == ["no event yet: the interval does not exist on this scale"] * 2
    assert pd.isna(rows["note"][2])


@pytest.mark.parametrize(("cluster_col", "variance"), [(None, 8 / 81), ("own", 8 / 81), ("both", 0.0)])
def test_weights_and_clusters_of_curves(cluster_col: str | None, variance: float) -> None:
    """Weights 2 (event at 1) and 1 (censored at 2): S = 1/3 with derivatives -1/9 and 2/9, H = 2/3 with 1/9 and -2/9.

    Rows apart: (2/9)^2 + (2/9)^2 = 8/81. Both rows in one cluster: 2/9 - 2/9 = 0, since scaling all weights changes
    nothing. The area up to 2 is 1 + S.
    """
    weighted = {**COLUMNS, "weights_col": "w", "cluster_col": cluster_col}
    curves = kaplan_meier(WEIGHED, **weighted).frame
    hazards = nelson_aalen(WEIGHED, **weighted).frame
    area = restricted_mean(WEIGHED, **weighted, tau=2).frame
    np.testing.assert_allclose(curves["estimate"], 1 / 3, rtol=1e-14)
    np.testing.assert_allclose(hazards["estimate"], 2 / 3, rtol=1e-14)
    for rows in (curves, hazards, area):
        np.testing.assert_allclose(rows["std_error"] ** 2, variance, rtol=1e-13, atol=1e-30)


def test_kaplan_meier_with_one_event_after_a_censoring() -> None:
    """One of the three left fails at 2: S = 2/3, Greenwood 1/(3*2), variance 4/9 * 1/6 = 2/27."""
    rows = kaplan_meier(frame([1, 2, 3, 3], [0, 1, 0, 0]), **COLUMNS).frame
    assert rows["estimate"][1] == pytest.approx(2 / 3, rel=1e-14)
    assert rows["std_error"][1] ** 2 == pytest.approx(2 / 27, rel=1e-13)


def test_censorings_at_a_time_of_events_too() -> None:
    """At 2 two fail and one is censored; at 4 only an event; at 5 a censoring. Nobody is censored in arm b."""
    rows = censorings(TIED.assign(w=[1, 3, 1, 1, 2]), **COLUMNS, weights_col="w").frame
    assert rows[["time", "estimate", "n", "n_events"]].to_numpy().tolist() == [[2, 3, 8, 2], [5, 2, 2, 0]]
    rows = censorings(frame([1, 2, 1, 1], [1, 0, 1, 1], arm=list("aabb")), **COLUMNS, by="arm").frame
    assert rows["group"].tolist() == ["a", "b"]
    assert rows["estimate"].tolist() == [1, 0]
    assert rows["note"].tolist()[1] == "nobody is censored"
    assert rows["n_events"][1] == 2


ONE_OF_TWO_ONE_OF_THREE = frame([1, 2, 1, 2, 2], [1, 0, 1, 0, 0], arm=list("aabbb"))


def test_milestones_and_their_difference() -> None:
    """S(1.5) = 1/2 with variance 1/8, and 2/3 with 2/27: difference 1/6 with variance 1/8 + 2/27 = 43/216."""
    rows = survival_at(ONE_OF_TWO_ONE_OF_THREE, **COLUMNS, by="arm", times=[1.5, 0.5, 3]).frame
    assert rows["statistic"].tolist() == ["survival"] * 6 + ["survival_difference"] * 3
    assert rows["time"].tolist() == [1.5, 0.5, 3] * 3
    np.testing.assert_allclose(rows["estimate"][[0, 1, 3, 4]], [1 / 2, 1, 2 / 3, 1], rtol=1e-14)
    assert rows["n"].tolist() == [1, 2, 0, 2, 3, 0, 3, 5, 0]
    assert rows["n_events"].tolist() == [1, 0, 1, 1, 0, 1, 2, 0, 2]
    difference = rows.iloc[6]
    error = math.sqrt(43 / 216)
    assert difference["contrast"] == "b v a"
    assert difference["estimate"] == pytest.approx(1 / 6, rel=1e-13)
    assert difference["std_error"] == pytest.approx(error, rel=1e-13)
    assert difference["conf_high"] == pytest.approx(1 / 6 + Z * error, rel=1e-13)
    assert difference["p_value"] == pytest.approx(math.erfc(1 / 6 / error / math.sqrt(2)), rel=1e-10)
    assert rows["note"][1] == "no event yet: the interval does not exist on this scale"
    assert rows["note"][7] == "both standard errors are zero: no test"
    assert rows["estimate"][[2, 5, 8]].isna().all()
    assert set(rows["note"][[2, 5, 8]]) == {"beyond the last observed time 2: survival is unknown there"}


def test_milestones_once_survival_is_zero() -> None:
    """Arm a has all failed at 1, so 0 is known for ever after, without error; the difference has none either."""
    rows = survival_at(frame([1, 1, 5, 5], [1, 1, 1, 0], arm=list("aabb")), **COLUMNS, by="arm", times=[4]).frame
    assert rows["estimate"].tolist() == [0, 1, 1]
    assert rows["std_error"].isna().tolist() == [True, False, True]
    assert rows["note"][0] == rows["note"][2] == "survival has reached zero: no standard error or interval"


def test_differences_of_groups_that_share_their_clusters() -> None:
    """Each patient has one row in each arm, with the same course: the difference is zero without any error."""
    data = frame([1, 3, 1, 3], [1, 0, 1, 0], arm=list("aabb"), patient=[1, 2, 1, 2])
    clustered = {**COLUMNS, "by": "arm", "cluster_col": "patient"}
    milestone = survival_at(data, **clustered, times=[2]).frame.iloc[2]
    assert milestone["estimate"] == milestone["std_error"] == 0
    areas = restricted_mean(data, **clustered, tau=3).frame
    assert areas["std_error"].tolist()[2:] == [0, 0]
    assert areas["std_error"][0] > 0
    median = survival_quantiles(data, **clustered, probabilities=[0.5]).frame.iloc[2]
    assert median["note"] == "clusters lie in both groups: no interval for this difference"


def test_quantiles_and_the_interval_of_their_difference() -> None:
    """Events at 1, 2, 3, 4 rest on 3/4, 1/2, 1/4: quartiles 1.5, 2.5, 3.5. The interval of a difference of medians
    adds the squared distances of each estimate to its nearer limits: (3 - l)^2 + (U - 2.5)^2 below."""
    data = frame([1, 2, 3, 4, 2, 3, 9, 9], [1, 1, 1, 1, 1, 1, 1, 0], arm=list("aaaabbbb"))
    rows = survival_quantiles(data, **COLUMNS, by="arm", conf_level=0.5, conf_type="plain").frame
    assert rows["term"].tolist() == ["0.25", "0.5", "0.75"] * 3
    assert rows["estimate"].tolist() == [1.5, 2.5, 3.5, 2.5, 6, 9, 1, 3.5, 5.5]
    a, b, difference = (rows.iloc[k] for k in (1, 4, 7))
    medians = median_survival(data, **COLUMNS, by="arm", conf_level=0.5, conf_type="plain").frame
    limits = ["estimate", "conf_low", "conf_high", "n", "n_events"]
    np.testing.assert_array_equal(medians[limits].to_numpy(), rows.loc[[1, 4], limits].to_numpy())
    low = 3.5 - math.hypot(6 - b["conf_low"], a["conf_high"] - 2.5)
    high = 3.5 + math.hypot(b["conf_high"] - 6, 2.5 - a["conf_low"])
    assert difference["conf_low"] == pytest.approx(low, rel=1e-14)
    assert difference["conf_high"] == pytest.approx(high, rel=1e-14)


def test_quantiles_that_are_not_reached() -> None:
    """One of two fails in arm a, one of three in b: the third quartile of neither is reached, the median of a is."""
    rows = survival_quantiles(ONE_OF_TWO_ONE_OF_THREE, **COLUMNS, by="arm", probabilities=[0.5, 0.75]).frame
    assert rows["estimate"][0] == 1
    assert "that limit is open" in rows["note"][0]
    assert rows["estimate"][1:].isna().all()
    assert set(rows["note"][1:]) == {"survival does not fall that far: the quantile is not reached"}


def test_restricted_mean_with_ties() -> None:
    """S is 1 to 2, 3/5 to 4, 3/10 to 5: area 2 + 6/5 + 3/10 = 7/2. Beyond 2 lie 3/2 and beyond 4 3/10 of it:
    (9/4)(2/15) + (9/100)(1/2) = 69/200."""
    row = restricted_mean(TIED, **COLUMNS, tau=5).frame.iloc[0]
    assert row["estimate"] == pytest.approx(3.5, rel=1e-14)
    assert row["std_error"] ** 2 == pytest.approx(69 / 200, rel=1e-13)


def test_restricted_mean_with_delayed_entry() -> None:
    """S is 1 to 3, 1/2 to 4, 1/4 to 5: 3 + 1/2 + 1/4. Beyond 3 lies 3/4, beyond 4 1/4: (9/16 + 1/16) / 2 = 5/16."""
    row = restricted_mean(LATE, **COLUMNS, tau=5, entry_col="entry").frame.iloc[0]
    assert row["estimate"] == 3.75
    assert row["std_error"] ** 2 == pytest.approx(5 / 16, rel=1e-13)
    assert pd.isna(row["note"])
    later = restricted_mean(LATE.assign(entry=[1, 1, 3]), **COLUMNS, tau=5, entry_col="entry").frame.iloc[0]
    assert later["note"] == "nobody is observed before 1: taken as event-free until then"


def test_restricted_mean_with_one_event_none_all_tied_and_an_empty_arm() -> None:
    """One of two fails at 1: 1 + 1/2 * 2 = 2, variance 1 * 1/2. Nobody: tau. All at 2: 2, without error."""
    arm = pd.Categorical(list("aabbcc"), categories=list("abcd"))
    data = frame([1, 3, 3, 3, 2, 2], [1, 0, 0, 0, 1, 1]).assign(arm=arm)
    rows = restricted_mean(data, **COLUMNS, by="arm", tau=3).frame
    assert rows["group"].tolist()[:3] == ["a", "b", "c"]
    assert rows["group"][3:].isna().all()
    assert rows["estimate"].tolist()[:3] == [2, 3, 2]
    np.testing.assert_allclose(rows["std_error"][:3] ** 2, [0.5, 0, 0], rtol=1e-14)
    assert rows["note"][1] == "no event up to tau: the standard error is zero"


def test_logrank_with_delayed_entry() -> None:
    """Arm a: (0,1] event, (0,4] censored; arm b: (1,3] event. At 1 only a is at risk: nothing. At 3 one of each is and
    b fails: expected 1/2, variance 1/4, chi-square 1. Were b there from 0: expected 1/3 + 1/2, variance 2/9 + 1/4."""
    data = frame([1, 4, 3], [1, 0, 1], arm=list("aab"), entry=[0, 0, 1])
    late = {**COLUMNS, "by": "arm", "entry_col": "entry"}
    assert logrank(data, **late).frame["estimate"].item() == pytest.approx(1, rel=1e-14)
    assert logrank(data, **COLUMNS, by="arm").frame["estimate"].item() == pytest.approx(1 / 36 / (17 / 36), rel=1e-13)
    events = logrank_events(data, **late).frame
    assert events["estimate"].tolist() == [1, 1.5, 1, 0.5]
    assert events["statistic"].tolist() == ["observed", "expected"] * 2
    assert events["n"].tolist() == [2, 2, 1, 1]
    assert events["n_events"].tolist() == [1, 1, 1, 1]


def test_weighted_logrank_with_delayed_entry() -> None:
    """The same rows with weights of one. At 3 the share of b and the hazard are 1/2: residuals of b 1/2 - 1/4 and of
    the a at risk 1/4, so (1/2)^2 / (1/16 + 1/16) = 2."""
    data = frame([1, 4, 3], [1, 0, 1], arm=list("aab"), entry=[0, 0, 1], w=[1.0] * 3)
    row = logrank(data, **COLUMNS, by="arm", entry_col="entry", weights_col="w").frame.iloc[0]
    assert row["estimate"] == pytest.approx(2, rel=1e-14)
    assert row["method"] == "weighted log-rank test, robust variance"


@pytest.mark.parametrize(("weights_col", "one", "two"), [(None, 1, 2), ("w", 4 / 3, 8 / 3)])
def test_logrank_with_one_event_and_over_two_strata(weights_col: str | None, one: float, two: float) -> None:
    """One of four fails, two in each arm: (1/2)^2 / (1/4) = 1.

    Weighted, with weights of one: the hazard is 1/4 and the share 1/2, residuals 3/8, -1/8, 1/8, 1/8 with squares
    3/16 in all, so (1/4) / (3/16) = 4/3. Two strata with the same rows: twice the score and twice the variance.
    """
    data = frame([1, 2, 2, 2], [1, 0, 0, 0], arm=list("aabb"), w=[1.0] * 4, site=["x"] * 4)
    doubled = pd.concat([data, data.assign(site="y")])
    arguments = {**COLUMNS, "by": "arm", "weights_col": weights_col}
    assert logrank(data, **arguments).frame["estimate"].item() == pytest.approx(one, rel=1e-13)
    assert logrank(doubled, **arguments, strata="site").frame["estimate"].item() == pytest.approx(two, rel=1e-13)


def test_weighted_logrank_with_ties_and_clusters() -> None:
    """Each arm of two loses one at 1, then a fails at 2; weights of one. Shares and hazards are 1/2 at both times.

    Residuals of a: 1/2 - 1/4 = 1/4 and -1/4 + 1/2 - 1/4 = 0; of b: -1/2 + 1/4 = -1/4 and 1/4 + 1/4 = 1/2. The score is
    1/2, squares 3/8: 2/3. With the first and the second of each arm as clusters the sums are 0 and 1/2: chi-square 1.
    """
    data = frame([1, 2, 1, 3], [1, 1, 1, 0], arm=list("aabb"), w=[1.0] * 4, pair=[1, 2, 1, 2])
    weighted = logrank(data, **COLUMNS, by="arm", weights_col="w").frame["estimate"].item()
    assert weighted == pytest.approx(2 / 3, rel=1e-13)
    paired = logrank(data, **COLUMNS, by="arm", cluster_col="pair").frame.iloc[0]
    assert paired["estimate"] == pytest.approx(1, rel=1e-13)
    assert paired["method"] == "log-rank test, clustered robust variance"


@pytest.mark.parametrize("weights_col", [None, "w"])
def test_logrank_ignores_an_arm_without_rows_and_one_never_at_risk(weights_col: str | None) -> None:
    """Arm c leaves before the first event and d has no rows: what remains is the comparison of a and b."""
    arm = pd.Categorical(list("aabbc"), categories=list("abcd"))
    data = frame([1, 2, 3, 4, 0.5], [1, 1, 1, 1, 0], w=[1.0, 2, 1, 2, 1]).assign(arm=arm)
    both = logrank(data, **COLUMNS, by="arm", weights_col=weights_col).frame.iloc[0]
    alone = logrank(data.iloc[:4], **COLUMNS, by="arm", weights_col=weights_col).frame.iloc[0]
    assert both["note"] == alone["note"] == "df=1"
    assert both["estimate"] == pytest.approx(alone["estimate"], rel=1e-13)


def test_trend_over_three_groups() -> None:
    """One row each with scores 0, 1, 2; the last fails first: 2 - 1 = 1 with variance 2/3. Scores 0, 1, 10: 10 - 11/3
    = 19/3, variance 101/3 - 121/9 = 182/9."""
    data = frame([2, 2, 1], [0, 0, 1], stage=[1, 2, 3])
    row = logrank_trend(data, **COLUMNS, by="stage").frame.iloc[0]
    assert row["estimate"] == pytest.approx(1.5, rel=1e-14)
    assert row["p_value"] == pytest.approx(math.erfc(math.sqrt(0.75)), rel=1e-12)
    assert row["note"] == "df=1; hazard rises with the score"
    steep = logrank_trend(data, **COLUMNS, by="stage", scores={"1": 0, "2": 1, "3": 10}).frame["estimate"].item()
    assert steep == pytest.approx(361 / 182, rel=1e-13)
    falling = logrank_trend(data, **COLUMNS, by="stage", scores={"1": 2, "2": 1, "3": 0}).frame["note"].item()
    assert falling == "df=1; hazard falls with the score"


@pytest.mark.parametrize(
    ("d", "why"), [([0, 0, 0], "no events"), ([1, 1, 1], "no event while two groups are at risk: nothing to compare")]
)
def test_trend_with_nothing_to_compare(d: list[int], why: str) -> None:
    row = logrank_trend(frame([2, 2, 2], d, stage=[1, 2, 3]), **COLUMNS, by="stage").frame.iloc[0]
    assert math.isnan(row["estimate"])
    assert row["note"] == why


def intervals(rows: list[tuple[float, float]], **more: list[object]) -> pd.DataFrame:
    return pd.DataFrame({"low": [low for low, _ in rows], "high": [high for _, high in rows], **more})


LIMITS = {"lower_col": "low", "upper_col": "high"}
INF = math.inf


@pytest.mark.parametrize(
    ("rows", "masses"),
    [
        pytest.param([(0, 2), (1, 3), (2, 4)], {"(1, 2]": 1 / 2, "(2, 3]": 1 / 2}, id="overlapping"),
        pytest.param([(1, 1), (1, 1), (2, 2)], {"[1]": 2 / 3, "[2]": 1 / 3}, id="ties, seen exactly"),
        pytest.param([(1, 1), (2, INF), (3, 3)], {"[1]": 1 / 3, "[3]": 2 / 3}, id="right-censored, seen exactly"),
        pytest.param([(0, 6), (6, INF), (6, INF)], {"(0, 6]": 1 / 3, "(6, inf)": 2 / 3}, id="one event"),
        pytest.param([(1, INF), (2, INF)], {"(2, inf)": 1}, id="no event"),
        pytest.param([(6, 12)] * 3, {"(6, 12]": 1}, id="all events tied"),
        pytest.param([(0, 2), (2, 2), (2, 5)], {"[2]": 2 / 3, "(2, 5]": 1 / 3}, id="open and closed ends"),
        pytest.param(
            [(0, 1), (0, 1), (4, 5), (4, 5), (0, 3), (2, 5)], {"(0, 1]": 1 / 2, "(4, 5]": 1 / 2}, id="an empty interval"
        ),
    ],
)
def test_turnbull(rows: list[tuple[float, float]], masses: dict[str, float]) -> None:
    """Overlapping: (1,2] lies in the first two rows, (2,3] in the last two, so p (p + q) q is largest at a half each.

    Seen exactly: the proportions, or Kaplan-Meier with censored rows. An empty interval: of (0,1], (2,3] and (4,5] with
    p^2 q^2 (p + m)(m + q) the middle gains 1/p + 1/q = 4 per unit of mass at p = q = 1/2, the others 6: m = 0. Open
    and closed ends: the time 2 lies in (0, 2] but not in (2, 5], so two rows of three hold it.
    """
    found = turnbull(intervals(rows), **LIMITS).frame
    mass = found[found["statistic"] == "mass"]
    assert mass["term"].tolist() == list(masses)
    np.testing.assert_allclose(mass["estimate"], list(masses.values()), rtol=1e-12)
    points = found[found["statistic"] == "survival"]
    finite = [value for term, value in masses.items() if "inf" not in term]
    np.testing.assert_allclose(points["estimate"], 1 - np.cumsum(finite), atol=1e-12)
    assert points["std_error"].isna().all()
    assert set(points["note"]) <= {"no standard error: ask for bootstraps"}


def test_turnbull_with_weights_missing_limits_and_an_empty_arm() -> None:
    """Weight 3 in (0,6] and 1 beyond 6: 3/4 and 1/4; a missing upper limit is one that was never seen."""
    arm = pd.Categorical(["b", "b"], categories=["a", "b"])
    data = intervals([(0, 6), (6, math.nan)], w=[3, 1]).assign(arm=arm)
    rows = turnbull(data, **LIMITS, weights_col="w", by="arm").frame
    assert set(rows["group"]) == {"b"}
    np.testing.assert_allclose(rows["estimate"], [0.75, 0.25, 0.25], rtol=1e-12)
    assert rows["n"].tolist() == [4, 4, 4]
    assert rows["n_events"].tolist() == [3, 3, 3]


@pytest.mark.slow
def test_turnbull_bootstrap_of_a_proportion() -> None:
    """Thirty of a hundred respond by 6, the rest later: S(6) resampled is binomial, variance .21 / 100."""
    data = intervals([(0, 6)] * 30 + [(6, INF)] * 70)
    rows = turnbull(data, **LIMITS, bootstraps=2000, seed=3).frame
    point = rows[rows["statistic"] == "survival"].iloc[0]
    assert point["estimate"] == pytest.approx(0.7, rel=1e-14)
    assert point["std_error"] == pytest.approx(math.sqrt(0.0021), rel=0.05)
    assert point["conf_low"] == pytest.approx(0.61, abs=0.015)
    assert point["conf_high"] == pytest.approx(0.79, abs=0.015)
    again = turnbull(data.iloc[::-1], **LIMITS, bootstraps=2000, seed=3).frame
    pd.testing.assert_frame_equal(rows, again)
