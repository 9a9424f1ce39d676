"""Undoing every listed fault gives the clean cohort back to the byte, so that no fault is planted unlisted."""

from __future__ import annotations

import dataclasses
import json
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cohort.codes import DirtLevel, Fault
from cohort.errors import UsageError
from cohort.schema import COHORT_TABLES, TRUTH_FAULTS, VISIT_VALUES
from cohort.seeds import SeedTree
from cohort.store import Cohort, read_table, write_table
from cohort.targets import load_study
from synthetic.dirt.kinds import DirtPlan, plan_at
from synthetic.dirt.layout import Sheet
from synthetic.dirt.reading import read_registry
from synthetic.dirt.registry import DirtyRegistry, make_registry
from synthetic.dirt.rendering import render
from synthetic.dirt.undo import undo_faults
from synthetic.dirt.writing import write_registry
from synthetic.generate import generate_exact

STEADY = settings(derandomize=True, deadline=None, max_examples=8)
STUDY = load_study("kim2025")
COHORT_SEEDS = st.integers(1, 3)
SEEDS = st.integers(0, 2**40)


@cache
def cohort_of(seed: int) -> Cohort:
    return generate_exact(STUDY, seed=seed).cohort


def twin_of(cohort: Cohort, seed: int, plan: DirtPlan) -> DirtyRegistry:
    return make_registry(cohort, STUDY, SeedTree(seed).child("dirt"), plan)


def assert_undone(twin: DirtyRegistry, cohort: Cohort) -> None:
    """The shuffled list takes the files back to the clean ones, and those to the bytes of the clean tables."""
    shuffled = twin.faults.sample(frac=1.0, random_state=1)
    files = undo_faults(twin.files, shuffled)
    clean = render(cohort, STUDY)
    for sheet in Sheet:
        pd.testing.assert_frame_equal(files[sheet], clean[sheet], check_exact=True)
    tables = read_registry(files, STUDY)
    with tempfile.TemporaryDirectory() as name:
        one, other = Path(name) / "one", Path(name) / "other"
        for table in COHORT_TABLES:
            write_table(tables[table.name], table, one)
            write_table(cohort.table(table.name), table, other)
            assert one.read_bytes() == other.read_bytes(), table.name


def assert_listed_faults_are_there(twin: DirtyRegistry, cohort: Cohort) -> None:
    clean = render(cohort, STUDY)
    for fault in twin.faults.itertuples():
        sheet = Sheet(fault.file)
        file = twin.files[sheet]
        if fault.action == "changed":
            assert file[fault.column].iloc[fault.row - 1] == fault.dirty_value
            assert clean[sheet][fault.column].iloc[fault.clean_row - 1] == fault.clean_value
            assert fault.dirty_value != fault.clean_value, fault
            assert clean[sheet]["REG_NO"].iloc[fault.clean_row - 1] == fault.patient_id
        elif fault.action == "added":
            assert pd.isna(fault.clean_row)
            assert file.iloc[fault.row - 1].to_dict() == json.loads(fault.dirty_value)
        else:
            assert pd.isna(fault.row)
            assert clean[sheet].iloc[fault.clean_row - 1].to_dict() == json.loads(fault.clean_value)


@STEADY
@given(COHORT_SEEDS, SEEDS, st.sampled_from(DirtLevel))
def test_undoing_every_listed_fault_gives_the_clean_cohort(cohort_seed: int, seed: int, level: DirtLevel) -> None:
    cohort = cohort_of(cohort_seed)
    twin = twin_of(cohort, seed, plan_at(level))
    assert_undone(twin, cohort)
    assert twin.faults["fault_id"].groupby(twin.faults["kind"]).nunique().to_dict() == {
        kind: count for kind, count in zip(twin.kinds["kind"], twin.kinds["planted"], strict=True) if count
    }
    if level is DirtLevel.NONE:
        assert twin.faults.empty
        assert list(twin.faults.columns) == list(TRUTH_FAULTS.column_names)


@pytest.mark.slow
@settings(STEADY, max_examples=5)
@given(SEEDS, st.lists(st.sampled_from([0.0, 0.02, 0.5, 1.0]), min_size=len(Fault), max_size=len(Fault)))
def test_any_mixture_of_rates_can_be_undone(seed: int, rates: list[float]) -> None:
    cohort = cohort_of(1)
    twin = twin_of(cohort, seed, DirtPlan(dict(zip(Fault, rates, strict=True)), at_least_once=True))
    assert_undone(twin, cohort)


@pytest.mark.slow
@settings(STEADY, max_examples=2)
@given(SEEDS, st.sampled_from([DirtLevel.MODERATE, DirtLevel.HEAVY]))
def test_every_listed_fault_is_where_the_list_says(seed: int, level: DirtLevel) -> None:
    cohort = cohort_of(2)
    assert_listed_faults_are_there(twin_of(cohort, seed, plan_at(level)), cohort)


def test_a_cohort_without_events_and_treatments_has_a_twin() -> None:
    cohort = cohort_of(1)
    bare = dataclasses.replace(cohort, treatments=cohort.treatments.iloc[:0], events=cohort.events.iloc[:0])
    assert_undone(twin_of(bare, 5, plan_at(DirtLevel.HEAVY)), bare)


@pytest.mark.parametrize("whole", ["Int32", "float64"])
def test_a_cohort_with_missing_values_has_a_twin(whole: str) -> None:
    cohort = cohort_of(1)
    lacking = np.random.default_rng(1).random((len(cohort.visits), len(VISIT_VALUES))) < 0.2
    visits = cohort.visits.astype({"sledai_2k": whole, "urine_rbc_hpf": whole, "visit_month": whole})
    visits = visits.astype({"urine_casts": "boolean"})
    for place, name in enumerate(VISIT_VALUES):
        visits[name] = visits[name].mask(lacking[:, place])
    spoiled = dataclasses.replace(cohort, visits=visits)
    assert_undone(twin_of(spoiled, 6, plan_at(DirtLevel.HEAVY)), spoiled)


def test_the_written_files_hold_the_same_faults() -> None:
    cohort = cohort_of(3)
    twin = twin_of(cohort, 9, plan_at(DirtLevel.HEAVY))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_registry(twin, STUDY, folder)
        faults = read_table(folder / "truth" / "faults.parquet", TRUTH_FAULTS)
        files = {
            sheet: pd.read_csv(folder / "registry" / sheet.value, dtype=str, keep_default_na=False).astype(object)
            for sheet in Sheet
        }
        listed = pd.read_csv(folder / "truth" / "faults.csv", dtype=str, keep_default_na=False)
    assert len(listed) == len(faults)
    assert not faults.duplicated(list(TRUTH_FAULTS.key)).any()
    assert_undone(DirtyRegistry(files, faults, twin.kinds), cohort)


def test_files_with_faults_and_lists_of_other_files_are_refused() -> None:
    cohort = cohort_of(1)
    twin = twin_of(cohort, 5, plan_at(DirtLevel.MODERATE))
    with pytest.raises(UsageError, match=r"patients.csv: a cell is not written as the layout says; got .*; undo the"):
        read_registry(twin.files, STUDY)
    visits = render(cohort, STUDY)
    visits[Sheet.LABS].loc[0, "RESULT"] = "neg"
    with pytest.raises(UsageError, match=r"visits.csv or labs.csv: a cell"):
        read_registry(visits, STUDY)
    few = {sheet: frame.iloc[:5] for sheet, frame in twin.files.items()}
    with pytest.raises(UsageError, match="rows that the file does not have; got a file of 5 rows"):
        undo_faults(few, twin.faults)
    removed = twin.faults[twin.faults["action"] == "removed"]
    with pytest.raises(UsageError, match="rows that the file does not have"):
        undo_faults(few, removed)


def test_nobody_is_copied_beyond_death_when_every_visit_is_lost() -> None:
    cohort = cohort_of(2025)
    dead = cohort.patients.loc[cohort.patients["end_reason"] == "death", "patient_id"]
    visits = cohort.visits[
        ~(cohort.visits["patient_id"].isin(dead) & (cohort.visits["visit_month"] == 0).fillna(False))
    ]
    worst = visits["upcr_g_g"].where(~visits["patient_id"].isin(dead), 50.0)  # the highest are lost first
    spoiled = dataclasses.replace(cohort, visits=visits.assign(upcr_g_g=worst).reset_index(drop=True))
    assert spoiled.visits["patient_id"].isin(dead).any()
    rates = dict.fromkeys(Fault, 0.0) | {Fault.VISIT_LOST: 1.0, Fault.VISIT_AFTER_DEATH: 1.0}
    twin = twin_of(spoiled, 1, DirtPlan(rates, at_least_once=False))
    assert not twin.files[Sheet.VISITS]["REG_NO"].isin(dead).any()
    assert set(twin.faults["kind"]) == {"visit_lost"}
    assert_undone(twin, spoiled)
