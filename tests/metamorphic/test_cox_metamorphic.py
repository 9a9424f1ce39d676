"""Protects what must not matter to residuals, curves and concordance of the Cox model, or only in a known way."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analyses.survival import CoxFit, fit_cox

CLOSE = {"rtol": 1e-9, "atol": 1e-11}
NEW = pd.DataFrame({"x": [0.3, -1.0], "arm": ["a", "b"], "o": [0.1, 0.0], "site": [1, 2]})


def sample() -> pd.DataFrame:
    random = np.random.default_rng(11)
    size = 120
    t = random.integers(2, 40, size).astype(float)
    return pd.DataFrame(
        {
            "t": t,
            "d": random.integers(0, 2, size),
            "x": random.normal(size=size),
            "arm": random.choice(["a", "b"], size),
            "w": random.uniform(0.5, 2, size),
            "e": np.floor(t * random.uniform(0, 0.9, size)),
            "o": random.normal(size=size) / 3,
            "site": random.integers(1, 4, size),
            "who": random.integers(0, 40, size),
        }
    )


def fitted(data: pd.DataFrame, **options: object) -> CoxFit:
    everything = {
        "duration_col": "t", "event_col": "d", "weights_col": "w", "entry_col": "e", "offset_col": "o",
        "strata": "site", "cluster_col": "who",
    }  # fmt: skip
    return fit_cox(data, "x + arm", **{**everything, **options})


def numbers(fit: CoxFit, new: pd.DataFrame = NEW) -> dict[str, np.ndarray]:
    tables = {
        "tidy": fit.tidy(),
        "glance": fit.glance(),
        "concordance": fit.concordance(),
        "baseline": fit.baseline_hazard(),
        "survival": fit.predict(new, times=[5, 20, 30]),
        "predictor": fit.predict(new, kind="linear_predictor"),
        "terms": fit.test_terms(["x", "arm"]),
    }
    return {
        f"{name} {column}": table.frame[column].to_numpy()
        for name, table in tables.items()
        for column in ("estimate", "std_error")
    }


@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_the_order_of_rows_does_not_matter(ties: str) -> None:
    data = sample()
    shuffled = data.sample(frac=1, random_state=5)
    ours, other = fitted(data, ties=ties), fitted(shuffled, ties=ties)
    for name, values in numbers(ours).items():
        np.testing.assert_allclose(numbers(other)[name], values, **CLOSE, err_msg=name)
    for kind in ("martingale", "deviance", "score", "dfbeta", "dfbetas"):
        moved = other.residuals(kind).loc[data.index]
        np.testing.assert_allclose(moved, ours.residuals(kind), rtol=1e-7, atol=1e-9, err_msg=kind)
    events = ours.residuals("schoenfeld")
    np.testing.assert_allclose(other.residuals("schoenfeld").loc[events.index], events, rtol=1e-7, atol=1e-9)


def test_another_time_unit_changes_only_the_times() -> None:
    data = sample()
    ours, other = fitted(data), fitted(data.assign(t=data["t"] * 30, e=data["e"] * 30))
    for name in ("tidy", "concordance", "baseline_hazard"):
        pd.testing.assert_frame_equal(
            getattr(other, name)().frame.drop(columns="time"), getattr(ours, name)().frame.drop(columns="time")
        )
    assert (other.baseline_hazard().frame["time"] == 30 * ours.baseline_hazard().frame["time"]).all()


def test_swapping_arms_inverts_the_ratio_and_keeps_the_curves() -> None:
    data = sample()
    swap = {"a": "b", "b": "a"}
    ours, other = fitted(data), fitted(data.assign(arm=data["arm"].map(swap)))
    assert other.coefficients[1] == pytest.approx(-ours.coefficients[1], rel=1e-9)
    for name in ("survival estimate", "survival std_error", "concordance estimate", "concordance std_error"):
        theirs = numbers(other, NEW.assign(arm=NEW["arm"].map(swap)))[name]
        np.testing.assert_allclose(theirs, numbers(ours)[name], rtol=1e-8, err_msg=name)


def test_a_constant_added_to_covariate_or_offset_moves_only_the_baseline() -> None:
    data = sample()
    ours, other = fitted(data), fitted(data.assign(x=data["x"] + 100, o=data["o"] + 7))
    moved = NEW.assign(x=NEW["x"] + 100, o=NEW["o"] + 7)
    for name in ("tidy estimate", "tidy std_error", "concordance estimate"):
        np.testing.assert_allclose(numbers(other)[name], numbers(ours)[name], rtol=1e-8, err_msg=name)
    np.testing.assert_allclose(
        numbers(other, moved)["survival estimate"], numbers(ours)["survival estimate"], rtol=1e-8
    )
    shift = np.exp(-100 * ours.coefficients[0] - 7)
    np.testing.assert_allclose(
        numbers(other)["baseline estimate"], shift * numbers(ours)["baseline estimate"], rtol=1e-7
    )


def test_residuals_add_up() -> None:
    """Weighted martingale residuals sum to zero within strata; so do score and Schoenfeld residuals at the estimate."""
    data = sample()
    fit = fitted(data)
    martingale = fit.residuals("martingale")["martingale"] * data["w"]
    np.testing.assert_allclose(martingale.groupby(data["site"]).sum(), 0, atol=1e-10)
    np.testing.assert_allclose(fit.residuals("score").mul(data["w"], axis=0).sum(), 0, atol=1e-9)
    np.testing.assert_allclose(fit.residuals("dfbeta").sum(), 0, atol=1e-10)
    by_patient = fit.residuals("dfbeta").groupby(data["who"]).sum().to_numpy()
    assert fit.robust_variance is not None
    np.testing.assert_allclose(by_patient.T @ by_patient, fit.robust_variance, rtol=1e-10)
