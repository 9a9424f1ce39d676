"""Baseline and predicted cumulative hazards of a fitted Cox model, with their variance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analyses.kernels.cox_likelihood import EventTimeSums, event_time_sums, within_strata
from analyses.kernels.cox_problem import CoxProblem
from analyses.kernels.grouped_sums import FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class HazardSteps:
    """Running sums at the ``g`` event times, from which the curve of any covariates follows.

    Attributes
    ----------
    problem
        Gives the event times and their strata.
    hazard
        Shape ``(g,)``: cumulative hazard of a row at the centre of its stratum, times ``exp(shift)``.
    mean_hazard
        Shape ``(g, p)``: running sum of hazard increment times covariate mean, measured from that centre.
    variance
        Shape ``(g,)``: variance of ``hazard`` with the coefficients known.
    shift
        Added to what is subtracted from linear predictors.
    """

    problem: CoxProblem
    hazard: FloatArray
    mean_hazard: FloatArray
    variance: FloatArray
    shift: float


@dataclass(frozen=True, slots=True)
class PredictedHazard:
    """Cumulative hazard and its standard error at some times, one row of covariates, shape ``(t,)``."""

    cumulative: FloatArray
    std_error: FloatArray


def hazard_steps(problem: CoxProblem, coefficients: FloatArray) -> HazardSteps:
    """Sum the hazard increments of a fitted model, in the handling of ties of ``problem``.

    References
    ----------
    Breslow (1974), doi:10.2307/2529620. With Efron's handling the tied events leave the risk set by fractions, as in
    the likelihood.
    """
    sums: EventTimeSums = event_time_sums(problem, coefficients)
    return HazardSteps(
        problem=problem,
        hazard=within_strata(problem, sums.hazard),
        mean_hazard=within_strata(problem, sums.mean_hazard),
        variance=within_strata(problem, sums.hazard_variance),
        shift=sums.shift,
    )


def predicted_hazard(
    steps: HazardSteps,
    covariates: FloatArray,
    offset: float,
    stratum: int,
    places: IntArray,
    *,
    coefficients: FloatArray,
    variance: FloatArray,
) -> PredictedHazard:
    """Return the cumulative hazard of given covariates.

    Parameters
    ----------
    covariates, offset, stratum
        Shape ``(p,)``, as the data were given, not centred; its offset; its stratum.
    places
        Shape ``(t,)``: event times, numbered from 0 over all strata; -1 for before the first.
    coefficients, variance
        Shapes ``(p,)`` and ``(p, p)``, without missing values.

    References
    ----------
    Tsiatis (1981), doi:10.1214/aos/1176345329, for the variance, which has a part for the increments and a part for
    the coefficients.
    """
    problem = steps.problem
    away = covariates - problem.centres[stratum]
    factor = np.exp(away @ coefficients + offset - problem.offset_centres[stratum] - steps.shift)
    reached = places >= 0
    at = np.maximum(places, 0)
    hazard = np.where(reached, steps.hazard[at], 0.0)
    slope = hazard[:, None] * away - np.where(reached[:, None], steps.mean_hazard[at], 0.0)
    spread = np.where(reached, steps.variance[at], 0.0) + np.einsum("ti,ij,tj->t", slope, variance, slope)
    return PredictedHazard(factor * hazard, factor * np.sqrt(spread))
