"""How strong an unmeasured confounder would have to be: E-values and tipping points."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np

from cohort.errors import AnalysisError, UsageError
from cohort.results import ResultTable, result_table

Scale = Literal["risk_ratio", "odds_ratio", "hazard_ratio"]

_EVERYWHERE_ALIKE = "the confounder is as common in both arms: it cannot confound"
_NULL_INSIDE = "the interval holds 1: no confounder is needed to explain it"


def e_value(
    estimate: float,
    conf_low: float = math.nan,
    conf_high: float = math.nan,
    *,
    scale: Scale = "risk_ratio",
    rare: bool = False,
) -> ResultTable:
    """Return the E-value of a ratio and of its confidence limit.

    The E-value is the least strength, on the risk-ratio scale, that an unmeasured confounder would need in its
    association with both treatment and outcome, beyond the measured covariates, to explain the estimate away.

    Parameters
    ----------
    estimate, conf_low, conf_high
        A ratio and its limits, not their logarithms; limits may be left out.
    scale
        ``risk_ratio``, ``odds_ratio`` or ``hazard_ratio``.
    rare
        Whether fewer than some 15 % have the outcome by the end of follow-up: odds and hazard ratios are then taken as
        risk ratios. Otherwise an odds ratio is taken as the risk ratio ``sqrt(OR)`` and a hazard ratio as
        ``(1 - 0.5 ** sqrt(HR)) / (1 - 0.5 ** sqrt(1 / HR))``.

    Returns
    -------
    ResultTable
        Rows ``statistic="e_value"`` for ``term`` ``estimate`` and, where limits are given, ``confidence limit`` (the
        limit nearer to 1; the E-value is 1, with a note, when the interval holds 1). 1 means that no confounding at all
        is needed.

    Raises
    ------
    AnalysisError
        A ratio that is not positive and finite, or limits that do not enclose the estimate.
    UsageError
        An unknown scale.

    References
    ----------
    VanderWeele TJ, Ding P. Sensitivity analysis in observational research: introducing the E-value. Ann Intern Med
    2017;167:268-274. doi:10.7326/M16-2607

    Examples
    --------
    >>> e_value(3.9, 1.8, 8.7).frame["estimate"].round(2).tolist()
    [7.26, 3.0]
    """
    if scale not in get_args(Scale):
        raise UsageError(
            "unknown scale", where="e_value", got=str(scale), remedy=f"use one of {', '.join(get_args(Scale))}"
        )
    _require_ratio(estimate, "estimate")
    rows: list[dict[str, object]] = [{"term": "estimate", "estimate": _of_ratio(as_risk_ratio(estimate, scale, rare))}]
    if not (math.isnan(conf_low) and math.isnan(conf_high)):
        _require_limits(estimate, conf_low, conf_high)
        nearer = conf_low if estimate > 1 else conf_high
        crosses = conf_low <= 1 <= conf_high
        rows.append(
            {
                "term": "confidence limit",
                "estimate": 1.0 if crosses else _of_ratio(as_risk_ratio(nearer, scale, rare)),
                "note": _NULL_INSIDE if crosses else None,
            }
        )
    taken = "" if scale == "risk_ratio" or rare else ", outcome not rare"
    return result_table(
        rows, analysis="sensitivity", statistic="e_value", method=f"E-value of a {scale.replace('_', ' ')}{taken}"
    )


def tipping_points(
    estimate: float,
    *,
    prevalence_treated: Sequence[float],
    prevalence_reference: float,
) -> ResultTable:
    """Return how strongly a binary unmeasured confounder must act on the outcome to move a ratio to 1.

    With a confounder present in ``p1`` of the treated and ``p0`` of the others, multiplying the risk of the outcome by
    ``g``, an estimate is too large by a factor ``(1 + (g - 1) p1) / (1 + (g - 1) p0)``. The tipping point is that ``g``
    at which this factor equals the estimate. To tip a confidence limit, give the limit as the estimate.

    Parameters
    ----------
    estimate
        A risk ratio, or a hazard ratio of a rare outcome.
    prevalence_treated
        Shares of the treated that have the confounder, each between 0 and 1.
    prevalence_reference
        Share of the others that have it.

    Returns
    -------
    ResultTable
        One row per prevalence among the treated: ``term="prevalence=..."``, ``statistic="tipping_risk_ratio"``, the
        confounder's risk ratio in ``estimate``. Where no strength suffices it is missing and ``note`` says it.

    Raises
    ------
    AnalysisError
        An estimate that is not positive and finite, a prevalence outside 0 to 1, or no prevalence.

    References
    ----------
    Lin DY, Psaty BM, Kronmal RA. Biometrics 1998;54:948-963. doi:10.2307/2533848. Bross IDJ. J Chronic Dis
    1966;19:637-647. doi:10.1016/0021-9681(66)90062-2

    Examples
    --------
    >>> tipping_points(1.5, prevalence_treated=[0.6, 0.4], prevalence_reference=0.2).frame["estimate"].round(4).tolist()
    [2.6667, 6.0]
    """
    _require_ratio(estimate, "estimate")
    shares = np.asarray(prevalence_treated, dtype=np.float64)
    both = np.append(shares, prevalence_reference)
    if not shares.size or not np.all((both >= 0) & (both <= 1)):
        raise AnalysisError(
            "a prevalence lies between 0 and 1",
            where="tipping_points",
            got=", ".join(f"{share:g}" for share in both) if shares.size else "no prevalence among the treated",
        )
    rows = [_tipped(estimate, float(share), float(prevalence_reference)) for share in shares]
    return result_table(
        rows,
        analysis="sensitivity",
        statistic="tipping_risk_ratio",
        method=f"binary unmeasured confounder, present in {prevalence_reference:g} of the reference arm",
    )


def _tipped(estimate: float, treated: float, reference: float) -> dict[str, object]:
    """Solve ``1 + (g - 1) p1 = estimate (1 + (g - 1) p0)`` for a positive ``g``."""
    row: dict[str, object] = {"term": f"prevalence={treated:g}"}
    if estimate == 1:
        return row | {"estimate": 1.0}
    if treated == reference:
        return row | {"note": _EVERYWHERE_ALIKE}
    slope = treated - estimate * reference
    strength = 1 + (estimate - 1) / slope if slope != 0 else math.inf
    if not 0 <= strength < math.inf:
        limits = sorted([_factor(0.0, treated, reference), _factor(math.inf, treated, reference)])
        return row | {
            "note": f"no strength suffices: such a confounder moves a ratio by factors from {limits[0]:.3g} to "
            f"{limits[1]:.3g}"
        }
    return row | {"estimate": strength}


def _factor(strength: float, treated: float, reference: float) -> float:
    """Return the bias factor at a strength; at an infinite one, its limit."""
    if math.isinf(strength):
        return math.inf if reference == 0 else treated / reference
    low = 1 + (strength - 1) * reference
    return math.inf if low == 0 else (1 + (strength - 1) * treated) / low


def as_risk_ratio(ratio: float, scale: Scale, rare: bool) -> float:
    """Return the risk ratio that an odds or hazard ratio stands for; see :func:`e_value`."""
    if scale == "risk_ratio" or rare:
        return ratio
    if scale == "odds_ratio":
        return math.sqrt(ratio)
    return float((1 - 0.5 ** math.sqrt(ratio)) / (1 - 0.5 ** math.sqrt(1 / ratio)))


def _of_ratio(ratio: float) -> float:
    away = max(ratio, 1 / ratio)
    return away + math.sqrt(away * (away - 1))


def _require_ratio(value: float, name: str) -> None:
    if not (math.isfinite(value) and value > 0):
        raise AnalysisError(
            "a ratio is positive and finite",
            where=f"argument {name}",
            got=f"{value:g}",
            remedy="give the ratio, not its logarithm",
        )


def _require_limits(estimate: float, low: float, high: float) -> None:
    _require_ratio(low, "conf_low")
    _require_ratio(high, "conf_high")
    if not low <= estimate <= high:
        raise AnalysisError(
            "the limits do not enclose the estimate",
            where="arguments conf_low, conf_high",
            got=f"{estimate:g} ({low:g} to {high:g})",
        )
