"""The statistics of the realism table against values worked out by hand or printed elsewhere."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from analyses.datasets import AnalysisData
from analyses.realism.borrowed import Published, Reference
from analyses.realism.correlations import _lag_row, sign_note, spearman
from analyses.realism.distributions import bin_edges
from analyses.realism.marginals import median_interval, poisson_rate, range_note
from analyses.realism.plausibility import plausibility_rows, quiet_pairs
from analyses.realism.ranges import RealismRanges
from analyses.realism.verdicts import Verdict, verdict_of
from cohort.store import Cohort

Z = 1.959963984540054


def published(value: float, **details: object) -> Published:
    return Published("demo", "demo", value, **details)  # type: ignore[arg-type]


def test_limits_of_a_mean_are_its_standard_error_times_196() -> None:
    low, high = published(30.0, patients=25, sd=10.0).limits("mean")
    assert (low, high) == pytest.approx((30 - Z * 2, 30 + Z * 2))


def test_limits_of_a_median_are_symmetric_ratios() -> None:
    # Quartiles e^(-0.674...) and e^(+0.674...) around 1 are those of a log-normal with log SD 1.
    quartile = 0.6744897501960817
    low, high = published(1.0, patients=100, quartiles=(math.exp(-quartile), math.exp(quartile))).limits("median")
    assert math.log(high) == pytest.approx(Z * math.sqrt(math.pi / 2) / 10)
    assert low * high == pytest.approx(1.0)


def test_limits_of_a_share_are_wilson_s() -> None:
    # Wilson 1927 as worked by Newcombe 1998, table I: 81 of 263.
    low, high = published(81 / 263, patients=263).limits("proportion")
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)


def test_a_value_without_precision_and_a_target_stand_for_themselves() -> None:
    assert published(9.6).limits("rate_per_100_patient_years") == (9.6, 9.6)
    assert published(9.6, patients=50).limits("rate_per_100_patient_years") == (9.6, 9.6)
    assert published(5.0, band=(4.0, 6.0)).limits("mean") == (4.0, 6.0)


def test_a_range_spans_all_cohorts() -> None:
    both = Reference("x", "mean", (published(10.0), published(30.0, patients=25, sd=10.0)))
    assert both.range == pytest.approx((10.0, 30 + 2 * Z))
    assert str(both) == "10 [demo]; 30 SD 10 [demo]"
    assert str(published(1.0, quartiles=(0.5, 2.0))) == "1 (quartiles 0.5 to 2) [demo]"


def test_every_range_is_ordered_and_holds_its_published_values() -> None:
    for reference in RealismRanges().references():
        low, high = reference.range
        assert low <= min(one.value for one in reference.published)
        assert high >= max(one.value for one in reference.published)


@pytest.mark.parametrize(
    ("estimate", "note"),
    [
        (4.5, "within the borrowed range"),
        (9.0, "within the borrowed range"),
        (4.4999, "outside the borrowed range; below it; its 95 % interval reaches it"),
        (9.0001, "outside the borrowed range; above it; its 95 % interval reaches it"),
        (12.0, "outside the borrowed range; above it"),
        (2.0, "outside the borrowed range; below it"),
    ],
)
def test_the_ends_belong_to_the_range(estimate: float, note: str) -> None:
    assert range_note(estimate, estimate - 1, estimate + 1, (4.5, 9.0)) == note


def test_spearman_agrees_with_the_published_example_of_its_interval() -> None:
    # The worked example of ci.spear in Bonett's R package statpsych.
    y = [21, 4, 9, 12, 35, 18, 10, 22, 24, 1, 6, 8, 13, 16, 19]
    x = [67, 28, 30, 28, 52, 40, 25, 37, 44, 10, 14, 20, 28, 40, 51]
    estimate, _, low, high = spearman(np.array(x, dtype=float), np.array(y, dtype=float))
    assert (estimate, low, high) == pytest.approx((0.8699639, 0.5840951, 0.9638297), abs=5e-8)


def test_spearman_of_five_pairs_by_the_textbook_formula() -> None:
    # Rank differences 1, 1, 1, 1, 0: 1 - 6 * 4 / (5 * 24) = 0.8.
    estimate, *_ = spearman(np.array([1.0, 2, 3, 4, 5]), np.array([20.0, 10, 40, 30, 50]))
    assert estimate == pytest.approx(0.8)


def test_spearman_without_variation_or_with_perfect_agreement_has_no_interval() -> None:
    flat = np.ones(5)
    assert all(math.isnan(value) for value in spearman(flat, np.arange(5.0)))
    estimate, _, low, _ = spearman(np.arange(5.0), np.arange(5.0) ** 3)
    assert estimate == pytest.approx(1.0)
    assert math.isnan(low)
    assert verdict_of(sign_note(math.nan, math.nan, math.nan, 1, "")) is Verdict.NOT_COMPUTED
    assert verdict_of(sign_note(1.0, math.nan, math.nan, 1, "")) is Verdict.UNCLEAR_SIGN


@pytest.mark.parametrize(
    ("limits", "sign", "verdict"),
    [
        ((-0.5, -0.1), -1, Verdict.RIGHT_SIGN),
        ((-0.5, -0.1), 1, Verdict.WRONG_SIGN),
        ((0.1, 0.5), -1, Verdict.WRONG_SIGN),
        ((0.1, 0.5), 1, Verdict.RIGHT_SIGN),
        ((-0.1, 0.5), 1, Verdict.UNCLEAR_SIGN),
    ],
)
def test_signs(limits: tuple[float, float], sign: int, verdict: Verdict) -> None:
    assert verdict_of(sign_note(sum(limits) / 2, *limits, sign, "why")) is verdict


def test_the_median_s_interval_is_that_of_binomial_tables() -> None:
    # n = 10: P(B <= 1) = 11/1024 < 0.025 < P(B <= 2) = 56/1024, hence the 2nd and the 9th value.
    assert median_interval(np.arange(1.0, 11.0)) == (5.5, 2.0, 9.0)
    # n = 6: P(B <= 0) = 1/64: the ends. n = 5: 1/32 is too much.
    assert median_interval(np.arange(1.0, 7.0)) == (3.5, 1.0, 6.0)
    centre, low, high = median_interval(np.arange(1.0, 6.0))
    assert centre == 3.0
    assert math.isnan(low)
    assert math.isnan(high)


def test_the_exact_interval_of_a_count_is_garwood_s() -> None:
    # Tabulated 95 % limits of a Poisson count: 0 gives 0 to 3.689, 10 gives 4.795 to 18.390.
    assert poisson_rate(0, 100.0) == pytest.approx((0.0, 0.0, 3.689), abs=5e-4)
    assert poisson_rate(10, 100.0) == pytest.approx((10.0, 4.795, 18.390), abs=5e-4)


def test_bins_hold_whole_steps() -> None:
    edges = bin_edges(np.array([0.0, 40.0]), 1.0, logarithmic=False)
    # 41 printed values in bins of three: 14 bins.
    assert len(edges) == 15
    assert set(np.diff(edges)) == {3.0}
    assert edges[0] == -0.5
    assert edges[-1] > 40
    ratios = bin_edges(np.array([1.0, 65535.0]), 1.0, logarithmic=True)
    assert ratios[1:].tolist() == [2.0**k - 0.5 for k in range(1, 17)]
    assert bin_edges(np.array([7.0]), 1.0, logarithmic=True).tolist() == [6.5, 7.5]


def tiny(visits: list[tuple[str, int | None, int, float]], events: list[tuple[str, int, str]]) -> AnalysisData:
    """Analysis frames that hold creatinine only, every other laboratory column missing."""
    frame = pd.DataFrame(visits, columns=["patient_id", "visit_month", "day", "serum_creatinine_mg_dl"])
    frame = frame.astype({"visit_month": "Int32"})
    for name in (
        "upcr_g_g", "egfr_ml_min_1_73m2", "albumin_g_dl", "c3_mg_dl", "c4_mg_dl", "anti_dsdna_iu_ml", "hemoglobin_g_dl",
    ):  # fmt: skip
        frame[name] = np.nan
    happened = pd.DataFrame(events, columns=["patient_id", "day", "event"])
    patients = pd.DataFrame({"patient_id": sorted({row[0] for row in visits})})
    cohort = Cohort(patients, frame, happened, happened, study="demo")
    nothing = pd.DataFrame({"patient_id": [], "day": []}).astype({"patient_id": "object", "day": "int64"})
    return AnalysisData(
        baseline=patients,
        responses=nothing,
        not_assessable=nothing,
        missing=nothing,
        event_free=nothing,
        flares=nothing,
        treated="a",
        reference="b",
        months=(0, 6, 12),
        horizon_years=1.0,
        cohort=cohort,
    )


def test_pairs_with_an_event_between_or_on_dialysis_are_left_out() -> None:
    data = tiny(
        [
            ("p", 0, 0, 1.0), ("p", 6, 180, 1.5), ("p", None, 200, 3.0), ("p", 12, 365, 1.0), ("p", 24, 730, 3.0),
            ("q", 0, 0, 2.0), ("q", 6, 180, 8.0), ("q", 12, 365, 4.0),
        ],
        [("p", 200, "serious_infection"), ("q", 180, "eskd")],
    )  # fmt: skip
    pairs = quiet_pairs(data, "serum_creatinine_mg_dl")
    # p 0-180 is quiet, 180-200 ends with the infection and 200-365 begins with it, 365-730 is quiet; q has ESKD.
    assert pairs.to_numpy().tolist() == [[1.0, 1.5, 180.0], [1.0, 3.0, 365.0]]
    rows = {(row["term"], row["statistic"]): row for row in plausibility_rows(data)}
    worst = rows["serum_creatinine_mg_dl", "largest_fold_change"]
    assert worst["estimate"] == pytest.approx(3.0)
    assert worst["note"] == "no range found; from 1 to 3 in 365 days without an event"
    assert rows["serum_creatinine_mg_dl", "share_doubled"]["n_events"] == 1
    assert rows["c3_mg_dl", "largest_fold_change"]["note"] == "not computed; no value observed"


def checks(values: list[float]) -> dict[str, Verdict]:
    data = tiny([(f"p{place:04d}", 0, 0, value) for place, value in enumerate(values)], [])
    return {
        str(row["statistic"]): verdict_of(str(row["note"]))
        for row in plausibility_rows(data)
        if row["term"] == "serum_creatinine_mg_dl"
    }


EVEN = [round(0.5 + 0.01 * step, 2) for step in range(100)]


def test_even_values_as_printed_pass_every_check() -> None:
    found = checks(EVEN)
    assert found["share_off_grid"] is Verdict.AS_PRINTED
    assert found["share_ending_0_or_5"] is Verdict.NOT_HEAPED
    assert found["share_at_lowest"] is found["share_at_highest"] is Verdict.NO_PILE


def test_values_cut_off_at_an_end_pile_up() -> None:
    # Ten at the end and none beside: chance 2^-10 < 0.001. Nine are not enough.
    assert checks([0.2] * 10 + EVEN)["share_at_lowest"] is Verdict.PILE
    assert checks([0.2] * 9 + EVEN)["share_at_lowest"] is Verdict.NO_PILE
    assert checks([3.0] * 10 + EVEN)["share_at_highest"] is Verdict.PILE


def test_too_many_decimals_and_rounded_digits_are_seen() -> None:
    assert checks([0.8125, *EVEN])["share_off_grid"] is Verdict.TOO_FINE
    rounded = [round(0.5 + 0.05 * (step % 20), 2) for step in range(100)]
    assert checks(rounded)["share_ending_0_or_5"] is Verdict.HEAPED
    assert checks([0.5, 0.5, 0.9])["share_ending_0_or_5"] is Verdict.NOT_COMPUTED


def visits_of(table: dict[str, list[float]]) -> pd.DataFrame:
    rows = [(name, 6 * place, value) for name, values in table.items() for place, value in enumerate(values)]
    return pd.DataFrame(rows, columns=["patient_id", "visit_month", "c3_mg_dl"])


def test_successive_values_are_ranked_within_the_visit() -> None:
    # All rise together; within each visit the order of the patients stays: the rank correlation is 1.
    kept = _lag_row(visits_of({name: [x, 10 * x, 100 * x] for name, x in zip("abcde", range(1, 6), strict=True)}),
                    "c3_mg_dl")  # fmt: skip
    assert kept["estimate"] == pytest.approx(1.0)
    assert kept["n"] == 10
    # Each visit turns the order round: -1, which is the wrong sign as far as an interval can say.
    turned = _lag_row(visits_of({name: [x, 6 - x, x] for name, x in zip("abcde", range(1, 6), strict=True)}),
                      "c3_mg_dl")  # fmt: skip
    assert turned["estimate"] == pytest.approx(-1.0)


def test_the_jackknife_leaves_out_one_patient_at_a_time() -> None:
    table = {"a": [1.0, 2.0, 1.0], "b": [2.0, 1.0, 3.0], "c": [3.0, 5.0, 4.0], "d": [4.0, 3.0, 2.0], "e": [5.0, 4.0]}
    row = _lag_row(visits_of(table), "c3_mg_dl")
    frame = visits_of(table)
    rank = frame.groupby("visit_month")["c3_mg_dl"].rank(pct=True)
    pairs = frame.assign(rank=rank, after=rank.groupby(frame["patient_id"]).shift(-1)).dropna()
    z = [
        math.atanh(np.corrcoef(pairs[["rank", "after"]][pairs["patient_id"] != name].to_numpy().T)[0, 1])
        for name in "abcde"
    ]
    error = math.sqrt(4 / 5 * sum((one - sum(z) / 5) ** 2 for one in z))
    whole = math.atanh(np.corrcoef(pairs[["rank", "after"]].to_numpy().T)[0, 1])
    assert row["std_error"] == pytest.approx(error)
    assert row["conf_low"] == pytest.approx(math.tanh(whole - Z * error))


def test_too_few_patients_have_no_interval() -> None:
    row = _lag_row(visits_of({"a": [1.0, 2.0], "b": [2.0, 1.0], "c": [3.0, 3.0]}), "c3_mg_dl")
    assert math.isnan(float(str(row["conf_low"])))
    assert verdict_of(str(row["note"])) is Verdict.UNCLEAR_SIGN
    assert verdict_of(str(_lag_row(visits_of({"a": [1.0]}), "c3_mg_dl")["note"])) is Verdict.NOT_COMPUTED
