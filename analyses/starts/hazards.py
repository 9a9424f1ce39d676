"""The hazard ratio of treatment in rows that these analyses lay out."""

from __future__ import annotations

import pandas as pd

from analyses.survival import fit_cox

TREATED = "treated"
CONTRAST = "treated v untreated"


def treated_hazard(
    rows: pd.DataFrame,
    covariates: str | None,
    *,
    weights_col: str | None = None,
    strata: str | None = None,
    cluster_col: str | None,
    conf_level: float,
) -> dict[str, object]:
    """Fit a Cox model of ``treated`` and return its log hazard ratio as columns of a result row.

    Parameters
    ----------
    rows
        With columns ``entry``, ``exit``, ``failed``, ``treated`` and what ``covariates`` name.
    covariates
        Right-hand side beside ``treated``, or None.
    weights_col, strata, cluster_col, conf_level
        As in :func:`analyses.survival.fit_cox`.
    """
    counts: dict[str, object] = {"contrast": CONTRAST, "n": float(len(rows)), "n_events": float(rows["failed"].sum())}
    row: dict[str, object] = {"statistic": "log_hazard_ratio", "conf_level": conf_level, **counts}
    for treated in (0, 1):
        arm = rows[rows[TREATED] == treated]
        if not len(arm) or not arm["failed"].any():
            lacking = "no row" if not len(arm) else "no event"
            return row | {"note": f"no estimate: {lacking} {'under' if treated else 'without'} treatment"}
    fit = fit_cox(
        rows,
        TREATED if covariates is None else f"{TREATED} + {covariates}",
        duration_col="exit",
        event_col="failed",
        entry_col="entry",
        weights_col=weights_col,
        strata=strata,
        cluster_col=cluster_col,
        conf_level=conf_level,
    )
    found = fit.tidy().frame.set_index("term").loc[TREATED]
    kept = ("estimate", "std_error", "conf_low", "conf_high", "p_value", "note")
    return row | {name: found[name] for name in kept}
