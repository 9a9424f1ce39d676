"""Protects the messages for impossible requests of curves, trends, intervals and parametric models."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from analyses.survival import (
    fit_parametric,
    kaplan_meier,
    logrank_trend,
    nelson_aalen,
    restricted_mean,
    survival_at,
    survival_quantiles,
    turnbull,
)
from cohort.errors import AnalysisError

COLUMNS = {"duration_col": "t", "event_col": "d"}
LIMITS = {"lower_col": "low", "upper_col": "high"}


def data(**changes: object) -> pd.DataFrame:
    frame = pd.DataFrame(
        {
            "t": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
            "d": [1, 0, 1, 1, 0, 1],
            "x": [0.5, 1.5, 0.1, 2.0, 0.7, 0.2],
            "arm": ["a", "b", "a", "b", "a", "b"],
            "low": [0.0, 1.0, 2.0, 3.0, 4.0, 5.0],
            "high": [1.0, np.inf, 3.0, 4.0, np.inf, 6.0],
            "w": 1.0,
        },
        index=[10, 11, 12, 13, 14, 15],
    )
    return frame.assign(**changes)


@pytest.mark.parametrize("estimator", [kaplan_meier, nelson_aalen])
def test_an_unknown_cluster_column_is_named(estimator: object) -> None:
    with pytest.raises(AnalysisError, match="cluster_col 'site': no such column"):
        estimator(data(), **COLUMNS, cluster_col="site")
    with pytest.raises(AnalysisError, match="cluster_col 'arm': missing values; got 1 of 6 rows"):
        estimator(data(arm=["a", None, "a", "b", "a", "b"]), **COLUMNS, cluster_col="arm")


def test_scales_of_a_hazard() -> None:
    with pytest.raises(AnalysisError, match="conf_type: unknown choice; got 'log-log'; use one of plain, log"):
        nelson_aalen(data(), **COLUMNS, conf_type="log-log")


@pytest.mark.parametrize("probabilities", [[], [0.0], [1.0], [math.nan], [[0.5]]])
def test_probabilities_of_quantiles(probabilities: list[float]) -> None:
    with pytest.raises(AnalysisError, match="probabilities must be one or more numbers between 0 and 1"):
        survival_quantiles(data(), **COLUMNS, probabilities=probabilities)


def test_times_of_milestones_and_predictions() -> None:
    with pytest.raises(AnalysisError, match=r"times must be one or more finite numbers from 0.*got \[-1\]"):
        survival_at(data(), **COLUMNS, times=[-1])
    with pytest.raises(AnalysisError, match="times must be one or more finite numbers"):
        fit_parametric(data(), "x", **COLUMNS).predict(data(), times=[])


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ({"a": 1}, r"scores of by 'arm': every level needs one score; got scores of a; name the levels a, b"),
        ({"a": 1, "b": 2, "c": 3}, "every level needs one score; got scores of a, b, c"),
        ({"a": 1, "b": 1}, "scores must be finite and not all the same"),
        ({"a": 1, "b": math.inf}, "scores must be finite and not all the same"),
    ],
)
def test_scores_of_a_trend(scores: dict[str, float], message: str) -> None:
    with pytest.raises(AnalysisError, match=message):
        logrank_trend(data(), **COLUMNS, by="arm", scores=scores)


WRONG_LIMITS = {
    "no rows": (data().iloc[:0], "lower_col 'low': no rows"),
    "missing lower": (data(low=[0, None, 2, 3, 4, 5]), "lower_col 'low': missing values; got 1 of 6 rows"),
    "negative lower": (data(low=[0, -1, 2, 3, 4, 5]), "lower limits must not be negative; got -1 in row 11"),
    "endless lower": (data(low=[0, np.inf, 2, 3, 4, 5]), "lower_col 'low': values must be finite"),
    "crossed": (data(high=[1, 9, 3, 2, 9, 9]), "upper_col 'high': upper limits must not lie below.*got 2 in row 13"),
    "text": (data(high=list("123456")), "upper_col 'high': the column must be numeric"),
    "absent": (data().drop(columns="high"), "upper_col 'high': no such column"),
    "weight": (data(w=0.0), "weights_col 'w': weights must be above zero"),
}


@pytest.mark.parametrize("wrong", WRONG_LIMITS)
def test_limits_of_intervals(wrong: str) -> None:
    frame, message = WRONG_LIMITS[wrong]
    with pytest.raises(AnalysisError, match=message):
        turnbull(frame, **LIMITS, weights_col="w")


def test_bootstraps_need_a_seed_and_be_several() -> None:
    with pytest.raises(AnalysisError, match="seed: bootstraps need a seed"):
        turnbull(data(), **LIMITS, bootstraps=10)
    for bootstraps in (-1, 1):
        with pytest.raises(AnalysisError, match="bootstraps must be 0 or at least 2"):
            turnbull(data(), **LIMITS, bootstraps=bootstraps, seed=1)


def test_parametric_requests() -> None:
    with pytest.raises(AnalysisError, match="model: unknown choice; got 'gompertz'; use one of weibull_aft"):
        fit_parametric(data(), "x", **COLUMNS, model="gompertz")
    with pytest.raises(AnalysisError, match="duration_col 't': a duration of 0 has no logarithm; got 1 rows"):
        fit_parametric(data(t=[0.0, 1, 2, 3, 4, 5]), "x", **COLUMNS)
    with pytest.raises(AnalysisError, match="interior_knots: the number of knots must not be negative"):
        fit_parametric(data(), "x", **COLUMNS, model="spline", interior_knots=-1)


def test_predictions_refuse_rows_the_fit_cannot_place() -> None:
    fit = fit_parametric(data(), "x + arm", **COLUMNS)
    with pytest.raises(AnalysisError, match="column 'x': no such column"):
        fit.predict(data().drop(columns="x"), times=[1])
    with pytest.raises(AnalysisError, match="got c"):
        fit.predict(data(arm="c"), times=[1])


MODELS = ("weibull_aft", "lognormal_aft", "loglogistic_aft", "spline")
HOPELESS = {
    "no events": (data(d=0), "no estimate: no events"),
    "a constant": (data(x=1.0), "the likelihood has no maximum"),
    "one time": (data(t=3.0, d=1), "the likelihood has no maximum"),
    "a level without events": (data(x=[0, 1, 0, 0, 1, 0.0]), "the likelihood has no maximum"),
}


@pytest.mark.parametrize("case", HOPELESS)
@pytest.mark.parametrize("model", MODELS)
def test_models_without_a_maximum_say_so_in_every_row(model: str, case: str) -> None:
    frame, why = HOPELESS[case]
    formula = "x + C(arm)" if case == "a constant" else "x"
    fit = fit_parametric(frame, formula, **COLUMNS, model=model, robust=True)
    assert not fit.converged
    tables = [fit.tidy(), fit.tidy(exponentiate=True), fit.glance(), fit.predict(frame.iloc[:2], times=[0, 2])]
    for table in tables:
        assert len(table)
        assert table.frame["estimate"].isna().all()
        assert table.frame["note"].str.contains(why).all()


@pytest.mark.parametrize("model", MODELS)
def test_a_baseline_without_terms(model: str) -> None:
    fit = fit_parametric(data(), "1", **COLUMNS, model=model, interior_knots=0)
    assert fit.converged
    assert fit.glance().frame["note"].tolist() == ["parameters=2"] * 2
    curve = fit.predict(pd.DataFrame(index=[7]), times=[0, 1, 6]).frame
    assert curve["estimate"][0] == 1
    assert curve["std_error"][0] == 0
    assert (np.diff(curve["estimate"]) < 0).all()
    assert (curve["conf_low"] <= curve["estimate"]).all()
    assert (curve["estimate"] <= curve["conf_high"]).all()


def test_a_restricted_mean_takes_clusters_by_name() -> None:
    row = restricted_mean(data(), **COLUMNS, tau=4, cluster_col="arm").frame.iloc[0]
    assert row["method"] == "Kaplan-Meier area, clustered infinitesimal-jackknife variance"
