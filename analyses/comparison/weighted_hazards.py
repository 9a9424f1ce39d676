"""Weighted hazard ratio and log-rank test of two arms."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import chdtrc

from analyses.comparison.event_arms import EventArms, event_arms, wald
from analyses.comparison.linearised import standard_error
from analyses.kernels.cox import TermStatus, maximise
from analyses.kernels.cox_problem import Ties, cox_problem
from analyses.kernels.cox_residuals import score_residuals
from analyses.kernels.probability_interval import normal_quantile
from analyses.propensity.weights import EstimatedWeights
from analyses.survival.cox_data import STATUS_NOTES
from cohort.results import ResultTable

NO_EVENTS = "no estimate: no events"


def weighted_hazard_ratio(
    data: pd.DataFrame,
    *,
    duration_col: str,
    event_col: str,
    treatment_col: str,
    treated: object,
    weights: npt.ArrayLike | EstimatedWeights,
    ties: Ties = "efron",
    conf_level: float = 0.95,
) -> ResultTable:
    """Marginal hazard ratio of two arms by a weighted Cox model on the arm alone.

    Parameters
    ----------
    data, duration_col, event_col, treatment_col, treated, weights, conf_level
        As for :func:`weighted_survival`.
    ties
        ``efron`` or ``breslow``.

    Returns
    -------
    ResultTable
        One row ``log_hazard_ratio``. With known weights the variance is the robust one of
        :func:`analyses.survival.fit_cox`; with estimated weights it accounts for the score. Without events, or with
        events in one arm only, there is no estimate and a ``note``.

    Raises
    ------
    AnalysisError
        As :func:`weighted_survival`.

    References
    ----------
    Binder DA. Biometrika 1992;79:139-147. doi:10.1093/biomet/79.1.139. Hajage D et al. Biom J 2018;60:1151-1163.
    doi:10.1002/bimj.201700330

    Examples
    --------
    >>> frame = pd.DataFrame({"arm": list("baba"), "months": [1.0, 2.0, 3.0, 4.0], "flare": [1, 1, 1, 0]})
    >>> table = weighted_hazard_ratio(
    ...     frame, duration_col="months", event_col="flare", treatment_col="arm", treated="b", weights=[1, 1, 1, 1]
    ... )
    >>> round(table.frame["estimate"].item(), 4)
    0.9406
    """
    where = "weighted_hazard_ratio"
    chosen = event_arms(
        data,
        duration_col=duration_col,
        event_col=event_col,
        treatment_col=treatment_col,
        treated=treated,
        weights=weights,
        conf_level=conf_level,
        where=where,
    )
    row = _hazard_row(chosen, ties, conf_level)
    return chosen.table([row], where, f"Cox model, {ties.capitalize()} ties", event_col=event_col, ties=ties)


def weighted_logrank(
    data: pd.DataFrame,
    *,
    duration_col: str,
    event_col: str,
    treatment_col: str,
    treated: object,
    weights: npt.ArrayLike | EstimatedWeights,
) -> ResultTable:
    """Weighted log-rank test of two arms with a variance that does not take weights for numbers of patients.

    Parameters
    ----------
    data, duration_col, event_col, treatment_col, treated, weights
        As for :func:`weighted_survival`.

    Returns
    -------
    ResultTable
        One row ``chi_square`` on one degree of freedom. With known weights it is that of
        :func:`analyses.survival.logrank` with ``weights_col``; with estimated weights the variance of the score
        statistic accounts for the estimation of the score. Without comparison (no event while both arms are at risk)
        no statistic and a ``note``.

    Raises
    ------
    AnalysisError
        As :func:`weighted_survival`.

    References
    ----------
    Xie J, Liu C. Stat Med 2005;24:3089-3110. doi:10.1002/sim.2174

    Examples
    --------
    >>> frame = pd.DataFrame({"arm": list("aabb"), "months": [1.0, 2.0, 3.0, 4.0], "flare": 1})
    >>> table = weighted_logrank(
    ...     frame, duration_col="months", event_col="flare", treatment_col="arm", treated="a", weights=[1, 1, 1, 1]
    ... )
    >>> round(table.frame["estimate"].item(), 4)
    3.8431
    """
    where = "weighted_logrank"
    chosen = event_arms(
        data,
        duration_col=duration_col,
        event_col=event_col,
        treatment_col=treatment_col,
        treated=treated,
        weights=weights,
        conf_level=0.95,
        where=where,
    )
    row = {**_counts(chosen), "statistic": "chi_square", "contrast": chosen.contrast}
    used = chosen.weights > 0
    slope = np.zeros(len(used))
    if chosen.causes[used].any():
        problem = cox_problem(
            chosen.treated[used, None].astype(np.float64),
            chosen.durations[used],
            chosen.causes[used] > 0,
            weights=chosen.weights[used],
            ties="breslow",
        )
        slope[used] = score_residuals(problem, np.zeros(1))[:, 0]
    spread = standard_error(chosen.influence(slope))
    if spread <= 1e-12 * float(chosen.weights.max()):
        words = (
            "no event while two groups are at risk: nothing to compare" if chosen.causes[used].any() else "no events"
        )
        return chosen.table([row | {"note": words}], where, "log-rank test", event_col=event_col)
    chi_square = (float(chosen.weights @ slope) / spread) ** 2
    row |= {"estimate": chi_square, "p_value": float(chdtrc(1, chi_square)), "note": "df=1"}
    return chosen.table([row], where, "log-rank test", event_col=event_col)


def _counts(chosen: EventArms) -> dict[str, object]:
    used = chosen.weights > 0
    return {"n": int(used.sum()), "n_events": int((chosen.causes[used] > 0).sum())}


def _hazard_row(chosen: EventArms, ties: Ties, conf_level: float) -> dict[str, object]:
    row = {
        **_counts(chosen),
        "statistic": "log_hazard_ratio",
        "contrast": chosen.contrast,
        "conf_level": conf_level,
    }
    used = chosen.weights > 0
    if not chosen.causes[used].any():
        return row | {"note": NO_EVENTS}
    problem = cox_problem(
        chosen.treated[used, None].astype(np.float64),
        chosen.durations[used],
        chosen.causes[used] > 0,
        weights=chosen.weights[used],
        ties=ties,
    )
    solution = maximise(problem)
    if solution.status[0] is not TermStatus.ESTIMATED:
        empty = [name for name, rows in chosen.members.items() if not chosen.causes[rows].any()]
        why = STATUS_NOTES[solution.status[0]]
        return row | {"note": f"no event in {empty[0]}: {why}" if empty else why}
    estimate = float(solution.coefficients[0])
    slope = np.zeros(len(used))
    slope[used] = score_residuals(problem, solution.coefficients)[:, 0] * float(solution.variance[0, 0])
    error = standard_error(chosen.influence(slope))
    return row | {"estimate": estimate} | wald(estimate, error, normal_quantile(conf_level))
