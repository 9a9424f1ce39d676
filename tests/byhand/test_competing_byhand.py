"""Protects the competing-risks estimators against truths small enough to derive by hand."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from analyses.survival import cumulative_incidence, cumulative_incidence_at, fit_fine_gray, gray_test

Z = 1.959963984540054
COLUMNS = {"duration_col": "t", "event_col": "d"}


def frame(t: list[float], d: list[int], **more: list[object]) -> pd.DataFrame:
    return pd.DataFrame({"t": t, "d": d, **more})


def test_weighted_incidence_has_the_delta_method_variance() -> None:
    """Weights 2 (cause 1 at 1), 1 (cause 2 at 2), 1 (censored at 3): F1 = w1 / W = 1/2.

    dF1/dw1 = (W - w1) / W^2 = 1/8, dF1/dw2 = dF1/dw3 = -w1 / W^2 = -1/8: variance (2/8)^2 + 2 (1/8)^2 = 3/32.
    Weights ten times as large change neither.
    """
    data = frame([1, 2, 3], [1, 2, 0], w=[2, 1, 1], w10=[20, 10, 10])
    for weights in ("w", "w10"):
        rows = cumulative_incidence(data, **COLUMNS, weights_col=weights).frame.query("term == '1' and time > 0")
        np.testing.assert_allclose(rows["estimate"], [0.5, 0.5, 0.5], rtol=1e-14)
        np.testing.assert_allclose(rows["std_error"] ** 2, [3 / 32] * 3, rtol=1e-13)
    rows = cumulative_incidence(data, **COLUMNS, weights_col="w").frame.query("term == '2'")
    assert rows["n"].tolist() == [4, 4, 2, 1]
    assert rows["n_events"].tolist() == [0, 0, 1, 0]


def test_incidence_with_delayed_entry() -> None:
    """(0,3] cause 1, (1,4] cause 2, (3,5] censored: at 3 the late row is not in yet, at 4 it is.

    F1(3) = w1/(w1+w2) = 1/2, variance 2 (1/4)^2 = 1/8. F2(4) = w2/(w1+w2) * w2/(w2+w3) = 1/4 with derivatives -1/8,
    1/8 + 1/8 and -1/8: variance 1/64 + 1/16 + 1/64 = 3/32.
    """
    data = frame([3, 4, 5], [1, 2, 0], e=[0, 1, 3])
    rows = cumulative_incidence(data, **COLUMNS, entry_col="e").frame
    assert rows["time"].tolist() == [0, 3, 4, 5] * 2
    assert rows["n"].tolist() == [1, 2, 2, 1] * 2
    np.testing.assert_allclose(rows["estimate"], [0, 0.5, 0.5, 0.5, 0, 0, 0.25, 0.25], rtol=1e-14)
    np.testing.assert_allclose(rows["std_error"] ** 2, [0, 1 / 8, 1 / 8, 1 / 8, 0, 0, 3 / 32, 3 / 32], rtol=1e-13)


def test_incidence_when_all_fail_at_once() -> None:
    """Of four rows that fail together three fail from cause 1: F1 = 3/4, the variance of a proportion, 3/64."""
    rows = cumulative_incidence(frame([2] * 4, [1, 1, 1, 2]), **COLUMNS).frame.query("time == 2")
    assert rows["estimate"].tolist() == [0.75, 0.25]
    np.testing.assert_allclose(rows["std_error"] ** 2, [3 / 64, 3 / 64], rtol=1e-13)


def test_incidence_at_given_times_and_its_difference() -> None:
    """Arm a: cause 1 at 1, cause 2 at 2, two censored at 5: F1 = 1/4 from 1, variance 3/64.

    Arm b: cause 1 at 1, censored at 3: F1 = 1/2, variance 1/8; at 4 it is no longer observed. Arm c fails entirely,
    from cause 2, at 2: F1 = 0 with no error, for ever.
    """
    data = frame([1, 2, 5, 5, 1, 3, 2], [1, 2, 0, 0, 1, 0, 2], arm=list("aaaabbc"))
    rows = cumulative_incidence_at(data, **COLUMNS, by="arm", times=[4, 1]).frame
    one = rows[rows["term"] == "1"]
    levels, contrasts = one[one["contrast"].isna()], one[one["contrast"].notna()]
    assert levels["group"].tolist() == ["a", "a", "b", "b", "c", "c"]
    assert levels["time"].tolist() == [4, 1] * 3
    np.testing.assert_allclose(levels["estimate"], [0.25, 0.25, np.nan, 0.5, 0, 0])
    np.testing.assert_allclose(levels["std_error"] ** 2, [3 / 64, 3 / 64, np.nan, 1 / 8, 0, 0], rtol=1e-13)
    assert levels["n"].tolist() == [2, 4, 0, 2, 0, 1]
    assert levels["n_events"].tolist() == [1, 1, 1, 1, 0, 0]
    assert levels["note"].iloc[2] == "beyond the last observed time of the group: nothing is extrapolated"
    shift = Z * math.sqrt(3 / 64) / (0.25 * math.log(4))
    assert levels["conf_low"].iloc[1] == pytest.approx(0.25 ** math.exp(shift), rel=1e-12)

    assert contrasts["contrast"].tolist() == ["b v a"] * 2 + ["c v a"] * 2
    np.testing.assert_allclose(contrasts["estimate"], [np.nan, 0.25, -0.25, -0.25])
    error = math.sqrt(3 / 64 + 1 / 8)
    row = contrasts.iloc[1]
    assert row["std_error"] == pytest.approx(error, rel=1e-13)
    assert row["conf_low"] == pytest.approx(0.25 - Z * error, rel=1e-12)
    assert row["conf_high"] == pytest.approx(0.25 + Z * error, rel=1e-12)
    assert row["p_value"] == pytest.approx(math.erfc(0.25 / error / math.sqrt(2)), rel=1e-12)
    assert row["n"] == 6
    assert row["n_events"] == 2
    assert contrasts["note"].iloc[0] == "beyond the last observed time of the group: nothing is extrapolated"


def test_a_difference_without_any_error_has_no_test() -> None:
    """Before any event both incidences are 0 for certain."""
    rows = cumulative_incidence_at(frame([2, 3], [1, 1], arm=list("ab")), **COLUMNS, by="arm", times=[1]).frame
    assert rows["estimate"].tolist() == [0, 0, 0]
    assert rows["note"].iloc[2] == "both standard errors are zero: no test"
    assert math.isnan(rows["p_value"].iloc[2])


def test_gray_with_one_event() -> None:
    """a: cause 1 at 1, censored at 3. b: cause 2 at 2, censored at 4.

    At 1 each arm has two at risk: score 1 - 2/4, variance 1/8 + 1/8. Nothing later moves it: (1/2)^2 / (1/4) = 1.
    """
    data = frame([1, 3, 2, 4], [1, 0, 2, 0], arm=list("aabb"))
    row = gray_test(data, **COLUMNS, by="arm").frame.iloc[0]
    assert row["estimate"] == pytest.approx(1, rel=1e-14)
    assert row["p_value"] == pytest.approx(math.erfc(math.sqrt(0.5)), rel=1e-12)
    assert row["note"] == "df=1"
    assert row["n_events"] == 1


def test_gray_with_a_competing_event_before() -> None:
    """a: cause 2 at 1, cause 1 at 3. b: cause 1 at 2, censored at 4.

    At 2 the uncensored number is 1 / (1/2) = 2 in a, although one is at risk, and 2 in b: score of a -1/2, F = 1/4. At
    3 it is 2 and 2, those not yet failed from cause 1 are 2 and 2 * (1 - 1/2) = 1: score 1 - 2/3, so -1/6 in all.
    Running c of a: 1/4, then 1/4 + 1 / (4 * 3/4) = 7/12.
    Variance: at 1, (2 * 7/12)^2 / 4 = 49/144; at 2 in either arm (1 - 1/2 * 1/3)^2 / 8 = 25/288; at 3, 1/8 in either:
    55/72 in all. Chi-square (1/36) / (55/72) = 2/55.
    """
    data = frame([1, 3, 2, 4], [2, 1, 1, 0], arm=list("aabb"))
    assert gray_test(data, **COLUMNS, by="arm").frame["estimate"].item() == pytest.approx(2 / 55, rel=1e-13)


def test_gray_with_all_events_tied_is_hypergeometric() -> None:
    """Three of six fail at 1, two of them in arm a: 2 - 3/2, variance 3 * 1/4 * (6-3)/(6-1) = 9/20, chi-square 5/9."""
    data = frame([1, 1, 2, 1, 2, 2], [1, 1, 0, 1, 0, 0], arm=list("aaabbb"))
    assert gray_test(data, **COLUMNS, by="arm").frame["estimate"].item() == pytest.approx(5 / 9, rel=1e-13)


@pytest.mark.parametrize(
    ("t", "d", "why"),
    [
        ([1, 2, 3, 4], [0, 0, 0, 0], "no events of cause 1"),
        ([1, 2, 3, 4], [2, 2, 2, 2], "no events of cause 1"),
        ([1, 1, 2, 3], [0, 0, 1, 1], "no event of cause 1 while two groups can be compared"),
        ([1, 1, 1, 1], [1, 1, 1, 1], "no event of cause 1 while two groups can be compared"),
    ],
)
def test_gray_with_nothing_to_compare(t: list[float], d: list[int], why: str) -> None:
    """No events; only competing ones; an arm gone before the first event; everyone failing at once."""
    row = gray_test(frame(t, d, arm=list("aabb")), **COLUMNS, by="arm").frame.iloc[0]
    assert math.isnan(row["estimate"])
    assert math.isnan(row["p_value"])
    assert row["note"] == why


def test_gray_leaves_an_arm_without_anyone_at_risk_out_of_the_degrees_of_freedom() -> None:
    """Arm c is censored before the first event: the test is that of the other two."""
    data = frame([1, 3, 2, 4], [2, 1, 1, 0], arm=list("aabb"))
    more = pd.concat([data, frame([0.5], [0], arm=["c"])], ignore_index=True)
    row = gray_test(more, **COLUMNS, by="arm").frame.iloc[0]
    assert row["note"] == "df=1"
    assert row["estimate"] == pytest.approx(2 / 55, rel=1e-13)


VARIANTS = pytest.mark.parametrize("variant", ["finegray", "crr"])


@VARIANTS
def test_fine_gray_keeps_competing_failures_at_risk(variant: str) -> None:
    """x = 1 fails from cause 2 at 1, x = 0 from cause 1 at 2, x = 1 at 3, x = 0 is censored at 4, after all events.

    Nobody is censored before 4, so the first row lingers with weight 1: with r = exp(beta) the likelihood is
    1/(2r+2) * r/(2r+1), largest at r^2 = 1/2. Information r/(r+1)^2 + 2r/(2r+1)^2.
    """
    fit = fit_fine_gray(frame([1, 2, 3, 4], [2, 1, 1, 0], x=[1, 0, 1, 0]), "x", **COLUMNS, variant=variant)
    r = math.sqrt(0.5)
    assert fit.coefficients[0] == pytest.approx(math.log(r), rel=1e-12)
    assert fit.naive_variance[0, 0] == pytest.approx(1 / (r / (r + 1) ** 2 + 2 * r / (2 * r + 1) ** 2), rel=1e-12)
    assert fit.log_likelihood == pytest.approx(math.log(r / ((2 * r + 2) * (2 * r + 1))), rel=1e-12)
    hazard = [1 / (2 * r + 2), 1 / (2 * r + 1)]
    curve = fit.predict(pd.DataFrame({"x": [1]}, index=["p"]), times=[1, 2, 3, 5]).frame
    expected = [0, 1 - math.exp(-r * hazard[0]), 1 - math.exp(-r * sum(hazard)), math.nan]
    np.testing.assert_allclose(curve["estimate"], expected, rtol=1e-12)
    assert curve["group"].tolist() == ["p"] * 4
    assert curve["note"].tolist()[3] == "beyond the last observed time: nothing is extrapolated"
    # residuals of the four rows: -1/3 and the like, written out; the sandwich with no censoring is the same in both
    m1, m2 = r / (r + 1), 2 * r / (2 * r + 1)
    lingering = -r * ((1 - m1) * hazard[0] + (1 - m2) * hazard[1])
    residuals = [
        lingering,
        -m1 + m1 * hazard[0],
        1 - m2 + lingering,
        m1 * hazard[0] + m2 * hazard[1],
    ]
    assert sum(residuals) == pytest.approx(0, abs=1e-14)
    meat = sum(u * u for u in residuals)
    assert fit.variance[0, 0] == pytest.approx(meat * fit.naive_variance[0, 0] ** 2, rel=1e-11)


@VARIANTS
def test_fine_gray_lets_the_weight_of_a_competing_failure_fall(variant: str) -> None:
    """x = 1 fails from cause 2 at 1; x = 0 is censored at 2, one of the four then at risk, so the weight falls to 3/4.

    x = 0 and x = 1 fail from cause 1 at 3 and 4, x = 0 is censored at 5: r / ((7r/4 + 2) (7r/4 + 1)), largest at
    7r/4 = sqrt(2).
    """
    data = frame([1, 2, 3, 4, 5], [2, 0, 1, 1, 0], x=[1, 0, 0, 1, 0])
    fit = fit_fine_gray(data, "x", **COLUMNS, variant=variant)
    assert fit.coefficients[0] == pytest.approx(math.log(4 * math.sqrt(2) / 7), rel=1e-12)


@pytest.mark.parametrize(("variant", "square"), [("finegray", 9 / 10), ("crr", 6 / 7)])
def test_fine_gray_variants_differ_where_a_failure_ties_with_a_censoring(variant: str, square: float) -> None:
    """x = 1 fails from cause 2 at 1; at 2 one x = 0 is censored and another fails from cause 1.

    The failure has left the three at risk of that censoring (weight 2/3, finegray) or is one of four (3/4, crr). With
    weight w, x = 1 failing at 3 and x = 0 censored at 4: r / ((2r + 3) ((1 + w) r + 1)), largest at r^2 = 3/(2 + 2w).
    """
    data = frame([1, 2, 2, 3, 4], [2, 0, 1, 1, 0], x=[1, 0, 0, 1, 0])
    fit = fit_fine_gray(data, "x", **COLUMNS, variant=variant)
    assert fit.coefficients[0] == pytest.approx(math.log(square) / 2, rel=1e-12)


def test_fine_gray_with_delayed_entry() -> None:
    """(0,1] x = 1 cause 2; (0,3] x = 0 cause 1; (2,4] x = 1 cause 1; (0,5] x = 0 censored.

    Of the three observed just after 2 one has just entered: the probability of having entered is 2/3 before, so the
    lingering row weighs 3/2 after: r / ((5r/2 + 2) (5r/2 + 1)), largest at 5r/2 = sqrt(2).
    """
    data = frame([1, 3, 4, 5], [2, 1, 1, 0], x=[1, 0, 1, 0], e=[0, 0, 2, 0])
    fit = fit_fine_gray(data, "x", **COLUMNS, entry_col="e")
    assert fit.coefficients[0] == pytest.approx(math.log(2 * math.sqrt(2) / 5), rel=1e-12)


@pytest.mark.parametrize(("ties", "r"), [("breslow", 3), ("efron", math.sqrt(15))])
def test_fine_gray_with_all_events_tied(ties: str, r: float) -> None:
    """x = 1 and x = 0 fail together at 2, x = 0 lingers from 1, another is censored at 3.

    Breslow: r / (r+3)^2, largest at 3. Efron: r / ((r+3) (r+3 - (r+1)/2)), largest at sqrt(15).
    """
    fit = fit_fine_gray(frame([1, 2, 2, 3], [2, 1, 1, 0], x=[0, 1, 0, 0]), "x", **COLUMNS, ties=ties)
    assert fit.coefficients[0] == pytest.approx(math.log(r), rel=1e-12)


@VARIANTS
@pytest.mark.parametrize("causes", [[0, 0, 0, 0], [2, 2, 2, 2], [2, 0, 2, 0]])
def test_fine_gray_without_an_event_of_the_cause(causes: list[int], variant: str) -> None:
    fit = fit_fine_gray(frame([1, 2, 3, 4], causes, x=[1, 0, 1, 0]), "x", **COLUMNS, variant=variant)
    row = fit.tidy().frame.iloc[0]
    assert row["note"] == fit.glance().frame["note"].item().removeprefix("x: ") == "no estimate: no events of cause 1"
    assert np.isnan(row[["estimate", "std_error", "conf_low", "p_value"]].to_numpy(dtype=float)).all()
    predicted = fit.predict(pd.DataFrame({"x": [1]})).frame
    assert predicted["note"].item() == "no prediction: a term of the model has no estimate"


@VARIANTS
def test_fine_gray_with_one_event_is_monotone(variant: str) -> None:
    """The one event is of an x = 0, with x = 1 lingering: 1 / (r + 1) rises as r falls to 0."""
    fit = fit_fine_gray(frame([1, 2, 3], [2, 1, 0], x=[1, 0, 0]), "x", **COLUMNS, variant=variant)
    assert fit.notes == ("no estimate: monotone likelihood, the coefficient runs to minus infinity",)


@VARIANTS
def test_fine_gray_leaves_out_an_arm_without_the_cause_and_keeps_the_rest(variant: str) -> None:
    """Nobody of arm c has the cause: its coefficient runs away, those of the others are as without it where no weight
    falls (nobody is censored before the last event)."""
    data = frame([1, 2, 3, 4, 5, 6, 7], [2, 1, 1, 1, 2, 2, 0], x=[1, 0, 1, 0, 1, 0, 0], arm=list("aaabbba"))
    more = pd.concat([data, frame([2.5, 4.5], [2, 2], x=[0, 1], arm=["c", "c"])], ignore_index=True)
    alone = fit_fine_gray(data, "x + arm", **COLUMNS, variant=variant)
    fit = fit_fine_gray(more, "x + arm", **COLUMNS, variant=variant)
    assert [bool(note) for note in fit.notes] == [False, False, True]
    np.testing.assert_allclose(fit.coefficients[:2], alone.coefficients, rtol=1e-7)
    np.testing.assert_allclose(fit.std_errors[:2], alone.std_errors, rtol=1e-6)


def test_a_gap_between_entries_leaves_a_competing_failure_without_weight() -> None:
    """(0,1] fails from cause 2 and (0,2] is censored before the others enter at 3: at 3 everyone observed has just
    entered, so the probability of having entered before is 0."""
    data = frame([1, 2, 4, 5], [2, 0, 1, 0], x=[1, 0, 1, 0], e=[0, 0, 3, 3])
    fit = fit_fine_gray(data, "x", **COLUMNS, entry_col="e")
    assert "under delayed entry" in fit.notes[0]
