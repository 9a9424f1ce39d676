"""Protects the pieces of the registry twin: layout, conversions, spellings, streams and what is refused."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cohort.codes import DirtLevel, Drug, Fault, IsnRpsClass, Status
from cohort.errors import UsageError
from cohort.provenance import PROVENANCE_COLUMNS, provenance_table
from cohort.record import Study
from cohort.schema import COHORT_TABLES
from cohort.seeds import SeedTree
from synthetic.dirt.cells import Cell
from synthetic.dirt.dates import DATE_FAULTS
from synthetic.dirt.draws import hits, pools
from synthetic.dirt.kinds import KINDS, DirtPlan, plan_at, rate_provenance
from synthetic.dirt.layout import FIELDS, ITEMS, Sheet, codebook, headers
from synthetic.dirt.losses import SICKER, rank_weight
from synthetic.dirt.numbers import LIMITS, MISSING_CODES, NUMBER_FAULTS, mistyped, slipped
from synthetic.dirt.registry import make_registry
from synthetic.dirt.rendering import number_text
from synthetic.dirt.rows import second_number
from synthetic.dirt.units import FACTORS, converted
from synthetic.dirt.wording import CLASS_SPELLINGS, SEX_CODES, SYNONYMS, WORD_FAULTS, arm_swapped, respelled
from synthetic.generate import GeneratedCohort

CHECKOUT = Path(__file__).resolve().parents[2]


def test_every_kind_is_specified_once_with_growing_rates_and_a_reason() -> None:
    assert [kind.fault for kind in KINDS] == list(Fault)
    for kind in KINDS:
        light, moderate, heavy = kind.rates
        assert 0 < light < moderate < heavy <= 1, kind.fault
        assert kind.recoverable in {"yes", "no", "depends"}
        assert kind.status is Status.ASSUMED
        assert kind.what
        assert kind.why
    table = rate_provenance()
    assert list(table.columns) == list(PROVENANCE_COLUMNS)
    assert len(table) == len(KINDS)
    assert provenance_table(FACTORS, LIMITS)["source"].ne("").all()


def test_the_documentation_lists_every_kind_as_specified() -> None:
    text = (CHECKOUT / "docs" / "registry_dirt.md").read_text("utf-8")
    rows = {match[1]: match[0] for match in re.finditer(r"^\| `(\w+)` \|(?:[^|]*\|){5}$", text, flags=re.MULTILINE)}
    assert list(rows) == [kind.fault.value for kind in KINDS]
    for kind in KINDS:
        cells = [cell.strip() for cell in rows[kind.fault.value].strip("|").split("|")]
        assert cells[1] == kind.what
        assert cells[2] == kind.per
        assert cells[3] == " / ".join(f"{rate:g}" for rate in kind.rates)
        assert cells[4] == kind.recoverable


def test_levels_grow_from_nothing() -> None:
    assert not any(plan_at(DirtLevel.NONE).rates.values())
    assert [plan_at(level).at_least_once for level in DirtLevel] == [False, False, True, True]
    for kind in KINDS:
        assert [plan_at(level).rates[kind.fault] for level in list(DirtLevel)[1:]] == list(kind.rates)


def test_the_layout_holds_every_column_of_the_schema_once() -> None:
    laid = [field.source for fields in FIELDS.values() for field in fields if field.source]
    laid += [item.source for item in ITEMS]
    known = [name for table in COHORT_TABLES for name in table.column_names if name != "patient_id"]
    assert sorted(source for source in laid if source != "patient_id") == sorted(known)
    assert laid.count("patient_id") == len(FIELDS)
    for sheet in Sheet:
        assert len(set(headers(sheet))) == len(headers(sheet))


def test_the_codebook_explains_headers_codes_and_items_and_names_no_fault(study: Study) -> None:
    book = codebook(study)
    assert set(book["file"]) == {sheet.value for sheet in Sheet}
    named = set(zip(book["file"], book["column"], strict=True))
    assert named == {(sheet.value, header) for sheet in Sheet for header in headers(sheet)}
    arms = book[(book["column"] == "ARM") & (book["code"] != "")]
    assert dict(zip(arms["code"], arms["meaning"], strict=True)) == {
        str(number): arm.label for number, arm in enumerate(study.arms, start=1)
    }
    items = book[(book["column"] == "ITEM") & (book["code"] != "")]
    assert dict(zip(items["code"], items["unit"], strict=True)) == {item.code: item.unit for item in ITEMS}
    assert not book["code"].isin([code for code in MISSING_CODES if code]).any()


@pytest.mark.parametrize(
    ("text", "factor", "expected"),
    [
        ("0.91", "1000", "910"),
        ("0.05", "1000", "50"),
        ("104", "0.01", "1.04"),
        ("90", "0.01", "0.90"),
        ("3.6", "10", "36"),
        ("0.91", "88.4", "80.4"),
        ("12", "88.4", "1061"),
    ],
)
def test_results_in_another_unit(text: str, factor: str, expected: str) -> None:
    assert converted(text, factor) == expected


def test_every_creatinine_can_be_turned_back() -> None:
    for hundredths in range(10, 3001):
        text = f"{hundredths / 100:.2f}"
        assert f"{float(converted(text, FACTORS.creatinine)) / 88.4:.2f}" == text


@pytest.mark.parametrize(("text", "expected"), [("1.04", "0.14"), ("33", "34"), ("99", "90"), ("11.2", "12.1")])
def test_mistyped_digits(text: str, expected: str) -> None:
    assert mistyped(text) == expected


def test_a_slipped_point_never_gives_the_clean_value() -> None:
    assert slipped("0.91", "0.91", right=True) == "9.1"
    assert slipped("0.91", "0.91", right=False) == "0.091"
    assert slipped("3.6", "36", right=False) == "360"  # in g/L the point would slip back to the value in g/dL
    assert slipped("104", "1.04", right=True) == "10.4"


def test_numbers_are_written_so_that_they_can_be_read_back() -> None:
    assert number_text(0.5, 2, trimmed=False) == "0.50"
    assert number_text(0.1 + 0.2, 1, trimmed=False) == "0.30000000000000004"
    assert number_text(1500.0, 1, trimmed=True) == "1500"
    assert number_text(2.5, None, trimmed=False) == "2.5"


def test_no_synonym_stands_for_two_things() -> None:
    for spellings in (SYNONYMS, CLASS_SPELLINGS, SEX_CODES):
        words = [word for options in spellings.values() for word in options]
        assert len(set(words)) == len(words)
        assert not set(words) & set(spellings)
    assert set(SYNONYMS) == {drug.value for drug in Drug}
    assert set(CLASS_SPELLINGS) == {code.value for code in IsnRpsClass}


@pytest.mark.parametrize("text", ["renal_flare", "death", "CR", "a b"])
@pytest.mark.parametrize("variant", [0.0, 0.3, 0.6, 0.99])
def test_a_respelled_code_differs_and_keeps_its_letters(text: str, variant: float) -> None:
    other = respelled(text, variant)
    assert other != text
    assert other.strip().lower().replace(" ", "_") == text.lower().replace(" ", "_")


def test_the_digit_of_the_resident_number_follows_the_year_of_birth() -> None:
    [fault] = [kind for kind in WORD_FAULTS if kind.fault is Fault.SEX_CODE]
    for sex, start, age, digit in (("F", "2019-05-01", "18", "4"), ("M", "2019-05-01", "30", "1")):
        cell = Cell(sex, sex, {"MT_START": start, "AGE": age}, 0.99)
        assert fault.change(cell).text == digit


def test_swapped_arms_go_round() -> None:
    fault = arm_swapped(["1", "2", "3"], shown_by_drugs=False)
    changed = [fault.change(Cell(code, code, {}, 0.5)) for code in ("1", "2", "3")]
    assert [change.text for change in changed] == ["2", "3", "1"]
    assert not any(change.recoverable for change in changed)


@pytest.mark.parametrize("variant", [0.0, 0.2, 0.4, 0.6, 0.8, 0.999])
@pytest.mark.parametrize("text", ["2012-02-03", "2012-04-30", "2011-12-31", "2000-01-13"])
def test_changed_dates_differ_and_impossible_ones_do_not_exist(text: str, variant: float) -> None:
    for kind in DATE_FAULTS:
        if not kind.fits(pd.DataFrame({"D": [text]}), "D")[0]:
            continue
        changed = kind.change(Cell(text, text, {}, variant)).text
        assert changed != text
        if kind.fault is Fault.DATE_IMPOSSIBLE:
            with pytest.raises(ValueError, match=r"."):
                np.datetime64(changed, "D")


@pytest.mark.parametrize(
    ("item", "text", "current", "expected"),
    [
        ("UPCR", "0.05", "0.05", "<0.10"),
        ("UPCR", "0.05", "50", "<100"),
        ("UPCR", "0.00", "0", "<0.10"),
        ("DSDNA", "4.0", "4.0", "<10"),
        ("DSDNA", "591.8", "591.8", ">300"),
        ("URBC", "0", "0", "neg"),
        ("URBC", "2", "2", "trace"),
        ("URBC", "101", "101", ">100"),
        ("FK_C0", "1.9", "1.9", "<2.0"),
    ],
)
def test_results_beyond_the_limits_of_an_assay(item: str, text: str, current: str, expected: str) -> None:
    [fault] = [kind for kind in NUMBER_FAULTS if kind.fault is Fault.ASSAY_LIMIT]
    assert fault.fits(pd.DataFrame({"ITEM": [item], "RESULT": [text]}), "RESULT").all()
    change = fault.change(Cell(text, current, {"ITEM": item}, 0.5))
    assert change.text == expected
    assert change.recoverable == (expected == "neg")


def test_results_within_the_limits_stay_numbers() -> None:
    [fault] = [kind for kind in NUMBER_FAULTS if kind.fault is Fault.ASSAY_LIMIT]
    frame = pd.DataFrame(
        {"ITEM": ["UPCR", "DSDNA", "URBC", "FK_C0", "CR", "CAST"], "RESULT": ["0.10", "10.0", "3", "2.0", "0.1", "neg"]}
    )
    assert not fault.fits(frame, "RESULT").any()


@pytest.mark.parametrize(
    ("numbers", "position", "expected"),
    [
        (["kim-08", "kim-09"], 0, "kim-10"),
        (["kim-08", "kim-09"], 1, "kim-11"),
        (["9", "10"], 0, "11"),
        (["anna", "ben"], 1, "ben-4"),
        (["anna", "b7"], 0, "anna-3"),
    ],
)
def test_second_numbers_are_new(numbers: list[str], position: int, expected: str) -> None:
    assert second_number(numbers, position) == expected
    assert expected not in numbers


def test_weights_follow_ranks_with_mean_one() -> None:
    assert rank_weight(pd.Series([3.0, 1.0, 1.0, 9.0])).tolist() == [1.25, 0.5, 0.5, 1.75]
    assert rank_weight(pd.Series([np.nan, np.nan])).tolist() == [1.0, 1.0]
    assert set(SICKER) < {item.code for item in ITEMS}


def test_a_unit_has_one_owner_whoever_else_could_have_it() -> None:
    weights = {Fault.DECIMAL_COMMA: np.ones(500), Fault.MISSING_CODE: np.r_[np.zeros(250), np.ones(250)]}
    shared = pools(weights, SeedTree(1), ("labs.csv", "RESULT"))
    comma, missing = shared[Fault.DECIMAL_COMMA], shared[Fault.MISSING_CODE]
    assert (comma.eligible, missing.eligible) == (500, 250)
    assert sorted([*comma.units, *missing.units]) == list(range(500))
    assert set(range(250)) <= set(comma.units.tolist())
    everything = list(hits([comma, missing], 1.0, at_least_once=False))
    assert len(everything) > 250


def test_at_least_once_takes_the_most_urgent_unit_and_nothing_from_a_rate_of_zero() -> None:
    pool = pools({Fault.SEX_CODE: np.ones(20)}, SeedTree(3), ("x",))[Fault.SEX_CODE]
    assert not list(hits([pool], 1e-9, at_least_once=False))
    [only] = hits([pool], 1e-9, at_least_once=True)
    assert only.unit == pool.units[pool.urgency.argmin()]
    assert not list(hits([pool], 0.0, at_least_once=True))
    nobody = pools({Fault.SEX_CODE: np.zeros(20)}, SeedTree(3), ("x",))[Fault.SEX_CODE]
    assert not list(hits([nobody], 0.5, at_least_once=True))


def test_rates_beyond_a_share_and_empty_cohorts_are_refused(generated: GeneratedCohort, study: Study) -> None:
    rates = dict(plan_at(DirtLevel.LIGHT).rates) | {Fault.SEX_CODE: 1.5}
    with pytest.raises(UsageError, match=r"rate of sex_code: a rate is a share from 0 to 1; got 1.5"):
        make_registry(generated.cohort, study, SeedTree(1), DirtPlan(rates, at_least_once=False))
    empty = dataclasses.replace(generated.cohort, visits=generated.cohort.visits.iloc[:0])
    with pytest.raises(UsageError, match="needs patients and visits"):
        make_registry(empty, study, SeedTree(1), plan_at(DirtLevel.LIGHT))
