"""Protects agreement of the whole Cox model with R's survival: ties, weights, strata, late entry, offsets, clusters."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analyses.kernels import concordance
from analyses.kernels import cox_problem as problems
from analyses.survival import CoxFit, fit_cox

FOLDER = Path(__file__).parent / "cox"
RELATIVE, ABSOLUTE = 1e-8, 1e-10
R_TERMS = {
    "rxLev+5FU": "rx=Lev+5FU",
    "rxObs": "rx=Obs",
    "sexm": "sex=m",
    "sexm:age": "sex=m:age",
    "sexM": "sex=M",
    "sizeb.20to50": "size=b.20to50",
    "sizec.gt50": "size=c.gt50",
}

LUNG = "age + sex + ph_ecog"
DAYS = {"duration_col": "time", "event_col": "status"}
TIED = {"duration_col": "month", "event_col": "status"}
SPELLS = {"duration_col": "stop", "event_col": "event", "entry_col": "start", "cluster_col": "id"}
AGES = {"duration_col": "exit", "event_col": "death", "entry_col": "entry"}
DEATH = {"duration_col": "month", "event_col": "death"}
WEIGHTED = {"weights_col": "w", "robust": True}
PATIENTS = {
    "lung": {"age": [50, 71], "sex": [1, 2], "ph_ecog": [0, 2]},
    "bladder": {"rx": [1, 2], "number": [2, 1], "size": [1, 4], "enum": [1, 2], "off": [0.4, -0.2]},
    "veteran": {"karno": [30, 80], "age": [70, 45], "trt": [1, 2], "celltype": ["large", "squamous"]},
    "ovarian": {"age": [45, 66], "resid_ds": [1, 2], "rx": [1, 2]},
    "pbc": {"sex": ["f", "m"], "age": [40, 60], "bili": [0.8, 7], "edema": [0, 0.5]},
    "colon": {"rx": ["Lev", "Obs"], "nodes": [2, 9], "sex": [0, 1], "etype": [1, 2]},
    "mgus2": {"sex": ["F", "M"], "hgb": [14, 10], "creat": [0.9, 2]},
    "rotterdam": {
        "age": [40, 65],
        "meno": [0, 1],
        "size": ["b.20to50", "a.le20"],
        "nodes": [6, 0],
        "hormon": [0, 0],
        "chemo": [1, 0],
    },
}
"""Rows to predict for, as in the script that made the numbers."""

MODELS: dict[str, tuple[str, str, dict[str, object], list[str]]] = {
    f"{name}_{ties}": (data, formula, {**arguments, "ties": ties}, joint)
    for ties in ("efron", "breslow")
    for name, data, formula, arguments, joint in [
        ("lung", "lung", LUNG, DAYS, ["age", "sex"]),
        ("lung_tied", "lung", LUNG, TIED, ["age", "sex"]),
        ("lung_weighted", "lung", LUNG, {**TIED, **WEIGHTED}, ["sex", "ph_ecog"]),
        ("bladder", "bladder", "rx + number + size", {**SPELLS, "strata": "enum"}, ["rx", "size"]),
        ("bladder_weighted", "bladder", "rx + number + size", {**SPELLS, "weights_col": "w"}, ["rx", "size"]),
        (
            "bladder_offset",
            "bladder",
            "rx + number",
            {**SPELLS, "weights_col": "w", "strata": ["enum"], "offset_col": "off"},
            ["rx", "number"],
        ),
    ]
} | {
    "lung_offset": ("lung", "sex + ph_ecog", {**TIED, "offset_col": "off"}, ["sex", "ph_ecog"]),
    "veteran": ("veteran", "karno + age + trt", {**DAYS, "strata": "celltype"}, ["karno", "trt"]),
    "ovarian": (
        "ovarian",
        "age + resid_ds + rx",
        {"duration_col": "futime", "event_col": "fustat"},
        ["age", "rx"],
    ),
    "pbc": ("pbc", "sex * age + log(bili) + edema", DEATH, ["sex", "sex:age"]),
    "colon": ("colon", "rx + nodes", {**DAYS, "strata": ["sex", "etype"], "cluster_col": "id"}, ["rx"]),
    "mgus2": ("mgus2", "sex + hgb + creat", AGES, ["sex", "creat"]),
    "mgus2_weighted": ("mgus2", "hgb + creat", {**AGES, **WEIGHTED, "strata": "sex"}, ["hgb", "creat"]),
    "rotterdam": ("rotterdam", "age + meno + size + nodes + hormon + chemo", DEATH, ["size"]),
}


@cache
def numbers() -> pd.DataFrame:
    table = pd.read_csv(FOLDER / "numbers.csv", dtype={"term": "string"})
    return table.assign(term=table["term"].replace(R_TERMS))


@cache
def scenario_numbers(scenario: str) -> pd.DataFrame:
    return numbers()[numbers()["scenario"] == scenario]


def reference(scenario: str, quantity: str) -> pd.DataFrame:
    rows = scenario_numbers(scenario)
    rows = rows[rows["quantity"] == quantity]
    assert len(rows), f"no reference numbers for {scenario} {quantity}"
    return rows


@cache
def read_input(name: str) -> pd.DataFrame:
    return pd.read_csv(FOLDER / "inputs" / f"{name}.csv")


@cache
def fitted(scenario: str) -> CoxFit:
    name, formula, arguments, _ = MODELS[scenario]
    return fit_cox(read_input(name), formula, **arguments)


def new_patients(scenario: str) -> pd.DataFrame:
    if scenario == "lung_offset":
        return pd.DataFrame({"sex": [1, 2], "ph_ecog": [0, 1], "off": [0.3, -0.1]})
    return pd.DataFrame(PATIENTS[MODELS[scenario][0]])


def assert_same(ours: object, theirs: object, *, loosest: float = ABSOLUTE) -> None:
    np.testing.assert_allclose(
        np.asarray(ours, dtype=float), np.asarray(theirs, dtype=float), rtol=RELATIVE, atol=loosest
    )


def as_matrix(scenario: str, quantity: str, terms: tuple[str, ...]) -> np.ndarray:
    rows = reference(scenario, quantity)
    pairs = [tuple(R_TERMS.get(part, part) for part in pair.split("|")) for pair in rows["term"]]
    values = dict(zip(pairs, rows["value"], strict=True))
    return np.array([[values[row, column] for column in terms] for row in terms])


def test_the_committed_files_are_those_of_the_generating_run() -> None:
    manifest = pd.read_csv(FOLDER / "manifest.csv")
    sums = [hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() for name in manifest["file"]]
    assert sums == manifest["sha256"].tolist()
    assert sorted(MODELS) == sorted(numbers()["scenario"].unique())


@pytest.mark.parametrize("compiled_from", [problems.COMPILED_FROM, 0], ids=["arrays", "compiled"])
@pytest.mark.parametrize("scenario", MODELS)
def test_coefficients_and_variances(scenario: str, compiled_from: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(problems, "COMPILED_FROM", compiled_from)
    name, formula, arguments, _ = MODELS[scenario]
    fit = fit_cox(read_input(name), formula, **arguments)
    rows = reference(scenario, "coef")
    theirs = dict(zip(rows["term"], rows["value"], strict=True))
    assert set(fit.terms) == set(theirs)
    assert_same(fit.coefficients, [theirs[term] for term in fit.terms])
    assert_same(fit.variance, as_matrix(scenario, "variance", fit.terms))
    assert_same(fit.log_likelihood, reference(scenario, "loglik")["value"].item())
    assert_same(fit.log_likelihood_null, reference(scenario, "loglik_null")["value"].item())
    if fit.robust_variance is not None:
        assert_same(fit.robust_variance, as_matrix(scenario, "robust", fit.terms))


@pytest.mark.parametrize("scenario", MODELS)
def test_joint_tests_of_terms(scenario: str) -> None:
    row = fitted(scenario).test_terms(MODELS[scenario][3]).frame.iloc[0]
    assert_same(row["estimate"], reference(scenario, "wald")["value"].item())
    assert row["note"] == "df=2"


@pytest.mark.parametrize("kind", ["martingale", "deviance"])
@pytest.mark.parametrize("scenario", MODELS)
def test_residuals_of_rows(scenario: str, kind: str) -> None:
    theirs = reference(scenario, kind)
    ours = fitted(scenario).residuals(kind)[kind]
    assert_same(ours.to_numpy()[theirs["row"].astype(int)], theirs["value"])


@pytest.mark.parametrize("kind", ["score", "dfbeta", "dfbetas"])
@pytest.mark.parametrize("scenario", MODELS)
def test_residuals_of_rows_and_terms(scenario: str, kind: str) -> None:
    theirs = reference(scenario, kind)
    ours = fitted(scenario).residuals(kind)
    assert ours.index.equals(read_input(MODELS[scenario][0]).index)
    for term, rows in theirs.groupby("term"):
        assert_same(ours[term].to_numpy()[rows["row"].astype(int)], rows["value"])


@pytest.mark.parametrize(("kind", "quantity"), [("schoenfeld", "schoenfeld"), ("scaled_schoenfeld", "scaledsch")])
@pytest.mark.parametrize("scenario", MODELS)
def test_residuals_of_events(scenario: str, kind: str, quantity: str) -> None:
    fit = fitted(scenario)
    ours = fit.residuals(kind)
    assert len(ours) == fit.n_events
    for term, rows in reference(scenario, quantity).groupby("term"):
        chosen = ours.loc[rows["row"].astype(int)]
        assert chosen["time"].tolist() == rows["time"].tolist()
        assert_same(chosen[term], rows["value"])


@pytest.mark.parametrize("trees_from", [concordance.COMPILED_FROM, 0], ids=["pairs", "trees"])
@pytest.mark.parametrize("scenario", MODELS)
def test_concordance(scenario: str, trees_from: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(concordance, "COMPILED_FROM", trees_from)
    rows = fitted(scenario).concordance().frame
    assert_same(rows["estimate"][0], reference(scenario, "concordance")["value"].item())
    assert_same(rows["std_error"][0], reference(scenario, "concordance_se")["value"].item())
    pairs = reference(scenario, "pairs").set_index("term")["value"]
    assert_same(rows["estimate"][1:], pairs.loc[rows["term"][1:]])


@pytest.mark.parametrize(("ties", "ctype"), [("breslow", 1), ("efron", 2)])
@pytest.mark.parametrize("scenario", MODELS)
def test_baseline_hazard(scenario: str, ties: str, ctype: int) -> None:
    fit = fitted(scenario)
    ours = fit.baseline_hazard(ties=ties).frame
    theirs = reference(scenario, f"baseline_cumhaz_{ctype}")
    for stratum, rows in theirs.groupby("row"):
        label = fit.data.strata.labels[int(stratum)]
        curve = ours[ours["group"].isna() if label is None else ours["group"] == label].set_index("time")
        curve = curve.loc[rows["time"]]
        assert_same(curve["estimate"], rows["value"])
        for quantity, column in [("baseline_se", "std_error"), ("n_risk", "n"), ("n_event", "n_events")]:
            other = reference(scenario, f"{quantity}_{ctype}")
            assert_same(curve[column], other.loc[other["row"] == stratum, "value"])


@pytest.mark.parametrize(("ties", "ctype"), [("breslow", 1), ("efron", 2)])
@pytest.mark.parametrize("scenario", MODELS)
def test_predicted_curves(scenario: str, ties: str, ctype: int) -> None:
    """R's standard error of survival is that of the cumulative hazard; ours is that times survival."""
    fit, patients = fitted(scenario), new_patients(scenario)
    for patient in range(len(patients)):
        theirs = {
            name: rows[rows["row"] == patient]
            for name in ("cumhaz", "se", "surv", "lower", "upper")
            for rows in [reference(scenario, f"predicted_{name}_{ctype}")]
        }
        times = theirs["surv"]["time"].tolist()
        one = patients.iloc[[patient]]
        hazard = fit.predict(one, kind="cumulative_hazard", times=times, ties=ties).frame
        assert_same(hazard["estimate"], theirs["cumhaz"]["value"])
        assert_same(hazard["std_error"], theirs["se"]["value"])
        survival = fit.predict(one, times=times, ties=ties).frame
        assert_same(survival["estimate"], theirs["surv"]["value"])
        assert_same(survival["std_error"], theirs["se"]["value"].to_numpy() * theirs["surv"]["value"].to_numpy())
        assert_same(survival["conf_low"], theirs["lower"]["value"])
        assert_same(survival["conf_high"], theirs["upper"]["value"])


@pytest.mark.parametrize("scenario", MODELS)
def test_linear_predictors(scenario: str) -> None:
    rows = fitted(scenario).predict(new_patients(scenario), kind="linear_predictor").frame
    assert_same(rows["estimate"], reference(scenario, "lp")["value"])
    assert_same(rows["std_error"], reference(scenario, "lp_se")["value"])
    ratios = fitted(scenario).predict(new_patients(scenario), kind="relative_hazard").frame
    assert_same(np.log(ratios["estimate"]), rows["estimate"])
    assert_same(np.log(ratios["conf_high"]), rows["conf_high"])
    assert_same(ratios["std_error"], ratios["estimate"] * rows["std_error"])
