"""Protects agreement of marginal models with R's geepack and ordinal, number by number (no R needed to run)."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analyses.longitudinal import GeeFit, OrdinalFit, fit_gee, fit_ordinal

FOLDER = Path(__file__).parent / "longitudinal"
NUMBERS = pd.read_csv(FOLDER / "numbers.csv", dtype={"term": "string"}, keep_default_na=False)
TOLERANCE = {"independence": 1e-8, "exchangeable": 1e-6, "ar1": 1e-6, "unstructured": 1e-6}
STRUCTURES = list(TOLERANCE)
R_TERMS = {
    "(Intercept)": "Intercept",
    "factor(centre)2": "centre=2",
    "treatP": "treat=P",
    "sexM": "sex=M",
    "armb": "arm=b",
    "tempwarm": "temp=warm",
    "contactyes": "contact=yes",
    **{f"factor(visit_month){m}": f"visit_month={m}.0" for m in (12, 24, 36, 60)},
}


def readable(term: str) -> str:
    return ":".join(R_TERMS.get(part, part) for part in term.split(":"))


def read_input(name: str) -> pd.DataFrame:
    return pd.read_csv(FOLDER / "inputs" / f"{name}.csv")


def reference(scenario: str, quantity: str) -> dict[str, float]:
    rows = NUMBERS[(NUMBERS["scenario"] == scenario) & (NUMBERS["quantity"] == quantity)]
    assert len(rows), f"no reference numbers for {scenario} {quantity}"
    return dict(zip(rows["term"], rows["value"], strict=True))


def matrix(scenario: str, quantity: str, terms: tuple[str, ...]) -> np.ndarray:
    values = {tuple(map(readable, pair.split("||"))): value for pair, value in reference(scenario, quantity).items()}
    return np.array([[values.get((a, b), values.get((b, a))) for b in terms] for a in terms], dtype=float)


def assert_same(ours: object, theirs: object, relative: float) -> None:
    np.testing.assert_allclose(
        np.asarray(ours, dtype=float), np.asarray(theirs, dtype=float), rtol=relative, atol=1e-10
    )


def test_the_committed_files_are_those_of_the_generating_run() -> None:
    manifest = pd.read_csv(FOLDER / "manifest.csv")
    sums = [hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() for name in manifest["file"]]
    assert sums == manifest["sha256"].tolist()


RESPIRATORY = "outcome ~ centre + treat + sex + baseline + age"
MODELS = {
    "ohio": ("resp ~ age * smoke", {"subject_col": "id", "time_col": "age"}),
    "respiratory": (RESPIRATORY, {"subject_col": "id", "time_col": "visit"}),
    "respiratory_weighted": (RESPIRATORY, {"subject_col": "id", "time_col": "visit", "weights_col": "w"}),
    "visits_gaussian": ("log_upcr ~ arm * visit_month + age_years", {"family": "gaussian"}),
    "visits_poisson": ("infections ~ arm + age_years", {"family": "poisson", "offset_col": "log_years"}),
    "visits_weighted": ("complete ~ arm + visit_month + age_years", {"weights_col": "w"}),
    "visits_binomial": ("complete ~ arm * C(visit_month) + age_years", {}),
}


def data_of(model: str, structure: str) -> pd.DataFrame:
    data = read_input(model.split("_")[0])
    if not model.startswith("visits"):
        return data.assign(centre=data["centre"].astype(str)) if "centre" in data else data
    data = data.assign(complete=data["response"] == "CR")
    if structure == "unstructured":  # geepack cannot do subjects of one row there
        data = data[data.groupby("patient_id")["patient_id"].transform("size") > 1]
    return data


def fitted(model: str, structure: str, variance: str = "robust") -> GeeFit:
    formula, arguments = MODELS[model]
    if model.startswith("visits"):
        arguments = {"subject_col": "patient_id", "time_col": "visit_month", **arguments}
    shuffled = data_of(model, structure).sample(frac=1, random_state=3)
    return fit_gee(shuffled, formula, correlation=structure, variance=variance, **arguments)


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("model", MODELS)
def test_gee_is_that_of_geepack(model: str, structure: str) -> None:
    fit, scenario, relative = fitted(model, structure), f"{model}|{structure}", TOLERANCE[structure]
    assert fit.note == ""
    coefficients = {readable(term): value for term, value in reference(scenario, "coefficient").items()}
    assert set(fit.terms) == set(coefficients)
    assert_same(fit.coefficients, [coefficients[term] for term in fit.terms], relative)
    assert_same(fit.covariance, matrix(scenario, "robust", fit.terms), relative)
    assert_same(fit.scale, reference(scenario, "scale")[""], relative)
    if structure != "independence":
        assert_same(fit.working_correlation, list(reference(scenario, "alpha").values()), relative)
    assert_same(fitted(model, structure, "model").covariance, matrix(scenario, "model", fit.terms), relative)


@pytest.mark.parametrize("structure", STRUCTURES)
def test_wald_test_and_standardised_curves_are_those_of_geepack_and_the_delta_method(structure: str) -> None:
    fit, scenario, relative = fitted("visits_binomial", structure), f"visits_binomial|{structure}", TOLERANCE[structure]
    test = fit.test_terms("arm:visit_month").frame.iloc[0]
    assert_same(test["estimate"], reference(scenario, "wald")["interaction"], relative)
    assert test["note"] == "df=4"
    data = data_of("visits_binomial", structure).sample(frac=1, random_state=3)
    frame = fit.marginal_response(data, by="arm", time_col="visit_month", reference="a").frame
    curves = frame[frame["statistic"] == "standardised_proportion"]
    estimate, std_error = reference(scenario, "standardised"), reference(scenario, "standardised_se")
    cells = [f"{group} {time:.0f}" for group, time in zip(curves["group"], curves["time"], strict=True)]
    assert sorted(cells) == sorted(estimate)
    assert_same(curves["estimate"], [estimate[cell] for cell in cells], relative)
    assert_same(
        curves["std_error"], [std_error[cell] for cell in cells], max(relative, 1e-7)
    )  # R differentiates numerically
    differences = frame[frame["statistic"] == "standardised_risk_difference"]
    theirs = reference(scenario, "difference_se")
    assert_same(differences["std_error"], [theirs[f"{time:.0f}"] for time in differences["time"]], max(relative, 1e-7))


ORDINAL = {
    "wine": ("wine", "rating ~ temp + contact", {"subject_col": "judge"}),
    "respdis": ("respdis", "y ~ trt + visit", {"subject_col": "id"}),
    "visits_ordinal": ("visits", "response ~ arm + C(visit_month) + age_years", {"subject_col": "patient_id"}),
    "visits_ordinal_weighted": (
        "visits",
        "response ~ arm + visit_month + age_years",
        {"subject_col": "patient_id", "weights_col": "w"},
    ),
}


def ordinal(scenario: str, **changed: object) -> OrdinalFit:
    name, formula, arguments = ORDINAL[scenario]
    return fit_ordinal(read_input(name).sample(frac=1, random_state=4), formula, **{**arguments, **changed})


@pytest.mark.parametrize("scenario", ORDINAL)
def test_cumulative_logit_is_that_of_clm(scenario: str) -> None:
    fit = ordinal(scenario)
    theirs = {readable(term): value for term, value in reference(scenario, "coefficient").items()}
    assert fit.terms == tuple(theirs)
    assert_same(fit.tidy().frame["estimate"], list(theirs.values()), 1e-6)
    assert_same(fit.covariance, matrix(scenario, "robust", fit.terms), 1e-6)
    assert_same(fit.log_likelihood, reference(scenario, "log_likelihood")[""], 1e-10)
    if "weights_col" not in ORDINAL[scenario][2]:
        assert_same(ordinal(scenario, subject_col=None).covariance, matrix(scenario, "model", fit.terms), 1e-6)


@pytest.mark.parametrize("scenario", ["respdis", "visits_ordinal"])
def test_equal_slopes_is_the_wald_test_of_binary_models(scenario: str) -> None:
    table = ordinal(scenario).test_proportional_odds().frame
    theirs = {readable(term): value for term, value in reference(scenario, "equal_slopes").items()}
    for _, row in table.iterrows():
        if row["term"] in theirs:
            assert_same(row["estimate"], theirs[row["term"]], 1e-6)
    assert {"GLOBAL"} < set(table["term"]) & set(theirs)
    assert table["p_value"].between(0, 1).all()


def test_wine_has_a_cut_without_binary_model() -> None:
    table = ordinal("wine").test_proportional_odds().frame
    assert table["estimate"].isna().all()
    assert set(table["note"]) == {"no test: the binary model of the cut 1|2 has no finite estimate"}


def test_marginal_probabilities_are_the_delta_method() -> None:
    data = read_input("visits").sample(frac=1, random_state=4)
    frame = (
        ordinal("visits_ordinal").marginal_probabilities(data, by="arm", time_col="visit_month", reference="a").frame
    )
    estimate, std_error = reference("visits_ordinal", "standardised"), reference("visits_ordinal", "standardised_se")
    curves = frame[frame["statistic"] == "standardised_proportion"]
    cells = [f"{g} {t:.0f} {c}" for g, t, c in zip(curves["group"], curves["time"], curves["term"], strict=True)]
    assert sorted(cells) == sorted(estimate)
    assert_same(curves["estimate"], [estimate[cell] for cell in cells], 1e-6)
    assert_same(curves["std_error"], [std_error[cell] for cell in cells], 1e-6)
    theirs = reference("visits_ordinal", "difference_se")
    differences = frame[frame["statistic"] == "standardised_risk_difference"]
    cells = [f"{time:.0f} {term}" for time, term in zip(differences["time"], differences["term"], strict=True)]
    assert_same(differences["std_error"], [theirs[cell] for cell in cells], 1e-6)
