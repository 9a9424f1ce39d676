"""Protects the restriction to complete cases: who is left out is counted and said, and nobody else is touched."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analyses.complete_cases import complete_cases
from cohort.errors import AnalysisError
from cohort.results import result_table

DATA = pd.DataFrame(
    {
        "patient_id": ["a", "a", "b", "c", "d"],
        "age_years": [30.0, 30.0, np.nan, 50.0, 60.0],
        "log_upcr": [1.0, 1.0, np.nan, np.nan, 0.5],
        "c3_mg_dl": np.nan,
    },
    index=[5, 4, 3, 2, 1],
)


def test_rows_with_every_covariate_are_kept_in_place() -> None:
    cases = complete_cases(DATA, "age_years * log(log_upcr)")
    assert cases.rows.index.tolist() == [5, 4, 1]
    assert cases.remark == "complete cases: 2 of 4 patients, left out for missing age_years (1), log_upcr (2)"


def test_columns_the_formula_does_not_name_may_be_missing() -> None:
    kept = DATA[DATA["patient_id"] == "a"]
    cases = complete_cases(kept, "age_years + log_upcr")
    assert cases.rows is kept
    assert cases.remark == ""


def test_the_remark_ends_the_note_of_every_row() -> None:
    table = result_table([{"note": "df=1"}, {"term": "x"}])
    noted = complete_cases(DATA, "age_years").noted(table).frame["note"].tolist()
    remark = "complete cases: 3 of 4 patients, left out for missing age_years (1)"
    assert noted == [f"df=1; {remark}", remark]
    assert complete_cases(DATA.dropna(subset="age_years"), "age_years").noted(table) is table


def test_nobody_with_every_covariate() -> None:
    wanted = (
        r"formula 'age_years \+ c3_mg_dl': no patient has every covariate; got 4 patients, missing age_years \(1\), c3"
    )
    with pytest.raises(AnalysisError, match=wanted):
        complete_cases(DATA, "age_years + c3_mg_dl")


def test_names_that_are_no_columns_are_left_to_the_estimator() -> None:
    assert complete_cases(DATA.iloc[[0]], "age_years + nope").remark == ""
