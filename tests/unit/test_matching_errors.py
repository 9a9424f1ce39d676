"""Protects what matching refuses and what it says: columns, options, arms without counterparts, rows of strangers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from analyses.comparison import matched_rates
from analyses.propensity import fit_propensity, match_patients, subclassify
from cohort.errors import AnalysisError, UsageError

COLUMNS: dict[str, Any] = {"treatment_col": "arm", "treated": "t", "distance": "x"}


@pytest.fixture
def data() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "patient_id": list("abcdef"),
            "arm": list("trtrrr"),
            "x": [0.0, 1.0, 5.0, 6.0, 8.0, 9.0],
            "kind": list("uuvvvv"),
            "cr": [1, 0, 1, 1, 0, 1],
        }
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "genetic"}, "unknown method; got genetic; use nearest, optimal, full"),
        ({"estimand": "ATO"}, "unknown estimand; got ATO"),
        ({"order": "random"}, "unknown order; got random"),
        ({"ratio": 0}, "ratio must be a whole number from 1; got 0"),
        ({"ratio": 1.5}, "ratio must be a whole number"),
        ({"ratio": True}, "ratio must be a whole number"),
        ({"caliper": 0}, "the caliper must be positive; got 0; use for instance 0.2"),
        ({"caliper": float("nan")}, "the caliper must be positive; got nan"),
        ({"estimand": "ATE"}, "speaks of that arm.*use ATT or ATC, or method='full'"),
        ({"method": "full", "caliper": 0.2}, "full matching takes no caliper; got caliper=0.2"),
        ({"method": "optimal", "replace": True}, "optimal matching takes no replace"),
        ({"method": "optimal", "order": "largest"}, "optimal matching takes no order"),
        ({"method": "full", "ratio": 2}, "full matching takes no ratio"),
    ],
)
def test_options_out_of_range_are_refused(data: pd.DataFrame, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        match_patients(data, **COLUMNS, **options)


@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        ({"x": [0.0, 1, None, 2, 3, 4]}, {}, "column 'x': missing values; got 1 of 6 rows missing"),
        ({"kind": [None, *"uvvvv"]}, {"exact": "kind"}, "column 'kind': missing values"),
        ({"patient_id": list("aabcde")}, {}, "column patient_id: a patient has more than one row; got 1 repeated"),
        ({"x": list("uvwxyz")}, {}, "distance x: the distance must be numeric"),
        ({"arm": ["t"] * 6}, {}, "two arms are needed"),
        ({}, {"distance": [1.0, 2.0]}, r"one finite value per row is needed; got shape \(2,\)"),
        ({}, {"distance": [1.0, 2.0, 3.0, np.inf, 1.0, 1.0]}, "with 1 not finite for 6 rows"),
        ({}, {"subject_col": "pid"}, "column pid: no such column"),
        ({}, {"exact": ["kind", "site"]}, "column site: no such column"),
        ({"x": [0.0, 50, 1, 51, 52, 53]}, {"caliper": 0.1}, "within the caliper; got arms at least 1.8.* widen the"),
        ({"kind": list("uvuvvv")}, {"exact": "kind"}, "exact on kind: nobody can be matched.*merge its levels"),
        ({}, {"method": "optimal", "ratio": 3}, "too few patients to match; got 4 patients for 2 .* at 3 each"),
        ({}, {"method": "optimal", "ratio": 2, "exact": "kind"}, "in a stratum of kind: too few.*got 1 patients for 1"),
        ({}, {"method": "optimal", "estimand": "ATC"}, "too few patients.*the other estimand"),
    ],
)
def test_data_that_cannot_be_matched_are_refused(
    data: pd.DataFrame, changes: dict[str, Any], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(AnalysisError, match=message):
        match_patients(data.assign(**changes), **(COLUMNS | options))


def test_subclassification_refuses_what_it_cannot_divide(data: pd.DataFrame) -> None:
    with pytest.raises(UsageError, match="unknown estimand; got ATM; use ATT, ATC, ATE"):
        subclassify(data, **COLUMNS, estimand="ATM")  # type: ignore[arg-type]
    for wrong in (1, 2.5, True):
        with pytest.raises(UsageError, match="subclasses must be a whole number from 2"):
            subclassify(data, **COLUMNS, subclasses=wrong)  # type: ignore[arg-type]
    apart = data.assign(x=[0, 9, 1, 10, 11, 12])
    with pytest.raises(AnalysisError, match="no subclass has both arms; got 3 subclasses; ask for fewer"):
        subclassify(apart, **COLUMNS, subclasses=3)


def test_ties_leave_fewer_subclasses(data: pd.DataFrame) -> None:
    found = subclassify(data.assign(x=1.0), **COLUMNS)
    assert found.subclass.tolist() == [1] * 6
    assert found.pairs.empty
    assert found.tidy().frame["statistic"].tolist()[-1] == "subclasses"


def test_matched_data_refuses_strangers_and_taken_names(data: pd.DataFrame) -> None:
    found = match_patients(data, **COLUMNS)
    with pytest.raises(UsageError, match="column patient_id: a row belongs to no patient of the data matched; got 1"):
        found.matched_data(data.assign(patient_id=list("abcdez")))
    with pytest.raises(UsageError, match="the column is there already; got weights; choose another name"):
        found.matched_data(data.assign(weights=1.0))
    rows = found.matched_data(data.iloc[::-1], weights_col="w", subclass_col="pair")
    assert rows["patient_id"].tolist() == list("dcba")
    assert rows["pair"].tolist() == [2, 2, 1, 1]
    assert rows.index.tolist() == [3, 2, 1, 0]


def test_balance_needs_covariates(data: pd.DataFrame) -> None:
    found = match_patients(data, **COLUMNS)
    with pytest.raises(UsageError, match=r"no covariates named.*pass variables=\[...\]"):
        found.balance()
    assert found.balance(["x"]).frame["term"].unique().tolist() == ["x"]
    named = match_patients(data, **COLUMNS, covariates=["kind"]).balance().frame
    assert named["term"].unique().tolist() == ["kind=u", "kind=v"]


def test_scale_of_a_fitted_score(data: pd.DataFrame) -> None:
    mixed = data.assign(arm=list("trtrtr"))
    fit = fit_propensity(mixed, "x", treatment_col="arm", treated="t")
    with pytest.raises(UsageError, match="match, on: unknown scale; got probit; use logit, score"):
        fit.match(on="probit")  # type: ignore[arg-type]
    assert fit.match(on="score").pairs["distance"].max() < 1


def test_rates_that_show_no_spread_have_a_note(data: pd.DataFrame) -> None:
    found = match_patients(data, **COLUMNS)
    always = matched_rates(data.assign(cr=1), matching=found, outcome_col="cr").frame.set_index("statistic")
    assert always["std_error"].isna().all()
    assert always.loc["risk_ratio", "estimate"] == 1.0
    assert np.isnan(always.loc["odds_ratio", "estimate"])
    assert "the ratio is not defined" in always.loc["odds_ratio", "note"]
    never = matched_rates(data.assign(cr=[1, 0, 0, 0, 0, 0]), matching=found, outcome_col="cr").frame
    by = never.set_index("statistic")
    assert by.loc["risk_difference", "estimate"] == 0.5
    assert by.loc["risk_difference", "note"] == "no event in r: no spread to estimate a variance from"
    assert np.isnan(by.loc["risk_ratio", "estimate"])


def test_pairs_that_agree_leave_no_variance(data: pd.DataFrame) -> None:
    found = match_patients(data, **COLUMNS)
    frame = matched_rates(data.assign(cr=[1, 1, 0, 0, 0, 0]), matching=found, outcome_col="cr").frame
    row = frame[frame["statistic"] == "risk_difference"].iloc[0]
    assert row["estimate"] == 0
    assert np.isnan(row["std_error"])
    assert row["note"] == "the pairs agree so closely that no variance is left"


def test_an_arm_not_assessed_at_a_visit_has_a_note(data: pd.DataFrame) -> None:
    found = match_patients(data, **COLUMNS)
    visits = pd.concat([data.assign(month=6), data[data["arm"] == "r"].assign(month=12)])
    late = matched_rates(visits, matching=found, outcome_col="cr", time_col="month").frame.query("time == 12")
    assert late["note"].iloc[0] == "no matched patient of this arm at this time"
    assert late["note"].iloc[2] == "no matched patient of t at this time"
    with pytest.raises(AnalysisError, match="more than one row at a time; got 4 repeated rows"):
        matched_rates(visits, matching=found, outcome_col="cr")
