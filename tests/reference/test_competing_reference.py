"""Protects agreement with R's survival and cmprsk on competing risks, number by number (no R needed to run)."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analyses.survival import cumulative_incidence, fit_fine_gray, gray_test

FOLDER = Path(__file__).parent / "competing"
NUMBERS = pd.read_csv(FOLDER / "numbers.csv", dtype={"group": "string", "term": "string"}, keep_default_na=True)
ABSOLUTE = 1e-10


def read_input(name: str) -> pd.DataFrame:
    return pd.read_csv(FOLDER / "inputs" / f"{name}.csv")


def reference(scenario: str, quantity: str) -> pd.DataFrame:
    rows = NUMBERS[(NUMBERS["scenario"] == scenario) & (NUMBERS["quantity"] == quantity)]
    assert len(rows), f"no reference numbers for {scenario} {quantity}"
    return rows


def assert_same(ours: object, theirs: object, *, relative: float = 1e-8) -> None:
    np.testing.assert_allclose(
        np.asarray(ours, dtype=float), np.asarray(theirs, dtype=float), rtol=relative, atol=ABSOLUTE
    )


def test_the_committed_files_are_those_of_the_generating_run() -> None:
    manifest = pd.read_csv(FOLDER / "manifest.csv")
    sums = [hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() for name in manifest["file"]]
    assert sums == manifest["sha256"].tolist()


FOLLOWED = {"duration_col": "time", "event_col": "status"}
AGED = {"duration_col": "exit", "event_col": "status", "entry_col": "entry"}
CURVES = {
    **{
        f"cif_mgus_{scale}": ("mgus", {**FOLLOWED, "by": "sex", "conf_type": scale})
        for scale in ("plain", "log", "log-log", "logit")
    },
    "cif_mgus_weighted": ("mgus", {**FOLLOWED, "by": "sex", "weights_col": "w"}),
    "cif_mgus_entry": ("mgus", {**AGED, "by": "sex"}),
    "cif_mgus_entry_weighted": ("mgus", {**AGED, "by": "sex", "weights_col": "w"}),
    "cif_pbc_tied": ("pbc", {"duration_col": "month", "event_col": "status", "by": "sex", "weights_col": "w"}),
}


@pytest.mark.parametrize("scenario", CURVES)
def test_cumulative_incidence(scenario: str) -> None:
    name, arguments = CURVES[scenario]
    ours = cumulative_incidence(read_input(name), **arguments).frame.set_index(["group", "term", "time"])
    theirs = reference(scenario, "pstate")
    mine = ours.loc[pd.MultiIndex.from_frame(theirs[["group", "term", "time"]])]
    assert_same(mine["estimate"], theirs["value"])
    assert_same(mine["std_error"], reference(scenario, "std.err")["value"])
    limits = ~np.isnan(mine["conf_low"].to_numpy())  # R writes 0 or 1 where the scale has no interval
    assert limits.sum() > len(limits) / 2
    lower, upper = (reference(scenario, name)["value"].to_numpy() for name in ("lower", "upper"))
    assert_same(mine["conf_low"][limits], lower[limits])
    assert_same(mine["conf_high"][limits], upper[limits])
    if "weights_col" not in arguments:  # R counts rows here even when they are weighted
        at_risk = reference(scenario, "n.risk").assign(term="1")
        assert_same(ours.loc[pd.MultiIndex.from_frame(at_risk[["group", "term", "time"]]), "n"], at_risk["value"])


MONTHLY = {"duration_col": "month", "event_col": "status"}
TESTS = {
    "gray_mgus": ("mgus", {**FOLLOWED, "by": "sex"}),
    "gray_mgus_strata_rho1": ("mgus", {**FOLLOWED, "by": "sex", "strata": "era", "rho": 1.0}),
    "gray_pbc_tied": ("pbc", {**MONTHLY, "by": "stage"}),
    "gray_pbc_tied_rho": ("pbc", {**MONTHLY, "by": "stage", "rho": 0.5}),
    "gray_colon": ("colon", {**FOLLOWED, "by": "rx"}),
    "gray_colon_strata": ("colon", {**FOLLOWED, "by": "rx", "strata": ["sex"]}),
    "gray_rotterdam": ("rotterdam", {**FOLLOWED, "by": "hormon"}),
}


@pytest.mark.parametrize("cause", [1, 2])
@pytest.mark.parametrize("scenario", TESTS)
def test_gray(scenario: str, cause: int) -> None:
    name, arguments = TESTS[scenario]
    row = gray_test(read_input(name), **arguments, cause=cause).frame.iloc[0]
    assert_same(row["estimate"], reference(scenario, "chisq").set_index("term")["value"][str(cause)])
    assert row["note"] == f"df={reference(scenario, 'df')['value'].iloc[0]:g}"


MGUS, PBC, COLON = "age + sex + mspike", "age + log(bili) + edema", "rx + nodes + sex"
EDEMA = {"censoring_strata": "edema"}
ROTTERDAM = "age + nodes + grade + hormon"
CAUSES, VARIANTS = (1, 2), ("finegray", "crr")
MODELS = {
    "finegray_mgus_breslow": ("mgus", MGUS, {**FOLLOWED, "ties": "breslow"}),
    "finegray_mgus_practice": ("mgus", MGUS, {**FOLLOWED, "cluster_col": "practice"}),
    "finegray_mgus_weighted": ("mgus", MGUS, {**FOLLOWED, "weights_col": "w"}),
    "finegray_mgus_weighted_breslow": ("mgus", MGUS, {**FOLLOWED, "weights_col": "w", "ties": "breslow"}),
    "finegray_mgus_strata": ("mgus", MGUS, {**FOLLOWED, "strata": "era", "censoring_strata": "era"}),
    "finegray_mgus_entry": ("mgus", MGUS, AGED),
    "finegray_mgus_entry_weighted": ("mgus", MGUS, {**AGED, "weights_col": "w"}),
    "finegray_mgus_entry_strata": ("mgus", MGUS, {**AGED, "strata": ["era"], "censoring_strata": ["era"]}),
    "crr_mgus_cengroup": ("mgus", MGUS, {**FOLLOWED, "censoring_strata": "sex"}),
    "crr_mgus_cengroup_era": ("mgus", MGUS, {**FOLLOWED, "cause": 2, "censoring_strata": "era"}),
    "crr_colon_cengroup": ("colon", COLON, {**FOLLOWED, "censoring_strata": "rx"}),
    "finegray_colon": ("colon", COLON, FOLLOWED),
    "crr_colon": ("colon", COLON, FOLLOWED),
    "finegray_rotterdam": ("rotterdam", ROTTERDAM, FOLLOWED),
    "finegray_rotterdam_2": ("rotterdam", ROTTERDAM, {**FOLLOWED, "cause": 2}),
    "crr_rotterdam": ("rotterdam", ROTTERDAM, FOLLOWED),
    **{f"{v}_mgus_{cause}": ("mgus", MGUS, {**FOLLOWED, "cause": cause}) for cause in CAUSES for v in VARIANTS},
    **{f"{v}_pbc_{cause}": ("pbc", PBC, {**FOLLOWED, "cause": cause}) for cause in CAUSES for v in VARIANTS},
    **{f"finegray_pbc_tied_{cause}": ("pbc", PBC, {**MONTHLY, "cause": cause, "weights_col": "w"}) for cause in CAUSES},
    **{f"crr_pbc_tied_{cause}": ("pbc", PBC, {**MONTHLY, "cause": cause}) for cause in CAUSES},
    **{f"crr_pbc_cengroup_{cause}": ("pbc", PBC, {**FOLLOWED, **EDEMA, "cause": cause}) for cause in CAUSES},
    **{f"crr_pbc_tied_cengroup_{cause}": ("pbc", PBC, {**MONTHLY, **EDEMA, "cause": cause}) for cause in CAUSES},
}


def square(scenario: str, quantity: str) -> np.ndarray:
    values = reference(scenario, quantity)["value"].to_numpy()
    return values.reshape(int(len(values) ** 0.5), -1)


@pytest.mark.parametrize("scenario", MODELS)
def test_fine_gray(scenario: str) -> None:
    """Ten digits where six are asked for, which a wrong tie or a wrong weight cannot reach."""
    name, formula, arguments = MODELS[scenario]
    variant = scenario.partition("_")[0]
    fit = fit_fine_gray(read_input(name), formula, **arguments, variant=variant)
    assert_same(fit.coefficients, reference(scenario, "coef")["value"])
    assert_same(fit.log_likelihood, reference(scenario, "loglik")["value"].item())
    assert_same(fit.log_likelihood_null, reference(scenario, "loglik_null")["value"].item())
    if variant == "finegray":
        assert_same(fit.naive_variance, square(scenario, "variance"))
    assert_same(fit.variance, square(scenario, "robust"))
    assert_same(fit.std_errors, np.sqrt(np.diag(square(scenario, "robust"))))


GROUPED = {
    "crr_mgus_cengroup": 1.9e-3,
    "crr_pbc_cengroup_1": 1.13e-2,
}
"""Largest relative distance between the standard errors of cmprsk and those with the derivative over all events."""


@pytest.mark.parametrize("scenario", GROUPED)
def test_the_corrected_variance_is_not_that_of_cmprsk(scenario: str) -> None:
    """cmprsk leaves the events of the other groups out of a group's derivative.

    See test_competing_properties.py, where numerical derivatives decide between the two.
    """
    name, formula, arguments = MODELS[scenario]
    fit = fit_fine_gray(read_input(name), formula, **arguments, variant="crr_corrected")
    assert_same(fit.coefficients, reference(scenario, "coef")["value"])
    theirs = np.sqrt(np.diag(square(scenario, "robust")))
    assert np.abs(fit.std_errors / theirs - 1).max() == pytest.approx(GROUPED[scenario], rel=0.02)


PREDICTED = [
    *(f"{variant}_mgus_{cause}" for cause in CAUSES for variant in VARIANTS),
    "finegray_mgus_breslow",
    "finegray_mgus_weighted",
]


@pytest.mark.parametrize("scenario", PREDICTED)
def test_predicted_cumulative_incidence(scenario: str) -> None:
    name, formula, arguments = MODELS[scenario]
    fit = fit_fine_gray(read_input(name), formula, **arguments, variant=scenario.partition("_")[0])
    profiles = pd.DataFrame({"age": [50, 70], "sex": ["F", "M"], "mspike": [1.5, 0.4]}, index=[1, 2])
    theirs = reference(scenario, "incidence")
    ours = fit.predict(profiles, times=theirs["time"].unique().tolist()).frame
    assert ours["group"].tolist() == theirs["group"].tolist()
    assert_same(ours["estimate"], theirs["value"])
