"""Mixed models and missing-visit strategies change as they should: order, names, units, dtypes, nothing missing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from analyses.datasets import AnalysisData, analysis_data
from analyses.longitudinal import (
    MixedFit,
    egfr_slopes,
    fit_mixed,
    laboratory_course,
    missing_visit_strategies,
    proteinuria_course,
    response_visits,
)
from analyses.longitudinal.missing_visits import STRATEGIES
from analyses.response import compare_rates, response_rates
from cohort.definitions import KDIGO_2012, KIM2025
from synthetic.generate import GeneratedCohort

RELATIVE = 1e-7


@pytest.fixture(scope="module")
def data(generated: GeneratedCohort) -> AnalysisData:
    return analysis_data(
        generated.cohort, treated="tacrolimus", reference="no_tacrolimus", response=KIM2025, flare=KDIGO_2012
    )


@pytest.fixture(scope="module")
def visits(data: AnalysisData) -> pd.DataFrame:
    return response_visits(data)


def measurements() -> pd.DataFrame:
    rng = np.random.default_rng(11)
    patients = np.repeat(np.arange(40), rng.integers(1, 6, 40))
    frame = pd.DataFrame({"patient_id": [f"p{i:02d}" for i in patients], "years": rng.uniform(0, 4, len(patients))})
    frame["arm"] = np.where(patients % 2, "b", "a")
    effects = rng.normal(size=(40, 2)) * [5, 2]
    frame["egfr"] = 80 + effects[patients, 0] + (effects[patients, 1] - 1) * frame["years"]
    return frame.assign(egfr=frame["egfr"] + rng.normal(0, 3, len(frame)))


def fitted(frame: pd.DataFrame, random: str = "1 + years") -> MixedFit:
    return fit_mixed(frame, "egfr ~ arm * years", subject_col="patient_id", random=random)


def assert_same(one: pd.DataFrame, two: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(one, two, rtol=RELATIVE, atol=1e-10)


@pytest.mark.parametrize("random", ["1", "1 + years"])
@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda f: f.sample(frac=1, random_state=1), id="order"),
        pytest.param(lambda f: f.assign(patient_id=f["patient_id"].map(lambda name: f"x{name[::-1]}")), id="names"),
        pytest.param(lambda f: f.convert_dtypes(), id="nullable"),
        pytest.param(lambda f: f.convert_dtypes(dtype_backend="pyarrow"), id="arrow"),
        pytest.param(lambda f: f.set_index(pd.Index([7] * len(f))), id="index"),
    ],
)
def test_what_a_mixed_model_does_not_depend_on(random: str, change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    frame = measurements()
    kept = frame.copy()
    one, two = fitted(frame, random), fitted(change(frame), random)
    pd.testing.assert_frame_equal(frame, kept)
    assert_same(one.tidy().frame, two.tidy().frame)
    assert_same(one.variance_components().frame, two.variance_components().frame)
    trajectory = [fit.slopes(group_col="arm", time_col="years", reference="a").frame for fit in (one, two)]
    assert_same(*trajectory)


@pytest.mark.parametrize("random", ["1", "1 + years"])
def test_units_and_origins_of_time_and_outcome(random: str) -> None:
    """Months since another day make slopes a twelfth; a tenfold outcome makes variances a hundredfold."""
    frame = measurements()
    one = fitted(frame, random)
    moved = fitted(frame.assign(years=12 * frame["years"] - 5000), random)
    scaled = fitted(frame.assign(egfr=10 * frame["egfr"] + 1e4), random)
    np.testing.assert_allclose(moved.coefficients[2:] * 12, one.coefficients[2:], rtol=1e-6)
    if random == "1":
        np.testing.assert_allclose(moved.random_covariance, one.random_covariance, rtol=1e-6)
    np.testing.assert_allclose(scaled.random_covariance, 100 * one.random_covariance, rtol=1e-6)
    np.testing.assert_allclose(scaled.residual_variance, 100 * one.residual_variance, rtol=1e-6)
    jacobian = 4 * np.log(10)
    np.testing.assert_allclose(
        scaled.log_likelihood + len(frame) * np.log(10), one.log_likelihood + jacobian, rtol=1e-10
    )


def test_swapping_arms_turns_differences_round() -> None:
    frame = measurements()
    swapped = frame.assign(arm=frame["arm"].map({"a": "b", "b": "a"}))
    one = fitted(frame).slopes(group_col="arm", time_col="years", reference="a").frame.iloc[2]
    two = fitted(swapped).slopes(group_col="arm", time_col="years", reference="a").frame.iloc[2]
    assert one["estimate"] == pytest.approx(-two["estimate"], rel=1e-6)
    assert one["std_error"] == pytest.approx(two["std_error"], rel=1e-6)


def test_the_courses_of_a_cohort_are_finite_rows(data: AnalysisData) -> None:
    course, slopes = proteinuria_course(data).frame, egfr_slopes(data).frame
    assert len(course) == 3 * len(data.months)
    assert course[["estimate", "std_error", "conf_low", "conf_high"]].notna().all(axis=None)
    assert slopes["statistic"].tolist() == ["slope"] * 2 + ["slope_difference"] + ["variance"] * 3 + ["correlation"]
    assert slopes["estimate"].notna().all()
    again = proteinuria_course(data).frame
    pd.testing.assert_frame_equal(course, again, check_exact=True)


def test_one_arm_has_the_course_and_the_slope_of_its_own_model(data: AnalysisData) -> None:
    """A model of one arm alone is that of a cohort of one arm; its balanced visits make means those of the values."""
    patients = data.baseline[data.baseline["arm"] == data.treated]
    alone = replace(data, baseline=patients, reference=None)
    course, slopes = proteinuria_course(alone).frame, egfr_slopes(alone).frame
    assert course["statistic"].tolist() == ["mean"] * len(data.months)
    assert set(course["group"]) == {data.treated}
    values = laboratory_course(alone, column="log_upcr").rows
    start = values.loc[values["visit_month"] == 0, "log_upcr"]
    assert course["estimate"].iloc[0] == pytest.approx(start.mean(), rel=1e-8)
    slope = slopes[slopes["statistic"] == "slope"]
    assert slope["group"].tolist() == [data.treated]
    assert slope["estimate"].notna().all()
    assert not (slopes["statistic"] == "slope_difference").any()


def test_two_visits_a_patient_give_a_slope_with_a_random_intercept_alone(data: AnalysisData) -> None:
    early = data.cohort.visits["visit_month"].isin([0, 12]).to_numpy(dtype=bool)
    seen_twice = replace(data, cohort=replace(data.cohort, visits=data.cohort.visits[early]))
    slopes = egfr_slopes(seen_twice).frame
    assert slopes["statistic"].tolist()[:3] == ["slope", "slope", "slope_difference"]
    assert slopes["std_error"].iloc[:3].notna().all()
    assert slopes["method"].str.contains("random intercept, ").all()


def strategies(visits: pd.DataFrame, **options: object) -> pd.DataFrame:
    asked = {"reference": "no_tacrolimus", "covariates": "age_years + class_v + log_upcr", "seed": 5, "imputations": 3}
    return missing_visit_strategies(visits, **(asked | options)).frame  # type: ignore[arg-type]


def test_nothing_missing_gives_the_plain_rates_four_times(visits: pd.DataFrame) -> None:
    """Among patients assessed throughout every strategy gives the proportions and Wilson's and Newcombe's limits."""
    throughout = visits.groupby("patient_id")["status"].transform(lambda status: (status == "assessed").all())
    whole = visits[throughout]
    assert whole["patient_id"].nunique() > 50
    found = strategies(whole)
    assert set(found["population"]) == set(STRATEGIES)
    assert found["note"].isna().all()
    columns = ["estimate", "conf_low", "conf_high", "n", "n_events"]
    for outcome in ("CR", "CR or PR"):
        rates = response_rates(whole, outcome=outcome).frame.sort_values(["time", "group"])
        contrasts = compare_rates(whole, reference="no_tacrolimus", outcome=outcome).frame
        differences = contrasts[contrasts["statistic"] == "risk_difference"]
        for strategy in STRATEGIES:
            own = found[(found["population"] == strategy) & (found["term"] == outcome)]
            np.testing.assert_allclose(own.loc[own["statistic"] == "proportion", columns], rates[columns], rtol=1e-9)
            np.testing.assert_allclose(
                own.loc[own["statistic"] == "risk_difference", columns], differences[columns], rtol=1e-9, atol=1e-12
            )


def test_observed_cases_are_the_plain_rates(data: AnalysisData, visits: pd.DataFrame) -> None:
    found = strategies(visits, outcomes=["CR"])
    own = found[(found["population"] == "observed cases") & (found["statistic"] == "proportion")]
    plain = response_rates(data.responses, outcome="CR").frame.sort_values(["time", "group"])
    np.testing.assert_allclose(own[["estimate", "conf_low", "n"]], plain[["estimate", "conf_low", "n"]], rtol=1e-12)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda f: f.sample(frac=1, random_state=1), id="order"),
        pytest.param(lambda f: f.assign(patient_id=f["patient_id"].str[::-1]), id="names"),
        pytest.param(lambda f: f.convert_dtypes(), id="nullable"),
        pytest.param(lambda f: f.convert_dtypes(dtype_backend="pyarrow"), id="arrow"),
        pytest.param(lambda f: f.set_index(pd.Index([7] * len(f))), id="index"),
    ],
)
def test_what_the_strategies_do_not_depend_on(
    visits: pd.DataFrame, change: Callable[[pd.DataFrame], pd.DataFrame]
) -> None:
    """Imputations too: random numbers go to patients in an order that their data fix, not their rows or names."""
    kept = visits.copy()
    changed = change(visits)
    pd.testing.assert_frame_equal(strategies(changed), strategies(visits), check_exact=True)
    pd.testing.assert_frame_equal(visits, kept)


def test_the_seed_moves_imputation_and_nothing_else(visits: pd.DataFrame) -> None:
    one, two = strategies(visits), strategies(visits, seed=6)
    differs = (one["estimate"] != two["estimate"]).groupby(one["population"]).any()
    assert differs[differs].index.tolist() == ["multiple imputation"]


def test_a_visit_that_is_not_due_counts_for_nothing(visits: pd.DataFrame) -> None:
    """Patients added who were never due leave all but imputation as it is: they have no history either."""
    extra = visits[visits["patient_id"] == visits["patient_id"].iloc[0]].assign(
        patient_id="extra", due=False, status="data_lock", response=None
    )
    one, two = strategies(visits), strategies(pd.concat([visits, extra]))
    same = one["population"] != "multiple imputation"
    pd.testing.assert_frame_equal(one[same], two[same], rtol=1e-10)
