"""Protects agreement of marginal models with R's geepack and ordinal, number by number (no R needed to run)."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analyses.longitudinal import GeeFit, fit_gee

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
    values = {tuple(map(readable, pair.split("|"))): value for pair, value in reference(scenario, quantity).items()}
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
