"""Protects mixed models on balanced layouts, whose likelihood has a maximum in closed form."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from analyses.longitudinal import fit_mixed

# Subjects 1, 2, 3 with visits at 0, 1, 2. Means 2, 5, 11; grand mean 6.
VALUES = {"p": [1.0, 2.0, 3.0], "q": [3.0, 5.0, 7.0], "r": [10.0, 13.0, 10.0]}
DATA = pd.DataFrame(
    [(subject, time, value) for subject, values in VALUES.items() for time, value in enumerate(values)],
    columns=["id", "t", "y"],
)
MEAN_SQUARE_BETWEEN = 3 * (16 + 1 + 25) / 2
MEAN_SQUARE_WITHIN = (2 + 8 + 6) / 6
EXACT = {"rel": 1e-7}


def component(fit: object, statistic: str, term: str) -> float:
    frame = fit.variance_components().frame  # type: ignore[attr-defined]
    return float(frame.loc[(frame["statistic"] == statistic) & (frame["term"] == term), "estimate"].item())


def test_balanced_one_way_layout_by_reml() -> None:
    """Between mean square 63, within 8/3, 3 visits: variance within 8/3, between (63 - 8/3) / 3; the mean is 6 and its
    variance 63 / 9 = 7. Intraclass correlation (63 - 8/3) / (63 + 2 * 8/3).
    """
    fit = fit_mixed(DATA, "y ~ 1", subject_col="id")
    assert component(fit, "variance", "Residual") == pytest.approx(8 / 3, **EXACT)
    assert component(fit, "variance", "Intercept") == pytest.approx((63 - 8 / 3) / 3, **EXACT)
    assert component(fit, "intraclass_correlation", "Intercept") == pytest.approx((63 - 8 / 3) / (63 + 16 / 3), **EXACT)
    row = fit.tidy().frame.iloc[0]
    assert (row["term"], row["statistic"]) == ("Intercept", "mean")
    assert row["estimate"] == pytest.approx(6, rel=1e-12)
    assert row["std_error"] == pytest.approx(math.sqrt(7), **EXACT)
    assert row["p_value"] == pytest.approx(math.erfc(6 / math.sqrt(7) / math.sqrt(2)), **EXACT)


def test_balanced_one_way_layout_by_ml() -> None:
    """The between sum of squares is divided by 3 subjects, not by 2: variance between (42 - 8/3) / 3.

    Log-likelihood: -1/2 [9 log 2 pi + 6 log 8/3 + 3 log 42 + 9], since within + 3 between = 42.
    """
    fit = fit_mixed(DATA, "y ~ 1", subject_col="id", reml=False)
    assert component(fit, "variance", "Intercept") == pytest.approx((42 - 8 / 3) / 3, **EXACT)
    expected = -0.5 * (9 * math.log(2 * math.pi) + 6 * math.log(8 / 3) + 3 * math.log(42) + 9)
    glance = fit.glance()
    assert glance.frame["estimate"].item() == pytest.approx(expected, rel=1e-12)
    assert glance.metadata["aic"] == pytest.approx(-2 * expected + 6, rel=1e-12)
    assert glance.metadata["subjects"] == 3


@pytest.mark.parametrize(("reml", "divisor"), [(True, 5), (False, 6)])
def test_no_variance_between_subjects_is_a_singular_fit(reml: bool, divisor: int) -> None:
    """Subjects with values -2, 2 and -1, 1 and -3, 3: all means are 0, the between mean square is 0.

    The maximum has variance 0 between; what is left is a sample of 6 with sum of squares 2 * (4 + 1 + 9) = 28.
    """
    data = pd.DataFrame({"id": list("aabbcc"), "y": [-2.0, 2, -1, 1, -3, 3]})
    fit = fit_mixed(data, "y ~ 1", subject_col="id", reml=reml)
    assert component(fit, "variance", "Intercept") == 0
    assert component(fit, "variance", "Residual") == pytest.approx(28 / divisor, rel=1e-12)
    assert fit.note == "singular fit: a variance of the random effects is zero or their correlation is 1 in size"
    assert fit.tidy().frame["std_error"].item() == pytest.approx(math.sqrt(28 / divisor / 6), rel=1e-12)


def test_two_visits_of_everybody_are_a_paired_comparison() -> None:
    """Differences 2, 3, 7: mean 4, variance 7, standard error sqrt(7 / 3) whatever the variance between patients."""
    data = pd.DataFrame({"id": list("aabbcc"), "late": [0, 1] * 3, "y": [1.0, 3, 4, 7, 20, 27]})
    row = fit_mixed(data, "y ~ late", subject_col="id").tidy().frame.iloc[1]
    assert row["estimate"] == pytest.approx(4, rel=1e-10)
    assert row["std_error"] == pytest.approx(math.sqrt(7 / 3), **EXACT)


def test_balanced_random_slopes() -> None:
    """With visits at -1, 0, 1 of all, each patient's own line has intercept mean(y) and slope (y3 - y1) / 2.

    Scatter around it (y1 - 2 y2 + y3)^2 / 6 with 1 degree of freedom each. The sample covariance of the lines, B, is
    G + s2 diag(1/3, 1/2), so that G = B - s2 diag(1/3, 1/2) if that is a covariance; the variance of the mean slope
    is B22 / m.
    """
    values = np.array([[1.0, 4, 6], [2, 2, 4], [7, 9, 12], [5, 4, 4], [8, 10, 11]])
    data = pd.DataFrame(
        [(i, t, y) for i, row in enumerate(values) for t, y in zip((-1, 0, 1), row, strict=True)],
        columns=["id", "t", "y"],
    )
    lines = np.column_stack([values.mean(axis=1), (values[:, 2] - values[:, 0]) / 2])
    scatter = float(np.mean((values @ [1, -2, 1]) ** 2 / 6))
    between = np.cov(lines.T)
    fit = fit_mixed(data, "y ~ t", subject_col="id", random="1 + t")
    assert fit.residual_variance == pytest.approx(scatter, rel=1e-6)
    np.testing.assert_allclose(fit.random_covariance, between - scatter * np.diag([1 / 3, 1 / 2]), rtol=1e-5)
    assert component(fit, "correlation", "Intercept:t") == pytest.approx(
        fit.random_covariance[0, 1] / math.sqrt(fit.random_covariance[0, 0] * fit.random_covariance[1, 1]), rel=1e-12
    )
    slope = fit.tidy().frame.iloc[1]
    assert slope["estimate"] == pytest.approx(lines[:, 1].mean(), rel=1e-10)
    assert slope["std_error"] == pytest.approx(math.sqrt(between[1, 1] / 5), rel=1e-6)


def test_lines_that_all_have_one_slope_are_a_singular_fit() -> None:
    """Parallel lines with scatter: the slopes vary less than the scatter gives, so their variance is zero."""
    data = pd.DataFrame({"id": np.repeat(range(5), 3), "t": [-1, 0, 1] * 5})
    data["y"] = 2 * data["t"] + 5.0 * data["id"] + np.tile([1.0, -2.0, 1.0], 5) * np.repeat([1, -1, 2, -2, 1], 3)
    fit = fit_mixed(data, "y ~ t", subject_col="id", random="1 + t")
    assert fit.note.startswith("singular fit")
    assert fit.random_covariance[1, 1] == pytest.approx(0, abs=1e-8)
    assert np.isfinite(fit.coefficients).all()


def test_trajectory_and_slopes_average_over_the_patients() -> None:
    """With y ~ arm * t + sex the mean of arm b at t is intercept + b + (slope + b:t) t + share of men * male."""
    rng = np.random.default_rng(3)
    data = pd.DataFrame({"id": np.repeat(range(20), 3), "t": [0, 1, 2] * 20})
    data["arm"] = np.where(data["id"] % 2, "b", "a")
    data["sex"] = np.where(data["id"] < 5, "male", "female")
    data["y"] = data["t"] * (1 + (data["arm"] == "b")) + rng.normal(size=20)[data["id"]] + rng.normal(size=60)
    fit = fit_mixed(data, "y ~ arm * t + sex", subject_col="id")
    beta = dict(zip(fit.terms, fit.coefficients, strict=True))
    rows = fit.trajectory(group_col="arm", time_col="t", reference="a").frame
    mean = rows[(rows["group"] == "b") & (rows["time"] == 2)].iloc[0]
    expected = beta["Intercept"] + beta["arm=b"] + 2 * (beta["t"] + beta["arm=b:t"]) + 0.25 * beta["sex=male"]
    assert mean["estimate"] == pytest.approx(expected, rel=1e-10)
    weights = np.array(
        [{"Intercept": 1, "arm=b": 1, "t": 2, "arm=b:t": 2, "sex=male": 0.25}[term] for term in fit.terms]
    )
    assert mean["std_error"] == pytest.approx(math.sqrt(weights @ fit.covariance @ weights), rel=1e-10)
    difference = rows[(rows["contrast"] == "b v a") & (rows["time"] == 1)].iloc[0]
    assert difference["estimate"] == pytest.approx(beta["arm=b"] + beta["arm=b:t"], rel=1e-10)
    slopes = fit.slopes(group_col="arm", time_col="t", reference="a").frame
    assert slopes["statistic"].tolist() == ["slope", "slope", "slope_difference"]
    np.testing.assert_allclose(slopes["estimate"], [beta["t"], beta["t"] + beta["arm=b:t"], beta["arm=b:t"]], rtol=1e-9)
    tidy = fit.tidy().frame.set_index("term")
    assert slopes["p_value"].iloc[2] == pytest.approx(tidy.loc["arm=b:t", "p_value"], rel=1e-9)
    predicted = fit.predict(data.head(2)).frame
    assert predicted["estimate"].iloc[1] == pytest.approx(beta["Intercept"] + beta["t"] + beta["sex=male"], rel=1e-10)
