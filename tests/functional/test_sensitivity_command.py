"""The group of sensitivity analyses runs from the command line and its report section is drawn."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cohort.results import ResultTable


@pytest.mark.slow
def test_sensitivity_from_cohort_to_report(
    cohort_folder: Path, lncohort: Callable[..., object], tmp_path: Path
) -> None:
    run = lncohort("analyze", cohort_folder, "--out", "results", "--only", "sensitivity", cwd=tmp_path)
    assert run.returncode == 0, run.stderr  # type: ignore[attr-defined]
    multiverse = ResultTable.read(tmp_path / "results" / "response_multiverse.parquet").frame
    count = multiverse.loc[multiverse["statistic"].eq("specifications"), "estimate"].item()
    assert count == multiverse["population"].str.contains("adjustment=").sum()
    assert lncohort("report", "results", "--out", "page.html", cwd=tmp_path).returncode == 0  # type: ignore[attr-defined]
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert 'id="sensitivity"' in page
    assert "Specification curve. Over" in page
