"""Standardised survival of two arms from a Cox model (g-computation), and its contrasts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, get_args

import numpy as np
import pandas as pd

from analyses.columns import BoolArray, as_text, require_complete
from analyses.comparison.bootstrap import Interval, Key, draw_copies, summarised
from analyses.comparison.event_arms import event_arms, wald
from analyses.comparison.event_averages import EventAverages
from analyses.comparison.event_model import ArmRole, event_settings
from analyses.comparison.folds import refuse_repeated_patients
from analyses.comparison.linearised import standard_error
from analyses.comparison.standardised import TargetPopulation, check_target, covariate_columns
from analyses.comparison.weighted_curves import (
    ArmArea,
    check_horizon,
    checked_times,
    curve_rows,
    observed_counts,
    restricted_mean_rows,
)
from analyses.kernels.probability_interval import normal_quantile
from analyses.kernels.standardised_curve import Averaged
from cohort.errors import UsageError
from cohort.results import ResultTable

EventVariance = Literal["influence", "bootstrap"]
_WHERE = "standardised_survival"


def standardised_survival(
    data: pd.DataFrame,
    *,
    adjust: str,
    duration_col: str,
    event_col: str,
    treatment_col: str,
    treated: object,
    times: Sequence[float] = (),
    tau: float | None = None,
    estimand: TargetPopulation = "ATE",
    arm: ArmRole = "stratum",
    separate_arms: bool = False,
    variance: EventVariance = "influence",
    replicates: int = 500,
    seed: int | None = None,
    interval: Interval = "percentile",
    patient_col: str = "patient_id",
    conf_level: float = 0.95,
) -> ResultTable:
    """Standardise the survival of each arm to one population (g-computation), with differences, ratios and means.

    A Cox model of the event given arm and covariates predicts the survival of every patient under either arm; the
    predictions are averaged over all patients, the treated or the others. Survival is exp(-cumulative hazard), ties
    are Efron's in coefficients and hazard increments alike (the tied events leave the risk set by fractions).
    Censoring may depend on the arm and on the covariates of the model.

    Parameters
    ----------
    data
        One row per patient.
    adjust
        Right-hand side of baseline covariates; the arm is added.
    duration_col, event_col
        As in :func:`analyses.survival.kaplan_meier`.
    treatment_col, treated
        Column of the arm (two levels) and its treated level.
    times
        At which survival is compared, in the unit of the durations.
    tau
        Horizon of the restricted mean, or None for none.
    estimand
        Whom the averages are over: ``ATE`` everybody, ``ATT`` the treated, ``ATC`` the others.
    arm
        ``stratum`` gives each arm a baseline hazard of its own, so that the hazards of the arms need not be
        proportional; ``term`` gives them one, times a hazard ratio.
    separate_arms
        Whether each arm has coefficients of its own; else the arms share them. That separates sooner.
    variance
        ``influence``, or a ``bootstrap`` that resamples patients and fits the model in every replicate (needs
        ``seed``).
    replicates, seed, interval
        Of the bootstrap.
    patient_col
        Column of the patient.
    conf_level
        Confidence level of the intervals.

    Returns
    -------
    ResultTable
        Per time two rows ``survival`` (log-log interval), then ``survival_difference`` and ``risk_difference`` (the
        same with the other sign) and ``risk_ratio`` of the risks 1 - survival (interval on the log scale, whose
        ``std_error`` it is); with ``tau`` two rows ``restricted_mean`` and one ``restricted_mean_difference``. ``n``
        counts patients of the arm still observed at the time (for the means: all), ``n_events`` its events so far.

        The variance is the sum of squares of each patient's influence through the coefficients, the baseline hazards
        and the average, that is the derivative of the whole chain by the patient's case weight; it includes that of
        the covariate distribution and does not need the model to hold.

        Where a term has no finite estimate (a level without events, a covariate constant in every risk set) the
        rows' ``note`` names it. An arm without events has survival 1 without interval, and its contrasts say so; with
        ``arm="term"`` its hazard ratio is the term without estimate. Beyond the last observed time of an arm (of
        both, with ``arm="term"``) survival is not estimated.

    Raises
    ------
    AnalysisError
        Unknown column, no rows, missing values, values out of range, not two arms, a constant or collinear covariate
        (named), two rows of a patient, a horizon beyond the last observed time.
    UsageError
        Neither ``times`` nor ``tau``, an option out of range, a bootstrap without a seed.

    Notes
    -----
    Where the arms do not overlap in the covariates the model extrapolates and nothing here shows it: look at the
    scores (:func:`analyses.propensity.fit_propensity`). Time grows with patients times distinct event times: 0.04
    seconds for 1,000 patients with times of their own, one second for 10,000.

    References
    ----------
    Ozenne BMH, Scheike TH, Staerk L, Gerds TA. Biom J 2020;62:751-763. doi:10.1002/bimj.201800298. Makuch RW. J
    Chronic Dis 1982;35:437-443. doi:10.1016/0021-9681(82)90058-3

    Examples
    --------
    Hazards are doubled by ``x`` in both arms; each arm has one event, of three and of six at risk.

    >>> rows = [("a", 1, 1, 1)] + 2 * [("a", 0, 2, 0)] + [("b", 0, 1, 1)] + 2 * [("b", 1, 2, 0)] + 3 * [("b", 0, 2, 0)]
    >>> frame = pd.DataFrame(rows, columns=["arm", "x", "years", "flare"]).assign(patient_id=range(9))
    >>> table = standardised_survival(
    ...     frame, adjust="x", duration_col="years", event_col="flare", treatment_col="arm", treated="a", times=[1]
    ... )
    >>> table.frame["estimate"].round(4).tolist()
    [0.7214, 0.8479, -0.1266, 0.1266, 1.8322]
    """
    request = _request(
        data,
        adjust=adjust,
        columns=(duration_col, event_col, treatment_col),
        treated=treated,
        times=times,
        tau=tau,
        estimand=estimand,
        roles=(arm, separate_arms),
        patient_col=patient_col,
        conf_level=conf_level,
    )
    rows = list(_rows(request, conf_level))
    said = "influence-function variance of model and average"
    if _is_bootstrap(variance, seed, interval):
        assert seed is not None
        copies = draw_copies(as_text(data[patient_col]), replicates=replicates, seed=seed)
        found = request.replicated(copies)
        rows = [
            row | summarised(row, values, interval=interval, conf_level=conf_level)
            if (values := found.get(_key(row))) is not None
            else row
            for row in rows
        ]
        said = f"bootstrap of patients, model fitted in each replicate, {replicates} replicates, {interval} interval"
    table = request.chosen.table(
        rows,
        _WHERE,
        f"g-computation, {estimand}, Cox model {_model_words(adjust, arm, separate_arms)}, Efron ties",
        variance=said,
        event_col=event_col,
        adjust=adjust,
        times=[float(time) for time in times],
        tau=tau,
        estimand=estimand,
        arm=arm,
        separate_arms=separate_arms,
        variance_by=variance,
        replicates=replicates if variance == "bootstrap" else None,
    )
    drawn: dict[str, object] = {"seed": seed} if variance == "bootstrap" else {}
    return ResultTable(table.frame, {**table.metadata, **drawn})


def _model_words(adjust: str, arm: ArmRole, separate_arms: bool) -> str:
    if separate_arms:
        return f"of each arm given {adjust}" if arm == "stratum" else f"given arm x ({adjust})"
    return f"given {adjust}, stratified by arm" if arm == "stratum" else f"given arm + {adjust}"


def _is_bootstrap(variance: str, seed: int | None, interval: str) -> bool:
    for value, choices, name in ((variance, EventVariance, "variance"), (interval, Interval, "interval")):
        if value not in get_args(choices):
            raise UsageError(
                f"unknown {name}",
                where=f"{_WHERE}, {name}",
                got=str(value),
                remedy=f"use {', '.join(get_args(choices))}",
            )
    if variance == "bootstrap" and seed is None:
        raise UsageError("the bootstrap needs a seed", where=f"{_WHERE}, seed", got="None", remedy="use seed=2025")
    return variance == "bootstrap"


def _request(
    data: pd.DataFrame,
    *,
    adjust: str,
    columns: tuple[str, str, str],
    treated: object,
    times: Sequence[float],
    tau: float | None,
    estimand: str,
    roles: tuple[ArmRole, bool],
    patient_col: str,
    conf_level: float,
) -> EventAverages:
    check_target(estimand, where=_WHERE)
    arm, separate_arms = roles
    if arm not in get_args(ArmRole):
        raise UsageError("unknown arm", where=f"{_WHERE}, arm", got=str(arm), remedy="use stratum or term")
    if tau is None and not len(times):
        raise UsageError(
            "nothing to estimate", where=f"{_WHERE}, times and tau", got="neither", remedy="name times, tau or both"
        )
    if tau is not None:
        check_horizon(tau)
    read = checked_times(times, _WHERE) if len(times) else np.empty(0)
    chosen = event_arms(
        data,
        duration_col=columns[0],
        event_col=columns[1],
        treatment_col=columns[2],
        treated=treated,
        weights=np.ones(len(data)),
        conf_level=conf_level,
        where=_WHERE,
    )
    require_complete(data, [patient_col], where=_WHERE)
    refuse_repeated_patients(as_text(data[patient_col]), where=_WHERE)
    matrix, terms = covariate_columns(adjust, data, where=_WHERE)
    settings = event_settings(
        matrix[:, 1:], terms[1:], chosen.treated, chosen.causes > 0,
        arms=chosen.arms, arm=arm, separate_arms=separate_arms,
    )  # fmt: skip
    request = EventAverages(chosen, settings, estimand, read, None if tau is None else float(tau))
    request.require_reach()
    return request


def _rows(asked: EventAverages, conf_level: float) -> Iterator[dict[str, object]]:
    """Yield the rows of the result, with the variance by influence."""
    chosen, events = asked.chosen, asked.chosen.causes > 0
    found = asked.averages(np.arange(len(chosen.treated)))
    counts = {
        name: observed_counts(chosen.durations[own], events[own], asked.times) for name, own in chosen.members.items()
    }
    if isinstance(found, str):
        yield from _without(asked, counts, found, conf_level)
        return
    by_arm = dict(zip(chosen.arms, found, strict=True))
    at = slice(0, len(asked.times))
    curves = {name: (average.estimate[at], average.influence[at]) for name, average in by_arm.items()}
    made = curve_rows(
        curves, counts, times=asked.times, statistic="survival", contrast=chosen.contrast, conf_level=conf_level
    )
    shared = asked.settings.strata is None
    for row in made:
        shown = _without_remark(row) if shared else row
        yield shown
        if row["statistic"] == "survival_difference":
            place = asked.times.tolist().index(float(str(row["time"])))
            yield _risk_difference(shown)
            yield _risk_ratio(shown, found, place, conf_level)
    if asked.tau is None:
        return
    areas = [
        ArmArea(name, float(by_arm[name].estimate[-1]), by_arm[name].influence[-1], *_counted(asked, own))
        for name, own in chosen.members.items()
    ]
    for row in restricted_mean_rows(areas[0], areas[1], chosen.contrast, conf_level):
        shown = _without_remark(row) if shared else row
        yield shown | {"time": asked.tau, "conf_level": conf_level}


def _without_remark(row: dict[str, object]) -> dict[str, object]:
    """Take off the remark that an arm without events adds no variance: with a common baseline hazard it does."""
    return row | {"note": None} if "conf_low" in row else row


def _counted(asked: EventAverages, own: BoolArray) -> tuple[int, int]:
    assert asked.tau is not None
    return int(own.sum()), int((own & (asked.chosen.causes > 0) & (asked.chosen.durations <= asked.tau)).sum())


def _without(
    asked: EventAverages, counts: dict[str, list[tuple[int, int]]], why: str, conf_level: float
) -> Iterator[dict[str, object]]:
    """Yield the rows of a result without estimates."""
    shared = {"conf_level": conf_level, "note": why}
    blocks: list[tuple[str, tuple[str, ...], float, int]] = [
        ("survival", _CURVE_CONTRASTS, time, place) for place, time in enumerate(asked.times.tolist())
    ]
    if asked.tau is not None:
        blocks.append(("restricted_mean", ("restricted_mean_difference",), asked.tau, -1))
    for statistic, contrasts, time, place in blocks:
        both = {
            name: counts[name][place] if place >= 0 else _counted(asked, own)
            for name, own in asked.chosen.members.items()
        }
        for name, (n, events) in both.items():
            yield {"group": name, "statistic": statistic, "time": time, "n": n, "n_events": events} | shared
        n, events = (sum(pair[k] for pair in both.values()) for k in (0, 1))
        for contrast in contrasts:
            row = {"contrast": asked.chosen.contrast, "statistic": contrast, "time": time, "n": n}
            yield row | {"n_events": events} | shared


_CURVE_CONTRASTS = ("survival_difference", "risk_difference", "risk_ratio")


def _key(row: dict[str, object]) -> Key:
    return str(row["statistic"]), str(row.get("group") or row.get("contrast")), float(str(row["time"]))


def _risk_difference(row: dict[str, object]) -> dict[str, object]:
    """Turn a difference of survival into one of risk."""
    turned = {name: -float(str(row[name])) for name in ("estimate", "conf_low", "conf_high") if name in row}
    if "conf_low" in turned:
        turned["conf_low"], turned["conf_high"] = turned["conf_high"], turned["conf_low"]
    return row | turned | {"statistic": "risk_difference"}


def _risk_ratio(row: dict[str, object], arms: Iterable[Averaged], place: int, conf_level: float) -> dict[str, object]:
    """Return the row of the risk ratio beside one of the difference of survival."""
    kept = {name: row[name] for name in ("contrast", "time", "n", "n_events", "conf_level")}
    kept |= {"statistic": "risk_ratio", "note": row.get("note")}
    one, zero = ((1 - float(arm.estimate[place]), -arm.influence[place]) for arm in arms)
    if math.isnan(one[0]) or math.isnan(zero[0]):
        return kept
    if not (one[0] > 0 and zero[0] > 0):
        bare = one[0] / zero[0] if zero[0] > 0 else math.nan
        return kept | {"estimate": bare, "note": "an arm has no event up to this time: the ratio has no logarithm"}
    value, error = math.log(one[0] / zero[0]), standard_error(one[1] / one[0] - zero[1] / zero[0])
    shown = wald(value, error, normal_quantile(conf_level)) if error > 0 else {}
    limits = {name: math.exp(float(str(shown[name]))) for name in ("conf_low", "conf_high") if name in shown}
    return kept | shown | {"estimate": one[0] / zero[0]} | limits
