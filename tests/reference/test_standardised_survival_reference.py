"""Protects agreement of standardised survival and its variance with R's coxph and survfit, averaged by hand."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analyses.comparison import standardised_survival

FOLDER = Path(__file__).parent / "standardised_survival"
NUMBERS = pd.read_csv(FOLDER / "numbers.csv", dtype={"group": "string"}).fillna({"group": ""})
LUNG: dict[str, Any] = {"adjust": "age + ecog", "duration_col": "fortnights", "event_col": "status",
                        "treatment_col": "arm", "times": (10, 40), "tau": 50}  # fmt: skip
ROTTERDAM: dict[str, Any] = {"adjust": "age + nodes + grade", "duration_col": "years", "event_col": "event",
                             "treatment_col": "hormon", "times": (2, 5), "tau": 6}  # fmt: skip
SCENARIOS: dict[str, dict[str, Any]] = {
    "lung_stratum_ATE": LUNG,
    "lung_stratum_ATT": {**LUNG, "estimand": "ATT"},
    "lung_term_ATC": {**LUNG, "arm": "term", "estimand": "ATC"},
    "lung_separate_ATE": {**LUNG, "separate_arms": True},
    "rotterdam_stratum_ATE": ROTTERDAM,
}


def read_input(name: str) -> pd.DataFrame:
    data = pd.read_csv(FOLDER.parent / "comparison" / "inputs" / f"{name}.csv")
    return data.assign(fortnights=np.ceil(data["time"] / 14)) if name == "lung" else data


def test_the_committed_files_are_those_of_the_generating_run() -> None:
    manifest = pd.read_csv(FOLDER / "manifest.csv")
    sums = [hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() for name in manifest["file"]]
    assert sums == manifest["sha256"].tolist()


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_survival_means_and_errors_are_those_of_r(scenario: str) -> None:
    # R's errors are numerical derivatives of its whole chain by the case weights: good to about nine digits.
    table = standardised_survival(read_input(scenario.split("_")[0]), treated=1, **SCENARIOS[scenario]).frame
    ours = table.fillna({"group": ""}).set_index(["statistic", "group", "time"])
    theirs = NUMBERS[NUMBERS["scenario"] == scenario]
    assert len(theirs) >= 6
    for row in theirs.itertuples():
        statistic, _, is_error = str(row.quantity).partition(".")
        column = "std_error" if is_error else "estimate"
        found = ours.loc[(statistic, row.group, row.time), column]
        assert found == pytest.approx(row.value, rel=1e-8), (row.quantity, row.group, row.time)
