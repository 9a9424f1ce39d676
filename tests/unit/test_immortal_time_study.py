"""The study of immortal time: cohorts by number, conclusions in words, the page and the figure."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from analyses.figures.start_estimates import plot_start_estimates
from analyses.simulation import Setting, SimulationPlan
from analyses.simulation.immortal_time import (
    START_METHODS,
    immortal_time_performance,
    run_immortal_time,
    start_blocks,
)
from analyses.simulation.immortal_time_page import immortal_time_conclusions, immortal_time_page
from analyses.simulation.page import SimulationFacts
from cohort.errors import AnalysisError, UsageError
from cohort.provenance import provenance_table
from cohort.results import ResultTable
from synthetic.late_starts import LateStartSampler, late_start_sampler

PLAN = SimulationPlan((Setting(1.0, 60),), 3, ())
NAMES = [method.name for method in START_METHODS]


@pytest.fixture(scope="module")
def sampler() -> LateStartSampler:
    return late_start_sampler("kim2025", seed=2)


@pytest.fixture(scope="module")
def estimates(sampler: LateStartSampler) -> pd.DataFrame:
    return run_immortal_time(sampler, PLAN)


@pytest.fixture(scope="module")
def table(estimates: pd.DataFrame) -> ResultTable:
    return immortal_time_performance(estimates)


def test_more_replicates_begin_with_the_same_cohorts(sampler: LateStartSampler, estimates: pd.DataFrame) -> None:
    fewer = run_immortal_time(sampler, SimulationPlan(PLAN.settings, 2, ()))
    pd.testing.assert_frame_equal(fewer, estimates[estimates["replicate"] <= 2].reset_index(drop=True))
    assert estimates["estimator"].tolist() == NAMES * 3
    assert estimates["truth"].eq(0).all()
    assert start_blocks(PLAN, sampler) == 1


def test_at_least_one_process(sampler: LateStartSampler) -> None:
    with pytest.raises(UsageError, match="at least one process is needed; got 0"):
        run_immortal_time(sampler, PLAN, jobs=0)


def test_a_method_that_refuses_a_cohort_is_a_failure(sampler: LateStartSampler) -> None:
    class Flareless:
        horizon_months = 60.0

        def per_block(self, patients: int) -> int:
            return sampler.per_block(patients)

        def draw(self, strength: float, patients: int, block: int) -> tuple[pd.DataFrame, pd.DataFrame]:
            drawn, seen = sampler.draw(strength, patients, block)
            kept = drawn[drawn["replicate"] <= 2]
            return kept.assign(event=0, state_at_entry=math.nan), seen[seen["patient_id"].isin(kept["patient_id"])]

        def truth(self) -> float:
            return 0.0

    found = run_immortal_time(Flareless(), SimulationPlan(PLAN.settings, 2, ()))
    assert found["estimate"].isna().all()
    assert found.loc[found["estimator"].str.startswith("landmark"), "note"].str.contains("state_at_entry").all()
    failed = immortal_time_performance(found).frame.query("statistic == 'failure'")
    assert failed["estimate"].eq(1.0).all()
    (said,) = immortal_time_conclusions(immortal_time_performance(found))
    assert said.endswith(f"Coverage below 95 %: none. No estimate in any cohort: {'; '.join(sorted(NAMES))}.")


def test_conclusions_name_what_is_biased() -> None:
    rows = [
        {"estimator": name, "estimate": value + noise, "std_error": 0.1, "conf_low": value + noise - 0.2,
         "conf_high": value + noise + 0.2, "p_value": 0.5}
        for name, value in (("wrong", -0.7), ("right", 0.0)) for noise in (-0.1, 0.1, 0.0)
    ]  # fmt: skip
    frame = pd.DataFrame(rows).assign(truth=0.0, strength=0.5, patients=100)
    (said,) = immortal_time_conclusions(immortal_time_performance(frame))
    assert said == (
        "n = 100, strength 0.5: a bias beyond Monte Carlo error, with the factor by which the hazard ratio is off: "
        "wrong (0.50). Coverage below 95 %: wrong (0 %)."
    )


def test_the_page_holds_numbers_and_where_they_come_from(table: ResultTable, sampler: LateStartSampler) -> None:
    facts = SimulationFacts("kim2025", 2, 3, "lncohort simulate kim2025 --study immortal-time")
    page = immortal_time_page(table, provenance_table(sampler.model), facts)
    assert page == immortal_time_page(table, provenance_table(sampler.model), facts)
    assert all(name in page for name in NAMES)
    assert "start_rate" in page
    assert "assumed" in page
    assert "nan" not in page.lower()
    assert "no finding about a treatment may be drawn" in page


def test_the_figure_has_a_line_per_method_and_says_coverage(table: ResultTable) -> None:
    axes = plot_start_estimates(table, methods=[*NAMES, "absent"], naive=NAMES[:2])
    assert [label.get_text() for label in axes.get_yticklabels()] == [*NAMES, "absent"]
    texts = [text.get_text() for text in axes.texts]
    assert texts[-1] == "–"
    assert all(text.endswith("%") for text in texts[:-1])
    with pytest.raises(AnalysisError, match="no rows of these methods; got absent"):
        plot_start_estimates(table, methods=["absent"])
