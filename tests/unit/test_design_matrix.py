"""Protects term names, reference levels, row order and refusals of the design matrix."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analyses.design_matrix import build_design, ordered_levels
from cohort.codes import IsnRpsClass
from cohort.errors import AnalysisError


def data() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "age_years": [30, 41, 52, 38],
            "isn_rps_class": ["V", "III", "IV+V", "III"],
            "hypertension": [True, False, True, False],
            "arm": ["tac", "no", "tac", "no"],
        },
        index=[7, 5, 3, 1],
    )


def test_names_reference_and_values() -> None:
    design = build_design("age_years + isn_rps_class + hypertension", data(), intercept=False)
    assert design.terms == ("age_years", "isn_rps_class=IV+V", "isn_rps_class=V", "hypertension")
    assert design.variables == ("age_years", "isn_rps_class", "isn_rps_class", "hypertension")
    assert design.matrix.dtype == np.float64
    assert design.matrix.tolist() == [[30, 0, 1, 1], [41, 0, 0, 0], [52, 1, 0, 1], [38, 0, 0, 0]]


def test_the_intercept_is_the_callers_choice() -> None:
    design = build_design("arm", data(), intercept=True)
    assert design.terms == ("Intercept", "arm=tac")
    assert design.matrix.tolist() == [[1, 1], [1, 0], [1, 1], [1, 0]]
    assert build_design("1", data(), intercept=True).matrix.tolist() == [[1], [1], [1], [1]]


def test_a_term_of_one_level_stays_as_a_column_of_zeros() -> None:
    """Its coefficient has nothing to rest on; were the column left out, nobody would be told."""
    one_arm = data().assign(arm="tac")
    design = build_design("age_years + arm + age_years:arm", one_arm, intercept=False)
    assert design.terms == ("age_years", "arm", "age_years:arm")
    assert design.variables == ("age_years", "arm", "age_years:arm")
    assert design.matrix[:, 1:].tolist() == [[0, 0], [0, 0], [0, 0], [0, 0]]
    assert build_design("arm + age_years", one_arm, intercept=True).terms == ("Intercept", "arm", "age_years")


def test_interactions_multiply_columns() -> None:
    design = build_design("age_years * arm + arm:isn_rps_class", data(), intercept=False)
    assert "age_years:arm=tac" in design.terms
    assert design.matrix[:, design.terms.index("age_years:arm=tac")].tolist() == [30, 0, 52, 0]
    assert "arm=tac:isn_rps_class=V" in design.terms
    assert set(design.variables) >= {"age_years:arm", "arm:isn_rps_class"}


def test_another_reference_and_functions() -> None:
    design = build_design("C(arm, contr.treatment('tac')) + log(age_years)", data(), intercept=False)
    assert design.terms == ("arm=no", "log(age_years)")
    assert design.variables == ("arm", "log(age_years)")
    np.testing.assert_allclose(design.matrix[:, 1], np.log([30, 41, 52, 38]))


@pytest.mark.parametrize(
    "values",
    [
        pd.Series([IsnRpsClass.V, IsnRpsClass.III, IsnRpsClass.IV_V, IsnRpsClass.III]),
        pd.Series(["V", "III", "IV+V", "III"], dtype="string"),
        pd.Series(pd.Categorical(["V", "III", "IV+V", "III"], categories=["V", "IV+V", "III", "II"])),
    ],
    ids=["codes", "string", "categorical"],
)
def test_every_kind_of_text_has_the_same_levels(values: pd.Series) -> None:
    frame = data().assign(isn_rps_class=values.set_axis(data().index))
    assert build_design("isn_rps_class", frame, intercept=False).terms == ("isn_rps_class=IV+V", "isn_rps_class=V")


def test_an_ordered_categorical_keeps_its_order() -> None:
    order = pd.CategoricalDtype(["V", "IV+V", "II", "III"], ordered=True)
    frame = data().assign(isn_rps_class=data()["isn_rps_class"].astype(order))
    assert build_design("isn_rps_class", frame, intercept=False).terms == ("isn_rps_class=IV+V", "isn_rps_class=III")
    levels, codes = ordered_levels(frame["isn_rps_class"])
    assert levels == ("V", "IV+V", "III")
    assert codes.tolist() == [0, 2, 1, 2]


def test_levels_of_numbers_sort_by_value() -> None:
    levels, codes = ordered_levels(pd.Series([10, 9, 10]))
    assert levels == ("9", "10")
    assert codes.tolist() == [1, 0, 1]
    assert ordered_levels(pd.Series([True, False]))[0] == ("False", "True")


def test_nullable_and_arrow_columns() -> None:
    frame = data().assign(age_years=pd.array([30, 41, 52, 38], dtype="Int64"), hypertension=pd.array([True] * 4))
    design = build_design("age_years + hypertension", frame, intercept=False)
    assert design.matrix.tolist() == [[30, 1], [41, 1], [52, 1], [38, 1]]
    arrow = data().astype({"arm": "string[pyarrow]"})
    assert build_design("arm", arrow, intercept=False).terms == ("arm=tac",)


def test_column_names_that_need_quoting() -> None:
    frame = data().assign(**{"serum creatinine": [1.0, 2.0, 3.0, 4.0]})
    design = build_design("`serum creatinine`", frame, intercept=False)
    assert design.terms == ("serum creatinine",)
    assert design.matrix[:, 0].tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        ("age_years +", "formula 'age_years .': the formula cannot be read; got .*write a right-hand side"),
        ("arm ~ age_years", "the formula must be a right-hand side only"),
        ("age_years - 1", "the formula removes the intercept"),
        ("0 + arm", "the formula removes the intercept"),
        ("1", "the formula has no terms"),
        ("age", r"formula 'age', column 'age': no such column; got age_years, isn_rps_class, hypertension, arm"),
        ("unknown(age_years)", "cannot be read; .*'unknown' is not defined"),
        ("log(arm)", "the formula cannot be read"),
    ],
)
def test_refused_formulas(formula: str, message: str) -> None:
    with pytest.raises(AnalysisError, match=message):
        build_design(formula, data(), intercept=False)


def test_missing_values_name_column_and_rows() -> None:
    gap = data().assign(age_years=[30, np.nan, 52, np.nan])
    with pytest.raises(AnalysisError, match=r"column 'age_years': missing values; got 2 of 4 rows.*labels 5, 1\)"):
        build_design("arm + age_years", gap, intercept=False)
    with pytest.raises(AnalysisError, match="column 'arm': missing values; got 1 of 4"):
        build_design("arm", data().assign(arm=["tac", None, "no", "no"]), intercept=False)
    many = pd.concat([gap] * 5)
    with pytest.raises(AnalysisError, match=r"got 10 of 20 rows .*, \.\.\."):
        build_design("age_years", many, intercept=False)


def test_missing_values_elsewhere_do_not_matter() -> None:
    frame = data().assign(age_years=np.nan)
    assert build_design("arm", frame, intercept=False).terms == ("arm=tac",)


def test_values_a_function_makes_infinite_are_refused() -> None:
    frame = data().assign(age_years=[30.0, np.inf, 40.0, 50.0])
    with pytest.raises(AnalysisError, match="terms age_years: terms are not finite; got 1 rows"):
        build_design("age_years", frame, intercept=False)


@pytest.mark.parametrize("formula", ["age_years + isn_rps_class + arm", "age_years * arm + center(age_years)"])
@pytest.mark.parametrize("intercept", [True, False])
def test_the_same_columns_are_built_from_other_rows(formula: str, intercept: bool) -> None:
    """Levels and centres are those of the first data, whatever occurs in the second."""
    design = build_design(formula, data(), intercept=intercept)
    assert design.matrix_of(data()).tolist() == design.matrix.tolist()
    assert design.matrix_of(data().iloc[[2]]).tolist() == design.matrix[[2]].tolist()


@pytest.mark.parametrize(
    ("formula", "columns"),
    [
        ("center(age_years)", [[-7.5], [-2.5], [2.5], [7.5]]),
        ("center(age_years):hypertension", [[-7.5], [0.0], [2.5], [0.0]]),
        ("age_years.clip(36, 44)", [[36.0], [37.0], [42.0], [44.0]]),
        ("poly(age_years, 1)", [[-0.670820], [-0.223607], [0.223607], [0.670820]]),
        # Bernstein's polynomials of degree 1 and 2 on 0, 1/3, 2/3, 1.
        ("bs(age_years, df=1, degree=1)", [[0.0], [1 / 3], [2 / 3], [1.0]]),
        ("bs(age_years, df=2, degree=2)", [[0.0, 0.0], [4 / 9, 1 / 9], [4 / 9, 4 / 9], [0.0, 1.0]]),
    ],
)
def test_columns_inside_functions_that_learn_from_the_data_are_found(formula: str, columns: list[list[float]]) -> None:
    frame = pd.DataFrame({"age_years": [32.0, 37.0, 42.0, 47.0], "hypertension": [1.0, 0.0, 1.0, 0.0]})
    design = build_design(formula, frame, intercept=False)
    np.testing.assert_allclose(design.matrix, columns, atol=1e-6)
    np.testing.assert_allclose(design.matrix_of(frame.iloc[[1]]), [columns[1]], atol=1e-6)


def test_other_rows_with_unknown_levels_or_types_are_refused() -> None:
    design = build_design("age_years + arm", data(), intercept=False)
    with pytest.raises(AnalysisError, match=r"column 'arm': levels that the model has not seen; got maybe; .* no, tac"):
        design.matrix_of(data().assign(arm="maybe"))
    with pytest.raises(AnalysisError, match=r"column 'age_years': the column was numeric .* got levels old"):
        design.matrix_of(data().assign(age_years="old"))
    with pytest.raises(AnalysisError, match="missing values"):
        design.matrix_of(data().assign(arm=None))


def test_a_plain_sum_is_built_as_the_formula_package_builds_it() -> None:
    """Repeated names count once; brackets send the same formula through the package."""
    plain = build_design(" age_years+isn_rps_class + hypertension + age_years", data(), intercept=True)
    parsed = build_design("(age_years + isn_rps_class + hypertension + age_years)", data(), intercept=True)
    assert plain.terms == parsed.terms
    assert plain.variables == parsed.variables
    assert plain.matrix.tolist() == parsed.matrix.tolist()


def test_large_finite_values_are_not_taken_for_infinite_ones() -> None:
    huge = data().assign(age_years=[1e308, 1e308, 1e308, 1.0])
    assert build_design("age_years", huge, intercept=False).matrix[0, 0] == 1e308
    with pytest.raises(AnalysisError, match=r"terms age_years: terms are not finite; got 1 rows"):
        build_design("age_years + arm", data().assign(age_years=[1.0, 2.0, np.inf, 3.0]), intercept=False)
