"""Protects what the response and longitudinal estimators say when data or arguments cannot support the question."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analyses.kernels import gee
from analyses.longitudinal import fit_gee, marginal_response
from analyses.response import compare_rates, response_rates
from cohort.errors import AnalysisError, UsageError


@pytest.fixture
def data() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "patient_id": [f"p{i}" for i in range(12) for _ in range(2)],
            "arm": ["a"] * 12 + ["b"] * 12,
            "visit_month": [6, 12] * 12,
            "age_years": np.repeat(np.arange(12) * 3.0 + 20, 2),
            "response": ["CR", "PR", "NR", "PR", "CR", "NR"] * 4,
        }
    ).assign(responder=lambda frame: frame["response"] != "NR")


def noted(frame: pd.DataFrame) -> bool:
    """Whether every missing estimate comes with a reason."""
    return bool(frame.loc[frame["estimate"].isna(), "note"].notna().all())


class TestRates:
    def test_unknown_column(self, data: pd.DataFrame) -> None:
        with pytest.raises(AnalysisError, match=r"response_rates, column nope: no such column; got columns patient_id"):
            response_rates(data, group_col="nope")
        with pytest.raises(AnalysisError, match="column nope"):
            response_rates(data, time_col="nope")

    def test_no_rows(self, data: pd.DataFrame) -> None:
        with pytest.raises(AnalysisError, match="response_rates: no rows to analyse; check the filter"):
            response_rates(data.iloc[:0])

    @pytest.mark.parametrize("column", ["response", "arm", "visit_month"])
    def test_missing_values_are_refused(self, data: pd.DataFrame, column: str) -> None:
        gaps = data.assign(**{column: data[column].astype(object).where(data.index != 3, None)})
        with pytest.raises(AnalysisError, match=rf"column '{column}': missing values; got 1 of 24 rows missing"):
            response_rates(gaps)

    def test_foreign_code(self, data: pd.DataFrame) -> None:
        with pytest.raises(AnalysisError, match="not a response code; got complete; use CR, PR and NR"):
            response_rates(data.assign(response="complete"))

    def test_unknown_outcome_and_level(self, data: pd.DataFrame) -> None:
        with pytest.raises(UsageError, match="unknown outcome; got NR; use one of CR, PR, CR or PR"):
            response_rates(data, outcome="NR")
        for call in (
            lambda level: response_rates(data, conf_level=level),
            lambda level: compare_rates(data, reference="b", conf_level=level),
            lambda level: marginal_response(data, reference="b", conf_level=level),
            lambda level: fit_gee(data, "responder ~ 1", subject_col="patient_id", conf_level=level),
        ):
            with pytest.raises(UsageError, match="conf_level: must lie strictly between 0 and 1; got 95"):
                call(95)

    def test_time_must_be_a_number(self, data: pd.DataFrame) -> None:
        with pytest.raises(AnalysisError, match="column visit_month: the time must be a number of months"):
            response_rates(data.assign(visit_month="month 6"))

    def test_without_time_there_is_one_row_a_group(self, data: pd.DataFrame) -> None:
        frame = response_rates(data, time_col=None).frame
        assert frame["group"].tolist() == ["a", "b"]
        assert frame["time"].isna().all()
        assert frame["time_unit"].isna().all()
        assert len(compare_rates(data, time_col=None, reference="b")) == 5

    def test_reference_must_be_one_of_several(self, data: pd.DataFrame) -> None:
        with pytest.raises(AnalysisError, match=r"the reference c and at least one other group .* got groups a, b"):
            compare_rates(data, reference="c")
        with pytest.raises(AnalysisError, match="at least one other group"):
            compare_rates(data[data["arm"] == "a"], reference="a")


class TestZeroCells:
    @staticmethod
    def table(a: tuple[int, int], b: tuple[int, int]) -> pd.DataFrame:
        rows = [(arm, 6, "CR" if i < events else "NR") for arm, (events, n) in (("a", a), ("b", b)) for i in range(n)]
        data = pd.DataFrame(rows, columns=["arm", "visit_month", "response"])
        frame = compare_rates(data, reference="b").frame
        assert noted(frame)
        return frame.set_index("statistic")

    def test_no_event_in_the_reference(self) -> None:
        table = self.table((3, 10), (0, 10))
        assert "no event in b: the ratio is not defined" in table.loc["risk_ratio", "note"]
        assert np.isnan(table.loc["odds_ratio", "estimate"])
        assert table.loc["risk_difference", "conf_low"] > -1
        assert table.loc["risk_difference", "note"] is pd.NA

    def test_no_event_in_the_compared_group(self) -> None:
        table = self.table((0, 10), (3, 10))
        assert table.loc["risk_ratio", "estimate"] == 0
        assert np.isnan(table.loc["risk_ratio", "conf_low"])
        assert "log-Wald interval is not defined" in table.loc["risk_ratio", "note"]
        assert table.loc["odds_ratio", "estimate"] == 0
        assert "a zero cell: the log-Wald" in table.loc["odds_ratio", "note"]

    def test_only_events_in_both(self) -> None:
        table = self.table((10, 10), (10, 10))
        assert table.loc["risk_ratio", "conf_low"] == table.loc["risk_ratio", "conf_high"] == 1
        assert "has no width" in table.loc["risk_ratio", "note"]
        assert "denominator: the ratio is not defined" in table.loc["odds_ratio", "note"]
        assert "nothing to test" in table.loc["chi_square", "note"]
        assert table.loc["fisher_exact", "p_value"] == 1

    def test_only_events_in_the_reference(self) -> None:
        table = self.table((5, 10), (10, 10))
        assert table.loc["odds_ratio", "estimate"] == 0
        assert "a zero cell" in table.loc["odds_ratio", "note"]
        assert table.loc["risk_ratio", "note"] is pd.NA

    def test_small_expected_counts_are_counted(self) -> None:
        assert table_note(self.table((1, 9), (3, 9))) == "smallest expected count 2.0, below 5"
        assert self.table((20, 40), (22, 40)).loc["chi_square", "note"] is pd.NA

    def test_a_group_absent_at_a_time_is_a_row_with_a_note(self, data: pd.DataFrame) -> None:
        only_a = data[(data["arm"] == "a") | (data["visit_month"] == 6)]
        frame = compare_rates(only_a, reference="b").frame
        late = frame[frame["time"] == 12]
        assert late["statistic"].tolist() == frame["statistic"].tolist()[:5]
        assert set(late["note"]) == {"a group has no patient at this time"}
        assert late[["estimate", "p_value"]].isna().all(axis=None)


def table_note(table: pd.DataFrame) -> str:
    return str(table.loc["chi_square", "note"])


class TestGee:
    def test_arguments(self, data: pd.DataFrame) -> None:
        with pytest.raises(UsageError, match="unknown family; got gamma; use one of binomial, gaussian, poisson"):
            fit_gee(data, "responder ~ arm", subject_col="patient_id", family="gamma")
        with pytest.raises(UsageError, match="unknown correlation; got toeplitz; use one of independence, exch"):
            fit_gee(data, "responder ~ arm", subject_col="patient_id", correlation="toeplitz")
        for formula in ("arm", "~ arm", "a ~ b ~ c"):
            with pytest.raises(UsageError, match="the formula needs a left and a right side"):
                fit_gee(data, formula, subject_col="patient_id")

    def test_outcomes_must_suit_the_family(self, data: pd.DataFrame) -> None:
        with pytest.raises(AnalysisError, match="the outcome must be boolean or 0 and 1; got CR, NR, PR"):
            fit_gee(data, "response ~ arm", subject_col="patient_id")
        with pytest.raises(AnalysisError, match="the outcome must be whole and not negative"):
            fit_gee(data.assign(k=-1), "k ~ arm", subject_col="patient_id", family="poisson")
        with pytest.raises(AnalysisError, match="column response: the outcome must be numeric"):
            fit_gee(data, "response ~ arm", subject_col="patient_id", family="gaussian")

    def test_data(self, data: pd.DataFrame) -> None:
        with pytest.raises(AnalysisError, match="at least two subjects are needed"):
            fit_gee(data[data["patient_id"] == "p0"], "responder ~ age_years", subject_col="patient_id")
        with pytest.raises(AnalysisError, match=r"fit_gee, columns patient_id, visit_month: .*got 24 repeated rows"):
            fit_gee(pd.concat([data, data]), "responder ~ arm", subject_col="patient_id", time_col="visit_month")
        with pytest.raises(AnalysisError, match="column 'age_years': missing values"):
            fit_gee(
                data.assign(age_years=data["age_years"].where(data.index > 0)),
                "responder ~ age_years",
                subject_col="patient_id",
            )

    def test_constant_and_collinear_terms_are_named(self, data: pd.DataFrame) -> None:
        twice = data.assign(one=1.0, double=data["age_years"] * 2)
        with pytest.raises(AnalysisError, match="constant or a combination of the other terms; got one"):
            fit_gee(twice, "responder ~ arm + one", subject_col="patient_id")
        with pytest.raises(AnalysisError, match="got double; leave these terms out"):
            fit_gee(twice, "responder ~ age_years + double", subject_col="patient_id")

    def test_no_exponential_of_a_mean_difference(self, data: pd.DataFrame) -> None:
        fit = fit_gee(data, "age_years ~ arm", subject_col="patient_id", family="gaussian")
        assert fit.tidy().frame["statistic"].tolist() == ["mean", "mean_difference"]
        with pytest.raises(UsageError, match="a mean difference has no exponential"):
            fit.tidy(exponentiate=True)

    def test_poisson_ratios(self, data: pd.DataFrame) -> None:
        counts = data.assign(k=[4, 0, 1, 3, 2, 2, 6, 0, 5, 1, 0, 0, 1, 1, 0, 2, 3, 0, 0, 1, 2, 1, 1, 0])
        fit = fit_gee(counts, "k ~ arm", subject_col="patient_id", family="poisson")
        tidy = fit.tidy(exponentiate=True).frame
        assert tidy["statistic"].tolist() == ["rate", "rate_ratio"]
        assert tidy["estimate"].tolist() == pytest.approx([2.0, 0.5])
        assert fit.tidy().frame["n_events"].tolist() == [36, 36]

    @pytest.mark.parametrize("family", ["binomial", "poisson"])
    def test_a_separated_outcome_is_rows_with_a_note(self, data: pd.DataFrame, family: str) -> None:
        separated = data.assign(y=(data["responder"] & (data["arm"] == "b")).astype(int))
        fit = fit_gee(separated, "y ~ arm + age_years", subject_col="patient_id", family=family)
        frame = fit.tidy().frame
        assert frame["term"].tolist() == ["Intercept", "arm=b", "age_years"]
        assert frame[["estimate", "std_error", "p_value"]].isna().all(axis=None)
        assert frame["note"].str.contains("the outcome is separated by Intercept, arm=b: no finite estimate").all()
        assert fit.glance().metadata["scale"] is None

    def test_no_convergence_is_rows_with_a_note(self, data: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(gee, "_MAX_ITERATIONS", 2)
        ragged = data.iloc[:-3]
        fit = fit_gee(ragged, "responder ~ arm + age_years", subject_col="patient_id", correlation="exchangeable")
        assert fit.note == "no convergence, or fitted values at the edge of their range: no estimate"
        assert fit.tidy().frame["estimate"].isna().all()

    def test_an_impossible_working_correlation_is_rows_with_a_note(self) -> None:
        # Two subjects of two rows that always differ, and one of four that all differ in sign pairwise: the pairs are
        # as negative as they can be, more than four rows of one subject could be.
        data = pd.DataFrame(
            {"id": ["a", "a", "b", "b", "c", "c", "d", "d", "e", "e", "e", "e"], "y": [3.0, -3] * 4 + [1.0, -1] * 2}
        )
        fit = fit_gee(data, "y ~ 1", subject_col="id", family="gaussian", correlation="exchangeable")
        assert "is impossible for subjects of 4 rows" in fit.note

    def test_residuals_that_cancel_within_subjects_are_rows_with_a_note(self, data: pd.DataFrame) -> None:
        frame = fit_gee(data.assign(k=[2, 0] * 12), "k ~ arm", subject_col="patient_id", family="poisson").tidy().frame
        assert set(frame["note"]) == {"the residuals of every subject cancel: no variance to estimate"}

    @pytest.mark.parametrize("correlation", ["independence", "exchangeable"])
    def test_an_outcome_without_spread_is_rows_with_a_note(self, data: pd.DataFrame, correlation: str) -> None:
        options = {"subject_col": "patient_id", "family": "gaussian", "correlation": correlation}
        constant = fit_gee(data.assign(y=0.0), "y ~ arm", **options).tidy().frame
        assert set(constant["note"]) == {"the outcome is the same in every row: nothing to model"}
        assert constant["estimate"].isna().all()
        exact = fit_gee(data.assign(y=data["arm"] == "a").astype({"y": float}), "y ~ arm", **options).tidy().frame
        assert exact["estimate"].isna().all()
        assert exact["note"].notna().all()

    def test_glance_counts_subjects(self, data: pd.DataFrame) -> None:
        fit = fit_gee(data, "responder ~ arm", subject_col="patient_id", correlation="exchangeable")
        glance = fit.glance()
        assert len(glance) == 1
        assert glance.metadata["subjects"] == 12
        assert glance.metadata["largest_subject"] == 2
        assert glance.frame["n_events"].item() == 16
        assert "exchangeable working correlation" in glance.frame["method"].item()


class TestMarginal:
    def test_arguments(self, data: pd.DataFrame) -> None:
        with pytest.raises(AnalysisError, match="the reference c and at least one other group are needed"):
            marginal_response(data, reference="c")
        with pytest.raises(AnalysisError, match="columns patient_id, visit_month: a subject has more"):
            marginal_response(pd.concat([data, data]), reference="b")

    def test_values_must_not_change_within_a_patient(self, data: pd.DataFrame) -> None:
        with pytest.raises(AnalysisError, match=r"marginal_response, arm: the value changes .* got 1 rows unlike"):
            marginal_response(data.assign(arm=["b", *data["arm"].tolist()[1:]]), reference="b")
        with pytest.raises(AnalysisError, match="marginal_response, visit_month: the value changes within a patient"):
            marginal_response(data, reference="b", adjust="age_years + visit_month")

    def test_constant_covariate_is_named(self, data: pd.DataFrame) -> None:
        with pytest.raises(AnalysisError, match=r"marginal_response, adjust: constant .* got one"):
            marginal_response(data.assign(one=1.0), reference="b", adjust="age_years + one")

    def test_a_cell_without_patients(self, data: pd.DataFrame) -> None:
        frame = marginal_response(data[(data["arm"] == "a") | (data["visit_month"] == 6)], reference="b").frame
        assert noted(frame)
        assert frame["note"].dropna().unique().tolist() == ["no patient of b at this time"]

    def test_all_cells_flat(self, data: pd.DataFrame) -> None:
        frame = marginal_response(data.assign(response="CR"), reference="b").frame
        assert frame["estimate"].tolist() == [1, 1, 1, 1, 0, 0]
        assert frame["note"].notna().all()

    def test_covariates_that_separate(self, data: pd.DataFrame) -> None:
        parted = data.assign(sick=data["patient_id"].isin(["p0", "p2", "p6", "p8"]))
        parted = parted.assign(response=np.where(parted["sick"], "NR", "CR"))
        frame = marginal_response(parted, reference="b", adjust="sick").frame
        assert frame["note"].str.contains("the covariates separate the outcome").all()
        assert noted(frame)

    def test_covariate_constant_where_the_outcome_varies(self, data: pd.DataFrame) -> None:
        in_b = data.assign(marker=data["patient_id"] == "p11")
        in_b = in_b.assign(response=np.where(in_b["arm"] == "b", "CR", in_b["response"]))
        frame = marginal_response(in_b, reference="b", adjust="marker").frame
        assert frame["note"].str.contains("does not vary within the cells|only events in b").all()
        assert noted(frame)

    def test_probabilities_at_the_edge_without_separation(
        self, data: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("analyses.kernels.logistic.MAX_ITERATIONS", 1)
        frame = marginal_response(data, reference="b", adjust="age_years").frame
        assert frame["note"].str.contains("no finite estimate").all()
