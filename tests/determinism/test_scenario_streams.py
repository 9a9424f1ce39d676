"""A scenario moves only what it is about; populations begin alike; hashing and threads move nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from cohort.definitions import KIM2025
from cohort.response import derive_responses
from cohort.store import Cohort, read_cohort
from synthetic.design import Design
from synthetic.population import BLOCK
from synthetic.population_plan import PopulationPlan
from synthetic.scenario import load_scenario, read_scenario
from synthetic.setting import settle
from synthetic.stream import write_population

TABLES = ("patients", "visits", "treatments", "events")
SIZE = 1024
Draw = Callable[..., Any]


@pytest.fixture(scope="module", autouse=True)
def quick(cheaply: Callable[[int], AbstractContextManager[None]]) -> Iterator[None]:
    with cheaply(12):
        yield


@pytest.fixture(scope="module")
def under(draw: Draw, design: Design) -> Callable[[str], Cohort]:
    """Give a function that draws the same patients under the dials of a text."""

    def cohort(text: str) -> Cohort:
        drawn: Cohort = draw(settle(design, read_scenario(text, where="dials.toml")), SIZE).cohort
        return drawn

    return cohort


def same(one: pd.DataFrame, other: pd.DataFrame, *but: str) -> None:
    pd.testing.assert_frame_equal(one.drop(columns=[*but]), other.drop(columns=[*but]))


@pytest.mark.parametrize(
    ("dial", "event"),
    [
        ("zoster_rate", "herpes_zoster"),
        ("serious_infection_rate", "serious_infection"),
        ("cardiovascular_rate", "cardiovascular"),
        ("malignancy_rate", "malignancy"),
        ("hypertension_onset_rate", "hypertension_onset"),
        ("diabetes_onset_rate", "diabetes_onset"),
    ],
)
def test_the_rate_of_an_adverse_event_moves_that_event_only(
    dial: str, event: str, under: Callable[[str], Cohort]
) -> None:
    plain, turned = under(""), under(f"[course]\n{dial} = 20.0\n")
    for table in ("patients", "visits", "treatments"):
        same(plain.table(table), turned.table(table))
    others = [cohort.events[cohort.events["event"] != event].reset_index(drop=True) for cohort in (plain, turned)]
    same(*others)
    numbers = [int((cohort.events["event"] == event).sum()) for cohort in (plain, turned)]
    assert numbers[1] > 2 * numbers[0]


def test_nephrotoxicity_moves_tacrolimus_and_nothing_of_the_kidney(under: Callable[[str], Cohort]) -> None:
    plain, turned = under(""), under("[course]\nnephrotoxicity_rate = 20.0\n")
    same(plain.patients, turned.patients)
    same(plain.visits, turned.visits, "tacrolimus_trough_ng_ml")
    others = [
        cohort.treatments[cohort.treatments["drug"] != "tacrolimus"].reset_index(drop=True)
        for cohort in (plain, turned)
    ]
    same(*others)


def test_missing_laboratory_values_move_no_response_and_no_other_value(under: Callable[[str], Cohort]) -> None:
    plain, turned = under(""), under("[missing]\nlaboratory = 0.4\n")
    for table in ("patients", "treatments", "events"):
        same(plain.table(table), turned.table(table))
    assert plain.visits[["patient_id", "day"]].equals(turned.visits[["patient_id", "day"]])
    for name in plain.visits.columns.drop(["patient_id", "day"]):
        kept = turned.visits[name].notna()
        pd.testing.assert_series_equal(plain.visits.loc[kept, name], turned.visits.loc[kept, name], check_dtype=False)
    missing = turned.visits["c3_mg_dl"].isna()[turned.visits["day"] > 0]
    assert 0.3 < missing.mean() < 0.5
    found = [derive_responses(cohort.patients, cohort.visits, KIM2025)["response"] for cohort in (plain, turned)]
    pd.testing.assert_series_equal(*found)


def test_visits_without_kidney_tests_are_added_and_move_no_response(under: Callable[[str], Cohort]) -> None:
    text = "[missing]\nmissed_visit_share = 0.8\nwithout_kidney_tests = {}\n"
    plain, turned = under(text.format(0.0)), under(text.format(0.7))
    for table in ("patients", "events"):
        same(plain.table(table), turned.table(table))
    untested = turned.visits["upcr_g_g"].isna()
    assert untested.sum() > 50
    assert turned.visits.loc[untested, ["serum_creatinine_mg_dl", "egfr_ml_min_1_73m2", "sledai_2k"]].isna().all(None)
    keys = ["patient_id", "day", "upcr_g_g", "serum_creatinine_mg_dl"]
    same(plain.visits[keys].reset_index(drop=True), turned.visits.loc[~untested, keys].reset_index(drop=True))
    found = [
        derive_responses(cohort.patients, cohort.visits, KIM2025).query("response in ('CR', 'PR', 'NR')")
        for cohort in (plain, turned)
    ]
    same(*(part.reset_index(drop=True) for part in found))


@pytest.mark.parametrize(
    "text",
    [
        "[course]\nflare_rate = 20.0\n",
        "[calendar]\nvisit_jitter_sd = 0.9\n",
        '[missing]\nmissed_visit_share = 0.5\nmechanism = "informative"\n',
        "[effect]\nflare_hazard_ratio = 2.0\n",
        "[treatment]\ntacrolimus_dose = 4.5\n",
        "[kidney]\ncreatinine_no_response = 0.2\n",
    ],
)
def test_what_happens_later_moves_no_baseline_and_no_arm(text: str, under: Callable[[str], Cohort]) -> None:
    plain, turned = under(""), under(text)
    same(plain.patients, turned.patients, "index_date", "follow_up_days", "end_reason")
    starts = [cohort.visits[cohort.visits["visit_month"].eq(0).fillna(False)] for cohort in (plain, turned)]
    same(starts[0].reset_index(drop=True), starts[1].reset_index(drop=True))


def test_doses_move_no_laboratory_value_but_the_trough(under: Callable[[str], Cohort]) -> None:
    plain, turned = under(""), under("[treatment]\ntacrolimus_dose = 4.5\nprednisolone_late = 10.0\n")
    same(plain.patients, turned.patients)
    same(plain.events, turned.events)
    same(plain.visits, turned.visits, "tacrolimus_trough_ng_ml", "prednisolone_mg_day")


def test_centres_without_effects_change_nothing_but_the_site(under: Callable[[str], Cohort]) -> None:
    plain = under("")
    many = under("[centres]\nnumber = 12\ncase_mix_sd = 0.0\npractice_sd = 0.0\noutcome_sd = 0.0\n")
    same(plain.patients, many.patients, "site")
    assert many.patients["site"].nunique() == 12
    for table in ("visits", "treatments", "events"):
        same(plain.table(table), many.table(table))


def whole(folder: Path, table: str) -> pd.DataFrame:
    return read_cohort(folder).table(table)


def test_a_population_under_a_scenario_is_the_same_for_any_split_and_begins_a_larger_one(tmp_path: Path) -> None:
    scenario = load_scenario("registry")
    for name, patients, blocks in (("small", 300, 4), ("split", BLOCK + 100, 1), ("large", BLOCK + 100, 4)):
        write_population(PopulationPlan("kim2025", 11, patients, scenario, blocks_per_part=blocks), tmp_path / name)
    assert len(list((tmp_path / "split" / "visits.parquet").iterdir())) == 2
    for table in TABLES:
        split, large, small = (whole(tmp_path / name, table) for name in ("split", "large", "small"))
        same(split, large)
        number = large["patient_id"].str.split("-").str[-1].astype(int)
        same(small.drop(columns="patient_id"), large[number <= 300].drop(columns="patient_id").reset_index(drop=True))
        assert small["patient_id"].str.split("-").str[-1].astype(int).tolist() == number[number <= 300].tolist()


DIGEST = """
import hashlib
import pandas as pd
import synthetic.setting
from cohort.targets import load_study
from synthetic.calibrate import calibrated_population
from synthetic.generate import generate_exact
from synthetic.scenario import load_scenario

def calibration_for(design, model, **options):
    return calibrated_population(design, model, **{**options, "power": 10}).calibration

synthetic.setting.calibration_for = calibration_for
made = generate_exact(load_study("kim2025"), seed=3, scenario=load_scenario("registry"))
frames = [made.cohort.patients, made.cohort.visits, made.cohort.treatments, made.cohort.events, *made.truth.values()]
print(hashlib.sha256("".join(frame.to_csv() for frame in frames).encode()).hexdigest())
"""


def test_neither_hash_seeds_nor_threads_move_a_value() -> None:
    found = set()
    for seed, threads in (("0", "1"), ("4242", "2")):
        place = {"PYTHONHASHSEED": seed, "OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
        done = subprocess.run(
            [sys.executable, "-c", DIGEST], capture_output=True, text=True, check=True, env={**os.environ, **place}
        )
        found.add(done.stdout)
    assert len(found) == 1
    assert len(found.pop().strip()) == 64


@pytest.mark.slow
def test_processes_change_no_byte_under_a_scenario(tmp_path: Path) -> None:
    plan = PopulationPlan("kim2025", 5, 2 * BLOCK, load_scenario("registry"), blocks_per_part=1)
    for jobs in (1, 2):
        write_population(plan, tmp_path / str(jobs), jobs=jobs)
    contents = [
        {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
        for folder in (tmp_path / "1", tmp_path / "2")
    ]
    assert contents[0] == contents[1]
