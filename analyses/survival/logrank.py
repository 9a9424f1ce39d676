"""Log-rank tests between groups, stratified or weighted."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd
from scipy.special import chdtrc

from analyses.kernels import logrank as kernel
from analyses.survival.inputs import Grouping, grouping, stratum_codes, survival_columns
from cohort.errors import AnalysisError
from cohort.results import ResultTable, result_table


def logrank(
    data: pd.DataFrame,
    *,
    duration_col: str,
    event_col: str,
    by: str,
    strata: str | Sequence[str] | None = None,
    rho: float = 0.0,
    weights_col: str | None = None,
) -> ResultTable:
    """Test that the groups of ``by`` have the same hazard.

    Parameters
    ----------
    data
        One row per subject.
    duration_col, event_col
        As in :func:`analyses.survival.kaplan_meier`.
    by
        Column of the groups, at least two of which occur.
    strata
        Column or columns within whose combinations groups are compared.
    rho
        Weight S(t-)^rho of each event time: 0 is the log-rank test, 1 the Peto-Peto test, which stresses early events.
    weights_col
        Positive weights. The test is then the robust score test of the weighted model, not a count of weighted
        patients: its variance is the sum of squared weighted score residuals, so the scale of the weights does not
        matter. Estimated weights are taken as known, which for inverse probability weights errs on the safe side.

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
    if not (math.isfinite(rho) and rho >= 0):
        raise AnalysisError("rho must be a number from 0", where="rho", got=str(rho), remedy="use 0 or 1")
    columns = survival_columns(data, duration_col=duration_col, event_col=event_col, weights_col=weights_col)
    groups = _two_groups(data, by)
    test = kernel.logrank(
        columns.durations,
        columns.events,
        groups.codes,
        n_groups=len(groups.levels),
        strata=stratum_codes(data, strata),
        rho=rho,
        weights=columns.weights,
    )
    events = int(columns.events.sum())
    spec: dict[str, object] = {
        "duration_col": duration_col,
        "event_col": event_col,
        "by": by,
        "strata": strata if strata is None or isinstance(strata, str) else list(strata),
        "rho": rho,
        "weights_col": weights_col,
    }
    return result_table(
        [
            {
                "term": by,
                "estimate": test.chi_square,
                "n": len(data),
                "n_events": events,
                **_p_value(test, events),
            }
        ],
        metadata={"spec": spec},
        analysis="survival",
        statistic="chi_square",
        method=_method(rho, stratified=strata is not None, weighted=weights_col is not None),
    )


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
    undefined = "no event while two groups are at risk: nothing to compare" if events else "no events"
    return {"p_value": math.nan, "note": undefined}


def _method(rho: float, *, stratified: bool, weighted: bool) -> str:
    name = "log-rank test" if rho == 0 else f"G-rho test, rho={rho:g}"
    name = f"stratified {name}" if stratified else name
    return f"weighted {name}, robust variance" if weighted else name
