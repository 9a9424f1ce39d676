"""Protects the published record of Kim 2025 against silent change: each number, its source, its successor."""

from __future__ import annotations

import pytest

from cohort.codes import SCHEDULED_MONTHS, Status
from cohort.targets import Claim, Measure, TargetKind, Unit, load_study

STUDY = load_study("kim2025")

PAPER = {
    ("complete_response", 6): ("49.5", "56.6", "0.308"),
    ("partial_response", 6): ("33.0", "24.1", "0.213"),
    ("complete_response", 12): ("52.3", "73.1", "0.006"),
    ("overall_response", 12): (None, None, "0.15"),
    ("complete_response", 24): ("58.2", "71.8", "0.031"),
    ("overall_response", 36): ("75.4", "83.1", "0.252"),
    ("overall_response", 60): ("72.9", "87.3", "0.1"),
}


@pytest.mark.parametrize(("measure", "month"), list(PAPER))
def test_response_as_the_paper_prints_it(measure: str, month: int) -> None:
    tacrolimus, other, p = PAPER[measure, month]
    for arm, value in (("tacrolimus", tacrolimus), ("no_tacrolimus", other)):
        target = STUDY.printed(Measure(measure), arm=arm, month=month)
        assert (target.value if target else None) == value
        assert target is None or (target.status, target.source) == (Status.REPORTED, "paper")
    target = STUDY.printed(Measure.P_VALUE, month=month, compares=Measure(measure))
    assert target is not None
    assert target.value == p


def test_no_other_percentage_or_p_value_is_in_force() -> None:
    numbers = [t for t in STUDY.targets if t.kind is TargetKind.NUMBER and t.superseded_by is None]
    percentages = [t for t in numbers if t.unit is Unit.PERCENT]
    assert len(percentages) == 2 * (len(PAPER) - 1) + 1  # and tacrolimus alone
    assert sorted(t.value or "" for t in numbers if t.unit is Unit.PROBABILITY) == sorted(
        [*(p for *_, p in PAPER.values()), "0.837"]
    )


def test_earlier_values_are_kept_and_marked() -> None:
    earlier = {t.id: (t.value, t.status, t.superseded_by) for t in STUDY.targets if t.superseded_by}
    assert earlier["or_60_no_tacrolimus_2023"] == ("85.5", Status.REPORTED_EARLIER, "or_60_no_tacrolimus")
    assert earlier["total_patients_2022"] == ("170", Status.REPORTED_EARLIER, "total_patients")
    assert earlier["total_patients_2023"] == ("170", Status.REPORTED_EARLIER, "total_patients")
    assert earlier["baseline_similar_2022"][2] == earlier["baseline_similar_2023"][2] == "baseline_class_v"
    assert STUDY.target("total_patients").value == "179"


def test_arms_months_and_tacrolimus_alone() -> None:
    assert [(arm.code, arm.size, arm.tacrolimus) for arm in STUDY.arms] == [
        ("tacrolimus", 92, True),
        ("no_tacrolimus", 87, False),
    ]
    assert (0, *STUDY.visit_months) == SCHEDULED_MONTHS
    assert STUDY.target("monotherapy_count_tacrolimus").value == "19"
    assert STUDY.target("monotherapy_percentage_tacrolimus").value == "20.7"


def test_findings_in_words() -> None:
    claims = {t.id: (t.measure, t.claim) for t in STUDY.targets if t.kind is TargetKind.FINDING}
    assert claims["baseline_class_v"] == (Measure.CLASS_V, Claim.HIGHER)
    assert claims["baseline_severity"] == (Measure.DISEASE_SEVERITY, Claim.HIGHER)
    for finding in ("renal_flares", "poor_outcomes", "adverse_events", "or_12_similar", "laboratory_60_similar"):
        assert claims[finding][1] is Claim.NO_SIGNIFICANT_DIFFERENCE
    exceeds = STUDY.target("or_60_exceeds_70")
    assert (exceeds.claim, exceeds.value) == (Claim.EXCEEDS, "70")
    assert STUDY.target("baseline_severity").source == "editorial"


def test_sums_that_nobody_printed_are_not_targets() -> None:
    assert not {t.value for t in STUDY.targets} & {"82.5", "80.7", "82.4"}
    assert all(t.status in (Status.REPORTED, Status.REPORTED_EARLIER) for t in STUDY.targets)
    assert all(t.n is None for t in STUDY.targets)


def test_definitions_and_what_no_source_defines() -> None:
    definitions = {entry.term: entry.wording for entry in STUDY.definitions}
    assert definitions["renal_flare"] is None
    assert definitions["poor_outcome"] == "end stage renal disease or death"
    assert "not increased by >=15%" in (definitions["complete_response"] or "")


def test_every_source_is_cited_and_addressed() -> None:
    cited = {t.source for t in STUDY.targets} | {fact.source for fact in STUDY.facts}
    assert cited == {source.key for source in STUDY.sources}
    assert all(STUDY.source(key).url.startswith("https://") for key in cited)
