"""How a hazard ratio moves over time: a smooth line through the scaled Schoenfeld residuals of a Cox model."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analyses.kernels.grouped_sums import FloatArray
from analyses.kernels.probability_interval import normal_quantile
from analyses.kernels.proportional_hazards import transformed_times
from analyses.kernels.spline_hazard import spline_basis
from analyses.survival.cox_fit import CoxFit
from analyses.survival.cox_residual_frames import event_residuals
from cohort.errors import AnalysisError
from cohort.results import ResultTable

_DEGREES = 4
_EVENTS_PER_DEGREE = 5
"""Distinct event times for each degree of freedom of the line: fewer, and it chases single points."""


def coefficient_trend(fit: CoxFit, term: str) -> ResultTable:
    """Smooth the log hazard ratio of a term over time.

    Parameters
    ----------
    fit
        A Cox model, whose level of confidence is that of the band.
    term
        One of ``fit.terms``.

    Returns
    -------
    ResultTable
        ``statistic="log_hazard_ratio_trend"``, one row per distinct event time: ``estimate``, ``std_error`` and band of
        a natural cubic spline through the scaled Schoenfeld residuals, with four degrees of freedom, or one for every
        five distinct event times if that is fewer, two being a straight line. A term without an estimate, or with
        fewer than ten distinct event times, is one row with a ``note``.

    Raises
    ------
    AnalysisError
        No such term.

    Notes
    -----
    The spline is in the scale of one minus the Kaplan-Meier estimate, on which events are spread evenly, with knots at
    quantiles of the events there. Scaled residuals are taken to have the variance of the coefficient times the number
    of events, as R's ``plot.cox.zph`` takes it; the band is pointwise and speaks of the trend, not of the residuals.

    References
    ----------
    Grambsch PM, Therneau TM. Proportional hazards tests and diagnostics based on weighted residuals. Biometrika
    1994;81:515-526. doi:10.1093/biomet/81.3.515

    Examples
    --------
    >>> from analyses.survival import fit_cox
    >>> data = pd.DataFrame({"months": range(1, 41), "flare": [1] * 40, "treated": [0, 1] * 20})
    >>> fit = fit_cox(data, "treated", duration_col="months", event_col="flare")
    >>> trend = coefficient_trend(fit, "treated").frame
    >>> len(trend), bool((trend["conf_low"] < trend["estimate"]).all())
    (40, True)
    """
    if term not in fit.terms:
        raise AnalysisError(
            "no such term", where="coefficient_trend", got=term, remedy=f"one of {', '.join(fit.terms)}"
        )
    place = fit.terms.index(term)
    method = f"{fit.method}; natural spline through scaled Schoenfeld residuals, model-based variance"
    points = event_residuals(fit, scaled=True)
    times, values = points["time"].to_numpy(dtype=np.float64), points[term].to_numpy(dtype=np.float64)
    moments = np.unique(times)
    degrees = min(_DEGREES, len(moments) // _EVENTS_PER_DEGREE)
    why = fit.notes[place] or ("" if degrees > 1 else f"{len(moments)} distinct event times: too few for a trend")
    if why:
        return fit.table(
            pd.DataFrame({"term": [term], "note": [why]}), statistic="log_hazard_ratio_trend", method=method
        )
    columns = fit.data.columns
    spread_evenly = transformed_times(columns.durations, columns.events, entries=columns.entries, transform="km")
    known, first = np.unique(columns.durations[columns.events], return_index=True)
    scale = spread_evenly[columns.events][first]
    curve, error = _smooth(np.interp(times, known, scale), values, np.interp(moments, known, scale), degrees)
    spread = error * np.sqrt(fit.n_events * fit.variance[place, place])
    half = normal_quantile(fit.conf_level) * spread
    frame = pd.DataFrame(
        {
            "term": term,
            "time": moments,
            "estimate": curve,
            "std_error": spread,
            "conf_low": curve - half,
            "conf_high": curve + half,
            "conf_level": fit.conf_level,
        }
    )
    return fit.table(frame, statistic="log_hazard_ratio_trend", method=method)


def _smooth(places: FloatArray, values: FloatArray, wanted: FloatArray, degrees: int) -> tuple[FloatArray, FloatArray]:
    """Fit a natural spline; return it and its standard error per unit standard deviation of a value, where wanted."""
    knots = np.quantile(places, np.linspace(0, 1, degrees))
    basis, shown = spline_basis(places, knots)[0], spline_basis(wanted, knots)[0]
    inner, mixing = np.linalg.qr(basis)
    hat = np.linalg.solve(mixing.T, shown.T).T
    return np.asarray(hat @ (inner.T @ values)), np.sqrt(np.sum(hat**2, axis=1))
