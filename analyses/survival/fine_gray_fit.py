"""A fitted Fine-Gray model: tidy results and predicted cumulative incidence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import chdtrc, ndtr

from analyses.design_matrix import Design
from analyses.kernels.probability_interval import normal_quantile
from analyses.kernels.quadratic_form import quadratic_form
from analyses.survival.cox_data import NO_JOINT_TEST, NO_SPREAD, VANISHING
from analyses.survival.inputs import stratum_codes
from cohort.errors import AnalysisError
from cohort.results import Column, ResultTable, result_table

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]

NOT_PREDICTED = "no prediction: a term of the model has no estimate"
BEYOND = "beyond the last observed time: nothing is extrapolated"


@dataclass(frozen=True, slots=True, eq=False)
class Baseline:
    """Cumulative subdistribution hazard of one stratum at covariates whose linear predictor is ``origin``."""

    times: FloatArray
    cumulative: FloatArray
    origin: float
    last_time: float

    def curve(self, predictor: float, times: FloatArray | None) -> pd.DataFrame:
        if times is None:
            times = np.unique(np.concatenate([[0.0], self.times]))
        hazard = np.concatenate([[0.0], self.cumulative])[np.searchsorted(self.times, times, side="right")]
        estimate = -np.expm1(-hazard * math.exp(predictor - self.origin))
        beyond = times > self.last_time
        note = pd.Series([BEYOND] * len(times), dtype="string").where(beyond)
        return pd.DataFrame({"time": times, "estimate": np.where(beyond, np.nan, estimate), "note": note})


@dataclass(frozen=True, slots=True, eq=False)
class FineGrayFit:
    """A fitted Fine-Gray model with ``p`` terms.

    Attributes
    ----------
    terms
        Names of the coefficients.
    coefficients
        Shape ``(p,)``: log subdistribution hazard ratios, NaN for terms without an estimate.
    variance
        Shape ``(p, p)``: the variance of the variant, see :func:`fit_fine_gray`; NaN for terms without an estimate.
    naive_variance
        Shape ``(p, p)``: inverse information. Rows that linger with a weight are not independent contributions to it,
        so it is no variance of the estimates; it is here for comparison.
    notes
        For each term why there is no estimate, else an empty text.
    log_likelihood, log_likelihood_null
        Maximised log partial likelihood and that of all coefficients zero; NaN without events.
    converged
        Whether every term has an estimate.
    n, n_events
        Rows, and events of the cause, unweighted.
    cause
        Code of the cause.
    conf_level
        Level of the intervals of :meth:`tidy`.
    method
        The model in words.
    """

    terms: tuple[str, ...]
    coefficients: FloatArray
    variance: FloatArray
    naive_variance: FloatArray
    notes: tuple[str, ...]
    log_likelihood: float
    log_likelihood_null: float
    converged: bool
    n: int
    n_events: int
    cause: int
    conf_level: float
    method: str
    spec: dict[str, object]
    _design: Design = field(repr=False)
    _strata: pd.DataFrame | None = field(repr=False)
    _baselines: tuple[Baseline, ...] = field(repr=False)

    @property
    def std_errors(self) -> FloatArray:
        """Standard errors of the log subdistribution hazard ratios, shape ``(p,)``; NaN where they vanish."""
        errors = np.sqrt(np.diag(self.variance))
        return np.where(errors > VANISHING * np.sqrt(np.diag(self.naive_variance)), errors, np.nan)

    def tidy(self, *, exponentiate: bool = False) -> ResultTable:
        """Return one row per term.

        Parameters
        ----------
        exponentiate
            False for ``statistic="log_subdistribution_hazard_ratio"``; True for ``"subdistribution_hazard_ratio"``,
            with ``estimate, conf_low, conf_high`` exponentiated and ``std_error`` left on the log scale.

        Returns
        -------
        ResultTable
            ``term, estimate, std_error, conf_low, conf_high, conf_level``, two-sided Wald ``p_value``, ``n`` rows,
            ``n_events`` events of the cause, ``method``, and in ``note`` why a term has no estimate or no standard
            error. The frame is laid out when it is first read.
        """

        def laid_out() -> pd.DataFrame:
            return self._table(
                self._estimates(exponentiate),
                statistic="subdistribution_hazard_ratio" if exponentiate else "log_subdistribution_hazard_ratio",
                conf_level=self.conf_level,
                method=self.method,
            ).frame

        return ResultTable(laid_out, {"spec": self.spec})

    def _estimates(self, exponentiate: bool) -> dict[str, Column]:
        errors = self.std_errors
        half = normal_quantile(self.conf_level) * errors
        carry = np.exp if exponentiate else np.asarray
        return {
            "term": self.terms,
            "estimate": carry(self.coefficients),
            "std_error": errors,
            "conf_low": carry(self.coefficients - half),
            "conf_high": carry(self.coefficients + half),
            "p_value": 2 * ndtr(-np.abs(self.coefficients) / errors),
            "note": [
                note or (NO_SPREAD if lacks else None) for note, lacks in zip(self.notes, np.isnan(errors), strict=True)
            ],
        }

    def glance(self) -> ResultTable:
        """Return one row about the whole model.

        Returns
        -------
        ResultTable
            ``statistic="log_likelihood"``: ``estimate`` the maximised log partial likelihood, ``p_value`` of the Wald
            test that all coefficients are zero, with the variance of the variant; ``n``, ``n_events``; ``note`` gives
            ``df=...``, or why there is no test.
        """
        estimated = np.flatnonzero(~np.isnan(self.coefficients))
        block = np.ix_(estimated, estimated)
        unit = np.sqrt(np.diag(self.naive_variance))[estimated]
        scaled = self.variance[block] / np.outer(unit, unit)
        chi_square = quadratic_form(self.coefficients[estimated] / unit, scaled, scale=1.0)
        tested = self.converged and not math.isnan(chi_square)
        failures = "; ".join(f"{term}: {note}" for term, note in zip(self.terms, self.notes, strict=True) if note)
        row: dict[str, Column] = {
            "estimate": np.array([self.log_likelihood]),
            "p_value": np.array([float(chdtrc(len(estimated), chi_square)) if tested else math.nan]),
            "note": [f"df={len(estimated)}" if tested else failures or NO_JOINT_TEST],
        }
        return self._table(row, statistic="log_likelihood", method=f"{self.method}; Wald test")

    def predict(self, data: pd.DataFrame, *, times: Sequence[float] | None = None) -> ResultTable:
        """Predict the cumulative incidence of the cause for given covariates.

        Parameters
        ----------
        data
            One row per profile, with the columns of the formula and of the strata.
        times
            Times to predict at; without them 0 and every event time of the stratum.

        Returns
        -------
        ResultTable
            ``statistic="cumulative_incidence"``, one row per profile and time: ``group`` the row label of the profile
            as text, ``term`` the cause code, ``estimate`` the probability of the event of the cause up to and
            including ``time``. No interval. ``note`` where there is no prediction: a term without an estimate, or a
            time beyond the last one observed in the stratum.

        Raises
        ------
        AnalysisError
            For columns as in :func:`analyses.design_matrix.build_design`, a level or a stratum that the model has not
            seen, or times that are negative or not finite.
        """
        wanted = None if times is None else np.asarray(times, dtype=np.float64)
        if wanted is not None and not (wanted.ndim == 1 and np.all(np.isfinite(wanted) & (wanted >= 0))):
            raise AnalysisError("times must be finite numbers from 0", where="times", got=str(times))
        profiles = self._design.matrix_of(data)
        parts = []
        for label, profile, stratum in zip(data.index, profiles, self._strata_of(data), strict=True):
            if not self.converged:
                when = np.zeros(1) if wanted is None else wanted
                part = pd.DataFrame({"time": when, "estimate": np.nan, "note": NOT_PREDICTED})
            else:
                part = self._baselines[stratum].curve(profile @ self.coefficients, wanted)
            parts.append(part.assign(group=str(label)))
        rows = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=["time"])
        return self._table(rows, statistic="cumulative_incidence", term=str(self.cause), method=self.method)

    def _strata_of(self, data: pd.DataFrame) -> IntArray:
        if self._strata is None:
            return np.zeros(len(data), dtype=np.intp)
        names = list(self._strata.columns)
        for name in names:
            stratum_codes(data, name)
        known = len(self._strata)
        codes = stratum_codes(pd.concat([self._strata, data[names]], ignore_index=True), names)
        own = {code: place for place, code in enumerate(codes[:known])}
        unseen = [str(label) for label, code in zip(data.index, codes[known:], strict=True) if code not in own]
        if unseen:
            raise AnalysisError(
                "strata that the model has not seen", where=f"strata {', '.join(names)}", got=f"rows {unseen[:5]}"
            )
        return np.array([own[code] for code in codes[known:]], dtype=np.intp)

    def _table(self, rows: pd.DataFrame | dict[str, Column], **constants: object) -> ResultTable:
        return result_table(
            rows,
            metadata={"spec": self.spec},
            analysis="survival",
            n=float(self.n),
            n_events=float(self.n_events),
            **constants,
        )
