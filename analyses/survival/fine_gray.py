"""The Fine-Gray proportional subdistribution hazards model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analyses.design_matrix import Design, build_design
from analyses.kernels import fine_gray as kernel
from analyses.kernels.cox import TermStatus
from analyses.kernels.fine_gray_likelihood import FineGrayProblem, Ties, fine_gray_problem, risk_averages
from analyses.survival.cox_data import STATUS_NOTES
from analyses.survival.fine_gray_fit import Baseline, FineGrayFit
from analyses.survival.inputs import (
    SurvivalColumns,
    check_cause,
    check_choice,
    check_conf_level,
    cluster_codes,
    stratum_codes,
    survival_columns,
)
from cohort.errors import AnalysisError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]
Variant = Literal["finegray", "crr", "crr_corrected"]

NO_EVENTS_OF_CAUSE = "no estimate: no events of cause {}"
UNSUPPORTED = (
    "no estimate: under delayed entry nobody would still (or yet) be observed at a competing event, so its weight at"
    " later times does not exist"
)


def fit_fine_gray(
    data: pd.DataFrame,
    formula: str,
    *,
    duration_col: str,
    event_col: str,
    cause: int = 1,
    variant: Variant = "finegray",
    weights_col: str | None = None,
    entry_col: str | None = None,
    strata: str | Sequence[str] | None = None,
    censoring_strata: str | Sequence[str] | None = None,
    cluster_col: str | None = None,
    ties: Ties | None = None,
    conf_level: float = 0.95,
) -> FineGrayFit:
    """Fit a Fine-Gray model: proportional subdistribution hazards of one cause, others competing.

    Subjects who fail from a competing cause stay in the risk set, with a weight that falls as they would have been
    censored. A coefficient above zero raises the cumulative incidence of the cause; it is not an effect on the rate of
    the cause among those still event-free, for which see :func:`analyses.survival.fit_cox` with other causes censored.

    Parameters
    ----------
    data
        One row per subject.
    formula
        Right-hand side; see :func:`analyses.design_matrix.build_design`.
    duration_col
        Time of the first event or of censoring, not negative.
    event_col
        0 for censored, a whole number from 1 for the cause of the event.
    cause
        Code of the cause of interest.
    variant
        Two definitions are in use, which differ by design where failures and censorings tie and in their variance.
        ``finegray`` is that of ``survival::finegray`` with ``coxph``: at a tie failures leave before censorings; Efron
        ties; the robust variance takes the distribution of censoring as known. ``crr`` is that of ``cmprsk::crr``:
        failures still count among those who might be censored at that time; Breslow ties; the variance has the part
        that estimating the distribution of censoring adds. With several ``censoring_strata`` ``cmprsk`` leaves some of
        that part out, see the Notes; ``crr_corrected`` is ``crr`` with all of it.
    weights_col
        Positive weights, for instance inverse probabilities of treatment; ``finegray`` only. They are not numbers of
        patients, and the distribution of censoring is estimated without them.
    entry_col
        Time of entry into observation; ``finegray`` only. The weights then allow for late entry as well as censoring.
    strata
        Column or columns whose combinations have baselines of their own; ``finegray`` only.
    censoring_strata
        Column or columns within whose combinations the distribution of censoring (and entry) is estimated.
    cluster_col
        Column of the independent units; without it each row is one.
    ties
        ``efron`` (default) or ``breslow`` for ``finegray``; ``breslow`` for the others. Times tie only when
        exactly equal.
    conf_level
        Level of the intervals.

    Returns
    -------
    FineGrayFit
        Always, when the request is possible. A term that cannot be estimated has NaN and a note saying why, as in
        :func:`analyses.survival.fit_cox`; without events of the cause no term has an estimate.

    Raises
    ------
    AnalysisError
        For columns as in :func:`analyses.survival.inputs.survival_columns`, a formula as in
        :func:`analyses.design_matrix.build_design`, missing values in any column used, an unknown ``variant`` or
        ``ties``, a ``cause`` that is no whole number from 1, or what ``crr`` and ``crr_corrected`` do not define.

    Notes
    -----
    Beyond the last observed time of its censoring stratum a competing failure has weight 0.

    The censoring hazard of a stratum g moves the score through the weights of the competing failures of g at every
    later event of the cause, whoever has that event. ``cmprsk`` (2.2-11), and so ``crr``, counts the events of members
    of g alone; ``crr_corrected`` counts all. Coefficients are the same, and so is everything with one censoring
    stratum.

    References
    ----------
    Fine and Gray (1999), doi:10.1080/01621459.1999.10474144. Geskus (2011), doi:10.1111/j.1541-0420.2010.01420.x, on
    delayed entry.

    Examples
    --------
    >>> frame = pd.DataFrame({"months": [1.0, 2, 3, 4, 5, 6], "event": [1, 2, 1, 1, 0, 1], "x": [1.0, 1, 0, 1, 0, 0]})
    >>> fit = fit_fine_gray(frame, "x", duration_col="months", event_col="event")
    >>> fit.tidy().frame[["term", "estimate", "std_error"]].round(4).to_numpy().tolist()
    [['x', 0.2739, 0.8217]]
    """
    check_conf_level(conf_level)
    ties = _checked(variant, ties, cause, {"weights_col": weights_col, "entry_col": entry_col, "strata": strata})
    columns = survival_columns(
        data,
        duration_col=duration_col,
        event_col=event_col,
        weights_col=weights_col,
        entry_col=entry_col,
        competing=True,
    )
    design = build_design(formula, data, intercept=False)
    codes = stratum_codes(data, strata)
    groups = stratum_codes(data, censoring_strata, role="censoring_strata")
    clusters = None if cluster_col is None else cluster_codes(data, cluster_col)
    events = columns.causes == cause
    if events.any():
        solved = _solve(design, columns, cause, codes, groups, clusters, ties=ties, variant=variant)
    else:
        solved = _unsolved(len(design.terms), NO_EVENTS_OF_CAUSE.format(cause))
    names = [strata] if isinstance(strata, str) else list(strata or [])
    spec: dict[str, object] = {
        "formula": formula,
        "duration_col": duration_col,
        "event_col": event_col,
        "cause": cause,
        "variant": variant,
        "weights_col": weights_col,
        "entry_col": entry_col,
        "strata": _listed(strata),
        "censoring_strata": _listed(censoring_strata),
        "cluster_col": cluster_col,
        "ties": ties,
    }
    return FineGrayFit(
        terms=design.terms,
        coefficients=solved.coefficients,
        variance=solved.variance,
        naive_variance=solved.naive_variance,
        notes=solved.notes,
        log_likelihood=solved.log_likelihood,
        log_likelihood_null=solved.log_likelihood_null,
        converged=not any(solved.notes),
        n=len(data),
        n_events=int(events.sum()),
        cause=cause,
        conf_level=conf_level,
        method=_method(variant, ties, stratified=bool(names)),
        spec=spec,
        _design=design,
        _strata=_first_of_each(data[names], codes) if names else None,
        _baselines=solved.baselines,
    )


def _first_of_each(data: pd.DataFrame, codes: IntArray) -> pd.DataFrame:
    return data.iloc[np.unique(codes, return_index=True)[1]].reset_index(drop=True)


def _listed(names: str | Sequence[str] | None) -> object:
    return names if names is None or isinstance(names, str) else list(names)


def _checked(variant: str, ties: Ties | None, cause: int, wanted: dict[str, object]) -> Ties:
    check_choice(variant, get_args(Variant), where="variant")
    check_cause(cause)
    if ties is not None:
        check_choice(ties, get_args(Ties), where="ties")
    if variant == "finegray":
        return "efron" if ties is None else ties
    asked = [name for name, value in wanted.items() if value is not None]
    if asked or ties == "efron":
        raise AnalysisError(
            f"variant {variant!r} is defined with Breslow ties and without weights, late entry and strata",
            where=asked[0] if asked else "ties",
            got=repr(wanted[asked[0]]) if asked else "'efron'",
            remedy="use variant='finegray'",
        )
    return "breslow"


def _method(variant: Variant, ties: Ties, *, stratified: bool) -> str:
    name = "stratified Fine-Gray model" if stratified else "Fine-Gray model"
    variance = "robust" if variant == "finegray" else "censoring-aware robust"
    return f"{name} ({variant}), {ties.capitalize()} ties, {variance} variance"


@dataclass(frozen=True, slots=True, eq=False)
class _Solved:
    """What the likelihood gives; attributes as of :class:`FineGrayFit`."""

    coefficients: FloatArray
    variance: FloatArray
    naive_variance: FloatArray
    notes: tuple[str, ...]
    log_likelihood: float
    log_likelihood_null: float
    baselines: tuple[Baseline, ...]


def _unsolved(size: int, note: str) -> _Solved:
    unknown = np.full((size, size), np.nan)
    return _Solved(np.full(size, np.nan), unknown, unknown.copy(), (note,) * size, math.nan, math.nan, ())


def _solve(
    design: Design,
    columns: SurvivalColumns,
    cause: int,
    strata: IntArray,
    groups: IntArray,
    clusters: IntArray | None,
    *,
    ties: Ties,
    variant: Variant,
) -> _Solved:
    durations, events = columns.durations, columns.causes == cause
    problem = fine_gray_problem(
        design.matrix,
        durations,
        events,
        columns.events & ~events,
        weights=np.ones(len(durations)) if columns.weights is None else columns.weights,
        entries=columns.entries,
        strata=strata,
        censoring_groups=groups,
        ties=ties,
        failures_leave_first=variant == "finegray",
    )
    if not problem.supported:
        return _unsolved(len(design.terms), UNSUPPORTED)
    solution = kernel.maximise(problem)
    averages = risk_averages(problem, solution.coefficients)
    if variant == "finegray":
        variance = kernel.robust_variance(problem, averages, solution.variance, clusters)
    else:
        variance = kernel.censoring_aware_variance(
            problem,
            averages,
            solution.variance,
            clusters,
            durations=durations,
            censored=~columns.events,
            censoring_groups=groups,
            all_events=variant == "crr_corrected",
        )
    hazard = kernel.baseline_hazard(problem, averages)
    return _Solved(
        coefficients=np.where([s is TermStatus.ESTIMATED for s in solution.status], solution.coefficients, np.nan),
        variance=variance,
        naive_variance=solution.variance,
        notes=tuple(STATUS_NOTES.get(status, "") for status in solution.status),
        log_likelihood=solution.log_likelihood,
        log_likelihood_null=solution.log_likelihood_null,
        baselines=tuple(_baselines(problem, hazard, design.matrix, solution.coefficients, durations, strata)),
    )


def _baselines(
    problem: FineGrayProblem,
    hazard: FloatArray,
    matrix: FloatArray,
    coefficients: FloatArray,
    durations: FloatArray,
    strata: IntArray,
) -> list[Baseline]:
    baselines = []
    for stratum, (start, end) in enumerate(pairwise(problem.stratum_bounds)):
        rows = np.flatnonzero(strata == stratum)
        centre = matrix[rows[0]] - problem.columns[:, rows[0]]
        times, cumulative = problem.times[start:end], np.cumsum(hazard[start:end])
        baselines.append(Baseline(times, cumulative, float(centre @ coefficients), float(durations[rows].max())))
    return baselines
