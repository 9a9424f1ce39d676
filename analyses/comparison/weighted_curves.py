"""Weighted survival, cumulative incidence and restricted mean of two arms, and their differences."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from analyses.columns import BoolArray, FloatArray
from analyses.comparison.event_arms import EventArms, event_arms, wald
from analyses.comparison.linearised import standard_error
from analyses.kernels.probability_interval import normal_quantile, probability_interval
from analyses.kernels.weight_slopes import incidence_slopes, restricted_mean_slopes, survival_slopes
from analyses.propensity.weights import EstimatedWeights
from analyses.survival.group_contrasts import one_without_events
from analyses.survival.inputs import check_cause
from cohort.errors import AnalysisError
from cohort.results import ResultTable


def weighted_survival(
    data: pd.DataFrame,
    *,
    duration_col: str,
    event_col: str,
    treatment_col: str,
    treated: object,
    weights: npt.ArrayLike | EstimatedWeights,
    times: Sequence[float],
    conf_level: float = 0.95,
) -> ResultTable:
    """Weighted Kaplan-Meier survival of two arms at given times, and its difference.

    Whole curves with weighted numbers at risk are drawn by :func:`analyses.survival.kaplan_meier` with ``weights_col``;
    this function adds contrasts and the variance that accounts for an estimated score.

    Parameters
    ----------
    data
        One row per patient.
    duration_col, event_col
        As in :func:`analyses.survival.kaplan_meier`.
    treatment_col, treated
        Column of the arm (two levels) and its treated level.
    weights
        One per row, as an array (taken as known) or as
        :meth:`PropensityFit.estimated_weights <analyses.propensity.PropensityFit.estimated_weights>` (the variance then
        accounts for the estimation of the score).
    times
        In the unit of the durations; beyond the last observed time of an arm its curve does not exist.
    conf_level
        Confidence level of the intervals.

    Returns
    -------
    ResultTable
        Per time two rows ``survival`` (log-log interval) and one ``survival_difference`` (plain interval, p-value).
        ``n`` counts patients with weight still observed at the time, ``n_events`` events up to it, unweighted.

    Raises
    ------
    AnalysisError
        Unknown column, no rows, missing values, values out of range, not two arms, unusable weights.

    References
    ----------
    Cole SR, Hernan MA. Comput Methods Programs Biomed 2004;75:45-49. doi:10.1016/j.cmpb.2003.10.004

    Examples
    --------
    >>> frame = pd.DataFrame({"arm": list("aabb"), "months": [1.0, 2.0, 1.0, 2.0], "flare": [1, 0, 1, 0]})
    >>> table = weighted_survival(
    ...     frame, duration_col="months", event_col="flare", treatment_col="arm", treated="a",
    ...     weights=[1, 3, 1, 1], times=[1.0],
    ... )
    >>> table.frame["estimate"].tolist()
    [0.75, 0.5, 0.25]
    """
    where = "weighted_survival"
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
    rows = list(_curve_rows(chosen, checked_times(times, where), None, conf_level))
    return chosen.table(rows, where, "Kaplan-Meier", event_col=event_col, times=[float(t) for t in times])


def weighted_incidence(
    data: pd.DataFrame,
    *,
    duration_col: str,
    event_col: str,
    treatment_col: str,
    treated: object,
    weights: npt.ArrayLike | EstimatedWeights,
    times: Sequence[float],
    cause: int = 1,
    conf_level: float = 0.95,
) -> ResultTable:
    """Weighted cumulative incidence of a cause in two arms at given times, and its difference (Aalen-Johansen).

    Parameters
    ----------
    data, duration_col, treatment_col, treated, weights, times, conf_level
        As for :func:`weighted_survival`.
    event_col
        0 for censored, a whole number from 1 for the cause.
    cause
        The cause of interest, others competing.

    Returns
    -------
    ResultTable
        Per time two rows ``cumulative_incidence`` (log-log interval of the incidence) and one
        ``cumulative_incidence_difference``; ``term`` is the cause; counts as of :func:`weighted_survival`.

    Raises
    ------
    AnalysisError
        As :func:`weighted_survival`; a cause that is no whole number from 1.

    Examples
    --------
    >>> frame = pd.DataFrame({"arm": list("aabb"), "months": [1.0, 2.0, 1.0, 2.0], "event": [1, 2, 2, 0]})
    >>> table = weighted_incidence(
    ...     frame, duration_col="months", event_col="event", treatment_col="arm", treated="a",
    ...     weights=[1, 3, 1, 1], times=[1.0],
    ... )
    >>> table.frame["estimate"].tolist()
    [0.25, 0.0, 0.25]
    """
    where = "weighted_incidence"
    check_cause(cause)
    chosen = event_arms(
        data,
        duration_col=duration_col,
        event_col=event_col,
        treatment_col=treatment_col,
        treated=treated,
        weights=weights,
        conf_level=conf_level,
        where=where,
        competing=True,
    )
    rows = [row | {"term": str(cause)} for row in _curve_rows(chosen, checked_times(times, where), cause, conf_level)]
    return chosen.table(
        rows, where, "Aalen-Johansen", event_col=event_col, cause=cause, times=[float(t) for t in times]
    )


def weighted_restricted_mean(
    data: pd.DataFrame,
    *,
    duration_col: str,
    event_col: str,
    treatment_col: str,
    treated: object,
    weights: npt.ArrayLike | EstimatedWeights,
    tau: float,
    conf_level: float = 0.95,
) -> ResultTable:
    """Weighted restricted mean survival time of two arms, and its difference.

    Parameters
    ----------
    data, duration_col, event_col, treatment_col, treated, weights, conf_level
        As for :func:`weighted_survival`.
    tau
        Horizon, in the unit of the durations, that observation of both arms reaches.

    Returns
    -------
    ResultTable
        Two rows ``restricted_mean`` and one ``restricted_mean_difference``, ``time`` the horizon, plain intervals.

    Raises
    ------
    AnalysisError
        As :func:`weighted_survival`; a horizon that is not above zero or that an arm does not reach.

    References
    ----------
    Conner SC et al. Stat Med 2019;38:3832-3860. doi:10.1002/sim.8206

    Examples
    --------
    >>> frame = pd.DataFrame({"arm": list("aabb"), "months": [1.0, 3.0, 1.0, 3.0], "flare": [1, 0, 1, 0]})
    >>> table = weighted_restricted_mean(
    ...     frame, duration_col="months", event_col="flare", treatment_col="arm", treated="a",
    ...     weights=[1, 3, 1, 1], tau=3,
    ... )
    >>> table.frame["estimate"].tolist()
    [2.5, 2.0, 0.5]
    """
    where = "weighted_restricted_mean"
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
    check_horizon(tau)
    require_reach(chosen, tau)
    one, zero = (_area(chosen, name, tau) for name in chosen.arms)
    rows = list(restricted_mean_rows(one, zero, chosen.contrast, conf_level))
    rows = [row | {"time": float(tau), "conf_level": conf_level} for row in rows]
    return chosen.table(rows, where, "Kaplan-Meier area", event_col=event_col, tau=float(tau))


def checked_times(times: Sequence[float], where: str) -> FloatArray:
    """Return times as an array; refuse none, and any that is not a finite number from 0."""
    values = np.asarray(times, dtype=np.float64)
    if values.ndim != 1 or not len(values) or not np.all(np.isfinite(values) & (values >= 0)):
        raise AnalysisError(
            "times are finite numbers from 0", where=f"{where}, times", got=str(list(times)), remedy="name some"
        )
    return values


def check_horizon(tau: float) -> None:
    """Refuse a horizon that is not above zero."""
    if not (math.isfinite(tau) and tau > 0):
        raise AnalysisError("tau must be above zero", where="tau", got=str(tau), remedy="name a horizon")


def require_reach(chosen: EventArms, tau: float) -> None:
    """Refuse a horizon beyond the last observed time of an arm, unless everyone left fails there."""
    for name, rows in chosen.members.items():
        durations, events = chosen.durations[rows], chosen.causes[rows] > 0
        last = durations.max()
        if last < tau and not np.all(events[durations == last]):
            raise AnalysisError(
                "tau lies beyond the last observed time",
                where=f"tau, group {name!r}",
                got=f"tau={tau:g}, last time {last:g}",
                remedy="choose a tau that every group reaches",
            )


def _curve_rows(
    chosen: EventArms, times: FloatArray, cause: int | None, conf_level: float
) -> Iterator[dict[str, object]]:
    statistic = "survival" if cause is None else "cumulative_incidence"
    found, counts = {}, {}
    for name, rows in chosen.members.items():
        durations, causes = chosen.durations[rows], chosen.causes[rows]
        if cause is None:
            sloped = survival_slopes(durations, causes > 0, chosen.weights[rows], times=times)
        else:
            sloped = incidence_slopes(durations, causes, chosen.weights[rows], cause=cause, times=times)
        last = durations.max()
        ended = bool(np.all(causes[durations == last] > 0))
        known = np.full(len(times), True) if ended else times <= last
        found[name] = (np.where(known, sloped.estimate, np.nan), chosen.spread(rows, sloped))
        counted = causes > 0 if cause is None else causes == cause
        counts[name] = observed_counts(durations, counted, times)
    yield from curve_rows(
        found, counts, times=times, statistic=statistic, contrast=chosen.contrast, conf_level=conf_level
    )


def curve_rows(
    found: Mapping[str, tuple[FloatArray, FloatArray]],
    counts: Mapping[str, Sequence[tuple[int, int]]],
    *,
    times: FloatArray,
    statistic: str,
    contrast: str,
    conf_level: float,
) -> Iterator[dict[str, object]]:
    """Yield at each time a row for each arm and one for their difference.

    Parameters
    ----------
    found
        By arm, treated first: estimates ``(t,)``, NaN where the curve does not exist, and influences on them, shape
        ``(t, patients)``.
    counts
        By arm and time: patients still observed, and events so far.
    times, statistic, contrast, conf_level
        Of the rows.
    """
    half, names = normal_quantile(conf_level), tuple(found)
    (one, one_spread), (zero, zero_spread) = found.values()
    for place, time in enumerate(times.tolist()):
        for name, (estimate, spread) in found.items():
            n, events = counts[name][place]
            row: dict[str, object] = {
                "group": name, "time": time, "statistic": statistic, "n": n, "n_events": events,
                "conf_level": conf_level, "estimate": float(estimate[place]),
            }  # fmt: skip
            yield row | _probability(float(estimate[place]), standard_error(spread[place]), events, conf_level)
        difference = float(one[place] - zero[place])
        error = standard_error(one_spread[place] - zero_spread[place])
        n, events = (sum(counts[name][place][k] for name in names) for k in (0, 1))
        row = {
            "contrast": contrast, "time": time, "statistic": f"{statistic}_difference", "n": n,
            "n_events": events, "conf_level": conf_level, "estimate": difference,
        }  # fmt: skip
        if math.isnan(difference):
            yield row | {"note": _BEYOND}
        elif error == 0:
            yield row | {"note": "no spread in either arm up to this time: no interval"}
        else:
            lone = one_without_events((names[0], names[1]), (counts[names[0]][place][1], counts[names[1]][place][1]))
            yield row | {"note": lone} | wald(difference, error, half)


def observed_counts(durations: FloatArray, counted: BoolArray, times: FloatArray) -> list[tuple[int, int]]:
    """Return at each time how many rows are still observed and how many have had the event."""
    return [(int((durations >= t).sum()), int((counted & (durations <= t)).sum())) for t in times]


_BEYOND = "beyond the last observed time of an arm"


def _probability(estimate: float, error: float, events: int, conf_level: float) -> dict[str, object]:
    if math.isnan(estimate):
        return {"note": _BEYOND}
    if not 0 < estimate < 1:
        return {"note": "no event up to this time: no interval" if not events else "nobody left: no interval"}
    low, high = probability_interval(np.array([estimate]), np.array([error]), scale="log-log", conf_level=conf_level)
    return {"std_error": error, "conf_low": float(low[0]), "conf_high": float(high[0])}


@dataclass(frozen=True, slots=True, eq=False)
class ArmArea:
    """Restricted mean of an arm and the influence of each patient on it, shape (patients,)."""

    name: str
    estimate: float
    influence: FloatArray
    patients: int
    events: int


def _area(chosen: EventArms, name: str, tau: float) -> ArmArea:
    rows = chosen.members[name]
    durations, events = chosen.durations[rows], chosen.causes[rows] > 0
    sloped = restricted_mean_slopes(durations, events, chosen.weights[rows], horizon=tau)
    influence = chosen.spread(rows, sloped)[0]
    return ArmArea(name, float(sloped.estimate[0]), influence, len(durations), int((events & (durations <= tau)).sum()))


def restricted_mean_rows(one: ArmArea, zero: ArmArea, contrast: str, conf_level: float) -> Iterator[dict[str, object]]:
    """Yield a row ``restricted_mean`` for each arm and one ``restricted_mean_difference``."""
    quantile = normal_quantile(conf_level)
    for arm in (one, zero):
        error = standard_error(arm.influence)
        shown = wald(arm.estimate, error, quantile) if error > 0 else {"note": "no event up to tau: no interval"}
        shown.pop("p_value", None)
        row = {"group": arm.name, "statistic": "restricted_mean", "estimate": arm.estimate}
        yield row | {"n": arm.patients, "n_events": arm.events} | shown
    difference, error = one.estimate - zero.estimate, standard_error(one.influence - zero.influence)
    row = {
        "contrast": contrast,
        "statistic": "restricted_mean_difference",
        "estimate": difference,
        "n": one.patients + zero.patients,
        "n_events": one.events + zero.events,
        "note": one_without_events((one.name, zero.name), (one.events, zero.events)),
    }
    yield row | (wald(difference, error, quantile) if error > 0 else {"note": "no event up to tau: no interval"})
