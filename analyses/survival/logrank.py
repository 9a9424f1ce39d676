"""Log-rank tests between groups: stratified, weighted, with delayed entry, for a trend."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.special import chdtrc

from analyses.kernels import logrank as kernel
from analyses.kernels.grouped_sums import FloatArray
from analyses.kernels.quadratic_form import SINGULAR
from analyses.survival.inputs import Grouping, grouping, request, stratum_codes, survival_columns
from cohort.errors import AnalysisError
from cohort.results import ResultTable, result_table

NOTHING_TO_COMPARE = "no event while two groups are at risk: nothing to compare"
NO_EVENTS = "no events"


def logrank(
    data: pd.DataFrame,
    *,
    duration_col: str,
    event_col: str,
    by: str,
    strata: str | Sequence[str] | None = None,
    rho: float = 0.0,
    weights_col: str | None = None,
    entry_col: str | None = None,
    cluster_col: str | None = None,
) -> ResultTable:
    """Test that the groups of ``by`` have the same hazard.

    Parameters
    ----------
    data
        One row per subject, or per spell at risk when there is an ``entry_col``.
    duration_col, event_col
        As in :func:`analyses.survival.kaplan_meier`.
    by
        Column of the groups, at least two of which occur.
    strata
        Column or columns within whose combinations groups are compared.
    rho
        Weight S(t-)^rho of each event time, S being the pooled survival of the stratum: 0 is the log-rank test, 1 the
        Peto-Peto test, which stresses early events.
    weights_col
        Positive weights. The test is then the robust score test of the weighted model, not a count of weighted
        patients: its variance is the sum of squared weighted score residuals, so that the scale of the weights does
        not matter. Estimated weights are taken as known, which for inverse probability weights errs on the safe side.
    entry_col
        Time of entry into observation (left truncation). A row is at risk at ``t`` when entry < t <= duration.
    cluster_col
        Column of what belongs together, as the spells of one patient or the patients of one centre: the test is then
        the robust score test with residuals added up within clusters. Needed when one subject has several rows and
        ``weights_col``; without weights and clusters several spells of a subject count as they should.

    Returns
    -------
    ResultTable
        One row, ``statistic="chi_square"``: ``estimate`` the statistic, ``p_value``, ``n`` rows and ``n_events``
        events (unweighted), ``term`` the column compared, ``note`` ``df=...``. When no comparison is possible (no
        events, or no event while two groups are at risk) ``estimate`` and ``p_value`` are NaN and ``note`` says why.

    Raises
    ------
    AnalysisError
        For the columns as in :func:`analyses.survival.inputs.survival_columns`, for fewer than two groups, or for a
        ``rho`` that is negative or not finite.

    Notes
    -----
    At tied times all events share the risk set just before them; the unweighted variance is hypergeometric, hence exact
    for ties. A group never at risk at an event time is left out of the degrees of freedom.

    References
    ----------
    Harrington and Fleming (1982), doi:10.1093/biomet/69.3.553. Xie and Liu (2005), doi:10.1002/sim.2174, on
    weighted log-rank tests.

    Examples
    --------
    >>> frame = pd.DataFrame({"months": [1.0, 2.0, 3.0, 4.0], "flare": 1, "arm": ["a", "a", "b", "b"]})
    >>> round(logrank(frame, duration_col="months", event_col="flare", by="arm").frame["estimate"].item(), 4)
    2.8824
    """
    test, _, events = _tested(data, duration_col, event_col, by, strata, rho, weights_col, entry_col, cluster_col)
    return result_table(
        [{"term": by, "estimate": test.chi_square, "n": len(data), "n_events": events, **_p_value(test, events)}],
        metadata=request(
            duration_col=duration_col,
            event_col=event_col,
            by=by,
            strata=strata if strata is None or isinstance(strata, str) else list(strata),
            rho=rho,
            weights_col=weights_col,
            entry_col=entry_col,
            cluster_col=cluster_col,
        ),
        analysis="survival",
        statistic="chi_square",
        method=_method(rho, strata, weights_col, cluster_col),
    )


def logrank_events(
    data: pd.DataFrame,
    *,
    duration_col: str,
    event_col: str,
    by: str,
    strata: str | Sequence[str] | None = None,
    rho: float = 0.0,
    weights_col: str | None = None,
    entry_col: str | None = None,
) -> ResultTable:
    """List the observed and expected events of each group that a log-rank test compares.

    Parameters are those of :func:`logrank`.

    Returns
    -------
    ResultTable
        Rows ``statistic="observed"`` and ``statistic="expected"`` per group: ``estimate`` the events that occurred and
        those expected if all groups had one hazard, summed over strata (weighted if there are weights, each event
        time counting S(t-)^rho); ``n`` rows and ``n_events`` events of the group, unweighted.

    Raises
    ------
    AnalysisError
        As :func:`logrank`.

    Examples
    --------
    >>> frame = pd.DataFrame({"months": [1.0, 2.0, 3.0, 4.0], "flare": 1, "arm": ["a", "a", "b", "b"]})
    >>> table = logrank_events(frame, duration_col="months", event_col="flare", by="arm")
    >>> table.frame["estimate"].round(4).tolist()
    [2.0, 0.8333, 2.0, 3.1667]
    """
    test, groups, _ = _tested(data, duration_col, event_col, by, strata, rho, weights_col, entry_col, None)
    happened = data[event_col].to_numpy(dtype=np.float64)
    rows = [
        {
            "group": level,
            "statistic": statistic,
            "estimate": values[code],
            "n": float(len(members)),
            "n_events": happened[members].sum(),
        }
        for code, (level, members) in enumerate(groups.members())
        for statistic, values in (("observed", test.observed), ("expected", test.expected))
    ]
    return result_table(
        rows,
        metadata=request(
            duration_col=duration_col,
            event_col=event_col,
            by=by,
            strata=strata if strata is None or isinstance(strata, str) else list(strata),
            rho=rho,
            weights_col=weights_col,
            entry_col=entry_col,
        ),
        analysis="survival",
        method=_method(rho, strata, weights_col, None),
    )


def logrank_trend(
    data: pd.DataFrame,
    *,
    duration_col: str,
    event_col: str,
    by: str,
    scores: Mapping[str, float] | None = None,
    strata: str | Sequence[str] | None = None,
    rho: float = 0.0,
    weights_col: str | None = None,
    entry_col: str | None = None,
    cluster_col: str | None = None,
) -> ResultTable:
    """Test for a trend of the hazard over ordered groups.

    Parameters
    ----------
    scores
        Number of each level (as text); without them 0, 1, 2 ... in the order of the levels: sorted, or as declared by
        an ordered categorical. Adding a constant to the scores or multiplying them changes nothing.
    data, duration_col, event_col, by, strata, rho, weights_col, entry_col, cluster_col
        As in :func:`logrank`.

    Returns
    -------
    ResultTable
        One row, ``statistic="chi_square"`` with one degree of freedom, of the columns that :func:`logrank` gives.
        ``note`` ends in ``hazard rises with the score`` or ``falls``.

    Raises
    ------
    AnalysisError
        As :func:`logrank`; also when ``scores`` lack a level, name an unknown one, or are all equal or not finite.

    References
    ----------
    Tarone (1975), doi:10.1093/biomet/62.3.679.

    Examples
    --------
    >>> frame = pd.DataFrame({"months": [1.0, 2.0, 3.0, 4.0], "flare": 1, "stage": [3, 2, 2, 1]})
    >>> logrank_trend(frame, duration_col="months", event_col="flare", by="stage").frame["note"].item()
    'df=1; hazard rises with the score'
    """
    test, groups, events = _tested(data, duration_col, event_col, by, strata, rho, weights_col, entry_col, cluster_col)
    numbers = _scores(groups, scores, by)
    statistic, variance = kernel.trend(test, numbers - numbers.mean())
    comparable = variance > SINGULAR**2 * np.ptp(numbers) ** 2 * test.expected.sum()
    if comparable:
        chi_square = statistic**2 / variance
        direction = "rises" if statistic > 0 else "falls"
        outcome = {
            "estimate": chi_square,
            "p_value": float(chdtrc(1, chi_square)),
            "note": f"df=1; hazard {direction} with the score",
        }
    else:
        outcome = {"estimate": math.nan, "p_value": math.nan, "note": NOTHING_TO_COMPARE if events else NO_EVENTS}
    return result_table(
        [{"term": by, "n": len(data), "n_events": events, **outcome}],
        metadata=request(
            duration_col=duration_col,
            event_col=event_col,
            by=by,
            scores=dict(zip(map(str, groups.levels), numbers.tolist(), strict=True)),
            strata=strata if strata is None or isinstance(strata, str) else list(strata),
            rho=rho,
            weights_col=weights_col,
            entry_col=entry_col,
            cluster_col=cluster_col,
        ),
        analysis="survival",
        statistic="chi_square",
        method=f"{_method(rho, strata, weights_col, cluster_col)}, trend",
    )


def _tested(
    data: pd.DataFrame,
    duration_col: str,
    event_col: str,
    by: str,
    strata: str | Sequence[str] | None,
    rho: float,
    weights_col: str | None,
    entry_col: str | None,
    cluster_col: str | None,
) -> tuple[kernel.LogrankTest, Grouping, int]:
    """Return the test, its groups and the number of events."""
    if not (math.isfinite(rho) and rho >= 0):
        raise AnalysisError("rho must be a number from 0", where="rho", got=str(rho), remedy="use 0 or 1")
    columns = survival_columns(
        data,
        duration_col=duration_col,
        event_col=event_col,
        weights_col=weights_col,
        entry_col=entry_col,
        cluster_col=cluster_col,
    )
    groups = _two_groups(data, by)
    test = kernel.logrank(
        columns.durations,
        columns.events,
        groups.codes,
        n_groups=len(groups.levels),
        strata=stratum_codes(data, strata),
        rho=rho,
        weights=columns.weights,
        entries=columns.entries,
        clusters=columns.clusters,
    )
    return test, groups, int(columns.events.sum())


def _two_groups(data: pd.DataFrame, by: str) -> Grouping:
    groups = grouping(data, by)
    if len(groups.levels) < 2:
        raise AnalysisError(
            "a comparison needs two groups",
            where=f"by {by!r}",
            got=f"only {groups.levels[0]}",
            remedy="check how the data were filtered",
        )
    return groups


def _p_value(test: kernel.LogrankTest, events: int) -> dict[str, object]:
    freedom = test.degrees_of_freedom
    if freedom:
        return {"p_value": float(chdtrc(freedom, test.chi_square)), "note": f"df={freedom}"}
    return {"p_value": math.nan, "note": NOTHING_TO_COMPARE if events else NO_EVENTS}


def _scores(groups: Grouping, scores: Mapping[str, float] | None, by: str) -> FloatArray:
    levels = [str(level) for level in groups.levels]
    if scores is None:
        return np.arange(len(levels), dtype=np.float64)
    if set(scores) - set(levels) or set(levels) - set(scores):
        raise AnalysisError(
            "every level needs one score",
            where=f"scores of by {by!r}",
            got=f"scores of {', '.join(map(str, scores))}",
            remedy=f"name the levels {', '.join(levels)}",
        )
    numbers = np.array([float(scores[level]) for level in levels])
    if not np.isfinite(numbers).all() or np.ptp(numbers) == 0:
        raise AnalysisError(
            "scores must be finite and not all the same",
            where=f"scores of by {by!r}",
            got=str(numbers.tolist()),
            remedy="use increasing numbers",
        )
    return numbers


def _method(rho: float, strata: str | Sequence[str] | None, weights_col: str | None, cluster_col: str | None) -> str:
    name = "log-rank test" if rho == 0 else f"G-rho test, rho={rho:g}"
    name = f"stratified {name}" if strata is not None else name
    name = name if weights_col is None else f"weighted {name}"
    if cluster_col is not None:
        return f"{name}, clustered robust variance"
    return name if weights_col is None else f"{name}, robust variance"
