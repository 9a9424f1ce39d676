"""Protects the estimated-score variances, the bootstrap, compare_arms and what comparisons say about bad input."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from analyses.comparison import (
    BinaryOutcome,
    EventOutcome,
    augmented_rates,
    augmented_restricted_mean,
    censoring_weights,
    compare_arms,
    standardised_rates,
    weighted_hazard_ratio,
    weighted_incidence,
    weighted_logrank,
    weighted_rates,
    weighted_restricted_mean,
    weighted_survival,
)
from analyses.comparison.bootstrap import draw_copies, score_replicates, summarised
from analyses.comparison.folds import patient_folds
from analyses.design_matrix import build_design
from analyses.kernels.event_replicates import incidence_replicates, restricted_mean_replicates
from analyses.kernels.logistic_batch import fit_logistic_batch
from analyses.kernels.weight_slopes import incidence_slopes, restricted_mean_slopes
from analyses.propensity import fit_propensity
from analyses.propensity.weights import balancing_weights
from cohort.errors import AnalysisError, UsageError

ARMS = {"treatment_col": "arm", "treated": "t"}
TIMES = {"duration_col": "months", "event_col": "flare"}


def make_cohort(size: int = 90, seed: int = 11) -> pd.DataFrame:
    stream = np.random.default_rng(seed)
    x, z = stream.normal(size=size), stream.integers(0, 2, size).astype(float)
    treated = stream.random(size) < 1 / (1 + np.exp(-(0.7 * x - 0.3 * z)))
    risk = 1 / (1 + np.exp(-(0.5 * x + 0.4 * treated - 0.2)))
    months = np.round(stream.exponential(12 * np.exp(-0.4 * x)), 1) + 0.1
    return pd.DataFrame(
        {
            "patient_id": [f"p{i:04d}" for i in range(size)],
            "arm": np.where(treated, "t", "r"),
            "x": x,
            "z": z,
            "responder": stream.random(size) < risk,
            "months": np.minimum(months, 24.0),
            "flare": ((months <= 24) & (stream.random(size) < 0.8)).astype(int),
            "cause": np.where(months <= 24, stream.integers(0, 3, size), 0),
        }
    )


@pytest.fixture(scope="module")
def cohort() -> pd.DataFrame:
    return make_cohort()


@pytest.fixture(scope="module")
def visits(cohort: pd.DataFrame) -> pd.DataFrame:
    stream = np.random.default_rng(5)
    parts = [
        cohort.assign(visit_month=month, response=stream.choice(["CR", "PR", "NR"], len(cohort))) for month in (6, 12)
    ]
    return pd.concat(parts, ignore_index=True).iloc[7:]


def incidence_difference(frame: pd.DataFrame, weights: np.ndarray) -> float:
    table = weighted_incidence(frame, duration_col="months", event_col="cause", **ARMS, weights=weights, times=[9.0])
    return float(table.frame["estimate"].iloc[2])


def log_rank_score(frame: pd.DataFrame, weights: np.ndarray) -> float:
    durations, events = frame["months"].to_numpy(), frame["flare"].to_numpy() > 0
    treated = (frame["arm"] == "t").to_numpy()
    score = 0.0
    for time in np.unique(durations[events]):
        at_risk, failing = durations >= time, events & (durations == time)
        share = weights[at_risk & treated].sum() / weights[at_risk].sum()
        score += weights[failing & treated].sum() - weights[failing].sum() * share
    return float(score)


@pytest.mark.parametrize("estimand", ["ATE", "ATT", "ATO"])
@pytest.mark.parametrize("statistic", [incidence_difference, log_rank_score])
def test_stacked_influences_are_derivatives_of_the_whole_chain(
    cohort: pd.DataFrame, estimand: str, statistic: Callable[[pd.DataFrame, np.ndarray], float]
) -> None:
    """Differentiated by the case weight of each patient: score, weights and estimate all move."""
    frame = cohort.iloc[:45]
    design = build_design("x + z", frame, intercept=True).matrix
    treated = (frame["arm"] == "t").to_numpy()

    def chain(case: np.ndarray) -> float:
        score = fit_logistic_batch(design, treated.astype(float), case[None]).probability(design)[0]
        return statistic(frame, case * balancing_weights(score, treated, estimand=estimand).values)

    step, influence = 1e-5, np.empty(len(frame))
    for patient in range(len(frame)):
        up, down = np.ones(len(frame)), np.ones(len(frame))
        up[patient] += step
        down[patient] -= step
        influence[patient] = (chain(up) - chain(down)) / (2 * step)
    expected = np.sqrt(np.sum(influence**2))
    weights = fit_propensity(frame, "x + z", **ARMS).estimated_weights(estimand)
    if statistic is incidence_difference:
        table = weighted_incidence(
            frame, duration_col="months", event_col="cause", **ARMS, weights=weights, times=[9.0]
        )
        assert table.frame["std_error"].iloc[2] == pytest.approx(expected, rel=1e-6)
    else:
        chi_square = weighted_logrank(frame, **TIMES, **ARMS, weights=weights).frame["estimate"].item()
        assert chi_square == pytest.approx((log_rank_score(frame, weights.values) / expected) ** 2, rel=1e-6)


def everything(data: pd.DataFrame) -> list[pd.DataFrame]:
    fit = fit_propensity(data, "x + z", **ARMS)
    given = {**ARMS, "weights": fit.estimated_weights()}
    return [
        weighted_rates(data, outcome_col="responder", **given).frame,
        standardised_rates(data, adjust="x + z", outcome_col="responder", **ARMS).frame,
        augmented_rates(data, score="x", adjust="x + z", outcome_col="responder", **ARMS).frame,
        augmented_rates(data, score="x", adjust="x", folds=3, outcome_col="responder", **ARMS).frame,
        weighted_survival(data, **TIMES, **given, times=[3, 9]).frame,
        weighted_restricted_mean(data, **TIMES, **given, tau=12).frame,
        weighted_hazard_ratio(data, **TIMES, **given).frame,
        weighted_logrank(data, **TIMES, **given).frame,
        weighted_incidence(data, duration_col="months", event_col="cause", **given, times=[9]).frame,
        augmented_restricted_mean(data, **TIMES, **ARMS, tau=12, score="x", adjust="x", censoring="z", folds=2).frame,
        compare_arms(
            data, **ARMS, score="x + z", outcomes=[BinaryOutcome("responder"), EventOutcome("months", "flare", tau=12)],
            variance="bootstrap", replicates=100, seed=3,
        ).frame,
    ]  # fmt: skip


def test_row_order_and_index_do_not_matter(cohort: pd.DataFrame) -> None:
    before = cohort.copy()
    straight = everything(cohort)
    pd.testing.assert_frame_equal(cohort, before)
    mixed = cohort.sample(frac=1, random_state=2).set_index(pd.Index(np.arange(len(cohort)) // 2))
    for one, other in zip(straight, everything(mixed), strict=True):
        pd.testing.assert_frame_equal(one, other, rtol=1e-8, atol=1e-12)


def test_arrow_and_nullable_columns_give_the_same(cohort: pd.DataFrame) -> None:
    given = {"score": "x", "adjust": "x + z", "outcome_col": "responder", **ARMS}
    plain = augmented_rates(cohort, **given).frame
    pd.testing.assert_frame_equal(augmented_rates(cohort.convert_dtypes(), **given).frame, plain)
    arrow = cohort.convert_dtypes(dtype_backend="pyarrow")
    pd.testing.assert_frame_equal(augmented_rates(arrow, **given).frame, plain)


class TestBootstrap:
    def test_draws_belong_to_patients(self) -> None:
        ids = np.array(["c", "a", "b"])
        one = draw_copies(ids, replicates=100, seed=1)
        two = draw_copies(ids[::-1], replicates=100, seed=1)
        np.testing.assert_array_equal(one, two[:, ::-1])
        assert np.all(one.sum(axis=1) == 3)

    def test_a_replicate_is_the_analysis_of_the_patients_drawn(self, cohort: pd.DataFrame) -> None:
        copies = draw_copies(cohort["patient_id"].to_numpy(dtype=np.str_), replicates=100, seed=8)
        treated = (cohort["arm"] == "t").to_numpy()
        design = build_design("x + z", cohort, intercept=True).matrix
        drawn = score_replicates(design, treated, copies, estimand="ATE")
        outcomes = [BinaryOutcome("responder"), EventOutcome("months", "flare", tau=12, times=(9.0,))]
        from analyses.comparison.bootstrap import event_replicates, rate_replicates

        found = dict(
            rate_replicates(cohort["responder"].to_numpy(dtype=float), treated, drawn.mass, arms=("t", "r"), time=0.0)
        )
        found |= dict(
            event_replicates(
                cohort["months"].to_numpy(), cohort["flare"].to_numpy(dtype=np.intp), treated, drawn,
                arms=("t", "r"), tau=12.0, times=np.array([9.0]), cause=None,
            )
        )  # fmt: skip
        for replicate in (0, 41, 99):
            rows = np.repeat(np.arange(len(cohort)), copies[replicate])
            sample = cohort.iloc[rows].assign(patient_id=[f"s{i}" for i in range(len(rows))])
            alone = compare_arms(sample, **ARMS, score="x + z", outcomes=outcomes).frame
            alone = alone[alone["population"] == "weighted"].set_index("statistic")["estimate"]
            for (statistic, _, _), values in found.items():
                expected = np.atleast_1d(alone[statistic])
                value = np.exp(values[replicate]) if statistic in ("risk_ratio", "odds_ratio") else values[replicate]
                assert np.min(np.abs(expected - value)) <= 1e-8 * abs(value), statistic

    def test_curves_of_many_weights_are_those_of_each(self, cohort: pd.DataFrame) -> None:
        stream = np.random.default_rng(1)
        weights = stream.integers(0, 3, (20, len(cohort))) * stream.uniform(0.5, 2, len(cohort))
        durations, causes = cohort["months"].to_numpy(), cohort["cause"].to_numpy(dtype=np.intp)
        times = np.array([2.0, 8.0])
        curves = incidence_replicates(durations, causes, weights, cause=2, times=times)
        areas = restricted_mean_replicates(durations, causes > 0, weights, horizon=9.0)
        for line, curve, area in zip(weights, curves, areas, strict=True):
            kept = line > 0
            alone = incidence_slopes(durations[kept], causes[kept], line[kept], cause=2, times=times)
            np.testing.assert_allclose(curve, alone.estimate, rtol=1e-10)
            one = restricted_mean_slopes(durations[kept], causes[kept] > 0, line[kept], horizon=9.0)
            np.testing.assert_allclose(area, one.estimate[0], rtol=1e-10)

    def test_observation_that_ends_early_has_no_curve(self) -> None:
        weights = np.array([[1.0, 0.0, 0.0], [1.0, 1.0, 1.0]])
        durations, causes = np.array([1.0, 2.0, 5.0]), np.array([0, 1, 0])
        found = incidence_replicates(durations, causes, weights, cause=1, times=np.array([2.0]))[:, 0]
        assert np.isnan(found[0])
        assert found[1] == 0.5
        assert np.isnan(restricted_mean_replicates(durations, causes > 0, weights, horizon=4.0)[0])

    def test_a_replicate_without_weight_has_no_curve(self) -> None:
        durations, causes = np.array([1.0, 2.0, 5.0]), np.array([1, 1, 0])
        weights = np.array([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]])
        found = incidence_replicates(durations, causes, weights, cause=1, times=np.array([2.0]))[:, 0]
        assert np.isnan(found[0])
        assert found[1] == pytest.approx(2 / 3)
        assert np.isnan(restricted_mean_replicates(durations, causes > 0, weights, horizon=4.0)[0])

    def test_replicates_equal_but_for_rounding_have_no_interval(self) -> None:
        values = np.where(np.arange(200) % 2 == 0, 0.0, 1.1e-16)
        row = {"statistic": "risk_difference", "estimate": 0.0, "contrast": "t v r", "note": None}
        found = summarised(row, values, interval="percentile", conf_level=0.95)
        assert np.isnan(found["std_error"])
        assert found["note"] == "no spread among the replicates: no interval"

    def test_intervals(self) -> None:
        values = np.log(np.linspace(0.5, 2.0, 201))
        row = {"statistic": "odds_ratio", "estimate": 1.0, "contrast": "t v r", "note": None}
        percentile = summarised(row, values, interval="percentile", conf_level=0.9)
        assert percentile["conf_low"] == pytest.approx(0.575, rel=1e-3)
        assert percentile["conf_high"] == pytest.approx(1.925, rel=1e-3)
        normal = summarised(row, values, interval="normal", conf_level=0.95)
        spread = np.std(values, ddof=1)
        assert normal["conf_high"] == pytest.approx(np.exp(1.959963984540054 * spread))
        assert normal["p_value"] == pytest.approx(1.0)

    def test_lost_replicates_are_counted_and_too_many_leave_no_interval(self) -> None:
        row = {"statistic": "risk_difference", "estimate": 0.1, "contrast": "t v r", "note": None}
        few = np.r_[np.full(5, np.nan), np.linspace(0, 1, 95)]
        assert (
            summarised(row, few, interval="normal", conf_level=0.95)["note"] == "5 of 100 replicates without estimate"
        )
        many = np.r_[np.full(15, np.nan), np.linspace(0, 1, 85)]
        found = summarised(row, many, interval="normal", conf_level=0.95)
        assert np.isnan(found["conf_low"])
        assert "15 of 100 replicates without estimate: no interval" in str(found["note"])
        flat = summarised(row, np.zeros(100), interval="normal", conf_level=0.95)
        assert "no spread" in str(flat["note"])


class TestCompareArms:
    def test_all_populations_from_one_call(self, cohort: pd.DataFrame, visits: pd.DataFrame) -> None:
        table = compare_arms(
            cohort,
            **ARMS,
            score="x + z",
            outcomes=[
                BinaryOutcome("response", counts="CR or PR", visits=visits, time_col="visit_month"),
                EventOutcome("months", "cause", tau=12, times=(6.0, 12.0), cause=1),
            ],
            adjust="x",
            folds=2,
        )
        frame = table.frame
        assert set(frame["population"]) == {"unadjusted", "weighted", "standardised", "augmented"}
        assert set(frame["term"]) == {"CR or PR", "cause"}
        assert {"risk_ratio", "log_hazard_ratio", "log_subdistribution_hazard_ratio", "chi_square",
                "restricted_mean_difference", "cumulative_incidence_difference"} <= set(frame["statistic"])  # fmt: skip
        assert frame["estimate"].notna().all()
        weighted = frame[(frame["population"] == "weighted") & (frame["statistic"] == "risk_difference")]
        position = pd.Index(cohort["patient_id"]).get_indexer(pd.Index(visits["patient_id"]))
        alone = weighted_rates(
            visits.assign(event=visits["response"] != "NR"), outcome_col="event", time_col="visit_month", **ARMS,
            weights=fit_propensity(cohort, "x + z", **ARMS).estimated_weights().for_rows(position),
        ).frame  # fmt: skip
        alone = alone[alone["statistic"] == "risk_difference"]
        np.testing.assert_array_equal(weighted["std_error"].to_numpy(), alone["std_error"].to_numpy())

    def test_known_weights_and_fits_are_taken(self, cohort: pd.DataFrame) -> None:
        outcomes = [EventOutcome("months", "flare")]
        fit = fit_propensity(cohort, "x", **ARMS)
        by_formula = compare_arms(cohort, **ARMS, score="x", outcomes=outcomes).frame
        pd.testing.assert_frame_equal(compare_arms(cohort, **ARMS, score=fit, outcomes=outcomes).frame, by_formula)
        known = compare_arms(cohort, **ARMS, score=fit.weights(), outcomes=outcomes, variance="known").frame
        assert known["estimate"].tolist()[:3] == by_formula["estimate"].tolist()[:3]
        assert known["method"].str.contains("weights taken as known").all()

    def test_what_cannot_be_estimated_is_a_row(self, cohort: pd.DataFrame) -> None:
        frame = compare_arms(
            cohort, **ARMS, score="x", outcomes=[EventOutcome("months", "flare", tau=99), BinaryOutcome("responder")],
            estimand="ATO", adjust="x",
        ).frame  # fmt: skip
        reasons = frame.loc[frame["statistic"] == "none", "note"].tolist()
        assert sum("tau lies beyond the last observed time" in why for why in reasons) == 2
        assert any("no standardised survival of the estimand ATO" in why for why in reasons)
        assert any("estimand ATE only" in why for why in reasons)
        assert any("estimand ATO" in why for why in reasons)

    def test_exploding_weights_name_the_covariate(self) -> None:
        stream = np.random.default_rng(3)
        severity = np.sort(stream.normal(size=200)) * 4
        treated = severity > 0
        treated[[3, 190]] = [True, False]
        data = pd.DataFrame({"patient_id": range(200), "arm": np.where(treated, "t", "r"), "severity": severity})
        data = data.assign(noise=stream.normal(size=200), responder=stream.random(200) < 0.5)
        frame = compare_arms(data, **ARMS, score="severity + noise", outcomes=[BinaryOutcome("responder")]).frame
        weighted = frame[frame["population"] == "weighted"]
        assert weighted["note"].str.contains("unstable: weights leave").all()
        assert weighted["note"].str.contains("most imbalanced covariate severity").all()
        assert weighted["note"].str.contains("trim the score or use overlap weights").all()
        assert frame.loc[frame["population"] == "unadjusted", "note"].isna().all()

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"variance": "sandwich"}, "unknown variance"),
            ({"variance": "bootstrap"}, "needs a seed"),
            ({"variance": "bootstrap", "seed": 1, "interval": "bca"}, "unknown interval"),
            ({"variance": "bootstrap", "seed": 1, "replicates": 50}, "at least 100 replicates"),
            ({"score": np.ones(90), "variance": "bootstrap", "seed": 1}, "not valid for matching"),
            ({"score": np.ones(90)}, "carry no score"),
            ({"score": np.ones(90), "variance": "known", "adjust": "x"}, "fit the score themselves"),
        ],
    )
    def test_options_that_contradict_each_other(
        self, cohort: pd.DataFrame, options: dict[str, object], words: str
    ) -> None:
        with pytest.raises(UsageError, match=words):
            compare_arms(cohort, **{**ARMS, "score": "x", "outcomes": [BinaryOutcome("responder")], **options})

    def test_rows_of_others(self, cohort: pd.DataFrame, visits: pd.DataFrame) -> None:
        fit = fit_propensity(cohort, "x", **ARMS)
        with pytest.raises(UsageError, match="the fit of the score is of other rows"):
            compare_arms(cohort.iloc[::-1], **ARMS, score=fit, outcomes=[BinaryOutcome("responder")])
        with pytest.raises(UsageError, match="the bootstrap needs the formula"):
            compare_arms(cohort, **ARMS, score=fit, outcomes=[BinaryOutcome("responder")], variance="bootstrap", seed=1)
        with pytest.raises(AnalysisError, match="visits of patients that are not in the data"):
            compare_arms(
                cohort.iloc[:60], **ARMS, score="x",
                outcomes=[BinaryOutcome("response", counts="CR", visits=visits, time_col="visit_month")],
            )  # fmt: skip
        with pytest.raises(AnalysisError, match="more than one row"):
            compare_arms(visits, **ARMS, score="x", outcomes=[BinaryOutcome("responder")])


class TestBadInput:
    def test_single_arm(self, cohort: pd.DataFrame) -> None:
        alone = cohort[cohort["arm"] == "t"]
        for run in (
            lambda: standardised_rates(alone, adjust="x", outcome_col="responder", **ARMS),
            lambda: augmented_rates(alone, score="x", adjust="x", outcome_col="responder", **ARMS),
            lambda: weighted_hazard_ratio(alone, **TIMES, **ARMS, weights=np.ones(len(alone))),
            lambda: augmented_restricted_mean(alone, **TIMES, **ARMS, tau=6, score="x"),
            lambda: compare_arms(alone, **ARMS, score="x", outcomes=[BinaryOutcome("responder")]),
        ):
            with pytest.raises(AnalysisError, match="two arms are needed"):
                run()

    def test_constant_covariates_are_named(self, cohort: pd.DataFrame) -> None:
        data = cohort.assign(site=1.0)
        with pytest.raises(AnalysisError, match=r"constant or a combination.*got site"):
            standardised_rates(data, adjust="x + site", outcome_col="responder", **ARMS)
        with pytest.raises(AnalysisError, match=r"score.*got site"):
            augmented_rates(data, score="site", adjust="x", outcome_col="responder", **ARMS)
        with pytest.raises(AnalysisError, match="got site"):
            augmented_restricted_mean(data, **TIMES, **ARMS, tau=6, score="x", censoring="site")

    def test_separation_is_a_row_that_names_the_term(self, cohort: pd.DataFrame) -> None:
        data = cohort.assign(oracle=cohort["responder"].astype(float), fate=(cohort["arm"] == "t").astype(float))
        frame = standardised_rates(data, adjust="oracle", outcome_col="responder", **ARMS).frame
        assert frame["estimate"].isna().all()
        assert frame["note"].str.contains("outcome model: separation.*oracle").all()
        frame = augmented_rates(data, score="fate", adjust="x", outcome_col="responder", **ARMS).frame
        assert frame["note"].str.contains("score: separation.*fate").all()
        frame = augmented_rates(data, score="fate", adjust="x", folds=3, outcome_col="responder", **ARMS).frame
        assert frame["note"].str.contains("score: no finite estimate without fold 1, 2, 3").all()
        frame = augmented_restricted_mean(data, **TIMES, **ARMS, tau=6, score="fate", folds=None).frame
        assert frame["note"].str.contains("score: separation").all()

    def test_a_covariate_constant_at_a_visit_is_a_note_there(self, visits: pd.DataFrame) -> None:
        data = visits.assign(late=np.where(visits["visit_month"] == 12, visits["x"], 1.0))
        frame = standardised_rates(data, adjust="late", outcome_col="responder", time_col="visit_month", **ARMS).frame
        assert frame.loc[frame["time"] == 6, "note"].str.contains("constant or a combination.*late").all()
        assert frame.loc[frame["time"] == 12, "estimate"].notna().all()

    def test_an_arm_absent_at_a_visit(self, visits: pd.DataFrame) -> None:
        data = visits[(visits["visit_month"] == 6) | (visits["arm"] == "t")]
        given = {"adjust": "x", "outcome_col": "responder", "time_col": "visit_month", **ARMS}
        for frame in (
            standardised_rates(data, **given).frame,
            augmented_rates(data, score="x", **given, folds=2).frame,
        ):
            late = frame[frame["time"] == 12]
            assert late["estimate"].isna().all()
            assert late["note"].notna().all()

    def test_no_events(self, cohort: pd.DataFrame) -> None:
        quiet = cohort.assign(flare=0)
        given = {**TIMES, **ARMS, "weights": np.ones(len(quiet))}
        assert weighted_hazard_ratio(quiet, **given).frame["note"].item() == "no estimate: no events"
        assert weighted_logrank(quiet, **given).frame["note"].item() == "no events"
        curves = weighted_survival(quiet, **given, times=[3, 99]).frame
        assert curves["note"].notna().all()
        assert curves.loc[curves["time"] == 99, "estimate"].isna().all()
        areas = weighted_restricted_mean(quiet, **given, tau=6).frame
        assert areas["estimate"].tolist() == [6.0, 6.0, 0.0]
        assert areas["note"].notna().all()

    def test_no_event_in_an_arm_of_a_cox_model(self, cohort: pd.DataFrame) -> None:
        data = cohort.assign(flare=cohort["flare"].where(cohort["arm"] == "r", 0))
        row = weighted_hazard_ratio(data, **TIMES, **ARMS, weights=np.ones(len(data))).frame
        assert np.isnan(row["estimate"].item())
        assert row["note"].item().startswith("no event in t")

    def test_requests(self, cohort: pd.DataFrame) -> None:
        given = {**TIMES, **ARMS}
        ones = np.ones(len(cohort))
        with pytest.raises(AnalysisError, match=r"tau lies beyond the last observed time.*choose a tau"):
            weighted_restricted_mean(cohort, **given, weights=ones, tau=99)
        with pytest.raises(AnalysisError, match="tau must be above zero"):
            augmented_restricted_mean(cohort, **given, tau=0, score="x")
        with pytest.raises(AnalysisError, match="times are finite numbers"):
            weighted_survival(cohort, **given, weights=ones, times=[-1])
        with pytest.raises(UsageError, match=r"unknown estimand.*weighting offers others"):
            standardised_rates(cohort, adjust="x", outcome_col="responder", **ARMS, estimand="ATO")
        with pytest.raises(UsageError, match="stacked equations need models fitted to everybody"):
            augmented_rates(cohort, score="x", adjust="x", outcome_col="responder", **ARMS, folds=2, variance="stacked")
        with pytest.raises(UsageError, match="unknown variance"):
            augmented_rates(cohort, score="x", adjust="x", outcome_col="responder", **ARMS, variance="robust")
        with pytest.raises(UsageError, match="at least two folds"):
            augmented_rates(cohort, score="x", adjust="x", outcome_col="responder", **ARMS, folds=1)
        with pytest.raises(AnalysisError, match="fewer patients than there are folds"):
            augmented_rates(cohort, score="x", adjust="x", outcome_col="responder", **ARMS, folds=80)
        with pytest.raises(AnalysisError, match="a patient has more than one row"):
            standardised_rates(pd.concat([cohort, cohort]), adjust="x", outcome_col="responder", **ARMS)
        weights = fit_propensity(cohort, "x", **ARMS).estimated_weights().for_rows([0, *range(89)])
        with pytest.raises(AnalysisError, match="a patient has more than one row"):
            weighted_hazard_ratio(cohort, **given, weights=weights)

    def test_censoring_weights_refuse(self, cohort: pd.DataFrame) -> None:
        with pytest.raises(UsageError, match="largest weight must be above zero"):
            censoring_weights(cohort, "x", **TIMES, largest=0)
        with pytest.raises(AnalysisError, match="a column that is to be added"):
            censoring_weights(cohort.assign(entry=0.0), "x", **TIMES)
        with pytest.raises(AnalysisError, match="without follow-up"):
            censoring_weights(cohort.assign(months=0.0), "x", **TIMES)
        ordered = cohort.assign(flare=(cohort["months"] > 3).astype(int), lead=-cohort["months"])
        with pytest.raises(AnalysisError, match="order the censorings perfectly"):
            censoring_weights(ordered, "lead", **TIMES)

    def test_folds_follow_the_patient(self) -> None:
        ids = np.array([f"p{i}" for i in range(40)])
        treated = np.arange(40) % 3 == 0
        folds = patient_folds(ids, treated, folds=4, where="test")
        np.testing.assert_array_equal(patient_folds(ids[::-1], treated[::-1], folds=4, where="test"), folds[::-1])
        assert np.ptp(np.bincount(folds[treated])) <= 1
