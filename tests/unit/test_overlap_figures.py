"""Protects the figures of overlap and balance: what is drawn is what the tables say."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analyses.figures import plot_balance, plot_overlap
from analyses.propensity import PropensityFit, covariate_balance, fit_propensity, overlap_histogram
from cohort.errors import AnalysisError

ARMS = {"t": "Tacrolimus", "r": "No tacrolimus"}


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    stream = np.random.default_rng(2)
    age = stream.normal(40, 10, 60)
    arm = np.where(stream.random(60) < 1 / (1 + np.exp(-(age - 40) / 10)), "t", "r")
    return pd.DataFrame({"arm": arm, "age_years": age})


@pytest.fixture(scope="module")
def model(data: pd.DataFrame) -> PropensityFit:
    return fit_propensity(data, "age_years", treatment_col="arm", treated="t")


def test_bars_go_up_for_one_arm_and_down_for_the_other(model: PropensityFit) -> None:
    table = overlap_histogram(model, model.weights("ATO"), bins=5)
    axes = plot_overlap(table, arms=ARMS)
    heights = [bar.get_height() for bar in axes.patches]
    rows = table.frame[table.frame["statistic"] == "proportion"].set_index(["group", "population"])["estimate"]
    expected = [
        sign * 100 * value
        for arm, sign in (("t", 1), ("r", -1))
        for population in ("unweighted", "weighted")
        for value in rows.loc[[(arm, population)]]
    ]
    assert heights == pytest.approx(expected)
    assert [text.get_text() for text in axes.texts] == ["Tacrolimus", "No tacrolimus"]


def test_without_weights_there_is_no_legend(model: PropensityFit) -> None:
    axes = plot_overlap(overlap_histogram(model, bins=5), arms=ARMS)
    assert len(axes.patches) == 10
    assert not axes.figure.legends


def test_two_arms_are_needed(model: PropensityFit) -> None:
    with pytest.raises(AnalysisError, match="scores are drawn for two arms; got t, r, x"):
        plot_overlap(overlap_histogram(model), arms=ARMS | {"x": "X"})


def test_love_plot_of_several_adjustments(data: pd.DataFrame, model: PropensityFit) -> None:
    weights = {name: model.weights(name) for name in ("ATE", "ATO", "ATM")}
    table = covariate_balance(data, ["age_years"], treatment_col="arm", treated="t", weights=weights)
    axes = plot_balance(table, arms=ARMS)
    assert axes.get_legend_handles_labels()[1] == ["Before", "ATE", "ATO", "ATM"]
    smd = table.frame[table.frame["statistic"] == "smd_adjusted"]["estimate"].tolist()
    assert [float(line.get_xdata()[0]) for line in axes.get_lines()[-3:]] == pytest.approx(smd)
    many = {f"w{k}": np.ones(len(data)) for k in range(6)}
    table = covariate_balance(data, ["age_years"], treatment_col="arm", treated="t", weights=many)
    with pytest.raises(AnalysisError, match="too many adjustments to tell apart"):
        plot_balance(table, arms=ARMS)
