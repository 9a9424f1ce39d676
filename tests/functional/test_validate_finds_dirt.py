"""What validate says when registry files are mapped naively, kind by kind: the claims of docs/registry_dirt.md."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cohort.codes import Fault
from cohort.definitions import KIM2025
from cohort.schema import SCHEMA_VERSION, Column, Kind
from cohort.seeds import SeedTree
from cohort.store import Cohort, read_cohort
from cohort.targets import load_study
from cohort.validation import validate_cohort
from synthetic.dirt.kinds import KINDS, DirtPlan
from synthetic.dirt.layout import (
    CASTS,
    FIELDS,
    FLAGS,
    ITEMS,
    PATIENT,
    SEXES,
    START,
    VISIT,
    Sheet,
    arm_codes,
    column_of,
    is_relative_day,
    table_of,
)
from synthetic.dirt.registry import make_registry
from synthetic.generate import generate_exact

CHECKOUT = Path(__file__).resolve().parents[2]
STUDY = load_study("kim2025")
QUICK = (Fault.ARM_SWAPPED, Fault.DATE_FORMAT, Fault.MISSING_CODE, Fault.PATIENT_TWO_IDS, Fault.UNIT_STATED)
SIDE_EFFECTS = {"events.day", "treatments.stop_day"}
"""Columns by which a fault is found by chance: a visit of kidney failure lost, a drug beyond the end of follow-up."""


@cache
def cohort() -> Cohort:
    return generate_exact(STUDY, seed=2025).cohort


def date(texts: pd.Series[Any]) -> pd.Series[Any]:
    return pd.to_datetime(texts, format="%Y-%m-%d", errors="coerce")


def values(column: Column, texts: pd.Series[Any]) -> pd.Series[Any]:
    """Read what a program reads without thinking; whatever else is missing."""
    if column.kind is Kind.BOOLEAN:
        words = {word: flag for flag, word in (*FLAGS.items(), *CASTS.items())}
        return pd.Series([words.get(text) for text in texts], index=texts.index, dtype=object)
    if column.kind is Kind.NUMBER:
        return pd.to_numeric(texts, errors="coerce")
    if column.kind is Kind.INTEGER:
        return pd.to_numeric(texts, errors="coerce").round()
    return date(texts) if column.kind is Kind.DATE else texts


def mapped(files: dict[Sheet, pd.DataFrame], sheet: Sheet) -> pd.DataFrame:
    """Map a file to its table by header, the first result of each item to the visit."""
    frame, table = files[sheet], table_of(sheet)
    patients = files[Sheet.PATIENTS].drop_duplicates(PATIENT).set_index(PATIENT)
    codes = {"ARM": {code: arm for arm, code in arm_codes(STUDY).items()}, "SEX": {v: k for k, v in SEXES.items()}}
    columns: dict[str, Any] = {}
    for field in FIELDS[sheet]:
        if not field.source:
            continue
        column, texts = column_of(table, field.source), frame[field.header]
        if is_relative_day(column):
            start = date(patients[START]).reindex(frame[PATIENT]).to_numpy()
            columns[column.name] = (date(texts) - start).dt.days
        elif field.header in codes:
            columns[column.name] = texts.map(codes[field.header]).fillna(texts)
        else:
            columns[column.name] = values(column, texts.str.removeprefix("M") if field.header == "VISIT" else texts)
    if sheet is Sheet.VISITS:
        labs = files[Sheet.LABS].drop_duplicates([PATIENT, VISIT, "ITEM"]).set_index([PATIENT, VISIT, "ITEM"])["RESULT"]
        for item in ITEMS:
            keys = pd.MultiIndex.from_arrays([frame[PATIENT], frame[VISIT], [item.code] * len(frame)])
            columns[item.source] = values(column_of(table, item.source), pd.Series(labs.reindex(keys).to_numpy()))
    return pd.DataFrame(columns)


def findings(kind: Fault | None, folder: Path) -> tuple[pd.DataFrame, int]:
    """Write the naive tables as a cohort directory; return what validate finds, and how many faults there are."""
    kinds = {spec.fault: spec.rates[2] for spec in KINDS}
    rates = {fault: kinds[fault] if fault is kind else 0.0 for fault in Fault}
    twin = make_registry(cohort(), STUDY, SeedTree(1).child("dirt"), DirtPlan(rates, at_least_once=True))
    assert len(twin.faults) or kind is None
    for sheet in Sheet:
        if sheet is not Sheet.LABS:
            table = pa.Table.from_pandas(mapped(twin.files, sheet), preserve_index=False)
            pq.write_table(table, folder / f"{table_of(sheet).name}.parquet")
    (folder / "cohort.json").write_text(json.dumps({"schema_version": SCHEMA_VERSION, "study": "kim2025"}), "utf-8")
    found = validate_cohort(read_cohort(folder), arms=[arm.code for arm in STUDY.arms], response=KIM2025)
    return found, int(twin.kinds["planted"].sum())


def documented() -> dict[str, str]:
    """Return the last cell of each kind in the documentation: what validate finds."""
    text = (CHECKOUT / "docs" / "registry_dirt.md").read_text("utf-8")
    rows = re.findall(r"^\| `(\w+)` \|.*\| (\w[\w ]*) \|$", text, flags=re.MULTILINE)
    return dict(rows)


def test_the_layout_alone_breaks_no_rule(tmp_path: Path) -> None:
    found, planted = findings(None, tmp_path)
    assert found.empty
    assert planted == 0


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=() if kind in QUICK else pytest.mark.slow) for kind in Fault]
)
def test_validate_finds_what_the_documentation_says(kind: Fault, tmp_path: Path) -> None:
    found, planted = findings(kind, tmp_path)
    claim = documented()[kind.value]
    assert claim in {"found", "in part", "by chance", "counted", "not found"}
    if claim == "by chance":
        assert set(found["table"] + "." + found["column"]) <= SIDE_EFFECTS
        return
    assert found.empty == (claim in {"counted", "not found"}), found
    if claim == "counted":
        lacking, clean = (int(each.visits.isna().sum().sum()) for each in (read_cohort(tmp_path), cohort()))
        assert lacking == clean + planted
    if claim == "found":
        assert found["rows"].sum() >= planted
