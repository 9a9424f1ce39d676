"""Protects scores and weighted contrasts: what must stay, flip or scale when the data are rewritten."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analyses.comparison import weighted_rates
from analyses.longitudinal import fit_gee, marginal_response
from analyses.propensity import PropensityFit, fit_propensity

FORMULA = "age_years + isn_rps_class + upcr_g_g"
MIRROR = {"ATE": "ATE", "ATT": "ATC", "ATC": "ATT", "ATO": "ATO", "ATM": "ATM"}


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    stream = np.random.default_rng(11)
    n = 160
    age, upcr = stream.normal(38, 11, n), np.exp(stream.normal(1, 0.5, n))
    return pd.DataFrame(
        {
            "patient_id": [f"p{i:03d}" for i in range(n)],
            "arm": np.where(stream.random(n) < 1 / (1 + np.exp(1 - 0.3 * upcr)), "t", "r"),
            "age_years": age,
            "isn_rps_class": stream.choice(["III", "IV", "V"], n),
            "upcr_g_g": upcr,
            "responder": stream.random(n) < 1 / (1 + np.exp(0.3 * upcr - 1)),
        }
    )


def model_of(data: pd.DataFrame, treated: str = "t", formula: str = FORMULA) -> PropensityFit:
    return fit_propensity(data, formula, treatment_col="arm", treated=treated)


def difference(data: pd.DataFrame, weights: object, treated: str = "t") -> pd.Series:
    table = weighted_rates(data, outcome_col="responder", treatment_col="arm", treated=treated, weights=weights)
    return table.frame.iloc[2][["estimate", "std_error"]].astype(float)


def test_row_order_moves_scores_with_their_rows(data: pd.DataFrame) -> None:
    order = np.random.default_rng(3).permutation(len(data))
    shuffled = data.iloc[order]
    np.testing.assert_allclose(model_of(shuffled).score, model_of(data).score[order], rtol=1e-10)
    for estimand in MIRROR:
        here = difference(data, model_of(data).estimated_weights(estimand))
        there = difference(shuffled, model_of(shuffled).estimated_weights(estimand))
        np.testing.assert_allclose(here, there, rtol=1e-9)


@pytest.mark.parametrize("estimand", list(MIRROR))
def test_naming_the_other_arm_as_treated_flips_the_contrast(data: pd.DataFrame, estimand: str) -> None:
    one, other = model_of(data), model_of(data, "r")
    np.testing.assert_allclose(one.score, 1 - other.score, rtol=1e-10)
    np.testing.assert_allclose(one.weights(estimand), other.weights(MIRROR[estimand]), rtol=1e-9)
    here = difference(data, one.estimated_weights(estimand))
    there = difference(data, other.estimated_weights(MIRROR[estimand]), "r")
    assert here["estimate"] == pytest.approx(-there["estimate"], rel=1e-9)
    assert here["std_error"] == pytest.approx(there["std_error"], rel=1e-9)
    smd, mirrored = (model.balance().frame["estimate"].to_numpy() for model in (one, other))
    is_smd = one.balance().frame["statistic"].str.startswith("smd").to_numpy()
    np.testing.assert_allclose(smd[is_smd], -mirrored[is_smd], rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(smd[~is_smd], 1 / mirrored[~is_smd], rtol=1e-8)


def test_units_do_not_matter(data: pd.DataFrame) -> None:
    rescaled = data.assign(age_years=data["age_years"] * 12 - 100, upcr_g_g=data["upcr_g_g"] * 1000)
    np.testing.assert_allclose(model_of(rescaled).score, model_of(data).score, rtol=1e-8)
    np.testing.assert_allclose(
        model_of(rescaled).balance().frame["estimate"], model_of(data).balance().frame["estimate"], rtol=1e-7
    )


def test_renaming_levels_does_not_matter(data: pd.DataFrame) -> None:
    renamed = data.assign(isn_rps_class=data["isn_rps_class"].map({"III": "z", "IV": "y", "V": "x"}))
    np.testing.assert_allclose(model_of(renamed).score, model_of(data).score, rtol=1e-9)


@pytest.mark.parametrize("estimand", list(MIRROR))
def test_every_patient_twice_halves_the_variance(data: pd.DataFrame, estimand: str) -> None:
    twice = pd.concat([data, data], ignore_index=True)
    for make in ("weights", "estimated_weights"):
        here = difference(data, getattr(model_of(data), make)(estimand))
        there = difference(twice, getattr(model_of(twice), make)(estimand))
        assert there["estimate"] == pytest.approx(here["estimate"], rel=1e-9)
        assert there["std_error"] == pytest.approx(here["std_error"] / np.sqrt(2), rel=1e-9)


def test_stabilising_and_rescaling_weights_leave_the_contrast_alone(data: pd.DataFrame) -> None:
    model = model_of(data)
    plain = difference(data, model.estimated_weights())
    np.testing.assert_allclose(plain, difference(data, model.estimated_weights(stabilized=True)), rtol=1e-10)
    np.testing.assert_allclose(difference(data, model.weights()), difference(data, 7 * model.weights()), rtol=1e-10)


def test_overlap_weights_balance_every_covariate_of_the_model_exactly(data: pd.DataFrame) -> None:
    model = model_of(data)
    frame = model.balance(model.weights("ATO")).frame
    adjusted = frame[frame["statistic"] == "smd_adjusted"]["estimate"].to_numpy()
    np.testing.assert_allclose(adjusted, 0, atol=1e-9)
    assert np.abs(frame[frame["statistic"] == "smd_unadjusted"]["estimate"]).max() > 0.1


def test_swapping_the_outcome_mirrors_the_rates(data: pd.DataFrame) -> None:
    weights = model_of(data).estimated_weights()
    one = difference(data, weights)
    other = difference(data.assign(responder=~data["responder"]), weights)
    assert one["estimate"] == pytest.approx(-other["estimate"], rel=1e-10)
    assert one["std_error"] == pytest.approx(other["std_error"], rel=1e-10)


@pytest.fixture(scope="module")
def visits(data: pd.DataFrame) -> pd.DataFrame:
    stream = np.random.default_rng(5)
    parts = [data.assign(visit_month=month) for month in (6, 12, 24)]
    visits = pd.concat(parts, ignore_index=True)
    return visits.assign(response=stream.choice(["CR", "PR", "NR"], len(visits)))


@pytest.mark.parametrize("correlation", ["independence", "exchangeable"])
def test_gee_does_not_depend_on_row_order(visits: pd.DataFrame, correlation: str) -> None:
    binary = visits.assign(y=visits["response"] == "CR")
    shuffled = binary.sample(frac=1, random_state=1)
    one, other = (
        fit_gee(frame, "y ~ arm + visit_month", subject_col="patient_id", correlation=correlation).tidy().frame
        for frame in (binary, shuffled)
    )
    np.testing.assert_allclose(one["estimate"], other["estimate"], rtol=1e-8)
    np.testing.assert_allclose(one["std_error"], other["std_error"], rtol=1e-8)


def test_marginal_response_does_not_depend_on_row_order_or_units(visits: pd.DataFrame) -> None:
    moved = visits.sample(frac=1, random_state=1).assign(age_years=lambda frame: frame["age_years"] * 12)
    one, other = (
        marginal_response(frame, reference="r", adjust="age_years + upcr_g_g").frame for frame in (visits, moved)
    )
    np.testing.assert_allclose(one["estimate"], other["estimate"], rtol=1e-8)
    np.testing.assert_allclose(one["std_error"], other["std_error"], rtol=1e-8)
