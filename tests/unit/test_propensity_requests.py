"""Protects scores, weights, balance and trimming from requests and data they cannot serve."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analyses.folds import patient_folds
from analyses.propensity import (
    PropensityFit,
    balance_table,
    covariate_balance,
    fit_propensity,
    overlap_histogram,
    overlap_table,
    positivity_table,
    trim_asymmetric,
    trim_crump,
    trim_symmetric,
)
from cohort.errors import AnalysisError, UsageError

METHODS = ["logistic", "penalised", "boosting", "entropy", "cbps"]


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    stream = np.random.default_rng(7)
    n = 90
    age = np.round(stream.normal(40, 10, n), 1)
    return pd.DataFrame(
        {
            "patient_id": [f"p{i:02d}" for i in range(n)],
            "arm": np.where(stream.random(n) < 1 / (1 + np.exp(-(age - 40) / 15)), "t", "r"),
            "age_years": age,
            "isn_rps_class": stream.choice(["IV", "V"], n),
            "hypertension": stream.random(n) < 0.4,
        }
    )


def fit(data: pd.DataFrame, formula: str = "age_years + isn_rps_class", **options: object) -> PropensityFit:
    return fit_propensity(data, formula, treatment_col="arm", treated="t", **options)


@pytest.mark.parametrize("method", METHODS)
def test_the_order_of_rows_and_the_index_play_no_part(data: pd.DataFrame, method: str) -> None:
    before = data.copy()
    shuffled = data.sample(frac=1, random_state=3).set_index("patient_id", drop=False)
    here = pd.Series(fit(data, method=method).weights(), index=data["patient_id"])
    there = pd.Series(fit(shuffled, method=method).weights(), index=shuffled["patient_id"])
    np.testing.assert_allclose(there.loc[here.index], here, rtol=1e-9)
    pd.testing.assert_frame_equal(data, before)


@pytest.mark.parametrize("method", METHODS)
def test_arrow_columns_and_nullable_booleans_are_the_same_data(data: pd.DataFrame, method: str) -> None:
    typed = data.convert_dtypes(dtype_backend="pyarrow").astype({"hypertension": "boolean"})
    formula = "age_years + isn_rps_class + hypertension"
    np.testing.assert_allclose(
        fit(typed, formula, method=method).weights(), fit(data, formula, method=method).weights(), rtol=1e-12
    )


@pytest.mark.parametrize("method", METHODS)
def test_constant_covariates_are_named(data: pd.DataFrame, method: str) -> None:
    with pytest.raises(AnalysisError, match=r"constant.*got one; leave these terms out"):
        fit(data.assign(one=3.0), "age_years + one", method=method)


@pytest.mark.parametrize("method", METHODS)
def test_a_single_arm_is_refused(data: pd.DataFrame, method: str) -> None:
    with pytest.raises(AnalysisError, match="two arms are needed, one of them t; got t"):
        fit(data[data["arm"] == "t"], method=method)


@pytest.mark.parametrize("options", [{}, {"estimand": "ATT"}, {"estimand": "ATC"}, {"overidentified": True}])
def test_covariates_without_counterpart_are_named_by_cbps(data: pd.DataFrame, options: dict[str, object]) -> None:
    marked = data.assign(marker=(data["arm"] == "t").astype(float))
    with pytest.raises(AnalysisError, match=r"(separate the arms|within the arm [tr]).*marker"):
        fit(marked, "age_years + marker", method="cbps", **options)


def test_means_out_of_reach_are_named_by_entropy_balancing(data: pd.DataFrame) -> None:
    older = data.assign(age_years=np.where(data["arm"] == "t", data["age_years"] + 60, data["age_years"]))
    for estimand, arm in (("ATT", "r"), ("ATC", "t")):
        with pytest.raises(AnalysisError, match=rf"weights of the arm {arm} reach.*got age_years; leave these terms"):
            fit(older, "age_years + hypertension", method="entropy", estimand=estimand)
    only = data.assign(level=np.where(data["arm"] == "t", data["isn_rps_class"], "IV"))
    with pytest.raises(AnalysisError, match=r"within the arm r, whose weights cannot move it; got level=V"):
        fit(only, "age_years + level", method="entropy", estimand="ATT")


def test_options_a_method_does_not_have(data: pd.DataFrame) -> None:
    with pytest.raises(UsageError, match=r"serves every estimand; got ATT with method logistic; .*weights\('ATT'\)"):
        fit(data, estimand="ATT")
    with pytest.raises(UsageError, match="not a population that covariates can be balanced to; got ATO"):
        fit(data, method="entropy", estimand="ATO")
    with pytest.raises(UsageError, match="only cbps can be over-identified; got entropy"):
        fit(data, method="entropy", overidentified=True)
    with pytest.raises(UsageError, match="unknown treatment of missing covariates; got drop; use refuse, indicator"):
        fit(data, missing="drop")
    entropy = fit(data, method="entropy", estimand="ATT")
    with pytest.raises(UsageError, match="were balanced for ATT; got ATE; fit again with estimand='ATE'"):
        entropy.weights("ATE")
    with pytest.raises(UsageError, match=r"has weights and no score; use .weights"):
        _ = entropy.score
    with pytest.raises(UsageError, match="no score to trim by"):
        entropy.weights(trim=0.1)
    with pytest.raises(UsageError, match="only ATE weights can be stabilised; got ATT"):
        entropy.weights(stabilized=True)
    with pytest.raises(UsageError, match=r"truncate must lie between 0 and 0.5; got 0.5"):
        entropy.weights(truncate=0.5)
    with pytest.raises(UsageError, match="cross-fitted score has no influence function; got method penalised"):
        fit(data, method="penalised").estimated_weights()
    with pytest.raises(UsageError, match="unknown measure of balance; got ssd; use mean, smd"):
        fit(data).balance(measures=["ssd"])


def test_methods_without_coefficients_or_likelihood_say_so(data: pd.DataFrame) -> None:
    for method in ("penalised", "boosting", "entropy"):
        assert fit(data, method=method).tidy().frame["note"].tolist() == ["this method has no coefficients to report"]
    glance = fit(data, method="entropy").glance().frame
    assert np.isnan(glance["estimate"].item())
    assert glance["note"].item() == "entropy balancing has no likelihood"
    stable = fit(data, method="entropy").weights(stabilized=True)
    treated = (data["arm"] == "t").to_numpy()
    assert stable[treated].mean() == pytest.approx(1)
    assert stable[~treated].mean() == pytest.approx(1)


class TestFolds:
    def test_cross_fitting_needs_patients(self, data: pd.DataFrame) -> None:
        with pytest.raises(AnalysisError, match=r"folds are assigned by patient\), column patient_id: no such column"):
            fit(data.drop(columns="patient_id"), method="boosting")
        few = pd.concat([data[data["arm"] == "r"], data[data["arm"] == "t"].head(3)])
        with pytest.raises(AnalysisError, match=r"too few patients for the folds; got 3 patients .* 5 folds"):
            fit(few, method="penalised")
        with pytest.raises(UsageError, match="at least two folds are needed; got 1"):
            fit(data, method="penalised", folds=1)
        assert np.isfinite(fit(data, method="penalised", folds=2).score).all()

    def test_folds_are_even_keep_patients_together_and_follow_the_seed(self) -> None:
        patients = [f"p{i}" for i in range(20)]
        strata = [i < 10 for i in range(20)]
        folds = patient_folds(patients, 5, seed=1, strata=strata)
        for own in (folds[:10], folds[10:]):
            assert np.bincount(own).tolist() == [2, 2, 2, 2, 2]
        assert patient_folds(patients * 2, 5, seed=1, strata=strata * 2).tolist() == [*folds, *folds]
        assert patient_folds(patients, 5, seed=2, strata=strata).tolist() != folds.tolist()

    def test_nobody_is_scored_by_a_model_that_saw_them(self, data: pd.DataFrame) -> None:
        # Turning one patient's covariates around moves the scores of all folds but the patient's own.
        turned = data.assign(age_years=data["age_years"].where(data.index != 5, 95.0))
        folds = patient_folds(data["patient_id"].tolist(), 5, seed=2025, strata=data["arm"])
        for method in ("penalised", "boosting"):
            moved = fit(turned, method=method).score != fit(data, method=method).score
            others = (folds == folds[5]) & (data.index != 5)
            assert not moved[others].any()
            assert moved[folds != folds[5]].any()


class TestMissingIndicator:
    def test_gaps_become_terms_and_nobody_is_dropped(self, data: pd.DataFrame) -> None:
        gappy = data.assign(
            age_years=data["age_years"].where(data.index >= 4),
            isn_rps_class=data["isn_rps_class"].where(data.index % 9 > 0),
        )
        model = fit(gappy, missing="indicator")
        assert model.terms == (
            "Intercept", "age_years", "isn_rps_class=V", "isn_rps_class=missing", "age_years_missing",
        )  # fmt: skip
        assert len(model.weights()) == len(data)
        # The likelihood equations of the indicators: as many treated among those without a value as expected.
        for gaps in (gappy["age_years"].isna(), gappy["isn_rps_class"].isna()):
            assert model.score[gaps].sum() == pytest.approx(model.treated[gaps].sum())
        assert "age_years_missing" in set(model.balance().frame["term"])
        with pytest.raises(AnalysisError, match="missing values"):
            fit(gappy)

    def test_without_gaps_it_changes_nothing(self, data: pd.DataFrame) -> None:
        np.testing.assert_array_equal(fit(data, missing="indicator").score, fit(data).score)

    def test_what_it_cannot_fill(self, data: pd.DataFrame) -> None:
        with pytest.raises(AnalysisError, match="'age_years': nobody has this covariate; got 90 of 90 rows"):
            fit(data.assign(age_years=np.nan), missing="indicator")
        gappy = data.assign(age_years=data["age_years"].where(data.index > 3), age_years_missing=0)
        with pytest.raises(AnalysisError, match="'age_years_missing': the name of a missing-value indicator is taken"):
            fit(gappy, missing="indicator")
        clash = data.assign(isn_rps_class=data["isn_rps_class"].where(data.index > 3).replace("V", "missing"))
        with pytest.raises(AnalysisError, match="missing values"):
            fit(clash, missing="indicator")


class TestDiagnostics:
    def test_arguments(self, data: pd.DataFrame) -> None:
        model = fit(data)
        with pytest.raises(UsageError, match=r"quantiles lie between 0 and 1; got \[1.2\]"):
            overlap_table(model, quantiles=[1.2])
        with pytest.raises(UsageError, match="at least two bins"):
            overlap_histogram(model, bins=1)
        with pytest.raises(UsageError, match=r"trim_symmetric: the bound must lie between 0 and 0.5; got 0.5"):
            trim_symmetric(model, 0.5)
        with pytest.raises(UsageError, match=r"trim_asymmetric: the share must lie between 0 and 0.5; got 0.6"):
            trim_asymmetric(model, 0.6)
        with pytest.raises(AnalysisError, match="no such column"):
            trim_crump(model, id_col="nope")

    def test_an_arm_with_nobody_left(self, data: pd.DataFrame) -> None:
        apart = data.assign(age_years=np.where(data["arm"] == "t", data["age_years"] + 25, data["age_years"]))
        model = fit(apart, "age_years")
        with pytest.raises(AnalysisError, match=r"no patient of the arm [tr] is left; got .* trim less"):
            trim_symmetric(model, 0.49)
        frame = overlap_table(model).frame
        assert frame["note"].isna().all()

    def test_arms_without_common_range_are_remarked_on(self, data: pd.DataFrame) -> None:
        # Ridge keeps separated scores finite, and apart.
        apart = data.assign(age_years=np.where(data["arm"] == "t", 80.0, 20.0) + data["age_years"] / 100)
        frame = overlap_table(fit(apart, "age_years", method="penalised")).frame
        assert "the scores of the arms have no range in common" in set(frame["note"].dropna())
        assert frame.loc[frame["statistic"] == "share_outside", "estimate"].tolist() == [1.0, 1.0]

    def test_levels_without_counterpart_are_remarked_on(self, data: pd.DataFrame) -> None:
        sparse = data.assign(drug=np.where((data["arm"] == "t") & (data.index < 20), "new", "old"))
        frame = positivity_table(sparse, ["drug", "age_years"], treatment_col="arm", treated="t").frame
        assert frame["term"].tolist()[:2] == ["drug=new", "drug=old"]
        assert frame["note"].tolist()[0] == "everybody here is treated: no counterpart to compare with"
        assert len(frame) == 7
        assert frame["n"].tolist()[2:] == pytest.approx([18] * 5, abs=2)
        strict = positivity_table(sparse, ["age_years"], treatment_col="arm", treated="t", smallest=0.49)
        assert "hardly anybody here is in one of the arms" in set(strict.frame["note"].dropna())


class TestBalanceTable:
    def test_several_weightings_side_by_side(self, data: pd.DataFrame) -> None:
        model = fit(data)
        table = covariate_balance(
            data,
            ["age_years", "isn_rps_class", "hypertension"],
            treatment_col="arm",
            treated="t",
            weights={"ATE": model.weights(), "ATO": model.weights("ATO")},
        )
        assert set(table.frame["population"].dropna()) == {"ATE", "ATO"}
        shown = balance_table(table)
        assert shown["Covariate"].tolist() == ["age_years", "isn_rps_class=IV", "isn_rps_class=V", "hypertension"]
        assert shown.columns.tolist()[:3] == ["Covariate", "Unweighted: t", "Unweighted: r"]
        assert [name for name in shown.columns if name.startswith("ATO")] == [
            "ATO: t", "ATO: r", "ATO: SMD", "ATO: Variance ratio", "ATO: KS", "ATO: Overlap",
        ]  # fmt: skip
        assert shown["ATO: SMD"].tolist()[:3] in (["0.00", "0.00", "0.00"], ["0.00", "-0.00", "0.00"],
                                                  ["-0.00", "0.00", "-0.00"], ["0.00", "0.00", "-0.00"])  # fmt: skip
        assert shown.loc[1, "Unweighted: t"].endswith(" %")
        assert shown.loc[1, "Unweighted: Variance ratio"] == ""

    def test_a_covariate_that_does_not_vary_has_a_note_and_a_dash(self, data: pd.DataFrame) -> None:
        flat = data.assign(x=np.where(data["arm"] == "t", 1.0, data["age_years"]))
        table = covariate_balance(flat, ["x"], treatment_col="arm", treated="t", estimand="ATT")
        notes = table.frame.set_index("statistic")["note"]
        assert notes["smd_unadjusted"] == "no variation in the arm that sets the scale"
        assert notes["overlap_unadjusted"] == "no variation in either arm, or fewer than two patients in one"
        assert balance_table(table).loc[0, "Unweighted: SMD"] == "–"
        single = np.where(data.index == data.index[data["arm"] == "t"][0], 1.0, (data["arm"] == "r").astype(float))
        lone = covariate_balance(data, ["age_years"], treatment_col="arm", treated="t", weights=single)
        assert "fewer than two patients with weight" in set(lone.frame["note"].dropna())

    def test_a_measure_of_indicators_is_the_difference_of_shares(self, data: pd.DataFrame) -> None:
        table = covariate_balance(data, ["hypertension"], treatment_col="arm", treated="t", measures=["ks", "overlap"])
        share = data.groupby("arm")["hypertension"].mean()
        difference = abs(share["t"] - share["r"])
        assert table.frame["estimate"].tolist() == pytest.approx([difference, 1 - difference])
