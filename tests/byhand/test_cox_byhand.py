"""Protects residuals, curves, concordance and tests of the Cox model against truths small enough to derive by hand."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from analyses.survival import CoxFit, fit_cox

COLUMNS = {"duration_col": "t", "event_col": "d"}
R = (1 + math.sqrt(17)) / 2
"""Hazard ratio of the example without ties: x = 1 fails at 1, 0 at 2, 1 at 3 and 0 is censored at 4. The likelihood
r/(2r+2) * 1/(r+2) * r/(r+1) is largest where r^2 - r - 4 = 0."""
STEPS = [1 / (2 * R + 2), 1 / (R + 2), 1 / (R + 1)]
"""Its hazard increments, one over the relative hazard at risk."""
VARIANCE = 1 / (2 * R / (R + 1) ** 2 + 2 * R / (R + 2) ** 2)


def frame(t: list[float], d: list[int], **more: list[object]) -> pd.DataFrame:
    return pd.DataFrame({"t": t, "d": d, **more})


def without_ties(**options: object) -> CoxFit:
    return fit_cox(frame([1, 2, 3, 4], [1, 1, 1, 0], x=[1, 0, 1, 0]), "x", **COLUMNS, **options)


def test_martingale_and_deviance_residuals_without_ties() -> None:
    """A row expects its relative hazard times the increments up to its time; a deviance residual is
    sign(m) sqrt(-2 (m + d log(d - m)))."""
    fit = without_ties()
    expected = [R * STEPS[0], STEPS[0] + STEPS[1], R * sum(STEPS), sum(STEPS)]
    martingale = [1 - expected[0], 1 - expected[1], 1 - expected[2], -expected[3]]
    deviance = [
        math.copysign(math.sqrt(-2 * (m + (math.log(e) if k < 3 else 0))), m)
        for k, (m, e) in enumerate(zip(martingale, expected, strict=True))
    ]
    np.testing.assert_allclose(fit.residuals("martingale")["martingale"], martingale, rtol=1e-10)
    np.testing.assert_allclose(fit.residuals("deviance")["deviance"], deviance, rtol=1e-9)
    table = fit.augment()
    np.testing.assert_allclose(table["expected"], expected, rtol=1e-10)
    np.testing.assert_allclose(table["linear_predictor"], [math.log(R), 0, math.log(R), 0], rtol=1e-10)
    np.testing.assert_allclose(table["relative_hazard"], [R, 1, R, 1], rtol=1e-10)


def test_schoenfeld_score_and_dfbeta_residuals_without_ties() -> None:
    """The covariate means at the events are 2r/(2r+2), r/(r+2) and r/(r+1). The score residual of the row that fails
    at 2 is -m2 + h1 m1 + h2 m2; dfbeta is the score residual times the variance."""
    fit = without_ties()
    means = [R / (R + 1), R / (R + 2), R / (R + 1)]
    np.testing.assert_allclose(fit.residuals("schoenfeld")["x"], [1 - means[0], -means[1], 1 - means[2]], rtol=1e-10)
    scaled = fit.residuals("scaled_schoenfeld")
    np.testing.assert_allclose(
        scaled["x"], math.log(R) + 3 * VARIANCE * np.array([1 - means[0], -means[1], 1 - means[2]]), rtol=1e-10
    )
    assert scaled["time"].tolist() == [1, 2, 3]
    second = -means[1] + STEPS[0] * means[0] + STEPS[1] * means[1]
    assert fit.residuals("score")["x"][1] == pytest.approx(second, rel=1e-10)
    assert fit.residuals("dfbeta")["x"][1] == pytest.approx(second * VARIANCE, rel=1e-10)
    assert fit.residuals("dfbetas")["x"][1] == pytest.approx(second * math.sqrt(VARIANCE), rel=1e-10)
    points = fit.coefficients_over_time().frame
    assert points["time"].tolist() == [1, 2, 3]
    np.testing.assert_allclose(points["estimate"], scaled["x"], rtol=1e-14)


def test_residuals_with_efron_ties() -> None:
    """x = 1 and x = 0 fail together at 1, another x = 0 is censored at 2; r = sqrt(6), increments h1 = 1/(r+2) and
    h2 = 2/(r+3). A tied event is exposed to h1 and half of h2, the censored row to both; under Breslow (r = 2) each
    to 2/(r+2) = 1/2."""
    data = frame([1, 1, 2], [1, 1, 0], x=[1, 0, 0])
    r = math.sqrt(6)
    h1, h2 = 1 / (r + 2), 2 / (r + 3)
    efron = fit_cox(data, "x", **COLUMNS).residuals("martingale")["martingale"]
    np.testing.assert_allclose(efron, [1 - r * (h1 + h2 / 2), 1 - (h1 + h2 / 2), -(h1 + h2)], rtol=1e-10, atol=1e-14)
    breslow = fit_cox(data, "x", **COLUMNS, ties="breslow").residuals("martingale")["martingale"]
    np.testing.assert_allclose(breslow, [0, 0.5, -0.5], atol=1e-10)


def test_residuals_with_delayed_entry() -> None:
    """x=1 fails at 1; x=0 enters at 1 and fails at 2; an x=0 and an x=1 are censored at 3. At r = 1 three are at risk
    at both events: the late row expects 1/3, the one that fails first 1/3, the others 2/3."""
    data = frame([1, 3, 2, 3], [1, 0, 1, 0], x=[1, 0, 0, 1], entry=[0, 0, 1, 0])
    fit = fit_cox(data, "x", **COLUMNS, entry_col="entry")
    np.testing.assert_allclose(fit.residuals("martingale")["martingale"], [2 / 3, -2 / 3, 2 / 3, -2 / 3], atol=1e-10)


def test_an_offset_takes_its_share_of_the_coefficient() -> None:
    """With offset c x the maximum is at log r - c and everything else stays: the likelihood is
    one of (coefficient + c) x."""
    plain = without_ties()
    data = frame([1, 2, 3, 4], [1, 1, 1, 0], x=[1, 0, 1, 0], c=[0.7, 0, 0.7, 0])
    fit = fit_cox(data, "x", **COLUMNS, offset_col="c")
    assert fit.coefficients[0] == pytest.approx(math.log(R) - 0.7, rel=1e-10)
    assert fit.variance[0, 0] == pytest.approx(VARIANCE, rel=1e-10)
    assert fit.log_likelihood == pytest.approx(plain.log_likelihood, rel=1e-12)
    new = pd.DataFrame({"x": [1], "c": [0.7]})
    ours = fit.predict(new, kind="cumulative_hazard", times=[3]).frame
    assert ours["estimate"].item() == pytest.approx(R * sum(STEPS), rel=1e-10)


def test_baseline_hazard_and_its_variance() -> None:
    """Running sums of the increments. The variance is the sum of their squares plus H'(t)^2 times the variance of the
    coefficient, where H'(t) is the sum of increment times covariate mean."""
    rows = without_ties().baseline_hazard().frame
    assert rows["time"].tolist() == [1, 2, 3]
    assert rows["n"].tolist() == [4, 3, 2]
    assert rows["n_events"].tolist() == [1, 1, 1]
    np.testing.assert_allclose(rows["estimate"], np.cumsum(STEPS), rtol=1e-10)
    slope = np.cumsum(np.array(STEPS) * [R / (R + 1), R / (R + 2), R / (R + 1)])
    np.testing.assert_allclose(rows["std_error"] ** 2, np.cumsum(np.square(STEPS)) + slope**2 * VARIANCE, rtol=1e-9)


def test_predicted_survival_between_before_and_beyond_the_events() -> None:
    """Constant between events, one before the first, unknown after the last time observed."""
    rows = without_ties().predict(pd.DataFrame({"x": [1]}, index=["p7"]), times=[2.5, 0.5, 4, 4.5]).frame
    assert rows["group"].tolist() == ["p7"] * 4
    np.testing.assert_allclose(
        rows["estimate"], [math.exp(-R * sum(STEPS[:2])), 1, math.exp(-R * sum(STEPS)), np.nan], rtol=1e-10
    )
    assert rows["std_error"][1] == 0
    assert rows["note"].tolist()[3] == "beyond the last time observed in this stratum"
    assert rows["note"].isna().tolist() == [True, False, True, False]


def test_all_events_tied_and_a_single_event() -> None:
    """All fail at once: the likelihood is that of an urn emptied, flat in no direction; with one event of two rows
    r/(r+1) is monotone. Baseline under Efron at coefficient 0 of three: 1/3 + 1/2 + 1."""
    data = frame([5, 5, 5], [1, 1, 1], x=[1, 0, 1], z=[0, 0, 0])
    fit = fit_cox(data, "z", **COLUMNS)
    assert fit.baseline_hazard().frame["estimate"].item() == pytest.approx(1 / 3 + 1 / 2 + 1, rel=1e-12)
    assert fit.baseline_hazard(ties="breslow").frame["estimate"].item() == pytest.approx(1, rel=1e-12)
    assert "no estimate" in fit.notes[0]
    lone = fit_cox(frame([1, 2], [1, 0], x=[1, 0]), "x", **COLUMNS)
    assert "plus infinity" in lone.notes[0]
    rows = lone.predict(pd.DataFrame({"x": [0, 1]}), times=[1]).frame
    assert rows["estimate"].notna().tolist() == [True, False]
    assert rows["estimate"][0] == pytest.approx(1, abs=1e-8)
    assert rows["note"][1] == "no prediction: a term that bears on this row has no estimate"


def test_without_events_everything_says_so() -> None:
    fit = fit_cox(frame([1, 2], [0, 0], x=[1, 0]), "x", **COLUMNS)
    assert fit.residuals("martingale")["martingale"].tolist() == [0, 0]
    assert fit.residuals("deviance")["deviance"].tolist() == [0, 0]
    assert fit.residuals("score")["x"].isna().all()
    assert fit.residuals("schoenfeld").columns.tolist() == ["time", "x"]
    assert len(fit.residuals("schoenfeld")) == 0
    assert fit.coefficients_over_time().frame["note"].tolist() == ["no estimate: no events"]
    assert fit.baseline_hazard().frame["note"].tolist() == ["no prediction: no events"]
    assert (
        fit.predict(pd.DataFrame({"x": [1]}), times=[1, 2]).frame["note"].tolist() == ["no prediction: no events"] * 2
    )
    assert fit.predict(pd.DataFrame({"x": [1]}), kind="relative_hazard").frame["note"].tolist()[0].startswith("no pred")
    assert fit.concordance().frame["note"].tolist()[0] == "no comparable pairs"
    assert fit.test_terms(["x"]).frame["note"].item() == "x: no estimate: no events"
    assert fit.contrasts({"x": {"x": 1}}).frame["note"].item() == "x: no estimate: no events"


def test_an_arm_without_events_and_a_stratum_without_events() -> None:
    """Nobody of arm b fails: its hazard ratio is 0 and its patients have no curve; those of arm a have that of a alone.
    A stratum without events has no baseline."""
    data = frame([1, 2, 3, 2, 3], [1, 1, 0, 0, 0], arm=list("aaabb"), site=list("ppppq"))
    fit = fit_cox(data, "arm", **COLUMNS)
    rows = fit.predict(pd.DataFrame({"arm": ["a", "b"]}), kind="cumulative_hazard", times=[2]).frame
    assert rows["estimate"][0] == pytest.approx(1 / 3 + 1 / 2, rel=1e-7)
    assert rows["note"][1] == "no prediction: a term that bears on this row has no estimate"
    stratified = fit_cox(data, "t", **COLUMNS, strata="site")
    baseline = stratified.baseline_hazard().frame
    assert baseline["group"].tolist() == ["p", "p", "q"]
    assert baseline["note"].tolist()[2] == "no prediction: no events in this stratum"
    new = pd.DataFrame({"t": [0.0], "site": ["q"]})
    assert stratified.predict(new).frame["note"].tolist() == ["no prediction: no events in this stratum"]


def test_concordance_and_its_error() -> None:
    """Scores 3, 1, 2; events at 1 and 2, censored at 3. The pairs (1,2) and (1,3) are concordant, (2,3) is discordant:
    C = 2/3. Rows are in 2, 1, 1 concordant and 0, 1, 1 discordant pairs; with D = (2 - 1)/3 the changes
    ((c - d) - D (c + d)) / 6 are 2/9, -1/9, -1/9. Two clusters, the first row and the rest: 2/9 and -2/9."""
    data = frame([1, 2, 3], [1, 1, 0], z=[0, 0, 0], s=[3.0, 1.0, 2.0], who=list("abb"))
    rows = fit_cox(data, "z", **COLUMNS, offset_col="s").concordance().frame
    assert rows["estimate"][0] == pytest.approx(2 / 3, rel=1e-12)
    assert rows["std_error"][0] == pytest.approx(math.sqrt(6) / 9, rel=1e-12)
    assert rows["term"].tolist()[1:] == ["concordant", "discordant", "tied_score", "tied_time", "tied_both"]
    assert rows["estimate"].tolist()[1:] == [2, 1, 0, 0, 0]
    clustered = fit_cox(data, "z", **COLUMNS, offset_col="s", cluster_col="who").concordance().frame
    assert clustered["std_error"][0] == pytest.approx(math.sqrt(8) / 9, rel=1e-12)


def test_concordance_with_ties_late_entry_and_a_censoring_at_an_event() -> None:
    """Events at 2 with scores 1 and 1 (a pair tied in both), a row censored at 2 with score 1 (outlives both: two
    ties), one censored at 3 with score 0 that enters at 2 (not compared)."""
    data = frame([2, 2, 2, 3], [1, 1, 0, 0], z=[0] * 4, s=[1.0, 1.0, 1.0, 0.0], e=[0, 0, 0, 2])
    rows = fit_cox(data, "z", **COLUMNS, offset_col="s", entry_col="e").concordance().frame
    assert rows["estimate"].tolist() == [0.5, 0, 0, 2, 0, 1]


def test_wald_tests_and_contrasts() -> None:
    """One coefficient: chi-square (b/se)^2. A sum of two coefficients has variance v11 + v22 + 2 v12."""
    fit = without_ties()
    row = fit.test_terms(["x"]).frame.iloc[0]
    assert row["estimate"] == pytest.approx(math.log(R) ** 2 / VARIANCE, rel=1e-10)
    assert row["p_value"] == pytest.approx(math.erfc(math.log(R) / math.sqrt(2 * VARIANCE)), rel=1e-10)
    assert row["term"] == "x"
    data = frame([1, 2, 3, 4, 5, 6], [1, 1, 1, 1, 1, 0], x=[1, 0, 2, 1, 0, 2], y=[0, 1, 1, 0, 1, 0])
    two = fit_cox(data, "x + y", **COLUMNS)
    rows = two.contrasts({"both": {"x": 1, "y": 1}, "half": {"x": 0.5}}).frame
    assert rows["contrast"].tolist() == ["both", "half"]
    assert rows["estimate"][0] == pytest.approx(two.coefficients.sum(), rel=1e-12)
    assert rows["std_error"][0] ** 2 == pytest.approx(two.variance.sum(), rel=1e-12)
    assert rows["std_error"][1] == pytest.approx(math.sqrt(two.variance[0, 0]) / 2, rel=1e-12)
    ratios = two.contrasts({"both": {"x": 1, "y": 1}}, exponentiate=True).frame
    assert ratios["conf_high"][0] == pytest.approx(math.exp(rows["conf_high"][0]), rel=1e-12)
    assert ratios["statistic"].item() == "hazard_ratio"
    together = two.test_terms(["x", "y"]).frame.iloc[0]
    assert together["estimate"] == pytest.approx(
        two.coefficients @ np.linalg.inv(two.variance) @ two.coefficients, rel=1e-9
    )
    assert together["note"] == "df=2"
