"""What occupancy and transition probabilities share: the times reported at, the rows, and checks of the request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analyses.columns import require_probability
from analyses.kernels.multi_state import StateOccupancy
from analyses.kernels.probability_interval import INTERVAL_SCALES, IntervalScale, probability_interval
from analyses.kernels.spells import Spells
from analyses.spell_rows import SpellColumns
from cohort.errors import UsageError

FloatArray = NDArray[np.float64]

NO_INTERVAL = "probability 0 or 1: the interval does not exist on this scale"
BEYOND = "beyond the last time observed"
ROUNDING = 1e-12
"""A probability this close to 1 is 1."""


@dataclass(frozen=True, slots=True)
class OccupancyCurve:
    """Estimates at the times to report; ``k`` times, ``s`` states.

    Attributes
    ----------
    times
        Shape ``(k,)``.
    probability, errors, at_risk, arrivals
        Shape ``(k, s)``; arrivals since the time before.
    beyond
        Shape ``(k,)``: whether the time lies beyond what is observed.
    """

    times: FloatArray
    probability: FloatArray
    errors: FloatArray
    at_risk: FloatArray
    arrivals: FloatArray
    beyond: NDArray[np.bool_]


def occupancy_curve(
    occupancy: StateOccupancy, rows: Spells, grid: FloatArray | None, *, begin: float | None
) -> OccupancyCurve:
    """Read an estimate off at the times of ``grid``, or at all of its own, after a row at ``begin`` if there is one."""
    times = occupancy.times if grid is None else grid
    if begin is not None and times[0] > begin:
        times = np.concatenate([[begin], times])
    size = len(occupancy.initial)
    place = np.searchsorted(occupancy.times, times, side="right")
    cumulative = np.vstack([np.zeros(size), np.cumsum(occupancy.arrivals, axis=0)])[place]
    at_risk = rows.at_risk(times, size)
    if begin is not None:
        here = (rows.starts <= begin) & (rows.stops > begin)
        at_risk[0] = np.bincount(rows.states[here], weights=rows.weights[here], minlength=size)
    return OccupancyCurve(
        times=times,
        probability=np.vstack([occupancy.initial, occupancy.probability])[place],
        errors=np.vstack([occupancy.initial_std_error, occupancy.std_error])[place],
        at_risk=at_risk,
        arrivals=np.diff(cumulative, axis=0, prepend=np.zeros((1, size))),
        beyond=(times > occupancy.times[-1]) & (not at_rest(occupancy, rows)),
    )


def at_rest(occupancy: StateOccupancy, rows: Spells) -> bool:
    """Whether all probability has come to states in which nobody is observed at risk, so that nothing changes after."""
    left = np.unique(rows.states)
    return bool(occupancy.probability[-1, left].sum() < ROUNDING)


def state_rows(curve: OccupancyCurve, place: int, conf_type: IntervalScale, conf_level: float) -> pd.DataFrame:
    """Lay out the rows of one state."""
    estimate = np.where(curve.beyond, np.nan, np.clip(curve.probability[:, place], 0.0, 1.0))
    errors = np.where(curve.beyond, np.nan, curve.errors[:, place])
    low, high = probability_interval(estimate, errors, scale=conf_type, conf_level=conf_level)
    reason = np.where(curve.beyond, BEYOND, NO_INTERVAL)
    return pd.DataFrame(
        {
            "time": curve.times,
            "estimate": estimate,
            "std_error": errors,
            "conf_low": low,
            "conf_high": high,
            "n": curve.at_risk[:, place],
            "n_events": curve.arrivals[:, place],
            "note": pd.Series(reason, dtype="string").where(np.isnan(low)),
        }
    )


def repeated(text: str | None, size: int) -> pd.Series:
    """Return a text column that holds one value."""
    return pd.Series([text] * size, dtype="string")


def report_times(times: Sequence[float] | None, *, after: float, where: str) -> FloatArray | None:
    """Return the times asked for.

    Raises
    ------
    UsageError
        Unless they are finite numbers that increase from ``after``.
    """
    if times is None:
        return None
    grid = np.asarray(times, dtype=np.float64)
    if grid.ndim != 1 or not len(grid) or not np.isfinite(grid).all() or grid[0] < after or (np.diff(grid) <= 0).any():
        raise UsageError(
            f"times must be finite numbers that increase from {after:g}",
            where=f"{where}, times",
            got=str(list(times)),
            remedy="sort them and name each once",
        )
    return grid


def check_interval(conf_type: str, conf_level: float, where: str) -> None:
    """Refuse an unknown scale or a level out of range.

    Raises
    ------
    UsageError
        Naming the argument.
    """
    require_probability(conf_level, "conf_level")
    if conf_type not in INTERVAL_SCALES:
        raise UsageError(
            "unknown scale",
            where=f"{where}, conf_type",
            got=repr(conf_type),
            remedy=f"use one of {', '.join(INTERVAL_SCALES)}",
        )


def spec(
    function: str, columns: SpellColumns, *, times: Sequence[float] | None = None, **more: object
) -> dict[str, object]:
    """Return the arguments of a call as metadata hold them."""
    return {"function": function, **asdict(columns), "times": None if times is None else list(times), **more}
