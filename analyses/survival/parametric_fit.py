"""A fitted parametric survival model, its tables and predictions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd
from scipy.special import ndtr

from analyses.design_matrix import Design
from analyses.kernels.accelerated_failure import Noise, log_survival
from analyses.kernels.grouped_sums import FloatArray
from analyses.kernels.probability_interval import normal_quantile
from analyses.kernels.spline_hazard import spline_basis
from analyses.survival.inputs import check_times
from cohort.results import ResultTable, result_table

ParametricModel = Literal["weibull_aft", "lognormal_aft", "loglogistic_aft", "spline"]

NOISE: dict[str, Noise] = {
    "weibull_aft": "weibull",
    "lognormal_aft": "lognormal",
    "loglogistic_aft": "loglogistic",
}


@dataclass(frozen=True, slots=True, eq=False)
class ParametricFit:
    """A fitted parametric model with ``p`` parameters, ancillary ones included.

    Attributes
    ----------
    model
        As asked for.
    terms
        Names of the parameters: the terms of the formula; for accelerated failure ``Intercept`` before them and
        ``log_scale`` after; for the spline ``gamma0``, ``gamma1`` ... after them.
    kinds
        For each parameter the statistic its row has, or None for a term of the formula.
    estimates
        Shape ``(p,)``; NaN where the model has no maximum.
    variance
        Shape ``(p, p)``: inverse information, or the sandwich variance when asked for.
    log_likelihood
        Maximised, of the times themselves; NaN where there is no maximum.
    note
        Why there are no estimates, else an empty text.
    n, n_events
        Rows and events, unweighted.
    knots
        Of the spline, on the scale of the durations; empty for the other models.
    """

    model: ParametricModel
    terms: tuple[str, ...]
    kinds: tuple[str | None, ...]
    estimates: FloatArray
    variance: FloatArray
    log_likelihood: float
    note: str
    n: int
    n_events: int
    knots: tuple[float, ...]
    conf_level: float
    method: str
    spec: dict[str, dict[str, object]]
    _design: Design | None = field(repr=False)

    @property
    def converged(self) -> bool:
        """Whether there are estimates."""
        return not self.note

    def tidy(self, *, exponentiate: bool = False) -> ResultTable:
        """Return one row per parameter.

        Parameters
        ----------
        exponentiate
            Whether to give ratios: the estimate and the limits of each term of the formula are exponentiated, and
            ``std_error`` is left on the log scale. Other parameters stay as they are.

        Returns
        -------
        ResultTable
            ``statistic="log_time_ratio"`` (or ``"time_ratio"``) for the terms of an accelerated failure time model,
            above zero (one) where time is longer; ``"log_hazard_ratio"`` (``"hazard_ratio"``) for those of the spline;
            ``"intercept"``, ``"log_scale"`` and ``"spline_coefficient"`` for the rest. ``term, estimate, std_error,
            conf_low, conf_high, conf_level``, two-sided Wald ``p_value`` of the terms, ``n``, ``n_events``, ``method``
            and ``note`` why there is no estimate.
        """
        errors = np.sqrt(np.diag(self.variance))
        half = normal_quantile(self.conf_level) * errors
        name = "log_hazard_ratio" if self.model == "spline" else "log_time_ratio"
        rows = []
        for k, (term, kind) in enumerate(zip(self.terms, self.kinds, strict=True)):
            statistic = kind or (name.removeprefix("log_") if exponentiate else name)
            values = np.array([self.estimates[k], self.estimates[k] - half[k], self.estimates[k] + half[k]])
            estimate, low, high = np.exp(values) if exponentiate and kind is None else values
            tested = kind is None and errors[k] > 0
            rows.append(
                {
                    "term": term,
                    "statistic": statistic,
                    "estimate": estimate,
                    "std_error": errors[k],
                    "conf_low": low,
                    "conf_high": high,
                    "p_value": 2 * float(ndtr(-abs(self.estimates[k]) / errors[k])) if tested else math.nan,
                    "note": self.note or None,
                }
            )
        return self._table(rows, conf_level=self.conf_level, method=self.method)

    def glance(self) -> ResultTable:
        """Return two rows about the whole model.

        Returns
        -------
        ResultTable
            ``statistic="log_likelihood"`` and ``statistic="aic"`` (minus twice it plus twice the number of parameters);
            ``note`` gives ``parameters=...``, or why there is no estimate.
        """
        count = len(self.terms)
        values = {"log_likelihood": self.log_likelihood, "aic": 2 * count - 2 * self.log_likelihood}
        note = self.note or f"parameters={count}"
        rows: list[dict[str, object]] = [{"statistic": k, "estimate": v, "note": note} for k, v in values.items()]
        return self._table(rows, method=self.method)

    def predict(self, data: pd.DataFrame, *, times: Sequence[float]) -> ResultTable:
        """Predict survival of each row of ``data`` at given times.

        Parameters
        ----------
        data
            With the columns of the formula, in any number of rows.
        times
            In the unit of the durations; the order given is kept.

        Returns
        -------
        ResultTable
            ``statistic="survival"``, one row per row of ``data`` (``term`` its number from 0) and time: ``estimate``,
            ``std_error`` by the delta method, and an interval made where the model is linear (standardised log time,
            log cumulative hazard) and carried back. At time 0 survival is 1 with no error.

        Raises
        ------
        AnalysisError
            For times as in :func:`analyses.survival.survival_at`; for a formula that cannot be evaluated in ``data``,
            or a level that the fit has not seen.
        """
        wanted = check_times(times)
        design = np.empty((len(data), 0)) if self._design is None else self._design.matrix_of(data)
        rows: list[dict[str, object]] = []
        for k in range(len(data)):
            rows += [{"term": str(k), **self._at(design[k], float(time))} for time in wanted]
        return self._table(rows, statistic="survival", conf_level=self.conf_level, method=self.method)

    def _at(self, row: FloatArray, time: float) -> dict[str, object]:
        if not self.converged:
            return {"time": time, "note": self.note}
        if time == 0:
            return {"time": time, "estimate": 1.0, "std_error": 0.0, "conf_low": 1.0, "conf_high": 1.0}
        place, slope = self._linear(row, math.log(time))
        error = math.sqrt(max(float(slope @ self.variance @ slope), 0.0))
        half = normal_quantile(self.conf_level) * error
        noise: Noise = "weibull" if self.model == "spline" else NOISE[self.model]
        estimate, high, low = np.exp(log_survival(noise, np.array([place, place - half, place + half])))
        nudge = 1e-6
        around = np.exp(log_survival(noise, np.array([place - nudge, place + nudge])))
        return {
            "time": time,
            "estimate": estimate,
            "std_error": error * (around[0] - around[1]) / (2 * nudge),
            "conf_low": low,
            "conf_high": high,
        }

    def _linear(self, row: FloatArray, log_time: float) -> tuple[float, FloatArray]:
        """Return the scale on which survival is a fixed function, and its derivatives by the parameters."""
        if self.model == "spline":
            basis = spline_basis(np.array([log_time]), np.log(self.knots))[0][0]
            slope = np.concatenate([row, basis])
            return float(slope @ self.estimates), slope
        scale = math.exp(self.estimates[-1])
        place = (log_time - float(row @ self.estimates[:-1])) / scale
        return place, np.append(-row / scale, -place)

    def _table(self, rows: list[dict[str, object]], **constants: object) -> ResultTable:
        return result_table(
            rows,
            metadata=self.spec,
            analysis="survival",
            n=float(self.n),
            n_events=float(self.n_events),
            **constants,
        )
