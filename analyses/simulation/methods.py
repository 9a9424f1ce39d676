"""The estimators a simulation study judges, by name, for each estimand.

A method takes one cohort in one of its two worlds and returns an estimate with its interval and test. Methods work on
arrays, through the same kernels as the public functions and with the same results: cohorts come by the thousand. One
that raises :class:`cohort.errors.AnalysisError` has failed in that cohort.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

import numpy as np
import pandas as pd
from scipy.special import expit, ndtr

from analyses.columns import BoolArray, FloatArray
from analyses.comparison.weighted import hajek_mean
from analyses.kernels.logistic import collinear_columns, fit_logistic
from analyses.kernels.proportions import newcombe_difference, normal_quantile, pearson_chi_square
from analyses.kernels.restricted_mean import restricted_mean
from analyses.propensity import EstimatedWeights
from analyses.propensity.weights import Estimand
from analyses.simulation.sample import CALIPER, COVARIATES, Adjustment, Sample, World
from cohort.errors import AnalysisError

CONF_LEVEL = 0.95


class Target(StrEnum):
    """What is estimated."""

    RISK_DIFFERENCE = "risk_difference"
    """Of complete response at the visit looked at."""
    RESTRICTED_MEAN_DIFFERENCE = "restricted_mean_difference"
    """Of event-free survival up to the last scheduled visit, in years."""
    LOG_HAZARD_RATIO = "log_hazard_ratio"
    """Marginal, of event-free survival."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a method says of one cohort; NaN where it says nothing, with a ``note``."""

    estimate: float
    std_error: float = math.nan
    conf_low: float = math.nan
    conf_high: float = math.nan
    p_value: float = math.nan
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Method:
    """An estimator of one estimand.

    Parameters
    ----------
    name
        Unique among the methods of the same target.
    target, population
        The estimand it is judged against.
    adjustment
        Covariates it is given.
    label
        In words.
    estimate
        The estimator.
    """

    name: str
    target: Target
    population: Estimand
    adjustment: Adjustment
    label: str
    estimate: Callable[[Sample, World], Estimate]


def apply_method(method: Method, sample: Sample, world: World) -> Estimate:
    """Estimate, or say in ``note`` why the method refused the cohort."""
    try:
        return method.estimate(sample, world)
    except AnalysisError as error:
        return Estimate(math.nan, note=str(error))


def _wald(estimate: float, std_error: float) -> Estimate:
    if not std_error > 0:
        return Estimate(estimate, note="no spread to estimate a variance from")
    half = normal_quantile(CONF_LEVEL) * std_error
    return Estimate(estimate, std_error, estimate - half, estimate + half, float(2 * ndtr(-abs(estimate) / std_error)))


def _arms(sample: Sample, world: World) -> tuple[FloatArray, BoolArray, BoolArray]:
    """Return the response of everybody, and who of each arm was assessed, the treated first."""
    arms = sample.assessed & sample.treated, sample.assessed & ~sample.treated
    for name, own in zip(("treated", "reference"), arms, strict=True):
        if not own.any():
            raise AnalysisError("nobody is assessed", where=f"the {name} arm")
    return sample.outcomes[world].responded, *arms


def _crude_difference(sample: Sample, world: World) -> Estimate:
    responded, *arms = _arms(sample, world)
    (events, size), (other_events, other_size) = ((int(responded[own].sum()), int(own.sum())) for own in arms)
    interval = newcombe_difference(events, size, other_events, other_size, conf_level=CONF_LEVEL)
    risk, other = events / size, other_events / other_size
    test = pearson_chi_square([[events, size - events], [other_events, other_size - other_events]])
    return Estimate(
        risk - other,
        math.sqrt(risk * (1 - risk) / size + other * (1 - other) / other_size),
        float(interval.low),
        float(interval.high),
        test.p_value,
        "every patient has the same outcome" if math.isnan(test.p_value) else None,
    )


def _standardised_difference(sample: Sample, world: World, adjustment: Adjustment) -> Estimate:
    """As :func:`analyses.longitudinal.marginal_response` at one visit."""
    responded, treated, reference = _arms(sample, world)
    seen = sample.assessed
    outcome, covariates = responded[seen], sample.design(adjustment)[seen]
    arms = np.column_stack([treated, reference])[seen].astype(np.float64)
    if any(outcome[arm > 0].min() == outcome[arm > 0].max() for arm in arms.T):
        raise AnalysisError("no patient, or every patient, of an arm responds", where="g-computation")
    design = np.hstack([arms, covariates])
    fit = None if collinear_columns(design) else fit_logistic(design, outcome)
    if fit is None or not fit.converged:
        raise AnalysisError("the outcome model has no finite estimate", where="g-computation")
    scores = (design * (outcome - fit.probability)[:, None]) @ fit.covariance
    shift = covariates @ fit.coefficients[2:]
    means, influences = [], []
    for place in range(2):
        probability = expit(fit.coefficients[place] + shift)
        slope = probability * (1 - probability)
        gradient = np.concatenate([np.eye(2)[place] * slope.mean(), slope @ covariates / len(outcome)])
        means.append(float(probability.mean()))
        influences.append((probability - means[-1]) / len(outcome) + scores @ gradient)
    return _wald(means[0] - means[1], float(np.sqrt(np.sum((influences[0] - influences[1]) ** 2))))


def _weighted_difference(
    sample: Sample, world: World, adjustment: Adjustment, population: Estimand, *, known: bool = False
) -> Estimate:
    """As :func:`analyses.comparison.weighted_rates`."""
    responded, *arms = _arms(sample, world)
    weights = sample.weights(adjustment, population)
    means = []
    for own in arms:
        if responded[own].min() == responded[own].max():
            raise AnalysisError("no patient, or every patient, of an arm responds", where="weighted difference")
        values = np.where(own, weights.values, 0.0)
        model = EstimatedWeights(
            values, np.where(own[:, None], weights.gradient, 0.0), weights.influence, weights.patient, ""
        )
        means.append(hajek_mean(responded, values, None if known else model))
    difference = means[0].influence - means[1].influence
    return _wald(means[0].estimate - means[1].estimate, float(np.sqrt(np.sum(difference**2))))


def _augmented_difference(sample: Sample, world: World, adjustment: Adjustment) -> Estimate:
    """As :func:`analyses.comparison.augmented_rates`, the arms sharing the coefficients of the covariates."""
    from analyses.comparison.augmented import augmented_arms

    responded, *_ = _arms(sample, world)
    seen = sample.assessed
    names = ("Intercept", *COVARIATES[adjustment])
    design = np.column_stack([np.ones(int(seen.sum())), sample.design(adjustment)[seen]]), names
    *arms, _ = augmented_arms(
        responded[seen],
        sample.treated[seen],
        design,
        design,
        names=("treated", "reference"),
        estimand="ATE",
        separate_arms=False,
        folds=None,
        stacked=True,
    )
    influences = [arm.influence for arm in arms if arm.influence is not None]
    if len(influences) < len(arms):
        raise AnalysisError("; ".join(arm.note for arm in arms if arm.note), where="AIPW")
    return _wald(arms[0].estimate - arms[1].estimate, float(np.sqrt(np.sum((influences[0] - influences[1]) ** 2))))


def _matched_difference(sample: Sample, world: World, adjustment: Adjustment) -> Estimate:
    from analyses.comparison import matched_rates

    responded, *_ = _arms(sample, world)
    seen = np.flatnonzero(sample.assessed)
    table = matched_rates(
        pd.DataFrame({"patient_id": seen, "responded": responded[seen]}),
        matching=sample.matching(adjustment),
        outcome_col="responded",
    ).frame
    row = table[(table["statistic"] == "risk_difference").to_numpy(dtype=bool)].iloc[0]
    if pd.isna(row["std_error"]):
        raise AnalysisError(str(row["note"]), where="matched difference")
    return _wald(float(row["estimate"]), float(row["std_error"]))


def _restricted_mean(sample: Sample, world: World, adjustment: Adjustment, population: Estimand) -> Estimate:
    """As :func:`analyses.survival.restricted_mean`."""
    outcomes, weights = sample.outcomes[world], _known_weights(sample, adjustment, population)
    areas = [
        restricted_mean(
            outcomes.years[own],
            outcomes.event[own],
            horizon=sample.horizon_years,
            weights=None if weights is None else weights[own],
        )
        for own in (sample.treated, ~sample.treated)
    ]
    if not all(area.supported for area in areas):
        raise AnalysisError("nobody of an arm is followed to the horizon", where="restricted mean")
    return _wald(areas[0].mean - areas[1].mean, math.hypot(*(area.std_error for area in areas)))


def _cox(sample: Sample, world: World, adjustment: Adjustment, population: Estimand) -> Estimate:
    from analyses.survival import fit_cox

    outcomes, weights = sample.outcomes[world], _known_weights(sample, adjustment, population)
    columns = {"treated": sample.treated.astype(np.float64), "years": outcomes.years, "event": outcomes.event}
    frame = pd.DataFrame(columns if weights is None else {**columns, "weight": weights})
    fit = fit_cox(
        frame,
        "treated",
        duration_col="years",
        event_col="event",
        weights_col=None if weights is None else "weight",
        robust=weights is not None,
    )
    if fit.notes[0]:
        raise AnalysisError(fit.notes[0], where="Cox model")
    return _wald(float(fit.coefficients[0]), float(fit.std_errors[0]))


def _known_weights(sample: Sample, adjustment: Adjustment, population: Estimand) -> FloatArray | None:
    return None if adjustment is Adjustment.NONE else sample.weights(adjustment, population).values


_WORDS = {Adjustment.MEASURED: "measured covariates", Adjustment.ORACLE: "measured covariates and latent severity"}


def _crude() -> Iterator[Method]:
    none = Adjustment.NONE
    yield Method(
        "crude",
        Target.RISK_DIFFERENCE,
        "ATE",
        none,
        "difference of proportions; Newcombe interval, Pearson test",
        _crude_difference,
    )
    for target, run, label in _SURVIVAL:
        yield Method("crude", target, "ATE", none, label, partial(run, adjustment=none, population="ATE"))


def _adjusted(own: Adjustment) -> Iterator[Method]:
    risk, words = Target.RISK_DIFFERENCE, _WORDS[own]
    yield Method(
        f"g-computation, {own}",
        risk,
        "ATE",
        own,
        f"logistic model of response, {words}; standardised to the patients assessed; sandwich variance",
        partial(_standardised_difference, adjustment=own),
    )
    ate: Estimand = "ATE"
    ato: Estimand = "ATO"
    for name, population, known in (
        ("IPW", ate, False),
        ("IPW known weights", ate, True),
        ("overlap weights", ato, False),
    ):
        variance = "weights taken as known" if known else "estimation of the score accounted for"
        yield Method(
            f"{name}, {own}",
            risk,
            population,
            own,
            f"{population} weights, {words}; {variance}",
            partial(_weighted_difference, adjustment=own, population=population, known=known),
        )
    yield Method(
        f"AIPW, {own}",
        risk,
        ate,
        own,
        f"augmented inverse-probability weighting, {words}; estimation of both models accounted for",
        partial(_augmented_difference, adjustment=own),
    )
    yield Method(
        f"matching, {own}",
        risk,
        "ATT",
        own,
        f"pairs by nearest neighbours on the logit of the score within {CALIPER:g} SD, {words}; clustered by pair",
        partial(_matched_difference, adjustment=own),
    )
    for target, run, label in _SURVIVAL:
        for name, population in (("IPW", ate), ("overlap weights", ato)):
            yield Method(
                f"{name}, {own}",
                target,
                population,
                own,
                f"{label}; {population} weights, {words}; weights taken as known",
                partial(run, adjustment=own, population=population),
            )


_SURVIVAL: tuple[tuple[Target, Callable[..., Estimate], str], ...] = (
    (Target.RESTRICTED_MEAN_DIFFERENCE, _restricted_mean, "difference of areas under Kaplan-Meier curves"),
    (Target.LOG_HAZARD_RATIO, _cox, "Cox model with the arm alone"),
)
METHODS: tuple[Method, ...] = tuple(
    sorted(
        (*_crude(), *_adjusted(Adjustment.MEASURED), *_adjusted(Adjustment.ORACLE)),
        key=lambda method: list(Target).index(method.target),
    )
)
"""Every method, by target."""
