"""Protects Rubin's rules, who counts as missing at a visit, and what each strategy makes of it, on counts by hand."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analyses.imputation import pool_imputations
from analyses.kernels.shrunken_logistic import INTERCEPT_PRIOR_SD, PRIOR_SD, fit_shrunken_logistic
from analyses.longitudinal import missing_visit_strategies, response_visits


def test_rubins_rules() -> None:
    """Estimates 1, 2, 3, variances 1/2: within 1/2, between 1, total 1/2 + 4/3 = 11/6; increase 8/3, share 8/11.

    Rubin's degrees of freedom 2 / (8/11)^2 = 121/32. With 10 for the complete data the observed ones are
    (11/13) * 10 * (3/11) = 30/13, together 1 / (32/121 + 13/30). Missing information (8/3 + 2/(df + 3)) / (11/3).
    """
    pooled = pool_imputations([1.0, 2.0, 3.0], [0.5, 0.5, 0.5], complete_degrees_of_freedom=10)
    freedom = 1 / (32 / 121 + 13 / 30)
    assert float(pooled.estimate) == 2
    assert float(pooled.std_error) == pytest.approx(math.sqrt(11 / 6), rel=1e-14)
    assert float(pooled.relative_increase) == pytest.approx(8 / 3, rel=1e-14)
    assert float(pooled.degrees_of_freedom) == pytest.approx(freedom, rel=1e-14)
    assert float(pooled.missing_information) == pytest.approx((8 / 3 + 2 / (freedom + 3)) / (11 / 3), rel=1e-14)
    large = pool_imputations([1.0, 2.0, 3.0], [0.5, 0.5, 0.5])
    assert float(large.degrees_of_freedom) == pytest.approx(121 / 32, rel=1e-14)


def test_pooled_p_value_and_critical_value_are_of_students_t() -> None:
    """One degree of freedom is Cauchy: P(|T| > 1) = 1/2, and the quantile at 0.75 is 1.

    Two imputations 1 - d, 1 + d without variance within: share 1, degrees of freedom 1, total 1.5 * 2 d^2 = 3 d^2. With
    d = 1 / sqrt(3) the standard error is 1, as large as the estimate.
    """
    d = 1 / math.sqrt(3)
    pooled = pool_imputations([1 - d, 1 + d], [0.0, 0.0])
    assert float(pooled.degrees_of_freedom) == pytest.approx(1, rel=1e-14)
    assert float(pooled.p_value()) == pytest.approx(0.5, rel=1e-12)
    assert float(pooled.critical_value(0.5)) == pytest.approx(1, rel=1e-12)
    assert float(pooled.missing_information) == 1
    assert float(pooled.relative_increase) == math.inf


def test_imputations_that_agree_leave_the_complete_data_analysis() -> None:
    """Three times 0.1 + 0.2, not representable: no variance between, the complete degrees of freedom, no loss."""
    pooled = pool_imputations(np.full((3, 2), 0.1 + 0.2), np.full((3, 2), 4.0), complete_degrees_of_freedom=[7.0, 9.0])
    assert pooled.between.tolist() == [0, 0]
    assert pooled.std_error.tolist() == [2, 2]
    assert pooled.degrees_of_freedom.tolist() == [7, 9]
    assert pooled.missing_information.tolist() == [0, 0]
    nothing = pool_imputations([0.0, 0.0], [0.0, 0.0])
    assert math.isnan(float(nothing.p_value()))


def test_the_weak_prior_solves_its_score_equation() -> None:
    """At the mode the score of the likelihood equals the coefficients over their prior variances: X'(y - p) = b / sd^2.

    Columns are (x - mean) / (2 sd); all three: perfectly separated, constant, and plain.
    """
    x = np.column_stack([[0.0, 0, 0, 1, 1, 1], np.full(6, 4.0), [1.0, 2, 3, 4, 5, 7]])
    y = np.array([0.0, 0, 0, 1, 1, 1])
    fit = fit_shrunken_logistic(x, y)
    scaled = np.column_stack(
        [np.ones(6), (x[:, 0] - 0.5) / 1.0, np.zeros(6), (x[:, 2] - x[:, 2].mean()) / (2 * x[:, 2].std())]
    )
    score = scaled.T @ (y - fit.probability(x))
    np.testing.assert_allclose(
        score, fit.coefficients / np.array([INTERCEPT_PRIOR_SD, PRIOR_SD, PRIOR_SD, PRIOR_SD]) ** 2, atol=1e-9
    )
    assert fit.coefficients[2] == 0
    assert fit.coefficients[1] > 1


LOCK = pd.Timestamp("2020-01-01")


def patient(name: str, index: str, follow_up: int, reason: str) -> dict[str, Any]:
    return {
        "patient_id": name,
        "arm": "a",
        "index_date": pd.Timestamp(index),
        "follow_up_days": follow_up,
        "end_reason": reason,
    }


def test_who_was_due_and_why_a_response_is_not_known() -> None:
    """Months 6 and 12 (days 183 and 365), lock on 2020-01-01, the end of `locked`.

    `full` completed and missed month 6. `locked` entered 200 days before the lock: month 12 never was due. `lost` could
    have reached both. `late` was lost too, but entered 200 days before the lock: month 12 was not due. `dead` died on
    day 100. `failed` had kidney failure on day 200 and was seen no more. `lacking` was seen without values.
    """
    baseline = pd.DataFrame(
        [
            patient("dead", "2015-01-01", 100, "death"),
            patient("failed", "2015-01-01", 210, "lost_to_follow_up"),
            patient("full", "2015-01-01", 400, "completed"),
            patient("lacking", "2015-01-01", 400, "completed"),
            patient("late", str(LOCK - pd.Timedelta(days=200)), 20, "lost_to_follow_up"),
            patient("locked", str(LOCK - pd.Timedelta(days=200)), 200, "data_lock"),
            patient("lost", "2015-01-01", 190, "lost_to_follow_up"),
        ]
    )
    responses = pd.DataFrame(
        {
            "patient_id": ["full", "locked", "lost", "lacking", "failed"],
            "visit_month": [12, 6, 6, 12, 6],
            "response": ["CR", "PR", "NR", "CR", "PR"],
        }
    )
    not_assessable = pd.DataFrame({"patient_id": ["lacking"], "visit_month": [6]})
    events = pd.DataFrame({"patient_id": ["dead", "failed"], "day": [100, 200], "event": ["death", "eskd"]})
    data: Any = SimpleNamespace(
        baseline=baseline,
        responses=responses,
        not_assessable=not_assessable,
        months=(0, 6, 12),
        cohort=SimpleNamespace(events=events),
    )
    frame = response_visits(data)
    found = {
        name: [(row.status, bool(row.due)) for row in own.itertuples()] for name, own in frame.groupby("patient_id")
    }
    assert found == {
        "dead": [("death", True), ("death", True)],
        "failed": [("assessed", True), ("kidney_failure", True)],
        "full": [("missed visit", True), ("assessed", True)],
        "lacking": [("not assessable", True), ("assessed", True)],
        "late": [("lost_to_follow_up", True), ("data_lock", False)],
        "locked": [("assessed", True), ("data_lock", False)],
        "lost": [("assessed", True), ("lost_to_follow_up", True)],
    }
    assert frame["response"].dropna().tolist() == ["PR", "CR", "CR", "PR", "NR"]
    earlier = response_visits(data, data_lock=pd.Timestamp("2015-06-01").date())
    dead = earlier[earlier["patient_id"] == "dead"]
    assert dead["status"].tolist() == ["data_lock", "data_lock"]


def visits(rows: list[tuple[str, int, str | None, str]], copies: int = 1) -> pd.DataFrame:
    """Rows of arm, number of patients, response at month 6 (None: not assessed) and status."""
    frame = [
        (f"{arm}{place}-{copy}", arm, 6, True, response, status)
        for place, (arm, number, response, status) in enumerate(rows)
        for copy in range(number * copies)
    ]
    return pd.DataFrame(frame, columns=["patient_id", "arm", "visit_month", "due", "response", "status"])


def rates(frame: pd.DataFrame, **options: Any) -> dict[tuple[str, str], float]:
    table = missing_visit_strategies(frame, reference=None, covariates=None, seed=1, imputations=5, **options).frame
    return {(row.population, row.term): row.estimate for row in table.itertuples()}


def test_death_is_no_response_or_missing_as_asked() -> None:
    """One arm: 3 CR, 1 PR, 2 NR, 2 dead, 2 missed. Observed 3/6 CR, 4/10 with PR by non-responder imputation.

    With death as no response the 6 assessed stand for the 8 alive: 4 CR of 10. As missing: 3/6.
    """
    rows = [
        ("a", 3, "CR", "assessed"),
        ("a", 1, "PR", "assessed"),
        ("a", 2, "NR", "assessed"),
        ("a", 2, None, "death"),
        ("a", 2, None, "missed visit"),
    ]
    composite, hypothetical = rates(visits(rows, 500)), rates(visits(rows, 500), death="missing")
    for found in (composite, hypothetical):
        assert found["observed cases", "CR"] == pytest.approx(0.5, rel=1e-12)
        assert found["non-responder imputation", "CR or PR"] == pytest.approx(0.4, rel=1e-12)
    # The prior of the intercept (sd 10) moves a log odds of log 3 by log 3 / 100 / (4000 * 3/16) = 1.5e-5.
    assert composite["inverse probability of assessment", "CR"] == pytest.approx(0.4, abs=1e-5)
    assert hypothetical["inverse probability of assessment", "CR"] == pytest.approx(0.5, rel=1e-12)


def test_what_was_seen_before_is_used() -> None:
    """Month 6: half CR, half NR. Month 12: of the CR 80 % are assessed, 90 % of them CR; of the NR 40 %, 30 % CR.

    As month 12 depends on month 6 alone, the rate among all is (0.9 + 0.3) / 2 = 0.6; observed
    (0.8 * 0.9 + 0.4 * 0.3) / 1.2 = 0.7. With 4,000 patients a prior sd of 2.5 moves rates by less than 1e-3; imputation
    has a Monte Carlo error besides, of standard error sqrt(between / imputations).
    """
    rows: list[tuple[str, int, str | None]] = [
        ("CR", 1440, "CR"),
        ("CR", 160, "NR"),
        ("CR", 400, None),
        ("NR", 240, "CR"),
        ("NR", 560, "NR"),
        ("NR", 1200, None),
    ]
    frame = pd.DataFrame(
        [
            (f"{place}-{copy}", "a", month, True, response, "missed visit" if response is None else "assessed")
            for place, (first, number, second) in enumerate(rows)
            for copy in range(number)
            for month, response in ((6, first), (12, second))
        ],
        columns=["patient_id", "arm", "visit_month", "due", "response", "status"],
    )
    table = missing_visit_strategies(
        frame, reference=None, covariates=None, seed=4, imputations=20, outcomes=["CR"]
    ).frame
    late = table[table["time"] == 12].set_index("population")
    assert late.loc["observed cases", "estimate"] == pytest.approx(0.7, rel=1e-12)
    assert late.loc["inverse probability of assessment", "estimate"] == pytest.approx(0.6, abs=1e-3)
    own_error = late.loc["multiple imputation", "std_error"] / math.sqrt(20)
    assert abs(late.loc["multiple imputation", "estimate"] - 0.6) < 4 * own_error + 1e-3


def test_imputation_knows_how_much_it_does_not_know() -> None:
    """Half of 800 at random, nothing else to go by: the standard error is that of the 400 seen, half the information.

    Over 100 imputations the variance between them has a relative standard error of sqrt(2 / 99) = 0.14 and is half of
    the total: that total is known to 7 %, its root to 3.6 %.
    """
    frame = visits([("a", 240, "CR", "assessed"), ("a", 160, "NR", "assessed"), ("a", 400, None, "missed visit")])
    table = missing_visit_strategies(
        frame, reference=None, covariates=None, seed=9, imputations=100, outcomes=["CR"]
    ).frame.set_index("population")
    row = table.loc["multiple imputation"]
    plain = math.sqrt(0.6 * 0.4 / 400)
    assert row["std_error"] == pytest.approx(plain, rel=3 * 0.036)
    assert abs(row["estimate"] - 0.6) < 4 * plain / math.sqrt(2) / 10
    assert row["note"].startswith("400 of the 800 patients due not assessed; 100 imputations; df=")
    missing = float(row["note"].rsplit(" ", 1)[1])
    assert missing == pytest.approx(0.5, abs=3 * 0.14 * 0.25)


def test_a_response_that_everybody_seen_has_is_imputed_to_almost_everybody() -> None:
    """240 seen, all in CR, 200 not seen. At the mode 240 exp(-b) = b / 100, b = 8.2: one in 3,700 is imputed otherwise.

    A normal approximation around that mode, of standard deviation 3.6, would give one in fifty.
    """
    frame = visits([("a", 240, "CR", "assessed"), ("a", 200, None, "missed visit")])
    table = missing_visit_strategies(frame, reference=None, covariates=None, seed=2, outcomes=["CR"]).frame
    assert table.set_index("population").loc["multiple imputation", "estimate"] > 0.999
