"""Protects the trend of a hazard ratio over time against cases that can be worked out by hand, and its refusals."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analyses.survival import coefficient_trend, fit_cox
from cohort.errors import AnalysisError


def alternating(events: int) -> pd.DataFrame:
    """Patients failing one after the other, of the arms in turn."""
    treated = np.arange(events) % 2
    return pd.DataFrame({"t": np.arange(1.0, events + 1), "d": 1, "treated": treated})


def test_two_degrees_of_freedom_are_the_least_squares_line() -> None:
    """Ten events, of one rank each: one minus Kaplan-Meier just before the k-th is (k - 1)/10, evenly spread.

    The line through the residuals r over x = k - 1 is mean(r) + b (x - mean(x)), its variance that of a residual
    (events times the coefficient's variance) times 1/10 + (x - mean(x))^2 / sum (x - mean(x))^2.
    """
    fit = fit_cox(alternating(10), "treated", duration_col="t", event_col="d")
    residuals = fit.coefficients_over_time().frame["estimate"].to_numpy()
    x = np.arange(10.0) - 4.5
    slope = (x @ residuals) / (x @ x)
    found = coefficient_trend(fit, "treated").frame
    np.testing.assert_allclose(found["estimate"], residuals.mean() + slope * x, rtol=1e-10)
    variance = 10 * fit.variance[0, 0] * (0.1 + x**2 / (x @ x))
    np.testing.assert_allclose(found["std_error"], np.sqrt(variance), rtol=1e-10)
    np.testing.assert_allclose(found["conf_high"] - found["estimate"], 1.959963984540054 * np.sqrt(variance), rtol=1e-9)


def test_another_clock_with_the_same_order_draws_the_same_line() -> None:
    late = alternating(24)
    early = late.assign(t=np.sqrt(late["t"]))
    one, two = (coefficient_trend(fit_cox(data, "treated", duration_col="t", event_col="d"), "treated").frame
                for data in (late, early))  # fmt: skip
    np.testing.assert_allclose(one["estimate"], two["estimate"], rtol=1e-9)
    np.testing.assert_allclose(two["time"], np.sqrt(one["time"]))


def test_few_events_have_no_trend_and_say_so() -> None:
    few = fit_cox(alternating(9), "treated", duration_col="t", event_col="d")
    row = coefficient_trend(few, "treated").frame.iloc[0]
    assert row["note"] == "9 distinct event times: too few for a trend"
    assert np.isnan(row["estimate"])
    none = fit_cox(alternating(9).assign(d=0), "treated", duration_col="t", event_col="d")
    assert "no events" in coefficient_trend(none, "treated").frame["note"].iloc[0]


def test_an_unknown_term_is_refused() -> None:
    fit = fit_cox(alternating(10), "treated", duration_col="t", event_col="d")
    with pytest.raises(AnalysisError, match="coefficient_trend: no such term; got age; one of treated"):
        coefficient_trend(fit, "age")
