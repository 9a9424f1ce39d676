"""How baseline values are distributed, in bins that hold whole steps of the printed values."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from analyses.columns import FloatArray
from analyses.datasets import AnalysisData
from analyses.realism.marginals import baseline_values
from cohort.results import ResultTable, result_table
from cohort.schema import PATIENTS, VISITS

DISTRIBUTED = (
    "age_years", "activity_index", "chronicity_index", "upcr_g_g", "serum_creatinine_mg_dl", "egfr_ml_min_1_73m2",
    "albumin_g_dl", "hemoglobin_g_dl", "c3_mg_dl", "c4_mg_dl", "anti_dsdna_iu_ml", "sledai_2k", "prednisolone_mg_day",
    "tacrolimus_trough_ng_ml",
)  # fmt: skip
"""Variables drawn, in order."""
LOGARITHMIC = ("upcr_g_g", "serum_creatinine_mg_dl", "anti_dsdna_iu_ml")
"""Variables whose bins have equal ratios rather than equal widths."""
_MOST_BINS = 16
_STEP = {column.name: 10.0 ** -(column.decimals or 0) for column in (*PATIENTS.columns, *VISITS.columns)}


def baseline_distributions(data: AnalysisData) -> ResultTable:
    """Count baseline values in bins.

    Parameters
    ----------
    data
        Analysis frames; missing values are left out. The trough is each patient's mean level over the visits.

    Returns
    -------
    ResultTable
        Per ``term`` and bin (``group``) rows ``bin_lower``, ``bin_upper`` and ``proportion`` (of the ``n`` patients
        observed, ``n_events`` of them in the bin). At most 16 bins. A variable nobody has is one row with a note.
    """
    rows = [row for name in DISTRIBUTED for row in _rows(name, baseline_values(data, name))]
    return result_table(rows, analysis="realism", population="this cohort")


def _rows(name: str, values: FloatArray) -> Iterator[dict[str, object]]:
    if not len(values):
        yield {"term": name, "statistic": "proportion", "n": 0, "note": "no value observed"}
        return
    edges = bin_edges(values, _STEP[name], logarithmic=name in LOGARITHMIC)
    counts, _ = np.histogram(values, bins=edges)
    for place, count in enumerate(counts):
        shared = {"term": name, "group": f"bin {place + 1:02d}", "n": len(values), "n_events": int(count)}
        yield shared | {"statistic": "bin_lower", "estimate": float(edges[place])}
        yield shared | {"statistic": "bin_upper", "estimate": float(edges[place + 1])}
        yield shared | {"statistic": "proportion", "estimate": count / len(values)}


def bin_edges(values: FloatArray, step: float, *, logarithmic: bool) -> FloatArray:
    """Return the edges of at most 16 bins that lie between printed values.

    Parameters
    ----------
    values
        At least one value, in whole multiples of ``step``.
    step
        Smallest difference of two printed values.
    logarithmic
        Equal ratios of the edges rather than equal widths; edges that fall between the same two printed values are
        one.

    Examples
    --------
    >>> bin_edges(np.array([1.0, 2.0, 4.0]), 1.0, logarithmic=False).tolist()
    [0.5, 1.5, 2.5, 3.5, 4.5]
    """
    low, high = round(float(values.min()) / step), round(float(values.max()) / step)
    if logarithmic:
        wanted = np.geomspace(max(low, 1), max(high, 1) + 1, _MOST_BINS + 1)
        # Powers are a rounding error off whole numbers: without the nudge a bin would lose its edge.
        whole = np.unique(np.floor(wanted * (1 + 1e-9)))
        whole[0] = min(whole[0], low)
    else:
        width = max(1, math.ceil((high - low + 1) / _MOST_BINS))
        whole = np.arange(low, high + 1 + width, width, dtype=np.float64)
        whole = whole[: int(np.searchsorted(whole, high + 1)) + 1]
    return np.asarray((whole - 0.5) * step, dtype=np.float64)
