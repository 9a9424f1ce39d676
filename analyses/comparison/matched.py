"""Response rates of matched or subclassified arms and their contrasts, with standard errors clustered by pair."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import ndtr

from analyses.columns import FloatArray, as_binary, require_complete, require_probability, visit_months
from analyses.comparison.weighted import hajek_mean
from analyses.kernels.grouped_sums import IntArray, sum_by
from analyses.kernels.proportions import logit_interval, normal_quantile
from analyses.propensity.matched_sample import Matching
from cohort.errors import AnalysisError
from cohort.results import ResultTable, result_table

_WHERE = "matched_rates"
_PAIRED = "robust variance clustered by pair or subclass"
_TWO_WAY = "robust variance clustered by pair and by patient"
_UNPAIRED = "robust variance, weights taken as known"
_VANISHING = 1e-12


def matched_rates(
    data: pd.DataFrame,
    *,
    matching: Matching,
    outcome_col: str,
    time_col: str | None = None,
    conf_level: float = 0.95,
) -> ResultTable:
    """Proportion of each arm after matching, risk difference, risk ratio and odds ratio, by visit if there are several.

    Parameters
    ----------
    data
        Rows of the patients who were matched or could have been (others are refused), with the patient's column that
        the matching used; a patient has at most one row at a time. Rows of patients without a match play no part.
    matching
        From :meth:`PropensityFit.match <analyses.propensity.PropensityFit.match>`,
        :func:`analyses.propensity.match_patients` or :func:`analyses.propensity.subclassify`.
    outcome_col
        Boolean or 0/1 column.
    time_col
        Numeric column of the visit month. Each visit is analysed by itself, on the matched patients assessed there
        with the weights they have: a pair of which one is not assessed stays in with the other.
    conf_level
        Confidence level of the intervals.

    Returns
    -------
    ResultTable
        Per time five rows: ``proportion`` of the treated and of the reference ``group`` (interval on the logit scale),
        then on ``contrast`` ``risk_difference`` (Wald interval), ``risk_ratio`` and ``odds_ratio`` (Wald intervals and
        ``std_error`` on the log scale). ``n`` counts patients and ``n_events`` events among them, unweighted.
        ``method`` names the variance, which takes the matching as given: clustered by pair or subclass; after matching
        with replacement by pair and by patient; after subclassification, whose subclasses are few and large, by
        patient. No small-sample factor. An arm in which nobody, or everybody, has the event shows no spread: estimates
        without interval, and a note; a ratio that is not defined is missing, with a note; so is an arm not assessed.

    Raises
    ------
    AnalysisError
        Unknown column, no rows, missing values, an outcome not binary, a patient with two rows at one time.
    UsageError
        ``conf_level`` out of range, or a row that belongs to nobody who could have been matched.

    References
    ----------
    Abadie A, Spiess J. Robust post-matching inference. J Am Stat Assoc 2022;117:983-995.
    doi:10.1080/01621459.2020.1840383. Austin PC, Cafri G. Variance estimation when using propensity-score matching with
    replacement with survival or time-to-event outcomes. Stat Med 2020;39:1623-1640. doi:10.1002/sim.8502

    Examples
    --------
    >>> from analyses.propensity import match_patients
    >>> data = pd.DataFrame({"patient_id": list("abcd"), "arm": list("trtr"), "x": [0, 1, 5, 6], "cr": [1, 0, 1, 1]})
    >>> found = match_patients(data, treatment_col="arm", treated="t", distance="x")
    >>> matched_rates(data, matching=found, outcome_col="cr").frame["estimate"].tolist()[:4]
    [1.0, 0.5, 0.5, 2.0]
    """
    require_probability(conf_level, "conf_level")
    require_complete(data, [outcome_col, matching.subject_col], where=_WHERE)
    outcome = as_binary(data, outcome_col, where=_WHERE)
    patient = matching.rows_of(data, where=_WHERE)
    rows: list[dict[str, object]] = []
    for when, at in _visits(data, time_col):
        _refuse_repeated(patient[at])
        rows.extend(when | row for row in _rows(_assessed(matching, patient[at], outcome[at]), matching, conf_level))
    return result_table(
        rows,
        metadata={
            "spec": {
                "function": _WHERE,
                "outcome_col": outcome_col,
                "matching": matching.method,
                "estimand": matching.estimand,
                "time_col": time_col,
                "conf_level": conf_level,
            }
        },
        analysis="comparison",
        term=outcome_col,
        conf_level=conf_level,
        method=f"{matching.estimand}, {matching.method}; {_variance_words(matching)}",
    )


@dataclass(frozen=True, slots=True)
class _Scale:
    """The scale on which a contrast is a difference."""

    is_log: bool
    of: Callable[[float], float]
    slope: Callable[[float], float]

    def shown(self, value: float) -> float:
        return float(np.exp(value)) if self.is_log else value


_SCALES = {
    "risk_difference": _Scale(False, lambda p: p, lambda _: 1.0),
    "risk_ratio": _Scale(True, np.log, lambda p: 1 / p),
    "odds_ratio": _Scale(True, lambda p: np.log(p) - np.log1p(-p), lambda p: 1 / (p * (1 - p))),
}


@dataclass(frozen=True, slots=True, eq=False)
class _Assessed:
    """Members of subclasses who are assessed at a time; ``m`` of them."""

    patient: IntArray
    subclass: IntArray
    weight: FloatArray
    treated: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]
    outcome: FloatArray

    def variance(self, influence: FloatArray, *, paired: bool) -> float:
        """Sum the squares of the influences of clusters; with a patient in several pairs, of both kinds of cluster."""
        by_patient = sum_by(self.patient, influence, int(self.patient.max()) + 1)
        if not paired:
            return float(np.sum(by_patient**2))
        by_pair = sum_by(self.subclass, influence, int(self.subclass.max()) + 1)
        return float(np.sum(by_patient**2) + np.sum(by_pair**2) - np.sum(influence**2))


@dataclass(frozen=True, slots=True, eq=False)
class _Arm:
    name: str
    patients: int
    events: int
    estimate: float
    influence: FloatArray

    @property
    def has_spread(self) -> bool:
        return 0 < self.events < self.patients

    @property
    def why_flat(self) -> str:
        words = "no event" if self.events == 0 else "only events"
        return f"{words} in {self.name}: no spread to estimate a variance from"


def _visits(data: pd.DataFrame, time_col: str | None) -> Iterator[tuple[dict[str, object], IntArray]]:
    if time_col is None:
        yield {}, np.arange(len(data))
        return
    time = visit_months(data, time_col, where=_WHERE)
    for month in np.unique(time):
        yield {"time": float(month), "time_unit": "month"}, np.flatnonzero(time == month)


def _refuse_repeated(patient: IntArray) -> None:
    repeated = len(patient) - len(np.unique(patient))
    if repeated:
        raise AnalysisError(
            "a patient has more than one row at a time",
            where=_WHERE,
            got=f"{repeated} repeated rows",
            remedy="keep one row per patient and visit, or pass time_col",
        )


def _assessed(matching: Matching, patient: IntArray, outcome: FloatArray) -> _Assessed:
    row = np.full(len(matching.treated), -1)
    row[patient] = np.arange(len(patient))
    members = matching.members
    here = row[members.patient] >= 0
    own = members.patient[here]
    return _Assessed(own, members.subclass[here], members.weight[here], matching.treated[own], outcome[row[own]])


def _variance_words(matching: Matching) -> str:
    if not len(matching.pairs):
        return _UNPAIRED
    return _PAIRED if matching.subclass.any() else _TWO_WAY


def _rows(here: _Assessed, matching: Matching, conf_level: float) -> Iterator[dict[str, object]]:
    paired = bool(len(matching.pairs))
    z = normal_quantile(conf_level)
    arms = [_arm(here, own, name) for own, name in zip((here.treated, ~here.treated), matching.arms, strict=True)]
    for arm in arms:
        row = {"group": arm.name, "statistic": "proportion", "n": arm.patients, "n_events": arm.events}
        if not arm.patients:
            yield row | {"note": "no matched patient of this arm at this time"}
        elif not arm.has_spread:
            yield row | {"estimate": arm.estimate, "note": arm.why_flat}
        else:
            error = float(np.sqrt(here.variance(arm.influence, paired=paired)))
            interval = logit_interval(arm.estimate, error, conf_level=conf_level)
            limits = {"conf_low": float(interval.low), "conf_high": float(interval.high)}
            yield row | {"estimate": arm.estimate, "std_error": error} | limits
    one, zero = arms
    shared = {
        "contrast": f"{one.name} v {zero.name}",
        "n": one.patients + zero.patients,
        "n_events": one.events + zero.events,
    }
    for statistic in ("risk_difference", "risk_ratio", "odds_ratio"):
        yield shared | {"statistic": statistic} | _contrast(here, one, zero, statistic, paired=paired, z=z)


def _arm(here: _Assessed, own: np.ndarray[tuple[int, ...], np.dtype[np.bool_]], name: str) -> _Arm:
    unique = np.unique(here.patient[own], return_index=True)[1]
    patients, events = len(unique), int(here.outcome[own][unique].sum())
    if not patients:
        return _Arm(name, 0, 0, np.nan, np.zeros(len(own)))
    mean = hajek_mean(here.outcome, np.where(own, here.weight, 0.0))
    return _Arm(name, patients, events, mean.estimate, mean.influence)


def _contrast(here: _Assessed, one: _Arm, zero: _Arm, statistic: str, *, paired: bool, z: float) -> dict[str, object]:
    absent = [arm.name for arm in (one, zero) if not arm.patients]
    if absent:
        return {"note": f"no matched patient of {', '.join(absent)} at this time"}
    scale = _SCALES[statistic]
    flat = [arm for arm in (one, zero) if not arm.has_spread]
    with np.errstate(divide="ignore", invalid="ignore"):
        estimate = float(scale.of(one.estimate) - scale.of(zero.estimate))
    if flat:
        words = "; ".join(arm.why_flat for arm in flat)
        if not np.isfinite(scale.shown(estimate)):
            return {"note": f"{words}; the ratio is not defined"}
        return {"estimate": scale.shown(estimate), "note": words}
    influence = scale.slope(one.estimate) * one.influence - scale.slope(zero.estimate) * zero.influence
    variance = here.variance(influence, paired=paired)
    if variance <= _VANISHING * float(np.sum(influence**2)):
        return {"estimate": scale.shown(estimate), "note": "the pairs agree so closely that no variance is left"}
    error = float(np.sqrt(variance))
    return {
        "estimate": scale.shown(estimate),
        "std_error": error,
        "conf_low": scale.shown(estimate - z * error),
        "conf_high": scale.shown(estimate + z * error),
        "p_value": float(2 * ndtr(-abs(estimate) / error)),
    }
