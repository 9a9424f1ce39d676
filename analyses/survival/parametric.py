"""Parametric survival models: accelerated failure time, and proportional hazards with a flexible baseline."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import get_args

import numpy as np
import pandas as pd

from analyses.design_matrix import Design, build_design
from analyses.kernels.accelerated_failure import AcceleratedFailure
from analyses.kernels.grouped_sums import FloatArray, sum_rows_by
from analyses.kernels.newton import Likelihood, Maximum, maximise
from analyses.kernels.spline_hazard import SplineHazard, spline_knots
from analyses.survival.inputs import SurvivalColumns, check_choice, check_conf_level, request, survival_columns
from analyses.survival.parametric_fit import NOISE, ParametricFit, ParametricModel
from cohort.errors import AnalysisError

NO_EVENTS = "no estimate: no events"
NOT_CONVERGED = (
    "no estimate: the likelihood has no maximum (a level without events, terms that determine each other, all events "
    "at one time)"
)
UNINFORMED = 1e-4
"""Less information than this share of one event's on a parameter means that it runs to infinity."""


def fit_parametric(
    data: pd.DataFrame,
    formula: str,
    *,
    duration_col: str,
    event_col: str,
    model: ParametricModel = "weibull_aft",
    weights_col: str | None = None,
    entry_col: str | None = None,
    cluster_col: str | None = None,
    robust: bool = False,
    interior_knots: int = 2,
    conf_level: float = 0.95,
) -> ParametricFit:
    """Fit a parametric survival model by maximum likelihood.

    Parameters
    ----------
    data
        One row per subject, or per spell at risk when there is an ``entry_col``.
    formula
        Right-hand side; ``"1"`` for none but the baseline. See :func:`analyses.design_matrix.build_design`.
    duration_col, event_col, entry_col
        As in :func:`analyses.survival.kaplan_meier`, but durations are above zero.
    model
        ``weibull_aft``, ``lognormal_aft`` and ``loglogistic_aft``: the logarithm of time is linear in the terms, with
        noise of that name times a scale. ``spline``: proportional hazards, the log cumulative hazard being a natural
        cubic spline of log time (Royston and Parmar).
    weights_col
        Positive weights. Ask for ``robust=True`` unless they are numbers of identical patients.
    cluster_col
        Column of the independent units; implies ``robust``.
    robust
        Whether to use the sandwich variance, without a small-sample factor.
    interior_knots
        Of the spline, at equally spaced centiles of the event times, between the first and the last; 0 makes the
        model Weibull.
    conf_level
        Level of the intervals.

    Returns
    -------
    ParametricFit
        Always, when the request is possible; where the likelihood has no maximum (no events, a level without events,
        terms that determine each other, all events at one time) every row of its tables has a ``note`` in place of
        estimates.

    Raises
    ------
    AnalysisError
        For the columns as in :func:`analyses.survival.inputs.survival_columns`, a duration of 0, a formula as in
        :func:`analyses.design_matrix.build_design`, an unknown ``model`` or a negative number of knots.

    References
    ----------
    Kalbfleisch and Prentice (2002), doi:10.1002/9781118032985. Royston and Parmar (2002), doi:10.1002/sim.1203.

    Examples
    --------
    >>> frame = pd.DataFrame({"months": [1.0, 3.0, 2.0, 8.0], "flare": [1, 1, 1, 0], "arm": ["a", "b", "a", "b"]})
    >>> fit = fit_parametric(frame, "arm", duration_col="months", event_col="flare", model="lognormal_aft")
    >>> fit.tidy().frame["term"].tolist()
    ['Intercept', 'arm=b', 'log_scale']
    """
    check_choice(model, get_args(ParametricModel), where="model")
    check_conf_level(conf_level)
    columns = survival_columns(
        data,
        duration_col=duration_col,
        event_col=event_col,
        weights_col=weights_col,
        entry_col=entry_col,
        cluster_col=cluster_col,
    )
    if np.any(columns.durations == 0):
        raise AnalysisError(
            "a duration of 0 has no logarithm",
            where=f"duration_col {duration_col!r}",
            got=f"{np.count_nonzero(columns.durations == 0)} rows",
            remedy="begin follow-up earlier, or leave these rows out",
        )
    if interior_knots < 0:
        raise AnalysisError(
            "the number of knots must not be negative", where="interior_knots", got=str(interior_knots), remedy="use 2"
        )
    bare = model == "spline" and formula.strip() == "1"
    design = None if bare else build_design(formula, data, intercept=model != "spline")
    solved = _solve(columns, design, model, interior_knots)
    sandwiched = robust or columns.clusters is not None
    variance = _sandwich(solved.maximum, columns) if sandwiched else solved.maximum.variance
    lacking = NO_EVENTS if not columns.events.any() else "" if solved.maximum.converged else NOT_CONVERGED
    order = solved.order
    name = "Royston-Parmar spline" if model == "spline" else f"{NOISE[model]} accelerated failure time"
    return ParametricFit(
        model=model,
        terms=solved.terms,
        kinds=solved.kinds,
        estimates=_known(solved.maximum.parameters[order], lacking),
        variance=_known(variance[np.ix_(order, order)], lacking),
        log_likelihood=math.nan if lacking else solved.maximum.at.value,
        note=lacking,
        n=len(data),
        n_events=int(columns.events.sum()),
        knots=solved.knots,
        conf_level=conf_level,
        method=f"{name}, {'robust' if sandwiched else 'model-based'} variance",
        spec=request(
            formula=formula,
            duration_col=duration_col,
            event_col=event_col,
            model=model,
            weights_col=weights_col,
            entry_col=entry_col,
            cluster_col=cluster_col,
            robust=robust,
            interior_knots=interior_knots,
        ),
        _design=design,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Solved:
    """Where the likelihood ended, and how its parameters are named and ordered in the results.

    ``kinds`` holds the statistic of an ancillary parameter and None for a term of the formula.
    """

    maximum: Maximum
    terms: tuple[str, ...]
    kinds: tuple[str | None, ...]
    order: list[int]
    knots: tuple[float, ...]


def _solve(columns: SurvivalColumns, design: Design | None, model: ParametricModel, interior_knots: int) -> _Solved:
    weights = np.ones(len(columns.durations)) if columns.weights is None else columns.weights
    matrix = np.empty((len(weights), 0)) if design is None else design.matrix
    named = () if design is None else design.terms
    if model != "spline":
        problem = AcceleratedFailure(matrix, columns.durations, columns.events, weights, columns.entries, NOISE[model])
        terms = (*named, "log_scale")
        kinds = tuple("intercept" if term == "Intercept" else None for term in named)
        return _Solved(_maximum(problem, columns), terms, (*kinds, "log_scale"), list(range(len(terms))), knots=())
    shape = [f"gamma{k}" for k in range(interior_knots + 2)]
    terms, kinds = (*named, *shape), (*(None for _ in named), *("spline_coefficient" for _ in shape))
    order = [*range(len(shape), len(terms)), *range(len(shape))]
    if not columns.events.any():
        return _Solved(_nowhere(len(terms)), terms, kinds, order, knots=())
    knots = spline_knots(columns.durations, columns.events, interior_knots)
    if np.any(np.diff(knots) <= 0):
        return _Solved(_nowhere(len(terms)), terms, kinds, order, tuple(np.exp(knots).tolist()))
    hazard = SplineHazard.of(
        matrix, columns.durations, columns.events, weights=weights, entries=columns.entries, knots=knots
    )
    return _Solved(_maximum(hazard, columns), terms, kinds, order, tuple(np.exp(knots).tolist()))


def _maximum(problem: AcceleratedFailure | SplineHazard, columns: SurvivalColumns) -> Maximum:
    start = problem.start()
    if not columns.events.any():
        return _nowhere(len(start))
    found = maximise(problem.likelihood, start)
    informed = -np.diag(found.at.hessian) > UNINFORMED * problem.one_event(found.parameters)
    return replace(found, converged=found.converged and bool(informed.all()))


def _nowhere(size: int) -> Maximum:
    """Stand for a likelihood without a maximum."""
    unknown = np.full(size, np.nan)
    at = Likelihood(math.nan, unknown, np.full((size, size), np.nan), np.empty((0, size)))
    return Maximum(unknown, at, np.full((size, size), np.nan), False)


def _sandwich(maximum: Maximum, columns: SurvivalColumns) -> FloatArray:
    if not maximum.converged:
        return maximum.variance
    scores = maximum.at.scores if columns.weights is None else maximum.at.scores * columns.weights[:, None]
    if columns.clusters is not None:
        scores = sum_rows_by(columns.clusters, scores, 0)
    influence = scores @ maximum.variance
    return np.asarray(influence.T @ influence)


def _known(values: FloatArray, lacking: str) -> FloatArray:
    return np.full_like(values, np.nan) if lacking else values
