"""Protects the messages for impossible competing-risks requests and what a fit reports beside its estimates."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from analyses.kernels import fine_gray as kernel
from analyses.kernels import fine_gray_likelihood as likelihood
from analyses.kernels import grouped_sums
from analyses.survival import cumulative_incidence, cumulative_incidence_at, fit_fine_gray, gray_test
from cohort.errors import AnalysisError

COLUMNS = {"duration_col": "t", "event_col": "d"}


def data(**changes: object) -> pd.DataFrame:
    frame = pd.DataFrame(
        {
            "t": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
            "d": [1, 2, 1, 0, 1, 0],
            "x": [0.5, 1.5, 0.1, 2.0, 0.7, 0.2],
            "arm": ["a", "b", "a", "b", "a", "b"],
            "w": [1.0, 2.0, 1.0, 2.0, 1.0, 2.0],
            "e": [0.0, 1.0, 0.0, 2.0, 0.0, 1.0],
        },
        index=[10, 11, 12, 13, 14, 15],
    )
    return frame.assign(**changes)


REQUESTS: dict[str, Callable[[pd.DataFrame], object]] = {
    "cumulative_incidence": lambda d: cumulative_incidence(d, **COLUMNS, by="arm", weights_col="w", entry_col="e"),
    "at": lambda d: cumulative_incidence_at(d, **COLUMNS, by="arm", weights_col="w", entry_col="e", times=[1]),
    "fine_gray": lambda d: fit_fine_gray(d, "arm", **COLUMNS, weights_col="w", entry_col="e"),
}
WRONG = {
    "missing duration": ({"t": [1, None, 3, 4, None, 6]}, r"'t': missing values; got 2 of 6 rows.*labels 11, 14\)"),
    "half a cause": ({"d": [1, 0.5, 0, 0, 0, 0]}, "event_col 'd': causes must be whole numbers, 0 for censored"),
    "zero weight": ({"w": [1, 0, 1, 1, 1, 1]}, "weights_col 'w': weights must be above zero; got 0 in row 11"),
    "late entry": ({"e": [0, 2, 0, 0, 0, 0]}, "entry_col 'e': entry must come before the duration; got 2 in row 11"),
    "missing arm": ({"arm": ["a", None, "a", "b", "a", "b"]}, "'arm': missing values; got 1 of 6 rows"),
}


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("request_name", REQUESTS)
def test_unusable_columns_are_named(request_name: str, wrong: str) -> None:
    changes, message = WRONG[wrong]
    with pytest.raises(AnalysisError, match=message):
        REQUESTS[request_name](data(**changes))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"variant": "fg"}, "variant: unknown choice; got 'fg'; use one of finegray, crr, crr_corrected"),
        ({"ties": "exact"}, "ties: unknown choice; got 'exact'; use one of efron, breslow"),
        ({"cause": 0}, "cause: a cause is a whole number from 1; got 0"),
        ({"cause": True}, "cause: a cause is a whole number from 1; got True"),
        ({"cause": "1"}, "cause: a cause is a whole number from 1; got '1'"),
        ({"conf_level": 1.0}, "conf_level: a confidence level lies between 0 and 1"),
        ({"variant": "crr", "weights_col": "w"}, "weights_col: variant 'crr' is defined.*use variant='finegray'"),
        ({"variant": "crr", "entry_col": "e"}, "entry_col: variant 'crr' is defined .* without weights, late entry"),
        ({"variant": "crr_corrected", "weights_col": "w"}, "weights_col: variant 'crr_corrected' is defined"),
        ({"variant": "crr", "strata": "arm"}, "strata: variant 'crr' is defined .* got 'arm'"),
        ({"variant": "crr", "ties": "efron"}, "ties: variant 'crr' is defined with Breslow ties.*got 'efron'"),
        ({"cluster_col": "nobody"}, "cluster_col 'nobody': no such column"),
        ({"censoring_strata": "nowhere"}, "censoring_strata 'nowhere': no such column"),
    ],
)
def test_impossible_fine_gray_requests(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(AnalysisError, match=message):
        fit_fine_gray(data(), "x", **COLUMNS, **arguments)


def test_impossible_gray_requests() -> None:
    with pytest.raises(AnalysisError, match="rho: rho must be a number from 0; got -1"):
        gray_test(data(), **COLUMNS, by="arm", rho=-1)
    with pytest.raises(AnalysisError, match=r"cause: a cause is a whole number from 1; got 1\.5"):
        gray_test(data(), **COLUMNS, by="arm", cause=1.5)
    with pytest.raises(AnalysisError, match="by 'arm': a comparison needs two groups; got only a"):
        gray_test(data(arm="a"), **COLUMNS, by="arm")


@pytest.mark.parametrize("times", [[], [-1.0], [math.inf], [[1.0]]])
def test_times_are_checked(times: list[float]) -> None:
    with pytest.raises(AnalysisError, match="times: times must be one or more finite numbers from 0"):
        cumulative_incidence_at(data(), **COLUMNS, times=times)


def test_incidence_requests() -> None:
    with pytest.raises(AnalysisError, match="conf_type: unknown choice; got 'loglog'"):
        cumulative_incidence(data(), **COLUMNS, conf_type="loglog")
    with pytest.raises(AnalysisError, match="conf_type: unknown choice"):
        cumulative_incidence_at(data(), **COLUMNS, conf_type="loglog", times=[1])
    with pytest.raises(AnalysisError, match="no events, so the causes are unknown"):
        cumulative_incidence_at(data(d=0), **COLUMNS, times=[1])


def test_a_plain_interval_exists_before_the_first_event() -> None:
    rows = cumulative_incidence(data(), **COLUMNS, conf_type="plain").frame
    assert rows.loc[0, ["conf_low", "conf_high"]].tolist() == [0, 0]
    assert rows["note"].isna().all()


def test_predictions_ask_for_what_the_model_knows() -> None:
    fit = fit_fine_gray(data(), "x", **COLUMNS, strata="arm")
    with pytest.raises(AnalysisError, match="strata 'arm': no such column"):
        fit.predict(data()[["x"]])
    with pytest.raises(AnalysisError, match=r"strata arm: strata that the model has not seen; got rows \['p'\]"):
        fit.predict(pd.DataFrame({"x": [1.0], "arm": ["c"]}, index=["p"]))
    with pytest.raises(AnalysisError, match="times: times must be finite numbers from 0"):
        fit.predict(data(), times=[-1])
    with pytest.raises(AnalysisError, match="column 'x': no such column"):
        fit.predict(data()[["arm"]])
    assert len(fit.predict(data().iloc[:0])) == 0


def test_predictions_in_strata_use_their_own_baseline() -> None:
    fit = fit_fine_gray(data(d=[1, 1, 1, 2, 0, 1]), "x", **COLUMNS, strata="arm")
    rows = fit.predict(pd.DataFrame({"x": [0.0, 0.0], "arm": ["b", "a"]}, index=["p", "q"])).frame
    assert rows.loc[rows["group"] == "p", "time"].tolist() == [0, 2, 6]
    assert rows.loc[rows["group"] == "q", "time"].tolist() == [0, 1, 3]
    assert (rows.groupby("group")["estimate"].diff().dropna() > 0).all()


def test_a_fit_says_what_it_is() -> None:
    fit = fit_fine_gray(data(), "x", **COLUMNS, censoring_strata=["arm"])
    assert fit.method == "Fine-Gray model (finegray), Efron ties, robust variance"
    assert fit.spec["censoring_strata"] == ["arm"]
    glance = fit.glance().frame.iloc[0]
    chi_square = (fit.coefficients[0] / fit.std_errors[0]) ** 2
    assert glance["p_value"] == pytest.approx(math.erfc(math.sqrt(chi_square / 2)), rel=1e-9)
    assert glance["note"] == "df=1"
    assert glance[["n", "n_events"]].tolist() == [6, 3]
    ratio = fit.tidy(exponentiate=True).frame.iloc[0]
    assert ratio["statistic"] == "subdistribution_hazard_ratio"
    assert ratio["estimate"] == pytest.approx(math.exp(fit.coefficients[0]), rel=1e-12)
    crr = fit_fine_gray(data(), "x", **COLUMNS, variant="crr").method
    assert crr == "Fine-Gray model (crr), Breslow ties, censoring-aware robust variance"


@pytest.mark.parametrize("variant", ["finegray", "crr"])
def test_one_cluster_has_no_standard_error_and_aliased_terms_are_named(variant: str) -> None:
    one = data(site="one", twice=lambda d: 2 * d["x"])
    fit = fit_fine_gray(one, "x", **COLUMNS, cluster_col="site", variant=variant)
    row = fit.tidy().frame.iloc[0]
    assert math.isnan(row["std_error"])
    assert "too few or too alike" in row["note"]
    assert "no joint test" in fit.glance().frame["note"].item()
    aliased = fit_fine_gray(one, "x + twice", **COLUMNS, variant=variant)
    assert aliased.notes[0] == ""
    assert aliased.notes[1].startswith("no estimate: constant within every risk set or a combination")
    assert aliased.coefficients[0] == pytest.approx(fit.coefficients[0], rel=1e-9)
    assert np.isnan(aliased.coefficients[1])


def example(rows: int = 400) -> pd.DataFrame:
    rng = np.random.default_rng(8)
    frame = pd.DataFrame({"t": rng.integers(1, 40, rows) + 0.0, "d": rng.integers(0, 3, rows)})
    return frame.assign(**{name: rng.normal(size=rows) for name in "xyz"})


def test_few_values_and_many_are_summed_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    few = fit_fine_gray(example(), "x + y + z", **COLUMNS)
    curves = cumulative_incidence(example(), **COLUMNS).frame
    monkeypatch.setattr(grouped_sums, "SMALL", 0)
    many = fit_fine_gray(example(), "x + y + z", **COLUMNS)
    np.testing.assert_array_equal(few.coefficients, many.coefficients)
    np.testing.assert_array_equal(few.variance, many.variance)
    pd.testing.assert_frame_equal(cumulative_incidence(example(), **COLUMNS).frame, curves, check_exact=True)


def test_iterations_that_run_out_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "MAX_ITERATIONS", 1)
    fit = fit_fine_gray(example(), "x + y", **COLUMNS)
    assert fit.notes == ("no estimate: the iterations did not converge",) * 2
    assert np.isnan(fit.tidy().frame["estimate"]).all()


def test_a_term_that_lives_on_a_diverging_one_is_uninformed() -> None:
    """``y`` differs only within an arm that never has the cause: nothing is left of it where that arm has vanished."""
    frame = example().assign(arm=lambda d: np.where(d["z"] > 0.5, "never", "some"))
    frame["d"] = frame["d"].where((frame["arm"] == "some") | (frame["d"] != 1), 2)
    frame["y"] = frame["y"].where(frame["arm"] == "never", 0.0)
    fit = fit_fine_gray(frame, "x + arm + y", **COLUMNS)
    assert fit.notes[0] == ""
    assert all(fit.notes[1:])
    alone = fit_fine_gray(frame, "x + arm", **COLUMNS)
    assert fit.coefficients[0] == pytest.approx(alone.coefficients[0], rel=1e-6)


def test_a_risk_set_that_vanishes_numerically_has_no_likelihood() -> None:
    frame = example(20)
    problem = likelihood.fine_gray_problem(
        frame[["x"]].to_numpy(),
        frame["t"].to_numpy(),
        (frame["d"] == 1).to_numpy(),
        (frame["d"] == 2).to_numpy(),
        weights=np.ones(20),
        entries=None,
        strata=np.zeros(20, dtype=np.intp),
        censoring_groups=np.zeros(20, dtype=np.intp),
        ties="efron",
        failures_leave_first=True,
    )
    assert likelihood.risk_averages(problem, np.array([-1e6])).log_likelihood == -np.inf
