"""Protects what marginal and ordinal models refuse, in which words, and what they say of fits that cannot be had."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analyses.kernels.working_correlation import Clusters, unstructured
from analyses.longitudinal import fit_gee, fit_ordinal
from analyses.longitudinal.wald import wald_test
from cohort.errors import AnalysisError, UsageError


@pytest.fixture
def data() -> pd.DataFrame:
    rng = np.random.default_rng(4)
    frame = pd.DataFrame(
        {
            "patient_id": np.repeat([f"p{i:02d}" for i in range(20)], 3),
            "arm": np.repeat(["a", "b"] * 10, 3),
            "month": np.tile([6, 12, 24], 20),
            "age": np.repeat(rng.normal(40, 9, 20), 3),
            "response": rng.choice(["NR", "PR", "CR"], 60),
            "w": rng.uniform(0.5, 2, 60),
        }
    )
    return frame.assign(y=(frame["response"] == "CR").astype(int), z=rng.normal(size=60))


GEE = {"subject_col": "patient_id"}


class TestRequests:
    @pytest.mark.parametrize("correlation", ["ar1", "unstructured"])
    def test_some_correlations_need_visits(self, data: pd.DataFrame, correlation: str) -> None:
        with pytest.raises(UsageError, match=f"the {correlation} correlation needs to know the visits.*time_col"):
            fit_gee(data, "y ~ arm", correlation=correlation, **GEE)

    def test_unknown_variance(self, data: pd.DataFrame) -> None:
        with pytest.raises(UsageError, match="unknown variance; got hc3; use one of robust, mancl_derouen"):
            fit_gee(data, "y ~ arm", variance="hc3", **GEE)

    @pytest.mark.parametrize("fit", [fit_gee, fit_ordinal])
    def test_weights_must_be_positive_numbers(self, data: pd.DataFrame, fit: object) -> None:
        for wrong, message in (
            (data["w"].where(data.index > 1, 0.0), "finite and above zero; got 2 rows, the first 0"),
            (data["w"].where(data.index > 0, np.inf), "finite and above zero; got 1 rows, the first inf"),
            (data["w"].where(data.index > 0), "column 'w': missing values"),
            (data["arm"], "weights_col 'w': the column must be numeric"),
        ):
            formula = "y ~ arm" if fit is fit_gee else "response ~ arm"
            with pytest.raises(AnalysisError, match=message):
                fit(data.assign(w=wrong), formula, weights_col="w", **GEE)  # type: ignore[operator]

    def test_offsets_must_be_numbers(self, data: pd.DataFrame) -> None:
        with pytest.raises(AnalysisError, match="offset_col 'age': values must be finite; got 1 rows"):
            fit_gee(data.assign(age=data["age"].where(data.index > 0, -np.inf)), "y ~ arm", offset_col="age", **GEE)

    def test_missing_subjects_are_refused(self, data: pd.DataFrame) -> None:
        with pytest.raises(AnalysisError, match="column 'patient_id': missing values; got 3 of 60 rows"):
            fit_gee(data.assign(patient_id=data["patient_id"].where(data.index > 2)), "y ~ arm", **GEE)


class TestGeeFit:
    def test_terms_of_a_test(self, data: pd.DataFrame) -> None:
        fit = fit_gee(data, "y ~ arm * C(month)", **GEE)
        both = fit.test_terms(["arm:month", "arm=b"]).frame.iloc[0]
        assert both["note"] == "df=3"
        assert both["term"] == "arm:month + arm=b"
        assert "Wald test" in both["method"]
        single = fit.test_terms("arm=b").frame.iloc[0]
        assert single["p_value"] == pytest.approx(fit.tidy().frame["p_value"].iloc[1])
        for wrong in ("sex", []):
            with pytest.raises(
                UsageError, match=r"no such term; got (sex|no name); use terms 1, arm, month, arm:month"
            ):
                fit.test_terms(wrong)

    def test_more_terms_than_subjects_have_no_test(self, data: pd.DataFrame) -> None:
        few = data[data["patient_id"].isin(["p00", "p01", "p02", "p03"])].assign(z=lambda f: f["z"] + f["month"])
        fit = fit_gee(few, "z ~ C(month) + age + arm + w", family="gaussian", **GEE)
        row = fit.test_terms(["month", "age", "arm", "w"]).frame.iloc[0]
        assert np.isnan(row["p_value"])
        assert row["note"] == "no test: the variance of the terms is singular"

    def test_a_test_without_variance_says_so(self) -> None:
        assert wald_test(np.array([1.0]), np.array([[np.nan]])).note == "no test: no estimate or no variance"
        assert wald_test(np.array([1.0]), np.array([[0.0]])).note == "no test: the variance of the terms is singular"

    def test_augment_adds_to_the_same_rows(self, data: pd.DataFrame) -> None:
        fit = fit_gee(data, "y ~ arm + age", **GEE)
        more = fit.augment(data)
        assert more.columns.tolist() == [*data.columns, "fitted", "residual", "linear_predictor"]
        np.testing.assert_allclose(more["fitted"] + more["residual"], data["y"])
        with pytest.raises(AnalysisError, match="not the data of this fit; got 3 rows; pass the 60 rows"):
            fit.augment(data.head(3))

    def test_several_correlations_are_a_table_of_their_own(self, data: pd.DataFrame) -> None:
        fit = fit_gee(data, "y ~ arm", correlation="unstructured", time_col="month", **GEE)
        glance = fit.glance().frame.iloc[0]
        assert np.isnan(glance["estimate"])
        assert glance["note"] == "one correlation for each pair of visits, see correlations()"
        assert fit.correlations().frame["term"].tolist() == ["6 v 12", "6 v 24", "12 v 24"]
        plain = fit_gee(data, "y ~ arm", **GEE)
        assert plain.correlations().frame["estimate"].tolist() == [0.0]

    def test_correlations_that_cannot_be_together_are_rows_with_a_note(self) -> None:
        # Each pair of three visits is perfectly opposed in its own subjects, and a fourth kind is seen at all three.
        pairs = [(1, 2), (1, 3), (2, 3)]
        rows = [(f"{k}{i}{s}", m, s * d) for k, p in enumerate(pairs) for i in range(9) for s in (1.0, -1.0)
                for m, d in zip(p, (1.0, -0.9), strict=True)]  # fmt: skip
        rows += [(f"all{s}", m, s) for s in (1.0, -1.0) for m in (1, 2, 3)]
        data = pd.DataFrame(rows, columns=["id", "visit", "y"])
        options = {"subject_col": "id", "time_col": "visit", "family": "gaussian"}
        fit = fit_gee(data, "y ~ 1", correlation="unstructured", **options)
        assert fit.note == "the working correlations are impossible together: their matrix is not positive definite"
        assert fit.correlations().frame["note"].tolist() == [fit.note]

    def test_an_impossible_autoregression_is_rows_with_a_note(self) -> None:
        # Pairs of rows alike, far from those seen once: their mean product is above the mean square.
        rows = [(f"p{i}", m, 4.0 * (-1) ** i) for i in range(6) for m in (1, 2)]
        rows += [(f"q{i}", 1, 0.5 * (-1) ** i) for i in range(6)]
        data = pd.DataFrame(rows, columns=["id", "visit", "y"])
        options = {"subject_col": "id", "time_col": "visit", "family": "gaussian"}
        for correlation in ("ar1", "exchangeable"):
            fit = fit_gee(data, "y ~ 1", correlation=correlation, **options)
            assert "is impossible for subjects of 2 rows" in fit.note
            assert fit.tidy().frame["estimate"].isna().all()

    def test_nearest_possible_correlations_are_possible(self) -> None:
        clusters = Clusters(np.array([0, 3]), np.array([3, 3]), np.array([0, 1, 2, 0, 1, 2]))
        structure = unstructured(clusters)
        wild = np.array([0.9, -0.9, 0.9])
        assert not structure.possible(wild)
        assert structure.possible(structure.nearest_possible(wild))

    def test_rates_have_intervals_on_the_log_scale(self, data: pd.DataFrame) -> None:
        counts = data.assign(k=np.arange(60) % 4, log_t=np.log(data["w"]))
        fit = fit_gee(counts, "k ~ arm + age", family="poisson", offset_col="log_t", **GEE)
        table = fit.marginal_response(counts, by="arm").frame
        assert table["statistic"].tolist() == ["standardised_rate"] * 2
        assert table["time"].isna().all()
        np.testing.assert_allclose(table["conf_low"] * table["conf_high"], table["estimate"] ** 2)


class TestStandardised:
    def test_requests(self, data: pd.DataFrame) -> None:
        fit = fit_gee(data, "y ~ arm * C(month) + age", **GEE)
        options = {"by": "arm", "time_col": "month"}
        with pytest.raises(AnalysisError, match="the model does not depend on it; got formula"):
            fit.marginal_response(data, by="response")
        with pytest.raises(AnalysisError, match="column nope: no such column"):
            fit.marginal_response(data, by="nope")
        with pytest.raises(AnalysisError, match="the reference c and at least one other group are needed"):
            fit.marginal_response(data, reference="c", **options)
        with pytest.raises(AnalysisError, match="not the data of this fit; got 12 rows; pass the 60 rows"):
            fit.marginal_response(data.head(12), **options)
        with pytest.raises(AnalysisError, match="not the data of this fit; got other values"):
            fit.marginal_response(data.assign(age=data["age"] + 1), **options)
        changing = data.assign(age=data["age"] + data["month"])
        with pytest.raises(AnalysisError, match=r"changes within a subject.*got age \(20 subjects\)"):
            fit_gee(changing, "y ~ arm * C(month) + age", **GEE).marginal_response(changing, **options)
        text = data.assign(month=data["month"].map("month {:02d}".format))
        with pytest.raises(AnalysisError, match="the time must be a number of months"):
            fit_gee(text, "y ~ arm * month", **GEE).marginal_response(text, **options)

    def test_a_failed_fit_keeps_its_reason(self, data: pd.DataFrame) -> None:
        flat = data.assign(y=1)
        table = fit_gee(flat, "y ~ arm", **GEE).marginal_response(flat, by="arm", reference="a").frame
        assert table["estimate"].isna().all()
        assert set(table["note"]) == {"the outcome is the same in every row: nothing to model"}


class TestOrdinal:
    def test_the_order_of_categories(self, data: pd.DataFrame) -> None:
        grade = data.assign(grade=data["response"].map({"NR": "none", "PR": "some", "CR": "all"}))
        with pytest.raises(AnalysisError, match="the order of the categories is not known; got all, none, some"):
            fit_ordinal(grade, "grade ~ arm")
        order = ("none", "some", "all")
        with pytest.raises(AnalysisError, match="not among the categories; got all"):
            fit_ordinal(grade, "grade ~ arm", categories=order[:2])
        with pytest.raises(AnalysisError, match="got a category named twice"):
            fit_ordinal(grade, "grade ~ arm", categories=(*order, "all"))
        named = fit_ordinal(grade, "grade ~ arm", categories=order)
        expected = fit_ordinal(data, "response ~ arm").coefficients
        numbered = data.assign(grade=data["response"].map({"NR": 0, "PR": 1, "CR": 2}))
        declared = grade.assign(grade=pd.Categorical(grade["grade"], categories=order, ordered=True))
        for fit in (named, fit_ordinal(numbered, "grade ~ arm"), fit_ordinal(declared, "grade ~ arm")):
            np.testing.assert_allclose(fit.coefficients, expected)
        assert named.terms == ("none|some", "some|all", "arm=b")
        assert fit_ordinal(numbered, "grade ~ arm").terms[:2] == ("0|1", "1|2")

    def test_requests(self, data: pd.DataFrame) -> None:
        with pytest.raises(UsageError, match="fit_ordinal: the formula needs a left and a right side"):
            fit_ordinal(data, "response")
        with pytest.raises(AnalysisError, match="constant or a combination of the other terms; got one"):
            fit_ordinal(data.assign(one=1.0), "response ~ arm + one")
        with pytest.raises(AnalysisError, match="at least two subjects"):
            fit_ordinal(data.assign(patient_id="p"), "response ~ arm", subject_col="patient_id")
        with pytest.raises(AnalysisError, match="column 'response': missing values"):
            fit_ordinal(data.assign(response=data["response"].where(data.index > 0)), "response ~ arm")

    def test_rows_without_subject_are_their_own_subjects(self, data: pd.DataFrame) -> None:
        fit = fit_ordinal(data, "response ~ arm + age")
        assert "model-based variance" in fit.method
        table = fit.marginal_probabilities(data, by="arm", reference="a").frame
        shares = table[table["statistic"] == "standardised_proportion"].groupby("group")["estimate"].sum()
        np.testing.assert_allclose(shares, 1.0)
        weighted = fit_ordinal(data, "response ~ arm + age", weights_col="w")
        assert "weighted, sandwich variance" in weighted.method
        assert weighted.test_terms("arm").frame["note"].item() == "df=1"
        assert weighted.test_proportional_odds().frame["note"].tolist() == ["df=1", "df=1", "df=2"]
        assert fit.glance().metadata["counts"] == data["response"].value_counts().to_dict()

    def test_residuals_that_cancel_within_subjects_are_rows_with_a_note(self) -> None:
        rows = [(i, arm, code) for i, arm in enumerate("aabb") for code in ("NR", "PR", "CR")]
        data = pd.DataFrame(rows, columns=["id", "arm", "response"])
        fit = fit_ordinal(data, "response ~ arm", subject_col="id")
        assert fit.note == "the residuals of every subject cancel: no variance to estimate"
