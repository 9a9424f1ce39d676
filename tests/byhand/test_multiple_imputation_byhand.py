"""Protects imputed covariates and the pooling of whole result tables against truths worked out on paper."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analyses.comparison import weighted_rates
from analyses.imputation import pool_imputations
from analyses.multiple_imputation import ImputedData, impute_covariates
from analyses.pooled_results import pool_results
from analyses.propensity import fit_propensity
from cohort.errors import AnalysisError, UsageError
from cohort.results import ResultTable, result_table


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    stream = np.random.default_rng(12)
    n = 200
    age = stream.normal(40, 10, n)
    upcr = np.exp(stream.normal(1, 0.5, n))
    treated = stream.random(n) < 1 / (1 + np.exp(1 - 0.3 * upcr))
    complete = pd.DataFrame(
        {
            "patient_id": [f"p{i:03d}" for i in range(n)],
            "arm": np.where(treated, "t", "r"),
            "age_years": age,
            "upcr_g_g": upcr,
            "isn_rps_class": stream.choice(["III", "IV", "V"], n),
            "hypertension": pd.Series(stream.random(n) < 0.4, dtype="boolean"),
            "responder": stream.random(n) < 1 / (1 + np.exp(0.3 * upcr - 1)),
            "years": stream.exponential(3, n),
            "event": stream.random(n) < 0.5,
        }
    )
    for place, name in enumerate(["upcr_g_g", "isn_rps_class", "hypertension"]):
        complete[name] = complete[name].where(stream.random(n) > 0.1 * (1 + place))
    return complete


def impute(data: pd.DataFrame, **options: object) -> ImputedData:
    settings = {"predictors": ["arm", "responder"], "imputations": 3, "iterations": 3} | options
    return impute_covariates(data, ["age_years", "upcr_g_g", "isn_rps_class", "hypertension"], **settings)


def chain(frame: pd.DataFrame) -> ResultTable:
    fit = fit_propensity(frame, "age_years + upcr_g_g + isn_rps_class", treatment_col="arm", treated="t")
    return weighted_rates(
        frame, outcome_col="responder", treatment_col="arm", treated="t", weights=fit.estimated_weights()
    )


def test_gaps_are_filled_with_values_that_occur_and_nothing_else_moves(data: pd.DataFrame) -> None:
    before = data.copy()
    imputed = impute(data, duration_col="years", event_col="event")
    pd.testing.assert_frame_equal(data, before)
    assert imputed.missing == tuple(int(data[name].isna().sum()) for name in imputed.columns)
    for frame in imputed.frames:
        pd.testing.assert_series_equal(frame.dtypes, data.dtypes)
        for name in imputed.columns:
            known = data[name].notna()
            pd.testing.assert_series_equal(frame.loc[known, name], data.loc[known, name])
            assert frame[name].notna().all()
            assert set(frame[name]) <= set(data[name].dropna())
    assert not imputed.frames[0]["upcr_g_g"].equals(imputed.frames[1]["upcr_g_g"])


def test_the_order_of_rows_plays_no_part(data: pd.DataFrame) -> None:
    shuffled = data.sample(frac=1, random_state=2).set_index("patient_id", drop=False)
    for here, there in zip(impute(data).frames, impute(shuffled).frames, strict=True):
        expected = here.set_index("patient_id", drop=False).loc[there.index]
        pd.testing.assert_frame_equal(there, expected)
    assert not impute(data, seed=1).frames[0].equals(impute(data).frames[0])


def test_a_relation_without_noise_is_recovered_exactly() -> None:
    # Thirty distinct values, each of ten patients; the value follows from another column, so every donor has it.
    frame = pd.DataFrame({"patient_id": [f"p{i:03d}" for i in range(300)], "dose": np.tile(np.arange(30.0), 10)})
    frame["level"], frame["kind"] = 2 * frame["dose"] + 1, np.where(frame["dose"] < 15, "low", "high")
    gappy = frame.assign(level=frame["level"].where(frame.index % 7 > 0))
    imputed = impute_covariates(gappy, ["level"], predictors=["dose"], imputations=2)
    for completed in imputed.frames:
        np.testing.assert_array_equal(completed["level"], frame["level"])


def test_imputation_removes_the_bias_of_complete_cases() -> None:
    # x is standard normal, y = x + noise of variance 1, and x is lacking where y > 0: among the complete cases
    # E[x | y <= 0] = -sqrt(2) phi(0) = -0.564.
    stream = np.random.default_rng(5)
    n = 3000
    x = stream.normal(size=n)
    y = x + stream.normal(size=n)
    lacking = (y > 0) & (stream.random(n) < 0.8)
    frame = pd.DataFrame({"patient_id": np.arange(n), "x": np.where(lacking, np.nan, x), "y": y})
    imputed = impute_covariates(frame, ["x"], predictors=["y"], imputations=5, iterations=1)
    means = np.array([completed["x"].mean() for completed in imputed.frames])
    assert frame["x"].mean() < -0.25
    assert abs(means.mean() - x.mean()) < 4 * 1.5 / np.sqrt(n)
    slopes = [np.polyfit(completed["x"], completed["y"], 1)[0] for completed in imputed.frames]
    assert np.mean(slopes) == pytest.approx(1.0, abs=0.1)


def test_gaps_of_predictors_are_given_back(data: pd.DataFrame) -> None:
    gappy = data.assign(responder=data["responder"].astype(object).where(data.index % 11 > 0))
    for frame in impute(gappy).frames:
        pd.testing.assert_series_equal(frame["responder"], gappy["responder"])


def test_the_whole_chain_is_pooled_by_rubins_rules(data: pd.DataFrame) -> None:
    imputed = impute(data)
    pooled = imputed.analyse(chain).frame
    parts = [chain(frame).frame for frame in imputed.frames]
    by_hand = pool_imputations(
        [part["estimate"].iloc[2] for part in parts], [part["std_error"].iloc[2] ** 2 for part in parts]
    )
    row = pooled.iloc[2]
    assert row["statistic"] == "risk_difference"
    assert row["estimate"] == pytest.approx(float(by_hand.estimate))
    assert row["std_error"] == pytest.approx(float(by_hand.std_error))
    assert row["p_value"] == pytest.approx(float(by_hand.p_value()))
    assert row["conf_high"] - row["estimate"] == pytest.approx(float(by_hand.critical_value(0.95) * by_hand.std_error))
    assert row["n"] == 200
    assert row["note"].startswith("3 imputations; df=")
    assert row["note"].endswith("hypertension (" + str(int(data["hypertension"].isna().sum())) + ")")
    assert row["method"].endswith("; 3 imputations pooled by Rubin's rules")
    assert 0 < pooled["conf_low"].iloc[0] < pooled["estimate"].iloc[0] < pooled["conf_high"].iloc[0] < 1


def test_without_gaps_pooling_changes_nothing(data: pd.DataFrame) -> None:
    complete = data.dropna().reset_index(drop=True)
    imputed = impute(complete)
    pooled, plain = imputed.analyse(chain).frame, chain(complete).frame
    for name in ("estimate", "std_error", "conf_low", "conf_high", "p_value", "n", "n_events"):
        np.testing.assert_allclose(pooled[name], plain[name], rtol=1e-9)
    assert pooled["note"].str.endswith("nothing was missing").all()


def ratios(values: list[float], errors_of: str) -> list[ResultTable]:
    rows = []
    for value in values:
        error = 0.2 if errors_of == "logarithm" else 0.2 * value
        half = np.exp(1.959963984540054 * 0.2)
        cells = {"statistic": "risk_ratio", "estimate": value, "std_error": error, "conf_level": 0.95, "p_value": 0.1}
        rows.append(result_table([cells | {"conf_low": value / half, "conf_high": value * half}]))
    return rows


@pytest.mark.parametrize("errors_of", ["logarithm", "ratio"])
def test_ratios_are_pooled_on_the_logarithmic_scale(errors_of: str) -> None:
    row = pool_results(ratios([1.0, 4.0], errors_of)).frame.iloc[0]
    assert row["estimate"] == pytest.approx(2.0)
    total = 0.2**2 + 1.5 * np.var([0, np.log(4)], ddof=1)
    assert row["std_error"] == pytest.approx(np.sqrt(total) * (1 if errors_of == "logarithm" else 2))
    assert row["conf_low"] * row["conf_high"] == pytest.approx(4.0)


def test_rows_without_an_error_are_averaged_and_failures_are_said() -> None:
    tables = [
        result_table([{"statistic": "smd_adjusted", "term": "age_years", "estimate": value}, row])
        for value, row in (
            (0.1, {"statistic": "log_hazard_ratio", "estimate": 0.5, "std_error": 0.1}),
            (0.3, {"statistic": "log_hazard_ratio", "note": "no events"}),
        )
    ]
    tables[1] = result_table([*tables[1].frame.to_dict("records"), {"statistic": "extra", "estimate": 1.0}])
    frame = pool_results(tables).frame
    assert frame["estimate"].tolist()[0] == pytest.approx(0.2)
    assert frame["note"].tolist() == [
        "mean over imputations, 0.1 to 0.3",
        "not estimated in 1 of 2 imputations; no events",
        "not estimated in 1 of 2 imputations",
    ]
    with pytest.raises(AnalysisError, match="at least two imputations are needed; got 1 tables"):
        pool_results(tables[:1])


def test_requests_that_cannot_be_served(data: pd.DataFrame) -> None:
    with pytest.raises(UsageError, match="the imputation needs the treatment and the outcome"):
        impute(data, predictors=[])
    with pytest.raises(UsageError, match="at least two imputations are needed; got 1"):
        impute(data, imputations=1)
    with pytest.raises(UsageError, match="duration_col and event_col belong together; got years and None"):
        impute(data, duration_col="years")
    with pytest.raises(AnalysisError, match="column nope: no such column"):
        impute(data, predictors=["nope"])
    with pytest.raises(AnalysisError, match="'upcr_g_g': nothing to impute from; got 0 distinct values among 0 of 200"):
        impute(data.assign(upcr_g_g=np.nan))
    with pytest.raises(AnalysisError, match="patient_id: a patient has more than one row; got 1 repeated"):
        impute(pd.concat([data, data.head(1)]))
