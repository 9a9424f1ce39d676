"""Bootstrap of weighted clones: in each sample of patients the probabilities of starting are estimated again."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from analyses.columns import FloatArray
from analyses.kernels.cox import TermStatus, maximise
from analyses.kernels.cox_problem import cox_problem
from analyses.kernels.curve_readings import values_at
from analyses.kernels.kaplan_meier import product_limit, risk_table
from analyses.kernels.probability_interval import normal_quantile
from analyses.starts.clones import CloneSpells
from analyses.starts.rows import Row, added_note
from cohort.errors import AnalysisError

IntArray = npt.NDArray[np.intp]
Key = tuple[str, bool | None]
"""Statistic, and whether it is of the first strategy; None for a contrast."""

_LARGEST_LOST = 0.1
"""Share of replicates without estimate above which the spread of the others is not that of the estimator."""


def point_estimates(spells: CloneSpells, weights: FloatArray, horizon: float) -> dict[Key, float]:
    """Return what the public tables hold as estimates, without their variances; NaN where there is none."""
    found: dict[Key, float] = {("log_hazard_ratio", None): _log_hazard_ratio(spells, weights)}
    for first in (True, False):
        own = spells.start_within == first
        found["risk", first], found["restricted_mean", first] = _risk_and_area(spells, weights, own, horizon)
    for name in ("risk", "restricted_mean"):
        found[f"{name}_difference", None] = found[name, True] - found[name, False]
    return found


def _log_hazard_ratio(spells: CloneSpells, weights: FloatArray) -> float:
    if not spells.failed.any():
        return math.nan
    matrix = spells.start_within[:, None].astype(np.float64)
    solution = maximise(cox_problem(matrix, spells.exit, spells.failed, weights=weights, entries=spells.entry))
    return float(solution.coefficients[0]) if solution.status[0] is TermStatus.ESTIMATED else math.nan


def _risk_and_area(
    spells: CloneSpells, weights: FloatArray, own: npt.NDArray[np.bool_], horizon: float
) -> tuple[float, float]:
    if not own.any():
        return math.nan, math.nan
    table = risk_table(spells.exit[own], spells.failed[own], weights=weights[own], entries=spells.entry[own])
    survival = product_limit(table)
    if table.times[-1] < horizon and survival[-1] > 0:
        return math.nan, math.nan
    inside = table.times <= horizon
    edges = np.concatenate([[0.0], table.times[inside], [horizon]])
    area = float(np.diff(edges) @ np.concatenate([[1.0], survival[inside]]))
    return 1.0 - float(values_at(table.times, survival, np.array([horizon]), start=1.0)[0]), area


def bootstrapped(
    rows: list[Row],
    copies: IntArray,
    estimate: Callable[[IntArray], Mapping[Key, float]],
    *,
    first: str,
    conf_level: float,
) -> list[Row]:
    """Replace standard errors, intervals and p-values by those of the replicates.

    Parameters
    ----------
    rows
        Estimates of the patients themselves.
    copies
        Shape ``(b, n)``: how often each patient was drawn.
    estimate
        Takes positions of patients, repeated as they were drawn; raises AnalysisError where there is no estimate.
    first
        Group of the first strategy.
    conf_level
        Level of the intervals.
    """
    replicates: list[Mapping[Key, float]] = []
    for copied in copies:
        try:
            replicates.append(estimate(np.repeat(np.arange(len(copied)), copied)))
        except AnalysisError:
            replicates.append({})

    def spread(row: Row) -> Row:
        group = row.get("group")
        key = (str(row["statistic"]), None if group is None else group == first)
        return _spread(row, np.array([found.get(key, np.nan) for found in replicates]), conf_level)

    return [spread(row) for row in rows]


def _spread(row: Row, replicates: FloatArray, conf_level: float) -> Row:
    estimate = float(str(row["estimate"]))
    if row["statistic"] in ("count", "mean_weight", "largest_weight") or math.isnan(estimate):
        return row
    bare = {name: value for name, value in row.items() if name not in ("std_error", "conf_low", "conf_high", "p_value")}
    known = replicates[np.isfinite(replicates)]
    lost = len(replicates) - len(known)
    remark = f"{lost} of {len(replicates)} replicates without estimate"
    if lost > _LARGEST_LOST * len(replicates):
        return added_note(bare, f"no interval: {remark}")
    error = float(known.std(ddof=1))
    half = normal_quantile(conf_level) * error
    interval: Row = {"std_error": error, "conf_low": estimate - half, "conf_high": estimate + half}
    if "p_value" in row and error > 0:
        interval["p_value"] = float(2 * ndtr(-abs(estimate) / error))
    return added_note(bare | interval, remark) if lost else bare | interval
