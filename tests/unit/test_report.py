"""The report is built from a results folder alone: its numbers, its warning, what was not run, and refusals."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from analyses.report import build_report, write_frame
from analyses.report.inputs import read_results
from analyses.report.model_terms import treated_code
from analyses.reproduction import LEDGER_COLUMNS
from cohort.errors import AnalysisError
from cohort.results import ResultTable, result_table

ARMS = ("tac", "none")
CONTRAST = "tac v none"
NOT_ATTAINABLE = "not attainable by the listed tests"
NOT_RUN = "This analysis was not run"
FACTS: dict[str, Any] = {
    "study": {"name": "demo", "title": "A study of <maintenance> & more", "citation": "Doe J. 2025", "doi": "10.1/x"},
    "seed": 7,
    "mode": "exact",
    "synthetic": True,
    "package_version": "9.9.9",
    "definitions": ["demo"],
    "notes": {"assignment_draws": 12, "conditioned_on": ["class V differs"], "reconstruction": "rule"},
    "arms": [{"code": "tac", "label": "Tacrolimus", "size": 10}, {"code": "none", "label": "No tacrolimus", "size": 8}],
    "command": "lncohort reproduce --seed 7 --out DIR",
    "input_hash": {"patients": "abc123"},
}


def ledger() -> pd.DataFrame:
    paper, abstract = ("reported", "paper"), ("reported_earlier", "abstract")
    flare = ("finding", "renal_flare", None)
    rate, p_value, none = ("number", "complete_response", None), ("number", "p_value"), (None, None)
    rows = [
        ("cr_6_tac", *rate, "tac", 6, *paper, "50.0", "50.0", 5, 10, "reproduced", "from labs"),
        ("cr_6_none", *rate, "none", 6, *paper, "37.5", "25.0", 2, 8, "not reproduced", "other count"),
        ("cr_6_p", *p_value, "complete_response", None, 6, *paper, "0.031", "0.5", *none, NOT_ATTAINABLE, "n_minus_1"),
        ("odd_p", *p_value, None, None, None, *paper, "0.9", "0.9", *none, "reproduced", "serious_infection"),
        ("flares", *flare, None, None, *paper, "Not <b> so.", "none -0.1", *none, "consistent", "seed"),
        ("words", "finding", "class_v", None, "tac", 0, *paper, None, None, *none, "not checkable", None),
        ("cr_6_old", *rate, "tac", 6, *abstract, "49.0", "50.0", 5, 10, "superseded", "by cr_6_tac"),
    ]  # fmt: skip
    whole = dict.fromkeys(("month", "responders", "assessed"), "Int64")
    text = dict.fromkeys((name for name in LEDGER_COLUMNS if name not in whole), "string")
    return pd.DataFrame(rows, columns=list(LEDGER_COLUMNS)).astype(whole | text)


def provenance() -> pd.DataFrame:
    rows = [
        ("BaselineModel", "age_mean", "35.5", "years", "borrowed", "another cohort"),
        ("BaselineModel", "sle_duration_sd", "2", "years", "assumed", "plausible"),
    ]
    return pd.DataFrame(rows, columns=["set", "parameter", "value", "unit", "status", "source"]).astype("string")


def flow() -> ResultTable:
    cells = {
        "enrolled": {0.0: 10},
        "assessed": {6.0: 9, 12.0: 7},
        "data_lock": {6.0: 1, 12.0: 2},
        "death": {6.0: 0, 12.0: 1},
    }
    return result_table(
        [
            {"group": arm, "term": term, "time": month, "estimate": value - (arm == "none")}
            for arm in ARMS
            for term, months in cells.items()
            for month, value in months.items()
        ],
        statistic="count",
        time_unit="month",
    )  # fmt: skip


def table_one() -> ResultTable:
    rows: list[dict[str, object]] = []
    for arm in ARMS:
        values = {"mean": 35.52, "sd": 10.4, "median": 33.0, "q1": 28.0, "q3": 41.25, "missing": 1.0}
        age = {"group": arm, "term": "age_years", "n": 10}
        rows += [age | {"statistic": name, "estimate": x} for name, x in values.items()]
        rows += [{"group": arm, "term": "albumin_g_dl", "statistic": "mean", "estimate": math.nan, "note": "no values"}]
        rows += [{"group": arm, "term": "diabetes", "statistic": "count", "estimate": 2.0}]
        rows += [{"group": arm, "term": "diabetes", "statistic": "proportion", "estimate": 0.2}]
        for level, patients in (("II", 4.0), ("V", 6.0)):
            term = f"isn_rps_class={level}"
            rows += [{"group": arm, "term": term, "statistic": "count", "estimate": patients}]
            rows += [{"group": arm, "term": term, "statistic": "proportion", "estimate": patients / 10}]
    tests = {"age_years": 0.333, "diabetes": 1.0, "isn_rps_class": 0.00001}
    rows += [
        {"term": term, "statistic": "difference_test", "p_value": p, "method": "Test", "contrast": CONTRAST}
        | {"note": "smallest expected count 2.0" if term == "isn_rps_class" else None}
        for term, p in tests.items()
    ]
    smds = {"age_years": -0.15, "diabetes": math.nan, "isn_rps_class=V": 0.4}
    rows += [{"term": t, "statistic": "smd", "estimate": x, "contrast": CONTRAST} for t, x in smds.items()]
    return result_table(rows)


def states() -> ResultTable:
    counts = dict(zip(("CR", "PR", "NR", "not assessed"), (5, 2, 2, 1), strict=True))
    return result_table(
        {"group": arm, "time": month, "term": term, "statistic": statistic, "estimate": value}
        for arm in ARMS
        for month in (6.0, 12.0)
        for term, patients in counts.items()
        for statistic, value in (("count", patients), ("proportion", patients / 10))
    )


def rates() -> ResultTable:
    row = {"estimate": 0.5, "conf_low": 0.24, "conf_high": 0.76, "n": 10, "n_events": 5, "statistic": "proportion"}
    full = [row | {"group": arm, "time": t, "term": "CR", "time_unit": "month"} for arm in ARMS for t in (6.0, 12.0)]
    return result_table(full[:-1])


def differences() -> ResultTable:
    shared = {"contrast": CONTRAST, "time": 6.0, "time_unit": "month", "term": "CR", "n": 20, "n_events": 10}
    return result_table(
        [
            shared | {"statistic": "risk_difference", "estimate": -0.071, "conf_low": -0.2, "conf_high": 0.1},
            shared | {"statistic": "chi_square", "estimate": 1.0, "p_value": 0.344},
            shared | {"statistic": "fisher_exact", "p_value": 0.365},
        ]
    )  # fmt: skip


def gee() -> ResultTable:
    row = {"statistic": "log_odds_ratio", "conf_low": math.log(0.4), "conf_high": math.log(1.6), "method": "GEE"}
    return result_table(
        [
            row | {"term": "Intercept", "statistic": "log_odds", "estimate": 0.2},
            row | {"term": "treated", "estimate": math.log(0.8), "p_value": 0.41},
            row | {"term": "treated:visit=month 12", "estimate": 5.0, "conf_high": 1000.0, "p_value": 0.9},
        ]
    )


def survival(statistic: str) -> ResultTable:
    rows = {
        "survival": [{"time": 1.0, "estimate": 0.9, "conf_low": 0.5, "conf_high": 0.98, "n": 10, "n_events": 1}],
        "at_risk": [{"time": 0.0, "estimate": 10.0}, {"time": 1.0, "estimate": 9.0}],
        "restricted_mean": [{"time": 5.0, "estimate": 4.4, "conf_low": 4.1, "conf_high": 4.7, "n": 10, "n_events": 1}],
    }[statistic]
    table = [row | {"group": arm, "statistic": statistic} for arm in reversed(ARMS) for row in rows]
    if statistic == "restricted_mean":
        table.append({"time": 5.0, "contrast": CONTRAST, "statistic": "restricted_mean_difference", "estimate": 0.1})
    return result_table(table, time_unit="year")


def incidence() -> ResultTable:
    rows = [
        {"group": arm, "term": cause, "time": t, "estimate": t * value, "conf_low": low, "conf_high": low, "note": note}
        | {"n_events": t * value * 10}
        for arm in ARMS
        for cause, value, low, note in (("renal_flare", 0.2, 0.1, None), ("eskd or death", 0.0, math.nan, "no event"))
        for t in (0.0, 1.0)
    ]
    return result_table(rows, statistic="cumulative_incidence", time_unit="year")


def cox(population: str) -> ResultTable:
    row = {"statistic": "log_hazard_ratio", "population": population, "conf_low": math.log(0.49), "method": "Cox"}
    rows = [row | {"term": "treated", "estimate": math.log(0.92), "conf_high": math.log(1.71), "p_value": 0.789}]
    if population == "adjusted":
        failed = {"estimate": math.nan, "conf_low": math.nan, "note": "monotone likelihood"}
        rows.append(row | failed | {"term": "class_v"})
    return result_table(rows)


def proportionality() -> ResultTable:
    row = {"statistic": "chi_square", "population": "unadjusted", "estimate": 0.76, "p_value": 0.383, "method": "score"}
    return result_table([row | {"term": "treated"}, row | {"term": "GLOBAL"}])


def balance() -> ResultTable:
    cells = {"age_years": (-0.15, 0.02), "class_v": (0.4, 0.01), "diabetes": (math.nan, math.nan)}
    return result_table(
        [
            {"term": term, "statistic": name, "estimate": value, "contrast": CONTRAST}
            | {"note": "no variation" if math.isnan(value) else None}
            for term, pair in cells.items()
            for name, value in zip(("smd_unadjusted", "smd_adjusted"), pair, strict=True)
        ]
    )


def sample_size() -> ResultTable:
    return result_table([{"group": "tac", "statistic": "effective_sample_size", "estimate": 8.5, "n": 10}])


def failure(note: str = "not estimated: nothing to compare") -> ResultTable:
    return result_table([{"statistic": "none", "note": note}])


def all_tables() -> dict[str, ResultTable]:
    return {
        "patient_flow": flow(),
        "table_one": table_one(),
        "response_states": states(),
        "response_rates": rates(),
        "response_differences": differences(),
        "response_gee": gee(),
        "flare_free_survival": survival("survival"),
        "flare_free_at_risk": survival("at_risk"),
        "flare_free_restricted_mean": survival("restricted_mean"),
        "flare_free_logrank": result_table([{"statistic": "chi_square", "p_value": 0.0004, "method": "log-rank test"}]),
        "flare_incidence": incidence(),
        "cox": ResultTable(pd.concat([cox("unadjusted").frame, cox("adjusted").frame], ignore_index=True)),
        "weighted_cox": cox("weighted"),
        "cox_proportional_hazards": proportionality(),
        "propensity_balance": balance(),
        "propensity_sample_size": sample_size(),
        "weighted_response": ResultTable(differences().frame.iloc[:1]),
    }


def write(
    folder: Path,
    tables: Mapping[str, ResultTable],
    facts: Mapping[str, object] = FACTS,
    *,
    with_ledger: bool = True,
    with_provenance: bool = True,
) -> Path:
    folder.mkdir(exist_ok=True)
    for name, table in tables.items():
        table.write(folder, name)
    if with_ledger:
        write_frame(ledger(), folder, "ledger")
    if with_provenance:
        write_frame(provenance(), folder, "provenance")
    (folder / "results.json").write_text(json.dumps(facts), encoding="utf-8")
    return folder


class Page(HTMLParser):
    """The page as a reader meets it: text by section, tables as rows of cells, and structural facts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text: dict[str, str] = {}
        self.rows: dict[str, list[list[str]]] = {}
        self.headings: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._open: list[str] = []
        self._section = "top"
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append((tag, found))
        if tag == "section":
            self._section = str(found["id"])
        if tag == "aside":
            self._section = "warning"
        if tag == "nav":
            self._section = "contents"
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(tag)
        if tag == "tr":
            self.rows.setdefault(self._section, []).append([])
        if tag in ("td", "th"):
            self.rows[self._section][-1].append("")
        if tag == "br" and self._open and self._open[-1] in ("td", "th"):
            self.rows[self._section][-1][-1] += " / "
        if tag not in ("meta", "link", "br"):
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" in self._open or "svg" in self._open:
            return
        text = re.sub(r"\s+", " ", data)
        self.text[self._section] = self.text.get(self._section, "") + text
        if ("td" in self._open or "th" in self._open) and self.rows.get(self._section):
            self.rows[self._section][-1][-1] += text.strip()

    def row(self, section: str, head: str, nth: int = 0) -> list[str]:
        return [row for row in self.rows[section] if row and row[0].startswith(head)][nth]

    def attributes(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> str:
    return build_report(write(tmp_path_factory.mktemp("results"), all_tables()))


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


def test_the_same_folder_gives_the_same_page(html: str, tmp_path: Path) -> None:
    assert build_report(write(tmp_path / "again", all_tables())) == html


def test_the_page_fetches_and_runs_nothing(html: str, page: Page) -> None:
    tags = {tag for tag, _ in page.tags}
    assert not tags & {"script", "img", "iframe", "object", "embed", "audio", "video", "form", "base"}
    assert not re.search(r"@import|@font-face|url\((?!#)", html)
    assert [link["href"] for link in page.attributes("link")] == ["data:,"]
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    references = [a[key] for _, a in page.tags for key in ("href", "xlink:href", "src") if key in a]
    assert {str(value) for value in references if not str(value).startswith("#")} == {
        "https://doi.org/10.1/x",
        "data:,",
    }


def test_sections_stand_in_their_order_under_headings_without_gaps(page: Page) -> None:
    assert [section["id"] for section in page.attributes("section")] == [
        "ledger", "design", "flow", "table-one", "states", "rates", "first-response", "missed", "ordered", "course",
        "laboratory", "survival", "incidence", "recurrent", "poor-outcome", "after-response", "effects", "subgroups",
        "overlap", "balance", "adjusted", "starts", "sensitivity",
        "realism", "provenance", "making",
    ]  # fmt: skip
    assert page.headings == ["h1", *["h2"] * 27]
    assert page.attributes("html") == [{"lang": "en-GB"}]
    assert page.attributes("meta")[2]["content"] == "width=device-width, initial-scale=1"


def test_the_contents_lists_every_section_in_its_part(page: Page) -> None:
    linked = [str(link["href"]) for link in page.attributes("a") if str(link["href"]).startswith("#")]
    assert linked == [f"#{section['id']}" for section in page.attributes("section")]
    parts = " ".join(page.text["contents"].split())
    assert parts.startswith("Print and cohort Published against reproduced Design and patients Design Cohort flow")


def test_every_table_has_a_caption_and_every_heading_cell_a_scope(page: Page) -> None:
    tables = len(page.attributes("table"))
    assert tables == len(page.attributes("caption")) > 10
    assert all(cell.get("scope") in ("col", "row", "rowgroup") for cell in page.attributes("th"))


def test_every_figure_has_a_caption_and_a_description_with_its_numbers(page: Page) -> None:
    drawings = page.attributes("svg")
    assert len(drawings) == len(page.attributes("figure")) == len(page.attributes("figcaption")) == 7
    said = [str(drawing["aria-label"]) for drawing in drawings]
    assert all(drawing["role"] == "img" for drawing in drawings)
    assert "Tacrolimus at 6 months: 5 complete response, 2 partial response, 2 no response, 1 not assessed" in said[0]
    assert "Complete response: Tacrolimus: 50.0 % at 6 months, 50.0 % at 1 year" in said[1]
    assert "Tacrolimus 90.0 % (50.0 to 98.0) at 1 year; No tacrolimus" in said[2]
    assert "Renal flare: Tacrolimus 20.0 % (10.0 to 10.0)" in said[3]
    assert "Complete response, unadjusted, at 6 months: −7.1 (−20.0 to 10.0)" in said[4]
    assert "unadjusted 0.92 (0.49 to 1.71); adjusted 0.92" in said[5]
    assert "2 before (largest 0.40); 0 after weighting (largest 0.02)" in said[6]


def test_identifiers_are_unique(page: Page) -> None:
    identifiers = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(identifiers) == len(set(identifiers)) > 50


def test_text_from_the_results_is_escaped(html: str) -> None:
    assert "A study of &lt;maintenance&gt; &amp; more" in html
    assert "<maintenance>" not in html
    assert "Not &lt;b&gt; so." in html


def test_a_synthetic_cohort_carries_the_warning_before_anything_else(page: Page) -> None:
    assert "No finding about tacrolimus may be drawn from it." in page.text["warning"]
    assert "borrowed from other cohorts or assumed" in page.text["warning"]
    assert list(page.text)[:3] == ["top", "warning", "contents"]
    assert "18 synthetic patients (Tacrolimus 10, No tacrolimus 8)" in page.text["top"]


@pytest.mark.usefixtures("undrawn")
def test_a_real_registry_carries_no_warning(tmp_path: Path) -> None:
    facts = FACTS | {"synthetic": False, "seed": None, "mode": None, "notes": {}, "input_hash": "abc"}
    page = Page(build_report(write(tmp_path, {}, facts)))
    assert "warning" not in page.text
    assert "Recorded patients of a registry" in page.text["top"]
    assert page.row("making", "Seed") == ["Seed", "none"]
    assert page.row("making", "SHA-256 of all tables") == ["SHA-256 of all tables", "abc"]
    assert "Assignments drawn" not in page.text["making"]
    assert "cannot test" not in page.text["making"]


def test_the_ledger_counts_verdicts_and_shows_print_beside_the_cohort(page: Page) -> None:
    assert (
        "Of 7 published numbers and findings: 2 reproduced, 1 consistent, 1 not attainable by the listed tests, "
        "1 superseded, 1 not reproduced, 1 not checkable." in page.text["ledger"]
    )
    assert page.row("ledger", "Complete response [1] / cr_6_tac") == [
        "Complete response [1] / cr_6_tac", "Tacrolimus / 6 months", "50.0", "50.0 / 5 of 10", "✓ Reproduced",
        "from labs",
    ]  # fmt: skip
    assert page.row("ledger", "Complete response [1] / cr_6_none")[3:5] == ["25.0 / 2 of 8", "✗ Not reproduced"]
    assert page.row("ledger", "Class V") == [
        "Class V [1] / words", "Tacrolimus / Start", "—", "—", "– Not checkable", "",
    ]  # fmt: skip
    assert "[2] Conference abstract: abstract" in page.text["ledger"]


def test_the_ledger_says_what_a_p_value_compares_and_spells_codes_out(page: Page) -> None:
    assert page.row("ledger", "p-value: complete response [1] / cr_6_p")[1:] == [
        "Both arms / 6 months", "0.031", "0.5", "≠ Not attainable by the listed tests", "n minus 1",
    ]  # fmt: skip
    assert page.row("ledger", "p-value [1] / odd_p")[5] == "serious infection"
    assert page.row("ledger", "Renal flare")[3] == "none −0.1"
    headings = [row[0] for row in page.rows["ledger"] if len(row) == 1]
    assert headings == [
        "Response rates, %", "p-values", "Other numbers and findings", "Superseded numbers",
    ]  # fmt: skip
    assert page.row("ledger", "Complete response [2]")[5] == "by cr_6_tac"


@pytest.mark.usefixtures("undrawn")
def test_a_rate_of_a_visit_nobody_attends_stands_among_the_rates(tmp_path: Path) -> None:
    folder = write(tmp_path, {}, with_ledger=False)
    nobody = ledger().iloc[[1]].assign(reproduced="nobody assessed", responders=None, assessed=None)
    whole = dict.fromkeys(("responders", "assessed"), "Int64")
    write_frame(nobody.astype(whole), folder, "ledger")
    page = Page(build_report(folder))
    assert [row[0] for row in page.rows["ledger"] if len(row) == 1] == ["Response rates, %"]
    assert page.row("ledger", "Complete response [1]")[3:5] == ["nobody assessed", "✗ Not reproduced"]


@pytest.mark.usefixtures("undrawn")
def test_a_reason_that_a_whole_group_shares_is_said_once(tmp_path: Path) -> None:
    folder = write(tmp_path, {}, with_ledger=False)
    write_frame(ledger().assign(reason="same for all"), folder, "ledger")
    page = Page(build_report(folder))
    assert ["Response rates, %: same for all"] in page.rows["ledger"]
    assert page.row("ledger", "Complete response [1]")[5] == ""


@pytest.mark.usefixtures("undrawn")
def test_an_unknown_verdict_is_refused(tmp_path: Path) -> None:
    folder = write(tmp_path, {}, with_ledger=False)
    write_frame(ledger().assign(verdict="perhaps"), folder, "ledger")
    with pytest.raises(AnalysisError, match="ledger, column verdict: unknown verdict; got perhaps; known: reproduced"):
        build_report(folder)


def test_cohort_flow_by_arm_and_visit(page: Page) -> None:
    assert "Tacrolimus: 10 patients enrolled" in page.text["flow"]
    assert "No tacrolimus: 9 patients enrolled" in page.text["flow"]
    assert page.row("flow", "Visit") == ["Visit", "Assessed", "Data lock", "Died"]
    assert page.row("flow", "1 year") == ["1 year", "7", "2", "1"]
    assert page.row("flow", "1 year", nth=1) == ["1 year", "6", "1", "0"]


def test_table_one_writes_means_counts_differences_and_tests(page: Page) -> None:
    assert page.row("table-one", "Age") == [
        "Age, years", "35.5 (10.4) / 33 (28 to 41.2) / of 9 with a value",
        "35.5 (10.4) / 33 (28 to 41.2) / of 9 with a value", "−0.15", "0.333",
    ]  # fmt: skip
    assert page.row("table-one", "ISN/RPS class") == ["ISN/RPS class", "", "", "", "<0.001"]
    assert page.row("table-one", "V") == ["V", "6 (60.0 %)", "6 (60.0 %)", "0.40", ""]
    assert page.row("table-one", "Diabetes") == ["Diabetes", "2 (20.0 %)", "2 (20.0 %)", "—", ">0.999"]
    assert page.row("table-one", "Albumin") == ["Albumin, g/dL", "—", "—", "", ""]
    assert "left out of their row: Age, years, Tacrolimus: 1; Age, years, No tacrolimus: 1." in page.text["table-one"]
    assert "ISN/RPS class: smallest expected count 2.0." in page.text["table-one"]
    assert "larger in the arm Tacrolimus" in page.text["table-one"]


@pytest.mark.usefixtures("undrawn")
def test_table_one_without_tests_or_missing_values(tmp_path: Path) -> None:
    frame = table_one().frame
    kept = frame[~frame["statistic"].isin(["difference_test", "missing"])].reset_index(drop=True)
    page = Page(build_report(write(tmp_path, {"table_one": ResultTable(kept)})))
    assert "No value is missing." in page.text["table-one"]
    assert page.row("table-one", "Age")[4] == ""


def test_response_tables_hold_the_figures_numbers(page: Page) -> None:
    assert page.row("states", "1 year", nth=1) == ["1 year", "5", "2", "2", "1"]
    assert page.row("rates", "6 months") == [
        "6 months", "50.0 (24.0 to 76.0) / 5 of 10", "50.0 (24.0 to 76.0) / 5 of 10", "−7.1 (−20.0 to 10.0)", "0.344",
        "0.365",
    ]  # fmt: skip
    assert page.row("rates", "1 year") == ["1 year", "50.0 (24.0 to 76.0) / 5 of 10", "", "—", "—", "—"]
    assert page.row("rates", "Tacrolimus v No tacrolimus") == [
        "Tacrolimus v No tacrolimus", "0.80 (0.40 to 1.60)", "0.410",
    ]  # fmt: skip
    assert page.row("rates", "Tacrolimus v No tacrolimus ×")[1] == "148.41 (0.40 to infinity)"


@pytest.mark.usefixtures("undrawn")
def test_rates_without_their_comparison_say_so(tmp_path: Path) -> None:
    page = Page(build_report(write(tmp_path, {"response_rates": rates()})))
    assert page.row("rates", "6 months")[3:] == ["not run"] * 3
    assert f"the model of complete response over time. {NOT_RUN}" in page.text["rates"]


def test_survival_compares_arms_in_the_order_of_the_study(page: Page) -> None:
    rows = page.rows["survival"]
    assert [row[0] for row in rows] == ["Arm", "Tacrolimus", "No tacrolimus", "Difference Tacrolimus − No tacrolimus"]
    assert rows[0][3] == "Mean (95 % CI), years"
    assert rows[1] == ["Tacrolimus", "10", "1", "4.40 (4.10 to 4.70)"]
    assert "Log-rank test: p < 0.001." in page.text["survival"]
    assert page.row("incidence", "Tacrolimus", nth=1) == ["Tacrolimus", "0", "0.0 % (no interval: no event) at 1 year"]


@pytest.mark.usefixtures("undrawn")
def test_a_log_rank_test_without_a_value_gives_its_reason(tmp_path: Path) -> None:
    test = result_table([{"statistic": "chi_square", "method": "log-rank test", "note": "no events"}])
    tables = {"flare_free_logrank": test, "flare_free_restricted_mean": survival("restricted_mean")}
    page = Page(build_report(write(tmp_path, tables)))
    assert "Log-rank test: not computed (no events)." in page.text["survival"]


def test_models_show_ratios_by_population_and_why_a_term_has_none(page: Page) -> None:
    assert page.row("effects", "Tacrolimus v No tacrolimus") == [
        "Tacrolimus v No tacrolimus", "0.92 (0.49 to 1.71)", "0.789",
    ]  # fmt: skip
    assert page.row("effects", "Pure class V") == ["Pure class V", "— (monotone likelihood)", "—"]
    assert page.row("effects", "Unadjusted: all terms") == ["Unadjusted: all terms", "0.76", "0.383"]
    assert page.row("effects", "6 months") == ["6 months", "−7.1 (−20.0 to 10.0)", "10 of 20"]


def test_balance_names_what_cannot_be_measured(page: Page) -> None:
    assert page.row("balance", "Diabetes") == ["Diabetes", "—", "—"]
    assert "— no variation." in page.text["balance"]
    assert "Effective number of patients after weighting: Tacrolimus 8.5 of 10." in page.text["balance"]


@pytest.mark.usefixtures("undrawn")
def test_balance_without_a_sample_size_leaves_it_out(tmp_path: Path) -> None:
    page = Page(build_report(write(tmp_path, {"propensity_balance": balance()})))
    assert page.row("balance", "Pure class V") == ["Pure class V", "0.40", "0.01"]
    assert "Effective number" not in page.text["balance"]


def test_provenance_and_making(page: Page) -> None:
    assert "2 numbers that the publication does not fix were needed: 1 borrowed, 1 assumed." in page.text["provenance"]
    assert page.row("provenance", "SLE duration SD") == ["SLE duration SD", "2", "years", "Assumed", "plausible"]
    assert page.row("making", "Command") == ["Command", "lncohort reproduce --seed 7 --out DIR"]
    assert page.row("making", "Version") == ["Version", "lncohort 9.9.9"]
    assert page.row("making", "SHA-256 of patients") == ["SHA-256 of patients", "abc123"]
    assert "class V differs" in page.text["making"]


def test_the_page_claims_no_significance(page: Page) -> None:
    assert not [section for section, text in page.text.items() if "significan" in text.lower()]


@pytest.mark.usefixtures("undrawn")
def test_an_empty_folder_says_of_every_section_that_it_was_not_run(tmp_path: Path) -> None:
    page = Page(build_report(write(tmp_path, {}, with_ledger=False, with_provenance=False)))
    shown = {str(section["id"]) for section in page.attributes("section")}
    for section in shown - {"ledger", "realism", "provenance", "making"}:
        assert NOT_RUN in page.text[section], section
    assert "hold no ledger" in page.text["ledger"]
    assert "no table provenance" in page.text["provenance"]
    assert not page.attributes("svg")


@pytest.mark.usefixtures("undrawn")
def test_an_analysis_that_failed_says_why_in_its_section(tmp_path: Path) -> None:
    page = Page(build_report(write(tmp_path, dict.fromkeys(all_tables(), failure()))))
    for section in ("flow", "table-one", "states", "rates", "survival", "incidence", "effects", "balance"):
        assert "nothing to compare" in page.text[section], section
        assert NOT_RUN not in page.text[section], section
    assert not page.attributes("svg")


@pytest.mark.usefixtures("undrawn")
def test_a_failure_beside_an_estimate_is_told_beside_it(tmp_path: Path) -> None:
    frame = pd.concat([cox("unadjusted").frame, failure("adjusted model: no events").frame], ignore_index=True)
    page = Page(build_report(write(tmp_path, {"cox": ResultTable(frame)})))
    assert "adjusted model: no events" in page.text["effects"]
    assert len(page.attributes("svg")) == 1


@pytest.mark.usefixtures("undrawn")
def test_a_cox_model_without_the_arm_has_no_forest(tmp_path: Path) -> None:
    frame = cox("adjusted").frame
    page = Page(build_report(write(tmp_path, {"cox": ResultTable(frame[frame["term"] != "treated"])})))
    assert not page.attributes("svg")


@pytest.mark.usefixtures("undrawn")
def test_the_treated_arm_is_the_first_of_a_contrast_else_the_study_s_first(tmp_path: Path) -> None:
    reversed_arms = FACTS | {"arms": FACTS["arms"][::-1]}
    foreign = result_table([{"contrast": "x v y", "statistic": "risk_difference"}])
    folder = write(tmp_path / "one", {"a": foreign, "response_differences": differences()}, reversed_arms)
    assert treated_code(read_results(folder)) == "tac"
    assert treated_code(read_results(write(tmp_path / "two", {}, reversed_arms))) == "none"


@pytest.mark.parametrize("key", sorted(set(FACTS)))
def test_results_json_without_a_key_names_it(tmp_path: Path, key: str) -> None:
    facts = {name: value for name, value in FACTS.items() if name != key}
    with pytest.raises(AnalysisError, match=rf"results\.json: key '{key}' is missing or of another type; got nothing"):
        build_report(write(tmp_path, {}, facts))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"seed": "7"}, "key 'seed' is missing or of another type; got '7'"),
        ({"synthetic": 1}, "key 'synthetic' .* got 1"),
        ({"seed": True}, "key 'seed' .* got True"),
        ({"arms": ["tac"]}, "key 'code' is missing"),
        ({"study": {"title": "x"}}, "key 'citation' is missing"),
    ],
)
def test_results_json_with_a_wrong_value_names_the_key(
    tmp_path: Path, changed: Mapping[str, object], message: str
) -> None:
    with pytest.raises(AnalysisError, match=message):
        build_report(write(tmp_path, {}, FACTS | changed))


@pytest.mark.parametrize("content", ["{", "[1]", "\udc80"])
def test_results_json_that_is_no_json_object_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "results.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(AnalysisError, match=r"results\.json"):
        build_report(tmp_path)


def test_a_foreign_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        AnalysisError, match=r"not a results folder; got no file results\.json; name the results folder"
    ):
        build_report(tmp_path)


@pytest.mark.parametrize("name", ["cox", "ledger"])
def test_a_foreign_table_is_refused(tmp_path: Path, name: str) -> None:
    folder = write(tmp_path, {}, with_ledger=False)
    write_frame(pd.DataFrame({"x": ["a"]}), folder, name)
    with pytest.raises(AnalysisError, match=rf"{name}\.parquet: not a table of a results folder; got columns x"):
        build_report(folder)


@pytest.mark.parametrize("name", ["cox", "ledger"])
@pytest.mark.parametrize("damage", ["cut", "middle"])
def test_a_damaged_table_is_refused(tmp_path: Path, name: str, damage: str) -> None:
    folder = write(tmp_path, {"cox": cox("unadjusted")})
    path = folder / f"{name}.parquet"
    content = path.read_bytes()
    path.write_bytes(content[:40] if damage == "cut" else content[:4] + b"\xff" * 400 + content[404:])
    with pytest.raises(
        AnalysisError, match=rf"(?s){name}\.parquet: cannot read the (result )?table.*make the results again"
    ):
        build_report(folder)


def test_plain_tables_have_the_same_bytes_each_time(tmp_path: Path) -> None:
    for place in ("one", "two"):
        (tmp_path / place).mkdir()
        write_frame(ledger(), tmp_path / place, "ledger")
    for name in ("ledger.parquet", "ledger.csv"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert b"pandas" not in (tmp_path / "one" / "ledger.parquet").read_bytes()
