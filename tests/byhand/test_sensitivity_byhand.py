"""Leave-one-out, negative controls, trimming and multiverse against tables worked by hand and single calls."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from analyses.comparison import BinaryOutcome, EventOutcome, weighted_hazard_ratio, weighted_rates
from analyses.propensity import crump_bound, fit_propensity
from analyses.sensitivity import (
    MeasureOutcome,
    leave_one_covariate_out,
    multiverse,
    negative_control,
    trimming_path,
)
from cohort.errors import AnalysisError, UsageError
from cohort.results import ResultTable, result_table

ARMS = {"treatment_col": "arm", "treated": "a"}
EIGHT = pd.DataFrame(
    {
        "patient_id": range(8),
        "arm": list("aaaabbbb"),
        "x": [0, 0, 0, 1, 0, 1, 1, 1],
        "z": [0, 1, 0, 1, 1, 0, 1, 0],
        "cured": [1, 0, 1, 0, 1, 0, 0, 1],
    }
)


def cell(table: ResultTable, **wanted: object) -> float:
    frame = table.frame
    for column, value in wanted.items():
        frame = frame[frame[column].eq(value).fillna(False).to_numpy(dtype=bool)]
    return float(frame["estimate"].item())


@pytest.fixture(scope="module")
def left_out() -> ResultTable:
    return leave_one_covariate_out(EIGHT, **ARMS, covariates=["x", "z"], outcomes=BinaryOutcome("cured"))


class TestLeaveOneOut:
    def test_estimates_are_those_of_the_strata(self, left_out: ResultTable) -> None:
        # Without z the strata of x, four patients each: a (2/3 + 0) / 2, b (1 + 1/3) / 2. Without x the score of z is
        # 1/2 throughout, so that nothing is weighted: 2/4 against 2/4.
        risk = {"statistic": "risk_difference"}
        assert cell(left_out, population="without z", **risk) == pytest.approx(1 / 3 - 2 / 3, abs=1e-9)
        assert cell(left_out, population="without x", **risk) == pytest.approx(0, abs=1e-9)

    def test_changes_are_differences_from_every_covariate(self, left_out: ResultTable) -> None:
        full = cell(left_out, population="every covariate", statistic="risk_difference")
        fit = fit_propensity(EIGHT, "x + z", **ARMS)
        whole = weighted_rates(EIGHT, outcome_col="cured", weights=fit.estimated_weights(), **ARMS)
        assert full == pytest.approx(cell(whole, statistic="risk_difference"), abs=1e-12)
        change = cell(left_out, population="without x", statistic="change_in_risk_difference")
        assert change == pytest.approx(0 - full, abs=1e-9)

    def test_balance_of_the_covariate_left_out(self, left_out: ResultTable) -> None:
        # x: means 1/4 and 3/4, both variances 1/4, so -1, as z alone does not weight. z: 1/2 in both arms; weighted by
        # the strata of x (1/3 + 1) / 2 in a and (1 + 1/3) / 2 in b.
        assert cell(left_out, population="without x", statistic="smd_unadjusted") == pytest.approx(-1)
        assert cell(left_out, population="without x", statistic="smd_adjusted") == pytest.approx(-1)
        for kind in ("smd_unadjusted", "smd_adjusted"):
            assert cell(left_out, population="without z", statistic=kind) == pytest.approx(0, abs=1e-9)

    def test_a_score_of_every_covariate_that_cannot_be_fitted_is_refused(self) -> None:
        with pytest.raises(AnalysisError, match="combination of the other terms"):
            leave_one_covariate_out(
                EIGHT.assign(c=0.5 * EIGHT["x"]), **ARMS, covariates=["x", "z", "c"], outcomes=BinaryOutcome("cured")
            )

    @pytest.mark.parametrize("covariates", [[], ["x"], ["x", "x"]])
    def test_fewer_than_two_covariates_are_refused(self, covariates: list[str]) -> None:
        with pytest.raises(UsageError, match="two covariates or more"):
            leave_one_covariate_out(EIGHT, **ARMS, covariates=covariates, outcomes=BinaryOutcome("cured"))

    def test_outcomes_it_does_not_follow_are_refused(self) -> None:
        event = EventOutcome("t", "cause", cause=2)
        with pytest.raises(UsageError, match="got cause 2"):
            leave_one_covariate_out(EIGHT, **ARMS, covariates=["x", "z"], outcomes=event)
        with pytest.raises(UsageError, match="nothing to compare"):
            leave_one_covariate_out(EIGHT, **ARMS, covariates=["x", "z"], outcomes=[])


class TestNegativeControl:
    def test_a_control_that_follows_the_score_alone_is_null_after_weighting(self) -> None:
        # In each stratum of x both arms have the same mean: 2 where x is 0, 5 where it is 1.
        data = EIGHT.assign(earlier=[3, 1, 2, 5, 2, 4, 6, 5])
        frame = negative_control(data, **ARMS, score="x", outcomes=MeasureOutcome("earlier")).frame
        spread = math.sqrt((np.var([3, 1, 2, 5], ddof=1) + np.var([2, 4, 6, 5], ddof=1)) / 2)
        crude, weighted = frame["estimate"]
        assert crude == pytest.approx((11 / 4 - 17 / 4) / spread)
        assert weighted == pytest.approx(0, abs=1e-9)
        assert "no proof" in frame["note"].iloc[1]
        assert pd.isna(frame["note"].iloc[0])

    def test_the_crude_standard_error_by_hand(self) -> None:
        data = EIGHT.assign(earlier=[3, 1, 2, 5, 2, 4, 6, 5])
        crude = negative_control(data, **ARMS, score="x", outcomes=MeasureOutcome("earlier")).frame.iloc[0]
        one, zero = np.array([3, 1, 2, 5]), np.array([2, 4, 6, 5])
        squares = sum(((side - side.mean()) ** 2).sum() / 16 for side in (one, zero))
        spread = math.sqrt((np.var(one, ddof=1) + np.var(zero, ddof=1)) / 2)
        assert crude["std_error"] == pytest.approx(math.sqrt(squares) / spread)

    def test_a_cause_that_the_score_does_not_know_shows(self) -> None:
        # Forty patients an arm: x is balanced, and the hidden cause stands three to one.
        hidden = np.array([1, 1, 1, 0] * 10 + [1, 0, 0, 0] * 10)
        data = pd.DataFrame({"arm": ["a"] * 40 + ["b"] * 40, "x": [0] * 20 + [1] * 20 + [0] * 20 + [1] * 20})
        table = negative_control(
            data.assign(earlier=hidden.astype(bool)), **ARMS, score="x", outcomes=BinaryOutcome("earlier")
        )
        row = table.frame[table.frame["population"].eq("weighted")].iloc[0]
        assert row["estimate"] == pytest.approx(0.5)
        assert "confounding, selection or chance remains" in row["note"]

    def test_a_measure_that_does_not_vary_says_so_and_words_are_refused(self) -> None:
        flat = negative_control(EIGHT.assign(same=1.0), **ARMS, score="x", outcomes=MeasureOutcome("same")).frame
        assert flat["note"].str.contains("does not vary").all()
        with pytest.raises(AnalysisError, match="a measure is a number"):
            negative_control(EIGHT, **ARMS, score="x", outcomes=MeasureOutcome("arm"))


def many() -> pd.DataFrame:
    stream = np.random.default_rng(5)
    x, z = stream.normal(size=(2, 300))
    arm = np.where(stream.uniform(size=300) < 1 / (1 + np.exp(-1.5 * x)), "a", "b")
    time = stream.exponential(np.exp(-0.3 * x), 300)
    return pd.DataFrame(
        {
            "patient_id": range(300),
            "arm": arm,
            "x": x,
            "z": z,
            "t": np.minimum(time, 2),
            "event": (time < 2).astype(int),
        }
    ).assign(cured=stream.uniform(size=300) < 0.5)


@pytest.fixture(scope="module")
def path() -> ResultTable:
    outcomes = [BinaryOutcome("cured"), EventOutcome("t", "event")]
    return trimming_path(many(), **ARMS, score="x + z", outcomes=outcomes, cutoffs=(0.0, 0.05, 0.1, 0.2, 0.3))


class TestTrimmingPath:
    def test_ever_more_are_left_out_and_counts_add_up(self, path: ResultTable) -> None:
        frame = path.frame[~path.frame["population"].str.startswith("Crump")]
        for arm in "ab":
            own = frame[frame["group"].eq(arm).fillna(False).to_numpy(dtype=bool)]
            left = own[own["statistic"].eq("left_out").to_numpy(dtype=bool)]
            kept = own[own["statistic"].eq("effective_sample_size").to_numpy(dtype=bool)]
            assert left["estimate"].is_monotonic_increasing
            assert left["estimate"].iloc[0] == 0 < left["estimate"].iloc[-1]
            assert (left["estimate"].to_numpy() + kept["n"].to_numpy() == left["n"].to_numpy()).all()
            assert (kept["estimate"] <= kept["n"] + 1e-9).all()

    def test_each_cut_off_is_the_comparison_of_those_kept(self, path: ResultTable) -> None:
        data = many()
        score = fit_propensity(data, "x + z", **ARMS).score
        bound = crump_bound(score)
        names = {0.1: "scores within [0.1, 0.9]", bound: f"Crump's rule, scores within [{bound:.3g}, {1 - bound:.3g}]"}
        for cut, name in names.items():
            kept = data[(score >= cut) & (score <= 1 - cut)]
            weights = fit_propensity(kept, "x + z", **ARMS).estimated_weights()
            alone = weighted_rates(kept, outcome_col="cured", weights=weights, **ARMS)
            assert cell(path, population=name, statistic="risk_difference") == pytest.approx(
                cell(alone, statistic="risk_difference"), abs=1e-12
            )
            hazard = weighted_hazard_ratio(kept, duration_col="t", event_col="event", weights=weights, **ARMS)
            assert cell(path, population=name, statistic="log_hazard_ratio") == pytest.approx(
                cell(hazard, statistic="log_hazard_ratio"), abs=1e-12
            )

    def test_only_trimmed_estimates_speak_of_other_patients(self, path: ResultTable) -> None:
        estimates = path.frame[path.frame["contrast"].notna()]
        told = estimates["note"].str.contains("of the patients kept", na=False)
        assert (told == estimates["population"].ne("nobody trimmed")).all()

    def test_without_refitting_the_weights_are_those_of_everybody(self) -> None:
        data = many()
        table = trimming_path(
            data, **ARMS, score="x + z", outcomes=BinaryOutcome("cured"), cutoffs=[0.1], crump=False, refit=False
        )
        weights = fit_propensity(data, "x + z", **ARMS).estimated_weights(trim=0.1)
        alone = weighted_rates(data, outcome_col="cured", weights=weights, **ARMS)
        assert cell(table, statistic="risk_difference") == cell(alone, statistic="risk_difference")

    def test_a_cut_off_that_leaves_nobody_gives_a_reason(self) -> None:
        table = trimming_path(EIGHT, **ARMS, score="x", outcomes=BinaryOutcome("cured"), cutoffs=[0.4], crump=False)
        lacking = table.frame[table.frame["estimate"].isna()]
        assert set(lacking["statistic"]) == {"effective_sample_size", "risk_difference"}
        assert lacking["note"].str.contains("no patient of a or b is left").all()

    def test_every_outcome_and_visit_that_is_lost_has_a_row(self) -> None:
        visits = pd.concat([EIGHT.assign(month=month) for month in (12, 6)])
        outcomes = [
            BinaryOutcome("cured", visits=visits, time_col="month"), EventOutcome("t", "cured", tau=2.0),
        ]  # fmt: skip
        times = [1.0, 2.0, 3.0, 4.0] * 2
        table = trimming_path(
            EIGHT.assign(t=times), **ARMS, score="x", outcomes=outcomes, cutoffs=[0, 0.4], crump=False
        )
        contrasts = table.frame[table.frame["contrast"].notna()].assign(time=table.frame["time"].fillna(0))
        keys = [
            contrasts.loc[contrasts["population"].eq(name), ["term", "statistic", "time"]].to_numpy().tolist()
            for name in ("nobody trimmed", "scores within [0.4, 0.6]")
        ]
        assert keys[0] == keys[1]
        assert len(keys[1]) == 4

    @pytest.mark.parametrize("cutoffs", [[], [0.5], [-0.1], [0.2, 0.1], [0.1, 0.1]])
    def test_cut_offs_rise(self, cutoffs: list[float]) -> None:
        with pytest.raises(UsageError, match="cut-offs rise"):
            trimming_path(
                EIGHT, **ARMS, score="x", outcomes=BinaryOutcome("cured"), cutoffs=cutoffs, crump=bool(cutoffs)
            )


CHOICES = {"score": {"x alone": "x", "both": "x + z"}, "patients": {"everybody": "ATE", "overlap": "ATO"}}


class TestMultiverse:
    @staticmethod
    def single(score: object, estimand: object) -> ResultTable:
        data = many()
        weights = fit_propensity(data, str(score), **ARMS).estimated_weights(str(estimand))  # type: ignore[arg-type]
        return weighted_rates(data, outcome_col="cured", weights=weights, **ARMS)

    def test_two_by_two_is_the_four_single_calls(self) -> None:
        table = multiverse(
            CHOICES, lambda one: self.single(one["score"], one["patients"]), statistic="risk_difference"
        ).frame
        single = [
            self.single(score, estimand).frame.query("statistic == 'risk_difference'").iloc[0]
            for score in ("x", "x + z")
            for estimand in ("ATE", "ATO")
        ]
        assert table["population"].tolist()[:4] == [
            "score=x alone; patients=everybody", "score=x alone; patients=overlap",
            "score=both; patients=everybody", "score=both; patients=overlap",
        ]  # fmt: skip
        for column in ("estimate", "std_error", "conf_low", "conf_high", "p_value", "n", "n_events"):
            assert table[column].tolist()[:4] == [row[column] for row in single]
        estimates = [row["estimate"] for row in single]
        summary = table.iloc[4:].set_index("statistic")["estimate"]
        assert summary["median"] == np.median(estimates)
        assert (summary["smallest"], summary["largest"]) == (min(estimates), max(estimates))

    def test_specifications_that_fail_stay_and_the_summary_counts_them(self) -> None:
        def estimate(chosen: object) -> ResultTable:
            value = chosen["value"]  # type: ignore[index]
            if value is None:
                raise AnalysisError("separated", where="here")
            if value == "two rows":
                return result_table([{"note": "which?"}, {}], statistic="difference")
            return result_table(
                [{"estimate": value, "conf_low": value - 1, "conf_high": value + 1}], statistic="difference"
            )

        values = {"low": -3.0, "none": None, "high": 0.5, "odd": "two rows"}
        table = multiverse({"value": values}, estimate, statistic="difference").frame
        assert table["note"].iloc[1] == "not estimated: here: separated"
        assert table["note"].iloc[3] == "not estimated: which?"
        summary = table.iloc[4:].set_index("statistic")
        assert summary["estimate"].to_dict() == {
            "specifications": 4, "specifications_fitted": 2, "median": -1.25, "smallest": -3.0, "largest": 0.5,
            "share_excluding_null": 0.5,
        }  # fmt: skip
        assert summary["note"].str.contains("no independent tests").all()

    def test_nothing_fitted_has_no_median(self) -> None:
        def refuse(_: object) -> ResultTable:
            raise AnalysisError("no")

        summary = multiverse({"a": {"b": 1}}, refuse, statistic="difference").frame.iloc[1:].set_index("statistic")
        assert summary["estimate"].dropna().to_dict() == {"specifications": 1, "specifications_fitted": 0}
        assert (summary.loc["median", "note"]) == "no specification could be estimated"

    @pytest.mark.parametrize(
        ("choices", "match"),
        [
            ({}, "no choice"),
            ({"a": {}}, "no option of a"),
            ({"a=b": {"c": 1}}, "neither"),
            ({"a": {"b; c": 1}}, "neither"),
        ],
    )
    def test_faulty_choices_are_refused(self, choices: dict[str, dict[str, object]], match: str) -> None:
        with pytest.raises(UsageError, match=match):
            multiverse(choices, lambda _: result_table([]), statistic="difference")


def test_weights_that_balance_a_measure_exactly_test_nothing() -> None:
    """Overlap weights balance what is in the score: what is left is rounding, and no sign of confounding."""
    stream = np.random.default_rng(4)
    data = pd.DataFrame({"patient_id": range(60), "x": stream.normal(size=60)})
    data["arm"] = np.where(stream.uniform(size=60) < 1 / (1 + np.exp(-data["x"])), "b", "a")
    table = negative_control(
        data, treatment_col="arm", treated="b", score="x", outcomes=MeasureOutcome("x"), estimand="ATO"
    ).frame
    weighted = table[(table["population"] == "weighted").to_numpy(dtype=bool)].iloc[0]
    assert weighted["estimate"] == 0.0
    assert weighted["note"] == "not tested: these weights balance the measure exactly, by construction"
    with pytest.raises(AnalysisError, match="a measure is a finite number; got 1 rows"):
        negative_control(
            data.assign(y=[np.inf, *[0.0] * 59]),
            treatment_col="arm",
            treated="b",
            score="x",
            outcomes=MeasureOutcome("y"),
        )
