"""The estimate along ever narrower ranges of the score: how much it rests on patients with hardly any counterpart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from analyses.columns import BoolArray
from analyses.propensity import EstimatedWeights, PropensityFit, crump_bound
from analyses.propensity.overlap import ROUNDING
from analyses.propensity.weights import Estimand, effective_size
from analyses.sensitivity.repeated import Outcome, RepeatedComparison, Row, several
from cohort.errors import AnalysisError, UsageError
from cohort.results import ResultTable, result_table

NOBODY_TRIMMED = "nobody trimmed"
"""``population`` of the whole comparison."""
CRUMP = "Crump's rule"
"""How the ``population`` begins that is trimmed by Crump's rule."""
CUTOFFS = (0.0, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2)

_WHERE = "trimming_path"
_RULE = "by the score of all patients"
_OTHER_PATIENTS = "speaks of the patients kept, not of all"


def trimming_path(
    data: pd.DataFrame,
    *,
    treatment_col: str,
    treated: object,
    score: str,
    outcomes: Sequence[Outcome] | Outcome,
    cutoffs: Sequence[float] = CUTOFFS,
    crump: bool = True,
    refit: bool = True,
    estimand: Estimand = "ATE",
    patient_col: str = "patient_id",
    conf_level: float = 0.95,
) -> ResultTable:
    """Repeat a weighted comparison among patients whose score lies within ever narrower bounds.

    Who is left out is decided by the score of all patients; among those kept the score is estimated again. A smooth
    path says that the estimate does not hang on a few patients at the ends of the score. A path that drifts says that
    either those patients weigh too much or the effect is another in them: each cut-off asks about other patients, and
    the data alone do not tell the two apart.

    Parameters
    ----------
    data
        One row per patient.
    treatment_col, treated
        Column of the arm (two levels) and its treated level.
    score
        Right-hand side of the logistic score.
    outcomes
        As for :func:`leave_one_covariate_out`.
    cutoffs
        Scores within ``[c, 1 - c]`` are kept; rising, from 0 (nobody left out) to below 0.5.
    crump
        Whether to end with the bounds of Crump's rule.
    refit
        Whether the score is estimated again among the patients kept. If not, weights are those of all patients' score.
    estimand
        Of the weights, among the patients kept.
    patient_col
        Column of the patient.
    conf_level
        Confidence level of the intervals.

    Returns
    -------
    ResultTable
        For each ``population`` ("nobody trimmed", "scores within [0.05, 0.95]", "Crump's rule, scores within ..."), by
        arm (``group``) ``left_out`` patients of the ``n`` there are and the ``effective_sample_size`` of the ``n``
        kept, then per outcome (``term``) and visit the weighted ``risk_difference``, ``log_hazard_ratio`` or
        ``restricted_mean_difference``; ``note`` repeats that the estimand is that of the patients kept. Variances take
        who is kept as given. A cut-off that leaves an arm nobody, or too few for a score, gives rows with the reason.

    Raises
    ------
    AnalysisError
        The score of all patients cannot be fitted, missing values, unknown columns, not two arms.
    UsageError
        Cut-offs out of range or order, no outcome, ``conf_level`` out of range.

    References
    ----------
    Crump RK, Hotz VJ, Imbens GW, Mitnik OA. Dealing with limited overlap in estimation of average treatment effects.
    Biometrika 2009;96:187-199. doi:10.1093/biomet/asn055. Sturmer T, Webster-Clark M, Lund JL et al. Propensity score
    weighting and trimming strategies for reducing variance and bias of treatment effect estimates. Am J Epidemiol
    2021;190:1659-1670. doi:10.1093/aje/kwab041

    Examples
    --------
    >>> from analyses.comparison import BinaryOutcome
    >>> data = pd.DataFrame({"patient_id": range(10), "arm": list("aaaaabbbbb"), "x": [1, 1, 1, 1, 0, 1, 0, 0, 0, 0]})
    >>> data = data.assign(z=[0, 1, 0, 1, 0, 1, 0, 1, 0, 1], cured=[1, 0, 1, 0, 1, 0, 1, 0, 0, 1])
    >>> table = trimming_path(
    ...     data, treatment_col="arm", treated="a", score="x", outcomes=BinaryOutcome("cured"), cutoffs=[0, 0.1, 0.25],
    ...     crump=False,
    ... )
    >>> kept = table.frame[table.frame["statistic"] == "left_out"]
    >>> kept["estimate"].tolist()
    [0.0, 0.0, 0.0, 0.0, 5.0, 5.0]
    """
    bounds = [float(cutoff) for cutoff in cutoffs]
    if not (bounds or crump) or any(not 0 <= bound < 0.5 for bound in bounds) or bounds != sorted(set(bounds)):
        raise UsageError(
            "cut-offs rise from 0 to below 0.5",
            where=f"{_WHERE}, cutoffs",
            got=", ".join(f"{bound:g}" for bound in bounds) or "none",
            remedy="for instance 0, 0.05, 0.1",
        )
    comparison = RepeatedComparison(
        data, several(outcomes, where=_WHERE), treatment_col, treated, estimand, patient_col, conf_level, _WHERE
    )
    fit = comparison.score(score)
    rows: list[Row] = []
    for bound in bounds:
        name = f"scores within [{bound:g}, {1 - bound:g}]" if bound else NOBODY_TRIMMED
        rows += [row | {"population": name} for row in _at(comparison, fit, bound, score if refit else None)]
    if crump:
        bound = crump_bound(fit.score)
        name = f"{CRUMP}, scores within [{bound:.3g}, {1 - bound:.3g}]" if bound else f"{CRUMP}, nobody trimmed"
        rows += [row | {"population": name} for row in _at(comparison, fit, bound, score if refit else None)]
    spec = {"function": _WHERE, "treatment_col": treatment_col, "treated": str(treated), "score": score,
            "cutoffs": bounds, "crump": crump, "refit": refit, "estimand": estimand,
            "conf_level": conf_level}  # fmt: skip
    return result_table(rows, metadata={"spec": spec}, analysis="sensitivity")


def _at(comparison: RepeatedComparison, fit: PropensityFit, bound: float, formula: str | None) -> Iterator[Row]:
    """Yield the rows of one cut-off; ``formula`` is the score to estimate again, or None to keep the first."""
    kept = np.asarray((fit.score >= bound - ROUNDING) & (fit.score <= 1 - bound + ROUNDING))
    arms = dict(zip(comparison.arms, (fit.treated, ~fit.treated), strict=True))
    for name, arm in arms.items():
        left_out = int(np.sum(arm & ~kept))
        yield {"group": name, "statistic": "left_out", "estimate": left_out, "n": int(arm.sum()), "method": _RULE}
    empty = [name for name, arm in arms.items() if not np.any(arm & kept)]
    try:
        if empty:
            raise AnalysisError(f"no patient of {' or '.join(empty)} is left: the arms hardly overlap")
        weights, chosen = _weights(comparison, fit, bound, kept, formula)
    except AnalysisError as error:
        why = f"not estimated: {error}"
        for name in arms:
            yield {"group": name, "statistic": "effective_sample_size", "note": why}
        yield from comparison.without_estimate(str(error))
        return
    for name, own in zip(arms, (chosen.is_treated, ~chosen.is_treated), strict=True):
        values = weights.values[own]
        yield {"group": name, "statistic": "effective_sample_size", "estimate": effective_size(values),
               "n": int(np.sum(values > 0)), "method": "Kish: sum(w)^2 / sum(w^2)"}  # fmt: skip
    for row in chosen.contrasts(weights):
        said = [str(text) for text in (row.get("note"),) if isinstance(text, str)]
        yield row | {"note": "; ".join([*said, *([_OTHER_PATIENTS] if bound else [])]) or None}


def _weights(
    comparison: RepeatedComparison, fit: PropensityFit, bound: float, kept: BoolArray, formula: str | None
) -> tuple[EstimatedWeights, RepeatedComparison]:
    """Return the weights at a cut-off, and the comparison of the patients they belong to."""
    if formula is None or not bound:
        return fit.estimated_weights(comparison.estimand, trim=bound or None), comparison
    among = comparison.among(kept)
    return among.score(formula).estimated_weights(comparison.estimand), among
