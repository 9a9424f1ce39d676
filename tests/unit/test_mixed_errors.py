"""Mixed models refuse what they cannot fit in words, and say why a fit has no answer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analyses.datasets import AnalysisData, analysis_data
from analyses.imputation import pool_imputations
from analyses.longitudinal import fit_mixed, laboratory_course, missing_visit_strategies
from cohort.codes import Event
from cohort.definitions import KDIGO_2012, KIM2025
from cohort.errors import AnalysisError, LncohortError, UsageError
from synthetic.generate import GeneratedCohort


def frame(**columns: Any) -> pd.DataFrame:
    base = {"id": list("aabbcc"), "t": [0.0, 1, 0, 1, 0, 2], "y": [1.0, 2, 4, 3, 5, 8], "arm": list("xxyyxx")}
    return pd.DataFrame(base | columns)


@pytest.mark.parametrize(
    ("data", "formula", "options", "error", "message"),
    [
        (frame(), "t", {}, UsageError, "needs a left and a right side.*got t"),
        (frame(), "y ~ t", {"random": "t"}, UsageError, 'random="1 \\+ years"'),
        (frame(), "y ~ t", {"random": "1 + t + arm"}, UsageError, "unknown random effects"),
        (frame(), "y ~ t", {"conf_level": 1.0}, UsageError, "conf_level"),
        (frame(), "z ~ t", {}, AnalysisError, "column z: no such column"),
        (frame(y=[1.0, 2, 4, 3, None, 8]), "y ~ t", {}, AnalysisError, "'y': missing values; got 1 of 6 rows"),
        (frame(t=[0.0, 1, 0, 1, None, 2]), "y ~ 1", {"random": "1 + t"}, AnalysisError, "'t': missing values"),
        (frame(y=list("abcdef")), "y ~ t", {}, AnalysisError, "must be numeric"),
        (frame(y=[1.0, 2, 4, 3, np.inf, 8]), "y ~ t", {}, AnalysisError, "not finite.*got 1 rows"),
        (frame(), "y ~ t", {"random": "1 + arm"}, AnalysisError, "column arm.*must be numeric"),
        (frame(), "y ~ t + arm + I(2 * t)", {}, AnalysisError, "combination of the other terms"),
        (frame(t=3.0), "y ~ arm", {"random": "1 + t"}, AnalysisError, "same in every row"),
        (frame(id="a"), "y ~ t", {}, AnalysisError, "at least two subjects"),
        (frame().head(0), "y ~ t", {}, AnalysisError, "no rows"),
    ],
)
def test_requests_refused(
    data: pd.DataFrame, formula: str, options: dict[str, Any], error: type[LncohortError], message: str
) -> None:
    with pytest.raises(error, match=message):
        fit_mixed(data, formula, subject_col="id", **options)


@pytest.mark.parametrize(
    ("data", "formula", "random", "note"),
    [
        (frame(id=list("abcdef")), "y ~ t", "1", "one row per subject"),
        (frame(), "y ~ t", "1 + t", "no subject has rows enough to tell its own line"),
        (frame(id=list("aaabbb"), t=[0.0, 0, 0, 1, 1, 1]), "y ~ 1", "1 + t", "no subject has rows at two times"),
        (frame(y=[1.0, 2, 1, 2, 1, 3]), "y ~ t", "1", "the fixed effects fit every row exactly"),
        (frame().head(2).assign(id=["a", "b"]), "y ~ t", "1", "2 rows for 2 fixed effects"),
        (frame(t=[0.0, 1] * 3, y=[1.0, 2, 4, 5, 7, 8]), "y ~ t", "1", "the likelihood has no maximum"),
    ],
)
def test_fits_without_an_answer_are_rows_with_a_note(data: pd.DataFrame, formula: str, random: str, note: str) -> None:
    fit = fit_mixed(data, formula, subject_col="id", random=random)
    assert fit.note.startswith(note)
    for table in (fit.tidy(), fit.glance(), fit.variance_components(), fit.predict(data)):
        assert len(table)
        assert table.frame["estimate"].isna().all()
        assert table.frame["note"].str.startswith(note).all()
    assert fit.glance().metadata["aic"] is None


def test_what_the_averages_refuse() -> None:
    rng = np.random.default_rng(2)
    data = pd.DataFrame({"id": np.repeat(range(8), 4), "t": [0.0, 1, 2, 3] * 8, "y": rng.normal(size=32)})
    data["arm"], data["dose"] = np.where(data["id"] < 4, "x", "y"), rng.normal(size=32)
    fit = fit_mixed(data, "y ~ arm * t + dose", subject_col="id")
    with pytest.raises(AnalysisError, match="dose: the value changes within a patient"):
        fit.trajectory(group_col="arm", time_col="t")
    plain = fit_mixed(data, "y ~ arm * t", subject_col="id")
    with pytest.raises(AnalysisError, match="column sex: no column of the formula"):
        plain.trajectory(group_col="sex", time_col="t")
    with pytest.raises(AnalysisError, match="the reference z"):
        plain.trajectory(group_col="arm", time_col="t", reference="z")
    with pytest.raises(AnalysisError, match="the reference z"):
        plain.slopes(group_col="arm", time_col="t", reference="z")
    with pytest.raises(AnalysisError, match="levels that the model has not seen; got z"):
        plain.predict(data.head(1).assign(arm="z"))
    curved = fit_mixed(data, "y ~ arm + t + I(t ** 2)", subject_col="id")
    with pytest.raises(AnalysisError, match="not a straight line"):
        curved.slopes(group_col="arm", time_col="t")
    assert plain.slopes(group_col="arm", time_col="t").frame["statistic"].tolist() == ["slope", "slope"]
    named = fit_mixed(data.assign(t=data["t"].astype(str)), "y ~ arm + t", subject_col="id")
    with pytest.raises(AnalysisError, match="the time must be a number"):
        named.slopes(group_col="arm", time_col="t")


@pytest.fixture(scope="module")
def data(generated: GeneratedCohort) -> AnalysisData:
    return analysis_data(
        generated.cohort, treated="tacrolimus", reference="no_tacrolimus", response=KIM2025, flare=KDIGO_2012
    )


def test_a_course_has_every_scheduled_value_and_counts_the_rest(data: AnalysisData) -> None:
    visits, events = data.cohort.visits, data.cohort.events
    failed = events[events["event"] == Event.ESKD.value].groupby("patient_id")["day"].min()
    scheduled = visits[visits["visit_month"].notna()]
    after = scheduled["day"] > scheduled["patient_id"].map(failed).fillna(np.inf)
    course = laboratory_course(data, column="log_upcr")
    assert len(course.rows) == len(scheduled) - after.sum()
    at_start = course.rows[course.rows["visit_month"] == 0]
    np.testing.assert_array_equal(at_start["log_upcr"], at_start["baseline_log_upcr"])
    number = int(after.sum())
    expected = f"left out of {len(scheduled)} scheduled visits: {number} after kidney failure" if number else ""
    assert course.remark == expected
    blank = visits.assign(upcr_g_g=visits["upcr_g_g"].mask(np.arange(len(visits)) % 7 == 0))
    poorer = laboratory_course(replace(data, cohort=replace(data.cohort, visits=blank)), column="log_upcr")
    lacking = int((blank.loc[scheduled.index, "upcr_g_g"].isna() & ~after).sum())
    assert lacking > 50
    assert poorer.remark.startswith(f"left out of {len(scheduled)} scheduled visits: {lacking} without upcr_g_g")
    assert len(poorer.rows) == len(course.rows) - lacking
    noted = poorer.noted(fit_mixed(poorer.rows, "log_upcr ~ arm", subject_col="patient_id").tidy())
    assert (noted.frame["note"] == poorer.remark).all()
    assert laboratory_course(data, column="serum_creatinine_mg_dl").rows["serum_creatinine_mg_dl"].min() > 0
    with pytest.raises(UsageError, match=r"not a laboratory value.*got height.*log_upcr"):
        laboratory_course(data, column="height")


def visits(**columns: Any) -> pd.DataFrame:
    base = {
        "patient_id": list("aabbccdd"),
        "arm": list("xxxxyyyy"),
        "visit_month": [6, 12] * 4,
        "due": True,
        "response": ["CR", "NR", "PR", None, "CR", "CR", None, "NR"],
        "status": ["assessed"] * 3 + ["missed visit"] + ["assessed"] * 2 + ["missed visit", "assessed"],
        "age": [1.0, 1, 2, 2, 3, 3, 5, 5],
    }
    return pd.DataFrame(base | columns)


@pytest.mark.parametrize(
    ("data", "options", "error", "message"),
    [
        (visits(), {"imputations": 1}, UsageError, "at least two imputations.*got 1"),
        (visits(), {"death": "ignored"}, UsageError, "unknown death.*no response or missing"),
        (visits(), {"outcomes": ["PR"]}, UsageError, "unknown outcome"),
        (visits(), {"outcomes": []}, UsageError, "unknown outcome"),
        (visits(), {"conf_level": 0.0}, UsageError, "conf_level"),
        (visits(), {"seed": -1}, UsageError, "seed"),
        (visits(), {"reference": "z"}, AnalysisError, "the reference z"),
        (visits().drop(columns="response"), {}, AnalysisError, "column response: no such column"),
        (visits(arm=list("xxxyyyyy")), {}, AnalysisError, "changes within a patient"),
        (visits(age=np.arange(8.0)), {"covariates": "age"}, AnalysisError, "changes within a patient"),
        (visits(age=[None, 1, 2, 2, 3, 3, 5, 5]), {"covariates": "age"}, AnalysisError, "'age': missing values"),
        (visits().head(7), {}, AnalysisError, "no row at a visit.*7 rows for 4 patients and 2 visits"),
        (visits(patient_id=list("aaaaccdd")), {}, AnalysisError, "more than one row at a time"),
        (visits(status="gone"), {}, AnalysisError, "unknown status.*got gone.*data_lock"),
        (visits(response="full"), {}, AnalysisError, "unknown response.*got full.*use NR, PR, CR"),
        (visits(status="assessed"), {}, AnalysisError, "got 2 rows that contradict"),
        (visits(due=False), {}, AnalysisError, "got 6 rows that contradict"),
        (visits().head(0), {}, AnalysisError, "no rows"),
    ],
)
def test_frames_of_visits_refused(
    data: pd.DataFrame, options: dict[str, Any], error: type[LncohortError], message: str
) -> None:
    asked: dict[str, Any] = {"reference": "x", "covariates": None, "seed": 1, "imputations": 2}
    with pytest.raises(error, match=message):
        missing_visit_strategies(data, **(asked | options))


def test_cells_without_anybody_are_rows_with_a_note() -> None:
    """Month 12: nobody of arm y is due. Month 6: of arm y nobody is assessed."""
    data = visits(
        due=[True] * 4 + [True, False] * 2,
        response=["CR", "NR", "PR", None, None, None, None, None],
        status=["assessed"] * 3 + ["missed visit"] + ["missed visit", "data_lock"] * 2,
    )
    table = missing_visit_strategies(
        data, reference="x", covariates="age", seed=1, imputations=2, outcomes=["CR"]
    ).frame
    late = table[(table["group"] == "y") & (table["time"] == 12)]
    assert (late["note"] == "no patient of this arm is due at this time").all()
    assert late["estimate"].isna().all()
    early = table[(table["group"] == "y") & (table["time"] == 6)].set_index("population")
    assert early.loc["non-responder imputation", "estimate"] == 0
    others = early.drop(index="non-responder imputation")
    assert (others["note"] == "2 of the 2 patients due not assessed: nothing to estimate from").all()
    contrasts = table[table["statistic"] == "risk_difference"]
    assert contrasts.loc[contrasts["time"] == 12, "note"].str.contains("y: no patient of this arm is due").all()
    assert contrasts.loc[contrasts["time"] == 12, "conf_low"].isna().all()


def test_everybody_alike_has_an_interval_but_no_standard_error() -> None:
    data = visits(response=["CR", "CR", "CR", None, "CR", "CR", None, "CR"])
    table = missing_visit_strategies(data, reference="x", covariates=None, seed=1, imputations=2, outcomes=["CR"]).frame
    rows = table[(table["population"] == "inverse probability of assessment") & (table["statistic"] == "proportion")]
    assert (rows["estimate"] == 1).all()
    assert (rows["std_error"] == 0).all()
    assert (rows["conf_low"] < 1).all()
    assert (rows["conf_high"] == 1).all()


@pytest.mark.parametrize(
    ("estimates", "variances", "message"),
    [
        ([1.0], [1.0], "at least two imputations"),
        (1.0, 1.0, "at least two imputations"),
        ([1.0, 2.0], [1.0], "one shape.*\\(2,\\) and \\(1,\\)"),
        ([1.0, np.nan], [1.0, -1.0], "got 2 values that are not"),
    ],
)
def test_pooling_refuses(estimates: Any, variances: Any, message: str) -> None:
    with pytest.raises(AnalysisError, match=message):
        pool_imputations(estimates, variances)
