"""Gray's test of equal cumulative incidence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import chdtrc

from analyses.kernels import gray as kernel
from analyses.survival.inputs import check_cause, grouping, stratum_codes, survival_columns
from cohort.errors import AnalysisError
from cohort.results import ResultTable, result_table


def gray_test(
    data: pd.DataFrame,
    *,
    duration_col: str,
    event_col: str,
    by: str,
    cause: int = 1,
    strata: str | Sequence[str] | None = None,
    rho: float = 0.0,
) -> ResultTable:
    """Test that the groups of ``by`` have the same cumulative incidence of a cause (Gray's K-sample test).

    Parameters
    ----------
    data
        One row per subject.
    duration_col
        Time of the first event or of censoring, not negative.
    event_col
        0 for censored, a whole number from 1 for the cause of the event.
    by
        Column of the groups, at least two of which occur.
    cause
        Code of the cause of interest; every other one competes.
    strata
        Column or columns within whose combinations groups are compared.
    rho
        Weight ``(1 - F(t-))^rho`` of each event time, F being the pooled cumulative incidence: above 0 stresses early
        events.

    Returns
    -------
    ResultTable
        One row, ``statistic="chi_square"``: ``estimate`` the statistic, ``p_value``, ``n`` rows and ``n_events``
        events of the cause, ``term`` the column compared, ``note`` ``df=...``. When no comparison is possible (no
        event of the cause, or none while two groups are at risk) ``estimate`` and ``p_value`` are NaN and ``note``
        says why. The frame is laid out when it is first read.

    Raises
    ------
    AnalysisError
        For the columns as in :func:`analyses.survival.inputs.survival_columns`, for fewer than two groups, a ``cause``
        that is no whole number from 1, or a ``rho`` that is negative or not finite.

    Notes
    -----
    The formula is that of ``cmprsk::cuminc``, with its correction for ties. A group never at risk at an event of the
    cause is left out of the degrees of freedom. Where a group that has many early events of the cause is censored
    early, the pooled incidence can pass 1; with a ``rho`` that is not whole there is then no test.

    References
    ----------
    Gray (1988), doi:10.1214/aos/1176350951.

    Examples
    --------
    >>> frame = pd.DataFrame({"months": [1.0, 2, 3, 4, 5, 6], "event": [1, 1, 2, 1, 2, 1], "arm": list("aabbab")})
    >>> round(gray_test(frame, duration_col="months", event_col="event", by="arm").frame["estimate"].item(), 4)
    0.9958
    """
    if not (math.isfinite(rho) and rho >= 0):
        raise AnalysisError("rho must be a number from 0", where="rho", got=str(rho), remedy="use 0 or 1")
    check_cause(cause)
    columns = survival_columns(data, duration_col=duration_col, event_col=event_col, competing=True)
    groups = grouping(data, by)
    if len(groups.levels) < 2:
        raise AnalysisError(
            "a comparison needs two groups",
            where=f"by {by!r}",
            got=f"only {groups.levels[0]}",
            remedy="check how the data were filtered",
        )
    test = kernel.gray_test(
        columns.durations,
        np.where(columns.causes == cause, 1, np.where(columns.events, 2, 0)),
        groups.codes,
        n_groups=len(groups.levels),
        strata=stratum_codes(data, strata),
        rho=rho,
    )
    events = int((columns.causes == cause).sum())
    p_value = math.nan
    if test.degrees_of_freedom:
        p_value = float(chdtrc(test.degrees_of_freedom, test.chi_square))
        note = f"df={test.degrees_of_freedom}"
    elif events:
        note = f"no event of cause {cause} while two groups can be compared"
    else:
        note = f"no events of cause {cause}"
    name = "Gray's test" if rho == 0 else f"Gray's test, rho={rho:g}"
    constants: dict[str, Any] = {
        "analysis": "survival",
        "term": by,
        "statistic": "chi_square",
        "p_value": p_value,
        "n": float(len(data)),
        "n_events": float(events),
        "method": f"stratified {name}" if strata is not None else name,
        "note": note,
    }
    spec = {
        "duration_col": duration_col,
        "event_col": event_col,
        "by": by,
        "cause": cause,
        "strata": strata if strata is None or isinstance(strata, str) else list(strata),
        "rho": rho,
    }
    return ResultTable(
        lambda: result_table({"estimate": np.array([test.chi_square])}, **constants).frame, {"spec": spec}
    )
