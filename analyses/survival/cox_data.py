"""What a Cox model was fitted to, kept so that residuals, curves and predictions can be had of it later."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analyses.design_matrix import Design, existing_column, ordered_levels
from analyses.kernels.cox import TermStatus
from analyses.kernels.cox_problem import CoxProblem, Ties, cox_problem
from analyses.survival.inputs import SurvivalColumns
from cohort.errors import AnalysisError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]

STATUS_NOTES = {
    TermStatus.ALIASED: "no estimate: constant within every risk set or a combination of earlier terms",
    TermStatus.INCREASING: "no estimate: monotone likelihood, the coefficient runs to plus infinity",
    TermStatus.DECREASING: "no estimate: monotone likelihood, the coefficient runs to minus infinity",
    TermStatus.UNINFORMED: "no estimate: no information is left on it where another term runs to infinity",
    TermStatus.NOT_CONVERGED: "no estimate: the iterations did not converge",
}
NO_SPREAD = "no standard error: the rows or clusters are too few or too alike for a robust variance"
NO_JOINT_TEST = "no joint test: the variance of the terms is singular"
VANISHING = 1e-8
"""A robust standard error below this share of the model-based one is rounding error, not precision."""


@dataclass(frozen=True, eq=False)
class Strata:
    """The combinations of levels that occur, numbered in the order of the levels.

    Attributes
    ----------
    names
        The columns; none for a model without strata.
    labels
        Text of each stratum: the level, or ``sex=1, site=a`` for several columns; None alone without strata.
    codes
        Shape ``(n,)``.
    """

    names: tuple[str, ...]
    labels: tuple[str | None, ...]
    codes: IntArray

    def codes_of(self, data: pd.DataFrame) -> IntArray:
        """Number the strata of other rows.

        Raises
        ------
        AnalysisError
            For a column that is absent or incomplete, or a stratum that the model has not seen.
        """
        if not self.names:
            return np.zeros(len(data), dtype=np.intp)
        labels = _labels(data, self.names)
        unknown = sorted(set(labels) - set(self.labels))
        if unknown:
            raise AnalysisError(
                "strata that the model has not seen",
                where=f"strata {', '.join(self.names)}",
                got="; ".join(map(str, unknown)),
                remedy="predict for strata of the data of the model",
            )
        place = {label: code for code, label in enumerate(self.labels)}
        return np.array([place[label] for label in labels], dtype=np.intp)


def stratify(data: pd.DataFrame, strata: str | Sequence[str] | None) -> Strata:
    """Number the combinations of the strata columns; all 0 without strata."""
    names = (strata,) if isinstance(strata, str) else tuple(strata or ())
    codes = np.zeros(len(data), dtype=np.intp)
    if not names:
        return Strata((), (None,), codes)
    for name in names:
        levels, own = ordered_levels(existing_column(data, name, role="strata"))
        codes = np.unique(codes * len(levels) + own, return_inverse=True)[1]
    first = np.unique(codes, return_index=True)[1]
    return Strata(names, tuple(_labels(data.iloc[first], names)), codes)


def _labels(data: pd.DataFrame, names: Sequence[str]) -> list[str]:
    parts = []
    for name in names:
        levels, codes = ordered_levels(existing_column(data, name, role="strata"))
        parts.append([levels[code] for code in codes])
    if len(names) == 1:
        return parts[0]
    return [
        ", ".join(f"{name}={text}" for name, text in zip(names, row, strict=True)) for row in zip(*parts, strict=True)
    ]


@dataclass(frozen=True, eq=False)
class CoxData:
    """The checked data of a Cox model, in the row order of the frame."""

    design: Design
    columns: SurvivalColumns
    offset: FloatArray | None
    offset_col: str | None
    strata: Strata
    clusters: IntArray | None
    index: pd.Index
    ties: Ties

    @cached_property
    def problem(self) -> CoxProblem | None:
        """Risk sets of the model; None without events."""
        return self.problem_with(self.ties)

    def problem_with(self, ties: Ties) -> CoxProblem | None:
        """Risk sets with another handling of ties; None without events."""
        if not self.columns.events.any():
            return None
        return cox_problem(
            self.design.matrix,
            self.columns.durations,
            self.columns.events,
            weights=self.columns.weights,
            entries=self.columns.entries,
            strata=self.strata.codes if self.strata.names else None,
            offset=self.offset,
            ties=ties,
        )
