"""Protects every non-survival estimator: R computed the same numbers from the same data."""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analyses.comparison import weighted_rates
from analyses.describe import baseline_table
from analyses.kernels.proportions import (
    fisher_exact,
    newcombe_difference,
    odds_ratio,
    pearson_chi_square,
    risk_ratio,
    wilson_interval,
)
from analyses.longitudinal import fit_gee, marginal_response
from analyses.propensity import PropensityFit, fit_propensity

FOLDER = Path(__file__).parent / "response"
FORMULA = "age_years + isn_rps_class + upcr_g_g"
TERMS = {
    "(Intercept)": "Intercept",
    "isn_rps_classIV": "isn_rps_class=IV",
    "isn_rps_classIV+V": "isn_rps_class=IV+V",
    "isn_rps_classV": "isn_rps_class=V",
}


@pytest.fixture(scope="module")
def r() -> dict[str, float]:
    with (FOLDER / "numbers.csv").open() as lines:
        return {row["key"]: float(row["value"]) for row in csv.DictReader(lines)}


@pytest.fixture(scope="module")
def patients() -> pd.DataFrame:
    return pd.read_csv(FOLDER / "patients.csv")


@pytest.fixture(scope="module")
def visits() -> pd.DataFrame:
    visits = pd.read_csv(FOLDER / "visits.csv")
    return visits.assign(responder=visits["response"] != "NR", tac=(visits["arm"] == "tacrolimus").astype(int))


@pytest.fixture(scope="module")
def model(patients: pd.DataFrame) -> PropensityFit:
    return fit_propensity(patients, FORMULA, treatment_col="arm", treated="tacrolimus")


def keys(r: dict[str, float], prefix: str) -> dict[str, float]:
    found = {key.removeprefix(prefix + "|"): value for key, value in r.items() if key.startswith(prefix + "|")}
    assert found, f"R left no numbers under {prefix}"
    return found


def test_the_committed_numbers_are_those_of_the_committed_script_and_inputs() -> None:
    lines = (FOLDER / "provenance.txt").read_text().splitlines()
    recorded = dict(reversed(line.split(" ", 1)) for line in lines[1:5])
    assert set(recorded) == {
        "generate_response.R", "response/patients.csv", "response/visits.csv", "response/numbers.csv",
    }  # fmt: skip
    for name, digest in recorded.items():
        content = (FOLDER.parent / name).read_bytes()
        assert hashlib.md5(content, usedforsecurity=False).hexdigest() == digest, name


def test_wilson_intervals(r: dict[str, float]) -> None:
    for key, expected in keys(r, "wilson").items():
        events, patients, level, limit = key.split("|")
        interval = wilson_interval(int(events), int(patients), conf_level=float(level))
        assert float(getattr(interval, limit)) == pytest.approx(expected, rel=1e-12, abs=1e-15), key


def test_two_by_two_tables(r: dict[str, float]) -> None:
    intervals = {"newcombe": newcombe_difference, "risk_ratio": risk_ratio, "odds_ratio": odds_ratio}
    for name, function in intervals.items():
        for key, expected in keys(r, name).items():
            *counts, part = key.split("|")
            result = function(*map(int, counts))
            # The ratios come from an iterated glm(), hence the looser tolerance than rounding.
            assert float(getattr(result, part)) == pytest.approx(expected, rel=1e-8, abs=1e-12), (name, key)
    for key, expected in keys(r, "fisher").items():
        assert fisher_exact(*map(int, key.split("|"))) == pytest.approx(expected, rel=1e-10), key
    for key, expected in keys(r, "chi_square").items():
        x1, n1, x0, n0 = map(int, key.split("|")[:4])
        test = pearson_chi_square([[x1, n1 - x1], [x0, n0 - x0]])
        got = test.statistic if key.endswith("statistic") else test.p_value
        assert got == pytest.approx(expected, rel=1e-10), key


def test_baseline_table(r: dict[str, float], patients: pd.DataFrame) -> None:
    table = baseline_table(patients, group_col="arm", reference="no_tacrolimus").frame
    tests = table[table["statistic"] == "difference_test"].set_index("term")
    for term in ("age_years", "isn_rps_class", "hypertension"):
        expected = keys(r, f"baseline|{term}|difference_test")
        assert tests.loc[term, "estimate"] == pytest.approx(expected["estimate"], rel=1e-10)
        assert tests.loc[term, "p_value"] == pytest.approx(expected["p"], rel=1e-10)
    own = table[(table["group"] == "tacrolimus") & (table["term"] == "age_years")].set_index("statistic")
    for statistic, value in keys(r, "baseline|age_years|tacrolimus").items():
        assert own.loc[statistic, "estimate"] == pytest.approx(value, rel=1e-12), statistic


def test_propensity_model_is_that_of_glm(r: dict[str, float], model: PropensityFit, patients: pd.DataFrame) -> None:
    tidy = model.tidy().frame.set_index("term")
    for part, column in (("coefficient", "estimate"), ("std_error", "std_error")):
        for name, value in keys(r, f"propensity|{part}").items():
            assert tidy.loc[TERMS.get(name, name), column] == pytest.approx(value, rel=1e-8), name
    assert model.glance().frame["estimate"].item() == pytest.approx(r["propensity|log_likelihood"], rel=1e-10)
    score = keys(r, "propensity|score")
    np.testing.assert_allclose(model.score, [score[name] for name in patients["patient_id"]], rtol=1e-8)


@pytest.mark.parametrize("estimand", ["ATE", "ATT", "ATC", "ATO", "ATM"])
def test_weighted_rates_with_both_variances(
    r: dict[str, float],
    model: PropensityFit,
    patients: pd.DataFrame,
    visits: pd.DataFrame,
    estimand: str,
) -> None:
    at = visits[visits["visit_month"] == 12]
    position = pd.Index(patients["patient_id"]).get_indexer(pd.Index(at["patient_id"]))
    estimated = model.estimated_weights(estimand).for_rows(position)
    for weights, part in ((estimated.values, "known"), (estimated, "estimated")):
        frame = weighted_rates(
            at, outcome_col="responder", treatment_col="arm", treated="tacrolimus", weights=weights
        ).frame
        treated, reference, difference = (row for _, row in frame.iloc[:3].iterrows())
        known = keys(r, f"weighted|{estimand}|known")
        assert treated["estimate"] == pytest.approx(known["treated"], rel=1e-8)
        assert reference["estimate"] == pytest.approx(known["reference"], rel=1e-8)
        assert difference["estimate"] == pytest.approx(known["difference"], rel=1e-8)
        # "known" is closed-form; "estimated" was differentiated numerically in R, which leaves about 1e-8.
        tolerance = 1e-8 if part == "known" else 1e-6
        errors = keys(r, f"weighted|{estimand}|{part}")
        assert treated["std_error"] == pytest.approx(errors["treated_se"], rel=tolerance)
        assert reference["std_error"] == pytest.approx(errors["reference_se"], rel=tolerance)
        assert difference["std_error"] == pytest.approx(errors["difference_se"], rel=tolerance)


@pytest.mark.parametrize("correlation", ["independence", "exchangeable"])
@pytest.mark.parametrize(
    ("family", "response"), [("binomial", "responder"), ("gaussian", "upcr_g_g"), ("poisson", "infections")]
)
def test_gee_is_that_of_geepack(
    r: dict[str, float], visits: pd.DataFrame, family: str, response: str, correlation: str
) -> None:
    fit = fit_gee(
        visits,
        f"{response} ~ tac + visit_month + age_years",
        subject_col="patient_id",
        time_col="visit_month",
        family=family,
        correlation=correlation,
    )
    tidy = fit.tidy().frame.set_index("term")
    prefix = f"gee|{family}|{correlation}"
    for part, column in (("coefficient", "estimate"), ("std_error", "std_error")):
        for name, value in keys(r, f"{prefix}|{part}").items():
            assert tidy.loc[TERMS.get(name, name), column] == pytest.approx(value, rel=1e-8), (part, name)
    assert fit.scale == pytest.approx(r[f"{prefix}|scale"], rel=1e-8)
    alpha = r[f"{prefix}|alpha"] if correlation == "exchangeable" else 0.0
    assert fit.glance().frame["estimate"].item() == pytest.approx(alpha, rel=1e-8)


def test_marginal_response_is_the_stacked_estimating_equations(r: dict[str, float], visits: pd.DataFrame) -> None:
    frame = marginal_response(visits, reference="no_tacrolimus", adjust="age_years + upcr_baseline").frame
    rows = frame[frame["statistic"] == "standardised_proportion"]
    estimate, std_error = keys(r, "marginal|estimate"), keys(r, "marginal|std_error")
    assert len(rows) == len(estimate) == 10
    for _, row in rows.iterrows():
        cell = f"{row['group']} {row['time']:.0f}"
        assert row["estimate"] == pytest.approx(estimate[cell], rel=1e-8)
        assert row["std_error"] == pytest.approx(std_error[cell], rel=1e-6)
    differences = frame[frame["statistic"] == "standardised_risk_difference"]
    assert len(differences) == 5
    for _, row in differences.iterrows():
        expected = keys(r, f"marginal|difference|{row['time']:.0f}")
        assert row["estimate"] == pytest.approx(expected["estimate"], rel=1e-8)
        assert row["std_error"] == pytest.approx(expected["std_error"], rel=1e-6)
