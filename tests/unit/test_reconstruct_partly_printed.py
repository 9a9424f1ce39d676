"""Protects the reconstruction where print is thin: counts, unattainable percentages, visits with nothing, flares."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

from cohort.errors import ReconstructionError
from cohort.targets import Study
from synthetic.nearest import nearest_count, nearest_splits
from synthetic.printed_flares import printed_flares
from synthetic.reconstruct import Reconstruction, reconstruct
from synthetic.unprinted import all_denominators, split_near

COMMON = {"status": "reported", "source": "s"}
CR, PR, OR = "complete_response", "partial_response", "overall_response"


def target(measure: str, month: int, value: str, arm: str = "a", **more: Any) -> dict[str, Any]:
    unit = "percent" if measure != "assessed" else "patients"
    name = f"{measure}_{month}_{arm}"
    return {
        "id": name, "kind": "number", "measure": measure, "arm": arm, "month": month, "value": value, "unit": unit,
        **COMMON, **more,
    }  # fmt: skip


def study(months: list[int], targets: list[dict[str, Any]], arms: dict[str, int] | None = None, **more: Any) -> Study:
    return Study.model_validate(
        {
            "name": "thin", "title": "t", "citation": "c", "visit_months": months,
            "source": [{"key": "s", "citation": "c", "url": "u"}],
            "arm": [
                {"code": code, "label": code, "size": size, "tacrolimus": False, **COMMON}
                for code, size in (arms or {"a": 20}).items()
            ],
            "target": targets, **more,
        }
    )  # fmt: skip


def rows(found: Reconstruction, arm: str = "a") -> list[list[int]]:
    counts = found.counts[found.counts["arm"] == arm]
    return counts[["assessed", "complete", "partial"]].to_numpy().tolist()


# ------------------------------------------------------------------------------------------------ counts


def test_counts_are_taken_as_printed() -> None:
    patients = {"unit": "patients", "n": 20}
    found = reconstruct(study([6], [target(CR, 6, "7", **patients), target(PR, 6, "4", **patients)]))
    assert rows(found) == [[20, 7, 4]]
    assert found.unattainable.empty


def test_a_count_without_a_denominator_leaves_it_to_the_smoothest_loss() -> None:
    targets = [target(CR, 12, "12", unit="patients"), target(OR, 24, "50", n=10), target(CR, 24, "40", n=10)]
    found = reconstruct(study([12, 24], targets))
    assert [row[0] for row in rows(found)] == [15, 10]
    assert rows(found)[0][1] == 12
    assert set(found.solutions.denominators["assessed"]) == {*range(12, 21), 10}


def test_no_responder_at_all_is_a_count_too() -> None:
    found = reconstruct(study([6], [target(OR, 6, "0", unit="patients")]))
    assert rows(found) == [[20, 0, 0]]


# ------------------------------------------------------------------------------------- nearest whole numbers


def test_a_percentage_that_its_denominator_does_not_give_takes_the_nearest() -> None:
    found = reconstruct(study([6], [target(CR, 6, "26", n=19), target(OR, 6, "43", n=19)]))
    assert rows(found) == [[19, 5, 3]]
    assert found.unattainable.to_dict("records") == [
        {
            "target_id": "overall_response_6_a", "measure": OR, "arm": "a", "month": 6, "printed": "43", "n": 19,
            "nearest": 8, "percentage": pytest.approx(100 * 8 / 19),
            "reason": "no whole number of 19 patients prints as 43 %; 8 of 19, 42.11 %, is taken",
        }
    ]  # fmt: skip


def test_percentages_that_conflict_only_jointly_are_listed_with_what_stands_beside_them() -> None:
    """Of 20, 50 % and 30 % and 85 % are each whole, but 10 + 6 is not 17: two of the three can stand."""
    printed = [target(CR, 6, "50", n=20), target(PR, 6, "30", n=20), target(OR, 6, "85", n=20)]
    found = reconstruct(study([6], printed))
    assert len(found.unattainable) == 1
    row = found.unattainable.iloc[0]
    assert "does not agree with what is printed beside it (" in row["reason"]
    assert "= 30" in row["reason"] or row["target_id"] == "partial_response_6_a"
    assert (
        row["nearest"]
        == {"partial_response_6_a": 7, "complete_response_6_a": 11, "overall_response_6_a": 16}[row["target_id"]]
    )


def test_a_count_can_be_the_one_that_does_not_agree() -> None:
    printed = [
        target(CR, 6, "50", n=20),
        target(PR, 6, "30", n=20),
        target(OR, 6, "4", n=20, unit="patients"),
    ]
    found = reconstruct(study([6], printed))
    assert rows(found) == [[20, 10, 6]]
    assert found.unattainable["nearest"].tolist() == [16]
    assert found.unattainable["reason"].str.startswith("4 patients does not agree with what is printed").all()


def brute_nearest(targets: list[tuple[str, str]], n: int) -> set[tuple[int, int]]:
    """Return the complete and partial responders nearest to printed percentages without decimals, by trying all."""
    scored = []
    for c, p in itertools.product(range(n + 1), repeat=2):
        if c + p > n:
            continue
        counts = {CR: c, PR: p, OR: c + p}
        missed = [
            (100 * counts[measure] / n - int(printed)) ** 2
            for measure, printed in targets
            if printed not in {str(round(100 * counts[measure] / n)), str(math.floor(100 * counts[measure] / n + 0.5))}
        ]
        scored.append((len(missed), round(sum(missed), 9), c, p))
    best = min(scored)[:2]
    return {(c, p) for missed, distance, c, p in scored if (missed, distance) == best}


@pytest.mark.parametrize("seed", range(25))
def test_nearest_splits_against_trying_all(seed: int) -> None:
    random = np.random.default_rng(seed)
    n = int(random.integers(2, 25))
    measures = [CR, PR, OR][: int(random.integers(1, 4))]
    printed = [(measure, str(int(random.integers(0, 101)))) for measure in measures]
    record = study([6], [target(measure, 6, value, n=n) for measure, value in printed], {"a": 30})
    found = nearest_splits(record.targets, n)
    assert set(zip(found.complete.tolist(), found.partial.tolist(), strict=True)) == brute_nearest(printed, n)


def test_nearest_count_prefers_what_prints_then_the_smaller() -> None:
    (half,) = study([6], [target(OR, 6, "50", n=4)]).targets
    assert nearest_count(half, 4) == 2
    assert nearest_count(half, 5) == 2  # 40 and 60 % are equally far


# --------------------------------------------------------------------------------- visits with nothing printed


def test_an_unprinted_visit_runs_straight_between_the_printed_ones() -> None:
    patients = {"unit": "patients"}
    targets = [
        target(CR, 12, "40", n=100, **patients), target(PR, 12, "20", n=100, **patients),
        target(CR, 36, "20", n=80, **patients), target(PR, 36, "28", n=80, **patients),
    ]  # fmt: skip
    found = reconstruct(study([6, 12, 24, 36, 48], targets, {"a": 110}))
    assert [row[0] for row in rows(found)] == [105, 100, 90, 80, 70]
    complete, partial = rows(found)[2][1:]
    # Both logits half way between 60/100 and 48/80, and between 40:20 and 20:28.
    assert complete + partial == 54
    assert complete / partial == pytest.approx(math.sqrt(40 / 20 * 20 / 28), abs=0.06)
    assert rows(found)[0][1:] == [42, 21]
    assert sum(rows(found)[4][1:]) == 42
    assert found.counts["basis"].tolist() == ["not printed", "reported", "not printed", "reported", "not printed"]
    assert found.solutions.admissible_splits == 1
    assert found.solutions.denominators["assessed"].tolist() == [105, 100, 90, 80, 70]


def test_a_printed_number_assessed_fixes_only_the_denominator() -> None:
    targets = [target(CR, 6, "50", n=20), target(PR, 6, "25", n=20), target("assessed", 24, "8", status="assumed")]
    found = reconstruct(study([6, 12, 24], targets))
    assert rows(found) == [[20, 10, 5], [16, 8, 4], [8, 4, 2]]
    assert found.counts["basis"].tolist() == ["reported", "not printed", "assumed"]


def test_assessed_serves_the_percentages_beside_it() -> None:
    found = reconstruct(study([6], [target(CR, 6, "50"), target(PR, 6, "25"), target("assessed", 6, "12")]))
    assert rows(found) == [[12, 6, 3]]
    with pytest.raises(ReconstructionError, match=r"different denominators .* of 14, assessed_6_a of 12"):
        reconstruct(study([6], [target(CR, 6, "50", n=14), target("assessed", 6, "12")]))


@pytest.mark.parametrize("seed", range(20))
def test_the_nearest_split_against_trying_all(seed: int) -> None:
    random = np.random.default_rng(seed)
    n = int(random.integers(1, 40))
    logits = (float(random.normal(0, 2)), float(random.normal(0, 2)))

    def distance(c: int, p: int) -> float:
        overall = math.log((c + p + 0.5) / (n - c - p + 0.5))
        return (overall - logits[0]) ** 2 + (math.log((c + 0.5) / (p + 0.5)) - logits[1]) ** 2

    best = min((round(distance(c, r - c), 12), r, c) for r in range(n + 1) for c in range(r + 1))
    complete, partial = split_near(logits, n)
    assert (complete + partial, complete) == best[1:]


def test_denominators_never_rise_and_never_vanish() -> None:
    given = all_denominators(np.array([[9, 2]]), [6, 12], [3, 6, 9, 12, 18, 60], 10)
    assert given.tolist() == [[10, 9, 6, 2, 1, 1]]


# ------------------------------------------------------------------------------------------------ three arms


def test_arms_are_chosen_one_by_one_whatever_their_number() -> None:
    arms = {"a": 20, "b": 30, "c": 40}
    targets = [
        target(measure, month, value, arm, n=size)
        for arm, size in arms.items()
        for measure, month, value in ((CR, 6, "30"), (OR, 6, "60"), (CR, 12, "40"))
    ]
    together = reconstruct(study([6, 12], targets, arms))
    assert dict(together.arm_sizes) == arms
    assert together.p_values.empty
    for arm, size in arms.items():
        alone = reconstruct(study([6, 12], [one for one in targets if one["arm"] == arm], {arm: size}))
        assert rows(together, arm) == rows(alone, arm)


# ---------------------------------------------------------------------------------------------------- flares


def test_flares_are_patients_or_a_probability_or_a_rate() -> None:
    targets = [
        target(OR, 6, "50", n=20),
        target("renal_flare", 12, "24"),
        target("renal_flare", 6, "3", unit="patients", n=12),
        target("renal_flare", 9, "5.47", kaplan_meier=True),
        target("renal_flare_rate", 12, "10.6", unit="per_100_patient_years"),
        target("renal_flare", 12, "99", id="older", superseded_by="renal_flare_12_a"),
        {
            "id": "words",
            "kind": "finding",
            "measure": "renal_flare",
            "claim": "descriptive",
            "statement": "x",
            **COMMON,
        },
    ]
    found = reconstruct(study([6, 12], targets))
    given = found.flares.astype(object).where(found.flares.notna(), None).to_dict("split")
    assert given["columns"] == [
        "arm", "month", "patients", "n", "probability", "rate_per_100_py", "target_id", "reason",
    ]  # fmt: skip
    assert [row[:6] for row in given["data"]] == [
        ["a", 12, 5, 20, 0.24, None],
        ["a", 6, 3, 12, 0.25, None],
        ["a", 9, None, None, 0.0547, None],
        ["a", 12, None, None, None, 10.6],
    ]
    words = found.flares["reason"].tolist()
    assert words[0].endswith("out of the whole arm, since no denominator is printed")
    assert words[1] == "printed as a number of patients; out of the printed denominator"
    assert words[2].startswith("a Kaplan-Meier estimate")
    # 24 % of the whole arm of 20 is no whole number; the estimate owes none.
    assert found.unattainable[["target_id", "nearest", "n"]].to_numpy().tolist() == [["renal_flare_12_a", 5, 20]]


def test_no_flares_printed_is_an_empty_frame_of_the_same_columns() -> None:
    empty = printed_flares(study([6], [target(OR, 6, "50", n=20)]))
    assert empty.empty
    assert str(empty["patients"].dtype) == "Int64"
    assert list(empty.columns)[-2:] == ["target_id", "reason"]


def test_other_events_are_checked_against_whole_numbers_too() -> None:
    targets = [target(OR, 6, "50", n=20), target("death", 6, "11.2", n=20), target("nephritic_flare", 6, "15", n=20)]
    found = reconstruct(study([6], targets))
    assert found.flares.empty
    assert found.unattainable[["measure", "nearest"]].to_numpy().tolist() == [["death", 2]]
