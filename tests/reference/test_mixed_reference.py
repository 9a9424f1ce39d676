"""Protects agreement of linear mixed models with R's lme4, number by number (no R needed to run)."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analyses.longitudinal import MixedFit, fit_mixed

FOLDER = Path(__file__).parent / "mixed"
NUMBERS = pd.read_csv(FOLDER / "numbers.csv", dtype={"term": "string"}, keep_default_na=False)
FIXED, COMPONENTS, ABSOLUTE = 1e-5, 1e-3, 1e-10
TERMS = {"(Intercept)": "Intercept", "armb": "arm=b", "armc": "arm=c"}
MODELS = {
    "bili_intercept": ("pbcseq", "log_bili ~ trt * year", "1", "id"),
    "bili_slope": ("pbcseq", "log_bili ~ trt * year", "1 + year", "id"),
    "albumin_intercept": ("pbcseq", "albumin ~ trt * year", "1", "id"),
    "albumin_slope": ("pbcseq", "albumin ~ trt * year", "1 + year", "id"),
    "small_intercept": ("small", "value ~ arm * years", "1", "id"),
    "small_slope": ("small", "value ~ arm * years", "1 + years", "id"),
    "flat_intercept": ("flat", "value ~ years", "1", "id"),
}
CASES = [f"{name}_{kind}" for name in MODELS for kind in ("reml", "ml")]


def fitted(scenario: str) -> MixedFit:
    name, kind = scenario.rsplit("_", 1)
    table, formula, random, subject = MODELS[name]
    data = pd.read_csv(FOLDER / "inputs" / f"{table}.csv")
    return fit_mixed(data, formula, subject_col=subject, random=random, reml=kind == "reml")


def reference(scenario: str, quantity: str) -> dict[str, float]:
    rows = NUMBERS[(NUMBERS["scenario"] == scenario) & (NUMBERS["quantity"] == quantity)]
    assert len(rows), f"no reference numbers for {scenario} {quantity}"
    return {
        ":".join(TERMS.get(part, part) for part in t.split(":")): float(v)
        for t, v in zip(rows["term"], rows["value"], strict=True)
    }


def test_the_committed_files_are_those_of_the_generating_run() -> None:
    manifest = pd.read_csv(FOLDER / "manifest.csv")
    sums = [hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() for name in manifest["file"]]
    assert sums == manifest["sha256"].tolist()


@pytest.mark.parametrize("scenario", CASES)
def test_log_likelihood_and_fixed_effects(scenario: str) -> None:
    fit = fitted(scenario)
    tidy = fit.tidy().frame.set_index("term")
    np.testing.assert_allclose(
        fit.glance().frame["estimate"].item(), reference(scenario, "log_likelihood")[""], rtol=FIXED, atol=ABSOLUTE
    )
    for quantity, column in (("fixed", "estimate"), ("std_error", "std_error")):
        theirs = reference(scenario, quantity)
        assert set(theirs) == set(tidy.index)
        np.testing.assert_allclose(tidy.loc[list(theirs), column], list(theirs.values()), rtol=FIXED, atol=ABSOLUTE)


@pytest.mark.parametrize("scenario", CASES)
def test_variance_components(scenario: str) -> None:
    fit = fitted(scenario)
    ours = dict(zip(fit.random_terms, np.diag(fit.random_covariance), strict=True)) | {
        "Residual": fit.residual_variance
    }
    if len(fit.random_terms) == 2:
        ours[":".join(fit.random_terms)] = fit.random_covariance[0, 1]
    theirs = reference(scenario, "component")
    assert set(theirs) == set(ours)
    np.testing.assert_allclose([ours[t] for t in theirs], list(theirs.values()), rtol=COMPONENTS, atol=ABSOLUTE)
    assert fit.note.startswith("singular fit") == bool(reference(scenario, "singular")[""])
