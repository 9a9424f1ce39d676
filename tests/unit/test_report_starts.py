"""The section on starts during follow-up sets wrong beside right analyses, or says that nobody starts."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from analyses.figures.formatting import MISSING
from analyses.report.content import Section
from analyses.report.inputs import Facts, ReportedArm, Results
from analyses.report.starts import starts_section
from analyses.starts import (
    clone_censor_weight,
    landmark_start,
    naive_clock_from_start,
    naive_ever_started,
    sequential_trials,
)
from cohort.results import ResultTable, concat_results, result_table

FACTS = Facts(
    study_title="Demo", citation="Doe", doi="", randomised=False, day_zero="start", drug="tacrolimus",
    arms=(ReportedArm("tac", "Tacrolimus", 4), ReportedArm("none", "No tacrolimus", 8)), seed=1, mode="exact",
    synthetic=True, package_version="1", definitions=(), definitions_in_words=(), command="", assignment_draws=None,
    conditioned_on=(), reconstruction="", input_hashes={},
)  # fmt: skip


def counts(during: int) -> ResultTable:
    terms = {"left out: treated from the beginning": 4, "started during follow-up": during, "never started": 8 - during}
    rows = [{"term": term, "estimate": float(number)} for term, number in terms.items()]
    return result_table(rows, analysis="starts", population="all patients", statistic="count")


def section(*tables: ResultTable) -> Section:
    found = {"tacrolimus_starts": concat_results(tables)} if tables else {}
    return starts_section(Results(FACTS, found, None, None))


def test_without_later_starts_the_section_is_one_sentence() -> None:
    nobody = result_table([{"statistic": "log_hazard_ratio", "term": "started", "note": "nobody starts"}])
    found = section(counts(0), nobody)
    assert found.paragraphs == (
        "Of 12 patients 4 take tacrolimus from day 0 and nobody starts it later during follow-up: there are no later "
        "starts to compare.",
    )
    assert not found.tables
    assert not found.folded


def test_wrong_and_right_analyses_stand_side_by_side() -> None:
    data = pd.DataFrame(
        {
            "patient_id": list("abcdefgh"),
            "start_months": [5.0, 1.0, 8.0, 2.0, *[None] * 4],
            "months": [10.0, 12.0, 14.0, 9.0, 3.0, 14.0, 7.0, 11.0],
            "event": [1, 1, 0, 1, 1, 0, 1, 1],
        }
    )
    found = section(
        counts(4),
        naive_ever_started(data),
        naive_clock_from_start(data),
        landmark_start(data, at=[6, 40]),
        sequential_trials(data, interval=3, trials=2),
        clone_censor_weight(data, grace=6, interval=3, horizon=12),
        result_table([{"note": "not estimated: for a reason"}], analysis="starts", statistic="none"),
    )
    text = " ".join(found.paragraphs)
    assert "treated from the beginning 4; started during follow-up 4; never started 4" in text
    assert "for a reason" in text
    (ratios,), (strategies,) = found.tables, found.folded
    wrong, right = ratios.groups
    assert [row.cells[1] for row in wrong.rows] == [
        "Ever started v never, from day 0",
        "Starters from their start v never started from day 0",
    ]
    assert [row.cells[0] for row in right.rows] == [
        "Landmark, 6 months", "Landmark, 40 months", "Sequential trials", "Clones",
    ]  # fmt: skip
    hazard = naive_ever_started(data).frame["estimate"].item()
    assert wrong.rows[0].cells[2].startswith(f"{math.exp(hazard):.2f} (")
    assert right.rows[1].cells[2:4] == (f"{MISSING} (no estimate: nobody is left to compare)", MISSING)
    assert [group.heading for group in strategies.groups] == [
        "Patients with an event, per cent, by 1 year",
        "Months free of an event by 1 year",
    ]
    assert strategies.groups[0].rows[2].cells[0] == "Difference, first minus second"


def test_strategies_without_estimate_are_left_out() -> None:
    refused = result_table(
        [{"statistic": "risk_difference", "note": "no estimate"}], analysis="starts", population="clones"
    )
    assert not section(counts(1), refused).folded


@pytest.mark.parametrize("present", [True, False])
def test_an_analysis_that_was_not_run_is_said(present: bool) -> None:
    failed = result_table([{"note": "not estimated: no visits"}], analysis="starts", statistic="none")
    said = section(*([failed] if present else [])).paragraphs
    assert ("no visits" if present else "This analysis was not run") in " ".join(said)
