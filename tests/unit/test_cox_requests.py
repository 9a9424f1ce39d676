"""Protects what the Cox model refuses, in which words, and what it leaves untouched."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analyses.survival import CoxFit, fit_cox
from cohort.errors import AnalysisError

COLUMNS = {"duration_col": "t", "event_col": "d"}


def data() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "t": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 2.0, 4.0],
            "d": [1, 0, 1, 1, 0, 1, 1, 1],
            "x": [0.5, 1.5, 0.1, 2.0, 0.7, 0.2, 1.1, 0.9],
            "arm": list("abababba"),
            "site": list("ppppqqqq"),
            "o": [0.1, 0.2, 0.0, -0.1, 0.3, 0.0, 0.2, 0.1],
        },
        index=[f"p{k}" for k in range(8)],
    )


def fit(**options: object) -> CoxFit:
    return fit_cox(data(), "x + arm", **COLUMNS, **options)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"o": "high"}, r"offset_col 'o': the column must be numeric"),
        ({"o": np.inf}, r"offset_col 'o': values must be finite; got inf in row p0"),
        ({"o": None}, r"offset_col 'o': missing values"),
    ],
)
def test_offsets_are_complete_finite_numbers(change: dict[str, object], message: str) -> None:
    with pytest.raises(AnalysisError, match=message):
        fit_cox(data().assign(**change), "x", **COLUMNS, offset_col="o")


def test_unknown_kinds_are_refused() -> None:
    with pytest.raises(AnalysisError, match=r"kind: unknown choice; got 'partial'; use one of martingale, deviance"):
        fit().residuals("partial")
    with pytest.raises(AnalysisError, match=r"kind: unknown choice; got 'lp'; use one of survival, cumulative_hazard"):
        fit().predict(data(), kind="lp")
    with pytest.raises(AnalysisError, match=r"conf_type: unknown choice; got 'wilson'"):
        fit().predict(data(), conf_type="wilson")
    with pytest.raises(AnalysisError, match=r"ties: unknown choice; got 'exact'; use one of efron, breslow"):
        fit().baseline_hazard(ties="exact")


@pytest.mark.parametrize("times", [[], [-1.0], [float("nan")], [[1.0]]])
def test_times_are_finite_numbers_from_zero(times: list[float]) -> None:
    with pytest.raises(AnalysisError, match="times: times must be one or more finite numbers from 0"):
        fit().predict(data(), times=times)


def test_predictions_that_have_no_time() -> None:
    with pytest.raises(AnalysisError, match="times: no times go with this kind; got linear_predictor"):
        fit().predict(data(), kind="linear_predictor", times=[1])


def test_new_rows_are_checked() -> None:
    with pytest.raises(AnalysisError, match="no rows to predict for"):
        fit().predict(data().iloc[:0])
    with pytest.raises(AnalysisError, match=r"column 'arm': levels that the model has not seen; got c; use .* a, b"):
        fit().predict(data().assign(arm="c"))
    with pytest.raises(AnalysisError, match=r"strata site: strata that the model has not seen; got r"):
        fit(strata="site").predict(data().assign(site="r"))
    with pytest.raises(AnalysisError, match=r"strata 'site': no such column"):
        fit(strata="site").predict(data().drop(columns="site"))
    with pytest.raises(AnalysisError, match=r"offset_col 'o': no such column"):
        fit(offset_col="o").predict(data().drop(columns="o"))
    assert len(fit(strata="site").predict(data().drop(columns="site"), kind="linear_predictor")) == 8


@pytest.mark.parametrize("terms", [[], ["age"], "x"])
def test_terms_to_test_are_named_in_a_list(terms: object) -> None:
    with pytest.raises(AnalysisError, match=r"terms to test are a list of terms of the model; .* x, arm, arm=b"):
        fit().test_terms(terms)


def test_contrasts_combine_coefficients_of_the_model() -> None:
    with pytest.raises(AnalysisError, match="contrasts: no combinations"):
        fit().contrasts({})
    with pytest.raises(AnalysisError, match=r"contrast 'arm': .*; got arm; use x, arm=b"):
        fit().contrasts({"arm": {"arm": 1.0}})
    with pytest.raises(AnalysisError, match=r"contrast 'nothing': .*; got none"):
        fit().contrasts({"nothing": {}})


def test_terms_are_tested_by_name_of_term_or_coefficient() -> None:
    """All levels of a categorical under its own name, an interaction under the names joined."""
    rows = pd.concat([data(), data().assign(t=data()["t"] + 0.5, x=data()["x"] * 1.7, arm=list("bbaabaab"))])
    crossed = fit_cox(rows, "x * arm", **COLUMNS, robust=True)
    by_term = crossed.test_terms(["x:arm"]).frame
    by_coefficient = crossed.test_terms(["x:arm=b"]).frame
    assert by_term["estimate"].item() == by_coefficient["estimate"].item()
    assert by_term["estimate"].item() == pytest.approx((crossed.coefficients[2] / crossed.std_errors[2]) ** 2, rel=1e-9)


def test_terms_without_an_estimate_are_left_out_of_a_test_and_said() -> None:
    twice = fit_cox(data().assign(y=lambda rows: 2 * rows["x"]), "x + y", **COLUMNS)
    row = twice.test_terms(["x", "y"]).frame.iloc[0]
    assert row["note"].startswith("df=1; y: no estimate: constant within every risk set or a combination")
    assert twice.predict(data().assign(y=7.0), kind="linear_predictor").frame["estimate"].notna().all()
    alone = fit_cox(data().assign(one="p"), "x", **COLUMNS, cluster_col="one")
    assert alone.test_terms(["x"]).frame["note"].item() == "no joint test: the variance of the terms is singular"
    spread = "no standard error: the rows or clusters are too few or too alike for a robust variance"
    for table in (
        alone.contrasts({"x": {"x": 1}}),
        alone.predict(data().iloc[:1], kind="linear_predictor"),
        alone.predict(data().iloc[:1], times=[3]),
        alone.baseline_hazard(),
    ):
        assert table.frame["std_error"].isna().all()
        assert table.frame["estimate"].notna().all()
        assert set(table.frame["note"]) == {spread}


def test_residuals_keep_the_index_and_leave_the_data_alone() -> None:
    rows = data().iloc[::-1]
    before = rows.copy(deep=True)
    model = fit_cox(rows, "x + arm", **COLUMNS, strata="site", offset_col="o")
    assert model.residuals("martingale").index.equals(rows.index)
    assert model.augment().index.equals(rows.index)
    assert model.residuals("dfbetas").columns.tolist() == ["x", "arm=b"]
    assert set(model.residuals("schoenfeld").index) == set(rows.index[rows["d"] == 1])
    model.predict(rows)
    pd.testing.assert_frame_equal(rows, before)


def test_nullable_and_arrow_columns_give_the_same() -> None:
    plain = fit(strata="site", offset_col="o")
    for backend in ("numpy_nullable", "pyarrow"):
        rows = data().convert_dtypes(dtype_backend=backend)
        other = fit_cox(rows, "x + arm", **COLUMNS, strata="site", offset_col="o")
        assert other.coefficients.tolist() == plain.coefficients.tolist()
        pd.testing.assert_frame_equal(other.augment(), plain.augment(), check_index_type=False)
        assert other.predict(rows, times=[3]).frame["estimate"].tolist() == (
            plain.predict(data(), times=[3]).frame["estimate"].tolist()
        )


def test_strata_of_several_columns_are_named_in_full() -> None:
    rows = fit(strata=["site", "arm"]).baseline_hazard().frame
    assert rows["group"].unique().tolist() == ["site=p, arm=a", "site=p, arm=b", "site=q, arm=a", "site=q, arm=b"]


def test_a_table_is_laid_out_when_it_is_read() -> None:
    table = fit().tidy()
    assert table.metadata["spec"]["formula"] == "x + arm"
    assert table.frame is table.frame
    assert table.with_metadata(seed=1).frame["term"].tolist() == ["x", "arm=b"]
