"""Protects agreement with R's survival package, number by number, on its public data sets (no R needed to run)."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analyses.survival import (
    CoxFit,
    cumulative_incidence,
    fit_cox,
    kaplan_meier,
    logrank,
    median_survival,
    restricted_mean,
)

FOLDER = Path(__file__).parent / "survival"
RELATIVE, ABSOLUTE = 1e-8, 1e-10
NUMBERS = pd.read_csv(FOLDER / "numbers.csv", dtype={"group": "string", "term": "string"}, keep_default_na=True)
R_TERMS = {
    "celltypelarge": "celltype=large",
    "celltypesmallcell": "celltype=smallcell",
    "celltypesquamous": "celltype=squamous",
    "rxLev": "rx=Lev",
    "rxLev+5FU": "rx=Lev+5FU",
    "rxObs": "rx=Obs",
    "sexm": "sex=m",
    "age:sexm": "age:sex=m",
}


def read_input(name: str) -> pd.DataFrame:
    return pd.read_csv(FOLDER / "inputs" / f"{name}.csv")


def reference(scenario: str, quantity: str) -> pd.DataFrame:
    rows = NUMBERS[(NUMBERS["scenario"] == scenario) & (NUMBERS["quantity"] == quantity)]
    assert len(rows), f"no reference numbers for {scenario} {quantity}"
    return rows


def assert_same(ours: object, theirs: object) -> None:
    np.testing.assert_allclose(
        np.asarray(ours, dtype=float), np.asarray(theirs, dtype=float), rtol=RELATIVE, atol=ABSOLUTE
    )


def test_the_committed_files_are_those_of_the_generating_run() -> None:
    manifest = pd.read_csv(FOLDER / "manifest.csv")
    sums = [hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() for name in manifest["file"]]
    assert sums == manifest["sha256"].tolist()


CURVES = {
    **{
        f"km_lung_{theirs}": ("lung", {"duration_col": "time", "by": "sex", "conf_type": ours})
        for theirs, ours in [
            ("plain", "plain"),
            ("log", "log"),
            ("log-log", "log-log"),
            ("logit", "logit"),
            ("arcsin", "arcsine"),
        ]
    },
    "km_lung_tied": ("lung", {"duration_col": "month", "by": "sex"}),
    "km_lung_weighted": ("lung", {"duration_col": "month", "by": "sex", "weights_col": "w"}),
    "km_heart_entry": ("heart", {"duration_col": "stop", "entry_col": "start"}),
    "km_heart_entry_weighted": ("heart", {"duration_col": "stop", "entry_col": "start", "weights_col": "w"}),
}
EVENT_COLUMNS = {"lung": "status", "heart": "event"}


@pytest.mark.parametrize("scenario", CURVES)
def test_kaplan_meier(scenario: str) -> None:
    name, arguments = CURVES[scenario]
    ours = kaplan_meier(read_input(name), event_col=EVENT_COLUMNS[name], **arguments).frame
    survival = reference(scenario, "surv")
    np.testing.assert_array_equal(ours["time"], survival["time"])
    if "by" in arguments:
        assert ours["group"].tolist() == survival["group"].tolist()
    assert_same(ours["estimate"], survival["value"])
    assert_same(ours["n"], reference(scenario, "n.risk")["value"])
    assert_same(ours["n_events"], reference(scenario, "n.event")["value"])
    alive = ours["estimate"] > 0  # once survival is zero no standard error is given here
    assert_same(ours["std_error"][alive], reference(scenario, "std.err")["value"].to_numpy()[alive])
    assert_same(ours["conf_low"][alive], reference(scenario, "lower")["value"].to_numpy()[alive])
    assert_same(ours["conf_high"][alive], reference(scenario, "upper")["value"].to_numpy()[alive])


@pytest.mark.parametrize("scenario", [name for name in CURVES if "lung" in name])
def test_median_survival(scenario: str) -> None:
    name, arguments = CURVES[scenario]
    ours = median_survival(read_input(name), event_col=EVENT_COLUMNS[name], **arguments).frame
    assert_same(ours["estimate"], reference(scenario, "median")["value"])
    assert_same(ours["conf_low"], reference(scenario, "median.lower")["value"])
    assert_same(ours["conf_high"], reference(scenario, "median.upper")["value"])


AREAS = {
    "rmst_lung": ("lung", {"duration_col": "time", "by": "sex", "tau": 365}),
    "rmst_lung_tied": ("lung", {"duration_col": "month", "by": "sex", "tau": 10}),
    "rmst_lung_weighted": ("lung", {"duration_col": "month", "by": "sex", "tau": 10, "weights_col": "w"}),
    "rmst_heart_entry": ("heart", {"duration_col": "stop", "entry_col": "start", "tau": 365}),
}


@pytest.mark.parametrize("scenario", AREAS)
def test_restricted_mean(scenario: str) -> None:
    name, arguments = AREAS[scenario]
    ours = restricted_mean(read_input(name), event_col=EVENT_COLUMNS[name], **arguments).frame
    groups = ours[ours["statistic"] == "restricted_mean"]
    assert_same(groups["estimate"], reference(scenario, "rmean")["value"])
    assert_same(groups["std_error"], reference(scenario, "se")["value"])


TESTS = {
    "logrank_lung": ("lung", {"duration_col": "month", "by": "sex"}),
    "logrank_lung_rho1": ("lung", {"duration_col": "month", "by": "sex", "rho": 1.0}),
    "logrank_lung_strata": ("lung", {"duration_col": "month", "by": "sex", "strata": "ph_ecog"}),
    "logrank_veteran": ("veteran", {"duration_col": "time", "by": "celltype"}),
    "logrank_veteran_strata_rho1": (
        "veteran",
        {"duration_col": "time", "by": "celltype", "strata": ["trt"], "rho": 1.0},
    ),
    "logrank_lung_weighted": ("lung", {"duration_col": "month", "by": "sex", "weights_col": "w"}),
    "logrank_veteran_weighted_strata": (
        "veteran",
        {"duration_col": "time", "by": "celltype", "strata": "trt", "weights_col": "w"},
    ),
}


@pytest.mark.parametrize("scenario", TESTS)
def test_logrank(scenario: str) -> None:
    name, arguments = TESTS[scenario]
    ours = logrank(read_input(name), event_col="status", **arguments).frame
    assert_same(ours["estimate"], reference(scenario, "chisq")["value"])
    assert ours["note"].item() == f"df={reference(scenario, 'df')['value'].item():.0f}"


LUNG = "age + sex + ph_ecog"
HEART = "age + year + surgery + transplant"
START_STOP = {"duration_col": "stop", "event_col": "event", "entry_col": "start", "cluster_col": "id"}
TIED = {"duration_col": "month", "event_col": "status", "robust": True}
MODELS = {
    "cox_lung": ("lung", LUNG, {"duration_col": "time", "event_col": "status"}),
    "cox_lung_tied_efron": ("lung", LUNG, TIED),
    "cox_lung_tied_breslow": ("lung", LUNG, {**TIED, "ties": "breslow"}),
    "cox_lung_weighted_efron": ("lung", LUNG, {**TIED, "weights_col": "w"}),
    "cox_lung_weighted_breslow": ("lung", LUNG, {**TIED, "weights_col": "w", "ties": "breslow"}),
    "cox_heart_efron": ("heart", HEART, START_STOP),
    "cox_heart_breslow": ("heart", HEART, {**START_STOP, "ties": "breslow"}),
    "cox_heart_weighted": ("heart", HEART, {**START_STOP, "weights_col": "w"}),
    "cox_veteran": (
        "veteran",
        "celltype + karno + trt",
        {"duration_col": "time", "event_col": "status", "robust": True},
    ),
    "cox_colon": (
        "colon",
        "rx + nodes",
        {"duration_col": "time", "event_col": "status", "strata": ["sex", "etype"], "cluster_col": "id"},
    ),
    "cox_pbc": ("pbc", "age * sex + log(bili)", {"duration_col": "month", "event_col": "death"}),
}


def fitted(scenario: str) -> CoxFit:
    name, formula, arguments = MODELS[scenario]
    data = read_input(name)
    if name == "pbc":
        data = data.assign(death=(data["status"] == 2).astype(int))
    return fit_cox(data, formula, **arguments)


def as_matrix(scenario: str, quantity: str, terms: tuple[str, ...]) -> np.ndarray:
    rows = reference(scenario, quantity)
    pairs = [tuple(R_TERMS.get(part, part) for part in pair.split("|")) for pair in rows["term"]]
    values = dict(zip(pairs, rows["value"], strict=True))
    return np.array([[values[row, column] for column in terms] for row in terms])


@pytest.mark.parametrize("scenario", MODELS)
def test_cox_coefficients_and_variances(scenario: str) -> None:
    fit = fitted(scenario)
    rows = reference(scenario, "coef")
    theirs = {R_TERMS.get(term, term): value for term, value in zip(rows["term"], rows["value"], strict=True)}
    assert set(fit.terms) == set(theirs)
    assert fit.converged
    assert_same(fit.coefficients, [theirs[term] for term in fit.terms])
    assert_same(fit.variance, as_matrix(scenario, "variance", fit.terms))
    assert_same(fit.log_likelihood, reference(scenario, "loglik")["value"].item())
    assert_same(fit.log_likelihood_null, reference(scenario, "loglik_null")["value"].item())
    if fit.robust_variance is not None:
        assert_same(fit.robust_variance, as_matrix(scenario, "robust", fit.terms))


@pytest.mark.parametrize("transform", ["km", "rank", "identity", "log"])
@pytest.mark.parametrize("scenario", MODELS)
def test_proportional_hazards(scenario: str, transform: str) -> None:
    ours = fitted(scenario).test_proportional_hazards(transform).frame
    theirs = reference(scenario, f"zph_{transform}")
    assert sorted(ours["term"]) == sorted(theirs["term"])
    values = dict(zip(theirs["term"], theirs["value"], strict=True))
    freedom = reference(scenario, f"zph_df_{transform}")
    degrees = dict(zip(freedom["term"], freedom["value"], strict=True))
    assert_same(ours["estimate"], [values[term] for term in ours["term"]])
    assert ours["note"].tolist() == [f"df={degrees[term]:.0f}" for term in ours["term"]]


@pytest.mark.parametrize(("scenario", "name", "time"), [("cif_mgus", "mgus", "time"), ("cif_pbc_tied", "pbc", "month")])
def test_cumulative_incidence(scenario: str, name: str, time: str) -> None:
    ours = cumulative_incidence(read_input(name), duration_col=time, event_col="status", by="sex").frame
    assert (ours.loc[ours["time"] == 0, "estimate"] == 0).all()
    keys = ["group", "term", "time"]
    columns = {
        "pstate": "estimate",
        "std.err": "std_error",
        "n.event": "n_events",
        "lower": "conf_low",
        "upper": "conf_high",
    }
    for quantity, column in columns.items():
        theirs = reference(scenario, quantity)[[*keys, "value"]]
        joined = theirs.merge(ours[[*keys, column]], on=keys, how="left", validate="one_to_one")
        assert_same(joined[column], joined["value"])
    assert len(ours) == len(reference(scenario, "pstate")) + (ours["time"] == 0).sum()
