"""Survival from times known only to lie between two visits."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from analyses.kernels import turnbull as kernel
from analyses.kernels.curve_readings import values_at
from analyses.kernels.grouped_sums import FloatArray, IntArray
from analyses.survival.inputs import check_conf_level, grouping, interval_columns, request
from cohort.errors import AnalysisError
from cohort.results import ResultTable, result_table

NO_ERROR_WANTED = "no standard error: ask for bootstraps"
NOT_CONVERGED = "not converged: the gradient exceeds its bound"
NOT_UNIQUE = "other masses have the same likelihood"


def turnbull(
    data: pd.DataFrame,
    *,
    lower_col: str,
    upper_col: str,
    by: str | None = None,
    weights_col: str | None = None,
    bootstraps: int = 0,
    seed: int | None = None,
    conf_level: float = 0.95,
) -> ResultTable:
    """Estimate survival from interval-censored times by nonparametric maximum likelihood (Turnbull).

    Parameters
    ----------
    data
        One row per subject.
    lower_col
        Last time without the event, not negative.
    upper_col
        First time with the event: the event lies after ``lower`` and not after ``upper``. Equal to ``lower`` for an
        event seen exactly; infinite or missing where the event was not seen (right-censored at ``lower``).
    by
        Column whose levels are estimated apart, in sorted order.
    weights_col
        Positive weights.
    bootstraps
        How often to resample rows within groups for standard errors and percentile intervals; 0 for none.
    seed
        Of the resampling; needed when there is any.
    conf_level
        Coverage of the percentile interval.

    Returns
    -------
    ResultTable
        Per group, rows ``statistic="mass"``, one for each interval that carries probability: ``term`` the interval
        ``(6, 12]`` (``[6]`` for an exact time, ``(12, inf)`` for what lies beyond), ``time`` its upper end and
        ``estimate`` its probability; then rows ``statistic="survival"`` at the finite ends of those intervals:
        ``estimate`` the probability of an event after ``time``. Within an interval the curve is not identified.
        ``std_error, conf_low, conf_high`` by bootstrap, NaN without; ``n`` rows and ``n_events`` rows with an event
        (weighted if there are weights); ``note`` says what is missing, and where the masses are not unique.

    Raises
    ------
    AnalysisError
        For no rows, an unknown or non-numeric column, a missing or negative lower limit or one above the upper; for
        bootstraps without a seed.

    Notes
    -----
    Masses are found to a relative excess of the likelihood's gradient below 1e-10 (Kuhn-Tucker). No
    standard error is computed from the likelihood: with freely spaced visits the estimator converges at the cube root
    of n and neither the information matrix nor the bootstrap is valid; with a fixed schedule of visits, few next to
    the number of patients, both are, and the bootstrap is what is offered. Mass of a resampled curve counts at the
    upper end of its interval. A group without events has one mass beyond its last visit, and survival at no time.

    References
    ----------
    Turnbull (1976), doi:10.1111/j.2517-6161.1976.tb01597.x. Gentleman and Geyer (1994), doi:10.1093/biomet/81.3.618.

    Examples
    --------
    >>> frame = pd.DataFrame({"seen_without": [0, 6, 6, 12], "seen_with": [6, 12, 12, float("inf")]})
    >>> table = turnbull(frame, lower_col="seen_without", upper_col="seen_with").frame
    >>> table.loc[table["statistic"] == "mass", ["term", "estimate"]].to_numpy().tolist()
    [['(0, 6]', 0.25], ['(6, 12]', 0.5], ['(12, inf)', 0.25]]
    """
    check_conf_level(conf_level)
    random = _generator(bootstraps, seed)
    lower, upper, weights = interval_columns(data, lower_col=lower_col, upper_col=upper_col, weights_col=weights_col)
    rows: list[dict[str, object]] = []
    for level, members in grouping(data, by).members():
        mass = np.ones(len(members)) if weights is None else weights[members]
        group = _Group(lower[members], upper[members], mass)
        rows += [{"group": level, **row} for row in group.rows(bootstraps, random, conf_level)]
    return result_table(
        rows,
        metadata={
            **request(lower_col=lower_col, upper_col=upper_col, by=by, weights_col=weights_col, bootstraps=bootstraps),
            "seed": seed,
        },
        analysis="survival",
        conf_level=conf_level if bootstraps else math.nan,
        method="Turnbull" + (f", percentile interval of {bootstraps} bootstraps" if bootstraps else ""),
    )


def _generator(bootstraps: int, seed: int | None) -> np.random.Generator | None:
    if bootstraps < 0 or bootstraps == 1:
        raise AnalysisError(
            "bootstraps must be 0 or at least 2", where="bootstraps", got=str(bootstraps), remedy="use 1000"
        )
    if bootstraps and seed is None:
        raise AnalysisError("bootstraps need a seed", where="seed", got="None", remedy="name a whole number")
    return np.random.default_rng(seed) if bootstraps else None


class _Group:
    """Rows of one group, like ones together and in order, so that the order of the data never matters."""

    def __init__(self, lower: FloatArray, upper: FloatArray, weights: FloatArray) -> None:
        kinds, self.counts = np.unique(np.column_stack([lower, upper, weights]), axis=0, return_counts=True)
        self.lower, self.upper, self.weights = kinds.T

    def fit(self, counts: IntArray) -> kernel.IntervalMasses:
        taken = counts > 0
        weights = (self.weights * counts)[taken]
        return kernel.turnbull(self.lower[taken], self.upper[taken], weights)

    def rows(self, bootstraps: int, random: np.random.Generator | None, conf_level: float) -> list[dict[str, object]]:
        fitted = self.fit(self.counts)
        ends = fitted.upper[np.isfinite(fitted.upper)]
        survival = survival_after(fitted, ends)
        limits = np.full((3, len(ends)), np.nan)
        if random is not None:
            total = int(self.counts.sum())
            draws = random.multinomial(total, self.counts / total, size=bootstraps)
            curves = np.array([survival_after(self.fit(draw), ends) for draw in draws])
            tail = (1 - conf_level) / 2
            limits = np.vstack([curves.std(axis=0, ddof=1), np.quantile(curves, [tail, 1 - tail], axis=0)])
        mass = self.weights * self.counts
        remarks = [NOT_CONVERGED] * (not fitted.converged) + [NOT_UNIQUE] * (not fitted.unique)
        shared = {"n": float(mass.sum()), "n_events": float(mass[np.isfinite(self.upper)].sum())}
        masses = [
            {
                **shared,
                "statistic": "mass",
                "term": _interval(low, high),
                "time": high if math.isfinite(high) else math.nan,
                "estimate": value,
                "note": "; ".join(remarks) or None,
            }
            for low, high, value in zip(fitted.lower.tolist(), fitted.upper.tolist(), fitted.mass.tolist(), strict=True)
        ]
        note = "; ".join(remarks + ([] if bootstraps else [NO_ERROR_WANTED])) or None
        points = [
            {
                **shared,
                "statistic": "survival",
                "time": end,
                "estimate": survival[k],
                "std_error": limits[0, k],
                "conf_low": limits[1, k],
                "conf_high": limits[2, k],
                "note": note,
            }
            for k, end in enumerate(ends.tolist())
        ]
        return [*masses, *points]


def survival_after(fitted: kernel.IntervalMasses, times: FloatArray) -> FloatArray:
    """Return the probability of an event after each time, mass counting at the upper end of its interval."""
    left = np.clip(1.0 - np.cumsum(fitted.mass), 0.0, 1.0)
    left = np.where(np.arange(len(left)) == len(left) - 1, 0.0, left)
    return values_at(fitted.upper, left, times, start=1.0)


def _interval(low: float, high: float) -> str:
    if low == high:
        return f"[{low:.12g}]"
    return f"({low:.12g}, {high:.12g}]" if math.isfinite(high) else f"({low:.12g}, inf)"
