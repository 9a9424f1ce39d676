"""Leaving out patients whose scores have hardly any counterpart in the other arm, and saying who they are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analyses.columns import BoolArray, FloatArray, as_text, require_complete
from analyses.propensity.overlap import ROUNDING
from analyses.propensity.score import PropensityFit
from cohort.errors import AnalysisError, UsageError
from cohort.results import ResultTable, result_table


@dataclass(frozen=True, slots=True, eq=False)
class Trimming:
    """Who is kept, and who is left out.

    Parameters
    ----------
    kept
        Shape (n,), in the row order of the data; ``data[trimming.kept]`` is what to fit the score to again.
    lower, upper
        Scores kept lie within these bounds.
    left_out
        Identifiers of the others, sorted.
    table
        ``left_out`` and ``kept`` by ``group`` (arm): ``estimate`` patients of its ``n``.
    """

    kept: BoolArray
    lower: float
    upper: float
    left_out: tuple[str, ...]
    table: ResultTable


def trim_symmetric(fit: PropensityFit, bound: float = 0.1, *, id_col: str = "patient_id") -> Trimming:
    """Keep scores within ``[bound, 1 - bound]``.

    Parameters
    ----------
    fit
        A fit with a score.
    bound
        Between 0 and 0.5.
    id_col
        Column of the patient.

    Raises
    ------
    UsageError
        A bound out of its range, a fit without a score.
    AnalysisError
        An arm with nobody left.
    """
    if not 0 < bound < 0.5:
        raise UsageError("the bound must lie between 0 and 0.5", where="trim_symmetric", got=str(bound))
    return _trimmed(fit, bound, 1 - bound, f"scores within [{bound:g}, {1 - bound:g}]", id_col)


def trim_crump(fit: PropensityFit, *, id_col: str = "patient_id") -> Trimming:
    """Keep scores within the bounds that make the average effect of those kept most precise.

    Parameters
    ----------
    fit
        A fit with a score.
    id_col
        Column of the patient.

    Returns
    -------
    Trimming
        See :func:`crump_bound`.
    """
    bound = crump_bound(fit.score)
    return _trimmed(fit, bound, 1 - bound, f"Crump's rule, scores within [{bound:.4g}, {1 - bound:.4g}]", id_col)


def crump_bound(score: FloatArray) -> float:
    """Return the bound of Crump's optimal rule, 0 when nobody is to be left out.

    Parameters
    ----------
    score
        Shape (n,), strictly between 0 and 1.

    Returns
    -------
    float
        With ``g = 1 / (e (1 - e))``, the set of smallest ``sum(g) / k^2`` over its k patients is that with ``g`` up to
        twice its own mean: the bound is the score at which ``g`` reaches it.

    References
    ----------
    Crump RK, Hotz VJ, Imbens GW, Mitnik OA. Dealing with limited overlap in estimation of average treatment effects.
    Biometrika 2009;96:187-199. doi:10.1093/biomet/asn055

    Examples
    --------
    >>> import numpy as np
    >>> crump_bound(np.array([0.4, 0.5, 0.6]))
    0.0
    """
    cost = np.sort(1 / (score * (1 - score)))
    kept = np.arange(1, len(cost) + 1)
    best = int(np.argmin(np.cumsum(cost) / kept**2))
    if best == len(cost) - 1:
        return 0.0
    limit = 2 * float(cost[: best + 1].mean())
    return float(0.5 - np.sqrt(0.25 - 1 / limit))


def trim_asymmetric(fit: PropensityFit, share: float = 0.05, *, id_col: str = "patient_id") -> Trimming:
    """Keep scores above the ``share`` quantile of the treated and below the ``1 - share`` quantile of the others.

    Those left out were treated against what their covariates suggest: treated at the lowest scores, untreated at the
    highest, where unmeasured reasons are likeliest.

    Parameters
    ----------
    fit
        A fit with a score.
    share
        Between 0 and 0.5; 0 is the range common to both arms.
    id_col
        Column of the patient.

    Raises
    ------
    UsageError
        A share out of its range, a fit without a score.
    AnalysisError
        An arm with nobody left.

    References
    ----------
    Sturmer T et al. Treatment effects in the presence of unmeasured confounding. Am J Epidemiol 2010;172:843-854.
    doi:10.1093/aje/kwq198
    """
    if not 0 <= share < 0.5:
        raise UsageError("the share must lie between 0 and 0.5", where="trim_asymmetric", got=str(share))
    score = fit.score
    low = float(np.quantile(score[fit.treated], share))
    high = float(np.quantile(score[~fit.treated], 1 - share))
    rule = f"scores from the {share:g} quantile of {fit.arms[0]} to the {1 - share:g} quantile of {fit.arms[1]}"
    return _trimmed(fit, low, high, rule, id_col)


def _trimmed(fit: PropensityFit, low: float, high: float, rule: str, id_col: str) -> Trimming:
    require_complete(fit.data, [id_col], where="trimming")
    kept = np.asarray((fit.score >= low - ROUNDING) & (fit.score <= high + ROUNDING))
    rows: list[dict[str, object]] = []
    for name, arm in zip(fit.arms, (fit.treated, ~fit.treated), strict=True):
        left = int(np.sum(kept & arm))
        if not left:
            raise AnalysisError(
                f"no patient of the arm {name} is left",
                where=f"trimming, {rule}",
                got=f"{int(arm.sum())} patients outside {low:.4g} to {high:.4g}",
                remedy="trim less: the arms hardly overlap",
            )
        for statistic, count in (("left_out", int(arm.sum()) - left), ("kept", left)):
            rows.append({"group": name, "statistic": statistic, "estimate": count, "n": int(arm.sum())})
    left_out = tuple(sorted(as_text(fit.data[id_col])[~kept].tolist()))
    return Trimming(kept, low, high, left_out, result_table(rows, analysis="propensity", method=rule))
