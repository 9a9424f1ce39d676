"""Protects the messages for impossible survival requests and the notes of fits that fail."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from analyses.kernels import cox as cox_kernel
from analyses.kernels import cox_likelihood
from analyses.kernels import cox_problem as problems
from analyses.kernels.cox_problem import cox_problem
from analyses.survival import (
    cumulative_incidence,
    fit_cox,
    kaplan_meier,
    logrank,
    median_survival,
    numbers_at_risk,
    restricted_mean,
)
from cohort.errors import AnalysisError

COLUMNS = {"duration_col": "t", "event_col": "d"}


def data(**changes: object) -> pd.DataFrame:
    frame = pd.DataFrame(
        {
            "t": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
            "d": [1, 0, 1, 1, 0, 1],
            "x": [0.5, 1.5, 0.1, 2.0, 0.7, 0.2],
            "arm": ["a", "b", "a", "b", "a", "b"],
            "w": [1.0, 2.0, 1.0, 2.0, 1.0, 2.0],
            "e": [0.0, 1.0, 0.0, 2.0, 0.0, 1.0],
        },
        index=[10, 11, 12, 13, 14, 15],
    )
    return frame.assign(**changes)


REQUESTS: dict[str, Callable[[pd.DataFrame], object]] = {
    "kaplan_meier": lambda d: kaplan_meier(d, **COLUMNS, by="arm", weights_col="w", entry_col="e"),
    "median_survival": lambda d: median_survival(d, **COLUMNS, by="arm", weights_col="w", entry_col="e"),
    "numbers_at_risk": lambda d: numbers_at_risk(d, **COLUMNS, by="arm", times=[1], weights_col="w", entry_col="e"),
    "restricted_mean": lambda d: restricted_mean(d, **COLUMNS, by="arm", tau=2, weights_col="w", entry_col="e"),
    "fit_cox": lambda d: fit_cox(d, "arm", **COLUMNS, weights_col="w", entry_col="e"),
}
WRONG = {
    "missing duration": ({"t": [1, None, 3, 4, None, 6]}, r"'t': missing values; got 2 of 6 rows.*labels 11, 14\)"),
    "negative duration": ({"t": [1, 2, -3.5, 4, 5, 6]}, r"'t': durations must not be negative; got -3.5 in row 12"),
    "endless duration": ({"t": [1, 2, 3, 4, 5, np.inf]}, "'t': values must be finite; got inf in row 15"),
    "text duration": ({"t": list("123456")}, r"duration_col 't': the column must be numeric; got (object|str)"),
    "event code": ({"d": [1, 2, 0, 0, 0, 0]}, r"event_col 'd': events must be 0 \(censored\) or 1.*got 2 in row 11"),
    "missing event": ({"d": [1, None, 0, 0, 0, 0]}, "event_col 'd': missing values"),
    "zero weight": ({"w": [1, 0, 1, 1, 1, 1]}, "weights_col 'w': weights must be above zero; got 0 in row 11"),
    "late entry": ({"e": [0, 2, 0, 0, 0, 0]}, "entry_col 'e': entry must come before the duration; got 2 in row 11"),
    "negative entry": ({"e": [-1, 0, 0, 0, 0, 0]}, "entry_col 'e': entry times must not be negative"),
    "missing group": ({"arm": ["a", None, "a", "b", "a", "b"]}, "'arm': missing values; got 1 of 6 rows"),
}


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("request_name", REQUESTS)
def test_unusable_columns_are_named(request_name: str, wrong: str) -> None:
    changes, message = WRONG[wrong]
    with pytest.raises(AnalysisError, match=message):
        REQUESTS[request_name](data(**changes))


@pytest.mark.parametrize("request_name", REQUESTS)
def test_no_rows(request_name: str) -> None:
    with pytest.raises(AnalysisError, match="duration_col 't': no rows"):
        REQUESTS[request_name](data().iloc[:0])


@pytest.mark.parametrize("column", ["t", "d", "w", "e", "arm"])
@pytest.mark.parametrize("request_name", REQUESTS)
def test_unknown_columns(request_name: str, column: str) -> None:
    with pytest.raises(AnalysisError, match=f"'{column}': no such column; got "):
        REQUESTS[request_name](data().drop(columns=column))


def test_a_column_name_used_twice() -> None:
    twice = pd.concat([data(), data()[["t"]]], axis=1)
    with pytest.raises(AnalysisError, match="more than one column has this name"):
        kaplan_meier(twice, **COLUMNS)


@pytest.mark.parametrize("conf_level", [0, 1, 95, math.nan])
def test_confidence_levels(conf_level: float) -> None:
    for request in (
        lambda: kaplan_meier(data(), **COLUMNS, conf_level=conf_level),
        lambda: restricted_mean(data(), **COLUMNS, tau=2, conf_level=conf_level),
        lambda: cumulative_incidence(data(), **COLUMNS, conf_level=conf_level),
        lambda: fit_cox(data(), "x", **COLUMNS, conf_level=conf_level),
    ):
        with pytest.raises(AnalysisError, match="a confidence level lies between 0 and 1"):
            request()


def test_unknown_choices_list_the_known_ones() -> None:
    with pytest.raises(AnalysisError, match="conf_type: unknown choice; got 'loglog'; use one of plain, log, log-log"):
        kaplan_meier(data(), **COLUMNS, conf_type="loglog")
    with pytest.raises(AnalysisError, match="ties: unknown choice; got 'exact'; use one of efron, breslow"):
        fit_cox(data(), "x", **COLUMNS, ties="exact")
    with pytest.raises(AnalysisError, match="transform: unknown choice; got 'sqrt'"):
        fit_cox(data(), "x", **COLUMNS).test_proportional_hazards("sqrt")


@pytest.mark.parametrize("times", [[], [-1.0], [np.nan], [[1.0]]])
def test_times_to_count_at(times: list[float]) -> None:
    with pytest.raises(AnalysisError, match="times must be one or more finite numbers from 0"):
        numbers_at_risk(data(), **COLUMNS, times=times)


@pytest.mark.parametrize("rho", [-1.0, math.inf, math.nan])
def test_rho(rho: float) -> None:
    with pytest.raises(AnalysisError, match="rho must be a number from 0"):
        logrank(data(), **COLUMNS, by="arm", rho=rho)


def test_logrank_of_one_group() -> None:
    with pytest.raises(AnalysisError, match="by 'arm': a comparison needs two groups; got only a"):
        logrank(data(arm="a"), **COLUMNS, by="arm")


@pytest.mark.parametrize("tau", [0, -1, math.nan, math.inf])
def test_tau_must_be_positive(tau: float) -> None:
    with pytest.raises(AnalysisError, match="tau must be above zero"):
        restricted_mean(data(), **COLUMNS, tau=tau)


def test_tau_beyond_follow_up_names_the_group() -> None:
    with pytest.raises(AnalysisError, match=r"tau, group 'a': tau lies beyond.*got tau=5.5, last time 5"):
        restricted_mean(data(), **COLUMNS, by="arm", tau=5.5)
    with pytest.raises(AnalysisError, match=r"^tau: tau lies beyond the last observed time"):
        restricted_mean(data(d=0), **COLUMNS, tau=7)


@pytest.mark.parametrize("code", [-1, 0.5])
def test_cause_codes(code: float) -> None:
    with pytest.raises(AnalysisError, match="event_col 'd': causes must be whole numbers"):
        cumulative_incidence(data(d=[code, 0, 1, 2, 0, 0]), **COLUMNS)


def test_incidence_without_events() -> None:
    with pytest.raises(AnalysisError, match="no events, so the causes are unknown"):
        cumulative_incidence(data(d=0), **COLUMNS)


def test_cox_without_events_says_so_in_every_row() -> None:
    fit = fit_cox(data(d=0), "x + arm", **COLUMNS, robust=True)
    assert not fit.converged
    assert fit.tidy().frame["note"].tolist() == ["no estimate: no events"] * 2
    assert fit.tidy(exponentiate=True).frame["estimate"].isna().all()
    assert fit.glance().frame["note"].item() == "x: no estimate: no events; arm=b: no estimate: no events"
    trends = fit.test_proportional_hazards().frame
    assert trends["term"].tolist() == ["x", "arm", "GLOBAL"]
    assert trends["note"].tolist() == ["no test: no events"] * 3


def test_cox_with_one_event_has_no_trend_to_test() -> None:
    fit = fit_cox(data(d=[0, 0, 1, 0, 0, 0], x=[0, 0, 1, 2, 0, 3.0]), "x", **COLUMNS)
    assert fit.converged
    assert fit.test_proportional_hazards().frame["note"].tolist() == ["no test: events too few for a trend"] * 2


def test_cox_with_separated_events_reports_the_direction() -> None:
    fit = fit_cox(data(d=1, x=[6, 5, 4, 3, 2, 1.0]), "x", **COLUMNS, robust=True)
    row = fit.tidy().frame.iloc[0]
    assert math.isnan(row["estimate"])
    assert row["note"] == "no estimate: monotone likelihood, the coefficient runs to plus infinity"
    assert fit.log_likelihood == pytest.approx(0, abs=1e-6)
    assert fit.test_proportional_hazards().frame["note"].tolist() == ["no test: no estimate of this term"] * 2


def test_cox_drops_what_a_diverging_term_leaves_without_information() -> None:
    """Rows (x, y): (-2,-1) censored last, (2,0) censored and (-2,1) failing at 2, (0,0) failing at 3. A rising y picks
    out each failure whatever x is."""
    frame = pd.DataFrame({"t": [3.0, 2, 2, 3], "d": [0, 0, 1, 1], "x": [-2, 2, -2, 0.0], "y": [-1, 0, 1, 0.0]})
    fit = fit_cox(frame, "x + y", **COLUMNS)
    assert np.isnan(fit.coefficients).all()
    assert "plus infinity" in fit.notes[1]
    assert fit.test_proportional_hazards().frame["estimate"].isna().all()


def test_cox_sets_aliased_terms_aside() -> None:
    frame = data(double=data()["x"] * 2 + 1, site=[1.0, 2, 1, 2, 1, 2])
    fit = fit_cox(frame, "x + double + site", **COLUMNS, strata="site")
    assert [bool(note) for note in fit.notes] == [False, True, True]
    assert "a combination of earlier terms" in fit.notes[1]
    alone = fit_cox(frame, "x", **COLUMNS, strata="site")
    np.testing.assert_allclose(fit.coefficients[0], alone.coefficients[0], rtol=1e-12)
    glance = fit.glance().frame.iloc[0]
    assert math.isnan(glance["p_value"])
    assert glance["note"].startswith("double: no estimate")
    trends = fit.test_proportional_hazards().frame
    assert trends["note"].tolist()[1:3] == ["no test: no estimate of this term"] * 2


def test_cox_with_one_cluster_has_no_robust_error() -> None:
    fit = fit_cox(data(one="all"), "x", **COLUMNS, cluster_col="one")
    row = fit.tidy().frame.iloc[0]
    assert math.isnan(row["std_error"])
    assert math.isnan(row["p_value"])
    assert row["note"].startswith("no standard error: the rows or clusters are too few")
    assert fit.glance().frame["note"].item() == "no joint test: the variance of the terms is singular"


def test_cox_that_does_not_converge_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cox_kernel, "MAX_ITERATIONS", 1)
    fit = fit_cox(data(), "x + arm", **COLUMNS)
    assert not fit.converged
    assert set(fit.tidy().frame["note"]) == {"no estimate: the iterations did not converge"}


def test_cox_thrown_onto_flat_ground_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a limit on the step, a rare covariate's information vanishes to rounding error at once."""
    monkeypatch.setattr(cox_kernel, "LONGEST_STEP", np.inf)
    rng = np.random.default_rng(1)
    t, d, x = rng.exponential(10, 300).round(1) + 0.1, rng.integers(0, 2, 300), rng.normal(size=300)
    d = np.where(rng.uniform(size=300) < 1 / 3, 0, d)
    early = ((t < 2) & (d == 1)).astype(int)
    fit = fit_cox(pd.DataFrame({"t": t, "d": d, "x": x, "early": early}), "x + early", **COLUMNS)
    assert set(fit.tidy().frame["note"]) == {"no estimate: the iterations did not converge"}


def test_the_logarithm_of_time_zero() -> None:
    fit = fit_cox(data(t=[0, 1, 2, 3, 4, 5.0]), "x", **COLUMNS)
    with pytest.raises(AnalysisError, match="an event at time 0 has no logarithm"):
        fit.test_proportional_hazards("log")


def test_a_risk_set_lost_to_rounding_has_no_likelihood(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row with an enormous hazard that enters late drowns those at risk before it."""
    problem = cox_problem(
        np.array([[1.0], [0.0], [0.0]]),
        np.array([3.0, 1.0, 2.0]),
        np.array([True, True, True]),
        entries=np.array([1.5, 0.0, 0.0]),
    )
    assert cox_likelihood.evaluate(problem, np.array([200.0])).log_likelihood == -np.inf
    monkeypatch.setattr(problems, "COMPILED_FROM", 0)
    assert cox_likelihood.evaluate(problem, np.array([200.0])).log_likelihood == -np.inf


def test_a_robust_or_weighted_fit_is_tested_by_wald() -> None:
    weighted = fit_cox(data(), "x", **COLUMNS, weights_col="w").glance().frame.iloc[0]
    assert weighted["method"].endswith("Wald test")
    plain = fit_cox(data(), "x", **COLUMNS).glance().frame.iloc[0]
    assert plain["method"].endswith("likelihood-ratio test")
    robust = fit_cox(data(), "x", **COLUMNS, robust=True)
    assert robust.glance().frame["p_value"].item() == pytest.approx(robust.tidy().frame["p_value"].item(), rel=1e-9)
