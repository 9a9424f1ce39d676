"""Where the arms can be compared: overlap of scores, positivity by covariate, and what weights do to the sample."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from analyses.columns import BoolArray, FloatArray, require_complete, treated_rows
from analyses.design_matrix import ordered_levels
from analyses.propensity.balance import check_weights
from analyses.propensity.score import PropensityFit
from analyses.propensity.weights import effective_size
from cohort.errors import UsageError
from cohort.results import ResultTable, result_table

LARGE_SHARE = 0.1
"""Share of an arm's weight in one patient from which a row of :func:`weight_table` warns."""

ROUNDING = 1e-9
"""Scores closer than this are the same: the last digits of equal patients depend on where their rows stand."""

_QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)


def overlap_table(fit: PropensityFit, *, quantiles: Sequence[float] = _QUANTILES) -> ResultTable:
    """Describe the scores of both arms and the range they have in common.

    Parameters
    ----------
    fit
        A fit with a score.
    quantiles
        Between 0 and 1.

    Returns
    -------
    ResultTable
        ``score_quantile`` by ``group`` (arm) and ``term`` (``0.05``); ``common_support_lower`` and
        ``common_support_upper``, the larger minimum and the smaller maximum of the arms; ``share_outside`` of each arm,
        with ``n_events`` of its ``n`` patients outside that range. Arms that share no range have a note.

    Raises
    ------
    UsageError
        A fit without a score, or quantiles out of range.

    Examples
    --------
    >>> from analyses.propensity import fit_propensity
    >>> data = pd.DataFrame({"arm": list("abbaab"), "sex": list("fffmmm")})
    >>> fit = fit_propensity(data, "sex", treatment_col="arm", treated="a")
    >>> overlap_table(fit, quantiles=[0.5]).frame["estimate"].round(3).tolist()
    [0.667, 0.333, 0.333, 0.667, 0.0, 0.0]
    """
    if any(not 0 <= share <= 1 for share in quantiles):
        raise UsageError("quantiles lie between 0 and 1", where="overlap_table", got=str(list(quantiles)))
    score = fit.score
    scores = {name: score[own] for name, own in _arms(fit)}
    rows: list[dict[str, object]] = [
        {
            "group": name,
            "term": f"{share:g}",
            "statistic": "score_quantile",
            "estimate": float(np.quantile(own, share)),
            "n": len(own),
        }
        for name, own in scores.items()
        for share in quantiles
    ]
    low, high = max(own.min() for own in scores.values()), min(own.max() for own in scores.values())
    note = None if low <= high else "the scores of the arms have no range in common"
    rows += [
        {"statistic": f"common_support_{side}", "estimate": float(bound), "n": len(score), "note": note}
        for side, bound in (("lower", low), ("upper", high))
    ]
    for name, own in scores.items():
        outside = int(np.sum((own < low - ROUNDING) | (own > high + ROUNDING)))
        rows.append(
            {
                "group": name,
                "statistic": "share_outside",
                "estimate": outside / len(own),
                "n": len(own),
                "n_events": outside,
                "note": note,
            }
        )
    return result_table(rows, analysis="propensity", method=fit.description)


def overlap_histogram(fit: PropensityFit, weights: object = None, *, bins: int = 20) -> ResultTable:
    """Count the scores of each arm in bins of equal width from 0 to 1, for :func:`analyses.figures.plot_overlap`.

    Parameters
    ----------
    fit
        A fit with a score.
    weights
        Shape (n,), to show the weighted arms too.
    bins
        How many.

    Returns
    -------
    ResultTable
        By ``term`` (``bin 01``): ``bin_lower``, ``bin_upper``, and ``proportion`` of each ``group`` (arm) under
        ``population`` ``unweighted`` and, with weights, ``weighted``; proportions of an arm add up to one.

    Raises
    ------
    UsageError
        A fit without a score, or fewer than two bins.
    AnalysisError
        Unusable weights.
    """
    if bins < 2:
        raise UsageError("at least two bins are needed", where="overlap_histogram", got=str(bins))
    score = fit.score
    edges = np.linspace(0, 1, bins + 1)
    place = np.minimum((score * bins + ROUNDING).astype(np.intp), bins - 1)
    shown = {"unweighted": np.ones(len(score))}
    if weights is not None:
        shown["weighted"] = check_weights(weights, fit.treated, where="overlap_histogram")
    rows: list[dict[str, object]] = []
    for side, bounds in (("bin_lower", edges[:-1]), ("bin_upper", edges[1:])):
        rows += [
            {"term": f"bin {k + 1:02d}", "statistic": side, "estimate": float(bound)} for k, bound in enumerate(bounds)
        ]
    for population, case in shown.items():
        for name, own in _arms(fit):
            counts = np.bincount(place[own], case[own], minlength=bins)
            rows += [
                {
                    "population": population,
                    "group": name,
                    "term": f"bin {k + 1:02d}",
                    "statistic": "proportion",
                    "estimate": float(share),
                    "n": int(own.sum()),
                }
                for k, share in enumerate(counts / counts.sum())
            ]
    return result_table(rows, analysis="propensity", contrast=" v ".join(fit.arms), method=fit.description)


def positivity_table(
    data: pd.DataFrame,
    variables: Sequence[str],
    *,
    treatment_col: str,
    treated: object,
    groups: int = 5,
    smallest: float = 0.05,
) -> ResultTable:
    """Tabulate the share treated at each level of each covariate, where one arm may have nobody.

    Parameters
    ----------
    data
        One row per patient.
    variables
        Columns; numeric ones are cut at their quantiles.
    treatment_col, treated
        Column of the arm (two levels) and its treated level.
    groups
        Quantile groups of a numeric column; fewer where values are tied.
    smallest
        Shares below this, or above one minus this, are remarked on.

    Returns
    -------
    ResultTable
        ``proportion`` treated by ``term`` (``isn_rps_class=V``, ``age_years=20 to 31``), ``n`` patients there and
        ``n_events`` treated, with a note where an arm is absent or nearly so.

    Raises
    ------
    AnalysisError
        Unknown column, missing values, not two arms.

    References
    ----------
    Petersen ML et al. Diagnosing and responding to violations in the positivity assumption. Stat Methods Med Res
    2012;21:31-54. doi:10.1177/0962280210386207

    Examples
    --------
    >>> data = pd.DataFrame({"arm": list("abba"), "sex": list("ffmm")})
    >>> positivity_table(data, ["sex"], treatment_col="arm", treated="a").frame["estimate"].tolist()
    [0.5, 0.5]
    """
    where = "positivity_table"
    require_complete(data, [treatment_col, *variables], where=where)
    is_treated = treated_rows(data, treatment_col, treated, where=where)
    rows: list[dict[str, object]] = []
    for name in variables:
        for term, own in _strata(data, name, groups):
            count, events = int(own.sum()), int((own & is_treated).sum())
            share = events / count
            rows.append(
                {
                    "term": term,
                    "statistic": "proportion",
                    "estimate": share,
                    "n": count,
                    "n_events": events,
                    "note": _positivity_note(share, smallest),
                }
            )
    return result_table(rows, analysis="propensity", group=str(treated), method="share treated, as observed")


def weight_table(fit: PropensityFit, weights: object = None) -> ResultTable:
    """Describe the weights of each arm.

    Parameters
    ----------
    fit
        Any fit.
    weights
        Shape (n,); the model's own if left out.

    Returns
    -------
    ResultTable
        By ``group`` (arm): ``effective_sample_size``, ``mean_weight``, ``largest_weight``,
        ``coefficient_of_variation`` (denominator n) and ``largest_share``, the part of the arm's weight that one
        patient carries, with a note from :data:`LARGE_SHARE` on. ``n`` counts patients with weight.

    Raises
    ------
    AnalysisError
        Unusable weights.
    """
    values = check_weights(fit.weights() if weights is None else weights, fit.treated, where="weight_table")
    rows: list[dict[str, object]] = []
    for name, own in _arms(fit):
        arm = values[own][values[own] > 0]
        share = float(arm.max() / arm.sum())
        explodes = f"one patient carries {100 * share:.0f} % of the arm's weight: trim, truncate or use ATO weights"
        measures = {
            "effective_sample_size": effective_size(arm),
            "mean_weight": float(arm.mean()),
            "largest_weight": float(arm.max()),
            "coefficient_of_variation": float(arm.std() / arm.mean()),
            "largest_share": share,
        }
        rows += [
            {
                "group": name,
                "statistic": statistic,
                "estimate": value,
                "n": len(arm),
                "note": explodes if statistic == "largest_share" and share >= LARGE_SHARE else None,
            }
            for statistic, value in measures.items()
        ]
    return result_table(rows, analysis="propensity", method="patients with weight")


def _arms(fit: PropensityFit) -> tuple[tuple[str, BoolArray], ...]:
    return ((fit.arms[0], fit.treated), (fit.arms[1], ~fit.treated))


def _strata(data: pd.DataFrame, name: str, groups: int) -> Iterator[tuple[str, BoolArray]]:
    column = data[name]
    numeric = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
    values: FloatArray = np.asarray(column.to_numpy(), dtype=np.float64) if numeric else np.empty(0)
    if not numeric or len(np.unique(values)) <= groups:
        levels, codes = ordered_levels(column)
        for place, level in enumerate(levels):
            yield f"{name}={level}", np.asarray(codes == place)
        return
    edges = np.unique(np.quantile(values, np.linspace(0, 1, groups + 1)))
    group_of = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2)
    for group in np.unique(group_of):
        own = group_of == group
        yield f"{name}={values[own].min():g} to {values[own].max():g}", np.asarray(own)


def _positivity_note(share: float, smallest: float) -> str | None:
    if share in (0.0, 1.0):
        return f"{'nobody' if share == 0 else 'everybody'} here is treated: no counterpart to compare with"
    if not smallest <= share <= 1 - smallest:
        return "hardly anybody here is in one of the arms"
    return None
