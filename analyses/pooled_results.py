"""Rubin's rules over whole result tables: one table from the tables of several imputed data sets."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from analyses.columns import FloatArray
from analyses.imputation import pool_imputations
from analyses.kernels.proportions import normal_quantile
from cohort.errors import AnalysisError
from cohort.results import ResultTable, result_table

_KEYS = ["analysis", "population", "group", "contrast", "time", "time_unit", "term", "statistic"]
_SHARES = frozenset({"proportion", "standardised_proportion", "survival", "cumulative_incidence", "state_probability"})


def pool_results(tables: Sequence[ResultTable], *, complete_degrees_of_freedom: float = np.inf) -> ResultTable:
    """Pool result tables of imputed data sets row by row.

    Parameters
    ----------
    tables
        One per imputation, of the same analysis. Rows are the same when they agree in everything from ``analysis`` to
        ``statistic``.
    complete_degrees_of_freedom
        See :func:`analyses.imputation.pool_imputations`.

    Returns
    -------
    ResultTable
        Rows in the order of the first table. Estimates with a standard error are pooled by Rubin's rules with Barnard's
        and Rubin's degrees of freedom: ratios on the logarithmic scale (from their intervals), proportions and
        survival on the logit scale, all else as it stands. Estimates without one (balance, effective sample sizes) are
        averaged and the note gives their range. ``n`` and ``n_events`` are averages. A row that one imputation lacks
        or could not estimate is a row with a note.

    Raises
    ------
    AnalysisError
        Fewer than two tables.

    Examples
    --------
    >>> tables = [
    ...     result_table([{"statistic": "risk_difference", "estimate": value, "std_error": 0.1, "conf_level": 0.95}])
    ...     for value in (0.1, 0.2)
    ... ]
    >>> float(pool_results(tables).frame["estimate"].item().__round__(3))
    0.15
    """
    if len(tables) < 2:
        raise AnalysisError("at least two imputations are needed", where="pool_results", got=f"{len(tables)} tables")
    frames = [_keyed(table.frame) for table in tables]
    everywhere = frames[0].index
    for frame in frames[1:]:
        everywhere = everywhere.append(frame.index.difference(everywhere, sort=False))
    found = ([frame.loc[key] for frame in frames if key in frame.index] for key in everywhere)
    return result_table(_pooled(rows, len(frames), complete_degrees_of_freedom) for rows in found)


def _keyed(frame: pd.DataFrame) -> pd.DataFrame:
    """Index the rows by what they are about; rows about the same thing keep their order."""
    parts = frame[_KEYS].astype("string").fillna("")
    again = parts.groupby(_KEYS, dropna=False).cumcount().astype("string")
    text = parts[_KEYS[0]]
    for name in _KEYS[1:]:
        text = text + "\x1f" + parts[name]
    return frame.set_index(pd.Index(text + "\x1f" + again))


def _pooled(rows: Sequence[pd.Series], imputations: int, freedom: float) -> dict[str, object]:
    first = rows[0]
    row: dict[str, object] = {name: first[name] for name in [*_KEYS, "conf_level"]}
    row["n"], row["n_events"] = (float(np.mean([one[name] for one in rows])) for name in ("n", "n_events"))
    row["method"] = f"{first['method']}; " if pd.notna(first["method"]) else ""
    row["method"] = f"{row['method']}{imputations} imputations pooled by Rubin's rules"
    estimates = np.array([one["estimate"] for one in rows], dtype=np.float64)
    unknown = int(np.isnan(estimates).sum()) + imputations - len(rows)
    if unknown:
        reasons = sorted({str(one["note"]) for one in rows if np.isnan(one["estimate"]) and pd.notna(one["note"])})
        said = "; ".join([f"not estimated in {unknown} of {imputations} imputations", *reasons])
        return row | {"note": said}
    errors = np.array([one["std_error"] for one in rows], dtype=np.float64)
    scale = _scale(str(first["statistic"]), estimates)
    level = float(first["conf_level"]) if pd.notna(first["conf_level"]) else 0.95
    if scale == "log":
        ends = [np.array([one[name] for one in rows], dtype=np.float64) for name in ("conf_low", "conf_high")]
        with np.errstate(divide="ignore", invalid="ignore"):
            own = (np.log(ends[1]) - np.log(ends[0])) / (2 * normal_quantile(level))
    elif scale == "logit":
        own = errors / (estimates * (1 - estimates))
    else:
        own = errors
    if not np.isfinite(own).all():
        return row | {"estimate": float(estimates.mean()), "note": _range_note(rows, estimates)}
    pooled = pool_imputations(_to(scale, estimates), own**2, complete_degrees_of_freedom=freedom)
    half = pooled.critical_value(level) * pooled.std_error
    estimate, low, high = (_back(scale, pooled.estimate + move) for move in (0.0, -half, half))
    spread = float(pooled.std_error)
    if scale == "logit":
        spread *= estimate * (1 - estimate)
    elif scale == "log" and not np.allclose(errors, own, rtol=1e-6):  # its error is of the ratio, not of its logarithm
        spread *= estimate
    fraction, df = float(pooled.missing_information), float(pooled.degrees_of_freedom)
    tested = np.isfinite([one["p_value"] for one in rows]).all()
    return row | {
        "estimate": estimate,
        "std_error": spread,
        "conf_low": low,
        "conf_high": high,
        "conf_level": level,
        "p_value": float(pooled.p_value()) if tested else np.nan,
        "note": f"{imputations} imputations; df={df:.4g}; fraction of missing information {fraction:.3f}",
    }


def _scale(statistic: str, estimates: FloatArray) -> str:
    if statistic.endswith(("_ratio", "odds")) and not statistic.startswith("log_"):
        return "log"
    if statistic in _SHARES and bool(np.all((estimates > 0) & (estimates < 1))):
        return "logit"
    return "identity"


def _to(scale: str, values: FloatArray) -> FloatArray:
    if scale == "identity":
        return values
    return np.asarray(np.log(values) if scale == "log" else logit(values))


def _back(scale: str, value: FloatArray) -> float:
    if scale == "identity":
        return float(value)
    return float(np.exp(value) if scale == "log" else expit(value))


def _range_note(rows: Sequence[pd.Series], estimates: FloatArray) -> str:
    said = [f"mean over imputations, {estimates.min():.4g} to {estimates.max():.4g}"]
    said += sorted({str(one["note"]) for one in rows if pd.notna(one["note"])})
    return "; ".join(said)
