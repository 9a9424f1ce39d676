"""Result rows of the analyses of starts, in the same words whatever the method."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pandas as pd

from analyses.starts.inputs import STARTED
from analyses.survival import fit_cox
from cohort.errors import AnalysisError
from cohort.results import ResultTable, result_table

CONTRAST = "started v not started"
NO_ROWS = "no estimate: nobody is left to compare"
Row = dict[str, object]


def hazard_row(
    rows: pd.DataFrame,
    formula: str | None,
    *,
    exposure: str = STARTED,
    duration_col: str,
    event_col: str,
    entry_col: str | None = None,
    weights_col: str | None = None,
    strata: str | None = None,
    cluster_col: str | None = None,
    robust: bool = False,
    conf_level: float,
    patients: int,
) -> Row:
    """Return the log hazard ratio of an exposure (zeros and ones) from a Cox model, with a note where it has none.

    ``n`` is the number of patients, whatever the number of rows, and ``n_events`` that of failing rows.

    Raises
    ------
    AnalysisError
        As :func:`analyses.survival.fit_cox`.
    """
    row: Row = {"term": exposure, "statistic": "log_hazard_ratio", "n": float(patients), "conf_level": conf_level}
    if not len(rows):
        return row | {"estimate": math.nan, "n_events": 0.0, "note": NO_ROWS}
    fit = fit_cox(
        rows,
        exposure if formula is None else f"{exposure} + {formula}",
        duration_col=duration_col,
        event_col=event_col,
        entry_col=entry_col,
        weights_col=weights_col,
        strata=strata,
        cluster_col=cluster_col,
        robust=robust,
        conf_level=conf_level,
    )
    found = fit.tidy().frame.iloc[fit.terms.index(exposure)]
    numbers = {name: float(found[name]) for name in ("estimate", "std_error", "conf_low", "conf_high", "p_value")}
    note = None if pd.isna(found["note"]) or not found["note"] else str(found["note"])
    return row | numbers | {"n_events": float(rows[event_col].sum()), "note": note, "method": fit.method}


def refused_row(error: AnalysisError, *, statistic: str, term: str | None = None) -> Row:
    """Return the row of an estimate that a model refused, with the reason as its note."""
    return {"statistic": statistic, "term": term, "estimate": math.nan, "note": f"no estimate: {error}"}


def count_rows(counts: Mapping[str, float], **constants: object) -> list[Row]:
    """Return one row per count, ``term`` what is counted."""
    return [
        {"statistic": "count", "term": term, "estimate": float(count)} | constants for term, count in counts.items()
    ]


def laid_out(rows: list[Row], *, population: str, method: str, spec: Mapping[str, object]) -> ResultTable:
    """Return the result table of an analysis; ``method`` says what is added to that of a row's model."""
    named = [
        row | {"method": f"{method}; {row['method']}" if row.get("method") else method, "contrast": _contrast(row)}
        for row in rows
    ]
    return result_table(named, analysis="starts", population=population, metadata={"spec": dict(spec)})


def _contrast(row: Row) -> object:
    return row.get("contrast", CONTRAST if row["statistic"] == "log_hazard_ratio" else None)


def added_note(row: Row, remark: str) -> Row:
    """Return a row whose note ends in a remark."""
    return row | {"note": "; ".join(str(part) for part in (row.get("note"), remark) if part)}
