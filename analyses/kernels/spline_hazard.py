"""Proportional hazards with the log cumulative hazard a natural cubic spline of log time (Royston-Parmar)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analyses.kernels.grouped_sums import FloatArray
from analyses.kernels.kaplan_meier import BoolArray
from analyses.kernels.newton import Likelihood


def spline_knots(durations: FloatArray, events: BoolArray, interior: int) -> FloatArray:
    """Return knots on the log scale: the first and last event times, and centiles of the event times between.

    Examples
    --------
    >>> np.exp(spline_knots(np.array([1.0, 2.0, 4.0, 9.0]), np.array([True, True, True, False]), 1)).round(6).tolist()
    [1.0, 2.0, 4.0]
    """
    return np.asarray(np.quantile(np.log(durations[events]), np.linspace(0, 1, interior + 2)))


def spline_basis(log_time: FloatArray, knots: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the basis and its derivative by log time, each of shape ``(n, k)`` for ``k`` knots.

    Columns are 1, log time and one function for each interior knot; beyond the outer knots all are linear.
    """
    first, last = knots[0], knots[-1]

    def cubed(knot: float) -> FloatArray:
        return np.asarray(np.maximum(log_time - knot, 0.0) ** 3)

    def squared(knot: float) -> FloatArray:
        return np.asarray(3 * np.maximum(log_time - knot, 0.0) ** 2)

    columns, slopes = [np.ones_like(log_time), log_time], [np.zeros_like(log_time), np.ones_like(log_time)]
    for knot in knots[1:-1]:
        share = (last - knot) / (last - first)
        columns.append(cubed(knot) - share * cubed(first) - (1 - share) * cubed(last))
        slopes.append(squared(knot) - share * squared(first) - (1 - share) * squared(last))
    return np.column_stack(columns), np.column_stack(slopes)


@dataclass(frozen=True, slots=True, eq=False)
class SplineHazard:
    """Data of the model; parameters are the spline's coefficients, then those of the design.

    Attributes
    ----------
    basis, slope
        Shape ``(n, q)``: columns of the log cumulative hazard at the durations, design included, and their derivatives
        by log time.
    basis_at_entry
        Shape ``(n, q)``; None when all are observed from 0.
    late
        Shape ``(n,)``: rows that enter after 0.
    durations, events, weights
        Shape ``(n,)``.
    """

    basis: FloatArray
    slope: FloatArray
    basis_at_entry: FloatArray | None
    late: BoolArray
    durations: FloatArray
    events: BoolArray
    weights: FloatArray

    @classmethod
    def of(
        cls,
        design: FloatArray,
        durations: FloatArray,
        events: BoolArray,
        *,
        weights: FloatArray,
        entries: FloatArray | None,
        knots: FloatArray,
    ) -> SplineHazard:
        """Lay out the columns; ``design`` has no column of ones."""
        columns, slopes = spline_basis(np.log(durations), knots)
        late = np.zeros(len(durations), dtype=np.bool_) if entries is None else entries > 0
        at_entry = None
        if entries is not None and late.any():
            at_entry = np.hstack([spline_basis(np.log(np.where(late, entries, 1.0)), knots)[0], design])
        return cls(
            np.hstack([columns, design]),
            np.hstack([slopes, np.zeros_like(design)]),
            at_entry,
            late,
            durations,
            events,
            weights,
        )

    def start(self) -> FloatArray:
        """Return parameters to begin with: one constant hazard."""
        parameters = np.zeros(self.basis.shape[1])
        parameters[0] = np.log(self.weights @ self.events / (self.weights @ self.durations))
        parameters[1] = 1.0
        return parameters

    def one_event(self, _parameters: FloatArray) -> FloatArray:
        """Return about the information that one event gives on each parameter, shape ``(p,)``."""
        return np.asarray(np.max(self.basis**2, axis=0) * self.weights.mean())

    def likelihood(self, parameters: FloatArray) -> Likelihood:
        """Return the log-likelihood and its derivatives, weighted; minus infinity where a hazard is not positive."""
        slope = self.slope @ parameters
        failing = self.events
        if np.any(slope[failing] <= 0):
            size = len(parameters)
            return Likelihood(-np.inf, np.zeros(size), -np.eye(size), np.zeros_like(self.basis))
        position = self.basis @ parameters
        with np.errstate(over="ignore", invalid="ignore"):
            hazard = np.exp(position)
            steep = np.where(failing, slope, 1.0)
            value = failing * (np.log(steep) + position - np.log(self.durations)) - hazard
            scores = (failing - hazard)[:, None] * self.basis + (failing / steep)[:, None] * self.slope
            hessian = -self.basis.T @ ((self.weights * hazard)[:, None] * self.basis)
            hessian -= self.slope.T @ ((self.weights * failing / steep**2)[:, None] * self.slope)
            if self.basis_at_entry is not None:
                before = np.where(self.late, np.exp(self.basis_at_entry @ parameters), 0.0)
                value = value + before
                scores = scores + before[:, None] * self.basis_at_entry
                hessian += self.basis_at_entry.T @ ((self.weights * before)[:, None] * self.basis_at_entry)
            total = float(self.weights @ value)
        if not np.isfinite(total):
            total = -np.inf
        return Likelihood(total, self.weights @ scores, hessian, scores)
