"""Score tests of proportional hazards: is there a trend of each coefficient over a function of time?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from analyses.kernels.cox_likelihood import evaluate
from analyses.kernels.cox_problem import CoxProblem
from analyses.kernels.grouped_sums import FloatArray, IntArray
from analyses.kernels.kaplan_meier import BoolArray, product_limit, risk_table
from analyses.kernels.quadratic_form import quadratic_form

TimeTransform = Literal["km", "rank", "identity", "log"]
TIME_TRANSFORMS: tuple[str, ...] = get_args(TimeTransform)


@dataclass(frozen=True, slots=True)
class TrendTest:
    """Chi-square of the test and its degrees of freedom; NaN and 0 where the data hold no such trend."""

    chi_square: float
    degrees_of_freedom: int


def transformed_times(
    durations: FloatArray, events: BoolArray, *, entries: FloatArray | None, transform: TimeTransform
) -> FloatArray:
    """Return g(duration) of every row, centred at the mean over events, shape ``(n,)``.

    ``km`` is one minus the left-continuous unweighted Kaplan-Meier estimate of all rows together; ``rank`` gives tied
    times their average rank.
    """
    if transform == "km":
        table = risk_table(durations, events, entries=entries)
        values = 1.0 - np.concatenate([[1.0], product_limit(table)])[table.exit_index]
    elif transform == "rank":
        _, index, counts = np.unique(durations, return_inverse=True, return_counts=True)
        values = (np.cumsum(counts) - (counts - 1) / 2)[index]
    elif transform == "log":
        values = np.log(durations)
    else:
        values = durations
    return np.asarray(values - values[events].mean())


def trend_tests(
    problem: CoxProblem,
    coefficients: FloatArray,
    trend: FloatArray,
    blocks: Sequence[IntArray],
) -> list[TrendTest]:
    """Test adding ``column * g(t)`` to the fitted model, for each block of columns.

    Parameters
    ----------
    coefficients
        Shape ``(p,)``: the maximum of the likelihood.
    trend
        Shape ``(rows of the data,)``: g at each row's duration; read at the events.
    blocks
        Column indices tested together; all columns of any block, and only those, are adjusted for.

    References
    ----------
    Grambsch and Therneau (1994), doi:10.1093/biomet/81.3.515; the exact score test replaced their approximation.
    """
    by_time = np.zeros(len(problem.times))
    by_time[problem.event_time] = trend[problem.rows[problem.event_rows]]
    fitted = evaluate(problem, coefficients).information
    weighted = evaluate(problem, coefficients, time_weight=by_time)
    slope, crossed = weighted.score, weighted.information
    squared = evaluate(problem, coefficients, time_weight=by_time**2).information
    used = np.unique(np.concatenate([*blocks, np.empty(0, dtype=np.intp)]))
    inverse = np.linalg.inv(fitted[np.ix_(used, used)])
    adjusted = squared[np.ix_(used, used)] - crossed[np.ix_(used, used)] @ inverse @ crossed[np.ix_(used, used)]
    spread = float(np.max(by_time**2, initial=0.0))
    tests = []
    for block in blocks:
        place = np.searchsorted(used, block)
        moves = np.sqrt(np.diag(fitted)[block])
        chi_square = quadratic_form(
            slope[block] / moves, adjusted[np.ix_(place, place)] / np.outer(moves, moves), scale=spread
        )
        tests.append(TrendTest(chi_square, 0 if np.isnan(chi_square) else len(block)))
    return tests
