"""The report's section "Is it realistic?": figures, tables and verdicts, and what it says when something is absent."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from analyses.datasets import AnalysisData, analysis_data
from analyses.plan import run_analyses
from analyses.report import build_report
from analyses.report.inputs import read_results
from analyses.report.realism import realism_section
from cohort.definitions import KDIGO_2012, KIM2025
from cohort.results import ResultTable, result_table
from cohort.store import Cohort
from synthetic.generate import GeneratedCohort

pytestmark = pytest.mark.usefixtures("undrawn")

FACTS = {
    "study": {"name": "demo", "title": "A study", "citation": "Doe J. 2025", "doi": "10.1/x"},
    "seed": 7,
    "mode": "exact",
    "synthetic": True,
    "package_version": "9.9.9",
    "definitions": ["demo"],
    "notes": {},
    "arms": [
        {"code": "tacrolimus", "label": "Tacrolimus", "size": 92},
        {"code": "no_tacrolimus", "label": "No tacrolimus", "size": 87},
    ],
    "command": "lncohort analyze DIR --out results",
    "input_hash": {},
}


def laid_out(cohort: Cohort) -> AnalysisData:
    return analysis_data(cohort, treated="tacrolimus", reference="no_tacrolimus", response=KIM2025, flare=KDIGO_2012)


def written(folder: Path, tables: dict[str, ResultTable], *, synthetic: bool = True) -> Path:
    folder.mkdir()
    for name, table in tables.items():
        table.write(folder, name)
    (folder / "results.json").write_text(json.dumps(FACTS | {"synthetic": synthetic}), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def tables(generated: GeneratedCohort) -> dict[str, ResultTable]:
    return run_analyses(laid_out(generated.cohort), only=["realism"])


@pytest.fixture(scope="module")
def folder(tables: dict[str, ResultTable], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("realism") / "results", tables)


def test_the_page_holds_the_section_its_figures_and_its_tables(folder: Path) -> None:
    page = build_report(folder)
    section = page[page.index('<section id="realism"') :].split("</section>")[0]
    assert len(page.encode()) < 1_500_000
    assert re.findall(r'<svg role="img" aria-label="(\w+ ?\w+)', section) == [
        "Histograms of", "Rank correlations", "Lines of", "Swimmer plot",
    ]  # fmt: skip
    assert section.count("<caption>") == 4
    assert "Borrowed are the ranges" in section
    assert "PMID 25550339" in section
    assert page.index('id="balance"') < page.index('id="realism"') < page.index('id="provenance"')


def test_verdicts_and_ranges_stand_beside_the_values(folder: Path) -> None:
    section = realism_section(read_results(folder))
    marginals, correlations = section.tables
    rows = {row.cells[0]: row for group in marginals.groups for row in group.rows}
    age = rows["Age, years (mean)"]
    assert age.cells[3] == "26.7 to 40.2"
    assert age.cells[4] == "within the borrowed range"
    assert age.look == ""
    assert rows["ISN/RPS class: V (share)"].cells[3] == "3.7 to 33.7 %"
    assert "Renal flare (per 100 years)" in rows
    first = correlations.groups[0].rows[0].cells
    assert first[0] == "Albumin and UPCR"
    assert first[3] == "negative"
    assert first[4] == "right sign\nalbumin is lost in the urine"


def test_what_lies_outside_is_said_first(generated: GeneratedCohort, tmp_path: Path) -> None:
    cohort = generated.cohort
    turned = cohort.visits.assign(albumin_g_dl=7.0 - cohort.visits["albumin_g_dl"])
    spoilt = replace(cohort, patients=cohort.patients.assign(age_years=70.0), visits=turned)
    section = realism_section(read_results(written(tmp_path / "r", run_analyses(laid_out(spoilt), only=["realism"]))))
    said = "\n".join(section.bullets)
    assert (
        "Age, years (mean): 70.0 (70.0 to 70.0), outside the borrowed range; above it; borrowed: 26.7 to 40.2." in said
    )
    assert re.search(r"Albumin and UPCR: 0\.\d\d \(.*\), wrong sign; albumin is lost in the urine\.", said)
    looks = [row.look for group in section.tables[0].groups for row in group.rows]
    assert looks[0] == "question"


def test_a_cohort_without_a_fault_has_no_list(tables: dict[str, ResultTable], tmp_path: Path) -> None:
    frame = tables["realism"].frame
    own = frame["population"] == "this cohort"
    calm = frame.assign(note=frame["note"].where(~own, "within the borrowed range"))
    section = realism_section(read_results(written(tmp_path / "r", {"realism": ResultTable(calm)})))
    assert section.bullets == ()
    assert not any(said.startswith("What a reader") for said in section.paragraphs)
    missing = [said for said in section.paragraphs if "This analysis was not run" in said]
    assert [re.search(r"no table (\w+)", said)[1] for said in missing] == ["realism_trajectories", "realism_courses"]  # type: ignore[index]
    assert [figure.caption.split()[0] for figure in section.figures] == ["Rank"]


def test_a_registry_shows_no_single_patients_and_says_so(generated: GeneratedCohort, tmp_path: Path) -> None:
    recorded = laid_out(replace(generated.cohort, mode=None, seed=None, notes={}))
    results = read_results(written(tmp_path / "r", run_analyses(recorded, only=["realism"]), synthetic=False))
    section = realism_section(results)
    assert len(section.figures) == 2
    said = [text for text in section.paragraphs if text.startswith("Not shown")]
    assert len(said) == 2
    assert all("single patients of a registry" in text for text in said)
    assert not any("generator" in text for text in section.paragraphs)


def test_without_the_table_the_section_says_it_was_not_run(tmp_path: Path) -> None:
    section = realism_section(read_results(written(tmp_path / "r", {"cox": result_table([{"statistic": "none"}])})))
    assert section.paragraphs == (
        "Not shown: the comparison with other cohorts. This analysis was not run: the results hold no table realism.",
    )


def test_values_that_could_not_be_computed_show_a_dash(generated: GeneratedCohort, tmp_path: Path) -> None:
    cohort = generated.cohort
    without = replace(cohort, visits=cohort.visits.assign(c4_mg_dl=pd.Series(float("nan"), cohort.visits.index)))
    section = realism_section(read_results(written(tmp_path / "r", run_analyses(laid_out(without), only=["realism"]))))
    rows = {row.cells[0]: row.cells for group in section.tables[0].groups for row in group.rows}
    assert rows["C4, mg/dL (median)"][1] == "—"
    assert rows["C4, mg/dL (median)"][4] == "not computed\nno value observed"
