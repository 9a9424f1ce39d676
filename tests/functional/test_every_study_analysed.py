"""Every study carried: drugs as its regimen says, dates within its accrual, analyses that run or say why."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from analyses.datasets import AnalysisData, analysis_data
from analyses.plan import run_analyses
from cohort.cli.pipeline import compared_arms
from cohort.codes import CALCINEURIN_INHIBITORS, Background, Drug
from cohort.definitions import KDIGO_2012, KIM2025
from cohort.errors import CalibrationError, UsageError
from cohort.record import Study
from cohort.results import RESULT_COLUMNS
from cohort.store import Cohort
from cohort.targets import available_studies, load_study
from cohort.validation import validate_cohort
from synthetic.generate import generate_exact
from synthetic.scenario import load_scenario

Run = Callable[..., subprocess.CompletedProcess[str]]
TRIALS = tuple(name for name in available_studies() if name != "kim2025")
IMMUNOSUPPRESSANTS = {*CALCINEURIN_INHIBITORS, *(Drug(code) for code in Background if code is not Background.NONE)}
ANALYSED = ("bao2008", "mok2013", "zavada2010")
"""Studies that the default run analyses: two arms, one arm, a rate that no integer gives."""
COMPARING = ("response_differences", "flare_free_logrank", "cox", "propensity_balance", "weighted_response")


@pytest.fixture(scope="module", params=TRIALS)
def made(request: pytest.FixtureRequest) -> tuple[Study, Cohort]:
    study = load_study(request.param)
    return study, generate_exact(study, seed=5, scenario=load_scenario("default")).cohort


def laid_out(study: Study, cohort: Cohort) -> AnalysisData:
    named = f"{study.arms[0].code},{study.arms[-1].code}" if len(study.arms) > 2 else None
    treated, reference = compared_arms(study, named)
    return analysis_data(cohort, treated=treated, reference=reference, response=KIM2025, flare=KDIGO_2012)


def test_drugs_follow_the_regimen_of_the_arm(made: tuple[Study, Cohort]) -> None:
    study, cohort = made
    assert validate_cohort(cohort, arms=[arm.code for arm in study.arms], response=KIM2025).empty
    given = cohort.treatments.merge(cohort.patients[["patient_id", "arm"]], on="patient_id")
    assert set(given["phase"]) == {"trial"}
    assert (given["start_day"] >= 0).all()
    for arm in study.arms:
        own = given[given["arm"] == arm.code]
        assert set(own["drug"]) - {"hydroxychloroquine", "raas_inhibitor"} == {drug.value for drug in arm.regimen}
        for drug in arm.regimen:
            rows = own[own["drug"] == drug.value]
            doses = [dose for dose in arm.doses if dose.drug is drug]
            if not doses or not doses[0].from_month:
                assert rows["patient_id"].nunique() == arm.size, (arm.code, drug)
            if doses and doses[0].mg_day is not None:
                assert set(rows["dose_mg_day"]) == {doses[0].mg_day}
    background = cohort.patients.groupby("arm")["background_therapy"].agg(lambda codes: set(codes))
    for arm in study.arms:
        at_start = {drug for drug in arm.regimen if drug in IMMUNOSUPPRESSANTS and not starts_later(study, drug)}
        beside = {drug.value for drug in at_start - set(CALCINEURIN_INHIBITORS)} or {"none"}
        assert background[arm.code] == beside


def starts_later(study: Study, drug: Drug) -> bool:
    return any(dose.drug is drug and dose.from_month for arm in study.arms for dose in arm.doses)


def test_levels_are_of_tacrolimus_only(made: tuple[Study, Cohort]) -> None:
    study, cohort = made
    measured = cohort.visits[cohort.visits["tacrolimus_trough_ng_ml"].notna()]
    arms = set(measured.merge(cohort.patients, on="patient_id")["arm"])
    assert arms == {arm.code for arm in study.arms if arm.tacrolimus}


def test_index_dates_lie_within_accrual_and_no_trial_ends_by_a_data_lock(made: tuple[Study, Cohort]) -> None:
    study, cohort = made
    assert "data_lock" not in set(cohort.patients["end_reason"])
    years = cohort.patients["index_date"].dt.year
    if study.accrual is not None:
        assert years.min() >= study.accrual.first_year
        assert years.max() <= study.accrual.last_year


def test_origins_are_those_of_the_study_file(made: tuple[Study, Cohort]) -> None:
    study, cohort = made
    assert set(cohort.patients["ethnicity"]) == {origin.code.value for origin in study.origins}


@pytest.mark.parametrize(
    "made", [pytest.param(name, marks=() if name in ANALYSED else pytest.mark.slow) for name in TRIALS], indirect=True
)
def test_analyses_run_or_say_why(made: tuple[Study, Cohort]) -> None:
    study, cohort = made
    data = laid_out(study, cohort)
    assert data.horizon_years == study.visit_months[-1] / 12
    tables = run_analyses(data)
    contrasts = set()
    for name, table in tables.items():
        assert tuple(table.frame.columns) == RESULT_COLUMNS
        assert len(table) > 0, name
        contrasts |= set(table.frame["contrast"].dropna())
    if data.reference is None:
        assert contrasts == set()
        for name in COMPARING:
            assert tables[name].frame["note"].str.contains("one arm: nothing to compare").all(), name
        assert (tables["table_one"].frame["statistic"] == "mean").any()
    else:
        assert contrasts == {f"{data.treated} v {data.reference}"}
        assert set(data.baseline["arm"]) == {data.treated, data.reference}
    free = tables["flare_free_survival"].frame
    assert free["time"].max() <= data.horizon_years + 1e-12


def test_the_reference_is_the_last_arm_of_the_file() -> None:
    assert compared_arms(load_study("zavada2010"), None) == ("csa", "cyc")
    assert compared_arms(load_study("kim2025"), None) == ("tacrolimus", "no_tacrolimus")
    assert compared_arms(load_study("mok2013"), None) == ("tac_mmf", None)
    assert compared_arms(load_study("rovin2019"), "vcs_high, placebo") == ("vcs_high", "placebo")


@pytest.mark.parametrize("named", ["vcs_low", "vcs_low,vcs_low", "vcs_low,tacrolimus", ""])
def test_arms_that_cannot_be_compared_are_refused(named: str) -> None:
    with pytest.raises(UsageError, match=r"two arms of the study are compared.*arms: vcs_low, vcs_high, placebo"):
        compared_arms(load_study("rovin2019"), named)


def test_a_randomised_study_takes_no_confounding() -> None:
    with pytest.raises(CalibrationError, match=r"assignment.strength, study aurora1.*not confounded; got 2"):
        generate_exact(load_study("aurora1"), seed=1, scenario=load_scenario("strong_confounding"))


@pytest.mark.slow
def test_a_voclosporin_trial_from_file_to_report(lncohort: Run, tmp_path: Path) -> None:
    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        return lncohort(*arguments, cwd=tmp_path)

    for arguments in (
        ("generate", "rovin2019", "--out", "cohort"),
        ("validate", "cohort"),
        ("derive", "cohort"),
    ):
        done = run(*arguments)
        assert done.returncode == 0, arguments
        assert "lncohort analyze cohort --arms vcs_low,placebo --out RESULTS" in done.stderr
    refused = run("analyze", "cohort", "--out", "results")
    assert refused.returncode == 2
    assert "3 arms" in refused.stderr
    assert "--arms vcs_low,placebo" in refused.stderr
    assert not (tmp_path / "results").exists()
    assert run("analyze", "cohort", "--arms", "vcs_high,placebo", "--out", "results").returncode == 0
    facts = json.loads((tmp_path / "results" / "results.json").read_text(encoding="utf-8"))
    assert [arm["code"] for arm in facts["arms"]] == ["vcs_high", "placebo"]
    assert run("report", "results", "--out", "report.html").returncode == 0
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "No finding about voclosporin may be drawn from it" in page
    assert "allocated at random" in page
    assert "of whom this page does not speak (Voclosporin 23.7 mg twice daily 89)" in page
    assert "Of 176 patients of these arms nobody was left out." in page
    assert "Complete response (CR):" in page
    assert "maintenance therapy" not in page
    provenance = pd.read_parquet(tmp_path / "results" / "provenance.parquet")
    doses = provenance[provenance["set"] == "Regimen vcs_high"].set_index("parameter")["value"]
    assert doses["voclosporin dose"] == "79"


@pytest.mark.slow
def test_a_single_arm_from_file_to_report(lncohort: Run, tmp_path: Path) -> None:
    for arguments in (
        ("generate", "mok2013", "--out", "my cohort"),
        ("analyze", "my cohort", "--out", "results"),
        ("report", "results", "--out", "report.html"),
    ):
        done = lncohort(*arguments, cwd=tmp_path)
        assert done.returncode == 0, arguments
        if arguments[0] == "generate":
            assert "lncohort analyze 'my cohort' --out RESULTS" in done.stderr
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "The study has one arm: nothing is compared." in page
    assert "set beside what they give" not in page
    assert "either treatment" not in page
    assert "p, Pearson" not in page
