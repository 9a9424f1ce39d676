"""Protects the audit: candidate lists, verdicts on p-values, and what is nearest where nothing fits."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cohort.admissible import Splits
from cohort.attainability import Comparison, Verdict, attainability, verdict
from cohort.audit import audit_study, candidates, nearest_percentage
from cohort.candidates import candidate_counts
from cohort.errors import UsageError
from cohort.p_values import ComparisonTest, three_category
from cohort.targets import Study, load_study

AUDIT = audit_study(load_study("kim2025"))
PERCENTAGES = AUDIT.percentages.set_index("target_id")
P_VALUES = AUDIT.p_values.set_index("target_id")

# Worked out independently: every e/n with n up to the arm size that prints as the percentage.
CANDIDATES = {
    "cr_6_tacrolimus": "45/91",
    "cr_6_no_tacrolimus": "30/53; 43/76; 47/83",
    "pr_6_tacrolimus": "29/88; 30/91",
    "pr_6_no_tacrolimus": "7/29; 13/54; 14/58; 19/79; 20/83; 21/87",
    "cr_12_tacrolimus": "23/44; 34/65; 45/86; 46/88",
    "cr_12_no_tacrolimus": "19/26; 38/52; 49/67; 57/78",
    "cr_24_tacrolimus": "32/55; 39/67; 46/79; 53/91",
    "cr_24_no_tacrolimus": "28/39; 51/71; 56/78; 61/85",
    "or_36_tacrolimus": "43/57; 46/61; 49/65; 52/69",
    "or_36_no_tacrolimus": "49/59; 54/65; 59/71; 64/77; 69/83",
    "or_60_tacrolimus": "35/48; 43/59; 51/70; 62/85",
    "or_60_no_tacrolimus": "48/55; 55/63; 62/71; 69/79",
    "or_60_no_tacrolimus_2023": "47/55; 53/62; 59/69; 65/76; 71/83",
    "monotherapy_percentage_tacrolimus": "6/29; 12/58; 17/82; 18/87; 19/92",
}


@pytest.mark.parametrize("target_id", list(CANDIDATES))
def test_candidates_of_every_printed_percentage(target_id: str) -> None:
    row = PERCENTAGES.loc[target_id]
    assert row["candidates"] == CANDIDATES[target_id]
    assert row["n_candidates"] == len(CANDIDATES[target_id].split(";"))
    assert row["attainable"]
    listed = AUDIT.candidates[AUDIT.candidates["target_id"] == target_id]
    assert [f"{e}/{n}" for e, n in zip(listed["events"], listed["n"], strict=True)] == CANDIDATES[target_id].split("; ")


@pytest.mark.parametrize(
    ("target_id", "conclusion"),
    [
        ("cr_6_p", "not attainable by the listed unadjusted tests"),
        ("pr_6_p", "not attainable by the listed unadjusted tests"),
        ("cr_12_p", "attainable"),
        ("or_12_p", "attainable"),
        ("cr_24_p", "attainable one-sided only"),
        ("or_36_p", "not attainable by the listed unadjusted tests"),
        ("or_60_p", "attainable"),
        ("or_60_p_2023", "attainable"),
        ("poor_outcomes_p", "not audited: no printed percentages of two arms stand behind it"),
    ],
)
def test_verdicts(target_id: str, conclusion: str) -> None:
    assert P_VALUES.loc[target_id, "verdict"] == conclusion


def hits(target_id: str) -> dict[str, set[str]]:
    rows = AUDIT.hits[(AUDIT.hits["target_id"] == target_id) & (AUDIT.hits["candidate_set"] == "own")]
    found: dict[str, set[str]] = {}
    for row in rows.itertuples(index=False):
        found.setdefault(str(row.test), set()).add(f"{row.events_1}/{row.n_1} v {row.events_2}/{row.n_2}")
    return found


def test_one_year_complete_response_by_every_test_that_prints_it() -> None:
    assert hits("cr_12_p") == {
        "pearson": {"45/86 v 57/78", "46/88 v 57/78"},
        "likelihood_ratio": {"45/86 v 57/78"},
        "n_minus_1": {"45/86 v 57/78", "46/88 v 57/78"},
        "wald_unpooled": {"45/86 v 49/67", "46/88 v 49/67"},
        "wald_logit": {"46/88 v 57/78"},
        "fisher_mid_p": {"46/88 v 57/78"},
        "fisher_one_sided": {"46/88 v 49/67"},
        "likelihood_ratio_one_sided": {"34/65 v 49/67"},
        "wald_unpooled_one_sided": {"34/65 v 49/67", "45/86 v 38/52"},
    }


def test_two_year_complete_response_only_one_sided() -> None:
    assert hits("cr_24_p") == {"wald_unpooled_one_sided": {"53/91 v 56/78"}}


def test_five_year_overall_response() -> None:
    found = hits("or_60_p")
    for test in ("pearson", "likelihood_ratio", "n_minus_1"):
        assert found[test] == {"35/48 v 48/55", "35/48 v 55/63", "43/59 v 48/55"}
    assert found["wald_unpooled"] == {f"35/48 v {other}" for other in ("48/55", "55/63", "62/71", "69/79")}
    assert found["yates_one_sided"] == found["fisher_one_sided"] == {"35/48 v 48/55"}


@pytest.mark.parametrize(
    ("target_id", "lowest", "highest"),
    [
        ("cr_6_p", 0.3436, 0.407),
        ("pr_6_p", 0.1928, 0.372),
        ("cr_12_p", 0.0058, 0.086),
        ("cr_24_p", 0.0606, 0.176),
        ("or_36_p", 0.2365, 0.312),
        ("or_60_p", 0.0215, 0.066),
        ("or_60_p_2023", 0.0444, 0.115),
    ],
)
def test_range_of_pearson_over_the_candidates(target_id: str, lowest: float, highest: float) -> None:
    tests = AUDIT.tests
    row = tests[(tests["target_id"] == target_id) & (tests["candidate_set"] == "own") & (tests["test"] == "pearson")]
    assert round(row["lowest"].item(), 4) == lowest
    assert round(row["highest"].item(), 3) == highest


def test_six_months_share_one_denominator_and_have_one_table() -> None:
    assert P_VALUES.loc["cr_6_p", ["candidate_set", "n_pairs"]].tolist() == ["shared", 1]
    assert P_VALUES.loc["cr_6_p", "nearest_counts"] == "45/91 v 47/83"
    assert P_VALUES.loc["pr_6_p", "nearest_counts"] == "30/91 v 20/83"
    tests = AUDIT.tests[(AUDIT.tests["target_id"] == "cr_6_p") & (AUDIT.tests["candidate_set"] == "shared")]
    p = tests.set_index("test")["nearest"].round(3)
    assert (p["pearson_three_category"], p["mann_whitney"], p["pearson"]) == (0.432, 0.526, 0.344)


def test_an_unprinted_percentage_is_bounded_by_what_is_printed_beside_it() -> None:
    row = P_VALUES.loc["or_12_p"]
    assert row["candidate_set"] == "shared"
    # Overall responders run from the complete ones up to everybody, at each denominator that complete response allows.
    first = sum(n - e + 1 for e, n in [(23, 44), (34, 65), (45, 86), (46, 88)])
    second = sum(n - e + 1 for e, n in [(19, 26), (38, 52), (49, 67), (57, 78)])
    assert row["n_pairs"] == first * second


def test_free_splits_are_counted_apart_and_do_not_make_a_p_value_attainable() -> None:
    assert P_VALUES.loc["or_36_p", "free_split_hits"] > 0
    assert pd.isna(P_VALUES.loc["cr_6_p", "free_split_hits"])
    # One division among those: 46/28/5 of 79 against 51/12/8 of 71.
    p = three_category(*(np.array([x]) for x in (46, 28, 79, 51, 12, 71)))
    assert round(float(p[ComparisonTest.PEARSON_THREE_CATEGORY][0]), 4) == 0.0311


def test_nothing_compared_has_no_tests() -> None:
    row = P_VALUES.loc["poor_outcomes_p"]
    assert (row["two_sided_tests"], row["nearest_test"]) == ("", "")
    assert pd.isna(row["n_pairs"])
    assert "poor_outcomes_p" not in set(AUDIT.tests["target_id"])


def test_a_percentage_nobody_can_have() -> None:
    assert candidates("5.47", 40).empty
    assert nearest_percentage("5.47", 40) == (2, 37)
    assert nearest_percentage("100", 3) == (1, 1)
    assert nearest_percentage("0.0", 3) == (0, 1)


def with_value(study: Study, changes: dict[str, dict[str, object]]) -> Study:
    targets = tuple(target.model_copy(update=changes.get(target.id, {})) for target in study.targets)
    return study.model_copy(update={"targets": targets})


def test_contradictory_percentages_leave_no_pair_and_no_test() -> None:
    study = with_value(
        load_study("kim2025"), {"cr_6_tacrolimus": {"value": "49.4"}, "pr_6_tacrolimus": {"value": "99.9"}}
    )
    table = audit_study(study)
    rows = table.percentages.set_index("target_id")
    assert not rows.loc["pr_6_tacrolimus", "attainable"]
    assert rows.loc["pr_6_tacrolimus", "candidates"] == ""
    assert (rows.loc["pr_6_tacrolimus", "nearest_events"], rows.loc["pr_6_tacrolimus", "nearest_n"]) == (1, 1)
    p = table.p_values.set_index("target_id").loc["cr_6_p"]
    assert (p["verdict"], p["n_pairs"], p["nearest_test"]) == (Verdict.NOT_ATTAINABLE, 0, "")


def test_a_printed_denominator_is_the_only_one() -> None:
    table = audit_study(with_value(load_study("kim2025"), {"cr_24_tacrolimus": {"n": 79}}))
    row = table.percentages.set_index("target_id").loc["cr_24_tacrolimus"]
    assert (row["candidates"], row["n_max"]) == ("46/79", 79)
    assert table.p_values.set_index("target_id").loc["cr_24_p", "verdict"] == Verdict.NOT_ATTAINABLE


def test_a_study_of_one_arm_has_percentages_but_no_comparison() -> None:
    study = load_study("kim2025")
    targets = tuple(target for target in study.targets if target.arm != "no_tacrolimus")
    table = audit_study(study.model_copy(update={"arms": study.arms[:1], "targets": targets}))
    assert set(table.p_values["verdict"]) == {Verdict.NOTHING_COMPARED}
    assert len(table.percentages) == 8


def test_a_p_value_with_one_percentage_beside_it_is_not_audited() -> None:
    study = load_study("kim2025")
    targets = tuple(target for target in study.targets if target.id != "or_36_tacrolimus")
    table = audit_study(study.model_copy(update={"targets": targets}))
    assert table.p_values.set_index("target_id").loc["or_36_p", "verdict"] == Verdict.NOTHING_COMPARED


def test_too_many_pairs_are_refused_with_a_remedy() -> None:
    counts = candidate_counts("50", 1000)
    with pytest.raises(UsageError, match=r"x: more than 250000 pairs of counts .*; got \d+; give the printed denom"):
        attainability(Comparison("x", "0.05", own=[counts, counts]))


def test_splits_are_tried_as_three_categories() -> None:
    # 3 of 4 complete against 1 of 4, nobody partial: chi-square 2 with one degree of freedom, p = 0.157.
    one = Splits(4, np.array([3]), np.array([0]))
    other = Splits(4, np.array([1]), np.array([0]))
    own = [(np.array([3]), np.array([4])), (np.array([1]), np.array([4]))]
    found = attainability(Comparison("x", "0.157", own=own, shared=own, splits=[{4: one}, {4: other}]))
    rows = found.tests.set_index(["candidate_set", "test"])
    assert rows.loc[("shared", "pearson_three_category"), "n_hits"] == 1
    assert verdict(found.tests) is Verdict.ATTAINABLE
