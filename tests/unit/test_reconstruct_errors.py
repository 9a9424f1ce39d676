"""Protects what the reconstruction says when no table of whole patients can be given: the target is named."""

from __future__ import annotations

from typing import Any

import pytest

from cohort.errors import ReconstructionError
from cohort.targets import Study, load_study
from synthetic.reconstruct import reconstruct

KIM = load_study("kim2025")


def changed(**changes: dict[str, object]) -> Study:
    """Return Kim 2025 with fields of some targets replaced."""
    targets = tuple(target.model_copy(update=changes.get(target.id, {})) for target in KIM.targets)
    return KIM.model_copy(update={"targets": targets})


def planned(**changes: object) -> Study:
    return KIM.model_copy(update={"reconstruction": KIM.reconstruction.model_copy(update=changes)})


def one_arm(sizes: int, months: list[int], values: dict[int, str], **extra: object) -> Study:
    common = {"status": "reported", "source": "s"}
    targets: list[dict[str, Any]] = [
        {
            "id": f"or_{month}",
            "kind": "number",
            "measure": "overall_response",
            "arm": "a",
            "month": month,
            "value": value,
            "unit": "percent",
            **common,
        }
        for month, value in values.items()
    ]
    return Study.model_validate(
        {
            "name": "one",
            "title": "t",
            "citation": "c",
            "doi": "d",
            "visit_months": months,
            "source": [{"key": "s", "citation": "c", "url": "u"}],
            "arm": [{"code": "a", "label": "A", "size": sizes, "tacrolimus": True, **common}],
            "target": targets,
            **extra,
        }
    )


@pytest.mark.parametrize(
    ("study", "message"),
    [
        (
            changed(cr_6_tacrolimus={"value": "49.47"}),
            r"study kim2025, arm tacrolimus: no whole number of patients, of at most 92, agrees .*"
            r"; got cr_6_tacrolimus = 49\.47; check",
        ),
        (
            changed(pr_6_tacrolimus={"value": "33.3"}),
            r"arm tacrolimus: no whole number .* got cr_6_tacrolimus = 49\.5, pr_6_tacrolimus = 33\.3; check",
        ),
        (
            changed(pr_6_tacrolimus={"value": "60.4"}),
            r"arm tacrolimus: no whole number .* got cr_6_tacrolimus = 49\.5, pr_6_tacrolimus = 60\.4",
        ),
        (
            changed(or_60_no_tacrolimus_2023={"value": "85.3"}),
            r"arm no_tacrolimus: no whole .* got or_60_no_tacrolimus = 87\.3, or_60_no_tacrolimus_2023 = 85\.3",
        ),
        (
            changed(cr_12_tacrolimus={"value": "50.55"}, cr_6_tacrolimus={"n": 91}, cr_24_tacrolimus={"n": 55}),
            r"arm tacrolimus, month 36: every admissible number assessed exceeds .*got or_36_tacrolimus = 75\.4",
        ),
        (
            changed(cr_12_p={"value": "0.9"}),
            r"arms tacrolimus and no_tacrolimus: no whole numbers of patients give this p-value; "
            r"got cr_12_p = 0\.9 \(pearson\), or_12_p = 0\.15 \(pearson\); take it out",
        ),
        (
            changed(cr_12_p={"compares": None}),
            r"target cr_12_p: a p-value that compares nothing; add compares",
        ),
        (
            changed(cr_6_tacrolimus={"n": 91}, pr_6_tacrolimus={"n": 90}),
            r"study kim2025, arm tacrolimus: different denominators are printed for one visit; "
            r"got cr_6_tacrolimus of 91, pr_6_tacrolimus of 90; correct n",
        ),
        (
            changed(or_60_no_tacrolimus={"n": 63}),
            r"arm no_tacrolimus: no whole .* got or_60_no_tacrolimus = 87\.3, or_60_no_tacrolimus_2023 = 85\.5",
        ),
        (
            changed(cr_12_tacrolimus={"superseded_by": "cr_6_tacrolimus"}),
            r"study kim2025, arm tacrolimus, month 12: a p-value binds a visit at which an arm prints no response; "
            r"got cr_12_p = 0\.006 \(pearson\), or_12_p",
        ),
        (
            changed(cr_24_tacrolimus={"superseded_by": "cr_6_tacrolimus"}),
            r"arms tacrolimus and no_tacrolimus, month 24: p-values bind two arms, of which only one prints response",
        ),
    ],
)
def test_the_target_that_cannot_be_met_is_named(study: Study, message: str) -> None:
    with pytest.raises(ReconstructionError, match=message):
        reconstruct(study)


def test_nothing_printed_about_an_arm() -> None:
    with pytest.raises(ReconstructionError, match=r"study one, arm a: nothing is printed about response; add"):
        reconstruct(one_arm(20, [6, 12], {0: "0"}))


def test_an_alternative_that_fixes_what_cannot_be() -> None:
    reading = KIM.reconstruction.alternatives[0]
    denominator = reading.denominators[0].model_copy(update={"n": 77})
    study = planned(alternatives=(reading.model_copy(update={"denominators": (denominator,)}),))
    with pytest.raises(ReconstructionError, match=r"got cr_24_no_tacrolimus = 71\.8 with n = 77"):
        reconstruct(study, alternative="B")


def test_unknown_alternatives_are_listed() -> None:
    with pytest.raises(ReconstructionError, match=r"study kim2025: no such alternative reading; got 'C'; .*default, B"):
        reconstruct(KIM, alternative="C")
    assert reconstruct(KIM, alternative="default").name == "default"


def test_p_values_that_exclude_each_other_across_visits() -> None:
    """Alone, 1 year admits 88 or 86 and 5 years 48 or 59; a 5-year p-value of 0.06 leaves no pair."""
    with pytest.raises(ReconstructionError, match=r"got or_60_p = 0\.001 \(pearson\)"):
        reconstruct(changed(or_60_p={"value": "0.001"}))


def test_a_record_too_coarse_to_list_is_refused() -> None:
    study = one_arm(150, [6, 12, 24, 36], {6: "50", 12: "50", 24: "50", 36: "50"})
    with pytest.raises(ReconstructionError, match=r"arm a, month \d+: the printed percentages leave more than 200000"):
        reconstruct(study)


def test_one_arm_and_one_visit_keep_the_most_patients() -> None:
    found = reconstruct(one_arm(12, [6], {6: "50.0"}))
    assert found.counts[["assessed"]].to_numpy().tolist() == [[12]]
    assert dict(found.next_denominator_criterion) == {"a": 0.0}
    assert found.next_bound_split_criterion is None
    assert found.p_values.empty


def test_a_single_visit_divides_what_is_open_evenly() -> None:
    found = reconstruct(one_arm(12, [6], {6: "50.0"}))
    assert found.counts[["complete", "partial", "none"]].to_numpy().tolist() == [[3, 3, 6]]
    assert found.split_criterion == 0.0


def test_a_record_with_one_solution_has_no_next_best() -> None:
    found = reconstruct(one_arm(1, [6, 12], {6: "0", 12: "0"}))
    assert found.counts[["complete", "partial", "none"]].to_numpy().tolist() == [[0, 0, 1], [0, 0, 1]]
    assert dict(found.next_denominator_criterion) == {"a": None}
    assert found.next_split_criterion is None
    assert found.solutions.admissible_splits == 1
