"""Protects standardised, augmented and censoring-weighted contrasts against truths worked out in fractions."""

from __future__ import annotations

from fractions import Fraction
from math import sqrt

import numpy as np
import pandas as pd
import pytest

from analyses.comparison import (
    augmented_rates,
    augmented_restricted_mean,
    censoring_weights,
    standardised_rates,
    weighted_hazard_ratio,
    weighted_incidence,
    weighted_rates,
    weighted_restricted_mean,
)
from analyses.propensity import fit_propensity
from analyses.survival import kaplan_meier, restricted_mean

# (arm, class V): (responders, patients). One binary covariate: score and separate outcome models are saturated.
CELLS = {("t", 1): (6, 12), ("t", 0): (6, 8), ("r", 1): (1, 4), ("r", 0): (8, 16)}
SHARE_V = {"ATE": Fraction(16, 40), "ATT": Fraction(12, 20), "ATC": Fraction(4, 20)}
COLUMNS = {"outcome_col": "responder", "treatment_col": "arm", "treated": "t"}


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    rows = [(arm, "V" if x else "IV", i < events) for (arm, x), (events, n) in CELLS.items() for i in range(n)]
    frame = pd.DataFrame(rows, columns=["arm", "kind", "responder"])
    return frame.assign(patient_id=[f"p{i}" for i in range(len(frame))])


def truth(estimand: str) -> list[float]:
    """Both risks standardised to the class distribution of the population, and their contrasts."""
    share = SHARE_V[estimand]
    one = share * Fraction(6, 12) + (1 - share) * Fraction(6, 8)
    zero = share * Fraction(1, 4) + (1 - share) * Fraction(8, 16)
    odds = one / (1 - one) / (zero / (1 - zero))
    return [float(value) for value in (one, zero, one - zero, one / zero, odds)]


@pytest.mark.parametrize("estimand", ["ATE", "ATT", "ATC"])
def test_saturated_models_make_weighting_standardising_and_augmenting_one(data: pd.DataFrame, estimand: str) -> None:
    fit = fit_propensity(data, "kind", treatment_col="arm", treated="t")
    weighted = weighted_rates(data, weights=fit.estimated_weights(estimand), **COLUMNS).frame
    standardised = standardised_rates(data, adjust="kind", separate_arms=True, estimand=estimand, **COLUMNS).frame
    augmented = augmented_rates(data, score="kind", adjust="kind", estimand=estimand, **COLUMNS).frame
    for frame in (weighted, standardised, augmented):
        assert frame["estimate"].tolist() == pytest.approx(truth(estimand), rel=1e-10)
        for column in ("std_error", "conf_low", "conf_high"):
            assert frame[column].tolist() == pytest.approx(weighted[column].tolist(), rel=1e-8)


def test_saturated_variance_is_binomial_within_strata_plus_that_of_the_strata(data: pd.DataFrame) -> None:
    p = {cell: Fraction(events, n) for cell, (events, n) in CELLS.items()}
    share = {1: Fraction(16, 40), 0: Fraction(24, 40)}
    difference = {x: p["t", x] - p["r", x] for x in share}
    mean = sum(share[x] * difference[x] for x in share)
    within = sum(share[x] ** 2 * p[arm, x] * (1 - p[arm, x]) / CELLS[arm, x][1] for arm, x in CELLS)
    between = sum(share[x] * (difference[x] - mean) ** 2 for x in share) / 40
    for variance in ("influence", "stacked"):
        frame = augmented_rates(data, score="kind", adjust="kind", variance=variance, **COLUMNS).frame
        assert frame["std_error"].iloc[2] == pytest.approx(sqrt(within + between), rel=1e-9)


@pytest.mark.parametrize("right", ["score", "adjust"])
def test_one_right_model_is_enough(data: pd.DataFrame, right: str) -> None:
    # `noise` alternates within every cell: a model given it alone is one of the arm's crude risk, which is wrong.
    # All cells are even but two, whose odd patient makes the estimate close to the truth rather than equal to it.
    noisy = data.assign(noise=np.tile([0.0, 1.0], 20))
    models = {"score": "noise", "adjust": "noise"} | {right: "kind"}
    one = augmented_rates(noisy, **models, **COLUMNS).frame["estimate"]
    crude = weighted_rates(data, weights=np.ones(40), **COLUMNS).frame["estimate"]
    assert abs(crude[2] - truth("ATE")[2]) > 0.02
    assert one[2] == pytest.approx(truth("ATE")[2], abs=0.005)


def test_standardising_without_interaction_keeps_the_observed_risk_of_the_own_arm(data: pd.DataFrame) -> None:
    # The score equations of a logistic model with an arm term: predictions of an arm add up to its events.
    frame = standardised_rates(data, adjust="kind", estimand="ATT", **COLUMNS).frame
    assert frame["estimate"].iloc[0] == pytest.approx(12 / 20, rel=1e-10)


def test_an_arm_without_events_is_estimated_as_zero_and_says_so(data: pd.DataFrame) -> None:
    nobody = data.assign(responder=data["responder"] & (data["arm"] == "r"))
    many = pd.concat([nobody.assign(patient_id=nobody["patient_id"] + copy) for copy in "uvwxyz"])
    for frame in (
        standardised_rates(nobody, adjust="kind", **COLUMNS).frame,
        augmented_rates(nobody, score="kind", adjust="kind", **COLUMNS).frame,
        augmented_rates(many, score="kind", adjust="kind", folds=2, **COLUMNS).frame,
    ):
        assert frame["estimate"].iloc[0] == 0
        assert frame["std_error"].iloc[[0, 2, 3, 4]].isna().all()
        assert frame["note"].iloc[[0, 2, 3, 4]].str.contains("no event in t").all()
        assert frame["std_error"].iloc[1] > 0


EVENTS = {"duration_col": "months", "event_col": "flare", "treatment_col": "arm", "treated": "t"}


def test_weighted_incidence_by_hand() -> None:
    # Treated: weights 2, 1, 1 at months 1 (cause 1), 2 (cause 2), 3 (cause 1). Before 1: 4 at risk, incidence 2/4;
    # before 3: survival 1/2 * (1 - 1/2) = 1/4, all of which fails from cause 1: 3/4.
    data = pd.DataFrame({"arm": list("tttrr"), "months": [1.0, 2, 3, 1, 3], "flare": [1, 2, 1, 0, 1]})
    frame = weighted_incidence(data, **EVENTS, weights=[2, 1, 1, 1, 1], times=[1, 2, 3]).frame
    assert frame.loc[frame["group"] == "t", "estimate"].tolist() == [0.5, 0.5, 0.75]
    assert frame.loc[frame["group"] == "r", "estimate"].tolist() == [0.0, 0.0, 1.0]
    assert frame.loc[frame["contrast"].notna(), "estimate"].tolist() == [0.5, 0.5, -0.25]


def test_weighted_restricted_mean_by_hand() -> None:
    # Treated: half of the weight fails at 1, the rest at 3 or later: 1 + 2 * 1/2. Reference: nobody fails before 3.
    data = pd.DataFrame({"arm": list("ttrr"), "months": [1.0, 3, 3, 3], "flare": [1, 0, 0, 0]})
    frame = weighted_restricted_mean(data, **EVENTS, weights=[2, 2, 1, 5], tau=3).frame
    assert frame["estimate"].tolist() == [2.0, 3.0, -1.0]
    # Slope by the weight of the first: area 1 + 2 w2 / (w1 + w2), derivative -2 * 2 / 16; influences 2 * 1/4 twice.
    assert frame["std_error"].iloc[0] == pytest.approx(sqrt(2 * 0.5**2))
    assert frame["note"].iloc[1] == "no event up to tau: no interval"


def test_a_hazard_ratio_that_runs_to_infinity_is_a_note() -> None:
    # Weights 2 and 1, t fails first: the score 2 - 4 h / (2 h + 1) is never zero, the likelihood rises for ever.
    data = pd.DataFrame({"arm": list("tr"), "months": [1.0, 2], "flare": [1, 1]})
    frame = weighted_hazard_ratio(data, **EVENTS, weights=[2, 1]).frame
    assert np.isnan(frame["estimate"].item())
    assert "monotone likelihood" in frame["note"].item()


def test_a_weighted_hazard_ratio_in_closed_form() -> None:
    # r fails at 1 among everybody (weights t: 2, r: 3 and 1), t at 2 among t and the second r: with h the ratio
    # -3 * 2 h / (2 h + 4) + 2 - 2 * 2 h / (2 h + 1) = 0, that is 5 h^2 + h - 4 = 0 after clearing: h = 4/5.
    data = pd.DataFrame({"arm": list("rtr"), "months": [1.0, 2, 3], "flare": [1, 1, 0]})
    frame = weighted_hazard_ratio(data, **EVENTS, weights=[3, 2, 1]).frame
    h = np.exp(frame["estimate"].item())
    assert -6 * h / (2 * h + 4) + 2 - 4 * h / (2 * h + 1) == pytest.approx(0, abs=1e-12)


def test_augmented_area_without_covariates_is_the_kaplan_meier_area() -> None:
    # Kaplan-Meier nuisances: at every time the residuals of those at risk add up to nothing, and nothing is corrected.
    stream = np.random.default_rng(4)
    n = 60
    data = pd.DataFrame(
        {
            "patient_id": [f"p{i}" for i in range(n)],
            "arm": np.where(np.arange(n) % 2, "t", "r"),
            "months": np.ceil(stream.exponential(6, n)).clip(1, 10),
            "flare": (stream.random(n) < 0.6).astype(int),
            "x": np.arange(n) // 2 % 2,  # balanced: the score is one half for everybody
        }
    )
    frame = augmented_restricted_mean(data, **EVENTS, tau=7, score="x", folds=None).frame
    plain = restricted_mean(data, duration_col="months", event_col="flare", by="arm", tau=7).frame
    expected = dict(zip(plain["group"], plain["estimate"], strict=True))
    assert frame["estimate"].tolist()[:2] == pytest.approx([expected["t"], expected["r"]], rel=1e-12)


def test_without_censoring_the_augmented_area_is_aipw_of_the_restricted_time() -> None:
    # Nobody is censored: the correction adds up to min(T, tau) less the predicted area, the textbook AIPW of a mean.
    data = pd.DataFrame(
        {
            "patient_id": list("abcdefgh"),
            "arm": list("ttttrrrr"),
            "x": [0, 0, 1, 1, 0, 1, 1, 1],
            "months": [1.0, 4, 2, 5, 3, 1, 2, 6],
            "flare": 1,
        }
    )
    frame = augmented_restricted_mean(data, **EVENTS, tau=3, score="x", folds=None).frame
    restricted = data["months"].clip(upper=3)
    score = np.where(data["x"] == 0, 2 / 3, 2 / 5)
    for place, (arm, probability) in enumerate((("t", score), ("r", 1 - score))):
        own = (data["arm"] == arm).to_numpy()
        predicted = restricted[own].mean()  # the Kaplan-Meier area of the arm
        expected = np.mean(predicted + np.where(own, (restricted - predicted) / probability, 0.0))
        assert frame["estimate"].iloc[place] == pytest.approx(expected, rel=1e-10)


def test_censoring_weights_of_a_model_solved_on_paper() -> None:
    # Censored at 1 (x = 1) among two of each x, and at 2 (x = 0) among one x = 1 and two x = 0. With h the hazard ratio
    # the score 1 - 2h / (2h + 2) - h / (h + 2) is zero at h = sqrt(2); increments 1 / (2h + 2) and 1 / (h + 2).
    data = pd.DataFrame(
        {
            "patient_id": list("abcdf"),
            "x": [1.0, 1, 0, 0, 0],
            "months": [1.0, 3, 2, 4, 0.5],
            "flare": [0, 1, 0, 1, 1],
        }
    )
    spells = censoring_weights(data, "x", duration_col="months", event_col="flare", stabilized=False)
    ratio = sqrt(2)
    total = 1 / (2 * ratio + 2) + 1 / (ratio + 2)
    rows = spells.loc[spells["patient_id"].isin(["b", "d"]), ["entry", "exit", "failed", "censoring_weight"]]
    expected = [[0, 0.5, 0, 1], [0.5, 3, 1, np.exp(ratio * total)], [0, 0.5, 0, 1], [0.5, 4, 1, np.exp(total)]]
    np.testing.assert_allclose(rows.to_numpy(dtype=float), np.array(expected), rtol=1e-9)
    stabilised = censoring_weights(data, "x", duration_col="months", event_col="flare", largest=1.2)
    # Kaplan-Meier of censoring: 3/4 after 1, times 2/3 after 2.
    kept = stabilised.loc[stabilised["patient_id"] == "d", "censoring_weight"].tolist()
    assert kept == pytest.approx([1.0, min(1.2, float(np.exp(total)) / 2)])


def test_censoring_weights_alike_for_everybody_leave_the_curve_alone() -> None:
    # One weight for all at risk at any time: the weighted Kaplan-Meier curve is the plain one.
    stream = np.random.default_rng(9)
    data = pd.DataFrame(
        {
            "patient_id": [f"p{i:02d}" for i in range(40)],
            "x": np.tile([0.0, 1.0], 20),
            "months": np.repeat(np.arange(1.0, 21.0), 2),
            "flare": np.repeat(stream.random(20) < 0.5, 2).astype(int),
        }
    )  # pairs alike in everything but x: its coefficient in the model of censoring is zero
    spells = censoring_weights(data, "x", duration_col="months", event_col="flare")
    assert spells["failed"].sum() == data["flare"].sum()
    assert (spells["exit"] - spells["entry"]).groupby(spells["patient_id"]).sum().tolist() == data["months"].tolist()
    plain = kaplan_meier(data, duration_col="months", event_col="flare").frame
    weighted = kaplan_meier(
        spells, duration_col="exit", event_col="failed", entry_col="entry", weights_col="censoring_weight"
    ).frame
    merged = weighted.merge(plain, on="time", suffixes=("_weighted", ""))
    assert len(merged) == len(plain)
    np.testing.assert_allclose(merged["estimate_weighted"].to_numpy(), merged["estimate"].to_numpy(), rtol=1e-9)
