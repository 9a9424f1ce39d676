"""How an estimator performs over repeated samples: bias, error, coverage and rejection, with Monte Carlo errors."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from cohort.errors import AnalysisError
from cohort.results import ResultTable, result_table

ESTIMATE_COLUMNS = ("truth", "estimate", "std_error", "conf_low", "conf_high", "p_value")
"""Columns of one estimate of one replicate, besides those that name what was estimated and how."""

TOO_FEW = "fewer than two estimates: no spread"


def performance(estimates: pd.DataFrame, *, by: Sequence[str], level: float = 0.05) -> ResultTable:
    """Summarise estimates of repeated samples against the truth.

    Parameters
    ----------
    estimates
        One row per replicate and estimator, with the columns of ``by`` and ``truth, estimate, std_error,
        conf_low, conf_high, p_value``. An estimator that failed has a missing ``estimate``. The truth may differ
        between replicates only if it is their own (an effect in the sample); ``estimate - truth`` is summarised.
    by
        Columns whose combinations are summarised apart, one of them ``estimator``; the others describe the setting.
    level
        Significance level of the tests counted.

    Returns
    -------
    ResultTable
        For each combination, ``group`` the estimator, ``population`` the other columns as ``name=value`` separated by
        semicolons, ``n`` the replicates with an estimate, ``n_events`` those without, and one row per ``statistic``:

        - ``bias``, mean of estimate minus truth;
        - ``empirical_std_error``, standard deviation of the estimates (of their errors, where the truth varies);
        - ``root_mean_squared_error``;
        - ``model_std_error``, root of the mean squared standard error, and ``model_error_percent``, how far it is above
          the empirical one;
        - ``coverage`` of the intervals, and ``bias_eliminated_coverage``, of the mean estimate instead of the truth;
        - ``rejection``, share of p-values at or below ``level``: the size of the test where the truth is null, else its
          power;
        - ``failure``, share of replicates without an estimate.

        ``std_error`` is the Monte Carlo standard error of each. Estimates without standard error, interval or p-value
        are left out of what needs one; a statistic that none supports is missing, with a ``note``.

    Raises
    ------
    AnalysisError
        A column is absent, there are no rows, or a truth is missing.

    References
    ----------
    Morris TP, White IR, Crowther MJ. Using simulation studies to evaluate statistical methods. Stat Med
    2019;38:2074-2102. doi:10.1002/sim.8086

    Examples
    --------
    >>> frame = pd.DataFrame({"estimator": "mean", "truth": 0.0, "estimate": [-1.0, 1.0, 3.0], "std_error": 2.0,
    ...                       "conf_low": [-5.0, -3.0, 1.0], "conf_high": [3.0, 5.0, 7.0], "p_value": [0.6, 0.6, 0.01]})
    >>> table = performance(frame, by=["estimator"]).frame.set_index("statistic")["estimate"]
    >>> table[["bias", "empirical_std_error", "coverage", "rejection"]].round(3).tolist()
    [1.0, 2.0, 0.667, 0.333]
    """
    _check(estimates, by)
    rows: list[dict[str, object]] = []
    for values, part in estimates.groupby(list(by), sort=True, dropna=False):
        named = dict(zip(by, values, strict=True))
        setting = "; ".join(f"{name}={_shown(value)}" for name, value in named.items() if name != "estimator")
        label = {"group": str(named["estimator"]), "population": setting or None}
        rows += [label | row for row in _summaries(part, level)]
    return result_table(rows, analysis="simulation", method=f"Monte Carlo; tests at {level:g}")


def setting_columns(table: ResultTable) -> pd.DataFrame:
    """Return the frame of a performance table with what its ``population`` says as columns of their own.

    Parameters
    ----------
    table
        From :func:`performance`.

    Returns
    -------
    pandas.DataFrame
        The same rows, with one more column per setting: numbers as floats where all of them are, text else.

    Examples
    --------
    >>> rows = [{"population": "strength=0.5; world=null", "estimate": 0.05}]
    >>> setting_columns(result_table(rows))[["strength", "world"]].astype(str).iloc[0].tolist()
    ['0.5', 'null']
    """
    named = [dict(pair.split("=", 1) for pair in str(text).split("; ")) for text in table.frame["population"]]
    columns = pd.DataFrame(named)
    for name in columns:
        numbers = pd.to_numeric(columns[name], errors="coerce")
        columns[name] = columns[name] if numbers.isna().any() else numbers.astype(np.float64)
    return pd.concat([table.frame, columns], axis="columns")


def _check(estimates: pd.DataFrame, by: Sequence[str]) -> None:
    absent = [name for name in (*by, *ESTIMATE_COLUMNS) if name not in estimates.columns]
    if absent or "estimator" not in by or not len(estimates):
        raise AnalysisError(
            "estimates cannot be summarised",
            where="performance",
            got=f"no column {', '.join(absent)}"
            if absent
            else "no rows"
            if not len(estimates)
            else "no estimator in by",
            remedy=f"give one row a replicate with {', '.join(ESTIMATE_COLUMNS)}",
        )
    if estimates["truth"].isna().any():
        raise AnalysisError(
            "the truth is missing",
            where="performance, column truth",
            got=f"{int(estimates['truth'].isna().sum())} of {len(estimates)} rows",
            remedy="performance can only be judged against a known truth",
        )


def _shown(value: object) -> str:
    return f"{value:g}" if isinstance(value, (int, float, np.number)) else str(value)


def _summaries(part: pd.DataFrame, level: float) -> Iterator[dict[str, object]]:
    found = part[part["estimate"].notna().to_numpy()]
    estimate, truth, error, low, high, p_value = (
        found[name].to_numpy(dtype=np.float64)
        for name in ("estimate", "truth", "std_error", "conf_low", "conf_high", "p_value")
    )
    n, failed = len(found), len(part) - len(found)
    counted = {"n": float(n), "n_events": float(failed)}
    share = failed / len(part)
    statistics = {
        **_of_errors(estimate - truth),
        **_of_model_errors(error[~np.isnan(error)] ** 2, estimate - truth),
        "coverage": _share(((low <= truth) & (truth <= high))[~np.isnan(low + high)]),
        "bias_eliminated_coverage": _share(_covers_mean(estimate, truth, low, high)),
        "rejection": _share((p_value <= level)[~np.isnan(p_value)]),
        "failure": (share, math.sqrt(share * (1 - share) / len(part))),
    }
    for name, (value, spread) in statistics.items():
        note = TOO_FEW if math.isnan(value) or math.isnan(spread) else None
        yield counted | {"statistic": name, "estimate": value, "std_error": spread, "note": note}


Pair = tuple[float, float]
"""A statistic and its Monte Carlo standard error."""


def _of_errors(errors: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> dict[str, Pair]:
    n = len(errors)
    if n < 2:
        bias = float(errors.mean()) if n else math.nan
        return {"bias": (bias, math.nan)} | dict.fromkeys(
            ("empirical_std_error", "root_mean_squared_error"), (math.nan, math.nan)
        )
    spread = float(errors.std(ddof=1))
    squares = errors**2
    root = math.sqrt(float(squares.mean()))
    of_square = float(squares.std(ddof=1)) / math.sqrt(n)
    return {
        "bias": (float(errors.mean()), spread / math.sqrt(n)),
        "empirical_std_error": (spread, spread / math.sqrt(2 * (n - 1))),
        "root_mean_squared_error": (root, of_square / (2 * root) if root > 0 else 0.0),
    }


def _of_model_errors(
    variances: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    errors: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
) -> dict[str, Pair]:
    n = len(variances)
    empirical = float(errors.std(ddof=1)) if len(errors) > 1 else math.nan
    if n < 2 or not empirical > 0:
        return dict.fromkeys(("model_std_error", "model_error_percent"), (math.nan, math.nan))
    model = math.sqrt(float(variances.mean()))
    relative = float(variances.var(ddof=1)) / (4 * n * model**4) if model > 0 else 0.0
    ratio = model / empirical
    return {
        "model_std_error": (model, math.sqrt(relative) * model),
        "model_error_percent": (100 * (ratio - 1), 100 * ratio * math.sqrt(relative + 1 / (2 * (len(errors) - 1)))),
    }


def _covers_mean(
    estimate: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    truth: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    low: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    high: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    known = ~np.isnan(low + high)
    if not known.any():
        return np.zeros(0, dtype=np.bool_)
    target = truth + (estimate - truth).mean()
    return np.asarray(((low <= target) & (target <= high))[known])


def _share(hits: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> Pair:
    if not len(hits):
        return math.nan, math.nan
    share = float(hits.mean())
    return share, math.sqrt(share * (1 - share) / len(hits))
