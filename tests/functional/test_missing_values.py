"""A registry in which a tenth of the laboratory values is missing goes through every command to a full report."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cohort.results import ResultTable
from cohort.schema import VISIT_VALUES
from cohort.store import read_derived

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def place(written_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the cohort directory ``cohort``, a tenth of each value blanked, eGFR with its creatinine."""
    place = tmp_path_factory.mktemp("missing")
    shutil.copytree(written_once, place / "cohort")
    path = place / "cohort" / "visits.parquet"
    content = pq.read_table(path)
    random = np.random.default_rng(11)
    gone = {name: random.random(len(content)) < 0.1 for name in VISIT_VALUES}
    gone["egfr_ml_min_1_73m2"] = gone["serum_creatinine_mg_dl"]
    for name, rows in gone.items():
        values = [None if lost else value for value, lost in zip(content[name].to_pylist(), rows, strict=True)]
        column = pa.array(values, content.schema.field(name).type)
        content = content.set_column(content.column_names.index(name), name, column)
    pq.write_table(content, path)
    return place


@pytest.fixture(scope="module")
def done(place: Path, lncohort: Run) -> Callable[..., subprocess.CompletedProcess[str]]:
    def run(*arguments: object, code: int = 0) -> subprocess.CompletedProcess[str]:
        finished = lncohort(*arguments, cwd=place)
        assert finished.returncode == code, (finished.stdout, finished.stderr)
        assert "Traceback" not in finished.stderr
        assert "Warning" not in finished.stderr
        return finished

    return run


def test_validate_finds_no_fault_and_counts_what_is_missing(done: Run) -> None:
    shown = done("validate", "cohort")
    assert shown.stdout == "cohort: no findings\n"
    assert re.search(r"^note: missing values at \d+ visits: upcr_g_g \d+ \(\d+ at month 0\), ", shown.stderr)
    assert "never measured" not in shown.stderr
    content = json.loads(done("validate", "cohort", "--json").stdout)
    assert [row["column"] for row in content["missing_values"]] == list(VISIT_VALUES)
    assert all(0 < row["at_baseline"] < row["missing"] < row["visits"] for row in content["missing_values"])


def test_derive_counts_visits_not_assessable_and_writes_why(done: Run, place: Path) -> None:
    shown = json.loads(done("derive", "cohort", "--json").stdout)["responses"]
    responses = read_derived(place / "cohort", "responses")
    open_answers = responses[responses["response"].isna()]
    assert sum(row["not_assessable"] for row in shown) == len(open_answers) > 50
    assert open_answers["reason"].str.startswith("missing: ").all()
    assert sum(row["CR"] + row["PR"] + row["NR"] for row in shown) == len(responses) - len(open_answers)


@pytest.mark.slow
def test_analyze_estimates_everything_and_says_whom_it_leaves_out(done: Run, place: Path) -> None:
    done("analyze", "cohort", "--out", "results", "--overwrite")
    tables = {path.stem: ResultTable.read(path).frame for path in (place / "results").glob("*.parquet")
              if path.stem != "provenance"}  # fmt: skip
    assert not [name for name, frame in tables.items() if (frame["statistic"] == "none").any()]
    for name in ("response_standardised", "weighted_response", "weighted_cox", "propensity_balance"):
        assert tables[name]["note"].str.contains("complete cases: ").all(), name
    cox = tables["cox"].drop_duplicates("population").set_index("population")
    assert cox.loc["unadjusted", "n"] == 179
    assert f"complete cases: {cox.loc['adjusted', 'n']:.0f} of 179 patients" in cox.loc["adjusted", "note"]
    rates, flow = tables["response_rates"], tables["patient_flow"]
    assessed = flow[flow["term"] == "assessed"].set_index(["group", "time"])["estimate"]
    complete = rates[rates["term"] == "CR"].set_index(["group", "time"])["n"]
    pd.testing.assert_series_equal(assessed.sort_index(), complete.sort_index(), check_names=False)
    lacking = tables["response_not_assessable"]
    whole = lacking[lacking["term"] == "all"].set_index(["group", "time"])["estimate"]
    flowing = flow[flow["term"] == "not assessable"].set_index(["group", "time"])["estimate"]
    pd.testing.assert_series_equal(whole.sort_index(), flowing.sort_index(), check_names=False)
    done("report", "results", "--out", "page.html", "--overwrite")
    page = (place / "page.html").read_text("utf-8")
    for said in ("Not assessable", "UPCR at baseline", "Complete cases: ", "with a value", "Visits at which a value is",
                 "Response rates among visits at which every value was measured"):  # fmt: skip
        assert said in page, said


@pytest.mark.slow
def test_reproduce_reports_in_full_and_says_what_is_not_reproduced(done: Run, place: Path) -> None:
    finished = done("reproduce", "--cohort", "cohort", "--out", "again", "--json", code=1)
    assert json.loads(finished.stdout)["not_reproduced"]
    ledger = pd.read_csv(place / "again" / "results" / "ledger.csv").set_index("target_id")
    assert "more are seen without the values that would decide" in ledger.loc["cr_6_tacrolimus", "reason"]
    assert "left out of" in ledger.loc["laboratory_60_similar", "reason"]
    assert "visits lack a value that could show a flare" in ledger.loc["renal_flares", "reason"]
    assert (place / "again" / "report.html").is_file()
