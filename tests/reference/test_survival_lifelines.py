"""Protects agreement with lifelines where the two estimate the same thing."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analyses.survival import fit_cox, kaplan_meier, logrank, restricted_mean

FOLDER = Path(__file__).parent / "survival" / "inputs"


@pytest.fixture(scope="module")
def lung() -> pd.DataFrame:
    return pd.read_csv(FOLDER / "lung.csv")


def test_kaplan_meier(lung: pd.DataFrame) -> None:
    from lifelines import KaplanMeierFitter

    theirs = KaplanMeierFitter().fit(lung["time"], lung["status"])
    ours = kaplan_meier(lung, duration_col="time", event_col="status").frame
    np.testing.assert_allclose(ours["estimate"], theirs.survival_function_.iloc[1:, 0], rtol=1e-10)
    begun = ours["conf_low"].notna() & (ours["estimate"] > 0)
    limits = theirs.confidence_interval_survival_function_.iloc[1:]
    np.testing.assert_allclose(ours[["conf_low", "conf_high"]][begun], limits[begun.to_numpy()], rtol=1e-8)


def test_restricted_mean(lung: pd.DataFrame) -> None:
    from lifelines import KaplanMeierFitter
    from lifelines.utils import restricted_mean_survival_time

    theirs = restricted_mean_survival_time(KaplanMeierFitter().fit(lung["time"], lung["status"]), t=365)
    ours = restricted_mean(lung, duration_col="time", event_col="status", tau=365).frame
    assert ours["estimate"].item() == pytest.approx(theirs, rel=1e-10)


def test_logrank(lung: pd.DataFrame) -> None:
    from lifelines.statistics import multivariate_logrank_test

    theirs = multivariate_logrank_test(lung["time"], lung["ph_ecog"], lung["status"])
    ours = logrank(lung, duration_col="time", event_col="status", by="ph_ecog").frame
    assert ours["estimate"].item() == pytest.approx(theirs.test_statistic, rel=1e-9)
    assert ours["p_value"].item() == pytest.approx(theirs.p_value, rel=1e-8)


def test_cox_efron(lung: pd.DataFrame) -> None:
    from lifelines import CoxPHFitter

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = CoxPHFitter().fit(
            lung[["month", "status", "age", "sex"]], "month", "status", fit_options={"precision": 1e-12}
        )
    ours = fit_cox(lung, "age + sex", duration_col="month", event_col="status")
    np.testing.assert_allclose(ours.coefficients, theirs.params_, rtol=1e-6)
    np.testing.assert_allclose(ours.std_errors, theirs.standard_errors_, rtol=1e-6)
    assert ours.log_likelihood == pytest.approx(theirs.log_likelihood_, rel=1e-9)
