"""What an entry of the validity record is, and how verdicts are read off result tables."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from validity.cohorts import DESIGNS, HAZARD, HORIZON

from cohort.results import ResultTable

Kind = Literal["size", "coverage"]
Gate = Literal["both", "upper", ""]
Judge = Callable[[pd.DataFrame], Mapping[str, bool | None]]


@dataclass(frozen=True)
class Measure:
    """What is counted: how often a test rejects (``size``, 5 % asked) or an interval covers (``coverage``, 95 %).

    Attributes
    ----------
    gate
        ``both`` when the suite fails on a size or coverage off its nominal value, ``upper`` when only on a size above
        it, empty when it is published as it is.
    remark
        Words for the document.
    """

    kind: Kind
    gate: Gate = ""
    remark: str = ""


@dataclass(frozen=True)
class Entry:
    """A method, the cohorts it meets and how they are judged."""

    name: str
    design: str
    judge: Judge
    measures: Mapping[str, Measure]
    slow: bool = False

    def __post_init__(self) -> None:
        assert self.design in DESIGNS, self.design

    @property
    def replicates(self) -> int:
        """Cohorts of each size: 4,000 where something is gated, 2,000 elsewhere, 500 where one takes long."""
        if self.slow:
            return 500
        return 4000 if any(measure.gate for measure in self.measures.values()) else 2000


SIZE, COVERAGE = Measure("size"), Measure("coverage")
GATED_SIZE, GATED_COVERAGE = Measure("size", "both"), Measure("coverage", "both")
EVENTS = {"duration_col": "day", "event_col": "event"}
TAU = HORIZON - 365
DAYS = (183, 365, 731, 1096, HORIZON)


def rejected(p_value: float) -> bool | None:
    return None if math.isnan(p_value) else bool(p_value < 0.05)


def covered(low: float, high: float, truth: float) -> bool | None:
    return None if math.isnan(low) or math.isnan(high) else bool(low <= truth <= high)


def rows(table: ResultTable, **wanted: object) -> pd.DataFrame:
    """Return the rows whose columns hold the values wanted, at least one."""
    frame = table.frame
    for column, value in wanted.items():
        frame = frame[frame[column] == value]
    assert len(frame), wanted
    return frame


def test_of(table: ResultTable, **wanted: object) -> bool | None:
    return rejected(rows(table, **wanted)["p_value"].item())


def interval_of(table: ResultTable, truth: float, **wanted: object) -> bool | None:
    row = rows(table, **wanted)
    return covered(row["conf_low"].item(), row["conf_high"].item(), truth)


def at_day(table: ResultTable, day: float, **wanted: object) -> pd.Series:
    """Return the last row of a curve up to a day."""
    frame = rows(table, **wanted)
    return frame[frame["time"] <= day].iloc[-1]


def survival_at(day: float, hazard: float = HAZARD) -> float:
    return math.exp(-hazard * day)


def mean_up_to(day: int, hazard: float = HAZARD) -> float:
    """Mean of the smaller of a time in whole days and ``day``."""
    return float(np.exp(-hazard * np.arange(day)).sum())


def average_over_z(values: Callable[[np.ndarray], np.ndarray]) -> float:
    """Mean of a function of a standard normal covariate, by Gauss-Hermite quadrature."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    return float(values(nodes) @ weights / weights.sum())
