"""Each kind of fault has its own streams: a rate moves no other kind's faults, a higher rate keeps those of a lower."""

from __future__ import annotations

import dataclasses
from functools import cache
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

from cohort.codes import DirtLevel, Fault
from cohort.seeds import SeedTree
from cohort.store import Cohort
from cohort.targets import load_study
from synthetic.dirt.draft import Draft
from synthetic.dirt.kinds import DirtPlan, plan_at
from synthetic.dirt.layout import Sheet
from synthetic.dirt.planting import Planting
from synthetic.dirt.registry import DirtyRegistry, cell_weights, make_registry
from synthetic.dirt.rendering import render
from synthetic.generate import generate_exact

STUDY = load_study("kim2025")
LOSSES = (Fault.VISIT_LOST, Fault.LAB_MISSING_AT_RANDOM, Fault.LAB_MISSING_NOT_AT_RANDOM)
Places = set[tuple[object, ...]]


@cache
def cohort_of(seed: int) -> Cohort:
    return generate_exact(STUDY, seed=seed).cohort


@cache
def small_cohort() -> Cohort:
    """Sixty patients are enough to compare streams."""
    whole = cohort_of(2025)
    ids = whole.patients["patient_id"].iloc[:60]
    tables = {
        name: whole.table(name)[whole.table(name)["patient_id"].isin(ids)].reset_index(drop=True)
        for name in ("patients", "visits", "treatments", "events")
    }
    return dataclasses.replace(whole, **tables)


def twin_of(cohort: Cohort, rates: dict[Fault, float], seed: int = 4, *, at_least_once: bool = False) -> DirtyRegistry:
    return make_registry(cohort, STUDY, SeedTree(seed), DirtPlan(rates, at_least_once))


def places(twin: DirtyRegistry, action: str | None = None) -> dict[str, Places]:
    """Where the faults of each kind stand: the clean cell or row; of an added row only whose it is."""
    faults = twin.faults if action is None else twin.faults[twin.faults["action"] == action]
    keys = faults.assign(clean_row=faults["clean_row"].fillna(0), column=faults["column"].fillna(""))
    return {
        kind: set(zip(part["file"], part["clean_row"], part["column"], part["patient_id"], strict=True))
        for kind, part in keys.groupby("kind")
    }


def lost_rows(twin: DirtyRegistry) -> set[tuple[object, object]]:
    removed = twin.faults[twin.faults["action"] == "removed"]
    return set(zip(removed["file"], removed["clean_row"], strict=True))


HEAVY = dict(plan_at(DirtLevel.HEAVY).rates)


@pytest.fixture(scope="module")
def base() -> dict[str, Places]:
    return places(twin_of(small_cohort(), HEAVY))


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(fault, marks=pytest.mark.slow if place % 5 else ())
        for place, fault in enumerate(fault for fault in Fault if fault not in LOSSES)
    ],
)
def test_one_rate_moves_no_other_kind(kind: Fault, base: dict[str, Places]) -> None:
    other = places(twin_of(small_cohort(), HEAVY | {kind: 0.0}))
    assert kind.value not in other
    for name, where in base.items():
        if name != kind.value:
            assert other[name] == where, name


@pytest.mark.parametrize("kind", LOSSES)
def test_losses_take_the_faults_of_their_rows_and_move_none(kind: Fault) -> None:
    with_losses, without = twin_of(small_cohort(), HEAVY), twin_of(small_cohort(), HEAVY | {kind: 0.0})
    gone = lost_rows(with_losses)
    changed, other = places(with_losses, "changed"), places(without, "changed")
    for name, where in other.items():
        assert {place for place in where if place[:2] not in gone} == changed[name], name
    removed, fewer = places(with_losses, "removed"), places(without, "removed")
    for name, where in fewer.items():
        assert removed[name] <= where, name


@pytest.mark.slow
def test_a_higher_level_keeps_the_faults_of_a_lower_one() -> None:
    cohort = cohort_of(2025)
    by_level = [make_registry(cohort, STUDY, SeedTree(8), plan_at(level)) for level in list(DirtLevel)[1:]]
    for lower, higher in pairwise(by_level):
        gone = lost_rows(higher)
        assert lost_rows(lower) < gone
        high = places(higher, "changed")
        for name, where in places(lower, "changed").items():
            assert {place for place in where if place[:2] not in gone} <= high[name], name


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("level", [DirtLevel.MODERATE, DirtLevel.HEAVY])
def test_every_kind_that_can_occur_does_from_moderate_on(seed: int, level: DirtLevel) -> None:
    kinds = make_registry(cohort_of(seed), STUDY, SeedTree(seed), plan_at(level)).kinds
    possible = kinds[kinds["eligible"] > 0]
    assert len(possible) >= len(Fault) - 1  # perhaps nobody died
    assert (possible["planted"] > 0).all(), possible.loc[possible["planted"] == 0, "kind"].tolist()


def counts(kinds: tuple[Fault, ...], seeds: range) -> pd.DataFrame:
    """Planted and eligible units over many seeds, with only these kinds at their heavy rates."""
    rates = {fault: HEAVY[fault] if fault in kinds else 0.0 for fault in Fault}
    frames = [twin_of(cohort_of(2025), rates, seed).kinds.set_index("kind") for seed in seeds]
    total = sum(frame[["eligible", "planted"]] for frame in frames)
    return total.loc[[kind.value for kind in kinds]].assign(rate=[HEAVY[kind] for kind in kinds])


@pytest.mark.slow
@pytest.mark.parametrize(
    "kinds",
    [LOSSES[:1], LOSSES[1:], tuple(fault for fault in Fault if fault not in LOSSES)],
    ids=["visits", "results", "others"],
)
def test_counts_follow_the_rates(kinds: tuple[Fault, ...]) -> None:
    # Where chances differ between units (values not missing at random), counts vary less than a binomial of their mean.
    table = counts(kinds, range(5))
    low = binom.ppf(5e-7, table["eligible"], table["rate"])
    high = binom.isf(5e-7, table["eligible"], table["rate"])
    outside = table[(table["planted"] < low) | (table["planted"] > high)]
    assert outside.empty, outside


def test_eligible_units_are_those_of_the_clean_files() -> None:
    cohort = cohort_of(2025)
    files = {sheet.value: frame for sheet, frame in render(cohort, STUDY).items()}
    eligible = twin_of(cohort, dict.fromkeys(Fault, 0.0)).kinds.set_index("kind")["eligible"]
    dates = [("patients.csv", "MT_START"), ("patients.csv", "LAST_FU"), ("visits.csv", "VISIT_DT")]
    dates += [("treatments.csv", "START_DT"), ("treatments.csv", "STOP_DT"), ("events.csv", "EVENT_DT")]
    all_dates = pd.concat([files[file][header] for file, header in dates])
    day, month = all_dates.str[8:].astype(int), all_dates.str[5:7].astype(int)
    assert eligible["date_format"] == eligible["date_wrong_year"] == len(all_dates)
    assert eligible["date_swapped"] == eligible["date_ambiguous"] == ((day <= 12) & (day != month)).sum()
    assert eligible["visit_lost"] == len(cohort.visits) - (cohort.visits["visit_month"] == 0).sum()
    assert eligible["visit_duplicated"] == len(cohort.visits)
    assert eligible["lab_missing_at_random"] == len(files["labs.csv"])
    assert eligible["visit_after_death"] == (cohort.patients["end_reason"] == "death").sum()
    assert eligible["drug_synonym"] == eligible["dose_text"] == len(cohort.treatments)
    assert eligible["sex_code"] == eligible["class_spelling"] == eligible["merged_cells"] == 179
    assert eligible["patient_two_ids"] == (cohort.visits.groupby("patient_id").size() >= 3).sum()
    assert eligible["repeated_header"] == sum((len(frame) - 1) // 50 for frame in files.values())


def test_no_rate_is_cut_off_where_kinds_share_a_unit() -> None:
    # A kind owns a unit with chance 1/n and then hits with n times its rate (and weight), which must stay below one.
    cohort = cohort_of(2025)
    planting = Planting(Draft(render(cohort, STUDY)), plan_at(DirtLevel.NONE), SeedTree(1))
    for place, weights in cell_weights(planting, STUDY).items():
        rivals = sum((weight > 0).astype(int) for weight in weights.values())
        for kind, weight in weights.items():
            assert (HEAVY[kind] * rivals * weight).max() <= 1, (place, kind)
    assert 2 * 2 * HEAVY[Fault.LAB_MISSING_NOT_AT_RANDOM] <= 1  # two kinds, weights up to two
    assert 2 * HEAVY[Fault.VISIT_LOST] <= 1
    assert 2 * HEAVY[Fault.UNIT_STATED] <= 1


@pytest.mark.slow
def test_sicker_patients_lose_more_visits_and_results() -> None:
    # By a chance linear in the rank, three quarters of what is lost lies above the median.
    lost, above = 0, 0
    albumin_lost, albumin_low = 0, 0
    cohort = cohort_of(2025)
    later = cohort.visits[cohort.visits["visit_month"].fillna(-1) != 0]
    median, middle = later["upcr_g_g"].median(), cohort.visits["albumin_g_dl"].median()
    for seed in range(4):
        rates = dict.fromkeys(Fault, 0.0) | {Fault.VISIT_LOST: 0.1}
        rows = twin_of(cohort, rates, seed).faults.query("file == 'visits.csv'")["clean_row"].to_numpy(int) - 1
        upcr = cohort.visits["upcr_g_g"].to_numpy()[rows]
        lost, above = lost + len(rows), above + int((upcr > median).sum())
        rates = dict.fromkeys(Fault, 0.0) | {Fault.LAB_MISSING_NOT_AT_RANDOM: 0.12}
        gone = twin_of(cohort, rates, seed).faults["clean_value"]
        albumin = gone[gone.str.contains('"ALB"')].str.extract(r'"RESULT": "([\d.]+)"')[0].astype(float)
        albumin_lost, albumin_low = albumin_lost + len(albumin), albumin_low + int((albumin <= middle).sum())
    assert binom.ppf(5e-7, lost, 0.75) <= above <= binom.isf(5e-7, lost, 0.75)
    share = (cohort.visits["albumin_g_dl"] <= middle).mean()
    expected = 1 - (1 - share) ** 2  # the area under the line of chances up to that share, from the sick end
    assert binom.ppf(5e-7, albumin_lost, expected) <= albumin_low <= binom.isf(5e-7, albumin_lost, expected)


def test_units_change_for_a_whole_clinic_and_period() -> None:
    cohort = cohort_of(2025)
    rates = dict.fromkeys(Fault, 0.0) | {Fault.UNIT_STATED: 0.5}
    twin = twin_of(cohort, rates)
    labs, visits = twin.files[Sheet.LABS], twin.files[Sheet.VISITS]
    patients = twin.files[Sheet.PATIENTS].set_index("REG_NO")["CLINIC"]
    labs = labs.merge(visits[["REG_NO", "VISIT_NO", "VISIT_DT"]], on=["REG_NO", "VISIT_NO"])
    block = (
        labs["ITEM"] + patients.loc[labs["REG_NO"]].to_numpy() + (labs["VISIT_DT"].str[:4].astype(int) // 3).astype(str)
    )
    assert (labs.groupby(block)["UNIT"].nunique() == 1).all()
    assert np.isin(["mg/g", "umol/L", "g/L"], labs["UNIT"]).all()
