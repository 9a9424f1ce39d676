"""What the fault list calls recoverable can be recovered by a reader that sees only the files and the codebook."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from functools import cache

import pandas as pd
import pytest

from cohort.codes import Fault
from cohort.schema import COHORT_TABLES
from cohort.seeds import SeedTree
from cohort.store import Cohort
from cohort.targets import load_study
from synthetic.dirt.kinds import KINDS, DirtPlan
from synthetic.dirt.layout import Sheet
from synthetic.dirt.registry import DirtyRegistry, make_registry
from synthetic.generate import generate_exact

STUDY = load_study("kim2025")
Files = dict[Sheet, pd.DataFrame]
CODES = {code.value for table in COHORT_TABLES for column in table.columns if column.codes for code in column.codes}
CLINICS = {"rheumatology clinic", "nephrology clinic"}
DRUGS = {
    "tac": "tacrolimus", "fk506": "tacrolimus", "fk-506": "tacrolimus", "prograf": "tacrolimus",
    "mmf": "mycophenolate", "cellcept": "mycophenolate", "mycophenolate mofetil": "mycophenolate",
    "aza": "azathioprine", "imuran": "azathioprine", "mzr": "mizoribine", "bredinin": "mizoribine",
    "cyc": "cyclophosphamide", "ctx": "cyclophosphamide", "endoxan": "cyclophosphamide",
    "csa": "cyclosporine", "ciclosporin": "cyclosporine", "neoral": "cyclosporine",
    "vcs": "voclosporin", "lupkynis": "voclosporin",
    "psl": "prednisolone", "pdl": "prednisolone", "prd": "prednisolone",
    "hcq": "hydroxychloroquine", "plaquenil": "hydroxychloroquine",
    "arb": "raas_inhibitor", "acei": "raas_inhibitor", "losartan": "raas_inhibitor",
}  # fmt: skip
STANDARD = {"UPCR": "g/g", "CR": "mg/dL", "ALB": "g/dL", "C3": "mg/dL", "HB": "g/dL"}
DIVISOR = {"mg/g": 1000, "umol/L": 88.4, "g/L": 10}
DECIMALS = {"UPCR": 2, "CR": 2, "ALB": 1, "C3": 0, "HB": 1}


@cache
def cohort() -> Cohort:
    return generate_exact(STUDY, seed=2025).cohort


def only(kind: Fault, rate: float) -> DirtyRegistry:
    rates = dict.fromkeys(Fault, 0.0) | {kind: rate}
    return make_registry(cohort(), STUDY, SeedTree(3), DirtPlan(rates, at_least_once=True))


def date(text: str) -> str:
    """Read a date in any form that has one reading."""
    if match := re.fullmatch(r"(\d{4})[.-]?(\d{2})[.-]?(\d{2})", text):
        return "-".join(match.groups())
    if match := re.fullmatch(r"(\d{4})년 (\d+)월 (\d+)일", text):
        return dt.date(*map(int, match.groups())).isoformat()
    if re.fullmatch(r"\d{5}", text):
        return (dt.date(1899, 12, 30) + dt.timedelta(days=int(text))).isoformat()
    form = "%d-%b-%Y" if "-" in text else "%d/%m/%Y"
    parsed = dt.datetime.strptime(text, form).date()
    assert parsed.day > 12 or form == "%d-%b-%Y"
    return parsed.isoformat()


def number(text: str) -> float:
    """Read a number with decimal comma or comma between thousands."""
    return float(text.replace(",", "") if re.search(r"\d,\d{3}\b", text) else text.replace(",", "."))


def code(text: str) -> str:
    plain = text.strip().lower()
    return plain if plain in CLINICS else plain.replace(" ", "_")


def sex(text: str) -> str:
    plain = text.lower()
    return "F" if plain[0] in "f여" or plain in {"2", "4"} else "M"


def lupus_class(text: str) -> str:
    plain = re.sub(r"\(.*\)|class|-[gs]| ", "", text.lower()).replace("&", "+")
    for digit, roman in (("5", "v"), ("4", "iv"), ("3", "iii"), ("2", "ii")):
        plain = plain.replace(digit, roman)
    parts = sorted(plain.split("+"), key=lambda part: part == "v")
    return "+".join(parts).upper()


def dose(text: str) -> float:
    match = re.fullmatch(r"([\d.]+) ?mg(?:/d)?(?: (bid|q12h|qd))?", text)
    assert match
    return float(match[1]) * (2 if match[2] in {"bid", "q12h"} else 1)


CELL_READERS: dict[Fault, Callable[[str], object]] = {
    Fault.DECIMAL_COMMA: number,
    Fault.THOUSANDS_SEPARATOR: number,
    Fault.DATE_FORMAT: date,
    Fault.CODE_SPELLING: code,
    Fault.DRUG_SYNONYM: lambda text: DRUGS[text.lower()],
    Fault.SEX_CODE: sex,
    Fault.CLASS_SPELLING: lupus_class,
    Fault.DOSE_TEXT: dose,
}


@pytest.mark.parametrize("kind", CELL_READERS)
def test_cells_can_be_read(kind: Fault) -> None:
    faults = only(kind, 0.5 if kind is Fault.SEX_CODE else 0.14).faults
    assert faults["recoverable"].all()
    assert len(faults) > 10
    for clean, dirty in zip(faults["clean_value"], faults["dirty_value"], strict=True):
        read = CELL_READERS[kind](dirty)
        assert read == (float(clean) if isinstance(read, float) else clean), dirty


def repeated_header(files: Files) -> Files:
    return {sheet: frame[frame["REG_NO"] != "REG_NO"] for sheet, frame in files.items()}


def stated_units(files: Files) -> Files:
    labs = files[Sheet.LABS].copy()
    for place, (item, text, unit) in enumerate(zip(labs["ITEM"], labs["RESULT"], labs["UNIT"], strict=True)):
        if unit != STANDARD.get(item, unit):
            divisor = 0.01 if item == "C3" else DIVISOR[unit]
            labs.iat[place, 3] = f"{float(text) / divisor:.{DECIMALS[item]}f}"
            labs.iat[place, 4] = STANDARD[item]
    return files | {Sheet.LABS: labs}


def corrections(files: Files) -> Files:
    labs = files[Sheet.LABS]
    labs = labs.drop_duplicates(["REG_NO", "VISIT_NO", "ITEM"], keep="last").assign(STATUS="F")
    return files | {Sheet.LABS: labs}


def overlaps(files: Files) -> Files:
    rows = files[Sheet.TREATMENTS].copy()
    following = rows.groupby(["REG_NO", "DRUG", "PHASE"])["START_DT"].shift(-1)
    for place, (stop, start) in enumerate(zip(rows["STOP_DT"], following, strict=True)):
        if isinstance(start, str) and stop >= start:
            rows.iat[place, 4] = (dt.date.fromisoformat(start) - dt.timedelta(days=1)).isoformat()
    return files | {Sheet.TREATMENTS: rows}


def second_numbers(files: Files) -> Files:
    patients = files[Sheet.PATIENTS]
    first = patients.groupby([header for header in patients.columns if header != "REG_NO"])["REG_NO"].transform("min")
    owner = dict(zip(patients["REG_NO"], first, strict=True))
    renamed = {sheet: frame.assign(REG_NO=frame["REG_NO"].map(owner)) for sheet, frame in files.items()}
    return renamed | {Sheet.PATIENTS: renamed[Sheet.PATIENTS].drop_duplicates("REG_NO")}


def merged_cells(files: Files) -> Files:
    rows = files[Sheet.TREATMENTS]
    return files | {Sheet.TREATMENTS: rows.assign(REG_NO=rows["REG_NO"].mask(rows["REG_NO"] == "").ffill())}


def same_visit_twice(files: Files) -> Files:
    return files | {sheet: files[sheet].drop_duplicates() for sheet in (Sheet.VISITS, Sheet.LABS)}


def outside(files: Files) -> Files:
    """Drop visits before the start of therapy and after the death of the patient, with their results."""
    visits, patients = files[Sheet.VISITS], files[Sheet.PATIENTS].set_index("REG_NO")
    start = patients.loc[visits["REG_NO"], "MT_START"].to_numpy()
    died = (patients.loc[visits["REG_NO"], "END_CD"] == "death").to_numpy()
    end = patients.loc[visits["REG_NO"], "LAST_FU"].to_numpy()
    kept = visits[(visits["VISIT_DT"] >= start) & ~(died & (visits["VISIT_DT"] > end))]
    keys = pd.MultiIndex.from_frame(kept[["REG_NO", "VISIT_NO"]])
    labs = files[Sheet.LABS]
    own = pd.MultiIndex.from_frame(labs[["REG_NO", "VISIT_NO"]]).isin(keys)
    return files | {Sheet.VISITS: kept, Sheet.LABS: labs[own]}


FILE_READERS: dict[Fault, Callable[[Files], Files]] = {
    Fault.UNIT_STATED: stated_units,
    Fault.CORRECTED_RESULT: corrections,
    Fault.OVERLAPPING_TREATMENT: overlaps,
    Fault.PATIENT_TWO_IDS: second_numbers,
    Fault.MERGED_CELLS: merged_cells,
    Fault.VISIT_DUPLICATED: same_visit_twice,
    Fault.VISIT_BEFORE_START: outside,
    Fault.VISIT_AFTER_DEATH: outside,
    Fault.REPEATED_HEADER: repeated_header,
}


@pytest.mark.parametrize("kind", FILE_READERS)
def test_files_can_be_put_right(kind: Fault) -> None:
    twin = only(kind, 0.9 if kind is Fault.VISIT_AFTER_DEATH else 0.12)
    assert len(twin.faults)
    assert twin.faults["recoverable"].all()
    mended, clean = FILE_READERS[kind](twin.files), only(kind, 0.0).files
    for sheet in Sheet:
        pd.testing.assert_frame_equal(mended[sheet].reset_index(drop=True), clean[sheet])


def test_swapped_arms_are_shown_by_the_drugs() -> None:
    twin = only(Fault.ARM_SWAPPED, 0.2)
    patients, treatments = twin.files[Sheet.PATIENTS], twin.files[Sheet.TREATMENTS]
    takers = set(treatments.loc[treatments["DRUG"] == "tacrolimus", "REG_NO"])
    tacrolimus = next(str(number) for number, arm in enumerate(STUDY.arms, start=1) if arm.tacrolimus)
    shown = ["1" if (number in takers) == (tacrolimus == "1") else "2" for number in patients["REG_NO"]]
    assert twin.faults["recoverable"].all()
    assert shown == only(Fault.ARM_SWAPPED, 0.0).files[Sheet.PATIENTS]["ARM"].tolist()


def test_a_negative_result_stands_for_zero_and_no_other_text_for_a_number() -> None:
    faults = only(Fault.ASSAY_LIMIT, 0.14).faults
    assert set(faults.loc[faults["recoverable"], "dirty_value"]) == {"neg"}
    assert set(faults.loc[faults["recoverable"], "clean_value"]) == {"0"}
    lost = faults.loc[~faults["recoverable"], "dirty_value"]
    assert lost.str.fullmatch(r"[<>].*|trace").all()


def test_every_kind_is_judged_here_or_called_lost() -> None:
    judged = {*CELL_READERS, *FILE_READERS}
    assert judged == {kind.fault for kind in KINDS if kind.recoverable == "yes"}
    for kind in KINDS:
        if kind.recoverable == "no":
            assert not only(kind.fault, kind.rates[2]).faults["recoverable"].any(), kind.fault


def test_a_cell_with_two_faults_is_recoverable_only_if_both_are() -> None:
    rates = dict.fromkeys(Fault, 0.0) | {Fault.UNIT_STATED: 0.5, Fault.DECIMAL_SLIP: 0.1, Fault.DECIMAL_COMMA: 0.1}
    faults = make_registry(cohort(), STUDY, SeedTree(3), DirtPlan(rates, at_least_once=False)).faults
    cell = faults[faults["column"] == "RESULT"].groupby("clean_row")
    kinds = cell["kind"].agg(set)
    recoverable = cell["recoverable"].agg(set)
    twice = kinds[kinds.map(len) == 2]
    assert len(twice) > 20
    for row, both in twice.items():
        assert recoverable[row] == {"decimal_slip" not in both}
