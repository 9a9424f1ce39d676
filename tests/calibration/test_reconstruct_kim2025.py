"""Protects the table of whole patients behind Kim 2025, derived from the rule, and its named alternative."""

from __future__ import annotations

import pytest

from cohort.targets import load_study
from synthetic.reconstruct import Reconstruction, reconstruct

# visit: assessed, complete, partial, none, as the rule was worked out independently of this code
DEFAULT = {
    "tacrolimus": [(91, 45, 30, 16), (88, 46, 26, 16), (79, 46, 18, 15), (69, 37, 15, 17), (48, 25, 10, 13)],
    "no_tacrolimus": [(83, 47, 20, 16), (78, 57, 13, 8), (71, 51, 11, 9), (65, 44, 10, 11), (55, 39, 9, 7)],
}
B = {
    "tacrolimus": [(91, 45, 30, 16), (88, 46, 26, 16), (79, 46, 21, 12), (69, 36, 16, 17), (48, 24, 11, 13)],
    "no_tacrolimus": [(83, 47, 20, 16), (78, 57, 13, 8), (78, 56, 8, 14), (71, 52, 7, 12), (55, 42, 6, 7)],
}


@pytest.fixture(scope="module")
def default() -> Reconstruction:
    return reconstruct(load_study("kim2025"))


@pytest.fixture(scope="module")
def alternative() -> Reconstruction:
    return reconstruct(load_study("kim2025"), alternative="B")


def rows(table: Reconstruction, arm: str) -> list[tuple[int, ...]]:
    counts = table.counts
    chosen = counts[counts["arm"] == arm]
    assert chosen["month"].tolist() == [6, 12, 24, 36, 60]
    return list(chosen[["assessed", "complete", "partial", "none"]].itertuples(index=False, name=None))


@pytest.mark.parametrize("arm", ["tacrolimus", "no_tacrolimus"])
def test_the_default_table(default: Reconstruction, arm: str) -> None:
    assert rows(default, arm) == DEFAULT[arm]
    assert default.name == "default"
    assert dict(default.arm_sizes) == {"tacrolimus": 92, "no_tacrolimus": 87}


@pytest.mark.parametrize("arm", ["tacrolimus", "no_tacrolimus"])
def test_alternative_b(alternative: Reconstruction, arm: str) -> None:
    assert rows(alternative, arm) == B[arm]
    assert alternative.name == "B"


def test_denominator_criteria_and_the_next_best(default: Reconstruction) -> None:
    assert dict(default.denominator_criterion) == {"tacrolimus": 26.25, "no_tacrolimus": 15.0}
    assert dict(default.next_denominator_criterion) == {"tacrolimus": 51.0, "no_tacrolimus": 126.0}


def test_split_criterion_and_the_next_best(default: Reconstruction) -> None:
    assert round(default.split_criterion, 3) == 2.261
    assert default.next_bound_split_criterion is not None
    assert round(default.next_bound_split_criterion, 3) == 2.364
    assert default.next_split_criterion is not None
    assert default.split_criterion < default.next_split_criterion < default.next_bound_split_criterion


def test_every_admissible_chain_is_listed(default: Reconstruction) -> None:
    chains = default.solutions.denominators
    assert chains.groupby("arm")["rank"].max().to_dict() == {"tacrolimus": 24, "no_tacrolimus": 7}
    last = chains[(chains["arm"] == "no_tacrolimus") & (chains["month"] == 60)]
    assert set(last["assessed"]) == {55}


def test_the_listed_splits_start_with_the_chosen_table(default: Reconstruction) -> None:
    listed = default.solutions.splits
    criteria = listed.drop_duplicates("rank")["criterion"].tolist()
    assert len(criteria) == 10
    assert criteria == sorted(criteria)
    assert criteria[:2] == [default.split_criterion, default.next_split_criterion]
    # 8 pairs at 1 year print 0.15; at 2 years partial responders are free, at 3 and 5 years complete ones are.
    assert default.solutions.admissible_splits == 8 * (34 * 21) * (53 * 55) * (36 * 49)


@pytest.mark.parametrize(
    ("target_id", "test", "p_value", "prints"),
    [
        ("cr_6_p", "pearson", 0.344, False),
        ("pr_6_p", "pearson", 0.197, False),
        ("cr_12_p", "pearson", 0.006, True),
        ("or_12_p", "pearson", 0.147, True),
        ("cr_24_p", "pearson", 0.082, False),
        ("cr_24_p", "pearson_three_category", 0.220, False),
        ("or_36_p", "pearson", 0.272, False),
        ("or_60_p", "pearson", 0.066, True),
        ("cr_12_p", "pearson_three_category", 0.022, False),
    ],
)
def test_printed_p_values_at_the_chosen_table(
    default: Reconstruction, target_id: str, test: str, p_value: float, prints: bool
) -> None:
    p = default.p_values
    row = p[(p["target_id"] == target_id) & (p["test"] == test)]
    assert round(row["p_value"].item(), 3) == p_value
    assert row["prints"].item() is prints


def test_alternative_b_prints_the_three_category_p_value(alternative: Reconstruction) -> None:
    p = alternative.p_values
    row = p[(p["target_id"] == "cr_24_p") & (p["test"] == "pearson_three_category")]
    assert round(row["p_value"].item(), 4) == 0.0309
    assert row["prints"].item() is True
    assert alternative.denominator_criterion["no_tacrolimus"] == 154.0
    assert round(alternative.split_criterion, 3) == 2.881


def test_why_b_fixes_the_two_year_denominator() -> None:
    """With the denominator that the rule would choose, the three-category reading costs 4.887 instead of 2.881."""
    study = load_study("kim2025")
    plan = study.reconstruction
    unfixed = plan.alternatives[0].model_copy(update={"denominators": ()})
    study = study.model_copy(update={"reconstruction": plan.model_copy(update={"alternatives": (unfixed,)})})
    table = reconstruct(study, alternative="B")
    counts = table.counts
    assert counts[counts["arm"] == "no_tacrolimus"]["assessed"].tolist() == [83, 78, 71, 65, 55]
    assert round(table.split_criterion, 3) == 4.887


def test_the_superseded_percentage_is_what_fixes_55() -> None:
    study = load_study("kim2025")
    plan = study.reconstruction.model_copy(update={"shared_denominators": ()})
    chains = reconstruct(study.model_copy(update={"reconstruction": plan})).solutions.denominators
    free = chains[(chains["arm"] == "no_tacrolimus") & (chains["month"] == 60)]
    assert set(free["assessed"]) == {55, 63}
