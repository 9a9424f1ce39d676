"""Protects matching, subclassification and the outcomes after them against truths worked out on paper."""

from __future__ import annotations

from math import log, sqrt
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analyses.comparison import matched_rates
from analyses.propensity import Matching, fit_propensity, match_patients, subclassify

COLUMNS: dict[str, Any] = {"treatment_col": "arm", "treated": "t", "distance": "x"}


def patients(**values: str | list[object]) -> pd.DataFrame:
    """Rows in the order given: ``ids`` letters, ``arm`` letters t and r, ``x`` numbers."""
    frame = pd.DataFrame({name: list(column) for name, column in values.items()})
    return frame.rename(columns={"ids": "patient_id"})


def pairs(found: Matching) -> list[tuple[str, str]]:
    return sorted(found.pairs[["treated_id", "reference_id"]].itertuples(index=False, name=None))


# Treated 5 and 6, others 4, 7 and 20.
LINE = patients(ids="abcde", arm="ttrrr", x=[5, 6, 4, 7, 20])


def test_the_largest_chooses_first_unless_told_otherwise() -> None:
    """6 takes 7 and 5 takes 4; were 5 first, the same; treated 6 at ratio 2 takes what 5 leaves."""
    assert pairs(match_patients(LINE, **COLUMNS)) == [("a", "c"), ("b", "d")]
    # Second round, largest first: 6 takes the 20; nobody is left for 5.
    two = match_patients(LINE, **COLUMNS, ratio=2)
    assert pairs(two) == [("a", "c"), ("b", "d"), ("b", "e")]
    assert match_patients(LINE, **COLUMNS, ratio=2, order="smallest").pairs["treated_id"].tolist() == ["a", "a", "b"]
    notes = two.tidy().frame.query("statistic == 'unmatched'")["note"].fillna("").tolist()
    assert notes == ["of those matched, 1 have fewer than 2", ""]


def test_weights_of_two_to_one_matching() -> None:
    """a has one match and b two, who weigh 1/2 each; 1 + 1/2 + 1/2 = 2 is scaled to the 3 who are matched."""
    found = match_patients(LINE, **COLUMNS, ratio=2)
    np.testing.assert_allclose(found.weights, [1, 1, 1.5, 0.75, 0.75], rtol=1e-14)
    assert found.subclass.tolist() == [1, 2, 1, 2, 2]


def test_greedy_and_optimal_differ() -> None:
    """Treated 0 and 3, others 2 and 9: largest first gives 3-2 and 0-9, total 10; the least is 0-2 and 3-9, total 8."""
    data = patients(ids="abcd", arm="ttrr", x=[0, 3, 2, 9])
    greedy, best = match_patients(data, **COLUMNS), match_patients(data, **COLUMNS, method="optimal")
    assert pairs(greedy) == [("a", "d"), ("b", "c")]
    assert pairs(best) == [("a", "c"), ("b", "d")]
    totals = [found.tidy().frame.set_index("statistic").loc["total_distance", "estimate"] for found in (greedy, best)]
    assert totals == [10.0, 8.0]


def test_full_matching_and_its_weights() -> None:
    """Treated 0, 10, 11; others 1, 2, 12: {0 | 1, 2} and {10, 11 | 12} cost 1 + 2 + 2 + 1 = 6, the least.

    ATT weights of the others are 1/2, 1/2 and 2, which sum to 3 already. ATE weights are size over own arm:
    treated 3/1, 3/2, 3/2 and others 3/2, 3/2, 3/1, each summing to 6, scaled to 3.
    """
    data = patients(ids="abcdef", arm="trrttr", x=[0, 1, 2, 10, 11, 12])
    found = match_patients(data, **COLUMNS, method="full")
    assert pairs(found) == [("a", "b"), ("a", "c"), ("d", "f"), ("e", "f")]
    assert found.subclass.tolist() == [1, 1, 1, 2, 2, 2]
    np.testing.assert_allclose(found.weights, [1, 0.5, 0.5, 1, 1, 2], rtol=1e-14)
    everybody = match_patients(data, **COLUMNS, method="full", estimand="ATE")
    np.testing.assert_allclose(everybody.weights, [1.5, 0.75, 0.75, 0.75, 0.75, 1.5], rtol=1e-14)
    reverse = match_patients(data, **COLUMNS, method="full", estimand="ATC")
    np.testing.assert_allclose(reverse.weights, [2, 1, 1, 0.5, 0.5, 1], rtol=1e-14)
    assert pairs(reverse) == pairs(found)


def test_caliper_is_inclusive_and_in_standard_deviations_of_everybody() -> None:
    """x = 0, 2, 2, 4 has variance 8/3; the distance 2 is 2 / sqrt(8/3) = 1.2247 standard deviations."""
    data = patients(ids="abcd", arm="trrt", x=[0, 2, 2, 4])
    spread = sqrt(8 / 3)
    assert len(match_patients(data, **COLUMNS, caliper=2 / spread).pairs) == 2
    far = data.assign(x=[0, 2, 3, 100])
    found = match_patients(far, **COLUMNS, caliper=0.1)
    assert pairs(found) == [("a", "b")]
    frame = found.tidy().frame.query("statistic == 'unmatched'")
    assert frame["estimate"].tolist() == [1.0, 1.0]
    assert frame["note"].tolist() == ["1: nobody left within the caliper", "1: nobody was matched to them"]


def test_with_replacement_one_patient_serves_several() -> None:
    """Both treated take the 4; nobody else weighs anything, and the one used weighs 1."""
    data = patients(ids="abcd", arm="ttrr", x=[5, 3, 4, 9])
    found = match_patients(data, **COLUMNS, replace=True)
    assert pairs(found) == [("a", "c"), ("b", "c")]
    assert found.weights.tolist() == [1, 1, 1, 0]
    assert found.subclass.tolist() == [0, 0, 0, 0]
    assert found.matched_data()["subclass"].isna().all()
    # With two each: 4 and 9 are used twice, weights 1/2 + 1/2.
    twice = match_patients(data, **COLUMNS, replace=True, ratio=2)
    assert twice.weights.tolist() == [1, 1, 1, 1]
    assert len(twice.pairs) == 4


def test_exact_columns_separate_and_say_who_is_alone() -> None:
    data = patients(ids="abcdef", arm="trtrtr", x=[1, 1, 2, 2, 3, 3], kind=list("uvuuww"))
    found = match_patients(data, **COLUMNS, exact="kind")
    assert pairs(found) == [("c", "d"), ("e", "f")]
    notes = found.tidy().frame.query("statistic == 'unmatched'")["note"].tolist()
    assert notes == ["1: nobody left to match", "1: nobody of the other arm with the same kind"]


def test_all_ties_go_by_patient() -> None:
    """All scores equal: in the order of patients, the last reference patient before each treated one, else the next."""
    data = patients(ids="dbca", arm="trtr", x=[1, 1, 1, 1])
    # Order a(r) b(r) c(t) d(t): c chooses first and takes b, then d takes a.
    assert pairs(match_patients(data, **COLUMNS)) == [("c", "b"), ("d", "a")]
    assert len(match_patients(data, **COLUMNS, method="full").pairs) == 2
    assert match_patients(data, **COLUMNS, caliper=0.1).tidy().frame["estimate"].iloc[0] == 2


def test_subclasses_at_quantiles_of_whom_the_estimand_is_about() -> None:
    """Medians: of everybody 4, of the treated 5, of the others 3; a value at the cut belongs above it."""
    data = patients(ids="abcdefgh", arm="rrrtrttt", x=[1, 2, 4, 3, 5, 4, 6, 7])
    expected = {"ATE": [1, 1, 2, 1, 2, 2, 2, 2], "ATT": [1, 1, 1, 1, 2, 1, 2, 2]}
    for estimand, subclass in expected.items():
        assert subclassify(data, **COLUMNS, subclasses=2, estimand=estimand).subclass.tolist() == subclass
    # ATT: 2 treated to 3 others, then 2 to 1: weights 2/3 and 2, summing to 4, the number of others.
    att = subclassify(data, **COLUMNS, subclasses=2, estimand="ATT")
    np.testing.assert_allclose(att.weights, [2 / 3, 2 / 3, 2 / 3, 1, 2, 1, 1, 1], rtol=1e-14)
    # ATC: below 3 are only others, who are left out, and say so.
    atc = subclassify(data, **COLUMNS, subclasses=2, estimand="ATC")
    assert atc.subclass.tolist() == [0, 0, 1, 1, 1, 1, 1, 1]
    notes = atc.tidy().frame.query("statistic == 'unmatched'")["note"].fillna("").tolist()
    assert notes == ["", "2: between quantiles where the other arm has nobody"]


# Four pairs: both respond, only the treated (twice), only the other.
PAIRED = patients(ids="abcdefgh", arm="trtrtrtr", x=[0, 0, 10, 10, 20, 20, 30, 30], cr=[1, 1, 1, 0, 1, 0, 0, 1])


def test_paired_rates_have_the_variance_of_paired_differences() -> None:
    """3/4 v 2/4, differences 0, 1, 1, -1 of mean 1/4: variance sum((d - 1/4)^2) / 16 = 2.75 / 16."""
    found = match_patients(PAIRED, **COLUMNS)
    frame = matched_rates(PAIRED, matching=found, outcome_col="cr").frame.set_index("statistic")
    assert frame["estimate"].tolist() == pytest.approx([0.75, 0.5, 0.25, 1.5, 3.0])
    assert frame.loc["risk_difference", "std_error"] == pytest.approx(sqrt(2.75) / 4)
    # log ratio: influence of pair i is (y1 - 3/4) / 3 - (y0 - 1/2) / 2
    y1, y0 = np.array([1, 1, 1, 0]), np.array([1, 0, 0, 1])
    ratio = np.sum(((y1 - 0.75) / 3 - (y0 - 0.5) / 2) ** 2)
    assert frame.loc["risk_ratio", "std_error"] == pytest.approx(sqrt(ratio))
    odds = np.sum(((y1 - 0.75) / (4 * 0.1875) - (y0 - 0.5) / (4 * 0.25)) ** 2)
    assert frame.loc["odds_ratio", "std_error"] == pytest.approx(sqrt(odds))
    assert frame.loc["odds_ratio", "conf_low"] == pytest.approx(np.exp(log(3) - 1.959963984540054 * sqrt(odds)))
    assert frame["n"].tolist() == [4, 4, 8, 8, 8]
    assert frame["n_events"].tolist() == [3, 2, 5, 5, 5]


def test_rates_with_replacement_cluster_by_pair_and_patient() -> None:
    """Treated a, b (1, 0) share the other c (1); treated d (1) has e (0). Both rates are 2/3.

    The uses c, c, e weigh 1/3 each. Influences of the difference: a 1/9, b -2/9, d 1/9;
    c -1/9 twice, e +2/9. By pair: 0, -1/3, 1/3; by patient: 1/9, -2/9, 1/9, -2/9, 2/9; each use: the six themselves.
    """
    data = patients(ids="abcde", arm="ttrtr", x=[0, 2, 1, 9, 10], cr=[1, 0, 1, 1, 0])
    found = match_patients(data, **COLUMNS, replace=True)
    assert pairs(found) == [("a", "c"), ("b", "c"), ("d", "e")]
    frame = matched_rates(data, matching=found, outcome_col="cr").frame.set_index("statistic")
    by_pair, by_patient, uses = 2 / 9, (1 + 4 + 1 + 4 + 4) / 81, (1 + 4 + 1 + 1 + 1 + 4) / 81
    assert frame.loc["risk_difference", "estimate"] == pytest.approx(0, abs=1e-15)
    assert frame.loc["risk_difference", "std_error"] == pytest.approx(sqrt(by_pair + by_patient - uses))
    assert "by pair and by patient" in frame["method"].iloc[0]


def test_visits_keep_the_pair_of_a_patient_not_assessed() -> None:
    """Month 12 without patient h: treated 3/4, others 1/3; h's pair counts on one side."""
    visits = pd.concat([PAIRED.assign(month=6), PAIRED.iloc[:7].assign(month=12)])
    found = match_patients(PAIRED, **COLUMNS)
    frame = matched_rates(visits, matching=found, outcome_col="cr", time_col="month").frame
    late = frame[frame["time"] == 12].set_index("statistic")
    assert late["estimate"].tolist()[:3] == pytest.approx([3 / 4, 1 / 3, 5 / 12])
    one, zero = np.array([1, 1, 1, -3]) / 16, np.array([2, -1, -1, 0]) / 9
    assert late.loc["risk_difference", "std_error"] == pytest.approx(sqrt(np.sum((one - zero) ** 2)))


def test_a_fitted_score_is_matched_on_its_logit() -> None:
    """One binary covariate: within its levels the score is constant, so pairs agree on it and patients settle ties."""
    data = pd.DataFrame(
        {
            "patient_id": list("abcdefgh"),
            "arm": list("trrrttrr"),
            "kind": list("uuuuvvvv"),
        }
    )
    fit = fit_propensity(data, "kind", treatment_col="arm", treated="t")
    found = fit.match()
    assert pairs(found) == [("a", "b"), ("e", "g"), ("f", "h")]
    balance = found.balance().frame.query("statistic == 'smd_adjusted'")
    np.testing.assert_allclose(balance["estimate"], 0, atol=1e-15)
    assert fit.subclassify(2).subclass.tolist() == [1, 1, 1, 1, 2, 2, 2, 2]
