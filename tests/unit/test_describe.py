"""Protects the baseline table: its rows, their order, and what it says about missing and constant covariates."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analyses.describe import baseline_table
from cohort.errors import AnalysisError


@pytest.fixture
def data() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "patient_id": list("abcdefgh"),
            "arm": ["no_tacrolimus", "tacrolimus"] * 4,
            "index_date": pd.to_datetime(["2001-01-01"] * 8),
            "age_years": [30.0, 20.0, 40.0, 25.0, 50.0, 30.0, np.nan, 45.0],
            "isn_rps_class": ["V", "V", "IV", "V", "IV", "III", "III", "V"],
            "hypertension": [True, False, False, False, True, True, True, False],
        }
    )


def table(data: pd.DataFrame, **options: object) -> pd.DataFrame:
    return baseline_table(data, group_col="arm", reference="no_tacrolimus", **options).frame


def test_variables_by_default_leave_out_arm_identifier_and_dates(data: pd.DataFrame) -> None:
    result = baseline_table(data, group_col="arm", reference="no_tacrolimus")
    assert result.metadata["spec"]["variables"] == ["age_years", "isn_rps_class", "hypertension"]
    assert set(result.frame["analysis"]) == {"describe"}


def test_rows_of_a_numeric_variable(data: pd.DataFrame) -> None:
    frame = table(data, variables=["age_years"])
    assert frame["statistic"].tolist() == [
        *["mean", "sd", "median", "q1", "q3", "missing"] * 2, "smd", "difference_test",
    ]  # fmt: skip
    assert frame["group"].tolist()[:12] == ["tacrolimus"] * 6 + ["no_tacrolimus"] * 6
    treated = frame[frame["group"] == "tacrolimus"]["estimate"].tolist()
    assert treated == pytest.approx([30.0, np.std([20, 25, 30, 45], ddof=1), 27.5, 23.75, 33.75, 0])
    reference = frame[frame["group"] == "no_tacrolimus"]
    assert reference["estimate"].tolist() == pytest.approx([40, 10, 40, 35, 45, 1])
    assert reference["n"].tolist() == [3, 3, 3, 3, 3, 4]
    smd = frame[frame["statistic"] == "smd"].iloc[0]
    assert smd["contrast"] == "tacrolimus v no_tacrolimus"
    assert smd["estimate"] == pytest.approx(-10 / np.sqrt((np.var([20, 25, 30, 45], ddof=1) + 100) / 2))
    assert smd["n"] == 7


def test_rows_of_a_categorical_variable_show_levels_of_either_arm(data: pd.DataFrame) -> None:
    frame = table(data, variables=["isn_rps_class"])
    counts = frame[frame["statistic"] == "count"]
    assert counts["term"].tolist() == [f"isn_rps_class={level}" for level in ("III", "III", "IV", "IV", "V", "V")]
    assert counts["estimate"].tolist() == [1, 1, 0, 2, 3, 1]
    proportions = frame[frame["statistic"] == "proportion"]
    assert proportions["estimate"].tolist() == [0.25, 0.25, 0, 0.5, 0.75, 0.25]
    assert proportions["n_events"].tolist() == counts["estimate"].tolist()
    assert (frame["statistic"] == "smd").sum() == 3
    test = frame[frame["statistic"] == "difference_test"].iloc[0]
    assert test["term"] == "isn_rps_class"
    assert test["estimate"] == pytest.approx(3.0)
    assert test["p_value"] == pytest.approx(np.exp(-1.5))
    assert test["method"] == "Pearson chi-square test, no continuity correction"
    assert test["note"] == "smallest expected count 1.0"


def test_a_boolean_shows_its_true_level_only(data: pd.DataFrame) -> None:
    for column in (data["hypertension"], data["hypertension"].astype(object)):
        frame = table(data.assign(hypertension=column), variables=["hypertension"])
        assert set(frame["term"]) == {"hypertension"}
        assert frame[frame["statistic"] == "proportion"]["estimate"].tolist() == [0.25, 0.75]
        assert (frame["statistic"] == "missing").sum() == 2


def test_missing_values_are_counted_and_left_out(data: pd.DataFrame) -> None:
    gaps = data.assign(hypertension=data["hypertension"].astype(object).where(data.index > 1))
    gaps = gaps.assign(isn_rps_class=data["isn_rps_class"].where(data.index > 0))
    frame = table(gaps, variables=["hypertension", "isn_rps_class"])
    missing = frame[frame["statistic"] == "missing"]
    assert missing["estimate"].tolist() == [1, 1, 0, 1]
    assert missing["n"].tolist() == [4, 4, 4, 4]
    assert frame[frame["statistic"] == "proportion"]["n"].tolist()[:2] == [3, 3]


def test_constant_covariates_have_notes_instead_of_numbers(data: pd.DataFrame) -> None:
    constant = data.assign(number=0.1, level="x", yes=True)
    frame = table(constant, variables=["number", "level", "yes"])
    for statistic in ("smd", "difference_test"):
        rows = frame[frame["statistic"] == statistic]
        assert len(rows) == 3
        assert rows["estimate"].isna().all()
        assert rows["note"].notna().all()
    assert frame[frame["statistic"] == "sd"]["estimate"].tolist() == [0, 0]
    assert "no variation in either arm: nothing to test" in set(frame["note"].dropna())


def test_an_arm_without_values_has_notes(data: pd.DataFrame) -> None:
    blank = data["arm"] == "tacrolimus"
    gaps = data.assign(age_years=data["age_years"].mask(blank), isn_rps_class=data["isn_rps_class"].mask(blank))
    frame = table(gaps, variables=["age_years", "isn_rps_class"])
    assert frame.loc[frame["estimate"].isna(), "note"].notna().all()
    assert "0 observed values are too few" in set(frame["note"].dropna())
    assert "a single level, or an arm without values: nothing to test" in set(frame["note"].dropna())
    assert "fewer than two values in an arm: nothing to test" in set(frame["note"].dropna())


def test_one_patient_has_no_standard_deviation(data: pd.DataFrame) -> None:
    frame = table(data.iloc[:2], variables=["age_years"])
    sd = frame[frame["statistic"] == "sd"]
    assert sd["estimate"].isna().all()
    assert set(sd["note"]) == {"1 observed values are too few"}
    assert frame[frame["statistic"] == "mean"]["estimate"].tolist() == [20, 30]


def test_refusals(data: pd.DataFrame) -> None:
    with pytest.raises(AnalysisError, match="column arm: two arms are needed, one of them the reference x"):
        baseline_table(data, group_col="arm", reference="x")
    with pytest.raises(AnalysisError, match="two arms are needed"):
        table(data[data["arm"] == "no_tacrolimus"])
    with pytest.raises(AnalysisError, match="column nope: no such column"):
        table(data, variables=["nope"])
    with pytest.raises(AnalysisError, match="column index_date: a date is not described"):
        table(data, variables=["index_date"])
    with pytest.raises(AnalysisError, match="column 'arm': missing values; got 1 of 8 rows"):
        table(data.assign(arm=data["arm"].where(data.index > 0)))
    with pytest.raises(AnalysisError, match="no rows to analyse"):
        table(data.iloc[:0])
