"""Protects standardised survival and its variance against a Cox model solved by hand, and the reasons it gives."""

from __future__ import annotations

from fractions import Fraction
from math import exp, log, sqrt

import numpy as np
import pandas as pd
import pytest

from analyses.comparison import standardised_survival
from cohort.errors import AnalysisError, UsageError

COLUMNS = {"duration_col": "years", "event_col": "flare", "treatment_col": "arm", "treated": "a"}

# (arm, x, years, flare), how many. The last is censored before anything happens: it is only averaged over.
ROWS = {
    ("a", 1, 1.0, 1): 1,
    ("a", 0, 2.0, 0): 2,
    ("b", 0, 1.0, 1): 1,
    ("b", 1, 2.0, 0): 2,
    ("b", 0, 2.0, 0): 3,
    ("b", 1, 0.5, 0): 1,
}
SHARE_X = {"ATE": Fraction(4, 10), "ATT": Fraction(1, 3), "ATC": Fraction(3, 7)}
STEP = {"a": Fraction(1, 4), "b": Fraction(1, 8)}


def rows() -> pd.DataFrame:
    """One row a patient.

    With a hazard ratio of 2 for x and the arms as strata, the risk set of arm a weighs 2 + 2 = 4 at its event and that
    of arm b 2 x 2 + 4 = 8, and in both the weighted mean of x is 1/2. The events have x = 1 and x = 0, so the score is
    (1 - 1/2) + (0 - 1/2) = 0: the ratio of 2 is the maximum. The cumulative hazards of x = 0 step to 1/4 and 1/8 at
    year 1, those of x = 1 to twice that.
    """
    frame = pd.DataFrame(
        [row for row, count in ROWS.items() for _ in range(count)], columns=["arm", "x", "years", "flare"]
    )
    return frame.assign(patient_id=range(len(frame)))


def survival(arm: str, x: int) -> float:
    return exp(-float(STEP[arm]) * 2**x)


def average(arm: str, estimand: str) -> float:
    share = float(SHARE_X[estimand])
    return share * survival(arm, 1) + (1 - share) * survival(arm, 0)


def influences(arm: str) -> np.ndarray:
    """Influence of each row on the standardised survival (ATE) of an arm at year 1.

    Information is 1/4 at each event, 1/2 in all. A patient at risk with relative hazard r has the martingale residual
    d - r h of its stratum's step h, the score residual (x - 1/2)(d - r h), and moves the coefficient by twice that.
    The step of its own stratum moves by (d - r h) h (the risk set weighs 1 / h), and that of any by -h/2 times the move
    of the coefficient, 1/2 being the mean of x there. S(x) = exp(-h r) falls by S r (move of h + h x move of the
    coefficient).
    """
    found = []
    mean, size = average(arm, "ATE"), sum(ROWS.values())
    h = float(STEP[arm])
    for (own, x, years, event), count in ROWS.items():
        residual = event - 2**x * float(STEP[own]) if years >= 1 else 0.0
        coefficient = 2 * (x - 0.5) * residual
        step = (residual * h if own == arm else 0.0) - h / 2 * coefficient
        moved = [-survival(arm, z) * 2**z * (step + h * z * coefficient) for z in (0, 1)]
        share = float(SHARE_X["ATE"])
        chain = share * moved[1] + (1 - share) * moved[0]
        found += count * [(survival(arm, x) - mean) / size + chain]
    return np.array(found)


@pytest.mark.parametrize("estimand", ["ATE", "ATT", "ATC"])
def test_survival_is_averaged_over_the_population_of_the_estimand(estimand: str) -> None:
    table = standardised_survival(rows(), adjust="x", times=[1, 2], tau=2, estimand=estimand, **COLUMNS).frame
    one, zero = average("a", estimand), average("b", estimand)
    at_one_time = [one, zero, one - zero, zero - one, (1 - one) / (1 - zero)]
    means = [1 + one, 1 + zero, one - zero]  # nothing happens in the first year, and nothing after its end
    np.testing.assert_allclose(table["estimate"], [*at_one_time, *at_one_time, *means], rtol=1e-9)
    assert table["n"].tolist()[:5] == [3, 6, 9, 9, 9]
    assert table["n_events"].tolist()[:5] == [1, 1, 2, 2, 2]


def test_the_variance_adds_up_coefficient_hazard_and_average() -> None:
    table = standardised_survival(rows(), adjust="x", times=[1], tau=2, **COLUMNS).frame
    one, zero = influences("a"), influences("b")
    risk_one, risk_zero = 1 - average("a", "ATE"), 1 - average("b", "ATE")
    ratio = -one / risk_one + zero / risk_zero
    expected = [sqrt(part @ part) for part in (one, zero, one - zero, one - zero, ratio, one, zero, one - zero)]
    np.testing.assert_allclose(table["std_error"], expected, rtol=1e-8)
    reach = 1.959963984540054 * expected[4]
    assert table["conf_high"][4] == pytest.approx(exp(log(risk_one / risk_zero) + reach), rel=1e-8)
    np.testing.assert_allclose(table[["conf_low", "conf_high"]].iloc[3], -table[["conf_high", "conf_low"]].iloc[2])
    assert one.sum() == pytest.approx(0, abs=1e-12)


def cohort(size: int = 60) -> pd.DataFrame:
    stream = np.random.default_rng(3)
    x = stream.normal(size=size).round(2)
    arm = np.where(stream.uniform(size=size) < 1 / (1 + np.exp(-x)), "a", "b")
    time, left = stream.exponential(5 * np.exp(-0.6 * x)), stream.uniform(2, 12, size)
    frame = {"arm": arm, "x": x, "years": np.ceil(2 * np.minimum(time, left)) / 2, "flare": (time <= left).astype(int)}
    return pd.DataFrame(frame).assign(patient_id=range(size), kind=stream.choice(["III", "IV"], size))


@pytest.mark.parametrize(
    "options", [{}, {"arm": "term", "estimand": "ATT"}, {"separate_arms": True}], ids=["strata", "term", "separate"]
)
def test_errors_are_those_of_a_jackknife(options: dict[str, object]) -> None:
    # The jackknife is the larger by O(1/n): 1 to 13 % of the standard error with sixty patients, tied times included.
    data = cohort()
    asked = {"adjust": "x + kind", "times": [2, 5], "tau": 6, **COLUMNS, **options}
    errors = standardised_survival(data, **asked).frame["std_error"].to_numpy()
    left_out = np.array([readings(data.drop(index=row), asked) for row in data.index])
    jackknife = left_out.std(axis=0) * sqrt(len(data) - 1)
    assert np.all((errors / jackknife > 0.86) & (errors / jackknife < 0.99))


def readings(data: pd.DataFrame, asked: dict[str, object]) -> np.ndarray:
    table = standardised_survival(data, **asked).frame
    return table["estimate"].mask(table["statistic"] == "risk_ratio", lambda ratio: np.log(ratio.abs())).to_numpy()


def test_the_bootstrap_resamples_patients_and_names_its_seed() -> None:
    asked = {"adjust": "x", "times": [2], "tau": 4, "replicates": 200, "variance": "bootstrap", **COLUMNS}
    analytic = standardised_survival(cohort(), adjust="x", times=[2], tau=4, **COLUMNS).frame
    drawn = standardised_survival(cohort(), **asked, seed=4)
    np.testing.assert_array_equal(drawn.frame["estimate"], analytic["estimate"])
    ratio = drawn.frame["std_error"] / analytic["std_error"]
    assert ((ratio > 0.8) & (ratio < 1.35)).all()  # 200 replicates: 5 % of noise on O(1/n) of bias
    assert drawn.metadata["seed"] == 4
    assert drawn.frame["method"].str.contains("model fitted in each replicate, 200 replicates").all()


class TestWhatCannotBeEstimated:
    def test_an_arm_without_events_survives_and_says_so(self) -> None:
        nobody = cohort().assign(flare=lambda frame: frame["flare"].where(frame["arm"] == "b", 0))
        for separate in (False, True):
            table = standardised_survival(nobody, adjust="x", times=[3], tau=3, separate_arms=separate, **COLUMNS).frame
            assert table["estimate"].iloc[0] == 1
            assert table["note"].iloc[0] == "no event up to this time: no interval"
            assert table["note"].iloc[[2, 3, 7]].str.contains("no event in a, whose variance is taken as zero").all()
            assert (table["estimate"].iloc[4], table["note"].iloc[4][:15]) == (0, "an arm has no e")
            assert table["estimate"].iloc[5] == 3
        pooled = standardised_survival(nobody, adjust="x", times=[3], tau=3, arm="term", **COLUMNS).frame
        assert pooled["estimate"].isna().all()
        assert pooled["note"].str.contains("arm a: no estimate: monotone likelihood").all()

    def test_a_level_without_events_is_named_in_every_row(self) -> None:
        flareless = cohort().assign(flare=lambda frame: frame["flare"].where(frame["kind"] == "III", 0))
        table = standardised_survival(flareless, adjust="x + kind", times=[3], tau=3, **COLUMNS).frame
        assert len(table) == 8
        assert table["estimate"].isna().all()
        assert table["note"].str.startswith("Cox model: kind=IV: no estimate: monotone likelihood").all()
        assert table["note"].str.endswith("merge sparse levels or leave the terms out").all()

    def test_beyond_the_last_time_there_is_no_survival(self) -> None:
        data = cohort().assign(years=lambda frame: frame["years"].clip(upper=np.where(frame["arm"] == "b", 4.0, 9.0)))
        table = standardised_survival(data, adjust="x", times=[5], **COLUMNS).frame
        assert table["estimate"].notna().tolist() == [True, False, False, False, False]
        assert (table["note"].iloc[1:] == "beyond the last observed time of an arm").all()
        with pytest.raises(AnalysisError, match=r"group 'b': tau lies beyond the last observed time.*last time 4"):
            standardised_survival(data, adjust="x", tau=5, **COLUMNS)
        pooled = standardised_survival(data, adjust="x", times=[5], arm="term", **COLUMNS).frame
        assert pooled["estimate"].notna().all()

    @pytest.mark.parametrize(
        ("change", "options", "words"),
        [
            ({"arm": "a"}, {}, "column arm: two arms are needed"),
            ({"x": np.nan}, {}, "column 'x': missing values"),
            ({"x": 1.0}, {}, r"constant or a combination.*x"),
            ({"patient_id": 1}, {}, "a patient has more than one row"),
            ({}, {"estimand": "ATO"}, "unknown estimand"),
            ({}, {"arm": "both"}, "use stratum or term"),
            ({}, {"times": []}, "name times, tau or both"),
            ({}, {"tau": 0}, "tau must be above zero"),
            ({}, {"variance": "bootstrap"}, "needs a seed"),
            ({}, {"variance": "robust"}, "use influence, bootstrap"),
        ],
    )
    def test_bad_requests_are_named(self, change: dict[str, object], options: dict[str, object], words: str) -> None:
        with pytest.raises((AnalysisError, UsageError), match=words):
            standardised_survival(cohort().assign(**change), **{"adjust": "x", "times": [2], **COLUMNS, **options})
