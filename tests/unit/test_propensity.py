"""Protects the propensity model, its weights and the weighted contrast from unsuitable data and arguments."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analyses.comparison import weighted_rates
from analyses.kernels.logistic import collinear_columns, fit_logistic, separated_columns
from analyses.propensity import PropensityFit, covariate_balance, fit_propensity
from analyses.propensity.balance import variance_ratio
from analyses.propensity.weights import balancing_weights
from cohort.errors import AnalysisError, UsageError

ESTIMANDS = ["ATE", "ATT", "ATC", "ATO", "ATM"]


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    stream = np.random.default_rng(7)
    n = 80
    age = np.round(stream.normal(40, 10, n), 1)
    return pd.DataFrame(
        {
            "patient_id": [f"p{i}" for i in range(n)],
            "arm": np.where(stream.random(n) < 1 / (1 + np.exp(-(age - 40) / 15)), "t", "r"),
            "age_years": age,
            "isn_rps_class": stream.choice(["IV", "V"], n),
            "hypertension": stream.random(n) < 0.4,
            "responder": stream.random(n) < 0.6,
        }
    )


@pytest.fixture(scope="module")
def model(data: pd.DataFrame) -> PropensityFit:
    return fit_propensity(data, "age_years + isn_rps_class", treatment_col="arm", treated="t")


def fit(data: pd.DataFrame, formula: str = "age_years", treated: object = "t") -> PropensityFit:
    return fit_propensity(data, formula, treatment_col="arm", treated=treated)


class TestModel:
    def test_arms(self, data: pd.DataFrame) -> None:
        with pytest.raises(AnalysisError, match="column arm: two arms are needed, one of them x; got r, t"):
            fit(data, treated="x")
        with pytest.raises(AnalysisError, match="two arms are needed, one of them t; got t"):
            fit(data[data["arm"] == "t"])
        with pytest.raises(AnalysisError, match="fit_propensity, column nope: no such column"):
            fit_propensity(data, "age_years", treatment_col="nope", treated="t")
        with pytest.raises(UsageError, match="unknown method; got forest; use logistic"):
            fit_propensity(data, "age_years", treatment_col="arm", treated="t", method="forest")

    def test_a_boolean_treatment(self, data: pd.DataFrame, model: PropensityFit) -> None:
        boolean = fit_propensity(
            data.assign(exposed=data["arm"] == "t"),
            "age_years + isn_rps_class",
            treatment_col="exposed",
            treated=True,
        )
        np.testing.assert_array_equal(boolean.score, model.score)
        assert boolean.arms == ("True", "False")

    def test_missing_values_are_never_dropped(self, data: pd.DataFrame) -> None:
        with pytest.raises(AnalysisError, match=r"age_years.*missing values; got 3 of 80 rows"):
            fit(data.assign(age_years=data["age_years"].where(data.index > 2)))
        with pytest.raises(AnalysisError, match="column 'arm': missing values; got 3 of 80"):
            fit(data.assign(arm=data["arm"].where(data.index > 2)))

    def test_constant_and_collinear_covariates_are_named(self, data: pd.DataFrame) -> None:
        with pytest.raises(AnalysisError, match="constant or a combination of the other terms; got one; leave"):
            fit(data.assign(one=3.0), "age_years + one")
        with pytest.raises(AnalysisError, match="got months"):
            fit(data.assign(months=data["age_years"] * 12 + 3), "age_years + months")

    def test_perfect_separation_is_named(self, data: pd.DataFrame) -> None:
        treated = data["arm"] == "t"
        with pytest.raises(AnalysisError, match=r"separate the arms.*got Intercept, marker; merge sparse levels"):
            fit(data.assign(marker=treated), "age_years + marker")
        # Quasi-separation: every patient with the marker is treated, others are mixed.
        with pytest.raises(AnalysisError, match=r"separate the arms, so the score has no finite estimate; got marker;"):
            fit(data.assign(marker=treated & data["hypertension"]), "age_years + marker")
        with pytest.raises(AnalysisError, match="got Intercept, dose"):
            fit(data.assign(dose=np.where(treated, 3.0, 1.0) + data["age_years"] / 100), "dose")

    def test_probabilities_of_zero_or_one_without_separation(
        self, data: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("analyses.kernels.logistic.MAX_ITERATIONS", 1)
        with pytest.raises(AnalysisError, match="got fitted probabilities of 0 or 1"):
            fit(data)

    def test_tidy_and_glance(self, model: PropensityFit, data: pd.DataFrame) -> None:
        tidy = model.tidy().frame
        assert tidy["statistic"].tolist() == ["log_odds", "log_odds_ratio", "log_odds_ratio"]
        ratios = model.tidy(exponentiate=True, conf_level=0.9).frame
        np.testing.assert_allclose(np.log(ratios["estimate"]), tidy["estimate"])
        assert (ratios["conf_level"] == 0.9).all()
        assert (ratios["conf_low"] > np.exp(tidy["conf_low"])).all()
        assert (tidy["n_events"] == (data["arm"] == "t").sum()).all()
        assert model.glance().frame["statistic"].tolist() == ["log_likelihood"]
        assert model.covariates == ("age_years", "isn_rps_class")
        with pytest.raises(UsageError, match="conf_level"):
            model.tidy(conf_level=1)

    def test_the_fit_does_not_change_with_the_callers_data(self, data: pd.DataFrame) -> None:
        mine = data.copy()
        model = fit(mine)
        before = model.balance().frame["estimate"].tolist()
        mine.loc[:, "age_years"] = 1.0
        assert model.balance().frame["estimate"].tolist() == before


class TestWeights:
    def test_definitions(self) -> None:
        score = np.array([0.2, 0.2, 0.8, 0.8])
        treated = np.array([True, False, True, False])
        expected = {
            "ATE": [5, 1.25, 1.25, 5], "ATT": [1, 0.25, 1, 4], "ATC": [4, 1, 0.25, 1],
            "ATO": [0.8, 0.2, 0.2, 0.8], "ATM": [1, 0.25, 0.25, 1],
        }  # fmt: skip
        for estimand, values in expected.items():
            weights = balancing_weights(score, treated, estimand=estimand).values
            np.testing.assert_allclose(weights, values, err_msg=estimand)

    @pytest.mark.parametrize("estimand", ESTIMANDS)
    def test_slope_is_the_derivative(self, model: PropensityFit, estimand: str) -> None:
        step = 1e-6
        up, down = (
            balancing_weights(model.score + move, model.treated, estimand=estimand).values for move in (step, -step)
        )
        slope = balancing_weights(model.score, model.treated, estimand=estimand).slope
        np.testing.assert_allclose(slope, (up - down) / (2 * step), rtol=1e-7, atol=1e-8)

    @pytest.mark.parametrize("estimand", ESTIMANDS)
    def test_gradient_is_the_derivative_by_the_coefficients(
        self, data: pd.DataFrame, model: PropensityFit, estimand: str
    ) -> None:
        design = np.column_stack([np.ones(len(data)), data["age_years"], data["isn_rps_class"] == "V"])
        gradient = model.estimated_weights(estimand).gradient
        for place in range(3):
            step = np.zeros(3)
            step[place] = 1e-6
            up, down = (
                balancing_weights(
                    1 / (1 + np.exp(-design @ (model.coefficients + move))), model.treated, estimand=estimand
                ).values
                for move in (step, -step)
            )
            np.testing.assert_allclose(gradient[:, place], (up - down) / 2e-6, rtol=1e-5, atol=1e-6)

    def test_influence_sums_to_zero_and_squares_to_the_sandwich(self, model: PropensityFit) -> None:
        influence = model.estimated_weights().influence
        np.testing.assert_allclose(influence.sum(axis=0), 0, atol=1e-8)
        # Near the model-based variance when the model holds.
        ratio = np.diag(influence.T @ influence) / np.diag(model.covariance)
        assert np.all((ratio > 0.7) & (ratio < 1.4))

    def test_options_out_of_range(self, model: PropensityFit) -> None:
        with pytest.raises(UsageError, match="unknown estimand; got LATE; use ATE, ATT, ATC, ATO, ATM"):
            model.weights("LATE")
        with pytest.raises(UsageError, match="only ATE weights can be stabilised; got ATT"):
            model.weights("ATT", stabilized=True)
        with pytest.raises(UsageError, match=r"trim must lie between 0 and 0[.]5; got 0[.]5"):
            model.weights(trim=0.5)
        with pytest.raises(AnalysisError, match=r"no weight is left in the treated arm.*trim less"):
            model.weights(trim=0.4999)

    def test_visits_of_strangers_are_refused(self, model: PropensityFit) -> None:
        for position in (-1, 80, np.nan):
            with pytest.raises(UsageError, match=r"a row belongs to no patient .* got 1 such rows"):
                model.estimated_weights().for_rows([0, position])

    @pytest.mark.parametrize(
        ("weights", "message"),
        [
            (np.ones(3), r"one weight per row is needed; got shape \(3,\) for 80 rows"),
            (np.full(80, -1.0), "finite and not negative; got 80 others"),
            (np.full(80, np.nan), "finite and not negative"),
            (np.zeros(80), "no weight is left in the treated arm"),
        ],
    )
    def test_unusable_weights(self, data: pd.DataFrame, model: PropensityFit, weights: object, message: str) -> None:
        for use in (
            model.balance,
            model.effective_sample_size,
            lambda given: weighted_rates(
                data, outcome_col="responder", treatment_col="arm", treated="t", weights=given
            ),
        ):
            with pytest.raises(AnalysisError, match=message):
                use(weights)


class TestBalance:
    def test_rows(self, model: PropensityFit) -> None:
        frame = model.balance(variables=["age_years", "isn_rps_class", "hypertension"]).frame
        assert frame[["term", "statistic"]].to_numpy().tolist() == [
            ["age_years", "smd_unadjusted"],
            ["age_years", "smd_adjusted"],
            ["age_years", "variance_ratio_unadjusted"],
            ["age_years", "variance_ratio_adjusted"],
            ["isn_rps_class=IV", "smd_unadjusted"],
            ["isn_rps_class=IV", "smd_adjusted"],
            ["isn_rps_class=V", "smd_unadjusted"],
            ["isn_rps_class=V", "smd_adjusted"],
            ["hypertension", "smd_unadjusted"],
            ["hypertension", "smd_adjusted"],
        ]
        assert frame["method"].iloc[1].endswith("; ATE weights")
        assert model.balance(np.ones(80)).frame["method"].iloc[1].endswith("; weights as given")

    def test_unit_weights_change_nothing(self, model: PropensityFit) -> None:
        frame = model.balance(np.ones(80)).frame
        unadjusted = frame[frame["statistic"].str.endswith("_unadjusted")]["estimate"].to_numpy()
        adjusted = frame[frame["statistic"].str.endswith("_adjusted")]["estimate"].to_numpy()
        np.testing.assert_allclose(unadjusted, adjusted, rtol=1e-12)

    def test_constant_covariate_has_a_note(self, data: pd.DataFrame) -> None:
        frame = fit(data.assign(one=0.1)).balance(variables=["one"]).frame
        assert frame["estimate"].isna().all()
        assert frame["note"].str.contains("no variation in either arm").all()

    def test_missing_and_unknown_variables(self, data: pd.DataFrame) -> None:
        model = fit(data.assign(upcr=np.where(data.index == 0, np.nan, 1.0)))
        with pytest.raises(AnalysisError, match="balance, column 'upcr': missing values; got 1 of 80"):
            model.balance(variables=["upcr"])
        with pytest.raises(AnalysisError, match="balance, column nope: no such column"):
            model.balance(variables=["nope"])

    def test_variance_ratio_needs_two_patients_with_weight(self) -> None:
        values, treated = np.array([1.0, 2.0, 3.0, 5.0]), np.array([True, True, False, False])
        assert np.isnan(variance_ratio(values, treated, np.array([1.0, 0.0, 1.0, 1.0])))
        assert np.isnan(variance_ratio(np.array([1.0, 2.0, 0.1, 0.1]), treated))

    def test_fewer_than_two_patients_have_a_note(self) -> None:
        small = pd.DataFrame({"arm": ["t", "r", "r"], "x": [1.0, 0.0, 2.0]})
        frame = fit(small, "x").balance().frame
        assert frame[frame["statistic"] == "smd_unadjusted"]["note"].notna().all()

    def test_number_kinds(self, data: pd.DataFrame) -> None:
        table = covariate_balance(
            data, ["age_years", "hypertension", "isn_rps_class"], treatment_col="arm", treated="t"
        ).frame
        assert list(dict.fromkeys(table["term"])) == [
            "age_years", "hypertension", "isn_rps_class=IV", "isn_rps_class=V",
        ]  # fmt: skip
        assert set(table.loc[table["statistic"] == "variance_ratio_unadjusted", "term"]) == {"age_years"}


class TestWeightedRates:
    @staticmethod
    def rates(data: pd.DataFrame, weights: object, **options: object) -> pd.DataFrame:
        return weighted_rates(
            data, outcome_col="responder", treatment_col="arm", treated="t", weights=weights, **options
        ).frame

    def test_by_visit(self, data: pd.DataFrame, model: PropensityFit) -> None:
        late = data.iloc[10:].assign(visit_month=12, responder=lambda frame: ~frame["responder"])
        visits = pd.concat([data.assign(visit_month=6), late])
        position = pd.Index(data["patient_id"]).get_indexer(pd.Index(visits["patient_id"]))
        weights = model.estimated_weights("ATO").for_rows(position)
        both = self.rates(visits, weights, time_col="visit_month")
        assert both["time"].tolist() == [6] * 5 + [12] * 5
        assert set(both["time_unit"]) == {"month"}
        six = self.rates(data, model.estimated_weights("ATO"))
        np.testing.assert_allclose(both["std_error"].to_numpy()[:5], six["std_error"].to_numpy(), rtol=1e-12)

    def test_two_rows_of_a_patient_at_one_time(self, data: pd.DataFrame, model: PropensityFit) -> None:
        twice = pd.concat([data, data.iloc[:4]])
        weights = model.estimated_weights().for_rows([*range(80), *range(4)])
        with pytest.raises(AnalysisError, match="more than one row at a time; got 4 repeated rows"):
            self.rates(twice, weights)

    def test_no_event_in_an_arm(self, data: pd.DataFrame, model: PropensityFit) -> None:
        for responder, words in ((data["arm"] == "t", "only events in t"), (data["arm"] == "r", "no event in t")):
            frame = self.rates(data.assign(responder=responder), model.estimated_weights())
            assert abs(frame["estimate"].iloc[2]) == pytest.approx(1)
            assert frame[["std_error", "conf_low", "conf_high", "p_value"]].isna().all(axis=None)
            assert frame["note"].notna().all()
            assert words in frame["note"].iloc[0]
            assert words in frame["note"].iloc[2]

    def test_an_arm_absent_at_a_visit(self, data: pd.DataFrame) -> None:
        visits = pd.concat([data.assign(visit_month=6), data[data["arm"] == "t"].assign(visit_month=12)])
        frame = self.rates(visits, np.ones(len(visits)), time_col="visit_month")
        late = frame[frame["time"] == 12]
        assert late["estimate"].isna().tolist() == [False, True, True, True, True]
        assert late["note"].tolist()[1:] == [
            "no patient with weight in this arm at this time",
            *["an arm has no patient with weight at this time"] * 3,
        ]

    def test_refusals(self, data: pd.DataFrame) -> None:
        ones = np.ones(80)
        with pytest.raises(AnalysisError, match="the outcome must be boolean or 0 and 1"):
            self.rates(data.assign(responder="CR"), ones)
        with pytest.raises(AnalysisError, match="two arms are needed"):
            self.rates(data[data["arm"] == "t"], ones)
        with pytest.raises(AnalysisError, match="the time must be a number of months"):
            self.rates(data, ones, time_col="isn_rps_class")
        with pytest.raises(UsageError, match="conf_level"):
            self.rates(data, ones, conf_level=0)


class TestLogisticKernel:
    def test_an_extreme_value_that_decides_the_outcome_alone(self) -> None:
        design = np.column_stack([np.ones(8), [0, 0, 0, 0, 0, 0, 0, 40.0]])
        outcome = np.array([0, 0, 0, 0, 0, 0, 1, 1.0])
        assert not fit_logistic(design, outcome).converged
        assert separated_columns(design, outcome == 0, outcome == 1) == (1,)

    def test_a_calendar_year_costs_no_digits(self) -> None:
        stream = np.random.default_rng(2)
        year = stream.integers(1999, 2022, 200).astype(float)
        outcome = (stream.random(200) < 1 / (1 + np.exp((2010 - year) / 5))).astype(float)
        raw = fit_logistic(np.column_stack([np.ones(200), year]), outcome)
        centred = fit_logistic(np.column_stack([np.ones(200), year - 2010]), outcome)
        assert raw.converged
        np.testing.assert_allclose(raw.probability, centred.probability, rtol=1e-11)
        np.testing.assert_allclose(raw.coefficients[1], centred.coefficients[1], rtol=1e-10)
        np.testing.assert_allclose(raw.covariance[1, 1], centred.covariance[1, 1], rtol=1e-9)

    def test_a_column_of_zeros_is_collinear(self) -> None:
        assert collinear_columns(np.column_stack([np.ones(3), np.zeros(3), [1.0, 2.0, 3.0]])) == (1,)

    def test_counts_separate_only_from_below(self) -> None:
        design = np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 1.0], [1.0, 1.0]])
        nothing = np.zeros(4, dtype=bool)
        assert separated_columns(design, np.array([True, False, True, True]), nothing) == (1,)
        assert separated_columns(design, np.array([True, False, True, False]), nothing) == ()
