"""Protects the tables of docs/truth.md: they show the true values that lncohort carries."""

from __future__ import annotations

import runpy
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_tables_are_those_of_the_carried_values() -> None:
    # Fails when the model has changed: run benchmarks/make_calibrations.py kim2025, then benchmarks/truth_document.py.
    tables = runpy.run_path(str(ROOT / "benchmarks" / "truth_document.py"))["tables"]()
    assert tables in (ROOT / "docs" / "truth.md").read_text(encoding="utf-8")


def test_the_bounds_on_standard_errors_hold() -> None:
    carried = [*(ROOT / "synthetic" / "calibrations").glob("kim2025*.csv")]
    lines = [
        line.split(",")
        for path in carried
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.split(",")[0] in ("risk_difference", "hazard_ratio", "restricted_mean_difference")
    ]

    def largest(estimand: str, measure: str) -> float:
        return max(float(cells[6]) for cells in lines if cells[0] == estimand and cells[2] == measure)

    assert len(lines) == len(carried) * (40 + 6 + 6)
    assert len(carried) == 6
    assert max(largest("risk_difference", name) for name in ("complete_response", "overall_response")) < 0.0003
    assert largest("hazard_ratio", "flare_free_survival") < 0.0005
    assert largest("hazard_ratio", "poor_outcome") < 0.0015
    assert largest("restricted_mean_difference", "flare_free_survival") * 365.25 < 0.13
